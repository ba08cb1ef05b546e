//! Values in which policy variables stand, filled in for one request.

use super::context::{Context, Presence};
use super::language::Version;
use super::pattern::{Pattern, Piece, Token, pieces};

/// A value with its variables filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filled {
    /// What to match, and the same as text.
    Pattern(Pattern, String),
    /// A variable that the request does not have, or has several values for, and that has no default: nothing equals it.
    Nothing,
    /// A variable whose value is not known.
    Unknown(String),
}

/// Fills the variables of `value` in. With `wild`, the policy's own `*` and `?` are wildcards; what comes out of a variable
/// never is.
pub fn fill(value: &str, wild: bool, context: &Context, version: Version) -> Filled {
    if version == Version::V2008 || !value.contains("${") {
        let pattern = if wild {
            Pattern::wild(value)
        } else {
            Pattern::literal(value)
        };
        return Filled::Pattern(pattern, value.to_owned());
    }
    let (mut tokens, mut text) = (Vec::new(), String::new());
    for piece in pieces(value) {
        match piece {
            Piece::Text(part) => {
                let token = |c| match c {
                    '*' if wild => Token::Many,
                    '?' if wild => Token::One,
                    c => Token::Char(c),
                };
                tokens.extend(part.chars().map(token));
                text.push_str(part);
            }
            Piece::Literal(c) => {
                tokens.push(Token::Char(c));
                text.push(c);
            }
            Piece::Variable(key, default) => {
                let filled = match (context.get(&key), default) {
                    (Presence::Values([one]), _) => one.as_str(),
                    (Presence::Absent, Some(default)) => default,
                    (Presence::Unknown | Presence::Foreign, _) => {
                        return Filled::Unknown(key.into_owned());
                    }
                    _ => return Filled::Nothing,
                };
                tokens.extend(filled.chars().map(Token::Char));
                text.push_str(filled);
            }
        }
    }
    Filled::Pattern(Pattern::of(tokens), text)
}
