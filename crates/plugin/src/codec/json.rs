//! Values as JSON: the form in which Terraform keeps its state, and sends it to be upgraded.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::{CodecError, ErrorKind, mismatch};
use crate::path::Step;
use crate::types::{DEEPEST, Type};
use crate::value::Value;

/// Reads one value of type `ty`.
///
/// # Errors
/// When the bytes are no JSON, or no such value.
pub fn decode(bytes: &[u8], ty: &Type) -> Result<Value, CodecError> {
    let json: Json = serde_json::from_slice(bytes).map_err(ErrorKind::from)?;
    from_json(&json, ty, Strangers::Refuse, 0)
}

/// Reads the state of an older provider: attributes that the type no longer has are dropped, those that it did not have yet
/// are null.
///
/// # Errors
/// When an attribute that the type has holds something else.
pub fn decode_lenient(json: &Json, ty: &Type) -> Result<Value, CodecError> {
    from_json(json, ty, Strangers::Drop, 0)
}

/// What to do with attributes that the type does not have.
#[derive(Clone, Copy, PartialEq)]
enum Strangers {
    Refuse,
    Drop,
}

fn name_of(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "text",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}

fn from_json(
    json: &Json,
    ty: &Type,
    strangers: Strangers,
    depth: usize,
) -> Result<Value, CodecError> {
    if depth > DEEPEST {
        return Err(ErrorKind::TooDeep.into());
    }
    let index = |index: usize| Step::Index(i64::try_from(index).unwrap_or(i64::MAX));
    match (json, ty) {
        (Json::Null, _) => Ok(Value::Null),
        (Json::String(text), Type::String) => Ok(Value::String(text.clone())),
        (Json::Bool(value), Type::Bool) => Ok(Value::Bool(*value)),
        (Json::Number(number), Type::Number) => {
            Ok(Value::Number(number.as_str().parse().map_err(|error| {
                CodecError::from(ErrorKind::Number(error))
            })?))
        }
        (Json::String(text), Type::Number) => {
            Ok(Value::Number(text.parse().map_err(|error| {
                CodecError::from(ErrorKind::Number(error))
            })?))
        }
        (Json::Object(fields), Type::Dynamic) => {
            let (Some(ty), Some(value)) = (fields.get("type"), fields.get("value")) else {
                return Err(ErrorKind::Attributes(
                    "a value of any type needs `type` and `value`".to_owned(),
                )
                .into());
            };
            let ty = Type::from_json_bytes(ty.to_string().as_bytes()).map_err(ErrorKind::from)?;
            let value = from_json(value, &ty, strangers, depth + 1)?;
            Ok(Value::Dynamic(Box::new((ty, value))))
        }
        (Json::Array(elements), Type::List(element) | Type::Set(element)) => {
            let elements = elements
                .iter()
                .enumerate()
                .map(|(at, value)| {
                    from_json(value, element, strangers, depth + 1)
                        .map_err(|error| error.within(index(at)))
                })
                .collect::<Result<Vec<_>, _>>()?;
            Ok(Value::List(elements).canonical(ty))
        }
        (Json::Array(elements), Type::Tuple(types)) if elements.len() == types.len() => {
            let elements = elements
                .iter()
                .zip(types)
                .enumerate()
                .map(|(at, (value, ty))| {
                    from_json(value, ty, strangers, depth + 1)
                        .map_err(|error| error.within(index(at)))
                })
                .collect::<Result<Vec<_>, _>>()?;
            Ok(Value::List(elements))
        }
        (Json::Object(fields), Type::Map(element)) => {
            let entries = fields
                .iter()
                .map(|(key, value)| {
                    let value = from_json(value, element, strangers, depth + 1)
                        .map_err(|error| error.within(Step::Key(key.clone())))?;
                    Ok((key.clone(), value))
                })
                .collect::<Result<BTreeMap<_, _>, CodecError>>()?;
            Ok(Value::Map(entries))
        }
        (Json::Object(fields), Type::Object { attributes, .. }) => {
            if strangers == Strangers::Refuse
                && let Some(stranger) = fields.keys().find(|name| !attributes.contains_key(*name))
            {
                return Err(ErrorKind::Attributes(format!("{stranger:?} is not one")).into());
            }
            let entries = attributes
                .iter()
                .map(|(name, ty)| {
                    let json = fields.get(name).unwrap_or(&Json::Null);
                    let value = from_json(json, ty, strangers, depth + 1)
                        .map_err(|error| error.within(Step::Attribute(name.clone())))?;
                    Ok((name.clone(), value))
                })
                .collect::<Result<BTreeMap<_, _>, CodecError>>()?;
            Ok(Value::Map(entries))
        }
        (json, ty) => Err(mismatch(ty, name_of(json))),
    }
}

/// Writes a value of type `ty`.
///
/// # Errors
/// When the value is not of the type, or holds an unknown, for which JSON has no form.
#[cfg(any(test, feature = "fuzzing"))]
pub fn encode(value: &Value, ty: &Type) -> Result<Vec<u8>, CodecError> {
    Ok(to_json(value, ty)?.to_string().into_bytes())
}

#[cfg(any(test, feature = "fuzzing"))]
fn to_json(value: &Value, ty: &Type) -> Result<Json, CodecError> {
    Ok(match (value, ty) {
        (Value::Null, _) => Json::Null,
        (Value::Unknown(_), _) => return Err(ErrorKind::Unknown.into()),
        (Value::Bool(value), Type::Bool) => Json::Bool(*value),
        (Value::Number(number), Type::Number) => {
            Json::Number(serde_json::from_str(&number.to_string()).map_err(ErrorKind::from)?)
        }
        (Value::String(text), Type::String) => Json::String(text.clone()),
        (Value::List(elements), Type::List(element) | Type::Set(element)) => elements
            .iter()
            .map(|value| to_json(value, element))
            .collect::<Result<Json, _>>()?,
        (Value::List(elements), Type::Tuple(types)) if elements.len() == types.len() => elements
            .iter()
            .zip(types)
            .map(|(value, ty)| to_json(value, ty))
            .collect::<Result<Json, _>>()?,
        (Value::Map(entries), Type::Map(element)) => Json::Object(
            entries
                .iter()
                .map(|(key, value)| Ok((key.clone(), to_json(value, element)?)))
                .collect::<Result<_, CodecError>>()?,
        ),
        (Value::Map(entries), Type::Object { attributes, .. }) => Json::Object(
            attributes
                .iter()
                .map(|(name, ty)| {
                    Ok((
                        name.clone(),
                        to_json(entries.get(name).unwrap_or(&Value::Null), ty)?,
                    ))
                })
                .collect::<Result<_, CodecError>>()?,
        ),
        (Value::Dynamic(inner), Type::Dynamic) => {
            let mut fields = serde_json::Map::new();
            fields.insert("type".to_owned(), inner.0.to_json());
            fields.insert("value".to_owned(), to_json(&inner.1, &inner.0)?);
            Json::Object(fields)
        }
        (value, ty) => return Err(mismatch(ty, value.to_string())),
    })
}
