//! The Databricks account as one provider configuration sees it: which account, with which identity, and what one run has read of it.
//!
//! All resources of a run share its reads, and the provider drops a read when it writes to the object. A plan or refresh rests on a read of its
//! run, an apply on one that began within the last minute. Only a key configuration may be older, because nothing of it can change.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use tokio::sync::{OnceCell, OwnedMutexGuard};
use tokio::time::Instant;

use super::cache::{AsOf, Locks, Shared, Watched, live, lock, long_failed};
use super::config::Config;
use super::diagnose::{AskedBy, Unavailable};
use crate::clouds::gcp::{Gcp, GcpError};
use crate::databricks::auth::Surroundings;
use crate::databricks::auth::settings::Name;
use crate::databricks::key_configurations::KeyConfiguration;
use crate::databricks::tokens::{GoogleSource, GoogleToken, GoogleTokens, NoGoogleToken};
use crate::databricks::transport::Behaviour;
use crate::databricks::workspaces::Workspace;
use crate::databricks::{Account, AuthError, Error, Settings};
use crate::vocabulary::{AccountId, Cloud, Deployment, KeyConfigurationId, WorkspaceId};
use tfplugin::Boxed;
use tfplugin::provider::Run;

/// The account that the provider block, the environment and a profile name. The provider calls it only when a resource needs it.
pub struct DatabricksAccount {
    settings: Result<Settings, AuthError>,
    unknown: Vec<&'static str>,
    has_google_identity: bool,
    asked_by: AskedBy,
    behaviour: Behaviour,
    connected: OnceCell<Account>,
    reads: AccountReads,
}

impl DatabricksAccount {
    /// An account that nothing has called yet; errors of its settings show when a resource needs it.
    pub fn new(config: &Config, run: Run) -> Self {
        let (settings, unknown) = config.databricks();
        Self {
            settings: settings.completed(&Surroundings::OWN),
            unknown,
            has_google_identity: config.names_google_identity(),
            asked_by: config.asked_by,
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
            .map_err(|error| self.not_configured(error.clone()))
    }

    fn not_configured(&self, error: AuthError) -> Unavailable {
        Unavailable::Auth(error, self.asked_by)
    }

    /// The account API, ready for calls.
    ///
    /// # Errors
    /// When the provider does not know the host or the credential.
    pub async fn connected(&self) -> Result<&Account, Unavailable> {
        let settings = self.settings()?;
        self.connected
            .get_or_try_init(|| async {
                let resolved = settings
                    .resolve(&Surroundings::OWN, self.has_google_identity)
                    .map_err(|error| self.not_configured(error))?;
                Account::new(resolved, self.behaviour.clone()).map_err(Unavailable::Transport)
            })
            .await
    }

    /// The ID of the account, which needs no credential.
    ///
    /// # Errors
    /// When none is configured.
    pub fn id(&self) -> Result<AccountId, Unavailable> {
        self.settings()?
            .account()
            .map_err(|error| self.not_configured(error))
    }

    /// The identity with which the provider calls the account, as far as the configuration names
    /// it; a token alone does not.
    pub fn identity(&self) -> Option<String> {
        let settings = self.settings().ok()?;
        [
            (Name::ClientId, "service principal"),
            (Name::GoogleServiceAccount, "Google service account"),
            (Name::AzureClientId, "application"),
        ]
        .into_iter()
        .find_map(|(name, words)| Some(format!("{words} {}", settings.get(name)?)))
    }

    /// The Databricks deployment that the configured host alone decides, whatever the key is; `None` where the partition of the
    /// key decides.
    pub fn deployment_of_host(&self) -> Option<Deployment> {
        let host = self.settings().ok()?.host().ok()?;
        let is_own =
            host.name().ends_with("databricks.us") || host.name().ends_with("databricks.com");
        is_own.then(|| host.deployment())
    }

    /// Whose cloud the configured host belongs to; `None` for one that is not Databricks' own.
    pub fn cloud_of_host(&self) -> Option<Cloud> {
        self.settings().ok()?.host().ok()?.cloud()
    }

    /// The deployment of the configured host, where no key says which partition it is.
    pub fn usual_deployment(&self) -> Deployment {
        self.settings()
            .ok()
            .and_then(|settings| settings.host().ok())
            .map_or(Deployment::Commercial, |host| host.deployment())
    }

    /// The reads of this run, which all its resources share.
    pub fn reads(&self) -> &AccountReads {
        &self.reads
    }
}

fn no_token(error: &GcpError) -> NoGoogleToken {
    NoGoogleToken {
        reason: error.to_string(),
        remedy: error.advice().unwrap_or_else(|| {
            "Run again. If it stays, check the network and `gcp.endpoints`.".to_owned()
        }),
    }
}

impl GoogleTokens for Gcp {
    fn access_token<'a>(&'a self, service_account: Option<&'a str>) -> Boxed<'a, GoogleToken> {
        Box::pin(async move {
            let token = self.access_token_of(service_account).await;
            token.map_err(|error| no_token(&error))
        })
    }

    fn id_token<'a>(
        &'a self,
        service_account: &'a str,
        audience: &'a str,
    ) -> Boxed<'a, GoogleToken> {
        Box::pin(async move {
            let token = self.id_token_of(service_account, audience).await;
            token.map_err(|error| no_token(&error))
        })
    }
}

fn by_id(all: Vec<Workspace>) -> BTreeMap<WorkspaceId, Workspace> {
    all.into_iter().map(|one| (one.workspace_id, one)).collect()
}

/// Every workspace of the account, by its number.
type Workspaces = Arc<BTreeMap<WorkspaceId, Workspace>>;

/// How many of the last lists of workspaces a run keeps.
const LISTS: usize = 3;

/// The reads of one run, and what it has changed since.
pub struct AccountReads {
    started: Instant,
    workspaces: Watched<Result<Workspaces, Error>>,
    changed_workspaces: Mutex<BTreeMap<WorkspaceId, Instant>>,
    workspace_locks: Locks<WorkspaceId>,
    last_lists: Mutex<VecDeque<AsOf<Workspaces>>>,
    configurations: Shared<BTreeMap<String, KeyConfiguration>>,
    made: Mutex<BTreeMap<String, KeyConfiguration>>,
    removed: Mutex<BTreeSet<String>>,
    roles: Mutex<BTreeMap<String, Arc<Shared<Option<String>>>>>,
}

impl Default for AccountReads {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            workspaces: Watched::default(),
            changed_workspaces: Mutex::default(),
            workspace_locks: Locks::default(),
            last_lists: Mutex::default(),
            configurations: Shared::default(),
            made: Mutex::default(),
            removed: Mutex::default(),
            roles: Mutex::default(),
        }
    }
}

impl AccountReads {
    /// Every workspace of the account. One list serves any number of bindings.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn workspaces(&self, account: &Account) -> Result<Workspaces, Error> {
        let changed = lock(&self.changed_workspaces).values().max().copied();
        self.workspaces_since(account, changed).await
    }

    /// A list of this run that is younger than a change. After a failure, the next caller that
    /// comes late enough lists again.
    async fn workspaces_since(
        &self,
        account: &Account,
        changed: Option<Instant>,
    ) -> Result<Workspaces, Error> {
        let earliest = changed.map_or(self.started, |changed| changed.max(self.started));
        let list = self.workspaces_after(account, earliest).await;
        match list.value {
            Err(_) if list.begun < long_failed() => {
                self.workspaces_after(account, long_failed()).await.value
            }
            value => value,
        }
    }

    /// Every workspace of the account, as a list that began after `earliest` shows it. All bindings that wait share one list.
    pub async fn workspaces_after(
        &self,
        account: &Account,
        earliest: Instant,
    ) -> AsOf<Result<Workspaces, Error>> {
        let fetch = || async { account.workspaces().await.map(|all| Arc::new(by_id(all))) };
        let list = self.workspaces.after(earliest, fetch).await;
        if let Ok(all) = &list.value {
            let mut last = lock(&self.last_lists);
            if last.back().is_none_or(|one| one.begun < list.begun) {
                last.push_back(AsOf {
                    begun: list.begun,
                    value: Arc::clone(all),
                });
                if last.len() > LISTS {
                    last.pop_front();
                }
            }
        }
        list
    }

    /// A workspace, as a list shows it that is young enough for an apply; `None` when it is not in the list, which may lag behind,
    /// or when the list failed. Resources that Terraform applies side by side share the list.
    pub async fn listed_workspace(&self, account: &Account, id: WorkspaceId) -> Option<Workspace> {
        let changed = lock(&self.changed_workspaces).get(&id).copied();
        let earliest = changed.map_or(live(), |changed| changed.max(live()));
        let list = self.workspaces_after(account, earliest).await;
        list.value.ok()?.get(&id).cloned()
    }

    /// Whether the last lists of this run, the last of them young, have all shown the same of a workspace.
    pub fn has_long_been(&self, id: WorkspaceId, so: impl Fn(&Workspace) -> bool) -> bool {
        let last = lock(&self.last_lists);
        last.len() == LISTS
            && last.back().is_some_and(|list| list.begun > live())
            && last.iter().all(|list| list.value.get(&id).is_some_and(&so))
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
        let changed = lock(&self.changed_workspaces).get(&id).copied();
        match self.workspaces_since(account, changed).await?.get(&id) {
            Some(found) => Ok(Some(found.clone())),
            // A list may lag behind: the provider asks for a workspace by its number before it counts as gone.
            None => account.find_workspace(id).await,
        }
    }

    /// Every key configuration of the account, with those that this run has created and without those that it has removed.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn configurations(
        &self,
        account: &Account,
    ) -> Result<Arc<BTreeMap<String, KeyConfiguration>>, Error> {
        let mut all = self.listed_configurations(account).await?;
        let (made, removed) = (lock(&self.made), lock(&self.removed));
        if !made.is_empty() || !removed.is_empty() {
            let all = Arc::make_mut(&mut all);
            all.extend(made.clone());
            all.retain(|id, _| !removed.contains(id));
        }
        Ok(all)
    }

    /// The key configurations of the run's one list. The run lists before it creates any, so its own are not among them.
    async fn listed_configurations(
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

    /// A key configuration; `None` when the account has none of this ID. Nothing of a configuration can change, so a read of this
    /// run counts as long as the configuration exists, also for an apply.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn configuration(
        &self,
        account: &Account,
        id: &KeyConfigurationId,
    ) -> Result<Option<KeyConfiguration>, Error> {
        let made = lock(&self.made).get(id.as_str()).cloned();
        if made.is_some() {
            return Ok(made);
        }
        let is_removed = lock(&self.removed).contains(id.as_str());
        match self.listed_configurations(account).await?.get(id.as_str()) {
            Some(found) if !is_removed => Ok(Some(found.clone())),
            _ => account.find_key_configuration(id).await,
        }
    }

    /// The key configurations that were there before this run created any, without those that it has removed.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn configurations_before(
        &self,
        account: &Account,
        fits: impl Fn(&KeyConfiguration) -> bool,
    ) -> Result<Vec<KeyConfiguration>, Error> {
        let all = self.listed_configurations(account).await?;
        let removed = lock(&self.removed);
        let there =
            |one: &&KeyConfiguration| fits(one) && !removed.contains(&one.customer_managed_key_id);
        Ok(all.values().filter(there).cloned().collect())
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

    /// Effect: one list gives the cross-account roles of all workspaces, and later calls take them from there.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn list_roles(&self, account: &Account) -> Result<(), Error> {
        for (id, role) in account.cross_account_roles().await? {
            let shared = Arc::clone(lock(&self.roles).entry(id).or_default());
            shared.get(|| async { Ok::<_, Error>(role) }).await?;
        }
        Ok(())
    }

    /// Waits for the lock of a workspace. A task holds it while it reads, changes and watches the workspace:
    /// two resources of one run may change the same one.
    pub async fn lock_workspace(&self, id: WorkspaceId) -> OwnedMutexGuard<()> {
        self.workspace_locks.hold(id).await
    }

    /// Effect: the next read of this workspace begins from now on, because the provider has changed it or its change has ended.
    pub fn forget_workspace(&self, id: WorkspaceId) {
        lock(&self.changed_workspaces).insert(id, Instant::now());
    }

    /// Effect: the run has created this key configuration, which its one list does not show.
    pub fn made_configuration(&self, made: KeyConfiguration) {
        lock(&self.made).insert(made.customer_managed_key_id.clone(), made);
    }

    /// Effect: the run has removed this key configuration, which its one list still shows.
    pub fn removed_configuration(&self, id: &KeyConfigurationId) {
        lock(&self.made).remove(id.as_str());
        lock(&self.removed).insert(id.as_str().to_owned());
    }
}
