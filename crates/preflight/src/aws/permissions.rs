//! What a policy lets Databricks and the cross-account role do, purpose by purpose.

use std::collections::BTreeSet;

use super::Question;
use super::facts::RoleKnowledge;
use super::near::{almost, somebody_near};
use super::paste::{exception, pretty};
use super::role::{RolePolicies, allow_examining, decide, why_not_examined};
use crate::aws::{KeyFacts, PolicySource};
use crate::{Fact, Finding, Hint, Id, Remedy, Severity, Subject, capitalized, users_in_words};
use kms_policy::{Decision, Document, Part, StatementMatch, Verdict, evaluate};
use requirements::aws::{ORGANIZATION_KEYS, Purpose, User, request};
use vocabulary::AccountId;

/// Everything there is to say about one purpose.
pub(super) fn judge_purpose(
    policy: &Document,
    facts: &KeyFacts,
    question: &Question,
    purpose: Purpose,
    user: &User,
) -> Vec<Finding> {
    let statement = pretty(&question.usage.statement(purpose, user));
    // What cannot be read is a finding of its own.
    let roles = RolePolicies::of(facts.role_of(user)).unwrap_or_default();
    let case = PurposeCase {
        policy,
        facts,
        question,
        purpose,
        user,
        roles,
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
    all.into_iter().flatten().chain(case.iam(&tally)).collect()
}

/// One purpose under judgement.
struct PurposeCase<'a> {
    policy: &'a Document,
    facts: &'a KeyFacts,
    question: &'a Question,
    purpose: Purpose,
    user: &'a User,
    /// The IAM policies of the role, where they are known.
    roles: Option<RolePolicies<'a>>,
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
    /// Whether the policy allows a role of another account, whose IAM must allow it as well.
    elsewhere: bool,
    /// What the role's IAM policies do not allow, although the key policy lets them.
    not_by_iam: Vec<&'static str>,
    /// What the role's permissions boundary does not allow.
    not_within: Vec<&'static str>,
    /// What a policy of the role denies, and the statements that do.
    denied_by_iam: Vec<&'static str>,
    denying_iam: BTreeSet<String>,
    /// The statements of the role's policies on which an open decision depends.
    deciding_iam: BTreeSet<String>,
}

impl PurposeCase<'_> {
    fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for account in &self.question.usage.accounts {
            for (action, what_for) in self.purpose.needed_actions() {
                if self.is_decided_by_iam(action, &mut tally) {
                    continue;
                }
                let decision = evaluate(
                    self.policy,
                    &request(self.user, action, &self.facts.arn, account),
                );
                match decision.verdict {
                    Verdict::Allowed => {
                        if let Some(role) = self.user.role() {
                            let is_elsewhere = role.account() != self.facts.arn.account();
                            tally.elsewhere |= is_elsewhere;
                            tally.delegated |= decision.delegated && !is_elsewhere;
                        }
                        let stranger =
                            request(self.user, action, &self.facts.arn, &AccountId::nobody());
                        let open = evaluate(self.policy, &stranger);
                        if matches!(self.user, User::Databricks(_))
                            && open.verdict == Verdict::Allowed
                        {
                            // Not those that check for which account it calls.
                            tally.for_anybody.extend(open.statements);
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

    /// What the role's IAM policies add to what the key policy says: whether they decide, so that the key policy alone is not
    /// asked.
    fn is_decided_by_iam(&self, action: &'static str, tally: &mut Tally) -> bool {
        let Some(roles) = &self.roles else {
            return false;
        };
        let found = decide(roles, self.policy, self.user, action, self.facts);
        let of_iam = || {
            found
                .statements
                .iter()
                .filter_map(|(source, index)| roles.label(*source, *index))
        };
        match found.verdict {
            Verdict::Allowed => true,
            Verdict::DeniedExplicitly if of_iam().next().is_some() => {
                add(&mut tally.denied_by_iam, action);
                tally.denying_iam.extend(of_iam());
                true
            }
            Verdict::DeniedImplicitly if !found.lacking.contains(&Part::Key) => {
                if found.lacking.contains(&Part::Boundary) {
                    add(&mut tally.not_within, action);
                } else {
                    add(&mut tally.not_by_iam, action);
                }
                true
            }
            Verdict::Undetermined if of_iam().next().is_some() => {
                add(&mut tally.open, action);
                tally.deciding_iam.extend(of_iam());
                tally.keys.extend(found.undetermined_keys);
                true
            }
            // It is the key policy that decides.
            _ => false,
        }
    }

    /// What the role's IAM policies say against it.
    fn iam(&self, tally: &Tally) -> Vec<Finding> {
        let (Some(role), Some(roles)) = (self.user.role(), &self.roles) else {
            return Vec::new();
        };
        let stage = self.question.stage;
        let severity = self.facts.role_severity(stage);
        let why = &format!(
            "{}.{}",
            capitalized(self.purpose.without_it()),
            self.facts.role_outlook(stage)
        );
        let used = users_in_words(&self.users());
        let mut findings = Vec::new();
        if !tally.denied_by_iam.is_empty() {
            let denying: Vec<&str> = tally.denying_iam.iter().map(String::as_str).collect();
            findings.push(
                Id::RoleIamDenies
                    .weighing(severity, Subject::Key)
                    .found(format!(
                        "{} denies {} to {role}.{used}",
                        denying.join(" and "),
                        tally.denied_by_iam.join(", ")
                    ))
                    .why(why.as_str())
                    .remedy(format!(
                        "Exclude the key from the Deny, or remove the statement. The key is:\n\n  {}",
                        self.key_named()
                    )),
            );
        }
        if !tally.not_by_iam.is_empty() {
            findings.push(
                Id::RoleIamMissingAction
                    .weighing(severity, Subject::Key)
                    .found(format!(
                        "No statement of the key policy names {role}. The key policy leaves the decision to the IAM policies of the role, and none of \
                         them allows {}.{used}",
                        tally.not_by_iam.join(", ")
                    ))
                    .why(why.as_str())
                    .remedy(
                        Remedy::say("Name the role in the key policy, with the documented statement:")
                            .paste(&self.statement)
                            .and_say("Or add this statement to an IAM policy of the role:")
                            .paste(self.iam_statement(&tally.not_by_iam)),
                    ),
            );
        }
        if !tally.not_within.is_empty() {
            findings.push(
                Id::RoleBoundaryExcludes
                    .weighing(severity, Subject::Key)
                    .found(format!(
                        "The permissions boundary {} of {role} does not allow {}.{used}",
                        roles.boundary(),
                        tally.not_within.join(", ")
                    ))
                    .why(why.as_str())
                    .remedy(
                        Remedy::say("Add this statement to the permissions boundary:")
                            .paste(self.iam_statement(&tally.not_within)),
                    ),
            );
        }
        findings
    }

    fn key_named(&self) -> String {
        match self.facts.policy_source {
            PolicySource::Given(_) => "the ARN of the key".to_owned(),
            _ => self.facts.arn.to_string(),
        }
    }

    fn iam_statement(&self, actions: &[&str]) -> String {
        let actions: Vec<String> = actions
            .iter()
            .map(|action| format!("\"{action}\""))
            .collect();
        format!(
            "{{\n  \"Effect\": \"Allow\",\n  \"Action\": [{}],\n  \"Resource\": \"{}\"\n}}",
            actions.join(", "),
            self.key_named()
        )
    }

    /// What was found in the policy. Who uses the key is named where it stops.
    fn found(&self, finding: Finding, what: &str) -> Finding {
        let used = match finding.severity {
            Severity::Error => users_in_words(&self.users()),
            Severity::Warning => String::new(),
        };
        finding.found(format!("In {}, {what}{used}", self.facts.policy_called()))
    }

    fn users(&self) -> Vec<String> {
        self.question.users_for(self.purpose, self.user)
    }

    /// What fails without it, in a few words.
    fn fails(&self) -> &'static str {
        match self.user {
            User::StorageCredential(_) => "reads and writes of tables fail with AccessDenied",
            _ => "clusters do not start",
        }
    }

    /// What follows when it is not allowed.
    fn follows(&self) -> &'static str {
        match self.users().is_empty() {
            true => self.purpose.without_it(),
            false => self.purpose.cut_off(),
        }
    }

    fn who(&self) -> &'static str {
        self.user.in_words()
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
        let finding = Id::PolicyMissingAction
            .error(Subject::Key)
            .summary(format!(
                "The key policy does not let {} use the key for {}",
                self.who(),
                self.purpose.in_words()
            ))
            .why(format!("Without this, {}.", self.follows()));
        let these = if actions.len() == 1 {
            "this action"
        } else {
            "these actions"
        };
        let found = format!(
            "none of the statements allows {} to call {these}:\n{}{near}",
            self.user.principal(),
            actions.join("\n"),
        );
        let remedy = match &self.facts.policy_source {
            PolicySource::Given(name) => Remedy::say(format!("Add this statement to {name}:")),
            source => Remedy::hint(Hint::AddStatement {
                use_case: self.purpose.use_case(),
                planned: *source == PolicySource::Planned,
            }),
        };
        Some(
            self.found(finding, &found)
                .remedy(remedy.paste(&self.statement)),
        )
    }

    fn denied(&self, tally: &Tally) -> Option<Finding> {
        if tally.denied.is_empty() {
            return None;
        }
        let found = format!(
            "{} denies {} to {}.{}",
            labels(self.policy, &tally.denying).join(" and "),
            tally.denied.join(", "),
            self.user.principal(),
            self.outside_of_the_organization(&tally.denying)
        );
        let finding = Id::PolicyExplicitDeny
            .error(Subject::Key)
            .summary(format!(
                "The key policy denies {} the use of the key for {}",
                self.who(),
                self.purpose.in_words()
            ))
            .why(format!(
                "A Deny wins over every Allow, so another statement cannot help: {}.",
                self.follows()
            ))
            .remedy(self.excluded("Exclude", "from the Deny: add this"));
        Some(self.found(finding, &found))
    }

    /// How to take the caller out of a Deny.
    fn excluded(&self, verb: &str, from: &str) -> Remedy {
        Remedy::say(format!(
            "{verb} {} {from} to its \"Condition\", within the operator if it is there already:",
            self.who()
        ))
        .paste(exception(self.user, self.question))
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
        let found = format!(
            "whether {} applies to {} by {} depends on values that only the call itself has: {}.",
            labels(self.policy, &tally.deciding)
                .into_iter()
                .chain(tally.deciding_iam.iter().cloned())
                .collect::<Vec<_>>()
                .join(" and "),
            tally.open.join(", "),
            self.user.principal(),
            keys.join(", ")
        );
        let finding = Id::PolicyUndetermined
            .error(Subject::Key)
            .summary(format!(
                "It cannot be proven that {} may use the key for {}",
                self.who(),
                self.purpose.in_words()
            ))
            .why(format!(
                "The provider does not know those values, so the statement may deny {} the use of the key.",
                self.who()
            ))
            .remedy(
                self.excluded("If the statement is a Deny, exclude", "from it: add this")
                    .and_say("If it is an Allow, use the documented statement instead:")
                    .paste(&self.statement)
                    .and_hint(Hint::Suppression(Id::PolicyUndetermined)),
            );
        Some(self.found(finding, &found))
    }

    fn granted_only(&self, tally: &Tally) -> Option<Finding> {
        if tally.granted.is_empty() {
            return None;
        }
        let found = format!(
            "none of the statements allows {} to {}, but a grant on the key does.",
            tally.granted.join(", "),
            self.user.principal()
        );
        let finding = Id::PolicyGrantOnly
            .warning(Subject::Key)
            .summary(format!(
                "A grant, not the key policy, lets {} use the key for {}",
                self.who(),
                self.purpose.in_words()
            ))
            .why(
                "It works, but a grant can be revoked or retired, and the policy does not show it.",
            )
            .remedy(self.name_the_role());
        Some(self.found(finding, &found))
    }

    fn name_the_role(&self) -> Remedy {
        Remedy::say("Name the role in the key policy, with the documented statement:")
            .paste(&self.statement)
    }

    /// The documented statement, or what lets the provider see that it is not needed.
    fn name_the_role_or_examine_it(&self) -> Remedy {
        match (self.facts.role_of(self.user), self.user.role()) {
            (RoleKnowledge::Unreadable(_), Some(role)) => {
                self.name_the_role().followed_by(allow_examining(role))
            }
            _ => self.name_the_role(),
        }
    }

    fn any_account(&self, tally: &Tally) -> Option<Finding> {
        if tally.for_anybody.is_empty() {
            return None;
        }
        let names = labels(self.policy, &tally.for_anybody);
        let verb = if names.len() > 1 { "allow" } else { "allows" };
        let found = format!(
            "{} {verb} Databricks without checking for which Databricks account it calls.",
            names.join(" and ")
        );
        let finding = Id::PolicyAnyDatabricksAccount
            .warning(Subject::Key)
            .summary("The key policy lets every Databricks account use the key")
            .why(
                "It works, but another Databricks customer who learns the key's ARN could have Databricks use it (a confused deputy). Older \
                 Databricks documentation shows the statement in this form.",
            )
            .remedy(
                Remedy::say("Add the account tag, as in the documented statement:").paste(&self.statement),
            );
        Some(self.found(finding, &found))
    }

    fn delegated_only(&self, tally: &Tally) -> Option<Finding> {
        if !tally.delegated {
            return None;
        }
        // A role that does not exist, or that has a policy which the provider cannot parse, is a finding of its own.
        let not_examined = why_not_examined(self.facts.role_of(self.user))?;
        let found = format!(
            "the account of {} is allowed, and the role is not named.",
            self.user.principal()
        );
        let finding = Id::PolicyDelegatedOnly
            .warning(Subject::Key)
            .why(format!(
                "The role's IAM policies decide whether it may use the key. {not_examined} If they do not allow it, {}.",
                self.fails()
            ))
            .remedy(self.name_the_role_or_examine_it());
        Some(self.found(finding, &found))
    }

    fn elsewhere(&self, tally: &Tally) -> Option<Finding> {
        let role = self.user.role()?;
        if !tally.elsewhere {
            return None;
        }
        let not_examined = why_not_examined(self.facts.role_of(self.user))?;
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
        let found = format!(
            "{role} is allowed to use the key. It is in the account {}; the key is in {}.",
            role.account(),
            self.facts.arn.account()
        );
        let finding = Id::PolicyRoleInAnotherAccount
            .warning(Subject::Key)
            .why(format!(
                "Across accounts AWS asks both sides: the key policy alone never suffices, the role's own IAM policies must allow the key too. \
                 {not_examined} If they do not allow it, {}.",
                self.fails()
            ))
            .remedy(
                Remedy::say("Make sure that an IAM policy of the role allows it:").paste(format!(
                    "{{\n  \"Effect\": \"Allow\",\n  \"Action\": [{}],\n  \"Resource\": \"{resource}\"\n}}",
                    actions.join(", ")
                )),
            );
        Some(self.found(finding, &found))
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
    let (Some(role), Some(Fact::Known(grants))) = (user.role(), &facts.grants) else {
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

/// Whether a context key says to which AWS organization a principal belongs.
fn is_of_organization(key: &str) -> bool {
    ORGANIZATION_KEYS
        .iter()
        .any(|own| own.eq_ignore_ascii_case(key))
}
