//! What Terraform keeps: states, plans, and diagnostics.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostics::{Diagnostic, Diagnostics, Severity};
use crate::value::Value;

/// An object in the state.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// The attributes, as the provider returned them last.
    pub value: Value,
    /// What the provider keeps beside it.
    pub private: Vec<u8>,
    /// Whether its create failed half-way, so that Terraform replaces it.
    pub is_tainted: bool,
    /// The addresses on which it depended when Terraform last applied it.
    pub dependencies: BTreeSet<String>,
}

impl Default for Object {
    fn default() -> Self {
        Self {
            value: Value::Null,
            private: Vec::new(),
            is_tainted: false,
            dependencies: BTreeSet::new(),
        }
    }
}

/// A state: the objects by their addresses, and those that were replaced and are still there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// The objects by their addresses.
    pub objects: BTreeMap<String, Object>,
    /// The former objects of blocks that create before they destroy.
    pub deposed: BTreeMap<String, Object>,
}

impl State {
    pub(super) fn values(&self) -> BTreeMap<String, Value> {
        let values = self.objects.iter();
        values
            .map(|(address, one)| (address.clone(), one.value.clone()))
            .collect()
    }
}

/// What a change does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Terraform changes nothing.
    NoOp,
    /// There was no object.
    Create,
    /// The object changes.
    Update,
    /// Another object takes its place; which is there first depends on the block.
    Replace,
    /// The object goes.
    Delete,
}

/// A planned change.
#[derive(Clone, Debug)]
pub struct Change {
    /// What it does.
    pub action: Action,
    /// The planned value; null for one that goes.
    pub planned: Value,
    /// What the provider noted beside the plan. Terraform hands it to the end of an object; a change is planned once more.
    pub(super) private: Vec<u8>,
}

/// The diagnostics of a command, and those that break Terraform's rules.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// The diagnostics, each with the address that it is about.
    pub diagnostics: Vec<(String, Diagnostic)>,
    /// Where the provider broke Terraform's rules: "provider produced inconsistent final plan" and its relatives.
    pub broken: Vec<String>,
}

impl Told {
    /// Whether a diagnostic stops the run.
    pub fn has_errors(&self) -> bool {
        let mut all = self.diagnostics.iter();
        !self.broken.is_empty() || all.any(|(_, one)| one.severity == Severity::Error)
    }

    pub(super) fn said(&mut self, address: &str, said: Diagnostics) {
        let said = said.iter().cloned();
        self.diagnostics
            .extend(said.map(|one| (address.to_owned(), one)));
    }

    pub(super) fn broke(&mut self, address: &str, rule: &str, what: Vec<String>) {
        let lines = what.into_iter();
        self.broken
            .extend(lines.map(|what| format!("{rule}: {address} {what}")));
    }

    pub(super) fn take(&mut self, other: Self) {
        self.diagnostics.extend(other.diagnostics);
        self.broken.extend(other.broken);
    }
}

/// What the model of Terraform is going to do: the plan that an apply takes.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The state as the refresh found it.
    pub refreshed: State,
    /// What changes, with what stays.
    pub changes: BTreeMap<String, Change>,
}

impl Plan {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.changes
            .values()
            .all(|change| change.action == Action::NoOp)
    }
}

/// How a plan is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether the objects are read before.
    pub refresh: bool,
    /// Whether everything goes.
    pub destroy: bool,
    /// The only objects of the command, with those that they need; all objects if it is empty.
    pub targets: BTreeSet<String>,
    /// Those that are replaced whatever changes.
    pub replace: BTreeSet<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            refresh: true,
            destroy: false,
            targets: BTreeSet::new(),
            replace: BTreeSet::new(),
        }
    }
}
