//! Whether a model has a place for everything that a resource of its schema can come with: asked once, when the provider is asked for its
//! schemas, so that an author hears of a slip at the first call and not at a user's first unknown value.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bridge::{Cause, from_value, to_value};
use crate::path::Path;
use crate::schema::{Attribute, Described, Kind, Nesting, Presence};
use crate::value::Value;

/// What every attribute is in a value that is tried.
#[derive(Clone, Copy, PartialEq)]
enum Tried {
    /// Not known.
    Unknown,
    /// Null, where it may be.
    Absent,
    /// An object of attributes that are not known, where there can be one.
    Inside,
    /// An object of attributes that are null where they may be, where there can be one.
    Empty,
}

fn object(attributes: &[Attribute], tried: Tried) -> Value {
    let one = |attribute: &Attribute| (attribute.name.clone(), of_attribute(attribute, tried));
    Value::map(attributes.iter().map(one))
}

fn of_attribute(attribute: &Attribute, tried: Tried) -> Value {
    let is_required = attribute.presence == Presence::Required;
    match (&attribute.kind, tried) {
        // Terraform makes a block that the user does not write empty and not null, and a single one null.
        (Kind::Nested(Nesting::List | Nesting::Set, _), Tried::Absent) if attribute.is_block() => {
            Value::List(Vec::new())
        }
        (Kind::Nested(Nesting::Map, _), Tried::Absent) if attribute.is_block() => {
            Value::map::<&str>([])
        }
        (Kind::Nested(nesting, inner), Tried::Inside | Tried::Empty) => {
            let inside = object(inner, tried);
            match nesting {
                Nesting::Single => inside,
                Nesting::List | Nesting::Set => Value::List(vec![inside]),
                Nesting::Map => Value::map([("key", inside)]),
            }
        }
        (_, Tried::Absent | Tried::Empty) if !is_required => Value::Null,
        _ => Value::unknown(),
    }
}

/// The first place at which two values differ.
fn difference(given: &Value, back: &Value, path: &Path) -> Option<(Path, Value, Value)> {
    match (given, back) {
        (given, back) if given == back => None,
        (Value::Map(given), Value::Map(back)) => {
            let names = given.keys().chain(back.keys());
            let at = |entries: &std::collections::BTreeMap<String, Value>, name: &String| {
                entries.get(name).cloned()
            };
            names
                .filter(|name| at(given, name) != at(back, name))
                .find_map(|name| {
                    let none = || Value::string("$none");
                    let (given, back) = (at(given, name), at(back, name));
                    let path = path.attribute(name);
                    difference(
                        &given.unwrap_or_else(none),
                        &back.unwrap_or_else(none),
                        &path,
                    )
                })
        }
        (Value::List(given), Value::List(back)) if given.len() == back.len() => given
            .iter()
            .zip(back)
            .enumerate()
            .find_map(|(index, (given, back))| difference(given, back, &path.index(index))),
        (given, back) => Some((path.clone(), given.clone(), back.clone())),
    }
}

/// Why a model does not fit its schema, for the author; `None` when it does.
pub(super) fn misfit<M: Serialize + DeserializeOwned>(schema: &Described) -> Option<String> {
    [Tried::Unknown, Tried::Absent, Tried::Inside, Tried::Empty]
        .into_iter()
        .find_map(|tried| misfit_with::<M>(schema, tried))
}

fn misfit_with<M: Serialize + DeserializeOwned>(
    schema: &Described,
    tried: Tried,
) -> Option<String> {
    let given = object(&schema.attributes, tried).canonical(schema.ty());
    let read = match from_value::<M>(&given) {
        Ok(model) => to_value(&model),
        Err(error) => {
            let what = match error.cause {
                Cause::Unknown => "is not known yet",
                Cause::Null => "is null",
                Cause::Number | Cause::Other => {
                    return Some(format!("its model does not fit its schema {error}"));
                }
            };
            return Some(format!(
                "`{}` can have a value that {what}, and its model has no place for that: make the field an `Attr<…>`",
                error.path
            ));
        }
    };
    let back = match read {
        Ok(value) => value.restored(&given).canonical(schema.ty()),
        Err(error) => return Some(format!("its model has no form in Terraform {error}")),
    };
    let (path, given, back) = difference(&given, &back, &Path::root())?;
    let none = Value::string("$none");
    Some(if back == none {
        format!("its schema has `{path}`, and its model has no field for it")
    } else if given == none {
        format!("its model has the field `{path}`, and its schema has no attribute for it")
    } else {
        format!("its model reads {given} at `{path}`, and gives {back} back")
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;
    use crate::bridge::Attr;
    use crate::schema::Schema;
    use crate::types::Type;

    fn schema() -> Described {
        Schema::new(
            "",
            vec![
                Attribute::string("name").required(),
                Attribute::of("tags", Type::map(Type::String)),
                Attribute::of("any", Type::Dynamic),
                Attribute::block("rule", Nesting::List, vec![Attribute::number("port")]),
            ],
        )
        .into()
    }

    #[derive(Serialize, Deserialize)]
    struct Rule {
        port: Attr<u16>,
    }

    #[derive(Serialize, Deserialize)]
    struct Good {
        name: Attr<String>,
        tags: Attr<BTreeMap<String, String>>,
        any: Value,
        rule: Attr<Vec<Rule>>,
    }

    macro_rules! model {
        ($name:ident { $($field:ident: $ty:ty),* }) => {
            #[derive(Serialize, Deserialize)]
            struct $name { $($field: $ty),* }
        };
    }

    type Tags = Attr<BTreeMap<String, String>>;
    model!(Plain { name: String, tags: Tags, any: Value, rule: Attr<Vec<Rule>> });
    model!(Blocks { name: Attr<String>, tags: Tags, any: Value, rule: Vec<Rule> });
    model!(Lacks { name: Attr<String>, tags: Tags, any: Value });
    model!(More { name: Attr<String>, tags: Tags, any: Value, rule: Attr<Vec<Rule>>, extra: Attr<bool> });
    model!(InsideRule { port: Attr<u16>, extra: Attr<bool> });
    model!(Inside { name: Attr<String>, tags: Tags, any: Value, rule: Attr<Vec<InsideRule>> });
    model!(NullRule { port: u16 });
    model!(Null { name: Attr<String>, tags: Tags, any: Value, rule: Attr<Vec<NullRule>> });

    #[test]
    fn a_model_that_does_not_fit_is_found_with_its_attribute() {
        let schema = schema();
        assert_eq!(misfit::<Good>(&schema), None);
        assert_eq!(misfit::<Value>(&schema), None);
        for (found, words) in [
            (
                misfit::<Plain>(&schema),
                "`name` can have a value that is not known yet",
            ),
            (
                misfit::<Blocks>(&schema),
                "`rule` can have a value that is not known yet",
            ),
            (
                misfit::<Lacks>(&schema),
                "has `rule`, and its model has no field",
            ),
            (
                misfit::<More>(&schema),
                "has the field `extra`, and its schema",
            ),
            (misfit::<Inside>(&schema), "has the field `rule[0].extra`"),
            (
                misfit::<Null>(&schema),
                "`rule[0].port` can have a value that is null",
            ),
        ] {
            let found = found.unwrap_or_default();
            assert!(found.contains(words), "{found}");
        }
    }
}
