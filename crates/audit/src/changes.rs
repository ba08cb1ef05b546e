//! What changed since an earlier report. What is missing because it could not be read is never called gone, and what could not be read
//! last time is never called new.

use std::collections::{BTreeMap, BTreeSet};

use super::baseline::{
    Baseline, FormerFinding, FormerKey, FormerWorkspace, KeyFor, gaps, keys_for,
};
use super::catalog::{AuditId, rests_on};
use super::facts::Part;
use super::report::{
    AuditFinding, AuditReport, AuditedKey, AuditedWorkspace, Change, ChangeKind, Gravity, OtherUser,
};
use super::subject::{AuditSubject, SubjectKind};
use preflight::capitalized;

/// What a comparison came to.
#[derive(Default)]
pub(super) struct Compared {
    /// The changes, the worse first.
    pub(super) changes: Vec<Change>,
    /// What was not compared, in a sentence.
    pub(super) note: Option<String>,
}

type Gap = (AuditSubject, Part);

impl Change {
    fn of(kind: ChangeKind, subject: &AuditSubject, text: String) -> Self {
        Self {
            kind,
            subject: subject.clone(),
            was: None,
            is: None,
            text,
            worse: false,
        }
    }

    fn worse(self, worse: bool) -> Self {
        Self { worse, ..self }
    }

    fn was(self, was: impl Into<Option<String>>) -> Self {
        Self {
            was: was.into(),
            ..self
        }
    }

    fn is(self, is: impl Into<Option<String>>) -> Self {
        Self {
            is: is.into(),
            ..self
        }
    }
}

/// Whether a gap leaves something open about a subject.
fn concerns(gap: &Gap, subject: &AuditSubject, parts: &[Part]) -> bool {
    let (of, part) = gap;
    // A list, a role or a vault that was not read concerns what hangs on it, by whatever name.
    let is_shared = part.is_list() || matches!(part, Part::Role | Part::Vault);
    parts.contains(part) && (is_shared || of == subject)
}

/// A finding in one line: `key-elsewhere (warning)`.
fn weighed(id: &str, gravity: Gravity) -> String {
    format!("{id} ({})", gravity.word())
}

/// The ID of the finding that a change is about, where it is about one.
pub(super) fn finding_of(change: &Change) -> Option<&str> {
    let text = match change.kind {
        ChangeKind::FindingNew => change.is.as_ref(),
        ChangeKind::FindingGone => change.was.as_ref(),
        _ => None,
    };
    text?.split_once(" (").map(|(id, _)| id)
}

/// Two reports while they are compared.
struct Comparison<'a> {
    baseline: &'a Baseline,
    report: &'a AuditReport,
    /// What the baseline could not read.
    former_gaps: Vec<Gap>,
    /// What this run could not read.
    gaps: Vec<Gap>,
    former_workspaces: BTreeMap<&'a str, &'a FormerWorkspace>,
    workspaces: BTreeMap<&'a str, &'a AuditedWorkspace>,
    changes: Vec<Change>,
}

/// Compares a report with an earlier one.
pub(super) fn since(baseline: &Baseline, report: &AuditReport) -> Compared {
    let former = baseline.workspaces.iter();
    let now = report.workspaces.iter();
    let mut all = Comparison {
        baseline,
        report,
        former_gaps: baseline.gaps(),
        gaps: gaps(&report.not_read),
        former_workspaces: former.map(|one| (one.id.as_str(), one)).collect(),
        workspaces: now.map(|one| (one.id.as_str(), one)).collect(),
        changes: Vec::new(),
    };
    all.workspaces();
    all.keys();
    all.findings();
    all.readability();
    let mut changes = std::mem::take(&mut all.changes);
    changes.sort_by(|one, other| {
        let of = |one: &Change| (!one.worse, one.kind, one.subject.clone());
        of(one)
            .cmp(&of(other))
            .then_with(|| (&one.was, &one.is).cmp(&(&other.was, &other.is)))
    });
    Compared {
        changes,
        note: all.change_of_scope(),
    }
}

impl<'a> Comparison<'a> {
    /// Whether a list of workspaces could not be read then and can be now, or the other way round.
    fn has_only(&self, one: &[Gap], other: &[Gap]) -> bool {
        one.iter()
            .any(|gap| gap.1 == Part::Workspaces && !other.contains(gap))
    }

    /// Whether a workspace was judged both times.
    fn is_compared(&self, id: &str) -> bool {
        let then = self.former_workspaces.get(id).map(|one| one.judged);
        let now = self.workspaces.get(id).map(|one| one.judged);
        then.unwrap_or(true) && now.unwrap_or(true)
    }

    fn is_uncovered(&self, id: &str) -> bool {
        self.report
            .counting(Gravity::Error)
            .any(|one| one.id == AuditId::WorkspaceDataUncovered.name() && one.subject.id() == id)
    }

    fn workspaces(&mut self) {
        let is_seen_again = self.has_only(&self.former_gaps, &self.gaps);
        let is_lost_from_sight = self.has_only(&self.gaps, &self.former_gaps);
        let (former, now) = (self.former_workspaces.clone(), self.workspaces.clone());
        for (id, one) in &now {
            let subject = AuditSubject::of(SubjectKind::Workspace, id);
            let words = format!("the workspace {id} (\"{}\")", one.name);
            match former.get(id) {
                None if is_seen_again => {}
                None => {
                    let worse = one.judged && self.is_uncovered(id);
                    let how = match worse {
                        true => " has data that is not under an own key",
                        false => "",
                    };
                    let text = format!("New: {words}{how}.");
                    self.changes.push(
                        Change::of(ChangeKind::WorkspaceNew, &subject, text)
                            .worse(worse)
                            .is(one.name.clone()),
                    );
                }
                Some(then) if self.is_compared(id) => self.keys_of(then, one, &subject, &words),
                Some(_) => {}
            }
        }
        for (id, one) in former {
            if !now.contains_key(id) && !is_lost_from_sight {
                let subject = AuditSubject::of(SubjectKind::Workspace, id);
                let text = format!("Gone: the workspace {id} (\"{}\").", one.name);
                self.changes.push(
                    Change::of(ChangeKind::WorkspaceGone, &subject, text).was(one.name.clone()),
                );
            }
        }
    }

    fn keys_of(
        &mut self,
        then: &FormerWorkspace,
        now: &AuditedWorkspace,
        subject: &AuditSubject,
        words: &str,
    ) {
        let keys = keys_for(now);
        let cases: BTreeSet<&String> = then.keys.keys().chain(keys.keys()).collect();
        for case in cases {
            let was = then.keys.get(case).unwrap_or(&KeyFor::None);
            let is = keys.get(case).unwrap_or(&KeyFor::None);
            let (kind, worse, text) = match (was, is) {
                (KeyFor::Key(_), KeyFor::None) => (
                    ChangeKind::WorkspaceLostKey,
                    true,
                    format!("{words} has no key for {case} anymore."),
                ),
                (KeyFor::None, KeyFor::Key(_)) => (
                    ChangeKind::WorkspaceGotKey,
                    false,
                    format!("{words} has a key for {case} now."),
                ),
                (KeyFor::Key(was), KeyFor::Key(is)) if was != is => (
                    ChangeKind::KeyReplaced,
                    false,
                    format!("{words} has another key for {case}."),
                ),
                _ => continue,
            };
            let name = |key: &KeyFor| match key {
                KeyFor::Key(name) => Some(name.to_string()),
                KeyFor::None | KeyFor::NotKnown => None,
            };
            self.changes.push(
                Change::of(kind, subject, capitalized(&text))
                    .worse(worse)
                    .was(name(was))
                    .is(name(is)),
            );
        }
    }

    fn keys(&mut self) {
        let former: BTreeMap<&str, &FormerKey> = self
            .baseline
            .keys
            .iter()
            .map(|one| (one.key.as_str(), one))
            .collect();
        for now in &self.report.keys {
            if let Some(then) = former.get(now.key.as_str()) {
                let subject = AuditSubject::of(SubjectKind::Key, &now.key);
                self.state(then, now, &subject);
                self.deadline(then, now, &subject);
                self.others(then, now, &subject);
            }
        }
    }

    fn state(&mut self, then: &FormerKey, now: &AuditedKey, subject: &AuditSubject) {
        let is_known = then.state != super::report::NOT_KNOWN && now.is_known();
        if !is_known || then.state == now.state {
            return;
        }
        let text = format!("{} was {} and is {}.", now.key, then.state, now.state);
        let worse = now.state != "Enabled";
        self.changes.push(
            Change::of(ChangeKind::KeyState, subject, text)
                .worse(worse)
                .was(then.state.clone())
                .is(now.state.clone()),
        );
    }

    fn deadline(&mut self, then: &FormerKey, now: &AuditedKey, subject: &AuditSubject) {
        let is_known = then.state != super::report::NOT_KNOWN && now.is_known();
        if !is_known || then.until == now.until {
            return;
        }
        // Both are RFC 3339 in UTC and whole seconds, so that texts compare as dates do.
        let (worse, text) = match (&then.until, &now.until) {
            (None, Some(until)) => (true, format!("{} can be saved until {until}.", now.key)),
            (Some(was), Some(until)) => (
                until < was,
                format!("{} can be saved until {until}; it was {was}.", now.key),
            ),
            _ => (false, format!("{} has no deadline anymore.", now.key)),
        };
        self.changes.push(
            Change::of(ChangeKind::KeyUntil, subject, text)
                .worse(worse)
                .was(then.until.clone())
                .is(now.until.clone()),
        );
    }

    fn others(&mut self, then: &FormerKey, now: &AuditedKey, subject: &AuditSubject) {
        let (Some(was), Some(is)) = (&then.others, &now.others) else {
            return;
        };
        fn rights(all: &[OtherUser]) -> BTreeSet<(&str, &str)> {
            let each = all.iter().flat_map(|one| {
                let rights = one.rights.iter();
                rights.map(|right| (one.principal.as_str(), right.as_str()))
            });
            each.collect()
        }
        let (was, is) = (rights(was), rights(is));
        let words = |all: Vec<&(&str, &str)>| -> String {
            let mut by_principal: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for (principal, right) in all {
                by_principal.entry(principal).or_default().push(right);
            }
            let each = by_principal
                .into_iter()
                .map(|(principal, rights)| format!("{principal} ({})", rights.join(", ")));
            each.collect::<Vec<_>>().join("; ")
        };
        let more = words(is.difference(&was).collect());
        let fewer = words(was.difference(&is).collect());
        if !more.is_empty() {
            let text = format!("More may use {}: {more}.", now.key);
            let change = Change::of(ChangeKind::OthersMore, subject, text);
            self.changes.push(change.worse(true).is(more));
        }
        if !fewer.is_empty() {
            let text = format!("These may not use {} anymore: {fewer}.", now.key);
            let change = Change::of(ChangeKind::OthersFewer, subject, text);
            self.changes.push(change.was(fewer));
        }
    }

    fn findings(&mut self) {
        let former: BTreeMap<&str, &FormerFinding> = self
            .baseline
            .findings
            .iter()
            .map(|one| (one.uid.as_str(), one))
            .collect();
        let now: BTreeSet<&str> = self
            .report
            .findings
            .iter()
            .map(|one| one.uid.as_str())
            .collect();
        let is_compared = |all: &Self, subject: &AuditSubject| {
            subject.kind() != SubjectKind::Workspace || all.is_compared(subject.id())
        };
        for one in &self.report.findings {
            if is_compared(self, &one.subject) {
                self.finding(former.get(one.uid.as_str()).copied(), one);
            }
        }
        for then in &self.baseline.findings {
            let parts = rests_on(&then.id);
            let is_open = self
                .gaps
                .iter()
                .any(|gap| concerns(gap, &then.subject, parts));
            if now.contains(then.uid.as_str()) || is_open || !is_compared(self, &then.subject) {
                continue;
            }
            let text = format!("Gone: {} ({}).", then.title, then.subject);
            let was = weighed(&then.id, then.severity);
            let change = Change::of(ChangeKind::FindingGone, &then.subject, text);
            self.changes.push(change.was(was));
        }
    }

    /// A finding that is new, graver, or accepted no longer.
    fn finding(&mut self, then: Option<&FormerFinding>, now: &AuditFinding) {
        let is_grave = now.counts() && now.severity > Gravity::Note;
        let is = weighed(&now.id, now.severity);
        match then {
            None => {
                let parts = rests_on(&now.id);
                let was_open = self
                    .former_gaps
                    .iter()
                    .any(|gap| concerns(gap, &now.subject, parts) && !self.gaps.contains(gap));
                let (kind, worse, word) = match was_open {
                    true => (
                        ChangeKind::ReadableAgain,
                        false,
                        "Could not be seen last time",
                    ),
                    false => (ChangeKind::FindingNew, is_grave, "New"),
                };
                let text = format!("{word}: {} ({}).", now.title, now.subject);
                self.changes
                    .push(Change::of(kind, &now.subject, text).worse(worse).is(is));
            }
            Some(then) => {
                let is_graver = now.severity > then.severity;
                let counts_again = then.exception.is_some() && now.counts();
                if !is_graver && !counts_again {
                    return;
                }
                let how = match is_graver {
                    true => "Graver",
                    false => "Accepted no longer",
                };
                let text = format!("{how}: {} ({}).", now.title, now.subject);
                self.changes.push(
                    Change::of(ChangeKind::FindingNew, &now.subject, text)
                        .worse(is_grave)
                        .was(weighed(&then.id, then.severity))
                        .is(is),
                );
            }
        }
    }

    /// What can be read no longer, or again.
    fn readability(&mut self) {
        let (former, now) = (self.former_gaps.clone(), self.gaps.clone());
        let is_known_in = |then: bool, subject: &AuditSubject| {
            let id = subject.id();
            match (subject.kind(), then) {
                (SubjectKind::Key, true) => {
                    self.baseline.keys.iter().any(|one| one.key.as_str() == id)
                }
                (SubjectKind::Key, false) => {
                    self.report.keys.iter().any(|one| one.key.as_str() == id)
                }
                (SubjectKind::Workspace, true) => self.former_workspaces.contains_key(id),
                (SubjectKind::Workspace, false) => self.workspaces.contains_key(id),
                (SubjectKind::Location, true) => {
                    self.baseline.locations.iter().any(|one| one.url == id)
                }
                (SubjectKind::Location, false) => {
                    self.report.locations.iter().any(|one| one.url == id)
                }
                _ => true,
            }
        };
        let lost: Vec<&Gap> = now
            .iter()
            .filter(|gap| !former.contains(gap) && is_known_in(true, &gap.0))
            .collect();
        let back: Vec<&Gap> = former
            .iter()
            .filter(|gap| !now.contains(gap) && is_known_in(false, &gap.0))
            .collect();
        for (subject, part) in lost {
            let word = part.word();
            let text = format!("Could be read last time, and cannot now: {word} of {subject}.");
            let change = Change::of(ChangeKind::NotReadable, subject, text);
            self.changes.push(change.worse(true).was(word.to_owned()));
        }
        for (subject, part) in back {
            let word = part.word();
            let text = format!("Can be read again: {word} of {subject}.");
            let change = Change::of(ChangeKind::ReadableAgain, subject, text);
            self.changes.push(change.is(word.to_owned()));
        }
    }

    /// Workspaces that only one of the reports has judged.
    fn change_of_scope(&self) -> Option<String> {
        let both = self
            .workspaces
            .iter()
            .filter_map(|(id, now)| Some((self.former_workspaces.get(id)?.judged, now.judged)));
        let (mut more, mut fewer) = (0, 0);
        for pair in both {
            match pair {
                (false, true) => more += 1,
                (true, false) => fewer += 1,
                _ => {}
            }
        }
        ((more, fewer) != (0, 0)).then(|| {
            format!(
                "The scope changed since the baseline: {more} workspaces are judged now and were not, {fewer} were judged and are not. They are not compared."
            )
        })
    }
}

#[cfg(test)]
mod tests;
