//! The report for a terminal or a log.

use std::fmt::Write as _;

use tfplugin::printable::{printable, printable_line};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::{MOST, about, scope};
use crate::report::{AuditFinding, AuditReport, AuditedKey, Gravity};
use crate::verdict::{Mood, endangered, headlines};

/// The narrowest text that is still readable.
const NARROWEST: usize = 40;

/// How a terminal shows the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Columns of the terminal.
    pub width: usize,
    /// Whether the terminal shows colors; without them, words alone carry the meaning.
    pub color: bool,
}

/// A text while it is written.
struct Page {
    text: String,
    look: Look,
}

/// A color of the terminal (SGR).
#[derive(Clone, Copy)]
enum Color {
    Red,
    Yellow,
    Green,
    Bold,
    Faint,
}

impl Page {
    fn painted(&self, color: Color, text: &str) -> String {
        let code = match color {
            Color::Red => "1;31",
            Color::Yellow => "1;33",
            Color::Green => "32",
            Color::Bold => "1",
            Color::Faint => "2",
        };
        match self.look.color {
            true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        }
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn heading(&mut self, text: &str) {
        let painted = self.painted(Color::Bold, text);
        self.line("");
        self.line(&painted);
    }

    /// A text from outside, wrapped and indented. Words that are longer than a line, such as names of keys, stay whole.
    fn paragraph(&mut self, indent: usize, text: &str) {
        let width = self.look.width.max(NARROWEST).saturating_sub(indent);
        for line in printable(text).lines() {
            let own = line.len() - line.trim_start().len();
            let is_item = line.trim_start().starts_with("- ");
            // What is indented and no item of a list is to be pasted, so that it stays a line.
            let room = match own > 0 && !is_item {
                true => usize::MAX,
                false => width.saturating_sub(own),
            };
            for (at, wrapped) in wrap(line.trim_start(), room).iter().enumerate() {
                // What goes on stands under the text of an item.
                let hanging = match at {
                    0 => own,
                    _ if is_item => own + 2,
                    _ => own,
                };
                let _ = writeln!(self.text, "{:indent$}{:hanging$}{wrapped}", "", "");
            }
        }
    }

    fn more(&mut self, all: usize) {
        if all > MOST {
            let text = format!(
                "  … and {} more; the reports in HTML, JSON and CSV have all of them",
                all - MOST
            );
            let painted = self.painted(Color::Faint, &text);
            self.line(&painted);
        }
    }
}

/// A line in pieces of at most so many columns.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut columns = 0;
    for word in text.split(' ') {
        let needs = word.width();
        if let Some(last) = lines.last_mut() {
            if columns > 0 && columns + 1 + needs > width {
                lines.push(word.to_owned());
                columns = needs;
                continue;
            }
            if columns > 0 {
                last.push(' ');
                columns += 1;
            }
            last.push_str(word);
            columns += needs;
        }
    }
    lines
}

/// A name in at most so many columns: the middle of a long one is left out.
fn short(text: &str, width: usize) -> String {
    let shown = printable_line(text);
    if shown.width() <= width {
        return shown.into_owned();
    }
    let half = width.saturating_sub(1) / 2;
    let take = |chars: &mut dyn Iterator<Item = char>| {
        let mut columns = 0;
        let taken: Vec<char> = chars
            .take_while(|c| {
                columns += c.width().unwrap_or_default();
                columns <= half
            })
            .collect();
        taken
    };
    let head: String = take(&mut shown.chars()).into_iter().collect();
    let tail: String = take(&mut shown.chars().rev()).into_iter().rev().collect();
    format!("{head}…{tail}")
}

fn color_of(mood: Mood) -> Color {
    match mood {
        Mood::Good => Color::Green,
        Mood::NotAsked => Color::Faint,
        Mood::NotKnown => Color::Yellow,
        Mood::Bad => Color::Red,
    }
}

fn color_of_gravity(gravity: Gravity) -> Color {
    match gravity {
        Gravity::Error => Color::Red,
        Gravity::Warning => Color::Yellow,
        Gravity::Note => Color::Faint,
    }
}

/// Renders the report for a terminal of this width.
pub fn text(report: &AuditReport, look: Look) -> String {
    let mut page = Page {
        text: String::new(),
        look,
    };
    let run = &report.run;
    let title = format!("{}, {}", about(run), run.time);
    let title = page.painted(Color::Bold, &printable_line(&title));
    page.line(&title);
    page.paragraph(0, &format!("As {}; {}.", run.identity, scope(report)));
    page.line("");
    for one in headlines(report) {
        let word = page.painted(color_of(one.mood), &format!("{:<9}", one.mood.word()));
        let _ = writeln!(page.text, "{word}  {}", one.question);
        page.paragraph(11, &one.answer);
    }
    for note in &run.notes {
        page.line("");
        page.paragraph(0, &format!("Note: {note}"));
    }
    changes(&mut page, report);
    keys(&mut page, report);
    findings(&mut page, report);
    accepted(&mut page, report);
    not_read(&mut page, report);
    page.text
}

fn changes(page: &mut Page, report: &AuditReport) {
    if report.changes.is_empty() {
        return;
    }
    page.heading(&format!("Changes ({})", report.changes.len()));
    for change in report.changes.iter().take(MOST) {
        let (word, color) = match change.worse {
            true => ("worse", Color::Red),
            false => ("", Color::Faint),
        };
        let word = page.painted(color, &format!("  {word:<7}"));
        let _ = writeln!(page.text, "{word}{}", change.kind.word());
        page.paragraph(9, &change.text);
    }
    page.more(report.changes.len());
}

fn keys(page: &mut Page, report: &AuditReport) {
    let endangered = endangered(report);
    if endangered.is_empty() {
        return;
    }
    page.heading(&format!("Keys in danger ({})", endangered.len()));
    for key in endangered.iter().take(MOST) {
        let until = key.until.as_ref().map(|until| format!(", until {until}"));
        let state = printable_line(&key.state).into_owned();
        let head = format!("  {state}{}", until.unwrap_or_default());
        let head = page.painted(Color::Red, &head);
        page.line(&head);
        let width = page.look.width.max(NARROWEST).saturating_sub(4);
        let _ = writeln!(page.text, "    {}", short(key.key.as_str(), width));
        page.paragraph(4, &users(key));
    }
    page.more(endangered.len());
}

fn users(key: &AuditedKey) -> String {
    let workspaces: Vec<&str> = key
        .used_by
        .workspaces
        .iter()
        .map(|id| id.as_str())
        .collect();
    let first: Vec<&str> = workspaces.iter().take(5).copied().collect();
    let more = match workspaces.len().saturating_sub(first.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let catalogs = match &key.used_by.catalogs {
        None => "; catalogs not known".to_owned(),
        Some(all) if all.is_empty() => String::new(),
        Some(all) => format!("; catalogs {}", all.join(", ")),
    };
    let tables = match &key.used_by.locations {
        None => "; where tables lie not known".to_owned(),
        Some(all) if all.is_empty() => String::new(),
        Some(all) => format!("; tables in {}", all.join(", ")),
    };
    match workspaces.is_empty() {
        true => format!("no workspace uses it{catalogs}{tables}"),
        false => format!(
            "used by the workspaces {}{more}{catalogs}{tables}",
            first.join(", ")
        ),
    }
}

fn findings(page: &mut Page, report: &AuditReport) {
    let all: Vec<&AuditFinding> = report.findings.iter().filter(|one| one.counts()).collect();
    if all.is_empty() {
        return;
    }
    page.heading(&format!("Findings ({})", all.len()));
    for one in all.iter().take(MOST) {
        let word = format!("  {:<8}", one.severity.word());
        let word = page.painted(color_of_gravity(one.severity), &word);
        let width = page.look.width.max(NARROWEST).saturating_sub(10);
        let _ = writeln!(page.text, "{word}{}", short(&one.id, width));
        let subject = short(one.subject.as_str(), width);
        let _ = writeln!(page.text, "          {subject}");
        page.paragraph(10, &one.found);
        page.paragraph(10, &one.remedy);
    }
    page.more(all.len());
}

fn accepted(page: &mut Page, report: &AuditReport) {
    let all: Vec<_> = report.excepted().collect();
    if all.is_empty() {
        return;
    }
    page.heading(&format!("Accepted ({})", all.len()));
    for (one, why) in all.iter().take(MOST) {
        page.paragraph(
            2,
            &format!(
                "{} {}: \"{}\", {}, until {}",
                one.id, one.subject, why.reason, why.owner, why.expires
            ),
        );
    }
    page.more(all.len());
}

fn not_read(page: &mut Page, report: &AuditReport) {
    if report.not_read.is_empty() {
        return;
    }
    page.heading(&format!("Not read ({})", report.not_read.len()));
    for one in report.not_read.iter().take(MOST) {
        page.paragraph(2, &one.what);
        page.paragraph(4, &one.why);
        if let Some(permission) = &one.permission {
            page.paragraph(4, &format!("Missing: {permission}"));
        }
        page.paragraph(4, &format!("Not known because of it: {}", one.leaves_open));
    }
    page.more(report.not_read.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_wrapped_at_words_and_a_name_is_shortened_in_its_middle() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("unbreakable name", 5), ["unbreakable", "name"]);
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(short("short", 10), "short");
        assert_eq!(short("abcdefghijklmnop", 9), "abcd…mnop");
        assert!(short("鍵鍵鍵鍵鍵鍵", 7).width() <= 7);
    }
}
