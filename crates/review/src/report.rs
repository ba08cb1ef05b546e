//! The report: what a reviewer should know, apart from its formats.

use crate::catalog::Rule;
use std::collections::BTreeSet;

use serde::Serialize;

use tfplugin::printable::{printable, printable_line};

/// How much something matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Good to know.
    Note,
    /// A person should look twice.
    Warning,
    /// It cannot be undone.
    Irreversible,
    /// A workspace would lose its key, or the apply would fail.
    Error,
}

impl Level {
    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Irreversible => "irreversible",
            Self::Error => "error",
        }
    }
}

/// One thing to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReviewFinding {
    /// A stable name: `key-deleted`.
    pub id: Rule,
    /// How much it matters.
    pub level: Level,
    /// The resource that it is about.
    pub address: String,
    /// What it is, in one line.
    pub summary: String,
    /// What was found, and why it matters.
    pub detail: String,
    /// What to do; empty when the reader needs to do nothing.
    pub remedy: String,
}

/// What happens to a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WorkspaceLine {
    /// The name and the ID of the workspace.
    pub workspace: String,
    /// The resource that sets its keys.
    pub address: String,
    /// `MANAGED_SERVICES`, `STORAGE` or `MANAGED_DISKS`.
    pub use_case: &'static str,
    /// The configuration and key before.
    pub before: Option<String>,
    /// The configuration and key after.
    pub after: Option<String>,
    /// What that is, in words.
    pub step: &'static str,
}

/// What happens to a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyLine {
    /// Its name in its cloud, or the resource that makes it.
    pub key: String,
    /// The resources of the plan that speak of it, and what happens to each.
    pub changes: Vec<String>,
    /// The workspaces that use it.
    pub workspaces: Vec<String>,
}

/// Who gains or loses what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PermissionLine {
    /// The key, by its name in the cloud or by the address of its resource.
    pub key: String,
    /// The resource that changes the policy.
    pub address: String,
    /// The permissions that principals gain, a line each.
    pub gained: Vec<String>,
    /// The permissions that principals lose, a line each.
    pub lost: Vec<String>,
}

/// What grants what on a key, once the plan is applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProofLine {
    /// The key, by its name in the cloud or by the address of its resource.
    pub key: String,
    /// The resource that makes it so.
    pub address: String,
    /// What is granted and by which statements, a line each.
    pub lines: Vec<String>,
}

/// What the provider proves before it applies a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProvenLine {
    /// The resource that rests on it.
    pub address: String,
    /// What is proven, by what, and what is not examined, as the plan shows it.
    pub lines: Vec<String>,
}

/// A finding that the user has accepted, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Accepted {
    /// The finding, which no longer counts for the exit code.
    pub finding: ReviewFinding,
    /// Why it is accepted.
    pub reason: String,
}

/// A box of the diagram.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Node {
    /// Its name, unique in the diagram.
    pub name: String,
    /// `key`, `configuration`, `workspace` or `data`.
    pub kind: &'static str,
    /// What happens to it: `create`, `update`, `replace`, `delete`, or nothing.
    pub action: &'static str,
}

/// An arrow of the diagram.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Edge {
    /// From which box.
    pub from: String,
    /// The name of the box at its head.
    pub to: String,
    /// What it stands for.
    pub label: &'static str,
    /// `new`, `gone`, or `kept`.
    pub state: &'static str,
}

/// The whole report of a review: every format renders this.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The form of the report: this is the first.
    pub version: u32,
    /// What it comes to, in one line.
    pub verdict: String,
    /// The highest level that was found; none when nothing touches anybody's encryption.
    pub level: Option<Level>,
    /// What happens to workspaces.
    pub workspaces: Vec<WorkspaceLine>,
    /// What happens to keys.
    pub keys: Vec<KeyLine>,
    /// Who gains or loses which permission.
    pub permissions: Vec<PermissionLine>,
    /// What grants what, once the plan is applied.
    pub proofs: Vec<ProofLine>,
    /// What the provider proves before it applies the plan, as the attribute `proof` of its resources says it.
    pub proven: Vec<ProvenLine>,
    /// What a review cannot see, where it says something about keys.
    pub not_examined: Vec<String>,
    /// What to know, the gravest first.
    pub findings: Vec<ReviewFinding>,
    /// The findings that the user has accepted; they do not count for the exit code.
    pub accepted: Vec<Accepted>,
    /// The boxes of the diagram.
    pub nodes: Vec<Node>,
    /// The arrows of the diagram.
    pub edges: Vec<Edge>,
}

impl Report {
    /// The same report with control characters shown instead of obeyed: names come from a plan.
    #[must_use]
    pub fn printable(mut self) -> Self {
        let name = |text: &mut String| *text = printable_line(text).into_owned();
        let lines = |text: &mut String| *text = printable(text).into_owned();
        for line in &mut self.workspaces {
            name(&mut line.workspace);
            name(&mut line.address);
            line.before
                .iter_mut()
                .chain(line.after.iter_mut())
                .for_each(name);
        }
        for line in &mut self.keys {
            name(&mut line.key);
            line.changes
                .iter_mut()
                .chain(line.workspaces.iter_mut())
                .for_each(name);
        }
        for line in &mut self.permissions {
            name(&mut line.key);
            name(&mut line.address);
            line.gained
                .iter_mut()
                .chain(line.lost.iter_mut())
                .for_each(name);
        }
        for line in &mut self.proofs {
            name(&mut line.key);
            name(&mut line.address);
            line.lines.iter_mut().for_each(name);
        }
        for line in &mut self.proven {
            name(&mut line.address);
            line.lines.iter_mut().for_each(name);
        }
        for finding in self
            .findings
            .iter_mut()
            .chain(self.accepted.iter_mut().map(|one| &mut one.finding))
        {
            name(&mut finding.address);
            name(&mut finding.summary);
            lines(&mut finding.detail);
            lines(&mut finding.remedy);
        }
        for node in &mut self.nodes {
            name(&mut node.name);
        }
        for edge in &mut self.edges {
            name(&mut edge.from);
            name(&mut edge.to);
        }
        self.not_examined.iter_mut().for_each(name);
        name(&mut self.verdict);
        self
    }

    /// Accepts findings by their ID, all of them or those at an address, with the reason. A note says which one does not occur.
    pub fn accept(&mut self, id: &str, address: Option<&str>, reason: &str) {
        let is_meant = |finding: &ReviewFinding| {
            finding.id.name() == id && address.is_none_or(|address| finding.address == address)
        };
        let (meant, rest): (Vec<ReviewFinding>, Vec<ReviewFinding>) =
            std::mem::take(&mut self.findings)
                .into_iter()
                .partition(is_meant);
        self.findings = rest;
        if meant.is_empty() {
            self.findings.push(ReviewFinding {
                id: Rule::AcceptedNothing,
                level: Level::Note,
                address: address.unwrap_or_default().to_owned(),
                summary: "An accepted finding does not occur".to_owned(),
                detail: format!(
                    "`{id}` was accepted (\"{reason}\"), and this plan does not have it."
                ),
                remedy: "Remove the acceptance when it is no longer needed.".to_owned(),
            });
        }
        self.accepted
            .extend(meant.into_iter().map(|finding| Accepted {
                finding,
                reason: reason.to_owned(),
            }));
        self.level = self.findings.iter().map(|finding| finding.level).max();
        self.verdict = self.in_one_line();
    }

    /// The findings of a level, in the order of the report.
    pub fn of(&self, level: Level) -> impl Iterator<Item = &ReviewFinding> {
        self.findings
            .iter()
            .filter(move |finding| finding.level == level)
    }

    /// What a report comes to, in one line.
    pub fn in_one_line(&self) -> String {
        let report = self;
        let of = |level| report.of(level).count();
        let changing = report
            .workspaces
            .iter()
            .filter(|line| line.after.is_some() && line.after != line.before);
        let workspaces: BTreeSet<&str> = changing.map(|line| line.workspace.as_str()).collect();
        let touched = match workspaces.len() {
            0 => "No workspace key changes".to_owned(),
            number => format!(
                "The keys of {} change",
                count(number, "workspace", "workspaces")
            ),
        };
        let (errors, irreversible, warnings) = (
            of(Level::Error),
            of(Level::Irreversible),
            of(Level::Warning),
        );
        let mut parts = Vec::new();
        if errors > 0 {
            parts.push(count(errors, "blocking problem", "blocking problems"));
        }
        if irreversible > 0 {
            parts.push(count(
                irreversible,
                "step that cannot be undone",
                "steps that cannot be undone",
            ));
        }
        if warnings > 0 {
            parts.push(count(warnings, "finding to check", "findings to check"));
        }
        match (errors, parts.is_empty()) {
            (1.., _) => format!("Do not apply: {}. {touched}.", parts.join(", ")),
            (0, false) => format!("Check before you apply: {}. {touched}.", parts.join(", ")),
            (0, true) if report.workspaces.is_empty() && report.keys.is_empty() => {
                "This plan does not change the encryption of a workspace.".to_owned()
            }
            (0, true) => format!("No findings: {touched}."),
        }
    }
}

fn count(number: usize, one: &str, many: &str) -> String {
    if number == 1 {
        format!("1 {one}")
    } else {
        format!("{number} {many}")
    }
}
