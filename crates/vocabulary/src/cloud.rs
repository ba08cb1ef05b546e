//! States and kinds that a service reports, as types. A service may report a new one at any time, so each type keeps a
//! word that it does not know as it came: a `match` asks about the states that matter by name, and no code decides by the
//! beginning of a word.

/// An enumeration of a service's own words that keeps the ones it does not know.
macro_rules! open_enum {
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
                // A service that has nothing to report sends `null`: that is the empty word.
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

open_enum! {
    /// The state of a key, in the words of AWS KMS; the other clouds' states are put into them. Source: AWS KMS developer guide, "Key states of
    /// AWS KMS keys".
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

open_enum! {
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
        /// Databricks has deleted it.
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

open_enum! {
    /// The pricing tier of a workspace. Source: the account API.
    Tier {
        /// `STANDARD`, below Premium.
        Standard "STANDARD",
        /// `PREMIUM`, above Standard.
        Premium "PREMIUM",
        /// Enterprise: the one with customer-managed keys on AWS.
        Enterprise "ENTERPRISE",
        /// `DEDICATED`, which the API lists beside the others.
        Dedicated "DEDICATED",
        /// `COMMUNITY_EDITION`, the free edition.
        CommunityEdition "COMMUNITY_EDITION",
    }
}

open_enum! {
    /// Which compute a workspace has. Source: the account API.
    ComputeMode {
        /// Classic compute in the customer's cloud account, and serverless compute.
        Hybrid "HYBRID",
        /// Serverless compute alone.
        Serverless "SERVERLESS",
    }
}

open_enum! {
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

    /// The name in texts for people.
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

/// Where a workspace keeps its own data: results, the DBFS root, system data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkspaceStorage {
    /// In a bucket of the customer, which a storage key encrypts.
    Customer,
    /// In storage of Databricks, which a storage key does not encrypt.
    Databricks,
    /// It does not show, and why.
    Unknown(String),
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_cloud_is_known_in_any_case() {
        assert_eq!(Cloud::from("AWS"), Cloud::Aws);
        assert_eq!(Cloud::from("oracle"), Cloud::Other("oracle".to_owned()));
    }
}
