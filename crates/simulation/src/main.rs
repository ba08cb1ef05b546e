//! Plays histories: many, or one as a story.

#![allow(clippy::print_stdout, reason = "it is a command")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Parser;
use dbxcmk_simulation::history::{Cloud, History};
use dbxcmk_simulation::{minimized, play, play_aloud};
use doors::clock::Moment;

/// Plays histories of the provider on a clock and a network that a seed decides.
#[derive(Parser)]
struct Arguments {
    /// Where the histories play; on each cloud in turn when not given.
    #[arg(long)]
    cloud: Option<Cloud>,
    /// The seed of the first history; with `--histories 1`, its story is printed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Begins with a seed that nobody has chosen, in place of --seed.
    #[arg(long, conflicts_with = "seed")]
    new: bool,
    /// How many histories are played.
    #[arg(long, default_value_t = 1_000_000_000)]
    histories: u64,
    /// For how many seconds at most.
    #[arg(long)]
    seconds: Option<u64>,
    /// How many threads play.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// A file with a history, which is played in place of one that is drawn.
    #[arg(long)]
    file: Option<PathBuf>,
    /// Makes a history that fails smaller, and prints it.
    #[arg(long)]
    minimize: bool,
    /// Ends with the first failure.
    #[arg(long)]
    first: bool,
    /// A directory that gets the story of each history.
    #[arg(long)]
    stories: Option<PathBuf>,
    /// With the log of the provider between the lines of a story.
    #[arg(long)]
    log: bool,
    /// How many failures are shown.
    #[arg(long, default_value_t = 5)]
    show: usize,
}

impl Arguments {
    /// The history of a seed: the cloud is a part of it.
    fn history(&self, seed: u64) -> History {
        let turn = usize::try_from(seed % 3).unwrap_or_default();
        let cloud = self.cloud.or_else(|| Cloud::ALL.get(turn).copied());
        History::drawn(cloud.unwrap_or(Cloud::Aws), seed)
    }
}

fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    if arguments.new {
        arguments.seed = u64::try_from(doors::clock::milliseconds()).unwrap_or_default();
        println!("histories from seed {}", arguments.seed);
    }
    let arguments = arguments;
    if let Some(file) = &arguments.file {
        return match doors::files::read(file).map(|bytes| serde_json::from_slice(&bytes)) {
            Ok(Ok(history)) => one(&history, arguments.log),
            Ok(Err(error)) => {
                println!("{}: {error}", file.display());
                ExitCode::FAILURE
            }
            Err(error) => {
                println!("{}: {error}", file.display());
                ExitCode::FAILURE
            }
        };
    }
    if arguments.minimize {
        let small = minimized(arguments.history(arguments.seed));
        println!(
            "{}",
            serde_json::to_string_pretty(&small).unwrap_or_default()
        );
        return ExitCode::SUCCESS;
    }
    if arguments.histories == 1 {
        return one(&arguments.history(arguments.seed), arguments.log);
    }
    let tally = Tally::default();
    let began = Moment::now();
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads {
            // Unoptimized futures are large.
            let thread = std::thread::Builder::new().stack_size(64 << 20);
            let spawned = thread.spawn_scoped(scope, || tally.play(&arguments, began));
            if let Err(error) = spawned {
                println!("a thread cannot be started: {error}");
            }
        }
    });
    tally.print(arguments.show, began.elapsed().as_secs_f64())
}

/// What the histories of all threads came to.
#[derive(Default)]
struct Tally {
    next: AtomicU64,
    played: AtomicU64,
    requests: AtomicU64,
    mishaps: AtomicU64,
    /// The first check that each seed failed.
    failures: Mutex<BTreeMap<u64, String>>,
}

impl Tally {
    /// Plays one history after the other, until all are played or the time is over.
    fn play(&self, arguments: &Arguments, began: Moment) {
        let limit = arguments.seconds.map(Duration::from_secs);
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let is_over = limit.is_some_and(|limit| began.elapsed() >= limit);
            if number >= arguments.histories || is_over {
                return;
            }
            let history = arguments.history(arguments.seed + number);
            let outcome = play(&history);
            if let Some(directory) = &arguments.stories {
                let file = directory.join(format!("{}.txt", history.seed));
                let story = outcome.story.join("\n");
                if let Err(error) = doors::files::write(&file, story.as_bytes()) {
                    println!("{}: {error}", file.display());
                }
            }
            self.played.fetch_add(1, Ordering::Relaxed);
            self.requests.fetch_add(outcome.requests, Ordering::Relaxed);
            let met = u64::try_from(outcome.mishaps).unwrap_or_default();
            self.mishaps.fetch_add(met, Ordering::Relaxed);
            if arguments.first && !outcome.wrong.is_empty() {
                self.next.store(arguments.histories, Ordering::Relaxed);
            }
            if let (Some(first), Ok(mut failures)) = (outcome.wrong.first(), self.failures.lock()) {
                failures.insert(history.seed, first.clone());
            }
        }
    }

    fn print(self, most: usize, seconds: f64) -> ExitCode {
        let played = self.played.into_inner();
        println!(
            "{played} histories in {seconds:.1} s ({:.0} a second), {} requests, {} mishaps",
            f64::from(u32::try_from(played).unwrap_or(u32::MAX)) / seconds,
            self.requests.into_inner(),
            self.mishaps.into_inner()
        );
        let failures = self.failures.into_inner().unwrap_or_default();
        for (seed, why) in failures.iter().take(most) {
            println!("make simulate SEED={seed}: {why}");
        }
        if failures.is_empty() {
            return ExitCode::SUCCESS;
        }
        println!("{} histories failed", failures.len());
        ExitCode::FAILURE
    }
}

fn one(history: &History, with_log: bool) -> ExitCode {
    let outcome = match with_log {
        true => play_aloud(history),
        false => play(history),
    };
    for line in &outcome.story {
        println!("{line}");
    }
    println!(
        "{} requests, {} mishaps, {:?} on its own clock",
        outcome.requests, outcome.mishaps, outcome.took
    );
    for wrong in &outcome.wrong {
        println!("WRONG: {wrong}");
    }
    match outcome.wrong.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
