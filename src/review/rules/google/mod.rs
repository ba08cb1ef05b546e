//! Resources of hashicorp/google on which a workspace's encryption depends: keys, their versions, and their IAM policies.

mod members;

pub(super) use members::lost_by_policy;

use super::gathered::{Gathered, Said, in_words};
use crate::review::catalog::Rule;
use crate::review::plan::{Action, ResourceChange};
use crate::review::report::Level;
use crate::vocabulary::gcp::whole_days;

/// What a plan does not have of this cloud, so that no review of it can see it.
pub(super) const NOT_EXAMINED: &[&str] = &[
    "IAM and deny policies above the keys (`terraform plan` examines them)",
    "organization policies",
    "VPC Service Controls",
];

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

/// How long versions can be restored, in words; what is no whole number of days is quoted. Source: Cloud KMS documentation: 30 days
/// unless the key says otherwise.
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
    let (key, users) = gathered.key_and_users(change);
    if !gathered.links.is_for_databricks(&key) {
        return;
    }
    let used = in_words(&users);
    if change.action.destroys() {
        let window = window(change.before("destroy_scheduled_duration").as_deref());
        gathered.say(
            change,
            Said {
                id: Rule::KeyDeleted,
                level: Level::Error,
                summary: "A key that Databricks uses is deleted".to_owned(),
                detail: format!(
                    "`{key}` is used by {used}. hashicorp/google schedules the destruction of its versions: nobody can use them from then on, \
                     and clusters do not start."
                ),
                remedy: "Remove the deletion from this change, and set `prevent_destroy = true`. If it is applied already, run \
                         `terraform-provider-dbxcmk key restore KEY --enable-anyway`.",
            },
        );
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

fn version(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    let (key, users) = gathered.key_and_users(change);
    if !gathered.links.is_for_databricks(&key) {
        return;
    }
    let used = in_words(&users);
    let state = (change.before("state"), change.after("state"));
    let is_disabled = change.action == Action::Update
        && state.0.as_deref() != Some("DISABLED")
        && state.1.as_deref() == Some("DISABLED");
    if is_disabled {
        gathered.say(
            change,
            Said {
                id: Rule::KeyDisabled,
                level: Level::Error,
                summary: "A version of a key that Databricks uses is disabled".to_owned(),
                detail: format!(
                    "`{key}` is used by {used}. What this version encrypted cannot be read while it is disabled. Old versions decrypt old \
                     data."
                ),
                remedy: "Keep `state = \"ENABLED\"`, unless you want to revoke the access.",
            },
        );
    }
    if change.action.destroys() {
        gathered.say(
            change,
            Said {
                id: Rule::KeyDeleted,
                level: Level::Error,
                summary: "A version of a key that Databricks uses is destroyed".to_owned(),
                detail: format!(
                    "`{key}` is used by {used}. What this version encrypted cannot be read from then on. Old versions decrypt old data."
                ),
                remedy: "Remove the deletion from this change. If it is applied already, run `terraform-provider-dbxcmk key restore KEY \
                         --enable-anyway`.",
            },
        );
        gathered.say(
            change,
            Said {
                id: Rule::KeyDeletionWindow,
                level: Level::Irreversible,
                summary: "The destruction of a version is final when its waiting period ends".to_owned(),
                detail: format!(
                    "Until then the version of `{key}` can be restored. After that, everything that was encrypted with it is lost permanently."
                ),
                remedy: "",
            },
        );
    }
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
