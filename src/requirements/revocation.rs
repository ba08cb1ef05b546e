//! What stops when a key is taken away, and what goes on for a while. As data.
//!
//! Sources: the Databricks documentation of customer-managed keys ("reading or writing fails at the end of the cache time interval",
//! without a number; keys are needed 24 hours after a rotation), and of AWS: EBS volumes that are attached keep their data key until
//! they are detached (AWS KMS Developer Guide, "How unusable KMS keys affect data keys").

use std::time::Duration;

use super::coverage::{Covered, WorkspaceKeys};
use super::kinds;
use crate::vocabulary::Cloud;

/// How long the former key of managed services is still needed after another one was attached.
pub const NEEDED_AFTER_ROTATION: Duration = Duration::from_secs(24 * 60 * 60);

/// Something that goes on although the key is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoesOn {
    /// What.
    pub what: &'static str,
    /// Until when, in words.
    pub until: &'static str,
}

/// Data keys in a cache.
pub const CACHED: GoesOn = GoesOn {
    what: "reads and writes with data keys that Databricks has in its cache",
    until: "the end of the cache interval; Databricks does not publish its length",
};

/// Volumes that are attached.
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
    /// The kinds of data that nobody can read or write any more.
    pub data: Vec<&'static str>,
    /// The compute that stops or does not start.
    pub compute: Vec<&'static str>,
    /// What goes on for a while.
    pub goes_on: Vec<GoesOn>,
}

/// What stops in a workspace without a key. `keys`: what the workspace has, and of its keys only those that are taken away.
pub fn without_key(cloud: &Cloud, keys: WorkspaceKeys) -> Stop {
    let is_lost = |covered| {
        matches!(
            covered,
            Covered::ByManagedServices | Covered::ByStorage | Covered::ByManagedDisks
        )
    };
    let data = kinds(cloud)
        .iter()
        .filter(|kind| is_lost(kind.in_workspace(keys)))
        .map(|kind| kind.name)
        .collect();
    let mut stop = Stop {
        data,
        goes_on: vec![CACHED],
        ..Stop::default()
    };
    // Of a workspace on default storage, the managed services key encrypts the storage too.
    let is_on_default_storage = keys.managed_services && keys.default_storage;
    if keys.storage || is_on_default_storage {
        stop.compute.push(match keys.serverless_only {
            true => "serverless SQL warehouses, jobs and notebooks that read or write the workspace storage",
            false => "clusters, jobs and SQL warehouses that read or write the workspace storage",
        });
    }
    let has_disks = *cloud == Cloud::Gcp || keys.cluster_volumes;
    if keys.storage && has_disks && !keys.serverless_only {
        stop.compute
            .push("new clusters of classic compute do not start");
        stop.goes_on.push(match cloud {
            Cloud::Gcp => ATTACHED_DISKS,
            _ => ATTACHED_VOLUMES,
        });
    }
    if *cloud == Cloud::Azure {
        if keys.managed_disks {
            stop.compute.extend([
                "running virtual machines of classic compute shut down",
                "new clusters of classic compute do not start",
            ]);
        }
        if keys.storage {
            stop.goes_on.push(STORAGE_NOTICES);
        }
        stop.goes_on.push(WRAPPING);
    }
    if *cloud == Cloud::Gcp {
        stop.goes_on.push(NOT_YET_DISABLED);
    }
    if keys.managed_services {
        stop.compute
            .push("jobs and queries that need notebooks, secrets or saved queries");
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
            ..WorkspaceKeys::default()
        };
        let storage = WorkspaceKeys {
            storage: true,
            ..WorkspaceKeys::default()
        };
        let volumes = WorkspaceKeys {
            cluster_volumes: true,
            ..storage
        };
        let stop = without_key(&Cloud::Aws, managed);
        assert!(stop.data.contains(&"notebooks") && !stop.data.contains(&"DBFS root"));
        assert_eq!(stop.goes_on, [CACHED]);
        let stop = without_key(&Cloud::Aws, storage);
        assert!(stop.data.contains(&"DBFS root") && !stop.data.contains(&"notebooks"));
        assert_eq!((stop.compute.len(), stop.goes_on.len()), (1, 1));
        let stop = without_key(&Cloud::Aws, volumes);
        assert!(stop.data.contains(&"EBS volumes of classic compute"));
        assert_eq!(stop.goes_on, [CACHED, ATTACHED_VOLUMES]);
        let stop = without_key(&Cloud::Gcp, storage);
        assert!(stop.data.contains(&"persistent disks of classic compute"));
        assert_eq!(stop.goes_on, [CACHED, ATTACHED_DISKS, NOT_YET_DISABLED]);
        let disks = WorkspaceKeys {
            managed_disks: true,
            ..WorkspaceKeys::default()
        };
        let stop = without_key(&Cloud::Azure, disks);
        assert_eq!(stop.data, ["data disks of classic compute"]);
        assert_eq!(
            (stop.compute.len(), &stop.goes_on[..]),
            (2, &[CACHED, WRAPPING][..])
        );
        let stop = without_key(&Cloud::Azure, storage);
        assert!(stop.goes_on.contains(&STORAGE_NOTICES));
        // The managed services key of a serverless workspace is that of its storage, too; no cluster is named that it does not have.
        let serverless = WorkspaceKeys {
            serverless_only: true,
            default_storage: true,
            ..managed
        };
        for cloud in [Cloud::Aws, Cloud::Gcp] {
            let stop = without_key(&cloud, serverless);
            assert!(stop.data.contains(&"DBFS root"), "{cloud}");
            assert_eq!(
                stop.compute,
                [
                    "serverless SQL warehouses, jobs and notebooks that read or write the workspace storage",
                    "jobs and queries that need notebooks, secrets or saved queries",
                ],
                "{cloud}"
            );
        }
        // A key that is for managed services alone stops nothing that reads a storage of one's own.
        assert_eq!(without_key(&Cloud::Aws, managed).compute.len(), 1);
    }
}
