//! What stands in a recording for a value that was replaced.

use std::fmt;
use std::net::IpAddr;

/// The form of a value that was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A UUID.
    Uuid,
    /// Decimal digits in a text.
    Digits,
    /// A number of JSON.
    Number,
    /// Sixteen or more hexadecimal digits.
    Hex,
    /// A time as RFC 3339 has it.
    Time,
    /// An IP address.
    Address,
    /// A body that is not JSON, a form or XML.
    Bytes,
    /// Anything else.
    Word,
}

impl Kind {
    const ALL: [(Self, &str); 8] = [
        (Self::Uuid, "uuid"),
        (Self::Digits, "digits"),
        (Self::Number, "number"),
        (Self::Hex, "hex"),
        (Self::Time, "time"),
        (Self::Address, "address"),
        (Self::Bytes, "bytes"),
        (Self::Word, "word"),
    ];

    /// The form of a text.
    pub fn of(text: &str) -> Self {
        let is_hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
        let groups: Vec<&str> = text.split('-').collect();
        let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
        if lengths == [8, 4, 4, 4, 12] && groups.iter().all(|group| is_hex(group)) {
            Self::Uuid
        } else if text.parse::<IpAddr>().is_ok() {
            Self::Address
        } else if text.bytes().all(|byte| byte.is_ascii_digit()) {
            Self::Digits
        } else if text.len() >= 16 && is_hex(text) {
            Self::Hex
        } else if is_time(text) {
            Self::Time
        } else {
            Self::Word
        }
    }

    pub(crate) fn name(self) -> &'static str {
        let own = Self::ALL.into_iter().find(|(kind, _)| *kind == self);
        own.map_or("word", |(_, name)| name)
    }
}

/// `2026-12-01T10:00:00Z`, with or without a fraction and an offset.
pub(crate) fn is_time(text: &str) -> bool {
    const FORM: &[u8] = b"0000-00-00T00:00:00";
    let (bytes, form) = (text.as_bytes(), FORM.iter());
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'0' => byte.is_ascii_digit(),
        other => byte == other,
    };
    bytes.len() > FORM.len() && bytes.len() <= 40 && bytes.iter().zip(form).all(fits)
}

/// A placeholder: `<uuid:0123456789abcdef>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placeholder {
    /// The form that the value had.
    pub kind: Kind,
    /// The same for the same value within a recording, whatever its kind: 16 hexadecimal digits.
    pub mark: String,
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}:{}>", self.kind.name(), self.mark)
    }
}

/// The length of a mark.
pub(crate) const MARK: usize = 16;

impl Placeholder {
    /// The placeholder that a text between `<` and `>` is.
    fn parse(inside: &str) -> Option<Self> {
        let (name, mark) = inside.split_once(':')?;
        let (kind, _) = Kind::ALL.into_iter().find(|(_, own)| *own == name)?;
        let is_mark = mark.len() == MARK
            && mark
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_mark.then(|| Self {
            kind,
            mark: mark.to_owned(),
        })
    }
}

/// A part of a text of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// It stands there as it was.
    Kept(&'a str),
    /// It was replaced.
    Replaced(Placeholder),
}

/// The parts of a text of a recording, in order.
pub fn parts(text: &str) -> Vec<Part<'_>> {
    let mut all = Vec::new();
    let mut rest = text;
    let mut from = 0;
    while let Some(start) = rest.get(from..).and_then(|tail| tail.find('<')) {
        let start = from + start;
        let inside = rest.get(start + 1..).and_then(|tail| tail.split_once('>'));
        match inside.and_then(|(inside, tail)| Some((Placeholder::parse(inside)?, tail))) {
            Some((placeholder, tail)) => {
                let before = rest.get(..start).unwrap_or_default();
                if !before.is_empty() {
                    all.push(Part::Kept(before));
                }
                all.push(Part::Replaced(placeholder));
                (rest, from) = (tail, 0);
            }
            None => from = start + 1,
        }
    }
    if !rest.is_empty() {
        all.push(Part::Kept(rest));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: a text, and its form.
    #[test]
    fn a_form_is_known() {
        for (text, kind) in [
            ("2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11", Kind::Uuid),
            ("123456789012", Kind::Digits),
            ("fedcba9876543210fedcba9876543210", Kind::Hex),
            ("10.0.0.1", Kind::Address),
            ("2026-12-01T10:00:00.123Z", Kind::Time),
            ("2026-12-01", Kind::Word),
            ("lakehouse", Kind::Word),
        ] {
            assert_eq!(Kind::of(text), kind, "{text}");
        }
    }

    #[test]
    fn a_placeholder_is_found_in_a_text() {
        let one = Placeholder {
            kind: Kind::Uuid,
            mark: "0123456789abcdef".to_owned(),
        };
        let text = format!("key/{one}<x>{one}");
        assert_eq!(
            parts(&text),
            [
                Part::Kept("key/"),
                Part::Replaced(one.clone()),
                Part::Kept("<x>"),
                Part::Replaced(one),
            ]
        );
        assert_eq!(parts(""), []);
        assert_eq!(parts("<uuid:short>"), [Part::Kept("<uuid:short>")]);
    }
}
