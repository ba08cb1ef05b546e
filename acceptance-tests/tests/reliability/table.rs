//! What was seen, as the page of the documentation.

use std::fmt::Write as _;

use acceptance_tests::harness::checkout;

use crate::cases::Case;
use crate::play::Seen;

const PAGE: &str = "docs/guides/reliability.md";
/// Set to write the page anew (`make reliability`).
const WRITE: &str = "DBXCMK_WRITE_RELIABILITY";

const HEAD: &str = "---
page_title: \"Reliability - dbxcmk\"
subcategory: \"\"
description: |-
  What happens when the account API, KMS, a network, a machine or a person gets in the way of an apply.
---

# Reliability

What happens when something gets in the way of an apply. The tables were written by a test: a real Terraform applies a
`dbxcmk_key_policy`, a `dbxcmk_key_configuration` and a `dbxcmk_workspace_binding` against local services that fail in this very
way, once unless it says otherwise, and then applies again.

After each of these, the test has checked:

- no key configuration is there twice, and no statement of the key policy;
- what somebody else has in the key policy is byte for byte as it was;
- the state claims nothing that is not there, and nothing is marked for replacement;
- the next apply succeeds, the workspace has its keys, and the plan after it is empty;
- the storage key, which can be set only once, was never set to anything else.

Where a cell has two outcomes, chance decides between them, and both are right. *done* means that the run got over it. Here a call to the account API may go on trying for 8 seconds (`http.retry_timeout`) and
one request may take 3 (`http.timeout`); by default it is 5 minutes and 60 seconds, so that more of this ends in *done*.
";

/// Between outcomes that are all right.
const OR: &str = ", or: ";

/// A cell of the page: what was seen, or every outcome that is right where chance decides.
fn cell(seen: &str, right: &[&str]) -> String {
    if right.contains(&seen) {
        right.join(OR)
    } else {
        seen.to_owned()
    }
}

/// The page of what was seen.
fn page(cases: &[Case], seen: &[Seen]) -> String {
    let mut page = HEAD.to_owned();
    let mut section = "";
    for (case, seen) in cases.iter().zip(seen) {
        if case.section != section {
            section = case.section;
            let _ = write!(
                page,
                "\n## {section}\n\n| what happens | where | that run | the next run |\n|---|---|---|---|\n"
            );
        }
        let next = cell(&seen.next, case.next_outcomes());
        let _ = writeln!(
            page,
            "| {} | {} | {} | {next} |",
            case.fault, case.place, seen.run
        );
    }
    page
}

/// Compares the page with the one in the documentation, or writes it. A cell with several outcomes is right with each of them.
pub fn compare(cases: &[Case], seen: &[Seen]) {
    let path = checkout().join(PAGE);
    let page = page(cases, seen);
    if std::env::var_os(WRITE).is_some_and(|value| !value.is_empty()) {
        std::fs::write(&path, page).expect("the page can be written");
        return;
    }
    if std::env::var_os("DBXCMK_RELIABILITY_ONLY").is_some() {
        print!("{page}");
        return;
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    let differing: Vec<String> = page
        .lines()
        .filter(|line| !there.lines().any(|known| known == *line))
        .map(|line| format!("  + {line}"))
        .chain(
            there
                .lines()
                .filter(|line| !page.lines().any(|new| new == *line))
                .map(|line| format!("  - {line}")),
        )
        .collect();
    assert!(
        differing.is_empty() && there == page,
        "{PAGE} does not show what was seen; if the change is meant, run `make reliability`:\n{}",
        differing.join("\n")
    );
}
