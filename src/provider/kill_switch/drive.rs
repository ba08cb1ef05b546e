//! How an order is carried out, on every cloud: look, decide what follows, do it, and look again, until the key is as ordered or the time is over.
//! What somebody else does to the key at the same time is seen at the next look.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::Instant;

use super::progress::Record;
use super::{NotDone, Outcome};
use crate::vocabulary::KeyState;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};

/// The pauses between two looks.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// After this time a step that does not show is taken again, and each time later. Usually a change shows within seconds, so that somebody else has
/// probably taken it back. Each of the calls may be repeated: the service accepts it, or says that the key is so already.
const AGAIN: Duration = Duration::from_secs(5);
/// More steps than any order needs; somebody else may change the key at the same time.
const MOST_STEPS: usize = 20;
/// How many more steps each version of a key may need.
const STEPS_OF_A_VERSION: usize = 3;
/// How often a look shows whether a call was carried out whose answer was lost: within two seconds.
const LOOKS_AFTER_LOSS: u8 = 4;

/// What follows from what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Turn<S> {
    /// This step.
    Take(S),
    /// Nothing yet: the service is at it.
    Wait,
    /// The key is as ordered.
    Finish,
    /// What this provider took away is given back, and the key stays disabled as it was before.
    StayDisabled,
    /// It cannot be done: why.
    Refuse(String),
}

/// A look that failed.
#[derive(Debug)]
pub(super) struct Unseen {
    /// For the user.
    pub(super) why: Diagnostics,
    /// Whether the next look may succeed.
    pub(super) may_pass: bool,
}

/// What an error says of the call that ended with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It may have been carried out: its answer did not arrive, or cannot be read.
    Lost,
    /// Somebody else was faster, or the service is still at it: the next look shows what is true.
    Overtaken,
    /// It was not carried out.
    Refused,
}

/// A key of one service under an order. What is seen, and what follows from it, is the service's own.
pub(super) trait Switch<'a> {
    /// What a look shows.
    type Seen: Send + Sync;
    /// A step.
    type Step: Clone + PartialEq + Send + Sync;
    /// What the service answers to a call that failed.
    type Error: Send;

    /// What is done so far.
    fn record(&mut self) -> &mut Record<'a>;

    /// The key as it is now.
    fn look(&self) -> impl Future<Output = Result<Self::Seen, Unseen>> + Send;

    /// What follows.
    fn next(&self, seen: &Self::Seen) -> Turn<Self::Step>;

    /// Makes the call of a step; `None` where the step needs none, or has said itself what came of it.
    fn take(
        &mut self,
        step: &Self::Step,
        seen: &Self::Seen,
    ) -> impl Future<Output = Result<Option<Result<(), Self::Error>>, NotDone>> + Send;

    /// A step in words, before and after it is done: `disable version 1`, `disabled version 1`.
    fn called(&self, step: &Self::Step) -> (String, String);

    /// What an error says of its call.
    fn fate(error: &Self::Error) -> Fate;

    /// Effect: a step was carried out.
    fn took(&mut self, step: &Self::Step);

    /// Whether a look shows that a step was carried out.
    fn shows(&self, step: &Self::Step, seen: &Self::Seen) -> bool;

    /// What there is to say where an order goes on without a step that failed; `None` where it cannot.
    fn without(&self, step: &Self::Step, error: &Self::Error) -> Option<String>;

    /// A step that failed, for the user. `was_lost`: whether no look shows what became of its call.
    fn failed(&self, step: &Self::Step, error: &Self::Error, was_lost: bool) -> Diagnostics;

    /// Effect: a step that was accepted does not show, and is taken again.
    fn takes_again(&mut self) {}

    /// How many versions were seen.
    fn versions(&self, seen: &Self::Seen) -> usize;

    /// The state of the key.
    fn state(&self, seen: &Self::Seen) -> KeyState;

    /// The words of the service.
    fn words(&self) -> Words;

    /// What came of the order. `complete`: whether the key is as ordered.
    fn finished(self, seen: &Self::Seen, complete: bool) -> Outcome;
}

/// What a service and its key are called.
#[derive(Clone, Debug)]
pub(super) struct Words {
    /// The service at the beginning of a sentence: `Cloud KMS`.
    pub(super) service: &'static str,
    /// The key.
    pub(super) key: String,
    /// What somebody else may change: the key, or its versions.
    pub(super) changed: String,
    /// Where to find out who it was.
    pub(super) log: &'static str,
    /// How to see the state, as a sentence.
    pub(super) how_to_see: String,
}

/// The step that was taken last.
struct Taken<S> {
    step: S,
    /// What it did, in words.
    done: String,
    /// From when on it is taken again.
    again_at: Instant,
}

/// Carries an order out.
///
/// # Errors
/// When it cannot be done, or stops half-way: the message says what was changed and what is true.
pub(super) fn drive<'a, S: Switch<'a> + Send + Sync + 'a>(
    switch: S,
) -> Pin<Box<dyn Future<Output = Result<Outcome, NotDone>> + Send + 'a>> {
    // Behind a pointer, so that the many lifetimes of a switch are not part of what waits for it.
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
            // A call was accepted; what came of it is worth another look.
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
                // Where somebody was faster, the service did not take the call.
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

/// Takes a step, and says what came of its call; the call, where its answer was lost.
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

/// What is seen once it is known what became of a call whose answer was lost: at once, or within a few looks. `None` when the user interrupts.
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

/// The call, for a sentence about it.
fn of_call(done: &str) -> String {
    match done {
        "" => String::new(),
        done => format!(" ({done})"),
    }
}

/// `after`: how long it was waited for.
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
