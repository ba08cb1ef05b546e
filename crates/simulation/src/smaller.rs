//! A history that fails, without what it does not need to fail.

use crate::history::History;
use crate::play::play;

/// Leaves out events and mishaps, one after the other, as long as the history still fails as it did. One that does not fail stays as it is.
pub fn minimized(history: History) -> History {
    let Some(kind) = kind_of_failure(&history) else {
        return history;
    };
    let mut best = history;
    loop {
        let before = size(&best);
        let mishaps: Vec<u64> = best.mishaps.keys().copied().collect();
        for number in mishaps {
            let mut smaller = best.clone();
            smaller.mishaps.remove(&number);
            best = better(best, smaller, &kind);
        }
        for at in (0..best.events.len()).rev() {
            let mut smaller = best.clone();
            smaller.events.remove(at);
            best = better(best, smaller, &kind);
        }
        if size(&best) == before {
            return best;
        }
    }
}

fn size(history: &History) -> usize {
    history.events.len() + history.mishaps.len()
}

/// What went wrong, by the words before the first name or number in it.
fn kind_of_failure(history: &History) -> Option<String> {
    let wrong = play(history).wrong.into_iter().next()?;
    let words = wrong.split_whitespace();
    let plain = |word: &&str| word.chars().all(|c| c.is_alphabetic() || ",:'".contains(c));
    Some(words.take_while(plain).collect::<Vec<_>>().join(" "))
}

fn better(best: History, smaller: History, kind: &str) -> History {
    match kind_of_failure(&smaller) {
        Some(own) if own == kind => smaller,
        _ => best,
    }
}
