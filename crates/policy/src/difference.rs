//! How two policies differ, statement by statement, for a person.

use std::collections::BTreeSet;
use std::fmt;

use super::compare::Meaning;
use super::document::{Document, Listed, Statement};
use super::language::Effect;

/// One difference between two policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatementChange {
    /// A statement that only the second has: its position there.
    Added(usize),
    /// A statement that only the first has: its position there.
    Removed(usize),
    /// A statement that both have under one Sid, with another meaning: its positions, and the elements that differ.
    Changed {
        /// In the first policy.
        before: usize,
        /// In the second policy.
        after: usize,
        /// `Effect`, `Principal`, `Action`, `Resource`, `Condition`.
        elements: Vec<&'static str>,
    },
}

/// The differences of meaning from `before` to `after`; form, order and repetition are none. Removed first, then changed, then
/// added.
pub fn difference(before: &Document, after: &Document) -> Vec<StatementChange> {
    let (old, new) = (before.meanings(), after.meanings());
    let (old_set, new_set): (BTreeSet<&Meaning>, BTreeSet<&Meaning>) =
        (old.iter().collect(), new.iter().collect());
    let only = |own: &[Meaning], other: &BTreeSet<&Meaning>| -> Vec<usize> {
        own.iter()
            .enumerate()
            .filter(|(_, meaning)| !other.contains(meaning))
            .map(|(index, _)| index)
            .collect()
    };
    let (mut gone, mut come) = (only(&old, &new_set), only(&new, &old_set));
    let mut changed = Vec::new();
    gone.retain(|index| {
        let Some(statement) = before
            .statements
            .get(*index)
            .filter(|statement| statement.sid.is_some())
        else {
            return true;
        };
        let successor = come.iter().position(|other| {
            after
                .statements
                .get(*other)
                .is_some_and(|other| other.sid == statement.sid)
        });
        let Some(position) = successor else {
            return true;
        };
        let other = come.remove(position);
        let elements = after
            .statements
            .get(other)
            .map(|other| elements(statement, other))
            .unwrap_or_default();
        changed.push(StatementChange::Changed {
            before: *index,
            after: other,
            elements,
        });
        false
    });
    let removed = gone.into_iter().map(StatementChange::Removed);
    removed
        .chain(changed)
        .chain(come.into_iter().map(StatementChange::Added))
        .collect()
}

fn elements(before: &Statement, after: &Statement) -> Vec<&'static str> {
    let lower = |list: &Listed<String>| -> (bool, BTreeSet<String>) {
        (
            list.negated,
            list.items
                .iter()
                .map(|item| item.to_ascii_lowercase())
                .collect(),
        )
    };
    let principals = |statement: &Statement| -> BTreeSet<String> {
        statement
            .principals
            .items
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    let conditions = |statement: &Statement| -> BTreeSet<String> {
        let spelled = |condition: &super::condition::Condition| {
            let mut values = condition.values.clone();
            values.sort();
            format!(
                "{} {} {values:?}",
                condition.operator.to_ascii_lowercase(),
                condition.key.to_ascii_lowercase()
            )
        };
        statement.conditions.iter().map(spelled).collect()
    };
    let rows = [
        ("Effect", before.effect != after.effect),
        (
            "Principal",
            before.principals.negated != after.principals.negated
                || principals(before) != principals(after),
        ),
        ("Action", lower(&before.actions) != lower(&after.actions)),
        (
            "Resource",
            lower(&before.resources) != lower(&after.resources),
        ),
        ("Condition", conditions(before) != conditions(after)),
    ];
    rows.into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(name, _)| name)
        .collect()
}

/// A statement in one line: `Allow arn:… to kms:Encrypt, kms:Decrypt if …`.
struct OneLine<'a>(&'a Statement);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Statement {
            effect,
            principals,
            actions,
            conditions,
            ..
        } = self.0;
        let word = match effect {
            Effect::Allow => "allows",
            Effect::Deny => "denies",
        };
        let but = |negated: bool| if negated { "everything but " } else { "" };
        let who: Vec<String> = principals.items.iter().map(ToString::to_string).collect();
        write!(
            f,
            "{word} {}{} {}{}",
            but(principals.negated),
            who.join(", "),
            but(actions.negated),
            actions.items.join(", ")
        )?;
        for (position, condition) in conditions.iter().enumerate() {
            write!(
                f,
                "{} {condition}",
                if position == 0 { " if" } else { " and" }
            )?;
        }
        Ok(())
    }
}

/// The differences from `before` to `after`, a line each; nothing when both mean the same.
pub fn describe(before: &Document, after: &Document) -> Vec<String> {
    let line = |policy: &Document, index: usize| {
        policy
            .statements
            .get(index)
            .map(|statement| (statement.label(index), OneLine(statement).to_string()))
            .unwrap_or_default()
    };
    difference(before, after)
        .into_iter()
        .map(|change| match change {
            StatementChange::Added(index) => {
                let (label, text) = line(after, index);
                format!("+ {label} {text}")
            }
            StatementChange::Removed(index) => {
                let (label, text) = line(before, index);
                format!("- {label} {text}")
            }
            StatementChange::Changed {
                before: old,
                after: new,
                elements,
            } => {
                let ((label, was), (_, is)) = (line(before, old), line(after, new));
                format!("~ {label}, {}: {was}; now it {is}", elements.join(" and "))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PolicyError;

    fn policy(statements: &[&str]) -> Result<Document, PolicyError> {
        Document::parse(&format!(
            "{{\"Version\":\"2012-10-17\",\"Statement\":[{}]}}",
            statements.join(",")
        ))
    }

    const ADMIN: &str = r#"{"Sid":"Admin","Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"kms:*","Resource":"*"}"#;
    const USE: &str = r#"{"Sid":"Use","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::414351767826:root"},"Action":["kms:Encrypt","kms:Decrypt"],"Resource":"*"}"#;

    #[test]
    fn form_is_no_difference() -> Result<(), PolicyError> {
        let turned = USE.replace(
            "\"kms:Encrypt\",\"kms:Decrypt\"",
            "\"KMS:decrypt\",\"kms:Encrypt\"",
        );
        assert_eq!(
            difference(&policy(&[ADMIN, USE])?, &policy(&[&turned, ADMIN, ADMIN])?),
            []
        );
        Ok(())
    }

    #[test]
    fn differences_are_told_a_line_each() -> Result<(), PolicyError> {
        let less = USE.replace(",\"kms:Decrypt\"", "").replace(
            "\"Resource\":\"*\"",
            "\"Resource\":\"*\",\"Condition\":{\"Bool\":{\"aws:SecureTransport\":\"true\"}}",
        );
        let deny =
            r#"{"Effect":"Deny","Principal":"*","NotAction":"kms:Describe*","Resource":"*"}"#;
        assert_eq!(
            describe(&policy(&[ADMIN, USE])?, &policy(&[&less, deny])?),
            [
                "- \"Admin\" allows arn:aws:iam::123456789012:root kms:*",
                "~ \"Use\", Action and Condition: allows arn:aws:iam::414351767826:root kms:Encrypt, kms:Decrypt; now it allows \
                 arn:aws:iam::414351767826:root kms:Encrypt if Bool aws:SecureTransport [true]",
                "+ statement 2 (it has no Sid) denies * everything but kms:Describe*",
            ]
        );
        Ok(())
    }
}
