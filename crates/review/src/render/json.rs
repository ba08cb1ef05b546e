//! The report as JSON; its schema is docs/schemas/review.schema.json.

use crate::report::Report;

/// Renders the report for programs; the fields are those of [`Report`].
pub fn json(report: &Report) -> String {
    // A report has nothing that JSON has no form for.
    let mut text = serde_json::to_string_pretty(report).unwrap_or_default();
    text.push('\n');
    text
}
