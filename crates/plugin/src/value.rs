//! Terraform's values: what a configuration, a plan or a state holds, with null and unknown.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{
    self, Deserialize, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use super::bridge::{DYNAMIC, NoForm, UNKNOWN, VALUE};
use super::codec;
use super::number::Number;
use super::types::Type;

/// A value of any type. Which type it has is said by the schema beside it, except inside [`Value::Dynamic`].
///
/// A model may have a `Value` where the schema says [`Type::Dynamic`], or wherever it does not want to say more:
///
/// ```
/// use tfplugin::value::Value;
///
/// let tags = Value::map([("team", "data".into()), ("cost", 7.into())]);
/// assert_eq!(tags.get("team").as_str(), Some("data"));
/// assert_eq!(tags.to_string(), r#"{ cost = 7, team = "data" }"#);
/// ```
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

    /// A value that is a text.
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

    /// The value without the type that it carries where the schema says any.
    pub fn undynamic(&self) -> &Self {
        match self {
            Self::Dynamic(inner) => inner.1.undynamic(),
            value => value,
        }
    }

    /// Whether there is no value.
    pub fn is_null(&self) -> bool {
        matches!(self.undynamic(), Self::Null)
    }

    /// Whether the value itself, not a part of it, is unknown.
    pub fn is_unknown(&self) -> bool {
        matches!(self.undynamic(), Self::Unknown(_))
    }

    /// The type of a value that no schema describes: a list is a tuple, since its elements may be of any type, and a map an object. Of null
    /// and of what is unknown, it is any.
    pub fn ty(&self) -> Type {
        match self {
            Self::Null | Self::Unknown(_) => Type::Dynamic,
            Self::Bool(_) => Type::Bool,
            Self::Number(_) => Type::Number,
            Self::String(_) => Type::String,
            Self::List(elements) => Type::Tuple(elements.iter().map(Self::ty).collect()),
            Self::Map(entries) => Type::object(
                entries
                    .iter()
                    .map(|(name, value)| (name.clone(), value.ty())),
            ),
            Self::Dynamic(inner) => inner.0.clone(),
        }
    }

    /// Whether the value can go over the wire as this type.
    pub(crate) fn fits(&self, ty: &Type) -> bool {
        codec::encode(self, ty).is_ok()
    }

    /// The same with the type that it has by itself, for where the schema says any.
    fn into_dynamic(self) -> Self {
        match self {
            Self::Null | Self::Unknown(_) | Self::Dynamic(_) => self,
            value => {
                let ty = value.ty();
                let value = value.canonical(&ty);
                Self::Dynamic(Box::new((ty, value)))
            }
        }
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
        match self.undynamic() {
            Self::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The elements, when this is a list, a set or a tuple; none otherwise.
    pub fn as_list(&self) -> &[Value] {
        match self.undynamic() {
            Self::List(elements) => elements,
            _ => &[],
        }
    }

    /// The text, when this is text.
    pub fn as_str(&self) -> Option<&str> {
        match self.undynamic() {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number; `None` when this is another kind of value.
    pub fn as_number(&self) -> Option<&Number> {
        match self.undynamic() {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    /// True or false, when this is one of them.
    pub fn as_bool(&self) -> Option<bool> {
        match self.undynamic() {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The attribute `name`; null when this is not an object, or has no such attribute.
    pub fn get(&self, name: &str) -> &Value {
        self.as_map()
            .and_then(|entries| entries.get(name))
            .unwrap_or(&Value::Null)
    }

    /// The value at a dotted path of attributes, or null.
    pub fn at(&self, dotted: &str) -> &Value {
        dotted.split('.').fold(self, |value, name| value.get(name))
    }

    /// The same value with every set sorted and freed of repetitions, and with its type where `ty` says any.
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
            (value, Type::Dynamic) => value.into_dynamic(),
            (value, _) => value,
        }
    }

    /// This value, with what a typed model has no place for from the value that the model was read from: what is known of an unknown, the
    /// known parts of what is not wholly known, and the type of a value where the schema says any.
    #[must_use]
    pub(crate) fn restored(self, from: &Value) -> Self {
        match (self, from) {
            // The model has no place for a part that is not known, and read the whole as unknown.
            (Self::Unknown(_), from) if !from.is_wholly_known() => from.clone(),
            (value, Self::Dynamic(inner)) if !matches!(value, Self::Dynamic(_)) => {
                let (ty, before) = inner.as_ref();
                let typed = value.clone().restored(before).canonical(ty);
                // A value that was unknown when its type was known must turn out to have that type.
                match typed == *before || (before.is_unknown() && typed.fits(ty)) {
                    true => Self::Dynamic(Box::new((ty.clone(), typed))),
                    false => value,
                }
            }
            (Self::Dynamic(own), Self::Dynamic(inner)) if own.0 == inner.0 => {
                let (ty, value) = *own;
                Self::Dynamic(Box::new((ty, value.restored(&inner.1))))
            }
            (Self::Map(entries), Self::Map(others)) => Self::Map(
                entries
                    .into_iter()
                    .map(|(name, value)| match others.get(&name) {
                        Some(other) => {
                            let value = value.restored(other);
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
                        .map(|(value, other)| value.restored(other))
                        .collect(),
                )
            }
            (value, _) => value,
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<Number> for Value {
    fn from(number: Number) -> Self {
        Self::Number(number)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Number(value.into())
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Number(i64::from(value).into())
    }
}

impl<V: Into<Value>> From<Vec<V>> for Value {
    fn from(elements: Vec<V>) -> Self {
        Self::List(elements.into_iter().map(Into::into).collect())
    }
}

impl<V: Into<Value>> From<Option<V>> for Value {
    fn from(value: Option<V>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// In other formats than that of Terraform, a value is what they have for it, one with a type of its own `{"type": …, "value": …}` as in
/// Terraform's states, and an unknown has no form.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Unknown(_) => serializer.serialize_newtype_struct(UNKNOWN, &NoForm),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::String(text) => serializer.serialize_str(text),
            Self::List(elements) => elements.serialize(serializer),
            Self::Map(entries) => entries.serialize(serializer),
            Self::Dynamic(inner) => {
                let mut pair = serializer.serialize_struct(DYNAMIC, 2)?;
                pair.serialize_field("type", &inner.0.to_json())?;
                pair.serialize_field("value", &inner.1)?;
                pair.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(VALUE, AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    /// The bridge says what it is.
    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Value, A::Error> {
        struct Pair;

        impl<'de> Visitor<'de> for Pair {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a type and a value of it")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Value, A::Error> {
                let ty: Option<String> = parts.next_element()?;
                let ty = Type::from_json_bytes(ty.unwrap_or_default().as_bytes());
                let ty = ty.map_err(de::Error::custom)?;
                let value = parts.next_element()?.unwrap_or(Value::Null);
                Ok(Value::Dynamic(Box::new((ty, value))))
            }
        }

        let (kind, inner): (String, _) = data.variant()?;
        match kind.as_str() {
            "Unknown" => Ok(Value::unknown()),
            "Bool" => inner.newtype_variant().map(Value::Bool),
            "Number" => inner.newtype_variant().map(Value::Number),
            "String" => inner.newtype_variant().map(Value::String),
            "List" => inner.newtype_variant().map(Value::List),
            "Map" => inner.newtype_variant().map(Value::Map),
            "Dynamic" => inner.tuple_variant(2, Pair),
            _ => Ok(Value::Null),
        }
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::shortest(value)
            .map(Value::Number)
            .map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::string(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = parts.next_element()? {
            elements.push(element);
        }
        Ok(Value::List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut parts: A) -> Result<Value, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((name, value)) = parts.next_entry::<String, Value>()? {
            // serde_json shows its numbers like this where another crate has turned on `arbitrary_precision`.
            if name == "$serde_json::private::Number" {
                let number = value.as_str().unwrap_or_default().parse();
                return number.map(Value::Number).map_err(de::Error::custom);
            }
            entries.insert(name, value);
        }
        Ok(Value::Map(entries))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::{BridgeError, from_value, to_value};

    /// One of each, at the top and inside.
    fn all() -> Vec<Value> {
        let typed = |ty, value| Value::Dynamic(Box::new((ty, value)));
        let plain = vec![
            Value::Null,
            Value::unknown(),
            Value::from(true),
            Value::from("0.1"),
            Value::Number("0.1".parse().unwrap()),
            Value::Number("123456789012345678901234567890.5".parse().unwrap()),
            typed(Type::String, Value::Null),
            typed(Type::Number, Value::unknown()),
            typed(Type::set(Type::String), Value::from(vec!["a", "b"])),
            typed(
                Type::Tuple(vec![Type::Bool, Type::Dynamic]),
                Value::List(vec![true.into(), typed(Type::Number, 7.into())]),
            ),
        ];
        let inside = Value::map([("list", Value::List(plain.clone()))]);
        plain.into_iter().chain([inside]).collect()
    }

    #[test]
    fn a_value_in_a_model_is_what_it_was() -> Result<(), BridgeError> {
        for value in all() {
            let read: Value = from_value(&value)?;
            assert_eq!(read, value);
            assert_eq!(to_value(&read)?, value);
        }
        Ok(())
    }

    #[test]
    fn a_value_has_the_form_of_json_and_an_unknown_has_none() -> Result<(), serde_json::Error> {
        let value = Value::map([
            ("a", Value::from(vec![Some("x"), None])),
            ("n", Value::Number("0.1".parse().unwrap())),
            (
                "d",
                Value::Dynamic(Box::new((Type::list(Type::Bool), Value::from(vec![true])))),
            ),
        ]);
        let json = serde_json::to_string(&value)?;
        assert_eq!(
            json,
            r#"{"a":["x",null],"d":{"type":["list","bool"],"value":[true]},"n":0.1}"#
        );
        let back: Value = serde_json::from_str(&json)?;
        assert_eq!(
            (back.get("a"), back.get("n")),
            (value.get("a"), value.get("n"))
        );
        assert!(serde_json::to_string(&Value::List(vec![Value::unknown()])).is_err());
        Ok(())
    }

    #[test]
    fn a_value_of_any_type_gets_the_one_that_it_has_by_itself() {
        let value = Value::map([("a", Value::from(vec![1, 2])), ("b", Value::Null)]);
        let Value::Dynamic(typed) = value.canonical(&Type::Dynamic) else {
            panic!("it has no type")
        };
        let expected = Type::object([
            ("a", Type::Tuple(vec![Type::Number, Type::Number])),
            ("b", Type::Dynamic),
        ]);
        assert_eq!(typed.0, expected);
        assert!(Value::Null.canonical(&Type::Dynamic).is_null());
    }

    /// Each row: what a model gives back, what it was read from, and what goes out.
    #[test]
    fn what_a_model_has_no_place_for_comes_back() {
        let typed = |ty: Type, value: Value| Value::Dynamic(Box::new((ty, value)));
        let partly = Value::List(vec![Value::from("a"), Value::unknown()]);
        let texts = || Value::from(vec!["a", "b"]);
        for (given, from, expected) in [
            (Value::unknown(), partly.clone(), partly),
            (Value::unknown(), texts(), Value::unknown()),
            (
                texts(),
                typed(Type::set(Type::String), texts()),
                typed(Type::set(Type::String), texts()),
            ),
            (
                Value::from("x"),
                typed(Type::set(Type::String), texts()),
                Value::from("x"),
            ),
            (
                Value::Null,
                typed(Type::String, Value::Null),
                typed(Type::String, Value::Null),
            ),
        ] {
            assert_eq!(given.restored(&from), expected);
        }
    }
}
