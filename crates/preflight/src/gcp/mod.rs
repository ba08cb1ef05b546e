//! Is this key of Cloud KMS fit for its use? Its purpose, its versions, its place, and who may use it.

mod access;
mod condition;
mod deny;
mod facts;
mod members;
mod state;
#[cfg(test)]
mod tests;

pub use access::{Access, access, account_of, granted_by, lost_without};
pub use deny::{Denial, denied_by};
pub use facts::{
    Binding, CryptoKey, CryptoKeyFacts, CryptoKeyVersion, DenyLevel, DenyRule, IamCondition,
    PlannedMembers, PolicyLevel, VersionState,
};
pub use state::{enabling, has_unusable_versions, state_of, state_of_primary};

use super::{Fact, Finding, Id, Remedy, Stage, Subject, Unreadable};
use requirements::gcp::Usage;
use vocabulary::gcp::{CryptoKeyName, ServiceAccount};

/// What a proof asks of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The accounts that need the key.
    pub usage: Usage,
    /// Whether Terraform plans or applies.
    pub stage: Stage,
    /// The workspaces that use the key already, in words: versions that cannot be used keep their data away.
    pub users: Vec<String>,
    /// Whether the caller relies on the key, and attaches nothing: then a version that those workspaces may need and cannot use is an error.
    pub is_relied_on: bool,
    /// The accounts that Databricks creates for workspaces, where their names are known. No API shows them: without access, they are
    /// warned of.
    pub workspace_accounts: Vec<ServiceAccount>,
}

impl Question {
    /// Of a key that no workspace uses yet.
    pub fn new(usage: Usage, stage: Stage) -> Self {
        Self {
            usage,
            stage,
            users: Vec::new(),
            is_relied_on: false,
            workspace_accounts: Vec::new(),
        }
    }
}

/// Everything there is to say about a key, errors first.
pub fn judge(facts: &CryptoKeyFacts, question: &Question) -> Vec<Finding> {
    let mut findings: Vec<Finding> = location(&facts.name).into_iter().collect();
    let key = match &facts.key {
        Fact::Known(key) => key,
        Fact::Unreadable(why) => {
            findings.push(unreadable(&facts.name, "", why, question.stage));
            return findings;
        }
    };
    findings.extend(state::kind(facts, key, &question.usage.use_cases));
    findings.extend(state::primary(facts, key, &question.users));
    match &facts.versions {
        Fact::Known(versions) => findings.extend(state::others(facts, key, versions, question)),
        Fact::Unreadable(why) => findings.push(unreadable(
            &facts.name,
            "its versions: ",
            why,
            question.stage,
        )),
    }
    findings.extend(members::judge(facts, question));
    findings.extend(deny::judge(facts, question));
    findings.extend(not_examined(facts, question));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

fn gcloud(verb: &str, key: &CryptoKeyName) -> String {
    format!(
        "gcloud kms {verb} --project {} --location {} --keyring {}",
        key.project(),
        key.location(),
        key.ring()
    )
}

/// What could not be read. `what`: of the key, where it is not the key itself.
fn unreadable(key: &CryptoKeyName, what: &str, why: &Unreadable, stage: Stage) -> Finding {
    let follows = match stage {
        Stage::Plan => {
            "Planning continues with this warning; an apply stops before it attaches anything."
        }
        Stage::Apply => "Nothing is attached.",
    };
    let remedy = why.remedy.clone().unwrap_or_else(|| {
        let permission = why.permission.map(|one| format!(" ({one})")).unwrap_or_default();
        let grant = format!(
            "{} --member serviceAccount:… --role roles/cloudkms.viewer",
            gcloud(&format!("keys add-iam-policy-binding {}", key.key()), key)
        );
        match why.is_missing {
            true => Remedy::say("Check the name of the key, its project and its location."),
            false => Remedy::say(format!(
                "Check the name. Allow the identity that runs Terraform to read the key{permission}:"
            ))
            .run([grant]),
        }
    });
    Id::GcpKeyUnreadable
        .unread(Subject::Key, stage)
        .found(format!("{key}: {what}{}.", why.reason))
        .why(format!(
            "The provider cannot see whether the key is enabled, nor prove that Databricks can use it. {follows}"
        ))
        .remedy(remedy)
}

/// Databricks needs the key in the region of the workspace. Source: Cloud KMS locations; databricks-sdk-go issue 1083.
pub fn location(key: &CryptoKeyName) -> Option<Finding> {
    if key.is_regional() {
        return None;
    }
    Some(
        Id::GcpKeyLocation
            .error(Subject::Key)
            .found(format!(
                "{key} is in the location `{}`, which is not a region.",
                key.location()
            ))
            .why("Databricks refuses keys of multi-regions and of `global`: the key must be in the region of the workspace. A key cannot be moved.")
            .remedy("Create a key ring and a key in the region of the workspace."),
    )
}

/// The finding that lists what the proof of a binding did not examine.
fn not_examined(facts: &CryptoKeyFacts, question: &Question) -> Option<Finding> {
    let reason = question.usage.not_known.as_ref()?;
    // Who asks by hand names them; a workspace that is known names its accounts itself.
    let is_unnamed = question.usage.unnamed().as_ref() == Some(reason);
    let remedy = match is_unnamed {
        true => {
            "Set `databricks_service_accounts` to the service accounts of Databricks (`dbxcmk_key_configuration.….gcp.service_account_email` \
             and the service account of each workspace), and for the use case `STORAGE` also `workspace_project_number`."
        }
        false => {
            "Allow the identity that runs Terraform to call resourcemanager.projects.get on the project of the workspace \
             (roles/browser). `dbxcmk_key_policy` with `workspace_project_number` grants the service agents what they need."
        }
    };
    Some(
        Id::GcpMembersNotExamined
            .warning(Subject::Key)
            .found(format!(
                "The provider did not examine every service account that needs {}: {reason}.",
                facts.name
            ))
            .why("Without access for each of them, the attach fails, or clusters do not start.")
            .remedy(remedy),
    )
}
