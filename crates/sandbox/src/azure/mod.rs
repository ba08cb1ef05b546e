//! Azure: what is used of Microsoft Entra ID, Resource Manager, Key Vault, Managed HSM and Microsoft Graph, over HTTPS.
//!
//! One address serves all: `/login/…`, `/arm/…`, `/vault/NAME/…` and `/graph/…`.
//!
//! Sources: REST API of Microsoft.Databricks 2026-01-01, Microsoft.KeyVault 2026-02-01, Microsoft.Authorization 2022-04-01, Key Vault
//! 2025-07-01, Microsoft Graph v1.0; "Track asynchronous Azure operations"; the texts of refusals from public issues of
//! terraform-provider-azurerm, azure-powershell and azure-sdk-for-python.

mod authorization;
mod graph;
mod keys;
mod login;
mod trial;
mod vaults;
mod workspaces;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use doors::clock::Moment;

use serde_json::{Map, Value as Json, json};

pub use self::keys::VersionOfKey;
pub use self::trial::{may, try_key};
#[cfg(feature = "simulation")]
pub use self::workspaces::{attach_services, features};
use crate::Shared;
use crate::faults::Effect;
use crate::http::{Answer, Request, decoded};

/// The subscription of everything.
pub const SUBSCRIPTION: &str = "5ab5c7f1-0000-4000-8000-000000000001";
/// The ID of the tenant of all identities.
pub const TENANT: &str = "7e4a9700-0000-4000-8000-000000000002";
/// The application that runs Terraform.
pub const CLIENT: &str = "c11e4700-0000-4000-8000-000000000003";
/// The client secret of that application.
pub const SECRET: &str = "sandbox-azure-client-secret";
/// The object ID of AzureDatabricks in the tenant.
pub const DATABRICKS: &str = "da7ab41c-0000-4000-8000-000000000004";
/// The application ID of AzureDatabricks, the same in every tenant. Source: Azure Databricks documentation.
pub const DATABRICKS_APPLICATION: &str = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d";
/// The region of everything.
pub const REGION: &str = "westeurope";
/// The number of the workspace.
pub const WORKSPACE: u64 = 4_567_890_123_456_789;
/// The name of the vault, which has role assignments.
pub const VAULT: &str = "acme-lakehouse";
/// The name of another vault, which has access policies.
pub const POLICY_VAULT: &str = "acme-policies";
/// The name of a Managed HSM.
pub const HSM: &str = "acme-hsm";
/// The name of the key that each of them has.
pub const KEY: &str = "main";
/// The first version of each.
pub const VERSION: &str = "0123456789abcdef0123456789abcdef";

/// The resource ID of something in the one resource group.
pub fn resource(kind: &str, name: &str) -> String {
    format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/lakehouse/providers/{kind}/{name}")
}

/// The resource ID of the workspace.
pub fn workspace_id() -> String {
    resource("Microsoft.Databricks/workspaces", "lakehouse-azure")
}

/// The resource ID of a vault.
pub fn vault_id(name: &str) -> String {
    match name == HSM {
        true => resource("Microsoft.KeyVault/managedHSMs", name),
        false => resource("Microsoft.KeyVault/vaults", name),
    }
}

/// The identifier of the key of a vault, without a version.
pub fn key_id(vault: &str) -> String {
    let domain = if vault == HSM { "managedhsm" } else { "vault" };
    format!("https://{vault}.{domain}.azure.net/keys/{KEY}")
}

/// A key of a vault, with its versions.
#[derive(Clone, Debug, Default)]
pub struct AzureKey {
    /// Its versions, the oldest first.
    pub versions: Vec<VersionOfKey>,
    /// When it was deleted, in seconds since 1970.
    pub deleted: Option<i64>,
    /// How many more looks show a deletion or a recovery as not done yet.
    pub late: u32,
}

/// An update of a workspace on its way.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The workspace as the request wants it.
    pub wanted: Json,
    /// When the request came: it ends some time after that.
    pub began: Moment,
    /// What becomes of it.
    pub effect: Option<Effect>,
}

/// A workspace in Resource Manager, with the update that is under way.
#[derive(Clone, Debug)]
pub struct ArmWorkspace {
    /// What Resource Manager shows.
    pub shown: Json,
    /// The update that is under way, if there is one.
    pub operation: Option<(String, Operation)>,
    /// Whether clusters run in it, so that its managed disks take no other key.
    pub has_running_compute: bool,
    /// The workspace that shows again after a while, and since when.
    pub undone: Option<(Json, Moment, Duration)>,
}

/// What there is of Azure.
#[derive(Clone, Debug, Default)]
pub struct AzureWorld {
    /// Vaults and HSMs by their ID in lower case, as Resource Manager shows them.
    pub vaults: BTreeMap<String, Json>,
    /// Keys by the names of vault and key.
    pub keys: BTreeMap<(String, String), AzureKey>,
    /// Workspaces by their ID in lower case.
    pub workspaces: BTreeMap<String, ArmWorkspace>,
    /// Role assignments by their ID in lower case, as Resource Manager shows them.
    pub role_assignments: BTreeMap<String, Json>,
    /// Deny assignments: their scope, and what Resource Manager shows.
    pub deny_assignments: Vec<(String, Json)>,
    /// Custom roles by their ID in lower case, as Resource Manager shows them.
    pub role_definitions: BTreeMap<String, Json>,
    /// Local roles of an HSM: its name, and what it shows.
    pub local_roles: BTreeMap<(String, String), Json>,
    /// Vaults by their id in lower case, with the diagnostic settings of each.
    pub diagnostics: BTreeMap<String, Vec<Json>>,
    /// The object IDs that exist.
    pub principals: BTreeSet<String>,
    /// The members of groups.
    pub groups: BTreeMap<String, Vec<String>>,
    /// The actions that the sandbox denies to every caller:
    /// `Microsoft.Authorization/roleAssignments/write`, `keys/read`, `graph`.
    pub denied: BTreeSet<String>,
    /// The vaults whose network rules do not let the caller in.
    pub closed: BTreeSet<String>,
    /// Whether the tenant has AzureDatabricks.
    pub has_databricks: bool,
    /// Operations that are over, and their outcome.
    pub ended: BTreeMap<String, Json>,
    /// Fields that a request to change a workspace has lost.
    pub lost: Vec<String>,
    /// Tokens and the audience that they are for.
    pub tokens: BTreeMap<String, String>,
    /// How many reads show role assignments and access policies as they were before the last change.
    pub late_reads: u32,
    /// How many reads that is for the next change.
    pub lateness: u32,
    /// What they showed then.
    pub before: Option<(BTreeMap<String, Json>, BTreeMap<String, Json>)>,
    /// The certificates (DER, base64url of the SHA-256) that the application may prove itself with.
    pub certificates: BTreeSet<String>,
    counter: u64,
}

impl AzureWorld {
    /// A workspace without keys, and a key in each of three vaults that only their owner may use.
    pub fn new() -> Self {
        let mut world = Self {
            has_databricks: true,
            ..Self::default()
        };
        world.principals.insert(DATABRICKS.to_owned());
        for name in [VAULT, POLICY_VAULT, HSM] {
            world
                .vaults
                .insert(vault_id(name).to_ascii_lowercase(), vaults::new(name));
            world.add_key(name, KEY, VERSION);
            world.diagnostics.insert(
                vault_id(name).to_ascii_lowercase(),
                vec![vaults::audit_events(name)],
            );
        }
        world.add_workspace(&workspace_id(), WORKSPACE);
        let (id, definition) = authorization::encryption_user();
        world.role_definitions.insert(id.to_owned(), definition);
        world
    }

    /// Puts a key with one version into a vault.
    pub fn add_key(&mut self, vault: &str, name: &str, version: &str) {
        let key = AzureKey {
            versions: vec![VersionOfKey::new(vault == HSM, version)],
            ..AzureKey::default()
        };
        self.keys.insert((vault.to_owned(), name.to_owned()), key);
    }

    /// Adds a workspace without keys.
    pub fn add_workspace(&mut self, id: &str, number: u64) {
        let workspace = ArmWorkspace {
            shown: workspaces::new(id, number),
            operation: None,
            has_running_compute: false,
            undone: None,
        };
        self.workspaces.insert(id.to_ascii_lowercase(), workspace);
    }

    /// The key in a vault that the sandbox begins with.
    pub fn key(&mut self, vault: &str) -> Option<&mut AzureKey> {
        self.keys.get_mut(&(vault.to_owned(), KEY.to_owned()))
    }

    /// A vault, as Resource Manager shows it.
    pub fn vault(&mut self, name: &str) -> Option<&mut Json> {
        self.vaults.get_mut(&vault_id(name).to_ascii_lowercase())
    }

    /// The workspace that the sandbox begins with.
    pub fn workspace(&mut self) -> Option<&mut ArmWorkspace> {
        self.workspaces
            .get_mut(&workspace_id().to_ascii_lowercase())
    }

    /// A new name; `kind`: its first eight digits.
    fn next(&mut self, kind: &str) -> String {
        self.counter += 1;
        format!("{kind}-0000-4000-8000-{:012x}", self.counter)
    }

    /// The next change of access shows late.
    fn remember_access(&mut self) {
        if self.lateness > 0 {
            self.before = Some((self.role_assignments.clone(), self.vaults.clone()));
            self.late_reads = self.lateness;
        }
    }

    /// Role assignments as a read shows them.
    fn shown_assignments(&mut self) -> BTreeMap<String, Json> {
        match (&self.before, self.late_reads) {
            (Some((old, _)), late) if late > 0 => {
                self.late_reads -= 1;
                old.clone()
            }
            _ => self.role_assignments.clone(),
        }
    }

    /// A vault as a read shows it.
    fn shown_vault(&mut self, id: &str) -> Option<Json> {
        match (&self.before, self.late_reads) {
            (Some((_, old)), late) if late > 0 => {
                self.late_reads -= 1;
                old.get(id).cloned()
            }
            _ => self.vaults.get(id).cloned(),
        }
    }
}

/// A refusal as Resource Manager and Key Vault write it.
pub fn refusal(status: u16, code: &str, message: &str) -> Answer {
    Answer::json(
        status,
        &json!({ "error": { "code": code, "message": message } }),
    )
}

fn refusal_within(status: u16, code: &str, inner: &str, message: &str) -> Answer {
    Answer::json(
        status,
        &json!({ "error": { "code": code, "message": message, "innererror": { "code": inner } } }),
    )
}

fn not_found(what: &str) -> Answer {
    refusal(
        404,
        "ResourceNotFound",
        &format!("The Resource '{what}' was not found."),
    )
}

/// Whether a path belongs to Azure.
pub fn is_azure(path: &str) -> bool {
    ["/login/", "/arm/", "/vault/", "/graph/"]
        .iter()
        .any(|start| path.starts_with(start))
        || is_login_of_a_host(path)
}

/// The official clients take no more than a host for the login, and then the tenant.
fn is_login_of_a_host(path: &str) -> bool {
    path.strip_prefix('/')
        .is_some_and(|rest| rest.starts_with(TENANT) || rest.starts_with("common/discovery"))
}

/// Carries out what is due.
pub(crate) fn carry_on(shared: &Shared) {
    workspaces::tick(shared);
}

/// Answers a request to any service of Azure, with the fault that meets it.
pub fn answer(shared: &Shared, request: &Request, effect: Option<&Effect>) -> Answer {
    let path = decoded(&request.path);
    workspaces::tick(shared);
    if let Some(rest) = path.strip_prefix("/login/") {
        return login::answer(shared, request, rest);
    }
    if is_login_of_a_host(&path) {
        return login::answer(shared, request, path.trim_start_matches('/'));
    }
    if let Some(rest) = path.strip_prefix("/vault/") {
        return keys::answer(shared, request, rest);
    }
    if let Some(rest) = path.strip_prefix("/graph/") {
        return graph::answer(shared, request, rest);
    }
    let rest = path.strip_prefix("/arm").unwrap_or_default();
    if let Err(refused) = login::is_for(shared, request, "https://management.azure.com") {
        return refused;
    }
    if !request.query.contains_key("api-version") {
        return refusal(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        );
    }
    resource_manager(shared, request, rest, effect)
}

fn resource_manager(
    shared: &Shared,
    request: &Request,
    path: &str,
    effect: Option<&Effect>,
) -> Answer {
    let lower = path.to_ascii_lowercase();
    if lower == "/subscriptions" {
        return Answer::json(
            200,
            &json!({ "value": [{ "subscriptionId": SUBSCRIPTION, "tenantId": TENANT, "state": "Enabled" }] }),
        );
    }
    if let Some((scope, rest)) = lower.split_once("/providers/microsoft.authorization/") {
        return authorization::answer(shared, request, scope, rest);
    }
    if let Some((vault, rest)) = lower.split_once("/providers/microsoft.insights/") {
        return vaults::diagnostics(shared, request, vault, rest);
    }
    if lower.contains("/providers/microsoft.databricks/") {
        return workspaces::answer(shared, request, path, effect);
    }
    if lower.contains("/providers/microsoft.storage/") && request.method == "GET" {
        return crate::buckets::azure(shared, path);
    }
    if lower.contains("/providers/microsoft.keyvault/") {
        return vaults::answer(shared, request, path);
    }
    refusal(
        404,
        "InvalidResourceType",
        "The resource type could not be found.",
    )
}

fn denied(shared: &Shared, action: &str, scope: &str) -> Option<Answer> {
    shared.world().now.azure.denied.contains(action).then(|| {
        refusal(
            403,
            "AuthorizationFailed",
            &format!(
                "The client '{CLIENT}' with object id '{CLIENT}' does not have authorization to perform action '{action}' over scope '{scope}' or the \
                 scope is invalid. If access was recently granted, please refresh your credentials."
            ),
        )
    })
}

/// Sets one field, named by its pointer. An object above it that is missing is a defect of the caller, who would see nothing set.
pub(crate) fn set(json: &mut Json, pointer: &str, value: Json) {
    let (above, name) = pointer.rsplit_once('/').unwrap_or(("", pointer));
    if let Some(object) = json.pointer_mut(above).and_then(Json::as_object_mut) {
        object.insert(name.to_owned(), value);
    }
}

fn object(json: &Json) -> Map<String, Json> {
    json.as_object().cloned().unwrap_or_default()
}
