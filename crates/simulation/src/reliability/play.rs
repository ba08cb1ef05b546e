//! One play: everything is there but our resources; the run meets its mishap; then the next run must make it good.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dbxcmk::simulation::Dbxcmk;
use dbxcmk_sandbox::faults::{Effect, Fault};
use dbxcmk_sandbox::{WORKSPACE, world::World};
use doors::Machine;
use tfplugin::diagnostics::{Diagnostic, Diagnostics, Severity};
use tfplugin::testing::terraform::{self, Options, Plan, Process, State};

use super::cases::{ATTACH, Case, Mishap, Point, Run, Signal};
use super::checks::{self, FOREIGN};
use crate::history::{BindingBlock, By, Cloud, ConfigurationBlock, PolicyBlock, Written};
use crate::listener::{Listener, Listens};
use crate::network::Network;
use crate::platform::{self, Others, Platform, UPDATE};
use crate::play::alone;

/// What every plan says that attaches a key to a workspace on Google Cloud. It says nothing of a failure.
const NOT_DOCUMENTED: &str =
    "Databricks does not document the change of keys of an existing workspace on Google Cloud";

/// What the user saw of the runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The run that met the mishap.
    pub run: String,
    /// The run after it, without a mishap.
    pub next: String,
}

/// The outcome of a case.
#[derive(Clone, Debug, Default)]
pub struct Played {
    /// What the user saw of the runs.
    pub seen: Seen,
    /// What must never be, and was.
    pub wrong: Vec<String>,
    /// What happened, a line each.
    pub story: Vec<String>,
}

/// How long a command may take at most, on its own clock: the longest timeouts, and a margin.
const LONGEST: Duration = Duration::from_secs(4 * 3600);
/// How long a request that a signal finds under way would take.
const UNDER_WAY: u64 = 60_000;
/// A request of a run that is interrupted comes to its end.
const A_MOMENT: u64 = 1500;

/// Plays a case. The seed decides how long requests take, and what comes first of what may come in any order.
pub fn play(case: &Case, seed: u64) -> Played {
    let listener = Listener::new(platform::of(case.cloud).secrets(), Listens::ToSpans);
    match alone(seed, &listener, on_stage(case)) {
        Ok(mut played) => {
            played.wrong.extend(listener.found());
            played
        }
        Err(why) => Played {
            wrong: vec![why],
            ..Played::default()
        },
    }
}

/// Where a case plays.
pub(super) struct Scene {
    pub(super) cloud: Cloud,
    pub(super) platform: &'static dyn Platform,
    pub(super) network: Arc<Network>,
    pub(super) others: Others,
    user: Machine,
    written: Written,
    saved: Mutex<State>,
}

/// What a command came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Ran {
    said: Vec<Diagnostic>,
    pub(super) plan: Option<Plan>,
    is_interrupted: bool,
    is_killed: bool,
}

impl Ran {
    fn failed(errors: &Diagnostics) -> Self {
        Self {
            said: errors.iter().cloned().collect(),
            ..Self::default()
        }
    }

    pub(super) fn is_done(&self) -> bool {
        let mut all = self.said.iter();
        !self.is_interrupted && !self.is_killed && all.all(|one| one.severity != Severity::Error)
    }

    /// What it said, each once, in an order that does not depend on which resource came first.
    fn summaries(&self, severity: Severity) -> Vec<&str> {
        let all = self.said.iter().filter(|one| one.severity == severity);
        // Without the object that a warning names: its ID is another one in each run.
        let all: BTreeSet<&str> = all
            .map(|one| one.summary.split(": ").next().unwrap_or_default())
            .filter(|summary| *summary != NOT_DOCUMENTED)
            .collect();
        all.into_iter().collect()
    }

    /// What it came to, in a line.
    fn told(&self) -> String {
        if self.is_killed {
            return "ends at once".to_owned();
        }
        let errors = self.summaries(Severity::Error);
        let mut text = match (errors.is_empty(), self.is_interrupted) {
            (false, _) => format!("stops: *{}*", errors.join("*, *")),
            // Terraform's own words, where the provider has none.
            (true, true) => "stops: *execution halted*".to_owned(),
            (true, false) => "done".to_owned(),
        };
        let warnings = self.summaries(Severity::Warning);
        if !warnings.is_empty() {
            text.push_str(&format!("; warns: *{}*", warnings.join("*, *")));
        }
        text
    }
}

/// What a user of a cloud writes for one workspace.
fn written(cloud: Cloud) -> Written {
    let cases: &[&'static str] = match cloud {
        Cloud::Aws | Cloud::Google => &["MANAGED_SERVICES", "STORAGE"],
        Cloud::Azure => &["MANAGED_SERVICES", "STORAGE", "MANAGED_DISKS"],
    };
    let name = || "lakehouse".to_owned();
    Written {
        policies: vec![PolicyBlock {
            name: name(),
            key: 0,
            workspace: 0,
            cases: cases.iter().copied().collect(),
            role: true,
            force: false,
        }],
        configurations: vec![ConfigurationBlock {
            name: name(),
            key: 0,
            cases: cases.iter().copied().collect(),
            volumes: true,
            by: match cloud {
                Cloud::Aws => By::Policy,
                Cloud::Google | Cloud::Azure => By::Arn,
            },
        }],
        bindings: vec![BindingBlock {
            name: "prod".to_owned(),
            workspace: 0,
            keys: cases.iter().map(|case| (*case, name())).collect(),
            // The default is longer, and shows nothing more: the same reads, more of them.
            settle: Some("2m".to_owned()),
            waits: cloud != Cloud::Aws,
        }],
    }
}

impl Scene {
    fn new(cloud: Cloud) -> Self {
        let platform = platform::of(cloud);
        let machine = || Machine::new(super::beginning());
        let services = platform::services(platform, 1);
        services.with(|world| {
            // A statement of another owner, in a form that no program writes.
            for key in world.now.keys.values_mut() {
                if let Some((before, after)) = key.policy.rsplit_once(']') {
                    key.policy = format!("{before}, {FOREIGN} ]{after}");
                }
            }
            world.about_to_write();
        });
        let network = Network::new(platform, services, machine());
        network.strikes(Vec::new());
        Self {
            cloud,
            platform,
            network: Arc::new(network),
            others: platform.others(1),
            user: machine(),
            written: written(cloud),
            saved: Mutex::default(),
        }
    }

    pub(super) fn state(&self) -> State {
        let saved = self.saved.lock();
        saved.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn with<T>(&self, ask: impl FnOnce(&mut World) -> T) -> T {
        self.network.services.with(ask)
    }

    async fn started(&self) -> Result<Process<Dbxcmk>, Ran> {
        let process = Process::start(Dbxcmk, &self.platform.provider()).await;
        process.map_err(|errors| Ran::failed(&errors))
    }

    /// `terraform plan`.
    pub(super) async fn plans(&self, options: &Options) -> Ran {
        let configuration = self.platform.configuration(&self.written);
        let work = async {
            let process = match self.started().await {
                Ok(process) => process,
                Err(ran) => return ran,
            };
            let mut told = terraform::validate(&process, &configuration).await;
            let mut plan = None;
            if !told.has_errors() {
                let state = self.state();
                let (made, said) = terraform::plan(&process, &configuration, &state, options).await;
                told.diagnostics.extend(said.diagnostics);
                told.broken.extend(said.broken);
                plan = Some(made);
            }
            self.heard(told, plan)
        };
        self.bounded("a plan", self.user.run(work)).await
    }

    /// `terraform apply`, or `terraform destroy`.
    pub(super) async fn carries_out(&self, run: Run, signal: Option<(Signal, Point)>) -> Ran {
        let options = Options {
            destroy: run == Run::Destroy,
            ..Options::default()
        };
        let planned = self.plans(&options).await;
        let Some(plan) = planned.plan.as_ref().filter(|_| planned.is_done()) else {
            return planned;
        };
        let configuration = self.platform.configuration(&self.written);
        let work = async {
            let process = match self.started().await {
                Ok(process) => process,
                Err(ran) => return ran,
            };
            let mut is_interrupted = false;
            let mut work = Box::pin(terraform::apply(
                &process,
                &configuration,
                plan,
                &self.saved,
            ));
            let mut comes = Box::pin(self.comes(signal));
            let told = loop {
                tokio::select! {
                    biased;
                    signal = &mut comes => {
                        self.network.tell(format!("  {signal:?}"));
                        match signal {
                            Signal::Interrupt => {
                                is_interrupted = true;
                                process.interrupt();
                            }
                            Signal::KillProvider => process.kill(),
                            Signal::KillTerraform => {
                                return Ran { is_killed: true, ..Ran::default() };
                            }
                        }
                        comes = Box::pin(self.comes(None));
                    }
                    told = &mut work => break told,
                }
            };
            Ran {
                is_interrupted,
                ..self.heard(told, None)
            }
        };
        let mut ran = self.bounded("an apply", self.user.run(work)).await;
        ran.said.splice(0..0, planned.said);
        ran
    }

    /// Waits until a signal comes, if one does.
    async fn comes(&self, signal: Option<(Signal, Point)>) -> Signal {
        let Some((signal, at)) = signal else {
            return std::future::pending().await;
        };
        self.network.reached.notified().await;
        let after = match at {
            Point::Before(_) | Point::After(_) => Duration::from_millis(200),
            Point::Waiting => UPDATE / 4,
            Point::Settling => UPDATE + Duration::from_secs(60),
        };
        tokio::time::sleep(after).await;
        signal
    }

    fn heard(&self, told: terraform::Told, plan: Option<Plan>) -> Ran {
        for broken in told.broken {
            self.network.wrong(broken);
        }
        for (address, one) in &told.diagnostics {
            let first = one.detail.lines().next().unwrap_or_default();
            let line = format!("  {:?} {address}: {} | {first}", one.severity, one.summary);
            self.network.tell(line);
            if one.detail.contains("a bug in the") {
                self.network.wrong(format!("{address}: {}", one.detail));
            }
        }
        Ran {
            said: told.diagnostics.into_iter().map(|(_, one)| one).collect(),
            plan,
            ..Ran::default()
        }
    }

    async fn bounded(&self, what: &str, work: impl Future<Output = Ran>) -> Ran {
        let ran = tokio::time::timeout(LONGEST, work).await;
        ran.unwrap_or_else(|_| {
            let within = format!("{what} did not end within {LONGEST:?}");
            self.network.wrong(within);
            Ran::default()
        })
    }

    /// What is to go wrong goes wrong from now on.
    fn strikes(&self, mishap: &Mishap) {
        match mishap {
            Mishap::Faults(faults) => self.network.strikes(faults.clone()),
            Mishap::World { odd, .. } => self.with(odd),
            Mishap::Signal { signal, at, then } => {
                let milliseconds = match signal {
                    // An interrupt lets the request come to its end; a kill finds it under way.
                    Signal::Interrupt => A_MOMENT,
                    Signal::KillProvider | Signal::KillTerraform => UNDER_WAY,
                };
                let (words, effect) = match *at {
                    Point::Before(words) => (words, Some(Effect::Delay { milliseconds })),
                    Point::After(words) => (words, Some(Effect::DelayAfter { milliseconds })),
                    Point::Waiting | Point::Settling => (ATTACH, then.clone()),
                };
                let fault = effect.map(|effect| Fault::new(words, effect));
                self.network.strikes(fault.into_iter().collect());
                self.network.awaits(words);
            }
        }
    }

    /// Ends the mishap: from now on, nothing goes wrong.
    fn mends(&self, mishap: &Mishap) {
        self.network.calms();
        self.with(|world| {
            // What hung comes to its end in the end.
            let all = world.now.workspaces.values_mut();
            all.filter_map(|workspace| workspace.update.as_mut())
                .for_each(|update| update.hangs = false);
            if let Mishap::World { mended, .. } = mishap {
                mended(world);
            }
        });
    }
}

async fn on_stage(case: &Case) -> Played {
    let scene = Scene::new(case.cloud);
    let network = &scene.network;
    let wire: Arc<dyn dbxcmk::simulation::Wire> = Arc::clone(network) as _;
    if let Err(failure) = dbxcmk::simulation::connect(Some(wire)) {
        network.wrong(format!("the network cannot be laid: {failure}"));
    }
    if case.run == Run::Destroy {
        let made = scene.carries_out(Run::Apply, None).await;
        if !made.is_done() {
            network.wrong(format!("the first apply: {}", made.told()));
        }
        // Its owner deletes the workspace; the configuration is free then.
        scene.with(|world| {
            world.about_to_write();
            world.now.workspaces.remove(&WORKSPACE);
        });
    }
    scene.strikes(&case.mishap);
    let signal = match case.mishap {
        Mishap::Signal { signal, at, .. } => Some((signal, at)),
        Mishap::Faults(_) | Mishap::World { .. } => None,
    };
    let run = scene.carries_out(case.run, signal).await;
    if network.met() == 0 && matches!(case.mishap, Mishap::Faults(_)) {
        network.wrong("no request met the mishap");
    }
    if signal.is_some() && run.is_done() && run.said.is_empty() {
        network.wrong("the run ended before the signal came");
    }
    scene.mends(&case.mishap);
    if case.run == Run::Apply {
        checks::nothing_twice_nothing_lost(&scene);
    }
    network.tell("the next run");
    let next = scene.carries_out(case.run, None).await;
    let told = next.told();
    let next = match case.mishap {
        // What the next run sees undone, the one after it sends again.
        Mishap::Signal { then: Some(_), .. } if !next.is_done() => {
            checks::nothing_twice_nothing_lost(&scene);
            scene.carries_out(case.run, None).await
        }
        _ => next,
    };
    match case.run {
        Run::Apply => checks::everything_is_there(&scene, &next).await,
        Run::Destroy => checks::nothing_is_left(&scene, &next),
    }
    Played {
        seen: Seen {
            run: run.told(),
            next: told,
        },
        wrong: network.wrongs(),
        story: network.story(),
    }
}
