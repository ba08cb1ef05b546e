//! Principals whose access to a key cannot be read: it is neither there nor gone.

use super::access::{Access, access};
use super::facts::{AccessModel, Vault, VaultKeyFacts};
use crate::{Fact, Finding, Id, Remedy, Stage, Subject};
use requirements::azure::Grantee;
use vocabulary::azure::PrincipalId;

/// Those whose access could not be read, each once, and why.
fn unread<'a>(facts: &VaultKeyFacts, grantees: &'a [Grantee]) -> Vec<(&'a Grantee, String)> {
    let Fact::Known(vault) = &facts.vault else {
        return Vec::new();
    };
    let mut all: Vec<(&Grantee, String)> = Vec::new();
    for grantee in grantees {
        if let Access::Unread(why) = access(facts, vault, &grantee.principal)
            && all
                .iter()
                .all(|(one, _)| one.principal != grantee.principal)
        {
            all.push((grantee, why));
        }
    }
    all
}

/// The principals among those that need a key whose access could not be read, and the finding about them.
pub fn unseen(
    facts: &VaultKeyFacts,
    grantees: &[Grantee],
    stage: Stage,
) -> Option<(Vec<PrincipalId>, Finding)> {
    let Fact::Known(vault) = &facts.vault else {
        return None;
    };
    let unread = unread(facts, grantees);
    let (first, why) = unread.first()?;
    let each: Vec<String> = unread
        .iter()
        .map(|(grantee, _)| format!("  - {}", grantee.in_words()))
        .collect();
    let consequence = match stage {
        Stage::Plan => {
            "The provider keeps the values in state, and plans no change of their access."
        }
        Stage::Apply => {
            "The provider cannot tell whether they have access, and does not change it."
        }
    };
    let finding = Id::AzurePrincipalNotSeen
        .unread(Subject::Key, stage)
        .found(format!(
            "These principals may or may not have access to {}: the provider could not read who has ({why}).\n\n{}",
            facts.id.versionless(),
            each.join("\n")
        ))
        .why(consequence)
        .remedy(reading(facts, vault, &first.principal));
    let principals = unread.iter().map(|(grantee, _)| grantee.principal.clone());
    Some((principals.collect(), finding))
}

/// What lets the provider read who has access. Sources: Azure RBAC documentation, "Azure permissions for Management and governance";
/// Managed HSM documentation, "Local RBAC built-in roles".
pub fn reading(facts: &VaultKeyFacts, vault: &Vault, principal: &PrincipalId) -> Remedy {
    if let Some(Fact::Unreadable(why)) = facts.assignments.get(principal)
        && let Some(remedy) = &why.remedy
    {
        return remedy.clone();
    }
    let (id, name) = (&facts.id, facts.id.name());
    match &vault.access {
        AccessModel::LocalRoles => Remedy::say(
            "Allow the identity that runs Terraform to read the local roles of the Managed HSM \
             (`Microsoft.KeyVault/managedHsm/roleAssignments/read/action`, for example the role Managed HSM Policy Administrator). To check it:",
        )
        .run([format!(
            "az keyvault role assignment list --hsm-name {} --scope /keys/{name}",
            id.vault()
        )]),
        _ => {
            let scope = match &facts.vault_id {
                Some(vault) => vault.to_string(),
                None => "VAULT_RESOURCE_ID".to_owned(),
            };
            Remedy::say(
                "Allow the identity that runs Terraform to read role assignments and deny assignments of the vault \
                 (`Microsoft.Authorization/roleAssignments/read` and `Microsoft.Authorization/denyAssignments/read`, for example the role \
                 Reader). To check it:",
            )
            .run([format!(
                "az role assignment list --scope {scope}/keys/{name} --include-inherited --output table"
            )])
        }
    }
}
