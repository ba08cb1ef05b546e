//! What people and Terraform do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use dbxcmk::simulation::Dbxcmk;
use dbxcmk_sandbox::world::World;
use tfplugin::diagnostics::Severity;
use tfplugin::testing::terraform::{self, Action, Options, Process, Told};
use tfplugin::value::Value;

use super::{LONGEST, MOST_REQUESTS, Party, Ran, Stage};
use crate::history::{End, Written};
use crate::platform::{self, Use};

impl Stage {
    pub(super) async fn destroys(&self) -> Ran {
        let options = Options {
            destroy: true,
            ..Options::default()
        };
        let planned = self.plans(&self.first, &options, None).await;
        if planned.has_errors() {
            return planned;
        }
        self.carries_out(&self.first, planned, None).await
    }

    pub(super) async fn applies(
        &self,
        party: &Party,
        options: &Options,
        end: Option<End>,
        pause: u64,
    ) -> Ran {
        let planned = self.plans(party, options, None).await;
        if planned.has_errors() {
            return planned;
        }
        tokio::time::sleep(Duration::from_secs(pause)).await;
        self.carries_out(party, planned, end).await
    }

    pub(super) async fn plans(&self, party: &Party, options: &Options, end: Option<End>) -> Ran {
        self.network.begins(end);
        let (configuration, state) = (self.configuration(party), party.state());
        let before = state.clone();
        let work = async {
            let process = match Process::start(Dbxcmk, &self.platform.provider()).await {
                Ok(process) => process,
                Err(errors) => return Ran::failed(errors),
            };
            let mut told = terraform::validate(&process, &configuration).await;
            if told.has_errors() {
                return Ran {
                    told,
                    ..Ran::default()
                };
            }
            // A destruction reads with one process, and plans with another.
            let (process, state, options) = match options.destroy {
                false => (process, state, options.clone()),
                true => {
                    let (state, said) = terraform::refresh(&process, &state).await;
                    told.diagnostics.extend(said.diagnostics);
                    told.broken.extend(said.broken);
                    if told.has_errors() {
                        return Ran {
                            told,
                            ..Ran::default()
                        };
                    }
                    let options = Options {
                        refresh: false,
                        ..options.clone()
                    };
                    match Process::start(Dbxcmk, &self.platform.provider()).await {
                        Ok(process) => (process, state, options),
                        Err(errors) => return Ran::failed(errors),
                    }
                }
            };
            let (plan, said) = terraform::plan(&process, &configuration, &state, &options).await;
            told.diagnostics.extend(said.diagnostics);
            told.broken.extend(said.broken);
            Ran {
                told,
                plan: Some(plan),
                is_whole: options.targets.is_empty(),
                ..Ran::default()
            }
        };
        let met = self.network.met();
        let ran = self.bounded("plan", party.machine.run(work)).await;
        self.heard(&format!("plan{}", party.name), &ran);
        if let Some(plan) = &ran.plan {
            self.remembers(&before, plan);
        }
        if let (Some(plan), false, true) = (&ran.plan, ran.has_errors(), met == self.network.met())
            && self.asks_further
            && options.targets.is_empty()
            && !self.are_together.load(Ordering::Relaxed)
        {
            self.silence(party, plan, &ran).await;
        }
        ran
    }

    /// The keys that these uses have.
    fn keys_of(&self, uses: &BTreeSet<Use>) -> BTreeMap<Use, usize> {
        let keys = |world: &mut World| {
            let each = uses.iter();
            each.filter_map(|one| Some((*one, self.platform.key_of(world, *one)?)))
                .collect()
        };
        self.network.services.with(keys)
    }

    /// The keys that somebody lets a key policy take away from those who use them.
    fn forced(&self) -> BTreeSet<usize> {
        let mut forced = BTreeSet::new();
        for party in self.parties() {
            let written = party.written.policies.iter().filter(|one| one.force);
            forced.extend(written.map(|one| one.key));
            for (address, object) in &party.state().objects {
                if *object.value.get("force_destroy") == Value::Bool(true) {
                    forced.extend(key_of_policy(address));
                }
            }
        }
        forced
    }

    pub(super) async fn carries_out(&self, party: &Party, planned: Ran, end: Option<End>) -> Ran {
        let is_whole = planned.is_whole;
        let Some(plan) = planned.plan else {
            return Ran::default();
        };
        let before = self.usable().await;
        let keys_before = self.keys_of(&before);
        let forced = self.forced();
        self.network.begins(end);
        let written: BTreeSet<String> = self.configuration(party).into_keys().collect();
        let (configuration, network) = (self.configuration(party), Arc::clone(&self.network));
        let work = async {
            let process = match Process::start(Dbxcmk, &self.platform.provider()).await {
                Ok(process) => process,
                Err(errors) => return Ran::failed(errors),
            };
            let mut was_interrupted = false;
            let mut work = Box::pin(terraform::apply(
                &process,
                &configuration,
                &plan,
                &party.saved,
            ));
            loop {
                tokio::select! {
                    biased;
                    () = network.killed.notified() => {
                        return Ran { was_killed: true, ..Ran::default() };
                    }
                    () = network.interrupted.notified() => {
                        was_interrupted = true;
                        process.interrupt();
                    }
                    told = &mut work => return Ran { told, was_interrupted, ..Ran::default() },
                }
            }
        };
        let ran = self.bounded("apply", party.machine.run(work)).await;
        self.heard(&format!("apply{}", party.name), &ran);
        if ran.was_killed || ran.was_interrupted {
            self.was_cut_short.store(true, Ordering::Relaxed);
        }
        let after = self.usable().await;
        // Others act only between commands: what is lost here, this one took, unless Databricks went back to what a workspace had before.
        let attached = self.uses().await;
        let forced = &forced | &self.forced();
        for lost in before.difference(&after) {
            let key = keys_before.get(lost);
            let has_reverted = self.network.has_reverted() && !attached.contains_key(lost);
            if has_reverted || key.is_none_or(|key| forced.contains(key)) {
                continue;
            }
            self.network
                .wrong(format!("an apply took the key from {lost:?}"));
        }
        if !ran.has_errors() {
            self.is_done(party, &plan);
            self.agrees(party, &plan, &before, &after);
            // Where nothing ever went wrong, nothing is left to do.
            let is_alone = !self.are_together.load(Ordering::Relaxed);
            if self.asks_further
                && is_alone
                && self.network.met() == 0
                && is_whole
                // A key policy that takes access away although a workspace needs it leaves the binding to give it back.
                && forced.is_empty()
                && plan.changes.len() == written.len()
                && !plan.changes.iter().any(|(address, change)| {
                    change.action == Action::Delete && written.contains(address)
                })
            {
                let makes_identities = self.platform.makes_identities(&plan)
                    || self.was_cut_short.load(Ordering::Relaxed);
                self.has_nothing_to_do(party, "an undisturbed apply", makes_identities)
                    .await;
            }
        }
        ran
    }

    pub(super) async fn bounded(&self, what: &str, work: impl Future<Output = Ran>) -> Ran {
        let ran = tokio::time::timeout(LONGEST, work).await;
        if self.network.sent_by_command() > MOST_REQUESTS {
            self.network.wrong(format!(
                "{what} sent {} requests",
                self.network.sent_by_command()
            ));
        }
        ran.unwrap_or_else(|_| {
            self.network
                .wrong(format!("{what} did not end within {LONGEST:?}"));
            Ran::default()
        })
    }

    /// Checks the diagnostics of a command: nothing that breaks Terraform's rules, no fault of the
    /// provider's own, and no secret.
    pub(super) fn heard(&self, what: &str, ran: &Ran) {
        for broken in &ran.told.broken {
            self.network.wrong(broken.clone());
        }
        for (address, one) in &ran.told.diagnostics {
            let kind = match one.severity {
                Severity::Error => "error",
                _ => "warning",
            };
            self.said
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((address.clone(), one.clone()));
            let first = one.detail.lines().next().unwrap_or_default();
            self.network
                .tell(format!("  {kind} {address}: {} | {first}", one.summary));
            let text = format!("{} {}", one.summary, one.detail);
            if text.contains("a bug in the") {
                self.network.wrong(format!("{what}: {text}"));
            }
            for (secret, of) in self.platform.secrets() {
                if text.contains(secret) {
                    self.network
                        .wrong(format!("a diagnostic shows a secret of {of}"));
                }
            }
        }
        let end = match (ran.was_killed, ran.told.has_errors()) {
            (true, _) => "killed",
            (false, true) => "failed",
            (false, false) => "done",
        };
        let changes = ran.plan.iter().flat_map(|plan| &plan.changes);
        let changes: Vec<String> = changes
            .filter(|(_, change)| change.action != Action::NoOp)
            .map(|(address, change)| format!("{:?} {address}", change.action))
            .collect();
        self.network
            .tell(format!("  {what} {end} {}", changes.join(", ")));
    }

    pub(super) async fn invokes(&self, kind: &str, config: Value) -> Ran {
        self.network.begins(None);
        let work = async {
            let process = match Process::start(Dbxcmk, &self.platform.provider()).await {
                Ok(process) => process,
                Err(errors) => return Ran::failed(errors),
            };
            match process.invoke(kind, &config).await {
                Ok(says) => {
                    says.iter()
                        .for_each(|line| self.network.tell(format!("  says {line}")));
                    Ran {
                        says,
                        ..Ran::default()
                    }
                }
                Err(errors) => Ran::failed(errors),
            }
        };
        let ran = self.bounded(kind, self.first.machine.run(work)).await;
        self.heard(kind, &ran);
        ran
    }

    pub(super) async fn disables(&mut self, key: usize, acknowledges: bool) {
        let before = self.key_state(key);
        let users = |world: &mut World| self.platform.users(world, key);
        let users = self.network.services.with(users);
        let acknowledged = match acknowledges {
            true => users.clone(),
            false => BTreeSet::new(),
        };
        let config = Value::map([
            ("acknowledged_workspace_ids", platform::texts(&acknowledged)),
            ("acknowledge_former_key", Value::Bool(true)),
            self.platform.key(key),
        ]);
        let ran = self.invokes("dbxcmk_disable_key", config).await;
        let after = self.key_state(key);
        // A user who sees an old state of the key may take away what another one has taken already.
        if self.network.is_behind() {
            self.theirs.remove(&key);
        }
        if after.versions != before.versions {
            if acknowledged != users {
                self.network.wrong(format!(
                    "key {key} was taken from {users:?}, who were not acknowledged"
                ));
            }
            self.taken.entry(key).or_insert(before);
        }
        if !ran.has_errors() && !after.is_off() {
            self.network.wrong(format!(
                "key {key} is disabled, it is said, and it is {after:?}"
            ));
        }
    }

    pub(super) async fn restores(&mut self, key: usize) {
        let before = self.key_state(key);
        let config = Value::map([self.platform.key(key)]);
        let ran = self.invokes("dbxcmk_restore_key", config).await;
        let after = self.key_state(key);
        if self.theirs.contains(&key) && before.is_off() && !after.is_off() {
            self.network.wrong(format!(
                "key {key} was enabled, which somebody else has disabled"
            ));
        }
        let Some(taken) = self.taken.get(&key).filter(|_| !ran.has_errors()) else {
            return;
        };
        // A user who sees an old state of the key cannot tell when all of it is back.
        if self.network.is_behind() {
            self.taken.remove(&key);
            return;
        }
        // A mark that a service does not let go of is named, with the command that removes it.
        let mut says = ran.says.iter();
        let is_left = says.any(|line| line.contains("could not be removed"));
        if taken.versions != after.versions || !after.marks.is_empty() && !is_left {
            self.network.wrong(format!(
                "key {key} was {taken:?}, and is {after:?} after it was restored"
            ));
        }
        self.taken.remove(&key);
    }

    /// Imports what messages say that the user shall import; whether there was such a message.
    pub(super) async fn imports(&self, party: &Party, ran: &Ran) -> bool {
        let named = ran.told.diagnostics.iter().filter_map(|(address, one)| {
            let rest = one.detail.split_once("import {")?.1;
            let (kind, _) = address.split_once('.')?;
            let _ = rest.split_once(&format!("to = {kind}."))?;
            let id = rest.split_once("id = \"")?.1.split_once('"')?.0;
            Some((address.clone(), id.to_owned()))
        });
        let named: Vec<(String, String)> = named.collect();
        for (address, id) in &named {
            if self.import(party, address, id).await.has_errors() {
                self.network.wrong(format!(
                    "an import that a message asks for fails: {address} {id}"
                ));
            }
        }
        !named.is_empty()
    }

    pub(super) async fn import(&self, party: &Party, address: &str, id: &str) -> Told {
        self.network.tell(format!("imports {address} {id}"));
        self.network.begins(None);
        let mut state = party.state();
        let work = async {
            match Process::start(Dbxcmk, &self.platform.provider()).await {
                Ok(process) => process.import(&mut state, address, id).await,
                Err(errors) => Ran::failed(errors).told,
            }
        };
        let told = party.machine.run(work).await;
        party.keeps(state);
        told
    }

    /// The state loses an object, and gets it back by an import: as it was, without a change.
    pub(super) async fn imports_again(&self, address: &str) {
        let before = self.first.state();
        let Some(object) = before.objects.get(address) else {
            return;
        };
        let Some(id) = self.platform.import_id(address, &object.value) else {
            return;
        };
        let mut without = before.clone();
        without.objects.remove(address);
        self.first.keeps(without);
        let met = self.network.met();
        let told = self.import(&self.first, address, &id).await;
        let ran = Ran {
            told,
            ..Ran::default()
        };
        self.heard("import", &ran);
        if ran.has_errors() {
            // A user who cannot import returns to the state from before.
            self.first.keeps(before);
        } else if met == self.network.met() && !self.first.state().objects.contains_key(address) {
            self.network.wrong(format!(
                "an import succeeds, and the state has no {address}"
            ));
        }
    }

    pub(super) async fn both_apply(&self) -> [Ran; 2] {
        let options = Options::default();
        let first = self.applies(&self.first, &options, None, 1).await;
        let second = match self.second.written == Written::default() {
            true => Ran::default(),
            false => self.applies(&self.second, &options, None, 1).await,
        };
        [first, second]
    }
}

/// The key of a policy by its name in a configuration: `p1`, `p1of0`, `extra1`, `second1`.
pub(super) fn key_of_policy(address: &str) -> Option<usize> {
    let digits = address
        .chars()
        .skip_while(|c| !c.is_ascii_digit())
        .take_while(char::is_ascii_digit);
    digits.collect::<String>().parse().ok()
}
