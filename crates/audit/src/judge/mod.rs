//! Facts in, a report out. What the proof and the coverage decide is not decided again here: this puts it together, judges what only an
//! audit asks, and counts.

mod configurations;
mod draft;
mod exceptions;
mod keys;
mod unread;
mod workspaces;

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use self::draft::{Draft, Drafts};
use self::workspaces::Standing;
use super::baseline::Baseline;
use super::catalog::AuditId;
use super::changes;
use super::controls::ControlMap;
use super::facts::{AuditFacts, Part, SeenLocation, Unread};
use super::policy::AuditPolicy;
use super::report::{
    AuditReport, AuditRun, AuditedLocation, Counts, EncryptedBy, FORMAT_VERSION, LocationKind, Name,
};
use super::scope::{Glob, RunScope};
use super::subject::{AuditSubject, SubjectKind};
use preflight::Hint;

/// By what an audit judges.
pub struct AuditRules<'a> {
    /// The policy file.
    pub policy: &'a AuditPolicy,
    /// The patterns of the command line: only these workspaces are judged.
    pub only: Vec<Glob>,
    /// Accounts, projects, tenants and Databricks accounts that may use a key.
    pub trusted: BTreeSet<String>,
    /// How the tool at hand says a hint of a remedy.
    pub words: &'a dyn Fn(&Hint) -> Option<String>,
}

/// What an audit came to.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What every format shows, in order.
    pub report: AuditReport,
    /// Patterns of the command line that mean no workspace. Empty where the workspaces could not be read.
    pub unmatched: Vec<String>,
}

/// RFC 3339 in whole seconds.
pub fn rfc3339(at: OffsetDateTime) -> String {
    let whole = at.replace_nanosecond(0).unwrap_or(at);
    whole
        .to_offset(time::UtcOffset::UTC)
        .format(&Rfc3339)
        .unwrap_or_default()
}

/// At most `most` of some texts, a line each, and how many more there are.
fn bullets(texts: &[String], most: usize) -> String {
    let mut lines: Vec<String> = texts
        .iter()
        .take(most)
        .map(|text| format!("\n  - {text}"))
        .collect();
    if texts.len() > most {
        lines.push(format!("\n  - … and {} more", texts.len() - most));
    }
    lines.concat()
}

/// The subject of what concerns all of an account.
pub fn whole_account(account_id: Option<&str>, cloud: &str) -> AuditSubject {
    AuditSubject::of(SubjectKind::Account, account_id.unwrap_or(cloud))
}

/// Judges what was read, and compares it with an earlier report.
pub fn judge(facts: AuditFacts, rules: &AuditRules<'_>, baseline: Option<&Baseline>) -> Judged {
    let scope = RunScope::new(rules.policy.scope.clone(), rules.only.clone());
    let account = whole_account(facts.account_id.as_deref(), facts.cloud.as_str());
    let mut drafts = Drafts::default();
    let mut unread = facts.unread.clone();
    let (workspaces, standings) = workspaces::judged(&facts, rules.policy, &scope, &mut drafts);
    let keys = keys::judged(&facts, rules, &mut drafts, &mut unread);
    let configurations = configurations::judged(&facts, &mut drafts);
    let locations = locations(&facts.locations, &mut drafts);
    surroundings(&facts, &mut drafts, &mut unread);
    let unmatched = unmatched(&facts, &scope, &account, &mut drafts);
    unread::name_rights(&mut unread);
    unread::normalize(&mut unread);

    let mut findings = drafts.finish(&ControlMap::read(), rules.words);
    exceptions::apply(&mut findings, rules.policy, facts.time.date(), &unread);
    findings.sort_by(|one, other| {
        let by_gravity = other.severity.cmp(&one.severity);
        by_gravity.then_with(|| one.uid.cmp(&other.uid))
    });
    let not_read: Vec<_> = unread.into_iter().map(Unread::line).collect();
    let of = |standing| standings.values().filter(|one| **one == standing).count();
    let mut report = AuditReport {
        format_version: FORMAT_VERSION.to_owned(),
        counts: Counts {
            workspaces: workspaces.len(),
            judged: standings.len(),
            covered: of(Standing::Covered),
            uncovered: of(Standing::Uncovered),
            not_known: of(Standing::NotKnown),
            keys: keys.len(),
            keys_in_danger: keys.iter().filter(|key| key.is_in_danger()).count(),
            not_read: not_read.len(),
        },
        run: AuditRun {
            time: rfc3339(facts.time),
            account_id: facts.account_id,
            cloud: facts.cloud.as_str().to_owned(),
            identity: facts.identity,
            complete: not_read.is_empty(),
            requests: facts.requests,
            scope: scope.shown(),
            baseline: baseline.map(|one| one.time().to_owned()),
            notes: facts.notes,
        },
        changes: Vec::new(),
        keys,
        workspaces,
        locations,
        configurations,
        findings,
        not_read,
    };
    if let Some(baseline) = baseline {
        let compared = changes::since(baseline, &report);
        report.changes = compared.changes;
        report.run.notes.extend(compared.note);
    }
    Judged { report, unmatched }
}

/// The patterns that mean no workspace: those of the file as findings, those of the command line as they are. A list that was not read
/// says nothing of them.
fn unmatched(
    facts: &AuditFacts,
    scope: &RunScope,
    account: &AuditSubject,
    drafts: &mut Drafts,
) -> Vec<String> {
    let Some(all) = &facts.workspaces else {
        return Vec::new();
    };
    let named: Vec<(&str, &str)> = all
        .iter()
        .map(|one| (one.id.as_str(), one.name.as_str()))
        .collect();
    let unmatched = scope.unmatched(&named);
    let is_list_partial =
        facts.unread.iter().any(|one| one.part == Part::Workspaces) || !facts.hidden.is_empty();
    if is_list_partial {
        return Vec::new();
    }
    for pattern in &unmatched.of_file {
        drafts.add(
            Draft::of(AuditId::ScopeMatchesNothing, account.clone())
                .found(format!(
                    "`{pattern}` in the block `scope` of the policy file matches none of the {} workspaces.",
                    all.len()
                ))
                .why("Workspaces that were meant by it are not judged, or are judged although they were to be excluded.")
                .remedy("Correct the pattern, or remove it. A pattern of digits alone is an ID; any other is compared with names."),
        );
    }
    unmatched.of_flags
}

/// What is found of subscriptions, metastores, vaults and keys that are registered nowhere.
fn surroundings(facts: &AuditFacts, drafts: &mut Drafts, unread: &mut Vec<Unread>) {
    for hidden in &facts.hidden {
        let subject = AuditSubject::of(SubjectKind::Subscription, &hidden.id);
        unread.push(Unread {
            subject: subject.clone(),
            part: Part::Workspaces,
            why: "The Databricks account lists workspaces in it, and Resource Manager shows none of them to this identity."
                .to_owned(),
            permission: Some("Reader on the subscription".to_owned()),
        });
        drafts.add(
            Draft::of(AuditId::SubscriptionNotVisible, subject)
                .found(format!(
                    "The Databricks account has these workspaces in the subscription {}:{}",
                    hidden.id,
                    bullets(&hidden.workspaces, 20)
                ))
                .why("The audit cannot read their keys, so it does not know whether their data is under an own key.")
                .remedy("Give the identity of the audit the role Reader on the subscription, and run the audit again."),
        );
    }
    for metastore in &facts.without_workspace {
        drafts.add(
            Draft::of(
                AuditId::MetastoreWithoutWorkspace,
                AuditSubject::of(SubjectKind::Metastore, metastore),
            )
            .found(format!("No workspace is assigned to the metastore {metastore}."))
            .why("Its catalogs cannot be read. A key configuration that only one of them uses looks unused, and is not called so.")
            .remedy("Delete the metastore if it is not needed, or assign a workspace to it."),
        );
    }
    let vaults: BTreeMap<&str, Option<bool>> = facts
        .keys
        .values()
        .filter_map(|key| key.vault.as_ref())
        .map(|vault| (vault.name.as_str(), vault.logs))
        .collect();
    for (vault, logs) in vaults {
        if logs == Some(false) {
            drafts.add(
                Draft::of(
                    AuditId::VaultNotLogged,
                    AuditSubject::of(SubjectKind::Vault, vault),
                )
                .found(format!("No diagnostic setting of the vault {vault} sends the category AuditEvent anywhere."))
                .why("Azure records nowhere else who wrapped or unwrapped with a key, and when.")
                .remedy("Add a diagnostic setting with the category AuditEvent (`azurerm_monitor_diagnostic_setting`)."),
            );
        }
    }
    for key in &facts.unregistered {
        let whom = match key.accounts.as_slice() {
            [] => "every Databricks account".to_owned(),
            accounts => format!("the Databricks accounts {}", accounts.join(", ")),
        };
        drafts.add(
            Draft::of(
                AuditId::DatabricksLetInUnregistered,
                AuditSubject::of(SubjectKind::Key, &key.key),
            )
            .found(format!(
                "The policy of {} lets {whom} use it, and no key configuration of this account has it.",
                key.key
            ))
            .why("Access that nothing needs is access that nobody watches.")
            .remedy("Remove the statements for Databricks from its policy, or register the key as a key configuration."),
        );
    }
}

/// The places where tables lie.
fn locations(seen: &[SeenLocation], drafts: &mut Drafts) -> Vec<AuditedLocation> {
    for one in seen {
        // The storage key of a workspace encrypts what Databricks writes to its bucket, whatever the default of the bucket is.
        let is_of_tables = one.kind != LocationKind::WorkspaceBucket;
        if one.encrypted_by == EncryptedBy::ProviderKey && is_of_tables {
            drafts.add(
                Draft::of(
                    AuditId::LocationUncovered,
                    AuditSubject::of(SubjectKind::Location, &one.url),
                )
                .found(format!("The default encryption of {} is not by an own key. {}", one.url, one.note))
                .why("Tables are written with the default encryption of their storage. The keys of a workspace do not encrypt them.")
                .remedy("Set an own key as the default encryption there, and write the data again: objects keep the encryption with which they were written."),
            );
        }
    }
    let mut all: Vec<AuditedLocation> = seen
        .iter()
        .map(|one| AuditedLocation {
            url: one.url.clone(),
            kind: one.kind,
            metastore: one.metastore.clone(),
            encrypted_by: one.encrypted_by,
            key: one.key.as_deref().map(Name::from),
            note: one.note.clone(),
        })
        .collect();
    all.sort_by(|one, other| {
        let of = |one: &AuditedLocation| (one.url.clone(), one.kind, one.metastore.clone());
        of(one).cmp(&of(other))
    });
    all
}

#[cfg(test)]
pub(crate) mod tests;
