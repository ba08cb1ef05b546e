//! What an Azure Databricks workspace itself says against a key. Sources: Microsoft.Databricks REST API; the Azure Databricks
//! documentation of customer-managed keys ("Premium plan", "not on FedRAMP workspaces").

use std::fmt;

use crate::preflight::{Finding, Id, Remedy, Subject};
use crate::vocabulary::UseCase;
use crate::vocabulary::azure::{VaultKeyId, WorkspaceResourceId};

/// The key that a workspace shows for a use case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AttachedVaultKey {
    /// None of a customer.
    #[default]
    None,
    /// This one.
    Known(VaultKeyId),
    /// Something that is no key, as it came. It is not the same as none.
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

/// What is known of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArmWorkspaceFacts {
    /// Which workspace.
    pub id: WorkspaceResourceId,
    /// Its pricing tier: `premium`, `standard`, `trial`.
    pub tier: String,
    /// Whether it has serverless compute alone.
    pub serverless_only: bool,
    /// Whether it is certified for FedRAMP.
    pub is_fedramp: bool,
    /// Its provisioning state.
    pub state: String,
    /// The keys that it has, for each use case.
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

/// A tier that is not known here may have them.
fn tier(workspace: &ArmWorkspaceFacts) -> Option<Finding> {
    let lacks = ["standard", "trial"]
        .iter()
        .any(|tier| workspace.tier.eq_ignore_ascii_case(tier));
    lacks.then(|| {
        Id::WorkspaceTier
            .error(Subject::Workspace)
            .found(format!(
                "The {} has the pricing tier {}.",
                workspace.in_words(),
                workspace.tier
            ))
            .why("Customer-managed keys need the Premium tier. Azure refuses the request on other tiers.")
            .remedy(
                Remedy::say("Set `sku = \"premium\"` in the `azurerm_databricks_workspace`, which changes the workspace in place, or run:").run([
                    format!(
                        "az databricks workspace update --ids {} --sku premium",
                        workspace.id
                    ),
                ]),
            )
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
