//! What grants each thing that is needed: the proof itself, line by line, where [`super::judge`] says only what is wrong.

use crate::policy::{Document, Verdict, evaluate};
use crate::preflight::{Fact, KeyFacts};
use crate::requirements::aws::{Purpose, User, request};
use crate::vocabulary::AccountId;

use super::Question;
use super::permissions::is_granted;

/// How one action stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// A statement of the policy allows it.
    Allowed,
    /// The policy allows the account of the principal, whose IAM policies decide.
    Delegated,
    /// A grant allows it.
    Granted,
    /// It depends on conditions that only the call itself decides.
    Undetermined,
    /// A statement denies it.
    Denied,
    /// Nothing allows it.
    Missing,
    /// The policy could not be read.
    Unknown,
}

impl Standing {
    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Delegated => "delegated",
            Self::Granted => "granted",
            Self::Undetermined => "undetermined",
            Self::Denied => "denied",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
        }
    }
}

/// One action that somebody needs, and how it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// What it is for.
    pub purpose: Purpose,
    /// Who needs it, as a policy names them.
    pub principal: String,
    /// For which Databricks account; none when the caller is a role of the customer.
    pub account: Option<AccountId>,
    /// The action.
    pub action: &'static str,
    /// What it is needed for.
    pub reason: &'static str,
    /// How it stands.
    pub standing: Standing,
    /// The statements that make it so, as people call them.
    pub statements: Vec<String>,
}

/// Every action that is needed, and what grants it.
pub fn proof(facts: &KeyFacts, question: &Question) -> Vec<Requirement> {
    let policy = match &facts.policy {
        Fact::Known(text) => Document::parse(text).ok(),
        Fact::Unreadable(_) => None,
    };
    let mut all = Vec::new();
    for (purpose, user) in question.usage.purposes() {
        let accounts: Vec<Option<&AccountId>> = match &user {
            User::Databricks(_) => question.usage.accounts.iter().map(Some).collect(),
            User::CrossAccountRole(_) => vec![None],
        };
        for account in accounts {
            for (action, reason) in purpose.needed_actions() {
                let (standing, statements) = match &policy {
                    Some(policy) => stands(policy, facts, &user, action, account),
                    None => (Standing::Unknown, Vec::new()),
                };
                all.push(Requirement {
                    purpose,
                    principal: user.principal(),
                    account: account.cloned(),
                    action,
                    reason,
                    standing,
                    statements,
                });
            }
        }
    }
    all
}

fn stands(
    policy: &Document,
    facts: &KeyFacts,
    user: &User,
    action: &str,
    account: Option<&AccountId>,
) -> (Standing, Vec<String>) {
    let nobody = AccountId::nobody();
    let decision = evaluate(policy, &request(user, action, &facts.arn, account.unwrap_or(&nobody)));
    let by_grant = is_granted(facts, user, action);
    let standing = match decision.verdict {
        // Delegation proves something only where IAM of the same account is not asked as well.
        Verdict::Allowed if decision.delegated && matches!(user, User::CrossAccountRole(_)) => Standing::Delegated,
        Verdict::Allowed => Standing::Allowed,
        Verdict::DeniedExplicitly => Standing::Denied,
        Verdict::Undetermined => Standing::Undetermined,
        Verdict::DeniedImplicitly if by_grant => Standing::Granted,
        Verdict::DeniedImplicitly => Standing::Missing,
    };
    let label = |index: &usize| policy.statements.get(*index).map(|statement| statement.label(*index));
    (standing, decision.statements.iter().filter_map(label).collect())
}
