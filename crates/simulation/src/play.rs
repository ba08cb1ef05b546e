//! A history, played: every event in its turn, and after each the question whether what must hold still holds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dbxcmk::simulation::Dbxcmk;
use doors::Machine;
use serde_json::{Value as Json, json};
use tfplugin::diagnostics::{Diagnostics, Severity};
use tfplugin::testing::terraform::{
    self, Action, Configuration, Options, Plan, Process, State, Told,
};
use time::OffsetDateTime;

use crate::history::{End, Event, History, Other, Written};
use crate::network::Network;
use crate::world;

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

/// Plays a history.
pub fn play(history: &History) -> Outcome {
    fastrand::seed(history.seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            return Outcome {
                wrong: vec![format!("there is no runtime: {error}")],
                ..Outcome::default()
            };
        }
    };
    let outcome = std::panic::catch_unwind(|| runtime.block_on(on_stage(history)));
    let _ = dbxcmk::simulation::connect(None);
    outcome.unwrap_or_else(|_| Outcome {
        wrong: vec!["a panic".to_owned()],
        ..Outcome::default()
    })
}

/// What a workspace uses a key for: the number of the workspace, and the use case.
type Use = (u64, &'static str);

struct Stage {
    network: Arc<Network>,
    user: Machine,
    saved: Mutex<State>,
    written: Written,
    /// The statements of each key that somebody else has put there.
    foreign: Vec<Vec<Json>>,
    /// What somebody else has done that keeps a key from being used.
    is_disturbed: bool,
}

async fn on_stage(history: &History) -> Outcome {
    let began = tokio::time::Instant::now();
    // 2026-01-01T00:00:00Z
    let today =
        OffsetDateTime::from_unix_timestamp(1_767_225_600).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (user, servers) = (Machine::new(today), Machine::new(today));
    let services = world::services(history.keys);
    let network = Arc::new(Network::new(services, servers, history.mishaps.clone()));
    let wire: Arc<dyn dbxcmk::simulation::Wire> = Arc::clone(&network) as _;
    if let Err(failure) = dbxcmk::simulation::connect(Some(wire)) {
        network.wrong(format!("the network cannot be laid: {failure}"));
    }
    let first = world::statements(&world::first_policy());
    let mut stage = Stage {
        network: Arc::clone(&network),
        user,
        saved: Mutex::default(),
        written: Written::default(),
        foreign: vec![first; history.keys],
        is_disturbed: false,
    };
    for event in &history.events {
        stage.happens(event).await;
        stage.look(event).await;
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
    fn state(&self) -> State {
        self.saved
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn configuration(&self) -> Configuration {
        world::configuration(&self.written)
    }

    async fn happens(&mut self, event: &Event) {
        self.network.tell(match event {
            Event::Writes(written) => format!("writes {written:#?}"),
            other => format!("{other:?}"),
        });
        match event {
            Event::Writes(written) => {
                self.written = written.clone();
                let text = world::text(&self.configuration());
                self.user.with(|inside| {
                    let file = PathBuf::from("./main.tf");
                    inside.disk.files.insert(file, text.into_bytes());
                });
            }
            Event::Plans => drop(self.command(false, None, 0).await),
            Event::Applies { end, pause } => drop(self.applies(*end, *pause).await),
            Event::Destroys => drop(self.command(true, None, 0).await),
            Event::DisablesKey(_) | Event::RestoresKey(_) => {}
            Event::Other(other) => self.other(*other),
            Event::Waits(seconds) => tokio::time::sleep(Duration::from_secs(*seconds)).await,
            Event::Disk(writing) => self.user.with(|inside| inside.disk.writing = *writing),
        }
    }

    /// `terraform plan`, or `terraform destroy` without its second half.
    async fn command(&mut self, destroy: bool, end: Option<End>, _: u64) -> Ran {
        let options = Options {
            destroy,
            ..Options::default()
        };
        let planned = self.plans(&options, end).await;
        if !destroy || planned.has_errors() {
            return planned;
        }
        self.carries_out(planned, end).await
    }

    async fn applies(&mut self, end: Option<End>, pause: u64) -> Ran {
        let planned = self.plans(&Options::default(), None).await;
        if planned.has_errors() {
            return planned;
        }
        tokio::time::sleep(Duration::from_secs(pause)).await;
        self.carries_out(planned, end).await
    }

    async fn plans(&self, options: &Options, end: Option<End>) -> Ran {
        self.network.begins(end);
        let (configuration, state) = (self.configuration(), self.state());
        let work = async {
            let process = match Process::start(Dbxcmk, &world::provider()).await {
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
            let (plan, said) = terraform::plan(&process, &configuration, &state, options).await;
            told.diagnostics.extend(said.diagnostics);
            told.broken.extend(said.broken);
            Ran {
                told,
                plan: Some(plan),
                ..Ran::default()
            }
        };
        let met = self.network.met();
        let ran = self.bounded("plan", self.user.run(work)).await;
        self.heard("plan", &ran);
        if let (Some(plan), false, true) = (&ran.plan, ran.has_errors(), met == self.network.met())
        {
            self.silence(plan, &ran).await;
        }
        ran
    }

    async fn carries_out(&mut self, planned: Ran, end: Option<End>) -> Ran {
        let Some(plan) = planned.plan else {
            return Ran::default();
        };
        let before = self.usable().await;
        self.network.begins(end);
        let (configuration, network) = (self.configuration(), Arc::clone(&self.network));
        let work = async {
            let process = match Process::start(Dbxcmk, &world::provider()).await {
                Ok(process) => process,
                Err(errors) => return Ran::failed(errors),
            };
            let mut was_interrupted = false;
            let mut work = Box::pin(terraform::apply(
                &process,
                &configuration,
                &plan,
                &self.saved,
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
        let ran = self.bounded("apply", self.user.run(work)).await;
        self.heard("apply", &ran);
        let after = self.usable().await;
        let is_forced =
            self.written.policies.iter().any(|one| one.force)
                || self.state().objects.values().any(|one| {
                    *one.value.get("force_destroy") == tfplugin::value::Value::Bool(true)
                });
        if !is_forced && !self.is_disturbed {
            for lost in before.difference(&after) {
                self.network
                    .wrong(format!("an apply took the key from {lost:?}"));
            }
        }
        if !ran.has_errors() {
            self.is_done(&plan);
        }
        ran
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
            let first = one.detail.lines().next().unwrap_or_default();
            self.network
                .tell(format!("  {kind} {address}: {} | {first}", one.summary));
            let text = format!("{} {}", one.summary, one.detail);
            if text.contains("a bug in the") {
                self.network.wrong(format!("{what}: {text}"));
            }
            for (secret, of) in world::SECRETS {
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

    /// What can be used now, as the services themselves decide.
    async fn usable(&self) -> BTreeSet<Use> {
        let mut all = BTreeSet::new();
        for workspace in world::WORKSPACES {
            for (case, is_usable) in self.attached(workspace).await {
                if is_usable {
                    all.insert((workspace, case));
                }
            }
        }
        all
    }

    /// For what a workspace has a key, and whether Databricks can use it.
    async fn attached(&self, workspace: u64) -> BTreeMap<&'static str, bool> {
        let look = self.network.services.data_of(workspace);
        let shown = self.network.machine.run(look).await.unwrap_or_default();
        let cases = ["MANAGED_SERVICES", "STORAGE"].into_iter();
        cases
            .filter_map(|case| {
                let readable = shown.get(case)?.get("readable")?.as_bool()?;
                Some((case, readable))
            })
            .collect()
    }

    /// A plan without a change and without a word says that all is well: then it is.
    async fn silence(&self, plan: &Plan, ran: &Ran) {
        if !plan.is_empty() || !ran.told.diagnostics.is_empty() {
            return;
        }
        let bound = self.written.bindings.iter();
        for workspace in bound.filter_map(|one| world::WORKSPACES.get(one.workspace)) {
            for (case, is_usable) in self.attached(*workspace).await {
                if !is_usable {
                    self.network.wrong(format!(
                        "a plan says nothing of the {case} key of {workspace}, which cannot be used"
                    ));
                }
            }
        }
    }

    /// What an apply has promised is there.
    fn is_done(&self, plan: &Plan) {
        let state = self.state();
        for (address, change) in &plan.changes {
            if change.action == Action::Delete || !address.starts_with("dbxcmk_workspace_binding.")
            {
                continue;
            }
            let Some(object) = state.objects.get(address) else {
                self.network
                    .wrong(format!("an apply is done, and the state has no {address}"));
                continue;
            };
            let id: u64 = object
                .value
                .get("workspace_id")
                .as_str()
                .and_then(|id| id.parse().ok())
                .unwrap_or_default();
            for (attribute, field) in [
                (
                    "managed_services_key_configuration_id",
                    "managed_services_customer_managed_key_id",
                ),
                (
                    "storage_key_configuration_id",
                    "storage_customer_managed_key_id",
                ),
            ] {
                let Some(wanted) = object.value.get(attribute).as_str() else {
                    continue;
                };
                let shown = self.network.services.with(|world| {
                    let workspace = world.workspace(id);
                    // One on its way that stays, or that somebody reads still as done: no client can tell that it will go away.
                    let update = workspace
                        .update
                        .as_ref()
                        .filter(|update| update.stays || !update.is_undone(world::UPDATE));
                    let landed = update.and_then(|update| update.fields.get(field));
                    landed.or_else(|| workspace.fields.get(field)).cloned()
                });
                if change.action != Action::NoOp
                    && shown.as_ref().and_then(Json::as_str) != Some(wanted)
                {
                    self.network.wrong(format!(
                        "an apply is done, and {field} of {id} is {shown:?} and not {wanted}"
                    ));
                }
            }
        }
    }

    fn other(&mut self, other: Other) {
        let mut is_disturbed = self.is_disturbed;
        let set = |key: &mut dbxcmk_sandbox::world::Key, state: &str| {
            key.metadata.insert("KeyState".to_owned(), json!(state));
            key.metadata
                .insert("Enabled".to_owned(), json!(state == "Enabled"));
        };
        let foreign = &mut self.foreign;
        self.network.services.with(|world| {
            world.about_to_write();
            if let Other::StartsCompute(number) | Other::StopsCompute(number) = other {
                let id = world::WORKSPACES.get(number).copied().unwrap_or_default();
                let runs = matches!(other, Other::StartsCompute(_));
                world.workspace(id).has_running_compute = runs;
                return;
            }
            let keys = &mut world.now.keys;
            match other {
                Other::Disables(number) => {
                    is_disturbed = true;
                    keys.get_mut(&world::place(number))
                        .into_iter()
                        .for_each(|key| set(key, "Disabled"));
                }
                Other::Enables(number) => {
                    keys.get_mut(&world::place(number))
                        .into_iter()
                        .for_each(|key| set(key, "Enabled"));
                }
                Other::ResetsPolicy(number) => {
                    is_disturbed = true;
                    let own = foreign.get(number).cloned().unwrap_or_default();
                    let policy = json!({ "Version": "2012-10-17", "Id": "acme", "Statement": own });
                    keys.get_mut(&world::place(number))
                        .into_iter()
                        .for_each(|key| key.policy = policy.to_string());
                }
                Other::AddsStatement(number) => {
                    let Some(key) = keys.get_mut(&world::place(number)) else {
                        return;
                    };
                    let mut policy: Json = serde_json::from_str(&key.policy).unwrap_or_default();
                    let count = foreign.get(number).map_or(0, Vec::len);
                    let statement = json!({
                        "Sid": format!("Other{count}"),
                        "Effect": "Allow",
                        "Principal": { "AWS": "arn:aws:iam::123456789012:root" },
                        "Action": "kms:ListGrants",
                        "Resource": "*",
                    });
                    if let Some(all) = policy.get_mut("Statement").and_then(Json::as_array_mut) {
                        all.push(statement.clone());
                    }
                    key.policy = policy.to_string();
                    foreign
                        .get_mut(number)
                        .into_iter()
                        .for_each(|all| all.push(statement.clone()));
                }
                Other::Tags(number) => {
                    let tag = ("owner".to_owned(), "security".to_owned());
                    keys.get_mut(&world::place(number))
                        .into_iter()
                        .for_each(|key| key.tags.extend([tag.clone()]));
                }
                Other::StartsCompute(_) | Other::StopsCompute(_) => {}
            }
        });
        self.is_disturbed = is_disturbed;
    }

    /// What is somebody else's is as they left it.
    async fn look(&self, _: &Event) {
        for (number, statements) in self.foreign.iter().enumerate() {
            let found = self.network.services.with(|world| {
                let key = world.now.keys.get(&world::place(number));
                key.map(|key| (world::statements(&key.policy), key.tags.clone()))
            });
            let Some((found, tags)) = found else {
                self.network.wrong(format!("key {number} is gone"));
                continue;
            };
            for one in statements.iter().filter(|one| !found.contains(one)) {
                self.network.wrong(format!(
                    "a statement of somebody else is gone from key {number}: {one}"
                ));
            }
            if tags.get("team").map(String::as_str) != Some("lakehouse") {
                self.network
                    .wrong(format!("a tag of somebody else is gone from key {number}"));
            }
        }
        let state = self.state();
        for (address, object) in &state.objects {
            if !object.value.is_wholly_known() {
                self.network
                    .wrong(format!("the state of {address} has something unknown"));
            }
        }
    }

    /// Nothing goes wrong any more: two applies bring everything to where it should be.
    async fn calms_down(&mut self, keys: usize) {
        self.network.calms();
        self.network.tell("from here on nothing goes wrong");
        self.user
            .with(|inside| inside.disk.writing = doors::Writing::Works);
        for key in 0..keys {
            self.other(Other::Enables(key));
        }
        for workspace in 0..world::WORKSPACES.len() {
            self.other(Other::StopsCompute(workspace));
        }
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let mut last = Ran::default();
        for _ in 0..2 {
            last = self.applies(None, 1).await;
        }
        self.look(&Event::Plans).await;
        if last.has_errors() {
            let mut all = last.told.diagnostics.iter();
            if let Some((address, one)) = all.find(|(_, one)| one.severity == Severity::Error) {
                self.network
                    .wrong(format!("does not converge: {address}: {}", one.summary));
            }
            return;
        }
        let planned = self.plans(&Options::default(), None).await;
        if planned.has_errors() {
            self.network.wrong("a plan after two applies fails");
        }
        if let Some(plan) = planned.plan.filter(|plan| !plan.is_empty()) {
            let changes: Vec<&String> = plan
                .changes
                .iter()
                .filter(|(_, change)| change.action != Action::NoOp)
                .map(|(address, _)| address)
                .collect();
            self.network.wrong(format!(
                "a plan after two applies is not empty: {changes:?}"
            ));
        }
    }
}
