//! A key policy, read without loss: the text stays, and every statement knows which part of it is its own.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use super::condition::Condition;
use super::json::Place;
use super::language::{Effect, Version};
use super::principal::Principal;

/// The largest key policy that KMS takes, in bytes.
pub const LARGEST: usize = 32_768;

/// Why a text is not a key policy, or why KMS would refuse it; with the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct PolicyError {
    /// Where in the text.
    pub place: Place,
    /// What was expected or found there.
    pub message: String,
}

/// An element and its negated form: `Action` and `NotAction`, `Principal` and `NotPrincipal`, `Resource` and `NotResource`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// Whether everything but the listed is meant.
    pub negated: bool,
    /// The entries in the order of the policy.
    pub items: Vec<T>,
}

/// A statement of a policy, in parsed form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its name, if it has one.
    pub sid: Option<String>,
    /// What it does.
    pub effect: Effect,
    /// The principals that the statement is about.
    pub principals: Listed<Principal>,
    /// Which actions it is about; `*` and `?` are wildcards, case does not matter.
    pub actions: Listed<String>,
    /// Which resources it is about.
    pub resources: Listed<String>,
    /// All of which must hold.
    pub conditions: Vec<Condition>,
    /// The part of the text that it takes.
    pub span: Range<usize>,
}

impl Statement {
    /// Its name for programs: its Sid, or `#` and its position (counted from 1).
    pub fn name(&self, index: usize) -> String {
        self.sid
            .clone()
            .unwrap_or_else(|| format!("#{}", index + 1))
    }

    /// What to call it in a message: its Sid, or its position (counted from 1).
    pub fn label(&self, index: usize) -> String {
        match &self.sid {
            Some(sid) => format!("\"{sid}\""),
            None => format!("statement {} (it has no Sid)", index + 1),
        }
    }
}

/// A key policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub(super) text: String,
    /// The version of the language it is written in.
    pub version: Version,
    /// Its statements, in order.
    pub statements: Vec<Statement>,
    /// The part of the text that holds the statements, and whether it is a list.
    pub(super) list: (Range<usize>, bool),
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Document {
    /// The text, as it was read.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text of one statement, as it was read.
    pub fn statement_text(&self, statement: &Statement) -> &str {
        self.text.get(statement.span.clone()).unwrap_or_default()
    }

    /// The partition that the policy lives in: the one that it names, or the commercial one.
    pub fn partition(&self) -> &str {
        let principals = self
            .statements
            .iter()
            .flat_map(|statement| &statement.principals.items);
        let named = principals.filter_map(Principal::partition).next();
        let mut resources = self
            .statements
            .iter()
            .flat_map(|statement| &statement.resources.items);
        named
            .or_else(|| {
                resources.find_map(|resource| resource.strip_prefix("arn:")?.split(':').next())
            })
            .unwrap_or("aws")
    }

    /// Why KMS would refuse this text although its grammar is right: its size, its characters, and a Sid that occurs twice.
    ///
    /// # Errors
    /// The first reason.
    pub fn check_limits(&self) -> Result<(), PolicyError> {
        if self.text.len() > LARGEST {
            return Err(PolicyError {
                place: Place { line: 1, column: 1 },
                message: format!(
                    "the policy has {} bytes; KMS takes at most {LARGEST}",
                    self.text.len()
                ),
            });
        }
        let mut sids = BTreeSet::new();
        if let Some(second) = self
            .statements
            .iter()
            .find(|statement| statement.sid.as_ref().is_some_and(|sid| !sids.insert(sid)))
        {
            return Err(PolicyError {
                place: Place::of(&self.text, second.span.start),
                message: format!(
                    "the Sid {:?} occurs twice; it must be unique",
                    second.sid.as_deref().unwrap_or_default()
                ),
            });
        }
        let allowed = |c: char| matches!(c, '\u{9}' | '\u{A}' | '\u{D}' | '\u{20}'..='\u{FF}');
        match self.text.char_indices().find(|(_, c)| !allowed(*c)) {
            None => Ok(()),
            Some((offset, c)) => Err(PolicyError {
                place: Place::of(&self.text, offset),
                message: format!(
                    "the character `{}` is not allowed: KMS takes printable Latin-1 only",
                    c.escape_default()
                ),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATEMENT: &str =
        r#"{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"kms:*","Resource":"*"}"#;

    fn policy(statement: &str) -> String {
        format!("{{\"Version\":\"2012-10-17\",\"Statement\":[\n{statement}\n]}}")
    }

    #[test]
    fn a_policy_keeps_its_text() -> Result<(), PolicyError> {
        let text = policy(STATEMENT);
        let document = Document::parse(&text)?;
        assert_eq!(document.text(), text);
        assert_eq!(
            document
                .statements
                .first()
                .map(|statement| document.statement_text(statement)),
            Some(STATEMENT)
        );
        Ok(())
    }

    /// Each row: what replaces what in a good statement, and the error.
    #[test]
    fn what_aws_refuses_is_refused_with_its_place() {
        let rows = [
            (
                r#""Allow""#,
                r#""allow""#,
                "line 2, column 11: `allow` is not an effect; expected \"Allow\" or \"Deny\"",
            ),
            (
                r#""Effect":"Allow","#,
                "",
                "line 2, column 1: the statement has no \"Effect\"",
            ),
            (
                r#""Action":"kms:*","#,
                "",
                "line 2, column 1: the statement has no \"Action\"",
            ),
            (
                r#""Action":"kms:*""#,
                r#""Action":"kms:*","NotAction":"kms:Decrypt""#,
                "line 2, column 83: the statement has both \"Action\" and \"NotAction\"; it may have one of them",
            ),
            (
                r#""kms:*""#,
                r#""Decrypt""#,
                "line 2, column 63: `Decrypt` is not an action; expected for example \"kms:Decrypt\" or \"kms:*\"",
            ),
            (
                r#""kms:*""#,
                "[]",
                "line 2, column 63: expected at least an action, found an empty list",
            ),
            (
                r#"{"AWS":"123456789012"}"#,
                r#""123456789012""#,
                "line 2, column 31: expected \"*\" or an object such as {\"AWS\": \"arn:aws:iam::123456789012:root\"}, found \"123456789012\"",
            ),
            (
                r#""123456789012""#,
                r#""arn:aws:iam::123456789012:role/*""#,
                "line 2, column 38: `arn:aws:iam::123456789012:role/*` is not a principal: expected an account id of 12 digits, the \
                 ARN of an account, role, user or session, or `*`",
            ),
            (
                r#""Resource":"*""#,
                r#""Resource":"key""#,
                "line 2, column 82: `key` is not a resource; expected \"*\" or the ARN of a key",
            ),
            (
                r#""Effect":"Allow","#,
                r#""Effect":"Allow","Effect":"Deny","#,
                "line 2, column 19: the key \"Effect\" occurs twice in this object",
            ),
        ];
        for (from, to, message) in rows {
            let error = Document::parse(&policy(&STATEMENT.replace(from, to))).expect_err(message);
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn elements_that_nobody_knows_are_kept() -> Result<(), PolicyError> {
        let text = policy(&STATEMENT.replace("{\"Effect\"", "{\"Extra\":[1],\"Effect\""))
            .replace("{\"Version\"", "{\"New\":{},\"Version\"");
        assert_eq!(Document::parse(&text)?.edited(&[])?.text(), text);
        Ok(())
    }

    #[test]
    fn a_sid_has_to_be_unique() -> Result<(), PolicyError> {
        let named = STATEMENT.replace("{\"Effect\"", "{\"Sid\":\"a\",\"Effect\"");
        let twice = policy(&format!("{named},\n{named}"));
        let error = Document::parse(&twice)?.check_limits().expect_err("twice");
        assert_eq!(
            error.to_string(),
            "line 3, column 1: the Sid \"a\" occurs twice; it must be unique"
        );
        Ok(())
    }

    #[test]
    fn limits_are_those_of_kms() -> Result<(), PolicyError> {
        let long = policy(&STATEMENT.replace(
            "\"Effect\"",
            &format!("\"Sid\":\"{}\",\"Effect\"", "x".repeat(LARGEST)),
        ));
        assert!(
            Document::parse(&long)?
                .check_limits()
                .is_err_and(|error| error.message.contains("at most 32768"))
        );
        let foreign = policy(&STATEMENT.replace("\"Effect\"", "\"Sid\":\"ключ\",\"Effect\""));
        let error = Document::parse(&foreign)?
            .check_limits()
            .expect_err("Cyrillic");
        assert_eq!(error.place.to_string(), "line 2, column 9");
        Ok(())
    }
}
