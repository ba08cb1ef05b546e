//! Workspaces: which kind of data has which key, by the tables of the coverage, and what that comes to.

use std::collections::{BTreeMap, BTreeSet};

use super::bullets;
use super::draft::{Draft, Drafts};
use crate::catalog::AuditId;
use crate::facts::{Attached, AuditFacts, SeenWorkspace};
use crate::policy::AuditPolicy;
use crate::report::{AuditedData, AuditedWorkspace, Name, Text};
use crate::scope::RunScope;
use crate::subject::{AuditSubject, SubjectKind};
use preflight::{Id, Subject};
use requirements::coverage::{Cover, Covered, DataKind};
use requirements::{kinds, transition};
use vocabulary::{Cloud, UseCase};

/// What the data of a workspace comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// An own key is attached wherever one of the workspace can encrypt.
    Covered,
    /// Somewhere there is none.
    Uncovered,
    /// The audit did not read some of it, so it can say neither.
    NotKnown,
}

const UNKNOWN_CLOUD: &str = "This version does not know the cloud of the workspace.";
const CONFIGURATIONS_UNREAD: &str = "The key configurations of the account could not be read.";
const KEY_NOT_LISTED: &str =
    "The key configuration that the workspace shows is not one of the account.";
const KEY_UNREADABLE: &str = "What the workspace shows as its key cannot be read.";

/// The lines of the report, and what each judged workspace comes to.
pub(super) fn judged(
    facts: &AuditFacts,
    policy: &AuditPolicy,
    scope: &RunScope,
    drafts: &mut Drafts,
) -> (Vec<AuditedWorkspace>, BTreeMap<Name, Standing>) {
    let mut standings = BTreeMap::new();
    let mut names: BTreeMap<&str, Name> = BTreeMap::new();
    let mut all = Vec::new();
    for seen in facts.workspaces.iter().flatten() {
        let is_judged = scope.judges(&seen.id, &seen.name);
        let data: Vec<AuditedData> = kinds(&seen.cloud)
            .iter()
            .map(|kind| row(kind, seen, &mut names))
            .collect();
        let id = Name::from(seen.id.as_str());
        if is_judged {
            let standing = find(seen, &data, policy, drafts);
            standings.insert(id.clone(), standing);
        }
        all.push(AuditedWorkspace {
            id,
            name: seen.name.clone(),
            region: seen.region.clone(),
            status: seen.status.clone(),
            pricing_tier: seen.pricing_tier.clone(),
            judged: is_judged,
            data,
        });
    }
    // Numbers in their order.
    all.sort_by(|one, other| {
        let of = |one: &AuditedWorkspace| (one.id.as_str().len(), one.id.clone());
        of(one).cmp(&of(other))
    });
    (all, standings)
}

/// A kind of data in a workspace: what the coverage says, as far as the key that it speaks of is known.
fn row<'a>(
    kind: &DataKind,
    seen: &'a SeenWorkspace,
    names: &mut BTreeMap<&'a str, Name>,
) -> AuditedData {
    let answer = kind.in_workspace(seen.keys);
    let case = answer.by.or_else(|| kind.use_case(seen.keys));
    let attached = case.and_then(|case| seen.attached.get(&case));
    let line = |covered, note| AuditedData {
        kind: Text::Borrowed(kind.name),
        location: Text::Borrowed(kind.place_in(seen.keys)),
        use_case: case.map(|case| Text::Borrowed(case.name())),
        covered,
        key: None,
        note,
    };
    if matches!(seen.cloud, Cloud::Other(_)) {
        return line(Covered::NotKnown, Text::Borrowed(UNKNOWN_CLOUD));
    }
    let is_open = !matches!(answer.covered, Covered::No | Covered::NotOffered);
    match attached {
        Some(Attached::NotRead { .. }) if is_open => {
            return line(Covered::NotKnown, Text::Borrowed(CONFIGURATIONS_UNREAD));
        }
        Some(Attached::NotListed { .. }) if is_open => {
            return line(Covered::No, Text::Borrowed(KEY_NOT_LISTED));
        }
        Some(Attached::Unreadable(_) | Attached::KeyUnreadable { .. }) if is_open => {
            return line(Covered::NotKnown, Text::Borrowed(KEY_UNREADABLE));
        }
        _ => {}
    }
    let note = match (answer.covered, answer.instead) {
        (Covered::Yes, _) => Text::Borrowed(kind.note),
        (_, Some(instead)) => Text::Owned(format!("{} {instead}", answer.why)),
        (_, None) => Text::Borrowed(answer.why),
    };
    let key = match (answer.by, attached) {
        (Some(_), Some(Attached::Key { key, .. })) => Some(
            names
                .entry(key.as_str())
                .or_insert_with(|| Name::from(key.as_str()))
                .clone(),
        ),
        _ => None,
    };
    AuditedData {
        key,
        ..line(answer.covered, note)
    }
}

/// The use cases for which a workspace must have a key.
fn required(seen: &SeenWorkspace, policy: &AuditPolicy) -> Vec<UseCase> {
    match &policy.require.use_cases {
        Some(cases) => cases.clone(),
        None => UseCase::ALL
            .into_iter()
            .filter(|case| transition(&seen.cloud, *case).set)
            .collect(),
    }
}

/// What a workspace comes to, and what is found of it. The worst of what counts wins.
fn find(
    seen: &SeenWorkspace,
    data: &[AuditedData],
    policy: &AuditPolicy,
    drafts: &mut Drafts,
) -> Standing {
    let subject = AuditSubject::of(SubjectKind::Workspace, &seen.id);
    attachments(seen, &subject, drafts);
    for finding in &seen.findings {
        drafts.add(Draft::of_proof(finding, subject.clone()));
    }
    let required = required(seen, policy);
    let rows: Vec<(&AuditedData, &DataKind)> = data.iter().zip(kinds(&seen.cloud).iter()).collect();
    let counting = |case: UseCase| {
        rows.iter().filter(move |(row, kind)| {
            row.use_case.as_deref() == Some(case.name())
                && (policy.require.cluster_volumes || kind.cover != Cover::ClusterVolumes)
        })
    };
    let of = |wanted: Covered| -> Vec<(UseCase, &AuditedData)> {
        let each = required.iter().flat_map(|case| {
            let rows = counting(*case).filter(|(row, _)| row.covered == wanted);
            rows.map(|(row, _)| (*case, *row))
        });
        each.collect()
    };
    let (uncovered, unknown) = (of(Covered::No), of(Covered::NotKnown));
    if !uncovered.is_empty() {
        drafts.add(uncovered_data(seen, &subject, &uncovered));
        return Standing::Uncovered;
    }
    let is_cloud_unknown = matches!(seen.cloud, Cloud::Other(_));
    if !unknown.is_empty() || is_cloud_unknown {
        drafts.add(unknown_data(seen, &subject, &unknown));
        return Standing::NotKnown;
    }
    Standing::Covered
}

fn in_words(seen: &SeenWorkspace) -> String {
    format!("The workspace {} (\"{}\")", seen.id, seen.name)
}

/// The kinds of data by the use case that they hang on, a line each.
fn by_case(rows: &[(UseCase, &AuditedData)]) -> String {
    let mut cases: BTreeMap<UseCase, Vec<&str>> = BTreeMap::new();
    for (case, row) in rows {
        cases.entry(*case).or_default().push(&row.kind);
    }
    let lines: Vec<String> = cases
        .into_iter()
        .map(|(case, kinds)| format!("{}: {}", case.in_words(), kinds.join(", ")))
        .collect();
    bullets(&lines, lines.len())
}

/// The notes of some rows, each once.
fn notes(rows: &[(UseCase, &AuditedData)]) -> String {
    let mut seen = BTreeSet::new();
    let notes: Vec<&str> = rows
        .iter()
        .map(|(_, row)| row.note.as_ref())
        .filter(|note| seen.insert(*note))
        .collect();
    notes.join("\n")
}

fn uncovered_data(
    seen: &SeenWorkspace,
    subject: &AuditSubject,
    rows: &[(UseCase, &AuditedData)],
) -> Draft {
    let tier = match (&seen.pricing_tier, seen.tier_lacks_keys) {
        (Some(tier), true) => {
            format!("\n\nIts pricing tier {tier} does not include customer-managed keys.")
        }
        _ => String::new(),
    };
    Draft::of(AuditId::WorkspaceDataUncovered, subject.clone())
        .found(format!(
            "{} has data that is not under an own key:{}{tier}",
            in_words(seen),
            by_case(rows)
        ))
        .why("Databricks or the cloud holds the key to this data. You cannot take the access away, and you see no use of the key.")
        .remedy(notes(rows))
}

fn unknown_data(
    seen: &SeenWorkspace,
    subject: &AuditSubject,
    rows: &[(UseCase, &AuditedData)],
) -> Draft {
    let why = match seen.cloud {
        Cloud::Other(_) => UNKNOWN_CLOUD.to_owned(),
        _ => notes(rows),
    };
    Draft::of(AuditId::WorkspaceDataUnknown, subject.clone())
        .found(format!(
            "{} has data of which it is not known whether it is under an own key:{}\n\n{why}",
            in_words(seen),
            by_case(rows)
        ))
        .why("What is not known is not covered. The report counts the workspace as not known.")
        .remedy("Check the workspace in the account console. If a permission is missing, the report names it under what was not read.")
}

/// Keys of a workspace that the account does not list, or that cannot be read.
fn attachments(seen: &SeenWorkspace, subject: &AuditSubject, drafts: &mut Drafts) {
    for (case, attached) in &seen.attached {
        let words = case.in_words();
        let finding = match attached {
            Attached::Key { .. } | Attached::NotRead { .. } => continue,
            Attached::NotListed { configuration } => {
                Id::KeyConfigurationNotFound.error(Subject::Workspace).found(format!(
                    "{} shows the key configuration {configuration} for {words}, and the account does not list it.",
                    in_words(seen)
                ))
            }
            Attached::KeyUnreadable { configuration } => {
                Id::KeyConfigurationUnreadable.error(Subject::Workspace).found(format!(
                    "{} has the key configuration {configuration} for {words}, and the account shows no key for it that this version can read.",
                    in_words(seen)
                ))
            }
            Attached::Unreadable(text) => {
                Id::WorkspaceKeyUnreadable.error(Subject::Workspace).found(format!(
                    "{} shows `{text}` as its key for {words}, which this version cannot read.",
                    in_words(seen)
                ))
            }
        };
        let finding = finding
            .why("It is not known which key encrypts this data, and nobody can watch that key.")
            .remedy("Check the workspace and its key configurations in the account console, and ask Databricks support if they differ.");
        drafts.add(Draft::of_proof(&finding, subject.clone()));
    }
}
