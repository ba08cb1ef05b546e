//! What stops when a key is taken away, and what goes on for a while. As data.
//!
//! Sources: the Databricks documentation of customer-managed keys ("reading or writing fails at the end of the cache time interval",
//! without a number; keys are needed 24 hours after a rotation), and of AWS: EBS volumes that are attached keep their data key until
//! they are detached (AWS KMS Developer Guide, "How unusable KMS keys affect data keys").

use std::time::Duration;

use super::coverage::{DataKind, WorkspaceKeys};
use super::kinds;
use vocabulary::Cloud;

/// How long the former key of managed services is still needed after another one was attached.
pub const NEEDED_AFTER_ROTATION: Duration = Duration::from_secs(24 * 60 * 60);

/// Something that goes on although the key is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoesOn {
    /// What continues, as the subject of a sentence.
    pub what: &'static str,
    /// Until when, in words.
    pub until: &'static str,
}

/// Data keys in a cache.
pub const CACHED: GoesOn = GoesOn {
    what: "reads and writes with data keys that Databricks has in its cache",
    until: "the end of the cache interval; Databricks does not publish its length",
};

/// EBS volumes that a running machine has attached: it reads and writes them without the key.
pub const ATTACHED_VOLUMES: GoesOn = GoesOn {
    what: "running clusters of classic compute, on EBS volumes that are attached",
    until: "the volumes are detached, which is when the cluster ends or restarts",
};

/// Disks that are attached. Source: Google Cloud documentation, "Protect resources by using Cloud KMS keys": running machines go on,
/// and do not start again (keyRevocationActionType NONE).
pub const ATTACHED_DISKS: GoesOn = GoesOn {
    what: "running clusters of classic compute, on persistent disks that are attached",
    until: "the machines stop; they do not start again, and clusters do not grow",
};

/// Versions that were disabled a moment ago. Source: Cloud KMS documentation, "Resource consistency".
pub const NOT_YET_DISABLED: GoesOn = GoesOn {
    what: "uses of the key versions that were disabled",
    until: "about a minute after the disabling, exceptionally up to 3 hours",
};

/// What a disabled key still does on Azure. Source: azure-sdk-for-python issue 45342 (on a live vault, a disabled key refuses to unwrap,
/// decrypt and sign, and wraps, encrypts and verifies).
pub const WRAPPING: GoesOn = GoesOn {
    what: "wrapping new data keys with the disabled key, so that what is written then cannot be read until the key is back",
    until: "the key is deleted, or access to it is taken away",
};

/// Storage accounts notice after a while that their key is gone. Source: the Azure Databricks documentation of customer-managed keys for
/// the workspace storage ("blob calls give 403").
pub const STORAGE_NOTICES: GoesOn = GoesOn {
    what: "requests to the storage account of the workspace",
    until: "Azure Storage notices that the key is gone; from then on blob calls are refused with 403",
};

/// What stops in a workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stop {
    /// The kinds of data that Databricks can no longer read or write, by their names in the tables of
    /// coverage.
    pub data: Vec<&'static str>,
    /// The kinds of data of which it is not known whether they stop.
    pub not_known: Vec<&'static DataKind>,
    /// The compute that stops or does not start.
    pub compute: Vec<&'static str>,
    /// What goes on for a while.
    pub goes_on: Vec<GoesOn>,
}

/// Compute that reads or writes the storage of a workspace; by whether it is Databricks' own storage. Source: the Databricks
/// documentation of default storage (only serverless compute reads and writes it).
const STORAGE_COMPUTE: &str =
    "clusters, jobs and SQL warehouses that read or write the workspace storage";
const DEFAULT_STORAGE_COMPUTE: &str =
    "serverless SQL warehouses, jobs and notebooks that read or write the workspace storage";
const PERHAPS_DEFAULT_STORAGE_COMPUTE: &str = "serverless SQL warehouses, jobs and notebooks that read or write default storage, if the \
     workspace has it";
const MANAGED_COMPUTE: &str = "jobs and queries that need notebooks, secrets or saved queries";
/// Source: the Databricks announcement of customer-managed keys for Lakebase (a compute has a key for each boot, and ends when the
/// customer-managed key is revoked).
const LAKEBASE_COMPUTE: &str =
    "running Lakebase computes of projects that are encrypted with the key end";

/// The compute that stops or does not start.
fn compute_without(cloud: &Cloud, keys: WorkspaceKeys) -> Vec<&'static str> {
    let mut compute = Vec::new();
    if keys.storage && keys.default_storage != Some(true) {
        compute.push(STORAGE_COMPUTE);
    }
    // Of a workspace on default storage, the managed services key encrypts the storage too.
    match keys.default_storage {
        Some(true) if keys.managed_services => compute.push(DEFAULT_STORAGE_COMPUTE),
        None if keys.managed_services => compute.push(PERHAPS_DEFAULT_STORAGE_COMPUTE),
        _ => {}
    }
    if loses_disks(cloud, keys) {
        compute.push("new clusters of classic compute do not start");
    }
    if *cloud == Cloud::Azure && keys.managed_disks {
        compute.extend([
            "running virtual machines of classic compute shut down",
            "new clusters of classic compute do not start",
        ]);
    }
    if keys.managed_services {
        compute.extend([MANAGED_COMPUTE, LAKEBASE_COMPUTE]);
    }
    compute
}

/// Whether the disks of classic compute are, or may be, encrypted with a storage key that is taken away.
fn loses_disks(cloud: &Cloud, keys: WorkspaceKeys) -> bool {
    let has_disks = *cloud == Cloud::Gcp || keys.cluster_volumes != Some(false);
    keys.storage && *cloud != Cloud::Azure && has_disks && keys.serverless_only != Some(true)
}

/// What stops in a workspace without a key. `keys`: what the workspace has, and of its keys only those that are taken away.
pub fn without_key(cloud: &Cloud, keys: WorkspaceKeys) -> Stop {
    let mut stop = Stop {
        compute: compute_without(cloud, keys),
        goes_on: vec![CACHED],
        ..Stop::default()
    };
    for kind in kinds(cloud) {
        match kind.is_lost(keys) {
            Some(true) => stop.data.push(kind.name),
            None => stop.not_known.push(kind),
            Some(false) => {}
        }
    }
    if loses_disks(cloud, keys) {
        stop.goes_on.push(match cloud {
            Cloud::Gcp => ATTACHED_DISKS,
            _ => ATTACHED_VOLUMES,
        });
    }
    match cloud {
        Cloud::Azure if keys.storage => stop.goes_on.extend([STORAGE_NOTICES, WRAPPING]),
        Cloud::Azure => stop.goes_on.push(WRAPPING),
        Cloud::Gcp => stop.goes_on.push(NOT_YET_DISABLED),
        _ => {}
    }
    stop
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stops_is_what_the_key_covers() {
        let managed = WorkspaceKeys {
            managed_services: true,
            ..WorkspaceKeys::classic()
        };
        let storage = WorkspaceKeys {
            storage: true,
            ..WorkspaceKeys::classic()
        };
        let volumes = WorkspaceKeys {
            cluster_volumes: Some(true),
            ..storage
        };
        let stop = without_key(&Cloud::Aws, managed);
        assert!(stop.data.contains(&"notebooks") && !stop.data.contains(&"DBFS root"));
        assert!(stop.data.contains(&"Lakebase projects"));
        assert_eq!(stop.compute, [MANAGED_COMPUTE, LAKEBASE_COMPUTE]);
        assert_eq!(stop.goes_on, [CACHED]);
        let stop = without_key(&Cloud::Aws, storage);
        assert!(stop.data.contains(&"DBFS root") && !stop.data.contains(&"notebooks"));
        assert_eq!(
            (stop.compute, stop.goes_on.len()),
            (vec![STORAGE_COMPUTE], 1)
        );
        let stop = without_key(&Cloud::Aws, volumes);
        assert!(stop.data.contains(&"EBS volumes of classic compute"));
        assert_eq!(stop.goes_on, [CACHED, ATTACHED_VOLUMES]);
        let stop = without_key(&Cloud::Gcp, storage);
        assert!(stop.data.contains(&"persistent disks of classic compute"));
        assert_eq!(stop.goes_on, [CACHED, ATTACHED_DISKS, NOT_YET_DISABLED]);
        let disks = WorkspaceKeys {
            managed_disks: true,
            ..WorkspaceKeys::classic()
        };
        let stop = without_key(&Cloud::Azure, disks);
        assert_eq!(stop.data, ["data disks of classic compute"]);
        assert_eq!(
            (stop.compute.len(), &stop.goes_on[..]),
            (2, &[CACHED, WRAPPING][..])
        );
        let stop = without_key(&Cloud::Azure, storage);
        assert_eq!(stop.compute, [STORAGE_COMPUTE]);
        assert!(stop.goes_on.contains(&STORAGE_NOTICES));
    }

    /// The managed services key of a serverless workspace is that of its storage, too; no cluster is named that it does not have.
    #[test]
    fn a_serverless_workspace_loses_its_storage_with_the_managed_services_key() {
        let serverless = WorkspaceKeys {
            managed_services: true,
            ..WorkspaceKeys::serverless()
        };
        for cloud in [Cloud::Aws, Cloud::Gcp, Cloud::Azure] {
            let stop = without_key(&cloud, serverless);
            assert!(stop.data.contains(&"DBFS root"), "{cloud}");
            let wanted = [DEFAULT_STORAGE_COMPUTE, MANAGED_COMPUTE, LAKEBASE_COMPUTE];
            assert_eq!(stop.compute, wanted, "{cloud}");
        }
        // A storage key encrypts nothing there.
        let stop = without_key(
            &Cloud::Aws,
            WorkspaceKeys {
                storage: true,
                cluster_volumes: Some(true),
                ..WorkspaceKeys::serverless()
            },
        );
        assert_eq!((stop.data, stop.compute), (vec![], vec![]));
    }

    /// Where the mode of a workspace is not known, what depends on it is not known, and the compute is named with the condition.
    #[test]
    fn what_depends_on_an_unknown_mode_is_not_known() {
        let managed = WorkspaceKeys {
            managed_services: true,
            ..WorkspaceKeys::default()
        };
        let is_unknown =
            |stop: &Stop, name: &str| stop.not_known.iter().any(|one| one.name == name);
        let stop = without_key(&Cloud::Aws, managed);
        assert!(stop.data.contains(&"notebooks") && !stop.data.contains(&"DBFS root"));
        assert!(is_unknown(&stop, "DBFS root") && is_unknown(&stop, "Genie"));
        assert!(stop.compute.contains(&PERHAPS_DEFAULT_STORAGE_COMPUTE));
        let both = WorkspaceKeys {
            storage: true,
            ..managed
        };
        let stop = without_key(&Cloud::Aws, both);
        assert!(stop.data.contains(&"DBFS root"));
        assert!(is_unknown(&stop, "EBS volumes of classic compute"));
        assert!(stop.goes_on.contains(&ATTACHED_VOLUMES));
        // The provider has not read which key a catalog or another bucket has.
        let none = without_key(&Cloud::Aws, WorkspaceKeys::classic());
        assert!(none.data.is_empty() && is_unknown(&none, "Unity Catalog secrets"));
        assert!(is_unknown(&none, "DBFS mounts"));
    }
}
