//! A struct as the schema: `#[derive(Model)]`.
//!
//! ```
//! use std::collections::BTreeMap;
//! use tfplugin::prelude::*;
//!
//! /// An article of a shop.
//! #[derive(Clone, Debug, Default, Model)]
//! #[model(version = 1, rule = validators::at_least_one_of(&["price", "prices"]))]
//! struct Article {
//!     /// What it is. Another name is another article.
//!     #[attr(required, replaces)]
//!     name: Attr<String>,
//!     /// What it costs.
//!     #[attr(check = validators::between(1, 1_000_000))]
//!     price: Attr<i64>,
//!     /// How it looks.
//!     #[attr(default = Color::Green)]
//!     color: Attr<Color>,
//!     /// Its number.
//!     #[attr(computed, stable)]
//!     number: Attr<String>,
//!     /// What it costs elsewhere, by currency.
//!     prices: Attr<BTreeMap<String, Foreign>>,
//!     /// What stands on it.
//!     #[attr(block, times(0, 3))]
//!     label: Attr<Vec<Label>>,
//! }
//!
//! #[derive(Clone, Debug, Model)]
//! struct Foreign {
//!     /// How much.
//!     #[attr(required)]
//!     amount: Attr<i64>,
//! }
//!
//! #[derive(Clone, Debug, Model)]
//! struct Label {
//!     /// What it says.
//!     #[attr(required)]
//!     text: Attr<String>,
//! }
//!
//! #[derive(Clone, Debug, Model)]
//! #[model(rename_all = "SCREAMING_SNAKE_CASE")]
//! enum Color {
//!     Green,
//!     DarkBlue,
//! }
//!
//! let schema = Article::schema();
//! assert_eq!(schema.description, "An article of a shop.");
//! assert_eq!(schema.attributes.len(), 6);
//! assert_eq!(Color::NAMES, ["GREEN", "DARK_BLUE"]);
//! ```
//!
//! A resource then has `type Model = Article` and `fn schema(&self) -> Schema { Article::schema() }`. Documentation comments are the
//! descriptions that Terraform shows. The derive also makes the `Serialize` and `Deserialize` of the struct, by the names of the schema.
//!
//! | `#[attr(…)]` | |
//! |---|---|
//! | `required`, `computed`, `optional_computed`; `optional` where there is none | who gives the value |
//! | `replaces`, `stable`, `quiet`, `sensitive`, `write_only`, `no_null_elements` | the method of [`Attribute`] with that name |
//! | `default = …` | the value when the user gives none: a text, or what the field holds |
//! | `check = …` | an offline check, as often as you like: [`validators`], or a function |
//! | `format(TYPE, "…")` | the text has to parse as a `TYPE`; the text is the summary of the error |
//! | `stable_when_set`, `replaces_if = …` | the same for a value that is not null, and for some changes |
//! | `same_meaning = …`, `same_elements = …` | which spellings mean the same |
//! | `better_write_only = "…"`, `deprecated = "…"` | what is to be used instead, and why |
//! | `block`, `times(least, most)` | it is written as a block |
//! | `set` | a `Vec` is a set; a `BTreeSet` is one anyway |
//! | `text` | a type of your own that serde reads and writes as a text |
//! | `ty = …` | any other [`Type`] |
//! | `name = "…"` | another name than that of the field |
//! | `skip` | no attribute: it is [`Default`] |
//!
//! `#[model(…)]` has `version = …`, `deprecated = "…"` and `rule = …` for a struct, and `rename_all = "…"` for an enum, whose variants may have
//! `#[attr(name = "…")]`.
//!
//! What does not fit does not compile: a field that is not required has a place for null, a block is made of models, a `set` is a list. A
//! plan can have unknown values everywhere, so the fields of a *resource* are [`Attr`]s; what has no place for them is
//! refused when the provider is started. A schema can as well be written by hand, beside a struct that serde reads and writes.
//!
//! ```compile_fail
//! # use tfplugin::prelude::*;
//! #[derive(Model)]
//! struct Ball {
//!     size: String, // It can be null, since it is not required.
//! }
//! ```
//!
//! ```compile_fail
//! # use tfplugin::prelude::*;
//! #[derive(Model)]
//! struct Ball {
//!     #[attr(computed, write_only)] // What is write-only is in no state.
//!     secret: Attr<String>,
//! }
//! ```
//!
//! ```compile_fail
//! # use tfplugin::prelude::*;
//! #[derive(Model)]
//! struct Ball {
//!     #[attr(default = true)] // A number has no such default.
//!     size: Attr<u8>,
//! }
//! ```
//!
//! ```compile_fail
//! # use tfplugin::prelude::*;
//! #[derive(Model)]
//! struct Ball {
//!     #[attr(block)] // Only objects are written as blocks.
//!     colors: Attr<Vec<String>>,
//! }
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Display;
use std::str::FromStr;

use ::serde::Serialize;
use ::serde::de::{self, DeserializeOwned, IntoDeserializer};

use super::bridge::{Attr, to_value};
use super::duration::GoDuration;
use super::number::Number;
use super::schema::{Attribute, Name, Nesting, Schema};
use super::types::Type;
use super::validators;
use super::value::Value;

/// For what the derive makes: who derives needs no serde of their own.
#[doc(hidden)]
pub use ::serde;
#[cfg(feature = "derive")]
pub use tfplugin_derive::Model;

/// A struct that is model and schema. [Derive](self) it.
pub trait Model: Serialize + DeserializeOwned {
    /// An attribute for each field.
    fn attributes() -> Vec<Attribute>;

    /// The schema, with the documentation of the struct as its description.
    fn schema() -> Schema;
}

/// What can be the field of a model.
#[diagnostic::on_unimplemented(
    message = "`{Self}` says nothing of its form in Terraform",
    label = "derive `Model` for it, or say that it is a text: `#[attr(text)]`",
    note = "any other type of Terraform can be given with `#[attr(ty = …)]`"
)]
pub trait Field {
    /// Whether it has a place for null.
    const BEARS_NULL: bool = false;
    /// Whether it has a place for what is not known.
    const BEARS_UNKNOWN: bool = false;

    /// The attribute of such a field: its type, and the checks that come with it.
    fn attribute(name: Name) -> Attribute;
}

/// A field that has a place for null.
#[diagnostic::on_unimplemented(
    message = "an attribute that is not required can be null, and `{Self}` has no place for that",
    label = "make it an `Attr<…>`, or say `#[attr(required)]`"
)]
pub trait Nullable {
    /// What it holds when it is not null.
    type Held;
}

/// A field that is made of models, so that it can be a block.
#[diagnostic::on_unimplemented(
    message = "only objects are written as blocks, and `{Self}` is none",
    label = "derive `Model` for what is in it"
)]
pub trait MadeOfModels {}

/// A list, which a schema may as well have as a set.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a list, so it cannot be a set",
    label = "a `Vec<…>` can, and a `BTreeSet<…>` is one without `set`"
)]
pub trait ListLike {}

/// A text that is one of some names: an enum. Derive it with [`Model`](derive@Model).
pub trait OneOf: Sized {
    /// Every name, in the order of the variants.
    const NAMES: &'static [&'static str];

    /// The name of the variant, as the configuration has it.
    fn as_str(&self) -> &'static str;
}

impl<T: Field> Field for Attr<T> {
    const BEARS_NULL: bool = true;
    const BEARS_UNKNOWN: bool = true;

    fn attribute(name: Name) -> Attribute {
        T::attribute(name)
    }
}

impl<T: Field> Field for Option<T> {
    const BEARS_NULL: bool = true;

    fn attribute(name: Name) -> Attribute {
        T::attribute(name)
    }
}

impl Field for Value {
    const BEARS_NULL: bool = true;
    const BEARS_UNKNOWN: bool = true;

    fn attribute(name: Name) -> Attribute {
        Attribute::of(name, Type::Dynamic)
    }
}

impl<T> Nullable for Attr<T> {
    type Held = T;
}

impl<T> Nullable for Option<T> {
    type Held = T;
}

impl Nullable for Value {
    type Held = Self;
}

macro_rules! plain {
    ($make:ident: $($ty:ty),*) => {$(
        impl Field for $ty {
            fn attribute(name: Name) -> Attribute {
                Attribute::$make(name)
            }
        }
    )*};
}

plain! { string: String, char, std::path::PathBuf }
plain! { bool: bool }
plain! { number: Number, i8, i16, i32, i64, i128, u8, u16, u32, u64, f32, f64 }
plain! { duration: GoDuration }

macro_rules! collections {
    ($nesting:ident: $($(#[$doc:meta])* [$($generics:tt)*] $ty:ty),* $(,)?) => {$(
        $(#[$doc])*
        impl<$($generics)*> Field for $ty {
            fn attribute(name: Name) -> Attribute {
                T::attribute(name).collected(Nesting::$nesting)
            }
        }
    )*};
}

collections! { List: [T: Field] Vec<T> }
collections! { Set: [T: Field] BTreeSet<T>, [T: Field, S] HashSet<T, S> }
collections! { Map: [T: Field] BTreeMap<String, T>, [T: Field, S] HashMap<String, T, S> }

impl<T> ListLike for Vec<T> {}
impl<T: ListLike> ListLike for Attr<T> {}
impl<T: ListLike> ListLike for Option<T> {}

impl<T: MadeOfModels> MadeOfModels for Attr<T> {}
impl<T: MadeOfModels> MadeOfModels for Option<T> {}
impl<T: MadeOfModels> MadeOfModels for Vec<T> {}
impl<T: MadeOfModels> MadeOfModels for BTreeSet<T> {}
impl<T: MadeOfModels> MadeOfModels for BTreeMap<String, T> {}

#[doc(hidden)]
pub fn has_a_place_for_null<T: Nullable>() {}

#[doc(hidden)]
pub fn is_made_of_models<T: MadeOfModels>() {}

#[doc(hidden)]
pub fn is_a_list<T: ListLike>() {}

/// A text in a type of your own: it is read by `FromStr`, whose error is said of it, and written by `Display`. For the arguments of
/// [typed functions](crate::function::typed); a field of a model has `#[attr(text, format(TYPE, "…"))]`.
///
/// ```
/// use std::net::IpAddr;
/// use tfplugin::model::Text;
/// use tfplugin::prelude::*;
///
/// let is_six = |Text(address): Text<IpAddr>| Ok(address.is_ipv6());
/// let function = function::typed("is_six", ["address"], is_six);
/// assert_eq!(function.call(&["::1".into()]), Ok(true.into()));
/// let refused = function.call(&["7".into()]).unwrap_err();
/// assert_eq!((refused.text.as_str(), refused.argument), ("Invalid IP address syntax.", Some(0)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<T>(pub T);

impl<T> Field for Text<T> {
    fn attribute(name: Name) -> Attribute {
        Attribute::string(name)
    }
}

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T: FromStr<Err: Display>> ::serde::Deserialize<'de> for Text<T> {
    fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

/// The attribute of a text that is one of some names.
#[doc(hidden)]
pub fn one_of<T: OneOf>(name: Name) -> Attribute {
    Attribute::string(name).check(validators::one_of(T::NAMES))
}

/// A default as a value; one without a form is found when the provider is started.
#[doc(hidden)]
pub fn default_of(default: &impl Serialize) -> Value {
    to_value(default).unwrap_or_else(|_| Value::unknown())
}

/// A field that is not there: null, where it has a place for that.
#[doc(hidden)]
pub fn missing<T: DeserializeOwned, E: de::Error>(name: &'static str) -> Result<T, E> {
    let nothing: de::value::UnitDeserializer<E> = ().into_deserializer();
    T::deserialize(nothing).map_err(|_| E::missing_field(name))
}
