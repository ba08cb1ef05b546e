//! What is known of a key of Cloud KMS.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use crate::{Fact, Unreadable};
use requirements::gcp::Rights;
use vocabulary::gcp::{CryptoKeyName, ServiceAccount};

/// The state of a version. Source: Cloud KMS API, CryptoKeyVersionState.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionState {
    /// `ENABLED`: it encrypts and decrypts.
    Enabled,
    /// `DISABLED`: it does neither until it is enabled again.
    Disabled,
    /// `DESTROY_SCHEDULED`: it does neither, and can be restored until it is destroyed.
    DestroyScheduled,
    /// `DESTROYED`: its material is gone.
    Destroyed,
    /// Any other, as Google names it.
    Other(String),
}

impl From<&str> for VersionState {
    fn from(text: &str) -> Self {
        match text {
            "ENABLED" => Self::Enabled,
            "DISABLED" => Self::Disabled,
            "DESTROY_SCHEDULED" => Self::DestroyScheduled,
            "DESTROYED" => Self::Destroyed,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl VersionState {
    /// As Google names it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Enabled => "ENABLED",
            Self::Disabled => "DISABLED",
            Self::DestroyScheduled => "DESTROY_SCHEDULED",
            Self::Destroyed => "DESTROYED",
            Self::Other(other) => other,
        }
    }
}

/// A version of a key, as Cloud KMS lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CryptoKeyVersion {
    /// The last part of its name: `1`.
    pub number: String,
    /// The state, in Google's own word.
    pub state: VersionState,
    /// When its material will be destroyed, if that is scheduled (RFC 3339).
    pub destroy_time: Option<String>,
}

/// A key as Cloud KMS describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CryptoKey {
    /// `ENCRYPT_DECRYPT`, `ASYMMETRIC_SIGN`, …
    pub purpose: String,
    /// `SOFTWARE`, `HSM`, `EXTERNAL`, …
    pub protection_level: String,
    /// The version that encrypts; none when the key has none.
    pub primary: Option<CryptoKeyVersion>,
    /// How often a new primary version is made, as `7776000s`; none when it is not.
    pub rotation_period: Option<String>,
    /// When the next one is made (RFC 3339).
    pub next_rotation_time: Option<String>,
    /// Whether a Key Access Justifications policy is set that allows no reason, so that every use fails.
    pub allows_no_reason: bool,
    /// How long a version stays restorable after its destruction was scheduled, as `2592000s`.
    pub destroy_window: Option<String>,
    /// Whether its versions can only be imported, so that Cloud KMS cannot rotate it.
    pub import_only: bool,
    /// The labels, of which the kill switch keeps some.
    pub labels: BTreeMap<String, String>,
}

/// A rule of a deny policy, as far as it concerns the use of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenyRule {
    /// The name of the deny policy.
    pub policy: String,
    /// What it denies, as `cloudkms.googleapis.com/cryptoKeyVersions.useToDecrypt`.
    pub permissions: Vec<String>,
    /// The principals whom it denies: `principal://…`, `principalSet://…`.
    pub principals: Vec<String>,
    /// The principals whom it spares all the same.
    pub exceptions: Vec<String>,
    /// What it does not deny, all the same.
    pub exception_permissions: Vec<String>,
    /// Under which condition.
    pub condition: Option<String>,
}

/// The deny policies at one level: the project, a folder, the organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenyLevel {
    /// Which level, by its name.
    pub of: String,
    /// The rules of its policies, as far as they could be read.
    pub rules: Vec<DenyRule>,
    /// What of them could not be read.
    pub unread: Vec<Unreadable>,
}

/// What the same plan is about to grant on a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlannedMembers {
    /// Who gets the role with both rights.
    pub members: Vec<ServiceAccount>,
    /// Whether there are others whose names are known only after apply.
    pub has_unknown: bool,
    /// Whether the whole list of Databricks' service accounts is known only after apply, so that any may stand in it.
    pub is_list_unknown: bool,
}

/// A condition of a binding: when it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IamCondition {
    /// The title that the owner gave it.
    pub title: String,
    /// The expression, in CEL.
    pub expression: String,
}

/// A binding of an IAM allow policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The name of the role: `roles/cloudkms.cryptoKeyEncrypterDecrypter`.
    pub role: String,
    /// The members that have it: `serviceAccount:…`, `group:…`.
    pub members: Vec<String>,
    /// Under which condition.
    pub condition: Option<IamCondition>,
}

/// The IAM allow policy at one level: the key, its ring, its project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyLevel {
    /// Which level, in words.
    pub of: String,
    /// The bindings of the level, or why the provider could not read them.
    pub bindings: Fact<Vec<Binding>>,
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CryptoKeyFacts {
    /// The full name of the key.
    pub name: CryptoKeyName,
    /// As Cloud KMS describes it.
    pub key: Fact<CryptoKey>,
    /// The versions in every state.
    pub versions: Fact<Vec<CryptoKeyVersion>>,
    /// The allow policies from the key upward.
    pub policies: Vec<PolicyLevel>,
    /// Whether every level up to the organization could be read.
    pub is_read_to_the_top: bool,
    /// What the custom roles of these policies let do, as far as they could be read.
    pub roles: BTreeMap<String, Rights>,
    /// The deny policies above the key, level by level.
    pub denied: Vec<DenyLevel>,
    /// What the same plan is about to grant.
    pub planned: Option<PlannedMembers>,
    /// When it was read.
    pub at: OffsetDateTime,
}
