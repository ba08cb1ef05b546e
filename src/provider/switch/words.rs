//! What stops, for people.

use std::fmt::Write as _;

use super::{Impact, Order, VersionStatus};

/// What an order stops, in words.
pub fn in_words(order: Order, found: &Impact) -> String {
    let mut text = format!("{} is {}.", found.key, found.state);
    let enabled = found.versions.iter().filter(|one| one.is_enabled()).count();
    let is_off = match found.versions.is_empty() {
        true => found.state != "Enabled",
        false => enabled == 0,
    };
    let _ = match order {
        Order::Disable if is_off => {
            write!(text, " It cannot be used now, and this changes nothing.")
        }
        Order::Disable if found.versions.is_empty() => write!(
            text,
            " This disables it. It can be restored at any time (`key restore`)."
        ),
        Order::Disable => write!(
            text,
            " This disables every enabled version ({enabled} of {}). They can be restored at any time (`key restore`).",
            found.versions.len()
        ),
        Order::ScheduleDeletion { days } => write!(
            text,
            " This schedules its deletion{}. Until then it can be restored (`key restore`); after that, everything that was \
             encrypted with it is lost permanently.",
            days.map(|days| format!(" in {days} days"))
                .unwrap_or_default()
        ),
        Order::Restore { .. } => Ok(()),
    };
    for one in &found.workspaces {
        let region = one
            .region
            .as_ref()
            .map(|region| format!(", {region}"))
            .unwrap_or_default();
        let _ = write!(
            text,
            "\n\nWorkspace {} (\"{}\"{region}, {}) uses the key for {}:\n  - data that stops: {}\n  - compute that stops: {}",
            one.workspace_id,
            one.name,
            one.status,
            one.use_cases.join(", "),
            listed(&one.data_that_stops),
            listed(&one.compute_that_stops),
        );
        for going_on in &one.goes_on {
            let _ = write!(
                text,
                "\n  - goes on for a while: {}, until {}",
                going_on.what, going_on.until
            );
        }
    }
    if let Some(until) = &found.needed_until {
        let _ = write!(text, "\n\n{}", former_key(until));
    }
    if !found.not_visible.is_empty() {
        text.push_str("\n\nNot visible:");
        for one in &found.not_visible {
            let _ = write!(text, "\n  - {}: {}", one.what, one.why);
        }
    }
    text
}

/// What a rotation means for the former key.
pub fn former_key(until: &str) -> String {
    format!(
        "A workspace got another managed services key in the last 24 hours. If this key was its former one, Databricks needs this key until \
         {until} at least."
    )
}

/// A version in one line.
pub fn version_in_words(one: &VersionStatus) -> String {
    let mut text = format!("{} {}", one.version, one.state);
    if let Some(date) = &one.deletion_date {
        let _ = write!(text, ", will be destroyed on {date}");
    }
    if let Some(since) = &one.disabled_since {
        let _ = write!(text, ", disabled by this provider on {since}");
    }
    if one.is_current {
        text.push_str(", encrypts new data");
    }
    if !one.used_by.is_empty() {
        let _ = write!(text, ", used by workspace {}", one.used_by.join(", "));
    }
    text
}

fn listed(all: &[String]) -> String {
    if all.is_empty() {
        "none".to_owned()
    } else {
        all.join("; ")
    }
}
