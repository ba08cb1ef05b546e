//! The binding of a workspace on Azure: the keys in the workspace itself, a resource of Resource Manager.

use super::Rotation;
use crate::provider::diagnose::later;
use std::collections::BTreeMap;
use tfplugin::deferral::Unfinished;

use serde::{Deserialize, Serialize};

use super::{ATTACH, ROTATED, WorkspaceBindingModel, cannot_detach, refuse_second_binding, text};
use crate::clouds::azure::{ArmWorkspace, AzureError, WantedKeys};
use crate::preflight::azure::{AttachedVaultKey, Question, judge_workspace};
use crate::preflight::{Fact, Finding, Id, Remedy, Stage, Subject};
use crate::provider::attach::arm::{ArmPlatform, SETTLE};
use crate::provider::attach::{Failure, Orders, attach as attach_to};
use crate::provider::client::{Client, enforce, not_read};
use crate::provider::diagnose::{self, Unavailable, as_warnings};
use crate::provider::keys::{AzureCase, Case};
use crate::provider::moments::now_in_milliseconds;
use crate::provider::resources::timeout;
use crate::provider::vault_access::{Place, grant};
use crate::provider::waiting::{Deadline, Pause, pause};
use crate::requirements::azure::{Role, follows_new_versions, roles_before, roles_of};
use crate::requirements::transition;
use crate::vocabulary::azure::{AzureNameError, PrincipalId, VaultKeyId, WorkspaceResourceId};
use crate::vocabulary::{Cloud, KeyReference, UseCase};
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::duration::GoDuration;
use tfplugin::resource::{Change, Plan, Progress};
use tfplugin::schema::Attribute;
use tfplugin::value::Value;

/// `azure`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct WorkspaceBindingAzure {
    pub workspace_resource_id: Attr<WorkspaceResourceId>,
    pub rotate_managed_disks_to_latest_version: Attr<bool>,
    pub grant_managed_disks_access: Attr<bool>,
    pub storage_principal_id: Attr<PrincipalId>,
    pub managed_disks_principal_id: Attr<PrincipalId>,
    pub disk_encryption_set_id: Attr<String>,
}

pub(super) fn attributes() -> Vec<Attribute> {
    vec![
        Attribute::string("workspace_resource_id")
            .required()
            .replaces()
            .format::<WorkspaceResourceId>("Invalid resource ID of a workspace")
            .same_meaning(|one, other| {
                same::<WorkspaceResourceId>(one, other)
            })
            .describe("Resource ID of the workspace (`azurerm_databricks_workspace.….id`)."),
        Attribute::bool("rotate_managed_disks_to_latest_version")
            .default_value(Value::Bool(false))
            .describe(
                "Whether managed disks follow new versions of their key, within an hour of their creation. The provider does not plan a \
                 change for a version that Azure set by itself. Default: `false`.",
            ),
        Attribute::bool("grant_managed_disks_access")
            .default_value(Value::Bool(true))
            .describe(
                "Whether the provider gives the disk encryption set, which the first attach creates, the use of the key. With `false`, clusters do \
                 not start until somebody else does. Default: `true`.",
            ),
        Attribute::string("storage_principal_id")
            .computed()
            .describe("Object ID of the identity of the workspace's storage account."),
        Attribute::string("managed_disks_principal_id")
            .computed()
            .describe("Object ID of the identity of the disk encryption set."),
        Attribute::string("disk_encryption_set_id")
            .computed()
            .describe("Resource ID of the disk encryption set."),
    ]
}

/// Whether two texts mean the same.
pub(in crate::provider::resources) fn same<T: std::str::FromStr + PartialEq>(
    one: &Value,
    other: &Value,
) -> bool {
    let read = |value: &Value| value.as_str().and_then(|text| text.parse::<T>().ok());
    match (read(one), read(other)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

fn azure_of(
    model: &WorkspaceBindingModel,
) -> Option<(&WorkspaceBindingAzure, &WorkspaceResourceId)> {
    let azure = model.azure.known()?;
    Some((azure, azure.workspace_resource_id.known()?))
}

impl WorkspaceBindingAzure {
    fn rotates(&self) -> bool {
        self.rotate_managed_disks_to_latest_version.known() == Some(&true)
    }

    fn grants(&self) -> bool {
        self.grant_managed_disks_access.known() != Some(&false)
    }
}

/// What is wrong, offline.
pub(super) fn validate(config: &WorkspaceBindingModel) -> Diagnostics {
    let mut found = Diagnostics::new();
    for case in UseCase::ALL {
        if let Attr::Known(KeyReference::Configuration(id)) = config.wanted(case) {
            found.push(
                Diagnostic::error(
                    "A key configuration of a Databricks account is named for a workspace on Azure",
                    format!(
                        "`{}` is the key configuration {id} of a Databricks account. On Azure, a workspace has keys of Key Vault or Managed \
                         HSM.\n\nUse the `id` of a `dbxcmk_key_configuration` with `azure = {{ key_vault_key_id = … }}`.",
                        case.attribute()
                    ),
                )
                .on(case.attribute()),
            );
        }
    }
    let has_disks = !config.managed_disks_key_configuration_id.is_null();
    let rotates = config
        .azure
        .known()
        .is_some_and(WorkspaceBindingAzure::rotates);
    if rotates && !has_disks {
        found.push(
            Diagnostic::error(
                "Only managed disks rotate by themselves",
                "`rotate_managed_disks_to_latest_version` is true, and the binding has no `managed_disks_key_configuration_id`. Set it, or remove \
                 the attribute.",
            )
            .on("azure.rotate_managed_disks_to_latest_version"),
        );
    }
    found
}

/// The key of a use case, when it is known.
fn key_of(model: &WorkspaceBindingModel, case: UseCase) -> Option<&VaultKeyId> {
    model.wanted(case).known()?.vault_key()
}

/// The use cases whose key has to change, or is not known yet.
fn missing(model: &WorkspaceBindingModel, rotates: bool, now: &ArmWorkspace) -> Vec<UseCase> {
    UseCase::ALL
        .into_iter()
        .filter(|case| match model.wanted(*case) {
            Attr::Null => false,
            Attr::Unknown => true,
            Attr::Known(_) => key_of(model, *case).is_none_or(|key| !now.has(*case, key, rotates)),
        })
        .collect()
}

fn unread(id: &WorkspaceResourceId, error: &AzureError) -> Diagnostics {
    diagnose::arm("The workspace could not be read", id, error)
        .on("azure.workspace_resource_id")
        .into()
}

fn place(finding: &Finding) -> &'static str {
    match finding.subject {
        Subject::Workspace | Subject::Key => "azure.workspace_resource_id",
        _ => super::place(finding),
    }
}

/// The same model with what a workspace shows of itself.
fn showing(mut model: WorkspaceBindingModel, now: &ArmWorkspace) -> WorkspaceBindingModel {
    model.id = Attr::Known(now.id().to_string());
    model.workspace_id = now.number().into();
    model.workspace_name = text(now.id().id().name());
    model.workspace_status = text(now.state());
    model.region = text(now.location().unwrap_or_default());
    model.pricing_tier = text(now.tier());
    if let Attr::Known(azure) = &mut model.azure {
        azure.storage_principal_id = now.storage_principal().ok().flatten().into();
        azure.managed_disks_principal_id = now.disks_principal().ok().flatten().into();
        azure.disk_encryption_set_id = now.disk_encryption_set().map(str::to_owned).into();
    }
    model
}

/// A key that a workspace shows, for a state or a result.
///
/// # Errors
/// When it shows something else in its place, which is not the same as none.
pub fn readable(now: &ArmWorkspace, case: UseCase) -> Result<Option<VaultKeyId>, Diagnostics> {
    match now.key(case) {
        AttachedVaultKey::None => Ok(None),
        AttachedVaultKey::Known(key) => Ok(Some(key)),
        AttachedVaultKey::Unreadable(text) => Err(Diagnostic::error(
            "The key of the workspace cannot be read",
            format!(
                "The workspace {} shows this as its key for {}: {text}. The provider does not treat it as empty.\n\nRead the workspace:\n\n  az \
                 databricks workspace show --ids {}\n\nIf the key is correct there, report this as a bug of this provider.",
                now.id(),
                case.in_words(),
                now.id()
            ),
        )
        .on("azure.workspace_resource_id")
        .into()),
    }
}

/// The keys that a workspace has, as far as this binding names them, in the user's words where they mean the same.
fn with_keys(
    mut model: WorkspaceBindingModel,
    now: &ArmWorkspace,
    all: bool,
) -> Result<WorkspaceBindingModel, Diagnostics> {
    let rotates = model
        .azure
        .known()
        .is_some_and(WorkspaceBindingAzure::rotates);
    for case in UseCase::ALL {
        if !all && model.wanted(case).is_null() {
            continue;
        }
        let shown = readable(now, case)?;
        let is_as_named = key_of(&model, case).is_some_and(|own| now.has(case, own, rotates));
        if !is_as_named {
            *model.wanted_mut(case) = shown.map(KeyReference::VaultKey).into();
        }
    }
    Ok(model)
}

fn named(id: WorkspaceResourceId) -> WorkspaceBindingModel {
    WorkspaceBindingModel {
        id: Attr::Known(id.to_string()),
        azure: Attr::Known(WorkspaceBindingAzure {
            workspace_resource_id: Attr::Known(id),
            rotate_managed_disks_to_latest_version: Attr::Known(false),
            grant_managed_disks_access: Attr::Known(true),
            storage_principal_id: Attr::Null,
            managed_disks_principal_id: Attr::Null,
            disk_encryption_set_id: Attr::Null,
        }),
        ..WorkspaceBindingModel::unnamed()
    }
}

/// The binding of everything that a workspace has.
pub(super) fn binding_of(now: &ArmWorkspace) -> Result<WorkspaceBindingModel, Diagnostics> {
    let mut model = with_keys(showing(named(now.id().clone()), now), now, true)?;
    if let Attr::Known(azure) = &mut model.azure {
        azure.rotate_managed_disks_to_latest_version = Attr::Known(now.rotates_disks());
    }
    Ok(model)
}

/// What the proof of a binding came to.
struct Examined {
    findings: Vec<Finding>,
    /// The keys that are to be attached.
    keys: Vec<Case>,
}

/// Everything there is to say about the wanted attaches: the workspace, the keys, and who has to be able to use them.
async fn examine(
    client: &Client,
    model: &WorkspaceBindingModel,
    now: &ArmWorkspace,
    stage: Stage,
) -> Examined {
    let azure = client.keys().azure();
    let block = model.azure.known();
    let (rotates, grants) = (
        block.is_some_and(WorkspaceBindingAzure::rotates),
        block.is_none_or(WorkspaceBindingAzure::grants),
    );
    let about = now.facts();
    let (mut findings, mut keys): (Vec<Finding>, Vec<Case>) = (Vec::new(), Vec::new());
    let mut older: BTreeMap<Versions, Vec<UseCase>> = BTreeMap::new();
    let add = |all: &mut Vec<Finding>, finding: Finding| {
        // What concerns the workspace or a key as a whole is said once.
        let said = all
            .iter()
            .any(|other| other.id == finding.id && other.found == finding.found);
        if !said {
            all.push(finding);
        }
    };
    for case in UseCase::ALL {
        if model.wanted(case).is_null() {
            continue;
        }
        for finding in judge_workspace(&about, case) {
            add(&mut findings, finding);
        }
        let Some(key) = key_of(model, case) else {
            continue;
        };
        // The disk encryption set that the attach makes, or that is there, gets its access from this binding.
        let has_set = matches!(now.disks_principal(), Ok(Some(_)));
        let roles = match (has_set, grants) {
            (true, false) => roles_of,
            _ => roles_before,
        };
        let (needers, not_known) = azure.needers(&[case], Some(now), None, roles).await;
        let question = Question {
            cases: vec![case],
            needers,
            not_known,
            workspace: Some(now.id().clone()),
            location: now.location().map(str::to_owned),
            tenant: now.tenant().map(str::to_owned),
            stage,
        };
        let one = Case::Azure(Box::new(AzureCase {
            key: key.clone(),
            vault: None,
            question,
        }));
        let found = client.keys().examine(std::slice::from_ref(&one)).await;
        for finding in found.concat() {
            let subject = Subject::of(case);
            add(&mut findings, Finding { subject, ..finding });
        }
        keys.push(one);
        if stage == Stage::Plan
            && let Some(versions) = pinned(client, now, case, key, rotates).await
        {
            older.entry(versions).or_default().push(case);
        }
    }
    findings.extend(
        older
            .iter()
            .map(|(versions, cases)| at_older_version(versions, cases)),
    );
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Examined { findings, keys }
}

/// The version that a workspace has of a key, and the current one.
type Versions = (VaultKeyId, VaultKeyId);

/// The versions, where a workspace stays at an older one of a key of which the configuration names none.
async fn pinned(
    client: &Client,
    now: &ArmWorkspace,
    case: UseCase,
    key: &VaultKeyId,
    rotates: bool,
) -> Option<Versions> {
    if key.version().is_some() || follows_new_versions(case, rotates) {
        return None;
    }
    let attached = now.key(case);
    let attached = attached.known().filter(|own| own.is_same_key(key))?;
    let facts = client
        .keys()
        .azure()
        .facts(key, None, Some(now.id()), &[], Stage::Plan)
        .await;
    let Fact::Known(current) = &facts.key else {
        return None;
    };
    let current = key.with_version(&current.version);
    (*attached != current).then(|| (attached.clone(), current))
}

fn at_older_version((own, current): &Versions, cases: &[UseCase]) -> Finding {
    let listed: Vec<&str> = cases.iter().map(|case| case.in_words()).collect();
    let also = match cases.contains(&UseCase::ManagedDisks) {
        true => {
            " Or let managed disks follow by themselves: `rotate_managed_disks_to_latest_version = true`."
        }
        false => "",
    };
    Id::AzureVersionPinned
        .warning(Subject::Workspace)
        .found(format!(
            "The workspace uses the version {} of {} for {}; the vault's current version is {}.",
            own.version().unwrap_or_default(),
            own.versionless(),
            listed.join(" and "),
            current.version().unwrap_or_default()
        ))
        .why(
            "The configuration names no version, so the workspace stays at the version that was current when the key was attached. It works as long \
             as that version is enabled.",
        )
        .remedy(
            Remedy::say("To move to the current version, name it (`azurerm_key_vault_key.….id`):")
                .paste(format!("key_vault_key_id = \"{current}\""))
                .and_say(format!("Keep the old version enabled for 24 hours.{also}")),
        )
}

pub(super) async fn plan(
    cx: &Context<Client>,
    change: &Change<WorkspaceBindingModel>,
    plan: &mut Plan<WorkspaceBindingModel>,
) -> Result<(), Unfinished> {
    let client = cx.client();
    let azure = client.keys().azure();
    if let Attr::Known(block) = &plan.model.azure {
        plan.model.id = block
            .workspace_resource_id
            .as_ref()
            .map(ToString::to_string);
    }
    let same_workspace =
        |prior: &&WorkspaceBindingModel| match (azure_of(prior), azure_of(&plan.model)) {
            (Some((_, own)), Some((_, planned))) => own == planned,
            _ => false,
        };
    let prior = change.prior.as_ref().filter(same_workspace);
    let resets_storage = refuse_or_warn_removal(cx, prior, &plan.model)?;
    if change.quiet {
        return Ok(());
    }
    let Some((block, id)) = azure_of(&plan.model) else {
        client.warn_of_later_proof(cx);
        return Ok(());
    };
    let (id, rotates) = (id.clone(), block.rotates());
    if !azure.is_known() {
        client.warn_of_unknown_clouds(cx);
        return Err(later(Diagnostics::new()));
    }
    if prior.is_some() || change.prior.is_none() {
        refuse_second_binding(client, &id.to_string(), &plan.model, prior.is_none())?;
    }
    let now = match azure.workspace_for_plan(&id).await {
        Ok(now) => now,
        Err(AzureError::NotFound(_)) if client.run().has_vanished(&id.to_string()) => {
            cx.warn(
                Diagnostic::warning(
                    "The workspace no longer exists",
                    format!(
                        "Azure no longer has the workspace {id}, to which this binding attached keys. Remove this binding from the configuration; an \
                         apply with it will fail."
                    ),
                )
                .on("azure.workspace_resource_id"),
            );
            return Ok(());
        }
        Err(error) => return Err(unread(&id, &error).into()),
    };
    let missing = missing(&plan.model, rotates, &now);
    if change.differs {
        plan_computed(&mut plan.model, &now);
    }
    let Examined { findings, .. } = examine(client, &plan.model, &now, Stage::Plan).await;
    if UseCase::ALL
        .iter()
        .any(|case| plan.model.wanted(*case).is_unknown())
    {
        client.warn_of_later_proof(cx);
    }
    let findings = if missing.is_empty() && !resets_storage {
        let advice = findings.iter().filter(|one| one.is_advice()).cloned();
        let advice: Vec<Finding> = advice
            .filter(|one| one.id == Id::AzureVersionPinned)
            .collect();
        let mut all = as_warnings(findings);
        all.extend(advice);
        all
    } else {
        findings
    };
    Ok(enforce(
        cx,
        findings,
        &plan.model.ignore_findings,
        Stage::Plan,
        place,
    )?)
}

/// What a plan knows of what the workspace will show.
fn plan_computed(model: &mut WorkspaceBindingModel, now: &ArmWorkspace) {
    model.workspace_id = now.number().map_or(Attr::Unknown, Attr::Known);
    model.workspace_name = text(now.id().id().name());
    model.region = text(now.location().unwrap_or_default());
    model.pricing_tier = text(now.tier());
    model.workspace_status = Attr::Unknown;
    if let Attr::Known(azure) = &mut model.azure {
        // What is not there yet may come with this apply, from this resource or from another one.
        let known = |shown: Result<Option<PrincipalId>, String>| match shown {
            Ok(Some(principal)) => Attr::Known(principal),
            _ => Attr::Unknown,
        };
        azure.storage_principal_id = known(now.storage_principal());
        azure.managed_disks_principal_id = known(now.disks_principal());
        azure.disk_encryption_set_id = now
            .disk_encryption_set()
            .map_or(Attr::Unknown, |id| Attr::Known(id.to_owned()));
    }
}

/// Keys that the configuration does not name any more: that of workspace storage goes back to Microsoft's, the others cannot be removed.
fn refuse_or_warn_removal(
    cx: &Context<Client>,
    prior: Option<&WorkspaceBindingModel>,
    planned: &WorkspaceBindingModel,
) -> Result<bool, Diagnostics> {
    let mut resets = false;
    for case in UseCase::ALL {
        let Some(Attr::Known(before)) = prior.map(|prior| prior.wanted(case)) else {
            continue;
        };
        if !planned.wanted(case).is_null() {
            continue;
        }
        if !transition(&Cloud::Azure, case).remove {
            return Err(cannot_detach(case, &before.to_string()));
        }
        resets = true;
        cx.warn(
            Diagnostic::warning(
                "Workspace storage goes back to a key of Microsoft",
                format!(
                    "The configuration no longer names `{}`. This apply takes the key {before} from the storage account of the workspace, which is \
                     then encrypted with a key that Microsoft manages.\n\nTo keep the key, restore the attribute:\n\n  {} = \"{before}\"",
                    case.attribute(),
                    case.attribute()
                ),
            )
            .on(case.attribute()),
        );
    }
    Ok(resets)
}

/// The versions to set: those that are named, and the current ones of identifiers that name none. What a workspace has already as wanted
/// stays at its version.
async fn versions(
    client: &Client,
    model: &WorkspaceBindingModel,
    now: &ArmWorkspace,
    rotates: bool,
) -> Result<BTreeMap<UseCase, VaultKeyId>, Diagnostics> {
    let mut set = BTreeMap::new();
    for case in UseCase::ALL {
        let Some(key) = key_of(model, case) else {
            if model.wanted(case).is_null() {
                continue;
            }
            return Err(Diagnostic::bug(
                "A workspace binding was applied before its keys were known.",
            )
            .into());
        };
        let attached = now.key(case);
        let version = match (key.version(), attached.known()) {
            (Some(_), _) => key.clone(),
            (None, Some(own)) if now.has(case, key, rotates) => own.clone(),
            (None, _) => {
                let found = client.keys().azure().cloud().key(key).await;
                let found = found.map_err(|error| {
                    let inner =
                        diagnose::azure("The current version of the key could not be read", key, &error);
                    {
let detail = format!(
                            "{}\n\nA workspace pins a version, and {key} names none. If this machine cannot reach the vault, name the version \
                             (`azurerm_key_vault_key.….id`).",
                            inner.detail
                        );
inner.with_detail(detail)
}
                    .on(case.attribute())
                })?;
                key.with_version(&found.version)
            }
        };
        set.insert(case, version);
    }
    Ok(set)
}

/// Attaches what is not attached yet, and waits until it is there to stay. `prior`: the binding in the state, if it is there already.
pub(super) async fn attach(
    cx: &Context<Client>,
    plan: WorkspaceBindingModel,
    prior: Option<&WorkspaceBindingModel>,
    progress: &Progress<WorkspaceBindingModel>,
) -> Result<WorkspaceBindingModel, Diagnostics> {
    let client = cx.client();
    let azure = client.keys().azure();
    let Some((block, id)) = azure_of(&plan) else {
        return Err(Diagnostic::bug(
            "A workspace binding was applied before its workspace was known.",
        )
        .into());
    };
    let (id, rotates, grants) = (id.clone(), block.rotates(), block.grants());
    let operation = if prior.is_some() { "update" } else { "create" };
    let deadline = timeout(&plan.timeouts, operation, ATTACH);
    let mut before = azure
        .cloud()
        .workspace(&id)
        .await
        .map_err(|error| unread(&id, &error))?;
    let reset_storage = prior.is_some_and(|prior| !prior.wanted(UseCase::Storage).is_null())
        && plan.wanted(UseCase::Storage).is_null();
    let is_missing = !missing(&plan, rotates, &before).is_empty() || reset_storage;
    let Examined { findings, keys } = examine(client, &plan, &before, Stage::Apply).await;
    // What is attached already cannot be stopped any more, only reported.
    let findings = match is_missing {
        true => findings,
        false => as_warnings(findings),
    };
    enforce(cx, findings, &plan.ignore_findings, Stage::Apply, place)?;
    // A policy of this run may have prepared the workspace while the proof waited for it.
    let _alone = azure.lock_workspace(&id).await;
    before = azure
        .cloud()
        .workspace(&id)
        .await
        .map_err(|error| unread(&id, &error))?;
    let set = versions(client, &plan, &before, rotates).await?;
    let disks_key = set.get(&UseCase::ManagedDisks).cloned();
    if let Some(key) = &disks_key
        && grants
        && let Ok(Some(principal)) = before.disks_principal()
    {
        grant_disks(cx, &id, key, &principal, deadline).await?;
    }
    let length = |attribute: &Attr<GoDuration>| attribute.known().map(GoDuration::length);
    let orders = Orders {
        keys,
        deadline,
        wait_for_compute: length(&plan.wait_for_compute).unwrap_or_default(),
        settle_time: length(&plan.settle_time).unwrap_or(SETTLE),
    };
    let platform = ArmPlatform {
        client,
        id: id.clone(),
        keys: set.values().cloned().collect(),
        wanted: WantedKeys {
            set,
            reset_storage,
            rotate_disks: rotates,
        },
        deadline,
        stop: cx.stop().clone(),
    };
    let look = platform.seen(before);
    let outcome = attach_to(cx, &platform, look, &orders).await;
    azure.forget_workspace(&id);
    let now = match outcome {
        Ok(now) => now,
        Err(failure) => return Err(explained(cx, plan, *failure, prior.is_some(), progress).await),
    };
    remember_former(cx, prior, &plan);
    let now = match disks_key {
        Some(key) if grants => {
            match give_disks(cx, now.clone(), &id, &key, deadline).await {
                Ok(now) => now,
                Err(errors) => {
                    // The keys are attached: an update says so in the state. A new binding stays out of it, since Terraform would
                    // replace it; the next apply finds the keys attached and goes on with the access.
                    if prior.is_some() {
                        progress.save(showing(plan, &now));
                    }
                    return Err(errors);
                }
            }
        }
        _ => now,
    };
    Ok(showing(plan, &now))
}

/// Gives the disk encryption set that the attach has made the use of the key.
async fn give_disks(
    cx: &Context<Client>,
    mut now: ArmWorkspace,
    id: &WorkspaceResourceId,
    key: &VaultKeyId,
    deadline: Deadline,
) -> Result<ArmWorkspace, Diagnostics> {
    let azure = cx.client().keys().azure();
    let mut wait = std::time::Duration::from_millis(500);
    let principal = loop {
        match now.disks_principal() {
            Ok(Some(principal)) => break principal,
            Ok(None) if !deadline.has_passed() => {}
            shown => {
                let why = match shown {
                    Err(why) => why,
                    Ok(_) => "the workspace does not show it".to_owned(),
                };
                return Err(Diagnostic::error(
                    "The identity of the disk encryption set is not known",
                    format!(
                        "The key for managed disks is set on {id}, but {why}. Without access to the key, clusters do not start.\n\nApply again; the \
                         provider goes on with the access."
                    ),
                )
                .on("managed_disks_key_configuration_id")
                .into());
            }
        }
        if pause(wait, cx.stop()).await == Pause::Stopped {
            return Err(Diagnostic::error(
                "Giving the disk encryption set access to the key was interrupted",
                format!("The key for managed disks is set on {id}. Apply again: without access to the key, clusters do not start."),
            )
            .into());
        }
        wait = (wait * 2).min(std::time::Duration::from_secs(10));
        now = azure
            .cloud()
            .workspace(id)
            .await
            .map_err(|error| unread(id, &error))?;
    };
    grant_disks(cx, id, key, &principal, deadline).await?;
    Ok(now)
}

async fn grant_disks(
    cx: &Context<Client>,
    id: &WorkspaceResourceId,
    key: &VaultKeyId,
    principal: &PrincipalId,
    deadline: Deadline,
) -> Result<(), Diagnostics> {
    let azure = cx.client().keys().azure();
    let facts = azure.facts(key, None, Some(id), &[], Stage::Plan).await;
    let Some(vault) = &facts.vault_id else {
        let why = match &facts.vault {
            Fact::Unreadable(why) => why.reason.clone(),
            Fact::Known(_) => String::new(),
        };
        return Err(Diagnostic::error(
            "The vault of the key for managed disks is not known",
            format!(
                "The disk encryption set ({principal}) needs the use of {key}, and the provider does not find the vault: {why}.\n\nSet \
                 `azure.subscription_id` of the provider to the subscription of the vault, and apply again."
            ),
        )
        .on("managed_disks_key_configuration_id")
        .into());
    };
    let place = Place { key, vault };
    grant(
        cx,
        place,
        principal,
        Role::DiskEncryptionSet.in_words(),
        deadline,
    )
    .await
    .map(|_| ())
    .map_err(|errors| {
        errors
            .into_iter()
            .map(|error| error.on("managed_disks_key_configuration_id"))
            .collect()
    })
}

/// Remembers the key that a rotation of managed services takes from a workspace: Databricks needs it for 24 hours.
fn remember_former(
    cx: &Context<Client>,
    prior: Option<&WorkspaceBindingModel>,
    plan: &WorkspaceBindingModel,
) {
    let before = prior.and_then(|prior| key_of(prior, UseCase::ManagedServices));
    let after = key_of(plan, UseCase::ManagedServices);
    if let (Some(before), Some(after)) = (before, after)
        && !before.is_same_key(after)
    {
        let (key, at) = (before.versionless().to_string(), now_in_milliseconds());
        cx.set_private(
            ROTATED,
            &Rotation {
                key: key.clone(),
                at,
            },
        );
        cx.client().run().key_was_rotated_away(key, at);
    }
}

/// A failed attach, for the user and for the state.
async fn explained(
    cx: &Context<Client>,
    plan: WorkspaceBindingModel,
    failure: Failure<ArmWorkspace>,
    existing: bool,
    progress: &Progress<WorkspaceBindingModel>,
) -> Diagnostics {
    let mut all = failure.diagnostics;
    // A refused update leaves its mark on the workspace.
    let azure = cx.client().keys().azure();
    let id = failure.now.id().clone();
    let now = azure.cloud().workspace(&id).await.unwrap_or(failure.now);
    if failure.is_about_the_key {
        let examined = examine(cx.client(), &plan, &now, Stage::Apply).await;
        all.extend(cx.client().report(
            examined.findings,
            &plan.ignore_findings,
            Stage::Apply,
            place,
        ));
    }
    // A new binding stays out of the state: written there together with an error, Terraform would replace it.
    if existing && let Ok(truth) = with_keys(showing(plan, &now), &now, false) {
        progress.save(truth);
    }
    all
}

pub(super) async fn read(
    cx: &Context<Client>,
    state: WorkspaceBindingModel,
) -> Result<Option<WorkspaceBindingModel>, Unfinished> {
    let client = cx.client();
    let azure = client.keys().azure();
    super::account::remember_rotation(cx);
    let Some((_, id)) = azure_of(&state) else {
        return Ok(None);
    };
    if !azure.is_known() {
        let reason = Unavailable::NotYetKnown(vec!["azure"]);
        return Err(later(not_read(&reason)));
    }
    let id = id.clone();
    let now = match azure.workspace_for_plan(&id).await {
        Ok(now) => now,
        Err(AzureError::NotFound(_)) => {
            client.run().workspace_vanished(id.to_string());
            return Ok(None);
        }
        Err(error) => return Err(unread(&id, &error).into()),
    };
    let imported = UseCase::ALL
        .iter()
        .all(|case| state.wanted(*case).is_null());
    if !imported {
        let mut state = with_keys(showing(state, &now), &now, false)?;
        let has_disks = !state.managed_disks_key_configuration_id.is_null();
        if let Attr::Known(azure) = &mut state.azure
            && has_disks
        {
            azure.rotate_managed_disks_to_latest_version = Attr::Known(now.rotates_disks());
        }
        return Ok(Some(state));
    }
    let found = binding_of(&now)?;
    if UseCase::ALL
        .iter()
        .all(|case| found.wanted(*case).is_null())
    {
        return Err(Diagnostic::error(
            "The workspace has no keys",
            format!("The workspace {id} has no key of its own, so there is no binding to import. Create one instead."),
        )
        .into());
    }
    Ok(Some(WorkspaceBindingModel {
        ignore_findings: state.ignore_findings,
        timeouts: state.timeouts,
        ..found
    }))
}

/// A first state from the resource id of a workspace.
pub(super) fn import(id: &str) -> Result<WorkspaceBindingModel, Diagnostics> {
    let id: WorkspaceResourceId = id.parse().map_err(|error: AzureNameError| {
        Diagnostic::error(
            "Not the resource ID of a workspace",
            format!("A dbxcmk_workspace_binding on Azure is imported by the resource ID of its workspace, but {error}."),
        )
    })?;
    Ok(named(id))
}
