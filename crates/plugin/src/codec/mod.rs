//! The two wire forms of a value, msgpack and JSON, read and written along its type.
//!
//! Bytes come from outside, so every length is checked against what is really there before anything is allocated, nesting
//! is bounded, and trailing bytes are an error.

pub mod json;
pub mod msgpack;

#[cfg(test)]
mod tests;

use super::number::NumberError;
use super::path::{Path, Step};
use super::proto::tfplugin6::DynamicValue;
use super::types::{Type, TypeError};
use super::value::Value;

/// Why bytes could not be read, or a value could not be written, and where.
#[derive(Debug, thiserror::Error)]
#[error("{}{kind}", at(.path))]
pub struct CodecError {
    /// Where in the value.
    pub path: Path,
    /// What is wrong there.
    pub kind: ErrorKind,
}

fn at(path: &Path) -> String {
    if path.is_root() {
        String::new()
    } else {
        format!("at {path}: ")
    }
}

/// What is wrong with bytes or with a value.
#[derive(Debug, thiserror::Error)]
pub enum ErrorKind {
    /// The bytes end inside a value.
    #[error("the value ends too early")]
    Truncated,
    /// Bytes follow the value.
    #[error("{0} bytes follow the value")]
    Trailing(usize),
    /// Another kind of value than the type says.
    #[error("expected {expected}, found {found}")]
    Mismatch {
        /// What the type asks for.
        expected: String,
        /// The kind of value that stands there instead.
        found: String,
    },
    /// Text that is not UTF-8.
    #[error("the text is not UTF-8")]
    Utf8,
    /// Nested beyond all reason.
    #[error("the value nests too deep")]
    TooDeep,
    /// An object without one of its attributes, or with one that the type does not have.
    #[error("the object does not have the attributes of its type: {0}")]
    Attributes(String),
    /// A map that names a key twice.
    #[error("the key {0:?} occurs twice")]
    Duplicate(String),
    /// A refinement that is too large or not well formed.
    #[error("the description of an unknown value is malformed: {0}")]
    Refinement(&'static str),
    /// A number outside what can be held.
    #[error(transparent)]
    Number(#[from] NumberError),
    /// A type that is none.
    #[error(transparent)]
    Type(#[from] TypeError),
    /// Not JSON.
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// An unknown value where there can be none.
    #[error("a value that is not known yet has no form here")]
    Unknown,
    /// Neither msgpack nor JSON.
    #[error("the message carries no value")]
    Missing,
}

impl<K: Into<ErrorKind>> From<K> for CodecError {
    fn from(kind: K) -> Self {
        Self {
            path: Path::root(),
            kind: kind.into(),
        }
    }
}

impl CodecError {
    fn within(mut self, step: Step) -> Self {
        self.path.prepend(step);
        self
    }
}

fn mismatch(expected: &Type, found: impl Into<String>) -> CodecError {
    ErrorKind::Mismatch {
        expected: expected.to_string(),
        found: found.into(),
    }
    .into()
}

/// Reads what Terraform sent: msgpack, or JSON when there is no msgpack.
///
/// # Errors
/// When the bytes are not a value of `ty`.
pub fn decode(value: &DynamicValue, ty: &Type) -> Result<Value, CodecError> {
    if !value.msgpack.is_empty() {
        msgpack::decode(&value.msgpack, ty)
    } else if !value.json.is_empty() {
        json::decode(&value.json, ty)
    } else {
        Err(ErrorKind::Missing.into())
    }
}

/// Reads what Terraform may leave out; absent means null.
///
/// # Errors
/// When the bytes are not a value of `ty`.
pub fn decode_optional(value: Option<&DynamicValue>, ty: &Type) -> Result<Value, CodecError> {
    value.map_or(Ok(Value::Null), |value| decode(value, ty))
}

/// Writes a value the way Terraform prefers it: msgpack.
///
/// # Errors
/// When the value is not of the type: a fault of the provider.
pub fn encode(value: &Value, ty: &Type) -> Result<DynamicValue, CodecError> {
    Ok(DynamicValue {
        msgpack: msgpack::encode(value, ty)?,
        json: Vec::new(),
    })
}
