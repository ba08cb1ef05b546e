//! What a finding, a change or a gap is about: a kind and an ID, in one text.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kinds of things that a report speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubjectKind {
    /// The Databricks account, by its ID; on Azure without one, the tenant.
    Account,
    /// A catalog, as `<metastore>/<name>`.
    Catalog,
    /// A key configuration, by its ID.
    Configuration,
    /// An exception of the policy file, as `<finding>/<subject>`.
    Exception,
    /// A key, by its name in its cloud.
    Key,
    /// A place where tables lie, by its URL.
    Location,
    /// A metastore, by its ID.
    Metastore,
    /// A project of Google Cloud, by its ID.
    Project,
    /// A subscription of Azure, by its ID.
    Subscription,
    /// A vault of Azure, by its name.
    Vault,
    /// A workspace, by its ID.
    Workspace,
}

impl SubjectKind {
    /// Every variant, in the order of their declaration.
    pub const ALL: [Self; 11] = [
        Self::Account,
        Self::Catalog,
        Self::Configuration,
        Self::Exception,
        Self::Key,
        Self::Location,
        Self::Metastore,
        Self::Project,
        Self::Subscription,
        Self::Vault,
        Self::Workspace,
    ];

    /// The word for it, with which a subject begins.
    pub fn word(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Catalog => "catalog",
            Self::Configuration => "configuration",
            Self::Exception => "exception",
            Self::Key => "key",
            Self::Location => "location",
            Self::Metastore => "metastore",
            Self::Project => "project",
            Self::Subscription => "subscription",
            Self::Vault => "vault",
            Self::Workspace => "workspace",
        }
    }
}

/// A thing that a report speaks of: `workspace/1234567890123456`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuditSubject {
    text: String,
    kind: SubjectKind,
}

impl AuditSubject {
    /// A thing by its kind and its ID, which stays as it came.
    pub fn of(kind: SubjectKind, id: impl fmt::Display) -> Self {
        Self {
            text: format!("{}/{id}", kind.word()),
            kind,
        }
    }

    /// Whether it is a workspace, a key, a catalog, or another object.
    pub fn kind(&self) -> SubjectKind {
        self.kind
    }

    /// Its ID: what stands behind the kind.
    pub fn id(&self) -> &str {
        self.text.split_once('/').map_or("", |(_, id)| id)
    }

    /// Kind and ID as one text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The subject that a text names; none when it begins with no kind.
    pub fn parse(text: &str) -> Option<Self> {
        let (word, _) = text.split_once('/')?;
        let kind = SubjectKind::ALL
            .into_iter()
            .find(|kind| kind.word() == word)?;
        Some(Self {
            text: text.to_owned(),
            kind,
        })
    }
}

impl fmt::Display for AuditSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for AuditSubject {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for AuditSubject {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a subject")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_read_as_it_was_written() {
        for kind in SubjectKind::ALL {
            let one = AuditSubject::of(kind, "a/b: c");
            assert_eq!(AuditSubject::parse(one.as_str()), Some(one.clone()));
            assert_eq!((one.kind(), one.id()), (kind, "a/b: c"));
        }
        for text in ["", "workspace", "planet/1"] {
            assert_eq!(AuditSubject::parse(text), None, "{text}");
        }
    }
}
