//! What an Azure Databricks workspace itself says against a key. Sources: Microsoft.Databricks REST API; the Azure Databricks
//! documentation of customer-managed keys ("Premium plan", "not on FedRAMP workspaces").

use std::collections::BTreeSet;
use std::fmt;

use crate::{Finding, Hint, Id, Remedy, Subject};
use requirements::azure::Grantee;
use vocabulary::azure::{VaultKeyId, WorkspaceResourceId};
use vocabulary::{KeyUse, UseCase};

/// The key that a workspace shows for a use case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AttachedVaultKey {
    /// None of a customer.
    #[default]
    None,
    /// The workspace has this key, with or without a version.
    Known(VaultKeyId),
    /// The workspace shows a text here that does not name a key; this is the text. It is not the same
    /// as no key.
    Unreadable(String),
}

impl AttachedVaultKey {
    /// The key, when it can be read.
    pub fn known(&self) -> Option<&VaultKeyId> {
        match self {
            Self::Known(key) => Some(key),
            Self::None | Self::Unreadable(_) => None,
        }
    }
}

impl fmt::Display for AttachedVaultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Known(key) => key.fmt(f),
            Self::Unreadable(text) => write!(f, "`{text}`, which is not a key"),
        }
    }
}

/// What a key configuration of the same run says of an attach. Azure has no such object and would take the key: the configuration alone says for
/// what it is meant. `made_for`: its use cases.
pub fn judge_configuration(
    key: &VaultKeyId,
    case: UseCase,
    made_for: &BTreeSet<UseCase>,
) -> Option<Finding> {
    if made_for.contains(&case) {
        return None;
    }
    let names: Vec<&str> = made_for.iter().map(|one| one.name()).collect();
    let finding = Id::KeyConfigurationUseCase
        .error(Subject::of(case))
        .summary(format!("The key configuration is not for {}", case.in_words()))
        .found(format!(
            "The `dbxcmk_key_configuration` of {key} has `use_cases` = {}; the plan attaches its key for {case}.",
            names.join(", ")
        ))
        .why(
            "Its `use_cases` say what the key can be attached for. A reviewer relies on that, so the provider attaches the key for nothing else.",
        )
        .remedy(Remedy::hint(Hint::AddUseCase(case)))
        .about(key.to_string());
    Some(finding)
}

/// What is known of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArmWorkspaceFacts {
    /// The resource ID of the workspace.
    pub id: WorkspaceResourceId,
    /// Its pricing tier: `premium`, `standard`, `trial`; none where Azure shows nothing that can be read.
    pub tier: Option<String>,
    /// Whether it has serverless compute alone.
    pub serverless_only: bool,
    /// Whether it is certified for FedRAMP.
    pub is_fedramp: bool,
    /// Its provisioning state.
    pub state: String,
    /// The key for each use case, in the order of [`UseCase::ALL`].
    pub attached: Vec<(UseCase, AttachedVaultKey)>,
}

impl ArmWorkspaceFacts {
    fn in_words(&self) -> String {
        format!("workspace {} (\"{}\")", self.id, self.id.id().name())
    }

    fn show(&self) -> Remedy {
        Remedy::say("Read the workspace:")
            .run([format!("az databricks workspace show --ids {}", self.id)])
    }
}

/// A version of a key that is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Which version; one without a version stands for the newest.
    pub key: VaultKeyId,
    /// The use cases of the question that it is about.
    pub cases: Vec<UseCase>,
    /// For what the workspace has this very version now.
    pub used_for: Vec<UseCase>,
    /// Whether storage accounts with tables use it.
    pub has_tables: bool,
}

impl ArmWorkspaceFacts {
    fn attached(&self, case: UseCase) -> Option<&VaultKeyId> {
        let mut all = self.attached.iter();
        all.find(|(own, _)| *own == case)?.1.known()
    }

    /// For what the workspace has this very version now.
    pub fn used_for(&self, key: &VaultKeyId) -> Vec<UseCase> {
        let has = |case: &UseCase| self.attached(*case) == Some(key);
        UseCase::ALL.into_iter().filter(has).collect()
    }

    /// The version to judge for a use case: the one that the workspace has, where that is the wanted one; otherwise the one that an attach
    /// would set. `is_as_wanted`: whether the workspace has what is wanted.
    pub fn judged(&self, case: UseCase, wanted: &VaultKeyId, is_as_wanted: bool) -> Judged {
        let own = self.attached(case).filter(|_| is_as_wanted);
        let key = own.unwrap_or(wanted).clone();
        Judged {
            used_for: self.used_for(&key),
            key,
            cases: vec![case],
            has_tables: false,
        }
    }

    /// The version that the workspace has for a use case and is to lose.
    pub fn former(&self, case: UseCase, judged: &Judged) -> Option<Judged> {
        let key = self.attached(case).filter(|own| **own != judged.key)?;
        Some(Judged {
            key: key.clone(),
            cases: vec![case],
            used_for: self.used_for(key),
            has_tables: false,
        })
    }
}

/// The versions of a key to judge for some use cases: those that the workspace has of it, and the one that is named, or the newest, where
/// the workspace has none of them.
pub fn judged_versions(
    workspace: Option<&ArmWorkspaceFacts>,
    key: &VaultKeyId,
    cases: &[UseCase],
) -> Vec<Judged> {
    let mut all: Vec<Judged> = Vec::new();
    for case in cases {
        let one = match workspace {
            None => Judged {
                key: key.clone(),
                cases: vec![*case],
                used_for: Vec::new(),
                has_tables: false,
            },
            Some(workspace) => {
                let has = workspace.attached(*case).is_some_and(|own| {
                    own.is_same_key(key) && (key.version().is_none() || own == key)
                });
                workspace.judged(*case, key, has)
            }
        };
        match all.iter_mut().find(|other| other.key == one.key) {
            Some(other) => other.cases.push(*case),
            None => all.push(one),
        }
    }
    all
}

/// The same with the key itself, where storage accounts use it for tables: they follow its newest version, whatever the workspace has.
pub fn with_tables(mut judged: Vec<Judged>, key: &VaultKeyId, grantees: &[Grantee]) -> Vec<Judged> {
    let has_tables = grantees.iter().any(|one| one.case == KeyUse::UnityCatalog);
    if !has_tables {
        return judged;
    }
    match judged.iter_mut().find(|one| one.key == *key) {
        Some(one) => one.has_tables = true,
        None => judged.push(Judged {
            key: key.clone(),
            cases: Vec::new(),
            used_for: Vec::new(),
            has_tables: true,
        }),
    }
    judged
}

impl Judged {
    /// Whether a grantee uses this version.
    pub fn is_for(&self, grantee: &Grantee) -> bool {
        match grantee.case {
            KeyUse::Workspace(case) => self.cases.contains(&case),
            KeyUse::UnityCatalog => self.has_tables,
        }
    }
}

/// What a workspace itself says against an attach for a use case.
pub fn judge_workspace(workspace: &ArmWorkspaceFacts, case: UseCase) -> Vec<Finding> {
    [
        unreadable(workspace, case),
        tier(workspace),
        serverless(workspace, case),
        fedramp(workspace, case),
        going(workspace),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn unreadable(workspace: &ArmWorkspaceFacts, case: UseCase) -> Option<Finding> {
    let text = workspace.attached.iter().find_map(|(own, key)| match key {
        AttachedVaultKey::Unreadable(text) if *own == case => Some(text),
        _ => None,
    })?;
    Some(
        Id::WorkspaceKeyUnreadable
            .error(Subject::of(case))
            .found(format!(
                "The {} shows this as its key for {}: {text}.",
                workspace.in_words(),
                case.in_words()
            ))
            .why("The provider cannot tell which key the workspace has, so it does not set another one.")
            .remedy(workspace.show().and_say("If the key is correct there, report this as a bug of this provider.")),
    )
}

/// A tier that the provider does not know is a finding that stops nothing, as on every cloud: Azure refuses the request and changes nothing. Source:
/// Azure Databricks documentation of customer-managed keys ("Premium plan").
fn tier(workspace: &ArmWorkspaceFacts) -> Option<Finding> {
    let is = |tier: &&str| {
        let own = workspace.tier.as_deref();
        own.is_some_and(|own| own.eq_ignore_ascii_case(tier))
    };
    if ["premium", "enterprise"].iter().any(is) {
        return None;
    }
    let name = workspace.in_words();
    let why =
        "Customer-managed keys need the Premium tier. Azure refuses the request on other tiers.";
    let finding = Id::WorkspaceTier.error(Subject::Workspace);
    let unknown = Id::WorkspaceTierUnknown.warning(Subject::Workspace);
    let is_known = ["standard", "trial"].iter().any(is);
    Some(match &workspace.tier {
        Some(tier) if is_known => finding
            .found(format!("The {name} has the pricing tier {tier}."))
            .why(why)
            .remedy(
                Remedy::say("Set `sku = \"premium\"` in the `azurerm_databricks_workspace`, which changes the workspace in place, or run:").run([
                    format!(
                        "az databricks workspace update --ids {} --sku premium",
                        workspace.id
                    ),
                ]),
            ),
        Some(tier) => unknown
            .found(format!("The {name} has the pricing tier `{tier}`, which this version does not know."))
            .why(format!("{why} Nothing is changed then."))
            .remedy(workspace.show().and_hint(Hint::Suppression(Id::WorkspaceTierUnknown))),
        None => unknown
            .found(format!("Azure shows no pricing tier (`sku`) of the {name}."))
            .why(format!("{why} Nothing is changed then."))
            .remedy(workspace.show().and_hint(Hint::Suppression(Id::WorkspaceTierUnknown))),
    })
}

fn serverless(workspace: &ArmWorkspaceFacts, case: UseCase) -> Option<Finding> {
    if case == UseCase::ManagedServices || !workspace.serverless_only {
        return None;
    }
    Some(
        Id::WorkspaceDefaultStorage
            .error(Subject::of(case))
            .found(format!(
                "The {} has only serverless compute: it has no storage account and no disks of its own.",
                workspace.in_words()
            ))
            .why("Azure refuses a key for workspace storage and for managed disks on such a workspace. The managed services key covers it.")
            .remedy(format!("Remove `{}` from the binding.", case.attribute())),
    )
}

fn fedramp(workspace: &ArmWorkspaceFacts, case: UseCase) -> Option<Finding> {
    if case != UseCase::ManagedDisks || !workspace.is_fedramp {
        return None;
    }
    Some(
        Id::AzureDisksFedRamp
            .error(Subject::of(case))
            .found(format!("The {} has FedRAMP compliance.", workspace.in_words()))
            .why("Azure Databricks does not support customer-managed keys for managed disks on such workspaces.")
            .remedy(format!("Remove `{}` from the binding.", case.attribute())),
    )
}

fn going(workspace: &ArmWorkspaceFacts) -> Option<Finding> {
    let is_going = ["Deleting", "Deleted"]
        .iter()
        .any(|state| workspace.state.eq_ignore_ascii_case(state));
    is_going.then(|| {
        Id::WorkspaceStatus
            .error(Subject::Workspace)
            .found(format!(
                "The {} is in the state {}.",
                workspace.in_words(),
                workspace.state
            ))
            .why("A workspace that is being deleted takes no keys.")
            .remedy("Remove the binding from the configuration.")
    })
}
