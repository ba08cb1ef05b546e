//! A history, played: every event in its turn, and after each the question whether what must hold still holds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dbxcmk::simulation::Dbxcmk;
use dbxcmk_sandbox::world::World;
use doors::{Machine, Writing};
use tfplugin::diagnostics::{Diagnostic, Diagnostics, Severity};
use tfplugin::testing::terraform::{
    self, Action, Configuration, Options, Plan, Process, State, Told,
};
use tfplugin::value::Value;
use time::OffsetDateTime;

use crate::history::{Disk, End, Event, History, Other, Written};
use crate::listener::Listener;
use crate::network::Network;
use crate::platform::{self, KeyState, Others, Platform, Use};
use crate::shown;

/// The attributes of a binding that name its keys.
const KEYS: [&str; 3] = [
    "managed_services_key_configuration_id",
    "storage_key_configuration_id",
    "managed_disks_key_configuration_id",
];

/// What came of a history.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What must never be, and was.
    pub wrong: Vec<String>,
    /// What happened, a line each.
    pub story: Vec<String>,
    /// How many requests were sent.
    pub requests: u64,
    /// How many mishaps were met.
    pub mishaps: usize,
    /// How long it took, on its own clock.
    pub took: Duration,
}

/// How long a command may take at most, on its own clock: the longest timeouts, and a margin.
const LONGEST: Duration = Duration::from_secs(4 * 3600);
/// How many requests a command may send at most.
const MOST_REQUESTS: u64 = 3000;

/// In one of so many histories, every line of the log is read.
const LISTENS_EVERY: u64 = 8;

/// Plays a history.
pub fn play(history: &History) -> Outcome {
    let listener = Listener::new(
        platform::of(history.cloud).secrets(),
        history.seed.is_multiple_of(LISTENS_EVERY),
    );
    match alone(history.seed, &listener, on_stage(history)) {
        Ok(mut outcome) => {
            outcome.wrong.extend(listener.found());
            outcome
        }
        Err(wrong) => Outcome {
            wrong: vec![wrong],
            ..Outcome::default()
        },
    }
}

/// Runs something on a clock and with randomness of its own, on a network that it lays.
pub(crate) fn alone<T>(
    seed: u64,
    listener: &Listener,
    work: impl Future<Output = T>,
) -> Result<T, String> {
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| format!("there is no runtime: {error}"))?;
    let guard = tracing::subscriber::set_default(listener.clone());
    let work = || runtime.block_on(work);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    drop(guard);
    let _ = dbxcmk::simulation::connect(None);
    outcome.map_err(|_| "a panic".to_owned())
}

/// Somebody who runs Terraform: a machine, a state, and what is written.
pub(crate) struct Party {
    name: &'static str,
    machine: Machine,
    saved: Mutex<State>,
    written: Written,
}

impl Party {
    fn new(name: &'static str, today: OffsetDateTime) -> Self {
        Self {
            name,
            machine: Machine::new(today),
            saved: Mutex::default(),
            written: Written::default(),
        }
    }

    pub(crate) fn state(&self) -> State {
        self.saved
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn keeps(&self, state: State) {
        *self.saved.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

pub(crate) struct Stage {
    pub(crate) network: Arc<Network>,
    /// Whose configuration a history is about.
    pub(crate) first: Party,
    /// Who has another configuration, and works at the same time.
    second: Party,
    /// Whether both work now, so that what one sees may be over when somebody asks after it.
    are_together: AtomicBool,
    /// Whether an apply was cut short, so that what it sent may still be under way.
    was_cut_short: AtomicBool,
    platform: &'static dyn Platform,
    /// What somebody else has put there.
    others: Others,
    /// The state of each key before the kill switch took it, where nobody else has touched it since.
    taken: BTreeMap<usize, KeyState>,
    /// The keys that somebody else has disabled while they were enabled, and nobody has enabled since.
    theirs: BTreeSet<usize>,
    /// What was said since somebody last asked.
    pub(crate) said: Mutex<Vec<(String, Diagnostic)>>,
    /// Whether what must hold is looked for by further commands.
    pub(crate) asks_further: bool,
}

async fn on_stage(history: &History) -> Outcome {
    let began = tokio::time::Instant::now();
    let mut stage = Stage::set(history);
    let network = Arc::clone(&stage.network);
    for event in &history.events {
        stage.happens(event).await;
        stage.look();
        if !network.wrongs().is_empty() {
            break;
        }
    }
    if network.wrongs().is_empty() {
        stage.calms_down(history.keys).await;
    }
    Outcome {
        wrong: network.wrongs(),
        story: network.story(),
        requests: network.sent(),
        mishaps: network.met(),
        took: began.elapsed(),
    }
}

/// How a command ended.
#[derive(Clone, Debug, Default)]
struct Ran {
    told: Told,
    plan: Option<Plan>,
    was_killed: bool,
    was_interrupted: bool,
}

impl Ran {
    fn has_errors(&self) -> bool {
        self.was_killed || self.was_interrupted || self.told.has_errors()
    }

    fn failed(errors: Diagnostics) -> Self {
        let mut ran = Self::default();
        let errors = errors.iter().cloned();
        ran.told.diagnostics = errors.map(|one| (String::new(), one)).collect();
        ran
    }
}

impl Stage {
    /// The stage as a history begins, with the network of this thread.
    pub(crate) fn set(history: &History) -> Self {
        // 2026-01-01T00:00:00Z
        let today = OffsetDateTime::from_unix_timestamp(1_767_225_600)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let platform = platform::of(history.cloud);
        let network = Arc::new(Network::new(
            platform,
            platform::services(platform, history.keys),
            Machine::new(today),
            history.mishaps.clone(),
        ));
        let wire: Arc<dyn dbxcmk::simulation::Wire> = Arc::clone(&network) as _;
        if let Err(failure) = dbxcmk::simulation::connect(Some(wire)) {
            network.wrong(format!("the network cannot be laid: {failure}"));
        }
        Self {
            network,
            first: Party::new("", today),
            second: Party::new(" of the second", today),
            are_together: AtomicBool::new(false),
            was_cut_short: AtomicBool::new(false),
            platform,
            others: platform.others(history.keys),
            taken: BTreeMap::new(),
            theirs: BTreeSet::new(),
            said: Mutex::default(),
            asks_further: true,
        }
    }

    fn parties(&self) -> [&Party; 2] {
        [&self.first, &self.second]
    }

    fn configuration(&self, party: &Party) -> Configuration {
        self.platform.configuration(&party.written)
    }

    /// What a party writes is in its directory.
    fn writes(&self, party: &Party) {
        let text = platform::text(&self.configuration(party));
        party.machine.with(|inside| {
            let file = PathBuf::from("./main.tf");
            inside.disk.files.insert(file, text.into_bytes());
        });
    }

    pub(crate) async fn happens(&mut self, event: &Event) {
        self.network.tell(match event {
            Event::Writes(written) => format!("writes {written:#?}"),
            other => format!("{other:?}"),
        });
        match event {
            Event::Writes(written) => {
                self.first.written = written.clone();
                self.writes(&self.first);
            }
            Event::Plans => drop(self.plans(&self.first, &Options::default(), None).await),
            Event::Applies {
                end,
                pause,
                target,
                replace,
            } => {
                let options = Options {
                    targets: target.iter().cloned().collect(),
                    replace: replace.iter().cloned().collect(),
                    ..Options::default()
                };
                drop(self.applies(&self.first, &options, *end, *pause).await);
            }
            Event::Together(written) => {
                self.second.written = written.clone();
                self.writes(&self.second);
                let options = Options::default();
                let first = self.applies(&self.first, &options, None, 5);
                let second = self.applies(&self.second, &options, None, 5);
                self.are_together.store(true, Ordering::Relaxed);
                drop(tokio::join!(first, second));
                self.are_together.store(false, Ordering::Relaxed);
            }
            Event::Destroys => drop(self.destroys().await),
            Event::Imports(address) => self.imports_again(address).await,
            Event::Jumps(seconds) => self.first.machine.with(|inside| {
                inside.jump(time::Duration::seconds(*seconds));
            }),
            Event::DisablesKey { key, acknowledges } => self.disables(*key, *acknowledges).await,
            Event::RestoresKey(key) => self.restores(*key).await,
            Event::Other(other) => self.other(*other),
            Event::Waits(seconds) => tokio::time::sleep(Duration::from_secs(*seconds)).await,
            Event::Disk(disk) => self.first.machine.with(|inside| {
                inside.disk.writing = match disk {
                    Disk::Works => Writing::Works,
                    Disk::IsFull => Writing::IsFull,
                    Disk::IsReadOnly => Writing::IsReadOnly,
                };
            }),
        }
    }

    async fn destroys(&self) -> Ran {
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

    async fn applies(&self, party: &Party, options: &Options, end: Option<End>, pause: u64) -> Ran {
        let planned = self.plans(party, options, None).await;
        if planned.has_errors() {
            return planned;
        }
        tokio::time::sleep(Duration::from_secs(pause)).await;
        self.carries_out(party, planned, end).await
    }

    async fn plans(&self, party: &Party, options: &Options, end: Option<End>) -> Ran {
        self.network.begins(end);
        let (configuration, state) = (self.configuration(party), party.state());
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
                ..Ran::default()
            }
        };
        let met = self.network.met();
        let ran = self.bounded("plan", party.machine.run(work)).await;
        self.heard(&format!("plan{}", party.name), &ran);
        if let (Some(plan), false, true) = (&ran.plan, ran.has_errors(), met == self.network.met())
            && self.asks_further
            && options.targets.is_empty()
            && !self.are_together.load(Ordering::Relaxed)
        {
            self.silence(party, plan, &ran).await;
        }
        ran
    }

    async fn carries_out(&self, party: &Party, planned: Ran, end: Option<End>) -> Ran {
        let Some(plan) = planned.plan else {
            return Ran::default();
        };
        let before = self.usable().await;
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
        let is_forced = self.parties().into_iter().any(|party| {
            let is_forced =
                |one: &terraform::Object| *one.value.get("force_destroy") == Value::Bool(true);
            party.written.policies.iter().any(|one| one.force)
                || party.state().objects.values().any(is_forced)
        });
        // Others act only between commands: what is lost here, this one took.
        if !is_forced {
            for lost in before.difference(&after) {
                self.network
                    .wrong(format!("an apply took the key from {lost:?}"));
            }
        }
        if !ran.has_errors() {
            self.is_done(party, &plan);
            self.agrees(party, &plan, &before, &after);
            // Where nothing ever went wrong, nothing is left to do.
            let is_alone = !self.are_together.load(Ordering::Relaxed);
            if self.asks_further
                && is_alone
                && self.network.met() == 0
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

    /// A review of the plan that was applied says what the plan and the apply did.
    fn agrees(&self, party: &Party, plan: &Plan, before: &BTreeSet<Use>, after: &BTreeSet<Use>) {
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

    async fn bounded(&self, what: &str, work: impl Future<Output = Ran>) -> Ran {
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

    /// What was said: nothing that breaks Terraform's rules, no fault of the provider's own, and no secret.
    fn heard(&self, what: &str, ran: &Ran) {
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

    /// For what workspaces have keys, and whether those can be used, as the services themselves decide.
    async fn uses(&self) -> BTreeMap<Use, bool> {
        let uses = self.platform.uses(&self.network.services);
        self.network.machine.run(uses).await
    }

    /// What can be used now.
    async fn usable(&self) -> BTreeSet<Use> {
        let uses = self.uses().await.into_iter();
        uses.filter(|(_, is_usable)| *is_usable)
            .map(|(one, _)| one)
            .collect()
    }

    /// A plan without a change and without a word says that all is well: then it is.
    async fn silence(&self, party: &Party, plan: &Plan, ran: &Ran) {
        let is_silent = plan.is_empty() && ran.told.diagnostics.is_empty();
        self.asks(is_silent).await;
        if !is_silent {
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

    /// What an apply has promised is there.
    fn is_done(&self, party: &Party, plan: &Plan) {
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
            // Who watches for less time than an update takes may miss that it is undone in the end.
            let is_short = matches!(one.settle.as_deref(), Some("0s" | "30s"));
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

    fn other(&mut self, other: Other) {
        if let Some(key) = other.key() {
            let before = self.key_state(key);
            match other {
                Other::Disables(_) if !before.is_off() => {
                    self.theirs.insert(key);
                }
                Other::Deletes(_) if !before.is_off() && self.platform.deletion_disables() => {
                    self.theirs.insert(key);
                }
                Other::Enables(_) => drop(self.theirs.remove(&key)),
                _ => {}
            }
            if matches!(
                other,
                Other::Disables(_)
                    | Other::Enables(_)
                    | Other::Rotates(_)
                    | Other::Deletes(_)
                    | Other::Recovers(_)
            ) {
                self.taken.remove(&key);
            }
        }
        let (platform, others) = (self.platform, &mut self.others);
        self.network
            .services
            .with(|world| platform.other(world, other, others));
    }

    fn key_state(&self, key: usize) -> KeyState {
        let state = |world: &mut World| self.platform.state(world, key);
        self.network.services.with(state)
    }

    async fn invokes(&self, kind: &str, config: Value) -> Ran {
        self.network.begins(None);
        let work = async {
            let process = match Process::start(Dbxcmk, &self.platform.provider()).await {
                Ok(process) => process,
                Err(errors) => return Ran::failed(errors),
            };
            match process.invoke(kind, &config).await {
                Ok(lines) => {
                    lines
                        .iter()
                        .for_each(|line| self.network.tell(format!("  says {line}")));
                    Ran::default()
                }
                Err(errors) => Ran::failed(errors),
            }
        };
        let ran = self.bounded(kind, self.first.machine.run(work)).await;
        self.heard(kind, &ran);
        ran
    }

    async fn disables(&mut self, key: usize, acknowledges: bool) {
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

    async fn restores(&mut self, key: usize) {
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
        if taken.versions != after.versions || !after.marks.is_empty() {
            self.network.wrong(format!(
                "key {key} was {taken:?}, and is {after:?} after it was restored"
            ));
        }
        self.taken.remove(&key);
    }

    /// Who asks whether keys are ready is told the same as the services say, and as a plan says. `is_silent`: whether a plan of this moment had
    /// nothing to say.
    async fn asks(&self, is_silent: bool) {
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
            if met != self.network.met() {
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
            if is_silent && has_errors {
                self.network.wrong(format!(
                    "a plan has nothing to say, and readiness says of key {key}: {:?}",
                    found.get("findings")
                ));
            }
        }
    }

    /// What is somebody else's is as they left it.
    fn look(&self) {
        let lost = |world: &mut World| self.platform.lost(world, &self.others);
        for one in self.network.services.with(lost) {
            // Who reads a workspace to send it back cannot tell that something of it was left out.
            if one.starts_with("a field of a workspace") && self.network.mangled_a_workspace() {
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

    /// Imports what messages say is to be imported; whether there was such a message.
    async fn imports(&self, party: &Party, ran: &Ran) -> bool {
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

    async fn import(&self, party: &Party, address: &str, id: &str) -> Told {
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

    /// The state loses an object, and has it again: as it was, and nothing is to be changed.
    async fn imports_again(&self, address: &str) {
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
            // Whoever cannot import goes back to what there was.
            self.first.keeps(before);
        } else if met == self.network.met() && !self.first.state().objects.contains_key(address) {
            self.network.wrong(format!(
                "an import succeeds, and the state has no {address}"
            ));
        }
    }

    /// Nothing goes wrong any more: two applies bring everything to where it should be.
    async fn calms_down(&mut self, keys: usize) {
        self.network.calms();
        self.network.tell("from here on nothing goes wrong");
        self.first
            .machine
            .with(|inside| inside.disk.writing = Writing::Works);
        for key in 0..keys {
            self.other(Other::Recovers(key));
            self.other(Other::Enables(key));
        }
        for workspace in 0..2 {
            self.other(Other::StopsCompute(workspace));
        }
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let mut last = self.both_apply().await;
        // A create whose answer was lost an hour ago is not adopted without a word: the message says what to import.
        for _ in 0..2 {
            let mut imported = false;
            for (party, ran) in self.parties().into_iter().zip(&last) {
                imported |= self.imports(party, ran).await;
            }
            if !imported {
                break;
            }
            last = self.both_apply().await;
        }
        // A disk encryption set that the first apply made gets its access to other keys by the second.
        let second = self.both_apply().await;
        if last.iter().any(Ran::has_errors) || !second.iter().any(Ran::has_errors) {
            last = second;
        }
        self.look();
        if self.network.mangled_a_workspace() && last.iter().any(Ran::has_errors) {
            // A workspace that was sent back without what an answer had lost does not come back by itself.
            return;
        }
        for ran in last.iter().filter(|ran| ran.has_errors()) {
            let mut all = ran.told.diagnostics.iter();
            if let Some((address, one)) = all.find(|(_, one)| one.severity == Severity::Error) {
                self.network
                    .wrong(format!("does not converge: {address}: {}", one.summary));
            }
        }
        if last.iter().any(Ran::has_errors) {
            return;
        }
        self.is_settled().await;
    }

    async fn both_apply(&self) -> [Ran; 2] {
        let options = Options::default();
        let first = self.applies(&self.first, &options, None, 1).await;
        let second = match self.second.written == Written::default() {
            true => Ran::default(),
            false => self.applies(&self.second, &options, None, 1).await,
        };
        [first, second]
    }

    /// Nothing is there twice, and nothing is left to do.
    async fn is_settled(&self) {
        let states = self.parties().map(Party::state);
        let objects = states.iter().flat_map(|state| &state.objects);
        let managed: BTreeSet<String> = objects
            .filter(|(address, _)| address.starts_with("dbxcmk_key_configuration."))
            .filter_map(|(_, object)| object.value.get("id").as_str().map(str::to_owned))
            .collect();
        let twice = |world: &mut World| platform::duplicates(world, &managed);
        for one in self.network.services.with(twice) {
            self.network
                .wrong(format!("a key configuration was made twice: {one}"));
        }
        for party in self.parties() {
            self.has_nothing_to_do(party, "two applies", false).await;
        }
    }

    /// A plan of this moment is empty. `but_for_policies`: the apply has made identities that key policies give access to with the next one.
    async fn has_nothing_to_do(&self, party: &Party, after: &str, but_for_policies: bool) {
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
