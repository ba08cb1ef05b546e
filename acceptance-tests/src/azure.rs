//! What a test needs of the sandbox's Azure.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "for tests: what does not go as told has to fail the test"
)]

use dbxcmk_sandbox::azure::{
    AzureKey, AzureWorld, DATABRICKS, KEY, POLICY_VAULT, SUBSCRIPTION, TENANT, VAULT, VERSION,
    VersionOfKey, key_id, may, vault_id, workspace_id,
};
use dbxcmk_sandbox::{Options, REGION, Sandbox};
use serde_json::{Value as Json, json};

use crate::harness::Workdir;
use crate::kms::Kms;
use crate::stage::Stage;

/// The role "Key Vault Crypto Service Encryption User".
pub const ROLE: &str = "e147488a-f6f5-4113-8e2d-b22465e65bf6";
/// Another version of a key.
pub const SECOND: &str = "fedcba9876543210fedcba9876543210";

/// The settings of the provider that lead to a sandbox, and further ones.
pub fn provider(sandbox: &Sandbox, directory: &std::path::Path, more: &str) -> String {
    let bundle = directory.join("sandbox.pem");
    std::fs::write(&bundle, sandbox.authority()).expect("the certificate can be written");
    let url = sandbox.azure_url();
    format!(
        r#"
terraform {{
  required_providers {{
    dbxcmk = {{
      source = "dbxcmk/dbxcmk"
    }}
  }}
}}

provider "dbxcmk" {{
  azure = {{
    ca_bundle = "{}"
    {more}
    endpoints = {{
      resource_manager = "{url}/arm"
      login            = "{url}/login"
      graph            = "{url}/graph"
      key_vault        = "{url}/vault"
    }}
  }}
}}
"#,
        bundle.display()
    )
}

impl Stage {
    /// A sandbox with a workspace on Azure and a key in vaults of each kind; no Databricks account is configured.
    pub fn on_azure() -> Self {
        let sandbox = Sandbox::start(Options {
            azure: true,
            ..Options::default()
        })
        .expect("a sandbox");
        let mut workdir = Workdir::new(&sandbox);
        for name in [
            "DATABRICKS_HOST",
            "DATABRICKS_ACCOUNT_ID",
            "DATABRICKS_CLIENT_ID",
            "DATABRICKS_CLIENT_SECRET",
        ] {
            workdir.unset(name);
        }
        Self {
            kms: Kms::new(&sandbox.url(), REGION),
            workdir,
            sandbox,
        }
    }

    /// The configuration from now on, with a provider for Azure.
    pub fn configure_azure(&self, body: &str) {
        self.configure_azure_with("", body);
    }

    /// The same, with further settings of the `azure` block.
    pub fn configure_azure_with(&self, more: &str, body: &str) {
        let head = provider(&self.sandbox, self.workdir.path(), more);
        self.workdir.configuration(&format!("{head}{body}"));
    }

    /// Reads or changes what there is of Azure.
    pub fn azure<T>(&self, f: impl FnOnce(&mut AzureWorld) -> T) -> T {
        self.sandbox.with(|world| f(&mut world.now.azure))
    }

    /// What Resource Manager shows of the workspace.
    pub fn arm_workspace(&self) -> Json {
        self.azure(|azure| azure.workspace().expect("the workspace").shown.clone())
    }

    /// Something that Resource Manager shows of the workspace (a JSON pointer), as text.
    pub fn arm_text(&self, pointer: &str) -> String {
        let shown = self.arm_workspace();
        shown
            .pointer(pointer)
            .and_then(Json::as_str)
            .unwrap_or_default()
            .to_owned()
    }

    /// The version of its key that the workspace has for managed services, managed disks and storage.
    pub fn arm_versions(&self) -> [String; 3] {
        [
            "/properties/encryption/entities/managedServices/keyVaultProperties/keyVersion",
            "/properties/encryption/entities/managedDisk/keyVaultProperties/keyVersion",
            "/properties/parameters/encryption/value/keyversion",
        ]
        .map(|pointer| self.arm_text(pointer))
    }

    /// Changes the newest version of the key of a vault.
    pub fn change_version(&self, vault: &str, change: impl FnOnce(&mut VersionOfKey)) {
        self.azure(|azure| {
            let key = azure.key(vault).expect("the key");
            change(key.versions.last_mut().expect("a version"));
        });
    }

    /// Changes the key in a vault that the sandbox begins with.
    pub fn change_vault_key(&self, vault: &str, change: impl FnOnce(&mut AzureKey)) {
        self.azure(|azure| change(azure.key(vault).expect("the key")));
    }

    /// Adds a version to the key of a vault.
    pub fn new_version(&self, vault: &str, name: &str) {
        self.change_vault_key(vault, |key| {
            let mut next = key.versions.last().expect("a version").clone();
            next.name = name.to_owned();
            next.created += 100;
            next.tags.clear();
            key.versions.push(next);
        });
    }

    /// Whether a principal can read the key of a vault, wrap with it and unwrap.
    pub fn can_use(&self, vault: &str, principal: &str) -> bool {
        self.azure(|azure| {
            ["get", "wrapKey", "unwrapKey"]
                .iter()
                .all(|right| may(azure, vault, KEY, principal, right))
        })
    }

    /// Assigns a role at a scope, as another owner would.
    pub fn assign(&self, scope: &str, role: &str, principal: &str) {
        self.azure(|azure| {
            azure.principals.insert(principal.to_owned());
            let id = format!(
                "{}/providers/microsoft.authorization/roleassignments/0f{:06x}00-0000-4000-8000-000000000000",
                scope.to_ascii_lowercase(),
                azure.role_assignments.len()
            );
            let shown = json!({ "id": id, "type": "Microsoft.Authorization/roleAssignments", "properties": {
                "scope": scope, "principalId": principal, "principalType": "ServicePrincipal",
                "roleDefinitionId": format!("/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{role}"),
            }});
            azure.role_assignments.insert(id, shown);
        });
    }

    /// Gives AzureDatabricks what it needs of the key of a vault, as another owner would.
    pub fn allow_databricks(&self, vault: &str) {
        if vault == POLICY_VAULT {
            self.azure(|azure| {
                let shown = azure.vault(vault).expect("the vault");
                shown["properties"]["accessPolicies"] = json!([{
                    "tenantId": TENANT, "objectId": DATABRICKS, "permissions": { "keys": ["Get", "WrapKey", "UnwrapKey"] },
                }]);
            });
        } else {
            self.assign(&vault_id(vault), ROLE, DATABRICKS);
        }
    }

    /// How many operations that contain every word the provider has sent to Azure.
    pub fn asked_times(&self, words: &str) -> usize {
        self.asked(words).len()
    }
}

/// A key configuration, a policy and a binding for all three features with the key of a vault.
pub fn resources(vault: &str) -> String {
    format!(
        r#"
resource "dbxcmk_key_policy" "lakehouse" {{
  use_cases = ["MANAGED_SERVICES", "MANAGED_DISKS", "STORAGE"]
  azure = {{
    key_vault_key_id      = "{key}"
    vault_resource_id     = "{vault_id}"
    workspace_resource_id = "{workspace}"
  }}
}}

resource "dbxcmk_key_configuration" "lakehouse" {{
  use_cases = ["MANAGED_SERVICES", "MANAGED_DISKS", "STORAGE"]
  azure = {{
    key_vault_key_id = "{key}"
  }}
}}

resource "dbxcmk_workspace_binding" "prod" {{
  managed_services_key_configuration_id = dbxcmk_key_configuration.lakehouse.id
  managed_disks_key_configuration_id    = dbxcmk_key_configuration.lakehouse.id
  storage_key_configuration_id          = dbxcmk_key_configuration.lakehouse.id
  settle_time                           = "0s"
  azure = {{
    workspace_resource_id = "{workspace}"
  }}

  depends_on = [dbxcmk_key_policy.lakehouse]
}}
"#,
        key = key_id(vault),
        vault_id = vault_id(vault),
        workspace = workspace_id(),
    )
}

/// A binding for managed services alone, with a key.
pub fn managed_services(key: &str) -> String {
    format!(
        r#"
resource "dbxcmk_key_configuration" "lakehouse" {{
  use_cases = ["MANAGED_SERVICES"]
  azure = {{
    key_vault_key_id = "{key}"
  }}
}}

resource "dbxcmk_workspace_binding" "prod" {{
  managed_services_key_configuration_id = dbxcmk_key_configuration.lakehouse.id
  settle_time                           = "0s"
  azure = {{
    workspace_resource_id = "{}"
  }}
}}
"#,
        workspace_id()
    )
}

/// The identifier of the first version of the key of a vault.
pub fn first_version(vault: &str) -> String {
    format!("{}/{VERSION}", key_id(vault))
}

/// The vault that most tests use.
pub const OWN_VAULT: &str = VAULT;
