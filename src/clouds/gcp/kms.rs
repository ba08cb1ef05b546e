//! Cloud KMS, and the allow policies from a key upward.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use time::OffsetDateTime;

use super::Gcp;
use super::errors::{GcpError, unreadable};
use crate::network::Pages;
use crate::preflight::Fact;
use crate::preflight::gcp::{
    Binding, CryptoKey, CryptoKeyFacts, CryptoKeyVersion, DenyRule, IamCondition, PolicyLevel,
    VersionState,
};
use crate::requirements::gcp::{Rights, USE_TO_DECRYPT, USE_TO_ENCRYPT, rights_of};
use crate::vocabulary::gcp::{CryptoKeyName, ProjectNumber};

/// How deep the folders above a project are followed. Source: Resource Manager, "at most 10 levels of folders".
const DEEPEST: usize = 12;

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

#[derive(Default, Deserialize)]
#[serde(default)]
struct DenyPolicies {
    policies: Vec<DenyPolicy>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DenyPolicy {
    name: String,
    rules: Vec<RawDenyRule>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawDenyRule {
    deny_rule: Option<RawDeny>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawDeny {
    denied_principals: Vec<String>,
    exception_principals: Vec<String>,
    denied_permissions: Vec<String>,
    denial_condition: Option<RawExpression>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawExpression {
    expression: String,
}

impl From<RawVersion> for CryptoKeyVersion {
    fn from(raw: RawVersion) -> Self {
        Self {
            number: raw.name.rsplit('/').next().unwrap_or_default().to_owned(),
            state: VersionState::from(raw.state.as_str()),
            destroy_time: raw.destroy_time,
        }
    }
}

/// An allow policy as it came: what is not changed goes back byte for byte.
#[derive(Clone, Debug, PartialEq)]
pub struct IamPolicy(pub Json);

impl IamPolicy {
    /// Its bindings, understood.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn bindings(&self) -> Result<Vec<Binding>, String> {
        #[derive(Deserialize)]
        struct Raw {
            role: String,
            #[serde(default)]
            members: Vec<String>,
            condition: Option<RawCondition>,
        }
        #[derive(Deserialize)]
        struct RawCondition {
            #[serde(default)]
            title: String,
            #[serde(default)]
            expression: String,
        }
        let Some(bindings) = self.0.get("bindings") else {
            return Ok(Vec::new());
        };
        let raw: Vec<Raw> =
            serde_json::from_value(bindings.clone()).map_err(|error| error.to_string())?;
        Ok(raw
            .into_iter()
            .map(|one| Binding {
                role: one.role,
                members: one.members,
                condition: one.condition.map(|condition| IamCondition {
                    title: condition.title,
                    expression: condition.expression,
                }),
            })
            .collect())
    }

    /// Its etag; a policy without one is never written back.
    pub fn etag(&self) -> Option<&str> {
        self.0
            .get("etag")
            .and_then(Json::as_str)
            .filter(|etag| !etag.is_empty())
    }
}

/// What is above the key rings of a project.
#[derive(Clone, Debug)]
pub struct Above {
    /// The allow policies from the project upward.
    levels: Vec<PolicyLevel>,
    /// The deny policies there.
    denied: Fact<Vec<DenyRule>>,
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
            primary: raw.primary.map(CryptoKeyVersion::from),
            rotation_period: raw.rotation_period,
            next_rotation_time: raw.next_rotation_time,
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
            all.extend(
                page.crypto_key_versions
                    .into_iter()
                    .map(CryptoKeyVersion::from),
            );
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
    async fn policy_at(&self, name: &str) -> Result<IamPolicy, GcpError> {
        let url = format!(
            "{}{name}:getIamPolicy?options.requestedPolicyVersion=3",
            self.settings.endpoint_cloudkms()
        );
        self.call(Method::GET, &url, None).await.map(IamPolicy)
    }

    /// Writes the allow policy of a key, only over the one that was read: its etag goes along. It is not sent again when the answer is
    /// lost: the second one would say that somebody has written in the meantime, and not who.
    ///
    /// # Errors
    /// [`GcpError::Conflict`] when somebody else has written in the meantime; else when Google Cloud refuses or cannot be reached.
    pub async fn set_policy(
        &self,
        key: &CryptoKeyName,
        policy: &IamPolicy,
    ) -> Result<IamPolicy, GcpError> {
        if policy.etag().is_none() {
            return Err(GcpError::Malformed(
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
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Answer {
            permissions: Vec<String>,
        }
        let url = format!(
            "{}{key}:testIamPermissions",
            self.settings.endpoint_cloudkms()
        );
        let body = json!({ "permissions": rights });
        let answer: Answer = self.call(Method::POST, &url, Some(&body)).await?;
        Ok(answer.permissions)
    }

    /// The policies above the key rings of a project: allow and deny.
    pub async fn above(&self, project: &str) -> Above {
        let levels = self.levels_above(project).await;
        let denied = fact("iam.denypolicies.list", self.denied(&levels, project).await);
        Above { levels, denied }
    }

    /// Everything that the proof asks of a key, read now; what is above it, as it was read before.
    pub async fn facts(&self, key: &CryptoKeyName, above: &Above) -> CryptoKeyFacts {
        let found = fact("cloudkms.cryptoKeys.get", self.key(key).await);
        let versions = match &found {
            Fact::Known(_) => fact("cloudkms.cryptoKeyVersions.list", self.versions(key).await),
            Fact::Unreadable(why) => Fact::Unreadable(why.clone()),
        };
        let policies = match &found {
            Fact::Known(_) => {
                let mut levels = self.own_levels(key).await;
                levels.extend(above.levels.iter().cloned());
                levels
            }
            Fact::Unreadable(_) => Vec::new(),
        };
        let roles = self.custom_roles(&policies).await;
        CryptoKeyFacts {
            name: key.clone(),
            key: found,
            versions,
            is_read_to_the_top: !policies.is_empty()
                && policies
                    .iter()
                    .all(|level| matches!(level.bindings, Fact::Known(_))),
            policies,
            roles,
            denied: above.denied.clone(),
            planned: None,
            at: OffsetDateTime::now_utc(),
        }
    }

    /// What the custom roles of some policies let do. A role that cannot be read stays unknown.
    async fn custom_roles(&self, policies: &[PolicyLevel]) -> BTreeMap<String, Rights> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct Role {
            included_permissions: Vec<String>,
            deleted: bool,
        }
        let names: BTreeSet<&String> = policies
            .iter()
            .filter_map(|level| match &level.bindings {
                Fact::Known(bindings) => Some(bindings),
                Fact::Unreadable(_) => None,
            })
            .flatten()
            .map(|binding| &binding.role)
            .filter(|role| rights_of(role).is_none())
            .filter(|role| role.starts_with("projects/") || role.starts_with("organizations/"))
            .collect();
        let mut roles = BTreeMap::new();
        for name in names {
            let url = format!("{}v1/{name}", self.settings.endpoint_iam());
            match self.call::<Role>(Method::GET, &url, None).await {
                Ok(role) => {
                    let has = |permission: &str| {
                        !role.deleted
                            && role
                                .included_permissions
                                .iter()
                                .any(|own| own == permission)
                    };
                    let rights = Rights {
                        encrypt: has(USE_TO_ENCRYPT),
                        decrypt: has(USE_TO_DECRYPT),
                    };
                    roles.insert(name.clone(), rights);
                }
                Err(error) => tracing::debug!(role = %name, %error, "the role could not be read"),
            }
        }
        roles
    }

    /// The deny policies of the project and of what is above it.
    async fn denied(
        &self,
        policies: &[PolicyLevel],
        project: &str,
    ) -> Result<Vec<DenyRule>, GcpError> {
        let own = format!("projects/{project}");
        let mut places: Vec<&str> = policies
            .iter()
            .map(|level| level.of.as_str())
            .filter(|of| {
                ["projects/", "folders/", "organizations/"]
                    .iter()
                    .any(|kind| of.starts_with(kind))
            })
            .collect();
        if places.is_empty() {
            places.push(&own);
        }
        let mut rules = Vec::new();
        for place in places {
            rules.extend(self.denied_at(place).await?);
        }
        Ok(rules)
    }

    async fn denied_at(&self, place: &str) -> Result<Vec<DenyRule>, GcpError> {
        let attachment = percent_encoding::utf8_percent_encode(
            &format!("cloudresourcemanager.googleapis.com/{place}"),
            percent_encoding::NON_ALPHANUMERIC,
        )
        .to_string();
        let base = self.settings.endpoint_iam();
        let url = format!("{base}v2/policies/{attachment}/denypolicies");
        let list: DenyPolicies = self.call(Method::GET, &url, None).await?;
        let mut rules = Vec::new();
        for listed in list.policies {
            // The list names the policies; their rules come one by one.
            let policy: DenyPolicy = self
                .call(Method::GET, &format!("{base}v2/{}", listed.name), None)
                .await?;
            rules.extend(
                policy
                    .rules
                    .into_iter()
                    .filter_map(|rule| rule.deny_rule)
                    .map(|rule| DenyRule {
                        policy: listed.name.clone(),
                        permissions: rule.denied_permissions,
                        principals: rule.denied_principals,
                        exceptions: rule.exception_principals,
                        condition: rule.denial_condition.map(|condition| condition.expression),
                    }),
            );
        }
        Ok(rules)
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

    /// The allow policies of the key and its ring.
    async fn own_levels(&self, key: &CryptoKeyName) -> Vec<PolicyLevel> {
        let ring = key.ring_name();
        vec![
            level(
                "the key",
                "cloudkms.cryptoKeys.getIamPolicy",
                self.policy(key).await,
            ),
            level(
                "the key ring",
                "cloudkms.keyRings.getIamPolicy",
                self.policy_at(&ring).await,
            ),
        ]
    }

    /// The allow policies from a project up to the organization. A level that cannot be read ends the way up.
    async fn levels_above(&self, project: &str) -> Vec<PolicyLevel> {
        let mut levels = Vec::new();
        let mut at = format!("projects/{project}");
        for _ in 0..DEEPEST {
            let kind = at.split('/').next().unwrap_or_default();
            let permission = match kind {
                "projects" => "resourcemanager.projects.getIamPolicy",
                "folders" => "resourcemanager.folders.getIamPolicy",
                _ => "resourcemanager.organizations.getIamPolicy",
            };
            let base = self.settings.endpoint_resourcemanager();
            let url = format!("{base}{at}:getIamPolicy");
            let body = json!({ "options": { "requestedPolicyVersion": 3 } });
            let policy = self.call(Method::POST, &url, Some(&body)).await;
            levels.push(level(&at, permission, policy.map(IamPolicy)));
            if kind == "organizations" {
                break;
            }
            match self
                .call::<Json>(Method::GET, &format!("{base}{at}"), None)
                .await
            {
                Ok(one) => match one.get("parent").and_then(Json::as_str) {
                    Some(parent) => at = parent.to_owned(),
                    // A project without an organization is the top.
                    None => break,
                },
                Err(error) => {
                    levels.push(level(
                        &format!("what is above {at}"),
                        permission,
                        Err(error),
                    ));
                    break;
                }
            }
        }
        levels
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

fn fact<T>(permission: &'static str, read: Result<T, GcpError>) -> Fact<T> {
    match read {
        Ok(found) => Fact::Known(found),
        Err(error) => Fact::Unreadable(unreadable(permission, &error)),
    }
}

fn level(of: &str, permission: &'static str, policy: Result<IamPolicy, GcpError>) -> PolicyLevel {
    let bindings = match policy {
        Ok(policy) => match policy.bindings() {
            Ok(bindings) => Fact::Known(bindings),
            Err(why) => Fact::Unreadable(unreadable(permission, &GcpError::Malformed(why))),
        },
        Err(error) => Fact::Unreadable(unreadable(permission, &error)),
    };
    PolicyLevel {
        of: of.to_owned(),
        bindings,
    }
}
