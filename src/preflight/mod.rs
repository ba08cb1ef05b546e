//! Facts about a key, a key configuration and a workspace in; findings out.
//!
//! Pure: whoever has the facts can ask, and the same facts give the same findings. A finding has a stable id, says what was
//! found, why it matters and what to do, ready to paste. Severity `error` means that an attach would fail or leave a
//! workspace without its key; `warning` means that it works and a person should know.

pub mod binding;
pub mod catalog;
pub mod key;

pub use catalog::{Id, Silenced};

use crate::vocabulary::{KeyArn, KeyState};

/// When the question is asked: what cannot be read is a warning at plan, and an error right before the attach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing happens yet.
    Plan,
    /// The next call attaches.
    Apply,
}

/// Whether a finding stops an apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Never stops.
    Warning,
    /// Stops under `preflight = "enforce"`.
    Error,
}

/// How much what could not be read weighs: nothing happens at plan, and the next call attaches at apply.
fn unread_severity(stage: Stage) -> Severity {
    match stage {
        Stage::Plan => Severity::Warning,
        Stage::Apply => Severity::Error,
    }
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The key, or its policy.
    Key,
    /// The key configuration for managed services.
    ManagedServicesConfiguration,
    /// The key configuration for storage.
    StorageConfiguration,
    /// The workspace.
    Workspace,
}

/// One thing that a person should know before a key is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// A stable name: `kms-key-disabled`.
    pub id: Id,
    /// Whether it stops.
    pub severity: Severity,
    /// What it is about.
    pub subject: Subject,
    /// What is wrong, in one line.
    pub summary: String,
    /// What was found.
    pub found: String,
    /// Why it matters.
    pub why: String,
    /// What to do, ready to paste.
    pub remedy: String,
}

impl Finding {
    /// Whether it only advises: it works, and a person may want to know.
    pub fn is_advice(&self) -> bool {
        self.severity == Severity::Warning && self.id.silence() == catalog::Silence::Allowed
    }
}

/// A fact, or why it could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact<T> {
    /// What was read.
    Known(T),
    /// It could not be read.
    Unreadable(Unreadable),
}

/// Why a fact could not be read, and what would make it readable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The permission that is missing, if that is the reason.
    pub permission: Option<&'static str>,
    /// The reason in words.
    pub reason: String,
    /// What would make it readable, ready to paste; the permission says it where one is missing.
    pub remedy: Option<String>,
    /// Whether it is certain that the thing does not exist.
    pub is_missing: bool,
}

/// A key as KMS describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDescription {
    /// Its state.
    pub state: KeyState,
    /// `ENCRYPT_DECRYPT`, `SIGN_VERIFY`, …
    pub usage: String,
    /// `SYMMETRIC_DEFAULT`, `RSA_2048`, …
    pub spec: String,
    /// `CUSTOMER` or `AWS`.
    pub manager: String,
    /// When it will be deleted, if it will be (RFC 3339).
    pub deletion_date: Option<String>,
    /// When its imported material expires, if it does (RFC 3339).
    pub material_expires: Option<String>,
    /// The primary key, if this is a replica of a multi-region key.
    pub replica_of: Option<String>,
}

impl KeyDescription {
    /// A key that nothing is to be said against.
    pub fn good() -> Self {
        Self {
            state: KeyState::Enabled,
            usage: "ENCRYPT_DECRYPT".to_owned(),
            spec: "SYMMETRIC_DEFAULT".to_owned(),
            manager: "CUSTOMER".to_owned(),
            deletion_date: None,
            material_expires: None,
            replica_of: None,
        }
    }
}

/// A grant on a key: a second way to be allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Who was granted.
    pub grantee: String,
    /// What: `Decrypt`, `GenerateDataKey`.
    pub operations: Vec<String>,
    /// Whether it holds only under constraints on the encryption context.
    pub constrained: bool,
}

/// Which policy a key is judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicySource {
    /// The one that KMS has now.
    Live,
    /// The one that the same configuration is about to put.
    Planned,
    /// One that somebody gives, by this name (a file). The key's own ARN may not be known then, and no text shows it.
    Given(String),
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    /// Which key.
    pub arn: KeyArn,
    /// As KMS describes it.
    pub description: Fact<KeyDescription>,
    /// Its policy's text.
    pub policy: Fact<String>,
    /// Where that policy comes from.
    pub policy_source: PolicySource,
    /// Its grants. They only add, so what could not be read is as if there were none.
    pub grants: Fact<Vec<Grant>>,
    /// Whether its material is rotated automatically.
    pub rotates: Fact<bool>,
}

impl KeyFacts {
    /// What texts call the policy.
    fn policy_called(&self) -> String {
        match &self.policy_source {
            PolicySource::Live => format!("the policy of {}", self.arn),
            PolicySource::Planned => format!(
                "the planned policy (dbxcmk_key_policy in this configuration) of {}",
                self.arn
            ),
            PolicySource::Given(name) => name.clone(),
        }
    }
}
