//! What is said about keys of Cloud KMS.

use time::OffsetDateTime;

use super::*;
use crate::preflight::{Severity, Unreadable};
use crate::vocabulary::UseCase;

type Outcome = Result<(), Box<dyn std::error::Error>>;

const DATABRICKS: &str = "db-1@prod-gcp-us-east4.iam.gserviceaccount.com";
const COMPUTE: &str = "service-123456789012@compute-system.iam.gserviceaccount.com";
const STORAGE: &str = "service-123456789012@gs-project-accounts.iam.gserviceaccount.com";

fn question(stage: Stage) -> Result<Question, Box<dyn std::error::Error>> {
    Ok(Question {
        usage: Usage {
            use_cases: UseCase::ACCOUNT.to_vec(),
            databricks: vec![DATABRICKS.parse()?],
            workspace_project: Some("123456789012".parse()?),
            not_known: None,
        },
        stage,
    })
}

fn version(number: &str, state: VersionState) -> CryptoKeyVersion {
    CryptoKeyVersion {
        number: number.to_owned(),
        state,
        destroy_time: None,
    }
}

fn binding(role: &str, members: &[&str]) -> Binding {
    Binding {
        role: role.to_owned(),
        members: members
            .iter()
            .map(|email| format!("serviceAccount:{email}"))
            .collect(),
        condition: None,
    }
}

/// A good key, whose policy has these bindings.
fn facts(bindings: Vec<Binding>) -> Result<CryptoKeyFacts, Box<dyn std::error::Error>> {
    let primary = version("1", VersionState::Enabled);
    Ok(CryptoKeyFacts {
        name: "projects/acme/locations/us-east4/keyRings/lake/cryptoKeys/house".parse()?,
        key: Fact::Known(CryptoKey {
            purpose: "ENCRYPT_DECRYPT".to_owned(),
            protection_level: "SOFTWARE".to_owned(),
            primary: Some(primary.clone()),
            rotation_period: Some("7776000s".to_owned()),
            next_rotation_time: None,
            allows_no_reason: false,
            destroy_window: Some("2592000s".to_owned()),
            import_only: false,
            labels: Default::default(),
        }),
        versions: Fact::Known(vec![primary]),
        policies: vec![PolicyLevel {
            of: "the key".to_owned(),
            bindings: Fact::Known(bindings),
        }],
        is_read_to_the_top: true,
        roles: Default::default(),
        denied: Fact::Known(Vec::new()),
        planned: None,
        at: OffsetDateTime::UNIX_EPOCH,
    })
}

fn everybody() -> Vec<Binding> {
    vec![binding(
        ENCRYPTER_DECRYPTER,
        &[DATABRICKS, COMPUTE, STORAGE],
    )]
}

fn ids(findings: &[Finding]) -> Vec<(Id, Severity)> {
    findings.iter().map(|one| (one.id, one.severity)).collect()
}

#[test]
fn a_good_key_leaves_nothing_to_say() -> Outcome {
    assert_eq!(judge(&facts(everybody())?, &question(Stage::Apply)?), []);
    let pair = vec![
        binding(
            "roles/cloudkms.cryptoKeyEncrypter",
            &[DATABRICKS, COMPUTE, STORAGE],
        ),
        binding(
            "roles/cloudkms.cryptoKeyDecrypter",
            &[DATABRICKS, COMPUTE, STORAGE],
        ),
    ];
    assert_eq!(judge(&facts(pair)?, &question(Stage::Apply)?), []);
    Ok(())
}

/// Each row: what is wrong with the key itself, and what is found.
#[test]
fn what_is_wrong_with_a_key_is_found() -> Outcome {
    type Change = fn(&mut CryptoKeyFacts);
    fn with(facts: &mut CryptoKeyFacts, change: fn(&mut CryptoKey)) {
        if let Fact::Known(key) = &mut facts.key {
            change(key);
        }
    }
    let rows: [(&str, Change, Vec<(Id, Severity)>); 12] = [
        (
            "a key for signing",
            |facts| with(facts, |key| key.purpose = "ASYMMETRIC_SIGN".to_owned()),
            vec![(Id::GcpKeyPurpose, Severity::Error)],
        ),
        (
            "no primary version",
            |facts| with(facts, |key| key.primary = None),
            vec![(Id::GcpKeyPrimary, Severity::Error)],
        ),
        (
            "a disabled primary version",
            |facts| {
                with(facts, |key| {
                    key.primary = Some(version("1", VersionState::Disabled))
                });
                facts.versions = Fact::Known(vec![version("1", VersionState::Disabled)]);
            },
            vec![
                (Id::GcpKeyPrimary, Severity::Error),
                (Id::GcpKeyVersions, Severity::Warning),
            ],
        ),
        (
            "an old version that is scheduled",
            |facts| {
                facts.versions = Fact::Known(vec![
                    version("1", VersionState::DestroyScheduled),
                    version("2", VersionState::Enabled),
                ]);
            },
            vec![(Id::GcpKeyVersions, Severity::Warning)],
        ),
        (
            "an old version that is destroyed: nothing brings it back",
            |facts| {
                facts.versions = Fact::Known(vec![
                    version("1", VersionState::Destroyed),
                    version("2", VersionState::Enabled),
                ]);
            },
            vec![],
        ),
        (
            "no reason is allowed",
            |facts| with(facts, |key| key.allows_no_reason = true),
            vec![(Id::GcpKeyJustifications, Severity::Error)],
        ),
        (
            "an external key",
            |facts| with(facts, |key| key.protection_level = "EXTERNAL".to_owned()),
            vec![(Id::GcpKeyProtection, Severity::Warning)],
        ),
        (
            "a week to restore",
            |facts| with(facts, |key| key.destroy_window = Some("604800s".to_owned())),
            Vec::new(),
        ),
        (
            "a day to restore",
            |facts| with(facts, |key| key.destroy_window = Some("86400s".to_owned())),
            vec![(Id::GcpKeyShortWindow, Severity::Warning)],
        ),
        (
            "a time to restore that nobody can read",
            |facts| with(facts, |key| key.destroy_window = Some("soon".to_owned())),
            vec![(Id::GcpKeyShortWindow, Severity::Warning)],
        ),
        (
            "no rotation",
            |facts| with(facts, |key| key.rotation_period = None),
            vec![(Id::GcpKeyNoRotation, Severity::Warning)],
        ),
        (
            "a key that cannot be read",
            |facts| {
                facts.key = Fact::Unreadable(Unreadable {
                    permission: None,
                    reason: "403".to_owned(),
                    remedy: None,
                    is_missing: false,
                });
            },
            vec![(Id::GcpKeyUnreadable, Severity::Error)],
        ),
    ];
    for (what, change, expected) in rows {
        let mut facts = facts(everybody())?;
        change(&mut facts);
        assert_eq!(
            ids(&judge(&facts, &question(Stage::Apply)?)),
            expected,
            "{what}"
        );
    }
    let mut elsewhere = facts(everybody())?;
    elsewhere.name = "projects/acme/locations/europe/keyRings/lake/cryptoKeys/house".parse()?;
    assert_eq!(
        ids(&judge(&elsewhere, &question(Stage::Plan)?)),
        [(Id::GcpKeyLocation, Severity::Error)]
    );
    Ok(())
}

/// Each row: the bindings, whether every level was read, and how Databricks' service account stands.
#[test]
fn who_may_use_a_key_is_decided() -> Outcome {
    let conditional = |expression: &str| {
        let mut one = binding(ENCRYPTER_DECRYPTER, &[DATABRICKS]);
        one.condition = Some(IamCondition {
            title: "t".to_owned(),
            expression: expression.to_owned(),
        });
        one
    };
    let mut deleted = binding(ENCRYPTER_DECRYPTER, &[]);
    deleted
        .members
        .push(format!("deleted:serviceAccount:{DATABRICKS}?uid=1"));
    let open = "api.getAttribute('x', '') == 'y'";
    let rows = [
        (
            vec![binding(ENCRYPTER_DECRYPTER, &[DATABRICKS])],
            Access::Granted,
        ),
        (
            vec![binding("roles/cloudkms.admin", &[DATABRICKS])],
            Access::None,
        ),
        (
            vec![binding("roles/cloudkms.cryptoKeyEncrypter", &[DATABRICKS])],
            Access::None,
        ),
        (
            vec![binding("projects/acme/roles/custom", &[DATABRICKS])],
            Access::UnknownRoles(vec!["projects/acme/roles/custom".to_owned()]),
        ),
        (
            vec![conditional(open)],
            Access::Conditional(vec![open.to_owned()]),
        ),
        (
            vec![conditional(
                "resource.type == \"cloudkms.googleapis.com/CryptoKey\"",
            )],
            Access::Granted,
        ),
        (
            vec![conditional(
                "request.time < timestamp(\"1960-01-01T00:00:00Z\")",
            )],
            Access::None,
        ),
        (vec![deleted], Access::Deleted),
        (vec![binding(ENCRYPTER_DECRYPTER, &[COMPUTE])], Access::None),
    ];
    for (bindings, expected) in rows {
        let facts = facts(bindings.clone())?;
        assert_eq!(
            access(&facts, &DATABRICKS.parse()?),
            expected,
            "{bindings:?}"
        );
    }
    Ok(())
}

/// "No grant seen" is not "no grant": an error only where every level was read.
#[test]
fn no_grant_seen_is_not_no_grant() -> Outcome {
    let mut facts = facts(Vec::new())?;
    let missing = vec![(Id::GcpMemberMissing, Severity::Error); 3];
    assert_eq!(ids(&judge(&facts, &question(Stage::Plan)?)), missing);
    facts.is_read_to_the_top = false;
    facts.policies.push(PolicyLevel {
        of: "the project acme".to_owned(),
        bindings: Fact::Unreadable(Unreadable {
            permission: None,
            reason: "the identity may not call resourcemanager.projects.getIamPolicy".to_owned(),
            remedy: None,
            is_missing: false,
        }),
    });
    let not_seen = vec![(Id::GcpMemberNotSeen, Severity::Warning); 3];
    assert_eq!(ids(&judge(&facts, &question(Stage::Apply)?)), not_seen);
    let text: Vec<String> = judge(&facts, &question(Stage::Plan)?)
        .iter()
        .map(|one| {
            format!(
                "{}\n\n{}\n\n{}\n\n{}",
                one.summary,
                one.found,
                one.why,
                one.remedy.text(|_| None)
            )
        })
        .collect();
    insta::assert_snapshot!(text.join("\n----\n"));
    Ok(())
}

/// A custom role counts for what it contains; a group may let somebody in; a deny policy is told.
#[test]
fn what_is_above_and_beside_the_bindings_counts() -> Outcome {
    let custom = "projects/acme/roles/cmk";
    let mut found = facts(vec![binding(custom, &[DATABRICKS, COMPUTE, STORAGE])])?;
    assert!(
        ids(&judge(&found, &question(Stage::Apply)?))
            .iter()
            .all(|(id, _)| *id == Id::GcpMemberUnknownRole)
    );
    let both = crate::requirements::gcp::Rights {
        encrypt: true,
        decrypt: true,
    };
    found.roles.insert(custom.to_owned(), both);
    assert_eq!(judge(&found, &question(Stage::Apply)?), []);
    let group = Binding {
        role: ENCRYPTER_DECRYPTER.to_owned(),
        members: vec!["group:agents@example.com".to_owned()],
        condition: None,
    };
    let by_group = judge(&facts(vec![group])?, &question(Stage::Apply)?);
    assert!(
        by_group
            .iter()
            .all(|one| one.id == Id::GcpMemberNotSeen && one.found.contains("group:agents@"))
    );
    let mut denied = facts(everybody())?;
    denied.denied = Fact::Known(vec![DenyRule {
        policy: "policies/x".to_owned(),
        permissions: vec!["cloudkms.googleapis.com/cryptoKeyVersions.useToDecrypt".to_owned()],
        principals: vec!["principalSet://goog/public:all".to_owned()],
        exceptions: vec![format!(
            "principal://iam.googleapis.com/projects/-/serviceAccounts/{COMPUTE}"
        )],
        condition: None,
    }]);
    let told = judge(&denied, &question(Stage::Apply)?);
    assert_eq!(
        ids(&told),
        [(Id::GcpMemberDenied, Severity::Warning); 2],
        "the agent of Compute Engine is an exception"
    );
    Ok(())
}

/// What the same plan grants is taken for granted; whom it grants it to may be known only after apply.
#[test]
fn what_the_same_plan_grants_counts() -> Outcome {
    let mut found = facts(Vec::new())?;
    found.planned = Some(PlannedMembers {
        members: vec![DATABRICKS.parse()?, COMPUTE.parse()?],
        has_unknown: false,
    });
    let missing = judge(&found, &question(Stage::Plan)?);
    assert_eq!(
        ids(&missing),
        [(Id::GcpMemberMissing, Severity::Error)],
        "{missing:?}"
    );
    if let Some(planned) = &mut found.planned {
        planned.has_unknown = true;
    }
    assert_eq!(judge(&found, &question(Stage::Plan)?), []);
    Ok(())
}
