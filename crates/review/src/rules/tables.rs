//! Tables of Unity Catalog: catalogs, external locations, and the buckets and storage accounts that they lie in, of three providers. The keys of a
//! workspace do not cover them, so that a plan that takes their own key away leaves them under a key of the cloud.

use super::gathered::{Gathered, Said};
use crate::catalog::Rule;
use crate::plan::{Action, ResourceChange, at};
use crate::report::Level;
use serde_json::Value as Json;
use vocabulary::TableStore;

pub(super) fn look(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    match change.kind.as_str() {
        "databricks_catalog" | "databricks_external_location" => own_key(gathered, change, true),
        "aws_s3_bucket_server_side_encryption_configuration"
        | "google_storage_bucket"
        | "azurerm_storage_account_customer_managed_key" => {
            let has_tables = has_tables(gathered, change);
            own_key(gathered, change, has_tables);
        }
        "databricks_storage_credential" => credential(gathered, change),
        "databricks_postgres_project" => postgres(gathered, change),
        "databricks_mws_workspaces" => created_with_storage_key(gathered, change),
        "dbxcmk_key_configuration" => configuration(gathered, change, "id"),
        "databricks_mws_customer_managed_keys" => {
            configuration(gathered, change, "customer_managed_key_id");
        }
        _ => {}
    }
}

/// Where a resource has the name of its key. Sources: the schemas of databricks/databricks (1.128), hashicorp/aws (5), hashicorp/google (6) and
/// hashicorp/azurerm (4; `key_name` in 3).
fn paths(kind: &str) -> &'static [&'static str] {
    match kind {
        "databricks_catalog" => &[
            "managed_encryption_settings.customer_managed_key_id",
            "managed_encryption_settings.azure_key_vault_key_id",
            "managed_encryption_settings.0.customer_managed_key_id",
            "managed_encryption_settings.0.azure_key_vault_key_id",
        ],
        "databricks_external_location" => &[
            "encryption_details.sse_encryption_details.aws_kms_key_arn",
            "encryption_details.0.sse_encryption_details.0.aws_kms_key_arn",
        ],
        "aws_s3_bucket_server_side_encryption_configuration" => {
            &["rule.0.apply_server_side_encryption_by_default.0.kms_master_key_id"]
        }
        "google_storage_bucket" => &["encryption.0.default_kms_key_name"],
        "azurerm_storage_account_customer_managed_key" => &["key_vault_key_id", "key_name"],
        _ => &[],
    }
}

/// A key as a resource has it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum OwnKey {
    None,
    Named(String),
    /// The apply decides.
    Unknown,
}

/// Whether a name is that of a key of AWS, which no customer has.
fn is_of_aws(name: &str) -> bool {
    name == "aws/s3" || name.contains("alias/aws/")
}

fn key_in(state: &Json, kind: &str) -> OwnKey {
    let named = paths(kind)
        .iter()
        .find_map(|path| at(state, path).as_str().filter(|name| !name.is_empty()));
    match named {
        Some(name) if !is_of_aws(name) => OwnKey::Named(name.to_owned()),
        _ => OwnKey::None,
    }
}

fn key_after(change: &ResourceChange) -> OwnKey {
    let all = paths(&change.kind);
    match key_in(change.state_after(), &change.kind) {
        OwnKey::None if all.iter().any(|path| change.is_unknown(path)) => OwnKey::Unknown,
        found => found,
    }
}

/// The bucket or storage account that a resource is about.
fn store(change: &ResourceChange) -> Option<String> {
    let path = match change.kind.as_str() {
        "aws_s3_bucket_server_side_encryption_configuration" => "bucket",
        "google_storage_bucket" => "name",
        _ => "storage_account_id",
    };
    let id = change.latest(path)?;
    id.rsplit('/').next().map(str::to_ascii_lowercase)
}

/// Whether a table of the plan lies in a bucket.
fn has_tables(gathered: &Gathered<'_>, change: &ResourceChange) -> bool {
    let Some(store) = store(change) else {
        return false;
    };
    let urls = [
        ("databricks_external_location", "url"),
        ("databricks_catalog", "storage_root"),
        ("databricks_metastore", "storage_root"),
    ];
    urls.iter().any(|(kind, path)| {
        let mut all = gathered.plan.of(kind).filter_map(|one| one.latest(path));
        all.any(|url| TableStore::of(&url).is_ok_and(|own| own.name().eq_ignore_ascii_case(&store)))
    })
}

/// What a resource is about, as a sentence begins.
fn subject(change: &ResourceChange) -> String {
    let name = |path: &str| {
        change
            .latest(path)
            .unwrap_or_else(|| change.address.clone())
    };
    match change.kind.as_str() {
        "databricks_catalog" => format!("The catalog {}", name("name")),
        "databricks_external_location" => format!("The external location {}", name("name")),
        "azurerm_storage_account_customer_managed_key" => format!(
            "The storage account {}",
            store(change).unwrap_or_else(|| change.address.clone())
        ),
        _ => format!(
            "The bucket {}",
            store(change).unwrap_or_else(|| change.address.clone())
        ),
    }
}

/// The key before and after. A resource that goes takes only the key along, or all of the bucket or catalog.
fn keys(change: &ResourceChange) -> Option<(OwnKey, OwnKey)> {
    let is_whole = [
        "databricks_catalog",
        "databricks_external_location",
        "google_storage_bucket",
    ]
    .contains(&change.kind.as_str());
    let before = key_in(change.state_before(), &change.kind);
    match change.action {
        Action::Delete if !is_whole => Some((before, OwnKey::None)),
        Action::Create | Action::Update => Some((before, key_after(change))),
        Action::Replace if !is_whole => Some((before, key_after(change))),
        Action::Replace => Some((OwnKey::None, key_after(change))),
        _ => None,
    }
}

/// What a plan does to the own key of tables. `has_tables`: whether the plan shows that tables lie there.
fn own_key(gathered: &mut Gathered<'_>, change: &ResourceChange, has_tables: bool) {
    let Some((before, after)) = keys(change).filter(|(before, after)| before != after) else {
        return;
    };
    let subject = subject(change);
    let unseen = match has_tables {
        true => "",
        false => {
            " No external location, catalog or metastore of this plan lies there, so that the review does not know whether it has tables."
        }
    };
    let level = if has_tables {
        Level::Warning
    } else {
        Level::Note
    };
    let said = match (before, after) {
        (OwnKey::Named(before), OwnKey::None) => Said {
            id: Rule::TablesKeyLost,
            level,
            summary: format!("{subject} loses its own key"),
            detail: format!(
                "It had `{before}`. What is written from now on is encrypted with a key of the cloud or of Databricks. What was written before \
                 still needs the former key.{unseen}"
            ),
            remedy: "Keep the key, or accept that tables are outside of your own keys: `--accept`.",
        },
        (OwnKey::Named(before), after) => Said {
            id: Rule::TablesKeyReplaced,
            level,
            summary: format!("{subject} gets another key"),
            detail: format!(
                "It had `{before}`, and gets {}. What was written before still needs the former key.{unseen}",
                in_words(&after)
            ),
            remedy: "Keep the former key enabled until everything is written again, and let those who read the tables use both keys.",
        },
        (_, after) => Said {
            id: Rule::TablesKeySet,
            level: Level::Note,
            summary: format!("{subject} gets an own key"),
            detail: format!(
                "It gets {}. Those who read and write its tables need the key from then on; without it, jobs fail with AccessDenied. What was \
                 written before keeps its encryption.{unseen}",
                in_words(&after)
            ),
            remedy: "Give them the key with a `dbxcmk_key_policy` with the use case `UNITY_CATALOG`. To see who they are: \
                     `data \"dbxcmk_storage_encryption\"`.",
        },
    };
    gathered.say(change, said);
}

fn in_words(key: &OwnKey) -> String {
    match key {
        OwnKey::Named(name) => format!("`{name}`"),
        OwnKey::None | OwnKey::Unknown => "a key that is known only after the apply".to_owned(),
    }
}

/// A storage credential with another role, which the key policies of the plan do not name.
fn credential(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    let role = |state: &Json| {
        ["aws_iam_role.0.role_arn", "aws_iam_role.role_arn"]
            .iter()
            .find_map(|path| at(state, path).as_str().map(str::to_owned))
    };
    let (before, after) = (role(change.state_before()), role(change.state_after()));
    let Some(before) = before.filter(|_| matches!(change.action, Action::Update | Action::Replace))
    else {
        return;
    };
    if after.as_ref() == Some(&before) {
        return;
    }
    let path = "aws.storage_credential_role_arns";
    let policies = || gathered.plan.of("dbxcmk_key_policy");
    let names = |role: &String| policies().any(|policy| policy.latest_all(path).contains(role));
    if !names(&before) || after.as_ref().is_some_and(names) {
        return;
    }
    let new = after.unwrap_or_else(|| "another role".to_owned());
    gathered.say(
        change,
        Said {
            id: Rule::CrossAccountRoleChanged,
            level: Level::Warning,
            summary: "The role of a storage credential changes".to_owned(),
            detail: format!(
                "`{new}` will read and write its tables, and no dbxcmk_key_policy of this plan names it. It names `{before}`."
            ),
            remedy: "Add the new role to `aws.storage_credential_role_arns` of the `dbxcmk_key_policy`, so that jobs can use the key.",
        },
    );
}

/// A Lakebase project, which has the managed services key only if the workspace had it before. Source: Databricks documentation, "Data protection in
/// Lakebase".
fn postgres(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    let attaches = |one: &ResourceChange| {
        let path = "managed_services_key_configuration_id";
        matches!(one.action, Action::Create | Action::Update)
            && one.before(path).is_none()
            && (one.after(path).is_some() || one.is_unknown(path))
    };
    let mut bindings = gathered.plan.of("dbxcmk_workspace_binding");
    if change.action != Action::Create || !bindings.any(attaches) {
        return;
    }
    gathered.say(
        change,
        Said {
            id: Rule::LakebaseBeforeKey,
            level: Level::Warning,
            summary: "A Lakebase project may be created before the workspace has its key".to_owned(),
            detail: "The same plan attaches a managed services key. A Lakebase project has that key only if it is created after the attach, and never \
                     gets it later."
                .to_owned(),
            remedy: "Let it wait for the binding: `depends_on = [dbxcmk_workspace_binding.…]`.",
        },
    );
}

/// A workspace that is created with its storage key.
fn created_with_storage_key(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    let path = "storage_customer_managed_key_id";
    let has_key = change.after(path).is_some() || change.is_unknown(path);
    if change.action != Action::Create || !has_key {
        return;
    }
    let name = change
        .latest("workspace_name")
        .unwrap_or_else(|| change.address.clone());
    gathered.say(
        change,
        Said {
            id: Rule::StorageKeyAttached,
            level: Level::Irreversible,
            summary: format!("{name} is created with its storage key, permanently"),
            detail: "A storage key can be set only once; it cannot be changed or removed. It does not cover tables in other buckets and serverless \
                     compute."
                .to_owned(),
            remedy: "Make sure that the workspace can keep this key as long as it exists, and that Databricks can use it: \
                     `dbxcmk_key_configuration` proves that.",
        },
    );
}

/// A key configuration that goes while a catalog of the plan has it.
fn configuration(gathered: &mut Gathered<'_>, change: &ResourceChange, path: &str) {
    let Some(id) = change.before(path).filter(|_| change.action.destroys()) else {
        return;
    };
    let has_it = |one: &&ResourceChange| {
        let after = match one.action.destroys() || one.action.removes() {
            true => OwnKey::None,
            false => key_after(one),
        };
        after == OwnKey::Named(id.clone())
    };
    let catalogs: Vec<String> = gathered
        .plan
        .of("databricks_catalog")
        .filter(has_it)
        .map(|one| one.address.clone())
        .collect();
    if catalogs.is_empty() {
        return;
    }
    gathered.say(
        change,
        Said {
            id: Rule::KeyConfigurationDeleted,
            level: Level::Error,
            summary: "The key configuration of a catalog is deleted or replaced".to_owned(),
            detail: format!(
                "These catalogs of the plan have it, and their tables cannot be read without it: {}.",
                catalogs.join(", ")
            ),
            remedy: "Give the catalogs another key first (`managed_encryption_settings`), or keep the configuration.",
        },
    );
}
