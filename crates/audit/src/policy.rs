//! The policy file (`audit.hcl`): which workspaces the audit judges, what it requires, and which findings the owner accepts, and until
//! when.
//!
//! A word that this version does not know is an error: a typo must not make an exception, or a requirement, without effect.

use std::ops::Range;

use hcl_edit::expr::Expression;
use hcl_edit::repr::Span;
use hcl_edit::structure::{Attribute, Block, Body, Structure};
use time::macros::format_description;
use time::{Date, Duration};

use super::catalog::{all_ids, nearest_id};
use super::scope::{Glob, ScopeRules};
use kms_policy::nearest;
use vocabulary::UseCase;

/// How long before its expiry a key is in danger, where the policy file does not say it: days.
const EXPIRY_NOTICE: i64 = 90;

/// The longest notice that is possible: ten years.
const LONGEST_NOTICE: i64 = 3650;

/// How far ahead an exception may expire: a year, also one with a leap day.
const LONGEST_EXCEPTION: Duration = Duration::days(366);

/// What is required of keys and workspaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Required {
    /// For which use cases a workspace must have a key; none for those that its cloud offers.
    pub use_cases: Option<Vec<UseCase>>,
    /// Whether the volumes of clusters must be under it too.
    pub cluster_volumes: bool,
    /// Where keys may lie: AWS accounts, Google projects or Azure subscriptions; anywhere where there is none.
    pub key_accounts: Vec<String>,
    /// Whether keys must be rotated: true makes it an error, false a note; none leaves it as the proof says it.
    pub rotation: Option<bool>,
    /// How many days before its expiry a key is in danger.
    pub expiry_notice_days: i64,
}

impl Default for Required {
    fn default() -> Self {
        Self {
            use_cases: None,
            cluster_volumes: true,
            key_accounts: Vec::new(),
            rotation: None,
            expiry_notice_days: EXPIRY_NOTICE,
        }
    }
}

/// A finding that the owner accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// The ID of the finding.
    pub id: &'static str,
    /// Of which subjects, as it was written.
    pub subject: Glob,
    /// The reason, in words.
    pub reason: String,
    /// Who accepted the finding, as the policy file says.
    pub owner: String,
    /// The last day on which it holds.
    pub expires: Date,
    /// The line on which it stands, counted from 1.
    pub line: usize,
}

impl Exception {
    /// The last day as text.
    pub fn expires_on(&self) -> String {
        self.expires
            .format(format_description!("[year]-[month]-[day]"))
            .unwrap_or_default()
    }
}

/// The policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPolicy {
    /// Which workspaces are judged.
    pub scope: ScopeRules,
    /// What makes the audit report a finding: keys, rotation, logs.
    pub require: Required,
    /// The findings that the owner accepts, each with its reason.
    pub exceptions: Vec<Exception>,
    /// Whether the audit asks when each key was last used.
    pub last_use: bool,
    /// Whether all keys of an account are read, to find those that let Databricks in.
    pub discovery: bool,
    /// Whether metastores are read: which catalogs have keys, and where tables lie.
    pub unity_catalog: bool,
}

impl Default for AuditPolicy {
    fn default() -> Self {
        Self {
            scope: ScopeRules::default(),
            require: Required::default(),
            exceptions: Vec::new(),
            last_use: true,
            discovery: true,
            unity_catalog: true,
        }
    }
}

/// Why a policy file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct AuditPolicyError {
    /// The line, counted from 1.
    line: usize,
    message: String,
}

/// A file while it is read.
struct Reader<'a> {
    text: &'a str,
    today: Date,
}

impl AuditPolicy {
    /// Reads a policy file. `today`: in UTC.
    ///
    /// # Errors
    /// When it is not HCL, has a word that is not known, or an exception that is not possible.
    pub fn parse(text: &str, today: Date) -> Result<Self, AuditPolicyError> {
        let body = hcl_edit::parser::parse_body(text).map_err(|error| AuditPolicyError {
            line: error.location().line(),
            message: format!("this is not HCL: {}", error.message()),
        })?;
        Reader { text, today }.file(&body)
    }
}

/// What the policy file offers at its top, in blocks and attributes.
const AT_TOP: [&str; 6] = [
    "scope",
    "require",
    "exception",
    "last_use",
    "discovery",
    "unity_catalog",
];
const IN_SCOPE: [&str; 2] = ["workspaces", "exclude"];
const IN_REQUIRE: [&str; 5] = [
    "use_cases",
    "cluster_volumes",
    "key_accounts",
    "rotation",
    "expiry_notice_days",
];
const IN_EXCEPTION: [&str; 4] = ["subject", "reason", "owner", "expires"];

fn did_you_mean(text: &str, known: &[&str]) -> String {
    match nearest(text, known) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => format!("; there are `{}`", known.join("`, `")),
    }
}

impl Reader<'_> {
    fn error<T>(
        &self,
        at: Option<Range<usize>>,
        message: impl Into<String>,
    ) -> Result<T, AuditPolicyError> {
        Err(AuditPolicyError {
            line: self.line(at),
            message: message.into(),
        })
    }

    fn line(&self, at: Option<Range<usize>>) -> usize {
        let start = at.map_or(0, |span| span.start);
        let before = self.text.as_bytes().get(..start).unwrap_or_default();
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    fn file(&self, body: &Body) -> Result<AuditPolicy, AuditPolicyError> {
        let mut policy = AuditPolicy::default();
        let mut seen: Vec<&str> = Vec::new();
        for structure in body.iter() {
            let (name, span) = match structure {
                Structure::Attribute(one) => (one.key.as_str(), one.span()),
                Structure::Block(one) => (one.ident.as_str(), one.span()),
            };
            if seen.contains(&name) && name != "exception" {
                return self.error(span, format!("`{name}` occurs twice"));
            }
            seen.push(name);
            match (name, structure) {
                ("last_use", Structure::Attribute(one)) => policy.last_use = self.boolean(one)?,
                ("discovery", Structure::Attribute(one)) => policy.discovery = self.boolean(one)?,
                ("unity_catalog", Structure::Attribute(one)) => {
                    policy.unity_catalog = self.boolean(one)?;
                }
                ("scope", Structure::Block(one)) => policy.scope = self.scope(one)?,
                ("require", Structure::Block(one)) => policy.require = self.require(one)?,
                ("exception", Structure::Block(one)) => {
                    let found = self.exception(one)?;
                    if policy
                        .exceptions
                        .iter()
                        .any(|other| other.id == found.id && other.subject == found.subject)
                    {
                        return self.error(
                            span,
                            format!("`{}` is accepted for `{}` already", found.id, found.subject),
                        );
                    }
                    policy.exceptions.push(found);
                }
                ("last_use" | "discovery" | "unity_catalog", _) => {
                    return self.error(span, format!("write `{name} = true` or `false`"));
                }
                ("scope" | "require" | "exception", _) => {
                    return self.error(
                        span,
                        format!("`{name}` is a block: write it without an equals sign"),
                    );
                }
                _ => {
                    return self.error(
                        span,
                        format!("`{name}` does not exist{}", did_you_mean(name, &AT_TOP)),
                    );
                }
            }
        }
        Ok(policy)
    }

    /// The attributes of a block that has nothing else; HCL has each once.
    fn attributes<'b>(
        &self,
        block: &'b Block,
        known: &[&str],
    ) -> Result<Vec<(&'b str, &'b Attribute)>, AuditPolicyError> {
        let mut found: Vec<(&str, &Attribute)> = Vec::new();
        for structure in block.body.iter() {
            let (name, span) = match structure {
                Structure::Attribute(one) => (one.key.as_str(), one.span()),
                Structure::Block(one) => (one.ident.as_str(), one.span()),
            };
            if !known.contains(&name) {
                let block = block.ident.as_str();
                let hint = did_you_mean(name, known);
                return self.error(span, format!("`{block}` has no `{name}`{hint}"));
            }
            let Structure::Attribute(one) = structure else {
                return self.error(span, format!("`{name}` needs a value: `{name} = …`"));
            };
            found.push((name, one));
        }
        Ok(found)
    }

    fn unlabeled(&self, block: &Block) -> Result<(), AuditPolicyError> {
        match block.labels.is_empty() {
            true => Ok(()),
            false => self.error(
                block.span(),
                format!("`{}` takes no label", block.ident.as_str()),
            ),
        }
    }

    fn scope(&self, block: &Block) -> Result<ScopeRules, AuditPolicyError> {
        self.unlabeled(block)?;
        let mut scope = ScopeRules::default();
        for (name, one) in self.attributes(block, &IN_SCOPE)? {
            let globs = self.texts(one)?.into_iter().map(Glob::new).collect();
            match name {
                "exclude" => scope.exclude = globs,
                _ if globs.is_empty() => {
                    return self.error(
                        one.span(),
                        "an empty list judges no workspace; leave `workspaces` out to judge all of them",
                    );
                }
                _ => scope.workspaces = globs,
            }
        }
        Ok(scope)
    }

    fn require(&self, block: &Block) -> Result<Required, AuditPolicyError> {
        self.unlabeled(block)?;
        let mut require = Required::default();
        for (name, one) in self.attributes(block, &IN_REQUIRE)? {
            match name {
                "use_cases" => {
                    let mut cases = Vec::new();
                    for text in self.texts(one)? {
                        match text.parse::<UseCase>() {
                            Ok(case) if !cases.contains(&case) => cases.push(case),
                            Ok(_) => {}
                            Err(error) => return self.error(one.span(), error.to_string()),
                        }
                    }
                    require.use_cases = Some(cases);
                }
                "cluster_volumes" => require.cluster_volumes = self.boolean(one)?,
                "key_accounts" => require.key_accounts = self.texts(one)?,
                "rotation" => require.rotation = Some(self.boolean(one)?),
                _ => require.expiry_notice_days = self.days(one)?,
            }
        }
        Ok(require)
    }

    fn exception(&self, block: &Block) -> Result<Exception, AuditPolicyError> {
        let span = block.span();
        let [label] = block.labels.as_slice() else {
            return self.error(
                span,
                "an exception names the ID of one finding: `exception \"workspace-data-uncovered\" { … }`",
            );
        };
        let label = label.as_str();
        let Some(id) = all_ids().find(|id| *id == label) else {
            let hint = nearest_id(label)
                .map(|near| format!("; did you mean `{near}`?"))
                .unwrap_or_default();
            return self.error(span, format!("`{label}` is not the ID of a finding{hint}"));
        };
        if id.starts_with("exception-") {
            return self.error(
                span,
                format!("`{id}` is about exceptions and cannot be accepted"),
            );
        }
        let all = self.attributes(block, &IN_EXCEPTION)?;
        let text = |name: &str| -> Result<(String, Option<Range<usize>>), AuditPolicyError> {
            let Some((_, one)) = all.iter().find(|(own, _)| *own == name) else {
                return self.error(
                    span.clone(),
                    format!("the exception for `{id}` has no `{name}`"),
                );
            };
            match one.value.as_str().map(str::trim) {
                Some(text) if !text.is_empty() => Ok((text.to_owned(), one.span())),
                _ => self.error(
                    one.span(),
                    format!("`{name}` must be a text that is not empty"),
                ),
            }
        };
        let (expires, at) = text("expires")?;
        Ok(Exception {
            id,
            subject: Glob::new(text("subject")?.0),
            reason: text("reason")?.0,
            owner: text("owner")?.0,
            expires: self.expires(&expires, at)?,
            line: self.line(span.clone()),
        })
    }

    fn expires(&self, text: &str, at: Option<Range<usize>>) -> Result<Date, AuditPolicyError> {
        let Ok(date) = Date::parse(text, format_description!("[year]-[month]-[day]")) else {
            return self.error(at, format!("`{text}` is not a date such as `2027-01-31`"));
        };
        match date > self.today.saturating_add(LONGEST_EXCEPTION) {
            true => self.error(
                at,
                format!(
                    "`{text}` is more than a year ahead; an exception holds for a year at most"
                ),
            ),
            false => Ok(date),
        }
    }

    fn boolean(&self, one: &Attribute) -> Result<bool, AuditPolicyError> {
        match one.value.as_bool() {
            Some(value) => Ok(value),
            None => self.error(
                one.span(),
                format!("`{}` must be `true` or `false`", one.key.as_str()),
            ),
        }
    }

    fn days(&self, one: &Attribute) -> Result<i64, AuditPolicyError> {
        let days = one.value.as_number().and_then(|number| number.as_i64());
        match days.filter(|days| (0..=LONGEST_NOTICE).contains(days)) {
            Some(days) => Ok(days),
            None => self.error(
                one.span(),
                format!(
                    "`{}` must be a whole number of days from 0 to {LONGEST_NOTICE}",
                    one.key.as_str()
                ),
            ),
        }
    }

    fn texts(&self, one: &Attribute) -> Result<Vec<String>, AuditPolicyError> {
        let wrong = || {
            self.error(
                one.span(),
                format!(
                    "`{}` must be a list of texts, written out: `[\"…\"]`",
                    one.key.as_str()
                ),
            )
        };
        let Expression::Array(array) = &one.value else {
            return wrong();
        };
        let mut texts = Vec::new();
        for element in array.iter() {
            match element.as_str() {
                Some(text) if !text.is_empty() => texts.push(text.to_owned()),
                _ => return wrong(),
            }
        }
        Ok(texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::date;

    const TODAY: Date = date!(2026 - 12 - 01);

    const WHOLE: &str = r#"
last_use  = false
discovery = false
unity_catalog = false

scope {
  workspaces = ["prod-*", "1234567890123456"]
  exclude    = ["sandbox-*"]
}

require {
  use_cases          = ["MANAGED_SERVICES"]
  cluster_volumes    = false
  key_accounts       = ["111122223333"]
  rotation           = true
  expiry_notice_days = 30
}

exception "workspace-data-uncovered" {
  subject = "workspace/1234567890123456"
  reason  = "is deleted in January"
  owner   = "platform@example.com"
  expires = "2027-01-31"
}
"#;

    #[test]
    fn everything_is_read() {
        let policy = AuditPolicy::parse(WHOLE, TODAY).expect("a policy");
        assert!(!policy.last_use && !policy.discovery && !policy.unity_catalog);
        assert_eq!(policy.scope.workspaces.len(), 2);
        assert_eq!(policy.scope.exclude.len(), 1);
        assert_eq!(
            policy.require,
            Required {
                use_cases: Some(vec![UseCase::ManagedServices]),
                cluster_volumes: false,
                key_accounts: vec!["111122223333".to_owned()],
                rotation: Some(true),
                expiry_notice_days: 30,
            }
        );
        let [one] = policy.exceptions.as_slice() else {
            panic!("one exception");
        };
        assert_eq!(one.id, "workspace-data-uncovered");
        assert_eq!(one.expires_on(), "2027-01-31");
        assert_eq!((one.owner.as_str(), one.line), ("platform@example.com", 19));
        assert_eq!(AuditPolicy::parse("", TODAY), Ok(AuditPolicy::default()));
    }

    /// Each row: the policy file, the line, and words of the error.
    #[test]
    fn what_is_not_known_is_an_error_with_its_line() {
        let exception = |id: &str, rest: &str| {
            format!("\nexception \"{id}\" {{\n  owner = \"o\"\n  reason = \"r\"\n{rest}\n}}\n")
        };
        let good = "subject = \"*\"\nexpires = \"2027-01-31\"";
        for (text, line, words) in [
            ("scope {", 1, "not HCL"),
            ("scop {}", 1, "did you mean `scope`?"),
            ("\n\nplanet {}", 3, "there are `scope`"),
            ("scope {}\nscope {}", 2, "occurs twice"),
            ("scope = 1", 1, "is a block"),
            ("discovery {}", 1, "write `discovery = true`"),
            ("discovery = \"no\"", 1, "`true` or `false`"),
            ("scope \"x\" {}", 1, "takes no label"),
            (
                "scope {\n  workspace = [\"a\"]\n}",
                2,
                "did you mean `workspaces`?",
            ),
            ("scope {\n  workspaces = []\n}", 2, "judges no workspace"),
            ("scope {\n  workspaces = \"a\"\n}", 2, "must be a list"),
            ("scope {\n  workspaces = [\"${x}\"]\n}", 2, "written out"),
            ("scope {\n  workspaces {}\n}", 2, "needs a value"),
            (
                "require {\n  use_cases = [\"NOTEBOOKS\"]\n}",
                2,
                "write `MANAGED_SERVICES`",
            ),
            (
                "require {\n  expiry_notice_days = 1.5\n}",
                2,
                "whole number",
            ),
            (
                "require {\n  rotation = true\n  rotation = true\n}",
                3,
                "redefined attribute",
            ),
            ("exception {}", 1, "names the ID"),
            (
                &exception("workspace-data-uncoverd", good),
                2,
                "did you mean `workspace-data-uncovered`?",
            ),
            (
                &exception("exception-unused", good),
                2,
                "cannot be accepted",
            ),
            (
                &exception("key-elsewhere", "expires = \"2027-01-31\""),
                2,
                "no `subject`",
            ),
            (
                &exception("key-elsewhere", "subject = \"*\""),
                2,
                "no `expires`",
            ),
            (
                &exception("key-elsewhere", "subject = \" \"\nexpires = \"2027-01-31\""),
                5,
                "not empty",
            ),
            (
                &exception("key-elsewhere", "subject = \"*\"\nexpires = \"31.1.2027\""),
                6,
                "not a date",
            ),
            (
                &exception("key-elsewhere", "subject = \"*\"\nexpires = \"2028-01-31\""),
                6,
                "more than a year ahead",
            ),
            (
                &format!("{0}{0}", exception("key-elsewhere", good)),
                9,
                "accepted for `*` already",
            ),
        ] {
            let error = AuditPolicy::parse(text, TODAY).expect_err(text);
            assert_eq!(error.line, line, "{text}: {error}");
            assert!(error.to_string().contains(words), "{text}: {error}");
        }
    }
}
