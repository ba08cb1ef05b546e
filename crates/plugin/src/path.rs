//! Where in a configuration a value stands: what Terraform needs to show the user their own line.

use std::fmt;

use super::proto::tfplugin6::{AttributePath, attribute_path};

/// One step from a value to a part of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Step {
    /// An attribute of an object.
    Attribute(String),
    /// An element of a map.
    Key(String),
    /// An element of a list, counted from 0.
    Index(i64),
}

/// A path from the root of a configuration or state; empty means the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<Step>);

impl Path {
    /// The whole object.
    pub fn root() -> Self {
        Self::default()
    }

    /// A path through attributes only, written with dots: `aws.key_arn`.
    pub fn of(dotted: &str) -> Self {
        Self(
            dotted
                .split('.')
                .map(|name| Step::Attribute(name.to_owned()))
                .collect(),
        )
    }

    /// This path, one attribute further.
    pub fn attribute(&self, name: &str) -> Self {
        self.step(Step::Attribute(name.to_owned()))
    }

    /// This path, one map element further.
    pub fn key(&self, key: &str) -> Self {
        self.step(Step::Key(key.to_owned()))
    }

    /// This path, one list element further.
    pub fn index(&self, index: usize) -> Self {
        self.step(Step::Index(i64::try_from(index).unwrap_or(i64::MAX)))
    }

    /// This path with `step` behind it.
    pub fn step(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// Puts `step` in front; used while an error travels outwards.
    pub fn prepend(&mut self, step: Step) {
        self.0.insert(0, step);
    }

    /// The steps, outermost first.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The path of the first step alone; `None` for the whole object.
    pub fn outermost(&self) -> Option<Self> {
        self.0.first().map(|step| Self(vec![step.clone()]))
    }

    /// Whether this is the whole object.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn of_steps(steps: &[Step]) -> Self {
        Self(steps.to_vec())
    }

    #[cfg(feature = "testing")]
    pub(crate) fn from_proto(path: AttributePath) -> Self {
        use attribute_path::step::Selector;
        let steps = path.steps.into_iter().filter_map(|step| {
            Some(match step.selector? {
                Selector::AttributeName(name) => Step::Attribute(name),
                Selector::ElementKeyString(key) => Step::Key(key),
                Selector::ElementKeyInt(index) => Step::Index(index),
            })
        });
        Self(steps.collect())
    }

    /// The message that goes over the wire.
    pub(crate) fn to_proto(&self) -> AttributePath {
        use attribute_path::step::Selector;
        let steps = self.0.iter().map(|step| {
            let selector = match step {
                Step::Attribute(name) => Selector::AttributeName(name.clone()),
                Step::Key(key) => Selector::ElementKeyString(key.clone()),
                Step::Index(index) => Selector::ElementKeyInt(*index),
            };
            attribute_path::Step {
                selector: Some(selector),
            }
        });
        AttributePath {
            steps: steps.collect(),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Attribute(name) if position == 0 => write!(f, "{name}")?,
                Step::Attribute(name) => write!(f, ".{name}")?,
                Step::Key(key) => write!(f, "[{key:?}]")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_people_write_it() {
        assert_eq!(Path::of("aws.key_arn").to_string(), "aws.key_arn");
        assert_eq!(
            Path::of("rules")
                .index(2)
                .attribute("name")
                .key("a b")
                .to_string(),
            "rules[2].name[\"a b\"]"
        );
        assert!(Path::root().is_root());
    }
}
