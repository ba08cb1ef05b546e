//! The report as plain text, for a terminal and a log.

use std::fmt::Write as _;

use crate::report::{Level, Report};

/// The report as plain text.
pub fn text(report: &Report) -> String {
    let mut out = format!("{}\n", report.verdict);
    workspaces(&mut out, report);
    keys(&mut out, report);
    permissions(&mut out, report);
    heading(
        &mut out,
        "What the provider proves before it acts",
        &report.proven,
    );
    for one in &report.proven {
        let _ = writeln!(out, "  {}", one.address);
        for line in &one.lines {
            let _ = writeln!(out, "    {line}");
        }
    }
    findings(&mut out, report);
    if !report.not_examined.is_empty() {
        let _ = writeln!(
            out,
            "\nNot examined: {}.",
            report.not_examined.join(", ").replace('`', "")
        );
    }
    out
}

/// A heading, where there is something below it.
fn heading<T>(out: &mut String, title: &str, below: &[T]) {
    if !below.is_empty() {
        let _ = writeln!(out, "\n{title}");
    }
}

fn workspaces(out: &mut String, report: &Report) {
    heading(out, "Workspaces", &report.workspaces);
    for line in &report.workspaces {
        let shown = |side: &Option<String>| side.clone().unwrap_or_else(|| "none".to_owned());
        let _ = writeln!(out, "  {} {}: {}", line.workspace, line.use_case, line.step);
        let _ = writeln!(
            out,
            "    before  {}\n    after   {}",
            shown(&line.before),
            shown(&line.after)
        );
    }
}

fn keys(out: &mut String, report: &Report) {
    heading(out, "Keys", &report.keys);
    for line in &report.keys {
        let _ = writeln!(out, "  {}", line.key);
        for change in line.changes.iter() {
            let _ = writeln!(out, "    {change}");
        }
        if !line.workspaces.is_empty() {
            let _ = writeln!(out, "    used by {}", line.workspaces.join(", "));
        }
    }
}

fn permissions(out: &mut String, report: &Report) {
    heading(out, "Permissions", &report.permissions);
    for line in &report.permissions {
        let _ = writeln!(out, "  {} ({})", line.key, line.address);
        for lost in line.lost.iter() {
            let _ = writeln!(out, "    - {lost}");
        }
        for gained in line.gained.iter() {
            let _ = writeln!(out, "    + {gained}");
        }
    }
    heading(out, "What grants what", &report.proofs);
    for line in &report.proofs {
        let _ = writeln!(out, "  {} ({})", line.key, line.address);
        for granted in &line.lines {
            let _ = writeln!(out, "    {granted}");
        }
    }
}

fn findings(out: &mut String, report: &Report) {
    for level in [
        Level::Error,
        Level::Irreversible,
        Level::Warning,
        Level::Note,
    ] {
        for finding in report.of(level) {
            let _ = writeln!(
                out,
                "\n{}: {} [{}]",
                level.name(),
                finding.summary,
                finding.id
            );
            if !finding.address.is_empty() {
                let _ = writeln!(out, "  {}", finding.address);
            }
            for line in finding.detail.lines().chain(finding.remedy.lines()) {
                let _ = writeln!(out, "  {line}");
            }
        }
    }
    heading(out, "Accepted", &report.accepted);
    for one in &report.accepted {
        let place = match one.finding.address.as_str() {
            "" => String::new(),
            address => format!(" {address}"),
        };
        let _ = writeln!(
            out,
            "  {} [{}]{place}: {}",
            one.finding.summary, one.finding.id, one.reason
        );
    }
}
