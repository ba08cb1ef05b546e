//! `dbxcmk_workspace_binding`: the keys under one workspace. It changes these fields of a workspace that another resource or person owns,
//! and nothing else. Databricks often cannot undo the change.
//!
//! On AWS and Google Cloud the workspace is one of a Databricks account ([`account`]), on Azure a resource of Resource Manager ([`azure`]).

mod account;
mod attach;
mod azure;
mod examined;

pub use azure::WorkspaceBindingAzure;
pub use azure::readable;
pub(super) use azure::same;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::examined::Examined;
use super::former_key::recall_former;
use super::{Timeouts, owner, proof_attribute, proof_of};
use crate::clouds::azure::ArmWorkspace;
use crate::databricks::workspaces::Workspace;
use crate::preflight::{Finding, Subject};
use crate::provider::client::Client;
use crate::provider::diagnose::{IgnoreFindings, ignore_findings};
use crate::provider::run::{Claim, Claimed, Holding};
use crate::vocabulary::{Key, KeyReference, UseCase, WorkspaceId};
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::deferral::Unfinished;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::duration::GoDuration;
use tfplugin::identity::{Identity, IdentityAttribute};
use tfplugin::resource::{Change, Import, Plan, Progress, Resource};
use tfplugin::schema::{Attribute, Name, Schema};
use tfplugin::timeouts::{self, Timeout};

/// How long an attach may take; Databricks speaks of twenty minutes, and of twenty more until clusters can start.
const ATTACH: Duration = Duration::from_secs(60 * 60);
const CREATE: Timeout = Timeout::new("create", ATTACH);
const UPDATE: Timeout = Timeout::new("update", ATTACH);

/// `dbxcmk_workspace_binding`: attaches keys to a workspace.
pub struct WorkspaceBindingResource;

/// Configuration, plan and state.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct WorkspaceBindingModel {
    pub id: Attr<String>,
    pub workspace_id: Attr<WorkspaceId>,
    pub managed_services_key_configuration_id: Attr<KeyReference>,
    pub storage_key_configuration_id: Attr<KeyReference>,
    pub managed_disks_key_configuration_id: Attr<KeyReference>,
    pub azure: Attr<WorkspaceBindingAzure>,
    pub settle_time: Attr<GoDuration>,
    pub wait_for_compute: Attr<GoDuration>,
    pub workspace_name: Attr<String>,
    pub workspace_status: Attr<String>,
    pub region: Attr<String>,
    pub pricing_tier: Attr<String>,
    pub proof: Attr<String>,
    pub ignore_findings: IgnoreFindings,
    pub timeouts: Timeouts,
}

impl WorkspaceBindingModel {
    /// A binding of which nothing is known.
    fn unnamed() -> Self {
        Self {
            id: Attr::Null,
            workspace_id: Attr::Null,
            managed_services_key_configuration_id: Attr::Null,
            storage_key_configuration_id: Attr::Null,
            managed_disks_key_configuration_id: Attr::Null,
            azure: Attr::Null,
            settle_time: Attr::Null,
            wait_for_compute: Attr::Null,
            workspace_name: Attr::Null,
            workspace_status: Attr::Null,
            region: Attr::Null,
            pricing_tier: Attr::Null,
            proof: Attr::Null,
            ignore_findings: Attr::Null,
            timeouts: Attr::Null,
        }
    }

    /// Whether it is the first state of an import, of which nothing was read yet. A binding without keys alone is none: Databricks may have undone the
    /// attach, or somebody has taken the keys away, and then the plan sets them again.
    fn is_imported(&self) -> bool {
        let shown = [
            &self.workspace_name,
            &self.workspace_status,
            &self.region,
            &self.pricing_tier,
        ];
        let has_no_key = |case: UseCase| self.wanted(case).is_null();
        UseCase::ALL.into_iter().all(has_no_key) && shown.into_iter().all(Attr::is_null)
    }

    fn wanted(&self, case: UseCase) -> &Attr<KeyReference> {
        match case {
            UseCase::ManagedServices => &self.managed_services_key_configuration_id,
            UseCase::Storage => &self.storage_key_configuration_id,
            UseCase::ManagedDisks => &self.managed_disks_key_configuration_id,
        }
    }

    fn wanted_mut(&mut self, case: UseCase) -> &mut Attr<KeyReference> {
        match case {
            UseCase::ManagedServices => &mut self.managed_services_key_configuration_id,
            UseCase::Storage => &mut self.storage_key_configuration_id,
            UseCase::ManagedDisks => &mut self.managed_disks_key_configuration_id,
        }
    }

    /// A planned binding with what only the workspace shows. What the plan has promised stays as promised: a workspace that was renamed
    /// meanwhile shows in the next plan.
    fn filled_by(mut self, shown: Self) -> Self {
        fill(&mut self.id, shown.id);
        fill(&mut self.workspace_id, shown.workspace_id);
        fill(&mut self.workspace_name, shown.workspace_name);
        fill(&mut self.workspace_status, shown.workspace_status);
        fill(&mut self.region, shown.region);
        fill(&mut self.pricing_tier, shown.pricing_tier);
        self
    }

    /// Plans the lines about the proof: those of the state where it has the same keys. `keys`: `None` while one of them is not known, or cannot be
    /// read.
    fn plan_proof(
        &mut self,
        client: &Client,
        prior: Option<&Self>,
        keys: Option<Vec<(UseCase, Key)>>,
    ) {
        let has_same = |prior: &&Self| {
            let mut cases = UseCase::ALL.iter();
            cases.all(|case| prior.wanted(*case) == self.wanted(*case))
        };
        match (prior.filter(has_same), keys) {
            (Some(prior), _) => self.proof = prior.proof.clone(),
            // Without errors that stop, the plan within the apply may not be able to name the keys again.
            (None, Some(keys)) if client.stops(&self.ignore_findings).enforces() => {
                self.prove(client, keys);
            }
            (None, _) => self.proof = Attr::Unknown,
        }
    }

    /// Writes the lines about the proof of these keys.
    fn prove(&mut self, client: &Client, keys: Vec<(UseCase, Key)>) {
        let mut all: Vec<(Key, Vec<UseCase>)> = Vec::new();
        for (case, key) in keys {
            match all.iter_mut().find(|(own, _)| *own == key) {
                Some((_, cases)) => cases.push(case),
                None => all.push((key, vec![case])),
            }
        }
        self.proof = Attr::Known(proof_of(client, &all, &self.ignore_findings));
    }

    /// Whether the `azure` block is set: then Resource Manager has the keys, not the Databricks account.
    fn is_azure(&self) -> bool {
        !self.azure.is_null()
    }

    /// What names its workspace, as far as it is known: the number, on Azure the resource ID.
    fn name(&self) -> &str {
        self.id.known().map(String::as_str).unwrap_or_default()
    }

    /// On AWS and Google Cloud, a workspace has key configurations and not keys.
    fn refuse_vault_keys(&self) -> Result<(), Diagnostics> {
        for case in UseCase::ALL {
            if let Attr::Known(KeyReference::VaultKey(key)) = self.wanted(case) {
                return Err(Diagnostic::error(
                    "An Azure key cannot be attached to this workspace",
                    format!(
                        "`{}` is the identifier {key} of a key on Azure, and the binding has no `azure` block.\n\nFor a workspace on Azure, set \
                         `azure = {{ workspace_resource_id = … }}` and remove `workspace_id`. On AWS and Google Cloud, use the `id` of a \
                         `dbxcmk_key_configuration` with a key of that cloud.",
                        case.attribute()
                    ),
                )
                .on(case.attribute())
                .into());
            }
        }
        if !self.managed_disks_key_configuration_id.is_null() {
            return Err(Diagnostic::error(
                "Managed disks have a key of their own only on Azure",
                "The binding sets `managed_disks_key_configuration_id` and has no `azure` block.\n\nOn AWS, the storage key covers the volumes of \
                 clusters (`reuse_key_for_cluster_volumes`), on Google Cloud their disks. Remove the attribute.",
            )
            .on("managed_disks_key_configuration_id")
            .into());
        }
        Ok(())
    }
}

/// The binding of everything that a workspace of an account has.
///
/// # Errors
/// When the account shows a key that cannot be read.
pub fn binding_of(workspace: &Workspace) -> Result<WorkspaceBindingModel, Diagnostics> {
    WorkspaceBindingModel::of(workspace)
}

/// The binding of everything that a workspace on Azure has.
///
/// # Errors
/// When it shows a key that cannot be read.
pub fn binding_of_arm(workspace: &ArmWorkspace) -> Result<WorkspaceBindingModel, Diagnostics> {
    azure::binding_of(workspace)
}

/// Gives a value that the plan left open.
fn fill<T>(planned: &mut Attr<T>, shown: Attr<T>) {
    if planned.is_unknown() {
        *planned = shown;
    }
}

/// Text that a service shows; empty is none.
fn text(value: &str) -> Attr<String> {
    if value.is_empty() {
        Attr::Null
    } else {
        Attr::Known(value.to_owned())
    }
}

fn place(finding: &Finding) -> &'static str {
    match finding.subject {
        Subject::StorageConfiguration => UseCase::Storage.attribute(),
        Subject::ManagedServicesConfiguration => UseCase::ManagedServices.attribute(),
        Subject::ManagedDisksConfiguration => UseCase::ManagedDisks.attribute(),
        Subject::Workspace | Subject::Key => "workspace_id",
    }
}

/// What stays when a binding is destroyed: the keys `attached`, a line for each.
fn stays_attached(state: &WorkspaceBindingModel, attached: &[String]) -> String {
    let id = state.name();
    let workspace = match state.workspace_name.known() {
        Some(name) if !name.is_empty() => format!("`{name}` ({id})"),
        _ => id.to_owned(),
    };
    let case = UseCase::Storage;
    let why = match state.is_azure() {
        false => "Databricks has no detach, so the workspace continues to use:".to_owned(),
        true if state.wanted(case).known().is_some() => format!(
            "It takes no key from the workspace. To give workspace storage back to a key that Microsoft manages, remove `{}` from the \
             configuration and apply, before you destroy the binding; the other keys cannot be removed. Until then the workspace continues to \
             use:",
            case.attribute()
        ),
        true => {
            "On Azure these keys cannot be removed, so the workspace continues to use:".to_owned()
        }
    };
    format!(
        "Destroying the binding of workspace {workspace} only removes it from the state. {why}\n{}\n\nKeep the keys enabled and their \
         policies unchanged as long as the workspace uses them.",
        attached.join("\n")
    )
}

/// The error for a key that the configuration no longer names, and that Databricks cannot take from a workspace. `before`: the key.
fn cannot_detach(case: UseCase, before: &str) -> Diagnostics {
    Diagnostic::error(
        "A key cannot be detached from a workspace",
        format!(
            "The workspace has the key configuration {before} for {}, and the configuration no longer names it. Databricks has no \
             detach.\n\nRestore the attribute:\n\n  {} = \"{before}\"\n\nor remove the whole binding from the state:\n\nremoved {{\n  from = \
             dbxcmk_workspace_binding.…\n  lifecycle {{\n    destroy = false\n  }}\n}}",
            case.in_words(),
            case.attribute()
        ),
    )
    .on(case.attribute())
    .into()
}

/// One workspace has one binding: two that name the same key would fight, the second apply undoing the first. Two that are in the state already
/// and agree are warned of, because a refusal would stop every other change too.
fn refuse_second_binding(
    cx: &Context<Client>,
    id: &str,
    model: &WorkspaceBindingModel,
    is_new: bool,
) -> Result<(), Diagnostics> {
    let owner = owner(cx, is_new);
    let held = |case: &UseCase| {
        let value = match model.wanted(*case) {
            Attr::Null => return Holding::Own,
            Attr::Known(id) => id.to_string(),
            Attr::Unknown => String::new(),
        };
        let thing = Claimed::WorkspaceKey(id.to_ascii_lowercase(), *case);
        let owner = owner.clone();
        let claim = Claim {
            value,
            is_new,
            owner,
        };
        cx.client().run().claim(thing, claim)
    };
    let path = match model.is_azure() {
        true => "azure.workspace_resource_id",
        false => "workspace_id",
    };
    let all: Vec<(UseCase, Holding)> = UseCase::ALL.map(|case| (case, held(&case))).into();
    let first = |wanted: Holding| all.iter().find(|(_, held)| *held == wanted);
    let twice = |case: UseCase| {
        let detail = format!(
            "Another dbxcmk_workspace_binding of this configuration sets the key for {} of workspace {id} as well. Each \
             would undo the change of the other{}.\n\nKeep one binding for each \
             workspace, with all its keys in it. The provider cannot see a binding in another state: the last apply wins, and \
             the next plan of the other state shows the difference.",
            case.in_words(),
            match model.is_azure() {
                true => "",
                false => ", and a storage key can be set only once",
            }
        );
        const SUMMARY: &str = "The workspace is bound twice";
        (SUMMARY, detail)
    };
    if let Some((case, _)) = first(Holding::Taken) {
        let (summary, detail) = twice(*case);
        return Err(Diagnostic::error(summary, detail).on(path).into());
    }
    if let Some((case, _)) = first(Holding::Shared) {
        let (summary, detail) = twice(*case);
        let detail = format!(
            "{detail}\n\nBoth are in the state and agree now. Let Terraform forget one of them:\n\nremoved {{\n  from = \
             dbxcmk_workspace_binding.…\n  lifecycle {{\n    destroy = false\n  }}\n}}"
        );
        cx.warn(Diagnostic::warning(summary, detail).about(id).on(path));
    }
    Ok(())
}

impl Resource for WorkspaceBindingResource {
    type Client = Client;
    type Model = WorkspaceBindingModel;

    fn name(&self) -> Name {
        "dbxcmk_workspace_binding".into()
    }

    fn identity(&self) -> Identity {
        Identity::new([IdentityAttribute::new(
            "workspace_resource_id",
            "the resource ID of a workspace on Azure",
        )
        .path("azure.workspace_resource_id")])
        .or([IdentityAttribute::new(
            "workspace_id",
            "the ID of the workspace, a number",
        )])
    }

    fn schema(&self) -> Schema {
        Schema::new(
            "Attaches key configurations to a workspace. Before the provider attaches anything, it proves that the \
             workspace, the configurations, the states of the keys and their policies fit together. Then it waits until the \
             workspace runs with the keys permanently. It changes only its keys, never replaces a workspace, and \
             works for workspaces that another resource or team manages.\n\nAn attach cannot be undone: Databricks has no \
             detach, and the storage key of a workspace can be set only once (on Azure it can be changed, and taken back). Destroying this resource only removes it from \
             the state; the keys stay attached.\n\nUse one binding for each workspace. The provider refuses a second binding of \
             one configuration that sets the same key at plan, and warns of two that are in the state already and agree. It cannot see a binding in another state: the last apply wins, and the next plan of \
             the other state shows the difference. If `databricks_mws_workspaces` manages the workspace, let it ignore \
             changes of `managed_services_customer_managed_key_id` and `storage_customer_managed_key_id`. If \
             `azurerm_databricks_workspace` manages it, let it ignore changes of `customer_managed_key_enabled`, \
             `managed_services_cmk_key_vault_key_id`, `managed_disk_cmk_key_vault_key_id` and \
             `managed_disk_cmk_rotation_to_latest_version_enabled`.",
            vec![
                Attribute::string("id").computed().stable().describe("ID of the workspace; on Azure its resource ID."),
                Attribute::string("workspace_id")
                    .optional_computed()
                    .replaces()
                    .stable()
                    .format::<WorkspaceId>("Invalid workspace ID")
                    .describe(
                        "ID of the workspace, a number. Required on AWS and Google Cloud; on Azure the provider reads it. Changing it \
                         makes a binding for the other workspace; the provider never replaces a workspace.",
                    ),
                Attribute::string("managed_services_key_configuration_id")
                    .format::<KeyReference>("Invalid key configuration ID")
                    .same_meaning(azure::stays_at_its_version)
                    .describe(
                        "Key configuration for managed services: notebooks, secrets, queries and their history, Git credentials, and \
                        similar data that is written after the attach. Existing data keeps its encryption until it changes. You can set \
                        it and later change it (rotation: keep the former key enabled for 24 hours), but not remove it.",
                    ),
                Attribute::string("storage_key_configuration_id")
                    .format::<KeyReference>("Invalid key configuration ID")
                    .same_meaning(azure::stays_at_its_version)
                    .describe(
                        "Key configuration for workspace storage: new objects of the workspace bucket, and the EBS volumes of new \
                        clusters where the configuration has `reuse_key_for_cluster_volumes = true`. Existing objects keep their \
                        encryption until they are written again. It does not cover tables in other buckets and serverless compute. You \
                        can set it only once, and you cannot change or remove it afterwards. On Azure it encrypts the storage account of the \
                         workspace (\"DBFS root\"), and can be changed and removed.",
                    ),
                Attribute::string("managed_disks_key_configuration_id")
                    .format::<KeyReference>("Invalid key configuration ID")
                    .same_meaning(azure::stays_at_its_version)
                    .describe(
                        "Key configuration for the managed disks of classic compute. Only on Azure. You can set it and later change it, but not \
                         remove it. Azure requires that no compute runs in the workspace during the change.",
                    ),
                Attribute::object("azure", azure::attributes()).describe("The workspace on Azure. Set it instead of `workspace_id`."),
                Attribute::duration("settle_time").quiet().describe(
                    "How long to watch the workspace after the new keys show. A revert, a failed workspace or an unusable key in that time is an \
                     error. Not part of `timeouts`. Default: `20m` when the storage key changes on AWS or Google Cloud, as Databricks asks for, otherwise `1m`. With \
                     `0s`, three reads in a row are enough, and a later revert shows only in the next plan.",
                ),
                Attribute::duration("wait_for_compute").quiet().describe(
                    "How long to wait for running compute, for example `30m`. Databricks does not change the keys of a workspace while \
                     classic compute runs in it. The wait counts towards the timeout of the operation. Default: `0s`: the apply \
                     fails and lists what to stop.",
                ),
                Attribute::string("workspace_name").computed().stable().describe("Name of the workspace."),
                Attribute::string("workspace_status").computed().describe("Status of the workspace at the last read."),
                Attribute::string("region").computed().stable().describe("Region of the workspace."),
                Attribute::string("pricing_tier").computed().stable().describe("Pricing tier of the workspace."),
                proof_attribute(),
                ignore_findings("this resource"),
                timeouts::attribute(&[CREATE, UPDATE]),
            ],
        )
    }

    fn validate(&self, config: &WorkspaceBindingModel) -> Diagnostics {
        let mut found = Diagnostics::new();
        let none = UseCase::ALL
            .iter()
            .all(|case| config.wanted(*case).is_null());
        if none {
            found.push(Diagnostic::error(
                "The binding has no key configuration",
                "Set `managed_services_key_configuration_id` or `storage_key_configuration_id`, or both, to the ID of a \
                 `dbxcmk_key_configuration`. On Azure there is also `managed_disks_key_configuration_id`.",
            ));
        }
        match (config.workspace_id.is_null(), config.is_azure()) {
            (true, false) => found.push(
                Diagnostic::error(
                    "Missing required argument",
                    "Set `workspace_id`. For a workspace on Azure, set `azure = { workspace_resource_id = … }` instead.",
                )
                .on("workspace_id"),
            ),
            (false, true) => found.push(
                Diagnostic::error(
                    "Conflicting arguments: `workspace_id` and `azure`",
                    "On Azure, `azure.workspace_resource_id` names the workspace, and the provider reads `workspace_id`. Remove \
                     `workspace_id`.",
                )
                .on("workspace_id"),
            ),
            (false, false) => {
                if let Err(errors) = config.refuse_vault_keys() {
                    found.extend(errors);
                }
            }
            (true, true) => found.extend(azure::validate(config)),
        }
        found
    }

    async fn plan(
        &self,
        cx: &Context<Client>,
        change: &Change<WorkspaceBindingModel>,
        plan: &mut Plan<WorkspaceBindingModel>,
    ) -> Result<(), Unfinished> {
        if !cx.client().run().has_vanished(plan.model.name()) {
            recall_former(cx, plan.model.name())?;
        }
        match plan.model.is_azure() {
            true => azure::plan(cx, change, plan).await,
            false => account::plan(cx, change, plan).await,
        }
    }

    async fn plan_destroy(
        &self,
        cx: &Context<Client>,
        state: &WorkspaceBindingModel,
    ) -> Result<(), Unfinished> {
        let attached: Vec<String> = UseCase::ALL
            .iter()
            .filter_map(|case| {
                state
                    .wanted(*case)
                    .known()
                    .map(|id| format!("  - {}: {id}", case.in_words()))
            })
            .collect();
        let workspace = state.name();
        // Terraform plans the end of a resource without a block before it reads it.
        let is_gone = cx.client().run().has_vanished(workspace)
            || match state.is_azure() {
                true => azure::is_gone(cx.client(), state).await,
                false => account::is_gone(cx.client(), state).await,
            };
        // It has no data that a key could keep away.
        if is_gone {
            return Ok(());
        }
        recall_former(cx, workspace)?;
        cx.warn(
            Diagnostic::warning(
                "The keys stay attached to the workspace",
                stays_attached(state, &attached),
            )
            .about(workspace)
            .on("workspace_id"),
        );
        Ok(())
    }

    async fn create(
        &self,
        cx: &Context<Client>,
        plan: WorkspaceBindingModel,
        progress: &Progress<WorkspaceBindingModel>,
    ) -> Result<WorkspaceBindingModel, Unfinished> {
        Ok(match plan.is_azure() {
            true => azure::attach(cx, &plan, None, progress).await,
            false => account::attach(cx, &plan, None, progress).await,
        }?)
    }

    async fn read(
        &self,
        cx: &Context<Client>,
        state: WorkspaceBindingModel,
    ) -> Result<Option<WorkspaceBindingModel>, Unfinished> {
        cx.client().keys().saw_read();
        recall_former(cx, state.name())?;
        match state.is_azure() {
            true => azure::read(cx, state).await,
            false => account::read(cx, state).await,
        }
    }

    async fn update(
        &self,
        cx: &Context<Client>,
        prior: WorkspaceBindingModel,
        plan: WorkspaceBindingModel,
        progress: &Progress<WorkspaceBindingModel>,
    ) -> Result<WorkspaceBindingModel, Unfinished> {
        Ok(match plan.is_azure() {
            true => azure::attach(cx, &plan, Some(&prior), progress).await,
            false => account::attach(cx, &plan, Some(&prior), progress).await,
        }?)
    }

    async fn delete(
        &self,
        _: &Context<Client>,
        _: WorkspaceBindingModel,
    ) -> Result<(), Unfinished> {
        // There is no detach: what can be done is to forget. The plan has said so.
        Ok(())
    }

    /// On Azure, the resource ID names the workspace, and its number is only read.
    fn written(&self, state: WorkspaceBindingModel) -> WorkspaceBindingModel {
        match state.azure {
            Attr::Known(_) => WorkspaceBindingModel {
                workspace_id: Attr::Null,
                ..state
            },
            _ => state,
        }
    }

    async fn import_state(
        &self,
        _: &Context<Client>,
        import: &Import,
    ) -> Result<WorkspaceBindingModel, Unfinished> {
        let id = import.text();
        Ok(match id.starts_with('/') {
            true => azure::import(id),
            false => account::import(id),
        }?)
    }
}
