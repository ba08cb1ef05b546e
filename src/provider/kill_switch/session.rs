//! The kill switch for whoever has no Terraform at hand: the same credential chains, from the environment, profiles and flags.

use std::time::Duration;

use super::{
    Impact, KeyOperation, KeyStatus, NotDone, Options, Outcome, Say, execute, impact,
    judge_restored, status, tidy, wait_for_workspaces,
};
use crate::preflight::{Finding, LastUse};
use crate::provider::client::Client;
use crate::provider::config::{AssumeRoleBlock, AwsBlock, AzureBlock, Config, GcpBlock, HttpBlock};
use crate::provider::keys::NotFound;
use crate::vocabulary::Key;
use crate::vocabulary::azure::PrincipalId;
use tfplugin::bridge::Attr;
use tfplugin::diagnostics::Diagnostics;
use tfplugin::duration::GoDuration;
use tfplugin::provider::Run;

/// The addresses of services, where they are not those of the cloud.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    /// AWS KMS.
    pub kms: Option<String>,
    /// AWS STS.
    pub sts: Option<String>,
    /// AWS IAM.
    pub iam: Option<String>,
    /// Google Cloud KMS.
    pub cloudkms: Option<String>,
    /// Google Cloud KMS Inventory.
    pub kmsinventory: Option<String>,
    /// Google's Resource Manager.
    pub resourcemanager: Option<String>,
    /// Google's IAM credentials.
    pub iamcredentials: Option<String>,
    /// Azure Resource Manager.
    pub resource_manager: Option<String>,
    /// Where tokens of Microsoft Entra ID are given out.
    pub login: Option<String>,
    /// Microsoft Graph.
    pub graph: Option<String>,
    /// Azure Key Vault.
    pub key_vault: Option<String>,
    /// Databricks workspaces.
    pub workspace: Option<String>,
}

/// Where to connect, and as whom; what is not given comes from the environment and the profiles.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// The Databricks account host.
    pub host: Option<String>,
    /// The Databricks account.
    pub account_id: Option<String>,
    /// A profile of the Databricks configuration file.
    pub databricks_profile: Option<String>,
    /// The AWS region, for a key that is named by its id or alias.
    pub region: Option<String>,
    /// A profile of the AWS configuration.
    pub aws_profile: Option<String>,
    /// A role to assume.
    pub assume_role: Option<String>,
    /// A Google service account to impersonate.
    pub impersonate_service_account: Option<String>,
    /// The tenant of Microsoft Entra ID.
    pub tenant_id: Option<String>,
    /// The subscription of the workspaces, beside those that the caller sees.
    pub subscription_id: Option<String>,
    /// The cloud of Microsoft.
    pub azure_environment: Option<String>,
    /// The object id of AzureDatabricks, where it cannot be looked up.
    pub databricks_principal_id: Option<PrincipalId>,
    /// Certificates (PEM) to trust as well.
    pub ca_bundle: Option<String>,
    /// The addresses of services.
    pub endpoints: Endpoints,
}

/// How long a call to the account is tried again. On a bad night nobody waits for long to learn that the impact is not known.
const ACCOUNT_PATIENCE: &str = "20s";

impl Connection {
    /// The same as a provider block.
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
            ..Config::default()
        }
    }
}

/// The kill switch, connected.
pub struct KillSwitch {
    client: Client,
    region: Option<String>,
    configured: Result<(), Diagnostics>,
}

impl KillSwitch {
    /// Nothing is called yet.
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
    /// When there is no such key, or it cannot be looked up, or a file that was named cannot be used.
    pub async fn find(&self, named: &str) -> Result<Key, NotFound> {
        self.configured.clone().map_err(NotFound::Failed)?;
        let host = self.client.databricks().cloud_of_host();
        let region = self.region.as_deref();
        self.client.keys().find(named, region, host.as_ref()).await
    }

    /// The key as it is.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn status(&self, key: &Key) -> Result<KeyStatus, Diagnostics> {
        status(self.client.keys(), key).await
    }

    /// The last use of the key.
    pub async fn last_use(&self, key: &Key) -> LastUse {
        self.client.keys().last_use(key).await
    }

    /// What stops without the key.
    ///
    /// # Errors
    /// When the Databricks account cannot be read.
    pub async fn impact(&self, key: &Key, status: &KeyStatus) -> Result<Impact, Diagnostics> {
        impact(&self.client, key, status).await
    }

    /// Carries an order out.
    ///
    /// # Errors
    /// When it is refused or fails.
    pub async fn execute(
        &self,
        key: &Key,
        order: KeyOperation,
        options: Options<'_>,
    ) -> Result<Outcome, NotDone> {
        execute(self.client.keys(), key, order, options).await
    }

    /// Removes what an order that was broken off has left on the key. What was done, in words.
    pub async fn tidy(
        &self,
        key: &Key,
        order: KeyOperation,
        options: Options<'_>,
    ) -> Option<String> {
        tidy(self.client.keys(), key, order, options).await
    }

    /// What the proof says of the key, for the workspaces that use it.
    ///
    /// # Errors
    /// When the account cannot be read.
    pub async fn examine(&self, impact: &Impact) -> Result<Vec<Finding>, Diagnostics> {
        judge_restored(&self.client, impact).await
    }

    /// Waits until the workspaces that use the key are RUNNING.
    ///
    /// # Errors
    /// When they are not in time.
    pub async fn wait(
        &self,
        impact: &Impact,
        within: Duration,
        say: Say<'_>,
    ) -> Result<(), Diagnostics> {
        wait_for_workspaces(&self.client, impact, within, say).await
    }
}
