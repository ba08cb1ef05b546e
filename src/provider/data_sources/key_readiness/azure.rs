//! On Azure: a key of Key Vault or Managed HSM, its vault, and who may use it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{KeyVerdict, NotExaminedModel, RequirementModel, incomplete, list, text};
use crate::clouds::azure::ArmWorkspace;
use crate::preflight::azure::{
    Access, Behind, Judged, Question, Unknown, VaultKeyFacts, access, behind, granted_by, judge,
    judged_versions, known_state, with_tables,
};
use crate::preflight::{Fact, Finding, Stage};
use crate::provider::client::Client;
use crate::provider::diagnose;
use crate::provider::resources::{all_known, check_tables, names_something};
use crate::requirements::azure::{Grantee, PERMISSIONS, Role, roles_of, without_it_for};
use crate::vocabulary::azure::{PrincipalId, VaultKeyId, VaultResourceId, WorkspaceResourceId};
use crate::vocabulary::{Cloud, Key, KeyState, KeyUse, UseCase};
use tfplugin::bridge::Attr;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::schema::Attribute;

/// The `azure` block of `dbxcmk_key_readiness`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct KeyReadinessAzure {
    pub key_vault_key_id: Attr<VaultKeyId>,
    pub vault_resource_id: Attr<VaultResourceId>,
    pub workspace_resource_id: Attr<WorkspaceResourceId>,
    pub databricks_principal_id: Attr<PrincipalId>,
    pub storage_account_principal_ids: Attr<Vec<Attr<PrincipalId>>>,
}

pub(super) fn attributes() -> Vec<Attribute> {
    vec![
        Attribute::string("key_vault_key_id")
            .required()
            .format::<VaultKeyId>("Invalid key identifier")
            .describe("Identifier of the key in Key Vault or Managed HSM."),
        Attribute::string("vault_resource_id")
            .format::<VaultResourceId>("Invalid resource ID of a vault")
            .describe(
                "Resource ID of the vault. Default: looked up in the subscription of the workspace and in `azure.subscription_id`.",
            ),
        Attribute::string("workspace_resource_id")
            .format::<WorkspaceResourceId>("Invalid resource ID of a workspace")
            .describe("Resource ID of the workspace whose identities need the key, for `STORAGE` and `MANAGED_DISKS`."),
        Attribute::string("databricks_principal_id")
            .format::<PrincipalId>("Invalid object ID")
            .describe("Object ID of the application AzureDatabricks. Default: looked up in Microsoft Graph."),
        Attribute::string_set("storage_account_principal_ids")
            .no_null_elements()
            .format::<PrincipalId>("Invalid object ID")
            .describe(
                "Object IDs of the identities of storage accounts in which Unity Catalog keeps tables under this key. With the use case \
                 `UNITY_CATALOG`.",
            ),
    ]
}

fn standing(facts: &VaultKeyFacts, principal: &PrincipalId) -> &'static str {
    let Fact::Known(vault) = &facts.vault else {
        return "unknown";
    };
    match access(facts, vault, principal) {
        Access::Granted => "allowed",
        Access::Conditional(_) | Access::PerhapsDenied(_) => "undetermined",
        Access::UnknownRoles(_) | Access::Unread(_) => "unknown",
        Access::Denied(_) => "denied",
        Access::Missing(_) => "missing",
    }
}

fn requirement(
    case: impl Into<KeyUse>,
    role: Role,
    action: &str,
    standing: &str,
) -> RequirementModel {
    let case = case.into();
    RequirementModel {
        use_case: text(case.name()),
        purpose: text(case.in_words()),
        principal: text(role.in_words()),
        databricks_account_id: Attr::Null,
        action: text(action),
        reason: text(&format!("Without it, {}.", without_it_for(case))),
        standing: text(standing),
        granted_by: list(Vec::<String>::new()),
        denied_by: list(Vec::<String>::new()),
    }
}

fn requirements(
    facts: &VaultKeyFacts,
    grantees: &[Grantee],
    not_known: &[(Role, UseCase, Unknown)],
) -> Vec<RequirementModel> {
    let mut all = Vec::new();
    for grantee in grantees {
        for action in PERMISSIONS {
            let one = requirement(
                grantee.case,
                grantee.role,
                action,
                standing(facts, &grantee.principal),
            );
            let denied = match &facts.vault {
                Fact::Known(vault) => match access(facts, vault, &grantee.principal) {
                    Access::Denied(name) | Access::PerhapsDenied(name) => vec![name],
                    _ => Vec::new(),
                },
                Fact::Unreadable(_) => Vec::new(),
            };
            all.push(RequirementModel {
                principal: text(&format!(
                    "{} ({})",
                    grantee.role.in_words(),
                    grantee.principal
                )),
                granted_by: list(granted_by(facts, &grantee.principal)),
                denied_by: list(denied),
                ..one
            });
        }
    }
    for (role, case, why) in not_known {
        let standing = match why {
            Unknown::Unread(_) => "unknown",
            Unknown::NotYetMade | Unknown::NotInTenant => "missing",
        };
        for action in PERMISSIONS {
            all.push(requirement(*case, *role, action, standing));
        }
    }
    all
}

/// What the proof does not cover.
fn not_examined(facts: &VaultKeyFacts) -> Vec<NotExaminedModel> {
    let one = |what: &str, why: &str, how: &str| NotExaminedModel {
        what: text(what),
        why: text(why),
        how: text(how),
    };
    let mut all = Vec::new();
    if let Fact::Unreadable(why) = &facts.vault {
        all.push(one(
            "The vault: its network rules and who may use its keys",
            &why.reason,
            "Set `vault_resource_id`, and allow the identity that runs Terraform to read the vault (role Reader).",
        ));
    }
    all.push(one(
        "Azure Policy, and the firewall of the virtual networks",
        "They decide about requests and not about keys, and no API says what they will decide.",
        "Check the policies that are assigned to the resource group, and the service endpoints of the networks of the workspace.",
    ));
    all
}

impl KeyReadinessAzure {
    /// What is wrong with tables, as far as it is known.
    pub(super) fn check(&self, cases: Option<&[KeyUse]>) -> Option<Diagnostic> {
        let named = names_something(&self.storage_account_principal_ids);
        check_tables(&Cloud::Azure, cases, named)
    }

    /// A newest version that cannot be used, where the workspace has an older one that can.
    async fn of_unusable_newest(
        &self,
        client: &Client,
        now: &ArmWorkspace,
        key: &VaultKeyId,
        cases: &[UseCase],
    ) -> Vec<Finding> {
        let azure = client.keys().azure();
        let vault = self.vault_resource_id.known();
        let facts = azure.facts(key, vault, Some(now.id()), &[], Stage::Plan);
        let facts = facts.await;
        let Fact::Known(newest) = &facts.key else {
            return Vec::new();
        };
        let mut all: BTreeMap<Behind, Vec<UseCase>> = BTreeMap::new();
        for case in cases {
            let attached = now.key(*case);
            let Some(attached) = attached.known() else {
                continue;
            };
            if let Some(one) = behind(
                *case,
                key,
                attached,
                (newest, facts.at),
                now.rotates_disks(),
            ) && !one.is_usable()
            {
                all.entry(one).or_default().push(*case);
            }
        }
        all.iter().map(|(one, cases)| one.finding(cases)).collect()
    }

    /// What the proof says about the key.
    ///
    /// # Errors
    /// When something that it needs is not known, or the workspace cannot be read.
    pub(super) async fn examine(
        &self,
        client: &Client,
        uses: &[KeyUse],
    ) -> Result<KeyVerdict, Diagnostics> {
        if let Some(found) = self.check(Some(uses)) {
            return Err(found.into());
        }
        let tables = match &self.storage_account_principal_ids {
            Attr::Null => Vec::new(),
            all => all_known(all).ok_or_else(incomplete)?,
        };
        let of_workspace = uses.iter().copied().filter_map(KeyUse::of_workspace);
        let cases: Vec<UseCase> = of_workspace.collect();
        let azure = client.keys().azure();
        let key = self.key_vault_key_id.known();
        let is_unknown = self.vault_resource_id.is_unknown()
            || self.workspace_resource_id.is_unknown()
            || self.databricks_principal_id.is_unknown();
        let key = key.filter(|_| !is_unknown).ok_or_else(incomplete)?;
        let workspace =
            match self.workspace_resource_id.known() {
                None => None,
                Some(id) => Some(azure.workspace_for_plan(id).await.map_err(|error| {
                    diagnose::arm("The workspace could not be read", id, &error)
                })?),
            };
        let named = self.databricks_principal_id.known();
        let asked = azure.grantees(&cases, workspace.as_ref(), named, roles_of);
        let (mut grantees, not_known) = asked.await;
        grantees.extend(Grantee::of_tables(tables));
        let about = workspace.as_ref().map(ArmWorkspace::facts);
        // The version that the workspace uses must be ready, not the newest one.
        let mut read = Vec::new();
        let mut findings: Vec<Finding> = Vec::new();
        let of_workspace = |what: fn(&ArmWorkspace) -> Option<&str>| {
            workspace.as_ref().and_then(what).map(str::to_owned)
        };
        let all = Question {
            used_for: Vec::new(),
            workspace: self.workspace_resource_id.known().cloned(),
            location: of_workspace(ArmWorkspace::location),
            tenant: of_workspace(ArmWorkspace::tenant),
            stage: Stage::Plan,
            cases: cases.clone(),
            grantees,
            not_known,
        };
        let judged = judged_versions(about.as_ref(), key, &cases);
        for judged in with_tables(judged, key, &all.grantees) {
            let facts = self.judge_version(client, judged, &all, &mut findings);
            read.push(facts.await);
        }
        if let Some(now) = &workspace {
            findings.extend(self.of_unusable_newest(client, now, key, &cases).await);
        }
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        verdict(key, &read, &all, findings)
    }

    /// Judges what is asked of one version; what was read of it.
    async fn judge_version(
        &self,
        client: &Client,
        judged: Judged,
        all: &Question,
        findings: &mut Vec<Finding>,
    ) -> VaultKeyFacts {
        let principals = all.grantees.iter().map(|one| one.principal.clone());
        let principals: Vec<PrincipalId> = principals.collect();
        let facts = client.keys().azure().facts(
            &judged.key,
            self.vault_resource_id.known(),
            self.workspace_resource_id.known(),
            &principals,
            Stage::Plan,
        );
        let facts = facts.await;
        for finding in judge(&facts, &all.of(judged)) {
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
        facts
    }
}

/// What is said of a key of which these versions were read.
fn verdict(
    key: &VaultKeyId,
    read: &[VaultKeyFacts],
    all: &Question,
    findings: Vec<Finding>,
) -> Result<KeyVerdict, Diagnostics> {
    let first = read.first().ok_or_else(incomplete)?;
    let is_allowed = |grantee: &Grantee| {
        let mut versions = read.iter();
        versions.all(|facts| standing(facts, &grantee.principal) == "allowed")
    };
    let all_proven = all.not_known.is_empty() && all.grantees.iter().all(is_allowed);
    let enabled = Some(KeyState::Enabled);
    let mut states = read.iter().map(known_state);
    let state = states.find(|state| *state != enabled).unwrap_or(enabled);
    let is_read = |facts: &VaultKeyFacts| {
        matches!((&facts.key, &facts.vault), (Fact::Known(_), Fact::Known(_)))
    };
    Ok(KeyVerdict {
        key: Key::Azure(key.clone()),
        state: state.as_ref().map(ToString::to_string),
        policy_source: match first.planned.is_empty() {
            false => "planned",
            true => "live",
        },
        is_known: read.iter().all(is_read),
        findings,
        requirements: requirements(first, &all.grantees, &all.not_known),
        not_examined: not_examined(first),
        all_proven,
    })
}
