//! Resources of hashicorp/aws on which a workspace's encryption depends: keys, their policies, and the role that launches
//! clusters.

pub(super) mod policies;

use super::gathered::{FIND_OUT, Gathered, Said, Use, in_words, paragraphs};
use super::revoked;
use crate::catalog::Rule;
use crate::plan::{Action, ResourceChange};
use crate::report::Level;
use vocabulary::Deployment;

/// What a plan does not have of this cloud, so that no review of it can see it.
pub(super) const NOT_EXAMINED: &[&str] = &[
    "policies of the AWS organization (SCPs and RCPs)",
    "VPC endpoint policies",
    "IAM policies of Databricks",
];

pub(super) fn look(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    match change.kind.as_str() {
        "aws_kms_key" | "aws_kms_replica_key" | "aws_kms_external_key" => key(gathered, change),
        "aws_kms_key_policy" => key_policy(gathered, change),
        "aws_iam_role" => role(gathered, change),
        _ => {}
    }
}

/// Whether a key matters: a configuration or policy of the plan names it, or its own policy names Databricks.
fn matters(gathered: &Gathered<'_>, change: &ResourceChange, key: &str) -> bool {
    let names_databricks = |policy: Option<String>| {
        policy.is_some_and(|policy| Deployment::named_in(&policy).is_some())
    };
    gathered.links.is_for_databricks(key)
        || names_databricks(change.before("policy"))
        || names_databricks(change.after("policy"))
}

/// What the plan shows of the use of a key; a key whose own policy names Databricks is meant for it.
fn use_of(gathered: &Gathered<'_>, change: &ResourceChange, key: &str) -> Use {
    match gathered.use_of(key) {
        Use::NotShown if matters(gathered, change, key) => Use::Meant,
        other => other,
    }
}

fn deleted(gathered: &mut Gathered<'_>, change: &ResourceChange, key: &str) {
    let days = change
        .before("deletion_window_in_days")
        .unwrap_or_else(|| "30".to_owned());
    let of_key = use_of(gathered, change, key);
    gathered.say(
        change,
        Said {
            id: Rule::KeyDeleted,
            level: of_key.level(),
            summary: format!("{} is deleted", of_key.called("key")),
            detail: paragraphs(&[
                &format!(
                    "{} After the apply, nobody can use it: data that was encrypted with it cannot be read. After {days} days KMS deletes it, \
                     and everything that was encrypted with it is lost permanently.",
                    gathered.used_by(key, of_key),
                ),
                &gathered.stops_without(key),
            ]),
            remedy: match of_key {
                Use::NotShown => FIND_OUT,
                _ => {
                    "Remove the deletion from this change. If it is applied already, run `dbxcmk key restore KEY \
                     --enable-anyway`."
                }
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
            summary: format!("The deletion of a key is final after {days} days"),
            detail: format!(
                "Until then you can cancel the deletion of `{key}`. The key is disabled afterwards; enable it to use it again."
            ),
            remedy: "",
        },
    );
}

fn key(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    let (key, users) = gathered.key_and_users(change);
    if change.action.destroys() {
        deleted(gathered, change, &key);
    }
    let of_key = use_of(gathered, change, &key);
    revoked::look(gathered, change, &key, of_key, enabled_by(change));
    let turned_off = |path: &str| {
        change.before(path).as_deref() == Some("true")
            && change.after(path).as_deref() == Some("false")
    };
    // Replica keys and keys with imported material call it by another name.
    let is_disabled = turned_off("is_enabled") || turned_off("enabled");
    // What is not known may be so.
    let perhaps =
        |path: &str| change.before(path).as_deref() == Some("true") && change.is_unknown(path);
    if change.action == Action::Update && is_disabled {
        disabled(gathered, change, &key);
    } else if change.action == Action::Update && (perhaps("is_enabled") || perhaps("enabled")) {
        perhaps_disabled(gathered, change, &key);
    }
    if !matters(gathered, change, &key) {
        return;
    }
    let used = in_words(&users);
    let days = |value: Option<String>| {
        value
            .and_then(|days| days.parse::<u32>().ok())
            .unwrap_or(30)
    };
    let window = (
        days(change.before("deletion_window_in_days")),
        days(change.after("deletion_window_in_days")),
    );
    if change.action == Action::Update && window.1 < window.0 {
        gathered.say(
            change,
            Said {
                id: Rule::KeyDeletionWindow,
                level: Level::Irreversible,
                summary: format!(
                    "The deletion window of a key is shortened from {} to {} days",
                    window.0, window.1
                ),
                detail: format!(
                    "`{key}` is used by {used}. When the key is destroyed, its deletion can be cancelled for {} days only. After that, \
                     everything that was encrypted with it is lost permanently.",
                    window.1
                ),
                remedy: "Keep `deletion_window_in_days = 30`.",
            },
        );
    }
    if change.action == Action::Update && turned_off("enable_key_rotation") {
        gathered.say(
            change,
            Said {
                id: Rule::KeyRotationTurnedOff,
                level: Level::Warning,
                summary: "Automatic rotation of a key is turned off".to_owned(),
                detail: format!(
                    "A workspace keeps its storage key permanently, so this is the only possible rotation of `{key}`."
                ),
                remedy: "Keep `enable_key_rotation = true`.",
            },
        );
    }
    if change.action == Action::Update && change.changes("policy") {
        whole_policy(gathered, change);
    }
}

/// The attribute by which a disabled key is enabled again.
fn enabled_by(change: &ResourceChange) -> Option<&'static str> {
    let is_on = |path: &&str| {
        change.before(path).as_deref() == Some("false")
            && change.after(path).as_deref() != Some("false")
    };
    ["is_enabled", "enabled"].into_iter().find(is_on)
}

fn disabled(gathered: &mut Gathered<'_>, change: &ResourceChange, key: &str) {
    let of_key = use_of(gathered, change, key);
    gathered.say(
        change,
        Said {
            id: Rule::KeyDisabled,
            level: of_key.level(),
            summary: format!("{} is disabled", of_key.called("key")),
            detail: paragraphs(&[
                &format!(
                    "{} While the key is disabled, reads and writes fail when the cached data keys expire. Enabling the key restores access.",
                    gathered.used_by(key, of_key),
                ),
                &gathered.stops_without(key),
            ]),
            remedy: match of_key {
                Use::NotShown => FIND_OUT,
                _ if change.kind == "aws_kms_key" => {
                    "Keep `is_enabled = true`, unless you want to revoke the access."
                }
                _ => "Keep `enabled = true`, unless you want to revoke the access.",
            },
        },
    );
}

/// Whether the key stays enabled is known after the apply.
fn perhaps_disabled(gathered: &mut Gathered<'_>, change: &ResourceChange, key: &str) {
    let of_key = use_of(gathered, change, key);
    gathered.say(
        change,
        Said {
            id: Rule::KeyDisabled,
            level: Level::Warning,
            summary: format!("{} may be disabled", of_key.called("key")),
            detail: format!(
                "{} The plan does not show whether the key stays enabled: that is known after the apply. While a key is disabled, reads and \
                 writes fail when the cached data keys expire.",
                gathered.used_by(key, of_key),
            ),
            remedy: match change.kind.as_str() {
                "aws_kms_key" => "Write `is_enabled = true`, unless you want to revoke the access.",
                _ => "Write `enabled = true`, unless you want to revoke the access.",
            },
        },
    );
}

fn key_policy(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    let left = gathered.links.left_by(change, "key_id");
    if change.action == Action::Delete || left.is_some() {
        let (own, _) = gathered.key_and_users(change);
        reset(gathered, change, &left.unwrap_or(own));
    }
    if change.action != Action::Delete {
        whole_policy(gathered, change);
    }
}

/// A key loses the policy that a resource has written.
fn reset(gathered: &mut Gathered<'_>, change: &ResourceChange, key: &str) {
    if !matters(gathered, change, key) {
        return;
    }
    let users = gathered.links.users_of(key);
    gathered.say(
        change,
        Said {
            id: Rule::KeyPolicyReset,
            level: match users.is_empty() {
                true => Level::Warning,
                false => Level::Error,
            },
            summary: "The policy of a key is reset to the AWS default".to_owned(),
            detail: format!(
                "Destroying an `aws_kms_key_policy` restores the AWS default policy, which names only the key's own account. `{key}` is used \
                 by {}.",
                in_words(&users)
            ),
            remedy: "To keep the policy and only remove it from the state, use a `removed` block with `destroy = false`, or move the resource to \
                     `dbxcmk_key_policy` with a `moved` block.",
        },
    );
}

/// A resource writes the whole policy of a key.
fn whole_policy(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    let (key, users) = gathered.key_and_users(change);
    if !matters(gathered, change, &key) {
        return;
    }
    // A resource that begins to write a policy replaces the policy that the key has.
    let own = |one: &&ResourceChange| {
        one.kind == "aws_kms_key" && gathered.links.key_of.get(&one.address) == Some(&key)
    };
    let there = change.before("policy").or_else(|| {
        gathered
            .plan
            .changes
            .iter()
            .find(own)
            .and_then(|one| one.before("policy"))
    });
    let (Some(before), Some(after)) = (there, change.after("policy")) else {
        if change.is_unknown("policy") {
            gathered.say(
                change,
                Said {
                    id: Rule::KeyPolicyUnknown,
                    level: Level::Warning,
                    summary: "The policy of a key is not known before the apply".to_owned(),
                    detail: format!(
                        "The review cannot tell what it will allow Databricks to do with `{key}`. The key is used by {}.",
                        in_words(&users)
                    ),
                    remedy: "First apply the resources that the policy depends on, or write the policy so that it is known at plan.",
                },
            );
        }
        return;
    };
    let lost = policies::of_policies(gathered, change, &before, &after);
    let remedy = "Keep the statements for Databricks in the policy: `dbxcmk_key_policy` keeps them without owning the rest.";
    policies::say_lost(gathered, change, &lost, remedy);
}

/// Two resources write the policy of one key.
pub(super) fn overwritten(gathered: &mut Gathered<'_>) {
    let plan = gathered.plan;
    for own in plan
        .of("dbxcmk_key_policy")
        .filter(|change| !change.action.removes())
    {
        let Some(key) = gathered.links.key_of.get(&own.address).cloned() else {
            continue;
        };
        let writes = |change: &&ResourceChange| {
            let is_there = !change.action.removes();
            // An aws_kms_key shows a policy also when it does not own it; when it changes the policy, it does.
            let owns = change.kind == "aws_kms_key_policy"
                || (change.action == Action::Update && change.changes("policy"));
            is_there && owns && gathered.links.key_of.get(&change.address) == Some(&key)
        };
        let others: Vec<ResourceChange> = ["aws_kms_key_policy", "aws_kms_key"]
            .iter()
            .flat_map(|kind| plan.of(kind))
            .filter(writes)
            .cloned()
            .collect();
        perhaps_overwritten(gathered, own, &key);
        for other in others {
            gathered.say(
                &other,
                Said {
                    id: Rule::PolicyWrittenTwice,
                    level: Level::Error,
                    summary: "Two resources write the policy of one key".to_owned(),
                    detail: format!(
                        "`{}` writes the whole policy of `{key}`, and `{}` keeps the statements for Databricks in it. Each apply of one \
                        removes the changes of the other, and workspaces lose access to the key in between.",
                        other.address, own.address
                    ),
                    remedy: "Keep one of them. With `aws_kms_key`: `lifecycle { ignore_changes = [policy] }`. With `aws_kms_key_policy`: take \
                             the statements from `dbxcmk_key_policy_document` instead.",
                },
            );
        }
    }
}

/// A key whose configuration has a policy, and whose policy has lost the statements that a `dbxcmk_key_policy` writes again: a plan does not
/// show whether the key ignores changes of its policy.
fn perhaps_overwritten(gathered: &mut Gathered<'_>, own: &ResourceChange, key: &str) {
    if own.action != Action::Update || !own.changes("statements") {
        return;
    }
    let (plan, links) = (gathered.plan, gathered.links);
    let writes = |one: &&ResourceChange| {
        let written = links
            .expressions(plan, one)
            .and_then(|all| all.get("policy"));
        let is_bare = one
            .latest("policy")
            .is_some_and(|policy| Deployment::named_in(&policy).is_none());
        !(one.action.removes() || one.action == Action::Update && one.changes("policy"))
            && links.key_of.get(&one.address).is_some_and(|own| own == key)
            && written.is_some()
            && is_bare
    };
    for other in plan.of("aws_kms_key").filter(writes) {
        gathered.say(
            other,
            Said {
                id: Rule::PolicyWrittenTwice,
                level: Level::Warning,
                summary: "Two resources perhaps write the policy of one key".to_owned(),
                detail: format!(
                    "`{}` has a `policy`, the policy of `{key}` does not name Databricks, and `{}` adds the statements for Databricks again. If \
                     the key does not ignore changes of its policy, its next apply removes them, and workspaces lose access to the key.",
                    other.address, own.address
                ),
                remedy: "Add `lifecycle { ignore_changes = [policy] }` to the key, if it is not there. A plan does not show it.",
            },
        );
    }
}

fn role(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    if !change.action.destroys() {
        return;
    }
    let Some(arn) = change.before("arn") else {
        return;
    };
    let names = |policy: &&ResourceChange| {
        [
            policy.before("aws.cross_account_role_arn"),
            policy.after("aws.cross_account_role_arn"),
        ]
        .contains(&Some(arn.clone()))
    };
    let policies: Vec<String> = gathered
        .plan
        .of("dbxcmk_key_policy")
        .filter(names)
        .map(|policy| policy.address.clone())
        .collect();
    let credentials = gathered
        .plan
        .of("databricks_mws_credentials")
        .any(|one| one.before("role_arn").as_deref() == Some(arn.as_str()));
    if policies.is_empty() && !credentials {
        return;
    }
    gathered.say(
        change,
        Said {
            id: Rule::CrossAccountRoleGone,
            level: Level::Error,
            summary: format!("The cross-account role is {}", change.action.in_passive()),
            detail: format!(
                "`{arn}` launches the clusters{}. In every key policy, AWS replaces the ARN of a deleted role by its unique ID \
                 (AROA…), which a new role of the same name does not match. Clusters do not start, and KMS rejects every change \
                 of such a policy.",
                if policies.is_empty() { String::new() } else { format!(", and is named by `{}`", policies.join("`, `")) }
            ),
            remedy: "Change the role in place. If you must replace it, apply `dbxcmk_key_policy` again right afterwards.",
        },
    );
}
