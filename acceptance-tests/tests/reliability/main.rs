//! Failures with a real Terraform over the sandbox: one of each kind of the network for each service, and what only processes can show.
//! The tests check what the user sees, that the next apply makes it good, and that the simulation, which plays every failure, has seen
//! the same. The last table in docs/guides/reliability.md is what this run saw.

#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::too_many_lines,
    missing_docs,
    reason = "tests"
)]

mod cases;
mod play;
mod table;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cases::Case;
use play::Seen;

/// How many plays run at once. Most of a play is waiting.
const AT_ONCE: usize = 12;

/// Plays every case, and returns the outcomes in the order of the cases. A play that fails does not keep the others from running.
fn play_all(cases: &[Case]) -> Vec<Result<Seen, String>> {
    let next = AtomicUsize::new(0);
    let seen: Mutex<Vec<Option<Result<Seen, String>>>> = Mutex::new(vec![None; cases.len()]);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    cases.get(index).map(|case| (index, case))
                } {
                    let (index, case) = case;
                    let outcome = std::panic::catch_unwind(|| play::play(case));
                    let outcome = outcome.map_err(|reason| {
                        let text = reason.downcast_ref::<String>().cloned();
                        text.or_else(|| {
                            reason.downcast_ref::<&str>().map(|text| (*text).to_owned())
                        })
                        .unwrap_or_default()
                    });
                    seen.lock().unwrap()[index] = Some(outcome);
                }
            });
        }
    });
    seen.into_inner()
        .unwrap()
        .into_iter()
        .map(|one| one.expect("every case was played"))
        .collect()
}

#[test]
fn a_failure_of_each_kind_ends_as_in_the_simulation_and_the_next_apply_converges() {
    let mut cases = cases::all();
    if let Ok(only) = std::env::var("DBXCMK_RELIABILITY_ONLY") {
        cases.retain(|case| {
            format!("{} {} {}", case.section, case.fault, case.place).contains(&only)
        });
    }
    let seen = play_all(&cases);
    let (simulated, _) = table::parts();
    let seen: Vec<Result<Seen, String>> = cases
        .iter()
        .zip(seen)
        .map(|(case, seen)| {
            let seen = seen?;
            table::agrees(case, &seen, &simulated)?;
            Ok(seen)
        })
        .collect();
    let went_wrong: Vec<String> = cases
        .iter()
        .zip(&seen)
        .filter_map(|(case, seen)| {
            seen.as_ref()
                .err()
                .map(|why| format!("== {} · {}\n{why}", case.fault, case.place))
        })
        .collect();
    assert!(
        went_wrong.is_empty(),
        "{} of {} went wrong:\n{}",
        went_wrong.len(),
        cases.len(),
        went_wrong.join("\n\n")
    );
    let seen: Vec<Seen> = seen.into_iter().flatten().collect();
    table::compare(&cases, &seen);
    println!("{} failures were played", seen.len());
}
