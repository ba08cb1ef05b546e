//! Conditions: every operator of AWS, with its quantifiers, over what is known of a request.

use std::fmt;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use time::OffsetDateTime;
use time::format_description::well_known::{Iso8601, Rfc3339};

use super::context::{Context, Presence};
use super::language::Version;
use super::pattern::Pattern;
use super::template::{Filled, fill};
use super::truth::Match;

/// `operator: { key: values }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The operator, as it is written.
    pub operator: String,
    /// The context key, as it is written; its case means nothing.
    pub key: String,
    /// The values; one of them must fit, or none for a negated operator.
    pub values: Vec<String>,
    /// What the operator means; `None` when AWS has no such operator.
    pub meaning: Option<Operator>,
}

/// Over which values of a request with several an operator is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quantifier {
    /// `ForAnyValue:` one of them must fit.
    Any,
    /// `ForAllValues:` all of them must fit; true when there are none.
    All,
}

/// How an operator of a condition compares, such as `StringLike`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Comparison {
    /// The same text.
    StringEquals,
    /// The same text, case aside.
    StringEqualsIgnoreCase,
    /// A text with wildcards.
    StringLike,
    /// Numbers, in this order.
    Numeric(Order),
    /// Points in time, in this order.
    Date(Order),
    /// True or false.
    Bool,
    /// The same bytes.
    Binary,
    /// An address or a range.
    Ip,
    /// An ARN with wildcards.
    Arn,
    /// Whether the key is missing.
    Null,
}

/// How two quantities must compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// `=`: `NumericEquals`, `DateEquals`.
    Equal,
    /// `<`: `NumericLessThan`, `DateLessThan`.
    Less,
    /// `<=`: `NumericLessThanEquals`, `DateLessThanEquals`.
    LessOrEqual,
    /// `>`: `NumericGreaterThan`, `DateGreaterThan`.
    Greater,
    /// `>=`: `NumericGreaterThanEquals`, `DateGreaterThanEquals`.
    GreaterOrEqual,
}

/// The meaning of an operator's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Operator {
    /// Over which values.
    pub quantifier: Option<Quantifier>,
    /// How it compares a value of the request with those of the policy.
    pub comparison: Comparison,
    /// Whether no value may fit.
    pub negated: bool,
    /// Whether a missing key makes it true.
    pub if_exists: bool,
}

impl Operator {
    /// Reads an operator's name; AWS does not mind its case.
    pub fn parse(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        let (quantifier, rest) = match lower.split_once(':') {
            Some(("foranyvalue", rest)) => (Some(Quantifier::Any), rest),
            Some(("forallvalues", rest)) => (Some(Quantifier::All), rest),
            Some(_) => return None,
            None => (None, lower.as_str()),
        };
        let (base, if_exists) = match rest.strip_suffix("ifexists") {
            Some("null") => return None,
            Some(base) => (base, true),
            None => (rest, false),
        };
        use Comparison::{
            Arn, Binary, Bool, Date, Ip, Null, Numeric, StringEquals, StringEqualsIgnoreCase,
            StringLike,
        };
        let (comparison, negated) = match base {
            "stringequals" => (StringEquals, false),
            "stringnotequals" => (StringEquals, true),
            "stringequalsignorecase" => (StringEqualsIgnoreCase, false),
            "stringnotequalsignorecase" => (StringEqualsIgnoreCase, true),
            "stringlike" => (StringLike, false),
            "stringnotlike" => (StringLike, true),
            "numericequals" => (Numeric(Order::Equal), false),
            "numericnotequals" => (Numeric(Order::Equal), true),
            "numericlessthan" => (Numeric(Order::Less), false),
            "numericlessthanequals" => (Numeric(Order::LessOrEqual), false),
            "numericgreaterthan" => (Numeric(Order::Greater), false),
            "numericgreaterthanequals" => (Numeric(Order::GreaterOrEqual), false),
            "dateequals" => (Date(Order::Equal), false),
            "datenotequals" => (Date(Order::Equal), true),
            "datelessthan" => (Date(Order::Less), false),
            "datelessthanequals" => (Date(Order::LessOrEqual), false),
            "dategreaterthan" => (Date(Order::Greater), false),
            "dategreaterthanequals" => (Date(Order::GreaterOrEqual), false),
            "bool" => (Bool, false),
            "binaryequals" => (Binary, false),
            "ipaddress" => (Ip, false),
            "notipaddress" => (Ip, true),
            "arnequals" | "arnlike" => (Arn, false),
            "arnnotequals" | "arnnotlike" => (Arn, true),
            "null" => (Null, false),
            _ => return None,
        };
        Some(Self {
            quantifier,
            comparison,
            negated,
            if_exists,
        })
    }
}

impl Condition {
    /// A condition from its parts, as they are written.
    pub fn new(operator: &str, key: &str, values: Vec<String>) -> Self {
        Self {
            operator: operator.to_owned(),
            key: key.to_owned(),
            values,
            meaning: Operator::parse(operator),
        }
    }

    /// Whether it holds for a request.
    pub fn holds(&self, context: &Context, version: Version) -> Match {
        let Some(operator) = self.meaning else {
            return Match::unknown(&self.key);
        };
        let presence = context.get(&self.key);
        if operator.comparison == Comparison::Null {
            let wants_missing = |value: &String| value.eq_ignore_ascii_case("true");
            return match presence {
                Presence::Unknown | Presence::Foreign => Match::unknown(&self.key),
                Presence::Absent => Match::from(self.values.iter().any(wants_missing)),
                Presence::Values(_) => Match::from(
                    self.values
                        .iter()
                        .any(|value| value.eq_ignore_ascii_case("false")),
                ),
            };
        }
        match presence {
            Presence::Unknown => Match::unknown(&self.key),
            Presence::Foreign => self.of_a_stranger(operator, context, version),
            Presence::Absent if operator.if_exists => Match::yes(),
            Presence::Absent => match operator.quantifier {
                Some(Quantifier::Any) => Match::no(),
                Some(Quantifier::All) => Match::yes(),
                None => Match::from(operator.negated),
            },
            Presence::Values(actual) => self.compare(operator, actual, context, version),
        }
    }

    /// Whether it holds for a stranger, whose value is none that is named here, or who has none: certain where both say the same.
    fn of_a_stranger(&self, operator: Operator, context: &Context, version: Version) -> Match {
        // A pattern that names one organization in full (`o-a1b2c3d4e5/*`) fits no other one. More than one value may be a list
        // that has the stranger in it, and a wildcard alone may mean any principal.
        let names_one = match self.values.as_slice() {
            [one] => {
                let owner = one.split('/').next().unwrap_or_default();
                !owner.is_empty() && !owner.contains(['*', '?', '$'])
            }
            _ => false,
        };
        if !names_one {
            return Match::unknown(&self.key);
        }
        let as_absent = match (operator.if_exists, operator.quantifier) {
            (true, _) | (false, Some(Quantifier::All)) => true,
            (false, Some(Quantifier::Any)) => false,
            (false, None) => operator.negated,
        };
        // A value with which no policy value can be equal.
        let as_another = self.compare(operator, &["\u{0}".to_owned()], context, version);
        let agree = if as_absent {
            as_another.is_yes()
        } else {
            as_another.is_no()
        };
        if agree {
            as_another
        } else {
            Match::unknown(&self.key)
        }
    }

    fn compare(
        &self,
        operator: Operator,
        actual: &[String],
        context: &Context,
        version: Version,
    ) -> Match {
        let wild = matches!(
            operator.comparison,
            Comparison::StringLike | Comparison::Arn
        );
        // Variables are known to the operators of texts and of ARNs only (IAM User Guide, "Variables and tags"); anywhere else
        // they are plain text, which is not a number, date, address or truth value.
        let version = match operator.comparison {
            Comparison::StringEquals
            | Comparison::StringEqualsIgnoreCase
            | Comparison::StringLike
            | Comparison::Arn => version,
            _ => Version::V2008,
        };
        let expected: Vec<Filled> = self
            .values
            .iter()
            .map(|value| fill(value, wild, context, version))
            .collect();
        // For one value of the request: does one of the policy's values fit?
        let fits = |value: &String| {
            let mut outcome = Match::no();
            for expected in &expected {
                outcome = outcome.or(match expected {
                    Filled::Nothing => Match::no(),
                    Filled::Unknown(key) => Match::unknown(key),
                    Filled::Pattern(pattern, text) => {
                        Match::from(operator.comparison.fits(value, pattern, text))
                    }
                });
            }
            if operator.negated {
                outcome.negated()
            } else {
                outcome
            }
        };
        let any = |outcome: Match, value: &String| outcome.or(fits(value));
        let all = |outcome: Match, value: &String| outcome.and(fits(value));
        match operator.quantifier {
            Some(Quantifier::Any) => actual.iter().fold(Match::no(), any),
            Some(Quantifier::All) => actual.iter().fold(Match::yes(), all),
            None if operator.negated => actual.iter().fold(Match::yes(), all),
            None => actual.iter().fold(Match::no(), any),
        }
    }
}

impl Comparison {
    fn fits(self, actual: &str, pattern: &Pattern, text: &str) -> bool {
        match self {
            Self::StringEquals | Self::StringLike => pattern.matches(actual),
            Self::StringEqualsIgnoreCase => pattern.matches_ignoring_case(actual),
            Self::Arn => pattern.matches_arn(actual),
            Self::Bool => actual.eq_ignore_ascii_case(text),
            Self::Binary => match (STANDARD.decode(actual), STANDARD.decode(text)) {
                (Ok(actual), Ok(expected)) => actual == expected,
                _ => false,
            },
            Self::Ip => in_range(actual, text),
            Self::Numeric(order) => {
                match (actual.trim().parse::<f64>(), text.trim().parse::<f64>()) {
                    (Ok(actual), Ok(expected)) => actual
                        .partial_cmp(&expected)
                        .is_some_and(|found| order.admits(found)),
                    _ => false,
                }
            }
            Self::Date(order) => match (instant(actual), instant(text)) {
                (Some(actual), Some(expected)) => order.admits(actual.cmp(&expected)),
                _ => false,
            },
            Self::Null => false,
        }
    }
}

impl Order {
    fn admits(self, found: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => found.is_eq(),
            Self::Less => found.is_lt(),
            Self::LessOrEqual => found.is_le(),
            Self::Greater => found.is_gt(),
            Self::GreaterOrEqual => found.is_ge(),
        }
    }
}

/// A point in time as AWS takes it: ISO 8601, or seconds since 1970.
fn instant(text: &str) -> Option<OffsetDateTime> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<i64>() {
        return OffsetDateTime::from_unix_timestamp(seconds).ok();
    }
    OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|_| OffsetDateTime::parse(text, &Iso8601::PARSING))
        .ok()
        .or_else(|| {
            let date = time::Date::parse(text, &Iso8601::PARSING).ok()?;
            Some(date.midnight().assume_utc())
        })
}

/// Whether an address lies in a CIDR range, or is the address.
fn in_range(address: &str, range: &str) -> bool {
    let Ok(address) = address.trim().parse::<IpAddr>() else {
        return false;
    };
    let (network, length) = match range.trim().split_once('/') {
        Some((network, length)) => (network, length.parse::<u32>().ok()),
        None => (range.trim(), Some(if address.is_ipv4() { 32 } else { 128 })),
    };
    let (Ok(network), Some(length)) = (network.parse::<IpAddr>(), length) else {
        return false;
    };
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) if length <= 32 => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            u32::from(address) & mask == u32::from(network) & mask
        }
        (IpAddr::V6(address), IpAddr::V6(network)) if length <= 128 => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            u128::from(address) & mask == u128::from(network) & mask
        }
        _ => false,
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} [{}]",
            self.operator,
            self.key,
            self.values.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;

    /// A request whose value is not known, but is none that the policy names.
    const STRANGER: &[&str] = &["\u{0}"];

    fn outcome(operator: &str, values: &[&str], actual: Option<&[&str]>) -> &'static str {
        let mut context = Context::closed();
        if actual == Some(STRANGER) {
            context = context.with_foreign("k:x");
        } else if let Some(actual) = actual {
            context.set(
                "k:x",
                actual.iter().map(|value| (*value).to_owned()).collect(),
            );
        }
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        let found = Condition::new(operator, "K:X", values).holds(&context, Version::V2012);
        if found.is_yes() {
            "yes"
        } else if found.is_no() {
            "no"
        } else {
            "unknown"
        }
    }

    /// Each row: the operator, the policy's values, the request's values, and whether it holds.
    #[test]
    fn every_operator_does_what_aws_says() {
        let rows: &[(&str, &[&str], Option<&[&str]>, &str)] = &[
            ("StringEquals", &["a", "b"], Some(&["b"]), "yes"),
            ("StringEquals", &["a"], Some(&["A"]), "no"),
            ("StringEquals", &["a*"], Some(&["ab"]), "no"),
            ("StringEquals", &["a"], None, "no"),
            ("stringequals", &["a"], Some(&["a"]), "yes"),
            ("StringNotEquals", &["a", "b"], Some(&["b"]), "no"),
            ("StringNotEquals", &["a"], None, "yes"),
            ("StringEqualsIgnoreCase", &["a"], Some(&["A"]), "yes"),
            ("StringLike", &["a*"], Some(&["ab"]), "yes"),
            ("StringNotLike", &["a*"], Some(&["ab"]), "no"),
            ("StringEqualsIfExists", &["a"], None, "yes"),
            ("StringEqualsIfExists", &["a"], Some(&["b"]), "no"),
            ("ForAnyValue:StringLike", &["a*"], None, "no"),
            ("ForAnyValue:StringEquals", &["a"], Some(&["b", "a"]), "yes"),
            ("ForAllValues:StringEquals", &["a"], Some(&["b", "a"]), "no"),
            ("ForAllValues:StringEquals", &["a"], None, "yes"),
            (
                "ForAnyValue:StringNotEquals",
                &["a"],
                Some(&["a", "b"]),
                "yes",
            ),
            (
                "ForAllValues:StringNotEquals",
                &["a"],
                Some(&["a", "b"]),
                "no",
            ),
            ("NumericLessThan", &["10"], Some(&["9.5"]), "yes"),
            ("NumericEquals", &["1"], Some(&["1.0"]), "yes"),
            ("NumericNotEquals", &["1"], None, "yes"),
            ("NumericGreaterThanEquals", &["x"], Some(&["1"]), "no"),
            (
                "DateLessThan",
                &["2030-01-01T00:00:00Z"],
                Some(&["2026-01-01T00:00:00Z"]),
                "yes",
            ),
            (
                "DateGreaterThan",
                &["2030-01-01"],
                Some(&["1893456001"]),
                "yes",
            ),
            ("Bool", &["true"], Some(&["true"]), "yes"),
            ("Bool", &["true"], Some(&["false"]), "no"),
            ("BinaryEquals", &["aGk="], Some(&["aGk="]), "yes"),
            ("IpAddress", &["10.0.0.0/8"], Some(&["10.1.2.3"]), "yes"),
            ("IpAddress", &["10.0.0.0/8"], Some(&["11.1.2.3"]), "no"),
            ("NotIpAddress", &["0.0.0.0/0"], Some(&["11.1.2.3"]), "no"),
            (
                "IpAddress",
                &["2001:db8::/32"],
                Some(&["2001:db8::1"]),
                "yes",
            ),
            (
                "ArnLike",
                &["arn:aws:iam::*:role/x*"],
                Some(&["arn:aws:iam::1:role/xy"]),
                "yes",
            ),
            (
                "ArnEquals",
                &["arn:aws:iam::*:role/x*"],
                Some(&["arn:aws:iam::1:role/xy"]),
                "yes",
            ),
            ("ArnNotLike", &["arn:aws:iam::*:role/x*"], None, "yes"),
            ("Null", &["true"], None, "yes"),
            ("Null", &["false"], None, "no"),
            ("Null", &["false"], Some(&["v"]), "yes"),
            ("StringMatches", &["a"], Some(&["a"]), "unknown"),
            ("StringNotEquals", &["o-1"], Some(STRANGER), "yes"),
            ("StringEquals", &["o-1"], Some(STRANGER), "no"),
            ("StringNotEqualsIfExists", &["o-1"], Some(STRANGER), "yes"),
            ("StringEqualsIfExists", &["o-1"], Some(STRANGER), "unknown"),
            ("StringNotLike", &["o-1/r-1/*"], Some(STRANGER), "yes"),
            ("StringNotLike", &["o-*"], Some(STRANGER), "unknown"),
            ("StringNotLike", &["*"], Some(STRANGER), "unknown"),
            (
                "StringNotEquals",
                &["o-1", "o-2"],
                Some(STRANGER),
                "unknown",
            ),
            (
                "ForAllValues:StringNotLike",
                &["o-1/*"],
                Some(STRANGER),
                "yes",
            ),
            (
                "ForAnyValue:StringNotLike",
                &["o-1/*"],
                Some(STRANGER),
                "unknown",
            ),
            ("ForAnyValue:StringLike", &["o-1/*"], Some(STRANGER), "no"),
            (
                "ForAllValues:StringLike",
                &["o-1/*"],
                Some(STRANGER),
                "unknown",
            ),
            ("Null", &["true"], Some(STRANGER), "unknown"),
            ("ForSomeValue:StringEquals", &["a"], Some(&["a"]), "unknown"),
        ];
        for (operator, values, actual, expected) in rows {
            assert_eq!(
                outcome(operator, values, *actual),
                *expected,
                "{operator} {values:?} over {actual:?}"
            );
        }
    }

    #[test]
    fn variables_are_filled_in_and_their_value_is_meant_literally() {
        let mut context = Context::closed();
        context.set("aws:principaltag/x", vec!["a*".to_owned()]);
        context.set("k:x", vec!["a*".to_owned()]);
        let holds = |value: &str, version| {
            Condition::new("StringLike", "k:x", vec![value.to_owned()])
                .holds(&context, version)
                .is_yes()
        };
        assert!(holds("${aws:PrincipalTag/x}", Version::V2012));
        assert!(!holds("${aws:PrincipalTag/x}", Version::V2008));
        assert!(
            holds("${aws:PrincipalTag/none, 'a${*}'}", Version::V2012)
                || holds("a${*}", Version::V2012)
        );
        assert!(!holds("${aws:PrincipalTag/none}", Version::V2012));
        assert!(holds("${aws:PrincipalTag/none, 'a*'}", Version::V2012));
    }

    #[test]
    fn only_texts_and_arns_are_compared_with_variables() {
        let mut context = Context::closed();
        context.set("k:b", vec!["true".to_owned()]);
        let holds = |operator: &str| {
            Condition::new(operator, "k:b", vec!["${k:b}".to_owned()])
                .holds(&context, Version::V2012)
                .is_yes()
        };
        assert!(holds("StringEquals"));
        assert!(!holds("Bool"));
    }
}
