//! What Terraform keeps for the provider and hands back: states in their own form, and private data beside them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::diagnostics::{Diagnostic, Diagnostics};

/// Data that Terraform keeps beside the state of an object and hands back, by name. Not for secrets: it is stored in plain text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Private(BTreeMap<String, Json>);

impl Private {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was left under a name; `None` when there is nothing.
    ///
    /// # Errors
    /// When it has another form; the text says where.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, String> {
        let left = self.0.get(name).map(T::deserialize).transpose();
        left.map_err(|error| error.to_string())
    }

    /// Leaves something under a name. What has no JSON form (a map whose keys are no texts) is not kept.
    pub fn set(&mut self, name: impl Into<String>, value: &impl Serialize) {
        if let Ok(value) = serde_json::to_value(value) {
            self.0.insert(name.into(), value);
        }
    }

    /// Forgets what was left under a name.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Diagnostics> {
        if bytes.is_empty() {
            return Ok(Self::new());
        }
        serde_json::from_slice(bytes).map(Self).map_err(|error| {
            Diagnostic::bug(format!(
                "The private data of the resource cannot be read: {error}."
            ))
            .into()
        })
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // A map of JSON values can always be written.
        if self.0.is_empty() {
            Vec::new()
        } else {
            serde_json::to_vec(&self.0).unwrap_or_default()
        }
    }
}

/// A state in the form in which it was written: by an older version, or for a resource of another provider.
#[derive(Clone, Debug, PartialEq)]
pub struct RawState(Json);

impl RawState {
    /// Reads it as a `T`.
    ///
    /// # Errors
    /// When it has another form; the text says where.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, String> {
        T::deserialize(&self.0).map_err(|error| error.to_string())
    }

    /// A state of this form.
    ///
    /// # Errors
    /// When it has no JSON form.
    pub fn write(state: &impl Serialize) -> Result<Self, String> {
        serde_json::to_value(state)
            .map(Self)
            .map_err(|error| error.to_string())
    }

    /// The text of an attribute, given by its dotted path; `None` when there is none.
    pub fn text(&self, dotted: &str) -> Option<&str> {
        let found = dotted
            .split('.')
            .try_fold(&self.0, |value, name| value.get(name))?;
        found.as_str()
    }

    /// The state as JSON text.
    pub fn to_json_text(&self) -> String {
        self.0.to_string()
    }

    /// A state from JSON text.
    ///
    /// # Errors
    /// When it is no JSON.
    pub fn from_json_text(text: &str) -> Result<Self, String> {
        Self::from_bytes(text.as_bytes()).map_err(|error| error.to_string())
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes).map(Self)
    }

    pub(crate) fn json(&self) -> &Json {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_comes_back_in_its_form() {
        let mut private = Private::new();
        assert!(private.to_bytes().is_empty());
        private.set("members", &["a", "b"]);
        private.set("at", &7_i64);
        let mut back = Private::from_bytes(&private.to_bytes()).unwrap();
        assert_eq!(
            back.get::<Vec<String>>("members"),
            Ok(Some(vec!["a".to_owned(), "b".to_owned()]))
        );
        assert_eq!(back.get::<i64>("at"), Ok(Some(7)));
        // What has another form is not taken for nothing.
        assert!(back.get::<i64>("members").is_err());
        back.remove("at");
        assert_eq!(back.get::<i64>("at"), Ok(None));
        assert!(Private::from_bytes(b"[").is_err());
    }

    #[test]
    fn a_state_is_read_in_its_own_form() {
        let state = RawState::from_json_text(r#"{"a": {"b": "c"}, "n": 1}"#).unwrap();
        assert_eq!(state.text("a.b"), Some("c"));
        assert_eq!((state.text("n"), state.text("a.x.y")), (None, None));
        let all: BTreeMap<String, serde::de::IgnoredAny> = state.read().unwrap();
        assert_eq!(all.len(), 2);
        assert!(state.read::<String>().is_err());
        assert!(RawState::from_json_text("{").is_err());
    }
}
