//! What Google Cloud refuses, for the user.

use super::{of_status, says};
use crate::clouds::gcp::GcpError;
use crate::vocabulary::gcp::CryptoKeyName;
use tfplugin::diagnostics::Diagnostic;

/// Why Google Cloud did not do something to a key. `summary` says what was wanted.
pub fn gcp(summary: &str, key: &CryptoKeyName, error: &GcpError) -> Diagnostic {
    let detail = match error {
        GcpError::Denied(message) => format!(
            "Google Cloud refuses, or there is no such key: it answers the same for both.{}\n\nCheck the name \
             {key}. Then allow the identity that runs Terraform to administer the key:\n\n  gcloud kms keys add-iam-policy-binding {} \
             --project {} --location {} --keyring {} --member serviceAccount:… --role roles/cloudkms.admin",
            says("Google", message),
            key.key(),
            key.project(),
            key.location(),
            key.ring()
        ),
        GcpError::ApiDisabled(message) => format!(
            "The Cloud KMS API is not enabled in the project {}.{}\n\nEnable it:\n\n  gcloud services enable \
             cloudkms.googleapis.com --project {}",
            key.project(),
            says("Google", message),
            key.project()
        ),
        GcpError::NotFound(message) => format!(
            "Cloud KMS has no key {key}.{}\n\nCheck the name, its project and its location.",
            says("Google", message)
        ),
        GcpError::Conflict(message) => format!(
            "Another writer changed {key} at the same time, at every try.{}\n\nFind the writer in Cloud Audit Logs, and apply again when it is \
             done.",
            says("Google", message)
        ),
        GcpError::Precondition(message) => format!(
            "The state of {key} does not allow this call, or Google does not accept a value.{}\n\nTo see the \
             versions, run:\n\n  gcloud kms keys versions list --key {} --project {} --location {} --keyring {}",
            says("Google", message),
            key.key(),
            key.project(),
            key.location(),
            key.ring()
        ),
        GcpError::NoIdentity
        | GcpError::Impersonation { .. }
        | GcpError::NotAccepted(_)
        | GcpError::Credentials(_) => format!(
            "The provider cannot call Google Cloud: {}.\n\n{}",
            error.to_string().trim_end_matches('.'),
            error.advice().unwrap_or_default()
        ),
        GcpError::Unreachable(reason) => format!(
            "Google Cloud could not be reached: {reason}.\n\nCheck the network, the proxy, and `gcp.endpoints` of the provider."
        ),
        GcpError::Malformed(reason) => format!(
            "Google Cloud answered something that this version cannot read: {reason}.\n\nTry again; if it stays, report it as a bug of \
             this provider."
        ),
        GcpError::Other { status, .. } => {
            format!("Google says: \"{error}\".\n\n{}", of_status(*status))
        }
    };
    Diagnostic::error(summary, detail)
}
