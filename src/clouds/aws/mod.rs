//! AWS: KMS, STS and IAM, over the default credential chain.

mod accounts;
mod connection;
mod errors;
mod http;
mod iam;
mod kms;
mod profile;
mod s3;
mod trail;

pub use accounts::{ACCOUNT, Standpoint};
pub use connection::{AssumeRole, AwsSettings};
pub use errors::{AwsError, credentials_remedy};
pub use profile::missing as missing_profile;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use aws_config::Region;
use tokio::sync::{Mutex, OnceCell};

use self::accounts::Elsewhere;
use self::connection::{Connection, in_environment, is_on_this_machine};
use self::errors::unreadable;
use crate::network::Http;
use crate::preflight::aws::{KeyFacts, KmsGrant, PolicySource, RoleKnowledge, Simulation};
use crate::preflight::{Fact, Unreadable};
use crate::vocabulary::aws::KeyArn;
use kms_policy::Caller;

fn fact<T>(outcome: Result<T, AwsError>) -> Fact<T> {
    outcome.map_or_else(|error| Fact::Unreadable(unreadable(&error)), Fact::Known)
}

/// AWS, as one provider configuration sees it.
#[derive(Debug)]
pub struct Aws {
    connection: Connection,
    /// By the account of the role that is taken on, if one is, and the region.
    kms: Mutex<HashMap<(Option<String>, String), aws_sdk_kms::Client>>,
    elsewhere: Elsewhere,
    caller: OnceCell<Caller>,
    s3: OnceLock<Result<Http, AwsError>>,
    paces: trail::Paces,
}

impl Aws {
    /// Nothing is read or called yet.
    pub fn new(settings: AwsSettings) -> Self {
        Self {
            connection: Connection::new(settings),
            kms: Mutex::new(HashMap::new()),
            elsewhere: Elsewhere::default(),
            caller: OnceCell::new(),
            s3: OnceLock::new(),
            paces: trail::Paces::default(),
        }
    }

    /// Who calls AWS here, from STS; asked once.
    ///
    /// # Errors
    /// When STS refuses or cannot be reached.
    pub async fn caller(&self, region: &str) -> Result<Caller, AwsError> {
        let caller = self.caller.get_or_try_init(|| async {
            let base = self.connection.base().await;
            let mut config = aws_sdk_sts::config::Builder::from(base);
            if base.region().is_none() {
                config = config.region(Region::new(region.to_owned()));
            }
            if let Some(endpoint) = &self.connection.settings.sts_endpoint {
                config = config.endpoint_url(endpoint);
            }
            if is_on_this_machine(self.connection.settings.sts_endpoint.as_deref(), "STS") {
                config = config.http_client(self.connection.direct());
            }
            let answer = aws_sdk_sts::Client::from_conf(config.build())
                .get_caller_identity()
                .send()
                .await;
            let answer = answer
                .map_err(|error| self.connection.understand("sts:GetCallerIdentity", error))?;
            let arn = answer.arn().unwrap_or_default();
            Caller::parse(arn).map_err(|error| AwsError::Other {
                source: Some(Arc::new(error)),
                code: "GetCallerIdentity".to_owned(),
                message: format!("`{arn}` is not an identity"),
            })
        });
        caller.await.cloned()
    }

    /// Where its services are, for keys of a region.
    pub async fn endpoints(&self, region: &str) -> Vec<(&'static str, String)> {
        let settings = &self.connection.settings;
        let base = self.connection.base().await;
        let region = base.region().map_or(region, AsRef::as_ref);
        let domain = match region.starts_with("cn-") {
            true => "amazonaws.com.cn",
            false => "amazonaws.com",
        };
        let rows = [
            (
                "KMS",
                &settings.kms_endpoint,
                format!("https://kms.{region}.{domain}"),
            ),
            (
                "STS",
                &settings.sts_endpoint,
                format!("https://sts.{region}.{domain}"),
            ),
            (
                "IAM",
                &settings.iam_endpoint,
                format!("https://iam.{domain}"),
            ),
        ];
        rows.into_iter()
            .map(|(name, own, usual)| {
                let own = own.clone().or_else(|| in_environment(name));
                (name, own.unwrap_or(usual))
            })
            .collect()
    }

    /// The grants on a key, read now.
    pub async fn grants(&self, key: &KeyArn) -> Fact<Vec<KmsGrant>> {
        fact(self.list_grants(key).await)
    }

    /// Whether the material of a key is rotated automatically, read now.
    pub async fn rotates(&self, key: &KeyArn) -> Fact<bool> {
        fact(self.rotation_status(key).await)
    }

    /// What preflight wants to know of every key, read now.
    pub async fn facts(&self, key: &KeyArn) -> KeyFacts {
        let (description, policy) = tokio::join!(self.describe(key), self.policy(key));
        // Credentials of another account get the same answer about a key that is there.
        let is_missing = matches!(description, Err(AwsError::NotFound(_)))
            && self
                .caller(key.region())
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
            grants: None,
            rotates: None,
            role: RoleKnowledge::NotAsked,
            table_roles: std::collections::BTreeMap::new(),
            may_change_roles: true,
            simulation: Simulation::NotAsked,
        }
    }
}
