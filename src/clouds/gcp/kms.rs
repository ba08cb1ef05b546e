//! Cloud KMS: keys, their versions and their allow policies.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::Gcp;
use super::errors::GcpError;
use super::policies::IamPolicy;
use crate::network::Pages;
use crate::preflight::gcp::{CryptoKey, CryptoKeyVersion, VersionState};
use crate::vocabulary::gcp::{CryptoKeyName, ProjectNumber, whole_seconds};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct RawKey {
    purpose: String,
    primary: Option<RawVersion>,
    rotation_period: Option<String>,
    next_rotation_time: Option<String>,
    version_template: RawTemplate,
    key_access_justifications_policy: Option<RawJustifications>,
    destroy_scheduled_duration: Option<String>,
    import_only: bool,
    labels: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawTemplate {
    protection_level: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawJustifications {
    allowed_access_reasons: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawVersion {
    name: String,
    state: String,
    destroy_time: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct VersionPage {
    crypto_key_versions: Vec<RawVersion>,
    next_page_token: String,
}

impl TryFrom<RawVersion> for CryptoKeyVersion {
    type Error = GcpError;

    /// The kill switch remembers versions by their numbers, so that one without a number is not passed over.
    fn try_from(raw: RawVersion) -> Result<Self, GcpError> {
        let number = raw.name.rsplit('/').next().unwrap_or_default();
        if !number.parse::<u64>().is_ok_and(|number| number > 0) {
            let name = &raw.name;
            return Err(GcpError::Malformed(format!(
                "the version `{name}` has no number"
            )));
        }
        Ok(Self {
            number: number.to_owned(),
            state: VersionState::from(raw.state.as_str()),
            destroy_time: raw.destroy_time.as_deref().map(whole_seconds),
        })
    }
}

impl Gcp {
    /// The keys of a key ring; what has no name that can be read, with what was read.
    ///
    /// # Errors
    /// When Google Cloud refuses or cannot be reached.
    pub async fn keys_of_ring(
        &self,
        ring: &str,
    ) -> Result<Vec<Result<CryptoKeyName, String>>, GcpError> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct KeyPage {
            crypto_keys: Vec<Named>,
            next_page_token: String,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Named {
            name: String,
        }
        let base = format!(
            "{}{ring}/cryptoKeys?pageSize=1000",
            self.settings.endpoint_cloudkms()
        );
        let mut all = Vec::new();
        let (mut token, mut pages) = (String::new(), Pages::default());
        loop {
            pages.next(&token).map_err(GcpError::Malformed)?;
            let page: KeyPage = self
                .call(Method::GET, &format!("{base}{}", paged(&token)), None)
                .await?;
            all.extend(
                page.crypto_keys
                    .into_iter()
                    .map(|one| one.name.parse().map_err(|error| format!("{error}"))),
            );
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            token = page.next_page_token;
        }
    }

    /// A key as Cloud KMS describes it.
    ///
    /// # Errors
    /// When Google Cloud refuses or cannot be reached.
    pub async fn key(&self, key: &CryptoKeyName) -> Result<CryptoKey, GcpError> {
        let url = format!("{}{key}", self.settings.endpoint_cloudkms());
        let raw: RawKey = self.call(Method::GET, &url, None).await?;
        Ok(CryptoKey {
            purpose: raw.purpose,
            protection_level: raw.version_template.protection_level,
            primary: raw.primary.map(CryptoKeyVersion::try_from).transpose()?,
            rotation_period: raw.rotation_period,
            next_rotation_time: raw.next_rotation_time.as_deref().map(whole_seconds),
            allows_no_reason: raw
                .key_access_justifications_policy
                .is_some_and(|policy| policy.allowed_access_reasons.is_empty()),
            destroy_window: raw.destroy_scheduled_duration,
            import_only: raw.import_only,
            labels: raw.labels,
        })
    }

    /// Every version of a key.
    ///
    /// # Errors
    /// When Google Cloud refuses or cannot be reached.
    pub async fn versions(&self, key: &CryptoKeyName) -> Result<Vec<CryptoKeyVersion>, GcpError> {
        let base = format!(
            "{}{key}/cryptoKeyVersions?pageSize=1000",
            self.settings.endpoint_cloudkms()
        );
        let mut all = Vec::new();
        let (mut token, mut pages) = (String::new(), Pages::default());
        loop {
            pages.next(&token).map_err(GcpError::Malformed)?;
            let page: VersionPage = self
                .call(Method::GET, &format!("{base}{}", paged(&token)), None)
                .await?;
            for version in page.crypto_key_versions {
                all.push(version.try_into()?);
            }
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            token = page.next_page_token;
        }
    }

    /// The allow policy of a key.
    ///
    /// # Errors
    /// When Google Cloud refuses or cannot be reached.
    pub async fn policy(&self, key: &CryptoKeyName) -> Result<IamPolicy, GcpError> {
        self.policy_at(&key.to_string()).await
    }

    /// The allow policy of a key or a key ring. Version 3, or conditions would be lost.
    pub(super) async fn policy_at(&self, name: &str) -> Result<IamPolicy, GcpError> {
        let url = format!(
            "{}{name}:getIamPolicy?options.requestedPolicyVersion=3",
            self.settings.endpoint_cloudkms()
        );
        self.call(Method::GET, &url, None).await.map(IamPolicy)
    }

    /// Writes the allow policy of a key, only over the one that the provider read: its etag goes along. The client does not send it
    /// again after a lost answer: the second answer would say that somebody has written in the meantime, and not who.
    ///
    /// # Errors
    /// [`GcpError::Conflict`] when another writer has written in the meantime; else when Google Cloud refuses or cannot be reached.
    pub async fn set_policy(
        &self,
        key: &CryptoKeyName,
        policy: &IamPolicy,
    ) -> Result<IamPolicy, GcpError> {
        if policy.etag().is_none() {
            // Nothing is sent, so that nothing can have been done.
            return Err(GcpError::Precondition(
                "the policy has no etag, so it is not written".to_owned(),
            ));
        }
        tracing::info!(key = %key, "writing the IAM policy of the key");
        let url = format!("{}{key}:setIamPolicy", self.settings.endpoint_cloudkms());
        let body = json!({ "policy": policy.0, "updateMask": "bindings,etag" });
        self.call_once(Method::POST, &url, Some(&body))
            .await
            .map(IamPolicy)
    }

    /// Which of some rights the caller has on a key.
    ///
    /// # Errors
    /// When Google Cloud refuses or cannot be reached.
    pub async fn own_rights(
        &self,
        key: &CryptoKeyName,
        rights: &[&str],
    ) -> Result<Vec<String>, GcpError> {
        let url = format!(
            "{}{key}:testIamPermissions",
            self.settings.endpoint_cloudkms()
        );
        self.test_rights(&url, rights).await
    }

    async fn test_rights(&self, url: &str, rights: &[&str]) -> Result<Vec<String>, GcpError> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Answer {
            permissions: Vec<String>,
        }
        let body = json!({ "permissions": rights });
        let answer: Answer = self.call(Method::POST, url, Some(&body)).await?;
        Ok(answer.permissions)
    }

    /// Which of some rights the caller has on a project, and so on what is in it.
    ///
    /// # Errors
    /// When Google Cloud refuses or cannot be reached.
    pub async fn own_project_rights(
        &self,
        project: &str,
        rights: &[&str],
    ) -> Result<Vec<String>, GcpError> {
        let url = format!(
            "{}projects/{project}:testIamPermissions",
            self.settings.endpoint_resourcemanager()
        );
        self.test_rights(&url, rights).await
    }

    /// The number of a project.
    ///
    /// # Errors
    /// When Google Cloud refuses or cannot be reached, or shows no number.
    pub async fn project_number(&self, project: &str) -> Result<ProjectNumber, GcpError> {
        let url = format!(
            "{}projects/{project}",
            self.settings.endpoint_resourcemanager()
        );
        let found: Json = self.call(Method::GET, &url, None).await?;
        let name = found.get("name").and_then(Json::as_str).unwrap_or_default();
        name.trim_start_matches("projects/")
            .parse()
            .map_err(|error| GcpError::Malformed(format!("{error}")))
    }

    /// Touches the service agent of Cloud Storage of a project, which Google creates when it is first asked for.
    ///
    /// # Errors
    /// When Google Cloud refuses or cannot be reached.
    pub async fn touch_storage_agent(&self, project: &str) -> Result<(), GcpError> {
        let url = format!(
            "{}projects/{project}/serviceAccount",
            self.settings.endpoint_storage()
        );
        self.call::<Json>(Method::GET, &url, None).await.map(|_| ())
    }

    /// Enables or disables a version.
    ///
    /// # Errors
    /// When Google Cloud refuses or cannot be reached.
    pub async fn set_version_state(
        &self,
        key: &CryptoKeyName,
        number: &str,
        is_enabled: bool,
    ) -> Result<(), GcpError> {
        let state = if is_enabled { "ENABLED" } else { "DISABLED" };
        tracing::info!(key = %key, number, state, "changing the state of a version");
        let url = format!(
            "{}{key}/cryptoKeyVersions/{number}?updateMask=state",
            self.settings.endpoint_cloudkms()
        );
        let body = json!({ "state": state });
        self.call::<Json>(Method::PATCH, &url, Some(&body))
            .await
            .map(|_| ())
    }

    /// Schedules the destruction of a version.
    ///
    /// # Errors
    /// When Google Cloud refuses or cannot be reached.
    pub async fn destroy_version(&self, key: &CryptoKeyName, number: &str) -> Result<(), GcpError> {
        tracing::info!(key = %key, number, "scheduling the destruction of a version");
        self.act_on_version(key, number, "destroy").await
    }

    /// Takes the scheduled destruction of a version back; it is disabled afterwards.
    ///
    /// # Errors
    /// When Google Cloud refuses or cannot be reached.
    pub async fn restore_version(&self, key: &CryptoKeyName, number: &str) -> Result<(), GcpError> {
        tracing::info!(key = %key, number, "restoring a version");
        self.act_on_version(key, number, "restore").await
    }

    async fn act_on_version(
        &self,
        key: &CryptoKeyName,
        number: &str,
        verb: &str,
    ) -> Result<(), GcpError> {
        let url = format!(
            "{}{key}/cryptoKeyVersions/{number}:{verb}",
            self.settings.endpoint_cloudkms()
        );
        self.call::<Json>(Method::POST, &url, Some(&json!({})))
            .await
            .map(|_| ())
    }

    /// Writes the labels of a key. Cloud KMS knows no single label: all of them are written.
    ///
    /// # Errors
    /// When Google Cloud refuses or cannot be reached.
    pub async fn set_labels(
        &self,
        key: &CryptoKeyName,
        labels: &BTreeMap<String, String>,
    ) -> Result<(), GcpError> {
        let url = format!(
            "{}{key}?updateMask=labels",
            self.settings.endpoint_cloudkms()
        );
        let body = json!({ "labels": labels });
        self.call::<Json>(Method::PATCH, &url, Some(&body))
            .await
            .map(|_| ())
    }
}

/// The parameter of a page after the first.
fn paged(token: &str) -> String {
    if token.is_empty() {
        return String::new();
    }
    let encoded = percent_encoding::utf8_percent_encode(token, percent_encoding::NON_ALPHANUMERIC);
    format!("&pageToken={encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_a_number() {
        for (name, number) in [
            (
                "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/12",
                Some("12"),
            ),
            (
                "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/0",
                None,
            ),
            (
                "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/first",
                None,
            ),
            ("", None),
        ] {
            let raw = RawVersion {
                name: name.to_owned(),
                ..RawVersion::default()
            };
            let read = CryptoKeyVersion::try_from(raw).ok();
            assert_eq!(
                read.as_ref().map(|version| version.number.as_str()),
                number,
                "{name}"
            );
        }
    }
}
