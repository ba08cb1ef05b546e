//! The field's words as types: what AWS, Databricks and Terraform call things, parsed once at the border.
//!
//! Every room may use these; they use no other room. Each parses with a message that tells a person which form is right.

#![warn(clippy::disallowed_methods)]
#![cfg_attr(test, allow(clippy::too_many_lines, reason = "tables of cases"))]

pub mod aws;
pub mod azure;
mod cloud;
mod configuration;
mod databricks;
mod deployment;
mod files;
pub mod gcp;
mod hosts;
mod key;
mod storage;
pub mod words;

pub use cloud::{
    Cloud, ComputeMode, KeyState, StorageMode, Tier, WorkspaceStatus, WorkspaceStorage,
};
pub use configuration::{KeyReference, WorkspaceName};
pub use databricks::{
    AccountId, AttachedKey, IdError, KeyConfigurationId, KeyUse, UseCase, WorkspaceId,
};
pub use deployment::{Deployment, PartitionError};
pub use files::why_unread;
pub use hosts::is_loopback;
pub use key::{Key, KeyError};
pub use storage::{EncryptedBy, LocationKind, NoStore, TableStore};
pub use words::Words;

/// Serde by way of the textual form.
#[macro_export]
macro_rules! textual {
    ($($ty:ty),*) => {$(
        impl serde::Serialize for $ty {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $ty {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <String as serde::Deserialize>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
