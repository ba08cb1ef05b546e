//! One key: its state, what the proof says of it for everything that has it, who else may use it, and when it was last used.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::account::Asked;
use super::{AuditOrder, Auditor, known, of_key};
use crate::audit::{
    AuditSubject, Loss, LossKind, Owner, Part, SeenKey, SeenOther, SeenVault, SubjectKind, Unread,
    of_binding, of_grants, of_policy,
};
use crate::clouds::aws::{AwsError, Standpoint};
use crate::clouds::gcp::GcpError;
use crate::preflight::aws::RoleKnowledge;
use crate::preflight::azure::{Absence, known_state};
use crate::preflight::gcp::{PolicyLevel, state_of};
use crate::preflight::{Fact, Finding, LastUse, Stage, Standing};
use crate::provider::keys::KeyCheck;
use crate::requirements::gcp::{Rights, agent_of, rights_of};
use crate::vocabulary::aws::KeyArn;
use crate::vocabulary::azure::VaultKeyId;
use crate::vocabulary::gcp::{CryptoKeyName, ServiceAccount};
use crate::vocabulary::{Cloud, Key, KeyState};
use kms_policy::Document;

type Read = (SeenKey, Vec<Unread>);

fn date(text: Option<&String>) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text?, &Rfc3339).ok()
}

/// A date that the provider cannot read counts as past: the report must not show the loss as far away.
fn loss(text: Option<&String>, how: LossKind, version: Option<&str>) -> Option<Loss> {
    let text = text?;
    Some(Loss {
        at: date(Some(text)).unwrap_or(OffsetDateTime::UNIX_EPOCH),
        how,
        version: version.map(str::to_owned),
    })
}

/// What the cloud of a key does not have.
fn missing() -> KeyState {
    KeyState::Other("NotFound".to_owned())
}

fn unknown(cloud: Cloud) -> SeenKey {
    SeenKey {
        cloud,
        location: None,
        owner: None,
        state: None,
        losses: Vec::new(),
        rotates: None,
        proof: None,
        last_use: LastUse::not_known("it was not asked for"),
        last_used_by: None,
        others: None,
        vault: None,
    }
}

impl Auditor {
    /// Reads a key for all the checks that workspaces make of it.
    pub(super) async fn read_key(
        &self,
        key: &Key,
        asked: Asked,
        account_id: &str,
        order: &AuditOrder,
    ) -> Read {
        let proof = self.proof(&asked).await;
        let (mut seen, mut unread) = match key {
            Key::Aws(arn) => self.read_aws_key(arn, &asked, account_id).await,
            Key::Gcp(name) => self.read_gcp_key(name, &asked).await,
            Key::Azure(key) => self.read_azure_key(key, &asked).await,
        };
        seen.proof = proof;
        let is_there = seen.state != Some(missing());
        if !is_there {
            // What is not there has nothing else to be read.
            unread.clear();
        }
        if order.last_use && is_there {
            seen.last_use = self.client.keys().last_use(key).await;
            unread.extend(last_use_unread(key, &seen.last_use));
            if let (Key::Aws(arn), true) = (key, order.who_used) {
                seen.last_used_by = self.last_user(arn, &seen.last_use, &mut unread).await;
            }
        }
        if let (Key::Aws(arn), false) = (key, unread.is_empty()) {
            self.explain_elsewhere(arn, &mut unread).await;
        }
        (seen, unread)
    }

    /// Who used a key last, as CloudTrail has it; none where nothing is recorded.
    async fn last_user(
        &self,
        arn: &KeyArn,
        last: &LastUse,
        unread: &mut Vec<Unread>,
    ) -> Option<String> {
        let event = last.event.as_deref()?;
        let (why, permission) = match self.client.keys().aws().cloud().caller_of(arn, event).await {
            Ok(Some(caller)) => return Some(caller),
            Ok(None) => (
                format!(
                    "CloudTrail keeps events for 90 days, and does not have the event {event} of the last use"
                ),
                None,
            ),
            Err(AwsError::AccessDenied { permission, .. }) => (
                format!("the identity of the audit is not allowed to call {permission}"),
                Some(permission.to_owned()),
            ),
            Err(error) => (error.to_string(), None),
        };
        unread.push(Unread {
            subject: of_key(&arn.to_string()),
            part: Part::LastUser,
            why,
            permission,
        });
        None
    }

    /// What KMS shows to the account of the key alone, and how to be there.
    async fn explain_elsewhere(&self, arn: &KeyArn, unread: &mut [Unread]) {
        let standpoint = self.client.keys().aws().cloud().standpoint(arn).await;
        // Source: AWS KMS API reference, "Cross-account use".
        let of_account = unread
            .iter_mut()
            .filter(|one| matches!(one.part, Part::Policy | Part::LastUse));
        for one in of_account {
            match &standpoint {
                Standpoint::Own | Standpoint::NotKnown => {}
                Standpoint::Outside => one.why.push_str(&format!(
                    ". The key is in the account {}, and KMS shows this only there: name a role in it with `--assume-role-pattern`",
                    arn.account()
                )),
                Standpoint::Refused { role, why } => {
                    one.why.push_str(&format!(
                        ". The key is in the account {}, and the role {role} there could not be assumed: {why}",
                        arn.account()
                    ));
                    one.permission = Some(format!("sts:AssumeRole on {role}"));
                }
            }
        }
    }

    /// What the proof says for all that have the key; none where nothing has it.
    async fn proof(&self, asked: &Asked) -> Option<Vec<Finding>> {
        if asked.cases.is_empty() {
            return None;
        }
        let users: Vec<_> = asked
            .users
            .iter()
            .map(|(name, cases)| (name.clone(), cases.clone()))
            .collect();
        let cases: Vec<KeyCheck> = asked
            .cases
            .iter()
            .map(|case| case.clone().used_by(users.clone()))
            .collect();
        let mut all: Vec<Finding> = Vec::new();
        for found in self.client.keys().examine(&cases).await.concat() {
            if !all.contains(&found) {
                all.push(found);
            }
        }
        Some(all)
    }

    async fn read_aws_key(&self, arn: &KeyArn, asked: &Asked, account_id: &str) -> Read {
        let keys = self.client.keys().aws();
        let name = arn.to_string();
        let mut unread = Vec::new();
        let (facts, (grants, rotation)) =
            tokio::join!(keys.facts_for_plan(arn), keys.for_audit(arn));
        let mut seen = SeenKey {
            location: Some(arn.region().to_owned()),
            owner: Some(arn.account().to_owned()),
            ..unknown(Cloud::Aws)
        };
        match facts.description {
            Fact::Known(described) => {
                let deletion = loss(described.deletion_date.as_ref(), LossKind::Deleted, None);
                let expiry = loss(described.material_expires.as_ref(), LossKind::Expires, None);
                seen.losses.extend(deletion.into_iter().chain(expiry));
                seen.state = Some(described.state);
            }
            Fact::Unreadable(why) if why.is_missing => {
                seen.state = Some(missing());
                return (seen, Vec::new());
            }
            fact => drop(known(fact, &name, Part::State, &mut unread)),
        }
        let policy = known(facts.policy, &name, Part::Policy, &mut unread);
        let grants = known(grants, &name, Part::Grants, &mut unread);
        seen.rotates = known(rotation, &name, Part::Rotation, &mut unread);
        let whose = Owner {
            owner: arn.account(),
            databricks: account_id,
        };
        let policy = policy.and_then(|text| match Document::parse(&text) {
            Ok(policy) => Some(policy),
            Err(error) => {
                unread.push(Unread {
                    subject: of_key(&name),
                    part: Part::Policy,
                    why: error.to_string(),
                    permission: None,
                });
                None
            }
        });
        seen.others = match (policy, grants) {
            (Some(policy), Some(grants)) => {
                let mut others = of_policy(&policy, whose);
                // Databricks and the services that act for a workspace have grants of their own.
                let grants: Vec<_> = grants
                    .into_iter()
                    .filter(|grant| grant.deployment().is_none())
                    .collect();
                others.extend(of_grants(&grants, whose));
                Some(others)
            }
            _ => None,
        };
        unread.extend(self.role_unread(asked).await);
        (seen, unread)
    }

    /// Roles that use the key and could not be read.
    async fn role_unread(&self, asked: &Asked) -> Vec<Unread> {
        let mut all = Vec::new();
        for case in &asked.cases {
            let KeyCheck::Aws(case) = case else {
                continue;
            };
            if let RoleKnowledge::Unreadable(why) =
                self.client.keys().aws().role_of(&case.question).await
            {
                all.push(Unread {
                    subject: of_key(&case.key.to_string()),
                    part: Part::Role,
                    why: why.reason,
                    permission: why.permission.map(str::to_owned),
                });
            }
        }
        all
    }

    async fn read_gcp_key(&self, name: &CryptoKeyName, asked: &Asked) -> Read {
        let facts = self.client.keys().gcp().facts_for_plan(name).await;
        let text = name.to_string();
        let mut unread = Vec::new();
        let mut seen = SeenKey {
            location: Some(name.location().to_owned()),
            owner: Some(name.project().to_owned()),
            ..unknown(Cloud::Gcp)
        };
        if matches!(&facts.key, Fact::Unreadable(why) if why.is_missing) {
            seen.state = Some(missing());
            return (seen, unread);
        }
        let key = known(facts.key.clone(), &text, Part::State, &mut unread);
        let versions = known(facts.versions.clone(), &text, Part::State, &mut unread);
        if let (Some(key), Some(versions)) = (&key, &versions) {
            let (state, _) = state_of(key, versions);
            seen.state = Some(state);
            let of = |one: &crate::preflight::gcp::CryptoKeyVersion| {
                let version = Some(one.number.as_str());
                loss(one.destroy_time.as_ref(), LossKind::Deleted, version)
                    .filter(|_| one.state.as_str() == "DESTROY_SCHEDULED")
            };
            seen.losses.extend(versions.iter().filter_map(of));
        }
        seen.rotates = key.as_ref().map(|key| key.rotation_period.is_some());
        let policies = (facts.policies.as_slice(), &facts.roles);
        let others = self.others_on_google(name, policies, asked, &mut unread);
        seen.others = others.await;
        for level in &facts.denied {
            unread.extend(level.unread.iter().map(|why| Unread {
                subject: of_key(&text),
                part: Part::Deny,
                why: why.reason.clone(),
                permission: why.permission.map(str::to_owned),
            }));
        }
        (seen, unread)
    }

    /// Who else may use a key; none where it is not known.
    async fn others_on_google(
        &self,
        name: &CryptoKeyName,
        (policies, roles): (&[PolicyLevel], &BTreeMap<String, Rights>),
        asked: &Asked,
        unread: &mut Vec<Unread>,
    ) -> Option<Vec<SeenOther>> {
        let mut expected = asked.expected.clone();
        for case in &asked.cases {
            if let KeyCheck::Gcp(case) = case {
                let grantees = case.question.usage.grantees();
                expected.extend(grantees.iter().map(|one| one.account.member()));
                let own = case.question.workspace_accounts.iter();
                expected.extend(own.map(|account| account.member()));
            }
        }
        let text = name.to_string();
        let mut all = self
            .expect_agents(name, policies, (&mut expected, unread))
            .await;
        for level in policies {
            let Some(bindings) = known(level.bindings.clone(), &text, Part::Policy, unread) else {
                all = None;
                continue;
            };
            for binding in &bindings {
                let rights = rights_of(&binding.role).or_else(|| roles.get(&binding.role).copied());
                let words = match rights {
                    Some(rights) => [(rights.encrypt, "encrypt"), (rights.decrypt, "decrypt")]
                        .into_iter()
                        .filter(|(has, _)| *has)
                        .map(|(_, word)| word.to_owned())
                        .collect(),
                    // What a role lets do that could not be read is not known to be nothing.
                    None => vec![format!("what {} allows", binding.role)],
                };
                if let (Some(all), false) = (&mut all, words.is_empty()) {
                    all.extend(of_binding(
                        binding,
                        &level.of,
                        words,
                        (name.project(), &expected),
                    ));
                }
            }
        }
        // Without the workspaces it is not known who it is that uses the key for Databricks.
        all.filter(|_| !asked.has_unread_users)
    }

    /// Effect: the service agents of the project of a key are expected to use it: they act for its own disks and buckets. An empty list to begin with;
    /// none where a policy names an agent and it is not known of which project.
    async fn expect_agents(
        &self,
        name: &CryptoKeyName,
        policies: &[PolicyLevel],
        (expected, unread): (&mut BTreeSet<String>, &mut Vec<Unread>),
    ) -> Option<Vec<SeenOther>> {
        if !names_agent(policies, expected) {
            return Some(Vec::new());
        }
        match self
            .client
            .keys()
            .gcp()
            .project_number(name.project())
            .await
        {
            Ok(number) => {
                let agents = [
                    ServiceAccount::compute_agent(&number),
                    ServiceAccount::storage_agent(&number),
                ];
                expected.extend(agents.iter().map(ServiceAccount::member));
                Some(Vec::new())
            }
            Err(error) => {
                unread.push(Unread {
                    subject: of_key(&name.to_string()),
                    part: Part::Policy,
                    why: format!(
                        "the number of the project {}, by which its service agents are known, could not be read: {error}",
                        name.project()
                    ),
                    permission: matches!(error, GcpError::Denied(_))
                        .then(|| "resourcemanager.projects.get".to_owned()),
                });
                None
            }
        }
    }

    async fn read_azure_key(&self, key: &VaultKeyId, asked: &Asked) -> Read {
        let azure = self.client.keys().azure();
        let text = key.to_string();
        let mut unread = Vec::new();
        let mut seen = unknown(Cloud::Azure);
        // Each version that a workspace has; the newest where none is named.
        let mut versions: BTreeSet<VaultKeyId> = BTreeSet::new();
        let (mut workspace, mut grantees) = (None, BTreeSet::new());
        for case in &asked.cases {
            if let KeyCheck::Azure(case) = case {
                versions.insert(case.key.clone());
                workspace = workspace.or_else(|| case.question.workspace.clone());
                let own = case.question.grantees.iter();
                grantees.extend(own.map(|one| one.principal.to_string()));
            }
        }
        if versions.is_empty() {
            versions.insert(key.clone());
        }
        let mut place = None;
        for version in versions {
            let facts = azure
                .facts(&version, None, workspace.as_ref(), &[], Stage::Plan)
                .await;
            let number = version.version();
            let is_missing = matches!(&facts.key, Fact::Unreadable(why) if why.is_missing);
            let state = match known_state(&facts) {
                None if is_missing => Some(missing()),
                state => state,
            };
            if let Absence::Deleted {
                purged: Some(purged),
            } = &facts.absence
            {
                seen.losses.push(Loss {
                    at: *purged,
                    how: LossKind::Deleted,
                    version: None,
                });
            }
            match facts.key {
                Fact::Known(found) => seen.losses.extend(found.expires.map(|at| Loss {
                    at,
                    how: LossKind::Expires,
                    version: number.map(str::to_owned),
                })),
                fact if state.is_none() => drop(known(fact, &text, Part::State, &mut unread)),
                Fact::Unreadable(_) => {}
            }
            // A version that cannot be used is the state of the key for who has it.
            seen.state = match (seen.state.take(), state) {
                (Some(known), _) if known != KeyState::Enabled => Some(known),
                (_, state) => state,
            };
            seen.owner = facts
                .vault_id
                .as_ref()
                .map(|id| id.id().subscription().to_owned());
            if let Fact::Known(vault) = &facts.vault {
                seen.location = Some(vault.location.clone());
            }
            place = Some((facts.vault_id, facts.vault));
        }
        let mut logs = None;
        if let Some((id, vault)) = place {
            if let Some(vault) = known(vault, &text, Part::Vault, &mut unread) {
                let own = (&grantees, &mut unread);
                let others = self.others_on_azure(key, id.as_ref(), vault.access, own);
                seen.others = others.await;
            }
            if let Some(id) = &id {
                logs = self.logs_of(id, &mut unread).await;
            }
        }
        seen.vault = Some(SeenVault {
            name: key.vault().to_owned(),
            logs,
        });
        (seen, unread)
    }
}

/// Whether a policy names a service agent of Compute Engine or Cloud Storage that nothing says is expected.
fn names_agent(policies: &[PolicyLevel], expected: &BTreeSet<String>) -> bool {
    policies.iter().any(|level| match &level.bindings {
        Fact::Unreadable(_) => false,
        Fact::Known(bindings) => bindings
            .iter()
            .flat_map(|binding| &binding.members)
            .any(|member| agent_of(member).is_some() && !expected.contains(member)),
    })
}

/// The last use that could not be read: a refusal is one, and what Google Cloud or Azure never record is none.
fn last_use_unread(key: &Key, last: &LastUse) -> Option<Unread> {
    let why = last.why.as_deref().unwrap_or_default();
    if last.standing != Standing::NotKnown {
        return None;
    }
    let subject = match key {
        // Azure has only the logs of the vault, of which the vault speaks.
        Key::Azure(_) => return None,
        // An API that is off counts once for its project.
        Key::Gcp(name) if why.contains("gcloud services enable") => {
            AuditSubject::of(SubjectKind::Project, name.project())
        }
        // What the inventory does not list proves nothing, and was read.
        Key::Gcp(_) if why.starts_with("Cloud KMS Inventory lists no resource") => return None,
        _ => of_key(&key.to_string()),
    };
    Some(Unread {
        subject,
        part: Part::LastUse,
        why: why.to_owned(),
        permission: last.permission.map(str::to_owned),
    })
}
