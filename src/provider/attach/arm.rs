//! The platform of Azure: the keys of a workspace are part of the workspace itself in Resource Manager, and every change of them sends the
//! whole of it.
//!
//! Source: Microsoft.Databricks REST API (a PUT is long-running, `ConcurrentUpdateError`); Azure RBAC documentation ("up to 10 minutes"
//! until a role assignment takes effect).

use std::time::Duration;

use tokio::time::Instant;

use super::{Look, Platform, PutOutcome};
use crate::clouds::azure::{ArmWorkspace, AzureError, Progress, Tracked, WantedKeys};
use crate::provider::cache::AsOf;
use crate::provider::client::Client;
use crate::provider::deadline::{Deadline, Pause, pause};
use crate::provider::diagnose;
use crate::provider::settled::Condition;
use crate::vocabulary::UseCase;
use crate::vocabulary::azure::{VaultKeyId, WorkspaceResourceId};
use tfplugin::diagnostics::Diagnostics;
use tokio_util::sync::CancellationToken;

/// How long the provider watches new keys once they show, unless the user sets a time. Azure says itself when an update is over.
pub const SETTLE: Duration = Duration::from_secs(60);
/// After how many failed reads of an operation in a row the provider stops following it.
const UNSEEN: u32 = 5;
/// The shortest and the longest pause between two reads of an operation, where Azure does not ask for one.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// Codes with which Azure refuses whatever access the key has: waiting does not help.
const NOT_ABOUT_ACCESS: [&str; 7] = [
    "DiskEncryptionPropertiesRequired",
    "LinkedInvalidPropertyId",
    "VirtualNetworkIdChangeNotAllowed",
    "InvalidEncryptionEntitiesKeyVaultValue",
    "MissingSubscriptionRegistration",
    "InvalidRequestContent",
    "InvalidParameter",
];

/// One workspace of Resource Manager.
pub struct ArmPlatform<'a> {
    /// The client, whose reads all bindings share.
    pub client: &'a Client,
    /// The ID in Resource Manager of the workspace.
    pub id: WorkspaceResourceId,
    /// The keys that the workspace must have in the end, with their versions.
    pub wanted: WantedKeys,
    /// The keys to which this run may have granted access a moment ago.
    pub keys: Vec<VaultKeyId>,
    /// By when Azure must have carried out the change.
    pub deadline: Deadline,
    /// Cancelled when Terraform wants to stop.
    pub stop: CancellationToken,
}

/// How an operation ended.
enum Ended {
    /// It succeeded, or the provider stopped waiting for it: the workspace shows what is true.
    Over,
    /// Azure says that it failed, and why.
    Failed(AzureError),
}

/// Waits until Azure says that an operation is over, until the deadline, or until Terraform wants to stop.
async fn ended(
    client: &Client,
    id: &WorkspaceResourceId,
    tracked: &Tracked,
    deadline: Deadline,
    stop: &CancellationToken,
) -> Ended {
    let cloud = client.keys().azure().cloud();
    let (mut unseen, mut own) = (0, PAUSES.0);
    loop {
        let asked = match cloud.look_at(id, tracked).await {
            Ok((Progress::Running, asked)) => {
                unseen = 0;
                asked
            }
            Ok((Progress::Succeeded, _)) => return Ended::Over,
            Ok((Progress::Failed(code, message), _)) => {
                return Ended::Failed(AzureError::of_operation(&code, &message));
            }
            Err(error) => {
                tracing::warn!(workspace = %id, %error, "the operation could not be read; reading again");
                unseen += 1;
                if unseen >= UNSEEN {
                    return Ended::Over;
                }
                None
            }
        };
        if deadline.has_passed() {
            return Ended::Over;
        }
        if pause(asked.unwrap_or(own), stop).await == Pause::Stopped {
            return Ended::Over;
        }
        own = (own * 2).min(PAUSES.1);
    }
}

/// Sends a whole workspace, and waits until Azure has carried it out. The caller holds the lock of the workspace.
///
/// # Errors
/// When Azure refuses, at once or during the operation.
pub async fn send(
    client: &Client,
    id: &WorkspaceResourceId,
    body: &serde_json::Value,
    deadline: Deadline,
    stop: &CancellationToken,
) -> Result<(), AzureError> {
    let azure = client.keys().azure();
    let sent = azure.cloud().put_workspace(id, body).await;
    azure.forget_workspace(id);
    let Some(tracked) = sent? else {
        return Ok(());
    };
    let outcome = ended(client, id, &tracked, deadline, stop).await;
    azure.forget_workspace(id);
    match outcome {
        Ended::Over => Ok(()),
        Ended::Failed(error) => Err(error),
    }
}

impl ArmPlatform<'_> {
    /// For a message: whether managed disks follow new versions, where the configuration wants a key for them.
    fn flag(&self, case: UseCase, now: &ArmWorkspace) -> String {
        if case != UseCase::ManagedDisks || !self.wanted.set.contains_key(&case) {
            return String::new();
        }
        let (is, wanted) = (now.rotates_disks(), self.wanted.rotate_disks);
        match is == wanted {
            true => format!(" (`rotate_managed_disks_to_latest_version` = {is})"),
            false => format!(
                " (`rotate_managed_disks_to_latest_version` = {is}; the configuration names {wanted})"
            ),
        }
    }

    fn changes_disks(&self, now: &ArmWorkspace) -> bool {
        self.wanted
            .set
            .get(&UseCase::ManagedDisks)
            .is_some_and(|key| !now.has(UseCase::ManagedDisks, key, self.wanted.rotate_disks))
    }

    /// Sends the keys; or, where Azure makes the identity of the workspace's storage account first, has Azure make it.
    async fn changed(&self, now: &ArmWorkspace) -> Result<PutOutcome, AzureError> {
        let send = async |body: serde_json::Value| {
            send(self.client, &self.id, &body, self.deadline, &self.stop).await
        };
        let has_identity = |now: &ArmWorkspace| matches!(now.storage_principal(), Ok(Some(_)));
        if !self.wanted.set.contains_key(&UseCase::Storage) || has_identity(now) {
            send(now.with_keys(&self.wanted)?).await?;
            return Ok(PutOutcome::Accepted);
        }
        send(now.prepared()?).await?;
        let cloud = self.client.keys().azure().cloud();
        let now = cloud.workspace(&self.id).await?;
        if has_identity(&now) {
            return Ok(PutOutcome::Prepared);
        }
        send(now.with_keys(&self.wanted)?).await?;
        Ok(PutOutcome::Accepted)
    }

    fn refused(&self, error: &AzureError, now: &ArmWorkspace) -> PutOutcome {
        let diagnostic = || {
            diagnose::arm(
                "The keys of the workspace could not be changed",
                &self.id,
                error,
            )
        };
        match understood(error, self.changes_disks(now)) {
            Understood::Busy => PutOutcome::Busy,
            Understood::Lost => {
                let diagnostic = diagnostic();
                let detail = format!(
                    "{}\n\nAzure may have carried out the request. Apply again: the provider reads the workspace first.",
                    diagnostic.detail
                );
                PutOutcome::Lost(diagnostic.with_detail(detail).into())
            }
            Understood::Refused { about_the_key } => {
                PutOutcome::Refused(diagnostic().into(), about_the_key)
            }
            Understood::Compute => {
                let diagnostic = diagnostic();
                let detail = format!(
                    "{}\n\nThe change sets the key for managed disks. For that, all clusters, instance pools and classic SQL warehouses of the \
                     workspace must be terminated. If compute runs, stop it, and apply again:\n\n  databricks clusters list\n  databricks \
                     instance-pools list\n  databricks warehouses list",
                    diagnostic.detail
                );
                PutOutcome::Compute(
                    diagnostic
                        .with_detail(detail)
                        .on("azure.workspace_resource_id"),
                )
            }
        }
    }
}

/// What an error says about a request to change keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Understood {
    /// Another update of the workspace is under way.
    Busy,
    /// Compute may run in the workspace.
    Compute,
    /// Azure may have accepted it: the answer was lost, or says nothing about it.
    Lost,
    /// Azure did not accept it, or undid it.
    Refused { about_the_key: bool },
}

/// What an error says about the request. `changes_disks`: whether the request changes the key of managed disks. Azure has no code of its own
/// for running compute, so a refusal of such a change may be about either.
fn understood(error: &AzureError, changes_disks: bool) -> Understood {
    match error {
        AzureError::Conflict { .. } => Understood::Busy,
        AzureError::Unreachable(_)
        | AzureError::Malformed(_)
        | AzureError::Other {
            status: 408 | 500..,
            ..
        } => Understood::Lost,
        AzureError::Refused { code, .. } if NOT_ABOUT_ACCESS.contains(&code.as_str()) => {
            Understood::Refused {
                about_the_key: false,
            }
        }
        AzureError::Refused { .. } if changes_disks => Understood::Compute,
        AzureError::Refused { .. } => Understood::Refused {
            about_the_key: true,
        },
        _ => Understood::Refused {
            about_the_key: false,
        },
    }
}

impl Platform for ArmPlatform<'_> {
    type Workspace = ArmWorkspace;

    /// A failed update leaves the state Failed behind, and the next update repairs it.
    const FAILED_IS_FINAL: bool = false;

    /// Azure says when an update is over, and the workspace shows its outcome a moment later.
    const KEPT_AFTER: Option<Duration> = Some(Duration::from_secs(60));

    fn seen(&self, workspace: ArmWorkspace) -> Look<ArmWorkspace> {
        let condition = match workspace.progress() {
            Progress::Succeeded => Condition::Ready,
            Progress::Running => Condition::Changing,
            Progress::Failed(..) => Condition::Failed,
        };
        Look {
            has_all: workspace.has_all(&self.wanted),
            condition,
            is_busy: condition == Condition::Changing,
            status: workspace.state().to_owned(),
            workspace,
        }
    }

    async fn look(&self, _: Instant) -> AsOf<Result<Look<ArmWorkspace>, Diagnostics>> {
        let begun = Instant::now();
        let found = self.client.keys().azure().cloud().workspace(&self.id).await;
        AsOf {
            begun,
            value: match found {
                Ok(workspace) => Ok(self.seen(workspace)),
                Err(error) => {
                    Err(
                        diagnose::arm("The workspace could not be read", &self.id, &error)
                            .on("azure.workspace_resource_id")
                            .into(),
                    )
                }
            },
        }
    }

    async fn put(&self, now: &ArmWorkspace) -> PutOutcome {
        let error = match self.changed(now).await {
            Ok(outcome) => return outcome,
            Err(error) => error,
        };
        let put = self.refused(&error, now);
        let may_be_late = matches!(put, PutOutcome::Compute(_) | PutOutcome::Refused(_, true));
        // Azure shows access that a run granted a moment ago, although not every part of Azure knows it yet.
        if may_be_late && self.client.keys().azure().has_granted_lately(&self.keys) {
            tracing::info!(workspace = %self.id, %error, "Azure does not take the key yet; access was granted a moment ago");
            return PutOutcome::Busy;
        }
        put
    }

    fn name(&self) -> String {
        format!("workspace {}", self.id)
    }

    fn what_is_true(&self, now: &ArmWorkspace) -> String {
        let each: Vec<String> = UseCase::ALL
            .iter()
            .map(|case| {
                format!(
                    "  - {}: {}{}",
                    case.in_words(),
                    now.key(*case),
                    self.flag(*case, now)
                )
            })
            .collect();
        format!(
            "The workspace {} (\"{}\") is in the state {} and has these keys:\n{}",
            self.id,
            self.id.id().name(),
            now.state(),
            each.join("\n")
        )
    }

    fn status_message<'a>(&self, _: &'a ArmWorkspace) -> Option<&'a str> {
        None
    }

    fn usual_time(&self, _: &ArmWorkspace) -> &'static str {
        " Azure takes about 10 to 15 minutes for a change of keys."
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: the error, and what it says about the request: for a change without the key of managed disks, and for one with it.
    #[test]
    fn an_error_says_what_became_of_the_request() {
        use Understood::{Busy, Compute, Lost, Refused};
        let (key, not_key) = (
            Refused {
                about_the_key: true,
            },
            Refused {
                about_the_key: false,
            },
        );
        let message = || "m".to_owned();
        let conflict = || AzureError::Conflict {
            code: "ConcurrentUpdateError".to_owned(),
            message: message(),
        };
        let refused = |code: &str| AzureError::Refused {
            code: code.to_owned(),
            message: message(),
        };
        let other = |status| AzureError::Other {
            status,
            message: message(),
        };
        let rows = [
            (conflict(), Busy, Busy),
            (
                AzureError::of_operation("ConcurrentUpdateError", "m"),
                Busy,
                Busy,
            ),
            (refused("ApplicationUpdateFail"), key, Compute),
            (
                AzureError::of_operation("KeyVaultAccessForbidden", "m"),
                key,
                Compute,
            ),
            (refused(""), key, Compute),
            (refused("InvalidParameter"), not_key, not_key),
            (refused("MissingSubscriptionRegistration"), not_key, not_key),
            (AzureError::Denied(message()), not_key, not_key),
            (AzureError::Firewall(message()), not_key, not_key),
            (AzureError::NotFound(message()), not_key, not_key),
            (AzureError::PrincipalNotFound(message()), not_key, not_key),
            (AzureError::Credentials(message()), not_key, not_key),
            (AzureError::Unreachable(message()), Lost, Lost),
            (AzureError::Malformed(message()), Lost, Lost),
            (other(500), Lost, Lost),
            (other(504), Lost, Lost),
            (other(429), not_key, not_key),
        ];
        for (error, of_others, of_disks) in rows {
            assert_eq!(understood(&error, false), of_others, "{error:?}");
            assert_eq!(understood(&error, true), of_disks, "{error:?}");
        }
    }
}
