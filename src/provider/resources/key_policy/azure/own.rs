//! The principals to whom a key policy on Azure gave access itself: it may take that access away again.

use std::collections::BTreeSet;

use crate::preflight::azure::VaultKeyFacts;
use crate::preflight::{Fact, Stage};
use crate::provider::client::Client;
use crate::provider::resources::remembered;
use crate::provider::vault_access::{Given, Place, given, mark_of_binding};
use crate::requirements::azure::{Grantee, Role};
use crate::vocabulary::azure::{PrincipalId, VaultKeyId, WorkspaceResourceId};
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

/// Whether access that is there is this resource's. `is_awaited`: whether it is that of the disk encryption set, which did not exist when this
/// resource gave the others access.
fn is_ours(given: &Given, mark: &str, of_binding: &str, is_awaited: bool) -> bool {
    match given {
        Given::No => false,
        Given::By(description) if description.eq_ignore_ascii_case(mark) => true,
        Given::By(description) => is_awaited && description.eq_ignore_ascii_case(of_binding),
        Given::NotTold => is_awaited,
    }
}

/// What a vault shows of the access to a key.
pub(super) struct Shown<'a> {
    /// As it was read.
    pub(super) facts: &'a VaultKeyFacts,
    /// The workspace, if there is one.
    pub(super) workspace: Option<&'a WorkspaceResourceId>,
    /// Who may have access by this resource.
    pub(super) principals: BTreeSet<PrincipalId>,
    /// Those of whom it is known for what they need it.
    pub(super) grantees: &'a [Grantee],
}

/// Adopts the access that is this resource's: assignments that say so, and the access of the disk encryption set, which the binding has
/// given after this resource gave the others. It leaves out what was there before, no matter who gave it.
pub(super) async fn adopt(cx: &Context<Client>, place: Place<'_>, shown: &Shown<'_>) {
    let Fact::Known(vault) = &shown.facts.vault else {
        return;
    };
    let key = place.key;
    let mut own = added(cx, key);
    let before = own.len();
    let follows = "It says whether the access of the disk encryption set is of this resource. The provider does not take it away.";
    let awaits_disks = remembered(cx, AWAITS_DISKS, key, follows) == Some(true);
    let of_binding = shown.workspace.map_or_else(String::new, mark_of_binding);
    for principal in &shown.principals {
        if own.contains(principal) {
            continue;
        }
        let is_disks = shown
            .grantees
            .iter()
            .any(|one| one.principal == *principal && one.role == Role::DiskEncryptionSet);
        let given = given(cx.client(), place, vault, principal).await;
        let is_awaited = is_disks && awaits_disks;
        if given.is_ok_and(|given| is_ours(&given, place.mark, &of_binding, is_awaited)) {
            own.insert(principal.clone());
        }
    }
    if own.len() != before {
        cx.set_private(ADDED, &own);
    }
}

/// The access that this resource owns when Terraform destroys it. Terraform does not refresh a resource that it destroys, so the provider
/// reads now what another resource has left to it since.
pub(super) async fn owned(
    cx: &Context<Client>,
    place: Place<'_>,
    there: &BTreeSet<PrincipalId>,
) -> BTreeSet<PrincipalId> {
    let keys = cx.client().keys().azure();
    let facts = keys.facts(place.key, Some(place.vault), None, &[], Stage::Plan);
    let shown = Shown {
        facts: &facts.await,
        workspace: None,
        principals: there.clone(),
        grantees: &[],
    };
    adopt(cx, place, &shown).await;
    added(cx, place.key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::vault_access::mark_of_policy;

    /// The provider reports an entry that is not a principal, and keeps the others.
    #[test]
    fn what_was_added_is_read_or_named() {
        let own = "0b1f6471-1bf0-4dda-aec3-cb9272f09590";
        let list = [own, "somebody", ""].map(str::to_owned).to_vec();
        let (principals, unreadable) = read_principals(list);
        let principals: Vec<String> = principals.iter().map(ToString::to_string).collect();
        assert_eq!(principals, [own]);
        assert_eq!(unreadable, ["`somebody`", "``"]);
    }

    /// Each row: who gave access by its description, whether it is that of a disk encryption set that was awaited, and whether it is this
    /// resource's. A policy of another state is for the same workspace, and has another name.
    #[test]
    fn access_that_another_state_gave_is_not_adopted() {
        let of = |name| mark_of_policy("/subscriptions/s/w", name);
        let (own, other) = (of("00000000000000aa"), of("00000000000000bb"));
        let binding = "For Databricks: dbxcmk_workspace_binding of w";
        let rows = [
            (Given::No, true, false),
            (Given::By(own.clone()), false, true),
            (Given::By(own.to_uppercase()), false, true),
            (Given::By(other), true, false),
            (
                Given::By(mark_of_policy("", "00000000000000aa")),
                false,
                false,
            ),
            (Given::By(binding.to_owned()), true, true),
            (Given::By(binding.to_owned()), false, false),
            (Given::By(String::new()), true, false),
            (Given::NotTold, true, true),
            (Given::NotTold, false, false),
        ];
        for (given, is_awaited, expected) in rows {
            let found = is_ours(&given, &own, binding, is_awaited);
            assert_eq!(found, expected, "{given:?} {is_awaited}");
        }
        // Without a workspace, there is no binding whose mark is empty.
        assert!(!is_ours(&Given::By(String::new()), &own, "", false));
    }
}
