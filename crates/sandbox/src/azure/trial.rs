//! Trying a key as AzureDatabricks, the storage account and the disk encryption set would.
//!
//! Who is tried, and which role has which right, stands here and not in the provider. Sources: the Azure Databricks documentation of
//! customer-managed keys ("Get, Wrap Key, Unwrap Key"); Azure built-in roles; azure-sdk-for-python issue 45342 (a disabled key still wraps).

use serde_json::Value as Json;

use super::authorization::{is_at_or_above, names_of, principal_of};
use super::{AzureWorld, HSM, vault_id};

/// The roles that let read, wrap and unwrap.
const ROLES: [&str; 5] = [
    "e147488a-f6f5-4113-8e2d-b22465e65bf6",
    "12338af0-0e69-4776-bea7-57ae8d297424",
    "14b46e9e-c2b7-41b4-b07b-48a6ebf60603",
    "00482a5a-887f-4fb3-b363-3b7fe8e74483",
    "33413926-3206-4cdd-b39a-83574fe37a17",
];

/// What Azure calls each thing that is done with a key, in the three models.
const RIGHTS: [(&str, &str); 3] = [
    ("get", "microsoft.keyvault/vaults/keys/read"),
    ("wrapKey", "microsoft.keyvault/vaults/keys/wrap/action"),
    ("unwrapKey", "microsoft.keyvault/vaults/keys/unwrap/action"),
];

fn role_gives(azure: &AzureWorld, assignment: &Json, action: &str) -> bool {
    let role = assignment
        .pointer("/properties/roleDefinitionId")
        .and_then(Json::as_str)
        .and_then(|id| id.rsplit('/').next())
        .unwrap_or_default()
        .to_ascii_lowercase();
    // A condition counts as not met here: a test that relies on one must know why it holds.
    if assignment
        .pointer("/properties/condition")
        .is_some_and(|condition| !condition.is_null())
    {
        return false;
    }
    let custom = azure
        .role_definitions
        .get(&role)
        .and_then(|one| one.pointer("/properties/permissions/0/dataActions"))
        .and_then(Json::as_array)
        .is_some_and(|all| {
            all.iter().filter_map(Json::as_str).any(|one| {
                let one = one.to_ascii_lowercase();
                one == action
                    || one == "*"
                    || one
                        .strip_suffix('*')
                        .is_some_and(|start| action.starts_with(start))
            })
        });
    ROLES.contains(&role.as_str()) || custom
}

fn is_denied(azure: &AzureWorld, scope: &str, principal: &str, action: &str) -> bool {
    let listed = |one: &Json, field: &str| {
        one.pointer(&format!("/properties/{field}"))
            .and_then(Json::as_array)
            .is_some_and(|all| {
                all.iter().any(|own| {
                    let id = own.get("id").and_then(Json::as_str).unwrap_or_default();
                    id == principal || id == "00000000-0000-0000-0000-000000000000"
                })
            })
    };
    azure.deny_assignments.iter().any(|(own, one)| {
        let actions = one
            .pointer("/properties/permissions/0/dataActions")
            .and_then(Json::as_array);
        let has = actions.is_some_and(|all| {
            all.iter().filter_map(Json::as_str).any(|one| {
                let one = one.to_ascii_lowercase();
                one == action
                    || one
                        .strip_suffix('*')
                        .is_some_and(|start| action.starts_with(start))
            })
        });
        is_at_or_above(own, scope)
            && has
            && listed(one, "principals")
            && !listed(one, "excludePrincipals")
    })
}

/// Whether a principal may do something with a key of a vault.
pub fn may(azure: &AzureWorld, vault: &str, key: &str, principal: &str, right: &str) -> bool {
    let Some((policy, action)) = RIGHTS.iter().find(|(name, _)| *name == right) else {
        return false;
    };
    let names = names_of(azure, principal);
    let is_own = |assignment: &Json| {
        names
            .iter()
            .any(|name| principal_of(assignment).eq_ignore_ascii_case(name))
    };
    if vault == HSM {
        let scope = format!("/keys/{key}");
        return azure.local_roles.values().any(|one| {
            let own = one
                .pointer("/properties/scope")
                .and_then(Json::as_str)
                .unwrap_or_default();
            is_at_or_above(own, &scope) && is_own(one) && role_gives(azure, one, action)
        });
    }
    let id = vault_id(vault).to_ascii_lowercase();
    let Some(shown) = azure.vaults.get(&id) else {
        return false;
    };
    if shown.pointer("/properties/enableRbacAuthorization") == Some(&Json::Bool(true)) {
        let scope = format!("{id}/keys/{key}");
        let given = azure.role_assignments.values().any(|one| {
            let own = one
                .pointer("/properties/scope")
                .and_then(Json::as_str)
                .unwrap_or_default();
            is_at_or_above(own, &scope) && is_own(one) && role_gives(azure, one, action)
        });
        return given && !is_denied(azure, &scope, principal, action);
    }
    let policies = shown
        .pointer("/properties/accessPolicies")
        .and_then(Json::as_array);
    policies.into_iter().flatten().any(|one| {
        let who = one
            .get("objectId")
            .and_then(Json::as_str)
            .unwrap_or_default();
        let keys = one.pointer("/permissions/keys").and_then(Json::as_array);
        who.eq_ignore_ascii_case(principal)
            && keys.is_some_and(|all| {
                all.iter()
                    .filter_map(Json::as_str)
                    .any(|own| own.eq_ignore_ascii_case(policy) || own.eq_ignore_ascii_case("all"))
            })
    })
}

/// Whether a principal can use a version of a key to wrap and to unwrap, or why not.
///
/// # Errors
/// What Key Vault would answer.
pub fn try_key(azure: &AzureWorld, key_id: &str, principal: &str) -> Result<(), String> {
    // Object identifiers are case-insensitive.
    let key_id = key_id.to_ascii_lowercase();
    let mut parts = key_id.trim_start_matches("https://").split('/');
    let host = parts.next().unwrap_or_default();
    let vault = host.split('.').next().unwrap_or_default();
    let (_, name, version) = (
        parts.next(),
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let Some(shown) = azure.vaults.get(&vault_id(vault).to_ascii_lowercase()) else {
        return Err(format!("VaultNotFound: {host} does not exist."));
    };
    let rule = |pointer: &str| {
        shown
            .pointer(pointer)
            .and_then(Json::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let is_shut = rule("/properties/networkAcls/bypass") == "None"
        && rule("/properties/networkAcls/defaultAction") == "Deny";
    if is_shut || rule("/properties/publicNetworkAccess") == "SecuredByPerimeter" {
        return Err("ForbiddenByFirewall: Client address is not authorized and caller is not a trusted service.".to_owned());
    }
    let key = azure.keys.get(&(vault.to_owned(), name.to_owned()));
    let Some(key) = key.filter(|key| key.deleted.is_none()) else {
        return Err(format!("KeyNotFound: {name}"));
    };
    let found = match version {
        "" => key.versions.last(),
        version => key.versions.iter().find(|one| one.name == version),
    };
    let Some(found) = found else {
        return Err(format!("KeyNotFound: {name}/{version}"));
    };
    for (right, _) in RIGHTS {
        if !may(azure, vault, name, principal, right) {
            return Err(format!(
                "Status code 403, {{\"error\":{{\"code\":\"Forbidden\",\"message\":\"Caller is not authorized to perform action on resource. Caller: \
                 oid={principal}, action {right}\"}}}}"
            ));
        }
    }
    for operation in ["wrapKey", "unwrapKey"] {
        if let Some((code, why)) = found.refuses(operation) {
            return Err(format!("{code}: {why} ({name})"));
        }
    }
    if !found.kind.starts_with("RSA") {
        return Err(format!(
            "The key {name} has the type {}; RSA is needed.",
            found.kind
        ));
    }
    Ok(())
}
