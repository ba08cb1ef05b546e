//! Gives a principal the access to a key that Databricks needs, in the form that the vault has: a role at the key, an access policy, or a
//! local role. The provider reads the access first, so that it leaves alone what a principal already has at any level; and it waits until
//! Azure shows what it gave, because Azure shows it late.

use std::time::Duration;

use tokio::time::Instant;

use super::client::Client;
use super::deadline::{Deadline, Pause, pause};
use super::diagnose::{self, in_hcl};
use crate::clouds::azure::{AccessChange, AzureError};
use crate::preflight::azure::{Access, AccessModel, Vault, VaultKeyFacts, access, reading};
use crate::preflight::{Fact, Stage};
use crate::vocabulary::azure::{PrincipalId, VaultKeyId, VaultResourceId, WorkspaceResourceId};
use tfplugin::context::Context;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::duration::spell;

/// The shortest and the longest pause between two reads.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// How many reads in a row must show the access: parts of Azure answer from copies of different age.
const IN_A_ROW: u32 = 3;

/// Where the provider gives access.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The key that the principal shall use.
    pub key: &'a VaultKeyId,
    /// The vault of `key`.
    pub vault: &'a VaultResourceId,
    /// The description of a role assignment that the provider makes here.
    pub mark: &'a str,
}

/// The description of a role assignment that a key policy made. It says whose the assignment is: a person reads the workspace, and the
/// provider reads the name, which tells this policy from another one of the same workspace, perhaps in another state.
pub fn mark_of_policy(workspace: &str, name: &str) -> String {
    match workspace {
        "" => format!("For Databricks: dbxcmk_key_policy without a workspace ({name})"),
        id => format!("For Databricks: dbxcmk_key_policy of {id} ({name})"),
    }
}

/// The description of a role assignment that a binding made for the disk encryption set of its workspace.
pub fn mark_of_binding(workspace: &WorkspaceResourceId) -> String {
    format!("For Databricks: dbxcmk_workspace_binding of {workspace}")
}

fn failed(place: Place<'_>, error: &AzureError) -> Diagnostics {
    diagnose::azure(
        "The access to the key could not be changed",
        place.key,
        error,
    )
    .on("azure.key_vault_key_id")
    .into()
}

async fn put(
    client: &Client,
    place: Place<'_>,
    vault: &Vault,
    principal: &PrincipalId,
) -> Result<bool, AzureError> {
    let cloud = client.keys().azure().cloud();
    match &vault.access {
        AccessModel::RoleAssignments(_) => {
            cloud
                .assign_role(place.vault, place.key.name(), principal, place.mark)
                .await
        }
        AccessModel::AccessPolicies(_) => cloud
            .change_access_policy(place.vault, &vault.tenant, principal, AccessChange::Add)
            .await
            .map(|()| true),
        AccessModel::LocalRoles => cloud.assign_local_role(place.key, principal).await,
    }
}

/// Who gets access: in words, and by name.
type Grantee<'a> = (&'a str, &'a PrincipalId);

/// Gives a principal access, and waits until Azure shows it. It holds the lock of the vault, so that other grants of this run wait. `given`: the
/// function sets it when it gave the access itself, even if it fails afterwards; it does not give what is there already.
///
/// # Errors
/// When Azure refuses, or does not show the access in time.
pub async fn grant(
    cx: &Context<Client>,
    place: Place<'_>,
    grantee: Grantee<'_>,
    deadline: Deadline,
    given: &mut bool,
) -> Result<(), Diagnostics> {
    let client = cx.client();
    let _alone = client.keys().azure().lock_vault(place.key).await;
    let mut granting = Granting {
        client,
        place,
        grantee,
        row: 0,
        unread: 0,
        sent_at: None,
        wait: PAUSES.0,
    };
    loop {
        let pending = match granting.step(given).await? {
            Step::Shows => return Ok(()),
            Step::Pending(pending) => pending,
        };
        if deadline.has_passed() {
            return Err(match pending {
                Some(error) => failed(place, &error),
                None => late(place, grantee, deadline, granting.sent_at.is_some()),
            });
        }
        if pause(granting.wait, cx.stop()).await == Pause::Stopped {
            return Err(interrupted(place, grantee, granting.sent_at.is_some()));
        }
        granting.wait = (granting.wait * 2).min(PAUSES.1);
    }
}

/// What one read of the access of a principal showed.
enum Step {
    /// It shows, and did often enough.
    Shows,
    /// It does not yet; with the error of a request that is to be sent again.
    Pending(Option<AzureError>),
}

/// Access that is being given.
struct Granting<'a> {
    client: &'a Client,
    place: Place<'a>,
    grantee: Grantee<'a>,
    /// How many looks in a row have shown it.
    row: u32,
    /// How many could not.
    unread: u32,
    /// When the provider sent it last; `None` while nothing was sent: access that is there already needs no waiting.
    sent_at: Option<Instant>,
    wait: Duration,
}

impl Granting<'_> {
    /// Reads the access once, and sends what is missing.
    async fn step(&mut self, given: &mut bool) -> Result<Step, Diagnostics> {
        let azure = self.client.keys().azure();
        let (place, (_, principal)) = (self.place, self.grantee);
        azure.forget(place.key);
        let principals = std::slice::from_ref(principal);
        let facts = azure.facts(place.key, Some(place.vault), None, principals, Stage::Apply);
        let facts = facts.await;
        let vault = match &facts.vault {
            Fact::Known(vault) => vault,
            Fact::Unreadable(why) => return Err(no_vault(place, &why.reason)),
        };
        match access(&facts, vault, principal) {
            Access::Granted | Access::PerhapsDenied(_) if self.sent_at.is_none() => {
                return Ok(Step::Shows);
            }
            Access::Granted | Access::PerhapsDenied(_) => {
                (self.row, self.unread) = (self.row + 1, 0);
                if self.row >= IN_A_ROW {
                    azure.granted(place.key);
                    return Ok(Step::Shows);
                }
                self.wait = PAUSES.0;
            }
            // Waiting does not make it readable, and the provider does not send again what may be there already.
            Access::Unread(_) if self.unread >= IN_A_ROW => {
                let was_sent = self.sent_at.is_some();
                return Err(not_seen(&facts, vault, place, self.grantee, was_sent));
            }
            Access::Unread(_) => (self.row, self.unread) = (0, self.unread + 1),
            Access::Denied(name) => return Err(denied(place, self.grantee, &name)),
            // The provider sent the access a moment ago, and Azure shows it late. After a while the provider sends it again, which changes
            // nothing where it is there.
            _ if self.sent_at.is_some_and(|at| at.elapsed() < PAUSES.1 * 3) => self.row = 0,
            _ => {
                self.row = 0;
                return self.send(vault, given).await;
            }
        }
        Ok(Step::Pending(None))
    }

    async fn send(&mut self, vault: &Vault, given: &mut bool) -> Result<Step, Diagnostics> {
        match put(self.client, self.place, vault, self.grantee.1).await {
            Ok(made) => {
                *given |= made;
                self.sent_at = Some(Instant::now());
                Ok(Step::Pending(None))
            }
            // Azure does not know a new principal yet, or another change of the vault is under way: both pass.
            Err(error @ (AzureError::PrincipalNotFound(_) | AzureError::Conflict { .. })) => {
                Ok(Step::Pending(Some(error)))
            }
            Err(error) => Err(failed(self.place, &error)),
        }
    }
}

fn no_vault(place: Place<'_>, why: &str) -> Diagnostics {
    Diagnostic::error(
        "The vault could not be read",
        format!(
            "{}: {why}. So the provider cannot tell how it decides who may use {}.\n\nAllow the identity that runs Terraform to read the \
             vault (role Reader).",
            place.vault, place.key
        ),
    )
    .on("azure.vault_resource_id")
    .into()
}

fn denied(place: Place<'_>, (who, principal): Grantee<'_>, name: &str) -> Diagnostics {
    Diagnostic::error(
        "A deny assignment takes the key from a principal that needs it",
        format!(
            "The deny assignment \"{name}\" takes the use of {} from {who} ({principal}). Deny assignments come before role assignments, so granting \
             would change nothing.\n\nAsk the person who manages it to exclude this principal, and apply again.",
            place.key
        ),
    )
    .on("azure.key_vault_key_id")
    .into()
}

/// The error when the provider cannot read who has access, so it cannot confirm what it gave.
fn not_seen(
    facts: &VaultKeyFacts,
    vault: &Vault,
    place: Place<'_>,
    (who, principal): Grantee<'_>,
    was_sent: bool,
) -> Diagnostics {
    let why = match access(facts, vault, principal) {
        Access::Unread(why) => format!(" ({why})"),
        _ => String::new(),
    };
    let truth = match was_sent {
        true => "Azure accepted the access; the provider could not confirm it.",
        false => "Nothing was granted.",
    };
    Diagnostic::error(
        "The provider could not read who has access to the key",
        format!(
            "{who} ({principal}) needs the use of {}, and the provider could not read who has it{why}. {truth}\n\n{}",
            place.key,
            reading(facts, vault, principal).text(|hint| Some(in_hcl(hint)))
        ),
    )
    .on("azure.key_vault_key_id")
    .into()
}

fn late(
    place: Place<'_>,
    (who, principal): Grantee<'_>,
    deadline: Deadline,
    was_sent: bool,
) -> Diagnostics {
    if !was_sent {
        return Diagnostic::error(
            "The time was over before the key was granted",
            format!(
                "{who} ({principal}) needs the use of {}, and the provider could not read within {} whether it has it. Nothing was \
                 granted.\n\nApply again. To wait longer, set `timeouts`.",
                place.key,
                spell(deadline.length())
            ),
        )
        .on("azure.key_vault_key_id")
        .into();
    }
    Diagnostic::error(
        "Azure does not show the new access yet",
        format!(
            "Azure accepted the access of {who} ({principal}) to {}, and did not show it within {}. Somebody else may have written the access of \
             the vault at the same time: `access_policy` blocks of `azurerm_key_vault` write all of them.\n\nCheck it, and apply again.",
            place.key,
            spell(deadline.length())
        ),
    )
    .on("azure.key_vault_key_id")
    .into()
}

fn interrupted(place: Place<'_>, (who, principal): Grantee<'_>, was_sent: bool) -> Diagnostics {
    let truth = match was_sent {
        true => "Azure accepted it; whether it shows already was not waited for.",
        false => "It was not granted yet.",
    };
    Diagnostic::error(
        "Granting access to the key was interrupted",
        format!(
            "The run was interrupted while {who} ({principal}) got access to {}. {truth}\n\nApply again.",
            place.key
        ),
    )
    .on("azure.key_vault_key_id")
    .into()
}

/// Takes away the access that this provider gave to a principal, and leaves alone what others gave it.
///
/// # Errors
/// When Azure refuses.
pub async fn revoke(
    client: &Client,
    place: Place<'_>,
    principal: &PrincipalId,
) -> Result<(), Diagnostics> {
    let azure = client.keys().azure();
    let _alone = azure.lock_vault(place.key).await;
    let vault = match azure.cloud().vault(place.vault, place.key.name()).await {
        Ok(vault) => vault,
        // Azure deleted the assignments and policies together with it.
        Err(AzureError::NotFound(_)) => return Ok(()),
        Err(error) => return Err(failed(place, &error)),
    };
    let cloud = azure.cloud();
    let outcome = match &vault.access {
        AccessModel::RoleAssignments(_) => {
            cloud
                .unassign_role(place.vault, place.key.name(), principal)
                .await
        }
        AccessModel::AccessPolicies(_) => {
            cloud
                .change_access_policy(place.vault, &vault.tenant, principal, AccessChange::Remove)
                .await
        }
        AccessModel::LocalRoles => cloud.unassign_local_role(place.key, principal).await,
    };
    azure.forget(place.key);
    outcome.map_err(|error| failed(place, &error))
}

/// Leaves the access that this provider gave to another owner that needs it, by writing the owner's mark (`heir`) where the vault
/// has a place for one.
pub async fn leave(client: &Client, place: Place<'_>, principal: &PrincipalId, heir: &str) {
    let azure = client.keys().azure();
    let _alone = azure.lock_vault(place.key).await;
    let cloud = azure.cloud();
    let Ok(vault) = cloud.vault(place.vault, place.key.name()).await else {
        return;
    };
    if !matches!(vault.access, AccessModel::RoleAssignments(_)) {
        return;
    }
    let name = place.key.name();
    if matches!(
        cloud.own_role(place.vault, name, principal).await,
        Ok(Some(_))
    ) {
        let said = cloud.assign_role(place.vault, name, principal, heir).await;
        tracing::info!(%principal, is_said = said.is_ok(), "access was left to others");
    }
}

/// What the provider knows of the access that it gave to a principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// The access is not there.
    No,
    /// The access is there, and its description (this text) says whose it is.
    By(String),
    /// If the access is there, its owner is unknown: local roles and access policies have no place for a description.
    NotTold,
}

/// Whether this provider gave a principal access, and on behalf of which resource.
///
/// # Errors
/// When Azure refuses.
pub async fn given(
    client: &Client,
    place: Place<'_>,
    vault: &Vault,
    principal: &PrincipalId,
) -> Result<Given, AzureError> {
    let cloud = client.keys().azure().cloud();
    match &vault.access {
        AccessModel::RoleAssignments(_) => cloud
            .own_role(place.vault, place.key.name(), principal)
            .await
            .map(|found| found.map_or(Given::No, Given::By)),
        AccessModel::LocalRoles => cloud
            .has_own_local_role(place.key, principal)
            .await
            .map(|is_there| if is_there { Given::NotTold } else { Given::No }),
        AccessModel::AccessPolicies(_) => Ok(Given::NotTold),
    }
}
