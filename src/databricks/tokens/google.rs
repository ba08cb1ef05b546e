//! Tokens of a Google service account, for the account host of Google Cloud.
//!
//! With a key of the service account (`google-credentials`) everything is here. The other methods take Google's tokens from the
//! identity with which the provider calls Google Cloud; who that is, is not this room's business: see [`GoogleTokens`].

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

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

/// A token of Google and how long it lives, or why there is none.
pub type GoogleToken = Result<(SecretString, Duration), NoGoogleToken>;

/// Why there is no token of Google, without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoGoogleToken {
    /// The reason, in words.
    pub reason: String,
    /// What to do about it.
    pub remedy: String,
}

/// Where Google's tokens come from.
pub trait GoogleTokens: Send + Sync {
    /// An access token (scope cloud-platform), of a service account that is impersonated or of the identity itself.
    fn access_token<'a>(
        &'a self,
        service_account: Option<&'a str>,
    ) -> Pin<Box<dyn Future<Output = GoogleToken> + Send + 'a>>;

    /// An ID token of a service account for an audience.
    fn id_token<'a>(
        &'a self,
        service_account: &'a str,
        audience: &'a str,
    ) -> Pin<Box<dyn Future<Output = GoogleToken> + Send + 'a>>;
}

/// The source of Google's tokens, if there is one.
#[derive(Clone, Default)]
pub struct GoogleSource(pub Option<Arc<dyn GoogleTokens>>);

impl std::fmt::Debug for GoogleSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GoogleSource")
    }
}

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
    fn source(&self) -> Result<&dyn GoogleTokens, Error> {
        let source = self.google.0.as_deref();
        source.ok_or_else(|| {
            self.failed(
                "no identity of Google Cloud is configured",
                "Set it in the `gcp` block of the provider.",
            )
        })
    }

    /// Databricks on Google Cloud acts on keys and projects with a Google access token of the caller, beside its own token. Source:
    /// Databricks documentation, "Configure customer-managed keys" on Google Cloud.
    fn without_google(&self, why: NoGoogleToken) -> Error {
        self.failed(
            format!(
                "it needs a Google access token, with which Databricks acts on your keys, and {}",
                why.reason
            ),
            why.remedy,
        )
    }

    /// The same as a service principal alone, with a Google access token beside it.
    pub(super) async fn with_google_token(&self, mut fetched: Fetched) -> Result<Fetched, Error> {
        let (token, life) = self
            .source()?
            .access_token(None)
            .await
            .map_err(|why| self.without_google(why))?;
        fetched.life = Some(fetched.life.map_or(life, |own| own.min(life)));
        fetched.extra.push((ACCESS_HEADER, token));
        Ok(fetched)
    }

    /// An ID token and an access token of a service account that is impersonated.
    pub(super) async fn google_id(&self, service_account: &str) -> Result<Fetched, Error> {
        let source = self.source()?;
        let failed = |why| self.without_google(why);
        let host = self.site.host();
        let (token, life) = source
            .id_token(service_account, &host)
            .await
            .map_err(failed)?;
        let (access, access_life) = source
            .access_token(Some(service_account))
            .await
            .map_err(failed)?;
        Ok(Fetched {
            token,
            life: Some(life.min(access_life)),
            extra: vec![(ACCESS_HEADER, access)],
        })
    }

    /// An ID token for the host, and an access token beside it.
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
            let now = doors::clock::now().unix_timestamp();
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
        let mut fetched = ask(Some(&self.site.host()), None).await?.into_fetched();
        fetched
            .extra
            .push((ACCESS_HEADER, ask(None, Some(SCOPES)).await?.access_token));
        Ok(fetched)
    }
}
