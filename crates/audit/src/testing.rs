//! Accounts for tests: one on each cloud, with problems that are planted.

use std::collections::BTreeMap;

use time::OffsetDateTime;
use time::macros::datetime;

use super::catalog::AuditId;
use super::facts::*;
use super::judge::{AuditRules, Judged, judge};
use super::others::{Reach, SeenOther};
use super::policy::AuditPolicy;
use super::report::{AuditFinding, AuditReport, EncryptedBy, LocationKind, OtherUser};
use super::subject::{AuditSubject, SubjectKind};
use super::{Baseline, Glob};
use preflight::{Finding, Id, LastUse, Subject};
use requirements::coverage::WorkspaceKeys;
use vocabulary::{Cloud, KeyState, UseCase};

pub(super) const NOW: OffsetDateTime = datetime!(2026-12-01 06:00:00 UTC);
pub(super) const ACCOUNT: &str = "2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11";
pub(super) const GOOD: &str =
    "arn:aws:kms:eu-central-1:111122223333:key/0000aaaa-0000-0000-0000-000000000001";
pub(super) const DYING: &str =
    "arn:aws:kms:eu-central-1:111122223333:key/0000aaaa-0000-0000-0000-000000000002";
pub(super) const OF_CATALOG: &str =
    "arn:aws:kms:eu-central-1:999988887777:key/0000aaaa-0000-0000-0000-000000000003";
pub(super) const FORGOTTEN: &str =
    "arn:aws:kms:eu-central-1:111122223333:key/0000aaaa-0000-0000-0000-000000000004";

pub(super) fn configuration(number: u8) -> String {
    format!("7d0b9f34-52c6-4e1b-8a90-0000000000{number:02}")
}

/// A workspace with a key for these use cases.
pub(super) fn workspace(
    id: u64,
    name: &str,
    cases: &[UseCase],
    key: &str,
    number: u8,
) -> SeenWorkspace {
    let has = |case| cases.contains(&case);
    let attached = cases.iter().map(|case| {
        let key = Attached::Key {
            configuration: Some(configuration(number)),
            key: key.to_owned(),
        };
        (*case, key)
    });
    SeenWorkspace {
        id: id.to_string(),
        name: name.to_owned(),
        region: Some("eu-central-1".to_owned()),
        status: "RUNNING".to_owned(),
        pricing_tier: Some("ENTERPRISE".to_owned()),
        tier_lacks_keys: false,
        cloud: Cloud::Aws,
        keys: WorkspaceKeys {
            managed_services: has(UseCase::ManagedServices),
            storage: has(UseCase::Storage),
            cluster_volumes: Some(has(UseCase::Storage)),
            ..WorkspaceKeys::classic()
        },
        attached: attached.collect(),
        findings: Vec::new(),
    }
}

/// A key with nothing to find.
pub(super) fn key(owner: &str) -> SeenKey {
    SeenKey {
        cloud: Cloud::Aws,
        location: Some("eu-central-1".to_owned()),
        owner: Some(owner.to_owned()),
        state: Some(KeyState::Enabled),
        losses: Vec::new(),
        rotates: Some(true),
        proof: Some(Vec::new()),
        last_use: LastUse::used(
            "2026-11-30T22:00:00Z".to_owned(),
            Some("Decrypt".to_owned()),
            Some("2026-05-01T00:00:00Z".to_owned()),
        ),
        last_used_by: None,
        others: Some(Vec::new()),
        vault: None,
    }
}

pub(super) fn seen_configuration(number: u8, key: &str) -> SeenConfiguration {
    SeenConfiguration {
        id: configuration(number),
        key: Some(key.to_owned()),
        use_cases: vec!["STORAGE".to_owned(), "MANAGED_SERVICES".to_owned()],
        created: Some(1_700_000_000_000 + i64::from(number)),
    }
}

/// An account in which everything is as it should be.
pub(super) fn good() -> AuditFacts {
    AuditFacts {
        time: NOW,
        cloud: Cloud::Aws,
        account_id: Some(ACCOUNT.to_owned()),
        identity: "audit@example.com".to_owned(),
        requests: BTreeMap::from([("databricks".to_owned(), 5), ("kms".to_owned(), 5)]),
        workspaces: Some(vec![
            workspace(1_234_567_890_123_456, "prod-eu", &UseCase::ACCOUNT, GOOD, 1),
            workspace(99, "prod-us", &UseCase::ACCOUNT, GOOD, 1),
        ]),
        configurations: Some(vec![seen_configuration(1, GOOD)]),
        keys: BTreeMap::from([(GOOD.to_owned(), key("111122223333"))]),
        catalogs: Vec::new(),
        has_all_catalogs: true,
        has_all_locations: true,
        locations: vec![SeenLocation {
            url: "s3://acme-lake/".to_owned(),
            kind: LocationKind::ExternalLocation,
            metastore: Some("m-1".to_owned()),
            encrypted_by: EncryptedBy::OwnKey,
            key: Some(GOOD.to_owned()),
            note: String::new(),
        }],
        unregistered: Vec::new(),
        hidden: Vec::new(),
        without_workspace: Vec::new(),
        unread: Vec::new(),
        notes: Vec::new(),
    }
}

pub(super) fn other(principal: &str, reach: Reach) -> SeenOther {
    SeenOther {
        user: OtherUser {
            principal: principal.to_owned(),
            rights: vec!["kms:Decrypt".to_owned()],
            by: "statement `Shared`".to_owned(),
        },
        reach,
    }
}

pub(super) fn unread(kind: SubjectKind, id: &str, part: Part, permission: Option<&str>) -> Unread {
    Unread {
        subject: AuditSubject::of(kind, id),
        part,
        why: "not allowed".to_owned(),
        permission: permission.map(str::to_owned),
    }
}

/// An account with a problem of nearly every kind.
pub(super) fn planted() -> AuditFacts {
    let mut facts = good();
    let all = facts.workspaces.get_or_insert_default();
    all.push(workspace(3, "half", &[UseCase::ManagedServices], DYING, 2));
    let mut standard = workspace(4, "standard", &[], GOOD, 1);
    standard.tier_lacks_keys = true;
    standard.pricing_tier = Some("PREMIUM".to_owned());
    all.push(standard);
    let mut unlisted = workspace(5, "unlisted", &UseCase::ACCOUNT, GOOD, 1);
    unlisted.attached.insert(
        UseCase::Storage,
        Attached::NotListed {
            configuration: configuration(9),
        },
    );
    all.push(unlisted);
    let mut odd = workspace(6, "odd", &UseCase::ACCOUNT, GOOD, 1);
    odd.keys.default_storage = None;
    odd.keys.storage = false;
    odd.attached.remove(&UseCase::Storage);
    all.push(odd);
    all.push(workspace(7, "sandbox-1", &[], GOOD, 1));
    facts.configurations.get_or_insert_default().extend([
        seen_configuration(2, DYING),
        seen_configuration(3, GOOD),
        SeenConfiguration {
            id: configuration(4),
            key: None,
            use_cases: vec!["STORAGE".to_owned()],
            created: None,
        },
    ]);
    facts.catalogs.push(SeenCatalog {
        metastore: "m-1".to_owned(),
        name: "finance".to_owned(),
        configuration: None,
        key: Some(OF_CATALOG.to_owned()),
    });
    let mut dying = key("111122223333");
    dying.state = Some(KeyState::PendingDeletion);
    dying.losses.push(Loss {
        at: datetime!(2026-12-09 10:00:00 UTC),
        how: LossKind::Deleted,
        version: None,
    });
    dying.rotates = Some(false);
    let no_rotation = Id::KmsKeyNoRotation.warning(Subject::Key);
    dying.proof = Some(vec![
        Id::KmsKeyPendingDeletion
            .error(Subject::Key)
            .found("KMS deletes it on 2026-12-09.")
            .why("Everything is lost.")
            .remedy("aws kms cancel-key-deletion"),
        no_rotation.found("Its material is not rotated."),
    ]);
    dying.last_use = LastUse::unused("2026-05-01T00:00:00Z".to_owned(), true);
    dying.others = Some(vec![
        other(
            "arn:aws:iam::444455556666:root",
            Reach::Elsewhere("444455556666".to_owned()),
        ),
        other("*", Reach::Everybody),
        other("arn:aws:iam::111122223333:role/Admin", Reach::Own),
    ]);
    let mut of_catalog = key("999988887777");
    of_catalog.proof = None;
    of_catalog.rotates = Some(false);
    of_catalog.losses.push(Loss {
        at: datetime!(2027-01-15 00:00:00 UTC),
        how: LossKind::Expires,
        version: None,
    });
    of_catalog.others = None;
    facts.keys.insert(DYING.to_owned(), dying);
    facts.keys.insert(OF_CATALOG.to_owned(), of_catalog);
    facts.locations.push(SeenLocation {
        url: "s3://acme-raw/".to_owned(),
        kind: LocationKind::ExternalLocation,
        metastore: Some("m-1".to_owned()),
        encrypted_by: EncryptedBy::ProviderKey,
        key: None,
        note: "SSE-S3.".to_owned(),
    });
    facts.unregistered.push(Unregistered {
        key: FORGOTTEN.to_owned(),
        accounts: vec![ACCOUNT.to_owned()],
    });
    facts.without_workspace.push("m-2".to_owned());
    facts.unread.push(unread(
        SubjectKind::Key,
        OF_CATALOG,
        Part::Policy,
        Some("kms:GetKeyPolicy"),
    ));
    facts.has_all_catalogs = false;
    facts
}

/// The policy file that goes with it.
pub(super) const POLICY: &str = r#"
scope {
  exclude = ["sandbox-*", "gone-*"]
}
require {
  key_accounts = ["111122223333"]
}
exception "workspace-data-uncovered" {
  subject = "workspace/4"
  reason  = "is deleted in January"
  owner   = "platform@example.com"
  expires = "2027-01-31"
}
exception "location-uncovered" {
  subject = "location/s3://acme-raw/*"
  reason  = "moves this year"
  owner   = "data@example.com"
  expires = "2026-11-30"
}
exception "key-elsewhere" {
  subject = "key/nowhere"
  reason  = "was agreed"
  owner   = "security@example.com"
  expires = "2027-06-30"
}
"#;

pub(super) fn policy(text: &str) -> AuditPolicy {
    AuditPolicy::parse(text, NOW.date()).expect("a policy")
}

pub(super) fn judged_by(
    facts: AuditFacts,
    policy: &AuditPolicy,
    baseline: Option<&AuditReport>,
) -> Judged {
    let baseline = baseline.map(reread);
    let rules = AuditRules {
        policy,
        only: Vec::<Glob>::new(),
        trusted: ["444455556666".to_owned()].into(),
        words: &|_| None,
    };
    judge(facts, &rules, baseline.as_ref())
}

/// A report as a baseline, by way of its JSON.
pub(super) fn reread(report: &AuditReport) -> Baseline {
    let text = serde_json::to_vec(report).expect("JSON");
    Baseline::read(text.as_slice()).expect("a baseline")
}

pub(super) fn report(facts: AuditFacts) -> AuditReport {
    judged_by(facts, &AuditPolicy::default(), None).report
}

pub(super) fn find<'a>(report: &'a AuditReport, id: AuditId, subject: &str) -> &'a AuditFinding {
    let uid = format!("{id}/{subject}");
    let uids: Vec<&str> = report.findings.iter().map(|one| one.uid.as_str()).collect();
    let found = report.findings.iter().find(|one| one.uid == uid);
    found.unwrap_or_else(|| panic!("{uid} in {uids:#?}"))
}

pub(super) fn finding(id: Id) -> Finding {
    id.error(Subject::Key).found("It is so.")
}
