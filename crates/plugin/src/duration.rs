//! Durations the way Terraform's users write them: Go's `1h30m`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration and the spelling in which it was written; two spellings of one length are equal in meaning.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoDuration {
    length: Duration,
    spelling: String,
}

/// A text that is not a duration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a duration; write for example `30s`, `20m` or `1h30m`")]
pub struct DurationError(String);

impl GoDuration {
    /// The length as Rust's own type.
    pub fn length(&self) -> Duration {
        self.length
    }
}

impl FromStr for GoDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let wrong = || DurationError(text.to_owned());
        let mut rest = text;
        let mut nanoseconds: f64 = 0.0;
        if rest == "0" {
            return Ok(Self {
                length: Duration::ZERO,
                spelling: text.to_owned(),
            });
        }
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest
                .find(|c: char| !c.is_ascii_digit() && c != '.')
                .ok_or_else(wrong)?;
            let (number, tail) = rest.split_at(digits);
            let letters = tail
                .find(|c: char| c.is_ascii_digit() || c == '.')
                .unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(letters);
            let factor = match unit {
                "ns" => 1.0,
                "us" | "µs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 60e9,
                "h" => 3600e9,
                _ => return Err(wrong()),
            };
            nanoseconds += number.parse::<f64>().map_err(|_| wrong())? * factor;
            rest = tail;
        }
        let length = Duration::try_from_secs_f64(nanoseconds / 1e9).map_err(|_| wrong())?;
        Ok(Self {
            length,
            spelling: text.to_owned(),
        })
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelling)
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.spelling)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A length for people: `20m`, `1h30m`, `45s`.
pub fn spell(length: Duration) -> String {
    let seconds = length.as_secs();
    let (hours, minutes, rest) = (seconds / 3600, seconds % 3600 / 60, seconds % 60);
    let mut text = String::new();
    for (count, unit) in [(hours, "h"), (minutes, "m"), (rest, "s")] {
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
        }
    }
    match text.is_empty() {
        true if length.is_zero() => "0s".to_owned(),
        true => format!("{}ms", length.as_millis()),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_go_reads_them() {
        let rows = [
            ("20m", 1200),
            ("1h30m", 5400),
            ("90s", 90),
            ("0", 0),
            ("0s", 0),
            ("1.5h", 5400),
        ];
        for (text, seconds) in rows {
            assert_eq!(
                text.parse::<GoDuration>().map(|d| d.length().as_secs()),
                Ok(seconds),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "20",
            "20 m",
            "m",
            "-5m",
            "1d",
            "1e9h",
            "..s",
            "99999999999999999999999h",
        ] {
            assert!(text.parse::<GoDuration>().is_err(), "{text}");
        }
    }

    #[test]
    fn lengths_are_spelled_for_people() {
        let rows = [
            (0, "0s"),
            (59, "59s"),
            (1200, "20m"),
            (5400, "1h30m"),
            (3661, "1h1m1s"),
        ];
        for (seconds, text) in rows {
            assert_eq!(spell(Duration::from_secs(seconds)), text);
        }
        assert_eq!(spell(Duration::from_millis(250)), "250ms");
    }
}
