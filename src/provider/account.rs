//! The Databricks account as one provider configuration sees it: who asks and where, and what one run has read of it.
//!
//! Reads of a run are shared, and forgotten when the provider writes. Only plans and refreshes use them: what an apply is about
//! to rest on is always read anew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::config::Config;
use super::diagnose::Unavailable;
use super::shared::{AsOf, Shared, Watched, lock};
use crate::clouds::gcp::Gcp;
use crate::databricks::auth::Surroundings;
use crate::databricks::key_configurations::KeyConfiguration;
use crate::databricks::tokens::{GoogleSource, GoogleToken, GoogleTokens};
use crate::databricks::transport::Behaviour;
use crate::databricks::workspaces::Workspace;
use crate::databricks::{Account, AuthError, Error, Settings};
use crate::vocabulary::{AccountId, Deployment, KeyConfigurationId, WorkspaceId};
use tfplugin::provider::Run;
use tfplugin::resource::Boxed;

/// The account that the provider block, the environment and a profile name. Nothing is called before it is needed.
pub struct DatabricksAccount {
    settings: Result<Settings, AuthError>,
    unknown: Vec<&'static str>,
    behaviour: Behaviour,
    connected: OnceCell<Account>,
    reads: AccountReads,
}

impl DatabricksAccount {
    /// Nothing is called yet; what is wrong shows when it is needed.
    pub fn new(config: &Config, run: Run) -> Self {
        let (settings, unknown) = config.databricks();
        Self {
            settings: settings.completed(&Surroundings::OWN),
            unknown,
            behaviour: Behaviour {
                google: GoogleSource(Some(Arc::new(Gcp::new(config.gcp().0)))),
                stop: run.stop,
                ..config.behaviour(&run.terraform_version)
            },
            connected: OnceCell::new(),
            reads: AccountReads::default(),
        }
    }

    fn settings(&self) -> Result<&Settings, Unavailable> {
        if !self.unknown.is_empty() {
            return Err(Unavailable::NotYetKnown(self.unknown.clone()));
        }
        self.settings
            .as_ref()
            .map_err(|error| Unavailable::Auth(error.clone()))
    }

    /// The account API, ready to be called.
    ///
    /// # Errors
    /// When it is not known where or who.
    pub async fn connected(&self) -> Result<&Account, Unavailable> {
        let settings = self.settings()?;
        self.connected
            .get_or_try_init(|| async {
                let resolved = settings
                    .resolve(&Surroundings::OWN)
                    .map_err(Unavailable::Auth)?;
                Account::new(resolved, self.behaviour.clone()).map_err(Unavailable::Transport)
            })
            .await
    }

    /// The id of the account, which needs no credential.
    ///
    /// # Errors
    /// When none is configured.
    pub fn id(&self) -> Result<AccountId, Unavailable> {
        self.settings()?.account().map_err(Unavailable::Auth)
    }

    /// The Databricks deployment that the configured host alone decides, whatever the key is; `None` where the partition of the
    /// key decides.
    pub fn deployment_of_host(&self) -> Option<Deployment> {
        let host = self.settings().ok()?.host().ok()?;
        let is_own =
            host.name().ends_with("databricks.us") || host.name().ends_with("databricks.com");
        is_own.then(|| host.deployment())
    }

    /// The deployment of the configured host, where no key says which partition it is.
    pub fn usual_deployment(&self) -> Deployment {
        self.settings()
            .ok()
            .and_then(|settings| settings.host().ok())
            .map_or(Deployment::Commercial, |host| host.deployment())
    }

    /// What this run has read, for plans and refreshes.
    pub fn reads(&self) -> &AccountReads {
        &self.reads
    }
}

impl GoogleTokens for Gcp {
    fn access_token<'a>(&'a self, service_account: Option<&'a str>) -> Boxed<'a, GoogleToken> {
        Box::pin(async move {
            let token = self.access_token_of(service_account).await;
            token.map_err(|error| error.to_string())
        })
    }

    fn id_token<'a>(
        &'a self,
        service_account: &'a str,
        audience: &'a str,
    ) -> Boxed<'a, GoogleToken> {
        Box::pin(async move {
            let token = self.id_token_of(service_account, audience).await;
            token.map_err(|error| error.to_string())
        })
    }
}

fn by_id(all: Vec<Workspace>) -> BTreeMap<WorkspaceId, Workspace> {
    all.into_iter().map(|one| (one.workspace_id, one)).collect()
}

/// What one run has read of the account.
#[derive(Default)]
pub struct AccountReads {
    workspaces: Shared<BTreeMap<WorkspaceId, Workspace>>,
    watched_workspaces: Watched<Result<Arc<BTreeMap<WorkspaceId, Workspace>>, Error>>,
    configurations: Shared<BTreeMap<String, KeyConfiguration>>,
    roles: Mutex<BTreeMap<String, Arc<Shared<Option<String>>>>>,
}

impl AccountReads {
    /// Every workspace of the account. One list serves any number of bindings.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn workspaces(
        &self,
        account: &Account,
    ) -> Result<Arc<BTreeMap<WorkspaceId, Workspace>>, Error> {
        self.workspaces
            .get(|| async { account.workspaces().await.map(by_id) })
            .await
    }

    /// Every workspace of the account, as a list that began after `earliest` shows it. Any number of bindings that wait share
    /// one list.
    pub async fn workspaces_after(
        &self,
        account: &Account,
        earliest: Instant,
    ) -> AsOf<Result<Arc<BTreeMap<WorkspaceId, Workspace>>, Error>> {
        let fetch = || async { account.workspaces().await.map(|all| Arc::new(by_id(all))) };
        self.watched_workspaces.after(earliest, fetch).await
    }

    /// A workspace; `None` when the account has none of this number.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn workspace(
        &self,
        account: &Account,
        id: WorkspaceId,
    ) -> Result<Option<Workspace>, Error> {
        match self.workspaces(account).await?.get(&id) {
            Some(found) => Ok(Some(found.clone())),
            // A list may lag behind; what is missing in it is asked for by its number before it counts as gone.
            None => account.find_workspace(id).await,
        }
    }

    /// Every key configuration of the account.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn configurations(
        &self,
        account: &Account,
    ) -> Result<Arc<BTreeMap<String, KeyConfiguration>>, Error> {
        let by_id = |all: Vec<KeyConfiguration>| {
            all.into_iter()
                .map(|one| (one.customer_managed_key_id.clone(), one))
                .collect()
        };
        self.configurations
            .get(|| async { account.key_configurations().await.map(by_id) })
            .await
    }

    /// A key configuration; `None` when the account has none of this id.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn configuration(
        &self,
        account: &Account,
        id: &KeyConfigurationId,
    ) -> Result<Option<KeyConfiguration>, Error> {
        match self.configurations(account).await?.get(id.as_str()) {
            Some(found) => Ok(Some(found.clone())),
            None => account.find_key_configuration(id).await,
        }
    }

    /// The cross-account role of a workspace; many workspaces share one.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn cross_account_role(
        &self,
        account: &Account,
        workspace: &Workspace,
    ) -> Result<Option<String>, Error> {
        let credentials = workspace.credentials_id.clone().unwrap_or_default();
        let shared = Arc::clone(lock(&self.roles).entry(credentials).or_default());
        shared
            .get(|| account.cross_account_role(workspace))
            .await
            .map(|role| role.as_ref().clone())
    }

    /// We changed a workspace.
    pub fn forget_workspaces(&self) {
        self.workspaces.forget();
    }

    /// We made or removed a key configuration.
    pub fn forget_configurations(&self) {
        self.configurations.forget();
    }
}
