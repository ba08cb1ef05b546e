//! What an attribute refers to, followed through the variables and outputs of modules. The configuration in a plan has references without
//! values, so what an index is computed from is known only where it is written out, or is that of the resource itself (`each.key`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::plan::{DEPOSED, Plan, ResourceChange, by_configured};

/// How deep references through modules are followed.
const DEEPEST: u32 = 16;

/// A step of an address, and its index where one is written: `keys["eu"]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    name: String,
    index: Option<String>,
}

/// An address, step by step: `module.keys["eu"].aws_kms_key.x[0]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Place(Vec<Step>);

impl Place {
    fn of(address: &str) -> Self {
        let (mut steps, mut step) = (Vec::new(), String::new());
        let (mut depth, mut quoted, mut escaped) = (0_u32, false, false);
        let address = address.split(DEPOSED).next().unwrap_or_default();
        for c in address.chars() {
            match c {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' if depth > 0 => quoted = !quoted,
                '[' if !quoted => depth += 1,
                ']' if !quoted => depth = depth.saturating_sub(1),
                _ => {}
            }
            match c {
                '.' if depth == 0 => steps.push(Step::of(&std::mem::take(&mut step))),
                c => step.push(c),
            }
        }
        if !step.is_empty() {
            steps.push(Step::of(&step));
        }
        Self(steps)
    }

    fn names(&self) -> Vec<&str> {
        self.0.iter().map(|step| step.name.as_str()).collect()
    }

    /// Without indexes, as the configuration has it.
    fn configured(&self) -> String {
        self.names().join(".")
    }

    fn index_of(&self, step: usize) -> Option<String> {
        self.0.get(step)?.index.clone()
    }

    fn last_index(&self) -> Option<&String> {
        self.0.last()?.index.as_ref()
    }

    fn with(&self, steps: impl IntoIterator<Item = Step>) -> Self {
        Self(self.0.iter().cloned().chain(steps).collect())
    }

    /// The module that calls this one.
    fn parent(&self) -> Self {
        let length = self.0.len().saturating_sub(2);
        Self(self.0.iter().take(length).cloned().collect())
    }

    /// Whether an address may be meant: an index that is not known fits each.
    fn fits(&self, address: &Self) -> bool {
        let is_step = |(own, other): (&Step, &Step)| {
            own.name == other.name && (own.index.is_none() || own.index == other.index)
        };
        self.0.len() == address.0.len() && self.0.iter().zip(&address.0).all(is_step)
    }
}

impl Step {
    fn of(text: &str) -> Self {
        let Some((name, index)) = text.split_once('[') else {
            return Self::plain(text);
        };
        let index = index.strip_suffix(']').unwrap_or(index);
        // A key that is not as JSON writes it is compared as it stands.
        let index = serde_json::from_str(index).unwrap_or_else(|_| index.to_owned());
        Self {
            name: name.to_owned(),
            index: Some(index),
        }
    }

    fn plain(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            index: None,
        }
    }
}

/// Where an expression stands.
struct Scope {
    /// The instance of its module.
    module: Place,
    /// The key of the instance that it belongs to: of a resource, or of a call of a module.
    key: Option<String>,
}

/// A resource that an expression refers to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Reference {
    place: Place,
    /// The key of the instance that refers to it, where the expression uses that.
    key: Option<String>,
}

/// What is being followed.
struct Trail<'a> {
    plan: &'a Plan,
    found: BTreeSet<Reference>,
    /// The variables and outputs that were followed already: a reference is written once with each of its attributes.
    seen: BTreeSet<(Place, String)>,
}

impl Trail<'_> {
    fn follow(&mut self, expression: &Json, scope: &Scope, depth: u32) {
        if depth > DEEPEST {
            return;
        }
        let references = expression.get("references").and_then(Json::as_array);
        let references: Vec<Place> = references
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
            .map(Place::of)
            .collect();
        let by_key = references
            .iter()
            .any(|one| matches!(one.names().as_slice(), ["each", "key"] | ["count", "index"]));
        let key = scope.key.clone().filter(|_| by_key);
        // Terraform writes `x.y["a"]` and then `x.y` for the one reference.
        let mut written: Option<String> = None;
        for reference in &references {
            match reference.names().as_slice() {
                ["var", name, ..] => self.variable(name, scope, depth),
                ["module", name, output, ..] => {
                    let steps = [
                        Step::plain("module"),
                        Step {
                            name: (*name).to_owned(),
                            index: reference.index_of(1),
                        },
                    ];
                    self.output(scope.module.with(steps), output, depth);
                }
                [
                    "module" | "local" | "each" | "count" | "path" | "terraform" | "self" | "data"
                    | "ephemeral",
                    ..,
                ] => {}
                [kind, name, ..] => {
                    let (whole, index) = (format!("{kind}.{name}"), reference.index_of(1));
                    if index.is_none() && written.take().is_some_and(|own| own == whole) {
                        continue;
                    }
                    written = index.is_some().then_some(whole);
                    let name = Step {
                        name: (*name).to_owned(),
                        index,
                    };
                    self.found.insert(Reference {
                        place: scope.module.with([Step::plain(kind), name]),
                        key: key.clone(),
                    });
                }
                _ => {}
            }
        }
    }

    /// A variable has what the call of the module gives.
    fn variable(&mut self, name: &str, scope: &Scope, depth: u32) {
        if !self
            .seen
            .insert((scope.module.clone(), format!("var.{name}")))
        {
            return;
        }
        let plan = self.plan;
        if let Some((call, _)) = plan.module_call(&scope.module.configured())
            && let Some(inner) = call.get("expressions").and_then(|all| all.get(name))
        {
            let outside = Scope {
                module: scope.module.parent(),
                key: scope.module.last_index().cloned(),
            };
            self.follow(inner, &outside, depth + 1);
        }
    }

    /// An output has what the module says.
    fn output(&mut self, module: Place, output: &str, depth: u32) {
        if !self.seen.insert((module.clone(), output.to_owned())) {
            return;
        }
        let plan = self.plan;
        let expression = plan.module(&module.configured()).and_then(|module| {
            let output = module.get("outputs")?.get(output)?;
            output.get("expression")
        });
        if let Some(inner) = expression {
            self.follow(inner, &Scope { module, key: None }, depth + 1);
        }
    }
}

/// Finds the resources that attributes refer to.
pub(super) struct Finder<'a> {
    plan: &'a Plan,
    by_configured: BTreeMap<String, Vec<&'a ResourceChange>>,
}

impl<'a> Finder<'a> {
    pub(super) fn new(plan: &'a Plan) -> Self {
        Self {
            plan,
            by_configured: by_configured(&plan.changes),
        }
    }

    fn references(&self, change: &ResourceChange, attribute: &str) -> BTreeSet<Reference> {
        let mut trail = Trail {
            plan: self.plan,
            found: BTreeSet::new(),
            seen: BTreeSet::new(),
        };
        let expression =
            expressions(self.plan, change).and_then(|all| all.pointer(&format!("/{attribute}")));
        if let Some(expression) = expression {
            let scope = Scope {
                module: Place::of(&change.module),
                key: Place::of(&change.address).last_index().cloned(),
            };
            trail.follow(expression, &scope, 0);
        }
        trail.found
    }

    /// The resources of some types that an attribute of a resource may refer to: several where the plan does not show which instance it is.
    pub(super) fn referred(
        &self,
        change: &ResourceChange,
        attribute: &str,
        kinds: &[&str],
    ) -> Vec<&'a ResourceChange> {
        let mut found: BTreeMap<&str, &ResourceChange> = BTreeMap::new();
        for reference in self.references(change, attribute) {
            let instances = self.by_configured.get(&reference.place.configured());
            let fitting: Vec<(Place, &ResourceChange)> = instances
                .into_iter()
                .flatten()
                .filter(|one| kinds.contains(&one.kind.as_str()) && !one.address.contains(DEPOSED))
                .map(|one| (Place::of(&one.address), *one))
                .filter(|(place, _)| reference.place.fits(place))
                .collect();
            let is_same = |place: &Place| {
                reference.key.is_some() && place.last_index() == reference.key.as_ref()
            };
            let has_same = fitting.iter().any(|(place, _)| is_same(place));
            let meant = fitting
                .iter()
                .filter(|(place, _)| !has_same || is_same(place));
            found.extend(meant.map(|(_, one)| (one.address.as_str(), *one)));
        }
        found.into_values().collect()
    }

    /// The one resource of some types that an attribute refers to; `None` where there is none, or where the plan does not show which of
    /// several it is.
    pub(super) fn only(
        &self,
        change: &ResourceChange,
        attribute: &str,
        kinds: &[&str],
    ) -> Option<&'a ResourceChange> {
        match self.referred(change, attribute, kinds).as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }
}

/// What the configuration of a resource says, as far as the plan shows it.
pub(super) fn expressions<'a>(plan: &'a Plan, change: &ResourceChange) -> Option<&'a Json> {
    let path = Place::of(&change.module).configured();
    let own = change.configured();
    let local = own.strip_prefix(&format!("{path}.")).unwrap_or(&own);
    let resources = plan.module(&path)?.get("resources")?.as_array()?;
    resources
        .iter()
        .find(|one| one.get("address").is_some_and(|own| own == local))?
        .get("expressions")
}
