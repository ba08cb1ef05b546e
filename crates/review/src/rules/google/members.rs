//! The IAM policies of keys: who loses the use of a key.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::catalog::Rule;
use crate::plan::{ResourceChange, at};
use crate::report::Level;
use crate::rules::gathered::{Gathered, Said, in_words};
use requirements::gcp::{is_needed, rights_of};

/// Whether a role lets use a key: one that is not known may.
fn is_use(role: &str) -> bool {
    rights_of(role).is_none_or(|rights| rights.encrypt || rights.decrypt)
}

fn texts(value: &Json) -> BTreeSet<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .map(str::to_owned)
        .collect()
}

/// The members to whom a resource gives the key, in a state of it; `None` while Terraform does not know them.
fn users(change: &ResourceChange, state: &Json) -> Option<BTreeSet<String>> {
    if state.is_null() {
        return Some(BTreeSet::new());
    }
    if change.kind == "google_kms_crypto_key_iam_policy" {
        let data = at(state, "policy_data").as_str()?;
        let policy: Json = serde_json::from_str(data).ok()?;
        let bindings = policy.get("bindings").and_then(Json::as_array);
        let users = bindings
            .into_iter()
            .flatten()
            .filter(|one| one.get("role").and_then(Json::as_str).is_some_and(is_use))
            .flat_map(|one| texts(one.get("members").unwrap_or(&Json::Null)));
        return Some(users.collect());
    }
    let role = at(state, "role").as_str()?;
    if !is_use(role) {
        return Some(BTreeSet::new());
    }
    match change.kind.as_str() {
        "google_kms_crypto_key_iam_member" => at(state, "member")
            .as_str()
            .map(|one| [one.to_owned()].into()),
        _ => at(state, "members")
            .as_array()
            .map(|_| texts(at(state, "members"))),
    }
}

/// The members that the `dbxcmk_key_policy` resources of a key have or get.
fn members_of_ours(gathered: &Gathered<'_>, key: &str) -> BTreeSet<String> {
    gathered
        .plan
        .of("dbxcmk_key_policy")
        .filter(|one| !one.action.removes())
        .filter(|one| {
            gathered
                .links
                .key_of
                .get(&one.address)
                .is_some_and(|own| own == key)
        })
        .flat_map(|one| {
            let mut all = texts(at(one.state_before(), "gcp.members"));
            all.extend(texts(at(one.state_after(), "gcp.members")));
            all
        })
        .collect()
}

pub(super) fn look(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    let (key, workspaces) = gathered.key_and_users(change);
    // Another key: on the one that it leaves, nothing of the resource stays.
    if let Some(former) = gathered.links.left_by(change, "crypto_key_id") {
        let before = users(change, change.state_before()).unwrap_or_default();
        say_lost(gathered, change, &former, &before, &BTreeSet::new());
    }
    if !gathered.links.is_for_databricks(&key) {
        return;
    }
    let before = users(change, change.state_before());
    let after = users(change, change.state_after());
    let (Some(before), Some(after)) = (before, after) else {
        if !change.action.removes() {
            gathered.say(
                change,
                Said {
                    id: Rule::KeyPolicyUnknown,
                    level: Level::Warning,
                    summary: "The IAM policy of a key is not known before the apply".to_owned(),
                    detail: format!(
                        "The review cannot tell who will be able to use `{key}`. The key is used by {}.",
                        in_words(&workspaces)
                    ),
                    remedy: "First apply the resources that the members depend on, or write the members so that they are known at plan.",
                },
            );
        }
        return;
    };
    if gathered.links.left_by(change, "crypto_key_id").is_none() {
        say_lost(gathered, change, &key, &before, &after);
    }
    // A resource that owns a role or the whole policy removes each member that it does not name.
    let owns = change.kind != "google_kms_crypto_key_iam_member" && !change.action.removes();
    let thrown_out: Vec<String> = members_of_ours(gathered, &key)
        .difference(&after)
        .map(|member| format!("  - {member}"))
        .collect();
    let role = change.latest("role");
    let is_other_role = role.as_deref().is_some_and(|role| !is_use(role));
    if owns && !is_other_role && !thrown_out.is_empty() {
        gathered.say(
            change,
            Said {
                id: Rule::PolicyWrittenTwice,
                level: Level::Error,
                summary: "Two resources write the IAM policy of one key".to_owned(),
                detail: format!(
                    "`{}` owns {} of `{key}` and does not name these members, which a dbxcmk_key_policy keeps there:\n{}\n\nEach apply of one \
                     removes what the other adds, and workspaces lose access to the key in between.",
                    change.address,
                    if change.kind.ends_with("_policy") { "the whole IAM policy" } else { "a role" },
                    thrown_out.join("\n")
                ),
                remedy: "Use `google_kms_crypto_key_iam_member`, which owns one member alone.",
            },
        );
    }
}

/// Reports the members that lose the use of a key, if any do.
fn say_lost(
    gathered: &mut Gathered<'_>,
    change: &ResourceChange,
    key: &str,
    before: &BTreeSet<String>,
    after: &BTreeSet<String>,
) {
    let lost: Vec<String> = before
        .difference(after)
        .filter(|member| is_needed(member))
        .map(|member| format!("  - {member}: the use of the key"))
        .collect();
    if lost.is_empty() || !gathered.links.is_for_databricks(key) {
        return;
    }
    let workspaces = gathered.links.users_of(key);
    let level = match workspaces.is_empty() {
        true => Level::Warning,
        false => Level::Error,
    };
    gathered.say(
        change,
        Said {
            id: Rule::PermissionsLost,
            level,
            summary: "Permissions on a key are taken away".to_owned(),
            detail: format!(
                "`{key}` is used by {}. These lose the use of it:\n{}",
                in_words(&workspaces),
                lost.join("\n")
            ),
            remedy: "Let `dbxcmk_key_policy` keep the members: it does not own the rest of the policy.",
        },
    );
}
