//! The forms that attributes must have.

use serde_json::Value as Json;

use super::plan::SENSITIVE;

/// The form that an attribute must have where Terraform knows its value.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Text, or a number, which Terraform writes as text.
    Text,
    /// Text of a form, such as the name of a key: whether a text has it, and what it is called.
    Form(fn(&str) -> bool, &'static str),
    /// A list or set of texts of a form: whether a text has it, and what they are called.
    Each(fn(&str) -> bool, &'static str),
    /// A list or set of texts.
    Texts,
    /// True or false.
    Flag,
    /// An object with attributes of its own.
    Object,
    /// A list of objects, which is how blocks are written.
    Objects,
    /// One object, as a block or as an attribute: which of both depends on the version of its provider.
    Block,
}

impl Shape {
    pub(super) fn fits(self, value: &Json) -> bool {
        // The reader has masked a sensitive value, so no rule can judge its form.
        let is_masked = value.as_str() == Some(SENSITIVE);
        match (self, value) {
            (_, Json::Null) => true,
            (Self::Text, Json::String(_) | Json::Number(_)) => true,
            (Self::Form(has_form, _), Json::String(text)) => is_masked || has_form(text),
            (Self::Each(..), Json::String(_)) => is_masked,
            (Self::Each(has_form, _), Json::Array(all)) => all.iter().all(|one| match one {
                Json::String(text) => text == SENSITIVE || has_form(text),
                other => other.is_null(),
            }),
            (Self::Texts, Json::Array(all)) => {
                all.iter().all(|one| one.is_string() || one.is_null())
            }
            (Self::Flag, Json::Bool(_)) => true,
            (Self::Flag, Json::String(_)) => is_masked,
            (Self::Object, Json::Object(_)) => true,
            (Self::Objects | Self::Block, Json::Array(all)) => all.iter().all(Json::is_object),
            (Self::Block, Json::Object(_)) => true,
            _ => false,
        }
    }

    pub(super) fn in_words(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Form(_, called) | Self::Each(_, called) => called,
            Self::Texts => "a list of texts",
            Self::Flag => "true or false",
            Self::Object => "an object",
            Self::Objects => "a list of objects",
            Self::Block => "a block",
        }
    }
}
