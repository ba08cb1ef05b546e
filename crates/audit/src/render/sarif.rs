//! The report as SARIF 2.1.0, as code scanning takes it: each result has a place, since one without makes GitHub refuse the whole file.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use serde_json::{Value as Json, json};

use super::TOOL;
use crate::catalog::{NOT_READ, meaning};
use crate::changes::finding_of;
use crate::report::{AuditFinding, AuditReport, ChangeKind, Gravity, NotRead};
use crate::subject::AuditSubject;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// How many results GitHub takes in a run. Source: GitHub documentation, "SARIF support for code scanning".
const LARGEST: usize = 25_000;

/// Where the results stand.
pub struct Places<'a> {
    /// The file and the line of the block that manages a subject, where one is known.
    pub of: &'a dyn Fn(&AuditSubject) -> Option<(String, u32)>,
    /// The file for all others: the policy file.
    pub otherwise: &'a str,
}

fn level(gravity: Gravity) -> &'static str {
    gravity.word()
}

/// What GitHub sorts by; the scale is that of CVSS.
fn score(gravity: Gravity) -> &'static str {
    match gravity {
        Gravity::Error => "9.0",
        Gravity::Warning => "5.0",
        Gravity::Note => "2.0",
    }
}

fn rule(id: &str, gravity: Gravity, controls: &crate::report::Controls) -> Json {
    let meaning = meaning(id);
    let title = meaning.map_or(id, |one| one.title);
    let text = meaning.map_or(id, |one| one.text);
    let mut tags = vec!["encryption".to_owned(), "security".to_owned()];
    for (standard, all) in controls {
        tags.extend(all.iter().map(|one| format!("{standard} {one}")));
    }
    json!({
        "id": id,
        "name": id,
        "shortDescription": { "text": title },
        "fullDescription": { "text": text.replace('`', "") },
        "help": { "text": text.replace('`', ""), "markdown": text },
        "defaultConfiguration": { "level": level(gravity) },
        "properties": { "tags": tags, "security-severity": score(gravity) },
    })
}

struct Shown<'a> {
    id: &'a str,
    level: &'static str,
    text: String,
    subject: &'a str,
    uid: String,
}

fn located(one: &Shown<'_>, place: (String, u32)) -> Json {
    let (uri, line) = place;
    json!({
        "ruleId": one.id,
        "level": one.level,
        "message": { "text": one.text },
        "locations": [{
            "physicalLocation": { "artifactLocation": { "uri": uri }, "region": { "startLine": line } },
            "logicalLocations": [{ "fullyQualifiedName": one.subject, "kind": "resource" }],
        }],
        "partialFingerprints": { "uid/v1": one.uid },
    })
}

fn of_finding(one: &AuditFinding, places: &Places<'_>) -> Json {
    let parts = [one.title.as_str(), &one.found, &one.why, &one.remedy];
    let parts: Vec<&str> = parts.into_iter().filter(|text| !text.is_empty()).collect();
    let shown = Shown {
        id: &one.id,
        level: level(one.severity),
        text: parts.join("\n\n"),
        subject: one.subject.as_str(),
        uid: one.uid.clone(),
    };
    let place = (places.of)(&one.subject).unwrap_or_else(|| (places.otherwise.to_owned(), 1));
    let mut result = located(&shown, place);
    if let (Some(accepted), Some(object)) = (&one.exception, result.as_object_mut()) {
        let justification = format!(
            "{} (owner {}, until {})",
            accepted.reason, accepted.owner, accepted.expires
        );
        object.insert(
            "suppressions".to_owned(),
            json!([{ "kind": "external", "status": "accepted", "justification": justification }]),
        );
    }
    result
}

fn of_gap(one: &NotRead, places: &Places<'_>) -> Json {
    let permission = one
        .permission
        .as_ref()
        .map(|permission| format!("\n\nMissing: {permission}."))
        .unwrap_or_default();
    let (subject, _) = one.what.rsplit_once(": ").unwrap_or((&one.what, ""));
    let shown = Shown {
        id: NOT_READ,
        level: level(Gravity::Warning),
        text: format!(
            "Not read: {}\n\n{}{permission}\n\nNot known because of it: {}",
            one.what, one.why, one.leaves_open
        ),
        subject,
        uid: format!("{NOT_READ}/{}", one.what),
    };
    let place = AuditSubject::parse(subject).and_then(|subject| (places.of)(&subject));
    located(
        &shown,
        place.unwrap_or_else(|| (places.otherwise.to_owned(), 1)),
    )
}

/// All results: errors first, then what was not read, which must not be the first that is cut off, and the rest.
fn results(report: &AuditReport, places: &Places<'_>) -> Vec<Json> {
    let new: BTreeSet<String> = report
        .changes
        .iter()
        .filter(|one| one.kind == ChangeKind::FindingNew)
        .filter_map(|one| Some(format!("{}/{}", finding_of(one)?, one.subject)))
        .collect();
    let compared = |mut result: Json, is_new: bool| {
        if let (Some(_), Some(object)) = (&report.run.baseline, result.as_object_mut()) {
            let state = match is_new {
                true => "new",
                false => "unchanged",
            };
            object.insert("baselineState".to_owned(), state.into());
        }
        result
    };
    let (errors, rest): (Vec<&AuditFinding>, Vec<&AuditFinding>) = report
        .findings
        .iter()
        .partition(|one| one.severity == Gravity::Error);
    let shown = |one: &AuditFinding| compared(of_finding(one, places), new.contains(&one.uid));
    let gaps = report.not_read.iter();
    let mut all: Vec<Json> = errors.into_iter().map(shown).collect();
    all.extend(gaps.map(|one| compared(of_gap(one, places), false)));
    all.extend(rest.into_iter().map(shown));
    all
}

/// The rules that the results name.
fn rules(report: &AuditReport) -> Vec<Json> {
    let mut rules: BTreeMap<&str, Json> = BTreeMap::new();
    for one in &report.findings {
        rules
            .entry(&one.id)
            .or_insert_with(|| rule(&one.id, one.severity, &one.controls));
    }
    if !report.not_read.is_empty() {
        let gap = rule(NOT_READ, Gravity::Warning, &Default::default());
        rules.insert(NOT_READ, gap);
    }
    rules.into_values().collect()
}

/// The report as SARIF. What GitHub would not take is left out, and said.
///
/// # Errors
/// When it cannot be written.
pub fn sarif(report: &AuditReport, places: &Places<'_>, to: &mut dyn Write) -> io::Result<()> {
    let mut results = results(report, places);
    let notification = |text: String| json!({ "level": "warning", "message": { "text": text } });
    let mut notifications = Vec::new();
    if results.len() > LARGEST {
        let left_out = results.len() - LARGEST;
        notifications.push(notification(format!(
            "{left_out} results are left out, because code scanning takes {LARGEST}. The report in JSON has all of them."
        )));
        results.truncate(LARGEST);
    }
    if !report.run.complete {
        notifications.push(notification(format!(
            "{} things could not be read, so this is not everything.",
            report.not_read.len()
        )));
    }
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": TOOL,
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules(report),
            } },
            "automationDetails": { "id": "dbxcmk-audit/" },
            "invocations": [{
                "executionSuccessful": true,
                "startTimeUtc": report.run.time,
                "toolExecutionNotifications": notifications,
            }],
            "results": results,
            "columnKind": "unicodeCodePoints",
        }],
    });
    serde_json::to_writer_pretty(&mut *to, &log)?;
    to.write_all(b"\n")
}
