//! The kill switch: taking Databricks' access to a key away, and giving it back.
//!
//! One implementation behind the command, the actions and the data source. [`Impact`] says what stops; [`consented`] makes sure
//! that whoever orders it knows; each cloud carries an order out with its own means ([`mod@aws`], [`mod@gcp`], [`mod@azure`]), and every change is read back.

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

/// How a restore is made to enable what this provider did not disable, in the command and in the action.
pub const ANYWAY: &str = "`--enable-anyway` (`enable_anyway = true` in the action)";

/// The state of a key of which this provider has disabled some versions, and others are enabled.
pub const PARTLY_DISABLED: &str = "PartlyDisabled";

/// What is to be done to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOperation {
    /// Nobody can use it until it is enabled.
    Disable,
    /// The same, and it is deleted after a number of days (7 to 30 on AWS).
    ScheduleDeletion {
        /// How many days; `None` for what is usual: 30 on AWS, the key's own window on Google Cloud.
        days: Option<u8>,
    },
    /// It can be used again.
    Restore {
        /// Also where somebody else had disabled it.
        enable_anyway: bool,
    },
}

impl KeyOperation {
    /// The order as a verb.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::ScheduleDeletion { .. } => "schedule the deletion of",
            Self::Restore { .. } => "restore",
        }
    }
}

/// Shows what is being done, line by line.
pub type Say<'a> = &'a (dyn Fn(String) + Send + Sync);

/// How an order is carried out.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Shows what is being done.
    pub say: Say<'a>,
    /// How long a change may take to show.
    pub patience: Duration,
    /// Cancelled when the user interrupts: no further step is taken.
    pub stop: &'a CancellationToken,
    /// Set as soon as something was changed, also where the order does not come to its end.
    pub changed: &'a AtomicBool,
    /// Set before a call that takes the key away, and unset where that was definitely refused: as long as it is set, the key may be taken away
    /// although no read shows it yet.
    pub taking: &'a AtomicBool,
}

/// What becomes of the mark of an order that did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tidying {
    /// There is none, or it says what is true.
    Nothing,
    /// It is removed: nobody is to take a later disable for this one.
    Remove,
    /// It stays: the key may still be taken away, and a restore needs to know by whom.
    Leave,
}

/// What becomes of the mark. `is_left_over`: it is on a key that no read shows as taken away.
fn tidying(is_left_over: bool, may_take_effect: bool) -> Tidying {
    match (is_left_over, may_take_effect) {
        (false, _) => Tidying::Nothing,
        (true, false) => Tidying::Remove,
        (true, true) => Tidying::Leave,
    }
}

/// The mark stays. `what`: the mark, as `The tag ... of the key`.
fn stays(what: &str) -> String {
    format!(
        "{what} stays, because the call that takes the key away may still take effect. If `key status` shows after some minutes that it did \
         not, `key restore` removes what stays."
    )
}

/// How long a change usually may take to show: AWS KMS is eventually consistent ("usually a few seconds, at most several minutes", AWS
/// KMS Developer Guide, "Eventual consistency").
pub const PATIENCE: Duration = Duration::from_secs(300);

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether anything was changed.
    pub changed: bool,
    /// The state of the key, as a read after the last change shows it.
    pub state: KeyState,
    /// When it will be deleted, if it will be (RFC 3339).
    pub deletion_date: Option<String>,
    /// Its versions, on clouds where each has its own state.
    pub versions: Vec<VersionStatus>,
    /// What a restore would come to while it cannot be used.
    pub way_back: WayBack,
    /// Whether the key is as ordered; a key that somebody else had disabled stays disabled after its deletion was cancelled.
    pub complete: bool,
    /// What else to know.
    pub notes: Vec<String>,
}

/// Why an order was not carried out.
#[derive(Clone, Debug)]
pub enum NotDone {
    /// It is refused, for what was found; what to do instead stands in it.
    Refused(Diagnostics),
    /// A call failed, or its result does not show; what was changed stands in it.
    Failed(Diagnostics),
    /// The user interrupted it; what was changed stands in it.
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
    /// Its number or name.
    pub version: String,
    /// Its state, as the cloud names it.
    pub state: String,
    /// Whether new data is encrypted with it by those who name no version: the primary one on Google Cloud, the newest one on Azure.
    pub is_current: bool,
    /// When it will be destroyed, if it will be (RFC 3339).
    pub deletion_date: Option<String>,
    /// Since when it is disabled by this provider.
    pub disabled_since: Option<String>,
    /// The workspaces that have this version as their key; only Azure shows it.
    pub used_by: Vec<String>,
}

impl VersionStatus {
    /// Whether it can be used for everything.
    pub fn is_enabled(&self) -> bool {
        self.state.eq_ignore_ascii_case("enabled")
    }
}

/// What a `key restore` of a key that cannot be used would come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WayBack {
    /// It makes the key usable.
    Restore,
    /// It needs `--enable-anyway`: this provider did not disable the key.
    Anyway,
    /// A restore does not help.
    Nowhere,
}

/// A key as it is: its state and what the switch remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyStatus {
    /// Its state.
    pub state: KeyState,
    /// When it will be deleted, if it will be (RFC 3339).
    pub deletion_date: Option<String>,
    /// Since when it is disabled by this provider, as its tag says.
    pub disabled_since: Option<String>,
    /// Its versions, on clouds where each has its own state.
    pub versions: Vec<VersionStatus>,
    /// What a restore would come to while it cannot be used.
    pub way_back: WayBack,
    /// What else to know: a tag that is left over, or who disabled it.
    pub notes: Vec<String>,
}

impl KeyStatus {
    /// With what is known of the use of its versions: where some are used, the state is theirs, and not that of the newest version.
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

    /// Its state, as it is reported. What this provider has disabled in part does not look done.
    pub fn reported(&self) -> String {
        let is_in_part = self.state == KeyState::Disabled
            && self.disabled_since.is_some()
            && self.versions.iter().any(VersionStatus::is_enabled);
        match is_in_part {
            true => PARTLY_DISABLED.to_owned(),
            false => self.state.to_string(),
        }
    }

    /// Whether something of the key can be used.
    pub fn is_usable(&self) -> bool {
        // An expired version still decrypts.
        let decrypts = |one: &VersionStatus| one.is_enabled() || one.state == "Expired";
        self.state == KeyState::Enabled || self.versions.iter().any(decrypts)
    }
}
