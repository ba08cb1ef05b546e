//! What Databricks needs of a key, as data: by use case, action, principal and the context that the calls carry, with the
//! purpose in words; and the statements that grant it, in their documented wording.
//!
//! Pure. One file a cloud. Sources: the Databricks documentation of customer-managed keys and its reference modules.

pub mod aws;
pub mod azure;
pub mod coverage;
pub mod gcp;
pub mod revocation;
mod transition;

pub use transition::{Transition, transition};

use crate::vocabulary::Cloud;

/// Every kind of data that a workspace of a cloud has; a cloud that this version does not know is taken for AWS.
pub fn kinds(cloud: &Cloud) -> &'static [coverage::DataKind] {
    match cloud {
        Cloud::Gcp => gcp::KINDS,
        Cloud::Azure => azure::KINDS,
        _ => coverage::KINDS,
    }
}

#[cfg(test)]
mod tests {
    use super::coverage::{Cover, Covered, KINDS, WorkspaceKeys};
    use super::*;

    /// On Google Cloud the storage key covers the disks as well, without a choice.
    #[test]
    fn the_disks_of_google_cloud_belong_to_the_storage() {
        let covered = |keys: WorkspaceKeys| {
            let mut own = kinds(&Cloud::Gcp).iter();
            let disks = own.find(|kind| kind.cover == Cover::Disks);
            disks.map(|kind| kind.in_workspace(keys))
        };
        let storage = WorkspaceKeys {
            storage: true,
            ..WorkspaceKeys::default()
        };
        assert_eq!(covered(storage), Some(Covered::ByStorage));
        let serverless = WorkspaceKeys {
            serverless_only: true,
            ..storage
        };
        assert_eq!(covered(serverless), Some(Covered::DoesNotApply));
        assert!(matches!(
            covered(WorkspaceKeys::default()),
            Some(Covered::Not(_))
        ));
        assert_eq!(kinds(&Cloud::Aws), KINDS);
    }

    /// On Azure each of the three keys covers its own.
    #[test]
    fn each_key_of_azure_covers_its_own() {
        let count = |keys: WorkspaceKeys, wanted: Covered| {
            let all = kinds(&Cloud::Azure).iter();
            all.filter(|kind| kind.in_workspace(keys) == wanted).count()
        };
        let disks = WorkspaceKeys {
            managed_disks: true,
            ..WorkspaceKeys::default()
        };
        assert_eq!(count(disks, Covered::ByManagedDisks), 1);
        assert_eq!(count(disks, Covered::ByStorage), 0);
        let storage = WorkspaceKeys {
            storage: true,
            ..WorkspaceKeys::default()
        };
        assert!(count(storage, Covered::ByStorage) > 3);
        assert_eq!(count(storage, Covered::ByManagedDisks), 0);
    }
}
