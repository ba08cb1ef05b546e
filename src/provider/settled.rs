//! Watching a service until a change is permanent.
//!
//! Databricks accepts an attach and may silently undo it; KMS shows an old policy for a while after a put, and another
//! writer may replace our policy with theirs. The provider watches both in the same way: it reads the service again and
//! again (a look), and [`Watch`] decides from what each look showed, and when, whether the provider waits on. `Watch` has no
//! clock and no network, so every case is a row of a table test.

use std::time::Duration;

/// Which value a look showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// The value that the provider sent.
    Wanted,
    /// The value that the provider replaces, or no value.
    Before,
    /// A third value, which another writer sent.
    Another,
}

/// What a look showed of the object that has the value: the workspace, or the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The object is at rest, and works.
    Ready,
    /// The service is changing the object, and finishes by itself.
    Changing,
    /// The change failed, and the service does not repair it by itself.
    Failed,
}

/// What one look showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which value the object has.
    pub shows: Shows,
    /// In which condition the object is.
    pub condition: Condition,
}

/// When a value counts as arrived, as undone, as late.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How many looks in a row must show the wanted value before it counts as arrived.
    pub in_a_row: u32,
    /// After how many looks in a row with another value the change counts as undone, once a look has shown the wanted value or
    /// a changing object; `None` where an old value is only an old read.
    pub undone_after: Option<u32>,
    /// After how long at rest without the wanted value the change counts as undone, although no look ever showed it; `None` where the
    /// service may begin late.
    pub kept_after: Option<Duration>,
    /// After how many looks in a row a third value means that another writer has replaced ours; `None` where it counts as the old one.
    pub replaced_after: Option<u32>,
    /// How long the value must stay after it arrived.
    pub hold: Duration,
    /// How long the provider waits for the value to arrive.
    pub deadline: Duration,
    /// The shortest and the longest pause between two looks before the value arrives.
    pub pauses: (Duration, Duration),
}

/// The longest pause between two looks while the value must stay.
pub const LONGEST_HOLDING: Duration = Duration::from_secs(15);
/// The longest pause between two looks that count toward `in_a_row`.
const LONGEST_IN_A_ROW: Duration = Duration::from_secs(1);
/// After how many failed looks in a row the provider stops waiting.
const UNSEEN: u32 = 3;
/// How much longer the provider waits at the end of the hold for a value that arrived and is away.
const GRACE: Duration = Duration::from_secs(60);

/// What the provider does after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It waits this long, and looks again.
    Again(Duration),
    /// It stops: the value arrived, and it stayed.
    Done,
    /// It stops: the service undid the change.
    Undone,
    /// It stops: another writer has sent another value.
    Replaced,
    /// It stops: the change failed.
    Failed,
    /// It stops: the time is over.
    TimedOut,
    /// It stops: too many looks in a row failed.
    Unseen,
}

/// What the looks have shown so far. Times count from the moment at which the service accepted the change.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    rules: Rules,
    pause: Duration,
    row: u32,
    without: u32,
    another: u32,
    unseen: u32,
    was_seen: bool,
    was_changing: bool,
    arrived: Option<Duration>,
    kept_since: Option<Duration>,
}

impl Watch {
    /// A watch before its first look.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            pause: rules.pauses.0,
            row: 0,
            without: 0,
            another: 0,
            unseen: 0,
            was_seen: false,
            was_changing: false,
            arrived: None,
            kept_since: None,
        }
    }

    /// When the value arrived; `None` while it has not.
    pub fn arrived(&self) -> Option<Duration> {
        self.arrived
    }

    /// Decides what the provider does after a look that showed `seen` after the time `at`.
    pub fn saw(&mut self, seen: Seen, at: Duration) -> Next {
        let is_ready = seen.condition == Condition::Ready;
        let is_good = is_ready && seen.shows == Shows::Wanted;
        self.unseen = 0;
        self.was_seen |= seen.shows == Shows::Wanted;
        self.was_changing |= seen.condition == Condition::Changing;
        let is_gone =
            is_ready && seen.shows != Shows::Wanted && (self.was_seen || self.was_changing);
        let count = |counter: u32, is_so: bool| if is_so { counter + 1 } else { 0 };
        self.row = count(self.row, is_good);
        self.without = count(self.without, is_gone);
        self.another = count(self.another, seen.shows == Shows::Another);
        if self.row >= self.rules.in_a_row && self.arrived.is_none() {
            self.arrived = Some(at);
            self.pause = self.rules.pauses.0;
        }
        let reached =
            |counter: u32, limit: Option<u32>| limit.is_some_and(|limit| counter >= limit);
        if seen.condition == Condition::Failed {
            return Next::Failed;
        }
        if reached(self.another, self.rules.replaced_after) {
            return Next::Replaced;
        }
        if reached(self.without, self.rules.undone_after) || self.is_kept(seen, at) {
            return Next::Undone;
        }
        if is_good
            && self
                .arrived
                .is_some_and(|arrived| at >= arrived + self.rules.hold)
        {
            return Next::Done;
        }
        // The value arrived, and this look does not show it: the next look comes soon.
        if self.arrived.is_some() && !is_good {
            self.pause = self.rules.pauses.0;
        }
        self.again(at)
    }

    /// Whether the object has been at rest without the wanted value for so long that the service did not carry out the change.
    fn is_kept(&mut self, seen: Seen, at: Duration) -> bool {
        let is_old = seen.condition == Condition::Ready && seen.shows != Shows::Wanted;
        let since = is_old.then(|| self.kept_since.unwrap_or(at));
        self.kept_since = since;
        match (since, self.rules.kept_after) {
            (Some(since), Some(limit)) => at.saturating_sub(since) >= limit,
            _ => false,
        }
    }

    /// Decides what the provider does when a look failed after the time `at`: it looks again, until
    /// [`UNSEEN`] looks in a row have failed.
    pub fn failed_to_see(&mut self, at: Duration) -> Next {
        self.unseen += 1;
        if self.unseen >= UNSEEN || at >= self.limit() {
            return Next::Unseen;
        }
        self.again(at)
    }

    fn limit(&self) -> Duration {
        let Rules { hold, deadline, .. } = self.rules;
        self.arrived
            .map_or(deadline, |arrived| deadline.max(arrived + hold) + GRACE)
    }

    fn again(&mut self, at: Duration) -> Next {
        if at >= self.limit() {
            return Next::TimedOut;
        }
        let shortest = self.rules.pauses.0;
        let longest = match self.arrived {
            // The provider takes its last look exactly when the hold ends.
            Some(arrived) => LONGEST_HOLDING.min((arrived + self.rules.hold).saturating_sub(at)),
            None if self.row > 0 => self.rules.pauses.1.min(LONGEST_IN_A_ROW),
            None => self.rules.pauses.1,
        };
        let pause = self.pause.min(longest).max(shortest);
        self.pause = (self.pause * 2).min(LONGEST_HOLDING);
        Next::Again(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn attach(hold: u64) -> Watch {
        Watch::new(Rules {
            in_a_row: 3,
            undone_after: Some(3),
            kept_after: None,
            replaced_after: None,
            hold: Duration::from_secs(hold),
            deadline: Duration::from_secs(100),
            pauses: (Duration::from_millis(250), Duration::from_secs(10)),
        })
    }

    fn over() -> Watch {
        let mut watch = attach(0);
        watch.rules.kept_after = Some(SECOND * 5);
        watch
    }

    fn policy() -> Watch {
        Watch::new(Rules {
            in_a_row: 5,
            undone_after: None,
            kept_after: None,
            replaced_after: Some(2),
            hold: Duration::ZERO,
            deadline: Duration::from_secs(10),
            pauses: (Duration::from_millis(100), Duration::from_secs(5)),
        })
    }

    /// Plays one look a second, each a letter: w(anted), b(efore), a(nother), c(hanging), W (wanted, and changing),
    /// f(ailed), x (the look failed). Returns the decision after the last one, and the second of that look.
    fn play(mut watch: Watch, looks: &str) -> (String, usize) {
        let mut last = String::new();
        for (index, look) in looks.chars().enumerate() {
            let at = SECOND * u32::try_from(index).expect("few looks");
            let seen = |shows, condition| Seen { shows, condition };
            let next = match look {
                'w' => watch.saw(seen(Shows::Wanted, Condition::Ready), at),
                'b' => watch.saw(seen(Shows::Before, Condition::Ready), at),
                'a' => watch.saw(seen(Shows::Another, Condition::Ready), at),
                'c' => watch.saw(seen(Shows::Before, Condition::Changing), at),
                'W' => watch.saw(seen(Shows::Wanted, Condition::Changing), at),
                'f' => watch.saw(seen(Shows::Before, Condition::Failed), at),
                _ => watch.failed_to_see(at),
            };
            last = match next {
                Next::Again(_) => "again".to_owned(),
                other => format!("{other:?}").to_lowercase(),
            };
            if last != "again" {
                return (last, index + 1);
            }
        }
        (last, looks.len())
    }

    /// Each row: what the provider watches, the looks, the decision, and at which look it comes.
    #[test]
    fn what_was_seen_decides_what_follows() {
        let long = "b".repeat(100);
        let rows: &[(&str, Watch, &str, &str, usize)] = &[
            ("three good looks in a row", attach(0), "www", "done", 3),
            (
                "an interrupted row begins again",
                attach(0),
                "wwbwww",
                "done",
                6,
            ),
            (
                "a row is not complete while the object changes",
                attach(0),
                "wwWwww",
                "done",
                6,
            ),
            ("it shows late", attach(0), "bbbbbbbbwww", "done", 11),
            (
                "the old value alone is no revert: it may be an old read",
                attach(0),
                "bbbbbb",
                "again",
                6,
            ),
            (
                "where the change is known to be over, an old value that stays is one",
                over(),
                "bbbbbbbb",
                "undone",
                6,
            ),
            (
                "a new value or a change in between begins anew",
                over(),
                "bbbbcbbwww",
                "done",
                10,
            ),
            (
                "the old value after the new one is a revert",
                attach(0),
                "wbbb",
                "undone",
                4,
            ),
            (
                "so it is after the object has changed",
                attach(0),
                "ccbbb",
                "undone",
                5,
            ),
            ("a single old read is none", attach(0), "wbwww", "done", 5),
            (
                "while it changes, nothing is undone",
                attach(0),
                "wcccccc",
                "again",
                7,
            ),
            ("a failed object ends it", attach(0), "wf", "failed", 2),
            (
                "also while the value has to stay",
                attach(10),
                "wwwwf",
                "failed",
                5,
            ),
            (
                "a value that has to stay is watched to the end",
                attach(10),
                "wwwwwwwwwwwww",
                "done",
                13,
            ),
            ("and not shorter", attach(10), "wwwwwwwwwwww", "again", 12),
            (
                "a late revert is found",
                attach(10),
                "wwwwwwbbb",
                "undone",
                9,
            ),
            (
                "at the very end a good look has to confirm it",
                attach(5),
                "wwwwwwwbw",
                "done",
                9,
            ),
            (
                "one read that fails is no reason to look away",
                attach(0),
                "xxwww",
                "done",
                5,
            ),
            ("three in a row are", attach(0), "wxxx", "unseen", 4),
            ("time is over", attach(0), &long, "again", 100),
            (
                "a third value counts as the old one here",
                attach(0),
                "waaa",
                "undone",
                4,
            ),
            ("five good reads of a policy", policy(), "wwwww", "done", 5),
            (
                "an old read of a policy begins the row again",
                policy(),
                "wwbwwwww",
                "done",
                8,
            ),
            (
                "somebody else's policy twice is theirs",
                policy(),
                "waa",
                "replaced",
                3,
            ),
            ("once may be chance", policy(), "wabwwwww", "done", 8),
            (
                "a policy that never shows",
                policy(),
                "bbbbbbbbbbb",
                "timedout",
                11,
            ),
        ];
        for (what, watch, looks, expected, at) in rows {
            assert_eq!(play(*watch, looks), ((*expected).to_owned(), *at), "{what}");
        }
        assert_eq!(
            play(attach(0), &"b".repeat(101)),
            ("timedout".to_owned(), 101)
        );
        // A value that arrived and then goes away permanently does not make the provider wait without end.
        let (end, at) = play(attach(5), &format!("www{}", "c".repeat(200)));
        assert_eq!((end.as_str(), at), ("timedout", 161));
    }

    #[test]
    fn pauses_grow_are_short_in_a_row_and_end_at_the_end() {
        let pause = |next: Next| match next {
            Next::Again(pause) => pause,
            other => panic!("{other:?}"),
        };
        let good = Seen {
            shows: Shows::Wanted,
            condition: Condition::Ready,
        };
        let old = Seen {
            shows: Shows::Before,
            condition: Condition::Ready,
        };
        let mut watch = attach(60);
        let first: Vec<u128> = (0..8)
            .map(|at| pause(watch.saw(old, SECOND * at)).as_millis())
            .collect();
        assert_eq!(first, [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        // Once one look shows the value, the next looks of the row come soon.
        assert_eq!(pause(watch.saw(good, SECOND * 30)), SECOND);
        assert_eq!(pause(watch.saw(good, SECOND * 31)), SECOND);
        let mut at = SECOND * 32;
        let mut holding = Vec::new();
        loop {
            match watch.saw(good, at) {
                Next::Again(pause) => {
                    holding.push(pause.as_millis());
                    at += pause;
                }
                other => break assert_eq!(other, Next::Done),
            }
        }
        assert!(
            holding
                .iter()
                .all(|pause| *pause <= LONGEST_HOLDING.as_millis()),
            "{holding:?}"
        );
        assert_eq!(
            at,
            SECOND * 92,
            "the last look is the one at the end: {holding:?}"
        );
    }
}
