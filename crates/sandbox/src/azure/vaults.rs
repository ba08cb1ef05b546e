//! Vaults and Managed HSMs in Resource Manager, with their access policies.

use serde_json::{Value as Json, json};

use super::{
    HSM, POLICY_VAULT, REGION, SUBSCRIPTION, TENANT, denied, not_found, refusal, resource, vault_id,
};
use crate::Shared;
use crate::http::{Answer, Request};

/// A vault with soft delete and purge protection; which model of access it has follows from its name.
pub(super) fn new(name: &str) -> Json {
    let domain = if name == HSM { "managedhsm" } else { "vault" };
    let mut properties = json!({
        "tenantId": TENANT,
        "vaultUri": format!("https://{name}.{domain}.azure.net/"),
        "hsmUri": format!("https://{name}.{domain}.azure.net/"),
        "enableSoftDelete": true,
        "softDeleteRetentionInDays": 90,
        "enablePurgeProtection": true,
        "enableRbacAuthorization": name != POLICY_VAULT,
        "accessPolicies": [],
        "networkAcls": { "bypass": "AzureServices", "defaultAction": "Deny", "ipRules": [], "virtualNetworkRules": [] },
        "publicNetworkAccess": "Enabled",
        "provisioningState": "Succeeded",
        "sku": { "family": "A", "name": "premium" },
    });
    if name == HSM {
        for field in [
            "vaultUri",
            "enableRbacAuthorization",
            "accessPolicies",
            "sku",
        ] {
            properties.as_object_mut().map(|all| all.remove(field));
        }
    } else {
        properties.as_object_mut().map(|all| all.remove("hsmUri"));
    }
    let kind = if name == HSM { "managedHSMs" } else { "vaults" };
    json!({
        "id": vault_id(name), "name": name, "type": format!("Microsoft.KeyVault/{kind}"), "location": REGION,
        "tags": {}, "properties": properties,
    })
}

/// A diagnostic setting that keeps the audit events of a vault. Source: Azure Monitor REST API, Diagnostic Settings - List.
pub(super) fn audit_events(vault: &str) -> Json {
    let kind = "Microsoft.Insights/diagnosticSettings";
    json!({
        "id": format!("{}/providers/{kind}/audit", vault_id(vault).to_ascii_lowercase()), "name": "audit", "type": kind,
        "properties": {
            "workspaceId": resource("Microsoft.OperationalInsights/workspaces", "logs"),
            "logs": [
                { "category": null, "categoryGroup": "audit", "enabled": true, "retentionPolicy": { "enabled": false, "days": 0 } },
                { "category": null, "categoryGroup": "allLogs", "enabled": false, "retentionPolicy": { "enabled": false, "days": 0 } },
            ],
            "metrics": [],
        },
    })
}

/// Answers a request for diagnostic settings.
pub(super) fn diagnostics(shared: &Shared, request: &Request, vault: &str, rest: &str) -> Answer {
    if request.method != "GET" || rest != "diagnosticsettings" {
        return refusal(405, "MethodNotAllowed", "The method is not allowed here.");
    }
    if let Some(refused) = denied(shared, "Microsoft.Insights/diagnosticSettings/read", vault) {
        return refused;
    }
    let world = shared.world();
    let all = world.now.azure.diagnostics.get(vault).cloned();
    Answer::json(200, &json!({ "value": all.unwrap_or_default() }))
}

/// Answers a request to Key Vault's resources in Resource Manager.
pub(super) fn answer(shared: &Shared, request: &Request, path: &str) -> Answer {
    let lower = path.to_ascii_lowercase();
    for kind in ["vaults", "managedhsms"] {
        if lower == format!("/subscriptions/{SUBSCRIPTION}/providers/microsoft.keyvault/{kind}") {
            return list(shared, kind);
        }
    }
    if let Some((id, key)) = lower.split_once("/keys/") {
        return one_key(shared, request, id, key);
    }
    let (id, operation) = match lower.split_once("/accesspolicies/") {
        Some((id, operation)) => (id.to_owned(), Some(operation.to_owned())),
        None => (lower, None),
    };
    match (request.method.as_str(), operation) {
        ("GET", None) => {
            if let Some(refused) = denied(shared, "Microsoft.KeyVault/vaults/read", path) {
                return refused;
            }
            match shared.world().now.azure.shown_vault(&id) {
                Some(vault) => Answer::json(200, &vault),
                None => not_found(path),
            }
        }
        ("PUT", Some(operation)) => {
            if let Some(refused) = denied(
                shared,
                "Microsoft.KeyVault/vaults/accessPolicies/write",
                path,
            ) {
                return refused;
            }
            change_policies(shared, request, &id, &operation)
        }
        _ => refusal(405, "MethodNotAllowed", "The method is not allowed here."),
    }
}

/// A key as Resource Manager shows it, whatever the firewall of its vault lets in. Source: Microsoft.KeyVault REST API, Keys - Get and Keys -
/// Get Version.
fn one_key(shared: &Shared, request: &Request, id: &str, key: &str) -> Answer {
    if request.method != "GET" {
        return refusal(405, "MethodNotAllowed", "The method is not allowed here.");
    }
    if let Some(refused) = denied(shared, "Microsoft.KeyVault/vaults/keys/read", id) {
        return refused;
    }
    let (name, version) = match key.split_once("/versions/") {
        Some((name, version)) => (name, Some(version)),
        None => (key, None),
    };
    let mut world = shared.world();
    let azure = &mut world.now.azure;
    let vault = id.rsplit('/').next().unwrap_or_default();
    let own = azure.keys.get(&(vault.to_owned(), name.to_owned()));
    let found = own.filter(|key| key.deleted.is_none()).and_then(|key| {
        let mut versions = key.versions.iter();
        match version {
            None => versions.next_back(),
            Some(version) => versions.find(|one| one.name == version),
        }
    });
    let Some(found) = found else {
        return not_found(&format!("{id}/keys/{key}"));
    };
    let domain = if vault == HSM { "managedhsm" } else { "vault" };
    let uri = format!("https://{vault}.{domain}.azure.net/keys/{name}");
    let mut attributes = json!({ "enabled": found.enabled, "created": found.created, "recoveryLevel": found.recovery_level });
    for (field, moment) in [("nbf", found.not_before), ("exp", found.expires)] {
        if let (Some(moment), Some(shown)) = (moment, attributes.as_object_mut()) {
            shown.insert(field.to_owned(), json!(moment));
        }
    }
    let properties = json!({
        "attributes": attributes, "kty": found.kind, "keyOps": found.operations, "keySize": found.bits,
        "keyUri": uri, "keyUriWithVersion": format!("{uri}/{}", found.name),
    });
    Answer::json(
        200,
        &json!({ "id": format!("{id}/keys/{key}"), "name": name, "type": "Microsoft.KeyVault/vaults/keys", "properties": properties }),
    )
}

fn list(shared: &Shared, kind: &str) -> Answer {
    let mut world = shared.world();
    if world
        .now
        .azure
        .denied
        .contains("Microsoft.KeyVault/vaults/read")
    {
        return Answer::json(200, &json!({ "value": [] }));
    }
    let all: Vec<Json> = world
        .now
        .azure
        .vaults
        .values_mut()
        .filter(|vault| {
            let own = vault.get("type").and_then(Json::as_str).unwrap_or_default();
            own.to_ascii_lowercase().ends_with(kind)
        })
        .map(|vault| vault.clone())
        .collect();
    Answer::json(200, &json!({ "value": all }))
}

/// Changes the permissions of one principal.
fn change_policy(all: &mut Vec<Json>, policy: &Json, principal: &str, operation: &str) {
    let named: Vec<String> = policy
        .pointer("/permissions/keys")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter_map(|one| one.as_str().map(str::to_owned))
        .collect();
    let position = all.iter().position(|own| {
        own.get("objectId")
            .and_then(Json::as_str)
            .is_some_and(|own| own.eq_ignore_ascii_case(principal))
    });
    let before: Vec<String> = position
        .and_then(|at| all.get(at))
        .and_then(|own| own.pointer("/permissions/keys"))
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter_map(|one| one.as_str().map(str::to_owned))
        .collect();
    let has = |list: &[String], one: &String| list.iter().any(|own| own.eq_ignore_ascii_case(one));
    let after: Vec<String> = match operation {
        "remove" => before
            .iter()
            .filter(|one| !has(&named, one))
            .cloned()
            .collect(),
        "replace" => named.clone(),
        _ => {
            let mut after = before.clone();
            after.extend(named.iter().filter(|one| !has(&before, one)).cloned());
            after
        }
    };
    match (position, after.is_empty()) {
        (Some(at), true) => {
            all.remove(at);
        }
        (Some(at), false) => {
            if let Some(permissions) = all.get_mut(at).and_then(|own| own.get_mut("permissions")) {
                permissions["keys"] = json!(after);
            }
        }
        (None, true) => {}
        (None, false) => all.push(json!({
            "tenantId": TENANT, "objectId": principal, "permissions": { "keys": after, "secrets": [], "certificates": [] },
        })),
    }
}

/// Adds permissions to those that a principal has, or takes them away. Source: Vaults - Update Access Policy.
fn change_policies(shared: &Shared, request: &Request, id: &str, operation: &str) -> Answer {
    let body = request.json();
    let Some(given) = body
        .pointer("/properties/accessPolicies")
        .and_then(Json::as_array)
    else {
        return refusal(
            400,
            "BadRequest",
            "The parameter properties.accessPolicies is missing.",
        );
    };
    let mut world = shared.world();
    let azure = &mut world.now.azure;
    azure.remember_access();
    let principals = azure.principals.clone();
    let Some(all) = azure
        .vaults
        .get_mut(id)
        .and_then(|vault| vault.pointer_mut("/properties/accessPolicies"))
        .and_then(Json::as_array_mut)
    else {
        return not_found(id);
    };
    for policy in given {
        let text = |name: &str| {
            policy
                .get(name)
                .and_then(Json::as_str)
                .unwrap_or_default()
                .to_ascii_lowercase()
        };
        let (tenant, principal) = (text("tenantId"), text("objectId"));
        if tenant != TENANT {
            return refusal(
                400,
                "BadRequest",
                "An invalid value was provided for 'accessPolicies.tenantId'.",
            );
        }
        if !principals.contains(&principal) && operation == "add" {
            return refusal(
                400,
                "BadRequest",
                "An invalid value was provided for 'accessPolicies.objectId'.",
            );
        }
        change_policy(all, policy, &principal, operation);
    }
    let shown = json!({ "id": format!("{id}/accessPolicies/"), "type": "Microsoft.KeyVault/vaults/accessPolicies",
        "properties": { "accessPolicies": given } });
    Answer::json(200, &shown)
}
