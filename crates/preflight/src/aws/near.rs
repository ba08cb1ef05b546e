//! What a person may have meant: the statement that nearly lets a caller in, and the principal that it names instead.

use super::Question;
use kms_policy::{Decision, Document, Effect, Principal};
use requirements::aws::{ACCOUNT_TAG, User};
use vocabulary::Deployment;

/// Whether one of the values is an account of the question in another case of letters.
fn in_another_case(values: &[String], question: &Question) -> bool {
    values.iter().any(|value| {
        question
            .usage
            .accounts
            .iter()
            .any(|account| account.as_str().eq_ignore_ascii_case(value))
    })
}

/// The statement that would have allowed it but for a condition.
pub(super) fn almost(
    policy: &Document,
    index: usize,
    decision: &Decision,
    question: &Question,
) -> String {
    let (Some(statement), Some(finding)) =
        (policy.statements.get(index), decision.findings.get(index))
    else {
        return String::new();
    };
    let failing = statement
        .conditions
        .iter()
        .zip(&finding.conditions)
        .find(|(_, holds)| holds.is_no());
    match failing {
        Some((condition, _))
            if condition.key.eq_ignore_ascii_case(ACCOUNT_TAG)
                && in_another_case(&condition.values, question) =>
        {
            format!(
                "\n\n{} would allow it, but it writes the Databricks account ID in another case ({}). Condition values are \
                 case-sensitive, and Databricks uses lower case.",
                statement.label(index),
                condition.values.join(" or ")
            )
        }
        Some((condition, _)) if condition.key.eq_ignore_ascii_case(ACCOUNT_TAG) => format!(
            "\n\n{} would allow it, but only for the Databricks account {}.",
            statement.label(index),
            condition.values.join(" or ")
        ),
        Some((condition, _)) => {
            format!(
                "\n\n{} would allow it, but its condition does not hold: {condition}.",
                statement.label(index)
            )
        }
        None => String::new(),
    }
}

/// The principal in the policy that a person may have taken instead of the caller.
pub(super) fn somebody_near(policy: &Document, user: &User) -> String {
    let own = user.principal();
    let allows = policy
        .statements
        .iter()
        .enumerate()
        .filter(|(_, statement)| statement.effect == Effect::Allow);
    for (index, statement) in allows {
        let through_ec2 = statement
            .conditions
            .iter()
            .any(|condition| condition.key.eq_ignore_ascii_case("kms:ViaService"));
        for principal in &statement.principals.items {
            let other = match (user, principal) {
                (User::Databricks(deployment), Principal::Account { account, partition }) => {
                    let all = [
                        Deployment::Commercial,
                        Deployment::GovCloud,
                        Deployment::Dod,
                    ];
                    let named = all.into_iter().find(|other| other.account() == account);
                    named.and_then(|named| {
                        let elsewhere = named != *deployment;
                        let abroad = partition
                            .as_deref()
                            .is_some_and(|partition| partition != named.partition().name());
                        match (elsewhere, abroad) {
                            (true, _) => Some(format!(
                                "{account}, which is {}; here {own} is needed",
                                named.in_words()
                            )),
                            (false, true) => Some(format!(
                                "{principal}, which is in another partition; here {own} is needed"
                            )),
                            (false, false) => None,
                        }
                    })
                }
                (User::CrossAccountRole(_), Principal::Arn(arn))
                    if through_ec2 && arn.to_string() != own =>
                {
                    Some(format!(
                        "another role, {arn}; the workspace launches its clusters with {own}"
                    ))
                }
                _ => None,
            };
            if let Some(other) = other {
                return format!("\n\n{} names {other}.", statement.label(index));
            }
        }
    }
    String::new()
}
