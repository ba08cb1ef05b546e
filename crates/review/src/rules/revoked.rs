//! A key that is revoked, and that a plan gives back: the next ordinary apply does so where the configuration still says that the key is enabled.

use super::gathered::{Gathered, Said, Use, paragraphs};
use crate::catalog::Rule;
use crate::plan::{Action, ResourceChange};
use crate::report::Level;
use vocabulary::Cloud;

/// Where `key disable` marks a key: the attributes of its resource, the name of the mark, and what to keep.
struct Mark {
    attributes: &'static [&'static str],
    name: &'static str,
    called: &'static str,
    keep: &'static str,
}

/// The mark of the cloud that has a type of resources.
fn mark(kind: &str) -> Option<Mark> {
    let cloud = match kind {
        "google_kms_crypto_key" => Cloud::Gcp,
        "azurerm_key_vault_key" | "azurerm_key_vault_managed_hardware_security_module_key" => {
            Cloud::Azure
        }
        "aws_kms_key" | "aws_kms_replica_key" | "aws_kms_external_key" => Cloud::Aws,
        _ => return None,
    };
    Some(match cloud {
        Cloud::Gcp => Mark {
            attributes: &["labels", "effective_labels"],
            name: "dbxcmk-before",
            called: "label",
            keep: "While the key is revoked: `lifecycle { ignore_changes = [labels[\"dbxcmk-before\"]] }`.",
        },
        Cloud::Azure => Mark {
            attributes: &["tags"],
            name: "dbxcmk-disabled",
            called: "tag",
            keep: "While the key is revoked: `lifecycle { ignore_changes = [tags[\"dbxcmk-disabled\"]] }`.",
        },
        _ => Mark {
            attributes: &["tags", "tags_all"],
            name: "dbxcmk:disabled",
            called: "tag",
            keep: KEEP,
        },
    })
}

/// What keeps a key disabled while it is revoked.
const KEEP: &str = "While the key is revoked: set `is_enabled = false` (`enabled = false` for replica keys and external keys), and \
                    `lifecycle { ignore_changes = [tags[\"dbxcmk:disabled\"], tags_all[\"dbxcmk:disabled\"]] }`. To give the key back, run \
                    `dbxcmk key restore KEY` first.";

/// Whether the mark is there before, and not afterwards. What is not known afterwards may be gone.
fn is_removed(change: &ResourceChange, mark: &Mark) -> bool {
    let paths = || {
        let all = mark.attributes.iter();
        all.map(|attribute| format!("{attribute}.{}", mark.name))
    };
    paths().any(|path| change.before(&path).is_some())
        && !paths().any(|path| change.after(&path).is_some())
}

/// `attribute`: by which the plan enables the key, or a version of it, if it does.
pub(super) fn look(
    gathered: &mut Gathered<'_>,
    change: &ResourceChange,
    key: &str,
    of_key: Use,
    attribute: Option<&str>,
) {
    if change.action != Action::Update {
        return;
    }
    let mark = mark(&change.kind);
    let removed = mark.as_ref().filter(|mark| is_removed(change, mark));
    if attribute.is_none() && removed.is_none() {
        return;
    }
    let enabled = attribute.map_or_else(String::new, |attribute| {
        format!(
            "`{attribute}` of this resource enables it again: what was revoked comes back with this apply."
        )
    });
    let unmarked = removed.map_or_else(String::new, |mark| {
        format!(
            "The plan removes the {} `{}`, with which `dbxcmk key disable` marked the key when it revoked the access. Without \
             it, a restore does not know what this provider disabled.",
            mark.called, mark.name
        )
    });
    let remedy = match (&mark, attribute) {
        (Some(mark), _) => mark.keep,
        _ => {
            "While the key is revoked, keep `state = \"DISABLED\"`. To give it back, run `dbxcmk key restore KEY` first."
        }
    };
    gathered.say(
        change,
        Said {
            id: Rule::KeyEnabledAgain,
            level: match (removed.is_some(), of_key) {
                (true, _) => Level::Error,
                (false, Use::NotShown) => Level::Note,
                (false, _) => Level::Warning,
            },
            summary: match attribute {
                Some(_) => "A disabled key is enabled again".to_owned(),
                None => "A key loses the mark of its revocation".to_owned(),
            },
            detail: paragraphs(&[&gathered.used_by(key, of_key), &enabled, &unmarked]),
            remedy,
        },
    );
}
