//! What attributes have to look like.

use serde_json::Value as Json;

use super::plan::SENSITIVE;

/// What an attribute has to look like where it has a value that is known.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Text, or a number, which Terraform writes as text.
    Text,
    /// The name of a key, as its cloud has it: whether a text is one, and what it is called.
    Key(fn(&str) -> bool, &'static str),
    /// A list or set of texts.
    Texts,
    /// True or false.
    Flag,
    /// An object.
    Object,
    /// A list of objects, which is how blocks are written.
    Objects,
}

impl Shape {
    pub(super) fn fits(self, value: &Json) -> bool {
        // What is sensitive was masked as it was read; nothing can be said about it.
        let is_masked = value.as_str() == Some(SENSITIVE);
        match (self, value) {
            (_, Json::Null) => true,
            (Self::Text, Json::String(_) | Json::Number(_)) => true,
            (Self::Key(is_key, _), Json::String(text)) => is_masked || is_key(text),
            (Self::Texts, Json::Array(all)) => {
                all.iter().all(|one| one.is_string() || one.is_null())
            }
            (Self::Flag, Json::Bool(_)) => true,
            (Self::Flag, Json::String(_)) => is_masked,
            (Self::Object, Json::Object(_)) => true,
            (Self::Objects, Json::Array(all)) => all.iter().all(Json::is_object),
            _ => false,
        }
    }

    pub(super) fn in_words(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Key(_, called) => called,
            Self::Texts => "a list of texts",
            Self::Flag => "true or false",
            Self::Object => "an object",
            Self::Objects => "a list of objects",
        }
    }
}
