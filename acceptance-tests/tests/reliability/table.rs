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
  What happens when the account API, a cloud, the network, a machine or a person interrupts an apply.
---

# Reliability

This page shows what happens when something interrupts an apply. A test wrote the tables: a real Terraform applies a
`dbxcmk_key_policy`, a `dbxcmk_key_configuration` and a `dbxcmk_workspace_binding` against local services that fail in the way that
the row says (once, unless the row says otherwise), and then applies again.

After each failure, the test checks:

- No key configuration, no statement of the key policy, and no role assignment exists twice.
- Statements of others in the key policy are byte for byte unchanged; on Azure, so are role assignments of others and all other fields of the
  workspace.
- The state contains only what exists, and marks nothing for replacement.
- The next apply succeeds, the workspace has its keys, and the plan after it shows no changes.
- The storage key, which can be set only once, was never set to another key.

A cell with two outcomes depends on timing; both are correct. *done* means that the run succeeded in spite of the failure. In this
test, the provider retries a call to the account API for 8 seconds (`http.retry_timeout`), and a request takes at most 3 seconds
(`http.timeout`). The defaults are 5 minutes and 60 seconds, with which more rows end in *done*.

The tables show one failure at a time. Every run of the tests also plays histories in which failures meet: configurations that change, other
people, kills, interrupts and mangled answers in any order, against the same provider on a simulated clock and network. The section
\"Simulate\" of CONTRIBUTING.md says what is checked after each step.
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
                "\n## {section}\n\n| Failure | During | That run | Next run |\n|---|---|---|---|\n"
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
