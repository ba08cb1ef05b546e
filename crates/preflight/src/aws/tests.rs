//! The findings about keys, as people read them.

use std::collections::BTreeMap;

use super::*;
use crate::Severity;
use crate::aws::{KeyDescription, PolicySource};
use vocabulary::AccountId;
use vocabulary::{Deployment, KeyState, KeyUse};

type Outcome = Result<(), Box<dyn std::error::Error>>;

const ADMIN: &str = r#"{"Sid":"Admin","Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"kms:*","Resource":"*"}"#;

fn question() -> Result<Question, Box<dyn std::error::Error>> {
    let account: AccountId = "2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11".parse()?;
    let usage = Usage::of(Deployment::Commercial, [account], UseCase::ACCOUNT)
        .with_cross_account_role(Some("arn:aws:iam::123456789012:role/dbx".parse()?));
    Ok(Question {
        usage,
        cluster_volumes: false,
        stage: Stage::Plan,
        used_by: Vec::new(),
    })
}

/// A good key whose policy has these statements beside the administrator's.
fn facts(statements: &[String]) -> Result<KeyFacts, Box<dyn std::error::Error>> {
    let mut all = vec![ADMIN.to_owned()];
    all.extend_from_slice(statements);
    Ok(KeyFacts {
        arn: "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
            .parse()?,
        description: Fact::Known(KeyDescription::good()),
        policy: Fact::Known(format!(
            "{{\"Version\":\"2012-10-17\",\"Statement\":[{}]}}",
            all.join(",")
        )),
        policy_source: PolicySource::Live,
        grants: None,
        rotates: None,
        role: RoleKnowledge::NotAsked,
        table_roles: BTreeMap::new(),
        may_change_roles: true,
        simulation: Simulation::NotAsked,
    })
}

fn documented() -> Result<Vec<String>, Box<dyn std::error::Error>> {
    Ok(question()?
        .usage
        .grants()
        .into_iter()
        .map(|grant| grant.statement)
        .collect())
}

/// What a person reads.
fn read(findings: &[Finding]) -> String {
    let one = |finding: &Finding| {
        format!(
            "{:?} {}: {}\n\n{}\n\n{}\n\n{}\n",
            finding.severity,
            finding.id,
            finding.summary,
            finding.found,
            finding.why,
            finding.remedy.text(|hint| Some(format!("<{hint:?}>")))
        )
    };
    findings
        .iter()
        .map(one)
        .collect::<Vec<_>>()
        .join("\n----\n\n")
}

#[test]
fn the_documented_statements_leave_nothing_to_say() -> Outcome {
    assert_eq!(judge(&facts(&documented()?)?, &question()?), []);
    Ok(())
}

#[test]
fn an_empty_policy_is_told_use_case_by_use_case() -> Outcome {
    insta::assert_snapshot!(read(&judge(&facts(&[])?, &question()?)));
    Ok(())
}

#[test]
fn the_older_documentation_works_with_a_warning() -> Outcome {
    let untagged = documented()?
        .into_iter()
        .map(
            |statement| match statement.find(",\"Condition\":{\"StringEquals\"") {
                Some(at) => format!("{}}}", statement.get(..at).unwrap_or_default()),
                None => statement,
            },
        )
        .collect::<Vec<_>>();
    insta::assert_snapshot!(read(&judge(&facts(&untagged)?, &question()?)));
    Ok(())
}

/// The statement that checks nothing is named, and not those beside it that do.
#[test]
fn who_checks_the_account_is_not_accused() -> Outcome {
    let mut statements = documented()?;
    statements.push(
        r#"{"Sid":"Any","Effect":"Allow","Principal":"*","Action":"kms:Decrypt","Resource":"*"}"#
            .to_owned(),
    );
    let found = judge(&facts(&statements)?, &question()?);
    let open: Vec<&Finding> = found
        .iter()
        .filter(|one| one.id == Id::PolicyAnyDatabricksAccount)
        .collect();
    // It is open for two purposes: that is one finding, with the statement of each.
    let remedies: Vec<String> = open.iter().map(|one| one.remedy.text(|_| None)).collect();
    assert!(
        matches!(remedies.as_slice(), [one] if one.contains("for managed services") && one.contains("for DBFS")),
        "{}",
        read(&found)
    );
    assert!(
        open.iter()
            .all(|one| one.found.contains(", \"Any\" allows Databricks")),
        "{}",
        read(&found)
    );
    Ok(())
}

#[test]
fn a_deny_names_its_statement_and_the_way_out() -> Outcome {
    let mut statements = documented()?;
    statements.push(r#"{"Sid":"No strangers","Effect":"Deny","Principal":"*","Action":"kms:*","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalAccount":"123456789012"}}}"#.to_owned());
    insta::assert_snapshot!(read(&judge(&facts(&statements)?, &question()?)));
    Ok(())
}

#[test]
fn a_condition_that_nobody_can_decide_is_no_proof() -> Outcome {
    let mut statements = documented()?;
    statements.push(r#"{"Sid":"Our organisation","Effect":"Deny","Principal":"*","Action":"kms:Decrypt","Resource":"*","Condition":{"StringNotEquals":{"aws:SourceVpce":"vpce-1"}}}"#.to_owned());
    insta::assert_snapshot!(read(&judge(&facts(&statements)?, &question()?)));
    Ok(())
}

/// The data perimeter that companies put on their keys: Databricks is outside of it, and the proof says so to
/// each reader of the policy.
#[test]
fn a_perimeter_of_the_organization_certainly_shuts_databricks_out() -> Outcome {
    let mut text = String::new();
    for (operator, key, value) in [
        ("StringNotEquals", "aws:PrincipalOrgID", "o-a1b2c3d4e5"),
        (
            "ForAllValues:StringNotLike",
            "aws:PrincipalOrgPaths",
            "o-a1b2c3d4e5/*",
        ),
        ("StringNotEqualsIfExists", "aws:SourceOrgID", "o-a1b2c3d4e5"),
    ] {
        let mut statements = documented()?;
        statements.push(format!(
            "{{\"Sid\":\"Perimeter\",\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":\"kms:*\",\"Resource\":\"*\",\"Condition\":{{\"{operator}\":\
             {{\"{key}\":\"{value}\"}},\"Bool\":{{\"aws:PrincipalIsAWSService\":\"false\"}}}}}}"
        ));
        let question = Question {
            usage: Usage {
                use_cases: vec![UseCase::ManagedServices.into()],
                cross_account_role: None,
                ..question()?.usage
            },
            ..question()?
        };
        text.push_str(&read(&judge(&facts(&statements)?, &question)));
        text.push_str("\n====\n\n");
    }
    insta::assert_snapshot!(text);
    Ok(())
}

/// An undecidable condition does not hide that no statement allows the call.
#[test]
fn an_undecidable_deny_does_not_hide_a_missing_allow() -> Outcome {
    let deny = r#"{"Sid":"Network","Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:SourceVpc":"vpc-1"}}}"#;
    let half = documented()?.first().cloned().unwrap_or_default();
    let question = Question {
        usage: Usage {
            use_cases: vec![UseCase::Storage.into()],
            cross_account_role: None,
            ..question()?.usage
        },
        ..question()?
    };
    let found = judge(&facts(&[half, deny.to_owned()])?, &question);
    let ids: Vec<Id> = found.iter().map(|finding| finding.id).collect();
    assert_eq!(
        ids,
        [Id::PolicyMissingAction, Id::PolicyUndetermined],
        "{}",
        read(&found)
    );
    assert!(
        found
            .iter()
            .any(|finding| finding.found.contains("kms:GenerateDataKey")),
        "{}",
        read(&found)
    );
    Ok(())
}

/// Across accounts the key policy is half of the truth.
#[test]
fn a_role_of_another_account_is_never_proven_by_the_key_policy_alone() -> Outcome {
    let role = "arn:aws:iam::999999999999:role/dbx";
    let usage = Usage {
        cross_account_role: Some(role.parse()?),
        ..question()?.usage
    };
    let statements: Vec<String> = usage
        .grants()
        .into_iter()
        .map(|grant| grant.statement)
        .collect();
    let question = Question {
        usage,
        ..question()?
    };
    let facts = facts(&statements)?;
    insta::assert_snapshot!(read(&judge(&facts, &question)));
    let standings: Vec<&str> = proof::proof(&facts, &question)
        .into_iter()
        .filter(|one| one.principal == role)
        .map(|one| one.standing.name())
        .collect();
    assert_eq!(standings, ["allowed_by_key_policy_only"; 5]);
    Ok(())
}

#[test]
fn a_key_in_a_bad_state_is_told_with_the_command_that_helps() -> Outcome {
    let mut text = String::new();
    let rows = [
        (
            "Disabled",
            "ENCRYPT_DECRYPT",
            "SYMMETRIC_DEFAULT",
            "CUSTOMER",
            None,
        ),
        (
            "PendingDeletion",
            "ENCRYPT_DECRYPT",
            "SYMMETRIC_DEFAULT",
            "CUSTOMER",
            Some("2026-12-24T00:00:00Z"),
        ),
        (
            "PendingImport",
            "ENCRYPT_DECRYPT",
            "SYMMETRIC_DEFAULT",
            "CUSTOMER",
            None,
        ),
        (
            "Unavailable",
            "ENCRYPT_DECRYPT",
            "SYMMETRIC_DEFAULT",
            "CUSTOMER",
            None,
        ),
        ("Enabled", "SIGN_VERIFY", "RSA_2048", "CUSTOMER", None),
        (
            "Enabled",
            "ENCRYPT_DECRYPT",
            "SYMMETRIC_DEFAULT",
            "AWS",
            None,
        ),
    ];
    for (state, usage, spec, manager, deletion) in rows {
        let mut facts = facts(&documented()?)?;
        facts.description = Fact::Known(KeyDescription {
            state: state.into(),
            usage: usage.to_owned(),
            spec: spec.to_owned(),
            manager: manager.to_owned(),
            deletion_date: deletion.map(str::to_owned),
            material_expires: None,
            replica_of: None,
        });
        text.push_str(&read(&judge(&facts, &question()?)));
        text.push_str("\n====\n\n");
    }
    insta::assert_snapshot!(text);
    Ok(())
}

/// Each row: what it is, what is changed in the facts, and the finding.
#[test]
fn what_works_and_is_worth_a_word_is_a_warning() -> Outcome {
    let extra = |statement: &str| -> Result<KeyFacts, Box<dyn std::error::Error>> {
        let mut all = documented()?;
        all.push(statement.to_owned());
        facts(&all)
    };
    let described =
        |change: fn(&mut KeyDescription)| -> Result<KeyFacts, Box<dyn std::error::Error>> {
            let mut facts = facts(&documented()?)?;
            if let Fact::Known(description) = &mut facts.description {
                change(description);
            }
            Ok(facts)
        };
    let rows = [
        (
            "material that expires",
            described(|key| key.material_expires = Some("2027-01-01T00:00:00Z".to_owned()))?,
            Id::KmsKeyExpires,
        ),
        (
            "a replica",
            described(|key| key.replica_of = Some("arn:…".to_owned()))?,
            Id::KmsKeyReplica,
        ),
        (
            "no rotation",
            KeyFacts {
                rotates: Some(Fact::Known(false)),
                ..facts(&documented()?)?
            },
            Id::KmsKeyNoRotation,
        ),
        (
            "a wildcard for Databricks",
            extra(
                r#"{"Effect":"Allow","Principal":{"AWS":"414351767826"},"Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/DatabricksAccountId":"2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11"}}}"#,
            )?,
            Id::PolicyTooMuch,
        ),
        (
            "grants without a condition",
            extra(
                r#"{"Effect":"Allow","Principal":{"AWS":"414351767826"},"Action":"kms:CreateGrant","Resource":"*"}"#,
            )?,
            Id::PolicyTooMuch,
        ),
        (
            "a role that grants by itself",
            extra(
                r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:role/dbx"},"Action":"kms:CreateGrant","Resource":"*"}"#,
            )?,
            Id::PolicyTooMuch,
        ),
        (
            "everybody",
            extra(
                r#"{"Effect":"Allow","Principal":"*","Action":"kms:DescribeKey","Resource":"*"}"#,
            )?,
            Id::PolicyAnyone,
        ),
        (
            "a deleted role",
            extra(
                r#"{"Effect":"Allow","Principal":{"AWS":"AROAABCDEFGHIJKLMNOP"},"Action":"kms:Decrypt","Resource":"*"}"#,
            )?,
            Id::PolicyDeletedPrincipal,
        ),
    ];
    for (what, facts, id) in rows {
        let findings = judge(&facts, &question()?);
        assert!(
            findings
                .iter()
                .all(|finding| finding.severity == Severity::Warning),
            "{what}: {}",
            read(&findings)
        );
        assert!(
            findings.iter().any(|finding| finding.id == id),
            "{what}: {}",
            read(&findings)
        );
    }
    Ok(())
}

#[test]
fn a_grant_makes_up_for_the_policy_with_a_warning() -> Outcome {
    let mut statements = documented()?;
    statements.pop();
    let mut facts = facts(&statements)?;
    facts.policy = Fact::Known(match &facts.policy {
        // Without the account's own statement nothing is delegated to IAM.
        Fact::Known(text) => text.replace(&format!("{ADMIN},"), ""),
        Fact::Unreadable(_) => String::new(),
    });
    assert!(
        judge(&facts, &question()?)
            .iter()
            .any(|finding| finding.id == Id::PolicyMissingAction)
    );
    let operations = [
        "Decrypt",
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
        "CreateGrant",
        "DescribeKey",
    ];
    assert!(grants_matter(&facts, &question()?));
    facts.grants = Some(Fact::Known(vec![KmsGrant {
        id: "1234".to_owned(),
        grantee: "arn:aws:iam::123456789012:role/dbx".to_owned(),
        operations: operations.map(str::to_owned).to_vec(),
        constrained: false,
    }]));
    let findings = judge(&facts, &question()?);
    assert_eq!(
        findings
            .iter()
            .map(|finding| finding.id)
            .collect::<Vec<_>>(),
        [Id::PolicyGrantOnly],
        "{}",
        read(&findings)
    );
    Ok(())
}

/// Each row: what was mistaken, in the documented statements, and the hint.
#[test]
fn a_mistaken_principal_is_pointed_out() -> Outcome {
    let rows = [
        (
            "arn:aws:iam::414351767826:root",
            "arn:aws-us-gov:iam::044793339203:root",
            "044793339203, which is Databricks on AWS GovCloud",
        ),
        (
            "arn:aws:iam::414351767826:root",
            "arn:aws-us-gov:iam::414351767826:root",
            "which is in another partition",
        ),
        (
            "2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11",
            "2A6F0A5C-8F1E-4A53-9A77-6F3B1F0C2D11",
            "writes the Databricks account ID in another case",
        ),
        (
            "role/dbx",
            "role/other",
            "names another role, arn:aws:iam::123456789012:role/other",
        ),
    ];
    for (right, wrong, hint) in rows {
        let statements: Vec<String> = documented()?
            .iter()
            .map(|statement| statement.replace(right, wrong))
            .collect();
        let mut facts = facts(&statements)?;
        if let Fact::Known(text) = &mut facts.policy {
            *text = text.replace(&format!("{ADMIN},"), "");
        }
        let text = read(&judge(&facts, &question()?));
        assert!(text.contains(hint), "{hint} is missing in:\n{text}");
    }
    Ok(())
}

#[test]
fn what_cannot_be_read_warns_at_plan_and_stops_at_apply() -> Outcome {
    let mut facts = facts(&[])?;
    let denied = |permission| Unreadable {
        permission: Some(permission),
        reason: format!("you may not call {permission}"),
        remedy: None,
        is_missing: false,
    };
    facts.description = Fact::Unreadable(denied("kms:DescribeKey"));
    facts.policy = Fact::Unreadable(denied("kms:GetKeyPolicy"));
    let at = |stage| -> Result<Vec<(Id, Severity)>, Box<dyn std::error::Error>> {
        let findings = judge(
            &facts,
            &Question {
                stage,
                ..question()?
            },
        );
        Ok(findings
            .iter()
            .map(|finding| (finding.id, finding.severity))
            .collect())
    };
    let unread = |severity| {
        vec![
            (Id::KmsKeyUnreadable, severity),
            (Id::PolicyUnreadable, severity),
        ]
    };
    assert_eq!(at(Stage::Plan)?, unread(Severity::Warning));
    assert_eq!(at(Stage::Apply)?, unread(Severity::Error));
    // The error of an apply does not have the sentence about plans.
    for (stage, is_plan) in [(Stage::Plan, true), (Stage::Apply, false)] {
        let question = Question {
            stage,
            ..question()?
        };
        for one in judge(&facts, &question) {
            assert_eq!(one.why.contains("Planning continues"), is_plan, "{stage:?}");
        }
    }
    Ok(())
}

#[test]
fn a_key_of_another_partition_is_refused() -> Outcome {
    let mut facts = facts(&documented()?)?;
    facts.arn =
        "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
            .parse()?;
    assert!(
        judge(&facts, &question()?)
            .iter()
            .any(|finding| finding.id == Id::KmsKeyPartition)
    );
    Ok(())
}

/// A role with these inline policies.
fn known_role(policies: &[&str]) -> RoleKnowledge {
    RoleKnowledge::Known(RoleFacts {
        trust: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::414351767826:root"},"Action":"sts:AssumeRole"}]}"#.to_owned(),
        policies: policies
            .iter()
            .enumerate()
            .map(|(at, text)| NamedPolicy {
                name: format!("the inline policy p{at}"),
                text: (*text).to_owned(),
            })
            .collect(),
        boundary: None,
    })
}

const ROLE_ALLOWS: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}"#;
const ROLE_DENIES: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"NoKeys","Effect":"Deny","Action":"kms:CreateGrant","Resource":"*"}]}"#;
const ROLE_OTHER: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"}]}"#;

/// The documented statements but those that name the role, so that its IAM policies decide.
fn left_to_iam() -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let all = documented()?.into_iter();
    Ok(all.filter(|one| !one.contains("role/dbx")).collect())
}

#[test]
fn what_the_policies_of_a_role_say_against_it() -> Outcome {
    let boundary = |document: &str| {
        let RoleKnowledge::Known(facts) = known_role(&[ROLE_ALLOWS]) else {
            return RoleKnowledge::NotAsked;
        };
        RoleKnowledge::Known(RoleFacts {
            boundary: Some(NamedPolicy {
                name: "arn:aws:iam::123456789012:policy/boundary".to_owned(),
                text: document.to_owned(),
            }),
            ..facts
        })
    };
    let rows = [
        known_role(&[ROLE_ALLOWS]),
        known_role(&[ROLE_OTHER]),
        known_role(&[ROLE_ALLOWS, ROLE_DENIES]),
        boundary(ROLE_OTHER),
        known_role(&["{}"]),
        RoleKnowledge::Missing,
        RoleKnowledge::Off,
    ];
    let mut shown = String::new();
    for role in rows {
        let facts = KeyFacts {
            role,
            ..facts(&left_to_iam()?)?
        };
        shown.push_str(&read(&judge(&facts, &question()?)));
        shown.push_str("\n====\n\n");
    }
    insta::assert_snapshot!(shown);
    Ok(())
}

/// What the same plan cannot repair stops it; what it may repair stops the apply.
#[test]
fn a_role_stops_a_plan_that_cannot_change_it() -> Outcome {
    for (may_change_roles, stage, severity) in [
        (true, Stage::Plan, Severity::Warning),
        (false, Stage::Plan, Severity::Error),
        (true, Stage::Apply, Severity::Error),
        (false, Stage::Apply, Severity::Error),
    ] {
        for role in [
            known_role(&[ROLE_OTHER]),
            known_role(&[ROLE_ALLOWS, ROLE_DENIES]),
            known_role(&["{}"]),
            RoleKnowledge::Missing,
        ] {
            let facts = KeyFacts {
                role,
                may_change_roles,
                ..facts(&left_to_iam()?)?
            };
            let asked = Question {
                stage,
                ..question()?
            };
            let found = judge(&facts, &asked);
            let of_role: Vec<&Finding> = found
                .iter()
                .filter(|one| one.id.name().starts_with("role-"))
                .collect();
            assert!(
                !of_role.is_empty() && of_role.iter().all(|one| one.severity == severity),
                "{may_change_roles} {stage:?}: {found:?}"
            );
        }
    }
    Ok(())
}

/// Each row: the role's policies, what the simulator says of every action, whether the organization allows it, and what is found.
#[test]
fn the_simulator_is_believed_or_contradicted() -> Outcome {
    use SimulatedDecision::{Allowed, ExplicitDeny, ImplicitDeny};
    let rows: [(&[&str], SimulatedDecision, Option<bool>, &[Id]); 6] = [
        (&[ROLE_ALLOWS], Allowed, None, &[]),
        (&[ROLE_ALLOWS], Allowed, Some(true), &[]),
        (
            &[ROLE_ALLOWS],
            ExplicitDeny,
            Some(false),
            &[Id::RoleOrganizationDenies],
        ),
        (
            &[ROLE_ALLOWS],
            ImplicitDeny,
            Some(true),
            &[Id::RoleSimulationDisagrees],
        ),
        (
            &[ROLE_OTHER],
            Allowed,
            None,
            &[Id::RoleIamMissingAction, Id::RoleSimulationDisagrees],
        ),
        (
            &[ROLE_OTHER],
            ImplicitDeny,
            None,
            &[Id::RoleIamMissingAction],
        ),
    ];
    for (policies, decision, allowed_by_organization, expected) in rows {
        let question = question()?;
        let plain = facts(&left_to_iam()?)?;
        let calls = calls_to_simulate(&plain.arn, &question);
        let actions = calls.iter().flat_map(|call| &call.actions);
        let simulation = Simulation::Known(
            actions
                .map(|action| Simulated {
                    action: (*action).to_owned(),
                    decision: decision.clone(),
                    allowed_by_organization,
                })
                .collect(),
        );
        let facts = KeyFacts {
            role: known_role(policies),
            simulation,
            ..plain
        };
        let found: Vec<Id> = judge(&facts, &question).iter().map(|one| one.id).collect();
        assert_eq!(found, expected, "{policies:?} {decision:?}");
    }
    Ok(())
}

/// The calls to the simulator have no wildcards, and only the context that a caller gives.
#[test]
fn the_simulator_is_asked_what_it_takes() -> Outcome {
    let facts = facts(&[])?;
    let calls = calls_to_simulate(&facts.arn, &question()?);
    let mut actions: Vec<&str> = calls.iter().flat_map(|call| call.actions.clone()).collect();
    actions.sort_unstable();
    assert!(
        actions.contains(&"kms:CreateGrant") && actions.contains(&"kms:Decrypt"),
        "{actions:?}"
    );
    assert!(actions.iter().all(|action| !action.contains('*')));
    for call in &calls {
        let of_grants = call.actions.contains(&"kms:CreateGrant");
        let names: Vec<&str> = call.context.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.contains(&"kms:grantisforawsresource"), of_grants);
        assert!(names.contains(&"kms:viaservice"), "{names:?}");
        assert!(names.iter().all(|name| !name.starts_with("aws:principal")));
    }
    Ok(())
}

/// Each row: a statement beside the documented ones without a finding: KMS does not let another account do it, whatever the policy says, or it
/// is for AWS services alone.
#[test]
fn what_has_no_effect_or_is_limited_is_not_too_much() -> Outcome {
    let documented = documented()?;
    let rows = [
        r#"{"Effect":"Allow","Principal":{"AWS":"414351767826"},"Action":["kms:PutKeyPolicy","kms:ScheduleKeyDeletion","kms:DisableKey"],"Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/DatabricksAccountId":"2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11"}}}"#,
        r#"{"Effect":"Allow","Principal":{"AWS":"414351767826"},"Action":["kms:CreateGrant","kms:ListGrants","kms:RevokeGrant"],"Resource":"*","Condition":{"Bool":{"kms:GrantIsForAWSResource":"true"}}}"#,
    ];
    for statement in rows {
        let mut all = documented.clone();
        all.push(statement.to_owned());
        let findings = judge(&facts(&all)?, &question()?);
        assert!(
            !findings.iter().any(|one| one.id == Id::PolicyTooMuch),
            "{statement}: {}",
            read(&findings)
        );
    }
    Ok(())
}

/// What is wrong with a key in use names who uses it, and advises no attach and no other key.
#[test]
fn a_key_in_use_names_the_workspaces_that_are_cut_off() -> Outcome {
    let used = |workspace: &str, cases: &[UseCase], is_asked| UsedBy {
        workspace: workspace.to_owned(),
        cases: cases.to_vec(),
        is_asked,
    };
    let asked = Question {
        used_by: vec![
            used("1 (\"one\")", &UseCase::ACCOUNT, true),
            used("2 (\"two\")", &[UseCase::ManagedServices], false),
            used("3 (\"three\")", &[UseCase::Storage], false),
        ],
        ..question()?
    };
    let deny =
        r#"{"Sid":"Closed","Effect":"Deny","Principal":"*","Action":"kms:*","Resource":"*"}"#;
    let mut denied = documented()?;
    denied.push(deny.to_owned());
    let in_state = |state: KeyState| -> Result<KeyFacts, Box<dyn std::error::Error>> {
        let description = KeyDescription {
            state,
            deletion_date: Some("2026-12-30T00:00:00Z".to_owned()),
            ..KeyDescription::good()
        };
        Ok(KeyFacts {
            description: Fact::Known(description),
            ..facts(&documented()?)?
        })
    };
    let missing = KeyFacts {
        description: Fact::Unreadable(Unreadable {
            permission: None,
            reason: "KMS has no such key".to_owned(),
            remedy: None,
            is_missing: true,
        }),
        ..facts(&documented()?)?
    };
    let rows = [
        in_state(KeyState::Disabled)?,
        in_state(KeyState::PendingDeletion)?,
        in_state(KeyState::PendingImport)?,
        in_state(KeyState::Other("Updating".to_owned()))?,
        missing,
        facts(&[])?,
        facts(&denied)?,
    ];
    for row in rows {
        let findings = judge(&row, &asked);
        let errors = findings
            .iter()
            .filter(|one| one.severity == Severity::Error);
        let errors: Vec<Finding> = errors.cloned().collect();
        assert!(!errors.is_empty());
        for one in errors {
            let (text, summary) = (read(std::slice::from_ref(&one)), &one.summary);
            assert!(one.found.contains("1 (\"one\")"), "{text}");
            let of_role = summary.contains("cluster volumes");
            assert_eq!(
                one.found.contains("3 (\"three\")"),
                !of_role && !summary.contains("managed services"),
                "{text}"
            );
            assert_eq!(
                one.found.contains("2 (\"two\")"),
                !of_role && !summary.contains("storage"),
                "{text}"
            );
            for wrong in [
                "attach fails",
                "an attach would",
                "another key",
                "when it attaches",
            ] {
                assert!(!text.contains(wrong), "{wrong}: {text}");
            }
        }
    }
    Ok(())
}

const TABLES: &str = "arn:aws:iam::123456789012:role/tables";

/// Asked of a key for tables alone, with this role.
fn for_tables(role: &str) -> Result<Question, Box<dyn std::error::Error>> {
    let account: AccountId = "2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11".parse()?;
    let usage = Usage::of(Deployment::Commercial, [account], [KeyUse::UnityCatalog]);
    Ok(Question {
        usage: usage.with_table_roles([role.parse()?]),
        ..question()?
    })
}

/// Each row: the statements of the key policy, the role and its IAM policies, what is found, and how each action stands.
#[test]
fn the_role_of_a_storage_credential_is_judged_by_key_policy_and_iam() -> Outcome {
    let elsewhere = "arn:aws:iam::999999999999:role/tables";
    let own = |role: &str| -> Result<Vec<String>, Box<dyn std::error::Error>> {
        let grants = for_tables(role)?.usage.grants();
        Ok(grants.into_iter().map(|grant| grant.statement).collect())
    };
    let denies_tables = r#"{"Version":"2012-10-17","Statement":[{"Sid":"No","Effect":"Deny","Action":"kms:Decrypt","Resource":"*"}]}"#;
    let no_s3 = r#"{"Sid":"NoS3","Effect":"Deny","Principal":"*","Action":"kms:Decrypt","Resource":"*","Condition":{"StringLike":{"kms:ViaService":"s3.*.amazonaws.com"}}}"#;
    let off = RoleKnowledge::Off;
    use crate::aws::proof::Standing::{self, Allowed, Delegated, Denied, Halfway, Missing};
    #[rustfmt::skip]
    let rows: [(&str, Vec<String>, &str, RoleKnowledge, &[Id], Standing); 9] = [
        ("a statement", own(TABLES)?, TABLES, off.clone(), &[], Allowed),
        ("nothing", Vec::new(), elsewhere, off.clone(), &[Id::PolicyMissingAction], Missing),
        ("the account alone", Vec::new(), TABLES, off.clone(), &[Id::PolicyDelegatedOnly], Delegated),
        ("the account, and IAM allows", Vec::new(), TABLES, known_role(&[ROLE_ALLOWS]), &[], Allowed),
        ("the account, and IAM does not", Vec::new(), TABLES, known_role(&[ROLE_OTHER]), &[Id::RoleIamMissingAction], Missing),
        ("a Deny of IAM", own(TABLES)?, TABLES, known_role(&[ROLE_ALLOWS, denies_tables]), &[Id::RoleIamDenies], Denied),
        ("a Deny of the key policy", [own(TABLES)?, vec![no_s3.to_owned()]].concat(), TABLES, off.clone(), &[Id::PolicyExplicitDeny], Denied),
        ("another account", own(elsewhere)?, elsewhere, off, &[Id::PolicyRoleInAnotherAccount], Halfway),
        ("no such role", own(TABLES)?, TABLES, RoleKnowledge::Missing, &[Id::RoleNotFound], Allowed),
    ];
    for (what, statements, role, known, expected, standing) in rows {
        let question = for_tables(role)?;
        let facts = KeyFacts {
            table_roles: [(role.parse()?, known)].into(),
            ..facts(&statements)?
        };
        let found = judge(&facts, &question);
        let ids: Vec<Id> = found.iter().map(|one| one.id).collect();
        assert_eq!(ids, expected, "{what}: {found:#?}");
        let shown = read(&found);
        assert!(!shown.contains("lusters"), "{what}: {shown}");
        assert!(
            found.is_empty() || shown.contains(role),
            "{what}: the role is named: {shown}"
        );
        let proof = proof(&facts, &question);
        let decrypt = proof.iter().find(|one| one.action == "kms:Decrypt");
        assert_eq!(decrypt.map(|one| one.standing), Some(standing), "{what}");
        let open = not_examined(&facts, &question);
        assert!(open.iter().any(|one| one.what.contains("Session policies")));
    }
    Ok(())
}

/// The use case alone gives the account of Databricks nothing.
#[test]
fn tables_need_nothing_of_databricks_own_account() -> Outcome {
    let grants = for_tables(TABLES)?.usage.grants();
    let texts: Vec<&str> = grants.iter().map(|one| one.statement.as_str()).collect();
    assert_eq!(
        texts,
        [format!(
            "{{\"Sid\":\"Allow Unity Catalog to use KMS key for tables\",\"Effect\":\"Allow\",\"Principal\":{{\"AWS\":\"{TABLES}\"}},\
             \"Action\":[\"kms:Decrypt\",\"kms:Encrypt\",\"kms:GenerateDataKey*\"],\"Resource\":\"*\"}}"
        )]
    );
    Ok(())
}
