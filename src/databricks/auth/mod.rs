//! Where the account is and who we are there: Databricks unified authentication, as far as accounts use it.
//!
//! - [`host`]: account hosts, and what is none.
//! - [`settings`]: every setting by its name, from the attribute, the environment or the profile.
//! - [`method`]: which of the methods is meant, or why that is not clear.
//!
//! Nothing is called from here: how a method comes to a token is the business of [`super::tokens`].

pub mod host;
pub mod method;
pub mod settings;

pub use host::{AccountHost, Site, WorkspaceHost, account_host_of};
pub use method::{AuthType, AzureEnvironment, Credential, SubjectToken};
pub use settings::{Settings, Surroundings};

use crate::vocabulary::AccountId;

/// Why the provider does not know the host or the identity, or why it could not get a token.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum AuthError {
    /// No account host.
    #[error("no account host is configured")]
    NoHost,
    /// The host is none.
    #[error("`{0}` is not the address of a host")]
    Host(String),
    /// A host without TLS that is not this machine.
    #[error("`{0}` would send credentials without encryption")]
    Insecure(String),
    /// A workspace's host.
    #[error("`{0}` is the address of a workspace, not of an account")]
    WorkspaceHost(String),
    /// Neither the configuration nor the environment has an account ID.
    #[error("no account ID is configured")]
    NoAccount,
    /// The account ID is not valid, for this reason.
    #[error("{0}")]
    Account(String),
    /// Neither the configuration nor the environment has a credential.
    #[error("no credential is configured")]
    NoCredential,
    /// Half a credential.
    #[error("`{0}` is configured without `{1}`")]
    Half(&'static str, &'static str),
    /// The chosen method lacks something.
    #[error("the authentication type `{method}` needs `{needs}`")]
    Incomplete {
        /// The method whose settings are incomplete.
        method: AuthType,
        /// What it lacks.
        needs: &'static str,
    },
    /// More than one credential, and nothing says which.
    #[error("more than one authorization method configured: {0}")]
    Several(String),
    /// A method that this provider does not have.
    #[error("the authentication type `{0}` is not supported")]
    Method(String),
    /// The configuration file has no such profile.
    #[error("the file {file} has no profile `{profile}`")]
    NoProfile {
        /// The path of the configuration file.
        file: String,
        /// The name of the profile that is not in it.
        profile: String,
        /// What names the profile.
        named_by: &'static str,
    },
    /// The configuration file cannot be read.
    #[error("the file {file} cannot be read: {reason}")]
    File {
        /// The path of the configuration file.
        file: String,
        /// The reason, in words.
        reason: String,
        /// The profile that it should have, and what names it.
        profile: Option<(String, &'static str)>,
    },
    /// The key of a Google service account cannot be read.
    #[error("the file {file} cannot be read: {reason}")]
    GoogleKey {
        /// The path of the configuration file.
        file: String,
        /// The reason, in words.
        reason: String,
    },
    /// The method is configured, and did not come to a token: a file is missing, a program failed.
    #[error("{method}: {reason}")]
    Failed {
        /// The method that failed.
        method: AuthType,
        /// Why, without secrets.
        reason: String,
        /// What to do about it.
        remedy: String,
    },
}

/// Everything that is needed to call the account API.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The host to which requests go.
    pub host: AccountHost,
    /// The ID of the account in their paths.
    pub account: AccountId,
    /// The credential that signs them.
    pub credential: Credential,
}
