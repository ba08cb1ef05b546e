//! The types of Terraform values (cty), and their JSON form.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value as Json;

use super::path::Step;
use super::value::Value;

/// How deep types and values may nest. Terraform's own configurations stay far below; hostile bytes do not.
pub const DEEPEST: usize = 64;

/// The type of a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Type {
    /// Text.
    String,
    /// An exact number.
    Number,
    /// True or false.
    Bool,
    /// Any type; each value carries its own.
    Dynamic,
    /// Elements in order.
    List(Box<Type>),
    /// Elements without order or repetition.
    Set(Box<Type>),
    /// Elements by name, all of one type.
    Map(Box<Type>),
    /// Elements in order, each of its own type.
    Tuple(Vec<Type>),
    /// Named attributes; `optional` are those that a conversion may leave out.
    Object {
        /// Every attribute and its type.
        attributes: BTreeMap<String, Type>,
        /// Attributes that may be missing in a conversion.
        optional: BTreeSet<String>,
    },
}

/// JSON that describes no type.
#[derive(Debug, thiserror::Error)]
pub enum TypeError {
    /// Not JSON.
    #[error("the type is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON, but no type.
    #[error("`{0}` is not a type")]
    Unknown(String),
    /// Nested beyond all reason.
    #[error("the type nests deeper than {DEEPEST} levels")]
    TooDeep,
}

impl Type {
    /// The type of lists of any length.
    pub fn list(element: Type) -> Self {
        Self::List(Box::new(element))
    }

    /// The type of sets: without order, each element once.
    pub fn set(element: Type) -> Self {
        Self::Set(Box::new(element))
    }

    /// The type of maps from texts to `element`.
    pub fn map(element: Type) -> Self {
        Self::Map(Box::new(element))
    }

    /// An object with these attributes, all of them required.
    pub fn object<N: Into<String>>(attributes: impl IntoIterator<Item = (N, Type)>) -> Self {
        let attributes = attributes
            .into_iter()
            .map(|(name, ty)| (name.into(), ty))
            .collect();
        Self::Object {
            attributes,
            optional: BTreeSet::new(),
        }
    }

    /// The JSON form that schemas carry.
    pub(crate) fn to_json(&self) -> Json {
        match self {
            Self::String => Json::from("string"),
            Self::Number => Json::from("number"),
            Self::Bool => Json::from("bool"),
            Self::Dynamic => Json::from("dynamic"),
            Self::List(element) => Json::from(vec![Json::from("list"), element.to_json()]),
            Self::Set(element) => Json::from(vec![Json::from("set"), element.to_json()]),
            Self::Map(element) => Json::from(vec![Json::from("map"), element.to_json()]),
            Self::Tuple(elements) => {
                let elements: Vec<Json> = elements.iter().map(Self::to_json).collect();
                Json::from(vec![Json::from("tuple"), Json::from(elements)])
            }
            Self::Object {
                attributes,
                optional,
            } => {
                let fields = attributes
                    .iter()
                    .map(|(name, ty)| (name.clone(), ty.to_json()))
                    .collect();
                let mut parts = vec![Json::from("object"), Json::Object(fields)];
                if !optional.is_empty() {
                    parts.push(optional.iter().cloned().collect());
                }
                Json::from(parts)
            }
        }
    }

    /// The JSON form as bytes.
    pub fn to_json_bytes(&self) -> Vec<u8> {
        self.to_json().to_string().into_bytes()
    }

    /// Reads the JSON form.
    ///
    /// # Errors
    /// When the bytes are not JSON, or do not describe a type.
    pub fn from_json_bytes(bytes: &[u8]) -> Result<Self, TypeError> {
        Self::from_json(&serde_json::from_slice(bytes)?, 0)
    }

    /// Reads the JSON form from a value.
    pub(crate) fn from_value(value: &Value) -> Result<Self, TypeError> {
        Self::from_json(&serde_json::to_value(value)?, 0)
    }

    /// The type of the part that a step leads to; `None` where there is none.
    pub(crate) fn part(&self, step: &Step) -> Option<&Self> {
        match (self, step) {
            (Self::List(element) | Self::Set(element) | Self::Map(element), _) => Some(element),
            (Self::Object { attributes, .. }, Step::Attribute(name) | Step::Key(name)) => {
                attributes.get(name)
            }
            (Self::Tuple(elements), Step::Index(index)) => {
                elements.get(usize::try_from(*index).ok()?)
            }
            _ => None,
        }
    }

    fn from_json(json: &Json, depth: usize) -> Result<Self, TypeError> {
        if depth > DEEPEST {
            return Err(TypeError::TooDeep);
        }
        let unknown = || TypeError::Unknown(json.to_string().chars().take(80).collect());
        match json {
            Json::String(name) => match name.as_str() {
                "string" => Ok(Self::String),
                "number" => Ok(Self::Number),
                "bool" => Ok(Self::Bool),
                "dynamic" => Ok(Self::Dynamic),
                _ => Err(unknown()),
            },
            Json::Array(parts) => match parts.as_slice() {
                [Json::String(name), element] if name == "list" => {
                    Ok(Self::list(Self::from_json(element, depth + 1)?))
                }
                [Json::String(name), element] if name == "set" => {
                    Ok(Self::set(Self::from_json(element, depth + 1)?))
                }
                [Json::String(name), element] if name == "map" => {
                    Ok(Self::map(Self::from_json(element, depth + 1)?))
                }
                [Json::String(name), Json::Array(elements)] if name == "tuple" => {
                    let elements = elements
                        .iter()
                        .map(|element| Self::from_json(element, depth + 1));
                    Ok(Self::Tuple(elements.collect::<Result<_, _>>()?))
                }
                [Json::String(name), Json::Object(fields), rest @ ..]
                    if name == "object" && rest.len() <= 1 =>
                {
                    let attributes = fields
                        .iter()
                        .map(|(name, ty)| Ok((name.clone(), Self::from_json(ty, depth + 1)?)))
                        .collect::<Result<BTreeMap<_, _>, TypeError>>()?;
                    let optional = match rest.first() {
                        None => BTreeSet::new(),
                        Some(names) => names
                            .as_array()
                            .and_then(|names| {
                                names
                                    .iter()
                                    .map(|name| name.as_str().map(str::to_owned))
                                    .collect()
                            })
                            .ok_or_else(unknown)?,
                    };
                    Ok(Self::Object {
                        attributes,
                        optional,
                    })
                }
                _ => Err(unknown()),
            },
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String => f.write_str("string"),
            Self::Number => f.write_str("number"),
            Self::Bool => f.write_str("bool"),
            Self::Dynamic => f.write_str("any"),
            Self::List(element) => write!(f, "list of {element}"),
            Self::Set(element) => write!(f, "set of {element}"),
            Self::Map(element) => write!(f, "map of {element}"),
            Self::Tuple(_) => f.write_str("tuple"),
            Self::Object { .. } => f.write_str("object"),
        }
    }
}
