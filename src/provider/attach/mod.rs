//! Attaching keys to a workspace: sent once, watched until they are there permanently, and never taken for true before. It often
//! cannot be undone, so whatever goes wrong, the caller learns what the workspace has now.
//!
//! How a workspace is read and changed is a [`Platform`]; when a change counts as done is one [`Watch`].

pub mod account;
pub mod arm;

use std::time::Duration;

use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

use super::client::Client;
use super::diagnose::in_hcl;
use super::keys::Case;
use super::settled::{Condition, LONGEST_HOLDING, Next, Rules, Seen, Shows, Watch};
use super::shared::AsOf;
use super::waiting::{Deadline, Pause, pause};
use crate::preflight::{Finding, Weight};
use crate::vocabulary::{Key, KeyState};
use tfplugin::context::Context;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::duration::spell;

/// How many reads in a row have to show the wanted value: a failed update reverts without a word.
const READS_IN_A_ROW: u32 = 3;
/// The pauses between reads.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// The longest pause between two tries while compute runs or another update is under way.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What a look at a workspace showed.
#[derive(Clone, Debug)]
pub struct Look<W> {
    /// The workspace.
    pub workspace: W,
    /// Whether it has every key that is wanted.
    pub has_all: bool,
    /// Whether it is at rest, on its way, or failed.
    pub condition: Condition,
    /// Whether another update is under way, so that it takes none now.
    pub is_busy: bool,
    /// Its status, as the platform says it.
    pub status: String,
}

/// How a request to change the keys was answered.
pub enum Put {
    /// It was taken, or an earlier one is on its way.
    Accepted,
    /// Another update of the workspace is under way.
    Busy,
    /// Compute runs in the workspace, and the platform does not change its keys meanwhile. What to say when it does not stop.
    Compute(Diagnostic),
    /// It was refused. Whether the key may be the reason, so that the proof says why.
    Refused(Diagnostics, bool),
}

/// How a workspace is read and its keys are changed.
pub trait Platform {
    /// A workspace as the platform shows it.
    type Workspace: Clone;

    /// Whether a workspace that has failed takes no change any more.
    const FAILED_IS_FINAL: bool;

    /// After how long at rest a workspace that still shows what it had was not changed; `None` where a change may begin late.
    const KEPT_AFTER: Option<Duration>;

    /// What is attached and in what state, by a read that began after `earliest`.
    fn look(
        &self,
        earliest: Instant,
    ) -> impl Future<Output = AsOf<Result<Look<Self::Workspace>, Diagnostics>>> + Send;

    /// Whether what this run has read of the workspace so far is enough to say that its keys stay, where nothing was sent.
    fn has_long_had_all(&self) -> bool {
        false
    }

    /// Sends what is missing.
    fn put(&self, now: &Self::Workspace) -> impl Future<Output = Put> + Send;

    /// Which workspace it is, for messages: `workspace 123`.
    fn name(&self) -> String;

    /// What a workspace has now, in sentences.
    fn what_is_true(&self, now: &Self::Workspace) -> String;

    /// What the platform says about the status of a workspace, if it says something.
    fn status_message<'a>(&self, now: &'a Self::Workspace) -> Option<&'a str>;

    /// How long the platform usually takes, for a message about a timeout.
    fn usual_time(&self, now: &Self::Workspace) -> &'static str;
}

/// How an attach is carried out.
#[derive(Debug)]
pub struct Orders {
    /// The keys, whose state is watched.
    pub keys: Vec<Case>,
    /// When the workspace has to show them.
    pub deadline: Deadline,
    /// How long running compute is waited for.
    pub wait_for_compute: Duration,
    /// How long the keys are watched once they show.
    pub settle_time: Duration,
}

/// Why it was not attached, and what is true instead.
#[derive(Debug)]
pub struct Failure<W> {
    /// For the user.
    pub diagnostics: Diagnostics,
    /// The workspace as it was seen last.
    pub now: W,
    /// Whether the platform turned the key down, so that what preflight says about the key now explains it.
    pub is_about_the_key: bool,
    /// Whether the platform had taken the change, so that the workspace may have the new keys whatever it shows.
    pub was_sent: bool,
}

impl<W: Clone> Failure<W> {
    fn new(diagnostics: impl Into<Diagnostics>, now: &W, is_about_the_key: bool) -> Box<Self> {
        Box::new(Self {
            diagnostics: diagnostics.into(),
            now: now.clone(),
            is_about_the_key,
            was_sent: false,
        })
    }
}

/// Attaches what is missing, and watches until it is there to stay.
///
/// # Errors
/// When it could not be attached, with what is true instead.
pub async fn attach<P: Platform>(
    cx: &Context<Client>,
    platform: &P,
    before: Look<P::Workspace>,
    orders: &Orders,
) -> Result<P::Workspace, Box<Failure<P::Workspace>>> {
    let attached = sent_and_watched(cx, platform, before, orders).await;
    if attached
        .as_ref()
        .is_err_and(|failure| failure.is_about_the_key)
    {
        // What explains it is the key as it is now, and not as it was before the attach.
        let keys = cx.client().keys();
        orders.keys.iter().for_each(|case| keys.forget(case));
    }
    attached
}

async fn sent_and_watched<P: Platform>(
    cx: &Context<Client>,
    platform: &P,
    before: Look<P::Workspace>,
    orders: &Orders,
) -> Result<P::Workspace, Box<Failure<P::Workspace>>> {
    let (now, was_sent) = send(cx, platform, before, orders).await?;
    if !was_sent && platform.has_long_had_all() {
        return Ok(now.workspace);
    }
    let hold = if was_sent {
        orders.settle_time
    } else {
        Duration::ZERO
    };
    let settled = settled(cx, platform, now.workspace, orders, hold).await;
    settled.map_err(|mut failure| {
        failure.was_sent = was_sent;
        failure
    })
}

/// Sends the keys that are missing, when the workspace can take them. Says whether anything was sent.
async fn send<P: Platform>(
    cx: &Context<Client>,
    platform: &P,
    mut now: Look<P::Workspace>,
    orders: &Orders,
) -> Result<(Look<P::Workspace>, bool), Box<Failure<P::Workspace>>> {
    let compute_deadline = Instant::now() + orders.wait_for_compute;
    let mut wait = Duration::from_secs(1);
    while !now.has_all {
        // It may be on its way to what is wanted already: a run that was interrupted has sent it.
        let reason = if now.is_busy {
            format!("the workspace is {}", now.status)
        } else {
            tracing::info!(workspace = platform.name(), "attaching keys");
            match platform.put(&now.workspace).await {
                Put::Accepted => return Ok((now, true)),
                Put::Busy => "another update of the workspace is under way".to_owned(),
                Put::Compute(_) if Instant::now() < compute_deadline => {
                    "compute is running in the workspace".to_owned()
                }
                Put::Compute(diagnostic) => {
                    let diagnostic = with_wait_for_compute(diagnostic, orders);
                    return Err(Failure::new(diagnostic, &now.workspace, false));
                }
                Put::Refused(diagnostics, is_about_the_key) => {
                    return Err(Failure::new(diagnostics, &now.workspace, is_about_the_key));
                }
            }
        };
        tracing::info!(
            workspace = platform.name(),
            reason,
            "waiting until the workspace can take the keys"
        );
        let truth = platform.what_is_true(&now.workspace);
        if orders.deadline.has_passed() {
            let late = never_ready(&truth, orders, &reason);
            return Err(Failure::new(late, &now.workspace, false));
        }
        if pause(wait, cx.stop()).await == Pause::Stopped {
            return Err(Failure::new(stopped_before(&truth), &now.workspace, false));
        }
        wait = (wait * 2).min(LONGEST_WAIT);
        now = match platform.look(Instant::now()).await.value {
            Ok(found) => found,
            Err(errors) => return Err(Failure::new(errors, &now.workspace, false)),
        };
        if P::FAILED_IS_FINAL && now.condition == Condition::Failed {
            let failed = not_attached(
                platform,
                &now.workspace,
                &End::Failed,
                orders,
                None,
                Duration::ZERO,
            );
            return Err(Failure::new(failed, &now.workspace, false));
        }
    }
    Ok((now, false))
}

/// Why waiting ended without the wanted value.
enum End {
    /// The value was there and went away, or the update ended without it.
    Undone,
    /// A status that never becomes RUNNING by itself.
    Failed,
    /// A key that can no longer be used.
    KeyLost(Box<Case>, KeyState),
    /// Keys whose access rules do not let Databricks use them any more.
    AccessLost(Vec<Key>),
    /// Time is over.
    TimedOut,
    /// Terraform wants to stop.
    Stopped,
}

/// What the keys are like while a workspace takes them.
#[derive(Default)]
struct KeysSeen {
    /// The first one that can no longer be used, and its state.
    lost: Option<(Case, KeyState)>,
    /// Those whose state could not be read, and why. They are not lost, and not fine either.
    unread: Vec<(Key, String)>,
}

/// The states of the keys, by reads that began after `earliest`.
async fn see_keys(client: &Client, keys: &[Case], earliest: Instant) -> KeysSeen {
    let mut seen = KeysSeen::default();
    for case in keys {
        match client.keys().state_after(case, earliest).await.value {
            Ok(KeyState::Enabled) => {}
            Ok(state) => {
                seen.lost = Some((case.clone(), state));
                return seen;
            }
            Err(error) => {
                tracing::warn!(key = %case.key(), error, "the state of the key could not be read while it settles");
                seen.unread.push((case.key(), error));
            }
        }
    }
    seen
}

/// The keys that certainly do not let Databricks use them now, by reads that begin now.
async fn without_access(client: &Client, keys: &[Case]) -> Vec<Key> {
    let mut lost = Vec::new();
    for case in keys {
        client.keys().forget(case);
        let findings = client.keys().examine(std::slice::from_ref(case)).await;
        // What cannot be read is not lost.
        let is_lost = |one: &Finding| one.id.weight() == Weight::Error;
        if findings.iter().flatten().any(is_lost) && !lost.contains(&case.key()) {
            lost.push(case.key());
        }
    }
    lost
}

/// When a read of the keys must have begun: while they settle, reads are shared; what is said at the end rests on a read after the end.
fn keys_as_of(next: Next, sent: Instant, arrived: Option<Duration>, hold: Duration) -> Instant {
    match (next, arrived) {
        (Next::Done, Some(arrived)) => sent + arrived + hold,
        _ => Instant::now()
            .checked_sub(LONGEST_HOLDING)
            .map_or(sent, |young| young.max(sent)),
    }
}

/// The workspace has the keys, and the provider does not know whether they still work.
fn keys_unread<P: Platform>(platform: &P, unread: &[(Key, String)]) -> Diagnostic {
    let each: Vec<String> = unread
        .iter()
        .map(|(key, why)| format!("  {key}: {why}"))
        .collect();
    Diagnostic::warning(
        "The state of a key could not be read at the end of `settle_time`",
        format!(
            "{} has the keys that the configuration names. The provider could not read the state of these keys at the end of \
             `settle_time`, so it does not know whether Databricks can still use them:\n\n{}\n\nFix the cause, and run `terraform plan`: it \
             examines the keys again.",
            capitalized(&platform.name()),
            each.join("\n")
        ),
    )
    .about(platform.name())
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

/// Waits until the workspace is at rest with the wanted keys and has stayed so for `hold`.
async fn settled<P: Platform>(
    cx: &Context<Client>,
    platform: &P,
    mut now: P::Workspace,
    orders: &Orders,
    hold: Duration,
) -> Result<P::Workspace, Box<Failure<P::Workspace>>> {
    let sent = Instant::now();
    let mut watch = Watch::new(Rules {
        in_a_row: READS_IN_A_ROW,
        undone_after: Some(READS_IN_A_ROW),
        kept_after: P::KEPT_AFTER,
        replaced_after: None,
        hold,
        deadline: orders.deadline.left(),
        pauses: PAUSES,
    });
    let mut last = sent;
    loop {
        let look = platform.look(last).await;
        last = look.begun;
        let at = sent.elapsed();
        let next = match look.value {
            Ok(found) => {
                tracing::info!(
                    workspace = platform.name(),
                    status = found.status,
                    attached = found.has_all,
                    elapsed = spell(at),
                    "watching the workspace"
                );
                now = found.workspace;
                let shows = if found.has_all {
                    Shows::Wanted
                } else {
                    Shows::Before
                };
                let condition = found.condition;
                watch.saw(Seen { shows, condition }, at)
            }
            Err(errors) => match watch.failed_to_see(at) {
                Next::Unseen => {
                    return Err(Failure::new(unwatched(platform, errors), &now, false));
                }
                next => {
                    tracing::warn!(
                        workspace = platform.name(),
                        error = joined(&errors),
                        "the workspace could not be read; reading again"
                    );
                    next
                }
            },
        };
        let is_good = matches!(next, Next::Done | Next::Again(_));
        let keys = if is_good && !hold.is_zero() {
            let earliest = keys_as_of(next, sent, watch.arrived(), hold);
            see_keys(cx.client(), &orders.keys, earliest).await
        } else {
            KeysSeen::default()
        };
        let end = match next {
            Next::Done | Next::Again(_) if let Some((key, state)) = keys.lost => {
                End::KeyLost(Box::new(key), state)
            }
            Next::Done => {
                if !keys.unread.is_empty() {
                    cx.warn(keys_unread(platform, &keys.unread));
                }
                let lost = match hold.is_zero() {
                    true => Vec::new(),
                    false => without_access(cx.client(), &orders.keys).await,
                };
                match lost.is_empty() {
                    true => return Ok(now),
                    false => End::AccessLost(lost),
                }
            }
            Next::Again(wait) => match (pause(wait, cx.stop()).await, watch.arrived()) {
                (Pause::Over, _) => continue,
                // The attach itself is done; that it stays is what the user does not want to wait for.
                (Pause::Stopped, Some(arrived)) => {
                    let left = hold.saturating_sub(at.saturating_sub(arrived));
                    cx.warn(interrupted(platform, left));
                    return Ok(now);
                }
                (Pause::Stopped, None) => End::Stopped,
            },
            Next::Undone | Next::Replaced => End::Undone,
            Next::Failed => End::Failed,
            Next::TimedOut | Next::Unseen => End::TimedOut,
        };
        let is_about_the_key = matches!(
            end,
            End::Undone | End::Failed | End::KeyLost(..) | End::AccessLost(_)
        );
        let ended = not_attached(platform, &now, &end, orders, watch.arrived(), at);
        return Err(Failure::new(ended, &now, is_about_the_key));
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
fn unwatched<P: Platform>(platform: &P, errors: Diagnostics) -> Diagnostics {
    let accepted = format!(
        "Databricks accepted the keys for {}, but the provider could not confirm the change. Fix the cause and apply again: the provider \
         resumes waiting and does not send the request again.",
        platform.name()
    );
    let note = |error: Diagnostic| {
        let detail = format!("{accepted}\n\n{}", error.detail);
        error.with_detail(detail)
    };
    errors.into_iter().map(note).collect()
}

fn interrupted<P: Platform>(platform: &P, left: Duration) -> Diagnostic {
    Diagnostic::warning(
        "The new key may not be in full effect yet",
        format!(
            "Databricks attached the keys to {}, but the run was interrupted {} before the end of `settle_time`. For about that long, do not \
             start clusters and do not use the DBFS API in this workspace. If Databricks reverts the change later, the next plan shows it.",
            platform.name(),
            spell(left)
        ),
    )
    .about(platform.name())
}

fn not_attached<P: Platform>(
    platform: &P,
    now: &P::Workspace,
    end: &End,
    orders: &Orders,
    arrived: Option<Duration>,
    at: Duration,
) -> Diagnostic {
    let truth = platform.what_is_true(now);
    let said = platform
        .status_message(now)
        .map(|message| format!("\n\nDatabricks says: \"{message}\"."))
        .unwrap_or_default();
    let seen = match arrived {
        Some(arrived) => format!(
            "It showed the new keys after {}, and shows this after {}.",
            spell(rounded(arrived)),
            spell(rounded(at))
        ),
        None => format!("It shows this after {}.", spell(rounded(at))),
    };
    let moment = doors::clock::now()
        .replace_nanosecond(0)
        .ok()
        .and_then(|now| now.format(&Rfc3339).ok())
        .unwrap_or_default();
    let seen = format!("{seen} Last seen: {moment}.");
    let (summary, advice) = match end {
        End::Undone if arrived.is_none() && P::KEPT_AFTER.is_some() => (
            "The workspace is as it was before the change".to_owned(),
            "The request ended without an error, but the workspace does not have what the configuration names: the change was reverted. If the \
             proof finds a reason now, it is shown below. Fix the cause and apply again."
                .to_owned(),
        ),
        End::Undone => (
            "Databricks accepted the key, then reverted to the previous one".to_owned(),
            "Databricks reverts an update when it cannot use the key. If the proof finds a reason now, it is shown below. Fix the cause and \
             apply again."
                .to_owned(),
        ),
        End::Failed => (
            "The workspace failed while its keys were changed".to_owned(),
            "A workspace in this status does not recover by itself. The account console shows the reason. Apply again when the workspace is \
             RUNNING."
                .to_owned(),
        ),
        End::KeyLost(case, state) => (
            "A key became unusable while the workspace was taking it".to_owned(),
            format!(
                "The key {} is in the state {state}. Databricks can use a key only while it is enabled, so the workspace loses access to its \
                 data when the cached data keys expire.\n\n{}",
                case.key(),
                case.enabling(state).text(|hint| Some(in_hcl(hint)))
            ),
        ),
        End::AccessLost(keys) => {
            let names: Vec<String> = keys.iter().map(ToString::to_string).collect();
            (
                "A key lost its access rules while the workspace was taking it".to_owned(),
                format!(
                    "The access rules of {} no longer let Databricks use the key, so the workspace loses access to its data when the cached \
                     data keys expire. What the proof finds now is shown below. Restore the access, then apply again.",
                    names.join(" and ")
                ),
            )
        }
        End::TimedOut => (
            "The workspace did not show the keys in time".to_owned(),
            "Databricks accepted the request and may still carry it out. Plan again: if the workspace has the keys by then, the plan shows no \
             changes. To wait longer, set `timeouts`."
                .to_owned(),
        ),
        End::Stopped => (
            "Waiting for the workspace was interrupted".to_owned(),
            "Databricks accepted the request and carries it out without Terraform. Apply again to wait for the result.".to_owned(),
        ),
    };
    let (waited, usual) = match end {
        End::TimedOut => (
            format!(" The provider waited {}.", spell(orders.deadline.length())),
            platform.usual_time(now),
        ),
        _ => (String::new(), ""),
    };
    Diagnostic::error(
        summary,
        format!("{truth}\n{seen}{waited}{said}\n\n{advice}{usual}"),
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

fn never_ready(truth: &str, orders: &Orders, reason: &str) -> Diagnostic {
    Diagnostic::error(
        "The workspace could not take the keys in time",
        format!(
            "{truth}\n\nFor {}, {reason}. Nothing was changed. Apply again when it is over. To wait longer, set `timeouts`.",
            spell(orders.deadline.length())
        ),
    )
    .on("workspace_id")
}

fn stopped_before(truth: &str) -> Diagnostic {
    Diagnostic::error(
        "Waiting for the workspace was interrupted",
        format!("{truth}\n\nThis run changed nothing. Apply again."),
    )
}

fn with_wait_for_compute(diagnostic: Diagnostic, orders: &Orders) -> Diagnostic {
    let waited = if orders.wait_for_compute.is_zero() {
        "To let Terraform wait until the compute stops, set for example `wait_for_compute = \"30m\"`.".to_owned()
    } else {
        format!(
            "The provider waited {} for the compute to stop (`wait_for_compute`).",
            spell(orders.wait_for_compute)
        )
    };
    {
        let detail = format!("{}\n\n{waited}", diagnostic.detail);
        diagnostic.with_detail(detail)
    }
}
