//! The platform of AWS and Google Cloud: the keys of a workspace are two fields in the Databricks account.

use std::time::Duration;

use tokio::time::Instant;

use super::{Look, Platform, PutOutcome};
use crate::databricks::workspaces::{KeyFields, Workspace};
use crate::databricks::{Account, Error};
use crate::provider::cache::AsOf;
use crate::provider::client::Client;
use crate::provider::diagnose;
use crate::provider::settled::Condition;
use crate::vocabulary::{AttachedKey, KeyConfigurationId, UseCase, WorkspaceId, WorkspaceStatus};
use tfplugin::diagnostics::{Diagnostic, Diagnostics};

/// How long a storage key takes until it has full effect. Source: Databricks documentation, "Update a workspace".
const STORAGE_SETTLE: Duration = Duration::from_secs(20 * 60);
/// How long the provider watches a managed services key: Databricks gives no time, and has reverted keys after seconds.
const MANAGED_SERVICES_SETTLE: Duration = Duration::from_secs(60);

/// How long the provider watches new keys once they show, unless the user sets a time.
pub fn settle_time(missing: &KeyFields) -> Duration {
    if missing.storage.is_some() {
        STORAGE_SETTLE
    } else {
        MANAGED_SERVICES_SETTLE
    }
}

/// Reads the workspace now.
///
/// # Errors
/// When the API refuses or cannot be reached, or the account has no such workspace.
pub async fn workspace(account: &Account, id: WorkspaceId) -> Result<Workspace, Diagnostics> {
    required(account, id, account.find_workspace(id).await)
}

/// The workspace of a read that must find one.
///
/// # Errors
/// When the read failed, or the account has no such workspace.
pub fn required(
    account: &Account,
    id: WorkspaceId,
    found: Result<Option<Workspace>, Error>,
) -> Result<Workspace, Diagnostics> {
    let found = found.map_err(|error| {
        diagnose::account("The workspace could not be read", &error).on("workspace_id")
    })?;
    found.ok_or_else(|| {
        missing(
            account,
            id,
            "If the workspace was deleted, remove this binding from the configuration. To destroy the rest of the configuration first, run \
             `terraform destroy -refresh=false`; without that flag, Terraform plans everything once before it destroys.",
        )
        .into()
    })
}

/// A workspace that the account does not have. `advice`: what to do if it was deleted.
pub fn missing(account: &Account, id: WorkspaceId, advice: &str) -> Diagnostic {
    Diagnostic::error(
        "The workspace does not exist in this Databricks account",
        format!(
            "The account {} has no workspace {id}. You find the number in the URL of the workspace (`?o=…`) and in the account console. A \
             `databricks_mws_workspaces` resource has it as `workspace_id`. Each cloud has its own account host: check `host` and \
             `account_id` of the provider.\n\n{advice}",
            account.id()
        ),
    )
    .on("workspace_id")
}

/// The key configuration of a workspace for a use case, for a state or a result.
///
/// # Errors
/// When the account shows a text there that is not an ID, which is not the same as no key configuration.
pub fn attached(
    workspace: &Workspace,
    case: UseCase,
) -> Result<Option<KeyConfigurationId>, Diagnostics> {
    match workspace.key(case) {
        AttachedKey::None => Ok(None),
        AttachedKey::Known(id) => Ok(Some(id)),
        AttachedKey::Unreadable(text) => Err(Diagnostic::error(
            "The key configuration of the workspace cannot be read",
            format!(
                "The workspace {} (\"{}\") shows `{text}` as its key configuration for {}. That is not the ID of a key configuration, and the \
                 provider does not treat it as empty.\n\nCheck the workspace in the account console. If the ID is correct there, report this \
                 as a bug of this provider.",
                workspace.workspace_id,
                workspace.workspace_name,
                case.in_words()
            ),
        )
        .on("workspace_id")
        .into()),
    }
}

/// One workspace of a Databricks account.
pub struct AccountWorkspace<'a> {
    /// The client, whose reads all bindings share.
    pub client: &'a Client,
    /// The account whose API reads and changes it.
    pub account: &'a Account,
    /// The number of the workspace.
    pub id: WorkspaceId,
    /// The key configurations that the workspace must have in the end.
    pub wanted: KeyFields,
}

impl AccountWorkspace<'_> {
    fn refused(&self, error: &Error, now: &Workspace) -> PutOutcome {
        let diagnostic =
            || diagnose::account("The keys of the workspace could not be changed", error);
        match understood(error) {
            Understood::Taken => PutOutcome::Accepted,
            Understood::Busy => PutOutcome::Busy,
            Understood::Lost => PutOutcome::Lost(diagnostic().into()),
            Understood::Refused { about_the_key } => {
                PutOutcome::Refused(diagnostic().into(), about_the_key)
            }
            Understood::Compute => PutOutcome::Compute(compute_runs(error, now)),
        }
    }
}

/// What an error says about a request to change keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Understood {
    /// Databricks accepted an earlier try of the same call, whose answer was lost.
    Taken,
    /// Another update of the workspace is under way.
    Busy,
    /// Compute runs in the workspace.
    Compute,
    /// Databricks may have accepted it.
    Lost,
    /// Databricks did not accept it.
    Refused { about_the_key: bool },
}

fn understood(error: &Error) -> Understood {
    match error.api() {
        Some(refusal) if refusal.is_conflict() && refusal.after_another => Understood::Taken,
        Some(refusal) if refusal.is_conflict() => Understood::Busy,
        Some(refusal) if refusal.is_running_compute() => Understood::Compute,
        _ if error.may_have_been_taken() => Understood::Lost,
        refusal => Understood::Refused {
            about_the_key: refusal.is_some_and(|refusal| refusal.status == 400),
        },
    }
}

fn compute_runs(error: &Error, now: &Workspace) -> Diagnostic {
    Diagnostic::error(
        "Compute is running in the workspace",
        format!(
            "Databricks does not change the keys of workspace {} (\"{}\") while classic compute runs in its network. Nothing was changed. \
             Databricks says: \"{error}\".\n\nStop all clusters (all-purpose and jobs), empty the instance pools, stop the classic SQL \
             warehouses, and wait until their {} are terminated. Then apply again. To list what runs:\n\n  databricks clusters \
             list\n  databricks instance-pools list\n  databricks warehouses list",
            now.workspace_id,
            now.workspace_name,
            now.cloud().unwrap_or_default().words().machines
        ),
    )
    .on("workspace_id")
}

impl Platform for AccountWorkspace<'_> {
    type Workspace = Workspace;

    const FAILED_IS_FINAL: bool = true;

    /// Databricks may begin late, and only the status shows when it has ended.
    const KEPT_AFTER: Option<Duration> = None;

    fn seen(&self, workspace: Workspace) -> Look<Workspace> {
        Look {
            has_all: self.wanted.missing_in(&workspace).is_empty(),
            condition: match &workspace.workspace_status {
                WorkspaceStatus::Running => Condition::Ready,
                status if status.has_failed() => Condition::Failed,
                _ => Condition::Changing,
            },
            is_busy: workspace.workspace_status.is_changing(),
            status: workspace.workspace_status.to_string(),
            workspace,
        }
    }

    /// Bindings that wait at the same time share one list of workspaces.
    async fn look(&self, earliest: Instant) -> AsOf<Result<Look<Workspace>, Diagnostics>> {
        let reads = self.client.reads();
        let list = reads.workspaces_after(self.account, earliest).await;
        let found = match list.value {
            Ok(all) => match all.get(&self.id) {
                Some(found) => Ok(found.clone()),
                // The list may lag behind, so the provider reads the workspace itself.
                None => workspace(self.account, self.id).await,
            },
            Err(error) => required(self.account, self.id, Err(error)),
        };
        AsOf {
            begun: list.begun,
            value: found.map(|workspace| self.seen(workspace)),
        }
    }

    /// The run has read as many lists in a row as a binding on its own would wait for.
    fn has_long_had_all(&self) -> bool {
        self.client.reads().has_long_been(self.id, |workspace| {
            workspace.workspace_status == WorkspaceStatus::Running
                && self.wanted.missing_in(workspace).is_empty()
        })
    }

    async fn put(&self, now: &Workspace) -> PutOutcome {
        let outcome = self
            .account
            .set_keys(self.id, &self.wanted.missing_in(now))
            .await;
        self.client.reads().forget_workspace(self.id);
        match outcome {
            Ok(()) => PutOutcome::Accepted,
            Err(error) => self.refused(&error, now),
        }
    }

    fn name(&self) -> String {
        format!("workspace {}", self.id)
    }

    fn what_is_true(&self, now: &Workspace) -> String {
        let one = |case: UseCase| format!("  - {}: {}", case.in_words(), now.key(case));
        format!(
            "The workspace {} (\"{}\") is {} and has these key configurations:\n{}\n{}",
            now.workspace_id,
            now.workspace_name,
            now.workspace_status,
            one(UseCase::ManagedServices),
            one(UseCase::Storage)
        )
    }

    fn status_message<'a>(&self, now: &'a Workspace) -> Option<&'a str> {
        now.workspace_status_message
            .as_deref()
            .filter(|message| !message.is_empty())
    }

    /// The time depends on who manages the network of the workspace: Databricks or the customer.
    fn usual_time(&self, now: &Workspace) -> &'static str {
        match now.network_id.as_deref() {
            None | Some("") => {
                " In a network that Databricks manages, the workspace is PROVISIONING for up to 20 minutes, and clusters cannot start for 20 \
                 minutes after that."
            }
            Some(_) => {
                " In a network of your own, the status stays RUNNING, and the new storage key shows after some minutes; clusters cannot start \
                 for 20 minutes after that."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::databricks::{ApiError, AuthError};

    fn api(status: u16, code: &str, message: &str) -> Error {
        let body = format!("{{\"error_code\":\"{code}\",\"message\":\"{message}\"}}");
        Error::Api(ApiError::read(status, &body))
    }

    fn lost(may_have_been_taken: bool) -> Error {
        Error::Transport {
            reason: "no network".to_owned(),
            source: None,
            may_have_been_taken,
            is_unreachable: !may_have_been_taken,
        }
    }

    /// Each row: the error, and what it says about the request: a request that Databricks may have accepted never counts as refused.
    #[test]
    fn an_error_says_what_became_of_the_request() {
        use Understood::{Busy, Compute, Lost, Refused, Taken};
        const EC2: &str = "Please terminate all pool & cluster EC2 instances in your workspace";
        let after_another = match api(409, "RESOURCE_CONFLICT", "m") {
            Error::Api(refusal) => Error::Api(ApiError {
                after_another: true,
                ..refusal
            }),
            other => other,
        };
        let (key, not_key) = (
            Refused {
                about_the_key: true,
            },
            Refused {
                about_the_key: false,
            },
        );
        let rows = [
            (api(409, "RESOURCE_CONFLICT", "m"), Busy),
            (api(400, "ABORTED", "m"), Busy),
            (after_another, Taken),
            (api(400, "INVALID_STATE", EC2), Compute),
            (
                api(400, "INVALID_STATE", "The workspace is not ready."),
                key,
            ),
            (api(400, "INVALID_PARAMETER_VALUE", "m"), key),
            (api(403, "PERMISSION_DENIED", "m"), not_key),
            (api(404, "RESOURCE_DOES_NOT_EXIST", "m"), not_key),
            (api(401, "", "m"), not_key),
            (api(429, "RESOURCE_EXHAUSTED", "m"), not_key),
            (api(503, "TEMPORARILY_UNAVAILABLE", "m"), not_key),
            (api(500, "INTERNAL_ERROR", "m"), Lost),
            (api(502, "", "m"), Lost),
            (api(504, "", "m"), Lost),
            (lost(true), Lost),
            (lost(false), not_key),
            (Error::Malformed("m".to_owned()), Lost),
            (Error::LoginPage, not_key),
            (Error::Token(Box::new(lost(true))), not_key),
            (Error::Auth(AuthError::NoCredential), not_key),
        ];
        for (error, expected) in rows {
            assert_eq!(understood(&error), expected, "{error:?}");
        }
    }
}
