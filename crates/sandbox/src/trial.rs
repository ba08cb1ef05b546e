//! Trying a key as Databricks would: every call that an attach needs, decided by the key's state and policy.
//!
//! The requests here are complete, with a role name and a context such as AWS sees them: the sandbox plays the service, so
//! it knows what the provider cannot know.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::needs::{ACCOUNT_TAG, DATABRICKS, actions};
use crate::policy::{Call, Caller, Policy};
use crate::{ACCOUNT_ID, AWS_ACCOUNT, Shared, client};

/// Whether Databricks can use a key for a use case, or why not.
///
/// # Errors
/// What AWS would answer to Databricks.
pub async fn try_key(shared: &Arc<Shared>, key_arn: &str, use_case: &str) -> Result<(), String> {
    let (state, policy) = facts(shared, key_arn).await?;
    if state != "Enabled" {
        return Err(format!("KMSInvalidStateException: {key_arn} is {state}."));
    }
    let policy =
        Policy::parse(&policy).map_err(|error| format!("the key policy is malformed: {error}"))?;
    let role = format!("arn:aws:sts::{DATABRICKS}:assumed-role/databricks-control-plane/sandbox");
    for action in actions(use_case) {
        // Not from where the owner of the key asks.
        let call = Call::new(Caller::of(&role), action, key_arn)
            .with("aws:SourceIp", "198.51.100.7")
            .with(ACCOUNT_TAG, ACCOUNT_ID);
        if !policy.allows(&call) {
            return Err(format!(
                "AccessDeniedException: User: {role} is not authorized to perform: {action} on resource: {key_arn}"
            ));
        }
    }
    used(shared, key_arn);
    Ok(())
}

/// Databricks has used the key: KMS records it. What it calls for data that it reads is `Decrypt`.
fn used(shared: &Shared, key_arn: &str) {
    let mut parts = key_arn.split(':');
    let region = parts.nth(3).unwrap_or_default().to_owned();
    let id = key_arn.rsplit('/').next().unwrap_or_default().to_owned();
    let at = doors::clock::now().unix_timestamp();
    let mut world = shared.world();
    world
        .now
        .last_uses
        .insert((region, id), ("Decrypt".to_owned(), at));
}

/// The state and policy of a key, from the sandbox's own KMS or from the KMS that `--kms-endpoint` names.
async fn facts(shared: &Arc<Shared>, key_arn: &str) -> Result<(String, String), String> {
    let mut parts = key_arn.split(':');
    let region = parts.nth(3).unwrap_or_default().to_owned();
    let id = key_arn.rsplit('/').next().unwrap_or_default().to_owned();
    let Some(endpoint) = &shared.options.kms_endpoint else {
        let world = shared.world();
        let is_own = key_arn.split(':').nth(4) == Some(AWS_ACCOUNT);
        let key = world
            .now
            .keys
            .get(&(region, id))
            .filter(|_| is_own)
            .ok_or_else(|| format!("NotFoundException: {key_arn}"))?;
        let state = key
            .metadata
            .get("KeyState")
            .and_then(Json::as_str)
            .unwrap_or_default()
            .to_owned();
        return Ok((state, key.policy.clone()));
    };
    let call = async |operation: &str, body: Json| {
        client::call(shared.http(), endpoint, &region, operation, &body)
            .await
            .map_err(|error| error.to_string())
    };
    let description = call("DescribeKey", json!({ "KeyId": key_arn })).await?;
    let state = description
        .pointer("/KeyMetadata/KeyState")
        .and_then(Json::as_str)
        .unwrap_or("missing")
        .to_owned();
    let policy = call(
        "GetKeyPolicy",
        json!({ "KeyId": key_arn, "PolicyName": "default" }),
    )
    .await?;
    let policy = policy
        .get("Policy")
        .and_then(Json::as_str)
        .unwrap_or_default()
        .to_owned();
    Ok((state, policy))
}
