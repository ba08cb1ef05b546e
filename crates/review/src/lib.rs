//! A plan in, a report for the person who reviews it out: what happens to whose encryption.
//!
//! Pure: the plan is the JSON of `terraform show -json`, and the review asks no service. The same plan gives the same report.
//!
//! - `plan`: the changes, typed as far as they matter here; the reader masks sensitive values.
//! - `links`: which key is under which configuration, and which configuration under which workspace, by value where it is
//!   known and by reference where it is not.
//! - `kinds`: the types that matter, and the forms that their attributes must have.
//! - `settings`: how the provider is configured, as far as a plan shows it.
//! - `rules`: what a person should know, one file for each provider whose resources matter.
//! - `report`: what the rules fill. `render`: the report as Markdown, text, JSON and SARIF.

#![warn(clippy::disallowed_methods)]
#![cfg_attr(test, allow(clippy::too_many_lines, reason = "tables of cases"))]

mod aws;
mod azure;
mod catalog;
mod google;
mod kinds;
mod links;
mod plan;
mod render;
mod report;
mod rules;
mod settings;
mod shape;

pub use catalog::Rule;
pub use kinds::{ResourceKind, kind};
pub use plan::{Plan, PlanError, without_indexes};
pub use render::{LARGEST_COMMENT, Place, json, markdown, sarif, text};
pub use report::{Level, Report, ReviewFinding};
pub use settings::AWS_SETTINGS;

use links::Links;

/// Reviews a plan.
///
/// # Errors
/// When the text is not a plan of `terraform show -json`.
pub fn review(text: &str) -> Result<Report, PlanError> {
    let plan = Plan::read(text)?;
    let links = Links::of(&plan);
    // Names come from a plan, and a terminal obeys control characters.
    Ok(rules::apply(&plan, &links).printable())
}

#[cfg(test)]
mod tests;
