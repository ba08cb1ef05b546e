//! On AWS: the statements for Databricks in a key policy.

mod in_use;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use self::in_use::{
    Removal, UNDO_THE_CHANGE, delete_the_workspaces, keep_the_former_key, losses, lost_by,
    refuse_removal_in_use, users_of,
};
use self::write::{Write, merged, refuse_lockout, understood, write};
use super::in_use::{User, users_of as all_users_of};
use super::{CREATE, DELETE, DESTROYING, KeyPolicyModel, UPDATE, leaving, with_former};
use crate::clouds::aws::AwsError;
use crate::preflight::aws::{KeyFacts, PolicySource, Question, iam_allows, judge};
use crate::preflight::{Fact, Stage};
use crate::provider::client::{Client, not_read};
use crate::provider::deadline::Deadline;
use crate::provider::diagnose::{self, as_warning, later, split};
use crate::provider::keys::{AwsKeys, Scope, Wanted};
use crate::provider::resources::{all_known, check_tables, known_set, names_something, remembered};
use crate::requirements::aws::{
    GrantingStatement, PermissionChange, Usage, by_meaning, list_of, mean_the_same, recognise,
    statements_of, still_there,
};
use crate::vocabulary::aws::{ArnError, KeyArn, RoleArn};
use crate::vocabulary::{Cloud, Key, UseCase};
use kms_policy::{Document, Edit};
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::deferral::Unfinished;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::list_resource::{Found, Listed};
use tfplugin::resource::{Change, Moved, Plan, Progress, Source};
use tfplugin::schema::Attribute;
use tfplugin::value::Value;

/// Private data: the statements that this resource added. Without it, all of its statements are its own: they were imported or moved here.
const ADDED: &str = "added";
/// Private data of a state that was moved here: the region of its key, where the other provider knew it.
const REGION_OF_KEY: &str = "region_of_key";

/// The `aws` block of `dbxcmk_key_policy`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct KeyPolicyAws {
    pub key_arn: Attr<KeyArn>,
    pub cross_account_role_arn: Attr<RoleArn>,
    pub cluster_volumes: Attr<bool>,
    pub include_grants: Attr<bool>,
    pub storage_credential_role_arns: Attr<Vec<Attr<RoleArn>>>,
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
            "Whether to add the statement for grants on the workspace bucket. Older Databricks documentation shows it, and the present one does not; set it only if \
             Databricks asks you to. Default: `false`.",
        ),
        Attribute::string_set("storage_credential_role_arns").no_null_elements().format::<RoleArn>("Invalid role ARN").describe(
            "ARNs of the roles of storage credentials (`databricks_storage_credential`), with which Unity Catalog reads and writes tables in buckets \
             that this key encrypts. With the use case `UNITY_CATALOG`. Each gets a statement of its own, with `kms:Decrypt`, `kms:Encrypt` and \
             `kms:GenerateDataKey*`.",
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
            storage_credential_role_arns: Attr::Null,
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

    /// What the statements depend on, and whether it is unknown.
    fn may_be_unknown(&self) -> [(&'static str, bool); 5] {
        let aws = self.aws.known();
        let role = aws.is_some_and(|aws| aws.cross_account_role_arn.is_unknown());
        let is_unknown = |is_known: bool| !is_known;
        [
            ("aws.cross_account_role_arn", role),
            (
                "aws.storage_credential_role_arns",
                aws.is_some_and(|aws| table_roles(aws).is_none()),
            ),
            (
                "databricks_account_ids",
                is_unknown(all_known(&self.databricks_account_ids).is_some()),
            ),
            (
                "use_cases",
                is_unknown(all_known(&self.use_cases).is_some()),
            ),
            (
                "aws.key_arn",
                !role && aws.is_none_or(|aws| aws.key_arn.is_unknown()),
            ),
        ]
    }

    /// What Databricks shall use the key for, once Terraform knows all of it.
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
                .with_cross_account_role(role)
                .with_table_roles(table_roles(aws)?),
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
            aws.storage_credential_role_arns = match found.table_roles.is_empty() {
                true => Attr::Null,
                false => known_set(found.table_roles),
            };
        }
        self
    }
}

/// The roles of storage credentials; none while some are not known.
fn table_roles(aws: &KeyPolicyAws) -> Option<Vec<RoleArn>> {
    match &aws.storage_credential_role_arns {
        Attr::Null => Some(Vec::new()),
        roles => all_known(roles),
    }
}

/// Checks the configuration without a call: everything that is wrong with it.
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
        all_known(&config.use_cases).is_none_or(|cases| cases.contains(&UseCase::Storage.into()));
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
    let cases = all_known(&config.use_cases);
    let roles = names_something(&aws.storage_credential_role_arns);
    found.extend(check_tables(&Cloud::Aws, cases.as_deref(), roles));
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
    let mut live = None;
    let outcome = plan_statements(cx, change, plan, &mut live).await;
    // Proofs of other resources may wait for this one, also when it failed.
    let will_put = outcome.is_ok() && plan.model.policy.is_unknown();
    let key = plan.model.key().cloned().map(Into::into);
    let policies = cx.client().keys().policies();
    policies.is_planned(key, &leaving::name(cx), will_put);
    let outcome = match (live, &change.prior) {
        // This may wait for other key policies, so it comes after the report above: no proof must
        // wait for this policy meanwhile.
        (Some(facts), Some(prior)) => {
            let mut found = outcome.err().unwrap_or_default();
            let refused = refuse_losses(cx, prior, &plan.model, facts).await;
            found.extend(refused.err().unwrap_or_default());
            split(cx, found)
        }
        _ => outcome,
    };
    with_former(cx, change, plan, outcome).await
}

/// The statements that a state has, as the resource reports them to the other key policies of the run.
pub(super) fn seen(state: &KeyPolicyModel) -> Option<(Scope, BTreeSet<String>)> {
    let scope = Scope::of(state.key()?.clone().into());
    // What cannot be read there, the read that follows says.
    let own = state.own_statements().and_then(|own| meanings(&own));
    Some((scope, names(&own.unwrap_or_default())))
}

/// Statements as the lines of a list.
fn lines_of(
    statements: &BTreeMap<String, String>,
) -> impl Fn(&BTreeSet<String>) -> Vec<String> + '_ {
    |names| {
        let those = of_meaning(statements, names);
        those.iter().map(|text| format!("  - {text}")).collect()
    }
}

/// The losses without those that IAM makes good: what the key policy leaves to IAM is not lost where IAM allows it.
/// `after`: the policy without what is lost.
async fn without_what_iam_allows(
    keys: &AwsKeys,
    after: &Document,
    live: KeyFacts,
    usage: &Usage,
    mut lost: Vec<PermissionChange>,
) -> Vec<PermissionChange> {
    if lost.iter().all(|change| change.left_to_iam.is_empty()) {
        return lost;
    }
    let role = keys.role_of(&asked(usage)).await;
    let facts = KeyFacts { role, ..live };
    for change in &mut lost {
        if iam_allows(after, &facts, &change.user, &change.left_to_iam) {
            change.left_to_iam.clear();
        }
    }
    lost.retain(|change| !change.lost.is_empty() || !change.left_to_iam.is_empty());
    lost
}

/// Refuses what a change of the statements takes from workspaces. `live`: the key before it.
async fn refuse_losses(
    cx: &Context<Client>,
    prior: &KeyPolicyModel,
    model: &KeyPolicyModel,
    live: KeyFacts,
) -> Result<(), Diagnostics> {
    let keys = cx.client().keys().aws();
    let (Some(key), Some(usage), Some(used)) = (model.key(), model.usage(keys), prior.usage(keys))
    else {
        return Ok(());
    };
    let Fact::Known(policy) = &live.policy else {
        return Ok(());
    };
    let before = understood(policy, key)?;
    let (own, wanted) = (added(cx, prior)?, meanings(&texts(&usage.grants()))?);
    let given_up = leaving::removed(&names(&own), &names(&wanted), &BTreeSet::new());
    let (scope, is_agreed) = (Scope::of(key.clone().into()), model.may_be_destroyed());
    let kept = leaving::plan_to_give_up(cx, &scope, &given_up, is_agreed, lines_of(&own)).await;
    let going = of_meaning(&own, &leaving::removed(&given_up, &BTreeSet::new(), &kept));
    if !going.is_empty() {
        warn_of_grants(cx, key).await;
    }
    let after = merged(&before, &usage.grants(), &going, key)?;
    let lost = losses(&before, &after, key, &used);
    let lost = without_what_iam_allows(keys, &after, live, &used, lost).await;
    let removal = Removal {
        what: "This change",
        lost: &lost,
        remedy: (!is_agreed).then_some(UNDO_THE_CHANGE),
        stage: Stage::Plan,
        is_agreed,
    };
    refuse_removal_in_use(cx, key, &removal).await
}

/// What of the statements in a state this resource has added, by meaning.
fn added(
    cx: &Context<Client>,
    state: &KeyPolicyModel,
) -> Result<BTreeMap<String, String>, Diagnostics> {
    let own = meanings(&state.own_statements()?)?;
    let name = state.id.known().map_or("", String::as_str);
    let follows = "It names the statements that this resource added to the key policy. The provider removes none of them.";
    let list: Option<Vec<String>> = match cx.private::<Vec<String>>(ADDED) {
        Ok(list) => list,
        Err(_) => Some(remembered(cx, ADDED, name, follows).unwrap_or_default()),
    };
    let Some(list) = list else {
        return Ok(own);
    };
    let list = meanings(&list)?;
    let is_added = |(meaning, _): &(String, String)| list.contains_key(meaning);
    Ok(own.into_iter().filter(is_added).collect())
}

fn meanings(statements: &[String]) -> Result<BTreeMap<String, String>, Diagnostics> {
    by_meaning(statements).map_err(|error| Diagnostic::bug(error.to_string()).into())
}

fn names(statements: &BTreeMap<String, String>) -> BTreeSet<String> {
    statements.keys().cloned().collect()
}

/// Those statements that have one of these meanings.
fn of_meaning(statements: &BTreeMap<String, String>, names: &BTreeSet<String>) -> Vec<String> {
    let those = statements.iter().filter(|(name, _)| names.contains(*name));
    those.map(|(_, text)| text.clone()).collect()
}

async fn plan_statements(
    cx: &Context<Client>,
    change: &Change<KeyPolicyModel>,
    plan: &mut Plan<KeyPolicyModel>,
    live: &mut Option<KeyFacts>,
) -> Result<(), Diagnostics> {
    complete(change.config.aws.known(), &mut plan.model);
    let keys = cx.client().keys();
    let same_key = |prior: &&KeyPolicyModel| prior.key() == plan.model.key();
    let prior = change.prior.as_ref().filter(same_key);
    let previous = prior.map_or_else(|| Ok(Vec::new()), KeyPolicyModel::own_statements)?;
    let usage = plan.model.usage(keys.aws());
    let wanted = usage.as_ref().map(|usage| texts(&usage.grants()));
    let shared = Wanted {
        items: names(&meanings(&wanted.unwrap_or_default())?),
        has_unknown: usage.is_none(),
    };
    leaving::wants(cx, &plan.model, change.prior.as_ref(), shared);
    let Some(usage) = usage else {
        plan.model.statements = Attr::Unknown;
        plan.model.policy = Attr::Unknown;
        cx.client()
            .warn_of_later_proof(cx, &plan.model.may_be_unknown());
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
    prove(cx, key, &usage, (prior, &plan.model), live).await
}

fn texts(grants: &[GrantingStatement]) -> Vec<String> {
    grants.iter().map(|grant| grant.statement.clone()).collect()
}

/// The question about a key at plan.
fn asked(usage: &Usage) -> Question {
    Question {
        usage: usage.clone(),
        cluster_volumes: false,
        stage: Stage::Plan,
        used_by: Vec::new(),
    }
}

/// What the key says about the plan: it must be there, in a usable state, and take the statements. `live`: what it says before the change, for
/// what that takes away.
async fn prove(
    cx: &Context<Client>,
    key: &KeyArn,
    usage: &Usage,
    (prior, model): (Option<&KeyPolicyModel>, &KeyPolicyModel),
    live: &mut Option<KeyFacts>,
) -> Result<(), Diagnostics> {
    let (client, keys) = (cx.client(), cx.client().keys().aws());
    let _alone = keys.lock_policy(key).await;
    let facts = keys.facts_for_plan(key).await;
    if let Fact::Known(policy) = &facts.policy {
        let before = understood(policy, key)?;
        let previous = match prior {
            Some(prior) => going(cx, prior, key, &names(&meanings(&texts(&usage.grants()))?))?,
            None => Vec::new(),
        };
        let after = merged(&before, &usage.grants(), &previous, key)?;
        refuse_lockout(keys, &after, key).await?;
        *live = prior.map(|_| facts.clone());
        keys.will_put_policy(key, after.text().to_owned());
    }
    // What is left to judge with our statements in place: the key itself, and what other statements do to ours.
    let mut planned = keys.facts_for_plan(key).await;
    planned.policy_source = PolicySource::Planned;
    let question = asked(usage);
    let planned = keys.for_question(planned, &question).await;
    let findings = judge(&planned, &question);
    let found = client.report(
        findings,
        &model.ignore_findings,
        Stage::Plan,
        |_| "aws.key_arn",
    );
    split(cx, found)
}

/// What a change removes: statements that this resource added, does not want anymore, and that no other one needs, as far as is known now.
fn going(
    cx: &Context<Client>,
    prior: &KeyPolicyModel,
    key: &KeyArn,
    wanted: &BTreeSet<String>,
) -> Result<Vec<String>, Diagnostics> {
    let own = added(cx, prior)?;
    let given_up = leaving::removed(&names(&own), wanted, &BTreeSet::new());
    let kept = leaving::needed_now(cx, &Scope::of(key.clone().into()), &given_up);
    Ok(of_meaning(
        &own,
        &leaving::removed(&given_up, wanted, &kept),
    ))
}

/// A plan that destroys this resource, or gives its key up.
pub(super) async fn plan_leaving(
    cx: &Context<Client>,
    state: &KeyPolicyModel,
    what: &str,
) -> Result<(), Diagnostics> {
    let Some(key) = state.key() else {
        return Ok(());
    };
    let (own, name) = (added(cx, state)?, Key::from(key.clone()));
    let shares = cx.client().keys().shares();
    let (scope, is_agreed) = (Scope::of(name.clone()), state.may_be_destroyed());
    // The note also has what the resource found there and others need, so that no later plan advises to remove it.
    let all = names(&meanings(&state.own_statements()?)?);
    let kept = leaving::plan_to_go(cx, &scope, &all, is_agreed, lines_of(&own)).await;
    let going = leaving::removed(&names(&own), &BTreeSet::new(), &kept);
    let going = of_meaning(&own, &going);
    if !going.is_empty() {
        warn_of_grants(cx, key).await;
    }
    let refused = refuse_destruction_in_use(cx, state, key, &going, (what, Stage::Plan)).await;
    match refused {
        // The replacement of this object is there already, and nothing could ever remove the object if this failed.
        Err(refused) if shares.is_applying() => {
            leaving::note(cx, &name, names(&own));
            leaving::left(cx, &name, refused);
            Ok(())
        }
        outcome => outcome,
    }
}

/// Names the grants to Databricks that outlive the statements which are removed.
async fn warn_of_grants(cx: &Context<Client>, key: &KeyArn) {
    let keys = cx.client().keys().aws();
    let account = format!("::{}:", keys.deployment(key).account());
    let (summary, found) = match keys.cloud().grants(key).await {
        Fact::Known(all) => {
            let of_databricks = all.iter().filter(|one| one.grantee.contains(&account));
            let lines: Vec<String> = of_databricks
                .map(|one| format!("  - {}: {}", one.grantee, one.operations.join(", ")))
                .collect();
            if lines.is_empty() {
                return;
            }
            let found = format!(
                "Databricks has these grants on {key}:\n{}",
                lines.join("\n")
            );
            ("Grants to Databricks stay when the statements go", found)
        }
        // A key that is gone takes its grants along.
        Fact::Unreadable(why) if why.is_missing => return,
        Fact::Unreadable(why) => (
            "Grants to Databricks may stay when the statements go",
            format!("The grants on {key} could not be read: {}.", why.reason),
        ),
    };
    cx.warn(Diagnostic::warning(
        summary,
        format!(
            "{found}\n\nA grant outlives the statement that allowed it: its grantee uses the key until the grant is revoked.\n\nList the grants, and \
             revoke those that nobody needs:\n\n  aws kms list-grants --region {} --key-id {key}\n  aws kms revoke-grant --region {} --key-id {key} \
             --grant-id …",
            key.region(),
            key.region()
        ),
    ));
}

/// Refuses a destruction that takes from a workspace what it needs. `going`: the statements that it removes.
async fn refuse_destruction_in_use(
    cx: &Context<Client>,
    state: &KeyPolicyModel,
    key: &KeyArn,
    going: &[String],
    (what, stage): (&str, Stage),
) -> Result<(), Diagnostics> {
    let client = cx.client();
    if going.is_empty() {
        return Ok(());
    }
    let before = match client.keys().aws().cloud().policy(key).await {
        Ok(text) => understood(&text, key)?,
        // A key that is gone takes its policy along.
        Err(AwsError::NotFound(_)) => return Ok(()),
        Err(_) if state.may_be_destroyed() => return Ok(()),
        Err(error) => return Err(unread(key, &error).into()),
    };
    let Some(usage) = state.usage(client.keys().aws()) else {
        return Err(Diagnostic::bug(
            "The state of a key policy does not say what the key is used for.",
        )
        .into());
    };
    let lost = match merged(&before, &[], going, key) {
        Ok(after) => losses(&before, &after, key, &usage),
        // Nothing would be left of the policy: all that the statements grant is lost.
        Err(_) => usage
            .for_every_use_case()
            .purposes()
            .into_iter()
            .map(|(purpose, user)| PermissionChange::all_lost(purpose, user))
            .collect(),
    };
    let is_agreed = state.may_be_destroyed();
    // An object that its replacement has outlived stays in any case.
    let is_said = is_agreed || (stage == Stage::Plan && client.keys().shares().is_applying());
    let remedy = (!is_said).then(|| match what == DESTROYING {
        true => delete_the_workspaces(),
        false => keep_the_former_key(),
    });
    let removal = Removal {
        what,
        lost: &lost,
        remedy: remedy.as_deref(),
        stage,
        is_agreed,
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
        // Only an object of the state stays when the policy cannot be read: an import must not
        // adopt a policy that it has not read.
        Err(error @ AwsError::AccessDenied { .. }) if !state.statements.is_null() => {
            cx.warn(as_warning(unread(&key, &error)));
            return Ok(Some(state));
        }
        Err(error) => return Err(unread(&key, &error).into()),
    };
    let live = understood(&text, &key)?;
    match state.statements.is_null() {
        true => state = state.adopting(keys, &live, &key),
        false => warn_of_missing(cx, &state, &key, &live).await?,
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
    let policies = cx.client().keys().policies();
    let putting = policies.putting(Some(key.clone().into()), leaving::name(cx));
    let grants = usage.grants();
    if plan.statements.is_unknown() {
        plan.statements = Attr::Known(list_of(&texts(&grants)));
    }
    cx.client().keys().shares().applies();
    let limit = if prior.is_some() { UPDATE } else { CREATE };
    let previous = prior.map_or_else(|| Ok(Vec::new()), KeyPolicyModel::own_statements)?;
    let wanted = meanings(&texts(&grants))?;
    let own = prior.map_or_else(|| Ok(BTreeMap::new()), |prior| added(cx, prior))?;
    let remove = match prior {
        Some(prior) => removable(cx, prior, &plan, &key, &names(&wanted)).await?,
        None => Vec::new(),
    };
    let order = Write {
        key: &key,
        wanted: &grants,
        previous: &previous,
        remove: &remove,
        base: prior.and_then(|prior| prior.policy.known().map(String::as_str)),
        deadline: Deadline::after(limit.of(&plan.timeouts)),
    };
    let mut now: BTreeSet<String> = names(&own);
    now.retain(|name| wanted.contains_key(name));
    let mut put = Vec::new();
    let written = write(cx, &order, &mut put).await;
    now.extend(names(&meanings(&put)?));
    let shares = cx.client().keys().shares();
    let scope = Scope::of(key.clone().into());
    now.extend(shares.inherited(&scope, &names(&wanted)));
    cx.set_private(ADDED, &of_meaning(&wanted, &now));
    leaving::stays(cx);
    drop(putting);
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
    let (own, name) = (added(cx, &state)?, Key::from(key.clone()));
    let shares = cx.client().keys().shares();
    shares.applies();
    let all = meanings(&state.own_statements()?)?;
    let kept = leaving::kept(cx, &Scope::of(name.clone()), &names(&all), lines_of(&own)).all();
    shares.leaves(name, kept.intersection(&names(&own)).cloned().collect());
    let going = leaving::removed(&names(&own), &BTreeSet::new(), &kept);
    let going = of_meaning(&own, &going);
    refuse_destruction_in_use(cx, &state, &key, &going, (DESTROYING, Stage::Apply)).await?;
    match cx.client().keys().aws().cloud().describe(&key).await {
        // A key that is gone, or about to be, takes its policy along.
        Err(AwsError::NotFound(_)) => return Ok(()),
        Ok(description) if description.state.is_being_deleted() => return Ok(()),
        _ => {}
    }
    warn_of_what_stays(cx, &key, (&all, &own), &kept).await;
    if going.is_empty() {
        return Ok(());
    }
    let order = Write {
        key: &key,
        wanted: &[],
        previous: &going,
        remove: &going,
        base: None,
        deadline: Deadline::after(DELETE.of(&state.timeouts)),
    };
    write(cx, &order, &mut Vec::new()).await.map(|_| ())
}

/// Names the statements that this resource found in the policy, and leaves there. `all`: what the state has; `own`: what it added.
async fn warn_of_what_stays(
    cx: &Context<Client>,
    key: &KeyArn,
    (all, own): (&BTreeMap<String, String>, &BTreeMap<String, String>),
    kept: &BTreeSet<String>,
) {
    let left: BTreeSet<String> = names(all).difference(&names(own)).cloned().collect();
    if left.is_empty() {
        return;
    }
    let name = key.clone().into();
    // When the provider cannot read the workspaces, it assumes that some need the statements.
    let users = match all_users_of(cx.client(), &name).await {
        Ok(users) => users.iter().map(User::in_words).collect(),
        Err(_) => vec!["  - workspaces that could not be read".to_owned()],
    };
    let not_added = leaving::NotAdded {
        summary: "Statements that this resource did not add stay in the key policy",
        noun: "statements",
        items: &left,
        of_others: kept,
        users: &users,
        removal: "To remove them, edit the policy of the key (`aws kms put-key-policy`)."
            .to_owned(),
    };
    leaving::warn_of_not_added(cx, &name, &not_added, lines_of(all));
}

/// What an apply removes of the former statements. What workspaces need by now stays, whatever the plan has seen.
async fn removable(
    cx: &Context<Client>,
    prior: &KeyPolicyModel,
    plan: &KeyPolicyModel,
    key: &KeyArn,
    wanted: &BTreeSet<String>,
) -> Result<Vec<String>, Diagnostics> {
    let going = going(cx, prior, key, wanted)?;
    if going.is_empty() || plan.may_be_destroyed() {
        return Ok(going);
    }
    let keys = cx.client().keys().aws();
    let live = keys.cloud().policy(key).await;
    let live = understood(&live.map_err(|error| unread(key, &error))?, key)?;
    let (Some(usage), Some(before)) = (plan.usage(keys), prior.usage(keys)) else {
        return Ok(going);
    };
    let lost = match merged(&live, &usage.grants(), &going, key) {
        Ok(after) => losses(&live, &after, key, &before),
        Err(_) => return Ok(going),
    };
    // What the policy leaves to IAM was judged at plan.
    let lost: Vec<PermissionChange> = lost
        .into_iter()
        .filter(|one| !one.lost.is_empty())
        .collect();
    let removal = Removal {
        what: "This change",
        lost: &lost,
        remedy: None,
        stage: Stage::Apply,
        is_agreed: false,
    };
    match refuse_removal_in_use(cx, key, &removal).await {
        Ok(()) => Ok(going),
        Err(refused) => {
            leaving::left(cx, &key.clone().into(), refused);
            Ok(Vec::new())
        }
    }
}

/// Names the workspaces that cannot use the key now, because statements of this resource are not in its policy: those that the state has, and
/// those that it asks for.
async fn warn_of_missing(
    cx: &Context<Client>,
    state: &KeyPolicyModel,
    key: &KeyArn,
    live: &Document,
) -> Result<(), Diagnostics> {
    let Some(usage) = state.usage(cx.client().keys().aws()) else {
        return Ok(());
    };
    let mut own = state.own_statements()?;
    own.extend(texts(&usage.grants()));
    let there = still_there(live, &own).map_err(|error| Diagnostic::bug(error.to_string()))?;
    let gone: Vec<String> = own.into_iter().filter(|one| !there.contains(one)).collect();
    if gone.is_empty() {
        return Ok(());
    }
    let edits: Vec<Edit> = gone.into_iter().map(Edit::Append).collect();
    let Ok(before) = live.edited(&edits) else {
        return Ok(());
    };
    let lost = losses(&before, live, key, &usage);
    let lost = match lost.iter().any(|one| !one.left_to_iam.is_empty()) {
        true => {
            let keys = cx.client().keys().aws();
            let facts = keys.facts_for_plan(key).await;
            without_what_iam_allows(keys, live, facts, &usage, lost).await
        }
        false => lost,
    };
    if lost.is_empty() {
        return Ok(());
    }
    match users_of(cx.client(), key, &lost).await {
        Ok(users) => {
            let lines: Vec<String> = users.iter().map(User::in_words).collect();
            leaving::cut_off(cx, &key.clone().into(), &lost_by(&users, &lost), &lines);
        }
        Err(errors) => errors.into_iter().for_each(|one| cx.warn(as_warning(one))),
    }
    Ok(())
}

pub(super) fn import(id: &str) -> Result<KeyPolicyModel, Diagnostics> {
    let key: KeyArn = id.parse().map_err(|error: ArnError| {
        Diagnostic::error(
            "Not the ARN of a key",
            format!(
                "A dbxcmk_key_policy is imported by the name of its key, but {error}.\n\nOn AWS, the name is the ARN of the key \
                 (`arn:aws:kms:…:key/…`), on Google Cloud its resource name \
                 (`projects/…/locations/…/keyRings/…/cryptoKeys/…`). On Azure, an import names the key, the vault and the workspace, with commas \
                 between them: `https://….vault.azure.net/keys/…,/subscriptions/…/vaults/…,/subscriptions/…/workspaces/…`."
            ),
        )
    })?;
    Ok(KeyPolicyModel::named(key))
}

pub(super) fn move_state(source: &Source) -> Option<Moved<KeyPolicyModel>> {
    if !source.is_of("hashicorp", "aws") || source.type_name != "aws_kms_key_policy" {
        return None;
    }
    let text = |name: &str| source.state.text(name).filter(|text| !text.is_empty());
    let named = text("key_id").or(text("id")).unwrap_or_default();
    if let Ok(key) = named.parse() {
        return Some(Moved::new(KeyPolicyModel::named(key)));
    }
    // That resource names the key by its ID alone; the read that follows asks KMS for the rest.
    let moved = Moved::new(KeyPolicyModel {
        id: Attr::Known(named.to_owned()),
        ..KeyPolicyModel::unnamed()
    });
    Some(match text("region") {
        Some(region) => moved.private(REGION_OF_KEY, &region),
        None => moved,
    })
}

/// The key of a state that Terraform moved here from a resource which names the key by its ID alone.
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
