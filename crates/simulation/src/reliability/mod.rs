//! One failure at a time: an apply meets it, and the next apply must make it good. The tables of docs/guides/reliability.md are what this
//! room saw, at the defaults of the provider, on the clock and the network of a simulation.

mod cases;
mod checks;
mod play;
mod table;

pub use self::cases::Case;
pub use self::play::{Played, Seen, play};
pub use self::table::{WITH_TERRAFORM, page, row};

use time::OffsetDateTime;

/// When a play begins: 2026-01-01T00:00:00Z.
fn beginning() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_767_225_600).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Every case, in the order of the page.
pub fn cases() -> Vec<Case> {
    cases::all(beginning())
}
