//! Who may encrypt and decrypt with a key, as the allow policies from the key upward say. Sources: IAM documentation, "Policy
//! inheritance" (the effective policy is the union), and "IAM roles reference".

use std::collections::BTreeSet;

use super::condition::{Holds, holds};
use super::facts::{Binding, CryptoKeyFacts, IamCondition};
use crate::Fact;
use requirements::gcp::{ENCRYPTER_DECRYPTER, Rights, rights_of};
use vocabulary::gcp::ServiceAccount;

/// Whether a principal may encrypt and decrypt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Both, without a condition that is open.
    Granted,
    /// Only if these conditions hold, which the proof cannot decide.
    Conditional(Vec<String>),
    /// Perhaps, as a member of these groups, whose members are not read.
    Groups(Vec<String>),
    /// Perhaps, by roles whose rights are not known.
    UnknownRoles(Vec<String>),
    /// Only a grant for an account of this name that was deleted.
    Deleted,
    /// Nothing that was read allows it.
    None,
}

/// Whether a role lets encrypt and decrypt; `None` when its permissions are not known.
fn rights_in(facts: &CryptoKeyFacts, role: &str) -> Option<Rights> {
    rights_of(role).or_else(|| facts.roles.get(role).copied())
}

/// The groups and sets of identities that may use a key: a principal may be in one of them.
fn groups(facts: &CryptoKeyFacts) -> Vec<String> {
    let mut all: Vec<String> = bindings(facts)
        .filter(|binding| {
            rights_in(facts, &binding.role).is_none_or(|rights| rights.encrypt || rights.decrypt)
        })
        .flat_map(|binding| binding.members.iter())
        .filter(|member| {
            ["group:", "domain:", "principalSet:"]
                .iter()
                .any(|kind| member.starts_with(kind))
        })
        .cloned()
        .collect();
    all.sort();
    all.dedup();
    all
}

/// Whether a service account may encrypt and decrypt with a key.
pub fn access(facts: &CryptoKeyFacts, account: &ServiceAccount) -> Access {
    let is_planned = facts
        .planned
        .as_ref()
        .is_some_and(|planned| planned.members.contains(account));
    if is_planned {
        return Access::Granted;
    }
    let member = account.member();
    let deleted = format!("deleted:{member}?uid=");
    let mut sure = Rights {
        encrypt: false,
        decrypt: false,
    };
    let mut maybe = sure;
    let (mut conditions, mut roles, mut is_deleted) = (Vec::new(), Vec::new(), false);
    for binding in bindings(facts) {
        is_deleted |= binding.members.iter().any(|one| one.starts_with(&deleted));
        let names =
            |one: &String| *one == member || one == "allUsers" || one == "allAuthenticatedUsers";
        if !binding.members.iter().any(names) {
            continue;
        }
        let held = binding.condition.as_ref().map_or(Holds::Yes, |condition| {
            holds(&condition.expression, &facts.name, facts.at)
        });
        let Some(rights) = rights_in(facts, &binding.role) else {
            if held != Holds::No {
                roles.push(binding.role.clone());
            }
            continue;
        };
        match held {
            Holds::No => {}
            Holds::Yes => {
                sure.encrypt |= rights.encrypt;
                sure.decrypt |= rights.decrypt;
            }
            Holds::Undetermined if rights.encrypt || rights.decrypt => {
                maybe.encrypt |= rights.encrypt;
                maybe.decrypt |= rights.decrypt;
                conditions.extend(
                    binding
                        .condition
                        .iter()
                        .map(|condition| condition.expression.clone()),
                );
            }
            Holds::Undetermined => {}
        }
    }
    if sure.encrypt && sure.decrypt {
        Access::Granted
    } else if (sure.encrypt || maybe.encrypt) && (sure.decrypt || maybe.decrypt) {
        Access::Conditional(conditions)
    } else if !roles.is_empty() {
        Access::UnknownRoles(roles)
    } else if is_deleted {
        Access::Deleted
    } else {
        match groups(facts) {
            groups if groups.is_empty() => Access::None,
            groups => Access::Groups(groups),
        }
    }
}

/// A grant of the use of a key that counts only under a condition.
pub(super) struct ConditionalGrant {
    /// The name of the role: `roles/cloudkms.cryptoKeyEncrypterDecrypter`.
    pub(super) role: String,
    /// At which level, in words.
    pub(super) of: String,
    /// The condition under which the grant counts.
    pub(super) condition: IamCondition,
    /// How it stands.
    pub(super) holds: Holds,
}

/// The grants under conditions that do not hold, or of which that is not known.
pub(super) fn conditional_grants(
    facts: &CryptoKeyFacts,
    account: &ServiceAccount,
) -> Vec<ConditionalGrant> {
    let member = account.member();
    let mut all = Vec::new();
    for level in &facts.policies {
        let Fact::Known(bindings) = &level.bindings else {
            continue;
        };
        for binding in bindings {
            let gives = rights_in(facts, &binding.role)
                .is_none_or(|rights| rights.encrypt || rights.decrypt);
            let Some(condition) = &binding.condition else {
                continue;
            };
            let holds = holds(&condition.expression, &facts.name, facts.at);
            if gives && holds != Holds::Yes && binding.members.contains(&member) {
                all.push(ConditionalGrant {
                    role: binding.role.clone(),
                    of: level.of.clone(),
                    condition: condition.clone(),
                    holds,
                });
            }
        }
    }
    all
}

/// What gives a service account a right, in words: `roles/… on the key`. `encrypt`: which of the two rights.
pub fn granted_by(facts: &CryptoKeyFacts, account: &ServiceAccount, encrypt: bool) -> Vec<String> {
    let member = account.member();
    let mut all = Vec::new();
    for level in &facts.policies {
        let Fact::Known(bindings) = &level.bindings else {
            continue;
        };
        for binding in bindings {
            let has_it = rights_in(facts, &binding.role).is_some_and(|rights| match encrypt {
                true => rights.encrypt,
                false => rights.decrypt,
            });
            let is_held = binding.condition.as_ref().is_none_or(|condition| {
                holds(&condition.expression, &facts.name, facts.at) == Holds::Yes
            });
            if has_it && is_held && binding.members.contains(&member) {
                all.push(format!("{} on {}", binding.role, level.of));
            }
        }
    }
    all
}

/// Who can no longer use the key when this provider takes its role from these members at the key itself. A member that loses nothing, or that
/// has the role from elsewhere, is not in the result; what the provider cannot read there counts as taken.
pub fn lost_without(facts: &CryptoKeyFacts, members: &BTreeSet<String>) -> BTreeSet<String> {
    let Some(Fact::Known(own)) = facts.policies.first().map(|level| &level.bindings) else {
        return members.clone();
    };
    let is_own =
        |binding: &Binding| binding.role == ENCRYPTER_DECRYPTER && binding.condition.is_none();
    let has_it = |member: &&String| {
        let mut own = own.iter().filter(|binding| is_own(binding));
        own.any(|binding| binding.members.contains(*member))
    };
    let mut after = CryptoKeyFacts {
        planned: None,
        ..facts.clone()
    };
    if let Some(Fact::Known(own)) = after.policies.first_mut().map(|level| &mut level.bindings) {
        let taken = own.iter_mut().filter(|binding| is_own(binding));
        taken.for_each(|binding| binding.members.retain(|one| !members.contains(one)));
    }
    let is_lost = |member: &&String| {
        let account = account_of(member);
        account.is_none_or(|account| access(&after, &account) != Access::Granted)
    };
    let taken = members.iter().filter(has_it).filter(is_lost);
    taken.cloned().collect()
}

/// The service account that a member of a policy is.
pub fn account_of(member: &str) -> Option<ServiceAccount> {
    member.strip_prefix("serviceAccount:")?.parse().ok()
}

fn bindings(facts: &CryptoKeyFacts) -> impl Iterator<Item = &Binding> {
    facts
        .policies
        .iter()
        .filter_map(|level| match &level.bindings {
            Fact::Known(bindings) => Some(bindings),
            Fact::Unreadable(_) => None,
        })
        .flatten()
}
