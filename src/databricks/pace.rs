//! How many requests leave in a second. Databricks publishes no limit, so the pace follows the answers of the account API: it starts
//! where the official tools start, rises while the API refuses none, and all calls of a run slow down together when it refuses one.
//!
//! Pure: the caller says what time it is, and waits.

use std::time::Duration;

use tokio::time::Instant;

/// The first pace, in requests per second: that of the official SDKs and provider.
pub const START: u32 = 15;
/// The highest pace that the client chooses by itself, in requests per second.
const MOST: f64 = 200.0;
/// How much an answer raises the pace while the API has refused none.
const RISE: f64 = 1.0;
/// The lowest pace, in requests per second, however often the API refuses.
const LEAST: f64 = 1.0;

/// The pace of a run.
#[derive(Debug)]
pub struct Pace {
    /// Requests per second.
    rate: f64,
    /// The highest pace, in requests per second: the user's limit, or [`MOST`].
    most: f64,
    /// How many requests may leave at once, at `at`. Below zero: how many wait for their turn.
    saved: f64,
    at: Instant,
    /// Before this moment, the client sends nothing.
    hold: Instant,
    /// When the API last made the client lower the pace.
    lowered: Option<Instant>,
}

impl Pace {
    /// A pace that begins. `limit`: the user's highest pace, in requests per second.
    pub fn new(limit: Option<u32>, now: Instant) -> Self {
        let start = f64::from(limit.unwrap_or(START).max(1));
        Self {
            rate: start,
            most: if limit.is_some() { start } else { MOST },
            saved: start,
            at: now,
            hold: now,
            lowered: None,
        }
    }

    /// Takes the next turn, and says how long the caller must wait for it. Calls get their turns in the order in which they ask. A
    /// second's worth of requests may leave at once; after that they leave evenly.
    pub fn take_turn(&mut self, now: Instant) -> Duration {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.saved = (self.saved + elapsed * self.rate).min(self.rate) - 1.0;
        self.at = now;
        let turn = Duration::from_secs_f64((-self.saved / self.rate).max(0.0));
        turn.max(self.hold.saturating_duration_since(now))
    }

    /// The API has answered a request: until it first refuses one, the pace doubles about every second; afterwards it rises by one
    /// a second.
    pub fn was_answered(&mut self) {
        let rise = match self.lowered {
            None => RISE,
            Some(_) => RISE / self.rate,
        };
        self.rate = (self.rate + rise).min(self.most);
    }

    /// The API has refused a request of the moment `sent`, because there are too many. Several that were on their way together
    /// count once. The client sends nothing before `wait` is over.
    pub fn was_turned_away(&mut self, sent: Instant, now: Instant, wait: Duration) {
        self.hold = self.hold.max(now + wait);
        if self.lowered.is_none_or(|lowered| sent >= lowered) {
            self.rate = (self.rate / 2.0).max(LEAST);
            self.saved = self.saved.min(0.0);
            self.lowered = Some(now);
        }
    }

    /// The pace now, in requests per second.
    pub fn rate(&self) -> f64 {
        self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many requests leave in the first seconds, if the API answers each at once.
    fn sent_in(pace: &mut Pace, start: Instant, seconds: u64) -> u32 {
        let end = start + Duration::from_secs(seconds);
        let (mut now, mut count) = (start, 0);
        loop {
            now += pace.take_turn(now);
            if now > end {
                return count;
            }
            count += 1;
            pace.was_answered();
        }
    }

    #[test]
    fn it_rises_while_nothing_complains_and_never_above_a_limit() {
        let start = Instant::now();
        let free = sent_in(&mut Pace::new(None, start), start, 3);
        assert!(free > 100, "{free}");
        let limited = sent_in(&mut Pace::new(Some(15), start), start, 3);
        assert!((55..=61).contains(&limited), "{limited}");
    }

    #[test]
    fn everybody_slows_down_together() {
        let start = Instant::now();
        let mut pace = Pace::new(None, start);
        for _ in 0..30 {
            pace.take_turn(start);
            pace.was_answered();
        }
        let before = pace.rate();
        let later = start + Duration::from_millis(500);
        // Three that were on their way together count once.
        for _ in 0..3 {
            pace.was_turned_away(start, later, Duration::from_secs(2));
        }
        assert!((pace.rate() - before / 2.0).abs() < 1e-9);
        let wait = pace.take_turn(later);
        assert!(wait >= Duration::from_secs(2), "{wait:?}");
        // The API refuses one that was sent after that: the pace falls again, and rises slowly from then on.
        pace.was_turned_away(later, later, Duration::ZERO);
        let lowered = pace.rate();
        pace.was_answered();
        assert!(pace.rate() - lowered <= 1.0 / lowered + 1e-9);
        for _ in 0..100 {
            let now = later + Duration::from_secs(1);
            pace.was_turned_away(now, now, Duration::ZERO);
        }
        assert!(pace.rate() >= LEAST);
    }
}
