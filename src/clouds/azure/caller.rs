//! Who calls Azure, and what the permissions API of Resource Manager shows for the caller.
//!
//! Sources: Microsoft identity platform, "Access token claims reference"; Microsoft.Authorization REST API 2022-04-01, Permissions.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::Value as Json;

use super::arm::{AUTHORIZATION, parsed};
use super::errors::AzureError;
use super::{Audience, Azure};
use kms_policy::Pattern;

/// Who calls, as far as the token says. Nothing is decided by it: its signature is not checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AzureCaller {
    /// The user or the application, with the object ID last where the token has it.
    pub name: String,
    /// The tenant that gave out the token.
    pub tenant: Option<String>,
}

/// The claims of an access token that name its owner.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Claims {
    upn: Option<String>,
    unique_name: Option<String>,
    appid: Option<String>,
    oid: Option<String>,
    tid: Option<String>,
}

/// The claims in the middle of a token; none in one that is not a JWT.
fn claims(token: &str) -> Claims {
    let payload = token.split('.').nth(1).unwrap_or_default();
    let bytes = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('='));
    let read = bytes
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    read.unwrap_or_default()
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Permission {
    #[serde(default)]
    actions: Vec<String>,
    #[serde(default)]
    not_actions: Vec<String>,
    #[serde(default)]
    data_actions: Vec<String>,
    #[serde(default)]
    not_data_actions: Vec<String>,
}

/// What the caller may do at a scope, from all of its roles there.
#[derive(Clone, Debug)]
pub struct OwnPermissions(Vec<Permission>);

impl OwnPermissions {
    /// Reads the list of the permissions API.
    ///
    /// # Errors
    /// When an entry is not a permission.
    pub fn read(all: Vec<Json>) -> Result<Self, AzureError> {
        let all: Result<Vec<Permission>, AzureError> = all.into_iter().map(parsed).collect();
        all.map(Self)
    }

    /// Whether one of the roles has an action and does not except it. Each role is decided on its own: what one excepts, another can have.
    /// Source: Azure documentation, "Understand Azure role definitions".
    pub fn allows(&self, action: &str, is_of_data: bool) -> bool {
        let has = |all: &[String]| {
            all.iter()
                .any(|one| Pattern::wild(one).matches_ignoring_case(action))
        };
        self.0.iter().any(|one| match is_of_data {
            true => has(&one.data_actions) && !has(&one.not_data_actions),
            false => has(&one.actions) && !has(&one.not_actions),
        })
    }
}

impl Azure {
    /// Who calls, from the token for Resource Manager, or from the configuration where the token does not say.
    ///
    /// # Errors
    /// When there is no token.
    pub async fn caller(&self) -> Result<AzureCaller, AzureError> {
        let tokens = &self.connection()?.tokens;
        let token = tokens.token(Audience::ResourceManager, None).await?;
        let found = claims(token.expose_secret());
        let user = found.upn.or(found.unique_name);
        let application = found.appid.or_else(|| self.settings.client.clone());
        let who = match (user, application) {
            (Some(user), _) => format!("user {user}"),
            (None, Some(application)) => format!("application {application}"),
            (None, None) => "an identity that its token does not name".to_owned(),
        };
        let name = match found.oid {
            Some(object) => format!("{who}, object {object}"),
            None => who,
        };
        Ok(AzureCaller {
            name,
            tenant: found.tid.or_else(|| self.settings.tenant.clone()),
        })
    }

    /// What the caller may do at a scope.
    ///
    /// # Errors
    /// When Azure refuses or cannot be reached.
    pub async fn own_permissions(&self, scope: &str) -> Result<OwnPermissions, AzureError> {
        let url = self.arm(&format!(
            "{scope}/providers/Microsoft.Authorization/permissions?api-version={AUTHORIZATION}"
        ));
        OwnPermissions::read(self.list(Audience::ResourceManager, url).await?)
    }

    /// Where its services are.
    pub fn endpoints(&self) -> Vec<(&'static str, String)> {
        let login = self.settings.login.as_deref();
        let vaults = match &self.settings.key_vault {
            Some(own) => own.clone(),
            None => self
                .settings
                .cloud
                .address(Audience::KeyVault)
                .replace("https://", "https://VAULT."),
        };
        vec![
            (
                "Resource Manager",
                self.settings.base(Audience::ResourceManager),
            ),
            (
                "Entra ID",
                login
                    .unwrap_or_else(|| self.settings.cloud.login())
                    .to_owned(),
            ),
            ("Microsoft Graph", self.settings.base(Audience::Graph)),
            ("Key Vault", vaults),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_of_a_token_is_read_and_nothing_else_fails() {
        let token = |claims: &str| format!("x.{}.y", URL_SAFE_NO_PAD.encode(claims));
        let found = claims(&token(r#"{"appid":"a","oid":"o","tid":"t","other":1}"#));
        assert_eq!(
            (
                found.appid.as_deref(),
                found.oid.as_deref(),
                found.tid.as_deref()
            ),
            (Some("a"), Some("o"), Some("t"))
        );
        for opaque in [
            "sandbox",
            "",
            "a.b.c",
            &token("[]"),
            &token(r#"{"appid":1}"#),
        ] {
            let found = claims(opaque);
            assert!(found.appid.is_none() && found.oid.is_none(), "{opaque}");
        }
    }

    /// What one role excepts, another one can have.
    #[test]
    fn each_role_is_decided_on_its_own() -> Result<(), AzureError> {
        let contributor = serde_json::json!({ "actions": ["*"], "notActions": ["Microsoft.Authorization/*/Write"] });
        let owner = serde_json::json!({ "actions": ["microsoft.authorization/roleassignments/*"] });
        let write = "Microsoft.Authorization/roleAssignments/write";
        assert!(!OwnPermissions::read(vec![contributor.clone()])?.allows(write, false));
        assert!(OwnPermissions::read(vec![contributor.clone(), owner])?.allows(write, false));
        assert!(!OwnPermissions::read(vec![contributor])?.allows(write, true));
        Ok(())
    }
}
