//! What Terraform enforces on plans and new states, checked before an answer leaves: a violation is a fault of the provider
//! and is reported as one, with what differs, instead of Terraform's "provider produced inconsistent result".

use super::path::Path;
use super::schema::{Attribute, Kind, Nesting, Schema};
use super::types::Type;
use super::value::Value;

/// Where a plan breaks Terraform's rules: configured values must be planned as they are, or as the prior state spells them;
/// only computed attributes may differ from the configuration.
pub(crate) fn plan_violations(
    schema: &Schema,
    config: &Value,
    prior: Option<&Value>,
    planned: &Value,
) -> Vec<String> {
    let mut violations = Vec::new();
    let sides = Sides {
        given: config,
        before: prior.unwrap_or(&Value::Null),
        after: planned,
    };
    check_plan(&schema.attributes, sides, &Path::root(), &mut violations);
    violations
}

/// A value in the configuration, in the prior state and in the plan.
#[derive(Clone, Copy)]
struct Sides<'a> {
    given: &'a Value,
    before: &'a Value,
    after: &'a Value,
}

fn check_plan(attributes: &[Attribute], sides: Sides<'_>, path: &Path, out: &mut Vec<String>) {
    for attribute in attributes {
        let name = attribute.name.as_ref();
        let sides = Sides {
            given: sides.given.get(name),
            before: sides.before.get(name),
            after: sides.after.get(name),
        };
        let Sides {
            given,
            before,
            after,
        } = sides;
        let path = path.attribute(name);
        if attribute.write_only {
            if !after.is_null() {
                out.push(format!(
                    "{path} is write-only but was planned as {}",
                    shown(attribute, after)
                ));
            }
            continue;
        }
        match (&attribute.kind, given) {
            (_, given) if given.is_null() && attribute.is_computed() => {}
            (Kind::Nested(Nesting::Single, inner), Value::Map(_)) if after.as_map().is_some() => {
                check_plan(inner, sides, &path, out);
            }
            (Kind::Nested(Nesting::Map, inner), Value::Map(elements))
                if after
                    .as_map()
                    .is_some_and(|after| after.keys().eq(elements.keys())) =>
            {
                for (key, given) in elements {
                    let sides = Sides {
                        given,
                        before: before.get(key),
                        after: after.get(key),
                    };
                    check_element(attribute, inner, sides, &path.key(key), out);
                }
            }
            (Kind::Nested(Nesting::List, inner), Value::List(elements))
                if length(after) == Some(elements.len()) =>
            {
                for (index, given) in elements.iter().enumerate() {
                    let sides = Sides {
                        given,
                        before: element(before, index),
                        after: element(after, index),
                    };
                    check_element(attribute, inner, sides, &path.index(index), out);
                }
            }
            (Kind::Nested(Nesting::Set, inner), Value::List(elements))
                if length(after) == Some(elements.len()) =>
            {
                check_set(attribute, inner, sides, &path, out);
            }
            (_, Value::Unknown(_)) if after.is_unknown() => {}
            _ if after == given || (!given.is_null() && !before.is_null() && after == before) => {}
            _ => {
                let (given, after) = both_shown(attribute, given, after);
                out.push(format!(
                    "{path} is configured as {given} but was planned as {after}"
                ));
            }
        }
    }
}

fn list(value: &Value) -> &[Value] {
    match value {
        Value::List(elements) => elements,
        _ => &[],
    }
}

fn length(value: &Value) -> Option<usize> {
    match value {
        Value::List(elements) => Some(elements.len()),
        _ => None,
    }
}

fn element(value: &Value, index: usize) -> &Value {
    list(value).get(index).unwrap_or(&Value::Null)
}

/// The same for a nested set. Which element is which shows in what it was planned as: one for each has to fit.
fn check_set(
    attribute: &Attribute,
    inner: &[Attribute],
    sides: Sides<'_>,
    path: &Path,
    out: &mut Vec<String>,
) {
    let mut left: Vec<&Value> = list(sides.after).iter().collect();
    for given in list(sides.given) {
        let fits = |after: &&Value| {
            let fits_with = |before: &Value| {
                let mut wrong = Vec::new();
                let sides = Sides {
                    given,
                    before,
                    after,
                };
                check_element(attribute, inner, sides, path, &mut wrong);
                wrong.is_empty()
            };
            fits_with(&Value::Null) || list(sides.before).iter().any(fits_with)
        };
        match left.iter().position(fits) {
            Some(at) => {
                left.swap_remove(at);
            }
            None => out.push(format!(
                "{path} has the element {} in the configuration, and none like it in the plan",
                shown(attribute, given)
            )),
        }
    }
}

/// The same for one element of a nested collection.
fn check_element(
    attribute: &Attribute,
    inner: &[Attribute],
    sides: Sides<'_>,
    path: &Path,
    out: &mut Vec<String>,
) {
    let Sides { given, after, .. } = sides;
    if given.as_map().is_some() && after.as_map().is_some() {
        check_plan(inner, sides, path, out);
    } else if after != given {
        out.push(format!(
            "{path} is configured as {} but was planned as {}",
            shown(attribute, given),
            shown(attribute, after)
        ));
    }
}

/// Where a new state breaks Terraform's rules: everything is known, and what was planned as known is the same.
pub(crate) fn state_violations(schema: &Schema, planned: &Value, state: &Value) -> Vec<String> {
    let mut violations = Vec::new();
    check_state(
        &schema.attributes,
        planned,
        state,
        &Path::root(),
        &mut violations,
    );
    violations
}

fn check_state(
    attributes: &[Attribute],
    planned: &Value,
    state: &Value,
    path: &Path,
    out: &mut Vec<String>,
) {
    for attribute in attributes {
        let (wanted, got) = (planned.get(&attribute.name), state.get(&attribute.name));
        let path = path.attribute(&attribute.name);
        if !got.is_wholly_known() {
            out.push(format!("{path} is still unknown after apply"));
        } else if let (Kind::Nested(Nesting::Single, inner), Value::Map(_), Value::Map(_)) =
            (&attribute.kind, wanted, got)
        {
            check_state(inner, wanted, got, &path, out);
        } else if !agrees(&attribute.ty(), wanted, got) {
            let (wanted, got) = both_shown(attribute, wanted, got);
            out.push(format!("{path} was planned as {wanted} but became {got}"));
        }
    }
}

/// Whether `got` is what `wanted` promised; an unknown promised nothing.
fn agrees(ty: &Type, wanted: &Value, got: &Value) -> bool {
    match (ty, wanted, got) {
        (_, Value::Unknown(_), _) => true,
        // What is not known has a type all the same.
        (_, Value::Dynamic(wanted), Value::Dynamic(got)) => {
            wanted.0 == got.0 && agrees(&wanted.0, &wanted.1, &got.1)
        }
        // Where an element of a set ends up depends on what it turned out to be, and two may turn out to be the same.
        (Type::Set(element), Value::List(wanted), Value::List(got)) => {
            let agree = |wanted: &Value| got.iter().any(|got| agrees(element, wanted, got));
            let promised = |got: &Value| wanted.iter().any(|wanted| agrees(element, wanted, got));
            wanted.iter().all(agree) && got.iter().all(promised) && got.len() <= wanted.len()
        }
        (_, Value::Map(wanted), Value::Map(got)) => {
            let inner = |name: &str| match ty {
                Type::Map(element) => element.as_ref(),
                Type::Object { attributes, .. } => attributes.get(name).unwrap_or(&Type::Dynamic),
                _ => &Type::Dynamic,
            };
            let agree = |(name, wanted): (&String, &Value)| {
                got.get(name)
                    .is_some_and(|got| agrees(inner(name), wanted, got))
            };
            wanted.len() == got.len() && wanted.iter().all(agree)
        }
        (_, Value::List(wanted), Value::List(got)) => {
            let inner = |index: usize| match ty {
                Type::List(element) => element.as_ref(),
                Type::Tuple(elements) => elements.get(index).unwrap_or(&Type::Dynamic),
                _ => &Type::Dynamic,
            };
            let mut pairs = wanted.iter().zip(got).enumerate();
            wanted.len() == got.len()
                && pairs.all(|(index, (wanted, got))| agrees(inner(index), wanted, got))
        }
        (_, wanted, got) => wanted == got,
    }
}

fn shown(attribute: &Attribute, value: &Value) -> String {
    if attribute.sensitive && !value.is_null() {
        "(sensitive)".to_owned()
    } else {
        value.to_string()
    }
}

/// Two values that differ, in their types where they read the same.
fn both_shown(attribute: &Attribute, one: &Value, other: &Value) -> (String, String) {
    let (first, second) = (shown(attribute, one), shown(attribute, other));
    if attribute.sensitive || first != second {
        return (first, second);
    }
    let typed = |text: String, value: &Value| match value {
        Value::Dynamic(inner) => format!("{text} (a {})", inner.0),
        _ => format!("{text} (without a type)"),
    };
    (typed(first, one), typed(second, other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        Schema::new(
            "",
            vec![
                Attribute::string("name").required(),
                Attribute::string("id").computed(),
                Attribute::string("secret").sensitive(),
                Attribute::object(
                    "aws",
                    vec![
                        Attribute::string("key").required(),
                        Attribute::string("region").computed(),
                    ],
                ),
            ],
        )
    }

    fn block(name: &str, id: Value, secret: &str, region: Value) -> Value {
        Value::map([
            ("name", Value::string(name)),
            ("id", id),
            ("secret", Value::string(secret)),
            (
                "aws",
                Value::map([("key", Value::string("k")), ("region", region)]),
            ),
        ])
    }

    #[test]
    fn a_plan_may_fill_in_what_is_computed_and_nothing_else() {
        let config = block("a", Value::Null, "s", Value::Null);
        let good = block("a", Value::unknown(), "s", Value::string("eu"));
        assert_eq!(
            plan_violations(&schema(), &config, None, &good),
            Vec::<String>::new()
        );
        let bad = block("b", Value::unknown(), "t", Value::string("eu"));
        assert_eq!(
            plan_violations(&schema(), &config, None, &bad),
            [
                "name is configured as \"a\" but was planned as \"b\"",
                "secret is configured as (sensitive) but was planned as (sensitive)"
            ]
        );
    }

    #[test]
    fn a_value_of_any_type_keeps_its_type() {
        let schema = Schema::new("", vec![Attribute::of("any", Type::Dynamic)]);
        let of =
            |ty: Type, value: Value| Value::map([("any", Value::Dynamic(Box::new((ty, value))))]);
        let list = || Value::from(vec!["a"]);
        let (config, planned) = (
            of(Type::list(Type::String), list()),
            of(Type::set(Type::String), list()),
        );
        assert_eq!(
            plan_violations(&schema, &config, None, &planned),
            [
                "any is configured as [\"a\"] (a list of string) but was planned as [\"a\"] (a set of string)"
            ]
        );
        let unknown = of(Type::String, Value::unknown());
        let (good, bad) = (of(Type::String, "x".into()), of(Type::Bool, true.into()));
        assert_eq!(
            state_violations(&schema, &unknown, &good),
            Vec::<String>::new()
        );
        assert_eq!(state_violations(&schema, &unknown, &bad).len(), 1);
        let null = of(Type::String, Value::Null);
        assert_eq!(
            plan_violations(&schema, &null, None, &null),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_plan_may_keep_the_spelling_of_the_prior_state() {
        let config = block("a", Value::Null, "s", Value::Null);
        let prior = block("A", Value::string("7"), "s", Value::string("eu"));
        assert_eq!(
            plan_violations(&schema(), &config, Some(&prior), &prior),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_state_keeps_what_the_plan_promised() {
        let planned = block("a", Value::unknown(), "s", Value::string("eu"));
        let good = block("a", Value::string("7"), "s", Value::string("eu"));
        assert_eq!(
            state_violations(&schema(), &planned, &good),
            Vec::<String>::new()
        );
        let bad = block("a", Value::unknown(), "s", Value::string("us"));
        assert_eq!(
            state_violations(&schema(), &planned, &bad),
            [
                "id is still unknown after apply",
                "aws.region was planned as \"eu\" but became \"us\""
            ]
        );
    }
}
