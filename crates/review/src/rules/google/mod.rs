//! Resources of hashicorp/google on which a workspace's encryption depends: keys, their versions, and their IAM policies.

mod members;

use super::gathered::{FIND_OUT, Gathered, Said, Use, paragraphs};
use super::revoked;
use crate::catalog::Rule;
use crate::plan::{Action, ResourceChange};
use crate::report::Level;
use vocabulary::gcp::whole_days;

/// What a plan does not have of this cloud, so that no review of it can see it.
pub(super) const NOT_EXAMINED: &[&str] = &["organization policies", "VPC Service Controls"];

pub(super) fn look(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    match change.kind.as_str() {
        "google_kms_crypto_key" => key(gathered, change),
        "google_kms_crypto_key_version" => version(gathered, change),
        "google_kms_crypto_key_iam_member"
        | "google_kms_crypto_key_iam_binding"
        | "google_kms_crypto_key_iam_policy" => members::look(gathered, change),
        _ => {}
    }
}

/// How long versions can be restored, in words; a text that is not a whole number of days is quoted. Source: Cloud KMS
/// documentation: 30 days unless the key says otherwise.
fn window(shown: Option<&str>) -> String {
    let Some(shown) = shown else {
        return "30 days".to_owned();
    };
    match whole_days(shown) {
        Some(1) => "1 day".to_owned(),
        Some(days) => format!("{days} days"),
        None => format!("`{shown}`"),
    }
}

fn key(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    let (key, _) = gathered.key_and_users(change);
    let of_key = gathered.use_of(&key);
    revoked::look(gathered, change, &key, of_key, None);
    if change.action.destroys() {
        let window = window(change.before("destroy_scheduled_duration").as_deref());
        gathered.say(
            change,
            Said {
                id: Rule::KeyDeleted,
                level: of_key.level(),
                summary: format!("{} is deleted", of_key.called("key")),
                detail: paragraphs(&[
                    &format!(
                        "{} hashicorp/google schedules the destruction of its versions: nobody can use them from then on.",
                        gathered.used_by(&key, of_key)
                    ),
                    &gathered.stops_without(&key),
                ]),
                remedy: match of_key {
                    Use::NotShown => FIND_OUT,
                    _ => RESTORE,
                },
            },
        );
        if of_key == Use::NotShown {
            return;
        }
        gathered.say(
            change,
            Said {
                id: Rule::KeyDeletionWindow,
                level: Level::Irreversible,
                summary: format!("The deletion of a key is final after {window}"),
                detail: format!(
                    "Until then the versions of `{key}` can be restored. After that, everything that was encrypted with them is lost \
                     permanently."
                ),
                remedy: "",
            },
        );
    }
    if of_key == Use::NotShown {
        return;
    }
    let rotates = (
        change.before("rotation_period"),
        change.after("rotation_period"),
    );
    if change.action == Action::Update && matches!(rotates, (Some(_), None)) {
        gathered.say(
            change,
            Said {
                id: Rule::KeyRotationTurnedOff,
                level: Level::Warning,
                summary: "Automatic rotation of a key is turned off".to_owned(),
                detail: format!(
                    "A workspace keeps its storage key permanently, so new versions are the only possible rotation of `{key}`."
                ),
                remedy: "Keep `rotation_period`.",
            },
        );
    }
}

/// What can be done about a key or a version that is destroyed.
const RESTORE: &str = "Remove the deletion from this change, and set `prevent_destroy = true`. If it is applied already, run \
                       `dbxcmk key restore KEY --enable-anyway`.";

fn version(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    let (key, _) = gathered.key_and_users(change);
    let of_key = gathered.use_of(&key);
    let called = of_key.called("version of a key");
    let state = (change.before("state"), change.after("state"));
    let is_enabled =
        state.0.as_deref() == Some("DISABLED") && state.1.as_deref() == Some("ENABLED");
    let attribute = is_enabled.then_some("state");
    revoked::look(gathered, change, &key, of_key, attribute);
    let is_disabled = change.action == Action::Update
        && state.0.as_deref() != Some("DISABLED")
        && state.1.as_deref() == Some("DISABLED");
    if is_disabled {
        gathered.say(
            change,
            Said {
                id: Rule::KeyDisabled,
                level: of_key.level(),
                summary: format!("{called} is disabled"),
                detail: format!(
                    "{} What this version encrypted cannot be read while it is disabled. Old versions decrypt old data.",
                    gathered.used_by(&key, of_key)
                ),
                remedy: match of_key {
                    Use::NotShown => FIND_OUT,
                    _ => "Keep `state = \"ENABLED\"`, unless you want to revoke the access.",
                },
            },
        );
    }
    if !change.action.destroys() {
        return;
    }
    gathered.say(
        change,
        Said {
            id: Rule::KeyDeleted,
            level: of_key.level(),
            summary: format!("{called} is destroyed"),
            detail: format!(
                "{} What this version encrypted cannot be read from then on. Old versions decrypt old data.",
                gathered.used_by(&key, of_key)
            ),
            remedy: match of_key {
                Use::NotShown => FIND_OUT,
                _ => RESTORE,
            },
        },
    );
    if of_key == Use::NotShown {
        return;
    }
    gathered.say(
        change,
        Said {
            id: Rule::KeyDeletionWindow,
            level: Level::Irreversible,
            summary: "The destruction of a version is final when its destroy window ends".to_owned(),
            detail: format!(
                "Until then the version of `{key}` can be restored. After that, everything that was encrypted with it is lost permanently."
            ),
            remedy: "",
        },
    );
}

#[cfg(test)]
mod tests {
    use super::window;

    #[test]
    fn a_time_to_restore_is_never_made_up() {
        for (shown, expected) in [
            (None, "30 days"),
            (Some("2592000s"), "30 days"),
            (Some("86400s"), "1 day"),
            (Some("86399s"), "`86399s`"),
            (Some("NaNs"), "`NaNs`"),
            (Some("soon"), "`soon`"),
        ] {
            assert_eq!(window(shown), expected);
        }
    }
}
