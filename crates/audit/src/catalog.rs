//! The findings of the audit itself, beside those of the proof, which keep their IDs: what each means, how grave it is, and on which
//! reads it rests.

use std::fmt;

use super::facts::Part;
use super::report::Gravity;
use kms_policy::nearest;
use preflight::Id;

macro_rules! catalog {
    ($($variant:ident $name:literal $gravity:ident [$($part:ident)*] $title:literal $text:literal;)*) => {
        /// The name of a finding of the audit. It never changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs, reason = "each is described by its text, which the documentation shows")]
        pub enum AuditId {
            $($variant,)*
        }

        impl AuditId {
            /// All of them, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name: `workspace-data-uncovered`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// How grave it usually is.
            pub fn gravity(self) -> Gravity {
                match self {
                    $(Self::$variant => Gravity::$gravity,)*
                }
            }

            /// What it is about, in one line.
            pub fn title(self) -> &'static str {
                match self {
                    $(Self::$variant => $title,)*
                }
            }

            /// What it means and what to do, in Markdown.
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            fn rests_on(self) -> &'static [Part] {
                match self {
                    $(Self::$variant => &[$(Part::$part,)*],)*
                }
            }
        }
    };
}

catalog! {
    WorkspaceDataUncovered "workspace-data-uncovered" Error [Workspaces Configurations]
        "Data of the workspace is not under an own key"
        "A key of the workspace can encrypt these kinds of data, and none is attached for them. Attach a key, leave the use case out of `require`, or accept it by an `exception` with an owner and an expiry date.";
    WorkspaceDataUnknown "workspace-data-unknown" Warning [Workspaces Configurations]
        "The audit does not know whether data of the workspace is under an own key"
        "The account shows too little of the workspace, or its key configurations could not be read. The workspace counts as not known, never as covered.";
    KeyInDanger "key-in-danger" Error [State]
        "The key cannot be used, or will be lost"
        "The key is not enabled, does not exist, or has a date on which it or an old version of it is deleted, destroyed or expires. Data that is encrypted with it cannot be read without it.";
    KeyOpenToOthers "key-open-to-others" Warning [Policy Grants]
        "Principals outside the owner of the key may use it"
        "Another AWS account, Google Cloud project or Azure tenant may use the key. It is an error if anybody may. Name the accounts that you trust with `--trusted`, or remove the access.";
    KeyElsewhere "key-elsewhere" Warning [State]
        "The key is not where keys must be"
        "The policy file lists in `require { key_accounts }` where keys may lie, and the key is in another AWS account, Google Cloud project or Azure subscription, or its place is not known.";
    KeyNotRotated "key-not-rotated" Warning [Rotation]
        "The key is not rotated automatically"
        "Turn automatic rotation on. `require { rotation = true }` makes it an error, `false` a note. Where the proof has a finding of its own for it, that is the one that is shown.";
    LocationUncovered "location-uncovered" Warning [Encryption]
        "Tables lie in storage without an own key"
        "The default encryption of the bucket or storage account uses a key of its cloud. Keys of a workspace do not encrypt tables in other storage: set the default encryption there.";
    KeyNeverUsed "key-never-used" Warning [LastUse Workspaces Configurations]
        "Workspaces have the key, and nothing was ever encrypted with it"
        "KMS has recorded every use of the key since its creation, and there is none. Data from before the attach must be written again to come under the key.";
    ConfigurationUnused "configuration-unused" Note [Workspaces Configurations Catalogs]
        "No workspace and no catalog uses the key configuration"
        "Every workspace and every catalog was read, and none has this key configuration. Delete it, so that nobody attaches a key that nobody watches.";
    ConfigurationTwin "configuration-twin" Note [Configurations]
        "Two key configurations have the same key for the same use cases"
        "One of them is enough. Keep the one that workspaces use, and delete the other.";
    DatabricksLetInUnregistered "databricks-let-in-unregistered" Warning [Discovery Configurations]
        "A key lets Databricks in, and no key configuration has it"
        "Either the key is no longer needed for Databricks, and the statements can go, or another Databricks account uses it.";
    SubscriptionNotVisible "subscription-not-visible" Error [Workspaces]
        "The Databricks account has workspaces in a subscription that the audit cannot see"
        "Resource Manager shows only what the caller may read. Give the identity of the audit the role Reader on the subscription.";
    MetastoreWithoutWorkspace "metastore-without-workspace" Note [Metastores]
        "No workspace is assigned to the metastore"
        "Catalogs are read through a workspace, so the catalogs of this metastore cannot be read. Key configurations that only they could use are not called unused.";
    VaultNotLogged "vault-not-logged" Note [Vault]
        "The vault does not log who uses its keys"
        "Azure records uses of keys only in the logs of the vault. Add a diagnostic setting that sends the category AuditEvent to a Log Analytics workspace, a storage account or an event hub.";
    ScopeMatchesNothing "scope-matches-nothing" Warning [Workspaces]
        "A pattern of the policy file matches no workspace"
        "The pattern has a typo, or the workspaces are gone. Workspaces that were meant by it are not judged.";
    ExceptionExpired "exception-expired" Warning []
        "An exception of the policy file has expired"
        "The findings that it accepted count again. Fix them, or extend the exception, at most a year ahead.";
    ExceptionUnused "exception-unused" Note []
        "An exception of the policy file matches no finding"
        "What it accepted is fixed, or its subject has a typo. Remove it.";
}

impl fmt::Display for AuditId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something could not be read: no finding, and shown as one where a format has nothing else for it.
pub const NOT_READ: &str = "not-read";

/// What a finding means, by its ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// In one line.
    pub title: &'static str,
    /// In Markdown.
    pub text: &'static str,
}

/// What a finding of the audit or of the proof means; none for an ID that this version does not know.
pub fn meaning(id: &str) -> Option<Meaning> {
    if id == NOT_READ {
        return Some(Meaning {
            title: "Something could not be read",
            text: "The report does not know what depends on it. The permission that is missing stands beside it.",
        });
    }
    let own = AuditId::ALL.iter().find(|one| one.name() == id);
    let own = own.map(|one| Meaning {
        title: one.title(),
        text: one.text(),
    });
    own.or_else(|| {
        let of_proof = Id::ALL.iter().find(|one| one.name() == id)?;
        Some(Meaning {
            title: of_proof.title(),
            text: of_proof.text(),
        })
    })
}

/// Every ID that a report can have.
pub fn all_ids() -> impl Iterator<Item = &'static str> {
    let own = AuditId::ALL.iter().map(|one| one.name());
    own.chain(Id::ALL.iter().map(|one| one.name()))
}

/// The known ID that is nearest to a text with a typo; `None` where none is near.
pub fn nearest_id(text: &str) -> Option<&'static str> {
    let known: Vec<&'static str> = all_ids().collect();
    nearest(text, &known)
}

/// The reads on which a finding rests: where one of them failed, its absence says nothing.
pub fn rests_on(id: &str) -> &'static [Part] {
    if let Some(own) = AuditId::ALL.iter().find(|one| one.name() == id) {
        return own.rests_on();
    }
    match id {
        "kms-key-no-rotation" | "gcp-key-no-rotation" => &[Part::Rotation, Part::State],
        // A proof begins with who uses the key for what.
        _ => &[
            Part::State,
            Part::Policy,
            Part::Grants,
            Part::Role,
            Part::Vault,
            Part::Workspaces,
            Part::Configurations,
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn an_id_is_unique_and_has_a_meaning() {
        let all: Vec<&str> = all_ids().collect();
        let unique: BTreeSet<&str> = all.iter().copied().collect();
        assert_eq!(all.len(), unique.len());
        assert!(all.iter().all(|id| meaning(id).is_some()));
        assert!(meaning(NOT_READ).is_some() && !unique.contains(NOT_READ));
        assert_eq!(meaning("no-such-finding"), None);
        assert_eq!(
            nearest_id("workspace-data-uncoverd"),
            Some("workspace-data-uncovered")
        );
    }
}
