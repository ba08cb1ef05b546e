//! The managed resources, one file each, and the few things that all of them need.

pub mod key_configuration;
pub mod key_policy;
mod rotation;
pub mod workspace_binding;

pub use key_policy::with_users;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::provider::client::Client;
use crate::provider::waiting::Deadline;
use crate::vocabulary::UseCase;
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::diagnostics::Diagnostic;
use tfplugin::duration::GoDuration;

/// The `timeouts` object: each operation that the resource lists, by name.
pub type Timeouts = Attr<BTreeMap<String, Attr<GoDuration>>>;

/// How long an operation may take: what the user says, or `default`.
pub fn timeout(timeouts: &Timeouts, operation: &str, default: Duration) -> Deadline {
    let wanted = timeouts
        .known()
        .and_then(|all| all.get(operation))
        .and_then(Attr::known);
    Deadline::after(wanted.map_or(default, GoDuration::length))
}

/// The elements of a set, when the set and each of them are known.
pub fn all_known<T: Clone>(set: &Attr<Vec<Attr<T>>>) -> Option<Vec<T>> {
    set.known()?
        .iter()
        .map(|element| element.known().cloned())
        .collect()
}

/// A set of known elements.
pub fn known_set<T>(elements: impl IntoIterator<Item = T>) -> Attr<Vec<Attr<T>>> {
    Attr::Known(elements.into_iter().map(Attr::Known).collect())
}

/// What an earlier operation on an object left in private under a name. What cannot be read there is said once a run, with what `follows`
/// from it, and then is as nothing.
pub fn remembered<T: DeserializeOwned>(
    cx: &Context<Client>,
    name: &str,
    object: impl Display,
    follows: &str,
) -> Option<T> {
    cx.private(name).unwrap_or_else(|why| {
        let is_first = format!("private {name} of {object}");
        if cx.client().run().is_first_report(is_first) {
            cx.warn(Diagnostic::warning(
                "Part of the state cannot be read",
                format!(
                    "Beside the attributes of {object}, the state has an entry `{name}` that this version of the provider cannot read: \
                     {why}. {follows}\n\nA newer version of the provider wrote it, or somebody changed the state. Use that version, or restore \
                     the state from its backup."
                ),
            )
            .about(&object));
        }
        None
    })
}

/// Refuses, for a key of another cloud, the use case that exists on Azure alone.
pub fn refuse_managed_disks(cases: &[UseCase]) -> Option<Diagnostic> {
    cases.contains(&UseCase::ManagedDisks).then(|| {
        Diagnostic::error(
            "MANAGED_DISKS exists only on Azure",
            "On AWS, the use case `STORAGE` covers the volumes of clusters (`reuse_key_for_cluster_volumes`), on Google Cloud their disks. Remove \
             `MANAGED_DISKS`.",
        )
        .on("use_cases")
    })
}

/// What tells a resource of this walk from every other one. A resource that is to be replaced is planned twice, and Terraform hands the private data
/// of the first plan to the second, whose prior state is none.
fn owner(cx: &Context<Client>, is_new: bool) -> String {
    const OWNER: &str = "owner";
    let left = cx.private::<String>(OWNER).ok().flatten();
    let owner = left.filter(|_| is_new).unwrap_or_else(doors::uuid);
    cx.set_private(OWNER, &owner);
    owner
}
