//! The holders of a key by a `dbxcmk_key_policy`, where that is a list of names: the members of an IAM policy on Google Cloud, the
//! principals of a vault on Azure.

use std::collections::BTreeSet;

use super::gathered::Gathered;
use super::ours::Need;
use super::{ours, texts};
use crate::links::{Fate, Step};
use crate::plan::ResourceChange;
use crate::report::PermissionLine;
use vocabulary::UseCase;

/// Where the names are, and what they get.
pub(super) struct Holders {
    pub(super) path: &'static str,
    pub(super) rights: &'static str,
    pub(super) remedy: &'static str,
}

/// The list of a cloud.
pub(super) const GOOGLE: Holders = Holders {
    path: "gcp.members",
    rights: "encrypt and decrypt",
    remedy: "Keep the use cases, service accounts and project that workspaces need.",
};

/// The list of a cloud.
pub(super) const AZURE: Holders = Holders {
    path: "azure.principals",
    rights: "get, wrapKey and unwrapKey",
    remedy: "Keep the use cases and the workspace that need it.",
};

/// Who gains and loses the use of a key by a change of the resource.
pub(super) fn look(gathered: &mut Gathered<'_>, change: &ResourceChange, holders: &Holders) {
    let Holders {
        path,
        rights,
        remedy,
    } = holders;
    let before = texts(change.state_before(), path);
    let after = texts(change.state_after(), path);
    let words = |all: Vec<&String>| -> Vec<String> {
        all.into_iter()
            .map(|one| format!("{one}: {rights}"))
            .collect()
    };
    let (key, _) = gathered.key_and_users(change);
    let former = gathered.links.former_key_of.get(&change.address).cloned();
    let stays = match former {
        // On the key that it leaves, nothing of it stays.
        Some(_) => BTreeSet::new(),
        None if change.is_unknown(path) => before.clone(),
        None => after.clone(),
    };
    let place = former.as_deref().unwrap_or(&key);
    let (by_others, is_known) = by_others(gathered, change, place, path);
    let gone: BTreeSet<&String> = before
        .difference(&stays)
        .filter(|one| !by_others.contains(*one))
        .collect();
    let need = match former.is_none() && gone.iter().all(|one| is_free(gathered, change, one)) {
        true => Need::NotShown,
        false => Need::Shown,
    };
    let lost = words(gone.into_iter().collect());
    let gained = words(match former {
        Some(_) => after.iter().collect(),
        None => after.difference(&before).collect(),
    });
    let mut push = |key: &str, gained: Vec<String>, lost: Vec<String>| {
        if !gained.is_empty() || !lost.is_empty() {
            gathered.permissions.push(PermissionLine {
                key: key.to_owned(),
                address: change.address.clone(),
                gained,
                lost,
            });
        }
    };
    match &former {
        Some(former) => {
            push(former, Vec::new(), lost.clone());
            push(&key, gained, Vec::new());
        }
        None => push(&key, gained, lost.clone()),
    }
    let lost: Vec<String> = lost.iter().map(|line| format!("  - {line}")).collect();
    let loss = ours::Loss {
        lost: &lost,
        is_known,
        need,
        remedy,
    };
    ours::say_lost(gathered, change, &loss);
}

/// Whether the bindings of the plan show that no workspace needs a principal of Azure for this key. What they do not show may be needed.
fn is_free(gathered: &Gathered<'_>, change: &ResourceChange, principal: &str) -> bool {
    let (key, _) = gathered.key_and_users(change);
    let links = gathered.links;
    let databricks = [
        change.before("azure.databricks_principal_id"),
        change.after("azure.databricks_principal_id"),
    ];
    let known: BTreeSet<&String> = databricks.iter().flatten().collect();
    if known.is_empty() || known.iter().any(|one| one.eq_ignore_ascii_case(principal)) {
        return false;
    }
    let uses = |step: &Step| {
        let own = links.configurations_of(&key);
        own.into_iter().any(|one| step.is(&one.name))
    };
    let workspaces = links
        .workspaces
        .iter()
        .filter(|one| one.fate != Fate::Deleted);
    workspaces.into_iter().all(|workspace| {
        let binding = gathered
            .plan
            .changes
            .iter()
            .find(|one| one.address == workspace.address);
        let needs = workspace.keys.iter().filter(|(_, step)| uses(step));
        needs.into_iter().all(|(case, _)| {
            let path = match case {
                UseCase::Storage => "azure.storage_principal_id",
                UseCase::ManagedDisks => "azure.managed_disks_principal_id",
                // The principal of Databricks itself, which is another one.
                UseCase::ManagedServices => return true,
            };
            let needed = binding.and_then(|one| one.latest(path));
            needed.is_some_and(|needed| !needed.eq_ignore_ascii_case(principal))
        })
    })
}

/// The names that the other key policies of a key keep, and whether the plan shows all of them.
fn by_others(
    gathered: &Gathered<'_>,
    change: &ResourceChange,
    key: &str,
    path: &str,
) -> (BTreeSet<String>, bool) {
    let mut all = BTreeSet::new();
    let mut is_known = true;
    for other in gathered.other_policies(change, key) {
        all.extend(texts(other.state_after(), path));
        is_known &= !other.is_unknown(path);
    }
    (all, is_known)
}
