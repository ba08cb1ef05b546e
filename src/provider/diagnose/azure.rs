//! What Azure refuses, for the user.

use crate::clouds::azure::{AzureError, TRUST};
use crate::network::is_not_trusted;
use crate::vocabulary::azure::{VaultKeyId, WorkspaceResourceId};
use tfplugin::diagnostics::Diagnostic;

/// Why Azure did not do something to a key. `summary` says what was wanted.
pub fn azure(summary: &str, key: &VaultKeyId, error: &AzureError) -> Diagnostic {
    let detail = match error {
        AzureError::Denied(message) => format!(
            "Azure returned an error: \"{message}\".\n\nAllow the identity that runs Terraform to administer {key}: with role assignments the role \
             Key Vault Crypto Officer and, to assign roles, Key Vault Data Access Administrator, Role Based Access Control Administrator, or \
             User Access Administrator; with access policies the key permissions get, list, update, delete and recover."
        ),
        AzureError::Firewall(message) => format!(
            "The network rules of the vault {} do not let this machine in. Azure says: \"{message}\".\n\nRun Terraform in a network that the \
             vault lets in, or let this machine in:\n\n  az keyvault network-rule add --name {} --ip-address …",
            key.vault(),
            key.vault()
        ),
        AzureError::NotFound(message) => {
            format!("Azure does not find it: \"{message}\".\n\nCheck the identifier {key}.")
        }
        other => common(other),
    };
    Diagnostic::error(summary, detail)
}

/// Why the workspaces that may use a key could not be read. `summary` says what was wanted.
pub fn azure_workspaces(summary: &str, error: &AzureError) -> Diagnostic {
    let detail = match error {
        AzureError::Denied(message) => format!(
            "Azure returned an error: \"{message}\".\n\nAllow the identity that runs this provider to read the workspaces: the role Reader on each \
             subscription that has workspaces with the key."
        ),
        other => common(other),
    };
    Diagnostic::error(summary, detail)
}

/// Why Azure did not do something to a workspace. `summary` says what was wanted.
pub fn arm(summary: &str, workspace: &WorkspaceResourceId, error: &AzureError) -> Diagnostic {
    let detail = match error {
        AzureError::Denied(message) => format!(
            "Azure returned an error: \"{message}\".\n\nAllow the identity that runs Terraform to read and write the workspace (role Contributor \
             on {workspace})."
        ),
        AzureError::NotFound(message) => format!(
            "Azure has no workspace {workspace}. It says: \"{message}\".\n\nCheck the resource ID: `azurerm_databricks_workspace.….id`, or\n\n  \
             az databricks workspace list --query \"[].id\"\n\nIf the workspace was deleted, remove the resources that name it from the configuration."
        ),
        other => common(other),
    };
    Diagnostic::error(summary, detail)
}

fn common(error: &AzureError) -> String {
    match error {
        AzureError::Denied(message)
        | AzureError::Firewall(message)
        | AzureError::NotFound(message) => format!("Azure says: \"{message}\"."),
        AzureError::PrincipalNotFound(message) => format!(
            "Azure does not know the principal (yet). It says: \"{message}\".\n\nA new identity takes some minutes until every part of Azure \
             knows it. Apply again. If it stays, check the object ID, which is not the application ID."
        ),
        AzureError::Conflict { .. } => format!(
            "Somebody else changes it at the same time. Azure says: \"{error}\".\n\nWait until the other change is over (activity log of the \
             resource), and apply again."
        ),
        AzureError::Refused { .. } | AzureError::Other { .. } => {
            format!("Azure says: \"{error}\".")
        }
        AzureError::Credentials(reason) => format!(
            "The provider found no usable identity of Azure: {reason}.\n\nGive it one of these:\n  - `azure.client_id` and \
             `azure.client_secret`, or ARM_CLIENT_ID, ARM_CLIENT_SECRET and ARM_TENANT_ID\n  - `azure.use_oidc = true`, in GitHub Actions or \
             Azure DevOps\n  - `azure.use_msi = true`, on a machine with a managed identity\n  - `az login`"
        ),
        AzureError::Unreachable(reason) if is_not_trusted(reason) => {
            format!("Azure could not be reached: {reason}.\n\n{TRUST}")
        }
        AzureError::Unreachable(reason) => format!(
            "Azure could not be reached: {reason}.\n\nCheck the network, the proxy, and `azure.endpoints` of the provider."
        ),
        AzureError::Malformed(reason) => format!(
            "Azure answered something that this version cannot read: {reason}.\n\nTry again; if it stays, report it as a bug of this \
             provider."
        ),
    }
}
