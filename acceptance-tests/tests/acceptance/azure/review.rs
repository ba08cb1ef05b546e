//! `review` over plans with resources of hashicorp/azurerm, in the form that their schemas have.

use dbxcmk_sandbox::azure::{DATABRICKS, VAULT, VERSION, key_id, vault_id, workspace_id};
use serde_json::{Value as Json, json};

use crate::review::{change, plan_of, reviewed, snapshot};

const OTHER: &str = "0e000000-0000-4000-8000-000000000001";

fn key() -> String {
    key_id(VAULT)
}

fn policy(principals: &[&str]) -> Json {
    json!({ "id": key(), "use_cases": ["MANAGED_SERVICES"], "force_destroy": false, "azure": { "key_vault_key_id": key(),
        "vault_resource_id": vault_id(VAULT), "workspace_resource_id": workspace_id(), "principals": principals } })
}

fn binding(storage: Json) -> Json {
    let id = format!("{}/{VERSION}", key());
    json!({ "id": workspace_id(), "workspace_id": "42", "workspace_name": "prod", "managed_services_key_configuration_id": id,
        "managed_disks_key_configuration_id": id, "storage_key_configuration_id": storage, "azure": { "workspace_resource_id": workspace_id() } })
}

/// A workspace that lives on a key, to which a `dbxcmk_key_policy` gives AzureDatabricks access.
fn around() -> Vec<Json> {
    let id = format!("{}/{VERSION}", key());
    let configuration = json!({ "id": id, "use_cases": ["MANAGED_SERVICES", "MANAGED_DISKS"], "azure": { "key_vault_key_id": id } });
    let (policy, binding) = (policy(&[DATABRICKS]), binding(Json::Null));
    vec![
        change(
            "dbxcmk_key_configuration.x",
            &["no-op"],
            configuration.clone(),
            configuration,
        ),
        change(
            "dbxcmk_workspace_binding.x",
            &["no-op"],
            binding.clone(),
            binding,
        ),
        change("dbxcmk_key_policy.x", &["no-op"], policy.clone(), policy),
    ]
}

fn vault_key(options: &[&str], expires: Json) -> Json {
    json!({ "id": format!("{}/{VERSION}", key()), "versionless_id": key(), "name": "main", "key_opts": options, "expiration_date": expires })
}

fn vault(roles: bool, bypass: &str) -> Json {
    json!({ "id": vault_id(VAULT), "name": VAULT, "vault_uri": format!("https://{VAULT}.vault.azure.net/"), "rbac_authorization_enabled": roles,
        "network_acls": [{ "bypass": bypass, "default_action": "Deny" }] })
}

fn workspace(services: Json) -> Json {
    json!({ "id": workspace_id(), "name": "lakehouse-azure", "workspace_id": "42", "managed_services_cmk_key_vault_key_id": services,
        "managed_disk_cmk_key_vault_key_id": null })
}

/// Each row: a change beside a workspace that lives on the key, and what the review finds, with its level.
#[test]
fn what_must_not_happen_to_a_key_of_azure_is_found() {
    let none = Json::Null;
    let both = ["wrapKey", "unwrapKey"];
    let access = |permissions: &[&str], who: &str| json!({ "key_vault_id": vault_id(VAULT), "object_id": who, "key_permissions": permissions });
    let role = |who: &str, name: &str| json!({ "scope": vault_id(VAULT), "principal_id": who, "role_definition_name": name });
    let user = "Key Vault Crypto Service Encryption User";
    let all = ["Get", "WrapKey", "UnwrapKey"];
    let rows: Vec<(&str, Json, &[(&str, &str)])> = vec![
        (
            "the key goes",
            change(
                "azurerm_key_vault_key.x",
                &["delete"],
                vault_key(&both, none.clone()),
                none.clone(),
            ),
            &[
                ("key-deleted", "error"),
                ("key-deletion-window", "irreversible"),
            ],
        ),
        (
            "the key is replaced",
            change(
                "azurerm_key_vault_key.x",
                &["delete", "create"],
                vault_key(&both, none.clone()),
                vault_key(&both, none.clone()),
            ),
            &[
                ("key-deleted", "error"),
                ("key-deletion-window", "irreversible"),
            ],
        ),
        (
            "the key gets an end",
            change(
                "azurerm_key_vault_key.x",
                &["update"],
                vault_key(&both, none.clone()),
                vault_key(&both, json!("2027-01-01T00:00:00Z")),
            ),
            &[("key-disabled", "warning")],
        ),
        (
            "the key loses an operation",
            change(
                "azurerm_key_vault_key.x",
                &["update"],
                vault_key(&both, none.clone()),
                vault_key(&["wrapKey"], none.clone()),
            ),
            &[("key-disabled", "error")],
        ),
        (
            "the vault goes",
            change(
                "azurerm_key_vault.x",
                &["delete"],
                vault(true, "AzureServices"),
                none.clone(),
            ),
            &[("key-deleted", "error")],
        ),
        (
            "the vault changes its model",
            change(
                "azurerm_key_vault.x",
                &["update"],
                vault(true, "AzureServices"),
                vault(false, "AzureServices"),
            ),
            &[("permissions-lost", "error")],
        ),
        (
            "the vault shuts trusted services out",
            change(
                "azurerm_key_vault.x",
                &["update"],
                vault(true, "AzureServices"),
                vault(true, "None"),
            ),
            &[("key-disabled", "error")],
        ),
        (
            "an access policy goes",
            change(
                "azurerm_key_vault_access_policy.x",
                &["delete"],
                access(&all, DATABRICKS),
                none.clone(),
            ),
            &[("permissions-lost", "error")],
        ),
        (
            "an access policy loses unwrapping",
            change(
                "azurerm_key_vault_access_policy.x",
                &["update"],
                access(&all, DATABRICKS),
                access(&["Get", "WrapKey"], DATABRICKS),
            ),
            &[("permissions-lost", "error")],
        ),
        (
            "somebody else's access policy goes",
            change(
                "azurerm_key_vault_access_policy.x",
                &["delete"],
                access(&all, OTHER),
                none.clone(),
            ),
            &[],
        ),
        (
            "a role goes",
            change(
                "azurerm_role_assignment.x",
                &["delete"],
                role(DATABRICKS, user),
                none.clone(),
            ),
            &[("permissions-lost", "error")],
        ),
        (
            "a role that lets use no keys goes",
            change(
                "azurerm_role_assignment.x",
                &["delete"],
                role(DATABRICKS, "Reader"),
                none.clone(),
            ),
            &[],
        ),
        (
            "our own policy loses a principal",
            change(
                "dbxcmk_key_policy.y",
                &["update"],
                policy(&[DATABRICKS, OTHER]),
                policy(&[DATABRICKS]),
            ),
            &[("permissions-lost", "error")],
        ),
        (
            "a key argument is removed",
            change(
                "azurerm_databricks_workspace.x",
                &["delete", "create"],
                workspace(json!(key())),
                workspace(none.clone()),
            ),
            &[("workspace-replaced", "error")],
        ),
        (
            "the workspace goes",
            change(
                "azurerm_databricks_workspace.x",
                &["delete"],
                workspace(none.clone()),
                none.clone(),
            ),
            &[("workspace-replaced", "error")],
        ),
        (
            "the workspace sets the keys itself",
            change(
                "azurerm_databricks_workspace.x",
                &["update"],
                workspace(none.clone()),
                workspace(json!(key())),
            ),
            &[("keys-set-twice", "error")],
        ),
        (
            "storage gets a key",
            change(
                "dbxcmk_workspace_binding.x",
                &["update"],
                binding(none.clone()),
                binding(json!(key())),
            ),
            &[("storage-key-attached", "note")],
        ),
        (
            "storage goes back",
            change(
                "dbxcmk_workspace_binding.x",
                &["update"],
                binding(json!(key())),
                binding(none.clone()),
            ),
            &[("storage-key-reset", "warning")],
        ),
        (
            "an unreadable policy",
            change(
                "dbxcmk_key_policy.y",
                &["update"],
                policy(&[]),
                json!({ "azure": { "key_vault_key_id": 7 } }),
            ),
            &[("resource-unreadable", "error")],
        ),
    ];
    for (what, one, expected) in rows {
        let mut changes = around();
        if one["address"] == "dbxcmk_workspace_binding.x" {
            changes.remove(1);
        }
        if what == "our own policy loses a principal" {
            changes.pop();
        }
        changes.push(one);
        let (text, _) = reviewed(&plan_of(changes), &["--format", "json"]);
        let report: Json = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{what}: {text}"));
        let mut found: Vec<(&str, &str)> = report["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["id"].as_str().unwrap(), one["level"].as_str().unwrap()))
            .collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{what}: {text}");
    }
}

/// The whole report, as a reviewer reads it.
#[test]
fn the_report_reads_well() {
    let mut changes = around();
    changes.push(change(
        "azurerm_databricks_workspace.x",
        &["delete", "create"],
        workspace(json!(key())),
        workspace(Json::Null),
    ));
    changes.push(change(
        "azurerm_key_vault_key.x",
        &["delete"],
        vault_key(&["wrapKey", "unwrapKey"], Json::Null),
        Json::Null,
    ));
    let (text, code) = reviewed(
        &plan_of(changes),
        &["--format", "text", "--fail-on", "error"],
    );
    assert_eq!(code, 1);
    snapshot("review_azure_text", &text);
}
