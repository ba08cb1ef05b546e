//! How each method gets a token, and how long the provider uses one.
//!
//! One file for each kind of method; each returns a `Fetched`. The first request that needs a token fetches it while the
//! others wait, and so does the first one after it has become old. No error and no log quotes a body that holds tokens.

mod azure;
mod google;
mod oauth;
mod oidc;
mod programs;

pub use google::{GoogleSource, GoogleToken, GoogleTokens, NoGoogleToken};

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::auth::{AuthError, AuthType, Credential, Site};
use super::errors::Error;
use super::http::{broken, is_safe, pause, read};
use crate::network::Http;

/// How long the provider tries to get a token.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the provider tries a host that it cannot reach at all.
const TRIES: u32 = 4;
/// How long the tasks that waited for a token get the error of an unreachable host, without trying
/// it once more themselves.
const REMEMBERED: Duration = Duration::from_secs(5);
/// How long before its end the provider stops using a token: a request takes time, and clocks differ.
const MARGIN: Duration = Duration::from_secs(40);
/// How long a token counts as living if the service does not say it.
const USUAL_LIFE: Duration = Duration::from_secs(3600);

/// What a method returns.
struct Fetched {
    token: SecretString,
    /// How long the token lives; `None` when it does not expire.
    life: Option<Duration>,
    /// Headers that a cloud's identities need besides.
    extra: Vec<(&'static str, SecretString)>,
}

/// The headers that prove who we are.
#[derive(Clone)]
pub struct Headers {
    authorization: SecretString,
    extra: Vec<(&'static str, SecretString)>,
    fresh_until: Option<Instant>,
}

impl Headers {
    /// The request with these headers, which are marked as secret.
    pub fn on(&self, mut request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        request = request.bearer_auth(self.authorization.expose_secret());
        for (name, value) in &self.extra {
            if let Ok(mut value) = reqwest::header::HeaderValue::from_str(value.expose_secret()) {
                value.set_sensitive(true);
                request = request.header(*name, value);
            }
        }
        request
    }

    fn is_fresh(&self) -> bool {
        self.fresh_until.is_none_or(|until| until > Instant::now())
    }

    /// Whether another fetch could give another token.
    pub fn can_be_renewed(&self) -> bool {
        self.fresh_until.is_some()
    }
}

/// The tokens of one credential.
pub struct Tokens {
    http: Http,
    site: Site,
    credential: Credential,
    google: GoogleSource,
    patience: Duration,
    stop: CancellationToken,
    current: Mutex<Option<Headers>>,
    /// When the client last failed to reach the host, and with which error.
    unreachable: Mutex<Option<(Instant, Error)>>,
}

/// How tokens are fetched.
pub struct Fetching {
    /// The client for the services that give tokens.
    pub http: Http,
    /// Who gives tokens of Google Cloud.
    pub google: GoogleSource,
    /// How long the provider tries to get a token; a minute at most.
    pub patience: Duration,
    /// Ends when Terraform wants to stop.
    pub stop: CancellationToken,
}

impl Tokens {
    /// Nothing is fetched yet.
    pub fn new(site: Site, credential: Credential, by: Fetching) -> Self {
        Self {
            http: by.http,
            site,
            credential,
            google: by.google,
            patience: by.patience.min(PATIENCE),
            stop: by.stop,
            current: Mutex::new(None),
            unreachable: Mutex::new(None),
        }
    }

    /// Headers with a token that lives for a while. One task fetches it; the others wait for that fetch.
    ///
    /// # Errors
    /// When the provider cannot get a token.
    pub async fn headers(&self) -> Result<Headers, Error> {
        let mut current = self.current.lock().await;
        if let Some(headers) = current.as_ref().filter(|headers| headers.is_fresh()) {
            return Ok(headers.clone());
        }
        // A task that waited here while another one failed to fetch this very token gets that
        // error, and does not wait for the same service once more.
        let mut unreachable = self.unreachable.lock().await;
        if let Some((_, error)) = unreachable
            .as_ref()
            .filter(|(at, _)| at.elapsed() < REMEMBERED)
        {
            return Err(error.clone());
        }
        tracing::debug!(method = %self.credential.auth_type(), "fetching a token");
        let fetched = match self.fetch().await {
            Ok(fetched) => fetched,
            Err(Error::Auth(error)) => return Err(Error::Auth(error)),
            Err(error) => {
                let is_unreachable = matches!(
                    error,
                    Error::Transport {
                        is_unreachable: true,
                        ..
                    }
                );
                let error = Error::Token(Box::new(error));
                *unreachable = is_unreachable.then(|| (Instant::now(), error.clone()));
                return Err(error);
            }
        };
        let fresh_until = fetched
            .life
            .map(|life| Instant::now() + life.saturating_sub(MARGIN).max(life / 2));
        let headers = Headers {
            authorization: fetched.token,
            extra: fetched.extra,
            fresh_until,
        };
        *current = Some(headers.clone());
        Ok(headers)
    }

    /// The account did not accept these headers: the next request fetches new ones, unless another task has fetched them meanwhile.
    pub async fn refused(&self, headers: &Headers) {
        let mut current = self.current.lock().await;
        let same = current
            .as_ref()
            .is_some_and(|own| own.fresh_until == headers.fresh_until);
        if same {
            *current = None;
        }
    }

    /// Every secret that must not show in a log.
    pub async fn secrets(&self) -> Vec<SecretString> {
        let current = self.current.lock().await;
        let headers = current.iter().flat_map(|headers| {
            std::iter::once(&headers.authorization)
                .chain(headers.extra.iter().map(|(_, value)| value))
                .cloned()
        });
        headers.collect()
    }

    async fn fetch(&self) -> Result<Fetched, Error> {
        match &self.credential {
            Credential::Token(token) => Ok(Fetched {
                token: token.clone(),
                life: None,
                extra: Vec::new(),
            }),
            Credential::OAuthM2m {
                client_id,
                client_secret,
            } => self.client_credentials(client_id, client_secret).await,
            Credential::Federated { subject, client_id } => {
                let subject = self.subject_token(subject).await?;
                self.exchange(&subject, client_id.as_deref()).await
            }
            Credential::AzureClientSecret {
                tenant_id,
                client_id,
                client_secret,
                environment,
            } => {
                self.entra(tenant_id, client_id, client_secret, environment)
                    .await
            }
            Credential::GoogleCredentials(key) => self.google(key).await,
            Credential::GoogleId { service_account } => self.google_id(service_account).await,
            Credential::OAuthM2mGcp {
                client_id,
                client_secret,
            } => {
                let fetched = self.client_credentials(client_id, client_secret).await?;
                self.with_google_token(fetched).await
            }
            Credential::DatabricksCli { program } => programs::databricks(program, &self.site)
                .await
                .map_err(Error::Auth),
            Credential::AzureCli {
                program,
                tenant_id,
                environment,
            } => programs::azure(program, tenant_id.as_deref(), environment)
                .await
                .map_err(Error::Auth),
        }
    }

    fn failed(&self, reason: impl Into<String>, remedy: impl Into<String>) -> Error {
        let method = self.credential.auth_type();
        Error::Auth(AuthError::Failed {
            method,
            reason: reason.into(),
            remedy: remedy.into(),
        })
    }

    /// Parses an address from outside to which the provider is going to send a secret.
    fn safe(&self, text: &str) -> Result<Url, Error> {
        let url = Url::parse(text).ok().filter(is_safe);
        url.ok_or_else(|| {
            self.failed(
                format!("`{text}` is not an address to which the provider sends secrets"),
                "It must begin with `https://`.",
            )
        })
    }

    /// Asks for a token until the service gives one or clearly refuses, or the time is over.
    async fn ask(&self, request: impl Fn() -> reqwest::RequestBuilder) -> Result<Answer, Error> {
        let deadline = Instant::now() + self.patience;
        let mut attempt = 0_u32;
        loop {
            attempt += 1;
            let outcome = match self.http.send(request()).await {
                Ok(response) => read(response).await,
                Err(error) => Err(broken(error)),
            };
            let error = match outcome {
                // The body holds the token, so an error must not quote it.
                Ok(body) => {
                    return serde_json::from_str(&body).map_err(|_| {
                        Error::Malformed("the token endpoint gave no token".to_owned())
                    });
                }
                Err(error) => error,
            };
            let again = match &error {
                Error::Api(refusal) => refusal.is_busy() || matches!(refusal.status, 502 | 504),
                Error::Transport {
                    is_unreachable: true,
                    ..
                } => attempt < TRIES,
                Error::Transport { .. } => true,
                _ => false,
            };
            let wait = pause(attempt, &error);
            if !again || Instant::now() + wait > deadline {
                return Err(error);
            }
            tracing::debug!(attempt, %error, "no token yet");
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.stop.cancelled() => return Err(error),
            }
        }
    }
}

/// What token endpoints answer, each with the token under a name of its own.
#[derive(Deserialize)]
#[serde(try_from = "Sent")]
struct Answer {
    access_token: SecretString,
    expires_in: Option<u64>,
}

/// An answer as the service sends it: one may carry an ID token beside the access token, which wins.
#[derive(Deserialize)]
struct Sent {
    access_token: Option<SecretString>,
    id_token: Option<SecretString>,
    value: Option<SecretString>,
    /// Seconds; Entra ID's older endpoint writes them as text.
    #[serde(default, deserialize_with = "crate::network::seconds")]
    expires_in: Option<u64>,
}

impl TryFrom<Sent> for Answer {
    type Error = &'static str;

    fn try_from(sent: Sent) -> Result<Self, Self::Error> {
        let token = sent.access_token.or(sent.id_token).or(sent.value);
        Ok(Self {
            access_token: token.ok_or("there is no token in it")?,
            expires_in: sent.expires_in,
        })
    }
}

impl Answer {
    fn into_fetched(self) -> Fetched {
        let life = self.expires_in.map_or(USUAL_LIFE, Duration::from_secs);
        Fetched {
            token: self.access_token,
            life: Some(life),
            extra: Vec::new(),
        }
    }
}

/// How long a token lives that ends at `end`; the next request fetches a new one when it has ended.
fn until(end: time::OffsetDateTime) -> Duration {
    Duration::try_from(end - doors::clock::now()).unwrap_or_default()
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let method: AuthType = self.credential.auth_type();
        f.debug_struct("Tokens")
            .field("method", &method)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_token_answer_is_read() {
        for (body, token, life) in [
            (r#"{"access_token":"a","expires_in":3600}"#, "a", Some(3600)),
            (
                r#"{"access_token":"a","id_token":"i","expires_in":"3599"}"#,
                "a",
                Some(3599),
            ),
            (r#"{"id_token":"i"}"#, "i", None),
            (r#"{"count":1,"value":"v"}"#, "v", None),
            (r#"{"access_token":"a","expires_in":null}"#, "a", None),
        ] {
            let answer: Answer = serde_json::from_str(body).unwrap();
            assert_eq!(
                (answer.access_token.expose_secret(), answer.expires_in),
                (token, life),
                "{body}"
            );
        }
        for body in ["{}", r#"{"error":"no"}"#, r#"{"access_token":null}"#] {
            assert!(serde_json::from_str::<Answer>(body).is_err(), "{body}");
        }
    }
}
