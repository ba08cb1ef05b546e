//! Whether a key is used, as its cloud records it: a fact about the key that makes it neither ready nor unready.

use serde::Serialize;

use super::{Finding, Id, Subject, Unreadable};
use vocabulary::Key;

/// What is known of the use of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It was used, and it is known when.
    Used,
    /// It was never used: its cloud has recorded every use since the key was created, and there is none.
    NeverUsed,
    /// No use since its cloud began to record them; the key is older.
    NotSinceTracked,
    /// Resources are protected by it now; when it was used is not recorded.
    ProtectsResources,
    /// The cloud does not say, or the provider could not ask.
    NotKnown,
}

impl Standing {
    /// As data sources and reports name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::NeverUsed => "never_used",
            Self::NotSinceTracked => "not_since_tracked",
            Self::ProtectsResources => "protects_resources",
            Self::NotKnown => "not_known",
        }
    }
}

/// The last use of a key. Never the only reason for a deletion: AWS documents it as not the sole indicator, Google Cloud does not see
/// managed services, and a key without a use for a year may still be the only one that decrypts a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastUse {
    /// Whether the key was used, as far as the cloud says.
    pub standing: Standing,
    /// When it was last used (RFC 3339).
    pub at: Option<String>,
    /// By which operation, as `Decrypt`.
    pub operation: Option<String>,
    /// The event of that use in CloudTrail, which knows the caller.
    #[serde(skip)]
    pub event: Option<String>,
    /// Since when its cloud records uses of this key (RFC 3339).
    pub tracked_since: Option<String>,
    /// How many resources it protects now.
    pub protected_resources: Option<u64>,
    /// The permission that is missing, if that is why it is not known.
    pub permission: Option<&'static str>,
    /// Why it is not known, or what else to know.
    pub why: Option<String>,
}

impl LastUse {
    fn of(standing: Standing) -> Self {
        Self {
            standing,
            at: None,
            operation: None,
            event: None,
            tracked_since: None,
            protected_resources: None,
            permission: None,
            why: None,
        }
    }

    /// Used at this time, by this operation.
    pub fn used(at: String, operation: Option<String>, tracked_since: Option<String>) -> Self {
        Self {
            at: Some(at),
            operation,
            tracked_since,
            ..Self::of(Standing::Used)
        }
    }

    /// The same with the event of the use in CloudTrail.
    #[must_use]
    pub fn with_event(self, event: Option<String>) -> Self {
        Self { event, ..self }
    }

    /// No use is recorded. `is_whole_life`: whether every use since the creation of the key would be.
    pub fn unused(tracked_since: String, is_whole_life: bool) -> Self {
        let standing = match is_whole_life {
            true => Standing::NeverUsed,
            false => Standing::NotSinceTracked,
        };
        Self {
            tracked_since: Some(tracked_since),
            ..Self::of(standing)
        }
    }

    /// It protects this many resources, of which `partial` says why they may be more.
    pub fn protects(resources: u64, partial: Option<String>) -> Self {
        Self {
            protected_resources: Some(resources),
            why: partial,
            ..Self::of(Standing::ProtectsResources)
        }
    }

    /// The cloud does not say when the key was last used, for this reason.
    pub fn not_known(why: impl Into<String>) -> Self {
        Self {
            why: Some(why.into()),
            ..Self::of(Standing::NotKnown)
        }
    }

    /// The cloud refused to say when the key was last used, or could not be reached.
    pub fn unreadable(why: Unreadable) -> Self {
        Self {
            permission: why.permission,
            ..Self::not_known(why.reason)
        }
    }

    /// On Azure only the logs of the vault have it. Source: Azure Key Vault documentation, "Azure Key Vault logging".
    pub fn on_azure() -> Self {
        Self::not_known(
            "Azure records it only in the logs of the vault or Managed HSM, and only if a diagnostic setting sends the category AuditEvent \
             somewhere. Search these logs for KeyWrap and KeyUnwrap of the key",
        )
    }

    /// In one line, for people.
    pub fn in_words(&self) -> String {
        let since = self.tracked_since.as_deref().unwrap_or("an unknown date");
        let why = self.why.as_deref().unwrap_or("no reason is given");
        match self.standing {
            Standing::Used => {
                let at = self.at.as_deref().unwrap_or("an unknown date");
                let by = self.operation.as_ref().map(|one| format!(" by {one}"));
                format!("{at}{}; tracked since {since}", by.unwrap_or_default())
            }
            Standing::NeverUsed => format!(
                "never since the key was created ({since}); this alone does not justify deleting it"
            ),
            Standing::NotSinceTracked => format!(
                "not since {since}, and the key is older; this alone does not justify deleting it"
            ),
            Standing::ProtectsResources => {
                let count = self.protected_resources.unwrap_or_default();
                let partial = self.why.as_ref().map(|why| format!("; {why}"));
                format!(
                    "protects {count} resources of Google Cloud now; when it was used is not recorded{}",
                    partial.unwrap_or_default()
                )
            }
            Standing::NotKnown => format!("not known: {why}"),
        }
    }

    /// What there is to say where workspaces have the key, named by `users`. Only a record of the whole life of the key says it: what
    /// Google Cloud does not list proves nothing.
    pub fn finding(&self, key: &Key, users: &[String]) -> Option<Finding> {
        if self.standing != Standing::NeverUsed || users.is_empty() {
            return None;
        }
        let since = self.tracked_since.as_deref().unwrap_or_default();
        Some(
            Id::KmsKeyNeverUsed
                .warning(Subject::Key)
                .found(format!(
                    "KMS has recorded the uses of {key} since it was created ({since}), and there is none. These workspaces have the key:\n  - {}",
                    users.join("\n  - ")
                ))
                .why("What the workspaces hold is not encrypted with this key, or nothing was written since the key was attached.")
                .remedy(
                    "Write something that the key covers, such as a notebook, and run `key status` again some minutes later. If there is \
                     still no use, data from before the attach must be written again to come under the key. Do not delete the key because of \
                     this finding: disable it first, and watch for errors.",
                ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    /// Each row: what is known, its word, what people read, and whether it is a finding where workspaces have the key.
    #[test]
    fn each_standing_has_its_words_and_only_one_is_a_finding() {
        let since = || "2026-05-01T00:00:00Z".to_owned();
        let denied = Unreadable {
            permission: Some("kms:GetKeyLastUsage"),
            reason: "not allowed to call kms:GetKeyLastUsage".to_owned(),
            remedy: None,
            is_missing: false,
        };
        let rows = [
            (
                LastUse::used(
                    "2026-11-30T10:00:00Z".to_owned(),
                    Some("Decrypt".to_owned()),
                    Some(since()),
                ),
                "used",
                "2026-11-30T10:00:00Z by Decrypt; tracked since 2026-05-01T00:00:00Z",
                false,
            ),
            (
                LastUse::unused(since(), true),
                "never_used",
                "never since the key was created (2026-05-01T00:00:00Z); this alone does not justify deleting it",
                true,
            ),
            (
                LastUse::unused(since(), false),
                "not_since_tracked",
                "not since 2026-05-01T00:00:00Z, and the key is older; this alone does not justify deleting it",
                false,
            ),
            (
                LastUse::protects(3, Some("the list may be partial".to_owned())),
                "protects_resources",
                "protects 3 resources of Google Cloud now; when it was used is not recorded; the list may be partial",
                false,
            ),
            (
                LastUse::unreadable(denied),
                "not_known",
                "not known: not allowed to call kms:GetKeyLastUsage",
                false,
            ),
        ];
        let key: Key = KEY.parse().expect("a key");
        let users = ["1234567890123456 (\"prod\")".to_owned()];
        for (one, name, words, is_found) in rows {
            assert_eq!(one.standing.name(), name);
            let json = serde_json::to_value(&one).expect("JSON");
            assert_eq!(json.get("standing"), Some(&name.into()));
            assert_eq!(one.in_words(), words);
            assert_eq!(one.finding(&key, &users).is_some(), is_found, "{name}");
            assert_eq!(one.finding(&key, &[]), None, "{name}");
        }
        assert!(LastUse::on_azure().in_words().contains("AuditEvent"));
    }

    #[test]
    fn a_finding_names_the_key_and_its_workspaces() {
        let key: Key = KEY.parse().expect("a key");
        let never = LastUse::unused("2026-05-01T00:00:00Z".to_owned(), true);
        let users = ["1 (\"a\")".to_owned(), "2 (\"b\")".to_owned()];
        let found = never.finding(&key, &users).expect("a finding").found;
        assert!(found.contains(KEY), "{found}");
        assert!(found.ends_with("\n  - 1 (\"a\")\n  - 2 (\"b\")"), "{found}");
    }
}
