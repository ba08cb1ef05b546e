//! Tokens of a Google service account, for the account host of Google Cloud.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{Fetched, Tokens};
use crate::databricks::errors::Error;

/// The header with which the account acts on keys and projects in Google Cloud.
const ACCESS_HEADER: &str = "X-Databricks-GCP-SA-Access-Token";
/// What that header's token may be used for.
const SCOPES: &str =
    "https://www.googleapis.com/auth/cloud-platform https://www.googleapis.com/auth/compute";
/// How long an assertion is good; Google takes an hour at most.
const ASSERTION_LIFE: i64 = 3600;

/// A service account's key, as Google hands it out.
#[derive(Deserialize)]
struct Key {
    client_email: String,
    private_key: SecretString,
    private_key_id: Option<String>,
    token_uri: String,
}

/// What the service account claims, signed with its key.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_audience: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
}

impl Tokens {
    /// An ID token for the account host, and an access token beside it.
    pub(super) async fn google(&self, key: &SecretString) -> Result<Fetched, Error> {
        let unusable = |reason: &str| {
            self.failed(
                reason,
                "Set `google_credentials` (GOOGLE_CREDENTIALS) to the JSON key of a service account, or to its file.",
            )
        };
        let key: Key = serde_json::from_str(key.expose_secret()).map_err(|_| {
            unusable("`google_credentials` is not the JSON key of a service account")
        })?;
        let signer =
            jsonwebtoken::EncodingKey::from_rsa_pem(key.private_key.expose_secret().as_bytes())
                .map_err(|_| unusable("the private key in `google_credentials` cannot be read"))?;
        let url = self.safe(&key.token_uri)?;
        let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
        header.kid = key.private_key_id.clone();
        let ask = async |target_audience: Option<&str>, scope: Option<&str>| {
            let now = time::OffsetDateTime::now_utc().unix_timestamp();
            let claims = Claims {
                iss: &key.client_email,
                sub: &key.client_email,
                aud: &key.token_uri,
                iat: now,
                exp: now + ASSERTION_LIFE,
                target_audience,
                scope,
            };
            let assertion = jsonwebtoken::encode(&header, &claims, &signer)
                .map_err(|_| unusable("the private key in `google_credentials` does not sign"))?;
            let form = [
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("assertion", assertion.as_str()),
            ];
            self.ask(|| self.http.post(url.clone()).form(&form)).await
        };
        let mut fetched = ask(Some(&self.host.to_string()), None)
            .await?
            .into_fetched();
        fetched
            .extra
            .push((ACCESS_HEADER, ask(None, Some(SCOPES)).await?.access_token));
        Ok(fetched)
    }
}
