//! What tells one object from all others, apart from its state: for imports by identity and for lists (Terraform 1.12).

use serde_json::Value as Json;

use super::codec::json::decode_lenient;
use super::codec::{self, CodecError};
use super::diagnostics::{Diagnostic, Diagnostics};
use super::proto::tfplugin6 as pb;
use super::types::Type;
use super::value::Value;

/// One text by which an object can be told from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdentityAttribute {
    /// Its name.
    pub name: &'static str,
    /// Where the state has it, with dots.
    pub path: &'static str,
    /// What it is.
    pub description: &'static str,
    /// Whether an object may lack it.
    pub optional: bool,
}

/// The identity of a resource: texts that Terraform keeps under names. Where the objects of a resource are of several kinds, each kind has
/// texts of its own, and an object has those of exactly one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The attributes of each kind. An object is of the first kind whose attributes it has.
    pub kinds: &'static [&'static [IdentityAttribute]],
}

impl Identity {
    fn attributes(&self) -> impl Iterator<Item = &'static IdentityAttribute> + use<> {
        self.kinds.iter().flat_map(|kind| kind.iter())
    }

    fn ty(&self) -> Type {
        Type::object(self.attributes().map(|one| (one.name, Type::String)))
    }

    /// The schema that Terraform asks for.
    pub fn to_proto(&self) -> pb::ResourceIdentitySchema {
        let is_only = self.kinds.len() == 1;
        pb::ResourceIdentitySchema {
            version: 0,
            identity_attributes: self
                .attributes()
                .map(|one| pb::resource_identity_schema::IdentityAttribute {
                    name: one.name.to_owned(),
                    r#type: Type::String.to_json_bytes(),
                    required_for_import: is_only && !one.optional,
                    optional_for_import: !is_only || one.optional,
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
        let text = |one: &IdentityAttribute| state.at(one.path).as_str();
        let is_of = |kind: &&&[IdentityAttribute]| {
            kind.iter().all(|one| one.optional || text(one).is_some())
        };
        let Some(own) = self.kinds.iter().find(is_of) else {
            return Ok(None);
        };
        let value = Value::map(self.attributes().map(|one| {
            let is_own = own.iter().any(|other| other.name == one.name);
            let text = text(one).filter(|_| is_own);
            (one.name, text.map_or(Value::Null, Value::string))
        }));
        let data = codec::encode(&value, &self.ty()).map_err(|error| {
            Diagnostic::bug(format!(
                "An identity does not have the type of its schema: {error}."
            ))
        })?;
        Ok(Some(pb::ResourceIdentityData {
            identity_data: Some(data),
        }))
    }

    /// The text of an identity that the user gave; several are joined by commas.
    ///
    /// # Errors
    /// When it is none, or names objects of several kinds.
    pub fn text(&self, data: &pb::ResourceIdentityData) -> Result<String, Diagnostics> {
        let in_words = |kind: &&[IdentityAttribute]| {
            let each: Vec<String> = kind
                .iter()
                .map(|one| {
                    let hint = if one.optional { ", optional" } else { "" };
                    format!("`{}` ({}{hint})", one.name, one.description)
                })
                .collect();
            each.join(", ")
        };
        let listed: Vec<String> = self.kinds.iter().map(in_words).collect();
        let listed = listed.join(" or ");
        let malformed = |error: &CodecError| {
            Diagnostic::error(
                "The identity cannot be read",
                format!("{error}. It has {listed}."),
            )
        };
        let value = codec::decode_optional(data.identity_data.as_ref(), &self.ty())
            .map_err(|error| malformed(&error))?;
        let given = |one: &IdentityAttribute| value.get(one.name).as_str().map(str::to_owned);
        let named: Vec<&&[IdentityAttribute]> = self
            .kinds
            .iter()
            .filter(|kind| kind.iter().any(|one| given(one).is_some()))
            .collect();
        match named.as_slice() {
            [kind] if kind.iter().all(|one| one.optional || given(one).is_some()) => {
                Ok(kind.iter().filter_map(given).collect::<Vec<_>>().join(","))
            }
            [] | [_] => Err(Diagnostic::error(
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

    const fn attribute(
        name: &'static str,
        path: &'static str,
        optional: bool,
    ) -> IdentityAttribute {
        IdentityAttribute {
            name,
            path,
            description: "a text",
            optional,
        }
    }

    const OF_TWO: Identity = Identity {
        kinds: &[
            &[attribute("left", "l.id", false)],
            &[
                attribute("right", "r.id", false),
                attribute("part", "r.part", false),
                attribute("more", "r.more", true),
            ],
        ],
    };

    fn given(texts: &[(&'static str, &str)]) -> Result<String, String> {
        let all = OF_TWO.attributes().map(|one| {
            let text = texts.iter().find(|(name, _)| *name == one.name);
            (
                one.name,
                text.map_or(Value::Null, |(_, text)| Value::string(*text)),
            )
        });
        let data = pb::ResourceIdentityData {
            identity_data: Some(codec::encode(&Value::map(all), &OF_TWO.ty()).unwrap()),
        };
        OF_TWO.text(&data).map_err(|said| format!("{said:?}"))
    }

    #[test]
    fn the_texts_of_one_kind_tell_an_object() {
        let (left, right, part, more) =
            (("left", "a"), ("right", "b"), ("part", "c"), ("more", "d"));
        assert_eq!(given(&[left]), Ok("a".to_owned()));
        assert_eq!(given(&[right, part]), Ok("b,c".to_owned()));
        assert_eq!(given(&[right, part, more]), Ok("b,c,d".to_owned()));
        for none in [&[][..], &[right], &[part, more]] {
            let none = given(none).unwrap_err();
            assert!(
                none.contains("not complete")
                    && none.contains("`left`")
                    && none.contains("`right`"),
                "{none}"
            );
        }
        let both = given(&[left, right, part]).unwrap_err();
        assert!(both.contains("several objects"), "{both}");
    }

    #[test]
    fn a_state_is_of_the_first_kind_that_it_has() {
        let state = Value::map([
            ("l", Value::map([("id", Value::unknown())])),
            (
                "r",
                Value::map([
                    ("id", Value::string("b")),
                    ("part", Value::string("c")),
                    ("more", Value::Null),
                ]),
            ),
        ]);
        let found = OF_TWO.of(&state).unwrap().unwrap();
        assert_eq!(OF_TWO.text(&found).unwrap(), "b,c");
        let unknown = Value::map([
            ("l", Value::Null),
            ("r", Value::map([("id", Value::string("b"))])),
        ]);
        assert!(OF_TWO.of(&unknown).unwrap().is_none());
    }
}
