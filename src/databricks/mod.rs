//! The Databricks account API: authentication, transport, errors, and the objects that this provider works with.
//!
//! Knows nothing of Terraform. Errors are typed, secrets are in types that cannot be printed.

pub mod auth;
pub mod errors;
mod http;
pub mod key_configurations;
pub mod tokens;
pub mod transport;
pub mod workspaces;

pub use auth::{AuthError, Settings};
pub use errors::{ApiError, Error};
pub use transport::Account;

/// Nothing where the API has `null`: one object of an unknown shape must not hide all others of a list.
fn or_default<'de, D: serde::Deserializer<'de>, T: Default + serde::Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    <Option<T> as serde::Deserialize>::deserialize(deserializer).map(Option::unwrap_or_default)
}
