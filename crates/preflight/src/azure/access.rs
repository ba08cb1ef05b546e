//! Who may use a key, as its vault decides it. Sources: Azure RBAC documentation ("multiple role assignments are additive", deny
//! assignments take precedence, conditions); Key Vault documentation ("access policies are ignored with RBAC").

use std::collections::BTreeSet;

use super::facts::{AccessModel, Assignment, DenyAssignment, Vault, VaultKeyFacts};
use crate::Fact;
use requirements::azure::{
    ENCRYPTION_USER, HSM_ENCRYPTION_USER, Rights, rights_by_policy, role_name,
};
use vocabulary::azure::{PrincipalId, VaultKeyId};

/// The object ID that stands for everybody in deny assignments. Source: Azure RBAC documentation, "All principals".
const EVERYBODY: &str = "00000000-0000-0000-0000-000000000000";

/// Whether a principal may read, wrap and unwrap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// All three.
    Granted,
    /// Only under conditions, which the proof cannot decide.
    Conditional(Vec<String>),
    /// Perhaps, by roles whose permissions are not known.
    UnknownRoles(Vec<String>),
    /// A deny assignment takes it away.
    Denied(String),
    /// A deny assignment names groups, whose members are not read, or has a condition.
    PerhapsDenied(String),
    /// Nothing that was read allows it; what is missing.
    Missing(Vec<&'static str>),
    /// The assignments could not be read: why.
    Unread(String),
}

fn missing(rights: Rights) -> Vec<&'static str> {
    [
        (rights.read, "get"),
        (rights.wrap, "wrapKey"),
        (rights.unwrap, "unwrapKey"),
    ]
    .into_iter()
    .filter(|(has, _)| !has)
    .map(|(_, name)| name)
    .collect()
}

fn by_assignments(assignments: &[Assignment]) -> Access {
    let (mut sure, mut maybe) = (Rights::NONE, Rights::NONE);
    let (mut conditions, mut roles) = (Vec::new(), Vec::new());
    for one in assignments {
        match (one.rights, &one.condition) {
            (Some(rights), None) => sure = sure.and(rights),
            (Some(rights), Some(condition)) if rights != Rights::NONE => {
                maybe = maybe.and(rights);
                conditions.push(condition.clone());
            }
            (Some(_), Some(_)) => {}
            (None, _) => roles.push(format!("{} at {}", one.role, one.scope)),
        }
    }
    if sure.are_enough() {
        Access::Granted
    } else if sure.and(maybe).are_enough() {
        Access::Conditional(conditions)
    } else if !roles.is_empty() {
        Access::UnknownRoles(roles)
    } else {
        Access::Missing(missing(sure))
    }
}

/// What deny assignments leave of an access.
fn after_denies(access: Access, denies: &[DenyAssignment], principal: &PrincipalId) -> Access {
    let id = principal.to_string();
    let names = |all: &[String]| all.iter().any(|one| one.eq_ignore_ascii_case(&id));
    let mut perhaps = None;
    for deny in denies.iter().filter(|deny| deny.denied != Rights::NONE) {
        if names(&deny.except) {
            continue;
        }
        let is_named =
            names(&deny.principals) || deny.principals.iter().any(|one| one == EVERYBODY);
        match (is_named, &deny.condition) {
            (true, None) => return Access::Denied(deny.name.clone()),
            (true, Some(_)) => perhaps = Some(deny.name.clone()),
            (false, _) if deny.has_groups => perhaps = Some(deny.name.clone()),
            (false, _) => {}
        }
    }
    match (perhaps, &access) {
        // What nothing allows is missing, whatever is denied.
        (Some(name), Access::Granted) => Access::PerhapsDenied(name),
        _ => access,
    }
}

/// Whether a principal may use a key.
pub fn access(facts: &VaultKeyFacts, vault: &Vault, principal: &PrincipalId) -> Access {
    let mut planned = facts.planned.iter();
    let is_planned = planned.any(|one| one.principals.contains(principal));
    if is_planned {
        return Access::Granted;
    }
    let by_roles = || match facts.assignments.get(principal) {
        Some(Fact::Known(all)) => by_assignments(all),
        Some(Fact::Unreadable(why)) => Access::Unread(why.reason.clone()),
        None => Access::Unread("nobody asked for its role assignments".to_owned()),
    };
    match &vault.access {
        AccessModel::LocalRoles => by_roles(),
        AccessModel::RoleAssignments(Fact::Known(denies)) => {
            after_denies(by_roles(), denies, principal)
        }
        AccessModel::RoleAssignments(Fact::Unreadable(why)) => match by_roles() {
            Access::Granted => Access::Unread(format!(
                "it has the permissions, but the deny assignments could not be read ({})",
                why.reason
            )),
            other => other,
        },
        AccessModel::AccessPolicies(policies) => {
            let id = principal.to_string();
            let own = policies
                .iter()
                .filter(|policy| policy.principal.eq_ignore_ascii_case(&id));
            let rights = own.fold(Rights::NONE, |rights, policy| {
                rights.and(rights_by_policy(policy.keys.iter().map(String::as_str)))
            });
            match rights.are_enough() {
                true => Access::Granted,
                false => Access::Missing(missing(rights)),
            }
        }
    }
}

/// Who can no longer use the key when this provider takes its access from these principals. A principal that loses nothing, or that has the key
/// from elsewhere, is not in the result; what the provider cannot read counts as taken.
pub fn lost_without(
    facts: &VaultKeyFacts,
    principals: &BTreeSet<PrincipalId>,
) -> BTreeSet<PrincipalId> {
    let Fact::Known(vault) = &facts.vault else {
        return principals.clone();
    };
    let is_lost = |principal: &&PrincipalId| {
        let id = principal.to_string();
        match (&vault.access, facts.assignments.get(*principal)) {
            // The permissions that Databricks needs are taken as a whole.
            (AccessModel::AccessPolicies(policies), _) => policies
                .iter()
                .any(|policy| policy.principal.eq_ignore_ascii_case(&id)),
            (_, Some(Fact::Known(all))) => {
                let others: Vec<Assignment> = all
                    .iter()
                    .filter(|one| !may_be_own(one, &facts.id))
                    .cloned()
                    .collect();
                others.len() != all.len() && by_assignments(&others) != Access::Granted
            }
            _ => true,
        }
    };
    principals.iter().filter(is_lost).cloned().collect()
}

/// Whether an assignment can be the one of this provider: its role, at the key, to the principal itself.
fn may_be_own(one: &Assignment, key: &VaultKeyId) -> bool {
    let is_role = [ENCRYPTION_USER, HSM_ENCRYPTION_USER]
        .iter()
        .any(|id| one.role == **id || role_name(id) == Some(one.role.as_str()));
    let (scope, name) = (
        one.scope.to_ascii_lowercase(),
        key.name().to_ascii_lowercase(),
    );
    is_role
        && scope.ends_with(&format!("keys/{name}"))
        && one.group.is_none()
        && one.condition.is_none()
}

/// What grants a principal the use of a key: roles with their scope, or the access policy of the vault.
pub fn granted_by(facts: &VaultKeyFacts, principal: &PrincipalId) -> Vec<String> {
    if let Fact::Known(vault) = &facts.vault
        && matches!(vault.access, AccessModel::AccessPolicies(_))
    {
        let is_granted = access(facts, vault, principal) == Access::Granted;
        return is_granted
            .then(|| format!("access policy of the vault {}", facts.id.vault()))
            .into_iter()
            .collect();
    }
    let Some(Fact::Known(all)) = facts.assignments.get(principal) else {
        return Vec::new();
    };
    let grants = |one: &&Assignment| one.rights.is_some_and(|rights| rights != Rights::NONE);
    let in_words = |one: &Assignment| {
        let group = one
            .group
            .as_ref()
            .map(|group| format!(", as a member of {group}"))
            .unwrap_or_default();
        format!("{} at {}{group}", one.role, one.scope)
    };
    all.iter().filter(grants).map(in_words).collect()
}
