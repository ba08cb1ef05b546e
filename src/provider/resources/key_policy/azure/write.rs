//! Preparing the workspace, giving access and taking it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::in_use::{Removal, refuse_removal, users};
use super::own::{ADDED, AWAITS_DISKS, Shown, added, adopt, owned};
use super::{
    KeyPolicyAzure, counts_for_vault, key_name, lines, name_of, of_own, parts, principals_in,
    promise, refuse_to_take_tables, scope, unread, workspace_of,
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
use crate::provider::resources::{known_set, workspace_cases};
use crate::provider::vault_access::{Place, grant, leave, revoke};
use crate::requirements::azure::{Grantee, Role, roles_of};
use crate::vocabulary::UseCase;
use crate::vocabulary::azure::{PrincipalId, VaultKeyId, VaultResourceId, WorkspaceResourceId};
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::resource::Progress;
use tfplugin::timeouts::Timeout;

/// How long preparing the workspace and granting may take: Azure takes about 10 to 15 minutes for an update of a workspace.
const CREATE: Timeout = Timeout::new("create", Duration::from_secs(60 * 60));
/// The same for a change.
const UPDATE: Timeout = Timeout::new("update", Duration::from_secs(60 * 60));

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
    let (mut grantees, open) = keys.grantees(cases, Some(&now), named, roles_of).await;
    grantees.extend(azure.of_tables().unwrap_or_default());
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

/// A key policy that is being put: what it is about, and until when.
struct Putting<'a> {
    cx: &'a Context<Client>,
    azure: &'a KeyPolicyAzure,
    cases: Vec<UseCase>,
    place: Place<'a>,
    is_whole_vault: bool,
    deadline: Deadline,
}

/// Who is to have access.
struct Granted {
    grantees: Vec<Grantee>,
    /// Whether the disk encryption set is still to be made, which the binding gives its access.
    awaits_disks: bool,
    /// Who else needs it, and is not known.
    open: Vec<(Role, UseCase, Unknown)>,
}

impl Granted {
    /// A principal that needs the key for several use cases is granted once.
    fn principals(&self) -> BTreeMap<PrincipalId, &Grantee> {
        let named = |grantee: &'_ Grantee| grantee.principal.clone();
        self.grantees.iter().map(|one| (named(one), one)).collect()
    }
}

async fn put_access(
    cx: &Context<Client>,
    mut plan: KeyPolicyModel,
    prior: Option<&KeyPolicyModel>,
) -> Result<KeyPolicyModel, Diagnostics> {
    let bug = || Diagnostic::bug("A key policy was applied before its configuration was known.");
    let keys = cx.client().keys().azure();
    let limit = if prior.is_some() { UPDATE } else { CREATE };
    let deadline = Deadline::after(limit.of(&plan.timeouts));
    let cases = workspace_cases(&plan.use_cases).ok_or_else(bug)?;
    let Some((azure, key, vault)) = parts(&plan) else {
        return Err(bug().into());
    };
    let mark = leaving::whose(cx, &plan);
    let putting = Putting {
        cx,
        azure,
        cases,
        place: Place {
            key,
            vault,
            mark: &mark,
        },
        is_whole_vault: counts_for_vault(cx, (key, vault), azure).await,
        deadline,
    };
    keys_shares(cx);
    keys.is_in_vault(key, vault.clone());
    let named = azure.databricks_principal_id.known();
    named.into_iter().for_each(|own| keys.databricks_is(own));
    refuse_before(cx, azure, &putting.cases).await?;
    let mut granted = putting.who_is_granted().await?;
    let open = std::mem::take(&mut granted.open);
    if !open.is_empty() {
        refuse_unknown(cx, &plan, putting.place, open).await?;
    }
    let wanted = granted.principals();
    promise::refuse_others(azure, &wanted.keys().cloned().collect())?;
    putting.give(&wanted).await?;
    let access_model = putting.adopt_what_shows(&granted).await?;
    cx.set_private(AWAITS_DISKS, &granted.awaits_disks);
    leaving::stays(cx);
    let before = prior.and_then(|prior| prior.azure.known());
    putting
        .give_up(&wanted, before, plan.may_be_destroyed())
        .await?;
    let principals: Vec<PrincipalId> = wanted.keys().cloned().collect();
    if let Attr::Known(azure) = &mut plan.azure {
        if azure.principals.is_unknown() {
            azure.principals = known_set(principals);
        }
        if azure.access_model.is_unknown() {
            azure.access_model = Attr::Known(access_model);
        }
    }
    Ok(plan)
}

impl Putting<'_> {
    /// Who needs the key, by the workspace as it is now, which is prepared where its storage account is to use the key.
    async fn who_is_granted(&self) -> Result<Granted, Diagnostics> {
        let keys = self.cx.client().keys().azure();
        let workspace = match self.azure.workspace_resource_id.known() {
            None => None,
            Some(id) if self.cases.contains(&UseCase::Storage) => {
                Some(prepared(self.cx, id, self.deadline).await?)
            }
            Some(id) => {
                let read = keys.cloud().workspace(id).await;
                Some(read.map_err(|error| unread(id, &error))?)
            }
        };
        let named = self.azure.databricks_principal_id.known();
        let (mut grantees, not_known) = keys
            .grantees(&self.cases, workspace.as_ref(), named, roles_of)
            .await;
        let of_tables = self.azure.of_tables();
        grantees.extend(of_tables.ok_or_else(|| {
            Diagnostic::bug("A key policy was applied before its storage accounts were known.")
        })?);
        let is_to_come = |(role, _, why): &(Role, UseCase, Unknown)| {
            *role == Role::DiskEncryptionSet && matches!(why, Unknown::NotYetMade)
        };
        let (to_come, open): (Vec<_>, Vec<_>) = not_known.into_iter().partition(is_to_come);
        Ok(Granted {
            grantees,
            awaits_disks: !to_come.is_empty(),
            open,
        })
    }

    /// Gives each principal access, and keeps in mind whom this resource has given it.
    async fn give(&self, wanted: &BTreeMap<PrincipalId, &Grantee>) -> Result<(), Diagnostics> {
        let mut own = added(self.cx, self.place.key);
        for (principal, grantee) in wanted {
            let grantee = (grantee.role.in_words(), principal);
            let mut given = false;
            let outcome = grant(self.cx, self.place, grantee, self.deadline, &mut given).await;
            if given {
                own.insert(principal.clone());
                self.cx.set_private(ADDED, &own);
            }
            outcome?;
        }
        Ok(())
    }

    /// Adopts what an interrupted run of this resource gave, which its name shows. Answers how the vault decides about access.
    async fn adopt_what_shows(&self, granted: &Granted) -> Result<String, Diagnostics> {
        let Place { key, vault, .. } = self.place;
        let principals: Vec<PrincipalId> = granted.principals().into_keys().collect();
        let keys = self.cx.client().keys().azure();
        let facts = keys.facts(key, Some(vault), None, &principals, Stage::Apply);
        let facts = facts.await;
        let Fact::Known(shown) = &facts.vault else {
            return Err(Diagnostic::error(
                "The vault could not be read",
                format!("{vault} was read a moment ago, and cannot be read now. The access to {key} is given. Apply again."),
            )
            .into());
        };
        let there = Shown {
            facts: &facts,
            workspace: self.azure.workspace_resource_id.known(),
            principals: principals.into_iter().collect(),
            grantees: &granted.grantees,
        };
        adopt(self.cx, self.place, &there).await;
        Ok(name_of(&shown.access).to_owned())
    }

    /// Takes access from the principals that the plan no longer names, and that no workspace needs.
    async fn give_up(
        &self,
        wanted: &BTreeMap<PrincipalId, &Grantee>,
        before: Option<&KeyPolicyAzure>,
        is_agreed: bool,
    ) -> Result<(), Diagnostics> {
        let (cx, Place { key, vault, .. }) = (self.cx, self.place);
        let mut own = added(cx, key);
        // What it has in common with one that went in this run is its own from now on.
        let names = wanted.keys().map(ToString::to_string).collect();
        let scope = scope(key, self.is_whole_vault);
        let inherited = keys_shares(cx).inherited(&scope, &names);
        own.extend(principals_in(&wanted.keys().cloned().collect(), &inherited));
        cx.set_private(ADDED, &own);
        let unwanted = own.iter().filter(|one| !wanted.contains_key(one));
        let given_up: BTreeSet<PrincipalId> = unwanted.cloned().collect();
        let names = given_up.iter().map(ToString::to_string).collect();
        let kept = leaving::needed_now(cx, &scope, &names);
        let going = leaving::removed(&names, &BTreeSet::new(), &kept);
        let mut lost = principals_in(&given_up, &going);
        // What workspaces need by now stays, whatever the plan has seen.
        let removal = Removal {
            lost: &lost,
            vault,
            what: "This change",
            stage: Stage::Apply,
            is_whole_vault: self.is_whole_vault,
            is_agreed,
            is_left: true,
        };
        let tables = match before {
            Some(before) => refuse_to_take_tables(cx, before, key, &removal).await,
            None => Ok(()),
        };
        let needed = match tables {
            Ok(()) => refuse_removal(cx, key, &removal).await,
            refused => refused,
        };
        if let Err(refused) = needed {
            leaving::left(cx, &key_name(key), refused);
            lost.clear();
        }
        for principal in lost {
            revoke(cx.client(), self.place, &principal).await?;
            own.remove(&principal);
            cx.set_private(ADDED, &own);
        }
        Ok(())
    }
}

/// Refuses to grant while it is not known to whom.
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
    refuse_to_take_tables(cx, azure, key, &removal).await?;
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
