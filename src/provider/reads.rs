//! What one plan asks the account, asked once: reads of a run are shared, and forgotten when we write.
//!
//! Only plans and refreshes read here. What an apply is about to rest on is always read anew.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::databricks::key_configurations::KeyConfiguration;
use crate::databricks::workspaces::Workspace;
use crate::databricks::{Account, Error};
use crate::vocabulary::{KeyConfigurationId, WorkspaceId};

/// A value that is fetched by whoever asks first, while the others wait. A failure is not kept.
struct Shared<T>(Mutex<Arc<OnceCell<Arc<T>>>>);

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(Mutex::new(Arc::new(OnceCell::new())))
    }
}

impl<T> Shared<T> {
    async fn get<F: Future<Output = Result<T, Error>>>(&self, fetch: impl FnOnce() -> F) -> Result<Arc<T>, Error> {
        let cell = Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner));
        cell.get_or_try_init(|| async { fetch().await.map(Arc::new) }).await.cloned()
    }

    /// The next one fetches anew; who is waiting already still gets what is on its way.
    fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(OnceCell::new());
    }
}

/// The reads of one run.
#[derive(Default)]
pub struct Reads {
    workspaces: Shared<BTreeMap<u64, Workspace>>,
    configurations: Shared<BTreeMap<String, KeyConfiguration>>,
    roles: Mutex<BTreeMap<String, Arc<Shared<Option<String>>>>>,
}

impl Reads {
    /// Every workspace of the account. One list serves any number of bindings.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn workspaces(&self, account: &Account) -> Result<Arc<BTreeMap<u64, Workspace>>, Error> {
        let by_id = |all: Vec<Workspace>| all.into_iter().map(|one| (one.workspace_id, one)).collect();
        self.workspaces.get(|| async { account.workspaces().await.map(by_id) }).await
    }

    /// A workspace; `None` when the account has none of this number.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn workspace(&self, account: &Account, id: WorkspaceId) -> Result<Option<Workspace>, Error> {
        match self.workspaces(account).await?.get(&id.number()) {
            Some(found) => Ok(Some(found.clone())),
            // A list may lag behind; what is missing in it is asked for by its number before it counts as gone.
            None => account.find_workspace(id).await,
        }
    }

    /// Every key configuration of the account.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn configurations(&self, account: &Account) -> Result<Arc<BTreeMap<String, KeyConfiguration>>, Error> {
        let by_id =
            |all: Vec<KeyConfiguration>| all.into_iter().map(|one| (one.customer_managed_key_id.clone(), one)).collect();
        self.configurations.get(|| async { account.key_configurations().await.map(by_id) }).await
    }

    /// A key configuration; `None` when the account has none of this id.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn configuration(&self, account: &Account, id: &KeyConfigurationId) -> Result<Option<KeyConfiguration>, Error> {
        match self.configurations(account).await?.get(id.as_str()) {
            Some(found) => Ok(Some(found.clone())),
            None => account.find_key_configuration(id).await,
        }
    }

    /// The cross-account role of a workspace; many workspaces share one.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn cross_account_role(&self, account: &Account, workspace: &Workspace) -> Result<Option<String>, Error> {
        let credentials = workspace.credentials_id.clone().unwrap_or_default();
        let shared = Arc::clone(self.roles.lock().unwrap_or_else(PoisonError::into_inner).entry(credentials).or_default());
        shared.get(|| account.cross_account_role(workspace)).await.map(|role| role.as_ref().clone())
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
