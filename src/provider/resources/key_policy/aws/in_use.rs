//! Never taking from a workspace what it needs of a key.

use crate::preflight::aws::KeyDescription;
use crate::preflight::{Fact, Stage};
use crate::provider::client::Client;
use crate::provider::diagnose;
use crate::provider::resources::key_policy::catalogs;
use crate::provider::resources::key_policy::in_use::{
    UNKNOWN_USERS, User as UserOfKey, refuse_after_rotation, users_of as all_users_of,
};
use crate::provider::resources::key_policy::leaving::{FORGET, agreed};
use crate::provider::resources::key_policy::tables::{self, Losing};
use crate::requirements::aws::{PermissionChange, Usage, User, effects};
use crate::vocabulary::aws::KeyArn;
use crate::vocabulary::{AttachedKey, KeyState, UseCase};
use kms_policy::Document;
use tfplugin::context::Context;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};

/// The workspaces that need what is lost on a key now.
pub(super) async fn users_of(
    client: &Client,
    key: &KeyArn,
    lost: &[PermissionChange],
) -> Result<Vec<UserOfKey>, Diagnostics> {
    let all = all_users_of(client, &key.clone().into()).await?;
    let mut users = Vec::new();
    for user in all {
        if needs(client, key, &user, lost).await? {
            users.push(user);
        }
    }
    Ok(users)
}

/// Whether a workspace needs what Databricks loses: what it loses for data that the workspace does not have under the key, it does not need there.
fn is_for_data_of(change: &PermissionChange, user: &UserOfKey) -> bool {
    let is_it = |case: &UseCase| change.purpose.use_case() == (*case).into();
    user.cases.iter().any(is_it)
}

/// Whether a workspace that uses a key needs some of what is lost on it.
async fn needs(
    client: &Client,
    key: &KeyArn,
    user: &UserOfKey,
    lost: &[PermissionChange],
) -> Result<bool, Diagnostics> {
    let mut roles = Vec::new();
    for change in lost {
        match &change.user {
            User::Databricks(_) if is_for_data_of(change, user) => return Ok(true),
            User::Databricks(_) => {}
            User::CrossAccountRole(role) => roles.push(role.to_string()),
            // Its tables are in buckets, and no workspace has the key for them.
            User::StorageCredential(_) => {}
        }
    }
    // What only the role loses concerns the workspaces whose clusters' volumes the key encrypts, and which work with that role.
    let workspace = &user.workspace;
    let storage = match workspace.key(UseCase::Storage) {
        AttachedKey::Known(id) => id,
        AttachedKey::Unreadable(_) => return Ok(true),
        AttachedKey::None => return Ok(false),
    };
    let account = client.account().await?;
    let configurations = client.reads().configurations(account).await;
    let configurations =
        configurations.map_err(|error| diagnose::account(UNKNOWN_USERS, &error))?;
    let for_volumes = configurations.get(storage.as_str()).is_none_or(|one| {
        let info = one.aws_key_info.as_ref();
        let is_of_key = info.is_some_and(|info| info.key_arn == key.to_string());
        is_of_key && one.is_for_cluster_volumes()
    });
    if !for_volumes || workspace.is_serverless_only() {
        return Ok(false);
    }
    Ok(
        match client.reads().cross_account_role(account, workspace).await {
            Ok(Some(role)) => roles.contains(&role),
            // The provider cannot see whose role it is: it may be this one.
            Ok(None) | Err(_) => true,
        },
    )
}

/// What is lost, a line for each. What Databricks loses for data that none of these workspaces has under the key is left out: it would send the
/// reader after a workspace that is not there. Without workspaces, all is said.
pub(super) fn lost_by(users: &[UserOfKey], lost: &[PermissionChange]) -> Vec<String> {
    let is_needed = |one: &&PermissionChange| {
        !matches!(one.user, User::Databricks(_))
            || users.is_empty()
            || users.iter().any(|user| is_for_data_of(one, user))
    };
    let needed = lost.iter().filter(is_needed);
    let lines = needed.flat_map(PermissionChange::in_words);
    lines.map(|line| format!("  - {line}")).collect()
}

/// What those who use the key would lose by a change of its policy, for all data that a workspace can have under a key.
pub(super) fn losses(
    before: &Document,
    after: &Document,
    key: &KeyArn,
    usage: &Usage,
) -> Vec<PermissionChange> {
    effects(before, after, key, &usage.clone().for_every_use_case())
        .into_iter()
        .filter_map(PermissionChange::loss)
        .collect()
}

/// What a workspace would be left without.
pub(super) struct Removal<'a> {
    /// `This change`
    pub(super) what: &'a str,
    pub(super) lost: &'a [PermissionChange],
    /// What to do about it first; none where it is only said.
    pub(super) remedy: Option<&'a str>,
    /// Whether Terraform plans or applies the change.
    pub(super) stage: Stage,
    /// Whether the user has agreed (`force_destroy`): then the provider warns, and does not refuse.
    pub(super) is_agreed: bool,
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
    refuse_to_take_tables(cx, key, removal).await?;
    match refusal(cx, key, removal).await {
        Err(refused) if removal.is_agreed => {
            agreed(cx, &key.clone().into(), refused);
            Ok(())
        }
        outcome => outcome,
    }
}

/// Refuses to take the key from roles of storage credentials with which tables under it are read and written.
async fn refuse_to_take_tables(
    cx: &Context<Client>,
    key: &KeyArn,
    removal: &Removal<'_>,
) -> Result<(), Diagnostics> {
    let mut roles: Vec<String> = Vec::new();
    for change in removal.lost {
        if let User::StorageCredential(role) = &change.user
            && !roles.contains(&role.to_string())
        {
            roles.push(role.to_string());
        }
    }
    let losing = Losing {
        key: &key.clone().into(),
        what: removal.what,
        lost: roles.iter().map(|role| format!("  - {role}")).collect(),
        stage: removal.stage,
        is_agreed: removal.is_agreed,
    };
    tables::refuse(cx, losing, |place| {
        let identity = place.identity.as_ref();
        identity.is_some_and(|own| roles.iter().any(|role| role == own.name()))
    })
    .await
}

async fn refusal(
    cx: &Context<Client>,
    key: &KeyArn,
    removal: &Removal<'_>,
) -> Result<(), Diagnostics> {
    let users = users_of(cx.client(), key, removal.lost).await?;
    let name = key.clone().into();
    // A catalog uses its key as Databricks does, and never as a cross-account role.
    let is_of_databricks = |one: &PermissionChange| matches!(one.user, User::Databricks(_));
    let catalogs = match removal.lost.iter().any(is_of_databricks) {
        true => catalogs::lines_of(cx, &name, removal.what, removal.stage).await,
        false => Vec::new(),
    };
    let lost = match catalogs.is_empty() {
        true => lost_by(&users, removal.lost),
        false => lost_by(&[], removal.lost),
    };
    let lines: Vec<String> = users.iter().map(UserOfKey::in_words).collect();
    if users.is_empty() {
        let (what, is_said) = (removal.what, removal.remedy.is_none());
        refuse_after_rotation(cx, &name, what, removal.stage, is_said).await?;
        return catalogs::refuse(&name, what, &lost, &catalogs, is_said);
    }
    if let Some(restore) = scheduled(cx.client(), key, removal.stage, &lines).await {
        return Err(restore.into());
    }
    Err(Diagnostic::error(
        "Workspaces need these statements of the key policy",
        format!(
            "{} takes permissions on {key} away:\n{}\n\nThese workspaces need them:\n{}{}\n\nWithout them, they lose access to the key, or \
             their clusters do not start. A key cannot be detached from a workspace.{}",
            removal.what,
            lost.join("\n"),
            lines.join("\n"),
            catalogs::also(&catalogs),
            removal.remedy.map_or_else(String::new, |remedy| format!("\n\n{remedy}"))
        ),
    )
    .into())
}

/// A key that is scheduled for deletion looks deleted to other providers, which then plan another one: what helps is to restore it.
async fn scheduled(
    client: &Client,
    key: &KeyArn,
    stage: Stage,
    users: &[String],
) -> Option<Diagnostic> {
    let keys = client.keys().aws();
    let facts = match stage {
        Stage::Plan => keys.facts_for_plan(key).await,
        Stage::Apply => keys.facts_now(key).await,
    };
    match &facts.description {
        Fact::Known(description) => restore_first(key, description, users),
        Fact::Unreadable(_) => None,
    }
}

fn restore_first(key: &KeyArn, found: &KeyDescription, users: &[String]) -> Option<Diagnostic> {
    if !matches!(
        found.state,
        KeyState::PendingDeletion | KeyState::PendingReplicaDeletion
    ) {
        return None;
    }
    let date = found.deletion_date.as_deref();
    let until = date.map_or_else(String::new, |date| format!(", until {date}"));
    Some(
        Diagnostic::error(
            "The key of these workspaces is scheduled for deletion",
            format!(
                "{key} is scheduled for deletion{until}. The AWS provider takes such a key for deleted, so this plan wants another one and takes \
                 the statements of this one away.\n\nThese workspaces use it now:\n{}\n\nThey cannot read or write what the key encrypts until \
                 it is restored; once it is deleted, that is lost permanently. A storage key cannot be replaced by another one.\n\nRestore the \
                 key, then plan again:\n\n  dbxcmk key restore {key} --enable-anyway",
                users.join("\n")
            ),
        )
        .on("aws.key_arn"),
    )
}

/// What a change takes away can be put back.
pub(super) const UNDO_THE_CHANGE: &str = "Put back what the configuration no longer names: the use case, the account, or `cross_account_role_arn`. If the workspaces may lose \
     the permissions, set `force_destroy = true` and apply that before.";

/// What a destruction takes away.
pub(super) fn delete_the_workspaces() -> String {
    format!(
        "Delete the workspaces first (`terraform destroy -target=…`), then this resource. To leave the statements in the policy and let \
         Terraform forget them:{FORGET}\n\nTo remove them although the workspaces need them, set `force_destroy = true` and apply that before."
    )
}

/// What the former key loses.
pub(super) fn keep_the_former_key() -> String {
    format!(
        "Keep this key policy, and add a second `dbxcmk_key_policy` for the other key: a storage key cannot be replaced. Where the workspaces use the \
         key for managed services alone, you can attach another key to them first. To leave the \
         statements in the policy of the former key, let Terraform forget this resource, and add the other key under another name:{FORGET}\n\nTo \
         remove them although the workspaces need them, set `force_destroy = true` and apply that before."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_scheduled_for_deletion_is_restored_first()
    -> Result<(), crate::vocabulary::aws::ArnError> {
        let key: KeyArn =
            "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
                .parse()?;
        let users = ["  - 1 (\"one\")".to_owned()];
        for (state, is_said) in [
            (KeyState::Enabled, false),
            (KeyState::Disabled, false),
            (KeyState::PendingDeletion, true),
            (KeyState::PendingReplicaDeletion, true),
        ] {
            let found = KeyDescription {
                state,
                deletion_date: Some("2026-12-30T00:00:00Z".to_owned()),
                ..KeyDescription::good()
            };
            let said = restore_first(&key, &found, &users).map(|one| one.detail);
            assert_eq!(said.is_some(), is_said);
            for part in [
                "until 2026-12-30",
                "1 (\"one\")",
                "key restore",
                "--enable-anyway",
            ] {
                assert!(
                    said.as_ref().is_none_or(|text| text.contains(part)),
                    "{part}"
                );
            }
        }
        Ok(())
    }
}
