//! What could not be read, in order and each once.

use crate::facts::{Part, Unread};
use preflight::Id;

/// Names the right that Azure says is missing, where a reader did not.
pub(super) fn name_rights(unread: &mut [Unread]) {
    for one in unread {
        one.permission = one.permission.take().or_else(|| missing_right(&one.why));
    }
}

/// The right that Azure says is missing, by the texts of Resource Manager and of vaults with role assignments or access policies. Sources: public issues
/// of terraform-provider-azurerm and azure-cli.
fn missing_right(why: &str) -> Option<String> {
    let quoted = |before: &str| {
        let (_, rest) = why.split_once(before)?;
        let (right, _) = rest.split_once('\'')?;
        (!right.is_empty()).then(|| right.to_owned())
    };
    let of_policy = || {
        let (_, rest) = why.split_once("does not have ")?;
        let (right, _) = rest.split_once(" permission")?;
        let right = right.strip_prefix("keys ")?;
        (!right.is_empty() && !right.contains(' ')).then(|| format!("{right} on keys"))
    };
    let of_graph = || {
        let is_of_graph = why.contains("Microsoft Graph");
        is_of_graph.then(|| "Application.Read.All in Microsoft Graph".to_owned())
    };
    quoted("perform action '")
        .or_else(|| quoted("Action: '"))
        .or_else(of_policy)
        .or_else(of_graph)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: what Azure says, and the right that is missing.
    #[test]
    fn azure_names_the_right_that_is_missing() {
        for (why, right) in [
            (
                "The client 'c' with object id 'o' does not have authorization to perform action 'Microsoft.KeyVault/vaults/read' over scope 's'",
                Some("Microsoft.KeyVault/vaults/read"),
            ),
            (
                "Caller is not authorized to perform action on resource. Action: 'Microsoft.KeyVault/vaults/keys/read' Resource: 'r'",
                Some("Microsoft.KeyVault/vaults/keys/read"),
            ),
            (
                "The user, group or application 'appid=a' does not have keys get permission on key vault 'v;location=l'",
                Some("get on keys"),
            ),
            (
                "The object ID is not known: Microsoft Graph does not show it: Insufficient privileges",
                Some("Application.Read.All in Microsoft Graph"),
            ),
            ("The server does not have a good day", None),
            ("perform action '", None),
        ] {
            assert_eq!(missing_right(why).as_deref(), right, "{why}");
        }
    }
}
