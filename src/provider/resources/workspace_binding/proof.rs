//! Everything there is to say about the attaches that a binding wants: the workspace, the configurations, the keys.

use super::{WorkspaceBindingModel, attribute};
use crate::databricks::Account;
use crate::databricks::workspaces::Workspace;
use crate::preflight::binding::{Attachment, ConfigurationFacts, WorkspaceFacts, judge};
use crate::preflight::{Finding, Stage, Subject};
use crate::provider::client::Client;
use crate::provider::diagnose;
use crate::provider::keys::{AttachNeed, Case, key_of};
use crate::vocabulary::UseCase;
use tfplugin::bridge::Attr;
use tfplugin::diagnostics::Diagnostics;

pub(super) fn facts(workspace: &Workspace) -> WorkspaceFacts {
    WorkspaceFacts {
        id: workspace.workspace_id,
        name: workspace.workspace_name.clone(),
        status: workspace.workspace_status.clone(),
        status_message: workspace
            .workspace_status_message
            .clone()
            .unwrap_or_default(),
        region: workspace.aws_region.clone(),
        pricing_tier: workspace.pricing_tier.clone(),
        cloud: workspace.cloud.clone(),
        serverless_only: workspace.is_serverless_only(),
        default_storage: workspace.has_default_storage(),
        managed_services: workspace.key(UseCase::ManagedServices),
        storage: workspace.key(UseCase::Storage),
    }
}

/// What the proof of a binding came to.
#[derive(Default)]
pub(super) struct Examined {
    /// What it found, errors first.
    pub(super) findings: Vec<Finding>,
    /// The keys that are to be attached.
    pub(super) keys: Vec<Case>,
}

impl Examined {
    /// One key under both fields: what concerns the key as a whole is said once.
    fn add(&mut self, finding: Finding) {
        let said = self.findings.iter().any(|other| {
            other.id == finding.id
                && other.summary == finding.summary
                && other.found == finding.found
        });
        if !said {
            self.findings.push(finding);
        }
    }
}

/// Everything there is to say about the wanted attaches.
pub(super) async fn examine(
    client: &Client,
    account: &Account,
    workspace: &Workspace,
    model: &WorkspaceBindingModel,
    stage: Stage,
) -> Result<Examined, Diagnostics> {
    let about = facts(workspace);
    let mut examined = Examined::default();
    let mut subjects = Vec::new();
    for case in UseCase::ALL {
        let Attr::Known(id) = model.wanted(case) else {
            continue;
        };
        let remote = match stage {
            Stage::Plan => client.reads().configuration(account, id).await,
            Stage::Apply => account.find_key_configuration(id).await,
        };
        let remote = remote.map_err(|error| {
            diagnose::account("The key configuration could not be read", &error).on(attribute(case))
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
        for finding in judge(&about, &attachment) {
            examined.add(finding);
        }
        let Some(remote) = &remote else { continue };
        let need = AttachNeed {
            account,
            reads: client.reads(),
            workspace,
            facts: &about,
            case,
            stage,
        };
        // What has no key that can be named was just judged.
        let (key, unknown) = Case::of_configuration(client.keys(), &need, remote).await;
        for finding in unknown {
            examined.add(finding);
        }
        if let Some(key) = key
            && (stage == Stage::Apply || client.keys().is_known(&key))
        {
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
    examined
        .findings
        .sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Ok(examined)
}
