//! The findings about keys of Key Vault and Managed HSM, and about workspaces.

use std::collections::BTreeMap;

use time::OffsetDateTime;
use time::macros::datetime;

use super::*;
use crate::Severity;
use requirements::azure::{ENCRYPTION_USER, HSM_ENCRYPTION_USER, Rights, rights_of};
use vocabulary::azure::PrincipalId;

type Outcome = Result<(), Box<dyn std::error::Error>>;

const AT: OffsetDateTime = datetime!(2026-11-26 12:00 UTC);
const DATABRICKS: &str = "11111111-1111-4111-8111-111111111111";
const WORKSPACE: &str =
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.Databricks/workspaces/lake";

fn principal_id() -> Result<PrincipalId, Box<dyn std::error::Error>> {
    Ok(DATABRICKS.parse()?)
}

fn question() -> Result<Question, Box<dyn std::error::Error>> {
    Ok(Question {
        cases: UseCase::ALL.to_vec(),
        used_for: Vec::new(),
        grantees: vec![Grantee {
            role: Role::AzureDatabricks,
            principal: principal_id()?,
            case: UseCase::ManagedServices.into(),
        }],
        not_known: Vec::new(),
        workspace: Some(WORKSPACE.parse()?),
        location: Some("West Europe".to_owned()),
        tenant: Some("T".to_owned()),
        stage: Stage::Apply,
    })
}

fn assignment(role: &str) -> Assignment {
    Assignment {
        scope: "/subscriptions/s".to_owned(),
        role: role.to_owned(),
        rights: rights_of(role),
        group: None,
        condition: None,
    }
}

fn assigned(
    all: Vec<Assignment>,
) -> Result<BTreeMap<PrincipalId, Fact<Vec<Assignment>>>, Box<dyn std::error::Error>> {
    Ok([(principal_id()?, Fact::Known(all))].into())
}

fn unread<T>() -> Fact<T> {
    Fact::Unreadable(Unreadable {
        permission: None,
        reason: "403".to_owned(),
        remedy: None,
        is_missing: false,
    })
}

/// A key without findings, in a vault without findings.
fn good() -> Result<VaultKeyFacts, Box<dyn std::error::Error>> {
    Ok(VaultKeyFacts {
        id: "https://acme.vault.azure.net/keys/lake".parse()?,
        barrier: None,
        absence: Absence::Unexplained,
        key: Fact::Known(VaultKey {
            version: "0123456789abcdef0123456789abcdef".to_owned(),
            kind: "RSA".to_owned(),
            bits: Some(3072),
            enabled: true,
            not_before: None,
            expires: None,
            operations: ["wrapKey", "unwrapKey"].map(str::to_owned).to_vec(),
            recovery_level: "Recoverable".to_owned(),
            recoverable_days: Some(90),
            of_certificate: false,
        }),
        vault_id: Some(
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/acme".parse()?,
        ),
        vault: Fact::Known(Vault {
            location: "westeurope".to_owned(),
            tenant: "t".to_owned(),
            sku: "premium".to_owned(),
            soft_delete: true,
            retention_days: Some(90),
            purge_protection: true,
            network: Network {
                allows_by_default: false,
                lets_trusted_services_in: true,
                is_secured_by_perimeter: false,
            },
            access: AccessModel::RoleAssignments(Fact::Known(Vec::new())),
        }),
        assignments: assigned(vec![assignment(ENCRYPTION_USER)])?,
        planned: Vec::new(),
        at: AT,
    })
}

fn ids(findings: &[Finding]) -> Vec<(Id, Severity)> {
    findings.iter().map(|one| (one.id, one.severity)).collect()
}

#[test]
fn a_good_key_leaves_nothing_to_say() -> Outcome {
    assert_eq!(judge(&good()?, &question()?), []);
    Ok(())
}

/// Each row: what is changed of a good key, and the finding.
#[test]
fn what_is_wrong_with_a_key_is_named() -> Outcome {
    type Change = fn(&mut VaultKey);
    let rows: [(Change, Id); 7] = [
        (|key| key.kind = "EC".to_owned(), Id::AzureKeyType),
        (|key| key.bits = Some(1024), Id::AzureKeySize),
        (|key| key.enabled = false, Id::AzureKeyDisabled),
        (|key| key.expires = Some(AT), Id::AzureKeyExpired),
        (
            |key| key.not_before = Some(datetime!(2027-01-01 0:00 UTC)),
            Id::AzureKeyExpired,
        ),
        (
            |key| key.operations = vec!["wrapKey".to_owned()],
            Id::AzureKeyOperations,
        ),
        (|key| key.of_certificate = true, Id::AzureKeyOfCertificate),
    ];
    for (change, id) in rows {
        let mut facts = good()?;
        if let Fact::Known(key) = &mut facts.key {
            change(key);
        }
        let found = judge(&facts, &question()?);
        assert_eq!(ids(&found), [(id, Severity::Error)], "{found:?}");
    }
    Ok(())
}

/// Each row: what is changed of a good vault, and the finding.
#[test]
fn what_is_wrong_with_a_vault_is_named() -> Outcome {
    type Change = fn(&mut Vault);
    let rows: [(Change, Id, Severity); 5] = [
        (
            |vault| vault.tenant = "other".to_owned(),
            Id::AzureVaultTenant,
            Severity::Error,
        ),
        (
            |vault| vault.location = "northeurope".to_owned(),
            Id::AzureVaultRegion,
            Severity::Error,
        ),
        (
            |vault| vault.network.lets_trusted_services_in = false,
            Id::AzureVaultNetwork,
            Severity::Error,
        ),
        (
            |vault| vault.network.is_secured_by_perimeter = true,
            Id::AzureVaultNetwork,
            Severity::Error,
        ),
        (
            |vault| vault.soft_delete = false,
            Id::AzurePurgeProtectionMissing,
            Severity::Error,
        ),
    ];
    for (change, id, severity) in rows {
        let mut facts = good()?;
        if let Fact::Known(vault) = &mut facts.vault {
            change(vault);
        }
        let found = judge(&facts, &question()?);
        assert_eq!(ids(&found), [(id, severity)], "{found:?}");
    }
    Ok(())
}

/// Each row: who may use the keys of the vault, and the finding about the principal.
#[test]
fn each_model_of_access_decides_in_its_own_way() -> Outcome {
    let policy = |keys: &[&str]| {
        AccessModel::AccessPolicies(vec![AccessPolicy {
            principal: DATABRICKS.to_ascii_uppercase(),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        }])
    };
    let by_roles = || AccessModel::RoleAssignments(Fact::Known(Vec::new()));
    let denied = |principals: &[&str], except: &[&str], has_groups: bool| {
        AccessModel::RoleAssignments(Fact::Known(vec![DenyAssignment {
            name: "blueprint".to_owned(),
            denied: Rights::ALL,
            principals: principals.iter().map(|one| (*one).to_owned()).collect(),
            except: except.iter().map(|one| (*one).to_owned()).collect(),
            has_groups,
            condition: None,
        }]))
    };
    let everybody = "00000000-0000-0000-0000-000000000000";
    let conditional = Assignment {
        condition: Some("@Resource[…]".to_owned()),
        ..assignment(ENCRYPTION_USER)
    };
    let granted = || vec![assignment(ENCRYPTION_USER)];
    let rows = [
        (policy(&["Get", "WrapKey", "UnwrapKey"]), Vec::new(), None),
        (
            policy(&["Get", "WrapKey"]),
            Vec::new(),
            Some(Id::AzurePrincipalMissing),
        ),
        (by_roles(), granted(), None),
        (by_roles(), Vec::new(), Some(Id::AzurePrincipalMissing)),
        (
            by_roles(),
            vec![assignment("b24988ac-6180-42a0-ab88-20f7382dd24c")],
            Some(Id::AzurePrincipalMissing),
        ),
        (
            by_roles(),
            vec![assignment("99999999-9999-4999-8999-999999999999")],
            Some(Id::AzurePrincipalUnknownRole),
        ),
        (
            by_roles(),
            vec![conditional],
            Some(Id::AzurePrincipalConditional),
        ),
        (
            AccessModel::LocalRoles,
            vec![assignment(HSM_ENCRYPTION_USER)],
            None,
        ),
        (
            AccessModel::LocalRoles,
            Vec::new(),
            Some(Id::AzurePrincipalMissing),
        ),
        (
            AccessModel::RoleAssignments(unread()),
            granted(),
            Some(Id::AzurePrincipalNotSeen),
        ),
        (
            AccessModel::RoleAssignments(unread()),
            Vec::new(),
            Some(Id::AzurePrincipalMissing),
        ),
        (
            denied(&[everybody], &[], false),
            granted(),
            Some(Id::AzurePrincipalDenied),
        ),
        (
            denied(&[DATABRICKS], &[], false),
            granted(),
            Some(Id::AzurePrincipalDenied),
        ),
        (denied(&[everybody], &[DATABRICKS], false), granted(), None),
        (
            denied(&["other"], &[], true),
            granted(),
            Some(Id::AzurePrincipalPerhapsDenied),
        ),
        (denied(&["other"], &[], false), granted(), None),
        // Nothing allows it, so it is missing, whatever is denied.
        (
            denied(&["other"], &[], true),
            Vec::new(),
            Some(Id::AzurePrincipalMissing),
        ),
    ];
    for (model, assignments, expected) in rows {
        let mut facts = good()?;
        if let Fact::Known(vault) = &mut facts.vault {
            vault.access = model.clone();
        }
        facts.assignments = assigned(assignments)?;
        let found = judge(&facts, &question()?);
        let found: Vec<Id> = found.iter().map(|one| one.id).collect();
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{model:?}");
    }
    let mut facts = good()?;
    facts.assignments = [(principal_id()?, unread())].into();
    assert_eq!(
        ids(&judge(&facts, &question()?)),
        [(Id::AzurePrincipalNotSeen, Severity::Error)]
    );
    Ok(())
}

/// Each row: which principal is not known and why, what the same configuration is going to grant, and the finding at plan.
#[test]
fn who_is_not_known_is_named_unless_a_policy_grants_it() -> Outcome {
    let planned = |cases: &[UseCase],
                   workspace: Option<&str>,
                   has_unknown|
     -> Result<_, Box<dyn std::error::Error>> {
        Ok(Some(PlannedAccess {
            cases: cases.to_vec(),
            principals: Vec::new(),
            workspace: workspace.map(str::parse).transpose()?,
            has_unknown,
        }))
    };
    let other = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Databricks/workspaces/other";
    let storage = (Role::StorageAccount, UseCase::Storage);
    let app = (Role::AzureDatabricks, UseCase::ManagedServices);
    let closed = || Unknown::Unread("Graph is closed".to_owned());
    let rows = [
        (
            storage,
            Unknown::NotYetMade,
            None,
            Some((Id::AzurePrincipalMissing, Severity::Error)),
        ),
        (
            storage,
            Unknown::NotYetMade,
            planned(&[UseCase::Storage], Some(WORKSPACE), false)?,
            None,
        ),
        (
            storage,
            Unknown::NotYetMade,
            planned(&[UseCase::Storage], None, true)?,
            None,
        ),
        (
            storage,
            Unknown::NotYetMade,
            planned(&[UseCase::Storage], Some(other), false)?,
            Some((Id::AzurePrincipalMissing, Severity::Error)),
        ),
        (
            storage,
            Unknown::NotYetMade,
            planned(&[UseCase::ManagedServices], Some(WORKSPACE), false)?,
            Some((Id::AzurePrincipalMissing, Severity::Error)),
        ),
        (
            app,
            Unknown::NotInTenant,
            None,
            Some((Id::AzurePrincipalMissing, Severity::Error)),
        ),
        (
            app,
            Unknown::NotInTenant,
            planned(&[UseCase::ManagedServices], None, false)?,
            Some((Id::AzurePrincipalMissing, Severity::Error)),
        ),
        (
            app,
            closed(),
            None,
            Some((Id::AzurePrincipalNotSeen, Severity::Warning)),
        ),
        (
            app,
            closed(),
            planned(&[UseCase::ManagedServices], None, false)?,
            None,
        ),
    ];
    for ((role, case), why, planned, expected) in rows {
        let mut facts = good()?;
        facts.planned = planned.into_iter().collect();
        let question = Question {
            grantees: Vec::new(),
            not_known: vec![(role, case, why.clone())],
            stage: Stage::Plan,
            ..question()?
        };
        let found = ids(&judge(&facts, &question));
        assert_eq!(
            found,
            expected.into_iter().collect::<Vec<_>>(),
            "{role:?} {why:?}"
        );
    }
    Ok(())
}

/// Workspaces that share a key have a key policy each: one that another workspace has does not hide it, in whatever order they were planned.
#[test]
fn what_is_planned_counts_for_each_workspace_of_a_key() -> Outcome {
    let of = |workspace: &str| -> Result<_, Box<dyn std::error::Error>> {
        Ok(PlannedAccess {
            cases: vec![UseCase::Storage],
            workspace: Some(workspace.parse()?),
            ..PlannedAccess::default()
        })
    };
    let other = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Databricks/workspaces/other";
    for planned in [[WORKSPACE, other], [other, WORKSPACE]] {
        let mut facts = good()?;
        facts.planned = vec![of(planned[0])?, of(planned[1])?];
        for workspace in [WORKSPACE, other] {
            let question = Question {
                grantees: Vec::new(),
                not_known: vec![(Role::StorageAccount, UseCase::Storage, Unknown::NotYetMade)],
                workspace: Some(workspace.parse()?),
                stage: Stage::Plan,
                ..question()?
            };
            assert_eq!(ids(&judge(&facts, &question)), [], "{workspace}");
        }
    }
    Ok(())
}

/// Access that cannot be read is one finding with each principal once, the reason, and the right that is missing.
#[test]
fn unread_access_is_neither_there_nor_gone() -> Outcome {
    let mut facts = good()?;
    let grantees = question()?.grantees;
    assert_eq!(unseen(&facts, &grantees, Stage::Plan), None);
    facts.assignments = [(principal_id()?, unread())].into();
    let twice = [grantees.clone(), grantees].concat();
    let (principals, finding) = unseen(&facts, &twice, Stage::Plan).ok_or("nothing unseen")?;
    assert_eq!(principals, [principal_id()?]);
    assert_eq!(
        ids(std::slice::from_ref(&finding)),
        [(Id::AzurePrincipalNotSeen, Severity::Warning)]
    );
    let said = format!("{finding:?}");
    assert!(
        said.contains("Microsoft.Authorization/roleAssignments/read"),
        "{said}"
    );
    facts.assignments = assigned(Vec::new())?;
    assert_eq!(unseen(&facts, &twice, Stage::Plan), None);
    Ok(())
}

/// Each row: for what the workspace has the older version, and how long the advice says that it is needed.
#[test]
fn an_older_version_is_needed_as_long_as_its_feature_says() -> Outcome {
    use UseCase::{ManagedDisks, ManagedServices, Storage};
    let facts = good()?;
    let wanted = facts.id.versionless();
    let own = wanted.with_version("00000000000000000000000000000001");
    let Fact::Known(mut newest) = facts.key else {
        return Err("no key".into());
    };
    let at = |newest: &VaultKey, case, rotates| behind(case, &wanted, &own, (newest, AT), rotates);
    let one = at(&newest, ManagedServices, false).ok_or("not behind")?;
    let rows: [(&[UseCase], &[&str], &[&str]); 3] = [
        (
            &[ManagedServices],
            &["for 24 hours for managed services"],
            &["old disks"],
        ),
        (
            &[ManagedDisks],
            &["as long as old disks exist"],
            &["for managed services"],
        ),
        (
            &[ManagedServices, Storage, ManagedDisks],
            &[
                "24 hours for managed services",
                "as long as old disks exist",
                "for workspace storage",
            ],
            &[],
        ),
    ];
    for (cases, said, not) in rows {
        let text = format!("{:?}", one.finding(cases));
        assert!(said.iter().all(|one| text.contains(one)), "{text}");
        assert!(!not.iter().any(|one| text.contains(one)), "{text}");
    }
    assert!(at(&newest, ManagedDisks, true).is_none());
    assert!(behind(ManagedServices, &own, &own, (&newest, AT), false).is_none());
    // A newest version that cannot be used is said also of what would follow it.
    newest.enabled = false;
    let unusable = at(&newest, ManagedDisks, true).ok_or("not behind")?;
    assert!(one.is_usable() && !unusable.is_usable());
    Ok(())
}

/// Each row: the state of a former version, who may need it and when the workspace moved, and whether there is a finding.
#[test]
fn a_former_version_that_may_be_needed_is_to_stay_enabled() -> Outcome {
    use UseCase::{ManagedDisks, ManagedServices, Storage};
    let hours = |count: u64| std::time::Duration::from_secs(count * 60 * 60);
    for (case, after, expected) in [
        (ManagedServices, 23, true),
        (ManagedServices, 24, false),
        (Storage, 24, false),
        (ManagedDisks, 24 * 365, true),
    ] {
        assert_eq!(
            may_need_former(case, hours(after)),
            expected,
            "{case:?} {after}"
        );
    }
    let mut facts = good()?;
    let said = |facts: &VaultKeyFacts, cases: &[UseCase]| judge_former(facts, cases, "noon");
    assert_eq!(said(&facts, &[ManagedDisks]), None);
    if let Fact::Known(key) = &mut facts.key {
        key.enabled = false;
    }
    assert_eq!(said(&facts, &[]), None);
    let found = said(&facts, &[ManagedServices, ManagedDisks]).ok_or("not said")?;
    assert!(found.found.contains("until noon") && found.found.contains("Disabled"));
    assert!(found.why.contains("for 24 hours") && found.why.contains("old disks exist"));
    facts.key = unread();
    assert_eq!(said(&facts, &[ManagedDisks]), None, "not read");
    Ok(())
}

/// Each row: a key, and how the advice to paste refers to its vault.
#[test]
fn the_advice_names_the_kind_of_the_vault() -> Outcome {
    for (key, vault) in [
        (
            "https://lakehouse.vault.azure.net/keys/main",
            "= azurerm_key_vault.….id",
        ),
        (
            "https://lakehouse.managedhsm.azure.net/keys/main",
            "= azurerm_key_vault_managed_hardware_security_module.….id",
        ),
    ] {
        let facts = VaultKeyFacts {
            id: key.parse()?,
            ..good()?
        };
        let asked = Question {
            grantees: Vec::new(),
            not_known: vec![(Role::StorageAccount, UseCase::Storage, Unknown::NotYetMade)],
            ..question()?
        };
        let text = format!("{:?}", judge(&facts, &asked));
        assert!(text.contains(vault), "{text}");
    }
    Ok(())
}

#[test]
fn what_cannot_be_read_is_a_finding() -> Outcome {
    let mut facts = good()?;
    facts.key = unread();
    facts.vault = unread();
    let found = ids(&judge(&facts, &question()?));
    assert_eq!(
        found,
        [
            (Id::AzureKeyUnreadable, Severity::Error),
            (Id::AzureVaultUnreadable, Severity::Error)
        ]
    );
    // A key configuration attaches nothing.
    let alone = Question {
        grantees: Vec::new(),
        ..question()?
    };
    assert_eq!(
        ids(&judge(&facts, &alone)),
        [
            (Id::AzureKeyUnreadable, Severity::Error),
            (Id::AzureVaultUnreadable, Severity::Warning)
        ]
    );
    facts.key = Fact::Unreadable(Unreadable {
        permission: None,
        reason: "404".to_owned(),
        remedy: None,
        is_missing: true,
    });
    let at_plan = Question {
        stage: Stage::Plan,
        ..alone
    };
    assert_eq!(
        ids(&judge(&facts, &at_plan)).first(),
        Some(&(Id::AzureKeyNotFound, Severity::Error))
    );
    Ok(())
}

/// Each row: what is changed of a good workspace, for what it is to have a key, and the finding.
#[test]
fn what_a_workspace_says_against_a_key_is_named() -> Outcome {
    type Change = fn(&mut ArmWorkspaceFacts);
    let rows: [(Change, UseCase, Option<Id>); 11] = [
        (|_| {}, UseCase::Storage, None),
        (
            |one| one.tier = Some("Standard".to_owned()),
            UseCase::Storage,
            Some(Id::WorkspaceTier),
        ),
        (
            |one| one.tier = Some("enterprise".to_owned()),
            UseCase::Storage,
            None,
        ),
        (
            |one| one.tier = Some("platinum".to_owned()),
            UseCase::Storage,
            Some(Id::WorkspaceTierUnknown),
        ),
        (
            |one| one.tier = None,
            UseCase::Storage,
            Some(Id::WorkspaceTierUnknown),
        ),
        (
            |one| one.serverless_only = true,
            UseCase::ManagedServices,
            None,
        ),
        (
            |one| one.serverless_only = true,
            UseCase::ManagedDisks,
            Some(Id::WorkspaceDefaultStorage),
        ),
        (
            |one| one.is_fedramp = true,
            UseCase::ManagedDisks,
            Some(Id::AzureDisksFedRamp),
        ),
        (|one| one.is_fedramp = true, UseCase::Storage, None),
        (
            |one| one.state = "Deleting".to_owned(),
            UseCase::Storage,
            Some(Id::WorkspaceStatus),
        ),
        (
            |one| {
                one.attached = vec![(
                    UseCase::Storage,
                    AttachedVaultKey::Unreadable("{}".to_owned()),
                )]
            },
            UseCase::Storage,
            Some(Id::WorkspaceKeyUnreadable),
        ),
    ];
    for (change, case, expected) in rows {
        let mut workspace = ArmWorkspaceFacts {
            id: WORKSPACE.parse()?,
            tier: Some("premium".to_owned()),
            serverless_only: false,
            is_fedramp: false,
            state: "Succeeded".to_owned(),
            attached: Vec::new(),
        };
        change(&mut workspace);
        let found: Vec<Id> = judge_workspace(&workspace, case)
            .iter()
            .map(|one| one.id)
            .collect();
        assert_eq!(
            found,
            expected.into_iter().collect::<Vec<_>>(),
            "{workspace:?}"
        );
    }
    Ok(())
}

const V1: &str = "11111111111111111111111111111111";
const V2: &str = "22222222222222222222222222222222";

fn key_id(version: &str) -> Result<VaultKeyId, Box<dyn std::error::Error>> {
    let slash = if version.is_empty() { "" } else { "/" };
    Ok(format!("https://acme.vault.azure.net/keys/lake{slash}{version}").parse()?)
}

/// Each row: the version that the workspace has for managed services, for storage and for managed disks (none, `-`: no key), the version
/// in question, and what the proof judges: the version, the use cases of the question, and those for which the workspace has it.
#[test]
fn what_is_judged_is_what_the_workspace_uses() -> Outcome {
    use UseCase::{ManagedDisks, ManagedServices, Storage};
    type Row<'a> = (
        [&'a str; 3],
        &'a str,
        Vec<(&'a str, Vec<UseCase>, Vec<UseCase>)>,
    );
    let all = || vec![ManagedServices, Storage, ManagedDisks];
    let rows: Vec<Row<'_>> = vec![
        (["-", "-", "-"], "", vec![("", all(), vec![])]),
        ([V1, V1, V1], "", vec![(V1, all(), all())]),
        // The newest version does not matter where each use case has a version of its own.
        (
            [V1, "", V2],
            "",
            vec![
                (V1, vec![ManagedServices], vec![ManagedServices]),
                ("", vec![Storage], vec![Storage]),
                (V2, vec![ManagedDisks], vec![ManagedDisks]),
            ],
        ),
        (
            [V1, "-", "-"],
            "",
            vec![
                (V1, vec![ManagedServices], vec![ManagedServices]),
                ("", vec![Storage, ManagedDisks], vec![]),
            ],
        ),
        // A version that is named is judged, also where it is to come.
        ([V1, V1, V1], V2, vec![(V2, all(), vec![])]),
        ([V2, V1, V1], V2, vec![(V2, all(), vec![ManagedServices])]),
    ];
    for (attached, asked, expected) in rows {
        let shown = |version: &str| -> Result<AttachedVaultKey, Box<dyn std::error::Error>> {
            Ok(match version {
                "-" => AttachedVaultKey::None,
                version => AttachedVaultKey::Known(key_id(version)?),
            })
        };
        let [services, storage, disks] = attached;
        let workspace = ArmWorkspaceFacts {
            id: WORKSPACE.parse()?,
            tier: None,
            serverless_only: false,
            is_fedramp: false,
            state: "Succeeded".to_owned(),
            attached: vec![
                (ManagedServices, shown(services)?),
                (Storage, shown(storage)?),
                (ManagedDisks, shown(disks)?),
            ],
        };
        let found = judged_versions(Some(&workspace), &key_id(asked)?, &all());
        let expected = expected
            .into_iter()
            .map(|(version, cases, used_for)| {
                Ok(Judged {
                    key: key_id(version)?,
                    cases,
                    used_for,
                    has_tables: false,
                })
            })
            .collect::<Result<Vec<Judged>, Box<dyn std::error::Error>>>()?;
        let sorted = |all: Vec<Judged>| -> Vec<Judged> {
            let in_order = |mut one: Judged| {
                one.cases.sort();
                one.used_for.sort();
                one
            };
            all.into_iter().map(in_order).collect()
        };
        assert_eq!(sorted(found), sorted(expected), "{attached:?} {asked}");
    }
    Ok(())
}

/// Each row: what becomes of the key, whether a workspace has the version, and the finding with words of it.
#[test]
fn a_key_that_cannot_be_used_is_named_with_who_uses_it() -> Outcome {
    type Change = fn(&mut VaultKeyFacts);
    fn gone(facts: &mut VaultKeyFacts, absence: Absence) {
        facts.key = Fact::Unreadable(Unreadable {
            permission: None,
            reason: "404".to_owned(),
            remedy: None,
            is_missing: true,
        });
        facts.absence = absence;
    }
    let disabled: Change = |facts| {
        if let Fact::Known(key) = &mut facts.key {
            key.enabled = false;
        }
    };
    let deleted: Change = |facts| {
        let purged = Some(datetime!(2027-02-24 12:00 UTC));
        gone(facts, Absence::Deleted { purged });
    };
    let rows: [(Change, bool, Id, &[&str]); 9] = [
        (
            disabled,
            true,
            Id::AzureKeyDisabled,
            &[
                "The workspace \"lake\" uses a disabled version",
                "for managed services",
                "key restore",
                "--enable-anyway",
                "--version ",
            ],
        ),
        (
            disabled,
            false,
            Id::AzureKeyDisabled,
            &["newest one", "another version of the key keep working"],
        ),
        (
            deleted,
            true,
            Id::AzureKeyDeleted,
            &[
                "The key of the workspace \"lake\" is deleted",
                "2027-02-24T12:00:00Z",
                "key restore",
                "az keyvault key recover --vault-name acme --name lake",
            ],
        ),
        (
            deleted,
            false,
            Id::AzureKeyDeleted,
            &["2027-02-24", "key restore"],
        ),
        (
            |facts| {
                gone(facts, Absence::OtherVersions);
                facts.id = facts.id.with_version(V2);
            },
            false,
            Id::AzureKeyNotFound,
            &["does not have this version", "list-versions", V2],
        ),
        (
            |facts| gone(facts, Absence::Unexplained),
            false,
            Id::AzureKeyNotFound,
            &["az keyvault key list --vault-name acme"],
        ),
        (
            |facts| {
                if let Fact::Known(key) = &mut facts.key {
                    key.expires = Some(AT);
                }
            },
            true,
            Id::AzureKeyExpired,
            &["outside its dates", "can still be read", "lake"],
        ),
        (
            |facts| facts.barrier = Some(Barrier::NoToken("invalid_client".to_owned())),
            true,
            Id::AzureNoToken,
            &["invalid_client", "az login"],
        ),
        (
            |facts| {
                facts.barrier = Some(Barrier::OtherCloud {
                    configured: "usgovernment",
                });
            },
            false,
            Id::AzureKeyCloud,
            &["acme.vault.azure.net", "usgovernment"],
        ),
    ];
    for (change, is_used, id, words) in rows {
        let mut facts = good()?;
        change(&mut facts);
        let question = Question {
            used_for: if is_used {
                vec![UseCase::ManagedServices]
            } else {
                Vec::new()
            },
            ..question()?
        };
        let found = judge(&facts, &question);
        let [finding] = found.as_slice() else {
            return Err(format!("{found:?}").into());
        };
        assert_eq!((finding.id, finding.severity), (id, Severity::Error));
        let text = format!(
            "{}\n{}\n{}\n{}",
            finding.summary,
            finding.found,
            finding.why,
            finding.remedy.text(|_| None)
        );
        for word in words {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
    Ok(())
}

/// Azure itself requires purge protection where a storage account or a disk encryption set has the key, and the documentation asks for it
/// elsewhere; a vault that does not exist is not the same as one that the caller cannot read.
#[test]
fn what_a_vault_lacks_weighs_by_what_the_key_is_for() -> Outcome {
    let mut facts = good()?;
    if let Fact::Known(vault) = &mut facts.vault {
        vault.purge_protection = false;
    }
    if let Fact::Known(key) = &mut facts.key {
        key.recovery_level = "Recoverable+Purgeable".to_owned();
    }
    let rows = [
        (
            UseCase::ManagedServices,
            Id::AzureVaultUnprotected,
            Severity::Warning,
        ),
        (
            UseCase::Storage,
            Id::AzurePurgeProtectionMissing,
            Severity::Error,
        ),
        (
            UseCase::ManagedDisks,
            Id::AzurePurgeProtectionMissing,
            Severity::Error,
        ),
    ];
    for (case, id, severity) in rows {
        let question = Question {
            cases: vec![case],
            ..question()?
        };
        assert_eq!(ids(&judge(&facts, &question)), [(id, severity)], "{case}");
    }
    let mut facts = good()?;
    facts.vault = Fact::Unreadable(Unreadable {
        permission: None,
        reason: "it does not exist".to_owned(),
        remedy: None,
        is_missing: true,
    });
    let at_plan = Question {
        stage: Stage::Plan,
        ..question()?
    };
    assert_eq!(
        ids(&judge(&facts, &at_plan)),
        [(Id::AzureVaultNotFound, Severity::Error)]
    );
    Ok(())
}

/// Each row: the scopes at which the principal has its role, whether the vault has an access policy for it instead, and whether it loses the
/// key when this provider takes its access.
#[test]
fn only_who_has_the_key_from_nowhere_else_loses_it() -> Outcome {
    const KEY: &str =
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/Vaults/acme/keys/lake";
    let at = |scope: &str| Assignment {
        scope: scope.to_owned(),
        ..assignment(ENCRYPTION_USER)
    };
    let group = Assignment {
        group: Some("g".to_owned()),
        ..at(KEY)
    };
    let rows = [
        ("nothing else gives it", vec![at(KEY)], true),
        (
            "the subscription gives it",
            vec![at(KEY), at("/subscriptions/s")],
            false,
        ),
        ("a group gives it", vec![at(KEY), group], false),
        ("nothing is taken", vec![at("/subscriptions/s")], false),
        ("nothing was there", vec![], false),
    ];
    let principal: std::collections::BTreeSet<PrincipalId> = [principal_id()?].into();
    for (what, all, is_lost) in rows {
        let mut facts = good()?;
        facts.assignments = assigned(all)?;
        assert_eq!(
            !lost_without(&facts, &principal).is_empty(),
            is_lost,
            "{what}"
        );
    }
    let mut facts = good()?;
    facts.assignments = [(principal_id()?, unread())].into();
    assert_eq!(lost_without(&facts, &principal), principal, "not read");
    for (own, is_lost) in [
        (principal_id()?.to_string(), true),
        ("other".to_owned(), false),
    ] {
        let mut facts = good()?;
        if let Fact::Known(vault) = &mut facts.vault {
            vault.access = AccessModel::AccessPolicies(vec![AccessPolicy {
                principal: own,
                keys: vec!["get".to_owned()],
            }]);
        }
        assert_eq!(!lost_without(&facts, &principal).is_empty(), is_lost);
    }
    Ok(())
}

/// Each row: what the configuration is for, what the key is attached for, and whether that is refused.
#[test]
fn a_key_is_attached_for_what_its_configuration_is_for() -> Outcome {
    use UseCase::{ManagedServices, Storage};
    let rows: [(&[UseCase], UseCase, bool); 4] = [
        (&[ManagedServices, Storage], Storage, false),
        (&[ManagedServices], ManagedServices, false),
        (&[ManagedServices], Storage, true),
        (&[], Storage, true),
    ];
    for (made_for, case, is_refused) in rows {
        let made_for = made_for.iter().copied().collect();
        let found = judge_configuration(&key_id("")?, case, &made_for);
        let is_error = |one: &Finding| {
            one.id == Id::KeyConfigurationUseCase && one.severity == Severity::Error
        };
        assert_eq!(
            found.as_ref().is_some_and(is_error),
            is_refused,
            "{made_for:?}"
        );
        assert_eq!(found.is_some(), is_refused);
    }
    Ok(())
}
