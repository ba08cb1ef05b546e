//! What tells one object from all others, apart from its state: for imports by identity and for lists (Terraform 1.12).

use serde_json::Value as Json;

use super::codec::json::decode_lenient;
use super::codec::{self, CodecError};
use super::diagnostics::{Diagnostic, Diagnostics};
use super::proto::tfplugin6 as pb;
use super::types::Type;
use super::value::Value;

/// The identity of a resource: one text that Terraform keeps under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its name.
    pub name: &'static str,
    /// Where the state has it, with dots.
    pub path: &'static str,
    /// What it is.
    pub description: &'static str,
}

impl Identity {
    fn ty(&self) -> Type {
        Type::object([(self.name, Type::String)])
    }

    /// The schema that Terraform asks for.
    pub fn to_proto(&self) -> pb::ResourceIdentitySchema {
        pb::ResourceIdentitySchema {
            version: 0,
            identity_attributes: vec![pb::resource_identity_schema::IdentityAttribute {
                name: self.name.to_owned(),
                r#type: Type::String.to_json_bytes(),
                required_for_import: true,
                optional_for_import: false,
                description: self.description.to_owned(),
            }],
        }
    }

    /// The identity of the object of a state; `None` while it is not known.
    ///
    /// # Errors
    /// When the state has something else there: a fault of the provider.
    pub fn of(&self, state: &Value) -> Result<Option<pb::ResourceIdentityData>, Diagnostics> {
        let Some(text) = state.at(self.path).as_str() else {
            return Ok(None);
        };
        let value = Value::map([(self.name, Value::string(text))]);
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
    /// When it is none.
    pub fn text(&self, data: &pb::ResourceIdentityData) -> Result<String, Diagnostics> {
        let malformed = |error: &CodecError| {
            Diagnostic::error(
                "The identity cannot be read",
                format!(
                    "{error}. It has one attribute, `{}`: {}.",
                    self.name, self.description
                ),
            )
        };
        let value = codec::decode_optional(data.identity_data.as_ref(), &self.ty())
            .map_err(|error| malformed(&error))?;
        match value.get(self.name).as_str() {
            Some(text) => Ok(text.to_owned()),
            None => Err(Diagnostic::error(
                "The identity is not complete",
                format!(
                    "Give `{}` in the `identity` of the import block: {}.",
                    self.name, self.description
                ),
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
