//! Values from models.

use std::collections::BTreeMap;

use serde::ser;
use serde::{Serialize, Serializer};

use super::{ATTR, BridgeError, UNKNOWN};
use crate::number::Number;
use crate::value::Value;

pub(super) struct ValueSerializer;

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

pub(super) struct List(Vec<Value>);

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

pub(super) struct Object {
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
