//! The usual offline checks. Those of one value are given to [`Attribute::check`](crate::schema::Attribute::check), those across
//! attributes to [`Schema::rule`](crate::schema::Schema::rule). What is null or unknown is passed over: a check speaks of what is
//! there. A text that has a format of its own is better checked by [`Attribute::format`](crate::schema::Attribute::format).

use std::fmt::Display;

use super::diagnostics::Diagnostic;
use super::schema::Problem;
use super::value::Value;

/// The text is one of these.
pub fn one_of<T: Display>(
    allowed: impl IntoIterator<Item = T>,
) -> impl Fn(&Value) -> Result<(), Problem> + Send + Sync {
    let allowed: Vec<String> = allowed.into_iter().map(|one| one.to_string()).collect();
    move |value| match value.as_str() {
        Some(text) if !allowed.iter().any(|one| one == text) => Err(Problem::new(
            "Value out of range",
            format!(
                "The value is {text:?}; it must be one of {}.",
                listed(&allowed)
            ),
        )),
        _ => Ok(()),
    }
}

/// The number is a whole one between these bounds, both of them included.
pub fn between(least: i64, most: i64) -> impl Fn(&Value) -> Result<(), Problem> + Send + Sync {
    move |value| match value {
        Value::Number(number)
            if !number
                .as_i64()
                .is_some_and(|own| (least..=most).contains(&own)) =>
        {
            Err(Problem::new(
                "Value out of range",
                format!("The value is {number}; it must be a whole number from {least} to {most}."),
            ))
        }
        _ => Ok(()),
    }
}

/// The text has as many characters as these bounds say, or the collection as many elements.
pub fn length(least: usize, most: usize) -> impl Fn(&Value) -> Result<(), Problem> + Send + Sync {
    move |value| {
        let (own, what) = match value {
            Value::String(text) => (text.chars().count(), "characters"),
            Value::List(elements) => (elements.len(), "elements"),
            Value::Map(entries) => (entries.len(), "elements"),
            _ => return Ok(()),
        };
        if (least..=most).contains(&own) {
            Ok(())
        } else {
            Err(Problem::new(
                "Wrong length",
                format!("There are {own} {what}; there must be from {least} to {most}."),
            ))
        }
    }
}

/// Each element of a list, set or map passes a check.
pub fn each(
    check: impl Fn(&Value) -> Result<(), Problem> + Send + Sync,
) -> impl Fn(&Value) -> Result<(), Problem> + Send + Sync {
    move |value| match value {
        Value::List(elements) => elements.iter().try_for_each(&check),
        Value::Map(entries) => entries.values().try_for_each(&check),
        _ => Ok(()),
    }
}

/// A check in the words of who writes the provider.
pub trait InWords: Fn(&Value) -> Result<(), Problem> + Send + Sync + Sized {
    /// The same check with another summary; what was found stays in the detail.
    ///
    /// ```
    /// use tfplugin::prelude::*;
    /// use tfplugin::validators::InWords as _;
    ///
    /// let color = Attribute::string("color")
    ///     .check(validators::one_of(["red", "green"]).summary("There is no such color"));
    /// let schema = Schema::new("A ball.", vec![color]);
    /// let said = schema.validate(&Value::map([("color", "blue".into())]));
    /// assert_eq!(said.iter().next().unwrap().summary, "There is no such color");
    /// ```
    fn summary(
        self,
        summary: impl Into<String>,
    ) -> impl Fn(&Value) -> Result<(), Problem> + Send + Sync {
        let summary = summary.into();
        move |value: &Value| {
            self(value).map_err(|problem| Problem::new(summary.clone(), problem.detail))
        }
    }

    /// The same check with more to say: what to do, for example. It is a paragraph of its own.
    fn advice(
        self,
        advice: impl Into<String>,
    ) -> impl Fn(&Value) -> Result<(), Problem> + Send + Sync {
        let advice = advice.into();
        move |value: &Value| {
            self(value).map_err(|problem| {
                let detail = format!("{}\n\n{advice}", problem.detail);
                Problem::new(problem.summary, detail)
            })
        }
    }
}

impl<F: Fn(&Value) -> Result<(), Problem> + Send + Sync> InWords for F {}

/// A choice of one attribute (dotted paths) in the words of who writes the provider. While one of them is unknown, nothing is said.
///
/// ```
/// use tfplugin::prelude::*;
///
/// let one_cloud = validators::choice(&["aws", "gcp"])
///     .missing("No key is named", "Set `aws` or `gcp`.")
///     .several("A policy has one key", |first, second| {
///         format!("Both `{first}` and `{second}` are set. Use one policy for each key.")
///     });
/// let attributes = vec![Attribute::string("aws"), Attribute::string("gcp")];
/// let schema = Schema::new("A policy.", attributes).rule(one_cloud.rule());
/// let said = |config: &Value| schema.validate(config).iter().next().map(|one| one.summary.clone());
/// let both = Value::map([("aws", "a".into()), ("gcp", "g".into())]);
/// assert_eq!(said(&both).as_deref(), Some("A policy has one key"));
/// assert_eq!(said(&Value::map([("aws", "a".into())])), None);
/// ```
#[doc(alias = "ExactlyOneOf")]
pub fn choice(paths: &'static [&'static str]) -> Choice {
    Choice {
        paths,
        missing: None,
        several: None,
    }
}

type Words = Box<dyn Fn(&str, &str) -> String + Send + Sync>;

/// A choice of one attribute; see [`choice`].
pub struct Choice {
    paths: &'static [&'static str],
    missing: Option<(String, String)>,
    several: Option<(String, Words)>,
}

impl Choice {
    /// Demands one of them; the diagnostic for a user who sets none is at the first.
    #[must_use]
    pub fn missing(mut self, summary: impl Into<String>, detail: impl Into<String>) -> Self {
        self.missing = Some((summary.into(), detail.into()));
        self
    }

    /// Allows only one of them; the diagnostic about the first two that the user sets is at the second.
    #[must_use]
    pub fn several(
        mut self,
        summary: impl Into<String>,
        detail: impl Fn(&str, &str) -> String + Send + Sync + 'static,
    ) -> Self {
        self.several = Some((summary.into(), Box::new(detail)));
        self
    }

    /// For [`Schema::rule`](crate::schema::Schema::rule).
    pub fn rule(self) -> impl Fn(&Value) -> Option<Diagnostic> + Send + Sync {
        move |config| match (
            set(self.paths, config)?.as_slice(),
            &self.missing,
            &self.several,
        ) {
            ([], Some((summary, detail)), _) => {
                let said = Diagnostic::error(summary, detail);
                Some(match self.paths.first() {
                    Some(first) => said.on(first),
                    None => said,
                })
            }
            ([first, second, ..], _, Some((summary, detail))) => {
                Some(Diagnostic::error(summary, detail(first, second)).on(second))
            }
            _ => None,
        }
    }
}

/// Exactly one of these attributes (dotted paths) is set. While one is unknown, there is no error.
#[doc(alias = "ExactlyOneOf")]
pub fn exactly_one_of(
    paths: &'static [&'static str],
) -> impl Fn(&Value) -> Option<Diagnostic> + Send + Sync {
    move |config| match set(paths, config)?.as_slice() {
        [_] => None,
        [] => Some(Diagnostic::error(
            "Missing argument",
            format!("One of {} is required.", listed(paths)),
        )),
        [first, ..] => Some(too_many(paths, first)),
    }
}

/// At most one of these attributes (dotted paths) is set. While one is unknown, there is no error.
#[doc(alias = "Conflicting")]
pub fn conflicting(
    paths: &'static [&'static str],
) -> impl Fn(&Value) -> Option<Diagnostic> + Send + Sync {
    move |config| match set(paths, config)?.as_slice() {
        [first, _, ..] => Some(too_many(paths, first)),
        _ => None,
    }
}

/// At least one of these attributes (dotted paths) is set. While one is unknown, there is no error.
#[doc(alias = "AtLeastOneOf")]
pub fn at_least_one_of(
    paths: &'static [&'static str],
) -> impl Fn(&Value) -> Option<Diagnostic> + Send + Sync {
    move |config| {
        set(paths, config)?.is_empty().then(|| {
            Diagnostic::error(
                "Missing argument",
                format!("At least one of {} is required.", listed(paths)),
            )
        })
    }
}

/// These attributes (dotted paths) are set together, or none of them. While one is unknown, there is no error.
#[doc(alias = "RequiredTogether")]
pub fn required_together(
    paths: &'static [&'static str],
) -> impl Fn(&Value) -> Option<Diagnostic> + Send + Sync {
    move |config| {
        let set = set(paths, config)?;
        let (first, missing) = (set.first()?, paths.iter().find(|path| !set.contains(path))?);
        let text = format!(
            "`{first}` is set and `{missing}` is not: {} are set together, or none of them.",
            listed(paths)
        );
        Some(Diagnostic::error("Missing argument", text).on(first))
    }
}

/// The paths that have a value; `None` while it is not known of one of them.
fn set(paths: &[&'static str], config: &Value) -> Option<Vec<&'static str>> {
    let mut set = Vec::new();
    for path in paths {
        match config.at(path) {
            Value::Unknown(_) => return None,
            Value::Null => {}
            _ => set.push(*path),
        }
    }
    Some(set)
}

fn too_many(paths: &[&str], first: &str) -> Diagnostic {
    Diagnostic::error(
        "Too many arguments",
        format!("Only one of {} can be set.", listed(paths)),
    )
    .on(first)
}

fn listed<T: AsRef<str>>(names: &[T]) -> String {
    let quoted: Vec<String> = names
        .iter()
        .map(|one| format!("`{}`", one.as_ref()))
        .collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_checked_and_what_is_not_known_is_not() {
        let number = |n: i64| Value::Number(n.into());
        let texts = |all: &[&str]| Value::List(all.iter().map(|one| Value::string(*one)).collect());
        assert!(one_of(["a", "b"])(&Value::string("b")).is_ok());
        let wrong = one_of(["a", "b"])(&Value::string("c")).unwrap_err();
        assert_eq!(
            wrong.detail,
            "The value is \"c\"; it must be one of `a`, `b`."
        );
        assert!(between(1, 3)(&number(3)).is_ok() && between(1, 3)(&number(4)).is_err());
        let half = Value::Number("1.5".parse().unwrap());
        assert!(between(1, 3)(&half).is_err());
        assert!(length(1, 2)(&Value::string("äö")).is_ok());
        assert!(length(1, 2)(&texts(&["a", "b", "c"])).is_err());
        assert!(each(one_of(["a"]))(&texts(&["a", "a"])).is_ok());
        assert!(each(one_of(["a"]))(&texts(&["a", "b"])).is_err());
        for open in [Value::Null, Value::unknown()] {
            assert!(one_of(["a"])(&open).is_ok() && between(1, 2)(&open).is_ok());
            assert!(length(1, 2)(&open).is_ok() && each(one_of(["a"]))(&open).is_ok());
        }
    }

    #[test]
    fn a_check_says_what_its_author_says() {
        let check = one_of(["a"]).summary("No such letter").advice("Write `a`.");
        let problem = check(&Value::string("b")).unwrap_err();
        assert_eq!(problem.summary, "No such letter");
        assert!(problem.detail.contains("\"b\"") && problem.detail.ends_with("\n\nWrite `a`."));
        assert!(check(&Value::string("a")).is_ok());
    }

    /// Each row: the two values, the error, and its place.
    #[test]
    fn a_choice_says_what_its_author_says() {
        const BOTH: &[&str] = &["a.x", "b"];
        let rule = choice(BOTH)
            .missing("None", "Set one.")
            .several("Two", |first, second| format!("{first} and {second}."))
            .rule();
        let of = |a: Value, b: Value| Value::map([("a", Value::map([("x", a)])), ("b", b)]);
        let one = || Value::string("x");
        for (a, b, expected) in [
            (one(), Value::Null, None),
            (Value::Null, one(), None),
            (one(), Value::unknown(), None),
            (Value::Null, Value::Null, Some(("None", "Set one.", "a.x"))),
            (one(), one(), Some(("Two", "a.x and b.", "b"))),
        ] {
            let said = rule(&of(a, b));
            let said = said.map(|one| (one.summary, one.detail, one.path.to_string()));
            let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn attributes_are_checked_together() {
        let (one, unset) = (Value::string("x"), Value::Null);
        let of = |a: &Value, b: &Value| Value::map([("a", a.clone()), ("b", b.clone())]);
        const BOTH: &[&str] = &["a", "b"];
        // Each row: the two values, and whether each rule speaks.
        for (a, b, exactly, conflict, least, together) in [
            (&one, &unset, false, false, false, true),
            (&one, &one, true, true, false, false),
            (&unset, &unset, true, false, true, false),
        ] {
            let config = of(a, b);
            assert_eq!(exactly_one_of(BOTH)(&config).is_some(), exactly);
            assert_eq!(conflicting(BOTH)(&config).is_some(), conflict);
            assert_eq!(at_least_one_of(BOTH)(&config).is_some(), least);
            assert_eq!(required_together(BOTH)(&config).is_some(), together);
        }
        let open = of(&one, &Value::unknown());
        assert!(exactly_one_of(BOTH)(&open).is_none() && conflicting(BOTH)(&open).is_none());
        assert!(at_least_one_of(BOTH)(&open).is_none() && required_together(BOTH)(&open).is_none());
    }
}
