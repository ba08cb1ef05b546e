//! What a cloud is to a history: its services, its configuration, what others do there, and what must hold of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dbxcmk_sandbox::world::{Update, World};
use dbxcmk_sandbox::{CLIENT_ID, CLIENT_SECRET, Options, Services};
use serde_json::Value as Json;
use tfplugin::Boxed;
use tfplugin::testing::terraform::{Configuration, Plan, Term};
use tfplugin::value::Value;

use crate::history::{Cloud, Other, Written};
use crate::{aws, azure, google};

/// How long what takes Databricks or Azure twenty minutes takes here.
pub const UPDATE: Duration = Duration::from_secs(90);

/// What a workspace uses a key for: the workspace, and the use case.
pub type Use = (usize, &'static str);

/// What others have put somewhere: for each key, what must stay there.
#[derive(Clone, Debug, Default)]
pub struct Others(pub BTreeMap<usize, Vec<Json>>);

/// What the service shows of a key, for the checks of the simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyState {
    /// The state of each version; on AWS, that of the key alone.
    pub versions: Vec<String>,
    /// The tags or labels of the kill switch.
    pub marks: Vec<String>,
}

impl KeyState {
    /// Whether nothing of it can be used.
    pub fn is_off(&self) -> bool {
        !self
            .versions
            .iter()
            .any(|one| one.eq_ignore_ascii_case("enabled"))
    }
}

/// The key configurations of the account whose key has a name; `pointer`: where the name stands.
pub fn configurations(world: &World, pointer: &str, name: &str) -> BTreeSet<String> {
    let all = world.now.configurations.iter();
    all.filter(|(_, one)| one.pointer(pointer).and_then(Json::as_str) == Some(name))
        .map(|(id, _)| id.clone())
        .collect()
}

/// The key configurations of the account that no state has and that equal one of these.
pub fn duplicates(world: &World, managed: &BTreeSet<String>) -> Vec<String> {
    let what = |one: &Json| {
        let mut cases: Vec<&str> = one
            .get("use_cases")
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
            .collect();
        cases.sort_unstable();
        let name = one
            .pointer("/aws_key_info/key_arn")
            .or_else(|| one.pointer("/gcp_key_info/kms_key_id"));
        let volumes = one.pointer("/aws_key_info/reuse_key_for_cluster_volumes");
        format!("{cases:?} {name:?} {volumes:?}")
    };
    let all = &world.now.configurations;
    let own: BTreeSet<String> = all
        .iter()
        .filter(|(id, _)| managed.contains(*id))
        .map(|(_, one)| what(one))
        .collect();
    all.iter()
        .filter(|(id, one)| !managed.contains(*id) && own.contains(&what(one)))
        .map(|(id, one)| format!("{id} of {}", what(one)))
        .collect()
}

/// The key configuration of a workspace of the account for a use case.
pub fn attached(world: &mut World, workspace: u64, case: &str) -> Option<String> {
    let workspace = world.workspace(workspace);
    // A workspace with a network of its own shows an update before it is over; its data has the former key until then.
    let is_over = |update: &&Update| update.stays && update.is_over(UPDATE);
    let landed = workspace.update.as_ref().filter(is_over);
    let landed = landed.and_then(|update| update.fields.get(field(case)));
    let shown = landed.or_else(|| workspace.fields.get(field(case)));
    shown.and_then(Json::as_str).map(str::to_owned)
}

/// The workspaces that the account shows with one of these configurations. An update that is under way does not show yet.
pub fn account_users(
    world: &mut World,
    workspaces: &[u64],
    configurations: &BTreeSet<String>,
) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for workspace in workspaces {
        for case in ["MANAGED_SERVICES", "STORAGE"] {
            let own = world.workspace(*workspace);
            if own.update.as_ref().is_some_and(|one| !one.is_over(UPDATE)) {
                continue;
            }
            let attached = attached(world, *workspace, case);
            if attached.is_some_and(|one| configurations.contains(&one)) {
                all.insert(workspace.to_string());
            }
        }
    }
    all
}

/// A set of texts, as a value.
pub fn texts<T: AsRef<str>>(all: impl IntoIterator<Item = T>) -> Value {
    Value::List(
        all.into_iter()
            .map(|one| Value::string(one.as_ref()))
            .collect(),
    )
}

/// A cloud.
pub trait Platform: Sync {
    /// How the services are, apart from their times.
    fn options(&self) -> Options;

    /// Where the account and Azure Resource Manager are.
    fn addresses(&self) -> (&'static str, &'static str);

    /// Puts this many unused keys into the services, and whatever else a history begins with.
    fn prepare(&self, world: &mut World, keys: usize);

    /// What other owners have from the beginning.
    fn others(&self, keys: usize) -> Others;

    /// The provider block.
    fn provider(&self) -> Value;

    /// The secrets that there are, and whose they are.
    fn secrets(&self) -> Vec<(&'static str, &'static str)>;

    /// The path of the sandbox for a request to a host.
    fn path(&self, host: &str, path: &str) -> String;

    /// What is written, as Terraform has it.
    fn configuration(&self, written: &Written) -> Configuration;

    /// Does what another person or program does.
    fn other(&self, world: &mut World, other: Other, others: &mut Others);

    /// What of the others is gone or changed.
    fn lost(&self, world: &mut World, others: &Others) -> Vec<String>;

    /// Whether one of what is lost was hidden from who read a key policy: what was asked, and the late answer. KMS changes a policy as a whole and
    /// without a condition (`PutKeyPolicy` has no revision), so that nobody can keep what a late read does not show.
    fn was_hidden(&self, _lost: &str, _asked: &Json, _answer: &Json) -> bool {
        false
    }

    /// For what the workspaces have keys, and whether those can be used.
    fn uses<'a>(&'a self, services: &'a Services) -> Boxed<'a, BTreeMap<Use, bool>>;

    /// A key, as blocks name it.
    fn key(&self, key: usize) -> (&'static str, Value);

    /// The state of a key, and of each of its versions, with what the kill switch has left on it.
    fn state(&self, world: &mut World, key: usize) -> KeyState;

    /// The workspaces that use a key, as an acknowledgement names them.
    fn users(&self, world: &mut World, key: usize) -> BTreeSet<String>;

    /// What asks `dbxcmk_key_readiness` of a key for a workspace and use cases.
    fn readiness(
        &self,
        world: &mut World,
        workspace: usize,
        key: usize,
        cases: &[&'static str],
    ) -> Value;

    /// Which key a workspace has for a use case.
    fn key_of(&self, world: &mut World, one: Use) -> Option<usize>;

    /// By what an object of the state is imported.
    fn import_id(&self, address: &str, value: &Value) -> Option<String> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        match address.split_once('.')?.0 {
            "dbxcmk_key_configuration" => text(value.get("id")),
            "dbxcmk_workspace_binding" => text(value.get("workspace_id")),
            _ => text(value.get("aws").get("key_arn"))
                .or_else(|| text(value.get("gcp").get("kms_key_id"))),
        }
    }

    /// Whether a key whose deletion is taken back stays disabled, as the service leaves it.
    fn deletion_disables(&self) -> bool {
        true
    }

    /// Whether an apply of this plan may make identities that need keys, so that key policies have more to do afterwards.
    fn makes_identities(&self, _: &Plan) -> bool {
        false
    }

    /// Whether a workspace has, or is about to have, a key configuration for a use case.
    fn has(&self, world: &mut World, one: Use, configuration: &str) -> bool;
}

/// The services of a platform in memory, as a history begins.
pub fn services(platform: &dyn Platform, keys: usize) -> Services {
    let options = Options {
        wait: UPDATE,
        cache: Duration::ZERO,
        ..platform.options()
    };
    let (account, azure) = platform.addresses();
    let services = Services::new(options, account, azure);
    services.with(|world| platform.prepare(world, keys));
    services
}

/// The application of the account and its secret, as they stand in a header.
pub fn basic() -> &'static str {
    static BASIC: LazyLock<String> =
        LazyLock::new(|| STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}")));
    &BASIC
}

/// How the simulation sets up and reads a cloud.
pub fn of(cloud: Cloud) -> &'static dyn Platform {
    match cloud {
        Cloud::Aws => &aws::Aws,
        Cloud::Google => &google::Google,
        Cloud::Azure => &azure::Azure,
    }
}

/// A list or set of texts.
pub fn set<T: AsRef<str>>(all: impl IntoIterator<Item = T>) -> Term {
    Term::List(
        all.into_iter()
            .map(|one| Term::string(one.as_ref()))
            .collect(),
    )
}

/// True or false.
pub fn bool(value: bool) -> Term {
    Term::Value(Value::Bool(value))
}

/// The same as files have it: what the provider looks for on the disk.
pub fn text(configuration: &Configuration) -> String {
    let blocks = configuration.keys().filter_map(|address| {
        let (kind, name) = address.split_once('.')?;
        Some(format!("resource \"{kind}\" \"{name}\" {{}}\n"))
    });
    blocks.collect()
}

/// The address of a key policy.
pub fn policy(name: &str) -> String {
    format!("dbxcmk_key_policy.{name}")
}

/// The address of a key configuration.
pub fn configuration(name: &str) -> String {
    format!("dbxcmk_key_configuration.{name}")
}

/// The addresses of all key policies.
pub fn policies(written: &Written) -> BTreeSet<String> {
    written
        .policies
        .iter()
        .map(|one| policy(&one.name))
        .collect()
}

/// The fields of the account API for a use case.
pub fn field(case: &str) -> &'static str {
    match case {
        "STORAGE" => "storage_customer_managed_key_id",
        _ => "managed_services_customer_managed_key_id",
    }
}

/// The bindings of workspaces of the account.
pub fn bindings(written: &Written, workspaces: &[u64], all: &mut Configuration) {
    use tfplugin::testing::terraform::Block;
    for one in &written.bindings {
        let Some(workspace) = workspaces.get(one.workspace) else {
            continue;
        };
        let mut fields = vec![("workspace_id", Term::string(workspace.to_string()))];
        for (case, configured) in &one.keys {
            let attribute = match *case {
                "STORAGE" => "storage_key_configuration_id",
                _ => "managed_services_key_configuration_id",
            };
            fields.push((attribute, Term::of(configuration(configured), "id")));
        }
        fields.extend(
            one.settle
                .as_ref()
                .map(|settle| ("settle_time", Term::string(settle))),
        );
        let mut block = Block::new(Term::object(fields));
        if one.waits {
            block.depends_on = policies(written);
        }
        all.insert(format!("dbxcmk_workspace_binding.{}", one.name), block);
    }
}

/// Whether a workspace of the account has a key configuration for a use case, or is going to have it: no client can tell an update that will
/// go away from one that stays, as long as a read shows it as done.
pub fn account_has(world: &mut World, workspace: u64, case: &str, wanted: &str) -> bool {
    let workspace = world.workspace(workspace);
    let update = workspace
        .update
        .as_ref()
        .filter(|update| update.stays || !update.is_undone(UPDATE));
    let landed = update.and_then(|update| update.fields.get(field(case)));
    let shown = landed.or_else(|| workspace.fields.get(field(case)));
    shown.and_then(Json::as_str) == Some(wanted)
}

/// For what the workspaces of the account have keys, and whether those can be used.
pub fn account_uses<'a>(
    services: &'a Services,
    workspaces: &'a [u64],
) -> Boxed<'a, BTreeMap<Use, bool>> {
    Box::pin(async move {
        let mut all = BTreeMap::new();
        for (at, workspace) in workspaces.iter().enumerate() {
            let shown = services.data_of(*workspace).await.unwrap_or_default();
            for case in ["MANAGED_SERVICES", "STORAGE"] {
                let readable = shown
                    .get(case)
                    .and_then(|one| one.get("readable")?.as_bool());
                all.extend(readable.map(|readable| ((at, case), readable)));
            }
        }
        all
    })
}

/// What another person does with a workspace of the account; `configurations`: those of the key that it gets.
pub fn other_of_workspaces(
    world: &mut World,
    workspaces: &[u64],
    other: Other,
    configurations: impl Fn(&World, usize) -> BTreeSet<String>,
) {
    if let Other::Attaches { workspace, key } = other
        && let Some(workspace) = workspaces.get(workspace)
    {
        let fits = |id: &String| {
            let cases = world.now.configurations.get(id)?.get("use_cases")?;
            let mut cases = cases.as_array()?.iter();
            cases.find(|case| case.as_str() == Some("MANAGED_SERVICES"))
        };
        let mut all = configurations(world, key).into_iter();
        if let Some(id) = all.find(|id| fits(id).is_some()) {
            let own = world.workspace(*workspace);
            own.update = None;
            own.fields
                .insert(field("MANAGED_SERVICES").to_owned(), Json::from(id));
        }
    }
    if let Other::StartsCompute(at) | Other::StopsCompute(at) = other
        && let Some(workspace) = workspaces.get(at)
    {
        world.workspace(*workspace).has_running_compute = matches!(other, Other::StartsCompute(_));
    }
}
