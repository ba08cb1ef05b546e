//! What AWS says when it refuses, and what that means for the reader.

use std::sync::Arc;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};

use crate::preflight::Unreadable;

/// Why AWS did not do it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AwsError {
    /// The caller may not.
    #[error("access denied to {permission}: {message}")]
    AccessDenied {
        /// The permission that is missing.
        permission: &'static str,
        /// AWS's own words.
        message: String,
    },
    /// The key does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The key's state does not admit it.
    #[error("{0}")]
    InvalidState(String),
    /// The policy is not accepted.
    #[error("{0}")]
    MalformedPolicy(String),
    /// No credentials, or none that AWS accepts.
    #[error("{reason}")]
    Credentials {
        /// Why, in words.
        reason: String,
        /// The profile that the user named; `None` without one.
        profile: Option<String>,
        /// What the SDK says.
        #[source]
        source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    },
    /// AWS could not be reached.
    #[error("{reason}")]
    Unreachable {
        /// Why, in words.
        reason: String,
        /// What the SDK says.
        #[source]
        source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    },
    /// Any other refusal.
    #[error("{code}: {message}")]
    Other {
        /// AWS's error code.
        code: String,
        /// AWS's own words.
        message: String,
        /// What the SDK says.
        #[source]
        source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    },
}

/// The codes of calls that AWS does not carry out because there are too many. Source: AWS SDK, standard retry mode ("Throttling errors").
const THROTTLED: [&str; 7] = [
    "ThrottlingException",
    "Throttling",
    "ThrottledException",
    "RequestThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "LimitExceededException",
];

impl AwsError {
    /// Whether a principal of the policy does not exist (yet): AWS knows a new role only after some seconds. The code is that of
    /// every malformed policy, so the text decides: "Policy contains a statement with one or more invalid principals". Source:
    /// AWS KMS API reference, PutKeyPolicy, and AWS knowledge center, "MalformedPolicyDocumentException".
    pub fn is_invalid_principal(&self) -> bool {
        matches!(self, Self::MalformedPolicy(message) if message.contains("invalid principal"))
    }

    /// Whether the answer says for sure that KMS did nothing. The state of a key is not such an answer: a call that is repeated finds what its
    /// first try has done.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::AccessDenied { .. } | Self::NotFound(_) | Self::Credentials { .. } => true,
            // A call that is throttled is not carried out.
            Self::Other { code, .. } => THROTTLED.contains(&code.as_str()),
            Self::InvalidState(_) | Self::MalformedPolicy(_) | Self::Unreachable { .. } => false,
        }
    }
}

/// What an error means. `names_profile`: whether the credentials are those of a profile that the configuration names.
pub(super) fn understand<E, R>(
    permission: &'static str,
    error: SdkError<E, R>,
    names_profile: bool,
) -> AwsError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let message = error.message().unwrap_or_default().to_owned();
    match error.code().map(str::to_owned).as_deref() {
        Some("AccessDeniedException" | "AccessDenied") => AwsError::AccessDenied {
            permission,
            message,
        },
        Some("NotFoundException" | "NoSuchEntity" | "NoSuchEntityException") => {
            AwsError::NotFound(message)
        }
        Some("KMSInvalidStateException" | "DisabledException") => AwsError::InvalidState(message),
        Some("MalformedPolicyDocumentException") => AwsError::MalformedPolicy(message),
        Some(
            code @ ("UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "ExpiredTokenException"
            | "ExpiredToken"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"),
        ) => AwsError::Credentials {
            reason: format!("AWS does not accept the credentials ({code}: {message})"),
            profile: None,
            source: Some(Arc::new(error)),
        },
        Some(code) => AwsError::Other {
            code: code.to_owned(),
            message,
            source: Some(Arc::new(error)),
        },
        None => match cause(&error).map(|error| of_credentials(error, names_profile)) {
            Some(reason) => AwsError::Credentials {
                reason,
                profile: None,
                source: Some(Arc::new(error)),
            },
            None => AwsError::Unreachable {
                reason: innermost(&error),
                source: Some(Arc::new(error)),
            },
        },
    }
}

/// A cause of a certain type.
fn cause<'a, T: std::error::Error + 'static>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref() {
            return Some(found);
        }
        next = cause.source();
    }
    None
}

/// Why the provider could not get credentials, without the SDK's own words where ours say it.
pub(super) fn of_credentials(error: &CredentialsError, names_profile: bool) -> String {
    match error {
        CredentialsError::CredentialsNotLoaded(_) if names_profile => {
            "the profile, the container and the instance have none".to_owned()
        }
        CredentialsError::CredentialsNotLoaded(_) => {
            "the environment, the profile, the web identity, the container and the instance have none".to_owned()
        }
        CredentialsError::ProviderTimedOut(_) => "the source of the credentials did not answer in time".to_owned(),
        error => last_cause(error),
    }
}

/// The last cause of an error, which says most, without a period: the sentence goes on behind it.
fn last_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string().trim_end_matches('.').to_owned()
}

/// The chain of causes in one line, without the repetition that the SDK's own texts have.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !parts.contains(&text) {
            parts.push(text);
        }
        next = cause.source();
    }
    if parts.is_empty() {
        error.to_string()
    } else {
        parts.join(": ")
    }
}

/// What helps when there are no credentials, ready to paste.
pub fn credentials_remedy(profile: Option<&str>) -> String {
    match profile {
        Some(profile) => format!(
            "Check the profile, and log in again if it has expired:\n\n  aws sts get-caller-identity --profile {profile}\n  \
             aws sso login --profile {profile}"
        ),
        None => "Configure them as for the AWS command line (environment, profile, role), or in the `aws` block of the provider. \
                 To check them, run:\n\n  aws sts get-caller-identity"
            .to_owned(),
    }
}

pub(super) fn unreadable(error: &AwsError) -> Unreadable {
    let (permission, reason) = match error {
        AwsError::AccessDenied { permission, .. } => {
            (Some(*permission), format!("the identity that runs Terraform is not allowed to call {permission}"))
        }
        AwsError::NotFound(_) => {
            (None, "KMS has no such key in that region and account, or the credentials belong to another account".to_owned())
        }
        AwsError::Credentials { reason, profile, .. } => {
            let of = profile.as_deref().map(|profile| format!(" (profile `{profile}`)")).unwrap_or_default();
            (None, format!("the provider found no usable AWS credentials{of}: {reason}"))
        }
        AwsError::Unreachable { reason, .. } => (None, format!("KMS could not be reached ({reason})")),
        other => (None, other.to_string()),
    };
    let remedy = match error {
        AwsError::Credentials { profile, .. } => {
            Some(credentials_remedy(profile.as_deref()).into())
        }
        _ => None,
    };
    Unreadable {
        permission,
        reason,
        remedy,
        is_missing: false,
    }
}
