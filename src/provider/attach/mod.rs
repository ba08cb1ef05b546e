//! Attaching keys to a workspace: the provider sends them once, watches the workspace until they are there permanently, and reports success only
//! then. Databricks often cannot undo an attach, so whatever goes wrong, the caller learns what the workspace has now.
//!
//! A [`Platform`] reads and changes a workspace; a [`Watch`] decides when a change counts as done.

pub mod account;
pub mod arm;
mod words;

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::cache::AsOf;
use super::client::Client;
use super::deadline::{Deadline, Pause, pause};
use super::diagnose::Stops;
use super::keys::{KeyCheck, Keys};
use super::settled::{Condition, LONGEST_HOLDING, Next, Rules, Seen, Shows, Watch};
use crate::preflight::{Finding, SeverityRule};
use crate::vocabulary::{Key, KeyState};
use tfplugin::context::Context;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::duration::spell;
use words::{
    End, Watched, failed_before, interrupted, keys_unread, never_ready, no_longer_usable,
    not_attached, stopped_before, unwatched, with_wait_for_compute,
};

/// How many reads in a row must show the wanted value: after a failed update, Databricks silently reverts.
const READS_IN_A_ROW: u32 = 3;
/// The shortest and the longest pause between two reads of the workspace.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// The longest pause between two tries while compute runs or another update is under way.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What one read of a workspace showed.
#[derive(Clone, Debug)]
pub struct Look<W> {
    /// The workspace, as the platform shows it.
    pub workspace: W,
    /// Whether the workspace has every key that the configuration wants.
    pub has_all: bool,
    /// Whether the workspace is at rest, changing, or failed.
    pub condition: Condition,
    /// Whether another update is under way, so that the platform accepts none now.
    pub is_busy: bool,
    /// The status of the workspace, in the platform's own word.
    pub status: String,
}

/// How the platform answered a request to change the keys.
pub enum PutOutcome {
    /// The platform accepted it, or an earlier one is under way.
    Accepted,
    /// The platform has made what the keys need in the workspace, which can take minutes: the proof is made again, and then the keys are sent.
    Prepared,
    /// Another update of the workspace is under way.
    Busy,
    /// Compute runs in the workspace, and the platform does not change its keys meanwhile. The diagnostic is for the case
    /// that the compute does not stop in time.
    Compute(Diagnostic),
    /// The platform refused it. The flag says whether the key may be the reason: then the proof explains the refusal.
    Refused(Diagnostics, bool),
    /// The answer was lost, or says nothing about the request: the platform may have accepted it.
    Lost(Diagnostics),
}

/// How the provider reads a workspace and changes its keys, on one platform.
pub trait Platform {
    /// A workspace as the platform shows it.
    type Workspace: Clone;

    /// Whether the platform accepts no more changes of a workspace that has failed.
    const FAILED_IS_FINAL: bool;

    /// After how long at rest with the old keys the platform has certainly not carried out the change; `None` where it may begin late.
    const KEPT_AFTER: Option<Duration>;

    /// Compares what a workspace shows with what the configuration wants.
    fn seen(&self, workspace: Self::Workspace) -> Look<Self::Workspace>;

    /// The keys and the state of the workspace, from a read that began after `earliest`.
    fn look(
        &self,
        earliest: Instant,
    ) -> impl Future<Output = AsOf<Result<Look<Self::Workspace>, Diagnostics>>> + Send;

    /// Whether this run has already read the workspace often enough to know that its keys stay, where the provider sent nothing.
    fn has_long_had_all(&self) -> bool {
        false
    }

    /// Sends the keys that are missing.
    fn put(&self, now: &Self::Workspace) -> impl Future<Output = PutOutcome> + Send;

    /// Which workspace it is, for messages: `workspace 123`.
    fn name(&self) -> String;

    /// Which keys a workspace has now, in sentences.
    fn what_is_true(&self, now: &Self::Workspace) -> String;

    /// The platform's message about the status of a workspace, if there is one.
    fn status_message<'a>(&self, now: &'a Self::Workspace) -> Option<&'a str>;

    /// How long the platform usually takes, for a message about a timeout.
    fn usual_time(&self, now: &Self::Workspace) -> &'static str;
}

/// What the user asked of an attach.
#[derive(Debug)]
pub struct Orders {
    /// The keys that the workspace takes: the provider watches their states meanwhile.
    pub keys: Vec<KeyCheck>,
    /// By when the workspace must show the keys.
    pub deadline: Deadline,
    /// How long the provider waits for compute in the workspace to stop.
    pub wait_for_compute: Duration,
    /// How long the provider watches the workspace once it shows the keys.
    pub settle_time: Duration,
    /// Which findings of the proof keep the keys from being sent.
    pub stops: Stops,
}

/// Why the attach failed, and what the workspace has instead.
#[derive(Debug)]
pub struct Failure<W> {
    /// What the user reads.
    pub diagnostics: Diagnostics,
    /// The workspace as the last read showed it.
    pub now: W,
    /// Whether the platform rejected the key: then the caller examines the key again to explain it.
    pub is_about_the_key: bool,
    /// Whether the platform had accepted the change, so that the workspace may have the new keys whatever it shows.
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

/// The keys that a workspace takes, for the reads of an attach.
pub trait KeysInUse {
    /// The state of a key, as a read that began after `earliest` shows it, or why the provider cannot read it.
    fn state_after(
        &self,
        check: &KeyCheck,
        earliest: Instant,
    ) -> impl Future<Output = AsOf<Result<KeyState, String>>> + Send;

    /// What the proof finds for each check now, without waiting for a key policy.
    fn examine_now(&self, checks: &[KeyCheck]) -> impl Future<Output = Vec<Vec<Finding>>> + Send;

    /// What the proof finds for each check now, if it rests on a read from before `earliest`; `None` if every read is younger.
    fn examine_again(
        &self,
        checks: &[KeyCheck],
        earliest: Instant,
    ) -> impl Future<Output = Option<Vec<Vec<Finding>>>> + Send;

    /// Effect: the next proof reads the key of a check again.
    fn forget(&self, check: &KeyCheck);
}

impl KeysInUse for Keys {
    async fn state_after(
        &self,
        check: &KeyCheck,
        earliest: Instant,
    ) -> AsOf<Result<KeyState, String>> {
        Self::state_after(self, check, earliest).await
    }

    async fn examine_now(&self, checks: &[KeyCheck]) -> Vec<Vec<Finding>> {
        // An attach holds the lock of the workspace, for which a key policy may wait: if the attach
        // waited for that policy, neither would go on.
        Self::examine_now(self, checks).await
    }

    async fn examine_again(
        &self,
        checks: &[KeyCheck],
        earliest: Instant,
    ) -> Option<Vec<Vec<Finding>>> {
        Self::examine_again(self, checks, earliest).await
    }

    fn forget(&self, check: &KeyCheck) {
        Self::forget(self, &check.key());
    }
}

/// What an attach needs besides its platform.
struct Around<'a, K> {
    keys: &'a K,
    /// Cancelled when Terraform wants to stop.
    stop: &'a CancellationToken,
    /// Shows the user a warning that does not stop the run.
    warn: &'a (dyn Fn(Diagnostic) + Send + Sync),
}

/// Attaches the keys that are missing, and waits until the workspace has kept them for the settle
/// time. The caller holds the lock of the workspace.
///
/// # Errors
/// When the attach fails, with what the workspace has instead.
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
        // The proof explains the failure by the key as it is now, not as it was before the attach.
        orders
            .keys
            .iter()
            .for_each(|check| around.keys.forget(check));
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

/// The keys whose proof no longer holds. The reads behind it may be older than a change of the key by somebody else, or than a long wait for the
/// workspace. Nobody can undo every attach, so the provider reads again what is not young.
async fn without_proof(reads: &impl KeysInUse, orders: &Orders) -> Vec<Key> {
    let Some(earliest) = Instant::now().checked_sub(LONGEST_HOLDING) else {
        return Vec::new();
    };
    let again = reads.examine_again(&orders.keys, earliest).await;
    let of_each = orders.keys.iter().zip(again.unwrap_or_default());
    let mut lost = Vec::new();
    for (check, findings) in of_each {
        if findings.iter().any(|one| orders.stops.at(one)) && !lost.contains(&check.key()) {
            lost.push(check.key());
        }
    }
    lost
}

/// Waits until the workspace can take the keys, and sends those that are missing. The flag says whether the platform may have accepted a request.
async fn send<K: KeysInUse, P: Platform>(
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
        // Once the time is over, the provider could not wait for the outcome, so it sends nothing.
        if left.is_zero() {
            let late = never_ready(&truth, orders, &reason);
            return Err(Failure::new(late, &now.workspace, false));
        }
        // The workspace may be changing to the wanted keys already: an interrupted run has sent them.
        reason = if now.is_busy {
            format!("the workspace is {}", now.status)
        } else {
            let no_longer_proven = without_proof(around.keys, orders).await;
            if !no_longer_proven.is_empty() {
                let refused = no_longer_usable(&truth, &no_longer_proven);
                return Err(Failure::new(refused, &now.workspace, true));
            }
            tracing::info!(workspace = platform.name(), "attaching keys");
            match platform.put(&now.workspace).await {
                PutOutcome::Accepted => return Ok((now, true)),
                PutOutcome::Prepared => "the workspace was prepared for its keys".to_owned(),
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

/// After a lost answer: if the workspace shows the keys now, the platform accepted the request. If not, it may still have.
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

/// The states of the keys while a workspace takes them.
#[derive(Default)]
struct KeysSeen {
    /// The first key that Databricks can no longer use, and its state.
    lost: Option<(KeyCheck, KeyState)>,
    /// The keys whose state the provider could not read, and why. It reports them neither as lost nor as good.
    unread: Vec<(Key, String)>,
}

/// Reads the states of the keys, by reads that began after `earliest`.
async fn see_keys(reads: &impl KeysInUse, keys: &[KeyCheck], earliest: Instant) -> KeysSeen {
    let mut seen = KeysSeen::default();
    for check in keys {
        match reads.state_after(check, earliest).await.value {
            Ok(KeyState::Enabled) => {}
            Ok(state) => {
                seen.lost = Some((check.clone(), state));
                return seen;
            }
            Err(error) => {
                tracing::warn!(key = %check.key(), error, "the state of the key could not be read while it settles");
                seen.unread.push((check.key(), error));
            }
        }
    }
    seen
}

/// The keys that certainly do not let Databricks use them, by reads that begin now.
async fn without_access(reads: &impl KeysInUse, keys: &[KeyCheck]) -> Vec<Key> {
    let mut lost = Vec::new();
    for check in keys {
        reads.forget(check);
        let findings = reads.examine_now(std::slice::from_ref(check)).await;
        // A key that the provider cannot read does not count as lost.
        let is_lost = |one: &Finding| one.id.severity_rule() == SeverityRule::Error;
        if findings.iter().flatten().any(is_lost) && !lost.contains(&check.key()) {
            lost.push(check.key());
        }
    }
    lost
}

/// Waits until the workspace is at rest with the wanted keys and has kept them for the settle time. `had_all`: whether it had them before;
/// then there is no settle time.
async fn settled<K: KeysInUse, P: Platform>(
    around: &Around<'_, K>,
    platform: &P,
    now: P::Workspace,
    orders: &Orders,
    had_all: bool,
) -> Result<P::Workspace, Box<Failure<P::Workspace>>> {
    let sent = Instant::now();
    // The platform can also revert what an earlier run has sent and what arrives while this one waits.
    let hold = match had_all {
        true => Duration::ZERO,
        false => orders.settle_time,
    };
    let mut settling = Settling {
        around,
        platform,
        orders,
        watch: Watch::new(Rules {
            in_a_row: READS_IN_A_ROW,
            undone_after: Some(READS_IN_A_ROW),
            kept_after: P::KEPT_AFTER,
            replaced_after: None,
            hold,
            deadline: orders.deadline.left(),
            pauses: PAUSES,
        }),
        now,
        sent,
        last: sent,
        hold,
        had_all,
    };
    loop {
        let (next, at) = settling.look().await?;
        let Some(end) = settling.step(next, at).await else {
            continue;
        };
        return match end {
            Ok(()) => Ok(settling.now),
            Err(end) => Err(settling.failed(&end, at)),
        };
    }
}

/// A workspace that takes keys, as the provider watches it.
struct Settling<'a, K, P: Platform> {
    around: &'a Around<'a, K>,
    platform: &'a P,
    orders: &'a Orders,
    watch: Watch,
    /// The workspace as the last read showed it.
    now: P::Workspace,
    /// When the provider sent the keys.
    sent: Instant,
    /// When the last look began.
    last: Instant,
    /// How long the workspace must keep them.
    hold: Duration,
    had_all: bool,
}

impl<K: KeysInUse, P: Platform> Settling<'_, K, P> {
    /// Reads the workspace once: what follows from what it shows, and how long after the request that was.
    async fn look(&mut self) -> Result<(Next, Duration), Box<Failure<P::Workspace>>> {
        let look = self.platform.look(self.last).await;
        self.last = look.begun;
        let at = self.sent.elapsed();
        let errors = match look.value {
            Ok(found) => {
                tracing::info!(
                    workspace = self.platform.name(),
                    status = found.status,
                    attached = found.has_all,
                    elapsed = spell(at),
                    "watching the workspace"
                );
                self.now = found.workspace;
                let shows = match found.has_all {
                    true => Shows::Wanted,
                    false => Shows::Before,
                };
                let condition = found.condition;
                return Ok((self.watch.saw(Seen { shows, condition }, at), at));
            }
            Err(errors) => errors,
        };
        match self.watch.failed_to_see(at) {
            Next::Unseen => {
                let unwatched = unwatched(self.platform, errors, self.had_all);
                Err(Failure::new(unwatched, &self.now, false))
            }
            next => {
                tracing::warn!(
                    workspace = self.platform.name(),
                    error = joined(&errors),
                    "the workspace could not be read; reading again"
                );
                Ok((next, at))
            }
        }
    }

    /// Does what follows from a look: `None` after a pause, for the next look; otherwise whether the workspace keeps the keys.
    async fn step(&mut self, next: Next, at: Duration) -> Option<Result<(), End>> {
        let keys = self.see_keys(next).await;
        Some(match next {
            Next::Done | Next::Again(_) if let Some((key, state)) = keys.lost => {
                Err(End::KeyLost(Box::new(key), state))
            }
            Next::Done => self.confirmed(&keys.unread).await,
            Next::Again(wait) => {
                match (pause(wait, self.around.stop).await, self.watch.arrived()) {
                    (Pause::Over, _) => return None,
                    // The attach is done; the user only does not want to wait until it is certain that the keys stay.
                    (Pause::Stopped, Some(arrived)) => {
                        let left = self.hold.saturating_sub(at.saturating_sub(arrived));
                        (self.around.warn)(interrupted(self.platform, left));
                        Ok(())
                    }
                    (Pause::Stopped, None) => Err(End::Stopped),
                }
            }
            Next::Undone | Next::Replaced => Err(End::Undone),
            Next::Failed => Err(End::Failed),
            Next::TimedOut | Next::Unseen => Err(End::TimedOut),
        })
    }

    /// The states of the keys, while the workspace shows what is wanted. While the keys settle, bindings share reads; the last answer rests on a
    /// read from after the settle time.
    async fn see_keys(&self, next: Next) -> KeysSeen {
        if self.hold.is_zero() || !matches!(next, Next::Done | Next::Again(_)) {
            return KeysSeen::default();
        }
        let young = Instant::now().checked_sub(LONGEST_HOLDING);
        let earliest = match (next, self.watch.arrived()) {
            (Next::Done, Some(arrived)) => self.sent + arrived + self.hold,
            _ => young.map_or(self.sent, |young| young.max(self.sent)),
        };
        see_keys(self.around.keys, &self.orders.keys, earliest).await
    }

    /// The workspace has kept the keys long enough: whether they still let Databricks in.
    async fn confirmed(&self, unread: &[(Key, String)]) -> Result<(), End> {
        if !unread.is_empty() {
            (self.around.warn)(keys_unread(self.platform, unread));
        }
        if self.hold.is_zero() {
            return Ok(());
        }
        let lost = without_access(self.around.keys, &self.orders.keys).await;
        match lost.is_empty() {
            true => Ok(()),
            false => Err(End::AccessLost(lost)),
        }
    }

    fn failed(&self, end: &End, at: Duration) -> Box<Failure<P::Workspace>> {
        let is_about_the_key = matches!(
            end,
            End::Undone | End::Failed | End::KeyLost(..) | End::AccessLost(_)
        );
        let watched = Watched {
            had_all: self.had_all,
            arrived: self.watch.arrived(),
            at,
        };
        let ended = not_attached(self.platform, &self.now, end, self.orders, &watched);
        Failure::new(ended, &self.now, is_about_the_key)
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
