//! Is this KMS key fit for its use? Its state, its kind, its place, and what its policy lets Databricks do.

mod facts;
mod lint;
mod near;
mod paste;
mod permissions;
mod proof;
mod role;
mod simulation;
mod state;
#[cfg(test)]
mod tests;

pub use facts::{
    KeyDescription, KeyFacts, KmsGrant, NamedPolicy, PolicySource, RoleFacts, RoleKnowledge,
    Simulated, SimulatedDecision, Simulation,
};
pub use proof::{NotExamined, Requirement, grants_matter, not_examined, proof};
pub use role::iam_allows;
pub use simulation::{CallToSimulate, calls_to_simulate};
pub use state::{enabling, rotation_matters};

use super::{
    Fact, Finding, Hint, Id, Remedy, Stage, Subject, Unreadable, capitalized, users_in_words,
};
use kms_policy::Document;
use requirements::aws::{Purpose, Usage, User};
use vocabulary::UseCase;
use vocabulary::aws::KeyArn;

/// What a proof asks of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What Databricks shall use the key for, and which principals call.
    pub usage: Usage,
    /// Whether clusters' volumes will be encrypted with it although the role is not known here.
    pub cluster_volumes: bool,
    /// Whether Terraform plans or applies.
    pub stage: Stage,
    /// The workspaces that use the key already: what is wrong with it cuts them off.
    pub used_by: Vec<UsedBy>,
}

/// A workspace that uses a key already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedBy {
    /// Which one, in words.
    pub workspace: String,
    /// Which of its data the key encrypts.
    pub cases: Vec<UseCase>,
    /// Whether the question is about this workspace, so that the role of the question is its role.
    pub is_asked: bool,
}

impl Question {
    /// The workspaces that use the key, in words.
    fn users(&self) -> Vec<String> {
        self.used_by
            .iter()
            .map(|one| one.workspace.clone())
            .collect()
    }

    /// Those of them that a purpose concerns. Another workspace may have another role.
    fn users_for(&self, purpose: Purpose, user: &User) -> Vec<String> {
        let concerns = |one: &&UsedBy| {
            purpose
                .use_case()
                .of_workspace()
                .is_some_and(|case| one.cases.contains(&case))
                && (one.is_asked || matches!(user, User::Databricks(_)))
        };
        let all = self.used_by.iter().filter(concerns);
        all.map(|one| one.workspace.clone()).collect()
    }
}

/// Everything there is to say about a key, errors first.
pub fn judge(facts: &KeyFacts, question: &Question) -> Vec<Finding> {
    let mut findings: Vec<Finding> = place(facts, question).into_iter().collect();
    match &facts.description {
        Fact::Unreadable(Unreadable {
            is_missing: true,
            reason,
            ..
        }) => {
            findings.push(missing(&facts.arn, reason, &question.users()));
            return findings;
        }
        Fact::Known(description) => {
            findings.extend(state::kind_and_state(&facts.arn, description, question));
            findings.extend(state::future(facts, description, question));
        }
        Fact::Unreadable(reason) => {
            findings.push(
                Id::KmsKeyUnreadable
                    .unread(Subject::Key, question.stage)
                    .found(format!("{}: {}.", facts.arn, reason.reason))
                    .why(format!(
                        "The provider cannot prove that the key is enabled and of the right kind. {}",
                        unread(question)
                    ))
                    .remedy(allow_reading(reason, &facts.arn)),
            );
        }
    }
    match &facts.policy {
        Fact::Known(text) => match Document::parse(text) {
            Ok(policy) => findings.extend(judge_policy(&policy, facts, question)),
            Err(error) => findings.push(
                Id::PolicyMalformed
                    .error(Subject::Key)
                    .found(format!(
                        "{} is not a valid key policy: {error}.",
                        capitalized(&facts.policy_called())
                    ))
                    .why("The provider cannot prove that a policy which it cannot read allows Databricks to use the key.")
                    .remedy("Correct the policy at that place, and plan again."),
            ),
        },
        Fact::Unreadable(reason) => findings.push(
            Id::PolicyUnreadable
                .unread(Subject::Key, question.stage)
                .found(format!("{}: {}.", facts.arn, reason.reason))
                .why(format!(
                    "The provider cannot prove that Databricks may use the key. {}",
                    unread(question)
                ))
                .remedy(allow_reading(reason, &facts.arn)),
        ),
    }
    findings.extend(role::role(facts, question));
    findings.extend(simulation::simulation(facts, question));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

/// What follows from what cannot be read.
fn unread(question: &Question) -> &'static str {
    match question.stage {
        Stage::Plan if !question.used_by.is_empty() => "Planning continues with this warning.",
        Stage::Plan => {
            "Planning continues with this warning; an apply stops before it attaches anything."
        }
        Stage::Apply => "Without this proof, do not attach the key to a workspace.",
    }
}

fn missing(key: &KeyArn, reason: &str, users: &[String]) -> Finding {
    let why = match users {
        [] => {
            "Databricks cannot use a key that does not exist: the apply would fail when it attaches the key."
        }
        _ => {
            "These workspaces cannot read or write what the key encrypts. A deleted key does not come back."
        }
    };
    Id::KmsKeyNotFound
        .error(Subject::Key)
        .found(format!("{key}: {reason}.{}", users_in_words(users)))
        .why(why)
        .remedy(
            Remedy::say("Check the ARN. To list the keys of that region, run:")
                .run([format!("aws kms list-keys --region {}", key.region())]),
        )
}

fn allow_reading(reason: &Unreadable, key: &KeyArn) -> Remedy {
    match (reason.permission, &reason.remedy) {
        (_, Some(remedy)) => remedy.clone(),
        (Some(permission), None) => Remedy::say(format!(
            "Allow the identity that runs Terraform to call {permission}, for example with this statement in one of its IAM policies:"
        ))
        .paste(format!(
            "{{\n  \"Effect\": \"Allow\",\n  \"Action\": [\"kms:DescribeKey\", \"kms:GetKeyPolicy\"],\n  \"Resource\": \"{key}\"\n}}"
        )),
        (None, None) => Remedy::say("Fix the cause, and plan again."),
    }
}

fn place(facts: &KeyFacts, question: &Question) -> Option<Finding> {
    let deployment = question.usage.deployment;
    let (has, needs) = (facts.arn.partition(), deployment.partition());
    let finding = Id::KmsKeyPartition
        .error(Subject::Key)
        .found(format!(
            "{} is in the partition `{has}`; {} runs in `{needs}`.",
            facts.arn,
            deployment.in_words()
        ))
        .why("A principal of one partition cannot use a key of another.")
        .remedy(format!(
            "Use a key in `{needs}`, or the account host of the Databricks deployment in `{has}`."
        ));
    (has != needs).then_some(finding)
}

/// Adds a finding. One statement can be open for several purposes: that is one finding, with the documented statement of each.
fn add(findings: &mut Vec<Finding>, finding: Finding) {
    let same = findings.iter_mut().find(|known| {
        finding.id == Id::PolicyAnyDatabricksAccount
            && known.id == finding.id
            && known.found == finding.found
    });
    match same {
        Some(known) => known.remedy.absorb(finding.remedy),
        None => findings.push(finding),
    }
}

fn judge_policy(policy: &Document, facts: &KeyFacts, question: &Question) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (purpose, user) in question.usage.purposes() {
        for finding in permissions::judge_purpose(policy, facts, question, purpose, &user) {
            add(&mut findings, finding);
        }
    }
    findings.extend(lint::lint(policy, facts, question));
    let presence_only = question.cluster_volumes && question.usage.cross_account_role.is_none();
    if presence_only
        && question.usage.is_for(UseCase::Storage)
        && !lint::lets_somebody_attach_volumes(policy)
    {
        findings.push(
            Id::PolicyNoClusterVolumes
                .warning(Subject::Key)
                .found(format!(
                    "The key will also encrypt the EBS volumes of clusters, but {} lets no role use it through EC2.",
                    facts.policy_called()
                ))
                .why(
                    "Clusters of classic compute start only if the workspace's cross-account role may use the key. The provider learns which \
                     role that is when the configuration is attached to a workspace, and checks it in full there.",
                )
                .remedy(Remedy::hint(Hint::NameRoleOrExcludeVolumes)),
        );
    }
    findings
}
