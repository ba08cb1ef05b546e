//! What grants each thing that is needed: the proof itself, line by line, where [`super::judge`] says only what is wrong.

use crate::preflight::Fact;
use crate::preflight::aws::KeyFacts;
use crate::requirements::aws::{Purpose, User, request};
use crate::vocabulary::AccountId;
use kms_policy::{Document, Effect, Verdict, evaluate};

use super::Question;
use super::permissions::is_granted;

/// How one action stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// A statement of the policy allows it.
    Allowed,
    /// The policy allows the account of the principal, whose IAM policies decide.
    Delegated,
    /// The policy allows a principal of another account, whose IAM policies have to allow it as well.
    Halfway,
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
    /// Whether it proves that the call is allowed.
    pub fn is_proven(self) -> bool {
        matches!(self, Self::Allowed | Self::Granted)
    }

    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Delegated => "delegated",
            Self::Halfway => "allowed_by_key_policy_only",
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
    /// The names of the statements that allow it.
    pub granted_by: Vec<String>,
    /// The names of the statements that deny it, or may.
    pub denied_by: Vec<String>,
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
                let (standing, granted_by, denied_by) = match &policy {
                    Some(policy) => stands(policy, facts, &user, action, account),
                    None => (Standing::Unknown, Vec::new(), Vec::new()),
                };
                all.push(Requirement {
                    purpose,
                    principal: user.principal(),
                    account: account.cloned(),
                    action,
                    reason,
                    standing,
                    granted_by,
                    denied_by,
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
) -> (Standing, Vec<String>, Vec<String>) {
    let nobody = AccountId::nobody();
    let decision = evaluate(
        policy,
        &request(user, action, &facts.arn, account.unwrap_or(&nobody)),
    );
    let by_grant = is_granted(facts, user, action);
    let standing = match decision.verdict {
        Verdict::Allowed => match user {
            User::CrossAccountRole(role) if role.account() != facts.arn.account() => {
                Standing::Halfway
            }
            User::CrossAccountRole(_) if decision.delegated => Standing::Delegated,
            _ => Standing::Allowed,
        },
        Verdict::DeniedExplicitly => Standing::Denied,
        Verdict::Undetermined => Standing::Undetermined,
        Verdict::DeniedImplicitly if by_grant => Standing::Granted,
        Verdict::DeniedImplicitly => Standing::Missing,
    };
    let of = |effect: Effect| {
        let own = decision
            .statements
            .iter()
            .filter_map(|index| Some((*index, policy.statements.get(*index)?)));
        own.filter(|(_, statement)| statement.effect == effect)
            .map(|(index, statement)| statement.name(index))
            .collect()
    };
    (standing, of(Effect::Allow), of(Effect::Deny))
}
