//! Workspaces: what is read of them, and the two key fields that are changed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::errors::Error;
use super::transport::Account;
use crate::preflight::binding::WorkspaceFacts;
use crate::vocabulary::{
    AttachedKey, Cloud, ComputeMode, KeyConfigurationId, StorageMode, Tier, UseCase, WorkspaceId,
    WorkspaceStatus, WorkspaceStorage,
};

/// A workspace as the API shows it. Fields that are not known here are passed over.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Workspace {
    /// Its number.
    pub workspace_id: WorkspaceId,
    /// The name of the workspace in the account.
    #[serde(default, deserialize_with = "super::or_default")]
    pub workspace_name: String,
    /// `RUNNING`, `PROVISIONING`, … an open list.
    #[serde(default)]
    pub workspace_status: WorkspaceStatus,
    /// What the platform says about it.
    #[serde(default)]
    pub workspace_status_message: Option<String>,
    /// The region, on AWS.
    #[serde(default)]
    pub aws_region: Option<String>,
    /// Its region on Google Cloud.
    #[serde(default)]
    pub location: Option<String>,
    /// When it was made, in milliseconds since 1970.
    #[serde(default)]
    pub creation_time: Option<i64>,
    /// `ENTERPRISE`, `PREMIUM`, …
    #[serde(default)]
    pub pricing_tier: Option<Tier>,
    /// The configuration that encrypts its managed services.
    #[serde(default)]
    pub managed_services_customer_managed_key_id: Option<String>,
    /// The configuration that encrypts its storage.
    #[serde(default)]
    pub storage_customer_managed_key_id: Option<String>,
    /// The cross-account role's configuration.
    #[serde(default)]
    pub credentials_id: Option<String>,
    /// Whose cloud it runs in, if the API says so: `aws`, `gcp`, `azure`. See [`Workspace::cloud`].
    #[serde(default, rename = "cloud")]
    shown_cloud: Option<Cloud>,
    /// The customer's own network; without one, Databricks manages the network.
    #[serde(default)]
    pub network_id: Option<String>,
    /// Its project on Google Cloud.
    #[serde(default)]
    pub cloud_resource_container: Option<CloudResourceContainer>,
    /// Where it lies on Azure.
    #[serde(default, deserialize_with = "super::or_default")]
    azure_workspace_info: AzureWorkspaceInfo,
    /// The configuration of its bucket on AWS.
    #[serde(default)]
    pub storage_configuration_id: Option<String>,
    /// Whether it has only serverless compute; `None` where the account does not say.
    #[serde(default)]
    pub compute_mode: Option<ComputeMode>,
    /// Where it keeps its own data.
    #[serde(default)]
    pub storage_mode: Option<StorageMode>,
    /// The name of its host, without the domain.
    #[serde(default)]
    pub deployment_name: Option<String>,
}

/// Where a workspace on Azure lies. Source: databricks-sdk-go, `service/provisioning`, `AzureWorkspaceInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
struct AzureWorkspaceInfo {
    #[serde(default)]
    subscription_id: Option<String>,
}

/// Where a workspace on Google Cloud lives.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CloudResourceContainer {
    /// Google Cloud's part of it.
    #[serde(default)]
    gcp: Option<GcpContainer>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct GcpContainer {
    #[serde(default)]
    project_id: Option<String>,
}

/// A role with which Databricks works in the customer's AWS account.
#[derive(Clone, Debug, Deserialize)]
struct Credentials {
    aws_credentials: Option<AwsCredentials>,
}

#[derive(Clone, Debug, Deserialize)]
struct AwsCredentials {
    sts_role: Option<StsRole>,
}

#[derive(Clone, Debug, Deserialize)]
struct StsRole {
    role_arn: Option<String>,
}

/// The key fields that a request changes; the others stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KeyFields {
    /// For managed services.
    #[serde(
        skip_serializing_if = "Option::is_none",
        rename = "managed_services_customer_managed_key_id"
    )]
    pub managed_services: Option<KeyConfigurationId>,
    /// For storage.
    #[serde(
        skip_serializing_if = "Option::is_none",
        rename = "storage_customer_managed_key_id"
    )]
    pub storage: Option<KeyConfigurationId>,
}

impl KeyFields {
    /// The configuration that a request sets for a use case; `None` leaves it as it is.
    pub fn of(&self, case: UseCase) -> Option<&KeyConfigurationId> {
        match case {
            UseCase::ManagedServices => self.managed_services.as_ref(),
            UseCase::Storage => self.storage.as_ref(),
            UseCase::ManagedDisks => None,
        }
    }

    /// Those of them that a workspace does not have.
    pub fn missing_in(&self, workspace: &Workspace) -> Self {
        let missing = |case| {
            self.of(case)
                .filter(|wanted| workspace.key(case).known() != Some(*wanted))
                .cloned()
        };
        Self {
            managed_services: missing(UseCase::ManagedServices),
            storage: missing(UseCase::Storage),
        }
    }

    /// Whether the request changes nothing.
    pub fn is_empty(&self) -> bool {
        self.managed_services.is_none() && self.storage.is_none()
    }

    /// The fields' names, as `update_mask` wants them.
    fn mask(&self) -> String {
        let managed = self
            .managed_services
            .as_ref()
            .map(|_| "managed_services_customer_managed_key_id");
        let storage = self
            .storage
            .as_ref()
            .map(|_| "storage_customer_managed_key_id");
        managed
            .into_iter()
            .chain(storage)
            .collect::<Vec<_>>()
            .join(",")
    }
}

impl Workspace {
    /// The workspace as facts for the proof.
    pub fn facts(&self) -> WorkspaceFacts {
        WorkspaceFacts {
            id: self.workspace_id,
            name: self.workspace_name.clone(),
            status: self.workspace_status.clone(),
            status_message: self.workspace_status_message.clone().unwrap_or_default(),
            region: self.region().map(str::to_owned),
            pricing_tier: self.pricing_tier.clone(),
            cloud: self.cloud(),
            serverless_only: self.is_serverless_only(),
            own_storage: self.storage(),
            managed_services: self.key(UseCase::ManagedServices),
            storage: self.key(UseCase::Storage),
        }
    }

    /// Its number and its name, as texts name it.
    pub fn in_words(&self) -> String {
        format!("{} (\"{}\")", self.workspace_id, self.workspace_name)
    }

    /// Its subscription on Azure.
    pub fn subscription(&self) -> Option<&str> {
        let own = self.azure_workspace_info.subscription_id.as_deref();
        own.filter(|id| !id.is_empty())
    }

    /// The key configuration that is attached for a use case.
    pub fn key(&self, case: UseCase) -> AttachedKey {
        let id = match case {
            UseCase::ManagedServices => &self.managed_services_customer_managed_key_id,
            UseCase::Storage => &self.storage_customer_managed_key_id,
            UseCase::ManagedDisks => &None,
        };
        AttachedKey::of(id.as_deref())
    }

    /// Its region, as its cloud names it.
    pub fn region(&self) -> Option<&str> {
        let own = self.aws_region.as_deref().or(self.location.as_deref());
        own.filter(|region| !region.is_empty())
    }

    /// Whose cloud it runs in. Where the API does not say so, only one cloud has a field of that kind; `None`: not known, which is not AWS.
    pub fn cloud(&self) -> Option<Cloud> {
        let has = |region: &Option<String>| region.as_deref().is_some_and(|own| !own.is_empty());
        let shown = self
            .shown_cloud
            .clone()
            .filter(|cloud| *cloud != Cloud::default());
        shown.or(match (has(&self.aws_region), has(&self.location)) {
            (true, false) => Some(Cloud::Aws),
            (false, true) => Some(Cloud::Gcp),
            _ => None,
        })
    }

    /// The project on Google Cloud in which it runs.
    pub fn gcp_project(&self) -> Option<&str> {
        let container = self.cloud_resource_container.as_ref()?.gcp.as_ref()?;
        container.project_id.as_deref().filter(|id| !id.is_empty())
    }

    /// Whether it has serverless compute alone.
    pub fn is_serverless_only(&self) -> bool {
        self.compute_mode == Some(ComputeMode::Serverless)
    }

    /// Whether it has serverless compute alone; none where it does not show, or in a word that this version does not know.
    pub fn serverless_only(&self) -> Option<bool> {
        match (&self.compute_mode, self.storage()) {
            (Some(ComputeMode::Serverless), _) => Some(true),
            (Some(ComputeMode::Hybrid), _) => Some(false),
            (Some(ComputeMode::Other(word)), _) if !word.is_empty() => None,
            // Serverless workspaces have no storage of the customer's.
            (_, WorkspaceStorage::Customer) => Some(false),
            _ => None,
        }
    }

    /// Whether its data lies in storage of Databricks and not in a bucket of the customer; none where it does not show.
    pub fn default_storage(&self) -> Option<bool> {
        match self.storage() {
            WorkspaceStorage::Databricks => Some(true),
            WorkspaceStorage::Customer => Some(false),
            WorkspaceStorage::Unknown(_) => None,
        }
    }

    /// Where its own data lies. Older workspaces show no modes; a bucket, a network or credentials of the customer's say the same.
    pub fn storage(&self) -> WorkspaceStorage {
        let is_there = |field: &Option<String>| field.as_deref().is_some_and(|own| !own.is_empty());
        let unknown =
            |name: &str, word: &str| WorkspaceStorage::Unknown(format!("`{name}` is `{word}`"));
        match (&self.compute_mode, &self.storage_mode) {
            (Some(ComputeMode::Serverless), _) | (_, Some(StorageMode::DefaultStorage)) => {
                WorkspaceStorage::Databricks
            }
            (Some(ComputeMode::Other(word)), _) if !word.is_empty() => {
                unknown("compute_mode", word)
            }
            (_, Some(StorageMode::Other(word))) if !word.is_empty() => {
                unknown("storage_mode", word)
            }
            (Some(ComputeMode::Hybrid), _) | (_, Some(StorageMode::CustomerHosted)) => {
                WorkspaceStorage::Customer
            }
            _ if is_there(&self.storage_configuration_id)
                || is_there(&self.credentials_id)
                || is_there(&self.network_id)
                || self.gcp_project().is_some() =>
            {
                WorkspaceStorage::Customer
            }
            _ => WorkspaceStorage::Unknown(
                "it shows neither `compute_mode` nor `storage_mode`, and no bucket of yours"
                    .to_owned(),
            ),
        }
    }

    /// Whether it uses a key configuration, for anything.
    pub fn uses(&self, id: &KeyConfigurationId) -> bool {
        self.uses_id(id.as_str())
    }

    /// Whether it uses a key configuration, by the ID that the API shows.
    pub fn uses_id(&self, id: &str) -> bool {
        let own = [
            &self.managed_services_customer_managed_key_id,
            &self.storage_customer_managed_key_id,
        ];
        own.into_iter().flatten().any(|used| used == id)
    }
}

impl Account {
    /// Reads a workspace.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn workspace(&self, id: WorkspaceId) -> Result<Workspace, Error> {
        self.get(&format!("/workspaces/{id}")).await
    }

    /// Every workspace of the account.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn workspaces(&self) -> Result<Vec<Workspace>, Error> {
        self.get("/workspaces").await
    }

    /// Reads a workspace; `None` when the list confirms that the account has none of this number.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn find_workspace(&self, id: WorkspaceId) -> Result<Option<Workspace>, Error> {
        match self.workspace(id).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_not_found() => Ok(self
                .workspaces()
                .await?
                .into_iter()
                .find(|one| one.workspace_id == id)),
            Err(error) => Err(error),
        }
    }

    /// The workspaces that use a key configuration.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn workspaces_using(&self, id: &KeyConfigurationId) -> Result<Vec<Workspace>, Error> {
        Ok(self
            .workspaces()
            .await?
            .into_iter()
            .filter(|workspace| workspace.uses(id))
            .collect())
    }

    /// The ARN of a workspace's cross-account role; serverless workspaces have none.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn cross_account_role(&self, workspace: &Workspace) -> Result<Option<String>, Error> {
        let Some(id) = workspace
            .credentials_id
            .as_deref()
            .filter(|id| !id.is_empty())
        else {
            return Ok(None);
        };
        let credentials: Credentials = self.get(&format!("/credentials/{id}")).await?;
        Ok(credentials
            .aws_credentials
            .and_then(|aws| aws.sts_role)
            .and_then(|role| role.role_arn))
    }

    /// The ARNs of all cross-account roles of the account, by the IDs of their credentials.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn cross_account_roles(&self) -> Result<BTreeMap<String, Option<String>>, Error> {
        #[derive(Deserialize)]
        struct Listed {
            credentials_id: String,
            #[serde(flatten)]
            credentials: Credentials,
        }
        let all: Vec<Listed> = self.get("/credentials").await?;
        let role = |one: Credentials| one.aws_credentials?.sts_role?.role_arn;
        Ok(all
            .into_iter()
            .map(|one| (one.credentials_id, role(one.credentials)))
            .collect())
    }

    /// The workspace buckets on AWS, by the IDs of their storage configurations. Source: databricks-sdk-go, `service/provisioning`,
    /// `StorageConfiguration`.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn root_buckets(&self) -> Result<BTreeMap<String, String>, Error> {
        #[derive(Deserialize)]
        struct Listed {
            storage_configuration_id: String,
            #[serde(default)]
            root_bucket_info: Option<Root>,
        }
        #[derive(Deserialize)]
        struct Root {
            bucket_name: String,
        }
        let all: Vec<Listed> = self.get("/storage-configurations").await?;
        let bucket = |one: Listed| {
            let root = one.root_bucket_info?;
            Some((one.storage_configuration_id, root.bucket_name))
        };
        Ok(all.into_iter().filter_map(bucket).collect())
    }

    /// Changes the key fields of a workspace, and no others.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn set_keys(&self, id: WorkspaceId, fields: &KeyFields) -> Result<(), Error> {
        self.patch(
            &format!("/workspaces/{id}?update_mask={}", fields.mask()),
            fields,
        )
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the API does not show is read from what it shows, and is not known otherwise.
    #[test]
    fn cloud_and_storage_of_a_workspace() -> Result<(), Box<dyn std::error::Error>> {
        use WorkspaceStorage::{Customer, Databricks};
        let (aws, gcp) = (Some(Cloud::Aws), Some(Cloud::Gcp));
        let unknown = |why: &str| WorkspaceStorage::Unknown(why.to_owned());
        let nothing =
            unknown("it shows neither `compute_mode` nor `storage_mode`, and no bucket of yours");
        let rows = [
            (
                r#""cloud": "aws", "compute_mode": "HYBRID""#,
                aws.clone(),
                Customer,
            ),
            (
                r#""cloud": null, "aws_region": "eu-central-1", "storage_configuration_id": "x""#,
                aws.clone(),
                Customer,
            ),
            (
                r#""cloud": "", "location": "us-east4", "cloud_resource_container": {"gcp": {"project_id": "p"}}"#,
                gcp,
                Customer,
            ),
            (
                r#""compute_mode": null, "storage_mode": null"#,
                None,
                nothing.clone(),
            ),
            (
                r#""aws_region": "eu-central-1", "location": "us-east4""#,
                None,
                nothing.clone(),
            ),
            (
                r#""cloud": "moon", "aws_region": "eu-central-1""#,
                Some(Cloud::from("moon")),
                nothing,
            ),
            (
                r#""aws_region": "a", "compute_mode": "SERVERLESS", "credentials_id": "x""#,
                aws.clone(),
                Databricks,
            ),
            (
                r#""aws_region": "a", "compute_mode": "HYBRID", "storage_mode": "DEFAULT_STORAGE""#,
                aws.clone(),
                Databricks,
            ),
            (
                r#""aws_region": "a", "compute_mode": "EDGE", "credentials_id": "x""#,
                aws.clone(),
                unknown("`compute_mode` is `EDGE`"),
            ),
            (
                r#""aws_region": "a", "compute_mode": "HYBRID", "storage_mode": "SHARED""#,
                aws,
                unknown("`storage_mode` is `SHARED`"),
            ),
        ];
        for (fields, cloud, storage) in rows {
            let workspace: Workspace =
                serde_json::from_str(&format!("{{\"workspace_id\": 1, {fields}}}"))?;
            assert_eq!(workspace.cloud(), cloud, "{fields}");
            assert_eq!(workspace.storage(), storage, "{fields}");
        }
        Ok(())
    }

    #[test]
    fn only_what_changes_is_sent_and_named() -> Result<(), Box<dyn std::error::Error>> {
        let id: KeyConfigurationId = "2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11".parse()?;
        let fields = KeyFields {
            storage: Some(id.clone()),
            ..KeyFields::default()
        };
        assert_eq!(fields.mask(), "storage_customer_managed_key_id");
        assert_eq!(
            serde_json::to_string(&fields)?,
            format!("{{\"storage_customer_managed_key_id\":\"{id}\"}}")
        );
        Ok(())
    }
}
