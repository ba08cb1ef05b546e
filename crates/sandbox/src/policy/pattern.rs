//! Wildcards and variables (IAM User Guide, "Variables and tags").

use super::Call;

/// A piece of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Many,
    One,
    Literal(char),
}

impl Piece {
    /// As it was written, for operators that know no wildcards.
    pub(super) fn character(&self) -> char {
        match self {
            Self::Many => '*',
            Self::One => '?',
            Self::Literal(character) => *character,
        }
    }
}

pub(super) fn characters(text: &str) -> Vec<char> {
    text.chars().collect()
}

pub(super) fn wildcards(text: &str) -> Vec<Piece> {
    let piece = |character| match character {
        '*' => Piece::Many,
        '?' => Piece::One,
        other => Piece::Literal(other),
    };
    text.chars().map(piece).collect()
}

/// A value with its variables filled in; what they stand for has no wildcards. `None` when one stands for nothing.
pub(super) fn pattern(text: &str, call: &Call, has_variables: bool) -> Option<Vec<Piece>> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${").filter(|_| has_variables) {
        let Some((variable, tail)) = after.split_once('}') else {
            break;
        };
        all.extend(wildcards(before));
        let (name, default) = match variable.split_once(',') {
            Some((name, default)) => (name.trim(), Some(default.trim().trim_matches('\''))),
            None => (variable.trim(), None),
        };
        let filled = match name {
            "*" | "?" | "$" => name,
            _ => match call.value(name) {
                Some([value]) => value,
                _ => default?,
            },
        };
        all.extend(filled.chars().map(Piece::Literal));
        rest = tail;
    }
    all.extend(wildcards(rest));
    Some(all)
}

pub(super) fn fits(pattern: &[Piece], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((Piece::Many, rest)), _) => {
            (0..=text.len()).any(|skipped| text.get(skipped..).is_some_and(|text| fits(rest, text)))
        }
        (Some((Piece::One, rest)), Some((_, text))) => fits(rest, text),
        (Some((Piece::Literal(wanted), rest)), Some((found, text))) => {
            wanted == found && fits(rest, text)
        }
        _ => false,
    }
}
