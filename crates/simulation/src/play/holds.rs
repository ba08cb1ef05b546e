//! What must hold, asked of the services themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use dbxcmk::simulation::Dbxcmk;
use dbxcmk_sandbox::world::World;
use tfplugin::diagnostics::Severity;
use tfplugin::testing::terraform::{self, Action, Options, Plan, Process};
use tfplugin::value::Value;

use super::commands::key_of_policy;
use super::{Party, Ran, Stage};
use crate::history::Written;
use crate::platform::{self, Use};
use crate::shown;

/// The attributes of a binding that name its keys.
const KEYS: [&str; 3] = [
    "managed_services_key_configuration_id",
    "storage_key_configuration_id",
    "managed_disks_key_configuration_id",
];

impl Stage {
    /// A review of the plan that was applied says what the plan and the apply did.
    pub(super) fn agrees(
        &self,
        party: &Party,
        plan: &Plan,
        before: &BTreeSet<Use>,
        after: &BTreeSet<Use>,
    ) {
        let json = shown::plan(plan, &self.configuration(party)).to_string();
        let report = match dbxcmk::simulation::review(&json) {
            Ok(report) => report,
            Err(error) => {
                return self
                    .network
                    .wrong(format!("a plan cannot be reviewed: {error}"));
            }
        };
        for (address, change) in &plan.changes {
            if !address.starts_with("dbxcmk_workspace_binding.") {
                continue;
            }
            let old = plan.refreshed.objects.get(address).map(|one| &one.value);
            let keys = |value: &Value| KEYS.map(|name| value.get(name).clone());
            let is_changed = change.action != Action::Delete
                && old.is_none_or(|old| keys(old) != keys(&change.planned));
            let lines = report.workspaces.iter();
            let is_told = lines.clone().any(|line| line.address == *address);
            if is_changed && !is_told {
                self.network.wrong(format!(
                    "{address} gets other keys, and the review does not say so"
                ));
            }
            if change.action == Action::NoOp && is_told {
                self.network.wrong(format!(
                    "nothing of {address} changes, and the review says that it does"
                ));
            }
        }
        let lost = before.difference(after).next();
        for one in report.of(dbxcmk::simulation::Level::Error) {
            // A review does not see IAM, whose policies may give the cross-account role what a key policy no longer does; the plan does.
            let may_be_given_by_iam = one.id.name() == "permissions-lost";
            if lost.is_none() && !may_be_given_by_iam {
                self.network.wrong(format!(
                    "a review says before an apply that takes nothing from anybody: {} {} {}",
                    one.id, one.address, one.summary
                ));
            }
        }
        if let Some(lost) = lost
            && report.level.is_none()
        {
            self.network.wrong(format!(
                "an apply takes the key from {lost:?}, and the review of its plan has nothing to say"
            ));
        }
    }

    /// For what workspaces have keys, and whether those can be used, as the services themselves decide.
    pub(super) async fn uses(&self) -> BTreeMap<Use, bool> {
        let uses = self.platform.uses(&self.network.services);
        self.network.machine.run(uses).await
    }

    /// What can be used now.
    pub(super) async fn usable(&self) -> BTreeSet<Use> {
        let uses = self.uses().await.into_iter();
        uses.filter(|(_, is_usable)| *is_usable)
            .map(|(one, _)| one)
            .collect()
    }

    /// A plan that shows no change and no diagnostic says that all is well: then it must be.
    pub(super) async fn silence(&self, party: &Party, plan: &Plan, ran: &Ran) {
        let is_silent = plan.is_empty() && ran.told.diagnostics.is_empty();
        self.asks(is_silent.then_some(&party.written)).await;
        if !is_silent {
            return;
        }
        self.asks_of_the_kill_switch().await;
        // A plan rests on what the services show, and these may show an old state.
        if self.network.was_behind() {
            return;
        }
        let bound = party.written.bindings.iter();
        let bound: BTreeSet<usize> = bound.map(|one| one.workspace).collect();
        for ((workspace, case), is_usable) in self.uses().await {
            if !is_usable && bound.contains(&workspace) {
                self.network.wrong(format!(
                    "a plan says nothing of the {case} key of workspace {workspace}, which cannot be used"
                ));
            }
        }
    }

    /// A plan forgets only what is gone: what could not be read is not gone.
    pub(super) fn remembers(&self, before: &terraform::State, plan: &Plan) {
        let is_told_by_others = self.are_together.load(Ordering::Relaxed);
        if is_told_by_others || self.network.was_behind() {
            return;
        }
        let forgotten = before.objects.iter();
        for (address, object) in
            forgotten.filter(|(address, _)| !plan.refreshed.objects.contains_key(*address))
        {
            let id = object.value.get("id").as_str().unwrap_or_default();
            let is_listed = |world: &mut World| world.now.configurations.contains_key(id);
            let is_there = match address.split_once('.') {
                Some(("dbxcmk_key_configuration", _)) => self.network.services.with(is_listed),
                Some(("dbxcmk_key_policy", _)) => {
                    key_of_policy(address).is_some_and(|key| !self.key_state(key).is_off())
                }
                _ => false,
            };
            if is_there {
                self.network
                    .wrong(format!("a plan forgets {address}, which is there"));
            }
        }
    }

    /// What an apply has promised is there.
    pub(super) fn is_done(&self, party: &Party, plan: &Plan) {
        let state = party.state();
        for one in &party.written.bindings {
            let address = format!("dbxcmk_workspace_binding.{}", one.name);
            let Some(change) = plan.changes.get(&address) else {
                continue;
            };
            if matches!(change.action, Action::NoOp | Action::Delete) {
                continue;
            }
            let Some(object) = state.objects.get(&address) else {
                self.network
                    .wrong(format!("an apply is done, and the state has no {address}"));
                continue;
            };
            // Who watches for less time than an update takes may miss that it is undone in the end; and who was cut short has sent what the next
            // apply finds there, and does not watch.
            let is_short = matches!(one.settle.as_deref(), Some("0s" | "30s"));
            let is_short = is_short || self.was_cut_short.load(Ordering::Relaxed);
            if is_short && self.network.has_reverted() {
                continue;
            }
            for case in one.keys.keys() {
                let attribute = match *case {
                    "STORAGE" => "storage_key_configuration_id",
                    "MANAGED_DISKS" => "managed_disks_key_configuration_id",
                    _ => "managed_services_key_configuration_id",
                };
                let wanted = object.value.get(attribute).as_str().unwrap_or_default();
                let used = (one.workspace, *case);
                let has = |world: &mut World| self.platform.has(world, used, wanted);
                if !self.network.services.with(has) {
                    self.network
                        .wrong(format!("an apply is done, and {used:?} has not {wanted}"));
                }
            }
        }
    }

    /// A readiness check says the same of keys as the services do, and as a plan does. `silent`: the configuration of which a plan of this moment
    /// had nothing to say.
    pub(super) async fn asks(&self, silent: Option<&Written>) {
        let uses = self.uses().await;
        let mut by_key: BTreeMap<(usize, usize), Vec<&'static str>> = BTreeMap::new();
        for (workspace, case) in uses.keys() {
            let key = |world: &mut World| self.platform.key_of(world, (*workspace, *case));
            if let Some(key) = self.network.services.with(key) {
                by_key.entry((*workspace, key)).or_default().push(case);
            }
        }
        for ((workspace, key), cases) in by_key {
            let config = |world: &mut World| self.platform.readiness(world, workspace, key, &cases);
            let config = self.network.services.with(config);
            self.network.begins(None);
            let met = self.network.met();
            let work = async {
                let process = Process::start(Dbxcmk, &self.platform.provider()).await?;
                process.data("dbxcmk_key_readiness", &config).await
            };
            let Ok(found) = self.first.machine.run(work).await else {
                continue;
            };
            if met != self.network.met() || self.network.is_behind() {
                continue;
            }
            let ready = *found.get("ready") == Value::Bool(true);
            let is_usable = cases
                .iter()
                .all(|case| uses.get(&(workspace, *case)) == Some(&true));
            if ready && !is_usable {
                self.network.wrong(format!(
                    "key {key} is ready for {cases:?}, it is said, and cannot be used"
                ));
            }
            let has_errors = match found.get("findings") {
                Value::List(all) => all
                    .iter()
                    .any(|one| one.get("severity").as_str() == Some("error")),
                _ => false,
            };
            let is_silent = silent.is_some_and(|written| {
                let mut bindings = written.bindings.iter();
                bindings.any(|one| one.workspace == workspace)
            });
            if is_silent && has_errors {
                self.network.wrong(format!(
                    "a plan has nothing to say, and readiness says of key {key}: {:?}",
                    found.get("findings")
                ));
            }
        }
    }

    /// The kill switch says of a key what the services say: whether it is there to be used, and who stops without it.
    pub(super) async fn asks_of_the_kill_switch(&self) {
        let uses = self.uses().await;
        let of = |used: &Use| {
            let key = |world: &mut World| self.platform.key_of(world, *used);
            self.network.services.with(key)
        };
        let keys: BTreeSet<usize> = uses.keys().filter_map(of).collect();
        for key in keys {
            self.network.begins(None);
            let met = self.network.met();
            let config = Value::map([self.platform.key(key)]);
            let work = async {
                let process = Process::start(Dbxcmk, &self.platform.provider()).await?;
                process.data("dbxcmk_revocation_impact", &config).await
            };
            let found = self.first.machine.run(work).await;
            if met != self.network.met() || self.network.is_behind() {
                continue;
            }
            let Ok(found) = found else {
                self.network
                    .wrong(format!("the impact of key {key} cannot be read"));
                continue;
            };
            let is_off = self.key_state(key).is_off();
            if is_off && found.get("state").as_str() == Some("Enabled") {
                self.network
                    .wrong(format!("key {key} is enabled, it is said, and it is off"));
            }
            let users = |world: &mut World| self.platform.users(world, key);
            // On Azure one names a workspace by its number or by its resource ID, so that they are counted; who had the key until a day ago counts
            // too.
            let users = self.network.services.with(users);
            let is_all = matches!(found.get("acknowledgement"), Value::List(all) if all.len() >= users.len());
            if !is_all {
                self.network.wrong(format!(
                    "key {key} is used by {users:?}, and this is to be acknowledged: {:?}",
                    found.get("acknowledgement")
                ));
            }
        }
    }

    /// What other owners have is as they left it.
    pub(super) fn look(&self) {
        let lost = |world: &mut World| self.platform.lost(world, &self.others);
        let late = self.network.late_policies();
        for one in self.network.services.with(lost) {
            // Who reads a workspace or the labels of a key to send them back cannot tell that something of them was left out.
            let is_of_a_key = one.starts_with("a label of key") || one.starts_with("a tag of key");
            if one.starts_with("a field of a workspace") && self.network.mangled_a_workspace()
                || is_of_a_key && self.network.mangled_a_key()
                || late
                    .iter()
                    .any(|(asked, answer)| self.platform.was_hidden(&one, asked, answer))
            {
                continue;
            }
            self.network
                .wrong(format!("what is somebody else's is gone: {one}"));
        }
        let states = self.parties().map(Party::state);
        for (address, object) in states.iter().flat_map(|state| &state.objects) {
            let text = format!(
                "{:?} {}",
                object.value,
                String::from_utf8_lossy(&object.private)
            );
            for (secret, of) in self.platform.secrets() {
                if text.contains(secret) {
                    self.network
                        .wrong(format!("the state of {address} shows a secret of {of}"));
                }
            }
            if !object.value.is_wholly_known() {
                self.network
                    .wrong(format!("the state of {address} has something unknown"));
            }
        }
    }

    /// Nothing is there twice, and nothing is left to do.
    pub(super) async fn is_settled(&self) {
        let states = self.parties().map(Party::state);
        let objects = states.iter().flat_map(|state| &state.objects);
        let managed: BTreeSet<String> = objects
            .filter(|(address, _)| address.starts_with("dbxcmk_key_configuration."))
            .filter_map(|(_, object)| object.value.get("id").as_str().map(str::to_owned))
            .collect();
        let twice = |world: &mut World| platform::duplicates(world, &managed);
        for one in self.network.services.with(twice) {
            // When two people create the same at the same time and answers are lost, the provider cannot tell whose object is whose: it has
            // shown both to the user, who must choose.
            let id = one.split_once(' ').map_or(one.as_str(), |(id, _)| id);
            let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            let is_told = said
                .iter()
                .any(|(_, one)| one.severity == Severity::Error && one.detail.contains(id));
            drop(said);
            if is_told {
                continue;
            }
            self.network
                .wrong(format!("a key configuration was made twice: {one}"));
        }
        for party in self.parties() {
            self.has_nothing_to_do(party, "two applies", false).await;
        }
    }

    /// A plan of this moment is empty. `but_for_policies`: the apply has made identities that key policies give access to with the next one.
    pub(super) async fn has_nothing_to_do(
        &self,
        party: &Party,
        after: &str,
        but_for_policies: bool,
    ) {
        let met = self.network.met();
        let planned = self.plans(party, &Options::default(), None).await;
        if met != self.network.met() {
            return;
        }
        if planned.has_errors() {
            self.network.wrong(format!("a plan after {after} fails"));
        }
        if let Some(plan) = planned.plan.filter(|plan| !plan.is_empty()) {
            let changes: Vec<String> = plan
                .changes
                .iter()
                .filter(|(_, change)| change.action != Action::NoOp)
                .filter(|(address, _)| {
                    !but_for_policies || !address.starts_with("dbxcmk_key_policy.")
                })
                .map(|(address, change)| format!("{address}{}", difference(&plan, address, change)))
                .collect();
            if changes.is_empty() {
                return;
            }
            self.network
                .wrong(format!("a plan after {after} is not empty: {changes:?}"));
        }
    }
}

/// Which attributes of an object a change sets to what.
fn difference(plan: &Plan, address: &str, change: &terraform::Change) -> String {
    let (Some(before), Value::Map(planned)) =
        (plan.refreshed.objects.get(address), &change.planned)
    else {
        return String::new();
    };
    let differ = planned
        .iter()
        .filter(|(name, value)| before.value.get(name) != *value);
    let shown = differ.map(|(name, value)| {
        let old = shown::known(before.value.get(name));
        format!(" {name}: {old} -> {}", shown::known(value))
    });
    shown.collect()
}
