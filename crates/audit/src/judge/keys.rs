//! Keys: their state, what the proof says, until when they can be saved, who else may use them, and what uses them.

use std::collections::{BTreeMap, BTreeSet};

use time::{Duration, OffsetDateTime};

use super::draft::{Draft, Drafts};
use super::unread::part;
use super::{AuditRules, bullets, rfc3339};
use crate::catalog::AuditId;
use crate::facts::{Attached, AuditFacts, Loss, LossKind, Part, SeenKey, Unread};
use crate::report::{AuditedKey, Gravity, KeyUsers, LastUsed, NOT_KNOWN, Name, Proof, Rotates};
use crate::subject::{AuditSubject, SubjectKind};
use preflight::{Finding, LastUse, Severity, Standing, Subject};
use vocabulary::{Cloud, EncryptedBy, Key, KeyState};

/// Findings of the proof that say that a key is lost or will be.
const OF_DANGER: [&str; 13] = [
    "kms-key-disabled",
    "kms-key-pending-deletion",
    "kms-key-not-found",
    "kms-key-state",
    "kms-key-expires",
    "gcp-key-primary",
    "gcp-key-versions",
    "azure-key-not-found",
    "azure-key-deleted",
    "azure-key-disabled",
    "azure-key-expired",
    "azure-vault-not-found",
    "azure-former-version",
];

/// Findings of the proof that say that a key is not rotated.
const OF_ROTATION: [&str; 2] = ["kms-key-no-rotation", "gcp-key-no-rotation"];

/// How many users of a key one finding names.
const MOST: usize = 20;

/// The workspaces that have each key: ID and words.
fn users(facts: &AuditFacts) -> BTreeMap<&str, BTreeMap<&str, String>> {
    let mut users: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
    for workspace in facts.workspaces.iter().flatten() {
        for attached in workspace.attached.values() {
            if let Attached::Key { key, .. } = attached {
                let words = || format!("{} (\"{}\")", workspace.id, workspace.name);
                let of_key = users.entry(key).or_default();
                of_key.entry(&workspace.id).or_insert_with(words);
            }
        }
    }
    users
}

/// The keys of the report. What the proof could not read is added to what was not read.
pub(super) fn judged(
    facts: &AuditFacts,
    rules: &AuditRules<'_>,
    drafts: &mut Drafts,
    unread: &mut Vec<Unread>,
) -> Vec<AuditedKey> {
    let users = users(facts);
    let none = BTreeMap::new();
    let mut lines = Vec::new();
    for (name, seen) in &facts.keys {
        let users = users.get(name.as_str()).unwrap_or(&none);
        let subject = AuditSubject::of(SubjectKind::Key, name);
        let until = until(seen, facts.time, rules.policy.require.expiry_notice_days);
        let proof = proven(seen, &subject, rules, drafts, unread);
        let used_by = used_by(facts, name, users);
        danger(name, seen, (until, &used_by), drafts);
        rotation(name, seen, rules, drafts);
        place(name, seen, &rules.policy.require.key_accounts, drafts);
        others(name, seen, &rules.trusted, drafts);
        never_used(name, seen, users, drafts);
        lines.push(AuditedKey {
            key: Name::from(name.as_str()),
            cloud: seen.cloud.as_str().to_owned(),
            location: seen.location.clone(),
            owner: seen.owner.clone(),
            state: match &seen.state {
                Some(state) => state.to_string(),
                None => NOT_KNOWN.to_owned(),
            },
            until: until.map(rfc3339),
            rotation: match seen.rotates {
                Some(true) => Rotates::On,
                Some(false) => Rotates::Off,
                None => Rotates::NotKnown,
            },
            proof,
            last_used: last_used(&seen.last_use, seen.last_used_by.as_deref()),
            others: seen.others.as_ref().map(|all| {
                let mut all: Vec<_> = all.iter().map(|one| one.user.clone()).collect();
                all.sort();
                all.dedup();
                all
            }),
            used_by,
        });
    }
    lines
}

/// Whether a key that a place names is this one. On Azure, a place may name a version of it.
fn is_key(own: &str, name: &str) -> bool {
    match (own.parse(), name.parse()) {
        (Ok(Key::Azure(own)), Ok(Key::Azure(name))) => own.is_same_key(&name),
        _ => own == name,
    }
}

fn used_by(facts: &AuditFacts, name: &str, users: &BTreeMap<&str, String>) -> KeyUsers {
    let has = |own: Option<&String>| own.is_some_and(|own| own == name);
    let of_key: Vec<&str> = facts
        .configurations
        .iter()
        .flatten()
        .filter(|one| has(one.key.as_ref()))
        .map(|one| one.id.as_str())
        .collect();
    let mut configurations: Vec<String> = of_key.iter().map(|id| (*id).to_owned()).collect();
    configurations.sort();
    let by_configuration =
        |own: Option<&String>| own.is_some_and(|id| of_key.contains(&id.as_str()));
    let mut catalogs: Vec<String> = facts
        .catalogs
        .iter()
        .filter(|one| has(one.key.as_ref()) || by_configuration(one.configuration.as_ref()))
        .map(|one| format!("{}/{}", one.metastore, one.name))
        .collect();
    catalogs.sort();
    catalogs.dedup();
    let mut workspaces: Vec<Name> = users.keys().map(|id| Name::from(*id)).collect();
    workspaces.sort_by_key(|id| (id.as_str().len(), id.clone()));
    let mut locations: Vec<String> = facts
        .locations
        .iter()
        .filter(|one| one.encrypted_by == EncryptedBy::OwnKey)
        .filter(|one| one.key.as_ref().is_some_and(|own| is_key(own, name)))
        .map(|one| one.url.clone())
        .collect();
    locations.sort();
    locations.dedup();
    KeyUsers {
        workspaces,
        locations: (facts.has_all_locations || !locations.is_empty()).then_some(locations),
        // A catalog that the audit did not read may have the key as well; the report shows those
        // that it found all the same.
        catalogs: (facts.has_all_catalogs || !catalogs.is_empty()).then_some(catalogs),
        configurations,
    }
}

/// The last use as the report has it; none where nothing is known.
fn last_used(last: &LastUse, by: Option<&str>) -> Option<LastUsed> {
    let protected = || {
        let count = last.protected_resources.unwrap_or_default();
        format!("{count} protected resources")
    };
    let by = match last.standing {
        Standing::NotKnown => return None,
        Standing::ProtectsResources => Some(protected()),
        Standing::Used => by.map(str::to_owned),
        Standing::NeverUsed | Standing::NotSinceTracked => None,
    };
    Some(LastUsed {
        at: last.at.clone(),
        operation: last.operation.clone(),
        by,
        tracked_since: last.tracked_since.clone(),
    })
}

/// When the danger becomes final. An expiry is a danger when it is near; a deletion always is.
fn until(seen: &SeenKey, now: OffsetDateTime, notice: i64) -> Option<OffsetDateTime> {
    let near = now.saturating_add(Duration::days(notice));
    let counting = seen.losses.iter().filter(|loss| match loss.how {
        LossKind::Deleted => true,
        LossKind::Expires => loss.at <= near,
    });
    counting.map(|loss| loss.at).min()
}

/// What the proof says, with its findings under their own IDs. What it could not read is not read, and no finding.
fn proven(
    seen: &SeenKey,
    subject: &AuditSubject,
    rules: &AuditRules<'_>,
    drafts: &mut Drafts,
    unread: &mut Vec<Unread>,
) -> Proof {
    let Some(findings) = &seen.proof else {
        return Proof::NotKnown;
    };
    let is_unread = |one: &&Finding| part(one.id).is_some();
    for one in findings.iter().filter(is_unread) {
        unread.extend(part(one.id).map(|part| Unread {
            subject: subject.clone(),
            part,
            why: one.found.clone(),
            permission: None,
        }));
    }
    // What is about a workspace is judged with the workspace.
    let is_of_key = |one: &&Finding| one.subject != Subject::Workspace;
    let judged = || {
        let known = findings.iter().filter(|one| !is_unread(one));
        known.filter(is_of_key)
    };
    for one in judged() {
        let draft = Draft::of_proof(one, subject.clone());
        let draft = match (
            OF_ROTATION.contains(&one.id.name()),
            rules.policy.require.rotation,
        ) {
            (true, Some(true)) => draft.weighing(Gravity::Error),
            (true, Some(false)) => draft.weighing(Gravity::Note),
            _ => draft,
        };
        drafts.add(draft);
    }
    let errors = |one: &&Finding| one.severity == Severity::Error;
    if judged().any(|one| errors(&one)) {
        return Proof::NotReady;
    }
    // Deny policies are rare, and what stands above a key is not for everybody to read: without them a proof is as good as at plan.
    let leaves_open = |one: &Finding| part(one.id).is_some_and(|part| part != Part::Deny);
    match findings.iter().any(leaves_open) {
        true => Proof::NotKnown,
        false => Proof::Ready,
    }
}

/// A key that is lost or will be, where the proof has not said it: of a key that only a catalog has there is no proof.
fn danger(
    name: &str,
    seen: &SeenKey,
    (until, used_by): (Option<OffsetDateTime>, &KeyUsers),
    drafts: &mut Drafts,
) {
    let subject = AuditSubject::of(SubjectKind::Key, name);
    let is_off = seen
        .state
        .as_ref()
        .is_some_and(|state| *state != KeyState::Enabled);
    if (!is_off && until.is_none()) || drafts.has_any(&OF_DANGER, &subject) {
        return;
    }
    let is_deleted = |loss: &&Loss| loss.how == LossKind::Deleted && loss.version.is_none();
    let is_final = is_off || seen.losses.iter().any(|loss| is_deleted(&loss));
    let mut lines: Vec<String> = Vec::new();
    if let (Some(state), true) = (&seen.state, is_off) {
        lines.push(format!("Its state is {state}."));
    }
    for loss in seen
        .losses
        .iter()
        .filter(|loss| until.is_some_and(|until| loss.at >= until))
    {
        let what = match &loss.version {
            Some(version) => format!("Its version {version}"),
            None => "The key".to_owned(),
        };
        let how = match loss.how {
            LossKind::Deleted => "is deleted",
            LossKind::Expires => "expires",
        };
        lines.push(format!("{what} {how} on {}.", rfc3339(loss.at)));
    }
    lines.extend(what_stops(used_by));
    drafts.add(
        Draft::of(AuditId::KeyInDanger, subject)
            .weighing(match is_final {
                true => Gravity::Error,
                false => Gravity::Warning,
            })
            .found(format!("{name} is in danger:{}", bullets(&lines, MOST)))
            .why("Data that is encrypted with the key cannot be read without it. After the date, nobody can bring it back.")
            .remedy(format!(
                "See what uses the key and how it comes back: `dbxcmk key status {name}`. Renew or extend what expires."
            )),
    );
}

/// What is lost with a key, a line each.
fn what_stops(used_by: &KeyUsers) -> Vec<String> {
    let catalogs = used_by.catalogs.iter().flatten();
    let catalogs = catalogs.map(|one| format!("The catalog {one} has it."));
    let places = used_by.locations.iter().flatten();
    let places = places.map(|one| format!("Tables lie under it: {one}."));
    let workspaces = match used_by.workspaces.as_slice() {
        [] => None,
        all => Some(format!(
            "These workspaces have it: {}.",
            all.iter().map(Name::as_str).collect::<Vec<_>>().join(", ")
        )),
    };
    workspaces
        .into_iter()
        .chain(catalogs)
        .chain(places)
        .collect()
}

/// A key that is not rotated, where the proof has not said it.
fn rotation(name: &str, seen: &SeenKey, rules: &AuditRules<'_>, drafts: &mut Drafts) {
    let subject = AuditSubject::of(SubjectKind::Key, name);
    if seen.rotates != Some(false) || drafts.has_any(&OF_ROTATION, &subject) {
        return;
    }
    drafts.add(
        Draft::of(AuditId::KeyNotRotated, subject)
            .weighing(match rules.policy.require.rotation {
                Some(true) => Gravity::Error,
                Some(false) => Gravity::Note,
                None => AuditId::KeyNotRotated.gravity(),
            })
            .found(format!("{name} is not rotated automatically."))
            .why("The longer one key encrypts everything, the more is lost with it.")
            .remedy(how_to_rotate(name)),
    );
}

/// How automatic rotation is turned on. Sources: the references of the AWS CLI, of gcloud and of the Azure CLI.
fn how_to_rotate(name: &str) -> String {
    let command = match name.parse::<Key>() {
        Ok(Key::Aws(key)) => format!(
            "aws kms enable-key-rotation --key-id {key} --region {}",
            key.region()
        ),
        Ok(Key::Gcp(key)) => {
            format!("gcloud kms keys update {key} --rotation-period 90d --next-rotation-time …")
        }
        Ok(Key::Azure(key)) => {
            format!("az keyvault key rotation-policy update --id {key} --value policy.json")
        }
        Err(_) => return "Turn automatic rotation on.".to_owned(),
    };
    format!("Turn automatic rotation on: `{command}`.")
}

/// Where keys may lie.
fn place(name: &str, seen: &SeenKey, allowed: &[String], drafts: &mut Drafts) {
    let is_allowed = |owner: &String| allowed.iter().any(|one| one.eq_ignore_ascii_case(owner));
    if allowed.is_empty() || seen.owner.as_ref().is_some_and(is_allowed) {
        return;
    }
    let place = match (&seen.owner, &seen.cloud) {
        (Some(owner), Cloud::Gcp) => format!("lies in the project {owner}"),
        (Some(owner), Cloud::Azure) => format!("lies in the subscription {owner}"),
        (Some(owner), _) => format!("lies in the account {owner}"),
        (None, _) => "lies in a place that is not known".to_owned(),
    };
    drafts.add(
        Draft::of(AuditId::KeyElsewhere, AuditSubject::of(SubjectKind::Key, name))
            .found(format!(
                "{name} {place}. The policy file allows these: {}.",
                allowed.join(", ")
            ))
            .why("Who owns the place can delete the key, and change who may use it.")
            .remedy("Move the workspaces to a key in an allowed place, or add this place to `key_accounts`."),
    );
}

/// Who else may use it.
fn others(name: &str, seen: &SeenKey, trusted: &BTreeSet<String>, drafts: &mut Drafts) {
    let found = seen.others.iter().flatten();
    let grave: Vec<_> = found
        .filter_map(|one| Some((one, one.gravity(trusted)?)))
        .collect();
    let Some(gravity) = grave.iter().map(|(_, gravity)| *gravity).max() else {
        return;
    };
    let mut lines: Vec<String> = grave
        .iter()
        .map(|(one, _)| {
            format!(
                "{} ({}), by {}",
                one.user.principal,
                one.user.rights.join(", "),
                one.user.by
            )
        })
        .collect();
    lines.sort();
    lines.dedup();
    drafts.add(
        Draft::of(AuditId::KeyOpenToOthers, AuditSubject::of(SubjectKind::Key, name))
            .weighing(gravity)
            .found(format!(
                "Beside Databricks and the owner of {name}, these may use it:{}",
                bullets(&lines, MOST)
            ))
            .why("Who may decrypt with the key, and gets a copy of the data, can read it.")
            .remedy("Remove the access. If it is meant, name the account, project or tenant with `--trusted`."),
    );
}

/// A key that workspaces have and that was never used, as the record of its last use says it.
fn never_used(name: &str, seen: &SeenKey, users: &BTreeMap<&str, String>, drafts: &mut Drafts) {
    let Ok(key) = name.parse::<Key>() else {
        return;
    };
    let mut named: Vec<String> = users.values().take(MOST).cloned().collect();
    if users.len() > MOST {
        named.push(format!("… and {} more", users.len() - MOST));
    }
    if let Some(finding) = seen.last_use.finding(&key, &named) {
        let subject = AuditSubject::of(SubjectKind::Key, name);
        drafts.add(Draft::of_proof(&finding, subject).named(AuditId::KeyNeverUsed));
    }
}
