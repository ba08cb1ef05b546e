//! Allow policies with their etags, deny policies, custom roles, projects and folders, and the service agent of Cloud Storage.

use serde_json::{Value as Json, json};

use super::{Google, Policy, allowed, denied, not_found, refusal};
use crate::Shared;
use crate::http::{Answer, Request};

fn etag(policy: &Policy) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(policy.generation.to_be_bytes())
}

/// The policy of a resource.
pub(super) fn get_policy(google: &Google, permission: &str, name: &str) -> Answer {
    if google.unreadable.contains(name) {
        return denied(permission, name);
    }
    if let Err(refused) = allowed(google, permission, name) {
        return refused;
    }
    let policy = google.policies.get(name).cloned().unwrap_or_default();
    let mut shown = policy.fields.clone();
    shown.insert("etag".to_owned(), Json::from(etag(&policy)));
    if !shown.contains_key("version") {
        shown.insert("version".to_owned(), Json::from(1));
    }
    Answer::json(200, &Json::Object(shown))
}

/// Refuses members that Google Cloud does not know, or that the organization does not permit.
fn known_members(google: &Google, bindings: &[Json], current: &Policy) -> Result<(), Answer> {
    for member in bindings
        .iter()
        .flat_map(|binding| {
            binding
                .get("members")
                .and_then(Json::as_array)
                .into_iter()
                .flatten()
        })
        .filter_map(Json::as_str)
    {
        let Some(email) = member.strip_prefix("serviceAccount:") else {
            continue;
        };
        let was_there = current
            .fields
            .get("bindings")
            .is_some_and(|all| all.to_string().contains(member));
        if google.is_domain_restricted && !was_there {
            return Err(refusal(
                400,
                "FAILED_PRECONDITION",
                "One or more users named in the policy do not belong to a permitted customer, perhaps due to an organization policy.",
            ));
        }
        if !google.service_accounts.contains(email) {
            return Err(refusal(
                400,
                "INVALID_ARGUMENT",
                &format!("Service account {email} does not exist."),
            ));
        }
    }
    Ok(())
}

/// Sets the policy of a resource, over the one whose etag comes along.
pub(super) fn set_policy(google: &mut Google, name: &str, body: &Json) -> Answer {
    if let Err(refused) = allowed(google, "cloudkms.cryptoKeys.setIamPolicy", name) {
        return refused;
    }
    let Some(wanted) = body.get("policy").and_then(Json::as_object) else {
        return refusal(400, "INVALID_ARGUMENT", "The policy is missing.");
    };
    let current = google.policies.get(name).cloned().unwrap_or_default();
    // The service accepts a policy without an etag, and overwrites blindly; the sandbox refuses it.
    match wanted.get("etag").and_then(Json::as_str) {
        None => {
            return refusal(
                400,
                "INVALID_ARGUMENT",
                "The sandbox wants an etag with every policy.",
            );
        }
        Some(given) if given != etag(&current) => {
            return refusal(
                409,
                "ABORTED",
                "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff. The request's ETag did not match the current policy's ETag.",
            );
        }
        Some(_) => {}
    }
    let empty = Vec::new();
    let bindings = wanted
        .get("bindings")
        .and_then(Json::as_array)
        .unwrap_or(&empty);
    let has_condition = bindings
        .iter()
        .any(|binding| binding.get("condition").is_some_and(|one| !one.is_null()));
    if has_condition && wanted.get("version").and_then(Json::as_i64) != Some(3) {
        return refusal(
            400,
            "INVALID_ARGUMENT",
            "Policies with conditions need the version 3.",
        );
    }
    if let Err(refused) = known_members(google, bindings, &current) {
        return refused;
    }
    let mut fields = wanted.clone();
    fields.remove("etag");
    google.policies.insert(
        name.to_owned(),
        Policy {
            fields,
            generation: current.generation + 1,
        },
    );
    get_policy(google, "cloudkms.cryptoKeys.setIamPolicy", name)
}

/// Which of some permissions the caller has.
pub(super) fn test_permissions(google: &Google, body: &Json, exists: bool) -> Answer {
    let own: Vec<&Json> = body
        .get("permissions")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter(|permission| {
            exists
                && permission
                    .as_str()
                    .is_some_and(|one| !google.denied.contains(one))
        })
        .collect();
    match own.is_empty() {
        true => Answer::json(200, &json!({})),
        false => Answer::json(200, &json!({ "permissions": own })),
    }
}

/// Projects, folders and organizations.
pub(super) fn resource_manager(shared: &Shared, request: &Request, path: &str) -> Answer {
    let mut world = shared.world();
    let google = &mut world.now.google;
    let (named, verb) = match path.rsplit_once(':') {
        Some((name, verb)) => (name, Some(verb)),
        None => (path, None),
    };
    let (kind, id) = named.split_once('/').unwrap_or((named, ""));
    let name = match kind {
        "projects" => match google.project(id) {
            Some(id) => format!("projects/{id}"),
            None => return denied("resourcemanager.projects.get", named),
        },
        _ => named.to_owned(),
    };
    let permission = |what: &str| format!("resourcemanager.{kind}.{what}");
    match (request.method.as_str(), verb) {
        ("GET", None) => {
            if let Err(refused) = allowed(google, &permission("get"), &name) {
                return refused;
            }
            if google.unreadable.contains(&name) {
                return denied(&permission("get"), &name);
            }
            let id = name.split('/').nth(1).unwrap_or_default();
            match kind {
                "projects" => {
                    let Some((number, parent)) = google.projects.get(id) else {
                        return not_found(&name);
                    };
                    let mut shown = serde_json::Map::from_iter([
                        ("name".to_owned(), Json::from(format!("projects/{number}"))),
                        ("projectId".to_owned(), Json::from(id)),
                        ("displayName".to_owned(), Json::from(id)),
                        ("state".to_owned(), Json::from("ACTIVE")),
                    ]);
                    shown.extend(
                        parent
                            .clone()
                            .map(|parent| ("parent".to_owned(), Json::from(parent))),
                    );
                    Answer::json(200, &Json::Object(shown))
                }
                "folders" => match google.folders.get(&name) {
                    Some(parent) => Answer::json(
                        200,
                        &json!({ "name": name, "parent": parent, "displayName": "folder", "state": "ACTIVE" }),
                    ),
                    None => not_found(&name),
                },
                _ => Answer::json(200, &json!({ "name": name, "displayName": "acme.example" })),
            }
        }
        ("POST", Some("testIamPermissions")) => test_permissions(google, &request.json(), true),
        ("POST", Some("getIamPolicy")) => get_policy(google, &permission("getIamPolicy"), &name),
        ("POST", Some("setIamPolicy")) => set_policy(google, &name, &request.json()),
        _ => refusal(
            404,
            "NOT_FOUND",
            "The requested URL was not found on this server.",
        ),
    }
}

/// Deny policies: `{attachment}/denypolicies[/ID]`.
pub(super) fn deny(shared: &Shared, request: &Request, path: &str) -> Answer {
    let world = shared.world();
    let google = &world.now.google;
    let Some((attachment, id)) = path.split_once("/denypolicies") else {
        return refusal(
            404,
            "NOT_FOUND",
            "The requested URL was not found on this server.",
        );
    };
    let place = attachment
        .strip_prefix("cloudresourcemanager.googleapis.com/")
        .unwrap_or_default();
    if request.method != "GET" {
        return refusal(
            404,
            "NOT_FOUND",
            "The requested URL was not found on this server.",
        );
    }
    let permission = match id.is_empty() {
        true => "iam.denypolicies.list",
        false => "iam.denypolicies.get",
    };
    if let Err(refused) = allowed(google, permission, place) {
        return refused;
    }
    let none = Vec::new();
    let all = google.deny_policies.get(place).unwrap_or(&none);
    let named = |index: usize, policy: &Json, with_rules: bool| {
        let encoded = attachment.replace('/', "%2F");
        let name = format!("policies/{encoded}/denypolicies/deny-{index}");
        match with_rules {
            false => json!({ "name": name, "kind": "DenyPolicy" }),
            true => json!({ "name": name, "kind": "DenyPolicy", "rules": policy.get("rules") }),
        }
    };
    match id.strip_prefix("/deny-") {
        None => {
            let listed: Vec<Json> = all
                .iter()
                .enumerate()
                .map(|(index, policy)| named(index, policy, false))
                .collect();
            Answer::json(200, &json!({ "policies": listed }))
        }
        Some(index) => match index
            .parse::<usize>()
            .ok()
            .and_then(|at| Some((at, all.get(at)?)))
        {
            Some((at, policy)) => Answer::json(200, &named(at, policy, true)),
            None => not_found(path),
        },
    }
}

/// A custom role.
pub(super) fn role(shared: &Shared, name: &str) -> Answer {
    let world = shared.world();
    if let Err(refused) = allowed(&world.now.google, "iam.roles.get", name) {
        return refused;
    }
    match world.now.google.roles.get(name) {
        Some(permissions) => Answer::json(
            200,
            &json!({ "name": name, "title": name, "includedPermissions": permissions, "stage": "GA" }),
        ),
        None => not_found(name),
    }
}

/// The service agent of Cloud Storage, which exists once a caller has asked for it.
pub(super) fn storage(shared: &Shared, request: &Request, path: &str) -> Answer {
    let mut world = shared.world();
    let google = &mut world.now.google;
    let project = path
        .strip_prefix("projects/")
        .and_then(|rest| rest.strip_suffix("/serviceAccount"))
        .filter(|_| request.method == "GET")
        .and_then(|named| google.project(named));
    let Some((number, _)) = project.and_then(|id| google.projects.get(&id)) else {
        return refusal(404, "NOT_FOUND", "Unknown project.");
    };
    let email = format!("service-{number}@gs-project-accounts.iam.gserviceaccount.com");
    google.service_accounts.insert(email.clone());
    Answer::json(
        200,
        &json!({ "kind": "storage#serviceAccount", "email_address": email }),
    )
}
