//! Microsoft Entra ID: tokens for an application that proves itself by a secret, a certificate, or a token of another provider; the
//! metadata service of a machine. Source: Microsoft identity platform, "OAuth 2.0 client credentials flow", "Certificate credentials".

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value as Json, json};

use super::{CLIENT, SECRET, TENANT, refusal, set};
use crate::Shared;
use crate::http::{Answer, Request};
use crate::identities::OIDC_TOKEN;

fn refused(code: &str, description: &str) -> Answer {
    Answer::json(
        401,
        &json!({ "error": code, "error_description": format!("{description}\r\nTrace ID: 0\r\nTimestamp: 0") }),
    )
}

fn handed_out(shared: &Shared, audience: &str) -> Json {
    let token = format!("sandbox-azure-{}", doors::uuid());
    let mut world = shared.world();
    let life = world.token_life;
    world
        .now
        .azure
        .tokens
        .insert(token.clone(), audience.to_owned());
    json!({ "token_type": "Bearer", "expires_in": life, "access_token": token })
}

/// Answers a request to Entra ID.
pub(super) fn answer(shared: &Shared, request: &Request, path: &str) -> Answer {
    if path == "metadata/identity/oauth2/token" {
        return metadata(shared, request);
    }
    // What the official clients ask before anything else.
    if path.ends_with("/.well-known/openid-configuration") || path.contains("common/discovery") {
        let base = format!("{}/{TENANT}", shared.azure_url);
        return Answer::json(
            200,
            &json!({
                "token_endpoint": format!("{base}/oauth2/v2.0/token"),
                "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
                "issuer": format!("{base}/v2.0"),
                "tenant_discovery_endpoint": format!("{base}/v2.0/.well-known/openid-configuration"),
                "api-version": "1.1",
                "metadata": [],
            }),
        );
    }
    let Some(tenant) = path.strip_suffix("/oauth2/v2.0/token") else {
        return refusal(404, "NotFound", "There is no such address.");
    };
    if tenant != TENANT {
        return refused(
            "invalid_request",
            &format!("AADSTS90002: Tenant '{tenant}' not found."),
        );
    }
    let form = request.form();
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    if field("grant_type") != "client_credentials" || field("client_id") != CLIENT {
        return refused(
            "unauthorized_client",
            "AADSTS700016: Application with identifier was not found in the directory.",
        );
    }
    let assertion = field("client_assertion");
    let is_good = match (field("client_secret"), assertion) {
        (SECRET, "") => true,
        ("", OIDC_TOKEN) => true,
        ("", assertion) => is_certified(shared, assertion),
        _ => false,
    };
    if !is_good {
        return refused(
            "invalid_client",
            "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client \
             secret ID.",
        );
    }
    match field("scope").strip_suffix("/.default") {
        Some(audience) => Answer::json(200, &handed_out(shared, audience)),
        None => refused(
            "invalid_scope",
            "AADSTS70011: The provided value for the input parameter 'scope' is not valid.",
        ),
    }
}

/// Whether an assertion names a certificate that the application has. Its signature is the business of the provider's own tests.
fn is_certified(shared: &Shared, assertion: &str) -> bool {
    let header = assertion.split('.').next().unwrap_or_default();
    let header: Json = URL_SAFE_NO_PAD
        .decode(header)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let thumbprint = header
        .get("x5t#S256")
        .and_then(Json::as_str)
        .unwrap_or_default();
    shared.world().now.azure.certificates.contains(thumbprint)
}

/// The metadata service of a machine with a managed identity.
fn metadata(shared: &Shared, request: &Request) -> Answer {
    if request.header("metadata") != "true" {
        return refusal(400, "BadRequest", "The header Metadata: true is missing.");
    }
    let resource = request.query.get("resource").cloned().unwrap_or_default();
    let mut token = handed_out(shared, resource.trim_end_matches('/'));
    // This service writes the number as text.
    if let Some(life) = token.get("expires_in").map(ToString::to_string) {
        set(&mut token, "/expires_in", Json::from(life));
    }
    Answer::json(200, &token)
}

/// Whether a request carries a token for an audience, or the refusal.
pub(super) fn is_for(shared: &Shared, request: &Request, audience: &str) -> Result<(), Answer> {
    let token = request
        .header("authorization")
        .strip_prefix("Bearer ")
        .unwrap_or_default();
    let own = shared.world().now.azure.tokens.get(token).cloned();
    match own {
        Some(own) if own == audience => Ok(()),
        Some(own) => Err(refusal(
            401,
            "InvalidAuthenticationTokenAudience",
            &format!("The access token has been obtained for wrong audience or resource '{own}'."),
        )),
        None => Err(refusal(
            401,
            "InvalidAuthenticationToken",
            "The access token is invalid.",
        )),
    }
}
