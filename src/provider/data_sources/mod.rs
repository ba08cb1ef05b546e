//! The data sources, one file each, and the few things that several of them need.

pub mod key_configurations;
pub mod key_policy_document;
pub mod key_readiness;
pub mod revocation_impact;
pub mod storage_encryption;
pub mod workspace_encryption;

use serde::{Deserialize, Serialize};

use super::client::Client;
use super::resources::all_known;
use crate::databricks::Account;
use crate::databricks::unity::Gap;
use crate::vocabulary::{AccountId, KeyUse};
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::deferral::Unfinished;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::schema::{Attribute, Nesting};

/// A list of known elements.
fn list<T>(elements: impl IntoIterator<Item = T>) -> Attr<Vec<Attr<T>>> {
    Attr::Known(elements.into_iter().map(Attr::Known).collect())
}

fn text(value: &str) -> Attr<String> {
    if value.is_empty() {
        Attr::Null
    } else {
        Attr::Known(value.to_owned())
    }
}

/// What was not seen.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct NotRead {
    pub what: Attr<String>,
    pub why: Attr<String>,
    pub permission: Attr<String>,
}

impl NotRead {
    fn of(gap: &Gap) -> Self {
        Self {
            what: text(&gap.what),
            why: text(&gap.why),
            permission: gap.permission.clone().into(),
        }
    }
}

/// The attribute `not_read`.
fn not_read(about: &str) -> Attribute {
    let each = vec![
        Attribute::string("what")
            .computed()
            .describe("What the provider did not see."),
        Attribute::string("why").computed().describe("Reason."),
        Attribute::string("permission")
            .computed()
            .describe("What the caller would need to see it, if that is known."),
    ];
    Attribute::nested("not_read", Nesting::List, each)
        .computed()
        .describe(about.to_owned())
}

/// Terraform reads a data source only when its configuration is known.
fn incomplete() -> Diagnostics {
    Diagnostic::bug("A data source was read before its configuration was known.").into()
}

/// The Databricks accounts that are named, or that of the provider.
fn accounts(
    client: &Client,
    named: &Attr<Vec<Attr<AccountId>>>,
) -> Result<Vec<AccountId>, Diagnostics> {
    match all_known(named) {
        Some(named) => Ok(named),
        None => Ok(vec![client.account_id()?]),
    }
}

/// The account. While the provider's own configuration is not known, it defers the data source where Terraform allows it.
async fn account(cx: &Context<Client>) -> Result<&Account, Unfinished> {
    Ok(cx.client().account().await?)
}

/// The attributes that several data sources have: use cases, and accounts.
fn use_cases() -> Attribute {
    Attribute::string_set("use_cases")
        .no_null_elements()
        .required()
        .format::<KeyUse>("Invalid use case")
        .not_empty(
            "No use case",
            "Name at least one of `MANAGED_SERVICES` and `STORAGE`.",
        )
        .describe("What the key is used for: `MANAGED_SERVICES`, `STORAGE`, or both; on Azure also `MANAGED_DISKS`. `UNITY_CATALOG` is for tables in buckets \
             or storage accounts under the key, with `aws.storage_credential_role_arns`, `gcp.bucket_project_numbers` or \
             `azure.storage_account_principal_ids`.")
}

fn account_ids() -> Attribute {
    Attribute::string_set("databricks_account_ids")
        .no_null_elements()
        .optional_computed()
        .format::<AccountId>("Invalid Databricks account ID")
        .not_empty("No Databricks account", "Name at least one account, or leave the attribute out.")
        .describe(
            "Databricks accounts that use the key. Default: the account of the provider, which needs no credential for this.",
        )
}
