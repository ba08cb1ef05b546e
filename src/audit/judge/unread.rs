//! What could not be read, in order and each once.

use crate::audit::facts::{Part, Unread};
use crate::preflight::Id;

/// Sorts, and keeps one line for each thing: that with a permission, where several say it.
pub(super) fn normalize(unread: &mut Vec<Unread>) {
    unread.sort_by(|one, other| {
        let place = |one: &Unread| (one.subject.clone(), one.part);
        place(one)
            .cmp(&place(other))
            .then_with(|| other.permission.is_some().cmp(&one.permission.is_some()))
            .then_with(|| one.cmp(other))
    });
    unread.dedup_by(|later, first| later.subject == first.subject && later.part == first.part);
}

/// Which part of a key or a workspace the audit did not read, where a finding of the proof says only that. Such a finding is not a
/// judgment: the audit lists it among what it did not read.
pub(super) fn part(id: Id) -> Option<Part> {
    match id {
        Id::KmsKeyUnreadable | Id::GcpKeyUnreadable | Id::AzureKeyUnreadable | Id::AzureNoToken => {
            Some(Part::State)
        }
        Id::PolicyUnreadable | Id::GcpMemberNotSeen | Id::AzurePrincipalNotSeen => {
            Some(Part::Policy)
        }
        Id::GcpMemberUnknownRole | Id::AzurePrincipalUnknownRole | Id::GcpMembersNotExamined => {
            Some(Part::Policy)
        }
        Id::GcpDenyNotRead => Some(Part::Deny),
        Id::WorkspaceRoleUnreadable => Some(Part::Role),
        Id::AzureVaultUnreadable => Some(Part::Vault),
        _ => None,
    }
}
