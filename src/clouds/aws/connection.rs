//! How AWS is reached: credentials, roles, certificates and proxies, in the order in which AWS's own tools look for them.
//!
//! Nothing is made before it is used: building an AWS client costs milliseconds that a plan without keys must not pay.

use std::path::PathBuf;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::config::SharedHttpClient;
use aws_sdk_kms::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Mutex, OnceCell};

use super::errors::{AwsError, of_credentials, understand};
use super::{http, profile};
use crate::vocabulary::is_loopback;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(5);
/// How long one attempt of a call may take: without a bound, a stalled connection would hold up Terraform forever.
const ATTEMPT: Duration = Duration::from_secs(30);

/// What the provider's `aws` block says.
#[derive(Clone, Debug, Default)]
pub struct AwsSettings {
    /// The region for calls that have none of their own; KMS is always called in the key's region.
    pub region: Option<String>,
    /// A profile of the shared configuration.
    pub profile: Option<String>,
    /// An access key, its secret and its session token.
    pub access_key: Option<String>,
    /// The secret of the access key.
    pub secret_key: Option<SecretString>,
    /// The session token of a temporary access key.
    pub token: Option<SecretString>,
    /// A file of certificates (PEM) that are trusted besides those of the system.
    pub ca_bundle: Option<PathBuf>,
    /// A role to take on.
    pub assume_role: Option<AssumeRole>,
    /// The ARN of a role to take on for the keys of other accounts, with `{account}` instead of the account.
    pub role_pattern: Option<String>,
    /// How often a call is tried that AWS throttles or does not carry out; `None` for what AWS's own tools do (three times).
    pub tries: Option<u32>,
    /// Where KMS is, if not where AWS has it.
    pub kms_endpoint: Option<String>,
    /// Where STS is, if not where AWS has it.
    pub sts_endpoint: Option<String>,
    /// Where IAM is, if not where AWS has it.
    pub iam_endpoint: Option<String>,
    /// Where S3 is, if not where AWS has it.
    pub s3_endpoint: Option<String>,
    /// The address of CloudTrail, if it is not that of AWS.
    pub cloudtrail_endpoint: Option<String>,
    /// Whether the IAM policies of cross-account roles are read.
    pub examine_iam: bool,
    /// Whether the proof asks AWS's policy simulator for a second opinion.
    pub simulate: bool,
}

/// A role to take on.
#[derive(Clone, Debug, Default)]
pub struct AssumeRole {
    /// The ARN of the role.
    pub role_arn: String,
    /// The name that CloudTrail shows for the session; `None` for the provider's own.
    pub session_name: Option<String>,
    /// The external ID that its trust policy asks for.
    pub external_id: Option<String>,
    /// How long the session lasts.
    pub duration: Option<Duration>,
}

/// The endpoint that the environment has for a service. Source: AWS SDKs and Tools Reference Guide, "Service-specific endpoints".
pub(super) fn in_environment(service: &str) -> Option<String> {
    let variable =
        |name: &str| doors::environment::variable(name).filter(|value| !value.is_empty());
    variable(&format!("AWS_ENDPOINT_URL_{service}")).or_else(|| variable("AWS_ENDPOINT_URL"))
}

/// Whether a service is served by this machine: its endpoint, or the one that the environment has for it, is a loopback address.
pub(super) fn is_on_this_machine(endpoint: Option<&str>, service: &str) -> bool {
    let endpoint = endpoint
        .map(str::to_owned)
        .or_else(|| in_environment(service));
    endpoint
        .and_then(|endpoint| url::Url::parse(&endpoint).ok())
        .is_some_and(|url| is_loopback(&url))
}

/// AWS, as one provider configuration reaches it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) settings: AwsSettings,
    base: OnceCell<SdkConfig>,
    credentials: Mutex<Option<Credentials>>,
}

impl Connection {
    /// Nothing is read or called yet.
    pub(super) fn new(settings: AwsSettings) -> Self {
        Self {
            settings,
            base: OnceCell::new(),
            credentials: Mutex::default(),
        }
    }

    /// What an error of the SDK means, with the profile that the credentials come from.
    pub(super) fn understand<E, R>(
        &self,
        permission: &'static str,
        error: SdkError<E, R>,
    ) -> AwsError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
    {
        match understand(permission, error, self.settings.profile.is_some()) {
            AwsError::Credentials { reason, source, .. } => {
                let variable = || {
                    doors::environment::variable("AWS_PROFILE")
                        .filter(|profile| !profile.is_empty())
                };
                AwsError::Credentials {
                    reason,
                    source,
                    profile: self.settings.profile.clone().or_else(variable),
                }
            }
            other => other,
        }
    }

    /// The credentials, for a call that no SDK signs. They are kept until shortly before they expire, so that a role is not assumed for each call.
    pub(super) async fn credentials(&self) -> Result<Credentials, AwsError> {
        let mut kept = self.credentials.lock().await;
        let soon = doors::clock::system() + Duration::from_secs(60);
        let lives = |own: &Credentials| own.expiry().is_none_or(|expiry| expiry > soon);
        if let Some(own) = kept.as_ref().filter(|own| lives(own)) {
            return Ok(own.clone());
        }
        let none = |reason: String| AwsError::Credentials {
            reason,
            profile: self.settings.profile.clone(),
            source: None,
        };
        let provider = self.base().await.credentials_provider();
        let provider = provider.ok_or_else(|| none("none are configured".to_owned()))?;
        let own = provider
            .provide_credentials()
            .await
            .map_err(|error| none(of_credentials(&error, self.settings.profile.is_some())))?;
        Ok(kept.insert(own).clone())
    }

    /// Region, credentials and roles, in the order in which AWS's own tools look for them.
    pub(super) async fn base(&self) -> &SdkConfig {
        self.base
            .get_or_init(|| async {
                let settings = &self.settings;
                let timeouts = TimeoutConfig::builder()
                    .connect_timeout(CONNECT)
                    .operation_attempt_timeout(ATTEMPT)
                    .build();
                let mut loader = aws_config::defaults(BehaviorVersion::latest())
                    .timeout_config(timeouts.clone())
                    .time_source(http::Clock)
                    .http_client(self.usual());
                if let Some(region) = &settings.region {
                    loader = loader.region(Region::new(region.clone()));
                }
                if let Some(profile) = &settings.profile {
                    loader = loader.profile_name(profile);
                }
                if let Some(tries) = settings.tries {
                    loader = loader.retry_config(RetryConfig::standard().with_max_attempts(tries));
                }
                let key = settings
                    .access_key
                    .as_ref()
                    .zip(settings.secret_key.as_ref());
                if let Some((id, secret)) = key {
                    let token = settings
                        .token
                        .as_ref()
                        .map(|token| token.expose_secret().to_owned());
                    loader = loader.credentials_provider(Credentials::new(
                        id,
                        secret.expose_secret(),
                        token,
                        None,
                        "provider",
                    ));
                }
                let mut config = loader.load().await;
                // The loader's own chain would begin with the environment.
                if let Some(profile) = settings.profile.as_deref().filter(|_| key.is_none()) {
                    let region = config.region().cloned();
                    let own = profile::credentials(profile, region, self.usual(), timeouts);
                    config = config
                        .to_builder()
                        .credentials_provider(SharedCredentialsProvider::new(own))
                        .build();
                }
                match &settings.assume_role {
                    None => config,
                    Some(role) => self.assume(config, role).await,
                }
            })
            .await
    }

    /// The certificates that the user configured, if any. The SDK itself does not read `AWS_CA_BUNDLE`. The provider checked that it
    /// can use the file when Terraform configured it.
    pub(super) fn certificates(&self) -> Option<Vec<u8>> {
        let variable = || doors::environment::path("AWS_CA_BUNDLE");
        let file = self.settings.ca_bundle.clone().or_else(variable)?;
        match doors::files::read(&file) {
            Ok(pem) => Some(pem),
            Err(error) => {
                tracing::error!(file = %file.display(), %error, "the certificates for AWS cannot be read");
                None
            }
        }
    }

    fn trusted(&self) -> Option<tls::TlsContext> {
        let pem = self.certificates()?;
        let trusted = tls::TrustStore::default()
            .with_native_roots(true)
            .with_pem_certificate(pem);
        tls::TlsContext::builder()
            .with_trust_store(trusted)
            .build()
            .ok()
    }

    /// An HTTP client that goes through the proxy of the environment, if there is one.
    fn usual(&self) -> SharedHttpClient {
        http::client(self.trusted(), ProxyConfig::from_env())
    }

    /// An HTTP client without a proxy: what runs on this machine is not asked for through one, whatever the environment says.
    pub(super) fn direct(&self) -> SharedHttpClient {
        http::client(self.trusted(), ProxyConfig::disabled())
    }

    /// The same with the credentials of another role, which STS gives out now and once.
    ///
    /// # Errors
    /// When STS refuses or cannot be reached.
    pub(super) async fn with_role(&self, role: &AssumeRole) -> Result<SdkConfig, CredentialsError> {
        let config = self.assume(self.base().await.clone(), role).await;
        let Some(provider) = config.credentials_provider() else {
            return Err(CredentialsError::not_loaded("the role has no provider"));
        };
        let credentials = provider.provide_credentials().await?;
        let fixed = SharedCredentialsProvider::new(credentials);
        Ok(config.to_builder().credentials_provider(fixed).build())
    }

    async fn assume(&self, config: SdkConfig, role: &AssumeRole) -> SdkConfig {
        let mut for_sts = config.to_builder();
        if let Some(endpoint) = &self.settings.sts_endpoint {
            for_sts.set_endpoint_url(Some(endpoint.clone()));
        }
        if is_on_this_machine(self.settings.sts_endpoint.as_deref(), "STS") {
            for_sts.set_http_client(Some(self.direct()));
        }
        if config.region().is_none() {
            for_sts.set_region(Some(Region::from_static("us-east-1")));
        }
        let mut provider = AssumeRoleProvider::builder(&role.role_arn)
            .session_name(
                role.session_name
                    .as_deref()
                    .unwrap_or("terraform-provider-dbxcmk"),
            )
            .configure(&for_sts.build());
        if let Some(id) = &role.external_id {
            provider = provider.external_id(id);
        }
        if let Some(duration) = role.duration {
            provider = provider.session_length(duration);
        }
        let provider = provider.build().await;
        config
            .to_builder()
            .credentials_provider(SharedCredentialsProvider::new(provider))
            .build()
    }
}
