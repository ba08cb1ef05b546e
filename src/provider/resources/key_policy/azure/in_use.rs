//! What workspaces need of a key is not taken away.

use std::collections::{BTreeMap, BTreeSet};

use super::key_name;
use crate::clouds::azure::AzureError;
use crate::preflight::Stage;
use crate::provider::client::Client;
use crate::provider::diagnose;
use crate::provider::resources::key_policy::DESTROYING;
use crate::provider::resources::key_policy::leaving::{self, FORGET};
use crate::provider::resources::rotation::refuse_to_take_former;
use crate::requirements::azure::roles_of;
use crate::vocabulary::azure::{PrincipalId, VaultKeyId};
use tfplugin::context::Context;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};

/// What is taken away.
pub(super) struct Removal<'a> {
    /// From whom.
    pub(super) lost: &'a BTreeSet<PrincipalId>,
    /// What takes it, as `This change`.
    pub(super) what: &'a str,
    pub(super) stage: Stage,
    /// Whether the vault decides by access policies, which count for all of its keys.
    pub(super) is_whole_vault: bool,
    /// Whether somebody has agreed to it (`force_destroy`), so that it is said and not refused.
    pub(super) is_agreed: bool,
}

/// Refuses to take from a workspace what it needs.
///
/// # Errors
/// When that is so, or the workspaces cannot be read.
pub(super) async fn refuse_removal(
    cx: &Context<Client>,
    key: &VaultKeyId,
    removal: &Removal<'_>,
) -> Result<(), Diagnostics> {
    if removal.lost.is_empty() {
        return Ok(());
    }
    match refusal(cx, key, removal).await {
        Err(refused) if removal.is_agreed => {
            leaving::agreed(cx, &key_name(key), refused);
            Ok(())
        }
        outcome => outcome,
    }
}

/// The workspaces that use a key, or any key of its vault; one line each, with those that need one of the principals, and who each principal
/// is. `lost`: the principals; `None` for every workspace.
pub(super) async fn users(
    cx: &Context<Client>,
    key: &VaultKeyId,
    is_whole_vault: bool,
    lost: Option<&BTreeSet<PrincipalId>>,
) -> Result<(Vec<String>, BTreeMap<PrincipalId, &'static str>), AzureError> {
    let keys = cx.client().keys().azure();
    let users = keys
        .users_of_keys(|own| {
            own.is_same_key(key) || (is_whole_vault && own.vault_uri() == key.vault_uri())
        })
        .await?;
    let (mut named, mut roles) = (Vec::new(), BTreeMap::new());
    for user in &users.workspaces {
        let (needers, _) = keys
            .needers(&user.cases, Some(&user.workspace), None, roles_of)
            .await;
        // Whoever is not known by now, because Graph is closed, may be among them.
        let is_certain = user
            .cases
            .iter()
            .all(|case| needers.iter().any(|needer| needer.case == *case));
        let needs = lost.is_none_or(|lost| {
            let mut all = needers.iter();
            all.any(|needer| lost.contains(&needer.principal))
        });
        roles.extend(
            needers
                .iter()
                .map(|one| (one.principal.clone(), one.role.in_words())),
        );
        if needs || !is_certain {
            let cases: Vec<&str> = user.cases.iter().map(|case| case.in_words()).collect();
            named.push(format!(
                "  - {} ({})",
                user.workspace.id(),
                cases.join(", ")
            ));
        }
    }
    // Not read is not the same as not there.
    named.extend(users.unreadable.iter().map(|line| format!("  - {line}")));
    Ok((named, roles))
}

async fn refusal(
    cx: &Context<Client>,
    key: &VaultKeyId,
    removal: &Removal<'_>,
) -> Result<(), Diagnostics> {
    let what = removal.what;
    let (named, roles) = users(cx, key, removal.is_whole_vault, Some(removal.lost))
        .await
        .map_err(|error| unknown_users(key, what, &error))?;
    if named.is_empty() {
        return refuse_to_take_former(cx, &key.versionless().to_string(), removal.stage);
    }
    let lost: Vec<String> = removal
        .lost
        .iter()
        .map(|one| in_words(one, &roles))
        .collect();
    let whole = match removal.is_whole_vault {
        true => " The vault decides by access policies, which count for all of its keys.",
        false => "",
    };
    Err(Diagnostic::error(
        "Workspaces need this access to the key",
        format!(
            "{what} takes the use of {key} from these principals:\n{}\n\nThese workspaces need it:\n{}\n\nWithout it, they lose access to their \
             data, or their clusters do not start.{whole}\n\n{}To remove the access although the workspaces need it, set `force_destroy = true` and \
             apply that before.",
            lost.join("\n"),
            named.join("\n"),
            remedy(what)
        ),
    )
    .into())
}

/// A principal as a line of a list.
pub(super) fn in_words(
    principal: &PrincipalId,
    roles: &BTreeMap<PrincipalId, &'static str>,
) -> String {
    match roles.get(principal) {
        Some(role) => format!("  - {role} ({principal})"),
        None => format!("  - {principal}"),
    }
}

fn remedy(what: &str) -> String {
    match what {
        "This change" => {
            "Put back what the configuration no longer names, give the workspaces another key first, or delete them. ".to_owned()
        }
        DESTROYING => format!(
            "Give the workspaces another key first, or delete them, then destroy this resource. To leave the access and let Terraform forget \
             it:{FORGET}\n\n"
        ),
        _ => format!(
            "Give the workspaces the other key first: keep this key policy, and add a second `dbxcmk_key_policy` for the other key. To leave the \
             access to the former key, let Terraform forget this resource, and add the other key under another name:{FORGET}\n\n"
        ),
    }
}

fn unknown_users(key: &VaultKeyId, what: &str, error: &AzureError) -> Diagnostic {
    let said = diagnose::azure(
        "The provider could not find out which workspaces use the key",
        key,
        error,
    );
    let detail = format!(
        "{}\n\n{what} takes access to {key} away. To do that without knowing who needs it, set `force_destroy = true` and apply that before.",
        said.detail
    );
    said.with_detail(detail)
}
