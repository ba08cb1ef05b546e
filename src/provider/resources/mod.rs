//! The managed resources, one file each, and the few things that all of them need.

mod former_key;
pub mod key_configuration;
pub mod key_policy;
pub mod workspace_binding;

pub use key_policy::with_users;

use std::fmt::Display;

use serde::de::DeserializeOwned;

use crate::preflight::proof;
use crate::provider::client::Client;
use crate::provider::diagnose::IgnoreFindings;
use crate::vocabulary::{Cloud, Key, KeyUse, UseCase};
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::diagnostics::Diagnostic;
use tfplugin::schema::Attribute;

pub use tfplugin::timeouts::Timeouts;

/// The elements of a set, when the set and each of them are known.
pub fn all_known<T: Clone>(set: &Attr<Vec<Attr<T>>>) -> Option<Vec<T>> {
    set.known()?
        .iter()
        .map(|element| element.known().cloned())
        .collect()
}

/// A set attribute from elements that Terraform knows.
pub fn known_set<T>(elements: impl IntoIterator<Item = T>) -> Attr<Vec<Attr<T>>> {
    Attr::Known(elements.into_iter().map(Attr::Known).collect())
}

/// The value that an earlier operation on an object left in private under a name. If this version cannot read it, the provider warns once
/// in a run, with what `follows` from it, and counts it as missing.
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
pub fn refuse_managed_disks<C: Copy + Into<KeyUse>>(cases: &[C]) -> Option<Diagnostic> {
    let is_disks = |case: &C| (*case).into() == KeyUse::Workspace(UseCase::ManagedDisks);
    cases.iter().any(is_disks).then(|| {
        Diagnostic::error(
            "MANAGED_DISKS exists only on Azure",
            "On AWS, the use case `STORAGE` covers the volumes of clusters (`reuse_key_for_cluster_volumes`), on Google Cloud their disks. Remove \
             `MANAGED_DISKS`.",
        )
        .on("use_cases")
    })
}

/// The use cases of workspaces among these, when all are known.
pub fn workspace_cases(cases: &Attr<Vec<Attr<KeyUse>>>) -> Option<Vec<UseCase>> {
    let all = all_known(cases)?.into_iter();
    Some(all.filter_map(KeyUse::of_workspace).collect())
}

/// What is wrong with tables of Unity Catalog: the use case and those who use the key for it belong together. `named`: whether any are named; none
/// where that is not known yet.
pub fn check_tables(
    cloud: &Cloud,
    cases: Option<&[KeyUse]>,
    named: Option<bool>,
) -> Option<Diagnostic> {
    let (cases, named) = (cases?, named?);
    let (attribute, why, from) = match cloud {
        Cloud::Gcp => (
            "gcp.bucket_project_numbers",
            "the Cloud Storage service agents of the projects of these buckets use the key for tables. Set it to the numbers of those projects",
            "data.dbxcmk_storage_encryption.….locations[*].bucket_project_number",
        ),
        Cloud::Azure => (
            "azure.storage_account_principal_ids",
            "the storage accounts use the key for tables, each with its own identity. Set it to the object IDs of those identities",
            "azurerm_storage_account.….identity[0].principal_id",
        ),
        Cloud::Aws | Cloud::Other(_) => (
            "aws.storage_credential_role_arns",
            "the roles of storage credentials use the key for tables in buckets that it encrypts. Set it to those roles",
            "databricks_storage_credential.….aws_iam_role[0].role_arn",
        ),
    };
    match (cases.contains(&KeyUse::UnityCatalog), named) {
        (true, false) => Some(Diagnostic::error(
            "UNITY_CATALOG needs the identities that use the key for tables",
            format!(
                "`{attribute}` names none. With `UNITY_CATALOG`, {why} (`{from}`), or remove `UNITY_CATALOG`. Where a list may be empty, let the \
                 use case depend on it: `use_cases = concat([\"STORAGE\"], length(local.readers) > 0 ? [\"UNITY_CATALOG\"] : [])`."
            ),
        )),
        (false, true) => Some(Diagnostic::error(
            "Identities for tables belong to the use case UNITY_CATALOG",
            format!("Add \"UNITY_CATALOG\" to `use_cases`, or remove `{attribute}`."),
        )),
        _ => None,
    }
    .map(|found| found.on(attribute))
}

/// Whether a set names something; none while that is not known.
pub fn names_something<T>(set: &Attr<Vec<Attr<T>>>) -> Option<bool> {
    match set {
        Attr::Unknown => None,
        Attr::Null => Some(false),
        Attr::Known(all) => Some(!all.is_empty()),
    }
}

/// What tells a resource of this walk from every other one. Terraform plans a resource twice that it replaces, and hands the private data of the
/// first plan to the second, which has no prior state.
fn owner(cx: &Context<Client>, is_new: bool) -> String {
    const OWNER: &str = "owner";
    let left = cx.private::<String>(OWNER).ok().flatten();
    let owner = left.filter(|_| is_new).unwrap_or_else(doors::uuid);
    cx.set_private(OWNER, &owner);
    owner
}
/// The attribute `proof`.
fn proof_attribute() -> Attribute {
    Attribute::string("proof").computed().stable().describe(
        "What the provider proves before it acts, by which reads, and what it does not examine: a few lines for the reviewer of a plan. They change \
         only with the keys and use cases; an imported object has none.",
    )
}

/// What is proven of keys, each for its use cases, and what of it does not stop the run.
fn proof_of(client: &Client, keys: &[(Key, Vec<UseCase>)], ignored: &IgnoreFindings) -> String {
    let examines_iam = client.keys().aws().cloud().examines_iam();
    let each = keys
        .iter()
        .map(|(key, cases)| proof(key, cases, examines_iam));
    let mut lines = each.collect::<Vec<_>>().join("\n\n");
    if let Some(exceptions) = client.stops(ignored).exceptions() {
        lines.push('\n');
        lines.push_str(&exceptions);
    }
    lines
}
