//! The report as one HTML file, which can be mailed and printed: nothing is loaded from elsewhere, and the page is whole without scripts.
//!
//! Every text from outside goes through [`escaped`]. A policy of the page (CSP) lets only its own style and script run, by their hashes, so
//! that a mistake there could not do harm.

mod map;
mod tables;

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tfplugin::printable::printable;

use super::{about, scope};
use crate::report::{AuditFinding, AuditReport, Change, Gravity};
use crate::verdict::{Headline, Mood, headlines};

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");

/// A text as the page shows it: nothing in it is markup, and a character that would change the direction of a text or act on it
/// shows as an escape.
fn escaped(text: &str) -> String {
    let shown = printable(text);
    let mut out = String::with_capacity(shown.len() + 8);
    for c in shown.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// The hash of a text as CSP wants it.
fn hash(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    format!("'sha256-{}'", STANDARD.encode(digest.as_ref()))
}

fn icon(mood: Mood) -> &'static str {
    match mood {
        Mood::Good => "✓",
        Mood::NotAsked => "–",
        Mood::NotKnown => "?",
        Mood::Bad => "✕",
    }
}

/// A word with a color and a sign, so that neither is needed.
fn badge(mood: Mood, word: &str) -> String {
    format!(
        "<span class=\"badge {}\"><span aria-hidden=\"true\">{}</span>{}</span>",
        mood.name(),
        icon(mood),
        escaped(word)
    )
}

/// How grave a finding is. A warning is known, so that its sign is another than that of what is not.
fn gravity(gravity: Gravity) -> String {
    let (class, sign) = match gravity {
        Gravity::Error => (Mood::Bad.name(), "✕"),
        Gravity::Warning => (Mood::NotKnown.name(), "!"),
        Gravity::Note => (Mood::NotAsked.name(), "–"),
    };
    format!(
        "<span class=\"badge {class}\"><span aria-hidden=\"true\">{sign}</span>{}</span>",
        gravity.word()
    )
}

/// The report as one HTML file.
///
/// # Errors
/// When it cannot be written.
pub fn html(report: &AuditReport, to: &mut dyn Write) -> io::Result<()> {
    let about = escaped(&about(&report.run));
    write!(
        to,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src {}; script-src {}; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>Encryption keys: {about}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#answers\">Skip to the answers</a>\n",
        hash(STYLE),
        hash(SCRIPT)
    )?;
    header(report, &about, to)?;
    to.write_all(b"<main>\n")?;
    answers(report, to)?;
    tables::not_read(report, to)?;
    changes(report, to)?;
    if let Some(map) = map::Map::of(report) {
        writeln!(
            to,
            "<section id=\"map\" aria-labelledby=\"map-head\"><h2 id=\"map-head\">From keys to data</h2>\
             <p class=\"muted\">Each line is a key that workspaces have for a kind of use. Dashed: no own key. Dotted: not known.</p>\
             <div class=\"scroll card\" tabindex=\"0\" role=\"region\" aria-label=\"Map\">{}</div></section>",
            map.svg()
        )?;
    }
    findings(report, to)?;
    tables::keys(report, to)?;
    tables::workspaces(report, to)?;
    tables::locations(report, to)?;
    tables::configurations(report, to)?;
    tables::exceptions(report, to)?;
    write!(
        to,
        "</main>\n<footer><p>Made by terraform-provider-dbxcmk {} from reads alone. Controls are those that a finding supports evidence for; whether an organization \
         complies is for its auditor to say.</p></footer>\n<script>{SCRIPT}</script>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION")
    )
}

fn header(report: &AuditReport, about: &str, to: &mut dyn Write) -> io::Result<()> {
    let run = &report.run;
    let requests: Vec<String> = run
        .requests
        .iter()
        .map(|(service, count)| format!("{service} {count}"))
        .collect();
    write!(
        to,
        "<header><h1>Encryption keys: {about}</h1>\n<dl class=\"about\">"
    )?;
    for (term, value) in [
        ("Read", run.time.as_str()),
        ("As", &run.identity),
        ("Scope", &scope(report)),
        (
            "Compared with",
            run.baseline.as_deref().unwrap_or("nothing"),
        ),
        ("Requests", &requests.join(", ")),
    ] {
        write!(
            to,
            "<div><dt>{term}</dt><dd><bdi>{}</bdi></dd></div>",
            escaped(value)
        )?;
    }
    to.write_all(b"</dl></header>\n")
}

fn answers(report: &AuditReport, to: &mut dyn Write) -> io::Result<()> {
    to.write_all(
        b"<section id=\"answers\" aria-label=\"The four answers\"><ul class=\"answers\">",
    )?;
    let links = [
        ("changes", "Changes"),
        ("keys", "Keys"),
        ("findings", "Findings"),
        ("not-read", "What was not read"),
    ];
    for (one, (anchor, word)) in headlines(report).iter().zip(links) {
        answer(one, anchor, word, to)?;
    }
    to.write_all(b"</ul>\n<ul class=\"numbers\">")?;
    let counts = &report.counts;
    for (number, word, anchor) in [
        (counts.judged, "workspaces judged", "workspaces"),
        (counts.covered, "covered", "workspaces"),
        (counts.uncovered, "uncovered", "workspaces"),
        (counts.not_known, "not known", "workspaces"),
        (counts.keys, "keys", "keys"),
        (counts.keys_in_danger, "in danger", "keys"),
        (counts.not_read, "not read", "not-read"),
    ] {
        write!(
            to,
            "<li><b>{number}</b><a href=\"#{anchor}\">{word}</a></li>"
        )?;
    }
    to.write_all(b"</ul>\n")?;
    for note in &report.run.notes {
        write!(to, "<p class=\"note\">{}</p>", escaped(note))?;
    }
    to.write_all(b"</section>\n")
}

fn answer(one: &Headline, anchor: &str, word: &str, to: &mut dyn Write) -> io::Result<()> {
    write!(
        to,
        "<li class=\"{}\"><h2>{}</h2><div>{}</div><p>{}</p><a href=\"#{anchor}\">{word}</a></li>",
        one.mood.name(),
        one.question,
        badge(one.mood, one.mood.word()),
        escaped(&one.answer)
    )
}

fn changes(report: &AuditReport, to: &mut dyn Write) -> io::Result<()> {
    to.write_all(b"<section id=\"changes\" aria-labelledby=\"changes-head\"><h2 id=\"changes-head\">What changed</h2>")?;
    if report.changes.is_empty() {
        let words = match report.run.baseline {
            Some(_) => "Nothing changed since the baseline.",
            None => "There is no baseline to compare with.",
        };
        return writeln!(to, "<p class=\"card empty\">{words}</p></section>");
    }
    to.write_all(
        b"<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Changes\"><table><thead><tr><th scope=\"col\">Direction</th><th scope=\"col\">Change</th>\
          <th scope=\"col\">What</th></tr></thead><tbody>",
    )?;
    for change in &report.changes {
        row_of_change(change, to)?;
    }
    to.write_all(b"</tbody></table></div></section>\n")
}

fn row_of_change(change: &Change, to: &mut dyn Write) -> io::Result<()> {
    let direction = match change.worse {
        true => badge(Mood::Bad, "worse"),
        false => badge(Mood::NotAsked, "not worse"),
    };
    write!(
        to,
        "<tr><td>{direction}</td><td class=\"word\">{}</td><td><bdi>{}</bdi></td></tr>",
        change.kind.word(),
        escaped(&change.text)
    )
}

fn findings(report: &AuditReport, to: &mut dyn Write) -> io::Result<()> {
    to.write_all(b"<section id=\"findings\" aria-labelledby=\"findings-head\"><h2 id=\"findings-head\">Findings</h2>")?;
    let all: Vec<&AuditFinding> = report.findings.iter().filter(|one| one.counts()).collect();
    if all.is_empty() {
        return to.write_all(b"<p class=\"card empty\">There are no findings.</p></section>\n");
    }
    tables::filters(
        "findings-list",
        "Search findings",
        &[
            ("error", "errors"),
            ("warning", "warnings"),
            ("note", "notes"),
        ],
        to,
    )?;
    to.write_all(b"<div class=\"card\" id=\"findings-list\">")?;
    for one in all {
        finding(one, to)?;
    }
    to.write_all(b"</div></section>\n")
}

fn finding(one: &AuditFinding, to: &mut dyn Write) -> io::Result<()> {
    write!(
        to,
        "<details class=\"finding\" data-state=\"{}\"><summary>{}<b>{}</b><code><bdi>{}</bdi></code></summary><div><dl>",
        one.severity.word(),
        gravity(one.severity),
        escaped(&one.title),
        escaped(one.subject.as_str())
    )?;
    let controls: Vec<String> = one
        .controls
        .iter()
        .map(|(standard, all)| format!("{standard} {}", all.join(", ")))
        .collect();
    for (term, text) in [
        ("Found", one.found.as_str()),
        ("Why it matters", &one.why),
        ("What to do", &one.remedy),
        ("Supports", &controls.join("; ")),
    ] {
        if !text.is_empty() {
            write!(to, "<dt>{term}</dt><dd><pre>{}</pre></dd>", escaped(text))?;
        }
    }
    write!(
        to,
        "<dt>ID</dt><dd><code>{}</code></dd></dl></div></details>",
        escaped(&one.uid)
    )
}
