//! Facts about a key, a key configuration and a workspace in; findings out.
//!
//! Pure: every room that has the facts can ask, and the same facts give the same findings. A finding has a stable ID, says
//! what was found, why it matters and what to do, ready to paste. Severity `error` means that an attach would fail or leave
//! a workspace without its key; `warning` means that it works and a person should know.

#![warn(clippy::disallowed_methods)]
#![cfg_attr(test, allow(clippy::too_many_lines, reason = "tables of cases"))]

pub mod aws;
pub mod azure;
pub mod binding;
mod catalog;
pub mod gcp;
mod last_use;
mod remedy;
pub mod storage;
mod summary;

pub use catalog::{Id, SeverityRule, Silenced, Suppression};
pub use last_use::{LastUse, Standing};
pub use remedy::{Hint, Remedy};
pub use summary::proof;

use serde::Serialize;

use vocabulary::Key;

/// Whether Terraform plans or applies: a fact that the provider cannot read is a warning at plan, and an error
/// right before the attach.
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

/// The lines that say which workspaces use a key.
fn users_in_words(users: &[String]) -> String {
    match users {
        [] => String::new(),
        users => format!(
            "\n\nThese workspaces use the key now:\n  - {}",
            users.join("\n  - ")
        ),
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
    /// The key configuration for managed disks.
    ManagedDisksConfiguration,
    /// The workspace itself: its status, region or tier.
    Workspace,
}

/// One thing that a person should know before a key is attached. It begins with its name:
/// `Id::KmsKeyDisabled.error(subject).found(…).why(…).remedy(…)`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Finding {
    /// A stable name: `kms-key-disabled`.
    pub id: Id,
    /// Whether it stops.
    pub severity: Severity,
    /// What it is about.
    pub subject: Subject,
    /// What is wrong, in one line.
    pub summary: String,
    /// The short name of the key or the workspace that it is about, where one is known.
    pub about: Option<String>,
    /// What the provider found, with IDs.
    pub found: String,
    /// Why it matters.
    pub why: String,
    /// What to do, ready to paste.
    pub remedy: Remedy,
}

impl Id {
    /// A finding that stops.
    pub fn error(self, subject: Subject) -> Finding {
        self.finding(subject, Severity::Error)
    }

    /// A finding that does not stop.
    pub fn warning(self, subject: Subject) -> Finding {
        self.finding(subject, Severity::Warning)
    }

    /// A finding about what could not be read: a warning at plan, where nothing happens, and an error right before the call that
    /// attaches.
    pub fn unread(self, subject: Subject, stage: Stage) -> Finding {
        self.finding(subject, unread_severity(stage))
    }

    /// A finding that weighs what the facts say.
    pub fn weighing(self, severity: Severity, subject: Subject) -> Finding {
        self.finding(subject, severity)
    }

    fn finding(self, subject: Subject, severity: Severity) -> Finding {
        debug_assert!(
            self.severity_rule().admits(severity),
            "{self} is not of the severity that the catalog says"
        );
        Finding {
            id: self,
            severity,
            subject,
            summary: self.title().to_owned(),
            about: None,
            found: String::new(),
            why: String::new(),
            remedy: Remedy::default(),
        }
    }
}

/// A gap: an object that the provider cannot see, and about which it says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotVisible {
    /// What the provider cannot see, as the subject of a sentence.
    pub what: String,
    /// The reason, as a sentence.
    pub why: String,
}

/// The findings of a plan about a key whose `dbxcmk_key_policy` did not come in time. Where another finding stops the plan, the result has all
/// of them in full. `may_apply`: whether this may be an apply: Terraform also plans while it applies, and then a key policy without a change
/// never comes.
pub fn without_policy(findings: Vec<Finding>, key: &Key, may_apply: bool) -> Vec<Finding> {
    let (granted, rest): (Vec<Finding>, Vec<Finding>) = findings
        .into_iter()
        .partition(|one| one.id.by_policy().is_resolved());
    let stops = rest.iter().any(|one| one.severity == Severity::Error);
    let missing = match (stops || granted.is_empty(), may_apply) {
        (true, _) => granted,
        (false, true) => vec![access_is_gone(key, &granted)],
        (false, false) => vec![policy_not_planned_yet(key, &granted)],
    };
    let mut all: Vec<Finding> = missing.into_iter().chain(rest).collect();
    all.sort_by_key(|one| std::cmp::Reverse(one.severity));
    all
}

/// What of the access is missing, as it was found.
fn is_missing(granted: &[Finding]) -> String {
    let mut lines: Vec<String> = granted
        .iter()
        .map(|one| format!("\n  - {}", one.found))
        .collect();
    lines.dedup();
    lines.concat()
}

/// A key whose policy the same configuration manages, which Terraform plans later.
fn policy_not_planned_yet(key: &Key, granted: &[Finding]) -> Finding {
    Id::PolicyNotPlannedYet
        .warning(Subject::Key)
        .found(format!(
            "The access rules of {key} do not show what Databricks needs:{}\nThe configuration has key policies that Terraform had not planned when \
             it planned this resource.",
            is_missing(granted)
        ))
        .why(
            "This plan does not show whether one of them adds what is missing. The provider runs the proof again right before the call, and \
             stops if it fails.",
        )
        .remedy(Remedy::hint(Hint::ReferToPolicy(key.cloud().clone())))
}

/// The same where Terraform may be applying a plan that showed the access.
fn access_is_gone(key: &Key, granted: &[Finding]) -> Finding {
    Id::PolicyNotPlannedYet
        .warning(Subject::Key)
        .summary("Databricks has no access to the key now")
        .found(format!(
            "The access rules of {key} do not show what Databricks needs:{}",
            is_missing(granted)
        ))
        .why(
            "If you apply a saved plan, somebody took the access away since that plan, and no key policy of the plan gives it back. The provider \
             runs the proof again right before the call, and stops if it fails.",
        )
        .remedy(Remedy::say(
            "Plan again: the new plan shows what is gone, and `dbxcmk_key_policy` restores it. If this is a plan, refer to the key by way of its \
             `dbxcmk_key_policy`, so that Terraform plans that first.",
        ))
}

impl Finding {
    /// What is wrong, where the title does not say it well enough.
    pub fn summary(mut self, text: impl Into<String>) -> Self {
        self.summary = text.into();
        self
    }

    /// Names the object of the finding, unless it has a name already.
    pub fn about(mut self, name: impl Into<String>) -> Self {
        self.about.get_or_insert_with(|| name.into());
        self
    }

    /// Sets what the provider found.
    pub fn found(mut self, text: impl Into<String>) -> Self {
        self.found = text.into();
        self
    }

    /// Why it matters.
    pub fn why(mut self, text: impl Into<String>) -> Self {
        self.why = text.into();
        self
    }

    /// What to do.
    pub fn remedy(mut self, remedy: impl Into<Remedy>) -> Self {
        self.remedy = remedy.into();
        self
    }

    /// Whether it only advises: it works, and a person may want to know.
    pub fn is_advice(&self) -> bool {
        self.severity == Severity::Warning && self.id.suppression() == Suppression::Allowed
    }
}

/// A fact, or why it could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact<T> {
    /// The fact, as the service shows it.
    Known(T),
    /// The service refused, or could not be reached.
    Unreadable(Unreadable),
}

/// Why a fact could not be read, and what would make it readable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The permission that is missing, if that is the reason.
    pub permission: Option<&'static str>,
    /// The reason in words.
    pub reason: String,
    /// What would make it readable; the permission says it where one is missing.
    pub remedy: Option<Remedy>,
    /// Whether it is certain that the thing does not exist.
    pub is_missing: bool,
}

/// A text that begins a sentence.
pub fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}
