//! Who gives out tokens: the account's own endpoint, and those of GitHub, Microsoft and Google that it trusts.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value as Json, json};

use crate::http::{Answer, Request};
use crate::{ACCOUNT_ID, CLIENT_ID, CLIENT_SECRET, Shared};

/// A foreign token that the account trusts.
pub const OIDC_TOKEN: &str = "sandbox-oidc-token-of-a-job";
/// What a GitHub Actions job asks for a token with.
pub const GITHUB_REQUEST_TOKEN: &str = "sandbox-github-request-token";
/// The secret of the application in Entra ID.
pub const ENTRA_SECRET: &str = "sandbox-entra-client-secret";
/// Azure Databricks, as Entra ID knows it.
const ENTRA_DATABRICKS: &str = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d";

fn refused(status: u16, error: &str) -> Answer {
    Answer::json(
        status,
        &json!({ "error": error, "error_description": "The sandbox does not know you." }),
    )
}

fn handed_out(shared: &Shared, kind: &str) -> String {
    let token = format!("sandbox-{kind}-token-{}", doors::uuid());
    shared.world().tokens.insert(token.clone());
    token
}

/// The account's endpoint: for a secret, or in exchange for a foreign token.
pub fn account(shared: &Shared, request: &Request, account: &str) -> Answer {
    let form = request.form();
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let known = match field("grant_type") {
        "client_credentials" => {
            request.header("authorization")
                == format!(
                    "Basic {}",
                    STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"))
                )
        }
        "urn:ietf:params:oauth:grant-type:token-exchange" => {
            field("subject_token_type") == "urn:ietf:params:oauth:token-type:jwt"
                && field("subject_token") == OIDC_TOKEN
                && field("client_id") == CLIENT_ID
        }
        _ => return refused(400, "unsupported_grant_type"),
    };
    if account != ACCOUNT_ID || !known || field("scope") != "all-apis" {
        return refused(401, "invalid_client");
    }
    let life = shared.world().token_life;
    let token = handed_out(shared, "access");
    Answer::json(
        200,
        &json!({ "access_token": token, "token_type": "Bearer", "expires_in": life, "scope": "all-apis" }),
    )
}

/// GitHub, for a job: a token for an audience.
pub fn github(request: &Request) -> Answer {
    let knows = request.header("authorization") == format!("Bearer {GITHUB_REQUEST_TOKEN}");
    let audience = request.query.get("audience").map(String::as_str);
    // The account, or Microsoft Entra ID.
    let is_known = [Some(ACCOUNT_ID), Some("api://AzureADTokenExchange")].contains(&audience);
    if knows && is_known && request.query.contains_key("api-version") {
        Answer::json(200, &json!({ "value": OIDC_TOKEN }))
    } else {
        refused(403, "forbidden")
    }
}

/// Microsoft Entra ID: a token for a resource. The account takes the one for Databricks only together with the other.
pub fn entra(shared: &Shared, request: &Request) -> Answer {
    let form = request.form();
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    if field("client_secret") != ENTRA_SECRET || field("grant_type") != "client_credentials" {
        return refused(401, "invalid_client");
    }
    // Its older endpoint writes numbers as text.
    let answer = |token: &str| {
        Answer::json(
            200,
            &json!({ "access_token": token, "token_type": "Bearer", "expires_in": "3599" }),
        )
    };
    if field("resource") == ENTRA_DATABRICKS {
        let token = handed_out(shared, "entra");
        let companion = (
            "X-Databricks-Azure-SP-Management-Token",
            "sandbox-management-token".to_owned(),
        );
        shared.world().companions.insert(token.clone(), companion);
        answer(&token)
    } else {
        answer("sandbox-management-token")
    }
}

/// An ID token: three parts, as clients look into it. The account takes it only together with a Google access token.
pub fn id_token(shared: &Shared, audience: &str) -> String {
    let part = |json: &Json| URL_SAFE_NO_PAD.encode(json.to_string());
    let token = format!(
        "{}.{}.{}",
        part(&json!({ "alg": "RS256", "typ": "JWT" })),
        part(&json!({ "aud": audience, "exp": 4_000_000_000_u64, "jti": doors::uuid() })),
        URL_SAFE_NO_PAD.encode("sandbox")
    );
    if audience.trim_end_matches('/') == shared.url {
        let mut world = shared.world();
        world.tokens.insert(token.clone());
        world.google_id_tokens.insert(token.clone());
    }
    token
}

/// Google: an ID token for an audience, or an access token for scopes, for a signed assertion.
pub fn google(shared: &Shared, request: &Request) -> Answer {
    let form = request.form();
    let assertion = form
        .get("assertion")
        .map(String::as_str)
        .unwrap_or_default();
    let key = shared.world().google_key.clone().unwrap_or_default();
    let Ok(key) = jsonwebtoken::DecodingKey::from_rsa_pem(key.as_bytes()) else {
        return refused(401, "invalid_grant");
    };
    let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    rules.set_audience(&[format!("{}/google/token", shared.url)]);
    let Ok(claims) = jsonwebtoken::decode::<Json>(assertion, &key, &rules) else {
        return refused(401, "invalid_grant");
    };
    if let Some(audience) = claims.claims.get("target_audience").and_then(Json::as_str) {
        Answer::json(200, &json!({ "id_token": id_token(shared, audience) }))
    } else {
        Answer::json(
            200,
            &json!({ "access_token": "sandbox-google-access-token", "expires_in": 3599 }),
        )
    }
}
