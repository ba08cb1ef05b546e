//! The report as plain text, for a terminal and a log.

use std::fmt::Write as _;

use crate::review::report::{Level, Report};

/// The report as plain text.
pub fn text(report: &Report) -> String {
    let mut out = format!("{}\n", report.verdict);
    if !report.workspaces.is_empty() {
        out.push_str("\nWorkspaces\n");
    }
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
    if !report.keys.is_empty() {
        out.push_str("\nKeys\n");
    }
    for line in &report.keys {
        let _ = writeln!(out, "  {}", line.key);
        for change in line.changes.iter() {
            let _ = writeln!(out, "    {change}");
        }
        if !line.workspaces.is_empty() {
            let _ = writeln!(out, "    used by {}", line.workspaces.join(", "));
        }
    }
    if !report.permissions.is_empty() {
        out.push_str("\nPermissions\n");
    }
    for line in &report.permissions {
        let _ = writeln!(out, "  {} ({})", line.key, line.address);
        for lost in line.lost.iter() {
            let _ = writeln!(out, "    - {lost}");
        }
        for gained in line.gained.iter() {
            let _ = writeln!(out, "    + {gained}");
        }
    }
    if !report.proofs.is_empty() {
        out.push_str("\nWhat grants what\n");
    }
    for line in &report.proofs {
        let _ = writeln!(out, "  {} ({})", line.key, line.address);
        for granted in &line.lines {
            let _ = writeln!(out, "    {granted}");
        }
    }
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
    if !report.accepted.is_empty() {
        out.push_str("\nAccepted\n");
    }
    for one in &report.accepted {
        let place = if one.finding.address.is_empty() {
            String::new()
        } else {
            format!(" {}", one.finding.address)
        };
        let _ = writeln!(
            out,
            "  {} [{}]{place}: {}",
            one.finding.summary, one.finding.id, one.reason
        );
    }
    if !report.not_examined.is_empty() {
        let _ = writeln!(
            out,
            "\nNot examined: {}.",
            report.not_examined.join(", ").replace('`', "")
        );
    }
    out
}
