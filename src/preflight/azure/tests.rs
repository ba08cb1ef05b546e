//! What is said about keys of Key Vault and Managed HSM, and about workspaces.

use std::collections::BTreeMap;

use time::OffsetDateTime;
use time::macros::datetime;

use super::*;
use crate::preflight::Severity;
use crate::requirements::azure::{Rights, rights_of};
use crate::vocabulary::azure::PrincipalId;

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
        needers: vec![Needer {
            role: Role::AzureDatabricks,
            principal: principal_id()?,
            case: UseCase::ManagedServices,
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

/// A good key in a good vault.
fn good() -> Result<VaultKeyFacts, Box<dyn std::error::Error>> {
    Ok(VaultKeyFacts {
        id: "https://acme.vault.azure.net/keys/lake".parse()?,
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
        planned: None,
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
            Id::AzureVaultUnprotected,
            Severity::Warning,
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

/// Each row: who may use the keys of the vault, and what is said of the principal.
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

/// Each row: who is not known and why, what the same configuration is about to grant, and what is said at plan.
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
        facts.planned = planned;
        let question = Question {
            needers: Vec::new(),
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
        needers: Vec::new(),
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
    let rows: [(Change, UseCase, Option<Id>); 9] = [
        (|_| {}, UseCase::Storage, None),
        (
            |one| one.tier = "Standard".to_owned(),
            UseCase::Storage,
            Some(Id::WorkspaceTier),
        ),
        (
            |one| one.tier = "enterprise".to_owned(),
            UseCase::Storage,
            None,
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
            tier: "premium".to_owned(),
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
