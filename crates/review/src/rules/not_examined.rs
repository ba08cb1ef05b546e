//! What no review of a plan can see, and who examines it instead: as the plan says it, since a plan that had unknown values, or a provider
//! that only warns, has proven less.

use std::collections::BTreeSet;

use super::{aws, azure, google};
use crate::links::Links;
use crate::plan::{Plan, ResourceChange};
use crate::settings::{Setting, provider_blocks};
use vocabulary::Cloud;

/// A line each; none for a plan that does not touch a key or a workspace. `touched`: the clouds on which the plan changes something.
pub(super) fn lines(plan: &Plan, links: &Links, touched: &BTreeSet<Cloud>) -> Vec<String> {
    if touched.is_empty() {
        return Vec::new();
    }
    let blocks = provider_blocks(plan);
    let is_yes = |setting: Setting| matches!(setting, Setting::Yes(_));
    let only_warns = blocks.iter().any(|block| is_yes(block.only_warns(plan)));
    let roles_left_out = blocks
        .iter()
        .any(|block| is_yes(block.leaves_roles_out(plan)));
    let by_plan = match only_warns {
        true => "`terraform plan` examines them, but `preflight = \"warn\"` lets the apply go on",
        false => "`terraform plan` examines them",
    };
    let mut lines = vec![format!(
        "the present state and policy of each key that exists ({by_plan})"
    )];
    lines.extend(later(plan, links, only_warns));
    for cloud in touched {
        lines.extend(above(cloud, by_plan, roles_left_out));
        let own: &[&str] = match cloud {
            Cloud::Aws => aws::NOT_EXAMINED,
            Cloud::Gcp => google::NOT_EXAMINED,
            Cloud::Azure => azure::NOT_EXAMINED,
            Cloud::Other(_) => &[],
        };
        lines.extend(own.iter().map(|line| (*line).to_owned()));
    }
    let ignored: BTreeSet<String> = blocks
        .iter()
        .flat_map(|block| block.ignored(plan).0)
        .collect();
    if !ignored.is_empty() {
        lines.push(format!(
            "the findings that the provider ignores: {}",
            quoted(ignored.iter())
        ));
    }
    lines
}

/// What can deny the use of a key from above.
fn above(cloud: &Cloud, by_plan: &str, roles_left_out: bool) -> Option<String> {
    let what = match cloud {
        Cloud::Aws if roles_left_out => {
            return Some(
                "IAM policies of cross-account roles (nothing examines them: `examine_iam = false`)"
                    .to_owned(),
            );
        }
        Cloud::Aws => "IAM policies of cross-account roles",
        Cloud::Gcp => "IAM and deny policies above the keys",
        Cloud::Azure => "role and deny assignments above the keys",
        Cloud::Other(_) => return None,
    };
    Some(format!("{what} ({by_plan})"))
}

/// What the plan itself could not examine, because it is known only after the apply.
fn later(plan: &Plan, links: &Links, only_warns: bool) -> Vec<String> {
    let by_apply = |what: &str| match only_warns {
        true => format!("the apply examines {what}, but `preflight = \"warn\"` lets it go on"),
        false => format!("the apply examines {what}, right before it attaches a key"),
    };
    let ours = || {
        plan.of("dbxcmk_key_policy")
            .chain(plan.of("dbxcmk_key_configuration"))
            .chain(plan.of("dbxcmk_workspace_binding"))
            .filter(|change| !change.action.is_quiet() && !change.action.removes())
    };
    let keys: BTreeSet<&String> = ours()
        .filter(|change| {
            ["aws.key_arn", "gcp.kms_key_id", "azure.key_vault_key_id"]
                .iter()
                .any(|path| change.is_unknown(path))
        })
        .filter_map(|change| links.key_of.get(&change.address))
        .collect();
    let mut lines = Vec::new();
    if !keys.is_empty() {
        lines.push(format!(
            "keys that are known only after the apply: {} ({})",
            quoted(keys.into_iter()),
            by_apply("them")
        ));
    }
    let has_unknown = |change: &&ResourceChange| {
        [
            "aws.cross_account_role_arn",
            "gcp.databricks_service_accounts",
            "gcp.members",
            "azure.principals",
        ]
        .iter()
        .any(|path| change.is_unknown(path))
    };
    let holders: BTreeSet<&String> = ours()
        .filter(has_unknown)
        .map(|change| &change.address)
        .collect();
    if !holders.is_empty() {
        lines.push(format!(
            "who gets access by {}, as far as that is known only after the apply ({})",
            quoted(holders.into_iter()),
            by_apply("it")
        ));
    }
    lines
}

fn quoted<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
