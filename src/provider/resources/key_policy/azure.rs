//! On Azure: the access of AzureDatabricks, of the workspace's storage account and of its disk encryption set to a key, as its vault decides
//! it.

use crate::provider::diagnose::later;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tfplugin::deferral::Unfinished;

use serde::{Deserialize, Serialize};

use super::KeyPolicyModel;
use crate::clouds::azure::{ArmWorkspace, AzureError};
use crate::preflight::azure::{
    Access, AccessModel, PlannedAccess, Question, Unknown, VaultKeyFacts, access, judge,
};
use crate::preflight::{Fact, Stage};
use crate::provider::attach::arm::send;
use crate::provider::client::{Client, not_read};
use crate::provider::diagnose::{self, Unavailable, as_warning, split};
use crate::provider::keys::PolicyStep;
use crate::provider::moments::{now_in_milliseconds, rfc3339};
use crate::provider::resources::workspace_binding::same;
use crate::provider::resources::{all_known, known_set, timeout};
use crate::provider::vault_access::{Place, grant, is_own, revoke};
use crate::provider::waiting::{Deadline, Pause, pause};
use crate::requirements::azure::{Needer, Role, roles_of};
use crate::vocabulary::azure::{
    AzureNameError, PrincipalId, VaultKeyId, VaultKind, VaultResourceId, WorkspaceResourceId,
};
use crate::vocabulary::{Key, UseCase};
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::list_resource::{Found, Listed};
use tfplugin::resource::{Change, Plan, Progress};
use tfplugin::schema::Attribute;

/// How long preparing the workspace and granting may take: Azure takes about 10 to 15 minutes for an update of a workspace.
const SETTLE: Duration = Duration::from_secs(60 * 60);
/// Private data: the principals to whom this resource gave access.
const ADDED: &str = "added";
/// Private data: whether the disk encryption set did not exist yet when this resource granted the others, so that its access comes from the
/// binding and is this resource's from then on.
const AWAITS_DISKS: &str = "awaits_disks";

/// `azure`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct KeyPolicyAzure {
    pub key_vault_key_id: Attr<VaultKeyId>,
    pub vault_resource_id: Attr<VaultResourceId>,
    pub workspace_resource_id: Attr<WorkspaceResourceId>,
    pub databricks_principal_id: Attr<PrincipalId>,
    pub access_model: Attr<String>,
    pub principals: Attr<Vec<Attr<PrincipalId>>>,
}

pub(super) fn attributes() -> Vec<Attribute> {
    vec![
        Attribute::string("key_vault_key_id")
            .required()
            .replaces()
            .format::<VaultKeyId>("Invalid key identifier")
            .same_meaning(|one, other| {
                let read = |value: &tfplugin::value::Value| value.as_str()?.parse::<VaultKeyId>().ok();
                match (read(one), read(other)) {
                    // Access is given on the key, whatever its version.
                    (Some(one), Some(other)) => one.is_same_key(&other),
                    _ => false,
                }
            })
            .describe(
                "Identifier of the key in Key Vault or Managed HSM (`azurerm_key_vault_key.….versionless_id`). Access counts for all its versions.",
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
        Attribute::string("access_model").computed().describe(
            "How the vault decides who may use the key: `role_assignment`, `access_policy` or `hsm_local_role`.",
        ),
        Attribute::string_set("principals").computed().describe(
            "Object IDs of the principals that need the key. The disk encryption set is among them once it exists.",
        ),
    ]
}

impl KeyPolicyAzure {
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

fn key_name(key: &VaultKeyId) -> Key {
    key.versionless().into()
}

/// What is wrong, offline.
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
    let needs_workspace = all_known(&config.use_cases)
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

/// The workspace that a policy names, for a plan; none when it names none, or when it is gone.
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
    let outcome = plan_access(cx, change, plan).await;
    let is_changing = plan.model.azure.known().is_some_and(|azure| {
        let prior = change.prior.as_ref().and_then(|prior| prior.azure.known());
        prior.is_none_or(|prior| prior.principals != azure.principals)
    });
    // Proofs of other resources may wait for this one, also when it failed.
    let step = if outcome.is_ok() && is_changing {
        PolicyStep::WillPut
    } else {
        PolicyStep::Done
    };
    let key = parts(&plan.model).map(|(_, key, _)| key_name(key));
    cx.client().keys().policies().came_to(key, step);
    Ok(outcome?)
}

async fn plan_access(
    cx: &Context<Client>,
    change: &Change<KeyPolicyModel>,
    plan: &mut Plan<KeyPolicyModel>,
) -> Result<(), Diagnostics> {
    let client = cx.client();
    let keys = client.keys().azure();
    let cases = all_known(&plan.model.use_cases);
    let may_be_destroyed = plan.model.may_be_destroyed();
    let ignored = plan.model.ignore_findings.clone();
    let Attr::Known(azure) = &mut plan.model.azure else {
        return Ok(());
    };
    plan.model.id = azure.key_vault_key_id.as_ref().map(ToString::to_string);
    if change
        .prior
        .as_ref()
        .is_some_and(|prior| prior.azure.is_null())
    {
        plan.replace.push(tfplugin::path::Path::of("azure"));
    }
    let prior = change.prior.as_ref().and_then(|prior| prior.azure.known());
    if change.quiet {
        return Ok(());
    }
    azure.principals = Attr::Unknown;
    azure.access_model = Attr::Unknown;
    let (Some(key), Some(vault), Some(cases)) = (
        azure.key_vault_key_id.known().cloned(),
        azure.vault_resource_id.known().cloned(),
        cases,
    ) else {
        client.warn_of_later_proof(cx);
        if let Some(key) = azure.key_vault_key_id.known() {
            keys.will_grant(
                key,
                PlannedAccess {
                    cases: UseCase::ALL.to_vec(),
                    has_unknown: true,
                    ..PlannedAccess::default()
                },
            );
        }
        return Ok(());
    };
    keys.is_in_vault(&key, vault.clone());
    if !keys.is_known() {
        client.warn_of_unknown_clouds(cx);
        return Ok(());
    }
    if azure.workspace_resource_id.is_unknown() || azure.databricks_principal_id.is_unknown() {
        client.warn_of_later_proof(cx);
        let planned = PlannedAccess {
            cases,
            workspace: azure.workspace_resource_id.known().cloned(),
            has_unknown: true,
            ..PlannedAccess::default()
        };
        keys.will_grant(&key, planned);
        return Ok(());
    }
    let workspace = workspace(client, azure).await?;
    let (needers, mut not_known) = keys
        .needers(
            &cases,
            workspace.as_ref(),
            azure.databricks_principal_id.known(),
            roles_of,
        )
        .await;
    // The binding grants the disk encryption set, which the attach makes.
    not_known.retain(|(role, _, why)| {
        !(*role == Role::DiskEncryptionSet && *why == Unknown::NotYetMade)
    });
    let wanted: BTreeSet<PrincipalId> = needers.iter().map(|one| one.principal.clone()).collect();
    if not_known.is_empty() {
        azure.principals = known_set(wanted.clone());
    }
    // What does not exist yet is made by this resource.
    not_known.retain(|(_, _, why)| *why != Unknown::NotYetMade);
    keys.will_grant(
        &key,
        PlannedAccess {
            cases: cases.clone(),
            principals: wanted.iter().cloned().collect(),
            workspace: azure.workspace_resource_id.known().cloned(),
            has_unknown: false,
        },
    );
    let mut facts = keys.facts(&key, Some(&vault), None, &[], Stage::Plan).await;
    // Whom this resource cannot find, it cannot grant either.
    facts.planned = Some(PlannedAccess {
        principals: wanted.iter().cloned().collect(),
        ..PlannedAccess::default()
    });
    if let Fact::Known(vault) = &facts.vault {
        azure.access_model = Attr::Known(name_of(&vault.access).to_owned());
    }
    let is_same = prior.is_some_and(|prior| {
        prior.key_vault_key_id == azure.key_vault_key_id
            && !prior.principals.is_null()
            && prior.principals() == wanted
            && prior.access_model == azure.access_model
            && azure.principals.known().is_some()
    });
    if is_same {
        return Ok(());
    }
    let question = Question {
        cases,
        needers,
        not_known,
        workspace: azure.workspace_resource_id.known().cloned(),
        location: workspace
            .as_ref()
            .and_then(|workspace| workspace.location().map(str::to_owned)),
        tenant: workspace
            .as_ref()
            .and_then(|workspace| workspace.tenant().map(str::to_owned)),
        stage: Stage::Plan,
    };
    let findings = judge(&facts, &question);
    let mut found = client.report(
        findings,
        &ignored,
        Stage::Plan,
        |_| "azure.key_vault_key_id",
    );
    let lost: BTreeSet<PrincipalId> = prior
        .map(|prior| prior.principals().difference(&wanted).cloned().collect())
        .unwrap_or_default();
    let own: BTreeSet<PrincipalId> = added(cx).intersection(&lost).cloned().collect();
    if !may_be_destroyed
        && let Err(errors) = refuse_removal(client, &key, &own, "This change").await
    {
        found.extend(errors);
    }
    split(cx, found)
}

/// Refuses to take from a workspace what it needs.
async fn refuse_removal(
    client: &Client,
    key: &VaultKeyId,
    lost: &BTreeSet<PrincipalId>,
    what: &str,
) -> Result<(), Diagnostics> {
    if lost.is_empty() {
        return Ok(());
    }
    let keys = client.keys().azure();
    let users = keys.users(key).await.map_err(|error| {
        let inner = diagnose::azure(
            "The provider could not find out which workspaces use the key",
            key,
            &error,
        );
        {
let detail = format!(
                "{}\n\n{what} would take access to {key} away. To do that without knowing who needs it, set `force_destroy = true` and apply that \
                 before.",
                inner.detail
            );
inner.with_detail(detail)
}
    })?;
    let mut named = Vec::new();
    for user in &users.workspaces {
        let (needers, _) = keys
            .needers(&user.cases, Some(&user.workspace), None, roles_of)
            .await;
        // Whoever is not known by now, because Graph is closed, may be among them.
        let is_certain = user
            .cases
            .iter()
            .all(|case| needers.iter().any(|needer| needer.case == *case));
        let needs = needers
            .iter()
            .any(|needer| lost.contains(&needer.principal));
        if needs || !is_certain {
            let cases: Vec<&str> = user.cases.iter().map(|case| case.in_words()).collect();
            named.push(format!(
                "  - {} ({})",
                user.workspace.id(),
                cases.join(", ")
            ));
        }
    }
    if named.is_empty() {
        let until = client
            .run()
            .needed_until(&key.versionless().to_string(), now_in_milliseconds());
        return match until.and_then(rfc3339) {
            None => Ok(()),
            Some(until) => Err(Diagnostic::error(
                "Databricks still needs the former key",
                format!(
                    "{what} would take access to {key} away. It was the managed services key of a workspace until less than 24 hours ago, and \
                     Databricks needs it for 24 hours.\n\nApply this change after {until}. To remove the access now all the same, set `force_destroy \
                     = true` and apply that before."
                ),
            )
            .into()),
        };
    }
    let lost: Vec<String> = lost.iter().map(|one| format!("  - {one}")).collect();
    Err(Diagnostic::error(
        "Workspaces need this access to the key",
        format!(
            "{what} would take the use of {key} from these principals:\n{}\n\nThese workspaces need it:\n{}\n\nWithout it, they lose access to their \
             data, or their clusters do not start.\n\nPut back what the configuration no longer names, give the workspaces another key first, or \
             delete them. To remove the access although the workspaces need it, set `force_destroy = true` and apply that before.",
            lost.join("\n"),
            named.join("\n")
        ),
    )
    .into())
}

/// What this resource added, as far as its private data say. What cannot be read there is not taken away, and said.
fn added(cx: &Context<Client>) -> BTreeSet<PrincipalId> {
    let (principals, unreadable) = read_principals(cx.private(ADDED).unwrap_or_default());
    if !unreadable.is_empty() {
        cx.warn(Diagnostic::warning(
            "Access to the key may stay",
            format!(
                "The state of this resource lists whom it gave access to the key. The provider cannot read these entries, and does not take their \
                 access away: {}.\n\nThe provider did not write them: find out who changed the state. Check who has access to the key in the Azure \
                 portal.",
                unreadable.join(", ")
            ),
        ));
    }
    principals
}

/// The principals in a list, and the entries that are none.
fn read_principals(list: Vec<String>) -> (BTreeSet<PrincipalId>, Vec<String>) {
    let (mut principals, mut unreadable) = (BTreeSet::new(), Vec::new());
    for one in list {
        match one.parse() {
            Ok(principal) => drop(principals.insert(principal)),
            Err(_) => unreadable.push(format!("`{one}`")),
        }
    }
    (principals, unreadable)
}

pub(super) async fn plan_destroy(
    cx: &Context<Client>,
    state: &KeyPolicyModel,
) -> Result<(), Unfinished> {
    match parts(state) {
        Some((_, key, _)) if !state.may_be_destroyed() => {
            let what = "Destroying this resource";
            Ok(refuse_removal(cx.client(), key, &added(cx), what).await?)
        }
        _ => Ok(()),
    }
}

/// Those of the principals that may use the key.
fn granted(facts: &VaultKeyFacts, needers: &[Needer]) -> BTreeSet<PrincipalId> {
    let Fact::Known(vault) = &facts.vault else {
        return BTreeSet::new();
    };
    let may = |needer: &&Needer| {
        matches!(
            access(facts, vault, &needer.principal),
            Access::Granted | Access::PerhapsDenied(_)
        )
    };
    let all = needers.iter().filter(may);
    all.map(|needer| needer.principal.clone()).collect()
}

pub(super) async fn read(
    cx: &Context<Client>,
    mut state: KeyPolicyModel,
) -> Result<Option<KeyPolicyModel>, Unfinished> {
    let client = cx.client();
    let keys = client.keys().azure();
    if !keys.is_known() {
        let reason = Unavailable::NotYetKnown(vec!["azure"]);
        return Err(later(not_read(&reason)));
    }
    let Some((azure, key, vault)) = parts(&state) else {
        return Ok(None);
    };
    let (key, vault) = (key.clone(), vault.clone());
    let is_imported = azure.principals.is_null();
    let workspace = match azure.workspace_resource_id.known() {
        None => None,
        Some(id) => match keys.workspace_for_plan(id).await {
            Ok(found) => Some(found),
            Err(AzureError::NotFound(_)) => None,
            Err(error) => {
                cx.warn(as_warning(diagnose::arm(
                    "The workspace could not be read",
                    id,
                    &error,
                )));
                return Ok(Some(state));
            }
        },
    };
    let cases = all_known(&state.use_cases).unwrap_or_else(|| UseCase::ALL.to_vec());
    let (needers, not_known) = keys
        .needers(
            &cases,
            workspace.as_ref(),
            azure.databricks_principal_id.known(),
            roles_of,
        )
        .await;
    let principals: Vec<PrincipalId> = needers.iter().map(|one| one.principal.clone()).collect();
    let facts = keys
        .facts(&key, Some(&vault), None, &principals, Stage::Plan)
        .await;
    let model = match &facts.vault {
        Fact::Known(found) => found.access.clone(),
        Fact::Unreadable(why) if why.is_missing => return Ok(None),
        Fact::Unreadable(why) => {
            cx.warn(Diagnostic::warning(
                "The vault could not be read",
                format!(
                    "{vault}: {}. The provider keeps the values in state.",
                    why.reason
                ),
            ));
            return Ok(Some(state));
        }
    };
    // Whose object id cannot be looked up now keeps its place in the state.
    let is_unread = not_known
        .iter()
        .any(|(_, _, why)| matches!(why, Unknown::Unread(_)));
    let there = granted(&facts, &needers);
    adopt(cx, &facts, &key, &vault, &there, &needers).await;
    if is_imported {
        let of = |role: Role| {
            needers
                .iter()
                .any(|one| one.role == role && there.contains(&one.principal))
        };
        let found: Vec<UseCase> = [
            (UseCase::ManagedServices, Role::AzureDatabricks),
            (UseCase::Storage, Role::StorageAccount),
            (UseCase::ManagedDisks, Role::DiskEncryptionSet),
        ]
        .into_iter()
        .filter(|(_, role)| of(*role))
        .map(|(case, _)| case)
        .collect();
        if !found.is_empty() {
            state.use_cases = known_set(found);
        }
    }
    if let Attr::Known(azure) = &mut state.azure {
        azure.access_model = Attr::Known(name_of(&model).to_owned());
        let kept = match is_unread && !is_imported {
            true => azure.principals(),
            false => BTreeSet::new(),
        };
        azure.principals = known_set(there.union(&kept).cloned().collect::<BTreeSet<_>>());
    }
    Ok(Some(state))
}

/// Takes over the access that is this provider's: assignments that carry its name, and the access of the disk encryption set, which the
/// binding has given after this resource gave the others.
async fn adopt(
    cx: &Context<Client>,
    facts: &VaultKeyFacts,
    key: &VaultKeyId,
    vault_id: &VaultResourceId,
    there: &BTreeSet<PrincipalId>,
    needers: &[Needer],
) {
    let Fact::Known(vault) = &facts.vault else {
        return;
    };
    let place = Place {
        key,
        vault: vault_id,
    };
    let mut own = added(cx);
    let before = own.len();
    let awaits_disks = cx.private(AWAITS_DISKS) == Some(true);
    for principal in there {
        if own.contains(principal) {
            continue;
        }
        let is_disks = needers
            .iter()
            .any(|one| one.principal == *principal && one.role == Role::DiskEncryptionSet);
        let is_ours = match is_own(cx.client(), place, vault, principal).await {
            Ok(Some(is_ours)) => is_ours,
            Ok(None) => is_disks && awaits_disks,
            Err(_) => false,
        };
        if is_ours {
            own.insert(principal.clone());
        }
    }
    if own.len() != before {
        cx.set_private(ADDED, &own);
    }
}

/// The workspace with an identity of its storage account: prepared, if it has none.
async fn prepared(
    cx: &Context<Client>,
    id: &WorkspaceResourceId,
    deadline: Deadline,
) -> Result<ArmWorkspace, Diagnostics> {
    let client = cx.client();
    let keys = client.keys().azure();
    let _alone = keys.lock_workspace(id).await;
    let refused = |error: &AzureError| -> Diagnostics {
        diagnose::arm(
            "The workspace could not be prepared for encryption",
            id,
            error,
        )
        .on("azure.workspace_resource_id")
        .into()
    };
    let (mut wait, mut was_sent) = (Duration::from_millis(500), false);
    loop {
        let now = keys
            .cloud()
            .workspace(id)
            .await
            .map_err(|error| unread(id, &error))?;
        let is_busy = now.progress() == crate::clouds::azure::Progress::Running;
        match now.storage_principal() {
            Ok(Some(_)) => return Ok(now),
            Err(why) => {
                return Err(Diagnostic::error(
                    "The identity of the storage account cannot be read",
                    format!(
                        "The workspace {id} shows an identity of its storage account, but {why}."
                    ),
                )
                .on("azure.workspace_resource_id")
                .into());
            }
            Ok(None) if !was_sent && !is_busy => {
                tracing::info!(workspace = %id, "preparing the workspace for encryption");
                let body = now.prepared().map_err(|error| refused(&error))?;
                match send(client, id, &body, deadline, cx.stop()).await {
                    Ok(()) => {
                        was_sent = true;
                        wait = Duration::from_millis(500);
                        if !cx.stop().is_cancelled() {
                            continue;
                        }
                    }
                    // Somebody else changes the workspace; it is tried again.
                    Err(AzureError::Conflict { .. }) => {}
                    Err(error) => return Err(refused(&error)),
                }
            }
            Ok(None) => {}
        }
        if deadline.has_passed() {
            return Err(Diagnostic::error(
                "The workspace was not prepared in time",
                format!(
                    "Azure did not show an identity of the storage account of {id} in time; the workspace is in the state {}.\n\nApply again: the \
                     provider continues from what is there. To wait longer, set `timeouts`.",
                    now.state()
                ),
            )
            .on("azure.workspace_resource_id")
            .into());
        }
        if pause(wait, cx.stop()).await == Pause::Stopped {
            return Err(Diagnostic::error(
                "Preparing the workspace was interrupted",
                format!(
                    "The run was interrupted while the storage account of {id} got its identity. Azure carries a request that it has accepted out \
                     without Terraform.\n\nApply again."
                ),
            )
            .into());
        }
        wait = (wait * 2).min(Duration::from_secs(10));
    }
}

pub(super) async fn put(
    cx: &Context<Client>,
    plan: KeyPolicyModel,
    prior: Option<&KeyPolicyModel>,
    progress: &Progress<KeyPolicyModel>,
) -> Result<KeyPolicyModel, Diagnostics> {
    let policies = cx.client().keys().policies();
    let key = parts(&plan).map(|(_, key, _)| key_name(key));
    policies.came_to(key.clone(), PolicyStep::Putting);
    let azure = cx.client().keys().azure();
    let own = parts(&plan)
        .map(|(parts, key, _)| (key.clone(), parts.workspace_resource_id.known().cloned()));
    let outcome = put_access(cx, plan, prior).await;
    if let Some((key, workspace)) = own {
        azure.access_was_given(&key);
        // It may have been prepared by a run that was interrupted, while this one watched.
        workspace.iter().for_each(|id| azure.forget_workspace(id));
    }
    policies.came_to(key, PolicyStep::Done);
    let state = outcome?;
    progress.save(state.clone());
    Ok(state)
}

async fn put_access(
    cx: &Context<Client>,
    mut plan: KeyPolicyModel,
    prior: Option<&KeyPolicyModel>,
) -> Result<KeyPolicyModel, Diagnostics> {
    let bug = || Diagnostic::bug("A key policy was applied before its configuration was known.");
    let client = cx.client();
    let keys = client.keys().azure();
    let operation = if prior.is_some() { "update" } else { "create" };
    let deadline = timeout(&plan.timeouts, operation, SETTLE);
    let cases = all_known(&plan.use_cases).ok_or_else(bug)?;
    let Some((azure, key, vault_id)) = parts(&plan) else {
        return Err(bug().into());
    };
    let (key, vault_id) = (key.clone(), vault_id.clone());
    keys.is_in_vault(&key, vault_id.clone());
    let workspace = match azure.workspace_resource_id.known() {
        None => None,
        Some(id) if cases.contains(&UseCase::Storage) => Some(prepared(cx, id, deadline).await?),
        Some(id) => Some(
            keys.cloud()
                .workspace(id)
                .await
                .map_err(|error| unread(id, &error))?,
        ),
    };
    let (needers, not_known) = keys
        .needers(
            &cases,
            workspace.as_ref(),
            azure.databricks_principal_id.known(),
            roles_of,
        )
        .await;
    let mut awaits_disks = false;
    let mut open = Vec::new();
    for unknown in not_known {
        match unknown {
            (Role::DiskEncryptionSet, _, Unknown::NotYetMade) => awaits_disks = true,
            other => open.push(other),
        }
    }
    let place = Place {
        key: &key,
        vault: &vault_id,
    };
    if !open.is_empty() {
        refuse_unknown(cx, &plan, place, open).await?;
    }
    // A principal that needs the key for several use cases is granted once.
    let wanted: BTreeMap<PrincipalId, &Needer> = needers
        .iter()
        .map(|needer| (needer.principal.clone(), needer))
        .collect();
    let mut own = added(cx);
    for (principal, needer) in &wanted {
        let given = grant(cx, place, principal, needer.role.in_words(), deadline).await;
        if given == Ok(true) {
            own.insert(principal.clone());
            cx.set_private(ADDED, &own);
        }
        given?;
    }
    let principals: Vec<PrincipalId> = wanted.keys().cloned().collect();
    let facts = keys
        .facts(&key, Some(&vault_id), None, &principals, Stage::Apply)
        .await;
    let Fact::Known(vault) = &facts.vault else {
        return Err(Diagnostic::error(
            "The vault could not be read",
            format!("{vault_id} was read a moment ago, and cannot be read now. The access to {key} is given. Apply again."),
        )
        .into());
    };
    // What an interrupted run has given is recognised by its name.
    let there = wanted.keys().cloned().collect();
    adopt(cx, &facts, &key, &vault_id, &there, &needers).await;
    cx.set_private(AWAITS_DISKS, &awaits_disks);
    let mut own = added(cx);
    let lost: Vec<PrincipalId> = own
        .iter()
        .filter(|one| !wanted.contains_key(one))
        .cloned()
        .collect();
    for principal in lost {
        revoke(client, place, &principal).await?;
        own.remove(&principal);
        cx.set_private(ADDED, &own);
    }
    let model = name_of(&vault.access).to_owned();
    if let Attr::Known(azure) = &mut plan.azure {
        if azure.principals.is_unknown() {
            azure.principals = known_set(principals);
        }
        if azure.access_model.is_unknown() {
            azure.access_model = Attr::Known(model);
        }
    }
    Ok(plan)
}

/// Refuses to grant while it is not known to whom.
async fn refuse_unknown(
    cx: &Context<Client>,
    plan: &KeyPolicyModel,
    place: Place<'_>,
    open: Vec<(Role, UseCase, Unknown)>,
) -> Result<(), Diagnostics> {
    let client = cx.client();
    let facts = client
        .keys()
        .azure()
        .facts(place.key, Some(place.vault), None, &[], Stage::Apply)
        .await;
    let question = Question {
        cases: Vec::new(),
        needers: Vec::new(),
        not_known: open,
        workspace: None,
        location: None,
        tenant: None,
        stage: Stage::Apply,
    };
    let findings = judge(&facts, &question);
    let found = client.report(
        findings,
        &plan.ignore_findings,
        Stage::Apply,
        |_| "azure.databricks_principal_id",
    );
    // Nobody can be granted who is not known, whatever `preflight` says.
    Err(found)
}

pub(super) async fn delete(cx: &Context<Client>, state: KeyPolicyModel) -> Result<(), Diagnostics> {
    let Some((azure, key, vault)) = parts(&state) else {
        return Ok(());
    };
    let mut own = added(cx);
    if !state.may_be_destroyed() {
        refuse_removal(cx.client(), key, &own, "Destroying this resource").await?;
    }
    let left: Vec<String> = azure
        .principals()
        .difference(&own)
        .map(|one| format!("  - {one}"))
        .collect();
    if !left.is_empty() {
        cx.warn(Diagnostic::warning(
            "Access that this resource did not give stays",
            format!(
                "These principals had the use of {key} before:\n{}\n\nTo see how, run:\n\n  az role assignment list --scope {vault}/keys/{} \
                 --include-inherited --output table",
                left.join("\n"),
                key.name()
            ),
        ));
    }
    let place = Place { key, vault };
    for principal in own.clone() {
        revoke(cx.client(), place, &principal).await?;
        own.remove(&principal);
        cx.set_private(ADDED, &own);
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry that is no principal is named, and takes nothing else with it.
    #[test]
    fn what_was_added_is_read_or_named() {
        let own = "0b1f6471-1bf0-4dda-aec3-cb9272f09590";
        let list = [own, "somebody", ""].map(str::to_owned).to_vec();
        let (principals, unreadable) = read_principals(list);
        let principals: Vec<String> = principals.iter().map(ToString::to_string).collect();
        assert_eq!(principals, [own]);
        assert_eq!(unreadable, ["`somebody`", "``"]);
    }
}
