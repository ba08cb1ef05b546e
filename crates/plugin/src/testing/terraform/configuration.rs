//! Configurations: blocks whose arguments may refer to those of others.

use std::collections::{BTreeMap, BTreeSet};

use crate::value::Value;

/// What stands in a configuration where a value is expected.
#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    /// A value that the configuration itself has.
    Value(Value),
    /// An attribute of another block: its address, and the dotted path.
    Of(String, String),
    /// An object, from terms by their names.
    Object(Vec<(String, Term)>),
    /// A list or set.
    List(Vec<Term>),
}

impl Term {
    /// A term that is a text.
    pub fn string(text: impl Into<String>) -> Self {
        Self::Value(Value::string(text))
    }

    /// An attribute of another block.
    pub fn of(address: impl Into<String>, path: impl Into<String>) -> Self {
        Self::Of(address.into(), path.into())
    }

    /// A term that is an object, from terms by their names.
    pub fn object<N: Into<String>>(fields: impl IntoIterator<Item = (N, Term)>) -> Self {
        Self::Object(
            fields
                .into_iter()
                .map(|(name, term)| (name.into(), term))
                .collect(),
        )
    }

    /// Whose attributes stand in it.
    fn references(&self, found: &mut BTreeSet<String>) {
        match self {
            Self::Value(_) => {}
            Self::Of(address, _) => drop(found.insert(address.clone())),
            Self::Object(fields) => fields.iter().for_each(|(_, term)| term.references(found)),
            Self::List(terms) => terms.iter().for_each(|term| term.references(found)),
        }
    }

    pub(super) fn evaluated(&self, known: &BTreeMap<String, Value>) -> Value {
        match self {
            Self::Value(value) => value.clone(),
            Self::Of(address, path) => match known.get(address) {
                Some(value) => part_of(value, path),
                None => Value::unknown(),
            },
            Self::Object(fields) => Value::map(
                fields
                    .iter()
                    .map(|(name, term)| (name, term.evaluated(known))),
            ),
            Self::List(terms) => {
                Value::List(terms.iter().map(|term| term.evaluated(known)).collect())
            }
        }
    }
}

/// A part of a value; of an unknown value, every part is unknown.
fn part_of(value: &Value, path: &str) -> Value {
    let mut at = value;
    for name in path.split('.') {
        if at.is_unknown() {
            return Value::unknown();
        }
        at = at.get(name);
    }
    at.clone()
}

/// A block of a configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Its arguments, as an object.
    pub body: Term,
    /// The addresses on which it depends without a reference.
    pub depends_on: BTreeSet<String>,
    /// `create_before_destroy`.
    pub create_first: bool,
}

impl Block {
    /// One with these arguments.
    pub fn new(body: Term) -> Self {
        Self {
            body,
            depends_on: BTreeSet::new(),
            create_first: false,
        }
    }

    /// The addresses of the blocks that it waits for.
    pub(super) fn dependencies(&self) -> BTreeSet<String> {
        let mut found = self.depends_on.clone();
        self.body.references(&mut found);
        found
    }
}

/// The blocks of a configuration, by their addresses: `toys_ball.a`.
pub type Configuration = BTreeMap<String, Block>;
