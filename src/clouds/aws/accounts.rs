//! Keys in other accounts: KMS shows the policy and the last use of a key to the identities of its own account alone, so that a role there reads more.
//! Source: AWS KMS API reference, "Cross-account use" of GetKeyPolicy and GetKeyLastUsage.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use tokio::sync::{Mutex, OnceCell};

use super::connection::AssumeRole;
use super::errors::of_credentials;
use super::{Aws, AwsError};
use crate::vocabulary::aws::KeyArn;

/// What stands in the ARN of a role for the account of a key.
pub const ACCOUNT: &str = "{account}";

/// How long the session of a role lasts: longer than reading all keys of an account. It is the most that a role gives that is itself taken on by one.
/// Source: AWS IAM documentation, "Role chaining".
const SESSION: Duration = Duration::from_secs(60 * 60);

/// A role in another account, and what came of taking it on.
#[derive(Clone, Debug)]
struct Taken {
    role: String,
    config: Result<SdkConfig, String>,
}

/// The roles that were taken on, by account.
#[derive(Debug, Default)]
pub(super) struct Elsewhere(Mutex<HashMap<String, Arc<OnceCell<Taken>>>>);

/// From where a key is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standpoint {
    /// From its own account.
    Own,
    /// From another account, and no role is named for that of the key.
    Outside,
    /// From another account, because the role in that of the key could not be taken on.
    Refused {
        /// The ARN of the role.
        role: String,
        /// Why not.
        why: String,
    },
    /// It is not known whose the credentials are.
    NotKnown,
}

impl Aws {
    /// From where a key is read.
    pub async fn standpoint(&self, key: &KeyArn) -> Standpoint {
        let Ok(caller) = self.caller(key.region()).await else {
            return Standpoint::NotKnown;
        };
        if caller.account() == Some(key.account()) {
            return Standpoint::Own;
        }
        match self.taken(key.account(), key.region()).await {
            None => Standpoint::Outside,
            Some(Taken { config: Ok(_), .. }) => Standpoint::Own,
            Some(Taken {
                role,
                config: Err(why),
            }) => Standpoint::Refused { role, why },
        }
    }

    /// The account of the credentials.
    ///
    /// # Errors
    /// When STS refuses or cannot be reached, or answers with an identity of no account.
    pub async fn own_account(&self, region: &str) -> Result<String, AwsError> {
        let caller = self.caller(region).await?;
        let account = caller.account().map(str::to_owned);
        account.ok_or_else(|| AwsError::Other {
            code: "GetCallerIdentity".to_owned(),
            message: format!("`{caller}` is not of an account"),
            source: None,
        })
    }

    /// The configuration of the role that reads the keys of an account, where it is another account and the role was taken on.
    /// The future stands by itself, so that the many calls that begin with it do not grow by it.
    pub(super) fn config_of<'a>(
        &'a self,
        account: &'a str,
        region: &'a str,
    ) -> Pin<Box<dyn Future<Output = Option<SdkConfig>> + Send + 'a>> {
        Box::pin(async move { self.taken(account, region).await?.config.ok() })
    }

    /// The role in an account, taken on once; none where no role is named or the account is that of the credentials.
    async fn taken(&self, account: &str, region: &str) -> Option<Taken> {
        let pattern = self.connection.settings.role_pattern.as_ref()?;
        let caller = self.caller(region).await.ok()?;
        if caller.account() == Some(account) {
            return None;
        }
        let cell = {
            let mut all = self.elsewhere.0.lock().await;
            Arc::clone(all.entry(account.to_owned()).or_default())
        };
        let take = || async {
            let role = AssumeRole {
                role_arn: pattern.replace(ACCOUNT, account),
                duration: Some(SESSION),
                ..AssumeRole::default()
            };
            let config = self.connection.with_role(&role).await;
            Taken {
                role: role.role_arn,
                config: config.map_err(|error| of_credentials(&error, false)),
            }
        };
        Some(cell.get_or_init(take).await.clone())
    }
}
