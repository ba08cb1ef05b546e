//! Trying a key as Databricks and the service agents of the workspace would.
//!
//! Who is tried, and which role has which right, stands here and not in the provider. Sources: Databricks' SDK (the service account of
//! a key configuration "in the control plane"), Google Cloud documentation ("Compute Engine Service Agent", "Cloud Storage service
//! agents" need roles/cloudkms.cryptoKeyEncrypterDecrypter), IAM roles reference; IAM documentation, "Deny policies" (they come before
//! every grant; exceptions take principals and permissions out) and "Permissions supported in deny policies" (both of these are).

use serde_json::Value as Json;

use super::{Google, Policy};
use crate::Shared;

/// The rights that the use of a key consists of, with the roles that have them.
const RIGHTS: [(&str, [&str; 2]); 2] = [
    (
        "cloudkms.cryptoKeyVersions.useToEncrypt",
        [
            "roles/cloudkms.cryptoKeyEncrypterDecrypter",
            "roles/cloudkms.cryptoKeyEncrypter",
        ],
    ),
    (
        "cloudkms.cryptoKeyVersions.useToDecrypt",
        [
            "roles/cloudkms.cryptoKeyEncrypterDecrypter",
            "roles/cloudkms.cryptoKeyDecrypter",
        ],
    ),
];

/// The resources whose policies count for a key, from the key upward.
fn levels(google: &Google, key: &str) -> Vec<String> {
    let mut all = vec![key.to_owned()];
    all.extend(
        key.split_once("/cryptoKeys/")
            .map(|(ring, _)| ring.to_owned()),
    );
    let project = key
        .split('/')
        .nth(1)
        .and_then(|named| google.project(named));
    let mut at = project.map(|id| format!("projects/{id}"));
    while let Some(name) = at {
        at = match name.split_once('/') {
            Some(("projects", id)) => google.projects.get(id).and_then(|one| one.1.clone()),
            Some(("folders", _)) => google.folders.get(&name).cloned(),
            _ => None,
        };
        all.push(name);
    }
    all
}

fn gives(google: &Google, policy: &Policy, member: &str, right: &str, roles: &[&str]) -> bool {
    let bindings = policy.fields.get("bindings").and_then(Json::as_array);
    bindings.into_iter().flatten().any(|binding| {
        let role = binding
            .get("role")
            .and_then(Json::as_str)
            .unwrap_or_default();
        let has_right = roles.contains(&role)
            || google
                .roles
                .get(role)
                .is_some_and(|own| own.iter().any(|one| one == right));
        let is_named = binding
            .get("members")
            .and_then(Json::as_array)
            .is_some_and(|members| members.iter().any(|one| one == member));
        // A condition counts as not met here: a test that relies on one must know why it holds.
        has_right && is_named && binding.get("condition").is_none_or(Json::is_null)
    })
}

/// The texts in a field of a rule; none where it is missing.
fn texts<'a>(rule: &'a Json, list: &str) -> impl Iterator<Item = &'a str> {
    let all = rule.get(list).and_then(Json::as_array);
    all.into_iter().flatten().filter_map(Json::as_str)
}

/// Whether a rule of a deny policy takes a right from a service account. Groups and other sets count as everybody, and a condition counts
/// as met: a test that relies on an open rule must know why it does not hold.
fn takes(rule: &Json, user: &str, right: &str) -> bool {
    let Some(service) = right.strip_prefix("cloudkms.") else {
        return false;
    };
    let full = format!("cloudkms.googleapis.com/{service}");
    let (resource, verb) = full.rsplit_once('.').unwrap_or((&full, ""));
    let is_it = |one: &str| {
        one == full
            || one == "cloudkms.googleapis.com/*"
            || one == format!("{resource}.*")
            || one == format!("cloudkms.googleapis.com/*.{verb}")
    };
    let own = format!("principal://iam.googleapis.com/projects/-/serviceAccounts/{user}");
    let is_user = |one: &str| {
        one == own
            || one == "principalSet://goog/public:all"
            || one.starts_with("principalSet://goog/group/")
    };
    let excepted = |one: &str| one == own || one == "principalSet://goog/public:all";
    texts(rule, "deniedPermissions").any(is_it)
        && !texts(rule, "exceptionPermissions").any(is_it)
        && texts(rule, "deniedPrincipals").any(is_user)
        && !texts(rule, "exceptionPrincipals").any(excepted)
}

/// Whether a deny policy of one of these levels takes a right from a service account.
fn is_denied(google: &Google, levels: &[String], user: &str, right: &str) -> bool {
    levels
        .iter()
        .filter_map(|level| google.deny_policies.get(level))
        .flatten()
        .filter_map(|policy| policy.get("rules").and_then(Json::as_array))
        .flatten()
        .filter_map(|rule| rule.get("denyRule"))
        .any(|rule| takes(rule, user, right))
}

/// Whether Databricks and the agents can use a key for a use case, or why not.
///
/// # Errors
/// What Google would answer to the first that cannot.
pub fn try_key(
    shared: &Shared,
    configuration: &Json,
    use_case: &str,
    project: Option<&str>,
) -> Result<(), String> {
    let text = |pointer: &str| {
        configuration
            .pointer(pointer)
            .and_then(Json::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let name = text("/gcp_key_info/kms_key_id");
    let world = shared.world();
    let google = &world.now.google;
    let Some(key) = google.keys.get(&name) else {
        return Err(format!(
            "Permission 'cloudkms.cryptoKeyVersions.useToEncrypt' denied on resource '{name}' (or it may not exist)."
        ));
    };
    let state = key.primary_state().unwrap_or("missing");
    if state != "ENABLED" {
        return Err(format!(
            "{name}/cryptoKeyVersions/{} is not enabled, current state is: {state}.",
            key.primary
        ));
    }
    let is_empty = |policy: &Json| {
        policy
            .get("allowedAccessReasons")
            .and_then(Json::as_array)
            .is_none_or(Vec::is_empty)
    };
    if key
        .fields
        .get("keyAccessJustificationsPolicy")
        .is_some_and(is_empty)
    {
        return Err("The key access justifications policy allows no reason.".to_owned());
    }
    let mut users = vec![text(
        "/gcp_key_info/gcp_service_account/service_account_email",
    )];
    if use_case == "STORAGE" {
        let number = project
            .and_then(|named| google.project(named))
            .and_then(|id| google.projects.get(&id))
            .map(|(number, _)| number.clone())
            .unwrap_or_default();
        users.push(format!(
            "service-{number}@compute-system.iam.gserviceaccount.com"
        ));
        users.push(format!(
            "service-{number}@gs-project-accounts.iam.gserviceaccount.com"
        ));
    }
    let levels = levels(google, &name);
    for user in users {
        let member = format!("serviceAccount:{user}");
        for (right, roles) in RIGHTS {
            let has_it = levels
                .iter()
                .filter_map(|level| google.policies.get(level))
                .any(|policy| gives(google, policy, &member, right, &roles));
            if !has_it || is_denied(google, &levels, &user, right) {
                return Err(format!(
                    "Permission '{right}' denied on resource '{name}' (or it may not exist). (caller: {user})"
                ));
            }
        }
    }
    Ok(())
}
