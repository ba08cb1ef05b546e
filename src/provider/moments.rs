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
