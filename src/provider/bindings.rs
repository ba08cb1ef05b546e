//! Attaching key configurations to a workspace: sent once, watched until they are there for good, and never taken for true
//! before. It cannot be undone, so whatever goes wrong, the caller learns what the workspace has now.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

use super::client::Client;
use super::diagnose;
use super::settled::{Condition, LONGEST_HOLDING, Next, Rules, Seen, Shows, Watch};
use super::waiting::{Deadline, Pause, pause};
use crate::databricks::workspaces::{KeyFields, Workspace};
use crate::databricks::{Account, ApiError, Error};
use crate::vocabulary::{
    AttachedKey, KeyArn, KeyConfigurationId, KeyState, UseCase, WorkspaceId, WorkspaceStatus,
};
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::duration::spell;
use tfplugin::resource::Context;

/// How many reads in a row have to show the wanted value: a failed update reverts without a word.
const READS_IN_A_ROW: u32 = 3;
/// The pauses between reads.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// How long a storage key takes until it is in full effect. Source: Databricks documentation, "Update a workspace".
const STORAGE_SETTLE: Duration = Duration::from_secs(20 * 60);
/// How long a managed services key is watched: Databricks gives no time, and reverts have been seen after seconds.
const MANAGED_SERVICES_SETTLE: Duration = Duration::from_secs(60);
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
pub fn required(
    account: &Account,
    id: WorkspaceId,
    found: Result<Option<Workspace>, Error>,
) -> Result<Workspace, Diagnostics> {
    let found = found.map_err(|error| {
        diagnose::account("The workspace could not be read", &error).on("workspace_id")
    })?;
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

/// The key configuration of a workspace for a use case, for a state or a result.
///
/// # Errors
/// When the account shows something else in its place, which is not the same as none.
pub fn attached(
    workspace: &Workspace,
    case: UseCase,
) -> Result<Option<KeyConfigurationId>, Diagnostics> {
    match workspace.key(case) {
        AttachedKey::None => Ok(None),
        AttachedKey::Known(id) => Ok(Some(id)),
        AttachedKey::Unreadable(text) => Err(Diagnostic::error(
            "The key configuration of the workspace cannot be read",
            format!(
                "The workspace {} (\"{}\") shows `{text}` as its key configuration for {}. That is not the id of a key configuration, and the \
                 provider does not take it for none.\n\nLook at the workspace in the account console. If the id is right there, report it as a \
                 defect of this provider.",
                workspace.workspace_id,
                workspace.workspace_name,
                case.in_words()
            ),
        )
        .on("workspace_id")
        .into()),
    }
}

/// What is to be attached.
#[derive(Debug)]
pub struct Attach {
    /// To which workspace.
    pub id: WorkspaceId,
    /// The key configurations that it has to have in the end.
    pub wanted: KeyFields,
    /// Their keys, whose state is watched.
    pub keys: Vec<KeyArn>,
    /// When the workspace has to show them.
    pub deadline: Deadline,
    /// How long running compute is waited for.
    pub wait_for_compute: Duration,
    /// How long the keys are watched once they show, if the user says so.
    pub settle_time: Option<Duration>,
}

impl Attach {
    /// How long the keys are watched once they show: as the user says, or as what changes asks for.
    fn settle_time(&self, sent: &KeyFields) -> Duration {
        let usual = if sent.storage.is_some() {
            STORAGE_SETTLE
        } else {
            MANAGED_SERVICES_SETTLE
        };
        self.settle_time.unwrap_or(usual)
    }
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
        Box::new(Self {
            diagnostics: diagnostics.into(),
            now: now.clone(),
            is_about_the_key: false,
        })
    }

    fn about_the_key(mut self: Box<Self>) -> Box<Self> {
        self.is_about_the_key = true;
        self
    }
}

/// Attaches what is missing, and watches until it is there to stay.
///
/// # Errors
/// When it could not be attached, with what is true instead.
pub async fn attach(
    cx: &Context<Client>,
    account: &Account,
    before: Workspace,
    attach: &Attach,
) -> Result<Workspace, Box<Failure>> {
    let (ready, sent) = send(cx, account, before, attach).await?;
    let hold = if sent.is_empty() {
        Duration::ZERO
    } else {
        attach.settle_time(&sent)
    };
    attached_for_good(cx, account, ready, attach, hold).await
}

/// Reads the workspace again; `last` is what is true as far as anybody knows when that fails.
async fn look(
    account: &Account,
    attach: &Attach,
    last: &Workspace,
) -> Result<Workspace, Box<Failure>> {
    workspace(account, attach.id)
        .await
        .map_err(|errors| Failure::new(errors, last))
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
        let reason = if now.workspace_status.is_changing() {
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
                Some(refusal) if refusal.is_conflict() && refusal.after_another => {
                    return Ok((now, fields));
                }
                Some(refusal) if refusal.is_conflict() => {
                    "another update of the workspace is under way".to_owned()
                }
                Some(refusal)
                    if refusal.is_running_compute() && Instant::now() < compute_deadline =>
                {
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
        if now.workspace_status.has_failed() {
            return Err(Failure::new(
                not_attached(&now, &End::Failed, attach, None, Duration::ZERO),
                &now,
            ));
        }
    }
}

/// Why waiting ended without the wanted value.
enum End {
    /// The value was there and went away, or the update ended without it.
    Undone,
    /// A status that never becomes RUNNING by itself.
    Failed,
    /// A key that can no longer be used.
    KeyLost(KeyArn, KeyState),
    /// Time is over.
    TimedOut,
    /// Terraform wants to stop.
    Stopped,
}

/// One look at a workspace while its keys are on their way. Bindings that wait at the same time share it.
async fn look_again(
    client: &Client,
    account: &Account,
    id: WorkspaceId,
    earliest: Instant,
) -> (Instant, Result<Workspace, Diagnostics>) {
    let list = client.reads().workspaces_after(account, earliest).await;
    let found = match list.value {
        Ok(all) => match all.get(&id) {
            Some(found) => Ok(found.clone()),
            // A list may lag behind.
            None => workspace(account, id).await,
        },
        Err(error) => required(account, id, Err(error)),
    };
    (list.begun, found)
}

/// The first of the keys that can no longer be used, and its state. A key whose state cannot be read is not taken for lost.
async fn lost_key(client: &Client, keys: &[KeyArn], sent: Instant) -> Option<(KeyArn, KeyState)> {
    let earliest = Instant::now()
        .checked_sub(LONGEST_HOLDING)
        .map_or(sent, |young| young.max(sent));
    for key in keys {
        match client
            .reads()
            .key_state_after(client.aws(), key, earliest)
            .await
            .value
        {
            Ok(KeyState::Enabled) => {}
            Ok(state) => return Some((key.clone(), state)),
            Err(error) => {
                tracing::warn!(%key, %error, "the state of the key could not be read while it settles")
            }
        }
    }
    None
}

/// Waits until the workspace is RUNNING with the wanted keys and has stayed so for `hold`.
async fn attached_for_good(
    cx: &Context<Client>,
    account: &Account,
    mut now: Workspace,
    attach: &Attach,
    hold: Duration,
) -> Result<Workspace, Box<Failure>> {
    let client = cx.client();
    let sent = Instant::now();
    let mut watch = Watch::new(Rules {
        in_a_row: READS_IN_A_ROW,
        undone_after: Some(READS_IN_A_ROW),
        replaced_after: None,
        hold,
        deadline: attach.deadline.left(),
        pauses: PAUSES,
    });
    let mut last = sent;
    loop {
        let (begun, found) = look_again(client, account, attach.id, last).await;
        last = begun;
        let at = sent.elapsed();
        let next = match found {
            Ok(found) => {
                now = found;
                let shows = if attach.wanted.missing_in(&now).is_empty() {
                    Shows::Wanted
                } else {
                    Shows::Before
                };
                let condition = match &now.workspace_status {
                    WorkspaceStatus::Running => Condition::Ready,
                    status if status.has_failed() => Condition::Failed,
                    _ => Condition::Changing,
                };
                tracing::info!(workspace = %attach.id, status = %now.workspace_status, attached = shows == Shows::Wanted, elapsed = spell(at), "watching the workspace");
                watch.saw(Seen { shows, condition }, at)
            }
            Err(errors) => match watch.failed_to_see(at) {
                Next::Unseen => return Err(Failure::new(unwatched(attach, errors), &now)),
                next => {
                    tracing::warn!(workspace = %attach.id, error = %joined(&errors), "the workspace could not be read; reading again");
                    next
                }
            },
        };
        let is_good = matches!(next, Next::Done | Next::Again(_));
        let lost = if is_good && !hold.is_zero() {
            lost_key(client, &attach.keys, sent).await
        } else {
            None
        };
        let end = match next {
            Next::Done | Next::Again(_) if let Some((key, state)) = lost => {
                End::KeyLost(key, state)
            }
            Next::Done => return Ok(now),
            Next::Again(wait) => match (pause(wait, cx.stop()).await, watch.arrived()) {
                (Pause::Over, _) => continue,
                // The attach itself is done; that it stays is what the user does not want to wait for.
                (Pause::Stopped, Some(arrived)) => {
                    cx.warn(interrupted(
                        attach,
                        hold.saturating_sub(at.saturating_sub(arrived)),
                    ));
                    return Ok(now);
                }
                (Pause::Stopped, None) => End::Stopped,
            },
            Next::Undone | Next::Replaced => End::Undone,
            Next::Failed => End::Failed,
            Next::TimedOut | Next::Unseen => End::TimedOut,
        };
        let is_about_the_key = matches!(end, End::Undone | End::Failed | End::KeyLost(..));
        let failure = Failure::new(not_attached(&now, &end, attach, watch.arrived(), at), &now);
        return Err(if is_about_the_key {
            failure.about_the_key()
        } else {
            failure
        });
    }
}

fn joined(errors: &Diagnostics) -> String {
    errors
        .iter()
        .map(|error| error.summary.clone())
        .collect::<Vec<_>>()
        .join("; ")
}

/// The keys were accepted, and nobody can see what becomes of them.
fn unwatched(attach: &Attach, errors: Diagnostics) -> Diagnostics {
    let accepted = format!(
        "Databricks accepted the keys for workspace {}, but the provider could not confirm the change. Fix the cause and apply again: the \
         provider resumes waiting and does not send the request again.",
        attach.id
    );
    let note = |error: Diagnostic| Diagnostic {
        detail: format!("{accepted}\n\n{}", error.detail),
        ..error
    };
    errors.into_iter().map(note).collect()
}

fn interrupted(attach: &Attach, left: Duration) -> Diagnostic {
    Diagnostic::warning(
        "The new key may not be in full effect yet",
        format!(
            "Databricks attached the keys to workspace {}, but watching them was interrupted {} before the end of `settle_time`. For about \
             that long, do not start clusters and do not use the DBFS API in this workspace. A late revert shows in the next plan.",
            attach.id,
            spell(left)
        ),
    )
}

/// What the workspace has now, in words.
fn what_is_true(workspace: &Workspace) -> String {
    let one = |case: UseCase| format!("  - {}: {}", case.in_words(), workspace.key(case));
    format!(
        "The workspace {} (\"{}\") is {} and has these key configurations:\n{}\n{}",
        workspace.workspace_id,
        workspace.workspace_name,
        workspace.workspace_status,
        one(UseCase::ManagedServices),
        one(UseCase::Storage)
    )
}

fn not_attached(
    now: &Workspace,
    end: &End,
    attach: &Attach,
    arrived: Option<Duration>,
    at: Duration,
) -> Diagnostic {
    let truth = what_is_true(now);
    let message = now
        .workspace_status_message
        .as_deref()
        .filter(|message| !message.is_empty());
    let said = message
        .map(|message| format!("\n\nDatabricks says: \"{message}\"."))
        .unwrap_or_default();
    let seen = match arrived {
        Some(arrived) => {
            format!(
                "It showed the new keys after {}, and shows this after {}.",
                spell(rounded(arrived)),
                spell(rounded(at))
            )
        }
        None => format!("It shows this after {}.", spell(rounded(at))),
    };
    let moment = OffsetDateTime::now_utc()
        .replace_nanosecond(0)
        .ok()
        .and_then(|now| now.format(&Rfc3339).ok())
        .unwrap_or_default();
    let seen = format!("{seen} Last seen: {moment}.");
    let (summary, advice) = match end {
        End::Undone => (
            "Databricks accepted the key, then reverted to the previous one".to_owned(),
            "Databricks accepts an update and undoes it when it cannot use the key. If the proof finds a reason now, it is shown below. Fix the \
             cause and apply again.".to_owned(),
        ),
        End::Failed => (
            "The workspace failed while its keys were changed".to_owned(),
            "A workspace in this status does not recover by itself. The account console shows the reason. Apply again when the workspace is \
             RUNNING.".to_owned(),
        ),
        End::KeyLost(key, state) => (
            "A key became unusable while the workspace was taking it".to_owned(),
            format!(
                "The key {key} is in the state {state}. Databricks can use a key only in the state Enabled, so the workspace loses access to its \
                 data when the cached data keys expire. Enable the key, then apply again:\n\n  aws kms enable-key --key-id {} --region {}",
                key.key_id(),
                key.region()
            ),
        ),
        End::TimedOut => (
            "The workspace did not show the keys in time".to_owned(),
            "Databricks accepted the request and may still carry it out. Plan again: if the keys are there by then, the plan is empty. Set \
             `timeouts` to wait longer.".to_owned(),
        ),
        End::Stopped => (
            "Waiting for the workspace was interrupted".to_owned(),
            "Databricks accepted the request and carries it out without Terraform. Apply again to wait for the result.".to_owned(),
        ),
    };
    let network = if matches!(end, End::TimedOut) {
        usual_time(now)
    } else {
        ""
    };
    let waited = if matches!(end, End::TimedOut) {
        format!(" The provider waited {}.", spell(attach.deadline.length()))
    } else {
        String::new()
    };
    Diagnostic::error(
        summary,
        format!("{truth}\n{seen}{waited}{said}\n\n{advice}{network}"),
    )
}

/// Whole seconds, for people.
fn rounded(length: Duration) -> Duration {
    if length < Duration::from_secs(1) {
        Duration::from_millis(u64::try_from(length.as_millis()).unwrap_or_default())
    } else {
        Duration::from_secs(length.as_secs())
    }
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
        format!(
            "{}\n\nNothing was changed by this run. Apply again.",
            what_is_true(now)
        ),
    )
}

fn refused(error: &Error, now: Workspace, attach: &Attach) -> Box<Failure> {
    if error.api().is_some_and(ApiError::is_running_compute) {
        let waited = if attach.wait_for_compute.is_zero() {
            "To let Terraform wait until the compute stops, set for example `wait_for_compute = \"30m\"`.".to_owned()
        } else {
            format!(
                "The provider waited {} for the compute to stop (`wait_for_compute`).",
                spell(attach.wait_for_compute)
            )
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
    let failure = Failure::new(
        diagnose::account("The keys of the workspace could not be changed", error),
        &now,
    );
    let turned_down = error.api().is_some_and(|refusal| refusal.status == 400);
    if turned_down {
        failure.about_the_key()
    } else {
        failure
    }
}
