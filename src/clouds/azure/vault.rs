//! Keys of Key Vault and Managed HSM, by the data plane.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use time::OffsetDateTime;

use super::arm::{VAULTS, parsed};
use super::errors::AzureError;
use super::{Audience, Azure};
use crate::preflight::azure::VaultKey;
use crate::vocabulary::azure::{VaultKeyId, VaultKind, VaultResourceId};

/// The version of the API. Source: Key Vault REST API.
pub(super) const VERSION: &str = "2025-07-01";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Bundle {
    key: RawKey,
    attributes: Attributes,
    managed: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawKey {
    kid: String,
    kty: String,
    key_ops: Vec<String>,
    n: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Attributes {
    enabled: Option<bool>,
    nbf: Option<i64>,
    exp: Option<i64>,
    created: Option<i64>,
    recovery_level: String,
    recoverable_days: Option<u32>,
}

impl Attributes {
    /// Whether what they describe is enabled. An answer that does not say so is none: a key that counts as disabled without proof would never be
    /// disabled.
    fn enabled(&self, kid: &str) -> Result<bool, AzureError> {
        self.enabled.ok_or_else(|| {
            AzureError::Malformed(format!("the answer does not say whether {kid} is enabled"))
        })
    }
}

/// The size of an RSA key by its modulus; the service does not say it.
fn bits(modulus: &str) -> Option<u32> {
    let bytes = URL_SAFE_NO_PAD.decode(modulus.trim_end_matches('=')).ok()?;
    let significant = bytes.iter().skip_while(|byte| **byte == 0).count();
    u32::try_from(significant * 8).ok().filter(|bits| *bits > 0)
}

fn moment(seconds: Option<i64>) -> Option<OffsetDateTime> {
    seconds
        .filter(|seconds| *seconds > 0)
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
}

impl TryFrom<Bundle> for VaultKey {
    type Error = AzureError;

    fn try_from(raw: Bundle) -> Result<Self, AzureError> {
        Ok(Self {
            version: version_in(&raw.key.kid)?,
            bits: bits(&raw.key.n),
            kind: raw.key.kty,
            enabled: raw.attributes.enabled(&raw.key.kid)?,
            not_before: moment(raw.attributes.nbf),
            expires: moment(raw.attributes.exp),
            operations: raw.key.key_ops,
            recovery_level: raw.attributes.recovery_level,
            recoverable_days: raw.attributes.recoverable_days,
            of_certificate: raw.managed,
        })
    }
}

/// A key as Resource Manager shows it, which the firewall of a vault does not stop. Source: Microsoft.KeyVault REST API, Keys - Get.
#[derive(Deserialize)]
struct RawArmKey {
    properties: RawArmProperties,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawArmProperties {
    attributes: Attributes,
    kty: String,
    key_ops: Vec<String>,
    key_size: Option<u32>,
    key_uri_with_version: String,
}

impl TryFrom<RawArmKey> for VaultKey {
    type Error = AzureError;

    fn try_from(raw: RawArmKey) -> Result<Self, AzureError> {
        let raw = raw.properties;
        Ok(Self {
            version: version_in(&raw.key_uri_with_version)?,
            bits: raw.key_size,
            kind: raw.kty,
            enabled: raw.attributes.enabled(&raw.key_uri_with_version)?,
            not_before: moment(raw.attributes.nbf),
            expires: moment(raw.attributes.exp),
            operations: raw.key_ops,
            recovery_level: raw.attributes.recovery_level,
            recoverable_days: raw.attributes.recoverable_days,
            // Resource Manager does not show it.
            of_certificate: false,
        })
    }
}

/// The version that the identifier of a key names.
fn version_in(kid: &str) -> Result<String, AzureError> {
    let id: VaultKeyId = kid
        .parse()
        .map_err(|error| AzureError::Malformed(format!("{error}")))?;
    let version = id.version().map(str::to_owned);
    version.ok_or_else(|| AzureError::Malformed("the key has no version".to_owned()))
}

fn audience(key: &VaultKeyId) -> Audience {
    match key.kind() {
        VaultKind::KeyVault => Audience::KeyVault,
        VaultKind::ManagedHsm => Audience::ManagedHsm,
    }
}

/// A version of a key in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyVersion {
    /// The identifier with a version.
    pub id: VaultKeyId,
    /// Whether the vault lets principals use it.
    pub enabled: bool,
    /// Before when it does not encrypt.
    pub not_before: Option<OffsetDateTime>,
    /// From when on it does not encrypt.
    pub expires: Option<OffsetDateTime>,
    /// When it was made.
    pub created: Option<OffsetDateTime>,
    /// The tags, of which the kill switch keeps one.
    pub tags: BTreeMap<String, String>,
}

/// The attributes of a version that an update changes; it leaves the others alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionChange {
    /// Whether it is enabled afterwards.
    pub enabled: bool,
    /// All its tags afterwards.
    pub tags: BTreeMap<String, String>,
}

/// The tag of a version that the kill switch has disabled; its value is the time (RFC 3339).
pub const DISABLED_TAG: &str = "dbxcmk-disabled";

/// A key that was deleted and can be recovered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedKey {
    /// When it was deleted.
    pub deleted: Option<OffsetDateTime>,
    /// When the vault deletes it permanently; `None` if the vault does not say.
    pub purged: Option<OffsetDateTime>,
    /// Since when the kill switch had disabled it, as the tag of its newest version says.
    pub disabled: Option<String>,
}

#[derive(Deserialize)]
struct RawItem {
    kid: String,
    attributes: Attributes,
    #[serde(default)]
    tags: Option<BTreeMap<String, String>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawDeleted {
    deleted_date: Option<i64>,
    scheduled_purge_date: Option<i64>,
    tags: Option<BTreeMap<String, String>>,
    attributes: Attributes,
}

impl From<RawDeleted> for DeletedKey {
    fn from(raw: RawDeleted) -> Self {
        Self {
            deleted: moment(raw.deleted_date),
            purged: moment(raw.scheduled_purge_date),
            disabled: raw
                .tags
                .filter(|_| raw.attributes.enabled == Some(false))
                .and_then(|mut tags| tags.remove(DISABLED_TAG)),
        }
    }
}

impl Azure {
    async fn on_key(
        &self,
        key: &VaultKeyId,
        method: Method,
        path: &str,
        body: Option<&Json>,
    ) -> Result<Json, AzureError> {
        let url = format!("{}{path}?api-version={VERSION}", key.vault_uri());
        Ok(self.call(audience(key), method, &url, body).await?.body)
    }

    fn path(key: &VaultKeyId) -> String {
        match key.version() {
            Some(version) => format!("keys/{}/{version}", key.name()),
            None => format!("keys/{}", key.name()),
        }
    }

    /// A key: the version that its identifier names, or the current one.
    ///
    /// # Errors
    /// When the vault refuses or cannot be reached.
    pub async fn key(&self, key: &VaultKeyId) -> Result<VaultKey, AzureError> {
        let found = self
            .on_key(key, Method::GET, &Self::path(key), None)
            .await?;
        parsed::<Bundle>(found)?.try_into()
    }

    /// The same through Resource Manager, for a machine that the firewall of the vault does not let in.
    ///
    /// # Errors
    /// When Azure refuses or cannot be reached.
    pub async fn key_by_resource_manager(
        &self,
        vault: &VaultResourceId,
        key: &VaultKeyId,
    ) -> Result<VaultKey, AzureError> {
        let version = key
            .version()
            .map(|version| format!("/versions/{version}"))
            .unwrap_or_default();
        let path = format!("{vault}/keys/{}{version}?api-version={VAULTS}", key.name());
        parsed::<RawArmKey>(self.arm_get(&path).await?)?.try_into()
    }

    /// Every version of a key, the oldest first.
    ///
    /// # Errors
    /// When the vault refuses or cannot be reached.
    pub async fn key_versions(&self, key: &VaultKeyId) -> Result<Vec<KeyVersion>, AzureError> {
        let url = format!(
            "{}keys/{}/versions?api-version={VERSION}",
            key.vault_uri(),
            key.name()
        );
        let all = self.list(audience(key), url).await?;
        let read = |item: Json| {
            let raw: RawItem = parsed(item)?;
            Ok(KeyVersion {
                id: raw
                    .kid
                    .parse()
                    .map_err(|error| AzureError::Malformed(format!("{error}")))?,
                enabled: raw.attributes.enabled(&raw.kid)?,
                not_before: moment(raw.attributes.nbf),
                expires: moment(raw.attributes.exp),
                created: moment(raw.attributes.created),
                tags: raw.tags.unwrap_or_default(),
            })
        };
        let mut versions = all
            .into_iter()
            .map(read)
            .collect::<Result<Vec<KeyVersion>, AzureError>>()?;
        versions.sort_by(|one, other| (one.created, &one.id).cmp(&(other.created, &other.id)));
        Ok(versions)
    }

    /// The keys of a vault, by identifiers without a version.
    ///
    /// # Errors
    /// When the vault refuses or cannot be reached.
    pub async fn keys_of_vault(
        &self,
        vault: &VaultResourceId,
    ) -> Result<Vec<Result<VaultKeyId, String>>, AzureError> {
        let audience = match vault.vault_kind() {
            VaultKind::KeyVault => Audience::KeyVault,
            VaultKind::ManagedHsm => Audience::ManagedHsm,
        };
        let domain = self
            .settings
            .cloud
            .address(audience)
            .trim_start_matches("https://");
        let url = format!(
            "https://{}.{domain}/keys?api-version={VERSION}",
            vault.id().name().to_ascii_lowercase()
        );
        let all = self.list(audience, url).await?;
        let read = |item: Json| {
            let kid = item.get("kid").and_then(Json::as_str).unwrap_or_default();
            kid.parse().map_err(|error| format!("{error}"))
        };
        Ok(all.into_iter().map(read).collect())
    }

    /// Enables or disables a version, and sets its tags.
    ///
    /// # Errors
    /// When the vault refuses or cannot be reached.
    pub async fn change_version(
        &self,
        version: &VaultKeyId,
        change: &VersionChange,
    ) -> Result<(), AzureError> {
        tracing::info!(%version, enabled = change.enabled, "changing a version of a key");
        let body = json!({ "attributes": { "enabled": change.enabled }, "tags": change.tags });
        self.on_key(version, Method::PATCH, &Self::path(version), Some(&body))
            .await
            .map(|_| ())
    }

    /// Deletes a key, with all its versions; it can be recovered until its purge date.
    ///
    /// # Errors
    /// When the vault refuses or cannot be reached.
    pub async fn delete_key(&self, key: &VaultKeyId) -> Result<DeletedKey, AzureError> {
        tracing::info!(%key, "deleting a key");
        let path = format!("keys/{}", key.name());
        let found = self.on_key(key, Method::DELETE, &path, None).await?;
        Ok(parsed::<RawDeleted>(found)?.into())
    }

    /// A deleted key; `None` when there is none of this name.
    ///
    /// # Errors
    /// When the vault refuses or cannot be reached.
    pub async fn deleted_key(&self, key: &VaultKeyId) -> Result<Option<DeletedKey>, AzureError> {
        let path = format!("deletedkeys/{}", key.name());
        match self.on_key(key, Method::GET, &path, None).await {
            Ok(found) => Ok(Some(parsed::<RawDeleted>(found)?.into())),
            Err(AzureError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Recovers a deleted key.
    ///
    /// # Errors
    /// When the vault refuses or cannot be reached.
    pub async fn recover_key(&self, key: &VaultKeyId) -> Result<(), AzureError> {
        tracing::info!(%key, "recovering a key");
        let path = format!("deletedkeys/{}/recover", key.name());
        self.on_key(key, Method::POST, &path, None)
            .await
            .map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_the_vault_shows_it() -> Result<(), Box<dyn std::error::Error>> {
        let modulus = URL_SAFE_NO_PAD.encode([0x80_u8; 256]);
        let bundle: Bundle = serde_json::from_value(serde_json::json!({
            "key": { "kid": "https://v.vault.azure.net/keys/k/0123456789abcdef0123456789abcdef", "kty": "RSA",
                "key_ops": ["wrapKey", "unwrapKey"], "n": modulus, "e": "AQAB" },
            "attributes": { "enabled": true, "exp": 1_800_000_000, "recoveryLevel": "CustomizedRecoverable+Purgeable" },
        }))?;
        let key = VaultKey::try_from(bundle)?;
        assert_eq!((key.bits, key.enabled), (Some(2048), true));
        assert!(key.expires.is_some() && !key.is_purge_protected());
        assert_eq!(bits(""), None);
        let by_arm: RawArmKey = serde_json::from_value(serde_json::json!({ "properties": {
            "attributes": { "enabled": false, "exp": 1_800_000_000, "recoveryLevel": "Recoverable" }, "kty": "RSA", "keySize": 2048,
            "keyOps": ["wrapKey"], "keyUriWithVersion": "https://v.vault.azure.net/keys/k/0123456789abcdef0123456789abcdef" } }))?;
        let by_arm = VaultKey::try_from(by_arm)?;
        assert_eq!((by_arm.bits, by_arm.enabled), (Some(2048), false));
        assert_eq!(by_arm.version, key.version);
        assert!(by_arm.is_purge_protected() && by_arm.operations == ["wrapKey"]);
        Ok(())
    }
}
