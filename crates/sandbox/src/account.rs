//! The Databricks account API: tokens, key configurations, workspaces, credentials.
//!
//! Where the real API's behaviour is documented or was seen, it is followed, error texts included. Where nothing is known
//! of it (how an attach with an unusable key fails), the sandbox is as unfriendly as the documentation allows: managed
//! services are refused at once, storage is accepted and silently undone.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::{Map, Value as Json, json};

use crate::faults::Effect;
use crate::http::{Answer, Request};
use crate::needs::USE_CASES;
use crate::trial::try_key;
use crate::world::{Objects, Update, Workspace, World};
use crate::{ACCOUNT_ID, Shared, gcp, identities};

/// A token that is accepted as it is.
pub const TOKEN: &str = "dapi-sandbox-token";

/// A use case, and the field of a workspace that holds the configuration for it.
const MANAGED_SERVICES: (&str, &str) = (
    "MANAGED_SERVICES",
    "managed_services_customer_managed_key_id",
);
const STORAGE: (&str, &str) = ("STORAGE", "storage_customer_managed_key_id");

/// Answers one request.
pub async fn answer(shared: &Arc<Shared>, request: &Request, effect: Option<&Effect>) -> Answer {
    let path: Vec<&str> = request
        .path
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    let base = format!("http://{}", shared.address);
    match (request.method.as_str(), path.as_slice()) {
        ("GET", [".well-known", "databricks-config"]) => Answer::json(
            200,
            &json!({
                "oidc_endpoint": format!("{base}/oidc/accounts/{{account_id}}"),
                "account_id": ACCOUNT_ID,
                "cloud": "AWS",
                "host_type": "ACCOUNT_HOST",
            }),
        ),
        ("GET", ["oidc", "accounts", account, ".well-known", "oauth-authorization-server"]) => Answer::json(
            200,
            &json!({
                "issuer": format!("{base}/oidc/accounts/{account}"),
                "authorization_endpoint": format!("{base}/oidc/accounts/{account}/v1/authorize"),
                "token_endpoint": format!("{base}/oidc/accounts/{account}/v1/token"),
            }),
        ),
        ("POST", ["oidc", "accounts", account, "v1", "token"]) => identities::account(shared, request, account),
        ("GET", ["github", "token"]) => identities::github(request),
        ("POST", ["entra", _, "oauth2", "token"]) => identities::entra(shared, request),
        ("POST", ["google", "token"]) => identities::google(shared, request),
        (method, ["api", "2.0", "accounts", account, rest @ ..]) => {
            if !is_authenticated(shared, request) {
                return Answer::refusal(401, "UNAUTHENTICATED", "Request is missing a valid credential for the account.");
            }
            if *account != ACCOUNT_ID {
                return Answer::refusal(404, "RESOURCE_DOES_NOT_EXIST", "Invalid endpoint.");
            }
            resource(shared, request, effect, method, rest).await
        }
        // What the real host shows to those whom it does not know.
        _ => Answer {
            status: 200,
            headers: vec![("content-type".to_owned(), "text/html; charset=utf-8".to_owned())],
            body: "<!doctype html><html><head><title>Databricks - Sign In</title></head><body></body></html>".to_owned(),
        },
    }
}

fn is_authenticated(shared: &Shared, request: &Request) -> bool {
    let token = request
        .header("authorization")
        .strip_prefix("Bearer ")
        .unwrap_or_default();
    let world = shared.world();
    let accompanied = world
        .companions
        .get(token)
        .is_none_or(|(name, value)| request.header(&name.to_ascii_lowercase()) == value);
    let is_google = world.google_id_tokens.contains(token);
    (token == TOKEN || world.tokens.contains(token))
        && accompanied
        && (!is_google || has_google_token(&world, request))
}

/// Whether a Google access token stands beside the credential.
fn has_google_token(world: &World, request: &Request) -> bool {
    let token = request.header("x-databricks-gcp-sa-access-token");
    token == gcp::TOKEN || world.google_tokens.contains(token)
}

async fn resource(
    shared: &Arc<Shared>,
    request: &Request,
    effect: Option<&Effect>,
    method: &str,
    path: &[&str],
) -> Answer {
    let stale = matches!(effect, Some(Effect::StaleRead));
    let wait = shared.options.wait;
    let read = |f: &dyn Fn(&Objects) -> Answer| {
        let world = shared.world();
        f(if stale { &world.before } else { &world.now })
    };
    match (method, path) {
        ("GET", ["customer-managed-keys"]) => read(&|objects| {
            Answer::json(
                200,
                &objects
                    .configurations
                    .values()
                    .cloned()
                    .collect::<Vec<_>>()
                    .into(),
            )
        }),
        ("GET", ["customer-managed-keys", parts @ ..]) => {
            let id = parts.join("/");
            if id.len() != 36 {
                return Answer::plain_refusal(
                    400,
                    "MALFORMED_REQUEST",
                    &format!("Invalid customerManagedKeyId: {id}"),
                );
            }
            read(&|objects| match objects.configurations.get(&id) {
                Some(found) => Answer::json(200, found),
                None => no_configuration(&id),
            })
        }
        ("POST", ["customer-managed-keys"]) => {
            let body = request.json();
            match body.get("gcp_key_info") {
                Some(info) => create_on_google(shared, request, &body, info),
                None => create(shared, &body),
            }
        }
        ("DELETE", ["customer-managed-keys", id]) => delete(shared, id),
        ("GET", ["workspaces"]) => read(&|objects| {
            Answer::json(
                200,
                &objects
                    .workspaces
                    .values()
                    .map(|workspace| shown(workspace, wait))
                    .collect::<Vec<_>>()
                    .into(),
            )
        }),
        ("GET", ["workspaces", id]) => read(&|objects| {
            let workspace = id
                .parse()
                .ok()
                .and_then(|id: u64| objects.workspaces.get(&id));
            workspace.map_or_else(
                || no_workspace(id),
                |workspace| Answer::json(200, &shown(workspace, wait)),
            )
        }),
        ("PATCH", ["workspaces", id]) => update(shared, request, effect, id).await,
        ("GET", ["credentials"]) => read(&|objects| {
            Answer::json(
                200,
                &objects
                    .credentials
                    .values()
                    .cloned()
                    .collect::<Vec<_>>()
                    .into(),
            )
        }),
        ("GET", ["credentials", id]) => read(&|objects| match objects.credentials.get(*id) {
            Some(found) => Answer::json(200, found),
            None => Answer::refusal(
                404,
                "RESOURCE_DOES_NOT_EXIST",
                &format!("Credential {id} does not exist."),
            ),
        }),
        _ => Answer::refusal(404, "ENDPOINT_NOT_FOUND", "No API found for this path."),
    }
}

fn no_configuration(id: &str) -> Answer {
    Answer::refusal(
        404,
        "RESOURCE_DOES_NOT_EXIST",
        &format!("Customer managed key {id} does not exist."),
    )
}

fn no_workspace(id: &str) -> Answer {
    Answer::refusal(
        404,
        "RESOURCE_DOES_NOT_EXIST",
        &format!("Workspace {id} does not exist."),
    )
}

fn milliseconds_now() -> i64 {
    i64::try_from(time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000)
        .unwrap_or_default()
}

fn create(shared: &Shared, body: &Json) -> Answer {
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
    let id = uuid::Uuid::new_v4().to_string();
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

/// A configuration with a key of Google Cloud. Unless `manual`, Databricks grants its service account the use of the key with the
/// caller's Google token. Which roles it grants is not documented; here it is the pair of which its documentation speaks.
fn create_on_google(shared: &Shared, request: &Request, body: &Json, info: &Json) -> Answer {
    let cases = match cases_of(body) {
        Ok(cases) => cases,
        Err(refused) => return refused,
    };
    let name = info
        .get("kms_key_id")
        .and_then(Json::as_str)
        .unwrap_or_default();
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
        return Answer::plain_refusal(
            400,
            "MALFORMED_REQUEST",
            &format!("Invalid KMS key: {name}"),
        );
    };
    if !location.contains('-') {
        return Answer::refusal(
            400,
            "INVALID_PARAMETER_VALUE",
            &format!("The location {location} is not supported."),
        );
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
    let id = uuid::Uuid::new_v4().to_string();
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

fn delete(shared: &Shared, id: &str) -> Answer {
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

/// What the API shows of a workspace whose update may be on its way.
fn shown(workspace: &Workspace, wait: Duration) -> Json {
    let mut fields = workspace.fields.clone();
    let has_own_network = workspace.has_own_network();
    if let Some(update) = &workspace.update {
        let is_shown = if has_own_network {
            // The status stays RUNNING. A doomed update shows for a while before it goes away without a word.
            update.is_over(wait / 2)
        } else if update.is_over(wait) {
            true
        } else {
            fields.insert("workspace_status".to_owned(), Json::from("PROVISIONING"));
            fields.insert(
                "workspace_status_message".to_owned(),
                Json::from("Workspace is being updated."),
            );
            false
        };
        if is_shown && !update.is_undone(wait) {
            update.shown.fetch_add(1, Ordering::Relaxed);
            fields.extend(update.fields.clone());
        }
    }
    Json::Object(fields)
}

fn finish_update(workspace: &mut Workspace, wait: Duration) {
    if let Some(update) = workspace
        .update
        .take_if(|update| update.is_undone(wait) || (update.stays && update.is_over(wait)))
        && update.stays
    {
        workspace.fields.extend(update.fields);
    }
}

/// Whether the key of a configuration can be used for a workspace, whatever its cloud.
///
/// # Errors
/// Why not.
pub async fn try_configuration(
    shared: &Arc<Shared>,
    workspace: u64,
    configuration: &Json,
    case: &str,
) -> Result<(), String> {
    if configuration.get("gcp_key_info").is_some() {
        let project = shared
            .world()
            .now
            .workspaces
            .get(&workspace)
            .and_then(|one| {
                let container = one.fields.get("cloud_resource_container")?;
                Some(container.pointer("/gcp/project_id")?.as_str()?.to_owned())
            });
        return gcp::try_key(shared, configuration, case, project.as_deref());
    }
    let arn = configuration
        .pointer("/aws_key_info/key_arn")
        .and_then(Json::as_str)
        .unwrap_or_default();
    try_key(shared, arn, case).await
}

async fn update(
    shared: &Arc<Shared>,
    request: &Request,
    effect: Option<&Effect>,
    id: &str,
) -> Answer {
    let wait = shared.options.wait;
    let Json::Object(body) = request.json() else {
        return Answer::plain_refusal(400, "MALFORMED_REQUEST", "The body is not an object.");
    };
    let Ok(number) = id.parse::<u64>() else {
        return no_workspace(id);
    };
    let mut changes = Map::new();
    let mut trials = Vec::new();
    {
        let mut world = shared.world();
        let Some(workspace) = world.now.workspaces.get_mut(&number) else {
            return no_workspace(id);
        };
        finish_update(workspace, wait);
        let workspace = workspace.clone();
        if workspace.update.is_some() {
            return Answer::refusal(
                409,
                "RESOURCE_CONFLICT",
                "Workspace is already being updated.",
            );
        }
        let status = workspace
            .fields
            .get("workspace_status")
            .and_then(Json::as_str)
            .unwrap_or_default();
        if status != "RUNNING" {
            return Answer::refusal(400, "INVALID_STATE", &format!("Workspace is {status}."));
        }
        if workspace
            .fields
            .get("pricing_tier")
            .is_none_or(|tier| tier != "ENTERPRISE")
        {
            return Answer::refusal(
                403,
                "FEATURE_DISABLED",
                "Customer-managed keys are not available for the pricing tier of this workspace.",
            );
        }
        for (case, name) in [MANAGED_SERVICES, STORAGE] {
            let Some(wanted) = body
                .get(name)
                .and_then(Json::as_str)
                .filter(|wanted| !wanted.is_empty())
            else {
                continue;
            };
            let attached = workspace.fields.get(name).and_then(Json::as_str);
            if attached == Some(wanted) {
                continue;
            }
            if case == STORAGE.0 && attached.is_some() {
                return Answer::refusal(
                    400,
                    "INVALID_STATE",
                    "You cannot replace an existing key configuration for workspace storage. This field is only updatable for workspaces \
                     without a key configuration.",
                );
            }
            let Some(configuration) = world.now.configurations.get(wanted) else {
                return Answer::plain_refusal(
                    400,
                    "MALFORMED_REQUEST",
                    &format!("Customer managed key {wanted} does not exist."),
                );
            };
            let is_for = configuration
                .get("use_cases")
                .and_then(Json::as_array)
                .is_some_and(|cases| cases.iter().any(|one| one == case));
            if !is_for {
                return Answer::refusal(
                    400,
                    "INVALID_PARAMETER_VALUE",
                    &format!("Customer managed key {wanted} does not have the use case {case}."),
                );
            }
            let is_google = configuration.get("gcp_key_info").is_some();
            let on_google = workspace
                .fields
                .get("cloud")
                .is_some_and(|cloud| cloud == "gcp");
            if is_google != on_google {
                return Answer::refusal(
                    400,
                    "INVALID_PARAMETER_VALUE",
                    "The key must be in the same cloud as the workspace.",
                );
            }
            let of_google = configuration
                .pointer("/gcp_key_info/kms_key_id")
                .and_then(Json::as_str)
                .and_then(|name| name.split('/').nth(3))
                .map(Json::from);
            let (region, own) = match is_google {
                true => (of_google.as_ref(), workspace.fields.get("location")),
                false => (
                    configuration.pointer("/aws_key_info/key_region"),
                    workspace.fields.get("aws_region"),
                ),
            };
            if region != own {
                return Answer::refusal(
                    400,
                    "INVALID_PARAMETER_VALUE",
                    "The key must be in the same region as the workspace.",
                );
            }
            trials.push((configuration.clone(), case));
            changes.insert(name.to_owned(), Json::from(wanted));
        }
        if changes.is_empty() {
            return Answer::json(200, &shown(&workspace, wait));
        }
        if workspace.has_running_compute {
            return Answer::refusal(
                400,
                "INVALID_STATE",
                "Please terminate all pool & cluster EC2 instances in your workspace subnets before attempting to update the workspace.",
            );
        }
    }
    let mut stays = !matches!(effect, Some(Effect::Revert | Effect::RevertAfter { .. }));
    let undone_after = match effect {
        Some(Effect::RevertAfter { milliseconds }) => Duration::from_millis(*milliseconds),
        _ => Duration::ZERO,
    };
    for (configuration, case) in trials {
        if let Err(reason) = try_configuration(shared, number, &configuration, case).await {
            if case == MANAGED_SERVICES.0 {
                return Answer::refusal(
                    400,
                    "INVALID_PARAMETER_VALUE",
                    &format!("Databricks could not use the key: {reason}"),
                );
            }
            stays = false;
        }
    }
    let mut world = shared.world();
    world.about_to_write();
    let Some(workspace) = world.now.workspaces.get_mut(&number) else {
        return no_workspace(id);
    };
    let hangs = matches!(effect, Some(Effect::Hang));
    workspace.update = Some(Update {
        fields: changes,
        began: Instant::now(),
        stays,
        undone_after,
        shown: Arc::default(),
        hangs,
    });
    Answer::json(200, &shown(workspace, wait))
}
