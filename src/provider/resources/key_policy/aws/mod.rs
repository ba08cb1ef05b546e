//! On AWS: the statements for Databricks in a key policy.

mod in_use;
mod write;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::in_use::{
    DELETE_THE_WORKSPACES, Removal, UNDO_THE_CHANGE, losses, refuse_removal_in_use,
};
use self::write::{Write, merged, refuse_lockout, understood, write};
use super::KeyPolicyModel;
use crate::clouds::aws::AwsError;
use crate::preflight::aws::{KeyFacts, PolicySource, Question, iam_allows, judge};
use crate::preflight::{Fact, Stage};
use crate::provider::client::{Client, not_read};
use crate::provider::diagnose::{self, as_warning, later, split};
use crate::provider::keys::{AwsKeys, PolicyStep};
use crate::provider::resources::{all_known, known_set, remembered, timeout};
use crate::requirements::aws::{
    GrantingStatement, PermissionChange, Usage, list_of, mean_the_same, recognise, statements_of,
    still_there,
};
use crate::vocabulary::UseCase;
use crate::vocabulary::aws::{ArnError, KeyArn, RoleArn};
use kms_policy::Document;
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::deferral::Unfinished;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::list_resource::{Found, Listed};
use tfplugin::resource::{Change, Plan, Progress, Source};
use tfplugin::schema::Attribute;
use tfplugin::stored::Private;
use tfplugin::value::Value;

/// How long a new policy may take to show in reads, and a new principal to be known.
const SETTLE: Duration = Duration::from_secs(10 * 60);

/// Private data of a state that was moved here: the region of its key, where the other provider knew it.
const REGION_OF_KEY: &str = "region_of_key";

/// `aws`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct KeyPolicyAws {
    pub key_arn: Attr<KeyArn>,
    pub cross_account_role_arn: Attr<RoleArn>,
    pub cluster_volumes: Attr<bool>,
    pub include_grants: Attr<bool>,
}

pub(super) fn attributes() -> Vec<Attribute> {
    vec![
        Attribute::string("key_arn")
            .required()
            .replaces()
            .format::<KeyArn>("Invalid key ARN")
            .describe("ARN of the KMS key to whose policy the statements are added."),
        Attribute::string("cross_account_role_arn").format::<RoleArn>("Invalid role ARN").describe(
            "ARN of the role with which Databricks launches clusters in your AWS account. It needs the key for cluster volumes (EBS).",
        ),
        Attribute::bool("cluster_volumes").optional_computed().stable().describe(
            "Whether the role may use the key for cluster volumes. Default: `true` when `cross_account_role_arn` is set.",
        ),
        Attribute::bool("include_grants").default_value(Value::Bool(false)).describe(
            "Whether to add the statement for grants on the workspace bucket, which older Databricks documentation shows. Default: `false`.",
        ),
    ]
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

    fn key(&self) -> Option<&KeyArn> {
        self.aws.known().and_then(|aws| aws.key_arn.known())
    }

    /// What the key is to be used for, when all of it is known.
    fn usage(&self, keys: &AwsKeys) -> Option<Usage> {
        let aws = self.aws.known()?;
        let cluster_volumes = *aws.cluster_volumes.known()?;
        let role = match &aws.cross_account_role_arn {
            Attr::Unknown => return None,
            Attr::Known(role) if cluster_volumes => Some(role.clone()),
            _ => None,
        };
        // With a new key the host alone may say it, so that the statements are known at plan.
        let deployment = match aws.key_arn.known() {
            Some(key) => keys.deployment(key),
            None => keys.deployment_of_host()?,
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
                    "`statements` in the state of this resource is not a list of statements: {error}. The provider cannot tell which \
                     statements of the key policy belong to this resource, so it changed nothing.\n\nIf the state was edited by hand, restore \
                     it from its backup. Otherwise remove the resource from the state with a `removed` block (`destroy = false`), and import \
                     it again."
                ),
            )
            .on("statements")
            .into()
        })
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

    /// The same model, with what of the policy is recognised as for Databricks.
    fn adopting(mut self, keys: &AwsKeys, live: &Document, key: &KeyArn) -> Self {
        let found = recognise(live, keys.deployment(key));
        self.statements = Attr::Known(list_of(&found.statements));
        self.use_cases = known_set(found.use_cases);
        self.databricks_account_ids = known_set(found.accounts);
        if let Attr::Known(aws) = &mut self.aws {
            aws.cluster_volumes = Attr::Known(found.cross_account_role.is_some());
            aws.cross_account_role_arn = found.cross_account_role.into();
            aws.include_grants = Attr::Known(found.grants);
        }
        self
    }
}

/// What is wrong, offline.
pub(super) fn validate(config: &KeyPolicyModel) -> Diagnostics {
    let mut found = Diagnostics::new();
    let Attr::Known(aws) = &config.aws else {
        return found;
    };
    let is_for_volumes = aws.cluster_volumes.known() == Some(&true);
    if is_for_volumes && aws.cross_account_role_arn.is_null() {
        found.push(
            Diagnostic::error(
                "Cluster volumes need the cross-account role",
                "With `cluster_volumes = true` the policy must name the role that launches clusters. Set `cross_account_role_arn` to the role \
                 of the workspace's credentials configuration (`databricks_mws_credentials.….role_arn`), or remove `cluster_volumes`.",
            )
            .on("aws.cluster_volumes"),
        );
    }
    let is_for_storage =
        all_known(&config.use_cases).is_none_or(|cases| cases.contains(&UseCase::Storage));
    if is_for_volumes && !is_for_storage {
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
                    "The key is in `{}`, the role in `{}`. A principal of one partition cannot use a key of another. Use a role in the \
                     partition of the key.",
                    key.partition(),
                    role.partition()
                ),
            )
            .on("aws.cross_account_role_arn"),
        );
    }
    found
}

/// What the user left out and what follows from what they said.
fn complete(config: Option<&KeyPolicyAws>, model: &mut KeyPolicyModel) {
    let Attr::Known(aws) = &mut model.aws else {
        return;
    };
    if config.is_some_and(|config| config.cluster_volumes.is_null()) {
        aws.cluster_volumes = match &aws.cross_account_role_arn {
            Attr::Unknown => Attr::Unknown,
            Attr::Known(_) => Attr::Known(true),
            Attr::Null => Attr::Known(false),
        };
    }
    model.id = aws.key_arn.as_ref().map(ToString::to_string);
}

pub(super) async fn plan(
    cx: &Context<Client>,
    change: &Change<KeyPolicyModel>,
    plan: &mut Plan<KeyPolicyModel>,
) -> Result<(), Unfinished> {
    let outcome = plan_statements(cx, change, plan).await;
    // Proofs of other resources may wait for this one, also when it failed.
    let step = if outcome.is_ok() && plan.model.policy.is_unknown() {
        PolicyStep::WillPut
    } else {
        PolicyStep::Done
    };
    let key = plan.model.key().cloned().map(Into::into);
    cx.client().keys().policies().came_to(key, step);
    Ok(outcome?)
}

async fn plan_statements(
    cx: &Context<Client>,
    change: &Change<KeyPolicyModel>,
    plan: &mut Plan<KeyPolicyModel>,
) -> Result<(), Diagnostics> {
    complete(change.config.aws.known(), &mut plan.model);
    let keys = cx.client().keys();
    let same_key = |prior: &&KeyPolicyModel| prior.key() == plan.model.key();
    let prior = change.prior.as_ref().filter(same_key);
    let previous = prior.map_or_else(|| Ok(Vec::new()), KeyPolicyModel::own_statements)?;
    let Some(usage) = plan.model.usage(keys.aws()) else {
        plan.model.statements = Attr::Unknown;
        plan.model.policy = Attr::Unknown;
        cx.client().warn_of_later_proof(cx);
        return Ok(());
    };
    let wanted = texts(&usage.grants());
    if let Some(prior) = prior.filter(|_| mean_the_same(&wanted, &previous)) {
        plan.model.statements = prior.statements.clone();
        plan.model.policy = prior.policy.clone();
        return Ok(());
    }
    plan.model.statements = Attr::Known(list_of(&wanted));
    plan.model.policy = Attr::Unknown;
    let Some(key) = plan.model.key() else {
        return Ok(());
    };
    if !keys.aws().is_known() {
        cx.client().warn_of_unknown_clouds(cx);
        return Ok(());
    }
    prove(cx, key, &usage, prior, &plan.model).await
}

fn texts(grants: &[GrantingStatement]) -> Vec<String> {
    grants.iter().map(|grant| grant.statement.clone()).collect()
}

/// What is asked of a key at plan.
fn asked(usage: &Usage) -> Question {
    Question {
        usage: usage.clone(),
        cluster_volumes: false,
        stage: Stage::Plan,
    }
}

/// What the key says about the plan: it must be there, in a usable state, and take the statements.
async fn prove(
    cx: &Context<Client>,
    key: &KeyArn,
    usage: &Usage,
    prior: Option<&KeyPolicyModel>,
    model: &KeyPolicyModel,
) -> Result<(), Diagnostics> {
    let (client, keys) = (cx.client(), cx.client().keys().aws());
    let _alone = keys.lock_policy(key).await;
    let facts = keys.facts_for_plan(key).await;
    let previous = prior.map_or_else(|| Ok(Vec::new()), KeyPolicyModel::own_statements)?;
    let mut lost = Vec::new();
    if let Fact::Known(policy) = &facts.policy {
        let before = understood(policy, key)?;
        let after = merged(&before, &usage.grants(), &previous, key)?;
        refuse_lockout(keys, &after, key).await?;
        if let Some(used) = prior.and_then(|prior| prior.usage(keys)) {
            lost = losses(&before, &after, key, &used);
            let role = keys.role_of(&asked(&used)).await;
            let facts = KeyFacts {
                role,
                ..facts.clone()
            };
            // What the key policy leaves to IAM is not lost where IAM is seen to allow it.
            for change in &mut lost {
                if iam_allows(&after, &facts, &change.user, &change.left_to_iam) {
                    change.left_to_iam.clear();
                }
            }
            lost.retain(|change| !change.lost.is_empty() || !change.left_to_iam.is_empty());
        }
        keys.will_put_policy(key, after.text().to_owned());
    }
    // What is left to judge with our statements in place: the key itself, and what other statements do to ours.
    let mut planned = keys.facts_for_plan(key).await;
    planned.policy_source = PolicySource::Planned;
    let question = asked(usage);
    let planned = keys.for_question(planned, &question).await;
    let findings = judge(&planned, &question);
    let mut found = client.report(
        findings,
        &model.ignore_findings,
        Stage::Plan,
        |_| "aws.key_arn",
    );
    if !model.may_be_destroyed() {
        let removal = Removal {
            what: "This change",
            lost: &lost,
            remedy: UNDO_THE_CHANGE,
            stage: Stage::Plan,
        };
        if let Err(errors) = refuse_removal_in_use(cx, key, &removal).await {
            found.extend(errors);
        }
    }
    split(cx, found)
}

pub(super) async fn plan_destroy(
    cx: &Context<Client>,
    state: &KeyPolicyModel,
) -> Result<(), Unfinished> {
    match state.key() {
        Some(key) => Ok(refuse_destruction_in_use(cx, state, key, Stage::Plan).await?),
        None => Ok(()),
    }
}

/// Refuses a destruction that takes from a workspace what it needs.
async fn refuse_destruction_in_use(
    cx: &Context<Client>,
    state: &KeyPolicyModel,
    key: &KeyArn,
    stage: Stage,
) -> Result<(), Diagnostics> {
    let client = cx.client();
    let own = state.own_statements()?;
    if state.may_be_destroyed() || own.is_empty() {
        return Ok(());
    }
    let before = match client.keys().aws().cloud().policy(key).await {
        Ok(text) => understood(&text, key)?,
        // A key that is gone takes its policy along.
        Err(AwsError::NotFound(_)) => return Ok(()),
        Err(error) => return Err(unread(key, &error).into()),
    };
    let Some(usage) = state.usage(client.keys().aws()) else {
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
            .map(|(purpose, user)| PermissionChange::all_lost(purpose, user))
            .collect(),
    };
    let removal = Removal {
        what: "Destroying this resource",
        lost: &lost,
        remedy: DELETE_THE_WORKSPACES,
        stage,
    };
    refuse_removal_in_use(cx, key, &removal).await
}

fn unread(key: &KeyArn, error: &AwsError) -> Diagnostic {
    diagnose::aws("The key policy could not be read", key, error).on("aws.key_arn")
}

pub(super) async fn read(
    cx: &Context<Client>,
    mut state: KeyPolicyModel,
) -> Result<Option<KeyPolicyModel>, Unfinished> {
    let keys = cx.client().keys().aws();
    if !keys.is_known() {
        let reason = diagnose::Unavailable::NotYetKnown(vec!["aws"]);
        return Err(later(not_read(&reason)));
    }
    if state.key().is_none() {
        state = KeyPolicyModel::named(key_of(cx, &state).await?);
    }
    let Some(key) = state.key().cloned() else {
        return Ok(None);
    };
    let text = match keys.cloud().policy(&key).await {
        Ok(text) => text,
        Err(AwsError::NotFound(_)) => return Ok(None),
        Err(error @ AwsError::AccessDenied { .. }) => {
            cx.warn(as_warning(unread(&key, &error)));
            return Ok(Some(state));
        }
        Err(error) => return Err(unread(&key, &error).into()),
    };
    let live = understood(&text, &key)?;
    if state.statements.is_null() {
        state = state.adopting(keys, &live, &key);
    }
    Ok(Some(state.seen(&live)?))
}

pub(super) async fn put(
    cx: &Context<Client>,
    mut plan: KeyPolicyModel,
    prior: Option<&KeyPolicyModel>,
    progress: &Progress<KeyPolicyModel>,
) -> Result<KeyPolicyModel, Diagnostics> {
    let (Some(key), Some(usage)) = (plan.key().cloned(), plan.usage(cx.client().keys().aws()))
    else {
        return Err(Diagnostic::bug(
            "A key policy was applied before its configuration was known.",
        )
        .into());
    };
    let grants = usage.grants();
    if plan.statements.is_unknown() {
        plan.statements = Attr::Known(list_of(&texts(&grants)));
    }
    let operation = if prior.is_some() { "update" } else { "create" };
    let previous = prior.map_or_else(|| Ok(Vec::new()), KeyPolicyModel::own_statements)?;
    let order = Write {
        key: &key,
        wanted: &grants,
        previous: &previous,
        base: prior.and_then(|prior| prior.policy.known().map(String::as_str)),
        deadline: timeout(&plan.timeouts, operation, SETTLE),
    };
    let written = write(cx, &order).await;
    let policies = cx.client().keys().policies();
    policies.came_to(Some(key.into()), PolicyStep::Done);
    let live = written?;
    // What the plan knew stays in its spelling.
    if plan.policy.known().is_none() {
        plan.policy = Attr::Known(live.text().to_owned());
    }
    progress.save(plan.clone());
    Ok(plan)
}

pub(super) async fn delete(cx: &Context<Client>, state: KeyPolicyModel) -> Result<(), Diagnostics> {
    let Some(key) = state.key().cloned() else {
        return Ok(());
    };
    refuse_destruction_in_use(cx, &state, &key, Stage::Apply).await?;
    match cx.client().keys().aws().cloud().describe(&key).await {
        // A key that is gone, or about to be, takes its policy along.
        Err(AwsError::NotFound(_)) => return Ok(()),
        Ok(description) if description.state.is_being_deleted() => return Ok(()),
        _ => {}
    }
    let previous = state.own_statements()?;
    let order = Write {
        key: &key,
        wanted: &[],
        previous: &previous,
        base: None,
        deadline: timeout(&state.timeouts, "delete", SETTLE),
    };
    write(cx, &order).await.map(|_| ())
}

pub(super) fn import(id: &str) -> Result<KeyPolicyModel, Diagnostics> {
    let key: KeyArn = id.parse().map_err(|error: ArnError| {
        Diagnostic::error(
            "Not the ARN of a key",
            format!("A dbxcmk_key_policy is imported by the ARN of its key, or on Google Cloud by the name of its key, but {error}."),
        )
    })?;
    Ok(KeyPolicyModel::named(key))
}

pub(super) fn move_state(
    source: &Source,
) -> Option<Result<(KeyPolicyModel, Private), Diagnostics>> {
    if !source.is_of("hashicorp", "aws") || source.type_name != "aws_kms_key_policy" {
        return None;
    }
    let text = |name: &str| source.state.text(name).filter(|text| !text.is_empty());
    let named = text("key_id").or(text("id")).unwrap_or_default();
    let mut private = Private::new();
    let model = match named.parse() {
        Ok(key) => KeyPolicyModel::named(key),
        // That resource names the key by its id alone; the read that follows asks KMS for the rest.
        Err(_) => {
            if let Some(region) = text("region") {
                private.set(REGION_OF_KEY, &region);
            }
            KeyPolicyModel {
                id: Attr::Known(named.to_owned()),
                ..KeyPolicyModel::unnamed()
            }
        }
    };
    Some(Ok((model, private)))
}

/// The key of a state that was moved here from a resource which names it by its id alone.
async fn key_of(cx: &Context<Client>, state: &KeyPolicyModel) -> Result<KeyArn, Diagnostics> {
    let named = state.id.known().map(String::as_str).unwrap_or_default();
    let follows =
        "It names the region of the key, which the provider now takes from its own configuration.";
    let region: Option<String> = remembered(cx, REGION_OF_KEY, named, follows);
    let cloud = cx.client().keys().aws().cloud();
    let found = cloud.arn_of(named, region.as_deref()).await;
    found.map_err(|error| {
        Diagnostic::error(
            "The key of the aws_kms_key_policy was not found",
            format!(
                "Its state names the key `{named}` without region and account, and KMS did not answer with the rest: {error}.\n\nConfigure the \
                 region of the key in the provider (`aws.region` or AWS_REGION), and plan again. Otherwise remove the resource from the state \
                 with a `removed` block (`destroy = false`), and import the key policy by the ARN of its key."
            ),
        )
        .into()
    })
}

/// Every key of a region whose policy has statements for Databricks.
pub(super) async fn list(
    cx: &Context<Client>,
    region: Option<&str>,
    found: &Found<KeyPolicyModel>,
) -> Result<(), Diagnostics> {
    let keys = cx.client().keys().aws();
    let all = keys.cloud().keys(region).await.map_err(|error| {
        Diagnostic::error(
            "The keys could not be listed",
            format!("AWS says: \"{error}\". The identity that runs Terraform needs kms:ListKeys, and a region (`region`)."),
        )
    })?;
    let mut unread = Vec::new();
    for key in all {
        let key = match key {
            Ok(key) => key,
            Err(error) => {
                unread.push(format!("  - {error}"));
                continue;
            }
        };
        let live = match keys.cloud().policy(&key).await {
            Ok(text) => Document::parse(&text).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match live {
            Ok(live) => {
                let mut model = KeyPolicyModel::named(key.clone()).adopting(keys, &live, &key);
                model.policy = Attr::Known(live.text().to_owned());
                let is_one = model.statements.known().is_some_and(|list| list != "[]");
                if is_one && !found.show(Listed::new(key.to_string(), model)).await {
                    break;
                }
            }
            Err(reason) => unread.push(format!("  - {key}: {reason}")),
        }
    }
    if !unread.is_empty() {
        cx.warn(Diagnostic::warning(
            "The policies of some keys could not be read",
            format!(
                "The provider cannot tell whether these keys have statements for Databricks, so the list does not include them:\n{}\n\nTo see \
                 them, allow the identity that runs Terraform to call kms:GetKeyPolicy.",
                unread.join("\n")
            ),
        ));
    }
    Ok(())
}
