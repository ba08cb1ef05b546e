//! A history, played: every event in its turn, and after each the question whether what must hold still holds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dbxcmk_sandbox::world::World;
use doors::{Machine, Writing};
use tfplugin::diagnostics::{Diagnostic, Diagnostics, Severity};
use tfplugin::testing::terraform::{Configuration, Options, Plan, State, Told};
use time::OffsetDateTime;

use crate::history::{Disk, Event, History, Other, Written};
use crate::listener::{Listener, Listens};
use crate::network::Network;
use crate::platform::{self, KeyState, Others, Platform};

mod commands;
mod holds;

/// What a history has shown.
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

/// Plays a history on a clock of its own, and returns what was wrong, if anything.
pub fn play(history: &History) -> Outcome {
    heard(history, Listens::now_and_then(history.seed))
}

/// Plays a history, and prints the log of the provider on the way.
pub fn play_aloud(history: &History) -> Outcome {
    heard(history, Listens::Aloud)
}

fn heard(history: &History, listens: Listens) -> Outcome {
    let listener = Listener::new(platform::of(history.cloud).secrets(), listens);
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

/// A user who runs Terraform: a machine, a state, and a configuration.
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
    /// The user with another configuration, who works at the same time.
    second: Party,
    /// Whether both users work now, so that one may see a state that is over by the time of a check.
    are_together: AtomicBool,
    /// Whether an apply was cut short, so that what it sent may still be under way.
    was_cut_short: AtomicBool,
    platform: &'static dyn Platform,
    /// What other owners have put into the services.
    others: Others,
    /// The state of each key before the kill switch took it, where no other person has touched it since.
    taken: BTreeMap<usize, KeyState>,
    /// The keys that another person has disabled while they were enabled, and that are still disabled.
    theirs: BTreeSet<usize>,
    /// The diagnostics since the last check.
    pub(crate) said: Mutex<Vec<(String, Diagnostic)>>,
    /// Whether further commands check what must hold.
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
    /// Whether the plan is about everything that is written.
    is_whole: bool,
    was_killed: bool,
    was_interrupted: bool,
    /// What an action said while it ran.
    says: Vec<String>,
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
        let services = platform::services(platform, history.keys);
        let network = Network::new(platform, services, Machine::new(today)).of(history);
        let network = Arc::new(network);
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

    fn other(&mut self, other: Other) {
        if let Some(key) = other.key() {
            let before = self.key_state(key);
            match other {
                // Who disables a key that the kill switch has marked and not disabled yet finishes what it began.
                Other::Disables(_) if !before.is_off() && before.marks.is_empty() => {
                    self.theirs.insert(key);
                }
                Other::Deletes(_) if !before.is_off() && self.platform.deletion_disables() => {
                    self.theirs.insert(key);
                }
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
        // Who enables a key gives it back, and so does who makes a new version of it: that one nobody has disabled.
        if let Some(key) = other.key()
            && !self.key_state(key).is_off()
        {
            self.theirs.remove(&key);
        }
    }

    fn key_state(&self, key: usize) -> KeyState {
        let state = |world: &mut World| self.platform.state(world, key);
        self.network.services.with(state)
    }

    /// From now on, nothing goes wrong: two applies bring everything to where it should be.
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
        // The provider does not silently adopt an object whose create lost its answer an hour ago: the message says what to import.
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
        // A binding that does not wait for the key policy that makes its identities says so, and the user applies again.
        let is_early = |ran: &Ran| {
            let mut said = ran.told.diagnostics.iter();
            said.any(|(_, one)| one.summary == "The identity that needs the key does not exist yet")
        };
        if last.iter().any(is_early) {
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
}
