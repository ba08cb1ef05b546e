//! `/_sandbox/…`: looking inside and setting the stage, for people and for tests in other languages.
//!
//! - `GET /_sandbox/requests`: every request so far
//! - `POST /_sandbox/faults`: one fault to come
//! - `GET /_sandbox/faults`: the faults that are still to come
//! - `DELETE /_sandbox/faults[?operation=…]`: they do not come, or those of an operation do not
//! - `GET /_sandbox/workspaces`: the workspaces, with their keys
//! - `PATCH /_sandbox/workspaces/{id}`: changes fields of a workspace, or makes one in the cloud that `cloud` names; `has_running_compute`
//!   is a field here. A workspace on Azure has its resource ID or its number, and what is changed is what Resource Manager shows
//! - `DELETE /_sandbox/workspaces/{id}`: the workspace is gone
//! - `GET /_sandbox/workspaces/{id}/data`: which data of it can be read, and whether its compute runs
//! - `GET /_sandbox/metastores`: the metastores, with all that is in them
//! - `PATCH /_sandbox/metastores/{id}`: changes a metastore or makes one: its fields, `workspaces`, `caller_is_no_admin`, and by their names
//!   `catalogs`, `external_locations` and `storage_credentials`, each with its fields, `bound_to` and `sight`; null removes
//! - `DELETE /_sandbox/metastores/{id}`: the metastore is gone
//! - `PATCH /_sandbox/unity`: how workspaces answer: `closed` (those that do not have the caller), `include_unbound`, `page`,
//!   `first_page_is_empty`
//! - `GET /_sandbox/buckets`, `PATCH /_sandbox/buckets/{aws|gcp|azure}/{name}`: the buckets and storage accounts of tables: `kms_key`,
//!   `denied`; on AWS also `region` and `algorithm`
//! - `DELETE /_sandbox/keys/{id}`: the window of a key whose deletion is scheduled is over

use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use crate::Shared;
use crate::azure::{self, ArmWorkspace};
use crate::buckets;
use crate::faults::Fault;
use crate::http::{Answer, Request};
use crate::unity;
use crate::world::{Workspace, World};

fn refused(message: impl Into<String>) -> Answer {
    Answer::json(400, &json!({ "message": message.into() }))
}

/// Answers one request.
#[expect(clippy::too_many_lines, reason = "a table: an arm for each operation")]
pub fn answer(shared: &Shared, request: &Request) -> Answer {
    let path: Vec<&str> = request
        .path
        .split('/')
        .filter(|part| !part.is_empty())
        .skip(1)
        .collect();
    let wait = shared.options.wait;
    if path.first() == Some(&"workspaces") {
        azure::carry_on(shared);
    }
    let mut world = shared.world();
    match (request.method.as_str(), path.as_slice()) {
        ("GET", ["requests"]) => Answer::json(
            200,
            &serde_json::to_value(&world.record).unwrap_or_default(),
        ),
        ("POST", ["faults"]) => match serde_json::from_slice::<Fault>(&request.body) {
            Ok(fault) => {
                world.faults.push(fault);
                Answer::json(200, &json!({}))
            }
            Err(error) => refused(error.to_string()),
        },
        ("GET", ["faults"]) => Answer::json(
            200,
            &serde_json::to_value(&world.faults).unwrap_or_default(),
        ),
        ("DELETE", ["faults"]) => {
            let operation = request.query.get("operation");
            let before = world.faults.len();
            world
                .faults
                .retain(|fault| operation.is_some_and(|operation| fault.operation != *operation));
            Answer::json(200, &json!({ "removed": before - world.faults.len() }))
        }
        ("GET", ["workspaces"]) => {
            let of_account = world.now.workspaces.values().map(|one| as_it_is(one, wait));
            let of_azure = world.now.azure.workspaces.values().map(on_azure);
            Answer::json(200, &of_account.chain(of_azure).collect())
        }
        ("PATCH", ["workspaces", id @ ..]) => match request.json() {
            Json::Object(fields) => patch(&mut world, &id.join("/"), fields, wait),
            _ => refused("expected an object in the body"),
        },
        ("DELETE", ["workspaces", id @ ..]) => {
            let is_gone = remove(&mut world, &id.join("/"));
            Answer::json(if is_gone { 200 } else { 404 }, &json!({}))
        }
        ("GET", ["metastores"]) => Answer::json(200, &unity::shown(&world.now.unity)),
        ("PATCH", ["metastores", id]) => match request.json() {
            Json::Object(changes) => match unity::patch(&mut world.now.unity, id, changes) {
                Ok(shown) => Answer::json(200, &shown),
                Err(reason) => refused(reason),
            },
            _ => refused("expected an object in the body"),
        },
        ("DELETE", ["metastores", id]) => {
            let is_gone = world.now.unity.metastores.remove(*id).is_some();
            Answer::json(if is_gone { 200 } else { 404 }, &json!({}))
        }
        ("PATCH", ["unity"]) => match request.json() {
            Json::Object(changes) => match unity::patch_answers(&mut world.now.unity, &changes) {
                Ok(()) => Answer::json(200, &json!({})),
                Err(reason) => refused(reason),
            },
            _ => refused("expected an object in the body"),
        },
        ("GET", ["buckets"]) => Answer::json(200, &buckets::shown(&world.now.buckets)),
        ("PATCH", ["buckets", cloud, name]) => match request.json() {
            Json::Object(changes) => {
                match buckets::patch(&mut world.now.buckets, cloud, name, &changes) {
                    Ok(()) => Answer::json(200, &json!({})),
                    Err(reason) => refused(reason),
                }
            }
            _ => refused("expected an object in the body"),
        },
        ("DELETE", ["keys", id]) => {
            let before = world.now.keys.len();
            world.now.keys.retain(|(_, own), key| {
                let state = key.metadata.get("KeyState").and_then(Json::as_str);
                own != id || state != Some("PendingDeletion")
            });
            let is_gone = world.now.keys.len() < before;
            Answer::json(if is_gone { 200 } else { 404 }, &json!({}))
        }
        _ => Answer::json(404, &json!({ "message": "there is no such control" })),
    }
}

/// A workspace of the account, with the keys of an update that is over although nothing has read it since.
fn as_it_is(workspace: &Workspace, wait: Duration) -> Json {
    let mut fields = workspace.fields.clone();
    if let Some(update) = &workspace.update
        && update.stays
        && update.is_over(wait)
    {
        fields.extend(update.fields.clone());
    }
    fields.insert(
        "has_running_compute".to_owned(),
        Json::from(workspace.has_running_compute),
    );
    Json::Object(fields)
}

/// A workspace on Azure: what Resource Manager shows, and what it does not.
fn on_azure(workspace: &ArmWorkspace) -> Json {
    let mut fields = workspace.shown.as_object().cloned().unwrap_or_default();
    let number = workspace.shown.pointer("/properties/workspaceId");
    let more = [
        ("cloud", Json::from("azure")),
        ("workspace_id", number.cloned().unwrap_or_default()),
        (
            "has_running_compute",
            Json::from(workspace.has_running_compute),
        ),
    ];
    fields.extend(more.map(|(name, value)| (name.to_owned(), value)));
    Json::Object(fields)
}

/// The name under which a workspace on Azure is kept, for its number or its resource ID.
fn of_azure(world: &World, id: &str) -> Option<String> {
    let path = format!("/{}", id.to_ascii_lowercase());
    let is_meant = |(own, one): &(&String, &ArmWorkspace)| {
        **own == path || one.shown.pointer("/properties/workspaceId") == Some(&Json::from(id))
    };
    let mut all = world.now.azure.workspaces.iter();
    all.find(is_meant).map(|(own, _)| own.clone())
}

fn remove(world: &mut World, id: &str) -> bool {
    if let Some(own) = of_azure(world, id) {
        return world.now.azure.workspaces.remove(&own).is_some();
    }
    let number = id.parse().ok();
    number.is_some_and(|id: u64| world.now.workspaces.remove(&id).is_some())
}

/// Applies the changes of another object to an object (RFC 7396).
fn merge(into: &mut Json, changes: &Json) {
    let Json::Object(changes) = changes else {
        *into = changes.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    let Some(object) = into.as_object_mut() else {
        return;
    };
    for (name, value) in changes {
        match value {
            Json::Null => {
                object.remove(name);
            }
            value => merge(object.entry(name).or_insert(Json::Null), value),
        }
    }
}

/// Changes a workspace, or makes it.
fn patch(world: &mut World, id: &str, mut fields: Map<String, Json>, wait: Duration) -> Answer {
    let running = fields
        .remove("has_running_compute")
        .and_then(|running| running.as_bool());
    let cloud = fields.get("cloud").and_then(Json::as_str).unwrap_or("aws");
    let (is_google, is_azure) = (cloud == "gcp", cloud == "azure");
    if let Some(own) = of_azure(world, id) {
        return patch_azure(world, &own, fields, running);
    }
    let Ok(number) = id.parse::<u64>() else {
        return refused(
            "expected the number of a workspace in the path, or the resource ID of one on Azure",
        );
    };
    let is_new = !world.now.workspaces.contains_key(&number);
    if is_new && is_azure {
        if world.now.azure.vaults.is_empty() {
            return refused("the sandbox has no Azure: start it with --azure");
        }
        let name = match fields.remove("workspace_name") {
            Some(Json::String(name)) => name,
            _ => format!("workspace-{number}"),
        };
        let resource = azure::resource("Microsoft.Databricks/workspaces", &name);
        if world
            .now
            .azure
            .workspaces
            .contains_key(&resource.to_ascii_lowercase())
        {
            return refused(format!("there is a workspace {resource} already"));
        }
        world.now.azure.add_workspace(&resource, number);
        return patch_azure(world, &resource.to_ascii_lowercase(), fields, running);
    }
    if is_new && is_google {
        if world.now.google.projects.is_empty() {
            return refused("the sandbox has no Google Cloud: start it with --google");
        }
        let new = Workspace::on_google(number, "made-by-a-test");
        world.now.workspaces.insert(number, new);
    }
    let workspace = world.workspace(number);
    if let Some(running) = running {
        workspace.has_running_compute = running;
    }
    workspace.fields.extend(fields);
    Answer::json(200, &as_it_is(workspace, wait))
}

/// The same for a workspace on Azure.
fn patch_azure(
    world: &mut World,
    own: &str,
    mut fields: Map<String, Json>,
    running: Option<bool>,
) -> Answer {
    // These are not of Resource Manager: they say here what stands elsewhere there.
    for name in ["cloud", "workspace_id", "workspace_name"] {
        fields.remove(name);
    }
    let Some(workspace) = world.now.azure.workspaces.get_mut(own) else {
        return Answer::json(404, &json!({}));
    };
    workspace.has_running_compute = running.unwrap_or(workspace.has_running_compute);
    merge(&mut workspace.shown, &Json::Object(fields));
    Answer::json(200, &on_azure(workspace))
}
