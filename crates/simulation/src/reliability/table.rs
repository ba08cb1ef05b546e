//! The outcomes, as a part of the page of the documentation.

use std::fmt::Write as _;

use super::cases::Case;
use super::play::Seen;

/// Where the part of the page begins that a real Terraform writes.
pub const WITH_TERRAFORM: &str = "## With a real Terraform\n";

const HEAD: &str = "---
page_title: \"Reliability - dbxcmk\"
subcategory: \"Reference\"
description: |-
  What happens when the account API, a cloud, the network, a machine or a person interrupts an apply.
---

# Reliability

In short: after any failure, **apply again**. The provider continues where the run stopped, creates nothing twice, and changes nothing of others. Many failures
that pass by themselves do not stop a run at all; the others stop it with a message that says what was done. [What to do in an
incident](incident-runbook.md) is another page.

This page shows what happens when something interrupts an apply of a `dbxcmk_key_policy`, a `dbxcmk_key_configuration` and a
`dbxcmk_workspace_binding`. Tests wrote the tables: one failure strikes in the way that the row says (once, unless the row says otherwise),
and then Terraform applies again. *done* means that the run succeeded in spite of the failure. A cell with two outcomes depends on
timing; both are correct.

After each failure, the tests check:

- No key configuration, no statement of the key policy, and no role assignment exists twice.
- Statements of others in the key policy are byte for byte unchanged; on Azure, so are role assignments of others and all other fields of the
  workspace.
- The state contains only what exists, and marks nothing for replacement.
- The next apply succeeds, the workspace can use its keys, and the plan after it shows no changes. (Where that apply finds that Databricks
  has undone what the first one sent, it stops, and the one after it succeeds.)
- The storage key, which can be set only once, was never set to another key.

The tables up to [With a real Terraform](#with-a-real-terraform) come from a simulation: the provider as it is released, with its defaults
(but for a `settle_time` of 2 minutes), on a simulated clock and network. The services of Databricks and the clouds are local models, and so is
Terraform. A model can be wrong. So tests compare the model of Terraform with the real one step by step, and a real Terraform plays a part of the
same failures over real sockets, with the same outcomes: the last table.

## Histories

The tables show one failure at a time. Every run of the tests also plays histories in which failures meet: configurations that change, other
people, kills, interrupts and mangled answers in any order. The section \"Simulate\" of CONTRIBUTING.md says what is checked after each step.

A history sends some 600 requests and takes about a twelfth of a second of two processors, for minutes up to days on its own clock. Every run of the
tests plays some hundreds, and a release plays a million on each cloud. What they have found, and what is repaired since:

- A value that was known at plan could not be read again within the apply, and Terraform said \"Provider produced inconsistent final plan\".
- An answer to a create that was changed on the way was believed (Google Cloud and AWS).
- A version of a key in a vault counted as disabled where the answer did not say whether it is enabled (Azure).
- An identity that the workspace had lost was promised by every plan, and refused by every apply (Azure).
- A changed `force_destroy` hid that a principal had lost its access (Azure).
- A binding and a key policy of one workspace waited for each other (Azure).
- A restore left its own tag behind after tags could not be read once (AWS).
";

/// A row of a table: a cell has every outcome that is right where chance decides.
pub fn row(case: &Case, seen: &Seen) -> String {
    let run = match case.either.contains(&seen.run.as_str()) {
        true => case.either.join(", or: "),
        false => seen.run.clone(),
    };
    let (fault, place) = (&case.fault, &case.place);
    format!("| {fault} | {place} | {run} | {} |", seen.next)
}

/// The part of the page that the simulation writes.
pub fn page(cases: &[Case], seen: &[Seen]) -> String {
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
        let _ = writeln!(page, "{}", row(case, seen));
    }
    page.push('\n');
    page
}
