//! `dbxcmk_key_policy`: the statements with which Databricks may use a key. It owns these and nothing else of the policy.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Timeouts, all_known, known_set, timeout};
use crate::clouds::aws::AwsError;
use crate::databricks::Account;
use crate::databricks::key_configurations::KeyConfiguration;
use crate::databricks::workspaces::Workspace;
use crate::preflight::aws::PolicySource;
use crate::preflight::{Fact, Stage};
use crate::provider::client::{Client, not_looked_at};
use crate::provider::config::{IgnoreFindings, ignore_findings};
use crate::provider::diagnose;
use crate::provider::key_policies::{Write, merged, refuse_lockout, understood, write};
use crate::requirements::aws::{PermissionChange, effects};
use crate::requirements::aws::{Usage, User};
use crate::requirements::aws::{list_of, mean_the_same, recognise, statements_of, still_there};
use crate::vocabulary::{AccountId, KeyArn, RoleArn, UseCase};
use kms_policy::Document;
use tfplugin::bridge::Attr;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::identity::Identity;
use tfplugin::resource::{Change, Context, Plan, Private, Progress, Resource, Source};
use tfplugin::schema::{Attribute, Schema};
use tfplugin::value::Value;

/// How long a new policy may take to show in reads, and a new principal to be known.
const SETTLE: Duration = Duration::from_secs(10 * 60);

/// Private data of a state that was taken over: the region of its key, where the other provider knew it.
const REGION_OF_KEY: &str = "region_of_key";

/// The resource.
pub struct KeyPolicyResource;

/// Configuration, plan and state.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct KeyPolicyModel {
    pub id: Attr<String>,
    pub use_cases: Attr<Vec<Attr<UseCase>>>,
    pub databricks_account_ids: Attr<Vec<Attr<AccountId>>>,
    pub aws: Attr<KeyPolicyAws>,
    pub force_destroy: Attr<bool>,
    pub statements: Attr<String>,
    pub policy: Attr<String>,
    pub ignore_findings: IgnoreFindings,
    pub timeouts: Timeouts,
}

/// `aws`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct KeyPolicyAws {
    pub key_arn: Attr<KeyArn>,
    pub cross_account_role_arn: Attr<RoleArn>,
    pub cluster_volumes: Attr<bool>,
    pub include_grants: Attr<bool>,
}

impl KeyPolicyModel {
    /// A key policy of which nothing but its key is known.
    fn named(key: KeyArn) -> Self {
        let id = Attr::Known(key.to_string());
        let aws = KeyPolicyAws {
            key_arn: Attr::Known(key),
            cross_account_role_arn: Attr::Null,
            cluster_volumes: Attr::Null,
            include_grants: Attr::Null,
        };
        Self {
            id,
            aws: Attr::Known(aws),
            ..Self::unnamed()
        }
    }

    fn unnamed() -> Self {
        Self {
            id: Attr::Null,
            use_cases: Attr::Null,
            databricks_account_ids: Attr::Null,
            aws: Attr::Null,
            force_destroy: Attr::Known(false),
            statements: Attr::Null,
            policy: Attr::Null,
            ignore_findings: Attr::Null,
            timeouts: Attr::Null,
        }
    }

    /// What of a key's policy is recognised as ours.
    pub fn recognised(client: &Client, key: &KeyArn, live: &Document) -> Self {
        let mut model = KeyPolicyResource::adopted(client, Self::named(key.clone()), live, key);
        model.policy = Attr::Known(live.text().to_owned());
        model
    }

    /// Whether there are statements for Databricks.
    pub fn is_for_databricks(&self) -> bool {
        self.statements.known().is_some_and(|list| list != "[]")
    }

    fn key(&self) -> Option<&KeyArn> {
        self.aws.known().and_then(|aws| aws.key_arn.known())
    }

    /// What the key is to be used for, when all of it is known.
    fn usage(&self, client: &Client) -> Option<Usage> {
        let aws = self.aws.known()?;
        let cluster_volumes = *aws.cluster_volumes.known()?;
        let role = match &aws.cross_account_role_arn {
            Attr::Unknown => return None,
            Attr::Known(role) if cluster_volumes => Some(role.clone()),
            _ => None,
        };
        // With a new key the host alone may say it, so that the statements are known at plan.
        let deployment = match aws.key_arn.known() {
            Some(key) => client.deployment(key),
            None => client.deployment_of_host()?,
        };
        let usage = Usage::of(
            deployment,
            all_known(&self.databricks_account_ids)?,
            all_known(&self.use_cases)?,
        );
        Some(
            usage
                .with_grants(*aws.include_grants.known()?)
                .with_cross_account_role(role),
        )
    }

    /// The statements that are ours, as the state has them.
    fn own_statements(&self) -> Result<Vec<String>, Diagnostics> {
        let Some(list) = self.statements.known() else {
            return Ok(Vec::new());
        };
        statements_of(list).map_err(|error| {
            Diagnostic::error(
                "The statements in the state cannot be read",
                format!(
                    "`statements` in the state of this resource is not a list of statements: {error}. Which statements of the key policy are \
                     its own is not known, so nothing was changed.\n\nIf the state was edited by hand, restore it from its backup. Otherwise \
                     let Terraform forget the resource with a `removed` block (`destroy = false`), and import it again."
                ),
            )
            .on("statements")
            .into()
        })
    }

    fn may_be_destroyed(&self) -> bool {
        self.force_destroy.known() == Some(&true)
    }

    /// The same model, its key's policy being `live`: our statements as far as they are there.
    fn seen(mut self, live: &Document) -> Result<Self, Diagnostics> {
        let own = self.own_statements()?;
        let there = still_there(live, &own).map_err(|error| Diagnostic::bug(error.to_string()))?;
        if there.len() != own.len() {
            self.statements = Attr::Known(list_of(&there));
        }
        let unchanged = self.policy.known().is_some_and(|known| {
            known == live.text()
                || Document::parse(known).is_ok_and(|known| known.means_the_same_as(live))
        });
        if !unchanged {
            self.policy = Attr::Known(live.text().to_owned());
        }
        Ok(self)
    }
}

/// The workspaces that need what is lost on a key now, in words; empty when there are none.
async fn users_of(
    client: &Client,
    key: &KeyArn,
    lost: &[PermissionChange],
) -> Result<Vec<String>, Diagnostics> {
    let account = client.account().await?;
    let failed = |error| {
        diagnose::account(
            "The provider could not find out which workspaces use the key",
            &error,
        )
    };
    let configurations = client
        .reads()
        .configurations(account)
        .await
        .map_err(failed)?;
    let arn = key.to_string();
    let own: Vec<&KeyConfiguration> = configurations
        .values()
        .filter(|one| {
            one.aws_key_info
                .as_ref()
                .is_some_and(|info| info.key_arn == arn)
        })
        .collect();
    if own.is_empty() {
        return Ok(Vec::new());
    }
    let workspaces = client.reads().workspaces(account).await.map_err(failed)?;
    let mut users = Vec::new();
    for workspace in workspaces.values().filter(|workspace| {
        own.iter()
            .any(|one| workspace.uses_id(&one.customer_managed_key_id))
    }) {
        if needs(client, account, workspace, &own, lost).await {
            users.push(format!(
                "  - {} (\"{}\")",
                workspace.workspace_id, workspace.workspace_name
            ));
        }
    }
    Ok(users)
}

/// Whether a workspace that uses a key needs some of what is lost on it.
async fn needs(
    client: &Client,
    account: &Account,
    workspace: &Workspace,
    own: &[&KeyConfiguration],
    lost: &[PermissionChange],
) -> bool {
    let mut roles = Vec::new();
    for change in lost {
        match &change.user {
            User::Databricks(_) => return true,
            User::CrossAccountRole(role) => roles.push(role.to_string()),
        }
    }
    // What only the role loses concerns the workspaces whose clusters' volumes the key encrypts, and which work with that role.
    let for_volumes = own.iter().any(|one| {
        one.is_for_cluster_volumes()
            && workspace.storage_customer_managed_key_id.as_deref()
                == Some(one.customer_managed_key_id.as_str())
    });
    if !for_volumes || workspace.is_serverless_only() {
        return false;
    }
    match client.reads().cross_account_role(account, workspace).await {
        Ok(Some(role)) => roles.contains(&role),
        // Whose role it is cannot be seen: it may be this one.
        Ok(None) | Err(_) => true,
    }
}

/// What those who use the key would lose by a change of its policy.
fn losses(
    before: &Document,
    after: &Document,
    key: &KeyArn,
    usage: &Usage,
) -> Vec<PermissionChange> {
    effects(before, after, key, usage)
        .into_iter()
        .filter_map(PermissionChange::loss)
        .collect()
}

/// What a workspace would be left without.
struct Removal<'a> {
    /// `This change`
    what: &'a str,
    lost: &'a [PermissionChange],
    /// What to do about it first.
    remedy: &'a str,
}

/// Refuses to take from a workspace what it needs.
async fn refuse_removal_in_use(
    client: &Client,
    key: &KeyArn,
    removal: &Removal<'_>,
) -> Result<(), Diagnostics> {
    if removal.lost.is_empty() {
        return Ok(());
    }
    let users = users_of(client, key, removal.lost).await?;
    if users.is_empty() {
        return Ok(());
    }
    let lost: Vec<String> = removal
        .lost
        .iter()
        .flat_map(PermissionChange::in_words)
        .map(|line| format!("  - {line}"))
        .collect();
    Err(Diagnostic::error(
        "Workspaces need these statements of the key policy",
        format!(
            "{} would take permissions on {key} away:\n{}\n\nThese workspaces need them:\n{}\n\nWithout them, they lose access to the key, or \
             their clusters do not start. A key cannot be detached from a workspace.\n\n{}",
            removal.what,
            lost.join("\n"),
            users.join("\n"),
            removal.remedy
        ),
    )
    .into())
}

/// What a change takes away can be put back.
const UNDO_THE_CHANGE: &str = "Put back what the configuration no longer names: the use case, the account, or `cross_account_role_arn`. If the workspaces may lose \
     the permissions, set `force_destroy = true` and apply that before.";

/// What a destruction takes away.
const DELETE_THE_WORKSPACES: &str = "Delete the workspaces first (`terraform destroy -target=…`), then this resource. To leave the statements in the policy and let \
     Terraform forget them:\n\nremoved {\n  from = dbxcmk_key_policy.…\n  lifecycle {\n    destroy = false\n  }\n}\n\nTo remove them although \
     the workspaces need them, set `force_destroy = true` and apply that before.";

/// Refuses a destruction that takes from a workspace what it needs.
async fn refuse_destruction_in_use(
    client: &Client,
    state: &KeyPolicyModel,
    key: &KeyArn,
) -> Result<(), Diagnostics> {
    let own = state.own_statements()?;
    if state.may_be_destroyed() || own.is_empty() {
        return Ok(());
    }
    let before = match client.aws().policy(key).await {
        Ok(text) => understood(&text, key)?,
        // A key that is gone takes its policy along.
        Err(AwsError::NotFound(_)) => return Ok(()),
        Err(error) => {
            return Err(
                diagnose::aws("The key policy could not be read", key, &error)
                    .on("aws")
                    .into(),
            );
        }
    };
    let Some(usage) = state.usage(client) else {
        return Err(Diagnostic::bug(
            "The state of a key policy does not say what the key is used for.",
        )
        .into());
    };
    let lost = match merged(&before, &[], &own, key) {
        Ok(after) => losses(&before, &after, key, &usage),
        // Nothing would be left of the policy: all that the statements grant is lost.
        Err(_) => usage
            .purposes()
            .into_iter()
            .map(|(purpose, user)| PermissionChange {
                user,
                purpose,
                gained: Vec::new(),
                lost: purpose
                    .needed_actions()
                    .iter()
                    .map(|(action, _)| *action)
                    .collect(),
                left_to_iam: Vec::new(),
            })
            .collect(),
    };
    let removal = Removal {
        what: "Destroying this resource",
        lost: &lost,
        remedy: DELETE_THE_WORKSPACES,
    };
    refuse_removal_in_use(client, key, &removal).await
}

impl KeyPolicyResource {
    /// What the user left out and what follows from what they said.
    fn complete(
        cx: &Context<Client>,
        change: &Change<KeyPolicyModel>,
        model: &mut KeyPolicyModel,
    ) -> Result<(), Diagnostics> {
        if let Attr::Known(aws) = &mut model.aws {
            let config = change.config.aws.known();
            if config.is_some_and(|config| config.cluster_volumes.is_null()) {
                aws.cluster_volumes = match &aws.cross_account_role_arn {
                    Attr::Unknown => Attr::Unknown,
                    Attr::Known(_) => Attr::Known(true),
                    Attr::Null => Attr::Known(false),
                };
            }
            model.id = aws.key_arn.as_ref().map(ToString::to_string);
        }
        if change.config.databricks_account_ids.is_null() {
            model.databricks_account_ids = match cx.client().account_id() {
                Ok(account) => known_set([account]),
                Err(diagnose::Unavailable::NotYetKnown(unknown)) => {
                    cx.client().warn_unproven(cx, &unknown);
                    Attr::Unknown
                }
                Err(reason) => return Err(reason.into()),
            };
        }
        Ok(())
    }

    /// What the key says about the plan: it must be there, in a usable state, and take the statements.
    async fn judge(
        cx: &Context<Client>,
        key: &KeyArn,
        usage: &Usage,
        prior: Option<&KeyPolicyModel>,
        model: &KeyPolicyModel,
    ) -> Result<(), Diagnostics> {
        let client = cx.client();
        let _alone = client.lock_policy(key).await;
        let facts = client.facts_for_plan(key).await;
        let (wanted, previous) = (
            usage.grants(),
            prior.map_or_else(|| Ok(Vec::new()), KeyPolicyModel::own_statements)?,
        );
        let mut found = Diagnostics::new();
        let mut lost = Vec::new();
        if let Fact::Known(policy) = &facts.policy {
            let before = understood(policy, key)?;
            let after = merged(&before, &wanted, &previous, key)?;
            refuse_lockout(client, &after, key).await?;
            if let Some(used) = prior.and_then(|prior| prior.usage(client)) {
                lost = losses(&before, &after, key, &used);
            }
            client.plan_policy(key, after.text().to_owned());
        }
        // What is left to judge with our statements in place: the key itself, and what other statements do to ours.
        let mut planned = client.facts_for_plan(key).await;
        planned.policy_source = PolicySource::Planned;
        let question = crate::preflight::aws::Question {
            usage: usage.clone(),
            cluster_volumes: false,
            stage: Stage::Plan,
        };
        found.extend(client.report(
            crate::preflight::aws::judge(&planned, &question),
            &model.ignore_findings,
            Stage::Plan,
            |_| "aws.key_arn",
        ));
        if !model.may_be_destroyed()
            && let Err(errors) = refuse_removal_in_use(
                client,
                key,
                &Removal {
                    what: "This change",
                    lost: &lost,
                    remedy: UNDO_THE_CHANGE,
                },
            )
            .await
        {
            found.extend(errors);
        }
        let (warnings, errors) = crate::provider::client::split(found);
        warnings.into_iter().for_each(|warning| cx.warn(warning));
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors)
        }
    }
}

impl Resource for KeyPolicyResource {
    type Client = Client;
    type Model = KeyPolicyModel;

    const NAME: &'static str = "dbxcmk_key_policy";
    const IDENTITY: Identity = Identity {
        name: "key_arn",
        path: "aws.key_arn",
        description: "the ARN of the key",
    };

    fn schema() -> Schema {
        let aws = vec![
            Attribute::string("key_arn")
                .required()
                .replaces()
                .format::<KeyArn>("Invalid key ARN")
                .describe("ARN of the KMS key whose policy gets the statements."),
            Attribute::string("cross_account_role_arn").format::<RoleArn>("Invalid role ARN").describe(
                "ARN of the role with which Databricks launches clusters in your AWS account. It needs the key for cluster volumes (EBS).",
            ),
            Attribute::bool("cluster_volumes").optional_computed().stable().describe(
                "Whether the role may use the key for cluster volumes. Default: `true` when `cross_account_role_arn` is set.",
            ),
            Attribute::bool("include_grants").default_value(Value::Bool(false)).describe(
                "Whether to add the statement for grants on the workspace bucket, which older Databricks documentation shows. Default: \
                 `false`.",
            ),
        ];
        Schema::new(
            "Lets Databricks use a KMS key: adds the documented statements to the key's policy, keeps them there, and owns nothing else \
             of the policy. Statements of others stay byte for byte as they are; documented statements that are there already are \
             adopted. A plan is refused when the policy would lock you out, when KMS would not accept it, or when a workspace would lose \
             its key.\n\nDo not combine it with `aws_kms_key_policy`, or with `policy` of `aws_kms_key`, on the same key: those write the \
             whole policy on every change. Let `aws_kms_key` ignore changes of `policy`.",
            vec![
                Attribute::string("id").computed().stable().describe("ARN of the key."),
                Attribute::string_set("use_cases")
                    .required()
                    .format::<UseCase>("Invalid use case")
                    .not_empty("No use case", "Name at least one of `MANAGED_SERVICES` and `STORAGE`.")
                    .describe("What Databricks may use the key for: `MANAGED_SERVICES`, `STORAGE`, or both."),
                Attribute::string_set("databricks_account_ids")
                    .optional_computed()
                    .stable()
                    .format::<AccountId>("Invalid Databricks account id")
                    .not_empty("No Databricks account", "Name at least one account, or leave the attribute out.")
                    .describe("Databricks accounts for which the key may be used. Default: the account of the provider."),
                Attribute::object("aws", aws).required().describe("The AWS key and the role that uses it."),
                Attribute::bool("force_destroy").default_value(Value::Bool(false)).quiet().describe(
                    "Whether the statements may be removed although workspaces need them. Those workspaces go dark. Default: `false`.",
                ),
                Attribute::string("statements")
                    .computed()
                    .describe(
                        "The statements of this resource, as a JSON list. Known at plan; for a key that the same plan creates, when the host of \
                         the provider is one of Databricks' own account hosts.",
                    ),
                Attribute::string("policy").computed().describe(
                    "The whole policy of the key, as JSON. Known after apply, because others write it, too: planned, it would have to be what the \
                     apply finds. What stays of it shows `review`.",
                ),
                ignore_findings("this resource"),
                Attribute::timeouts(&[("create", "10m"), ("update", "10m"), ("delete", "10m")]),
            ],
        )
    }

    fn validate(config: &KeyPolicyModel) -> Diagnostics {
        let mut found = Diagnostics::new();
        let Attr::Known(aws) = &config.aws else {
            return found;
        };
        if aws.cluster_volumes.known() == Some(&true) && aws.cross_account_role_arn.is_null() {
            found.push(
                Diagnostic::error(
                    "Cluster volumes need the cross-account role",
                    "With `cluster_volumes = true` the policy has to name the role that launches clusters. Set \
                     `cross_account_role_arn` to the role of the workspace's credentials configuration \
                     (`databricks_mws_credentials.….role_arn`), or remove `cluster_volumes`.",
                )
                .on("aws.cluster_volumes"),
            );
        }
        if let (Some(cases), true) = (
            all_known(&config.use_cases),
            aws.cluster_volumes.known() == Some(&true),
        ) && !cases.contains(&UseCase::Storage)
        {
            found.push(
                    Diagnostic::error(
                        "Cluster volumes belong to the use case STORAGE",
                        "A key encrypts cluster volumes only as part of workspace storage. Add \"STORAGE\" to `use_cases`, or remove \
                         `cluster_volumes`.",
                    )
                    .on("aws.cluster_volumes"),
                );
        }
        if let (Some(key), Some(role)) = (aws.key_arn.known(), aws.cross_account_role_arn.known())
            && key.partition() != role.partition()
        {
            found.push(
                    Diagnostic::error(
                        "The role is in another AWS partition than the key",
                        format!(
                            "The key is in `{}`, the role in `{}`. No principal of one partition can use a key of another: name a role of \
                             the key's partition.",
                            key.partition(),
                            role.partition()
                        ),
                    )
                    .on("aws.cross_account_role_arn"),
                );
        }
        found
    }

    async fn plan(
        cx: &Context<Client>,
        change: &Change<KeyPolicyModel>,
        plan: &mut Plan<KeyPolicyModel>,
    ) -> Result<(), Diagnostics> {
        Self::complete(cx, change, &mut plan.model)?;
        let prior = change.prior.as_ref();
        let same_key = prior.is_some_and(|prior| prior.key() == plan.model.key());
        let previous = prior
            .filter(|_| same_key)
            .map_or_else(|| Ok(Vec::new()), KeyPolicyModel::own_statements)?;
        let Some(usage) = plan.model.usage(cx.client()) else {
            plan.model.statements = Attr::Unknown;
            plan.model.policy = Attr::Unknown;
            return Ok(());
        };
        let wanted: Vec<String> = usage
            .grants()
            .into_iter()
            .map(|grant| grant.statement)
            .collect();
        let in_place = same_key && mean_the_same(&wanted, &previous);
        if in_place {
            if let Some(prior) = prior {
                plan.model.statements = prior.statements.clone();
                plan.model.policy = prior.policy.clone();
            }
            return Ok(());
        }
        plan.model.statements = Attr::Known(list_of(&wanted));
        plan.model.policy = Attr::Unknown;
        match plan.model.key() {
            Some(key) if cx.client().can_prove(cx) => {
                Self::judge(cx, key, &usage, prior.filter(|_| same_key), &plan.model).await
            }
            _ => Ok(()),
        }
    }

    async fn plan_destroy(cx: &Context<Client>, state: &KeyPolicyModel) -> Result<(), Diagnostics> {
        match state.key() {
            Some(key) => refuse_destruction_in_use(cx.client(), state, key).await,
            None => Ok(()),
        }
    }

    async fn create(
        cx: &Context<Client>,
        plan: KeyPolicyModel,
        progress: &Progress<KeyPolicyModel>,
    ) -> Result<KeyPolicyModel, Diagnostics> {
        Self::put(cx, plan, &[], None, "create", progress).await
    }

    async fn read(
        cx: &Context<Client>,
        mut state: KeyPolicyModel,
    ) -> Result<Option<KeyPolicyModel>, Diagnostics> {
        if !cx.client().aws_is_known() {
            cx.defer();
            cx.warn(not_looked_at(&diagnose::Unavailable::NotYetKnown(vec![
                "aws",
            ])));
            return Ok(Some(state));
        }
        if state.key().is_none() {
            state = KeyPolicyModel::named(Self::key_of(cx, &state).await?);
        }
        let Some(key) = state.key().cloned() else {
            return Ok(None);
        };
        let text = match cx.client().aws().policy(&key).await {
            Ok(text) => text,
            Err(AwsError::NotFound(_)) => return Ok(None),
            Err(error @ AwsError::AccessDenied { .. }) => {
                let mut warning = diagnose::aws("The key policy could not be read", &key, &error)
                    .on("aws.key_arn");
                warning.severity = tfplugin::diagnostics::Severity::Warning;
                cx.warn(warning);
                return Ok(Some(state));
            }
            Err(error) => {
                return Err(
                    diagnose::aws("The key policy could not be read", &key, &error)
                        .on("aws.key_arn")
                        .into(),
                );
            }
        };
        let live = understood(&text, &key)?;
        if state.statements.is_null() {
            state = Self::adopted(cx.client(), state, &live, &key);
        }
        state.seen(&live).map(Some)
    }

    async fn update(
        cx: &Context<Client>,
        prior: KeyPolicyModel,
        plan: KeyPolicyModel,
        progress: &Progress<KeyPolicyModel>,
    ) -> Result<KeyPolicyModel, Diagnostics> {
        let base = prior.policy.known().map(String::as_str);
        Self::put(cx, plan, &prior.own_statements()?, base, "update", progress).await
    }

    async fn delete(cx: &Context<Client>, state: KeyPolicyModel) -> Result<(), Diagnostics> {
        let Some(key) = state.key().cloned() else {
            return Ok(());
        };
        refuse_destruction_in_use(cx.client(), &state, &key).await?;
        match cx.client().aws().describe(&key).await {
            // A key that is gone, or about to be, takes its policy along.
            Err(AwsError::NotFound(_)) => return Ok(()),
            Ok(description) if description.state.is_being_deleted() => return Ok(()),
            _ => {}
        }
        let deadline = timeout(&state.timeouts, "delete", SETTLE);
        let previous = state.own_statements()?;
        write(
            cx,
            &Write {
                key: &key,
                wanted: &[],
                previous: &previous,
                base: None,
                deadline,
            },
        )
        .await
        .map(|_| ())
    }

    async fn import(_: &Context<Client>, id: &str) -> Result<KeyPolicyModel, Diagnostics> {
        let key: KeyArn = id.parse().map_err(|error: crate::vocabulary::ArnError| {
            Diagnostic::error(
                "Not the ARN of a key",
                format!("A dbxcmk_key_policy is imported by the ARN of its key, but {error}."),
            )
        })?;
        Ok(KeyPolicyModel::named(key))
    }

    fn take_over(source: &Source) -> Option<Result<(KeyPolicyModel, Private), Diagnostics>> {
        if !source.is_of("hashicorp", "aws") || source.type_name != "aws_kms_key_policy" {
            return None;
        }
        let text = |name: &str| {
            source
                .state
                .get(name)
                .and_then(serde_json::Value::as_str)
                .filter(|text| !text.is_empty())
        };
        let named = text("key_id").or(text("id")).unwrap_or_default();
        let mut private = Private::new();
        let model = match named.parse() {
            Ok(key) => KeyPolicyModel::named(key),
            // That resource names the key by its id alone; the read that follows asks KMS for the rest.
            Err(_) => {
                private
                    .extend(text("region").map(|region| (REGION_OF_KEY.to_owned(), region.into())));
                KeyPolicyModel {
                    id: Attr::Known(named.to_owned()),
                    ..KeyPolicyModel::unnamed()
                }
            }
        };
        Some(Ok((model, private)))
    }
}

impl KeyPolicyResource {
    /// The key of a state that was taken over from a resource which names it by its id alone.
    async fn key_of(cx: &Context<Client>, state: &KeyPolicyModel) -> Result<KeyArn, Diagnostics> {
        let named = state.id.known().map(String::as_str).unwrap_or_default();
        let region = cx.private(REGION_OF_KEY);
        let found = cx
            .client()
            .aws()
            .arn_of(named, region.as_ref().and_then(serde_json::Value::as_str))
            .await;
        found.map_err(|error| {
            Diagnostic::error(
                "The key of the aws_kms_key_policy was not found",
                format!(
                    "Its state names the key `{named}` without region and account, and KMS could not be asked for the rest: {error}.\n\nConfigure \
                     the region of the key in the provider (`aws.region` or AWS_REGION), and plan again. Otherwise take the resource out of the \
                     state with a `removed` block (`destroy = false`), and import the key policy by the ARN of its key."
                ),
            )
            .into()
        })
    }

    async fn put(
        cx: &Context<Client>,
        mut plan: KeyPolicyModel,
        previous: &[String],
        base: Option<&str>,
        operation: &str,
        progress: &Progress<KeyPolicyModel>,
    ) -> Result<KeyPolicyModel, Diagnostics> {
        let (Some(key), Some(usage)) = (plan.key().cloned(), plan.usage(cx.client())) else {
            return Err(Diagnostic::bug(
                "A key policy was applied before its configuration was known.",
            )
            .into());
        };
        let grants = usage.grants();
        if plan.statements.is_unknown() {
            let own: Vec<String> = grants.iter().map(|grant| grant.statement.clone()).collect();
            plan.statements = Attr::Known(list_of(&own));
        }
        let deadline = timeout(&plan.timeouts, operation, SETTLE);
        let live = write(
            cx,
            &Write {
                key: &key,
                wanted: &grants,
                previous,
                base,
                deadline,
            },
        )
        .await?;
        plan.policy = match plan.policy {
            // What the plan knew stays in its spelling.
            Attr::Known(known) => Attr::Known(known),
            _ => Attr::Known(live.text().to_owned()),
        };
        progress.save(plan.clone());
        Ok(plan)
    }

    /// An imported policy: what of it is recognised as ours.
    fn adopted(
        client: &Client,
        mut state: KeyPolicyModel,
        live: &Document,
        key: &KeyArn,
    ) -> KeyPolicyModel {
        let found = recognise(live, client.deployment(key));
        state.statements = Attr::Known(list_of(&found.statements));
        state.use_cases = known_set(found.use_cases);
        state.databricks_account_ids = known_set(found.accounts);
        if let Attr::Known(aws) = &mut state.aws {
            aws.cluster_volumes = Attr::Known(found.cross_account_role.is_some());
            aws.cross_account_role_arn = found.cross_account_role.into();
            aws.include_grants = Attr::Known(found.grants);
        }
        state
    }
}
