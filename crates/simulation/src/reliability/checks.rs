//! What holds after each failure, and once the next run has made it good. It is read from the services themselves.

use dbxcmk_sandbox::gcp;
use dbxcmk_sandbox::world::World;
use kms_policy::Document;
use serde_json::Value as Json;
use tfplugin::testing::terraform::Options;

use super::play::{Ran, Scene};
use crate::history::Cloud;
use crate::platform::UPDATE;

/// Another writer's statement in the key policy: it must be there in the end, exactly as it was written.
pub(super) const FOREIGN: &str = r#"{ "Sid" : "Nightly",  "Effect":"Allow", "Principal":{"AWS":"123456789012"}, "Action":["kms:Decrypt"], "Resource":"*" }"#;
/// The AWS account of Databricks, which the statements of the provider name.
const DATABRICKS: &str = "414351767826";

const POLICY: &str = "dbxcmk_key_policy.lakehouse";
const CONFIGURATION: &str = "dbxcmk_key_configuration.lakehouse";
const BINDING: &str = "dbxcmk_workspace_binding.prod";

/// The elements that are there more than once.
fn twice<T: Ord + Clone>(all: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut all: Vec<T> = all.into_iter().collect();
    all.sort();
    let pairs = all.windows(2);
    pairs
        .filter_map(|pair| match pair {
            [one, other] if one == other => Some(one.clone()),
            _ => None,
        })
        .collect()
}

/// What is there twice of who may use the key.
fn doubles(scene: &Scene) -> Vec<String> {
    scene.with(|world| match scene.cloud {
        Cloud::Aws => twice(world.now.keys.values().flat_map(|key| sids(&key.policy))),
        Cloud::Google => twice(world.now.google.policies.values().flat_map(members)),
        Cloud::Azure => twice(world.now.azure.role_assignments.values().map(|one| {
            ["scope", "roleDefinitionId", "principalId"]
                .map(|name| {
                    let value = one.pointer(&format!("/properties/{name}"));
                    value
                        .and_then(Json::as_str)
                        .unwrap_or_default()
                        .to_ascii_lowercase()
                })
                .join(" ")
        })),
    })
}

fn sids(policy: &str) -> Vec<String> {
    match Document::parse(policy) {
        Ok(document) => {
            let all = document.statements.into_iter();
            all.map(|one| one.sid.unwrap_or_default()).collect()
        }
        // Two texts for one that is not a policy: the check then reports a duplicate.
        Err(_) => vec![policy.to_owned(), policy.to_owned()],
    }
}

/// The members of a policy, each with its role and its condition.
fn members(policy: &gcp::Policy) -> Vec<String> {
    let bindings = policy.fields.get("bindings").and_then(Json::as_array);
    let mut all = Vec::new();
    for binding in bindings.into_iter().flatten() {
        let (role, condition) = (binding.get("role"), binding.get("condition"));
        let own = binding.get("members").and_then(Json::as_array);
        let own = own.into_iter().flatten();
        all.extend(own.map(|member| format!("{member} {role:?} {condition:?}")));
    }
    all
}

fn ids(world: &World) -> Vec<String> {
    world.now.configurations.keys().cloned().collect()
}

/// What holds at every moment, however a run ended.
pub(super) fn nothing_twice_nothing_lost(scene: &Scene) {
    let ids = scene.with(|world| ids(world));
    let wrong = |what: String| scene.network.wrong(what);
    if ids.len() > 1 {
        wrong(format!("a key configuration is there twice: {ids:?}"));
    }
    for one in doubles(scene) {
        wrong(format!("it is there twice: {one}"));
    }
    for lost in scene.with(|world| scene.platform.lost(world, &scene.others)) {
        wrong(format!("what is somebody else's is gone: {lost}"));
    }
    let is_touched = |world: &mut World| {
        let mut keys = world.now.keys.values();
        keys.any(|key| !key.policy.contains(FOREIGN))
    };
    if scene.with(is_touched) {
        wrong("somebody else's statement was written again".to_owned());
    }
    let state = scene.state();
    if !state.deposed.is_empty() {
        wrong(format!("something is left to destroy: {:?}", state.deposed));
    }
    for (address, object) in &state.objects {
        if object.is_tainted {
            wrong(format!("{address} is tainted and would be replaced"));
        }
        let id = object.value.get("id").as_str().unwrap_or_default();
        let is_there = scene.cloud == Cloud::Azure || ids.iter().any(|one| one == id);
        if address == CONFIGURATION && !is_there {
            wrong(format!("the state has {id}, which is not there"));
        }
    }
}

/// What holds once the next apply is over.
pub(super) async fn everything_is_there(scene: &Scene, next: &Ran) {
    nothing_twice_nothing_lost(scene);
    let wrong = |what: String| scene.network.wrong(what);
    if !next.is_done() {
        wrong(format!("the next apply failed: {next:?}"));
        return;
    }
    let state = scene.state();
    let addresses: Vec<&str> = state.objects.keys().map(String::as_str).collect();
    if addresses != [CONFIGURATION, POLICY, BINDING] {
        wrong(format!("the state has {addresses:?}"));
    }
    // What the services are still about is over then, also what they would undo.
    tokio::time::sleep(UPDATE * 2).await;
    let uses = scene.platform.uses(&scene.network.services);
    let uses = scene.network.machine.run(uses).await;
    let cases: &[&'static str] = match scene.cloud {
        Cloud::Aws | Cloud::Google => &["MANAGED_SERVICES", "STORAGE"],
        Cloud::Azure => &["MANAGED_DISKS", "MANAGED_SERVICES", "STORAGE"],
    };
    let configured = state.objects.get(CONFIGURATION);
    let id = configured
        .and_then(|one| one.value.get("id").as_str())
        .unwrap_or_default();
    for case in cases {
        if uses.get(&(0, *case)) != Some(&true) {
            wrong(format!("the workspace cannot use its key for {case}"));
        }
        if !scene.with(|world| scene.platform.has(world, (0, case), id)) {
            wrong(format!("the workspace does not have {id} for {case}"));
        }
    }
    the_storage_key_was_set_once(scene, id);
    let plan = scene.plans(&Options::default()).await;
    let is_empty = plan.plan.as_ref().is_some_and(|plan| plan.is_empty());
    if !is_empty || !plan.is_done() {
        wrong(format!("the plan after it is not empty: {plan:?}"));
    }
}

/// A storage key of the account can be set only once: whatever happened, it was never set to another one.
fn the_storage_key_was_set_once(scene: &Scene, id: &str) {
    let field = "storage_customer_managed_key_id";
    let settings: Vec<Json> = scene.with(|world| {
        let all = world.record.iter();
        let sent = all.filter(|one| one.operation.starts_with("PATCH ") && one.status == 200);
        sent.filter_map(|one| one.body.get(field).cloned())
            .collect()
    });
    let mut all = settings.iter().filter(|one| !one.is_null());
    if scene.cloud != Cloud::Azure && all.any(|one| one.as_str() != Some(id)) {
        scene
            .network
            .wrong(format!("the storage key was set to {settings:?}"));
    }
}

/// What holds once the next destroy is over.
pub(super) fn nothing_is_left(scene: &Scene, next: &Ran) {
    let wrong = |what: String| scene.network.wrong(what);
    if !next.is_done() {
        wrong(format!("the next destroy failed: {next:?}"));
    }
    let left = scene.with(|world| ids(world));
    if !left.is_empty() {
        wrong(format!("a key configuration is left: {left:?}"));
    }
    if scene.state() != tfplugin::testing::terraform::State::default() {
        wrong("something is left in the state".to_owned());
    }
    for lost in scene.with(|world| scene.platform.lost(world, &scene.others)) {
        wrong(format!("what is somebody else's is gone: {lost}"));
    }
    let policies: Vec<String> = scene.with(|world| {
        let keys = world.now.keys.values();
        keys.map(|key| key.policy.clone()).collect()
    });
    for policy in policies {
        if !policy.contains(FOREIGN) || policy.contains(DATABRICKS) {
            wrong(format!("the key policy is {policy}"));
        }
    }
}
