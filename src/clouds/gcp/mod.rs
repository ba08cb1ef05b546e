//! Google Cloud: Cloud KMS and Resource Manager, over plain REST. The official crates would add 32 packages for a handful of calls, and
//! do not read the environment that hashicorp/google has.

mod buckets;
mod errors;
mod http;
mod inventory;
mod kms;
mod policies;
mod tokens;

pub use errors::GcpError;
pub use policies::{Above, IamPolicy};

use std::sync::OnceLock;
use std::time::Duration;

use secrecy::SecretString;

use self::tokens::Tokens;
use crate::network::{Http, client, plain};

/// How Google Cloud is called. What is not set comes from the environment.
#[derive(Clone, Debug, Default)]
pub struct GcpSettings {
    /// A credentials file, or its JSON.
    pub credentials: Option<SecretString>,
    /// A token that the user brings: the provider does not renew it.
    pub access_token: Option<SecretString>,
    /// The email of a service account that the provider impersonates.
    pub impersonate_service_account: Option<String>,
    /// The chain of service accounts to it.
    pub delegates: Vec<String>,
    /// `googleapis.com`, or that of a sovereign cloud.
    pub universe_domain: Option<String>,
    /// Cloud KMS, with its version: `https://cloudkms.googleapis.com/v1/`.
    pub cloudkms: Option<String>,
    /// Cloud KMS Inventory, with its version.
    pub kmsinventory: Option<String>,
    /// IAM, for custom roles and deny policies.
    pub iam: Option<String>,
    /// Cloud Storage, for its service agent.
    pub storage: Option<String>,
    /// IAM credentials, with its version.
    pub iamcredentials: Option<String>,
    /// Resource Manager, with its version (v3).
    pub resourcemanager: Option<String>,
    /// Certificates that are trusted besides those of the system.
    pub certificates: Vec<reqwest::Certificate>,
}

/// An address with exactly one slash at its end, and with the version of the API.
fn endpoint(given: Option<&String>, usual: String, version: &str) -> String {
    match given {
        None => usual,
        Some(given) => {
            let trimmed = given.trim_end_matches('/');
            match trimmed.ends_with(&format!("/{version}")) {
                true => format!("{trimmed}/"),
                false => format!("{trimmed}/{version}/"),
            }
        }
    }
}

impl GcpSettings {
    fn domain(&self) -> &str {
        self.universe_domain.as_deref().unwrap_or("googleapis.com")
    }

    fn endpoint_cloudkms(&self) -> String {
        let usual = format!("https://cloudkms.{}/v1/", self.domain());
        endpoint(self.cloudkms.as_ref(), usual, "v1")
    }

    fn endpoint_kmsinventory(&self) -> String {
        let usual = format!("https://kmsinventory.{}/v1/", self.domain());
        endpoint(self.kmsinventory.as_ref(), usual, "v1")
    }

    /// Without a version: roles are of v1, deny policies of v2.
    fn endpoint_iam(&self) -> String {
        let usual = || format!("https://iam.{}", self.domain());
        let given = self.iam.clone().unwrap_or_else(usual);
        let trimmed = given.trim_end_matches('/');
        let base = trimmed
            .strip_suffix("/v1")
            .or_else(|| trimmed.strip_suffix("/v2"))
            .unwrap_or(trimmed);
        format!("{base}/")
    }

    fn endpoint_iamcredentials(&self) -> String {
        let usual = format!("https://iamcredentials.{}/v1/", self.domain());
        endpoint(self.iamcredentials.as_ref(), usual, "v1")
    }

    fn endpoint_storage(&self) -> String {
        let usual = format!("https://storage.{}/storage/v1/", self.domain());
        match &self.storage {
            None => usual,
            Some(given) => match given.trim_end_matches('/') {
                trimmed if trimmed.ends_with("/storage/v1") => format!("{trimmed}/"),
                trimmed => format!("{trimmed}/storage/v1/"),
            },
        }
    }

    fn endpoint_resourcemanager(&self) -> String {
        let usual = format!("https://cloudresourcemanager.{}/v3/", self.domain());
        endpoint(self.resourcemanager.as_ref(), usual, "v3")
    }
}

struct Connection {
    http: Http,
    tokens: Tokens,
}

/// Google Cloud, as one provider configuration sees it. Nothing is built before it is needed.
pub struct Gcp {
    settings: GcpSettings,
    connection: OnceLock<Result<Connection, GcpError>>,
}

impl Gcp {
    /// A client that has called no service yet.
    pub fn new(settings: GcpSettings) -> Self {
        Self {
            settings,
            connection: OnceLock::new(),
        }
    }

    fn connection(&self) -> Result<&Connection, GcpError> {
        let made = self.connection.get_or_init(|| {
            let http = client(&self.settings.certificates)
                .map_err(|error| GcpError::Unreachable(plain(&error)))?;
            Ok(Connection {
                tokens: Tokens::new(http.clone(), self.settings.clone()),
                http,
            })
        });
        made.as_ref().map_err(Clone::clone)
    }
}

impl Gcp {
    /// An access token of the configured identity, or of a service account that it impersonates, and how long it lives.
    ///
    /// # Errors
    /// When there is none.
    pub async fn access_token_of(
        &self,
        service_account: Option<&str>,
    ) -> Result<(SecretString, Duration), GcpError> {
        self.connection()?.tokens.of(service_account).await
    }

    /// The email of the identity that calls, as far as its credentials name it; `None` for an access token, and for the login of a person.
    ///
    /// # Errors
    /// When there is no identity, or none that Google gives a token.
    pub async fn principal(&self) -> Result<Option<String>, GcpError> {
        let tokens = &self.connection()?.tokens;
        tokens.of(None).await?;
        tokens.principal().await
    }

    /// Where its services are.
    pub fn endpoints(&self) -> Vec<(&'static str, String)> {
        vec![
            ("Cloud KMS", self.settings.endpoint_cloudkms()),
            ("Cloud KMS Inventory", self.settings.endpoint_kmsinventory()),
            ("Resource Manager", self.settings.endpoint_resourcemanager()),
            ("IAM", self.settings.endpoint_iam()),
            ("IAM Credentials", self.settings.endpoint_iamcredentials()),
        ]
    }

    /// An ID token of a service account for an audience, and how long it lives.
    ///
    /// # Errors
    /// When there is none.
    pub async fn id_token_of(
        &self,
        service_account: &str,
        audience: &str,
    ) -> Result<(SecretString, Duration), GcpError> {
        let tokens = &self.connection()?.tokens;
        tokens.identity(service_account, audience).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_have_their_version_once() {
        let of = |given: &str| GcpSettings {
            cloudkms: Some(given.to_owned()),
            ..GcpSettings::default()
        };
        for given in [
            "http://127.0.0.1:1",
            "http://127.0.0.1:1/",
            "http://127.0.0.1:1/v1",
            "http://127.0.0.1:1/v1/",
        ] {
            assert_eq!(of(given).endpoint_cloudkms(), "http://127.0.0.1:1/v1/");
        }
        assert_eq!(
            GcpSettings::default().endpoint_cloudkms(),
            "https://cloudkms.googleapis.com/v1/"
        );
        let sovereign = GcpSettings {
            universe_domain: Some("s3nsapis.fr".to_owned()),
            ..GcpSettings::default()
        };
        assert_eq!(
            sovereign.endpoint_kmsinventory(),
            "https://kmsinventory.s3nsapis.fr/v1/"
        );
    }
}
