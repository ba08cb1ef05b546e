//! What a program takes from its machine by itself: the clock, randomness, the environment and files.
//!
//! A test can run code that goes through these doors on a machine of its own, so that two runs are the same run. With the feature
//! `simulation`, a test can replace the real machine with such a `Machine`; without it, every door leads straight to the system.
//! Lints refuse code that goes around them.
//!
//! Randomness has its door already: `fastrand` has one generator a thread, which a test seeds. A wait on `tokio`'s clock needs
//! none, because a test pauses that clock.

pub mod clock;
pub mod environment;
pub mod files;
#[cfg(feature = "simulation")]
mod machine;

#[cfg(feature = "simulation")]
pub use machine::{Disk, Inside, Machine, Running, Writing};

/// Random bytes as the version 4 of a UUID has them (RFC 9562, 5.4), in lower case with hyphens.
pub fn uuid() -> String {
    let bits = fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    [
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32),
    ]
    .join("-")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_uuid_has_its_form() {
        for _ in 0..100 {
            let id = super::uuid();
            assert_eq!(id.len(), 36, "{id}");
            assert_eq!(&id[14..15], "4", "{id}");
            assert!("89ab".contains(&id[19..20]), "{id}");
        }
    }
}
