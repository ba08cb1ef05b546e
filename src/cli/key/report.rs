//! What the `key` subcommands say: a dashboard for people, or JSON for programs.

use std::fmt::Write as _;

use serde::Serialize;

use crate::preflight::{Finding, Severity};
use crate::provider::{Impact, KeyStatus, Outcome};
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::printable::printable;

/// The format of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// An error, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// What is wrong, in one line.
    pub summary: String,
    /// What was found, and what to do.
    pub detail: String,
}

impl Trouble {
    /// The first of several.
    pub fn of(why: &Diagnostics) -> Self {
        why.iter().next().map_or_else(
            || Self {
                summary: "It is not known".to_owned(),
                detail: String::new(),
            },
            |one| Self {
                summary: one.summary.clone(),
                detail: one.detail.clone(),
            },
        )
    }

    /// Both in one line.
    pub fn in_a_line(&self) -> String {
        let first = self.detail.split("\n\n").next().unwrap_or_default();
        format!("{}: {first}", self.summary)
    }
}

/// What the proof found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The name of the finding.
    pub id: &'static str,
    /// `error` or `warning`.
    pub severity: &'static str,
    /// In one line.
    pub summary: String,
    /// In full.
    pub found: String,
}

/// What a subcommand came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The key.
    pub key: String,
    /// Its state now; none when it could not be read.
    pub state: Option<String>,
    /// When it will be deleted, if it will be.
    pub deletion_date: Option<String>,
    /// Since when it is disabled by this provider.
    pub disabled_since: Option<String>,
    /// Whether anything was changed.
    pub changed: bool,
    /// Whether nothing was to be changed.
    pub dry_run: bool,
    /// What stops without the key; none when it is not known.
    pub impact: Option<Impact>,
    /// Why it is not known.
    pub impact_unknown: Option<Trouble>,
    /// What the proof found; none where nobody asked.
    pub findings: Option<Vec<Found>>,
    /// What else to know.
    pub notes: Vec<String>,
    /// The errors.
    pub errors: Vec<Trouble>,
    /// A command that may come next.
    pub next: Option<String>,
    /// What stops, in words.
    #[serde(skip)]
    pub words: Option<String>,
}

/// Nobody knows what stops.
pub fn impact_unknown(why: &Trouble) -> Diagnostics {
    Diagnostic::error(
        "It is not known which workspaces stop",
        format!(
            "The Databricks account could not be read, so nothing was changed. {}\n\n{}\n\nIf the key must be disabled all the same, run the \
             command with `--without-impact`.",
            why.summary, why.detail
        ),
    )
    .into()
}

impl Report {
    /// A report about a key that was not read yet.
    pub fn of(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            ..Self::default()
        }
    }

    /// The key was read.
    pub fn saw(&mut self, status: &KeyStatus) {
        self.state = Some(status.state.to_string());
        self.deletion_date.clone_from(&status.deletion_date);
        self.disabled_since.clone_from(&status.disabled_since);
        if let Some(why) = &status.memory_unreadable {
            let note = format!(
                "The tags of the key could not be read ({why}), so it is not known whether this provider disabled it."
            );
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
    }

    /// An order was carried out.
    pub fn came_to(&mut self, outcome: &Outcome) {
        self.state = Some(outcome.state.to_string());
        self.deletion_date.clone_from(&outcome.deletion_date);
        self.changed = outcome.changed;
        self.notes.extend(outcome.notes.iter().cloned());
        self.words = None;
    }

    /// The key was examined.
    pub fn examined(&mut self, findings: &[Finding]) {
        let found = findings
            .iter()
            .filter(|one| !one.is_advice() || one.severity == Severity::Error)
            .map(|one| Found {
                id: one.id.name(),
                severity: match one.severity {
                    Severity::Error => "error",
                    Severity::Warning => "warning",
                },
                summary: one.summary.to_string(),
                found: one.found.clone(),
            });
        self.findings = Some(found.collect());
    }

    /// With errors.
    pub fn with_errors(mut self, why: Diagnostics) -> Self {
        self.errors.extend(why.into_iter().map(|one| Trouble {
            summary: one.summary,
            detail: one.detail,
        }));
        self
    }

    /// As it is printed.
    pub fn shown(&self, format: Format) -> String {
        match format {
            Format::Json => {
                let json = serde_json::to_string_pretty(self);
                format!("{}\n", json.unwrap_or_else(|_| "{}".to_owned()))
            }
            Format::Text => self.text(),
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(text, "{name:<16}{value}");
        };
        line("Key", &self.key);
        line("State", self.state.as_deref().unwrap_or("not known"));
        if let Some(date) = &self.deletion_date {
            line(
                "Deletion",
                &format!("{date}; until then it can be restored"),
            );
        }
        if let Some(since) = &self.disabled_since {
            line("Disabled", &format!("by this provider on {since}"));
        }
        match (&self.findings, &self.impact) {
            (Some(found), Some(impact)) if found.is_empty() && !impact.workspaces.is_empty() => {
                line("Proof", "Databricks can use the key for these workspaces");
            }
            (Some(found), _) if !found.is_empty() => {
                line("Proof", &format!("{} findings", found.len()));
                for one in found {
                    line(
                        "",
                        &format!("{}: {} [{}]", one.severity, one.summary, one.id),
                    );
                }
            }
            _ => {}
        }
        if self.words.is_none()
            && let Some(impact) = &self.impact
        {
            workspaces(&mut line, impact);
        }
        if let Some(words) = &self.words {
            let _ = write!(text, "\n{words}\n");
        }
        if let Some(why) = &self.impact_unknown {
            let _ = write!(
                text,
                "\nIt is not known which workspaces use the key: {}\n",
                why.in_a_line()
            );
        }
        for note in &self.notes {
            let _ = write!(text, "\nNote: {note}\n");
        }
        for one in &self.errors {
            let _ = write!(text, "\nError: {}\n\n{}\n", one.summary, one.detail);
        }
        if self.dry_run {
            text.push_str("\nNothing was changed (--dry-run).\n");
        }
        if let (Some(next), true) = (&self.next, self.errors.is_empty()) {
            let what = if next.contains(" disable ") {
                "To disable the key"
            } else {
                "To restore the key"
            };
            let _ = write!(text, "\n{what}:\n\n  {next}\n");
        }
        printable(&text).to_string()
    }
}

fn workspaces(line: &mut impl FnMut(&str, &str), impact: &Impact) {
    let name = if impact.workspaces.is_empty() {
        line("Workspaces", "none of this account");
        return;
    } else {
        "Workspaces"
    };
    for (at, one) in impact.workspaces.iter().enumerate() {
        let region = one.region.as_deref().unwrap_or("region not known");
        let row = format!(
            "{} \"{}\" {region} {} {}",
            one.workspace_id,
            one.name,
            one.status,
            one.use_cases.join(", ")
        );
        line(if at == 0 { name } else { "" }, &row);
    }
    if let Some(until) = &impact.needed_until {
        line(
            "Needed until",
            &format!("{until} at least (rotation of managed services)"),
        );
    }
    for (at, one) in impact.not_visible.iter().enumerate() {
        line(
            if at == 0 { "Not visible" } else { "" },
            &format!("{}: {}", one.what, one.why),
        );
    }
}
