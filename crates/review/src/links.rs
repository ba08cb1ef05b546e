//! Which key is under which configuration, and which configuration under which workspace: by value where it is known, by
//! reference where it is not. A reference through a `local` cannot be followed: plans do not have them.

mod references;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::plan::{Action, Plan, ResourceChange, without_indexes};
use super::{aws, azure, google};
use references::Finder;
use vocabulary::{Cloud, Key, UseCase};

/// The types whose ARN a key configuration names.
const KEY_TYPES: [&str; 7] = [
    "dbxcmk_key_policy",
    "google_kms_crypto_key",
    "azurerm_key_vault_key",
    "azurerm_key_vault_managed_hardware_security_module_key",
    "aws_kms_key",
    "aws_kms_replica_key",
    "aws_kms_external_key",
];

/// A KMS key of the plan: an ARN, or the resource that makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedKey {
    /// How the report calls it: the ARN when it is known, else the resource's address.
    pub name: String,
    /// The key, when its name is known.
    pub key: Option<Key>,
    /// The `aws_kms_key` that makes it.
    pub address: Option<String>,
}

/// A key configuration of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedConfiguration {
    /// How the report calls it: the resource's address, else its ID.
    pub name: String,
    /// Its ID, when it is known.
    pub id: Option<String>,
    /// The resource that makes it.
    pub address: Option<String>,
    /// The key, by its name.
    pub key: Option<String>,
    /// The key before, where it is another one.
    pub key_before: Option<String>,
    /// Whether it is reused for cluster volumes.
    pub cluster_volumes: bool,
    /// Its use cases, as far as they can be read.
    pub use_cases: BTreeSet<UseCase>,
    /// Whose key it is, when that is known.
    pub cloud: Option<Cloud>,
    /// Whether it is there after the apply.
    pub stays: bool,
}

/// What a workspace has for a use case, before and after.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// The configuration before, by its name.
    pub before: Option<String>,
    /// The configuration after, by its name.
    pub after: Option<String>,
}

impl Step {
    /// Whether it is another one afterwards.
    pub fn changes(&self) -> bool {
        self.before != self.after
    }

    /// Whether it is this configuration, before or after.
    pub fn is(&self, configuration: &str) -> bool {
        [&self.before, &self.after]
            .iter()
            .any(|side| side.as_deref() == Some(configuration))
    }
}

/// What becomes of a workspace for the resource that sets its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The resource goes on setting its keys.
    Stays,
    /// The resource no longer speaks of it; the workspace keeps its keys.
    Forgotten,
    /// The workspace itself is deleted.
    Deleted,
    /// Another resource of the plan goes on setting its keys.
    Renamed,
}

/// A workspace of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedWorkspace {
    /// How the report calls it: name and ID, or the resource's address.
    pub name: String,
    /// The binding, or the resource of the workspace itself, that sets its keys.
    pub address: String,
    /// The key configurations for each use case.
    pub keys: BTreeMap<UseCase, Step>,
    /// Where it is, when that is known.
    pub cloud: Cloud,
    /// What becomes of it.
    pub fate: Fate,
}

/// What hangs together.
#[derive(Clone, Debug, Default)]
pub struct Links {
    /// Keys by name.
    pub keys: BTreeMap<String, LinkedKey>,
    /// Configurations by name.
    pub configurations: BTreeMap<String, LinkedConfiguration>,
    /// Workspaces, in the order of their addresses.
    pub workspaces: Vec<LinkedWorkspace>,
    /// The key that each resource speaks of, by the resource's address.
    pub key_of: BTreeMap<String, String>,
    /// The key that a `dbxcmk_key_policy` leaves for another one, by the resource's address.
    pub former_key_of: BTreeMap<String, String>,
    /// The keys whose policy gets statements for Databricks from a `dbxcmk_key_policy`.
    with_statements: BTreeSet<String>,
    /// The names of configurations by their ids.
    configuration_ids: BTreeMap<String, String>,
    /// The binding that another address has until now, by the address of the new one.
    pub renamed_from: BTreeMap<String, String>,
    /// The workspaces of each resource.
    by_address: BTreeMap<String, Vec<usize>>,
    /// The IDs of the workspaces that the plan deletes.
    deleted_workspaces: BTreeSet<String>,
}

/// The attributes in which a resource names key configurations for each use case: our own, and the peer's.
pub const BINDINGS: [(&str, &[(UseCase, &str)]); 4] = [
    (
        "dbxcmk_workspace_binding",
        &[
            (
                UseCase::ManagedServices,
                "managed_services_key_configuration_id",
            ),
            (UseCase::Storage, "storage_key_configuration_id"),
            (UseCase::ManagedDisks, "managed_disks_key_configuration_id"),
        ],
    ),
    (
        "databricks_mws_workspaces",
        &[
            (
                UseCase::ManagedServices,
                "managed_services_customer_managed_key_id",
            ),
            (UseCase::Storage, "storage_customer_managed_key_id"),
        ],
    ),
    (
        "azurerm_databricks_workspace",
        &[
            (
                UseCase::ManagedServices,
                "managed_services_cmk_key_vault_key_id",
            ),
            (UseCase::ManagedDisks, "managed_disk_cmk_key_vault_key_id"),
        ],
    ),
    (
        "azurerm_databricks_workspace_root_dbfs_customer_managed_key",
        &[(UseCase::Storage, "key_vault_key_id")],
    ),
];

/// The resources of hashicorp/google that speak of a key, and the attribute that names it.
const GOOGLE_KEY_NAMES: [(&str, &str); 4] = [
    ("google_kms_crypto_key_version", "crypto_key"),
    ("google_kms_crypto_key_iam_member", "crypto_key_id"),
    ("google_kms_crypto_key_iam_binding", "crypto_key_id"),
    ("google_kms_crypto_key_iam_policy", "crypto_key_id"),
];

/// The key of this name, whatever its cloud.
fn key_named(name: &str) -> Option<Key> {
    aws::key(name)
        .or_else(|| google::key(name))
        .or_else(|| azure::key(name))
}

/// A cloud that a plan does not show.
fn not_known() -> Cloud {
    Cloud::Other(String::new())
}

/// The cloud of the block that one of our resources has, or of the block that the peer's key configuration has.
fn cloud_of_block(change: &ResourceChange) -> Option<Cloud> {
    let has = |name: &str| {
        [change.state_after(), change.state_before()]
            .iter()
            .any(|state| match state.get(name) {
                Some(Json::Object(_)) => true,
                Some(Json::Array(blocks)) => !blocks.is_empty(),
                _ => false,
            })
    };
    [
        ("aws", Cloud::Aws),
        ("gcp", Cloud::Gcp),
        ("azure", Cloud::Azure),
        ("aws_key_info", Cloud::Aws),
        ("gcp_key_info", Cloud::Gcp),
    ]
    .into_iter()
    .find_map(|(name, cloud)| has(name).then_some(cloud))
}

/// The cloud whose provider has the type of a resource, by its address without indexes.
fn cloud_of_type(address: &str) -> Cloud {
    let of = |step: &str| {
        [
            ("aws_", Cloud::Aws),
            ("google_", Cloud::Gcp),
            ("azurerm_", Cloud::Azure),
        ]
        .into_iter()
        .find_map(|(prefix, cloud)| step.starts_with(prefix).then_some(cloud))
    };
    // The type is the last step but one.
    address
        .rsplit('.')
        .nth(1)
        .and_then(of)
        .unwrap_or_else(not_known)
}

/// Whether a resource is a workspace, and not one that speaks of a workspace.
fn is_workspace_itself(change: &ResourceChange) -> bool {
    matches!(
        change.kind.as_str(),
        "databricks_mws_workspaces" | "azurerm_databricks_workspace"
    )
}

/// The IDs of the workspaces that a plan deletes.
fn deleted_workspaces(plan: &Plan) -> BTreeSet<String> {
    plan.changes
        .iter()
        .filter(|change| is_workspace_itself(change) && change.action.destroys())
        .flat_map(|change| [change.before("workspace_id"), change.before("id")])
        .flatten()
        .map(|id| id.to_ascii_lowercase())
        .collect()
}

/// The attribute that says which workspace a resource speaks of.
fn workspace_path(change: &ResourceChange) -> &'static str {
    match cloud_of_block(change) {
        Some(Cloud::Azure) => "azure.workspace_resource_id",
        _ => "workspace_id",
    }
}

/// Whether a resource that sets the keys of a workspace sets those of another one afterwards.
fn is_moved(change: &ResourceChange) -> bool {
    let path = workspace_path(change);
    let is_there = !change.state_before().is_null() && !change.state_after().is_null();
    if is_workspace_itself(change) || !is_there {
        return false;
    }
    match (change.before(path), change.after(path)) {
        // Azure does not distinguish upper and lower case.
        (Some(before), Some(after)) => !before.eq_ignore_ascii_case(&after),
        (Some(_), None) => change.is_unknown(path),
        (None, _) => false,
    }
}

/// How the report calls the workspace of a resource: that which it has before, or that which it has after.
fn workspace_name(finder: &Finder<'_>, change: &ResourceChange, before: bool) -> String {
    let moves = is_moved(change);
    let value = |path: &str| match (before, moves) {
        (true, _) => change.before(path),
        (false, true) => change.after(path),
        (false, false) => change.latest(path),
    };
    let path = workspace_path(change);
    let own_id = || value("id").filter(|_| change.kind == "azurerm_databricks_workspace");
    let referred = || {
        let kinds = ["databricks_mws_workspaces", "azurerm_databricks_workspace"];
        let attribute = path.split('.').next().unwrap_or(path);
        let one = finder.only(change, attribute, &kinds)?;
        let id = one
            .latest("workspace_id")
            .filter(|_| !moves && one.kind == "databricks_mws_workspaces");
        Some(id.unwrap_or_else(|| one.address.clone()))
    };
    let id = value("workspace_id")
        .or_else(|| value("azure.workspace_resource_id"))
        .or_else(own_id)
        .or_else(referred);
    match (value("workspace_name"), id) {
        (Some(name), Some(id)) => format!("{name} ({id})"),
        (Some(name), None) => name,
        (None, Some(id)) => id,
        (None, None) if moves => "a workspace that is known only after the apply".to_owned(),
        (None, None) => change.address.clone(),
    }
}

impl Links {
    /// What hangs together in a plan.
    pub fn of(plan: &Plan) -> Self {
        let finder = Finder::new(plan);
        let mut links = Self {
            deleted_workspaces: deleted_workspaces(plan),
            ..Self::default()
        };
        for kind in ["aws_kms_key", "aws_kms_replica_key", "aws_kms_external_key"] {
            plan.of(kind).for_each(|change| links.add_resource(change));
        }
        for change in plan.of("google_kms_crypto_key") {
            links.add_named(change, "id");
        }
        for change in plan.of("azurerm_key_vault_key") {
            links.add_named(change, "versionless_id");
        }
        for change in plan.of("azurerm_key_vault_managed_hardware_security_module_key") {
            links.add_named(change, "versioned_id");
        }
        for change in plan.of("dbxcmk_key_policy") {
            links.add_key_of(&finder, change, "azure.key_vault_key_id", "azure");
            links.add_key_of(&finder, change, "aws.key_arn", "aws");
            links.add_key_of(&finder, change, "gcp.kms_key_id", "gcp");
            links
                .with_statements
                .extend(links.key_of.get(&change.address).cloned());
            links.add_former_key(change);
        }
        for change in plan.of("aws_kms_key_policy") {
            links.add_key_of(&finder, change, "key_id", "key_id");
        }
        for (kind, attribute) in GOOGLE_KEY_NAMES {
            for change in plan.of(kind) {
                links.add_key_of(&finder, change, attribute, attribute);
            }
        }
        for change in plan.of("dbxcmk_key_configuration") {
            links.add_key_of(&finder, change, "azure.key_vault_key_id", "azure");
            links.add_key_of(&finder, change, "aws.key_arn", "aws");
            links.add_key_of(&finder, change, "gcp.kms_key_id", "gcp");
            links.add_configuration(
                change,
                "id",
                &["aws.key_arn", "gcp.kms_key_id", "azure.key_vault_key_id"],
                change.latest("aws.reuse_key_for_cluster_volumes"),
            );
        }
        for change in plan.of("databricks_mws_customer_managed_keys") {
            links.add_key_of(
                &finder,
                change,
                "aws_key_info.0.key_arn",
                "aws_key_info/0/key_arn",
            );
            links.add_key_of(
                &finder,
                change,
                "gcp_key_info.0.kms_key_id",
                "gcp_key_info/0/kms_key_id",
            );
            links.add_configuration(
                change,
                "customer_managed_key_id",
                &["aws_key_info.0.key_arn", "gcp_key_info.0.kms_key_id"],
                None,
            );
        }
        for (kind, attributes) in BINDINGS {
            for change in plan.of(kind) {
                links.add_workspace(&finder, change, attributes);
            }
        }
        links.join_renamed(plan);
        links
    }

    /// A binding that is destroyed at one address and created at another one, for the same workspace: it has the keys already.
    fn join_renamed(&mut self, plan: &Plan) {
        let bindings = || plan.of("dbxcmk_workspace_binding");
        for new in bindings().filter(|one| one.action == Action::Create) {
            let path = workspace_path(new);
            let Some(id) = new.after(path) else { continue };
            let is_former = |one: &&ResourceChange| {
                one.action.removes()
                    && one
                        .before(path)
                        .is_some_and(|own| own.eq_ignore_ascii_case(&id))
            };
            let former: Vec<&ResourceChange> = bindings().filter(is_former).collect();
            if let [former] = former.as_slice() {
                self.join(&former.address, &new.address);
            }
            let shows = plan.changes.iter().filter(|one| {
                let ids = [one.before("workspace_id"), one.before("id")];
                is_workspace_itself(one)
                    && !one.action.destroys()
                    && ids
                        .iter()
                        .flatten()
                        .any(|own| own.eq_ignore_ascii_case(&id))
            });
            for workspace in shows {
                self.attached_already(&workspace.address, &new.address);
            }
        }
    }

    /// The keys of a new binding that the resource of the workspace itself shows as attached.
    fn attached_already(&mut self, shown: &str, new: &str) {
        let index = |address: &str| self.by_address.get(address)?.first().copied();
        let (Some(from), Some(to)) = (index(shown), index(new)) else {
            return;
        };
        let has = self.workspaces.get(from).map(|one| one.keys.clone());
        let Some(workspace) = self.workspaces.get_mut(to) else {
            return;
        };
        for (case, step) in has.into_iter().flatten() {
            if let Some(own) = workspace.keys.get_mut(&case)
                && own.before.is_none()
                && own.after == step.before
            {
                own.before = step.before;
            }
        }
    }

    fn join(&mut self, former: &str, new: &str) {
        let index = |address: &str| self.by_address.get(address)?.first().copied();
        let (Some(from), Some(to)) = (index(former), index(new)) else {
            return;
        };
        let Some(left) = self.workspaces.get_mut(from) else {
            return;
        };
        if left.fate != Fate::Forgotten {
            return;
        }
        left.fate = Fate::Renamed;
        let (keys, name) = (std::mem::take(&mut left.keys), left.name.clone());
        if let Some(workspace) = self.workspaces.get_mut(to) {
            for (case, step) in keys {
                workspace.keys.entry(case).or_default().before = step.before;
            }
            workspace.name = name;
        }
        self.renamed_from.insert(new.to_owned(), former.to_owned());
    }

    fn add_resource(&mut self, change: &ResourceChange) {
        self.add_named(change, "arn");
    }

    /// A resource that makes a key, and has its name in an attribute.
    fn add_named(&mut self, change: &ResourceChange, attribute: &str) {
        let arn = change.latest(attribute);
        let key = arn.as_deref().and_then(key_named);
        let name = arn
            .map(|name| azure::whole(&name).unwrap_or(name))
            .unwrap_or_else(|| change.address.clone());
        self.key_of.insert(change.address.clone(), name.clone());
        self.keys.insert(
            name.clone(),
            LinkedKey {
                name,
                key,
                address: Some(change.address.clone()),
            },
        );
    }

    /// The key that a resource has before, where it has another one afterwards, by the attribute that names it.
    pub fn left_by(&self, change: &ResourceChange, path: &str) -> Option<String> {
        let is_there = !change.state_before().is_null() && !change.state_after().is_null();
        let before = self.name_of(&change.before(path).filter(|_| is_there)?);
        match change.after(path) {
            Some(after) => (self.name_of(&after) != before).then_some(before),
            None => (change.action == Action::Replace && change.is_unknown(path)).then_some(before),
        }
    }

    /// The name of a key that is given by its ARN, or by its ID alone.
    fn name_of(&self, value: &str) -> String {
        let is_it = |key: &&LinkedKey| {
            key.name == value
                || key
                    .key
                    .as_ref()
                    .is_some_and(|key| aws::is_id_of(value, key))
        };
        self.keys
            .values()
            .find(is_it)
            .map(|key| key.name.clone())
            .or_else(|| google::whole(value))
            .or_else(|| azure::whole(value))
            .unwrap_or_else(|| value.to_owned())
    }

    /// The key that a resource names by value, or refers to.
    fn add_key_of(
        &mut self,
        finder: &Finder<'_>,
        change: &ResourceChange,
        path: &str,
        attribute: &str,
    ) {
        let referred = || {
            let makers = finder.referred(change, attribute, &KEY_TYPES);
            let keys: BTreeSet<&String> = makers
                .iter()
                .filter_map(|one| self.key_of.get(&one.address))
                .collect();
            // Which of several it is does not show.
            keys.first().filter(|_| keys.len() == 1).copied().cloned()
        };
        let before = || change.before(path).map(|value| self.name_of(&value));
        let name = match change.after(path) {
            Some(value) => Some(self.name_of(&value)),
            // The key that it has until now is not the one that it gets.
            None if change.is_unknown(path) => referred().or_else(before),
            None => before().or_else(referred),
        };
        let Some(name) = name else { return };
        self.keys.entry(name.clone()).or_insert_with(|| LinkedKey {
            key: key_named(&name),
            name: name.clone(),
            address: None,
        });
        self.key_of.insert(change.address.clone(), name);
    }

    fn add_configuration(
        &mut self,
        change: &ResourceChange,
        id: &str,
        key_paths: &[&str],
        reuse: Option<String>,
    ) {
        let use_cases: BTreeSet<UseCase> = change
            .latest_all("use_cases")
            .iter()
            .filter_map(|case| case.parse().ok())
            .collect();
        let is_storage = use_cases.contains(&UseCase::Storage);
        let key = self.key_of.get(&change.address).cloned();
        let configuration = LinkedConfiguration {
            name: change.address.clone(),
            id: if change.action.destroys() {
                change.before(id)
            } else {
                change.latest(id)
            },
            address: Some(change.address.clone()),
            cloud: cloud_of_block(change)
                .or_else(|| key.as_deref().map(|key| self.cloud_of_key(key))),
            key_before: key_paths
                .iter()
                .find_map(|path| change.before(path))
                .map(|key| self.name_of(&key))
                .filter(|before| Some(before) != key.as_ref()),
            key,
            cluster_volumes: is_storage && reuse.as_deref() != Some("false"),
            use_cases,
            stays: !change.action.removes(),
        };
        self.insert_configuration(configuration);
    }

    fn insert_configuration(&mut self, configuration: LinkedConfiguration) {
        let name = configuration.name.clone();
        if let Some(id) = &configuration.id {
            self.configuration_ids
                .entry(id.clone())
                .or_insert_with(|| name.clone());
        }
        self.configurations.insert(name, configuration);
    }

    /// The key that a key policy has before, where it has another one afterwards.
    fn add_former_key(&mut self, change: &ResourceChange) {
        if change.state_before().is_null() || change.state_after().is_null() {
            return;
        }
        let paths = ["aws.key_arn", "gcp.kms_key_id", "azure.key_vault_key_id"];
        let Some(before) = paths.iter().find_map(|path| change.before(path)) else {
            return;
        };
        let before = self.name_of(&before);
        let after = paths.iter().find_map(|path| change.after(path));
        let is_another = match after {
            Some(after) => self.name_of(&after) != before,
            // A key of another name makes another policy; one that stays has a known name.
            None => change.action == Action::Replace,
        };
        if is_another {
            self.with_statements.insert(before.clone());
            self.keys
                .entry(before.clone())
                .or_insert_with(|| LinkedKey {
                    key: key_named(&before),
                    name: before.clone(),
                    address: None,
                });
            self.former_key_of.insert(change.address.clone(), before);
        }
    }

    /// The name of a configuration by its ID; one that no resource of the plan makes is named by it.
    fn configuration_by_id(&mut self, id: &str) -> String {
        if let Some(known) = self.configuration_ids.get(id) {
            return known.clone();
        }
        let unknown = LinkedConfiguration {
            name: id.to_owned(),
            id: Some(id.to_owned()),
            address: None,
            // On Azure the identifier of the key stands for its configuration.
            key: azure::whole(id),
            key_before: None,
            cluster_volumes: false,
            use_cases: BTreeSet::new(),
            cloud: azure::whole(id).map(|_| Cloud::Azure),
            stays: true,
        };
        self.insert_configuration(unknown);
        id.to_owned()
    }

    fn add_workspace(
        &mut self,
        finder: &Finder<'_>,
        change: &ResourceChange,
        attributes: &[(UseCase, &str)],
    ) {
        let mut keys = BTreeMap::new();
        for (case, attribute) in attributes {
            let before = match (change.before(attribute), change.after(attribute)) {
                // The workspace stays at its version.
                (Some(before), Some(after)) if azure::no_longer_pins(&before, &after) => {
                    Some(after)
                }
                (before, _) => before,
            };
            let before = before.map(|id| self.configuration_by_id(&id));
            let after = match change.after(attribute) {
                Some(id) => Some(self.configuration_by_id(&id)),
                None if change.is_unknown(attribute) => {
                    let kinds = [
                        "dbxcmk_key_configuration",
                        "databricks_mws_customer_managed_keys",
                    ];
                    let referred = finder.only(change, attribute, &kinds);
                    Some(referred.map_or_else(
                        || "(known after apply)".to_owned(),
                        |one| one.address.clone(),
                    ))
                }
                None => None,
            };
            if before.is_some() || after.is_some() {
                keys.insert(*case, Step { before, after });
            }
        }
        if keys.is_empty() && change.kind != "dbxcmk_workspace_binding" {
            return;
        }
        let cloud = self.cloud_of_workspace(change, &keys);
        let name = |before: bool| workspace_name(finder, change, before);
        if is_moved(change) {
            let of = |keep: fn(&Step) -> Step| -> BTreeMap<UseCase, Step> {
                let steps = keys.iter().map(|(case, step)| (*case, keep(step)));
                steps.collect()
            };
            let former = of(|step| Step {
                before: step.before.clone(),
                after: None,
            });
            let new = of(|step| Step {
                before: None,
                after: step.after.clone(),
            });
            self.push_workspace(change, name(true), former, &cloud, self.fate_of(change));
            self.push_workspace(change, name(false), new, &cloud, Fate::Stays);
            return;
        }
        let fate = match change.action.removes() || is_workspace_itself(change) {
            true => self.fate_of(change),
            false => Fate::Stays,
        };
        self.push_workspace(change, name(change.action.removes()), keys, &cloud, fate);
    }

    fn push_workspace(
        &mut self,
        change: &ResourceChange,
        name: String,
        keys: BTreeMap<UseCase, Step>,
        cloud: &Cloud,
        fate: Fate,
    ) {
        self.by_address
            .entry(change.address.clone())
            .or_default()
            .push(self.workspaces.len());
        self.workspaces.push(LinkedWorkspace {
            name,
            address: change.address.clone(),
            keys,
            cloud: cloud.clone(),
            fate,
        });
    }

    /// What becomes of the workspace that a resource has before.
    fn fate_of(&self, change: &ResourceChange) -> Fate {
        let is_deleted = |id: String| self.deleted_workspaces.contains(&id.to_ascii_lowercase());
        let ids = ["azure.workspace_resource_id", "workspace_id", "id"];
        let is_gone = match is_workspace_itself(change) {
            true => change.action.destroys(),
            false => ids
                .iter()
                .filter_map(|path| change.before(path))
                .any(is_deleted),
        };
        match (is_gone, change.kind.as_str()) {
            (true, _) => Fate::Deleted,
            // This one takes the key from the workspace.
            (false, "azurerm_databricks_workspace_root_dbfs_customer_managed_key")
                if change.action == Action::Delete || is_moved(change) =>
            {
                Fate::Stays
            }
            (false, _) if is_workspace_itself(change) && !change.action.removes() => Fate::Stays,
            (false, _) => Fate::Forgotten,
        }
    }

    /// Where a workspace is: by its resource, else by its keys.
    fn cloud_of_workspace(&self, change: &ResourceChange, keys: &BTreeMap<UseCase, Step>) -> Cloud {
        if change.kind.starts_with("azurerm_") {
            return Cloud::Azure;
        }
        let of_keys = || {
            keys.values()
                .flat_map(|step| [&step.after, &step.before])
                .flatten()
                .find_map(|name| self.configurations.get(name)?.cloud.clone())
        };
        cloud_of_block(change)
            .or_else(of_keys)
            .or_else(|| {
                let cloud = Cloud::from(change.latest("cloud")?.as_str());
                matches!(cloud, Cloud::Aws | Cloud::Gcp | Cloud::Azure).then_some(cloud)
            })
            .unwrap_or_else(not_known)
    }

    /// The cloud of a key, by its name or by the resource that makes it.
    pub fn cloud_of_key(&self, name: &str) -> Cloud {
        let known = self.keys.get(name);
        if let Some(key) = known.and_then(|one| one.key.as_ref()) {
            return key.cloud().clone();
        }
        let address = known.and_then(|one| one.address.as_deref()).unwrap_or(name);
        cloud_of_type(&without_indexes(address))
    }

    /// The workspaces of a resource: one, or the former and the new one of a binding that moves.
    pub fn workspaces_at<'a>(&'a self, address: &str) -> impl Iterator<Item = &'a LinkedWorkspace> {
        let own = self.by_address.get(address).into_iter().flatten();
        own.filter_map(|index| self.workspaces.get(*index))
    }

    /// What the configuration of a resource says, as far as the plan shows it.
    pub fn expressions<'a>(&self, plan: &'a Plan, change: &ResourceChange) -> Option<&'a Json> {
        references::expressions(plan, change)
    }

    /// The configurations of a key.
    pub fn configurations_of<'a>(
        &'a self,
        key: &'a str,
    ) -> impl Iterator<Item = &'a LinkedConfiguration> {
        let is_it = move |one: &&LinkedConfiguration| {
            one.key.as_deref() == Some(key) || one.key_before.as_deref() == Some(key)
        };
        self.configurations.values().filter(is_it)
    }

    /// The names of the workspaces that use a configuration now, before the plan is applied.
    pub fn present_users_of_configuration(&self, configuration: &str) -> BTreeSet<String> {
        let uses = |step: &Step| step.before.as_deref() == Some(configuration);
        let own = self
            .workspaces
            .iter()
            .filter(|workspace| workspace.keys.values().any(uses));
        own.map(|workspace| workspace.name.clone()).collect()
    }

    /// The workspaces that use a configuration, before or after.
    pub fn workspaces_of<'a>(
        &'a self,
        configuration: &'a str,
    ) -> impl Iterator<Item = &'a LinkedWorkspace> {
        let uses = move |step: &Step| {
            step.before.as_deref() == Some(configuration)
                || step.after.as_deref() == Some(configuration)
        };
        self.workspaces
            .iter()
            .filter(move |workspace| workspace.keys.values().any(uses))
    }

    /// Their names.
    pub fn users_of_configuration(&self, configuration: &str) -> BTreeSet<String> {
        self.workspaces_of(configuration)
            .map(|workspace| workspace.name.clone())
            .collect()
    }

    /// The workspaces that use a key, by their names.
    pub fn users_of(&self, key: &str) -> BTreeSet<String> {
        self.configurations_of(key)
            .flat_map(|one| self.users_of_configuration(&one.name))
            .collect()
    }

    /// The keys of a vault of the plan that Databricks uses or is to use.
    pub fn keys_in_vault(&self, vault: &ResourceChange) -> Vec<String> {
        let uri = vault
            .before("vault_uri")
            .or_else(|| vault.before("hsm_uri"));
        let Some(uri) = uri else { return Vec::new() };
        let own = self.keys.keys().filter(|key| azure::is_in(key, &uri));
        own.filter(|key| self.is_for_databricks(key))
            .cloned()
            .collect()
    }

    /// The resource ID of the vault of a key, as a `dbxcmk_key_policy` of the plan names it.
    pub fn vault_of(&self, plan: &Plan, key: &str) -> Option<String> {
        let is_its =
            |one: &&ResourceChange| self.key_of.get(&one.address).is_some_and(|own| own == key);
        plan.of("dbxcmk_key_policy")
            .find(is_its)
            .and_then(|one| one.latest("azure.vault_resource_id"))
    }

    /// Whether a key is one of those that Databricks uses or is to use.
    pub fn is_for_databricks(&self, key: &str) -> bool {
        self.configurations_of(key).next().is_some() || self.with_statements.contains(key)
    }
}

#[cfg(test)]
mod tests;
