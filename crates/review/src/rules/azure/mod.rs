//! Resources of hashicorp/azurerm on which a workspace's encryption depends: vaults, keys, who may use them, and the workspace itself.

mod access;

use std::collections::BTreeSet;

use super::gathered::{FIND_OUT, Gathered, Said, Use, in_words, paragraphs};
use super::revoked;
use crate::catalog::Rule;
use crate::plan::{Action, ResourceChange};
use crate::report::Level;
use vocabulary::UseCase;

/// What a plan does not have of this cloud, so that no review of it can see it.
pub(super) const NOT_EXAMINED: &[&str] = &[
    "firewalls and private endpoints of the vaults",
    "Azure Policy",
];

/// The attributes of `azurerm_databricks_workspace` that name keys. Source: the schema of hashicorp/azurerm.
const WORKSPACE_KEYS: [&str; 2] = [
    "managed_services_cmk_key_vault_key_id",
    "managed_disk_cmk_key_vault_key_id",
];

pub(super) fn look(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    match change.kind.as_str() {
        "azurerm_key_vault_key" | "azurerm_key_vault_managed_hardware_security_module_key" => {
            key(gathered, change);
        }
        "azurerm_key_vault" | "azurerm_key_vault_managed_hardware_security_module" => {
            vault(gathered, change);
        }
        "azurerm_key_vault_access_policy" | "azurerm_role_assignment" => {
            access::look(gathered, change);
        }
        "azurerm_databricks_workspace" => workspace(gathered, change),
        "azurerm_databricks_workspace_root_dbfs_customer_managed_key" => storage(gathered, change),
        _ => {}
    }
}

/// What can be done about a key that is deleted.
const KEEP_KEY: &str = "Remove the deletion from this change, and set `prevent_destroy = true`. If it is applied already, run \
                        `dbxcmk key restore KEY`.";

fn key(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    let (key, users) = gathered.key_and_users(change);
    let of_key = gathered.use_of(&key);
    revoked::look(gathered, change, &key, of_key, None);
    if change.action.destroys() {
        key_goes(gathered, change, &key, of_key);
    } else if of_key != Use::NotShown {
        let used = in_words(&users);
        key_expires(gathered, change, &key, &used);
        key_loses_operations(gathered, change, &key, &used);
    }
}

fn key_goes(gathered: &mut Gathered<'_>, change: &ResourceChange, key: &str, of_key: Use) {
    gathered.say(
        change,
        Said {
            id: Rule::KeyDeleted,
            level: of_key.level(),
            summary: format!("{} is {}", of_key.called("key"), change.action.in_passive()),
            detail: paragraphs(&[
                &format!(
                    "{} From the apply on, nobody can use it: data that was encrypted with it cannot be read.",
                    gathered.used_by(key, of_key)
                ),
                &gathered.stops_without(key),
            ]),
            remedy: match of_key {
                Use::NotShown => FIND_OUT,
                _ => KEEP_KEY,
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
            summary: "The deletion of a key is final after the retention of its vault".to_owned(),
            detail: format!(
                "Until then `{key}` can be recovered, if the vault has soft delete and nobody purges the key. `features {{ key_vault {{ \
                 purge_soft_deleted_keys_on_destroy = true }} }}`, which is the default of hashicorp/azurerm, purges it at once where the vault \
                 has no purge protection."
            ),
            remedy: "",
        },
    );
}

fn key_expires(gathered: &mut Gathered<'_>, change: &ResourceChange, key: &str, used: &str) {
    let before = change.before("expiration_date");
    let Some(after) = change.after("expiration_date") else {
        return;
    };
    if before.as_ref() == Some(&after) {
        return;
    }
    gathered.say(
        change,
        Said {
            id: Rule::KeyDisabled,
            level: Level::Warning,
            summary: "A key that Databricks uses gets an expiry date".to_owned(),
            detail: format!(
                "`{key}` is used by {used}. After {after} it wraps nothing: new data keys cannot be made. What was wrapped before can still be \
                 read."
            ),
            remedy: "Rotate the key and move the workspaces to the new version before that date, or leave the date out.",
        },
    );
}

fn key_loses_operations(
    gathered: &mut Gathered<'_>,
    change: &ResourceChange,
    key: &str,
    used: &str,
) {
    let had = change.latest_all("key_opts");
    let after: BTreeSet<String> = super::texts(change.state_after(), "key_opts");
    let lost: Vec<&str> = ["wrapKey", "unwrapKey"]
        .into_iter()
        .filter(|one| change.action == Action::Update && !had.is_empty() && !after.contains(*one))
        .collect();
    if lost.is_empty() {
        return;
    }
    gathered.say(
        change,
        Said {
            id: Rule::KeyDisabled,
            level: Level::Error,
            summary: "A key that Databricks uses loses operations".to_owned(),
            detail: format!(
                "`{key}` is used by {used}, and `key_opts` no longer has {}. Databricks wraps and unwraps its data keys with the key.",
                lost.join(" and ")
            ),
            remedy: "Keep `wrapKey` and `unwrapKey` in `key_opts`.",
        },
    );
}

/// A vault goes of which the plan names no key.
fn perhaps_with_keys(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    gathered.say(
        change,
        Said {
            id: Rule::KeyDeleted,
            level: Level::Warning,
            summary: format!("A vault that perhaps has keys of Databricks is {}", change.action.in_passive()),
            detail: "The keys go with the vault. The plan does not show whether Databricks uses one of them: no key configuration or key policy of \
                     this plan names a key in this vault."
                .to_owned(),
            remedy: "List the keys of the vault, and find out which workspaces use them: `dbxcmk key status KEY`.",
        },
    );
}

fn vault(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    let keys = gathered.links.keys_in_vault(change);
    let users: BTreeSet<String> = keys
        .iter()
        .flat_map(|key| gathered.links.users_of(key))
        .collect();
    if keys.is_empty() {
        if change.action.destroys() {
            perhaps_with_keys(gathered, change);
        }
        return;
    }
    let used = in_words(&users);
    let listed = keys
        .iter()
        .map(|key| format!("`{key}`"))
        .collect::<Vec<_>>()
        .join(", ");
    if change.action.destroys() {
        gathered.say(
            change,
            Said {
                id: Rule::KeyDeleted,
                level: Level::Error,
                summary: format!("The vault of a key that Databricks uses is {}", change.action.in_passive()),
                detail: format!(
                    "{listed}: used by {used}. The keys go with the vault. A vault that is recovered does not get its role assignments back."
                ),
                remedy: "Remove the deletion from this change, and set `prevent_destroy = true`.",
            },
        );
        return;
    }
    // The older name of the attribute is there until version 5 of hashicorp/azurerm.
    let model = ["rbac_authorization_enabled", "enable_rbac_authorization"];
    if change.action == Action::Update
        && model
            .iter()
            .any(|name| change.before(name).is_some() && change.changes(name))
    {
        gathered.say(
            change,
            Said {
                id: Rule::PermissionsLost,
                level: Level::Error,
                summary: "A vault changes how it decides who may use its keys".to_owned(),
                detail: format!(
                    "{listed}: used by {used}. Access policies are ignored with role assignments, and the other way round: from the apply on, only what \
                     was given in the new way counts."
                ),
                remedy: "First give the same access in the new way. `dbxcmk_key_policy` does so at the next apply; until then the workspaces have no access.",
            },
        );
    }
    let bypass = change.after("network_acls.0.bypass");
    if change.changes("network_acls.0.bypass") && bypass.as_deref() == Some("None") {
        gathered.say(
            change,
            Said {
                id: Rule::KeyDisabled,
                level: Level::Error,
                summary: "The network rules of a vault block Databricks".to_owned(),
                detail: format!(
                    "{listed}: used by {used}. Azure Databricks, Azure Storage and Azure Disk Storage reach the keys as trusted services of \
                     Microsoft."
                ),
                remedy: "Keep `bypass = \"AzureServices\"` in `network_acls`.",
            },
        );
    }
}

fn name(change: &ResourceChange) -> String {
    change
        .latest("name")
        .map_or_else(|| change.address.clone(), |name| format!("\"{name}\""))
}

fn workspace(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    let name = name(change);
    let removed: Vec<&str> = WORKSPACE_KEYS
        .into_iter()
        .filter(|key| {
            change.before(key).is_some() && change.after(key).is_none() && !change.is_unknown(key)
        })
        .collect();
    if change.action == Action::Replace && !removed.is_empty() {
        gathered.say(
            change,
            Said {
                id: Rule::WorkspaceReplaced,
                level: Level::Error,
                summary: format!("Removing a key argument replaces the workspace {name}"),
                detail: format!(
                    "The configuration no longer has {}. Azure cannot take these keys from a workspace, so hashicorp/azurerm deletes the workspace and \
                     creates another one: its notebooks, secrets, jobs and permissions are lost.",
                    removed.join(" and ")
                ),
                remedy: "To hand the keys over to `dbxcmk_workspace_binding`, keep the arguments out and add `lifecycle { ignore_changes = \
                         [customer_managed_key_enabled, managed_services_cmk_key_vault_key_id, managed_disk_cmk_key_vault_key_id, \
                         managed_disk_cmk_rotation_to_latest_version_enabled] }` in the same change.",
            },
        );
        return;
    }
    if change.action.destroys() {
        gathered.say(
            change,
            Said {
                id: Rule::WorkspaceReplaced,
                level: Level::Error,
                summary: format!("The workspace {name} is {}", change.action.in_passive()),
                detail: "Its notebooks, secrets, jobs and permissions are deleted with it. A new workspace of the same name has another ID, no keys, \
                         and no content."
                    .to_owned(),
                remedy: "Find the attribute that forces the replacement in the plan (`# forces replacement`), and undo its change.",
            },
        );
        return;
    }
    let changing: Vec<&str> = WORKSPACE_KEYS
        .into_iter()
        .filter(|key| change.changes(key))
        .collect();
    if changing.is_empty() || change.action != Action::Update {
        return;
    }
    say_of_peer(
        gathered,
        change,
        &name,
        &changing.join(" and "),
        change.latest("id"),
    );
}

/// The resource for workspace storage, whose ID is that of the workspace.
fn storage(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    if matches!(change.action, Action::Create | Action::Update)
        && change.changes("key_vault_key_id")
    {
        let workspace = change.latest("workspace_id");
        let name = workspace.clone().unwrap_or_else(|| change.address.clone());
        say_of_peer(
            gathered,
            change,
            &name,
            "the key for workspace storage",
            workspace,
        );
    }
    if change.action == Action::Delete {
        gathered.say(
            change,
            Said {
                id: Rule::StorageKeyReset,
                level: Level::Warning,
                summary: "Workspace storage goes back to a key of Microsoft".to_owned(),
                detail: "This resource is destroyed: the storage account of the workspace is encrypted with a key that Microsoft manages from then on."
                    .to_owned(),
                remedy: "To hand the key over to `dbxcmk_workspace_binding`, use a `removed` block with `lifecycle { destroy = false }`.",
            },
        );
    }
}

/// Keys that another resource than ours sets.
fn say_of_peer(
    gathered: &mut Gathered<'_>,
    change: &ResourceChange,
    name: &str,
    what: &str,
    id: Option<String>,
) {
    let is_same = |own: Option<String>| match (&own, &id) {
        (Some(own), Some(id)) => own.eq_ignore_ascii_case(id),
        _ => false,
    };
    let is_bound = gathered
        .plan
        .of("dbxcmk_workspace_binding")
        .any(|binding| is_same(binding.latest("azure.workspace_resource_id")));
    let said = match is_bound {
        true => Said {
            id: Rule::KeysSetTwice,
            level: Level::Error,
            summary: format!("Two resources set the keys of {name}"),
            detail: format!(
                "This resource changes {what}, and a dbxcmk_workspace_binding sets the keys of the same workspace. Each undoes the change of the \
                 other."
            ),
            remedy: "Let `azurerm_databricks_workspace` ignore changes of `customer_managed_key_enabled`, `managed_services_cmk_key_vault_key_id`, \
                     `managed_disk_cmk_key_vault_key_id` and `managed_disk_cmk_rotation_to_latest_version_enabled`, and remove \
                     `azurerm_databricks_workspace_root_dbfs_customer_managed_key` from the state.",
        },
        false => Said {
            id: Rule::KeysSetByPeer,
            level: Level::Warning,
            summary: format!("The keys of {name} change without a proof that Databricks can use them"),
            detail: "This resource does not examine the key, its vault, or who may use it; Azure refuses in the middle of the apply.".to_owned(),
            remedy: "Attach keys with `dbxcmk_workspace_binding`.",
        },
    };
    gathered.say(change, said);
}

/// What a rotation means for a feature, and how long it needs the old key.
fn rotated(case: UseCase) -> (Rule, Level, &'static str) {
    match case {
        UseCase::ManagedServices => (
            Rule::ManagedServicesKeyRotated,
            Level::Warning,
            "Keep the former key, and its former version, enabled for 24 hours.",
        ),
        UseCase::ManagedDisks => (
            Rule::ManagedDisksKeyRotated,
            Level::Warning,
            "Keep the former key, and its former version, enabled as long as old disks exist: stop the clusters and instance pools first.",
        ),
        UseCase::Storage => (
            Rule::StorageKeyRotated,
            Level::Note,
            "Keep the former key, and its former version, enabled until the storage account uses the new one, at least 24 hours.",
        ),
    }
}

/// The use cases of a binding on Azure, and what a change of each means.
pub(super) fn step(
    case: UseCase,
    before: Option<&str>,
    after: Option<&str>,
    name: &str,
) -> Option<Said<'static>> {
    let what = case.in_words();
    Some(match (case, before, after) {
        (UseCase::ManagedServices | UseCase::ManagedDisks, None, Some(after)) => Said {
            id: match case {
                UseCase::ManagedDisks => Rule::ManagedDisksKeyAttached,
                _ => Rule::ManagedServicesKeyAttached,
            },
            level: Level::Irreversible,
            summary: format!("{name} gets a key for {what}"),
            detail: format!(
                "The key of `{after}` is attached for {what}. It can be replaced by another key later, but it cannot be removed. Existing data keeps \
                 its encryption until it is written again."
            ),
            remedy: "",
        },
        (UseCase::Storage, None, Some(after)) => Said {
            id: Rule::StorageKeyAttached,
            level: Level::Note,
            summary: format!("{name} gets a key for {what}"),
            detail: format!(
                "The key of `{after}` is attached for the storage account of the workspace. On Azure it can be replaced, and taken back."
            ),
            remedy: "",
        },
        (_, Some(before), Some(after)) => {
            let (id, level, remedy) = rotated(case);
            Said {
                id,
                level,
                summary: format!("The key for {what} of {name} is rotated"),
                detail: format!("It changes from `{before}` to `{after}`."),
                remedy,
            }
        }
        (UseCase::Storage, Some(before), None) => Said {
            id: Rule::StorageKeyReset,
            level: Level::Warning,
            summary: format!("Workspace storage of {name} goes back to a key of Microsoft"),
            detail: format!(
                "The key of `{before}` is taken from the storage account of the workspace."
            ),
            remedy: "To keep the key, restore `storage_key_configuration_id`.",
        },
        (_, Some(before), None) => Said {
            id: Rule::StorageKeyChanged,
            level: Level::Error,
            summary: format!("The key for {what} of {name} cannot be removed"),
            detail: format!("It is `{before}`, and the plan no longer names it. The apply fails."),
            remedy: "Restore the attribute.",
        },
        (_, None, None) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use requirements::azure::former_is_needed;

    /// The plan, the guide and the review give one answer to how long the old key is needed.
    #[test]
    fn the_old_key_is_needed_as_long_as_the_plan_says() {
        for case in UseCase::ALL {
            let (_, _, remedy) = rotated(case);
            assert!(remedy.contains(former_is_needed(case)), "{remedy}");
        }
    }
}
