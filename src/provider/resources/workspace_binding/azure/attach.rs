//! Attaching keys to a workspace on Azure, and giving the disk encryption set that this makes the use of its key.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use super::former::{remember, versions_of};
use super::proof::{examine, of_disks, place};
use super::{azure_of, filled, key_of, keys_of, missing, showing, unread, with_keys};
use crate::clouds::azure::{ArmWorkspace, AzureError, WantedKeys};
use crate::preflight::{Fact, Finding, Stage};
use crate::provider::attach::Orders;
use crate::provider::attach::arm::{ArmPlatform, SETTLE};
use crate::provider::client::{Client, enforce};
use crate::provider::deadline::{Deadline, Pause, pause};
use crate::provider::diagnose;
use crate::provider::keys::KeyCheck;
use crate::provider::resources::workspace_binding::attach::{
    Wanted, Workspaces, attach as attach_to,
};
use crate::provider::resources::workspace_binding::{Examined, WorkspaceBindingModel};
use crate::provider::vault_access::{Place, grant, mark_of_binding};
use crate::requirements::azure::Role;
use crate::vocabulary::UseCase;
use crate::vocabulary::azure::{PrincipalId, VaultKeyId, WorkspaceResourceId};
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
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

/// The workspace of a binding in Resource Manager.
struct InArm<'a> {
    id: &'a WorkspaceResourceId,
    rotates: bool,
    grants: bool,
}

impl InArm<'_> {
    /// The storage key is taken back.
    fn resets_storage(wanted: Wanted<'_>) -> bool {
        let had = wanted
            .prior
            .is_some_and(|prior| !prior.wanted(UseCase::Storage).is_null());
        had && wanted.plan.wanted(UseCase::Storage).is_null()
    }
}

impl Workspaces for InArm<'_> {
    type Workspace = ArmWorkspace;
    type Platform<'a>
        = ArmPlatform<'a>
    where
        Self: 'a;

    const POLICIES_CHANGE_IT: bool = true;

    fn place(finding: &Finding) -> &'static str {
        place(finding)
    }

    async fn former_key(&self, wanted: Wanted<'_>) -> Result<Option<String>, Diagnostics> {
        Ok(wanted
            .prior
            .and_then(|prior| former_key(prior, wanted.plan)))
    }

    async fn read(&self, wanted: Wanted<'_>) -> Result<ArmWorkspace, Diagnostics> {
        let cloud = wanted.cx.client().keys().azure().cloud();
        let read = cloud.workspace(self.id).await;
        read.map_err(|error| unread(self.id, &error))
    }

    fn is_missing(&self, wanted: Wanted<'_>, now: &ArmWorkspace) -> bool {
        !missing(wanted.plan, self.rotates, now).is_empty() || Self::resets_storage(wanted)
    }

    async fn examine(
        &self,
        wanted: Wanted<'_>,
        now: &ArmWorkspace,
    ) -> Result<Examined, Diagnostics> {
        Ok(examine(wanted.cx.client(), wanted.plan, now, Stage::Apply).await)
    }

    async fn lock(&self, wanted: Wanted<'_>) -> OwnedMutexGuard<()> {
        let azure = wanted.cx.client().keys().azure();
        azure.lock_workspace(self.id).await
    }

    async fn ready<'a>(
        &'a self,
        wanted: Wanted<'a>,
        now: &ArmWorkspace,
        keys: Vec<KeyCheck>,
    ) -> Result<(ArmPlatform<'a>, Orders), Diagnostics> {
        let client = wanted.cx.client();
        let set = versions(client, wanted.plan, now, self.rotates).await?;
        if let Some(key) = set.get(&UseCase::ManagedDisks)
            && self.grants
            && let Ok(Some(principal)) = now.disks_principal()
        {
            grant_disks(wanted.cx, self.id, key, &principal, wanted.deadline).await?;
        }
        let orders = wanted.orders(by_version(keys, &set), SETTLE);
        let platform = ArmPlatform {
            client,
            id: self.id.clone(),
            keys: set.values().cloned().collect(),
            wanted: WantedKeys {
                set,
                reset_storage: Self::resets_storage(wanted),
                rotate_disks: self.rotates,
            },
            deadline: wanted.deadline,
            stop: wanted.cx.stop().clone(),
        };
        Ok((platform, orders))
    }

    fn was_changed(&self, wanted: Wanted<'_>, before: &ArmWorkspace, after: &ArmWorkspace) {
        wanted.cx.client().keys().azure().forget_workspace(self.id);
        remember(wanted.cx, &versions_of(before), after);
    }

    async fn complete(
        &self,
        wanted: Wanted<'_>,
        now: ArmWorkspace,
    ) -> Result<WorkspaceBindingModel, Diagnostics> {
        let cx = wanted.cx;
        let disks_key = now.key(UseCase::ManagedDisks).known().cloned();
        let wants_disks = key_of(wanted.plan, UseCase::ManagedDisks).is_some();
        let now = match disks_key.filter(|_| wants_disks) {
            Some(key) if self.grants => {
                match give_disks(cx, now.clone(), self.id, &key, wanted.deadline).await {
                    Ok(now) => now,
                    Err(errors) => {
                        // The keys are attached: an update says so in the state. A new binding stays out of it, since Terraform would
                        // replace it; the next apply finds the keys attached and goes on with the access.
                        if wanted.prior.is_some() {
                            let mut model = showing(wanted.plan.clone(), &now);
                            model.proof =
                                wanted.prior.map_or(Attr::Null, |prior| prior.proof.clone());
                            wanted.progress.save(model);
                        }
                        return Err(errors);
                    }
                }
            }
            Some(_) => {
                // The user need not guess what a disk encryption set without access means.
                let found = of_disks(cx.client(), &now, Stage::Apply).await;
                enforce(cx, found, &wanted.plan.ignore_findings, Stage::Apply, place)?;
                now
            }
            None => now,
        };
        let mut model = filled(wanted.plan.clone(), &now);
        if model.proof.is_unknown() {
            model.prove(cx.client(), keys_of(wanted.plan).unwrap_or_default());
        }
        Ok(model)
    }

    async fn after_failure(&self, wanted: Wanted<'_>, seen: ArmWorkspace) -> ArmWorkspace {
        self.read(wanted).await.unwrap_or(seen)
    }

    fn truth(
        &self,
        wanted: Wanted<'_>,
        now: &ArmWorkspace,
    ) -> Result<WorkspaceBindingModel, Diagnostics> {
        Ok(WorkspaceBindingModel {
            proof: wanted.prior.map_or(Attr::Null, |prior| prior.proof.clone()),
            ..with_keys(showing(wanted.plan.clone(), now), now, false)?
        })
    }
}

/// Attaches what is not attached yet, and waits until it is there to stay. `prior`: the binding in the state, if it is there already.
pub(in super::super) async fn attach(
    cx: &Context<Client>,
    plan: &WorkspaceBindingModel,
    prior: Option<&WorkspaceBindingModel>,
    progress: &Progress<WorkspaceBindingModel>,
) -> Result<WorkspaceBindingModel, Diagnostics> {
    let Some((block, id)) = azure_of(plan) else {
        return Err(Diagnostic::bug(
            "A workspace binding was applied before its workspace was known.",
        )
        .into());
    };
    let workspaces = InArm {
        id,
        rotates: block.rotates(),
        grants: block.grants(),
    };
    attach_to(&workspaces, cx, plan, prior, progress).await
}

/// The keys to watch while they settle: by the version that is attached, whatever becomes the newest one meanwhile.
fn by_version(mut keys: Vec<KeyCheck>, set: &BTreeMap<UseCase, VaultKeyId>) -> Vec<KeyCheck> {
    for one in &mut keys {
        let KeyCheck::Azure(one) = one else { continue };
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
        (Role::DiskEncryptionSet.in_words(), principal),
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
