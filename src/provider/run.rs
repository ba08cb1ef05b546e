//! What the resources of one walk know of each other.
//!
//! Terraform plans and applies each resource by itself, many at a time, and in any order that its references allow. Some
//! questions are about several of them: whether two want the same thing, what another one is about to do, what has been said
//! already. This is the one place in which they meet. It lives as long as the provider's process, which is one walk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use super::cache::lock;
use crate::databricks::key_configurations::NewKeyConfiguration;
use crate::requirements::revocation::NEEDED_AFTER_ROTATION;
use crate::vocabulary::{Cloud, Key, KeyConfigurationId, UseCase};

/// Something that only one resource of a configuration may have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claimed {
    /// What a workspace, by its id, has for a use case.
    WorkspaceKey(String, UseCase),
    /// A new key configuration, by the request that creates it.
    NewConfiguration(String),
}

/// What a resource wants of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What it wants it to be.
    pub value: String,
    /// Whether the resource is to be created.
    pub is_new: bool,
    /// What tells the resource from every other one.
    pub owner: String,
}

/// What came of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// Nobody else wants it.
    Own,
    /// Another resource has it too, both are in the state, and both want the same.
    Shared,
    /// Another resource has it: one that wants another value, or one of the two is new.
    Taken,
}

/// A key configuration that this run is about to create; its id is not known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedConfiguration {
    /// What it is made for.
    pub use_cases: Vec<UseCase>,
    /// What creates it, when its key is known.
    pub request: Option<NewKeyConfiguration>,
    /// The object that it will be, where an equal one is adopted instead of created.
    pub adopts: Option<KeyConfigurationId>,
}

/// A key's name, so that one key has one: identifiers of Key Vault are the same in every case.
fn by_meaning(key: &str) -> String {
    match Key::cloud_by_form(key) {
        Some(Cloud::Azure) => key.to_ascii_lowercase(),
        _ => key.to_owned(),
    }
}

/// The memory of one run.
#[derive(Debug, Default)]
pub struct RunMemory {
    claims: Mutex<BTreeMap<Claimed, Claim>>,
    reported: Mutex<BTreeSet<String>>,
    managed_configurations: Mutex<BTreeSet<String>>,
    vanished_workspaces: Mutex<BTreeSet<String>>,
    planned_configurations: Mutex<Vec<PlannedConfiguration>>,
    rotated_away: Mutex<BTreeMap<String, BTreeMap<String, i64>>>,
    taken_away: Mutex<BTreeSet<String>>,
}

impl RunMemory {
    /// Claims something that only one resource of a configuration may have. A resource that is to be replaced is planned twice, first as it is and
    /// then as a new one, by the same owner.
    pub fn claim(&self, thing: Claimed, claim: Claim) -> Holding {
        let mut claims = lock(&self.claims);
        match claims.get_mut(&thing) {
            None => {
                claims.insert(thing, claim);
                Holding::Own
            }
            Some(other) if other.owner == claim.owner => {
                *other = claim;
                Holding::Own
            }
            Some(other) => {
                let is_shared = other.value == claim.value && !other.is_new && !claim.is_new;
                other.is_new |= claim.is_new;
                match is_shared {
                    true => Holding::Shared,
                    false => Holding::Taken,
                }
            }
        }
    }

    /// Whether this is reported for the first time in this run. What is about a thing that several resources share is said once.
    pub fn is_first_report(&self, what: String) -> bool {
        lock(&self.reported).insert(what)
    }

    /// Effect: a resource of this run manages this key configuration.
    pub fn manages_configuration(&self, id: &str) {
        lock(&self.managed_configurations).insert(id.to_owned());
    }

    /// Whether a resource of this run is known to manage this key configuration.
    pub fn is_managed_configuration(&self, id: &str) -> bool {
        lock(&self.managed_configurations).contains(id)
    }

    /// Effect: this run is about to create this key configuration.
    pub fn will_create_configuration(&self, planned: PlannedConfiguration) {
        let mut all = lock(&self.planned_configurations);
        if !all.contains(&planned) {
            all.push(planned);
        }
    }

    /// The key configurations that this run is about to create.
    pub fn planned_configurations(&self) -> Vec<PlannedConfiguration> {
        lock(&self.planned_configurations).clone()
    }

    /// Effect: a workspace got another managed services key in the place of this one. `at`: when, in milliseconds since 1970.
    pub fn key_was_rotated_away(&self, key: String, workspace: &str, at: i64) {
        let mut all = lock(&self.rotated_away);
        let latest = all.entry(by_meaning(&key)).or_default();
        let latest = latest.entry(workspace.to_owned()).or_insert(at);
        *latest = at.max(*latest);
    }

    /// Which workspaces still need a key that was rotated away, and each until when, in milliseconds since 1970; as far as this run knows of
    /// rotations.
    pub fn former_users(&self, key: &str, now: i64) -> Vec<(String, i64)> {
        let hours = i64::try_from(NEEDED_AFTER_ROTATION.as_millis()).unwrap_or(i64::MAX);
        let all = lock(&self.rotated_away);
        let own = all.get(&by_meaning(key)).into_iter().flatten();
        own.map(|(workspace, at)| (workspace.clone(), at.saturating_add(hours)))
            .filter(|(_, until)| *until > now)
            .collect()
    }

    /// Until when a key is still needed that was rotated away, in milliseconds since 1970; `None` when that is over, or when this run
    /// knows of no rotation.
    pub fn needed_until(&self, key: &str, now: i64) -> Option<i64> {
        let users = self.former_users(key, now).into_iter();
        users.map(|(_, until)| until).max()
    }

    /// Effect: a plan of this run takes permissions on a key away that no workspace has now. A binding that comes later, and whose state
    /// says that its workspace had the key until a moment ago, refuses that.
    pub fn takes_away(&self, key: &str) {
        lock(&self.taken_away).insert(by_meaning(key));
    }

    /// Whether a plan of this run takes permissions on a key away.
    pub fn is_taken_away(&self, key: &str) -> bool {
        lock(&self.taken_away).contains(&by_meaning(key))
    }

    /// Effect: a workspace of the state turned out to be gone.
    pub fn workspace_vanished(&self, id: String) {
        lock(&self.vanished_workspaces).insert(id);
    }

    /// Whether a workspace of the state turned out to be gone in this run. Planning it anew must not stop the run: Terraform
    /// plans everything once before it destroys, and whoever deleted the workspace has to be able to destroy the rest.
    pub fn has_vanished(&self, id: &str) -> bool {
        lock(&self.vanished_workspaces).contains(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: the claims on one thing, in their order, and which of them are granted.
    #[test]
    fn one_thing_has_one_owner_whatever_the_order() {
        use Holding::{Own, Shared, Taken};
        let new = |owner: &str, value: &str| Claim {
            value: value.to_owned(),
            is_new: true,
            owner: owner.to_owned(),
        };
        let old = |owner: &str, value: &str| Claim {
            is_new: false,
            ..new(owner, value)
        };
        let rows = [
            (
                "two new ones",
                vec![new("1", "a"), new("2", "a")],
                vec![Own, Taken],
            ),
            (
                "two values",
                vec![old("1", "a"), old("2", "b")],
                vec![Own, Taken],
            ),
            (
                "one of the state and a new one",
                vec![old("1", "a"), new("2", "a")],
                vec![Own, Taken],
            ),
            (
                "a new one and one of the state",
                vec![new("1", "a"), old("2", "a")],
                vec![Own, Taken],
            ),
            (
                "two of the state that agree",
                vec![old("1", "a"), old("2", "a")],
                vec![Own, Shared],
            ),
            (
                "one that is replaced is planned twice",
                vec![old("1", "a"), new("1", "b")],
                vec![Own, Own],
            ),
            (
                "and then nobody else may have it",
                vec![old("1", "a"), new("1", "a"), old("2", "a")],
                vec![Own, Own, Taken],
            ),
        ];
        for (what, claims, expected) in rows {
            let memory = RunMemory::default();
            let granted: Vec<Holding> = claims
                .into_iter()
                .map(|claim| memory.claim(Claimed::NewConfiguration("request".to_owned()), claim))
                .collect();
            assert_eq!(granted, expected, "{what}");
        }
    }
}
