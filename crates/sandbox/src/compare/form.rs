//! The form of an answer: what is compared of it.

use std::collections::{BTreeMap, BTreeSet};

use recording::{Answer, Body, Kind, Part, parts};
use serde_json::Value as Json;

/// The value of a field, without what was replaced.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Leaf {
    Null,
    Bool,
    Number,
    List,
    Object,
    /// A text with this form: `arn:aws:kms:<word>:<digits>:key/<uuid>`.
    Text(String),
}

impl Leaf {
    fn name(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool => "a boolean".to_owned(),
            Self::Number => "a number".to_owned(),
            Self::List => "a list".to_owned(),
            Self::Object => "an object".to_owned(),
            Self::Text(text) => format!("`{text}`"),
        }
    }

    /// Whether it is a word of the service, which stayed in the recording as it was.
    fn word(&self) -> Option<&str> {
        match self {
            Self::Text(text) if !text.is_empty() && !text.contains(['<', ' ', '{']) => Some(text),
            _ => None,
        }
    }
}

/// The form of an answer.
#[derive(Clone, Debug)]
pub struct Form {
    status: u16,
    /// `json`, `form`, `xml`, `other`, or empty.
    body: &'static str,
    /// Each field with the forms of its values: `customer_managed_keys[].use_cases[]`.
    fields: BTreeMap<String, BTreeSet<Leaf>>,
    /// The lists that are empty, so that nothing can be said of what is in them.
    empty: BTreeSet<String>,
}

/// A text with each placeholder as the form of its value.
pub fn without_marks(text: &str) -> String {
    parts(text)
        .into_iter()
        .map(|part| match part {
            Part::Kept(text) => text.to_owned(),
            Part::Replaced(one) => {
                let shown = one.to_string();
                let name = shown.split(':').next().unwrap_or_default();
                format!("{name}>")
            }
        })
        .collect()
}

/// Fields with sentences, which a service may put in other words.
const SENTENCES: [&str; 5] = [
    "message",
    "Message",
    "error_description",
    "workspace_status_message",
    "error_message",
];

impl Form {
    /// The form of an answer.
    pub fn of(answer: &Answer) -> Self {
        let mut form = Self {
            status: answer.status,
            body: "",
            fields: BTreeMap::new(),
            empty: BTreeSet::new(),
        };
        match &answer.body {
            Body::Empty => {}
            Body::Json(json) => {
                form.body = "json";
                form.json("", json);
            }
            Body::Form(fields) => {
                form.body = "form";
                for (name, value) in fields {
                    form.text(name, value);
                }
            }
            Body::Xml(texts) => {
                form.body = "xml";
                for (path, text) in texts {
                    form.text(path, text);
                }
            }
            Body::Other(_) => form.body = "other",
        }
        for name in ["x-amzn-errortype", "content-type"] {
            if let Some(value) = answer.headers.get(name) {
                // Only the name: some services append an address to it, or a character set.
                let value = value.split([':', ';']).next().unwrap_or_default();
                form.text(&format!("header {name}"), value);
            }
        }
        form
    }

    fn add(&mut self, path: &str, leaf: Leaf) {
        self.fields.entry(path.to_owned()).or_default().insert(leaf);
    }

    fn text(&mut self, path: &str, text: &str) {
        let only = match parts(text).as_slice() {
            [Part::Replaced(one)] => Some(one.kind),
            _ => None,
        };
        if only == Some(Kind::Number) {
            return self.add(path, Leaf::Number);
        }
        if text.starts_with(['{', '['])
            && let Ok(json) = serde_json::from_str::<Json>(text)
        {
            return self.json(&format!("{path} as JSON "), &json);
        }
        let field = path.rsplit(['.', '/']).next().unwrap_or_default();
        let shown = match SENTENCES.contains(&field) {
            true => "<sentence>".to_owned(),
            false => without_marks(text),
        };
        self.add(path, Leaf::Text(shown));
    }

    fn json(&mut self, path: &str, value: &Json) {
        match value {
            Json::Null => self.add(path, Leaf::Null),
            Json::Bool(_) => self.add(path, Leaf::Bool),
            Json::Number(_) => self.add(path, Leaf::Number),
            Json::String(text) => self.text(path, text),
            Json::Array(all) => {
                self.add(path, Leaf::List);
                let inside = format!("{path}[]");
                if all.is_empty() {
                    self.empty.insert(inside.clone());
                }
                for one in all {
                    self.json(&inside, one);
                }
            }
            Json::Object(fields) => {
                self.add(path, Leaf::Object);
                for (name, value) in fields {
                    let dot = if path.is_empty() || path.ends_with(' ') {
                        ""
                    } else {
                        "."
                    };
                    self.json(&format!("{path}{dot}{}", without_marks(name)), value);
                }
            }
        }
    }

    /// Where another answer, that of the sandbox, differs from this one.
    pub fn differences(&self, sandbox: &Self) -> Vec<String> {
        if self.status != sandbox.status {
            let codes = |form: &Self| {
                let words: Vec<String> = form.codes().collect();
                match words.is_empty() {
                    true => String::new(),
                    false => format!(" ({})", words.join(", ")),
                }
            };
            return vec![format!(
                "status {}{}, and {}{} in the sandbox",
                self.status,
                codes(self),
                sandbox.status,
                codes(sandbox)
            )];
        }
        if self.body != sandbox.body {
            return vec![format!(
                "the body is {}, and {} in the sandbox",
                or_empty(self.body),
                or_empty(sandbox.body)
            )];
        }
        let all: BTreeSet<&String> = self.fields.keys().chain(sandbox.fields.keys()).collect();
        all.into_iter()
            .filter_map(|path| self.difference(sandbox, path))
            .collect()
    }

    /// How much another answer differs: one of another status more than any of the same.
    pub fn distance(&self, sandbox: &Self) -> usize {
        match self.status == sandbox.status {
            true => self.differences(sandbox).len(),
            false => usize::MAX,
        }
    }

    /// The words that say why a request was refused.
    fn codes(&self) -> impl Iterator<Item = String> {
        let is_code = |path: &str| {
            [
                "error_code",
                "__type",
                "Code",
                "error",
                "error.code",
                "error.status",
            ]
            .iter()
            .any(|name| path == *name || path.ends_with(&format!("/{name}")))
        };
        let found = self.fields.iter().filter(move |(path, _)| is_code(path));
        found.flat_map(|(_, leaves)| {
            leaves
                .iter()
                .filter_map(|leaf| leaf.word().map(str::to_owned))
        })
    }

    fn difference(&self, sandbox: &Self, path: &str) -> Option<String> {
        let is_inside =
            |empty: &BTreeSet<String>| empty.iter().any(|list| path.starts_with(list.as_str()));
        match (self.fields.get(path), sandbox.fields.get(path)) {
            (Some(_), None) if is_inside(&sandbox.empty) => None,
            (None, Some(_)) if is_inside(&self.empty) => None,
            (Some(own), None) => Some(format!(
                "the sandbox lacks `{path}`, which is {}",
                names(own)
            )),
            (None, Some(other)) => Some(format!(
                "only the sandbox has `{path}`, which is {}",
                names(other)
            )),
            (Some(own), Some(other)) => {
                let is_known = |leaf: &Leaf| other.iter().any(|one| is_alike(path, leaf, one));
                let unknown: BTreeSet<Leaf> =
                    own.iter().filter(|leaf| !is_known(leaf)).cloned().collect();
                (!unknown.is_empty()).then(|| {
                    format!(
                        "`{path}` is {}, and {} in the sandbox",
                        names(&unknown),
                        names(other)
                    )
                })
            }
            (None, None) => None,
        }
    }

    /// The words of the service that are others in a later answer: `workspace_status: PROVISIONING → RUNNING`.
    pub fn words_that_change(&self, later: &Self) -> String {
        let changes = later.fields.iter().filter_map(|(path, leaves)| {
            let before = self.fields.get(path)?;
            let words = |leaves: &BTreeSet<Leaf>| -> Vec<String> {
                leaves
                    .iter()
                    .filter_map(|leaf| leaf.word().map(str::to_owned))
                    .collect()
            };
            let (before, after) = (words(before), words(leaves));
            let is_change = before != after && !before.is_empty() && !after.is_empty();
            is_change.then(|| format!("{path}: {} → {}", before.join(", "), after.join(", ")))
        });
        changes.collect::<Vec<_>>().join("; ")
    }
}

fn or_empty(body: &str) -> &str {
    if body.is_empty() { "empty" } else { body }
}

fn names(leaves: &BTreeSet<Leaf>) -> String {
    let all: Vec<String> = leaves.iter().map(Leaf::name).collect();
    all.join(" or ")
}

/// Whether two values of a field have the same form. A name can look like anything; an ID cannot.
fn is_alike(path: &str, one: &Leaf, other: &Leaf) -> bool {
    if one == other {
        return true;
    }
    let (Leaf::Text(one), Leaf::Text(other)) = (one, other) else {
        return false;
    };
    let is_name = |text: &str| text.contains('<') || text.is_empty();
    let is_id = path.ends_with("_id") || path.ends_with("Id");
    match (is_name(one), is_name(other)) {
        (true, true) => !is_id,
        _ => false,
    }
}
