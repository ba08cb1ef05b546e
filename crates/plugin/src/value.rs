//! Terraform's values: what a configuration, a plan or a state holds, with null and unknown.

use std::collections::BTreeMap;
use std::fmt;

use super::number::Number;
use super::types::Type;

/// A value of any type. Which type it has is said by the schema beside it, except inside [`Value::Dynamic`].
///
/// Sets are kept sorted and without repetition (see [`Value::canonical`]), so that `==` compares what is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// No value.
    Null,
    /// A value that is not known before apply; what is already known of it is in the refinement.
    Unknown(Refinement),
    /// True or false.
    Bool(bool),
    /// An exact number.
    Number(Number),
    /// Text.
    String(String),
    /// The elements of a list, set or tuple.
    List(Vec<Value>),
    /// The elements of a map, or the attributes of an object.
    Map(BTreeMap<String, Value>),
    /// A value where the schema says `dynamic`, with the type it really has.
    Dynamic(Box<(Type, Value)>),
}

/// What is known of an unknown value. Terraform sends it, and loses nothing when it comes back.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refinement {
    /// `Some(true)`: it will be null; `Some(false)`: it will not.
    pub null: Option<bool>,
    /// What the text will begin with.
    pub prefix: Option<String>,
    /// The least number it can be, and whether the bound itself is possible.
    pub lower: Option<(Number, bool)>,
    /// The greatest number it can be, and whether the bound itself is possible.
    pub upper: Option<(Number, bool)>,
    /// The fewest elements it can have.
    pub fewest: Option<i64>,
    /// The most elements it can have.
    pub most: Option<i64>,
}

impl Value {
    /// A value of which nothing is known.
    pub fn unknown() -> Self {
        Self::Unknown(Refinement::default())
    }

    /// Text.
    pub fn string(text: impl Into<String>) -> Self {
        Self::String(text.into())
    }

    /// An object or map.
    pub fn map<N: Into<String>>(entries: impl IntoIterator<Item = (N, Value)>) -> Self {
        Self::Map(
            entries
                .into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect(),
        )
    }

    /// Whether there is no value.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Whether the value itself, not a part of it, is unknown.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }

    /// Whether neither the value nor any part of it is unknown.
    pub fn is_wholly_known(&self) -> bool {
        match self {
            Self::Unknown(_) => false,
            Self::List(elements) => elements.iter().all(Self::is_wholly_known),
            Self::Map(entries) => entries.values().all(Self::is_wholly_known),
            Self::Dynamic(inner) => inner.1.is_wholly_known(),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => true,
        }
    }

    /// The attributes, when this is an object or a map.
    pub fn as_map(&self) -> Option<&BTreeMap<String, Value>> {
        match self {
            Self::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The text, when this is text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The attribute `name`, or null when this is no object or has no such attribute.
    pub fn get(&self, name: &str) -> &Value {
        self.as_map()
            .and_then(|entries| entries.get(name))
            .unwrap_or(&Value::Null)
    }

    /// The value at a dotted path of attributes, or null.
    pub fn at(&self, dotted: &str) -> &Value {
        dotted.split('.').fold(self, |value, name| value.get(name))
    }

    /// The same value with every set sorted and freed of repetitions.
    #[must_use]
    pub fn canonical(self, ty: &Type) -> Self {
        match (self, ty) {
            (Self::List(elements), Type::List(element)) => Self::List(
                elements
                    .into_iter()
                    .map(|value| value.canonical(element))
                    .collect(),
            ),
            (Self::List(elements), Type::Set(element)) => {
                let mut elements: Vec<_> = elements
                    .into_iter()
                    .map(|value| value.canonical(element))
                    .collect();
                elements.sort();
                // Two unknowns in a set may turn out different: only what is wholly known can repeat.
                elements.dedup_by(|a, b| a == b && a.is_wholly_known());
                Self::List(elements)
            }
            (Self::List(elements), Type::Tuple(types)) if elements.len() == types.len() => {
                Self::List(
                    elements
                        .into_iter()
                        .zip(types)
                        .map(|(value, ty)| value.canonical(ty))
                        .collect(),
                )
            }
            (Self::Map(entries), Type::Map(element)) => Self::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| (key, value.canonical(element)))
                    .collect(),
            ),
            (Self::Map(entries), Type::Object { attributes, .. }) => Self::Map(
                entries
                    .into_iter()
                    .map(|(name, value)| match attributes.get(&name) {
                        Some(ty) => {
                            let value = value.canonical(ty);
                            (name, value)
                        }
                        None => (name, value),
                    })
                    .collect(),
            ),
            (Self::Dynamic(inner), Type::Dynamic) => {
                let (ty, value) = *inner;
                let value = value.canonical(&ty);
                Self::Dynamic(Box::new((ty, value)))
            }
            (value, _) => value,
        }
    }

    /// This value, where an unknown takes over what `known` knows of the same unknown: a resource that rebuilds its plan
    /// from typed models must not lose Terraform's refinements.
    #[must_use]
    pub fn with_refinements_of(self, known: &Value) -> Self {
        match (self, known) {
            (Self::Unknown(_), Self::Unknown(refinement)) => Self::Unknown(refinement.clone()),
            (Self::Map(entries), Self::Map(others)) => Self::Map(
                entries
                    .into_iter()
                    .map(|(name, value)| match others.get(&name) {
                        Some(other) => {
                            let value = value.with_refinements_of(other);
                            (name, value)
                        }
                        None => (name, value),
                    })
                    .collect(),
            ),
            (Self::List(elements), Self::List(others)) if elements.len() == others.len() => {
                Self::List(
                    elements
                        .into_iter()
                        .zip(others)
                        .map(|(value, other)| value.with_refinements_of(other))
                        .collect(),
                )
            }
            (value, _) => value,
        }
    }
}

/// A short form for diagnostics: what a person would write in HCL, long values cut.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Unknown(_) => f.write_str("(known after apply)"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{value}"),
            Self::String(text) if text.chars().count() > 200 => {
                write!(
                    f,
                    "{:?} and more",
                    text.chars().take(200).collect::<String>()
                )
            }
            Self::String(text) => write!(f, "{text:?}"),
            Self::List(elements) => {
                f.write_str("[")?;
                for (position, element) in elements.iter().enumerate() {
                    if position > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{element}")?;
                }
                f.write_str("]")
            }
            Self::Map(entries) => {
                f.write_str("{ ")?;
                for (position, (name, value)) in entries.iter().enumerate() {
                    if position > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{name} = {value}")?;
                }
                f.write_str(" }")
            }
            Self::Dynamic(inner) => write!(f, "{}", inner.1),
        }
    }
}
