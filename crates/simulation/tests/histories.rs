//! Histories that are played with every run of the tests: those that once showed a defect, and a few of each cloud, twice.

use std::error::Error;
use std::path::Path;

use dbxcmk_simulation::history::{Cloud, Event, History, Mishap};
use dbxcmk_simulation::{Outcome, minimized, play};

type Outcomes = Result<Vec<(History, Outcome)>, Box<dyn Error>>;

/// How many histories of each cloud are played. Each is played twice.
const SEEDS: u64 = 6;

/// Plays on a thread with room: unoptimized futures are large.
fn played(histories: Vec<History>) -> Outcomes {
    let thread = std::thread::Builder::new().stack_size(64 << 20);
    let playing = thread.spawn(move || {
        let all = histories.into_iter().map(|history| {
            let outcome = play(&history);
            (history, outcome)
        });
        all.collect()
    })?;
    playing.join().map_err(|_| "a panic".into())
}

fn is_right(history: &History, outcome: &Outcome) {
    assert!(
        outcome.wrong.is_empty(),
        "{:?} of {}: {}\n\nTo see the whole story: make simulate CLOUD={} SEED={}\n\n{}",
        history.cloud,
        history.seed,
        outcome.wrong.join("\n"),
        history.cloud.name(),
        history.seed,
        outcome.story.join("\n")
    );
}

/// Each file is a history in which something was once wrong, made as small as it goes.
#[test]
fn what_was_wrong_once_is_right() -> Result<(), Box<dyn Error>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories");
    let mut all = Vec::new();
    for file in doors::files::list(directory)? {
        all.push(serde_json::from_slice(&doors::files::read(file)?)?);
    }
    assert!(!all.is_empty());
    for (history, outcome) in played(all)? {
        is_right(&history, &outcome);
        assert!(outcome.requests > 0);
    }
    Ok(())
}

fn the_same_twice(cloud: Cloud) -> Result<(), Box<dyn Error>> {
    let all = || {
        (1..=SEEDS)
            .map(|seed| History::drawn(cloud, seed))
            .collect()
    };
    let (first, second) = (played(all())?, played(all())?);
    let mut mishaps = 0;
    for ((history, one), (_, other)) in first.iter().zip(&second) {
        is_right(history, one);
        assert_eq!(one.story, other.story, "{cloud:?} of {}", history.seed);
        mishaps += one.mishaps;
    }
    assert!(mishaps > 0, "something goes wrong in some of them");
    Ok(())
}

#[test]
fn a_seed_repeats_its_history_on_aws() -> Result<(), Box<dyn Error>> {
    the_same_twice(Cloud::Aws)
}

#[test]
fn a_seed_repeats_its_history_on_google_cloud() -> Result<(), Box<dyn Error>> {
    the_same_twice(Cloud::Google)
}

#[test]
fn a_seed_repeats_its_history_on_azure() -> Result<(), Box<dyn Error>> {
    the_same_twice(Cloud::Azure)
}

/// A first apply, undisturbed but for tokens that end at one request.
fn whose_tokens_end_at(cloud: Cloud, request: u64) -> History {
    let mut history = History::drawn(cloud, 3);
    history.events.truncate(1);
    history.events.push(Event::Applies {
        end: None,
        pause: 5,
        target: None,
        replace: None,
    });
    history.mishaps = [(request, Mishap::TokensEnd)].into();
    history.at_changes.clear();
    history
}

/// A service can revoke a token before its time, on every cloud and at any request: the provider asks for another one, and the
/// user does not notice.
#[test]
fn a_token_that_ends_stops_nothing() -> Result<(), Box<dyn Error>> {
    let requests = || (1..60).step_by(8);
    let all = Cloud::ALL.into_iter();
    let all = all.flat_map(|cloud| requests().map(move |at| whose_tokens_end_at(cloud, at)));
    let mut refused = 0;
    for (history, outcome) in played(all.collect())? {
        is_right(&history, &outcome);
        let mut lines = outcome.story.iter();
        refused += lines.clone().filter(|line| line.contains("-> 401")).count();
        assert!(
            !lines.any(|line| line.starts_with("  error ")),
            "{}",
            outcome.story.join("\n")
        );
    }
    assert!(refused > 5, "tokens were refused");
    Ok(())
}

/// A history survives its file, and one in which nothing is wrong is not made smaller.
#[test]
fn a_history_is_data() -> Result<(), Box<dyn Error>> {
    for cloud in Cloud::ALL {
        for seed in 0..200 {
            let history = History::drawn(cloud, seed);
            let text = serde_json::to_string(&history)?;
            assert_eq!(serde_json::from_str::<History>(&text)?, history);
        }
    }
    let calm = (1..50)
        .map(|seed| History::drawn(Cloud::Azure, seed))
        .find(|history| history.mishaps.is_empty() && history.at_changes.is_empty());
    let calm = calm.ok_or("none is calm")?;
    let own = calm.clone();
    let thread = std::thread::Builder::new().stack_size(64 << 20);
    let same = thread.spawn(move || minimized(own))?;
    assert_eq!(same.join().map_err(|_| "a panic")?, calm);
    Ok(())
}
