//! What rules gather while they go through a plan.

use std::collections::BTreeSet;

use crate::review::catalog::Rule;
use crate::review::links::Links;
use crate::review::plan::{Plan, ResourceChange};
use crate::review::report::{Level, PermissionLine, ProofLine, ReviewFinding};

/// What rules gather.
pub(super) struct Gathered<'a> {
    pub(super) plan: &'a Plan,
    pub(super) links: &'a Links,
    pub(super) findings: Vec<ReviewFinding>,
    pub(super) permissions: Vec<PermissionLine>,
    pub(super) proofs: Vec<ProofLine>,
}

/// One thing to know, as a rule says it.
pub(super) struct Said<'a> {
    pub(super) id: Rule,
    pub(super) level: Level,
    pub(super) summary: String,
    pub(super) detail: String,
    pub(super) remedy: &'a str,
}

impl Gathered<'_> {
    pub(super) fn say(&mut self, change: &ResourceChange, said: Said<'_>) {
        self.say_of(&change.address, said);
    }

    /// The same about something that is no resource.
    pub(super) fn say_of(&mut self, address: &str, said: Said<'_>) {
        let Said {
            id,
            level,
            summary,
            detail,
            remedy,
        } = said;
        self.findings.push(ReviewFinding {
            id,
            level,
            address: address.to_owned(),
            summary,
            detail,
            remedy: remedy.to_owned(),
        });
    }

    /// The key that a resource speaks of, and the workspaces that use it, in words.
    pub(super) fn key_and_users(&self, change: &ResourceChange) -> (String, BTreeSet<String>) {
        let key = self
            .links
            .key_of
            .get(&change.address)
            .cloned()
            .unwrap_or_else(|| change.address.clone());
        let users = self.links.users_of(&key);
        (key, users)
    }
}

/// `workspaces a, b and c`; what is not in the plan is not known.
pub(super) fn in_words(workspaces: &BTreeSet<String>) -> String {
    let names: Vec<&str> = workspaces.iter().map(String::as_str).collect();
    match names.as_slice() {
        [] => "no workspace of this plan".to_owned(),
        [one] => format!("the workspace {one}"),
        [first @ .., last] if names.len() <= 6 => {
            format!("the workspaces {} and {last}", first.join(", "))
        }
        _ => format!(
            "{} workspaces, {} among them",
            names.len(),
            names.iter().take(3).copied().collect::<Vec<_>>().join(", ")
        ),
    }
}
