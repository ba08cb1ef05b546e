//! Never taking from a catalog of Unity Catalog what its key needs.

use std::collections::BTreeSet;

use crate::preflight::Stage;
use crate::provider::catalog_users::{warn_of_gaps, with_key};
use crate::provider::catalogs::KeyedCatalog;
use crate::provider::client::Client;
use crate::vocabulary::Key;
use tfplugin::context::Context;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};

/// The catalogs that have a key, one line each. A warning lists the catalogs that the provider did not see. `what`: what takes access
/// away, as `This change`.
pub(super) async fn lines_of(
    cx: &Context<Client>,
    key: &Key,
    what: &str,
    stage: Stage,
) -> Vec<String> {
    let all = with_key(cx.client(), key, stage).await;
    warn_of_gaps(cx, &format!("{what} takes access to {key} away"), &all.gaps);
    let lines = all.keyed().iter().map(KeyedCatalog::in_words);
    lines.map(|line| format!("  - {line}")).collect()
}

/// The catalogs as a paragraph that follows the workspaces; nothing where there are none.
pub(super) fn also(catalogs: &[String]) -> String {
    match catalogs {
        [] => String::new(),
        lines => format!(
            "\n\nThese catalogs of Unity Catalog have it as their key:\n{}",
            lines.join("\n")
        ),
    }
}

/// Refuses to take access to a key away from the catalogs that have it. `lost`: what is lost, one line each.
///
/// # Errors
/// When there are any.
pub(super) fn refuse(
    key: &Key,
    what: &str,
    lost: &[String],
    catalogs: &[String],
    is_said: bool,
) -> Result<(), Diagnostics> {
    if catalogs.is_empty() {
        return Ok(());
    }
    let advice = match is_said {
        true => "",
        false => {
            "\n\nGive the catalogs another key first (`managed_encryption_settings`), or delete them. To take the access away although they need \
             it, set `force_destroy = true` and apply that before."
        }
    };
    Err(Diagnostic::error(
        "Catalogs need this access to the key",
        format!(
            "{what} takes access to {key} away:\n{}{}\n\nWithout it, their tables cannot be read.{advice}",
            lost.join("\n"),
            also(catalogs)
        ),
    )
    .into())
}

/// Warns on Azure about the catalogs that have a key while principals lose its use. A catalog reaches its key as an identity of its own settings,
/// which lists of catalogs do not show by its object ID: the provider does not know whether it is one of these principals.
pub(super) async fn warn_on_azure(
    cx: &Context<Client>,
    key: &Key,
    what: &str,
    lost: &BTreeSet<impl std::fmt::Display>,
    stage: Stage,
) {
    // Most who have keys on Azure configure no Databricks account, and then nothing is read.
    if cx.client().databricks().id().is_err() {
        return;
    }
    let catalogs = lines_of(cx, key, what, stage).await;
    if catalogs.is_empty()
        || !cx
            .client()
            .run()
            .is_first_report(format!("catalogs of {key}"))
    {
        return;
    }
    let lost: Vec<String> = lost.iter().map(|one| format!("  - {one}")).collect();
    cx.warn(Diagnostic::warning(
        format!("Catalogs have the key {}", key.short()),
        format!(
            "{what} takes access to {key} away from:\n{}{}\n\nCheck that none of them reaches its key as one of these principals: the identity is \
             in `azure_encryption_settings` of the catalog. Its tables cannot be read without the key.",
            lost.join("\n"),
            also(&catalogs)
        ),
    ));
}
