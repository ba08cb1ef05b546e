//! What stops, for people.

use std::fmt::Write as _;

use super::{Impact, Order};

/// What an order stops, in words.
pub fn in_words(order: Order, found: &Impact) -> String {
    let mut text = format!("{} is {}.", found.key, found.state);
    let _ = match order {
        Order::Disable => write!(
            text,
            " This disables it. It can be restored at any time (`key restore`)."
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
        let _ = write!(
            text,
            "\n\nA workspace got another managed services key in the last 24 hours. If this key was its former one, Databricks needs this key \
             until {until} at least."
        );
    }
    if !found.not_visible.is_empty() {
        text.push_str("\n\nNot visible:");
        for one in &found.not_visible {
            let _ = write!(text, "\n  - {}: {}", one.what, one.why);
        }
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
