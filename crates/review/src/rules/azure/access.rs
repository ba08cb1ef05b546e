//! Access to the keys of a vault: role assignments, access policies, and the principals of a `dbxcmk_key_policy`.

use std::collections::BTreeSet;

use crate::catalog::Rule;
use crate::plan::{Action, ResourceChange};
use crate::report::Level;
use crate::rules::gathered::{Gathered, Said, in_words};
use crate::rules::texts;
use requirements::azure::{PERMISSIONS, rights_by_policy};

/// The roles that let use keys, by their names. Source: Azure built-in roles, "Security".
const ROLES: [&str; 4] = [
    "Key Vault Crypto Service Encryption User",
    "Key Vault Crypto User",
    "Key Vault Crypto Officer",
    "Key Vault Administrator",
];

/// The principals that a `dbxcmk_key_policy` of the plan keeps, with the keys.
fn ours(gathered: &Gathered<'_>) -> Vec<(String, BTreeSet<String>)> {
    gathered
        .plan
        .of("dbxcmk_key_policy")
        .filter_map(|one| {
            let key = gathered.links.key_of.get(&one.address)?.clone();
            let mut all = texts(one.state_before(), "azure.principals");
            all.extend(texts(one.state_after(), "azure.principals"));
            Some((key, all))
        })
        .collect()
}

/// Access that a resource of others takes away: what a principal loses that needs a key.
pub(super) fn look(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    let is_policy = change.kind == "azurerm_key_vault_access_policy";
    let principal = match is_policy {
        true => change.before("object_id"),
        false => change.before("principal_id"),
    };
    let Some(principal) = principal else { return };
    let lost: Vec<&str> = if is_policy {
        let before = texts(change.state_before(), "key_permissions");
        // Another vault: in the one that it leaves, nothing of it stays.
        let leaves = change.action == Action::Replace
            && (change.changes("key_vault_id") || change.changes("object_id"));
        let after = match change.action.removes() || leaves {
            true => BTreeSet::new(),
            false => texts(change.state_after(), "key_permissions"),
        };
        let has = |all: &BTreeSet<String>, one: &str| {
            let rights = rights_by_policy(all.iter().map(String::as_str));
            match one {
                "get" => rights.read,
                "wrapKey" => rights.wrap,
                _ => rights.unwrap,
            }
        };
        PERMISSIONS
            .into_iter()
            .filter(|one| has(&before, one) && !has(&after, one))
            .collect()
    } else {
        let role = change.before("role_definition_name");
        let gives = role.is_none_or(|role| ROLES.contains(&role.as_str()));
        match change.action.destroys() && gives {
            true => PERMISSIONS.to_vec(),
            false => Vec::new(),
        }
    };
    if lost.is_empty() {
        return;
    }
    let place = change
        .before("scope")
        .or_else(|| change.before("key_vault_id"));
    let place = place.unwrap_or_default().to_ascii_lowercase();
    let mut users = BTreeSet::new();
    let mut keys = Vec::new();
    for (key, principals) in ours(gathered) {
        let is_needed = principals
            .iter()
            .any(|one| one.eq_ignore_ascii_case(&principal));
        let vault = gathered.links.vault_of(gathered.plan, &key);
        let counts = vault.is_none_or(|vault| {
            let vault = vault.to_ascii_lowercase();
            vault.starts_with(&place) || place.starts_with(&vault)
        });
        if is_needed && counts {
            users.extend(gathered.links.users_of(&key));
            keys.push(key);
        }
    }
    if keys.is_empty() {
        return;
    }
    gathered.say(
        change,
        Said {
            id: Rule::PermissionsLost,
            level: if users.is_empty() { Level::Warning } else { Level::Error },
            summary: "Permissions on a key are taken away".to_owned(),
            detail: format!(
                "{} is used by {}. The principal {principal} loses {} by this resource. Whether it has them by another one, the plan does not show.",
                keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", "),
                in_words(&users),
                lost.join(", ")
            ),
            remedy: "Let `dbxcmk_key_policy` give the access: it does not touch what others give.",
        },
    );
}
