//! Calls to the API of an account or of a workspace: one connection pool, a pace and a bound to keep, retries that are safe, and no secrets in what
//! is logged.
//!
//! What may be sent again is decided by the method and by how far the request got:
//!
//! | what happened | GET | PATCH, DELETE | POST |
//! |---|---|---|---|
//! | not taken: 429, 503, a connection that breaks at once | again | again | again |
//! | not taken: no connection can be opened | again, a few times | again, a few times | again, a few times |
//! | perhaps taken: broken connection, no answer in time, 502, 504 | again | again | told to the caller |
//! | 500 | again, a few times | again, a few times | told |
//! | an answer that cannot be read | again, a few times | told | told |
//! | any other refusal | told | told | told |

use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Certificate, Client, Method, redirect};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::auth::{AccountHost, AuthType, Credential, Resolved, Site, WorkspaceHost};
use super::errors::{ApiError, Error};
use super::http::{broken, pause, read};
use super::pace::Pace;
use super::tokens::{Fetching, GoogleSource, Headers, Tokens};
use crate::network::{Http, Proxies};
use crate::vocabulary::{AccountId, why_unread};

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(15);
/// How many requests may be under way at once.
const AT_ONCE: usize = 10;
/// How often the client makes a call while the service fails by itself, or answers with a text that
/// the client cannot parse.
const TRIES: u32 = 4;
/// How much of a body is logged.
const LOGGED: usize = 4096;

/// How the transport behaves.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// How long one request may take.
    pub timeout: Duration,
    /// How long a call may go on trying.
    pub retry_timeout: Duration,
    /// How many requests may be sent in a second at most; `None`: as many as the API takes.
    pub requests_per_second: Option<u32>,
    /// A file of certificates (PEM) that are trusted besides those of the system.
    pub ca_bundle: Option<PathBuf>,
    /// What the User-Agent says.
    pub user_agent: String,
    /// Where Google's tokens come from, for the methods that need one.
    pub google: GoogleSource,
    /// Ends when the user wants to stop: what is under way is finished, and nothing is tried again.
    pub stop: CancellationToken,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            retry_timeout: Duration::from_secs(300),
            requests_per_second: None,
            ca_bundle: None,
            user_agent: concat!("dbxcmk/", env!("CARGO_PKG_VERSION")).to_owned(),
            google: GoogleSource::default(),
            stop: CancellationToken::new(),
        }
    }
}

/// A Databricks account, ready to be called.
pub struct Account {
    api: Api,
    host: AccountHost,
    account: AccountId,
    credential: Credential,
}

/// A workspace, ready for the same callers as its account.
pub struct WorkspaceApi(Api);

/// One API with its tokens, its pace and its bounds.
struct Api {
    http: Http,
    site: Site,
    behaviour: Behaviour,
    tokens: Tokens,
    pace: Mutex<Pace>,
    under_way: Semaphore,
}

/// Whether a call may be sent again when it is not certain that it was not taken.
#[derive(Clone, Copy, PartialEq)]
enum Repeat {
    /// It changes nothing.
    Read,
    /// Sending it twice is the same as sending it once.
    SameTwice,
    /// Only what was certainly not taken is sent again.
    OnlyIfNotTaken,
}

impl Account {
    /// A client for an account. Nothing is sent yet. Proxies are those of the environment (`HTTPS_PROXY`, `NO_PROXY`).
    ///
    /// # Errors
    /// When there is no TLS on this machine, or the certificates that were named cannot be read.
    pub fn new(resolved: Resolved, behaviour: Behaviour) -> Result<Self, Error> {
        let Resolved {
            host,
            account,
            credential,
        } = resolved;
        let method = credential.auth_type();
        let proxied = Proxies::of_environment()
            .on(Client::builder())
            .map_err(broken)?;
        let mut http = proxied
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT.min(behaviour.timeout))
            .user_agent(format!("{} auth/{method}", behaviour.user_agent));
        if let Some(file) = &behaviour.ca_bundle {
            http = http.tls_certs_merge(certificates(file)?);
        }
        let http = Http::new(http, behaviour.timeout).map_err(broken)?;
        let site = Site::Account(host.clone(), account.clone());
        Ok(Self {
            api: Api::new(http, site, &credential, behaviour),
            host,
            account,
            credential,
        })
    }

    /// The UUID of the account, which is in every path.
    pub fn id(&self) -> &AccountId {
        &self.account
    }

    /// The host that answers for the account.
    pub fn host(&self) -> &AccountHost {
        &self.host
    }

    /// The method of the credential.
    pub fn auth_type(&self) -> AuthType {
        self.credential.auth_type()
    }

    /// A client for a workspace of the account, with the same credential and tokens of its own. Nothing is sent yet. `patience`: how long a call may
    /// go on trying, at most.
    pub fn workspace_api(&self, host: WorkspaceHost, patience: Duration) -> WorkspaceApi {
        let mut behaviour = self.api.behaviour.clone();
        behaviour.retry_timeout = behaviour.retry_timeout.min(patience);
        let http = self.api.http.clone();
        WorkspaceApi(Api::new(
            http,
            Site::Workspace(host),
            &self.credential,
            behaviour,
        ))
    }

    /// Reads an object.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.api.get(path).await
    }

    /// Makes an object. Never sent twice when the first may have been taken.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached; see [`Error::may_have_been_taken`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        let repeat = Repeat::OnlyIfNotTaken;
        self.api
            .call(Method::POST, path, Some(body), repeat, |body| decode(body))
            .await
    }

    /// Changes fields of an object to given values, which means the same when it is sent twice.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached. [`super::errors::ApiError::after_another`] says whether an earlier try of this very
    /// call may have been taken.
    pub async fn patch(&self, path: &str, body: &impl Serialize) -> Result<(), Error> {
        let repeat = Repeat::SameTwice;
        self.api
            .call(Method::PATCH, path, Some(body), repeat, |_| Ok(()))
            .await
    }

    /// Removes an object. The answer may be the object or nothing.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn delete(&self, path: &str) -> Result<(), Error> {
        let repeat = Repeat::SameTwice;
        self.api
            .call(Method::DELETE, path, None::<&()>, repeat, |_| Ok(()))
            .await
    }
}

impl WorkspaceApi {
    /// Reads something. `path` begins with `/api/`.
    ///
    /// # Errors
    /// When the workspace refuses or cannot be reached.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.0.get(path).await
    }
}

impl Api {
    fn new(http: Http, site: Site, credential: &Credential, behaviour: Behaviour) -> Self {
        let by = Fetching {
            http: http.clone(),
            google: behaviour.google.clone(),
            patience: behaviour.retry_timeout,
            stop: behaviour.stop.clone(),
        };
        let tokens = Tokens::new(site.clone(), credential.clone(), by);
        let pace = Pace::new(behaviour.requests_per_second, Instant::now());
        Self {
            http,
            site,
            behaviour,
            tokens,
            pace: Mutex::new(pace),
            under_way: Semaphore::new(AT_ONCE),
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let none = None::<&()>;
        self.call(Method::GET, path, none, Repeat::Read, |body| decode(body))
            .await
    }

    async fn call<T>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
        repeat: Repeat,
        understand: impl Fn(&str) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut url = self.site.api(path);
        if !query.is_empty() {
            url.set_query(Some(query));
        }
        let body = body
            .map(serde_json::to_vec)
            .transpose()
            .map_err(|error| Error::Malformed(error.to_string()))?;
        let deadline = Instant::now() + self.behaviour.retry_timeout;
        let (mut attempt, mut perhaps_taken, mut renewed) = (0_u32, false, false);
        loop {
            attempt += 1;
            self.keep_pace().await;
            let headers = self.tokens.headers().await?;
            let sent = Instant::now();
            let outcome = self
                .once(&method, &url, body.clone(), &headers, attempt)
                .await;
            let mut error = match outcome.and_then(|body| understand(&body)) {
                Ok(answer) => {
                    self.pace.lock().await.was_answered();
                    return Ok(answer);
                }
                Err(error) => error,
            };
            tracing::debug!(%method, %url, attempt, %error, "Databricks did not do it");
            if let Error::Api(refusal) = &mut error {
                // A token can be taken back before its time. That a new one helps is tried once.
                if refusal.status == 401
                    && headers.can_be_renewed()
                    && !std::mem::replace(&mut renewed, true)
                {
                    self.tokens.refused(&headers).await;
                    continue;
                }
                refusal.after_another = perhaps_taken;
            }
            perhaps_taken |= error.may_have_been_taken();
            let again = match &error {
                Error::Api(refusal) if refusal.is_busy() => true,
                Error::Api(refusal) if refusal.status == 500 => {
                    repeat != Repeat::OnlyIfNotTaken && attempt < TRIES
                }
                Error::Malformed(_) => repeat == Repeat::Read && attempt < TRIES,
                error if error.may_have_been_taken() => repeat != Repeat::OnlyIfNotTaken,
                // A host that refuses is not there, and waiting for minutes does not bring it back.
                Error::Transport {
                    is_unreachable: true,
                    ..
                } => attempt < TRIES,
                Error::Transport { .. } => true,
                _ => false,
            };
            let wait = pause(attempt, &error);
            if error.api().is_some_and(ApiError::is_too_many) {
                let mut pace = self.pace.lock().await;
                pace.was_turned_away(sent, Instant::now(), wait);
                tracing::info!(
                    rate = pace.rate(),
                    ?wait,
                    "Databricks wants fewer requests per second"
                );
            }
            if !again || Instant::now() + wait > deadline {
                return Err(error);
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.behaviour.stop.cancelled() => return Err(error),
            }
        }
    }

    async fn once(
        &self,
        method: &Method,
        url: &Url,
        body: Option<Vec<u8>>,
        headers: &Headers,
        attempt: u32,
    ) -> Result<String, Error> {
        let _place = self.under_way.acquire().await;
        tracing::debug!(%method, %url, attempt, "calling Databricks");
        let mut request = self.http.request(method.clone(), url.clone());
        if let Some(body) = body {
            let shown = self.shown(&String::from_utf8_lossy(&body)).await;
            tracing::trace!(body = shown, "the request");
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let request = headers.on(request).build().map_err(broken)?;
        tracing::trace!(headers = named(request.headers()), "the request's headers");
        let response = self.http.execute(request).await.map_err(broken)?;
        tracing::trace!(
            status = response.status().as_u16(),
            headers = named(response.headers()),
            "the answer"
        );
        let body = read(response).await;
        if tracing::enabled!(tracing::Level::TRACE) {
            let text = match &body {
                Ok(body) => self.shown(body).await,
                Err(error) => self.shown(&error.to_string()).await,
            };
            tracing::trace!(body = text, "the answer's body");
        }
        body
    }

    /// A body for the log: fields with the name of a secret are masked, and so is every secret that is known.
    async fn shown(&self, body: &str) -> String {
        if !tracing::enabled!(tracing::Level::TRACE) {
            return String::new();
        }
        let mut text = match serde_json::from_str::<Json>(body) {
            Ok(mut json) => {
                mask(&mut json);
                json.to_string()
            }
            Err(_) => body.to_owned(),
        };
        for secret in self.tokens.secrets().await {
            text = text.replace(secret.expose_secret(), MASK);
        }
        match text.char_indices().nth(LOGGED) {
            Some((end, _)) => format!(
                "{}… ({} bytes)",
                text.get(..end).unwrap_or_default(),
                body.len()
            ),
            None => text,
        }
    }

    /// Waits for its turn.
    async fn keep_pace(&self) {
        let wait = self.pace.lock().await.take_turn(Instant::now());
        tokio::time::sleep(wait).await;
    }
}

/// The certificates of a file.
///
/// # Errors
/// When it cannot be read, or has none.
pub fn certificates(file: &std::path::Path) -> Result<Vec<Certificate>, Error> {
    let unreadable = |reason: String| Error::Certificates {
        file: file.display().to_string(),
        reason,
    };
    let pem = doors::files::read(file).map_err(|error| unreadable(why_unread(&error)))?;
    let all = Certificate::from_pem_bundle(&pem)
        .map_err(|_| unreadable("it is not a PEM file".to_owned()))?;
    if all.is_empty() {
        Err(unreadable("there is no certificate in it".to_owned()))
    } else {
        Ok(all)
    }
}

const MASK: &str = "(secret)";

fn mask(json: &mut Json) {
    match json {
        Json::Object(fields) => {
            for (name, value) in fields {
                let name = name.to_ascii_lowercase();
                if value.is_string()
                    && ["token", "secret", "password"]
                        .iter()
                        .any(|word| name.ends_with(word))
                {
                    *value = Json::from(MASK);
                } else {
                    mask(value);
                }
            }
        }
        Json::Array(elements) => elements.iter_mut().for_each(mask),
        _ => {}
    }
}

/// Headers for the log, without values that let a reader in: cookies do that, too.
fn named(headers: &HeaderMap) -> String {
    let one = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
        let secret = value.is_sensitive()
            || ["cookie", "auth", "token"]
                .iter()
                .any(|word| name.as_str().contains(word));
        let value = if secret {
            MASK
        } else {
            value.to_str().unwrap_or("(not text)")
        };
        format!("{name}: {value}")
    };
    headers.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn decode<T: DeserializeOwned>(body: &str) -> Result<T, Error> {
    serde_json::from_str(body).map_err(|error| Error::Malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn what_is_called_a_secret_is_masked() {
        let mut json = serde_json::json!({"access_token": "a", "x": [{"clientSecret": "b"}], "key_arn": "c", "token_type": "Bearer"});
        mask(&mut json);
        assert_eq!(
            json.to_string(),
            r#"{"access_token":"(secret)","key_arn":"c","token_type":"Bearer","x":[{"clientSecret":"(secret)"}]}"#
        );
    }

    #[test]
    fn headers_that_let_somebody_in_are_masked() {
        let mut headers = HeaderMap::new();
        headers.insert("set-cookie", HeaderValue::from_static("s=1"));
        headers.insert("x-request-id", HeaderValue::from_static("7"));
        assert_eq!(named(&headers), "set-cookie: (secret), x-request-id: 7");
    }
}
