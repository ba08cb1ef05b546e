//! Unity Catalog: the metastores of an account, and through a workspace of each the catalogs with their keys.
//!
//! Fields and paths are those of the official SDK (databricks-sdk-go, `service/catalog` and `service/iam`). The account lists metastores and their
//! workspaces; what is in a metastore, only its workspaces show, each at a host of its own and for tokens of its own.

mod locations;
mod reading;

pub use locations::{CredentialIdentity, ExternalLocation, MetastoreLocations};
pub use reading::{Gap, MetastoreCatalogs, Through};

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::errors::Error;
use super::transport::{Account, WorkspaceApi};
use crate::network::Pages;
use crate::vocabulary::azure::VaultKeyId;
use crate::vocabulary::{IdError, WorkspaceId};

/// A metastore, as the account shows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Metastore {
    /// Its ID, a UUID.
    pub metastore_id: String,
    /// The name of the metastore, for people.
    #[serde(default, deserialize_with = "super::or_default")]
    pub name: String,
    /// Its region, as its cloud names it.
    #[serde(default)]
    pub region: Option<String>,
    /// The user, service principal or group that is its admin.
    #[serde(default)]
    pub owner: Option<String>,
    /// Where its managed tables lie, if it has storage of its own: `s3://…`, `gs://…`, `abfss://…`.
    #[serde(default)]
    pub storage_root: Option<String>,
    /// The name of the storage credential of that storage.
    #[serde(default)]
    pub storage_root_credential_name: Option<String>,
}

impl Metastore {
    /// Its name and its ID, as texts name it.
    pub fn in_words(&self) -> String {
        match self.name.is_empty() {
            true => self.metastore_id.clone(),
            false => format!("\"{}\" ({})", self.name, self.metastore_id),
        }
    }
}

/// A catalog, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Catalog {
    /// Its name, which is unique within its metastore.
    pub name: String,
    /// The ID of its metastore; `None` where the API leaves it out.
    #[serde(default)]
    pub metastore_id: Option<String>,
    /// Where its managed tables lie, if it has storage of its own.
    #[serde(default)]
    pub storage_root: Option<String>,
    /// `MANAGED_CATALOG`, or what has its tables elsewhere: `FOREIGN_CATALOG`, `DELTASHARING_CATALOG`, `SYSTEM_CATALOG`.
    #[serde(default)]
    pub catalog_type: Option<String>,
    /// Whether the caller sees only that it is there.
    #[serde(default, deserialize_with = "super::or_default")]
    pub browse_only: bool,
    #[serde(default, deserialize_with = "super::or_default")]
    managed_encryption_settings: Json,
}

/// What a catalog shows as its own key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CatalogKey {
    /// It has none of its own.
    None,
    /// The key configuration of the account (AWS and Google Cloud), or the identifier of the key (Azure).
    Set(String),
    /// The caller may not see it.
    NotShown,
    /// The catalog shows a value that the provider cannot read.
    Unreadable(String),
}

impl Catalog {
    /// The key that the catalog shows in its settings.
    pub fn key(&self) -> CatalogKey {
        let settings = match &self.managed_encryption_settings {
            // A caller who may only browse sees some of the fields, and the API does not say which.
            Json::Null if self.browse_only => return CatalogKey::NotShown,
            Json::Null => return CatalogKey::None,
            Json::Object(settings) => settings,
            other => return CatalogKey::Unreadable(format!("`{other}`")),
        };
        let text = |name: &str| match settings.get(name) {
            None | Some(Json::Null) => None,
            Some(Json::String(text)) if text.is_empty() => None,
            Some(Json::String(text)) => Some(Ok(text.clone())),
            Some(other) => Some(Err(format!("`{name}` is `{other}`"))),
        };
        match (
            text("customer_managed_key_id"),
            text("azure_key_vault_key_id"),
        ) {
            (Some(Err(why)), _) | (_, Some(Err(why))) => CatalogKey::Unreadable(why),
            (Some(Ok(_)), Some(Ok(_))) => CatalogKey::Unreadable("there are two keys".to_owned()),
            (Some(Ok(id)), None) => CatalogKey::Set(id),
            // A text that is not a key cannot be compared with one, so the catalog may use any key.
            (None, Some(Ok(key))) => match key.parse::<VaultKeyId>() {
                Ok(_) => CatalogKey::Set(key),
                Err(error) => CatalogKey::Unreadable(error.to_string()),
            },
            (None, None) if says_nothing(settings) => CatalogKey::None,
            (None, None) => CatalogKey::Unreadable(format!("`{}`", Json::Object(settings.clone()))),
        }
    }
}

/// Whether nothing stands in it, however it is written.
fn says_nothing(settings: &Map<String, Json>) -> bool {
    settings.values().all(|value| match value {
        Json::Null => true,
        Json::String(text) => text.is_empty(),
        Json::Object(inner) => says_nothing(inner),
        _ => false,
    })
}

/// Who calls, as a workspace knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Caller {
    /// The name of a user, or the application ID of a service principal.
    #[serde(default)]
    user_name: Option<String>,
    #[serde(default, deserialize_with = "super::or_default")]
    groups: Vec<Group>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
struct Group {
    #[serde(default)]
    display: Option<String>,
}

impl Caller {
    /// Whether the caller is this user or service principal, or a member of this group.
    pub fn is(&self, owner: &str) -> bool {
        let mut groups = self.groups.iter();
        !owner.is_empty()
            && (self.user_name.as_deref() == Some(owner)
                || groups.any(|group| group.display.as_deref() == Some(owner)))
    }
}

#[derive(Deserialize)]
struct Metastores {
    #[serde(default, deserialize_with = "super::or_default")]
    metastores: Vec<Metastore>,
}

#[derive(Deserialize)]
struct Assigned {
    #[serde(default, deserialize_with = "super::or_default")]
    workspace_ids: Vec<Json>,
}

impl Account {
    /// The metastores of the account.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub async fn metastores(&self) -> Result<Vec<Metastore>, Error> {
        Ok(self.get::<Metastores>("/metastores").await?.metastores)
    }

    /// The workspaces of a metastore.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached, or an ID is not one.
    pub async fn workspaces_of_metastore(&self, id: &str) -> Result<Vec<WorkspaceId>, Error> {
        let id: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
        let path = format!("/metastores/{id}/workspaces");
        let assigned: Assigned = self.get(&path).await?;
        let read = |id: Json| match id {
            Json::String(text) => text.parse(),
            other => other.to_string().parse(),
        };
        let all: Result<Vec<WorkspaceId>, IdError> =
            assigned.workspace_ids.into_iter().map(read).collect();
        all.map_err(|error| Error::Malformed(error.to_string()))
    }
}

impl WorkspaceApi {
    /// Who calls.
    ///
    /// # Errors
    /// When the workspace refuses or cannot be reached.
    pub async fn caller(&self) -> Result<Caller, Error> {
        self.get("/api/2.0/preview/scim/v2/Me").await
    }

    /// The catalogs of the workspace's metastore that the caller sees, also those that it may only browse. `unbound`: also those that are bound to
    /// other workspaces, which only takes effect for who may change bindings.
    ///
    /// # Errors
    /// When the workspace refuses or cannot be reached.
    pub async fn catalogs(&self, unbound: bool) -> Result<Vec<Catalog>, Error> {
        let query = match unbound {
            true => "include_browse=true&include_unbound=true",
            false => "include_browse=true",
        };
        self.list("catalogs", "catalogs", query).await
    }

    /// A whole list, page by page. A page may be empty and have a next one; an empty list may be left out.
    async fn list<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        field: &str,
        query: &str,
    ) -> Result<Vec<T>, Error> {
        let (mut all, mut pages, mut token) = (Vec::new(), Pages::default(), None::<String>);
        loop {
            let mut url = format!("/api/2.1/unity-catalog/{path}?max_results=0");
            if !query.is_empty() {
                url.push_str(&format!("&{query}"));
            }
            if let Some(token) = &token {
                let token: String =
                    url::form_urlencoded::byte_serialize(token.as_bytes()).collect();
                url.push_str(&format!("&page_token={token}"));
            }
            let mut page: Map<String, Json> = self.get(&url).await?;
            let entries = page.remove(field).filter(|entries| !entries.is_null());
            if let Some(entries) = entries {
                let entries: Vec<T> = serde_json::from_value(entries)
                    .map_err(|error| Error::Malformed(error.to_string()))?;
                all.extend(entries);
            }
            let next = match page.remove("next_page_token") {
                None | Some(Json::Null) => return Ok(all),
                Some(Json::String(next)) if next.is_empty() => return Ok(all),
                Some(Json::String(next)) => next,
                Some(other) => {
                    let why = format!("`next_page_token` is `{other}`");
                    return Err(Error::Malformed(why));
                }
            };
            pages.next(&next).map_err(Error::Malformed)?;
            token = Some(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Each row: what a list shows of a catalog beside its name, and its key.
    #[test]
    fn the_key_of_a_catalog_is_read_or_not_known() -> Result<(), serde_json::Error> {
        let set = |key: &str| CatalogKey::Set(key.to_owned());
        let unreadable = CatalogKey::Unreadable(String::new());
        let vault = "https://v.vault.azure.net/keys/k/0123456789abcdef0123456789abcdef";
        let with = |settings: Json| json!({ "managed_encryption_settings": settings });
        let rows = [
            (json!({}), CatalogKey::None),
            (with(Json::Null), CatalogKey::None),
            (with(json!({})), CatalogKey::None),
            (
                with(json!({ "customer_managed_key_id": "", "azure_encryption_settings": {} })),
                CatalogKey::None,
            ),
            (with(json!({ "customer_managed_key_id": "c" })), set("c")),
            (
                with(
                    json!({ "azure_key_vault_key_id": vault, "azure_encryption_settings": { "azure_tenant_id": "t" } }),
                ),
                set(vault),
            ),
            (json!({ "browse_only": true }), CatalogKey::NotShown),
            (
                json!({ "browse_only": true, "managed_encryption_settings": { "customer_managed_key_id": "c" } }),
                set("c"),
            ),
            (with(json!("c")), unreadable.clone()),
            (
                with(json!({ "azure_key_vault_key_id": "main" })),
                unreadable.clone(),
            ),
            (
                with(json!({ "customer_managed_key_id": 7 })),
                unreadable.clone(),
            ),
            (
                with(json!({ "another_kind_of_key": "c" })),
                unreadable.clone(),
            ),
            (
                with(json!({ "customer_managed_key_id": "c", "azure_key_vault_key_id": vault })),
                unreadable,
            ),
        ];
        for (mut shown, expected) in rows {
            let fields = shown.as_object_mut();
            fields.and_then(|fields| fields.insert("name".to_owned(), json!("main")));
            let found = serde_json::from_value::<Catalog>(shown.clone())?.key();
            let is_same = match (&found, &expected) {
                (CatalogKey::Unreadable(why), CatalogKey::Unreadable(_)) => !why.is_empty(),
                (found, expected) => found == expected,
            };
            assert!(is_same, "{shown}: {found:?}");
        }
        Ok(())
    }

    #[test]
    fn the_admin_of_a_metastore_is_known_by_name_or_group() -> Result<(), serde_json::Error> {
        let caller: Caller = serde_json::from_value(json!({
            "userName": "0a0a0a0a-0000-4000-8000-000000000001",
            "groups": [{ "display": "metastore-admins", "value": "7" }, {}],
        }))?;
        let rows = [
            ("metastore-admins", true),
            ("0a0a0a0a-0000-4000-8000-000000000001", true),
            ("others", false),
            ("", false),
        ];
        for (owner, expected) in rows {
            assert_eq!(caller.is(owner), expected, "{owner}");
        }
        assert!(!Caller::default().is(""));
        Ok(())
    }
}
