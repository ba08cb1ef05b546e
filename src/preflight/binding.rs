//! May this key configuration go under this workspace? The transitions that the platform knows, and what has to agree.

use super::{Finding, Id, Severity, Stage, Subject, unread_severity};
use crate::vocabulary::{
    AttachedKey, Cloud, KeyArn, KeyConfigurationId, Tier, UseCase, WorkspaceId, WorkspaceStatus,
};

/// What is known of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceFacts {
    /// Which workspace.
    pub id: WorkspaceId,
    /// Its name.
    pub name: String,
    /// Its status.
    pub status: WorkspaceStatus,
    /// What the platform says about the status.
    pub status_message: String,
    /// Its AWS region.
    pub region: Option<String>,
    /// Its pricing tier, as far as the account says.
    pub pricing_tier: Option<Tier>,
    /// Whose cloud it runs in, as far as the account says.
    pub cloud: Option<Cloud>,
    /// Whether it has serverless compute alone.
    pub serverless_only: bool,
    /// Whether its data lies in storage of Databricks and not in a bucket of the customer.
    pub default_storage: bool,
    /// The configuration that encrypts its managed services now.
    pub managed_services: AttachedKey,
    /// The configuration that encrypts its storage now.
    pub storage: AttachedKey,
}

impl WorkspaceFacts {
    /// The configuration that is attached for a use case.
    pub fn attached(&self, case: UseCase) -> &AttachedKey {
        match case {
            UseCase::ManagedServices => &self.managed_services,
            UseCase::Storage => &self.storage,
        }
    }

    fn in_words(&self) -> String {
        format!("workspace {} (\"{}\")", self.id, self.name)
    }
}

/// What is known of a key configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigurationFacts {
    /// Which configuration.
    pub id: KeyConfigurationId,
    /// What it is made for, as the account says.
    pub use_cases: Vec<String>,
    /// Its key.
    pub key: ConfigurationKey,
}

/// The key of a key configuration, as the account shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigurationKey {
    /// A key of AWS.
    Aws(KeyArn),
    /// A key of another cloud, by its name there.
    Elsewhere(Cloud, String),
    /// Something that this version cannot read, as it came, and why.
    Unreadable(String),
    /// The account shows no key.
    Missing,
}

impl ConfigurationKey {
    /// The key, when it is one of AWS.
    pub fn aws(&self) -> Option<&KeyArn> {
        match self {
            Self::Aws(key) => Some(key),
            _ => None,
        }
    }
}

/// One attach that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment<'a> {
    /// For what.
    pub case: UseCase,
    /// With which configuration.
    pub id: &'a KeyConfigurationId,
    /// What is known of it; `None` when the account has no such configuration.
    pub configuration: Option<&'a ConfigurationFacts>,
}

fn subject(case: UseCase) -> Subject {
    match case {
        UseCase::ManagedServices => Subject::ManagedServicesConfiguration,
        UseCase::Storage => Subject::StorageConfiguration,
    }
}

/// What a workspace itself says against an attach for a use case. `wanted`: the configuration; `None` while the same plan creates it,
/// so that its id is not known yet.
pub fn judge_workspace(
    workspace: &WorkspaceFacts,
    case: UseCase,
    wanted: Option<&KeyConfigurationId>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut push =
        |id, severity, subject, summary: String, found: String, why: &str, remedy: String| {
            findings.push(Finding {
                id,
                severity,
                subject,
                summary,
                found,
                why: why.to_owned(),
                remedy,
            });
        };
    let name = workspace.in_words();
    if let AttachedKey::Unreadable(text) = workspace.attached(case) {
        push(
            Id::WorkspaceKeyUnreadable,
            Severity::Error,
            subject(case),
            "The key configuration of the workspace cannot be read".to_owned(),
            format!(
                "The {name} shows `{text}` as its key configuration for {}. That is not the id of a key configuration.",
                case.in_words()
            ),
            "The provider cannot tell which key the workspace has. A storage key can be set only once, and a managed services key is \
             replaced by another one, so it does not attach anything on top of a key that it cannot read.",
            format!(
                "Look at the workspace in the account console, or with:\n\n  databricks account workspaces get {}\n\nIf the id is right there, report it as a defect of this provider.",
                workspace.id
            ),
        );
    }
    if let Some(attached) = workspace
        .attached(case)
        .known()
        .filter(|attached| Some(*attached) != wanted)
        && case == UseCase::Storage
    {
        push(
            Id::StorageKeyAlreadySet,
            Severity::Error,
            subject(case),
            "The storage key of a workspace cannot be changed".to_owned(),
            format!(
                "The {name} has the storage key configuration {attached}; this plan wants {}.",
                wanted.map_or_else(|| "one that it creates".to_owned(), ToString::to_string)
            ),
            "Databricks sets a workspace's storage key once and for all: there is no rotation to another key, and no detach. The \
                 request would fail in the middle of the apply.",
            format!(
                "Keep the configuration that is attached:\n\n  storage_key_configuration_id = \"{attached}\"\n\nTo renew the key \
                     material, turn on automatic rotation of the same KMS key; its ARN stays, and Databricks needs no change. A \
                     workspace with another storage key has to be a new workspace."
            ),
        );
    }
    if let Some(cloud) = workspace
        .cloud
        .as_ref()
        .filter(|cloud| **cloud != Cloud::Aws)
    {
        push(
            Id::WorkspaceCloud,
            Severity::Error,
            Subject::Workspace,
            "The workspace is in another cloud than the key".to_owned(),
            format!("The {name} runs in the cloud `{cloud}`, and the plan attaches an AWS key to it."),
            "A workspace can use only keys of its own cloud.",
            "Name a workspace on AWS. This version of the provider does not attach keys of other clouds.".to_owned(),
        );
    }
    if case == UseCase::Storage && (workspace.serverless_only || workspace.default_storage) {
        let what = if workspace.serverless_only {
            "has serverless compute alone"
        } else {
            "keeps its data in default storage"
        };
        push(
            Id::WorkspaceDefaultStorage,
            Severity::Error,
            subject(case),
            "The workspace has no storage of its own that a storage key could encrypt".to_owned(),
            format!("The {name} {what}: there is no workspace bucket in an account of yours."),
            "A storage key can be set once and never be taken away, and here it would encrypt nothing. The managed services key covers the \
             default storage of such a workspace.",
            "Set `managed_services_key_configuration_id` alone, and leave `storage_key_configuration_id` out.".to_owned(),
        );
    }
    if let Some(tier) = workspace
        .pricing_tier
        .as_ref()
        .filter(|tier| tier.lacks_customer_managed_keys())
    {
        push(
            Id::WorkspaceTier,
            Severity::Error,
            Subject::Workspace,
            "The workspace's pricing tier has no customer-managed keys".to_owned(),
            format!("The {name} has the tier {tier}."),
            "Customer-managed keys on AWS need the Enterprise tier; Databricks refuses the request on others.",
            "Upgrade the account to Enterprise, or leave this workspace without a key of your own."
                .to_owned(),
        );
    }
    match &workspace.status {
        WorkspaceStatus::Running | WorkspaceStatus::Provisioning | WorkspaceStatus::NotProvisioned => {}
        status => push(
            Id::WorkspaceStatus,
            Severity::Error,
            Subject::Workspace,
            "The workspace is not running".to_owned(),
            format!("The {name} is {status}{}.", with_message(&workspace.status_message)),
            "Keys are attached to running workspaces only.",
            "Bring the workspace back to RUNNING first; the account console shows what is wrong with it.".to_owned(),
        ),
    }
    findings
}

/// Everything there is to say about one attach to a workspace.
pub fn judge(workspace: &WorkspaceFacts, attach: &Attachment<'_>) -> Vec<Finding> {
    let (case, name) = (attach.case, workspace.in_words());
    let mut findings = judge_workspace(workspace, case, Some(attach.id));
    let mut push =
        |id, severity, subject, summary: String, found: String, why: &str, remedy: String| {
            findings.push(Finding {
                id,
                severity,
                subject,
                summary,
                found,
                why: why.to_owned(),
                remedy,
            });
        };
    let Some(configuration) = attach.configuration else {
        push(
            Id::KeyConfigurationNotFound,
            Severity::Error,
            subject(case),
            "There is no such key configuration in this Databricks account".to_owned(),
            format!("The account has no key configuration {}.", attach.id),
            "A workspace can only use key configurations of its own account.",
            "Refer to the resource (`dbxcmk_key_configuration.….id`), or look the id up in the account console under Cloud resources > \
             Encryption keys. If the id is right, `account_id` or `host` of the provider are not."
                .to_owned(),
        );
        return findings;
    };
    match &configuration.key {
        ConfigurationKey::Aws(_) => {}
        ConfigurationKey::Elsewhere(cloud, key) => push(
            Id::WorkspaceCloud,
            Severity::Error,
            subject(case),
            "The workspace is in another cloud than the key".to_owned(),
            format!("The key configuration {} has the key `{key}` of {}, and the {name} runs on AWS.", configuration.id, cloud.in_words()),
            "A workspace can use only keys of its own cloud.",
            "Create a key configuration with an AWS KMS key of the workspace's region, and refer to that configuration.".to_owned(),
        ),
        ConfigurationKey::Unreadable(text) => push(
            Id::KeyConfigurationUnreadable,
            Severity::Error,
            subject(case),
            "The key of the key configuration cannot be read".to_owned(),
            format!("The account shows the key configuration {} with this key: {text}.", configuration.id),
            "The provider cannot prove anything about a key that it cannot name: neither its state, nor its region, nor that Databricks may \
             use it. An attach often cannot be undone.",
            "Look the configuration up in the account console under Cloud resources > Encryption keys, and refer to one whose key is an AWS \
             KMS key. If the ARN is right there, report it as a defect of this provider.".to_owned(),
        ),
        ConfigurationKey::Missing => push(
            Id::KeyConfigurationUnreadable,
            Severity::Error,
            subject(case),
            "The key of the key configuration cannot be read".to_owned(),
            format!("The account shows the key configuration {} without any key.", configuration.id),
            "The provider cannot prove anything about a key that it does not know. An attach often cannot be undone.",
            "Look the configuration up in the account console under Cloud resources > Encryption keys, and refer to one whose key is an AWS \
             KMS key.".to_owned(),
        ),
    }
    if !configuration.use_cases.iter().any(|own| own == case.name()) {
        let has: Vec<&str> = configuration.use_cases.iter().map(String::as_str).collect();
        push(
            Id::KeyConfigurationUseCase,
            Severity::Error,
            subject(case),
            format!("The key configuration is not made for {}", case.in_words()),
            format!(
                "{} has the use cases {}; it would be attached for {case}.",
                configuration.id,
                has.join(" and ")
            ),
            "Databricks refuses to attach a configuration for what it is not made for, and a configuration cannot be changed.",
            format!(
                "Create a configuration whose `use_cases` contain \"{case}\", and refer to that one."
            ),
        );
    }
    if let (Some(key), None) = (configuration.key.aws(), &workspace.region) {
        push(
            Id::KmsKeyRegion,
            Severity::Error,
            subject(case),
            "The region of the workspace is not known".to_owned(),
            format!(
                "The account shows no AWS region for the {name}; the key {key} is in {}.",
                key.region()
            ),
            "A workspace can use only a key of its own region.",
            format!(
                "Look at the workspace in the account console, or with:\n\n  databricks account workspaces get {}",
                workspace.id
            ),
        );
    }
    if let (Some(key), Some(region)) = (configuration.key.aws(), &workspace.region)
        && key.region() != region
    {
        push(
            Id::KmsKeyRegion,
            Severity::Error,
            subject(case),
            "The key is in another region than the workspace".to_owned(),
            format!(
                "The {name} is in {region}; the key {key} is in {}.",
                key.region()
            ),
            "A workspace can only use a key of its own region.",
            format!(
                "Create a key and a key configuration in {region}, and refer to that configuration."
            ),
        );
    }
    findings
}

/// An attach of a configuration that the same plan creates, so that its id is not known yet. `planned`: the use cases of each one
/// that the plan creates.
pub fn judge_planned(case: UseCase, planned: &[Vec<UseCase>]) -> Option<Finding> {
    if planned.is_empty() || planned.iter().any(|cases| cases.contains(&case)) {
        return None;
    }
    let each: Vec<String> = planned
        .iter()
        .map(|cases| {
            cases
                .iter()
                .map(|case| case.name())
                .collect::<Vec<_>>()
                .join(" and ")
        })
        .collect();
    Some(Finding {
        id: Id::KeyConfigurationUseCase,
        severity: Severity::Error,
        subject: subject(case),
        summary: format!("The key configuration is not made for {}", case.in_words()),
        found: format!(
            "The configuration will be created by this plan, and the plan creates none for {case}: {}.",
            each.join("; ")
        ),
        why: "Databricks refuses to attach a configuration for what it is not made for, and a configuration cannot be changed."
            .to_owned(),
        remedy: format!("Add \"{case}\" to `use_cases` of the `dbxcmk_key_configuration`, or refer to one that has it."),
    })
}

/// Why the cross-account role of a workspace is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnknownRole {
    /// The account shows something that is not the ARN of a role, and why it is not one.
    Unreadable(String),
    /// The account could not be asked, and why.
    Refused(String),
    /// The workspace has no credentials configuration, although it runs classic compute.
    None,
}

/// The role that launches clusters is not known, although the key is for their volumes.
pub fn role_unknown(workspace: &WorkspaceFacts, why: &UnknownRole, stage: Stage) -> Finding {
    let name = workspace.in_words();
    let (severity, found, remedy) = match why {
        UnknownRole::Unreadable(text) => (
            Severity::Error,
            format!("The account shows this cross-account role for the {name}: {text}."),
            "Correct the role of the workspace's credentials configuration in the account console under Cloud resources > Credential \
             configuration.",
        ),
        UnknownRole::Refused(reason) => (
            unread_severity(stage),
            format!(
                "The account did not show the credentials configuration of the {name}: {reason}."
            ),
            "Run Terraform as an account admin, which may read credentials configurations.",
        ),
        UnknownRole::None => (
            unread_severity(stage),
            format!(
                "The account shows no credentials configuration for the {name}, which runs classic compute."
            ),
            "Use a key configuration with `reuse_key_for_cluster_volumes = false` if no cluster uses this key. Otherwise look at the \
             workspace in the account console.",
        ),
    };
    Finding {
        id: Id::WorkspaceRoleUnreadable,
        severity,
        subject: Subject::Workspace,
        summary: Id::WorkspaceRoleUnreadable.title().to_owned(),
        found,
        why: "The key configuration is also for cluster volumes. Whether the role that launches clusters may use the key is not proven; \
              if it may not, clusters do not start."
            .to_owned(),
        remedy: remedy.to_owned(),
    }
}

fn with_message(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(": {message}")
    }
}
