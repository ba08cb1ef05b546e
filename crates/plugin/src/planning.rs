//! The rules of planning that are the same for every resource.
//!
//! A plan is made from the configuration and the prior state alone, never from a live read, so that Terraform's second call
//! during apply comes to the same answer:
//! - what the user wrote is planned as they wrote it, or as the state spells it when both mean the same;
//! - what the provider computes keeps its value while nothing changes, and becomes unknown when something does, unless it
//!   is stable;
//! - an attribute that cannot change in place asks for a replacement.

use std::collections::{BTreeMap, BTreeSet};

use super::path::Path;
use super::schema::{Attribute, Described, Kind, Nesting, Schema, object_type};
use super::types::Type;
use super::value::Value;

/// The plan before the resource has had its say. `prior` is `None` for a creation.
pub(crate) fn propose(schema: &Described, config: &Value, prior: Option<&Value>) -> Value {
    let ty = schema.ty();
    let planned = carry_over(&schema.attributes, config, prior);
    // In canonical order, so that sets can be compared; what is forgotten is found in the order of the configuration.
    let shown = planned.clone().canonical(ty);
    match prior {
        Some(prior) if without_quiet(schema, &shown) == without_quiet(schema, prior) => shown,
        _ => forget_computed(&schema.attributes, config, planned).canonical(ty),
    }
}

/// Whether two states differ in what only tells the provider how to work, and in nothing else.
pub(crate) fn differs_quietly(schema: &Schema, prior: &Value, planned: &Value) -> bool {
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
            .any(|attribute| attribute.quiet && attribute.name == name.as_str())
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
pub(crate) fn replacements(schema: &Schema, prior: &Value, planned: &Value) -> Vec<Path> {
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
        let (before, after) = (prior.get(&attribute.name), planned.get(&attribute.name));
        let path = path.attribute(&attribute.name);
        let is_another = |rule: fn(&Value, &Value) -> bool| rule(before, after);
        if attribute.replaces && before != after {
            if attribute.replaces_if.is_none_or(is_another) {
                paths.push(path);
            }
            continue;
        }
        let Kind::Nested(nesting, inner) = &attribute.kind else {
            continue;
        };
        match (nesting, before, after) {
            // An object that appears or goes away as a whole is a change of each of its attributes.
            (Nesting::Single, ..) => collect_replacements(inner, before, after, &path, paths),
            (Nesting::Map, ..) => {
                let keys = [before, after].into_iter().filter_map(Value::as_map);
                let keys: BTreeSet<&String> = keys.flat_map(BTreeMap::keys).collect();
                for key in keys {
                    let (before, after) = (before.get(key), after.get(key));
                    collect_replacements(inner, before, after, &path.key(key), paths);
                }
            }
            (Nesting::List, ..) => {
                let (before, after) = (elements(before), elements(after));
                for index in 0..before.len().max(after.len()) {
                    let at = |all: &'_ [Value]| all.get(index).cloned().unwrap_or(Value::Null);
                    let path = path.index(index);
                    collect_replacements(inner, &at(before), &at(after), &path, paths);
                }
            }
            // The elements of a set have no names, so the server reports the whole set to Terraform.
            (Nesting::Set, ..) => {
                let replacing = |all: &Value| {
                    let elements = elements(all).iter();
                    let mut kept: Vec<_> = elements.map(|one| only_replacing(inner, one)).collect();
                    kept.sort();
                    kept
                };
                if replacing(before) != replacing(after) {
                    paths.push(path);
                }
            }
        }
    }
}

fn elements(value: &Value) -> &[Value] {
    value.as_list()
}

/// The attributes of an object that ask for another one when they change.
fn only_replacing(attributes: &[Attribute], value: &Value) -> Value {
    let kept = attributes.iter().filter_map(|attribute| {
        let value = value.get(&attribute.name);
        let kept = match &attribute.kind {
            _ if attribute.replaces => value.clone(),
            Kind::Nested(Nesting::Single, inner) => only_replacing(inner, value),
            Kind::Nested(Nesting::Map, inner) => Value::map(
                value
                    .as_map()
                    .into_iter()
                    .flatten()
                    .map(|(key, one)| (key, only_replacing(inner, one))),
            ),
            Kind::Nested(_, inner) => Value::List(
                elements(value)
                    .iter()
                    .map(|one| only_replacing(inner, one))
                    .collect(),
            ),
            Kind::Value(_) => return None,
        };
        Some((attribute.name.clone(), kept))
    });
    Value::map(kept)
}

/// Configuration over prior state: computed attributes without a configured value keep the prior one.
fn carry_over(attributes: &[Attribute], config: &Value, prior: Option<&Value>) -> Value {
    let planned = attributes.iter().map(|attribute| {
        let before = prior.map(|prior| prior.get(&attribute.name));
        (
            attribute.name.clone(),
            carry_over_one(attribute, config.get(&attribute.name), before),
        )
    });
    Value::map(planned)
}

fn carry_over_one(attribute: &Attribute, config: &Value, prior: Option<&Value>) -> Value {
    match (&attribute.kind, config) {
        // Write-only values never enter a plan.
        _ if attribute.write_only => Value::Null,
        (_, config) if config.is_null() => match (&attribute.default, prior) {
            (Some(default), _) => default.clone(),
            (None, Some(prior)) if attribute.is_computed() => prior.clone(),
            (None, None) if attribute.is_computed() => Value::unknown(),
            // As it is written: a null may have a type.
            _ => config.clone(),
        },
        (_, config) if config.is_unknown() => config.clone(),
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
        // An element of a set has no place by which it could be known: the one that was written the same way is the same one.
        (Kind::Nested(Nesting::Set, inner), Value::List(elements)) => {
            let mut left: Vec<&Value> = match prior {
                Some(Value::List(prior)) => prior.iter().collect(),
                _ => Vec::new(),
            };
            let ty = object_type(inner);
            let planned = elements.iter().map(|config| match config {
                Value::Map(_) => {
                    let is_same = |before: &&Value| {
                        carry_over(inner, config, Some(before)).canonical(&ty) == **before
                    };
                    let before = left.iter().position(is_same).map(|at| left.swap_remove(at));
                    carry_over(inner, config, before)
                }
                other => other.clone(),
            });
            Value::List(planned.collect())
        }
        (_, config) => match prior {
            Some(prior) => respelled(attribute, config.clone(), prior),
            None => config.clone(),
        },
    }
}

/// A state in the spelling of what was there before, wherever both mean the same.
pub(crate) fn spelled_as(schema: &Schema, value: Value, before: &Value) -> Value {
    spelled_all(&schema.attributes, value, before)
}

/// Whether an attribute, at whatever depth, has more than one spelling.
pub(crate) fn has_spellings(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.kind {
        Kind::Nested(_, inner) => has_spellings(inner),
        Kind::Value(_) => attribute.same_meaning.is_some() || attribute.same_elements.is_some(),
    })
}

fn spelled_all(attributes: &[Attribute], value: Value, before: &Value) -> Value {
    let (Value::Map(mut entries), Some(_)) = (value.clone(), before.as_map()) else {
        return value;
    };
    for attribute in attributes {
        if let Some(value) = entries.get_mut(&*attribute.name) {
            let own = std::mem::replace(value, Value::Null);
            *value = spelled_one(attribute, own, before.get(&attribute.name));
        }
    }
    Value::Map(entries)
}

fn spelled_one(attribute: &Attribute, value: Value, before: &Value) -> Value {
    match (&attribute.kind, value) {
        (Kind::Nested(Nesting::Single, inner), value) => spelled_all(inner, value, before),
        (Kind::Nested(Nesting::Map, inner), Value::Map(entries)) => {
            let entries = entries.into_iter().map(|(key, value)| {
                let value = spelled_all(inner, value, before.get(&key));
                (key, value)
            });
            Value::Map(entries.collect())
        }
        (Kind::Nested(Nesting::List, inner), Value::List(elements)) => {
            let elements = elements.into_iter().enumerate().map(|(index, value)| {
                let before = before.as_list().get(index).unwrap_or(&Value::Null);
                spelled_all(inner, value, before)
            });
            Value::List(elements.collect())
        }
        // The element that means the same as a whole is the same one.
        (Kind::Nested(Nesting::Set, inner), Value::List(elements)) => {
            matched(elements, before.as_list(), |before, value| {
                spelled_all(inner, value.clone(), before) == *before
            })
        }
        (_, value) => respelled(attribute, value, before),
    }
}

/// One value in the spelling of what was there before, if it means the same.
fn respelled(attribute: &Attribute, value: Value, before: &Value) -> Value {
    let is_open = |value: &Value| value.is_null() || !value.is_wholly_known();
    if value == *before || is_open(&value) || is_open(before) {
        return value;
    }
    if attribute
        .same_meaning
        .is_some_and(|same| same(before, &value))
    {
        return before.clone();
    }
    let (Some(same), Kind::Value(ty)) = (attribute.same_elements, &attribute.kind) else {
        return value;
    };
    match (ty, value) {
        (Type::Set(_), Value::List(elements)) => matched(elements, before.as_list(), same),
        (_, Value::List(elements)) => {
            let one = |(index, value)| match before.as_list().get(index) {
                Some(before) if same(before, &value) => before.clone(),
                _ => value,
            };
            Value::List(elements.into_iter().enumerate().map(one).collect())
        }
        (_, Value::Map(entries)) => {
            let one = |(key, value): (String, Value)| {
                let before = before.get(&key);
                let is_same = !before.is_null() && same(before, &value);
                (key, if is_same { before.clone() } else { value })
            };
            Value::Map(entries.into_iter().map(one).collect())
        }
        (_, value) => value,
    }
}

/// The elements of a set in the spelling of those that were there before: each of them stands for one at most.
fn matched(elements: Vec<Value>, before: &[Value], same: impl Fn(&Value, &Value) -> bool) -> Value {
    let mut left: Vec<&Value> = before.iter().collect();
    let one = |value: Value| match left.iter().position(|before| same(before, &value)) {
        Some(at) => left.swap_remove(at).clone(),
        None => value,
    };
    Value::List(elements.into_iter().map(one).collect())
}

/// Something changes, so what is computed and not stable will only be known afterwards.
fn forget_computed(attributes: &[Attribute], config: &Value, planned: Value) -> Value {
    let Value::Map(entries) = planned else {
        return planned;
    };
    let by_name: BTreeMap<&str, &Attribute> = attributes
        .iter()
        .map(|attribute| (attribute.name.as_ref(), attribute))
        .collect();
    let entries = entries.into_iter().map(|(name, value)| {
        let Some(attribute) = by_name.get(name.as_str()) else {
            return (name, value);
        };
        let given = config.get(&name);
        let stays = attribute.stable && !(attribute.stable_when_set && value.is_null());
        let is_own = attribute.is_computed() && attribute.default.is_none() && !stays;
        let value = match (&attribute.kind, value) {
            _ if given.is_null() && is_own => Value::unknown(),
            // A value that the user did not write stays as a whole: a default, or a stable one.
            (_, value) if given.is_null() => value,
            (Kind::Nested(Nesting::Single, inner), value @ Value::Map(_)) => {
                forget_computed(inner, given, value)
            }
            (Kind::Nested(Nesting::Map, inner), Value::Map(elements)) => {
                let forget = |(key, value): (String, Value)| {
                    let value = forget_computed(inner, given.get(&key), value);
                    (key, value)
                };
                Value::Map(elements.into_iter().map(forget).collect())
            }
            // What is planned stands in the order of the configuration still.
            (Kind::Nested(_, inner), Value::List(elements)) => {
                let given = |index: usize| match given {
                    Value::List(given) => given.get(index).unwrap_or(&Value::Null),
                    _ => &Value::Null,
                };
                let elements = elements.into_iter().enumerate();
                let forget = |(index, value)| forget_computed(inner, given(index), value);
                Value::List(elements.map(forget).collect())
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

    fn schema() -> Described {
        Described::from(Schema::new(
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
        ))
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
        .canonical(schema().ty())
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

    fn collections() -> Described {
        let inner = || {
            vec![
                Attribute::string("name").required(),
                Attribute::string("kind").replaces(),
                Attribute::string("id").computed(),
            ]
        };
        Described::from(Schema::new(
            "",
            vec![
                Attribute::nested("list", Nesting::List, inner()),
                Attribute::block("set", Nesting::Set, inner()),
                Attribute::nested("map", Nesting::Map, inner()),
            ],
        ))
    }

    fn element(name: &str, kind: &str, id: Value) -> Value {
        Value::map([
            ("name", Value::string(name)),
            ("kind", Value::string(kind)),
            ("id", id),
        ])
    }

    /// The same elements in each kind of collection: names, kinds, and the IDs that are computed.
    fn of(elements: &[(&str, &str, Value)]) -> Value {
        let all = || {
            elements
                .iter()
                .map(|(name, kind, id)| element(name, kind, id.clone()))
        };
        let keyed = elements
            .iter()
            .map(|(name, kind, id)| (*name, element(name, kind, id.clone())));
        Value::map([
            ("list", Value::List(all().collect())),
            ("set", Value::List(all().collect())),
            ("map", Value::map(keyed)),
        ])
        .canonical(collections().ty())
    }

    #[test]
    fn what_is_stable_or_a_default_stays_as_a_whole() {
        let id = || vec![Attribute::string("id").computed()];
        let default = Value::map([("id", Value::string("0"))]);
        let schema = Described::from(Schema::new(
            "",
            vec![
                Attribute::string("name"),
                Attribute::object("made", id()).computed().stable(),
                Attribute::object("found", id()).computed(),
                Attribute::object("usual", id()).default_value(default.clone()),
            ],
        ));
        let made = Value::map([("id", Value::string("1"))]);
        let prior = Value::map([
            ("name", Value::string("a")),
            ("made", made.clone()),
            ("found", made.clone()),
            ("usual", default.clone()),
        ]);
        let config = Value::map([("name", Value::string("b"))]);
        let planned = propose(&schema, &config, Some(&prior));
        assert_eq!(
            (planned.get("made"), planned.get("usual")),
            (&made, &default)
        );
        assert!(planned.get("found").is_unknown());
    }

    /// Each row: the prior values, and what a change elsewhere makes of them.
    #[test]
    fn a_null_that_is_stable_may_be_filled() {
        let schema = Described::from(Schema::new(
            "",
            vec![
                Attribute::string("name"),
                Attribute::string("always").computed().stable(),
                Attribute::string("set").computed().stable_when_set(),
            ],
        ));
        for prior in [Value::Null, Value::from("1")] {
            let state = Value::map([
                ("name", "a".into()),
                ("always", prior.clone()),
                ("set", prior.clone()),
            ]);
            let planned = propose(&schema, &Value::map([("name", "b".into())]), Some(&state));
            assert_eq!(planned.get("always"), &prior);
            assert_eq!(planned.get("set").is_unknown(), prior.is_null());
        }
    }

    /// Each row: the sizes before and after, and whether that is another object.
    #[test]
    fn a_rule_says_which_changes_replace() {
        let size = Attribute::number("size")
            .replaces_if(|before, after| after.as_number() < before.as_number());
        let schema = Schema::new("", vec![size]);
        let of = |size: i64| Value::map([("size", size.into())]);
        for (before, after, is_another) in [(1, 2, false), (2, 1, true), (1, 1, false)] {
            let paths = replacements(&schema, &of(before), &of(after));
            assert_eq!(!paths.is_empty(), is_another, "{before} {after}");
        }
    }

    /// Texts that differ in case mean the same.
    fn same_text(one: &Value, other: &Value) -> bool {
        let lower = |value: &Value| value.as_str().map(str::to_lowercase);
        lower(one) == lower(other)
    }

    #[test]
    fn what_means_the_same_keeps_its_spelling_wherever_it_stands() {
        let text = || Attribute::string("text").same_meaning(same_text);
        let inner = || vec![text(), Attribute::string("id")];
        let plain = |name: &'static str, ty| Attribute::of(name, ty).same_elements(same_text);
        let schema = Schema::new(
            "",
            vec![
                text(),
                plain("all", Type::set(Type::String)),
                plain("row", Type::list(Type::String)),
                plain("tags", Type::map(Type::String)),
                Attribute::object("one", inner()),
                Attribute::nested("list", Nesting::List, inner()),
                Attribute::nested("set", Nesting::Set, inner()),
                Attribute::nested("map", Nesting::Map, inner()),
            ],
        );
        let texts = |all: &[&str]| Value::List(all.iter().copied().map(Value::from).collect());
        let object = |text: &str, id: &str| Value::map([("text", text.into()), ("id", id.into())]);
        let of = |texts: [Value; 3], tag: &str, objects: [Value; 2]| {
            let [text, all, row] = texts;
            let [one, two] = objects;
            Value::map([
                ("text", text),
                ("all", all),
                ("row", row),
                ("tags", Value::map([("k", tag.into())])),
                ("one", one.clone()),
                ("list", Value::List(vec![one.clone(), two.clone()])),
                ("set", Value::List(vec![two.clone(), one.clone()])),
                ("map", Value::map([("k", one), ("l", two)])),
            ])
        };
        let ty = schema.ty();
        let before = of(
            ["A".into(), texts(&["A", "b"]), texts(&["x", "Y"])],
            "V",
            [object("One", "1"), object("two", "2")],
        )
        .canonical(&ty);
        // Another spelling of everything; one element of the set is another one.
        let now = of(
            ["a".into(), texts(&["B", "a"]), texts(&["X", "z"])],
            "v",
            [object("ONE", "1"), object("TWO", "3")],
        )
        .canonical(&ty);
        let kept = spelled_as(&schema, now, &before).canonical(&ty);
        let expected = of(
            ["A".into(), texts(&["A", "b"]), texts(&["x", "z"])],
            "V",
            [object("One", "1"), object("two", "3")],
        );
        let Value::Map(mut expected) = expected else {
            panic!("an object")
        };
        // What differs in more than the spelling is another element of a set.
        expected.insert(
            "set".to_owned(),
            Value::List(vec![object("TWO", "3"), object("One", "1")]),
        );
        assert_eq!(kept, Value::Map(expected).canonical(&ty));
        assert!(has_spellings(&schema.attributes));
    }

    #[test]
    fn elements_keep_what_was_computed_while_nothing_changes() {
        // By their IDs, the elements of the set stand in another order than by what is configured.
        let prior = of(&[
            ("a", "k", Value::string("9")),
            ("b", "k", Value::string("1")),
        ]);
        let config = of(&[("a", "k", Value::Null), ("b", "k", Value::Null)]);
        assert_eq!(propose(&collections(), &config, Some(&prior)), prior);
        let more = of(&[
            ("a", "k", Value::Null),
            ("b", "k", Value::Null),
            ("c", "k", Value::Null),
        ]);
        let planned = propose(&collections(), &more, Some(&prior));
        for collection in ["list", "set"] {
            let elements = elements(planned.get(collection));
            assert_eq!(elements.len(), 3);
            assert!(
                elements.iter().all(|one| one.get("id").is_unknown()),
                "something changes, so nothing is known"
            );
        }
        assert!(planned.at("map.a.id").is_unknown() && planned.at("map.c.id").is_unknown());
        assert_eq!(
            replacements(&collections(), &prior, &planned),
            vec![
                Path::of("list").index(2).attribute("kind"),
                Path::of("set"),
                Path::of("map").key("c").attribute("kind"),
            ]
        );
    }

    #[test]
    fn what_replaces_inside_a_collection_asks_for_another_object() {
        let prior = of(&[
            ("a", "k", Value::string("1")),
            ("b", "k", Value::string("2")),
        ]);
        // Another name is a change in place, another kind is not.
        let renamed = of(&[("a", "k", Value::Null), ("z", "k", Value::Null)]);
        let planned = propose(&collections(), &renamed, Some(&prior));
        let asked = replacements(&collections(), &prior, &planned);
        assert!(
            asked
                .iter()
                .all(|path| path.steps().len() == 3 && path.to_string().starts_with("map")),
            "a key of a map that goes or comes takes its attributes along: {asked:?}"
        );
        let changed = of(&[("a", "l", Value::Null), ("b", "k", Value::Null)]);
        let planned = propose(&collections(), &changed, Some(&prior));
        assert_eq!(
            replacements(&collections(), &prior, &planned),
            vec![
                Path::of("list").index(0).attribute("kind"),
                Path::of("set"),
                Path::of("map").key("a").attribute("kind"),
            ]
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
