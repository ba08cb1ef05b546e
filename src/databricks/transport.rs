//! Calls to the account API: one connection pool, a token that is fetched once, retries that are safe, and no secrets in
//! what is logged.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use reqwest::{Client, Method, Response, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::auth::{AccountHost, Credential, Resolved};
use super::errors::{ApiError, Error};
use crate::vocabulary::AccountId;

/// How the transport behaves.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// How long one request may take.
    pub timeout: Duration,
    /// How long a call may go on trying.
    pub retry_timeout: Duration,
    /// How many requests may be sent in a second.
    pub requests_per_second: u32,
    /// What the User-Agent says.
    pub user_agent: String,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            retry_timeout: Duration::from_secs(300),
            // As the official SDKs and provider have it; Databricks publishes no limit.
            requests_per_second: 15,
            user_agent: concat!("dbxcmk/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// A token and when it should not be used any more.
struct Token {
    secret: SecretString,
    fresh_until: Instant,
}

/// How many requests may go at once, and since when that is true. Below zero: how many are waiting for their turn.
struct Pace {
    saved: f64,
    at: Instant,
}

/// A Databricks account, ready to be called.
pub struct Account {
    http: Client,
    host: AccountHost,
    account: AccountId,
    credential: Credential,
    behaviour: Behaviour,
    token: Mutex<Option<Token>>,
    pace: Mutex<Pace>,
}

/// Whether a call may be sent again when it is not certain that it was not taken.
#[derive(Clone, Copy, PartialEq)]
enum Repeat {
    /// Sending it twice is the same as sending it once.
    Safe,
    /// Only what was certainly not taken is sent again.
    OnlyIfNotTaken,
}

impl Account {
    /// A client for an account. Nothing is sent yet.
    ///
    /// # Errors
    /// When there is no TLS on this machine.
    pub fn new(resolved: Resolved, behaviour: Behaviour) -> Result<Self, Error> {
        let user_agent = format!("{} auth/{}", behaviour.user_agent, resolved.credential.name());
        let http = Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(behaviour.timeout)
            .user_agent(user_agent)
            .build()
            .map_err(|error| Error::Transport { reason: plain(&error), may_have_been_taken: false })?;
        let Resolved { host, account, credential } = resolved;
        let pace = Pace { saved: f64::from(behaviour.requests_per_second.max(1)), at: Instant::now() };
        Ok(Self { http, host, account, credential, behaviour, token: Mutex::new(None), pace: Mutex::new(pace) })
    }

    /// The account.
    pub fn id(&self) -> &AccountId {
        &self.account
    }

    /// The host.
    pub fn host(&self) -> &AccountHost {
        &self.host
    }

    /// Reads an object.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let body = self.call(Method::GET, path, None::<&()>, Repeat::Safe).await?;
        decode(&body)
    }

    /// Makes an object. Never sent twice when the first may have been taken.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached; see [`Error::Transport`] for whether it may have been taken.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Error> {
        let body = self.call(Method::POST, path, Some(body), Repeat::OnlyIfNotTaken).await?;
        decode(&body)
    }

    /// Changes fields of an object to given values, which means the same when it is sent twice.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn patch(&self, path: &str, body: &impl Serialize) -> Result<(), Error> {
        self.call(Method::PATCH, path, Some(body), Repeat::Safe).await.map(|_| ())
    }

    /// Removes an object. The answer may be the object or nothing.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn delete(&self, path: &str) -> Result<(), Error> {
        self.call(Method::DELETE, path, None::<&()>, Repeat::Safe).await.map(|_| ())
    }

    async fn call(&self, method: Method, path: &str, body: Option<&impl Serialize>, repeat: Repeat) -> Result<String, Error> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut url = self.host.join(&format!("/api/2.0/accounts/{}{path}", self.account));
        if !query.is_empty() {
            url.set_query(Some(query));
        }
        let deadline = Instant::now() + self.behaviour.retry_timeout;
        let mut attempt = 0_u32;
        loop {
            attempt += 1;
            self.keep_pace().await;
            let token = self.token().await?;
            let mut request = self.http.request(method.clone(), url.clone()).bearer_auth(token.expose_secret());
            if let Some(body) = body {
                let bytes = serde_json::to_vec(body).map_err(|error| Error::Malformed(error.to_string()))?;
                request = request.header(CONTENT_TYPE, "application/json").body(bytes);
            }
            tracing::debug!(method = %method, url = %url, attempt, "calling the account API");
            let outcome = match request.send().await {
                Ok(response) => read(response).await,
                Err(error) => Err(transport(&error)),
            };
            let error = match outcome {
                Ok(body) => return Ok(body),
                Err(error) => error,
            };
            tracing::debug!(method = %method, url = %url, attempt, %error, "the account API did not do it");
            let again = match &error {
                Error::Api(refusal) => refusal.is_busy(),
                Error::Transport { may_have_been_taken, .. } => !may_have_been_taken || repeat == Repeat::Safe,
                _ => false,
            };
            let wait = error.api().and_then(|refusal| refusal.retry_after).unwrap_or_else(|| backoff(attempt));
            if !again || Instant::now() + wait > deadline {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Waits for its turn. A second's worth of requests may go at once; after that they leave evenly.
    async fn keep_pace(&self) {
        let rate = f64::from(self.behaviour.requests_per_second.max(1));
        let wait = {
            let mut pace = self.pace.lock().await;
            let now = Instant::now();
            let saved = pace.saved + now.duration_since(pace.at).as_secs_f64() * rate;
            *pace = Pace { saved: saved.min(rate) - 1.0, at: now };
            (-pace.saved / rate).max(0.0)
        };
        tokio::time::sleep(Duration::from_secs_f64(wait)).await;
    }

    /// A token that will be good for a while. One request at a time fetches one; the others wait for it.
    async fn token(&self) -> Result<SecretString, Error> {
        let (client_id, client_secret) = match &self.credential {
            Credential::Token(token) => return Ok(token.clone()),
            Credential::OAuthM2m { client_id, client_secret } => (client_id, client_secret),
        };
        let mut cached = self.token.lock().await;
        if let Some(token) = cached.as_ref().filter(|token| token.fresh_until > Instant::now()) {
            return Ok(token.secret.clone());
        }
        let url = self.host.join(&format!("/oidc/accounts/{}/v1/token", self.account));
        let deadline = Instant::now() + self.behaviour.retry_timeout.min(Duration::from_secs(60));
        let mut attempt = 0_u32;
        let body = loop {
            attempt += 1;
            let request = self
                .http
                .post(url.clone())
                .basic_auth(client_id, Some(client_secret.expose_secret()))
                .form(&[("grant_type", "client_credentials"), ("scope", "all-apis")]);
            let outcome = match request.send().await {
                Ok(response) => read(response).await,
                Err(error) => Err(transport(&error)),
            };
            let error = match outcome {
                Ok(body) => break body,
                Err(error) => error,
            };
            let again = match &error {
                Error::Api(refusal) => refusal.is_busy() || matches!(refusal.status, 502 | 504),
                Error::Transport { .. } => true,
                _ => false,
            };
            let wait = error.api().and_then(|refusal| refusal.retry_after).unwrap_or_else(|| backoff(attempt));
            if !again || Instant::now() + wait > deadline {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
        };
        #[derive(serde::Deserialize)]
        struct Answer {
            access_token: SecretString,
            expires_in: Option<u64>,
        }
        // The body holds the token, so an error must not quote it.
        let answer: Answer =
            serde_json::from_str(&body).map_err(|_| Error::Malformed("the token endpoint gave no token".to_owned()))?;
        let life = Duration::from_secs(answer.expires_in.unwrap_or(3600));
        // Not up to the last second: a request takes time, and clocks differ.
        let fresh_until = Instant::now() + life.saturating_sub(Duration::from_secs(40)).max(life / 2);
        *cached = Some(Token { secret: answer.access_token.clone(), fresh_until });
        Ok(answer.access_token)
    }
}

fn backoff(attempt: u32) -> Duration {
    Duration::from_millis(u64::from(attempt.min(10)) * 500)
}

/// The error without its URL's query and without anything that the request carried.
fn plain(error: &reqwest::Error) -> String {
    use std::error::Error as _;
    let mut reason = if error.is_timeout() {
        "no answer came in time".to_owned()
    } else if error.is_connect() {
        "the host could not be reached".to_owned()
    } else {
        "the connection broke".to_owned()
    };
    let mut source = error.source();
    let mut innermost = None;
    while let Some(inner) = source {
        innermost = Some(inner.to_string());
        source = inner.source();
    }
    if let Some(innermost) = innermost {
        reason.push_str(&format!(" ({innermost})"));
    }
    reason
}

fn transport(error: &reqwest::Error) -> Error {
    Error::Transport { reason: plain(error), may_have_been_taken: !error.is_connect() && !error.is_builder() }
}

async fn read(response: Response) -> Result<String, Error> {
    let status = response.status().as_u16();
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let is_page = header(CONTENT_TYPE).is_some_and(|kind| kind.contains("text/html"));
    let retry_after = header(RETRY_AFTER).and_then(|value| value.trim().parse().ok()).map(Duration::from_secs);
    if matches!(status, 301..=308) && header(LOCATION).is_some() {
        return Err(Error::LoginPage);
    }
    let body = response.text().await.map_err(|error| transport(&error))?;
    if (200..300).contains(&status) {
        return if is_page || body.trim_start().starts_with('<') { Err(Error::LoginPage) } else { Ok(body) };
    }
    Err(Error::Api(ApiError { retry_after, ..ApiError::read(status, &body) }))
}

fn decode<T: DeserializeOwned>(body: &str) -> Result<T, Error> {
    serde_json::from_str(body).map_err(|error| Error::Malformed(error.to_string()))
}
