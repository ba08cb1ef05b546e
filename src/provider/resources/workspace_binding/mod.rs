//! `dbxcmk_workspace_binding`: the key configurations under one workspace. It changes these two fields of a workspace that
//! somebody else owns, and nothing else. It cannot be undone: there is no detach.

mod proof;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use self::proof::{Examined, examine, examine_planned};
use super::{Timeouts, timeout};
use crate::databricks::Account;
use crate::databricks::workspaces::{KeyFields, Workspace};
use crate::preflight::{Finding, Stage, Subject};
use crate::provider::attach::account::{
    AccountWorkspace, attached, required, settle_time, workspace,
};
use crate::provider::attach::{Failure, Orders, attach};
use crate::provider::client::{Client, account_to_read, enforce};
use crate::provider::config::{IgnoreFindings, ignore_findings};
use crate::provider::diagnose::{self, Unavailable, as_warnings};
use crate::provider::moments::now_in_milliseconds;
use crate::provider::run::{Claim, Claimed};
use crate::requirements::transition;
use crate::vocabulary::{Cloud, IdError, KeyConfigurationId, Tier, UseCase, WorkspaceId};
use tfplugin::bridge::Attr;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::duration::GoDuration;
use tfplugin::identity::{Identity, IdentityAttribute};
use tfplugin::resource::{Change, Context, Plan, Progress, Resource};
use tfplugin::schema::{Attribute, Schema};

/// How long an attach may take; Databricks speaks of twenty minutes, and of twenty more until clusters can start.
const ATTACH: Duration = Duration::from_secs(60 * 60);
/// The resource.
pub struct WorkspaceBindingResource;

/// Configuration, plan and state.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct WorkspaceBindingModel {
    pub id: Attr<String>,
    pub workspace_id: Attr<WorkspaceId>,
    pub managed_services_key_configuration_id: Attr<KeyConfigurationId>,
    pub storage_key_configuration_id: Attr<KeyConfigurationId>,
    pub settle_time: Attr<GoDuration>,
    pub wait_for_compute: Attr<GoDuration>,
    pub workspace_name: Attr<String>,
    pub workspace_status: Attr<String>,
    pub region: Attr<String>,
    pub pricing_tier: Attr<String>,
    pub ignore_findings: IgnoreFindings,
    pub timeouts: Timeouts,
}

impl WorkspaceBindingModel {
    /// A binding of which nothing but its workspace is known.
    fn named(workspace_id: WorkspaceId) -> Self {
        Self {
            id: Attr::Known(workspace_id.to_string()),
            workspace_id: Attr::Known(workspace_id),
            managed_services_key_configuration_id: Attr::Null,
            storage_key_configuration_id: Attr::Null,
            settle_time: Attr::Null,
            wait_for_compute: Attr::Null,
            workspace_name: Attr::Null,
            workspace_status: Attr::Null,
            region: Attr::Null,
            pricing_tier: Attr::Null,
            ignore_findings: Attr::Null,
            timeouts: Attr::Null,
        }
    }

    /// The binding of everything that a workspace has.
    ///
    /// # Errors
    /// When the account shows a key that cannot be read.
    pub fn of(workspace: &Workspace) -> Result<Self, Diagnostics> {
        Self::named(workspace.workspace_id)
            .showing(workspace)
            .with_all_keys_of(workspace)
    }

    fn wanted(&self, case: UseCase) -> &Attr<KeyConfigurationId> {
        match case {
            UseCase::ManagedServices => &self.managed_services_key_configuration_id,
            UseCase::Storage => &self.storage_key_configuration_id,
        }
    }

    /// The key configurations that the workspace has to have.
    fn keys(&self) -> KeyFields {
        let one = |case| self.wanted(case).known().cloned();
        KeyFields {
            managed_services: one(UseCase::ManagedServices),
            storage: one(UseCase::Storage),
        }
    }

    /// The keys that this workspace has.
    fn with_all_keys_of(mut self, workspace: &Workspace) -> Result<Self, Diagnostics> {
        self.managed_services_key_configuration_id =
            attached(workspace, UseCase::ManagedServices)?.into();
        self.storage_key_configuration_id = attached(workspace, UseCase::Storage)?.into();
        Ok(self)
    }

    /// The keys that this workspace has, as far as this binding names them.
    fn with_keys_of(self, workspace: &Workspace) -> Result<Self, Diagnostics> {
        let (managed_services, storage) = (
            self.managed_services_key_configuration_id.is_null(),
            self.storage_key_configuration_id.is_null(),
        );
        let mut all = self.with_all_keys_of(workspace)?;
        // A field that this binding does not name belongs to somebody else.
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
        let text = |value: &str| {
            if value.is_empty() {
                Attr::Null
            } else {
                Attr::Known(value.to_owned())
            }
        };
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

fn attribute(case: UseCase) -> &'static str {
    match case {
        UseCase::ManagedServices => "managed_services_key_configuration_id",
        UseCase::Storage => "storage_key_configuration_id",
    }
}

fn place(finding: &Finding) -> &'static str {
    match finding.subject {
        Subject::StorageConfiguration => "storage_key_configuration_id",
        Subject::ManagedServicesConfiguration => "managed_services_key_configuration_id",
        Subject::Workspace | Subject::Key => "workspace_id",
    }
}

impl WorkspaceBindingResource {
    /// Attaches what is not attached yet, and waits until it is there to stay. `existing`: whether the binding is in the state
    /// already, so that what is true can be written there whatever happens.
    async fn attach(
        cx: &Context<Client>,
        plan: WorkspaceBindingModel,
        existing: bool,
        progress: &Progress<WorkspaceBindingModel>,
    ) -> Result<WorkspaceBindingModel, Diagnostics> {
        let client = cx.client();
        let account = client.account().await?;
        let Attr::Known(id) = plan.workspace_id else {
            return Err(Diagnostic::bug(
                "A workspace binding was applied before its workspace was known.",
            )
            .into());
        };
        let operation = if existing { "update" } else { "create" };
        let deadline = timeout(&plan.timeouts, operation, ATTACH);
        let before = workspace(account, id).await?;
        let Examined { findings, keys } =
            examine(client, account, &before, &plan, Stage::Apply).await?;
        let missing = plan.keys().missing_in(&before);
        // What is attached already cannot be stopped any more, only reported.
        let findings = if missing.is_empty() {
            as_warnings(findings)
        } else {
            findings
        };
        enforce(cx, findings, &plan.ignore_findings, Stage::Apply, place)?;
        let length = |attribute: &Attr<GoDuration>| attribute.known().map(GoDuration::length);
        let orders = Orders {
            keys,
            deadline,
            wait_for_compute: length(&plan.wait_for_compute).unwrap_or_default(),
            settle_time: length(&plan.settle_time).unwrap_or_else(|| settle_time(&missing)),
        };
        let platform = AccountWorkspace {
            client,
            account,
            id,
            wanted: plan.keys(),
        };
        let look = platform.seen(before);
        match attach(cx, &platform, look, &orders).await {
            Ok(now) => Ok(WorkspaceBindingModel {
                id: Attr::Known(id.to_string()),
                ..plan.showing(&now)
            }),
            Err(failure) => {
                Err(Self::explained(cx, account, plan, *failure, existing, progress).await)
            }
        }
    }

    /// A failed attach, for the user and for the state. A new binding stays out of the state: written there together with an
    /// error, Terraform would replace it. The next apply finds what is true in the workspace itself.
    async fn explained(
        cx: &Context<Client>,
        account: &Account,
        plan: WorkspaceBindingModel,
        failure: Failure<Workspace>,
        existing: bool,
        progress: &Progress<WorkspaceBindingModel>,
    ) -> Diagnostics {
        let mut all = failure.diagnostics;
        if failure.is_about_the_key
            && let Ok(examined) =
                examine(cx.client(), account, &failure.now, &plan, Stage::Apply).await
        {
            all.extend(cx.client().report(
                examined.findings,
                &plan.ignore_findings,
                Stage::Apply,
                place,
            ));
        }
        // Without a key that can be read, the state stays what it was.
        if existing && let Ok(truth) = plan.showing(&failure.now).with_keys_of(&failure.now) {
            progress.save(truth);
        }
        all
    }
}

/// Under which name the last rotation of managed services is remembered beside the state.
const ROTATED: &str = "rotated";

/// The key that a rotation of managed services takes from a workspace; `None` where there is none, or where the account does not show it.
async fn former_key(
    cx: &Context<Client>,
    prior: &WorkspaceBindingModel,
    plan: &WorkspaceBindingModel,
) -> Option<String> {
    let of =
        |model: &WorkspaceBindingModel| model.wanted(UseCase::ManagedServices).known().cloned();
    let (before, after) = (of(prior)?, of(plan)?);
    if before == after {
        return None;
    }
    let client = cx.client();
    let account = client.account().await.ok()?;
    let former = client
        .reads()
        .configuration(account, &before)
        .await
        .ok()??;
    former.cloud_and_key().map(|(_, key)| key)
}

/// Tells the run of the last rotation, so that nobody takes the former key away too early.
fn remember_rotation(cx: &Context<Client>) {
    let Some(rotated) = cx.private(ROTATED) else {
        return;
    };
    let key = rotated.get("key").and_then(Json::as_str);
    let at = rotated.get("at").and_then(Json::as_i64);
    if let (Some(key), Some(at)) = (key, at) {
        cx.client().run().key_was_rotated_away(key.to_owned(), at);
    }
}

/// One workspace has one binding: two that name the same key would fight, the second apply undoing the first.
fn refuse_second_binding(
    client: &Client,
    id: WorkspaceId,
    model: &WorkspaceBindingModel,
    is_new: bool,
) -> Result<(), Diagnostics> {
    let is_free = |case: &UseCase| {
        let value = match model.wanted(*case) {
            Attr::Null => return true,
            Attr::Known(id) => id.to_string(),
            Attr::Unknown => String::new(),
        };
        let thing = Claimed::WorkspaceKey(id, *case);
        client.run().claim(thing, Claim { value, is_new })
    };
    let Some(case) = UseCase::ALL.into_iter().find(|case| !is_free(case)) else {
        return Ok(());
    };
    Err(Diagnostic::error(
        "The workspace is bound twice",
        format!(
            "Another dbxcmk_workspace_binding of this configuration sets the key for {} of workspace {id} as well. Each \
             would undo the change of the other, and a storage key can be set only once.\n\nKeep one binding for each \
             workspace, with both keys in it. The provider cannot see a binding in another state: the last apply wins, and \
             the next plan of the other state shows the difference.",
            case.in_words()
        ),
    )
    .on("workspace_id")
    .into())
}

impl Resource for WorkspaceBindingResource {
    type Client = Client;
    type Model = WorkspaceBindingModel;

    const NAME: &'static str = "dbxcmk_workspace_binding";
    const IDENTITY: Identity = Identity {
        attributes: &[IdentityAttribute {
            name: "workspace_id",
            path: "workspace_id",
            description: "the ID of the workspace, a number",
        }],
    };

    fn schema() -> Schema {
        Schema::new(
            "Attaches key configurations to a workspace. Before the provider attaches anything, it proves that the \
             workspace, the configurations, the states of the keys and their policies fit together. Then it waits until the \
             workspace runs with the keys permanently. It changes only these two fields, never replaces a workspace, and \
             works for workspaces that another resource or team manages.\n\nAn attach cannot be undone: Databricks has no \
             detach, and the storage key of a workspace can be set only once. Destroying this resource only removes it from \
             the state; the keys stay attached.\n\nUse one binding for each workspace. The provider refuses two bindings of \
             one configuration at plan. It cannot see a binding in another state: the last apply wins, and the next plan of \
             the other state shows the difference. If `databricks_mws_workspaces` manages the workspace, let it ignore \
             changes of `managed_services_customer_managed_key_id` and `storage_customer_managed_key_id`.",
            vec![
                Attribute::string("id").computed().stable().describe("ID of the workspace."),
                Attribute::string("workspace_id")
                    .required()
                    .replaces()
                    .format::<WorkspaceId>("Invalid workspace ID")
                    .describe("ID of the workspace, a number. A change means another binding; the provider never replaces a workspace."),
                Attribute::string("managed_services_key_configuration_id")
                    .format::<KeyConfigurationId>("Invalid key configuration ID")
                    .describe(
                        "Key configuration for managed services: notebooks, secrets, queries and their history, Git credentials, and \
                        similar data that is written after the attach. Existing data keeps its encryption until it changes. You can set \
                        it and later change it (rotation: keep the old key enabled for 24 hours), but not remove it.",
                    ),
                Attribute::string("storage_key_configuration_id")
                    .format::<KeyConfigurationId>("Invalid key configuration ID")
                    .describe(
                        "Key configuration for workspace storage: new objects of the workspace bucket, and the EBS volumes of new \
                        clusters where the configuration has `reuse_key_for_cluster_volumes = true`. Existing objects keep their \
                        encryption until they are written again. It does not cover tables in other buckets and serverless compute. You \
                        can set it only once, and you cannot change or remove it afterwards.",
                    ),
                Attribute::duration("settle_time").quiet().describe(
                    "How long to watch the workspace after the new keys show. A revert, a failed workspace or an unusable key in that time is an \
                     error. Not part of `timeouts`. Default: `20m` when the storage key changes, as Databricks asks for, otherwise `1m`. With \
                     `0s`, three reads in a row are enough, and a later revert shows only in the next plan.",
                ),
                Attribute::duration("wait_for_compute").quiet().describe(
                    "How long to wait for running compute, as `30m`. Databricks does not change the keys of a workspace while \
                     classic compute runs in it. The wait counts towards the timeout of the operation. Default: `0s`: the apply \
                     fails and lists what to stop.",
                ),
                Attribute::string("workspace_name").computed().stable().describe("Name of the workspace."),
                Attribute::string("workspace_status").computed().describe("Status of the workspace at the last read."),
                Attribute::string("region").computed().stable().describe("AWS region of the workspace."),
                Attribute::string("pricing_tier").computed().stable().describe("Pricing tier of the workspace."),
                ignore_findings("this resource"),
                Attribute::timeouts(&[("create", "60m"), ("update", "60m")]),
            ],
        )
    }

    fn validate(config: &WorkspaceBindingModel) -> Diagnostics {
        let none = UseCase::ALL
            .iter()
            .all(|case| config.wanted(*case).is_null());
        if none {
            return Diagnostic::error(
                "The binding has no key configuration",
                "Set `managed_services_key_configuration_id`, `storage_key_configuration_id`, or both, to the ID of a \
                 `dbxcmk_key_configuration`.",
            )
            .into();
        }
        Diagnostics::new()
    }

    async fn plan(
        cx: &Context<Client>,
        change: &Change<WorkspaceBindingModel>,
        plan: &mut Plan<WorkspaceBindingModel>,
    ) -> Result<(), Diagnostics> {
        let client = cx.client();
        plan.model.id = plan.model.workspace_id.as_ref().map(ToString::to_string);
        let same_workspace =
            |prior: &&WorkspaceBindingModel| prior.workspace_id == plan.model.workspace_id;
        let prior = change.prior.as_ref().filter(same_workspace);
        for case in UseCase::ALL {
            let Some(Attr::Known(before)) = prior.map(|prior| prior.wanted(case)) else {
                continue;
            };
            if plan.model.wanted(case).is_null() && !transition(&Cloud::Aws, case).remove {
                return Err(Diagnostic::error(
                    "A key cannot be detached from a workspace",
                    format!(
                        "The workspace has the key configuration {before} for {}, and the configuration no longer names it. Databricks \
                        has no detach.\n\nRestore the attribute:\n\n  {} = \"{before}\"\n\nor remove the whole binding from the \
                        state:\n\nremoved {{\n  from = dbxcmk_workspace_binding.…\n  lifecycle {{\n    destroy = false\n  }}\n}}",
                        case.in_words(),
                        attribute(case)
                    ),
                )
                .on(attribute(case))
                .into());
            }
        }
        let Attr::Known(id) = plan.model.workspace_id else {
            return Ok(());
        };
        if change.quiet {
            return Ok(());
        }
        let account = match client.account().await {
            Ok(account) => account,
            Err(Unavailable::NotYetKnown(unknown)) => {
                client.warn_unproven(cx, &unknown);
                cx.defer();
                return Ok(());
            }
            Err(reason) => return Err(reason.into()),
        };
        // A binding that moves to another workspace is planned once more, as a new one.
        if prior.is_some() || change.prior.is_none() {
            refuse_second_binding(client, id, &plan.model, prior.is_none())?;
        }
        let now = match required(account, id, client.reads().workspace(account, id).await) {
            Ok(now) => now,
            Err(_) if client.run().has_vanished(id) => {
                cx.warn(
                    Diagnostic::warning(
                        "The workspace no longer exists",
                        format!(
                            "The account {} no longer has workspace {id}, to which this binding attached keys. Remove this binding from the \
                        configuration; an apply with it will fail.",
                            account.id()
                        ),
                    )
                    .on("workspace_id"),
                );
                return Ok(());
            }
            Err(errors) => return Err(errors),
        };
        client.warn_of_unknown_clouds(cx);
        let mut findings = examine(client, account, &now, &plan.model, Stage::Plan)
            .await?
            .findings;
        for case in UseCase::ALL
            .into_iter()
            .filter(|case| plan.model.wanted(*case).is_unknown())
        {
            for finding in examine_planned(cx, account, &now, case).await {
                if !findings.contains(&finding) {
                    findings.push(finding);
                }
            }
        }
        let missing = plan.model.keys().missing_in(&now);
        let comes =
            |case: &UseCase| missing.of(*case).is_some() || plan.model.wanted(*case).is_unknown();
        let attaches = UseCase::ALL.iter().any(comes);
        let findings = if attaches {
            findings
        } else {
            as_warnings(findings)
        };
        enforce(
            cx,
            findings,
            &plan.model.ignore_findings,
            Stage::Plan,
            place,
        )
    }

    async fn plan_destroy(
        cx: &Context<Client>,
        state: &WorkspaceBindingModel,
    ) -> Result<(), Diagnostics> {
        let attached: Vec<String> = UseCase::ALL
            .iter()
            .filter_map(|case| {
                state
                    .wanted(*case)
                    .known()
                    .map(|id| format!("  - {}: {id}", case.in_words()))
            })
            .collect();
        let workspace = state.id.known().map(String::as_str).unwrap_or_default();
        cx.warn(
            Diagnostic::warning(
                "The keys stay attached to the workspace",
                format!(
                    "Destroying the binding of workspace {workspace} only removes it from the state. Databricks has no detach, so \
                     the workspace continues to use:\n{}\n\nKeep the KMS keys enabled and their policies unchanged as long as the \
                     workspace exists.",
                    attached.join("\n")
                ),
            )
            .on("workspace_id"),
        );
        Ok(())
    }

    async fn create(
        cx: &Context<Client>,
        plan: WorkspaceBindingModel,
        progress: &Progress<WorkspaceBindingModel>,
    ) -> Result<WorkspaceBindingModel, Diagnostics> {
        Self::attach(cx, plan, false, progress).await
    }

    async fn read(
        cx: &Context<Client>,
        state: WorkspaceBindingModel,
    ) -> Result<Option<WorkspaceBindingModel>, Diagnostics> {
        let Attr::Known(id) = state.workspace_id else {
            return Ok(None);
        };
        remember_rotation(cx);
        let Some(account) = account_to_read(cx).await? else {
            return Ok(Some(state));
        };
        let found = cx
            .client()
            .reads()
            .workspace(account, id)
            .await
            .map_err(|error| {
                diagnose::account("The workspace could not be read", &error).on("workspace_id")
            })?;
        let Some(workspace) = found else {
            cx.client().run().workspace_vanished(id);
            return Ok(None);
        };
        let imported = UseCase::ALL
            .iter()
            .all(|case| state.wanted(*case).is_null());
        let mut state = state.showing(&workspace);
        state = if imported {
            state.with_all_keys_of(&workspace)?
        } else {
            state.with_keys_of(&workspace)?
        };
        if imported
            && UseCase::ALL
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

    async fn update(
        cx: &Context<Client>,
        prior: WorkspaceBindingModel,
        plan: WorkspaceBindingModel,
        progress: &Progress<WorkspaceBindingModel>,
    ) -> Result<WorkspaceBindingModel, Diagnostics> {
        let former = former_key(cx, &prior, &plan).await;
        let attached = Self::attach(cx, plan, true, progress).await?;
        if let Some(key) = former {
            let at = now_in_milliseconds();
            cx.set_private(ROTATED, json!({ "key": key, "at": at }));
            cx.client().run().key_was_rotated_away(key, at);
        }
        Ok(attached)
    }

    async fn delete(_: &Context<Client>, _: WorkspaceBindingModel) -> Result<(), Diagnostics> {
        // There is no detach: what can be done is to forget. The plan has said so.
        Ok(())
    }

    async fn import_state(
        _: &Context<Client>,
        id: &str,
    ) -> Result<WorkspaceBindingModel, Diagnostics> {
        let workspace_id: WorkspaceId = id.parse().map_err(|error: IdError| {
            Diagnostic::error(
                "Not the ID of a workspace",
                format!("A dbxcmk_workspace_binding is imported by the ID of its workspace, but {error}."),
            )
        })?;
        Ok(WorkspaceBindingModel::named(workspace_id))
    }
}
