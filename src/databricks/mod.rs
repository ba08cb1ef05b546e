//! The Databricks account API, and Unity Catalog through workspaces: authentication, transport, errors, and the objects that this provider
//! works with.
//!
//! Knows nothing of Terraform. Errors are typed, secrets are in types that cannot be printed.

pub mod auth;
pub mod errors;
mod http;
pub mod key_configurations;
mod pace;
pub mod tokens;
pub mod transport;
pub mod unity;
pub mod workspaces;

pub use auth::{AuthError, Settings};
#[cfg(test)]
pub use errors::ApiError;
pub use errors::Error;
pub use http::is_safe;
pub use transport::Account;

/// Nothing where the API has `null`: one object of an unknown shape must not hide all others of a list.
fn or_default<'de, D: serde::Deserializer<'de>, T: Default + serde::Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    <Option<T> as serde::Deserialize>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A 64-bit integer, which JSON of protobuf services has as a number or as text.
fn int64<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    match <serde_json::Value as serde::Deserialize>::deserialize(deserializer)? {
        serde_json::Value::Null => Ok(None),
        serde_json::Value::String(text) => text.parse().map(Some).map_err(serde::de::Error::custom),
        serde_json::Value::Number(number) => number
            .to_string()
            .parse()
            .map(Some)
            .map_err(serde::de::Error::custom),
        other => Err(serde::de::Error::custom(format!(
            "`{other}` is not a whole number"
        ))),
    }
}
