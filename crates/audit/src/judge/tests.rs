//! Tests of the judge: what is planted is found, and nothing is invented.

use std::collections::BTreeSet;

use super::*;
use crate::facts::{Attached, HiddenSubscription, Loss, LossKind, SeenCatalog, SeenConfiguration};
use crate::others::{Reach, SeenOther};
use crate::report::{Gravity, Proof, Used};
use crate::testing::*;
use crate::{AuditReport, EncryptedBy, FailOn, exit_code};
use preflight::{Finding, Id, Subject};
use requirements::coverage::Covered;
use time::macros::datetime;
use vocabulary::{Cloud, KeyState, UseCase};

fn ids(report: &AuditReport) -> Vec<&str> {
    report.findings.iter().map(|one| one.id.as_str()).collect()
}

#[test]
fn a_good_account_has_no_finding() {
    let report = report(good());
    assert_eq!(report.findings, []);
    let counts = report.counts;
    assert_eq!((counts.judged, counts.covered), (2, 2));
    assert_eq!((counts.keys, counts.keys_in_danger), (1, 0));
    assert!(report.run.complete);
    assert_eq!(exit_code(&report, FailOn::Warning), 0);
    let ids: Vec<&str> = report
        .workspaces
        .iter()
        .map(|one| one.id.as_str())
        .collect();
    assert_eq!(ids, ["99", "1234567890123456"], "numbers in their order");
    let users = &report.keys[0].used_by;
    assert_eq!(
        (users.workspaces.len(), users.catalogs.as_deref()),
        (2, Some(&[][..]))
    );
}

/// A key that encrypts tables and nothing else is used: the report says by what, and what is lost with it.
#[test]
fn the_tables_under_a_key_are_lost_with_it() {
    let name = OF_CATALOG;
    let mut facts = good();
    let mut key = facts.keys.values().next().unwrap().clone();
    key.state = Some(KeyState::Disabled);
    key.proof = None;
    facts.keys.insert(name.to_owned(), key);
    let place = &mut facts.locations[0];
    (place.encrypted_by, place.key) = (EncryptedBy::OwnKey, Some(name.to_owned()));
    let url = place.url.clone();
    let report = report(facts.clone());
    let used = |report: &AuditReport| {
        let key = report.keys.iter().find(|one| one.key.as_str() == name);
        key.unwrap().used_by.locations.clone()
    };
    assert_eq!(used(&report), Some(vec![url.clone()]));
    let found = report.findings.iter().find(|one| one.id == "key-in-danger");
    let found = &found.unwrap().found;
    assert!(
        found.contains(&format!("Tables lie under it: {url}.")),
        "{found}"
    );
    // Where not all places were seen, none that was seen does not mean that there is none.
    facts.locations.clear();
    assert_eq!(used(&super::tests::report(facts.clone())), Some(Vec::new()));
    facts.has_all_locations = false;
    assert_eq!(used(&super::tests::report(facts)), None);
}

#[test]
fn what_is_planted_is_found() {
    let report = judged_by(planted(), &policy(POLICY), None).report;
    let found: BTreeSet<(&str, &str, Gravity)> = report
        .findings
        .iter()
        .map(|one| (one.id.as_str(), one.subject.as_str(), one.severity))
        .collect();
    let (dying, of_catalog) = (format!("key/{DYING}"), format!("key/{OF_CATALOG}"));
    let forgotten = format!("key/{FORGOTTEN}");
    let twin = format!("configuration/{}", configuration(3));
    let account = format!("account/{ACCOUNT}");
    use Gravity::{Error, Note, Warning};
    let expected = BTreeSet::from([
        ("workspace-data-uncovered", "workspace/3", Error),
        ("workspace-data-uncovered", "workspace/4", Error),
        ("workspace-data-uncovered", "workspace/5", Error),
        ("key-configuration-not-found", "workspace/5", Error),
        ("workspace-data-uncovered", "workspace/6", Error),
        ("kms-key-pending-deletion", dying.as_str(), Error),
        ("kms-key-no-rotation", &dying, Warning),
        ("key-open-to-others", &dying, Error),
        ("key-never-used", &dying, Warning),
        ("key-in-danger", &of_catalog, Warning),
        ("key-elsewhere", &of_catalog, Warning),
        ("key-not-rotated", &of_catalog, Warning),
        ("location-uncovered", "location/s3://acme-raw/", Warning),
        ("databricks-let-in-unregistered", &forgotten, Warning),
        ("configuration-twin", &twin, Note),
        ("metastore-without-workspace", "metastore/m-2", Note),
        ("scope-matches-nothing", &account, Warning),
        (
            "exception-expired",
            "exception/location-uncovered/location/s3://acme-raw/*",
            Warning,
        ),
        (
            "exception-unused",
            "exception/key-elsewhere/key/nowhere",
            Note,
        ),
    ]);
    assert_eq!(found, expected);
    let counts = report.counts;
    assert_eq!(
        counts.covered + counts.uncovered + counts.not_known,
        counts.judged
    );
    assert_eq!(
        (counts.workspaces, counts.judged, counts.uncovered),
        (7, 6, 4)
    );
    assert_eq!(
        (counts.keys, counts.keys_in_danger, counts.not_read),
        (3, 2, 1)
    );
    let excepted: Vec<&str> = report.excepted().map(|(one, _)| one.uid.as_str()).collect();
    assert_eq!(excepted, ["workspace-data-uncovered/workspace/4"]);
    let tier = find(&report, AuditId::WorkspaceDataUncovered, "workspace/4");
    assert!(
        tier.found.contains("tier PREMIUM does not include"),
        "{}",
        tier.found
    );
    let open = find(&report, AuditId::KeyOpenToOthers, &dying);
    // The report lists trusted principals and those of the owner with the key; they are not a
    // finding.
    assert!(open.found.contains("- * (kms:Decrypt)"), "{}", open.found);
    assert!(!open.found.contains("444455556666"), "{}", open.found);
    let key = report
        .keys
        .iter()
        .find(|one| one.key.as_str() == DYING)
        .expect("the key");
    assert_eq!(key.others.as_ref().map(Vec::len), Some(3));
    assert_eq!(key.until.as_deref(), Some("2026-12-09T10:00:00Z"));
    assert_eq!(key.proof, Proof::NotReady);
}

/// The gravest first, and the same bytes from facts in any order.
#[test]
fn the_order_of_the_facts_does_not_show() {
    let policy = policy(POLICY);
    let one = judged_by(planted(), &policy, None).report;
    let mut facts = planted();
    facts.workspaces.iter_mut().for_each(|all| all.reverse());
    facts
        .configurations
        .iter_mut()
        .for_each(|all| all.reverse());
    facts.locations.reverse();
    facts.unread.reverse();
    facts.catalogs.reverse();
    let other = judged_by(facts, &policy, None).report;
    let json = |report: &AuditReport| serde_json::to_string(report).expect("JSON");
    assert_eq!(json(&one), json(&other));
    let gravities: Vec<Gravity> = one.findings.iter().map(|one| one.severity).collect();
    assert!(gravities.is_sorted_by(|one, other| one >= other));
}

/// Each row: what is attached for storage, and what the rows of storage say of a workspace that shows a storage key.
#[test]
fn what_is_attached_is_covered_only_if_the_account_shows_it() {
    let configuration = || configuration(1);
    for (attached, covered, id) in [
        (
            Attached::Key {
                configuration: Some(configuration()),
                key: GOOD.to_owned(),
            },
            Covered::Yes,
            None,
        ),
        (
            Attached::NotListed {
                configuration: configuration(),
            },
            Covered::No,
            Some("key-configuration-not-found"),
        ),
        (
            Attached::NotRead {
                configuration: configuration(),
            },
            Covered::NotKnown,
            None,
        ),
        (
            Attached::KeyUnreadable {
                configuration: configuration(),
            },
            Covered::NotKnown,
            Some("key-configuration-unreadable"),
        ),
        (
            Attached::Unreadable("x".to_owned()),
            Covered::NotKnown,
            Some("workspace-key-unreadable"),
        ),
    ] {
        let mut facts = good();
        let mut one = workspace(1, "one", &UseCase::ACCOUNT, GOOD, 1);
        one.attached.insert(UseCase::Storage, attached.clone());
        facts.workspaces = Some(vec![one]);
        let report = report(facts);
        let rows = &report.workspaces[0].data;
        let root = rows
            .iter()
            .find(|row| row.kind == "DBFS root")
            .expect("a row");
        assert_eq!(root.covered, covered, "{attached:?}");
        let has_error = |id: &str| report.counting(Gravity::Error).any(|one| one.id == id);
        assert!(id.is_none_or(has_error), "{attached:?}");
        let notebooks = rows
            .iter()
            .find(|row| row.kind == "notebooks")
            .expect("a row");
        assert_eq!(notebooks.covered, Covered::Yes);
        let counts = report.counts;
        let expected = match covered {
            Covered::Yes => (1, 0, 0),
            Covered::No => (0, 1, 0),
            _ => (0, 0, 1),
        };
        assert_eq!(
            (counts.covered, counts.uncovered, counts.not_known),
            expected,
            "{attached:?}"
        );
    }
}

#[test]
fn cluster_volumes_count_unless_they_are_left_out() {
    let facts = || {
        let mut facts = good();
        let mut one = workspace(1, "one", &UseCase::ACCOUNT, GOOD, 1);
        one.keys.cluster_volumes = Some(false);
        facts.workspaces = Some(vec![one]);
        facts
    };
    assert_eq!(report(facts()).counts.uncovered, 1);
    let without = policy("require {\n  cluster_volumes = false\n}");
    assert_eq!(judged_by(facts(), &without, None).report.counts.covered, 1);
    let managed = policy("require {\n  use_cases = [\"MANAGED_SERVICES\"]\n}");
    assert_eq!(judged_by(facts(), &managed, None).report.counts.covered, 1);
}

#[test]
fn a_cloud_that_is_not_known_covers_nothing() {
    let mut facts = good();
    let mut one = workspace(1, "one", &UseCase::ACCOUNT, GOOD, 1);
    one.cloud = Cloud::Other("moon".to_owned());
    facts.workspaces = Some(vec![one]);
    let report = report(facts);
    assert_eq!(report.counts.not_known, 1);
    assert_eq!(ids(&report), ["workspace-data-unknown"]);
    assert!(
        report.workspaces[0]
            .data
            .iter()
            .all(|row| row.covered == Covered::NotKnown)
    );
}

/// Each row: what was not read, and whether an unused configuration is called so.
#[test]
fn a_configuration_is_unused_only_if_everything_was_read() {
    type Change = fn(&mut AuditFacts);
    let rows: [(Change, Used); 5] = [
        (|_| {}, Used::No),
        (|facts| facts.has_all_catalogs = false, Used::NotKnown),
        (|facts| facts.workspaces = None, Used::NotKnown),
        (
            |facts| {
                let all = facts.workspaces.get_or_insert_default();
                let odd = Attached::Unreadable("x".to_owned());
                all[0].attached.insert(UseCase::Storage, odd);
            },
            Used::NotKnown,
        ),
        (
            |facts| {
                facts.catalogs.push(SeenCatalog {
                    metastore: "m-1".to_owned(),
                    name: "main".to_owned(),
                    configuration: Some(configuration(2)),
                    key: None,
                });
                facts.has_all_catalogs = false;
            },
            Used::Yes,
        ),
    ];
    for (change, used) in rows {
        let mut facts = good();
        let other = SeenConfiguration {
            use_cases: vec!["STORAGE".to_owned()],
            ..seen_configuration(2, GOOD)
        };
        facts.configurations.get_or_insert_default().push(other);
        change(&mut facts);
        let report = report(facts);
        let line = report
            .configurations
            .iter()
            .find(|one| one.id == configuration(2))
            .expect("the configuration");
        assert_eq!(line.used, used);
        let is_said = report
            .findings
            .iter()
            .any(|one| one.id == "configuration-unused" && one.subject.id() == configuration(2));
        assert_eq!(is_said, used == Used::No);
    }
}

/// Each row: a key, whether it is in danger, until when, and how grave that is where there is no proof.
#[test]
fn a_key_is_in_danger_by_its_state_and_its_dates() {
    let loss = |at, how, version: Option<&str>| Loss {
        at,
        how,
        version: version.map(str::to_owned),
    };
    let soon = datetime!(2027-02-01 00:00:00 UTC);
    let late = datetime!(2028-02-01 00:00:00 UTC);
    let enabled = || Some(KeyState::Enabled);
    let rows = [
        (enabled(), vec![], false, None, None),
        (None, vec![], false, None, None),
        (
            Some(KeyState::Disabled),
            vec![],
            true,
            None,
            Some(Gravity::Error),
        ),
        (
            Some(KeyState::Other("NotFound".to_owned())),
            vec![],
            true,
            None,
            Some(Gravity::Error),
        ),
        (
            enabled(),
            vec![
                loss(late, LossKind::Deleted, None),
                loss(soon, LossKind::Deleted, Some("1")),
            ],
            true,
            Some("2027-02-01T00:00:00Z"),
            Some(Gravity::Error),
        ),
        (
            enabled(),
            vec![loss(late, LossKind::Deleted, Some("1"))],
            true,
            Some("2028-02-01T00:00:00Z"),
            Some(Gravity::Warning),
        ),
        (
            enabled(),
            vec![loss(soon, LossKind::Expires, None)],
            true,
            Some("2027-02-01T00:00:00Z"),
            Some(Gravity::Warning),
        ),
        (
            enabled(),
            vec![loss(late, LossKind::Expires, None)],
            false,
            None,
            None,
        ),
    ];
    for (state, losses, is_in_danger, until, gravity) in rows {
        let mut facts = good();
        let one = facts.keys.get_mut(GOOD).expect("the key");
        let words = format!("{state:?} {losses:?}");
        (one.state, one.losses, one.proof) = (state, losses, None);
        let report = report(facts);
        let line = &report.keys[0];
        assert_eq!(line.is_in_danger(), is_in_danger, "{words}");
        assert_eq!(line.until.as_deref(), until, "{words}");
        let found = report.findings.iter().find(|one| one.id == "key-in-danger");
        assert_eq!(found.map(|one| one.severity), gravity, "{words}");
    }
}

/// Each row: the findings of the proof, the name of the key, and what the audit makes of them.
#[test]
fn what_the_proof_could_not_read_is_not_read() {
    let of = |id: Id, is_error: bool| match is_error {
        true => finding(id),
        false => id.warning(Subject::Key).found("It is so."),
    };
    let rows: [(Vec<Finding>, Proof, usize, usize); 6] = [
        (vec![], Proof::Ready, 0, 0),
        (
            vec![of(Id::PolicyMissingAction, true)],
            Proof::NotReady,
            1,
            0,
        ),
        (vec![of(Id::KmsKeyReplica, false)], Proof::Ready, 1, 0),
        (vec![of(Id::PolicyUnreadable, true)], Proof::NotKnown, 0, 1),
        (
            vec![of(Id::PolicyUnreadable, true), of(Id::KmsKeyDisabled, true)],
            Proof::NotReady,
            1,
            1,
        ),
        // What is about the workspace is judged with it.
        (
            vec![Id::WorkspaceTier.error(Subject::Workspace)],
            Proof::Ready,
            0,
            0,
        ),
    ];
    for (findings, proof, found, not_read) in rows {
        let mut facts = good();
        let words = format!("{findings:?}");
        facts.keys.get_mut(GOOD).expect("the key").proof = Some(findings);
        let report = report(facts);
        assert_eq!(report.keys[0].proof, proof, "{words}");
        assert_eq!(report.findings.len(), found, "{words}");
        assert_eq!(report.not_read.len(), not_read, "{words}");
        assert_eq!(report.run.complete, not_read == 0);
        if found == 0 && not_read > 0 {
            assert_eq!(exit_code(&report, FailOn::Warning), 3);
        }
    }
}

/// Each row: who, whether trusted, and how grave.
#[test]
fn who_else_may_use_a_key_is_as_grave_as_they_are_far() {
    let elsewhere = |id: &str| Reach::Elsewhere(id.to_owned());
    for (reach, gravity) in [
        (Reach::Own, None),
        (Reach::People, None),
        (elsewhere("1"), Some(Gravity::Warning)),
        (elsewhere("444455556666"), None),
        (Reach::Everybody, Some(Gravity::Error)),
    ] {
        let trusted = ["444455556666".to_owned()].into();
        let one: SeenOther = other("somebody", reach.clone());
        assert_eq!(one.gravity(&trusted), gravity, "{reach:?}");
        let mut facts = good();
        facts.keys.get_mut(GOOD).expect("the key").others = Some(vec![one]);
        let report = judged_by(facts, &AuditPolicy::default(), None).report;
        let found = report
            .findings
            .iter()
            .find(|one| one.id == "key-open-to-others");
        assert_eq!(found.map(|one| one.severity), gravity, "{reach:?}");
    }
}

#[test]
fn rotation_weighs_what_the_policy_file_says() {
    for (text, gravity) in [
        ("", Gravity::Warning),
        ("require {\n  rotation = true\n}", Gravity::Error),
        ("require {\n  rotation = false\n}", Gravity::Note),
    ] {
        for has_proof in [true, false] {
            let mut facts = good();
            let one = facts.keys.get_mut(GOOD).expect("the key");
            one.rotates = Some(false);
            one.proof = has_proof.then(|| vec![Id::KmsKeyNoRotation.warning(Subject::Key)]);
            let report = judged_by(facts, &policy(text), None).report;
            let [one] = report.findings.as_slice() else {
                panic!("{:?}", report.findings);
            };
            assert_eq!(one.severity, gravity, "{text}");
            assert_eq!(one.id == "kms-key-no-rotation", has_proof);
        }
    }
}

#[test]
fn one_finding_of_many_workspaces_is_one_line() {
    let mut facts = good();
    let each =
        (0..30).map(|number| finding(Id::PolicyMissingAction).found(format!("Of {number}.")));
    facts.keys.get_mut(GOOD).expect("the key").proof = Some(each.collect());
    let report = report(facts);
    let [one] = report.findings.as_slice() else {
        panic!("one finding");
    };
    assert!(one.found.starts_with("Of 0.\n\nOf 1."), "{}", one.found);
    assert!(
        one.found.ends_with("… and 20 more of the same."),
        "{}",
        one.found
    );
}

#[test]
fn a_hidden_subscription_is_an_error_and_leaves_the_run_incomplete() {
    let mut facts = good();
    facts.hidden.push(HiddenSubscription {
        id: "s-1".to_owned(),
        workspaces: vec!["12 (\"x\")".to_owned()],
    });
    let report = report(facts);
    let one = find(&report, AuditId::SubscriptionNotVisible, "subscription/s-1");
    assert!(one.found.contains("12 (\"x\")"));
    assert!(!report.run.complete);
    assert_eq!(exit_code(&report, FailOn::Error), 1);
    assert_eq!(exit_code(&report, FailOn::Never), 3);
}

#[test]
fn a_pattern_of_the_command_line_that_means_nothing_is_handed_back() {
    let judge_only = |facts: AuditFacts| {
        let rules = AuditRules {
            policy: &AuditPolicy::default(),
            only: vec![Glob::new("prod-eu"), Glob::new("nothing")],
            trusted: BTreeSet::new(),
            words: &|_| None,
        };
        judge(facts, &rules, None)
    };
    let judged = judge_only(good());
    assert_eq!(judged.unmatched, ["nothing"]);
    assert_eq!(judged.report.counts.judged, 1);
    // What was not read says nothing.
    let mut facts = good();
    facts.workspaces = None;
    facts.unread.push(unread(
        SubjectKind::Account,
        ACCOUNT,
        Part::Workspaces,
        None,
    ));
    assert_eq!(judge_only(facts).unmatched, Vec::<String>::new());
}

/// Each row: the day on which an exception ends, and whether it holds.
#[test]
fn an_exception_holds_until_the_end_of_its_day() {
    for (expires, holds) in [("2026-12-01", true), ("2026-11-30", false)] {
        let mut facts = good();
        facts.locations[0].encrypted_by = EncryptedBy::ProviderKey;
        let policy = policy(&format!(
            "exception \"location-uncovered\" {{\n  subject = \"location/s3:*\"\n  reason = \"r\"\n  owner = \"o\"\n  expires = \"{expires}\"\n}}"
        ));
        let report = judged_by(facts, &policy, None).report;
        assert_eq!(report.excepted().count() == 1, holds, "{expires}");
        let is_expired = ids(&report).contains(&"exception-expired");
        assert_eq!(is_expired, !holds);
        assert_eq!(exit_code(&report, FailOn::Warning), u8::from(!holds));
    }
}

/// What was not read may hide what an exception is for.
#[test]
fn an_exception_is_unused_only_if_its_finding_could_be_seen() {
    let text = "exception \"location-uncovered\" {\n  subject = \"*\"\n  reason = \"r\"\n  owner = \"o\"\n  expires = \"2027-01-31\"\n}";
    let policy = policy(text);
    let is_said = |facts: AuditFacts| {
        let report = judged_by(facts, &policy, None).report;
        ids(&report).contains(&"exception-unused")
    };
    assert!(is_said(good()));
    let mut facts = good();
    facts.unread.push(unread(
        SubjectKind::Location,
        "s3://x",
        Part::Encryption,
        None,
    ));
    assert!(!is_said(facts));
}

/// Every report is what the published schema says.
#[test]
fn a_report_is_what_its_schema_says() {
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../../../../docs/schemas/audit.schema.json"))
            .expect("the schema is JSON");
    let policy = policy(POLICY);
    let good = report(good());
    let compared = judged_by(planted(), &policy, Some(&good)).report;
    for report in [
        &good,
        &judged_by(planted(), &policy, None).report,
        &compared,
    ] {
        let shown = serde_json::to_value(report).expect("JSON");
        assert_eq!(
            schemas::against(&schema, &shown, "report"),
            Vec::<String>::new()
        );
        // What is read again is the same.
        let again: AuditReport = serde_json::from_value(shown).expect("a report");
        assert_eq!(again, *report);
    }
    assert!(compared.changes.len() > 10);
}
