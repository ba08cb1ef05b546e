//! Whether two statements, or two policies, mean the same; and how they differ.

use std::collections::{BTreeMap, BTreeSet};

use super::condition::{Comparison, Condition, Operator};
use super::document::{Document, Statement};
use super::language::{Effect, Version};
use super::principal::Principal;

/// A statement freed of everything that means nothing: order, case of actions and keys, string or list, short or long
/// account form, repeated values, and its Sid.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Meaning {
    effect: Effect,
    principals: (bool, BTreeSet<Principal>),
    actions: (bool, BTreeSet<String>),
    resources: (bool, BTreeSet<String>),
    conditions: BTreeMap<(String, String), BTreeSet<String>>,
    variables: bool,
}

impl Meaning {
    /// Whether both speak of the same principals.
    pub fn has_principals_of(&self, other: &Self) -> bool {
        self.principals == other.principals
    }
}

/// Two spellings of one operator: AWS reads them without their case, and `ArnEquals` as `ArnLike`.
fn operator_name(condition: &Condition) -> String {
    let lower = condition.operator.to_ascii_lowercase();
    match condition.meaning {
        Some(Operator {
            comparison: Comparison::Arn,
            ..
        }) => lower.replace("equals", "like"),
        _ => lower,
    }
}

/// What a statement means in a policy of `version` that lives in `partition`.
pub fn meaning(statement: &Statement, version: Version, partition: &str) -> Meaning {
    let account_form = |principal: &Principal| match principal {
        // An account number means its root ARN in the partition of the key.
        Principal::Account {
            account,
            partition: named,
        } => Principal::Account {
            partition: Some(named.clone().unwrap_or_else(|| partition.to_owned())),
            account: account.clone(),
        },
        other => other.clone(),
    };
    let mut conditions: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for condition in &statement.conditions {
        let key = (operator_name(condition), condition.key.to_ascii_lowercase());
        let is_bool = matches!(
            condition.meaning,
            Some(Operator {
                comparison: Comparison::Bool | Comparison::Null,
                ..
            })
        );
        let spelled = |value: &String| {
            if is_bool {
                value.to_ascii_lowercase()
            } else {
                value.clone()
            }
        };
        conditions
            .entry(key)
            .or_default()
            .extend(condition.values.iter().map(spelled));
    }
    let has_variables = statement
        .conditions
        .iter()
        .flat_map(|condition| &condition.values)
        .any(|value| value.contains("${"));
    Meaning {
        effect: statement.effect,
        principals: (
            statement.principals.negated,
            statement
                .principals
                .items
                .iter()
                .map(account_form)
                .collect(),
        ),
        actions: (
            statement.actions.negated,
            statement
                .actions
                .items
                .iter()
                .map(|action| action.to_ascii_lowercase())
                .collect(),
        ),
        resources: (
            statement.resources.negated,
            statement.resources.items.iter().cloned().collect(),
        ),
        conditions,
        // `${…}` is plain text in 2008-10-17.
        variables: has_variables && version == Version::V2012,
    }
}

impl Document {
    /// What each statement means, in order.
    pub fn meanings(&self) -> Vec<Meaning> {
        let partition = self.partition();
        self.statements
            .iter()
            .map(|statement| meaning(statement, self.version, partition))
            .collect()
    }

    /// Whether both policies mean the same: the same statements, whatever their order and form.
    pub fn means_the_same_as(&self, other: &Document) -> bool {
        let set = |document: &Document| document.meanings().into_iter().collect::<BTreeSet<_>>();
        set(self) == set(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PolicyError;

    fn policy(statement: &str) -> Result<Document, PolicyError> {
        Document::parse(&format!(
            "{{\"Version\":\"2012-10-17\",\"Statement\":{statement}}}"
        ))
    }

    const BASE: &str = r#"{"Sid":"a","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111122223333:root","444455556666"]},
        "Action":["kms:Encrypt","kms:Decrypt"],"Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/x":["1","2"]},
        "Bool":{"kms:GrantIsForAWSResource":"true"}}}"#;

    /// Each row: what differs in form, and the statement.
    #[test]
    fn form_means_nothing() -> Result<(), PolicyError> {
        let rows = [
            ("another Sid", BASE.replace("\"a\"", "\"b\"")),
            ("no Sid", BASE.replace("\"Sid\":\"a\",", "")),
            ("the list form of the statement", format!("[{BASE}]")),
            ("a list for one resource", BASE.replace("\"*\"", "[\"*\"]")),
            (
                "another order of actions",
                BASE.replace(
                    "\"kms:Encrypt\",\"kms:Decrypt\"",
                    "\"kms:Decrypt\",\"kms:Encrypt\"",
                ),
            ),
            (
                "another case of actions",
                BASE.replace("kms:Encrypt", "KMS:encrypt"),
            ),
            (
                "the short form of an account",
                BASE.replace("arn:aws:iam::111122223333:root", "111122223333"),
            ),
            (
                "another case of a key",
                BASE.replace("aws:PrincipalTag/x", "AWS:principaltag/X"),
            ),
            (
                "another case of an operator",
                BASE.replace("StringEquals", "stringEquals"),
            ),
            (
                "a value twice",
                BASE.replace("[\"1\",\"2\"]", "[\"2\",\"1\",\"1\"]"),
            ),
            ("a boolean", BASE.replace("\"true\"", "true")),
            ("the statement twice", format!("[{BASE},{BASE}]")),
        ];
        for (what, statement) in rows {
            assert!(
                policy(BASE)?.means_the_same_as(&policy(&statement)?),
                "{what}"
            );
        }
        Ok(())
    }

    #[test]
    fn meaning_means_something() -> Result<(), PolicyError> {
        let rows = [
            (
                "a value in another case",
                BASE.replace("[\"1\",\"2\"]", "[\"1\",\"2\",\"A\"]"),
            ),
            ("another effect", BASE.replace("Allow", "Deny")),
            (
                "another operator",
                BASE.replace("StringEquals", "StringLike"),
            ),
            ("one action fewer", BASE.replace("\"kms:Encrypt\",", "")),
            ("NotAction", BASE.replace("\"Action\"", "\"NotAction\"")),
            (
                "a condition fewer",
                BASE.replace(
                    ",\n        \"Bool\":{\"kms:GrantIsForAWSResource\":\"true\"}",
                    "",
                ),
            ),
            (
                "another account",
                BASE.replace("444455556666", "444455556667"),
            ),
        ];
        for (what, statement) in rows {
            assert!(
                !policy(BASE)?.means_the_same_as(&policy(&statement)?),
                "{what}"
            );
        }
        Ok(())
    }
}
