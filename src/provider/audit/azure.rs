//! Azure: the workspaces of every subscription that the caller sees, and the keys that they have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::account::{Asked, keys_of_tables};
use super::{AuditOrder, Auditor, Gathered};
use crate::audit::{
    Attached, AuditSubject, HiddenSubscription, Part, SeenWorkspace, SubjectKind, Unread,
    whole_account,
};
use crate::clouds::azure::ArmWorkspace;
use crate::preflight::Stage;
use crate::preflight::azure::AttachedVaultKey;
use crate::provider::cache::lock;
use crate::provider::diagnose::unavailable;
use crate::provider::encryption::keys_on_azure;
use crate::provider::keys::KeyCheck;
use crate::provider::kill_switch::Say;
use crate::vocabulary::{Cloud, Key, UseCase};
use tfplugin::diagnostics::Diagnostics;

/// The ID of a workspace in the report: its number, or its resource ID where Azure shows none.
fn id_of(workspace: &ArmWorkspace) -> String {
    let number = workspace.number().map(|number| number.to_string());
    number.unwrap_or_else(|| workspace.id().to_string())
}

fn seen(workspace: &ArmWorkspace) -> SeenWorkspace {
    let attached = |case| match workspace.key(case) {
        AttachedVaultKey::None => None,
        AttachedVaultKey::Unreadable(text) => Some((case, Attached::Unreadable(text))),
        AttachedVaultKey::Known(key) => {
            let key = Attached::Key {
                configuration: None,
                key: Key::from(key.versionless()).to_string(),
            };
            Some((case, key))
        }
    };
    let tier = workspace.tier();
    SeenWorkspace {
        id: id_of(workspace),
        name: workspace.id().id().name().to_owned(),
        region: workspace.location().map(str::to_owned),
        status: workspace.state().to_owned(),
        pricing_tier: tier.map(str::to_owned),
        // Source: Azure Databricks documentation of customer-managed keys ("Premium plan").
        tier_lacks_keys: tier.is_some_and(|tier| tier.eq_ignore_ascii_case("standard")),
        cloud: Cloud::Azure,
        keys: keys_on_azure(workspace, |case| {
            !matches!(workspace.key(case), AttachedVaultKey::None)
        }),
        attached: UseCase::ALL.into_iter().filter_map(attached).collect(),
        findings: Vec::new(),
    }
}

impl Auditor {
    /// Reads every subscription that the caller sees.
    pub(super) async fn read_azure(
        self: &Arc<Self>,
        order: &AuditOrder,
        gathered: &mut Gathered,
        say: Say<'_>,
    ) -> Result<(), Diagnostics> {
        say("reading subscriptions and workspaces".to_owned());
        gathered.facts.configurations = Some(Vec::new());
        let workspaces = self.azure_workspaces(gathered).await;
        gathered.facts.workspaces = workspaces
            .as_ref()
            .map(|all| all.iter().map(seen).collect());
        let mut asked: BTreeMap<Key, Asked> = BTreeMap::new();
        for workspace in workspaces.iter().flatten() {
            self.ask_azure(workspace, &mut asked).await;
        }
        if order.adopt {
            *lock(&self.arm) = workspaces.unwrap_or_default();
        }
        if gathered.facts.account_id.is_some() {
            self.compare_with_account(gathered).await;
            let tables = self.read_tables(order).await;
            self.take_tables(tables, gathered);
        } else {
            let note = "No account ID is given (`--account-id`), so the catalogs of Unity Catalog and where tables lie were not read, and workspaces in \
                 subscriptions that are not visible are not known.";
            gathered.facts.notes.push(note.to_owned());
        }
        for (key, own) in keys_of_tables(gathered) {
            asked.entry(key).or_insert(own);
        }
        self.read_keys(order, asked, gathered, say).await;
        Ok(())
    }

    /// The workspaces that only the Databricks account knows lie in subscriptions that Resource Manager does not show.
    async fn compare_with_account(&self, gathered: &mut Gathered) {
        let account = match self.client.account().await {
            Ok(account) => account,
            Err(why) => {
                let facts = &mut gathered.facts;
                facts.unread.push(Unread {
                    subject: whole_account(facts.account_id.as_deref(), facts.cloud.as_str()),
                    part: Part::Workspaces,
                    why: format!(
                        "the list of the Databricks account: {}",
                        unavailable(&why).summary
                    ),
                    permission: None,
                });
                return;
            }
        };
        let listed = match self.client.reads().workspaces(account).await {
            Ok(listed) => listed,
            Err(error) => {
                gathered.account_unread(Part::Workspaces, &error);
                return;
            }
        };
        let seen: BTreeSet<String> = gathered
            .facts
            .workspaces
            .iter()
            .flatten()
            .map(|one| one.id.clone())
            .collect();
        let mut hidden: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut homeless = Vec::new();
        for one in listed.values() {
            let is_elsewhere = one.cloud().is_some_and(|cloud| cloud != Cloud::Azure);
            if is_elsewhere || seen.contains(&one.workspace_id.to_string()) {
                continue;
            }
            match one.subscription() {
                Some(id) => hidden
                    .entry(id.to_ascii_lowercase())
                    .or_default()
                    .push(one.in_words()),
                None => homeless.push(one.in_words()),
            }
        }
        let facts = &mut gathered.facts;
        facts.hidden = hidden
            .into_iter()
            .map(|(id, workspaces)| HiddenSubscription { id, workspaces })
            .collect();
        if !homeless.is_empty() {
            facts.unread.push(Unread {
                subject: whole_account(facts.account_id.as_deref(), facts.cloud.as_str()),
                part: Part::Workspaces,
                why: format!(
                    "the account lists workspaces that Resource Manager does not show, and not their subscription: {}",
                    homeless.join(", ")
                ),
                permission: Some("Reader on their subscriptions".to_owned()),
            });
        }
    }

    /// The workspaces; none where no subscription could be listed.
    async fn azure_workspaces(&self, gathered: &mut Gathered) -> Option<Vec<ArmWorkspace>> {
        let cloud = self.client.keys().azure().cloud();
        let own = cloud.settings().subscription.clone();
        let account = whole_account(gathered.facts.account_id.as_deref(), "azure");
        let mut subscriptions = match cloud.subscriptions().await {
            Ok(all) => all,
            Err(error) => {
                gathered.unread(account.clone(), Part::Workspaces, &error.unreadable());
                Vec::new()
            }
        };
        subscriptions.extend(own);
        subscriptions.sort();
        subscriptions.dedup();
        let mut found = None;
        for subscription in &subscriptions {
            let subject = AuditSubject::of(SubjectKind::Subscription, subscription);
            match cloud.workspaces(subscription).await {
                Ok(all) => {
                    let found = found.get_or_insert_with(Vec::new);
                    for one in all {
                        match one {
                            Ok(workspace) => found.push(workspace),
                            Err(error) => gathered.unread(
                                subject.clone(),
                                Part::Workspaces,
                                &error.unreadable(),
                            ),
                        }
                    }
                }
                Err(error) => {
                    let mut why = error.unreadable();
                    let reader = "Microsoft.Databricks/workspaces/read";
                    why.permission = why.permission.or(Some(reader));
                    gathered.unread(subject, Part::Workspaces, &why);
                }
            }
        }
        // Who sees no subscription has read nothing.
        if subscriptions.is_empty() && gathered.facts.unread.is_empty() {
            gathered.facts.unread.push(Unread {
                subject: account,
                part: Part::Workspaces,
                why: "The caller sees no subscription.".to_owned(),
                permission: Some("Reader on the subscriptions".to_owned()),
            });
        }
        found
    }

    /// Adds the checks of a workspace to those of its keys: a key that many workspaces use is proven once.
    async fn ask_azure(&self, workspace: &ArmWorkspace, asked: &mut BTreeMap<Key, Asked>) {
        let azure = self.client.keys().azure();
        for case in UseCase::ALL {
            let Some(check) = azure.check_of(workspace, case, Stage::Plan).await else {
                continue;
            };
            let key = Key::from(check.key.versionless());
            let found = KeyCheck::Azure(Box::new(check));
            let words = format!("{} (\"{}\")", id_of(workspace), workspace.id().id().name());
            asked.entry(key).or_default().add(found, words, case);
        }
    }
}
