//! The report as Markdown, for a comment on a pull request.

use std::fmt::Write as _;

use super::mermaid::mermaid;
use crate::review::report::{Level, Report, ReviewFinding, WorkspaceLine};

/// The longest comment that GitHub takes, in characters.
pub const LARGEST_COMMENT: usize = 65_536;

/// How many lines a list has, from plenty to few: the first that keeps the comment short enough.
const LENGTHS: [usize; 6] = [500, 100, 40, 15, 5, 1];

/// How many of a kind the comment shows at once; it folds the rest.
const OPEN: usize = 10;

/// Text in a paragraph: nothing in it is markup.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '@' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// Text of our own, in which names may stand: code spans stay, the rest is plain.
fn prose(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in text.split('`').enumerate() {
        if index % 2 == 1 {
            out.push_str(&code(part));
        } else {
            out.push_str(&plain(part));
        }
    }
    out
}

/// A name, in a code span.
fn code(text: &str) -> String {
    let clean: String = text
        .chars()
        .map(|c| if c == '`' { '\'' } else { c })
        .filter(|c| !c.is_control())
        .collect();
    format!("`{}`", clean.replace('|', "\\|"))
}

fn cell(side: &Option<String>) -> String {
    match side {
        Some(text) => text
            .split(" · ")
            .map(code)
            .collect::<Vec<_>>()
            .join("<br/>"),
        None => "none".to_owned(),
    }
}

/// The report as Markdown, short enough for a comment.
pub fn markdown(report: &Report) -> String {
    let mut shortest = String::new();
    for length in LENGTHS {
        shortest = with(report, length, true);
        if shortest.chars().count() <= LARGEST_COMMENT {
            return shortest;
        }
    }
    let without_diagram = with(report, 1, false);
    if without_diagram.chars().count() <= LARGEST_COMMENT {
        return without_diagram;
    }
    // Names can be as long as anybody likes.
    let rest = "\n\n…\n\nThe report is longer than a comment may be; `review --format text` has all of it.\n";
    let room = LARGEST_COMMENT - rest.chars().count();
    shortest.chars().take(room).chain(rest.chars()).collect()
}

fn with(report: &Report, most: usize, draws: bool) -> String {
    let mark = match report.level {
        Some(Level::Error) => "❌",
        Some(Level::Irreversible | Level::Warning) => "⚠️",
        Some(Level::Note) | None => "✅",
    };
    let mut out = format!("### {mark} Encryption keys: {}\n", plain(&report.verdict));
    let more = |out: &mut String, all: usize| {
        if all > most {
            let _ = writeln!(out, "\n… and {} more.", all - most);
        }
    };
    findings(
        &mut out,
        "What must not be applied",
        report.of(Level::Error).collect(),
        most,
        true,
    );
    findings(
        &mut out,
        "What cannot be undone",
        report.of(Level::Irreversible).collect(),
        most,
        true,
    );
    if !report.workspaces.is_empty() {
        let _ = write!(out, "\n#### Workspaces ({})\n", report.workspaces.len());
        let shown = report
            .workspaces
            .get(..report.workspaces.len().min(most))
            .unwrap_or_default();
        workspaces(
            &mut out,
            shown.get(..shown.len().min(OPEN)).unwrap_or_default(),
        );
        if let Some(rest) = shown.get(OPEN..).filter(|rest| !rest.is_empty()) {
            let _ = write!(out, "\n<details><summary>{} more</summary>\n", rest.len());
            workspaces(&mut out, rest);
            out.push_str("\n</details>\n");
        }
        more(&mut out, report.workspaces.len());
    }
    if !report.permissions.is_empty() {
        out.push_str("\n#### Permissions\n");
        for line in report.permissions.iter().take(most) {
            let _ = write!(
                out,
                "\nOn {}, by {}:\n\n",
                code(&line.key),
                code(&line.address)
            );
            for lost in line.lost.iter() {
                let _ = writeln!(out, "- ➖ {}", plain(lost));
            }
            for gained in line.gained.iter() {
                let _ = writeln!(out, "- ➕ {}", plain(gained));
            }
        }
        more(&mut out, report.permissions.len());
    }
    findings(
        &mut out,
        "Check these findings",
        report.of(Level::Warning).collect(),
        most,
        false,
    );
    findings(
        &mut out,
        "Good to know",
        report.of(Level::Note).collect(),
        most,
        false,
    );
    if !report.keys.is_empty() {
        let _ = write!(
            out,
            "\n<details><summary>Keys of this plan ({})</summary>\n\n",
            report.keys.len()
        );
        for line in report.keys.iter().take(most) {
            let users = if line.workspaces.is_empty() {
                String::new()
            } else {
                let names: Vec<String> = line
                    .workspaces
                    .iter()
                    .take(most)
                    .map(|name| code(name))
                    .collect();
                format!(", used by {}", names.join(", "))
            };
            let _ = writeln!(out, "- {}{users}", code(&line.key));
            for change in line.changes.iter().take(most) {
                let _ = writeln!(out, "  - {}", code(change));
            }
        }
        more(&mut out, report.keys.len());
        out.push_str("\n</details>\n");
    }
    if !report.proofs.is_empty() {
        let _ = write!(
            out,
            "\n<details><summary>What grants what ({})</summary>\n\n",
            report.proofs.len()
        );
        for line in report.proofs.iter().take(most) {
            let _ = writeln!(out, "- {}, by {}", code(&line.key), code(&line.address));
            for granted in &line.lines {
                let _ = writeln!(out, "  - {}", plain(granted));
            }
        }
        more(&mut out, report.proofs.len());
        out.push_str("\n</details>\n");
    }
    if !report.not_examined.is_empty() {
        out.push_str("\n<details><summary>What this review does not examine</summary>\n\n");
        for line in &report.not_examined {
            let _ = writeln!(out, "- {}", prose(line));
        }
        out.push_str("\n</details>\n");
    }
    if !report.accepted.is_empty() {
        let _ = write!(
            out,
            "\n<details><summary>Accepted ({})</summary>\n\n",
            report.accepted.len()
        );
        for one in report.accepted.iter().take(most) {
            let place = if one.finding.address.is_empty() {
                String::new()
            } else {
                format!(" — {}", code(&one.finding.address))
            };
            let _ = writeln!(
                out,
                "- **{}** ({}){place}: {}",
                plain(&one.finding.summary),
                one.finding.id,
                plain(&one.reason)
            );
        }
        more(&mut out, report.accepted.len());
        out.push_str("\n</details>\n");
    }
    if let Some(diagram) = mermaid(report).filter(|_| draws) {
        let _ = write!(
            out,
            "\n<details open><summary>From key to data</summary>\n\n```mermaid\n{diagram}```\n\n</details>\n"
        );
    }
    out
}

fn workspaces(out: &mut String, lines: &[WorkspaceLine]) {
    out.push_str("\n| workspace | for | before | after | |\n|---|---|---|---|---|\n");
    for line in lines {
        let for_what = match line.use_case {
            "STORAGE" => "storage",
            "MANAGED_DISKS" => "managed disks",
            _ => "managed services",
        };
        let (before, after) = (cell(&line.before), cell(&line.after));
        let _ = writeln!(
            out,
            "| {} | {for_what} | {before} | {after} | {} |",
            code(&line.workspace),
            plain(line.step)
        );
    }
}

fn findings(out: &mut String, title: &str, all: Vec<&ReviewFinding>, most: usize, open: bool) {
    if all.is_empty() {
        return;
    }
    let _ = write!(out, "\n#### {title} ({})\n\n", all.len());
    let shown = all.get(..all.len().min(most)).unwrap_or_default();
    let (first, rest) = shown.split_at(shown.len().min(OPEN));
    first.iter().for_each(|one| finding(out, one, open));
    if !rest.is_empty() {
        let _ = write!(out, "<details><summary>{} more</summary>\n\n", rest.len());
        rest.iter().for_each(|one| finding(out, one, false));
        out.push_str("</details>\n\n");
    }
    if all.len() > most {
        let _ = writeln!(out, "… and {} more.", all.len() - most);
    }
}

fn finding(out: &mut String, finding: &ReviewFinding, open: bool) {
    let place = if finding.address.is_empty() {
        String::new()
    } else {
        format!(" — {}", code(&finding.address))
    };
    let state = if open { " open" } else { "" };
    let _ = write!(
        out,
        "<details{state}><summary><b>{}</b>{}</summary>\n\n",
        summary(&finding.summary),
        html(&place)
    );
    let _ = writeln!(out, "{}", lines(&finding.detail));
    if !finding.remedy.is_empty() {
        let _ = write!(out, "\n{}\n", lines(&finding.remedy));
    }
    let _ = write!(out, "\n<sub>{}</sub>\n\n</details>\n\n", finding.id);
}

/// Inside `<summary>` there is HTML, and no Markdown.
fn summary(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '&' => "&amp;".to_owned(),
            '\n' => " ".to_owned(),
            c => c.to_string(),
        })
        .collect()
}

/// A code span of Markdown as HTML.
fn html(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in text.split('`').enumerate() {
        let part = summary(&part.replace("\\|", "|"));
        if index % 2 == 1 {
            let _ = write!(out, "<code>{part}</code>");
        } else {
            out.push_str(&part);
        }
    }
    out
}

/// Paragraphs, with the lists that stand in them.
fn lines(text: &str) -> String {
    let one = |line: &str| match line.strip_prefix("  - ") {
        Some(item) => format!("- {}", prose(item)),
        None => prose(line),
    };
    let mut out = String::new();
    let mut in_list = false;
    for line in text.lines() {
        let is_item = line.starts_with("  - ");
        if is_item && !in_list {
            out.push('\n');
        }
        in_list = is_item;
        out.push_str(&one(line));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_be_taken_for_markup() {
        let evil = "x`<script>|@everyone](http://x)";
        assert!(
            !plain(evil).contains("<script>") && plain(evil).contains("\\@everyone\\]"),
            "{}",
            plain(evil)
        );
        assert_eq!(code(evil), "`x'<script>\\|@everyone](http://x)`");
        assert_eq!(
            html(&format!(" — {}", code("a<b>"))),
            " — <code>a&lt;b&gt;</code>"
        );
    }

    #[test]
    fn a_report_is_never_longer_than_a_comment() {
        let finding = |index: usize| ReviewFinding {
            id: crate::review::Rule::KeyDeleted,
            level: Level::Error,
            address: format!("aws_kms_key.x[{index}]"),
            summary: "long ".repeat(20),
            detail: "text ".repeat(200),
            remedy: String::new(),
        };
        let many = Report {
            findings: (0..2000).map(finding).collect(),
            level: Some(Level::Error),
            ..Report::default()
        };
        let text = markdown(&many);
        assert!(
            text.chars().count() <= LARGEST_COMMENT && text.contains("more."),
            "{}",
            text.len()
        );
        let endless = ReviewFinding {
            detail: "x".repeat(200_000),
            ..finding(0)
        };
        let one = Report {
            findings: vec![endless],
            level: Some(Level::Error),
            ..Report::default()
        };
        assert!(markdown(&one).chars().count() <= LARGEST_COMMENT);
    }
}
