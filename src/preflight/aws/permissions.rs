//! What a policy lets Databricks and the cross-account role do, purpose by purpose.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::Question;
use crate::preflight::aws::{KeyFacts, PolicySource};
use crate::preflight::{Fact, Finding, Id, Severity, Subject};
use crate::requirements::aws::{ACCOUNT_TAG, ORGANIZATION_KEYS, Purpose, User, request};
use crate::vocabulary::AccountId;
use crate::vocabulary::Deployment;
use kms_policy::{Decision, Document, Effect, Principal, StatementMatch, Verdict, evaluate};

/// Everything there is to say about one purpose.
pub(super) fn judge_purpose(
    policy: &Document,
    facts: &KeyFacts,
    question: &Question,
    purpose: Purpose,
    user: &User,
) -> Vec<Finding> {
    let statement = pretty(&question.usage.statement(purpose, user));
    let case = PurposeCase {
        policy,
        facts,
        question,
        purpose,
        user,
        statement,
    };
    let tally = case.tally();
    let all = [
        case.missing(&tally),
        case.denied(&tally),
        case.undetermined(&tally),
        case.granted_only(&tally),
        case.any_account(&tally),
        case.delegated_only(&tally),
        case.elsewhere(&tally),
    ];
    all.into_iter().flatten().collect()
}

/// One purpose under judgement.
struct PurposeCase<'a> {
    policy: &'a Document,
    facts: &'a KeyFacts,
    question: &'a Question,
    purpose: Purpose,
    user: &'a User,
    /// The documented statement, as a person pastes it.
    statement: String,
}

/// How every call that a purpose needs was decided, for every Databricks account.
#[derive(Default)]
struct Tally {
    /// Denied implicitly, and what the call is for.
    missing: Vec<(&'static str, &'static str)>,
    /// The statement that nearly allowed one of them.
    nearly: Option<(usize, Decision)>,
    /// Denied explicitly.
    denied: Vec<&'static str>,
    denying: BTreeSet<usize>,
    /// Undetermined.
    open: Vec<&'static str>,
    deciding: BTreeSet<usize>,
    keys: BTreeSet<String>,
    /// Allowed by a grant alone.
    granted: Vec<&'static str>,
    /// The statements that allow it for every Databricks account.
    for_anybody: BTreeSet<usize>,
    /// Whether something is allowed by way of the account alone.
    delegated: bool,
    /// Whether something is allowed to a role of another account, whose IAM has to allow it as well.
    elsewhere: bool,
}

impl PurposeCase<'_> {
    fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for account in &self.question.usage.accounts {
            for (action, what_for) in self.purpose.needed_actions() {
                let decision = evaluate(
                    self.policy,
                    &request(self.user, action, &self.facts.arn, account),
                );
                match decision.verdict {
                    Verdict::Allowed => {
                        if let User::CrossAccountRole(role) = self.user {
                            let is_elsewhere = role.account() != self.facts.arn.account();
                            tally.elsewhere |= is_elsewhere;
                            tally.delegated |= decision.delegated && !is_elsewhere;
                        }
                        let stranger =
                            request(self.user, action, &self.facts.arn, &AccountId::nobody());
                        if matches!(self.user, User::Databricks(_))
                            && evaluate(self.policy, &stranger).verdict == Verdict::Allowed
                        {
                            tally.for_anybody.extend(decision.statements);
                        }
                    }
                    Verdict::DeniedExplicitly => {
                        add(&mut tally.denied, *action);
                        tally.denying.extend(decision.statements);
                    }
                    Verdict::Undetermined => {
                        add(&mut tally.open, *action);
                        tally.deciding.extend(decision.statements);
                        tally.keys.extend(decision.undetermined_keys);
                    }
                    Verdict::DeniedImplicitly if is_granted(self.facts, self.user, action) => {
                        add(&mut tally.granted, *action)
                    }
                    Verdict::DeniedImplicitly => {
                        add(&mut tally.missing, (*action, *what_for));
                        let near = decision
                            .findings
                            .iter()
                            .position(StatementMatch::fails_by_conditions_only);
                        if let (None, Some(index)) = (&tally.nearly, near) {
                            tally.nearly = Some((index, decision));
                        }
                    }
                }
            }
        }
        tally
    }

    fn finding(
        &self,
        id: Id,
        severity: Severity,
        summary: String,
        found: String,
        why: String,
        remedy: String,
    ) -> Option<Finding> {
        let found = format!("In {}, {found}", self.facts.policy_called());
        Some(Finding {
            id,
            severity,
            subject: Subject::Key,
            summary,
            found,
            why,
            remedy,
        })
    }

    fn who(&self) -> &'static str {
        match self.user {
            User::Databricks(_) => "Databricks",
            User::CrossAccountRole(_) => "the cross-account role",
        }
    }

    fn missing(&self, tally: &Tally) -> Option<Finding> {
        if tally.missing.is_empty() {
            return None;
        }
        let actions: Vec<String> = tally
            .missing
            .iter()
            .map(|(action, what_for)| format!("  - {action}, {what_for}"))
            .collect();
        let near = tally
            .nearly
            .as_ref()
            .map(|(index, decision)| almost(self.policy, *index, decision, self.question))
            .unwrap_or_default();
        let near = if near.is_empty() {
            somebody_near(self.policy, self.user)
        } else {
            near
        };
        let remedy = match &self.facts.policy_source {
            PolicySource::Given(name) => {
                format!("Add this statement to {name}:\n\n{}", self.statement)
            }
            PolicySource::Live => format!(
                "Let `dbxcmk_key_policy` manage the statement (use_cases with \"{}\"), or add it to the policy where you keep it:\n\n{}",
                self.purpose.use_case(),
                self.statement
            ),
            PolicySource::Planned => {
                format!(
                    "Extend the `dbxcmk_key_policy` of this key so that it grants this:\n\n{}",
                    self.statement
                )
            }
        };
        self.finding(
            Id::PolicyMissingAction,
            Severity::Error,
            format!(
                "The key policy does not let {} use the key for {}",
                self.who(),
                self.purpose.in_words()
            ),
            format!(
                "none of the statements allows {} to call {}:\n{}{near}",
                self.user.principal(),
                if actions.len() == 1 {
                    "this action"
                } else {
                    "these actions"
                },
                actions.join("\n"),
            ),
            format!("Without them {}.", self.purpose.without_it()),
            remedy,
        )
    }

    fn denied(&self, tally: &Tally) -> Option<Finding> {
        if tally.denied.is_empty() {
            return None;
        }
        self.finding(
            Id::PolicyExplicitDeny,
            Severity::Error,
            format!("The key policy denies {} the use of the key for {}", self.who(), self.purpose.in_words()),
            format!(
                "{} denies {} to {}.{}",
                labels(self.policy, &tally.denying).join(" and "),
                tally.denied.join(", "),
                self.user.principal(),
                self.outside_of_the_organization(&tally.denying)
            ),
            format!("A Deny wins over every Allow, so no further statement can help: {}.", self.purpose.without_it()),
            format!(
                "Except {} from the Deny: add this to its \"Condition\", within the operator if it is there already:\n\n{}",
                self.who(),
                exception(self.user, self.question)
            ),
        )
    }

    /// The data perimeter that companies put on their keys: it denies everybody outside of their organization.
    fn outside_of_the_organization(&self, denying: &BTreeSet<usize>) -> String {
        let User::Databricks(deployment) = self.user else {
            return String::new();
        };
        let mut conditions = denying
            .iter()
            .filter_map(|index| self.policy.statements.get(*index))
            .flat_map(|one| &one.conditions);
        match conditions.find(|condition| is_of_organization(&condition.key)) {
            Some(condition) => format!(
                "\n\nThe condition `{}` of {} keeps out everybody outside of your AWS organization. Databricks calls KMS from its own AWS account, \
                 {}, which is not in your organization.",
                condition.operator,
                condition.key,
                deployment.account()
            ),
            None => String::new(),
        }
    }

    fn undetermined(&self, tally: &Tally) -> Option<Finding> {
        if tally.open.is_empty() {
            return None;
        }
        let keys: Vec<&str> = tally.keys.iter().map(String::as_str).collect();
        self.finding(
            Id::PolicyUndetermined,
            Severity::Error,
            format!("It cannot be proven that {} may use the key for {}", self.who(), self.purpose.in_words()),
            format!(
                "whether {} applies to {} by {} depends on values that only the call itself shows: {}.",
                labels(self.policy, &tally.deciding).join(" and "),
                tally.open.join(", "),
                self.user.principal(),
                keys.join(", ")
            ),
            format!(
                "Those values are not known here, so the statement may shut {} out. If you know that it does not, {}.",
                self.who(),
                match self.facts.policy_source {
                    PolicySource::Given(_) => format!("accept this finding with `--ignore {}`", Id::PolicyUndetermined),
                    _ => format!("say so with `ignore_findings = [\"{}\"]`", Id::PolicyUndetermined),
                }
            ),
            format!(
                "Take {} out of that condition. For a Deny, add this to its \"Condition\", within the operator if it is there \
                 already:\n\n{}\n\nFor an Allow, use the documented statement instead:\n\n{}",
                self.who(),
                exception(self.user, self.question),
                self.statement
            ),
        )
    }

    fn granted_only(&self, tally: &Tally) -> Option<Finding> {
        if tally.granted.is_empty() {
            return None;
        }
        self.finding(
            Id::PolicyGrantOnly,
            Severity::Warning,
            format!("A grant, not the key policy, lets {} use the key for {}", self.who(), self.purpose.in_words()),
            format!(
                "none of the statements allows {} to {}, but a grant on the key does.",
                tally.granted.join(", "),
                self.user.principal()
            ),
            "It works, but a grant can be revoked or retired without a trace in the policy, and then it works no longer."
                .to_owned(),
            format!("Name the role in the key policy, as the documentation shows it:\n\n{}", self.statement),
        )
    }

    fn any_account(&self, tally: &Tally) -> Option<Finding> {
        if tally.for_anybody.is_empty() {
            return None;
        }
        self.finding(
            Id::PolicyAnyDatabricksAccount,
            Severity::Warning,
            "The key policy lets every Databricks account use the key".to_owned(),
            format!(
                "Databricks is allowed by {} without being asked for which Databricks account it calls.",
                labels(self.policy, &tally.for_anybody).join(" and ")
            ),
            "It works, but any other customer of Databricks who learns the key's ARN could have Databricks use it (a confused deputy). \
             The older Databricks documentation shows the statement in this form."
                .to_owned(),
            format!("Add the account tag, as the documentation shows it today:\n\n{}", self.statement),
        )
    }

    fn delegated_only(&self, tally: &Tally) -> Option<Finding> {
        if !tally.delegated {
            return None;
        }
        self.finding(
            Id::PolicyDelegatedOnly,
            Severity::Warning,
            "The cross-account role may use the key only as far as its IAM policies allow".to_owned(),
            format!("{} is allowed by way of its account, not by name.", self.user.principal()),
            "The role's IAM policies decide whether it may use the key, and they are not examined. If they do not allow it, clusters do not \
             start."
                .to_owned(),
            format!("Name the role in the key policy, as the documentation shows it:\n\n{}", self.statement),
        )
    }

    fn elsewhere(&self, tally: &Tally) -> Option<Finding> {
        let User::CrossAccountRole(role) = self.user else {
            return None;
        };
        if !tally.elsewhere {
            return None;
        }
        let actions: Vec<String> = self
            .purpose
            .needed_actions()
            .iter()
            .map(|(action, _)| format!("\"{action}\""))
            .collect();
        let resource = match self.facts.policy_source {
            PolicySource::Given(_) => "the ARN of the key".to_owned(),
            _ => self.facts.arn.to_string(),
        };
        self.finding(
            Id::PolicyRoleInAnotherAccount,
            Severity::Warning,
            "The cross-account role is in another AWS account than the key".to_owned(),
            format!(
                "{role} is allowed to use the key, and it is in the account {}; the key is in {}.",
                role.account(),
                self.facts.arn.account()
            ),
            "Across accounts AWS asks both sides: the key policy alone never suffices, the role's own IAM policies must allow the key, too. \
             They are not examined. If they do not allow it, clusters do not start."
                .to_owned(),
            format!(
                "Make sure that an IAM policy of the role allows it:\n\n{{\n  \"Effect\": \"Allow\",\n  \"Action\": [{}],\n  \"Resource\": \
                 \"{resource}\"\n}}",
                actions.join(", ")
            ),
        )
    }
}

/// Several accounts ask for the same actions; each is named once.
fn add<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// Whether a grant allows a named role what the policy does not. (Which role of Databricks' account will call is not known, so no
/// grant proves anything for Databricks itself.)
pub(super) fn is_granted(facts: &KeyFacts, user: &User, action: &str) -> bool {
    let (User::CrossAccountRole(role), Fact::Known(grants)) = (user, &facts.grants) else {
        return false;
    };
    let operation = action.trim_start_matches("kms:");
    grants.iter().any(|grant| {
        !grant.constrained
            && grant.grantee == role.to_string()
            && grant.operations.iter().any(|one| one == operation)
    })
}

pub(super) fn labels(policy: &Document, indexes: &BTreeSet<usize>) -> Vec<String> {
    indexes
        .iter()
        .filter_map(|index| {
            policy
                .statements
                .get(*index)
                .map(|statement| statement.label(*index))
        })
        .collect()
}

pub(super) fn unique<T: PartialEq>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut unique = Vec::new();
    for item in items {
        if !unique.contains(&item) {
            unique.push(item);
        }
    }
    unique
}

/// Whether one of the values is an account that is asked for, but for its case.
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
fn almost(policy: &Document, index: usize, decision: &Decision, question: &Question) -> String {
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
                "\n\n{} would allow it, but it writes the Databricks account id in another case ({}). Values of conditions are \
                 case-sensitive, and Databricks writes the id in lower case.",
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

/// A statement that speaks of somebody whom a person may have mistaken for the caller.
fn somebody_near(policy: &Document, user: &User) -> String {
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

/// Whether a context key says to which AWS organization somebody belongs.
fn is_of_organization(key: &str) -> bool {
    ORGANIZATION_KEYS
        .iter()
        .any(|own| own.eq_ignore_ascii_case(key))
}

/// A condition that takes the caller out of a Deny.
fn exception(user: &User, question: &Question) -> String {
    match user {
        User::Databricks(deployment) => {
            let accounts: Vec<String> = question
                .usage
                .accounts
                .iter()
                .map(|account| format!("\"{account}\""))
                .collect();
            format!(
                "\"StringNotEquals\": {{ \"{ACCOUNT_TAG}\": [{}] }}\n\nor, for every call of Databricks:\n\n\"StringNotEquals\": {{ \
                 \"aws:PrincipalAccount\": \"{}\" }}",
                accounts.join(", "),
                deployment.account()
            )
        }
        User::CrossAccountRole(role) => {
            format!("\"ArnNotEquals\": {{ \"aws:PrincipalArn\": \"{role}\" }}")
        }
    }
}

/// A statement over several lines, its elements still in the order in which people read them.
fn pretty(statement: &str) -> String {
    let Ok(Json::Object(elements)) = serde_json::from_str(statement) else {
        return statement.to_owned();
    };
    let order = [
        "Sid",
        "Effect",
        "Principal",
        "Action",
        "Resource",
        "Condition",
    ];
    let lines: Vec<String> = order
        .iter()
        .filter_map(|name| {
            elements
                .get(*name)
                .map(|value| format!("  \"{name}\": {}", spaced(value)))
        })
        .collect();
    format!("{{\n{}\n}}", lines.join(",\n"))
}

/// One line of JSON with spaces where a person would put them.
fn spaced(value: &Json) -> String {
    match value {
        Json::Array(items) => format!(
            "[{}]",
            items.iter().map(spaced).collect::<Vec<_>>().join(", ")
        ),
        Json::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("\"{name}\": {}", spaced(value)))
                .collect();
            format!("{{ {} }}", fields.join(", "))
        }
        other => other.to_string(),
    }
}
