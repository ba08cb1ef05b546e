//! Attaching keys to a workspace on Azure, and giving the disk encryption set that this makes the use of its key.

use std::collections::BTreeMap;
use std::time::Duration;

use super::former::{remember, versions_of};
use super::proof::{examine, of_disks, place};
use super::{azure_of, filled, key_of, missing, showing, unread, with_keys};
use crate::clouds::azure::{ArmWorkspace, AzureError, WantedKeys};
use crate::preflight::{Fact, Stage};
use crate::provider::attach::arm::{ArmPlatform, SETTLE};
use crate::provider::attach::{Failure, Orders, attach as attach_to};
use crate::provider::client::{Client, enforce};
use crate::provider::diagnose::{self, as_warnings};
use crate::provider::keys::Case;
use crate::provider::resources::rotation::remember_former;
use crate::provider::resources::timeout;
use crate::provider::resources::workspace_binding::{ATTACH, Examined, WorkspaceBindingModel};
use crate::provider::vault_access::{Place, grant, mark_of_binding};
use crate::provider::waiting::{Deadline, Pause, pause};
use crate::requirements::azure::Role;
use crate::vocabulary::UseCase;
use crate::vocabulary::azure::{PrincipalId, VaultKeyId, WorkspaceResourceId};
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::duration::GoDuration;
use tfplugin::resource::Progress;

/// The versions to set: those that are named, and the current ones of identifiers that name none. What a workspace has already as wanted
/// stays at its version.
async fn versions(
    client: &Client,
    model: &WorkspaceBindingModel,
    now: &ArmWorkspace,
    rotates: bool,
) -> Result<BTreeMap<UseCase, VaultKeyId>, Diagnostics> {
    let mut set = BTreeMap::new();
    for case in UseCase::ALL {
        let Some(key) = key_of(model, case) else {
            if model.wanted(case).is_null() {
                continue;
            }
            return Err(Diagnostic::bug(
                "A workspace binding was applied before its keys were known.",
            )
            .into());
        };
        let attached = now.key(case);
        let version = match (key.version(), attached.known()) {
            (Some(_), _) => key.clone(),
            (None, Some(own)) if now.has(case, key, rotates) => own.clone(),
            (None, _) => {
                let azure = client.keys().azure();
                let found = azure.key(key, None, Some(now.id())).await;
                let found = found.map_err(|error| no_version(key, case, &error))?;
                key.with_version(&found.version)
            }
        };
        set.insert(case, version);
    }
    Ok(set)
}

fn no_version(key: &VaultKeyId, case: UseCase, error: &AzureError) -> Diagnostic {
    let said = diagnose::azure(
        "The current version of the key could not be read",
        key,
        error,
    );
    let detail = format!(
        "{}\n\nA workspace pins a version, and {key} names none. If this machine cannot reach the vault, name the version \
         (`azurerm_key_vault_key.….id`).",
        said.detail
    );
    said.with_detail(detail).on(case.attribute())
}

/// Attaches what is not attached yet, and waits until it is there to stay. `prior`: the binding in the state, if it is there already.
pub(in super::super) async fn attach(
    cx: &Context<Client>,
    plan: WorkspaceBindingModel,
    prior: Option<&WorkspaceBindingModel>,
    progress: &Progress<WorkspaceBindingModel>,
) -> Result<WorkspaceBindingModel, Diagnostics> {
    let client = cx.client();
    let azure = client.keys().azure();
    let Some((block, id)) = azure_of(&plan) else {
        return Err(Diagnostic::bug(
            "A workspace binding was applied before its workspace was known.",
        )
        .into());
    };
    let (id, rotates, grants) = (id.clone(), block.rotates(), block.grants());
    let operation = if prior.is_some() { "update" } else { "create" };
    let deadline = timeout(&plan.timeouts, operation, ATTACH);
    let mut before = azure
        .cloud()
        .workspace(&id)
        .await
        .map_err(|error| unread(&id, &error))?;
    let reset_storage = prior.is_some_and(|prior| !prior.wanted(UseCase::Storage).is_null())
        && plan.wanted(UseCase::Storage).is_null();
    let is_missing = !missing(&plan, rotates, &before).is_empty() || reset_storage;
    let Examined { findings, keys } = examine(client, &plan, &before, Stage::Apply).await;
    // What is attached already cannot be stopped any more, only reported.
    let findings = match is_missing {
        true => findings,
        false => as_warnings(findings),
    };
    enforce(cx, findings, &plan.ignore_findings, Stage::Apply, place)?;
    // A policy of this run may have prepared the workspace while the proof waited for it.
    let alone = azure.lock_workspace(&id).await;
    before = azure
        .cloud()
        .workspace(&id)
        .await
        .map_err(|error| unread(&id, &error))?;
    let set = versions(client, &plan, &before, rotates).await?;
    let disks_key = set.get(&UseCase::ManagedDisks).cloned();
    if let Some(key) = &disks_key
        && grants
        && let Ok(Some(principal)) = before.disks_principal()
    {
        grant_disks(cx, &id, key, &principal, deadline).await?;
    }
    let length = |attribute: &Attr<GoDuration>| attribute.known().map(GoDuration::length);
    let orders = Orders {
        keys: by_version(keys, &set),
        deadline,
        wait_for_compute: length(&plan.wait_for_compute).unwrap_or_default(),
        settle_time: length(&plan.settle_time).unwrap_or(SETTLE),
    };
    let platform = ArmPlatform {
        client,
        id: id.clone(),
        keys: set.values().cloned().collect(),
        wanted: WantedKeys {
            set,
            reset_storage,
            rotate_disks: rotates,
        },
        deadline,
        stop: cx.stop().clone(),
    };
    let had = versions_of(&before);
    let look = platform.seen(before);
    let outcome = attach_to(cx, &platform, look, &orders).await;
    // A key policy that is being put may wait for the workspace, and an examination of the key waits for that policy.
    drop(alone);
    azure.forget_workspace(&id);
    let may_have_changed = outcome
        .as_ref()
        .err()
        .is_none_or(|failure| failure.was_sent);
    if may_have_changed && let Some(key) = prior.and_then(|prior| former_key(prior, &plan)) {
        remember_former(cx, plan.name(), key);
    }
    let shown = match &outcome {
        Ok(now) => now,
        Err(failure) => &failure.now,
    };
    remember(cx, &had, shown);
    let now = match outcome {
        Ok(now) => now,
        Err(failure) => return Err(explained(cx, plan, *failure, prior.is_some(), progress).await),
    };
    let now = match disks_key {
        Some(key) if grants => {
            match give_disks(cx, now.clone(), &id, &key, deadline).await {
                Ok(now) => now,
                Err(errors) => {
                    // The keys are attached: an update says so in the state. A new binding stays out of it, since Terraform would
                    // replace it; the next apply finds the keys attached and goes on with the access.
                    if prior.is_some() {
                        progress.save(showing(plan, &now));
                    }
                    return Err(errors);
                }
            }
        }
        Some(_) => {
            // Nobody has to know by themselves what a set without access means.
            let found = of_disks(client, &now, Stage::Apply).await;
            enforce(cx, found, &plan.ignore_findings, Stage::Apply, place)?;
            now
        }
        None => now,
    };
    Ok(filled(plan, &now))
}

/// The keys to watch while they settle: by the version that is attached, whatever becomes the newest one meanwhile.
fn by_version(mut keys: Vec<Case>, set: &BTreeMap<UseCase, VaultKeyId>) -> Vec<Case> {
    for one in &mut keys {
        let Case::Azure(one) = one else { continue };
        let case = one.question.cases.first();
        if let Some(version) = case.and_then(|case| set.get(case)) {
            one.key = version.clone();
        }
    }
    keys
}

/// The key that a rotation of managed services takes from a workspace.
fn former_key(prior: &WorkspaceBindingModel, plan: &WorkspaceBindingModel) -> Option<String> {
    let before = key_of(prior, UseCase::ManagedServices)?;
    let after = key_of(plan, UseCase::ManagedServices)?;
    (!before.is_same_key(after)).then(|| before.versionless().to_string())
}

/// Gives the disk encryption set that the attach has made the use of the key.
async fn give_disks(
    cx: &Context<Client>,
    mut now: ArmWorkspace,
    id: &WorkspaceResourceId,
    key: &VaultKeyId,
    deadline: Deadline,
) -> Result<ArmWorkspace, Diagnostics> {
    let azure = cx.client().keys().azure();
    let mut wait = Duration::from_millis(500);
    let principal = loop {
        match now.disks_principal() {
            Ok(Some(principal)) => break principal,
            Ok(None) if !deadline.has_passed() => {}
            shown => {
                let why = match shown {
                    Err(why) => why,
                    Ok(_) => "the workspace does not show it".to_owned(),
                };
                return Err(Diagnostic::error(
                    "The identity of the disk encryption set is not known",
                    format!(
                        "The key for managed disks is set on {id}, but {why}. Without access to the key, clusters do not start.\n\nApply again; the \
                         provider goes on with the access."
                    ),
                )
                .on("managed_disks_key_configuration_id")
                .into());
            }
        }
        if pause(wait, cx.stop()).await == Pause::Stopped {
            return Err(Diagnostic::error(
                "Giving the disk encryption set access to the key was interrupted",
                format!("The key for managed disks is set on {id}. Apply again: without access to the key, clusters do not start."),
            )
            .into());
        }
        wait = (wait * 2).min(Duration::from_secs(10));
        now = azure
            .cloud()
            .workspace(id)
            .await
            .map_err(|error| unread(id, &error))?;
    };
    grant_disks(cx, id, key, &principal, deadline).await?;
    Ok(now)
}

async fn grant_disks(
    cx: &Context<Client>,
    id: &WorkspaceResourceId,
    key: &VaultKeyId,
    principal: &PrincipalId,
    deadline: Deadline,
) -> Result<(), Diagnostics> {
    let azure = cx.client().keys().azure();
    let facts = azure.facts(key, None, Some(id), &[], Stage::Plan).await;
    let Some(vault) = &facts.vault_id else {
        let why = match &facts.vault {
            Fact::Unreadable(why) => why.reason.clone(),
            Fact::Known(_) => String::new(),
        };
        return Err(Diagnostic::error(
            "The vault of the key for managed disks is not known",
            format!(
                "The disk encryption set ({principal}) needs the use of {key}, and the provider does not find the vault: {why}.\n\nSet \
                 `azure.subscription_id` of the provider to the subscription of the vault, and apply again."
            ),
        )
        .on("managed_disks_key_configuration_id")
        .into());
    };
    let mark = mark_of_binding(id);
    let place = Place {
        key,
        vault,
        mark: &mark,
    };
    grant(
        cx,
        place,
        principal,
        Role::DiskEncryptionSet.in_words(),
        deadline,
        &mut false,
    )
    .await
    .map_err(|errors| {
        errors
            .into_iter()
            .map(|error| error.on("managed_disks_key_configuration_id"))
            .collect()
    })
}

/// A failed attach, for the user and for the state.
async fn explained(
    cx: &Context<Client>,
    plan: WorkspaceBindingModel,
    failure: Failure<ArmWorkspace>,
    existing: bool,
    progress: &Progress<WorkspaceBindingModel>,
) -> Diagnostics {
    let mut all = failure.diagnostics;
    // A refused update leaves its mark on the workspace.
    let azure = cx.client().keys().azure();
    let id = failure.now.id().clone();
    let now = azure.cloud().workspace(&id).await.unwrap_or(failure.now);
    if failure.is_about_the_key {
        let examined = examine(cx.client(), &plan, &now, Stage::Apply).await;
        all.extend(cx.client().report(
            examined.findings,
            &plan.ignore_findings,
            Stage::Apply,
            place,
        ));
    }
    // A new binding stays out of the state: written there together with an error, Terraform would replace it.
    if existing && let Ok(truth) = with_keys(showing(plan, &now), &now, false) {
        progress.save(truth);
    }
    all
}
