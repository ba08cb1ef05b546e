//! Calls to Google Cloud: a token, JSON, and retries of what may be sent again.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::Gcp;
use super::errors::GcpError;

/// How often a call is tried.
const TRIES: u32 = 7;
const FIRST_PAUSE: Duration = Duration::from_millis(300);

/// What happened to a request, without anything that it carried.
pub(super) fn plain(error: &reqwest::Error) -> String {
    let what = if error.is_timeout() {
        "no answer came in time"
    } else if error.is_connect() {
        "the host could not be reached"
    } else {
        "the connection broke"
    };
    match error.url() {
        Some(url) => format!(
            "{what}: {}{}",
            url.host_str().unwrap_or_default(),
            url.path()
        ),
        None => what.to_owned(),
    }
}

/// How long Google asks to wait, in seconds; at most half a minute is waited.
fn retry_after(answer: &reqwest::Response) -> Option<Duration> {
    let header = answer.headers().get(reqwest::header::RETRY_AFTER)?;
    let seconds: u64 = header.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(30)))
}

impl Gcp {
    /// Calls a method. What is sent twice must do the same as sent once: reads, and changes that name a state or an etag.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        url: &str,
        body: Option<&Json>,
    ) -> Result<T, GcpError> {
        let connection = self.connection()?;
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let token = connection.tokens.token().await?;
            tracing::debug!(%method, url, attempt, "calling Google Cloud");
            let mut request = connection
                .http
                .request(method.clone(), url)
                .bearer_auth(token.expose_secret());
            if let Some(body) = body {
                request = request
                    .header(CONTENT_TYPE, "application/json")
                    .body(body.to_string());
            }
            let mut asked = None;
            let outcome = match request.send().await {
                Ok(answer) => {
                    let status = answer.status().as_u16();
                    asked = retry_after(&answer);
                    match answer.text().await {
                        Ok(text) if (200..300).contains(&status) => {
                            match serde_json::from_str(&text) {
                                Ok(found) => return Ok(found),
                                // What was broken on its way is asked for again, where asking changes nothing.
                                Err(error) => (
                                    GcpError::Malformed(error.to_string()),
                                    method == Method::GET,
                                ),
                            }
                        }
                        Ok(text) => (
                            GcpError::of(status, &text),
                            matches!(status, 429 | 500..=599),
                        ),
                        Err(error) => (GcpError::Unreachable(plain(&error)), true),
                    }
                }
                Err(error) => (GcpError::Unreachable(plain(&error)), true),
            };
            let (error, again) = outcome;
            if !again || attempt == TRIES {
                return Err(error);
            }
            attempt += 1;
            let own = pause.mul_f64(0.75 + 0.5 * fastrand::f64());
            tokio::time::sleep(asked.map_or(own, |asked| own.max(asked))).await;
            pause *= 2;
        }
    }
}
