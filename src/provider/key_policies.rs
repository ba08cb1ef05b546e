//! Reading and writing the policy of a key, shared with whoever else writes it.
//!
//! KMS has no compare-and-swap: a put replaces the whole policy. So a write reads, merges, puts, and looks until the new policy
//! is there for good; when it finds somebody else's in its place, it merges again. Nothing is put that equals what is there.

use std::time::Duration;

use tokio::time::Instant;

use super::client::Client;
use super::diagnose;
use super::waiting::{Deadline, Pause, pause};
use crate::clouds::aws::AwsError;
use crate::requirements::aws::GrantingStatement;
use crate::requirements::aws::administration_statement;
use crate::requirements::aws::{edits, still_there};
use crate::vocabulary::KeyArn;
use kms_policy::{Document, StatementChange, Verdict, describe, difference, lockout};
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::duration::spell;
use tfplugin::resource::Context;

/// How many reads in a row have to show the new policy: over a second and a half, which is longer than another writer has
/// between its read and its put, so that a policy that was put over ours is seen.
const READS_IN_A_ROW: u32 = 5;
/// Above this, our own put may have come after another writer had stopped looking.
const SLOW_PUT: Duration = Duration::from_secs(1);
/// The pauses between reads.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// The key's policy, read and understood.
async fn live(client: &Client, key: &KeyArn) -> Result<Document, Diagnostics> {
    let text = client.aws().policy(key).await.map_err(|error| {
        diagnose::aws("The key policy could not be read", key, &error).on("aws.key_arn")
    })?;
    understood(&text, key)
}

/// A policy's text, understood.
///
/// # Errors
/// When it is no key policy.
pub fn understood(text: &str, key: &KeyArn) -> Result<Document, Diagnostics> {
    Document::parse(text).map_err(|error| {
        Diagnostic::error(
            "The key policy cannot be read",
            format!(
                "The policy of {key} is not a valid key policy: {error}.\n\nStatements can only be added to a policy that can be read. Correct \
                 it at that place, and plan again."
            ),
        )
        .on("aws.key_arn")
        .into()
    })
}

/// The policy with our statements, or why it cannot have them.
pub fn merged(
    live: &Document,
    wanted: &[GrantingStatement],
    previous: &[String],
    key: &KeyArn,
) -> Result<Document, Diagnostics> {
    let bug = |error: kms_policy::PolicyError| {
        Diagnostics::from(Diagnostic::bug(format!(
            "A statement is malformed: {error}."
        )))
    };
    let edits = edits(live, wanted, previous).map_err(bug)?;
    let merged = live.edited(&edits).map_err(|_| {
        Diagnostic::error(
            "The key policy would be left without a statement",
            format!(
                "Every statement of the policy of {key} belongs to this resource, and a key without any statement can be used and \
                 changed by nobody.\n\nAdd the statement that lets the key's own account administer it, and try again:\n\n{}",
                admin_statement(key)
            ),
        )
    })?;
    merged.check_limits().map_err(|error| {
        Diagnostic::error(
            "KMS would refuse the key policy",
            format!("With the statements for Databricks, {}.\n\nShorten other statements of the policy of {key}, for example by merging those with the same principals.", error.message),
        )
        .on("aws.key_arn")
    })?;
    Ok(merged)
}

fn admin_statement(key: &KeyArn) -> String {
    administration_statement(key.partition().name(), key.account())
}

/// Refuses a policy that would lock its writer out. AWS does the same, without saying who is missing.
pub async fn refuse_lockout(
    client: &Client,
    policy: &Document,
    key: &KeyArn,
) -> Result<(), Diagnostics> {
    let caller = match client.aws().caller(key).await {
        Ok(caller) => caller,
        // Who asks could not be found out; AWS's own check has the last word.
        Err(error) => {
            tracing::debug!(%error, "the caller could not be found out; leaving the lockout check to KMS");
            return Ok(());
        }
    };
    let found = lockout(policy, &key.arn(), &caller);
    if !found.is_certain() {
        return Ok(());
    }
    let why = match found.caller.verdict {
        Verdict::DeniedExplicitly => {
            let labels = found
                .caller
                .statements
                .iter()
                .filter_map(|i| policy.statements.get(*i).map(|s| s.label(*i)));
            format!(
                "{} denies kms:PutKeyPolicy to it",
                labels.collect::<Vec<_>>().join(" and ")
            )
        }
        _ => "no statement allows it to call kms:PutKeyPolicy".to_owned(),
    };
    Err(Diagnostic::error(
        "The key policy would lock you out",
        format!(
            "Terraform runs as {caller}. With the new policy of {key}, {why}: nobody here could change the policy again, and KMS refuses \
             such a policy.\n\nAdd the statement that lets the key's own account administer it, then apply again:\n\n{}",
            admin_statement(key)
        ),
    )
    .on("aws.key_arn")
    .into())
}

/// What is to be written.
#[derive(Debug)]
pub struct Write<'a> {
    /// The key.
    pub key: &'a KeyArn,
    /// The statements that have to be there.
    pub wanted: &'a [GrantingStatement],
    /// The statements that were ours so far.
    pub previous: &'a [String],
    /// The policy that the plan was based on, if it was known.
    pub base: Option<&'a str>,
    /// When it has to be done.
    pub deadline: Deadline,
}

/// Puts the statements into the key's policy, and waits until they are there for good.
///
/// # Errors
/// When KMS refuses, when the policy would lock its writer out, or when somebody else changed our statements since the plan.
pub async fn write(cx: &Context<Client>, write: &Write<'_>) -> Result<Document, Diagnostics> {
    let (client, key) = (cx.client(), write.key);
    let _alone = client.lock_policy(key).await;
    // Who calls is found out before the policy is read: between the read and the put lies nothing that takes time.
    let _ = client.aws().caller(key).await;
    let failed = |error: &AwsError| {
        Diagnostics::from(
            diagnose::aws("The key policy could not be changed", key, error).on("aws.key_arn"),
        )
    };
    let (mut wait, mut first) = (Duration::from_millis(500), true);
    loop {
        let started = Instant::now();
        let before = live(client, key).await?;
        if std::mem::take(&mut first) {
            refuse_foreign_change(write, &before)?;
        }
        let after = merged(&before, write.wanted, write.previous, key)?;
        if after.means_the_same_as(&before) {
            return Ok(before);
        }
        refuse_lockout(client, &after, key).await?;
        match client.aws().put_policy(key, after.text()).await {
            Ok(()) => {
                client.forget(key);
                if started.elapsed() > SLOW_PUT {
                    cx.warn(slow_put(key, started.elapsed()));
                }
                match shown(cx, key, &before, &after, write.deadline).await? {
                    Some(found) => return Ok(found),
                    None => {
                        tracing::warn!(%key, "somebody else put another policy over ours; merging again")
                    }
                }
            }
            // A role that was just created is unknown to KMS for some seconds. By then the policy may be another one, so it is
            // read again.
            Err(error) if error.is_invalid_principal() && !write.deadline.has_passed() => {
                tracing::info!(%key, "KMS does not know a principal of the policy yet; trying again");
                if pause(wait, cx.stop()).await == Pause::Stopped {
                    return Err(failed(&error));
                }
                wait = (wait * 2).min(PAUSES.1);
            }
            Err(error) if error.is_invalid_principal() => {
                return Err(unknown_principal(key, write.wanted, &error));
            }
            Err(error) => return Err(failed(&error)),
        }
    }
}

/// KMS has no compare-and-swap, so between a read and a slow put somebody else's statements may have come and gone.
fn slow_put(key: &KeyArn, took: Duration) -> Diagnostic {
    Diagnostic::warning(
        "Putting the key policy took long",
        format!(
            "Between reading the policy of {key} and putting the new one lay {}. If somebody else wrote it in that time, their statements \
             were overwritten: KMS has no way to prevent it, or to show it. If others write this policy, plan their configurations again; \
             what is missing shows there.",
            spell(took)
        ),
    )
    .on("aws.key_arn")
}

/// Stops when somebody else changed our own statements since the plan: what the reviewer saw is not what would happen. A change
/// of other statements is merged with.
fn refuse_foreign_change(write: &Write<'_>, now: &Document) -> Result<(), Diagnostics> {
    let Some(text) = write.base else {
        return Ok(());
    };
    let base = understood(text, write.key)?;
    // What cannot be told apart counts as ours.
    let is_ours = |index: &usize| {
        let text = base
            .statements
            .get(*index)
            .map(|statement| base.statement_text(statement).to_owned());
        let alone = text.and_then(|text| crate::requirements::aws::document_of(&[text]).ok());
        alone.is_none_or(|alone| {
            still_there(&alone, write.previous).is_ok_and(|there| !there.is_empty())
        })
    };
    let touched = difference(&base, now).iter().any(|change| match change {
        StatementChange::Removed(index) | StatementChange::Changed { before: index, .. } => {
            is_ours(index)
        }
        StatementChange::Added(_) => false,
    });
    if !touched {
        return Ok(());
    }
    Err(Diagnostic::error(
        "Somebody else changed the statements for Databricks since the plan",
        format!(
            "The policy of {} is not the one that this plan was made from:\n\n  {}\n\nNothing was changed. Plan again, and look at what it \
             says now; the AWS CloudTrail event PutKeyPolicy shows who did it.",
            write.key,
            describe(&base, now).join("\n  ")
        ),
    )
    .on("aws.key_arn")
    .into())
}

fn unknown_principal(key: &KeyArn, wanted: &[GrantingStatement], error: &AwsError) -> Diagnostics {
    let principals: Vec<String> = wanted
        .iter()
        .map(|grant| format!("  - {}", grant.user.principal()))
        .collect();
    Diagnostic::error(
        "A principal of the key policy does not exist",
        format!(
            "KMS refuses the policy of {key} because it names a role or account that AWS does not know. AWS says: \"{error}\".\n\nThis \
             resource adds statements for:\n{}\n\nCheck that the cross-account role exists and that its ARN is right; principals that show \
             as AROA… or AIDA… in the present policy were deleted and have to be removed from it.",
            principals.join("\n")
        ),
    )
    .on("aws.cross_account_role_arn")
    .into()
}

/// Reads until the policy is there several times in a row; a read right after a write may still show the old one. `None` when
/// a third policy is there: somebody else's.
async fn shown(
    cx: &Context<Client>,
    key: &KeyArn,
    before: &Document,
    after: &Document,
    deadline: Deadline,
) -> Result<Option<Document>, Diagnostics> {
    let (mut ours, mut foreign, mut wait) = (0, 0, PAUSES.0);
    loop {
        let found = live(cx.client(), key).await?;
        (ours, foreign) = if found.means_the_same_as(after) {
            (ours + 1, 0)
        } else if found.means_the_same_as(before) {
            (0, 0)
        } else {
            (0, foreign + 1)
        };
        if ours >= READS_IN_A_ROW {
            return Ok(Some(found));
        }
        if foreign >= 2 {
            return Ok(None);
        }
        let end = if deadline.has_passed() {
            Some(format!(
                "within {} no read showed it for good",
                spell(deadline.length())
            ))
        } else {
            let stopped = pause(wait, cx.stop()).await == Pause::Stopped;
            // It shows; that it stays is what the user does not want to wait for.
            if stopped && ours > 0 {
                return Ok(Some(found));
            }
            stopped.then(|| "the run was interrupted before a read showed it".to_owned())
        };
        if let Some(end) = end {
            return Err(Diagnostic::error(
                "The key policy was put but does not show yet",
                format!(
                    "KMS accepted the new policy of {key}, but {end}. Either KMS is slow, or somebody else changes the policy at the same \
                     time.\n\nPlan again: if the statements are there by then, the plan is empty. `timeouts` gives it more time."
                ),
            )
            .on("aws.key_arn")
            .into());
        }
        wait = (wait * 2).min(PAUSES.1);
    }
}
