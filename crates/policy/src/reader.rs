//! The grammar of policies: which elements stand where. Source: IAM user guide, "Grammar of the IAM JSON policy language".

use super::condition::Condition;
use super::document::{Document, Listed, PolicyError, Statement};
use super::json::{self, Kind, Node, Place};
use super::language::{Effect, Version};
use super::principal::Principal;

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
    /// statements name no principal; they are about the identity that has the policy.
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
}

/// Which elements a statement must have.
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
                // The reader keeps elements that it does not know, and they mean nothing here.
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

    /// The principals that a statement is about.
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
            // The statement leaves out no principal.
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
