//! Conditions (IAM User Guide, "Condition operators").

use std::net::IpAddr;

use serde_json::Value as Json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::pattern::{Piece, characters, fits, pattern};
use super::{Call, Malformed, malformed, texts};

#[derive(Clone, Debug)]
pub(super) struct Condition {
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

pub(super) fn conditions_of(value: Option<&Json>) -> Result<Vec<Condition>, Malformed> {
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
    pub(super) fn holds(&self, call: &Call, has_variables: bool) -> bool {
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
