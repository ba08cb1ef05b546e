//! After a rotation of managed services, Databricks needs the former key for 24 hours. The account shows the key that a workspace has now and
//! when its configuration was created. It shows neither former keys nor when a key was attached, so the provider concludes from that who may
//! have had a key. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::databricks::key_configurations::KeyConfiguration;
use crate::databricks::workspaces::Workspace;
use crate::preflight::binding::ConfigurationKey;
use crate::provider::keys::key_of;
use crate::provider::timestamps;
use crate::requirements::revocation::NEEDED_AFTER_ROTATION;
use crate::vocabulary::{AttachedKey, Key, UseCase, WorkspaceId};

/// A workspace that may have had a key for managed services until less than 24 hours ago.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FormerUser {
    /// The number of the workspace.
    pub workspace_id: String,
    /// The name of the workspace in the account.
    pub name: String,
    /// The ID of the key configuration that it has for managed services now.
    pub key_configuration_id: String,
    /// Until when it may need the former key at least (RFC 3339).
    pub needed_until: String,
}

impl FormerUser {
    /// The workspace as a line of a list.
    pub fn in_words(&self) -> String {
        format!(
            "  - {} (\"{}\") has the key configuration {}: until {}",
            self.workspace_id, self.name, self.key_configuration_id, self.needed_until
        )
    }
}

/// What of a key decides which workspaces may have had it.
struct Own<'a> {
    /// The IDs of its key configurations.
    ids: Vec<&'a str>,
    /// The region of the key.
    location: String,
    /// When the first configuration for managed services was created, in milliseconds since 1970.
    oldest: i64,
    /// Whether each configuration for managed services is for storage as well.
    is_for_storage: bool,
}

impl<'a> Own<'a> {
    /// `None` where no configuration of the key is for managed services: then no workspace had it for that.
    fn of(key: &Key, configurations: &'a BTreeMap<String, KeyConfiguration>) -> Option<Self> {
        let (mut own, mut location) = (Vec::new(), String::new());
        for one in configurations.values() {
            match key_of(one) {
                ConfigurationKey::Known {
                    key: of_it,
                    location: at,
                } if of_it == *key => {
                    own.push(one);
                    location = at;
                }
                _ => {}
            }
        }
        let services = own
            .iter()
            .filter(|one| one.is_for(UseCase::ManagedServices));
        Some(Self {
            // A configuration without a date may be older than any.
            oldest: services
                .clone()
                .map(|one| one.creation_time.unwrap_or(i64::MIN))
                .min()?,
            is_for_storage: services.clone().all(|one| one.is_for(UseCase::Storage)),
            ids: own
                .iter()
                .map(|one| one.customer_managed_key_id.as_str())
                .collect(),
            location,
        })
    }

    /// Whether a workspace may have had the key for managed services before it got this configuration.
    fn may_have_been_of(&self, workspace: &Workspace, now: &KeyConfiguration, made: i64) -> bool {
        let id = &now.customer_managed_key_id;
        if self.ids.contains(&id.as_str()) || made <= self.oldest {
            return false;
        }
        // A key serves only workspaces of its own region.
        let is_elsewhere = workspace
            .region()
            .is_some_and(|region| region != self.location);
        // A workspace that is younger than its configuration has had that key from the beginning.
        let is_younger = workspace.creation_time.is_some_and(|born| born >= made);
        // A storage key cannot be replaced. A workspace that had this key from a configuration for both would still have it for storage, and one
        // that got both keys from the new configuration had no storage key before.
        let got_both = workspace.storage_customer_managed_key_id.as_ref() == Some(id);
        let had_both = self.is_for_storage && got_both;
        !(is_elsewhere || is_younger || had_both)
    }
}

/// The workspaces that may need a key because another one replaced it less than 24 hours ago: those that have another managed services key
/// now whose configuration is that new, and that may have had this one. Where the account does not tell a first key from a rotation, the
/// workspace counts. A workspace that has the key now is not among them: it needs the key as long as it has it. `now` in milliseconds since
/// 1970.
pub fn former_users(
    key: &Key,
    configurations: &BTreeMap<String, KeyConfiguration>,
    workspaces: &BTreeMap<WorkspaceId, Workspace>,
    now: i64,
) -> Vec<FormerUser> {
    let hours = i64::try_from(NEEDED_AFTER_ROTATION.as_millis()).unwrap_or(i64::MAX);
    let Some(own) = Own::of(key, configurations) else {
        return Vec::new();
    };
    let counts = |workspace: &Workspace| {
        let AttachedKey::Known(id) = workspace.key(UseCase::ManagedServices) else {
            return None;
        };
        let has = configurations.get(id.as_str())?;
        let made = has.creation_time?;
        let until = made.saturating_add(hours);
        if until <= now || !own.may_have_been_of(workspace, has, made) {
            return None;
        }
        Some(FormerUser {
            workspace_id: workspace.workspace_id.to_string(),
            name: workspace.workspace_name.clone(),
            key_configuration_id: id.to_string(),
            needed_until: timestamps::until(until)?,
        })
    };
    workspaces.values().filter_map(counts).collect()
}

/// The last of these dates. They all have one form, so the order of the texts is that of the dates.
pub fn last_of(users: &[FormerUser]) -> Option<String> {
    users.iter().map(|one| one.needed_until.clone()).max()
}

/// Why the list names workspaces that may never have had the key.
pub const NOT_TOLD: &str = "The account does not show former keys, nor whether this is the first key of a workspace. Workspaces of another region, workspaces \
     younger than their key configuration, and workspaces that could have had this key only together with their storage key are left out.";

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    const HOUR: i64 = 3_600_000;
    const NOW: i64 = 1_000 * HOUR;
    /// The key in question, and the newer one.
    const KEYS: [&str; 2] = [
        "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws:kms:eu-central-1:123456789012:key/2234abcd-12ab-34cd-56ef-1234567890ab",
    ];
    const OWN: &str = "c1000000-0000-4000-8000-000000000001";
    const NEWER: &str = "c1000000-0000-4000-8000-000000000002";

    fn configuration(id: &str, key: &str, created: i64, cases: &[&str]) -> Json {
        json!({
            "customer_managed_key_id": id,
            "creation_time": created,
            "use_cases": cases,
            "aws_key_info": { "key_arn": key },
        })
    }

    /// The numbers of the workspaces that may need the key, and until when.
    fn found(
        key: &str,
        all: [Json; 2],
        workspaces: &[Json],
    ) -> Result<Vec<(String, String)>, Box<dyn std::error::Error>> {
        let mut configurations = BTreeMap::new();
        for one in all {
            let one: KeyConfiguration = serde_json::from_value(one)?;
            configurations.insert(one.customer_managed_key_id.clone(), one);
        }
        let mut own = BTreeMap::new();
        for one in workspaces {
            let one: Workspace = serde_json::from_value(one.clone())?;
            own.insert(one.workspace_id, one);
        }
        let key: crate::vocabulary::aws::KeyArn = key.parse()?;
        let users = former_users(&key.into(), &configurations, &own, NOW);
        let line = |one: FormerUser| {
            assert_eq!(one.key_configuration_id, NEWER);
            (one.workspace_id, one.needed_until)
        };
        Ok(users.into_iter().map(line).collect())
    }

    /// Each row: for each workspace its keys for managed services and for storage, how long ago the newer configuration was created, and whether
    /// a workspace that lost the older key may still need it, and the newer one.
    #[test]
    fn a_rotation_counts_for_each_workspace_that_has_another_key_now()
    -> Result<(), Box<dyn std::error::Error>> {
        let (own, newer) = (Some(OWN), Some(NEWER));
        type Row<'a> = (&'a [(Option<&'a str>, Option<&'a str>)], i64, bool);
        let rows: [Row<'_>; 8] = [
            (&[(newer, None)], 1, true),
            (&[(newer, None)], 25, false),
            (&[(own, None)], 1, false),
            (&[(None, None)], 1, false),
            // The rotation counts whichever other workspaces use the key, and for whatever data.
            (&[(newer, None), (own, None)], 1, true),
            (&[(newer, None), (None, own)], 1, true),
            (&[(newer, own)], 1, true),
            (&[(own, newer)], 1, false),
        ];
        for (keys, hours, is_needed) in rows {
            let cases = ["MANAGED_SERVICES", "STORAGE"];
            let all = || {
                [
                    configuration(OWN, KEYS[0], NOW - 900 * HOUR, &cases),
                    configuration(NEWER, KEYS[1], NOW - hours * HOUR, &cases),
                ]
            };
            let workspaces = keys.iter().enumerate().map(|(at, (services, storage))| {
                json!({
                    "workspace_id": at + 1, "workspace_name": "lakehouse", "aws_region": "eu-central-1",
                    "managed_services_customer_managed_key_id": services,
                    "storage_customer_managed_key_id": storage,
                })
            });
            let workspaces: Vec<Json> = workspaces.collect();
            let until = timestamps::until(NOW + (24 - hours) * HOUR).unwrap_or_default();
            let expected = match is_needed {
                true => vec![("1".to_owned(), until)],
                false => Vec::new(),
            };
            assert_eq!(
                found(KEYS[0], all(), &workspaces)?,
                expected,
                "{keys:?} {hours}"
            );
            // No workspace has lost the newest key.
            assert_eq!(found(KEYS[1], all(), &workspaces)?, [], "{keys:?} {hours}");
        }
        Ok(())
    }

    /// A configuration of the key whose date the account does not show may be older than any.
    #[test]
    fn a_configuration_without_a_date_counts() -> Result<(), Box<dyn std::error::Error>> {
        let mut undated = configuration(OWN, KEYS[0], 0, &["MANAGED_SERVICES"]);
        undated["creation_time"] = Json::Null;
        let newer = configuration(NEWER, KEYS[1], NOW - HOUR, &["MANAGED_SERVICES"]);
        let workspace = json!({
            "workspace_id": 1, "workspace_name": "lakehouse", "aws_region": "eu-central-1",
            "managed_services_customer_managed_key_id": NEWER,
        });
        let found = found(KEYS[0], [undated, newer], &[workspace])?;
        assert_eq!(found.len(), 1);
        Ok(())
    }

    /// Each row: what the key is for, the workspace with its new key, and whether it may have had the key before.
    #[test]
    fn a_first_key_is_told_where_the_account_shows_it() -> Result<(), Box<dyn std::error::Error>> {
        let both: &[&str] = &["MANAGED_SERVICES", "STORAGE"];
        let services: &[&str] = &["MANAGED_SERVICES"];
        let old = NOW - 900 * HOUR;
        let rows = [
            (
                "a rotation looks like this",
                both,
                json!({ "creation_time": old }),
                true,
            ),
            (
                "so does a first key",
                services,
                json!({ "creation_time": old, "storage_customer_managed_key_id": NEWER }),
                true,
            ),
            (
                "what is not shown counts",
                both,
                json!({ "aws_region": null }),
                true,
            ),
            (
                "another region",
                both,
                json!({ "aws_region": "eu-west-1" }),
                false,
            ),
            (
                "made with its key",
                both,
                json!({ "creation_time": NOW - HOUR / 2 }),
                false,
            ),
            (
                "made before its key",
                both,
                json!({ "creation_time": NOW - 2 * HOUR }),
                true,
            ),
            (
                "both keys at once",
                both,
                json!({ "storage_customer_managed_key_id": NEWER }),
                false,
            ),
            (
                "the key was for storage alone",
                &["STORAGE"],
                json!({}),
                false,
            ),
        ];
        for (what, cases, more, is_needed) in rows {
            let mut workspace = json!({
                "workspace_id": 1, "workspace_name": "lakehouse", "aws_region": "eu-central-1",
                "managed_services_customer_managed_key_id": NEWER,
            });
            for (name, value) in more.as_object().into_iter().flatten() {
                workspace[name] = value.clone();
            }
            let all = [
                configuration(OWN, KEYS[0], old, cases),
                configuration(NEWER, KEYS[1], NOW - HOUR, both),
            ];
            assert_eq!(
                !found(KEYS[0], all, &[workspace])?.is_empty(),
                is_needed,
                "{what}"
            );
        }
        Ok(())
    }
}
