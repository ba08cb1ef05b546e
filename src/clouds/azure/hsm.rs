//! The local roles of a Managed HSM, by its data plane. Source: Managed HSM REST API, role assignments.

use reqwest::Method;
use serde_json::{Value as Json, json};

use super::arm::{RawAssignment, last, made, parsed};
use super::errors::AzureError;
use super::vault::VERSION;
use super::{Audience, Azure, assignment_name};
use crate::preflight::azure::{Assignment, RoleHolder};
use crate::requirements::azure::{HSM_ENCRYPTION_USER, rights_of, role_name};
use crate::vocabulary::azure::{PrincipalId, VaultKeyId};

impl Azure {
    fn hsm_assignments(key: &VaultKeyId, rest: &str) -> String {
        format!(
            "{}keys/{}/providers/Microsoft.Authorization/roleAssignments{rest}",
            key.vault_uri(),
            key.name()
        )
    }

    /// The local roles of a principal that count at a key. Groups that it is in are not among them: the HSM does not say.
    ///
    /// # Errors
    /// When the HSM refuses or cannot be reached.
    pub async fn local_roles(
        &self,
        key: &VaultKeyId,
        principal: &PrincipalId,
    ) -> Result<Vec<Assignment>, AzureError> {
        let principal = principal.to_string();
        let all = self.local_role_holders(key).await?.into_iter();
        let own = all.filter(|one| one.principal.eq_ignore_ascii_case(&principal));
        let found = own.map(|one| Assignment {
            scope: one.scope,
            rights: one.rights,
            role: one.role,
            group: None,
            condition: None,
        });
        Ok(found.collect())
    }

    /// Everybody who has a local role that counts at a key.
    ///
    /// # Errors
    /// When the HSM refuses or cannot be reached.
    pub async fn local_role_holders(
        &self,
        key: &VaultKeyId,
    ) -> Result<Vec<RoleHolder>, AzureError> {
        let url = Self::hsm_assignments(key, &format!("?api-version={VERSION}&$filter=atScope()"));
        let all: Vec<Json> = self.list(Audience::ManagedHsm, url).await?;
        let mut found = Vec::new();
        for one in all {
            let raw = parsed::<RawAssignment>(one)?.properties;
            let role = last(&raw.role_definition_id).to_ascii_lowercase();
            found.push(RoleHolder {
                principal: raw.principal_id,
                kind: raw.principal_type,
                scope: raw.scope.unwrap_or_default(),
                rights: rights_of(&role),
                role: role_name(&role).map_or_else(|| format!("the role {role}"), str::to_owned),
                condition: None,
            });
        }
        Ok(found)
    }

    fn own_local_role(key: &VaultKeyId, principal: &PrincipalId) -> (String, String) {
        let scope = format!("{}keys/{}", key.vault_uri(), key.name());
        let name = assignment_name(&scope, HSM_ENCRYPTION_USER, principal);
        let url = Self::hsm_assignments(key, &format!("/{name}?api-version={VERSION}"));
        (name, url)
    }

    /// Gives the local role Managed HSM Crypto Service Encryption User at a key. `false` when it is there already under another name.
    ///
    /// # Errors
    /// When the HSM refuses or cannot be reached.
    pub async fn assign_local_role(
        &self,
        key: &VaultKeyId,
        principal: &PrincipalId,
    ) -> Result<bool, AzureError> {
        let (name, url) = Self::own_local_role(key, principal);
        tracing::info!(%key, name, %principal, "assigning a local role");
        let body = json!({ "properties": {
            "roleDefinitionId": format!("/providers/Microsoft.Authorization/roleDefinitions/{HSM_ENCRYPTION_USER}"),
            "principalId": principal.to_string(),
        }});
        let outcome = self
            .call(Audience::ManagedHsm, Method::PUT, &url, Some(&body))
            .await;
        made(outcome)
    }

    /// Whether the local role that this provider gives is there.
    ///
    /// # Errors
    /// When the HSM refuses or cannot be reached.
    pub async fn has_own_local_role(
        &self,
        key: &VaultKeyId,
        principal: &PrincipalId,
    ) -> Result<bool, AzureError> {
        let (_, url) = Self::own_local_role(key, principal);
        match self
            .call(Audience::ManagedHsm, Method::GET, &url, None)
            .await
        {
            Ok(_) => Ok(true),
            Err(AzureError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes the local role that this provider gave; one that is not there is no error.
    ///
    /// # Errors
    /// When the HSM refuses or cannot be reached.
    pub async fn unassign_local_role(
        &self,
        key: &VaultKeyId,
        principal: &PrincipalId,
    ) -> Result<(), AzureError> {
        let (name, url) = Self::own_local_role(key, principal);
        tracing::info!(%key, name, %principal, "removing a local role");
        match self
            .call(Audience::ManagedHsm, Method::DELETE, &url, None)
            .await
        {
            Ok(_) | Err(AzureError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
