//! What Azure refuses, for the user.

use super::{of_status, says};
use crate::clouds::azure::{AzureError, TRUST};
use crate::network::is_not_trusted;
use crate::vocabulary::azure::{VaultKeyId, VaultKind, WorkspaceResourceId};
use tfplugin::diagnostics::Diagnostic;

/// Why Azure did not do something to a key. `summary` says what was wanted.
pub fn azure(summary: &str, key: &VaultKeyId, error: &AzureError) -> Diagnostic {
    let detail = match error {
        AzureError::Denied(message) => format!(
            "The identity that runs Terraform is not allowed to do this.{}\n\nAllow the identity to administer {key}: {}.",
            says("Azure", message),
            administering(key.kind())
        ),
        AzureError::Firewall(message) => format!(
            "The network rules of {} {} do not let this machine in.{}\n\nRun Terraform in a network that {}",
            match key.kind() {
                VaultKind::KeyVault => "the vault",
                VaultKind::ManagedHsm => "the Managed HSM",
            },
            key.vault(),
            says("Azure", message),
            letting_in(key)
        ),
        AzureError::NotFound(message) => {
            format!(
                "Azure does not find it.{}\n\nCheck the identifier {key}.",
                says("Azure", message)
            )
        }
        other => common(other),
    };
    Diagnostic::error(summary, detail)
}

/// What lets an identity administer a key. Sources: Azure built-in roles for Key Vault; Managed HSM, "Local RBAC built-in roles".
fn administering(kind: VaultKind) -> &'static str {
    match kind {
        VaultKind::KeyVault => {
            "with role assignments the role Key Vault Crypto Officer and, to assign roles, Key Vault Data Access Administrator, Role Based Access \
             Control Administrator, or User Access Administrator; with access policies the key permissions get, list, update, delete and recover"
        }
        VaultKind::ManagedHsm => {
            "the local role Managed HSM Crypto User and, to assign local roles and to recover keys, Managed HSM Crypto Officer"
        }
    }
}

/// The end of the sentence that says where Terraform must run, and how to let this machine in.
fn letting_in(key: &VaultKeyId) -> String {
    match key.kind() {
        VaultKind::KeyVault => format!(
            "the vault lets in, or let this machine in:\n\n  az keyvault network-rule add --name {} --ip-address …",
            key.vault()
        ),
        VaultKind::ManagedHsm => {
            "the Managed HSM lets in, or let this machine in under Networking of the Managed HSM in the Azure portal.".to_owned()
        }
    }
}

/// Why the workspaces that may use a key could not be read. `summary` says what was wanted.
pub fn azure_workspaces(summary: &str, error: &AzureError) -> Diagnostic {
    let detail = match error {
        AzureError::Denied(message) => format!(
            "The identity that runs this provider is not allowed to read the workspaces.{}\n\nAllow it: the role Reader on each subscription that \
             has workspaces with the key.",
            says("Azure", message)
        ),
        other => common(other),
    };
    Diagnostic::error(summary, detail)
}

/// Why Azure did not do something to a workspace. `summary` says what was wanted.
pub fn arm(summary: &str, workspace: &WorkspaceResourceId, error: &AzureError) -> Diagnostic {
    let detail = match error {
        AzureError::Denied(message) => format!(
            "The identity that runs Terraform is not allowed to do this.{}\n\nAllow the identity to read and write the workspace (role Contributor \
             on {workspace}).",
            says("Azure", message)
        ),
        AzureError::NotFound(message) => format!(
            "Azure has no workspace {workspace}.{}\n\nCheck the resource ID: `azurerm_databricks_workspace.….id`, or\n\n  az databricks workspace \
             list --query \"[].id\"\n\nIf the workspace was deleted, remove the resources that name it from the configuration.",
            says("Azure", message)
        ),
        other => common(other),
    };
    Diagnostic::error(summary, detail)
}

fn common(error: &AzureError) -> String {
    match error {
        AzureError::Denied(message) => format!(
            "Azure does not allow this.{}\n\nCheck the roles of the identity that runs the provider.",
            says("Azure", message)
        ),
        AzureError::Firewall(message) => format!(
            "Network rules do not let this machine in.{}\n\nRun in a network that they let in.",
            says("Azure", message)
        ),
        AzureError::NotFound(message) => format!(
            "Azure does not find it.{}\n\nCheck the names, and the subscription.",
            says("Azure", message)
        ),
        AzureError::PrincipalNotFound(message) => format!(
            "Azure does not know the principal (yet).{}\n\nA new identity takes some minutes until every part of Azure knows it. Apply again. If \
             it stays, check the object ID, which is not the application ID.",
            says("Azure", message)
        ),
        AzureError::Conflict { .. } => format!(
            "Another change of it is under way.{}\n\nWait until the other change is over (activity log of the resource), and apply again.",
            says("Azure", &error.to_string())
        ),
        AzureError::Refused { .. } => format!(
            "Azure does not accept the request.{}\n\nCorrect what the message names, and run again.",
            says("Azure", &error.to_string())
        ),
        AzureError::Other { status, .. } => {
            format!("Azure says: \"{error}\".\n\n{}", of_status(*status))
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
