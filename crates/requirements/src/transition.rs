//! Which keys of a workspace can be set, changed and removed, as data: plan, proof, review and documentation read it.
//!
//! Sources: the Databricks documentation of customer-managed keys for each cloud, and the Workspaces API.

use vocabulary::{Cloud, UseCase};

/// What Databricks lets happen to the key of a workspace for one use case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Whether a key can be set where there is none.
    pub set: bool,
    /// Whether another key can replace it.
    pub change: bool,
    /// Whether it can be removed.
    pub remove: bool,
}

/// What Databricks lets happen to the key of a workspace. A cloud that this version does not know lets nothing happen.
pub fn transition(cloud: &Cloud, case: UseCase) -> Transition {
    let (set, change, remove) = match (cloud, case) {
        (Cloud::Aws | Cloud::Gcp, UseCase::ManagedServices) => (true, true, false),
        (Cloud::Aws | Cloud::Gcp, UseCase::Storage) => (true, false, false),
        (Cloud::Aws | Cloud::Gcp, UseCase::ManagedDisks) => (false, false, false),
        (Cloud::Azure, UseCase::ManagedServices | UseCase::ManagedDisks) => (true, true, false),
        (Cloud::Azure, UseCase::Storage) => (true, true, true),
        (Cloud::Other(_), _) => (false, false, false),
    };
    Transition {
        set,
        change,
        remove,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the documentation.
    #[test]
    fn what_cannot_be_undone_is_known() {
        for cloud in [Cloud::Aws, Cloud::Gcp] {
            let storage = transition(&cloud, UseCase::Storage);
            assert!(storage.set && !storage.change && !storage.remove, "{cloud}");
            let services = transition(&cloud, UseCase::ManagedServices);
            assert!(
                services.set && services.change && !services.remove,
                "{cloud}"
            );
        }
        let azure = transition(&Cloud::Azure, UseCase::Storage);
        assert!(azure.set && azure.change && azure.remove);
        let disks = transition(&Cloud::Azure, UseCase::ManagedDisks);
        assert!(disks.set && disks.change && !disks.remove);
        assert!(!transition(&Cloud::Aws, UseCase::ManagedDisks).set);
        assert!(!transition(&Cloud::Other("moon".to_owned()), UseCase::Storage).set);
    }
}
