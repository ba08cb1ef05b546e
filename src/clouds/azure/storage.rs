//! Storage accounts: their keys, and the identities that use them. Source: REST API of Microsoft.Storage, `Storage Accounts - List`, whose key
//! properties are in lower case.

use serde::Deserialize;
use serde_json::Value as Json;

use super::errors::AzureError;
use super::{Audience, Azure};
use crate::preflight::storage::StorageAccount;
use crate::vocabulary::azure::PrincipalId;

/// The version of the API for storage accounts.
const STORAGE: &str = "2024-01-01";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Raw {
    id: String,
    name: String,
    identity: Option<Json>,
    properties: Properties,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Properties {
    encryption: Option<Encryption>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Encryption {
    #[serde(rename = "keySource")]
    key_source: Option<String>,
    keyvaultproperties: Option<Vault>,
    identity: Option<Assigned>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Vault {
    keyvaulturi: Option<String>,
    keyname: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Assigned {
    #[serde(rename = "userAssignedIdentity")]
    user_assigned_identity: Option<String>,
}

/// The identity that uses the key: the one that is assigned for it, else that of the account. An account without an identity has none.
///
/// # Errors
/// When the account names an identity that its answer does not have, or whose object ID is none: then nobody knows who uses the key.
fn principal(
    identity: Option<&Json>,
    assigned: Option<&str>,
) -> Result<Option<PrincipalId>, String> {
    let id = match assigned.filter(|own| !own.is_empty()) {
        None => identity.and_then(|own| own.get("principalId")),
        Some(own) => {
            let all = identity.and_then(|one| one.get("userAssignedIdentities")?.as_object());
            let mut all = all.into_iter().flatten();
            let found = all.find(|(id, _)| id.eq_ignore_ascii_case(own));
            let id = found.and_then(|(_, found)| found.get("principalId"));
            Some(id.ok_or_else(|| format!("Azure shows no `principalId` of its identity {own}"))?)
        }
    };
    match id {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(id)) if id.is_empty() => Ok(None),
        Some(id) => id
            .as_str()
            .and_then(|id| id.parse().ok())
            .map(Some)
            .ok_or_else(|| format!("Azure shows {id} as the `principalId` of its identity")),
    }
}

fn read(json: Json) -> Result<StorageAccount, AzureError> {
    let raw: Raw =
        serde_json::from_value(json).map_err(|error| AzureError::Malformed(error.to_string()))?;
    if raw.name.is_empty() {
        return Err(AzureError::Malformed(
            "a storage account has no name".to_owned(),
        ));
    }
    let encryption = raw.properties.encryption.unwrap_or_default();
    let assigned = encryption
        .identity
        .and_then(|own| own.user_assigned_identity);
    let vault = encryption.keyvaultproperties.unwrap_or_default();
    let key = vault.keyvaulturi.zip(vault.keyname);
    Ok(StorageAccount {
        principal: principal(raw.identity.as_ref(), assigned.as_deref()),
        // The judge treats an account that shows no source as not known.
        key_source: encryption.key_source.unwrap_or_default(),
        key: key.map(|(vault, name)| format!("{}/keys/{name}", vault.trim_end_matches('/'))),
        id: raw.id,
        name: raw.name.to_ascii_lowercase(),
    })
}

impl Azure {
    /// The storage accounts of a subscription that the caller may read; others are not in the list.
    ///
    /// # Errors
    /// When Azure refuses or cannot be reached.
    pub async fn storage_accounts(
        &self,
        subscription: &str,
    ) -> Result<Vec<StorageAccount>, AzureError> {
        let url = self.arm(&format!(
            "/subscriptions/{subscription}/providers/Microsoft.Storage/storageAccounts?api-version={STORAGE}"
        ));
        let all = self.list(Audience::ResourceManager, url).await?;
        all.into_iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OWN: &str = "b0c4e700-0000-4000-8000-000000000001";
    const ASSIGNED: &str = "b0c4e700-0000-4000-8000-000000000002";

    /// Each row: the identity of an account, the one that is assigned for encryption, and who uses the key.
    #[test]
    fn the_identity_that_uses_the_key_is_found() {
        let both = json!({
            "principalId": OWN,
            "userAssignedIdentities": { "/subscriptions/S/x": { "principalId": ASSIGNED, "clientId": "c" } },
        });
        let none = json!({ "type": "None", "principalId": null });
        let strange = json!({ "principalId": "me" });
        let rows = [
            (None, None, Ok(None)),
            (Some(&none), None, Ok(None)),
            (Some(&both), None, Ok(Some(OWN))),
            (Some(&both), Some(""), Ok(Some(OWN))),
            (Some(&both), Some("/subscriptions/s/X"), Ok(Some(ASSIGNED))),
            // One that is not shown is not replaced by another one, and is not none.
            (Some(&both), Some("/subscriptions/s/y"), Err(())),
            (None, Some("/subscriptions/s/y"), Err(())),
            (Some(&strange), None, Err(())),
        ];
        for (identity, assigned, expected) in rows {
            let found = principal(identity, assigned);
            let found = found.map(|own| own.map(|own| own.to_string()));
            let found = found.as_ref().map(Option::as_deref).map_err(drop);
            assert_eq!(found, expected, "{identity:?} {assigned:?}");
        }
    }

    /// Each row: the encryption of an account, its key source and its key.
    #[test]
    fn the_key_of_an_account_is_read() {
        let rows = [
            (
                json!({ "keySource": "Microsoft.Storage" }),
                "Microsoft.Storage",
                None,
            ),
            (
                json!({ "keySource": "Microsoft.Keyvault", "keyvaultproperties": {
                    "keyvaulturi": "https://acme.vault.azure.net/", "keyname": "tables", "keyversion": "" } }),
                "Microsoft.Keyvault",
                Some("https://acme.vault.azure.net/keys/tables"),
            ),
            (
                json!({ "keySource": "Microsoft.Keyvault", "keyvaultproperties": { "keyname": "tables" } }),
                "Microsoft.Keyvault",
                None,
            ),
            (Json::Null, "", None),
        ];
        for (encryption, source, key) in rows {
            let shown = json!({ "id": "/x", "name": "AcmeTables", "properties": { "encryption": encryption } });
            let found = read(shown).expect("an account");
            assert_eq!(
                (found.key_source.as_str(), found.key.as_deref()),
                (source, key)
            );
            assert_eq!(found.name, "acmetables");
        }
        assert!(read(json!({ "id": "/x" })).is_err());
    }
}
