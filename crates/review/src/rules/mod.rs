//! What a reviewer should know, one file for each provider whose resources matter; and the report that they fill.

mod aws;
mod azure;
mod databricks;
mod gathered;
mod google;
mod holders;
mod not_examined;
mod ours;
mod provider;
mod revoked;
mod tables;

use crate::catalog::Rule;
use std::collections::{BTreeMap, BTreeSet};

use self::gathered::{Gathered, Said};
use super::kinds;
use super::links::{Fate, LinkedWorkspace, Links, Step};
use super::plan::{Plan, ResourceChange, at};
use super::report::{Edge, KeyLine, Level, Node, ProvenLine, Report, ReviewFinding, WorkspaceLine};
use requirements::transition;
use serde_json::Value as Json;
use vocabulary::{Cloud, UseCase};

/// The form of the report.
const VERSION: u32 = 1;

/// Applies every rule to a plan.
pub fn apply(plan: &Plan, links: &Links) -> Report {
    let mut gathered = Gathered {
        plan,
        links,
        findings: Vec::new(),
        permissions: Vec::new(),
        proofs: Vec::new(),
    };
    for change in &plan.changes {
        readable(&mut gathered, change);
    }
    for change in plan
        .changes
        .iter()
        .filter(|change| !change.action.is_quiet())
    {
        ours::look(&mut gathered, change);
        aws::look(&mut gathered, change);
        databricks::look(&mut gathered, change);
        google::look(&mut gathered, change);
        azure::look(&mut gathered, change);
        tables::look(&mut gathered, change);
    }
    ours::invocations(&mut gathered);
    aws::overwritten(&mut gathered);
    let (workspaces, keys) = (workspaces(links), keys(plan, links));
    let touched = touched_clouds(links, &workspaces, &keys);
    provider::look(&mut gathered, &touched);
    whole_plan(&mut gathered);
    let Gathered {
        mut findings,
        permissions,
        proofs,
        ..
    } = gathered;
    findings.sort_by(|left, right| {
        right
            .level
            .cmp(&left.level)
            .then_with(|| left.address.cmp(&right.address))
    });
    let mut report = Report {
        version: VERSION,
        proven: proven(plan),
        workspaces,
        keys,
        permissions,
        proofs,
        level: findings.first().map(|finding| finding.level),
        findings,
        ..Report::default()
    };
    report.not_examined = not_examined::lines(plan, links, &touched);
    (report.nodes, report.edges) = diagram(plan, links);
    report.verdict = report.in_one_line();
    report
}

/// What the provider proves before it applies the plan: the attribute `proof`, where it is new.
fn proven(plan: &Plan) -> Vec<ProvenLine> {
    let ours = ["dbxcmk_key_configuration", "dbxcmk_workspace_binding"];
    let changes = plan.changes.iter();
    let changes = changes.filter(|change| ours.contains(&change.kind.as_str()));
    changes
        .filter_map(|change| {
            let after = change.after("proof")?;
            let is_new = change.before("proof").as_ref() != Some(&after);
            is_new.then(|| ProvenLine {
                address: change.address.clone(),
                lines: after.lines().map(str::to_owned).collect(),
            })
        })
        .collect()
}

/// The clouds on which a plan changes something.
fn touched_clouds(
    links: &Links,
    workspaces: &[WorkspaceLine],
    keys: &[KeyLine],
) -> BTreeSet<Cloud> {
    let of_workspaces = workspaces
        .iter()
        .flat_map(|line| links.workspaces_at(&line.address))
        .map(|one| one.cloud.clone());
    let of_keys = keys.iter().map(|line| links.cloud_of_key(&line.key));
    of_workspaces.chain(of_keys).collect()
}

/// What of a resource cannot be read, and what of its configuration Terraform drops.
fn readable(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    let unreadable = kinds::unreadable(change);
    if !unreadable.is_empty() {
        gathered.say(
            change,
            Said {
                id: Rule::ResourceUnreadable,
                level: Level::Error,
                summary: format!("A {} cannot be read", change.kind),
                detail: format!(
                    "This version cannot read these values of the plan:\n{}\n\nThe review does not cover this resource.",
                    unreadable.iter().map(|line| format!("  - {line}")).collect::<Vec<_>>().join("\n")
                ),
                remedy: "Review this resource by hand. If the plan comes from `terraform show -json`, report it as a bug of this provider.",
            },
        );
    }
    let Some(kind) = kinds::kind(&change.kind).filter(|kind| !kind.nested.is_empty()) else {
        return;
    };
    let Some(expressions) = gathered.links.expressions(gathered.plan, change) else {
        return;
    };
    let unknown = kinds::unknown_names(kind, expressions);
    if !unknown.is_empty() {
        gathered.say(
            change,
            Said {
                id: Rule::UnknownAttribute,
                level: Level::Error,
                summary: "The configuration has an attribute that does not exist".to_owned(),
                detail: format!(
                    "{}\n\nTerraform ignores unknown names inside a nested attribute, so the default applies.",
                    unknown.iter().map(|line| format!("  - {line}")).collect::<Vec<_>>().join("\n")
                ),
                remedy: "Correct the name. `dbxcmk lint` finds such names in every file.",
            },
        );
    }
}

/// The texts of a list or set, in a state of a resource.
fn texts(state: &Json, path: &str) -> BTreeSet<String> {
    at(state, path)
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .map(str::to_owned)
        .collect()
}

/// What concerns no single resource.
fn whole_plan(gathered: &mut Gathered<'_>) {
    let mut push = |id, level, address: &str, summary: &str, detail: String, remedy: &str| {
        let (address, summary, remedy) =
            (address.to_owned(), summary.to_owned(), remedy.to_owned());
        gathered.findings.push(ReviewFinding {
            id,
            level,
            address,
            summary,
            detail,
            remedy,
        });
    };
    if gathered.plan.errored {
        push(
            Rule::PlanErrored,
            Level::Error,
            "",
            "The plan is not complete",
            "Terraform stopped while it made this plan, so the plan does not show everything."
                .to_owned(),
            "Fix the errors that `terraform plan` reports, then review the new plan.",
        );
    }
    for check in &gathered.plan.failed_checks {
        push(
            Rule::CheckFailed,
            Level::Warning,
            &check.address.to_display,
            "A check fails",
            check.problems().join("\n"),
            "Fix the cause of the failed check. A `dbxcmk_key_readiness` data source lists the findings and their remedies.",
        );
    }
}

/// A configuration with its key, in words.
fn described(links: &Links, configuration: &str) -> String {
    let key = links
        .configurations
        .get(configuration)
        .and_then(|one| one.key.clone());
    match key {
        // The ID of a configuration on Azure is the identifier of its key, with the version if one is pinned.
        Some(key) if key != configuration => format!("{configuration} · {key}"),
        _ => configuration.to_owned(),
    }
}

fn step_in_words(step: &Step, case: UseCase, workspace: &LinkedWorkspace) -> &'static str {
    let may = transition(&workspace.cloud, case);
    let is_known = !matches!(workspace.cloud, Cloud::Other(_));
    match (workspace.fate, &step.before) {
        (Fate::Forgotten, Some(_)) => return "no longer managed; the key stays attached",
        (Fate::Deleted, Some(_)) if step.after.is_none() => return "deleted with the workspace",
        _ => {}
    }
    match (&step.before, &step.after) {
        (Some(old), Some(new)) if old == new => "as before",
        // What may happen to a key there is not known.
        (None, Some(_)) if !is_known => "attached",
        (Some(_), Some(_)) if !is_known => "changed",
        (Some(_), None) if !is_known => "removed",
        (None, Some(_)) if !may.change => "attached, permanently",
        (None, Some(_)) => "attached",
        (Some(_), Some(_)) if may.change => "rotated",
        (Some(_), Some(_)) => "changed, which Databricks refuses",
        (Some(_), None) if may.remove => "taken back",
        (Some(_), None) => "removed, which Databricks refuses",
        (None, None) => "none",
    }
}

fn workspaces(links: &Links) -> Vec<WorkspaceLine> {
    let mut lines = Vec::new();
    for workspace in &links.workspaces {
        for (case, step) in workspace.keys.iter().filter(|(_, step)| step.changes()) {
            let shown = |name: &Option<String>| name.as_deref().map(|name| described(links, name));
            // What Terraform only forgets keeps its keys.
            let after = match workspace.fate {
                Fate::Forgotten => &step.before,
                Fate::Stays | Fate::Deleted | Fate::Renamed => &step.after,
            };
            lines.push(WorkspaceLine {
                workspace: workspace.name.clone(),
                address: workspace.address.clone(),
                use_case: case.name(),
                before: shown(&step.before),
                after: shown(after),
                step: step_in_words(step, *case, workspace),
            });
        }
    }
    lines
}

fn keys(plan: &Plan, links: &Links) -> Vec<KeyLine> {
    let mut changes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for change in plan
        .changes
        .iter()
        .filter(|change| !change.action.is_quiet())
    {
        if let Some(key) = links.key_of.get(&change.address) {
            changes.entry(key).or_default().push(format!(
                "{}: {}",
                change.address,
                change.action.in_words()
            ));
        }
    }
    for (address, former) in &links.former_key_of {
        changes
            .entry(former)
            .or_default()
            .push(format!("{address}: moves to another key"));
    }
    let ours = changes
        .into_iter()
        .filter(|(key, _)| links.is_for_databricks(key));
    ours.map(|(key, changes)| KeyLine {
        key: key.to_owned(),
        changes,
        workspaces: links.users_of(key).into_iter().collect(),
    })
    .collect()
}

/// What each use case stands for in the diagram, in the words of its cloud.
fn kinds_of_data(case: UseCase, cloud: &Cloud, cluster_volumes: bool) -> Vec<String> {
    let words = cloud.words();
    let storage = words.storage.to_owned();
    let disks = format!("{} of clusters", words.disks);
    let has_disks = match cloud {
        Cloud::Gcp => true,
        Cloud::Azure => false,
        Cloud::Aws | Cloud::Other(_) => cluster_volumes,
    };
    match case {
        UseCase::ManagedServices => vec!["notebooks, secrets, queries".to_owned()],
        UseCase::Storage if has_disks => vec![storage, disks],
        UseCase::Storage => vec![storage],
        UseCase::ManagedDisks => vec![disks],
    }
}

/// From key to configuration to workspace to kinds of data, with what changes marked.
fn diagram(plan: &Plan, links: &Links) -> (Vec<Node>, Vec<Edge>) {
    let mut drawing = Drawing {
        plan,
        links,
        nodes: BTreeSet::new(),
        edges: BTreeSet::new(),
    };
    for workspace in &links.workspaces {
        if workspace.fate != Fate::Renamed {
            drawing.workspace(workspace);
        }
    }
    one_box_each(drawing.nodes, drawing.edges)
}

/// A diagram that is being drawn.
struct Drawing<'a> {
    plan: &'a Plan,
    links: &'a Links,
    nodes: BTreeSet<Node>,
    edges: BTreeSet<Edge>,
}

impl Drawing<'_> {
    fn action_of(&self, address: &str) -> &'static str {
        let mut changes = self.plan.changes.iter();
        let change = changes.find(|change| change.address == address);
        change
            .filter(|change| !change.action.is_quiet())
            .map_or("", |change| change.action.in_words())
    }

    fn node(&mut self, name: &str, kind: &'static str, action: &'static str) {
        self.nodes.insert(Node {
            name: name.to_owned(),
            kind,
            action,
        });
    }

    fn edge(&mut self, (from, to): (&str, &str), label: &'static str, state: &'static str) {
        self.edges.insert(Edge {
            from: from.to_owned(),
            to: to.to_owned(),
            label,
            state,
        });
    }

    /// A workspace that changes, or of whose keys something does.
    fn workspace(&mut self, workspace: &LinkedWorkspace) {
        let is_quiet = self.action_of(&workspace.address).is_empty()
            && workspace.keys.values().all(|step| !step.changes())
            && !touched(self.links, workspace, &|address| self.action_of(address));
        if is_quiet {
            return;
        }
        self.node(&workspace.name, "workspace", "");
        for (case, step) in &workspace.keys {
            let kept = if step.changes() { "new" } else { "kept" };
            let sides = match workspace.fate {
                Fate::Forgotten => [(&step.before, "kept"), (&None, "gone")],
                Fate::Stays | Fate::Deleted | Fate::Renamed => {
                    [(&step.after, kept), (&step.before, "gone")]
                }
            };
            for (configuration, state) in sides {
                let is_drawn = state != "gone" || step.changes();
                if let Some(name) = configuration.as_deref().filter(|_| is_drawn) {
                    self.key(workspace, *case, name, state);
                }
            }
        }
    }

    /// What a workspace has for a use case, before or after: its configuration, the key of that, and the data below.
    fn key(&mut self, workspace: &LinkedWorkspace, case: UseCase, name: &str, state: &'static str) {
        let known = self.links.configurations.get(name);
        let address = known.and_then(|one| one.address.as_deref());
        let action = address.map_or("", |address| self.action_of(address));
        // On Azure the identifier of a key stands for its configuration: one box for both.
        let is_key = known.is_some_and(|one| one.key.as_deref() == Some(name));
        if !is_key {
            self.node(name, "configuration", action);
        }
        let label = match case {
            UseCase::ManagedServices => "managed services",
            UseCase::Storage => "storage",
            UseCase::ManagedDisks => "managed disks",
        };
        self.edge((name, &workspace.name), label, state);
        if let Some(key) = known.and_then(|one| one.key.as_deref()) {
            let address = self
                .links
                .keys
                .get(key)
                .and_then(|key| key.address.as_deref());
            let action = address.map_or("", |address| self.action_of(address));
            self.node(key, "key", action);
            if !is_key {
                self.edge((key, name), "", "kept");
            }
        }
        if state != "gone" {
            let has_volumes = known.is_some_and(|one| one.cluster_volumes);
            for data in kinds_of_data(case, &workspace.cloud, has_volumes) {
                self.node(&data, "data", "");
                self.edge((&workspace.name, &data), "", state);
            }
        }
    }
}

/// A key that stands for its configuration on one side of a change, and not on the other, is one box, and no arrow leads from it to itself.
fn one_box_each(nodes: BTreeSet<Node>, edges: BTreeSet<Edge>) -> (Vec<Node>, Vec<Edge>) {
    let is_key = |one: &Node| one.kind == "key";
    let keys: BTreeSet<String> = nodes
        .iter()
        .filter(|one| is_key(one))
        .map(|one| one.name.clone())
        .collect();
    let nodes = nodes.into_iter();
    let nodes = nodes.filter(|one| is_key(one) || !keys.contains(&one.name));
    let edges = edges.into_iter().filter(|one| one.from != one.to);
    (nodes.collect(), edges.collect())
}

/// Whether something happens to a configuration or key that a workspace uses.
fn touched(
    links: &Links,
    workspace: &LinkedWorkspace,
    action_of: &dyn Fn(&str) -> &'static str,
) -> bool {
    let configurations = workspace
        .keys
        .values()
        .flat_map(|step| step.after.iter().chain(step.before.iter()));
    configurations
        .filter_map(|name| links.configurations.get(name))
        .any(|one| {
            let key = one
                .key
                .as_ref()
                .and_then(|key| links.keys.get(key))
                .and_then(|key| key.address.as_deref());
            [one.address.as_deref(), key]
                .into_iter()
                .flatten()
                .any(|address| !action_of(address).is_empty())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagram_has_one_box_for_a_name() {
        let node = |kind| Node {
            name: "K".to_owned(),
            kind,
            action: "",
        };
        let edge = |to: &str| Edge {
            from: "K".to_owned(),
            to: to.to_owned(),
            label: "",
            state: "kept",
        };
        let nodes = [node("configuration"), node("key")].into();
        let (nodes, edges) = one_box_each(nodes, [edge("K"), edge("w")].into());
        assert_eq!((nodes, edges), (vec![node("key")], vec![edge("w")]));
    }
}
