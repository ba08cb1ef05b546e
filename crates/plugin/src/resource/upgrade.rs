//! States of older versions, step by step.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::diagnostics::Diagnostics;
use crate::stored::RawState;

type Step = dyn Fn(RawState) -> Result<RawState, Diagnostics> + Send + Sync;

/// The steps that bring a state of an older version into the current form: one from each version to the next. That none is missing is checked
/// when the resource is registered.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// use tfplugin::prelude::*;
///
/// #[derive(Deserialize)]
/// struct V0 { label: Option<String> }
/// #[derive(Serialize, Deserialize)]
/// struct V1 { name: Option<String> }
/// #[derive(Serialize, Deserialize)]
/// struct V2 { name: Attr<String>, size: Attr<i64> }
///
/// fn upgrades() -> Upgrades {
///     Upgrades::new()
///         .from(0, |old: V0| Ok(V1 { name: old.label }))
///         .from(1, |old: V1| Ok(V2 { name: old.name.into(), size: Attr::Known(1) }))
/// }
/// # let _ = upgrades();
/// ```
#[doc(alias = "UpgradeState")]
#[doc(alias = "StateUpgrader")]
#[derive(Default)]
pub struct Upgrades {
    steps: BTreeMap<i64, Box<Step>>,
    twice: Vec<i64>,
}

impl fmt::Debug for Upgrades {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.steps.keys()).finish()
    }
}

impl Upgrades {
    /// No step yet: enough for a schema of version 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// The step from `version` to the one after it. Both forms are what serde reads and writes: a model of its own for each version, a map, or
    /// a [`Value`](crate::value::Value).
    #[must_use]
    pub fn from<Old: DeserializeOwned, New: Serialize>(
        mut self,
        version: i64,
        step: impl Fn(Old) -> Result<New, Diagnostics> + Send + Sync + 'static,
    ) -> Self {
        let step = move |state: RawState| Ok(RawState::write(&step(state.read()?)?)?);
        if self.steps.insert(version, Box::new(step)).is_some() {
            self.twice.push(version);
        }
        self
    }

    /// What is wrong with the steps to `current`, for the author.
    pub(crate) fn problems(&self, current: i64) -> Vec<String> {
        let mut problems = Vec::new();
        for version in &self.twice {
            problems.push(format!("there are two upgrades from version {version}"));
        }
        let first = self.steps.keys().next().copied();
        let first = first.unwrap_or(current.saturating_sub(1)).max(0);
        for version in first..current {
            if !self.steps.contains_key(&version) {
                problems.push(format!(
                    "its schema has version {current}, and there is no upgrade from version {version}"
                ));
            }
        }
        for version in self.steps.range(current..).map(|(version, _)| version) {
            problems.push(format!(
                "there is an upgrade from version {version}, and its schema has version {current}"
            ));
        }
        problems
    }

    /// A state in the form of `current`; `None` when no step begins at its version.
    pub(crate) fn upgraded(
        &self,
        version: i64,
        current: i64,
        mut state: RawState,
    ) -> Option<Result<RawState, Diagnostics>> {
        if version > current {
            return None;
        }
        for version in version..current {
            match self.steps.get(&version)?(state) {
                Ok(next) => state = next,
                Err(errors) => return Some(Err(errors)),
            }
        }
        Some(Ok(state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    fn renamed(
        from: &'static str,
        to: &'static str,
    ) -> impl Fn(Value) -> Result<Value, Diagnostics> {
        move |old: Value| Ok(Value::map([(to, old.get(from).clone())]))
    }

    #[test]
    fn a_state_takes_every_step_from_its_version() {
        let upgrades = Upgrades::new()
            .from(1, renamed("a", "b"))
            .from(2, renamed("b", "c"));
        assert!(upgrades.problems(3).is_empty());
        let upgraded = |version, text: &str| {
            let state = RawState::from_json_text(text).unwrap();
            let upgraded = upgrades.upgraded(version, 3, state);
            upgraded.map(|state| state.unwrap().to_json_text())
        };
        assert_eq!(upgraded(1, r#"{"a":7}"#).as_deref(), Some(r#"{"c":7}"#));
        assert_eq!(upgraded(2, r#"{"b":7}"#).as_deref(), Some(r#"{"c":7}"#));
        assert_eq!(upgraded(3, r#"{"c":7}"#).as_deref(), Some(r#"{"c":7}"#));
        assert_eq!((upgraded(0, "{}"), upgraded(4, "{}")), (None, None));
    }

    /// Each row: the versions that steps begin at, the current one, and how much is wrong.
    #[test]
    fn a_gap_is_found() {
        for (from, current, wrong) in [
            (&[][..], 0, 0),
            (&[], 1, 1),
            (&[0], 1, 0),
            (&[0, 2], 3, 1),
            (&[0, 0], 1, 1),
            (&[0, 1], 1, 1),
            (&[3], 4, 0),
        ] {
            let steps = from.iter().fold(Upgrades::new(), |all, version| {
                all.from(*version, renamed("a", "a"))
            });
            assert_eq!(
                steps.problems(current).len(),
                wrong,
                "{from:?} to {current}"
            );
        }
    }
}
