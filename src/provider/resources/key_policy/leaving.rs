//! A key policy that Terraform destroys, or that gives up a part: the provider leaves the access that
//! others need, and reports who loses the key.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::KeyPolicyModel;
use crate::provider::client::Client;
use crate::provider::keys::{Policy, Scope, Stays, Wanted};
use crate::provider::resources::remembered;
use crate::provider::vault_access::mark_of_policy;
use crate::vocabulary::Key;
use tfplugin::context::Context;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};

/// Private data of a plan: what stays at the key when this resource goes, because another one of the plan needs it.
const KEPT: &str = "kept";
/// Private data: what tells this resource from another one of the same key.
const NAME: &str = "name";
/// Private data: what the other key policies of the key wanted of this one's at the last refresh. Terraform gives an update nothing of what its
/// plan has noted, so this is what it knows of those that do not change.
const TWINS: &str = "twins";

/// How a key is left alone that its owner gave up: the block that forgets the resource.
pub(super) const FORGET: &str =
    "\n\nremoved {\n  from = dbxcmk_key_policy.…\n  lifecycle {\n    destroy = false\n  }\n}";

#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    key: String,
    items: BTreeSet<String>,
    /// Those of them that others may need: it was not known.
    #[serde(default)]
    perhaps: BTreeSet<String>,
    /// For each item, the mark of the policy that needs it.
    #[serde(default)]
    heirs: BTreeMap<String, String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Twins {
    key: String,
    others: BTreeMap<String, BTreeSet<String>>,
    is_complete: bool,
}

/// What tells this resource from another one.
pub(super) fn name(cx: &Context<Client>) -> String {
    if let Ok(Some(name)) = cx.private::<String>(NAME) {
        return name;
    }
    let name = format!("{:016x}", fastrand::u64(..));
    cx.set_private(NAME, &name);
    name
}

/// The mark that says on Azure that the access is a resource's own, as the resource reports it to
/// the other key policies.
pub(super) fn whose(cx: &Context<Client>, model: &KeyPolicyModel) -> String {
    let azure = model.azure.known();
    let workspace = azure.and_then(|azure| azure.workspace_resource_id.known());
    let workspace = workspace.map_or_else(String::new, ToString::to_string);
    mark_of_policy(&workspace, &name(cx))
}

/// Effect: Terraform had this resource read. Notes what others want of what it has, for an update that gives it up. `own`: what the state has.
pub(super) async fn was_read(
    cx: &Context<Client>,
    state: &KeyPolicyModel,
    scope: Option<Scope>,
    own: BTreeSet<String>,
) {
    let (who, shares) = (name(cx), cx.client().keys().shares());
    let policy = Policy {
        key: scope.as_ref().map(|scope| scope.key().clone()),
        cloud: state.cloud(),
        wanted: Wanted {
            items: own.clone(),
            has_unknown: false,
        },
        whose: whose(cx, state),
    };
    shares.was_read(who.clone(), policy);
    cx.client().keys().policies().saw_read();
    let Some(scope) = scope else {
        return;
    };
    let (others, is_complete) = shares.others(&scope, &own, &who).await;
    let twins = Twins {
        key: scope.key().to_string(),
        others,
        is_complete,
    };
    cx.set_private(TWINS, &twins);
}

/// What the last refresh has noted of others.
fn twins(cx: &Context<Client>, key: &Key) -> Twins {
    let follows = "It names what other key policies need of the key. The provider notes it again at the next refresh.";
    let noted: Option<Twins> = remembered(cx, TWINS, key, follows);
    noted
        .filter(|noted| key.is_named(&noted.key))
        .unwrap_or_default()
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
    let kept = Kept {
        key,
        items,
        ..Kept::default()
    };
    cx.set_private(KEPT, &kept);
}

/// What others need when this resource goes, noted beside its plan. `in_words`: the lines for what it gave.
pub(super) async fn plan_to_go(
    cx: &Context<Client>,
    scope: &Scope,
    own: &BTreeSet<String>,
    is_agreed: bool,
    in_words: impl Fn(&BTreeSet<String>) -> Vec<String>,
) -> BTreeSet<String> {
    let (who, shares) = (name(cx), cx.client().keys().shares());
    shares.goes(who.clone());
    // Terraform plans the end of an object that its replacement has outlived within the apply, where only the resources come that
    // change.
    if shares.is_applying() {
        let kept = needed_now(cx, scope, own);
        note(cx, scope.key(), kept.clone());
        return kept;
    }
    let mut stays = shares.stays(scope, own, &who).await;
    let noted = twins(cx, scope.key());
    let is_known = noted.is_complete && !shares.reads();
    if is_known {
        stays.certain.extend(of_others(cx, noted, own));
    }
    stays = closed(stays, own, is_known || is_agreed);
    warn_of_perhaps(cx, scope.key(), &in_words(&stays.perhaps));
    let all = stays.all();
    let kept = Kept {
        key: scope.key().to_string(),
        items: all.clone(),
        perhaps: stays.perhaps,
        heirs: stays.heirs,
    };
    cx.set_private(KEPT, &kept);
    all
}

/// What others need of what an update gives up, at plan.
pub(super) async fn plan_to_give_up(
    cx: &Context<Client>,
    scope: &Scope,
    given_up: &BTreeSet<String>,
    is_agreed: bool,
    in_words: impl Fn(&BTreeSet<String>) -> Vec<String>,
) -> BTreeSet<String> {
    let shares = cx.client().keys().shares();
    if shares.is_applying() {
        return needed_now(cx, scope, given_up);
    }
    let stays = shares.stays(scope, given_up, &name(cx)).await;
    let stays = closed(stays, given_up, is_agreed);
    warn_of_perhaps(cx, scope.key(), &in_words(&stays.perhaps));
    stays.all()
}

/// Where others may exist that have not come, they may need all of it. `is_settled`: whether that does not count.
fn closed(mut stays: Stays, own: &BTreeSet<String>, is_settled: bool) -> Stays {
    if stays.is_open && !is_settled {
        stays.perhaps = own.difference(&stays.certain).cloned().collect();
    }
    stays
}

/// What those others want of `own` that this process does not plan.
fn of_others(cx: &Context<Client>, noted: Twins, own: &BTreeSet<String>) -> BTreeSet<String> {
    let shares = cx.client().keys().shares();
    let others = noted.others.into_iter();
    let others = others.filter(|(who, _)| !shares.has_planned(who));
    let items = others.flat_map(|(_, items)| items);
    items.filter(|one| own.contains(one)).collect()
}

/// What others need of `own`, as far as they have come, and as the last refresh has noted those that do not change.
pub(super) fn needed_now(
    cx: &Context<Client>,
    scope: &Scope,
    own: &BTreeSet<String>,
) -> BTreeSet<String> {
    let shares = cx.client().keys().shares();
    let mut needed = shares.stays_now(scope, own, &name(cx)).all();
    needed.extend(of_others(cx, twins(cx, scope.key()), own));
    needed
}

/// What others need of `own`, as the plan of this destruction has found, and as others have said in this apply. What the plan did not know is
/// named.
pub(super) fn kept(
    cx: &Context<Client>,
    scope: &Scope,
    own: &BTreeSet<String>,
    in_words: impl Fn(&BTreeSet<String>) -> Vec<String>,
) -> Stays {
    let (who, shares) = (name(cx), cx.client().keys().shares());
    let mut stays = shares.stays_now(scope, own, &who);
    shares.goes(who);
    let follows = "It names what other key policies need of the key. Plan again.";
    let noted: Option<Kept> = remembered(cx, KEPT, scope.key(), follows);
    if let Some(noted) = noted.filter(|noted| scope.key().is_named(&noted.key)) {
        let of_own = |one: &String| own.contains(one);
        let (perhaps, certain): (BTreeSet<_>, BTreeSet<_>) = noted
            .items
            .into_iter()
            .filter(of_own)
            .partition(|one| noted.perhaps.contains(one));
        stays.certain.extend(certain);
        stays.perhaps.extend(perhaps);
        stays.heirs.extend(noted.heirs);
    }
    stays.perhaps.retain(|one| !stays.certain.contains(one));
    warn_of_perhaps(cx, scope.key(), &in_words(&stays.perhaps));
    stays
}

/// Names what stays because it is not known who needs it.
fn warn_of_perhaps(cx: &Context<Client>, key: &Key, what: &[String]) {
    if what.is_empty() {
        return;
    }
    cx.warn(Diagnostic::warning(
        format!("Access to the key {} may be needed by another one", key.short()),
        format!(
            "This resource gave this access to {key}:\n{}\n\nAnother dbxcmk_key_policy of the configuration may need it, and its needs are not \
             known in this run: it has not been planned (for example with `-target` or `-parallelism=1`), or its attributes are known only after \
             apply. So the provider leaves the access where that one would lose it.\n\nTo decide it now, plan the whole configuration together. \
             If nobody needs the access, remove it by hand afterwards.",
            what.join("\n")
        ),
    ));
}

/// Effect: a plan wants this of its key. When the key stays and the resource is replaced all the same, what is wanted again is not removed in
/// between, nor what others want.
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
        let of_others = twins(cx, key).others.into_values().flatten();
        note(
            cx,
            key,
            wanted.items.iter().cloned().chain(of_others).collect(),
        );
    }
    let policy = Policy {
        key,
        cloud: model.cloud(),
        wanted,
        whose: whose(cx, model),
    };
    cx.client().keys().shares().wants(name(cx), policy);
}

/// What was there before a key policy came, and stays when it goes.
pub(super) struct NotAdded<'a> {
    /// The summary, as `Members that this resource did not add stay in the IAM policy`.
    pub(super) summary: &'a str,
    /// What it is, in the plural.
    pub(super) noun: &'a str,
    /// The items that stay: statements, members or principals.
    pub(super) items: &'a BTreeSet<String>,
    /// What of it other key policies want.
    pub(super) of_others: &'a BTreeSet<String>,
    /// The workspaces that need some of it, one line each.
    pub(super) users: &'a [String],
    /// How to take it away; an empty text where that is not known.
    pub(super) removal: String,
}

/// Says what stays because this resource did not add it. What others need comes without advice to remove it.
pub(super) fn warn_of_not_added(
    cx: &Context<Client>,
    key: &Key,
    left: &NotAdded<'_>,
    in_words: impl Fn(&BTreeSet<String>) -> Vec<String>,
) {
    if let Some(detail) = not_added(key, left, in_words) {
        cx.warn(Diagnostic::warning(left.summary.to_owned(), detail).about(key.short()));
    }
}

fn not_added(
    key: &Key,
    left: &NotAdded<'_>,
    in_words: impl Fn(&BTreeSet<String>) -> Vec<String>,
) -> Option<String> {
    let is_needed = |one: &&String| !left.users.is_empty() || left.of_others.contains(*one);
    let (needed, free): (BTreeSet<String>, BTreeSet<String>) =
        left.items.iter().cloned().partition(|one| is_needed(&one));
    let mut parts = Vec::new();
    if !needed.is_empty() {
        let why = match (left.users.is_empty(), needed.is_disjoint(left.of_others)) {
            (true, _) => "another dbxcmk_key_policy of this key needs them".to_owned(),
            (false, true) => format!("workspaces use the key:\n{}", left.users.join("\n")),
            (false, false) => format!(
                "another dbxcmk_key_policy of this key and workspaces need them:\n{}",
                left.users.join("\n")
            ),
        };
        parts.push(format!(
            "These {} of {key} stay:\n{}\n\nKeep them, because {why}",
            left.noun,
            in_words(&needed).join("\n")
        ));
    }
    if !free.is_empty() {
        parts.push(format!(
            "As far as the state says, these {} of {key} were there before, from Databricks, somebody else, or a dbxcmk_key_policy that is gone:\n{}{}",
            left.noun,
            in_words(&free).join("\n"),
            match left.removal.is_empty() {
                true => String::new(),
                false => format!("\n\n{}", left.removal),
            }
        ));
    }
    (!parts.is_empty()).then(|| parts.join("\n\n"))
}

/// Effect: the object stays, so nothing is noted for its end.
pub(super) fn stays(cx: &Context<Client>) {
    if matches!(cx.private::<Kept>(KEPT), Ok(None)) {
        return;
    }
    cx.set_private(KEPT, &Kept::default());
}

/// The warnings that replace a refusal to which the user has agreed (`force_destroy`).
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

/// The warnings that replace a refusal where an error would leave an object in the state that nothing can remove: the
/// access that others need stays.
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

/// Says what `force_destroy` means where it is set. `workspaces`: who uses the key, in words.
pub(super) fn force_is_set(cx: &Context<Client>, key: &Key, workspaces: &str) {
    if workspaces.is_empty() {
        return;
    }
    cx.warn(Diagnostic::warning(
        format!("Workspaces can lose access to the key {}", key.short()),
        format!(
            "`force_destroy = true` lets a later change or destroy of this resource take access to {key} away. {workspaces}\n\nWithout \
             access, workspaces cannot read their data. Remove `force_destroy` again when you have made the change that needs it."
        ),
    ));
}

/// Says that access is missing that workspaces need. It is judged from what lives, and not from what the state had: a refresh that was saved,
/// or an apply that failed, does not make it silent. `what`: what is missing, one line each.
pub(super) fn cut_off(cx: &Context<Client>, key: &Key, what: &[String], workspaces: &[String]) {
    if what.is_empty() || workspaces.is_empty() {
        return;
    }
    cx.warn(Diagnostic::warning(
        format!("Workspaces cannot use the key {}", key.short()),
        format!(
            "Access to {key} that this resource manages is not there:\n{}\n\nThese workspaces need it now:\n{}\n\nUntil it is back, they cannot \
             read their data, or their clusters do not start. Apply to restore it.",
            what.join("\n"),
            workspaces.join("\n")
        ),
    ));
}

/// Says that access is gone here, and comes from elsewhere. `what`: who has it from where, one line each.
pub(super) fn has_it_elsewhere(cx: &Context<Client>, key: &Key, what: &[String]) {
    if what.is_empty() {
        return;
    }
    cx.warn(Diagnostic::warning(
        format!("Access to the key {} comes from elsewhere", key.short()),
        format!(
            "Somebody removed access to {key} that this resource manages. These have it all the same, so that no workspace loses the key:\n{}\n\nApply to \
             restore it. If the access is to come from there only, remove it from the configuration of this resource.",
            what.join("\n")
        ),
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: what other key policies want, which workspaces use the key, and whether something is kept, and something may be removed.
    #[test]
    fn nothing_is_advised_against_what_is_needed() -> Result<(), Box<dyn std::error::Error>> {
        let set = |items: &str| -> BTreeSet<String> {
            items.split_whitespace().map(str::to_owned).collect()
        };
        let name: crate::vocabulary::gcp::CryptoKeyName =
            "projects/p/locations/europe-west3/keyRings/r/cryptoKeys/k".parse()?;
        let key = Key::from(name);
        let users = ["  - 1 (\"lakehouse\")".to_owned()];
        let rows: [(&str, &[String], bool, bool); 4] = [
            ("", &[], false, true),
            ("a", &[], true, true),
            ("a b", &[], true, false),
            ("", &users, true, false),
        ];
        for (of_others, users, is_kept, is_free) in rows {
            let left = NotAdded {
                summary: "",
                noun: "members",
                items: &set("a b"),
                of_others: &set(of_others),
                users,
                removal: "gcloud remove".to_owned(),
            };
            let lines =
                |all: &BTreeSet<String>| all.iter().map(|one| format!("  - {one}")).collect();
            let said = not_added(&key, &left, lines).unwrap_or_default();
            assert_eq!(said.contains("Keep them"), is_kept, "{said}");
            assert_eq!(said.contains("gcloud remove"), is_free, "{said}");
            assert_eq!(said.contains("lakehouse"), !users.is_empty(), "{said}");
        }
        Ok(())
    }

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
