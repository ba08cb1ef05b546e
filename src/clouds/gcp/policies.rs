//! What decides who may use a key: the allow policies from it up to the organization, the roles that they name, and deny policies.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::Gcp;
use super::errors::{GcpError, unreadable};
use crate::network::Pages;
use crate::preflight::gcp::{
    Binding, CryptoKeyFacts, DenyLevel, DenyRule, IamCondition, PolicyLevel,
};
use crate::preflight::{Fact, Unreadable};
use crate::requirements::gcp::{Rights, USE_TO_DECRYPT, USE_TO_ENCRYPT, rights_of};
use crate::vocabulary::gcp::CryptoKeyName;

/// How deep the folders above a project are followed. Source: Resource Manager, "at most 10 levels of folders".
const DEEPEST: usize = 12;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DenyPolicies {
    policies: Vec<DenyPolicy>,
    next_page_token: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DenyPolicy {
    name: String,
    /// Each is read on its own, so that one that cannot be read hides no other.
    rules: Vec<Json>,
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
    exception_permissions: Vec<String>,
    denial_condition: Option<RawExpression>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawExpression {
    expression: String,
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
#[derive(Clone, Debug, Default)]
pub struct Above {
    /// The allow policies from the project upward.
    levels: Vec<PolicyLevel>,
    /// The deny policies there.
    denied: Vec<DenyLevel>,
}

impl Above {
    /// Whether not even the project could be read. Many callers may never see the folders and the organization.
    pub fn is_unreadable(&self) -> bool {
        let project = self.levels.first();
        project.is_none_or(|level| matches!(level.bindings, Fact::Unreadable(_)))
    }
}

impl Gcp {
    /// The policies above the key rings of a project: allow and deny.
    pub async fn above(&self, project: &str) -> Above {
        let levels = self.levels_above(project).await;
        let denied = self.denied(&levels).await;
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
            at: doors::clock::now(),
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

    /// The deny policies of the project and of what is above it: one level that cannot be read hides no other.
    async fn denied(&self, policies: &[PolicyLevel]) -> Vec<DenyLevel> {
        const ABOVE: &str = "what is above ";
        let is_place = |of: &str| {
            ["projects/", "folders/", "organizations/"]
                .iter()
                .any(|kind| of.starts_with(kind))
        };
        let mut levels = Vec::new();
        for level in policies {
            let of = level.of.clone();
            if is_place(&of) {
                let (rules, unread) = self.denied_at(&of).await;
                levels.push(DenyLevel { of, rules, unread });
            } else if let (true, Fact::Unreadable(why)) = (of.starts_with(ABOVE), &level.bindings) {
                levels.push(DenyLevel {
                    of,
                    rules: Vec::new(),
                    unread: vec![why.clone()],
                });
            }
        }
        levels
    }

    /// The rules at one level, and what of them could not be read.
    async fn denied_at(&self, place: &str) -> (Vec<DenyRule>, Vec<Unreadable>) {
        let listed = match self.deny_policies_at(place).await {
            Ok(listed) => listed,
            Err(error) => {
                return (
                    Vec::new(),
                    vec![unreadable("iam.denypolicies.list", &error)],
                );
            }
        };
        let base = self.settings.endpoint_iam();
        let (mut rules, mut unread) = (Vec::new(), Vec::new());
        for listed in listed {
            // The list names the policies; their rules come one by one.
            let url = format!("{base}v2/{}", listed.name);
            match self.call::<DenyPolicy>(Method::GET, &url, None).await {
                Ok(policy) => {
                    for rule in policy.rules {
                        match understood(&listed.name, rule) {
                            Ok(rule) => rules.push(rule),
                            Err(error) => unread.push(unreadable("iam.denypolicies.get", &error)),
                        }
                    }
                }
                Err(error) => unread.push(unreadable("iam.denypolicies.get", &error)),
            }
        }
        (rules, unread)
    }

    async fn deny_policies_at(&self, place: &str) -> Result<Vec<DenyPolicy>, GcpError> {
        let attachment = encoded(&format!("cloudresourcemanager.googleapis.com/{place}"));
        let base = self.settings.endpoint_iam();
        let url = format!("{base}v2/policies/{attachment}/denypolicies");
        let mut listed = Vec::new();
        let (mut token, mut pages) = (String::new(), Pages::default());
        loop {
            pages.next(&token).map_err(GcpError::Malformed)?;
            let page = match token.as_str() {
                "" => url.clone(),
                token => format!("{url}?pageToken={}", encoded(token)),
            };
            let list: DenyPolicies = self.call(Method::GET, &page, None).await?;
            listed.extend(list.policies);
            if list.next_page_token.is_empty() {
                break;
            }
            token = list.next_page_token;
        }
        Ok(listed)
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

/// Parses a rule of a deny policy.
fn understood(policy: &str, rule: Json) -> Result<DenyRule, GcpError> {
    let why = match serde_json::from_value::<RawDenyRule>(rule) {
        Ok(RawDenyRule {
            deny_rule: Some(rule),
        }) => {
            return Ok(DenyRule {
                policy: policy.to_owned(),
                permissions: rule.denied_permissions,
                principals: rule.denied_principals,
                exceptions: rule.exception_principals,
                exception_permissions: rule.exception_permissions,
                condition: rule.denial_condition.map(|condition| condition.expression),
            });
        }
        Ok(_) => "a rule of an unknown kind".to_owned(),
        Err(error) => format!("a rule that cannot be read ({error})"),
    };
    Err(GcpError::Malformed(format!(
        "the policy {policy} has {why}"
    )))
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: a rule as it came, and what is denied; none where it cannot be read.
    #[test]
    fn a_rule_that_cannot_be_read_is_no_rule_that_denies_nothing() {
        let principals = json!(["principalSet://goog/public:all"]);
        let rows = [
            (
                json!({ "denyRule": { "deniedPermissions": ["a"], "deniedPrincipals": principals } }),
                Some("a"),
            ),
            (json!({}), None),
            (json!({ "allowRule": {} }), None),
            (json!({ "denyRule": { "deniedPermissions": "a" } }), None),
            (json!("a"), None),
        ];
        for (rule, denied) in rows {
            let found = understood("policies/x", rule.clone());
            match denied {
                Some(one) => {
                    assert!(found.is_ok_and(|rule| rule.permissions == [one]), "{rule}");
                }
                None => {
                    let why = found.map_err(|error| error.to_string());
                    assert!(why.is_err_and(|why| why.contains("policies/x")), "{rule}");
                }
            }
        }
    }
}
