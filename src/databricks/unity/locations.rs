//! Where tables lie: the external locations of a metastore, and the storage credentials through which Databricks reaches them.
//!
//! Fields and paths are those of the official SDK (databricks-sdk-go, `service/catalog`: `ExternalLocations`, `StorageCredentials`).

use serde::Deserialize;
use serde_json::Value as Json;

use super::reading::{Gap, Reader, Through, Unbound, through_one, unseen_by};
use super::{Caller, Metastore};
use crate::databricks::errors::Error;
use crate::databricks::transport::{Account, WorkspaceApi};
use crate::preflight::storage::SentEncryption;

/// An external location, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ExternalLocation {
    /// Its name, which is unique within its metastore.
    pub name: String,
    /// Where it is; none where the caller may only browse it.
    #[serde(default)]
    pub url: Option<String>,
    /// The name of its storage credential.
    #[serde(default)]
    pub credential_name: Option<String>,
    #[serde(default)]
    metastore_id: Option<String>,
    #[serde(default, deserialize_with = "crate::databricks::or_default")]
    encryption_details: Json,
}

impl ExternalLocation {
    /// What Databricks sends with each object that it writes there.
    pub fn sent(&self) -> SentEncryption {
        let unreadable = |what: &Json| SentEncryption::Unreadable(format!("`{what}`"));
        let details = &self.encryption_details;
        let details = match details {
            Json::Null => return SentEncryption::Nothing,
            Json::Object(fields) if fields.values().all(Json::is_null) => {
                return SentEncryption::Nothing;
            }
            Json::Object(fields) if fields.keys().all(|own| own == "sse_encryption_details") => {
                fields.get("sse_encryption_details").unwrap_or(details)
            }
            other => return unreadable(other),
        };
        let key = match details.get("aws_kms_key_arn") {
            None | Some(Json::Null) => None,
            Some(Json::String(key)) if key.is_empty() => None,
            Some(Json::String(key)) => Some(key.clone()),
            Some(_) => return unreadable(details),
        };
        match (details.get("algorithm").and_then(Json::as_str), key) {
            (Some("AWS_SSE_S3"), None) => SentEncryption::S3,
            (Some("AWS_SSE_KMS"), key) => SentEncryption::Kms(key),
            _ => unreadable(details),
        }
    }
}

/// A storage credential, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct StorageCredential {
    /// Its name, which is unique within its metastore.
    pub name: String,
    #[serde(default)]
    aws_iam_role: Option<Role>,
    #[serde(default)]
    azure_managed_identity: Option<ManagedIdentity>,
    #[serde(default)]
    azure_service_principal: Option<ServicePrincipal>,
    #[serde(default)]
    databricks_gcp_service_account: Option<GoogleAccount>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Role {
    role_arn: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct ManagedIdentity {
    access_connector_id: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct ServicePrincipal {
    application_id: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct GoogleAccount {
    #[serde(default)]
    email: Option<String>,
}

/// As whom Databricks reaches storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialIdentity {
    /// An IAM role, which itself needs the key of the bucket. Its ARN.
    Role(String),
    /// The managed identity of an access connector. Its resource ID. The key is used by the storage account.
    Connector(String),
    /// An application of Microsoft Entra ID. The key is used by the storage account.
    Application(String),
    /// A service account of Databricks on Google Cloud. The key is used by the service agent of Cloud Storage.
    GoogleAccount(String),
}

impl CredentialIdentity {
    /// Its name, as the configuration of its cloud has it.
    pub fn name(&self) -> &str {
        match self {
            Self::Role(name)
            | Self::Connector(name)
            | Self::Application(name)
            | Self::GoogleAccount(name) => name,
        }
    }
}

impl StorageCredential {
    /// As whom; none where the caller may not see it, or this version does not know such credentials.
    pub fn identity(&self) -> Option<CredentialIdentity> {
        if let Some(role) = &self.aws_iam_role {
            return Some(CredentialIdentity::Role(role.role_arn.clone()));
        }
        if let Some(own) = &self.azure_managed_identity {
            return Some(CredentialIdentity::Connector(
                own.access_connector_id.clone(),
            ));
        }
        if let Some(own) = &self.azure_service_principal {
            return Some(CredentialIdentity::Application(own.application_id.clone()));
        }
        let google = self.databricks_gcp_service_account.as_ref()?;
        google.email.clone().map(CredentialIdentity::GoogleAccount)
    }
}

/// The external locations and the storage credentials of a metastore, as far as they were seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetastoreLocations {
    /// The external locations.
    pub locations: Vec<ExternalLocation>,
    /// The storage credentials.
    pub credentials: Vec<StorageCredential>,
    /// What was not seen; empty only where it is certain that all was.
    pub gaps: Vec<Gap>,
}

impl MetastoreLocations {
    /// Reads them through one of these workspaces.
    ///
    /// # Errors
    /// What was not seen, when none of the workspaces answers.
    pub async fn read(
        account: &Account,
        metastore: &Metastore,
        ways: &[Through],
    ) -> Result<Self, Gap> {
        through_one(account, metastore, ways, AllLocations(metastore)).await
    }
}

/// Reads the locations of a metastore.
struct AllLocations<'a>(&'a Metastore);

impl Reader for AllLocations<'_> {
    type Found = MetastoreLocations;

    fn what(&self) -> &'static str {
        "external locations"
    }

    async fn read(&self, api: &WorkspaceApi) -> Result<MetastoreLocations, Error> {
        let (locations, unbound) = match api.external_locations(true).await {
            Ok(all) => (all, Unbound::Answered),
            Err(Error::Api(refusal)) if matches!(refusal.status, 400 | 403) => {
                (api.external_locations(false).await?, Unbound::Refused)
            }
            Err(error) => return Err(error),
        };
        let strange = |one: &&ExternalLocation| {
            let own = one.metastore_id.as_deref().unwrap_or_default();
            !own.is_empty() && own != self.0.metastore_id
        };
        if let Some(one) = locations.iter().find(strange) {
            let why = format!(
                "it shows the external location {} of another metastore",
                one.name
            );
            return Err(Error::Malformed(why));
        }
        let (credentials, caller) = tokio::join!(api.storage_credentials(), api.caller());
        Ok(found(
            self.0,
            caller.ok().as_ref(),
            (locations, unbound),
            credentials,
        ))
    }
}

fn found(
    metastore: &Metastore,
    caller: Option<&Caller>,
    (locations, unbound): (Vec<ExternalLocation>, Unbound),
    credentials: Result<Vec<StorageCredential>, Error>,
) -> MetastoreLocations {
    let name = metastore.in_words();
    let mut gaps = unseen_by("External locations", metastore, caller, unbound);
    for one in locations.iter().filter(|one| one.url.is_none()) {
        gaps.push(Gap {
            what: format!(
                "The URL of the external location {} of the metastore {name}",
                one.name
            ),
            why: "The caller may only browse the external location.".to_owned(),
            permission: Some(format!("BROWSE and READ FILES on {}", one.name)),
        });
    }
    let credentials = credentials.unwrap_or_else(|error| {
        gaps.push(Gap {
            what: format!("The storage credentials of the metastore {name}"),
            why: format!("{error}."),
            permission: Some("be the admin of the metastore".to_owned()),
        });
        Vec::new()
    });
    MetastoreLocations {
        locations,
        credentials,
        gaps,
    }
}

impl WorkspaceApi {
    /// The external locations of the workspace's metastore that the caller sees. `unbound`: also those that are bound to other workspaces.
    ///
    /// # Errors
    /// When the workspace refuses or cannot be reached.
    pub async fn external_locations(&self, unbound: bool) -> Result<Vec<ExternalLocation>, Error> {
        let query = match unbound {
            true => "include_browse=true&include_unbound=true",
            false => "include_browse=true",
        };
        let list = self.list("external-locations", "external_locations", query);
        list.await
    }

    /// The storage credentials of the workspace's metastore that the caller sees.
    ///
    /// # Errors
    /// When the workspace refuses or cannot be reached.
    pub async fn storage_credentials(&self) -> Result<Vec<StorageCredential>, Error> {
        let list = self.list(
            "storage-credentials",
            "storage_credentials",
            "include_unbound=true",
        );
        match list.await {
            Err(Error::Api(refusal)) if matches!(refusal.status, 400 | 403) => {
                self.list("storage-credentials", "storage_credentials", "")
                    .await
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Each row: the `encryption_details` of an external location, and what Databricks sends.
    #[test]
    fn what_is_sent_is_read_or_not_known() -> Result<(), serde_json::Error> {
        let kms = |key: Option<&str>| SentEncryption::Kms(key.map(str::to_owned));
        let sse = |details: Json| json!({ "sse_encryption_details": details });
        let unreadable = SentEncryption::Unreadable(String::new());
        let rows = [
            (Json::Null, SentEncryption::Nothing),
            (json!({}), SentEncryption::Nothing),
            (sse(Json::Null), SentEncryption::Nothing),
            (
                sse(json!({ "algorithm": "AWS_SSE_S3" })),
                SentEncryption::S3,
            ),
            (
                sse(json!({ "algorithm": "AWS_SSE_KMS", "aws_kms_key_arn": "k" })),
                kms(Some("k")),
            ),
            (
                sse(json!({ "algorithm": "AWS_SSE_KMS", "aws_kms_key_arn": "" })),
                kms(None),
            ),
            (sse(json!({ "algorithm": "AWS_SSE_KMS" })), kms(None)),
            (
                sse(json!({ "algorithm": "AWS_SSE_S3", "aws_kms_key_arn": "k" })),
                unreadable.clone(),
            ),
            (sse(json!({ "algorithm": "NEW" })), unreadable.clone()),
            (sse(json!("AWS_SSE_S3")), unreadable.clone()),
            (
                json!({ "another_kind": { "key": "k" } }),
                unreadable.clone(),
            ),
            (json!("x"), unreadable),
        ];
        for (details, expected) in rows {
            let shown = json!({ "name": "tables", "encryption_details": details });
            let found = serde_json::from_value::<ExternalLocation>(shown)?.sent();
            let is_same = match (&found, &expected) {
                (SentEncryption::Unreadable(why), SentEncryption::Unreadable(_)) => !why.is_empty(),
                (found, expected) => found == expected,
            };
            assert!(is_same, "{details}: {found:?}");
        }
        Ok(())
    }

    /// Each row: a storage credential, and as whom it reaches storage.
    #[test]
    fn the_identity_of_a_credential_is_that_of_its_cloud() -> Result<(), serde_json::Error> {
        let role = "arn:aws:iam::123456789012:role/tables";
        let rows = [
            (json!({ "aws_iam_role": { "role_arn": role } }), Some(role)),
            (
                json!({ "azure_managed_identity": { "access_connector_id": "/subscriptions/s" } }),
                Some("/subscriptions/s"),
            ),
            (
                json!({ "azure_service_principal": { "application_id": "a", "directory_id": "d" } }),
                Some("a"),
            ),
            (
                json!({ "databricks_gcp_service_account": { "email": "a@b" } }),
                Some("a@b"),
            ),
            (json!({ "databricks_gcp_service_account": {} }), None),
            (
                json!({ "cloudflare_api_token": { "account_id": "x" } }),
                None,
            ),
            (json!({ "browse_only": true }), None),
        ];
        for (mut shown, expected) in rows {
            let fields = shown.as_object_mut();
            fields.and_then(|fields| fields.insert("name".to_owned(), json!("tables")));
            let read: StorageCredential = serde_json::from_value(shown.clone())?;
            let identity = read.identity();
            let name = identity.as_ref().map(CredentialIdentity::name);
            assert_eq!(name, expected, "{shown}");
        }
        Ok(())
    }

    /// What is not seen of locations is said: those that others may see, URLs, credentials.
    #[test]
    fn what_was_not_seen_of_locations_is_a_gap() -> Result<(), serde_json::Error> {
        let metastore: Metastore =
            serde_json::from_value(json!({ "metastore_id": "m", "owner": "admins" }))?;
        let admin: Caller = serde_json::from_value(json!({ "groups": [{ "display": "admins" }] }))?;
        let seen: ExternalLocation =
            serde_json::from_value(json!({ "name": "a", "url": "s3://acme" }))?;
        let browsed: ExternalLocation = serde_json::from_value(json!({ "name": "b" }))?;
        let refused = || Err(Error::Malformed("x".to_owned()));
        let rows = [
            (Some(&admin), Unbound::Answered, &seen, Ok(Vec::new()), 0),
            (Some(&admin), Unbound::Answered, &browsed, Ok(Vec::new()), 1),
            (Some(&admin), Unbound::Refused, &seen, Ok(Vec::new()), 1),
            (Some(&admin), Unbound::Answered, &seen, refused(), 1),
            (None, Unbound::Answered, &seen, Ok(Vec::new()), 1),
            (None, Unbound::Refused, &browsed, refused(), 4),
        ];
        for (caller, unbound, location, credentials, expected) in rows {
            let gaps = found(
                &metastore,
                caller,
                (vec![location.clone()], unbound),
                credentials,
            )
            .gaps;
            assert_eq!(gaps.len(), expected, "{gaps:?}");
        }
        Ok(())
    }
}
