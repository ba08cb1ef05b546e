//! One description of a block, from which come Terraform's schema, the codec's type, the offline checks, the rules of
//! planning and the documentation: they cannot drift apart.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::diagnostics::{Diagnostic, Diagnostics};
use super::duration::GoDuration;
use super::path::Path;
use super::proto::tfplugin6;
use super::types::Type;
use super::value::Value;

/// A name that is written in the program or made at run time.
pub type Name = Cow<'static, str>;

/// The description of a provider's, resource's or data source's configuration.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Schema {
    /// The version of the state's form; a higher one than before needs an upgrade.
    pub version: i64,
    /// What it is for, in Markdown.
    pub description: String,
    /// Its attributes and blocks, in the order in which the documentation shows them.
    pub attributes: Vec<Attribute>,
    /// Why it should not be used any more.
    pub deprecated: Option<String>,
    rules: Vec<Rule>,
}

/// An offline check of a whole configuration, across attributes.
struct Rule(Box<RuleFn>);

type RuleFn = dyn Fn(&Value) -> Option<Diagnostic> + Send + Sync;

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rule")
    }
}

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
struct Times {
    least: i64,
    most: i64,
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
    /// Its name.
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
    /// Why it should not be used any more.
    pub deprecated: Option<String>,
    /// Whether another value means another object.
    pub replaces: bool,
    /// Whether it only tells the provider how to work, as a timeout does: another value changes nothing of the object.
    pub quiet: bool,
    /// Whether a computed value stays what it was as long as the object lives.
    pub stable: bool,
    /// The value when the user gives none.
    pub default: Option<Value>,
    /// When two spellings mean the same, the one in the state stays.
    pub same_meaning: Option<SameMeaning>,
    /// Offline checks.
    pub checks: Vec<Check>,
    /// For a block: how often it is written. `None` for an attribute.
    block: Option<Times>,
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
            default: None,
            same_meaning: None,
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

    /// A number.
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

    /// Whether it is written as a block.
    pub fn is_block(&self) -> bool {
        self.block.is_some()
    }

    /// It never enters plan or state: the provider sees it in the configuration alone (Terraform 1.11).
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

    /// The conventional `timeouts` object, each operation with its default.
    pub fn timeouts(operations: &[(&'static str, &str)]) -> Self {
        let attributes = operations
            .iter()
            .map(|(operation, default)| {
                Self::duration(*operation).describe(format!(
                    "How long {operation} may take. Default: `{default}`."
                ))
            })
            .collect();
        Self::object("timeouts", attributes)
            .quiet()
            .describe("How long each operation may take, as `30s`, `20m` or `1h30m`.")
    }

    /// What it is for, in Markdown.
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
    #[must_use]
    pub fn stable(mut self) -> Self {
        self.stable = true;
        self
    }

    /// It only tells the provider how to work: another value is written to the state, and nothing is called for it.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// Another value means another object.
    #[must_use]
    pub fn replaces(mut self) -> Self {
        self.replaces = true;
        self
    }

    /// Terraform hides its value from people.
    #[must_use]
    pub fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    /// The value when the user gives none. Terraform wants such an attribute computed as well.
    #[must_use]
    pub fn default_value(mut self, value: Value) -> Self {
        self.default = Some(value);
        self.presence = Presence::OptionalComputed;
        self
    }

    /// Why it should not be used any more.
    #[must_use]
    pub fn deprecated(mut self, why: impl Into<String>) -> Self {
        self.deprecated = Some(why.into());
        self
    }

    /// Which spellings mean the same.
    #[must_use]
    pub fn same_meaning(mut self, same: SameMeaning) -> Self {
        self.same_meaning = Some(same);
        self
    }

    /// An offline check of the whole value.
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
            let one = |value: &Value| match value.as_str().map(T::from_str) {
                Some(Err(error)) => Err(Problem::new(summary, sentence(&error.to_string()))),
                _ => Ok(()),
            };
            match value {
                Value::List(elements) => elements.iter().try_for_each(one),
                value => one(value),
            }
        })
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

    fn to_proto(&self) -> tfplugin6::schema::Attribute {
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
            (_, Value::Null) if self.presence == Presence::Required => found.push(
                Diagnostic::error(
                    "Missing required argument",
                    format!("The argument `{path}` is required, but its value is null. Set it, or remove what makes it null."),
                )
                .at(path.clone()),
            ),
            (Kind::Value(Type::List(_) | Type::Set(_)), Value::List(elements)) if elements.iter().any(Value::is_null) => found
                .push(
                    Diagnostic::error(
                        "Null value in a list",
                        format!("An element of `{path}` is null. Remove it, for example with `compact(…)`."),
                    )
                    .at(path.clone()),
                ),
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

fn missing_in(attributes: &[Attribute], object: &Value, path: &Path, found: &mut Diagnostics) {
    for attribute in attributes {
        attribute.missing(
            object.get(&attribute.name),
            &path.attribute(&attribute.name),
            found,
        );
    }
}

fn validate_all(attributes: &[Attribute], object: &Value, path: &Path, found: &mut Diagnostics) {
    for attribute in attributes {
        attribute.validate(
            object.get(&attribute.name),
            &path.attribute(&attribute.name),
            found,
        );
    }
}

/// The object type of these attributes.
pub(crate) fn object_type(attributes: &[Attribute]) -> Type {
    Type::object(
        attributes
            .iter()
            .map(|attribute| (attribute.name.clone(), attribute.ty())),
    )
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

impl Schema {
    /// A schema of the first version.
    pub fn new(description: impl Into<String>, attributes: Vec<Attribute>) -> Self {
        Self {
            version: 0,
            description: description.into(),
            attributes,
            deprecated: None,
            rules: Vec::new(),
        }
    }

    /// A later version of the state's form; states of earlier ones go through `upgrade` of the resource.
    #[must_use]
    pub fn version(mut self, version: i64) -> Self {
        self.version = version;
        self
    }

    /// Why it should not be used any more.
    #[must_use]
    pub fn deprecated(mut self, why: impl Into<String>) -> Self {
        self.deprecated = Some(why.into());
        self
    }

    /// An offline check across attributes; [`crate::validators`] has the usual ones.
    #[must_use]
    pub fn rule(
        mut self,
        rule: impl Fn(&Value) -> Option<Diagnostic> + Send + Sync + 'static,
    ) -> Self {
        self.rules.push(Rule(Box::new(rule)));
        self
    }

    /// The type of the whole block.
    pub fn ty(&self) -> Type {
        object_type(&self.attributes)
    }

    /// What is null in a configuration and must not be. Terraform itself misses an explicit `null`, and what was unknown when the
    /// configuration was validated can turn out to be one.
    pub fn missing(&self, config: &Value) -> Diagnostics {
        let mut found = Diagnostics::new();
        missing_in(&self.attributes, config, &Path::root(), &mut found);
        found
    }

    /// Every offline check on what is known of a configuration.
    pub fn validate(&self, config: &Value) -> Diagnostics {
        let mut found = self.missing(config);
        validate_all(&self.attributes, config, &Path::root(), &mut found);
        found.extend(self.rules.iter().filter_map(|rule| (rule.0)(config)));
        found
    }

    /// The message that Terraform asks for.
    pub(crate) fn to_proto(&self) -> tfplugin6::Schema {
        let block = tfplugin6::schema::Block {
            version: self.version,
            description: self.description.clone(),
            deprecated: self.deprecated.is_some(),
            deprecation_message: self.deprecated.clone().unwrap_or_default(),
            ..block_to_proto(&self.attributes)
        };
        tfplugin6::Schema {
            version: self.version,
            block: Some(block),
        }
    }
}

/// A schema and the type that follows from it, which every message needs: made once.
#[derive(Debug)]
pub(crate) struct Described {
    schema: Schema,
    ty: Type,
}

impl From<Schema> for Described {
    fn from(schema: Schema) -> Self {
        Self {
            ty: schema.ty(),
            schema,
        }
    }
}

impl std::ops::Deref for Described {
    type Target = Schema;

    fn deref(&self) -> &Schema {
        &self.schema
    }
}

impl Described {
    /// The type of the whole block.
    pub(crate) fn ty(&self) -> &Type {
        &self.ty
    }
}

fn block_to_proto(attributes: &[Attribute]) -> tfplugin6::schema::Block {
    use tfplugin6::schema::NestedBlock;
    use tfplugin6::schema::nested_block::NestingMode;
    let nested = |attribute: &Attribute| {
        let (times, Kind::Nested(nesting, inner)) = (attribute.block?, &attribute.kind) else {
            return None;
        };
        let mode = match nesting {
            Nesting::Single => NestingMode::Single,
            Nesting::List => NestingMode::List,
            Nesting::Set => NestingMode::Set,
            Nesting::Map => NestingMode::Map,
        };
        let block = tfplugin6::schema::Block {
            description: attribute.description.clone(),
            deprecated: attribute.deprecated.is_some(),
            deprecation_message: attribute.deprecated.clone().unwrap_or_default(),
            ..block_to_proto(inner)
        };
        Some(NestedBlock {
            type_name: attribute.name.clone().into_owned(),
            block: Some(block),
            nesting: mode.into(),
            min_items: times.least,
            max_items: times.most,
        })
    };
    let plain = attributes.iter().filter(|one| !one.is_block());
    tfplugin6::schema::Block {
        attributes: plain.map(Attribute::to_proto).collect(),
        block_types: attributes.iter().filter_map(nested).collect(),
        description_kind: tfplugin6::StringKind::Markdown.into(),
        ..tfplugin6::schema::Block::default()
    }
}
