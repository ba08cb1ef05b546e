//! States and kinds that a service names, as types. A service may say something new at any time, so each of these keeps a
//! word that it does not know as it came: a `match` asks about the states that matter by name, and nothing is decided by
//! looking at the beginning of a word.

/// An enumeration of a service's own words that keeps the ones it does not know.
macro_rules! open_words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident $word:literal),* $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
            /// A word that this version does not know, as it came.
            Other(String),
        }

        impl $name {
            /// The service's own word.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)*
                    Self::Other(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)*
                    _ => Self::Other(word.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                // `null` is no word; what has none says so by an empty one.
                let word = <Option<String> as serde::Deserialize>::deserialize(deserializer)?;
                Ok(Self::from(word.unwrap_or_default().as_str()))
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::Other(String::new())
            }
        }
    };
}

open_words! {
    /// The state of an AWS KMS key. Source: AWS KMS developer guide, "Key states of AWS KMS keys".
    KeyState {
        /// It can be used.
        Enabled "Enabled",
        /// It cannot be used until it is enabled.
        Disabled "Disabled",
        /// It is being created.
        Creating "Creating",
        /// It waits for key material. Databricks' statements stay in its policy, and it can become usable.
        PendingImport "PendingImport",
        /// It will be deleted.
        PendingDeletion "PendingDeletion",
        /// It will be deleted once its replicas are.
        PendingReplicaDeletion "PendingReplicaDeletion",
        /// Its custom key store is not connected.
        Unavailable "Unavailable",
        /// Its primary region is being changed.
        Updating "Updating",
    }
}

impl KeyState {
    /// Whether the key is about to be deleted, and takes its policy along.
    pub fn is_being_deleted(&self) -> bool {
        matches!(self, Self::PendingDeletion | Self::PendingReplicaDeletion)
    }
}

open_words! {
    /// The status of a workspace. Source: the account API; the SDKs and the databricks/databricks provider know different
    /// subsets.
    WorkspaceStatus {
        /// It works, and can be updated.
        Running "RUNNING",
        /// It is on its way to RUNNING.
        Provisioning "PROVISIONING",
        /// It waits to be provisioned.
        NotProvisioned "NOT_PROVISIONED",
        /// An update or its creation failed.
        Failed "FAILED",
        /// Databricks has shut it off.
        Banned "BANNED",
        /// It is being deleted.
        Cancelling "CANCELLING",
        /// It is deleted.
        Cancelled "CANCELLED",
    }
}

impl WorkspaceStatus {
    /// Whether it is on its way from one status to another and arrives by itself.
    pub fn is_changing(&self) -> bool {
        matches!(self, Self::Provisioning | Self::NotProvisioned)
    }

    /// Whether it does not end by itself.
    pub fn has_failed(&self) -> bool {
        matches!(
            self,
            Self::Failed | Self::Banned | Self::Cancelled | Self::Cancelling
        )
    }

    /// Whether the workspace is deleted, or is being deleted.
    pub fn is_going(&self) -> bool {
        matches!(self, Self::Cancelled | Self::Cancelling)
    }
}

open_words! {
    /// The pricing tier of a workspace. Source: the account API.
    Tier {
        /// Standard.
        Standard "STANDARD",
        /// Premium.
        Premium "PREMIUM",
        /// Enterprise: the one with customer-managed keys on AWS.
        Enterprise "ENTERPRISE",
        /// Dedicated.
        Dedicated "DEDICATED",
        /// Community edition.
        CommunityEdition "COMMUNITY_EDITION",
    }
}

open_words! {
    /// Which compute a workspace has. Source: the account API.
    ComputeMode {
        /// Classic compute in the customer's cloud account, and serverless compute.
        Hybrid "HYBRID",
        /// Serverless compute alone.
        Serverless "SERVERLESS",
    }
}

open_words! {
    /// Where a workspace keeps its own data. Source: the account API.
    StorageMode {
        /// In a bucket of the customer.
        CustomerHosted "CUSTOMER_HOSTED",
        /// In storage of Databricks.
        DefaultStorage "DEFAULT_STORAGE",
    }
}

impl Tier {
    /// Whether this version knows what it includes. `UNKNOWN` is a word of the API itself.
    pub fn is_known(&self) -> bool {
        !matches!(self, Self::Other(_))
    }

    /// Whether it is known to lack customer-managed keys on AWS and Google Cloud. A tier that is not known here may have them.
    pub fn lacks_customer_managed_keys(&self) -> bool {
        matches!(
            self,
            Self::Standard | Self::Premium | Self::CommunityEdition
        )
    }
}

/// A cloud, by the account API's own word in any case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cloud {
    /// Amazon Web Services.
    Aws,
    /// Google Cloud.
    Gcp,
    /// Microsoft Azure.
    Azure,
    /// A word that this version does not know, as it came.
    Other(String),
}

impl Cloud {
    /// The account API's word.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Aws => "aws",
            Self::Gcp => "gcp",
            Self::Azure => "azure",
            Self::Other(word) => word,
        }
    }

    /// What people call it.
    pub fn in_words(&self) -> &str {
        match self {
            Self::Aws => "AWS",
            Self::Gcp => "Google Cloud",
            Self::Azure => "Azure",
            Self::Other(word) if word.is_empty() => "a cloud that is not known",
            Self::Other(word) => word,
        }
    }
}

/// A cloud that is not known.
impl Default for Cloud {
    fn default() -> Self {
        Self::Other(String::new())
    }
}

impl From<&str> for Cloud {
    fn from(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "aws" => Self::Aws,
            "gcp" => Self::Gcp,
            "azure" => Self::Azure,
            _ => Self::Other(word.to_owned()),
        }
    }
}

impl std::fmt::Display for Cloud {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Cloud {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <String as serde::Deserialize>::deserialize(deserializer)
            .map(|word| Self::from(word.as_str()))
    }
}

/// A key of any cloud, by the name that its cloud has for it: an ARN, a resource name, an identifier. Identifiers of Azure are compared without
/// regard to case. Source: Key Vault documentation, "About keys, secrets, and certificates" ("should always be compared as case-insensitive
/// strings").
#[derive(Clone, Debug)]
pub struct Key {
    cloud: Cloud,
    name: String,
}

impl Key {
    /// A key of a cloud. Only the types of a cloud's own keys make one, so that its name has that cloud's form.
    pub(super) fn of(cloud: Cloud, name: String) -> Self {
        Self { cloud, name }
    }

    /// Whose key it is.
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// Whether a text is its name, in whatever way that was written.
    pub fn is_named(&self, text: &str) -> bool {
        match self.cloud {
            Cloud::Azure => self.name.eq_ignore_ascii_case(text),
            _ => self.name == text,
        }
    }

    fn meaning(&self) -> (&Cloud, std::borrow::Cow<'_, str>) {
        let name = match self.cloud {
            Cloud::Azure => self.name.to_ascii_lowercase().into(),
            _ => self.name.as_str().into(),
        };
        (&self.cloud, name)
    }

    /// Its name without what it shares with its neighbors, for one line: the ID of an AWS key, ring and key on Google Cloud, the key on
    /// Azure.
    pub fn short(&self) -> &str {
        let after = |mark: &str| self.name.split_once(mark).map(|(_, rest)| rest);
        match self.cloud {
            Cloud::Aws => after(":key/"),
            Cloud::Gcp => after("/keyRings/"),
            Cloud::Azure => after("/keys/"),
            Cloud::Other(_) => None,
        }
        .unwrap_or(&self.name)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.meaning() == other.meaning()
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.meaning().cmp(&other.meaning())
    }
}

impl std::hash::Hash for Key {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.meaning().hash(state);
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

/// Where a workspace keeps its own data: results, the DBFS root, system data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkspaceStorage {
    /// In a bucket of the customer, which a storage key encrypts.
    Customer,
    /// In storage of Databricks.
    Databricks,
    /// It does not show, and why.
    Unknown(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: two names of keys, and whether they name one key.
    #[test]
    fn only_keys_of_azure_are_the_same_in_any_case() -> Result<(), Box<dyn std::error::Error>> {
        let azure = |text: &str| text.parse::<crate::vocabulary::azure::VaultKeyId>();
        let gcp = |name: &str| {
            let text = format!("projects/p/locations/us-east4/keyRings/r/cryptoKeys/{name}");
            text.parse::<crate::vocabulary::gcp::CryptoKeyName>()
        };
        let upper: Key = azure("https://Acme.vault.azure.net/keys/MAIN")?.into();
        let lower: Key = azure("https://acme.vault.azure.net/keys/main")?.into();
        assert_eq!(upper, lower);
        assert_eq!(upper.cmp(&lower), std::cmp::Ordering::Equal);
        assert!(upper.is_named(lower.as_str()));
        let (upper, lower): (Key, Key) = (gcp("Main")?.into(), gcp("main")?.into());
        assert_ne!(upper, lower);
        assert!(!upper.is_named(lower.as_str()));
        Ok(())
    }

    #[test]
    fn a_word_is_known_by_itself_and_not_by_its_beginning() {
        assert_eq!(KeyState::from("PendingImport"), KeyState::PendingImport);
        assert_eq!(
            KeyState::from("PendingSomething"),
            KeyState::Other("PendingSomething".to_owned())
        );
        for (word, is_being_deleted) in [
            ("PendingDeletion", true),
            ("PendingReplicaDeletion", true),
            ("PendingImport", false),
            ("PendingSomething", false),
            ("Enabled", false),
            ("", false),
        ] {
            assert_eq!(
                KeyState::from(word).is_being_deleted(),
                is_being_deleted,
                "{word}"
            );
            assert_eq!(KeyState::from(word).as_str(), word);
        }
    }

    #[test]
    fn a_status_that_is_not_known_is_neither_failed_nor_changing() {
        let status = WorkspaceStatus::from("HIBERNATING");
        assert!(!status.has_failed() && !status.is_changing());
        assert_eq!(
            serde_json::from_str::<WorkspaceStatus>("null").ok(),
            Some(WorkspaceStatus::default())
        );
    }

    #[test]
    fn a_short_name_is_still_a_name() {
        for (cloud, name, short) in [
            (
                Cloud::Aws,
                "arn:aws:kms:eu-central-1:123456789012:key/1234abcd",
                "1234abcd",
            ),
            (
                Cloud::Gcp,
                "projects/p/locations/l/keyRings/r/cryptoKeys/k",
                "r/cryptoKeys/k",
            ),
            (
                Cloud::Azure,
                "https://acme.vault.azure.net/keys/main/abc",
                "main/abc",
            ),
            (Cloud::Aws, "odd", "odd"),
        ] {
            assert_eq!(Key::of(cloud, name.to_owned()).short(), short);
        }
    }

    #[test]
    fn a_cloud_is_known_in_any_case() {
        assert_eq!(Cloud::from("AWS"), Cloud::Aws);
        assert_eq!(Cloud::from("oracle"), Cloud::Other("oracle".to_owned()));
    }
}
