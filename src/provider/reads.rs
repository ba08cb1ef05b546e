//! What one plan asks the account, asked once: reads of a run are shared, and forgotten when we write.
//!
//! Only plans and refreshes read here. What an apply is about to rest on is always read anew.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::clouds::aws::{Aws, AwsError};
use crate::databricks::key_configurations::KeyConfiguration;
use crate::databricks::workspaces::Workspace;
use crate::databricks::{Account, Error};
use crate::vocabulary::{KeyArn, KeyConfigurationId, KeyState, WorkspaceId};

fn by_id(all: Vec<Workspace>) -> BTreeMap<WorkspaceId, Workspace> {
    all.into_iter().map(|one| (one.workspace_id, one)).collect()
}

/// A value that is fetched by whoever asks first, while the others wait. A failure is not kept.
struct Shared<T>(Mutex<Arc<OnceCell<Arc<T>>>>);

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(Mutex::new(Arc::new(OnceCell::new())))
    }
}

impl<T> Shared<T> {
    async fn get<F: Future<Output = Result<T, Error>>>(
        &self,
        fetch: impl FnOnce() -> F,
    ) -> Result<Arc<T>, Error> {
        let cell = Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner));
        cell.get_or_try_init(|| async { fetch().await.map(Arc::new) })
            .await
            .cloned()
    }

    /// The next one fetches anew; who is waiting already still gets what is on its way.
    fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(OnceCell::new());
    }
}

/// What was read, and since when it is true.
#[derive(Clone, Debug)]
pub struct AsOf<T> {
    /// When the read began: what was written before then shows in it.
    pub begun: Instant,
    /// What was read.
    pub value: T,
}

/// A value that several readers watch: each says how old it may be for them, and a read serves all for whom it is young enough.
/// A failure serves them in the same way: while a service is away, the readers do not queue up for it.
struct Watched<T>(tokio::sync::Mutex<Option<AsOf<T>>>);

impl<T> Default for Watched<T> {
    fn default() -> Self {
        Self(tokio::sync::Mutex::new(None))
    }
}

impl<T: Clone> Watched<T> {
    /// A read that began after `earliest`.
    async fn after<F: Future<Output = T>>(
        &self,
        earliest: Instant,
        fetch: impl FnOnce() -> F,
    ) -> AsOf<T> {
        let mut last = self.0.lock().await;
        if let Some(young) = last.as_ref().filter(|last| last.begun > earliest) {
            return young.clone();
        }
        let begun = Instant::now();
        let read = AsOf {
            begun,
            value: fetch().await,
        };
        *last = Some(read.clone());
        read
    }
}

/// The reads of one run.
#[derive(Default)]
pub struct Reads {
    workspaces: Shared<BTreeMap<WorkspaceId, Workspace>>,
    watched_workspaces: Watched<Result<Arc<BTreeMap<WorkspaceId, Workspace>>, Error>>,
    watched_keys: Mutex<BTreeMap<KeyArn, Arc<Watched<Result<KeyState, AwsError>>>>>,
    configurations: Shared<BTreeMap<String, KeyConfiguration>>,
    roles: Mutex<BTreeMap<String, Arc<Shared<Option<String>>>>>,
}

impl Reads {
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

    /// The state of a key, as a read that began after `earliest` shows it. Any number of bindings that wait share one read.
    pub async fn key_state_after(
        &self,
        aws: &Aws,
        key: &KeyArn,
        earliest: Instant,
    ) -> AsOf<Result<KeyState, AwsError>> {
        let watched = {
            let mut keys = self
                .watched_keys
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            Arc::clone(keys.entry(key.clone()).or_default())
        };
        watched
            .after(earliest, || async {
                aws.describe(key).await.map(|key| key.state)
            })
            .await
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
        let shared = Arc::clone(
            self.roles
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(credentials)
                .or_default(),
        );
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
