//! What a plan of a key policy promises. Terraform plans twice, at plan and again within the apply, and the second plan must know what the
//! first one knew. So the plan promises access to the principals that the last refresh has noted, which both plans see, and never to those of
//! a live read, which may fail or show others the second time.

use std::collections::{BTreeMap, BTreeSet};

use super::{KeyPolicyAzure, KeyPolicyModel};
use crate::provider::client::Client;
use crate::provider::resources::{known_set, remembered, workspace_cases};
use crate::requirements::azure::{Grantee, Role, roles_of};
use crate::vocabulary::UseCase;
use crate::vocabulary::azure::{PrincipalId, VaultKeyId};
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::path::Path;
use tfplugin::resource::{Change, Plan};

/// Private data: who had which role at the last refresh.
const SEEN: &str = "seen";

/// The object ID of each principal, by the name of its role; null for one that the workspace did not have, so that an apply makes it.
type Seen = BTreeMap<String, Option<String>>;

fn name(role: Role) -> &'static str {
    match role {
        Role::AzureDatabricks => "databricks",
        Role::StorageAccount => "storage",
        Role::DiskEncryptionSet => "disks",
        Role::TableStorage => "tables",
    }
}

fn seen(cx: &Context<Client>, key: &VaultKeyId) -> Seen {
    let follows = "It names who needs the key. The provider reads it again at the next refresh.";
    remembered(cx, SEEN, key, follows).unwrap_or_default()
}

/// The principal of AzureDatabricks, as the last refresh noted it.
pub(super) fn databricks(cx: &Context<Client>, key: &VaultKeyId) -> Option<PrincipalId> {
    let noted = seen(cx, key);
    let id = noted.get(name(Role::AzureDatabricks))?.as_deref()?;
    id.parse().ok()
}

/// Effect: notes the principals that need the key, and which of them the workspace does not have (`not_made`). One that the provider cannot read
/// now keeps the place that the last note gave it.
pub(super) fn note(
    cx: &Context<Client>,
    key: &VaultKeyId,
    grantees: &[Grantee],
    not_made: &[Role],
) {
    let mut all = seen(cx, key);
    for role in not_made {
        match role {
            // The binding makes it, and gives it access.
            Role::DiskEncryptionSet => drop(all.remove(name(*role))),
            _ => drop(all.insert(name(*role).to_owned(), None)),
        }
    }
    // The configuration itself names the storage accounts with tables.
    let noted = grantees.iter().filter(|one| one.role != Role::TableStorage);
    for one in noted {
        all.insert(name(one.role).to_owned(), Some(one.principal.to_string()));
    }
    cx.set_private(SEEN, &all);
}

/// Who needs access for some use cases, as the note has it.
#[derive(Debug, PartialEq, Eq)]
enum Noted {
    /// These principals.
    All(BTreeSet<PrincipalId>),
    /// One of them does not exist anymore, or not yet: the apply makes it.
    ToBeMade,
    /// The note lacks one.
    Lacking,
}

fn noted(seen: &Seen, cases: &[UseCase], databricks: Option<&PrincipalId>) -> Noted {
    let mut all = BTreeSet::new();
    for role in cases.iter().flat_map(|case| roles_of(*case)) {
        if let (Role::AzureDatabricks, Some(own)) = (role, databricks) {
            all.insert(own.clone());
            continue;
        }
        match (seen.get(name(*role)), role) {
            (Some(None), _) => return Noted::ToBeMade,
            (Some(Some(text)), _) => match text.parse() {
                Ok(principal) => drop(all.insert(principal)),
                Err(_) => return Noted::Lacking,
            },
            // It exists only after the binding, which gives it access.
            (None, Role::DiskEncryptionSet) => {}
            (None, _) => return Noted::Lacking,
        }
    }
    Noted::All(all)
}

/// The principals to promise.
fn principals(
    seen: &Seen,
    cases: Option<&[UseCase]>,
    prior: &KeyPolicyAzure,
    planned: &KeyPolicyAzure,
    differs: bool,
) -> Attr<Vec<Attr<PrincipalId>>> {
    let is_same_place = prior.workspace_resource_id == planned.workspace_resource_id
        && !planned.databricks_principal_id.is_unknown();
    let noted = cases
        .filter(|_| is_same_place)
        .map_or(Noted::Lacking, |cases| {
            noted(seen, cases, planned.databricks_principal_id.known())
        });
    match (noted, planned.of_tables()) {
        (Noted::All(mut all), Some(tables)) => {
            all.extend(tables.into_iter().map(|one| one.principal));
            known_set(all)
        }
        (Noted::ToBeMade, _) => Attr::Unknown,
        _ if differs => Attr::Unknown,
        _ => prior.principals.clone(),
    }
}

/// Effect: the plan promises only what the plan within the apply will know as well.
pub(super) fn keep(
    cx: &Context<Client>,
    change: &Change<KeyPolicyModel>,
    plan: &mut Plan<KeyPolicyModel>,
) {
    let cases = workspace_cases(&plan.model.use_cases);
    let Attr::Known(azure) = &mut plan.model.azure else {
        return;
    };
    let key = azure.key_vault_key_id.clone();
    plan.model.id = key.as_ref().map(|key| key.versionless().to_string());
    let prior = change.prior.as_ref().and_then(|prior| prior.azure.known());
    let Some(prior) = prior else {
        azure.principals = Attr::Unknown;
        azure.access_model = Attr::Unknown;
        return;
    };
    let Attr::Known(before) = &prior.key_vault_key_id else {
        return;
    };
    // Access counts for all versions of a key: another version is the same key.
    if key.known().is_none_or(|key| !key.is_same_key(before)) {
        plan.replace.push(Path::of("azure.key_vault_key_id"));
    }
    // An attribute that only tells the provider how to work must not hide a change by others: a principal that came, or lost its
    // access.
    let differs = change.differs && !change.quiet;
    let seen = seen(cx, before);
    azure.principals = principals(&seen, cases.as_deref(), prior, azure, differs);
    let is_same = azure.principals == prior.principals && !differs;
    azure.access_model = match is_same {
        true => prior.access_model.clone(),
        false => Attr::Unknown,
    };
}

/// Refuses to give access to others than the plan has promised.
///
/// # Errors
/// When the plan names a principal that no longer needs the key.
pub(super) fn refuse_others(
    planned: &KeyPolicyAzure,
    wanted: &BTreeSet<PrincipalId>,
) -> Result<(), Diagnostics> {
    let promised = planned.principals();
    let gone: Vec<String> = promised
        .difference(wanted)
        .map(|one| format!("  - {one}"))
        .collect();
    if gone.is_empty() {
        return Ok(());
    }
    Err(Diagnostic::error(
        "Who needs the key has changed since the plan",
        format!(
            "The plan gives these principals the use of the key, and Azure does not show them as identities of the workspace or of AzureDatabricks \
             anymore:\n{}\n\nNothing was changed. Plan again.",
            gone.join("\n")
        ),
    )
    .on("azure.workspace_resource_id")
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "11111111-1111-4111-8111-111111111111";
    const S: &str = "22222222-2222-4222-8222-222222222222";
    const D: &str = "33333333-3333-4333-8333-333333333333";

    /// Each row: which principals the note has in which role, for which use cases, which one the configuration names, and which
    /// ones the plan promises; none: only after apply.
    #[test]
    fn who_was_noted_is_promised() -> Result<(), Box<dyn std::error::Error>> {
        use UseCase::{ManagedDisks, ManagedServices, Storage};
        type Row<'a> = (
            &'a [(&'a str, &'a str)],
            &'a [UseCase],
            Option<&'a str>,
            Option<&'a [&'a str]>,
        );
        let rows: [Row<'_>; 7] = [
            (&[("databricks", A)], &[ManagedServices], None, Some(&[A])),
            (
                &[("databricks", A)],
                &[ManagedServices, Storage],
                None,
                None,
            ),
            (
                &[("databricks", A), ("storage", S)],
                &[ManagedServices, Storage],
                None,
                Some(&[A, S]),
            ),
            (&[("databricks", A)], &[ManagedDisks], None, Some(&[A])),
            (
                &[("databricks", A), ("disks", D)],
                &[ManagedDisks],
                None,
                Some(&[A, D]),
            ),
            (&[], &[ManagedServices], Some(A), Some(&[A])),
            (&[("databricks", "x")], &[ManagedServices], None, None),
        ];
        for (seen, cases, databricks, expected) in rows {
            let seen: Seen = seen
                .iter()
                .map(|(role, id)| ((*role).to_owned(), Some((*id).to_owned())))
                .collect();
            let databricks = databricks.map(str::parse).transpose()?;
            let found = noted(&seen, cases, databricks.as_ref());
            let expected = expected
                .map(|all| {
                    all.iter()
                        .map(|one| one.parse())
                        .collect::<Result<BTreeSet<PrincipalId>, _>>()
                })
                .transpose()?
                .map_or(Noted::Lacking, Noted::All);
            assert_eq!(found, expected, "{seen:?} {cases:?}");
        }
        Ok(())
    }

    /// What the workspace has lost is made again, and nothing else is promised until then.
    #[test]
    fn who_is_gone_is_made_again() {
        let of = |text: &str| serde_json::from_str::<Seen>(text).unwrap_or_default();
        let lost = of(&format!(r#"{{"databricks": "{A}", "storage": null}}"#));
        let cases = [UseCase::ManagedServices, UseCase::Storage];
        assert_eq!(noted(&lost, &cases, None), Noted::ToBeMade);
        let only_services = noted(&lost, &[UseCase::ManagedServices], None);
        assert!(matches!(only_services, Noted::All(all) if all.len() == 1));
    }
}
