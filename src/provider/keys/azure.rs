//! Keys of Key Vault and Managed HSM as one run sees them: what the same plan is going to grant counts as granted. `keyring.rs` says how old a
//! read may be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{OnceCell, OwnedMutexGuard};
use tokio::time::Instant;

use super::gone;
use super::keyring::{About, Service};
use crate::clouds::azure::{ArmWorkspace, Azure, AzureError, AzureSettings};
use crate::preflight::azure::{
    Absence, AccessModel, AttachedVaultKey, Barrier, PlannedAccess, Question, Unknown, Vault,
    VaultKey, VaultKeyFacts, enabling, judge, judge_version, state_of,
};
use crate::preflight::{Fact, Finding, NotVisible, Remedy, Stage, Unreadable};
use crate::provider::cache::{Locks, Readable, Staged, Watched, lock};
use crate::requirements::azure::{AZURE_DATABRICKS, Grantee, Role, roles_of};
use crate::vocabulary::azure::{PrincipalId, VaultKeyId, VaultResourceId, WorkspaceResourceId};
use crate::vocabulary::{Key, KeyState, UseCase};

/// A key, and what a proof asks of it.
#[derive(Clone, Debug)]
pub struct AzureKeyCheck {
    /// The key whose facts the proof reads, with the version that the workspace shall use.
    pub key: VaultKeyId,
    /// The vault, if the configuration names it.
    pub vault: Option<VaultResourceId>,
    /// What Databricks shall use the key for, at which stage, and which identities need it.
    pub question: Question,
    /// Which roles count, where the question is about the identities of a workspace. The proof reads the identities again when a key policy
    /// of the same run may have made some.
    pub roles: Option<fn(UseCase) -> &'static [Role]>,
}

/// How long Azure may take until access is in effect everywhere. Source: Azure RBAC documentation, "Troubleshoot Azure RBAC".
const TAKES_EFFECT: Duration = Duration::from_secs(10 * 60);

type Once<T> = Arc<OnceCell<T>>;

/// The keys of Azure: the reads of one run, the access that it plans and gave, and its locks.
pub struct AzureKeys {
    cloud: Azure,
    is_known: bool,
    keys: Staged<VaultKeyId, VersionFacts>,
    places: Staged<VaultKeyId, PlaceFacts>,
    grants: Staged<(VaultKeyId, PrincipalId), GrantFact>,
    workspaces: Mutex<BTreeMap<WorkspaceResourceId, Once<Result<ArmWorkspace, AzureError>>>>,
    databricks: Watched<Result<Option<PrincipalId>, AzureError>>,
    named_databricks: Mutex<Option<PrincipalId>>,
    vaults: Mutex<BTreeMap<VaultKeyId, VaultResourceId>>,
    made_for: Mutex<BTreeMap<VaultKeyId, BTreeSet<UseCase>>>,
    planned: Mutex<BTreeMap<VaultKeyId, Vec<PlannedAccess>>>,
    granted: Mutex<BTreeMap<VaultKeyId, Instant>>,
    vault_locks: Locks<VaultKeyId>,
    workspace_locks: Locks<WorkspaceResourceId>,
}

type GrantFact = Fact<Vec<crate::preflight::azure::Assignment>>;

/// What the vault shows of a version of a key.
#[derive(Clone, Debug)]
struct VersionFacts {
    barrier: Option<Barrier>,
    key: Fact<VaultKey>,
    absence: Absence,
}

/// The vault of a key, whatever the version of the key.
#[derive(Clone, Debug)]
struct PlaceFacts {
    id: Result<VaultResourceId, String>,
    vault: Fact<Vault>,
}

fn not_read<T>(reason: String) -> Fact<T> {
    Fact::Unreadable(Unreadable {
        permission: None,
        reason,
        remedy: None,
        is_missing: false,
    })
}

fn fact<T>(read: Result<T, AzureError>) -> Fact<T> {
    match read {
        Ok(value) => Fact::Known(value),
        Err(error) => Fact::Unreadable(error.unreadable()),
    }
}

/// The name under which the caches keep what counts for all versions of a key.
fn of_vault(key: &VaultKeyId) -> VaultKeyId {
    key.versionless()
}

impl AzureKeys {
    /// Keys of which the run has read nothing yet.
    pub(super) fn new(settings: AzureSettings, is_known: bool) -> Self {
        Self {
            cloud: Azure::new(settings),
            is_known,
            keys: Staged::default(),
            places: Staged::default(),
            grants: Staged::default(),
            workspaces: Mutex::default(),
            databricks: Watched::default(),
            named_databricks: Mutex::default(),
            vaults: Mutex::default(),
            made_for: Mutex::default(),
            planned: Mutex::default(),
            granted: Mutex::default(),
            vault_locks: Locks::default(),
            workspace_locks: Locks::default(),
        }
    }

    /// The client for Key Vault, Resource Manager and Microsoft Graph.
    pub fn cloud(&self) -> &Azure {
        &self.cloud
    }

    /// Whether the provider can call Azure: not while its `azure` block still has unknown values.
    pub fn is_known(&self) -> bool {
        self.is_known
    }

    /// Effect: the same configuration is going to grant the use of a key. From now on, each proof at plan counts that as granted. Several
    /// workspaces may share a key, each with a key policy of its own.
    pub fn will_grant(&self, key: &VaultKeyId, planned: PlannedAccess) {
        let mut all = lock(&self.planned);
        let own = all.entry(of_vault(key)).or_default();
        if !own.contains(&planned) {
            own.push(planned);
        }
    }

    /// Effect: a resource of this run says in which vault the key is. If the run has read the key
    /// without knowing that, the next proof reads it again.
    pub fn is_in_vault(&self, key: &VaultKeyId, vault: VaultResourceId) {
        let former = lock(&self.vaults).insert(of_vault(key), vault.clone());
        if former.as_ref() != Some(&vault) {
            self.forget(key);
        }
    }

    /// Effect: this run gave a principal access to the key just now.
    pub fn granted(&self, key: &VaultKeyId) {
        lock(&self.granted).insert(of_vault(key), Instant::now());
    }

    /// Whether this run gave a principal access to one of these keys so lately that parts of Azure may not show it.
    pub fn has_granted_lately(&self, keys: &[VaultKeyId]) -> bool {
        let granted = lock(&self.granted);
        keys.iter()
            .filter_map(|key| granted.get(&of_vault(key)))
            .any(|at| at.elapsed() < TAKES_EFFECT)
    }

    /// Effect: the next proof reads the key again, because this run has changed it.
    pub fn forget(&self, key: &VaultKeyId) {
        self.keys.forget_all(|own| own.is_same_key(key));
        self.places.forget(&of_vault(key));
        self.grants.forget_all(|(own, _)| own.is_same_key(key));
    }

    /// Effect: the access that this run had planned for a key and a workspace is in the vault now, so the next proof reads it there. The
    /// plans of other workspaces stay.
    pub fn access_was_given(&self, key: &VaultKeyId, workspace: Option<&WorkspaceResourceId>) {
        self.forget(key);
        if let Some(all) = lock(&self.planned).get_mut(&of_vault(key)) {
            all.retain(|one| one.workspace.as_ref() != workspace);
        }
    }

    /// Effect: the next plan reads the workspace again, because this run has changed it.
    pub fn forget_workspace(&self, id: &WorkspaceResourceId) {
        lock(&self.workspaces).remove(id);
    }

    /// Waits for the lock of a key's vault. A task holds it while it changes access: two resources of one run may change the same vault,
    /// and its access policies are one list.
    pub async fn lock_vault(&self, key: &VaultKeyId) -> OwnedMutexGuard<()> {
        // Each vault has one lock, which all its keys share.
        self.vault_locks.hold(VaultKeyId::any_of(key)).await
    }

    /// Waits for the lock of a workspace. A task holds it while it reads, changes and sends the workspace:
    /// two resources of one run may change the same one.
    pub async fn lock_workspace(&self, id: &WorkspaceResourceId) -> OwnedMutexGuard<()> {
        self.workspace_locks.hold(id.clone()).await
    }

    /// A workspace for a plan; a run reads it once, and everything that needs it waits for that read.
    ///
    /// # Errors
    /// When Azure refuses or cannot be reached.
    pub async fn workspace_for_plan(
        &self,
        id: &WorkspaceResourceId,
    ) -> Result<ArmWorkspace, AzureError> {
        let cell = Arc::clone(lock(&self.workspaces).entry(id.clone()).or_default());
        cell.get_or_init(|| self.cloud.workspace(id)).await.clone()
    }

    /// Effect: a key configuration of this run has the key, for these use cases. Where several have it, what one of them is for counts.
    pub fn is_made_for(&self, key: &VaultKeyId, cases: impl IntoIterator<Item = UseCase>) {
        let mut all = lock(&self.made_for);
        all.entry(key.clone()).or_default().extend(cases);
    }

    /// For what the key configurations of this run have the key; `None` where none has it.
    pub fn made_for(&self, key: &VaultKeyId) -> Option<BTreeSet<UseCase>> {
        lock(&self.made_for).get(key).cloned()
    }

    /// Effect: a resource of this run names this as the object ID of AzureDatabricks in the tenant.
    pub fn databricks_is(&self, principal: &PrincipalId) {
        *lock(&self.named_databricks) = Some(principal.clone());
    }

    /// The object ID of the application AzureDatabricks in the tenant: the one that the provider block names, the one that Graph shows, or,
    /// where Graph is closed, the one that a resource of this run names; `None` when the tenant has none.
    ///
    /// # Errors
    /// When Graph refuses or cannot be reached.
    pub async fn databricks(&self) -> Result<Option<PrincipalId>, AzureError> {
        if let Some(own) = &self.cloud.settings().databricks_principal {
            return Ok(Some(own.clone()));
        }
        let found = self.databricks_in_graph().await;
        match (found, &*lock(&self.named_databricks)) {
            (Err(_), Some(named)) => Ok(Some(named.clone())),
            (found, _) => found,
        }
    }

    /// The object ID of AzureDatabricks as Microsoft Graph shows it; a run that has read it does not read it again.
    ///
    /// # Errors
    /// When Graph refuses or cannot be reached.
    pub async fn databricks_in_graph(&self) -> Result<Option<PrincipalId>, AzureError> {
        let read = || self.cloud.principal_of(AZURE_DATABRICKS);
        self.databricks.of_run(read).await
    }

    /// The vault of a key: the one in `named`, one that a resource of this run has named, or the one that the provider finds in the
    /// subscription of the workspace or its own.
    async fn vault_of(
        &self,
        key: &VaultKeyId,
        named: Option<&VaultResourceId>,
        workspace: Option<&WorkspaceResourceId>,
    ) -> Result<VaultResourceId, String> {
        if let Some(named) = named {
            return Ok(named.clone());
        }
        if let Some(known) = lock(&self.vaults).get(&of_vault(key)) {
            return Ok(known.clone());
        }
        let mut subscriptions: Vec<String> = workspace
            .map(|workspace| workspace.id().subscription().to_owned())
            .into_iter()
            .chain(self.cloud.settings().subscription.clone())
            .collect();
        subscriptions.dedup();
        let mut refused = Vec::new();
        for subscription in &subscriptions {
            match self.cloud.find_vault(subscription, key).await {
                Ok(Some(found)) => {
                    lock(&self.vaults).insert(of_vault(key), found.clone());
                    return Ok(found);
                }
                Ok(None) => {}
                Err(error) => refused.push(format!("{subscription}: {error}")),
            }
        }
        Err(match (subscriptions.is_empty(), refused.is_empty()) {
            (true, _) => format!(
                "it is not known in which subscription {} is (`azure.subscription_id`)",
                key.vault()
            ),
            (false, true) => format!(
                "{} was not found in the subscription {}",
                key.vault(),
                subscriptions.join(" or ")
            ),
            (false, false) => format!(
                "{} was looked for, and Azure refused: {}",
                key.vault(),
                refused.join("; ")
            ),
        })
    }

    async fn place(
        &self,
        key: &VaultKeyId,
        named: Option<&VaultResourceId>,
        workspace: Option<&WorkspaceResourceId>,
        stage: Stage,
    ) -> PlaceFacts {
        let read = || async {
            let id = self.vault_of(key, named, workspace).await;
            let vault = match &id {
                Ok(id) => fact(self.cloud.vault(id, key.name()).await),
                Err(reason) => not_read(reason.clone()),
            };
            PlaceFacts { id, vault }
        };
        self.places.get(stage, &of_vault(key), read).await
    }

    /// A version of a key, or the current one: from the vault, or from Resource Manager where the firewall of the vault does not let
    /// this machine in.
    ///
    /// # Errors
    /// When both refuse, or cannot be reached.
    pub async fn key(
        &self,
        key: &VaultKeyId,
        named: Option<&VaultResourceId>,
        workspace: Option<&WorkspaceResourceId>,
    ) -> Result<VaultKey, AzureError> {
        let shut_out = match self.cloud.key(key).await {
            Err(error @ AzureError::Firewall(_)) => error,
            outcome => return outcome,
        };
        let Ok(vault) = self.vault_of(key, named, workspace).await else {
            return Err(shut_out);
        };
        match self.cloud.key_by_resource_manager(&vault, key).await {
            // If Resource Manager refuses too, the error of the vault says why.
            Err(AzureError::Denied(_) | AzureError::Refused { .. }) => Err(shut_out),
            outcome => outcome,
        }
    }

    /// Why the vault does not have a key, as far as it shows.
    async fn absence(&self, key: &VaultKeyId) -> Absence {
        if key.version().is_some() && self.cloud.key(&key.versionless()).await.is_ok() {
            return Absence::OtherVersions;
        }
        match self.cloud.deleted_key(key).await {
            Ok(Some(deleted)) => Absence::Deleted {
                purged: deleted.purged,
            },
            // An identity that is not allowed to read deleted keys does not learn more; the key is
            // not there in any case.
            Ok(None) | Err(_) => Absence::Unexplained,
        }
    }

    async fn read_version(
        &self,
        key: &VaultKeyId,
        named: Option<&VaultResourceId>,
        workspace: Option<&WorkspaceResourceId>,
    ) -> VersionFacts {
        if !self.cloud.is_cloud_of(key) {
            let configured = self.cloud.settings().cloud.word();
            return VersionFacts {
                barrier: Some(Barrier::OtherCloud { configured }),
                key: not_read("it is in another environment".to_owned()),
                absence: Absence::default(),
            };
        }
        let found = self.key(key, named, workspace).await;
        VersionFacts {
            barrier: match &found {
                Err(AzureError::Credentials(why)) => Some(Barrier::NoToken(why.clone())),
                _ => None,
            },
            absence: match &found {
                Err(AzureError::NotFound(_)) => self.absence(key).await,
                _ => Absence::default(),
            },
            key: fact(found),
        }
    }

    /// The roles of a principal at a key.
    async fn roles(
        &self,
        key: &VaultKeyId,
        vault: &VaultResourceId,
        model: &AccessModel,
        principal: &PrincipalId,
    ) -> GrantFact {
        match model {
            AccessModel::AccessPolicies(_) => Fact::Known(Vec::new()),
            AccessModel::RoleAssignments(_) => fact(
                self.cloud
                    .role_assignments(vault, key.name(), principal)
                    .await,
            ),
            AccessModel::LocalRoles => fact(self.cloud.local_roles(key, principal).await),
        }
    }

    /// The facts of a key, with the access that these principals have.
    pub async fn facts(
        &self,
        key: &VaultKeyId,
        named: Option<&VaultResourceId>,
        workspace: Option<&WorkspaceResourceId>,
        principals: &[PrincipalId],
        stage: Stage,
    ) -> VaultKeyFacts {
        let read = || self.read_version(key, named, workspace);
        let version = self.keys.get(stage, key, read).await;
        if let (None, Fact::Known(found)) = (key.version(), &version.key) {
            // The run has read the newest version now: a proof that asks for it by name takes this read.
            self.keys.is_also(key, key.with_version(&found.version));
        }
        let place = match version.barrier {
            None => self.place(key, named, workspace, stage).await,
            // A credential that gives no token for the vault gives none for Resource Manager either.
            Some(_) => PlaceFacts {
                id: named.cloned().ok_or_else(String::new),
                vault: not_read("Azure was not asked".to_owned()),
            },
        };
        let mut assignments = BTreeMap::new();
        if let (Ok(id), Fact::Known(vault)) = (&place.id, &place.vault) {
            for principal in principals {
                let of = (of_vault(key), principal.clone());
                let read = || self.roles(key, id, &vault.access, principal);
                let roles = self.grants.get(stage, &of, read).await;
                assignments.insert(principal.clone(), roles);
            }
        }
        VaultKeyFacts {
            id: key.clone(),
            barrier: version.barrier,
            key: version.key,
            absence: version.absence,
            vault_id: place.id.ok(),
            vault: place.vault,
            assignments,
            planned: match stage {
                Stage::Plan => {
                    let all = lock(&self.planned).get(&of_vault(key)).cloned();
                    all.unwrap_or_default()
                }
                // Right before an attach, only what Azure shows counts.
                Stage::Apply => Vec::new(),
            },
            at: doors::clock::now(),
        }
    }

    /// The finding about a key that its vault does not have, or not in this version; `None` where the vault has it, or the provider
    /// cannot read it.
    pub async fn absent(
        &self,
        key: &VaultKeyId,
        vault: Option<&VaultResourceId>,
    ) -> Option<Finding> {
        let facts = self.facts(key, vault, None, &[], Stage::Plan).await;
        let is_missing = matches!(&facts.key, Fact::Unreadable(why) if why.is_missing);
        let findings = judge_version(&facts, &Question::of_nobody(Stage::Plan));
        findings.into_iter().next().filter(|_| is_missing)
    }

    async fn facts_for(&self, check: &AzureKeyCheck, question: &Question) -> VaultKeyFacts {
        let grantees = question.grantees.iter();
        let principals: Vec<PrincipalId> =
            grantees.map(|grantee| grantee.principal.clone()).collect();
        self.facts(
            &check.key,
            check.vault.as_ref(),
            question.workspace.as_ref(),
            &principals,
            question.stage,
        )
        .await
    }

    /// The same question, when the key policy of the run may have made identities that did not exist when it was put first.
    async fn asked_again(&self, check: &AzureKeyCheck, question: Question) -> Question {
        let (Some(roles), Some(id)) = (check.roles, &question.workspace) else {
            return question;
        };
        let Ok(workspace) = self.cloud.workspace(id).await else {
            return question;
        };
        let (grantees, not_known) = self
            .grantees(&question.cases, Some(&workspace), None, roles)
            .await;
        Question {
            grantees,
            not_known,
            ..question
        }
    }

    /// The workspaces that use a key, in every subscription that the caller sees.
    ///
    /// # Errors
    /// When Azure lists no subscription, or the workspaces of none.
    pub async fn users(&self, key: &VaultKeyId) -> Result<AzureUsers, AzureError> {
        self.users_of_keys(|own| own.is_same_key(key)).await
    }

    /// Which workspaces use one of these keys.
    ///
    /// # Errors
    /// When no workspace can be read.
    pub async fn users_of_keys(
        &self,
        is_of: impl Fn(&VaultKeyId) -> bool + Send + Sync,
    ) -> Result<AzureUsers, AzureError> {
        let own = self.cloud.settings().subscription.clone();
        let mut users = AzureUsers::default();
        let mut subscriptions = match (self.cloud.subscriptions().await, &own) {
            (Ok(all), _) => all,
            (Err(error), None) => return Err(error),
            (Err(error), Some(_)) => {
                users.not_visible.push(NotVisible {
                    what: "Workspaces in other subscriptions".to_owned(),
                    why: format!("The subscriptions could not be listed ({error})."),
                });
                Vec::new()
            }
        };
        subscriptions.extend(own);
        subscriptions.sort();
        subscriptions.dedup();
        let mut last = None;
        let mut any = false;
        for subscription in subscriptions {
            match self.cloud.workspaces(&subscription).await {
                Ok(all) => {
                    any = true;
                    all.into_iter().for_each(|one| users.take(&is_of, one));
                }
                Err(error) => {
                    users.not_visible.push(NotVisible {
                        what: format!("Workspaces in the subscription {subscription}"),
                        why: format!("They could not be listed ({error})."),
                    });
                    last = Some(error);
                }
            }
        }
        match last {
            Some(error) if !any => Err(error),
            _ => Ok(users),
        }
    }

    /// The state of a key, read now.
    pub(super) async fn state(&self, key: &VaultKeyId) -> Result<KeyState, AzureError> {
        match self.key(key, None, None).await {
            Ok(found) => Ok(state_of(&found, doors::clock::now())),
            Err(AzureError::NotFound(_)) => match self.absence(key).await {
                Absence::Deleted { .. } => Ok(KeyState::PendingDeletion),
                // The key was there when the proof ended.
                Absence::OtherVersions | Absence::Unexplained => Ok(gone()),
            },
            Err(error) => Err(error),
        }
    }

    /// What a workspace asks of the key that it has for a use case: the attached version, and every identity that needs it now. `None` where
    /// the workspace has no key that the provider can read.
    pub async fn check_of(
        &self,
        workspace: &ArmWorkspace,
        case: UseCase,
        stage: Stage,
    ) -> Option<AzureKeyCheck> {
        let attached = workspace.key(case);
        let version = attached.known()?;
        let (grantees, not_known) = self
            .grantees(&[case], Some(workspace), None, roles_of)
            .await;
        Some(AzureKeyCheck {
            key: version.clone(),
            vault: None,
            question: Question {
                cases: vec![case],
                used_for: workspace.facts().used_for(version),
                grantees,
                not_known,
                workspace: Some(workspace.id().clone()),
                location: workspace.location().map(str::to_owned),
                tenant: workspace.tenant().map(str::to_owned),
                stage,
            },
            roles: None,
        })
    }

    /// The identities that need a key for some use cases of a workspace, from what the workspace and the tenant show. `roles`: which roles
    /// count for a use case. The second list has those that the provider does not know, and why.
    pub async fn grantees(
        &self,
        cases: &[UseCase],
        workspace: Option<&ArmWorkspace>,
        databricks: Option<&PrincipalId>,
        roles: fn(UseCase) -> &'static [Role],
    ) -> (Vec<Grantee>, Vec<(Role, UseCase, Unknown)>) {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for case in cases {
            for role in roles(*case) {
                let found = match role {
                    Role::AzureDatabricks => match databricks {
                        Some(own) => Ok(own.clone()),
                        None => match self.databricks().await {
                            Ok(Some(found)) => Ok(found),
                            Ok(None) => Err(Unknown::NotInTenant),
                            Err(error) => Err(Unknown::Unread(format!(
                                "Microsoft Graph does not show it: {error}"
                            ))),
                        },
                    },
                    Role::StorageAccount | Role::DiskEncryptionSet => {
                        of_workspace(*role, workspace)
                    }
                    // No use case of a workspace has this role.
                    Role::TableStorage => continue,
                };
                match found {
                    Ok(principal) => known.push(Grantee {
                        role: *role,
                        principal,
                        case: (*case).into(),
                    }),
                    Err(why) => unknown.push((*role, *case, why)),
                }
            }
        }
        (known, unknown)
    }
}

/// A workspace that uses a key.
#[derive(Clone, Debug)]
pub struct AzureUser {
    /// The workspace, as Resource Manager shows it.
    pub workspace: ArmWorkspace,
    /// Which of its data the key encrypts.
    pub cases: Vec<UseCase>,
}

impl AzureUser {
    /// Whether the workspace uses this version of the key; a workspace that names no version uses the newest. `is_newest`:
    /// whether `version` is the newest.
    pub fn uses(&self, version: &str, is_newest: bool) -> bool {
        self.cases.iter().any(|case| {
            let attached = self.workspace.key(*case);
            attached.known().is_some_and(|key| match key.version() {
                Some(own) => own.eq_ignore_ascii_case(version),
                None => is_newest,
            })
        })
    }
}

/// The users of a key.
#[derive(Clone, Debug, Default)]
pub struct AzureUsers {
    /// The workspaces that use it.
    pub workspaces: Vec<AzureUser>,
    /// What may use the key, while the caller has no right to read it.
    pub not_visible: Vec<NotVisible>,
    /// The workspaces in `not_visible`: each may use the key.
    pub unreadable: Vec<String>,
}

impl AzureUsers {
    fn take(
        &mut self,
        is_of: impl Fn(&VaultKeyId) -> bool,
        found: Result<ArmWorkspace, AzureError>,
    ) {
        let workspace = match found {
            Ok(workspace) => workspace,
            Err(error) => {
                self.unreadable
                    .push(format!("a workspace that cannot be read ({error})"));
                self.not_visible.push(NotVisible {
                    what: "A workspace".to_owned(),
                    why: format!("It cannot be read ({error}). It may have this key."),
                });
                return;
            }
        };
        let mut cases = Vec::new();
        for case in UseCase::ALL {
            match workspace.key(case) {
                AttachedVaultKey::Known(own) if is_of(&own) => cases.push(case),
                AttachedVaultKey::Unreadable(text) => {
                    self.unreadable.push(format!(
                        "{}: it shows `{text}` as its key for {}, which the provider cannot read, so it may use this one",
                        workspace.id(),
                        case.in_words()
                    ));
                    self.not_visible.push(NotVisible {
                        what: format!("The workspace {}", workspace.id()),
                        why: format!(
                            "It shows this as its key for {}: {text}. It may be this key.",
                            case.in_words()
                        ),
                    });
                }
                AttachedVaultKey::Known(_) | AttachedVaultKey::None => {}
            }
        }
        if !cases.is_empty() {
            self.workspaces.push(AzureUser { workspace, cases });
        }
    }
}

/// The identity of a workspace in a role, or why the provider does not know it.
fn of_workspace(role: Role, workspace: Option<&ArmWorkspace>) -> Result<PrincipalId, Unknown> {
    let Some(workspace) = workspace else {
        return Err(Unknown::Unread("the workspace is not known".to_owned()));
    };
    let shown = match role {
        Role::StorageAccount => workspace.storage_principal(),
        _ => workspace.disks_principal(),
    };
    match shown {
        Ok(Some(principal)) => Ok(principal),
        Ok(None) => Err(Unknown::NotYetMade),
        Err(why) => Err(Unknown::Unread(why)),
    }
}

impl Service for AzureKeys {
    type KeyCheck = AzureKeyCheck;

    fn about(&self, check: &AzureKeyCheck) -> About {
        About {
            key: check.key.versionless().into(),
            workspace: check.question.workspace.as_ref().map(ToString::to_string),
            stage: check.question.stage,
        }
    }

    async fn judged(&self, check: &AzureKeyCheck) -> Vec<Finding> {
        let stage = check.question.stage;
        let findings = judge(
            &self.facts_for(check, &check.question).await,
            &check.question,
        );
        let mut ids = findings.iter().map(|one| one.id);
        if stage == Stage::Plan || !ids.any(|id| id.by_policy().is_waited_for(stage)) {
            return findings;
        }
        // A key policy of this run may have made identities since the run read the workspace.
        let question = self.asked_again(check, check.question.clone()).await;
        judge(&self.facts_for(check, &question).await, &question)
    }

    fn has_been_read(&self, check: &AzureKeyCheck) -> bool {
        let mut grants = names_of_grants(check);
        self.keys.has_been_read(&check.key)
            || self.places.has_been_read(&of_vault(&check.key))
            || grants.any(|name| self.grants.has_been_read(&name))
    }

    async fn forget_before(&self, moment: Instant, check: &AzureKeyCheck) -> bool {
        let mut is_forgotten = self.keys.forget_before(moment, &check.key).await;
        is_forgotten |= self
            .places
            .forget_before(moment, &of_vault(&check.key))
            .await;
        for name in names_of_grants(check) {
            is_forgotten |= self.grants.forget_before(moment, &name).await;
        }
        is_forgotten
    }
}

/// The names under which the caches keep the access of the identities of a check.
fn names_of_grants(
    check: &AzureKeyCheck,
) -> impl Iterator<Item = (VaultKeyId, PrincipalId)> + Send {
    let of = of_vault(&check.key);
    let grantees = check.question.grantees.iter();
    grantees.map(move |grantee| (of.clone(), grantee.principal.clone()))
}

impl Readable for VersionFacts {
    fn is_unreadable(&self) -> bool {
        self.key.is_unreadable()
    }
}

impl Readable for PlaceFacts {
    fn is_unreadable(&self) -> bool {
        self.vault.is_unreadable()
    }
}

impl AzureKeyCheck {
    /// The key that the check is about.
    pub(super) fn name(&self) -> Key {
        self.key.clone().into()
    }

    /// What the user does so that a key in this state can be used again.
    pub(super) fn enabling(&self, state: &KeyState) -> Remedy {
        match state {
            KeyState::Other(_) => Remedy::say(
                "Change the dates of the version (`expiration_date`, `not_before_date`), or rotate the key and use the new version.",
            ),
            _ => enabling(&self.key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::config::Config;
    use serde_json::{Value as Json, json};

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    const VAULT: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/";
    const WORKSPACE: &str =
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Databricks/workspaces/";
    const V1: &str = "11111111111111111111111111111111";
    const V2: &str = "22222222222222222222222222222222";

    fn keys() -> AzureKeys {
        let (settings, _) = Config::default().azure();
        AzureKeys::new(settings, true)
    }

    fn key(path: &str) -> Result<VaultKeyId, Box<dyn std::error::Error>> {
        Ok(format!("https://acme.vault.azure.net/keys/{path}").parse()?)
    }

    fn workspace_id(name: &str) -> Result<WorkspaceResourceId, Box<dyn std::error::Error>> {
        Ok(format!("{WORKSPACE}{name}").parse()?)
    }

    fn principal() -> Result<PrincipalId, Box<dyn std::error::Error>> {
        Ok("11111111-1111-4111-8111-111111111111".parse()?)
    }

    /// Fills the caches, as if the run had read a key: its versions, its vault, and who has access.
    async fn read(keys: &AzureKeys, key: &VaultKeyId) -> Outcome {
        for own in [
            key.versionless(),
            key.with_version(V1),
            key.with_version(V2),
        ] {
            let version = VersionFacts {
                barrier: None,
                key: not_read("a test".to_owned()),
                absence: Absence::default(),
            };
            keys.keys.get(Stage::Plan, &own, async || version).await;
        }
        let place = PlaceFacts {
            id: Err(String::new()),
            vault: not_read("a test".to_owned()),
        };
        let of = of_vault(key);
        keys.places.get(Stage::Plan, &of, async || place).await;
        let grants = async || Fact::Known(Vec::new());
        keys.grants
            .get(Stage::Plan, &(of, principal()?), grants)
            .await;
        Ok(())
    }

    /// How many versions, vaults and grants of two keys the caches still have.
    fn believed(
        keys: &AzureKeys,
        both: [&VaultKeyId; 2],
    ) -> Result<(usize, usize, usize), Box<dyn std::error::Error>> {
        let mut all = (0, 0, 0);
        for key in both {
            for own in [
                key.versionless(),
                key.with_version(V1),
                key.with_version(V2),
            ] {
                all.0 += usize::from(keys.keys.has_been_read(&own));
            }
            let of = of_vault(key);
            all.1 += usize::from(keys.places.has_been_read(&of));
            all.2 += usize::from(keys.grants.has_been_read(&(of, principal()?)));
        }
        Ok(all)
    }

    /// Each row: what happens to a key of which, as of another one, the run has read three versions, the vault and one grant, and what
    /// the caches still have of the two.
    #[tokio::test]
    async fn what_was_read_of_a_key_goes_with_every_version_of_it() -> Outcome {
        let (one, other) = (key("k")?, key("other")?);
        let vault = |name: &str| format!("{VAULT}{name}").parse::<VaultResourceId>();
        let (first, second) = (vault("acme")?, vault("ACME2")?);
        type Happens<'a> = (&'a str, &'a dyn Fn(&AzureKeys) -> Outcome, bool);
        let rows: [Happens<'_>; 7] = [
            ("nothing", &|_| Ok(()), false),
            (
                "it is forgotten",
                &|keys| {
                    keys.forget(&one);
                    Ok(())
                },
                true,
            ),
            (
                "by a version",
                &|keys| {
                    keys.forget(&one.with_version(V2));
                    Ok(())
                },
                true,
            ),
            (
                "access was given",
                &|keys| {
                    keys.access_was_given(&one, Some(&workspace_id("w")?));
                    Ok(())
                },
                true,
            ),
            (
                "its vault is named",
                &|keys| {
                    keys.is_in_vault(&one, first.clone());
                    Ok(())
                },
                true,
            ),
            (
                "its vault is named, as it was known",
                &|keys| {
                    lock(&keys.vaults).insert(of_vault(&one), first.clone());
                    keys.is_in_vault(&one.with_version(V1), first.clone());
                    Ok(())
                },
                false,
            ),
            (
                "another vault is named",
                &|keys| {
                    lock(&keys.vaults).insert(of_vault(&one), first.clone());
                    keys.is_in_vault(&one, second.clone());
                    Ok(())
                },
                true,
            ),
        ];
        for (name, happens, is_forgotten) in rows {
            let keys = keys();
            read(&keys, &one).await?;
            read(&keys, &other).await?;
            happens(&keys)?;
            let expected = if is_forgotten { (3, 1, 1) } else { (6, 2, 2) };
            assert_eq!(believed(&keys, [&one, &other])?, expected, "{name}");
        }
        Ok(())
    }

    /// After a refusal, the provider drops the reads that are older than the examination.
    #[tokio::test(start_paused = true)]
    async fn what_is_older_than_a_refusal_is_read_again() -> Outcome {
        for stage in [Stage::Apply, Stage::Plan] {
            let (keys, key, other) = (keys(), key("k")?, key("other")?);
            let grantees = vec![Grantee {
                role: Role::StorageAccount,
                principal: principal()?,
                case: UseCase::Storage.into(),
            }];
            let case = AzureKeyCheck {
                key: key.clone(),
                vault: None,
                question: Question {
                    grantees,
                    ..Question::of_nobody(stage)
                },
                roles: None,
            };
            assert!(!keys.has_been_read(&case));
            read(&keys, &key).await?;
            read(&keys, &other).await?;
            assert!(keys.has_been_read(&case));
            assert!(!keys.forget_before(Instant::now(), &case).await);
            tokio::time::advance(Duration::from_millis(1)).await;
            assert!(keys.forget_before(Instant::now(), &case).await);
            assert!(!keys.has_been_read(&case));
            assert_eq!(believed(&keys, [&key, &other])?, (5, 1, 1));
        }
        Ok(())
    }

    /// Once the provider has given access, it is no longer planned, for its workspace alone.
    #[test]
    fn what_is_planned_for_another_workspace_is_still_to_come() -> Outcome {
        let (keys, key) = (keys(), key("k")?);
        let planned = |workspace: Option<WorkspaceResourceId>| PlannedAccess {
            workspace,
            ..PlannedAccess::default()
        };
        let (one, other) = (workspace_id("one")?, workspace_id("other")?);
        for workspace in [
            Some(one.clone()),
            Some(other.clone()),
            None,
            Some(one.clone()),
        ] {
            keys.will_grant(&key.with_version(V1), planned(workspace));
        }
        let left = || -> Vec<Option<WorkspaceResourceId>> {
            let all = lock(&keys.planned).get(&key).cloned().unwrap_or_default();
            all.into_iter().map(|one| one.workspace).collect()
        };
        // Planning the same twice counts once, and the version does not matter.
        assert_eq!(left(), [Some(one.clone()), Some(other.clone()), None]);
        keys.access_was_given(&key, Some(&one));
        assert_eq!(left(), [Some(other.clone()), None]);
        keys.access_was_given(&key.with_version(V2), None);
        assert_eq!(left(), [Some(other)]);
        Ok(())
    }

    /// Each row: how long ago the run gave access (seconds), to which key, and whether a refusal may be about that.
    #[tokio::test(start_paused = true)]
    async fn access_takes_ten_minutes_everywhere() -> Outcome {
        let rows = [
            (0, "k", true),
            (599, "k", true),
            (600, "k", false),
            (0, "other", false),
        ];
        for (seconds, asked, is_late) in rows {
            let keys = keys();
            assert!(!keys.has_granted_lately(&[key("k")?]));
            keys.granted(&key("k")?.with_version(V1));
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            // Of several keys, one is enough.
            let all = [key("third")?, key(asked)?.with_version(V2)];
            assert_eq!(keys.has_granted_lately(&all), is_late, "{seconds} {asked}");
        }
        Ok(())
    }

    /// The access policies of a vault are one list: tasks that change it take turns, whichever of
    /// its keys they are for.
    #[tokio::test]
    async fn one_at_a_time_changes_a_vault_and_a_workspace() -> Outcome {
        let keys = keys();
        let is_free = async |key: &VaultKeyId| {
            tokio::select! {
                biased;
                _ = keys.lock_vault(key) => true,
                () = tokio::task::yield_now() => false,
            }
        };
        let held = keys.lock_vault(&key("k")?).await;
        assert!(!is_free(&key("k")?.with_version(V1)).await);
        assert!(!is_free(&key("other")?).await);
        assert!(is_free(&"https://second.vault.azure.net/keys/k".parse()?).await);
        drop(held);
        assert!(is_free(&key("other")?).await);
        let held = keys.lock_workspace(&workspace_id("w")?).await;
        for (name, expected) in [("w", false), ("W", false), ("x", true)] {
            let id = workspace_id(name)?;
            let is_free = tokio::select! {
                biased;
                _ = keys.lock_workspace(&id) => true,
                () = tokio::task::yield_now() => false,
            };
            // Azure does not distinguish upper and lower case.
            assert_eq!(is_free, expected, "{name}");
        }
        drop(held);
        Ok(())
    }

    /// A workspace whose features have these keys: `vault/key/version`.
    fn workspace(
        name: &str,
        services: &str,
        disks: &str,
    ) -> Result<ArmWorkspace, Box<dyn std::error::Error>> {
        let entity = |shown: &str| -> Json {
            let parts: Vec<&str> = shown.split('/').collect();
            match parts.as_slice() {
                [vault, key, version] => {
                    json!({ "keySource": "Microsoft.Keyvault", "keyVaultProperties":
                    { "keyVaultUri": format!("https://{vault}.vault.azure.net/"), "keyName": key, "keyVersion": version } })
                }
                [""] => Json::Null,
                _ => {
                    json!({ "keySource": "Microsoft.Keyvault", "keyVaultProperties": { "keyName": 7 } })
                }
            }
        };
        let json = json!({ "location": "westeurope", "properties": { "provisioningState": "Succeeded", "encryption":
            { "entities": { "managedServices": entity(services), "managedDisk": entity(disks) } } } });
        Ok(ArmWorkspace::new(workspace_id(name)?, json)?)
    }

    /// Each row: the keys of managed services and of managed disks of a workspace; for which data it uses the key in question, which of its
    /// versions 1 (not the newest) and 2 (the newest) it uses, and whether the provider cannot read some of it.
    #[test]
    fn who_uses_a_key_or_may_use_it_is_listed() -> Outcome {
        use UseCase::{ManagedDisks, ManagedServices};
        let first = format!("acme/k/{V1}");
        let second = format!("ACME/K/{V2}");
        let (other_key, other_vault) = (format!("acme/other/{V1}"), format!("second/k/{V1}"));
        type Row<'a> = (&'a str, &'a str, &'a [UseCase], [bool; 2], bool);
        let rows: [Row<'_>; 8] = [
            ("", "", &[], [false, false], false),
            (&first, "", &[ManagedServices], [true, false], false),
            ("", &second, &[ManagedDisks], [false, true], false),
            (
                &first,
                &second,
                &[ManagedServices, ManagedDisks],
                [true, true],
                false,
            ),
            (&other_key, "", &[], [false, false], false),
            (&other_vault, "", &[], [false, false], false),
            ("not read", "", &[], [false, false], true),
            ("not read", &first, &[ManagedDisks], [true, false], true),
        ];
        let asked = key("k")?;
        for (services, disks, cases, versions, is_unread) in rows {
            let mut users = AzureUsers::default();
            users.take(
                |own| own.is_same_key(&asked),
                Ok(workspace("w", services, disks)?),
            );
            let name = format!("{services} {disks}: {users:?}");
            let found: Vec<UseCase> = users
                .workspaces
                .iter()
                .flat_map(|one| one.cases.clone())
                .collect();
            assert_eq!(found, cases, "{name}");
            let uses = |version: &str, is_newest| {
                let mut all = users.workspaces.iter();
                all.any(|one| one.uses(version, is_newest))
            };
            assert_eq!(
                [uses(V1, false), uses(&V2.to_uppercase(), true)],
                versions,
                "{name}"
            );
            // A workspace that the caller cannot read is in both lists: as one that may use the
            // key, and as not visible.
            assert_eq!(
                (users.unreadable.len(), users.not_visible.len()),
                if is_unread { (1, 1) } else { (0, 0) },
                "{name}"
            );
        }
        let mut users = AzureUsers::default();
        users.take(|_| true, Err(AzureError::Denied("no".to_owned())));
        assert_eq!(
            (
                users.workspaces.len(),
                users.unreadable.len(),
                users.not_visible.len()
            ),
            (0, 1, 1)
        );
        Ok(())
    }

    /// Each row: the identity of a workspace, as the workspace shows it, and the answer.
    #[test]
    fn an_identity_is_known_or_why_it_is_not() -> Outcome {
        let with = |properties: Json| -> Result<ArmWorkspace, Box<dyn std::error::Error>> {
            let json = json!({ "location": "westeurope", "properties": properties });
            Ok(ArmWorkspace::new(workspace_id("w")?, json)?)
        };
        const ID: &str = "11111111-1111-4111-8111-111111111111";
        let rows = [
            (json!({}), "not made"),
            (
                json!({ "storageAccountIdentity": { "principalId": ID }, "managedDiskIdentity": { "principalId": ID } }),
                ID,
            ),
            (
                json!({ "storageAccountIdentity": { "principalId": "?" }, "managedDiskIdentity": { "principalId": "?" } }),
                "not read",
            ),
        ];
        for role in [Role::StorageAccount, Role::DiskEncryptionSet] {
            for (properties, expected) in &rows {
                let workspace = with(properties.clone())?;
                let found = match of_workspace(role, Some(&workspace)) {
                    Ok(principal) => principal.to_string(),
                    Err(Unknown::NotYetMade) => "not made".to_owned(),
                    Err(Unknown::Unread(_)) => "not read".to_owned(),
                    Err(other) => format!("{other:?}"),
                };
                assert_eq!(found, *expected, "{role:?} {properties}");
            }
            assert!(matches!(of_workspace(role, None), Err(Unknown::Unread(_))));
        }
        Ok(())
    }
}
