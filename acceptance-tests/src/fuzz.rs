//! Many inputs for each parser of what comes from outside, made from inputs that it takes. The same seed makes the same inputs, so that what
//! is found can be found again.

use std::time::{Duration, Instant};

use dbxcmk::fuzzing::Target;
use fastrand::Rng;

/// Pieces of which parsers make something.
const WORDS: &[&str] = &[
    "null",
    "true",
    "false",
    "{}",
    "[]",
    "\"\"",
    "-1",
    "0",
    "1e999",
    "18446744073709551616",
    "\\u0000",
    "\\ud800",
    "\u{1b}[31m",
    "\u{202e}",
    "*",
    "?",
    "${x}",
    "arn:aws:iam::1:root",
    "2012-10-17",
    "after_unknown",
    "Statement",
    "Condition",
    "aws:PrincipalArn",
    "module.a[0].",
    "https://",
    "//",
    ":",
    "\u{c1}\u{c7}",
    "\u{d4}\u{0}\u{0}",
    "\u{dd}\u{ff}\u{ff}\u{ff}\u{ff}",
    "\u{92}\u{c4}\u{8}\"string\"",
];

/// What a run came to.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// How many inputs there were.
    pub inputs: u64,
    /// How many of them could be read.
    pub read: u64,
    /// How long it took.
    pub time: Duration,
}

fn place(rng: &mut Rng, length: usize) -> usize {
    if length == 0 { 0 } else { rng.usize(..length) }
}

/// One input, made from those that the parser takes.
fn input(rng: &mut Rng, seeds: &[&[u8]]) -> Vec<u8> {
    let seed = |rng: &mut Rng| rng.choice(seeds).copied().unwrap_or_default();
    let mut made = seed(rng).to_vec();
    for _ in 0..rng.usize(1..6) {
        let at = place(rng, made.len());
        let until = at.saturating_add(rng.usize(1..24)).min(made.len());
        match rng.u8(..7) {
            0 => {
                if let Some(byte) = made.get_mut(at) {
                    *byte ^= 1 << rng.u8(..8);
                }
            }
            1 => made.insert(at, rng.u8(..)),
            2 => drop(made.drain(at..until)),
            3 => {
                let again: Vec<u8> = made.get(at..until).unwrap_or_default().to_vec();
                made.splice(at..at, again);
            }
            4 => {
                let word = rng.choice(WORDS).copied().unwrap_or_default();
                made.splice(at..until, word.bytes());
            }
            5 => {
                let other = seed(rng);
                let from = place(rng, other.len());
                let rest = other.get(from..).unwrap_or_default();
                made.splice(at..until, rest.iter().copied());
            }
            _ => made.truncate(at),
        }
    }
    made
}

/// Gives a parser many inputs. What makes it panic is written to standard error first, with the number of the input.
pub fn run(target: &Target, inputs: u64, seed: u64) -> Figures {
    struct Said<'a>(&'a Target, u64, Vec<u8>);

    impl Drop for Said<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                let shown = String::from_utf8_lossy(&self.2);
                eprintln!("{} fails on input {}: {shown:?}", self.0.name, self.1);
            }
        }
    }

    let mut rng = Rng::with_seed(seed);
    let start = Instant::now();
    let mut read = 0;
    for number in 0..inputs {
        let said = Said(target, number, input(&mut rng, target.seeds));
        read += u64::from((target.run)(&said.2));
    }
    Figures {
        inputs,
        read,
        time: start.elapsed(),
    }
}
