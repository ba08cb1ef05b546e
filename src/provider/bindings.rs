//! Attaching key configurations to a workspace: sent once, watched until they are there for good, and never taken for true
//! before. It cannot be undone, so whatever goes wrong, the caller learns what the workspace has now.

use std::time::Duration;

use tokio::time::Instant;

use super::client::Client;
use super::diagnose;
use super::waiting::{Deadline, Pause, pause};
use crate::databricks::workspaces::{KeyFields, Workspace};
use crate::databricks::{Account, ApiError, Error};
use crate::plugin::diagnostics::{Diagnostic, Diagnostics};
use crate::plugin::duration::spell;
use crate::plugin::resource::Context;
use crate::vocabulary::{UseCase, WorkspaceId};

/// How many reads in a row have to show the wanted value: a failed update reverts without a word.
const READS_IN_A_ROW: u32 = 3;
/// The pauses between reads.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// The longest pause between two tries while compute runs or another update is under way.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The workspace as it is now.
///
/// # Errors
/// When the API refuses or cannot be reached, or the account has no such workspace.
pub async fn workspace(account: &Account, id: WorkspaceId) -> Result<Workspace, Diagnostics> {
    required(account, id, account.find_workspace(id).await)
}

/// A workspace that has to be there.
///
/// # Errors
/// When it could not be read, or is not there.
pub fn required(account: &Account, id: WorkspaceId, found: Result<Option<Workspace>, Error>) -> Result<Workspace, Diagnostics> {
    let found = found.map_err(|error| diagnose::account("The workspace could not be read", &error).on("workspace_id"))?;
    found.ok_or_else(|| {
        Diagnostic::error(
            "There is no such workspace in this Databricks account",
            format!(
                "The account {} has no workspace {id}. The number stands in the workspace's URL (`?o=…`) and in the account console; a \
                 resource of databricks/databricks has it as `databricks_mws_workspaces.….workspace_id`.\n\nIf the workspace was deleted, \
                 remove this binding from the configuration: there is nothing left to bind. To destroy what is left without doing so, run \
                 `terraform destroy -refresh=false`; otherwise Terraform plans everything once before it destroys.",
                account.id()
            ),
        )
        .on("workspace_id")
        .into()
    })
}

/// What is to be attached.
#[derive(Debug)]
pub struct Attach {
    /// To which workspace.
    pub id: WorkspaceId,
    /// The key configurations that it has to have in the end.
    pub wanted: KeyFields,
    /// When it has to be done.
    pub deadline: Deadline,
    /// How long running compute is waited for.
    pub wait_for_compute: Duration,
}

/// Why it was not attached, and what is true instead.
#[derive(Debug)]
pub struct Failure {
    /// For the user.
    pub diagnostics: Diagnostics,
    /// The workspace as it was seen last.
    pub now: Workspace,
    /// Whether Databricks turned the key down, so that what preflight says about the key now explains it.
    pub is_about_the_key: bool,
}

impl Failure {
    fn new(diagnostics: impl Into<Diagnostics>, now: &Workspace) -> Box<Self> {
        Box::new(Self { diagnostics: diagnostics.into(), now: now.clone(), is_about_the_key: false })
    }

    fn about_the_key(mut self: Box<Self>) -> Box<Self> {
        self.is_about_the_key = true;
        self
    }
}

/// Attaches what is missing, and waits until it is there to stay. Gives the workspace and the fields that were changed.
///
/// # Errors
/// When it could not be attached, with what is true instead.
pub async fn attach(
    cx: &Context<Client>,
    account: &Account,
    before: Workspace,
    attach: &Attach,
) -> Result<(Workspace, KeyFields), Box<Failure>> {
    let (ready, sent) = send(cx, account, before, attach).await?;
    let now = attached_for_good(cx, account, ready, attach).await?;
    Ok((now, sent))
}

/// Reads the workspace again; `last` is what is true as far as anybody knows when that fails.
async fn look(account: &Account, attach: &Attach, last: &Workspace) -> Result<Workspace, Box<Failure>> {
    workspace(account, attach.id).await.map_err(|errors| Failure::new(errors, last))
}

/// Sends the fields that are missing, when the workspace can take them. Gives the fields that it was sent.
async fn send(
    cx: &Context<Client>,
    account: &Account,
    mut now: Workspace,
    attach: &Attach,
) -> Result<(Workspace, KeyFields), Box<Failure>> {
    let compute_deadline = Instant::now() + attach.wait_for_compute;
    let mut wait = Duration::from_secs(1);
    loop {
        let fields = attach.wanted.missing_in(&now);
        if fields.is_empty() {
            return Ok((now, fields));
        }
        // It may be on its way to what is wanted already: a run that was interrupted has sent it.
        let reason = if now.is_changing() {
            format!("the workspace is {}", now.workspace_status)
        } else {
            tracing::info!(workspace = %attach.id, "attaching key configurations");
            let outcome = account.set_keys(attach.id, &fields).await;
            cx.client().reads().forget_workspaces();
            let error = match outcome {
                Ok(()) => return Ok((now, fields)),
                Err(error) => error,
            };
            match error.api() {
                Some(refusal) if refusal.is_conflict() && refusal.after_another => return Ok((now, fields)),
                Some(refusal) if refusal.is_conflict() => "another update of the workspace is under way".to_owned(),
                Some(refusal) if refusal.is_running_compute() && Instant::now() < compute_deadline => {
                    "compute is running in the workspace".to_owned()
                }
                _ => return Err(refused(&error, now, attach)),
            }
        };
        tracing::info!(workspace = %attach.id, reason, "waiting until the workspace can take the keys");
        if attach.deadline.has_passed() {
            return Err(Failure::new(never_ready(&now, attach, &reason), &now));
        }
        if pause(wait, cx.stop()).await == Pause::Stopped {
            return Err(Failure::new(stopped_before(&now), &now));
        }
        wait = (wait * 2).min(LONGEST_WAIT);
        now = look(account, attach, &now).await?;
        if now.has_failed() {
            return Err(Failure::new(not_attached(&now, &Wait::Terminal, attach.deadline), &now));
        }
    }
}

/// Why waiting ended without the wanted value.
enum Wait {
    /// The value was there and went away, or the update ended without it.
    Reverted,
    /// A status that never becomes RUNNING by itself.
    Terminal,
    /// Time is over.
    TimedOut,
    /// Terraform wants to stop.
    Stopped,
}

/// Waits until the workspace is RUNNING and shows the wanted keys several times in a row.
async fn attached_for_good(
    cx: &Context<Client>,
    account: &Account,
    mut now: Workspace,
    attach: &Attach,
) -> Result<Workspace, Box<Failure>> {
    let (started, mut wait) = (Instant::now(), PAUSES.0);
    let (mut in_a_row, mut seen, mut was_busy, mut without, mut unread) = (0_u32, false, false, 0_u32, 0_u32);
    loop {
        now = match workspace(account, attach.id).await {
            Ok(now) => {
                unread = 0;
                now
            }
            // The keys are on their way: one read that fails is no reason to look away.
            Err(errors) if unread + 1 < READS_IN_A_ROW && !attach.deadline.has_passed() => {
                unread += 1;
                tracing::warn!(workspace = %attach.id, unread, error = %joined(&errors), "the workspace could not be read; reading again");
                if pause(wait, cx.stop()).await == Pause::Stopped {
                    return Err(Failure::new(not_attached(&now, &Wait::Stopped, attach.deadline), &now));
                }
                continue;
            }
            Err(errors) => return Err(Failure::new(unwatched(attach, errors), &now)),
        };
        let is_running = now.workspace_status == "RUNNING";
        let is_there = attach.wanted.missing_in(&now).is_empty();
        in_a_row = if is_running && is_there { in_a_row + 1 } else { 0 };
        if in_a_row >= READS_IN_A_ROW {
            return Ok(now);
        }
        seen |= is_there;
        was_busy |= now.is_changing();
        // After it was seen, or after the update came to its end, the old value means that the update was undone.
        without = if is_running && !is_there && (seen || was_busy) { without + 1 } else { 0 };
        let end = if now.has_failed() {
            Some(Wait::Terminal)
        } else if without >= READS_IN_A_ROW {
            Some(Wait::Reverted)
        } else if attach.deadline.has_passed() {
            Some(Wait::TimedOut)
        } else {
            tracing::info!(workspace = %attach.id, status = now.workspace_status, attached = is_there, elapsed = spell(started.elapsed()), "waiting for the workspace");
            (pause(wait, cx.stop()).await == Pause::Stopped).then_some(Wait::Stopped)
        };
        if let Some(end) = end {
            let failure = Failure::new(not_attached(&now, &end, attach.deadline), &now);
            let is_about_the_key = matches!(end, Wait::Reverted | Wait::Terminal);
            return Err(if is_about_the_key { failure.about_the_key() } else { failure });
        }
        wait = (wait * 2).min(PAUSES.1);
    }
}

fn joined(errors: &Diagnostics) -> String {
    errors.iter().map(|error| error.summary.clone()).collect::<Vec<_>>().join("; ")
}

/// The keys were accepted, and nobody can see what becomes of them.
fn unwatched(attach: &Attach, errors: Diagnostics) -> Diagnostics {
    let accepted = format!(
        "Databricks accepted the keys for workspace {}, but what becomes of them could not be watched. Apply again when the cause is \
         mended: it waits for the end, and sends nothing twice.",
        attach.id
    );
    let note = |error: Diagnostic| Diagnostic { detail: format!("{accepted}\n\n{}", error.detail), ..error };
    errors.into_iter().map(note).collect()
}

/// Waits until a new key is in full effect. The attach itself is done, so being interrupted here is no failure.
pub async fn settle(cx: &Context<Client>, length: Duration) {
    if length.is_zero() {
        return;
    }
    tracing::info!(settle_time = spell(length), "waiting until the new key is in full effect");
    if pause(length, cx.stop()).await == Pause::Stopped {
        cx.warn(Diagnostic::warning(
            "The new key may not be in full effect yet",
            format!(
                "The keys are attached, but waiting for them to settle was interrupted. For about {} from the attach, do not start clusters \
                 and do not use the DBFS API in this workspace.",
                spell(length)
            ),
        ));
    }
}

/// What the workspace has now, in words.
fn what_is_true(workspace: &Workspace) -> String {
    let one = |case: UseCase| match workspace.key(case) {
        Some(id) => format!("  - {}: {id}", case.in_words()),
        None => format!("  - {}: none", case.in_words()),
    };
    format!(
        "The workspace {} (\"{}\") is {} and has these key configurations:\n{}\n{}",
        workspace.workspace_id,
        workspace.workspace_name,
        workspace.workspace_status,
        one(UseCase::ManagedServices),
        one(UseCase::Storage)
    )
}

fn not_attached(now: &Workspace, end: &Wait, deadline: Deadline) -> Diagnostic {
    let truth = what_is_true(now);
    let message = now.workspace_status_message.as_deref().filter(|message| !message.is_empty());
    let said = message.map(|message| format!("\n\nDatabricks says: \"{message}\".")).unwrap_or_default();
    let (summary, advice) = match end {
        Wait::Reverted => (
            "Databricks took the key and silently went back to the old one",
            "The update was accepted and then undone: that is how Databricks answers when it cannot use a key. What preflight says about \
             the key now stands below, if it says anything. Mend the cause, and apply again.",
        ),
        Wait::Terminal => (
            "The workspace failed while its keys were changed",
            "A workspace in this status does not come back by itself. The account console says what is wrong; apply again when it is RUNNING.",
        ),
        Wait::TimedOut => (
            "The workspace did not take the keys in time",
            "The request was accepted, and it may still be carried out. Plan again: if the keys are there by then, nothing is left to do. \
             `timeouts` gives it more time.",
        ),
        Wait::Stopped => (
            "Waiting for the workspace was interrupted",
            "The request was accepted, and it goes on without Terraform. Apply again to wait for its end.",
        ),
    };
    let network = if matches!(end, Wait::TimedOut) { usual_time(now) } else { "" };
    let waited = if matches!(end, Wait::TimedOut) { format!(" after {}", spell(deadline.length())) } else { String::new() };
    Diagnostic::error(summary, format!("{truth}{waited}{said}\n\n{advice}{network}"))
}

/// How long Databricks says that it takes, which depends on whose network it is.
fn usual_time(workspace: &Workspace) -> &'static str {
    match workspace.network_id.as_deref() {
        None | Some("") => {
            " In a network that Databricks manages, the workspace is PROVISIONING for up to 20 minutes, and clusters cannot start for 20 \
             minutes after that."
        }
        Some(_) => {
            " In a network of your own, the status stays RUNNING, and the new storage key shows after some minutes; clusters cannot start for \
             20 minutes after that."
        }
    }
}

fn never_ready(now: &Workspace, attach: &Attach, reason: &str) -> Diagnostic {
    Diagnostic::error(
        "The workspace could not take the keys in time",
        format!(
            "{}\n\nFor {}, {reason}. Nothing was changed. Apply again when it is over; `timeouts` gives it more time.",
            what_is_true(now),
            spell(attach.deadline.length())
        ),
    )
    .on("workspace_id")
}

fn stopped_before(now: &Workspace) -> Diagnostic {
    Diagnostic::error(
        "Waiting for the workspace was interrupted",
        format!("{}\n\nNothing was changed by this run. Apply again.", what_is_true(now)),
    )
}

fn refused(error: &Error, now: Workspace, attach: &Attach) -> Box<Failure> {
    if error.api().is_some_and(ApiError::is_running_compute) {
        let waited = if attach.wait_for_compute.is_zero() {
            "To let Terraform wait for their end, set for example `wait_for_compute = \"30m\"`.".to_owned()
        } else {
            format!("It was waited for them for {} (`wait_for_compute`).", spell(attach.wait_for_compute))
        };
        let diagnostic = Diagnostic::error(
            "Compute is running in the workspace",
            format!(
                "Databricks does not change the keys of workspace {} (\"{}\") while classic compute runs in its network. It says: \
                 \"{error}\".\n\nStop all clusters (all-purpose and jobs), empty the instance pools, stop the classic SQL warehouses, and \
                 wait until their EC2 instances are terminated. Then apply again; nothing was changed. {waited}\n\nWhat runs can be listed \
                 with:\n\n  databricks clusters list\n  databricks instance-pools list\n  databricks warehouses list",
                now.workspace_id, now.workspace_name
            ),
        );
        return Failure::new(diagnostic.on("workspace_id"), &now);
    }
    let failure = Failure::new(diagnose::account("The keys of the workspace could not be changed", error), &now);
    let turned_down = error.api().is_some_and(|refusal| refusal.status == 400);
    if turned_down { failure.about_the_key() } else { failure }
}
