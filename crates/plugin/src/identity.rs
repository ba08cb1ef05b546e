//! What tells one object from all others, apart from its state: for imports by identity and for lists (Terraform 1.12).

use super::codec::json::decode_lenient;
use super::codec::{self, CodecError};
use super::diagnostics::{Diagnostic, Diagnostics};
use super::proto::tfplugin6 as pb;
use super::schema::Name;
use super::stored::RawState;
use super::types::Type;
use super::value::Value;

/// One text by which an object can be told from others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IdentityAttribute {
    /// Its name.
    pub name: Name,
    /// Where the state has it, with dots.
    pub path: Name,
    /// What it is.
    pub description: Name,
    /// Whether an object may lack it.
    pub optional: bool,
}

impl IdentityAttribute {
    /// A text that every object has, under the same name as in the state.
    pub fn new(name: impl Into<Name>, description: impl Into<Name>) -> Self {
        let name = name.into();
        Self {
            path: name.clone(),
            name,
            description: description.into(),
            optional: false,
        }
    }

    /// Where the state has it, with dots.
    #[must_use]
    pub fn path(mut self, dotted: impl Into<Name>) -> Self {
        self.path = dotted.into();
        self
    }

    /// An object may lack it.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }
}

/// The identity of a resource: texts that Terraform keeps under names. Where the objects of a resource are of several kinds, each kind has
/// texts of its own, and an object has those of exactly one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    kinds: Vec<Vec<IdentityAttribute>>,
}

impl Identity {
    /// Objects without an identity: they are imported by their ID alone.
    pub fn none() -> Self {
        Self::default()
    }

    /// Objects of one kind, told from each other by these texts.
    pub fn new(attributes: impl IntoIterator<Item = IdentityAttribute>) -> Self {
        Self::none().or(attributes)
    }

    /// Objects of a further kind. An object is of the first kind whose attributes it has.
    #[must_use]
    pub fn or(mut self, attributes: impl IntoIterator<Item = IdentityAttribute>) -> Self {
        self.kinds.push(attributes.into_iter().collect());
        self
    }

    /// The attributes of each kind.
    pub fn kinds(&self) -> impl Iterator<Item = &[IdentityAttribute]> {
        self.kinds.iter().map(Vec::as_slice)
    }

    /// Whether the objects have none.
    pub fn is_none(&self) -> bool {
        self.kinds.is_empty()
    }

    fn attributes(&self) -> impl Iterator<Item = &IdentityAttribute> {
        self.kinds.iter().flatten()
    }

    fn ty(&self) -> Type {
        Type::object(
            self.attributes()
                .map(|one| (one.name.clone(), Type::String)),
        )
    }

    /// The schema that Terraform asks for.
    pub(crate) fn to_proto(&self) -> pb::ResourceIdentitySchema {
        let is_only = self.kinds.len() == 1;
        pb::ResourceIdentitySchema {
            version: 0,
            identity_attributes: self
                .attributes()
                .map(|one| pb::resource_identity_schema::IdentityAttribute {
                    name: one.name.clone().into_owned(),
                    r#type: Type::String.to_json_bytes(),
                    required_for_import: is_only && !one.optional,
                    optional_for_import: !is_only || one.optional,
                    description: one.description.clone().into_owned(),
                })
                .collect(),
        }
    }

    /// The identity of the object of a state; `None` while it is not known.
    ///
    /// # Errors
    /// When the state has something else there: a fault of the provider.
    pub(crate) fn of(
        &self,
        state: &Value,
    ) -> Result<Option<pb::ResourceIdentityData>, Diagnostics> {
        let text = |one: &IdentityAttribute| state.at(&one.path).as_str();
        let is_of = |kind: &&Vec<IdentityAttribute>| {
            kind.iter().all(|one| one.optional || text(one).is_some())
        };
        let Some(own) = self.kinds.iter().find(is_of) else {
            return Ok(None);
        };
        let value = Value::map(self.attributes().map(|one| {
            let is_own = own.iter().any(|other| other.name == one.name);
            let text = text(one).filter(|_| is_own);
            (one.name.clone(), text.map_or(Value::Null, Value::string))
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
    pub(crate) fn text(&self, data: &pb::ResourceIdentityData) -> Result<String, Diagnostics> {
        let in_words = |kind: &Vec<IdentityAttribute>| {
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
        let given = |one: &IdentityAttribute| value.get(&one.name).as_str().map(str::to_owned);
        let named: Vec<&Vec<IdentityAttribute>> = self
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
    pub(crate) fn upgraded(&self, raw: &RawState) -> Result<pb::ResourceIdentityData, Diagnostics> {
        let unreadable = |error: CodecError| {
            Diagnostic::error(
                "The identity in the state cannot be read",
                format!(
                    "It does not have the form of its schema: {error}. If the state was edited by hand, restore it from its backup."
                ),
            )
        };
        let value = decode_lenient(raw.json(), &self.ty()).map_err(unreadable)?;
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

    fn of_two() -> Identity {
        let attribute = |name, path| IdentityAttribute::new(name, "a text").path(path);
        Identity::new([attribute("left", "l.id")]).or([
            attribute("right", "r.id"),
            attribute("part", "r.part"),
            attribute("more", "r.more").optional(),
        ])
    }

    fn given(texts: &[(&'static str, &str)]) -> Result<String, String> {
        let identity = of_two();
        let all = identity.attributes().map(|one| {
            let text = texts.iter().find(|(name, _)| *name == one.name);
            (
                one.name.clone(),
                text.map_or(Value::Null, |(_, text)| Value::string(*text)),
            )
        });
        let data = pb::ResourceIdentityData {
            identity_data: Some(codec::encode(&Value::map(all), &of_two().ty()).unwrap()),
        };
        of_two().text(&data).map_err(|said| format!("{said:?}"))
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
        let found = of_two().of(&state).unwrap().unwrap();
        assert_eq!(of_two().text(&found).unwrap(), "b,c");
        let unknown = Value::map([
            ("l", Value::Null),
            ("r", Value::map([("id", Value::string("b"))])),
        ]);
        assert!(of_two().of(&unknown).unwrap().is_none());
    }
}
