//! Moments as people read them.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// RFC 3339 from milliseconds since 1970.
pub fn rfc3339(milliseconds: i64) -> Option<String> {
    let nanoseconds = i128::from(milliseconds) * 1_000_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanoseconds)
        .ok()?
        .format(&Rfc3339)
        .ok()
}

/// The same for a date until which something is needed, rounded up to the next whole second.
pub fn until(milliseconds: i64) -> Option<String> {
    let seconds = milliseconds.checked_add(999)?.div_euclid(1000);
    rfc3339(seconds.checked_mul(1000)?)
}

/// This moment (RFC 3339, whole seconds).
pub fn now() -> String {
    let now = doors::clock::now();
    let whole = now.replace_nanosecond(0).unwrap_or(now);
    whole.format(&Rfc3339).unwrap_or_default()
}

/// This moment in milliseconds since 1970.
pub fn now_in_milliseconds() -> i64 {
    i64::try_from(doors::clock::now().unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_a_whole_second_and_never_early() {
        for (milliseconds, shown) in [
            (0, Some("1970-01-01T00:00:00Z")),
            (1, Some("1970-01-01T00:00:01Z")),
            (1_000, Some("1970-01-01T00:00:01Z")),
            (86_400_114, Some("1970-01-02T00:00:01Z")),
            (i64::MAX, None),
        ] {
            assert_eq!(until(milliseconds).as_deref(), shown, "{milliseconds}");
        }
    }
}
