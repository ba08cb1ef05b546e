//! Our own resources: what is attached for good, what is given up, and what a policy change means.

use super::aws::policies;
use super::azure;
use super::gathered::{Gathered, Said, in_words};
use super::google;
use crate::review::catalog::Rule;
use crate::review::plan::ResourceChange;
use crate::review::report::Level;
use crate::vocabulary::UseCase;
use serde_json::Value as Json;

pub(super) fn look(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    match change.kind.as_str() {
        "dbxcmk_workspace_binding" => binding(gathered, change),
        "dbxcmk_key_configuration" => configuration(gathered, change),
        "dbxcmk_key_policy" => key_policy(gathered, change),
        _ => {}
    }
}

/// Whether a resource has the block of a cloud.
fn is_on(change: &ResourceChange, block: &str) -> bool {
    [change.state_before(), change.state_after()]
        .iter()
        .any(|state| state.get(block).is_some_and(Json::is_object))
}

fn binding(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    let Some(workspace) = gathered
        .links
        .workspaces
        .iter()
        .find(|one| one.address == change.address)
        .cloned()
    else {
        return;
    };
    if change.action.removes() {
        gathered.say(
            change,
            Said {
                id: Rule::BindingForgotten,
                level: Level::Warning,
                summary: format!("The keys stay attached to {}", workspace.name),
                detail:
                    "Databricks has no detach: Terraform only removes the binding from the state, and the workspace continues to use \
                     its keys."
                        .to_owned(),
                remedy: "Keep the keys enabled and their policies unchanged as long as the workspace exists.",
            },
        );
        return;
    }
    let is_azure = is_on(change, "azure");
    for (case, step) in workspace.keys.iter().filter(|(_, step)| step.changes()) {
        if is_azure {
            let (before, after) = (step.before.as_deref(), step.after.as_deref());
            if let Some(said) = azure::step(*case, before, after, &workspace.name) {
                gathered.say(change, said);
            }
            continue;
        }
        match (case, &step.before, &step.after) {
            (UseCase::Storage, None, Some(after)) => gathered.say(
                change,
                Said {
                    id: Rule::StorageKeyAttached,
                    level: Level::Irreversible,
                    summary: format!("{} gets its storage key, permanently", workspace.name),
                    detail: format!(
                        "The key configuration `{after}` is attached for workspace storage. A storage key can be set only once; it \
                        cannot be changed or removed. After the attach it encrypts {}. Existing data keeps its encryption until it is \
                        written again. It does not cover tables in other buckets and serverless compute.",
                        if gathered.links.configurations.get(after).is_none_or(|one| one.cluster_volumes) {
                            "new objects of the workspace bucket, and the EBS volumes of new clusters"
                        } else {
                            "new objects of the workspace bucket (not the EBS volumes of clusters)"
                        }
                    ),
                    remedy: "Make sure that the workspace can keep this key as long as it exists. The only possible rotation is the \
                        automatic rotation of the same KMS key.",
                },
            ),
            (UseCase::ManagedServices, None, Some(after)) => gathered.say(
                change,
                Said {
                    id: Rule::ManagedServicesKeyAttached,
                    level: Level::Irreversible,
                    summary: format!("{} gets a managed services key", workspace.name),
                    detail: format!(
                        "The key configuration `{after}` is attached for managed services. It can be replaced by another key later, but \
                        it cannot be removed. After the attach it encrypts notebooks, secrets, queries and similar data when they are \
                        written; existing data keeps its encryption until it changes."
                    ),
                    remedy: "",
                },
            ),
            (UseCase::ManagedServices, Some(before), Some(after)) => gathered.say(
                change,
                Said {
                    id: Rule::ManagedServicesKeyRotated,
                    level: Level::Warning,
                    summary: format!("The managed services key of {} is rotated", workspace.name),
                    detail: format!("It changes from `{before}` to `{after}`. Databricks re-encrypts the data keys with the new key."),
                    remedy: "Keep the old key enabled and its policy unchanged for 24 hours.",
                },
            ),
            (UseCase::Storage, Some(before), Some(after)) => gathered.say(
                change,
                Said {
                    id: Rule::StorageKeyChanged,
                    level: Level::Error,
                    summary: format!("The storage key of {} cannot be changed", workspace.name),
                    detail: format!("It is `{before}`; the plan changes it to `{after}`. Databricks refuses that in the middle of the apply."),
                    remedy: "Keep the configuration that is attached.",
                },
            ),
            _ => {}
        }
    }
}

fn configuration(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    // On Azure there is no remote object that could be lost.
    if !change.action.destroys() || is_on(change, "azure") {
        return;
    }
    // What the plan attaches to another one first is free then; what it only creates does not use it yet.
    let users = gathered
        .links
        .present_users_of_configuration(&change.address);
    let (level, why) = if users.is_empty() {
        (Level::Warning, "No workspace of this plan uses it. If another one does, Databricks refuses to delete it.".to_owned())
    } else {
        (
            Level::Error,
            format!(
                "It is used by {}. Databricks does not delete a configuration that is in use, and a key cannot be detached.",
                in_words(&users)
            ),
        )
    };
    gathered.say(
        change,
        Said {
            id: Rule::KeyConfigurationDeleted,
            level,
            summary: format!("A key configuration is {}", change.action.in_passive()),
            detail: why,
            remedy: "To replace one, add the new one beside it, attach it for managed services, and remove the old one in a later change.",
        },
    );
}

fn key_policy(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    if is_on(change, "gcp") {
        google::lost_by_policy(gathered, change);
    } else if is_on(change, "azure") {
        azure::lost_by_policy(gathered, change);
    } else {
        let lost = policies::of_statements(gathered, change);
        policies::say_lost(
            gathered,
            change,
            &lost,
            "Keep the use cases, accounts and roles that workspaces need.",
        );
    }
    let (key, _) = gathered.key_and_users(change);
    if change.after("force_destroy").as_deref() == Some("true")
        && change.before("force_destroy").as_deref() != Some("true")
    {
        gathered.say(
            change,
            Said {
                id: Rule::ForceDestroy,
                level: Level::Warning,
                summary: "The protection of workspaces' permissions is turned off".to_owned(),
                detail: format!(
                    "With `force_destroy = true`, the provider removes the statements of `{key}` even if workspaces need them."
                ),
                remedy: "Set it only in the change right before the removal.",
            },
        );
    }
}

/// The actions of the kill switch.
pub(super) fn invocations(gathered: &mut Gathered<'_>) {
    let plan = gathered.plan;
    for one in &plan.invocations {
        let deletes = one.kind == "dbxcmk_schedule_key_deletion";
        if !deletes && one.kind != "dbxcmk_disable_key" {
            continue;
        }
        let named = |pointer: &str| one.value(pointer).and_then(Json::as_str);
        let key = named("/aws/key_arn")
            .or_else(|| named("/gcp/kms_key_id"))
            .or_else(|| named("/azure/key_vault_key_id"));
        let name = key.unwrap_or("a key that is known only after apply");
        let whole = crate::review::azure::whole(name);
        let mut users = gathered.links.users_of(whole.as_deref().unwrap_or(name));
        // Whom the author of the change expects to stop.
        let acknowledged = one.value("/acknowledged_workspace_ids");
        let acknowledged = acknowledged.and_then(Json::as_array).into_iter().flatten();
        users.extend(acknowledged.filter_map(Json::as_str).map(str::to_owned));
        let stops = in_words(&users);
        if !deletes {
            gathered.say_of(
                &one.address,
                Said {
                    id: Rule::KeyDisabled,
                    level: Level::Error,
                    summary: "This plan disables a key".to_owned(),
                    detail: format!(
                        "`{name}` is used by {stops}. While the key is disabled, reads and writes fail when the cached data keys expire, and \
                         clusters do not start. Reverting this change does not restore the key."
                    ),
                    remedy: "Check the plan's own warning, which shows what stops. To restore the key: `terraform-provider-dbxcmk key restore \
                             KEY`, or the action `dbxcmk_restore_key`.",
                },
            );
            continue;
        }
        let days = one
            .value("/deletion_window_days")
            .and_then(Json::as_u64)
            .unwrap_or(30);
        gathered.say_of(
            &one.address,
            Said {
                id: Rule::KeyDeleted,
                level: Level::Error,
                summary: "This plan schedules the deletion of a key".to_owned(),
                detail: format!(
                    "`{name}` is used by {stops}. From the apply on, nobody can use the key: data that was encrypted with it cannot be read, \
                     and clusters do not start. Reverting this change does not restore the key."
                ),
                remedy: "Check the plan's own warning, which shows what stops. To restore the key within the window: \
                         `terraform-provider-dbxcmk key restore KEY`, or the action `dbxcmk_restore_key`.",
            },
        );
        let window = match named("/gcp/kms_key_id") {
            Some(_) => "its destroy_scheduled_duration".to_owned(),
            None if named("/azure/key_vault_key_id").is_some() => {
                "the retention of its vault".to_owned()
            }
            None => format!("{days} days"),
        };
        gathered.say_of(
            &one.address,
            Said {
                id: Rule::KeyDeletionWindow,
                level: Level::Irreversible,
                summary: format!("The deletion of a key is final after {window}"),
                detail: format!(
                    "Until then `{name}` can be restored. After that, everything that was encrypted with it is lost permanently."
                ),
                remedy: "",
            },
        );
    }
}
