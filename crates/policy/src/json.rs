//! JSON with places: every value knows where in the text it stands, so that errors can point at it and an edit can leave
//! everything else byte for byte as it was. (serde_json keeps no places, and accepts a key twice.)

use std::fmt;
use std::ops::Range;

/// How deep a policy may nest; AWS's own language needs five levels.
const DEEPEST: usize = 32;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The bytes of the text that it takes.
    pub span: Range<usize>,
    /// The value with its children.
    pub kind: Kind,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The literal `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it is spelled.
    Number(String),
    /// Text.
    String(String),
    /// Elements in order.
    Array(Vec<Node>),
    /// Members in order.
    Object(Vec<Member>),
}

/// A member of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The name without its escapes.
    pub name: String,
    /// Where the name stands.
    pub name_span: Range<usize>,
    /// The value behind the colon.
    pub value: Node,
}

impl Node {
    /// What it is, for messages.
    pub fn describe(&self) -> &'static str {
        match self.kind {
            Kind::Null => "null",
            Kind::Bool(_) => "a boolean",
            Kind::Number(_) => "a number",
            Kind::String(_) => "a string",
            Kind::Array(_) => "a list",
            Kind::Object(_) => "an object",
        }
    }

    /// The member called `name`, when this is an object that has one.
    pub fn member(&self, name: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Object(members) => members
                .iter()
                .find(|member| member.name == name)
                .map(|member| &member.value),
            _ => None,
        }
    }
}

/// A place in a text, for people: both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line, counted from 1.
    pub line: usize,
    /// The character within the line.
    pub column: usize,
}

impl Place {
    /// The place of a byte.
    pub fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        Self { line, column }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// What is wrong, and at which byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The byte at which the parser noticed it.
    pub offset: usize,
    /// What was expected or found.
    pub message: String,
}

/// Reads one JSON value from all of `text`.
///
/// # Errors
/// When it is not JSON, or an object has a key twice.
pub fn parse(text: &str) -> Result<Node, Fault> {
    let mut parser = Parser { text, at: 0 };
    parser.space();
    let node = parser.value(0)?;
    parser.space();
    if parser.at < text.len() {
        return Err(parser.fault("expected the end of the text"));
    }
    Ok(node)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn fault(&self, message: impl Into<String>) -> Fault {
        let message = message.into();
        let found = match self.rest().chars().next() {
            None => "the text ends here".to_owned(),
            Some(c) => format!("found `{}`", c.escape_default()),
        };
        Fault {
            offset: self.at,
            message: format!("{message}, {found}"),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, Fault> {
        if depth > DEEPEST {
            return Err(Fault {
                offset: self.at,
                message: format!("nested deeper than {DEEPEST} levels"),
            });
        }
        let start = self.at;
        let kind = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => Kind::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => {
                let words = [
                    ("null", Kind::Null),
                    ("true", Kind::Bool(true)),
                    ("false", Kind::Bool(false)),
                ];
                let found = words
                    .into_iter()
                    .find(|(word, _)| self.rest().starts_with(word));
                let (word, kind) = found.ok_or_else(|| self.fault("expected a JSON value"))?;
                self.at += word.len();
                kind
            }
        };
        Ok(Node {
            span: start..self.at,
            kind,
        })
    }

    fn object(&mut self, depth: usize) -> Result<Kind, Fault> {
        let mut members: Vec<Member> = Vec::new();
        self.at += 1;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Kind::Object(members));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.fault("expected a name in double quotes"));
            }
            let start = self.at;
            let name = self.string()?;
            if members.iter().any(|member| member.name == name) {
                return Err(Fault {
                    offset: start,
                    message: format!("the key \"{name}\" occurs twice in this object"),
                });
            }
            let name_span = start..self.at;
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.fault(format!("expected `:` after \"{name}\"")));
            }
            self.at += 1;
            self.space();
            let value = self.value(depth + 1)?;
            members.push(Member {
                name,
                name_span,
                value,
            });
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Kind::Object(members));
                }
                _ => return Err(self.fault("expected `,` or `}`")),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Kind, Fault> {
        let mut elements = Vec::new();
        self.at += 1;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Kind::Array(elements));
        }
        loop {
            self.space();
            elements.push(self.value(depth + 1)?);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Kind::Array(elements));
                }
                _ => return Err(self.fault("expected `,` or `]`")),
            }
        }
    }

    /// Finds the end of a string; serde_json decodes its escapes.
    fn string(&mut self) -> Result<String, Fault> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut end = start + 1;
        loop {
            match bytes.get(end) {
                Some(b'"') => break,
                Some(b'\\') => end += 2,
                Some(_) => end += 1,
                None => {
                    return Err(Fault {
                        offset: start,
                        message: "this string does not end".to_owned(),
                    });
                }
            }
        }
        let token = self.text.get(start..=end).unwrap_or_default();
        let text = serde_json::from_str(token).map_err(|_| Fault {
            offset: start,
            message: "this string has an invalid escape or control character".to_owned(),
        })?;
        self.at = end + 1;
        Ok(text)
    }

    fn number(&mut self) -> Result<Kind, Fault> {
        let length = self
            .rest()
            .find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'))
            .unwrap_or(self.rest().len());
        let token = self.rest().get(..length).unwrap_or_default().to_owned();
        if serde_json::from_str::<serde_json::Number>(&token).is_err() {
            return Err(self.fault("expected a number"));
        }
        self.at += length;
        Ok(Kind::Number(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_its_place() -> Result<(), Fault> {
        let text = "{\n  \"a\": [1, \"\\u00e9\"]\n}";
        let node = parse(text)?;
        let list = node.member("a").ok_or(Fault {
            offset: 0,
            message: String::new(),
        })?;
        assert_eq!(&text[list.span.clone()], "[1, \"\\u00e9\"]");
        assert_eq!(
            Place::of(text, list.span.start).to_string(),
            "line 2, column 8"
        );
        Ok(())
    }

    /// Each row: the text, the byte of the fault, and the message.
    #[test]
    fn faults_say_where_and_what_was_expected() {
        let rows = [
            ("", 0, "expected a JSON value, the text ends here"),
            ("{nope", 1, "expected a name in double quotes, found `n`"),
            ("{\"a\" 1}", 5, "expected `:` after \"a\", found `1`"),
            (
                "{\"a\":1,\"a\":2}",
                7,
                "the key \"a\" occurs twice in this object",
            ),
            ("[1 2]", 3, "expected `,` or `]`, found `2`"),
            ("[1,]", 3, "expected a JSON value, found `]`"),
            ("\"abc", 0, "this string does not end"),
            (
                "\"\\x\"",
                0,
                "this string has an invalid escape or control character",
            ),
            ("01", 0, "expected a number, found `0`"),
            ("{} {}", 3, "expected the end of the text, found `{`"),
        ];
        for (text, offset, message) in rows {
            assert_eq!(
                parse(text),
                Err(Fault {
                    offset,
                    message: message.to_owned()
                }),
                "{text}"
            );
        }
        assert!(parse(&"[".repeat(10_000)).is_err());
    }
}
