//! The proof of the keys of a workspace on Azure: the workspace, the keys, and who has to be able to use them.

use std::collections::BTreeMap;

use super::{WorkspaceBindingAzure, key_of};
use crate::clouds::azure::ArmWorkspace;
use crate::preflight::azure::{Judged, Question, judge_version, judge_workspace, state_of};
use crate::preflight::{Fact, Finding, Id, Remedy, Stage, Subject};
use crate::provider::client::Client;
use crate::provider::diagnose::as_warnings;
use crate::provider::keys::{AzureCase, Case};
use crate::provider::resources::workspace_binding::{
    Examined, WorkspaceBindingModel, place as of_attribute,
};
use crate::requirements::azure::{follows_new_versions, roles_before, roles_of};
use crate::vocabulary::azure::VaultKeyId;
use crate::vocabulary::{KeyState, UseCase};

/// The attribute that a finding is about.
pub(super) fn place(finding: &Finding) -> &'static str {
    match finding.subject {
        Subject::Workspace | Subject::Key => "azure.workspace_resource_id",
        _ => of_attribute(finding),
    }
}

/// Everything there is to say about the wanted attaches: the workspace, the keys, and who has to be able to use them.
pub(super) async fn examine(
    client: &Client,
    model: &WorkspaceBindingModel,
    now: &ArmWorkspace,
    stage: Stage,
) -> Examined {
    let azure = client.keys().azure();
    let block = model.azure.known();
    let (rotates, grants) = (
        block.is_some_and(WorkspaceBindingAzure::rotates),
        block.is_none_or(WorkspaceBindingAzure::grants),
    );
    let about = now.facts();
    let mut examined = Examined::default();
    let mut older: BTreeMap<Versions, Vec<UseCase>> = BTreeMap::new();
    for case in UseCase::ALL {
        if model.wanted(case).is_null() {
            continue;
        }
        for finding in judge_workspace(&about, case) {
            examined.add(finding);
        }
        let Some(key) = key_of(model, case) else {
            continue;
        };
        let judged = about.judged(case, key, now.has(case, key, rotates));
        let former = about.former(case, &judged);
        // The disk encryption set that the attach makes, or that is there, gets its access from this binding.
        let has_set = matches!(now.disks_principal(), Ok(Some(_)));
        let roles = match (has_set, grants) {
            (true, false) => roles_of,
            _ => roles_before,
        };
        let (needers, not_known) = azure.needers(&[case], Some(now), None, roles).await;
        let question = Question {
            cases: judged.cases,
            used_for: judged.used_for,
            needers,
            not_known,
            workspace: Some(now.id().clone()),
            location: now.location().map(str::to_owned),
            tenant: now.tenant().map(str::to_owned),
            stage,
        };
        if let Some(former) = former {
            for finding in of_former(client, now, former, stage).await {
                examined.add(finding);
            }
        }
        let one = Case::Azure(Box::new(AzureCase {
            key: judged.key,
            vault: None,
            question,
            roles: Some(roles),
        }));
        let found = client.keys().examine(std::slice::from_ref(&one)).await;
        for finding in found.concat() {
            let subject = Subject::of(case);
            examined.add(Finding { subject, ..finding });
        }
        examined.keys.push(one);
        if stage == Stage::Plan
            && let Some(versions) = pinned(client, now, case, key, rotates).await
        {
            older.entry(versions).or_default().push(case);
        }
    }
    let pinned = older.iter();
    let pinned = pinned.map(|(versions, cases)| at_older_version(versions, cases));
    examined.findings.extend(pinned);
    examined.errors_first()
}

/// What there is to say about a version that the workspace has until another one takes its place: it is needed until then, and no reason to
/// refuse the change.
async fn of_former(
    client: &Client,
    now: &ArmWorkspace,
    former: Judged,
    stage: Stage,
) -> Vec<Finding> {
    let azure = client.keys().azure();
    let facts = azure
        .facts(&former.key, None, Some(now.id()), &[], stage)
        .await;
    let question = Question {
        cases: former.cases,
        used_for: former.used_for,
        needers: Vec::new(),
        not_known: Vec::new(),
        workspace: Some(now.id().clone()),
        location: None,
        tenant: None,
        stage,
    };
    as_warnings(judge_version(&facts, &question))
}

/// The version that a workspace has of a key, and the newest one, with the state of that one.
type Versions = (VaultKeyId, VaultKeyId, String);

/// The versions, where a workspace stays at an older one of a key of which the configuration names none.
async fn pinned(
    client: &Client,
    now: &ArmWorkspace,
    case: UseCase,
    key: &VaultKeyId,
    rotates: bool,
) -> Option<Versions> {
    if key.version().is_some() {
        return None;
    }
    let attached = now.key(case);
    let attached = attached.known().filter(|own| own.is_same_key(key))?;
    let facts = client
        .keys()
        .azure()
        .facts(key, None, Some(now.id()), &[], Stage::Plan)
        .await;
    let Fact::Known(current) = &facts.key else {
        return None;
    };
    let state = state_of(current, facts.at);
    let current = key.with_version(&current.version);
    // What follows by itself is behind only for a while, unless it cannot follow.
    let is_behind = state != KeyState::Enabled || !follows_new_versions(case, rotates);
    (is_behind && attached.version().is_some() && *attached != current)
        .then(|| (attached.clone(), current, state.to_string()))
}

/// A newest version that cannot be used, and that nobody uses.
fn before_an_unusable_version((own, current, state): &Versions, cases: &str) -> Finding {
    Id::AzureVersionPinned
        .warning(Subject::Workspace)
        .summary("The newest version of the key cannot be used")
        .found(format!(
            "The newest version {} of {} is in the state {state}. The workspace uses the version {} for {cases}.",
            current.version().unwrap_or_default(),
            own.versionless(),
            own.version().unwrap_or_default()
        ))
        .why("The workspace keeps working. Whatever is attached to the key without a version would get the newest one, and fail.")
        .remedy(format!(
            "Enable the newest version, or pin the one that is used:\n\n  key_vault_key_id = \"{own}\""
        ))
}

fn at_older_version(versions: &Versions, cases: &[UseCase]) -> Finding {
    let (own, current, state) = versions;
    let listed: Vec<&str> = cases.iter().map(|case| case.in_words()).collect();
    if *state != KeyState::Enabled.to_string() {
        return before_an_unusable_version(versions, &listed.join(" and "));
    }
    let also = match cases.contains(&UseCase::ManagedDisks) {
        true => {
            " Or let managed disks follow by themselves: `rotate_managed_disks_to_latest_version = true`."
        }
        false => "",
    };
    Id::AzureVersionPinned
        .warning(Subject::Workspace)
        .found(format!(
            "The workspace uses the version {} of {} for {}; the vault's current version is {}.",
            own.version().unwrap_or_default(),
            own.versionless(),
            listed.join(" and "),
            current.version().unwrap_or_default()
        ))
        .why(
            "The configuration names no version, so the workspace stays at the version that was current when the key was attached. That version \
             must stay enabled.",
        )
        .remedy(
            Remedy::say("To move to the current version, name it (`azurerm_key_vault_key.….id`):")
                .paste(format!("key_vault_key_id = \"{current}\""))
                .and_say(format!("Keep the old version enabled for 24 hours.{also}")),
        )
}
