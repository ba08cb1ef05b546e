//! `dbxcmk_workspace_binding`: the key configurations under one workspace. It changes these two fields of a workspace that
//! somebody else owns, and nothing else. It cannot be undone: there is no detach.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Timeouts, timeout};
use crate::databricks::Account;
use crate::databricks::key_configurations::KeyConfiguration;
use crate::databricks::workspaces::{KeyFields, Workspace};
use crate::preflight::aws::KeyFacts;
use crate::preflight::aws::{Question, judge as judge_key};
use crate::preflight::binding::{
    self, ConfigurationFacts, ConfigurationKey, UnknownRole, WorkspaceFacts, judge, judge_planned,
    judge_workspace, role_unknown,
};
use crate::preflight::{Finding, Stage, Subject};
use crate::provider::bindings::{self, Attach, Failure, attached, required, workspace};
use crate::provider::client::{Claim, Client, account_to_read, as_warnings, split};
use crate::provider::config::{IgnoreFindings, ignore_findings};
use crate::provider::diagnose::{self, Unavailable};
use crate::requirements::aws::Usage;
use crate::vocabulary::ArnError;
use crate::vocabulary::{KeyArn, KeyConfigurationId, RoleArn, Tier, UseCase, WorkspaceId};
use tfplugin::bridge::Attr;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::duration::GoDuration;
use tfplugin::identity::Identity;
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
        self.region = text(workspace.aws_region.as_deref().unwrap_or_default());
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

fn facts(workspace: &Workspace) -> WorkspaceFacts {
    WorkspaceFacts {
        id: workspace.workspace_id,
        name: workspace.workspace_name.clone(),
        status: workspace.workspace_status.clone(),
        status_message: workspace
            .workspace_status_message
            .clone()
            .unwrap_or_default(),
        region: workspace.aws_region.clone(),
        pricing_tier: workspace.pricing_tier.clone(),
        cloud: workspace.cloud.clone(),
        serverless_only: workspace.is_serverless_only(),
        default_storage: workspace.has_default_storage(),
        managed_services: workspace.key(UseCase::ManagedServices),
        storage: workspace.key(UseCase::Storage),
    }
}

/// What the account shows of a key configuration. What cannot be read is kept, so that it is judged.
fn configuration_facts(id: &KeyConfigurationId, remote: &KeyConfiguration) -> ConfigurationFacts {
    let key = match (&remote.aws_key_info, remote.cloud_and_key()) {
        (Some(aws), _) => aws.key_arn.parse().map_or_else(
            |error: ArnError| ConfigurationKey::Unreadable(error.to_string()),
            ConfigurationKey::Aws,
        ),
        (None, Some((cloud, key))) => ConfigurationKey::Elsewhere(cloud, key),
        (None, None) => ConfigurationKey::Missing,
    };
    ConfigurationFacts {
        id: id.clone(),
        use_cases: remote.use_cases.clone(),
        key,
    }
}

/// The role that launches the clusters of a workspace.
async fn role_of(
    client: &Client,
    account: &Account,
    workspace: &Workspace,
) -> Result<RoleArn, UnknownRole> {
    match client.reads().cross_account_role(account, workspace).await {
        Ok(Some(arn)) => arn
            .parse()
            .map_err(|error: ArnError| UnknownRole::Unreadable(error.to_string())),
        Ok(None) => Err(UnknownRole::None),
        Err(error) => Err(UnknownRole::Refused(error.to_string())),
    }
}

/// What the proof of a binding came to.
#[derive(Default)]
struct Examined {
    findings: Vec<Finding>,
    /// The keys that are to be attached, and what is known of them.
    keys: BTreeMap<KeyArn, KeyFacts>,
}

impl Examined {
    /// One key under both fields: what concerns the key as a whole is said once.
    fn add(&mut self, finding: Finding) {
        let said = self.findings.iter().any(|other| {
            other.id == finding.id
                && other.summary == finding.summary
                && other.found == finding.found
        });
        if !said {
            self.findings.push(finding);
        }
    }
}

/// Everything there is to say about the wanted attaches: the workspace, the configurations, the keys and their policies.
async fn examine(
    client: &Client,
    account: &Account,
    workspace: &Workspace,
    model: &WorkspaceBindingModel,
    stage: Stage,
) -> Result<Examined, Diagnostics> {
    let about = facts(workspace);
    let mut examined = Examined::default();
    for case in UseCase::ALL {
        let Attr::Known(id) = model.wanted(case) else {
            continue;
        };
        let failed = |error| {
            diagnose::account("The key configuration could not be read", &error).on(attribute(case))
        };
        let remote = match stage {
            Stage::Plan => client.reads().configuration(account, id).await,
            Stage::Apply => account.find_key_configuration(id).await,
        };
        let remote = remote.map_err(failed)?;
        let configuration = remote
            .as_ref()
            .map(|remote| configuration_facts(id, remote));
        for finding in judge(
            &about,
            &binding::Attachment {
                case,
                id,
                configuration: configuration.as_ref(),
            },
        ) {
            examined.add(finding);
        }
        // What has no key that can be named was just judged.
        let Some(key) = configuration
            .as_ref()
            .and_then(|configuration| configuration.key.aws())
            .cloned()
        else {
            continue;
        };
        if stage == Stage::Plan && !client.aws_is_known() {
            continue;
        }
        let for_clusters = case == UseCase::Storage
            && !workspace.is_serverless_only()
            && remote
                .as_ref()
                .is_some_and(KeyConfiguration::is_for_cluster_volumes);
        let role = match if for_clusters {
            Some(role_of(client, account, workspace).await)
        } else {
            None
        } {
            Some(Ok(role)) => Some(role),
            Some(Err(why)) => {
                examined.add(role_unknown(&about, &why, stage));
                None
            }
            None => None,
        };
        let question = Question {
            usage: Usage::of(client.deployment(&key), [account.id().clone()], [case])
                .with_cross_account_role(role),
            cluster_volumes: false,
            stage,
        };
        // One key under both fields is read once.
        let known = match (examined.keys.get(&key), stage) {
            (Some(known), _) => known.clone(),
            (None, Stage::Plan) => client.facts_for_plan(&key).await,
            (None, Stage::Apply) => client.facts_now(&key).await,
        };
        examined.keys.insert(key.clone(), known.clone());
        let subject = match case {
            UseCase::ManagedServices => Subject::ManagedServicesConfiguration,
            UseCase::Storage => Subject::StorageConfiguration,
        };
        for mut finding in judge_key(&known, &question) {
            finding.subject = subject;
            examined.add(finding);
        }
    }
    examined
        .findings
        .sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Ok(examined)
}

/// Shows what only warns, and fails with what stops.
fn enforce(
    cx: &Context<Client>,
    findings: Vec<Finding>,
    ignored: &IgnoreFindings,
    stage: Stage,
) -> Result<(), Diagnostics> {
    let (warnings, errors) = split(cx.client().report(findings, ignored, stage, place));
    warnings.into_iter().for_each(|warning| cx.warn(warning));
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors)
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
        let deadline = timeout(
            &plan.timeouts,
            if existing { "update" } else { "create" },
            ATTACH,
        );
        let before = workspace(account, id).await?;
        let Examined { findings, keys } =
            examine(client, account, &before, &plan, Stage::Apply).await?;
        // What is attached already cannot be stopped any more, only reported.
        let is_there = plan.keys().missing_in(&before).is_empty();
        enforce(
            cx,
            if is_there {
                as_warnings(findings)
            } else {
                findings
            },
            &plan.ignore_findings,
            Stage::Apply,
        )?;
        let wanted = Attach {
            id,
            wanted: plan.keys(),
            keys: keys.into_keys().collect(),
            deadline,
            wait_for_compute: plan
                .wait_for_compute
                .known()
                .map_or(Duration::ZERO, GoDuration::length),
            settle_time: plan.settle_time.known().map(GoDuration::length),
        };
        match bindings::attach(cx, account, before, &wanted).await {
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
        failure: Failure,
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
        client.claim(format!("workspace {id} {case}"), Claim { value, is_new })
    };
    let Some(case) = UseCase::ALL.into_iter().find(|case| !is_free(case)) else {
        return Ok(());
    };
    Err(Diagnostic::error(
        "The workspace is bound twice",
        format!(
            "Another dbxcmk_workspace_binding of this configuration sets the key for {} of workspace {id} as well. They would undo each \
             other's work, and a storage key can be set only once.\n\nKeep one binding for a workspace, with both keys in it. A second binding \
             in another configuration (another state) cannot be seen from here: whoever applies last wins, and the other one's next plan \
             shows the difference.",
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
        name: "workspace_id",
        path: "workspace_id",
        description: "the id of the workspace, a number",
    };

    fn schema() -> Schema {
        Schema::new(
            "Puts key configurations under a workspace. Before anything is attached, the workspace, the configurations, the keys' states \
             and their policies are proven to fit together; afterwards the binding waits until the workspace is running with the keys for \
             good. It changes only these two fields, never replaces a workspace, and can be used for workspaces that somebody else \
             manages.\n\nAn attach cannot be undone: Databricks has no detach, and the storage key of a workspace can be set only once. \
             Destroying this resource lets Terraform forget it; the keys stay attached.\n\nUse one binding for a workspace. Two in one configuration are refused at plan; two in different states cannot be seen: whoever \
             applies last wins, and the other one's next plan shows the difference. If \
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
                    .describe(
                        "Key configuration for managed services: notebooks, secrets, queries and their history, Git credentials and the like, as they \
                         are written from the attach on. What is there already stays as it is until it is changed. Can be set, and later changed to \
                         another (rotation; keep the old key enabled for 24 hours), not removed.",
                    ),
                Attribute::string("storage_key_configuration_id")
                    .format::<KeyConfigurationId>("Invalid key configuration id")
                    .describe(
                        "Key configuration for workspace storage: new objects of the workspace bucket, and the EBS volumes of new clusters where the \
                         configuration has `reuse_key_for_cluster_volumes = true`. Objects that are there already stay as they are until they are \
                         written again; tables in other buckets and serverless compute are not covered. Can be set once; afterwards neither changed \
                         nor removed.",
                    ),
                Attribute::duration("settle_time").quiet().describe(
                    "How long to watch the workspace after the new keys show. A revert, a failed workspace or an unusable key in that time is an \
                     error. Not part of `timeouts`. Default: `20m` when the storage key changes, as Databricks asks for, otherwise `1m`. With \
                     `0s`, three reads in a row are enough, and a later revert shows only in the next plan.",
                ),
                Attribute::duration("wait_for_compute").quiet().describe(
                    "How long to wait for compute that runs in the workspace, which keeps Databricks from changing its keys, as `30m`. Within \
                     the timeout of the operation. Default: `0s`, so that the apply stops and says what to stop.",
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

    fn validate(config: &WorkspaceBindingModel) -> Diagnostics {
        let none = UseCase::ALL
            .iter()
            .all(|case| config.wanted(*case).is_null());
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
            if plan.model.wanted(case).is_null() {
                return Err(Diagnostic::error(
                    "A key cannot be detached from a workspace",
                    format!(
                        "The workspace has the key configuration {before} for {}, and the configuration no longer names it. Databricks has \
                         no detach, so nothing can make this true.\n\nPut it back:\n\n  {} = \"{before}\"\n\nor let Terraform forget the \
                         whole binding:\n\nremoved {{\n  from = dbxcmk_workspace_binding.…\n  lifecycle {{\n    destroy = false\n  }}\n}}",
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
        client.can_prove(cx);
        let mut findings = examine(client, account, &now, &plan.model, Stage::Plan)
            .await?
            .findings;
        let planned: Vec<Vec<UseCase>> = client
            .planned_configurations()
            .into_iter()
            .map(|one| one.use_cases)
            .collect();
        for case in UseCase::ALL
            .into_iter()
            .filter(|case| plan.model.wanted(*case).is_unknown())
        {
            let about = judge_workspace(&facts(&now), case, None);
            for finding in about.into_iter().chain(judge_planned(case, &planned)) {
                if !findings.contains(&finding) {
                    findings.push(finding);
                }
            }
        }
        let missing = plan.model.keys().missing_in(&now);
        let comes =
            |case: &UseCase| missing.of(*case).is_some() || plan.model.wanted(*case).is_unknown();
        let attaches = UseCase::ALL.iter().any(comes);
        enforce(
            cx,
            if attaches {
                findings
            } else {
                as_warnings(findings)
            },
            &plan.model.ignore_findings,
            Stage::Plan,
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
            cx.client().workspace_vanished(id);
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
        _: WorkspaceBindingModel,
        plan: WorkspaceBindingModel,
        progress: &Progress<WorkspaceBindingModel>,
    ) -> Result<WorkspaceBindingModel, Diagnostics> {
        Self::attach(cx, plan, true, progress).await
    }

    async fn delete(_: &Context<Client>, _: WorkspaceBindingModel) -> Result<(), Diagnostics> {
        // There is no detach: what can be done is to forget. The plan has said so.
        Ok(())
    }

    async fn import(_: &Context<Client>, id: &str) -> Result<WorkspaceBindingModel, Diagnostics> {
        let workspace_id: WorkspaceId = id.parse().map_err(|error: crate::vocabulary::IdError| {
            Diagnostic::error(
                "Not the id of a workspace",
                format!("A dbxcmk_workspace_binding is imported by the id of its workspace, but {error}."),
            )
        })?;
        Ok(WorkspaceBindingModel::named(workspace_id))
    }
}
