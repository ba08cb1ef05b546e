//! A key policy that goes, or gives a part up: what others need stays, and whoever loses the key is named.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::KeyPolicyModel;
use crate::provider::client::Client;
use crate::provider::keys::Wanted;
use crate::provider::resources::remembered;
use crate::vocabulary::Key;
use tfplugin::context::Context;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};

/// Private data of a plan: what stays at the key when this resource goes, because another one of the plan needs it.
const KEPT: &str = "kept";

/// How a key is left alone that its owner gave up: the block that forgets the resource.
pub(super) const FORGET: &str =
    "\n\nremoved {\n  from = dbxcmk_key_policy.…\n  lifecycle {\n    destroy = false\n  }\n}";

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    key: String,
    items: BTreeSet<String>,
}

/// What is removed when a key policy goes or changes: what it has added itself, that it does not want anymore, and that no other one needs.
pub(super) fn removed(
    own: &BTreeSet<String>,
    wanted: &BTreeSet<String>,
    kept: &BTreeSet<String>,
) -> BTreeSet<String> {
    let given_up = own.difference(wanted);
    given_up
        .filter(|item| !kept.contains(*item))
        .cloned()
        .collect()
}

/// Notes beside the plan what stays when this resource goes.
pub(super) fn note(cx: &Context<Client>, key: &Key, items: BTreeSet<String>) {
    let key = key.to_string();
    cx.set_private(KEPT, &Kept { key, items });
}

/// What the plan of this destruction has found to be needed by others; and what others have said in this apply.
pub(super) fn kept(cx: &Context<Client>, key: &Key, own: &BTreeSet<String>) -> BTreeSet<String> {
    let shares = cx.client().keys().shares();
    let mut stays = shares.wanted_by_others(|one| one == key, own);
    let follows = "It names what other key policies need of the key. Plan again.";
    let noted: Option<Kept> = remembered(cx, KEPT, key, follows);
    if let Some(noted) = noted.filter(|noted| noted.key == key.as_str()) {
        stays.extend(noted.items);
    }
    stays
}

/// Effect: a plan wants this of its key. When the key stays and the resource is replaced all the same, what is wanted again is not removed in
/// between.
pub(super) fn wants(
    cx: &Context<Client>,
    model: &KeyPolicyModel,
    prior: Option<&KeyPolicyModel>,
    wanted: Wanted,
) {
    let key = model.key_name();
    let is_replaced = prior.is_some_and(|prior| prior.key_name() != key);
    // The second plan of a replacement comes without the prior state, and with what the first one has noted.
    let is_second = prior.is_none() && matches!(cx.private::<Kept>(KEPT), Ok(Some(_)));
    if let Some(key) = key.as_ref().filter(|_| !is_replaced && !is_second) {
        note(cx, key, wanted.items.clone());
    }
    let whose = model.azure.known().map_or_else(String::new, |azure| {
        let workspace = azure.workspace_resource_id.known();
        workspace.map_or_else(String::new, ToString::to_string)
    });
    cx.client().keys().shares().wants(key, wanted, &whose);
}

/// Effect: the object stays, so nothing is noted for its end.
pub(super) fn stays(cx: &Context<Client>) {
    if matches!(cx.private::<Kept>(KEPT), Ok(None)) {
        return;
    }
    let nothing = Kept {
        key: String::new(),
        items: BTreeSet::new(),
    };
    cx.set_private(KEPT, &nothing);
}

/// What a refusal becomes where somebody has agreed to it: `force_destroy`.
pub(super) fn agreed(cx: &Context<Client>, key: &Key, refused: Diagnostics) {
    for error in refused {
        cx.warn(Diagnostic::warning(
            format!("Workspaces lose access to the key {}", key.short()),
            format!(
                "`force_destroy = true` is set, so the provider does not stop this:\n\n{}",
                error.detail
            ),
        ));
    }
}

/// What a refusal becomes where an error would leave an object that nothing can remove: access that somebody needs stays.
pub(super) fn left(cx: &Context<Client>, key: &Key, refused: Diagnostics) {
    for error in refused {
        cx.warn(Diagnostic::warning(
            format!("Access to the key {} stays", key.short()),
            format!(
                "The provider left it as it is, because it may be needed:\n\n{}",
                error.detail
            ),
        ));
    }
}

/// Says what `force_destroy` means where it is set. `workspaces`: who uses the key, one line each.
pub(super) fn force_is_set(cx: &Context<Client>, key: &Key, workspaces: &[String]) {
    if workspaces.is_empty() {
        return;
    }
    cx.warn(Diagnostic::warning(
        format!("Workspaces can lose access to the key {}", key.short()),
        format!(
            "`force_destroy = true` lets a later change or destroy of this resource take access to {key} away while these workspaces use \
             it:\n{}\n\nWithout access they cannot read their data. Remove `force_destroy` again when you have made the change that needs it.",
            workspaces.join("\n")
        ),
    ));
}

/// Says that access is gone that workspaces need. `what`: what is gone, one line each.
pub(super) fn cut_off(cx: &Context<Client>, key: &Key, what: &[String], workspaces: &[String]) {
    if what.is_empty() || workspaces.is_empty() {
        return;
    }
    cx.warn(Diagnostic::warning(
        format!("Workspaces cannot use the key {}", key.short()),
        format!(
            "Somebody removed access to {key} that this resource manages:\n{}\n\nThese workspaces need it now:\n{}\n\nUntil it is back, they cannot \
             read their data, or their clusters do not start. Apply to restore it.",
            what.join("\n"),
            workspaces.join("\n")
        ),
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: what this one added, what it wants, what others need, and what is removed.
    #[test]
    fn only_what_nobody_needs_is_removed() {
        let set = |items: &str| -> BTreeSet<String> {
            items.split_whitespace().map(str::to_owned).collect()
        };
        let rows = [
            ("a destroy removes what it added", "a b", "", "", "a b"),
            ("what others need stays", "a b", "", "b c", "a"),
            ("what it wants stays", "a b", "b c", "", "a"),
            ("what it did not add stays", "a", "", "", "a"),
            ("it added nothing", "", "", "b", ""),
            ("everything is needed", "a b", "a", "b", ""),
        ];
        for (what, own, wanted, kept, expected) in rows {
            assert_eq!(
                removed(&set(own), &set(wanted), &set(kept)),
                set(expected),
                "{what}"
            );
        }
    }
}
