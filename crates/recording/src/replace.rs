//! The replacement of what is not known to be harmless.

mod bodies;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::hmac;
use serde_json::{Map, Value as Json};

use crate::format::{Answer, Body, Exchange, FORMAT, Outcome};
use crate::placeholder::{Kind, MARK, Placeholder, is_time};
use crate::words;

/// A request as it goes over the wire.
#[derive(Clone, Copy, Debug)]
pub struct RawRequest<'a> {
    /// `GET`, `POST`, …
    pub method: &'a str,
    /// The host without the port.
    pub host: &'a str,
    /// With its percent signs.
    pub path: &'a str,
    /// What is behind the question mark, with its percent signs.
    pub query: &'a str,
    /// Names in lower case, and values.
    pub headers: &'a [(String, String)],
    /// What is sent.
    pub body: &'a [u8],
}

/// An answer as it comes over the wire.
#[derive(Clone, Copy, Debug)]
pub struct RawAnswer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: &'a [(String, String)],
    /// What was answered.
    pub body: &'a [u8],
}

/// The headers that a recording has: what is asked, of which service, in which form, and when to ask again.
const HEADERS: [&str; 8] = [
    "authorization",
    "azure-asyncoperation",
    "content-type",
    "location",
    "retry-after",
    "x-amz-bucket-region",
    "x-amz-target",
    "x-amzn-errortype",
];

/// The longest value that is kept because of its field, in bytes.
const LONGEST_WORD: usize = 80;

/// Replaces what is not known to be harmless.
///
/// Two of them with the same secret replace a value by the same placeholder. With the secret, a reader can find out short values by trying all,
/// so the secret is not a part of the recording.
pub struct Replacer {
    key: hmac::Key,
    /// The values behind the marks, for who asks for them.
    behind: Option<Mutex<BTreeMap<String, String>>>,
}

impl fmt::Debug for Replacer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Replacer")
    }
}

impl Replacer {
    /// One whose placeholders are decided by a secret.
    pub fn new(secret: &[u8]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret),
            behind: None,
        }
    }

    /// The same, which remembers the value behind each placeholder: for comparing with a service that has nothing to hide.
    pub fn remembering(secret: &[u8]) -> Self {
        Self {
            behind: Some(Mutex::default()),
            ..Self::new(secret)
        }
    }

    /// The value behind a mark, where this one remembers it.
    pub fn behind(&self, mark: &str) -> Option<String> {
        let behind = self.behind.as_ref()?;
        let behind = behind.lock().unwrap_or_else(PoisonError::into_inner);
        behind.get(mark).cloned()
    }

    /// What a recording has of a request and its answer. `at`: when it was sent, in milliseconds since 1970; `milliseconds`: how long it took.
    pub fn exchange(
        &self,
        request: &RawRequest<'_>,
        outcome: Outcome,
        (at, milliseconds): (u64, u64),
    ) -> Exchange {
        Exchange {
            format: FORMAT,
            at,
            milliseconds,
            method: self.method(request.method),
            host: self.text(request.host),
            path: self.path(request.path),
            query: self.parameters(request.query),
            headers: self.headers(request.headers),
            body: self.body(request.headers, request.body),
            outcome,
        }
    }

    /// What a recording has of an answer.
    pub fn answer(&self, answer: &RawAnswer<'_>) -> Answer {
        Answer {
            status: answer.status,
            headers: self.headers(answer.headers),
            body: self.body(answer.headers, answer.body),
        }
    }

    fn method(&self, method: &str) -> String {
        const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
        match METHODS.contains(&method) {
            true => method.to_owned(),
            false => self.replaced(method),
        }
    }

    /// A value by its form alone.
    fn replaced(&self, text: &str) -> String {
        self.replaced_as(Kind::of(text), text)
    }

    fn replaced_as(&self, kind: Kind, text: &str) -> String {
        let tag = hmac::sign(&self.key, text.as_bytes());
        let hex: String = tag
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let mark = hex.get(..MARK).unwrap_or_default().to_owned();
        if let Some(behind) = &self.behind {
            let mut behind = behind.lock().unwrap_or_else(PoisonError::into_inner);
            behind.insert(mark.clone(), text.to_owned());
        }
        Placeholder { kind, mark }.to_string()
    }

    /// A text, of which the words of [`words`] stay, and what is between words.
    fn text(&self, text: &str) -> String {
        self.words(text, |word| self.word(word))
    }

    /// A sentence, of which the words of a refusal stay, too.
    fn sentence(&self, text: &str) -> String {
        self.words(text, |word| {
            let end = word.trim_end_matches('.');
            match words::is_prose(end) {
                true => word.to_owned(),
                false => self.word(word),
            }
        })
    }

    fn words(&self, text: &str, replace: impl Fn(&str) -> String) -> String {
        let is_inside = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '~');
        // Of the characters between words, those of ASCII stay: nobody is called by them.
        let between = |c: char| match c.is_ascii_graphic() || c == ' ' {
            true => c,
            false => ' ',
        };
        let mut all = String::new();
        let mut word = String::new();
        for c in text.chars() {
            if is_inside(c) {
                word.push(c);
                continue;
            }
            if !word.is_empty() {
                all.push_str(&replace(&word));
                word.clear();
            }
            all.push(between(c));
        }
        if !word.is_empty() {
            all.push_str(&replace(&word));
        }
        all
    }

    /// A text without anything that separates words but periods.
    fn word(&self, word: &str) -> String {
        if words::is_word(word) || word.bytes().all(|byte| matches!(byte, b'-' | b'.')) {
            return word.to_owned();
        }
        let is_whole = !word.contains('.') || Kind::of(word) == Kind::Address;
        if is_whole {
            return self.replaced(word);
        }
        let parts: Vec<String> = word
            .split('.')
            .map(|part| match part.is_empty() || words::is_word(part) {
                true => part.to_owned(),
                false => self.replaced(part),
            })
            .collect();
        parts.join(".")
    }

    /// A path, segment by segment: what a segment has behind its percent signs is replaced like other text.
    fn path(&self, path: &str) -> String {
        let segments: Vec<String> = path
            .split('/')
            .map(|segment| bodies::encoded(&self.text(&bodies::decoded(segment))))
            .collect();
        segments.join("/")
    }

    /// The parameters of a query or a form.
    fn parameters(&self, text: &str) -> Vec<(String, String)> {
        bodies::parameters(text)
            .into_iter()
            .map(|(name, value)| (self.name(&name, true), self.value(&name, &value)))
            .collect()
    }

    fn headers(&self, headers: &[(String, String)]) -> BTreeMap<String, String> {
        headers
            .iter()
            .filter(|(name, _)| HEADERS.contains(&name.as_str()))
            .map(|(name, value)| {
                let is_of_service = matches!(name.as_str(), "x-amz-target" | "x-amzn-errortype");
                let is_short = value.len() <= 6 && value.bytes().all(|byte| byte.is_ascii_digit());
                let kept = (is_of_service && is_word_of_service(value))
                    || (name == "retry-after" && is_short);
                let value = match kept {
                    true => value.clone(),
                    false if name == "authorization" => self.scheme(value),
                    false => self.text(value),
                };
                (name.clone(), value)
            })
            .collect()
    }

    /// How a request says who sends it, and for AWS the region and the service that it is signed for. Nothing of a credential is left of it.
    fn scheme(&self, value: &str) -> String {
        const AWS: &str = "AWS4-HMAC-SHA256";
        let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
        if scheme == AWS {
            let scope = rest.split(',').next().unwrap_or_default();
            let mut parts = scope.split('/').skip(2);
            let mut part = || self.text(parts.next().unwrap_or_default());
            let (region, service) = (part(), part());
            return format!("{AWS} {region}/{service}");
        }
        match ["Bearer", "Basic"].contains(&scheme) {
            true => scheme.to_owned(),
            false => self.replaced(value),
        }
    }

    fn body(&self, headers: &[(String, String)], body: &[u8]) -> Body {
        if body.is_empty() {
            return Body::Empty;
        }
        let media = headers.iter().find(|(name, _)| name == "content-type");
        let media = media.map_or("", |(_, value)| value.as_str());
        let text = std::str::from_utf8(body).ok();
        let read = text.and_then(|text| match media {
            _ if media.contains("x-www-form-urlencoded") => Some(Body::Form(self.parameters(text))),
            _ if media.contains("xml") || text.starts_with("<?xml") => {
                let texts = bodies::xml(text)?;
                let replace = |(path, text): (Vec<&str>, String)| {
                    let field = path.last().copied().unwrap_or_default();
                    let text = self.value(field, &text);
                    let path: Vec<String> = path.iter().map(|name| self.name(name, true)).collect();
                    (path.join("/"), text)
                };
                Some(Body::Xml(texts.into_iter().map(replace).collect()))
            }
            _ => {
                let json = serde_json::from_str(text).ok()?;
                Some(Body::Json(self.json("", true, &json)))
            }
        });
        let other = || match text {
            Some(text) if media.starts_with("text/plain") => self.sentence(text),
            _ => self.replaced_as(Kind::Bytes, &String::from_utf8_lossy(body)),
        };
        read.unwrap_or_else(|| Body::Other(other()))
    }

    /// JSON under a field. `is_record`: whether its own fields are those of the service.
    fn json(&self, field: &str, is_record: bool, value: &Json) -> Json {
        match value {
            Json::Null | Json::Bool(_) => value.clone(),
            // A size, a number of days, the number of an error.
            Json::Number(number)
                if words::has_word_of_service(field) && number.to_string().len() <= 4 =>
            {
                value.clone()
            }
            Json::Number(number) => {
                Json::String(self.replaced_as(Kind::Number, &number.to_string()))
            }
            Json::String(text) => Json::String(self.value(field, text)),
            Json::Array(all) => all
                .iter()
                .map(|one| self.json(field, is_record, one))
                .collect(),
            Json::Object(fields) => Json::Object(self.object(is_record, fields)),
        }
    }

    fn object(&self, is_record: bool, fields: &Map<String, Json>) -> Map<String, Json> {
        let replace = |(name, value): (&String, &Json)| {
            let inside = is_record && words::is_record(name);
            (self.name(name, is_record), self.json(name, inside, value))
        };
        fields.iter().map(replace).collect()
    }

    /// The name of a field. One of a record stays when it has the form of one: letters, as `KeyState` and `aws_key_info` have.
    fn name(&self, name: &str, is_of_record: bool) -> String {
        let has_form = name.len() <= 48
            && name.split('.').all(|part| {
                part.bytes()
                    .all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-' | b'$'))
                    || part.len() <= 2
            })
            && name.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '$' | '_'));
        match is_of_record && has_form {
            true => name.to_owned(),
            false => self.text(name),
        }
    }

    /// A text under a field.
    fn value(&self, field: &str, text: &str) -> String {
        if words::has_word_of_service(field) && is_word_of_service(text) {
            return text.to_owned();
        }
        if words::has_sentences(field) {
            return self.sentence(text);
        }
        if is_time(text) {
            return self.replaced_as(Kind::Time, text);
        }
        let nested = match text.starts_with(['{', '[']) {
            true => serde_json::from_str::<Json>(text).ok(),
            false => None,
        };
        match nested {
            Some(json) => self.json(field, true, &json).to_string(),
            None => self.text(text),
        }
    }
}

/// Whether a text has the form of a word that a service has, as `PENDING_VALIDATION`, `kms:ReEncrypt*` and `2012-10-17` are, and not that of an
/// ID: no long run of digits, no UUID, no long hexadecimal number.
fn is_word_of_service(text: &str) -> bool {
    let has_form = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'_' | b'-' | b'.' | b':' | b'#' | b'*' | b' ' | b',' | b'/'
            )
    };
    let longest_run = |text: &str| {
        text.split(|c: char| !c.is_ascii_digit())
            .map(str::len)
            .max()
            .unwrap_or_default()
    };
    let is_id = text.split(['/', ' ', ',', '.', ':']).any(|part| {
        matches!(Kind::of(part), Kind::Uuid | Kind::Hex | Kind::Address) && !part.is_empty()
    });
    text.len() <= LONGEST_WORD
        && text.bytes().all(has_form)
        && longest_run(text) <= 4
        && !is_id
        && !text.contains("://")
}

#[cfg(test)]
mod tests;
