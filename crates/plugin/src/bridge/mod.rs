//! From [`Value`] to typed models and back, over serde.
//!
//! A model says of each attribute what it can bear: `T` must be there and known, `Option<T>` may be null, and [`Attr<T>`]
//! may be null or unknown. An unknown where the model does not expect one is an error with its path, never a default.

mod read;
mod write;

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, DeserializeOwned, Visitor};
use serde::ser;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use self::read::ValueDeserializer;
use self::write::ValueSerializer;
use super::path::{Path, Step};
use super::value::Value;

/// The name by which the bridge recognises [`Attr`]; no other serde format is meant to see one.
const ATTR: &str = "$tfplugin::Attr";
const NULL: &str = "Null";
const UNKNOWN: &str = "Unknown";
const KNOWN: &str = "Known";

/// An attribute that may be null, or not known before apply.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attr<T> {
    /// No value.
    #[default]
    Null,
    /// Not known before apply.
    Unknown,
    /// A value.
    Known(T),
}

impl<T> Attr<T> {
    /// The value, if there is one and it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Null | Self::Unknown => None,
        }
    }

    /// Whether it will only be known after apply.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }

    /// Whether there is no value.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The value or `default` when there is none; unknown stays unknown.
    #[must_use]
    pub fn or(self, default: T) -> Self {
        if self.is_null() {
            Self::Known(default)
        } else {
            self
        }
    }

    /// Another value made from this one; null and unknown stay what they are.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Attr<U> {
        match self {
            Self::Null => Attr::Null,
            Self::Unknown => Attr::Unknown,
            Self::Known(value) => Attr::Known(f(value)),
        }
    }

    /// The same attribute by reference.
    pub fn as_ref(&self) -> Attr<&T> {
        match self {
            Self::Null => Attr::Null,
            Self::Unknown => Attr::Unknown,
            Self::Known(value) => Attr::Known(value),
        }
    }
}

impl<T> From<Option<T>> for Attr<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Self::Known)
    }
}

impl<T: Serialize> Serialize for Attr<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit_variant(ATTR, 0, NULL),
            Self::Unknown => serializer.serialize_unit_variant(ATTR, 1, UNKNOWN),
            Self::Known(value) => serializer.serialize_newtype_variant(ATTR, 2, KNOWN, value),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Attr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AttrVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for AttrVisitor<T> {
            type Value = Attr<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an attribute")
            }

            fn visit_enum<A: de::EnumAccess<'de>>(self, data: A) -> Result<Self::Value, A::Error> {
                let (name, variant): (String, _) = data.variant()?;
                match name.as_str() {
                    KNOWN => de::VariantAccess::newtype_variant(variant).map(Attr::Known),
                    UNKNOWN => Ok(Attr::Unknown),
                    _ => Ok(Attr::Null),
                }
            }
        }

        deserializer.deserialize_enum(ATTR, &[NULL, UNKNOWN, KNOWN], AttrVisitor(PhantomData))
    }
}

/// A value that does not fit its model, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeError {
    /// Where in the value.
    pub path: Path,
    /// What is wrong there.
    pub message: String,
}

impl BridgeError {
    fn new(message: impl fmt::Display) -> Self {
        Self {
            path: Path::root(),
            message: message.to_string(),
        }
    }

    fn within(mut self, step: Step) -> Self {
        self.path.prepend(step);
        self
    }
}

impl fmt::Display for BridgeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_root() {
            f.write_str(&self.message)
        } else {
            write!(f, "at {}: {}", self.path, self.message)
        }
    }
}

impl std::error::Error for BridgeError {}

impl de::Error for BridgeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message)
    }
}

impl ser::Error for BridgeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message)
    }
}

/// Reads a typed model from a value.
///
/// # Errors
/// When the value does not fit the model; the error says where.
pub fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T, BridgeError> {
    T::deserialize(ValueDeserializer(value))
}

/// Writes a typed model as a value. Sets come out in the model's order; see [`Value::canonical`].
///
/// # Errors
/// When the model holds something that Terraform has no type for: a fault of the provider.
pub fn to_value<T: Serialize>(model: &T) -> Result<Value, BridgeError> {
    model.serialize(ValueSerializer)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::number::Number;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Model {
        name: String,
        region: Attr<String>,
        days: Option<u32>,
        inner: Attr<Inner>,
        tags: BTreeMap<String, String>,
        kind: Kind,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Inner {
        on: Attr<bool>,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    enum Kind {
        #[serde(rename = "STORAGE")]
        Storage,
    }

    fn model() -> Model {
        Model {
            name: "a".to_owned(),
            region: Attr::Unknown,
            days: Some(7),
            inner: Attr::Known(Inner { on: Attr::Null }),
            tags: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
            kind: Kind::Storage,
        }
    }

    #[test]
    fn a_model_survives_the_way_there_and_back() -> Result<(), BridgeError> {
        let value = to_value(&model())?;
        assert!(value.get("region").is_unknown());
        assert_eq!(value.get("kind"), &Value::string("STORAGE"));
        assert_eq!(from_value::<Model>(&value)?, model());
        Ok(())
    }

    /// Each row: the attribute that is replaced, its new value, and the error.
    #[test]
    fn what_does_not_fit_is_an_error_with_its_path() -> Result<(), BridgeError> {
        let rows = [
            (
                "name",
                Value::unknown(),
                "at name: the value is not known yet",
            ),
            (
                "days",
                Value::Number(Number::from(-1_i64)),
                "at days: `-1` is not a whole number in range",
            ),
            (
                "inner",
                Value::map([("on", Value::string("yes"))]),
                "at inner.on: invalid type: string \"yes\", expected a boolean",
            ),
            (
                "kind",
                Value::string("EBS"),
                "at kind: unknown variant `EBS`, expected `STORAGE`",
            ),
        ];
        for (name, wrong, message) in rows {
            let Value::Map(mut entries) = to_value(&model())? else {
                panic!("a model is an object")
            };
            entries.insert(name.to_owned(), wrong);
            let error = from_value::<Model>(&Value::Map(entries)).expect_err(name);
            assert_eq!(error.to_string(), message);
        }
        Ok(())
    }
}
