//! Key configurations: which are used, and which are there twice.

use std::collections::{BTreeMap, BTreeSet};

use super::draft::{Draft, Drafts};
use crate::catalog::AuditId;
use crate::facts::{Attached, AuditFacts, SeenConfiguration};
use crate::report::{AuditedConfiguration, Name, Used};
use crate::subject::{AuditSubject, SubjectKind};

/// The key configurations that workspaces and catalogs have, as far as they were read.
fn used(facts: &AuditFacts) -> BTreeSet<&str> {
    let workspaces = facts.workspaces.iter().flatten();
    let of_workspaces = workspaces
        .flat_map(|one| one.attached.values())
        .filter_map(|attached| match attached {
            Attached::Key { configuration, .. } => configuration.as_deref(),
            Attached::KeyUnreadable { configuration }
            | Attached::NotListed { configuration }
            | Attached::NotRead { configuration } => Some(configuration.as_str()),
            Attached::Unreadable(_) => None,
        });
    let of_catalogs = facts
        .catalogs
        .iter()
        .filter_map(|one| one.configuration.as_deref());
    of_workspaces.chain(of_catalogs).collect()
}

/// The older of two configurations comes first; IDs decide where the account does not show the time.
fn age(one: &SeenConfiguration) -> (i64, &str) {
    (one.created.unwrap_or(i64::MAX), one.id.as_str())
}

/// For each configuration, the oldest other one of the same key for the same.
fn twins(all: &[SeenConfiguration]) -> BTreeMap<&str, &str> {
    let mut groups: BTreeMap<(&str, BTreeSet<&str>), Vec<&SeenConfiguration>> = BTreeMap::new();
    for one in all {
        if let Some(key) = &one.key {
            let cases = one.use_cases.iter().map(String::as_str).collect();
            groups.entry((key, cases)).or_default().push(one);
        }
    }
    let mut twins = BTreeMap::new();
    for mut group in groups.into_values() {
        group.sort_by(|one, other| age(one).cmp(&age(other)));
        if let Some((oldest, others)) = group.split_first() {
            twins.extend(
                others
                    .iter()
                    .map(|one| (one.id.as_str(), oldest.id.as_str())),
            );
        }
    }
    twins
}

/// The lines of the report.
pub(super) fn judged(facts: &AuditFacts, drafts: &mut Drafts) -> Vec<AuditedConfiguration> {
    let used = used(facts);
    let all = facts.configurations.as_deref().unwrap_or_default();
    let twins = twins(all);
    // A workspace whose key cannot be read may have any configuration.
    let is_workspace_unclear = facts
        .workspaces
        .iter()
        .flatten()
        .flat_map(|one| one.attached.values())
        .any(|attached| matches!(attached, Attached::Unreadable(_)));
    let is_all_read = facts.workspaces.is_some() && facts.has_all_catalogs && !is_workspace_unclear;
    let mut lines = Vec::new();
    for one in all {
        let subject = AuditSubject::of(SubjectKind::Configuration, &one.id);
        let is_used = match (used.contains(one.id.as_str()), is_all_read) {
            (true, _) => Used::Yes,
            (false, true) => Used::No,
            (false, false) => Used::NotKnown,
        };
        let twin_of = twins.get(one.id.as_str()).map(|id| (*id).to_owned());
        let key = one
            .key
            .as_deref()
            .unwrap_or("a key that the account does not show");
        if is_used == Used::No {
            drafts.add(
                Draft::of(AuditId::ConfigurationUnused, subject.clone())
                    .found(format!(
                        "No workspace and no catalog has the key configuration {} (key {key}).",
                        one.id
                    ))
                    .why("It keeps a key registered that nothing needs.")
                    .remedy("Delete it in the account console, or attach it."),
            );
        }
        if let Some(twin) = &twin_of {
            drafts.add(
                Draft::of(AuditId::ConfigurationTwin, subject)
                    .found(format!(
                        "{} has the same key as {twin}, for the same use cases: {key}.",
                        one.id
                    ))
                    .why("Who revokes or rotates the key may overlook one of them.")
                    .remedy("Attach one of them everywhere, and delete the other."),
            );
        }
        let mut use_cases = one.use_cases.clone();
        use_cases.sort();
        lines.push(AuditedConfiguration {
            id: one.id.clone(),
            key: one.key.as_deref().map(Name::from),
            use_cases,
            used: is_used,
            twin_of,
        });
    }
    lines.sort_by(|one, other| one.id.cmp(&other.id));
    lines
}
