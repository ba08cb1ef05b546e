//! Trying a key as Databricks would: every call that an attach needs, decided by the key's state and policy.
//!
//! The requests here are complete, with a role name and a context such as AWS sees them: the sandbox plays the service, so
//! it knows what the provider cannot know.

use std::sync::Arc;

use dbxcmk::requirements::aws::{ACCOUNT_TAG, Deployment, Purpose};
use dbxcmk::vocabulary::UseCase;
use kms_policy::{Caller, Context, Document, Request, Verdict, evaluate};
use serde_json::{Value as Json, json};

use super::{ACCOUNT_ID, Shared};
use crate::kms;

/// Whether Databricks can use a key for something, or why not.
///
/// # Errors
/// What AWS would answer to Databricks.
pub async fn try_key(shared: &Arc<Shared>, key_arn: &str, case: UseCase) -> Result<(), String> {
    let (state, policy) = facts(shared, key_arn).await?;
    if state != "Enabled" {
        return Err(format!("KMSInvalidStateException: {key_arn} is {state}."));
    }
    let policy = Document::parse(&policy)
        .map_err(|error| format!("the key policy is malformed: {error}"))?;
    let purpose = match case {
        UseCase::ManagedServices => Purpose::ManagedServices,
        UseCase::Storage => Purpose::Storage,
    };
    let role = format!(
        "arn:aws:iam::{}:role/databricks-control-plane",
        Deployment::Commercial.account()
    );
    for (action, _) in purpose.needed_actions() {
        let context = Context::closed()
            .with(ACCOUNT_TAG, ACCOUNT_ID)
            .with("aws:PrincipalArn", role.clone())
            .with("aws:PrincipalAccount", Deployment::Commercial.account())
            .with("kms:CallerAccount", Deployment::Commercial.account())
            .with("aws:SourceIp", "203.0.113.7")
            .with("aws:SecureTransport", "true")
            .with(
                "aws:RequestedRegion",
                key_arn.split(':').nth(3).unwrap_or_default(),
            );
        let caller = Caller::parse(&role).map_err(|error| error.to_string())?;
        let request = Request {
            caller,
            action: (*action).to_owned(),
            resource: key_arn.to_owned(),
            context,
        };
        if evaluate(&policy, &request).verdict != Verdict::Allowed {
            return Err(format!(
                "AccessDeniedException: {role} is not authorized to perform {action} on {key_arn}."
            ));
        }
    }
    Ok(())
}

/// The state and policy of a key, from the sandbox's own KMS or from the one that it was told of.
async fn facts(shared: &Arc<Shared>, key_arn: &str) -> Result<(String, String), String> {
    let mut parts = key_arn.split(':');
    let region = parts.nth(3).unwrap_or_default().to_owned();
    let id = key_arn.rsplit('/').next().unwrap_or_default().to_owned();
    let Some(endpoint) = &shared.options.kms_endpoint else {
        let world = shared.world();
        let key = world
            .now
            .keys
            .get(&(region, id))
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
        kms::call(&shared.http, endpoint, &region, operation, &body)
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
