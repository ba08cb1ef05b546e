//! What is handed in: everything that was read, and what could not be. Who gathers it judges nothing.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::others::SeenOther;
use super::report::{EncryptedBy, LocationKind, NotRead};
use super::subject::AuditSubject;
use preflight::{Finding, LastUse};
use requirements::coverage::WorkspaceKeys;
use vocabulary::{Cloud, KeyState, UseCase};

/// A part of something that is read by itself, and may be refused by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The list of workspaces.
    Workspaces,
    /// The list of key configurations.
    Configurations,
    /// The list of metastores, or which workspaces one has.
    Metastores,
    /// The catalogs of a metastore.
    Catalogs,
    /// The external locations of a metastore.
    Locations,
    /// The default encryption of a bucket or a storage account.
    Encryption,
    /// The state of a key.
    State,
    /// The access rules of a key.
    Policy,
    /// The deny policies above a key.
    Deny,
    /// The grants of a key.
    Grants,
    /// Whether a key is rotated.
    Rotation,
    /// When a key was last used.
    LastUse,
    /// Who used a key last.
    LastUser,
    /// The cross-account role that uses a key.
    Role,
    /// The vault of a key, or its diagnostic settings.
    Vault,
    /// All keys of an account, to find those that let Databricks in.
    Discovery,
}

impl Part {
    /// Every variant, in the order of their declaration.
    pub const ALL: [Self; 16] = [
        Self::Workspaces,
        Self::Configurations,
        Self::Metastores,
        Self::Catalogs,
        Self::Locations,
        Self::Encryption,
        Self::State,
        Self::Policy,
        Self::Deny,
        Self::Grants,
        Self::Rotation,
        Self::LastUse,
        Self::LastUser,
        Self::Role,
        Self::Vault,
        Self::Discovery,
    ];

    /// The words for it, behind the subject.
    pub fn word(self) -> &'static str {
        match self {
            Self::Workspaces => "workspaces",
            Self::Configurations => "key configurations",
            Self::Metastores => "metastores",
            Self::Catalogs => "catalogs",
            Self::Locations => "external locations",
            Self::Encryption => "default encryption",
            Self::State => "state",
            Self::Policy => "policy",
            Self::Deny => "deny policies",
            Self::Grants => "grants",
            Self::Rotation => "rotation",
            Self::LastUse => "last use",
            Self::LastUser => "last user",
            Self::Role => "cross-account role",
            Self::Vault => "vault",
            Self::Discovery => "keys",
        }
    }

    /// What is not known without it.
    pub fn leaves_open(self) -> &'static str {
        match self {
            Self::Workspaces => {
                "Which workspaces there are, which key each has, and which keys are used."
            }
            Self::Configurations => {
                "Which key a workspace has, and so which data is under an own key."
            }
            Self::Metastores => "Which catalogs and external locations there are.",
            Self::Catalogs => {
                "Which catalogs have a key of their own, and whether a key configuration is unused."
            }
            Self::Locations => "Where tables lie, and by whose key they are encrypted.",
            Self::Encryption => "By whose key the tables there are encrypted.",
            Self::State => "Whether the key can be used, and whether it will be lost.",
            Self::Policy => "Who may use the key, and whether Databricks may.",
            Self::Deny => "Whether a deny policy takes the key from Databricks.",
            Self::Grants => "Who may use the key by a grant.",
            Self::Rotation => "Whether the key is rotated automatically.",
            Self::LastUse => "Whether anything was ever encrypted with the key.",
            Self::LastUser => "Who used the key last, Databricks or somebody else.",
            Self::Role => "Whether clusters can encrypt their volumes with the key.",
            Self::Vault => "Who may use the keys of the vault, and whether it logs who did.",
            Self::Discovery => "Whether a key lets Databricks in that no key configuration has.",
        }
    }

    /// Whether without it nothing is known of things beside the subject: a list was not read.
    pub fn is_list(self) -> bool {
        matches!(
            self,
            Self::Workspaces
                | Self::Configurations
                | Self::Metastores
                | Self::Catalogs
                | Self::Locations
                | Self::Discovery
        )
    }
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unread {
    /// The object to which the part belongs.
    pub subject: AuditSubject,
    /// Which part the audit did not read.
    pub part: Part,
    /// The reason, as the service gave it.
    pub why: String,
    /// The permission that is missing, if that is the reason.
    pub permission: Option<String>,
}

impl Unread {
    /// The line of the report for it.
    pub(super) fn line(self) -> NotRead {
        NotRead {
            what: format!("{}: {}", self.subject, self.part.word()),
            why: self.why,
            permission: self.permission,
            leaves_open: self.part.leaves_open().to_owned(),
        }
    }
}

/// What a line of a report says was not read: subject and part; none for a line that this version does not understand.
pub fn named_in(what: &str) -> Option<(AuditSubject, Part)> {
    // An ID can have a colon, a part has none.
    let (subject, word) = what.rsplit_once(": ")?;
    let part = Part::ALL.into_iter().find(|part| part.word() == word)?;
    Some((AuditSubject::parse(subject)?, part))
}

/// A key that a workspace has for a use case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attached {
    /// A key that the audit could read.
    Key {
        /// The key configuration that it comes from; none on Azure.
        configuration: Option<String>,
        /// Its name in its cloud.
        key: String,
    },
    /// A key configuration whose key the account does not show, or not in a way that can be read.
    KeyUnreadable {
        /// The ID of the key configuration, as the workspace shows it.
        configuration: String,
    },
    /// A key configuration that the account does not list.
    NotListed {
        /// The ID of the key configuration, as the workspace shows it.
        configuration: String,
    },
    /// A key configuration, and the key configurations could not be read.
    NotRead {
        /// The ID of the key configuration, as the workspace shows it.
        configuration: String,
    },
    /// Something that is not the ID of a key configuration, or not the name of a key.
    Unreadable(String),
}

/// A workspace as it was read.
#[derive(Clone, Debug)]
pub struct SeenWorkspace {
    /// Its number; on Azure its resource ID where Azure shows no number.
    pub id: String,
    /// The name of the workspace in the account.
    pub name: String,
    /// The cloud's name of the region; `None` where the platform shows none.
    pub region: Option<String>,
    /// Its status, as its platform names it.
    pub status: String,
    /// Its pricing tier, as its platform names it.
    pub pricing_tier: Option<String>,
    /// Whether that tier lacks customer-managed keys.
    pub tier_lacks_keys: bool,
    /// Whose cloud it runs in.
    pub cloud: Cloud,
    /// What the coverage asks, by the same function as everywhere else.
    pub keys: WorkspaceKeys,
    /// The key of each use case that has one.
    pub attached: BTreeMap<UseCase, Attached>,
    /// What the proof says of the workspace itself.
    pub findings: Vec<Finding>,
}

/// A date on which a key, or a part of it, is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The day and time in UTC.
    pub at: OffsetDateTime,
    /// Whether the cloud deletes it, or it expires.
    pub how: LossKind,
    /// Which version, where it is not all of the key.
    pub version: Option<String>,
}

/// How a key is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossKind {
    /// It is deleted or destroyed on that date, whenever that is.
    Deleted,
    /// It expires; that is a danger when it is near.
    Expires,
}

/// A key as it was read.
#[derive(Clone, Debug)]
pub struct SeenKey {
    /// The cloud that keeps the key.
    pub cloud: Cloud,
    /// The region, in the cloud's own name for it.
    pub location: Option<String>,
    /// The AWS account, Google project or Azure subscription it lies in.
    pub owner: Option<String>,
    /// Its state in the words of `key status`; none when it could not be read.
    pub state: Option<KeyState>,
    /// The dates on which it or a version of it is lost.
    pub losses: Vec<Loss>,
    /// Whether it is rotated; none when it could not be read.
    pub rotates: Option<bool>,
    /// What the proof says, for everything that uses it; none when there was nothing to prove, or it could not be.
    pub proof: Option<Vec<Finding>>,
    /// When the key was last used, as far as its cloud says.
    pub last_use: LastUse,
    /// Who used it last, where the audit asked.
    pub last_used_by: Option<String>,
    /// Who else may use it; none when it could not be read.
    pub others: Option<Vec<SeenOther>>,
    /// Its vault on Azure.
    pub vault: Option<SeenVault>,
}

/// The vault of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenVault {
    /// The name of the vault, which is part of its host.
    pub name: String,
    /// Whether it logs who uses its keys; none when it could not be read.
    pub logs: Option<bool>,
}

/// A key configuration as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenConfiguration {
    /// The ID by which workspaces name it.
    pub id: String,
    /// Its key; none when the account shows none that can be read.
    pub key: Option<String>,
    /// The data that its key encrypts, in the account's words (`STORAGE`).
    pub use_cases: Vec<String>,
    /// When it was made, in milliseconds since 1970.
    pub created: Option<i64>,
}

/// A catalog as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenCatalog {
    /// The ID of the metastore that has the catalog.
    pub metastore: String,
    /// The name of the catalog in its metastore.
    pub name: String,
    /// The key configuration that it uses, if it uses one.
    pub configuration: Option<String>,
    /// Its key, if it has one of its own.
    pub key: Option<String>,
}

/// A place where tables lie, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenLocation {
    /// The URL, as Unity Catalog shows it: `s3://…`, `gs://…`, `abfss://…`.
    pub url: String,
    /// What lies there.
    pub kind: LocationKind,
    /// The metastore that names it.
    pub metastore: Option<String>,
    /// By whose key it is encrypted.
    pub encrypted_by: EncryptedBy,
    /// The full name of the key; `None` where the audit did not find one.
    pub key: Option<String>,
    /// Why the encryption is so, and what to do.
    pub note: String,
}

/// A key that lets Databricks in and that no key configuration has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unregistered {
    /// The full name of the key.
    pub key: String,
    /// The Databricks accounts that it names; empty where it lets in all of them.
    pub accounts: Vec<String>,
}

/// A subscription with workspaces that only the Databricks account knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HiddenSubscription {
    /// The UUID of the subscription.
    pub id: String,
    /// The numbers of the workspaces in it.
    pub workspaces: Vec<String>,
}

/// Everything that was read.
#[derive(Clone, Debug)]
pub struct AuditFacts {
    /// When the run began.
    pub time: OffsetDateTime,
    /// Whose cloud is audited.
    pub cloud: Cloud,
    /// The Databricks account; none on Azure, where it was not given.
    pub account_id: Option<String>,
    /// The identity that made the calls.
    pub identity: String,
    /// How many requests went to which service.
    pub requests: BTreeMap<String, u64>,
    /// The workspaces; none when they could not be read.
    pub workspaces: Option<Vec<SeenWorkspace>>,
    /// The key configurations; none when they could not be read. Empty where the platform has none.
    pub configurations: Option<Vec<SeenConfiguration>>,
    /// The keys, by name.
    pub keys: BTreeMap<String, SeenKey>,
    /// The catalogs that were read.
    pub catalogs: Vec<SeenCatalog>,
    /// Whether these are all catalogs of the account.
    pub has_all_catalogs: bool,
    /// The places where tables lie.
    pub locations: Vec<SeenLocation>,
    /// Whether these are all places of the account, and of each is known by whose key it is encrypted.
    pub has_all_locations: bool,
    /// Keys that let Databricks in without a key configuration.
    pub unregistered: Vec<Unregistered>,
    /// Subscriptions that the caller cannot see.
    pub hidden: Vec<HiddenSubscription>,
    /// Metastores without a workspace, by ID.
    pub without_workspace: Vec<String>,
    /// What could not be read.
    pub unread: Vec<Unread>,
    /// What a reader of the numbers must know, a sentence each.
    pub notes: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::SubjectKind;

    #[test]
    fn what_was_not_read_is_understood_again() {
        for part in Part::ALL {
            let subject = AuditSubject::of(SubjectKind::Key, "arn:aws:kms:eu: x: y");
            let unread = Unread {
                subject: subject.clone(),
                part,
                why: String::new(),
                permission: None,
            };
            assert_eq!(named_in(&unread.line().what), Some((subject, part)));
        }
        assert_eq!(named_in("key/x: soul"), None);
        assert_eq!(named_in("policy"), None);
    }
}
