//! What Google Cloud says when it refuses, and what that means for the reader.

use serde::Deserialize;

use crate::network::reason_phrase;
use crate::preflight::{Remedy, Unreadable};

/// Why Google Cloud did not do it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GcpError {
    /// The caller may not, or the thing does not exist: Cloud KMS answers the same for both.
    #[error("{0}")]
    Denied(String),
    /// The API is not enabled in the project.
    #[error("{0}")]
    ApiDisabled(String),
    /// It does not exist.
    #[error("{0}")]
    NotFound(String),
    /// Another writer has changed it in the meantime.
    #[error("{0}")]
    Conflict(String),
    /// Its state does not admit it, or an argument is not valid.
    #[error("{0}")]
    Precondition(String),
    /// Nothing says who calls.
    #[error(
        "there is no identity of Google Cloud: the provider block and the environment name none, there is no login of `gcloud auth \
         application-default login`, and no metadata server answers"
    )]
    NoIdentity,
    /// The caller is not allowed to act as a service account.
    #[error("Google Cloud does not let the caller impersonate {account}: {reason}")]
    Impersonation {
        /// The email of the service account.
        account: String,
        /// Google's own words.
        reason: String,
    },
    /// Google does not accept the access token: it has expired, or it is of another system.
    #[error("Google Cloud does not accept the access token, which may have expired: {0}")]
    NotAccepted(String),
    /// Credentials that cannot be used.
    #[error("{0}")]
    Credentials(String),
    /// Google Cloud could not be reached.
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
        /// Google's own words.
        message: String,
    },
}

#[derive(Default, Deserialize)]
struct Body {
    #[serde(default)]
    error: Refusal,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    message: String,
    status: String,
    details: Vec<Detail>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Detail {
    reason: String,
}

impl GcpError {
    /// A refusal by its status and body. Source: Google Cloud APIs, "Errors".
    pub(super) fn of(status: u16, body: &str) -> Self {
        let refusal = serde_json::from_str::<Body>(body).unwrap_or_default().error;
        let message = match (refusal.message.is_empty(), body.trim().is_empty()) {
            (false, _) => refusal.message,
            (true, false) => body.chars().take(200).collect(),
            (true, true) => reason_phrase(status),
        };
        let is_disabled = refusal
            .details
            .iter()
            .any(|detail| detail.reason == "SERVICE_DISABLED");
        match (status, refusal.status.as_str()) {
            (403, _) if is_disabled => Self::ApiDisabled(message),
            (403, _) => Self::Denied(message),
            (401, _) => Self::NotAccepted(message),
            (404, _) => Self::NotFound(message),
            (409 | 412, _) => Self::Conflict(message),
            (400, _) => Self::Precondition(message),
            _ => Self::Other { status, message },
        }
    }

    /// Whether a principal of a policy does not exist (yet): service agents and the workspace's own account exist only after they are
    /// first needed. The code is that of every invalid argument, so the text decides: "Service account X does not exist." Source:
    /// terraform-provider-google issues 7611 and 9969.
    pub fn is_missing_member(&self) -> bool {
        matches!(self, Self::Precondition(message) if message.contains("does not exist"))
    }

    /// Whether what was sent may have been done all the same.
    pub fn may_have_been_done(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Malformed(_) => true,
            Self::Other { status, .. } => *status == 408 || *status >= 500,
            _ => false,
        }
    }

    /// Whether the answer says for sure that Cloud KMS did nothing. The state of a version is not such an answer: a call that is repeated finds
    /// what its first try has done.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Denied(_)
            | Self::ApiDisabled(_)
            | Self::NotFound(_)
            | Self::NoIdentity
            | Self::Impersonation { .. }
            | Self::NotAccepted(_)
            | Self::Credentials(_) => true,
            // What the client did wrong is not carried out, as too many requests (429); 408 says that something took too long.
            Self::Other { status, .. } => (400..500).contains(status) && *status != 408,
            Self::Conflict(_)
            | Self::Precondition(_)
            | Self::Unreachable(_)
            | Self::Malformed(_) => false,
        }
    }

    /// What to do where it is about who calls, and about nothing else.
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::NoIdentity => Some(
                "Give the provider an identity of Google Cloud, by one of these:\n  - `gcloud auth application-default login`\n  - \
                 `gcp.credentials` or GOOGLE_CREDENTIALS: a JSON key, or its file\n  - `gcp.access_token` or GOOGLE_OAUTH_ACCESS_TOKEN\n  - a \
                 machine on Google Cloud with a service account"
                    .to_owned(),
            ),
            Self::Impersonation { account, .. } => Some(format!(
                "Allow the caller to impersonate it:\n\n  gcloud iam service-accounts add-iam-policy-binding {account} --member … --role \
                 roles/iam.serviceAccountTokenCreator"
            )),
            Self::NotAccepted(_) => Some(
                "Get a new access token, and run again. It lives for an hour at most, and the provider cannot renew the one of \
                 `gcp.access_token` or GOOGLE_OAUTH_ACCESS_TOKEN. It renews those that it gets with `gcp.credentials`, GOOGLE_CREDENTIALS or \
                 Application Default Credentials."
                    .to_owned(),
            ),
            Self::Credentials(_) => Some(
                "Correct the credentials: `gcp.credentials`, GOOGLE_CREDENTIALS, or Application Default Credentials (`gcloud auth \
                 application-default login`)."
                    .to_owned(),
            ),
            _ => None,
        }
    }

    /// Whether the organization allows only members of certain domains. Source: the constraint iam.allowedPolicyMemberDomains.
    pub fn is_domain_restricted(&self) -> bool {
        matches!(self, Self::Precondition(message) if message.contains("permitted customer"))
    }
}

/// What makes it readable where no permission is missing.
fn remedy(error: &GcpError) -> Option<Remedy> {
    let text = match error {
        GcpError::Denied(_) | GcpError::NotFound(_) => return None,
        GcpError::ApiDisabled(_) => {
            "Enable the API in the project of the key: `gcloud services enable cloudkms.googleapis.com --project …`.".to_owned()
        }
        GcpError::Unreachable(_) => {
            "Check the network, the proxy, and `gcp.endpoints` of the provider.".to_owned()
        }
        error => error
            .advice()
            .unwrap_or_else(|| "Run again. If it stays, report it as a bug of this provider.".to_owned()),
    };
    Some(Remedy::say(text))
}

pub(super) fn unreadable(permission: &'static str, error: &GcpError) -> Unreadable {
    let reason = match error {
        GcpError::Denied(_) => {
            format!(
                "the identity that runs Terraform is not allowed to call {permission}, or it does not exist"
            )
        }
        GcpError::NotFound(_) => "it does not exist".to_owned(),
        other => other.to_string(),
    };
    Unreadable {
        permission: matches!(error, GcpError::Denied(_)).then_some(permission),
        reason,
        remedy: remedy(error),
        is_missing: matches!(error, GcpError::NotFound(_)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: an answer of Google, and the error that it becomes.
    #[test]
    fn refusals_are_understood() {
        let body = |status: &str, message: &str, reason: &str| {
            format!(
                "{{\"error\":{{\"code\":1,\"message\":\"{message}\",\"status\":\"{status}\",\"details\":[{{\"reason\":\"{reason}\"}}]}}}}"
            )
        };
        let missing = GcpError::of(
            400,
            &body("INVALID_ARGUMENT", "Service account x does not exist.", ""),
        );
        assert!(missing.is_missing_member());
        let domain = GcpError::of(
            400,
            &body(
                "FAILED_PRECONDITION",
                "One or more users named in the policy do not belong to a permitted customer.",
                "",
            ),
        );
        assert!(domain.is_domain_restricted() && !domain.is_missing_member());
        assert!(matches!(
            GcpError::of(
                409,
                &body("ABORTED", "There were concurrent policy changes.", "")
            ),
            GcpError::Conflict(_)
        ));
        assert!(matches!(
            GcpError::of(403, &body("PERMISSION_DENIED", "off", "SERVICE_DISABLED")),
            GcpError::ApiDisabled(_)
        ));
        let expired = GcpError::of(401, &body("UNAUTHENTICATED", "expired", ""));
        let refused = GcpError::Impersonation {
            account: "keys@p.iam.gserviceaccount.com".to_owned(),
            reason: "denied".to_owned(),
        };
        // Each says its own remedy and no other.
        for (error, own) in [
            (expired, "Get a new access token"),
            (
                refused,
                "add-iam-policy-binding keys@p.iam.gserviceaccount.com",
            ),
            (GcpError::NoIdentity, "Give the provider an identity"),
        ] {
            let read = unreadable("cloudkms.cryptoKeys.get", &error);
            let said = read.remedy.map(|remedy| remedy.text(|_| None));
            assert!(
                said.as_ref().is_some_and(|said| said.contains(own)),
                "{said:?}"
            );
            assert_eq!(read.permission, None);
        }
        assert!(matches!(
            GcpError::of(502, "<html>"),
            GcpError::Other { status: 502, .. }
        ));
    }
}
