//! The numbers of a report as OpenMetrics 1.0, for the textfile collector.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::report::AuditReport;

/// A label: backslash, quote and line feed are escaped. Source: OpenMetrics 1.0, "Escaping".
fn label(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out
}

fn seconds(rfc3339: &str) -> Option<i64> {
    OffsetDateTime::parse(rfc3339, &Rfc3339)
        .ok()
        .map(OffsetDateTime::unix_timestamp)
}

/// Families of samples while they are written.
struct Families(String);

impl Families {
    /// A gauge and its samples, as labels and value. A family without samples is left out.
    fn gauge(&mut self, name: &str, unit: Option<&str>, help: &str, samples: &[(String, i64)]) {
        if samples.is_empty() {
            return;
        }
        let text = &mut self.0;
        let _ = writeln!(text, "# TYPE {name} gauge");
        if let Some(unit) = unit {
            let _ = writeln!(text, "# UNIT {name} {unit}");
        }
        let _ = writeln!(text, "# HELP {name} {help}");
        for (labels, value) in samples {
            let _ = match labels.is_empty() {
                true => writeln!(text, "{name} {value}"),
                false => writeln!(text, "{name}{{{labels}}} {value}"),
            };
        }
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The numbers of a report. The time of the last success is that of a complete run alone, so that an alert sees a run that reads less.
pub fn openmetrics(report: &AuditReport) -> String {
    let counts = &report.counts;
    let mut all = Families(String::new());
    let state = |name: &str, count| (format!("state=\"{name}\""), number(count));
    let not_judged = counts.workspaces.saturating_sub(counts.judged);
    all.gauge(
        "dbxcmk_workspaces",
        None,
        "Workspaces by whether their data is under an own key.",
        &[
            state("covered", counts.covered),
            state("uncovered", counts.uncovered),
            state("not_known", counts.not_known),
            state("not_judged", not_judged),
        ],
    );
    let unknown = report.keys.iter().filter(|key| !key.is_known()).count();
    let fine = report
        .keys
        .iter()
        .filter(|key| key.is_known() && !key.is_in_danger())
        .count();
    all.gauge(
        "dbxcmk_keys",
        None,
        "Keys by whether they are in danger.",
        &[
            state("fine", fine),
            state("in_danger", counts.keys_in_danger),
            state("not_known", unknown),
        ],
    );
    deadlines(report, &mut all);
    findings(report, &mut all);
    all.gauge(
        "dbxcmk_audit_not_read",
        None,
        "Things that could not be read.",
        &[(String::new(), number(counts.not_read))],
    );
    let success = match report.run.complete {
        true => seconds(&report.run.time),
        false => None,
    };
    let success: Vec<(String, i64)> = success.map(|at| (String::new(), at)).into_iter().collect();
    all.gauge(
        "dbxcmk_audit_last_success_timestamp_seconds",
        Some("seconds"),
        "When an audit last read everything.",
        &success,
    );
    all.0.push_str("# EOF\n");
    all.0
}

fn deadlines(report: &AuditReport, all: &mut Families) {
    let deadlines: Vec<(String, i64)> = report
        .keys
        .iter()
        .filter_map(|key| {
            let until = seconds(key.until.as_deref()?)?;
            Some((format!("key=\"{}\"", label(key.key.as_str())), until))
        })
        .collect();
    all.gauge(
        "dbxcmk_key_until_timestamp_seconds",
        Some("seconds"),
        "Until when a key that is in danger can be saved.",
        &deadlines,
    );
}

fn findings(report: &AuditReport, all: &mut Families) {
    let mut findings: BTreeMap<String, i64> = BTreeMap::new();
    for one in report.findings.iter().filter(|one| one.counts()) {
        let labels = format!(
            "id=\"{}\",severity=\"{}\"",
            label(&one.id),
            one.severity.word()
        );
        *findings.entry(labels).or_default() += 1;
    }
    let findings: Vec<(String, i64)> = findings.into_iter().collect();
    all.gauge(
        "dbxcmk_findings",
        None,
        "Findings that no exception covers.",
        &findings,
    );
}
