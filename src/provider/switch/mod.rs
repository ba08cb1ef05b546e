//! The kill switch: taking Databricks' access to a key away, and giving it back.
//!
//! One implementation behind the command, the actions and the data source. [`Impact`] says what stops; [`acknowledged`] makes sure
//! that whoever orders it knows; each cloud carries an order out with its own means ([`mod@aws`], [`mod@gcp`], [`mod@azure`]), and every change is read back.

pub mod aws;
pub mod azure;
mod desk;
pub mod gcp;
mod impact;
mod record;
mod recovery;
mod words;

pub use desk::{Connection, Endpoints, KillSwitch};
pub use impact::{AffectedWorkspace, Impact, NotVisible, impact, needed_until};
pub use recovery::{judge_restored, wait_for_workspaces};
pub use words::in_words;

use std::collections::BTreeSet;
use std::time::Duration;

use tfplugin::diagnostics::{Diagnostic, Diagnostics};

use crate::vocabulary::KeyState;

/// What is to be done to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
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

impl Order {
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
pub struct Manner<'a> {
    /// Shows what is being done.
    pub say: Say<'a>,
    /// How long a change may take to show.
    pub patience: Duration,
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
    /// Whether the key is as ordered; a key that somebody else had disabled stays disabled after its deletion was cancelled.
    pub complete: bool,
    /// What else to know.
    pub notes: Vec<String>,
}

/// Why an order was not carried out.
#[derive(Clone, Debug)]
pub enum Stopped {
    /// It is refused, for what was found; what to do instead stands in it.
    Refused(Diagnostics),
    /// A call failed, or its result does not show; what was changed stands in it.
    Failed(Diagnostics),
}

impl From<Stopped> for Diagnostics {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Refused(why) | Stopped::Failed(why) => why,
        }
    }
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
    /// Why that is not known.
    pub memory_unreadable: Option<String>,
}

/// Refuses to take a key away from workspaces that were not named, or to take it from others than those that were named.
///
/// # Errors
/// When the two sets differ, with the set to paste.
pub fn acknowledged(
    impact: &Impact,
    given: &BTreeSet<String>,
    how_to_paste: impl Fn(&[String]) -> String,
) -> Result<(), Diagnostics> {
    let needed: BTreeSet<String> = impact.acknowledgement.iter().cloned().collect();
    // Who names a workspace by its resource ID means its number.
    let given: BTreeSet<String> = given
        .iter()
        .map(|id| match impact.workspace(id) {
            Some(one) => one.workspace_id.clone(),
            None => id.clone(),
        })
        .collect();
    if needed == given {
        return Ok(());
    }
    let list = |ids: Vec<&String>| {
        ids.iter()
            .map(|id| match impact.workspace(id) {
                Some(one) => format!("  - {id} (\"{}\")", one.name),
                None => format!("  - {id}"),
            })
            .collect::<Vec<_>>()
            .join("\n")
    };
    let missing: Vec<&String> = needed.difference(&given).collect();
    let extra: Vec<&String> = given.difference(&needed).collect();
    let mut found = String::new();
    if !missing.is_empty() {
        found.push_str(&format!(
            "These workspaces use {} and are not acknowledged:\n{}\n\n",
            impact.key,
            list(missing)
        ));
    }
    if !extra.is_empty() {
        found.push_str(&format!(
            "These workspaces are acknowledged and do not use {}:\n{}\n\n",
            impact.key,
            list(extra)
        ));
    }
    Err(Diagnostic::error(
        "The acknowledgement does not name exactly the workspaces that stop",
        format!(
            "{found}Nothing was changed. Check what stops, then acknowledge exactly this set:\n\n{}",
            how_to_paste(&impact.acknowledgement)
        ),
    )
    .into())
}
