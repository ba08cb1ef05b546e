//! Which workspaces use a key, whatever its cloud, and whether one may still need its former key.

use crate::databricks::workspaces::Workspace;
use crate::preflight::Stage;
use crate::preflight::binding::ConfigurationKey;
use crate::provider::client::Client;
use crate::provider::diagnose;
use crate::provider::keys::key_of;
use crate::provider::moments::{now_in_milliseconds, rfc3339};
use crate::provider::resources::rotation::refuse_to_take_former;
use crate::provider::switch::needed_until;
use crate::vocabulary::{Key, UseCase};
use tfplugin::context::Context;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};

const UNKNOWN_USERS: &str = "The provider could not find out which workspaces use the key";

/// A workspace that uses a key.
pub(super) struct User {
    /// The workspace.
    pub(super) workspace: Workspace,
    /// For what.
    pub(super) cases: Vec<UseCase>,
}

impl User {
    /// As a line of a list.
    pub(super) fn in_words(&self) -> String {
        format!(
            "  - {} (\"{}\")",
            self.workspace.workspace_id, self.workspace.workspace_name
        )
    }
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
    let users = workspaces.values().filter_map(|workspace| {
        let cases: Vec<UseCase> = UseCase::ACCOUNT
            .into_iter()
            .filter(|case| {
                let attached = workspace.key(*case);
                attached.known().is_some_and(|id| is_of_key(id.as_str()))
            })
            .collect();
        (!cases.is_empty()).then(|| User {
            workspace: workspace.clone(),
            cases,
        })
    });
    Ok(users.collect())
}

/// Refuses to take from a key what Databricks still needs after a rotation. `what`: what takes it, as `This change`.
///
/// # Errors
/// When that is so, or the account cannot be read.
pub(super) async fn refuse_after_rotation(
    cx: &Context<Client>,
    key: &Key,
    what: &str,
    stage: Stage,
) -> Result<(), Diagnostics> {
    let (client, now) = (cx.client(), now_in_milliseconds());
    let account = client.account().await?;
    let failed = |error| diagnose::account(UNKNOWN_USERS, &error);
    let configurations = client.reads().configurations(account).await;
    let workspaces = client.reads().workspaces(account).await;
    let shown = needed_until(
        key,
        &*configurations.map_err(failed)?,
        &*workspaces.map_err(failed)?,
        now,
    );
    // Whether the account shows it depends on whether the former configuration is still there; the states of bindings may know more.
    let Some(until) = shown.and_then(rfc3339) else {
        return refuse_to_take_former(cx, key.as_str(), stage);
    };
    Err(Diagnostic::error(
        "Databricks still needs the former key",
        format!(
            "{what} would take permissions on {key} away. A workspace got another managed services key less than 24 hours ago. If this is its \
             former key, Databricks needs it for 24 hours.\n\nApply this change after {until}. To remove the permissions now all the same, set \
             `force_destroy = true` and apply that before."
        ),
    )
    .into())
}
