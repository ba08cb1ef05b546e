//! Tests of the comparison: what is worse is worse, and what could not be read is neither gone nor new.

use super::*;
use crate::facts::{Attached, AuditFacts, Loss, LossKind, SeenKey, SeenLocation, SeenWorkspace};
use crate::others::Reach;
use crate::policy::AuditPolicy;
use crate::report::EncryptedBy;
use crate::testing::*;
use crate::{BaselineError, FailOn, exit_code};
use preflight::Id;
use time::macros::datetime;
use vocabulary::{KeyState, UseCase};

type Alter = fn(&mut AuditFacts);

fn with(alter: Alter) -> AuditFacts {
    let mut facts = good();
    alter(&mut facts);
    facts
}

fn compared(then: Alter, now: Alter) -> AuditReport {
    let baseline = report(with(then));
    judged_by(with(now), &AuditPolicy::default(), Some(&baseline)).report
}

/// The changes as kind, subject and whether it is worse.
fn shown(report: &AuditReport) -> Vec<(&'static str, String, bool)> {
    let each = report.changes.iter();
    each.map(|one| {
        let id = one.subject.id();
        let short = id.rsplit_once('/').map_or(id, |(_, last)| last);
        (
            one.kind.word(),
            format!("{}/{short}", one.subject.kind().word()),
            one.worse,
        )
    })
    .collect()
}

const AS_IT_IS: Alter = |_| {};
const KEY: &str = "key/0000aaaa-0000-0000-0000-000000000001";

fn key_of(facts: &mut AuditFacts) -> &mut SeenKey {
    facts.keys.get_mut(GOOD).expect("the key")
}

fn first(facts: &mut AuditFacts) -> &mut SeenWorkspace {
    &mut facts.workspaces.as_mut().expect("workspaces")[1]
}

/// Each row: how it was, how it is, and the changes, the worse first.
#[test]
fn what_changed_is_said_with_whether_it_is_worse() {
    let lost_key: Alter = |facts| {
        let one = first(facts);
        one.attached.remove(&UseCase::Storage);
        (one.keys.storage, one.keys.cluster_volumes) = (false, Some(false));
    };
    let disabled: Alter = |facts| key_of(facts).state = Some(KeyState::Disabled);
    let deadline: Alter = |facts| {
        key_of(facts).losses.push(Loss {
            at: datetime!(2027-02-01 00:00:00 UTC),
            how: LossKind::Deleted,
            version: Some("1".to_owned()),
        });
    };
    let nearer: Alter = |facts| {
        key_of(facts).losses.push(Loss {
            at: datetime!(2027-01-01 00:00:00 UTC),
            how: LossKind::Deleted,
            version: Some("1".to_owned()),
        });
    };
    let shared: Alter = |facts| {
        key_of(facts).others = Some(vec![other("role/x", Reach::Own)]);
    };
    let uncovered: Alter = |facts| {
        let new = workspace(3, "new", &[], GOOD, 1);
        facts.workspaces.as_mut().expect("workspaces").push(new);
    };
    let covered: Alter = |facts| {
        let new = workspace(3, "new", &UseCase::ACCOUNT, GOOD, 1);
        facts.workspaces.as_mut().expect("workspaces").push(new);
    };
    let replaced: Alter = |facts| {
        let one = first(facts);
        let other = Attached::Key {
            configuration: Some(configuration(1)),
            key: DYING.to_owned(),
        };
        one.attached.insert(UseCase::ManagedServices, other);
    };
    let w = |id: u64| format!("workspace/{id}");
    let k = || KEY.to_owned();
    let rows: Vec<(&str, Alter, Alter, Vec<(&str, String, bool)>)> = vec![
        ("nothing", AS_IT_IS, AS_IT_IS, vec![]),
        (
            "a key is lost",
            AS_IT_IS,
            lost_key,
            vec![
                ("workspace-lost-key", w(99), true),
                ("finding-new", w(99), true),
            ],
        ),
        (
            "a key is there",
            lost_key,
            AS_IT_IS,
            vec![
                ("workspace-got-key", w(99), false),
                ("finding-gone", w(99), false),
            ],
        ),
        (
            "another key",
            AS_IT_IS,
            replaced,
            vec![("key-replaced", w(99), false)],
        ),
        (
            "a key is disabled",
            AS_IT_IS,
            disabled,
            vec![("key-state", k(), true), ("finding-new", k(), true)],
        ),
        (
            "and enabled",
            disabled,
            AS_IT_IS,
            vec![("key-state", k(), false), ("finding-gone", k(), false)],
        ),
        (
            "a deadline",
            AS_IT_IS,
            deadline,
            vec![("key-until", k(), true), ("finding-new", k(), true)],
        ),
        (
            "a nearer deadline",
            deadline,
            nearer,
            vec![("key-until", k(), true)],
        ),
        (
            "a later deadline",
            nearer,
            deadline,
            vec![("key-until", k(), false)],
        ),
        (
            "no deadline",
            deadline,
            AS_IT_IS,
            vec![("key-until", k(), false), ("finding-gone", k(), false)],
        ),
        (
            "somebody more",
            AS_IT_IS,
            shared,
            vec![("others-more", k(), true)],
        ),
        (
            "somebody less",
            shared,
            AS_IT_IS,
            vec![("others-fewer", k(), false)],
        ),
        (
            "a new workspace with keys",
            AS_IT_IS,
            covered,
            vec![("workspace-new", w(3), false)],
        ),
        (
            "a new workspace without",
            AS_IT_IS,
            uncovered,
            vec![("workspace-new", w(3), true), ("finding-new", w(3), true)],
        ),
        (
            "a workspace is gone",
            uncovered,
            AS_IT_IS,
            vec![
                ("workspace-gone", w(3), false),
                ("finding-gone", w(3), false),
            ],
        ),
    ];
    for (words, then, now, expected) in rows {
        let report = compared(then, now);
        assert_eq!(shown(&report), expected, "{words}");
        let is_worse = expected.iter().any(|(_, _, worse)| *worse);
        assert_eq!(
            exit_code(&report, FailOn::Worse),
            u8::from(is_worse),
            "{words}"
        );
    }
}

fn unread_of(facts: &mut AuditFacts, part: Part) {
    facts
        .unread
        .push(unread(SubjectKind::Key, GOOD, part, None));
}

/// A key of which nothing but its place could be read.
const UNREADABLE: Alter = |facts| {
    let key = key_of(facts);
    (key.state, key.others, key.rotates) = (None, None, None);
    key.proof = Some(vec![finding(Id::KmsKeyUnreadable)]);
    unread_of(facts, Part::Policy);
    unread_of(facts, Part::State);
};

const BROKEN: Alter = |facts| {
    let key = key_of(facts);
    key.state = Some(KeyState::Disabled);
    key.proof = Some(vec![
        finding(Id::KmsKeyDisabled),
        finding(Id::PolicyMissingAction),
    ]);
    key.others = Some(vec![other("*", Reach::Everybody)]);
};

#[test]
fn what_cannot_be_read_is_neither_gone_nor_repaired() {
    let report = compared(BROKEN, UNREADABLE);
    assert_eq!(
        shown(&report),
        [
            ("not-readable", KEY.to_owned(), true),
            ("not-readable", KEY.to_owned(), true),
        ]
    );
    assert_eq!(exit_code(&report, FailOn::Worse), 1);
    assert_eq!(exit_code(&report, FailOn::Error), 3);
}

#[test]
fn what_can_be_read_again_is_not_new() {
    let report = compared(UNREADABLE, BROKEN);
    assert!(
        report
            .changes
            .iter()
            .all(|one| one.kind == ChangeKind::ReadableAgain && !one.worse)
    );
    // The findings count all the same.
    assert_eq!(exit_code(&report, FailOn::Error), 1);
}

#[test]
fn a_gap_that_stays_hides_nothing() {
    let then: Alter = |facts| unread_of(facts, Part::Policy);
    let now: Alter = |facts| {
        unread_of(facts, Part::Policy);
        key_of(facts).proof = Some(vec![finding(Id::PolicyMissingAction)]);
    };
    assert_eq!(
        shown(&compared(then, now)),
        [("finding-new", KEY.to_owned(), true)]
    );
}

#[test]
fn a_list_that_was_not_read_makes_nothing_new_or_gone() {
    let none: Alter = |facts| {
        facts.workspaces = None;
        facts.unread.push(unread(
            SubjectKind::Account,
            ACCOUNT,
            Part::Workspaces,
            None,
        ));
    };
    let account = format!("account/{ACCOUNT}");
    assert_eq!(
        shown(&compared(AS_IT_IS, none)),
        [("not-readable", account.clone(), true)]
    );
    assert_eq!(
        shown(&compared(none, AS_IT_IS)),
        [("readable-again", account, false)]
    );
}

/// A location that is not read for the first time could not be read last time either.
#[test]
fn what_was_not_there_was_not_readable() {
    let now: Alter = |facts| {
        facts.locations.push(SeenLocation {
            url: "s3://new/".to_owned(),
            encrypted_by: EncryptedBy::NotKnown,
            ..facts.locations[0].clone()
        });
        facts.unread.push(unread(
            SubjectKind::Location,
            "s3://new/",
            Part::Encryption,
            None,
        ));
    };
    assert_eq!(shown(&compared(AS_IT_IS, now)), []);
}

#[test]
fn only_what_both_have_judged_is_compared() {
    let lost: Alter = |facts| {
        let one = first(facts);
        one.attached.clear();
        (one.keys.managed_services, one.keys.storage) = (false, false);
    };
    let scope = policy("scope {\n  exclude = [\"prod-us\"]\n}");
    let baseline = judged_by(good(), &scope, None).report;
    let report = judged_by(with(lost), &AuditPolicy::default(), Some(&baseline)).report;
    assert_eq!(shown(&report), []);
    assert_eq!(report.run.notes.len(), 1);
    assert!(
        report.run.notes[0].contains("1 workspaces are judged now"),
        "{:?}",
        report.run.notes
    );
}

#[test]
fn an_exception_that_ends_is_worse() {
    let now: Alter = |facts| facts.locations[0].encrypted_by = EncryptedBy::ProviderKey;
    let text = |expires: &str| {
        format!(
            "exception \"location-uncovered\" {{\n  subject = \"*\"\n  reason = \"r\"\n  owner = \"o\"\n  expires = \"{expires}\"\n}}"
        )
    };
    let baseline = judged_by(with(now), &policy(&text("2026-12-01")), None).report;
    let report = judged_by(with(now), &policy(&text("2026-11-30")), Some(&baseline)).report;
    let location = shown(&report)
        .into_iter()
        .find(|(_, subject, _)| subject.starts_with("location/"));
    assert_eq!(
        location.map(|(kind, _, worse)| (kind, worse)),
        Some(("finding-new", true))
    );
}

/// Each row: a text, and words of the reason why it is not a baseline.
#[test]
fn a_baseline_is_a_report_of_this_account() {
    let good = serde_json::to_value(report(good())).expect("JSON");
    let mut other = good.clone();
    other["format_version"] = "2.0".into();
    for (text, words) in [
        ("{}".to_owned(), "it is not a report"),
        ("[".to_owned(), "it is not a report"),
        (other.to_string(), "it has the format 2.0"),
    ] {
        let error = Baseline::read(text.as_bytes()).expect_err(&text);
        assert!(error.to_string().contains(words), "{error}");
    }
    let mut newer = good;
    newer["format_version"] = "1.7".into();
    newer["surprise"] = true.into();
    let baseline = Baseline::read(newer.to_string().as_bytes()).expect("a baseline");
    assert_eq!(baseline.check(Some(ACCOUNT), "aws"), Ok(()));
    for (account, cloud) in [
        (Some(ACCOUNT), "gcp"),
        (None, "aws"),
        (Some("other"), "aws"),
    ] {
        let error = baseline.check(account, cloud).expect_err("another account");
        assert!(matches!(error, BaselineError::Account { .. }), "{error}");
    }
}
