//! Our own resources: what a plan attaches permanently, what it gives up, and what a change of a
//! policy means.

use super::aws::policies;
use super::azure;
use super::gathered::{Gathered, Said, in_words, paragraphs};
use super::{holders, provider};
use crate::catalog::Rule;
use crate::links::{Fate, LinkedWorkspace, Step};
use crate::plan::{Action, ResourceChange};
use crate::report::Level;
use serde_json::Value as Json;
use std::collections::BTreeSet;
use vocabulary::{Cloud, UseCase};

pub(super) fn look(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    match change.kind.as_str() {
        "dbxcmk_workspace_binding" => binding(gathered, change),
        "dbxcmk_key_configuration" => configuration(gathered, change),
        "dbxcmk_key_policy" => key_policy(gathered, change),
        _ => return,
    }
    provider::newly_ignored(gathered, change);
}

/// Whether a resource has the block of a cloud.
fn is_on(change: &ResourceChange, block: &str) -> bool {
    [change.state_before(), change.state_after()]
        .iter()
        .any(|state| state.get(block).is_some_and(Json::is_object))
}

fn binding(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    let workspaces: Vec<LinkedWorkspace> = gathered
        .links
        .workspaces_at(&change.address)
        .cloned()
        .collect();
    if let Some(former) = gathered.links.renamed_from.get(&change.address).cloned() {
        renamed(gathered, change, &former, &workspaces);
    }
    let moves = workspaces.len() > 1;
    for workspace in workspaces {
        match workspace.fate {
            Fate::Deleted | Fate::Renamed => {}
            Fate::Forgotten => forgotten(gathered, change, &workspace, moves),
            Fate::Stays => steps(gathered, change, &workspace),
        }
    }
}

/// A binding that another address has until now.
fn renamed(
    gathered: &mut Gathered<'_>,
    change: &ResourceChange,
    former: &str,
    workspaces: &[LinkedWorkspace],
) {
    let names: BTreeSet<String> = workspaces.iter().map(|one| one.name.clone()).collect();
    let is_same = workspaces
        .iter()
        .all(|one| !one.keys.values().any(Step::changes));
    let same = match is_same {
        true => "The same keys: nothing is attached, and the workspace keeps what it has.",
        false => "The workspace has the keys of that one.",
    };
    gathered.say(
        change,
        Said {
            id: Rule::BindingRenamed,
            level: Level::Note,
            summary: format!("The binding of {} gets another address", in_words(&names)),
            detail: format!("`{former}` is destroyed, and `{}` is created for the same workspace. {same}", change.address),
            remedy: &format!(
                "To keep the resource, add `moved {{ from = {former}, to = {} }}`, each argument on its own line.",
                change.address
            ),
        },
    );
}

fn forgotten(
    gathered: &mut Gathered<'_>,
    change: &ResourceChange,
    workspace: &LinkedWorkspace,
    moves: bool,
) {
    let how = match moves {
        true => "The binding moves to another workspace. At this one it changes nothing:",
        false => "Destroying a binding changes nothing at the workspace:",
    };
    let take_back = match workspace.cloud {
        Cloud::Azure if workspace.keys.contains_key(&UseCase::Storage) => {
            " To give the storage key back, first remove `storage_key_configuration_id` and apply."
        }
        _ => "",
    };
    gathered.say(
        change,
        Said {
            id: Rule::BindingForgotten,
            level: Level::Warning,
            summary: format!("The keys stay attached to {}", workspace.name),
            detail: format!(
                "{how} Terraform only removes it from the state, and the workspace continues to use its keys.{take_back}"
            ),
            remedy: "Keep the keys enabled and their policies unchanged as long as the workspace exists.",
        },
    );
}

fn steps(gathered: &mut Gathered<'_>, change: &ResourceChange, workspace: &LinkedWorkspace) {
    for (case, step) in workspace.keys.iter().filter(|(_, step)| step.changes()) {
        let (before, after) = (step.before.as_deref(), step.after.as_deref());
        let said = match workspace.cloud {
            Cloud::Azure => azure::step(*case, before, after, &workspace.name),
            _ => in_account(gathered, workspace, *case, before, after),
        };
        if let Some(said) = said {
            gathered.say(change, said);
        }
    }
}

/// What a storage key encrypts after an attach, in the words of its cloud.
fn stored(gathered: &Gathered<'_>, workspace: &LinkedWorkspace, configuration: &str) -> String {
    let words = workspace.cloud.words();
    let (storage, disks) = (words.storage, words.disks);
    let known = gathered.links.configurations.get(configuration);
    let has_volumes = match workspace.cloud {
        Cloud::Gcp => true,
        // An ID alone does not tell.
        _ => known.is_none_or(|one| one.address.is_none() || one.cluster_volumes),
    };
    match has_volumes {
        true => format!("new objects of the {storage}, and the {disks} of new clusters"),
        false => format!("new objects of the {storage} (not the {disks} of clusters)"),
    }
}

/// A step of a workspace whose keys are set in the Databricks account.
fn in_account(
    gathered: &Gathered<'_>,
    workspace: &LinkedWorkspace,
    case: UseCase,
    before: Option<&str>,
    after: Option<&str>,
) -> Option<Said<'static>> {
    let name = &workspace.name;
    Some(match (case, before, after) {
        (UseCase::Storage, None, Some(after)) => Said {
            id: Rule::StorageKeyAttached,
            level: Level::Irreversible,
            summary: format!("{name} gets its storage key, permanently"),
            detail: format!(
                "The key configuration `{after}` is attached for workspace storage. A storage key can be set only once; it cannot be \
                 changed or removed. After the attach it encrypts {}. Existing data keeps its encryption until it is written again. It does \
                 not cover tables in other buckets and serverless compute.",
                stored(gathered, workspace, after)
            ),
            remedy: match workspace.cloud {
                Cloud::Aws => {
                    "Make sure that the workspace can keep this key as long as it exists. The only possible rotation is the automatic \
                     rotation of the same KMS key."
                }
                _ => {
                    "Make sure that the workspace can keep this key as long as it exists. The only possible rotation is a rotation of the \
                     same key."
                }
            },
        },
        (UseCase::ManagedServices, None, Some(after)) => Said {
            id: Rule::ManagedServicesKeyAttached,
            level: Level::Irreversible,
            summary: format!("{name} gets a managed services key"),
            detail: format!(
                "The key configuration `{after}` is attached for managed services. It can be replaced by another key later, but it cannot be \
                 removed. After the attach it encrypts notebooks, secrets, queries and similar data when they are written; existing data \
                 keeps its encryption until it changes."
            ),
            remedy: "",
        },
        (UseCase::ManagedServices, Some(before), Some(after)) => Said {
            id: Rule::ManagedServicesKeyRotated,
            level: Level::Warning,
            summary: format!("The managed services key of {name} is rotated"),
            detail: format!(
                "It changes from `{before}` to `{after}`. Databricks re-encrypts the data keys with the new key."
            ),
            remedy: "Keep the former key enabled and its policy unchanged for 24 hours.",
        },
        (UseCase::Storage, Some(before), Some(after)) => Said {
            id: Rule::StorageKeyChanged,
            level: Level::Error,
            summary: format!("The storage key of {name} cannot be changed"),
            detail: format!(
                "It is `{before}`; the plan changes it to `{after}`. Databricks refuses that in the middle of the apply."
            ),
            remedy: "Keep the configuration that is attached.",
        },
        (_, Some(before), None) => Said {
            id: Rule::StorageKeyChanged,
            level: Level::Error,
            summary: format!(
                "The key for {} of {name} cannot be removed",
                case.in_words()
            ),
            detail: format!("It is `{before}`, and the plan no longer names it. The apply fails."),
            remedy: "Restore the attribute.",
        },
        _ => return None,
    })
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
    // What Terraform only forgets stays as it is.
    if change.action == Action::Forget {
        return;
    }
    if is_on(change, "gcp") {
        holders::look(gathered, change, &holders::GOOGLE);
    } else if is_on(change, "azure") {
        holders::look(gathered, change, &holders::AZURE);
    } else {
        let lost = policies::of_statements(gathered, change);
        let loss = Loss {
            lost: &lost,
            is_known: true,
            need: Need::Shown,
            remedy: "Keep the use cases, accounts and roles that workspaces need.",
        };
        say_lost(gathered, change, &loss);
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
                    "With `force_destroy = true`, the provider takes away the access to `{key}` even if workspaces need it."
                ),
                remedy: "Set it only in the change right before the removal.",
            },
        );
    }
}

/// What the bindings of a plan show of those who lose the use of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// A workspace needs them, or may.
    Shown,
    /// Everything that the workspaces of the plan need goes to others.
    NotShown,
}

/// What a `dbxcmk_key_policy` takes away.
pub(super) struct Loss<'a> {
    /// Who loses the use of the key, a line each.
    pub(super) lost: &'a [String],
    /// Whether the plan shows all that the other policies of the key keep.
    pub(super) is_known: bool,
    /// Whether somebody needs it.
    pub(super) need: Need,
    /// What keeps it.
    pub(super) remedy: &'a str,
}

/// Who loses the use of a key by a `dbxcmk_key_policy`, if somebody does.
pub(super) fn say_lost(gathered: &mut Gathered<'_>, change: &ResourceChange, loss: &Loss<'_>) {
    let Loss {
        lost,
        is_known,
        need,
        remedy,
    } = *loss;
    let former = gathered.links.former_key_of.get(&change.address).cloned();
    let (own, _) = gathered.key_and_users(change);
    let key = former.clone().unwrap_or_else(|| own.clone());
    let users = gathered.links.users_of(&key);
    // A configuration that stays can be attached at any time.
    let is_named = former.is_some()
        && gathered
            .links
            .configurations_of(&key)
            .any(|one| one.stays && one.key.as_deref() == Some(&key));
    if lost.is_empty() {
        return;
    }
    let lines = lost.join("\n");
    let others = match is_known {
        true => "",
        false => {
            "Another key policy of this plan names this key. Which of this it keeps is known only after the apply."
        }
    };
    let used = match (users.is_empty(), is_named) {
        (true, true) => "A key configuration of this plan names it.".to_owned(),
        (false, _) if need == Need::NotShown => format!(
            "It is used by {}. What their bindings show needs other principals, not these.",
            in_words(&users)
        ),
        _ => format!("It is used by {}.", in_words(&users)),
    };
    let new = match own == key {
        true => "a key that is known only after the apply".to_owned(),
        false => format!("`{own}`"),
    };
    let (summary, found, remedy) = match former {
        None => (
            "Permissions on a key are taken away",
            format!("On `{key}`:\n{lines}"),
            match need {
                Need::Shown => remedy,
                Need::NotShown => "Check that no workspace outside this plan needs them.",
            },
        ),
        Some(_) => (
            "A key policy moves to another key, and the former key loses its permissions",
            format!("The key policy moves from `{key}` to {new}. On `{key}`:\n{lines}"),
            "Keep this key policy on its key, and add a second `dbxcmk_key_policy` for the new key. Remove the former one when no workspace \
             has needed its key for 24 hours.",
        ),
    };
    gathered.say(
        change,
        Said {
            id: Rule::PermissionsLost,
            level: match is_known && need == Need::Shown && (is_named || !users.is_empty()) {
                true => Level::Error,
                false => Level::Warning,
            },
            summary: summary.to_owned(),
            detail: paragraphs(&[&found, others, &used]),
            remedy,
        },
    );
}

/// An order of the kill switch in a plan: an action on a key.
struct Order<'a> {
    address: &'a str,
    /// The key by its name, if the plan shows it.
    key: &'a str,
    /// Who uses it, in a sentence.
    of_key: String,
    /// What stops without it.
    stops: String,
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
        let (aws, google) = (named("/aws/key_arn"), named("/gcp/kms_key_id"));
        let azure = named("/azure/key_vault_key_id");
        let key = aws.or(google).or(azure);
        let key = key.unwrap_or("a key that is known only after apply");
        let whole = crate::azure::whole(key);
        let mut users = gathered.links.users_of(whole.as_deref().unwrap_or(key));
        // Whom the author of the change expects to stop.
        let acknowledged = one.value("/acknowledged_workspace_ids");
        let acknowledged = acknowledged.and_then(Json::as_array).into_iter().flatten();
        users.extend(acknowledged.filter_map(Json::as_str).map(str::to_owned));
        let order = Order {
            address: &one.address,
            key,
            of_key: match users.is_empty() {
                true => format!("The plan does not show which workspaces use `{key}`."),
                false => format!("`{key}` is used by {}.", in_words(&users)),
            },
            stops: gathered.stops_without(whole.as_deref().unwrap_or(key)),
        };
        if !deletes {
            say_disabled(gathered, &order);
            continue;
        }
        let days = one.value("/deletion_window_days").and_then(Json::as_u64);
        let window = match (google, azure) {
            (Some(_), _) => "its destroy_scheduled_duration".to_owned(),
            (None, Some(_)) => "the retention of its vault".to_owned(),
            (None, None) => format!("{} days", days.unwrap_or(30)),
        };
        say_deleted(gathered, &order, &window);
    }
}

fn say_disabled(gathered: &mut Gathered<'_>, order: &Order<'_>) {
    gathered.say_of(
        order.address,
        Said {
            id: Rule::KeyDisabled,
            level: Level::Error,
            summary: "This plan disables a key".to_owned(),
            detail: paragraphs(&[
                &format!(
                    "{} While the key is disabled, reads and writes fail when the cached data keys expire. Reverting this change does not restore \
                     the key.",
                    order.of_key
                ),
                &order.stops,
            ]),
            remedy: "Check the plan's own warning, which shows what stops. To restore the key: `dbxcmk key restore \
                     KEY`, or the action `dbxcmk_restore_key`.",
        },
    );
}

fn say_deleted(gathered: &mut Gathered<'_>, order: &Order<'_>, window: &str) {
    gathered.say_of(
        order.address,
        Said {
            id: Rule::KeyDeleted,
            level: Level::Error,
            summary: "This plan schedules the deletion of a key".to_owned(),
            detail: paragraphs(&[
                &format!(
                    "{} From the apply on, nobody can use the key: data that was encrypted with it cannot be read. Reverting this change does not \
                     restore the key.",
                    order.of_key
                ),
                &order.stops,
            ]),
            remedy: "Check the plan's own warning, which shows what stops. To restore the key within the window: \
                     `dbxcmk key restore KEY`, or the action `dbxcmk_restore_key`.",
        },
    );
    gathered.say_of(
        order.address,
        Said {
            id: Rule::KeyDeletionWindow,
            level: Level::Irreversible,
            summary: format!("The deletion of a key is final after {window}"),
            detail: format!(
                "Until then `{}` can be restored. After that, everything that was encrypted with it is lost permanently.",
                order.key
            ),
            remedy: "",
        },
    );
}
