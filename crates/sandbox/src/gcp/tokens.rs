//! Who gives out Google's tokens: the metadata server, the exchange for federated identities, and impersonation.

use serde_json::{Value as Json, json};

use super::{denied, refusal};
use crate::Shared;
use crate::http::{Answer, Request};
use crate::identities::{OIDC_TOKEN, id_token};

fn handed_out(shared: &Shared, kind: &str) -> String {
    let token = format!("sandbox-google-{kind}-{}", doors::uuid());
    shared.world().google_tokens.insert(token.clone());
    token
}

/// The metadata server of a machine on Google Cloud.
pub(super) fn metadata(shared: &Shared, request: &Request, path: &str) -> Answer {
    if request.header("metadata-flavor") != "Google" {
        return refusal(
            403,
            "PERMISSION_DENIED",
            "Missing the header Metadata-Flavor.",
        );
    }
    match path.rsplit('/').next() {
        Some("token") => Answer::json(
            200,
            &json!({ "access_token": handed_out(shared, "metadata"), "expires_in": 3599, "token_type": "Bearer" }),
        ),
        Some("identity") => {
            let audience = request.query.get("audience").cloned().unwrap_or_default();
            Answer {
                status: 200,
                headers: vec![("content-type".to_owned(), "text/html".to_owned())],
                body: id_token(shared, &audience),
            }
        }
        _ => refusal(404, "NOT_FOUND", "There is no such metadata."),
    }
}

/// Workload identity federation: a token in exchange for one of another provider.
pub(super) fn exchange(shared: &Shared, request: &Request) -> Answer {
    let form = request.form();
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let is_good = field("grant_type") == "urn:ietf:params:oauth:grant-type:token-exchange"
        && field("subject_token") == OIDC_TOKEN
        && field("audience").starts_with("//iam.googleapis.com/");
    if !is_good {
        return Answer::json(
            400,
            &json!({ "error": "invalid_grant", "error_description": "The sandbox does not know this subject token." }),
        );
    }
    Answer::json(
        200,
        &json!({
            "access_token": handed_out(shared, "federated"),
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "token_type": "Bearer",
            "expires_in": 3599,
        }),
    )
}

/// Impersonation: `EMAIL:generateAccessToken`, `EMAIL:generateIdToken`.
pub(super) fn impersonate(shared: &Shared, request: &Request, rest: &str) -> Answer {
    let (email, verb) = rest.rsplit_once(':').unwrap_or((rest, ""));
    let permission = match verb {
        "generateAccessToken" => "iam.serviceAccounts.getAccessToken",
        "generateIdToken" => "iam.serviceAccounts.getOpenIdToken",
        _ => {
            return refusal(
                404,
                "NOT_FOUND",
                "The requested URL was not found on this server.",
            );
        }
    };
    if shared.world().now.google.denied.contains(permission) {
        return denied(permission, email);
    }
    let body = request.json();
    if verb == "generateIdToken" {
        let audience = body
            .get("audience")
            .and_then(Json::as_str)
            .unwrap_or_default();
        if body.get("includeEmail") != Some(&Json::Bool(true)) {
            return refusal(
                400,
                "INVALID_ARGUMENT",
                "Databricks needs the e-mail in the token.",
            );
        }
        return Answer::json(200, &json!({ "token": id_token(shared, audience) }));
    }
    if body
        .get("scope")
        .and_then(Json::as_array)
        .is_none_or(Vec::is_empty)
    {
        return refusal(400, "INVALID_ARGUMENT", "At least one scope is needed.");
    }
    Answer::json(
        200,
        &json!({ "accessToken": handed_out(shared, "impersonated"), "expireTime": "2099-01-01T00:00:00Z" }),
    )
}
