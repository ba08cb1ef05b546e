//! What grants each thing that is needed: the proof itself, line by line, where [`super::judge`] says only what is wrong.

use crate::aws::KeyFacts;
use crate::{Fact, Remedy};
use kms_policy::{Document, Effect, Source, Verdict, evaluate};
use requirements::aws::{Purpose, User, request};
use vocabulary::AccountId;

use super::Question;
use super::facts::Simulation;
use super::permissions::is_granted;
use super::role::{RolePolicies, allow_examining, decide, why_not_examined};
use super::simulation::not_simulated;

/// How one action stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// A statement of the policy allows it.
    Allowed,
    /// The policy allows the account of the principal, whose IAM policies decide.
    Delegated,
    /// The policy allows a principal of another account, whose IAM policies must allow it as well.
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

/// An action that a principal needs, and whether the policies grant it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The feature of Databricks that needs the action.
    pub purpose: Purpose,
    /// The principal that needs it, as a policy names it.
    pub principal: String,
    /// For which Databricks account; none when the caller is a role of the customer.
    pub account: Option<AccountId>,
    /// The action with its service: `kms:Decrypt`.
    pub action: &'static str,
    /// What it is needed for.
    pub reason: &'static str,
    /// Whether the policies grant it.
    pub standing: Standing,
    /// The names of the statements that allow it.
    pub granted_by: Vec<String>,
    /// The names of the statements that deny it, or may.
    pub denied_by: Vec<String>,
}

/// Something that a proof does not cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotExamined {
    /// Which policies.
    pub what: String,
    /// Why they are not examined.
    pub why: String,
    /// How to have them examined, or how to check them.
    pub how: Remedy,
}

/// What the proof does not cover. Sources: IAM User Guide, "Policy evaluation logic"; KMS Developer Guide, "Key access".
pub fn not_examined(facts: &KeyFacts, question: &Question) -> Vec<NotExamined> {
    let mut all = Vec::new();
    for (_, user) in question.usage.purposes() {
        if let (Some(role), Some(why)) = (user.role(), why_not_examined(facts.role_of(&user))) {
            all.push(NotExamined {
                what: format!("IAM policies of {role}"),
                why,
                how: allow_examining(role),
            });
        }
    }
    if !question.usage.table_roles.is_empty() {
        all.push(NotExamined {
            what: "Session policies that Unity Catalog vends".to_owned(),
            why: "Unity Catalog hands out credentials of the role with a session policy for one table, which only the call itself has."
                .to_owned(),
            how: "If reads fail although the role may use the key, upgrade the engine that asks for the credentials.".into(),
        });
    }
    if let Some(Fact::Unreadable(reason)) = &facts.grants {
        all.push(NotExamined {
            what: "Grants on the key".to_owned(),
            why: format!("The provider could not read them: {}.", reason.reason),
            how: Remedy::say("Allow the identity that runs Terraform to call kms:ListGrants."),
        });
    }
    all.extend(not_simulated(facts, question));
    let organization = match (&facts.simulation, &question.usage.cross_account_role) {
        // The simulator knows the SCPs of the role's account; RCPs it does not know.
        (Simulation::Known(_), Some(_)) => (
            "Resource control policies (RCPs) of the AWS organization",
            "They can deny what every other policy allows, and only the management account can read them.",
            "Check that no RCP denies kms actions to Databricks or to the cross-account role.",
        ),
        _ => (
            "Policies of the AWS organization (SCPs and RCPs)",
            "They can deny what every other policy allows, and only the management account can read them.",
            "Check that no SCP or RCP denies kms actions to Databricks or to the cross-account role. `aws.simulate = true` examines the SCPs \
             of the role.",
        ),
    };
    let fixed = [
        organization,
        (
            "VPC endpoint policies",
            "They apply to the network from which a call comes, which the provider does not know.",
            "Check the endpoint policy, if clusters reach KMS through a VPC endpoint.",
        ),
        (
            "IAM policies of Databricks",
            "They are in the AWS account of Databricks.",
            "Nothing to do: Databricks manages them.",
        ),
    ];
    all.extend(fixed.map(|(what, why, how)| NotExamined {
        what: what.to_owned(),
        why: why.to_owned(),
        how: how.into(),
    }));
    all
}

/// Whether the grants on a key can change the result: they count for a named role alone, and only where the policies do not let it
/// in.
pub fn grants_matter(facts: &KeyFacts, question: &Question) -> bool {
    let is_open = |one: &Requirement| one.account.is_none() && !one.standing.is_proven();
    !question.usage.roles().is_empty() && proof(facts, question).iter().any(is_open)
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
            User::CrossAccountRole(_) | User::StorageCredential(_) => vec![None],
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
    if let Ok(Some(roles)) = RolePolicies::of(facts.role_of(user)) {
        return stands_with_iam(&roles, policy, facts, user, action);
    }
    let nobody = AccountId::nobody();
    let decision = evaluate(
        policy,
        &request(user, action, &facts.arn, account.unwrap_or(&nobody)),
    );
    let by_grant = is_granted(facts, user, action);
    let standing = match decision.verdict {
        Verdict::Allowed => match user.role() {
            Some(role) if role.account() != facts.arn.account() => Standing::Halfway,
            Some(_) if decision.delegated => Standing::Delegated,
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

/// How an action of the role stands, where its IAM policies are known.
fn stands_with_iam(
    roles: &RolePolicies<'_>,
    policy: &Document,
    facts: &KeyFacts,
    user: &User,
    action: &str,
) -> (Standing, Vec<String>, Vec<String>) {
    let found = decide(roles, policy, user, action, facts);
    let names: Vec<String> = found
        .statements
        .iter()
        .filter_map(|(source, index)| match source {
            Source::Key => Some(policy.statements.get(*index)?.name(*index)),
            source => roles.label(*source, *index),
        })
        .collect();
    match found.verdict {
        Verdict::Allowed => (Standing::Allowed, names, Vec::new()),
        Verdict::DeniedExplicitly => (Standing::Denied, Vec::new(), names),
        Verdict::Undetermined => (Standing::Undetermined, Vec::new(), names),
        Verdict::DeniedImplicitly if is_granted(facts, user, action) => {
            (Standing::Granted, Vec::new(), Vec::new())
        }
        Verdict::DeniedImplicitly => (Standing::Missing, Vec::new(), Vec::new()),
    }
}
