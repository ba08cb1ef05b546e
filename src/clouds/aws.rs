//! AWS: KMS and STS, over the default credential chain.
//!
//! Nothing is made before it is used: building an AWS client costs milliseconds that a plan without keys must not pay.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::config::SharedHttpClient;
use aws_sdk_kms::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::{DateTime, DateTimeFormat};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{Connector, tls};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Mutex, OnceCell};

use crate::preflight::aws::{KeyDescription, KeyFacts, KmsGrant, PolicySource};
use crate::preflight::{Fact, Unreadable};
use crate::vocabulary::aws::ArnError;
use crate::vocabulary::aws::KeyArn;
use crate::vocabulary::{KeyState, is_loopback};
use kms_policy::Caller;

/// The one policy that a key has.
const POLICY_NAME: &str = "default";

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(5);
/// How long one attempt of a call may take: without a bound, a stalled connection would hold up Terraform for good.
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
    /// Where KMS is, if not where AWS has it.
    pub kms_endpoint: Option<String>,
    /// Where STS is, if not where AWS has it.
    pub sts_endpoint: Option<String>,
}

/// A role to take on.
#[derive(Clone, Debug, Default)]
pub struct AssumeRole {
    /// Which role.
    pub role_arn: String,
    /// The name of the session.
    pub session_name: Option<String>,
    /// The external id that its trust policy asks for.
    pub external_id: Option<String>,
    /// How long the session lasts.
    pub duration: Option<Duration>,
}

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
        /// The profile that was asked for, if one was.
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
    /// Anything else.
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

impl AwsError {
    /// Whether a principal of the policy does not exist (yet): AWS knows a new role only after some seconds. The code is that of
    /// every malformed policy, so the text decides: "Policy contains a statement with one or more invalid principals". Source:
    /// AWS KMS API reference, PutKeyPolicy, and AWS knowledge center, "MalformedPolicyDocumentException".
    pub fn is_invalid_principal(&self) -> bool {
        matches!(self, Self::MalformedPolicy(message) if message.contains("invalid principal"))
    }
}

fn understand<E, R>(permission: &'static str, error: SdkError<E, R>) -> AwsError
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
        Some("NotFoundException") => AwsError::NotFound(message),
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
        None => match cause::<CredentialsError>(&error).map(of_credentials) {
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

/// Why no credentials could be had, without the SDK's own words where ours say it.
fn of_credentials(error: &CredentialsError) -> String {
    match error {
        CredentialsError::CredentialsNotLoaded(_) => {
            "the environment, the profile, the web identity, the container and the instance have none".to_owned()
        }
        CredentialsError::ProviderTimedOut(_) => "the source of the credentials did not answer in time".to_owned(),
        error => last_cause(error),
    }
}

/// The last cause of an error, which says most.
fn last_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
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

/// Whether a service is served by this machine: its endpoint, or the one that the environment has for it, is a loopback address.
fn is_on_this_machine(endpoint: Option<&str>, service: &str) -> bool {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let endpoint = endpoint
        .map(str::to_owned)
        .or_else(|| variable(&format!("AWS_ENDPOINT_URL_{service}")))
        .or_else(|| variable("AWS_ENDPOINT_URL"));
    endpoint
        .and_then(|endpoint| url::Url::parse(&endpoint).ok())
        .is_some_and(|url| is_loopback(&url))
}

/// AWS, as one provider configuration sees it.
#[derive(Debug)]
pub struct Aws {
    settings: AwsSettings,
    base: OnceCell<SdkConfig>,
    kms: Mutex<HashMap<String, aws_sdk_kms::Client>>,
    caller: OnceCell<Caller>,
}

impl Aws {
    /// Nothing is read or called yet.
    pub fn new(settings: AwsSettings) -> Self {
        Self {
            settings,
            base: OnceCell::new(),
            kms: Mutex::new(HashMap::new()),
            caller: OnceCell::new(),
        }
    }

    /// What an error of the SDK means, with the profile that the credentials come from.
    fn understand<E, R>(&self, permission: &'static str, error: SdkError<E, R>) -> AwsError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
    {
        match understand(permission, error) {
            AwsError::Credentials { reason, source, .. } => {
                let variable = || {
                    std::env::var("AWS_PROFILE")
                        .ok()
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

    /// Region, credentials and roles, in the order in which AWS's own tools look for them.
    async fn base(&self) -> &SdkConfig {
        self.base
            .get_or_init(|| async {
                let settings = &self.settings;
                let timeouts = TimeoutConfig::builder()
                    .connect_timeout(CONNECT)
                    .operation_attempt_timeout(ATTEMPT)
                    .build();
                let mut loader =
                    aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts);
                if let Some(client) = self.http_client() {
                    loader = loader.http_client(client);
                }
                if let Some(region) = &settings.region {
                    loader = loader.region(Region::new(region.clone()));
                }
                if let Some(profile) = &settings.profile {
                    loader = loader.profile_name(profile);
                }
                if let (Some(id), Some(secret)) = (&settings.access_key, &settings.secret_key) {
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
                let config = loader.load().await;
                match &settings.assume_role {
                    None => config,
                    Some(role) => self.assume(config, role).await,
                }
            })
            .await
    }

    /// The certificates that were named, if any were. The SDK itself reads no `AWS_CA_BUNDLE`. Whether the file can be used was looked
    /// at when the provider was configured.
    fn trusted(&self) -> Option<tls::TlsContext> {
        let variable = || {
            std::env::var_os("AWS_CA_BUNDLE")
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let file = self.settings.ca_bundle.clone().or_else(variable)?;
        let pem = match std::fs::read(&file) {
            Ok(pem) => pem,
            Err(error) => {
                tracing::error!(file = %file.display(), %error, "the certificates for AWS cannot be read");
                return None;
            }
        };
        let trusted = tls::TrustStore::default()
            .with_native_roots(true)
            .with_pem_certificate(pem);
        tls::TlsContext::builder()
            .with_trust_store(trusted)
            .build()
            .ok()
    }

    /// An HTTP client that trusts the certificates which were named; `None` where the SDK's own does.
    fn http_client(&self) -> Option<SharedHttpClient> {
        let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
        let client = aws_smithy_http_client::Builder::new().tls_provider(provider);
        self.trusted()
            .map(|context| client.tls_context(context).build_https())
    }

    /// An HTTP client without a proxy: what runs on this machine is not asked for through one, whatever the environment says.
    fn direct(&self) -> SharedHttpClient {
        let trusted = self.trusted();
        aws_smithy_http_client::Builder::new().build_with_connector_fn(
            move |settings, components| {
                let mut connector = Connector::builder().proxy_config(ProxyConfig::disabled());
                if let Some(settings) = settings {
                    connector = connector.connector_settings(settings.clone());
                }
                if let Some(sleep) = components.and_then(|components| components.sleep_impl()) {
                    connector = connector.sleep_impl(sleep);
                }
                let connector = connector.tls_provider(tls::Provider::Rustls(
                    tls::rustls_provider::CryptoMode::AwsLc,
                ));
                match trusted.clone() {
                    Some(context) => connector.tls_context(context).build(),
                    None => connector.build(),
                }
            },
        )
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

    /// KMS in the region of a key.
    async fn kms(&self, key: &KeyArn) -> aws_sdk_kms::Client {
        self.kms_in(key.region()).await
    }

    async fn kms_in(&self, region: &str) -> aws_sdk_kms::Client {
        let base = self.base().await;
        let mut clients = self.kms.lock().await;
        let make = || {
            let mut config =
                aws_sdk_kms::config::Builder::from(base).region(Region::new(region.to_owned()));
            if let Some(endpoint) = &self.settings.kms_endpoint {
                config = config.endpoint_url(endpoint);
            }
            if is_on_this_machine(self.settings.kms_endpoint.as_deref(), "KMS") {
                config = config.http_client(self.direct());
            }
            aws_sdk_kms::Client::from_conf(config.build())
        };
        clients
            .entry(region.to_owned())
            .or_insert_with(make)
            .clone()
    }

    /// KMS in a region that somebody names, or in the usual one.
    async fn kms_anywhere(&self, region: Option<&str>) -> Result<aws_sdk_kms::Client, AwsError> {
        let usual = self
            .base()
            .await
            .region()
            .map(|region| region.as_ref().to_owned());
        let region = region.map(str::to_owned).or(usual);
        let region = region.ok_or_else(|| AwsError::Unreachable {
            reason: "no AWS region is configured".to_owned(),
            source: None,
        })?;
        Ok(self.kms_in(&region).await)
    }

    /// The ARN of a key that is named by its id or alias.
    ///
    /// # Errors
    /// When KMS refuses or cannot be reached.
    pub async fn arn_of(&self, key_id: &str, region: Option<&str>) -> Result<KeyArn, AwsError> {
        let answer = self
            .kms_anywhere(region)
            .await?
            .describe_key()
            .key_id(key_id)
            .send()
            .await;
        let answer = answer.map_err(|error| self.understand("kms:DescribeKey", error))?;
        let arn = answer
            .key_metadata()
            .and_then(|key| key.arn())
            .unwrap_or_default();
        arn.parse()
            .map_err(|_| AwsError::NotFound(format!("`{arn}` is not a key ARN")))
    }

    /// Every key of a region; an ARN that cannot be read says so.
    ///
    /// # Errors
    /// When KMS refuses or cannot be reached.
    pub async fn keys(
        &self,
        region: Option<&str>,
    ) -> Result<Vec<Result<KeyArn, ArnError>>, AwsError> {
        let mut pages = self
            .kms_anywhere(region)
            .await?
            .list_keys()
            .into_paginator()
            .items()
            .send();
        let mut keys = Vec::new();
        while let Some(key) = pages.next().await {
            let key = key.map_err(|error| self.understand("kms:ListKeys", error))?;
            keys.push(key.key_arn().unwrap_or_default().parse());
        }
        Ok(keys)
    }

    /// A key as KMS describes it.
    ///
    /// # Errors
    /// When KMS refuses or cannot be reached.
    pub async fn describe(&self, key: &KeyArn) -> Result<KeyDescription, AwsError> {
        let answer = self
            .kms(key)
            .await
            .describe_key()
            .key_id(key.to_string())
            .send()
            .await;
        let answer = answer.map_err(|error| self.understand("kms:DescribeKey", error))?;
        let metadata = answer.key_metadata();
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        // A date that has no form in RFC 3339 is still a date.
        let shown = |date: &DateTime| {
            date.fmt(DateTimeFormat::DateTime)
                .unwrap_or_else(|_| format!("{} seconds after 1970", date.secs()))
        };
        let date = |date: Option<&DateTime>| date.map(shown);
        let replica = metadata
            .and_then(|key| key.multi_region_configuration())
            .filter(|multi| {
                multi
                    .multi_region_key_type()
                    .is_some_and(|kind| kind.as_str() == "REPLICA")
            });
        let primary = replica
            .and_then(|multi| multi.primary_key())
            .and_then(|key| key.arn());
        Ok(KeyDescription {
            state: KeyState::from(
                metadata
                    .and_then(|key| key.key_state())
                    .map(|state| state.as_str())
                    .unwrap_or_default(),
            ),
            usage: text(
                metadata
                    .and_then(|key| key.key_usage())
                    .map(|usage| usage.as_str()),
            ),
            spec: text(
                metadata
                    .and_then(|key| key.key_spec())
                    .map(|spec| spec.as_str()),
            ),
            manager: text(
                metadata
                    .and_then(|key| key.key_manager())
                    .map(|manager| manager.as_str()),
            ),
            deletion_date: date(metadata.and_then(|key| key.deletion_date())),
            material_expires: date(metadata.and_then(|key| key.valid_to())),
            replica_of: replica.map(|_| text(primary)),
        })
    }

    /// The policy of a key, as its text.
    ///
    /// # Errors
    /// When KMS refuses or cannot be reached.
    pub async fn policy(&self, key: &KeyArn) -> Result<String, AwsError> {
        let kms = self.kms(key).await;
        let answer = kms
            .get_key_policy()
            .key_id(key.to_string())
            .policy_name(POLICY_NAME)
            .send()
            .await;
        let answer = answer.map_err(|error| self.understand("kms:GetKeyPolicy", error))?;
        Ok(answer.policy().unwrap_or_default().to_owned())
    }

    /// Puts a policy. AWS's own lockout check is never bypassed.
    ///
    /// # Errors
    /// When KMS refuses or cannot be reached.
    pub async fn put_policy(&self, key: &KeyArn, policy: &str) -> Result<(), AwsError> {
        let kms = self.kms(key).await;
        tracing::info!(key = %key, bytes = policy.len(), "putting the key policy");
        let answer = kms
            .put_key_policy()
            .key_id(key.to_string())
            .policy_name(POLICY_NAME)
            .policy(policy)
            .send()
            .await;
        answer
            .map(|_| ())
            .map_err(|error| self.understand("kms:PutKeyPolicy", error))
    }

    /// Who calls AWS here, from STS; asked once.
    ///
    /// # Errors
    /// When STS refuses or cannot be reached.
    pub async fn caller(&self, key: &KeyArn) -> Result<Caller, AwsError> {
        let caller = self.caller.get_or_try_init(|| async {
            let base = self.base().await;
            let mut config = aws_sdk_sts::config::Builder::from(base);
            if base.region().is_none() {
                config = config.region(Region::new(key.region().to_owned()));
            }
            if let Some(endpoint) = &self.settings.sts_endpoint {
                config = config.endpoint_url(endpoint);
            }
            if is_on_this_machine(self.settings.sts_endpoint.as_deref(), "STS") {
                config = config.http_client(self.direct());
            }
            let answer = aws_sdk_sts::Client::from_conf(config.build())
                .get_caller_identity()
                .send()
                .await;
            let answer = answer.map_err(|error| self.understand("sts:GetCallerIdentity", error))?;
            let arn = answer.arn().unwrap_or_default();
            Caller::parse(arn).map_err(|error| AwsError::Other {
                source: Some(Arc::new(error)),
                code: "GetCallerIdentity".to_owned(),
                message: format!("`{arn}` is not an identity"),
            })
        });
        caller.await.cloned()
    }

    /// The grants on a key.
    ///
    /// # Errors
    /// When KMS refuses or cannot be reached.
    pub async fn grants(&self, key: &KeyArn) -> Result<Vec<KmsGrant>, AwsError> {
        let kms = self.kms(key).await;
        let mut pages = kms
            .list_grants()
            .key_id(key.to_string())
            .into_paginator()
            .items()
            .send();
        let mut grants = Vec::new();
        while let Some(grant) = pages.next().await {
            let grant = grant.map_err(|error| self.understand("kms:ListGrants", error))?;
            grants.push(KmsGrant {
                grantee: grant.grantee_principal().unwrap_or_default().to_owned(),
                operations: grant
                    .operations()
                    .iter()
                    .map(|operation| operation.as_str().to_owned())
                    .collect(),
                constrained: grant.constraints().is_some(),
            });
        }
        Ok(grants)
    }

    /// Whether a key's material is rotated automatically.
    ///
    /// # Errors
    /// When KMS refuses or cannot be reached.
    pub async fn rotates(&self, key: &KeyArn) -> Result<bool, AwsError> {
        let answer = self
            .kms(key)
            .await
            .get_key_rotation_status()
            .key_id(key.to_string())
            .send()
            .await;
        Ok(answer
            .map_err(|error| self.understand("kms:GetKeyRotationStatus", error))?
            .key_rotation_enabled())
    }

    /// Everything that preflight wants to know of a key, read now.
    pub async fn facts(&self, key: &KeyArn) -> KeyFacts {
        let (description, policy, grants, rotates) = tokio::join!(
            self.describe(key),
            self.policy(key),
            self.grants(key),
            self.rotates(key)
        );
        fn fact<T>(outcome: Result<T, AwsError>) -> Fact<T> {
            outcome.map_or_else(|error| Fact::Unreadable(unreadable(&error)), Fact::Known)
        }
        // Credentials of another account get the same answer about a key that is there.
        let is_missing = matches!(description, Err(AwsError::NotFound(_)))
            && self
                .caller(key)
                .await
                .is_ok_and(|caller| caller.account() == Some(key.account()));
        let description = if is_missing {
            Fact::Unreadable(Unreadable {
                permission: None,
                reason: format!(
                    "KMS has no such key, and the AWS credentials belong to its account {}",
                    key.account()
                ),
                remedy: None,
                is_missing,
            })
        } else {
            fact(description)
        };
        KeyFacts {
            arn: key.clone(),
            description,
            policy: fact(policy),
            policy_source: PolicySource::Live,
            grants: fact(grants),
            rotates: fact(rotates),
        }
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

fn unreadable(error: &AwsError) -> Unreadable {
    let (permission, reason) = match error {
        AwsError::AccessDenied { permission, .. } => {
            (Some(*permission), format!("the identity that runs Terraform may not call {permission}"))
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
