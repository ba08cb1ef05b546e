//! The report for people and for machines. Names in it come from outside, so each format escapes them in its own way.
//!
//! What can be large is written to a sink; what is bounded is a text.

mod csv;
mod html;
mod json;
mod markdown;
mod ocsf;
mod openmetrics;
mod sarif;
mod text;

pub use csv::{csv_data, csv_findings};
pub use html::html;
pub use json::json;
pub use markdown::{LARGEST_MARKDOWN, markdown};
pub use ocsf::ocsf;
pub use openmetrics::openmetrics;
pub use sarif::{Places, sarif};
pub use text::{Look, text};

use vocabulary::Cloud;

/// What the tool is called where a format asks for it.
const TOOL: &str = "dbxcmk audit";

/// How many lines a list has in a format for people, where a program has all of them.
const MOST: usize = 20;

/// What people call a cloud of a report.
fn cloud_in_words(cloud: &str) -> String {
    Cloud::from(cloud).in_words().to_owned()
}

/// What a report is about, in words.
fn about(run: &super::report::AuditRun) -> String {
    let cloud = cloud_in_words(&run.cloud);
    match &run.account_id {
        Some(id) => format!("Databricks account {id} on {cloud}"),
        None => format!("Databricks workspaces on {cloud}"),
    }
}

/// Which workspaces were judged, in words.
fn scope(report: &super::report::AuditReport) -> String {
    let (run, counts) = (&report.run, &report.counts);
    let patterns = |patterns: &[String]| patterns.join(", ");
    let mut parts = vec![format!(
        "{} of {} workspaces judged",
        counts.judged, counts.workspaces
    )];
    for (word, all) in [
        ("in scope", &run.scope.workspaces),
        ("excluded", &run.scope.exclude),
        ("only", &run.scope.only),
    ] {
        if !all.is_empty() {
            parts.push(format!("{word}: {}", patterns(all)));
        }
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests;
