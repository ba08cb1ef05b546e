//! What the account API says when it refuses: four shapes of body, and answers that do not come from the API at all.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use super::auth::AuthError;

/// An answer of the API that is a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// The error code (`INVALID_STATE`), if the body has one.
    pub code: Option<String>,
    /// What the API says, in its own words.
    pub message: String,
    /// How long the API wants to be left alone.
    pub retry_after: Option<Duration>,
    /// Whether an earlier try of the same call may have been taken, its answer lost.
    pub after_another: bool,
}

/// Why a call gave nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The API refused.
    #[error("{}", .0.message)]
    Api(ApiError),
    /// The request did not get through.
    #[error("{reason}")]
    Transport {
        /// What happened, without secrets.
        reason: String,
        /// What the HTTP client says; `None` where the provider itself gave up waiting.
        #[source]
        source: Option<Arc<dyn std::error::Error + Send + Sync>>,
        /// Whether the request may have been taken although no answer came.
        may_have_been_taken: bool,
        /// Whether not even a connection could be opened.
        is_unreachable: bool,
    },
    /// A web page came instead of an answer: the credential is not accepted on this host.
    #[error("a web page came instead of an answer")]
    LoginPage,
    /// The client cannot parse the answer, for this reason.
    #[error("the answer cannot be understood: {0}")]
    Malformed(String),
    /// The provider cannot read the certificates that it shall trust.
    #[error("the certificates in {file} cannot be read: {reason}")]
    Certificates {
        /// The path of the file.
        file: String,
        /// The reason, in words.
        reason: String,
    },
    /// The provider could not get a token, so it never sent the request itself.
    #[error("could not get an access token: {0}")]
    Token(#[source] Box<Error>),
    /// There is no credential, or its method does not work.
    #[error(transparent)]
    Auth(#[from] AuthError),
}

impl ApiError {
    /// Reads a refusal from whatever body it has.
    pub fn read(status: u16, body: &str) -> Self {
        let (code, message) = code_and_message(status, body);
        Self {
            status,
            code,
            message,
            retry_after: None,
            after_another: false,
        }
    }

    /// Whether the object does not exist.
    pub fn is_not_found(&self) -> bool {
        self.status == 404 || self.code.as_deref() == Some("RESOURCE_DOES_NOT_EXIST")
    }

    /// Whether another state of the object is in the way.
    pub fn is_conflict(&self) -> bool {
        self.status == 409
            || matches!(
                self.code.as_deref(),
                Some("RESOURCE_CONFLICT" | "ABORTED" | "ALREADY_EXISTS")
            )
    }

    /// Whether Databricks has no Google access token with which it could act on the key. The code is that of every bad request, so the
    /// text decides. Source: terraform-provider-databricks issue 5999.
    pub fn is_google_token_missing(&self) -> bool {
        self.status == 400 && self.message.contains("Failed to get oauth access token")
    }

    /// Whether running compute is in the way of a workspace update. The code (`INVALID_STATE`) is that of other states as well, so
    /// the text decides: "Please terminate all pool & cluster EC2 instances in your workspace subnets before attempting to update
    /// the workspace." Source: databricks/terraform-provider-databricks issue 4491.
    pub fn is_running_compute(&self) -> bool {
        self.message.contains("terminate all") && self.message.contains("instances")
    }

    /// Whether the account or the workspace lacks a feature, which is not a missing permission.
    pub fn is_feature_missing(&self) -> bool {
        self.code.as_deref() == Some("FEATURE_DISABLED")
    }

    /// Whether there are too many requests.
    pub fn is_too_many(&self) -> bool {
        self.status == 429
            || matches!(
                self.code.as_deref(),
                Some("RESOURCE_EXHAUSTED" | "REQUEST_LIMIT_EXCEEDED")
            )
    }

    /// Whether the API was not ready to take the request, so that it may be sent again.
    pub fn is_busy(&self) -> bool {
        matches!(self.status, 429 | 503)
            || matches!(
                self.code.as_deref(),
                Some("RESOURCE_EXHAUSTED" | "REQUEST_LIMIT_EXCEEDED" | "TEMPORARILY_UNAVAILABLE")
            )
    }
}

impl Error {
    /// The refusal, if it is one.
    pub fn api(&self) -> Option<&ApiError> {
        match self {
            Self::Api(error) => Some(error),
            _ => None,
        }
    }

    /// Whether the request may have been carried out although this came instead of an answer.
    pub fn may_have_been_taken(&self) -> bool {
        match self {
            Self::Transport {
                may_have_been_taken,
                ..
            } => *may_have_been_taken,
            Self::Malformed(_) => true,
            Self::Api(refusal) => matches!(refusal.status, 500 | 502 | 504) && !refusal.is_busy(),
            Self::LoginPage | Self::Certificates { .. } | Self::Token(_) | Self::Auth(_) => false,
        }
    }

    /// Whether another state of the object is in the way.
    pub fn is_conflict(&self) -> bool {
        self.api().is_some_and(ApiError::is_conflict)
    }

    /// Whether the object does not exist.
    pub fn is_not_found(&self) -> bool {
        self.api().is_some_and(ApiError::is_not_found)
    }
}

/// `MALFORMED_REQUEST: text`
fn split_code(text: &str) -> Option<(&str, &str)> {
    let (code, message) = text.split_once(": ")?;
    let is_code = code.len() > 2
        && code
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    is_code.then_some((code, message))
}

fn code_and_message(status: u16, body: &str) -> (Option<String>, String) {
    let body = body.trim();
    if let Ok(Json::Object(fields)) = serde_json::from_str::<Json>(body) {
        let text = |name: &str| fields.get(name).and_then(Json::as_str).map(str::to_owned);
        // Sometimes the code is a number that repeats the status: that says nothing.
        let code = text("error_code").or_else(|| text("scimType"));
        let message = text("message")
            .or_else(|| text("detail"))
            .or_else(|| text("error"))
            .unwrap_or_default();
        return match (&code, split_code(&message)) {
            (None, Some((code, rest))) => (Some(code.to_owned()), rest.to_owned()),
            _ => (
                code,
                if message.is_empty() {
                    reason(status)
                } else {
                    message
                },
            ),
        };
    }
    if let Some((code, message)) = split_code(body) {
        return (Some(code.to_owned()), message.to_owned());
    }
    if let Some(inner) = body
        .split_once("<pre>")
        .and_then(|(_, rest)| rest.split_once("</pre>"))
        .map(|(inner, _)| inner.trim())
    {
        return split_code(inner).map_or((None, inner.to_owned()), |(code, text)| {
            (Some(code.to_owned()), text.to_owned())
        });
    }
    let first_line = body.lines().next().unwrap_or_default();
    let readable = !first_line.is_empty() && !first_line.starts_with('<');
    (
        None,
        if readable {
            first_line.chars().take(300).collect()
        } else {
            reason(status)
        },
    )
}

fn reason(status: u16) -> String {
    http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("unknown error")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: the status, the body, the code, the message.
    #[test]
    fn every_shape_of_error_is_understood() {
        let rows = [
            (
                404,
                r#"{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"gone"}"#,
                Some("RESOURCE_DOES_NOT_EXIST"),
                "gone",
            ),
            (
                403,
                r#"{"error_code":403,"message":"Invalid access to Org"}"#,
                None,
                "Invalid access to Org",
            ),
            (
                400,
                "MALFORMED_REQUEST: no use_cases",
                Some("MALFORMED_REQUEST"),
                "no use_cases",
            ),
            (
                400,
                r#"{"message":"MALFORMED_REQUEST: no use_cases"}"#,
                Some("MALFORMED_REQUEST"),
                "no use_cases",
            ),
            (
                400,
                "<html><body><pre>INVALID_STATE: busy</pre></body></html>",
                Some("INVALID_STATE"),
                "busy",
            ),
            (502, "<html><h1>Bad</h1></html>", None, "Bad Gateway"),
            (500, "", None, "Internal Server Error"),
            (400, r#"{"error":"old"}"#, None, "old"),
            (
                400,
                r#"{"detail":"scim","scimType":"invalidValue"}"#,
                Some("invalidValue"),
                "scim",
            ),
            (400, "Something: else", None, "Something: else"),
        ];
        for (status, body, code, message) in rows {
            let error = ApiError::read(status, body);
            assert_eq!(
                (error.code.as_deref(), error.message.as_str()),
                (code, message),
                "{body}"
            );
        }
    }
}
