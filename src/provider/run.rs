//! What the resources of one walk know of each other.
//!
//! Terraform plans and applies each resource by itself, many at a time, and in any order that its references allow. Some
//! questions are about several of them: whether two want the same thing, what another one is going to do, what the provider
//! has reported already. Each resource leaves here what the others need, and reads what they have left; none waits here for
//! another. The memory lives as long as the provider's process, which is one walk of Terraform's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use super::cache::lock;
use crate::databricks::key_configurations::NewKeyConfiguration;
use crate::requirements::revocation::NEEDED_AFTER_ROTATION;
use crate::vocabulary::{Cloud, Key, KeyConfigurationId, UseCase};

/// Something that only one resource of a configuration may have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claimed {
    /// The key of a workspace, by the workspace's ID, for a use case.
    WorkspaceKey(String, UseCase),
    /// A new key configuration, by the request that creates it.
    NewConfiguration(String),
}

/// How a resource claims a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The value that the resource wants the thing to have.
    pub value: String,
    /// Whether Terraform is going to create the resource.
    pub is_new: bool,
    /// What tells the resource from every other one.
    pub owner: String,
}

/// How the run answers a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// No other resource has claimed it.
    Own,
    /// Another resource has claimed it too; both are in the state, and both want the same value.
    Shared,
    /// Another resource has claimed it and wants another value, or Terraform is going to create one of the two.
    Taken,
}

/// A key configuration that this run is going to create; its ID is not known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedConfiguration {
    /// The kinds of data that its key shall encrypt.
    pub use_cases: Vec<UseCase>,
    /// The request that creates it; `None` while Terraform does not know its key.
    pub request: Option<NewKeyConfiguration>,
    /// The existing object that the run adopts, where an equal one is there.
    pub adopts: Option<KeyConfigurationId>,
}

/// A key's name in one spelling: Key Vault compares identifiers without regard to case.
fn by_meaning(key: &str) -> String {
    match Key::cloud_by_form(key) {
        Some(Cloud::Azure) => key.to_ascii_lowercase(),
        _ => key.to_owned(),
    }
}

/// What the resources of one run leave for each other.
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
    /// Claims a thing that only one resource of a configuration may have. Terraform plans a resource twice that it replaces, first as it is and
    /// then as a new one: both claims have the same owner.
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

    /// Whether this is the first report of `what` in this run. The provider reports a finding once that is about a thing that
    /// several resources share.
    pub fn is_first_report(&self, what: String) -> bool {
        lock(&self.reported).insert(what)
    }

    /// Effect: a resource of this run manages this key configuration.
    pub fn manages_configuration(&self, id: &str) {
        lock(&self.managed_configurations).insert(id.to_owned());
    }

    /// Whether a resource of this run has said that it manages this key configuration.
    pub fn is_managed_configuration(&self, id: &str) -> bool {
        lock(&self.managed_configurations).contains(id)
    }

    /// Effect: this run is going to create this key configuration.
    pub fn will_create_configuration(&self, planned: PlannedConfiguration) {
        let mut all = lock(&self.planned_configurations);
        if !all.contains(&planned) {
            all.push(planned);
        }
    }

    /// The key configurations that this run is going to create.
    pub fn planned_configurations(&self) -> Vec<PlannedConfiguration> {
        lock(&self.planned_configurations).clone()
    }

    /// Effect: another managed services key replaced this one in a workspace. `at`: when, in milliseconds since 1970.
    pub fn key_was_rotated_away(&self, key: String, workspace: &str, at: i64) {
        let mut all = lock(&self.rotated_away);
        let latest = all.entry(by_meaning(&key)).or_default();
        let latest = latest.entry(workspace.to_owned()).or_insert(at);
        *latest = at.max(*latest);
    }

    /// The workspaces that still need a key after a rotation, and each until when, in milliseconds since 1970; as far as this run knows of
    /// rotations.
    pub fn former_users(&self, key: &str, now: i64) -> Vec<(String, i64)> {
        let hours = i64::try_from(NEEDED_AFTER_ROTATION.as_millis()).unwrap_or(i64::MAX);
        let all = lock(&self.rotated_away);
        let own = all.get(&by_meaning(key)).into_iter().flatten();
        own.map(|(workspace, at)| (workspace.clone(), at.saturating_add(hours)))
            .filter(|(_, until)| *until > now)
            .collect()
    }

    /// Until when a workspace still needs a key after a rotation, in milliseconds since 1970; `None` when that is over, or when this
    /// run knows of no rotation.
    pub fn needed_until(&self, key: &str, now: i64) -> Option<i64> {
        let users = self.former_users(key, now).into_iter();
        users.map(|(_, until)| until).max()
    }

    /// Effect: a plan of this run takes permissions on a key away, because no workspace has the key now. A binding that Terraform plans
    /// later refuses that, if its state says that its workspace had the key until a moment ago.
    pub fn takes_away(&self, key: &str) {
        lock(&self.taken_away).insert(by_meaning(key));
    }

    /// Whether a plan of this run takes permissions on a key away.
    pub fn is_taken_away(&self, key: &str) -> bool {
        lock(&self.taken_away).contains(&by_meaning(key))
    }

    /// Effect: a binding of the state has a workspace that no longer exists.
    pub fn workspace_vanished(&self, id: String) {
        lock(&self.vanished_workspaces).insert(id);
    }

    /// Whether a binding of this run has found that its workspace no longer exists. Planning the binding again must not stop the run: Terraform
    /// plans everything once before it destroys, and the user who deleted the workspace must be able to destroy the rest.
    pub fn has_vanished(&self, id: &str) -> bool {
        lock(&self.vanished_workspaces).contains(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: the claims on one thing, in their order, and the answers.
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
