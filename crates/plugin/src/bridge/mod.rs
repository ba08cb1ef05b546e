//! From [`Value`] to typed models and back, over serde.
//!
//! A model says of each attribute what it can bear: `T` must be there and known, `Option<T>` may be null, and [`Attr<T>`]
//! may be null or unknown. An unknown where the model does not expect one is an error with its path, never a default.
//!
//! `#[serde(flatten)]`, `untagged` and internally tagged enums read a value into a buffer of serde's first, which has no place for what is
//! unknown: they do for states and for what is wholly known, and not for a plan.

mod read;
mod write;

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, DeserializeOwned, Visitor};
use serde::ser;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use self::read::ValueDeserializer;
use self::write::ValueSerializer;
use super::diagnostics::Diagnostic;
use super::path::{Path, Step};
use super::value::Value;

/// The names by which the bridge recognises what has no form in serde. Any other format sees through them: null is its null, a value is
/// itself, and what is unknown has no form.
const ATTR: &str = "$tfplugin::Attr";
pub(crate) const UNKNOWN: &str = "$tfplugin::Unknown";
pub(crate) const NUMBER: &str = "$tfplugin::Number";
pub(crate) const VALUE: &str = "$tfplugin::Value";
pub(crate) const DYNAMIC: &str = "$tfplugin::Dynamic";

/// Stands under [`UNKNOWN`]: no other format has a form for it, and none may take it for a value.
pub(crate) struct NoForm;

impl Serialize for NoForm {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(ser::Error::custom(
            "a value that is not known yet has no form here",
        ))
    }
}

/// An attribute that may be null, or not known before apply.
///
/// A part that is not known makes the whole unknown where the model has no place for it: `["a", (known after apply)]` is `Unknown` for an
/// `Attr<Vec<String>>`, and known with an unknown element for an `Attr<Vec<Attr<String>>>`. Nothing is lost by that: what a resource
/// leaves as it is goes back as it came.
///
/// In JSON and other formats, `Null` is their null and `Known` the value itself; `Unknown` has no form there.
///
/// ```
/// use tfplugin::bridge::Attr;
///
/// let size: Attr<u32> = Some(7).into();
/// assert_eq!(size.known(), Some(&7));
/// assert_eq!(Attr::Null.or(7), size);
/// assert_eq!(Attr::<u32>::Unknown.map(|size| size * 2), Attr::Unknown);
/// ```
#[doc(alias = "types.String")]
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

    /// The value where there must be one: of a required attribute, or one with a default, in a create, an update, a read or a delete.
    ///
    /// # Errors
    /// When there is none; the diagnostic calls that a bug of the provider.
    pub fn require(&self) -> Result<&T, Diagnostic> {
        let what = match self {
            Self::Known(value) => return Ok(value),
            Self::Null => "null",
            Self::Unknown => "not known",
        };
        Err(Diagnostic::bug(format!(
            "A value is {what} where the provider needs one."
        )))
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
            Self::Null => serializer.serialize_none(),
            Self::Unknown => serializer.serialize_newtype_struct(UNKNOWN, &NoForm),
            Self::Known(value) => value.serialize(serializer),
        }
    }
}

/// What is not null.
struct Present<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Present<T> {
    type Value = Attr<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an attribute")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Attr<T>, D::Error> {
        T::deserialize(inner).map(Attr::Known)
    }

    /// The bridge says whether it is unknown, then gives the value, and says whether it failed because a part is unknown.
    fn visit_seq<A: de::SeqAccess<'de>>(self, mut parts: A) -> Result<Attr<T>, A::Error> {
        if parts.next_element::<bool>()? == Some(true) {
            return Ok(Attr::Unknown);
        }
        match parts.next_element::<T>() {
            Ok(Some(value)) => Ok(Attr::Known(value)),
            Ok(None) => Ok(Attr::Null),
            Err(_) if parts.next_element::<bool>()? == Some(true) => Ok(Attr::Unknown),
            Err(error) => Err(error),
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

            fn visit_none<E: de::Error>(self) -> Result<Attr<T>, E> {
                Ok(Attr::Null)
            }

            fn visit_unit<E: de::Error>(self) -> Result<Attr<T>, E> {
                Ok(Attr::Null)
            }

            fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Attr<T>, D::Error> {
                inner.deserialize_newtype_struct(ATTR, Present(PhantomData))
            }
        }

        deserializer.deserialize_option(AttrVisitor(PhantomData))
    }
}

/// Why a value does not fit: what the user gave can be to blame, or the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It is not known, and the model has no place for that.
    Unknown,
    /// It is null, and the model has no place for that.
    Null,
    /// It is a number beyond those of the model.
    Number,
    /// It is something else.
    #[default]
    Other,
}

/// A value that does not fit its model, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeError {
    /// Where in the value.
    pub path: Path,
    /// What is wrong there.
    pub message: String,
    pub(crate) cause: Cause,
}

impl BridgeError {
    fn new(message: impl fmt::Display) -> Self {
        Self {
            path: Path::root(),
            message: message.to_string(),
            cause: Cause::Other,
        }
    }

    fn because(cause: Cause, message: impl fmt::Display) -> Self {
        Self {
            cause,
            ..Self::new(message)
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
    model.serialize(ValueSerializer { like: None })
}

/// The same for a model that was read from `like`: a number that lost nothing but digits in an `f64` gets them back.
pub(crate) fn to_value_like<T: Serialize>(model: &T, like: &Value) -> Result<Value, BridgeError> {
    model.serialize(ValueSerializer { like: Some(like) })
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
                "at days: `-1` is not a whole number from 0 to 4294967295",
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
