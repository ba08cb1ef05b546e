//! The kill switch: taking Databricks' access to a key away, and giving it back.
//!
//! One implementation behind the command, the actions and the data source. [`Impact`] says what stops; [`consented`] makes sure that the user who
//! orders it knows; each cloud carries an order out with its own means ([`mod@aws`], [`mod@gcp`], [`mod@azure`]), and the provider reads every change
//! back.

mod aws;
mod azure;
mod consent;
mod drive;
mod former;
mod gcp;
mod impact;
mod keys;
mod progress;
mod recovery;
mod render;
mod session;

pub use consent::{Consent, Flags, consented, hold};
pub use former::{FormerUser, NOT_TOLD, former_users, last_of};
pub use impact::{AffectedWorkspace, Impact, impact};
#[cfg(test)]
pub use impact::{left_open, stopping};
pub use keys::{execute, other_users, status, tidy};
pub use recovery::{judge_restored, wait_for_workspaces};
pub use render::{former_key, in_words, is_off, state_in_words, version_in_words};
pub use session::{Connection, Endpoints, KillSwitch};

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde::Serialize;
use tfplugin::CancellationToken;
use tfplugin::diagnostics::Diagnostics;

use crate::vocabulary::KeyState;

/// The option with which a restore enables what this provider did not disable, in the command and in the action.
pub const ANYWAY: &str = "`--enable-anyway` (`enable_anyway = true` in the action)";

/// The state of a key of which this provider has disabled some versions, and others are enabled.
pub const PARTLY_DISABLED: &str = "PartlyDisabled";

/// What the user orders for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOperation {
    /// The provider disables the key: no principal can use it until a restore.
    Disable,
    /// The provider disables the key, and the cloud deletes it after a number of days (7 to 30 on AWS).
    ScheduleDeletion {
        /// How many days; `None` for the cloud's own default: 30 on AWS, the key's own window on Google Cloud.
        days: Option<u8>,
    },
    /// The provider enables the key again, and cancels its deletion.
    Restore {
        /// Enable the key even if another writer disabled it.
        enable_anyway: bool,
    },
}

impl KeyOperation {
    /// The order as a verb: `disable`.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::ScheduleDeletion { .. } => "schedule the deletion of",
            Self::Restore { .. } => "restore",
        }
    }
}

/// Shows the user what the provider does, line by line.
pub type Say<'a> = &'a (dyn Fn(String) + Send + Sync);

/// How the provider carries an order out.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Shows the user what the provider does.
    pub say: Say<'a>,
    /// How long a change may take to show.
    pub patience: Duration,
    /// Cancelled when the user interrupts: the provider takes no further step.
    pub stop: &'a CancellationToken,
    /// Set as soon as the provider has changed anything, even if the order fails later.
    pub changed: &'a AtomicBool,
    /// Set before a call that takes the key away, and unset where the service definitely refused it: as long as it is set, the key may be
    /// taken away although no read shows it yet.
    pub taking: &'a AtomicBool,
}

/// What the provider does with the tag of an order that it did not finish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tidying {
    /// Nothing: there is no tag, or the tag says what is true.
    Nothing,
    /// It removes the tag, so that nobody attributes a later disable to this order.
    Remove,
    /// It leaves the tag: the key may still be taken away, and a restore needs to know by whom.
    Leave,
}

/// Decides what the provider does with the tag. `is_left_over`: the tag is on a key that no read shows as taken away.
fn tidying(is_left_over: bool, may_take_effect: bool) -> Tidying {
    match (is_left_over, may_take_effect) {
        (false, _) => Tidying::Nothing,
        (true, false) => Tidying::Remove,
        (true, true) => Tidying::Leave,
    }
}

/// The note that the tag stays. `what`: the tag, as `The tag ... of the key`.
fn stays(what: &str) -> String {
    format!(
        "{what} stays, because the call that takes the key away may still take effect. If `key status` shows after some minutes that it did \
         not, `key restore` removes what stays."
    )
}

/// How long a change usually may take to show: AWS KMS is eventually consistent ("usually a few seconds, at most several minutes", AWS
/// KMS Developer Guide, "Eventual consistency").
pub const PATIENCE: Duration = Duration::from_secs(300);

/// What an order has done, and the key after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the provider changed anything.
    pub changed: bool,
    /// The state of the key, as a read after the last change shows it.
    pub state: KeyState,
    /// When the cloud will delete the key (RFC 3339); `None` if it will not.
    pub deletion_date: Option<String>,
    /// The versions of the key, on clouds where each has its own state.
    pub versions: Vec<VersionStatus>,
    /// What a restore would come to while the key cannot be used.
    pub way_back: WayBack,
    /// Whether the key is as ordered; a key that another writer had disabled stays disabled after its deletion was cancelled.
    pub complete: bool,
    /// What else the user should know, in sentences.
    pub notes: Vec<String>,
}

/// Why the provider did not carry an order out.
#[derive(Clone, Debug)]
pub enum NotDone {
    /// The provider refused the order; the diagnostics say why, and what to do instead.
    Refused(Diagnostics),
    /// A call failed, or its result does not show; the diagnostics say what the provider has changed.
    Failed(Diagnostics),
    /// The user interrupted the order; the diagnostics say what the provider has changed.
    Interrupted(Diagnostics),
}

impl From<NotDone> for Diagnostics {
    fn from(stopped: NotDone) -> Self {
        match stopped {
            NotDone::Refused(why) | NotDone::Failed(why) | NotDone::Interrupted(why) => why,
        }
    }
}

/// A version of a key, on clouds where each version has its own state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VersionStatus {
    /// The number of the version on Google Cloud, its name on Azure.
    pub version: String,
    /// The state of the version, in the cloud's own word.
    pub state: String,
    /// Whether principals that name no version encrypt with it: the primary one on Google Cloud, the newest one on Azure.
    pub is_current: bool,
    /// When the cloud will destroy the version (RFC 3339); `None` if it will not.
    pub deletion_date: Option<String>,
    /// Since when the version is disabled, if this provider disabled it.
    pub disabled_since: Option<String>,
    /// The workspaces that have this version as their key; only Azure shows it.
    pub used_by: Vec<String>,
}

impl VersionStatus {
    /// Whether the version encrypts and decrypts.
    pub fn is_enabled(&self) -> bool {
        self.state.eq_ignore_ascii_case("enabled")
    }
}

/// What a `key restore` would do for a key that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WayBack {
    /// It makes the key usable.
    Restore,
    /// It needs `--enable-anyway`: this provider did not disable the key.
    Anyway,
    /// A restore does not help.
    Nowhere,
}

/// A key as it is: its state, and what the tags of the kill switch say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyStatus {
    /// The state of the key, in the cloud's own word; on clouds with versions, that of the current one.
    pub state: KeyState,
    /// When the cloud will delete the key (RFC 3339); `None` if it will not.
    pub deletion_date: Option<String>,
    /// Since when the key is disabled, if this provider disabled it, as its tag says.
    pub disabled_since: Option<String>,
    /// The versions of the key, on clouds where each has its own state.
    pub versions: Vec<VersionStatus>,
    /// What a restore would come to while the key cannot be used.
    pub way_back: WayBack,
    /// What else the user should know: that a tag is left over, or who disabled the key.
    pub notes: Vec<String>,
}

impl KeyStatus {
    /// The same key with the workspaces that use its versions: where workspaces use some, the state is that of those versions, not
    /// that of the newest one.
    pub fn used(mut self, used_by: impl Fn(&VersionStatus) -> Vec<String>) -> Self {
        for version in &mut self.versions {
            version.used_by = used_by(version);
        }
        let is_of_versions = matches!(
            self.state.as_str(),
            "Enabled" | "Disabled" | "Expired" | "NotYetValid"
        );
        let mut used = self.versions.iter().filter(|one| !one.used_by.is_empty());
        if is_of_versions && used.clone().next().is_some() {
            self.state = match used
                .find(|one| !one.is_enabled())
                .map(|one| one.state.as_str())
            {
                None => KeyState::Enabled,
                Some(dates @ ("Expired" | "NotYetValid")) => KeyState::from(dates),
                Some(_) => KeyState::Disabled,
            };
        }
        self
    }

    /// The state as commands report it. A key that this provider has disabled in part does not look done.
    pub fn reported(&self) -> String {
        let is_in_part = self.state == KeyState::Disabled
            && self.disabled_since.is_some()
            && self.versions.iter().any(VersionStatus::is_enabled);
        match is_in_part {
            true => PARTLY_DISABLED.to_owned(),
            false => self.state.to_string(),
        }
    }

    /// Whether some version of the key still decrypts.
    pub fn is_usable(&self) -> bool {
        // An expired version still decrypts.
        let decrypts = |one: &VersionStatus| one.is_enabled() || one.state == "Expired";
        self.state == KeyState::Enabled || self.versions.iter().any(decrypts)
    }
}
