//! By whose key tables are encrypted that lie in a bucket or a storage account: the default key there, and what clients send.
//!
//! Nothing is guessed: a name of a key that nobody has described, a word that this version does not know and a store that could not be read are
//! all "not known".

use std::collections::BTreeMap;

use super::{Fact, Unreadable};
use vocabulary::aws::KeyArn;
use vocabulary::azure::{PrincipalId, VaultKeyId};
use vocabulary::gcp::{CryptoKeyName, ProjectNumber};
use vocabulary::{EncryptedBy, TableStore};

/// A bucket or a storage account, as its cloud shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreFacts {
    /// A bucket of Amazon S3: its region, and the rule of its default encryption, if it has one.
    S3 {
        /// Its region.
        region: String,
        /// The rule; S3 encrypts with its own key without one.
        rule: Option<SseRule>,
    },
    /// A bucket of Cloud Storage.
    Google {
        /// `encryption.defaultKmsKeyName`
        default_key: Option<String>,
        /// The project that has the bucket, whose service agent encrypts.
        project: Option<ProjectNumber>,
    },
    /// A storage account of Azure.
    Azure(StorageAccount),
}

/// The rule of the default encryption of a bucket. Source: Amazon S3 API reference, GetBucketEncryption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SseRule {
    /// `AES256`, `aws:kms`, `aws:kms:dsse`.
    pub algorithm: String,
    /// The key as it was set: an ARN, an ID or an alias.
    pub key: Option<String>,
}

/// A storage account. Source: REST API of Microsoft.Storage, `StorageAccount`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageAccount {
    /// Its resource ID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `Microsoft.Storage` or `Microsoft.Keyvault`.
    pub key_source: String,
    /// The address of its key, if it has one.
    pub key: Option<String>,
    /// The identity that uses the key: that of the account, or the one that is assigned to it for encryption; or why that is not known.
    pub principal: Result<Option<PrincipalId>, String>,
}

/// A key of AWS KMS, as KMS describes the name by which a bucket has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedKey {
    /// Its ARN.
    pub arn: KeyArn,
    /// Whether AWS manages it.
    pub is_of_aws: bool,
}

/// What clients send with an object, as an external location says: it counts more than the default of the bucket. Source: databricks-sdk-go,
/// `service/catalog`, `EncryptionDetails`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SentEncryption {
    /// Nothing: the default of the bucket counts.
    #[default]
    Nothing,
    /// That S3 uses its own key.
    S3,
    /// A key of AWS KMS; that of AWS where it names none.
    Kms(Option<String>),
    /// Something that this version cannot read.
    Unreadable(String),
}

/// By whose key something is encrypted, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protection {
    /// By whose.
    pub by: EncryptedBy,
    /// The key, also one that is not known to be an own one.
    pub key: Option<String>,
    /// Why, as sentences.
    pub why: String,
    /// The right that would show it, where one is missing.
    pub permission: Option<&'static str>,
}

impl Protection {
    /// With a period at the end of what is said.
    pub fn ended(mut self) -> Self {
        if !self.why.ends_with('.') {
            self.why.push('.');
        }
        self
    }

    fn own(key: impl ToString, why: impl Into<String>) -> Self {
        Self {
            by: EncryptedBy::OwnKey,
            key: Some(key.to_string()),
            why: why.into(),
            permission: None,
        }
    }

    fn provider(why: impl Into<String>) -> Self {
        Self {
            by: EncryptedBy::ProviderKey,
            key: None,
            why: why.into(),
            permission: None,
        }
    }

    /// Nobody knows.
    pub fn not_known(why: impl Into<String>) -> Self {
        Self {
            by: EncryptedBy::NotKnown,
            key: None,
            why: why.into(),
            permission: None,
        }
    }

    fn unread(what: &str, why: &Unreadable) -> Self {
        Self {
            permission: why.permission,
            ..Self::not_known(format!("{what} could not be read: {}.", why.reason))
        }
    }

    fn of(self, key: &str) -> Self {
        Self {
            key: Some(key.to_owned()),
            ..self
        }
    }
}

/// Whether a name is that of a key of AWS: such aliases are reserved. Source: AWS KMS Developer Guide, "Aliases".
fn is_alias_of_aws(name: &str) -> bool {
    name == "aws/s3"
        || name.starts_with("alias/aws/")
        || (name.starts_with("arn:") && name.contains(":alias/aws/"))
}

/// The names of the KMS keys that the judge needs descriptions of.
pub fn keys_to_describe<'a>(store: &'a Fact<StoreFacts>, sent: &'a SentEncryption) -> Vec<&'a str> {
    let of_store = match store {
        Fact::Known(StoreFacts::S3 {
            rule: Some(rule), ..
        }) if rule.algorithm.starts_with("aws:kms") => rule.key.as_deref(),
        _ => None,
    };
    let of_sent = match sent {
        SentEncryption::Kms(key) => key.as_deref(),
        _ => None,
    };
    let all = [of_store, of_sent].into_iter().flatten();
    all.filter(|name| !is_alias_of_aws(name)).collect()
}

/// Keys of AWS KMS by the names by which they are known.
pub type NamedKeys = BTreeMap<String, Fact<NamedKey>>;

/// By whose key tables in a store are encrypted.
pub fn protection(
    name: &TableStore,
    store: &Fact<StoreFacts>,
    sent: &SentEncryption,
    keys: &NamedKeys,
) -> Protection {
    let default = default_of(name, store, keys);
    let sent = match sent {
        SentEncryption::Nothing => return default,
        SentEncryption::Unreadable(why) => {
            return Protection::not_known(format!(
                "This version cannot read the `encryption_details` of the external location: {why}."
            ));
        }
        SentEncryption::S3 => Protection::provider(
            "The external location makes Databricks send SSE-S3 with each object, whatever the default of the bucket is: the key belongs \
             to Amazon S3.",
        ),
        SentEncryption::Kms(None) => Protection::provider(
            "The external location makes Databricks send SSE-KMS without a key: objects get the key `aws/s3`, which AWS manages.",
        ),
        SentEncryption::Kms(Some(key)) => kms(
            key,
            keys,
            "The external location makes Databricks send this key with each object.",
        ),
    };
    match (default.by, default.key == sent.key) {
        (EncryptedBy::OwnKey, true) => sent,
        (EncryptedBy::OwnKey, false) => {
            let own = default.key.unwrap_or_default();
            Protection {
                why: format!(
                    "{} The default of the bucket is another key, {own}.",
                    sent.why
                ),
                ..sent
            }
        }
        (EncryptedBy::ProviderKey, _) if sent.by == EncryptedBy::OwnKey => Protection {
            why: format!(
                "{} The default of the bucket is not a key of yours, so that what others write there is outside of it.",
                sent.why
            ),
            ..sent
        },
        _ => sent,
    }
}

fn kms(key: &str, keys: &NamedKeys, why: &str) -> Protection {
    if is_alias_of_aws(key) {
        return Protection::provider(format!("{why} It is `{key}`, which AWS manages."));
    }
    match keys.get(key) {
        Some(Fact::Known(found)) if found.is_of_aws => {
            Protection::provider(format!("{why} AWS manages it.")).of(&found.arn.to_string())
        }
        Some(Fact::Known(found)) => Protection::own(&found.arn, why),
        Some(Fact::Unreadable(error)) => Protection::unread("Whose key it is", error).of(key),
        None => Protection::not_known("Whose key it is was not asked.").of(key),
    }
}

fn default_of(name: &TableStore, store: &Fact<StoreFacts>, keys: &NamedKeys) -> Protection {
    let facts = match store {
        Fact::Known(facts) => facts,
        Fact::Unreadable(why) => {
            return Protection::unread(&format!("The encryption of {name}"), why);
        }
    };
    match facts {
        StoreFacts::S3 { rule: None, .. } => Protection::provider(
            "The bucket has no default encryption, so Amazon S3 encrypts new objects with its own key (SSE-S3).",
        ),
        StoreFacts::S3 {
            rule: Some(rule), ..
        } => of_rule(rule, keys),
        StoreFacts::Google { default_key, .. } => match default_key {
            None => Protection::provider(
                "The bucket has no default key, so Cloud Storage encrypts new objects with a key of Google.",
            ),
            Some(key) => match key.parse::<CryptoKeyName>() {
                Ok(key) => Protection::own(key, "It is the default key of the bucket."),
                Err(error) => {
                    Protection::not_known(format!("The default key of the bucket: {error}."))
                }
            },
        },
        StoreFacts::Azure(account) => of_account(account),
    }
}

fn of_rule(rule: &SseRule, keys: &NamedKeys) -> Protection {
    match (rule.algorithm.as_str(), rule.key.as_deref()) {
        ("AES256", _) => Protection::provider(
            "The default encryption of the bucket is SSE-S3: the key belongs to Amazon S3.",
        ),
        ("aws:kms" | "aws:kms:dsse", None) => Protection::provider(
            "The default encryption of the bucket is SSE-KMS without a key: objects get the key `aws/s3`, which AWS manages.",
        ),
        ("aws:kms", Some(key)) => kms(
            key,
            keys,
            "It is the key of the bucket's default encryption (SSE-KMS).",
        ),
        ("aws:kms:dsse", Some(key)) => kms(
            key,
            keys,
            "It is the key of the bucket's default encryption (DSSE-KMS).",
        ),
        (other, _) => Protection::not_known(format!(
            "This version does not know the algorithm `{other}` of the bucket's default encryption."
        )),
    }
}

/// What of an account is not read.
const SCOPES: &str =
    "The provider does not read encryption scopes, with which a container can have another key.";

fn of_account(account: &StorageAccount) -> Protection {
    let source = account.key_source.as_str();
    if source.eq_ignore_ascii_case("Microsoft.Storage") {
        return Protection::provider(format!(
            "The storage account is encrypted with keys of Microsoft. {SCOPES}"
        ));
    }
    if !source.eq_ignore_ascii_case("Microsoft.Keyvault") {
        return Protection::not_known(format!(
            "This version does not know the key source `{source}` of the storage account."
        ));
    }
    match account.key.as_deref().map(str::parse::<VaultKeyId>) {
        Some(Ok(key)) => Protection::own(
            key,
            format!("It is the key of the storage account. {SCOPES}"),
        ),
        Some(Err(error)) => {
            Protection::not_known(format!("The key of the storage account: {error}."))
        }
        None => Protection::not_known("The storage account shows no key of its vault."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-4333-8444-555555555555";
    const OTHER: &str =
        "arn:aws:kms:eu-central-1:123456789012:key/99999999-2222-4333-8444-555555555555";

    fn unreadable() -> Unreadable {
        Unreadable {
            permission: Some("x:Read"),
            reason: "refused".to_owned(),
            remedy: None,
            is_missing: false,
        }
    }

    fn keys() -> NamedKeys {
        let known = |arn: &str, is_of_aws| {
            Fact::Known(NamedKey {
                arn: arn.parse().expect("an ARN"),
                is_of_aws,
            })
        };
        BTreeMap::from([
            (KEY.to_owned(), known(KEY, false)),
            ("alias/tables".to_owned(), known(KEY, false)),
            (OTHER.to_owned(), known(OTHER, false)),
            ("managed".to_owned(), known(OTHER, true)),
            ("closed".to_owned(), Fact::Unreadable(unreadable())),
        ])
    }

    fn s3(algorithm: &str, key: Option<&str>) -> Fact<StoreFacts> {
        Fact::Known(StoreFacts::S3 {
            region: "eu-central-1".to_owned(),
            rule: Some(SseRule {
                algorithm: algorithm.to_owned(),
                key: key.map(str::to_owned),
            }),
        })
    }

    fn judged(store: &Fact<StoreFacts>, sent: &SentEncryption) -> Protection {
        protection(&TableStore::S3("acme".to_owned()), store, sent, &keys())
    }

    /// Each row: the default of a bucket, by whose key its tables are encrypted, the key that is shown, and a word of why.
    #[test]
    fn the_default_of_a_bucket_of_s3() {
        use EncryptedBy::{NotKnown, OwnKey, ProviderKey};
        let none = Fact::Known(StoreFacts::S3 {
            region: "eu-central-1".to_owned(),
            rule: None,
        });
        let rows = [
            (none, ProviderKey, None, "no default encryption"),
            (s3("AES256", None), ProviderKey, None, "SSE-S3"),
            (s3("aws:kms", None), ProviderKey, None, "`aws/s3`"),
            (s3("aws:kms:dsse", None), ProviderKey, None, "`aws/s3`"),
            (
                s3("aws:kms", Some("alias/aws/s3")),
                ProviderKey,
                None,
                "AWS manages",
            ),
            (
                s3(
                    "aws:kms",
                    Some("arn:aws:kms:eu-central-1:123456789012:alias/aws/s3"),
                ),
                ProviderKey,
                None,
                "AWS manages",
            ),
            (
                s3("aws:kms", Some("managed")),
                ProviderKey,
                Some(OTHER),
                "AWS manages",
            ),
            (s3("aws:kms", Some(KEY)), OwnKey, Some(KEY), "SSE-KMS"),
            (s3("aws:kms:dsse", Some(KEY)), OwnKey, Some(KEY), "DSSE-KMS"),
            (
                s3("aws:kms", Some("alias/tables")),
                OwnKey,
                Some(KEY),
                "SSE-KMS",
            ),
            (
                s3("aws:kms", Some("closed")),
                NotKnown,
                Some("closed"),
                "refused",
            ),
            (
                s3("aws:kms", Some("never")),
                NotKnown,
                Some("never"),
                "not asked",
            ),
            (s3("aws:new", Some(KEY)), NotKnown, None, "`aws:new`"),
            (Fact::Unreadable(unreadable()), NotKnown, None, "refused"),
        ];
        for (store, by, key, word) in rows {
            let found = judged(&store, &SentEncryption::Nothing);
            assert_eq!((found.by, found.key.as_deref()), (by, key), "{store:?}");
            assert!(found.why.contains(word), "{}", found.why);
            assert_eq!(found.permission.is_some(), found.why.contains("refused"));
        }
    }

    /// Each row: the default, what clients send, by whose key the tables are encrypted, the key, and a word of why.
    #[test]
    fn what_clients_send_counts_more_than_the_default() {
        use EncryptedBy::{NotKnown, OwnKey, ProviderKey};
        let kms = |key: &str| SentEncryption::Kms(Some(key.to_owned()));
        let rows = [
            (
                s3("aws:kms", Some(KEY)),
                SentEncryption::S3,
                ProviderKey,
                None,
                "another key",
            ),
            (
                s3("AES256", None),
                SentEncryption::S3,
                ProviderKey,
                None,
                "SSE-S3",
            ),
            (
                s3("aws:kms", Some(KEY)),
                SentEncryption::Kms(None),
                ProviderKey,
                None,
                "aws/s3",
            ),
            (
                s3("aws:kms", Some(KEY)),
                kms(KEY),
                OwnKey,
                Some(KEY),
                "send this key",
            ),
            (
                s3("aws:kms", Some(KEY)),
                kms(OTHER),
                OwnKey,
                Some(OTHER),
                "another key",
            ),
            (
                s3("AES256", None),
                kms(KEY),
                OwnKey,
                Some(KEY),
                "outside of it",
            ),
            (
                Fact::Unreadable(unreadable()),
                kms(KEY),
                OwnKey,
                Some(KEY),
                "send this key",
            ),
            (
                s3("AES256", None),
                kms("closed"),
                NotKnown,
                Some("closed"),
                "refused",
            ),
            (
                s3("aws:kms", Some(KEY)),
                SentEncryption::Unreadable("`x`".to_owned()),
                NotKnown,
                None,
                "`x`",
            ),
        ];
        for (store, sent, by, key, word) in rows {
            let found = judged(&store, &sent);
            assert_eq!(
                (found.by, found.key.as_deref()),
                (by, key),
                "{store:?} {sent:?}"
            );
            assert!(found.why.contains(word), "{}", found.why);
            let names = keys_to_describe(&store, &sent);
            assert!(
                names.iter().all(|name| !name.contains("aws/s3")),
                "{names:?}"
            );
        }
    }

    /// Each row: what Google Cloud or Azure shows, by whose key tables are encrypted, and whether the key is shown.
    #[test]
    fn the_default_of_google_cloud_and_azure() {
        use EncryptedBy::{NotKnown, OwnKey, ProviderKey};
        let google = |key: Option<&str>| StoreFacts::Google {
            default_key: key.map(str::to_owned),
            project: None,
        };
        let azure = |source: &str, key: Option<&str>| {
            StoreFacts::Azure(StorageAccount {
                id: "/subscriptions/s".to_owned(),
                name: "acmetables".to_owned(),
                key_source: source.to_owned(),
                key: key.map(str::to_owned),
                principal: Ok(None),
            })
        };
        let vault = "https://acme.vault.azure.net/keys/tables";
        let rows = [
            (google(None), ProviderKey, false),
            (
                google(Some(
                    "projects/p/locations/us-east4/keyRings/r/cryptoKeys/k",
                )),
                OwnKey,
                true,
            ),
            (google(Some("k")), NotKnown, false),
            (azure("Microsoft.Storage", None), ProviderKey, false),
            (azure("Microsoft.Keyvault", Some(vault)), OwnKey, true),
            (azure("microsoft.keyVault", Some(vault)), OwnKey, true),
            (azure("Microsoft.Keyvault", None), NotKnown, false),
            (azure("Microsoft.Keyvault", Some("tables")), NotKnown, false),
            (azure("Microsoft.New", Some(vault)), NotKnown, false),
            (azure("", None), NotKnown, false),
        ];
        for (store, by, has_key) in rows {
            let found = judged(&Fact::Known(store.clone()), &SentEncryption::Nothing);
            assert_eq!((found.by, found.key.is_some()), (by, has_key), "{store:?}");
            assert!(!found.why.is_empty());
        }
    }
}
