//! Workspaces of Azure Databricks as resources: long-running updates of the whole, with the refusals of the real ones.
//!
//! Sources: Microsoft.Databricks REST API 2026-01-01; terraform-provider-azurerm issues 22394 and 21288 (`DiskEncryptionPropertiesRequired`),
//! 25766 and azure-docs 122008 (when the disk encryption set appears); azure-cli-extensions issue 1826 (`LinkedInvalidPropertyId`);
//! azure-powershell issues 20380, 22463, 22898 and PowerShell 20404 (texts of refusals).

use std::time::Duration;

use doors::clock::Moment;

use serde_json::{Value as Json, json};

use super::{
    ArmWorkspace, AzureWorld, DATABRICKS, Operation, REGION, SUBSCRIPTION, TENANT, denied,
    not_found, refusal, set, try_key,
};
use crate::Shared;
use crate::faults::Effect;
use crate::http::{Answer, Request};

/// What a client need not send back: Resource Manager says it, and ignores it.
const READ_ONLY: [&str; 15] = [
    "/id",
    "/name",
    "/type",
    "/systemData",
    "/sku/tier",
    "/properties/provisioningState",
    "/properties/createdDateTime",
    "/properties/workspaceId",
    "/properties/workspaceUrl",
    "/properties/diskEncryptionSetId",
    "/properties/storageAccountIdentity",
    "/properties/managedDiskIdentity",
    "/properties/isUcEnabled",
    "/properties/createdBy",
    "/properties/updatedBy",
];

/// A workspace without keys, with what the description of the API does not have.
pub(super) fn new(id: &str, number: u64) -> Json {
    let name = id.rsplit('/').next().unwrap_or_default();
    json!({
        "id": id, "name": name, "type": "Microsoft.Databricks/workspaces", "location": REGION,
        "sku": { "name": "premium", "tier": "premium" }, "tags": { "team": "lakehouse" },
        "systemData": { "createdByType": "Application" },
        "properties": {
            "computeMode": "Hybrid",
            "managedResourceGroupId": format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/databricks-rg-{name}"),
            "workspaceId": number.to_string(),
            "workspaceUrl": format!("adb-{number}.9.azuredatabricks.net"),
            "provisioningState": "Succeeded",
            "createdDateTime": "2026-01-01T00:00:00Z",
            "createdBy": { "oid": "0" }, "updatedBy": { "oid": "0" },
            "authorizations": [{ "principalId": "9a74af6f-d153-4348-988a-e2672920bee9", "roleDefinitionId": "8e3af657-a8ff-443c-a75c-2fe8c4bcb635" }],
            "isUcEnabled": true,
            "publicNetworkAccess": "Enabled",
            "requiredNsgRules": "AllRules",
            "somethingNew": { "that": ["no", "client", "knows"], "yet": null },
            "parameters": {
                "enableNoPublicIp": { "type": "Bool", "value": true },
                "customVirtualNetworkId": { "type": "String", "value": "" },
                "natGatewayName": { "type": "String", "value": "nat-gateway" },
                "prepareEncryption": { "type": "Bool", "value": false },
                "requireInfrastructureEncryption": { "type": "Bool", "value": false },
                "resourceTags": { "type": "Object", "value": { "application": "databricks" } },
                "someFutureParameter": { "type": "String", "value": "kept" },
            },
        },
    })
}

/// Answers a request to this part of the service.
pub(super) fn answer(
    shared: &Shared,
    request: &Request,
    path: &str,
    effect: Option<&Effect>,
) -> Answer {
    let lower = path.to_ascii_lowercase();
    if let Some((_, id)) = lower.split_once("/microsoft.databricks/operations/") {
        return status(shared, id);
    }
    if lower == format!("/subscriptions/{SUBSCRIPTION}/providers/microsoft.databricks/workspaces") {
        return list(shared);
    }
    match request.method.as_str() {
        "GET" => {
            if let Some(refused) = denied(shared, "Microsoft.Databricks/workspaces/read", path) {
                return refused;
            }
            match shared.world().now.azure.workspaces.get(&lower) {
                Some(workspace) => Answer::json(200, &workspace.shown),
                None => not_found(path),
            }
        }
        "PUT" => match denied(shared, "Microsoft.Databricks/workspaces/write", path) {
            Some(refused) => refused,
            None => put(shared, request, &lower, effect),
        },
        "DELETE" => match shared.world().now.azure.workspaces.remove(&lower) {
            Some(_) => Answer {
                status: 200,
                headers: Vec::new(),
                body: String::new(),
            },
            None => Answer {
                status: 204,
                headers: Vec::new(),
                body: String::new(),
            },
        },
        _ => refusal(
            405,
            "MethodNotAllowed",
            "A change of keys is a PUT of the whole workspace; PATCH takes tags alone.",
        ),
    }
}

fn list(shared: &Shared) -> Answer {
    if let Some(refused) = denied(shared, "Microsoft.Databricks/workspaces/read", SUBSCRIPTION) {
        return refused;
    }
    let world = shared.world();
    // Those of other subscriptions only the account lists.
    let own = format!("/subscriptions/{SUBSCRIPTION}/");
    let all: Vec<Json> = world
        .now
        .azure
        .workspaces
        .iter()
        .filter(|(id, _)| id.starts_with(&own))
        .map(|(_, one)| one.shown.clone())
        .collect();
    Answer::json(200, &json!({ "value": all }))
}

fn status(shared: &Shared, id: &str) -> Answer {
    let world = shared.world();
    if let Some(ended) = world.now.azure.ended.get(id) {
        return Answer::json(200, ended);
    }
    let is_running = world
        .now
        .azure
        .workspaces
        .values()
        .any(|one| one.operation.as_ref().is_some_and(|(own, _)| own == id));
    match is_running {
        true => Answer::json(200, &json!({ "name": id, "status": "InProgress" })),
        false => not_found(id),
    }
}

fn text<'a>(json: &'a Json, pointer: &str) -> &'a str {
    json.pointer(pointer)
        .and_then(Json::as_str)
        .unwrap_or_default()
}

const DISK: &str = "/properties/encryption/entities/managedDisk";
const SERVICES: &str = "/properties/encryption/entities/managedServices";
const STORAGE: &str = "/properties/parameters/encryption/value";

/// The key that a part of a workspace names; `None` for none.
fn key_of(json: &Json, pointer: &str) -> Option<String> {
    let part = json.pointer(pointer)?;
    if !text(part, "/keySource").eq_ignore_ascii_case("Microsoft.Keyvault") {
        return None;
    }
    let (uri, name, version) = match pointer == STORAGE {
        true => (
            text(part, "/keyvaulturi"),
            text(part, "/KeyName"),
            text(part, "/keyversion"),
        ),
        false => (
            text(part, "/keyVaultProperties/keyVaultUri"),
            text(part, "/keyVaultProperties/keyName"),
            text(part, "/keyVaultProperties/keyVersion"),
        ),
    };
    Some(format!(
        "{}/keys/{name}/{version}",
        uri.trim_end_matches('/')
    ))
}

fn put(shared: &Shared, request: &Request, id: &str, effect: Option<&Effect>) -> Answer {
    let body = request.json();
    let url = format!("{}/arm", shared.azure_url);
    let mut world = shared.world();
    let azure = &mut world.now.azure;
    let operation = azure.next("0be4a710");
    let Some(workspace) = azure.workspaces.get(id) else {
        return not_found(id);
    };
    if workspace.operation.is_some() {
        return refusal(
            409,
            "ApplicationBeingUpdated",
            "Another operation is in progress on the workspace.",
        );
    }
    if let Err(refused) = checked(&workspace.shown, &body) {
        return refused;
    }
    let lost = lost_fields(&workspace.shown, &body);
    azure.lost.extend(lost);
    let Some(workspace) = azure.workspaces.get_mut(id) else {
        return not_found(id);
    };
    let wanted = taken_over(&workspace.shown, &body);
    set(
        &mut workspace.shown,
        "/properties/provisioningState",
        json!("Updating"),
    );
    workspace.operation = Some((
        operation.clone(),
        Operation {
            wanted,
            began: Moment::now(),
            effect: effect.cloned(),
        },
    ));
    let mut answer = Answer::json(200, &workspace.shown);
    let status = format!(
        "{url}/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Databricks/operations/{operation}?api-version=2026-01-01"
    );
    answer
        .headers
        .push(("azure-asyncoperation".to_owned(), status.clone()));
    answer.headers.push(("location".to_owned(), status));
    answer
}

/// What Azure refuses before it begins.
fn checked(shown: &Json, body: &Json) -> Result<(), Answer> {
    let bad = |code: &str, message: &str| Err(refusal(400, code, message));
    let mode = text(body, "/properties/computeMode");
    if !["Hybrid", "Serverless"].contains(&mode) {
        return bad(
            "InvalidRequestContent",
            "The property 'computeMode' is required.",
        );
    }
    if mode == "Hybrid" && text(body, "/properties/managedResourceGroupId").is_empty() {
        return bad(
            "InvalidRequestContent",
            "The property 'managedResourceGroupId' is required for the compute mode Hybrid.",
        );
    }
    let network = body.pointer("/properties/parameters/customVirtualNetworkId/value");
    if network == Some(&json!("")) {
        return bad(
            "LinkedInvalidPropertyId",
            "Property id '' at path 'properties.parameters.customVirtualNetworkId.value' is invalid. Expect fully qualified resource Id that start with \
             '/subscriptions/{subscriptionId}' or '/providers/{resourceProviderNamespace}/'.",
        );
    }
    let own = text(shown, "/properties/parameters/customVirtualNetworkId/value");
    if !own.is_empty() && network.and_then(Json::as_str) != Some(own) {
        return bad(
            "VirtualNetworkIdChangeNotAllowed",
            "The virtual network of a workspace cannot be changed.",
        );
    }
    if shown.pointer(DISK).is_some() && body.pointer(DISK).is_none() {
        return bad(
            "DiskEncryptionPropertiesRequired",
            "Existing Disk Encryption Properties must be specified in the PUT request.",
        );
    }
    for entity in [DISK, SERVICES] {
        let Some(part) = body.pointer(entity) else {
            continue;
        };
        let whole = ["keyVaultUri", "keyName", "keyVersion"]
            .iter()
            .all(|field| !text(part, &format!("/keyVaultProperties/{field}")).is_empty());
        if !text(part, "/keySource").eq_ignore_ascii_case("Microsoft.Keyvault") || !whole {
            return bad(
                "InvalidEncryptionEntitiesKeyVaultValue",
                "The key vault properties of the encryption entities are not complete.",
            );
        }
    }
    let wants_keys = [DISK, SERVICES, STORAGE]
        .iter()
        .any(|part| key_of(body, part).is_some());
    if wants_keys && !text(body, "/sku/name").eq_ignore_ascii_case("premium") {
        return bad("InvalidSku", "Customer-managed keys need the premium tier.");
    }
    if mode == "Serverless"
        && (body.pointer(DISK).is_some()
            || body
                .pointer("/properties/parameters")
                .is_some_and(|all| !all.is_null()))
    {
        return bad(
            "InvalidParameter",
            "A workspace of the compute mode Serverless has neither managed disks nor parameters.",
        );
    }
    Ok(())
}

/// Fields that a workspace shows and a request to change it does not have. The real service takes their absence for a wish.
fn lost_fields(shown: &Json, body: &Json) -> Vec<String> {
    fn walk(shown: &Json, body: Option<&Json>, path: &str, lost: &mut Vec<String>) {
        // An empty network is not taken back, so it is right to leave it out.
        let is_left_out = READ_ONLY.contains(&path)
            || path == "/properties/parameters/customVirtualNetworkId"
            || path == "/properties/parameters/resourceTags";
        if is_left_out {
            return;
        }
        match (shown, body) {
            (_, None) => lost.push(path.to_owned()),
            (Json::Object(all), Some(body)) => {
                for (name, value) in all {
                    walk(value, body.get(name), &format!("{path}/{name}"), lost);
                }
            }
            _ => {}
        }
    }
    let mut lost = Vec::new();
    walk(shown, Some(body), "", &mut lost);
    lost
}

/// The workspace as a request wants it; what only Azure says stays.
fn taken_over(shown: &Json, body: &Json) -> Json {
    let mut wanted = body.clone();
    for pointer in READ_ONLY {
        let Some((parent, name)) = pointer.rsplit_once('/') else {
            continue;
        };
        let parent = match parent {
            "" => Some(&mut wanted),
            parent => wanted.pointer_mut(parent),
        };
        if let Some(all) = parent.and_then(Json::as_object_mut) {
            match shown.pointer(pointer) {
                Some(own) => all.insert(name.to_owned(), own.clone()),
                None => all.remove(name),
            };
        }
    }
    // Leaving the key of the storage account out keeps it. Source: a public module's test on a live tenant.
    for parameter in ["encryption", "customVirtualNetworkId", "resourceTags"] {
        let own = shown.pointer(&format!("/properties/parameters/{parameter}"));
        if let (Some(own), Some(all)) = (
            own,
            wanted
                .pointer_mut("/properties/parameters")
                .and_then(Json::as_object_mut),
        ) {
            all.entry(parameter).or_insert_with(|| own.clone());
        }
    }
    wanted
}

/// Carries out what is due.
pub(super) fn tick(shared: &Shared) {
    let wait = shared.options.wait;
    let mut world = shared.world();
    let azure = &mut world.now.azure;
    let due: Vec<String> = azure
        .workspaces
        .iter()
        .filter(|(_, one)| {
            one.operation.as_ref().is_some_and(|(_, operation)| {
                operation.effect != Some(Effect::Hang) && operation.began.elapsed() >= wait
            })
        })
        .map(|(id, _)| id.clone())
        .collect();
    for id in due {
        finish(azure, &id);
    }
    for workspace in azure.workspaces.values_mut() {
        if let Some((before, at, after)) = workspace.undone.clone()
            && at.elapsed() >= after
        {
            workspace.shown = before;
            workspace.undone = None;
        }
    }
}

fn finish(azure: &mut AzureWorld, id: &str) {
    let Some(workspace) = azure.workspaces.get(id).cloned() else {
        return;
    };
    let Some((name, operation)) = workspace.operation.clone() else {
        return;
    };
    let outcome = tried(azure, &workspace, &operation.wanted);
    let mut after = workspace;
    after.operation = None;
    let ended = match outcome {
        Ok(()) => {
            let before = after.shown.clone();
            after.shown = operation.wanted;
            made(azure, &mut after.shown);
            set(
                &mut after.shown,
                "/properties/provisioningState",
                json!("Succeeded"),
            );
            let undone = match operation.effect {
                Some(Effect::Revert) => Some(Duration::ZERO),
                Some(Effect::RevertAfter { milliseconds }) => {
                    Some(Duration::from_millis(milliseconds))
                }
                _ => None,
            };
            if let Some(delay) = undone {
                let mut before = before;
                set(
                    &mut before,
                    "/properties/provisioningState",
                    json!("Succeeded"),
                );
                after.undone = Some((before, Moment::now(), delay));
            }
            json!({ "name": name, "status": "Succeeded" })
        }
        Err((code, message)) => {
            set(
                &mut after.shown,
                "/properties/provisioningState",
                json!("Failed"),
            );
            json!({ "name": name, "status": "Failed", "error": { "code": code, "message": message } })
        }
    };
    azure.workspaces.insert(id.to_owned(), after);
    azure.ended.insert(name, ended);
}

/// Tries each key that is new, as those who need it would.
fn tried(
    azure: &AzureWorld,
    workspace: &ArmWorkspace,
    wanted: &Json,
) -> Result<(), (&'static str, String)> {
    let changed = |part: &str| {
        let key = key_of(wanted, part)?;
        (key_of(&workspace.shown, part).as_ref() != Some(&key)).then_some(key)
    };
    if let Some(key) = changed(SERVICES) {
        try_key(azure, &key, DATABRICKS).map_err(|why| {
            let uri = key.split("/keys/").next().unwrap_or_default();
            ("ApplicationUpdateFail", format!(
                "Failed to update application: 'lakehouse', because PERMISSION_DENIED: Invalid permissions on the specified KeyVault {uri}. Please give \
                 Databricks the following access permissions: [Get, Wrap, Unwrap]. Wrapped Message: {why}"
            ))
        })?;
    }
    if let Some(key) = changed(DISK) {
        if workspace.has_running_compute {
            return Err(("ApplicationUpdateFail", "Failed to update application: 'lakehouse', because compute is running in the workspace. Terminate all clusters, pools and warehouses.".to_owned()));
        }
        try_key(azure, &key, DATABRICKS).map_err(|why| {
            (
                "ApplicationUpdateFail",
                format!("Unable to access key vault '{key}': {why}"),
            )
        })?;
    }
    if let Some(key) = changed(STORAGE) {
        let identity = text(
            &workspace.shown,
            "/properties/storageAccountIdentity/principalId",
        );
        if identity.is_empty() {
            return Err(("ApplicationUpdateFail", "Missing pre-requisites to enable EncryptionAtRest/Customer Managed Key: the storage account has no identity.".to_owned()));
        }
        try_key(azure, &key, identity).map_err(|why| {
            ("KeyVaultAuthenticationFailure", format!(
                "Unable to update storage account 'dbstorage': 'The operation failed because of authentication issue on the keyvault. {why}'"
            ))
        })?;
    }
    Ok(())
}

/// Gives the managed services of a workspace another key, past all clients.
#[cfg(feature = "simulation")]
pub fn attach_services(workspace: &mut ArmWorkspace, vault: &str, version: &str) {
    let key = super::key_id(vault);
    let (base, name) = key.split_once("keys/").unwrap_or((&key, ""));
    let entity = json!({
        "keySource": "Microsoft.Keyvault",
        "keyVaultProperties": { "keyVaultUri": base, "keyName": name, "keyVersion": version },
    });
    set(&mut workspace.shown, SERVICES, entity);
}

/// The key of each feature of a workspace (managed services, managed disks, storage), and whether the identity that works for the feature
/// can use it.
#[cfg(feature = "simulation")]
pub fn features(azure: &AzureWorld, id: &str) -> Vec<(&'static str, String, Result<(), String>)> {
    let Some(workspace) = azure.workspaces.get(&id.to_ascii_lowercase()) else {
        return Vec::new();
    };
    let shown = &workspace.shown;
    let who = |pointer: &str| text(shown, pointer).to_owned();
    let all = [
        ("MANAGED_SERVICES", SERVICES, DATABRICKS.to_owned()),
        (
            "MANAGED_DISKS",
            DISK,
            who("/properties/managedDiskIdentity/principalId"),
        ),
        (
            "STORAGE",
            STORAGE,
            who("/properties/storageAccountIdentity/principalId"),
        ),
    ];
    all.into_iter()
        .filter_map(|(feature, part, principal)| {
            let key = key_of(shown, part)?;
            let tried = try_key(azure, &key, &principal);
            Some((feature, key, tried))
        })
        .collect()
}

/// What Azure makes with an update: the identity of the storage account, the disk encryption set.
fn made(azure: &mut AzureWorld, shown: &mut Json) {
    let mut identity = |kind: &str| {
        let principal = azure.next(kind);
        azure.principals.insert(principal.clone());
        json!({ "principalId": principal, "tenantId": TENANT, "type": "SystemAssigned" })
    };
    let is_prepared =
        shown.pointer("/properties/parameters/prepareEncryption/value") == Some(&json!(true));
    if is_prepared
        && shown
            .pointer("/properties/storageAccountIdentity")
            .is_none()
    {
        set(
            shown,
            "/properties/storageAccountIdentity",
            identity("570a6e00"),
        );
    }
    if shown.pointer(DISK).is_some() && shown.pointer("/properties/managedDiskIdentity").is_none() {
        set(
            shown,
            "/properties/managedDiskIdentity",
            identity("d15c5000"),
        );
        let group = text(shown, "/properties/managedResourceGroupId").to_owned();
        set(
            shown,
            "/properties/diskEncryptionSetId",
            json!(format!(
                "{group}/providers/Microsoft.Compute/diskEncryptionSets/dbdiskencryptionset"
            )),
        );
    }
}
