//! Answers in three values: not everything is known when a provider decides.

use std::collections::BTreeSet;

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
    /// A match that is certain.
    pub fn yes() -> Self {
        Self {
            truth: Truth::Yes,
            delegates: false,
        }
    }

    /// A mismatch that is certain.
    pub fn no() -> Self {
        Self {
            truth: Truth::No,
            delegates: false,
        }
    }

    /// It depends on `key`.
    pub fn unknown(key: &str) -> Self {
        Self {
            truth: Truth::Unknown(BTreeSet::from([key.to_owned()])),
            delegates: false,
        }
    }

    /// The same answer, resting on the caller's account alone.
    #[must_use]
    pub fn delegating(mut self) -> Self {
        self.delegates = true;
        self
    }

    /// Whether a yes rests on the caller's account alone.
    pub fn delegates(&self) -> bool {
        self.delegates
    }

    /// Whether the match is certain.
    pub fn is_yes(&self) -> bool {
        self.truth == Truth::Yes
    }

    /// Whether the mismatch is certain.
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
            (Truth::Unknown(left), Truth::Unknown(right)) => {
                Truth::Unknown(left.into_iter().chain(right).collect())
            }
        };
        Self { truth, delegates }
    }

    /// One of the two. A yes that does not rest on the caller's account is the better one.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self.truth, other.truth) {
            (Truth::Yes, Truth::Yes) => Self {
                truth: Truth::Yes,
                delegates: self.delegates && other.delegates,
            },
            (Truth::Yes, _) => Self {
                truth: Truth::Yes,
                delegates: self.delegates,
            },
            (_, Truth::Yes) => Self {
                truth: Truth::Yes,
                delegates: other.delegates,
            },
            (Truth::No, truth) => Self {
                truth,
                delegates: other.delegates,
            },
            (truth, Truth::No) => Self {
                truth,
                delegates: self.delegates,
            },
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
        Self {
            truth,
            delegates: false,
        }
    }
}

impl From<bool> for Match {
    fn from(value: bool) -> Self {
        if value { Self::yes() } else { Self::no() }
    }
}
