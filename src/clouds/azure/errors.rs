//! What Azure says when it refuses, and what that means for the reader.

use serde::Deserialize;

use crate::network::{is_not_trusted, reason_phrase};
use crate::preflight::{Remedy, Unreadable};

/// Why Azure did not do it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AzureError {
    /// The caller may not.
    #[error("{0}")]
    Denied(String),
    /// The network rules of a vault do not let the caller in.
    #[error("{0}")]
    Firewall(String),
    /// It does not exist.
    #[error("{0}")]
    NotFound(String),
    /// A principal that does not exist (yet), for a role assignment.
    #[error("{0}")]
    PrincipalNotFound(String),
    /// Another change of it is under way, or it exists already.
    #[error("{}", with_code(message, code))]
    Conflict {
        /// Azure's code.
        code: String,
        /// Azure's words.
        message: String,
    },
    /// A request that Azure does not accept.
    #[error("{}", with_code(message, code))]
    Refused {
        /// Azure's code.
        code: String,
        /// Azure's words.
        message: String,
    },
    /// No credentials, or none that Azure accepts.
    #[error("{0}")]
    Credentials(String),
    /// Azure could not be reached.
    #[error("{0}")]
    Unreachable(String),
    /// An answer that cannot be read.
    #[error("the answer cannot be read: {0}")]
    Malformed(String),
    /// Any other refusal.
    #[error("{message} (HTTP {status})")]
    Other {
        /// The HTTP status.
        status: u16,
        /// Azure's words.
        message: String,
    },
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    error: Refusal,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    code: String,
    message: String,
    innererror: Inner,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Inner {
    code: String,
}

/// Azure's words and its code, as far as it has one.
fn with_code(message: &str, code: &str) -> String {
    match code {
        "" => message.to_owned(),
        code => format!("{message} ({code})"),
    }
}

/// Azure's words as a sentence quotes them: some of its messages have lines of their own, each ended by a carriage return.
fn in_one_line(message: &str) -> String {
    let words: Vec<&str> = message.split_whitespace().collect();
    words.join(" ")
}

impl AzureError {
    /// A refusal by its status and body. Sources: Azure Resource Manager, "Common API details"; Key Vault REST API, errors.
    pub(super) fn of(status: u16, body: &str) -> Self {
        let refusal = serde_json::from_str::<Body>(body).unwrap_or_default().error;
        let inner = refusal.innererror.code;
        let message = match (refusal.message.is_empty(), body.trim().is_empty()) {
            (false, _) => in_one_line(&refusal.message),
            (true, false) => in_one_line(&body.chars().take(200).collect::<String>()),
            (true, true) => reason_phrase(status),
        };
        match (status, refusal.code.as_str(), inner.as_str()) {
            (403, _, "ForbiddenByFirewall") => Self::Firewall(message),
            (403, ..) => Self::Denied(message),
            (401, ..) => Self::Credentials(format!("Azure does not accept the token: {message}")),
            (404, ..) => Self::NotFound(message),
            (400, "PrincipalNotFound", _) => Self::PrincipalNotFound(message),
            (409 | 412, code, inner) => Self::Conflict {
                code: match inner.is_empty() {
                    true => code.to_owned(),
                    false => inner.to_owned(),
                },
                message,
            },
            (_, code @ "ConcurrentUpdateError", _) => Self::Conflict {
                code: code.to_owned(),
                message,
            },
            (400, code, _) => Self::Refused {
                code: code.to_owned(),
                message,
            },
            _ => Self::Other { status, message },
        }
    }

    /// What an operation that took long came to.
    pub fn of_operation(code: &str, message: &str) -> Self {
        let (code, message) = (code.to_owned(), in_one_line(message));
        match code.as_str() {
            "ConcurrentUpdateError" => Self::Conflict { code, message },
            _ => Self::Refused { code, message },
        }
    }
}

impl AzureError {
    /// Why something could not be read, for a proof.
    pub fn unreadable(&self) -> Unreadable {
        let reason = match self {
            Self::Denied(message) => {
                format!(
                    "the identity that runs Terraform is not allowed to read it (\"{message}\")"
                )
            }
            Self::Firewall(message) => {
                format!("the network rules of the vault do not let this machine in (\"{message}\")")
            }
            Self::NotFound(message) => format!("it does not exist (\"{message}\")"),
            other => other.to_string(),
        };
        let remedy = match self {
            Self::Firewall(_) => Some(Remedy::say(
                "Run Terraform in a network that the vault lets in, let this machine in (`network_acls { ip_rules = […] }`), or allow the identity \
                 that runs Terraform to read the vault and its keys through Resource Manager, which the firewall does not stop (role Reader).",
            )),
            Self::Malformed(_) => Some(Remedy::say(
                "Plan again. If Azure answers like this again, check proxies between this machine and Azure, and report it as a bug of this \
                 provider.",
            )),
            Self::Unreachable(why) => is_not_trusted(why).then(|| Remedy::say(TRUST)),
            _ => None,
        };
        Unreadable {
            permission: None,
            reason,
            remedy,
            is_missing: matches!(self, Self::NotFound(_)),
        }
    }
}

/// What to do about a certificate that is not trusted.
pub const TRUST: &str = "Trust the certificate authority that signs it, such as that of a proxy that inspects TLS: `azure.ca_bundle` of the \
                         provider names a file of certificates (PEM).";

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: an answer of Azure, and the error that it becomes.
    #[test]
    fn refusals_are_understood() {
        let body = |code: &str, inner: &str| {
            format!(
                "{{\"error\":{{\"code\":\"{code}\",\"message\":\"m\",\"innererror\":{{\"code\":\"{inner}\"}}}}}}"
            )
        };
        assert!(matches!(
            AzureError::of(403, &body("Forbidden", "ForbiddenByFirewall")),
            AzureError::Firewall(_)
        ));
        assert!(matches!(
            AzureError::of(403, &body("Forbidden", "ForbiddenByRbac")),
            AzureError::Denied(_)
        ));
        assert!(matches!(
            AzureError::of(400, &body("PrincipalNotFound", "")),
            AzureError::PrincipalNotFound(_)
        ));
        assert!(matches!(
            AzureError::of(409, &body("RoleAssignmentExists", "")),
            AzureError::Conflict { .. }
        ));
        let lines = "{\"error\":{\"code\":\"Forbidden\",\"message\":\"Not authorized.\\r\\nCaller: x\\r\\n\"}}";
        assert_eq!(
            AzureError::of(403, lines).to_string(),
            "Not authorized. Caller: x"
        );
        // What has no code is quoted without one.
        assert_eq!(AzureError::of(400, "nope").to_string(), "nope");
        assert_eq!(AzureError::of(400, &body("Bad", "")).to_string(), "m (Bad)");
        assert!(matches!(
            AzureError::of(502, "<html>"),
            AzureError::Other { status: 502, .. }
        ));
        assert!(matches!(
            AzureError::of_operation("ConcurrentUpdateError", "m"),
            AzureError::Conflict { .. }
        ));
    }
}
