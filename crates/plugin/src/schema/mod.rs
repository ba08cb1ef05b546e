//! One description of a block, from which come Terraform's schema, the codec's type, the offline checks, the rules of
//! planning and the documentation: they cannot drift apart.

mod attribute;
mod problems;

use std::borrow::Cow;
use std::fmt;

pub(crate) use self::attribute::null_element;
pub use self::attribute::{
    Attribute, Check, Kind, Nesting, Presence, Problem, SameMeaning, sentence,
};
use self::attribute::{missing_in, validate_all};
use super::diagnostics::{Diagnostic, Diagnostics};
use super::path::{Path, Step};
use super::planning::has_spellings;
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
    /// Why users should no longer use it.
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

/// The object type with which values of these attributes go over the wire.
pub(crate) fn object_type(attributes: &[Attribute]) -> Type {
    Type::object(
        attributes
            .iter()
            .map(|attribute| (attribute.name.clone(), attribute.ty())),
    )
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
    #[doc(alias = "SchemaVersion")]
    #[must_use]
    pub fn version(mut self, version: i64) -> Self {
        self.version = version;
        self
    }

    /// Says why users should no longer use it.
    #[must_use]
    pub fn deprecated(mut self, why: impl Into<String>) -> Self {
        self.deprecated = Some(why.into());
        self
    }

    /// An offline check across attributes; [`crate::validators`] has the usual ones.
    #[doc(alias = "ConfigValidators")]
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

    /// As much of a path as Terraform can find in a configuration; `None` for the whole.
    pub(crate) fn shown_path(&self, path: &Path) -> Option<Path> {
        let steps = path.steps();
        let mut attributes = self.attributes.as_slice();
        let mut end = 0;
        while let Some(Step::Attribute(name)) = steps.get(end) {
            end += 1;
            let found = attributes.iter().find(|one| one.name == name.as_str());
            let Some((nesting, inner)) = found.and_then(Attribute::as_block) else {
                break;
            };
            attributes = inner;
            match (nesting, steps.get(end)) {
                (Nesting::Single, _) => {}
                (Nesting::List, Some(Step::Index(_))) | (Nesting::Map, Some(Step::Key(_))) => {
                    end += 1
                }
                _ => break,
            }
        }
        let shown = steps.get(..end).unwrap_or_default();
        (!shown.is_empty()).then(|| Path::of_steps(shown))
    }

    /// The values of write-only attributes taken out: they belong into no plan and no state.
    pub(crate) fn without_write_only(&self, value: Value) -> Value {
        attribute::without_write_only(&self.attributes, value)
    }

    /// The write-only attributes that have a value.
    pub(crate) fn written_only(&self, config: &Value) -> Vec<Path> {
        let mut found = Vec::new();
        attribute::written_only(&self.attributes, config, &Path::root(), &mut found);
        found
    }

    /// Warnings of attributes that have a write-only one beside them.
    pub(crate) fn better_write_only(&self, config: &Value) -> Diagnostics {
        let mut found = Diagnostics::new();
        attribute::better_write_only(&self.attributes, config, &Path::root(), &mut found);
        found
    }

    /// What the author must repair. `is_resource`: whether it can have write-only attributes.
    pub(crate) fn problems(&self, is_resource: bool) -> Vec<String> {
        let mut problems = Vec::new();
        let place = problems::Place::root(is_resource);
        problems::of(&self.attributes, &Path::root(), place, &mut problems);
        problems
    }

    /// Whether there is a write-only attribute, at whatever depth.
    pub(crate) fn has_write_only(&self) -> bool {
        attribute::has_write_only(&self.attributes)
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
    /// Whether an attribute has more than one spelling.
    pub(crate) respells: bool,
    /// Whether an attribute is write-only.
    pub(crate) hides: bool,
}

impl From<Schema> for Described {
    fn from(schema: Schema) -> Self {
        Self {
            ty: schema.ty(),
            respells: has_spellings(&schema.attributes),
            hides: schema.has_write_only(),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: where a diagnostic is, and how far Terraform finds it.
    #[test]
    fn a_path_is_shown_through_blocks_and_ends_in_the_first_attribute() {
        let text = || {
            vec![
                Attribute::string("text"),
                Attribute::object("more", vec![Attribute::string("a")]),
            ]
        };
        let inner = || {
            let mut attributes = text();
            attributes.push(Attribute::block("deep", Nesting::List, text()));
            attributes
        };
        let schema = Schema::new(
            "",
            vec![
                Attribute::string("name"),
                Attribute::object("nested", text()),
                Attribute::of("tags", Type::map(Type::String)),
                Attribute::block("one", Nesting::Single, inner()),
                Attribute::block("list", Nesting::List, inner()),
                Attribute::block("map", Nesting::Map, inner()),
                Attribute::block("set", Nesting::Set, inner()),
            ],
        );
        let list = || Path::of("list").index(1);
        for (path, shown) in [
            (Path::root(), ""),
            (Path::of("name"), "name"),
            (Path::of("nested.text"), "nested"),
            (Path::of("tags").key("k"), "tags"),
            (Path::of("one.text"), "one.text"),
            (Path::of("one.more.a"), "one.more"),
            (list(), "list[1]"),
            (list().attribute("text"), "list[1].text"),
            (list().attribute("more").attribute("a"), "list[1].more"),
            (
                list().attribute("deep").index(0).attribute("text"),
                "list[1].deep[0].text",
            ),
            (
                Path::of("map").key("k").attribute("text"),
                "map[\"k\"].text",
            ),
            // The protocol has no step for an element of a set.
            (Path::of("set").index(0).attribute("text"), "set"),
            (Path::of("unheard_of.text"), "unheard_of"),
        ] {
            let found = schema.shown_path(&path).unwrap_or_default();
            assert_eq!(found.to_string(), shown, "{path}");
        }
    }
}
