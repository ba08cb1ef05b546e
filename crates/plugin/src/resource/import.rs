//! What the user gave to import an object by.

use serde::de::DeserializeOwned;

use crate::bridge::from_value;
use crate::stored::StoredError;
use crate::value::Value;

/// What an object is imported by: the ID that the user gave, or an identity (Terraform 1.12).
///
/// ```
/// use tfplugin::resource::Import;
///
/// /// What the articles of a shop are imported by: `SHOP/NAME`, or an identity of two texts.
/// fn names(import: &Import) -> Option<(&str, &str)> {
///     match import.id() {
///         Some(id) => id.split_once('/'),
///         None => Some((import.get("shop")?, import.get("name")?)),
///     }
/// }
///
/// assert_eq!(names(&Import::by_id("corner/tea")), Some(("corner", "tea")));
/// let identity = [("shop", "corner".into()), ("name", "tea".into())];
/// assert_eq!(names(&Import::by_identity(identity)), Some(("corner", "tea")));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    id: Option<String>,
    identity: Value,
    /// The identity in one text.
    text: String,
}

impl Import {
    /// An import as by `terraform import ADDRESS ID`.
    pub fn by_id(id: impl Into<String>) -> Self {
        let id = id.into();
        Self {
            text: id.clone(),
            id: Some(id),
            identity: Value::Null,
        }
    }

    /// By an identity, for tests.
    pub fn by_identity<N: Into<String>>(attributes: impl IntoIterator<Item = (N, Value)>) -> Self {
        let identity = Value::map(attributes);
        let texts = identity
            .as_map()
            .into_iter()
            .flatten()
            .map(|(_, value)| value);
        let text = texts.filter_map(in_text).collect::<Vec<_>>().join(",");
        Self {
            id: None,
            identity,
            text,
        }
    }

    pub(crate) fn of(identity: Value, text: String) -> Self {
        Self {
            id: None,
            identity,
            text,
        }
    }

    /// The ID, when the user gave one.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// A text of the identity, when the user gave one and it has that text.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.identity.get(name).as_str()
    }

    /// The identity in types, when the user gave one.
    ///
    /// # Errors
    /// When it has another form than `T`; the text says where.
    pub fn identity<T: DeserializeOwned>(&self) -> Result<Option<T>, StoredError> {
        let given = (!self.identity.is_null()).then_some(&self.identity);
        Ok(given.map(from_value).transpose()?)
    }

    pub(crate) fn identity_value(&self) -> Option<&Value> {
        (!self.identity.is_null()).then_some(&self.identity)
    }

    /// The ID, or else the parts of the identity in the order of its schema, joined by commas.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// A part of an identity in words; `None` for one that is not there.
pub(crate) fn in_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        value => Some(value.to_string()),
    }
}
