//! What is known of the circumstances of a request.

use std::collections::{BTreeMap, BTreeSet};

/// What a request says about a context key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence<'a> {
    /// The request has the key with these values.
    Values(&'a [String]),
    /// The request does not have it.
    Absent,
    /// The value is not known yet.
    Unknown,
    /// The value is not known yet, but it is not one of those that a policy may name: the request is a stranger's. The key may also be absent.
    Foreign,
}

/// The context of a request. Key names are case-insensitive, values are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    keys: BTreeMap<String, Option<Vec<String>>>,
    absent: BTreeSet<String>,
    foreign: BTreeSet<String>,
    others_absent: bool,
}

impl Context {
    /// A context that is known completely: what is not set is absent.
    pub fn closed() -> Self {
        Self {
            keys: BTreeMap::new(),
            absent: BTreeSet::new(),
            foreign: BTreeSet::new(),
            others_absent: true,
        }
    }

    /// A context that is known in part: what is neither set nor said to be absent is not known.
    pub fn open() -> Self {
        Self {
            others_absent: false,
            ..Self::closed()
        }
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

    /// The keys whose values are known, in lower case, and their values.
    pub fn known(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.keys
            .iter()
            .filter_map(|(key, values)| Some((key.as_str(), values.as_deref()?)))
    }

    /// The same context with one more value.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.set(key, vec![value.into()]);
        self
    }

    /// The same context with a key whose value is not known, but is none that the policy names.
    #[must_use]
    pub fn with_foreign(mut self, key: &str) -> Self {
        self.foreign.insert(key.to_ascii_lowercase());
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
            None if self.foreign.contains(&key) => Presence::Foreign,
            None if self.others_absent || self.absent.contains(&key) => Presence::Absent,
            None => Presence::Unknown,
        }
    }
}
