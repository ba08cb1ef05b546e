//! The guide on findings: every one that there is, what it means, and how to fix it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::front_matter;
use crate::audit::AuditId;
use crate::preflight::{Id, Suppression};
use crate::review::Rule;

const HEAD: &str = "
# Findings

Before the provider attaches a key, it checks the key's state and policy, the key configuration, and the workspace: at plan as far as everything is known, and again \
right before the call. Each message ends with the ID of its finding in brackets.

- An *error* stops the plan or apply, unless the provider has `preflight = \"warn\"`.
- A *warning* never does. For keys that are attached already and do not change, the provider shows only what would be an error now, as a warning.
- You can ignore some findings by their ID, for one resource or for all:

```terraform
provider \"dbxcmk\" {
  ignore_findings = [\"kms-key-no-rotation\"]
}
```

[`dbxcmk policy check`](policy-command.md) reports the same findings about a policy file, without a cloud.

In the commands below, words in capitals are yours to replace.

## Findings of the proof

| ID | Finding | Severity | Can be ignored |
|---|---|---|---|
";

const REVIEW: &str = "
## Findings of the review

[`dbxcmk review`](pull-request-review.md) reports what a plan does to keys and workspaces. `--accept ID=REASON` accepts a finding.

| ID | Finding |
|---|---|
";

const AUDIT: &str = "
## Findings of the audit

[`dbxcmk audit`](audit.md) reports the findings of the proof for everything that has a key, and these of its own. An `exception` of its policy file accepts a finding.

| ID | Finding | Severity |
|---|---|---|
";

/// The page. `fixes` is `examples/findings.md`, which has how to fix a finding below its ID; an ID that does not exist is an error, and so is a
/// file that cannot be read.
pub(super) fn page(fixes: &Path) -> std::io::Result<String> {
    let mut fixes = sections(&super::example(fixes)?);
    let description = "Every finding of the proof, of the plan review and of the audit: what it means, how to fix it, and whether you can ignore it.";
    let mut page = front_matter("Findings - dbxcmk", "Reference", description);
    page.push_str(HEAD);
    for id in Id::ALL {
        let ignorable = word(id.suppression() == Suppression::Allowed);
        let weight = id.severity_rule().in_words();
        let _ = writeln!(
            page,
            "| [`{id}`](#{id}) | {} | {weight} | {ignorable} |",
            id.title()
        );
    }
    page.push_str(REVIEW);
    for rule in Rule::ALL {
        let _ = writeln!(page, "| [`{rule}`](#{rule}) | {} |", rule.title());
    }
    page.push_str(AUDIT);
    for id in AuditId::ALL {
        let weight = id.gravity().word();
        let _ = writeln!(page, "| [`{id}`](#{id}) | {} | {weight} |", id.title());
    }
    for id in Id::ALL {
        section(&mut page, &mut fixes, id.name(), id.title(), id.text());
    }
    for rule in Rule::ALL {
        section(
            &mut page,
            &mut fixes,
            rule.name(),
            rule.title(),
            rule.text(),
        );
    }
    for id in AuditId::ALL {
        section(&mut page, &mut fixes, id.name(), id.title(), id.text());
    }
    match fixes.keys().next() {
        Some(unknown) => Err(std::io::Error::other(format!(
            "examples/findings.md describes `{unknown}`, which is not a finding"
        ))),
        None => Ok(page),
    }
}

fn word(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

/// What a finding means, and how to fix it.
fn section(
    page: &mut String,
    fixes: &mut BTreeMap<String, String>,
    id: &str,
    title: &str,
    text: &str,
) {
    let _ = write!(page, "\n## {id}\n\n**{title}.** {text}\n");
    if let Some(fix) = fixes.remove(id) {
        let _ = write!(page, "\n{fix}\n");
    }
}

/// The parts of a page by their headings.
fn sections(text: &str) -> BTreeMap<String, String> {
    text.split("\n## ")
        .skip(1)
        .filter_map(|part| part.split_once('\n'))
        .map(|(id, body)| (id.trim().to_owned(), body.trim().to_owned()))
        .collect()
}
