//! After a rotation of managed services, Databricks needs the former key for 24 hours. When that was stands beside the state of the binding,
//! often there alone. Whichever comes last in a walk, that state or a plan which takes permissions on the former key away, refuses it.

use serde::{Deserialize, Serialize};

use super::remembered;
use crate::preflight::Stage;
use crate::provider::client::Client;
use crate::provider::timestamps::{self, now_in_milliseconds};
use tfplugin::context::Context;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};

/// Under which name the last rotation of managed services is remembered beside the state.
const ROTATED: &str = "rotated";

/// The last rotation of managed services.
#[derive(Debug, Serialize, Deserialize)]
struct Rotation {
    /// The key that the workspace had before.
    key: String,
    /// When, in milliseconds since 1970.
    at: i64,
}

/// Remembers the key that a rotation has taken from a workspace.
pub(super) fn remember_former(cx: &Context<Client>, workspace: &str, key: String) {
    let at = now_in_milliseconds();
    let rotation = Rotation {
        key: key.clone(),
        at,
    };
    cx.set_private(ROTATED, &rotation);
    cx.client().run().key_was_rotated_away(key, workspace, at);
}

/// Tells the run what the state of a binding says of its last rotation.
///
/// # Errors
/// When a plan of this run has taken permissions on the former key away already.
pub(super) fn recall_former(cx: &Context<Client>, workspace: &str) -> Result<(), Diagnostics> {
    let binding = format!("the binding of {workspace}");
    let follows = "It names the key that the workspace had before, which Databricks needs for 24 hours: keep access to it that long.";
    let Some(Rotation { key, at }) = remembered(cx, ROTATED, binding, follows) else {
        return Ok(());
    };
    let run = cx.client().run();
    run.key_was_rotated_away(key.clone(), workspace, at);
    match run.is_taken_away(&key) {
        true => refuse(cx, &key, Some(AT_THE_BINDING)),
        false => Ok(()),
    }
}

/// Refuses to take permissions on a key away that the state of a binding names as the former one. Where no state has come that does, one that
/// comes later in the same plan refuses it.
///
/// # Errors
/// When the key is still needed.
pub(super) fn refuse_to_take_former(
    cx: &Context<Client>,
    key: &str,
    stage: Stage,
    is_said: bool,
) -> Result<(), Diagnostics> {
    if stage == Stage::Plan {
        cx.client().run().takes_away(key);
    }
    refuse(cx, key, (!is_said).then_some(AT_THE_POLICY))
}

/// The way out, where the resource that takes the permissions away is the one that is refused.
const AT_THE_POLICY: &str = "To remove the permissions now all the same, set `force_destroy = true` in the `dbxcmk_key_policy` of this key (put its \
     block back if it is gone), apply that, and remove it afterwards.";
/// The way out, where the binding is refused that remembers the rotation.
const AT_THE_BINDING: &str = "The `dbxcmk_key_policy` of that key is what this plan removes or changes, not this binding. Keep it in the configuration \
     until then. To remove the permissions now all the same, set `force_destroy = true` in that `dbxcmk_key_policy` (put its block back if it is gone), \
     apply that, and remove it afterwards.";

fn refuse(cx: &Context<Client>, key: &str, way_out: Option<&str>) -> Result<(), Diagnostics> {
    let run = cx.client().run();
    let until = run.needed_until(key, now_in_milliseconds());
    let Some(until) = until.and_then(timestamps::until) else {
        return Ok(());
    };
    if !run.is_first_report(format!("former key {key}")) {
        return Ok(());
    }
    let advice = match way_out {
        Some(way_out) => format!("Apply this change after {until}. {way_out}"),
        None => format!("That is until {until}."),
    };
    let users = run.former_users(key, now_in_milliseconds()).into_iter();
    let names: Vec<String> = users.map(|(workspace, _)| workspace).collect();
    Err(Diagnostic::error(
        "Databricks still needs the former key",
        format!(
            "This plan takes permissions on {key} away. It was the managed services key of the workspace {} until less than 24 hours ago, and \
             Databricks needs it for 24 hours.\n\n{advice}",
            names.join(" and of ")
        ),
    )
    .into())
}
