//! Models from values.

use serde::Deserializer;
use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};

use super::{ATTR, BridgeError, Cause, NUMBER, VALUE};
use crate::number::Number;
use crate::path::Step;
use crate::value::Value;

#[derive(Clone, Copy)]
pub(super) struct ValueDeserializer<'a>(pub(super) &'a Value);

impl<'a> ValueDeserializer<'a> {
    /// The value without the type that it carries where the schema says any.
    fn plain(self) -> &'a Value {
        self.0.undynamic()
    }
}

fn beyond<T>(number: &Number, what: &str) -> Result<T, BridgeError> {
    let message = format!("`{number}` is not {what}");
    Err(BridgeError::because(Cause::Number, message))
}

macro_rules! integers {
    ($($method:ident $visit:ident $ty:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BridgeError> {
            let Value::Number(number) = self.plain() else {
                return self.deserialize_any(visitor);
            };
            match number.as_i128().and_then(|value| <$ty>::try_from(value).ok()) {
                Some(value) => visitor.$visit(value),
                None => beyond(number, &format!("a whole number from {} to {}", <$ty>::MIN, <$ty>::MAX)),
            }
        }
    )*};
}

macro_rules! floats {
    ($($method:ident $visit:ident $nearest:ident $what:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BridgeError> {
            let Value::Number(number) = self.plain() else {
                return self.deserialize_any(visitor);
            };
            let value = number.$nearest();
            match value.is_finite() {
                true => visitor.$visit(value),
                false => beyond(number, $what),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for ValueDeserializer<'_> {
    type Error = BridgeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BridgeError> {
        match self.plain() {
            Value::Null => visitor
                .visit_unit()
                .map_err(|_: BridgeError| BridgeError::because(Cause::Null, "the value is null")),
            Value::Unknown(_) => Err(BridgeError::because(
                Cause::Unknown,
                "the value is not known yet",
            )),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => {
                if let Some(value) = number.as_i64() {
                    visitor.visit_i64(value)
                } else if let Some(value) = number.as_u64() {
                    visitor.visit_u64(value)
                } else {
                    visitor.visit_f64(number.to_f64())
                }
            }
            Value::String(text) => visitor.visit_str(text),
            Value::List(elements) => visitor.visit_seq(Elements {
                elements: elements.iter().enumerate(),
            }),
            Value::Map(entries) => visitor.visit_map(Entries {
                entries: entries.iter(),
                value: None,
            }),
            // What is plain carries no type.
            Value::Dynamic(_) => Err(BridgeError::new("a type within a type")),
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
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, BridgeError> {
        match (name, self.plain()) {
            (ATTR, _) => visitor.visit_seq(Parts {
                value: self.0,
                next: 0,
                is_open: false,
            }),
            (NUMBER, Value::Number(number)) => match number.as_i64() {
                Some(value) => visitor.visit_i64(value),
                None => visitor.visit_str(&number.to_string()),
            },
            (NUMBER, _) => self.deserialize_any(visitor),
            (VALUE, _) => visitor.visit_enum(Exact(self.0)),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, BridgeError> {
        match self.plain() {
            Value::String(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            _ => self.deserialize_any(visitor),
        }
    }

    /// What the model has no field for may be anything.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BridgeError> {
        visitor.visit_unit()
    }

    integers! {
        deserialize_i8 visit_i8 i8;
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
        deserialize_i128 visit_i128 i128;
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
    }

    floats! {
        deserialize_f32 visit_f32 to_f32 "a number of 32 bits";
        deserialize_f64 visit_f64 to_f64 "a number of 64 bits";
    }

    serde::forward_to_deserialize_any! {
        u128 bool char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
    }
}

/// What an [`Attr`](super::Attr) asks for: whether it is unknown, its value, and whether that failed because a part is unknown.
struct Parts<'a> {
    value: &'a Value,
    next: u8,
    is_open: bool,
}

impl<'de> de::SeqAccess<'de> for Parts<'_> {
    type Error = BridgeError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, BridgeError> {
        let part = self.next;
        self.next = part.saturating_add(1);
        let said = match part {
            0 => self.value.is_unknown(),
            1 => {
                let read = seed.deserialize(ValueDeserializer(self.value));
                self.is_open = matches!(&read, Err(error) if error.cause == Cause::Unknown);
                return read.map(Some);
            }
            _ => self.is_open,
        };
        seed.deserialize(said.into_deserializer()).map(Some)
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

    fn size_hint(&self) -> Option<usize> {
        Some(self.elements.len())
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

/// A value for a model that takes any: as what kind it is, and with the type that it carries.
struct Exact<'a>(&'a Value);

impl<'a, 'de> de::EnumAccess<'de> for Exact<'a> {
    type Error = BridgeError;
    type Variant = Payload<'a>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Payload<'a>), BridgeError> {
        let name = match self.0 {
            Value::Null => "Null",
            Value::Unknown(_) => "Unknown",
            Value::Bool(_) => "Bool",
            Value::Number(_) => "Number",
            Value::String(_) => "String",
            Value::List(_) => "List",
            Value::Map(_) => "Map",
            Value::Dynamic(_) => "Dynamic",
        };
        let name = seed.deserialize(name.into_deserializer())?;
        Ok((name, Payload(self.0)))
    }
}

struct Payload<'a>(&'a Value);

fn no_payload<T>() -> Result<T, BridgeError> {
    Err(BridgeError::new("a value has no other form"))
}

impl<'de> de::VariantAccess<'de> for Payload<'_> {
    type Error = BridgeError;

    fn unit_variant(self) -> Result<(), BridgeError> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<S::Value, BridgeError> {
        seed.deserialize(ValueDeserializer(self.0))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, BridgeError> {
        match self.0 {
            Value::Dynamic(inner) => {
                let ty = Value::String(inner.0.to_json().to_string());
                let parts = [ty, inner.1.clone()];
                visitor.visit_seq(Elements {
                    elements: parts.iter().enumerate(),
                })
            }
            _ => no_payload(),
        }
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, BridgeError> {
        no_payload()
    }
}
