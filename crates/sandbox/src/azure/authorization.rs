//! Role assignments, deny assignments and role definitions. Source: Microsoft.Authorization REST API 2022-04-01.

use serde_json::{Value as Json, json};

use super::{AzureWorld, DATABRICKS, SUBSCRIPTION, denied, not_found, object, refusal};
use crate::Shared;
use crate::http::{Answer, Request};

/// Answers one request. `scope` and `rest` are in lower case.
pub(super) fn answer(shared: &Shared, request: &Request, scope: &str, rest: &str) -> Answer {
    match (request.method.as_str(), rest.split_once('/')) {
        ("GET", None) if rest == "roleassignments" => list(shared, request, scope),
        ("GET", None) if rest == "permissions" => own_permissions(&shared.world().now.azure),
        ("GET", None) if rest == "denyassignments" => list_denies(shared, scope),
        ("GET", Some(("roledefinitions", id))) => {
            let definitions = shared.world().now.azure.role_definitions.clone();
            match definitions.get(id) {
                Some(definition) => Answer::json(200, definition),
                None => not_found(id),
            }
        }
        ("GET", Some(("roleassignments", _))) => {
            let id = full_id(scope, rest);
            match shared.world().now.azure.shown_assignments().get(&id) {
                Some(assignment) => Answer::json(200, assignment),
                None => refusal(
                    404,
                    "RoleAssignmentNotFound",
                    &format!("The role assignment '{rest}' is not found."),
                ),
            }
        }
        ("PUT", Some(("roleassignments", name))) => {
            let action = "Microsoft.Authorization/roleAssignments/write";
            match denied(shared, action, scope) {
                Some(refused) => refused,
                None => put(&mut shared.world().now.azure, request, scope, name),
            }
        }
        ("DELETE", Some(("roleassignments", _))) => {
            let action = "Microsoft.Authorization/roleAssignments/delete";
            if let Some(refused) = denied(shared, action, scope) {
                return refused;
            }
            let mut world = shared.world();
            world.now.azure.remember_access();
            match world
                .now
                .azure
                .role_assignments
                .remove(&full_id(scope, rest))
            {
                Some(gone) => Answer::json(200, &gone),
                None => Answer {
                    status: 204,
                    headers: Vec::new(),
                    body: String::new(),
                },
            }
        }
        _ => refusal(
            404,
            "InvalidResourceType",
            "The resource type could not be found.",
        ),
    }
}

/// What the caller may do: everything but what the sandbox denies. Source: Microsoft.Authorization REST API 2022-04-01, "Permissions - List For
/// Resource Group".
fn own_permissions(world: &AzureWorld) -> Answer {
    let denied: Vec<&String> = world.denied.iter().collect();
    Answer::json(
        200,
        &json!({ "value": [{
            "actions": ["*"], "notActions": denied, "dataActions": ["*"], "notDataActions": denied,
        }] }),
    )
}

/// The built-in role for keys that services encrypt with, by its ID. Source: "Azure built-in roles for Security", Key Vault Crypto Service
/// Encryption User.
pub(super) fn encryption_user() -> (&'static str, Json) {
    let id = "e147488a-f6f5-4113-8e2d-b22465e65bf6";
    let definition = json!({
        "id": format!("/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{id}"),
        "type": "Microsoft.Authorization/roleDefinitions",
        "name": id,
        "properties": {
            "roleName": "Key Vault Crypto Service Encryption User",
            "type": "BuiltInRole",
            "assignableScopes": ["/"],
            "permissions": [{
                "actions": [
                    "Microsoft.EventGrid/eventSubscriptions/write",
                    "Microsoft.EventGrid/eventSubscriptions/read",
                    "Microsoft.EventGrid/eventSubscriptions/delete",
                ],
                "notActions": [],
                "dataActions": [
                    "Microsoft.KeyVault/vaults/keys/read",
                    "Microsoft.KeyVault/vaults/keys/wrap/action",
                    "Microsoft.KeyVault/vaults/keys/unwrap/action",
                ],
                "notDataActions": [],
            }],
        },
    });
    (id, definition)
}

fn full_id(scope: &str, rest: &str) -> String {
    format!("{scope}/providers/microsoft.authorization/{rest}")
}

/// Whether something at one scope counts at another: the same, or above it.
pub(super) fn is_at_or_above(own: &str, asked: &str) -> bool {
    let (own, asked) = (
        own.trim_end_matches('/').to_ascii_lowercase(),
        asked.to_ascii_lowercase(),
    );
    own.is_empty() || asked == own || asked.starts_with(&format!("{own}/"))
}

fn scope_of(assignment: &Json) -> &str {
    assignment
        .pointer("/properties/scope")
        .and_then(Json::as_str)
        .unwrap_or_default()
}

pub(super) fn principal_of(assignment: &Json) -> &str {
    assignment
        .pointer("/properties/principalId")
        .and_then(Json::as_str)
        .unwrap_or_default()
}

/// The IDs by which a principal is assigned something: its own, and those of its groups.
pub(super) fn names_of(world: &AzureWorld, principal: &str) -> Vec<String> {
    let groups = world
        .groups
        .iter()
        .filter(|(_, members)| members.iter().any(|one| one == principal))
        .map(|(group, _)| group.clone());
    std::iter::once(principal.to_owned())
        .chain(groups)
        .collect()
}

fn list(shared: &Shared, request: &Request, scope: &str) -> Answer {
    if let Some(refused) = denied(
        shared,
        "Microsoft.Authorization/roleAssignments/read",
        scope,
    ) {
        return refused;
    }
    let filter = request.query.get("$filter").cloned().unwrap_or_default();
    let quoted = |word: &str| {
        let rest = filter.split(word).nth(1)?;
        Some(rest.split('\'').nth(1)?.to_ascii_lowercase())
    };
    let mut world = shared.world();
    let azure = &mut world.now.azure;
    let assigned: Option<Vec<String>> = quoted("assignedTo").map(|one| names_of(azure, &one));
    let named = quoted("principalId eq");
    let found: Vec<Json> = azure
        .shown_assignments()
        .into_values()
        .filter(|one| is_at_or_above(scope_of(one), scope))
        .filter(|one| {
            let own = principal_of(one).to_ascii_lowercase();
            assigned.as_ref().is_none_or(|all| all.contains(&own))
                && named.as_ref().is_none_or(|name| *name == own)
        })
        .collect();
    Answer::json(200, &json!({ "value": found }))
}

fn list_denies(shared: &Shared, scope: &str) -> Answer {
    if let Some(refused) = denied(
        shared,
        "Microsoft.Authorization/denyAssignments/read",
        scope,
    ) {
        return refused;
    }
    let world = shared.world();
    let found: Vec<Json> = world
        .now
        .azure
        .deny_assignments
        .iter()
        .filter(|(own, _)| is_at_or_above(own, scope))
        .map(|(_, shown)| shown.clone())
        .collect();
    Answer::json(200, &json!({ "value": found }))
}

fn put(azure: &mut AzureWorld, request: &Request, scope: &str, name: &str) -> Answer {
    let body = request.json();
    let text = |field: &str| {
        body.pointer(&format!("/properties/{field}"))
            .and_then(Json::as_str)
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    let (role, principal) = (text("roleDefinitionId"), text("principalId"));
    if !azure.principals.contains(&principal) && principal != DATABRICKS {
        return refusal(
            400,
            "PrincipalNotFound",
            &format!(
                "Principal {principal} does not exist in the directory. Check that you have the correct principal ID. If you are creating this \
                 principal and then immediately assigning a role, this error might be related to a replication delay."
            ),
        );
    }
    let id = full_id(scope, &format!("roleassignments/{name}"));
    if let Some(own) = azure.role_assignments.get_mut(&id) {
        return match principal_of(own) == principal {
            // `az role assignment update` changes the description this way. Source: Azure CLI documentation.
            true => {
                let description = body.pointer("/properties/description");
                if let (Some(new), Some(all)) = (
                    description,
                    own.get_mut("properties").and_then(Json::as_object_mut),
                ) {
                    all.insert("description".to_owned(), new.clone());
                }
                Answer::json(200, own)
            }
            false => refusal(
                400,
                "RoleAssignmentUpdateNotPermitted",
                "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.",
            ),
        };
    }
    let last = |id: &str| id.rsplit('/').next().unwrap_or_default().to_owned();
    let is_same = |one: &&Json| {
        let own = one
            .pointer("/properties/roleDefinitionId")
            .and_then(Json::as_str);
        principal_of(one) == principal
            && scope_of(one).eq_ignore_ascii_case(scope)
            && own.is_some_and(|own| last(own) == last(&role))
    };
    if azure.role_assignments.values().any(|one| is_same(&one)) {
        return refusal(
            409,
            "RoleAssignmentExists",
            "The role assignment already exists.",
        );
    }
    let mut properties = object(body.get("properties").unwrap_or(&Json::Null));
    properties.insert("scope".to_owned(), Json::from(scope));
    properties.insert("roleDefinitionId".to_owned(), Json::from(role));
    properties.insert("principalId".to_owned(), Json::from(principal));
    let shown = json!({ "id": id, "name": name, "type": "Microsoft.Authorization/roleAssignments", "properties": properties });
    azure.remember_access();
    azure.role_assignments.insert(id, shown.clone());
    Answer::json(201, &shown)
}
