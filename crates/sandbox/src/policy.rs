//! Key policies, read and decided as the service does it: every request is complete, so every question has two answers.
//!
//! This is written apart from the `kms-policy` crate on purpose. The sandbox is what the provider's proofs are tried
//! against; if both asked the same code, a mistake in it would agree with itself. The rules are those of the AWS IAM User
//! Guide ("Policy evaluation logic", "JSON policy elements reference") and of the AWS KMS Developer Guide ("Key policies in
//! AWS KMS"). What IAM policies say is not looked at: everybody in the key's account is allowed what the account is.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value as Json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

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

/// Who asks.
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
    /// Who asks.
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
        let now = OffsetDateTime::now_utc();
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

/// A policy.
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

#[derive(Clone, Debug)]
struct Condition {
    operator: Operator,
    key: String,
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantifier {
    One,
    Any,
    All,
}

#[derive(Clone, Copy, Debug)]
struct Operator {
    quantifier: Quantifier,
    /// `…IfExists`
    also_without: bool,
    is_negated: bool,
    test: Test,
}

/// How a value of the request is compared with one of the policy.
#[derive(Clone, Copy, Debug)]
enum Test {
    Null,
    Equal,
    EqualIgnoringCase,
    Like,
    Arn,
    Bool,
    Number(fn(std::cmp::Ordering) -> bool),
    Date(fn(std::cmp::Ordering) -> bool),
    Address,
}

impl Operator {
    fn parse(name: &str) -> Option<Self> {
        let (quantifier, rest) = match name.split_once(':') {
            None => (Quantifier::One, name),
            Some(("ForAnyValue", rest)) => (Quantifier::Any, rest),
            Some(("ForAllValues", rest)) => (Quantifier::All, rest),
            Some(_) => return None,
        };
        let (base, also_without) = match rest.strip_suffix("IfExists") {
            Some(base) if base != "Null" => (base, true),
            _ => (rest, false),
        };
        let (test, is_negated) = match base {
            "Null" => (Test::Null, false),
            "StringEquals" | "BinaryEquals" => (Test::Equal, false),
            "StringNotEquals" => (Test::Equal, true),
            "StringEqualsIgnoreCase" => (Test::EqualIgnoringCase, false),
            "StringNotEqualsIgnoreCase" => (Test::EqualIgnoringCase, true),
            "StringLike" => (Test::Like, false),
            "StringNotLike" => (Test::Like, true),
            "ArnEquals" | "ArnLike" => (Test::Arn, false),
            "ArnNotEquals" | "ArnNotLike" => (Test::Arn, true),
            "Bool" => (Test::Bool, false),
            "NumericEquals" => (Test::Number(std::cmp::Ordering::is_eq), false),
            "NumericNotEquals" => (Test::Number(std::cmp::Ordering::is_eq), true),
            "NumericLessThan" => (Test::Number(std::cmp::Ordering::is_lt), false),
            "NumericLessThanEquals" => (Test::Number(std::cmp::Ordering::is_le), false),
            "NumericGreaterThan" => (Test::Number(std::cmp::Ordering::is_gt), false),
            "NumericGreaterThanEquals" => (Test::Number(std::cmp::Ordering::is_ge), false),
            "DateEquals" => (Test::Date(std::cmp::Ordering::is_eq), false),
            "DateNotEquals" => (Test::Date(std::cmp::Ordering::is_eq), true),
            "DateLessThan" => (Test::Date(std::cmp::Ordering::is_lt), false),
            "DateLessThanEquals" => (Test::Date(std::cmp::Ordering::is_le), false),
            "DateGreaterThan" => (Test::Date(std::cmp::Ordering::is_gt), false),
            "DateGreaterThanEquals" => (Test::Date(std::cmp::Ordering::is_ge), false),
            "IpAddress" => (Test::Address, false),
            "NotIpAddress" => (Test::Address, true),
            _ => return None,
        };
        Some(Self {
            quantifier,
            also_without,
            is_negated,
            test,
        })
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
                    // A service is not somebody of an account; the prefix keeps it from matching anybody.
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

fn conditions_of(value: Option<&Json>) -> Result<Vec<Condition>, Malformed> {
    let Some(value) = value else {
        return Ok(Vec::new());
    };
    let Json::Object(operators) = value else {
        return malformed("Condition is an object");
    };
    let mut all = Vec::new();
    for (name, keys) in operators {
        let Some(operator) = Operator::parse(name) else {
            return malformed(format!("Invalid Condition type : {name}"));
        };
        let Json::Object(keys) = keys else {
            return malformed("a condition operator has an object");
        };
        for (key, values) in keys {
            all.push(Condition {
                operator,
                key: key.clone(),
                values: texts(values)?,
            });
        }
    }
    Ok(all)
}

impl Condition {
    fn holds(&self, call: &Call, has_variables: bool) -> bool {
        let Operator {
            quantifier,
            also_without,
            is_negated,
            test,
        } = self.operator;
        let given = call.value(&self.key);
        if matches!(test, Test::Null) {
            let is_missing = given.is_none();
            return self
                .values
                .iter()
                .any(|wanted| wanted.parse() == Ok(is_missing));
        }
        let Some(given) = given else {
            return also_without
                || match quantifier {
                    Quantifier::Any => false,
                    Quantifier::All => true,
                    Quantifier::One => is_negated,
                };
        };
        let one = |value: &String| {
            let is_met = self.values.iter().any(|wanted| {
                pattern(wanted, call, has_variables)
                    .is_some_and(|pattern| compare(test, value, wanted, &pattern))
            });
            is_met != is_negated
        };
        match quantifier {
            Quantifier::All => given.iter().all(one),
            Quantifier::Any => given.iter().any(one),
            // A negated operator asks that no value is one of those; a positive one that some value is.
            Quantifier::One if is_negated => given.iter().all(one),
            Quantifier::One => given.iter().any(one),
        }
    }
}

fn compare(test: Test, value: &str, wanted: &str, pattern: &[Piece]) -> bool {
    let literal: String = pattern.iter().map(Piece::character).collect();
    match test {
        Test::Null => false,
        Test::Equal => value == literal,
        Test::EqualIgnoringCase => value.to_lowercase() == literal.to_lowercase(),
        Test::Like => fits(pattern, &characters(value)),
        Test::Arn => {
            let mut parts = pattern.splitn(6, |piece| *piece == Piece::Literal(':'));
            let mut own = value.splitn(6, ':');
            (0..6).all(|_| match (parts.next(), own.next()) {
                (Some(part), Some(own)) => fits(part, &characters(own)),
                _ => false,
            })
        }
        Test::Bool => value.eq_ignore_ascii_case(wanted),
        Test::Number(f) => {
            let number = |text: &str| text.parse::<f64>().ok();
            number(value)
                .zip(number(wanted))
                .and_then(|(value, wanted)| value.partial_cmp(&wanted))
                .is_some_and(f)
        }
        Test::Date(f) => moment(value)
            .zip(moment(wanted))
            .is_some_and(|(value, wanted)| f(value.cmp(&wanted))),
        Test::Address => is_within(value, wanted),
    }
}

/// A date of ISO 8601, or seconds since 1970.
fn moment(text: &str) -> Option<OffsetDateTime> {
    let seconds = || OffsetDateTime::from_unix_timestamp(text.parse().ok()?).ok();
    let day = || OffsetDateTime::parse(&format!("{text}T00:00:00Z"), &Rfc3339).ok();
    OffsetDateTime::parse(text, &Rfc3339)
        .ok()
        .or_else(day)
        .or_else(seconds)
}

fn is_within(address: &str, range: &str) -> bool {
    let (network, length) = match range.split_once('/') {
        Some((network, length)) => (network, length.parse::<u32>().ok()),
        None => (range, Some(128)),
    };
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)) << 96, 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    };
    let (Ok(address), Ok(network), Some(length)) =
        (address.parse::<IpAddr>(), network.parse::<IpAddr>(), length)
    else {
        return false;
    };
    let ((own, width), (other, _)) = (bits(address), bits(network));
    let mask = u128::MAX
        .checked_shl(128_u32.saturating_sub(length.min(width)))
        .unwrap_or_default();
    address.is_ipv4() == network.is_ipv4() && own & mask == other & mask
}

/// A piece of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Many,
    One,
    Literal(char),
}

impl Piece {
    /// As it was written, for operators that know no wildcards.
    fn character(&self) -> char {
        match self {
            Self::Many => '*',
            Self::One => '?',
            Self::Literal(character) => *character,
        }
    }
}

fn characters(text: &str) -> Vec<char> {
    text.chars().collect()
}

fn wildcards(text: &str) -> Vec<Piece> {
    let piece = |character| match character {
        '*' => Piece::Many,
        '?' => Piece::One,
        other => Piece::Literal(other),
    };
    text.chars().map(piece).collect()
}

/// A value with its variables filled in; what they stand for has no wildcards. `None` when one stands for nothing.
fn pattern(text: &str, call: &Call, has_variables: bool) -> Option<Vec<Piece>> {
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

fn fits(pattern: &[Piece], text: &[char]) -> bool {
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

/// JSON in which no object has a name twice: the service refuses what could be read in two ways.
struct Unique(Json);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Unique;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_unit<E>(self) -> Result<Unique, E> {
                Ok(Unique(Json::Null))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Unique, E> {
                Ok(Unique(value.into()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Unique, E> {
                Ok(Unique(value.into()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Unique, E> {
                Ok(Unique(value.into()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Unique, E> {
                Ok(Unique(value.into()))
            }
            fn visit_str<E>(self, value: &str) -> Result<Unique, E> {
                Ok(Unique(value.into()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Unique, A::Error> {
                let mut list = Vec::new();
                while let Some(Unique(value)) = all.next_element()? {
                    list.push(value);
                }
                Ok(Unique(list.into()))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Unique, A::Error> {
                let mut object = Map::new();
                while let Some((name, Unique(value))) = all.next_entry::<String, _>()? {
                    if object.insert(name.clone(), value).is_some() {
                        return Err(A::Error::custom(format!("{name} occurs twice")));
                    }
                }
                Ok(Unique(object.into()))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    const SESSION: &str = "arn:aws:sts::123456789012:assumed-role/terraform/run";

    fn decided(statement: &str) -> Result<bool, Malformed> {
        let text = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Resource":"*","Action":"kms:Decrypt",{statement}}}]}}"#
        );
        let call =
            Call::new(Caller::of(SESSION), "kms:Decrypt", KEY).with("aws:PrincipalTag/team", "a*b");
        Ok(Policy::parse(&text)?.allows(&call))
    }

    /// Each row: a principal, and whether it is the session of a role.
    #[test]
    fn who_is_meant() -> Result<(), Malformed> {
        for (principal, is_meant) in [
            (r#""*""#, true),
            (r#"{"AWS":"*"}"#, true),
            (r#"{"AWS":"123456789012"}"#, true),
            (r#"{"AWS":"arn:aws:iam::123456789012:root"}"#, true),
            (r#"{"AWS":"arn:aws-us-gov:iam::123456789012:root"}"#, false),
            (
                r#"{"AWS":"arn:aws:iam::123456789012:role/terraform"}"#,
                true,
            ),
            (
                r#"{"AWS":"arn:aws:iam::123456789012:role/path/terraform"}"#,
                true,
            ),
            (
                r#"{"AWS":"arn:aws:iam::123456789012:role/Terraform"}"#,
                false,
            ),
            (
                r#"{"AWS":"arn:aws:sts::123456789012:assumed-role/terraform/run"}"#,
                true,
            ),
            (
                r#"{"AWS":"arn:aws:sts::123456789012:assumed-role/terraform/other"}"#,
                false,
            ),
            (r#"{"AWS":["999999999999","123456789012"]}"#, true),
            (r#"{"AWS":"AROAEXAMPLE"}"#, false),
            (r#"{"Service":"kms.amazonaws.com"}"#, false),
        ] {
            assert_eq!(
                decided(&format!(r#""Principal":{principal}"#))?,
                is_meant,
                "{principal}"
            );
        }
        assert!(!decided(r#""NotPrincipal":{"AWS":"123456789012"}"#)?);
        assert!(decided(r#""NotPrincipal":{"AWS":"999999999999"}"#)?);
        Ok(())
    }

    /// Each row: a condition, and whether the request meets it.
    #[test]
    fn what_a_condition_asks() -> Result<(), Malformed> {
        for (condition, is_met) in [
            (
                r#""StringEquals":{"aws:principalaccount":"123456789012"}"#,
                true,
            ),
            (
                r#""StringEquals":{"aws:PrincipalAccount":["1","123456789012"]}"#,
                true,
            ),
            (
                r#""StringNotEquals":{"aws:PrincipalAccount":["1","123456789012"]}"#,
                false,
            ),
            (r#""StringEquals":{"aws:PrincipalOrgID":"o-1"}"#, false),
            (r#""StringNotEquals":{"aws:PrincipalOrgID":"o-1"}"#, true),
            (
                r#""StringEqualsIfExists":{"aws:PrincipalOrgID":"o-1"}"#,
                true,
            ),
            (
                r#""ForAllValues:StringEquals":{"aws:PrincipalOrgID":"o-1"}"#,
                true,
            ),
            (
                r#""ForAnyValue:StringEquals":{"aws:PrincipalOrgID":"o-1"}"#,
                false,
            ),
            (r#""Null":{"aws:PrincipalOrgID":"true"}"#, true),
            (r#""Null":{"aws:PrincipalArn":"true"}"#, false),
            (
                r#""StringLike":{"aws:PrincipalArn":"*:role/terra?orm"}"#,
                true,
            ),
            (
                r#""StringEquals":{"aws:PrincipalArn":"*:role/terraform"}"#,
                false,
            ),
            (
                r#""ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/*"}"#,
                true,
            ),
            (r#""ArnLike":{"aws:PrincipalArn":"arn:*"}"#, false),
            (r#""Bool":{"aws:SecureTransport":true}"#, true),
            (r#""IpAddress":{"aws:SourceIp":"203.0.113.0/24"}"#, true),
            (r#""IpAddress":{"aws:SourceIp":"203.0.112.0/24"}"#, false),
            (
                r#""NotIpAddress":{"aws:SourceIp":["203.0.112.0/24","::/0"]}"#,
                true,
            ),
            (
                r#""DateGreaterThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"}"#,
                true,
            ),
            (r#""DateLessThan":{"aws:CurrentTime":"2020-01-01"}"#, false),
            (
                r#""NumericGreaterThan":{"aws:EpochTime":"1577836800"}"#,
                true,
            ),
            (
                r#""StringEquals":{"aws:PrincipalTag/team":"${aws:PrincipalTag/team}"}"#,
                true,
            ),
            (
                r#""StringLike":{"aws:PrincipalAccount":"${aws:PrincipalTag/team}"}"#,
                false,
            ),
            (
                r#""StringEquals":{"aws:PrincipalAccount":"${aws:PrincipalTag/none, '123456789012'}"}"#,
                true,
            ),
            (
                r#""StringNotEquals":{"aws:PrincipalAccount":"${aws:PrincipalTag/none}"}"#,
                true,
            ),
        ] {
            let statement = format!(r#""Principal":"*","Condition":{{{condition}}}"#);
            assert_eq!(decided(&statement)?, is_met, "{condition}");
        }
        Ok(())
    }

    #[test]
    fn a_denial_wins() -> Result<(), Malformed> {
        let call = Call::new(Caller::of(SESSION), "kms:Decrypt", KEY);
        for (denied, is_allowed) in [
            ("kms:Decrypt", false),
            ("kms:D*", false),
            ("kms:Encrypt", true),
        ] {
            let text = format!(
                r#"{{"Statement":[{{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}},
                    {{"Effect":"Deny","Principal":"*","Action":"{denied}","Resource":"{KEY}"}}]}}"#
            );
            assert_eq!(Policy::parse(&text)?.allows(&call), is_allowed, "{denied}");
        }
        Ok(())
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        let good = r#""Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*""#;
        for text in [
            String::new(),
            "[]".to_owned(),
            r#"{"Statement":[]}"#.to_owned(),
            format!(r#"{{"Version":"2013-10-17","Statement":{{{good}}}}}"#),
            format!(r#"{{"Statement":{{{good}}},"Statements":1}}"#),
            format!(r#"{{"Statement":{{{good},"Effect":"Deny"}}}}"#),
            format!(r#"{{"Statement":{{{good},"NotAction":"kms:*"}}}}"#),
            format!(r#"{{"Statement":{{{good},"Condition":{{"StringIs":{{"a":"b"}}}}}}}}"#),
            format!(r#"{{"Statement":{{{}}}}}"#, good.replace("kms:*", "kms")),
            format!(
                r#"{{"Statement":{{{}}}}}"#,
                good.replace(r#""*""#, r#"{"AWS":"arn:aws:iam::1:role/*"}"#)
            ),
            format!(
                r#"{{"Statement":{{{}}}}}"#,
                good.replace(r#","Resource":"*""#, "")
            ),
        ] {
            assert!(Policy::parse(&text).is_err(), "{text}");
        }
        assert!(Policy::parse(&format!(r#"{{"Statement":{{{good}}}}}"#)).is_ok());
    }
}
