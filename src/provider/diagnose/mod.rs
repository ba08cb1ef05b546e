//! Errors and findings as diagnostics: a summary in the user's terms, then what was found, why it matters, and what to do.
//!
//! What the account API and its credentials say is here; [`aws()`] has what AWS says, [`Reporter`] what the proof finds.

mod aws;
mod azure;
mod gcp;
mod ignored;
mod report;

pub use aws::{aws, aws_call, in_words, missing_profile};
pub use azure::{arm, azure, azure_workspaces};
pub use gcp::gcp;
pub use ignored::{IgnoreFindings, ignore_findings, silenced};
pub use report::{
    Reporter, Stops, as_first_warnings, as_warning, as_warnings, in_hcl, offline, split,
};

use crate::databricks::auth::{AuthType, account_host_of};
use crate::databricks::{AuthError, Error};
use tfplugin::deferral::{Deferral, Reason, Unfinished};
use tfplugin::diagnostics::{Diagnostic, Diagnostics};

/// Who asks, and so where a person writes what is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AskedBy {
    /// Terraform: in the provider block.
    #[default]
    Provider,
    /// A command: in its flags.
    Command,
}

/// Why the account cannot be called at all.
#[derive(Clone, Debug)]
pub enum Unavailable {
    /// The provider block depends on values that are known only after apply.
    NotYetKnown(Vec<&'static str>),
    /// It is not known where or who.
    Auth(AuthError, AskedBy),
    /// It cannot be called from this machine.
    Transport(Error),
}

impl From<Unavailable> for Diagnostics {
    fn from(reason: Unavailable) -> Self {
        unavailable(&reason).into()
    }
}

impl From<Unavailable> for Unfinished {
    fn from(reason: Unavailable) -> Self {
        match reason {
            Unavailable::NotYetKnown(_) => later(reason),
            reason => Self::Failed(reason.into()),
        }
    }
}

/// The advice for a service that limits the rate of requests.
const TOO_MANY: &str =
    "The service limits the rate of requests. Run again later, or with a lower `-parallelism`.";

/// A service's own words as a sentence that follows another one; nothing where it has none.
fn says(who: &str, message: &str) -> String {
    match message.trim() {
        "" => String::new(),
        words => format!(" {who} says: \"{words}\"."),
    }
}

/// What to do about an answer that nothing is known of but its HTTP status.
fn of_status(status: u16) -> &'static str {
    match status {
        429 => TOO_MANY,
        408 | 500..=599 => "The service failed. Run again; the next plan shows the result.",
        _ => {
            "The next plan shows what is there. If the answer stays the same, correct what it names."
        }
    }
}

/// Defers an operation until Terraform knows the provider's own configuration.
pub fn later(otherwise: impl Into<Diagnostics>) -> Unfinished {
    Deferral::new(Reason::ProviderConfigUnknown, otherwise).into()
}

const CREDENTIALS: &str = "provider \"dbxcmk\" {\n  # On Google Cloud https://accounts.gcp.databricks.com, on Azure \
                           https://accounts.azuredatabricks.net.\n  host       = \"https://accounts.cloud.databricks.com\"\n  account_id = \"…\"   # \
                           or DATABRICKS_ACCOUNT_ID\n}\n\nand, in the environment, of a service principal that is an account admin:\n\n  \
                           export DATABRICKS_CLIENT_ID=…\n  export DATABRICKS_CLIENT_SECRET=…";

/// Why the account cannot be called at all, for the user.
pub fn unavailable(reason: &Unavailable) -> Diagnostic {
    match reason {
        Unavailable::NotYetKnown(attributes) => Diagnostic::error(
            "The provider configuration is not known yet",
            format!(
                "These attributes of the provider block are known only after apply: {}. This step needs the Databricks account. \
                 First apply the resources that these values come from (`terraform apply -target=…`), or set the values directly.",
                attributes.join(", ")
            ),
        ),
        Unavailable::Auth(error, AskedBy::Provider) => auth(error),
        Unavailable::Auth(error, AskedBy::Command) => auth_of_command(error),
        Unavailable::Transport(error) => account("The Databricks account cannot be called", error),
    }
}

const FLAGS: &str = "  --host https://accounts.cloud.databricks.com --account-id …\n\nOn Google Cloud, the host is \
                     https://accounts.gcp.databricks.com, on Azure https://accounts.azuredatabricks.net. And in the environment, of a service \
                     principal that is an account admin:\n\n  export DATABRICKS_CLIENT_ID=…\n  export DATABRICKS_CLIENT_SECRET=…";

/// The same for a person at a command line, where there is no provider block.
fn auth_of_command(error: &AuthError) -> Diagnostic {
    let detail = match error {
        AuthError::NoHost => format!(
            "Give `--host`, set DATABRICKS_HOST, or name a profile with `--databricks-profile`:\n\n{FLAGS}"
        ),
        AuthError::NoAccount => format!(
            "Neither `--account-id` nor DATABRICKS_ACCOUNT_ID nor a profile names the account. The account console shows it under your user \
             name. Give:\n\n{FLAGS}"
        ),
        AuthError::NoCredential => format!(
            "There is no service principal (client ID and secret), no token and no other credential in the environment or a profile. A command \
             takes none of them as a flag, because other users of the machine can read those. Give:\n\n{FLAGS}\n\nThe guide on authentication \
             shows the other methods: a GitHub Actions job, an OIDC token, the login of the Databricks command line."
        ),
        AuthError::Several(methods) => format!(
            "The provider found {methods}. Remove one of them, or choose one with DATABRICKS_AUTH_TYPE. A whole credential in the profile that \
             `--databricks-profile` names wins over the environment."
        ),
        AuthError::Account(reason) => format!(
            "{reason}. Give `--account-id` (or set DATABRICKS_ACCOUNT_ID): the account console shows the ID under your user name."
        ),
        AuthError::NoProfile {
            file,
            profile,
            named_by,
        } => format!(
            "The file {file} has no section [{profile}], which {named_by} names. Name an existing one with `--databricks-profile` (or \
             DATABRICKS_CONFIG_PROFILE)."
        ),
        other => return auth(other),
    };
    auth(error).with_detail(detail)
}

#[expect(clippy::too_many_lines, reason = "a table: what to say of each error")]
fn auth(error: &AuthError) -> Diagnostic {
    let (summary, detail) = match error {
        AuthError::NoHost => (
            "No Databricks account host is configured",
            format!(
                "Set `host` in the provider block, DATABRICKS_HOST, or a profile:\n\n{CREDENTIALS}"
            ),
        ),
        AuthError::NoAccount => (
            "No Databricks account ID is configured",
            format!(
                "Neither `account_id` in the provider block nor DATABRICKS_ACCOUNT_ID nor a profile names the account. The account \
                 console shows it under your user name. Set:\n\n{CREDENTIALS}"
            ),
        ),
        AuthError::NoCredential => (
            "No Databricks credential is configured",
            format!(
                "There is no service principal (client_id and client_secret), no token and no other credential, in the provider block, the \
                 environment or a profile. Set:\n\n{CREDENTIALS}\n\nThe guide on authentication shows the other methods: a GitHub Actions job, \
                 an OIDC token, the login of the Databricks command line."
            ),
        ),
        AuthError::Half(has, lacks) => {
            return Diagnostic::error(
                format!("Incomplete Databricks credential: `{lacks}` is missing"),
                format!(
                    "`{has}` is set and `{lacks}` is not. A service principal needs both: set `{lacks}` (DATABRICKS_{}) as well, or remove \
                     `{has}` (DATABRICKS_{}).",
                    lacks.to_uppercase(),
                    has.to_uppercase()
                ),
            );
        }
        AuthError::Several(methods) => (
            "More than one Databricks credential is configured",
            format!(
                "The provider found {methods}. Remove one of them, or choose one with `auth_type` in the provider block (or \
                 DATABRICKS_AUTH_TYPE). A whole credential in the provider block, or in the `profile` that it names, wins over the \
                 environment."
            ),
        ),
        AuthError::Method(method) => (
            "This Databricks authentication type is not supported",
            format!(
                "`auth_type` (or DATABRICKS_AUTH_TYPE) is `{method}`; this provider knows {}.",
                AuthType::NAMES.join(", ")
            ),
        ),
        AuthError::Incomplete { method, needs } => (
            "The Databricks authentication type lacks a setting",
            format!(
                "`auth_type` (or DATABRICKS_AUTH_TYPE) is `{method}`, and that method needs `{needs}`, which is set neither in the provider \
                 block nor in the environment nor in a profile. Set it, or choose another method."
            ),
        ),
        AuthError::Failed {
            method,
            reason,
            remedy,
        } => (
            "Could not get a Databricks access token",
            format!("The method `{method}` is configured, but {reason}.\n\n{remedy}"),
        ),
        AuthError::WorkspaceHost(host) => (
            "The host is a workspace, not an account",
            format!(
                "`{host}` is the address of a workspace. Keys are managed in the account: use `{}`.{}",
                account_host_of(host),
                if host.contains(".databricks.us") {
                    " (DoD: `https://accounts-dod.cloud.databricks.us`.)"
                } else {
                    ""
                }
            ),
        ),
        AuthError::Insecure(host) => (
            "The account host is not encrypted",
            format!(
                "`{host}` would send credentials in the clear. Use `https://`; plain `http://` is for this machine only (127.0.0.1)."
            ),
        ),
        AuthError::Host(host) => (
            "The account host is not an address",
            format!(
                "`{host}` cannot be read as an address. Write for example `https://accounts.cloud.databricks.com`."
            ),
        ),
        AuthError::Account(reason) => (
            "The Databricks account ID is not valid",
            format!(
                "{reason}. Set `account_id` (or DATABRICKS_ACCOUNT_ID) to the ID that the account console shows under your user name."
            ),
        ),
        AuthError::NoProfile {
            file,
            profile,
            named_by,
        } => (
            "The Databricks profile does not exist",
            format!(
                "The file {file} has no section [{profile}], which {named_by} names. Name an existing one with `profile` (or \
                 DATABRICKS_CONFIG_PROFILE)."
            ),
        ),
        AuthError::File {
            file,
            reason,
            profile: Some((profile, named_by)),
        } => (
            "The Databricks configuration file cannot be read",
            format!(
                "The profile `{profile}`, which {named_by} names, must be in the file {file}: {reason}. Correct the file, name another with \
                 `config_file` (or DATABRICKS_CONFIG_FILE), or remove the name of the profile."
            ),
        ),
        AuthError::File { file, reason, .. } => (
            "The Databricks configuration file cannot be read",
            format!(
                "{file}: {reason}. Correct the file, or name another with `config_file` (or DATABRICKS_CONFIG_FILE)."
            ),
        ),
        AuthError::GoogleKey { file, reason } => (
            "The key of the Google service account cannot be read",
            format!(
                "`google_credentials` (or GOOGLE_CREDENTIALS) is not JSON, so it must be the path of a file. {file}: {reason}. Correct the path, \
                 or set the JSON of the key itself."
            ),
        ),
    };
    Diagnostic::error(summary, detail)
}

fn certificates(named_by: &str, file: &str, reason: &str) -> String {
    format!(
        "The file {file}, which {named_by} names, cannot be used: {reason}. It must contain certificates in PEM form \
         (`-----BEGIN CERTIFICATE-----`)."
    )
}

/// A proxy of the environment that is not an address.
pub fn malformed_proxy(variable: &str, proxy: &str) -> Diagnostic {
    Diagnostic::error(
        "The proxy is not an address",
        format!(
            "The environment variable {variable} is `{proxy}`, so no request can be sent. Set it to the address of the proxy, for example \
             `http://proxy.example.com:3128`, or unset it."
        ),
    )
}

/// A file of certificates that cannot be used.
pub fn unusable_certificates(named_by: &str, error: &Error) -> Diagnostic {
    let detail = match error {
        Error::Certificates { file, reason } => certificates(named_by, file, reason),
        other => other.to_string(),
    };
    Diagnostic::error("The certificates cannot be used", detail)
}

/// Why the account API did not do something. `summary` says what was wanted.
pub fn account(summary: &str, error: &Error) -> Diagnostic {
    let detail = match error {
        Error::Auth(error) => return auth(error),
        Error::Token(error) => {
            let inner = account(summary, error);
            let detail = format!("The provider could not get a Databricks access token, so it did not send the request.\n\n{}", inner.detail);
            return inner.with_detail(detail);
        }
        Error::Certificates { file, reason } => certificates("`http.ca_bundle`", file, reason),
        Error::LoginPage => "The host answered with a login page instead of data: it does not accept the credential, or it is not an account \
                        host. A workspace token does not work for the account. Use a service principal that is an account admin, and \
                        check `host`."
            .to_owned(),
        Error::Malformed(reason) => format!(
            "The provider cannot read the answer: {reason}. If the request was a change, Databricks may have carried it out; the next plan shows \
             the result. If `host` is correct and there is no proxy in between, report this as a bug of this provider.",
            reason = reason.trim_end_matches('.')
        ),
        Error::Transport { reason, may_have_been_taken, .. } => {
            let taken = if *may_have_been_taken {
                " Databricks may have carried out the request; the next plan shows the result."
            } else {
                " Databricks did not receive the request."
            };
            let reason = reason.trim_end_matches('.');
            format!("The Databricks account API could not be used: {reason}.{taken}\n\nCheck the network, the proxy and `host`, and run again.")
        }
        Error::Api(refusal) => {
            let code = refusal.code.as_deref().map(|code| format!(", {code}")).unwrap_or_default();
            let said = format!("Databricks says: \"{}\" (HTTP {}{code}).", refusal.message, refusal.status);
            let advice = match refusal.status {
                400 if refusal.is_google_token_missing() => {
                    "Databricks had no usable Google access token, with which it grants its service account the use of the key. It takes the \
                     identity from the header X-Databricks-GCP-SA-Access-Token, which the methods `oauth-m2m-gcp`, `google-id` and \
                     `google-credentials` send. That identity needs cloudkms.cryptoKeys.getIamPolicy and cloudkms.cryptoKeys.setIamPolicy on \
                     the key.\n\nSet `auth_type = \"oauth-m2m-gcp\"` (with `client_id` and `client_secret`) and give the provider an identity of \
                     Google Cloud: `gcloud auth application-default login`, GOOGLE_CREDENTIALS, or `gcp.impersonate_service_account`, for which \
                     the caller needs roles/iam.serviceAccountTokenCreator. Or set `gcp.manual = true`, and grant the use of the key with \
                     `dbxcmk_key_policy`."
                }
                401 => "Databricks does not accept the credential. Check the client ID and secret (or the token), and that they belong \
                        to this account.",
                _ if refusal.is_feature_missing() => {
                    "The account or the workspace does not have this feature. Customer-managed keys need the Enterprise tier: check \
                     `pricing_tier` of the workspace in the account console. Nothing was changed."
                }
                403 => "This identity is not allowed to do this. Only account admins manage keys: make the service principal an account \
                        admin (account console > User management).",
                404 => "Check `host` and `account_id`: a wrong account answers like a missing object.",
                429 => TOO_MANY,
                500..=599 => "Databricks failed. Run again; the next plan shows the result.",
                409 => "The object is in use, or another change of it is under way. Wait until that is over, and run again.",
                400 => "Databricks checked the request, refused it, and changed nothing. Correct what the message names.",
                _ => "The next plan shows what is there.",
            };
            format!("{said}\n\n{advice}")
        }
    };
    Diagnostic::error(summary, detail)
}

#[cfg(test)]
mod tests;
