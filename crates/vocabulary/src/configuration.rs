//! Names that differ on Azure: what names a key to a workspace (a key configuration of a Databricks account, or the key itself), and what
//! names a workspace (a number, or a resource ID).

use std::fmt;
use std::str::FromStr;

use super::azure::{VaultKeyId, WorkspaceResourceId};
use super::databricks::{KeyConfigurationId, WorkspaceId};
use super::textual;

/// The ID of a `dbxcmk_key_configuration`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyReference {
    /// On AWS and Google Cloud: a UUID of the Databricks account.
    Configuration(KeyConfigurationId),
    /// On Azure: the identifier of the key, with or without a version.
    VaultKey(VaultKeyId),
}

impl KeyReference {
    /// The key configuration of a Databricks account.
    pub fn configuration(&self) -> Option<&KeyConfigurationId> {
        match self {
            Self::Configuration(id) => Some(id),
            Self::VaultKey(_) => None,
        }
    }

    /// The key on Azure.
    pub fn vault_key(&self) -> Option<&VaultKeyId> {
        match self {
            Self::VaultKey(key) => Some(key),
            Self::Configuration(_) => None,
        }
    }
}

impl FromStr for KeyReference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("https://") {
            return match text.parse() {
                Ok(key) => Ok(Self::VaultKey(key)),
                Err(error) => Err(format!("{error}")),
            };
        }
        match text.parse() {
            Ok(id) => Ok(Self::Configuration(id)),
            Err(error) => Err(format!("{error}")),
        }
    }
}

impl fmt::Display for KeyReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(id) => id.fmt(f),
            Self::VaultKey(key) => key.fmt(f),
        }
    }
}

/// What stops without a key, in the form in which the user names it: a workspace by its number, or on Azure also by its resource ID; a catalog by
/// its metastore and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WorkspaceName {
    /// A workspace, by its number.
    Number(WorkspaceId),
    /// A workspace on Azure, by its resource ID.
    Resource(WorkspaceResourceId),
    /// A catalog: the ID of its metastore, and its name.
    Catalog(String, String),
}

impl FromStr for WorkspaceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            return match text.parse() {
                Ok(id) => Ok(Self::Resource(id)),
                Err(error) => Err(format!("{error}")),
            };
        }
        if let Some(rest) = text.strip_prefix("catalog/") {
            return match rest.split_once('/') {
                Some((metastore, name)) if !metastore.is_empty() && !name.is_empty() => {
                    Ok(Self::Catalog(metastore.to_owned(), name.to_owned()))
                }
                _ => Err(format!(
                    "`{text}` is not a catalog; write `catalog/<metastore ID>/<name>`"
                )),
            };
        }
        match text.parse() {
            Ok(id) => Ok(Self::Number(id)),
            Err(error) => Err(format!("{error}")),
        }
    }
}

impl fmt::Display for WorkspaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(id) => id.fmt(f),
            Self::Resource(id) => id.fmt(f),
            Self::Catalog(metastore, name) => write!(f, "catalog/{metastore}/{name}"),
        }
    }
}

textual!(KeyReference, WorkspaceName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stops_is_a_workspace_or_a_catalog() {
        for text in [
            "1234567890123456",
            "catalog/3a7e0000-0000-4000-8000-000000000001/main",
        ] {
            let read = text.parse::<WorkspaceName>();
            assert!(read.is_ok_and(|read| read.to_string() == text), "{text}");
        }
        for text in ["catalog/main", "catalog//main", "catalog/m/", "main"] {
            assert!(text.parse::<WorkspaceName>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_uuid_and_an_identifier_are_told_apart() {
        let id = "2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11";
        let key = "https://acme.vault.azure.net/keys/lake";
        assert!(
            id.parse::<KeyReference>()
                .is_ok_and(|one| one.configuration().is_some())
        );
        assert!(
            key.parse::<KeyReference>()
                .is_ok_and(|one| one.vault_key().is_some())
        );
        assert!(
            "https://acme.example.com/keys/lake"
                .parse::<KeyReference>()
                .is_err()
        );
        assert!("arn:aws:kms:x".parse::<KeyReference>().is_err());
    }
}
