//! Reading and writing the policy of a key, which other writers change, too.
//!
//! KMS has no compare-and-swap: a put replaces the whole policy. So a write reads, merges, puts, and reads again until the new
//! policy has shown several times in a row; when another writer's policy shows instead, it merges again. It does not put a
//! policy that equals the one that is there.

use std::time::Duration;

use tokio::time::Instant;

use crate::clouds::aws::AwsError;
use crate::provider::client::Client;
use crate::provider::deadline::{Deadline, Pause, pause};
use crate::provider::diagnose;
use crate::provider::keys::AwsKeys;
use crate::provider::settled::{Condition, Next, Rules, Seen, Shows, Watch};
use crate::requirements::aws::{
    GrantingStatement, administration_statement, document_of, edits, still_there,
};
use crate::vocabulary::aws::KeyArn;
use kms_policy::{Document, StatementChange, Verdict, describe, difference, lockout};
use tfplugin::context::Context;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::duration::spell;

/// How many reads in a row must show the new policy: over a second and a half, which is longer than another writer takes
/// between its read and its put, so that the provider sees a policy that replaces ours.
const READS_IN_A_ROW: u32 = 5;
/// After a longer time, another writer may have stopped watching before our put came.
const SLOW_PUT: Duration = Duration::from_secs(1);
/// The shortest and the longest pause between two reads.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Reads the policy of a key, and parses it.
async fn live(keys: &AwsKeys, key: &KeyArn) -> Result<Document, Diagnostics> {
    let text = keys.cloud().policy(key).await.map_err(|error| {
        diagnose::aws("The key policy could not be read", key, &error).on("aws.key_arn")
    })?;
    understood(&text, key)
}

/// Parses the text of a policy.
///
/// # Errors
/// When it is not a key policy.
pub(super) fn understood(text: &str, key: &KeyArn) -> Result<Document, Diagnostics> {
    Document::parse(text).map_err(|error| {
        Diagnostic::error(
            "The key policy is not valid",
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
pub(super) fn merged(
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
                "Every statement of the policy of {key} belongs to this resource. Without a statement, nobody can use the key or \
                 change its policy.\n\nAdd the statement that lets the key's own account administer it, then apply again:\n\n{}",
                admin_statement(key)
            ),
        )
    })?;
    merged.check_limits().map_err(|error| {
        Diagnostic::error(
            "KMS would reject the key policy",
            format!("With the statements for Databricks, {}.\n\nShorten other statements of the policy of {key}, for example by merging those with the same principals.", error.message),
        )
        .on("aws.key_arn")
    })?;
    Ok(merged)
}

fn admin_statement(key: &KeyArn) -> String {
    administration_statement(key.partition().name(), key.account())
}

/// Refuses a policy that would lock its writer out. KMS does the same, without the name of the identity.
pub(super) async fn refuse_lockout(
    keys: &AwsKeys,
    policy: &Document,
    key: &KeyArn,
) -> Result<(), Diagnostics> {
    let caller = match keys.cloud().caller(key.region()).await {
        Ok(caller) => caller,
        // The provider does not know its own identity; KMS makes the same check.
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
            "Terraform runs as {caller}. With the new policy of {key}, {why}: this identity could not change the policy \
             again, and KMS rejects such a policy.\n\nAdd the statement that lets the key's own account administer it, then \
             apply again:\n\n{}",
            admin_statement(key)
        ),
    )
    .on("aws.key_arn")
    .into())
}

/// A change of a key's policy.
#[derive(Debug)]
pub(super) struct Write<'a> {
    /// The key whose policy changes.
    pub(super) key: &'a KeyArn,
    /// The statements that the policy must have in the end.
    pub(super) wanted: &'a [GrantingStatement],
    /// The statements that were ours so far.
    pub(super) previous: &'a [String],
    /// The statements among `previous` that the provider removes.
    pub(super) remove: &'a [String],
    /// The policy on which the plan was based, if the plan knew it.
    pub(super) base: Option<&'a str>,
    /// By when the policy must show.
    pub(super) deadline: Deadline,
}

/// Puts the statements into the key's policy, and waits until the policy has shown several times in a row. It holds the lock of the policy,
/// so that other writes of this run wait. `added`: the statements that were not there, even if the write fails afterwards.
///
/// # Errors
/// When KMS refuses, when the policy would lock its writer out, or when another writer changed our statements since the plan.
pub(super) async fn write(
    cx: &Context<Client>,
    write: &Write<'_>,
    added: &mut Vec<String>,
) -> Result<Document, Diagnostics> {
    let (keys, key) = (cx.client().keys().aws(), write.key);
    let _alone = keys.lock_policy(key).await;
    // The provider asks for its identity before it reads the policy, so that nothing slow lies between the read and the put.
    let _ = keys.cloud().caller(key.region()).await;
    let failed = |error: &AwsError| {
        Diagnostics::from(
            diagnose::aws("The key policy could not be changed", key, error).on("aws.key_arn"),
        )
    };
    let (mut wait, mut first) = (Duration::from_millis(500), true);
    loop {
        let started = Instant::now();
        let before = live(keys, key).await?;
        if std::mem::take(&mut first) {
            refuse_foreign_change(write, &before)?;
        }
        let after = merged(&before, write.wanted, write.remove, key)?;
        if after.means_the_same_as(&before) {
            return Ok(before);
        }
        refuse_lockout(keys, &after, key).await?;
        added.extend(missing(&before, write.wanted)?);
        match keys.cloud().put_policy(key, after.text()).await {
            Ok(()) => {
                keys.policy_was_put(key);
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
            // KMS does not know a new role for some seconds. Another writer may change the policy in that time, so the provider reads it again.
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

/// The statements of `wanted` that a policy does not have.
fn missing(live: &Document, wanted: &[GrantingStatement]) -> Result<Vec<String>, Diagnostics> {
    let mut texts: Vec<String> = wanted.iter().map(|one| one.statement.clone()).collect();
    let there = still_there(live, &texts).map_err(|error| Diagnostic::bug(error.to_string()))?;
    texts.retain(|text| !there.contains(text));
    Ok(texts)
}

/// The warning of a slow put: KMS has no compare-and-swap, so it may have overwritten a change that another writer made since the read.
fn slow_put(key: &KeyArn, took: Duration) -> Diagnostic {
    Diagnostic::warning(
        "Another change of the key policy may have been overwritten",
        format!(
            "The provider needed {} between reading the policy of {key} and putting the new one. A change by somebody else \
             in that time was overwritten: KMS cannot prevent that. If others write this policy, plan their configurations \
             again to see what is missing.",
            spell(took)
        ),
    )
    .on("aws.key_arn")
}

/// Stops when another writer changed our own statements since the plan: the apply would not do what the reviewer saw. The
/// provider merges with changes of other statements.
fn refuse_foreign_change(write: &Write<'_>, now: &Document) -> Result<(), Diagnostics> {
    let Some(text) = write.base else {
        return Ok(());
    };
    let base = understood(text, write.key)?;
    // A statement whose owner the provider cannot tell counts as ours.
    let is_ours = |index: &usize| {
        let text = base
            .statements
            .get(*index)
            .map(|statement| base.statement_text(statement).to_owned());
        let alone = text.and_then(|text| document_of(&[text]).ok());
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
            "The policy of {} changed after this plan was made:\n\n  {}\n\nNothing was changed. Plan again to see the \
             present policy. The AWS CloudTrail event PutKeyPolicy shows who changed it.",
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
            "KMS refuses the policy of {key} because it names a role or account that AWS does not know. AWS says: \
             \"{error}\".\n\nThis resource adds statements for:\n{}\n\nCheck that the cross-account role exists and that its \
             ARN is right; principals that show as AROA… or AIDA… in the present policy were deleted; remove them.",
            principals.join("\n")
        ),
    )
    .on("aws.cross_account_role_arn")
    .into()
}

/// Waits until the policy has shown several times in a row; a read right after a write may still show the old one. `None`
/// when another writer's policy shows.
async fn shown(
    cx: &Context<Client>,
    key: &KeyArn,
    before: &Document,
    after: &Document,
    deadline: Deadline,
) -> Result<Option<Document>, Diagnostics> {
    let begun = Instant::now();
    let mut watch = Watch::new(Rules {
        in_a_row: READS_IN_A_ROW,
        undone_after: None,
        kept_after: None,
        replaced_after: Some(2),
        hold: Duration::ZERO,
        deadline: deadline.left(),
        pauses: PAUSES,
    });
    let mut is_there = false;
    loop {
        let found = live(cx.client().keys().aws(), key).await;
        let at = begun.elapsed();
        let next = match &found {
            Ok(found) => {
                let shows = if found.means_the_same_as(after) {
                    Shows::Wanted
                } else if found.means_the_same_as(before) {
                    Shows::Before
                } else {
                    Shows::Another
                };
                is_there = shows == Shows::Wanted;
                let condition = Condition::Ready;
                watch.saw(Seen { shows, condition }, at)
            }
            Err(_) => watch.failed_to_see(at),
        };
        let end = match (next, found) {
            (Next::Done, found) => return found.map(Some),
            (Next::Replaced, _) => return Ok(None),
            (Next::Unseen, Err(errors)) => return Err(errors),
            (Next::Again(wait), found) => match pause(wait, cx.stop()).await {
                Pause::Over => continue,
                // The policy shows; the user only does not want to wait until it is certain that it stays.
                Pause::Stopped if is_there => return found.map(Some),
                Pause::Stopped => "the run was interrupted before a read showed it".to_owned(),
            },
            (_, _) => format!(
                "within {} no read showed it permanently",
                spell(deadline.length())
            ),
        };
        return Err(Diagnostic::error(
            "The key policy was changed but does not show yet",
            format!(
                "KMS accepted the new policy of {key}, but {end}. Either KMS is slow, or somebody else changes the policy at the same \
                 time.\n\nPlan again: if the policy has the statements by then, the plan shows no changes. To wait longer, set `timeouts`."
            ),
        )
        .on("aws.key_arn")
        .into());
    }
}
