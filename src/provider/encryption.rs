//! What a workspace has, as far as it decides what is encrypted by which key: for the data source and for the impact of a revocation,
//! so that both read the same rows of the coverage.

use crate::clouds::azure::ArmWorkspace;
use crate::databricks::key_configurations::KeyConfiguration;
use crate::databricks::workspaces::Workspace;
use crate::requirements::coverage::WorkspaceKeys;
use crate::vocabulary::UseCase;

/// The storage key of a workspace.
#[derive(Clone, Copy)]
pub enum StorageKey<'a> {
    /// None that counts.
    None,
    /// The workspace has this key configuration, which the account lists.
    Of(&'a KeyConfiguration),
    /// Of a key configuration that the account does not list.
    NotListed,
}

/// A workspace of a Databricks account, with the keys that count.
pub fn keys_of(
    workspace: &Workspace,
    managed_services: bool,
    storage: StorageKey<'_>,
) -> WorkspaceKeys {
    WorkspaceKeys {
        managed_services,
        storage: !matches!(storage, StorageKey::None),
        cluster_volumes: match storage {
            StorageKey::None => Some(false),
            StorageKey::Of(configuration) => Some(configuration.is_for_cluster_volumes()),
            StorageKey::NotListed => None,
        },
        default_storage: workspace.default_storage(),
        serverless_only: workspace.serverless_only(),
        managed_disks: false,
    }
}

/// A workspace on Azure, with the keys that count.
pub fn keys_on_azure(workspace: &ArmWorkspace, has: impl Fn(UseCase) -> bool) -> WorkspaceKeys {
    // Source: Microsoft.Databricks REST API: a serverless workspace has neither managed disks nor a storage account of its own.
    let serverless = workspace.facts().serverless_only;
    WorkspaceKeys {
        managed_services: has(UseCase::ManagedServices),
        storage: has(UseCase::Storage),
        managed_disks: has(UseCase::ManagedDisks),
        cluster_volumes: Some(false),
        default_storage: Some(serverless),
        serverless_only: Some(serverless),
    }
}

#[cfg(test)]
mod tests;
