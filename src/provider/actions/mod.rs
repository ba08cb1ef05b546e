//! The actions of the kill switch (Terraform 1.14): nothing is kept in a state, so that no `destroy` and no reverted commit takes a
//! key away or gives it back.

mod disable;
mod restore;
mod schedule_deletion;

pub use disable::DisableKeyAction;
pub use restore::RestoreKeyAction;
pub use schedule_deletion::ScheduleKeyDeletionAction;

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

use crate::provider::client::Client;
use crate::provider::diagnose::{Unavailable, later};
use crate::provider::kill_switch::{
    self, Consent, Flags, Impact, KeyOperation, Options, Outcome, PATIENCE, consented, impact,
    in_words,
};
use crate::provider::resources::all_known;
use crate::vocabulary::Key;
use crate::vocabulary::WorkspaceName;
use tfplugin::action::Events;
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::deferral::Unfinished;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::schema::Attribute;

/// The IDs with which the user acknowledges the workspaces that stop.
type Acknowledgement = Attr<Vec<Attr<WorkspaceName>>>;

fn acknowledgement() -> Attribute {
    Attribute::string_set("acknowledged_workspace_ids")
        .no_null_elements()
        .required()
        .format::<WorkspaceName>("Invalid workspace ID")
        .describe(
            "IDs of exactly the workspaces that stop, and the catalogs, as `catalog/<metastore ID>/<name>`. `dbxcmk_revocation_impact` has them as \
             `acknowledgement`; an error shows the set to paste. On Azure a workspace can be named by its resource ID, too. An empty set if \
             nothing uses the key.",
        )
}

fn acknowledge_former_key() -> Attribute {
    Attribute::bool("acknowledge_former_key").describe(
        "Whether to take the key away although Databricks may still need it: after a rotation of managed services, it needs the former key \
         for 24 hours. Default: `false`.",
    )
}

/// How the actions name the attributes that the kill switch asks for before it takes a key away.
const FLAGS: Flags = Flags {
    former_key: "`acknowledge_former_key = true`",
    skip_hold: "`skip_hold = true`",
};

/// What the configuration of an action says before a key is taken away.
struct Said<'a> {
    workspaces: &'a Acknowledgement,
    former_key: &'a Attr<bool>,
    skip_hold: bool,
}

/// The key, when everything is known that an action needs; puts the action off while the provider is not configured yet.
fn key_to_plan(cx: &Context<Client>, key: Option<Key>) -> Result<Option<Key>, Unfinished> {
    let client = cx.client();
    if !client.keys().unknown().is_empty() {
        client.warn_of_unknown_clouds(cx);
        return Err(later(Diagnostics::new()));
    }
    if key.is_none() {
        client.warn_of_later_proof(cx, &[("key", true)]);
    }
    Ok(key)
}

/// What taking a key away stops, after a check that exactly that is acknowledged.
async fn check(
    cx: &Context<Client>,
    key: &Key,
    order: KeyOperation,
    said: &Said<'_>,
) -> Result<Option<Impact>, Unfinished> {
    let client = cx.client();
    // On Azure, what uses a key is in Resource Manager and not in a Databricks account.
    if !matches!(key, Key::Azure(_))
        && let Err(reason @ Unavailable::NotYetKnown(_)) = client.account().await
    {
        return Err(reason.into());
    }
    let status = kill_switch::status(client.keys(), key).await?;
    let found = impact(client, key, &status).await?;
    let Some(given) = all_known(said.workspaces) else {
        return Ok(Some(found));
    };
    if said.former_key.is_unknown() {
        return Ok(Some(found));
    }
    let given: BTreeSet<String> = given.iter().map(ToString::to_string).collect();
    let consent = Consent {
        workspaces: &given,
        former_key: said.former_key.known() == Some(&true),
        skip_hold: said.skip_hold,
    };
    let status = found.seen_in_use(status);
    consented(order, (&status, &found), consent, FLAGS, |ids| {
        let ids: Vec<String> = ids.iter().map(|id| format!("\"{id}\"")).collect();
        format!("acknowledged_workspace_ids = [{}]", ids.join(", "))
    })
    .map_err(|found| {
        let on_set = found
            .into_iter()
            .map(|one| one.on("acknowledged_workspace_ids"));
        on_set.collect::<Diagnostics>()
    })?;
    Ok(Some(found))
}

/// Shows in the plan what an action stops.
fn show_impact(cx: &Context<Client>, order: KeyOperation, found: &Impact) {
    cx.warn(Diagnostic::warning(
        match (found.count_in_words(), found.acknowledgement.len()) {
            (None, _) => "No workspace of this account stops".to_owned(),
            (Some(one), 1) => format!("{one} stops"),
            (Some(many), _) => format!("{many} stop"),
        },
        in_words(order, found),
    ));
}

/// Carries out an order, with a line for each step.
async fn execute(
    cx: &Context<Client>,
    key: &Key,
    order: KeyOperation,
    events: &Events,
) -> Result<Outcome, Diagnostics> {
    let say = |line: String| events.say(line);
    let (changed, taking) = (AtomicBool::new(false), AtomicBool::new(false));
    let options = Options {
        say: &say,
        patience: PATIENCE,
        stop: cx.stop(),
        changed: &changed,
        taking: &taking,
    };
    let outcome = kill_switch::execute(cx.client().keys(), key, order, options).await?;
    let deleted = outcome
        .deletion_date
        .as_ref()
        .map(|date| format!(", deletion on {date}"))
        .unwrap_or_default();
    events.say(format!(
        "{} is {}{deleted}{}",
        key,
        outcome.state,
        if outcome.changed {
            ""
        } else {
            " (it was so before)"
        }
    ));
    if !outcome.notes.is_empty() {
        let summary = match (order, outcome.complete, outcome.changed) {
            (_, _, false) => "The action changed nothing",
            (KeyOperation::Restore { .. }, false, _) => "The key was restored in part",
            (KeyOperation::Restore { .. }, true, _) => "The key was restored, with a restriction",
            (KeyOperation::Disable, ..) => "The key was disabled, with a restriction",
            (KeyOperation::ScheduleDeletion { .. }, ..) => {
                "The deletion of the key was scheduled, with a restriction"
            }
        };
        cx.warn(Diagnostic::warning(summary, outcome.notes.join("\n\n")));
    }
    Ok(outcome)
}
