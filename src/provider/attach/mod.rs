//! Attaching keys to a workspace: sent once, watched until they are there permanently, and never taken for true before. It often
//! cannot be undone, so whatever goes wrong, the caller learns what the workspace has now.
//!
//! How a workspace is read and changed is a [`Platform`]; when a change counts as done is one [`Watch`].

pub mod account;
pub mod arm;
mod words;

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::cache::AsOf;
use super::client::Client;
use super::deadline::{Deadline, Pause, pause};
use super::keys::{KeyCheck, Keys};
use super::settled::{Condition, LONGEST_HOLDING, Next, Rules, Seen, Shows, Watch};
use crate::preflight::{Finding, SeverityRule};
use crate::vocabulary::{Key, KeyState};
use tfplugin::context::Context;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::duration::spell;
use words::{
    End, Watched, failed_before, interrupted, keys_unread, never_ready, not_attached,
    stopped_before, unwatched, with_wait_for_compute,
};

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
pub enum PutOutcome {
    /// It was taken, or an earlier one is on its way.
    Accepted,
    /// Another update of the workspace is under way.
    Busy,
    /// Compute runs in the workspace, and the platform does not change its keys meanwhile. What to say when it does not stop.
    Compute(Diagnostic),
    /// It was refused. Whether the key may be the reason, so that the proof says why.
    Refused(Diagnostics, bool),
    /// No answer came that says what became of it: it may have been taken.
    Lost(Diagnostics),
}

/// How a workspace is read and its keys are changed.
pub trait Platform {
    /// A workspace as the platform shows it.
    type Workspace: Clone;

    /// Whether a workspace that has failed takes no change any more.
    const FAILED_IS_FINAL: bool;

    /// After how long at rest a workspace that still shows what it had was not changed; `None` where a change may begin late.
    const KEPT_AFTER: Option<Duration>;

    /// What a workspace shows of what is wanted.
    fn seen(&self, workspace: Self::Workspace) -> Look<Self::Workspace>;

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
    fn put(&self, now: &Self::Workspace) -> impl Future<Output = PutOutcome> + Send;

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
    pub keys: Vec<KeyCheck>,
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

/// The keys that a workspace takes, as they can be read meanwhile.
pub trait KeysInUse {
    /// The state of a key, as a read that began after `earliest` shows it, or why it cannot be read.
    fn state_after(
        &self,
        case: &KeyCheck,
        earliest: Instant,
    ) -> impl Future<Output = AsOf<Result<KeyState, String>>> + Send;

    /// What the proof says about each case now.
    fn examine_now(&self, cases: &[KeyCheck]) -> impl Future<Output = Vec<Vec<Finding>>> + Send;

    /// Effect: what was read of a key is not believed any more.
    fn forget(&self, case: &KeyCheck);
}

impl KeysInUse for Keys {
    async fn state_after(
        &self,
        case: &KeyCheck,
        earliest: Instant,
    ) -> AsOf<Result<KeyState, String>> {
        Self::state_after(self, case, earliest).await
    }

    async fn examine_now(&self, cases: &[KeyCheck]) -> Vec<Vec<Finding>> {
        // Whoever attaches holds the workspace, for which a key policy may wait.
        Self::examine_now(self, cases).await
    }

    fn forget(&self, case: &KeyCheck) {
        Self::forget(self, &case.key());
    }
}

/// What an attach has around it.
struct Around<'a, K> {
    keys: &'a K,
    /// Ends when Terraform wants to stop.
    stop: &'a CancellationToken,
    /// Shows the user something that does not stop the run.
    warn: &'a (dyn Fn(Diagnostic) + Send + Sync),
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
    let around = Around {
        keys: cx.client().keys(),
        stop: cx.stop(),
        warn: &|warning| cx.warn(warning),
    };
    attach_within(&around, platform, before, orders).await
}

async fn attach_within<K: KeysInUse, P: Platform>(
    around: &Around<'_, K>,
    platform: &P,
    before: Look<P::Workspace>,
    orders: &Orders,
) -> Result<P::Workspace, Box<Failure<P::Workspace>>> {
    let attached = sent_and_watched(around, platform, before, orders).await;
    if attached
        .as_ref()
        .is_err_and(|failure| failure.is_about_the_key)
    {
        // What explains it is the key as it is now, and not as it was before the attach.
        orders.keys.iter().for_each(|case| around.keys.forget(case));
    }
    attached
}

async fn sent_and_watched<K: KeysInUse, P: Platform>(
    around: &Around<'_, K>,
    platform: &P,
    before: Look<P::Workspace>,
    orders: &Orders,
) -> Result<P::Workspace, Box<Failure<P::Workspace>>> {
    let had_all = before.has_all;
    let (now, was_sent) = send(around, platform, before, orders).await?;
    if had_all && platform.has_long_had_all() {
        return Ok(now.workspace);
    }
    let settled = settled(around, platform, now.workspace, orders, had_all).await;
    settled.map_err(|mut failure| {
        failure.was_sent = was_sent;
        failure
    })
}

/// Sends the keys that are missing, when the workspace can take them. Says whether anything was sent.
async fn send<K, P: Platform>(
    around: &Around<'_, K>,
    platform: &P,
    mut now: Look<P::Workspace>,
    orders: &Orders,
) -> Result<(Look<P::Workspace>, bool), Box<Failure<P::Workspace>>> {
    let compute_deadline = Instant::now() + orders.wait_for_compute;
    let mut wait = Duration::from_secs(1);
    let mut reason =
        "the provider waited for the proof and for other changes of the workspace in this run"
            .to_owned();
    while !now.has_all {
        let truth = platform.what_is_true(&now.workspace);
        let mut left = orders.deadline.left();
        // What is sent when the time is over, nobody waits for.
        if left.is_zero() {
            let late = never_ready(&truth, orders, &reason);
            return Err(Failure::new(late, &now.workspace, false));
        }
        // It may be on its way to what is wanted already: a run that was interrupted has sent it.
        reason = if now.is_busy {
            format!("the workspace is {}", now.status)
        } else {
            tracing::info!(workspace = platform.name(), "attaching keys");
            match platform.put(&now.workspace).await {
                PutOutcome::Accepted => return Ok((now, true)),
                PutOutcome::Busy => "another update of the workspace is under way".to_owned(),
                PutOutcome::Compute(_) if Instant::now() < compute_deadline => {
                    left = left.min(compute_deadline.duration_since(Instant::now()));
                    "compute is running in the workspace".to_owned()
                }
                PutOutcome::Compute(diagnostic) => {
                    let diagnostic = with_wait_for_compute(diagnostic, orders);
                    return Err(Failure::new(diagnostic, &now.workspace, false));
                }
                PutOutcome::Refused(diagnostics, is_about_the_key) => {
                    return Err(Failure::new(diagnostics, &now.workspace, is_about_the_key));
                }
                PutOutcome::Lost(diagnostics) => {
                    return after_a_lost_answer(platform, now, diagnostics).await;
                }
            }
        };
        tracing::info!(
            workspace = platform.name(),
            reason,
            "waiting until the workspace can take the keys"
        );
        if pause(wait.min(left), around.stop).await == Pause::Stopped {
            return Err(Failure::new(stopped_before(&truth), &now.workspace, false));
        }
        wait = (wait * 2).min(LONGEST_WAIT);
        now = match platform.look(Instant::now()).await.value {
            Ok(found) => found,
            Err(errors) => return Err(Failure::new(errors, &now.workspace, false)),
        };
        if P::FAILED_IS_FINAL && now.condition == Condition::Failed {
            let failed = failed_before(platform, &now.workspace);
            return Err(Failure::new(failed, &now.workspace, false));
        }
    }
    Ok((now, false))
}

/// A request whose answer was lost: where the workspace shows the keys now, it was taken. Otherwise it may still be.
async fn after_a_lost_answer<P: Platform>(
    platform: &P,
    before: Look<P::Workspace>,
    diagnostics: Diagnostics,
) -> Result<(Look<P::Workspace>, bool), Box<Failure<P::Workspace>>> {
    let now = match platform.look(Instant::now()).await.value {
        Ok(now) if now.has_all => return Ok((now, true)),
        Ok(now) => now,
        Err(_) => before,
    };
    let mut failure = Failure::new(diagnostics, &now.workspace, false);
    failure.was_sent = true;
    Err(failure)
}

/// What the keys are like while a workspace takes them.
#[derive(Default)]
struct KeysSeen {
    /// The first one that can no longer be used, and its state.
    lost: Option<(KeyCheck, KeyState)>,
    /// Those whose state could not be read, and why. They are not lost, and not fine either.
    unread: Vec<(Key, String)>,
}

/// The states of the keys, by reads that began after `earliest`.
async fn see_keys(reads: &impl KeysInUse, keys: &[KeyCheck], earliest: Instant) -> KeysSeen {
    let mut seen = KeysSeen::default();
    for case in keys {
        match reads.state_after(case, earliest).await.value {
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
async fn without_access(reads: &impl KeysInUse, keys: &[KeyCheck]) -> Vec<Key> {
    let mut lost = Vec::new();
    for case in keys {
        reads.forget(case);
        let findings = reads.examine_now(std::slice::from_ref(case)).await;
        // What cannot be read is not lost.
        let is_lost = |one: &Finding| one.id.severity_rule() == SeverityRule::Error;
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

/// Waits until the workspace is at rest with the wanted keys and has stayed so for the time that was ordered. `had_all`: whether it had them
/// before; then it need not stay so.
async fn settled<K: KeysInUse, P: Platform>(
    around: &Around<'_, K>,
    platform: &P,
    mut now: P::Workspace,
    orders: &Orders,
    had_all: bool,
) -> Result<P::Workspace, Box<Failure<P::Workspace>>> {
    let sent = Instant::now();
    // Also what an earlier run has sent, and arrives while this one waits, can be reverted.
    let hold = match had_all {
        true => Duration::ZERO,
        false => orders.settle_time,
    };
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
                    return Err(Failure::new(
                        unwatched(platform, errors, had_all),
                        &now,
                        false,
                    ));
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
            see_keys(around.keys, &orders.keys, earliest).await
        } else {
            KeysSeen::default()
        };
        let end = match next {
            Next::Done | Next::Again(_) if let Some((key, state)) = keys.lost => {
                End::KeyLost(Box::new(key), state)
            }
            Next::Done => {
                if !keys.unread.is_empty() {
                    (around.warn)(keys_unread(platform, &keys.unread));
                }
                let lost = match hold.is_zero() {
                    true => Vec::new(),
                    false => without_access(around.keys, &orders.keys).await,
                };
                match lost.is_empty() {
                    true => return Ok(now),
                    false => End::AccessLost(lost),
                }
            }
            Next::Again(wait) => match (pause(wait, around.stop).await, watch.arrived()) {
                (Pause::Over, _) => continue,
                // The attach itself is done; that it stays is what the user does not want to wait for.
                (Pause::Stopped, Some(arrived)) => {
                    let left = hold.saturating_sub(at.saturating_sub(arrived));
                    (around.warn)(interrupted(platform, left));
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
        let watched = Watched {
            had_all,
            arrived: watch.arrived(),
            at,
        };
        let ended = not_attached(platform, &now, &end, orders, &watched);
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

#[cfg(test)]
mod tests;
