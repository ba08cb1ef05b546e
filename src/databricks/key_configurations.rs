//! Encryption key configurations (`customer-managed-keys`). They cannot be changed, only made and removed.

use serde::{Deserialize, Serialize};

use super::errors::Error;
use super::transport::Account;
use crate::vocabulary::{Cloud, KeyConfigurationId, UseCase};

/// A key configuration as the API shows it. Fields that are not known here are passed over.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct KeyConfiguration {
    /// The UUID by which workspaces name it.
    pub customer_managed_key_id: String,
    /// The account it belongs to.
    #[serde(default)]
    pub account_id: Option<String>,
    /// When it was made, in milliseconds since 1970.
    #[serde(default, deserialize_with = "super::int64")]
    pub creation_time: Option<i64>,
    /// The data that its key encrypts: `MANAGED_SERVICES`, `STORAGE`.
    #[serde(default, deserialize_with = "super::or_default")]
    pub use_cases: Vec<String>,
    /// The key, on AWS.
    #[serde(default)]
    pub aws_key_info: Option<AwsKeyInfo>,
    /// The Google key.
    #[serde(default)]
    pub gcp_key_info: Option<GcpKeyInfo>,
    /// The key, on Azure.
    #[serde(default)]
    pub azure_key_info: Option<AzureKeyInfo>,
}

/// The Google key of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GcpKeyInfo {
    /// The key's resource name, without a version.
    #[serde(default, deserialize_with = "super::or_default")]
    pub kms_key_id: String,
    /// The service account of Databricks that uses the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gcp_service_account: Option<GcpServiceAccount>,
    /// Whether the customer grants the access, and not Databricks with the caller's Google token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual: Option<bool>,
}

/// A service account of Databricks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GcpServiceAccount {
    /// Its e-mail address.
    #[serde(default, deserialize_with = "super::or_default")]
    pub service_account_email: String,
}

impl GcpKeyInfo {
    /// The service account that the account shows.
    pub fn service_account(&self) -> Option<&str> {
        self.gcp_service_account
            .as_ref()
            .map(|account| account.service_account_email.as_str())
            .filter(|email| !email.is_empty())
    }
}

/// The Azure key of a configuration; read, never written.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AzureKeyInfo {
    /// The vault's address.
    #[serde(default, deserialize_with = "super::or_default")]
    pub key_vault_uri: String,
    /// The key's name.
    #[serde(default, deserialize_with = "super::or_default")]
    pub key_name: String,
    /// The key's version.
    #[serde(default, deserialize_with = "super::or_default")]
    pub version: String,
}

impl KeyConfiguration {
    /// Whether it does not exist yet: only the account gives IDs.
    pub fn is_planned(&self) -> bool {
        self.customer_managed_key_id.is_empty()
    }

    /// Whether the API can read and delete it by the ID that it shows.
    pub fn has_readable_id(&self) -> bool {
        self.customer_managed_key_id
            .parse::<KeyConfigurationId>()
            .is_ok()
    }

    /// Whether everything is there that the account shows of a configuration. An answer to a create may be only a part of it.
    pub fn is_whole(&self) -> bool {
        let has_key = match (&self.aws_key_info, &self.gcp_key_info) {
            (Some(aws), _) => !aws.key_arn.is_empty() && aws.key_region.is_some(),
            (_, Some(gcp)) => !gcp.kms_key_id.is_empty() && gcp.service_account().is_some(),
            _ => false,
        };
        has_key && self.creation_time.is_some() && !self.use_cases.is_empty()
    }

    /// Whether the answer has what the provider asked for, as far as it shows. An answer that says otherwise has changed on its way: the
    /// account refuses what it does not create.
    pub fn is_as_asked(&self, asked: &NewKeyConfiguration) -> bool {
        let same_cases = asked
            .use_cases
            .iter()
            .all(|case| self.use_cases.contains(case))
            && self.use_cases.len() == asked.use_cases.len();
        let same_key = match (&asked.key, &self.aws_key_info, &self.gcp_key_info) {
            (NewKey::Aws(asked), Some(own), _) => {
                own.key_arn == asked.key_arn
                    && own
                        .key_region
                        .as_deref()
                        .is_none_or(|own| asked.key_arn.split(':').nth(3) == Some(own))
                    && own.is_reused_for_cluster_volumes() == asked.is_reused_for_cluster_volumes()
            }
            (NewKey::Gcp(asked), _, Some(own)) => own.kms_key_id == asked.kms_key_id,
            _ => false,
        };
        same_cases && same_key
    }

    /// The same configuration, with what the provider asked for instead of what the answer shows.
    #[must_use]
    pub fn made_as_asked(mut self, asked: &NewKeyConfiguration) -> Self {
        self.use_cases.clone_from(&asked.use_cases);
        match (&asked.key, &mut self.aws_key_info, &mut self.gcp_key_info) {
            (NewKey::Aws(asked), Some(own), _) => {
                own.key_arn.clone_from(&asked.key_arn);
                own.key_region = None;
                own.reuse_key_for_cluster_volumes = asked.reuse_key_for_cluster_volumes;
            }
            (NewKey::Gcp(asked), _, Some(own)) => own.kms_key_id.clone_from(&asked.kms_key_id),
            (NewKey::Aws(asked), own, _) => *own = Some(asked.clone()),
            (NewKey::Gcp(_), _, None) => {}
        }
        self
    }

    /// Whether it may be attached for a use case.
    pub fn is_for(&self, case: UseCase) -> bool {
        self.use_cases.iter().any(|own| own == case.name())
    }

    /// Whether it encrypts the volumes of clusters too, once it is attached for storage.
    pub fn is_for_cluster_volumes(&self) -> bool {
        self.aws_key_info
            .as_ref()
            .is_some_and(AwsKeyInfo::is_reused_for_cluster_volumes)
    }

    /// Whose cloud the key is of, and the key as that cloud names it; `None` when the API shows none.
    pub fn cloud_and_key(&self) -> Option<(Cloud, String)> {
        match (&self.aws_key_info, &self.gcp_key_info, &self.azure_key_info) {
            (Some(aws), _, _) => Some((Cloud::Aws, aws.key_arn.clone())),
            (_, Some(gcp), _) => Some((Cloud::Gcp, gcp.kms_key_id.clone())),
            (_, _, Some(azure)) => {
                let vault = azure.key_vault_uri.trim_end_matches('/');
                Some((
                    Cloud::Azure,
                    format!("{vault}/keys/{}/{}", azure.key_name, azure.version),
                ))
            }
            _ => None,
        }
    }
}

/// The AWS key of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwsKeyInfo {
    /// The ARN of the key.
    #[serde(default, deserialize_with = "super::or_default")]
    pub key_arn: String,
    /// Its alias, for people only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_alias: Option<String>,
    /// Its region; the API always returns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_region: Option<String>,
    /// Whether it encrypts cluster volumes too. The API reads a missing value as true, so the provider must send an explicit false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reuse_key_for_cluster_volumes: Option<bool>,
}

impl AwsKeyInfo {
    /// Whether it encrypts cluster volumes too, which is what leaving it open means.
    pub fn is_reused_for_cluster_volumes(&self) -> bool {
        self.reuse_key_for_cluster_volumes.unwrap_or(true)
    }
}

/// What is sent to make one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewKeyConfiguration {
    /// The data that its key shall encrypt: `MANAGED_SERVICES`, `STORAGE`.
    pub use_cases: Vec<String>,
    /// The key, in the form of its cloud.
    #[serde(flatten)]
    pub key: NewKey,
}

/// The key of a configuration that is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum NewKey {
    /// On AWS: the ARN, and whether the key encrypts cluster volumes.
    #[serde(rename = "aws_key_info")]
    Aws(AwsKeyInfo),
    /// A key of Google Cloud.
    #[serde(rename = "gcp_key_info")]
    Gcp(GcpKeyInfo),
}

impl NewKey {
    /// The key, as its cloud names it.
    pub fn name(&self) -> &str {
        match self {
            Self::Aws(key) => &key.key_arn,
            Self::Gcp(key) => &key.kms_key_id,
        }
    }

    /// Whether a configuration of the account has this key, in the same way.
    fn is_of(&self, existing: &KeyConfiguration) -> bool {
        let filled = |alias: &Option<String>| alias.clone().filter(|alias| !alias.is_empty());
        match self {
            Self::Aws(own) => existing.aws_key_info.as_ref().is_some_and(|key| {
                key.key_arn == own.key_arn
                    && filled(&key.key_alias) == filled(&own.key_alias)
                    && key.is_reused_for_cluster_volumes() == own.is_reused_for_cluster_volumes()
            }),
            // The request says who grants the access, and not every version of the API shows it.
            Self::Gcp(own) => existing
                .gcp_key_info
                .as_ref()
                .is_some_and(|key| key.kms_key_id == own.kms_key_id),
        }
    }
}

impl NewKeyConfiguration {
    /// What the API will show once the configuration exists; the ID and account come with it.
    pub fn planned(&self) -> KeyConfiguration {
        KeyConfiguration {
            customer_managed_key_id: String::new(),
            account_id: None,
            creation_time: None,
            use_cases: self.use_cases.clone(),
            aws_key_info: match &self.key {
                NewKey::Aws(key) => Some(key.clone()),
                NewKey::Gcp(_) => None,
            },
            gcp_key_info: match &self.key {
                NewKey::Gcp(key) => Some(key.clone()),
                NewKey::Aws(_) => None,
            },
            azure_key_info: None,
        }
    }

    /// Whether `existing` is what this request would make.
    pub fn matches(&self, existing: &KeyConfiguration) -> bool {
        let sorted = |cases: &[String]| {
            let mut cases = cases.to_vec();
            cases.sort();
            cases
        };
        self.key.is_of(existing) && sorted(&existing.use_cases) == sorted(&self.use_cases)
    }
}

impl Account {
    /// Makes a key configuration.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn create_key_configuration(
        &self,
        new: &NewKeyConfiguration,
    ) -> Result<KeyConfiguration, Error> {
        self.post("/customer-managed-keys", new).await
    }

    /// Reads a key configuration.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn key_configuration(
        &self,
        id: &KeyConfigurationId,
    ) -> Result<KeyConfiguration, Error> {
        self.get(&format!("/customer-managed-keys/{id}")).await
    }

    /// Every key configuration of the account.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn key_configurations(&self) -> Result<Vec<KeyConfiguration>, Error> {
        self.get("/customer-managed-keys").await
    }

    /// Reads a key configuration; `None` when it is certain that the account has none of this ID. A 404 alone is not: a wrong
    /// host or account answers the same, so the list has the last word.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn find_key_configuration(
        &self,
        id: &KeyConfigurationId,
    ) -> Result<Option<KeyConfiguration>, Error> {
        match self.key_configuration(id).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_not_found() => {
                let all = self.key_configurations().await?;
                Ok(all
                    .into_iter()
                    .find(|one| one.customer_managed_key_id == id.as_str()))
            }
            Err(error) => Err(error),
        }
    }

    /// Removes a key configuration.
    ///
    /// # Errors
    /// When the API refuses (409 while a workspace uses it) or cannot be reached.
    pub async fn delete_key_configuration(&self, id: &KeyConfigurationId) -> Result<(), Error> {
        self.delete(&format!("/customer-managed-keys/{id}")).await
    }
}
