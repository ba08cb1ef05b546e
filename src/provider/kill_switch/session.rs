//! The kill switch for users without Terraform: the same credential chains, from the environment, profiles and flags.

use std::time::Duration;

use super::{
    Impact, KeyOperation, KeyStatus, NotDone, Options, Outcome, Say, execute, impact,
    judge_restored, status, tidy, wait_for_workspaces,
};
use crate::preflight::{Finding, LastUse};
use crate::provider::client::Client;
use crate::provider::config::{AssumeRoleBlock, AwsBlock, AzureBlock, Config, GcpBlock, HttpBlock};
use crate::provider::diagnose::AskedBy;
use crate::provider::keys::NotFound;
use crate::vocabulary::Key;
use crate::vocabulary::azure::PrincipalId;
use tfplugin::bridge::Attr;
use tfplugin::diagnostics::Diagnostics;
use tfplugin::duration::GoDuration;
use tfplugin::provider::Run;

/// The addresses of services, where the user names others than those of the cloud. Each is a URL.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    /// The endpoint of AWS KMS.
    pub kms: Option<String>,
    /// The endpoint of AWS STS.
    pub sts: Option<String>,
    /// The endpoint of AWS IAM.
    pub iam: Option<String>,
    /// Amazon S3.
    pub s3: Option<String>,
    /// AWS CloudTrail.
    pub cloudtrail: Option<String>,
    /// The endpoint of Cloud KMS.
    pub cloudkms: Option<String>,
    /// The endpoint of the Cloud KMS Inventory API, which shows what uses a key.
    pub kmsinventory: Option<String>,
    /// The endpoint of Google's Resource Manager API.
    pub resourcemanager: Option<String>,
    /// The endpoint of Google's IAM Credentials API, which impersonates service accounts.
    pub iamcredentials: Option<String>,
    /// The endpoint of Azure Resource Manager.
    pub resource_manager: Option<String>,
    /// The host on which Microsoft Entra ID gives out tokens.
    pub login: Option<String>,
    /// The endpoint of Microsoft Graph.
    pub graph: Option<String>,
    /// The endpoint that replaces each vault's own address.
    pub key_vault: Option<String>,
    /// The endpoint that replaces each workspace's own address.
    pub workspace: Option<String>,
}

/// Where the kill switch connects, and with which identity. It reads from the environment and the profiles what is not given here.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// The host of the Databricks account API.
    pub host: Option<String>,
    /// The ID of the Databricks account.
    pub account_id: Option<String>,
    /// The name of a profile in the Databricks configuration file.
    pub databricks_profile: Option<String>,
    /// The AWS region of a key that the user names by its ID or alias.
    pub region: Option<String>,
    /// The name of a profile in the AWS configuration.
    pub aws_profile: Option<String>,
    /// The ARN of a role of AWS to assume.
    pub assume_role: Option<String>,
    /// A role in each other AWS account, with `{account}` in its ARN.
    pub role_pattern: Option<String>,
    /// How often a call to AWS is tried; `None` for what AWS's own tools do.
    pub aws_tries: Option<u32>,
    /// The email of a Google service account to impersonate.
    pub impersonate_service_account: Option<String>,
    /// The ID of the tenant of Microsoft Entra ID.
    pub tenant_id: Option<String>,
    /// The ID of the subscription of the workspaces, beside those that the caller sees.
    pub subscription_id: Option<String>,
    /// Which cloud of Microsoft: `public`, `usgovernment` or `china`.
    pub azure_environment: Option<String>,
    /// The object ID of AzureDatabricks in the tenant, where the provider cannot read it from Microsoft Graph.
    pub databricks_principal_id: Option<PrincipalId>,
    /// The path of a file with certificates (PEM) to trust as well.
    pub ca_bundle: Option<String>,
    /// Other addresses of the services.
    pub endpoints: Endpoints,
}

/// How long the kill switch retries a call to the account. During an outage, the user does not wait longer than this to learn
/// that the impact is not known.
const ACCOUNT_PATIENCE: &str = "20s";

impl Connection {
    /// The same settings as a provider block.
    pub(in crate::provider) fn config(&self) -> Config {
        let text = |value: &Option<String>| Attr::from(value.clone());
        let given = |all: &[(&str, &Option<String>)]| {
            all.iter()
                .filter(|(_, address)| address.is_some())
                .map(|(service, address)| ((*service).to_owned(), text(address)))
                .collect()
        };
        let of_aws = given(&[
            ("kms", &self.endpoints.kms),
            ("sts", &self.endpoints.sts),
            ("iam", &self.endpoints.iam),
            ("s3", &self.endpoints.s3),
        ]);
        let of_gcp = given(&[
            ("cloudkms", &self.endpoints.cloudkms),
            ("kmsinventory", &self.endpoints.kmsinventory),
            ("resourcemanager", &self.endpoints.resourcemanager),
            ("iamcredentials", &self.endpoints.iamcredentials),
        ]);
        let of_azure = given(&[
            ("resource_manager", &self.endpoints.resource_manager),
            ("login", &self.endpoints.login),
            ("graph", &self.endpoints.graph),
            ("key_vault", &self.endpoints.key_vault),
        ]);
        let role = self.assume_role.as_ref().map(|role| AssumeRoleBlock {
            role_arn: Attr::Known(role.clone()),
            ..AssumeRoleBlock::default()
        });
        let patience: Option<GoDuration> = ACCOUNT_PATIENCE.parse().ok();
        Config {
            host: text(&self.host),
            account_id: text(&self.account_id),
            profile: text(&self.databricks_profile),
            endpoints: Attr::Known(given(&[("workspace", &self.endpoints.workspace)])),
            http: Attr::Known(HttpBlock {
                retry_timeout: patience.into(),
                ca_bundle: text(&self.ca_bundle),
                ..HttpBlock::default()
            }),
            aws: Attr::Known(AwsBlock {
                region: text(&self.region),
                profile: text(&self.aws_profile),
                ca_bundle: text(&self.ca_bundle),
                assume_role: role.into(),
                role_pattern: self.role_pattern.clone(),
                tries: self.aws_tries,
                cloudtrail_endpoint: self.endpoints.cloudtrail.clone(),
                endpoints: Attr::Known(of_aws),
                ..AwsBlock::default()
            }),
            gcp: Attr::Known(GcpBlock {
                impersonate_service_account: text(&self.impersonate_service_account),
                endpoints: Attr::Known(of_gcp),
                ..GcpBlock::default()
            }),
            azure: Attr::Known(AzureBlock {
                tenant_id: text(&self.tenant_id),
                subscription_id: text(&self.subscription_id),
                environment: text(&self.azure_environment),
                databricks_principal_id: self.databricks_principal_id.clone().into(),
                endpoints: Attr::Known(of_azure),
                ..AzureBlock::default()
            }),
            asked_by: AskedBy::Command,
            ..Config::default()
        }
    }
}

/// The kill switch with its connections to the account and the clouds.
pub struct KillSwitch {
    client: Client,
    region: Option<String>,
    configured: Result<(), Diagnostics>,
}

impl KillSwitch {
    /// A kill switch that has called no service yet.
    pub fn new(connection: &Connection) -> Self {
        let run = Run::new("", tfplugin::CancellationToken::new());
        let config = connection.config();
        Self {
            client: Client::new(&config, run),
            region: connection.region.clone(),
            configured: config.check_files(),
        }
    }

    /// The key that a text names.
    ///
    /// # Errors
    /// When there is no such key, when the service refuses or cannot be reached, or when the provider
    /// cannot use a file that the user named.
    pub async fn find(&self, named: &str) -> Result<Key, NotFound> {
        self.configured.clone().map_err(NotFound::Failed)?;
        let host = self.client.databricks().cloud_of_host();
        let region = self.region.as_deref();
        self.client.keys().find(named, region, host.as_ref()).await
    }

    /// The key as it is now.
    ///
    /// # Errors
    /// When the service refuses or cannot be reached.
    pub async fn status(&self, key: &Key) -> Result<KeyStatus, Diagnostics> {
        status(self.client.keys(), key).await
    }

    /// When the key was last used, as far as the service says.
    pub async fn last_use(&self, key: &Key) -> LastUse {
        self.client.keys().last_use(key).await
    }

    /// What stops without the key.
    ///
    /// # Errors
    /// When the Databricks account refuses or cannot be reached.
    pub async fn impact(&self, key: &Key, status: &KeyStatus) -> Result<Impact, Diagnostics> {
        impact(&self.client, key, status).await
    }

    /// Carries an order out.
    ///
    /// # Errors
    /// When the provider refuses it, or it fails.
    pub async fn execute(
        &self,
        key: &Key,
        order: KeyOperation,
        options: Options<'_>,
    ) -> Result<Outcome, NotDone> {
        execute(self.client.keys(), key, order, options).await
    }

    /// Removes what an unfinished order has left on the key. Returns what it did, in words.
    pub async fn tidy(
        &self,
        key: &Key,
        order: KeyOperation,
        options: Options<'_>,
    ) -> Option<String> {
        tidy(self.client.keys(), key, order, options).await
    }

    /// What the proof finds about the key, for the workspaces that use it.
    ///
    /// # Errors
    /// When the Databricks account refuses or cannot be reached.
    pub async fn examine(&self, impact: &Impact) -> Result<Vec<Finding>, Diagnostics> {
        judge_restored(&self.client, impact).await
    }

    /// Waits until the workspaces that use the key are RUNNING.
    ///
    /// # Errors
    /// When one of them is not RUNNING in time.
    pub async fn wait(
        &self,
        impact: &Impact,
        within: Duration,
        say: Say<'_>,
    ) -> Result<(), Diagnostics> {
        wait_for_workspaces(&self.client, impact, within, say).await
    }
}
