//! The account on AWS and Google Cloud: workspaces, key configurations, and the keys of these.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::task::JoinSet;

use super::missing::{Missing, bounded};
use super::{AuditOrder, Auditor, Gathered, SIDE_BY_SIDE};
use crate::audit::{
    Attached, AuditSubject, EncryptedBy, Part, SeenCatalog, SeenConfiguration, SeenLocation,
    SeenWorkspace, SubjectKind, Unread, whole_account,
};
use crate::databricks::Account;
use crate::databricks::key_configurations::KeyConfiguration;
use crate::databricks::unity::Gap;
use crate::databricks::workspaces::Workspace;
use crate::preflight::binding::ConfigurationKey;
use crate::preflight::{Id, Stage};
use crate::provider::catalogs::Catalogs;
use crate::provider::encryption::{StorageKey, keys_of};
use crate::provider::keys::{AttachNeed, KeyCheck, key_of};
use crate::provider::kill_switch::Say;
use crate::provider::locations::{Location, Locations};
use crate::vocabulary::azure::VaultKeyId;
use crate::vocabulary::{AttachedKey, Key, UseCase};
use tfplugin::diagnostics::Diagnostics;

const NO_UNITY_CATALOG: &str = "The policy file turns Unity Catalog off (`unity_catalog = false`): which catalogs have a key, and where tables lie, was not asked.";

/// What a caller would need to be or to have, as what is missing: `be an account admin` is `account admin`.
fn as_a_right(need: &str) -> &str {
    let rest = need.strip_prefix("be ").unwrap_or(need);
    let article = ["an ", "a ", "the "]
        .iter()
        .find_map(|article| rest.strip_prefix(article));
    article.unwrap_or(rest)
}

/// One line for everything that was not seen of all metastores: what is missing is nearly always the same.
fn not_seen(part: Part, gaps: Vec<&Gap>, gathered: &mut Gathered) {
    let why: Vec<String> = gaps
        .iter()
        .map(|gap| format!("{}: {}", gap.what, gap.why))
        .collect();
    let Some(why) = bounded(&why) else {
        return;
    };
    let permissions: BTreeSet<&str> = gaps
        .iter()
        .filter_map(|gap| gap.permission.as_deref())
        .map(as_a_right)
        .collect();
    let permission: Vec<&str> = permissions.into_iter().collect();
    let facts = &mut gathered.facts;
    facts.unread.push(Unread {
        subject: whole_account(facts.account_id.as_deref(), facts.cloud.as_str()),
        part,
        why,
        permission: (!permission.is_empty()).then(|| permission.join(", ")),
    });
}

/// Where tables lie, what of it was not seen, and of which places it is not known by whose key they are encrypted.
fn take_locations(locations: &Locations, catalogs: &Catalogs, gathered: &mut Gathered) {
    let name = |one: &Location| one.url.clone().unwrap_or_else(|| one.name.clone());
    let seen = locations.all.iter().map(|one| SeenLocation {
        url: name(one),
        kind: one.kind,
        metastore: Some(one.metastore_id.clone()),
        encrypted_by: one.protection.by,
        key: one.protection.key.clone(),
        note: one.protection.why.clone(),
    });
    gathered.facts.locations = seen.collect();
    let is_known = |one: &SeenLocation| one.encrypted_by != EncryptedBy::NotKnown;
    gathered.facts.has_all_locations =
        locations.unseen().next().is_none() && gathered.facts.locations.iter().all(is_known);
    // The gaps of catalogs are said with the catalogs, and a finding names the metastores without a workspace.
    let is_own = |gap: &&Gap| {
        let mut unassigned = catalogs.unassigned.keys();
        !catalogs.gaps.contains(gap) && !unassigned.any(|id| gap.what.contains(id.as_str()))
    };
    let own = locations.unseen().filter(is_own);
    not_seen(Part::Locations, own.collect(), gathered);
    let mut missing = Missing::default();
    for one in &locations.all {
        if one.protection.by == EncryptedBy::NotKnown {
            let why = one.protection.why.trim_end_matches('.').to_owned();
            missing.because(name(one), why);
            missing.needs(one.protection.permission);
        }
    }
    missing.note(Part::Encryption, gathered);
}

/// The keys that only catalogs and places of tables have: who loses such a key loses the tables. Nothing of Databricks is asked of them.
/// One whose name cannot be read is not read.
pub(super) fn keys_of_tables(gathered: &mut Gathered) -> BTreeMap<Key, Asked> {
    let facts = &mut gathered.facts;
    let of_locations = facts
        .locations
        .iter()
        .filter(|one| one.encrypted_by == EncryptedBy::OwnKey)
        .filter_map(|one| one.key.as_ref());
    let of_catalogs = facts.catalogs.iter().filter_map(|one| one.key.as_ref());
    let (mut keys, mut unread) = (BTreeMap::new(), Vec::new());
    for name in of_locations.chain(of_catalogs) {
        let key = match name.parse() {
            Ok(Key::Azure(key)) => Key::from(key.versionless()),
            Ok(key) => key,
            Err(error) => {
                unread.push(Unread {
                    subject: AuditSubject::of(SubjectKind::Key, name),
                    part: Part::State,
                    why: error.to_string(),
                    permission: None,
                });
                continue;
            }
        };
        if !facts.keys.contains_key(&key.to_string()) {
            let asked = Asked {
                has_unread_users: facts.workspaces.is_none() || facts.configurations.is_none(),
                ..Asked::default()
            };
            keys.insert(key, asked);
        }
    }
    facts.unread.extend(unread);
    keys
}

/// Catalogs, and where tables lie.
pub(super) type Tables = (Arc<Catalogs>, Locations);

type Configurations = BTreeMap<String, KeyConfiguration>;

/// The key of a key configuration, where it can be examined.
fn known_key(remote: &KeyConfiguration) -> Option<Key> {
    match key_of(remote) {
        ConfigurationKey::Known { key, .. } => Some(key),
        ConfigurationKey::Elsewhere(..)
        | ConfigurationKey::Unreadable(_)
        | ConfigurationKey::Missing => None,
    }
}

/// What a workspace has attached for a use case.
fn attached(
    workspace: &Workspace,
    case: UseCase,
    configurations: Option<&Configurations>,
) -> Option<Attached> {
    let id = match workspace.key(case) {
        AttachedKey::None => return None,
        AttachedKey::Unreadable(text) => return Some(Attached::Unreadable(text)),
        AttachedKey::Known(id) => id.to_string(),
    };
    Some(match configurations.map(|all| all.get(&id)) {
        None => Attached::NotRead { configuration: id },
        Some(None) => Attached::NotListed { configuration: id },
        Some(Some(remote)) => match known_key(remote) {
            Some(key) => Attached::Key {
                configuration: Some(id),
                key: key.to_string(),
            },
            None => Attached::KeyUnreadable { configuration: id },
        },
    })
}

/// A workspace as the audit judges it, with the key of each use case.
fn seen(workspace: &Workspace, configurations: Option<&Configurations>) -> SeenWorkspace {
    let of = |case| attached(workspace, case, configurations);
    let storage = workspace.key(UseCase::Storage);
    let listed = storage
        .known()
        .and_then(|id| configurations?.get(id.as_str()));
    let storage = match (&storage, listed) {
        (AttachedKey::None, _) => StorageKey::None,
        (_, Some(remote)) => StorageKey::Of(remote),
        (_, None) => StorageKey::NotListed,
    };
    let has_managed = workspace.key(UseCase::ManagedServices) != AttachedKey::None;
    let each = UseCase::ACCOUNT.into_iter();
    SeenWorkspace {
        id: workspace.workspace_id.to_string(),
        name: workspace.workspace_name.clone(),
        region: workspace.region().map(str::to_owned),
        status: workspace.workspace_status.to_string(),
        pricing_tier: workspace
            .pricing_tier
            .as_ref()
            .map(|tier| tier.as_str().to_owned()),
        tier_lacks_keys: workspace
            .pricing_tier
            .as_ref()
            .is_some_and(crate::vocabulary::Tier::lacks_customer_managed_keys),
        cloud: workspace.cloud().unwrap_or_default(),
        keys: keys_of(workspace, has_managed, storage),
        attached: each.filter_map(|case| Some((case, of(case)?))).collect(),
        findings: Vec::new(),
    }
}

/// The checks of each key, from all workspaces that have it.
#[derive(Default)]
pub(super) struct Asked {
    /// The questions, each once.
    pub(super) cases: Vec<KeyCheck>,
    seen: BTreeSet<String>,
    /// The workspaces that have it, each for what.
    pub(super) users: BTreeMap<String, Vec<UseCase>>,
    /// Who else is expected to use it: service accounts that Databricks has for its key configurations.
    pub(super) expected: BTreeSet<String>,
    /// Whether workspaces may have it that could not be read.
    pub(super) has_unread_users: bool,
}

impl Asked {
    /// One more that asks.
    pub(super) fn add(&mut self, case: KeyCheck, user: String, use_case: UseCase) {
        self.users.entry(user).or_default().push(use_case);
        // Thousands of workspaces ask the same of a key: the proof runs once for each question, and `users` keeps who asks.
        if self.seen.insert(case.question()) {
            self.cases.push(case);
        }
    }
}

impl Auditor {
    /// Reads an account of AWS or Google Cloud.
    pub(super) async fn read_account(
        self: &Arc<Self>,
        order: &AuditOrder,
        gathered: &mut Gathered,
        say: Say<'_>,
    ) -> Result<(), Diagnostics> {
        let account = self.client.account().await.map_err(Diagnostics::from)?;
        say("reading workspaces, key configurations and credentials".to_owned());
        let reads = self.client.reads();
        let (workspaces, configurations, roles) = tokio::join!(
            reads.workspaces(account),
            reads.configurations(account),
            reads.list_roles(account)
        );
        if let Err(error) = &roles {
            gathered.account_unread(Part::Role, error);
        }
        let configurations = match configurations {
            Ok(all) => Some(all),
            Err(error) => {
                gathered.account_unread(Part::Configurations, &error);
                None
            }
        };
        let workspaces = match workspaces {
            Ok(all) => Some(all),
            Err(error) => {
                gathered.account_unread(Part::Workspaces, &error);
                None
            }
        };
        gathered.facts.configurations = configurations.as_deref().map(|all| {
            let each = all.values().map(|one| SeenConfiguration {
                id: one.customer_managed_key_id.clone(),
                key: known_key(one).map(|key| key.to_string()),
                use_cases: one.use_cases.clone(),
                created: one.creation_time,
            });
            each.collect()
        });
        gathered.facts.workspaces = workspaces.as_deref().map(|all| {
            let each = all.values();
            each.map(|one| seen(one, configurations.as_deref()))
                .collect()
        });
        let none = BTreeMap::new();
        let all = configurations.as_deref().unwrap_or(&none);
        let mut asked: BTreeMap<Key, Asked> = BTreeMap::new();
        for one in all.values() {
            if let Some(key) = known_key(one) {
                let of_key = asked.entry(key).or_default();
                let google = one.gcp_key_info.as_ref();
                let account = google.and_then(|info| info.service_account());
                of_key
                    .expected
                    .extend(account.map(|email| format!("serviceAccount:{email}")));
                of_key.has_unread_users = workspaces.is_none();
            }
        }
        for workspace in workspaces.iter().flat_map(|all| all.values()) {
            self.ask(account, workspace, all, (&mut asked, gathered))
                .await;
        }
        let tables = self.read_tables(order);
        let ((), tables) = tokio::join!(self.read_keys(order, asked, gathered, say), tables);
        self.take_tables(tables, gathered);
        let of_tables = keys_of_tables(gathered);
        self.read_keys(order, of_tables, gathered, say).await;
        self.discover(order, gathered, say).await;
        Ok(())
    }

    /// What metastores have: catalogs, and where tables lie. None where the policy file turns that off.
    pub(super) async fn read_tables(&self, order: &AuditOrder) -> Option<Tables> {
        if !order.unity_catalog {
            return None;
        }
        let catalogs = self.client.catalogs(Stage::Plan).await;
        let locations = self.client.locations(Stage::Plan, None).await;
        Some((catalogs, locations))
    }

    pub(super) fn take_tables(&self, tables: Option<Tables>, gathered: &mut Gathered) {
        match tables {
            None => gathered.facts.notes.push(NO_UNITY_CATALOG.to_owned()),
            Some((catalogs, locations)) => {
                self.take_catalogs(&catalogs, gathered);
                take_locations(&locations, &catalogs, gathered);
            }
        }
    }

    /// The catalogs that have a key, and what of them was not seen.
    pub(super) fn take_catalogs(&self, catalogs: &Catalogs, gathered: &mut Gathered) {
        let facts = &mut gathered.facts;
        facts.has_all_catalogs = catalogs.gaps.is_empty();
        let each = catalogs.keyed().iter().map(|one| {
            // A catalog has the ID of a key configuration, or on Azure a key; one that cannot be read as such is among the gaps.
            let vault_key = one.key.parse::<VaultKeyId>().ok();
            SeenCatalog {
                metastore: one.metastore_id.clone(),
                name: one.name.clone(),
                configuration: vault_key.is_none().then(|| one.key.clone()),
                key: vault_key.map(|key| Key::from(key.versionless()).to_string()),
            }
        });
        facts.catalogs = each.collect();
        facts.without_workspace = catalogs.unassigned.keys().cloned().collect();
        // No right would show what is in a metastore without a workspace, and a finding says so.
        let is_unassigned = |gap: &&Gap| catalogs.unassigned.values().any(|own| own == *gap);
        let gaps = catalogs.gaps.iter().filter(|gap| !is_unassigned(gap));
        not_seen(Part::Catalogs, gaps.collect(), gathered);
    }

    /// What a workspace asks of its keys.
    async fn ask(
        &self,
        account: &Account,
        workspace: &Workspace,
        configurations: &Configurations,
        (asked, gathered): (&mut BTreeMap<Key, Asked>, &mut Gathered),
    ) {
        let facts = workspace.facts();
        for case in UseCase::ACCOUNT {
            let id = workspace.key(case);
            let remote = id.known().and_then(|id| configurations.get(id.as_str()));
            let Some(remote) = remote else {
                continue;
            };
            let need = AttachNeed {
                account,
                reads: self.client.reads(),
                workspace,
                facts: &facts,
                use_case: case,
                stage: Stage::Plan,
            };
            let (found, unknown) =
                KeyCheck::of_configuration(self.client.keys(), &need, remote).await;
            for one in unknown {
                // The account gives out the roles, so that one right is missing and not one of each workspace.
                if one.id == Id::WorkspaceRoleUnreadable {
                    let is_known = gathered
                        .facts
                        .unread
                        .iter()
                        .any(|unread| unread.part == Part::Role);
                    if !is_known {
                        let account_id = gathered.facts.account_id.as_deref();
                        let subject = whole_account(account_id, gathered.facts.cloud.as_str());
                        gathered.facts.unread.push(Unread {
                            subject,
                            part: Part::Role,
                            why: one.found,
                            permission: None,
                        });
                    }
                }
            }
            if let Some(mut found) = found {
                if let KeyCheck::Gcp(one) = &mut found {
                    // These workspaces have the key.
                    one.question.is_relied_on = true;
                }
                let all = asked.entry(found.key()).or_default();
                all.add(found, workspace.in_words(), case);
            }
        }
    }

    /// Reads each key, several side by side.
    pub(super) async fn read_keys(
        self: &Arc<Self>,
        order: &AuditOrder,
        asked: BTreeMap<Key, Asked>,
        gathered: &mut Gathered,
        say: Say<'_>,
    ) {
        let (all, mut done) = (asked.len(), 0);
        if all == 0 {
            return;
        }
        say(format!("reading {all} keys"));
        let account_id = gathered.facts.account_id.clone().unwrap_or_default();
        let mut waiting = asked.into_iter();
        let mut under_way = JoinSet::new();
        loop {
            while under_way.len() < SIDE_BY_SIDE
                && let Some((key, asked)) = waiting.next()
            {
                let (own, order) = (Arc::clone(self), order.clone());
                let account_id = account_id.clone();
                // A call of an SDK is a large future.
                under_way.spawn(Box::pin(async move {
                    let name = key.to_string();
                    let read = own.read_key(&key, asked, &account_id, &order).await;
                    (name, read)
                }));
            }
            match under_way.join_next().await {
                None => break,
                Some(Ok((name, read))) => {
                    gathered.key(name, read);
                    done += 1;
                    if done % 50 == 0 {
                        say(format!("read {done} of {all} keys"));
                    }
                }
                // A key whose reading came to no end is not read, and the loop goes on with the others.
                Some(Err(error)) => {
                    let account_id = gathered.facts.account_id.as_deref();
                    let subject = whole_account(account_id, gathered.facts.cloud.as_str());
                    gathered.facts.unread.push(Unread {
                        subject,
                        part: Part::State,
                        why: format!("the reading of a key broke off: {error}"),
                        permission: None,
                    });
                }
            }
        }
    }
}
