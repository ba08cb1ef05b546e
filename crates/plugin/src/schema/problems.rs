//! What Terraform refuses of a schema, or what in it cannot work, found when it is registered and said in the words of its author.

use super::attribute::{Attribute, Kind, Nesting, Presence};
use crate::path::Path;
use crate::types::Type;

/// The names that Terraform keeps for itself at the top of a block.
const RESERVED: [&str; 7] = [
    "connection",
    "count",
    "depends_on",
    "for_each",
    "lifecycle",
    "provider",
    "provisioner",
];

/// Where attributes stand.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// In the schema itself.
    is_top: bool,
    /// In a resource, which alone can have write-only attributes.
    is_resource: bool,
    /// In a schema or in a block, where blocks can stand.
    is_block: bool,
    /// In a set, whose elements Terraform tells apart by their values.
    in_set: bool,
}

impl Place {
    pub(super) fn root(is_resource: bool) -> Self {
        Self {
            is_top: true,
            is_resource,
            is_block: true,
            in_set: false,
        }
    }
}

pub(super) fn of(attributes: &[Attribute], path: &Path, place: Place, problems: &mut Vec<String>) {
    for (index, attribute) in attributes.iter().enumerate() {
        let path = path.attribute(&attribute.name);
        let mut wrong = |what: &str| problems.push(format!("`{path}` {what}"));
        let before = attributes.iter().take(index);
        if before.into_iter().any(|one| one.name == attribute.name) {
            wrong("is there twice");
        }
        if !is_name(&attribute.name) {
            wrong("is not a name: small letters, digits and `_`, beginning with a letter or `_`");
        }
        if place.is_top && place.is_resource && RESERVED.contains(&&*attribute.name) {
            wrong("has a name that Terraform keeps for itself");
        }
        for what in of_one(attribute, place) {
            wrong(what);
        }
        if let Kind::Nested(nesting, inner) = &attribute.kind {
            let inside = Place {
                is_top: false,
                is_block: attribute.is_block(),
                in_set: place.in_set || *nesting == Nesting::Set,
                ..place
            };
            of(inner, &path, inside, problems);
        }
    }
}

fn is_name(name: &str) -> bool {
    let is_first = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    let mut bytes = name.bytes();
    bytes.next().is_some_and(is_first) && bytes.all(|byte| is_first(byte) || byte.is_ascii_digit())
}

/// What cannot stand together in one attribute.
fn of_one(attribute: &Attribute, place: Place) -> Vec<&'static str> {
    let is_given = attribute.presence != Presence::Computed;
    let any_in_set = match &attribute.kind {
        Kind::Value(Type::Dynamic) => place.in_set,
        Kind::Value(Type::List(element) | Type::Set(element) | Type::Map(element)) => {
            **element == Type::Dynamic
        }
        _ => false,
    };
    let rules = [
        (
            attribute.is_block() && !place.is_block,
            "is a block within a nested attribute: only schemas and blocks have blocks",
        ),
        (
            attribute.is_block() && matches!(attribute.kind, Kind::Value(_)),
            "is a block of plain values: only objects are written as blocks",
        ),
        (
            attribute
                .default
                .as_ref()
                .is_some_and(|default| !default.is_null() && !default.fits(&attribute.ty())),
            "has a default of another type",
        ),
        (
            attribute.is_block() && attribute.is_computed(),
            "is a block that the provider gives: only a nested attribute can be computed",
        ),
        (
            attribute.write_only && !place.is_resource,
            "is write-only, which only attributes of resources can be",
        ),
        (
            attribute.write_only && attribute.is_computed(),
            "is write-only and computed: what no state has cannot be given by the provider",
        ),
        (
            attribute.write_only && place.in_set,
            "is write-only within a set, whose elements differ by what they hold",
        ),
        (
            attribute.write_only && attribute.replaces,
            "is write-only and replaces: there is no earlier value to compare it with",
        ),
        (
            attribute.default.is_some() && !attribute.is_computed(),
            "has a default and is not computed: `default_value` comes after `required`",
        ),
        (
            attribute.default.is_some() && !is_given,
            "has a default and cannot be given",
        ),
        (
            any_in_set,
            "is a collection of values of any type: Terraform has those as one value of any type alone",
        ),
    ];
    let broken = rules.into_iter().filter(|(is_broken, _)| *is_broken);
    broken.map(|(_, what)| what).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Schema;
    use crate::value::Value;

    /// Each row: an attribute that is wrong, and the problem.
    #[test]
    fn what_cannot_work_is_said_with_its_attribute() {
        let text = Attribute::string;
        let set = |inner| Attribute::nested("set", Nesting::Set, vec![inner]);
        for (attribute, words) in [
            (text("Name"), "`Name` is not a name"),
            (text("count"), "keeps for itself"),
            (
                Attribute::object("o", vec![Attribute::block("b", Nesting::List, vec![])]),
                "`o.b` is a block within",
            ),
            (
                Attribute::block("b", Nesting::List, vec![]).computed(),
                "is a block that the provider",
            ),
            (
                text("d").default_value(Value::from(1)),
                "has a default of another type",
            ),
            (text("b").into_block(), "is a block of plain values"),
            (text("w").write_only().computed(), "write-only and computed"),
            (text("w").write_only().replaces(), "write-only and replaces"),
            (
                set(text("w").write_only()),
                "`set.w` is write-only within a set",
            ),
            (
                text("d").default_value(Value::from("x")).required(),
                "has a default and is not computed",
            ),
            (
                text("d").default_value(Value::from("x")).computed(),
                "has a default and cannot",
            ),
            (
                Attribute::of("l", Type::list(Type::Dynamic)),
                "a collection of values of any type",
            ),
        ] {
            let found = Schema::new("", vec![attribute]).problems(true);
            assert!(
                found.len() == 1 && found[0].contains(words),
                "{words}: {found:?}"
            );
        }
        let twice = Schema::new("", vec![text("a"), text("a")]).problems(true);
        assert_eq!(twice, ["`a` is there twice"]);
        let elsewhere =
            Schema::new("", vec![text("w").write_only(), text("count")]).problems(false);
        assert!(elsewhere.len() == 1 && elsewhere[0].contains("only attributes of resources"));
    }
}
