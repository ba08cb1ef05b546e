//! Workspaces of the account, and the attach of keys to them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use doors::clock::Moment;

use serde_json::{Map, Value as Json};

use crate::faults::Effect;
use crate::http::{Answer, Request};
use crate::trial::try_key;
use crate::world::{Objects, Update, Workspace};
use crate::{Shared, gcp};

/// A use case, and the field of a workspace that holds the configuration for it.
pub(super) const MANAGED_SERVICES: (&str, &str) = (
    "MANAGED_SERVICES",
    "managed_services_customer_managed_key_id",
);
/// The same for storage.
pub(super) const STORAGE: (&str, &str) = ("STORAGE", "storage_customer_managed_key_id");

pub(super) fn no_workspace(id: &str) -> Answer {
    Answer::refusal(
        404,
        "RESOURCE_DOES_NOT_EXIST",
        &format!("Workspace {id} does not exist."),
    )
}

/// What the API shows of a workspace whose update may be on its way.
pub(super) fn shown(workspace: &Workspace, wait: Duration) -> Json {
    let mut fields = workspace.fields.clone();
    let has_own_network = workspace.has_own_network();
    if let Some(update) = &workspace.update {
        let is_shown = if has_own_network {
            // The status stays RUNNING. A doomed update shows for a while before Databricks silently reverts it.
            update.is_over(wait / 2)
        } else if update.is_over(wait) {
            true
        } else {
            fields.insert("workspace_status".to_owned(), Json::from("PROVISIONING"));
            fields.insert(
                "workspace_status_message".to_owned(),
                Json::from("Workspace is being updated."),
            );
            false
        };
        if is_shown && !update.is_undone(wait) {
            update.shown.fetch_add(1, Ordering::Relaxed);
            fields.extend(update.fields.clone());
        }
    }
    Json::Object(fields)
}

/// Effect: an update that takes `wait` and has been on its way for as long is over.
pub(crate) fn finish_update(workspace: &mut Workspace, wait: Duration) {
    if let Some(update) = workspace
        .update
        .take_if(|update| update.is_undone(wait) || (update.stays && update.is_over(wait)))
        && update.stays
    {
        workspace.fields.extend(update.fields);
    }
}

/// Whether the key of a configuration can be used for a workspace, whatever its cloud.
///
/// # Errors
/// Why not.
pub async fn try_configuration(
    shared: &Arc<Shared>,
    workspace: u64,
    configuration: &Json,
    case: &str,
) -> Result<(), String> {
    if configuration.get("gcp_key_info").is_some() {
        let project = shared
            .world()
            .now
            .workspaces
            .get(&workspace)
            .and_then(|one| {
                let container = one.fields.get("cloud_resource_container")?;
                Some(container.pointer("/gcp/project_id")?.as_str()?.to_owned())
            });
        return gcp::try_key(shared, configuration, case, project.as_deref());
    }
    let arn = configuration
        .pointer("/aws_key_info/key_arn")
        .and_then(Json::as_str)
        .unwrap_or_default();
    try_key(shared, arn, case).await
}

/// Refuses an update of a workspace that is on its way, does not run, or has no tier for keys.
fn takes_updates(workspace: &Workspace) -> Result<(), Answer> {
    if workspace.update.is_some() {
        let why = "Workspace is already being updated.";
        return Err(Answer::refusal(409, "RESOURCE_CONFLICT", why));
    }
    let text = |name: &str| {
        let field = workspace.fields.get(name).and_then(Json::as_str);
        field.unwrap_or_default()
    };
    let status = text("workspace_status");
    if status != "RUNNING" {
        let why = format!("Workspace is {status}.");
        return Err(Answer::refusal(400, "INVALID_STATE", &why));
    }
    if text("pricing_tier") != "ENTERPRISE" {
        return Err(Answer::refusal(
            403,
            "FEATURE_DISABLED",
            "Customer-managed keys are not available for the pricing tier of this workspace.",
        ));
    }
    Ok(())
}

/// The configuration that a workspace is to get for a use case, if the account takes it.
fn attachable(
    now: &Objects,
    workspace: &Workspace,
    (case, name): (&str, &str),
    wanted: &str,
) -> Result<Json, Answer> {
    let refused = |code, why: &str| Err(Answer::refusal(400, code, why));
    if case == STORAGE.0 && workspace.fields.get(name).is_some_and(Json::is_string) {
        return refused(
            "INVALID_STATE",
            "You cannot replace an existing key configuration for workspace storage. This field is only updatable for workspaces \
             without a key configuration.",
        );
    }
    let Some(configuration) = now.configurations.get(wanted) else {
        return Err(Answer::plain_refusal(
            400,
            "MALFORMED_REQUEST",
            &format!("Customer managed key {wanted} does not exist."),
        ));
    };
    let cases = configuration.get("use_cases").and_then(Json::as_array);
    if !cases.is_some_and(|cases| cases.iter().any(|one| one == case)) {
        let why = format!("Customer managed key {wanted} does not have the use case {case}.");
        return refused("INVALID_PARAMETER_VALUE", &why);
    }
    let is_google = configuration.get("gcp_key_info").is_some();
    let cloud = workspace.fields.get("cloud");
    if is_google != cloud.is_some_and(|cloud| cloud == "gcp") {
        let why = "The key must be in the same cloud as the workspace.";
        return refused("INVALID_PARAMETER_VALUE", why);
    }
    let of_google = configuration
        .pointer("/gcp_key_info/kms_key_id")
        .and_then(Json::as_str)
        .and_then(|name| name.split('/').nth(3))
        .map(Json::from);
    let (region, own) = match is_google {
        true => (of_google.as_ref(), workspace.fields.get("location")),
        false => (
            configuration.pointer("/aws_key_info/key_region"),
            workspace.fields.get("aws_region"),
        ),
    };
    if region != own {
        let why = "The key must be in the same region as the workspace.";
        return refused("INVALID_PARAMETER_VALUE", why);
    }
    Ok(configuration.clone())
}

pub(super) async fn update(
    shared: &Arc<Shared>,
    request: &Request,
    effect: Option<&Effect>,
    id: &str,
) -> Answer {
    let wait = shared.options.wait;
    let Json::Object(body) = request.json() else {
        return Answer::plain_refusal(400, "MALFORMED_REQUEST", "The body is not an object.");
    };
    let Ok(number) = id.parse::<u64>() else {
        return no_workspace(id);
    };
    let mut changes = Map::new();
    let mut trials = Vec::new();
    {
        let mut world = shared.world();
        let Some(workspace) = world.now.workspaces.get_mut(&number) else {
            return no_workspace(id);
        };
        finish_update(workspace, wait);
        let workspace = workspace.clone();
        if let Err(refused) = takes_updates(&workspace) {
            return refused;
        }
        for (case, name) in [MANAGED_SERVICES, STORAGE] {
            let wanted = body.get(name).and_then(Json::as_str);
            let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) else {
                continue;
            };
            if workspace.fields.get(name).and_then(Json::as_str) == Some(wanted) {
                continue;
            }
            match attachable(&world.now, &workspace, (case, name), wanted) {
                Ok(configuration) => trials.push((configuration, case)),
                Err(refused) => return refused,
            }
            changes.insert(name.to_owned(), Json::from(wanted));
        }
        if changes.is_empty() {
            return Answer::json(200, &shown(&workspace, wait));
        }
        if workspace.has_running_compute {
            return Answer::refusal(
                400,
                "INVALID_STATE",
                "Please terminate all pool & cluster EC2 instances in your workspace subnets before attempting to update the workspace.",
            );
        }
    }
    let mut stays = !matches!(effect, Some(Effect::Revert | Effect::RevertAfter { .. }));
    let undone_after = match effect {
        Some(Effect::RevertAfter { milliseconds }) => Duration::from_millis(*milliseconds),
        _ => Duration::ZERO,
    };
    for (configuration, case) in trials {
        if let Err(reason) = try_configuration(shared, number, &configuration, case).await {
            if case == MANAGED_SERVICES.0 {
                return Answer::refusal(
                    400,
                    "INVALID_PARAMETER_VALUE",
                    &format!("Databricks could not use the key: {reason}"),
                );
            }
            stays = false;
        }
    }
    let mut world = shared.world();
    world.about_to_write();
    let Some(workspace) = world.now.workspaces.get_mut(&number) else {
        return no_workspace(id);
    };
    let hangs = matches!(effect, Some(Effect::Hang));
    workspace.update = Some(Update {
        fields: changes,
        began: Moment::now(),
        stays,
        undone_after,
        shown: Arc::default(),
        hangs,
    });
    Answer::json(200, &shown(workspace, wait))
}
