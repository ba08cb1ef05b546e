//! Key policies, read and decided as the service does it: every request is complete, so every question has two answers.
//!
//! This is separate from the `kms-policy` crate on purpose. Tests try the provider's proofs against the sandbox; if both
//! asked the same code, a mistake in it would agree with itself. The rules are those of the AWS IAM User Guide ("Policy
//! evaluation logic", "JSON policy elements reference") and of the AWS KMS Developer Guide ("Key policies in AWS KMS"). The
//! sandbox does not read IAM policies here: everybody in the key's account may do what the account may.

mod condition;
mod pattern;
mod unique;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value as Json};
use time::format_description::well_known::Rfc3339;

use condition::{Condition, conditions_of};
use pattern::{characters, fits, pattern, wildcards};
use unique::Unique;

/// The largest key policy that PutKeyPolicy takes, in bytes (AWS KMS API Reference, PutKeyPolicy).
pub const LARGEST: usize = 32_768;

/// Why the service does not take a text for a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn malformed<T>(why: impl Into<String>) -> Result<T, Malformed> {
    Err(Malformed(why.into()))
}

/// The principal that makes a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// `arn:aws:iam::111122223333:role/name`, a user, or the root of an account. For a session: its role.
    pub arn: String,
    /// `arn:aws:sts::111122223333:assumed-role/name/session`
    pub session: Option<String>,
}

impl Caller {
    /// The caller that STS knows by this ARN. A session's ARN does not have the path of its role, so neither has this role.
    pub fn of(arn: &str) -> Self {
        let mut parts = arn.split(':').skip(1);
        let (partition, service) = (parts.next().unwrap_or_default(), parts.next());
        let (account, resource) = (
            parts.nth(1).unwrap_or_default(),
            parts.next().unwrap_or_default(),
        );
        match resource.split('/').collect::<Vec<_>>().as_slice() {
            ["assumed-role", role, _] if service == Some("sts") => Self {
                arn: format!("arn:{partition}:iam::{account}:role/{role}"),
                session: Some(arn.to_owned()),
            },
            _ => Self {
                arn: arn.to_owned(),
                session: None,
            },
        }
    }

    /// The account that the caller belongs to.
    pub fn account(&self) -> &str {
        self.arn.split(':').nth(4).unwrap_or_default()
    }

    fn is(&self, named: &str) -> bool {
        let partition = self.arn.split(':').nth(1).unwrap_or_default();
        let root = format!("arn:{partition}:iam::{}:root", self.account());
        let role_of_session = || {
            let role = |arn: &str| {
                let (account, resource) = arn.split_once(":role/")?;
                Some((account.to_owned(), resource.rsplit('/').next()?.to_owned()))
            };
            self.session.is_some() && role(named).is_some() && role(named) == role(&self.arn)
        };
        named == "*"
            || named == self.account()
            || named == root
            || named == self.arn
            || self.session.as_deref() == Some(named)
            || role_of_session()
    }
}

/// One request, with everything that it carries.
#[derive(Clone, Debug)]
pub struct Call {
    /// The principal that makes the call.
    pub caller: Caller,
    /// `kms:Decrypt`
    pub action: String,
    /// The key's ARN.
    pub key_arn: String,
    /// The context keys that the request carries; what is not here is not in the request.
    pub context: BTreeMap<String, Vec<String>>,
}

impl Call {
    /// A request over TLS from an address of the documentation (RFC 5737), with the keys that every request carries.
    pub fn new(caller: Caller, action: &str, key_arn: &str) -> Self {
        let mut call = Self {
            action: action.to_owned(),
            key_arn: key_arn.to_owned(),
            context: BTreeMap::new(),
            caller,
        };
        let now = doors::clock::now();
        let region = key_arn.split(':').nth(3).unwrap_or_default();
        for (name, value) in [
            ("aws:PrincipalArn", call.caller.arn.clone()),
            ("aws:PrincipalAccount", call.caller.account().to_owned()),
            ("kms:CallerAccount", call.caller.account().to_owned()),
            ("aws:RequestedRegion", region.to_owned()),
            ("aws:SourceIp", "203.0.113.7".to_owned()),
            ("aws:SecureTransport", "true".to_owned()),
            ("aws:ViaAWSService", "false".to_owned()),
            ("aws:PrincipalIsAWSService", "false".to_owned()),
            ("aws:CurrentTime", now.format(&Rfc3339).unwrap_or_default()),
            ("aws:EpochTime", now.unix_timestamp().to_string()),
        ] {
            call = call.with(name, &value);
        }
        call
    }

    /// The same request, with this too.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.context
            .insert(name.to_ascii_lowercase(), vec![value.to_owned()]);
        self
    }

    fn value(&self, name: &str) -> Option<&[String]> {
        self.context
            .get(&name.to_ascii_lowercase())
            .map(Vec::as_slice)
    }
}

/// A key policy, in the sandbox's own form.
#[derive(Clone, Debug)]
pub struct Policy {
    statements: Vec<Statement>,
    has_variables: bool,
}

#[derive(Clone, Debug)]
struct Statement {
    is_deny: bool,
    principals: Names,
    actions: Names,
    resources: Names,
    conditions: Vec<Condition>,
}

/// What an element names, or names all but.
#[derive(Clone, Debug)]
struct Names {
    is_inverted: bool,
    items: Vec<String>,
}

impl Names {
    fn cover(&self, f: impl Fn(&String) -> bool) -> bool {
        self.items.iter().any(f) != self.is_inverted
    }
}

impl Policy {
    /// Reads a policy, with the checks that the service makes of its grammar.
    ///
    /// # Errors
    /// What is malformed.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let Unique(document) =
            serde_json::from_str(text).map_err(|error| Malformed(error.to_string()))?;
        let Json::Object(document) = document else {
            return malformed("a policy is an object");
        };
        only(&document, &["Version", "Id", "Statement"])?;
        let has_variables = match document.get("Version").map(Json::as_str) {
            None | Some(Some("2008-10-17")) => false,
            Some(Some("2012-10-17")) => true,
            Some(_) => return malformed("there is no such Version"),
        };
        let statements = match document.get("Statement") {
            Some(Json::Array(all)) if !all.is_empty() => all.iter().collect(),
            Some(one @ Json::Object(_)) => vec![one],
            _ => return malformed("a policy has statements"),
        };
        let statements = statements
            .into_iter()
            .map(Statement::parse)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            statements,
            has_variables,
        })
    }

    /// The principals that the policy names, as it writes them.
    pub fn principals(&self) -> impl Iterator<Item = &str> {
        let all = self.statements.iter();
        all.flat_map(|statement| &statement.principals.items)
            .map(String::as_str)
    }

    /// Whether a request is allowed: a statement allows it, and none denies it.
    pub fn allows(&self, call: &Call) -> bool {
        let applies = |statement: &&Statement| statement.applies(call, self.has_variables);
        let mut applying = self.statements.iter().filter(applies).peekable();
        applying.peek().is_some() && applying.all(|statement| !statement.is_deny)
    }
}

fn only(object: &Map<String, Json>, known: &[&str]) -> Result<(), Malformed> {
    match object.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(unknown) => malformed(format!("there is no element {unknown}")),
    }
}

/// One text, or a list of some.
fn texts(value: &Json) -> Result<Vec<String>, Malformed> {
    let text = |value: &Json| match value {
        Json::String(text) => Ok(text.clone()),
        Json::Bool(_) | Json::Number(_) => Ok(value.to_string()),
        _ => malformed("expected text"),
    };
    match value {
        Json::Array(all) if all.is_empty() => malformed("a list is empty"),
        Json::Array(all) => all.iter().map(text).collect(),
        one => Ok(vec![text(one)?]),
    }
}

impl Statement {
    fn parse(statement: &Json) -> Result<Self, Malformed> {
        let Json::Object(elements) = statement else {
            return malformed("a statement is an object");
        };
        only(
            elements,
            &[
                "Sid",
                "Effect",
                "Principal",
                "NotPrincipal",
                "Action",
                "NotAction",
                "Resource",
                "NotResource",
                "Condition",
            ],
        )?;
        if elements.get("Sid").is_some_and(|sid| !sid.is_string()) {
            return malformed("Sid is text");
        }
        let is_deny = match elements.get("Effect").and_then(Json::as_str) {
            Some("Allow") => false,
            Some("Deny") => true,
            _ => return malformed("Effect is Allow or Deny"),
        };
        let either = |name: &str| {
            let inverted = format!("Not{name}");
            match (elements.get(name), elements.get(&inverted)) {
                (Some(value), None) => Ok((false, value)),
                (None, Some(value)) => Ok((true, value)),
                _ => malformed(format!("a statement has either {name} or {inverted}")),
            }
        };
        let names = |name: &str| {
            let (is_inverted, value) = either(name)?;
            Ok(Names {
                is_inverted,
                items: texts(value)?,
            })
        };
        let (is_inverted, principals) = either("Principal")?;
        let principals = Names {
            is_inverted,
            items: principals_of(principals)?,
        };
        let actions = names("Action")?;
        let is_action = |action: &String| action == "*" || action.split(':').count() == 2;
        if !actions.items.iter().all(is_action) {
            return malformed("actions have a vendor prefix");
        }
        Ok(Self {
            is_deny,
            principals,
            actions,
            resources: names("Resource")?,
            conditions: conditions_of(elements.get("Condition"))?,
        })
    }

    fn applies(&self, call: &Call, has_variables: bool) -> bool {
        let pattern = |text: &String| pattern(text, call, has_variables);
        self.principals.cover(|named| call.caller.is(named))
            && self.actions.cover(|action| {
                let literal = action.to_ascii_lowercase();
                fits(
                    &wildcards(&literal),
                    &characters(&call.action.to_ascii_lowercase()),
                )
            })
            && self.resources.cover(|resource| {
                pattern(resource).is_some_and(|pattern| fits(&pattern, &characters(&call.key_arn)))
            })
            && self
                .conditions
                .iter()
                .all(|condition| condition.holds(call, has_variables))
    }
}

fn principals_of(value: &Json) -> Result<Vec<String>, Malformed> {
    match value {
        Json::String(all) if all == "*" => Ok(vec!["*".to_owned()]),
        Json::Object(kinds) if !kinds.is_empty() => {
            only(kinds, &["AWS", "Service", "Federated", "CanonicalUser"])?;
            let mut all = Vec::new();
            for (kind, named) in kinds {
                for named in texts(named)? {
                    let is_account = named.len() == 12 && named.bytes().all(|b| b.is_ascii_digit());
                    let is_wild = named != "*" && named.contains(['*', '?']);
                    let is_known =
                        is_account || named == "*" || named.starts_with("arn:") || is_gone(&named);
                    if kind == "AWS" && (is_wild || !is_known) {
                        return malformed("Invalid principal in policy");
                    }
                    // A service does not belong to an account; the prefix keeps it from matching any principal.
                    all.push(if kind == "AWS" {
                        named
                    } else {
                        format!("{kind}:{named}")
                    });
                }
            }
            Ok(all)
        }
        _ => malformed("Invalid principal in policy"),
    }
}

/// Whether a principal is the unique ID that is left of a role or user that was deleted (IAM User Guide, "IAM identifiers").
pub fn is_gone(principal: &str) -> bool {
    principal.starts_with("AROA") || principal.starts_with("AIDA")
}

#[cfg(test)]
mod tests;
