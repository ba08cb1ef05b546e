//! Where tables lie, and by whose key.

use std::fmt;

use serde::{Deserialize, Serialize};

/// By whose key something is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncryptedBy {
    /// A key of the customer.
    OwnKey,
    /// A key of the cloud or of Databricks.
    ProviderKey,
    /// It could not be read.
    NotKnown,
}

impl EncryptedBy {
    /// Its word, in Terraform and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::OwnKey => "own_key",
            Self::ProviderKey => "provider_key",
            Self::NotKnown => "not_known",
        }
    }
}

/// What lies at a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LocationKind {
    /// The bucket or storage account of a workspace.
    WorkspaceBucket,
    /// The root of a metastore.
    MetastoreRoot,
    /// The storage of a catalog.
    Catalog,
    /// An external location of Unity Catalog.
    ExternalLocation,
}

impl LocationKind {
    /// Its word, in Terraform and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::WorkspaceBucket => "workspace_bucket",
            Self::MetastoreRoot => "metastore_root",
            Self::Catalog => "catalog",
            Self::ExternalLocation => "external_location",
        }
    }
}

/// What holds tables and has a default key: a bucket, or a storage account. Each name is unique in its cloud.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TableStore {
    /// A bucket of Amazon S3.
    S3(String),
    /// A bucket of Cloud Storage.
    Google(String),
    /// A storage account of Azure.
    Azure(String),
}

/// A URL whose store cannot be found in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoStore {
    /// A scheme of other storage.
    #[error(
        "the provider does not read the encryption of storage with the scheme `{0}`; it reads `s3`, `gs` and `abfss`"
    )]
    Scheme(String),
    /// No name of a bucket or a storage account where one belongs.
    #[error("`{0}` does not name a bucket or a storage account")]
    Name(String),
}

impl TableStore {
    /// The store that a URL names.
    ///
    /// # Errors
    /// What is wrong with the URL, or why the store of such a URL is not read.
    pub fn of(url: &str) -> Result<Self, NoStore> {
        let no_name = || NoStore::Name(url.to_owned());
        let (scheme, rest) = url.split_once("://").ok_or_else(no_name)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // Source: Unity Catalog documentation, "External locations"; `s3a` and `s3n` are what Hadoop calls S3.
        match scheme.to_ascii_lowercase().as_str() {
            "s3" | "s3a" | "s3n" => match is_bucket(authority) {
                true => Ok(Self::S3(authority.to_owned())),
                false => Err(no_name()),
            },
            "gs" => match is_bucket(authority) {
                true => Ok(Self::Google(authority.to_owned())),
                false => Err(no_name()),
            },
            "abfss" | "abfs" | "wasbs" | "wasb" => {
                let (_, host) = authority.rsplit_once('@').ok_or_else(no_name)?;
                // A name is 3 to 24 lower case letters and digits. Source: Azure documentation, "Storage account name".
                let account = host
                    .split_once('.')
                    .map(|(account, _)| account.to_ascii_lowercase());
                let is_name = |name: &String| {
                    (3..=24).contains(&name.len())
                        && name.bytes().all(|one| one.is_ascii_alphanumeric())
                };
                account.filter(is_name).map(Self::Azure).ok_or_else(no_name)
            }
            other => Err(NoStore::Scheme(other.to_owned())),
        }
    }

    /// Its name, which is unique in its cloud.
    pub fn name(&self) -> &str {
        match self {
            Self::S3(name) | Self::Google(name) | Self::Azure(name) => name,
        }
    }
}

impl fmt::Display for TableStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3(name) | Self::Google(name) => write!(f, "the bucket {name}"),
            Self::Azure(name) => write!(f, "the storage account {name}"),
        }
    }
}

/// Whether it can be the name of a bucket: what is none would be a path or a query of a request. Sources: Amazon S3, "General purpose
/// bucket naming rules"; Cloud Storage, "Bucket names" (which have underscores and may be longer).
fn is_bucket(name: &str) -> bool {
    (3..=222).contains(&name.len())
        && !name.contains("..")
        && name
            .bytes()
            .all(|one| one.is_ascii_alphanumeric() || b"-._".contains(&one))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: a URL, and its store, or a word of why there is none.
    #[test]
    fn a_store_is_read_from_a_url_or_refused() {
        let s3 = |name: &str| Ok(TableStore::S3(name.to_owned()));
        let rows: [(&str, Result<TableStore, &str>); 16] = [
            ("s3://acme-tables/", s3("acme-tables")),
            ("s3://acme-tables", s3("acme-tables")),
            ("s3a://acme.tables/a/b?c", s3("acme.tables")),
            ("S3://acme-tables/a", s3("acme-tables")),
            (
                "gs://acme_tables/x",
                Ok(TableStore::Google("acme_tables".to_owned())),
            ),
            (
                "abfss://tables@acmetables.dfs.core.windows.net/x",
                Ok(TableStore::Azure("acmetables".to_owned())),
            ),
            (
                "wasbs://tables@AcmeTables.blob.core.windows.net",
                Ok(TableStore::Azure("acmetables".to_owned())),
            ),
            ("abfss://acmetables.dfs.core.windows.net/x", Err("not name")),
            ("abfss://tables@acmetables/x", Err("not name")),
            (
                "abfss://tables@a-b-c.dfs.core.windows.net/x",
                Err("not name"),
            ),
            ("s3:///x", Err("not name")),
            ("s3://arn:aws:s3:eu:1:accesspoint/x", Err("not name")),
            ("s3://a..b/x", Err("not name")),
            ("gs://acme%2Ftables/x", Err("not name")),
            ("r2://bucket@account.r2.cloudflarestorage.com", Err("`r2`")),
            ("/mnt/tables", Err("not name")),
        ];
        for (url, expected) in rows {
            match (TableStore::of(url), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{url}"),
                (Err(why), Err(word)) => assert!(why.to_string().contains(word), "{url}: {why}"),
                (found, expected) => panic!("{url}: {found:?}, expected {expected:?}"),
            }
        }
    }
}
