//! What Terraform keeps for the provider and hands back: states in their own form, and private data beside them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::bridge::{BridgeError, from_value, to_value};
use super::codec::{CodecError, json};
use super::diagnostics::{Diagnostic, Diagnostics};
use super::value::Value;

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
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoredError> {
        let left = self.0.get(name).map(T::deserialize).transpose();
        left.map_err(StoredError::new)
    }

    /// Leaves a value under a name.
    ///
    /// # Errors
    /// When the value has no JSON form (a map whose keys are not texts, an attribute that is not known): the value from before
    /// stays then.
    pub fn set(
        &mut self,
        name: impl Into<String>,
        value: &impl Serialize,
    ) -> Result<(), StoredError> {
        let value = serde_json::to_value(value).map_err(StoredError::new)?;
        self.0.insert(name.into(), value);
        Ok(())
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
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use tfplugin::bridge::Attr;
/// use tfplugin::stored::RawState;
///
/// #[derive(Deserialize)]
/// struct Old { label: Option<String> }
/// #[derive(Serialize)]
/// struct New { name: Attr<String> }
///
/// let old: Old = RawState::from_json_text(r#"{"label": "tea", "size": 1}"#)?.read()?;
/// let new = RawState::write(&New { name: old.label.into() })?;
/// assert_eq!(new.to_json_text(), r#"{"name":"tea"}"#);
/// # Ok::<(), tfplugin::stored::StoredError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RawState(Value);

impl RawState {
    /// Reads it as a `T`: a model of an older version, a map, or a [`Value`].
    ///
    /// # Errors
    /// When it has another form; the text says where.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, StoredError> {
        from_value(&self.0).map_err(StoredError::new)
    }

    /// A state of this form: a model, a map, or a [`Value`].
    ///
    /// # Errors
    /// When something in it is not known, or has no form in Terraform.
    pub fn write(state: &impl Serialize) -> Result<Self, StoredError> {
        let value = to_value(state).map_err(StoredError::new)?;
        match value.is_wholly_known() {
            true => Ok(Self(value)),
            false => Err(StoredError::new("a part of the state is not known")),
        }
    }

    /// The text of an attribute, given by its dotted path; `None` when there is none.
    pub fn text(&self, dotted: &str) -> Option<&str> {
        self.0.at(dotted).as_str()
    }

    /// The state as Terraform stores it: an object in JSON.
    pub fn to_json_text(&self) -> String {
        // A state is wholly known, so it has a form.
        json::write(&self.0).unwrap_or_default()
    }

    /// A state from JSON text.
    ///
    /// # Errors
    /// When the text is not JSON.
    pub fn from_json_text(text: &str) -> Result<Self, StoredError> {
        Self::from_bytes(text.as_bytes()).map_err(StoredError::new)
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        json::parse(bytes).map(Self)
    }

    pub(crate) fn value(&self) -> &Value {
        &self.0
    }
}

/// Why a stored value, or one to store, has another form than the caller asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StoredError(String);

impl StoredError {
    fn new(why: impl std::fmt::Display) -> Self {
        Self(why.to_string())
    }

    pub(crate) fn foreign() -> Self {
        Self("another provider wrote it".to_owned())
    }
}

impl From<BridgeError> for StoredError {
    fn from(error: BridgeError) -> Self {
        Self::new(error)
    }
}

impl From<StoredError> for String {
    fn from(error: StoredError) -> Self {
        error.0
    }
}

/// A diagnostic for providers that have nothing better to say: the state is not what this version of the provider wrote.
impl From<StoredError> for Diagnostics {
    fn from(error: StoredError) -> Self {
        Diagnostic::error(
            "What Terraform stored cannot be read",
            format!(
                "It has another form than this version of the provider writes: {error}.\n\nIf a newer version of the provider wrote it, use that \
                 version. If the state was edited by hand, restore it from its backup."
            ),
        )
        .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::Attr;
    use crate::number::Number;

    #[test]
    fn what_is_left_comes_back_in_its_form() {
        let mut private = Private::new();
        assert!(private.to_bytes().is_empty());
        private.set("members", &["a", "b"]).unwrap();
        private.set("at", &7_i64).unwrap();
        // What cannot be kept says so, and takes nothing away.
        assert!(private.set("at", &Attr::<i64>::Unknown).is_err());
        let mut back = Private::from_bytes(&private.to_bytes()).unwrap();
        assert_eq!(
            back.get::<Vec<String>>("members"),
            Ok(Some(vec!["a".to_owned(), "b".to_owned()]))
        );
        assert_eq!(back.get::<i64>("at"), Ok(Some(7)));
        // A value of another form is an error, not `None`.
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

    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    struct Model {
        name: Attr<String>,
        size: Attr<Number>,
        gone: Attr<bool>,
        ratio: f64,
    }

    #[test]
    fn a_model_in_a_state_is_its_values_and_an_unknown_is_refused() {
        let model = |name| Model {
            name,
            size: Attr::Known("12345678901234567890123.5".parse().unwrap()),
            gone: Attr::Null,
            ratio: 0.1,
        };
        let state = RawState::write(&model(Attr::Known("x".to_owned()))).unwrap();
        let text = r#"{"gone":null,"name":"x","ratio":0.1,"size":12345678901234567890123.5}"#;
        assert_eq!(state.to_json_text(), text);
        let back = RawState::from_json_text(text).unwrap();
        assert_eq!(
            (back.read().ok(), &back),
            (Some(model(Attr::Known("x".to_owned()))), &state)
        );
        // What an old state does not have yet is null.
        let old = RawState::from_json_text(r#"{"ratio": 1, "size": null}"#).unwrap();
        assert!(old.read::<Model>().unwrap().name.is_null());
        let refused = RawState::write(&model(Attr::Unknown)).unwrap_err();
        assert_eq!(refused.to_string(), "a part of the state is not known");
    }
}
