//! An earlier report, as far as it is compared: of each workspace only which key it has for what, so that a report of thousands of
//! workspaces is read in little memory.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use super::facts::{Part, named_in};
use super::report::{AuditedData, AuditedWorkspace, Excepted, Gravity, Name, NotRead, OtherUser};
use super::subject::AuditSubject;
use requirements::coverage::Covered;

/// The key of a workspace for a use case, as its rows of data show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KeyFor {
    /// The rows name this key.
    Key(Name),
    /// The rows say that no key covers the data.
    None,
    /// The rows do not say whether a key covers the data.
    NotKnown,
}

/// The key for each use case.
pub(super) type KeysFor = BTreeMap<String, KeyFor>;

/// Adds what a row says: a key is a key, whatever other rows lack; what is not known is not "none".
fn add(keys: &mut KeysFor, row: &AuditedData) {
    let Some(case) = &row.use_case else {
        return;
    };
    let said = match (&row.key, row.covered) {
        (Some(key), _) => KeyFor::Key(key.clone()),
        (None, Covered::No) => KeyFor::None,
        (None, Covered::NotOffered) => return,
        (None, _) => KeyFor::NotKnown,
    };
    match keys.get_mut(case.as_ref()) {
        None => {
            keys.insert(case.clone().into_owned(), said);
        }
        Some(KeyFor::Key(_)) => {}
        Some(known) if said != KeyFor::None => *known = said,
        Some(_) => {}
    }
}

/// The key for each use case of a workspace of a report.
pub(super) fn keys_for(workspace: &AuditedWorkspace) -> KeysFor {
    let mut keys = KeysFor::new();
    workspace.data.iter().for_each(|row| add(&mut keys, row));
    keys
}

fn reduced<'de, D: Deserializer<'de>>(from: D) -> Result<KeysFor, D::Error> {
    struct Rows;

    impl<'de> Visitor<'de> for Rows {
        type Value = KeysFor;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of kinds of data")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<KeysFor, A::Error> {
            let mut keys = KeysFor::new();
            while let Some(row) = rows.next_element::<AuditedData>()? {
                add(&mut keys, &row);
            }
            Ok(keys)
        }
    }

    from.deserialize_seq(Rows)
}

/// A workspace of the baseline.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct FormerWorkspace {
    pub(super) id: Name,
    pub(super) name: String,
    pub(super) judged: bool,
    #[serde(rename = "data", deserialize_with = "reduced")]
    pub(super) keys: KeysFor,
}

/// A key of the baseline.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct FormerKey {
    pub(super) key: Name,
    pub(super) state: String,
    pub(super) until: Option<String>,
    pub(super) others: Option<Vec<OtherUser>>,
}

/// A location of the baseline.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct FormerLocation {
    pub(super) url: String,
}

/// A finding of the baseline.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct FormerFinding {
    pub(super) id: String,
    pub(super) uid: String,
    pub(super) severity: Gravity,
    pub(super) subject: AuditSubject,
    pub(super) title: String,
    pub(super) exception: Option<Excepted>,
}

#[derive(Clone, Debug, Deserialize)]
struct FormerRun {
    time: String,
    account_id: Option<String>,
    cloud: String,
}

/// An earlier report.
#[derive(Clone, Debug, Deserialize)]
pub struct Baseline {
    format_version: String,
    run: FormerRun,
    pub(super) workspaces: Vec<FormerWorkspace>,
    pub(super) keys: Vec<FormerKey>,
    pub(super) locations: Vec<FormerLocation>,
    pub(super) findings: Vec<FormerFinding>,
    not_read: Vec<NotRead>,
}

/// Why a report cannot be compared with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaselineError {
    /// It is not a report.
    #[error("it is not a report of `audit --write json=FILE`: {0}")]
    Malformed(String),
    /// It has another form.
    #[error(
        "it has the format {0}, and this version compares with 1.x. Make a new baseline with this version"
    )]
    Format(String),
    /// It is about another account.
    #[error(
        "it is a report of {theirs}, and this run is about {ours}. Name the baseline of this account"
    )]
    Account {
        /// Whose it is.
        theirs: String,
        /// Whose it must be.
        ours: String,
    },
}

impl Baseline {
    /// Reads a report, without holding all of it.
    ///
    /// # Errors
    /// When it is not a report, or one of a form that this version does not know.
    pub fn read(from: impl Read) -> Result<Self, BaselineError> {
        let baseline: Self = serde_json::from_reader(from)
            .map_err(|error| BaselineError::Malformed(error.to_string()))?;
        let version = &baseline.format_version;
        match version.split_once('.') {
            Some(("1", minor)) if minor.bytes().all(|byte| byte.is_ascii_digit()) => Ok(baseline),
            _ => Err(BaselineError::Format(version.clone())),
        }
    }

    /// Refuses a report of another account or cloud.
    ///
    /// # Errors
    /// When it is one.
    pub fn check(&self, account_id: Option<&str>, cloud: &str) -> Result<(), BaselineError> {
        let words = |account: Option<&str>, cloud: &str| match account {
            Some(account) => format!("the account {account} on {cloud}"),
            None => format!("{cloud} without an account ID"),
        };
        let theirs = (self.run.account_id.as_deref(), self.run.cloud.as_str());
        match theirs == (account_id, cloud) {
            true => Ok(()),
            false => Err(BaselineError::Account {
                theirs: words(theirs.0, theirs.1),
                ours: words(account_id, cloud),
            }),
        }
    }

    /// When it was made (RFC 3339).
    pub fn time(&self) -> &str {
        &self.run.time
    }

    /// What the baseline could not read. A line that this version does not understand is not a gap that it can
    /// reason about.
    pub(super) fn gaps(&self) -> Vec<(AuditSubject, Part)> {
        gaps(&self.not_read)
    }
}

/// What some lines say was not read.
pub(super) fn gaps(not_read: &[NotRead]) -> Vec<(AuditSubject, Part)> {
    not_read
        .iter()
        .filter_map(|one| named_in(&one.what))
        .collect()
}
