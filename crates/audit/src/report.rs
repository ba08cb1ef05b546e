//! The report: what an audit found, apart from its formats. `docs/schemas/audit.schema.json` describes its JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::subject::AuditSubject;
use requirements::coverage::Covered;
pub use vocabulary::{EncryptedBy, LocationKind};

/// The form of the report. A program that reads it accepts every `1.x`.
pub const FORMAT_VERSION: &str = "1.0";

/// What the state of a key is called that could not be read.
pub const NOT_KNOWN: &str = "not_known";

/// A text of the coverage tables, or of a report that was read.
pub type Text = Cow<'static, str>;

/// A name that many lines of a report share, such as that of a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self(Arc::from(text))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::from(text.as_str()))
    }
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gravity {
    /// Good to know.
    Note,
    /// A person should check it.
    Warning,
    /// Data is not under an own key, or a key is or will be lost.
    Error,
}

impl Gravity {
    /// All of them, the gravest first.
    pub const ALL: [Self; 3] = [Self::Error, Self::Warning, Self::Note];

    /// The lowercase word, as JSON and the formats have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A word of a report that has one of a few values.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident $word:literal),* $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            /// The word for it in JSON.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }
    };
}

words! {
    /// Whether the material of a key is rotated automatically.
    Rotates {
        /// The cloud rotates it.
        On "on",
        /// The cloud does not rotate it.
        Off "off",
        /// The audit could not read it.
        NotKnown "not_known",
    }
}

words! {
    /// What the proof says of a key, for everything that uses it.
    Proof {
        /// Databricks can use it.
        Ready "ready",
        /// Databricks cannot use it, or not for everything.
        NotReady "not_ready",
        /// It could not be decided.
        NotKnown "not_known",
    }
}

words! {
    /// Whether a key configuration is used.
    Used {
        /// A workspace or a catalog has it.
        Yes "yes",
        /// Every workspace and every catalog was read, and none has it.
        No "no",
        /// Something that may use it was not read.
        NotKnown "not_known",
    }
}

words! {
    /// What changed since the baseline.
    ChangeKind {
        /// A workspace that was not there.
        WorkspaceNew "workspace-new",
        /// A workspace that is not there anymore.
        WorkspaceGone "workspace-gone",
        /// A workspace had a key for a use case, and has none.
        WorkspaceLostKey "workspace-lost-key",
        /// A workspace had no key for a use case, and has one.
        WorkspaceGotKey "workspace-got-key",
        /// A workspace has another key for a use case.
        KeyReplaced "key-replaced",
        /// A key is in another state.
        KeyState "key-state",
        /// The date until which a key can be saved is new, another or gone.
        KeyUntil "key-until",
        /// More principals may use a key.
        OthersMore "others-more",
        /// Fewer principals may use a key.
        OthersFewer "others-fewer",
        /// A finding that was not there, or is graver.
        FindingNew "finding-new",
        /// A finding that is not there anymore.
        FindingGone "finding-gone",
        /// It could be read last time.
        NotReadable "not-readable",
        /// It could not be read last time.
        ReadableAgain "readable-again",
    }
}

/// Kinds of change have hyphens, as the IDs of findings have.
mod hyphens {
    use super::ChangeKind;
    use serde::{Deserialize as _, Deserializer, Serializer};

    const ALL: [ChangeKind; 13] = [
        ChangeKind::WorkspaceNew,
        ChangeKind::WorkspaceGone,
        ChangeKind::WorkspaceLostKey,
        ChangeKind::WorkspaceGotKey,
        ChangeKind::KeyReplaced,
        ChangeKind::KeyState,
        ChangeKind::KeyUntil,
        ChangeKind::OthersMore,
        ChangeKind::OthersFewer,
        ChangeKind::FindingNew,
        ChangeKind::FindingGone,
        ChangeKind::NotReadable,
        ChangeKind::ReadableAgain,
    ];

    pub(super) fn serialize<S: Serializer>(kind: &ChangeKind, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(kind.word())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<ChangeKind, D::Error> {
        let word = String::deserialize(from)?;
        ALL.into_iter()
            .find(|one| one.word() == word)
            .ok_or_else(|| serde::de::Error::custom(format!("`{word}` is not a kind of change")))
    }
}

/// Which workspaces were judged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JudgedScope {
    /// Patterns of the policy file; all workspaces where there is none.
    pub workspaces: Vec<String>,
    /// Patterns of those that are not judged.
    pub exclude: Vec<String>,
    /// Patterns of the command line, which restrict the policy file further.
    pub only: Vec<String>,
}

/// The run that made the report: what differs between two runs over the same account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRun {
    /// When it began (RFC 3339, UTC).
    pub time: String,
    /// The Databricks account; none on Azure, where it was not given.
    pub account_id: Option<String>,
    /// `aws`, `gcp` or `azure`.
    pub cloud: String,
    /// The identity that made the calls.
    pub identity: String,
    /// Whether everything was read.
    pub complete: bool,
    /// How many requests went to which service.
    pub requests: BTreeMap<String, u64>,
    /// Which workspaces were judged.
    pub scope: JudgedScope,
    /// When the baseline was made; none without one.
    pub baseline: Option<String>,
    /// What a reader of the numbers must know, a sentence each.
    pub notes: Vec<String>,
}

/// The numbers. `covered + uncovered + not_known = judged`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// All workspaces that the audit saw.
    pub workspaces: usize,
    /// Those in scope.
    pub judged: usize,
    /// Those whose data is under an own key wherever a key of the workspace can encrypt it.
    pub covered: usize,
    /// Those with data that is not.
    pub uncovered: usize,
    /// Those with data that the audit could not read.
    pub not_known: usize,
    /// All keys in the report.
    pub keys: usize,
    /// Keys that are lost, or will be.
    pub keys_in_danger: usize,
    /// Things that could not be read.
    pub not_read: usize,
}

/// Something that changed since the baseline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What kind of change it is.
    #[serde(with = "hyphens")]
    pub kind: ChangeKind,
    /// The object that changed.
    pub subject: AuditSubject,
    /// What it was; none where there was nothing.
    pub was: Option<String>,
    /// What it is; none where there is nothing.
    pub is: Option<String>,
    /// The same as a sentence.
    pub text: String,
    /// Whether it got worse.
    pub worse: bool,
}

/// The last use of a key, as its cloud records it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastUsed {
    /// When (RFC 3339); none where it was not used, or its cloud does not say.
    pub at: Option<String>,
    /// By which operation, as `Decrypt`.
    pub operation: Option<String>,
    /// The caller; on Google Cloud, how many resources the key protects.
    pub by: Option<String>,
    /// Since when its cloud records uses (RFC 3339).
    pub tracked_since: Option<String>,
}

/// A principal beside this Databricks account that may use a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OtherUser {
    /// Who, as the cloud names them.
    pub principal: String,
    /// What they may do.
    pub rights: Vec<String>,
    /// By which statement, binding, grant or assignment.
    pub by: String,
}

/// What uses a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyUsers {
    /// IDs of workspaces.
    pub workspaces: Vec<Name>,
    /// Catalogs as `<metastore>/<name>`; none when it is not known.
    pub catalogs: Option<Vec<String>>,
    /// IDs of key configurations.
    pub configurations: Vec<String>,
    /// Where tables lie under it: URLs, and catalogs on default storage by their names; none when it is not known.
    #[serde(default)]
    pub locations: Option<Vec<String>>,
}

/// A key, as the report shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditedKey {
    /// Its name in its cloud.
    pub key: Name,
    /// Whose key it is: `aws`, `gcp` or `azure`.
    pub cloud: String,
    /// The region, in the cloud's own name for it.
    pub location: Option<String>,
    /// The AWS account, Google project or Azure subscription it lies in.
    pub owner: Option<String>,
    /// Its state in the words of `key status`, or `not_known`.
    pub state: String,
    /// When the danger becomes final: the earliest date of a deletion, a destruction or an expiry that is near (RFC 3339).
    pub until: Option<String>,
    /// Whether it is rotated automatically.
    pub rotation: Rotates,
    /// What the proof says.
    pub proof: Proof,
    /// Its last use; none when it is not known.
    pub last_used: Option<LastUsed>,
    /// Who else may use it; none when it is not known.
    pub others: Option<Vec<OtherUser>>,
    /// The workspaces, catalogs and configurations that have the key.
    pub used_by: KeyUsers,
}

impl AuditedKey {
    /// Whether its state could be read.
    pub fn is_known(&self) -> bool {
        self.state != NOT_KNOWN
    }

    /// Whether it is lost, or will be.
    pub fn is_in_danger(&self) -> bool {
        self.until.is_some() || (self.is_known() && self.state != "Enabled")
    }
}

/// A kind of data of a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AuditedData {
    /// The name of the kind in the tables of coverage.
    pub kind: Text,
    /// Where it lies.
    pub location: Text,
    /// The use case of the workspace's key that can encrypt it; none where no key of the workspace does.
    pub use_case: Option<Text>,
    /// Whether an own key is attached for it.
    pub covered: Covered,
    /// The key that covers the data; `None` where none does, or the audit does not know it.
    pub key: Option<Name>,
    /// Why, and what to do.
    pub note: Text,
}

/// A workspace, as the report shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditedWorkspace {
    /// Its number; on Azure its resource ID where Azure shows no number.
    pub id: Name,
    /// The name of the workspace in the account.
    pub name: String,
    /// The cloud's name of the region; `None` where the platform shows none.
    pub region: Option<String>,
    /// Its status, as its platform names it.
    pub status: String,
    /// Its pricing tier, as its platform names it.
    pub pricing_tier: Option<String>,
    /// Whether it is in scope.
    pub judged: bool,
    /// Each kind of data.
    pub data: Vec<AuditedData>,
}

/// A place where tables lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditedLocation {
    /// The URL, as Unity Catalog shows it: `s3://…`, `gs://…`, `abfss://…`.
    pub url: String,
    /// What lies there.
    pub kind: LocationKind,
    /// The metastore that names it.
    pub metastore: Option<String>,
    /// By whose key it is encrypted.
    pub encrypted_by: EncryptedBy,
    /// The key of the location; `None` where the audit did not find one.
    pub key: Option<Name>,
    /// Why, and what to do.
    pub note: String,
}

/// A key configuration of the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditedConfiguration {
    /// The ID by which workspaces name it.
    pub id: String,
    /// Its key; none when the account shows none that can be read.
    pub key: Option<Name>,
    /// The data that its key encrypts, in the account's words (`STORAGE`).
    pub use_cases: Vec<String>,
    /// Whether something uses it.
    pub used: Used,
    /// An older configuration of the same key for the same.
    pub twin_of: Option<String>,
}

/// Why a finding does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excepted {
    /// Why it is accepted.
    pub reason: String,
    /// Who accepted the finding, as the policy file says.
    pub owner: String,
    /// The last day on which it is (`2027-01-31`).
    pub expires: String,
}

/// Which controls of a standard a finding supports evidence for, by the standard.
pub type Controls = BTreeMap<String, Vec<String>>;

/// Something that a person should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditFinding {
    /// A stable name: `workspace-data-uncovered`, or one of the proof.
    pub id: String,
    /// `<ID>/<subject>`: the same in every run.
    pub uid: String,
    /// How much it matters.
    pub severity: Gravity,
    /// What it is about.
    pub subject: AuditSubject,
    /// What is wrong, in one line.
    pub title: String,
    /// What the audit found, with IDs.
    pub found: String,
    /// Why it matters.
    pub why: String,
    /// What to do.
    pub remedy: String,
    /// The controls that it supports evidence for.
    pub controls: Controls,
    /// Why it does not count; none where it does.
    pub exception: Option<Excepted>,
}

impl AuditFinding {
    /// Whether it counts for the exit code.
    pub fn counts(&self) -> bool {
        self.exception.is_none()
    }
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NotRead {
    /// What, as `<subject>: <part>`.
    pub what: String,
    /// The reason, as the service gave it.
    pub why: String,
    /// The permission that is missing; none where that is not the reason.
    pub permission: Option<String>,
    /// What is not known because of it.
    pub leaves_open: String,
}

/// The whole report of an audit: every format renders this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditReport {
    /// Always `FORMAT_VERSION`: it changes with the form of the report.
    pub format_version: String,
    /// What differs between two runs over the same account.
    pub run: AuditRun,
    /// The numbers.
    pub counts: Counts,
    /// What changed since the baseline, the worse first.
    pub changes: Vec<Change>,
    /// Keys, by name.
    pub keys: Vec<AuditedKey>,
    /// Workspaces, by ID.
    pub workspaces: Vec<AuditedWorkspace>,
    /// Locations, by URL.
    pub locations: Vec<AuditedLocation>,
    /// Key configurations, by ID.
    pub configurations: Vec<AuditedConfiguration>,
    /// Findings, the gravest first.
    pub findings: Vec<AuditFinding>,
    /// What could not be read.
    pub not_read: Vec<NotRead>,
}

impl AuditReport {
    /// The findings of a gravity that no exception covers.
    pub fn counting(&self, gravity: Gravity) -> impl Iterator<Item = &AuditFinding> {
        self.findings
            .iter()
            .filter(move |one| one.counts() && one.severity == gravity)
    }

    /// The findings that an exception covers.
    pub fn excepted(&self) -> impl Iterator<Item = (&AuditFinding, &Excepted)> {
        self.findings
            .iter()
            .filter_map(|one| Some((one, one.exception.as_ref()?)))
    }
}
