//! Findings about policies that work, which a person should read all the same.

use std::collections::BTreeSet;

use super::Question;
use super::permissions::{labels, unique};
use crate::aws::KeyFacts;
use crate::{Finding, Id, Subject};
use kms_policy::{Document, Effect, Pattern, Principal, Verdict, evaluate};
use requirements::aws::{User, direct};

/// What works across accounts and Databricks does not need. Of the calls that manage a key, KMS lets another account make only these, whatever
/// the key policy says: changing the policy, disabling the key or scheduling its deletion fails. Source: AWS KMS Developer Guide, "Allowing users
/// in other accounts to use a KMS key".
const TOO_MUCH: [&str; 3] = ["kms:CreateGrant", "kms:RevokeGrant", "kms:RetireGrant"];

/// Findings about statements that work and that a person should know: those that allow Databricks too
/// much, those that allow everybody, and those for principals that KMS no longer knows.
pub(super) fn lint(policy: &Document, facts: &KeyFacts, question: &Question) -> Vec<Finding> {
    let mut findings = Vec::new();
    let user = User::Databricks(question.usage.deployment);
    let warn = |id: Id, found: String| {
        id.warning(Subject::Key)
            .found(format!("In {}, {found}.", facts.policy_called()))
    };
    let (mut too_much, mut by) = (Vec::new(), BTreeSet::new());
    for account in &question.usage.accounts {
        for action in TOO_MUCH {
            let decision = evaluate(policy, &direct(&user, action, &facts.arn, account));
            if decision.verdict == Verdict::Allowed {
                too_much.push(action);
                by.extend(decision.statements);
            }
        }
    }
    if !too_much.is_empty() {
        findings.push(warn(Id::PolicyTooMuch, format!(
                "{} lets Databricks also call {}",
                labels(policy, &by).join(" and "),
                unique(too_much).join(", ")
            )).why("A grant outlives the statement that allowed it: its grantee uses the key until the grant is revoked. Databricks creates grants for AWS services at most.").remedy("Replace a wildcard such as `kms:*` by the documented actions, and limit kms:CreateGrant and kms:RevokeGrant by the condition \"Bool\": {\"kms:GrantIsForAWSResource\": \"true\"}."));
    }
    findings.extend(grants_of_the_role(policy, facts, question));
    let is_open = |statement: &&kms_policy::Statement| {
        let says_who = statement.conditions.iter().any(|condition| {
            let key = condition.key.to_ascii_lowercase();
            key.starts_with("aws:principal")
                || [
                    "kms:calleraccount",
                    "aws:sourceaccount",
                    "aws:sourcearn",
                    "aws:userid",
                ]
                .contains(&key.as_str())
        });
        let anyone =
            statement.principals.negated || statement.principals.items.contains(&Principal::Anyone);
        statement.effect == Effect::Allow && anyone && !says_who
    };
    let open: BTreeSet<usize> = policy
        .statements
        .iter()
        .enumerate()
        .filter(|(_, statement)| is_open(statement))
        .map(|(index, _)| index)
        .collect();
    if !open.is_empty() {
        findings.push(
            warn(
                Id::PolicyAnyone,
                format!(
                    "{} allows everybody, and none of its conditions limits who",
                    labels(policy, &open).join(" and ")
                ),
            )
            .why("Any AWS account could use the key.")
            .remedy("Name the principals, or add a condition such as `kms:CallerAccount`."),
        );
    }
    let deleted: Vec<String> = policy
        .statements
        .iter()
        .flat_map(|statement| &statement.principals.items)
        .filter(|principal| matches!(principal, Principal::Deleted(_)))
        .map(ToString::to_string)
        .collect();
    if !deleted.is_empty() {
        findings.push(warn(Id::PolicyDeletedPrincipal, format!(
                "{} replaces a role or user that was deleted",
                unique(deleted).join(", ")
            )).why("It matches nobody, not even a new role of the same name. KMS rejects a policy that names it, so statements cannot be added.").remedy("Remove it from the policy, or replace it by the ARN of the new role."));
    }
    findings
}

/// A statement that lets the role create grants without the condition of the documented one, by which only EC2 asks for it.
fn grants_of_the_role(policy: &Document, facts: &KeyFacts, question: &Question) -> Option<Finding> {
    let role = question.usage.cross_account_role.clone()?;
    let account = question.usage.accounts.first()?;
    let user = User::CrossAccountRole(role.clone());
    let call = direct(&user, "kms:CreateGrant", &facts.arn, account);
    let decision = evaluate(policy, &call);
    // What the policy leaves to IAM, IAM decides.
    if decision.verdict != Verdict::Allowed || decision.delegated {
        return None;
    }
    let by = decision.statements.into_iter().collect();
    let found = format!(
        "In {}, {} lets {role} call kms:CreateGrant by itself.",
        facts.policy_called(),
        labels(policy, &by).join(" and ")
    );
    let why = "A grant outlives the statement that allowed it: its grantee uses the key until the grant is revoked. For cluster volumes, EC2 alone asks for grants.";
    let remedy = "Add the documented condition \"ForAnyValue:StringLike\": {\"kms:ViaService\": \"ec2.*.amazonaws.com\"} to that statement.";
    let finding = Id::PolicyTooMuch.warning(Subject::Key);
    Some(finding.found(found).why(why).remedy(remedy))
}

/// Whether some Allow lets a role attach volumes, by name or through EC2; whether it is the right role is judged where the role
/// is known. An Allow for a whole account only delegates to IAM, and shows nothing.
pub(super) fn lets_somebody_attach_volumes(policy: &Document) -> bool {
    policy.statements.iter().any(|statement| {
        let grants = statement
            .actions
            .items
            .iter()
            .any(|action| Pattern::wild(action).matches_ignoring_case("kms:CreateGrant"));
        let names_a_role = statement
            .principals
            .items
            .iter()
            .any(|principal| matches!(principal, Principal::Arn(_)));
        let through_ec2 = statement.conditions.iter().any(|condition| {
            condition.key.eq_ignore_ascii_case("kms:ViaService")
                && condition
                    .values
                    .iter()
                    .any(|value| value.starts_with("ec2."))
        });
        statement.effect == Effect::Allow
            && grants != statement.actions.negated
            && (names_a_role || through_ec2)
    })
}
