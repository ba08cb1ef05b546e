//! What the `key` subcommands say: a dashboard for people, or JSON for programs.

use std::fmt::Write as _;

use serde::Serialize;

use crate::preflight::{Finding, Id, LastUse, Severity};
use crate::provider::{
    ENABLE_ANYWAY, Impact, KeyStatus, Outcome, PARTLY_DISABLED, VersionStatus, former_key,
    state_in_words, version_in_words,
};
use crate::vocabulary::KeyState;
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
                summary: "The reason is not known".to_owned(),
                detail: String::new(),
            },
            |one| Self {
                summary: one.summary.clone(),
                detail: one.detail.clone(),
            },
        )
    }

    /// Both, with the cause and the advice.
    pub fn in_full(&self) -> String {
        format!("{}: {}", self.summary, self.detail)
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
    /// What to do.
    pub remedy: String,
}

/// Whether `status` shows a finding about a key that is attached. It leaves out advice about the key itself, and shows who may use it.
fn is_for_status(finding: &Finding) -> bool {
    !finding.is_advice()
        || matches!(
            finding.id,
            Id::GcpWorkspaceAccount
                | Id::GcpMembersNotExamined
                | Id::GcpMemberPerhapsDenied
                | Id::AzurePrincipalPerhapsDenied
                | Id::PolicyAnyDatabricksAccount
                | Id::PolicyAnyone
                | Id::KmsKeyNeverUsed
        )
}

/// What a subcommand came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The full name of the key; what the user typed, until the command has found it.
    pub key: String,
    /// Its state now; none when it could not be read.
    pub state: Option<String>,
    /// When it will be deleted, if it will be.
    pub deletion_date: Option<String>,
    /// Since when it is disabled by this provider.
    pub disabled_since: Option<String>,
    /// Its versions, on clouds where each has its own state.
    pub versions: Vec<VersionStatus>,
    /// Its last use, as its cloud records it; none where the subcommand does not ask.
    pub last_used: Option<LastUse>,
    /// Whether anything was changed.
    pub changed: bool,
    /// Whether nothing was to be changed.
    pub dry_run: bool,
    /// What stops without the key; none when it is not known.
    pub impact: Option<Impact>,
    /// Why it is not known.
    pub impact_unknown: Option<Trouble>,
    /// The findings of the proof; `None` where the subcommand does not make it.
    pub findings: Option<Vec<Found>>,
    /// What else to know.
    pub notes: Vec<String>,
    /// Why the subcommand failed; empty if it did not.
    pub errors: Vec<Trouble>,
    /// A command that may come next.
    pub next: Option<String>,
    /// What stops, in words.
    #[serde(skip)]
    pub words: Option<String>,
    /// Whether the subcommand wanted the proof and could not make it.
    #[serde(skip)]
    pub not_proven: bool,
    /// The notes of the last read.
    #[serde(skip)]
    of_status: Vec<String>,
}

/// The error when the provider does not know what stops.
pub fn impact_unknown(why: &Trouble) -> Diagnostics {
    Diagnostic::error(
        "Could not list the workspaces that use the key",
        format!(
            "Nothing was changed. {}\n\nIf the key must be disabled all the same, run the command with `--without-impact`.",
            why.detail
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
        self.state = Some(status.reported());
        self.deletion_date.clone_from(&status.deletion_date);
        self.disabled_since.clone_from(&status.disabled_since);
        self.versions.clone_from(&status.versions);
        // The notes of an earlier read may no longer be true.
        self.notes.retain(|note| !self.of_status.contains(note));
        self.of_status.clone_from(&status.notes);
        // A note of the order says it already.
        let is_said = self.notes.iter().any(|note| note.contains(ENABLE_ANYWAY));
        for note in &status.notes {
            let is_known = self.notes.contains(note) || (is_said && note.contains(ENABLE_ANYWAY));
            if !is_known {
                self.notes.push(note.clone());
            }
        }
    }

    /// An order was carried out.
    pub fn came_to(&mut self, outcome: &Outcome) {
        self.state = Some(outcome.state.to_string());
        self.deletion_date.clone_from(&outcome.deletion_date);
        self.changed = outcome.changed;
        if outcome.state == KeyState::Enabled {
            self.disabled_since = None;
        }
        self.versions.clone_from(&outcome.versions);
        self.notes.clone_from(&outcome.notes);
        self.of_status.clear();
        self.words = None;
    }

    /// The key was examined.
    pub fn examined(&mut self, findings: &[Finding]) {
        let mut found: Vec<Found> = Vec::new();
        let all = findings
            .iter()
            .filter(|one| is_for_status(one))
            .map(|one| Found {
                id: one.id.name(),
                severity: match one.severity {
                    Severity::Error => "error",
                    Severity::Warning => "warning",
                },
                summary: one.summary.to_string(),
                found: one.found.clone(),
                // A command line does not show advice in HCL.
                remedy: one.remedy.text(|_| None),
            });
        for one in all {
            if !found.contains(&one) {
                found.push(one);
            }
        }
        self.findings = Some(found);
    }

    /// Whether the proof found this.
    pub fn has_finding(&self, id: &str) -> bool {
        self.findings.iter().flatten().any(|one| one.id == id)
    }

    /// Whether the proof found that Databricks cannot use the key.
    pub fn has_error_findings(&self) -> bool {
        let mut found = self.findings.iter().flatten();
        found.any(|one| one.severity == "error")
    }

    /// Adds diagnostics to the errors of the report.
    pub fn with_errors(mut self, why: Diagnostics) -> Self {
        self.errors.extend(why.into_iter().map(|one| Trouble {
            summary: one.summary,
            detail: one.detail,
        }));
        self
    }

    /// The same, with the flags of the connection in every command of this program that it shows: pasted, such a command runs where this
    /// one ran.
    pub fn with_flags(mut self, flags: &str) -> Self {
        if flags.is_empty() {
            return self;
        }
        let texts = [
            self.next.iter_mut().collect::<Vec<_>>(),
            self.notes.iter_mut().collect(),
            self.errors.iter_mut().map(|one| &mut one.detail).collect(),
            self.impact_unknown
                .iter_mut()
                .map(|one| &mut one.detail)
                .collect(),
            self.findings
                .iter_mut()
                .flatten()
                .map(|one| &mut one.remedy)
                .collect(),
        ];
        for text in texts.into_iter().flatten() {
            *text = connected(text, flags);
        }
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
        self.key(&mut line);
        self.proof(&mut line);
        if self.words.is_none()
            && let Some(impact) = &self.impact
        {
            workspaces(&mut line, impact);
        }
        self.notes(&mut text);
        printable(&text).to_string()
    }

    /// The key, its state and its versions.
    fn key(&self, line: &mut impl FnMut(&str, &str)) {
        line("Key", &self.key);
        let state = self
            .state
            .as_deref()
            .map(|state| state_in_words(state, &self.versions));
        line("State", state.as_deref().unwrap_or("not known"));
        if let Some(date) = &self.deletion_date {
            line(
                "Deletion",
                &format!("{date}; until then it can be restored"),
            );
        }
        if let Some(since) = &self.disabled_since {
            // A new version may be enabled while former ones are disabled.
            let which = match self.state.as_deref() {
                Some("Enabled") => "former versions, ",
                Some(PARTLY_DISABLED) => "some versions, ",
                _ => "",
            };
            line("Disabled", &format!("{which}by this provider on {since}"));
        }
        for (at, row) in versions(&self.versions).iter().enumerate() {
            line(if at == 0 { "Versions" } else { "" }, row);
        }
        if let Some(last_used) = &self.last_used {
            line("Last use", &last_used.in_words());
        }
    }

    /// What the proof says, if it was made.
    fn proof(&self, line: &mut impl FnMut(&str, &str)) {
        if self.not_proven {
            line("Proof", "not made; see below");
        }
        let found = match (&self.findings, &self.impact) {
            (Some(found), Some(impact)) if found.is_empty() && !impact.workspaces.is_empty() => {
                line("Proof", "Databricks can use the key for these workspaces");
                return;
            }
            (Some(found), _) if !found.is_empty() => found,
            _ => return,
        };
        let count = match found.len() {
            1 => "1 finding".to_owned(),
            many => format!("{many} findings"),
        };
        line("Proof", &count);
        for one in found {
            let said = format!("{}: {} [{}]", one.severity, one.summary, one.id);
            line("", &said);
            let is_shown = |line: &&str| !line.trim().is_empty();
            for found in one.found.lines().filter(is_shown) {
                line("", &format!("  {}", found.trim()));
            }
            // A key that is taken away comes back by the command at the end.
            if self.state.as_deref() == Some("Enabled") {
                for step in one.remedy.lines().filter(is_shown) {
                    line("", &format!("  {step}"));
                }
            }
        }
    }

    /// What else there is to say, and what to do next.
    fn notes(&self, text: &mut String) {
        if let Some(words) = &self.words {
            let _ = write!(text, "\n{words}\n");
        }
        if let Some(why) = &self.impact_unknown {
            let _ = write!(
                text,
                "\nCould not list the workspaces that use the key: {}\n",
                why.detail
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
            let what = if self.state.as_deref() == Some(PARTLY_DISABLED) {
                "To disable the rest"
            } else if next.contains(" disable ") {
                "To disable the key"
            } else {
                "To restore the key"
            };
            let _ = write!(text, "\n{what}:\n\n  {next}\n");
        }
    }
}

/// A text whose lines that are a `key` command of this program have these flags as well.
fn connected(text: &str, flags: &str) -> String {
    let lines: Vec<String> = text
        .split('\n')
        .map(|line| match line.trim_start().starts_with("dbxcmk key ") {
            true => format!("{}{flags}", line.trim_end()),
            false => line.to_owned(),
        })
        .collect();
    lines.join("\n")
}

/// How many versions the text shows one by one.
const MOST_ROWS: usize = 20;

/// A row for each version; of many, those that can be used and are like all others are counted.
fn versions(all: &[VersionStatus]) -> Vec<String> {
    let is_plain =
        |one: &VersionStatus| one.is_enabled() && !one.is_current && one.used_by.is_empty();
    if all.len() <= MOST_ROWS {
        return all.iter().map(version_in_words).collect();
    }
    let (plain, shown): (Vec<&VersionStatus>, Vec<&VersionStatus>) =
        all.iter().partition(|one| is_plain(one));
    let mut rows: Vec<String> = shown.into_iter().map(version_in_words).collect();
    if !plain.is_empty() {
        rows.push(format!("and {} more that are enabled", plain.len()));
    }
    rows
}

fn workspaces(line: &mut impl FnMut(&str, &str), impact: &Impact) {
    if impact.workspaces.is_empty() {
        line("Workspaces", "none that this command can see");
    }
    for (at, one) in impact.workspaces.iter().enumerate() {
        let region = one.region.as_deref().unwrap_or("region not known");
        let row = format!(
            "{} \"{}\" {region} {} {}",
            one.workspace_id,
            one.name,
            one.status,
            one.use_cases.join(", ")
        );
        line(if at == 0 { "Workspaces" } else { "" }, &row);
    }
    for (at, one) in impact.catalogs.iter().enumerate() {
        let row = format!("{} of the metastore {}", one.name, one.metastore_id);
        line(if at == 0 { "Catalogs" } else { "" }, &row);
    }
    for (at, row) in former_key(impact)
        .iter()
        .flat_map(|text| text.lines())
        .enumerate()
    {
        line(if at == 0 { "Former key" } else { "" }, row);
    }
    for (at, one) in impact.not_visible.iter().enumerate() {
        line(
            if at == 0 { "Not visible" } else { "" },
            &format!("{}: {}", one.what, one.why),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(number: usize, state: &str) -> VersionStatus {
        VersionStatus {
            version: number.to_string(),
            state: state.to_owned(),
            is_current: false,
            deletion_date: None,
            disabled_since: None,
            used_by: Vec::new(),
        }
    }

    fn impact() -> Impact {
        Impact {
            key: "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
                .parse()
                .expect("a key"),
            state: "Disabled".to_owned(),
            deletion_date: None,
            disabled_since: None,
            versions: Vec::new(),
            key_configurations: Vec::new(),
            workspaces: Vec::new(),
            catalogs: Vec::new(),
            needed_until: Some("2026-12-01T10:00:00Z".to_owned()),
            needed_by: Vec::new(),
            not_visible: Vec::new(),
            acknowledgement: Vec::new(),
        }
    }

    /// Each version has a line, with its date; a finding says what was found, and a former key until when it is needed.
    #[test]
    fn people_see_versions_findings_and_a_former_key() {
        let doomed = VersionStatus {
            deletion_date: Some("2026-12-24T00:00:00Z".to_owned()),
            ..version(1, "DESTROY_SCHEDULED")
        };
        let ours = VersionStatus {
            is_current: true,
            disabled_since: Some("2026-11-30T00:00:00Z".to_owned()),
            used_by: vec!["4567".to_owned()],
            ..version(2, "DISABLED")
        };
        let mut report = Report::of("K");
        report.versions = vec![doomed, ours];
        report.impact = Some(impact());
        report.last_used = Some(LastUse::on_azure());
        report.findings = Some(vec![Found {
            id: "azure-key-disabled",
            severity: "error",
            summary: "The key in the vault is disabled".to_owned(),
            found: "The version 2 of K is disabled.".to_owned(),
            remedy: "Restore the key:\n\n  restore K".to_owned(),
        }]);
        let text = report.text();
        for words in [
            "Versions        1 DESTROY_SCHEDULED, will be destroyed on 2026-12-24T00:00:00Z\n",
            "2 DISABLED, disabled by this provider on 2026-11-30T00:00:00Z, primary, used by workspace 4567\n",
            "Last use        not known: Azure records it only in the logs",
            "Proof           1 finding\n",
            "The version 2 of K is disabled.",
            "Workspaces      none that this command can see",
            "Former key      It was the managed services key of a workspace in the last 24 hours.",
            "until 2026-12-01T10:00:00Z at least",
        ] {
            assert!(text.contains(words), "{words} is missing in:\n{text}");
        }
        assert!(report.has_error_findings());
        assert!(!text.contains("restore K"), "{text}");
        report.state = Some("Enabled".to_owned());
        let text = report.text();
        let steps = "  Restore the key:\n                    restore K\n";
        assert!(text.contains(steps), "{text}");
    }

    /// `status` shows who lacks the key, and who may use it without need: neither is advice.
    #[test]
    fn the_proof_of_a_status_says_who_may_use_the_key() {
        use crate::preflight::Subject;
        let findings = [
            Id::GcpKeyNoRotation,
            Id::GcpWorkspaceAccount,
            Id::PolicyAnyDatabricksAccount,
            Id::KmsKeyReplica,
        ]
        .map(|id| id.warning(Subject::Key).remedy("Do it."));
        let mut report = Report::of("K");
        report.examined(&findings);
        let found: Vec<&str> = report.findings.iter().flatten().map(|one| one.id).collect();
        assert_eq!(
            found,
            ["gcp-workspace-account", "policy-any-databricks-account"]
        );
    }

    /// What was disabled by half does not look done.
    #[test]
    fn a_key_that_is_disabled_in_part_says_so() {
        let status = |states: &[&str], since: Option<&str>| KeyStatus {
            state: KeyState::Disabled,
            deletion_date: None,
            disabled_since: since.map(str::to_owned),
            versions: (1..)
                .zip(states)
                .map(|(number, state)| version(number, state))
                .collect(),
            way_back: crate::provider::WayBack::Restore,
            notes: Vec::new(),
        };
        for (states, since, expected) in [
            (&["DISABLED", "ENABLED"], Some("T"), "PartlyDisabled"),
            (&["DISABLED", "DISABLED"], Some("T"), "Disabled"),
            (&["DISABLED", "ENABLED"], None, "Disabled"),
        ] {
            let mut report = Report::of("K");
            report.saw(&status(states, since));
            assert_eq!(
                report.state.as_deref(),
                Some(expected),
                "{states:?} {since:?}"
            );
        }
    }

    /// A printed command runs where this one ran; what is not a command of this program stays as it is.
    #[test]
    fn printed_commands_keep_the_flags_of_the_connection() {
        let mut report = Report::of("K");
        report.next = Some("dbxcmk key disable K --dry-run".to_owned());
        report.errors = vec![Trouble {
            summary: "s".to_owned(),
            detail:
                "Run:\n\n  dbxcmk key restore K\n  aws kms enable-key\n\nThen `dbxcmk key status`."
                    .to_owned(),
        }];
        let same = report.clone().with_flags("");
        assert_eq!((&same.next, &same.errors), (&report.next, &report.errors));
        let found = report.with_flags(" --assume-role R");
        assert_eq!(
            found.next.as_deref(),
            Some("dbxcmk key disable K --dry-run --assume-role R")
        );
        let details: Vec<&str> = found.errors.iter().map(|one| one.detail.as_str()).collect();
        assert_eq!(
            details,
            [
                "Run:\n\n  dbxcmk key restore K --assume-role R\n  aws kms enable-key\n\nThen `dbxcmk key \
                 status`."
            ]
        );
    }

    /// What was not proven does not look like a proof, and its cause is printed.
    #[test]
    fn a_proof_that_was_not_made_is_said() {
        let mut report = Report::of("K");
        report.not_proven = true;
        report.impact_unknown = Some(Trouble {
            summary: "s".to_owned(),
            detail: "could not get a token.\n\ninvalid_client".to_owned(),
        });
        let text = report.text();
        assert!(text.contains("Proof           not made"), "{text}");
        assert!(text.contains("invalid_client"), "{text}");
    }

    /// A new version is enabled, and those before are not.
    #[test]
    fn former_versions_are_not_the_key() {
        let mut report = Report::of("K");
        report.state = Some("Enabled".to_owned());
        report.disabled_since = Some("T".to_owned());
        let text = report.text();
        assert!(
            text.contains("Disabled        former versions, by this"),
            "{text}"
        );
    }

    /// Of a key with many versions, those that are like all others are counted.
    #[test]
    fn many_versions_are_counted() {
        let mut all: Vec<VersionStatus> = (1..=100).map(|one| version(one, "ENABLED")).collect();
        all.push(version(101, "DISABLED"));
        assert_eq!(
            versions(&all),
            ["101 DISABLED", "and 100 more that are enabled"]
        );
        assert_eq!(versions(&all[..3]).len(), 3);
    }

    /// What an earlier read said of the key is not repeated after the key has changed.
    #[test]
    fn notes_of_an_earlier_read_go() {
        let status = |notes: &[&str]| KeyStatus {
            state: crate::vocabulary::KeyState::Enabled,
            deletion_date: None,
            disabled_since: None,
            versions: Vec::new(),
            way_back: crate::provider::WayBack::Restore,
            notes: notes.iter().map(|one| (*one).to_owned()).collect(),
        };
        let mut report = Report::of("K");
        report.saw(&status(&["This provider did not disable the key."]));
        report.notes.push("Something else.".to_owned());
        report.saw(&status(&[]));
        assert_eq!(report.notes, ["Something else."]);
        // One note about a key that is not ours is enough.
        report
            .notes
            .push(format!("It stays disabled; use {ENABLE_ANYWAY}."));
        report.saw(&status(&[&format!("Not ours; use {ENABLE_ANYWAY}.")]));
        assert_eq!(report.notes.len(), 2, "{:?}", report.notes);
    }
}
