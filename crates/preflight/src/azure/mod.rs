//! Is this key of Key Vault or Managed HSM fit for its use? The key, its vault, and who may use it.

mod access;
mod facts;
mod former;
mod state;
#[cfg(test)]
mod tests;
mod unseen;
mod versions;
mod workspace;

pub use access::{Access, access, granted_by, lost_without};
pub use facts::{
    Absence, AccessModel, AccessPolicy, Assignment, Barrier, DenyAssignment, Network,
    PlannedAccess, RoleHolder, Vault, VaultKey, VaultKeyFacts,
};
pub use former::{judge_former, may_need_former};
pub use state::{CHANGE_DATES, enabling, known_state, state_at, state_of};
pub use unseen::{reading, unseen};
pub use versions::{Behind, behind};
pub use workspace::{
    ArmWorkspaceFacts, AttachedVaultKey, Judged, judge_configuration, judge_workspace,
    judged_versions, with_tables,
};

use super::{Fact, Finding, Id, Remedy, Stage, Subject, Unreadable};
use requirements::azure::{
    AZURE_DATABRICKS, Grantee, Role, needs_same_region, sizes, without_it_for,
};
use vocabulary::azure::{VaultKeyId, VaultKind, WorkspaceResourceId};
use vocabulary::{KeyUse, UseCase};

/// What a proof asks of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The data that the key shall encrypt, or encrypts.
    pub cases: Vec<UseCase>,
    /// The data that the workspace encrypts with this very version now; empty before an attach, or where the provider
    /// knows no such workspace.
    pub used_for: Vec<UseCase>,
    /// The principals that need the key; empty where the question is about the key alone.
    pub grantees: Vec<Grantee>,
    /// The principals that need it without a known object ID: their role, the data, and why the provider does not know the ID.
    pub not_known: Vec<(Role, UseCase, Unknown)>,
    /// The workspace, as far as it is known.
    pub workspace: Option<WorkspaceResourceId>,
    /// The region of the workspace, as far as it is known.
    pub location: Option<String>,
    /// The tenant of the workspace, as far as it is known.
    pub tenant: Option<String>,
    /// Whether Terraform plans or applies.
    pub stage: Stage,
}

impl Question {
    /// A question about the key alone, without the workspaces that need it.
    pub fn of_nobody(stage: Stage) -> Self {
        Self {
            cases: Vec::new(),
            used_for: Vec::new(),
            grantees: Vec::new(),
            not_known: Vec::new(),
            workspace: None,
            location: None,
            tenant: None,
            stage,
        }
    }

    /// The part of it that is about one version of the key.
    #[must_use]
    pub fn of(&self, judged: Judged) -> Self {
        let is_of = |case: &UseCase| judged.cases.contains(case);
        let grantees = self.grantees.iter().filter(|one| judged.is_for(one));
        let not_known = self.not_known.iter().filter(|(_, case, _)| is_of(case));
        Self {
            grantees: grantees.cloned().collect(),
            not_known: not_known.cloned().collect(),
            used_for: judged.used_for,
            cases: judged.cases,
            ..self.clone()
        }
    }
}

/// Why the provider does not know the object ID of a principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// It does not exist yet.
    NotYetMade,
    /// The tenant does not have it.
    NotInTenant,
    /// Azure did not show it, for this reason.
    Unread(String),
}

/// What there is to say about a version alone: whether it can be used.
pub fn judge_version(facts: &VaultKeyFacts, question: &Question) -> Vec<Finding> {
    if let Some(barrier) = &facts.barrier {
        return vec![state::shut_out(&facts.id, barrier)];
    }
    match &facts.key {
        Fact::Known(key) => state::usable(facts, key, question).into_iter().collect(),
        Fact::Unreadable(why) => vec![state::unreadable(facts, why, question)],
    }
}

/// What there is to say about the access alone of those who need a key.
pub fn judge_access(facts: &VaultKeyFacts, question: &Question) -> Vec<Finding> {
    let Fact::Known(vault) = &facts.vault else {
        return Vec::new();
    };
    let grantees = question.grantees.iter();
    grantees
        .filter_map(|grantee| principal(facts, vault, grantee, question))
        .collect()
}

/// Everything there is to say about a key, errors first.
pub fn judge(facts: &VaultKeyFacts, question: &Question) -> Vec<Finding> {
    if let Some(barrier) = &facts.barrier {
        return vec![state::shut_out(&facts.id, barrier)];
    }
    let mut findings = judge_version(facts, question);
    if let Fact::Known(key) = &facts.key {
        findings.extend(kind(&facts.id, key, question));
        findings.extend(operations(&facts.id, key));
    }
    let is_about_access = !question.grantees.is_empty() || !question.not_known.is_empty();
    match &facts.vault {
        Fact::Known(vault) => {
            findings.extend(protection(facts, vault, question));
            let id = facts.id.versionless();
            findings.extend(place(&id, vault, question));
            findings.extend(network(&id, vault));
            findings.extend(judge_access(facts, question));
        }
        Fact::Unreadable(why) => {
            // While no workspace has the key, the access rules of its vault do not matter yet.
            let stage = if is_about_access {
                question.stage
            } else {
                Stage::Plan
            };
            findings.push(unreadable_vault(facts, why, stage));
        }
    }
    for (role, case, why) in &question.not_known {
        findings.extend(unknown_principal(facts, *role, *case, why, question));
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

/// A vault that Resource Manager does not show. One that does not exist is not one that may not be read.
fn unreadable_vault(facts: &VaultKeyFacts, why: &Unreadable, stage: Stage) -> Finding {
    let who = match &facts.vault_id {
        Some(id) => format!("{id}: {}.", why.reason),
        None => format!("The vault of {}: {}.", facts.id.versionless(), why.reason),
    };
    if why.is_missing {
        return Id::AzureVaultNotFound
            .error(Subject::Key)
            .found(who)
            .why("The provider cannot see who may use the key, and cannot give anybody access to it.")
            .remedy(
                Remedy::say(format!(
                    "Correct the resource ID (`{}`); its subscription and its resource group are part of it. To look it up:",
                    vault_in_hcl(&facts.id)
                ))
                    .run([format!("az resource list --name {} --query \"[].id\"", facts.id.vault())]),
            );
    }
    let remedy = match (&why.remedy, &facts.vault_id) {
        (Some(remedy), _) => remedy.clone(),
        (None, Some(_)) => {
            "Allow the identity that runs Terraform to read the vault (role Reader).".into()
        }
        (None, None) => Remedy::say(
            "Set `azure.subscription_id` of the provider to the subscription of the vault, and allow the identity that runs Terraform to read \
             the vault (role Reader). A `dbxcmk_key_policy` of the same configuration tells the provider where the vault is \
             (`vault_resource_id`).",
        ),
    };
    Id::AzureVaultUnreadable
        .unread(Subject::Key, stage)
        .found(who)
        .why("The provider cannot see who may use the key, nor the network rules of the vault.")
        .remedy(remedy)
}

/// Whether a policy of the same configuration will grant a principal that does not exist yet, or whose ID is not known.
fn will_be_granted(facts: &VaultKeyFacts, role: Role, case: KeyUse, question: &Question) -> bool {
    // A policy that names the identity of a storage account is among what is planned by its object ID.
    let Some(case) = case.of_workspace() else {
        return facts.planned.iter().any(|planned| planned.has_unknown);
    };
    facts.planned.iter().any(|planned| {
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
    // No policy can grant a principal that the tenant does not have.
    if *why != Unknown::NotInTenant && will_be_granted(facts, role, case.into(), question) {
        return None;
    }
    let who = role.in_words();
    let finding = match why {
        Unknown::NotYetMade => Id::AzurePrincipalMissing
            .error(Subject::Key)
            .summary("The identity that needs the key does not exist yet")
            .found(format!("The workspace does not have this identity yet: {who}."))
            .remedy(
                Remedy::say("Prepare the workspace and grant the identity with `dbxcmk_key_policy`:").paste(format!(
                    "resource \"dbxcmk_key_policy\" \"…\" {{\n  use_cases = [\"{case}\"]\n  azure = {{\n    key_vault_key_id      = \"{}\"\n    \
                     vault_resource_id     = {}\n    workspace_resource_id = azurerm_databricks_workspace.….id\n  }}\n}}",
                    facts.id.versionless(),
                    vault_in_hcl(&facts.id)
                ))
                .and_say(
                    "If the configuration has that resource, let this one wait for it: `depends_on = [dbxcmk_key_policy.…]`.",
                ),
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
            .remedy(how_to_know(role, question)),
    };
    Some(finding.why(needed_for(case)))
}

/// What makes a principal known that Azure did not show.
fn how_to_know(role: Role, question: &Question) -> Remedy {
    match (role, &question.workspace) {
        (Role::AzureDatabricks, _) => Remedy::say(
            "Look it up, and set `databricks_principal_id` in the `azure` block of the provider:",
        )
        .run([format!(
            "az ad sp show --id {AZURE_DATABRICKS} --query id --output tsv"
        )]),
        (_, None) => Remedy::say("Set `azure.workspace_resource_id` to the resource ID of the workspace."),
        (_, Some(id)) => Remedy::say(
            "Allow the identity that runs Terraform to read the workspace (Microsoft.Databricks/workspaces/read). The provider reads it so:",
        )
        .run([format!("az databricks workspace show --ids {id}")]),
    }
}

/// The resource ID of the vault of a key, as a configuration refers to it.
fn vault_in_hcl(key: &VaultKeyId) -> &'static str {
    match key.kind() {
        VaultKind::KeyVault => "azurerm_key_vault.….id",
        VaultKind::ManagedHsm => "azurerm_key_vault_managed_hardware_security_module.….id",
    }
}

fn needed_for(case: impl Into<KeyUse>) -> String {
    let case = case.into();
    format!(
        "It needs the key for {}. Without it, {}.",
        case.in_words(),
        without_it_for(case)
    )
}

fn show(key: &VaultKeyId) -> String {
    format!(
        "az keyvault key show {} --name {}",
        state::vault_option(key),
        key.name()
    )
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

/// The use cases for which Azure takes only keys that cannot be purged. Sources: Azure Storage documentation, "Customer-managed keys for
/// Azure Storage encryption" ("requires that both soft delete and purge protection be enabled"); Azure documentation, "Server-side
/// encryption of Azure Disk Storage".
fn needs_protection(question: &Question) -> Vec<&'static str> {
    let needs = |case: &&UseCase| **case != UseCase::ManagedServices;
    let cases = question.cases.iter().filter(needs);
    let has_tables = |one: &Grantee| one.case == KeyUse::UnityCatalog;
    let tables = question.grantees.iter().any(has_tables);
    let tables = tables.then_some(KeyUse::UnityCatalog.in_words());
    cases.map(|case| case.in_words()).chain(tables).collect()
}

fn protection(facts: &VaultKeyFacts, vault: &Vault, question: &Question) -> Option<Finding> {
    let by_key = match &facts.key {
        Fact::Known(key) => key.is_purge_protected(),
        Fact::Unreadable(_) => false,
    };
    let lacks = match (vault.soft_delete, vault.purge_protection || by_key) {
        (true, true) => return None,
        (false, _) => "no soft delete",
        (true, false) => "no purge protection",
    };
    let needing = needs_protection(question);
    let lost = "A key that is purged cannot be recovered, and everything that was encrypted with it is lost permanently.";
    let (finding, why) = match needing.is_empty() {
        true => (
            Id::AzureVaultUnprotected.warning(Subject::Key),
            format!("{lost} The documentation of Azure Databricks asks for both."),
        ),
        false => (
            Id::AzurePurgeProtectionMissing.error(Subject::Key),
            format!(
                "For {} Azure takes only keys with soft delete and purge protection. {lost}",
                needing.join(" and ")
            ),
        ),
    };
    Some(
        finding
            .found(format!(
                "The vault of {} has {lacks}.",
                facts.id.versionless()
            ))
            .why(why)
            .remedy(
                Remedy::say(
                    "Turn it on (`purge_protection_enabled = true`); that cannot be undone:",
                )
                .run([match facts.id.kind() {
                    VaultKind::KeyVault => format!(
                        "az keyvault update --name {} --enable-purge-protection true",
                        facts.id.vault()
                    ),
                    VaultKind::ManagedHsm => format!(
                        "az keyvault update-hsm --hsm-name {} --enable-purge-protection true",
                        facts.id.vault()
                    ),
                }]),
            ),
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
fn grant(facts: &VaultKeyFacts, vault: &Vault, grantee: &Grantee) -> String {
    let id = &facts.id;
    match &vault.access {
        AccessModel::RoleAssignments(_) => {
            let scope = facts
                .vault_id
                .as_ref()
                .map_or_else(|| "VAULT_RESOURCE_ID".to_owned(), ToString::to_string);
            format!(
                "az role assignment create --role \"Key Vault Crypto Service Encryption User\" --assignee-object-id {} --assignee-principal-type ServicePrincipal \
                 --scope {scope}/keys/{}",
                grantee.principal,
                id.name()
            )
        }
        AccessModel::AccessPolicies(_) => format!(
            "az keyvault set-policy --name {} --object-id {} --key-permissions get wrapKey unwrapKey",
            id.vault(),
            grantee.principal
        ),
        AccessModel::LocalRoles => format!(
            "az keyvault role assignment create --hsm-name {} --role \"Managed HSM Crypto Service Encryption User\" --assignee-object-id {} --scope /keys/{}",
            id.vault(),
            grantee.principal,
            id.name()
        ),
    }
}

fn principal(
    facts: &VaultKeyFacts,
    vault: &Vault,
    grantee: &Grantee,
    question: &Question,
) -> Option<Finding> {
    let who = grantee.in_words();
    // Access counts for every version.
    let id = &facts.id.versionless();
    let grant_it = || {
        Remedy::say("Grant it with `dbxcmk_key_policy`, or run:")
            .run([grant(facts, vault, grantee)])
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
    let (finding, remedy) = match access(facts, vault, &grantee.principal) {
        Access::Granted => return None,
        Access::Missing(_) | Access::Unread(_) | Access::Conditional(_) | Access::UnknownRoles(_)
            if will_be_granted(facts, grantee.role, grantee.case, question) =>
        {
            return None;
        }
        Access::Conditional(conditions) => (
            Id::AzurePrincipalConditional
                .unread(Subject::Key, question.stage)
                .found(format!(
                    "{who} is allowed to use {id} only under a condition that the provider cannot decide:\n\n  {}",
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
                    "{who} is allowed to use {id}, but the deny assignment \"{name}\" names groups whose members the provider does not read, or has a \
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
                    "{who} may or may not have access to {id}: the provider could not read who has ({reason})."
                )),
            reading(facts, vault, &grantee.principal),
        ),
    };
    Some(finding.why(needed_for(grantee.case)).remedy(remedy))
}
