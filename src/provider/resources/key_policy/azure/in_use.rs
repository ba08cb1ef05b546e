//! What workspaces need of a key is not taken away.

use std::collections::BTreeSet;

use crate::clouds::azure::AzureError;
use crate::preflight::Stage;
use crate::provider::client::Client;
use crate::provider::diagnose;
use crate::provider::resources::rotation::refuse_to_take_former;
use crate::requirements::azure::roles_of;
use crate::vocabulary::azure::{PrincipalId, VaultKeyId};
use tfplugin::context::Context;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};

/// Refuses to take from a workspace what it needs. `what`: what takes it, as `This change`.
///
/// # Errors
/// When that is so, or the workspaces cannot be read.
pub(super) async fn refuse_removal(
    cx: &Context<Client>,
    key: &VaultKeyId,
    lost: &BTreeSet<PrincipalId>,
    what: &str,
    stage: Stage,
) -> Result<(), Diagnostics> {
    if lost.is_empty() {
        return Ok(());
    }
    let keys = cx.client().keys().azure();
    let users = keys
        .users(key)
        .await
        .map_err(|error| unknown_users(key, what, &error))?;
    let mut named = Vec::new();
    for user in &users.workspaces {
        let (needers, _) = keys
            .needers(&user.cases, Some(&user.workspace), None, roles_of)
            .await;
        // Whoever is not known by now, because Graph is closed, may be among them.
        let is_certain = user
            .cases
            .iter()
            .all(|case| needers.iter().any(|needer| needer.case == *case));
        let needs = needers
            .iter()
            .any(|needer| lost.contains(&needer.principal));
        if needs || !is_certain {
            let cases: Vec<&str> = user.cases.iter().map(|case| case.in_words()).collect();
            named.push(format!(
                "  - {} ({})",
                user.workspace.id(),
                cases.join(", ")
            ));
        }
    }
    if named.is_empty() {
        return refuse_to_take_former(cx, &key.versionless().to_string(), stage);
    }
    let lost: Vec<String> = lost.iter().map(|one| format!("  - {one}")).collect();
    Err(Diagnostic::error(
        "Workspaces need this access to the key",
        format!(
            "{what} would take the use of {key} from these principals:\n{}\n\nThese workspaces need it:\n{}\n\nWithout it, they lose access to their \
             data, or their clusters do not start.\n\nPut back what the configuration no longer names, give the workspaces another key first, or \
             delete them. To remove the access although the workspaces need it, set `force_destroy = true` and apply that before.",
            lost.join("\n"),
            named.join("\n")
        ),
    )
    .into())
}

fn unknown_users(key: &VaultKeyId, what: &str, error: &AzureError) -> Diagnostic {
    let said = diagnose::azure(
        "The provider could not find out which workspaces use the key",
        key,
        error,
    );
    let detail = format!(
        "{}\n\n{what} would take access to {key} away. To do that without knowing who needs it, set `force_destroy = true` and apply that before.",
        said.detail
    );
    said.with_detail(detail)
}
