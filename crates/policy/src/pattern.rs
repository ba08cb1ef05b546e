//! Patterns with `*` and `?`, and policy variables inside them.

use std::borrow::Cow;

/// One place of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// Exactly this character, in the case of the pattern.
    Char(char),
    /// Any one character.
    One,
    /// Any characters, or none.
    Many,
}

/// A text with wildcards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Token>);

impl Pattern {
    /// A pattern in which `*` stands for any text and `?` for any character.
    pub fn wild(text: &str) -> Self {
        Self(text.chars().map(token).collect())
    }

    /// Every character stands for itself.
    pub fn literal(text: &str) -> Self {
        Self(text.chars().map(Token::Char).collect())
    }

    /// From tokens that were put together elsewhere.
    pub fn of(tokens: Vec<Token>) -> Self {
        Self(tokens)
    }

    /// Whether the whole of `text` fits.
    pub fn matches(&self, text: &str) -> bool {
        matches(&self.0, text, |own, other| own == other)
    }

    /// Whether the whole of `text` fits, upper and lower case being the same.
    pub fn matches_ignoring_case(&self, text: &str) -> bool {
        let is_plain = |token: &Token| !matches!(token, Token::Char(c) if !c.is_ascii());
        // Nearly everything is ASCII, and a proof asks this thousands of times.
        if text.is_ascii() && self.0.iter().all(is_plain) {
            return matches(&self.0, text, |own, other| own.eq_ignore_ascii_case(&other));
        }
        let folded: Vec<Token> = self
            .0
            .iter()
            .flat_map(|token| match token {
                Token::Char(c) => c.to_lowercase().map(Token::Char).collect::<Vec<_>>(),
                other => vec![*other],
            })
            .collect();
        matches(&folded, &text.to_lowercase(), |own, other| own == other)
    }

    /// Whether the six parts of an ARN fit the six parts of this pattern, each on its own.
    pub fn matches_arn(&self, arn: &str) -> bool {
        let mut parts = arn.splitn(6, ':');
        let mut rest = self.0.as_slice();
        for position in 0..6 {
            let Some(part) = parts.next() else {
                return false;
            };
            let end = if position < 5 {
                match rest.iter().position(|token| *token == Token::Char(':')) {
                    Some(end) => end,
                    None => return false,
                }
            } else {
                rest.len()
            };
            let (own, tail) = rest.split_at(end);
            if !matches(own, part, |own, other| own == other) {
                return false;
            }
            rest = tail.get(1..).unwrap_or_default();
        }
        true
    }
}

fn token(c: char) -> Token {
    match c {
        '*' => Token::Many,
        '?' => Token::One,
        c => Token::Char(c),
    }
}

/// Greedy matching with one remembered place to come back to: linear in practice, never exponential.
fn matches(pattern: &[Token], text: &str, is_same: impl Fn(char, char) -> bool) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    let at = |t: usize| text.get(t..).and_then(|rest| rest.chars().next());
    while let Some(c) = at(t) {
        match pattern.get(p) {
            Some(Token::Many) => {
                back = Some((p, t));
                p += 1;
            }
            Some(Token::One) => {
                p += 1;
                t += c.len_utf8();
            }
            Some(Token::Char(expected)) if is_same(*expected, c) => {
                p += 1;
                t += c.len_utf8();
            }
            _ => match back {
                Some((star, from)) => {
                    let next = from + at(from).map_or(1, char::len_utf8);
                    p = star + 1;
                    t = next;
                    back = Some((star, next));
                }
                None => return false,
            },
        }
    }
    pattern
        .get(p..)
        .unwrap_or_default()
        .iter()
        .all(|token| *token == Token::Many)
}

/// A piece of a value in which policy variables may stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Characters of the policy itself.
    Text(&'a str),
    /// A character that is meant literally: `${*}`, `${?}`, `${$}`.
    Literal(char),
    /// A variable: the context key, and what stands for it when the request has none.
    Variable(Cow<'a, str>, Option<&'a str>),
}

/// Takes a value of a 2012-10-17 policy apart. What looks like a variable and is none stays text.
pub fn pieces(value: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = value;
    while let Some(start) = rest.find("${") {
        let (before, tail) = rest.split_at(start);
        let Some(end) = tail.find('}') else { break };
        let inner = tail.get(2..end).unwrap_or_default();
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        pieces.push(match inner {
            "*" => Piece::Literal('*'),
            "?" => Piece::Literal('?'),
            "$" => Piece::Literal('$'),
            _ => match inner.split_once(',') {
                Some((key, default)) => {
                    let default = default.trim();
                    let unquoted = default
                        .strip_prefix('\'')
                        .and_then(|text| text.strip_suffix('\''))
                        .unwrap_or(default);
                    Piece::Variable(Cow::Borrowed(key.trim()), Some(unquoted))
                }
                None => Piece::Variable(Cow::Borrowed(inner.trim()), None),
            },
        });
        rest = tail.get(end + 1..).unwrap_or_default();
    }
    if !rest.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_any_characters() {
        let rows = [
            ("kms:*", "kms:Encrypt", true),
            ("kms:Generate*Key", "kms:GenerateDataKey", true),
            ("kms:Generate*Key", "kms:GenerateDataKeyPair", false),
            ("*a*b*", "xxaxxbxx", true),
            ("?", "", false),
            ("?", "x", true),
            ("", "", true),
            ("", "x", false),
            ("**", "", true),
        ];
        for (pattern, text, expected) in rows {
            assert_eq!(
                Pattern::wild(pattern).matches(text),
                expected,
                "{pattern} over {text}"
            );
        }
        assert!(!Pattern::literal("ec2.*").matches("ec2.x"));
        assert!(Pattern::wild("KMS:enc*").matches_ignoring_case("kms:Encrypt"));
    }

    #[test]
    fn the_parts_of_an_arn_are_matched_each_on_its_own() {
        let arn = "arn:aws:iam::123456789012:role/a/b";
        assert!(Pattern::wild("arn:aws:iam::*:role/*").matches_arn(arn));
        assert!(!Pattern::wild("arn:*:role/*").matches_arn(arn));
        assert!(!Pattern::wild("*").matches_arn(arn));
    }

    #[test]
    fn an_unlucky_pattern_takes_no_time() {
        let pattern = Pattern::wild(&"*a".repeat(50));
        assert!(!pattern.matches(&"a".repeat(49)));
        assert!(!pattern.matches(&format!("{}b", "a".repeat(5_000))));
    }

    #[test]
    fn variables_are_found_with_their_defaults() {
        assert_eq!(pieces("plain"), [Piece::Text("plain")]);
        assert_eq!(
            pieces("a${aws:PrincipalTag/x, 'none'}${*}"),
            [
                Piece::Text("a"),
                Piece::Variable("aws:PrincipalTag/x".into(), Some("none")),
                Piece::Literal('*')
            ]
        );
        assert_eq!(pieces("a${b"), [Piece::Text("a${b")]);
    }
}
