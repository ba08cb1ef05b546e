//! The report as Markdown, for a comment on a pull request.

use std::fmt::Write as _;

use super::mermaid::mermaid;
use crate::report::{Level, Report, ReviewFinding, WorkspaceLine};

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
    let of = |out: &mut String, title, level, open| {
        findings(out, title, report.of(level).collect(), most, open);
    };
    of(&mut out, "What must not be applied", Level::Error, true);
    of(&mut out, "What cannot be undone", Level::Irreversible, true);
    all_workspaces(&mut out, report, most);
    permissions(&mut out, report, most);
    of(&mut out, "Check these findings", Level::Warning, false);
    of(&mut out, "Good to know", Level::Note, false);
    keys(&mut out, report, most);
    proofs(&mut out, report, most);
    proven(&mut out, report, most);
    if !report.not_examined.is_empty() {
        out.push_str("\n<details><summary>What this review does not examine</summary>\n\n");
        for line in &report.not_examined {
            let _ = writeln!(out, "- {}", prose(line));
        }
        out.push_str("\n</details>\n");
    }
    accepted(&mut out, report, most);
    if let Some(diagram) = mermaid(report).filter(|_| draws) {
        let _ = write!(
            out,
            "\n<details open><summary>From key to data</summary>\n\n```mermaid\n{diagram}```\n\n</details>\n"
        );
    }
    out
}

/// How many of all are not shown.
fn more(out: &mut String, all: usize, most: usize) {
    if all > most {
        let _ = writeln!(out, "\n… and {} more.", all - most);
    }
}

fn all_workspaces(out: &mut String, report: &Report, most: usize) {
    if report.workspaces.is_empty() {
        return;
    }
    let _ = write!(out, "\n#### Workspaces ({})\n", report.workspaces.len());
    let count = report.workspaces.len();
    let shown = report.workspaces.get(..count.min(most)).unwrap_or_default();
    workspaces(out, shown.get(..shown.len().min(OPEN)).unwrap_or_default());
    if let Some(rest) = shown.get(OPEN..).filter(|rest| !rest.is_empty()) {
        let _ = write!(out, "\n<details><summary>{} more</summary>\n", rest.len());
        workspaces(out, rest);
        out.push_str("\n</details>\n");
    }
    more(out, count, most);
}

fn permissions(out: &mut String, report: &Report, most: usize) {
    if report.permissions.is_empty() {
        return;
    }
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
    more(out, report.permissions.len(), most);
}

/// A part that is closed until somebody opens it: nothing where it has no lines.
fn closed(out: &mut String, title: &str, all: usize, most: usize, lines: impl FnOnce(&mut String)) {
    if all == 0 {
        return;
    }
    let _ = write!(out, "\n<details><summary>{title} ({all})</summary>\n\n");
    lines(out);
    more(out, all, most);
    out.push_str("\n</details>\n");
}

fn keys(out: &mut String, report: &Report, most: usize) {
    closed(out, "Keys of this plan", report.keys.len(), most, |out| {
        for line in report.keys.iter().take(most) {
            let names = line.workspaces.iter().take(most).map(|name| code(name));
            let names: Vec<String> = names.collect();
            let users = match names.is_empty() {
                true => String::new(),
                false => format!(", used by {}", names.join(", ")),
            };
            let _ = writeln!(out, "- {}{users}", code(&line.key));
            for change in line.changes.iter().take(most) {
                let _ = writeln!(out, "  - {}", code(change));
            }
        }
    });
}

fn proofs(out: &mut String, report: &Report, most: usize) {
    closed(out, "What grants what", report.proofs.len(), most, |out| {
        for line in report.proofs.iter().take(most) {
            let _ = writeln!(out, "- {}, by {}", code(&line.key), code(&line.address));
            for granted in &line.lines {
                let _ = writeln!(out, "  - {}", plain(granted));
            }
        }
    });
}

fn proven(out: &mut String, report: &Report, most: usize) {
    let title = "What the provider proves before it acts";
    closed(out, title, report.proven.len(), most, |out| {
        for one in report.proven.iter().take(most) {
            let _ = writeln!(out, "- {}", code(&one.address));
            for line in one.lines.iter().filter(|line| !line.is_empty()) {
                let _ = writeln!(out, "  - {}", plain(line));
            }
        }
    });
}

fn accepted(out: &mut String, report: &Report, most: usize) {
    closed(out, "Accepted", report.accepted.len(), most, |out| {
        for one in report.accepted.iter().take(most) {
            let place = match one.finding.address.as_str() {
                "" => String::new(),
                address => format!(" — {}", code(address)),
            };
            let _ = writeln!(
                out,
                "- **{}** ({}){place}: {}",
                plain(&one.finding.summary),
                one.finding.id,
                plain(&one.reason)
            );
        }
    });
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
            id: crate::Rule::KeyDeleted,
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
