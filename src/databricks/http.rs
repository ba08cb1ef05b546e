//! What every request has in common, to the account API and to the services that give out tokens: which addresses are safe, how the client
//! reads an answer, what a broken connection means, and how long the client waits before the next try.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use url::Url;

use super::errors::{ApiError, Error};
use crate::network::{Failure, NoBody, Proxies, body};
use crate::vocabulary::is_loopback;

/// The pause before the second try; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause that the client chooses by itself.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Whether secrets may be sent there: with TLS, or to this very machine.
pub fn is_safe(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url))
}

/// How long to wait after a try that failed: what the service asked for, else longer each time, never quite the same for
/// two clients that were turned away together.
pub fn pause(attempt: u32, error: &Error) -> Duration {
    if let Some(asked) = error.api().and_then(|refusal| refusal.retry_after) {
        return asked;
    }
    let doubled = FIRST_PAUSE
        .saturating_mul(1 << attempt.saturating_sub(1).min(10))
        .min(LONGEST_PAUSE);
    doubled.mul_f64(0.75 + 0.5 * fastrand::f64())
}

/// `Retry-After`, which is a number of seconds or a date. More than an hour is taken as an hour.
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let asked = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(value)
            .ok()?
            .duration_since(now)
            .unwrap_or_default(),
    };
    Some(asked.min(Duration::from_secs(3600)))
}

/// What happened to a request, without its URL's query and without anything that it carried.
fn plain(error: &Failure) -> String {
    use std::error::Error as _;
    let what = error.to_string();
    let place = error.url.as_ref().map(|url| {
        let through = Proxies::of_environment()
            .shown_for(url)
            .map(|proxy| format!(" through the proxy {proxy}"));
        format!(
            ": {}{}",
            Url::join(url, url.path())
                .as_ref()
                .map_or(url.as_str(), Url::as_str),
            through.unwrap_or_default()
        )
    });
    let place = place.unwrap_or_default();
    let mut innermost = None;
    let mut source = error.source();
    while let Some(inner) = source {
        innermost = Some(inner.to_string());
        source = inner.source();
    }
    match innermost {
        Some(innermost) if !what.contains(&innermost) => format!("{what}{place} ({innermost})"),
        _ => format!("{what}{place}"),
    }
}

/// A request that did not get through, or whose answer did not.
pub fn broken(error: impl Into<Failure>) -> Error {
    let error = error.into();
    Error::Transport {
        reason: plain(&error),
        may_have_been_taken: error.may_have_been_taken(),
        is_unreachable: error.is_unreachable(),
        source: Some(Arc::new(error)),
    }
}

/// The body of an answer, or what it says instead.
///
/// # Errors
/// When it is a refusal, a web page, or broke off.
pub async fn read(response: Response) -> Result<String, Error> {
    let status = response.status().as_u16();
    let header = |name| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let is_page = header(CONTENT_TYPE).is_some_and(|kind| kind.contains("text/html"));
    let retry_after =
        header(RETRY_AFTER).and_then(|value| retry_after(&value, doors::clock::system()));
    if matches!(status, 301..=308) && header(LOCATION).is_some() {
        return Err(Error::LoginPage);
    }
    let body = body(response).await.map_err(|why| match why {
        NoBody::Broken(error) => broken(error),
        NoBody::TooLong => Error::Malformed(NoBody::TOO_LONG.to_owned()),
    })?;
    if (200..300).contains(&status) {
        return if is_page || body.trim_start().starts_with('<') {
            Err(Error::LoginPage)
        } else {
            Ok(body)
        };
    }
    Err(Error::Api(ApiError {
        retry_after,
        ..ApiError::read(status, &body)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_a_number_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let rows = [
            ("120", Some(120)),
            (" 1 ", Some(1)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:07 GMT", Some(0)),
            ("999999999", Some(3600)),
            ("soon", None),
            ("-1", None),
        ];
        for (text, seconds) in rows {
            assert_eq!(
                retry_after(text, now),
                seconds.map(Duration::from_secs),
                "{text}"
            );
        }
    }

    #[test]
    fn pauses_grow_and_do_what_the_service_asks() {
        let broken = Error::Transport {
            reason: String::new(),
            source: None,
            may_have_been_taken: false,
            is_unreachable: false,
        };
        for (attempt, low, high) in [
            (1, 375, 625),
            (2, 750, 1250),
            (6, 7500, 12500),
            (60, 7500, 12500),
        ] {
            let length = pause(attempt, &broken).as_millis();
            assert!((low..=high).contains(&length), "{attempt}: {length}");
        }
        let asked = ApiError {
            retry_after: Some(Duration::from_secs(7)),
            ..ApiError::read(429, "")
        };
        assert_eq!(pause(1, &Error::Api(asked)), Duration::from_secs(7));
    }

    #[test]
    fn secrets_go_only_where_they_are_safe() -> Result<(), url::ParseError> {
        for (text, safe) in [
            ("https://x.example", true),
            ("http://x.example", false),
            ("http://127.0.0.2:1", true),
            ("http://[::1]:1", true),
            ("http://localhost:1", true),
            ("http://localhost.example", false),
            ("ftp://localhost", false),
        ] {
            assert_eq!(is_safe(&Url::parse(text)?), safe, "{text}");
        }
        Ok(())
    }
}
