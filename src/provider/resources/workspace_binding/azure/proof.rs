//! The proof of the keys of a workspace on Azure: the workspace, the keys, and the identities that must be able to use them.

use std::collections::BTreeMap;

use super::{WorkspaceBindingAzure, key_of};
use crate::clouds::azure::ArmWorkspace;
use crate::preflight::azure::{
    Behind, Judged, Question, behind, judge_access, judge_configuration, judge_version,
    judge_workspace,
};
use crate::preflight::{Fact, Finding, Id, Stage, Subject};
use crate::provider::client::Client;
use crate::provider::diagnose::as_warnings;
use crate::provider::keys::{AzureKeyCheck, KeyCheck};
use crate::provider::resources::workspace_binding::{
    Examined, WorkspaceBindingModel, place as of_attribute,
};
use crate::requirements::azure::{Role, roles_before, roles_of};
use crate::vocabulary::UseCase;
use crate::vocabulary::azure::{PrincipalId, VaultKeyId};

/// The attribute that a finding is about.
pub(super) fn place(finding: &Finding) -> &'static str {
    match finding.subject {
        Subject::Workspace | Subject::Key => "azure.workspace_resource_id",
        _ => of_attribute(finding),
    }
}

/// All findings about the wanted attaches: about the workspace, the keys, and the identities that must be able to use them.
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
    let mut older: BTreeMap<Behind, Vec<UseCase>> = BTreeMap::new();
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
        // An apply does not show the provider the configurations that stay as they are, so the plan judges, which sees all.
        if stage == Stage::Plan
            && !client.keys().shares().is_applying()
            && let Some(made_for) = azure.made_for(key)
            && let Some(finding) = judge_configuration(key, case, &made_for)
        {
            examined.add(finding);
        }
        let judged = about.judged(case, key, now.has(case, key, rotates));
        let former = about.former(case, &judged);
        // The disk encryption set that the attach makes, or that is there, gets its access from this binding.
        let has_set = matches!(now.disks_principal(), Ok(Some(_)));
        let roles = match (has_set, grants) {
            (true, false) => roles_of,
            _ => roles_before,
        };
        let (grantees, not_known) = azure.grantees(&[case], Some(now), None, roles).await;
        let question = Question {
            cases: judged.cases,
            used_for: judged.used_for,
            grantees,
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
        let one = KeyCheck::Azure(Box::new(AzureKeyCheck {
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
    let pinned = pinned.map(|(versions, cases)| versions.finding(cases));
    examined.findings.extend(pinned);
    examined.errors_first()
}

/// The findings about the access of the disk encryption set to the key that the workspace has for managed disks. The binding gives that access
/// itself, so they do not stop it.
pub(super) async fn of_disks(client: &Client, now: &ArmWorkspace, stage: Stage) -> Vec<Finding> {
    let attached = now.key(UseCase::ManagedDisks);
    let Some(key) = attached.known() else {
        return Vec::new();
    };
    let azure = client.keys().azure();
    let roles = |case| match case {
        UseCase::ManagedDisks => [Role::DiskEncryptionSet].as_slice(),
        _ => &[],
    };
    let cases = vec![UseCase::ManagedDisks];
    let (grantees, not_known) = azure.grantees(&cases, Some(now), None, roles).await;
    let principals: Vec<PrincipalId> = grantees.iter().map(|one| one.principal.clone()).collect();
    let facts = azure.facts(key, None, Some(now.id()), &principals, stage);
    let facts = facts.await;
    let question = Question {
        cases,
        used_for: Vec::new(),
        grantees,
        not_known,
        workspace: Some(now.id().clone()),
        location: None,
        tenant: None,
        stage,
    };
    let findings = judge_access(&facts, &question).into_iter();
    let of_disks = findings.map(|finding| Finding {
        subject: Subject::of(UseCase::ManagedDisks),
        ..finding
    });
    as_warnings(of_disks.collect())
}

/// Whether the disk encryption set certainly has no access to the key that the workspace has for managed disks.
pub(super) async fn lacks_disks(client: &Client, now: &ArmWorkspace) -> bool {
    let found = of_disks(client, now, Stage::Plan).await;
    found.iter().any(|one| one.id == Id::AzurePrincipalMissing)
}

/// The same, where a binding gives the access back.
pub(super) fn to_be_given(findings: Vec<Finding>) -> Vec<Finding> {
    let given = |finding: Finding| {
        match finding.id {
        Id::AzurePrincipalMissing => finding.remedy(
            "Apply: this binding gives the access (`grant_managed_disks_access`). Then start the virtual machines that shut down.",
        ),
        _ => finding,
    }
    };
    findings.into_iter().map(given).collect()
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
        grantees: Vec::new(),
        not_known: Vec::new(),
        workspace: Some(now.id().clone()),
        location: None,
        tenant: None,
        stage,
    };
    as_warnings(judge_version(&facts, &question))
}

/// The versions, where a workspace stays at an older one of a key of which the configuration names none.
async fn pinned(
    client: &Client,
    now: &ArmWorkspace,
    case: UseCase,
    key: &VaultKeyId,
    rotates: bool,
) -> Option<Behind> {
    if key.version().is_some() {
        return None;
    }
    let azure = client.keys().azure();
    let facts = azure.facts(key, None, Some(now.id()), &[], Stage::Plan);
    let facts = facts.await;
    let Fact::Known(newest) = &facts.key else {
        return None;
    };
    let attached = now.key(case);
    behind(case, key, attached.known()?, (newest, facts.at), rotates)
}
