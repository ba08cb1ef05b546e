//! Two tables as CSV (RFC 4180): the evidence, a row for each workspace and kind of data; and the findings.

use std::io::{self, Write};

use tfplugin::printable::printable_line;

use crate::report::AuditReport;

/// A cell that no spreadsheet runs, and that has one line. Source of the first characters: OWASP, "CSV Injection".
fn cell(text: &str) -> String {
    let shown = printable_line(text);
    let runs = |c: char| {
        matches!(
            c,
            '=' | '+' | '-' | '@' | '|' | '%' | '＝' | '＋' | '－' | '＠'
        )
    };
    let is_harmful = shown.trim_start().starts_with(runs);
    match is_harmful {
        true => format!("'{shown}"),
        false => shown.into_owned(),
    }
}

fn table<const N: usize>(
    to: &mut dyn Write,
    header: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> io::Result<()> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(to);
    writer.write_record(header)?;
    for row in rows {
        writer.write_record(row.each_ref().map(|text| cell(text)))?;
    }
    writer.flush()
}

/// The evidence: a row for each workspace and kind of data.
///
/// # Errors
/// When it cannot be written.
pub fn csv_data(report: &AuditReport, to: &mut dyn Write) -> io::Result<()> {
    let header = [
        "time",
        "account_id",
        "cloud",
        "workspace_id",
        "workspace_name",
        "region",
        "status",
        "pricing_tier",
        "judged",
        "kind",
        "location",
        "use_case",
        "covered",
        "key",
        "note",
    ];
    let run = &report.run;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let rows = report.workspaces.iter().flat_map(|one| {
        one.data.iter().map(move |row| {
            [
                run.time.clone(),
                text(&run.account_id),
                run.cloud.clone(),
                one.id.to_string(),
                one.name.clone(),
                text(&one.region),
                one.status.clone(),
                text(&one.pricing_tier),
                one.judged.to_string(),
                row.kind.to_string(),
                row.location.to_string(),
                row.use_case.as_deref().unwrap_or_default().to_owned(),
                row.covered.word().to_owned(),
                row.key
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
                row.note.to_string(),
            ]
        })
    });
    table(to, header, rows)
}

/// The findings, and what was not read: a row each.
///
/// # Errors
/// When it cannot be written.
pub fn csv_findings(report: &AuditReport, to: &mut dyn Write) -> io::Result<()> {
    let header = [
        "time",
        "account_id",
        "cloud",
        "id",
        "uid",
        "severity",
        "subject",
        "title",
        "found",
        "why",
        "remedy",
        "controls",
        "exception_reason",
        "exception_owner",
        "exception_expires",
    ];
    let run = &report.run;
    let of_run = || {
        let account = run.account_id.clone().unwrap_or_default();
        (run.time.clone(), account, run.cloud.clone())
    };
    let findings = report.findings.iter().map(|one| {
        let (time, account, cloud) = of_run();
        let controls: Vec<String> = one
            .controls
            .iter()
            .map(|(standard, controls)| format!("{standard}: {}", controls.join(", ")))
            .collect();
        let accepted = one.exception.as_ref();
        let excepted =
            accepted.map(|one| (one.reason.clone(), one.owner.clone(), one.expires.clone()));
        let (reason, owner, expires) = excepted.unwrap_or_default();
        [
            time,
            account,
            cloud,
            one.id.clone(),
            one.uid.clone(),
            one.severity.word().to_owned(),
            one.subject.to_string(),
            one.title.clone(),
            one.found.clone(),
            one.why.clone(),
            one.remedy.clone(),
            controls.join("; "),
            reason,
            owner,
            expires,
        ]
    });
    let not_read = report.not_read.iter().map(|one| {
        let (time, account, cloud) = of_run();
        let permission = one.permission.as_ref();
        let remedy = permission.map(|permission| format!("Grant {permission}."));
        let id = crate::catalog::NOT_READ;
        let (subject, _) = one.what.rsplit_once(": ").unwrap_or((&one.what, ""));
        let mut row: [String; 15] = Default::default();
        for (cell, text) in row.iter_mut().zip([
            time,
            account,
            cloud,
            id.to_owned(),
            format!("{id}/{}", one.what),
            "not_known".to_owned(),
            subject.to_owned(),
            "Something could not be read".to_owned(),
            format!("{}: {}", one.what, one.why),
            one.leaves_open.clone(),
            remedy.unwrap_or_default(),
        ]) {
            *cell = text;
        }
        row
    });
    table(to, header, findings.chain(not_read))
}
