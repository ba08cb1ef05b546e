//! What an attach reports when it fails, or is not over yet.

use std::time::Duration;

use time::format_description::well_known::Rfc3339;

use super::{Orders, Platform};
use crate::preflight::capitalized;
use crate::provider::diagnose::in_hcl;
use crate::provider::keys::KeyCheck;
use crate::vocabulary::{Key, KeyState};
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::duration::spell;

/// Why the provider stopped waiting without the wanted value.
pub(super) enum End {
    /// The workspace showed the keys and lost them, or the update ended without them.
    Undone,
    /// The workspace has a status that never becomes RUNNING by itself.
    Failed,
    /// Databricks can no longer use this key, which is in this state.
    KeyLost(Box<KeyCheck>, KeyState),
    /// The access rules of these keys no longer let Databricks use them.
    AccessLost(Vec<Key>),
    /// Time is over.
    TimedOut,
    /// Terraform wants to stop.
    Stopped,
}

/// What the provider saw of a workspace until it stopped watching.
pub(super) struct Watched {
    /// Whether the workspace had the keys before, so that the provider sent nothing.
    pub had_all: bool,
    /// When the workspace had shown the keys often enough, counted from the request.
    pub arrived: Option<Duration>,
    /// When the provider stopped watching, counted from the request.
    pub at: Duration,
}

/// The workspace has the keys, and the provider does not know whether they still work.
pub(super) fn keys_unread<P: Platform>(platform: &P, unread: &[(Key, String)]) -> Diagnostic {
    let each: Vec<String> = unread
        .iter()
        .map(|(key, why)| format!("  {key}: {why}"))
        .collect();
    Diagnostic::warning(
        "The state of a key could not be read at the end of `settle_time`",
        format!(
            "{} has the keys that the configuration names. The provider could not read the state of these keys at the end of \
             `settle_time`, so it does not know whether Databricks can still use them:\n\n{}\n\nFix the cause, and run `terraform plan`: it \
             examines the keys again.",
            capitalized(&platform.name()),
            each.join("\n")
        ),
    )
    .about(platform.name())
}

/// The platform accepted the keys, and the provider cannot read what becomes of them. `had_all`: the workspace had them before, so the
/// provider sent nothing.
pub(super) fn unwatched<P: Platform>(
    platform: &P,
    errors: Diagnostics,
    had_all: bool,
) -> Diagnostics {
    let accepted = match had_all {
        true => format!(
            "When this run began, {} had the keys, so the provider sent nothing, but it could not confirm that they stay. Fix the cause and \
             apply again.",
            platform.name()
        ),
        false => format!(
            "Databricks accepted the keys for {}, but the provider could not confirm the change. Fix the cause and apply again: the provider \
         resumes waiting and does not send the request again.",
            platform.name()
        ),
    };
    let note = |error: Diagnostic| {
        let detail = format!("{accepted}\n\n{}", error.detail);
        error.with_detail(detail)
    };
    errors.into_iter().map(note).collect()
}

pub(super) fn interrupted<P: Platform>(platform: &P, left: Duration) -> Diagnostic {
    Diagnostic::warning(
        "The new key may not be in full effect yet",
        format!(
            "Databricks attached the keys to {}, but the run was interrupted {} before the end of `settle_time`. For about that long, do not \
             start clusters and do not use the DBFS API in this workspace. If Databricks reverts the change later, the next plan shows it.",
            platform.name(),
            spell(left)
        ),
    )
    .about(platform.name())
}

pub(super) fn not_attached<P: Platform>(
    platform: &P,
    now: &P::Workspace,
    end: &End,
    orders: &Orders,
    watched: &Watched,
) -> Diagnostic {
    let at = watched.at;
    let truth = platform.what_is_true(now);
    let said = says(platform, now);
    let seen = match watched.arrived.filter(|_| !watched.had_all) {
        Some(arrived) => format!(
            "It showed the new keys after {}, and shows this after {}.",
            spell(rounded(arrived)),
            spell(rounded(at))
        ),
        None => format!("It shows this after {}.", spell(rounded(at))),
    };
    let moment = doors::clock::now()
        .replace_nanosecond(0)
        .ok()
        .and_then(|now| now.format(&Rfc3339).ok())
        .unwrap_or_default();
    let seen = format!("{seen} Last seen: {moment}.");
    let (summary, advice) = summary_and_advice::<P>(end, watched);
    let (waited, usual) = match end {
        End::TimedOut => (
            format!(" The provider waited {}.", spell(orders.deadline.length())),
            platform.usual_time(now),
        ),
        _ => (String::new(), ""),
    };
    Diagnostic::error(
        summary,
        format!("{truth}\n{seen}{waited}{said}\n\n{advice}{usual}"),
    )
}

/// The one-line summary of a failed attach, and what the user does next.
fn summary_and_advice<P: Platform>(end: &End, watched: &Watched) -> (String, String) {
    match end {
        End::Undone if watched.had_all => (
            "The workspace no longer has the keys".to_owned(),
            "It had the keys when this run began, so the provider sent nothing. Another change took them away, or Databricks reverted them. If \
             the proof finds a reason now, it is shown below. Apply again to attach them."
                .to_owned(),
        ),
        End::TimedOut if watched.had_all => (
            "The workspace was not at rest in time".to_owned(),
            "It had the keys when this run began, so the provider sent nothing, but another update of the workspace is under way. Apply again \
             when it is over. To wait longer, set `timeouts`."
                .to_owned(),
        ),
        End::Stopped if watched.had_all => (
            "Waiting for the workspace was interrupted".to_owned(),
            "It had the keys when this run began, so the provider sent nothing. Apply again.".to_owned(),
        ),
        End::Undone if watched.arrived.is_none() && P::KEPT_AFTER.is_some() => (
            "The workspace is as it was before the change".to_owned(),
            "The request ended without an error, but the workspace does not have what the configuration names: the change was reverted. If the \
             proof finds a reason now, it is shown below. Fix the cause and apply again."
                .to_owned(),
        ),
        End::Undone => (
            "Databricks accepted the key, then reverted to the previous one".to_owned(),
            "Databricks reverts an update when it cannot use the key. If the proof finds a reason now, it is shown below. Fix the cause and \
             apply again."
                .to_owned(),
        ),
        End::Failed => (
            "The workspace failed while its keys were changed".to_owned(),
            "A workspace in this status does not recover by itself. The account console shows the reason. Apply again when the workspace is \
             RUNNING."
                .to_owned(),
        ),
        End::KeyLost(check, state) => (
            "A key became unusable while the workspace was taking it".to_owned(),
            format!(
                "The key {} is in the state {state}. Databricks can use a key only while it is enabled, so the workspace loses access to its \
                 data when the cached data keys expire.\n\n{}",
                check.key(),
                check.enabling(state).text(|hint| Some(in_hcl(hint)))
            ),
        ),
        End::AccessLost(keys) => {
            let names: Vec<String> = keys.iter().map(ToString::to_string).collect();
            (
                "A key lost its access rules while the workspace was taking it".to_owned(),
                format!(
                    "The access rules of {} no longer let Databricks use the key, so the workspace loses access to its data when the cached \
                     data keys expire. What the proof finds now is shown below. Restore the access, then apply again.",
                    names.join(" and ")
                ),
            )
        }
        End::TimedOut => (
            "The workspace did not show the keys in time".to_owned(),
            "Databricks accepted the request and may still carry it out. Plan again: if the workspace has the keys by then, the plan shows no \
             changes. To wait longer, set `timeouts`."
                .to_owned(),
        ),
        End::Stopped => (
            "Waiting for the workspace was interrupted".to_owned(),
            "Databricks accepted the request and carries it out without Terraform. Apply again to wait for the result.".to_owned(),
        ),
    }
}

/// Whole seconds, for people.
fn rounded(length: Duration) -> Duration {
    if length < Duration::from_secs(1) {
        Duration::from_millis(u64::try_from(length.as_millis()).unwrap_or_default())
    } else {
        Duration::from_secs(length.as_secs())
    }
}

pub(super) fn never_ready(truth: &str, orders: &Orders, reason: &str) -> Diagnostic {
    Diagnostic::error(
        "The workspace could not take the keys in time",
        format!(
            "{truth}\n\nFor {}, {reason}. No key was changed. Apply again when it is over. To wait longer, set `timeouts`.",
            spell(orders.deadline.length())
        ),
    )
    .on("workspace_id")
}

/// The proof held when the resource began, and no longer holds right before the request.
pub(super) fn no_longer_usable(truth: &str, keys: &[Key]) -> Diagnostic {
    let names: Vec<String> = keys.iter().map(ToString::to_string).collect();
    Diagnostic::error(
        "A key became unusable before the workspace took it",
        format!(
            "{truth}\n\nThe proof held when this attach began. The provider read the key again right before it sent the keys, and the proof of {} \
             no longer holds, so it sent nothing. What the proof finds now is shown below. Fix it, then apply again.",
            names.join(" and ")
        ),
    )
}

pub(super) fn stopped_before(truth: &str) -> Diagnostic {
    Diagnostic::error(
        "Waiting for the workspace was interrupted",
        format!("{truth}\n\nThis run changed no key. Apply again."),
    )
}

pub(super) fn with_wait_for_compute(diagnostic: Diagnostic, orders: &Orders) -> Diagnostic {
    let waited = if orders.wait_for_compute.is_zero() {
        "To let Terraform wait until the compute stops, set for example `wait_for_compute = \"30m\"`.".to_owned()
    } else {
        format!(
            "The provider waited {} for the compute to stop (`wait_for_compute`).",
            spell(orders.wait_for_compute)
        )
    };
    let detail = format!("{}\n\n{waited}", diagnostic.detail);
    diagnostic.with_detail(detail)
}

/// Another update has left the workspace in a status that takes no change.
pub(super) fn failed_before<P: Platform>(platform: &P, now: &P::Workspace) -> Diagnostic {
    Diagnostic::error(
        "The workspace failed before its keys were changed",
        format!(
            "{}{}\n\nAnother update of the workspace was under way, and this run changed nothing. A workspace in this status does not recover by \
             itself. The account console shows the reason. Apply again when the workspace is RUNNING.",
            platform.what_is_true(now),
            says(platform, now)
        ),
    )
}

/// What the platform says about the status of a workspace, as a paragraph.
fn says<P: Platform>(platform: &P, now: &P::Workspace) -> String {
    platform
        .status_message(now)
        .map(|message| format!("\n\nDatabricks says: \"{message}\"."))
        .unwrap_or_default()
}
