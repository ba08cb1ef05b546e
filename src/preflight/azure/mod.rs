//! Is this key of Key Vault or Managed HSM fit for what it is to be used for? The key, its vault, and who may use it.

mod access;
mod facts;
#[cfg(test)]
mod tests;
mod workspace;

pub use access::{Access, access, granted_by};
pub use facts::{
    AccessModel, AccessPolicy, Assignment, DenyAssignment, Network, PlannedAccess, Vault, VaultKey,
    VaultKeyFacts,
};
pub use workspace::{ArmWorkspaceFacts, AttachedVaultKey, judge_workspace};

use super::{Fact, Finding, Id, Remedy, Stage, Subject, Unreadable};
use crate::requirements::azure::{
    AZURE_DATABRICKS, ENCRYPTION_USER, HSM_ENCRYPTION_USER, Needer, Role, needs_same_region, sizes,
    without_it,
};
use crate::vocabulary::UseCase;
use crate::vocabulary::azure::{VaultKeyId, VaultKind, WorkspaceResourceId};

/// What is asked of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// For what.
    pub cases: Vec<UseCase>,
    /// Who needs it; empty where only the key itself is asked about.
    pub needers: Vec<Needer>,
    /// Those that need it and whose object id is not known: in which role, for what, and why it is not known.
    pub not_known: Vec<(Role, UseCase, Unknown)>,
    /// The workspace, as far as it is known.
    pub workspace: Option<WorkspaceResourceId>,
    /// The region of the workspace, as far as it is known.
    pub location: Option<String>,
    /// The tenant of the workspace, as far as it is known.
    pub tenant: Option<String>,
    /// When it is asked.
    pub stage: Stage,
}

/// Why the object id of a principal is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// It does not exist yet.
    NotYetMade,
    /// The tenant does not have it.
    NotInTenant,
    /// It could not be looked up.
    Unread(String),
}

/// Everything there is to say about a key, errors first.
pub fn judge(facts: &VaultKeyFacts, question: &Question) -> Vec<Finding> {
    let mut findings = Vec::new();
    match &facts.key {
        Fact::Known(key) => {
            findings.extend(kind(&facts.id, key, question));
            findings.extend(usable(facts, key));
            findings.extend(operations(&facts.id, key));
        }
        Fact::Unreadable(why) => findings.push(unreadable_key(&facts.id, why, question.stage)),
    }
    let is_about_access = !question.needers.is_empty() || !question.not_known.is_empty();
    match &facts.vault {
        Fact::Known(vault) => {
            findings.extend(protection(facts, vault));
            findings.extend(place(&facts.id, vault, question));
            findings.extend(network(&facts.id, vault));
            for needer in &question.needers {
                findings.extend(principal(facts, vault, needer, question));
            }
        }
        Fact::Unreadable(why) => {
            // Where nobody is attached to the key, what the vault says about access does not matter yet.
            let stage = if is_about_access {
                question.stage
            } else {
                Stage::Plan
            };
            findings.push(
                Id::AzureVaultUnreadable
                    .unread(Subject::Key, stage)
                    .found(format!("The vault of {}: {}.", facts.id, why.reason))
                    .why("The provider cannot see who may use the key, nor the network rules of the vault.")
                    .remedy(
                        "Allow the identity that runs Terraform to read the vault (role Reader). A `dbxcmk_key_policy` of the same configuration \
                         tells the provider where the vault is (`vault_resource_id`); otherwise it looks in the subscription of the workspace \
                         and in `azure.subscription_id`.",
                    ),
            );
        }
    }
    for (role, case, why) in &question.not_known {
        findings.extend(unknown_principal(facts, *role, *case, why, question));
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

/// Whether a policy of the same configuration will grant a principal that does not exist yet, or whose id is not known.
fn will_be_granted(facts: &VaultKeyFacts, role: Role, case: UseCase, question: &Question) -> bool {
    facts.planned.as_ref().is_some_and(|planned| {
        let same_workspace = match (&planned.workspace, &question.workspace) {
            (Some(own), Some(wanted)) => own == wanted,
            (own, _) => own.is_none() && planned.has_unknown,
        };
        planned.cases.contains(&case) && (role == Role::AzureDatabricks || same_workspace)
    })
}

fn unknown_principal(
    facts: &VaultKeyFacts,
    role: Role,
    case: UseCase,
    why: &Unknown,
    question: &Question,
) -> Option<Finding> {
    // Nobody can grant what the tenant does not have.
    if *why != Unknown::NotInTenant && will_be_granted(facts, role, case, question) {
        return None;
    }
    let who = role.in_words();
    let finding = match why {
        Unknown::NotYetMade => Id::AzurePrincipalMissing
            .error(Subject::Key)
            .summary("The identity that needs the key does not exist yet")
            .found(format!("The workspace does not have {who} yet."))
            .remedy(
                Remedy::say("Prepare the workspace and grant the identity with `dbxcmk_key_policy`:").paste(format!(
                    "resource \"dbxcmk_key_policy\" \"…\" {{\n  use_cases = [\"{case}\"]\n  azure = {{\n    key_vault_key_id      = \"{}\"\n    \
                     vault_resource_id     = azurerm_key_vault.….id\n    workspace_resource_id = azurerm_databricks_workspace.….id\n  }}\n}}",
                    facts.id
                )),
            ),
        Unknown::NotInTenant => Id::AzurePrincipalMissing
            .error(Subject::Key)
            .summary("The application AzureDatabricks is not in the tenant")
            .found(format!(
                "Microsoft Graph shows no service principal of the application {AZURE_DATABRICKS} in the tenant."
            ))
            .remedy(
                Remedy::say(
                    "It appears when the resource provider Microsoft.Databricks is registered and the first workspace is created. To create it now:",
                )
                .run([format!("az ad sp create --id {AZURE_DATABRICKS}")]),
            ),
        Unknown::Unread(reason) => Id::AzurePrincipalNotSeen
            .unread(Subject::Key, question.stage)
            .found(format!("The object ID of {who} is not known: {reason}."))
            .remedy(
                Remedy::say("Look it up, and set `databricks_principal_id` in the `azure` block of the resource or of the provider:")
                    .run([format!("az ad sp show --id {AZURE_DATABRICKS} --query id --output tsv")]),
            ),
    };
    Some(finding.why(needed_for(case)))
}

fn needed_for(case: UseCase) -> String {
    format!(
        "It needs the key for {}. Without it, {}.",
        case.in_words(),
        without_it(case)
    )
}

fn unreadable_key(id: &VaultKeyId, why: &Unreadable, stage: Stage) -> Finding {
    let finding = if why.is_missing {
        Id::AzureKeyNotFound.error(Subject::Key)
    } else {
        Id::AzureKeyUnreadable.unread(Subject::Key, stage)
    };
    finding
        .found(format!("{id}: {}.", why.reason))
        .why("The provider cannot prove that Databricks can use the key.")
        .remedy(match &why.remedy {
            Some(remedy) => remedy.clone(),
            None => Remedy::say(
                "Check the identifier, and allow the identity that runs Terraform to read the key (role Key Vault Reader, or `get` in its access \
                 policy):",
            )
            .run([show(id)]),
        })
}

fn show(key: &VaultKeyId) -> String {
    let hsm = match key.kind() {
        VaultKind::ManagedHsm => format!("--hsm-name {}", key.vault()),
        VaultKind::KeyVault => format!("--vault-name {}", key.vault()),
    };
    format!("az keyvault key show {hsm} --name {}", key.name())
}

fn kind(id: &VaultKeyId, key: &VaultKey, question: &Question) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !["RSA", "RSA-HSM"].contains(&key.kind.as_str()) {
        findings.push(
            Id::AzureKeyType
                .error(Subject::Key)
                .found(format!("{id} is a key of the type {}.", key.kind))
                .why("Databricks wraps its data keys with an RSA key. The type cannot be changed.")
                .remedy("Create a key with `key_type = \"RSA\"` or `\"RSA-HSM\"` (`azurerm_key_vault_key`)."),
        );
        return findings;
    }
    for case in &question.cases {
        let (Some(sizes), Some(bits)) = (sizes(*case), key.bits) else {
            continue;
        };
        if !sizes.contains(&bits) {
            let listed: Vec<String> = sizes.iter().map(ToString::to_string).collect();
            findings.push(
                Id::AzureKeySize
                    .error(Subject::Key)
                    .found(format!("{id} has {bits} bits."))
                    .why(format!(
                        "Keys for {} have {} bits. The size cannot be changed.",
                        case.in_words(),
                        listed.join(", ")
                    ))
                    .remedy("Create a key with `key_size = 3072`."),
            );
        }
    }
    if key.of_certificate {
        findings.push(
            Id::AzureKeyOfCertificate
                .error(Subject::Key)
                .found(format!("{id} belongs to a certificate."))
                .why("It changes and ends with the certificate.")
                .remedy("Create a key of its own."),
        );
    }
    findings
}

/// What makes a key usable again that is not.
pub fn enabling(id: &VaultKeyId) -> Remedy {
    Remedy::say("Restore the key:").run([format!("terraform-provider-dbxcmk key restore {id}")])
}

fn usable(facts: &VaultKeyFacts, key: &VaultKey) -> Option<Finding> {
    let id = &facts.id;
    if !key.enabled {
        return Some(
            Id::AzureKeyDisabled
                .error(Subject::Key)
                .found(format!("The version {} of {id} is disabled.", key.version))
                .why("Unwrapping fails with a disabled key, so Databricks could not read what it has written.")
                .remedy(enabling(id)),
        );
    }
    let too_early = key.not_before.is_some_and(|from| from > facts.at);
    let too_late = key.expires.is_some_and(|until| until <= facts.at);
    if !too_early && !too_late {
        return None;
    }
    let found = if too_late {
        format!("The version {} of {id} has expired.", key.version)
    } else {
        format!("The version {} of {id} is not valid yet.", key.version)
    };
    Some(
        Id::AzureKeyExpired
            .error(Subject::Key)
            .found(found)
            .why("Outside its dates a key wraps nothing, so an attach fails. What was wrapped before can still be read.")
            .remedy("Change the dates of the version (`expiration_date`, `not_before_date`), or rotate the key and use the new version."),
    )
}

fn operations(id: &VaultKeyId, key: &VaultKey) -> Option<Finding> {
    let missing: Vec<&str> = ["wrapKey", "unwrapKey"]
        .into_iter()
        .filter(|wanted| !key.operations.iter().any(|own| own == wanted))
        .collect();
    if missing.is_empty() {
        return None;
    }
    Some(
        Id::AzureKeyOperations
            .error(Subject::Key)
            .found(format!("{id} does not permit {}.", missing.join(" and ")))
            .why("Databricks wraps and unwraps its data keys with the key.")
            .remedy("Add them to `key_opts` of the `azurerm_key_vault_key`: [\"wrapKey\", \"unwrapKey\"]."),
    )
}

fn protection(facts: &VaultKeyFacts, vault: &Vault) -> Option<Finding> {
    let by_key = match &facts.key {
        Fact::Known(key) => key.is_purge_protected(),
        Fact::Unreadable(_) => false,
    };
    let lacks = match (vault.soft_delete, vault.purge_protection || by_key) {
        (true, true) => return None,
        (false, _) => "no soft delete",
        (true, false) => "no purge protection",
    };
    Some(
        Id::AzureVaultUnprotected
            .warning(Subject::Key)
            .found(format!("The vault of {} has {lacks}.", facts.id))
            .why("A key that is purged cannot be recovered, and everything that was encrypted with it is lost permanently. The documentation of Azure Databricks asks for both.")
            .remedy(Remedy::say("Turn it on; that cannot be undone:").run([format!(
                "az keyvault update --name {} --enable-purge-protection true",
                facts.id.vault()
            )])),
    )
}

fn place(id: &VaultKeyId, vault: &Vault, question: &Question) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(tenant) = question
        .tenant
        .as_ref()
        .filter(|tenant| !tenant.eq_ignore_ascii_case(&vault.tenant))
    {
        findings.push(
            Id::AzureVaultTenant
                .error(Subject::Key)
                .found(format!(
                    "The vault of {id} is in the tenant {}, and the workspace is in {tenant}.",
                    vault.tenant
                ))
                .why("A workspace can use only keys of its own tenant.")
                .remedy("Use a vault in the tenant of the workspace."),
        );
    }
    let folded = |text: &str| text.replace(' ', "").to_ascii_lowercase();
    for case in question
        .cases
        .iter()
        .filter(|case| needs_same_region(**case))
    {
        if let Some(location) = question
            .location
            .as_ref()
            .filter(|location| folded(location) != folded(&vault.location))
        {
            findings.push(
                Id::AzureVaultRegion
                    .error(Subject::Key)
                    .found(format!(
                        "The vault of {id} is in {}, and the workspace is in {location}.",
                        vault.location
                    ))
                    .why(format!(
                        "For {} the vault must be in the region of the workspace.",
                        case.in_words()
                    ))
                    .remedy("Use a vault in the region of the workspace."),
            );
        }
    }
    findings
}

fn network(id: &VaultKeyId, vault: &Vault) -> Option<Finding> {
    let rules = &vault.network;
    let found = if rules.is_secured_by_perimeter {
        "is in a network security perimeter"
    } else if !rules.allows_by_default && !rules.lets_trusted_services_in {
        "lets in only the networks that its rules name, and no trusted services"
    } else {
        return None;
    };
    Some(
        Id::AzureVaultNetwork
            .error(Subject::Key)
            .found(format!("The vault of {id} {found}."))
            .why("Azure Databricks, Azure Storage and Azure Disk Storage reach the key as trusted services of Microsoft.")
            .remedy(Remedy::say("Let trusted services in (`network_acls { bypass = \"AzureServices\" }`):").run([format!(
                "az keyvault update --name {} --bypass AzureServices",
                id.vault()
            )])),
    )
}

/// The command that gives a principal access, as the vault has it.
fn grant(facts: &VaultKeyFacts, vault: &Vault, needer: &Needer) -> String {
    let id = &facts.id;
    match &vault.access {
        AccessModel::RoleAssignments(_) => {
            let scope = facts
                .vault_id
                .as_ref()
                .map_or_else(|| "VAULT_RESOURCE_ID".to_owned(), ToString::to_string);
            format!(
                "az role assignment create --role {ENCRYPTION_USER} --assignee-object-id {} --assignee-principal-type ServicePrincipal \
                 --scope {scope}/keys/{}",
                needer.principal,
                id.name()
            )
        }
        AccessModel::AccessPolicies(_) => format!(
            "az keyvault set-policy --name {} --object-id {} --key-permissions get wrapKey unwrapKey",
            id.vault(),
            needer.principal
        ),
        AccessModel::LocalRoles => format!(
            "az keyvault role assignment create --hsm-name {} --role {HSM_ENCRYPTION_USER} --assignee-object-id {} --scope /keys/{}",
            id.vault(),
            needer.principal,
            id.name()
        ),
    }
}

fn principal(
    facts: &VaultKeyFacts,
    vault: &Vault,
    needer: &Needer,
    question: &Question,
) -> Option<Finding> {
    let who = format!("{} ({})", needer.role.in_words(), needer.principal);
    let id = &facts.id;
    let grant_it = || {
        Remedy::say("Grant it with `dbxcmk_key_policy`, or run:").run([grant(facts, vault, needer)])
    };
    let deny_remedy = |name: &str| {
        Remedy::say(format!(
            "Ask whoever manages the deny assignment \"{name}\" to exclude this principal. To list them:"
        ))
        .run([match &facts.vault_id {
            Some(vault) => format!("az rest --method get --url \"{vault}/providers/Microsoft.Authorization/denyAssignments?api-version=2022-04-01\""),
            None => "az rest --method get --url \"VAULT_RESOURCE_ID/providers/Microsoft.Authorization/denyAssignments?api-version=2022-04-01\"".to_owned(),
        }])
    };
    let (finding, remedy) = match access(facts, vault, &needer.principal) {
        Access::Granted => return None,
        Access::Missing(_) | Access::Unread(_) | Access::Conditional(_) | Access::UnknownRoles(_)
            if will_be_granted(facts, needer.role, needer.case, question) =>
        {
            return None;
        }
        Access::Conditional(conditions) => (
            Id::AzurePrincipalConditional
                .unread(Subject::Key, question.stage)
                .found(format!(
                    "{who} may use {id} only under a condition that the provider cannot decide:\n\n  {}",
                    conditions.join("\n  ")
                )),
            grant_it(),
        ),
        Access::UnknownRoles(roles) => (
            Id::AzurePrincipalUnknownRole
                .unread(Subject::Key, question.stage)
                .found(format!(
                    "{who} has {}, and the provider does not know the permissions of that role.",
                    roles.join(", ")
                )),
            grant_it(),
        ),
        Access::Denied(name) => (
            Id::AzurePrincipalDenied
                .error(Subject::Key)
                .found(format!("The deny assignment \"{name}\" takes the use of {id} from {who}.")),
            deny_remedy(&name),
        ),
        Access::PerhapsDenied(name) => (
            Id::AzurePrincipalPerhapsDenied
                .warning(Subject::Key)
                .found(format!(
                    "{who} may use {id}, but the deny assignment \"{name}\" names groups whose members the provider does not read, or has a \
                     condition."
                )),
            deny_remedy(&name),
        ),
        Access::Missing(missing) => (
            Id::AzurePrincipalMissing
                .error(Subject::Key)
                .found(format!("{who} lacks {} on {id}.", missing.join(", "))),
            grant_it(),
        ),
        Access::Unread(reason) => (
            Id::AzurePrincipalNotSeen
                .unread(Subject::Key, question.stage)
                .found(format!(
                    "The provider could not read who may use {id}: {reason}. So it does not know whether {who} may."
                )),
            grant_it(),
        ),
    };
    Some(finding.why(needed_for(needer.case)).remedy(remedy))
}
