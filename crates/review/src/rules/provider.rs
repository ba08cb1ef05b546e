//! How the provider is configured: what turns its proof off, which a change of a resource does not show.

use std::collections::BTreeSet;

use super::gathered::{Gathered, Said};
use super::texts;
use crate::catalog::Rule;
use crate::plan::ResourceChange;
use crate::report::Level;
use crate::settings::{ProviderBlock, Setting, provider_blocks};
use vocabulary::Cloud;

/// `touched`: the clouds on which the plan changes something.
pub(super) fn look(gathered: &mut Gathered<'_>, touched: &BTreeSet<Cloud>) {
    let plan = gathered.plan;
    for block in provider_blocks(plan) {
        stops(gathered, &block, touched);
        ignores(gathered, &block, touched);
        examines_roles(gathered, &block, touched);
    }
}

/// Something that decides about the proof, and that the plan does not show.
fn not_shown(
    gathered: &mut Gathered<'_>,
    block: &ProviderBlock<'_>,
    attribute: &str,
    references: &str,
    remedy: &str,
) {
    gathered.say_of(
        &format!("{}.{attribute}", block.address),
        Said {
            id: Rule::ProofNotKnown,
            level: Level::Warning,
            summary: format!("The plan does not show `{attribute}` of the provider"),
            detail: format!(
                "It refers to {references}. A plan shows literals and variables, but not locals, functions, or the parts of an object that \
                 refers to something. The review cannot tell whether this setting turns a part of the proof off."
            ),
            remedy,
        },
    );
}

fn stops(gathered: &mut Gathered<'_>, block: &ProviderBlock<'_>, touched: &BTreeSet<Cloud>) {
    let remedy = "Remove `preflight`, or write `preflight = \"enforce\"`.";
    match block.only_warns(gathered.plan) {
        Setting::No => {}
        Setting::NotShown(_) if touched.is_empty() => {}
        Setting::NotShown(references) => not_shown(gathered, block, "preflight", &references, remedy),
        Setting::Yes(how) => gathered.say_of(
            &format!("{}.preflight", block.address),
            Said {
                id: Rule::PreflightWarns,
                level: Level::Error,
                summary: "Findings of the proof do not stop an apply".to_owned(),
                detail: format!(
                    "{how}. The provider attaches a key even if it finds that Databricks cannot use the key. An attach often cannot be undone."
                ),
                remedy,
            },
        ),
    }
}

fn ignores(gathered: &mut Gathered<'_>, block: &ProviderBlock<'_>, touched: &BTreeSet<Cloud>) {
    let (ids, rest) = block.ignored(gathered.plan);
    for id in ids {
        gathered.say_of(
            &format!("{}.ignore_findings.{id}", block.address),
            Said {
                id: Rule::FindingIgnored,
                level: Level::Error,
                summary: format!("The provider ignores the finding {id}"),
                detail: format!(
                    "`ignore_findings` of the provider has `{id}`: the provider does not report this finding for any resource."
                ),
                remedy: "Remove it from `ignore_findings`, or accept it here with the reason.",
            },
        );
    }
    if let (Setting::NotShown(references), false) = (rest, touched.is_empty()) {
        let remedy = "Write the IDs as a literal list, or as one variable that is a list.";
        not_shown(gathered, block, "ignore_findings", &references, remedy);
    }
}

fn examines_roles(
    gathered: &mut Gathered<'_>,
    block: &ProviderBlock<'_>,
    touched: &BTreeSet<Cloud>,
) {
    match block.leaves_roles_out(gathered.plan) {
        Setting::No => {}
        Setting::NotShown(_) if !touched.contains(&Cloud::Aws) => {}
        Setting::NotShown(references) => not_shown(
            gathered,
            block,
            "aws",
            &references,
            "Check that `aws` does not have `examine_iam = false`. To let the review read it, write the block without references, or as \
             one variable (`aws = var.aws`).",
        ),
        Setting::Yes(how) => gathered.say_of(
            &format!("{}.aws.examine_iam", block.address),
            Said {
                id: Rule::RolesNotExamined,
                level: Level::Error,
                summary: "The provider does not examine IAM roles".to_owned(),
                detail: format!(
                    "{how}. The provider does not find out whether the IAM policies of the cross-account role allow the use of a key. If they \
                     do not, clusters do not start after the attach."
                ),
                remedy: "Remove `examine_iam`, and allow the provider to read the role.",
            },
        ),
    }
}

/// Findings that a resource begins to ignore.
pub(super) fn newly_ignored(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    if change.action.removes() {
        return;
    }
    let before = texts(change.state_before(), "ignore_findings");
    let after = texts(change.state_after(), "ignore_findings");
    let new: Vec<String> = after
        .difference(&before)
        .map(|id| format!("`{id}`"))
        .collect();
    if change.is_unknown("ignore_findings") {
        gathered.say(
            change,
            Said {
                id: Rule::ProofNotKnown,
                level: Level::Warning,
                summary: "The plan does not show which findings a resource ignores".to_owned(),
                detail: "`ignore_findings` is known only after the apply.".to_owned(),
                remedy: "Write the IDs so that they are known at plan.",
            },
        );
    }
    if new.is_empty() {
        return;
    }
    gathered.say(
        change,
        Said {
            id: Rule::FindingIgnored,
            level: Level::Error,
            summary: "A resource begins to ignore findings".to_owned(),
            detail: format!(
                "`ignore_findings` gets {}: the provider does not report this for the resource.",
                new.join(", ")
            ),
            remedy: "Remove it from `ignore_findings`, or accept it here with the reason.",
        },
    );
}
