//! Keys of any cloud under the kill switch: the one place here that tells the clouds apart.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{KeyOperation, KeyStatus, NotDone, Options, Outcome, aws, azure, gcp};
use crate::clouds::aws::AwsError;
use crate::preflight::NotVisible;
use crate::provider::diagnose;
use crate::provider::keys::Keys;
use crate::vocabulary::{AccountId, Key};
use tfplugin::diagnostics::Diagnostics;

/// How long the provider tries to remove what an order has left on a key.
const TIDYING: Duration = Duration::from_secs(15);

/// A key as it is now, with what the tags of the kill switch say of it.
///
/// # Errors
/// When its cloud refuses or cannot be reached.
pub async fn status(keys: &Keys, key: &Key) -> Result<KeyStatus, Diagnostics> {
    const FAILED: &str = "The key could not be read";
    match key {
        Key::Aws(arn) => {
            let read = aws::status(keys.aws().cloud(), arn).await;
            read.map_err(|error| match error {
                AwsError::NotFound(_) => aws::gone(arn).into(),
                error => diagnose::aws_call(FAILED, arn, &error).into(),
            })
        }
        Key::Gcp(name) => {
            let read = gcp::status(keys.gcp().cloud(), name).await;
            read.map_err(|error| diagnose::gcp(FAILED, name, &error).into())
        }
        Key::Azure(id) => {
            let read = azure::status(keys.azure().cloud(), id).await;
            read.map_err(|error| diagnose::azure(FAILED, id, &error).into())
        }
    }
}

/// Who else may use a key beside this Databricks account, as far as its own access rules say.
pub async fn other_users(keys: &Keys, key: &Key, account: &AccountId) -> Vec<NotVisible> {
    match key {
        Key::Aws(arn) => aws::other_users(keys.aws().cloud(), arn, account).await,
        Key::Gcp(name) => gcp::other_users(keys.gcp().cloud(), name).await,
        Key::Azure(id) => azure::other_users(id),
    }
}

/// Takes a key away, or gives it back.
///
/// # Errors
/// When the provider refuses, fails, or stops half-way: the message says what is true.
pub async fn execute(
    keys: &Keys,
    key: &Key,
    order: KeyOperation,
    options: Options<'_>,
) -> Result<Outcome, NotDone> {
    let outcome = match key {
        Key::Aws(arn) => aws::execute(keys.aws().cloud(), arn, order, options).await,
        Key::Gcp(name) => gcp::execute(keys.gcp().cloud(), name, order, options).await,
        Key::Azure(id) => azure::execute(keys.azure().cloud(), id, order, options).await,
    };
    let outcome = match outcome {
        Err(stopped) => Err(tidied(keys, key, stopped, order, options).await),
        outcome => outcome,
    };
    // An order that stopped half-way has changed the key, too.
    keys.forget(key);
    outcome
}

/// Removes the tag that an unfinished order has left on a key, so that nobody attributes a later disable to this order; the tag stays where the
/// order may still take effect. Returns what it did, in words.
pub async fn tidy(
    keys: &Keys,
    key: &Key,
    order: KeyOperation,
    options: Options<'_>,
) -> Option<String> {
    let has_marked = options.changed.load(Ordering::Relaxed);
    if matches!(order, KeyOperation::Restore { .. }) || !has_marked {
        return None;
    }
    let taking = options.taking.load(Ordering::Relaxed);
    let tidying = async {
        match key {
            Key::Aws(arn) => aws::tidy(keys.aws().cloud(), arn, taking).await,
            Key::Gcp(name) => gcp::tidy(keys.gcp().cloud(), name, taking).await,
            // On Azure, the call that disables the key writes the tag, too.
            Key::Azure(_) => None,
        }
    };
    // The user waits for the error of a service that does not answer, and does not wait for this as well.
    tokio::time::timeout(TIDYING, tidying).await.ok().flatten()
}

async fn tidied(
    keys: &Keys,
    key: &Key,
    stopped: NotDone,
    order: KeyOperation,
    options: Options<'_>,
) -> NotDone {
    let (NotDone::Failed(why) | NotDone::Interrupted(why)) = &stopped else {
        return stopped;
    };
    let Some(tidied) = tidy(keys, key, order, options).await else {
        return stopped;
    };
    let with_it = why.clone().into_iter().map(|one| {
        let detail = format!("{}\n\n{tidied}", one.detail);
        one.with_detail(detail)
    });
    let with_it: Diagnostics = with_it.collect();
    match stopped {
        NotDone::Interrupted(_) => NotDone::Interrupted(with_it),
        _ => NotDone::Failed(with_it),
    }
}
