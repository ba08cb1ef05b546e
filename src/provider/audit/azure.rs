//! Azure: the workspaces of every subscription that the caller sees, and the keys that they have.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::account::{Asked, NO_LOCATIONS};
use super::{AuditOrder, Auditor, Gathered};
use crate::audit::{
    Attached, AuditSubject, Part, SeenWorkspace, SubjectKind, Unread, whole_account,
};
use crate::clouds::azure::ArmWorkspace;
use crate::preflight::Stage;
use crate::preflight::azure::AttachedVaultKey;
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
        if gathered.facts.account_id.is_some() {
            let catalogs = self.client.catalogs(Stage::Plan).await;
            self.take_catalogs(&catalogs, gathered);
            // A key that only a catalog has is a key of the report, too.
            for key in gathered
                .facts
                .catalogs
                .iter()
                .filter_map(|one| one.key.as_ref())
            {
                if let Ok(key) = key.parse::<Key>() {
                    asked.entry(key).or_default();
                }
            }
        } else {
            let note = "No account ID is given, so the catalogs of Unity Catalog were not read, and workspaces in subscriptions that are not \
                 visible are not known.";
            gathered.facts.notes.push(note.to_owned());
        }
        self.read_keys(order, asked, gathered, say).await;
        gathered.facts.notes.push(NO_LOCATIONS.to_owned());
        Ok(())
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
