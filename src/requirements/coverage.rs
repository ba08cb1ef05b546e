//! Which data of a workspace which key encrypts, where it lies, and what no key of these reaches. As data.
//!
//! Source: the Databricks documentation of customer-managed keys for managed services and for workspace storage. The data of
//! AWS is here; [`super::kinds`] has that of every cloud.

/// What encrypts a kind of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cover {
    /// The managed services key.
    ManagedServices,
    /// The storage key; the managed services key where the workspace's storage is Databricks' own.
    Storage,
    /// The storage key, when its configuration is reused for cluster volumes.
    ClusterVolumes,
    /// The storage key, in every workspace with classic compute.
    Disks,
    /// The key for managed disks, which only Azure has.
    ManagedDisks,
    /// No key of these; what to do instead.
    None(&'static str),
}

/// A kind of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataKind {
    /// What it is.
    pub name: &'static str,
    /// Where it lies.
    pub place: &'static str,
    /// What encrypts it.
    pub cover: Cover,
    /// What else to know.
    pub note: &'static str,
}

const CONTROL_PLANE: &str = "Databricks control plane";
const BUCKET: &str = "workspace bucket";

pub(super) const fn managed(name: &'static str, note: &'static str) -> DataKind {
    DataKind {
        name,
        place: CONTROL_PLANE,
        cover: Cover::ManagedServices,
        note,
    }
}

pub(super) const fn stored(name: &'static str, note: &'static str) -> DataKind {
    DataKind {
        name,
        place: BUCKET,
        cover: Cover::Storage,
        note,
    }
}

pub(super) const NEW_ONLY: &str = "Existing data keeps its encryption until it is written again.";

/// Every kind of data that a workspace on AWS has.
pub const KINDS: &[DataKind] = &[
    managed(
        "notebooks",
        "Source and metadata. Revisions are stored in the workspace bucket.",
    ),
    managed(
        "interactive notebook results",
        "Results that are stored in the control plane; large results are stored in the workspace bucket.",
    ),
    managed("secrets", "Of the secret manager."),
    managed(
        "Git credentials",
        "Personal access tokens and other credentials of Git folders.",
    ),
    managed("queries and query history", "Of Databricks SQL."),
    managed(
        "dashboards",
        "AI/BI dashboards that were created after 2024-11-01; older ones are not covered.",
    ),
    managed("vector search indexes", "And their metadata."),
    stored(
        "DBFS root",
        "Including FileStore. Mounts are not part of it.",
    ),
    stored("job results", NEW_ONLY),
    stored("query results", NEW_ONLY),
    stored("notebook revisions", NEW_ONLY),
    stored(
        "MLflow models",
        "Of the workspace model registry; models in Unity Catalog are stored with the data of the catalog.",
    ),
    stored("pipeline data", "Of pipelines that write to the DBFS root."),
    DataKind {
        name: "EBS volumes of classic compute",
        place: "AWS account of the compute",
        cover: Cover::ClusterVolumes,
        note: "New volumes only. Running clusters keep the key with which they started.",
    },
    DataKind {
        name: "Unity Catalog tables in other buckets",
        place: "buckets of external locations and managed storage",
        cover: Cover::None(
            "Encrypt the bucket with a key of its own (SSE-KMS, with `encryption_details` of the external location).",
        ),
        note: "A storage key covers only the workspace bucket.",
    },
    DataKind {
        name: "DBFS mounts",
        place: "the mounted buckets",
        cover: Cover::None("Encrypt the mounted bucket with a key of its own (SSE-KMS)."),
        note: "",
    },
    DataKind {
        name: "disks of serverless compute",
        place: "Databricks serverless compute plane",
        cover: Cover::None(
            "Databricks encrypts them, and they exist as long as the workload; customer-managed keys do not cover them.",
        ),
        note: "",
    },
    DataKind {
        name: "model serving images",
        place: "Databricks serverless compute plane",
        cover: Cover::None("Databricks encrypts them; customer-managed keys do not cover them."),
        note: "",
    },
];

/// What a workspace has, as far as it decides what is covered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkspaceKeys {
    /// It has a managed services key.
    pub managed_services: bool,
    /// It has a storage key.
    pub storage: bool,
    /// Its storage key is reused for cluster volumes.
    pub cluster_volumes: bool,
    /// Its storage is Databricks' own: serverless workspaces, and those with default storage.
    pub default_storage: bool,
    /// It has serverless compute alone.
    pub serverless_only: bool,
    /// It has a key for managed disks.
    pub managed_disks: bool,
}

/// Which key encrypts a kind of data in a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covered {
    /// The managed services key.
    ByManagedServices,
    /// The storage key.
    ByStorage,
    /// The key for managed disks.
    ByManagedDisks,
    /// None yet; the use case whose key would.
    Not(&'static str),
    /// None ever; what to do instead.
    Never(&'static str),
    /// The workspace has no such data.
    DoesNotApply,
}

impl DataKind {
    /// Which key encrypts it in a workspace.
    pub fn in_workspace(&self, keys: WorkspaceKeys) -> Covered {
        const MANAGED: &str = "Attach a key configuration for managed services.";
        const DISKS: &str = "Attach a key configuration for managed disks.";
        const STORAGE: &str =
            "Attach a key configuration for storage. On AWS and Google Cloud it can be set once.";
        const VOLUMES: &str = "Attach a key configuration for storage with `reuse_key_for_cluster_volumes = true`. It can be set once.";
        match self.cover {
            Cover::None(instead) => Covered::Never(instead),
            Cover::ManagedServices if keys.managed_services => Covered::ByManagedServices,
            Cover::ManagedServices => Covered::Not(MANAGED),
            Cover::Storage if keys.default_storage && keys.managed_services => {
                Covered::ByManagedServices
            }
            Cover::Storage if keys.default_storage => Covered::Not(MANAGED),
            Cover::Storage if keys.storage => Covered::ByStorage,
            Cover::Storage => Covered::Not(STORAGE),
            Cover::ClusterVolumes | Cover::Disks | Cover::ManagedDisks if keys.serverless_only => {
                Covered::DoesNotApply
            }
            Cover::ManagedDisks if keys.managed_disks => Covered::ByManagedDisks,
            Cover::ManagedDisks => Covered::Not(DISKS),
            Cover::Disks if keys.storage => Covered::ByStorage,
            Cover::Disks => Covered::Not(STORAGE),
            Cover::ClusterVolumes if keys.storage && keys.cluster_volumes => Covered::ByStorage,
            Cover::ClusterVolumes if keys.storage => Covered::Not(
                "The storage key is attached with `reuse_key_for_cluster_volumes = false`, which cannot be changed. Encrypt EBS \
                 volumes by the default of the AWS account instead.",
            ),
            Cover::ClusterVolumes => Covered::Not(VOLUMES),
        }
    }

    /// Where it lies in a workspace.
    pub fn place_in(&self, keys: WorkspaceKeys) -> &'static str {
        if self.cover == Cover::Storage && keys.default_storage {
            "Databricks default storage"
        } else {
            self.place
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(keys: WorkspaceKeys, covered: fn(&Covered) -> bool) -> usize {
        KINDS
            .iter()
            .map(|kind| kind.in_workspace(keys))
            .filter(covered)
            .count()
    }

    #[test]
    fn a_workspace_without_keys_has_nothing_covered() {
        let none = WorkspaceKeys::default();
        assert_eq!(
            count(none, |one| matches!(
                one,
                Covered::ByManagedServices | Covered::ByStorage
            )),
            0
        );
        assert_eq!(count(none, |one| matches!(one, Covered::Never(_))), 4);
    }

    #[test]
    fn each_key_covers_its_own_and_both_all_that_can_be() {
        let managed = WorkspaceKeys {
            managed_services: true,
            ..WorkspaceKeys::default()
        };
        let both = WorkspaceKeys {
            storage: true,
            cluster_volumes: true,
            ..managed
        };
        assert_eq!(count(managed, |one| *one == Covered::ByManagedServices), 7);
        assert_eq!(count(managed, |one| *one == Covered::ByStorage), 0);
        assert_eq!(count(both, |one| *one == Covered::ByStorage), 7);
        assert_eq!(count(both, |one| matches!(one, Covered::Not(_))), 0);
        let without_volumes = WorkspaceKeys {
            cluster_volumes: false,
            ..both
        };
        assert_eq!(
            count(without_volumes, |one| matches!(one, Covered::Not(_))),
            1
        );
    }

    #[test]
    fn default_storage_is_covered_by_the_managed_services_key() {
        let serverless = WorkspaceKeys {
            managed_services: true,
            default_storage: true,
            serverless_only: true,
            ..WorkspaceKeys::default()
        };
        assert_eq!(
            count(serverless, |one| *one == Covered::ByManagedServices),
            13
        );
        assert_eq!(count(serverless, |one| *one == Covered::DoesNotApply), 1);
    }
}
