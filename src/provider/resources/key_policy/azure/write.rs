//! Preparing the workspace, giving access and taking it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::in_use::{Removal, refuse_removal, users};
use super::own::{ADDED, AWAITS_DISKS, added, adopt, owned};
use super::{
    KeyPolicyAzure, counts_for_vault, key_name, lines, name_of, of_own, parts, principals_in,
    promise, scope, unread, workspace_of,
};
use crate::clouds::azure::{ArmWorkspace, AzureError};
use crate::preflight::azure::{Question, Unknown, judge};
use crate::preflight::{Fact, Stage};
use crate::provider::attach::arm::send;
use crate::provider::client::Client;
use crate::provider::deadline::{Deadline, Pause, pause};
use crate::provider::diagnose;
use crate::provider::keys::KeyShares;
use crate::provider::resources::key_policy::{DESTROYING, KeyPolicyModel, leaving};
use crate::provider::resources::{known_set, timeout, workspace_cases};
use crate::provider::vault_access::{Place, grant, leave, revoke};
use crate::requirements::azure::{Grantee, Role, roles_of};
use crate::vocabulary::UseCase;
use crate::vocabulary::azure::{PrincipalId, VaultKeyId, VaultResourceId, WorkspaceResourceId};
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::resource::Progress;

/// How long preparing the workspace and granting may take: Azure takes about 10 to 15 minutes for an update of a workspace.
const SETTLE: Duration = Duration::from_secs(60 * 60);

/// The workspace with an identity of its storage account: prepared, if it has none.
async fn prepared(
    cx: &Context<Client>,
    id: &WorkspaceResourceId,
    deadline: Deadline,
) -> Result<ArmWorkspace, Diagnostics> {
    let client = cx.client();
    let keys = client.keys().azure();
    let _alone = keys.lock_workspace(id).await;
    let refused = |error: &AzureError| -> Diagnostics {
        diagnose::arm(
            "The workspace could not be prepared for encryption",
            id,
            error,
        )
        .on("azure.workspace_resource_id")
        .into()
    };
    let (mut wait, mut was_sent) = (Duration::from_millis(500), false);
    loop {
        let now = keys
            .cloud()
            .workspace(id)
            .await
            .map_err(|error| unread(id, &error))?;
        let is_busy = now.progress() == crate::clouds::azure::Progress::Running;
        match now.storage_principal() {
            Ok(Some(_)) => return Ok(now),
            Err(why) => {
                return Err(Diagnostic::error(
                    "The identity of the storage account cannot be read",
                    format!(
                        "The workspace {id} shows an identity of its storage account, but {why}."
                    ),
                )
                .on("azure.workspace_resource_id")
                .into());
            }
            Ok(None) if !was_sent && !is_busy => {
                tracing::info!(workspace = %id, "preparing the workspace for encryption");
                let body = now.prepared().map_err(|error| refused(&error))?;
                match send(client, id, &body, deadline, cx.stop()).await {
                    Ok(()) => {
                        was_sent = true;
                        wait = Duration::from_millis(500);
                        if !cx.stop().is_cancelled() {
                            continue;
                        }
                    }
                    // Another writer is changing the workspace; the loop tries again.
                    Err(AzureError::Conflict { .. }) => {}
                    Err(error) => return Err(refused(&error)),
                }
            }
            Ok(None) => {}
        }
        if deadline.has_passed() {
            return Err(Diagnostic::error(
                "The workspace was not prepared in time",
                format!(
                    "Azure did not show an identity of the storage account of {id} in time; the workspace is in the state {}.\n\nApply again: the \
                     provider continues from what is there. To wait longer, set `timeouts`.",
                    now.state()
                ),
            )
            .on("azure.workspace_resource_id")
            .into());
        }
        if pause(wait, cx.stop()).await == Pause::Stopped {
            return Err(Diagnostic::error(
                "Preparing the workspace was interrupted",
                format!(
                    "The run was interrupted while the storage account of {id} got its identity. Azure finishes accepted requests even if Terraform \
                     stops.\n\nApply again."
                ),
            )
            .into());
        }
        wait = (wait * 2).min(Duration::from_secs(10));
    }
}

/// The reports of the run's key policies, in an apply.
fn keys_shares(cx: &Context<Client>) -> &KeyShares {
    let shares = cx.client().keys().shares();
    shares.applies();
    shares
}

pub(in super::super) async fn put(
    cx: &Context<Client>,
    plan: KeyPolicyModel,
    prior: Option<&KeyPolicyModel>,
    progress: &Progress<KeyPolicyModel>,
) -> Result<KeyPolicyModel, Diagnostics> {
    let policies = cx.client().keys().policies();
    let key = parts(&plan).map(|(_, key, _)| key_name(key));
    let of = workspace_of(&plan);
    let putting = policies.putting(key, of);
    let azure = cx.client().keys().azure();
    let own = parts(&plan)
        .map(|(parts, key, _)| (key.clone(), parts.workspace_resource_id.known().cloned()));
    let outcome = put_access(cx, plan, prior).await;
    if let Some((key, workspace)) = own {
        azure.access_was_given(&key, workspace.as_ref());
        // It may have been prepared by a run that was interrupted, while this one watched.
        workspace.iter().for_each(|id| azure.forget_workspace(id));
    }
    drop(putting);
    let state = outcome?;
    progress.save(state.clone());
    Ok(state)
}

/// Refuses what was promised of another workspace, before preparing it changes anything.
async fn refuse_before(
    cx: &Context<Client>,
    azure: &KeyPolicyAzure,
    cases: &[UseCase],
) -> Result<(), Diagnostics> {
    let at = azure.workspace_resource_id.known();
    let Some(id) = at.filter(|_| cases.contains(&UseCase::Storage)) else {
        return Ok(());
    };
    let keys = cx.client().keys().azure();
    let now = keys.cloud().workspace(id).await;
    let now = now.map_err(|error| unread(id, &error))?;
    let named = azure.databricks_principal_id.known();
    let (grantees, open) = keys.grantees(cases, Some(&now), named, roles_of).await;
    let is_unread = |(_, _, why): &(Role, UseCase, Unknown)| matches!(why, Unknown::Unread(_));
    // The caller reports a principal that the provider could not read.
    if open.iter().any(is_unread) {
        return Ok(());
    }
    let known = grantees
        .into_iter()
        .map(|grantee| grantee.principal)
        .collect();
    promise::refuse_others(azure, &known)
}

async fn put_access(
    cx: &Context<Client>,
    mut plan: KeyPolicyModel,
    prior: Option<&KeyPolicyModel>,
) -> Result<KeyPolicyModel, Diagnostics> {
    let bug = || Diagnostic::bug("A key policy was applied before its configuration was known.");
    let client = cx.client();
    let keys = client.keys().azure();
    let operation = if prior.is_some() { "update" } else { "create" };
    let deadline = timeout(&plan.timeouts, operation, SETTLE);
    let cases = workspace_cases(&plan.use_cases).ok_or_else(bug)?;
    let Some((azure, key, vault_id)) = parts(&plan) else {
        return Err(bug().into());
    };
    let (key, vault_id) = (key.clone(), vault_id.clone());
    let at = azure.workspace_resource_id.known().cloned();
    let is_whole_vault = counts_for_vault(cx, (&key, &vault_id), azure).await;
    let shares = keys_shares(cx);
    keys.is_in_vault(&key, vault_id.clone());
    azure
        .databricks_principal_id
        .known()
        .into_iter()
        .for_each(|own| keys.databricks_is(own));
    refuse_before(cx, azure, &cases).await?;
    let workspace = match azure.workspace_resource_id.known() {
        None => None,
        Some(id) if cases.contains(&UseCase::Storage) => Some(prepared(cx, id, deadline).await?),
        Some(id) => Some(
            keys.cloud()
                .workspace(id)
                .await
                .map_err(|error| unread(id, &error))?,
        ),
    };
    let (grantees, not_known) = keys
        .grantees(
            &cases,
            workspace.as_ref(),
            azure.databricks_principal_id.known(),
            roles_of,
        )
        .await;
    let mut awaits_disks = false;
    let mut open = Vec::new();
    for unknown in not_known {
        match unknown {
            (Role::DiskEncryptionSet, _, Unknown::NotYetMade) => awaits_disks = true,
            other => open.push(other),
        }
    }
    let mark = leaving::whose(cx, &plan);
    let place = Place {
        key: &key,
        vault: &vault_id,
        mark: &mark,
    };
    if !open.is_empty() {
        refuse_unknown(cx, &plan, place, open).await?;
    }
    // A principal that needs the key for several use cases is granted once.
    let wanted: BTreeMap<PrincipalId, &Grantee> = grantees
        .iter()
        .map(|grantee| (grantee.principal.clone(), grantee))
        .collect();
    promise::refuse_others(azure, &wanted.keys().cloned().collect())?;
    let mut own = added(cx, &key);
    for (principal, grantee) in &wanted {
        let (who, mut given) = (grantee.role.in_words(), false);
        let outcome = grant(cx, place, principal, who, deadline, &mut given).await;
        if given {
            own.insert(principal.clone());
            cx.set_private(ADDED, &own);
        }
        outcome?;
    }
    let principals: Vec<PrincipalId> = wanted.keys().cloned().collect();
    let facts = keys
        .facts(&key, Some(&vault_id), None, &principals, Stage::Apply)
        .await;
    let Fact::Known(vault) = &facts.vault else {
        return Err(Diagnostic::error(
            "The vault could not be read",
            format!("{vault_id} was read a moment ago, and cannot be read now. The access to {key} is given. Apply again."),
        )
        .into());
    };
    // What an interrupted run has given is recognised by its name.
    let there = wanted.keys().cloned().collect();
    adopt(cx, &facts, place, at.as_ref(), &there, &grantees).await;
    cx.set_private(AWAITS_DISKS, &awaits_disks);
    leaving::stays(cx);
    let mut own = added(cx, &key);
    // What it has in common with one that went in this run is its own from now on.
    let names = wanted.keys().map(ToString::to_string).collect();
    let scope = scope(&key, is_whole_vault);
    let inherited = shares.inherited(&scope, &names);
    own.extend(principals_in(&wanted.keys().cloned().collect(), &inherited));
    cx.set_private(ADDED, &own);
    let given_up: BTreeSet<PrincipalId> = own
        .iter()
        .filter(|one| !wanted.contains_key(one))
        .cloned()
        .collect();
    let names = given_up.iter().map(ToString::to_string).collect();
    let kept = leaving::needed_now(cx, &scope, &names);
    let mut lost = principals_in(
        &given_up,
        &leaving::removed(&names, &BTreeSet::new(), &kept),
    );
    // What workspaces need by now stays, whatever the plan has seen.
    let removal = Removal {
        lost: &lost,
        vault: &vault_id,
        what: "This change",
        stage: Stage::Apply,
        is_whole_vault,
        is_agreed: plan.may_be_destroyed(),
        is_left: true,
    };
    if let Err(refused) = refuse_removal(cx, &key, &removal).await {
        leaving::left(cx, &key_name(&key), refused);
        lost.clear();
    }
    for principal in lost {
        revoke(client, place, &principal).await?;
        own.remove(&principal);
        cx.set_private(ADDED, &own);
    }
    let model = name_of(&vault.access).to_owned();
    if let Attr::Known(azure) = &mut plan.azure {
        if azure.principals.is_unknown() {
            azure.principals = known_set(principals);
        }
        if azure.access_model.is_unknown() {
            azure.access_model = Attr::Known(model);
        }
    }
    Ok(plan)
}

/// Refuses to grant while the provider does not know the principals.
async fn refuse_unknown(
    cx: &Context<Client>,
    plan: &KeyPolicyModel,
    place: Place<'_>,
    open: Vec<(Role, UseCase, Unknown)>,
) -> Result<(), Diagnostics> {
    let client = cx.client();
    let facts = client
        .keys()
        .azure()
        .facts(place.key, Some(place.vault), None, &[], Stage::Apply)
        .await;
    let question = Question {
        cases: Vec::new(),
        used_for: Vec::new(),
        grantees: Vec::new(),
        not_known: open,
        workspace: None,
        location: None,
        tenant: None,
        stage: Stage::Apply,
    };
    let findings = judge(&facts, &question);
    let found = client.report(
        findings,
        &plan.ignore_findings,
        Stage::Apply,
        |_| "azure.databricks_principal_id",
    );
    // The provider cannot grant access to a principal that it does not know, whatever `preflight` says.
    Err(found)
}

pub(in super::super) async fn delete(
    cx: &Context<Client>,
    state: KeyPolicyModel,
) -> Result<(), Diagnostics> {
    let Some((azure, key, vault)) = parts(&state) else {
        return Ok(());
    };
    let mark = leaving::whose(cx, &state);
    let place = Place {
        key,
        vault,
        mark: &mark,
    };
    let mut own = owned(cx, place, &azure.principals()).await;
    let name = key_name(key);
    let (shares, is_whole_vault) = (keys_shares(cx), azure.is_whole_vault());
    let names: BTreeSet<String> = own.iter().map(ToString::to_string).collect();
    let all = own
        .union(&azure.principals())
        .map(ToString::to_string)
        .collect();
    let stays = leaving::kept(cx, &scope(key, is_whole_vault), &all, of_own(&names));
    let kept = stays.all();
    // What this resource did not give, it cannot leave to anybody either.
    shares.leaves(name, kept.intersection(&names).cloned().collect());
    let going = principals_in(&own, &leaving::removed(&names, &BTreeSet::new(), &kept));
    let removal = Removal {
        lost: &going,
        vault,
        what: DESTROYING,
        stage: Stage::Apply,
        is_whole_vault,
        is_agreed: state.may_be_destroyed(),
        is_left: false,
    };
    refuse_removal(cx, key, &removal).await?;
    let left: BTreeSet<PrincipalId> = azure.principals().difference(&own).cloned().collect();
    warn_of_left(cx, (key, vault), is_whole_vault, &left, &kept).await;
    for principal in principals_in(&own, &kept) {
        // Where it is not known who needs it, the mark stays as it is.
        if let Some(heir) = stays.heirs.get(&principal.to_string()) {
            leave(cx.client(), place, &principal, heir).await;
        }
    }
    for principal in going {
        revoke(cx.client(), place, &principal).await?;
        own.remove(&principal);
        cx.set_private(ADDED, &own);
    }
    Ok(())
}

/// Names the principals who had the use of the key before this resource, and keep it.
async fn warn_of_left(
    cx: &Context<Client>,
    (key, vault): (&VaultKeyId, &VaultResourceId),
    is_whole_vault: bool,
    left: &BTreeSet<PrincipalId>,
    kept: &BTreeSet<String>,
) {
    if left.is_empty() {
        return;
    }
    // When the provider cannot read the workspaces, it assumes that some need the access.
    let users = match users(cx, key, is_whole_vault, Some(left)).await {
        Ok(users) => users.named.into_iter().chain(users.unreadable).collect(),
        Err(_) => vec!["  - workspaces that could not be read".to_owned()],
    };
    let not_added = leaving::NotAdded {
        summary: "Some principals keep access to the key: this resource did not grant it",
        noun: "principals",
        items: &left.iter().map(ToString::to_string).collect(),
        of_others: kept,
        users: &users,
        removal: format!(
            "To see how, run:\n\n  az role assignment list --scope {vault}/keys/{} --include-inherited --output table",
            key.name()
        ),
    };
    leaving::warn_of_not_added(cx, &key_name(key), &not_added, lines);
}
