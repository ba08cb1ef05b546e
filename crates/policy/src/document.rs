//! A key policy, read without loss: the text stays, and every statement knows which part of it is its own.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use super::condition::Condition;
use super::json::{self, Kind, Node, Place};
use super::language::{Effect, Version};
use super::principal::Principal;

/// The largest key policy that KMS takes, in bytes.
pub const LARGEST: usize = 32_768;

/// A text that is no key policy, or one that KMS would refuse; with the place.
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
    /// What is listed.
    pub items: Vec<T>,
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its name, if it has one.
    pub sid: Option<String>,
    /// What it does.
    pub effect: Effect,
    /// Whom it is about.
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
    /// Reads a policy.
    ///
    /// # Errors
    /// When it is not JSON, or not what the grammar of policies asks for; the error names the place.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        Reader {
            text,
            grammar: Grammar::Resource,
        }
        .document()
    }

    /// Reads a policy that is attached to an identity, or limits one: an IAM policy, a permissions boundary, a session policy. Its
    /// statements name no principal; they are about whoever has the policy.
    ///
    /// # Errors
    /// When it is not JSON, or not what the grammar of such policies asks for; the error names the place.
    pub fn parse_identity(text: &str) -> Result<Self, PolicyError> {
        Reader {
            text,
            grammar: Grammar::Identity,
        }
        .document()
    }

    /// Reads the trust policy of a role. Its statements name no resource; they are about the role that has it.
    ///
    /// # Errors
    /// When it is not JSON, or not what the grammar of such policies asks for; the error names the place.
    pub fn parse_trust(text: &str) -> Result<Self, PolicyError> {
        Reader {
            text,
            grammar: Grammar::Trust,
        }
        .document()
    }

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

/// Which elements a statement has to have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Grammar {
    /// Principals and resources.
    Resource,
    /// Resources alone.
    Identity,
    /// Principals alone.
    Trust,
}

struct Reader<'a> {
    text: &'a str,
    grammar: Grammar,
}

impl Reader<'_> {
    fn error(&self, at: &Node, message: impl Into<String>) -> PolicyError {
        self.error_at(at.span.start, message)
    }

    fn error_at(&self, offset: usize, message: impl Into<String>) -> PolicyError {
        PolicyError {
            place: Place::of(self.text, offset),
            message: message.into(),
        }
    }

    fn document(&self) -> Result<Document, PolicyError> {
        let root =
            json::parse(self.text).map_err(|fault| self.error_at(fault.offset, fault.message))?;
        let Kind::Object(members) = &root.kind else {
            return Err(self.error(
                &root,
                format!(
                    "expected an object with \"Version\" and \"Statement\", found {}",
                    root.describe()
                ),
            ));
        };
        let mut version = Version::V2008;
        for member in members {
            match member.name.as_str() {
                "Version" => {
                    version = match self.string(&member.value, "\"Version\"")? {
                        "2012-10-17" => Version::V2012,
                        "2008-10-17" => Version::V2008,
                        other => {
                            let message = format!(
                                "`{other}` is not a version of the policy language; expected \"2012-10-17\""
                            );
                            return Err(self.error(&member.value, message));
                        }
                    }
                }
                "Id" => {
                    self.string(&member.value, "\"Id\"")?;
                }
                // Elements that nobody knows yet are kept, and mean nothing here.
                _ => {}
            }
        }
        let Some(list) = root.member("Statement") else {
            return Err(self.error(&root, "the policy has no \"Statement\""));
        };
        let statements = match &list.kind {
            Kind::Array(elements) => elements
                .iter()
                .map(|element| self.statement(element))
                .collect::<Result<Vec<_>, _>>()?,
            Kind::Object(_) => vec![self.statement(list)?],
            _ => {
                return Err(self.error(
                    list,
                    format!("expected a list of statements, found {}", list.describe()),
                ));
            }
        };
        if statements.is_empty() && self.grammar == Grammar::Resource {
            return Err(self.error(list, "a key policy needs at least one statement"));
        }
        let is_list = matches!(list.kind, Kind::Array(_));
        Ok(Document {
            text: self.text.to_owned(),
            version,
            statements,
            list: (list.span.clone(), is_list),
        })
    }

    fn statement(&self, node: &Node) -> Result<Statement, PolicyError> {
        if !matches!(node.kind, Kind::Object(_)) {
            return Err(self.error(
                node,
                format!("expected a statement, found {}", node.describe()),
            ));
        }
        let sid = node
            .member("Sid")
            .map(|sid| self.string(sid, "\"Sid\"").map(str::to_owned))
            .transpose()?;
        let Some(effect) = node.member("Effect") else {
            return Err(self.error(node, "the statement has no \"Effect\""));
        };
        let effect = match self.string(effect, "\"Effect\"")? {
            "Allow" => Effect::Allow,
            "Deny" => Effect::Deny,
            other => {
                return Err(self.error(
                    effect,
                    format!("`{other}` is not an effect; expected \"Allow\" or \"Deny\""),
                ));
            }
        };
        let principals = self.whom(node)?;
        let (negated, actions) = self.either(node, "Action", "NotAction")?;
        let actions = Listed {
            negated,
            items: self.actions(actions)?,
        };
        let resources = if self.grammar == Grammar::Trust {
            // Nothing is left out.
            Listed {
                negated: true,
                items: Vec::new(),
            }
        } else {
            let (negated, resources) = self.either(node, "Resource", "NotResource")?;
            Listed {
                negated,
                items: self.resources(resources)?,
            }
        };
        let conditions = node
            .member("Condition")
            .map(|condition| self.conditions(condition))
            .transpose()?;
        Ok(Statement {
            sid,
            effect,
            principals,
            actions,
            resources,
            conditions: conditions.unwrap_or_default(),
            span: node.span.clone(),
        })
    }

    /// Whom a statement is about.
    fn whom(&self, node: &Node) -> Result<Listed<Principal>, PolicyError> {
        if self.grammar != Grammar::Identity {
            let (negated, principals) = self.either(node, "Principal", "NotPrincipal")?;
            return Ok(Listed {
                negated,
                items: self.principals(principals)?,
            });
        }
        let named = node.member("Principal").or(node.member("NotPrincipal"));
        match named {
            Some(named) => Err(self.error(
                named,
                "the statement names a principal; a policy of an identity is about the identity that has it",
            )),
            // Nobody is left out.
            None => Ok(Listed {
                negated: true,
                items: Vec::new(),
            }),
        }
    }

    /// Exactly one of an element and its negated form.
    fn either<'n>(
        &self,
        node: &'n Node,
        plain: &str,
        negated: &str,
    ) -> Result<(bool, &'n Node), PolicyError> {
        match (node.member(plain), node.member(negated)) {
            (Some(value), None) => Ok((false, value)),
            (None, Some(value)) => Ok((true, value)),
            (Some(_), Some(second)) => Err(self.error(
                second,
                format!(
                    "the statement has both \"{plain}\" and \"{negated}\"; it may have one of them"
                ),
            )),
            (None, None) => Err(self.error(node, format!("the statement has no \"{plain}\""))),
        }
    }

    fn string<'n>(&self, node: &'n Node, what: &str) -> Result<&'n str, PolicyError> {
        match &node.kind {
            Kind::String(text) => Ok(text),
            _ => Err(self.error(
                node,
                format!("expected a string for {what}, found {}", node.describe()),
            )),
        }
    }

    /// A string, or a list of strings, which mean the same everywhere.
    fn strings(&self, node: &Node, what: &str) -> Result<Vec<String>, PolicyError> {
        match &node.kind {
            Kind::Array(elements) if elements.is_empty() => Err(self.error(
                node,
                format!("expected at least {what}, found an empty list"),
            )),
            Kind::Array(elements) => elements
                .iter()
                .map(|element| self.string(element, what).map(str::to_owned))
                .collect(),
            _ => Ok(vec![self.string(node, what)?.to_owned()]),
        }
    }

    fn actions(&self, node: &Node) -> Result<Vec<String>, PolicyError> {
        let actions = self.strings(node, "an action")?;
        for action in &actions {
            if action != "*"
                && !action
                    .split_once(':')
                    .is_some_and(|(service, name)| !service.is_empty() && !name.is_empty())
            {
                let message = format!(
                    "`{action}` is not an action; expected for example \"kms:Decrypt\" or \"kms:*\""
                );
                return Err(self.error(node, message));
            }
        }
        Ok(actions)
    }

    fn resources(&self, node: &Node) -> Result<Vec<String>, PolicyError> {
        let resources = self.strings(node, "a resource")?;
        for resource in &resources {
            let parts = resource.splitn(6, ':').count();
            let is_arn = resource.starts_with("arn:") && (parts == 6 || resource.contains('*'));
            if !is_arn && !resource.starts_with(['*', '$']) {
                return Err(self.error(
                    node,
                    format!("`{resource}` is not a resource; expected \"*\" or the ARN of a key"),
                ));
            }
        }
        Ok(resources)
    }

    fn principals(&self, node: &Node) -> Result<Vec<Principal>, PolicyError> {
        let expected =
            "expected \"*\" or an object such as {\"AWS\": \"arn:aws:iam::123456789012:root\"}";
        match &node.kind {
            Kind::String(text) if text == "*" => Ok(vec![Principal::Anyone]),
            Kind::Object(members) if !members.is_empty() => {
                let mut principals = Vec::new();
                for member in members {
                    let values = self.strings(&member.value, "a principal")?;
                    for value in values {
                        principals.push(match member.name.as_str() {
                            "AWS" => Principal::aws(&value).map_err(|error| self.error(&member.value, error.to_string()))?,
                            "Service" => Principal::Service(value),
                            "Federated" => Principal::Federated(value),
                            "CanonicalUser" => Principal::CanonicalUser(value),
                            other => {
                                let message = format!(
                                    "\"{other}\" is not a kind of principal; expected \"AWS\", \"Service\", \"Federated\" or \
                                     \"CanonicalUser\""
                                );
                                return Err(self.error_at(member.name_span.start, message));
                            }
                        });
                    }
                }
                Ok(principals)
            }
            Kind::String(text) => Err(self.error(node, format!("{expected}, found \"{text}\""))),
            _ => Err(self.error(node, format!("{expected}, found {}", node.describe()))),
        }
    }

    fn conditions(&self, node: &Node) -> Result<Vec<Condition>, PolicyError> {
        let Kind::Object(operators) = &node.kind else {
            return Err(self.error(
                node,
                format!(
                    "expected an object of condition operators, found {}",
                    node.describe()
                ),
            ));
        };
        let mut conditions = Vec::new();
        for operator in operators {
            let Kind::Object(keys) = &operator.value.kind else {
                let found = operator.value.describe();
                return Err(self.error(
                    &operator.value,
                    format!("expected an object of condition keys, found {found}"),
                ));
            };
            for key in keys {
                let values = self.condition_values(&key.value)?;
                conditions.push(Condition::new(&operator.name, &key.name, values));
            }
        }
        Ok(conditions)
    }

    /// Numbers and booleans count as strings.
    fn condition_values(&self, node: &Node) -> Result<Vec<String>, PolicyError> {
        let one = |node: &Node| match &node.kind {
            Kind::String(text) => Ok(text.clone()),
            Kind::Number(text) => Ok(text.clone()),
            Kind::Bool(value) => Ok(value.to_string()),
            _ => Err(self.error(
                node,
                format!("expected a value of a condition, found {}", node.describe()),
            )),
        };
        match &node.kind {
            Kind::Array(elements) => elements.iter().map(one).collect(),
            _ => Ok(vec![one(node)?]),
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
