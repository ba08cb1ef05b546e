//! What tells one object from all others, apart from its state: for imports by identity and for lists (Terraform 1.12).

use super::codec::json::decode_lenient;
use super::codec::{self, CodecError};
use super::diagnostics::{Diagnostic, Diagnostics};
use super::proto::tfplugin6 as pb;
use super::resource::{Import, in_text};
use super::schema::Name;
use super::stored::RawState;
use super::types::Type;
use super::value::Value;

/// One value that tells an object from others: a text, unless [`IdentityAttribute::ty`] says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IdentityAttribute {
    /// The name in an `import` block.
    pub name: Name,
    /// Where the state has it, with dots.
    pub path: Name,
    /// The text that Terraform's documentation commands show.
    pub description: Name,
    /// Whether an object may lack it.
    pub optional: bool,
    /// The type: a text unless [`IdentityAttribute::ty`] says otherwise.
    pub ty: Type,
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
            ty: Type::String,
        }
    }

    /// Sets its type, if it is not a text: a number, true or false, or a list of one of these.
    #[must_use]
    pub fn ty(mut self, ty: Type) -> Self {
        self.ty = ty;
        self
    }

    /// Where the state has it, with dots. Where it has none of it, [`Context::set_identity`](crate::context::Context::set_identity) gives it.
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
///
/// An object keeps its identity: a provider that reads another one has read another object, and the server reports that to Terraform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    kinds: Vec<Vec<IdentityAttribute>>,
    version: i64,
    may_change: bool,
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

    /// A later version of its form; identities of earlier ones go through
    /// [`Resource::upgrade_identity`](crate::resource::Resource::upgrade_identity).
    #[must_use]
    pub fn version(mut self, version: i64) -> Self {
        self.version = version;
        self
    }

    /// An object may get another identity while it lives.
    #[doc(alias = "MutableIdentity")]
    #[must_use]
    pub fn may_change(mut self) -> Self {
        self.may_change = true;
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
        let attributes = self.attributes();
        Type::object(attributes.map(|one| (one.name.clone(), one.ty.clone())))
    }

    /// The schema that Terraform asks for.
    pub(crate) fn to_proto(&self) -> pb::ResourceIdentitySchema {
        let is_only = self.kinds.len() == 1;
        pb::ResourceIdentitySchema {
            version: self.version,
            identity_attributes: self
                .attributes()
                .map(|one| pb::resource_identity_schema::IdentityAttribute {
                    name: one.name.clone().into_owned(),
                    r#type: one.ty.to_json_bytes(),
                    required_for_import: is_only && !one.optional,
                    optional_for_import: !is_only || one.optional,
                    description: one.description.clone().into_owned(),
                })
                .collect(),
        }
    }

    /// The identity of the object of a state; `None` while it is not known.
    pub(crate) fn of(&self, state: &Value) -> Option<Value> {
        let known = |one: &IdentityAttribute| {
            Some(state.at(&one.path)).filter(|value| !value.is_null() && value.is_wholly_known())
        };
        let is_of = |kind: &&Vec<IdentityAttribute>| {
            kind.iter().all(|one| one.optional || known(one).is_some())
        };
        let own = self.kinds.iter().find(is_of)?;
        Some(Value::map(self.attributes().map(|one| {
            let is_own = own.iter().any(|other| other.name == one.name);
            let value = known(one).filter(|_| is_own);
            (one.name.clone(), value.cloned().unwrap_or(Value::Null))
        })))
    }

    /// The message that carries an identity.
    ///
    /// # Errors
    /// When it does not have the form of its schema: a fault of the provider.
    pub(crate) fn encode(&self, identity: &Value) -> Result<pb::ResourceIdentityData, Diagnostics> {
        let ty = self.ty();
        let data = codec::encode(&identity.clone().canonical(&ty), &ty).map_err(|error| {
            Diagnostic::bug(format!(
                "An identity does not have the type of its schema: {error}."
            ))
        })?;
        Ok(pb::ResourceIdentityData {
            identity_data: Some(data),
        })
    }

    /// An identity that Terraform kept; `None` where it has none, or nothing but nulls.
    ///
    /// # Errors
    /// When it does not have the form of its schema.
    pub(crate) fn decode(
        &self,
        data: Option<&pb::ResourceIdentityData>,
    ) -> Result<Option<Value>, Diagnostics> {
        let Some(data) = data.and_then(|data| data.identity_data.as_ref()) else {
            return Ok(None);
        };
        let value = codec::decode(data, &self.ty()).map_err(|error| {
            Diagnostic::error(
                "The identity in the state cannot be read",
                format!("It does not have the form of its schema: {error}."),
            )
        })?;
        let mut parts = value.as_map().into_iter().flatten();
        let is_there = parts.any(|(_, part)| !part.is_null());
        Ok(is_there.then_some(value))
    }

    /// What there is to say of an object that gets another identity while it lives. What was not given before may be added.
    pub(crate) fn refuse_change(
        &self,
        name: &str,
        before: &Value,
        now: &Value,
    ) -> Result<(), Diagnostics> {
        let parts = before.as_map().into_iter().flatten();
        let mut changed = parts.filter(|(name, part)| !part.is_null() && now.get(name) != *part);
        let Some((part, was)) = changed.next().filter(|_| !self.may_change) else {
            return Ok(());
        };
        Err(Diagnostic::error(
            format!("Unexpected identity change of {name}"),
            format!(
                "The identity that Terraform keeps has `{part}` = {was}, and the provider now says {}. An object keeps its identity as long as \
                 it lives, so this may be another object.\n\nCompare the object with its state. If it was replaced outside of Terraform, remove it \
                 from the state (`terraform state rm`), and import the new one. If it was not, report this as a bug of the provider.",
                now.get(part)
            ),
        )
        .into())
    }

    /// What the user gave to import an object by.
    ///
    /// # Errors
    /// When it is none, or names objects of several kinds.
    pub(crate) fn import(&self, data: &pb::ResourceIdentityData) -> Result<Import, Diagnostics> {
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
        let given = |one: &IdentityAttribute| in_text(value.get(&one.name));
        let named: Vec<&Vec<IdentityAttribute>> = self
            .kinds
            .iter()
            .filter(|kind| kind.iter().any(|one| given(one).is_some()))
            .collect();
        match named.as_slice() {
            [kind] if kind.iter().all(|one| one.optional || given(one).is_some()) => {
                let texts: Vec<String> = kind.iter().filter_map(given).collect();
                Ok(Import::of(value.clone(), texts.join(",")))
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
        let value = decode_lenient(raw.value(), &self.ty()).map_err(unreadable)?;
        self.encode(&value)
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
        let import = of_two().import(&data);
        import
            .map(|import| import.text().to_owned())
            .map_err(|said| format!("{said:?}"))
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
        let found = of_two().encode(&of_two().of(&state).unwrap()).unwrap();
        let import = of_two().import(&found).unwrap();
        assert_eq!((import.text(), import.id()), ("b,c", None));
        assert_eq!((import.get("part"), import.get("left")), (Some("c"), None));
        let unknown = Value::map([
            ("l", Value::Null),
            ("r", Value::map([("id", Value::string("b"))])),
        ]);
        assert!(of_two().of(&unknown).is_none());
    }

    /// Each row: an identity, what becomes of it, and whether that is another object.
    #[test]
    fn an_object_keeps_its_identity() {
        let attributes = || {
            [
                IdentityAttribute::new("id", "a number").ty(Type::Number),
                IdentityAttribute::new("zone", "a text").optional(),
            ]
        };
        let of =
            |id: i64, zone: Option<&str>| Value::map([("id", id.into()), ("zone", zone.into())]);
        for (before, now, is_other) in [
            (of(1, None), of(1, None), false),
            (of(1, None), of(1, Some("a")), false),
            (of(1, Some("a")), of(1, Some("b")), true),
            (of(1, Some("a")), of(1, None), true),
            (of(1, None), of(2, None), true),
        ] {
            let identity = Identity::new(attributes());
            let refused = identity.refuse_change("toys_ball", &before, &now);
            assert_eq!(refused.is_err(), is_other, "{before} {now}");
            assert!(
                identity
                    .clone()
                    .may_change()
                    .refuse_change("", &before, &now)
                    .is_ok()
            );
            let data = identity.encode(&now).unwrap();
            assert_eq!(identity.decode(Some(&data)).unwrap(), Some(now));
        }
        let identity = Identity::new(attributes());
        let nulls = Value::map([("id", Value::Null)]);
        let nothing = identity.encode(&nulls).unwrap();
        assert_eq!(identity.decode(Some(&nothing)).unwrap(), None);
        let import = identity
            .import(&identity.encode(&of(7, Some("a"))).unwrap())
            .unwrap();
        assert_eq!(import.text(), "7,a");
    }
}
