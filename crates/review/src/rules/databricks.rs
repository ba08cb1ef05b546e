//! Resources of databricks/databricks that own what we bind keys to.

use super::gathered::{Gathered, Said, in_words};
use crate::catalog::Rule;
use crate::links::BINDINGS;
use crate::plan::{Action, ResourceChange};
use crate::report::Level;

pub(super) fn look(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    match change.kind.as_str() {
        "databricks_mws_workspaces" => workspace(gathered, change),
        "databricks_mws_customer_managed_keys" => configuration(gathered, change),
        "databricks_mws_credentials" => credentials(gathered, change),
        _ => {}
    }
}

fn name(change: &ResourceChange) -> String {
    let (name, id) = (
        change.before("workspace_name"),
        change.before("workspace_id"),
    );
    match (name, id) {
        (Some(name), Some(id)) => format!("{name} ({id})"),
        (Some(name), None) => name,
        _ => change.address.clone(),
    }
}

fn workspace(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    let name = name(change);
    if change.action.destroys() {
        gathered.say(
            change,
            Said {
                id: Rule::WorkspaceReplaced,
                level: Level::Error,
                summary: format!("The workspace {name} is {}", change.action.in_passive()),
                detail: "Its notebooks, secrets, jobs and permissions are deleted with it. A new workspace of the same name has another \
                        ID, no keys, and no content."
                    .to_owned(),
                remedy: "Find the attribute that forces the replacement in the plan (`# forces replacement`), and undo its change.",
            },
        );
        return;
    }
    let Some((_, attributes)) = BINDINGS.iter().find(|(kind, _)| *kind == change.kind) else {
        return;
    };
    let changing: Vec<&str> = attributes
        .iter()
        .map(|(_, attribute)| *attribute)
        .filter(|attribute| change.changes(attribute))
        .collect();
    if changing.is_empty() || change.action != Action::Update {
        return;
    }
    let id = change.latest("workspace_id");
    let is_bound = gathered
        .plan
        .of("dbxcmk_workspace_binding")
        .any(|binding| id.is_some() && binding.latest("workspace_id") == id);
    if is_bound {
        gathered.say(
            change,
            Said {
                id: Rule::KeysSetTwice,
                level: Level::Error,
                summary: format!("Two resources set the keys of {name}"),
                detail: format!(
                    "This resource changes {}, and a dbxcmk_workspace_binding sets the keys of the same workspace. Each undoes the \
                     change of the other.",
                    changing.join(" and ")
                ),
                remedy: "Let this resource ignore them: `lifecycle { ignore_changes = [managed_services_customer_managed_key_id, \
                         storage_customer_managed_key_id] }`.",
            },
        );
    } else {
        gathered.say(
            change,
            Said {
                id: Rule::KeysSetByPeer,
                level: Level::Warning,
                summary: format!("The keys of {name} change without a proof that Databricks can use them"),
                detail: "This resource does not examine the key, does not wait until the workspace has it, and does not detect when \
                        Databricks reverts to the former key. A storage key can be set only once."
                    .to_owned(),
                remedy: "Attach keys with `dbxcmk_workspace_binding`.",
            },
        );
    }
}

fn configuration(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    if !change.action.destroys() {
        return;
    }
    // A workspace that the same plan creates does not use it yet.
    let users = gathered
        .links
        .present_users_of_configuration(&change.address);
    let level = if users.is_empty() {
        Level::Warning
    } else {
        Level::Error
    };
    gathered.say(
        change,
        Said {
            id: Rule::KeyConfigurationDeleted,
            level,
            summary: "A key configuration is deleted or replaced".to_owned(),
            detail: format!("It is used by {}. Databricks does not delete a configuration that is in use.", in_words(&users)),
            remedy: "That provider replaces a configuration also when only its alias or the order of its use cases changes. Move it to \
                     `dbxcmk_key_configuration` with a `moved` block.",
        },
    );
}

fn credentials(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    if !matches!(change.action, Action::Replace | Action::Update) || !change.changes("role_arn") {
        return;
    }
    let new = change
        .after("role_arn")
        .unwrap_or_else(|| "another role".to_owned());
    let named = gathered
        .plan
        .of("dbxcmk_key_policy")
        .any(|policy| policy.latest("aws.cross_account_role_arn").as_deref() == Some(new.as_str()));
    if named {
        return;
    }
    gathered.say(
        change,
        Said {
            id: Rule::CrossAccountRoleChanged,
            level: Level::Warning,
            summary: "The cross-account role of workspaces changes".to_owned(),
            detail: format!("`{new}` will launch their clusters, and no dbxcmk_key_policy of this plan names it."),
            remedy: "Set `cross_account_role_arn` of the `dbxcmk_key_policy` to the new role, so that clusters can use the key.",
        },
    );
}
