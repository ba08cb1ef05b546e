//! May a workspace have this key configuration? The transitions that the platform knows, and what must agree.

use super::{Finding, Hint, Id, Remedy, Severity, Stage, Subject};
use requirements::transition;
use vocabulary::{
    AttachedKey, Cloud, Key, KeyConfigurationId, Tier, UseCase, WorkspaceId, WorkspaceStatus,
    WorkspaceStorage,
};

/// What is known of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceFacts {
    /// The number of the workspace.
    pub id: WorkspaceId,
    /// The name of the workspace in the account.
    pub name: String,
    /// The status, in the account's own word: `RUNNING`.
    pub status: WorkspaceStatus,
    /// What the platform says about the status.
    pub status_message: String,
    /// Its region, as its cloud names it.
    pub region: Option<String>,
    /// Its pricing tier, as far as the account says.
    pub pricing_tier: Option<Tier>,
    /// Whose cloud it runs in, as far as the account says.
    pub cloud: Option<Cloud>,
    /// Whether it has serverless compute alone.
    pub serverless_only: bool,
    /// Where its own data lies.
    pub own_storage: WorkspaceStorage,
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
            // The account has none: disks have a key of their own only on Azure.
            UseCase::ManagedDisks => &AttachedKey::None,
        }
    }

    fn in_words(&self) -> String {
        format!("workspace {} (\"{}\")", self.id, self.name)
    }

    /// Whose keys it can use. A cloud that is not known is not AWS: nothing is allowed there, and [`other_cloud`] says so.
    fn own_cloud(&self) -> Cloud {
        self.cloud.clone().unwrap_or_default()
    }

    fn show(&self) -> Remedy {
        Remedy::say("Check the workspace in the account console, or run:")
            .run([format!("databricks account workspaces get {}", self.id)])
    }
}

/// What is known of a key configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigurationFacts {
    /// The ID by which workspaces name it.
    pub id: KeyConfigurationId,
    /// What it is made for, as the account says.
    pub use_cases: Vec<String>,
    /// The key, or why the proof cannot examine it.
    pub key: ConfigurationKey,
}

/// The key of a key configuration, as the account shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigurationKey {
    /// A key that the proof can examine.
    Known {
        /// The full name of the key, parsed.
        key: Key,
        /// Where it is, as its cloud names the region.
        location: String,
    },
    /// A key of a cloud that this version does not attach keys of, by its name there.
    Elsewhere(Cloud, String),
    /// Something that this version cannot read, as it came, and why.
    Unreadable(String),
    /// The account shows no key.
    Missing,
}

/// One attach that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment<'a> {
    /// The data that the key shall encrypt.
    pub case: UseCase,
    /// The ID of the configuration, as the plan has it.
    pub id: &'a KeyConfigurationId,
    /// What is known of it; `None` when the account has no such configuration.
    pub configuration: Option<&'a ConfigurationFacts>,
}

impl Subject {
    /// The key configuration for a use case.
    pub fn of(case: UseCase) -> Self {
        match case {
            UseCase::ManagedServices => Self::ManagedServicesConfiguration,
            UseCase::Storage => Self::StorageConfiguration,
            UseCase::ManagedDisks => Self::ManagedDisksConfiguration,
        }
    }
}

/// The findings about the workspace itself for an attach of a use case. `wanted`: the configuration; `None` while the same plan
/// creates it, so that Terraform does not know its ID yet.
pub fn judge_workspace(
    workspace: &WorkspaceFacts,
    case: UseCase,
    wanted: Option<&KeyConfigurationId>,
    stage: Stage,
) -> Vec<Finding> {
    [
        no_such_key(workspace, case),
        unreadable_key(workspace, case),
        key_already_set(workspace, case, wanted),
        other_cloud(workspace),
        own_storage(workspace, case, stage),
        tier(workspace),
        status(workspace),
    ]
    .into_iter()
    .flatten()
    .map(|finding| finding.about(workspace.id.to_string()))
    .collect()
}

/// What a plan says that attaches a key to a workspace on Google Cloud, which is there already. `wanted`: the configuration; `None` while the
/// same plan creates it. Source: the Databricks documentation of customer-managed keys on Google Cloud sets them at the creation of a
/// workspace, and that of updates has the key fields under AWS.
pub fn undocumented_attach(
    workspace: &WorkspaceFacts,
    case: UseCase,
    wanted: Option<&KeyConfigurationId>,
) -> Option<Finding> {
    let has_it = wanted.is_some() && workspace.attached(case).known() == wanted;
    // What refuses the attach is a finding of its own.
    if workspace.cloud != Some(Cloud::Gcp) || has_it || !transition(&Cloud::Gcp, case).set {
        return None;
    }
    let id = Id::GcpAttachNotDocumented;
    let finding = id
        .warning(Subject::Workspace)
        .found(format!(
            "The plan attaches a key to the {}, which exists already. On Google Cloud, Databricks documents keys that are set when a workspace \
             is created; it documents the update of these fields for AWS alone.",
            workspace.in_words()
        ))
        .why(
            "Databricks may refuse the update, or accept it and not encrypt what is there. The provider watches the workspace and reports what \
             it sees; it cannot see how Databricks encrypts the data. A storage key can be set only once and cannot be removed.",
        )
        .remedy(
            Remedy::say(
                "For a new workspace, set the keys when it is created: `managed_services_customer_managed_key_id` and \
                 `storage_customer_managed_key_id` of `databricks_mws_workspaces`. For an existing one, ask Databricks to confirm that it takes \
                 the update, and try it on a workspace that you can lose.",
            )
            .and_hint(Hint::Suppression(id)),
        )
        .about(workspace.id.to_string());
    Some(finding)
}

/// A use case that a workspace of this cloud has no key for.
fn no_such_key(workspace: &WorkspaceFacts, case: UseCase) -> Option<Finding> {
    let cloud = workspace.cloud.as_ref()?;
    // On a cloud of which the account API attaches no keys, [`other_cloud`] says so.
    if !matches!(cloud, Cloud::Aws | Cloud::Gcp) || transition(cloud, case).set {
        return None;
    }
    let finding = Id::KeyConfigurationUseCase
        .error(Subject::of(case))
        .summary(format!(
            "The workspace has no key of its own for {}",
            case.in_words()
        ))
        .found(format!(
            "The {} runs on {}, where a workspace has no key of its own for {}.",
            workspace.in_words(),
            cloud.in_words(),
            case.in_words()
        ))
        .why("Databricks would not take the key, and nothing would be encrypted with it.")
        .remedy(format!(
            "Remove `{}`. A storage key can cover the {} of clusters.",
            case.attribute(),
            cloud.words().disks
        ));
    Some(finding)
}

fn unreadable_key(workspace: &WorkspaceFacts, case: UseCase) -> Option<Finding> {
    let AttachedKey::Unreadable(text) = workspace.attached(case) else {
        return None;
    };
    let finding = Id::WorkspaceKeyUnreadable
        .error(Subject::of(case))
        .found(format!(
            "The {} shows `{text}` as its key configuration for {}. That is not the ID of a key configuration.",
            workspace.in_words(),
            case.in_words()
        ))
        .why(
            "The provider cannot tell which key the workspace has. A storage key can be set only once, and a managed services key is \
             replaced by another one, so the provider does not attach anything on top of a key that it cannot read.",
        )
        .remedy(workspace.show().and_say("If the ID is correct there, report this as a bug of this provider."));
    Some(finding)
}

fn key_already_set(
    workspace: &WorkspaceFacts,
    case: UseCase,
    wanted: Option<&KeyConfigurationId>,
) -> Option<Finding> {
    let attached = workspace.attached(case).known()?;
    let is_known = matches!(workspace.cloud, Some(Cloud::Aws | Cloud::Gcp));
    if !is_known || Some(attached) == wanted || transition(&workspace.own_cloud(), case).change {
        return None;
    }
    let finding = Id::StorageKeyAlreadySet
        .error(Subject::of(case))
        .found(format!(
            "The {} has the storage key configuration {attached}; this plan sets {}.",
            workspace.in_words(),
            wanted.map_or_else(|| "one that it creates".to_owned(), ToString::to_string)
        ))
        .why(
            "Databricks sets the storage key of a workspace only once. It cannot be replaced by another key, and it cannot be detached. \
             Databricks would refuse the request in the middle of the apply.",
        )
        .remedy(
            Remedy::hint(Hint::KeepStorage(attached.clone())).followed_by(import_instead(attached, wanted)).and_say(format!(
                "To renew the key material, turn on automatic rotation of the same {}, and Databricks needs no change. To use another storage \
                 key, create a new workspace.",
                match workspace.own_cloud() {
                    Cloud::Gcp => "Cloud KMS key (`rotation_period`): its name stays the same",
                    _ => "KMS key: its ARN stays the same",
                }
            )),
        );
    Some(finding)
}

/// A state that has lost the attached key configuration plans another one of the same key.
fn import_instead(attached: &KeyConfigurationId, wanted: Option<&KeyConfigurationId>) -> Remedy {
    match wanted {
        Some(_) => Remedy::default(),
        None => Remedy::say(
            "If the state has lost the attached key configuration, import it instead of creating another one:",
        )
        .paste(format!(
            "import {{\n  to = dbxcmk_key_configuration.…\n  id = \"{attached}\"\n}}"
        )),
    }
}

fn other_cloud(workspace: &WorkspaceFacts) -> Option<Finding> {
    let cloud = match &workspace.cloud {
        Some(Cloud::Aws | Cloud::Gcp) => return None,
        Some(cloud) => cloud,
        None => {
            return Some(
                Id::WorkspaceCloud
                    .error(Subject::Workspace)
                    .summary("The cloud of the workspace is not known")
                    .found(format!(
                        "The account does not show in which cloud the {} runs: it has no `cloud`, and not exactly one of `aws_region` and `location`.",
                        workspace.in_words()
                    ))
                    .why(
                        "A workspace can use only keys of its own cloud, and what can be undone differs between clouds. The provider does not \
                         guess.",
                    )
                    .remedy(workspace.show()),
            );
        }
    };
    let finding = Id::WorkspaceCloud
        .error(Subject::Workspace)
        .found(format!(
            "The {} runs in the cloud `{cloud}`.",
            workspace.in_words()
        ))
        .why("The account API attaches keys only to workspaces on AWS and Google Cloud.")
        .remedy("Use a workspace on AWS or Google Cloud.");
    Some(finding)
}

/// A key of one cloud under a workspace of another.
fn of_another_cloud(
    workspace: &WorkspaceFacts,
    subject: Subject,
    cloud: &Cloud,
    key: &str,
) -> Option<Finding> {
    // A workspace whose own cloud is not known, or is none of these, has said so.
    let own = workspace.cloud.as_ref()?;
    if own == cloud || !matches!(own, Cloud::Aws | Cloud::Gcp) {
        return None;
    }
    let finding = Id::WorkspaceCloud
        .error(subject)
        .found(format!(
            "The {} runs on {}, and the plan attaches the key `{key}` of {} to it.",
            workspace.in_words(),
            own.in_words(),
            cloud.in_words()
        ))
        .why("A workspace can use only keys of its own cloud.")
        .remedy("Create a key configuration with a key of the workspace's cloud, in the region of the workspace, and use that configuration.");
    Some(finding)
}

fn own_storage(workspace: &WorkspaceFacts, case: UseCase, stage: Stage) -> Option<Finding> {
    if case != UseCase::Storage {
        return None;
    }
    match &workspace.own_storage {
        WorkspaceStorage::Customer => return None,
        WorkspaceStorage::Databricks => {}
        WorkspaceStorage::Unknown(why) => {
            return Some(
                Id::WorkspaceStorageUnknown
                    .unread(Subject::of(case), stage)
                    .found(format!(
                        "The account does not show whether the {} has a workspace bucket in your cloud account: {why}.",
                        workspace.in_words()
                    ))
                    .why(
                        "A storage key can be set only once and cannot be removed. Without a workspace bucket of yours it would encrypt \
                         nothing.",
                    )
                    .remedy(workspace.show().and_say(
                        "If the workspace has only serverless compute or default storage, set only `managed_services_key_configuration_id`. \
                         If it has a bucket of yours, use a version of the provider that knows these values.",
                    )),
            );
        }
    }
    let what = if workspace.serverless_only {
        "has only serverless compute"
    } else {
        "keeps its data in default storage"
    };
    let finding = Id::WorkspaceDefaultStorage
        .error(Subject::of(case))
        .found(format!(
            "The {} {what}: it has no workspace bucket in your cloud account.",
            workspace.in_words()
        ))
        .why(
            "A storage key can be set only once and cannot be removed, and here it would encrypt nothing. The managed services key covers \
             the default storage of such a workspace.",
        )
        .remedy(Remedy::hint(Hint::ManagedServicesAlone));
    Some(finding)
}

fn tier(workspace: &WorkspaceFacts) -> Option<Finding> {
    let Some(tier) = workspace
        .pricing_tier
        .as_ref()
        .filter(|tier| tier.is_known())
    else {
        let shown = workspace
            .pricing_tier
            .as_ref()
            .map(Tier::as_str)
            .filter(|word| !word.is_empty());
        let found = match shown {
            Some(word) => format!(
                "The {} has the tier `{word}`, which this version does not know.",
                workspace.in_words()
            ),
            None => format!(
                "The account shows no pricing tier for the {}.",
                workspace.in_words()
            ),
        };
        return Some(
            Id::WorkspaceTierUnknown
                .warning(Subject::Workspace)
                .found(found)
                .why(
                    "Customer-managed keys need the Enterprise tier. On a tier without them, Databricks refuses the attach and changes \
                     nothing.",
                )
                .remedy(workspace.show().and_hint(Hint::Suppression(Id::WorkspaceTierUnknown))),
        );
    };
    if !tier.lacks_customer_managed_keys() {
        return None;
    }
    let finding = Id::WorkspaceTier
        .error(Subject::Workspace)
        .found(format!("The {} has the tier {tier}.", workspace.in_words()))
        .why("Customer-managed keys need the Enterprise tier. Databricks refuses the request on other tiers.")
        .remedy("Upgrade the account to Enterprise, or remove this workspace from the configuration.");
    Some(finding)
}

fn status(workspace: &WorkspaceFacts) -> Option<Finding> {
    use WorkspaceStatus::{NotProvisioned, Provisioning, Running};
    if matches!(workspace.status, Running | Provisioning | NotProvisioned) {
        return None;
    }
    let finding = Id::WorkspaceStatus
        .error(Subject::Workspace)
        .found(status_found(workspace))
        .why("Databricks attaches keys only to running workspaces.")
        .remedy(match workspace.status.is_going() {
            true => "Databricks deletes the workspace, or has deleted it. Remove it from the configuration, or use another workspace.",
            false => "Open the workspace in the account console, which shows the cause. If it stays in this status, open a support case with \
                      Databricks. Plan again when it is RUNNING.",
        });
    Some(finding)
}

/// The status and what the account says about it, as one sentence.
fn status_found(workspace: &WorkspaceFacts) -> String {
    let name = workspace.in_words();
    let shown = match workspace.status.as_str() {
        "" => format!("The account shows no status for the {name}"),
        status => format!("The {name} is {status}"),
    };
    // Some messages of the account end with a period.
    match workspace.status_message.trim().trim_end_matches('.') {
        "" => format!("{shown}."),
        message => format!("{shown}: {message}."),
    }
}

/// Everything there is to say about one attach to a workspace.
pub fn judge(workspace: &WorkspaceFacts, attach: &Attachment<'_>, stage: Stage) -> Vec<Finding> {
    let case = attach.case;
    let mut findings = judge_workspace(workspace, case, Some(attach.id), stage);
    let Some(configuration) = attach.configuration else {
        findings.push(
            Id::KeyConfigurationNotFound
                .error(Subject::of(case))
                .found(format!(
                    "The account has no key configuration {}.",
                    attach.id
                ))
                .why("A workspace can use only key configurations of its own account.")
                .remedy(Remedy::hint(Hint::ReferToConfiguration)),
        );
        return findings;
    };
    let name = format!("key configuration {}", configuration.id);
    findings.extend(what_its_key_says(
        workspace,
        case,
        &name,
        &configuration.key,
    ));
    if !configuration.use_cases.iter().any(|own| own == case.name()) {
        findings.push(
            not_made_for(case)
                .found(format!(
                    "The key configuration {} {}; the plan attaches it for {case}.",
                    configuration.id,
                    use_cases_in_words(&configuration.use_cases)
                ))
                .remedy(Remedy::hint(Hint::ConfigurationFor(case))),
        );
    }
    findings
}

/// What a key configuration is made for, as a predicate.
fn use_cases_in_words(cases: &[impl AsRef<str>]) -> String {
    let names: Vec<&str> = cases.iter().map(AsRef::as_ref).collect();
    match names.as_slice() {
        [] => "has no use case".to_owned(),
        [one] => format!("has the use case {one}"),
        [first @ .., last] => format!("has the use cases {} and {last}", first.join(", ")),
    }
}

/// What the key of a configuration says against an attach: whether it can be named, and where it is. `which`: the configuration, for
/// messages.
fn what_its_key_says(
    workspace: &WorkspaceFacts,
    case: UseCase,
    which: &str,
    key: &ConfigurationKey,
) -> Option<Finding> {
    let (subject, name) = (Subject::of(case), workspace.in_words());
    const ANOTHER: &str = "Find the configuration in the account console under Cloud resources > Encryption keys, and use one whose key is \
                           a key of its cloud.";
    let finding = match key {
        ConfigurationKey::Known { key, location } => {
            return of_another_cloud(workspace, subject, key.cloud(), &key.to_string())
                .or_else(|| place(workspace, subject, key, location));
        }
        ConfigurationKey::Elsewhere(cloud, key) => Id::WorkspaceCloud
            .error(subject)
            .found(format!(
                "The {which} has the key `{key}` of {}, and the {name} runs on {}.",
                cloud.in_words(),
                workspace.own_cloud().in_words()
            ))
            .why("A workspace can use only keys of its own cloud.")
            .remedy("Create a key configuration with a key of the workspace's cloud, in the region of the workspace, and use that configuration."),
        ConfigurationKey::Unreadable(text) => Id::KeyConfigurationUnreadable
            .error(subject)
            .found(format!("The {which} has this key: {text}."))
            .why(
                "The provider cannot prove anything about a key that it cannot read: not its state, not its region, and not that Databricks \
                 may use it. An attach often cannot be undone.",
            )
            .remedy(Remedy::say(ANOTHER).and_say("If the key is correct there, report this as a bug of this provider.")),
        ConfigurationKey::Missing => Id::KeyConfigurationUnreadable
            .error(subject)
            .found(format!("The {which} shows no key."))
            .why("The provider cannot prove anything about a key that it does not know. An attach often cannot be undone.")
            .remedy(ANOTHER),
    };
    Some(finding)
}

/// Whether a key is where the workspace is.
fn place(
    workspace: &WorkspaceFacts,
    subject: Subject,
    key: &Key,
    location: &str,
) -> Option<Finding> {
    let name = workspace.in_words();
    let id = match key.cloud() {
        Cloud::Gcp => Id::GcpKeyRegion,
        _ => Id::KmsKeyRegion,
    };
    let finding = id
        .error(subject)
        .why("A workspace can use only a key of its own region.");
    match workspace.region.as_deref().filter(|region| !region.is_empty()) {
        None => Some(
            finding
                .summary("The region of the workspace is not known")
                .found(format!(
                    "The account does not show a region for the {name}; the key {key} is in {location}."
                ))
                .remedy(workspace.show()),
        ),
        Some(region) if region != location => Some(
            finding
                .found(format!("The {name} is in {region}; the key {key} is in {location}."))
                .remedy(format!(
                    "Create a key and a key configuration in {region}, and use that configuration."
                )),
        ),
        Some(_) => None,
    }
}

fn not_made_for(case: UseCase) -> Finding {
    Id::KeyConfigurationUseCase
        .error(Subject::of(case))
        .summary(format!("The key configuration is not for {}", case.in_words()))
        .why(
            "Databricks refuses to attach a configuration for another use case than its own, and a configuration cannot be changed.",
        )
}

/// What the key of a configuration that the same plan creates says against an attach.
pub fn judge_planned_key(
    workspace: &WorkspaceFacts,
    case: UseCase,
    key: &ConfigurationKey,
) -> Option<Finding> {
    what_its_key_says(
        workspace,
        case,
        "key configuration that this plan creates",
        key,
    )
}

/// What holds of several candidates, of which one will be attached: what is found of each stays as it is, what is found of some
/// is worth a warning.
pub fn of_candidates(candidates: Vec<Vec<Finding>>) -> Vec<Finding> {
    let holds_for_all = |id: Id| {
        candidates
            .iter()
            .all(|findings| findings.iter().any(|finding| finding.id == id))
    };
    let shared: Vec<Id> = Id::ALL
        .iter()
        .copied()
        .filter(|id| holds_for_all(*id))
        .collect();
    let weigh = |mut finding: Finding| {
        if !shared.contains(&finding.id) && finding.severity == Severity::Error {
            finding.severity = Severity::Warning;
            finding.found = format!(
                "This plan creates several key configurations, and does not show which of them this workspace gets. If it is this \
                 one: {}",
                finding.found
            );
        }
        finding
    };
    candidates.into_iter().flatten().map(weigh).collect()
}

/// The finding about an attach of a configuration that the same plan creates, so that Terraform does not know its ID yet.
/// `planned`: the use cases of each one that the plan creates.
pub fn judge_planned(case: UseCase, planned: &[Vec<UseCase>]) -> Option<Finding> {
    if planned.is_empty() || planned.iter().any(|cases| cases.contains(&case)) {
        return None;
    }
    let each: Vec<String> = planned
        .iter()
        .map(|cases| {
            let names: Vec<&str> = cases.iter().map(|case| case.name()).collect();
            format!("one {}", use_cases_in_words(&names))
        })
        .collect();
    let finding = not_made_for(case)
        .found(format!(
            "This plan creates the key configuration, but none of those that it creates has the use case {case}: {}.",
            each.join("; ")
        ))
        .remedy(Remedy::hint(Hint::AddUseCase(case)));
    Some(finding)
}

/// Why the cross-account role of a workspace is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnknownRole {
    /// The account shows something that is not the ARN of a role, and why it is not one.
    Unreadable(String),
    /// The account did not answer, for this reason.
    Refused(String),
    /// The workspace has no credentials configuration, although it runs classic compute.
    None,
}

/// The role that launches clusters is not known, although the key is for their volumes.
pub fn role_unknown(workspace: &WorkspaceFacts, why: &UnknownRole, stage: Stage) -> Finding {
    let (name, id) = (workspace.in_words(), Id::WorkspaceRoleUnreadable);
    let finding = match why {
        UnknownRole::Unreadable(text) => id
            .error(Subject::Workspace)
            .found(format!("The account shows this cross-account role for the {name}: {text}."))
            .remedy(
                "Correct the role of the workspace's credentials configuration in the account console under Cloud resources > Credential \
                 configuration.",
            ),
        UnknownRole::Refused(reason) => id
            .unread(Subject::Workspace, stage)
            .found(format!(
                "The account did not show the credentials configuration of the {name}: {reason}."
            ))
            .remedy("Run Terraform as an account admin, who may read credentials configurations."),
        UnknownRole::None => id
            .unread(Subject::Workspace, stage)
            .found(format!(
                "The account shows no credentials configuration for the {name}, which runs classic compute."
            ))
            .remedy(
                Remedy::hint(Hint::ExcludeVolumes)
                    .and_say("Otherwise check the workspace in the account console."),
            ),
    };
    finding.why(
        "The key configuration is also for cluster volumes. The provider cannot prove that the role that launches clusters may use the \
         key; if it may not, clusters do not start.",
    )
}

#[cfg(test)]
mod tests;
