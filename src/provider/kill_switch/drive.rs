//! How the provider carries an order out, on every cloud: it reads the key (a look), decides the next step, takes it, and looks again, until the key is
//! as ordered or the time is over. The next look also shows what another writer does to the key at the same time.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::Instant;

use super::progress::Record;
use super::{NotDone, Outcome};
use crate::vocabulary::KeyState;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};

/// The shortest and the longest pause between two looks.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// After this time the provider takes a step again that does not show, and each time after a longer time. A change usually shows within seconds,
/// so another writer has probably reverted it. The provider may repeat each of the calls: the service accepts it, or answers that the key is so
/// already.
const AGAIN: Duration = Duration::from_secs(5);
/// More steps than any order needs: another writer may change the key at the same time.
const MOST_STEPS: usize = 20;
/// How many more steps each version of a key may need.
const STEPS_OF_A_VERSION: usize = 3;
/// How many looks the provider takes, within two seconds, to see whether the service carried out a
/// call whose answer was lost.
const LOOKS_AFTER_LOSS: u8 = 4;

/// What the provider does after a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Turn<S> {
    /// It takes this step.
    Take(S),
    /// It waits: the service is still changing the key.
    Wait,
    /// It ends: the key is as ordered.
    Finish,
    /// It ends: the provider has given back what it took away, and the key stays disabled as it was before.
    StayDisabled,
    /// It stops, for this reason.
    Refuse(String),
}

/// A look that failed.
#[derive(Debug)]
pub(super) struct Unseen {
    /// What the user reads if the provider stops here.
    pub(super) why: Diagnostics,
    /// Whether the next look may succeed.
    pub(super) may_pass: bool,
}

/// What an error says about the call that it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The service may have carried it out: the answer did not arrive, or the provider cannot read it.
    Lost,
    /// Another writer was faster, or the service is still changing the key: the next look shows what is true.
    Overtaken,
    /// The service did not carry it out.
    Refused,
}

/// A key of one service under an order. The service decides what a look shows, and what follows from it.
pub(super) trait Switch<'a> {
    /// What a look shows of the key.
    type Seen: Send + Sync;
    /// A call that changes the key.
    type Step: Clone + PartialEq + Send + Sync;
    /// The service's answer to a call that failed.
    type Error: Send;

    /// The record of the order, which collects what the provider has changed.
    fn record(&mut self) -> &mut Record<'a>;

    /// Reads the key.
    fn look(&self) -> impl Future<Output = Result<Self::Seen, Unseen>> + Send;

    /// Decides what the provider does after a look.
    fn next(&self, seen: &Self::Seen) -> Turn<Self::Step>;

    /// Makes the call of a step; `None` where the step needs no call, or has recorded its outcome itself.
    fn take(
        &mut self,
        step: &Self::Step,
        seen: &Self::Seen,
    ) -> impl Future<Output = Result<Option<Result<(), Self::Error>>, NotDone>> + Send;

    /// A step in words, before and after it is done: `disable version 1`, `disabled version 1`.
    fn called(&self, step: &Self::Step) -> (String, String);

    /// What an error says about its call.
    fn fate(error: &Self::Error) -> Fate;

    /// Effect: the service has carried out a step.
    fn took(&mut self, step: &Self::Step);

    /// Whether a look shows that the service has carried out a step.
    fn shows(&self, step: &Self::Step, seen: &Self::Seen) -> bool;

    /// The note for the user where the order continues without a step that failed; `None` where it cannot.
    fn without(&self, step: &Self::Step, error: &Self::Error) -> Option<String>;

    /// The error of a step that failed. `was_lost`: whether no look shows what became of its call.
    fn failed(&self, step: &Self::Step, error: &Self::Error, was_lost: bool) -> Diagnostics;

    /// Effect: the service accepted a step that does not show, and the provider takes it again.
    fn takes_again(&mut self) {}

    /// How many versions of the key a look showed: each may need steps of its own.
    fn versions(&self, seen: &Self::Seen) -> usize;

    /// The state of the key that a look showed.
    fn state(&self, seen: &Self::Seen) -> KeyState;

    /// How messages name the service and its key.
    fn words(&self) -> Words;

    /// The outcome of the order. `complete`: whether the key is as ordered.
    fn finished(self, seen: &Self::Seen, complete: bool) -> Outcome;
}

/// What a service and its key are called.
#[derive(Clone, Debug)]
pub(super) struct Words {
    /// The service at the beginning of a sentence: `Cloud KMS`.
    pub(super) service: &'static str,
    /// The full name of the key: on AWS, its ARN.
    pub(super) key: String,
    /// What another writer may change: the key, or its versions.
    pub(super) changed: String,
    /// The log in which the user finds the other writer.
    pub(super) log: &'static str,
    /// How the user sees the state of the key, as a sentence.
    pub(super) how_to_see: String,
}

/// The step that the provider took last.
struct Taken<S> {
    step: S,
    /// What it did, in words.
    done: String,
    /// When the provider takes the step again if it does not show.
    again_at: Instant,
}

/// Carries an order out.
///
/// # Errors
/// When the provider refuses, fails, or stops half-way: the message says what it has changed, and what is true.
pub(super) fn drive<'a, S: Switch<'a> + Send + Sync + 'a>(
    switch: S,
) -> Pin<Box<dyn Future<Output = Result<Outcome, NotDone>> + Send + 'a>> {
    // Behind a pointer, so that the many lifetimes of a switch are not part of the future that waits for it.
    Box::pin(driven(switch))
}

async fn driven<'a, S: Switch<'a> + Send + Sync>(mut switch: S) -> Result<Outcome, NotDone> {
    let deadline = Instant::now() + switch.record().options.patience;
    let (mut most, mut steps) = (MOST_STEPS, 0);
    let (mut pause, mut again) = (PAUSES.0, AGAIN);
    let mut taken: Option<Taken<S::Step>> = None;
    let mut lost = None;
    while steps < most {
        if switch.record().is_interrupted() {
            return Err(NotDone::Interrupted(switch.record().interrupted()));
        }
        let seen = match switch.look().await {
            Ok(seen) => seen,
            // The service accepted a call, so the provider looks again for its outcome.
            Err(unseen) if unseen.may_pass && taken.is_some() && Instant::now() < deadline => {
                switch.record().pause(pause).await;
                pause = (pause * 2).min(PAUSES.1);
                continue;
            }
            Err(unseen) => return Err(NotDone::Failed(unseen.why)),
        };
        let seen = match lost.take() {
            None => seen,
            Some(lost) => match found(&mut switch, seen, lost).await? {
                Some(seen) => seen,
                None => continue,
            },
        };
        most = most.max(MOST_STEPS + STEPS_OF_A_VERSION * switch.versions(&seen));
        let step = match switch.next(&seen) {
            Turn::Finish => return Ok(switch.finished(&seen, true)),
            Turn::StayDisabled => return Ok(switch.finished(&seen, false)),
            Turn::Refuse(why) => return Err(NotDone::Refused(switch.record().refused(&why))),
            Turn::Take(step) => Some(step),
            Turn::Wait => None,
        };
        let is_again = |last: &&Taken<S::Step>| step.as_ref().is_none_or(|own| *own == last.step);
        let last = taken.as_ref().filter(is_again);
        if last.is_some() || step.is_none() {
            let done = last.map(|last| last.done.clone()).unwrap_or_default();
            if Instant::now() >= deadline {
                return Err(NotDone::Failed(does_not_show(&mut switch, &seen, &done)));
            }
            let is_over = last.is_some_and(|last| Instant::now() >= last.again_at);
            if is_over && step.is_some() {
                // Where another writer was faster, the service did not accept the call, and there is nothing to report.
                if !done.is_empty() {
                    let note = takes_again(&switch, &seen, &done, again);
                    switch.record().note(note);
                    switch.takes_again();
                }
                again *= 2;
                taken = None;
                continue;
            }
            switch.record().pause(pause).await;
            pause = (pause * 2).min(PAUSES.1);
            continue;
        }
        let Some(step) = step else { continue };
        steps += 1;
        let before = switch.record().done.len();
        lost = take(&mut switch, &step, &seen).await?;
        let done = switch.record().done.get(before).cloned();
        taken = Some(Taken {
            step,
            done: done.unwrap_or_default(),
            again_at: Instant::now() + again,
        });
        pause = PAUSES.0;
    }
    let words = switch.words();
    Err(NotDone::Failed(
        switch.record().restless(&words.changed, words.log),
    ))
}

/// A call whose answer was lost.
struct Lost<S, E> {
    step: S,
    error: E,
}

type LostOf<'a, S> = Lost<<S as Switch<'a>>::Step, <S as Switch<'a>>::Error>;

/// Takes a step, and records its outcome. Returns the call if its answer was lost.
async fn take<'a, S: Switch<'a> + Send + Sync>(
    switch: &mut S,
    step: &S::Step,
    seen: &S::Seen,
) -> Result<Option<LostOf<'a, S>>, NotDone> {
    let error = match switch.take(step, seen).await? {
        None => return Ok(None),
        Some(Ok(())) => {
            switch.took(step);
            let (_, done) = switch.called(step);
            switch.record().changed(done);
            return Ok(None);
        }
        Some(Err(error)) => error,
    };
    let fate = S::fate(&error);
    if fate == Fate::Lost {
        let (doing, _) = switch.called(step);
        switch.record().unsure = Some(doing);
        let step = step.clone();
        return Ok(Some(Lost { step, error }));
    }
    match (switch.without(step, &error), fate) {
        (Some(note), _) => switch.record().note(note),
        (None, Fate::Overtaken) => {}
        (None, _) => return Err(NotDone::Failed(switch.failed(step, &error, false))),
    }
    Ok(None)
}

/// Looks until it shows what became of a call whose answer was lost: at once, or within a few looks. Returns the last look; `None` when the
/// user interrupts.
async fn found<'a, S: Switch<'a> + Send + Sync>(
    switch: &mut S,
    mut seen: S::Seen,
    lost: LostOf<'a, S>,
) -> Result<Option<S::Seen>, NotDone> {
    let mut pause = PAUSES.0;
    for _ in 0..LOOKS_AFTER_LOSS {
        if switch.shows(&lost.step, &seen) {
            switch.took(&lost.step);
            let (_, done) = switch.called(&lost.step);
            switch.record().shown(&done);
            return Ok(Some(seen));
        }
        if switch.record().is_interrupted() {
            return Ok(None);
        }
        switch.record().pause(pause).await;
        pause *= 2;
        if let Ok(again) = switch.look().await {
            seen = again;
        }
    }
    let Some(note) = switch.without(&lost.step, &lost.error) else {
        return Err(NotDone::Failed(switch.failed(
            &lost.step,
            &lost.error,
            true,
        )));
    };
    switch.record().note(note);
    switch.record().unsure = None;
    Ok(Some(seen))
}

/// The call in parentheses, for a sentence about it.
fn of_call(done: &str) -> String {
    match done {
        "" => String::new(),
        done => format!(" ({done})"),
    }
}

/// The note that the provider takes a step again. `after`: how long it has waited for the step to show.
fn takes_again<'a, S: Switch<'a>>(
    switch: &S,
    seen: &S::Seen,
    done: &str,
    after: Duration,
) -> String {
    format!(
        "{} accepted the call{}, and the key is still in the state {} after {} seconds. Somebody else may have changed it at the same time. The \
         provider makes the call again.",
        switch.words().service,
        of_call(done),
        switch.state(seen),
        after.as_secs()
    )
}

fn does_not_show<'a, S: Switch<'a>>(switch: &mut S, seen: &S::Seen, done: &str) -> Diagnostics {
    let (words, state) = (switch.words(), switch.state(seen));
    let record = switch.record();
    Diagnostic::error(
        "The change of the key does not show",
        format!(
            "{} accepted the call{}, and {} is still in the state {state} after {} seconds.{}\n\nSomebody else may have changed it at the same \
             time. {}",
            words.service,
            of_call(done),
            words.key,
            record.options.patience.as_secs(),
            record.so_far_in_words(),
            words.how_to_see
        ),
    )
    .into()
}

#[cfg(test)]
mod tests;
