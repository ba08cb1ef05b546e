//! What rules gather while they go through a plan.

use std::collections::BTreeSet;

use crate::catalog::Rule;
use crate::links::Links;
use crate::plan::{Action, Plan, ResourceChange};
use crate::report::{Level, PermissionLine, ProofLine, ReviewFinding};
use requirements::coverage::WorkspaceKeys;
use requirements::revocation::without_key;
use vocabulary::{Cloud, UseCase};

/// What a plan shows of the use of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Workspaces of the plan use it.
    Used,
    /// No workspace of the plan uses it, but its configuration or policy stays.
    Meant,
    /// The same plan removes everything of ours that it has: its configurations and its policies. Among them is a policy whose removal the
    /// provider refuses at plan as long as a workspace of the account uses the key, so a plan that has it shows that none does.
    GivenUp,
    /// Nothing: the plan does not speak of the key otherwise.
    NotShown,
}

impl Use {
    /// How much it matters that such a key goes.
    pub(super) fn level(self) -> Level {
        match self {
            Self::Used | Self::Meant => Level::Error,
            Self::GivenUp | Self::NotShown => Level::Warning,
        }
    }

    /// What to call it: `A key that Databricks uses`. `what`: `key`, `version of a key`.
    pub(super) fn called(self, what: &str) -> String {
        match self {
            Self::Used => format!("A {what} that Databricks uses"),
            Self::Meant => format!("A {what} that is meant for Databricks"),
            Self::GivenUp => format!("A {what} that no workspace uses anymore"),
            Self::NotShown => format!("A {what} that Databricks perhaps uses"),
        }
    }
}

/// What to do about a key whose use the plan does not show.
pub(super) const FIND_OUT: &str =
    "Find out which workspaces use the key: `dbxcmk key status KEY` lists them.";

/// Whether the provider refuses the deletion of a resource of ours as long as a workspace of the account uses its key: a key policy on AWS or Google
/// Cloud without `force_destroy`. A key configuration is refused by its own ID alone, and on Azure it is nothing that could be.
fn is_refused_in_use(change: &ResourceChange) -> bool {
    let names_key = ["aws.key_arn", "gcp.kms_key_id"]
        .iter()
        .any(|path| change.before(path).is_some());
    change.kind == "dbxcmk_key_policy"
        && names_key
        && change.before("force_destroy").as_deref() != Some("true")
}

/// What rules gather.
pub(super) struct Gathered<'a> {
    pub(super) plan: &'a Plan,
    pub(super) links: &'a Links,
    pub(super) findings: Vec<ReviewFinding>,
    pub(super) permissions: Vec<PermissionLine>,
    pub(super) proofs: Vec<ProofLine>,
}

/// One thing to know, as a rule says it.
pub(super) struct Said<'a> {
    pub(super) id: Rule,
    pub(super) level: Level,
    pub(super) summary: String,
    pub(super) detail: String,
    pub(super) remedy: &'a str,
}

impl Gathered<'_> {
    pub(super) fn say(&mut self, change: &ResourceChange, said: Said<'_>) {
        self.say_of(&change.address, said);
    }

    /// Reports the same about something that is not a resource.
    pub(super) fn say_of(&mut self, address: &str, said: Said<'_>) {
        let Said {
            id,
            level,
            summary,
            detail,
            remedy,
        } = said;
        self.findings.push(ReviewFinding {
            id,
            level,
            address: address.to_owned(),
            summary,
            detail,
            remedy: remedy.to_owned(),
        });
    }

    /// What the plan shows of the use of a key.
    pub(super) fn use_of(&self, key: &str) -> Use {
        if !self.links.is_for_databricks(key) {
            return Use::NotShown;
        }
        match (self.links.users_of(key).is_empty(), self.is_given_up(key)) {
            (false, _) => Use::Used,
            (true, true) => Use::GivenUp,
            (true, false) => Use::Meant,
        }
    }

    fn is_given_up(&self, key: &str) -> bool {
        let is_its = |change: &&ResourceChange| {
            self.links
                .key_of
                .get(&change.address)
                .is_some_and(|own| own == key)
        };
        let ours = self
            .plan
            .of("dbxcmk_key_configuration")
            .chain(self.plan.of("dbxcmk_key_policy"));
        let own: Vec<&ResourceChange> = ours.filter(is_its).collect();
        let mut peers = self.plan.of("databricks_mws_customer_managed_keys");
        own.iter().all(|change| change.action == Action::Delete)
            && own.iter().any(|change| is_refused_in_use(change))
            && !peers.any(|change| is_its(&change))
    }

    /// Who uses a key, as a sentence: `` `KEY` is used by the workspace a. ``
    pub(super) fn used_by(&self, key: &str, of_key: Use) -> String {
        match of_key {
            Use::NotShown => format!(
                "The plan does not show whether Databricks uses `{key}`: no key configuration or key policy of this plan names it."
            ),
            Use::Meant => format!(
                "No workspace of this plan uses `{key}`, but it is meant for Databricks: its policy, or a resource of this plan, says so."
            ),
            Use::Used | Use::GivenUp => {
                format!(
                    "`{key}` is used by {}.",
                    in_words(&self.links.users_of(key))
                )
            }
        }
    }

    /// What stops without a key, as a list: for what the plan uses it, else for all that it can be used for.
    pub(super) fn stops_without(&self, key: &str) -> String {
        let links = self.links;
        let mut cases: BTreeSet<UseCase> = BTreeSet::new();
        let mut has_volumes = false;
        for configuration in links.configurations_of(key) {
            let users = links.workspaces_of(&configuration.name);
            let steps = users.flat_map(|one| one.keys.iter());
            let used = steps.filter(|(_, step)| step.is(&configuration.name));
            let used: BTreeSet<UseCase> = used.map(|(case, _)| *case).collect();
            cases.extend(match used.is_empty() {
                true => &configuration.use_cases,
                false => &used,
            });
            has_volumes |= configuration.cluster_volumes;
        }
        let keys = WorkspaceKeys {
            managed_services: cases.contains(&UseCase::ManagedServices),
            storage: cases.contains(&UseCase::Storage),
            cluster_volumes: Some(has_volumes && cases.contains(&UseCase::Storage)),
            managed_disks: cases.contains(&UseCase::ManagedDisks),
            // A plan does not show where a workspace stores its data, nor what compute it has.
            default_storage: None,
            serverless_only: None,
        };
        let stop = without_key(&self.cloud_of_key(key), keys);
        let lines = stop.compute.iter().map(|line| format!("\n  - {line}"));
        match stop.compute.is_empty() {
            true => String::new(),
            false => format!("What stops:{}", lines.collect::<String>()),
        }
    }

    /// The other `dbxcmk_key_policy` resources that have a key after the apply.
    pub(super) fn other_policies(
        &self,
        change: &ResourceChange,
        key: &str,
    ) -> Vec<&ResourceChange> {
        let is_its = |other: &&ResourceChange| {
            let leaves = self.links.former_key_of.get(&other.address);
            other.address != change.address
                && !other.action.removes()
                && leaves.is_none_or(|former| former != key)
                && self
                    .links
                    .key_of
                    .get(&other.address)
                    .is_some_and(|own| own == key)
        };
        self.plan.of("dbxcmk_key_policy").filter(is_its).collect()
    }

    /// The cloud of a key of this plan, which its name or its resource shows.
    pub(super) fn cloud_of_key(&self, key: &str) -> Cloud {
        self.links.cloud_of_key(key)
    }

    /// The key that a resource speaks of, and the workspaces that use it, in words.
    pub(super) fn key_and_users(&self, change: &ResourceChange) -> (String, BTreeSet<String>) {
        let key = self
            .links
            .key_of
            .get(&change.address)
            .cloned()
            .unwrap_or_else(|| change.address.clone());
        let users = self.links.users_of(&key);
        (key, users)
    }
}

/// Paragraphs, but for empty ones.
pub(super) fn paragraphs(all: &[&str]) -> String {
    let all: Vec<&str> = all.iter().copied().filter(|one| !one.is_empty()).collect();
    all.join("\n\n")
}

/// `workspaces a, b and c`; what is not in the plan is not known.
pub(super) fn in_words(workspaces: &BTreeSet<String>) -> String {
    let names: Vec<&str> = workspaces.iter().map(String::as_str).collect();
    match names.as_slice() {
        [] => "no workspace of this plan".to_owned(),
        [one] => format!("the workspace {one}"),
        [first @ .., last] if names.len() <= 6 => {
            format!("the workspaces {} and {last}", first.join(", "))
        }
        _ => format!(
            "{} workspaces, {} among them",
            names.len(),
            names.iter().take(3).copied().collect::<Vec<_>>().join(", ")
        ),
    }
}
