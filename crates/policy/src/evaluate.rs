//! Deciding a request against a key policy, as AWS does, with reasons.
//!
//! Not everything is known when a provider decides, so every question has three answers and every decision four: allowed,
//! denied explicitly, denied implicitly, undetermined. An undetermined Deny cannot be ignored, and an undetermined Allow is
//! not a grant.

use std::collections::BTreeSet;

use super::condition::Condition;
use super::context::Context;
use super::document::{Document, Listed, Statement};
use super::language::Effect;
use super::pattern::Pattern;
use super::principal::{Caller, Principal};
use super::template::{Filled, fill};
use super::truth::Match;

/// A call that a principal makes, with the context that AWS evaluates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The principal that makes the call.
    pub caller: Caller,
    /// For what: `kms:Decrypt`.
    pub action: String,
    /// The ARN of the key.
    pub resource: String,
    /// Under which circumstances.
    pub context: Context,
}

/// How a request is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// An Allow applies, and no Deny.
    Allowed,
    /// A Deny applies.
    DeniedExplicitly,
    /// Nothing applies.
    DeniedImplicitly,
    /// It depends on context keys whose values are not known.
    Undetermined,
}

impl Verdict {
    /// The name that it has in outputs for programs: the function, the command and the data source.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::DeniedExplicitly => "denied_explicit",
            Self::DeniedImplicitly => "denied_implicit",
            Self::Undetermined => "undetermined",
        }
    }
}

/// How one statement stands to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementMatch {
    /// The statement's position, from 0.
    pub index: usize,
    /// Whether the statement allows or denies.
    pub effect: Effect,
    /// Whether it speaks of the caller.
    pub principal: Match,
    /// Whether it speaks of the action.
    pub action: Match,
    /// Whether it speaks of the key.
    pub resource: Match,
    /// Each condition, in order, and whether it holds.
    pub conditions: Vec<Match>,
}

impl StatementMatch {
    /// Whether principal, action, resource and conditions all match.
    pub fn applies(&self) -> Match {
        let statement = self
            .principal
            .clone()
            .and(self.action.clone())
            .and(self.resource.clone());
        self.conditions.iter().cloned().fold(statement, Match::and)
    }

    /// Whether all but the conditions fit: what a person would call "almost".
    pub fn fails_by_conditions_only(&self) -> bool {
        !self.principal.is_no()
            && !self.action.is_no()
            && !self.resource.is_no()
            && self.conditions.iter().any(Match::is_no)
    }
}

/// A decision and what made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// How it was decided.
    pub verdict: Verdict,
    /// Whether it is allowed only by way of the caller's account: for a principal of the key's own account that proves
    /// nothing, its IAM policies decide.
    pub delegated: bool,
    /// The positions of the statements that made it: Denies where it is denied or may be, else Allows.
    pub statements: Vec<usize>,
    /// The context keys on which it depends, when it is undetermined.
    pub undetermined_keys: BTreeSet<String>,
    /// How every statement stands to the request, in the policy's order.
    pub findings: Vec<StatementMatch>,
}

/// Decides `request` against `policy`.
pub fn evaluate(policy: &Document, request: &Request) -> Decision {
    let findings = statements(policy, request);
    let applying: Vec<(&StatementMatch, Match)> = findings
        .iter()
        .map(|finding| (finding, finding.applies()))
        .collect();
    let of = |effect: Effect, wanted: fn(&Match) -> bool| -> Vec<usize> {
        applying
            .iter()
            .filter(|(f, applies)| f.effect == effect && wanted(applies))
            .map(|(f, _)| f.index)
            .collect()
    };
    let open = |applies: &Match| applies.depends_on().is_some();
    let (denying, allowing) = (
        of(Effect::Deny, Match::is_yes),
        of(Effect::Allow, Match::is_yes),
    );
    let (may_deny, may_allow) = (of(Effect::Deny, open), of(Effect::Allow, open));

    let delegated = applying
        .iter()
        .filter(|(finding, applies)| finding.effect == Effect::Allow && applies.is_yes())
        .map(|(_, applies)| applies.clone())
        .reduce(Match::or)
        .is_some_and(|best| best.delegates());
    let keys = |indexes: &[usize]| -> BTreeSet<String> {
        let own = applying
            .iter()
            .filter(|(finding, _)| indexes.contains(&finding.index));
        own.filter_map(|(_, applies)| applies.depends_on())
            .flatten()
            .cloned()
            .collect()
    };
    let (verdict, statements, undetermined_keys) = if !denying.is_empty() {
        (Verdict::DeniedExplicitly, denying, BTreeSet::new())
    } else if allowing.is_empty() && may_allow.is_empty() {
        // Whatever the undetermined Denies come to, nothing can allow it.
        (Verdict::DeniedImplicitly, Vec::new(), BTreeSet::new())
    } else if !may_deny.is_empty() {
        let keys = keys(&may_deny);
        (Verdict::Undetermined, may_deny, keys)
    } else if !allowing.is_empty() {
        (Verdict::Allowed, allowing, BTreeSet::new())
    } else {
        let keys = keys(&may_allow);
        (Verdict::Undetermined, may_allow, keys)
    };
    let delegated = delegated && verdict == Verdict::Allowed;
    Decision {
        verdict,
        delegated,
        statements,
        undetermined_keys,
        findings,
    }
}

/// How each statement of a policy stands to a request, in order.
pub(super) fn statements(policy: &Document, request: &Request) -> Vec<StatementMatch> {
    policy
        .statements
        .iter()
        .enumerate()
        .map(|(index, statement)| judge(policy, index, statement, request))
        .collect()
}

fn judge(
    policy: &Document,
    index: usize,
    statement: &Statement,
    request: &Request,
) -> StatementMatch {
    StatementMatch {
        index,
        effect: statement.effect,
        principal: principal(&statement.principals, &request.caller),
        action: listed(&statement.actions, |pattern| {
            Match::from(Pattern::wild(pattern).matches_ignoring_case(&request.action))
        }),
        resource: listed(&statement.resources, |pattern| {
            match fill(pattern, true, &request.context, policy.version) {
                Filled::Pattern(pattern, _) => Match::from(pattern.matches(&request.resource)),
                Filled::Nothing => Match::no(),
                Filled::Unknown(key) => Match::unknown(&key),
            }
        }),
        conditions: statement
            .conditions
            .iter()
            .map(|condition: &Condition| condition.holds(&request.context, policy.version))
            .collect(),
    }
}

fn principal(principals: &Listed<Principal>, caller: &Caller) -> Match {
    listed(principals, |principal| principal.matches(caller))
}

fn listed<T>(list: &Listed<T>, fits: impl Fn(&T) -> Match) -> Match {
    let found = list.items.iter().map(fits).fold(Match::no(), Match::or);
    if list.negated { found.negated() } else { found }
}
