//! The one place where errors and findings become diagnostics: a summary in the user's terms, then what was found, why it
//! matters, and what to do.

use crate::clouds::aws::{AwsError, credentials_remedy};
use crate::databricks::auth::{AuthType, account_host_of};
use crate::databricks::{AuthError, Error};
use crate::preflight::{self, Finding};
use crate::vocabulary::KeyArn;
use tfplugin::diagnostics::{Diagnostic, Diagnostics, Severity};

/// Why the account cannot be called at all.
#[derive(Clone, Debug)]
pub enum Unavailable {
    /// The provider block depends on values that are known only after apply.
    NotYetKnown(Vec<&'static str>),
    /// It is not known where or who.
    Auth(AuthError),
    /// It cannot be called from this machine.
    Transport(Error),
}

impl From<Unavailable> for Diagnostics {
    fn from(reason: Unavailable) -> Self {
        unavailable(&reason).into()
    }
}

/// A finding of preflight. `softened`: it would have been an error but for `preflight = "warn"`.
pub fn finding(finding: &Finding, softened: bool) -> Diagnostic {
    let note = if softened {
        "\n\nIt does not stop the run because the provider has preflight = \"warn\"."
    } else {
        ""
    };
    let detail = format!(
        "{}\n\n{}\n\n{}{note}\n\n[{}]",
        finding.found, finding.why, finding.remedy, finding.id
    );
    let severity = match finding.severity {
        preflight::Severity::Warning => Severity::Warning,
        preflight::Severity::Error => Severity::Error,
    };
    Diagnostic {
        severity,
        ..Diagnostic::error(finding.summary.clone(), detail)
    }
}

/// A finding that another resource of this run has said in full.
pub fn said_before(finding: &Finding) -> Diagnostic {
    let first = finding.found.split("\n\n").next().unwrap_or_default();
    let detail = format!(
        "{first}\n\nAnother resource of this run shows why it matters and what to do.\n\n[{}]",
        finding.id
    );
    Diagnostic::error(finding.summary.clone(), detail)
}

const CREDENTIALS: &str = "provider \"dbxcmk\" {\n  host       = \"https://accounts.cloud.databricks.com\"\n  account_id = \"…\"   # or \
                           DATABRICKS_ACCOUNT_ID\n}\n\nand, in the environment, of a service principal that is an account admin:\n\n  \
                           export DATABRICKS_CLIENT_ID=…\n  export DATABRICKS_CLIENT_SECRET=…";

/// Why the account cannot be called at all, for the user.
pub fn unavailable(reason: &Unavailable) -> Diagnostic {
    match reason {
        Unavailable::NotYetKnown(attributes) => Diagnostic::error(
            "The provider configuration is not known yet",
            format!(
                "Of the provider block, {} will be known only after apply, and this step needs the Databricks account. Apply what \
                 these values come from first (`terraform apply -target=…`), or set them directly.",
                attributes.join(", ")
            ),
        ),
        Unavailable::Auth(error) => auth(error),
        Unavailable::Transport(error) => account("The Databricks account cannot be called", error),
    }
}

fn auth(error: &AuthError) -> Diagnostic {
    let (summary, detail) = match error {
        AuthError::NoHost => (
            "No Databricks account host is configured",
            format!(
                "Neither `host` in the provider block nor DATABRICKS_HOST nor a profile says where the account is. Set:\n\n{CREDENTIALS}"
            ),
        ),
        AuthError::NoAccount => (
            "No Databricks account id is configured",
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
        AuthError::Half(has, lacks) => (
            "Half a Databricks credential is configured",
            format!(
                "There is a `{has}` but no `{lacks}`. A service principal needs both; set `{lacks}` (DATABRICKS_{}) as well.",
                lacks.to_uppercase()
            ),
        ),
        AuthError::Several(methods) => (
            "More than one Databricks credential is configured",
            format!(
                "Found {methods}, and cannot know which one is meant. Remove one of them, or say which with `auth_type` in the \
                 provider block (or DATABRICKS_AUTH_TYPE). Credentials are looked for in the provider block, the environment and the \
                 profile together."
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
            "The Databricks authentication type lacks something",
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
            "No token could be had for Databricks",
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
            "The Databricks account id is not valid",
            format!("{reason}."),
        ),
        AuthError::NoProfile { file, profile } => (
            "The Databricks profile does not exist",
            format!(
                "The file {file} has no section [{profile}]. Name an existing one with `profile` (or DATABRICKS_CONFIG_PROFILE)."
            ),
        ),
        AuthError::File { file, reason } => (
            "The Databricks configuration file cannot be read",
            format!(
                "{file}: {reason}. Correct the file, or name another with `config_file` (or DATABRICKS_CONFIG_FILE)."
            ),
        ),
    };
    Diagnostic::error(summary, detail)
}

fn certificates(named_by: &str, file: &str, reason: &str) -> String {
    format!(
        "The file {file}, which {named_by} names, cannot be used: {reason}. It has to hold certificates in PEM form \
         (`-----BEGIN CERTIFICATE-----`)."
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
            return Diagnostic { detail: format!("Databricks gave no token, so nothing was sent.\n\n{}", inner.detail), ..inner };
        }
        Error::Certificates { file, reason } => certificates("`http.ca_bundle`", file, reason),
        Error::LoginPage => "The host answered with a login page instead of data: it does not accept the credential, or it is no account \
                             host. A token of a workspace does not work in the account. Use a service principal that is an account \
                             admin, and check `host`."
            .to_owned(),
        Error::Malformed(reason) => format!(
            "The answer cannot be understood: {reason}. Nothing is known to have been changed. If `host` is right and no proxy stands \
             in between, please report this."
        ),
        Error::Transport { reason, may_have_been_taken, .. } => {
            let taken = if *may_have_been_taken {
                " The request may have been taken all the same; the next plan shows what is true."
            } else {
                " The request was not taken."
            };
            format!("The Databricks account API could not be used: {reason}.{taken} Check the network, the proxy and `host`, and run again.")
        }
        Error::Api(refusal) => {
            let code = refusal.code.as_deref().map(|code| format!(", {code}")).unwrap_or_default();
            let said = format!("Databricks says: \"{}\" (HTTP {}{code}).", refusal.message, refusal.status);
            let advice = match refusal.status {
                401 => "The credential is not accepted. Check client id and secret (or the token), and that they belong to this account.",
                403 => "The identity may not do this. Keys are managed by account admins: make the service principal one (account \
                        console > User management).",
                404 => "Check `host` and `account_id`: a wrong account answers like a missing object.",
                429 => "There were too many requests for too long. Run again later, or with a lower `-parallelism`.",
                500..=599 => "This is a failure on Databricks' side. Run again; the next plan shows what is true.",
                _ => "Correct what Databricks complains about, and run again.",
            };
            format!("{said}\n\n{advice}")
        }
    };
    Diagnostic::error(summary, detail)
}

/// Why AWS did not do something. `summary` says what was wanted.
pub fn aws(summary: &str, key: &KeyArn, error: &AwsError) -> Diagnostic {
    let detail = match error {
        AwsError::AccessDenied {
            permission,
            message,
        } => format!(
            "The identity that runs Terraform may not call {permission} on {key}. AWS says: \"{message}\".\n\nAllow it, in the key policy \
             and in the IAM policies of that identity:\n\n{{\n  \"Effect\": \"Allow\",\n  \"Action\": [\"kms:DescribeKey\", \
             \"kms:GetKeyPolicy\", \"kms:PutKeyPolicy\"],\n  \"Resource\": \"{key}\"\n}}"
        ),
        AwsError::NotFound(message) => format!(
            "KMS knows no key {key}. AWS says: \"{message}\".\n\nCheck the ARN, and that the credentials belong to account {}.",
            key.account()
        ),
        AwsError::InvalidState(message) => format!(
            "The state of {key} does not admit it. AWS says: \"{message}\".\n\nSee the state with:\n\n  aws kms describe-key --key-id {} \
             --region {}",
            key.key_id(),
            key.region()
        ),
        AwsError::MalformedPolicy(message) => {
            format!("KMS does not accept the policy of {key}. AWS says: \"{message}\".")
        }
        AwsError::Credentials { reason, profile } => {
            let of = profile
                .as_deref()
                .map(|profile| format!(" (profile `{profile}`)"))
                .unwrap_or_default();
            format!(
                "There are no AWS credentials that can be used{of}: {reason}.\n\n{}",
                credentials_remedy(profile.as_deref())
            )
        }
        AwsError::Unreachable(reason) => {
            format!(
                "AWS could not be reached: {reason}.\n\nCheck the network, the proxy, and `aws.endpoints` of the provider."
            )
        }
        AwsError::Other { code, message } => format!("AWS says: \"{message}\" ({code})."),
    };
    Diagnostic::error(summary, detail)
}
