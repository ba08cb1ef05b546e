//! Key configurations of the account.

use serde_json::{Map, Value as Json, json};

use super::has_google_token;
use super::workspaces::{MANAGED_SERVICES, STORAGE, finish_update};
use crate::http::{Answer, Request};
use crate::needs::USE_CASES;
use crate::world::Workspace;
use crate::{ACCOUNT_ID, Shared};

pub(super) fn no_configuration(id: &str) -> Answer {
    Answer::refusal(
        404,
        "RESOURCE_DOES_NOT_EXIST",
        &format!("Customer managed key {id} does not exist."),
    )
}

fn milliseconds_now() -> i64 {
    i64::try_from(doors::clock::now().unix_timestamp_nanos() / 1_000_000).unwrap_or_default()
}

pub(super) fn create(shared: &Shared, body: &Json) -> Answer {
    let cases = match cases_of(body) {
        Ok(cases) => cases,
        Err(refused) => return refused,
    };
    let Some(arn) = body.pointer("/aws_key_info/key_arn").and_then(Json::as_str) else {
        return Answer::json(
            400,
            &json!({ "message": "MALFORMED_REQUEST: Missing required parameters: aws_key_info.key_arn" }),
        );
    };
    let region = arn.split(':').nth(3).unwrap_or_default();
    if region.is_empty() {
        return Answer::plain_refusal(400, "MALFORMED_REQUEST", &format!("Invalid key ARN: {arn}"));
    }
    let mut key = Map::new();
    key.insert("key_arn".to_owned(), Json::from(arn));
    key.insert("key_region".to_owned(), Json::from(region));
    if let Some(alias) = body
        .pointer("/aws_key_info/key_alias")
        .filter(|alias| alias.is_string())
    {
        key.insert("key_alias".to_owned(), alias.clone());
    }
    if cases.iter().any(|case| case == "STORAGE") {
        let reuse = body
            .pointer("/aws_key_info/reuse_key_for_cluster_volumes")
            .and_then(Json::as_bool)
            .unwrap_or(true);
        key.insert(
            "reuse_key_for_cluster_volumes".to_owned(),
            Json::from(reuse),
        );
    }
    let id = doors::uuid();
    let made = json!({
        "customer_managed_key_id": id,
        "account_id": ACCOUNT_ID,
        "creation_time": milliseconds_now(),
        "use_cases": cases,
        "aws_key_info": key,
    });
    let mut world = shared.world();
    world.about_to_write();
    world.now.configurations.insert(id, made.clone());
    Answer::json(201, &made)
}

/// The use cases of a new configuration, or the refusal.
fn cases_of(body: &Json) -> Result<&Vec<Json>, Answer> {
    let Some(cases) = body
        .get("use_cases")
        .and_then(Json::as_array)
        .filter(|cases| !cases.is_empty())
    else {
        return Err(Answer::json(
            400,
            &json!({ "message": "MALFORMED_REQUEST: Missing required parameters: use_cases" }),
        ));
    };
    let known = |case: &Json| case.as_str().is_some_and(|case| USE_CASES.contains(&case));
    match cases.iter().find(|case| !known(case)) {
        Some(unknown) => Err(Answer::plain_refusal(
            400,
            "MALFORMED_REQUEST",
            &format!("Unknown use case {unknown}"),
        )),
        None => Ok(cases),
    }
}

/// Refuses what names no key of Google Cloud in a region.
fn regional_key(name: &str) -> Result<(), Answer> {
    let parts: Vec<&str> = name.split('/').collect();
    let [
        "projects",
        _,
        "locations",
        location,
        "keyRings",
        _,
        "cryptoKeys",
        _,
    ] = parts.as_slice()
    else {
        let why = format!("Invalid KMS key: {name}");
        return Err(Answer::plain_refusal(400, "MALFORMED_REQUEST", &why));
    };
    match location.contains('-') {
        true => Ok(()),
        false => Err(Answer::refusal(
            400,
            "INVALID_PARAMETER_VALUE",
            &format!("The location {location} is not supported."),
        )),
    }
}

/// A configuration with a key of Google Cloud. Unless `manual`, Databricks grants its service account the use of the key with the
/// caller's Google token. Which roles it grants is not documented; here it is the pair of which its documentation speaks.
pub(super) fn create_on_google(
    shared: &Shared,
    request: &Request,
    body: &Json,
    info: &Json,
) -> Answer {
    let cases = match cases_of(body) {
        Ok(cases) => cases,
        Err(refused) => return refused,
    };
    let name = info
        .get("kms_key_id")
        .and_then(Json::as_str)
        .unwrap_or_default();
    if let Err(refused) = regional_key(name) {
        return refused;
    }
    let is_manual = info.get("manual").and_then(Json::as_bool).unwrap_or(false);
    let mut world = shared.world();
    if !is_manual {
        let refused = || {
            Answer::refusal(
                400,
                "BAD_REQUEST",
                "Failed to get oauth access token. Please retry after logout and login again.",
            )
        };
        if !has_google_token(&world, request) {
            return refused();
        }
        let denied = &world.now.google.denied;
        if denied.contains("cloudkms.cryptoKeys.setIamPolicy")
            || !world.now.google.keys.contains_key(name)
        {
            return refused();
        }
    }
    let id = doors::uuid();
    let number = world.now.configurations.len() + 1;
    let email = format!("cmk-{number}@databricks-control-plane.iam.gserviceaccount.com");
    world.about_to_write();
    let google = &mut world.now.google;
    google.service_accounts.insert(email.clone());
    let shown = google
        .shown_service_account
        .clone()
        .unwrap_or_else(|| email.clone());
    if !is_manual {
        let policy = google.policies.entry(name.to_owned()).or_default();
        let bindings = policy.fields.entry("bindings").or_insert_with(|| json!([]));
        if let Some(bindings) = bindings.as_array_mut() {
            for role in ["Encrypter", "Decrypter"] {
                bindings.push(json!({
                    "role": format!("roles/cloudkms.cryptoKey{role}"),
                    "members": [format!("serviceAccount:{email}")],
                }));
            }
        }
        policy.generation += 1;
    }
    let made = json!({
        "customer_managed_key_id": id,
        "account_id": ACCOUNT_ID,
        "creation_time": milliseconds_now(),
        "use_cases": cases,
        "gcp_key_info": {
            "kms_key_id": name,
            "gcp_service_account": { "service_account_email": shown },
            "manual": is_manual,
        },
    });
    world.now.configurations.insert(id, made.clone());
    Answer::json(201, &made)
}

pub(super) fn delete(shared: &Shared, id: &str) -> Answer {
    let mut world = shared.world();
    let Some(found) = world.now.configurations.get(id).cloned() else {
        return no_configuration(id);
    };
    let uses = |workspace: &Workspace| {
        let own = |fields: &Map<String, Json>| {
            [MANAGED_SERVICES, STORAGE]
                .iter()
                .any(|(_, name)| fields.get(*name).is_some_and(|used| used == id))
        };
        own(&workspace.fields)
            || workspace
                .update
                .as_ref()
                .is_some_and(|update| own(&update.fields))
    };
    for workspace in world.now.workspaces.values_mut() {
        finish_update(workspace, shared.options.wait);
    }
    if world.now.workspaces.values().any(uses) {
        return Answer::refusal(
            409,
            "RESOURCE_CONFLICT",
            "You cannot delete a configuration that is associated with a running workspace.",
        );
    }
    world.about_to_write();
    world.now.configurations.remove(id);
    Answer::json(200, &found)
}
