//! May this key configuration go under this workspace? The transitions that the platform knows, and what has to agree.

use super::{Finding, Id, Severity, Subject};
use crate::vocabulary::{KeyArn, KeyConfigurationId, UseCase, WorkspaceId};

/// What is known of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceFacts {
    /// Which workspace.
    pub id: WorkspaceId,
    /// Its name.
    pub name: String,
    /// `RUNNING`, `PROVISIONING`, `FAILED`, …
    pub status: String,
    /// What the platform says about the status.
    pub status_message: String,
    /// Its AWS region.
    pub region: Option<String>,
    /// `ENTERPRISE`, `PREMIUM`, …
    pub pricing_tier: Option<String>,
    /// Whose cloud it runs in, as far as the account says: `aws`, `gcp`, `azure`.
    pub cloud: Option<String>,
    /// Whether it has serverless compute alone.
    pub serverless_only: bool,
    /// Whether its data lies in storage of Databricks and not in a bucket of the customer.
    pub default_storage: bool,
    /// The configuration that encrypts its managed services now.
    pub managed_services: Option<KeyConfigurationId>,
    /// The configuration that encrypts its storage now.
    pub storage: Option<KeyConfigurationId>,
}

impl WorkspaceFacts {
    /// The configuration that is attached for a use case.
    pub fn attached(&self, case: UseCase) -> Option<&KeyConfigurationId> {
        match case {
            UseCase::ManagedServices => self.managed_services.as_ref(),
            UseCase::Storage => self.storage.as_ref(),
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
    /// What it is made for.
    pub use_cases: Vec<UseCase>,
    /// Its AWS key; other clouds' configurations have none.
    pub key: Option<KeyArn>,
}

/// One attach that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attach<'a> {
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

/// Everything there is to say about one attach to a workspace.
pub fn judge(workspace: &WorkspaceFacts, attach: &Attach<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut push = |id, severity, subject, summary: String, found: String, why: &str, remedy: String| {
        findings.push(Finding { id, severity, subject, summary, found, why: why.to_owned(), remedy });
    };
    let (case, name) = (attach.case, workspace.in_words());
    if let Some(attached) = workspace.attached(case).filter(|attached| *attached != attach.id)
        && case == UseCase::Storage
    {
        push(
            Id::StorageKeyAlreadySet,
            Severity::Error,
            subject(case),
            "The storage key of a workspace cannot be changed".to_owned(),
            format!("The {name} has the storage key configuration {attached}; this plan wants {}.", attach.id),
            "Databricks sets a workspace's storage key once and for all: there is no rotation to another key, and no detach. The \
                 request would fail in the middle of the apply.",
            format!(
                "Keep the configuration that is attached:\n\n  storage_key_configuration_id = \"{attached}\"\n\nTo renew the key \
                     material, turn on automatic rotation of the same KMS key; its ARN stays, and Databricks needs no change. A \
                     workspace with another storage key has to be a new workspace."
            ),
        );
    }
    if let Some(cloud) = workspace.cloud.as_deref().filter(|cloud| !cloud.eq_ignore_ascii_case("aws")) {
        push(
            Id::WorkspaceCloud,
            Severity::Error,
            Subject::Workspace,
            "The workspace is in another cloud than the key".to_owned(),
            format!("The {name} runs in the cloud `{cloud}`; an AWS key was to be attached to it."),
            "A workspace can only use keys of its own cloud.",
            "Name a workspace on AWS. Keys of other clouds are not attached by this version of the provider.".to_owned(),
        );
    }
    if case == UseCase::Storage && (workspace.serverless_only || workspace.default_storage) {
        let what = if workspace.serverless_only { "has serverless compute alone" } else { "keeps its data in default storage" };
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
    if !configuration.use_cases.contains(&case) {
        let has: Vec<&str> = configuration.use_cases.iter().map(|case| case.name()).collect();
        push(
            Id::KeyConfigurationUseCase,
            Severity::Error,
            subject(case),
            format!("The key configuration is not made for {}", case.in_words()),
            format!("{} has the use cases {}; it would be attached for {case}.", configuration.id, has.join(" and ")),
            "Databricks refuses to attach a configuration for what it is not made for, and a configuration cannot be changed.",
            format!("Create a configuration whose `use_cases` contain \"{case}\", and refer to that one."),
        );
    }
    if let (Some(key), Some(region)) = (&configuration.key, &workspace.region)
        && key.region() != region
    {
        push(
            Id::KmsKeyRegion,
            Severity::Error,
            subject(case),
            "The key is in another region than the workspace".to_owned(),
            format!("The {name} is in {region}; the key {key} is in {}.", key.region()),
            "A workspace can only use a key of its own region.",
            format!("Create a key and a key configuration in {region}, and refer to that configuration."),
        );
    }
    if let Some(tier) =
        workspace.pricing_tier.as_deref().filter(|tier| matches!(*tier, "STANDARD" | "PREMIUM" | "COMMUNITY_EDITION"))
    {
        push(
            Id::WorkspaceTier,
            Severity::Error,
            Subject::Workspace,
            "The workspace's pricing tier has no customer-managed keys".to_owned(),
            format!("The {name} has the tier {tier}."),
            "Customer-managed keys on AWS need the Enterprise tier; Databricks refuses the request on others.",
            "Upgrade the account to Enterprise, or leave this workspace without a key of your own.".to_owned(),
        );
    }
    match workspace.status.as_str() {
        "RUNNING" | "PROVISIONING" | "NOT_PROVISIONED" => {}
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

/// What an attach of these use cases will encrypt, and what it will not: said once, when it is planned.
pub fn reach(workspace: &WorkspaceFacts, attaches: &[UseCase]) -> Option<Finding> {
    let lines: Vec<String> = attaches
        .iter()
        .map(|case| match (case, workspace.attached(*case)) {
            (UseCase::ManagedServices, Some(old)) => format!(
                "  - managed services: the key changes from {old}. Data keys are wrapped anew with the new one; keep the old key enabled, and \
                 its policy as it is, for 24 hours."
            ),
            (UseCase::ManagedServices, None) => "  - managed services: notebooks, secrets, queries and their history, Git credentials and \
                 the like, as they are written from now on. What is there already stays as it is until it is changed."
                .to_owned(),
            (UseCase::Storage, _) => "  - workspace storage: new objects of the workspace bucket (DBFS root, job and query results, \
                 libraries, notebook revisions), and the EBS volumes of new clusters of classic compute. Objects that are there already stay \
                 as they are until they are written again; tables in other buckets and serverless compute are not covered."
                .to_owned(),
        })
        .collect();
    if lines.is_empty() {
        return None;
    }
    Some(Finding {
        id: Id::BindingReach,
        severity: Severity::Warning,
        subject: Subject::Workspace,
        summary: Id::BindingReach.title().to_owned(),
        found: format!("From the attach to the {} on, the key encrypts:\n{}", workspace.in_words(), lines.join("\n")),
        why: "An attach encrypts what is new. It does not reach back, and it cannot be undone.".to_owned(),
        remedy: "Nothing has to be done; silence this finding when everybody knows.".to_owned(),
    })
}

fn with_message(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}
