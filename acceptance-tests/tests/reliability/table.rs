//! The outcomes, as the last part of the page of the documentation, and their comparison with what the simulation has written
//! there.

use std::fmt::Write as _;

use acceptance_tests::harness::checkout;

use crate::cases::Case;
use crate::play::Seen;

const PAGE: &str = "docs/guides/reliability.md";
/// If set, the test writes the page again (`make reliability`).
const WRITE: &str = "DBXCMK_WRITE_RELIABILITY";

const HEAD: &str = "## With a real Terraform

A test wrote this table with a real Terraform and the provider's own process, over real sockets. It has one failure of
each kind of the network for each service, and what only processes can show. Rows that the tables above have, too, have the same outcome there:
the test compares them. Here, the provider retries a call to the account API for 8 seconds (`http.retry_timeout`), and a request takes at most
3 seconds (`http.timeout`).

| Service | Failure | During | That run | Next run |
|---|---|---|---|---|
";

/// Between outcomes that are all right.
const OR: &str = ", or: ";

/// A cell of the page: the outcome, or every outcome that is right where chance decides.
fn cell(seen: &str, right: &[&str]) -> String {
    if right.contains(&seen) {
        right.join(OR)
    } else {
        seen.to_owned()
    }
}

/// The part of the page with the outcomes.
fn own_part(cases: &[Case], seen: &[Seen]) -> String {
    let mut page = HEAD.to_owned();
    for (case, seen) in cases.iter().zip(seen) {
        let next = cell(&seen.next, case.next_outcomes());
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {next} |",
            case.section, case.fault, case.place, seen.run
        );
    }
    page
}

/// Compares an outcome with the rows that the simulation has written; a case without a row there is one that only processes can show.
pub fn agrees(case: &Case, seen: &Seen, simulated: &str) -> Result<(), String> {
    if case.is_real_alone() {
        return Ok(());
    }
    let section = simulated
        .split("\n## ")
        .find(|one| one.lines().next() == Some(case.section));
    let row = format!("| {} | {} | ", case.fault, case.place);
    let told = section
        .and_then(|section| section.lines().find_map(|line| line.strip_prefix(&row)))
        .ok_or_else(|| format!("the simulation has no row `{row}` in `{}`", case.section))?;
    let mut cells = told.trim_end_matches(" |").split(" | ");
    let mut is_told = |own: &str| {
        let mut right = cells.next().unwrap_or_default().split(OR);
        right.any(|one| one == own)
    };
    match is_told(&seen.run) && is_told(&seen.next) {
        true => Ok(()),
        false => Err(format!(
            "a real Terraform shows:  {} | {} |\nthe simulation shows:   {told}",
            seen.run, seen.next
        )),
    }
}

/// The part of the page that the simulation has written, and the rest.
pub fn parts() -> (String, String) {
    let page = std::fs::read_to_string(checkout().join(PAGE)).expect("the page is there");
    let first = HEAD.lines().next().unwrap_or_default();
    let at = page.find(&format!("\n{first}\n")).map(|at| at + 1);
    let (simulated, own) = page.split_at(at.unwrap_or(page.len()));
    (simulated.to_owned(), own.to_owned())
}

/// Compares the own part of the page with the one in the documentation, or writes it. A cell with several outcomes is right with each of
/// them.
pub fn compare(cases: &[Case], seen: &[Seen]) {
    let part = own_part(cases, seen);
    let (simulated, there) = parts();
    if std::env::var_os("DBXCMK_RELIABILITY_ONLY").is_some() {
        print!("{part}");
        return;
    }
    if std::env::var_os(WRITE).is_some_and(|value| !value.is_empty()) {
        let path = checkout().join(PAGE);
        std::fs::write(&path, format!("{simulated}{part}")).expect("the page can be written");
        return;
    }
    let missing = |of: &str, sign: char, other: &str| -> Vec<String> {
        let gone = of
            .lines()
            .filter(|line| !other.lines().any(|one| one == *line));
        gone.map(|line| format!("  {sign} {line}")).collect()
    };
    let differing = [missing(&part, '+', &there), missing(&there, '-', &part)].concat();
    assert!(
        there == part,
        "{PAGE} does not show what was seen; if the change is meant, run `make reliability`:\n{}",
        differing.join("\n")
    );
}
