//! Forms and XML, taken apart.

use std::fmt::Write as _;

use percent_encoding::percent_decode_str;

/// Text without its percent signs; what is not UTF-8 afterwards stays as it was.
pub fn decoded(text: &str) -> String {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map_or_else(|_| text.to_owned(), |text| text.into_owned())
}

/// A segment of a path in which nothing ends the segment or the path. The signs around a placeholder stay.
pub fn encoded(segment: &str) -> String {
    let mut all = String::new();
    for c in segment.chars() {
        match c {
            '/' | '%' | '?' | '#' | ' ' => {
                let _ = write!(all, "%{:02X}", u32::from(c));
            }
            c => all.push(c),
        }
    }
    all
}

/// The parameters of a query or a form, in order.
pub fn parameters(text: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(text.as_bytes())
        .into_owned()
        .collect()
}

/// A text of an XML document, under the names of the elements around it.
pub type Text<'a> = (Vec<&'a str>, String);

/// The texts of a document as services of AWS and the storage of Azure answer them: elements and text. `None` when there is anything else in
/// it, or when the elements do not fit.
pub fn xml(document: &str) -> Option<Vec<Text<'_>>> {
    let mut open: Vec<&str> = Vec::new();
    let mut all = Vec::new();
    let mut rest = document.trim_start_matches('\u{feff}').trim();
    // Whether an element has been opened and nothing was in it yet.
    let mut is_leaf = false;
    while let Some((text, tail)) = rest.split_once('<') {
        let (tag, after) = tail.split_once('>')?;
        rest = after;
        let text = text.trim();
        if let Some(name) = tag.strip_prefix('/') {
            if is_leaf || !text.is_empty() {
                all.push((open.clone(), unescaped(text)?));
            }
            if open.pop()? != name.trim() {
                return None;
            }
            is_leaf = false;
            continue;
        }
        if !text.is_empty() {
            return None;
        }
        if tag.starts_with('?') {
            continue;
        }
        if tag.starts_with('!') {
            return None;
        }
        let is_empty = tag.ends_with('/');
        let name = tag.trim_end_matches('/').split_whitespace().next()?;
        open.push(name);
        is_leaf = !is_empty;
        if is_empty {
            all.push((open.clone(), String::new()));
            open.pop();
        }
    }
    (open.is_empty() && rest.trim().is_empty()).then_some(all)
}

fn unescaped(text: &str) -> Option<String> {
    let plain = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&#34;", "\"");
    let is_known = plain.match_indices('&').all(|(at, _)| {
        plain
            .get(at..)
            .is_some_and(|tail| tail.starts_with("&amp;"))
    });
    is_known.then(|| plain.replace("&amp;", "&"))
}
