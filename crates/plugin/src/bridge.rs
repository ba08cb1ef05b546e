//! From [`Value`] to typed models and back, over serde.
//!
//! A model says of each attribute what it can bear: `T` must be there and known, `Option<T>` may be null, and [`Attr<T>`]
//! may be null or unknown. An unknown where the model does not expect one is an error with its path, never a default.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor};
use serde::ser;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::number::Number;
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

struct ValueDeserializer<'a>(&'a Value);

macro_rules! integers {
    ($($method:ident $visit:ident $ty:ty),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BridgeError> {
            match self.0 {
                Value::Number(number) => match number.as_i64().and_then(|value| <$ty>::try_from(value).ok()) {
                    Some(value) => visitor.$visit(value),
                    None => Err(BridgeError::new(format!("`{number}` is not a whole number in range"))),
                },
                _ => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for ValueDeserializer<'_> {
    type Error = BridgeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BridgeError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Unknown(_) => Err(BridgeError::new("the value is not known yet")),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match number.as_i64() {
                Some(value) => visitor.visit_i64(value),
                None => match number.as_exact_f64() {
                    Some(value) => visitor.visit_f64(value),
                    None => visitor.visit_string(number.to_string()),
                },
            },
            Value::String(text) => visitor.visit_str(text),
            Value::List(elements) => visitor.visit_seq(Elements {
                elements: elements.iter().enumerate(),
            }),
            Value::Map(entries) => visitor.visit_map(Entries {
                entries: entries.iter(),
                value: None,
            }),
            Value::Dynamic(inner) => ValueDeserializer(&inner.1).deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BridgeError> {
        if self.0.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, BridgeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, BridgeError> {
        match self.0 {
            Value::Null if name == ATTR => visitor.visit_enum(Variant {
                name: NULL,
                value: None,
            }),
            Value::Unknown(_) if name == ATTR => visitor.visit_enum(Variant {
                name: UNKNOWN,
                value: None,
            }),
            value if name == ATTR => visitor.visit_enum(Variant {
                name: KNOWN,
                value: Some(value),
            }),
            Value::String(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            _ => self.deserialize_any(visitor),
        }
    }

    integers! {
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32, deserialize_i64 visit_i64 i64,
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64
    }

    serde::forward_to_deserialize_any! {
        bool f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
        i128 u128
    }
}

struct Elements<'a> {
    elements: std::iter::Enumerate<std::slice::Iter<'a, Value>>,
}

impl<'de> de::SeqAccess<'de> for Elements<'_> {
    type Error = BridgeError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, BridgeError> {
        let Some((index, value)) = self.elements.next() else {
            return Ok(None);
        };
        seed.deserialize(ValueDeserializer(value))
            .map(Some)
            .map_err(|error| error.within(Step::Index(i64::try_from(index).unwrap_or(i64::MAX))))
    }
}

struct Entries<'a> {
    entries: std::collections::btree_map::Iter<'a, String, Value>,
    value: Option<(&'a str, &'a Value)>,
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = BridgeError;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, BridgeError> {
        let Some((name, value)) = self.entries.next() else {
            return Ok(None);
        };
        self.value = Some((name, value));
        seed.deserialize(name.as_str().into_deserializer())
            .map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, BridgeError> {
        let (name, value) = self
            .value
            .take()
            .ok_or_else(|| BridgeError::new("a value without its name"))?;
        seed.deserialize(ValueDeserializer(value))
            .map_err(|error| error.within(Step::Attribute(name.to_owned())))
    }
}

struct Variant<'a> {
    name: &'static str,
    value: Option<&'a Value>,
}

impl<'a, 'de> de::EnumAccess<'de> for Variant<'a> {
    type Error = BridgeError;
    type Variant = Payload<'a>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Payload<'a>), BridgeError> {
        let name = seed.deserialize(self.name.into_deserializer())?;
        Ok((name, Payload(self.value)))
    }
}

struct Payload<'a>(Option<&'a Value>);

impl<'de> de::VariantAccess<'de> for Payload<'_> {
    type Error = BridgeError;

    fn unit_variant(self) -> Result<(), BridgeError> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<S::Value, BridgeError> {
        seed.deserialize(ValueDeserializer(self.0.unwrap_or(&Value::Null)))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, BridgeError> {
        Err(BridgeError::new(
            "an enumeration with fields has no form in Terraform",
        ))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, BridgeError> {
        Err(BridgeError::new(
            "an enumeration with fields has no form in Terraform",
        ))
    }
}

struct ValueSerializer;

fn no_form<T>(what: &str) -> Result<T, BridgeError> {
    Err(BridgeError::new(format!("{what} has no form in Terraform")))
}

impl Serializer for ValueSerializer {
    type Ok = Value;
    type Error = BridgeError;
    type SerializeSeq = List;
    type SerializeTuple = List;
    type SerializeTupleStruct = List;
    type SerializeTupleVariant = ser::Impossible<Value, BridgeError>;
    type SerializeMap = Object;
    type SerializeStruct = Object;
    type SerializeStructVariant = ser::Impossible<Value, BridgeError>;

    fn serialize_bool(self, value: bool) -> Result<Value, BridgeError> {
        Ok(Value::Bool(value))
    }
    fn serialize_i8(self, value: i8) -> Result<Value, BridgeError> {
        self.serialize_i64(value.into())
    }
    fn serialize_i16(self, value: i16) -> Result<Value, BridgeError> {
        self.serialize_i64(value.into())
    }
    fn serialize_i32(self, value: i32) -> Result<Value, BridgeError> {
        self.serialize_i64(value.into())
    }
    fn serialize_i64(self, value: i64) -> Result<Value, BridgeError> {
        Ok(Value::Number(Number::from(value)))
    }
    fn serialize_u8(self, value: u8) -> Result<Value, BridgeError> {
        self.serialize_i64(value.into())
    }
    fn serialize_u16(self, value: u16) -> Result<Value, BridgeError> {
        self.serialize_i64(value.into())
    }
    fn serialize_u32(self, value: u32) -> Result<Value, BridgeError> {
        self.serialize_i64(value.into())
    }
    fn serialize_u64(self, value: u64) -> Result<Value, BridgeError> {
        Ok(Value::Number(Number::from(value)))
    }
    fn serialize_f32(self, value: f32) -> Result<Value, BridgeError> {
        self.serialize_f64(value.into())
    }
    fn serialize_f64(self, value: f64) -> Result<Value, BridgeError> {
        Number::from_f64(value)
            .map(Value::Number)
            .map_err(BridgeError::new)
    }
    fn serialize_char(self, value: char) -> Result<Value, BridgeError> {
        Ok(Value::String(value.to_string()))
    }
    fn serialize_str(self, value: &str) -> Result<Value, BridgeError> {
        Ok(Value::String(value.to_owned()))
    }
    fn serialize_bytes(self, _: &[u8]) -> Result<Value, BridgeError> {
        no_form("a string of bytes")
    }
    fn serialize_none(self) -> Result<Value, BridgeError> {
        Ok(Value::Null)
    }
    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<Value, BridgeError> {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<Value, BridgeError> {
        Ok(Value::Null)
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<Value, BridgeError> {
        Ok(Value::Null)
    }
    fn serialize_unit_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Value, BridgeError> {
        Ok(match (name, variant) {
            (ATTR, UNKNOWN) => Value::unknown(),
            (ATTR, _) => Value::Null,
            (_, variant) => Value::String(variant.to_owned()),
        })
    }
    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Value, BridgeError> {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<Value, BridgeError> {
        if name == ATTR {
            value.serialize(self)
        } else {
            no_form("an enumeration with fields")
        }
    }
    fn serialize_seq(self, length: Option<usize>) -> Result<List, BridgeError> {
        Ok(List(Vec::with_capacity(
            length.unwrap_or_default().min(1024),
        )))
    }
    fn serialize_tuple(self, length: usize) -> Result<List, BridgeError> {
        self.serialize_seq(Some(length))
    }
    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<List, BridgeError> {
        self.serialize_seq(Some(length))
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, BridgeError> {
        no_form("an enumeration with fields")
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Object, BridgeError> {
        Ok(Object {
            entries: BTreeMap::new(),
            key: None,
        })
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Object, BridgeError> {
        self.serialize_map(None)
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, BridgeError> {
        no_form("an enumeration with fields")
    }
}

struct List(Vec<Value>);

impl ser::SerializeSeq for List {
    type Ok = Value;
    type Error = BridgeError;

    fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), BridgeError> {
        self.0.push(value.serialize(ValueSerializer)?);
        Ok(())
    }

    fn end(self) -> Result<Value, BridgeError> {
        Ok(Value::List(self.0))
    }
}

impl ser::SerializeTuple for List {
    type Ok = Value;
    type Error = BridgeError;

    fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), BridgeError> {
        ser::SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Result<Value, BridgeError> {
        ser::SerializeSeq::end(self)
    }
}

impl ser::SerializeTupleStruct for List {
    type Ok = Value;
    type Error = BridgeError;

    fn serialize_field<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), BridgeError> {
        ser::SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Result<Value, BridgeError> {
        ser::SerializeSeq::end(self)
    }
}

struct Object {
    entries: BTreeMap<String, Value>,
    key: Option<String>,
}

impl ser::SerializeStruct for Object {
    type Ok = Value;
    type Error = BridgeError;

    fn serialize_field<T: ?Sized + Serialize>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), BridgeError> {
        self.entries
            .insert(name.to_owned(), value.serialize(ValueSerializer)?);
        Ok(())
    }

    fn end(self) -> Result<Value, BridgeError> {
        Ok(Value::Map(self.entries))
    }
}

impl ser::SerializeMap for Object {
    type Ok = Value;
    type Error = BridgeError;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), BridgeError> {
        match key.serialize(ValueSerializer)? {
            Value::String(key) => {
                self.key = Some(key);
                Ok(())
            }
            _ => no_form("a map whose keys are not text"),
        }
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), BridgeError> {
        let key = self
            .key
            .take()
            .ok_or_else(|| BridgeError::new("a value without its key"))?;
        self.entries.insert(key, value.serialize(ValueSerializer)?);
        Ok(())
    }

    fn end(self) -> Result<Value, BridgeError> {
        Ok(Value::Map(self.entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
