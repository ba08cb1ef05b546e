//! Whom a key policy on Azure has given access itself: what it may take away again.

use std::collections::BTreeSet;

use crate::preflight::Fact;
use crate::preflight::azure::{AccessModel, VaultKeyFacts};
use crate::provider::client::Client;
use crate::provider::resources::remembered;
use crate::provider::vault_access::{Place, is_own};
use crate::requirements::azure::{Needer, Role};
use crate::vocabulary::azure::{PrincipalId, VaultKeyId, VaultResourceId, WorkspaceResourceId};
use tfplugin::context::Context;
use tfplugin::diagnostics::Diagnostic;

/// Private data: the principals to whom this resource gave access.
pub(super) const ADDED: &str = "added";
/// Private data: whether the disk encryption set did not exist yet when this resource granted the others, so that its access comes from the
/// binding and is this resource's from then on.
pub(super) const AWAITS_DISKS: &str = "awaits_disks";

/// What this resource added, as far as its private data say. What cannot be read there is not taken away, and said.
pub(super) fn added(cx: &Context<Client>, key: &VaultKeyId) -> BTreeSet<PrincipalId> {
    let follows = "It names whom this resource gave access to the key. The provider takes nobody's access away.";
    let list = remembered(cx, ADDED, key, follows).unwrap_or_default();
    let (principals, unreadable) = read_principals(list);
    let once = || format!("unreadable principals of {key}");
    if !unreadable.is_empty() && cx.client().run().is_first_report(once()) {
        cx.warn(Diagnostic::warning(
            "Access to the key may stay",
            format!(
                "The state of this resource lists whom it gave access to {key}. The provider cannot read these entries, and does not take their \
                 access away: {}.\n\nThe provider did not write them: find out who changed the state. Check who has access to the key in the \
                 Azure portal.",
                unreadable.join(", ")
            ),
        ));
    }
    principals
}

/// The principals in a list, and the entries that are none.
fn read_principals(list: Vec<String>) -> (BTreeSet<PrincipalId>, Vec<String>) {
    let (mut principals, mut unreadable) = (BTreeSet::new(), Vec::new());
    for one in list {
        match one.parse() {
            Ok(principal) => drop(principals.insert(principal)),
            Err(_) => unreadable.push(format!("`{one}`")),
        }
    }
    (principals, unreadable)
}

/// Takes over the access that is this resource's: assignments that say so, and the access of the disk encryption set, which the binding has
/// given after this resource gave the others.
pub(super) async fn adopt(
    cx: &Context<Client>,
    facts: &VaultKeyFacts,
    key: &VaultKeyId,
    vault_id: &VaultResourceId,
    workspace: Option<&WorkspaceResourceId>,
    there: &BTreeSet<PrincipalId>,
    needers: &[Needer],
) {
    let Fact::Known(vault) = &facts.vault else {
        return;
    };
    let place = Place {
        key,
        vault: vault_id,
        workspace,
    };
    let mut own = added(cx, key);
    let before = own.len();
    let follows = "It says whether the access of the disk encryption set is of this resource. The provider does not take it away.";
    let awaits_disks = remembered(cx, AWAITS_DISKS, key, follows) == Some(true);
    for principal in there {
        if own.contains(principal) {
            continue;
        }
        let is = |role: Role| {
            let mut all = needers.iter();
            all.any(|one| one.principal == *principal && one.role == role)
        };
        let is_disks = is(Role::DiskEncryptionSet);
        // A local role does not say for which workspace it was given, and every workspace of the tenant has this principal.
        let is_shared = vault.access == AccessModel::LocalRoles && is(Role::AzureDatabricks);
        let is_ours = match is_own(cx.client(), place, vault, principal).await {
            Ok(Some(is_ours)) => is_ours && !is_shared,
            Ok(None) => is_disks && awaits_disks,
            Err(_) => false,
        };
        if is_ours {
            own.insert(principal.clone());
        }
    }
    if own.len() != before {
        cx.set_private(ADDED, &own);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry that is no principal is named, and takes nothing else with it.
    #[test]
    fn what_was_added_is_read_or_named() {
        let own = "0b1f6471-1bf0-4dda-aec3-cb9272f09590";
        let list = [own, "somebody", ""].map(str::to_owned).to_vec();
        let (principals, unreadable) = read_principals(list);
        let principals: Vec<String> = principals.iter().map(ToString::to_string).collect();
        assert_eq!(principals, [own]);
        assert_eq!(unreadable, ["`somebody`", "``"]);
    }
}
