//! The report as Markdown, for the summary of a job or an issue: short, whatever the account.

use std::fmt::Write as _;

use tfplugin::printable::printable;

use super::{MOST, about, scope};
use crate::report::{AuditFinding, AuditReport, Change, Gravity};
use crate::verdict::{Mood, count, endangered, headlines};

/// The longest text, in bytes: GitHub takes 65,536 characters in an issue.
pub const LARGEST_MARKDOWN: usize = 60_000;

/// The longest text of one name or sentence, in characters, from plenty to few: the first that keeps all short enough.
const LENGTHS: [usize; 4] = [600, 300, 120, 60];

/// Text in which nothing is markup.
fn plain(text: &str, most: usize) -> String {
    let mut out = String::new();
    let shown = printable(text);
    let mut rest = shown.chars().enumerate().peekable();
    while let Some((at, c)) = rest.next() {
        if at == most {
            out.push('…');
            break;
        }
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\n' => out.push_str("<br/>"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '(' | ')' | '|' | '#' | '~' | '@' | '!' | '$' => {
                out.push('\\');
                out.push(c);
            }
            // A bare address would become a link.
            ':' if rest.peek().is_some_and(|(_, next)| *next == '/') || has_scheme(&out) => {
                out.push_str("&#58;");
            }
            c => out.push(c),
        }
    }
    out
}

/// Whether a text ends with a scheme whose addresses become links without slashes. Source: GitHub Flavored Markdown, "Autolinks (extension)".
fn has_scheme(text: &str) -> bool {
    let lower = text.get(text.len().saturating_sub(6)..).unwrap_or_default();
    let lower = lower.to_ascii_lowercase();
    lower.ends_with("mailto") || lower.ends_with("xmpp")
}

/// A name, in a code span.
fn code(text: &str, most: usize) -> String {
    let shown = printable(text);
    let mut clean: String = shown
        .chars()
        .take(most)
        .map(|c| match c {
            '`' => '\'',
            '\n' => ' ',
            c => c,
        })
        .collect();
    if shown.chars().count() > most {
        clean.push('…');
    }
    // Some renderers take a backslash before the end of a span for an escape, so that the span would go on.
    if clean.ends_with('\\') {
        clean.push(' ');
    }
    format!("`{}`", clean.replace('|', "\\|"))
}

fn mark(mood: Mood) -> &'static str {
    match mood {
        Mood::Good => "✅",
        Mood::NotAsked => "➖",
        Mood::NotKnown => "❔",
        Mood::Bad => "❌",
    }
}

/// The report as Markdown: the four answers, the worst findings, and the changes.
pub fn markdown(report: &AuditReport) -> String {
    let mut shortest = String::new();
    for length in LENGTHS {
        shortest = with(report, length);
        if shortest.len() <= LARGEST_MARKDOWN {
            return shortest;
        }
    }
    // Every list is bounded and so is every text, so that this is not reached; a text that is too long is refused as a whole.
    let room = LARGEST_MARKDOWN.saturating_sub(8);
    let end = (0..=room).rev().find(|at| shortest.is_char_boundary(*at));
    shortest.truncate(end.unwrap_or_default());
    shortest.push_str("\n\n…\n");
    shortest
}

fn with(report: &AuditReport, most: usize) -> String {
    let run = &report.run;
    let mut out = String::new();
    let _ = writeln!(out, "### {}\n", plain(&about(run), most));
    let _ = writeln!(
        out,
        "{} as {}; {}.\n",
        plain(&run.time, most),
        code(&run.identity, most),
        plain(&scope(report), most)
    );
    out.push_str("| | | |\n|---|---|---|\n");
    for one in headlines(report) {
        let _ = writeln!(
            out,
            "| {} {} | **{}** | {} |",
            mark(one.mood),
            one.mood.word(),
            one.question,
            plain(&one.answer, most)
        );
    }
    for note in run.notes.iter().take(MOST) {
        let _ = writeln!(out, "\n> {}", plain(note, most));
    }
    changes(&mut out, report, most);
    keys(&mut out, report, most);
    findings(&mut out, report, most);
    not_read(&mut out, report, most);
    accepted(&mut out, report, most);
    out
}

fn more(out: &mut String, all: usize) {
    if all > MOST {
        let _ = writeln!(out, "\n… and {} more.", all - MOST);
    }
}

fn changes(out: &mut String, report: &AuditReport, most: usize) {
    let (worse, other): (Vec<&Change>, Vec<&Change>) =
        report.changes.iter().partition(|one| one.worse);
    for (title, all) in [("What got worse", worse), ("What else changed", other)] {
        if all.is_empty() {
            continue;
        }
        let _ = writeln!(out, "\n#### {title} ({})\n", all.len());
        for one in all.iter().take(MOST) {
            let _ = writeln!(out, "- {} `{}`", plain(&one.text, most), one.kind.word());
        }
        more(out, all.len());
    }
}

fn known_count(all: Option<&[String]>) -> String {
    all.map_or_else(|| "not known".to_owned(), |all| all.len().to_string())
}

fn keys(out: &mut String, report: &AuditReport, most: usize) {
    let all = endangered(report);
    if all.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n#### Keys in danger ({})\n", all.len());
    out.push_str("| Key | State | Until | Workspaces | Catalogs | Places of tables |\n|---|---|---|---|---|---|\n");
    for key in all.iter().take(MOST) {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            code(key.key.as_str(), most),
            plain(&key.state, most),
            plain(key.until.as_deref().unwrap_or("no date"), most),
            key.used_by.workspaces.len(),
            known_count(key.used_by.catalogs.as_deref()),
            known_count(key.used_by.locations.as_deref())
        );
    }
    more(out, all.len());
}

fn findings(out: &mut String, report: &AuditReport, most: usize) {
    let all: Vec<&AuditFinding> = report.findings.iter().filter(|one| one.counts()).collect();
    if all.is_empty() {
        return;
    }
    let of = |gravity| report.counting(gravity).count();
    let _ = writeln!(
        out,
        "\n#### Findings ({}, {}, {})\n",
        count(of(Gravity::Error), "error", "errors"),
        count(of(Gravity::Warning), "warning", "warnings"),
        count(of(Gravity::Note), "note", "notes")
    );
    for one in all.iter().take(MOST) {
        let _ = writeln!(
            out,
            "<details><summary><b>{}</b> {}: {}</summary>\n\n`{}` {}\n\n{}\n\n{}\n\n{}\n</details>\n",
            one.severity.word(),
            plain(&one.title, most),
            plain(one.subject.as_str(), 120),
            one.id,
            code(one.subject.as_str(), most),
            plain(&one.found, most),
            plain(&one.why, most),
            plain(&one.remedy, most)
        );
    }
    more(out, all.len());
}

fn not_read(out: &mut String, report: &AuditReport, most: usize) {
    if report.not_read.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n#### Not read ({})\n", report.not_read.len());
    out.push_str(
        "| What | Why | Missing permission | Not known because of it |\n|---|---|---|---|\n",
    );
    for one in report.not_read.iter().take(MOST) {
        let permission = one.permission.as_deref().map(|text| code(text, most));
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} |",
            code(&one.what, most),
            plain(&one.why, most),
            permission.unwrap_or_default(),
            plain(&one.leaves_open, most)
        );
    }
    more(out, report.not_read.len());
}

fn accepted(out: &mut String, report: &AuditReport, most: usize) {
    let all: Vec<_> = report.excepted().collect();
    if all.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n#### Accepted ({})\n", all.len());
    out.push_str("| Finding | Reason | Owner | Until |\n|---|---|---|---|\n");
    for (one, why) in all.iter().take(MOST) {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} |",
            code(&one.uid, most),
            plain(&why.reason, most),
            plain(&why.owner, most),
            plain(&why.expires, most)
        );
    }
    more(out, all.len());
}
