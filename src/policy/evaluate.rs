//! Deciding a request against a key policy, as AWS does, with reasons.
//!
//! Not everything is known when a provider decides, so every question has three answers and every decision four: allowed,
//! denied explicitly, denied implicitly, undetermined. An undetermined Deny cannot be ignored, and an undetermined Allow is
//! not a grant.

use std::collections::{BTreeMap, BTreeSet};

use super::condition::Condition;
use super::document::{Document, Effect, Listed, Statement};
use super::pattern::Pattern;
use super::principal::{Caller, Principal};

/// The answer to one question: yes, no, or it depends on context keys whose values are not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    truth: Truth,
    /// Whether a yes rests on the caller's account alone, so that the account's own IAM has its say.
    delegates: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Truth {
    Yes,
    No,
    Unknown(BTreeSet<String>),
}

impl Match {
    /// Yes.
    pub fn yes() -> Self {
        Self { truth: Truth::Yes, delegates: false }
    }

    /// No.
    pub fn no() -> Self {
        Self { truth: Truth::No, delegates: false }
    }

    /// It depends on `key`.
    pub fn unknown(key: &str) -> Self {
        Self { truth: Truth::Unknown(BTreeSet::from([key.to_owned()])), delegates: false }
    }

    /// The same answer, resting on the caller's account alone.
    #[must_use]
    pub fn delegating(mut self) -> Self {
        self.delegates = true;
        self
    }

    /// Whether it is a yes.
    pub fn is_yes(&self) -> bool {
        self.truth == Truth::Yes
    }

    /// Whether it is a no.
    pub fn is_no(&self) -> bool {
        self.truth == Truth::No
    }

    /// The keys on which it depends, when it is neither.
    pub fn depends_on(&self) -> Option<&BTreeSet<String>> {
        match &self.truth {
            Truth::Unknown(keys) => Some(keys),
            Truth::Yes | Truth::No => None,
        }
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let delegates = self.delegates || other.delegates;
        let truth = match (self.truth, other.truth) {
            (Truth::No, _) | (_, Truth::No) => Truth::No,
            (Truth::Yes, truth) | (truth, Truth::Yes) => truth,
            (Truth::Unknown(left), Truth::Unknown(right)) => Truth::Unknown(left.into_iter().chain(right).collect()),
        };
        Self { truth, delegates }
    }

    /// One of the two. A yes that needs nobody else is the better one.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self.truth, other.truth) {
            (Truth::Yes, Truth::Yes) => Self { truth: Truth::Yes, delegates: self.delegates && other.delegates },
            (Truth::Yes, _) => Self { truth: Truth::Yes, delegates: self.delegates },
            (_, Truth::Yes) => Self { truth: Truth::Yes, delegates: other.delegates },
            (Truth::No, truth) => Self { truth, delegates: other.delegates },
            (truth, Truth::No) => Self { truth, delegates: self.delegates },
            (Truth::Unknown(left), Truth::Unknown(right)) => Self {
                truth: Truth::Unknown(left.into_iter().chain(right).collect()),
                delegates: self.delegates && other.delegates,
            },
        }
    }

    /// The opposite.
    #[must_use]
    pub fn negated(self) -> Self {
        let truth = match self.truth {
            Truth::Yes => Truth::No,
            Truth::No => Truth::Yes,
            unknown @ Truth::Unknown(_) => unknown,
        };
        Self { truth, delegates: false }
    }
}

impl From<bool> for Match {
    fn from(value: bool) -> Self {
        if value { Self::yes() } else { Self::no() }
    }
}

/// What a request says about a context key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence<'a> {
    /// These values.
    Values(&'a [String]),
    /// The request does not have it.
    Absent,
    /// Nobody knows yet.
    Unknown,
}

/// The context of a request. Key names are case-insensitive, values are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    keys: BTreeMap<String, Option<Vec<String>>>,
    absent: BTreeSet<String>,
    others_absent: bool,
}

impl Context {
    /// A context that is known completely: what is not set is absent.
    pub fn closed() -> Self {
        Self { keys: BTreeMap::new(), absent: BTreeSet::new(), others_absent: true }
    }

    /// A context that is known in part: what is neither set nor said to be absent is not known.
    pub fn open() -> Self {
        Self { others_absent: false, ..Self::closed() }
    }

    /// The request has these values.
    pub fn set(&mut self, key: &str, values: Vec<String>) {
        self.keys.insert(key.to_ascii_lowercase(), Some(values));
    }

    /// The request has the key, but its value is not known; or not even that is known.
    pub fn set_unknown(&mut self, key: &str) {
        self.keys.insert(key.to_ascii_lowercase(), None);
    }

    /// The request does not have the key.
    pub fn set_absent(&mut self, key: &str) {
        self.keys.remove(&key.to_ascii_lowercase());
        self.absent.insert(key.to_ascii_lowercase());
    }

    /// The same context with one more value.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.set(key, vec![value.into()]);
        self
    }

    /// The same context without a key.
    #[must_use]
    pub fn without(mut self, key: &str) -> Self {
        self.set_absent(key);
        self
    }

    /// What is known of a key.
    pub fn get(&self, key: &str) -> Presence<'_> {
        let key = key.to_ascii_lowercase();
        match self.keys.get(&key) {
            Some(Some(values)) => Presence::Values(values),
            Some(None) => Presence::Unknown,
            None if self.others_absent || self.absent.contains(&key) => Presence::Absent,
            None => Presence::Unknown,
        }
    }
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who asks.
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

/// How one statement stands to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The statement's position, from 0.
    pub index: usize,
    /// Its effect.
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

impl Finding {
    /// Whether the statement applies.
    pub fn applies(&self) -> Match {
        let statement = self.principal.clone().and(self.action.clone()).and(self.resource.clone());
        self.conditions.iter().cloned().fold(statement, Match::and)
    }

    /// Whether all but the conditions fit: what a person would call "almost".
    pub fn fails_by_conditions_only(&self) -> bool {
        !self.principal.is_no() && !self.action.is_no() && !self.resource.is_no() && self.conditions.iter().any(Match::is_no)
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
    /// The positions of the statements that made it.
    pub statements: Vec<usize>,
    /// The context keys on which it depends, when it is undetermined.
    pub undetermined_keys: BTreeSet<String>,
    /// How every statement stands to the request, in the policy's order.
    pub findings: Vec<Finding>,
}

/// Decides `request` against `policy`.
pub fn evaluate(policy: &Document, request: &Request) -> Decision {
    let findings: Vec<Finding> =
        policy.statements.iter().enumerate().map(|(index, statement)| judge(policy, index, statement, request)).collect();
    let applying: Vec<(&Finding, Match)> = findings.iter().map(|finding| (finding, finding.applies())).collect();
    let of = |effect: Effect, wanted: fn(&Match) -> bool| -> Vec<usize> {
        applying.iter().filter(|(f, applies)| f.effect == effect && wanted(applies)).map(|(f, _)| f.index).collect()
    };
    let open = |applies: &Match| applies.depends_on().is_some();
    let (denying, allowing) = (of(Effect::Deny, Match::is_yes), of(Effect::Allow, Match::is_yes));
    let (may_deny, may_allow) = (of(Effect::Deny, open), of(Effect::Allow, open));

    let delegated = applying
        .iter()
        .filter(|(finding, applies)| finding.effect == Effect::Allow && applies.is_yes())
        .map(|(_, applies)| applies.clone())
        .reduce(Match::or)
        .is_some_and(|best| best.delegates);
    let keys = |indexes: &[usize]| -> BTreeSet<String> {
        let own = applying.iter().filter(|(finding, _)| indexes.contains(&finding.index));
        own.filter_map(|(_, applies)| applies.depends_on()).flatten().cloned().collect()
    };
    let (verdict, statements, undetermined_keys) = if !denying.is_empty() {
        (Verdict::DeniedExplicitly, denying, BTreeSet::new())
    } else if !may_deny.is_empty() {
        let keys = keys(&may_deny);
        (Verdict::Undetermined, may_deny, keys)
    } else if !allowing.is_empty() {
        (Verdict::Allowed, allowing, BTreeSet::new())
    } else if !may_allow.is_empty() {
        let keys = keys(&may_allow);
        (Verdict::Undetermined, may_allow, keys)
    } else {
        (Verdict::DeniedImplicitly, Vec::new(), BTreeSet::new())
    };
    let delegated = delegated && verdict == Verdict::Allowed;
    Decision { verdict, delegated, statements, undetermined_keys, findings }
}

fn judge(policy: &Document, index: usize, statement: &Statement, request: &Request) -> Finding {
    Finding {
        index,
        effect: statement.effect,
        principal: principal(&statement.principals, &request.caller),
        action: listed(&statement.actions, |pattern| {
            Match::from(Pattern::wild(pattern).matches_ignoring_case(&request.action))
        }),
        resource: listed(&statement.resources, |pattern| Match::from(Pattern::wild(pattern).matches(&request.resource))),
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
