//! Everything there is to say about the attaches that a binding wants: the workspace, the configurations, the keys.

use super::Examined;
use super::WorkspaceBindingModel;
use crate::databricks::Account;
use crate::databricks::workspaces::Workspace;
use crate::preflight::binding::{
    Attachment, ConfigurationFacts, judge, judge_planned, judge_planned_key, judge_workspace,
    of_candidates, undocumented_attach,
};
use crate::preflight::{Finding, Stage, Subject};
use crate::provider::client::Client;
use crate::provider::diagnose;
use crate::provider::keys::{AttachNeed, KeyCheck, key_of};
use crate::provider::resources::with_users;
use crate::vocabulary::UseCase;
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::diagnostics::Diagnostics;

/// Everything there is to say about the wanted attaches.
pub(super) async fn examine(
    client: &Client,
    account: &Account,
    workspace: &Workspace,
    model: &WorkspaceBindingModel,
    stage: Stage,
) -> Result<Examined, Diagnostics> {
    let about = workspace.facts();
    let mut examined = Examined::default();
    let mut subjects = Vec::new();
    for case in UseCase::ACCOUNT {
        let Attr::Known(id) = &model.configuration(case) else {
            continue;
        };
        let remote = client.reads().configuration(account, id).await;
        let remote = remote.map_err(|error| {
            diagnose::account("The key configuration could not be read", &error)
                .on(case.attribute())
        })?;
        let configuration = remote.as_ref().map(|remote| ConfigurationFacts {
            id: id.clone(),
            use_cases: remote.use_cases.clone(),
            key: key_of(remote),
        });
        let attachment = Attachment {
            case,
            id,
            configuration: configuration.as_ref(),
        };
        for finding in judge(&about, &attachment, stage) {
            examined.add(finding);
        }
        if stage == Stage::Plan
            && let Some(finding) = undocumented_attach(&about, case, Some(id))
        {
            examined.add(finding);
        }
        let Some(remote) = &remote else { continue };
        let need = AttachNeed {
            account,
            reads: client.reads(),
            workspace,
            facts: &about,
            use_case: case,
            stage,
        };
        // What has no key that can be named was just judged.
        let (key, unknown) = KeyCheck::of_configuration(client.keys(), &need, remote).await;
        for finding in unknown {
            examined.add(finding);
        }
        if let Some(key) = key
            && (stage == Stage::Apply || client.keys().is_known(&key))
        {
            let key = match workspace.uses_id(id.as_str()) {
                true => with_users(client, key).await,
                false => key,
            };
            examined.keys.push(key);
            subjects.push(Subject::of(case));
        }
    }
    let found = client.keys().examine(&examined.keys).await;
    for (subject, findings) in subjects.into_iter().zip(found) {
        for finding in findings {
            examined.add(Finding { subject, ..finding });
        }
    }
    Ok(examined.errors_first())
}

/// The findings about an attach of a configuration that the same plan creates, so that Terraform does not know its ID yet. The
/// run knows which ones it creates; where several may be meant, the proof examines each.
pub(super) async fn examine_planned(
    cx: &Context<Client>,
    account: &Account,
    workspace: &Workspace,
    case: UseCase,
) -> Vec<Finding> {
    let client = cx.client();
    let about = workspace.facts();
    let planned = client.run().planned_configurations();
    let use_cases: Vec<Vec<UseCase>> = planned.iter().map(|one| one.use_cases.clone()).collect();
    // A configuration that the run adopts has an ID already: it may be the one that the workspace has.
    let adopted = planned
        .iter()
        .filter(|one| one.use_cases.contains(&case))
        .filter_map(|one| one.adopts.as_ref())
        .find(|id| about.attached(case).known() == Some(*id));
    let mut findings = judge_workspace(&about, case, adopted, Stage::Plan);
    findings.extend(judge_planned(case, &use_cases));
    findings.extend(undocumented_attach(&about, case, adopted));
    let need = AttachNeed {
        account,
        reads: client.reads(),
        workspace,
        facts: &about,
        use_case: case,
        stage: Stage::Plan,
    };
    let mut candidates = Vec::new();
    for one in planned.iter().filter(|one| one.use_cases.contains(&case)) {
        let Some(request) = &one.request else {
            // Its key is not known yet, so nothing is found of it.
            candidates.push(Vec::new());
            continue;
        };
        let remote = request.planned();
        let mut found: Vec<Finding> = judge_planned_key(&about, case, &key_of(&remote))
            .into_iter()
            .collect();
        let (key, unknown) = KeyCheck::of_configuration(client.keys(), &need, &remote).await;
        found.extend(unknown);
        if let Some(key) = key
            && client.keys().is_known(&key)
        {
            let subject = Subject::of(case);
            let of_key = client.keys().examine(&[key]).await.concat();
            found.extend(of_key.into_iter().map(|one| Finding { subject, ..one }));
        }
        candidates.push(found);
    }
    findings.extend(of_candidates(candidates));
    findings
}
