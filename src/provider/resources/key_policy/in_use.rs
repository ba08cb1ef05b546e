//! Which workspaces use a key, whatever its cloud, and whether one may still need its former key.

use crate::databricks::workspaces::Workspace;
use crate::preflight::Stage;
use crate::preflight::binding::ConfigurationKey;
use crate::provider::client::Client;
use crate::provider::diagnose;
use crate::provider::keys::{KeyCheck, key_of};
use crate::provider::kill_switch::{FormerUser, NOT_TOLD, former_users, last_of};
use crate::provider::resources::former_key::refuse_to_take_former;
use crate::provider::timestamps::now_in_milliseconds;
use crate::vocabulary::{AttachedKey, Key, UseCase};
use tfplugin::context::Context;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};

pub(super) const UNKNOWN_USERS: &str =
    "The provider could not find out which workspaces use the key";

/// A workspace that uses a key.
pub(super) struct User {
    /// The workspace, as the account shows it.
    pub(super) workspace: Workspace,
    /// Which of its data the key encrypts.
    pub(super) cases: Vec<UseCase>,
    /// What it shows as a key, where that cannot be read: then it may be this one.
    pub(super) unreadable: Option<String>,
}

impl User {
    /// As a line of a list.
    pub(super) fn in_words(&self) -> String {
        let note = self.unreadable.as_ref().map_or_else(String::new, |text| {
            format!(": it shows `{text}` as its key, which the provider cannot read, so it may use this one")
        });
        format!(
            "  - {} (\"{}\"){note}",
            self.workspace.workspace_id, self.workspace.workspace_name
        )
    }
}

/// The workspaces that use a key, as a list; empty when there are none.
///
/// # Errors
/// When the account cannot be read.
pub(super) async fn users_in_words(client: &Client, key: &Key) -> Result<String, Diagnostics> {
    let users = users_of(client, key).await?;
    let lines: Vec<String> = users.iter().map(User::in_words).collect();
    Ok(match lines.is_empty() {
        true => String::new(),
        false => format!("These workspaces use it:\n{}", lines.join("\n")),
    })
}

/// For what a workspace uses a key, and what it shows where that cannot be read. `is_of_key`: whether a key configuration is of this key.
fn uses(workspace: &Workspace, is_of_key: impl Fn(&str) -> bool) -> Option<User> {
    let (mut cases, mut unreadable) = (Vec::new(), None);
    for case in UseCase::ACCOUNT {
        match workspace.key(case) {
            AttachedKey::Known(id) if is_of_key(id.as_str()) => cases.push(case),
            // Not read is not the same as not there.
            AttachedKey::Unreadable(text) => {
                cases.push(case);
                unreadable = Some(text);
            }
            AttachedKey::Known(_) | AttachedKey::None => {}
        }
    }
    (!cases.is_empty()).then(|| User {
        workspace: workspace.clone(),
        cases,
        unreadable,
    })
}

/// The workspaces that use a key. A configuration whose key cannot be read may be one of this key.
///
/// # Errors
/// When the account cannot be read.
pub(super) async fn users_of(client: &Client, key: &Key) -> Result<Vec<User>, Diagnostics> {
    let account = client.account().await?;
    let failed = |error| diagnose::account(UNKNOWN_USERS, &error);
    let configurations = client.reads().configurations(account).await;
    let configurations = configurations.map_err(failed)?;
    let is_of_key = |id: &str| {
        configurations
            .get(id)
            .is_none_or(|remote| match key_of(remote) {
                ConfigurationKey::Known { key: own, .. } => own == *key,
                ConfigurationKey::Elsewhere(..) => false,
                ConfigurationKey::Unreadable(_) | ConfigurationKey::Missing => true,
            })
    };
    let workspaces = client.reads().workspaces(account).await.map_err(failed)?;
    let users = workspaces.values();
    let users = users.filter_map(|workspace| uses(workspace, is_of_key));
    Ok(users.collect())
}

/// The case with the workspaces that use its key, where it matters: where something keeps their data away. Who cannot be asked adds none, and
/// what the case says itself stays.
pub async fn with_users(client: &Client, check: KeyCheck) -> KeyCheck {
    if !client.keys().is_known(&check) || !client.keys().cuts_users_off(&check).await {
        return check;
    }
    let users = users_of(client, &check.key()).await.unwrap_or_default();
    let users = users
        .into_iter()
        .map(|user| (user.workspace.in_words(), user.cases));
    check.used_by(users.collect())
}

/// Refuses to take from a key what Databricks still needs after a rotation. `what`: what takes it, as `This change`. `is_said`: whether it is
/// only said, so that advice would be wrong.
///
/// # Errors
/// When that is so, or the account cannot be read.
pub(super) async fn refuse_after_rotation(
    cx: &Context<Client>,
    key: &Key,
    what: &str,
    stage: Stage,
    is_said: bool,
) -> Result<(), Diagnostics> {
    let (client, now) = (cx.client(), now_in_milliseconds());
    let account = client.account().await?;
    let failed = |error| diagnose::account(UNKNOWN_USERS, &error);
    let configurations = client.reads().configurations(account).await;
    let workspaces = client.reads().workspaces(account).await;
    let users = former_users(
        key,
        &*configurations.map_err(failed)?,
        &*workspaces.map_err(failed)?,
        now,
    );
    // Whether the account shows it depends on whether the former configuration is still there; the states of bindings may know more.
    let Some(until) = last_of(&users) else {
        return refuse_to_take_former(cx, &key.to_string(), stage, is_said);
    };
    let advice = match is_said {
        true => format!("That is until {until}."),
        false => format!(
            "Apply this change after {until}. If none of these workspaces had this key, or to remove the permissions now all the same, set \
             `force_destroy = true` in the `dbxcmk_key_policy` of this key (put its block back if it is gone), apply that, and remove it \
             afterwards."
        ),
    };
    let lines: Vec<String> = users.iter().map(FormerUser::in_words).collect();
    Err(Diagnostic::error(
        "Databricks still needs the former key",
        format!(
            "{what} would take permissions on {key} away. These workspaces have another managed services key, whose configuration was created \
             less than 24 hours ago:\n{}\n\nIf this is the former key of one of them, Databricks needs it until then. {NOT_TOLD}\n\n{advice}",
            lines.join("\n")
        ),
    )
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: what a workspace shows for managed services and for storage, for what it counts, and what of it cannot be read.
    #[test]
    fn what_cannot_be_read_may_be_this_key() -> Result<(), serde_json::Error> {
        const OWN: &str = "c1000000-0000-4000-8000-000000000001";
        const OTHER: &str = "c1000000-0000-4000-8000-000000000002";
        let rows: [(Option<&str>, Option<&str>, &[UseCase], Option<&str>); 6] = [
            (None, None, &[], None),
            (Some(OTHER), None, &[], None),
            (Some(OWN), Some(OTHER), &[UseCase::ManagedServices], None),
            (Some(OTHER), Some(OWN), &[UseCase::Storage], None),
            (
                Some("cmk-1"),
                None,
                &[UseCase::ManagedServices],
                Some("cmk-1"),
            ),
            (Some(OWN), Some("x"), &UseCase::ACCOUNT, Some("x")),
        ];
        for (services, storage, cases, unreadable) in rows {
            let workspace: Workspace = serde_json::from_value(serde_json::json!({
                "workspace_id": 1, "workspace_name": "w",
                "managed_services_customer_managed_key_id": services,
                "storage_customer_managed_key_id": storage,
            }))?;
            let user = uses(&workspace, |id| id == OWN);
            let found = user.as_ref().map_or(&[][..], |user| &user.cases);
            assert_eq!(found, cases, "{services:?} {storage:?}");
            let shown = user.as_ref().and_then(|user| user.unreadable.as_deref());
            assert_eq!(shown, unreadable);
            let line = user.map_or_else(String::new, |user| user.in_words());
            assert_eq!(line.contains("cannot read"), unreadable.is_some());
        }
        Ok(())
    }
}
