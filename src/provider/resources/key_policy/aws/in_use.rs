//! Never taking from a workspace what it needs of a key.

use crate::databricks::Account;
use crate::databricks::key_configurations::KeyConfiguration;
use crate::databricks::workspaces::Workspace;
use crate::preflight::Stage;
use crate::provider::client::Client;
use crate::provider::diagnose;
use crate::provider::resources::key_policy::in_use::refuse_after_rotation;
use crate::requirements::aws::{PermissionChange, Usage, User, effects};
use crate::vocabulary::aws::KeyArn;
use kms_policy::Document;
use tfplugin::context::Context;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};

/// The workspaces that need what is lost on a key now, in words; empty when there are none.
async fn users_of(
    client: &Client,
    key: &KeyArn,
    lost: &[PermissionChange],
) -> Result<Vec<String>, Diagnostics> {
    let account = client.account().await?;
    let failed = |error| {
        diagnose::account(
            "The provider could not find out which workspaces use the key",
            &error,
        )
    };
    let configurations = client
        .reads()
        .configurations(account)
        .await
        .map_err(failed)?;
    let arn = key.to_string();
    let own: Vec<&KeyConfiguration> = configurations
        .values()
        .filter(|one| {
            one.aws_key_info
                .as_ref()
                .is_some_and(|info| info.key_arn == arn)
        })
        .collect();
    if own.is_empty() {
        return Ok(Vec::new());
    }
    let workspaces = client.reads().workspaces(account).await.map_err(failed)?;
    let mut users = Vec::new();
    for workspace in workspaces.values().filter(|workspace| {
        own.iter()
            .any(|one| workspace.uses_id(&one.customer_managed_key_id))
    }) {
        if needs(client, account, workspace, &own, lost).await {
            users.push(format!(
                "  - {} (\"{}\")",
                workspace.workspace_id, workspace.workspace_name
            ));
        }
    }
    Ok(users)
}

/// Whether a workspace that uses a key needs some of what is lost on it.
async fn needs(
    client: &Client,
    account: &Account,
    workspace: &Workspace,
    own: &[&KeyConfiguration],
    lost: &[PermissionChange],
) -> bool {
    let mut roles = Vec::new();
    for change in lost {
        match &change.user {
            User::Databricks(_) => return true,
            User::CrossAccountRole(role) => roles.push(role.to_string()),
        }
    }
    // What only the role loses concerns the workspaces whose clusters' volumes the key encrypts, and which work with that role.
    let for_volumes = own.iter().any(|one| {
        one.is_for_cluster_volumes()
            && workspace.storage_customer_managed_key_id.as_deref()
                == Some(one.customer_managed_key_id.as_str())
    });
    if !for_volumes || workspace.is_serverless_only() {
        return false;
    }
    match client.reads().cross_account_role(account, workspace).await {
        Ok(Some(role)) => roles.contains(&role),
        // Whose role it is cannot be seen: it may be this one.
        Ok(None) | Err(_) => true,
    }
}

/// What those who use the key would lose by a change of its policy.
pub(super) fn losses(
    before: &Document,
    after: &Document,
    key: &KeyArn,
    usage: &Usage,
) -> Vec<PermissionChange> {
    effects(before, after, key, usage)
        .into_iter()
        .filter_map(PermissionChange::loss)
        .collect()
}

/// What a workspace would be left without.
pub(super) struct Removal<'a> {
    /// `This change`
    pub(super) what: &'a str,
    pub(super) lost: &'a [PermissionChange],
    /// What to do about it first.
    pub(super) remedy: &'a str,
    /// When.
    pub(super) stage: Stage,
}

/// Refuses to take from a workspace what it needs.
pub(super) async fn refuse_removal_in_use(
    cx: &Context<Client>,
    key: &KeyArn,
    removal: &Removal<'_>,
) -> Result<(), Diagnostics> {
    if removal.lost.is_empty() {
        return Ok(());
    }
    let users = users_of(cx.client(), key, removal.lost).await?;
    if users.is_empty() {
        return refuse_after_rotation(cx, &key.clone().into(), removal.what, removal.stage).await;
    }
    let lost: Vec<String> = removal
        .lost
        .iter()
        .flat_map(PermissionChange::in_words)
        .map(|line| format!("  - {line}"))
        .collect();
    Err(Diagnostic::error(
        "Workspaces need these statements of the key policy",
        format!(
            "{} would take permissions on {key} away:\n{}\n\nThese workspaces need them:\n{}\n\nWithout them, they lose access to the key, or \
             their clusters do not start. A key cannot be detached from a workspace.\n\n{}",
            removal.what,
            lost.join("\n"),
            users.join("\n"),
            removal.remedy
        ),
    )
    .into())
}

/// What a change takes away can be put back.
pub(super) const UNDO_THE_CHANGE: &str = "Put back what the configuration no longer names: the use case, the account, or `cross_account_role_arn`. If the workspaces may lose \
     the permissions, set `force_destroy = true` and apply that before.";

/// What a destruction takes away.
pub(super) const DELETE_THE_WORKSPACES: &str = "Delete the workspaces first (`terraform destroy -target=…`), then this resource. To leave the statements in the policy and let \
     Terraform forget them:\n\nremoved {\n  from = dbxcmk_key_policy.…\n  lifecycle {\n    destroy = false\n  }\n}\n\nTo remove them although \
     the workspaces need them, set `force_destroy = true` and apply that before.";
