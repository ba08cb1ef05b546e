//! The findings about keys of Cloud KMS.

use time::OffsetDateTime;

use super::*;
use crate::{Severity, Unreadable};
use requirements::gcp::ENCRYPTER_DECRYPTER;
use vocabulary::UseCase;

type Outcome = Result<(), Box<dyn std::error::Error>>;

const DATABRICKS: &str = "db-1@prod-gcp-us-east4.iam.gserviceaccount.com";
const COMPUTE: &str = "service-123456789012@compute-system.iam.gserviceaccount.com";
const STORAGE: &str = "service-123456789012@gs-project-accounts.iam.gserviceaccount.com";

fn question(stage: Stage) -> Result<Question, Box<dyn std::error::Error>> {
    let usage = Usage {
        use_cases: UseCase::ACCOUNT.to_vec(),
        databricks: vec![DATABRICKS.parse()?],
        workspace_project: Some("123456789012".parse()?),
        table_projects: Vec::new(),
        not_known: None,
    };
    Ok(Question::new(usage, stage))
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
        denied: Vec::new(),
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
            vec![(Id::GcpKeyPrimary, Severity::Error)],
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
    let missing = vec![(Id::GcpMemberMissing, Severity::Error)];
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
    let not_seen = vec![(Id::GcpMemberNotSeen, Severity::Warning)];
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

/// A custom role counts for what it contains; a group may let its members in; the proof reports a
/// deny policy.
#[test]
fn what_is_above_and_beside_the_bindings_counts() -> Outcome {
    let custom = "projects/acme/roles/cmk";
    let mut found = facts(vec![binding(custom, &[DATABRICKS, COMPUTE, STORAGE])])?;
    assert!(
        ids(&judge(&found, &question(Stage::Apply)?))
            .iter()
            .all(|(id, _)| *id == Id::GcpMemberUnknownRole)
    );
    let both = requirements::gcp::Rights {
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
    let mut rule = DenyRule {
        policy: "policies/cloudresourcemanager.googleapis.com%2Fprojects%2Facme/denypolicies/x"
            .to_owned(),
        permissions: vec!["cloudkms.googleapis.com/cryptoKeyVersions.useToDecrypt".to_owned()],
        principals: vec!["principalSet://goog/public:all".to_owned()],
        exceptions: vec![format!(
            "principal://iam.googleapis.com/projects/-/serviceAccounts/{COMPUTE}"
        )],
        exception_permissions: Vec::new(),
        condition: None,
    };
    let level = |of: &str, rules: Vec<DenyRule>, unread: &[&str]| DenyLevel {
        of: of.to_owned(),
        rules,
        unread: unread
            .iter()
            .map(|reason| Unreadable {
                permission: None,
                reason: (*reason).to_owned(),
                remedy: None,
                is_missing: false,
            })
            .collect(),
    };
    // A policy that the provider cannot read hides nothing else, of other levels and of the same,
    // and the finding reports it.
    denied.denied = vec![
        level("organizations/1", Vec::new(), &["403"]),
        level("projects/acme", vec![rule.clone()], &["a rule"]),
    ];
    let told = judge(&denied, &question(Stage::Plan)?);
    let not_read = (Id::GcpDenyNotRead, Severity::Warning);
    assert_eq!(
        ids(&told),
        [(Id::GcpMemberDenied, Severity::Error), not_read]
    );
    let text = format!("{} {}", told[1].found, told[1].remedy.text(|_| None));
    for words in [
        "organizations/1: 403",
        "projects/acme: a rule",
        "iam.denypolicies.list",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let text = format!("{} {}", told[0].found, told[0].remedy.text(|_| None));
    for words in [
        DATABRICKS,
        STORAGE,
        "gcloud iam policies get x --kind denypolicies --attachment-point cloudresourcemanager.googleapis.com%2Fprojects%2Facme",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(
        !text.contains(COMPUTE),
        "the agent of Compute Engine is an exception"
    );
    rule.condition = Some("resource.matchTag('1/env', 'prod')".to_owned());
    denied.denied = vec![level("projects/acme", vec![rule], &[])];
    let told = judge(&denied, &question(Stage::Apply)?);
    assert_eq!(
        ids(&told),
        [(Id::GcpMemberPerhapsDenied, Severity::Warning)]
    );
    assert!(told[0].found.contains("1/env"), "{}", told[0].found);
    Ok(())
}

/// A grant that does not count is named with its condition.
#[test]
fn a_grant_that_does_not_count_is_named_with_its_condition() -> Outcome {
    for (expression, id) in [
        (
            "request.time < timestamp(\"1960-01-01T00:00:00Z\")",
            Id::GcpMemberMissing,
        ),
        ("api.getAttribute('x', '') == 'y'", Id::GcpMemberConditional),
    ] {
        let mut conditional = binding(ENCRYPTER_DECRYPTER, &[DATABRICKS]);
        conditional.condition = Some(IamCondition {
            title: "for a while".to_owned(),
            expression: expression.to_owned(),
        });
        let rest = binding(ENCRYPTER_DECRYPTER, &[COMPUTE, STORAGE]);
        let found = judge(&facts(vec![conditional, rest])?, &question(Stage::Plan)?);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].id, id);
        for words in [
            DATABRICKS,
            expression,
            "\"for a while\"",
            ENCRYPTER_DECRYPTER,
            "on the key",
        ] {
            assert!(
                found[0].found.contains(words),
                "{words}: {}",
                found[0].found
            );
        }
    }
    Ok(())
}

/// Each row: who has the key, and whether the account of the workspace is named.
#[test]
fn the_account_of_the_workspace_is_named_when_it_has_no_grant() -> Outcome {
    let own = "db-3456789012345678@prod-gcp-us-east4.iam.gserviceaccount.com";
    let mut question = question(Stage::Plan)?;
    question.workspace_accounts =
        vec![ServiceAccount::of_workspace("3456789012345678", "us-east4")];
    let with = |members: &[&str]| {
        let mut all = everybody();
        all.push(binding(ENCRYPTER_DECRYPTER, members));
        facts(all)
    };
    assert_eq!(judge(&with(&[own])?, &question), []);
    let found = judge(&with(&[])?, &question);
    assert_eq!(ids(&found), [(Id::GcpWorkspaceAccount, Severity::Warning)]);
    assert!(found[0].is_advice() && found[0].found.contains(own));
    // It goes into one list with the others, so that pasting the list removes none.
    assert!(matches!(
        found[0].remedy.text(|hint| Some(format!("{hint:?}"))),
        text if text.contains(own) && text.contains(DATABRICKS)
    ));
    let mut planned = with(&[])?;
    planned.planned = Some(PlannedMembers {
        members: vec![own.parse()?],
        has_unknown: false,
        is_list_unknown: false,
    });
    assert_eq!(judge(&planned, &question), []);
    // Another element that is not known yet cannot hide it, a whole list can.
    for (is_list_unknown, expected) in [(false, 1), (true, 0)] {
        planned.planned = Some(PlannedMembers {
            members: Vec::new(),
            has_unknown: true,
            is_list_unknown,
        });
        assert_eq!(judge(&planned, &question).len(), expected);
    }
    // It weighs the same where it is named beside the others.
    question.usage.databricks.push(own.parse()?);
    let found = judge(&with(&[])?, &question);
    assert_eq!(ids(&found), [(Id::GcpWorkspaceAccount, Severity::Warning)]);
    Ok(())
}

/// Without named accounts, the finding says what that means, so that a check has a message.
#[test]
fn a_key_without_named_accounts_is_not_examined() -> Outcome {
    let mut question = question(Stage::Plan)?;
    question.usage.databricks = Vec::new();
    question.usage.workspace_project = None;
    question.usage.not_known = question.usage.unnamed();
    let found = judge(&facts(everybody())?, &question);
    assert_eq!(
        ids(&found),
        [(Id::GcpMembersNotExamined, Severity::Warning)]
    );
    let remedy = found[0].remedy.text(|hint| Some(format!("{hint:?}")));
    assert!(remedy.contains("databricks_service_accounts"));
    Ok(())
}

/// Each row: the versions (the last is the primary one), whether a workspace uses the key, and what is found.
#[test]
fn every_version_that_may_hold_data_is_judged() -> Outcome {
    use VersionState::{DestroyScheduled, Destroyed, Disabled, Enabled};
    let other = |state: &str| VersionState::Other(state.to_owned());
    let primary = |severity| (Id::GcpKeyPrimary, severity);
    let old = |severity| (Id::GcpKeyVersions, severity);
    let (error, warning) = (Severity::Error, Severity::Warning);
    let rows = [
        (vec![Disabled, Enabled], false, vec![old(warning)]),
        (vec![Disabled, Enabled], true, vec![old(warning)]),
        (vec![DestroyScheduled, Enabled], true, vec![old(warning)]),
        (vec![Destroyed, Enabled], true, vec![]),
        (vec![other("IMPORT_FAILED"), Enabled], true, vec![]),
        (vec![other("PENDING_GENERATION"), Enabled], true, vec![]),
        (
            vec![other("PENDING_EXTERNAL_DESTRUCTION"), Enabled],
            true,
            vec![old(warning)],
        ),
        (
            vec![other("SOMETHING_NEW"), Enabled],
            true,
            vec![old(warning)],
        ),
        (vec![Disabled], false, vec![primary(error)]),
        (vec![Disabled], true, vec![primary(error)]),
        (vec![DestroyScheduled], true, vec![primary(error)]),
        (vec![Destroyed], true, vec![primary(error)]),
        (
            vec![DestroyScheduled, Disabled],
            true,
            vec![primary(error), old(warning)],
        ),
        (vec![], true, vec![primary(error)]),
    ];
    let date = "2026-12-24T00:00:00Z";
    for (states, is_used, expected) in rows {
        let versions: Vec<CryptoKeyVersion> = states
            .iter()
            .enumerate()
            .map(|(index, state)| CryptoKeyVersion {
                number: (index + 1).to_string(),
                state: state.clone(),
                destroy_time: (*state == DestroyScheduled).then(|| date.to_owned()),
            })
            .collect();
        let mut facts = facts(everybody())?;
        if let Fact::Known(key) = &mut facts.key {
            key.primary = versions.last().cloned();
        }
        facts.versions = Fact::Known(versions);
        let mut question = question(Stage::Plan)?;
        if is_used {
            question.users = vec!["1 (\"lakehouse\")".to_owned()];
        }
        // Where a workspace may need such a version, the proof gives an error to those who rely on
        // the key.
        question.is_relied_on = true;
        let is_alarmed = |found: &[Finding]| {
            let mut old = found.iter().filter(|one| one.id == Id::GcpKeyVersions);
            old.any(|one| one.severity == Severity::Error)
        };
        let relied = judge(&facts, &question);
        assert_eq!(
            is_alarmed(&relied),
            is_used && expected.contains(&old(warning)),
            "{states:?}"
        );
        question.is_relied_on = false;
        let found = judge(&facts, &question);
        assert_eq!(ids(&found), expected, "{states:?} {is_used}");
        assert_eq!(
            has_unusable_versions(&facts),
            !found.is_empty(),
            "{states:?}"
        );
        for one in &found {
            let text = format!("{} {} {}", one.found, one.why, one.remedy.text(|_| None));
            assert_eq!(text.contains("1 (\"lakehouse\")"), is_used, "{text}");
            if one.found.contains("DESTROY_SCHEDULED") {
                assert!(
                    text.contains(date) && text.contains("versions restore "),
                    "{text}"
                );
                assert!(text.contains("lost permanently"), "{text}");
            }
            if is_used && one.found.contains(" is DISABLED") {
                assert!(text.contains("key restore projects/acme/"), "{text}");
                assert!(text.contains("cannot read the data"), "{text}");
            }
        }
    }
    Ok(())
}

/// Each row: the primary version, and what the state of the key is called everywhere.
#[test]
fn every_state_of_a_primary_version_has_a_word() {
    use vocabulary::KeyState;
    let rows = [
        (Some("ENABLED"), KeyState::Enabled),
        (Some("DISABLED"), KeyState::Disabled),
        (Some("DESTROY_SCHEDULED"), KeyState::PendingDeletion),
        (Some("DESTROYED"), KeyState::Other("DESTROYED".to_owned())),
        (
            Some("PENDING_GENERATION"),
            KeyState::Other("PENDING_GENERATION".to_owned()),
        ),
        (
            Some("SOMETHING_NEW"),
            KeyState::Other("SOMETHING_NEW".to_owned()),
        ),
        (Some(""), KeyState::Other(String::new())),
        (None, KeyState::Disabled),
    ];
    for (state, expected) in rows {
        let primary = state.map(|state| version("1", VersionState::from(state)));
        assert_eq!(state_of_primary(primary.as_ref()), expected, "{state:?}");
        let is_usable = expected == KeyState::Enabled;
        assert_eq!(
            is_usable,
            state == Some("ENABLED"),
            "only one of them can be used"
        );
    }
}

/// What the same plan grants counts as granted; Terraform may learn the grantee only at apply.
#[test]
fn what_the_same_plan_grants_counts() -> Outcome {
    let mut found = facts(Vec::new())?;
    found.planned = Some(PlannedMembers {
        members: vec![DATABRICKS.parse()?, COMPUTE.parse()?],
        has_unknown: false,
        is_list_unknown: false,
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

/// Each row: the bindings of the key, those of the key ring, the members that lose the role at the key, and those that can no longer
/// use it.
#[test]
fn only_who_has_the_key_from_nowhere_else_loses_it() -> Outcome {
    let member = |email: &str| format!("serviceAccount:{email}");
    let both = || vec![binding(ENCRYPTER_DECRYPTER, &[DATABRICKS, COMPUTE])];
    let one = || vec![binding(ENCRYPTER_DECRYPTER, &[COMPUTE])];
    let mut everyone = binding("roles/owner", &[]);
    everyone.role = ENCRYPTER_DECRYPTER.to_owned();
    everyone.members = vec!["allAuthenticatedUsers".to_owned()];
    let pair = || {
        vec![
            binding("roles/cloudkms.cryptoKeyEncrypter", &[DATABRICKS]),
            binding("roles/cloudkms.cryptoKeyDecrypter", &[DATABRICKS]),
        ]
    };
    let rows = [
        (
            "nobody else gives it",
            both(),
            vec![],
            vec![DATABRICKS, COMPUTE],
        ),
        ("the ring gives it to one", both(), one(), vec![DATABRICKS]),
        ("the ring gives it to both", both(), both(), vec![]),
        (
            "everybody has it",
            [both(), vec![everyone]].concat(),
            vec![],
            vec![],
        ),
        ("nothing is taken", vec![], vec![], vec![]),
        (
            "another role at the key",
            [both(), pair()].concat(),
            vec![],
            vec![COMPUTE],
        ),
    ];
    let taken = [member(DATABRICKS), member(COMPUTE)].into();
    for (what, key, ring, lost) in rows {
        let mut facts = facts(key)?;
        facts.policies.push(PolicyLevel {
            of: "the key ring".to_owned(),
            bindings: Fact::Known(ring),
        });
        facts.planned = Some(PlannedMembers {
            members: vec![DATABRICKS.parse()?],
            ..PlannedMembers::default()
        });
        let lost = lost.into_iter().map(member).collect();
        assert_eq!(lost_without(&facts, &taken), lost, "{what}");
    }
    let mut unread = facts(both())?;
    unread.policies[0].bindings = Fact::Unreadable(Unreadable {
        permission: None,
        reason: "no".to_owned(),
        remedy: None,
        is_missing: false,
    });
    assert_eq!(lost_without(&unread, &taken), taken);
    Ok(())
}
