//! Values as JSON: the form in which Terraform keeps its state, and sends it to be upgraded.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::{CodecError, ErrorKind, mismatch};
use crate::path::Step;
use crate::types::{DEEPEST, Type};
use crate::value::Value;

/// Reads one value of type `ty`.
///
/// # Errors
/// When the bytes are not JSON, or not a value of `ty`.
pub fn decode(bytes: &[u8], ty: &Type) -> Result<Value, CodecError> {
    typed(&parse(bytes)?, ty, Strangers::Refuse, 0)
}

/// Reads the state of an older provider: attributes that the type no longer has are dropped, those that it did not have yet
/// are null.
///
/// # Errors
/// When an attribute that the type has holds something else.
pub fn decode_lenient(state: &Value, ty: &Type) -> Result<Value, CodecError> {
    typed(state, ty, Strangers::Drop, 0)
}

/// Reads a value of no type: an array is a list, an object a map. Every digit of its numbers stays, whatever features of serde_json other
/// crates have turned on.
///
/// # Errors
/// When the bytes are not JSON, or hold a number beyond what Terraform can hold.
pub fn parse(bytes: &[u8]) -> Result<Value, CodecError> {
    let raw: &RawValue = serde_json::from_slice(bytes).map_err(ErrorKind::from)?;
    untyped(raw, 0)
}

fn untyped(raw: &RawValue, depth: usize) -> Result<Value, CodecError> {
    // A type within a value of any type nests as deep again.
    if depth > 2 * DEEPEST {
        return Err(ErrorKind::TooDeep.into());
    }
    let text = raw.get();
    Ok(match text.as_bytes().first() {
        Some(b'n') => Value::Null,
        Some(b't') => Value::Bool(true),
        Some(b'f') => Value::Bool(false),
        Some(b'"') => Value::String(serde_json::from_str(text).map_err(ErrorKind::from)?),
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(ErrorKind::from)?;
            let elements = elements.into_iter().map(|one| untyped(one, depth + 1));
            Value::List(elements.collect::<Result<_, _>>()?)
        }
        Some(b'{') => {
            let entries: BTreeMap<String, &RawValue> =
                serde_json::from_str(text).map_err(ErrorKind::from)?;
            let read = |(name, one)| Ok((name, untyped(one, depth + 1)?));
            let entries = entries.into_iter().map(read);
            Value::Map(entries.collect::<Result<_, CodecError>>()?)
        }
        _ => Value::Number(text.parse().map_err(ErrorKind::Number)?),
    })
}

/// Writes a value of no type: what [`parse`] reads.
///
/// # Errors
/// When the value holds an unknown, for which JSON has no form.
pub fn write(value: &Value) -> Result<String, CodecError> {
    let mut out = String::new();
    write_value(&mut out, value)?;
    Ok(out)
}

fn write_value(out: &mut String, value: &Value) -> Result<(), CodecError> {
    let text = |text: &str| serde_json::to_string(text).map_err(ErrorKind::from);
    match value {
        Value::Null => out.push_str("null"),
        Value::Unknown(_) => return Err(ErrorKind::Unknown.into()),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(value) => out.push_str(&text(value)?),
        Value::List(elements) => {
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(out, element)?;
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for (index, (name, value)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&text(name)?);
                out.push(':');
                write_value(out, value)?;
            }
            out.push('}');
        }
        Value::Dynamic(inner) => {
            out.push_str("{\"type\":");
            out.push_str(&inner.0.to_json().to_string());
            out.push_str(",\"value\":");
            write_value(out, &inner.1)?;
            out.push('}');
        }
    }
    Ok(())
}

/// What to do with attributes that the type does not have.
#[derive(Clone, Copy, PartialEq)]
enum Strangers {
    Refuse,
    Drop,
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Unknown(_) => "an unknown",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::List(_) => "an array",
        Value::Map(_) => "an object",
        Value::Dynamic(_) => "a value of any type",
    }
}

fn typed(
    value: &Value,
    ty: &Type,
    strangers: Strangers,
    depth: usize,
) -> Result<Value, CodecError> {
    if depth > DEEPEST {
        return Err(ErrorKind::TooDeep.into());
    }
    let at = |index: usize| Step::Index(i64::try_from(index).unwrap_or(i64::MAX));
    match (value, ty) {
        (Value::Null, _) => Ok(Value::Null),
        (Value::String(_), Type::String)
        | (Value::Bool(_), Type::Bool)
        | (Value::Number(_), Type::Number) => Ok(value.clone()),
        (Value::String(text), Type::Number) => {
            Ok(Value::Number(text.parse().map_err(ErrorKind::Number)?))
        }
        (Value::Dynamic(_), Type::Dynamic) => Ok(value.clone()),
        (Value::Dynamic(inner), ty) => typed(&inner.1, ty, strangers, depth + 1),
        (Value::Map(fields), Type::Dynamic) => {
            let (Some(ty), Some(value)) = (fields.get("type"), fields.get("value")) else {
                return Err(ErrorKind::Attributes(
                    "a value of any type needs `type` and `value`".to_owned(),
                )
                .into());
            };
            let ty = Type::from_value(ty).map_err(ErrorKind::from)?;
            let value = typed(value, &ty, strangers, depth + 1)?;
            Ok(Value::Dynamic(Box::new((ty, value))))
        }
        (Value::List(elements), Type::List(element) | Type::Set(element)) => {
            let read = |(index, value)| {
                typed(value, element, strangers, depth + 1).map_err(|error| error.within(at(index)))
            };
            let elements = elements.iter().enumerate().map(read);
            Ok(Value::List(elements.collect::<Result<_, _>>()?).canonical(ty))
        }
        (Value::List(elements), Type::Tuple(types)) if elements.len() == types.len() => {
            let read = |(index, (value, ty))| {
                typed(value, ty, strangers, depth + 1).map_err(|error| error.within(at(index)))
            };
            let elements = elements.iter().zip(types).enumerate().map(read);
            Ok(Value::List(elements.collect::<Result<_, _>>()?))
        }
        (Value::Map(fields), Type::Map(element)) => {
            let entries = fields
                .iter()
                .map(|(key, value)| {
                    let value = typed(value, element, strangers, depth + 1)
                        .map_err(|error| error.within(Step::Key(key.clone())))?;
                    Ok((key.clone(), value))
                })
                .collect::<Result<BTreeMap<_, _>, CodecError>>()?;
            Ok(Value::Map(entries))
        }
        (Value::Map(fields), Type::Object { attributes, .. }) => {
            if strangers == Strangers::Refuse
                && let Some(stranger) = fields.keys().find(|name| !attributes.contains_key(*name))
            {
                return Err(ErrorKind::Attributes(format!("{stranger:?} is not one")).into());
            }
            let entries = attributes
                .iter()
                .map(|(name, ty)| {
                    let value = fields.get(name).unwrap_or(&Value::Null);
                    let value = typed(value, ty, strangers, depth + 1)
                        .map_err(|error| error.within(Step::Attribute(name.clone())))?;
                    Ok((name.clone(), value))
                })
                .collect::<Result<BTreeMap<_, _>, CodecError>>()?;
            Ok(Value::Map(entries))
        }
        (value, ty) => Err(mismatch(ty, name_of(value))),
    }
}

/// Writes a value of type `ty`.
///
/// # Errors
/// When the value is not of the type, or holds an unknown, for which JSON has no form.
#[cfg(any(test, feature = "fuzzing"))]
pub fn encode(value: &Value, ty: &Type) -> Result<Vec<u8>, CodecError> {
    Ok(write(&typed(value, ty, Strangers::Refuse, 0)?)?.into_bytes())
}
