//! What a placeholder of a recording is called in the sandbox.

use std::collections::BTreeMap;

use recording::{Answer, Body, Kind, Part, Placeholder, Replacer, parts};
use serde_json::{Map, Value as Json};

/// The names in the sandbox by the marks of a recording.
#[derive(Debug, Default)]
pub struct Names {
    by_mark: BTreeMap<String, String>,
}

/// The mark of a text that is one placeholder.
pub fn only_mark(text: &str) -> Option<String> {
    match parts(text).as_slice() {
        [Part::Replaced(one)] => Some(one.mark.clone()),
        _ => None,
    }
}

impl Names {
    /// Whether a mark has a name.
    pub fn has(&self, mark: &str) -> bool {
        self.by_mark.contains_key(mark)
    }

    /// Whether one of these texts has a mark without a name.
    pub fn has_unknown(&self, texts: &[&str]) -> bool {
        let marks = texts.iter().flat_map(|text| parts(text));
        marks.into_iter().any(|part| match part {
            Part::Replaced(one) => !self.by_mark.contains_key(&one.mark),
            Part::Kept(_) => false,
        })
    }

    /// Effect: from now on, a text that is one placeholder has a name, if it had none.
    pub fn bind(&mut self, text: &str, name: &str) {
        if let Some(mark) = only_mark(text) {
            self.by_mark.entry(mark).or_insert_with(|| name.to_owned());
        }
    }

    /// The text as the sandbox knows it. What has no name here gets one that has the same form, always the same.
    pub fn text(&self, text: &str) -> String {
        self.text_with(text, str::to_owned)
    }

    fn text_with(&self, text: &str, write: impl Fn(&str) -> String) -> String {
        parts(text)
            .into_iter()
            .map(|part| match part {
                Part::Kept(text) => text.to_owned(),
                Part::Replaced(one) => write(&self.name(&one)),
            })
            .collect()
    }

    /// A path, in which no name ends a segment.
    pub fn path(&self, path: &str) -> String {
        self.text_with(path, |name| name.replace('%', "%25").replace('/', "%2F"))
    }

    fn name(&self, placeholder: &Placeholder) -> String {
        let mark = &placeholder.mark;
        if let Some(name) = self.by_mark.get(mark) {
            return name.clone();
        }
        let part = |from: usize, to: usize| mark.get(from..to).unwrap_or_default();
        let number = u64::from_str_radix(part(0, 9), 16).unwrap_or_default();
        match placeholder.kind {
            Kind::Uuid => format!("{}-{}-4000-8000-{}", part(0, 8), part(8, 12), part(0, 12)),
            Kind::Digits => format!("{number:012}"),
            Kind::Number => number.to_string(),
            Kind::Hex => format!("{mark}{mark}"),
            Kind::Time => "2026-01-01T00:00:00Z".to_owned(),
            Kind::Address => "192.0.2.1".to_owned(),
            Kind::Bytes | Kind::Word => format!("w{mark}"),
        }
    }

    /// JSON as the sandbox knows it.
    pub fn json(&self, value: &Json) -> Json {
        match value {
            Json::String(text) => match parts(text).as_slice() {
                [Part::Replaced(one)] if one.kind == Kind::Number => {
                    serde_json::from_str(&self.name(one)).unwrap_or_default()
                }
                _ => Json::String(self.text(text)),
            },
            Json::Array(all) => all.iter().map(|one| self.json(one)).collect(),
            Json::Object(fields) => {
                let fields = fields.iter();
                let known: Map<String, Json> = fields
                    .map(|(name, value)| (self.text(name), self.json(value)))
                    .collect();
                Json::Object(known)
            }
            other => other.clone(),
        }
    }

    /// Effect: what has another name in the answer of the sandbox has that name from now on.
    pub fn learn(&mut self, recorded: &Answer, answer: &Answer, replacer: &Replacer) {
        match (&recorded.body, &answer.body) {
            (Body::Json(one), Body::Json(other)) => self.learn_json(one, other, replacer),
            (Body::Xml(one), Body::Xml(other)) => {
                for ((path, one), (own, other)) in one.iter().zip(other) {
                    if path == own {
                        self.learn_text(one, other, replacer);
                    }
                }
            }
            _ => {}
        }
        for (name, one) in &recorded.headers {
            // Of an address, the path: the sandbox has one host for all.
            let tail = |text: &str| {
                text.split_once("/subscriptions/")
                    .map(|(_, tail)| tail.to_owned())
            };
            let other = answer.headers.get(name).and_then(|other| tail(other));
            if let (Some(one), Some(other)) = (tail(one), other) {
                self.learn_text(&one, &other, replacer);
            }
        }
    }

    fn learn_json(&mut self, one: &Json, other: &Json, replacer: &Replacer) {
        match (one, other) {
            (Json::String(one), Json::String(other)) => self.learn_text(one, other, replacer),
            (Json::Array(one), Json::Array(other)) => self.learn_list(one, other, replacer),
            (Json::Object(one), Json::Object(other)) => {
                for (name, one) in one {
                    if let Some(other) = other.get(name) {
                        self.learn_json(one, other, replacer);
                    }
                }
            }
            _ => {}
        }
    }

    /// Two entries are the same when an ID of theirs is. Where the IDs do not decide and the lists are equally long, their order does.
    fn learn_list(&mut self, one: &[Json], other: &[Json], replacer: &Replacer) {
        if let ([one], [other]) = (one, other) {
            return self.learn_json(one, other, replacer);
        }
        let known = |own: &Json| {
            other
                .iter()
                .any(|there| self.likeness(own, there, replacer) > 0)
        };
        if one.len() == other.len() && !one.iter().any(known) {
            for (own, there) in one.iter().zip(other) {
                self.learn_json(own, there, replacer);
            }
            return;
        }
        for (index, own) in one.iter().enumerate() {
            let like = |there: &&Json| self.likeness(own, there, replacer);
            // Several are as like when all have the ID of the same account.
            let most = other
                .iter()
                .map(|there| like(&there))
                .max()
                .unwrap_or_default();
            let mut same = other.iter().filter(|there| most > 0 && like(there) == most);
            let only = same.next().filter(|_| same.next().is_none());
            let at_index = other
                .get(index)
                .filter(|there| one.len() == other.len() && most > 0 && like(there) == most);
            if let Some(there) = only.or(at_index) {
                self.learn_json(own, there, replacer);
            }
        }
    }

    /// How many IDs two objects have in common, as far as their names are known.
    fn likeness(&self, one: &Json, other: &Json, replacer: &Replacer) -> usize {
        let (Json::Object(one), Json::Object(other)) = (one, other) else {
            return 0;
        };
        let is_id = |name: &str| {
            ["id", "_id", "Id", "name", "Arn"]
                .iter()
                .any(|end| name.ends_with(end))
        };
        let mark = |value: &Json| value.as_str().and_then(only_mark);
        let ids = one.iter().filter(|(name, _)| is_id(name));
        let same = ids.filter(|(name, value)| {
            let own = mark(value).and_then(|mark| self.by_mark.get(&mark).cloned());
            let there = other.get(*name).and_then(mark);
            own.is_some() && own == there.and_then(|mark| replacer.behind(&mark))
        });
        same.count()
    }

    fn learn_text(&mut self, one: &str, other: &str, replacer: &Replacer) {
        let (one, other) = (parts(one), parts(other));
        let kept = |parts: &[Part<'_>]| -> Vec<Option<String>> {
            let text = |part: &Part<'_>| match part {
                Part::Kept(text) => Some((*text).to_owned()),
                Part::Replaced(_) => None,
            };
            parts.iter().map(text).collect()
        };
        if kept(&one) != kept(&other) {
            return;
        }
        for pair in one.into_iter().zip(other) {
            if let (Part::Replaced(one), Part::Replaced(other)) = pair
                && let Some(name) = replacer.behind(&other.mark)
            {
                self.by_mark.entry(one.mark).or_insert(name);
            }
        }
    }
}
