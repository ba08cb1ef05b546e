//! The binding of a workspace on AWS or Google Cloud: two fields of the workspace in the Databricks account.

mod proof;

use tokio::sync::OwnedMutexGuard;

use self::proof::{examine, examine_planned};
use super::attach::{Wanted, Workspaces, attach as attach_to};
use super::{Examined, WorkspaceBindingModel, cannot_detach, place, refuse_second_binding, text};
use crate::databricks::Account;
use crate::databricks::workspaces::{KeyFields, Workspace};
use crate::preflight::binding::ConfigurationKey;
use crate::preflight::{Finding, Stage};
use crate::provider::attach::Orders;
use crate::provider::attach::account::{
    AccountWorkspace, attached, required, settle_time, workspace,
};
use crate::provider::catalog_users::warn_of_rotation;
use crate::provider::client::{Client, account_to_read, enforce};
use crate::provider::diagnose::{self, Unavailable, as_first_warnings, as_warnings, later};
use crate::provider::keys::{KeyCheck, key_of};
use crate::requirements::transition;
use crate::vocabulary::{
    Cloud, IdError, Key, KeyConfigurationId, KeyReference, Tier, UseCase, WorkspaceId,
};
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::deferral::Unfinished;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::resource::{Change, Plan, Progress};

/// A binding of which nothing but its workspace is known.
fn named(workspace_id: WorkspaceId) -> WorkspaceBindingModel {
    WorkspaceBindingModel {
        id: Attr::Known(workspace_id.to_string()),
        workspace_id: Attr::Known(workspace_id),
        ..WorkspaceBindingModel::unnamed()
    }
}

fn reference(id: Option<KeyConfigurationId>) -> Attr<KeyReference> {
    id.map(KeyReference::Configuration).into()
}

impl WorkspaceBindingModel {
    /// The binding of everything that a workspace has.
    ///
    /// # Errors
    /// When the account shows a key that cannot be read.
    pub fn of(workspace: &Workspace) -> Result<Self, Diagnostics> {
        named(workspace.workspace_id)
            .showing(workspace)
            .with_all_keys_of(workspace)
    }

    /// The key configuration for a use case. What is none was refused before.
    pub(super) fn configuration(&self, case: UseCase) -> Attr<KeyConfigurationId> {
        match self.wanted(case) {
            Attr::Null => Attr::Null,
            Attr::Unknown => Attr::Unknown,
            Attr::Known(reference) => reference
                .configuration()
                .map_or(Attr::Unknown, |id| Attr::Known(id.clone())),
        }
    }

    /// The key configurations that the workspace must have.
    fn keys(&self) -> KeyFields {
        let one = |case| self.configuration(case).known().cloned();
        KeyFields {
            managed_services: one(UseCase::ManagedServices),
            storage: one(UseCase::Storage),
        }
    }

    /// Copies the key configurations that a workspace shows into the model.
    fn with_all_keys_of(mut self, workspace: &Workspace) -> Result<Self, Diagnostics> {
        self.managed_services_key_configuration_id =
            reference(attached(workspace, UseCase::ManagedServices)?);
        self.storage_key_configuration_id = reference(attached(workspace, UseCase::Storage)?);
        Ok(self)
    }

    /// The keys that this workspace has, as far as this binding names them.
    fn with_keys_of(self, workspace: &Workspace) -> Result<Self, Diagnostics> {
        let (managed_services, storage) = (
            self.managed_services_key_configuration_id.is_null(),
            self.storage_key_configuration_id.is_null(),
        );
        let mut all = self.with_all_keys_of(workspace)?;
        // A field that this binding does not name belongs to another owner.
        if managed_services {
            all.managed_services_key_configuration_id = Attr::Null;
        }
        if storage {
            all.storage_key_configuration_id = Attr::Null;
        }
        Ok(all)
    }

    /// What this workspace shows, in the user's words where they said something.
    fn showing(mut self, workspace: &Workspace) -> Self {
        self.workspace_name = text(&workspace.workspace_name);
        self.workspace_status = text(workspace.workspace_status.as_str());
        self.region = text(workspace.region().unwrap_or_default());
        self.pricing_tier = text(
            workspace
                .pricing_tier
                .as_ref()
                .map(Tier::as_str)
                .unwrap_or_default(),
        );
        self
    }
}

/// The key that a rotation of managed services takes from a workspace; `None` where there is none, or where the account no
/// longer has its configuration.
async fn former_key(
    client: &Client,
    account: &Account,
    prior: &WorkspaceBindingModel,
    plan: &WorkspaceBindingModel,
) -> Result<Option<String>, Diagnostics> {
    let (before, after) = (
        prior.configuration(UseCase::ManagedServices),
        plan.configuration(UseCase::ManagedServices),
    );
    let (Attr::Known(before), Attr::Known(after)) = (&before, &after) else {
        return Ok(None);
    };
    if before == after {
        return Ok(None);
    }
    let former = client.reads().configuration(account, before).await;
    let former = former.map_err(|error| {
        diagnose::account("The key configuration could not be read", &error)
            .on(UseCase::ManagedServices.attribute())
    })?;
    Ok(former
        .and_then(|former| former.cloud_and_key())
        .map(|(_, key)| key))
}

/// The keys of the configurations that a binding names, as far as they are known and can be read now.
async fn keys_as_read(
    client: &Client,
    account: &Account,
    model: &WorkspaceBindingModel,
) -> Vec<Key> {
    let mut keys = Vec::new();
    for case in UseCase::ACCOUNT {
        let Attr::Known(configuration) = model.configuration(case) else {
            continue;
        };
        // A plan that cannot read a configuration says so where it needs it: `former_key`, `keys_of`.
        let read = client.reads().configuration(account, &configuration).await;
        if let Ok(Some(remote)) = read
            && let ConfigurationKey::Known { key, .. } = key_of(&remote)
            && !keys.contains(&key)
        {
            keys.push(key);
        }
    }
    keys
}

/// Counts the catalogs that keep a key which this change takes from the workspace.
async fn count_catalogs(
    cx: &Context<Client>,
    account: &Account,
    id: WorkspaceId,
    (prior, plan): (&WorkspaceBindingModel, &WorkspaceBindingModel),
) {
    let configurations = |model: &WorkspaceBindingModel| {
        UseCase::ACCOUNT.map(|case| model.configuration(case).clone())
    };
    if configurations(prior) == configurations(plan) {
        return;
    }
    let stays = keys_as_read(cx.client(), account, plan).await;
    for former in keys_as_read(cx.client(), account, prior).await {
        if !stays.contains(&former) {
            warn_of_rotation(cx, &format!("workspace {id}"), &former).await;
        }
    }
}

/// The keys of all use cases, once their configurations are known and can be read.
async fn keys_of(
    client: &Client,
    account: &Account,
    model: &WorkspaceBindingModel,
) -> Option<Vec<(UseCase, Key)>> {
    let mut keys = Vec::new();
    for case in UseCase::ACCOUNT {
        let id = match model.configuration(case) {
            Attr::Null => continue,
            Attr::Unknown => return None,
            Attr::Known(id) => id,
        };
        let remote = client.reads().configuration(account, &id).await.ok()??;
        match key_of(&remote) {
            ConfigurationKey::Known { key, .. } => keys.push((case, key)),
            _ => return None,
        }
    }
    Some(keys)
}

/// The workspace of a binding in its account.
struct InAccount<'a> {
    account: &'a Account,
    id: WorkspaceId,
}

impl Workspaces for InAccount<'_> {
    type Workspace = Workspace;
    type Platform<'a>
        = AccountWorkspace<'a>
    where
        Self: 'a;

    const POLICIES_CHANGE_IT: bool = false;

    fn place(finding: &Finding) -> &'static str {
        place(finding)
    }

    async fn former_key(&self, wanted: Wanted<'_>) -> Result<Option<String>, Diagnostics> {
        match wanted.prior {
            Some(prior) => former_key(wanted.cx.client(), self.account, prior, wanted.plan).await,
            None => Ok(None),
        }
    }

    async fn read(&self, wanted: Wanted<'_>) -> Result<Workspace, Diagnostics> {
        // For a workspace that has its keys already, a list of the last minute is enough. One that the binding is going to change, it reads
        // on its own.
        let reads = wanted.cx.client().reads();
        let listed = reads.listed_workspace(self.account, self.id).await;
        match listed.filter(|listed| wanted.plan.keys().missing_in(listed).is_empty()) {
            Some(listed) => Ok(listed),
            None => workspace(self.account, self.id).await,
        }
    }

    fn is_missing(&self, wanted: Wanted<'_>, now: &Workspace) -> bool {
        !wanted.plan.keys().missing_in(now).is_empty()
    }

    async fn examine(&self, wanted: Wanted<'_>, now: &Workspace) -> Result<Examined, Diagnostics> {
        let client = wanted.cx.client();
        examine(client, self.account, now, wanted.plan, Stage::Apply).await
    }

    async fn lock(&self, wanted: Wanted<'_>) -> OwnedMutexGuard<()> {
        wanted.cx.client().reads().lock_workspace(self.id).await
    }

    async fn ready<'a>(
        &'a self,
        wanted: Wanted<'a>,
        now: &Workspace,
        keys: Vec<KeyCheck>,
    ) -> Result<(AccountWorkspace<'a>, Orders), Diagnostics> {
        let missing = wanted.plan.keys().missing_in(now);
        let platform = AccountWorkspace {
            client: wanted.cx.client(),
            account: self.account,
            id: self.id,
            wanted: wanted.plan.keys(),
        };
        Ok((platform, wanted.orders(keys, settle_time(&missing))))
    }

    fn was_changed(&self, wanted: Wanted<'_>, before: &Workspace, _: &Workspace) {
        // Others may have read it while it was on its way.
        if self.is_missing(wanted, before) {
            wanted.cx.client().reads().forget_workspace(self.id);
        }
    }

    async fn complete(
        &self,
        wanted: Wanted<'_>,
        now: Workspace,
    ) -> Result<WorkspaceBindingModel, Diagnostics> {
        let mut model = WorkspaceBindingModel {
            id: Attr::Known(self.id.to_string()),
            ..wanted
                .plan
                .clone()
                .filled_by(wanted.plan.clone().showing(&now))
        };
        if model.proof.is_unknown() {
            let client = wanted.cx.client();
            let keys = keys_of(client, self.account, wanted.plan).await;
            model.prove(client, keys.unwrap_or_default());
        }
        Ok(model)
    }

    async fn after_failure(&self, _: Wanted<'_>, seen: Workspace) -> Workspace {
        seen
    }

    fn truth(
        &self,
        wanted: Wanted<'_>,
        now: &Workspace,
    ) -> Result<WorkspaceBindingModel, Diagnostics> {
        Ok(WorkspaceBindingModel {
            proof: wanted.prior.map_or(Attr::Null, |prior| prior.proof.clone()),
            ..wanted.plan.clone().showing(now).with_keys_of(now)?
        })
    }
}

/// Attaches what is not attached yet, and waits until it is there to stay. `prior`: the binding in the state, where what is true can be
/// written whatever happens.
pub(super) async fn attach(
    cx: &Context<Client>,
    plan: &WorkspaceBindingModel,
    prior: Option<&WorkspaceBindingModel>,
    progress: &Progress<WorkspaceBindingModel>,
) -> Result<WorkspaceBindingModel, Diagnostics> {
    plan.refuse_vault_keys()?;
    let account = cx.client().account().await?;
    let Attr::Known(id) = plan.workspace_id else {
        return Err(Diagnostic::bug(
            "A workspace binding was applied before its workspace was known.",
        )
        .into());
    };
    attach_to(&InAccount { account, id }, cx, plan, prior, progress).await
}

fn vanished(id: WorkspaceId, account: &Account) -> Diagnostic {
    Diagnostic::warning(
        "The workspace no longer exists",
        format!(
            "The account {} no longer has workspace {id}, to which this binding attached keys. Remove this binding from the configuration; an apply \
             with it will fail.",
            account.id()
        ),
    )
    .on("workspace_id")
}

/// Whether Databricks lets the key of a use case be removed. Where the host does not tell the cloud, it must hold on each that has accounts.
fn may_be_removed(client: &Client, case: UseCase) -> bool {
    match client.databricks().cloud_of_host() {
        Some(cloud) => transition(&cloud, case).remove,
        None => [Cloud::Aws, Cloud::Gcp]
            .iter()
            .all(|cloud| transition(cloud, case).remove),
    }
}

pub(super) async fn plan(
    cx: &Context<Client>,
    change: &Change<WorkspaceBindingModel>,
    plan: &mut Plan<WorkspaceBindingModel>,
) -> Result<(), Unfinished> {
    plan.model.refuse_vault_keys()?;
    let client = cx.client();
    plan.model.id = plan.model.workspace_id.as_ref().map(ToString::to_string);
    let same_workspace =
        |prior: &&WorkspaceBindingModel| prior.workspace_id == plan.model.workspace_id;
    let prior = change.prior.as_ref().filter(same_workspace);
    for case in UseCase::ACCOUNT {
        let Some(Attr::Known(before)) = prior.map(|prior| prior.wanted(case)) else {
            continue;
        };
        if plan.model.wanted(case).is_null() && !may_be_removed(client, case) {
            return Err(cannot_detach(case, &before.to_string()).into());
        }
    }
    // A binding that moves to another workspace is planned once more, as a new one. What changes quietly has its workspace all the same.
    if let Attr::Known(id) = plan.model.workspace_id
        && (prior.is_some() || change.prior.is_none())
    {
        refuse_second_binding(cx, &id.to_string(), &plan.model, prior.is_none())?;
    }
    if change.quiet {
        return Ok(());
    }
    let Attr::Known(id) = plan.model.workspace_id else {
        client.warn_of_later_proof(cx, &[("workspace_id", true)]);
        return Ok(());
    };
    let account = match client.account().await {
        Ok(account) => account,
        Err(Unavailable::NotYetKnown(unknown)) => {
            client.warn_unproven(cx, &unknown);
            return Err(later(Diagnostics::new()));
        }
        Err(reason) => return Err(reason.into()),
    };
    let now = match required(account, id, client.reads().workspace(account, id).await) {
        Ok(now) => now,
        Err(_) if client.run().has_vanished(&id.to_string()) => {
            cx.warn(vanished(id, account));
            return Ok(());
        }
        Err(errors) => return Err(errors.into()),
    };
    client.warn_of_unknown_clouds(cx);
    if let Some(prior) = prior {
        count_catalogs(cx, account, id, (prior, &plan.model)).await;
    }
    let mut examined = examine(client, account, &now, &plan.model, Stage::Plan).await?;
    for case in UseCase::ACCOUNT
        .into_iter()
        .filter(|case| plan.model.wanted(*case).is_unknown())
    {
        for finding in examine_planned(cx, account, &now, case).await {
            examined.add(finding);
        }
    }
    let findings = examined.errors_first().findings;
    let missing = plan.model.keys().missing_in(&now);
    let comes =
        |case: &UseCase| missing.of(*case).is_some() || plan.model.wanted(*case).is_unknown();
    let attaches = UseCase::ACCOUNT.iter().any(comes);
    let keys = keys_of(client, account, &plan.model).await;
    let is_unnamed = prior.is_none() && keys.is_none();
    plan.model.plan_proof(client, prior, keys);
    // A new binding promises what is proven of its keys, and the plan within the apply must be able to name them again.
    let findings = match (attaches || is_unnamed, &change.prior) {
        (true, _) => findings,
        (false, None) => as_first_warnings(findings),
        (false, Some(_)) => as_warnings(findings),
    };
    Ok(enforce(
        cx,
        findings,
        &plan.model.ignore_findings,
        Stage::Plan,
        place,
    )?)
}

/// Whether the account certainly no longer has the workspace.
pub(super) async fn is_gone(client: &Client, state: &WorkspaceBindingModel) -> bool {
    let (Attr::Known(id), Ok(account)) = (&state.workspace_id, client.account().await) else {
        return false;
    };
    matches!(client.reads().workspace(account, *id).await, Ok(None))
}

pub(super) async fn read(
    cx: &Context<Client>,
    state: WorkspaceBindingModel,
) -> Result<Option<WorkspaceBindingModel>, Unfinished> {
    let Attr::Known(id) = state.workspace_id else {
        return Ok(None);
    };
    let account = account_to_read(cx).await?;
    let found = cx
        .client()
        .reads()
        .workspace(account, id)
        .await
        .map_err(|error| {
            diagnose::account("The workspace could not be read", &error).on("workspace_id")
        })?;
    let imported = state.is_imported();
    let Some(workspace) = found else {
        if imported {
            return Err(nothing_to_import(id, account).into());
        }
        cx.client().run().workspace_vanished(id.to_string());
        return Ok(None);
    };
    let mut state = state.showing(&workspace);
    state = if imported {
        state.with_all_keys_of(&workspace)?
    } else {
        state.with_keys_of(&workspace)?
    };
    if imported
        && UseCase::ACCOUNT
            .iter()
            .all(|case| state.wanted(*case).is_null())
    {
        return Err(Diagnostic::error(
            "The workspace has no keys",
            format!("Workspace {id} has neither a managed services key nor a storage key, so there is no binding to import. Create one instead."),
        )
        .into());
    }
    Ok(Some(state))
}

fn nothing_to_import(id: WorkspaceId, account: &Account) -> Diagnostic {
    Diagnostic::error(
        "The workspace does not exist in this Databricks account",
        format!(
            "The account {} has no workspace {id}, so there is nothing to import.\n\nYou find the number in the URL of the workspace (`?o=…`) and \
             in the account console. If it is correct, check `account_id` and `host` of the provider: each cloud has its own account host. A \
             workspace on Azure is imported by its resource ID, which begins with `/subscriptions/`.",
            account.id()
        ),
    )
}

/// A first state from the number of a workspace.
pub(super) fn import(id: &str) -> Result<WorkspaceBindingModel, Diagnostics> {
    let workspace_id: WorkspaceId = id.parse().map_err(|error: IdError| {
        Diagnostic::error(
            "Not the ID of a workspace",
            format!(
                "A dbxcmk_workspace_binding is imported by the number of its workspace, but {error}. A workspace on Azure is imported by its \
                 resource ID: `/subscriptions/…/resourceGroups/…/providers/Microsoft.Databricks/workspaces/…`."
            ),
        )
    })?;
    Ok(named(workspace_id))
}
