//! Which data of a workspace which key encrypts, where it lies, what becomes of data from before the key, and what no key of these
//! reaches. As data: one table a cloud, each row with the vendor's page that says so. What no vendor says is not known, and never "no".
//!
//! The data source, the impact of a revocation, the review and the documentation read these tables and nothing else.

use serde::{Deserialize, Serialize};

use vocabulary::UseCase;

mod aws;
mod azure;
mod gcp;
mod rows;

pub(super) use aws::KINDS as AWS;
pub(super) use azure::KINDS as AZURE;
pub(super) use gcp::KINDS as GCP;

/// What encrypts a kind of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cover {
    /// The managed services key.
    ManagedServices,
    /// The storage key; the managed services key where the workspace's storage is Databricks' own.
    Storage,
    /// The storage key; where the workspace's storage is Databricks' own, the key of the catalog.
    WorkspaceCatalog,
    /// The storage key, when its configuration is reused for cluster volumes.
    ClusterVolumes,
    /// The storage key, in every workspace with classic compute.
    Disks,
    /// The key for managed disks, which only Azure has.
    ManagedDisks,
    /// The key of the catalog (`managed_encryption_settings`). Catalogs are read through a workspace, and nothing here has read one.
    Catalog,
    /// A key that is set at another place, which nothing here has read; what to do there.
    Elsewhere(&'static str),
    /// No key of the customer; why.
    Never(&'static str),
    /// The vendor does not say; what is known.
    NotKnown(&'static str),
}

impl Cover {
    /// Whether a key that is attached to the workspace can cover it.
    pub fn is_of_workspace(self) -> bool {
        !matches!(
            self,
            Self::Catalog | Self::Elsewhere(_) | Self::Never(_) | Self::NotKnown(_)
        )
    }
}

/// What becomes of data that was written before the key was attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It keeps its encryption until its objects are copied in place; how.
    Copied(&'static str),
    /// It keeps its encryption until it is saved again; how.
    Saved(&'static str),
    /// It keeps its encryption forever; what to make in its stead.
    Never(&'static str),
    /// The key protects it at once; why.
    AtOnce(&'static str),
    /// No key of the workspace encrypts this kind, before or after.
    NotConcerned,
}

impl Existing {
    /// The word for it; none where no key of the workspace is concerned.
    pub fn word(self) -> Option<&'static str> {
        match self {
            Self::Copied(_) => Some("copy_in_place"),
            Self::Saved(_) => Some("save_again"),
            Self::Never(_) => Some("never"),
            Self::AtOnce(_) => Some("at_once"),
            Self::NotConcerned => None,
        }
    }

    /// The same in sentences; empty where no key of the workspace is concerned.
    pub fn how(self) -> &'static str {
        match self {
            Self::Copied(how) | Self::Saved(how) | Self::Never(how) | Self::AtOnce(how) => how,
            Self::NotConcerned => "",
        }
    }
}

/// A kind of data that a workspace has, and what can encrypt it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataKind {
    /// What it is. Unique within a cloud; the same kind has the same name on every cloud.
    pub name: &'static str,
    /// Where it lies.
    pub place: &'static str,
    /// What encrypts it.
    pub cover: Cover,
    /// Which part of it the key encrypts, where it is not all; such a row is `partly` at most.
    pub only: Option<&'static str>,
    /// Whether only workspaces with classic compute have it.
    pub classic: bool,
    /// What becomes of data from before the key.
    pub existing: Existing,
    /// What else to know.
    pub note: &'static str,
    /// The vendor's page.
    pub source: &'static str,
    /// What to do for a storage key, in the words of the cloud.
    attach_storage: &'static str,
}

/// What a workspace has, as far as it decides what is covered. What cannot be read is `None`, and what depends on it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkspaceKeys {
    /// The workspace has a key for managed services.
    pub managed_services: bool,
    /// The workspace has a key for its storage.
    pub storage: bool,
    /// Its storage key is reused for cluster volumes.
    pub cluster_volumes: Option<bool>,
    /// Its storage is Databricks' own: serverless workspaces, and those with default storage.
    pub default_storage: Option<bool>,
    /// It has serverless compute alone.
    pub serverless_only: Option<bool>,
    /// The workspace has a key for managed disks, which only Azure has.
    pub managed_disks: bool,
}

/// A workspace of which everything is known.
#[derive(Clone, Copy)]
struct Known {
    keys: WorkspaceKeys,
    cluster_volumes: bool,
    default_storage: bool,
    serverless_only: bool,
}

impl WorkspaceKeys {
    /// A workspace with classic compute and storage of the customer's, without keys.
    pub fn classic() -> Self {
        Self {
            cluster_volumes: Some(false),
            default_storage: Some(false),
            serverless_only: Some(false),
            ..Self::default()
        }
    }

    /// A workspace with serverless compute alone, without keys.
    pub fn serverless() -> Self {
        Self {
            default_storage: Some(true),
            serverless_only: Some(true),
            ..Self::classic()
        }
    }

    /// Every workspace that it may be.
    fn possible(self) -> impl Iterator<Item = Known> {
        let both = |value: Option<bool>| match value {
            Some(true) => &[true][..],
            Some(false) => &[false][..],
            None => &[false, true][..],
        };
        let cluster_volumes = both(self.cluster_volumes).iter();
        let storage = both(self.default_storage);
        let compute = both(self.serverless_only);
        cluster_volumes.flat_map(move |volumes| {
            storage.iter().flat_map(move |default_storage| {
                compute.iter().map(move |serverless_only| Known {
                    keys: self,
                    cluster_volumes: *volumes,
                    default_storage: *default_storage,
                    serverless_only: *serverless_only,
                })
            })
        })
    }
}

/// Whether a key of the customer encrypts a kind of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Covered {
    /// Yes: the key is attached.
    Yes,
    /// Yes for a part of the data, and no for the rest.
    Partly,
    /// No key covers the data, although one could.
    No,
    /// A fact is missing that decides it.
    NotKnown,
    /// The workspace has no such data.
    NotOffered,
}

impl Covered {
    /// All answers.
    pub const ALL: [Self; 5] = [
        Self::Yes,
        Self::Partly,
        Self::No,
        Self::NotKnown,
        Self::NotOffered,
    ];

    /// The word for it in JSON. Terraform has null where a workspace has no such data.
    pub fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Partly => "partly",
            Self::No => "no",
            Self::NotKnown => "not_known",
            Self::NotOffered => "not_offered",
        }
    }
}

/// The answer for a kind of data in a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// Whether a key covers it.
    pub covered: Covered,
    /// Whose key, if one does.
    pub by: Option<UseCase>,
    /// The reason, as a sentence.
    pub why: &'static str,
    /// What to do, if something can be done.
    pub instead: Option<&'static str>,
}

impl Coverage {
    const fn by(case: UseCase) -> Self {
        Self {
            covered: Covered::Yes,
            by: Some(case),
            why: match case {
                UseCase::ManagedServices => "The managed services key of the workspace covers it.",
                UseCase::Storage => "The storage key of the workspace covers it.",
                UseCase::ManagedDisks => "The managed disks key of the workspace covers it.",
            },
            instead: None,
        }
    }

    const fn no(why: &'static str, instead: &'static str) -> Self {
        Self {
            covered: Covered::No,
            by: None,
            why,
            instead: Some(instead),
        }
    }

    const fn not_known(why: &'static str, instead: Option<&'static str>) -> Self {
        Self {
            covered: Covered::NotKnown,
            by: None,
            why,
            instead,
        }
    }
}

const ATTACH_MANAGED: &str = "Attach a key configuration for managed services.";
const ATTACH_DISKS: &str = "Attach a key configuration for managed disks.";
const ATTACH_VOLUMES: &str = "Attach a key configuration for storage with `reuse_key_for_cluster_volumes = true`. It can be set only once.";
const NO_MANAGED: Coverage =
    Coverage::no("The workspace has no managed services key.", ATTACH_MANAGED);
const NO_DISKS: Coverage = Coverage::no("The workspace has no managed disks key.", ATTACH_DISKS);
const NO_STORAGE: &str = "The workspace has no storage key.";
const NO_VOLUMES: Coverage = Coverage::no(
    "The storage key is attached with `reuse_key_for_cluster_volumes = false`, which cannot be changed.",
    "Encrypt EBS volumes by the default of the AWS account.",
);
const OF_CATALOG: Coverage = Coverage::not_known(
    "The key of a catalog is set on the catalog, and the provider has not read the catalogs.",
    Some("Set `managed_encryption_settings` on the catalog."),
);
const NOT_READ: &str =
    "Its encryption is set where it is stored, and the provider has not read it.";
const UNKNOWN_MODE: Coverage = Coverage::not_known(
    "It depends on the compute mode and the storage mode of the workspace, which Databricks does not show or which this version does not \
     know.",
    None,
);
const UNKNOWN_VOLUMES: Coverage = Coverage::not_known(
    "The account does not list the key configuration for storage, so it is not known whether it is reused for cluster volumes.",
    None,
);
const NO_CLASSIC: Coverage = Coverage {
    covered: Covered::NotOffered,
    by: None,
    why: "The workspace has only serverless compute.",
    instead: None,
};

impl DataKind {
    /// Whether a key covers it in a workspace, and whose. Where something about the workspace is not known, the answer is what holds
    /// whatever it is, or not known.
    pub fn in_workspace(&self, keys: WorkspaceKeys) -> Coverage {
        let all: Vec<Coverage> = keys.possible().map(|known| self.judged(known)).collect();
        let same = |same: fn(&Coverage, &Coverage) -> bool| {
            let first = *all.first()?;
            all.iter().all(|one| same(one, &first)).then_some(first)
        };
        if let Some(answer) = same(|one, first| one == first) {
            return answer;
        }
        let open = match self.cover {
            Cover::ClusterVolumes if keys.serverless_only.is_some() => UNKNOWN_VOLUMES,
            _ => UNKNOWN_MODE,
        };
        let covered = same(|one, first| one.covered == first.covered);
        Coverage {
            covered: covered.map_or(open.covered, |first| first.covered),
            ..open
        }
    }

    /// Whether a workspace that loses these keys loses this data: true, false, or not known. `keys`: what the workspace has, and of its
    /// keys only those that are taken away.
    pub fn is_lost(&self, keys: WorkspaceKeys) -> Option<bool> {
        match self.cover {
            Cover::Never(_) => return Some(false),
            cover if !cover.is_of_workspace() => return None,
            _ => {}
        }
        let lost = |known| self.judged(known).by.is_some();
        let may_be_catalog =
            self.cover == Cover::WorkspaceCatalog && keys.default_storage != Some(false);
        match (keys.possible().any(lost), keys.possible().all(lost)) {
            (true, true) => Some(true),
            (false, _) if !may_be_catalog => Some(false),
            _ => None,
        }
    }

    fn judged(&self, known: Known) -> Coverage {
        if self.classic && known.serverless_only {
            return NO_CLASSIC;
        }
        let answer = self.whole(known);
        match (answer.covered, self.only) {
            (Covered::Yes, Some(only)) => Coverage {
                covered: Covered::Partly,
                why: only,
                ..answer
            },
            _ => answer,
        }
    }

    /// The answer for the part of it that a key can encrypt.
    fn whole(&self, known: Known) -> Coverage {
        let keys = known.keys;
        let has = |has_it: bool, case, otherwise| match has_it {
            true => Coverage::by(case),
            false => otherwise,
        };
        let no_storage = Coverage::no(NO_STORAGE, self.attach_storage);
        match self.cover {
            Cover::Storage if known.default_storage => {
                has(keys.managed_services, UseCase::ManagedServices, NO_MANAGED)
            }
            Cover::WorkspaceCatalog if known.default_storage => OF_CATALOG,
            Cover::ManagedServices => {
                has(keys.managed_services, UseCase::ManagedServices, NO_MANAGED)
            }
            Cover::Storage | Cover::WorkspaceCatalog | Cover::Disks => {
                has(keys.storage, UseCase::Storage, no_storage)
            }
            Cover::ClusterVolumes if !keys.storage => Coverage::no(NO_STORAGE, ATTACH_VOLUMES),
            Cover::ClusterVolumes => has(known.cluster_volumes, UseCase::Storage, NO_VOLUMES),
            Cover::ManagedDisks => has(keys.managed_disks, UseCase::ManagedDisks, NO_DISKS),
            Cover::Catalog => OF_CATALOG,
            Cover::Elsewhere(instead) => Coverage::not_known(NOT_READ, Some(instead)),
            Cover::Never(why) => Coverage {
                covered: Covered::No,
                by: None,
                why,
                instead: None,
            },
            Cover::NotKnown(why) => Coverage::not_known(why, None),
        }
    }

    /// The use case of the key of the workspace that can encrypt it; none where no key of the workspace does.
    pub fn use_case(&self, keys: WorkspaceKeys) -> Option<UseCase> {
        match (self.cover, keys.default_storage) {
            (Cover::ManagedServices, _) | (Cover::Storage, Some(true)) => {
                Some(UseCase::ManagedServices)
            }
            (Cover::WorkspaceCatalog, Some(true)) => None,
            (
                Cover::Storage | Cover::WorkspaceCatalog | Cover::ClusterVolumes | Cover::Disks,
                _,
            ) => Some(UseCase::Storage),
            (Cover::ManagedDisks, _) => Some(UseCase::ManagedDisks),
            (Cover::Catalog | Cover::Elsewhere(_) | Cover::Never(_) | Cover::NotKnown(_), _) => {
                None
            }
        }
    }

    /// Where it lies in a workspace.
    pub fn place_in(&self, keys: WorkspaceKeys) -> &'static str {
        const DEFAULT_STORAGE: &str = "Databricks default storage";
        let in_storage = matches!(self.cover, Cover::Storage | Cover::WorkspaceCatalog);
        match keys.default_storage {
            Some(true) if in_storage => DEFAULT_STORAGE,
            None if in_storage => "workspace storage; not known whether it is yours",
            _ => self.place,
        }
    }

    /// What becomes of data from before the key in a workspace.
    pub fn existing_in(&self, keys: WorkspaceKeys) -> Existing {
        match (self.cover, keys.default_storage) {
            (Cover::Storage, Some(true)) => Existing::Saved(
                "Write the data again. Objects in default storage cannot be copied in place.",
            ),
            (Cover::WorkspaceCatalog, Some(true)) => Existing::NotConcerned,
            _ => self.existing,
        }
    }
}

#[cfg(test)]
mod tests;
