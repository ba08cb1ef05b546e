//! Whether the data of a workspace can be read, and whether its compute runs: what a key really means to the people who work there.
//!
//! Sources: Databricks documentation of customer-managed keys (data keys are cached; "reading or writing fails at the end of the cache
//! time interval"), AWS KMS Developer Guide, "How unusable KMS keys affect data keys" (attached EBS volumes go on until they are
//! detached, and cannot be attached again).

use doors::clock::Moment;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::Shared;
use crate::account::try_configuration;

const FIELDS: [(&str, &str); 2] = [
    (
        "MANAGED_SERVICES",
        "managed_services_customer_managed_key_id",
    ),
    ("STORAGE", "storage_customer_managed_key_id"),
];

/// The key configuration of a workspace for a use case, and whether clusters' volumes are encrypted with its key.
fn key(shared: &Shared, id: u64, field: &str) -> Option<(Json, bool)> {
    let world = shared.world();
    let workspace = world.now.workspaces.get(&id)?;
    // An update that is over stays here until a client reads it.
    let landed = workspace
        .update
        .as_ref()
        .filter(|update| update.stays && update.is_over(shared.options.wait))
        .and_then(|update| update.fields.get(field));
    let attached = landed.or_else(|| workspace.fields.get(field))?.as_str()?;
    let configuration = world.now.configurations.get(attached)?;
    let reused = configuration
        .pointer("/aws_key_info/reuse_key_for_cluster_volumes")
        .and_then(Json::as_bool)
        .unwrap_or(true);
    Some((configuration.clone(), reused))
}

/// What works in a workspace now; `None` when there is no such workspace.
pub async fn of_workspace(shared: &Arc<Shared>, id: u64) -> Option<Json> {
    let running = shared.world().now.workspaces.get(&id)?.has_running_compute;
    let mut shown = json!({ "workspace_id": id });
    let mut starts = Ok(());
    for (case, field) in FIELDS {
        let Some((configuration, reused)) = key(shared, id, field) else {
            continue;
        };
        let tried = try_configuration(shared, id, &configuration, case).await;
        let state = {
            let mut world = shared.world();
            let workspace = world.workspace(id);
            match &tried {
                Ok(()) => {
                    workspace.without_key_since.remove(case);
                    json!({ "readable": true, "from_cache": false })
                }
                Err(why) => {
                    let since = *workspace
                        .without_key_since
                        .entry(case.to_owned())
                        .or_insert_with(Moment::now);
                    let cached = since.elapsed() < shared.options.cache;
                    json!({ "readable": cached, "from_cache": cached, "why": why })
                }
            }
        };
        if let Some(object) = shown.as_object_mut() {
            object.insert(case.to_owned(), state);
        }
        if case == "STORAGE" && reused {
            starts = tried;
        }
    }
    if let Some(object) = shown.as_object_mut() {
        object.insert("running_clusters_go_on".to_owned(), Json::from(running));
        object.insert("new_clusters_start".to_owned(), Json::from(starts.is_ok()));
    }
    Some(shown)
}
