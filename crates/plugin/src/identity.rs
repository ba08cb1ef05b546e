//! What tells one object from all others, apart from its state: for imports by identity and for lists (Terraform 1.12).

use serde_json::Value as Json;

use super::codec::json::decode_lenient;
use super::codec::{self, CodecError};
use super::diagnostics::{Diagnostic, Diagnostics};
use super::proto::tfplugin6 as pb;
use super::types::Type;
use super::value::Value;

/// One text by which an object can be told from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdentityAttribute {
    /// Its name.
    pub name: &'static str,
    /// Where the state has it, with dots.
    pub path: &'static str,
    /// What it is.
    pub description: &'static str,
}

/// The identity of a resource: texts that Terraform keeps under names. An object has exactly one of them; a resource has several where
/// its objects are of several kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The attributes.
    pub attributes: &'static [IdentityAttribute],
}

impl Identity {
    fn ty(&self) -> Type {
        Type::object(self.attributes.iter().map(|one| (one.name, Type::String)))
    }

    /// The schema that Terraform asks for.
    pub fn to_proto(&self) -> pb::ResourceIdentitySchema {
        let is_only = self.attributes.len() == 1;
        pb::ResourceIdentitySchema {
            version: 0,
            identity_attributes: self
                .attributes
                .iter()
                .map(|one| pb::resource_identity_schema::IdentityAttribute {
                    name: one.name.to_owned(),
                    r#type: Type::String.to_json_bytes(),
                    required_for_import: is_only,
                    optional_for_import: !is_only,
                    description: one.description.to_owned(),
                })
                .collect(),
        }
    }

    /// The identity of the object of a state; `None` while it is not known.
    ///
    /// # Errors
    /// When the state has something else there: a fault of the provider.
    pub fn of(&self, state: &Value) -> Result<Option<pb::ResourceIdentityData>, Diagnostics> {
        let found: Vec<(&str, Option<&str>)> = self
            .attributes
            .iter()
            .map(|one| (one.name, state.at(one.path).as_str()))
            .collect();
        if found.iter().all(|(_, text)| text.is_none()) {
            return Ok(None);
        }
        let value = Value::map(
            found
                .into_iter()
                .map(|(name, text)| (name, text.map_or(Value::Null, Value::string))),
        );
        let data = codec::encode(&value, &self.ty()).map_err(|error| {
            Diagnostic::bug(format!(
                "An identity does not have the type of its schema: {error}."
            ))
        })?;
        Ok(Some(pb::ResourceIdentityData {
            identity_data: Some(data),
        }))
    }

    /// The text of an identity that the user gave.
    ///
    /// # Errors
    /// When it is none, or when it has several texts.
    pub fn text(&self, data: &pb::ResourceIdentityData) -> Result<String, Diagnostics> {
        let listed: Vec<String> = self
            .attributes
            .iter()
            .map(|one| format!("`{}` ({})", one.name, one.description))
            .collect();
        let listed = listed.join(" or ");
        let malformed = |error: &CodecError| {
            Diagnostic::error(
                "The identity cannot be read",
                format!("{error}. It has one attribute: {listed}."),
            )
        };
        let value = codec::decode_optional(data.identity_data.as_ref(), &self.ty())
            .map_err(|error| malformed(&error))?;
        let given: Vec<&str> = self
            .attributes
            .iter()
            .filter_map(|one| value.get(one.name).as_str())
            .collect();
        match given.as_slice() {
            [text] => Ok((*text).to_owned()),
            [] => Err(Diagnostic::error(
                "The identity is not complete",
                format!("Give {listed} in the `identity` of the import block."),
            )
            .into()),
            _ => Err(Diagnostic::error(
                "The identity names several objects",
                format!("Give only one of {listed} in the `identity` of the import block."),
            )
            .into()),
        }
    }

    /// An identity that Terraform kept, in the current form.
    ///
    /// # Errors
    /// When it is none.
    pub fn upgraded(&self, raw: &Json) -> Result<pb::ResourceIdentityData, Diagnostics> {
        let unreadable = |error: CodecError| {
            Diagnostic::error(
                "The identity in the state cannot be read",
                format!(
                    "It does not have the form of its schema: {error}. If the state was edited by hand, restore it from its backup."
                ),
            )
        };
        let value = decode_lenient(raw, &self.ty()).map_err(unreadable)?;
        let data = codec::encode(&value, &self.ty()).map_err(|error| {
            Diagnostic::bug(format!(
                "An identity does not have the type of its schema: {error}."
            ))
        })?;
        Ok(pb::ResourceIdentityData {
            identity_data: Some(data),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF_TWO: Identity = Identity {
        attributes: &[
            IdentityAttribute {
                name: "left",
                path: "l.id",
                description: "one kind",
            },
            IdentityAttribute {
                name: "right",
                path: "r.id",
                description: "the other",
            },
        ],
    };

    fn given(left: Value, right: Value) -> Result<String, String> {
        let value = Value::map([("left", left), ("right", right)]);
        let data = pb::ResourceIdentityData {
            identity_data: Some(codec::encode(&value, &OF_TWO.ty()).unwrap()),
        };
        OF_TWO.text(&data).map_err(|said| format!("{said:?}"))
    }

    #[test]
    fn exactly_one_text_tells_an_object() {
        assert_eq!(given(Value::string("a"), Value::Null), Ok("a".to_owned()));
        assert_eq!(given(Value::Null, Value::string("b")), Ok("b".to_owned()));
        let none = given(Value::Null, Value::Null).unwrap_err();
        assert!(
            none.contains("not complete") && none.contains("`left`") && none.contains("`right`"),
            "{none}"
        );
        let both = given(Value::string("a"), Value::string("b")).unwrap_err();
        assert!(both.contains("several objects"), "{both}");
    }
}
