//! The report as SARIF 2.1.0, which code scanning takes.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::report::{Level, Report, ReviewFinding};

/// Where the form is described.
const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Irreversible | Level::Warning => "warning",
        Level::Note => "note",
    }
}

/// Where a resource stands: its file and the line on which it begins, counted from 1.
pub type Place = (String, u32);

/// The report as SARIF. A plan does not say in which file a resource stands: `place_of` says it for an address, and what it does
/// not know stands in the first line of `otherwise`.
pub fn sarif(report: &Report, place_of: &dyn Fn(&str) -> Option<Place>, otherwise: &str) -> String {
    let mut rules: BTreeMap<&str, Json> = BTreeMap::new();
    for finding in &report.findings {
        rules.entry(finding.id.name()).or_insert_with(|| {
            json!({
                "id": finding.id,
                "shortDescription": { "text": finding.id.title() },
                "defaultConfiguration": { "level": level(finding.level) },
                "properties": { "tags": ["encryption", finding.level.name()] },
            })
        });
    }
    let results: Vec<Json> = report
        .findings
        .iter()
        .map(|finding| {
            result(
                finding,
                place_of(&finding.address).unwrap_or_else(|| (otherwise.to_owned(), 1)),
            )
        })
        .collect();
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "dbxcmk review",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules.into_values().collect::<Vec<_>>(),
            } },
            "results": results,
            "properties": { "verdict": report.verdict },
        }],
    });
    let mut text = serde_json::to_string_pretty(&log).unwrap_or_default();
    text.push('\n');
    text
}

fn result(finding: &ReviewFinding, (uri, line): Place) -> Json {
    let mut message = format!("{}. {}", finding.summary, finding.detail);
    if !finding.remedy.is_empty() {
        message.push_str("\n\n");
        message.push_str(&finding.remedy);
    }
    json!({
        "ruleId": finding.id,
        "level": level(finding.level),
        "message": { "text": message },
        "locations": [{
            "physicalLocation": { "artifactLocation": { "uri": uri }, "region": { "startLine": line } },
            "logicalLocations": [{ "fullyQualifiedName": finding.address, "kind": "resource" }],
        }],
        "partialFingerprints": { "resource": format!("{}:{}", finding.id, finding.address) },
    })
}
