//! A history that fails, without what it does not need to fail.

use crate::history::{Event, History, Written};
use crate::play::play;

/// Leaves out events, blocks and mishaps, one after the other, as long as the history still fails as it did. One that does not fail stays as it
/// is.
pub fn minimized(history: History) -> History {
    let Some(kind) = kind_of_failure(&history) else {
        return history;
    };
    let mut best = history;
    loop {
        let before = size(&best);
        for number in best.mishaps.keys().copied().collect::<Vec<_>>() {
            let mut smaller = best.clone();
            smaller.mishaps.remove(&number);
            best = better(best, smaller, &kind);
        }
        for number in best.at_changes.keys().copied().collect::<Vec<_>>() {
            let mut smaller = best.clone();
            smaller.at_changes.remove(&number);
            best = better(best, smaller, &kind);
        }
        for at in (0..best.events.len()).rev() {
            let mut smaller = best.clone();
            smaller.events.remove(at);
            best = better(best, smaller, &kind);
        }
        for at in 0..best.events.len() {
            best = with_fewer_blocks(best, at, &kind);
        }
        if size(&best) == before {
            return best;
        }
    }
}

/// Leaves out blocks of what an event writes: first those to which nothing refers.
fn with_fewer_blocks(mut best: History, event: usize, kind: &str) -> History {
    let lists: [fn(&mut Written, usize) -> bool; 3] = [
        |written, at| is_removed(&mut written.bindings, at),
        |written, at| {
            let name = written.configurations.get(at).map(|one| one.name.clone());
            let is_named = |name: &String| {
                let mut keys = written.bindings.iter().flat_map(|one| one.keys.values());
                keys.any(|key| key == name)
            };
            !name.as_ref().is_some_and(is_named) && is_removed(&mut written.configurations, at)
        },
        |written, at| is_removed(&mut written.policies, at),
    ];
    for list in lists {
        // An upper bound of what one person writes; a place that is not there removes nothing.
        for at in (0..8).rev() {
            let mut smaller = best.clone();
            let written = match smaller.events.get_mut(event) {
                Some(Event::Writes(written) | Event::Together(written)) => written,
                _ => return best,
            };
            if list(written, at) {
                best = better(best, smaller, kind);
            }
        }
    }
    best
}

fn is_removed<T>(all: &mut Vec<T>, at: usize) -> bool {
    let is_there = at < all.len();
    if is_there {
        all.remove(at);
    }
    is_there
}

fn size(history: &History) -> usize {
    let blocks = history.events.iter().map(|event| match event {
        Event::Writes(one) | Event::Together(one) => {
            one.policies.len() + one.configurations.len() + one.bindings.len()
        }
        _ => 0,
    });
    let mishaps = history.mishaps.len() + history.at_changes.len();
    blocks.sum::<usize>() + history.events.len() + mishaps
}

/// What went wrong, by its first words without names and numbers.
fn kind_of_failure(history: &History) -> Option<String> {
    let wrong = play(history).wrong.into_iter().next()?;
    let words = wrong.split_whitespace();
    let plain = |word: &&str| word.chars().all(|c| c.is_alphabetic() || ",:'".contains(c));
    Some(words.filter(plain).take(16).collect::<Vec<_>>().join(" "))
}

fn better(best: History, smaller: History, kind: &str) -> History {
    match kind_of_failure(&smaller) {
        Some(own) if own == kind => smaller,
        _ => best,
    }
}
