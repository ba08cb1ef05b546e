//! The time of day, and times that only ever grow.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;

/// The time of day, in UTC.
pub fn now() -> OffsetDateTime {
    #[cfg(feature = "simulation")]
    if let Some(now) = crate::machine::of(|machine| machine.now()) {
        return now;
    }
    OffsetDateTime::now_utc()
}

/// The time of day, as the standard library has it.
pub fn system() -> SystemTime {
    now().into()
}

/// Milliseconds since 1970.
pub fn milliseconds() -> i64 {
    i64::try_from(now().unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// A moment of a clock that only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(tokio::time::Instant);

impl Moment {
    /// Reads the clock that never goes back.
    pub fn now() -> Self {
        Self(tokio::time::Instant::now())
    }

    /// How long ago it was.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
