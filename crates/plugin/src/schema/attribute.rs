//! One attribute or block: what it holds, who gives it its value, and how it is checked offline.

use std::fmt;
use std::str::FromStr;

use super::{Name, object_type};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::duration::GoDuration;
use crate::path::Path;
use crate::proto::tfplugin6;
use crate::types::Type;
use crate::validators;
use crate::value::Value;

/// How the elements of a nested attribute are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nesting {
    /// One object.
    Single,
    /// A list of objects.
    List,
    /// A set of objects.
    Set,
    /// A map of objects.
    Map,
}

/// What an attribute holds.
#[derive(Debug)]
pub enum Kind {
    /// A value of a plain type.
    Value(Type),
    /// Objects that have attributes of their own.
    Nested(Nesting, Vec<Attribute>),
}

/// How a block is written, and how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) least: i64,
    pub(super) most: i64,
}

/// Who gives an attribute its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The user, always.
    Required,
    /// The user, if they want.
    Optional,
    /// The provider.
    Computed,
    /// The user, or else the provider.
    OptionalComputed,
}

/// An offline check of a known value.
pub struct Check(Box<CheckFn>);

type CheckFn = dyn Fn(&Value) -> Result<(), Problem> + Send + Sync;

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Check")
    }
}

/// What a check found, for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// What is wrong, in one line.
    pub summary: String,
    /// What was found and what to do.
    pub detail: String,
}

impl Problem {
    /// What is wrong in one line, and what was found and what to do.
    pub fn new(summary: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            summary: summary.into(),
            detail: detail.into(),
        }
    }
}

/// Whether two values of an attribute mean the same.
pub type SameMeaning = fn(&Value, &Value) -> bool;

/// One attribute, or one block.
#[derive(Debug)]
#[non_exhaustive]
pub struct Attribute {
    /// The name in a configuration.
    pub name: Name,
    /// What it holds.
    pub kind: Kind,
    /// What it is for, in Markdown.
    pub description: String,
    /// Who gives it its value.
    pub presence: Presence,
    /// Whether Terraform hides it from people.
    pub sensitive: bool,
    /// Whether it never enters plan or state.
    pub write_only: bool,
    /// Why users should no longer set it.
    pub deprecated: Option<String>,
    /// Whether another value means another object.
    pub replaces: bool,
    /// Whether it only tells the provider how to work, as a timeout does: another value changes nothing of the object.
    pub quiet: bool,
    /// Whether a computed value stays what it was as long as the object lives.
    pub stable: bool,
    /// Whether that holds for a value alone, and not for null.
    pub stable_when_set: bool,
    /// Which of those changes mean another object; all of them where there is none.
    pub replaces_if: Option<SameMeaning>,
    /// The value when the user gives none.
    pub default: Option<Value>,
    /// When two spellings mean the same, the one in the state stays.
    pub same_meaning: Option<SameMeaning>,
    /// The same for the elements of a list, a set or a map.
    pub same_elements: Option<SameMeaning>,
    /// Whether no element may be null.
    pub no_nulls: bool,
    /// The write-only attribute that a Terraform which has such should be given instead.
    pub instead: Option<Name>,
    /// Offline checks.
    pub checks: Vec<Check>,
    /// For a block: how often it is written. `None` for an attribute.
    pub(super) block: Option<Times>,
}

impl Attribute {
    fn new(name: impl Into<Name>, kind: Kind) -> Self {
        Self {
            name: name.into(),
            kind,
            description: String::new(),
            presence: Presence::Optional,
            sensitive: false,
            write_only: false,
            deprecated: None,
            replaces: false,
            quiet: false,
            stable: false,
            stable_when_set: false,
            replaces_if: None,
            default: None,
            same_meaning: None,
            same_elements: None,
            no_nulls: false,
            instead: None,
            checks: Vec::new(),
            block: None,
        }
    }

    /// An attribute of any plain type.
    pub fn of(name: impl Into<Name>, ty: Type) -> Self {
        Self::new(name, Kind::Value(ty))
    }

    /// Text.
    pub fn string(name: impl Into<Name>) -> Self {
        Self::of(name, Type::String)
    }

    /// True or false.
    pub fn bool(name: impl Into<Name>) -> Self {
        Self::of(name, Type::Bool)
    }

    /// An attribute that is a number of any size and precision.
    pub fn number(name: impl Into<Name>) -> Self {
        Self::of(name, Type::Number)
    }

    /// A set of texts.
    pub fn string_set(name: impl Into<Name>) -> Self {
        Self::of(name, Type::set(Type::String))
    }

    /// One object with attributes of its own.
    pub fn object(name: impl Into<Name>, attributes: Vec<Attribute>) -> Self {
        Self::new(name, Kind::Nested(Nesting::Single, attributes))
    }

    /// Objects, each with attributes of its own.
    pub fn nested(name: impl Into<Name>, nesting: Nesting, attributes: Vec<Attribute>) -> Self {
        Self::new(name, Kind::Nested(nesting, attributes))
    }

    /// A block: `name { … }` instead of `name = { … }`, for those who have it so already. A new schema is better off with
    /// [`Attribute::nested`], which can also be null, unknown or computed. Blocks stand in schemas and in other blocks, not in nested
    /// attributes. A list, set or map of blocks that nobody writes is empty and not null.
    pub fn block(name: impl Into<Name>, nesting: Nesting, attributes: Vec<Attribute>) -> Self {
        Self {
            block: Some(Times::default()),
            ..Self::new(name, Kind::Nested(nesting, attributes))
        }
    }

    /// How often a block must and may be written; a greatest number of 0 means any. Terraform itself sees to it.
    #[must_use]
    pub fn times(mut self, least: u16, most: u16) -> Self {
        self.block = Some(Times {
            least: least.into(),
            most: most.into(),
        });
        self
    }

    /// The same as a block, for the derive: whether it can be one is checked there, and when it is registered.
    #[doc(hidden)]
    #[must_use]
    pub fn into_block(mut self) -> Self {
        self.block = Some(Times::default());
        self
    }

    /// A list of the same as a set, for the derive.
    #[doc(hidden)]
    #[must_use]
    pub fn into_set(mut self) -> Self {
        self.kind = match self.kind {
            Kind::Value(Type::List(element)) => Kind::Value(Type::Set(element)),
            Kind::Nested(Nesting::List, inner) => Kind::Nested(Nesting::Set, inner),
            other => other,
        };
        self
    }

    /// A collection of the same: its checks are for each element.
    pub(crate) fn collected(self, nesting: Nesting) -> Self {
        let of = |element: Type| match nesting {
            Nesting::Single => element,
            Nesting::List => Type::list(element),
            Nesting::Set => Type::set(element),
            Nesting::Map => Type::map(element),
        };
        let kind = match self.kind {
            Kind::Nested(Nesting::Single, inner) => Kind::Nested(nesting, inner),
            Kind::Value(ty) => Kind::Value(of(ty)),
            nested => Kind::Value(of(Self::new(self.name.clone(), nested).ty())),
        };
        let checks = self.checks.into_iter().map(|check| {
            let each = validators::each(move |value: &Value| (check.0)(value));
            Check(Box::new(each))
        });
        Self {
            same_elements: self.same_meaning,
            checks: checks.collect(),
            description: self.description,
            ..Self::new(self.name, kind)
        }
    }

    /// Whether it is written as a block.
    pub fn is_block(&self) -> bool {
        self.block.is_some()
    }

    /// It never enters plan or state: the provider sees it in the configuration alone (Terraform 1.11).
    #[doc(alias = "WriteOnly")]
    #[must_use]
    pub fn write_only(mut self) -> Self {
        self.write_only = true;
        self
    }

    /// A duration in Go's spelling.
    pub fn duration(name: impl Into<Name>) -> Self {
        let same: SameMeaning = |left, right| {
            let length = |value: &Value| {
                value
                    .as_str()
                    .and_then(|text| GoDuration::from_str(text).ok())
                    .map(|d| d.length())
            };
            length(left).is_some() && length(left) == length(right)
        };
        Self::string(name)
            .format::<GoDuration>("Invalid duration")
            .same_meaning(same)
    }

    /// What it is for, in Markdown.
    #[doc(alias = "MarkdownDescription")]
    #[must_use]
    pub fn describe(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// The user must give it.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.presence = Presence::Required;
        self
    }

    /// The provider gives it.
    #[must_use]
    pub fn computed(mut self) -> Self {
        self.presence = Presence::Computed;
        self
    }

    /// The user may give it, otherwise the provider does.
    #[must_use]
    pub fn optional_computed(mut self) -> Self {
        self.presence = Presence::OptionalComputed;
        self
    }

    /// Its computed value stays as long as the object lives, so a change elsewhere does not make it unknown.
    #[doc(alias = "UseStateForUnknown")]
    #[must_use]
    pub fn stable(mut self) -> Self {
        self.stable = true;
        self
    }

    /// The same for a value, and not for null: what the state of an older version or an import leaves out is planned as unknown by the next change,
    /// so that the provider can give it.
    #[doc(alias = "UseNonNullStateForUnknown")]
    #[must_use]
    pub fn stable_when_set(mut self) -> Self {
        self.stable = true;
        self.stable_when_set = true;
        self
    }

    /// It only tells the provider how to work: another value is written to the state, and nothing is called for it.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// Another value means another object.
    #[doc(alias = "RequiresReplace")]
    #[doc(alias = "ForceNew")]
    #[must_use]
    pub fn replaces(mut self) -> Self {
        self.replaces = true;
        self
    }

    /// Another value means another object if the rule says so of the former and the new one, which can be null or unknown. In an element of a
    /// set, where Terraform cannot tell which one was which, every other value does.
    ///
    /// ```
    /// use tfplugin::prelude::*;
    ///
    /// // A disk grows in place, and does not shrink.
    /// let size = Attribute::number("size")
    ///     .replaces_if(|before, after| after.as_number() < before.as_number());
    /// # assert!(size.replaces);
    /// ```
    #[doc(alias = "RequiresReplaceIf")]
    #[must_use]
    pub fn replaces_if(mut self, rule: fn(&Value, &Value) -> bool) -> Self {
        self.replaces = true;
        self.replaces_if = Some(rule);
        self
    }

    /// Terraform hides its value from people.
    #[must_use]
    pub fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    /// The value when the user gives none. Terraform wants such an attribute computed as well.
    #[doc(alias = "Default")]
    #[doc(alias = "StaticString")]
    #[must_use]
    pub fn default_value(mut self, value: Value) -> Self {
        self.default = Some(value);
        self.presence = Presence::OptionalComputed;
        self
    }

    /// Says why users should no longer set it.
    #[doc(alias = "DeprecationMessage")]
    #[must_use]
    pub fn deprecated(mut self, why: impl Into<String>) -> Self {
        self.deprecated = Some(why.into());
        self
    }

    /// The same for each element of a list, a set or a map.
    #[must_use]
    pub fn same_elements(mut self, same: SameMeaning) -> Self {
        self.same_elements = Some(same);
        self
    }

    /// The write-only attribute beside it that is better: a Terraform that has write-only attributes warns of this one.
    #[doc(alias = "PreferWriteOnlyAttribute")]
    #[must_use]
    pub fn better_write_only(mut self, name: impl Into<Name>) -> Self {
        self.instead = Some(name.into());
        self
    }

    /// Which spellings mean the same: the one in the state stays, in a plan as in what a create, an update or a read gives back. The first
    /// value is the older one.
    #[doc(alias = "SemanticEquals")]
    #[must_use]
    pub fn same_meaning(mut self, same: SameMeaning) -> Self {
        self.same_meaning = Some(same);
        self
    }

    /// An offline check of the whole value.
    #[doc(alias = "Validators")]
    #[must_use]
    pub fn check(
        mut self,
        check: impl Fn(&Value) -> Result<(), Problem> + Send + Sync + 'static,
    ) -> Self {
        self.checks.push(Check(Box::new(check)));
        self
    }

    /// The text, or each text of a list or set, must parse as a `T`; its error is the detail.
    #[must_use]
    pub fn format<T>(self, summary: &'static str) -> Self
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        self.check(move |value| {
            let wrong = |value: &Value| match value.as_str().map(T::from_str) {
                Some(Err(error)) => Some(sentence(&error.to_string())),
                _ => None,
            };
            let wrong: Vec<String> = match value {
                Value::List(elements) => elements.iter().filter_map(wrong).collect(),
                value => wrong(value).into_iter().collect(),
            };
            if wrong.is_empty() {
                return Ok(());
            }
            Err(Problem::new(summary, wrong.join("\n")))
        })
    }

    /// No element of a list, a set or a map may be null. Otherwise null is an element like any other, where the model has a place for it:
    /// `["a", null]` fits a `Vec<Option<String>>`, and is the user's mistake for a `Vec<String>`.
    #[doc(alias = "NoNullValues")]
    #[must_use]
    pub fn no_null_elements(mut self) -> Self {
        self.no_nulls = true;
        self
    }

    /// A list or set must not be empty.
    #[must_use]
    pub fn not_empty(self, summary: &'static str, detail: &'static str) -> Self {
        self.check(move |value| match value {
            Value::List(elements) if elements.is_empty() => Err(Problem::new(summary, detail)),
            _ => Ok(()),
        })
    }

    /// The type of its values.
    pub fn ty(&self) -> Type {
        match &self.kind {
            Kind::Value(ty) => ty.clone(),
            Kind::Nested(nesting, attributes) => {
                let object = object_type(attributes);
                match nesting {
                    Nesting::Single => object,
                    Nesting::List => Type::list(object),
                    Nesting::Set => Type::set(object),
                    Nesting::Map => Type::map(object),
                }
            }
        }
    }

    /// Whether the provider may give it a value.
    pub fn is_computed(&self) -> bool {
        matches!(
            self.presence,
            Presence::Computed | Presence::OptionalComputed
        )
    }

    /// How it nests and what is in it, when it is a block.
    pub(super) fn as_block(&self) -> Option<(Nesting, &[Attribute])> {
        match &self.kind {
            Kind::Nested(nesting, inner) if self.is_block() => Some((*nesting, inner)),
            _ => None,
        }
    }

    pub(super) fn to_proto(&self) -> tfplugin6::schema::Attribute {
        use tfplugin6::schema::object::NestingMode;
        let (ty, nested) = match &self.kind {
            Kind::Value(ty) => (ty.to_json_bytes(), None),
            Kind::Nested(nesting, attributes) => {
                let mode = match nesting {
                    Nesting::Single => NestingMode::Single,
                    Nesting::List => NestingMode::List,
                    Nesting::Set => NestingMode::Set,
                    Nesting::Map => NestingMode::Map,
                };
                let attributes = attributes.iter().map(Self::to_proto).collect();
                let object = tfplugin6::schema::Object {
                    attributes,
                    nesting: mode.into(),
                    ..tfplugin6::schema::Object::default()
                };
                (Vec::new(), Some(object))
            }
        };
        tfplugin6::schema::Attribute {
            name: self.name.clone().into_owned(),
            r#type: ty,
            nested_type: nested,
            description: self.description.clone(),
            required: self.presence == Presence::Required,
            optional: matches!(
                self.presence,
                Presence::Optional | Presence::OptionalComputed
            ),
            computed: self.is_computed(),
            sensitive: self.sensitive,
            description_kind: tfplugin6::StringKind::Markdown.into(),
            deprecated: self.deprecated.is_some(),
            write_only: self.write_only,
            deprecation_message: self.deprecated.clone().unwrap_or_default(),
        }
    }

    /// What is null and must not be, here and inside.
    fn missing(&self, value: &Value, path: &Path, found: &mut Diagnostics) {
        match (&self.kind, value) {
            (_, value) if value.is_null() && self.presence == Presence::Required => found.push(
                Diagnostic::error(
                    "Missing required argument",
                    format!("The argument `{path}` is required, but its value is null. Set it, or remove what makes it null."),
                )
                .at(path.clone()),
            ),
            (Kind::Value(_), value) if self.no_nulls => {
                let of_map = value.as_map().into_iter().flat_map(std::collections::BTreeMap::values);
                if value.as_list().iter().chain(of_map).any(Value::is_null) {
                    found.push(null_element(path));
                }
            }
            (Kind::Nested(nesting, attributes), value) => each_object(*nesting, value, path, |object, path| {
                missing_in(attributes, object, &path, found);
            }),
            _ => {}
        }
    }

    fn validate(&self, value: &Value, path: &Path, found: &mut Diagnostics) {
        if value.is_null() || value.is_unknown() {
            return;
        }
        for check in &self.checks {
            if let Err(problem) = (check.0)(value) {
                found.push(Diagnostic::error(problem.summary, problem.detail).at(path.clone()));
            }
        }
        if let Kind::Nested(nesting, attributes) = &self.kind {
            each_object(*nesting, value, path, |object, path| {
                validate_all(attributes, object, &path, found)
            });
        }
    }
}

/// An element that is null, and has no place.
pub(crate) fn null_element(path: &Path) -> Diagnostic {
    Diagnostic::error(
        "Null value in a list",
        format!("An element of `{path}` is null. Remove it, for example with `compact(…)`."),
    )
    .at(path.clone())
}

pub(super) fn without_write_only(attributes: &[Attribute], value: Value) -> Value {
    let Value::Map(mut entries) = value else {
        return value;
    };
    for attribute in attributes {
        let Some(value) = entries.get_mut(&*attribute.name) else {
            continue;
        };
        let Kind::Nested(nesting, inner) = &attribute.kind else {
            if attribute.write_only {
                *value = Value::Null;
            }
            continue;
        };
        if attribute.write_only {
            *value = Value::Null;
        } else if has_write_only(inner) {
            let whole = std::mem::replace(value, Value::Null);
            *value = match (nesting, whole) {
                (Nesting::Single, whole) => without_write_only(inner, whole),
                (_, Value::List(elements)) => {
                    let elements = elements.into_iter();
                    Value::List(elements.map(|one| without_write_only(inner, one)).collect())
                }
                (_, Value::Map(elements)) => {
                    let one = |(key, one)| (key, without_write_only(inner, one));
                    Value::Map(elements.into_iter().map(one).collect())
                }
                (_, whole) => whole,
            };
        }
    }
    Value::Map(entries)
}

pub(super) fn has_write_only(attributes: &[Attribute]) -> bool {
    let is_hidden = |one: &Attribute| match &one.kind {
        Kind::Nested(_, inner) => one.write_only || has_write_only(inner),
        Kind::Value(_) => one.write_only,
    };
    attributes.iter().any(is_hidden)
}

pub(super) fn written_only(
    attributes: &[Attribute],
    value: &Value,
    path: &Path,
    found: &mut Vec<Path>,
) {
    for attribute in attributes {
        let (value, path) = (value.get(&attribute.name), path.attribute(&attribute.name));
        match &attribute.kind {
            _ if attribute.write_only => {
                if !value.is_null() {
                    found.push(path);
                }
            }
            Kind::Nested(nesting, inner) => each_object(*nesting, value, &path, |object, path| {
                written_only(inner, object, &path, found);
            }),
            Kind::Value(_) => {}
        }
    }
}

pub(super) fn better_write_only(
    attributes: &[Attribute],
    value: &Value,
    path: &Path,
    found: &mut Diagnostics,
) {
    for attribute in attributes {
        let (value, own) = (value.get(&attribute.name), path.attribute(&attribute.name));
        if let (Some(better), false) = (&attribute.instead, value.is_null()) {
            let warning = Diagnostic::warning(
                "A write-only attribute is available",
                format!(
                    "`{own}` ends up in the plan and in the state. Use `{}` instead, which this Terraform keeps out of both.",
                    path.attribute(better)
                ),
            );
            found.push(warning.at(own.clone()));
        }
        if let Kind::Nested(nesting, inner) = &attribute.kind {
            each_object(*nesting, value, &own, |object, path| {
                better_write_only(inner, object, &path, found);
            });
        }
    }
}

/// Each object of a nested attribute, and where it is.
fn each_object(nesting: Nesting, value: &Value, path: &Path, mut visit: impl FnMut(&Value, Path)) {
    match (nesting, value) {
        (Nesting::Single, object @ Value::Map(_)) => visit(object, path.clone()),
        (Nesting::Map, Value::Map(entries)) => entries
            .iter()
            .for_each(|(key, object)| visit(object, path.key(key))),
        (_, Value::List(elements)) => {
            elements
                .iter()
                .enumerate()
                .for_each(|(index, object)| visit(object, path.index(index)));
        }
        _ => {}
    }
}

pub(super) fn missing_in(
    attributes: &[Attribute],
    object: &Value,
    path: &Path,
    found: &mut Diagnostics,
) {
    for attribute in attributes {
        attribute.missing(
            object.get(&attribute.name),
            &path.attribute(&attribute.name),
            found,
        );
    }
}

pub(super) fn validate_all(
    attributes: &[Attribute],
    object: &Value,
    path: &Path,
    found: &mut Diagnostics,
) {
    for attribute in attributes {
        attribute.validate(
            object.get(&attribute.name),
            &path.attribute(&attribute.name),
            found,
        );
    }
}

/// An error message as a sentence: library errors begin in lower case and end without a full stop.
pub fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let mut sentence: String = match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    };
    if !sentence.ends_with(['.', '!', '?', ':', '\n', '}', '…']) {
        sentence.push('.');
    }
    sentence
}
