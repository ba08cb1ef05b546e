//! `dbxcmk_workspace_binding`: the key configurations under one workspace. It changes these two fields of a workspace that
//! somebody else owns, and nothing else. It cannot be undone: there is no detach.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Timeouts, timeout};
use crate::databricks::workspaces::{KeyFields, Workspace};
use crate::databricks::{Account, ApiError, Error};
use crate::plugin::bridge::Attr;
use crate::plugin::diagnostics::{Diagnostic, Diagnostics};
use crate::plugin::duration::{GoDuration, spell};
use crate::plugin::resource::{Change, Context, Plan, Progress, Resource};
use crate::plugin::schema::{Attribute, Schema};
use crate::preflight::binding::{Attach, ConfigurationFacts, WorkspaceFacts, judge};
use crate::preflight::key::{self, Question};
use crate::preflight::{Finding, KeyFacts, Stage, Subject};
use crate::provider::client::{Client, as_warnings, split};
use crate::provider::config::{IgnoreFindings, ignore_findings};
use crate::provider::diagnose::{self, Unavailable};
use crate::provider::waiting::{Deadline, Pause, pause};
use crate::requirements::aws::Usage;
use crate::vocabulary::{KeyArn, KeyConfigurationId, RoleArn, UseCase, WorkspaceId};

/// How long an attach may take; Databricks speaks of twenty minutes, and of twenty more until clusters can start.
const ATTACH: Duration = Duration::from_secs(60 * 60);
/// How long a storage key takes until it is in full effect.
const STORAGE_SETTLE: Duration = Duration::from_secs(20 * 60);
/// How many reads in a row have to show the wanted value: a failed update reverts without a word.
const READS_IN_A_ROW: u32 = 3;
/// The pauses between reads.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// The resource.
pub struct WorkspaceBinding;

/// Configuration, plan and state.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct Model {
    pub id: Attr<String>,
    pub workspace_id: Attr<WorkspaceId>,
    pub managed_services_key_configuration_id: Attr<KeyConfigurationId>,
    pub storage_key_configuration_id: Attr<KeyConfigurationId>,
    pub settle_time: Attr<GoDuration>,
    pub workspace_name: Attr<String>,
    pub workspace_status: Attr<String>,
    pub region: Attr<String>,
    pub pricing_tier: Attr<String>,
    pub ignore_findings: IgnoreFindings,
    pub timeouts: Timeouts,
}

impl Model {
    fn wanted(&self, case: UseCase) -> &Attr<KeyConfigurationId> {
        match case {
            UseCase::ManagedServices => &self.managed_services_key_configuration_id,
            UseCase::Storage => &self.storage_key_configuration_id,
        }
    }

    /// What this workspace shows, in the user's words where they said something.
    fn showing(mut self, workspace: &Workspace) -> Self {
        let text = |value: &str| if value.is_empty() { Attr::Null } else { Attr::Known(value.to_owned()) };
        self.workspace_name = text(&workspace.workspace_name);
        self.workspace_status = text(&workspace.workspace_status);
        self.region = text(workspace.aws_region.as_deref().unwrap_or_default());
        self.pricing_tier = text(workspace.pricing_tier.as_deref().unwrap_or_default());
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

fn attached(workspace: &Workspace, case: UseCase) -> Option<KeyConfigurationId> {
    let id = match case {
        UseCase::ManagedServices => &workspace.managed_services_customer_managed_key_id,
        UseCase::Storage => &workspace.storage_customer_managed_key_id,
    };
    id.as_deref().filter(|id| !id.is_empty()).and_then(|id| id.parse().ok())
}

fn facts(workspace: &Workspace) -> WorkspaceFacts {
    WorkspaceFacts {
        id: WorkspaceId::from(workspace.workspace_id),
        name: workspace.workspace_name.clone(),
        status: workspace.workspace_status.clone(),
        status_message: workspace.workspace_status_message.clone().unwrap_or_default(),
        region: workspace.aws_region.clone(),
        pricing_tier: workspace.pricing_tier.clone(),
        managed_services: attached(workspace, UseCase::ManagedServices),
        storage: attached(workspace, UseCase::Storage),
    }
}

/// The workspace as it is now.
async fn workspace(account: &Account, id: WorkspaceId) -> Result<Workspace, Diagnostics> {
    required(account, id, account.find_workspace(id).await)
}

fn required(account: &Account, id: WorkspaceId, found: Result<Option<Workspace>, Error>) -> Result<Workspace, Diagnostics> {
    let found = found.map_err(|error| diagnose::account("The workspace could not be read", &error).on("workspace_id"))?;
    found.ok_or_else(|| {
        Diagnostic::error(
            "There is no such workspace in this Databricks account",
            format!(
                "The account {} has no workspace {id}. The number stands in the workspace's URL (`?o=…`) and in the account console; a \
                 resource of databricks/databricks has it as `databricks_mws_workspaces.….workspace_id`.\n\nIf the workspace was deleted, \
                 remove this binding from the configuration: there is nothing left to bind.",
                account.id()
            ),
        )
        .on("workspace_id")
        .into()
    })
}

/// Everything there is to say about the wanted attaches: the workspace, the configurations, the keys and their policies.
async fn examine(
    client: &Client,
    account: &Account,
    workspace: &Workspace,
    model: &Model,
    stage: Stage,
) -> Result<Vec<Finding>, Diagnostics> {
    let about = facts(workspace);
    let mut findings = Vec::new();
    let mut known_keys: BTreeMap<KeyArn, KeyFacts> = BTreeMap::new();
    for case in UseCase::ALL {
        let Attr::Known(id) = model.wanted(case) else { continue };
        let failed = |error| diagnose::account("The key configuration could not be read", &error).on(attribute(case));
        let remote = match stage {
            Stage::Plan => client.reads().configuration(account, id).await,
            Stage::Apply => account.find_key_configuration(id).await,
        };
        let remote = remote.map_err(failed)?;
        let configuration = remote.as_ref().map(|remote| ConfigurationFacts {
            id: id.clone(),
            use_cases: remote.use_cases.iter().filter_map(|case| case.parse().ok()).collect(),
            key: remote.aws_key_info.as_ref().and_then(|info| info.key_arn.parse().ok()),
        });
        findings.extend(judge(&about, &Attach { case, id, configuration: configuration.as_ref() }));
        let Some(key) = configuration.and_then(|configuration| configuration.key) else { continue };
        if stage == Stage::Plan && !client.aws_is_known() {
            continue;
        }
        let for_clusters = case == UseCase::Storage
            && remote
                .as_ref()
                .and_then(|remote| remote.aws_key_info.as_ref())
                .is_some_and(|info| info.reuse_key_for_cluster_volumes != Some(false));
        let role: Option<RoleArn> = if for_clusters {
            let failed =
                |error| diagnose::account("The workspace's cross-account role could not be read", &error).on("workspace_id");
            client.reads().cross_account_role(account, workspace).await.map_err(failed)?.and_then(|arn| arn.parse().ok())
        } else {
            None
        };
        let question = Question {
            usage: Usage {
                deployment: client.deployment(&key),
                accounts: vec![account.id().clone()],
                use_cases: vec![case],
                grants: false,
                cross_account_role: role,
            },
            cluster_volumes: false,
            stage,
        };
        // One key under both fields is read once.
        let known = match (known_keys.get(&key), stage) {
            (Some(known), _) => known.clone(),
            (None, Stage::Plan) => client.facts_for_plan(&key).await,
            (None, Stage::Apply) => client.facts_now(&key).await,
        };
        known_keys.insert(key.clone(), known.clone());
        let subject = match case {
            UseCase::ManagedServices => Subject::ManagedServicesConfiguration,
            UseCase::Storage => Subject::StorageConfiguration,
        };
        for mut finding in key::judge(&known, &question) {
            finding.subject = subject;
            // One key under both fields: what concerns the key as a whole is said once.
            let said = findings.iter().any(|other: &Finding| {
                other.id == finding.id && other.summary == finding.summary && other.found == finding.found
            });
            if !said {
                findings.push(finding);
            }
        }
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Ok(findings)
}

/// Shows what only warns, and fails with what stops.
fn enforce(cx: &Context<Client>, findings: Vec<Finding>, ignored: &IgnoreFindings) -> Result<(), Diagnostics> {
    let (warnings, errors) = split(cx.client().report(findings, ignored, place));
    warnings.into_iter().for_each(|warning| cx.warn(warning));
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// The fields in which the workspace differs from what is wanted.
fn changes(workspace: &Workspace, model: &Model) -> KeyFields {
    let differs = |case: UseCase| {
        let wanted = model.wanted(case).known().cloned();
        wanted.filter(|wanted| attached(workspace, case).as_ref() != Some(wanted))
    };
    KeyFields { managed_services: differs(UseCase::ManagedServices), storage: differs(UseCase::Storage) }
}

/// Why waiting ended without the wanted value.
enum Wait {
    /// The value was there and went away, or the update ended without it.
    Reverted,
    /// A status that never becomes RUNNING by itself.
    Terminal,
    /// Time is over.
    TimedOut,
    /// Terraform wants to stop.
    Stopped,
}

/// Waits until the workspace is RUNNING and shows the wanted keys several times in a row.
async fn attached_for_good(
    cx: &Context<Client>,
    account: &Account,
    id: WorkspaceId,
    model: &Model,
    deadline: Deadline,
) -> Result<Workspace, Diagnostics> {
    let (started, mut wait) = (Instant::now(), PAUSES.0);
    let (mut in_a_row, mut seen, mut was_busy, mut without) = (0_u32, false, false, 0_u32);
    loop {
        let now = workspace(account, id).await?;
        let is_running = now.workspace_status == "RUNNING";
        let is_there = changes(&now, model).is_empty();
        in_a_row = if is_running && is_there { in_a_row + 1 } else { 0 };
        if in_a_row >= READS_IN_A_ROW {
            return Ok(now);
        }
        seen |= is_there;
        was_busy |= now.workspace_status == "PROVISIONING";
        // After it was seen, or after the update came to its end, the old value means that the update was undone.
        without = if is_running && !is_there && (seen || was_busy) { without + 1 } else { 0 };
        let end = if matches!(now.workspace_status.as_str(), "FAILED" | "BANNED" | "CANCELLED" | "CANCELLING") {
            Some(Wait::Terminal)
        } else if without >= READS_IN_A_ROW {
            Some(Wait::Reverted)
        } else if deadline.has_passed() {
            Some(Wait::TimedOut)
        } else {
            tracing::info!(workspace = %id, status = now.workspace_status, attached = is_there, elapsed = spell(started.elapsed()), "waiting for the workspace");
            (pause(wait, cx.stop()).await == Pause::Stopped).then_some(Wait::Stopped)
        };
        if let Some(end) = end {
            return Err(not_attached(cx, account, &now, model, &end, deadline).await);
        }
        wait = (wait * 2).min(PAUSES.1);
    }
}

/// What the workspace has now, in words.
fn what_is_true(workspace: &Workspace) -> String {
    let one = |case: UseCase| match attached(workspace, case) {
        Some(id) => format!("  - {}: {id}", case.in_words()),
        None => format!("  - {}: none", case.in_words()),
    };
    format!(
        "The workspace {} (\"{}\") is {} and has these key configurations:\n{}\n{}",
        workspace.workspace_id,
        workspace.workspace_name,
        workspace.workspace_status,
        one(UseCase::ManagedServices),
        one(UseCase::Storage)
    )
}

async fn not_attached(
    cx: &Context<Client>,
    account: &Account,
    now: &Workspace,
    model: &Model,
    end: &Wait,
    deadline: Deadline,
) -> Diagnostics {
    let truth = what_is_true(now);
    let message = now.workspace_status_message.as_deref().filter(|message| !message.is_empty());
    let said = message.map(|message| format!("\n\nDatabricks says: \"{message}\".")).unwrap_or_default();
    let (summary, advice) = match end {
        Wait::Reverted => (
            "Databricks took the key and silently went back to the old one",
            "The update was accepted and then undone: that is how Databricks answers when it cannot use a key. What preflight says about \
             the key now stands below, if it says anything. Mend the cause, and apply again.",
        ),
        Wait::Terminal => (
            "The workspace failed while its keys were changed",
            "A workspace in this status does not come back by itself. The account console says what is wrong; apply again when it is RUNNING.",
        ),
        Wait::TimedOut => (
            "The workspace did not take the keys in time",
            "The request was accepted, and it may still be carried out. Plan again: if the keys are there by then, nothing is left to do. \
             `timeouts` gives it more time.",
        ),
        Wait::Stopped => (
            "Waiting for the workspace was interrupted",
            "The request was accepted, and it goes on without Terraform. Apply again to wait for its end.",
        ),
    };
    let waited = if matches!(end, Wait::TimedOut) { format!(" after {}", spell(deadline.length())) } else { String::new() };
    let mut all = Diagnostics::from(Diagnostic::error(summary, format!("{truth}{waited}{said}\n\n{advice}")));
    if matches!(end, Wait::Reverted | Wait::Terminal)
        && let Ok(findings) = examine(cx.client(), account, now, model, Stage::Apply).await
    {
        all.extend(cx.client().report(findings, &model.ignore_findings, place));
    }
    all
}

fn refused(error: &Error, workspace: &Workspace) -> Diagnostics {
    if error.api().is_some_and(ApiError::is_running_compute) {
        return Diagnostic::error(
            "Compute is running in the workspace",
            format!(
                "Databricks does not change the keys of workspace {} (\"{}\") while classic compute runs in its network. It says: \
                 \"{error}\".\n\nStop all clusters (all-purpose and jobs), empty the instance pools, stop the classic SQL warehouses, and \
                 wait until their EC2 instances are terminated. Then apply again; nothing was changed.\n\nWhat runs can be listed with:\n\n  \
                 databricks clusters list\n  databricks instance-pools list\n  databricks warehouses list",
                workspace.workspace_id, workspace.workspace_name
            ),
        )
        .on("workspace_id")
        .into();
    }
    diagnose::account("The keys of the workspace could not be changed", error).into()
}

impl WorkspaceBinding {
    /// Attaches what is not attached yet, and waits until it is there to stay.
    async fn attach(
        cx: &Context<Client>,
        plan: Model,
        operation: &str,
        progress: &Progress<Model>,
    ) -> Result<Model, Diagnostics> {
        let client = cx.client();
        let account = client.account().await?;
        let Attr::Known(id) = plan.workspace_id else {
            return Err(Diagnostic::bug("A workspace binding was applied before its workspace was known.").into());
        };
        let deadline = timeout(&plan.timeouts, operation, ATTACH);
        let before = workspace(account, id).await?;
        let fields = changes(&before, &plan);
        let findings = examine(client, account, &before, &plan, Stage::Apply).await?;
        // What is attached already cannot be stopped any more, only reported.
        enforce(cx, if fields.is_empty() { as_warnings(findings) } else { findings }, &plan.ignore_findings)?;
        if !fields.is_empty() {
            tracing::info!(workspace = %id, "attaching key configurations");
            let sent = account.set_keys(id, &fields).await;
            client.reads().forget_workspaces();
            sent.map_err(|error| refused(&error, &before))?;
        }
        let now = attached_for_good(cx, account, id, &plan, deadline).await?;
        let mut state = plan.showing(&now);
        state.id = Attr::Known(id.to_string());
        progress.save(state.clone());
        if !fields.is_empty() {
            settle(cx, &state, fields.storage.is_some()).await;
        }
        Ok(state)
    }
}

/// Waits until the new key is in full effect. The attach itself is done, so being interrupted here is no failure.
async fn settle(cx: &Context<Client>, state: &Model, storage: bool) {
    let usual = if storage { STORAGE_SETTLE } else { Duration::ZERO };
    let length = state.settle_time.known().map_or(usual, GoDuration::length);
    if length.is_zero() {
        return;
    }
    tracing::info!(settle_time = spell(length), "waiting until the new key is in full effect");
    if pause(length, cx.stop()).await == Pause::Stopped {
        cx.warn(Diagnostic::warning(
            "The new key may not be in full effect yet",
            format!(
                "The keys are attached, but waiting for them to settle was interrupted. For about {} from the attach, do not start clusters \
                 and do not use the DBFS API in this workspace.",
                spell(length)
            ),
        ));
    }
}

impl Resource for WorkspaceBinding {
    type Client = Client;
    type Model = Model;

    const NAME: &'static str = "dbxcmk_workspace_binding";

    fn schema() -> Schema {
        Schema::new(
            "Puts key configurations under a workspace. Before anything is attached, the workspace, the configurations, the keys' states \
             and their policies are proven to fit together; afterwards the binding waits until the workspace is running with the keys for \
             good. It changes only these two fields, never replaces a workspace, and can be used for workspaces that somebody else \
             manages.\n\nAn attach cannot be undone: Databricks has no detach, and the storage key of a workspace can be set only once. \
             Destroying this resource lets Terraform forget it; the keys stay attached.\n\nUse one binding for a workspace. If \
             `databricks_mws_workspaces` manages the workspace, let it ignore changes of `managed_services_customer_managed_key_id` and \
             `storage_customer_managed_key_id`.",
            vec![
                Attribute::string("id").computed().stable().describe("Id of the workspace."),
                Attribute::string("workspace_id")
                    .required()
                    .replaces()
                    .format::<WorkspaceId>("Invalid workspace id")
                    .describe("Id of the workspace, a number. Another one means another binding; no workspace is ever replaced."),
                Attribute::string("managed_services_key_configuration_id")
                    .format::<KeyConfigurationId>("Invalid key configuration id")
                    .describe("Key configuration for managed services. Can be set, and later changed to another (rotation), not removed."),
                Attribute::string("storage_key_configuration_id")
                    .format::<KeyConfigurationId>("Invalid key configuration id")
                    .describe("Key configuration for workspace storage. Can be set once; afterwards neither changed nor removed."),
                Attribute::duration("settle_time").describe(
                    "How long to wait after an attach until the key is in full effect. Default: `20m` when the storage key changes, as \
                     Databricks asks for, otherwise `0s`.",
                ),
                Attribute::string("workspace_name").computed().stable().describe("Name of the workspace."),
                Attribute::string("workspace_status").computed().describe("Status of the workspace when it was last looked at."),
                Attribute::string("region").computed().stable().describe("AWS region of the workspace."),
                Attribute::string("pricing_tier").computed().stable().describe("Pricing tier of the workspace."),
                ignore_findings("this resource"),
                Attribute::timeouts(&[("create", "60m"), ("update", "60m")]),
            ],
        )
    }

    fn validate(config: &Model) -> Diagnostics {
        let none = UseCase::ALL.iter().all(|case| config.wanted(*case).is_null());
        if none {
            return Diagnostic::error(
                "The binding binds nothing",
                "Set `managed_services_key_configuration_id`, `storage_key_configuration_id`, or both, to the id of a \
                 `dbxcmk_key_configuration`.",
            )
            .into();
        }
        Diagnostics::new()
    }

    async fn plan(cx: &Context<Client>, change: &Change<Model>, plan: &mut Plan<Model>) -> Result<(), Diagnostics> {
        let client = cx.client();
        plan.model.id = plan.model.workspace_id.as_ref().map(ToString::to_string);
        let same_workspace = |prior: &&Model| prior.workspace_id == plan.model.workspace_id;
        let prior = change.prior.as_ref().filter(same_workspace);
        for case in UseCase::ALL {
            let Some(Attr::Known(before)) = prior.map(|prior| prior.wanted(case)) else { continue };
            if plan.model.wanted(case).is_null() {
                return Err(Diagnostic::error(
                    "A key cannot be detached from a workspace",
                    format!(
                        "The workspace has the key configuration {before} for {}, and the configuration no longer names it. Databricks has \
                         no detach, so nothing can make this true.\n\nPut it back:\n\n  {} = \"{before}\"\n\nor let Terraform forget the \
                         whole binding with a `removed` block (`destroy = false`).",
                        case.in_words(),
                        attribute(case)
                    ),
                )
                .on(attribute(case))
                .into());
            }
        }
        let Attr::Known(id) = plan.model.workspace_id else { return Ok(()) };
        let account = match client.account().await {
            Ok(account) => account,
            Err(Unavailable::NotYetKnown(_)) => return Ok(()),
            Err(reason) => return Err(reason.into()),
        };
        let now = match required(account, id, client.reads().workspace(account, id).await) {
            Ok(now) => now,
            Err(_) if client.has_vanished(id) => {
                cx.warn(
                    Diagnostic::warning(
                        "The workspace does not exist any more",
                        format!(
                            "Workspace {id} was there when its keys were attached, and the account {} has it no longer. Remove this \
                             binding from the configuration; an apply that keeps it will fail here.",
                            account.id()
                        ),
                    )
                    .on("workspace_id"),
                );
                return Ok(());
            }
            Err(errors) => return Err(errors),
        };
        let findings = examine(client, account, &now, &plan.model, Stage::Plan).await?;
        let attaches =
            !changes(&now, &plan.model).is_empty() || UseCase::ALL.iter().any(|case| plan.model.wanted(*case).is_unknown());
        enforce(cx, if attaches { findings } else { as_warnings(findings) }, &plan.model.ignore_findings)
    }

    async fn plan_destroy(cx: &Context<Client>, state: &Model) -> Result<(), Diagnostics> {
        let attached: Vec<String> = UseCase::ALL
            .iter()
            .filter_map(|case| state.wanted(*case).known().map(|id| format!("  - {}: {id}", case.in_words())))
            .collect();
        let workspace = state.id.known().map(String::as_str).unwrap_or_default();
        cx.warn(
            Diagnostic::warning(
                "The keys stay attached to the workspace",
                format!(
                    "Destroying the binding of workspace {workspace} lets Terraform forget it. Databricks has no detach, so the workspace \
                     goes on using:\n{}\n\nThe KMS keys have to stay enabled, and their policies have to go on allowing Databricks, as long as \
                     the workspace exists.",
                    attached.join("\n")
                ),
            )
            .on("workspace_id"),
        );
        Ok(())
    }

    async fn create(cx: &Context<Client>, plan: Model, progress: &Progress<Model>) -> Result<Model, Diagnostics> {
        Self::attach(cx, plan, "create", progress).await
    }

    async fn read(cx: &Context<Client>, state: Model) -> Result<Option<Model>, Diagnostics> {
        let account = cx.client().account().await?;
        let Attr::Known(id) = state.workspace_id else { return Ok(None) };
        let found = cx
            .client()
            .reads()
            .workspace(account, id)
            .await
            .map_err(|error| diagnose::account("The workspace could not be read", &error).on("workspace_id"))?;
        let Some(workspace) = found else {
            cx.client().workspace_vanished(id);
            return Ok(None);
        };
        let imported = UseCase::ALL.iter().all(|case| state.wanted(*case).is_null());
        let mut state = state.showing(&workspace);
        // A field that this binding does not name belongs to somebody else.
        let shown = |own: &Attr<KeyConfigurationId>, case| {
            if own.is_null() && !imported { Attr::Null } else { attached(&workspace, case).into() }
        };
        state.managed_services_key_configuration_id =
            shown(&state.managed_services_key_configuration_id, UseCase::ManagedServices);
        state.storage_key_configuration_id = shown(&state.storage_key_configuration_id, UseCase::Storage);
        if imported && UseCase::ALL.iter().all(|case| state.wanted(*case).is_null()) {
            return Err(Diagnostic::error(
                "The workspace has no keys",
                format!("Workspace {id} has neither a managed services key nor a storage key, so there is no binding to import. Create one instead."),
            )
            .into());
        }
        Ok(Some(state))
    }

    async fn update(cx: &Context<Client>, _: Model, plan: Model, progress: &Progress<Model>) -> Result<Model, Diagnostics> {
        Self::attach(cx, plan, "update", progress).await
    }

    async fn delete(_: &Context<Client>, _: Model) -> Result<(), Diagnostics> {
        // There is no detach: what can be done is to forget. The plan has said so.
        Ok(())
    }

    async fn import(_: &Context<Client>, id: &str) -> Result<Model, Diagnostics> {
        let workspace_id: WorkspaceId = id.parse().map_err(|error: crate::vocabulary::databricks::IdError| {
            Diagnostic::error(
                "Not the id of a workspace",
                format!("A dbxcmk_workspace_binding is imported by the id of its workspace, but {error}."),
            )
        })?;
        Ok(Model {
            id: Attr::Known(workspace_id.to_string()),
            workspace_id: Attr::Known(workspace_id),
            managed_services_key_configuration_id: Attr::Null,
            storage_key_configuration_id: Attr::Null,
            settle_time: Attr::Null,
            workspace_name: Attr::Null,
            workspace_status: Attr::Null,
            region: Attr::Null,
            pricing_tier: Attr::Null,
            ignore_findings: Attr::Null,
            timeouts: Attr::Null,
        })
    }
}
