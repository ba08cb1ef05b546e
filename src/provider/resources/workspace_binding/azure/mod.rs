//! The binding of a workspace on Azure: the keys in the workspace itself, a resource of Resource Manager.

mod attach;
mod former;
mod proof;

pub(super) use self::attach::attach;

use serde::{Deserialize, Serialize};

use self::proof::{examine, lacks_disks, of_disks, place, to_be_given};
use super::{Examined, WorkspaceBindingModel, cannot_detach, fill, refuse_second_binding, text};
use crate::clouds::azure::{ArmWorkspace, AzureError};
use crate::preflight::azure::AttachedVaultKey;
use crate::preflight::{Finding, Id, Stage};
use crate::provider::catalog_users::warn_of_rotation;
use crate::provider::client::{Client, enforce, not_read};
use crate::provider::diagnose::{self, Unavailable, as_first_warnings, as_warnings, later};
use crate::requirements::transition;
use crate::vocabulary::azure::{AzureNameError, PrincipalId, VaultKeyId, WorkspaceResourceId};
use crate::vocabulary::{Cloud, Key, KeyReference, UseCase};
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::deferral::Unfinished;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::resource::{Change, Plan};
use tfplugin::schema::Attribute;
use tfplugin::value::Value;

/// The `azure` block of `dbxcmk_workspace_binding`.
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
                "Whether the provider grants the key to the disk encryption set, which the first attach creates. With `false`, clusters do \
                 not start until somebody else does. Where the set has lost its access, a refresh shows `false`, and the apply gives it again. \
                 Default: `true`.",
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

/// Whether a key without a version names the version of it that the binding has: a workspace stays at its version, so nothing changes.
pub(super) fn stays_at_its_version(prior: &Value, config: &Value) -> bool {
    let read = |value: &Value| value.as_str()?.parse::<VaultKeyId>().ok();
    match (read(prior), read(config)) {
        (Some(prior), Some(config)) => config.version().is_none() && prior.is_same_key(&config),
        _ => false,
    }
}

/// A planned binding with its keys as the configuration names them.
fn as_configured(
    planned: &WorkspaceBindingModel,
    config: &WorkspaceBindingModel,
) -> WorkspaceBindingModel {
    let mut model = planned.clone();
    for case in UseCase::ALL {
        *model.wanted_mut(case) = config.wanted(case).clone();
    }
    model
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

/// Checks the configuration without a call: everything that is wrong with it.
pub(super) fn validate(config: &WorkspaceBindingModel) -> Diagnostics {
    let mut found = Diagnostics::new();
    for case in UseCase::ALL {
        if let Attr::Known(KeyReference::Configuration(id)) = config.wanted(case) {
            found.push(
                Diagnostic::error(
                    "An Azure workspace needs a key configuration with an `azure` block",
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
                "`rotate_managed_disks_to_latest_version` is true, and the binding has no `managed_disks_key_configuration_id`. Remove \
                 `rotate_managed_disks_to_latest_version`, or set a key for managed disks. A key for managed disks that is attached cannot be \
                 detached: if the binding had one until now, put it back.",
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

/// Counts the catalogs that keep a key which this change takes from the workspace.
async fn count_catalogs(
    cx: &Context<Client>,
    id: &WorkspaceResourceId,
    prior: &WorkspaceBindingModel,
    plan: &WorkspaceBindingModel,
) {
    // Most who have keys on Azure configure no Databricks account, and then nothing is read.
    if cx.client().databricks().id().is_err() {
        return;
    }
    let is_known = |case: &UseCase| !plan.wanted(*case).is_unknown();
    if !UseCase::ALL.iter().all(is_known) {
        return;
    }
    let planned: Vec<&VaultKeyId> = UseCase::ALL
        .into_iter()
        .filter_map(|case| key_of(plan, case))
        .collect();
    let former = UseCase::ALL
        .into_iter()
        .filter_map(|case| key_of(prior, case))
        .filter(|key| !planned.iter().any(|own| own.is_same_key(key)));
    for key in former {
        let name = format!("workspace {}", id.id().name());
        warn_of_rotation(cx, &name, &Key::Azure(key.versionless())).await;
    }
}

/// The keys of all use cases, once they are known.
fn keys_of(model: &WorkspaceBindingModel) -> Option<Vec<(UseCase, Key)>> {
    let wanted = UseCase::ALL.into_iter();
    let wanted = wanted.filter(|case| !model.wanted(*case).is_null());
    wanted
        .map(|case| Some((case, Key::from(key_of(model, case)?.versionless()))))
        .collect()
}

/// The use cases whose key the apply must change, or whose key Terraform does not know yet.
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

/// The same model with what a workspace shows of itself.
fn showing(mut model: WorkspaceBindingModel, now: &ArmWorkspace) -> WorkspaceBindingModel {
    // As this binding writes it: the workspace may have been read for another resource that writes it otherwise.
    let own = azure_of(&model).map(|(_, id)| id.to_string());
    model.id = Attr::Known(own.unwrap_or_else(|| now.id().to_string()));
    model.workspace_id = now.number().into();
    model.workspace_name = text(now.id().id().name());
    model.workspace_status = text(now.state());
    model.region = text(now.location().unwrap_or_default());
    model.pricing_tier = text(now.tier().unwrap_or_default());
    if let Attr::Known(azure) = &mut model.azure {
        azure.storage_principal_id = now.storage_principal().ok().flatten().into();
        azure.managed_disks_principal_id = now.disks_principal().ok().flatten().into();
        azure.disk_encryption_set_id = now.disk_encryption_set().map(str::to_owned).into();
    }
    model
}

/// A planned binding with what only the workspace shows; what the plan has promised stays as promised.
fn filled(plan: WorkspaceBindingModel, now: &ArmWorkspace) -> WorkspaceBindingModel {
    let shown = showing(plan.clone(), now);
    let azure = shown.azure.clone();
    let mut model = plan.filled_by(shown);
    if let (Attr::Known(own), Attr::Known(shown)) = (&mut model.azure, azure) {
        fill(&mut own.storage_principal_id, shown.storage_principal_id);
        fill(
            &mut own.managed_disks_principal_id,
            shown.managed_disks_principal_id,
        );
        fill(
            &mut own.disk_encryption_set_id,
            shown.disk_encryption_set_id,
        );
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

fn vanished(id: &WorkspaceResourceId) -> Diagnostic {
    Diagnostic::warning(
        "The workspace no longer exists",
        format!(
            "Azure no longer has the workspace {id}, to which this binding attached keys. Remove this binding from the configuration; an \
             apply with it will fail."
        ),
    )
    .on("azure.workspace_resource_id")
}

pub(super) async fn plan(
    cx: &Context<Client>,
    change: &Change<WorkspaceBindingModel>,
    plan: &mut Plan<WorkspaceBindingModel>,
) -> Result<(), Unfinished> {
    let client = cx.client();
    let azure = client.keys().azure();
    if let Attr::Known(block) = &plan.model.azure {
        let id = &block.workspace_resource_id;
        plan.model.id = id.as_ref().map(ToString::to_string);
        // The plan knows nothing else of the workspace: Terraform plans twice, and the second plan must know what the first one knew,
        // so both leave the rest to the apply.
        if change.prior.is_none() {
            plan.model.workspace_name = id.as_ref().map(|id| id.id().name().to_owned());
        }
    }
    let same_workspace =
        |prior: &&WorkspaceBindingModel| match (azure_of(prior), azure_of(&plan.model)) {
            (Some((_, own)), Some((_, planned))) => own == planned,
            _ => false,
        };
    let prior = change.prior.as_ref().filter(same_workspace);
    let keys = keys_of(&plan.model);
    plan.model.plan_proof(client, prior, keys);
    let resets_storage = refuse_or_warn_removal(cx, prior, &plan.model)?;
    // What changes quietly has its workspace all the same.
    if let Some((_, id)) = azure_of(&plan.model)
        && (prior.is_some() || change.prior.is_none())
    {
        refuse_second_binding(cx, &id.to_string(), &plan.model, prior.is_none())?;
    }
    if change.quiet {
        return Ok(());
    }
    let Some((block, id)) = azure_of(&plan.model) else {
        client.warn_of_later_proof(cx, &[("azure.workspace_resource_id", true)]);
        return Ok(());
    };
    let (id, rotates, grants) = (id.clone(), block.rotates(), block.grants());
    if !azure.is_known() {
        client.warn_of_unknown_clouds(cx);
        return Err(later(Diagnostics::new()));
    }
    let now = match azure.workspace_for_plan(&id).await {
        Ok(now) => now,
        Err(AzureError::NotFound(_)) if client.run().has_vanished(&id.to_string()) => {
            cx.warn(vanished(&id));
            return Ok(());
        }
        Err(error) => return Err(unread(&id, &error).into()),
    };
    if let Some(prior) = prior {
        count_catalogs(cx, &id, prior, &plan.model).await;
    }
    let missing = missing(&plan.model, rotates, &now);
    let configured = as_configured(&plan.model, &change.config);
    let Examined { mut findings, .. } = examine(client, &configured, &now, Stage::Plan).await;
    let has_disks = !plan.model.managed_disks_key_configuration_id.is_null();
    if grants && has_disks && !missing.contains(&UseCase::ManagedDisks) {
        findings.extend(to_be_given(of_disks(client, &now, Stage::Plan).await));
    }
    findings.extend(former::judge(cx, &now).await);
    let unknown = UseCase::ALL.map(|case| (case.attribute(), plan.model.wanted(case).is_unknown()));
    if unknown.iter().any(|(_, is_unknown)| *is_unknown) {
        client.warn_of_later_proof(cx, &unknown);
    }
    let findings = if missing.is_empty() && change.prior.is_none() {
        as_first_warnings(findings)
    } else if missing.is_empty() && !resets_storage {
        let advice = findings.iter().filter(|one| one.is_advice()).cloned();
        let advice: Vec<Finding> = advice
            .filter(|one| matches!(one.id, Id::AzureVersionPinned | Id::AzureFormerVersion))
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

/// Keys that the configuration no longer names: that of workspace storage goes back to Microsoft's, the others cannot be removed.
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
                "Workspace storage will use a Microsoft-managed key",
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

/// Whether Azure certainly no longer has the workspace.
pub(super) async fn is_gone(client: &Client, state: &WorkspaceBindingModel) -> bool {
    let azure = client.keys().azure();
    match azure_of(state) {
        Some((_, id)) if azure.is_known() => {
            let found = azure.workspace_for_plan(id).await;
            matches!(found, Err(AzureError::NotFound(_)))
        }
        _ => false,
    }
}

pub(super) async fn read(
    cx: &Context<Client>,
    state: WorkspaceBindingModel,
) -> Result<Option<WorkspaceBindingModel>, Unfinished> {
    let client = cx.client();
    let azure = client.keys().azure();
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
    if !state.is_imported() {
        let mut state = with_keys(showing(state, &now), &now, false)?;
        let has_disks = !state.managed_disks_key_configuration_id.is_null();
        if let Attr::Known(azure) = &mut state.azure
            && has_disks
        {
            azure.rotate_managed_disks_to_latest_version = Attr::Known(now.rotates_disks());
            // The plan gives back what another writer took away.
            if azure.grants() && lacks_disks(client, &now).await {
                azure.grant_managed_disks_access = Attr::Known(false);
            }
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

/// A first state from the resource ID of a workspace.
pub(super) fn import(id: &str) -> Result<WorkspaceBindingModel, Diagnostics> {
    let id: WorkspaceResourceId = id.parse().map_err(|error: AzureNameError| {
        Diagnostic::error(
            "Not the resource ID of a workspace",
            format!("A dbxcmk_workspace_binding on Azure is imported by the resource ID of its workspace, but {error}."),
        )
    })?;
    Ok(named(id))
}
