//! Azure.

use std::collections::{BTreeMap, BTreeSet};

use dbxcmk_sandbox::azure::{
    self, CLIENT, HSM, POLICY_VAULT, SECRET, SUBSCRIPTION, TENANT, VAULT, key_id, vault_id,
};
use dbxcmk_sandbox::world::World;
use dbxcmk_sandbox::{Options, Services};
use serde_json::{Value as Json, json};
use tfplugin::Boxed;
use tfplugin::testing::terraform::{Action, Block, Configuration, Plan, TERRAFORM_DATA, Term};
use tfplugin::value::Value;

use crate::history::{By, Other, Written};
use crate::platform::{self, KeyState, Others, Platform, Use, bool, set};

const ARM: &str = "https://management.azure.com";
/// The vaults of the keys: role assignments, access policies, and an HSM.
const VAULTS: [&str; 3] = [VAULT, POLICY_VAULT, HSM];
/// A principal of another owner.
const AUDITOR: &str = "0a0d1700-0000-4000-8000-000000000009";
/// A role of which the provider knows nothing.
const READER: &str = "21090545-7ca7-4776-b22c-e363652d74d2";

/// The provider's platform on Azure: Key Vault, Resource Manager and Graph.
pub struct Azure;

fn vault(key: usize) -> &'static str {
    VAULTS.get(key).copied().unwrap_or(VAULT)
}

fn workspaces() -> [String; 2] {
    [
        azure::workspace_id(),
        azure::resource("Microsoft.Databricks/workspaces", "lakehouse-second"),
    ]
}

fn assignment(key: usize, number: usize) -> (String, Json) {
    let scope = vault_id(vault(key));
    let id = format!(
        "{}/providers/microsoft.authorization/roleassignments/0a0d17{number:02x}-0000-4000-8000-000000000000",
        scope.to_ascii_lowercase()
    );
    let shown = json!({
        "id": id,
        "type": "Microsoft.Authorization/roleAssignments",
        "properties": {
            "scope": scope,
            "principalId": AUDITOR,
            "principalType": "User",
            "roleDefinitionId": format!("/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{READER}"),
        },
    });
    (id, shown)
}

/// The access policy of another owner in a vault.
fn access_policy() -> Json {
    json!({ "tenantId": TENANT, "objectId": AUDITOR, "permissions": { "keys": ["List"], "secrets": ["Get"] } })
}

impl Platform for Azure {
    fn options(&self) -> Options {
        Options {
            azure: true,
            ..Options::default()
        }
    }

    fn addresses(&self) -> (&'static str, &'static str) {
        ("https://accounts.azuredatabricks.net", ARM)
    }

    fn prepare(&self, world: &mut World, _: usize) {
        let azure = &mut world.now.azure;
        let [_, second] = workspaces();
        azure.add_workspace(&second, 4_444_444_444_444_444);
        azure.principals.insert(AUDITOR.to_owned());
        for key in 0..VAULTS.len() {
            if key == 1 {
                let vault = azure.vault(vault(key));
                let policies = vault.and_then(|one| one.pointer_mut("/properties/accessPolicies"));
                let policies = policies.and_then(Json::as_array_mut).into_iter();
                policies.for_each(|all| all.push(access_policy()));
            } else {
                let (id, shown) = assignment(key, 0);
                azure.role_assignments.insert(id, shown);
            }
            let own = azure
                .key(vault(key))
                .and_then(|key| key.versions.last_mut());
            let own = own.into_iter();
            own.for_each(|one| drop(one.tags.insert("team".to_owned(), "lakehouse".to_owned())));
        }
        world.about_to_write();
    }

    fn others(&self, keys: usize) -> Others {
        let own = |key: usize| match key {
            1 => vec![access_policy()],
            key => vec![assignment(key, 0).1],
        };
        Others((0..keys).map(|key| (key, own(key))).collect())
    }

    fn provider(&self) -> Value {
        let azure = Value::map([
            ("tenant_id", Value::string(TENANT)),
            ("subscription_id", Value::string(SUBSCRIPTION)),
            ("client_id", Value::string(CLIENT)),
            ("client_secret", Value::string(SECRET)),
        ]);
        Value::map([("azure", azure)])
    }

    fn secrets(&self) -> Vec<(&'static str, &'static str)> {
        vec![(SECRET, "Entra ID"), ("Bearer sandbox-azure-", "Azure")]
    }

    fn path(&self, host: &str, path: &str) -> String {
        let ends = |end: &str| host.strip_suffix(end);
        match host {
            "management.azure.com" if path.starts_with("/arm/") => path.to_owned(),
            "management.azure.com" => format!("/arm{path}"),
            "login.microsoftonline.com" => format!("/login{path}"),
            "graph.microsoft.com" => format!("/graph{path}"),
            _ => match ends(".vault.azure.net").or_else(|| ends(".managedhsm.azure.net")) {
                Some(vault) => format!("/vault/{vault}{path}"),
                None => path.to_owned(),
            },
        }
    }

    fn configuration(&self, written: &Written) -> Configuration {
        let mut all = Configuration::new();
        let workspaces = workspaces();
        let own = |at: usize| workspaces.get(at).cloned().unwrap_or_default();
        for one in &written.policies {
            let azure = Term::object([
                ("key_vault_key_id", Term::string(key_id(vault(one.key)))),
                ("vault_resource_id", Term::string(vault_id(vault(one.key)))),
                ("workspace_resource_id", Term::string(own(one.workspace))),
            ]);
            let body = Term::object([
                ("use_cases", set(&one.cases)),
                ("azure", azure),
                ("force_destroy", bool(one.force)),
            ]);
            all.insert(platform::policy(&one.name), Block::new(body));
        }
        for one in &written.configurations {
            let later = format!("{TERRAFORM_DATA}.key{}", one.key);
            let policy = written.policies.iter().find(|policy| policy.key == one.key);
            let key = match (one.by, policy) {
                (By::Policy, Some(policy)) => {
                    Term::of(platform::policy(&policy.name), "azure.key_vault_key_id")
                }
                (By::Later, _) => {
                    let input = Term::object([("input", Term::string(key_id(vault(one.key))))]);
                    all.insert(later.clone(), Block::new(input));
                    Term::of(later, "output")
                }
                _ => Term::string(key_id(vault(one.key))),
            };
            let azure = Term::object([("key_vault_key_id", key)]);
            let body = Term::object([("use_cases", set(&one.cases)), ("azure", azure)]);
            all.insert(platform::configuration(&one.name), Block::new(body));
        }
        for one in &written.bindings {
            let azure = Term::object([("workspace_resource_id", Term::string(own(one.workspace)))]);
            let mut fields = vec![("azure", azure)];
            for (case, configured) in &one.keys {
                let attribute = match *case {
                    "STORAGE" => "storage_key_configuration_id",
                    "MANAGED_DISKS" => "managed_disks_key_configuration_id",
                    _ => "managed_services_key_configuration_id",
                };
                fields.push((
                    attribute,
                    Term::of(platform::configuration(configured), "id"),
                ));
            }
            fields.extend(
                one.settle
                    .as_ref()
                    .map(|settle| ("settle_time", Term::string(settle))),
            );
            let mut block = Block::new(Term::object(fields));
            if one.waits {
                block.depends_on = platform::policies(written);
            }
            all.insert(format!("dbxcmk_workspace_binding.{}", one.name), block);
        }
        all
    }

    fn other(&self, world: &mut World, other: Other, others: &mut Others) {
        let azure = &mut world.now.azure;
        if let Other::StartsCompute(at) | Other::StopsCompute(at) = other {
            let id = workspaces().get(at).cloned().unwrap_or_default();
            if let Some(workspace) = azure.workspaces.get_mut(&id.to_ascii_lowercase()) {
                workspace.has_running_compute = matches!(other, Other::StartsCompute(_));
            }
        }
        if let Other::Attaches { workspace, key } = other {
            let id = workspaces().get(workspace).cloned().unwrap_or_default();
            let version = azure.key(vault(key)).and_then(|key| key.versions.last());
            let version = version.map(|one| one.name.clone()).unwrap_or_default();
            if let Some(workspace) = azure.workspaces.get_mut(&id.to_ascii_lowercase()) {
                azure::attach_services(workspace, vault(key), &version);
            }
        }
        let Some(number) = other.key() else { return };
        let own = others.0.entry(number).or_default();
        let name = vault(number);
        match other {
            Other::Disables(_) | Other::Enables(_) => {
                let enabled = matches!(other, Other::Enables(_));
                let versions = azure.key(name).map(|key| &mut key.versions);
                versions
                    .into_iter()
                    .flatten()
                    .for_each(|one| one.enabled = enabled);
            }
            Other::ResetsAccess(_) => {
                let scope = vault_id(name).to_ascii_lowercase();
                azure
                    .role_assignments
                    .retain(|id, one| !id.starts_with(&scope) || own.contains(one));
                let policies = azure
                    .vault(name)
                    .and_then(|one| one.pointer_mut("/properties/accessPolicies"));
                let policies = policies.and_then(Json::as_array_mut).into_iter();
                policies.for_each(|all| all.retain(|one| own.contains(one)));
                azure.local_roles.retain(|(vault, _), _| vault != name);
            }
            Other::AddsAccess(_) if number != 1 => {
                let (id, shown) = assignment(number, own.len());
                azure.role_assignments.insert(id, shown.clone());
                own.push(shown);
            }
            Other::Tags(_) => {
                let version = azure.key(name).and_then(|key| key.versions.last_mut());
                let tags = version.map(|one| &mut one.tags).into_iter();
                tags.for_each(|tags| drop(tags.insert("owner".to_owned(), "security".to_owned())));
            }
            Other::Rotates(_) => {
                if let Some(key) = azure.key(name)
                    && let Some(newest) = key.versions.last().cloned()
                {
                    let mut next = newest;
                    next.name = format!("{:032x}", key.versions.len() + 0xabc);
                    next.created += 100;
                    key.versions.push(next);
                }
            }
            Other::Deletes(_) => {
                if let Some(key) = azure.key(name) {
                    key.deleted = Some(1_767_225_600);
                }
            }
            Other::Recovers(_) => {
                if let Some(key) = azure.key(name) {
                    key.deleted = None;
                }
            }
            Other::AddsAccess(_)
            | Other::StartsCompute(_)
            | Other::StopsCompute(_)
            | Other::Attaches { .. } => {}
        }
    }

    fn lost(&self, world: &mut World, others: &Others) -> Vec<String> {
        let azure = &mut world.now.azure;
        let mut lost: Vec<String> = azure
            .lost
            .iter()
            .map(|one| format!("a field of a workspace: {one}"))
            .collect();
        for (number, own) in &others.0 {
            let found: Vec<Json> = match number {
                1 => {
                    let vault = azure.vault(vault(*number)).cloned().unwrap_or_default();
                    let all = vault
                        .pointer("/properties/accessPolicies")
                        .and_then(Json::as_array);
                    all.cloned().unwrap_or_default()
                }
                _ => azure.role_assignments.values().cloned().collect(),
            };
            let gone = own.iter().filter(|one| !found.contains(one));
            lost.extend(gone.map(|one| format!("an access to key {number}: {one}")));
            let versions = azure.key(vault(*number)).map(|key| key.versions.clone());
            for one in versions.into_iter().flatten() {
                if one.tags.get("team").map(String::as_str) != Some("lakehouse") {
                    lost.push(format!("a tag of key {number}"));
                }
            }
        }
        lost
    }

    fn uses<'a>(&'a self, services: &'a Services) -> Boxed<'a, BTreeMap<Use, bool>> {
        Box::pin(async move {
            services.with(|world| {
                let mut all = BTreeMap::new();
                for (at, id) in workspaces().iter().enumerate() {
                    for (feature, _, tried) in azure::features(&world.now.azure, id) {
                        all.insert((at, feature), tried.is_ok());
                    }
                }
                all
            })
        })
    }

    fn key(&self, key: usize) -> (&'static str, Value) {
        let id = key_id(vault(key));
        (
            "azure",
            Value::map([("key_vault_key_id", Value::string(id))]),
        )
    }

    fn state(&self, world: &mut World, number: usize) -> KeyState {
        let key = world
            .now
            .azure
            .key(vault(number))
            .map(|key| key.versions.clone());
        let versions = key.unwrap_or_default();
        let own = world.now.azure.key(vault(number));
        let is_deleted = own.is_some_and(|key| key.deleted.is_some());
        let state = |is_enabled: bool| match (is_deleted, is_enabled) {
            (true, true) => "deleted, enabled",
            (true, false) => "deleted, disabled",
            (false, true) => "enabled",
            (false, false) => "disabled",
        };
        KeyState {
            versions: versions
                .iter()
                .map(|one| state(one.enabled).to_owned())
                .collect(),
            marks: versions
                .iter()
                .flat_map(|one| one.tags.keys())
                .filter(|name| name.starts_with("dbxcmk"))
                .cloned()
                .collect(),
        }
    }

    fn users(&self, world: &mut World, key: usize) -> BTreeSet<String> {
        let own = key_id(vault(key)).to_ascii_lowercase();
        let all = workspaces().into_iter().filter(|id| {
            let features = azure::features(&world.now.azure, id);
            let mut keys = features.iter().map(|(_, key, _)| key.to_ascii_lowercase());
            keys.any(|key| key.starts_with(&own))
        });
        all.collect()
    }

    fn readiness(&self, _: &mut World, at: usize, key: usize, cases: &[&'static str]) -> Value {
        let workspace = workspaces().get(at).cloned().unwrap_or_default();
        let azure = Value::map([
            ("key_vault_key_id", Value::string(key_id(vault(key)))),
            ("vault_resource_id", Value::string(vault_id(vault(key)))),
            ("workspace_resource_id", Value::string(workspace)),
        ]);
        Value::map([("use_cases", platform::texts(cases)), ("azure", azure)])
    }

    fn key_of(&self, world: &mut World, (at, case): Use) -> Option<usize> {
        let id = workspaces().get(at).cloned()?;
        let features = azure::features(&world.now.azure, &id);
        let (_, used, _) = features.iter().find(|(feature, ..)| *feature == case)?;
        (0..VAULTS.len()).find(|key| {
            let own = key_id(vault(*key)).to_ascii_lowercase();
            used.to_ascii_lowercase().starts_with(&own)
        })
    }

    fn import_id(&self, address: &str, value: &Value) -> Option<String> {
        let azure = value.get("azure");
        let part = |name: &str| azure.get(name).as_str().map(str::to_owned);
        match address.split_once('.')?.0 {
            "dbxcmk_key_configuration" => value.get("id").as_str().map(str::to_owned),
            "dbxcmk_workspace_binding" => part("workspace_resource_id"),
            _ => Some(format!(
                "{},{},{}",
                part("key_vault_key_id")?,
                part("vault_resource_id")?,
                part("workspace_resource_id")?
            )),
        }
    }

    // A key that is recovered is as it was. Source: Key Vault documentation, "soft-delete overview".
    fn deletion_disables(&self) -> bool {
        false
    }

    // The identity of the storage account and that of the disk encryption set come with the keys of a workspace.
    fn makes_identities(&self, plan: &Plan) -> bool {
        let mut all = plan.changes.iter();
        all.any(|(address, change)| {
            address.starts_with("dbxcmk_workspace_binding.") && change.action != Action::NoOp
        })
    }

    fn has(&self, world: &mut World, (at, case): Use, configuration: &str) -> bool {
        let id = workspaces().get(at).cloned().unwrap_or_default();
        let features = azure::features(&world.now.azure, &id);
        let mut of_case = features.iter().filter(|(feature, ..)| *feature == case);
        let wanted = configuration.to_ascii_lowercase();
        of_case.any(|(_, key, _)| {
            let key = key.to_ascii_lowercase();
            key.trim_end_matches('/') == wanted || key.starts_with(&format!("{wanted}/"))
        })
    }
}
