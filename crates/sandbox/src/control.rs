//! `/_sandbox/…`: looking inside and setting the stage, for people and for tests in other languages.
//!
//! - `GET /_sandbox/requests`: every request so far
//! - `POST /_sandbox/faults`: one fault to come
//! - `GET /_sandbox/workspaces`: the workspaces
//! - `PATCH /_sandbox/workspaces/{id}`: changes fields of a workspace, or makes it; `has_running_compute` is a field here
//! - `DELETE /_sandbox/workspaces/{id}`: the workspace is gone
//! - `GET /_sandbox/workspaces/{id}/data`: which data of it can be read, and whether its compute runs
//! - `DELETE /_sandbox/keys/{id}`: the window of a key whose deletion is scheduled is over

use serde_json::{Value as Json, json};

use crate::Shared;
use crate::faults::Fault;
use crate::http::{Answer, Request};

/// Answers one request.
pub fn answer(shared: &Shared, request: &Request) -> Answer {
    let path: Vec<&str> = request
        .path
        .split('/')
        .filter(|part| !part.is_empty())
        .skip(1)
        .collect();
    let mut world = shared.world();
    let refused = |message: String| Answer::json(400, &json!({ "message": message }));
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
        ("GET", ["workspaces"]) => {
            let all: Vec<Json> = world
                .now
                .workspaces
                .values()
                .map(|workspace| Json::Object(workspace.fields.clone()))
                .collect();
            Answer::json(200, &Json::from(all))
        }
        ("PATCH", ["workspaces", id]) => match (id.parse(), request.json()) {
            (Ok(id), Json::Object(mut fields)) => {
                let workspace = world.workspace(id);
                if let Some(Json::Bool(running)) = fields.remove("has_running_compute") {
                    workspace.has_running_compute = running;
                }
                workspace.fields.extend(fields);
                Answer::json(200, &Json::Object(workspace.fields.clone()))
            }
            _ => refused("expected a number in the path and an object in the body".to_owned()),
        },
        ("DELETE", ["workspaces", id]) => {
            let removed = id
                .parse()
                .ok()
                .and_then(|id: u64| world.now.workspaces.remove(&id));
            Answer::json(if removed.is_some() { 200 } else { 404 }, &json!({}))
        }
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
