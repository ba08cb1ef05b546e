//! Every failure that a service, the network or a person can bring about, one at a time: what the user sees, and that the next apply makes it
//! good. The tables of docs/guides/reliability.md are what this run saw.

#![allow(clippy::print_stdout, reason = "the table of some cases is shown")]

use std::error::Error;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use dbxcmk_simulation::reliability::{self, Case, Played, Seen, WITH_TERRAFORM};

/// If set, the test writes the page again (`make reliability`).
const WRITE: &str = "DBXCMK_WRITE_RELIABILITY";
/// Words of a section, failure or place: only those are played, and shown.
const ONLY: &str = "DBXCMK_RELIABILITY_ONLY";
/// How often each case is played before its outcome is written: it must not depend on what a seed decides.
const SEEDS: u64 = 3;

type Outcomes = Vec<(String, Vec<Played>)>;

/// Plays every case, on as many threads as there are processors, each with room: unoptimized futures are large.
fn played(cases: &[Case], seeds: u64) -> Result<Outcomes, Box<dyn Error>> {
    let next = AtomicUsize::new(0);
    let played: Mutex<Vec<(usize, Vec<Played>)>> = Mutex::default();
    let play = || {
        while let Some((at, case)) = {
            let at = next.fetch_add(1, Ordering::Relaxed);
            cases.get(at).map(|case| (at, case))
        } {
            let all = (1..=seeds)
                .map(|seed| reliability::play(case, seed))
                .collect();
            if let Ok(mut played) = played.lock() {
                played.push((at, all));
            }
        }
    };
    let at_once = std::thread::available_parallelism()?.get();
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            let thread = std::thread::Builder::new().stack_size(64 << 20);
            thread.spawn_scoped(scope, play)?;
        }
        Ok::<(), std::io::Error>(())
    })?;
    let mut played = played.into_inner().map_err(|_| "a panic")?;
    played.sort_by_key(|(at, _)| *at);
    let named = played.into_iter().zip(cases).map(|((_, all), case)| {
        let name = format!("{} · {} · {}", case.section, case.fault, case.place);
        (name, all)
    });
    Ok(named.collect())
}

/// Whether the test writes the page again.
fn writes() -> bool {
    std::env::var_os(WRITE).is_some_and(|value| !value.is_empty())
}

/// Compares the page with the one in the documentation, or writes it.
fn compare(page: &str) -> Result<(), Box<dyn Error>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides/reliability.md");
    let there = doors::files::read_to_string(&file)?;
    let (own, rest) = match there.find(WITH_TERRAFORM) {
        Some(at) => there.split_at(at),
        None => (there.as_str(), ""),
    };
    if writes() {
        doors::files::write(&file, format!("{page}{rest}").as_bytes())?;
        return Ok(());
    }
    let missing = |of: &str, sign: &str, other: &str| -> Vec<String> {
        let gone = of
            .lines()
            .filter(|line| !other.lines().any(|one| one == *line));
        gone.map(|line| format!("  {sign} {line}")).collect()
    };
    let differing = [missing(page, "+", own), missing(own, "-", page)].concat();
    assert!(
        own == page,
        "docs/guides/reliability.md does not show what was seen; if the change is meant, run `make reliability`:\n{}",
        differing.join("\n")
    );
    Ok(())
}

#[test]
fn every_failure_ends_in_the_truth_and_the_next_apply_converges() -> Result<(), Box<dyn Error>> {
    let mut cases = reliability::cases();
    let only = std::env::var(ONLY).ok();
    if let Some(only) = &only {
        cases.retain(|case| {
            format!("{} {} {}", case.section, case.fault, case.place).contains(only)
        });
    }
    let played = played(&cases, if writes() { SEEDS } else { 1 })?;
    assert_eq!(played.len(), cases.len(), "a play ended in a panic");
    let mut went_wrong = Vec::new();
    let mut seen: Vec<Seen> = Vec::new();
    for ((name, all), case) in played.iter().zip(&cases) {
        for one in all.iter().filter(|one| !one.wrong.is_empty()) {
            went_wrong.push(format!(
                "== {name}\n{}\n{}",
                one.wrong.join("\n"),
                one.story.join("\n")
            ));
        }
        let first = all.first().map(|one| one.seen.clone()).unwrap_or_default();
        let row = reliability::row(case, &first);
        let differs = |other: &&Played| reliability::row(case, &other.seen) != row;
        for other in all.iter().filter(differs) {
            went_wrong.push(format!(
                "== {name} depends on chance: {first:?}, {:?}",
                other.seen
            ));
        }
        seen.push(first);
    }
    assert!(
        went_wrong.is_empty(),
        "{} plays of {} failures went wrong:\n{}",
        went_wrong.len(),
        cases.len(),
        went_wrong.join("\n\n")
    );
    let page = reliability::page(&cases, &seen);
    if only.is_some() {
        print!("{page}");
        return Ok(());
    }
    compare(&page)
}
