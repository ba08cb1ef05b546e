//! What workspaces need of a key is not taken away.

use std::collections::{BTreeMap, BTreeSet};

use super::key_name;
use crate::clouds::azure::AzureError;
use crate::preflight::Stage;
use crate::preflight::azure::lost_without;
use crate::provider::client::Client;
use crate::provider::diagnose;
use crate::provider::resources::former_key::refuse_to_take_former;
use crate::provider::resources::key_policy::leaving::{self, FORGET};
use crate::provider::resources::key_policy::{DESTROYING, catalogs};
use crate::requirements::azure::roles_of;
use crate::vocabulary::azure::{PrincipalId, VaultKeyId, VaultResourceId};
use tfplugin::context::Context;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};

/// What is taken away.
pub(super) struct Removal<'a> {
    /// The principals that lose access.
    pub(super) lost: &'a BTreeSet<PrincipalId>,
    /// Where the key is.
    pub(super) vault: &'a VaultResourceId,
    /// What takes it, as `This change`.
    pub(super) what: &'a str,
    pub(super) stage: Stage,
    /// Whether the vault decides by access policies, which count for all of its keys.
    pub(super) is_whole_vault: bool,
    /// Whether the user has agreed (`force_destroy`): then the provider warns, and does not refuse.
    pub(super) is_agreed: bool,
    /// Whether the apply leaves what others need: then the provider warns, and does not refuse.
    pub(super) is_left: bool,
}

/// The workspaces that use a key.
#[derive(Debug, Default)]
pub(super) struct Users {
    /// Those that do, one line each.
    pub(super) named: Vec<String>,
    /// What may be one and cannot be read, one line each.
    pub(super) unreadable: Vec<String>,
    /// The role of each principal, in words.
    pub(super) roles: BTreeMap<PrincipalId, &'static str>,
}

impl Users {
    /// Both lists, each with its own words. `need`: what the workspaces in the first list do, as `need`.
    pub(super) fn in_words(&self, need: &str) -> String {
        let lists = [
            (format!("These workspaces {need} it:"), &self.named),
            (
                "The provider could not read these; they may use it:".to_owned(),
                &self.unreadable,
            ),
        ];
        let lists = lists.iter().filter(|(_, lines)| !lines.is_empty());
        let lists: Vec<String> = lists
            .map(|(words, lines)| format!("{words}\n{}", lines.join("\n")))
            .collect();
        lists.join("\n\n")
    }
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
    // A principal that loses nothing, or that has the key from elsewhere as well, does not count.
    let principals: Vec<PrincipalId> = removal.lost.iter().cloned().collect();
    let keys = cx.client().keys().azure();
    let named = Some(removal.vault);
    let facts = keys.facts(key, named, None, &principals, removal.stage);
    let lost = lost_without(&facts.await, removal.lost);
    if lost.is_empty() {
        return Ok(());
    }
    let removal = &Removal {
        lost: &lost,
        ..*removal
    };
    catalogs::warn_on_azure(
        cx,
        &key_name(key),
        removal.what,
        removal.lost,
        removal.stage,
    )
    .await;
    match refusal(cx, key, removal).await {
        Err(refused) if removal.is_agreed => {
            leaving::agreed(cx, &key_name(key), refused);
            Ok(())
        }
        outcome => outcome,
    }
}

/// The workspaces that use a key, or any key of its vault, and need one of the principals. `lost`: the principals; `None` for every workspace.
pub(super) async fn users(
    cx: &Context<Client>,
    key: &VaultKeyId,
    is_whole_vault: bool,
    lost: Option<&BTreeSet<PrincipalId>>,
) -> Result<Users, AzureError> {
    let keys = cx.client().keys().azure();
    let users = keys
        .users_of_keys(|own| {
            own.is_same_key(key) || (is_whole_vault && own.vault_uri() == key.vault_uri())
        })
        .await?;
    let (mut named, mut roles) = (Vec::new(), BTreeMap::new());
    for user in &users.workspaces {
        let (grantees, _) = keys
            .grantees(&user.cases, Some(&user.workspace), None, roles_of)
            .await;
        // Where Graph is closed, the provider does not know every identity, and the missing one may be among `lost`.
        let is_certain = user.cases.iter().all(|case| {
            grantees
                .iter()
                .any(|grantee| grantee.case == (*case).into())
        });
        let needs = lost.is_none_or(|lost| {
            let mut all = grantees.iter();
            all.any(|grantee| lost.contains(&grantee.principal))
        });
        roles.extend(
            grantees
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
    let unreadable = users.unreadable.iter().map(|line| format!("  - {line}"));
    Ok(Users {
        named,
        unreadable: unreadable.collect(),
        roles,
    })
}

async fn refusal(
    cx: &Context<Client>,
    key: &VaultKeyId,
    removal: &Removal<'_>,
) -> Result<(), Diagnostics> {
    let what = removal.what;
    let is_said = removal.is_agreed || removal.is_left;
    let users = users(cx, key, removal.is_whole_vault, Some(removal.lost))
        .await
        .map_err(|error| unknown_users(key, what, is_said, &error))?;
    if users.named.is_empty() && users.unreadable.is_empty() {
        let name = key.versionless().to_string();
        return refuse_to_take_former(cx, &name, removal.stage, is_said);
    }
    let lost: Vec<String> = removal
        .lost
        .iter()
        .map(|one| in_words(one, &users.roles))
        .collect();
    let whole = match removal.is_whole_vault {
        true => " The vault decides by access policies, which count for all of its keys.",
        false => "",
    };
    let summary = match users.named.is_empty() {
        true => "Workspaces may need this access to the key",
        false => "Workspaces need this access to the key",
    };
    Err(Diagnostic::error(
        summary,
        format!(
            "{what} takes the use of {key} from these principals:\n{}\n\n{}\n\nWithout it, workspaces that use the key lose access to their \
             data, or their clusters do not start.{whole}{}",
            lost.join("\n"),
            users.in_words("need"),
            if is_said { String::new() } else { remedy(what, users.named.is_empty()) }
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

/// The advice. `is_unread`: whether the provider saw no workspace that uses the key, and could not read some.
fn remedy(what: &str, is_unread: bool) -> String {
    let read = match is_unread {
        true => {
            "Allow the identity that runs Terraform to read the workspaces (role Reader), and plan again. "
        }
        false => "",
    };
    let first = match what {
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
    };
    let first = if is_unread { String::new() } else { first };
    format!(
        "\n\n{read}{first}To remove the access although workspaces may need it, set `force_destroy = true` and apply that before."
    )
}

fn unknown_users(key: &VaultKeyId, what: &str, is_said: bool, error: &AzureError) -> Diagnostic {
    let said = diagnose::azure_workspaces(
        "The provider could not find out which workspaces use the key",
        error,
    );
    let advice = match is_said {
        true => "",
        false => {
            " To do that without knowing who needs it, set `force_destroy = true` and apply that before."
        }
    };
    let detail = format!(
        "{}\n\n{what} takes access to {key} away.{advice}",
        said.detail
    );
    said.with_detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: who uses the key, what the provider cannot read, and what it says of either.
    #[test]
    fn what_cannot_be_read_is_not_said_to_use_the_key() {
        let one = |line: &str| vec![line.to_owned()];
        let (need, unread) = (
            "These workspaces need it:",
            "could not read these; they may",
        );
        let rows = [
            (one("  - a"), Vec::new(), [true, false]),
            (Vec::new(), one("  - b"), [false, true]),
            (one("  - a"), one("  - b"), [true, true]),
            (Vec::new(), Vec::new(), [false, false]),
        ];
        for (named, unreadable, expected) in rows {
            let users = Users {
                named,
                unreadable,
                ..Users::default()
            };
            let said = users.in_words("need");
            assert_eq!(
                [said.contains(need), said.contains(unread)],
                expected,
                "{said}"
            );
        }
    }
}
