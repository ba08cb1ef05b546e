//! What is known of a key in Key Vault or Managed HSM, of its vault, and of who may use it.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use crate::Fact;
use requirements::azure::Rights;
use vocabulary::UseCase;
use vocabulary::azure::{PrincipalId, VaultKeyId, VaultResourceId, WorkspaceResourceId};

/// A version of a key, as the vault shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultKey {
    /// The version in the vault's own name for it: 32 hexadecimal digits.
    pub version: String,
    /// `RSA`, `RSA-HSM`, `EC`, `oct-HSM`, …
    pub kind: String,
    /// The size of an RSA key in bits.
    pub bits: Option<u32>,
    /// Whether the vault lets principals use it.
    pub enabled: bool,
    /// Before which time it cannot be used to wrap.
    pub not_before: Option<OffsetDateTime>,
    /// After which time it cannot be used to wrap.
    pub expires: Option<OffsetDateTime>,
    /// What it may be used for: `wrapKey`, `unwrapKey`, …
    pub operations: Vec<String>,
    /// `Recoverable`, `CustomizedRecoverable+Purgeable`, …
    pub recovery_level: String,
    /// How many days a deleted key can be recovered.
    pub recoverable_days: Option<u32>,
    /// Whether it belongs to a certificate.
    pub of_certificate: bool,
}

impl VaultKey {
    /// Whether a deleted key cannot be purged before its retention ends. Source: Key Vault REST API, DeletionRecoveryLevel.
    pub fn is_purge_protected(&self) -> bool {
        !self.recovery_level.is_empty() && !self.recovery_level.contains("Purgeable")
    }
}

/// How a vault decides who may use its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessModel {
    /// By role assignments of Azure, and the deny assignments that count at the key.
    RoleAssignments(Fact<Vec<DenyAssignment>>),
    /// By access policies of the vault.
    AccessPolicies(Vec<AccessPolicy>),
    /// By local roles of the Managed HSM.
    LocalRoles,
}

/// A role assignment that counts for a key: at the key, the vault, or above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The ID of the resource, resource group or subscription at which Azure has it.
    pub scope: String,
    /// The name of its role, or its ID where the name is not known.
    pub role: String,
    /// What its role lets do with keys; `None` when its permissions are not known.
    pub rights: Option<Rights>,
    /// The group by which it counts; none when it names the principal itself.
    pub group: Option<String>,
    /// Its condition (ABAC), if it has one.
    pub condition: Option<String>,
}

/// Who has a role that counts at a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleHolder {
    /// The object ID.
    pub principal: String,
    /// What it is, as Azure says: `User`, `Group`, `ServicePrincipal`, `ForeignGroup`, …
    pub kind: Option<String>,
    /// Where the role is assigned.
    pub scope: String,
    /// The role by its name, or by its ID.
    pub role: String,
    /// What it lets do with keys; none where that could not be read.
    pub rights: Option<Rights>,
    /// Its condition, if it has one.
    pub condition: Option<String>,
}

/// A deny assignment that counts for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenyAssignment {
    /// The name in texts for people.
    pub name: String,
    /// What it denies.
    pub denied: Rights,
    /// The object IDs of the principals that it hits; the ID of zeros means everybody.
    pub principals: Vec<String>,
    /// The object IDs of the principals that it spares.
    pub except: Vec<String>,
    /// Whether groups are among them, whose members are not read.
    pub has_groups: bool,
    /// Its condition, if it has one.
    pub condition: Option<String>,
}

/// An access policy of a vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessPolicy {
    /// The object ID of the principal that it gives access.
    pub principal: String,
    /// The permissions on keys: `get`, `wrapKey`, `unwrapKey`.
    pub keys: Vec<String>,
}

/// The network rules of a vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Whether what no rule names is let in.
    pub allows_by_default: bool,
    /// Whether trusted services of Microsoft are let in all the same.
    pub lets_trusted_services_in: bool,
    /// Whether a network security perimeter decides.
    pub is_secured_by_perimeter: bool,
}

/// A vault or a Managed HSM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vault {
    /// The region, in the cloud's own name for it.
    pub location: String,
    /// The ID of the tenant whose identities the vault knows.
    pub tenant: String,
    /// `standard` or `premium`; that of a Managed HSM is another.
    pub sku: String,
    /// Whether deleted keys can be recovered.
    pub soft_delete: bool,
    /// How many days they can.
    pub retention_days: Option<u32>,
    /// Whether deleted keys cannot be purged before.
    pub purge_protection: bool,
    /// The network rules: which clients the vault lets in.
    pub network: Network,
    /// How it decides who may use its keys.
    pub access: AccessModel,
}

/// The access that a `dbxcmk_key_policy` of the same configuration is going to give.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlannedAccess {
    /// The data that the principals shall encrypt.
    pub cases: Vec<UseCase>,
    /// Those that are known.
    pub principals: Vec<PrincipalId>,
    /// The workspace whose identities it grants, as far as it is known.
    pub workspace: Option<WorkspaceResourceId>,
    /// Whether something of it is not known yet, so that it may grant more.
    pub has_unknown: bool,
}

/// What the vault says of a key that it does not have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Absence {
    /// Nothing, or the key is there.
    #[default]
    Unexplained,
    /// It is deleted, and can be recovered until it is purged.
    Deleted {
        /// When the vault deletes it permanently; `None` if the vault does not say.
        purged: Option<OffsetDateTime>,
    },
    /// The key is there, and the version is not.
    OtherVersions,
}

/// Why the provider could not ask Azure at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Barrier {
    /// It gives no token: why.
    NoToken(String),
    /// The key is in another cloud of Microsoft than the one that is configured.
    OtherCloud {
        /// The word for the one that is configured.
        configured: &'static str,
    },
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultKeyFacts {
    /// Which key, as it is configured.
    pub id: VaultKeyId,
    /// Why nothing of it could be read.
    pub barrier: Option<Barrier>,
    /// The version that it names, or the current one.
    pub key: Fact<VaultKey>,
    /// What the vault says of it when it is not there.
    pub absence: Absence,
    /// The resource ID of its vault, where the provider knows it.
    pub vault_id: Option<VaultResourceId>,
    /// The vault, as Resource Manager shows it.
    pub vault: Fact<Vault>,
    /// The role assignments that count for each principal of the question; none for a vault with access policies.
    pub assignments: BTreeMap<PrincipalId, Fact<Vec<Assignment>>>,
    /// The access that the same configuration is going to give.
    pub planned: Vec<PlannedAccess>,
    /// When it was read.
    pub at: OffsetDateTime,
}
