//! Key policies of AWS KMS: the question about one, and the findings of the proof.

use super::CheckArguments;
use crate::preflight::aws::{
    KeyDescription, KeyFacts, NotExamined, PolicySource, Question, RoleKnowledge, Simulation,
    judge, not_examined,
};
use crate::preflight::{Fact, Finding, Stage};
use crate::requirements::aws::Usage;
use crate::vocabulary::aws::{KeyArn, Partition, RoleArn};
use crate::vocabulary::{Deployment, KeyUse};
use kms_policy::{Document, Effect, Pattern, Principal, Statement};

/// What is asked of a key policy.
#[derive(Debug, clap::Args)]
pub struct AwsArguments {
    /// ARN of the role with which Databricks launches clusters, to check cluster volumes as well.
    #[arg(long)]
    cross_account_role: Option<RoleArn>,
    /// ARN of the role of a storage credential, with the use case UNITY_CATALOG. Can be repeated.
    #[arg(long = "storage-credential-role")]
    storage_credential_roles: Vec<RoleArn>,
    /// ARN of the key. Default: the key that the policy names, otherwise a key of the account that administers it.
    #[arg(long)]
    key_arn: Option<KeyArn>,
    /// Databricks deployment: aws, aws-us-gov (alias govcloud) or aws-us-gov-dod (alias dod).
    #[arg(long, default_value = "aws", value_parser = Deployment::by_name_or_alias)]
    deployment: Deployment,
    /// Also require the storage grants of older documentation.
    #[arg(long)]
    grants: bool,
}

impl AwsArguments {
    /// Whether the use case for tables and its roles stand together.
    pub(super) fn check(&self, use_cases: &[KeyUse]) -> Result<(), String> {
        let is_for_tables = use_cases.contains(&KeyUse::UnityCatalog);
        match (is_for_tables, self.storage_credential_roles.is_empty()) {
            (true, true) => Err(
                "UNITY_CATALOG needs the roles of storage credentials; name each with --storage-credential-role".to_owned(),
            ),
            (false, false) => {
                Err("--storage-credential-role belongs to --use-case UNITY_CATALOG".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// `called`: what texts call the policy.
pub(super) fn examine(
    policy: &Document,
    called: String,
    arguments: &CheckArguments,
) -> Result<(Vec<Finding>, Vec<NotExamined>), String> {
    let key = arguments
        .aws
        .key_arn
        .clone()
        .or_else(|| key_of(policy, arguments));
    let key = key.ok_or("the key that the policy is for is not known; name it with --key-arn")?;
    let facts = KeyFacts {
        arn: key,
        // A file says nothing about the key itself: it is taken to be a good one.
        description: Fact::Known(KeyDescription::good()),
        policy: Fact::Known(policy.text().to_owned()),
        policy_source: PolicySource::Given(called),
        grants: None,
        rotates: None,
        role: RoleKnowledge::NotAsked,
        table_roles: std::collections::BTreeMap::new(),
        may_change_roles: false,
        simulation: Simulation::NotAsked,
    };
    let usage = Usage::of(
        arguments.aws.deployment,
        arguments.accounts.clone(),
        arguments.use_cases.clone(),
    )
    .with_grants(arguments.aws.grants)
    .with_cross_account_role(arguments.aws.cross_account_role.clone())
    .with_table_roles(arguments.aws.storage_credential_roles.clone());
    let question = Question {
        usage,
        cluster_volumes: false,
        stage: Stage::Plan,
        used_by: Vec::new(),
    };
    let is_ignored = |finding: &Finding| arguments.ignored.iter().any(|one| one.0 == finding.id);
    let findings = judge(&facts, &question)
        .into_iter()
        .filter(|finding| !is_ignored(finding))
        .collect();
    Ok((findings, not_examined(&facts, &question)))
}

/// The key that a policy is for, as far as it says so: the one that it names, or some key of the account that it lets administer
/// it, else of an account that it names. What is decided depends on the account alone, and no text shows the rest.
fn key_of(policy: &Document, arguments: &CheckArguments) -> Option<KeyArn> {
    let resources = policy
        .statements
        .iter()
        .flat_map(|statement| &statement.resources.items);
    if let Some(key) = resources
        .into_iter()
        .find_map(|resource| resource.parse::<KeyArn>().ok())
    {
        return Some(key);
    }
    let principals = |statement: &Statement| -> Vec<String> {
        let own = statement
            .principals
            .items
            .iter()
            .filter(|_| !statement.principals.negated);
        own.filter_map(Principal::account)
            .map(str::to_owned)
            .collect()
    };
    let administers = |statement: &&Statement| {
        statement.effect == Effect::Allow
            && !statement.actions.negated
            && statement
                .actions
                .items
                .iter()
                .any(|action| Pattern::wild(action).matches_ignoring_case("kms:PutKeyPolicy"))
    };
    let administrators = policy
        .statements
        .iter()
        .filter(administers)
        .flat_map(principals);
    let named = policy.statements.iter().flat_map(principals);
    let account = administrators
        .chain(named)
        .find(|account| *account != arguments.aws.deployment.account())
        .or_else(|| {
            arguments
                .aws
                .cross_account_role
                .as_ref()
                .map(|role| role.account().to_owned())
        })
        .unwrap_or_else(|| "000000000000".to_owned());
    let partition = arguments.aws.deployment.partition();
    let region = match partition {
        Partition::AwsUsGov => "us-gov-west-1",
        _ => "us-east-1",
    };
    format!("arn:{partition}:kms:{region}:{account}:key/00000000-0000-0000-0000-000000000000")
        .parse()
        .ok()
}
