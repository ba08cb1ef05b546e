//! The rules of planning that are the same for every resource.
//!
//! A plan is made from the configuration and the prior state alone, never from a live read, so that Terraform's second call
//! during apply comes to the same answer:
//! - what the user wrote is planned as they wrote it, or as the state spells it when both mean the same;
//! - what the provider computes keeps its value while nothing changes, and becomes unknown when something does, unless it
//!   is stable;
//! - an attribute that cannot change in place asks for a replacement.

use std::collections::BTreeMap;

use super::path::Path;
use super::schema::{Attribute, Kind, Nesting, Schema};
use super::value::Value;

/// The plan before the resource has had its say. `prior` is `None` for a creation.
pub fn propose(schema: &Schema, config: &Value, prior: Option<&Value>) -> Value {
    let planned = carry_over(&schema.attributes, config, prior);
    match prior {
        Some(prior) if without_quiet(schema, &planned) == without_quiet(schema, prior) => planned,
        _ => forget_computed(&schema.attributes, config, planned),
    }
    .canonical(&schema.ty())
}

/// Whether two states differ in what only tells the provider how to work, and in nothing else.
pub fn differs_quietly(schema: &Schema, prior: &Value, planned: &Value) -> bool {
    prior != planned && without_quiet(schema, prior) == without_quiet(schema, planned)
}

fn without_quiet(schema: &Schema, value: &Value) -> Value {
    let Value::Map(entries) = value else {
        return value.clone();
    };
    let is_quiet = |name: &String| {
        schema
            .attributes
            .iter()
            .any(|attribute| attribute.quiet && attribute.name == name)
    };
    Value::Map(
        entries
            .iter()
            .filter(|(name, _)| !is_quiet(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    )
}

/// The paths that ask for another object: attributes that replace and differ from the prior state.
pub fn replacements(schema: &Schema, prior: &Value, planned: &Value) -> Vec<Path> {
    let mut paths = Vec::new();
    collect_replacements(
        &schema.attributes,
        prior,
        planned,
        &Path::root(),
        &mut paths,
    );
    paths
}

fn collect_replacements(
    attributes: &[Attribute],
    prior: &Value,
    planned: &Value,
    path: &Path,
    paths: &mut Vec<Path>,
) {
    for attribute in attributes {
        let (before, after) = (prior.get(attribute.name), planned.get(attribute.name));
        let path = path.attribute(attribute.name);
        if attribute.replaces && before != after {
            paths.push(path);
        } else if let Kind::Nested(Nesting::Single, inner) = &attribute.kind {
            // An object that appears or goes away as a whole is a change of each of its attributes.
            collect_replacements(inner, before, after, &path, paths);
        }
    }
}

/// Configuration over prior state: computed attributes without a configured value keep the prior one.
fn carry_over(attributes: &[Attribute], config: &Value, prior: Option<&Value>) -> Value {
    let planned = attributes.iter().map(|attribute| {
        let before = prior.map(|prior| prior.get(attribute.name));
        (
            attribute.name,
            carry_over_one(attribute, config.get(attribute.name), before),
        )
    });
    Value::map(planned)
}

fn carry_over_one(attribute: &Attribute, config: &Value, prior: Option<&Value>) -> Value {
    match (&attribute.kind, config) {
        // Write-only values never enter a plan.
        _ if attribute.write_only => Value::Null,
        (_, Value::Null) => match (&attribute.default, prior) {
            (Some(default), _) => default.clone(),
            (None, Some(prior)) if attribute.is_computed() => prior.clone(),
            (None, None) if attribute.is_computed() => Value::unknown(),
            _ => Value::Null,
        },
        (_, Value::Unknown(_)) => config.clone(),
        (Kind::Nested(Nesting::Single, inner), Value::Map(_)) => carry_over(
            inner,
            config,
            prior.filter(|prior| prior.as_map().is_some()),
        ),
        (Kind::Nested(Nesting::List, inner), Value::List(elements)) => {
            let before = |index: usize| match prior {
                Some(Value::List(prior)) => prior.get(index),
                _ => None,
            };
            let planned = elements
                .iter()
                .enumerate()
                .map(|(index, config)| match config {
                    Value::Map(_) => carry_over(inner, config, before(index)),
                    other => other.clone(),
                });
            Value::List(planned.collect())
        }
        (Kind::Nested(Nesting::Map, inner), Value::Map(entries)) => {
            let planned = entries.iter().map(|(key, config)| {
                let before = prior
                    .and_then(Value::as_map)
                    .and_then(|prior| prior.get(key));
                let planned = match config {
                    Value::Map(_) => carry_over(inner, config, before),
                    other => other.clone(),
                };
                (key.clone(), planned)
            });
            Value::Map(planned.collect())
        }
        // The elements of a set have no identity over time: each one is planned as new.
        (Kind::Nested(Nesting::Set, inner), Value::List(elements)) => {
            let planned = elements.iter().map(|config| match config {
                Value::Map(_) => carry_over(inner, config, None),
                other => other.clone(),
            });
            Value::List(planned.collect())
        }
        (_, config) => match (attribute.same_meaning, prior) {
            (Some(same), Some(prior)) if !prior.is_null() && same(prior, config) => prior.clone(),
            _ => config.clone(),
        },
    }
}

/// Something changes, so what is computed and not stable will only be known afterwards.
fn forget_computed(attributes: &[Attribute], config: &Value, planned: Value) -> Value {
    let Value::Map(entries) = planned else {
        return planned;
    };
    let by_name: BTreeMap<&str, &Attribute> = attributes
        .iter()
        .map(|attribute| (attribute.name, attribute))
        .collect();
    let entries = entries.into_iter().map(|(name, value)| {
        let Some(attribute) = by_name.get(name.as_str()) else {
            return (name, value);
        };
        let given = config.get(&name);
        let value = match (&attribute.kind, value) {
            (_, _)
                if given.is_null()
                    && attribute.is_computed()
                    && attribute.default.is_none()
                    && !attribute.stable =>
            {
                Value::unknown()
            }
            (Kind::Nested(Nesting::Single, inner), value @ Value::Map(_)) => {
                forget_computed(inner, given, value)
            }
            (_, value) => value,
        };
        (name, value)
    });
    Value::Map(entries.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        Schema::new(
            "",
            vec![
                Attribute::string("name").required(),
                Attribute::string("kind").replaces(),
                Attribute::bool("force").default_value(Value::Bool(false)),
                Attribute::string("id").computed().stable(),
                Attribute::string("etag").computed(),
                Attribute::duration("wait"),
                Attribute::string("hint").quiet(),
                Attribute::string_set("uses"),
                Attribute::object(
                    "aws",
                    vec![
                        Attribute::string("key").required().replaces(),
                        Attribute::string("region").computed(),
                    ],
                ),
            ],
        )
    }

    fn config(name: &str, key: &str) -> Value {
        Value::map([
            ("name", Value::string(name)),
            ("kind", Value::Null),
            ("force", Value::Null),
            ("id", Value::Null),
            ("etag", Value::Null),
            ("wait", Value::string("60s")),
            ("hint", Value::Null),
            (
                "uses",
                Value::List(vec![Value::string("b"), Value::string("a")]),
            ),
            (
                "aws",
                Value::map([("key", Value::string(key)), ("region", Value::Null)]),
            ),
        ])
        .canonical(&schema().ty())
    }

    fn state(name: &str, key: &str) -> Value {
        let Value::Map(mut entries) = config(name, key) else {
            panic!("an object")
        };
        entries.insert("force".to_owned(), Value::Bool(false));
        entries.insert("id".to_owned(), Value::string("7"));
        entries.insert("etag".to_owned(), Value::string("x"));
        entries.insert("wait".to_owned(), Value::string("1m"));
        entries.insert(
            "aws".to_owned(),
            Value::map([("key", Value::string(key)), ("region", Value::string("r"))]),
        );
        Value::Map(entries)
    }

    #[test]
    fn a_creation_knows_what_is_configured_and_nothing_computed() {
        let planned = propose(&schema(), &config("a", "k"), None);
        assert_eq!(planned.get("name"), &Value::string("a"));
        assert_eq!(planned.get("force"), &Value::Bool(false));
        assert_eq!(planned.at("aws.key"), &Value::string("k"));
        for computed in ["id", "etag", "aws.region"] {
            assert!(planned.at(computed).is_unknown(), "{computed}");
        }
    }

    #[test]
    fn nothing_changed_is_planned_as_nothing_even_in_another_spelling() {
        let prior = state("a", "k");
        assert_eq!(propose(&schema(), &config("a", "k"), Some(&prior)), prior);
    }

    #[test]
    fn what_only_tells_the_provider_how_to_work_makes_nothing_unknown() {
        let prior = state("a", "k");
        let Value::Map(mut entries) = config("a", "k") else {
            panic!("an object")
        };
        entries.insert("hint".to_owned(), Value::string("slowly"));
        let planned = propose(&schema(), &Value::Map(entries), Some(&prior));
        assert_eq!(planned.get("hint"), &Value::string("slowly"));
        assert_eq!(planned.get("etag"), &Value::string("x"));
        assert!(differs_quietly(&schema(), &prior, &planned));
        assert!(
            !differs_quietly(&schema(), &prior, &prior)
                && !differs_quietly(&schema(), &prior, &state("b", "k"))
        );
    }

    #[test]
    fn a_change_makes_computed_values_unknown_except_stable_ones() {
        let prior = state("a", "k");
        let planned = propose(&schema(), &config("b", "k"), Some(&prior));
        assert_eq!(planned.get("id"), &Value::string("7"));
        assert!(planned.get("etag").is_unknown());
        assert!(planned.at("aws.region").is_unknown());
        assert_eq!(replacements(&schema(), &prior, &planned), vec![]);
    }

    #[test]
    fn another_value_of_a_replacing_attribute_asks_for_another_object() {
        let prior = state("a", "k");
        let planned = propose(&schema(), &config("a", "l"), Some(&prior));
        assert_eq!(
            replacements(&schema(), &prior, &planned),
            vec![Path::of("aws.key")]
        );
    }

    #[test]
    fn an_unknown_configured_value_stays_unknown() {
        let Value::Map(mut entries) = config("a", "k") else {
            panic!("an object")
        };
        entries.insert("kind".to_owned(), Value::unknown());
        let prior = state("a", "k");
        let planned = propose(&schema(), &Value::Map(entries), Some(&prior));
        assert!(planned.get("kind").is_unknown());
        assert_eq!(
            replacements(&schema(), &prior, &planned),
            vec![Path::of("kind")]
        );
    }
}
