//! Is this key fit for what it is to be used for? Its state, its kind, its place, and what its policy lets Databricks do.

mod facts;
mod lint;
mod permissions;
mod proof;
mod state;
#[cfg(test)]
mod tests;

pub use facts::{KeyDescription, KeyFacts, KmsGrant, PolicySource};
pub use proof::{Requirement, Standing, proof};

use super::{Fact, Finding, Id, Severity, Stage, Subject, Unreadable, unread_severity};
use crate::requirements::aws::Usage;
use crate::vocabulary::{KeyArn, UseCase};
use kms_policy::Document;

/// What is asked of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What it is to be used for, and by whom.
    pub usage: Usage,
    /// Whether clusters' volumes will be encrypted with it although the role is not known here.
    pub cluster_volumes: bool,
    /// When it is asked.
    pub stage: Stage,
}

/// Everything there is to say about a key, errors first.
pub fn judge(facts: &KeyFacts, question: &Question) -> Vec<Finding> {
    let mut findings = Vec::new();
    place(facts, question, &mut findings);
    if let Fact::Unreadable(Unreadable {
        is_missing: true,
        reason,
        ..
    }) = &facts.description
    {
        findings.push(Finding {
            id: Id::KmsKeyNotFound,
            severity: Severity::Error,
            subject: Subject::Key,
            summary: Id::KmsKeyNotFound.title().to_owned(),
            found: format!("{}: {reason}.", facts.arn),
            why: "Databricks cannot use a key that does not exist: the apply would fail when it attaches the key.".to_owned(),
            remedy: format!(
                "Check the ARN. The keys of that region are listed with:\n\n  aws kms list-keys --region {}",
                facts.arn.region()
            ),
        });
        return findings;
    }
    match &facts.description {
        Fact::Known(description) => {
            state::kind_and_state(&facts.arn, description, &mut findings);
            state::future(facts, description, question, &mut findings);
        }
        Fact::Unreadable(reason) => {
            findings.push(unreadable_key(&facts.arn, reason, question.stage))
        }
    }
    match &facts.policy {
        Fact::Known(text) => match Document::parse(text) {
            Ok(policy) => judge_policy(&policy, facts, question, &mut findings),
            Err(error) => findings.push(Finding {
                id: Id::PolicyMalformed,
                severity: Severity::Error,
                subject: Subject::Key,
                summary: "The key policy cannot be read".to_owned(),
                found: format!(
                    "{} is not a valid key policy: {error}.",
                    capitalized(&facts.policy_called())
                ),
                why: "What cannot be read cannot be proven to let Databricks use the key."
                    .to_owned(),
                remedy: "Correct the policy at that place, and plan again.".to_owned(),
            }),
        },
        Fact::Unreadable(reason) => {
            findings.push(unreadable_policy(&facts.arn, reason, question.stage))
        }
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

fn allow_reading(reason: &Unreadable, key: &KeyArn) -> String {
    match (reason.permission, &reason.remedy) {
        (_, Some(remedy)) => remedy.clone(),
        (Some(permission), None) => format!(
            "Allow the identity that runs Terraform to call {permission}, for example with this statement in one of its IAM \
             policies:\n\n{{\n  \"Effect\": \"Allow\",\n  \"Action\": [\"kms:DescribeKey\", \"kms:GetKeyPolicy\"],\n  \"Resource\": \
             \"{key}\"\n}}"
        ),
        (None, None) => "Fix the cause and plan again.".to_owned(),
    }
}

fn unreadable_key(key: &KeyArn, reason: &Unreadable, stage: Stage) -> Finding {
    Finding {
        id: Id::KmsKeyUnreadable,
        severity: unread_severity(stage),
        subject: Subject::Key,
        summary: "The key's state could not be read".to_owned(),
        found: format!("{key}: {}.", reason.reason),
        why:
            "Whether the key is enabled and of the right kind is not proven. Planning continues with this warning; an apply stops \
              before it attaches anything."
                .to_owned(),
        remedy: allow_reading(reason, key),
    }
}

fn unreadable_policy(key: &KeyArn, reason: &Unreadable, stage: Stage) -> Finding {
    Finding {
        id: Id::PolicyUnreadable,
        severity: unread_severity(stage),
        subject: Subject::Key,
        summary: "The key policy could not be read".to_owned(),
        found: format!("{key}: {}.", reason.reason),
        why: "Whether Databricks may use the key is not proven. Planning continues with this warning; an apply stops before \
              it attaches anything."
            .to_owned(),
        remedy: allow_reading(reason, key),
    }
}

fn place(facts: &KeyFacts, question: &Question, findings: &mut Vec<Finding>) {
    let deployment = question.usage.deployment;
    let (has, needs) = (facts.arn.partition(), deployment.partition());
    if has != needs {
        findings.push(Finding {
            id: Id::KmsKeyPartition,
            severity: Severity::Error,
            subject: Subject::Key,
            summary: "The key is in another AWS partition than Databricks".to_owned(),
            found: format!("{} is in the partition `{has}`; {} runs in `{needs}`.", facts.arn, deployment.in_words()),
            why: "No principal of one partition can use a key of another.".to_owned(),
            remedy: format!("Use a key in `{needs}`, or the account host of the Databricks deployment in `{has}`."),
        });
    }
}

fn judge_policy(
    policy: &Document,
    facts: &KeyFacts,
    question: &Question,
    findings: &mut Vec<Finding>,
) {
    for (purpose, user) in question.usage.purposes() {
        findings.extend(permissions::judge_purpose(
            policy, facts, question, purpose, &user,
        ));
    }
    lint::lint(policy, facts, question, findings);
    let presence_only = question.cluster_volumes && question.usage.cross_account_role.is_none();
    if presence_only
        && question.usage.use_cases.contains(&UseCase::Storage)
        && !lint::lets_somebody_attach_volumes(policy)
    {
        findings.push(Finding {
            id: Id::PolicyNoClusterVolumes,
            severity: Severity::Warning,
            subject: Subject::Key,
            summary: "No statement of the key policy is for cluster volumes".to_owned(),
            found: format!(
                "The key will also encrypt the EBS volumes of clusters (`reuse_key_for_cluster_volumes`), but {} lets no role \
                 use it through EC2.",
                facts.policy_called()
            ),
            why: "Clusters of classic compute start only if the workspace's cross-account role may use the key. Which role that is \
                  shows when the configuration is bound to a workspace; there it is checked in full."
                .to_owned(),
            remedy: "Set `cross_account_role_arn` in `dbxcmk_key_policy`, or `reuse_key_for_cluster_volumes = false` if clusters \
                     should not use this key."
                .to_owned(),
        });
    }
}
