//! On Azure: the access of AzureDatabricks, of the workspace's storage account and of its disk encryption set to a key, as its vault decides
//! it.

mod databricks;
mod in_use;
mod own;
mod promise;
mod write;

pub(super) use self::write::{delete, put};

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use self::in_use::{Removal, in_words, refuse_removal, users};
use self::own::{Shown, added, adopt, owned};
use super::tables::{self, Losing};
use super::{KeyPolicyModel, leaving, with_former};
use crate::clouds::azure::{ArmWorkspace, AzureError};
use crate::preflight::azure::{
    Access, AccessModel, ArmWorkspaceFacts, PlannedAccess, Question, Unknown, VaultKeyFacts,
    access, judge, judged_versions, unseen, with_tables,
};
use crate::preflight::{Fact, Finding, Stage};
use crate::provider::client::{Client, not_read};
use crate::provider::diagnose::{self, Unavailable, as_warning, later, split};
use crate::provider::keys::{Scope, Wanted};
use crate::provider::locations::Location;
use crate::provider::resources::workspace_binding::same;
use crate::provider::resources::{
    all_known, check_tables, known_set, names_something, workspace_cases,
};
use crate::provider::vault_access::Place;
use crate::requirements::azure::{Grantee, Role, roles_of};
use crate::vocabulary::azure::{
    AzureNameError, PrincipalId, VaultKeyId, VaultKind, VaultResourceId, WorkspaceResourceId,
};
use crate::vocabulary::{Cloud, Key, KeyUse, UseCase};
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::deferral::Unfinished;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::list_resource::{Found, Listed};
use tfplugin::resource::{Change, Plan};
use tfplugin::schema::Attribute;

/// The `azure` block of `dbxcmk_key_policy`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct KeyPolicyAzure {
    pub key_vault_key_id: Attr<VaultKeyId>,
    pub vault_resource_id: Attr<VaultResourceId>,
    pub workspace_resource_id: Attr<WorkspaceResourceId>,
    pub databricks_principal_id: Attr<PrincipalId>,
    pub storage_account_principal_ids: Attr<Vec<Attr<PrincipalId>>>,
    pub access_model: Attr<String>,
    pub principals: Attr<Vec<Attr<PrincipalId>>>,
}

pub(super) fn attributes() -> Vec<Attribute> {
    vec![
        // Another version is the same key, and reaches what refers to this attribute; another key asks for a replacement (`promise`).
        Attribute::string("key_vault_key_id")
            .required()
            .format::<VaultKeyId>("Invalid key identifier")
            .same_meaning(same::<VaultKeyId>)
            .describe(
                "Identifier of the key in Key Vault or Managed HSM (`azurerm_key_vault_key.….versionless_id`). Access counts for all its versions. \
                 Another key replaces this resource.",
            ),
        Attribute::string("vault_resource_id")
            .required()
            .replaces()
            .format::<VaultResourceId>("Invalid resource ID of a vault")
            .same_meaning(same::<VaultResourceId>)
            .describe("Resource ID of the vault or Managed HSM (`azurerm_key_vault.….id`)."),
        Attribute::string("workspace_resource_id")
            .format::<WorkspaceResourceId>("Invalid resource ID of a workspace")
            .same_meaning(same::<WorkspaceResourceId>)
            .describe(
                "Resource ID of the workspace whose identities need the key (`azurerm_databricks_workspace.….id`). Required for `STORAGE` and \
                 `MANAGED_DISKS`. For `STORAGE`, the provider prepares the workspace (`prepareEncryption`) if its storage account has no identity \
                 yet.",
            ),
        Attribute::string("databricks_principal_id")
            .format::<PrincipalId>("Invalid object ID")
            .same_meaning(same::<PrincipalId>)
            .describe(
                "Object ID of the application AzureDatabricks in the tenant. Default: `databricks_principal_id` of the provider's `azure` block, \
                 then looked up in Microsoft Graph.",
            ),
        Attribute::string_set("storage_account_principal_ids")
            .no_null_elements()
            .format::<PrincipalId>("Invalid object ID")
            .describe(
                "Object IDs of the identities of storage accounts in which Unity Catalog keeps tables under this key \
                 (`azurerm_storage_account.….identity[0].principal_id`, or \
                 `data.dbxcmk_storage_encryption.….locations[*].storage_account_principal_id`). With the use case `UNITY_CATALOG`.",
            ),
        Attribute::string("access_model").computed().describe(
            "How the vault decides who may use the key: `role_assignment`, `access_policy` or `hsm_local_role`.",
        ),
        Attribute::string_set("principals").computed().describe(
            "Object IDs of the principals that need the key. The disk encryption set is among them once it exists.",
        ),
    ]
}

impl KeyPolicyAzure {
    /// The identities of storage accounts with tables; none while some are not known.
    fn of_tables(&self) -> Option<Vec<Grantee>> {
        match &self.storage_account_principal_ids {
            Attr::Null => Some(Vec::new()),
            all => all_known(all).map(Grantee::of_tables),
        }
    }

    fn principals(&self) -> BTreeSet<PrincipalId> {
        all_known(&self.principals)
            .unwrap_or_default()
            .into_iter()
            .collect()
    }
}

fn name_of(model: &AccessModel) -> &'static str {
    match model {
        AccessModel::RoleAssignments(_) => "role_assignment",
        AccessModel::AccessPolicies(_) => "access_policy",
        AccessModel::LocalRoles => "hsm_local_role",
    }
}

fn parts(model: &KeyPolicyModel) -> Option<(&KeyPolicyAzure, &VaultKeyId, &VaultResourceId)> {
    let azure = model.azure.known()?;
    Some((
        azure,
        azure.key_vault_key_id.known()?,
        azure.vault_resource_id.known()?,
    ))
}

/// What tells the policies of one key apart: their workspace.
fn workspace_of(model: &KeyPolicyModel) -> String {
    let at = parts(model).and_then(|(azure, ..)| azure.workspace_resource_id.known());
    at.map(|id| id.to_string().to_ascii_lowercase())
        .unwrap_or_default()
}

pub(super) fn key_name(key: &VaultKeyId) -> Key {
    key.versionless().into()
}

/// Checks the configuration without a call: everything that is wrong with it.
pub(super) fn validate(config: &KeyPolicyModel) -> Diagnostics {
    let mut found = Diagnostics::new();
    let Attr::Known(azure) = &config.azure else {
        return found;
    };
    if !config.databricks_account_ids.is_null() {
        found.push(
            Diagnostic::error(
                "databricks_account_ids belongs to AWS",
                "On Azure, principals of the tenant use the key, not accounts. Remove `databricks_account_ids`.",
            )
            .on("databricks_account_ids"),
        );
    }
    if let (Some(key), Some(vault)) = (
        azure.key_vault_key_id.known(),
        azure.vault_resource_id.known(),
    ) {
        let is_same =
            key.kind() == vault.vault_kind() && key.vault().eq_ignore_ascii_case(vault.id().name());
        if !is_same {
            found.push(
                Diagnostic::error(
                    "The vault is not that of the key",
                    format!(
                        "The key {key} is in the {} \"{}\", and `vault_resource_id` names {vault}.\n\nSet it to the vault of the key: \
                         `azurerm_key_vault.….id`, or `azurerm_key_vault_managed_hardware_security_module.….id`.",
                        match key.kind() {
                            VaultKind::KeyVault => "vault",
                            VaultKind::ManagedHsm => "Managed HSM",
                        },
                        key.vault()
                    ),
                )
                .on("azure.vault_resource_id"),
            );
        }
    }
    let cases = all_known(&config.use_cases);
    let named = names_something(&azure.storage_account_principal_ids);
    found.extend(check_tables(&Cloud::Azure, cases.as_deref(), named));
    let needs_workspace = workspace_cases(&config.use_cases)
        .into_iter()
        .flatten()
        .find(|case| *case != UseCase::ManagedServices);
    if let Some(case) = needs_workspace.filter(|_| azure.workspace_resource_id.is_null()) {
        found.push(
            Diagnostic::error(
                "The workspace is not named",
                format!(
                    "For the use case `{case}`, an identity of the workspace needs the key. Set `workspace_resource_id` \
                     (`azurerm_databricks_workspace.….id`)."
                ),
            )
            .on("azure.workspace_resource_id"),
        );
    }
    found
}

/// The workspace that a policy names, for a plan; none when it names none.
async fn workspace(
    client: &Client,
    azure: &KeyPolicyAzure,
) -> Result<Option<ArmWorkspace>, Diagnostics> {
    let Some(id) = azure.workspace_resource_id.known() else {
        return Ok(None);
    };
    match client.keys().azure().workspace_for_plan(id).await {
        Ok(found) => Ok(Some(found)),
        Err(error) => Err(unread(id, &error)),
    }
}

fn unread(id: &WorkspaceResourceId, error: &AzureError) -> Diagnostics {
    diagnose::arm("The workspace could not be read", id, error)
        .on("azure.workspace_resource_id")
        .into()
}

pub(super) async fn plan(
    cx: &Context<Client>,
    change: &Change<KeyPolicyModel>,
    plan: &mut Plan<KeyPolicyModel>,
) -> Result<(), Unfinished> {
    let (outcome, lost) = match plan_access(cx, change, plan).await {
        Ok(lost) => (Ok(()), lost),
        Err(errors) => (Err(errors), BTreeSet::new()),
    };
    promise::keep(cx, change, plan);
    let is_changing = plan.model.azure.known().is_some_and(|azure| {
        let prior = change.prior.as_ref().and_then(|prior| prior.azure.known());
        prior.is_none_or(|prior| prior.principals != azure.principals)
    });
    // Proofs of other resources may wait for this one, also when it failed.
    let will_put = outcome.is_ok() && is_changing;
    let key = parts(&plan.model).map(|(_, key, _)| key_name(key));
    let of = match &key {
        Some(_) => workspace_of(&plan.model),
        None => leaving::name(cx),
    };
    let policies = cx.client().keys().policies();
    policies.is_planned(key, &of, will_put);
    // This may wait for other key policies, so it comes after the report above: no proof must wait
    // for this policy meanwhile.
    let outcome = match outcome {
        Ok(()) => refuse_lost(cx, change, plan, &lost).await,
        failed => failed,
    };
    with_former(cx, change, plan, outcome).await
}

/// Principals in the form in which the resource reports them to the other key policies of the run.
fn shared(principals: &BTreeSet<PrincipalId>, has_unknown: bool) -> Wanted {
    Wanted {
        items: principals.iter().map(ToString::to_string).collect(),
        has_unknown,
    }
}

/// Where access counts: at the key; with access policies, which count for a whole vault, at any key of the vault.
fn scope(key: &VaultKeyId, is_whole_vault: bool) -> Scope {
    match is_whole_vault {
        true => Scope::whole_vault(key_name(key), key.vault_uri()),
        false => Scope::of(key_name(key)),
    }
}

/// The access that a state has, as the resource reports it to the other key policies of the run.
pub(super) fn seen(state: &KeyPolicyModel) -> Option<(Scope, BTreeSet<String>)> {
    let (azure, key, _) = parts(state)?;
    let all = shared(&azure.principals(), false);
    Some((scope(key, azure.is_whole_vault()), all.items))
}

/// Principals as the lines of a list.
fn lines(principals: &BTreeSet<String>) -> Vec<String> {
    principals.iter().map(|one| format!("  - {one}")).collect()
}

/// The lines for what this resource gave.
fn of_own(own: &BTreeSet<String>) -> impl Fn(&BTreeSet<String>) -> Vec<String> + '_ {
    |principals| lines(&principals.intersection(own).cloned().collect())
}

/// The principals of `all` whose object IDs are in `named`.
fn principals_in(all: &BTreeSet<PrincipalId>, named: &BTreeSet<String>) -> BTreeSet<PrincipalId> {
    let those = all.iter().filter(|one| named.contains(&one.to_string()));
    those.cloned().collect()
}

impl KeyPolicyAzure {
    /// Whether the vault decides by access policies, which count for all of its keys. What is not known may be so.
    fn is_whole_vault(&self) -> bool {
        self.access_model
            .known()
            .is_none_or(|model| model == "access_policy")
    }
}

/// Whether the vault decides by access policies, as it shows it, and as the model has it where it cannot be read.
async fn counts_for_vault(
    cx: &Context<Client>,
    (key, vault): (&VaultKeyId, &VaultResourceId),
    azure: &KeyPolicyAzure,
) -> bool {
    let keys = cx.client().keys().azure();
    let facts = keys.facts(key, Some(vault), None, &[], Stage::Plan).await;
    match &facts.vault {
        Fact::Known(found) => matches!(found.access, AccessModel::AccessPolicies(_)),
        Fact::Unreadable(_) => azure.is_whole_vault(),
    }
}

/// The workspaces that use the key of a model, as lists; empty when there are none.
pub(super) async fn users_in_words(
    cx: &Context<Client>,
    model: &KeyPolicyModel,
) -> Result<String, Diagnostics> {
    let Some((_, key, _)) = parts(model) else {
        return Ok(String::new());
    };
    let all = users(cx, key, false, None).await;
    let found = all.map_err(|error| {
        let summary = "The provider could not find out which workspaces use the key";
        diagnose::azure_workspaces(summary, &error)
    })?;
    Ok(found.in_words("use"))
}

async fn plan_access(
    cx: &Context<Client>,
    change: &Change<KeyPolicyModel>,
    plan: &mut Plan<KeyPolicyModel>,
) -> Result<BTreeSet<PrincipalId>, Diagnostics> {
    let mut wanted = None;
    let outcome = plan_principals(cx, change, plan, &mut wanted).await;
    let wanted = wanted.unwrap_or_else(|| shared(&BTreeSet::new(), true));
    leaving::wants(cx, &plan.model, change.prior.as_ref(), wanted);
    outcome
}

/// Refuses what a change takes from a workspace. `lost`: who was to have access, and is not anymore.
async fn refuse_lost(
    cx: &Context<Client>,
    change: &Change<KeyPolicyModel>,
    plan: &Plan<KeyPolicyModel>,
    lost: &BTreeSet<PrincipalId>,
) -> Result<(), Diagnostics> {
    let Some((azure, key, vault)) = parts(&plan.model) else {
        return Ok(());
    };
    let own: BTreeSet<PrincipalId> = added(cx, key).intersection(lost).cloned().collect();
    if own.is_empty() || change.prior.is_none() {
        return Ok(());
    }
    let names = own.iter().map(ToString::to_string).collect();
    // The plan leaves `access_model` open.
    let is_whole_vault = counts_for_vault(cx, (key, vault), azure).await;
    let is_agreed = plan.model.may_be_destroyed();
    let scope = scope(key, is_whole_vault);
    let kept = leaving::plan_to_give_up(cx, &scope, &names, is_agreed, lines).await;
    let removal = Removal {
        lost: &principals_in(&own, &leaving::removed(&names, &BTreeSet::new(), &kept)),
        vault,
        what: "This change",
        stage: Stage::Plan,
        is_whole_vault,
        is_agreed,
        is_left: false,
    };
    let prior = change.prior.as_ref().and_then(|prior| prior.azure.known());
    refuse_to_take_tables(cx, prior.unwrap_or(azure), key, &removal).await?;
    refuse_removal(cx, key, &removal).await
}

/// Refuses to take the key from storage accounts whose tables lie under it. `state`: the key policy that gave them the key.
async fn refuse_to_take_tables(
    cx: &Context<Client>,
    state: &KeyPolicyAzure,
    key: &VaultKeyId,
    removal: &Removal<'_>,
) -> Result<(), Diagnostics> {
    let all = state.of_tables().unwrap_or_default().into_iter();
    let lost: Vec<PrincipalId> = all
        .map(|one| one.principal)
        .filter(|own| removal.lost.contains(own))
        .collect();
    let losing = Losing {
        key: &key_name(key),
        what: removal.what,
        lost: lost.iter().map(|own| format!("  - {own}")).collect(),
        stage: removal.stage,
        is_agreed: removal.is_agreed,
    };
    let is_of = |place: &Location| {
        let own = place.principal.as_ref();
        own.is_some_and(|own| lost.contains(own))
    };
    tables::refuse(cx, losing, is_of).await
}

/// What stands against the access. What the workspace uses is judged, each version of it, and not what is newest.
async fn judge_versions(
    client: &Client,
    (key, vault): (&VaultKeyId, &VaultResourceId),
    about: Option<&ArmWorkspaceFacts>,
    planned: &PlannedAccess,
    question: &Question,
) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    let judged = judged_versions(about, key, &question.cases);
    for judged in with_tables(judged, key, &question.grantees) {
        let keys = client.keys().azure();
        let facts = keys.facts(&judged.key, Some(vault), None, &[], Stage::Plan);
        let mut facts = facts.await;
        facts.planned = vec![planned.clone()];
        for finding in judge(&facts, &question.of(judged)) {
            if !found.contains(&finding) {
                found.push(finding);
            }
        }
    }
    found
}

/// The key, its vault and the use cases, where the plan knows them. Otherwise a warning names the attributes that the proof waits for, and proofs
/// learn that the apply may grant somebody.
fn place(
    cx: &Context<Client>,
    azure: &KeyPolicyAzure,
    cases: Option<Vec<UseCase>>,
) -> Option<(VaultKeyId, VaultResourceId, Vec<UseCase>)> {
    let (client, keys) = (cx.client(), cx.client().keys().azure());
    let (at, principal) = (&azure.workspace_resource_id, &azure.databricks_principal_id);
    let (key, vault) = (&azure.key_vault_key_id, &azure.vault_resource_id);
    let (Some(key), Some(vault), Some(cases)) = (key.known(), vault.known(), cases) else {
        let unknown = [
            ("azure.key_vault_key_id", key.is_unknown()),
            ("azure.vault_resource_id", vault.is_unknown()),
        ];
        client.warn_of_later_proof(cx, &unknown);
        if let Some(key) = key.known() {
            let planned = PlannedAccess {
                cases: UseCase::ALL.to_vec(),
                has_unknown: true,
                ..PlannedAccess::default()
            };
            keys.will_grant(key, planned);
        }
        return None;
    };
    keys.is_in_vault(key, vault.clone());
    principal
        .known()
        .into_iter()
        .for_each(|own| keys.databricks_is(own));
    if !keys.is_known() {
        client.warn_of_unknown_clouds(cx);
        return None;
    }
    let is_open = azure.of_tables().is_none();
    if at.is_unknown() || principal.is_unknown() || is_open {
        let unknown = [
            ("azure.workspace_resource_id", at.is_unknown()),
            ("azure.databricks_principal_id", principal.is_unknown()),
            ("azure.storage_account_principal_ids", is_open),
        ];
        client.warn_of_later_proof(cx, &unknown);
        let planned = PlannedAccess {
            cases,
            workspace: at.known().cloned(),
            has_unknown: true,
            ..PlannedAccess::default()
        };
        keys.will_grant(key, planned);
        return None;
    }
    Some((key.clone(), vault.clone(), cases))
}

/// The question about the key at plan.
fn question(
    azure: &KeyPolicyAzure,
    workspace: Option<&ArmWorkspace>,
    cases: Vec<UseCase>,
    grantees: Vec<Grantee>,
    not_known: Vec<(Role, UseCase, Unknown)>,
) -> Question {
    Question {
        cases,
        used_for: Vec::new(),
        grantees,
        not_known,
        workspace: azure.workspace_resource_id.known().cloned(),
        location: workspace.and_then(|one| one.location().map(str::to_owned)),
        tenant: workspace.and_then(|one| one.tenant().map(str::to_owned)),
        stage: Stage::Plan,
    }
}

/// Who is to have access by a plan, and of whom it is not known.
struct Planned {
    key: VaultKeyId,
    vault: VaultResourceId,
    workspace: Option<ArmWorkspace>,
    question: Question,
    /// Whether somebody could not be looked up.
    has_unread: bool,
    /// Whether everybody is known, so that the plan names them.
    is_complete: bool,
}

impl Planned {
    /// `None` where the plan cannot ask yet.
    async fn of(
        cx: &Context<Client>,
        azure: &KeyPolicyAzure,
        cases: Option<Vec<UseCase>>,
    ) -> Result<Option<Self>, Diagnostics> {
        let client = cx.client();
        let Some((key, vault, cases)) = place(cx, azure, cases) else {
            return Ok(None);
        };
        let named = azure.databricks_principal_id.known();
        databricks::warn_of_another(cx, &key, named).await;
        let workspace = workspace(client, azure).await?;
        let keys = client.keys().azure();
        let (mut grantees, mut not_known) = keys
            .grantees(&cases, workspace.as_ref(), named, roles_of)
            .await;
        grantees.extend(azure.of_tables().unwrap_or_default());
        let is_open = |(_, _, why): &(Role, UseCase, Unknown)| matches!(why, Unknown::Unread(_));
        let has_unread = not_known.iter().any(is_open);
        // The binding grants the disk encryption set, which the attach makes.
        not_known.retain(|(role, _, why)| {
            !(*role == Role::DiskEncryptionSet && *why == Unknown::NotYetMade)
        });
        let is_complete = not_known.is_empty();
        // What does not exist yet is made by this resource.
        not_known.retain(|(_, _, why)| *why != Unknown::NotYetMade);
        Ok(Some(Self {
            question: question(azure, workspace.as_ref(), cases, grantees, not_known),
            key,
            vault,
            workspace,
            has_unread,
            is_complete,
        }))
    }

    fn principals(&self) -> BTreeSet<PrincipalId> {
        let grantees = self.question.grantees.iter();
        grantees.map(|one| one.principal.clone()).collect()
    }

    /// How the vault decides about access, where that can be read.
    async fn access_model(&self, client: &Client) -> Option<AccessModel> {
        let keys = client.keys().azure();
        let facts = keys.facts(&self.key, Some(&self.vault), None, &[], Stage::Plan);
        match facts.await.vault {
            Fact::Known(vault) => Some(vault.access),
            Fact::Unreadable(_) => None,
        }
    }

    /// What stands against the access.
    async fn judged(&self, client: &Client) -> Vec<Finding> {
        // Whom this resource cannot find, it cannot grant either.
        let planned = PlannedAccess {
            principals: self.principals().into_iter().collect(),
            ..PlannedAccess::default()
        };
        let about = self.workspace.as_ref().map(ArmWorkspace::facts);
        let key = (&self.key, &self.vault);
        judge_versions(client, key, about.as_ref(), &planned, &self.question).await
    }
}

/// Plans who needs access; who does not anymore. `shares`: what other key policies learn of it.
async fn plan_principals(
    cx: &Context<Client>,
    change: &Change<KeyPolicyModel>,
    plan: &mut Plan<KeyPolicyModel>,
    shares: &mut Option<Wanted>,
) -> Result<BTreeSet<PrincipalId>, Diagnostics> {
    let client = cx.client();
    let cases = workspace_cases(&plan.model.use_cases);
    let ignored = plan.model.ignore_findings.clone();
    let Attr::Known(azure) = &mut plan.model.azure else {
        return Ok(BTreeSet::new());
    };
    plan.model.id = azure.key_vault_key_id.as_ref().map(ToString::to_string);
    let prior = change.prior.as_ref();
    if prior.is_some_and(|prior| prior.azure.is_null()) {
        plan.replace.push(tfplugin::path::Path::of("azure"));
    }
    let prior = prior.and_then(|prior| prior.azure.known());
    azure.principals = Attr::Unknown;
    azure.access_model = Attr::Unknown;
    let Some(planned) = Planned::of(cx, azure, cases).await? else {
        return Ok(BTreeSet::new());
    };
    let wanted = planned.principals();
    *shares = Some(shared(&wanted, planned.has_unread));
    if planned.is_complete {
        azure.principals = known_set(wanted.clone());
    }
    client.keys().azure().will_grant(
        &planned.key,
        PlannedAccess {
            cases: planned.question.cases.clone(),
            principals: wanted.iter().cloned().collect(),
            workspace: azure.workspace_resource_id.known().cloned(),
            has_unknown: false,
        },
    );
    if let Some(model) = planned.access_model(client).await {
        azure.access_model = Attr::Known(name_of(&model).to_owned());
    }
    let is_same = prior.is_some_and(|prior| {
        prior.key_vault_key_id == azure.key_vault_key_id
            && !prior.principals.is_null()
            && prior.principals() == wanted
            && prior.access_model == azure.access_model
            && azure.principals.known().is_some()
    });
    if is_same {
        return Ok(BTreeSet::new());
    }
    let findings = planned.judged(client).await;
    let place = |_: &Finding| "azure.key_vault_key_id";
    split(cx, client.report(findings, &ignored, Stage::Plan, place))?;
    // Whose object ID could not be looked up may be among those that the state has: nobody is given up then.
    Ok(prior
        .filter(|_| !planned.has_unread)
        .map(|prior| prior.principals().difference(&wanted).cloned().collect())
        .unwrap_or_default())
}

/// A plan that destroys this resource, or gives its key up.
pub(super) async fn plan_leaving(
    cx: &Context<Client>,
    state: &KeyPolicyModel,
    what: &str,
) -> Result<(), Diagnostics> {
    let Some((azure, key, vault)) = parts(state) else {
        return Ok(());
    };
    let mark = leaving::whose(cx, state);
    let place = Place {
        key,
        vault,
        mark: &mark,
    };
    let own = owned(cx, place, &azure.principals()).await;
    let name = key_name(key);
    let names: BTreeSet<String> = own.iter().map(ToString::to_string).collect();
    let (shares, is_whole_vault) = (cx.client().keys().shares(), azure.is_whole_vault());
    let (scope, is_agreed) = (scope(key, is_whole_vault), state.may_be_destroyed());
    // The note also has what the resource found there and others need, so that no later plan advises to remove it.
    let all = own
        .union(&azure.principals())
        .map(ToString::to_string)
        .collect();
    let kept = leaving::plan_to_go(cx, &scope, &all, is_agreed, of_own(&names)).await;
    let removal = Removal {
        lost: &principals_in(&own, &leaving::removed(&names, &BTreeSet::new(), &kept)),
        vault,
        what,
        stage: Stage::Plan,
        is_whole_vault,
        is_agreed,
        is_left: shares.is_applying(),
    };
    if !removal.is_left {
        refuse_to_take_tables(cx, azure, key, &removal).await?;
    }
    match refuse_removal(cx, key, &removal).await {
        // The replacement of this object is there already, and nothing could ever remove the object if this failed.
        Err(refused) if shares.is_applying() => {
            leaving::note(cx, &name, names);
            leaving::left(cx, &name, refused);
            Ok(())
        }
        outcome => outcome,
    }
}

/// Those of the principals that may use the key.
fn granted(facts: &VaultKeyFacts, grantees: &[Grantee]) -> BTreeSet<PrincipalId> {
    let Fact::Known(vault) = &facts.vault else {
        return BTreeSet::new();
    };
    let may = |grantee: &&Grantee| {
        matches!(
            access(facts, vault, &grantee.principal),
            Access::Granted | Access::PerhapsDenied(_)
        )
    };
    let all = grantees.iter().filter(may);
    all.map(|grantee| grantee.principal.clone()).collect()
}

/// The access of a key policy, as one read shows it.
struct Seen {
    grantees: Vec<Grantee>,
    /// Whether somebody could not be looked up, who keeps the place in the state.
    is_unread: bool,
    /// Whom the workspace does not have (anymore).
    not_made: Vec<Role>,
    facts: VaultKeyFacts,
    model: AccessModel,
}

/// What there is to say of an object of the state where its access cannot be seen.
enum Unseen {
    /// It stays as the state has it; a warning says why.
    Kept,
    /// The vault is gone, and the access with it.
    Gone,
}

/// The workspace of a key policy, as it is now; a warning says why it cannot be read.
async fn seen_workspace(
    cx: &Context<Client>,
    azure: &KeyPolicyAzure,
    is_imported: bool,
) -> Result<Result<Option<ArmWorkspace>, Unseen>, Diagnostics> {
    let Some(id) = azure.workspace_resource_id.known() else {
        return Ok(Ok(None));
    };
    match cx.client().keys().azure().workspace_for_plan(id).await {
        Ok(found) => Ok(Ok(Some(found))),
        Err(AzureError::NotFound(_)) if !is_imported => Ok(Ok(None)),
        Err(error) if is_imported => Err(unread(id, &error)),
        Err(error) => {
            let error = diagnose::arm("The workspace could not be read", id, &error);
            cx.warn(as_warning(error));
            Ok(Err(Unseen::Kept))
        }
    }
}

/// The access to the key of a key policy, as it is now.
async fn look(
    cx: &Context<Client>,
    state: &KeyPolicyModel,
    (azure, key, vault): (&KeyPolicyAzure, &VaultKeyId, &VaultResourceId),
) -> Result<Result<Seen, Unseen>, Diagnostics> {
    let keys = cx.client().keys().azure();
    let is_imported = azure.principals.is_null();
    let workspace = match seen_workspace(cx, azure, is_imported).await? {
        Ok(workspace) => workspace,
        Err(unseen) => return Ok(Err(unseen)),
    };
    let cases = workspace_cases(&state.use_cases).unwrap_or_else(|| UseCase::ALL.to_vec());
    let named = azure.databricks_principal_id.known();
    let (mut grantees, not_known) = keys
        .grantees(&cases, workspace.as_ref(), named, roles_of)
        .await;
    grantees.extend(azure.of_tables().unwrap_or_default());
    let principals: Vec<PrincipalId> = grantees.iter().map(|one| one.principal.clone()).collect();
    let facts = keys.facts(key, Some(vault), None, &principals, Stage::Plan);
    let mut facts = facts.await;
    // What lives counts, and not what another key policy of this run has planned already.
    facts.planned.clear();
    let absent = keys.absent(key, Some(vault)).await;
    if let Some(finding) = absent.filter(|_| is_imported) {
        let absent = diagnose::offline(finding).on("azure.key_vault_key_id");
        return Err(absent.into());
    }
    let model = match &facts.vault {
        Fact::Known(found) => found.access.clone(),
        Fact::Unreadable(why) if why.is_missing => return Ok(Err(Unseen::Gone)),
        Fact::Unreadable(why) => {
            cx.warn(Diagnostic::warning(
                "The vault could not be read",
                format!(
                    "{vault}: {}. The provider keeps the values in state.",
                    why.reason
                ),
            ));
            return Ok(Err(Unseen::Kept));
        }
    };
    // A principal whose object ID the provider cannot read now keeps its place in the state.
    let is_unread = not_known
        .iter()
        .any(|(_, _, why)| matches!(why, Unknown::Unread(_)));
    // A workspace that cannot be seen says nothing of its identities.
    let gone = not_known
        .iter()
        .filter(|(_, _, why)| workspace.is_some() && matches!(why, Unknown::NotYetMade));
    Ok(Ok(Seen {
        not_made: gone.map(|(role, _, _)| *role).collect(),
        grantees,
        is_unread,
        facts,
        model,
    }))
}

/// The use cases for which somebody has access, for an object that is imported.
fn cases_with_access(grantees: &[Grantee], there: &BTreeSet<PrincipalId>) -> Vec<UseCase> {
    let has_access = |role: Role| {
        grantees
            .iter()
            .any(|one| one.role == role && there.contains(&one.principal))
    };
    [
        (UseCase::ManagedServices, Role::AzureDatabricks),
        (UseCase::Storage, Role::StorageAccount),
        (UseCase::ManagedDisks, Role::DiskEncryptionSet),
    ]
    .into_iter()
    .filter(|(_, role)| has_access(*role))
    .map(|(case, _)| case)
    .collect()
}

pub(super) async fn read(
    cx: &Context<Client>,
    mut state: KeyPolicyModel,
) -> Result<Option<KeyPolicyModel>, Unfinished> {
    if !cx.client().keys().azure().is_known() {
        let reason = Unavailable::NotYetKnown(vec!["azure"]);
        return Err(later(not_read(&reason)));
    }
    let Some((azure, key, vault)) = parts(&state) else {
        return Ok(None);
    };
    let seen = match look(cx, &state, (azure, key, vault)).await? {
        Ok(seen) => seen,
        Err(Unseen::Kept) => return Ok(Some(state)),
        Err(Unseen::Gone) => return Ok(None),
    };
    let (facts, grantees) = (&seen.facts, &seen.grantees);
    let there = granted(facts, grantees);
    let unseen = warn_of_unseen(cx, &state, facts, grantees);
    let mark = leaving::whose(cx, &state);
    let place = Place {
        key,
        vault,
        mark: &mark,
    };
    let shown = Shown {
        facts,
        workspace: azure.workspace_resource_id.known(),
        principals: there.clone(),
        grantees,
    };
    adopt(cx, place, &shown).await;
    databricks::warn_of_another(cx, key, azure.databricks_principal_id.known()).await;
    promise::note(cx, key, grantees, &seen.not_made);
    let is_imported = azure.principals.is_null();
    if !is_imported {
        let gone = missing(facts, grantees, &azure.principals(), &unseen);
        let is_whole_vault = matches!(seen.model, AccessModel::AccessPolicies(_));
        warn_of_missing(cx, key, is_whole_vault, &gone).await;
    }
    let found = cases_with_access(grantees, &there);
    if is_imported && !found.is_empty() {
        state.use_cases = known_set(found.into_iter().map(KeyUse::from));
    }
    if let Attr::Known(azure) = &mut state.azure {
        azure.access_model = Attr::Known(name_of(&seen.model).to_owned());
        // So does whose access cannot be read.
        let kept: BTreeSet<PrincipalId> = match is_imported {
            true => BTreeSet::new(),
            false if seen.is_unread => azure.principals().union(&unseen).cloned().collect(),
            // A principal that came to need the key meanwhile, as the disk encryption set does, is neither there nor missing.
            false => unseen,
        };
        azure.principals = known_set(there.union(&kept).cloned().collect::<BTreeSet<_>>());
    }
    Ok(Some(state))
}

/// The principals whose access cannot be read now: a warning says why, and they keep their place in the state.
fn warn_of_unseen(
    cx: &Context<Client>,
    state: &KeyPolicyModel,
    facts: &VaultKeyFacts,
    grantees: &[Grantee],
) -> BTreeSet<PrincipalId> {
    let Some((principals, finding)) = unseen(facts, grantees, Stage::Plan) else {
        return BTreeSet::new();
    };
    let place = |_: &Finding| "azure.key_vault_key_id";
    let ignored = &state.ignore_findings;
    for one in cx
        .client()
        .report(vec![finding], ignored, Stage::Plan, place)
    {
        cx.warn(as_warning(one));
    }
    principals.into_iter().collect()
}

/// The principals that need the key and cannot use it now. `before`: those whose access the state has; one that has no access now counts
/// as missing, too.
fn missing(
    facts: &VaultKeyFacts,
    grantees: &[Grantee],
    before: &BTreeSet<PrincipalId>,
    unseen: &BTreeSet<PrincipalId>,
) -> BTreeSet<PrincipalId> {
    let Fact::Known(vault) = &facts.vault else {
        return BTreeSet::new();
    };
    let lacks = |one: &&PrincipalId| match access(facts, vault, one) {
        Access::Granted | Access::PerhapsDenied(_) => false,
        Access::Missing(_) | Access::Denied(_) => true,
        _ => before.contains(one),
    };
    let all = grantees.iter().map(|grantee| &grantee.principal);
    let all = all.filter(|one| !unseen.contains(one)).filter(lacks);
    all.cloned().collect()
}

/// Names the workspaces that cannot use the key now, because principals have no access.
async fn warn_of_missing(
    cx: &Context<Client>,
    key: &VaultKeyId,
    is_whole_vault: bool,
    gone: &BTreeSet<PrincipalId>,
) {
    if gone.is_empty() {
        return;
    }
    match users(cx, key, is_whole_vault, Some(gone)).await {
        Ok(users) => {
            let what = gone.iter().map(|one| in_words(one, &users.roles));
            let what: Vec<String> = what.collect();
            leaving::cut_off(cx, &key_name(key), &what, &users.named);
        }
        Err(error) => {
            let summary = "The provider could not find out which workspaces use the key";
            cx.warn(as_warning(diagnose::azure_workspaces(summary, &error)));
        }
    }
}

/// A first state from `KEY,VAULT` or `KEY,VAULT,WORKSPACE`.
pub(super) fn import(id: &str) -> Result<KeyPolicyModel, Diagnostics> {
    let odd = |why: String| -> Diagnostics {
        Diagnostic::error(
            "Not the ID of a key policy on Azure",
            format!(
                "A dbxcmk_key_policy on Azure is imported by the identifier of its key, the resource ID of the vault, and the resource ID of the \
                 workspace if it has one, with commas between them, but {why}."
            ),
        )
        .into()
    };
    let named = |error: AzureNameError| odd(error.to_string());
    let parts: Vec<&str> = id.split(',').map(str::trim).collect();
    let (key, vault, workspace) = match parts.as_slice() {
        [key, vault] => (key, vault, None),
        [key, vault, workspace] => (key, vault, Some(workspace)),
        _ => return Err(odd(format!("`{id}` has {} of these parts", parts.len()))),
    };
    let key: VaultKeyId = key.parse().map_err(named)?;
    let workspace: Option<WorkspaceResourceId> = workspace
        .map(|text| text.parse())
        .transpose()
        .map_err(named)?;
    Ok(KeyPolicyModel {
        id: Attr::Known(key.to_string()),
        azure: Attr::Known(KeyPolicyAzure {
            key_vault_key_id: Attr::Known(key),
            vault_resource_id: Attr::Known(vault.parse().map_err(named)?),
            workspace_resource_id: workspace.into(),
            databricks_principal_id: Attr::Null,
            storage_account_principal_ids: Attr::Null,
            access_model: Attr::Null,
            principals: Attr::Null,
        }),
        ..KeyPolicyModel::unnamed()
    })
}

/// Every key of a vault that AzureDatabricks or an identity of the workspace may use.
pub(super) async fn list(
    cx: &Context<Client>,
    vault: &VaultResourceId,
    workspace: Option<&WorkspaceResourceId>,
    found: &Found<KeyPolicyModel>,
) -> Result<(), Diagnostics> {
    let keys = cx.client().keys().azure();
    let listed = keys.cloud().keys_of_vault(vault).await.map_err(|error| {
        Diagnostic::error(
            "The keys could not be listed",
            format!(
                "Azure says about {vault}: \"{error}\". The identity that runs Terraform needs `list` on its keys (role Key Vault Reader)."
            ),
        )
        .on("vault_resource_id")
    })?;
    let mut unread = Vec::new();
    for key in listed {
        let key = match key {
            Ok(key) => key.versionless(),
            Err(why) => {
                unread.push(format!("  - {why}"));
                continue;
            }
        };
        let workspace = workspace.map(|id| format!(",{id}")).unwrap_or_default();
        let first = import(&format!("{key},{vault}{workspace}"))?;
        let read = read(cx, first).await;
        let Some(model) = read.map_err(Unfinished::into_diagnostics)? else {
            continue;
        };
        let is_one = model
            .azure
            .known()
            .is_some_and(|azure| !azure.principals().is_empty());
        if is_one && !found.show(Listed::new(key.to_string(), model)).await {
            break;
        }
    }
    if !unread.is_empty() {
        cx.warn(Diagnostic::warning(
            "Some keys could not be read",
            format!("The list does not include them:\n{}", unread.join("\n")),
        ));
    }
    Ok(())
}
