//! AWS KMS.

use std::sync::Arc;

use aws_config::{Region, SdkConfig};
use aws_sdk_kms::operation::get_key_last_usage::GetKeyLastUsageOutput;
use aws_sdk_kms::primitives::{DateTime, DateTimeFormat};
use aws_sdk_kms::types::Tag;

use super::Aws;
use super::connection::is_on_this_machine;
use super::errors::{AwsError, unreadable};
use crate::preflight::LastUse;
use crate::preflight::aws::{KeyDescription, KmsGrant};
use crate::vocabulary::KeyState;
use crate::vocabulary::aws::{ArnError, KeyArn};

/// The one policy that a key has.
const POLICY_NAME: &str = "default";

/// A date in RFC 3339; one that has no form there is still a date.
fn shown(date: &DateTime) -> String {
    date.fmt(DateTimeFormat::DateTime)
        .unwrap_or_else(|_| format!("{} seconds after 1970", date.secs()))
}

/// What KMS records of the use of a key. A key that was never used has an empty `KeyLastUsage`, and was tracked for its whole life where
/// tracking begins with its creation. Source: AWS KMS API reference, GetKeyLastUsage.
fn last_use_of(answer: &GetKeyLastUsageOutput) -> LastUse {
    let since = answer.tracking_start_date();
    let usage = answer.key_last_usage();
    let operation = usage.and_then(|usage| usage.operation());
    match (usage.and_then(|usage| usage.timestamp()), since) {
        (Some(at), _) => LastUse::used(
            shown(at),
            operation.map(|operation| operation.as_str().to_owned()),
            since.map(shown),
        )
        .with_event(usage.and_then(|usage| usage.cloud_trail_event_id().map(str::to_owned))),
        (None, Some(since)) if operation.is_none() => {
            let created = answer.key_creation_date();
            LastUse::unused(
                shown(since),
                created.is_some_and(|created| since <= created),
            )
        }
        _ => LastUse::not_known(
            "KMS answered with neither the time of a use nor the start of tracking",
        ),
    }
}

impl Aws {
    /// KMS in the region of a key.
    async fn kms(&self, key: &KeyArn) -> aws_sdk_kms::Client {
        self.kms_of(key.account(), key.region()).await
    }

    /// KMS in a region, with the identity that can read most of the keys of an account.
    async fn kms_of(&self, account: &str, region: &str) -> aws_sdk_kms::Client {
        match self.config_of(account, region).await {
            Some(config) => self.kms_with(Some(account), region, &config).await,
            None => self.kms_in(region).await,
        }
    }

    pub(super) async fn kms_in(&self, region: &str) -> aws_sdk_kms::Client {
        let base = self.connection.base().await;
        self.kms_with(None, region, base).await
    }

    async fn kms_with(
        &self,
        account: Option<&str>,
        region: &str,
        base: &SdkConfig,
    ) -> aws_sdk_kms::Client {
        let mut clients = self.kms.lock().await;
        let make = || {
            let mut config =
                aws_sdk_kms::config::Builder::from(base).region(Region::new(region.to_owned()));
            if let Some(endpoint) = &self.connection.settings.kms_endpoint {
                config = config.endpoint_url(endpoint);
            }
            if is_on_this_machine(self.connection.settings.kms_endpoint.as_deref(), "KMS") {
                config = config.http_client(self.connection.direct());
            }
            aws_sdk_kms::Client::from_conf(config.build())
        };
        clients
            .entry((account.map(str::to_owned), region.to_owned()))
            .or_insert_with(make)
            .clone()
    }

    /// KMS in a region that the user names, or in the usual one.
    async fn kms_anywhere(&self, region: Option<&str>) -> Result<aws_sdk_kms::Client, AwsError> {
        let usual = self
            .connection
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

    /// The ARN of a key that is named by its ID or alias.
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
        let answer =
            answer.map_err(|error| self.connection.understand("kms:DescribeKey", error))?;
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
        let kms = self.kms_anywhere(region).await?;
        self.all_keys(kms).await
    }

    /// Every key of a region that an account has; an ARN that cannot be read says so.
    ///
    /// # Errors
    /// When KMS refuses or cannot be reached.
    pub async fn keys_of(
        &self,
        account: &str,
        region: &str,
    ) -> Result<Vec<Result<KeyArn, ArnError>>, AwsError> {
        let kms = self.kms_of(account, region).await;
        self.all_keys(kms).await
    }

    async fn all_keys(
        &self,
        kms: aws_sdk_kms::Client,
    ) -> Result<Vec<Result<KeyArn, ArnError>>, AwsError> {
        let mut pages = kms.list_keys().into_paginator().items().send();
        let mut keys = Vec::new();
        while let Some(key) = pages.next().await {
            let key = key.map_err(|error| self.connection.understand("kms:ListKeys", error))?;
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
        let answer =
            answer.map_err(|error| self.connection.understand("kms:DescribeKey", error))?;
        let metadata = answer.key_metadata();
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
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
        let answer =
            answer.map_err(|error| self.connection.understand("kms:GetKeyPolicy", error))?;
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
            .map_err(|error| self.connection.understand("kms:PutKeyPolicy", error))
    }

    /// The grants on a key.
    ///
    /// # Errors
    /// When KMS refuses or cannot be reached.
    pub(super) async fn list_grants(&self, key: &KeyArn) -> Result<Vec<KmsGrant>, AwsError> {
        let kms = self.kms(key).await;
        let mut pages = kms
            .list_grants()
            .key_id(key.to_string())
            .into_paginator()
            .items()
            .send();
        let mut grants = Vec::new();
        while let Some(grant) = pages.next().await {
            let grant =
                grant.map_err(|error| self.connection.understand("kms:ListGrants", error))?;
            grants.push(KmsGrant {
                id: grant.grant_id().unwrap_or_default().to_owned(),
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
    pub(super) async fn rotation_status(&self, key: &KeyArn) -> Result<bool, AwsError> {
        let answer = self
            .kms(key)
            .await
            .get_key_rotation_status()
            .key_id(key.to_string())
            .send()
            .await;
        Ok(answer
            .map_err(|error| {
                self.connection
                    .understand("kms:GetKeyRotationStatus", error)
            })?
            .key_rotation_enabled())
    }

    /// The last use of a key, which KMS shows only to the account of the key.
    pub async fn last_use(&self, key: &KeyArn) -> LastUse {
        let answer = self
            .kms(key)
            .await
            .get_key_last_usage()
            .key_id(key.to_string())
            .send()
            .await;
        let understood = |error| self.connection.understand("kms:GetKeyLastUsage", error);
        match answer.map_err(understood) {
            Ok(answer) => last_use_of(&answer),
            Err(error) => {
                let mut why = unreadable(&error);
                if why.permission.is_some() {
                    why.reason
                        .push_str(", which KMS answers only to the account of the key");
                }
                LastUse::unreadable(why)
            }
        }
    }

    /// Disables a key.
    ///
    /// # Errors
    /// When KMS refuses or cannot be reached.
    pub async fn disable(&self, key: &KeyArn) -> Result<(), AwsError> {
        tracing::info!(key = %key, "disabling the key");
        let answer = self
            .kms(key)
            .await
            .disable_key()
            .key_id(key.to_string())
            .send()
            .await;
        answer
            .map(|_| ())
            .map_err(|error| self.connection.understand("kms:DisableKey", error))
    }

    /// Enables a key.
    ///
    /// # Errors
    /// When KMS refuses or cannot be reached.
    pub async fn enable(&self, key: &KeyArn) -> Result<(), AwsError> {
        tracing::info!(key = %key, "enabling the key");
        let answer = self
            .kms(key)
            .await
            .enable_key()
            .key_id(key.to_string())
            .send()
            .await;
        answer
            .map(|_| ())
            .map_err(|error| self.connection.understand("kms:EnableKey", error))
    }

    /// Schedules the deletion of a key in `days` days (7 to 30).
    ///
    /// # Errors
    /// When KMS refuses or cannot be reached.
    pub async fn schedule_deletion(&self, key: &KeyArn, days: u8) -> Result<(), AwsError> {
        tracing::info!(key = %key, days, "scheduling the deletion of the key");
        let answer = self
            .kms(key)
            .await
            .schedule_key_deletion()
            .key_id(key.to_string())
            .pending_window_in_days(i32::from(days))
            .send()
            .await;
        answer
            .map(|_| ())
            .map_err(|error| self.connection.understand("kms:ScheduleKeyDeletion", error))
    }

    /// Cancels the deletion of a key, which leaves it disabled.
    ///
    /// # Errors
    /// When KMS refuses or cannot be reached.
    pub async fn cancel_deletion(&self, key: &KeyArn) -> Result<(), AwsError> {
        tracing::info!(key = %key, "cancelling the deletion of the key");
        let answer = self
            .kms(key)
            .await
            .cancel_key_deletion()
            .key_id(key.to_string())
            .send()
            .await;
        answer
            .map(|_| ())
            .map_err(|error| self.connection.understand("kms:CancelKeyDeletion", error))
    }

    /// The value of a tag of a key.
    ///
    /// # Errors
    /// When KMS refuses or cannot be reached.
    pub async fn tag(&self, key: &KeyArn, name: &str) -> Result<Option<String>, AwsError> {
        let kms = self.kms(key).await;
        let mut tags = kms
            .list_resource_tags()
            .key_id(key.to_string())
            .into_paginator()
            .items()
            .send();
        while let Some(tag) = tags.next().await {
            let tag =
                tag.map_err(|error| self.connection.understand("kms:ListResourceTags", error))?;
            if tag.tag_key() == name {
                return Ok(Some(tag.tag_value().to_owned()));
            }
        }
        Ok(None)
    }

    /// Writes a tag of a key.
    ///
    /// # Errors
    /// When KMS refuses or cannot be reached.
    pub async fn set_tag(&self, key: &KeyArn, name: &str, value: &str) -> Result<(), AwsError> {
        let tag = Tag::builder().tag_key(name).tag_value(value).build();
        let tag = tag.map_err(|error| AwsError::Other {
            code: "InvalidTag".to_owned(),
            message: error.to_string(),
            source: Some(Arc::new(error)),
        })?;
        let answer = self
            .kms(key)
            .await
            .tag_resource()
            .key_id(key.to_string())
            .tags(tag)
            .send()
            .await;
        answer
            .map(|_| ())
            .map_err(|error| self.connection.understand("kms:TagResource", error))
    }

    /// Removes a tag of a key.
    ///
    /// # Errors
    /// When KMS refuses or cannot be reached.
    pub async fn remove_tag(&self, key: &KeyArn, name: &str) -> Result<(), AwsError> {
        let answer = self
            .kms(key)
            .await
            .untag_resource()
            .key_id(key.to_string())
            .tag_keys(name)
            .send()
            .await;
        answer
            .map(|_| ())
            .map_err(|error| self.connection.understand("kms:UntagResource", error))
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_kms::types::{KeyLastUsageData, KeyLastUsageTrackingOperation};

    use super::*;
    use crate::preflight::Standing;

    /// Each row: when the key was created, since when it is tracked, when it was used, and what that says.
    #[test]
    fn an_empty_record_says_never_only_of_a_whole_life() {
        let date = |seconds: Option<i64>| seconds.map(DateTime::from_secs);
        let rows = [
            (Some(9), Some(9), Some(12), Standing::Used),
            (Some(9), None, Some(12), Standing::Used),
            (Some(9), Some(9), None, Standing::NeverUsed),
            (Some(1), Some(9), None, Standing::NotSinceTracked),
            // Without a creation date, it is not known whether the record is whole.
            (None, Some(9), None, Standing::NotSinceTracked),
            (Some(9), None, None, Standing::NotKnown),
        ];
        for (created, since, at, expected) in rows {
            let usage = KeyLastUsageData::builder().set_timestamp(date(at));
            let answer = GetKeyLastUsageOutput::builder()
                .key_last_usage(usage.build())
                .set_tracking_start_date(date(since))
                .set_key_creation_date(date(created))
                .build();
            let read = last_use_of(&answer);
            assert_eq!(read.standing, expected, "{created:?} {since:?} {at:?}");
            assert_eq!(read.at.is_some(), at.is_some());
        }
        // An operation without a time is not an empty record.
        let usage = KeyLastUsageData::builder().operation(KeyLastUsageTrackingOperation::Decrypt);
        let answer = GetKeyLastUsageOutput::builder()
            .key_last_usage(usage.build())
            .tracking_start_date(DateTime::from_secs(9))
            .key_creation_date(DateTime::from_secs(9))
            .build();
        assert_eq!(last_use_of(&answer).standing, Standing::NotKnown);
    }
}
