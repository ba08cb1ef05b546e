//! Calls to services that speak JSON over HTTP: retries of what may be sent again, and no secret in any message.

use std::future::Future;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value as Json;

use super::{Failure, Http, Loss, NoBody, Proxies, body};

/// The first pause between two tries; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(300);

/// A client for the services of a cloud. `certificates`: what is trusted besides the system's.
///
/// # Errors
/// When the environment names a proxy that cannot be used, or there is no TLS.
pub fn client(certificates: &[reqwest::Certificate]) -> Result<Http, Failure> {
    let builder = Proxies::of_environment()
        .on(reqwest::Client::builder())?
        .tls_certs_merge(certificates.to_vec())
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(15))
        .user_agent(concat!("dbxcmk/", env!("CARGO_PKG_VERSION")));
    Http::new(builder, Duration::from_secs(60))
}

/// What TLS says of a certificate that it does not accept. Source: rustls, `Error::InvalidCertificate`.
const INVALID_CERTIFICATE: &str = "invalid peer certificate";

/// What TLS says about the certificate of a host, if that is why it could not be reached.
fn certificate(error: &Failure) -> Option<String> {
    let mut at = std::error::Error::source(error);
    while let Some(cause) = at {
        let text = cause.to_string();
        if let Some(begin) = text.find(INVALID_CERTIFICATE) {
            return text.get(begin..).map(str::to_owned);
        }
        at = cause.source();
    }
    None
}

/// Whether what [`plain`] says is about a certificate that is not trusted.
pub fn is_not_trusted(why: &str) -> bool {
    why.contains(INVALID_CERTIFICATE)
}

/// What HTTP calls a status, for an answer that says nothing itself.
pub fn reason_phrase(status: u16) -> String {
    reqwest::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("no reason given")
        .to_owned()
}

/// What happened to a request, without anything that it carried.
pub fn plain(error: &Failure) -> String {
    let certificate = certificate(error).filter(|_| error.loss != Loss::Late);
    let what = match certificate {
        Some(why) => format!("its certificate is not trusted ({why})"),
        None => error.to_string(),
    };
    match &error.url {
        Some(url) => {
            let port = url
                .port()
                .map(|port| format!(":{port}"))
                .unwrap_or_default();
            format!(
                "{what}: {}://{}{port}{}",
                url.scheme(),
                url.host_str().unwrap_or_default(),
                url.path()
            )
        }
        None => what,
    }
}

/// An address that a secret may be sent to: over TLS, or on this machine.
///
/// # Errors
/// What is wrong with it.
pub fn safe(text: &str) -> Result<url::Url, String> {
    let parsed = url::Url::parse(text).map_err(|_| format!("`{text}` is not an address"))?;
    let is_safe = parsed.scheme() == "https"
        || (parsed.scheme() == "http" && crate::vocabulary::is_loopback(&parsed));
    match is_safe {
        true => Ok(parsed),
        false => Err(format!("`{text}` would send a secret in the clear")),
    }
}

/// An answer of success.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status, from 200 to 299.
    pub status: u16,
    /// The headers, of which Azure's long-running operations need some.
    pub headers: HeaderMap,
    /// Null where there is no body.
    pub body: Json,
}

/// The errors of a service.
pub trait Refusal: Sized {
    /// What a refusal means.
    fn of(status: u16, body: &str) -> Self;
    /// It could not be reached, and why.
    fn unreachable(why: String) -> Self;
    /// Its answer cannot be read, and why.
    fn malformed(why: String) -> Self;
}

/// A call, before the client adds the token and the retries.
#[derive(Debug)]
pub struct Call<'a> {
    /// The HTTP method: `GET`, `PUT`.
    pub method: Method,
    /// Where it goes.
    pub url: &'a str,
    /// The JSON body; `None` for a request without one.
    pub body: Option<&'a Json>,
    /// Whose call it is, for the log.
    pub service: &'static str,
    /// How often it is tried.
    pub tries: u32,
    /// Whether it may be sent again when it is not certain that it was not taken. What is refused for being one too many is sent again
    /// in any case.
    pub same_twice: bool,
    /// The longest pause that the client makes when the service asks for one.
    pub longest_asked: Duration,
}

/// How long a service asks to wait, in seconds.
pub fn retry_after(headers: &HeaderMap, longest: Duration) -> Option<Duration> {
    let seconds: u64 = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds).min(longest))
}

/// Sends a call, again where it may be. `token`: the token to use; it is given the one that the service did not accept, if there is one.
///
/// # Errors
/// When the service refuses, or cannot be reached.
pub async fn send<E: Refusal, F: Future<Output = Result<SecretString, E>>>(
    http: &Http,
    call: &Call<'_>,
    token: impl Fn(Option<SecretString>) -> F,
) -> Result<Answer, E> {
    let mut pause = FIRST_PAUSE;
    let mut attempt = 1;
    let mut was_renewed = false;
    loop {
        let used = token(None).await?;
        tracing::debug!(method = %call.method, url = call.url, attempt, "calling {}", call.service);
        let mut request = http
            .request(call.method.clone(), call.url)
            .bearer_auth(used.expose_secret());
        if let Some(body) = call.body {
            request = request
                .header(CONTENT_TYPE, "application/json")
                .body(body.to_string());
        }
        let mut asked = None;
        let outcome = match http.send(request).await {
            Ok(answer) => {
                let status = answer.status().as_u16();
                let headers = answer.headers().clone();
                asked = retry_after(&headers, call.longest_asked);
                match body(answer).await {
                    Ok(text) if (200..300).contains(&status) => match read(&text) {
                        Ok(body) => {
                            return Ok(Answer {
                                status,
                                headers,
                                body,
                            });
                        }
                        // The client asks again after a broken answer, where asking changes nothing.
                        Err(error) => (E::malformed(error.to_string()), call.method == Method::GET),
                    },
                    // A token can be taken back before its time. That another one helps is tried once; where none can be had, the service is right.
                    Ok(text) if status == 401 && !was_renewed => {
                        was_renewed = true;
                        let before = used.expose_secret().to_owned();
                        match token(Some(used)).await? {
                            another if another.expose_secret() != before => continue,
                            _ => (E::of(status, &text), false),
                        }
                    }
                    Ok(text) => (
                        E::of(status, &text),
                        status == 429 || (call.same_twice && matches!(status, 408 | 500..=599)),
                    ),
                    Err(NoBody::Broken(error)) => (E::unreachable(plain(&error)), call.same_twice),
                    Err(NoBody::TooLong) => (E::malformed(NoBody::TOO_LONG.to_owned()), false),
                }
            }
            Err(error) => (E::unreachable(plain(&error)), call.same_twice),
        };
        let (error, again) = outcome;
        if !again || attempt >= call.tries {
            return Err(error);
        }
        attempt += 1;
        let own = pause.mul_f64(0.75 + 0.5 * fastrand::f64());
        tokio::time::sleep(asked.map_or(own, |asked| own.max(asked))).await;
        pause *= 2;
    }
}

/// Whether a token is the one that was refused.
pub fn is_same(token: &SecretString, refused: Option<&SecretString>) -> bool {
    refused.is_some_and(|refused| refused.expose_secret() == token.expose_secret())
}

fn read(text: &str) -> Result<Json, serde_json::Error> {
    match text.trim().is_empty() {
        true => Ok(Json::Null),
        false => serde_json::from_str(text),
    }
}
