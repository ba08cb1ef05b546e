//! What is around a key of Azure: who has a role at it, and whether its vault records who uses it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Auditor, of_key};
use crate::audit::{
    AuditSubject, OtherUser, Part, Reach, SeenOther, SubjectKind, Unread, of_assignment,
};
use crate::clouds::azure::AzureError;
use crate::preflight::Fact;
use crate::preflight::azure::AccessModel;
use crate::provider::cache::lock;
use crate::vocabulary::azure::{VaultKeyId, VaultResourceId};

/// What of the permissions of an access policy is the use of a key. Source: Azure Key Vault documentation, "Assign an access policy".
const USES: [&str; 5] = ["all", "decrypt", "encrypt", "unwrapkey", "wrapkey"];

impl Auditor {
    /// Who else may use a key; none where it could not be read.
    pub(super) async fn others_on_azure(
        &self,
        key: &VaultKeyId,
        vault: Option<&VaultResourceId>,
        access: AccessModel,
        (grantees, unread): (&BTreeSet<String>, &mut Vec<Unread>),
    ) -> Option<Vec<SeenOther>> {
        let cloud = self.client.keys().azure().cloud();
        let name = key.versionless().to_string();
        let holders = match access {
            AccessModel::AccessPolicies(all) => {
                let uses = |right: &String| USES.contains(&right.to_ascii_lowercase().as_str());
                let others = all.into_iter().filter_map(|policy| {
                    let rights: Vec<String> = policy.keys.into_iter().filter(uses).collect();
                    let is_other = !rights.is_empty() && !grantees.contains(&policy.principal);
                    is_other.then_some(SeenOther {
                        user: OtherUser {
                            principal: policy.principal,
                            rights,
                            by: "access policy of the vault".to_owned(),
                        },
                        reach: Reach::People,
                    })
                });
                return Some(others.collect());
            }
            AccessModel::RoleAssignments(denies) => {
                if let Fact::Unreadable(why) = denies {
                    unread.push(Unread {
                        subject: of_key(&name),
                        part: Part::Deny,
                        why: why.reason,
                        permission: why.permission.map(str::to_owned),
                    });
                }
                cloud.role_holders(vault?, key.name()).await
            }
            AccessModel::LocalRoles => cloud.local_role_holders(key).await,
        };
        match holders {
            Ok(all) => {
                let others = all.iter().filter_map(|one| of_assignment(one, grantees));
                Some(others.collect())
            }
            Err(error) => {
                unread.push(Unread {
                    subject: of_key(&name),
                    part: Part::Policy,
                    why: error.unreadable().reason,
                    permission: None,
                });
                None
            }
        }
    }

    /// Whether a vault records who uses its keys, asked once a run; none where it could not be read.
    pub(super) async fn logs_of(
        &self,
        vault: &VaultResourceId,
        unread: &mut Vec<Unread>,
    ) -> Option<bool> {
        let cell = Arc::clone(lock(&self.logs).entry(vault.clone()).or_default());
        let read = || async {
            let cloud = self.client.keys().azure().cloud();
            cloud.logs_key_use(vault).await
        };
        match cell.get_or_init(read).await {
            Ok(logs) => Some(*logs),
            Err(error) => {
                unread.push(Unread {
                    subject: AuditSubject::of(
                        SubjectKind::Vault,
                        vault.id().name().to_ascii_lowercase(),
                    ),
                    part: Part::Vault,
                    why: not_shown(error),
                    permission: None,
                });
                None
            }
        }
    }
}

fn not_shown(error: &AzureError) -> String {
    format!("its diagnostic settings: {}", error.unreadable().reason)
}
