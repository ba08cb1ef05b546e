//! `make fuzz`: many inputs for each parser: `fuzz INPUTS TARGET ...`

#![allow(clippy::print_stdout, reason = "a program that reports")]

use acceptance_tests::fuzz::run;
use dbxcmk::fuzzing::TARGETS;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let inputs = arguments
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1_000_000);
    let wanted: Vec<String> = arguments.collect();
    println!("| parser | inputs | read | a second |\n|---|--:|--:|--:|");
    for target in TARGETS {
        if wanted.is_empty() || wanted.iter().any(|name| name == target.name) {
            let figures = run(target, inputs, 0);
            println!(
                "| {} | {} | {} | {:.0} |",
                target.name,
                figures.inputs,
                figures.read,
                figures.inputs as f64 / figures.time.as_secs_f64()
            );
        }
    }
}
