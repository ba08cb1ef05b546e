//! Findings while they are put together: one for each ID and subject.

use std::collections::BTreeMap;

use crate::catalog::AuditId;
use crate::controls::ControlMap;
use crate::report::{AuditFinding, Gravity};
use crate::subject::AuditSubject;
use preflight::{Finding, Hint, Remedy, Severity};

/// How many texts of one finding the report shows, where several workspaces have the same.
const MOST: usize = 10;

/// A finding that may be one of several with the same ID and subject.
pub(super) struct Draft {
    id: &'static str,
    gravity: Gravity,
    subject: AuditSubject,
    title: String,
    found: String,
    why: String,
    remedy: Remedy,
}

impl Draft {
    /// A finding of the audit itself.
    pub(super) fn of(id: AuditId, subject: AuditSubject) -> Self {
        Self {
            id: id.name(),
            gravity: id.gravity(),
            subject,
            title: id.title().to_owned(),
            found: String::new(),
            why: String::new(),
            remedy: Remedy::default(),
        }
    }

    /// A finding of the proof, which keeps its ID.
    pub(super) fn of_proof(finding: &Finding, subject: AuditSubject) -> Self {
        Self {
            id: finding.id.name(),
            gravity: match finding.severity {
                Severity::Error => Gravity::Error,
                Severity::Warning => Gravity::Warning,
            },
            subject,
            title: finding.summary.clone(),
            found: finding.found.clone(),
            why: finding.why.clone(),
            remedy: finding.remedy.clone(),
        }
    }

    pub(super) fn weighing(self, gravity: Gravity) -> Self {
        Self { gravity, ..self }
    }

    /// The same under a name of the audit.
    pub(super) fn named(self, id: AuditId) -> Self {
        Self {
            id: id.name(),
            ..self
        }
    }

    pub(super) fn found(self, found: impl Into<String>) -> Self {
        Self {
            found: found.into(),
            ..self
        }
    }

    pub(super) fn why(self, why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            ..self
        }
    }

    pub(super) fn remedy(self, remedy: impl Into<Remedy>) -> Self {
        Self {
            remedy: remedy.into(),
            ..self
        }
    }
}

/// All findings with one ID and subject.
struct Gathered {
    first: Draft,
    found: Vec<String>,
    remedies: Vec<Remedy>,
    more: usize,
}

/// Findings, one for each ID and subject.
#[derive(Default)]
pub(super) struct Drafts(BTreeMap<(&'static str, AuditSubject), Gathered>);

impl Drafts {
    /// Adds a finding; to one of the same ID and subject it adds what it found, and the graver of both counts.
    pub(super) fn add(&mut self, draft: Draft) {
        let place = (draft.id, draft.subject.clone());
        let Some(known) = self.0.get_mut(&place) else {
            let gathered = Gathered {
                found: vec![draft.found.clone()],
                remedies: vec![draft.remedy.clone()],
                first: draft,
                more: 0,
            };
            self.0.insert(place, gathered);
            return;
        };
        known.first.gravity = known.first.gravity.max(draft.gravity);
        if known.found.contains(&draft.found) {
            return;
        }
        match known.found.len() < MOST {
            true => {
                known.found.push(draft.found);
                if !known.remedies.contains(&draft.remedy) {
                    known.remedies.push(draft.remedy);
                }
            }
            false => known.more += 1,
        }
    }

    /// Whether something was found of a subject under one of these IDs.
    pub(super) fn has_any(&self, ids: &[&'static str], subject: &AuditSubject) -> bool {
        ids.iter()
            .any(|id| self.0.contains_key(&(*id, subject.clone())))
    }

    /// The findings of the report, apart from their exceptions.
    pub(super) fn finish(
        self,
        controls: &ControlMap,
        words: &dyn Fn(&Hint) -> Option<String>,
    ) -> Vec<AuditFinding> {
        let finished = self.0.into_iter().map(|((id, subject), all)| {
            let mut found = all.found.join("\n\n");
            if all.more > 0 {
                found.push_str(&format!("\n\n… and {} more of the same.", all.more));
            }
            let remedies: Vec<String> = all
                .remedies
                .iter()
                .map(|one| one.text(words))
                .filter(|text| !text.is_empty())
                .collect();
            AuditFinding {
                id: id.to_owned(),
                uid: format!("{id}/{subject}"),
                severity: all.first.gravity,
                title: all.first.title,
                found,
                why: all.first.why,
                remedy: remedies.join("\n\n"),
                controls: controls.of(id),
                exception: None,
                subject,
            }
        });
        finished.collect()
    }
}
