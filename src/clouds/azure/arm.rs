//! Vaults, role assignments and deny assignments, by Resource Manager.
//!
//! Sources: Microsoft.KeyVault REST API 2026-02-01; Microsoft.Authorization REST API 2022-04-01 (`atScope()`, `assignedTo()`).

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::errors::AzureError;
use super::{Audience, Azure};
use crate::network::Answer;
use crate::preflight::Fact;
use crate::preflight::azure::{
    AccessModel, AccessPolicy, Assignment, DenyAssignment, Network, RoleHolder, Vault,
};
use crate::requirements::azure::{
    ENCRYPTION_USER, PERMISSIONS, Rights, rights_by_actions, rights_of, role_name,
};
use crate::vocabulary::azure::{PrincipalId, VaultKeyId, VaultKind, VaultResourceId};

/// The version of the API for vaults. Those before it end in February 2027.
pub(super) const VAULTS: &str = "2026-02-01";
/// The version of the API for assignments.
pub(super) const AUTHORIZATION: &str = "2022-04-01";

/// The version of the API for diagnostic settings, which has none that is not a preview.
const DIAGNOSTICS: &str = "2021-05-01-preview";

/// The version of the API for subscriptions.
const SUBSCRIPTIONS: &str = "2022-12-01";

/// Which way an access policy changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessChange {
    /// Permissions are added to those of the principal.
    Add,
    /// Permissions are taken from those of the principal.
    Remove,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawVault {
    location: String,
    properties: RawProperties,
    #[serde(default)]
    sku: Option<Json>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawProperties {
    tenant_id: String,
    sku: Option<Json>,
    enable_rbac_authorization: Option<bool>,
    access_policies: Option<Vec<RawPolicy>>,
    enable_soft_delete: Option<bool>,
    soft_delete_retention_in_days: Option<u32>,
    enable_purge_protection: Option<bool>,
    network_acls: Option<RawNetwork>,
    public_network_access: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPolicy {
    object_id: String,
    #[serde(default)]
    permissions: RawPermissions,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawPermissions {
    keys: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawNetwork {
    bypass: Option<String>,
    default_action: Option<String>,
}

/// The word of a Resource Manager enumeration, whose case is not certain.
fn is(word: Option<&String>, expected: &str) -> bool {
    word.is_some_and(|word| word.eq_ignore_ascii_case(expected))
}

fn vault_of(raw: RawVault, kind: VaultKind, denies: Fact<Vec<DenyAssignment>>) -> Vault {
    let properties = raw.properties;
    let is_closed = is(properties.public_network_access.as_ref(), "Disabled");
    let rules = properties.network_acls.unwrap_or_default();
    let sku = properties
        .sku
        .or(raw.sku)
        .and_then(|sku| sku.get("name").and_then(Json::as_str).map(str::to_owned));
    let is_hsm = kind == VaultKind::ManagedHsm;
    Vault {
        location: raw.location,
        tenant: properties.tenant_id,
        sku: sku.unwrap_or_default(),
        // A Managed HSM always has it; so has every vault that does not say otherwise.
        soft_delete: is_hsm || properties.enable_soft_delete != Some(false),
        retention_days: properties.soft_delete_retention_in_days,
        purge_protection: properties.enable_purge_protection == Some(true),
        network: Network {
            allows_by_default: !is_closed && !is(rules.default_action.as_ref(), "Deny"),
            // A vault that says nothing about it lets trusted services in.
            lets_trusted_services_in: !is(rules.bypass.as_ref(), "None"),
            is_secured_by_perimeter: is(
                properties.public_network_access.as_ref(),
                "SecuredByPerimeter",
            ),
        },
        access: if is_hsm {
            AccessModel::LocalRoles
        } else if properties.enable_rbac_authorization == Some(true) {
            AccessModel::RoleAssignments(denies)
        } else {
            let policies = properties.access_policies.unwrap_or_default().into_iter();
            AccessModel::AccessPolicies(
                policies
                    .map(|policy| AccessPolicy {
                        principal: policy.object_id,
                        keys: policy.permissions.keys.unwrap_or_default(),
                    })
                    .collect(),
            )
        },
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawAssignment {
    pub(super) properties: RawAssignmentProperties,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawAssignmentProperties {
    pub(super) scope: Option<String>,
    pub(super) role_definition_id: String,
    pub(super) principal_id: String,
    pub(super) principal_type: Option<String>,
    pub(super) condition: Option<String>,
}

#[derive(Deserialize)]
struct RawDeny {
    properties: RawDenyProperties,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDenyProperties {
    #[serde(default)]
    deny_assignment_name: String,
    permissions: Vec<RawActions>,
    #[serde(default)]
    principals: Vec<RawPrincipal>,
    #[serde(default)]
    exclude_principals: Vec<RawPrincipal>,
    #[serde(default)]
    condition: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawActions {
    data_actions: Option<Vec<String>>,
    not_data_actions: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct RawPrincipal {
    id: String,
    #[serde(default, rename = "type")]
    kind: String,
}

impl RawActions {
    fn rights(&self) -> Rights {
        let all = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
        let (allowed, not) = (all(&self.data_actions), all(&self.not_data_actions));
        rights_by_actions(
            allowed.iter().map(String::as_str),
            not.iter().map(String::as_str),
        )
    }
}

fn together(permissions: &[RawActions]) -> Rights {
    permissions
        .iter()
        .fold(Rights::NONE, |rights, one| rights.and(one.rights()))
}

impl From<RawDenyProperties> for DenyAssignment {
    fn from(raw: RawDenyProperties) -> Self {
        let has_groups = raw
            .principals
            .iter()
            .any(|one| one.kind.eq_ignore_ascii_case("Group"));
        let ids = |all: Vec<RawPrincipal>| all.into_iter().map(|one| one.id).collect();
        Self {
            name: raw.deny_assignment_name,
            denied: together(&raw.permissions),
            principals: ids(raw.principals),
            except: ids(raw.exclude_principals),
            has_groups,
            condition: raw.condition.filter(|condition| !condition.is_empty()),
        }
    }
}

#[derive(Deserialize)]
struct RawSetting {
    properties: RawSettingProperties,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawSettingProperties {
    logs: Option<Vec<RawLog>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawLog {
    category: Option<String>,
    category_group: Option<String>,
    enabled: bool,
}

impl RawLog {
    fn has_audit_events(&self) -> bool {
        let group = self.category_group.as_ref();
        let names =
            is(self.category.as_ref(), "AuditEvent") || is(group, "audit") || is(group, "allLogs");
        self.enabled && names
    }
}

pub(super) fn parsed<T: serde::de::DeserializeOwned>(json: Json) -> Result<T, AzureError> {
    serde_json::from_value(json).map_err(|error| AzureError::Malformed(error.to_string()))
}

/// The last part of an ID: that of a role definition is a UUID.
pub(super) fn last(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

/// The name of the assignment of a role to a principal at a scope: always the same, so that a lost answer makes no second one. It is a UUID
/// of version 8 (RFC 9562) over the three.
pub fn assignment_name(scope: &str, role: &str, principal: &PrincipalId) -> String {
    let text = format!(
        "{}\n{}\n{}",
        scope.to_ascii_lowercase(),
        role.to_ascii_lowercase(),
        principal.to_string().to_ascii_lowercase()
    );
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    let hex = |bytes: std::ops::Range<usize>| -> String {
        let part = digest.as_ref().get(bytes).unwrap_or_default();
        part.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let (third, fourth) = (hex(6..8), hex(8..10));
    format!(
        "{}-{}-8{}-a{}-{}",
        hex(0..4),
        hex(4..6),
        third.get(1..).unwrap_or_default(),
        fourth.get(1..).unwrap_or_default(),
        hex(10..16)
    )
}

/// Whether an assignment was made, or is there under its own name; `false` when it is there under another.
pub(super) fn made(outcome: Result<Answer, AzureError>) -> Result<bool, AzureError> {
    match outcome {
        Ok(_) => Ok(true),
        Err(AzureError::Conflict { code, .. }) if code == "RoleAssignmentExists" => Ok(false),
        Err(error) => Err(error),
    }
}

impl Azure {
    pub(super) fn arm(&self, path: &str) -> String {
        format!("{}{path}", self.settings.base(Audience::ResourceManager))
    }

    pub(super) async fn arm_get(&self, path: &str) -> Result<Json, AzureError> {
        let url = self.arm(path);
        let answer = self.call(Audience::ResourceManager, Method::GET, &url, None);
        Ok(answer.await?.body)
    }

    /// A vault or a Managed HSM, with its access policies or the deny assignments that count at a key of it.
    ///
    /// # Errors
    /// When Azure refuses or cannot be reached.
    pub async fn vault(&self, id: &VaultResourceId, key: &str) -> Result<Vault, AzureError> {
        let found = self.arm_get(&format!("{id}?api-version={VAULTS}")).await?;
        let raw: RawVault = parsed(found)?;
        let denies = match (id.vault_kind(), raw.properties.enable_rbac_authorization) {
            (VaultKind::KeyVault, Some(true)) => {
                match self.deny_assignments(&format!("{id}/keys/{key}")).await {
                    Ok(denies) => Fact::Known(denies),
                    Err(error) => Fact::Unreadable(error.unreadable()),
                }
            }
            _ => Fact::Known(Vec::new()),
        };
        Ok(vault_of(raw, id.vault_kind(), denies))
    }

    /// The vault of a key, looked for in a subscription; `None` when it is not there.
    ///
    /// # Errors
    /// When Azure refuses or cannot be reached.
    pub async fn find_vault(
        &self,
        subscription: &str,
        key: &VaultKeyId,
    ) -> Result<Option<VaultResourceId>, AzureError> {
        let kind = match key.kind() {
            VaultKind::KeyVault => "vaults",
            VaultKind::ManagedHsm => "managedHSMs",
        };
        let url = self.arm(&format!(
            "/subscriptions/{subscription}/providers/Microsoft.KeyVault/{kind}?api-version={VAULTS}"
        ));
        let all = self.list(Audience::ResourceManager, url).await?;
        let own = all.iter().find(|vault| {
            let name = vault.get("name").and_then(Json::as_str);
            name.is_some_and(|name| name.eq_ignore_ascii_case(key.vault()))
        });
        own.and_then(|vault| vault.get("id"))
            .and_then(Json::as_str)
            .map(str::parse)
            .transpose()
            .map_err(|error| AzureError::Malformed(format!("{error}")))
    }

    /// The subscriptions that the caller sees.
    ///
    /// # Errors
    /// When Azure refuses or cannot be reached.
    pub async fn subscriptions(&self) -> Result<Vec<String>, AzureError> {
        let url = self.arm(&format!("/subscriptions?api-version={SUBSCRIPTIONS}"));
        let all = self.list(Audience::ResourceManager, url).await?;
        let id = |one: &Json| one.get("subscriptionId")?.as_str().map(str::to_owned);
        Ok(all.iter().filter_map(id).collect())
    }

    async fn deny_assignments(&self, scope: &str) -> Result<Vec<DenyAssignment>, AzureError> {
        let url = self.arm(&format!(
            "{scope}/providers/Microsoft.Authorization/denyAssignments?api-version={AUTHORIZATION}&$filter=atScope()"
        ));
        let all = self.list(Audience::ResourceManager, url).await?;
        all.into_iter()
            .map(|one| parsed::<RawDeny>(one).map(|deny| deny.properties.into()))
            .collect()
    }

    /// The assignments of roles to a principal, and to the groups that it is in, that count at a key of a vault.
    ///
    /// # Errors
    /// When Azure refuses or cannot be reached.
    pub async fn role_assignments(
        &self,
        vault: &VaultResourceId,
        key: &str,
        principal: &PrincipalId,
    ) -> Result<Vec<Assignment>, AzureError> {
        let url = self.arm(&format!(
            "{vault}/keys/{key}/providers/Microsoft.Authorization/roleAssignments?api-version={AUTHORIZATION}&$filter=atScope()%20and%20\
             assignedTo('{principal}')"
        ));
        let principal = principal.to_string();
        let holders = self.holders(url).await?.into_iter();
        let found = holders.map(|one| Assignment {
            scope: one.scope,
            role: one.role,
            rights: one.rights,
            group: (!one.principal.eq_ignore_ascii_case(&principal)).then_some(one.principal),
            condition: one.condition,
        });
        Ok(found.collect())
    }

    /// Everybody who has a role that counts at a key of a vault.
    ///
    /// # Errors
    /// When Azure refuses or cannot be reached.
    pub async fn role_holders(
        &self,
        vault: &VaultResourceId,
        key: &str,
    ) -> Result<Vec<RoleHolder>, AzureError> {
        let url = self.arm(&format!(
            "{vault}/keys/{key}/providers/Microsoft.Authorization/roleAssignments?api-version={AUTHORIZATION}&$filter=atScope()"
        ));
        self.holders(url).await
    }

    async fn holders(&self, url: String) -> Result<Vec<RoleHolder>, AzureError> {
        let all = self.list(Audience::ResourceManager, url).await?;
        let mut known: BTreeMap<String, Option<Rights>> = BTreeMap::new();
        let mut found = Vec::new();
        for one in all {
            let raw = parsed::<RawAssignment>(one)?.properties;
            let role = last(&raw.role_definition_id).to_ascii_lowercase();
            let rights = match known.get(&role) {
                Some(rights) => *rights,
                None => {
                    let rights = match rights_of(&role) {
                        Some(rights) => Some(rights),
                        None => self.rights_of_definition(&raw.role_definition_id).await,
                    };
                    known.insert(role.clone(), rights);
                    rights
                }
            };
            found.push(RoleHolder {
                principal: raw.principal_id,
                kind: raw.principal_type,
                scope: raw.scope.unwrap_or_default(),
                role: role_name(&role).map_or_else(|| format!("the role {role}"), str::to_owned),
                rights,
                condition: raw.condition.filter(|condition| !condition.is_empty()),
            });
        }
        Ok(found)
    }

    /// Whether a vault or a Managed HSM records who uses its keys: a diagnostic setting that sends the audit events somewhere. Source: Azure
    /// Monitor REST API, Diagnostic Settings - List; Azure Key Vault logging ("AuditEvent"; the category groups `audit` and `allLogs`).
    ///
    /// # Errors
    /// When Azure refuses or cannot be reached.
    pub async fn logs_key_use(&self, vault: &VaultResourceId) -> Result<bool, AzureError> {
        let url = self.arm(&format!(
            "{vault}/providers/Microsoft.Insights/diagnosticSettings?api-version={DIAGNOSTICS}"
        ));
        let all = self.list(Audience::ResourceManager, url).await?;
        let mut logs = false;
        for one in all {
            let setting: RawSetting = parsed(one)?;
            let all = setting.properties.logs.unwrap_or_default();
            logs |= all.iter().any(RawLog::has_audit_events);
        }
        Ok(logs)
    }

    /// What a role definition lets do with keys; `None` when it cannot be read, which the proof says.
    async fn rights_of_definition(&self, id: &str) -> Option<Rights> {
        #[derive(Deserialize)]
        struct Definition {
            properties: Properties,
        }
        #[derive(Deserialize)]
        struct Properties {
            permissions: Vec<RawActions>,
        }
        let found = self
            .arm_get(&format!("{id}?api-version={AUTHORIZATION}"))
            .await
            .ok()?;
        let definition: Definition = parsed(found).ok()?;
        Some(together(&definition.properties.permissions))
    }

    fn assignment_path(scope: &str, name: &str) -> String {
        format!(
            "{scope}/providers/Microsoft.Authorization/roleAssignments/{name}?api-version={AUTHORIZATION}"
        )
    }

    /// Assigns the role Key Vault Crypto Service Encryption User at a key. `false` when it is there already under another name, so that it
    /// is not this provider's. `description`: whose it is, which a second call can change.
    ///
    /// # Errors
    /// When Azure refuses or cannot be reached.
    pub async fn assign_role(
        &self,
        vault: &VaultResourceId,
        key: &str,
        principal: &PrincipalId,
        description: &str,
    ) -> Result<bool, AzureError> {
        let scope = format!("{vault}/keys/{key}");
        let name = assignment_name(&scope, ENCRYPTION_USER, principal);
        tracing::info!(scope, name, %principal, "assigning a role");
        let subscription = vault.id().subscription();
        let body = json!({ "properties": {
            "roleDefinitionId": format!(
                "/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{ENCRYPTION_USER}"
            ),
            "principalId": principal.to_string(),
            // Without it, Azure looks the principal up, and a new one is not found. Source: Azure RBAC documentation, "Troubleshoot".
            "principalType": "ServicePrincipal",
            "description": description,
        }});
        let url = self.arm(&Self::assignment_path(&scope, &name));
        let outcome = self
            .call(Audience::ResourceManager, Method::PUT, &url, Some(&body))
            .await;
        made(outcome)
    }

    /// The description of the role assignment of this provider to a principal at a key; `None` when it is not there.
    ///
    /// # Errors
    /// When Azure refuses or cannot be reached.
    pub async fn own_role(
        &self,
        vault: &VaultResourceId,
        key: &str,
        principal: &PrincipalId,
    ) -> Result<Option<String>, AzureError> {
        let scope = format!("{vault}/keys/{key}");
        let name = assignment_name(&scope, ENCRYPTION_USER, principal);
        match self.arm_get(&Self::assignment_path(&scope, &name)).await {
            Ok(shown) => {
                let description = super::names::find(&shown, "/properties/description");
                let description = description.and_then(Json::as_str).unwrap_or_default();
                Ok(Some(description.to_owned()))
            }
            Err(AzureError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes the role assignment of this provider; one that is not there is no error.
    ///
    /// # Errors
    /// When Azure refuses or cannot be reached.
    pub async fn unassign_role(
        &self,
        vault: &VaultResourceId,
        key: &str,
        principal: &PrincipalId,
    ) -> Result<(), AzureError> {
        let scope = format!("{vault}/keys/{key}");
        let name = assignment_name(&scope, ENCRYPTION_USER, principal);
        tracing::info!(scope, name, %principal, "removing a role assignment");
        let url = self.arm(&Self::assignment_path(&scope, &name));
        let outcome = self
            .call(Audience::ResourceManager, Method::DELETE, &url, None)
            .await;
        match outcome {
            Ok(_) | Err(AzureError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Changes the access policy of a principal: the permissions on keys that Databricks needs, and no others.
    ///
    /// # Errors
    /// When Azure refuses or cannot be reached.
    pub async fn change_access_policy(
        &self,
        vault: &VaultResourceId,
        tenant: &str,
        principal: &PrincipalId,
        change: AccessChange,
    ) -> Result<(), AzureError> {
        let operation = match change {
            AccessChange::Add => "add",
            AccessChange::Remove => "remove",
        };
        tracing::info!(%vault, operation, %principal, "changing an access policy");
        let body = json!({ "properties": { "accessPolicies": [{
            "tenantId": tenant,
            "objectId": principal.to_string(),
            "permissions": { "keys": PERMISSIONS },
        }]}});
        let url = self.arm(&format!(
            "{vault}/accessPolicies/{operation}?api-version={VAULTS}"
        ));
        self.call(Audience::ResourceManager, Method::PUT, &url, Some(&body))
            .await
            .map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    #[test]
    fn an_assignment_has_one_name() -> Outcome {
        let principal: PrincipalId = "11111111-1111-4111-8111-111111111111".parse()?;
        let name = assignment_name("/Subscriptions/S/keys/k", ENCRYPTION_USER, &principal);
        assert_eq!(
            name,
            assignment_name("/subscriptions/s/keys/k", ENCRYPTION_USER, &principal)
        );
        assert!(name.parse::<PrincipalId>().is_ok(), "{name} is a UUID");
        assert_ne!(
            name,
            assignment_name("/subscriptions/s/keys/other", ENCRYPTION_USER, &principal)
        );
        Ok(())
    }

    /// Each row: a category, its group, whether it is enabled, and whether uses of keys are recorded by it.
    #[test]
    fn a_vault_logs_uses_of_keys_by_its_audit_events() {
        for (category, group, enabled, expected) in [
            (Some("AuditEvent"), None, true, true),
            (None, Some("audit"), true, true),
            (None, Some("AllLogs"), true, true),
            (Some("AuditEvent"), None, false, false),
            (Some("AzurePolicyEvaluationDetails"), None, true, false),
            (None, None, true, false),
        ] {
            let log = RawLog {
                category: category.map(str::to_owned),
                category_group: group.map(str::to_owned),
                enabled,
            };
            assert_eq!(log.has_audit_events(), expected, "{category:?} {group:?}");
        }
    }

    /// Each row: properties of a vault, and what they mean.
    #[test]
    fn a_vault_is_read_as_resource_manager_shows_it() -> Outcome {
        let read = |properties: Json| -> Result<Vault, AzureError> {
            let raw = parsed(json!({ "location": "westeurope", "properties": properties }))?;
            Ok(vault_of(raw, VaultKind::KeyVault, Fact::Known(Vec::new())))
        };
        let old = read(json!({ "tenantId": "t", "accessPolicies": [
            { "tenantId": "t", "objectId": "o", "permissions": { "keys": ["Get"], "secrets": null } },
            { "tenantId": "t", "objectId": "p", "permissions": {} },
        ]}))?;
        assert!(old.soft_delete && !old.purge_protection && old.network.allows_by_default);
        assert!(matches!(&old.access, AccessModel::AccessPolicies(all) if all.len() == 2));
        let closed = read(json!({
            "tenantId": "t", "enableRbacAuthorization": true, "enablePurgeProtection": true, "publicNetworkAccess": "disabled",
            "networkAcls": { "bypass": "None", "defaultAction": "Allow" },
        }))?;
        assert!(!closed.network.allows_by_default && !closed.network.lets_trusted_services_in);
        assert!(matches!(closed.access, AccessModel::RoleAssignments(_)));
        assert!(read(json!({ "accessPolicies": "none" })).is_err());
        Ok(())
    }
}
