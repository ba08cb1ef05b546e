//! Resources of databricks/databricks that own what we bind keys to.

use super::{Gathered, Said, in_words};
use crate::review::links::BINDINGS;
use crate::review::plan::{Action, ResourceChange};
use crate::review::report::Level;

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
                id: "workspace-replaced",
                level: Level::Error,
                summary: format!("The workspace {name} is {}", change.action.in_passive()),
                detail: "Its notebooks, secrets, jobs and permissions are gone with it. A new workspace of the same name has another id, and \
                         neither keys nor content."
                    .to_owned(),
                remedy: "Look for the attribute that forces the replacement in the plan (`# forces replacement`), and take its change out.",
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
                id: "keys-set-twice",
                level: Level::Error,
                summary: format!("Two resources set the keys of {name}"),
                detail: format!(
                    "This resource changes {}, and a dbxcmk_workspace_binding sets the keys of the same workspace: each undoes the other's work.",
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
                id: "keys-set-by-peer",
                level: Level::Warning,
                summary: format!("The keys of {name} change, and nothing proves that they can be used"),
                detail: "This resource does not look at the key, does not wait until it is there, and does not notice when Databricks goes back to \
                         the old one. A storage key can be set once."
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
            id: "key-configuration-deleted",
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
            id: "cross-account-role-changed",
            level: Level::Warning,
            summary: "The cross-account role of workspaces changes".to_owned(),
            detail: format!("`{new}` is to launch their clusters, and no dbxcmk_key_policy of this plan names it."),
            remedy: "Set `cross_account_role_arn` of the `dbxcmk_key_policy` to the new role, so that clusters can use the key.",
        },
    );
}
