//! The Databricks account API: tokens, key configurations, workspaces, credentials, metastores.
//!
//! Where the real API's behavior is documented or known from reports, the sandbox follows it, error texts included. Where
//! nothing is known of it (how an attach with an unusable key fails), the sandbox is as unfriendly as the documentation
//! allows: it refuses managed services at once, and accepts storage and silently undoes it.

mod configurations;
mod workspaces;

use std::sync::Arc;

use serde_json::{Value as Json, json};

use self::configurations::{create, create_on_google, delete, no_configuration};
use self::workspaces::{no_workspace, shown, update};
use crate::azure::ArmWorkspace;
use crate::faults::Effect;
use crate::http::{Answer, Request};
use crate::world::{Objects, World};
use crate::{ACCOUNT_ID, Shared, gcp, identities, unity};

pub(crate) use self::workspaces::finish_update;
pub use self::workspaces::try_configuration;

/// A token that is accepted as it is.
pub const TOKEN: &str = "dapi-sandbox-token";

/// Answers a request to the Databricks account API, with the fault that meets it.
pub async fn answer(shared: &Arc<Shared>, request: &Request, effect: Option<&Effect>) -> Answer {
    let path: Vec<&str> = request
        .path
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    let base = &shared.url;
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
        // The real host shows this to callers whom it does not know.
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

/// A workspace of Azure, as the account shows it: where it is, and nothing of its keys. Source: databricks-sdk-go, `service/provisioning`,
/// `Workspace.AzureWorkspaceInfo`.
fn on_azure(workspace: &ArmWorkspace) -> Json {
    let shown = |path: &str| workspace.shown.pointer(path).and_then(Json::as_str);
    let number = shown("/properties/workspaceId").and_then(|number| number.parse::<u64>().ok());
    let host = shown("/properties/workspaceUrl").unwrap_or_default();
    let id: Vec<&str> = shown("/id").unwrap_or_default().split('/').collect();
    json!({
        "workspace_id": number,
        "workspace_name": id.last(),
        "deployment_name": host.strip_suffix(".azuredatabricks.net"),
        "account_id": ACCOUNT_ID,
        "cloud": "azure",
        "azure_workspace_info": { "subscription_id": id.get(2), "resource_group": id.get(4) },
        "location": shown("/location"),
        "pricing_tier": "PREMIUM",
        "workspace_status": "RUNNING",
    })
}

#[expect(clippy::too_many_lines, reason = "a table: an arm for each operation")]
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
                    .chain(objects.azure.workspaces.values().map(on_azure))
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
        // Source: databricks-sdk-go, `service/provisioning`, `Storage.List`.
        ("GET", ["storage-configurations"]) => read(&|objects| {
            Answer::json(
                200,
                &objects
                    .storage_configurations
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
        ("GET", ["metastores", rest @ ..]) => {
            read(&|objects| unity::of_account(&objects.unity, rest))
        }
        _ => Answer::refusal(404, "ENDPOINT_NOT_FOUND", "No API found for this path."),
    }
}
