//! Values from models.

use std::collections::BTreeMap;

use serde::ser;
use serde::{Serialize, Serializer};

use super::{BridgeError, DYNAMIC, NUMBER, UNKNOWN};
use crate::number::{Number, NumberError};
use crate::types::Type;
use crate::value::Value;

/// Writes a value; `like` is what the model was read from.
#[derive(Clone, Copy)]
pub(super) struct ValueSerializer<'a> {
    pub(super) like: Option<&'a Value>,
}

impl<'a> ValueSerializer<'a> {
    fn plain(self) -> Option<&'a Value> {
        self.like.map(Value::undynamic)
    }

    fn inside(self, like: impl FnOnce(&'a Value) -> Option<&'a Value>) -> Self {
        Self {
            like: self.plain().and_then(like),
        }
    }

    /// A number that went through a floating-point value: the digits that it had before, or the shortest ones.
    fn number(
        self,
        shortest: Result<Number, NumberError>,
        is_same: impl Fn(&Number) -> bool,
    ) -> Result<Value, BridgeError> {
        if let Some(Value::Number(before)) = self.plain()
            && is_same(before)
        {
            return Ok(Value::Number(before.clone()));
        }
        shortest.map(Value::Number).map_err(BridgeError::new)
    }
}

fn no_form<T>(what: &str) -> Result<T, BridgeError> {
    Err(BridgeError::new(format!("{what} has no form in Terraform")))
}

impl<'a> Serializer for ValueSerializer<'a> {
    type Ok = Value;
    type Error = BridgeError;
    type SerializeSeq = List<'a>;
    type SerializeTuple = List<'a>;
    type SerializeTupleStruct = List<'a>;
    type SerializeTupleVariant = ser::Impossible<Value, BridgeError>;
    type SerializeMap = Object<'a>;
    type SerializeStruct = Object<'a>;
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
    fn serialize_i128(self, value: i128) -> Result<Value, BridgeError> {
        Ok(Value::Number(Number::from(value)))
    }
    fn serialize_u128(self, value: u128) -> Result<Value, BridgeError> {
        Ok(Value::Number(Number::from(value)))
    }
    fn serialize_f32(self, value: f32) -> Result<Value, BridgeError> {
        self.number(Number::shortest_f32(value), |before| {
            before.to_f32() == value
        })
    }
    fn serialize_f64(self, value: f64) -> Result<Value, BridgeError> {
        self.number(Number::shortest(value), |before| before.to_f64() == value)
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
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Value, BridgeError> {
        Ok(Value::String(variant.to_owned()))
    }
    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Value, BridgeError> {
        match name {
            UNKNOWN => Ok(Value::unknown()),
            // Digits that no other number has come as a text.
            NUMBER => match value.serialize(Self { like: None })? {
                Value::String(text) => text.parse().map(Value::Number).map_err(BridgeError::new),
                number => Ok(number),
            },
            _ => value.serialize(self),
        }
    }
    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Value, BridgeError> {
        no_form("an enumeration with fields")
    }
    fn serialize_seq(self, length: Option<usize>) -> Result<List<'a>, BridgeError> {
        Ok(List {
            elements: Vec::with_capacity(length.unwrap_or_default().min(1024)),
            of: self,
        })
    }
    fn serialize_tuple(self, length: usize) -> Result<List<'a>, BridgeError> {
        self.serialize_seq(Some(length))
    }
    fn serialize_tuple_struct(
        self,
        _: &'static str,
        length: usize,
    ) -> Result<List<'a>, BridgeError> {
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
    fn serialize_map(self, _: Option<usize>) -> Result<Object<'a>, BridgeError> {
        Ok(Object {
            entries: BTreeMap::new(),
            key: None,
            of: self,
            is_dynamic: false,
        })
    }
    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Object<'a>, BridgeError> {
        Ok(Object {
            is_dynamic: name == DYNAMIC,
            ..self.serialize_map(None)?
        })
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

pub(super) struct List<'a> {
    elements: Vec<Value>,
    of: ValueSerializer<'a>,
}

impl ser::SerializeSeq for List<'_> {
    type Ok = Value;
    type Error = BridgeError;

    fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), BridgeError> {
        let index = self.elements.len();
        let inside = self.of.inside(|like| like.as_list().get(index));
        self.elements.push(value.serialize(inside)?);
        Ok(())
    }

    fn end(self) -> Result<Value, BridgeError> {
        Ok(Value::List(self.elements))
    }
}

impl ser::SerializeTuple for List<'_> {
    type Ok = Value;
    type Error = BridgeError;

    fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), BridgeError> {
        ser::SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Result<Value, BridgeError> {
        ser::SerializeSeq::end(self)
    }
}

impl ser::SerializeTupleStruct for List<'_> {
    type Ok = Value;
    type Error = BridgeError;

    fn serialize_field<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), BridgeError> {
        ser::SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Result<Value, BridgeError> {
        ser::SerializeSeq::end(self)
    }
}

pub(super) struct Object<'a> {
    entries: BTreeMap<String, Value>,
    key: Option<String>,
    of: ValueSerializer<'a>,
    is_dynamic: bool,
}

impl Object<'_> {
    fn put<T: ?Sized + Serialize>(&mut self, name: String, value: &T) -> Result<(), BridgeError> {
        let inside = self
            .of
            .inside(|like| like.as_map().and_then(|before| before.get(&name)));
        self.entries.insert(name, value.serialize(inside)?);
        Ok(())
    }

    fn ended(mut self) -> Result<Value, BridgeError> {
        // serde_json shows its numbers like this where another crate has turned on `arbitrary_precision`.
        if let Some(number) = self.entries.remove("$serde_json::private::Number") {
            let text = number.as_str().unwrap_or_default();
            return text.parse().map(Value::Number).map_err(BridgeError::new);
        }
        match self.is_dynamic {
            true => self.dynamic(),
            false => Ok(Value::Map(self.entries)),
        }
    }

    /// A value with the type that it carries.
    fn dynamic(mut self) -> Result<Value, BridgeError> {
        let mut part = |name: &str| self.entries.remove(name).unwrap_or(Value::Null);
        let ty = Type::from_value(&part("type")).map_err(BridgeError::new)?;
        Ok(Value::Dynamic(Box::new((ty, part("value")))))
    }
}

impl ser::SerializeStruct for Object<'_> {
    type Ok = Value;
    type Error = BridgeError;

    fn serialize_field<T: ?Sized + Serialize>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), BridgeError> {
        self.put(name.to_owned(), value)
    }

    fn end(self) -> Result<Value, BridgeError> {
        self.ended()
    }
}

impl ser::SerializeMap for Object<'_> {
    type Ok = Value;
    type Error = BridgeError;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), BridgeError> {
        match key.serialize(ValueSerializer { like: None })? {
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
        self.put(key, value)
    }

    fn end(self) -> Result<Value, BridgeError> {
        self.ended()
    }
}
