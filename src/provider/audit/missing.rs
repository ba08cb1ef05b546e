//! What could not be read of many things, as one line of the report.

use std::collections::{BTreeMap, BTreeSet};

use super::Gathered;
use crate::audit::{Part, Unread, whole_account};
use crate::clouds::aws::AwsError;

/// The longest reason, in characters: some list all workspaces of an account.
const LONGEST: usize = 400;

/// Reasons as one text: the first of them, each not too long, and how many more there are. None where there are none.
pub(super) fn bounded(reasons: &[String]) -> Option<String> {
    let short = |reason: &String| match reason.chars().count() > LONGEST {
        true => reason.chars().take(LONGEST).chain(['…']).collect(),
        false => reason.clone(),
    };
    let mut lines: Vec<String> = reasons.iter().take(MOST).map(short).collect();
    if reasons.len() > MOST {
        lines.push(format!("… and {} more", reasons.len() - MOST));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// How many names one line lists, and how many reasons one text.
const MOST: usize = 5;

/// What could not be read, together: the same right is missing for nearly all of it.
#[derive(Default)]
pub(super) struct Missing {
    /// What, by why.
    lines: BTreeMap<String, Vec<String>>,
    permissions: BTreeSet<&'static str>,
}

impl Missing {
    pub(super) fn add(&mut self, what: String, error: &AwsError) {
        if let AwsError::AccessDenied { permission, .. } = error {
            self.permissions.insert(permission);
            let why = format!("not allowed to call {permission}");
            self.lines.entry(why).or_default().push(what);
        } else {
            self.because(what, error.to_string());
        }
    }

    pub(super) fn because(&mut self, what: String, why: String) {
        self.lines.entry(why).or_default().push(what);
    }

    /// A right that would show something.
    pub(super) fn needs(&mut self, permission: Option<&'static str>) {
        self.permissions.extend(permission);
    }

    /// Notes that this part of the account was not read; nothing where nothing is missing.
    pub(super) fn note(self, part: Part, gathered: &mut Gathered) {
        let Some(why) = self.why() else {
            return;
        };
        let account_id = gathered.facts.account_id.as_deref();
        let subject = whole_account(account_id, gathered.facts.cloud.as_str());
        gathered.facts.unread.push(Unread {
            subject,
            part,
            why,
            permission: self.permission(),
        });
    }

    /// Why, in one text; none where nothing is missing.
    fn why(&self) -> Option<String> {
        let line = |(why, what): (&String, &Vec<String>)| {
            let named: Vec<&str> = what.iter().take(MOST).map(String::as_str).collect();
            let more = match what.len().saturating_sub(MOST) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("{}{more}: {why}", named.join(", "))
        };
        let lines: Vec<String> = self.lines.iter().map(line).collect();
        bounded(&lines)
    }

    fn permission(&self) -> Option<String> {
        let all: Vec<&str> = self.permissions.iter().copied().collect();
        (!all.is_empty()).then(|| all.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_one_text() {
        let mut missing = Missing::default();
        assert_eq!((missing.why(), missing.permission()), (None, None));
        let denied = AwsError::AccessDenied {
            permission: "kms:GetKeyPolicy",
            message: String::new(),
        };
        for number in 0..7 {
            missing.add(format!("key {number}"), &denied);
        }
        missing.because("key 9".to_owned(), "its policy is no JSON".to_owned());
        let why = missing.why().unwrap_or_default();
        assert_eq!(
            why,
            "key 9: its policy is no JSON\nkey 0, key 1, key 2, key 3, key 4 and 2 more: not allowed to call kms:GetKeyPolicy"
        );
        assert_eq!(missing.permission().as_deref(), Some("kms:GetKeyPolicy"));
        // Thousands of places with a reason each are one text of a bounded length.
        for number in 0..5_000 {
            let reason = format!("{number} {}", "x".repeat(LONGEST));
            missing.because(format!("place {number}"), reason);
        }
        let why = missing.why().unwrap_or_default();
        assert!(why.len() < (MOST + 1) * (LONGEST + 20), "{}", why.len());
        assert!(why.ends_with("… and 4997 more"), "{why}");
    }
}
