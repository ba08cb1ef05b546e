//! The versions that a binding has taken from its workspace, and that may still be needed. Azure does not show them: the state remembers them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clouds::azure::ArmWorkspace;
use crate::preflight::azure::{judge_former, may_need_former};
use crate::preflight::{Finding, Stage};
use crate::provider::client::Client;
use crate::provider::resources::remembered;
use crate::provider::timestamps::{now_in_milliseconds, until};
use crate::vocabulary::UseCase;
use crate::vocabulary::azure::VaultKeyId;
use tfplugin::context::Context;

/// Private data: the versions that the workspace had before.
const FORMER: &str = "former_versions";

/// A version that the workspace had for a use case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Former {
    case: UseCase,
    key: String,
    /// Until when, in milliseconds since 1970.
    at: i64,
}

impl Former {
    fn may_be_needed(&self, now: i64) -> bool {
        let elapsed = u64::try_from(now.saturating_sub(self.at)).unwrap_or_default();
        may_need_former(self.case, Duration::from_millis(elapsed))
    }
}

fn recalled(cx: &Context<Client>, now: &ArmWorkspace) -> Vec<Former> {
    let follows = "It names versions that the workspace had before: keep them enabled.";
    remembered(cx, FORMER, now.id(), follows).unwrap_or_default()
}

/// The keys that a workspace has now, with their versions; without use cases whose key cannot be read.
pub(super) fn versions_of(now: &ArmWorkspace) -> BTreeMap<UseCase, VaultKeyId> {
    let of = |case: UseCase| Some((case, now.key(case).known()?.clone()));
    UseCase::ALL.into_iter().filter_map(of).collect()
}

/// The list after a change. `before` and `after`: what the workspace had, and has.
fn noted(
    mut list: Vec<Former>,
    before: &BTreeMap<UseCase, VaultKeyId>,
    after: &BTreeMap<UseCase, VaultKeyId>,
    at: i64,
) -> Vec<Former> {
    for (case, key) in before {
        if after.get(case).is_some_and(|own| own != key) {
            list.retain(|one| (one.case, &one.key) != (*case, &key.to_string()));
            list.push(Former {
                case: *case,
                key: key.to_string(),
                at,
            });
        }
    }
    let is_back = |one: &Former| {
        let own = after.get(&one.case);
        own.is_some_and(|own| own.to_string() == one.key)
    };
    list.retain(|one| one.may_be_needed(at) && !is_back(one));
    list
}

/// Effect: remembers what a change has taken from the workspace.
pub(super) fn remember(
    cx: &Context<Client>,
    before: &BTreeMap<UseCase, VaultKeyId>,
    now: &ArmWorkspace,
) {
    let list = recalled(cx, now);
    if list.is_empty() && *before == versions_of(now) {
        return;
    }
    let list = noted(list, before, &versions_of(now), now_in_milliseconds());
    cx.set_private(FORMER, &list);
}

/// What there is to say of former versions that may still be needed.
pub(super) async fn judge(cx: &Context<Client>, workspace: &ArmWorkspace) -> Vec<Finding> {
    let now = now_in_milliseconds();
    let mut each: BTreeMap<(String, i64), Vec<UseCase>> = BTreeMap::new();
    for one in recalled(cx, workspace) {
        if one.may_be_needed(now) {
            each.entry((one.key, one.at)).or_default().push(one.case);
        }
    }
    let mut found = Vec::new();
    for ((key, at), cases) in each {
        let (Ok(key), Some(moved)) = (key.parse::<VaultKeyId>(), until(at)) else {
            continue;
        };
        let azure = cx.client().keys().azure();
        let facts = azure.facts(&key, None, Some(workspace.id()), &[], Stage::Plan);
        found.extend(judge_former(&facts.await, &cases, &moved));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A change notes what it takes away; what the workspace has again is not a former version, and what is needed no more is forgotten.
    #[test]
    fn a_move_is_noted_until_it_does_not_matter() -> Result<(), Box<dyn std::error::Error>> {
        use UseCase::{ManagedDisks, ManagedServices};
        const DAY: i64 = 24 * 60 * 60 * 1000;
        let of = |version: &str| -> Result<_, crate::vocabulary::azure::AzureNameError> {
            let key: VaultKeyId =
                format!("https://lakehouse.vault.azure.net/keys/main/{version}").parse()?;
            Ok(BTreeMap::from([
                (ManagedServices, key.clone()),
                (ManagedDisks, key),
            ]))
        };
        let (one, two) = (
            of("00000000000000000000000000000001")?,
            of("00000000000000000000000000000002")?,
        );
        assert_eq!(noted(Vec::new(), &one, &one, 0), []);
        assert_eq!(noted(Vec::new(), &BTreeMap::new(), &one, 0), []);
        let moved = noted(Vec::new(), &one, &two, 0);
        assert_eq!(moved.len(), 2);
        assert!(moved.iter().all(|one| one.key.ends_with("001")));
        let later = noted(moved.clone(), &two, &two, DAY);
        assert_eq!(
            later.iter().map(|one| one.case).collect::<Vec<_>>(),
            [ManagedDisks]
        );
        let back = noted(moved, &two, &one, 1);
        assert!(back.iter().all(|one| one.key.ends_with("002")), "{back:?}");
        Ok(())
    }
}
