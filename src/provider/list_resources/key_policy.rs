//! Every KMS key of a region whose policy has statements for Databricks.

use crate::provider::client::Client;
use crate::provider::resources::key_policy::{
    KeyPolicyModel, KeyPolicyResource, list, list_of_ring, list_of_vault,
};
use crate::vocabulary::azure::{VaultResourceId, WorkspaceResourceId};
use crate::vocabulary::gcp::CryptoKeyName;
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::deferral::Unfinished;
use tfplugin::list_resource::{Found, ListResource};
use tfplugin::model::Model;
use tfplugin::schema::{Name, Problem, Schema};
use tfplugin::value::Value;

/// Lists `dbxcmk_key_policy`: one object for each key of a region, key ring or vault whose policy lets Databricks in.
pub struct KeyPolicyList;

/// The KMS keys of an AWS region whose policies have documented statements for Databricks, or the keys of a Google key ring whose
/// policies have members for Databricks, or the keys of a vault on Azure that AzureDatabricks or the workspace may use. A warning names keys whose
/// policies cannot be read.
#[derive(Clone, Debug, Model)]
pub struct KeyPolicyListConfig {
    /// AWS region. Default: the one of the provider's `aws` block, then as the AWS tools find it.
    pub region: Attr<String>,
    /// Key ring of Google Cloud KMS (`google_kms_key_ring.….id`), to list its keys instead of those of an AWS region.
    #[attr(check = is_ring)]
    pub key_ring: Attr<String>,
    /// Vault on Azure (`azurerm_key_vault.….id`), to list its keys instead.
    #[attr(text, format(VaultResourceId, "Invalid resource ID of a vault"))]
    pub vault_resource_id: Attr<VaultResourceId>,
    /// Workspace on Azure whose identities use the keys of the vault.
    #[attr(
        text,
        format(WorkspaceResourceId, "Invalid resource ID of a workspace")
    )]
    pub workspace_resource_id: Attr<WorkspaceResourceId>,
}

fn is_ring(value: &Value) -> Result<(), Problem> {
    let Some(ring) = value.as_str() else {
        return Ok(());
    };
    // A key of that ring has a name that can be read.
    match format!("{ring}/cryptoKeys/x").parse::<CryptoKeyName>() {
        Ok(_) => Ok(()),
        Err(_) => Err(Problem::new(
            "Invalid key ring",
            format!(
                "`{ring}` is not the name of a key ring; expected projects/PROJECT/locations/LOCATION/keyRings/RING."
            ),
        )),
    }
}

impl ListResource for KeyPolicyList {
    type Of = KeyPolicyResource;
    type Config = KeyPolicyListConfig;

    fn name(&self) -> Name {
        "dbxcmk_key_policy".into()
    }

    fn schema(&self) -> Schema {
        KeyPolicyListConfig::schema()
    }

    async fn list(
        &self,
        cx: &Context<Client>,
        config: KeyPolicyListConfig,
        found: &Found<KeyPolicyModel>,
    ) -> Result<(), Unfinished> {
        if let Attr::Known(ring) = &config.key_ring {
            return Ok(list_of_ring(cx, ring, found).await?);
        }
        if let Attr::Known(vault) = &config.vault_resource_id {
            let workspace = config.workspace_resource_id.known();
            return Ok(list_of_vault(cx, vault, workspace, found).await?);
        }
        Ok(list(cx, config.region.known().map(String::as_str), found).await?)
    }
}
