//! An order on a key in memory: what the looks show, which calls the provider makes, and when it ends.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tfplugin::CancellationToken;

use super::*;
use crate::provider::kill_switch::{KeyOperation, Options, WayBack};

/// A key that shows a letter at each look, the last one from then on: `E`nabled, `D`isabled, `W` (the service is changing it), `?` (the look fails
/// and the next may succeed), `!` (each look fails), `R` (refused).
struct Fake<'a> {
    shows: &'static str,
    looks: &'a AtomicUsize,
    /// The answer to each call, a letter each, the last one from then on: `o`k, `l`ost, `c`onflict, `f`ailed, `n`ot needed.
    answers: &'static str,
    calls: &'a AtomicUsize,
    record: Record<'a>,
}

fn letter(letters: &str, at: &AtomicUsize) -> char {
    let at = at.fetch_add(1, Ordering::Relaxed);
    let mut all = letters.chars();
    all.clone().nth(at).or(all.next_back()).unwrap_or('D')
}

fn failed(why: &str) -> Diagnostics {
    Diagnostic::error(why, "a test").into()
}

impl<'a> Switch<'a> for Fake<'a> {
    type Seen = char;
    type Step = ();
    type Error = char;

    fn record(&mut self) -> &mut Record<'a> {
        &mut self.record
    }

    async fn look(&self) -> Result<char, Unseen> {
        match letter(self.shows, self.looks) {
            letter @ ('?' | '!') => Err(Unseen {
                why: failed("the look failed"),
                may_pass: letter == '?',
            }),
            letter => Ok(letter),
        }
    }

    fn next(&self, seen: &char) -> Turn<()> {
        match seen {
            'E' => Turn::Take(()),
            'W' => Turn::Wait,
            'R' => Turn::Refuse("why".to_owned()),
            _ => Turn::Finish,
        }
    }

    async fn take(&mut self, (): &(), _: &char) -> Result<Option<Result<(), char>>, NotDone> {
        Ok(Some(match letter(self.answers, self.calls) {
            'o' => Ok(()),
            letter => Err(letter),
        }))
    }

    fn called(&self, (): &()) -> (String, String) {
        ("disable it".to_owned(), "disabled it".to_owned())
    }

    fn fate(error: &char) -> Fate {
        match error {
            'l' => Fate::Lost,
            'c' => Fate::Overtaken,
            _ => Fate::Refused,
        }
    }

    fn shows(&self, (): &(), seen: &char) -> bool {
        *seen == 'D'
    }

    fn took(&mut self, (): &()) {}

    fn without(&self, (): &(), error: &char) -> Option<String> {
        // The order continues without this step.
        (*error == 'n').then(|| "it goes on".to_owned())
    }

    fn failed(&self, (): &(), _: &char, was_lost: bool) -> Diagnostics {
        match was_lost {
            true => failed("the call was lost"),
            false => failed("the call failed"),
        }
    }

    fn versions(&self, _: &char) -> usize {
        0
    }

    fn state(&self, seen: &char) -> KeyState {
        KeyState::Other(seen.to_string())
    }

    fn words(&self) -> Words {
        Words {
            service: "The service",
            key: "the key".to_owned(),
            changed: "the key".to_owned(),
            log: "a log",
            how_to_see: "Look.".to_owned(),
        }
    }

    fn finished(self, _: &char, complete: bool) -> Outcome {
        Outcome {
            changed: !self.record.done.is_empty(),
            state: KeyState::Disabled,
            deletion_date: None,
            versions: Vec::new(),
            way_back: WayBack::Restore,
            complete,
            notes: self.record.notes,
        }
    }
}

/// Each row: what the looks show, the answers to the calls, how long a change may take (seconds), and then: how the order ended, how many calls
/// the provider made, and after how many seconds it ended, at least and at most.
#[tokio::test(start_paused = true)]
async fn an_order_is_carried_out_until_it_shows_or_the_time_is_over() {
    type Row = (
        &'static str,
        &'static str,
        &'static str,
        u64,
        &'static str,
        usize,
        (u64, u64),
    );
    let rows: [Row; 15] = [
        ("it is so already", "D", "", 60, "done", 0, (0, 0)),
        ("one call", "ED", "o", 60, "changed", 1, (0, 0)),
        ("it shows late", "EEEED", "o", 60, "changed", 1, (0, 2)),
        (
            "it shows too late, and is done again",
            "EEEEEEEEEED",
            "o",
            60,
            "changed, again",
            2,
            (5, 20),
        ),
        ("it never shows", "E", "o", 60, "does not show", 4, (60, 70)),
        ("nobody waits", "E", "o", 0, "does not show", 1, (0, 0)),
        (
            "the service is at it",
            "EWWWD",
            "o",
            60,
            "changed",
            1,
            (0, 3),
        ),
        (
            "it never comes to its end",
            "EW",
            "o",
            60,
            "does not show",
            1,
            (60, 70),
        ),
        (
            "the answer is lost, and it shows",
            "ED",
            "l",
            60,
            "changed",
            1,
            (0, 0),
        ),
        (
            "the answer is lost, and it shows late",
            "EEED",
            "l",
            60,
            "changed",
            1,
            (0, 2),
        ),
        (
            "the answer is lost, and it does not show",
            "E",
            "l",
            60,
            "the call was lost",
            1,
            (1, 3),
        ),
        ("somebody was faster", "ED", "c", 60, "done", 1, (0, 0)),
        (
            "a look fails after a call",
            "E???D",
            "o",
            60,
            "changed",
            1,
            (0, 3),
        ),
        (
            "a look fails before one",
            "?D",
            "",
            60,
            "the look failed",
            0,
            (0, 0),
        ),
        (
            "a look fails for good",
            "E!D",
            "o",
            60,
            "the look failed",
            1,
            (0, 0),
        ),
    ];
    for (name, shows, answers, patience, expected, calls, (least, most)) in rows {
        let (ended, made, took) = carried_out(shows, answers, patience).await;
        assert_eq!((ended.as_str(), made), (expected, calls), "{name}");
        assert!((least..=most).contains(&took), "{name}: {took} s");
    }
    assert_eq!(carried_out("R", "", 60).await.0, "refused");
    assert_eq!(carried_out("EE", "f", 60).await.0, "the call failed");
    assert_eq!(carried_out("ED", "n", 60).await.0, "done");
}

/// The provider gives up against a writer that reverts each change at once.
#[tokio::test(start_paused = true)]
async fn whoever_takes_everything_back_is_told_of() {
    const BACK_AND_FORTH: &str =
        "EWEWEWEWEWEWEWEWEWEWEWEWEWEWEWEWEWEWEWEWEWEWEWEWEWEWEWEWEWEWEWEWEW";
    let (ended, calls, _) = carried_out(BACK_AND_FORTH, "o", 1_000_000).await;
    assert!(calls <= MOST_STEPS, "{calls}");
    assert!(
        ended == "The key changed again after the command" || ended == "does not show",
        "{ended}"
    );
}

async fn carried_out(
    shows: &'static str,
    answers: &'static str,
    patience: u64,
) -> (String, usize, u64) {
    let (looks, calls) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (changed, taking) = (AtomicBool::new(false), AtomicBool::new(false));
    let stop = CancellationToken::new();
    let options = Options {
        say: &|_| {},
        patience: Duration::from_secs(patience),
        stop: &stop,
        changed: &changed,
        taking: &taking,
    };
    let begun = Instant::now();
    let ended = drive(Fake {
        shows,
        looks: &looks,
        answers,
        calls: &calls,
        record: Record::new(KeyOperation::Disable, options),
    })
    .await;
    let ended = match ended {
        Ok(outcome) => {
            let again = outcome
                .notes
                .iter()
                .any(|note| note.contains("makes the call again"));
            match (outcome.changed, again) {
                (false, _) => "done",
                (true, false) => "changed",
                (true, true) => "changed, again",
            }
            .to_owned()
        }
        Err(NotDone::Refused(_)) => "refused".to_owned(),
        Err(NotDone::Interrupted(_)) => "interrupted".to_owned(),
        Err(NotDone::Failed(why)) => {
            let summary = why
                .iter()
                .map(|one| one.summary.clone())
                .collect::<String>();
            match summary.as_str() {
                "The change of the key does not show" => "does not show".to_owned(),
                other => other.to_owned(),
            }
        }
    };
    (ended, calls.into_inner(), begun.elapsed().as_secs())
}
