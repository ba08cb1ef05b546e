//! Text from elsewhere, made fit for a terminal: names in a plan, a policy or an answer can hold anything, and a terminal
//! obeys control characters.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character does something to a terminal or to the direction of a text instead of being shown.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

fn escaped(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_harmful = |c: char| acts(c) && !stays(c);
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_harmful(c) {
            // A String takes everything.
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// A text in which no sentence ends twice: what a service says may end with a stop of its own before ours.
pub fn ended_once(text: &str) -> Cow<'_, str> {
    if !text.contains("..") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("..") {
        let (before, after) = (
            rest.get(..at).unwrap_or_default(),
            rest.get(at + 2..).unwrap_or_default(),
        );
        // Three of them stand for something left out, and `../` is a directory.
        let is_end = after.is_empty() || after.starts_with(|c: char| c.is_whitespace() || c == ')');
        out.push_str(before);
        if is_end && !before.ends_with('.') && !out.ends_with('.') {
            out.push('.');
            rest = after;
        } else {
            out.push('.');
            rest = rest.get(at + 1..).unwrap_or_default();
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// A text of several lines: line feeds stay, every other control character becomes an escape like `\u{1b}`.
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c == '\n')
}

/// A name, which has one line.
pub fn printable_line(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_ends_once() {
        for (text, expected) in [
            ("It is so.. Really.", "It is so. Really."),
            ("The end..", "The end."),
            ("(so..)", "(so.)"),
            ("and so on...", "and so on..."),
            ("in ../shared", "in ../shared"),
            ("1..2", "1..2"),
        ] {
            assert_eq!(ended_once(text), expected);
        }
    }

    /// Each row: what came, as lines, and as a name.
    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        let rows = [
            ("plain ü 鍵 \"x\"", "plain ü 鍵 \"x\"", "plain ü 鍵 \"x\""),
            ("a\nb", "a\nb", "a\\u{a}b"),
            (
                "\u{1b}[31mred\u{7}\r",
                "\\u{1b}[31mred\\u{7}\\u{d}",
                "\\u{1b}[31mred\\u{7}\\u{d}",
            ),
            ("\u{9b}2J\u{7f}", "\\u{9b}2J\\u{7f}", "\\u{9b}2J\\u{7f}"),
            ("evil\u{202e}txt", "evil\\u{202e}txt", "evil\\u{202e}txt"),
        ];
        for (text, lines, name) in rows {
            assert_eq!(
                (printable(text).as_ref(), printable_line(text).as_ref()),
                (lines, name),
                "{text:?}"
            );
        }
    }
}
