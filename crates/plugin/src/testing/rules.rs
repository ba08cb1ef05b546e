//! What Terraform demands of a provider's answers, from the text of the protocol ("Resource Instance Change Lifecycle") and written
//! independently of the checks that this crate makes itself: the one is to find what the other overlooks.

use crate::path::Path;
use crate::schema::{Attribute, Kind, Nesting};
use crate::types::Type;
use crate::value::Value;

/// What a plan breaks: what is configured is planned as it is, or as the prior state has it; only what the provider computes may differ.
pub(super) fn of_plan(
    attributes: &[Attribute],
    (prior, config, planned): (&Value, &Value, &Value),
    path: &Path,
    broken: &mut Vec<String>,
) {
    for attribute in attributes {
        let name = &*attribute.name;
        let (before, given, after) = (prior.get(name), config.get(name), planned.get(name));
        let path = path.attribute(name);
        if after == given {
            continue;
        }
        if let (Kind::Nested(Nesting::Single, inner), true) =
            (&attribute.kind, given.as_map().is_some())
            && after.as_map().is_some()
        {
            of_plan(inner, (before, given, after), &path, broken);
            continue;
        }
        let is_respelled = after == before && !before.is_null() && !given.is_null();
        let is_own = attribute.is_computed() && (given.is_null() || holds_computed(attribute));
        if !is_respelled && !is_own {
            broken.push(format!(
                "{path}: configured {given:?}, and planned {after:?}"
            ));
        }
    }
}

/// Whether parts of it are the provider's, so that it is not compared as a whole.
fn holds_computed(attribute: &Attribute) -> bool {
    match &attribute.kind {
        Kind::Value(_) => false,
        Kind::Nested(_, inner) => inner
            .iter()
            .any(|one| one.is_computed() || holds_computed(one)),
    }
}

/// What a later value breaks of an earlier one: what was known stays, and what was unknown may be anything.
pub(super) fn promises(
    attributes: &[Attribute],
    planned: &Value,
    actual: &Value,
    path: &Path,
    broken: &mut Vec<String>,
) {
    match (planned, actual) {
        (Value::Unknown(_), _) | (Value::Null, Value::Null) => return,
        (Value::Null, _) => return broken.push(format!("{path}: was absent, and is present now")),
        (_, Value::Null) => return broken.push(format!("{path}: was present, and is absent now")),
        _ => {}
    }
    for attribute in attributes {
        let name = &*attribute.name;
        let (before, after) = (planned.get(name), actual.get(name));
        let path = path.attribute(name);
        let shown = if attribute.sensitive {
            Shown::Hidden
        } else {
            Shown::Whole
        };
        match &attribute.kind {
            Kind::Value(ty) => value(ty, (before, after), &path, shown, broken),
            Kind::Nested(Nesting::Single, inner) => promises(inner, before, after, &path, broken),
            Kind::Nested(Nesting::Map, inner) => {
                elements_of_map(inner, before, after, &path, broken);
            }
            Kind::Nested(nesting, inner) => {
                let ty = Type::object(inner.iter().map(|one| (one.name.to_string(), one.ty())));
                let ty = match nesting {
                    Nesting::Set => Type::set(ty),
                    _ => Type::list(ty),
                };
                value(&ty, (before, after), &path, shown, broken);
            }
        }
    }
}

fn elements_of_map(
    inner: &[Attribute],
    planned: &Value,
    actual: &Value,
    path: &Path,
    broken: &mut Vec<String>,
) {
    let (Some(before), Some(after)) = (planned.as_map(), actual.as_map()) else {
        return promises(&[], planned, actual, path, broken);
    };
    if !before.keys().eq(after.keys()) {
        broken.push(format!("{path}: has other keys now"));
    }
    for (key, before) in before {
        promises(inner, before, actual.get(key), &path.key(key), broken);
    }
}

/// Whether a message may quote the values.
#[derive(Clone, Copy)]
enum Shown {
    Whole,
    Hidden,
}

fn value(
    ty: &Type,
    (planned, actual): (&Value, &Value),
    path: &Path,
    shown: Shown,
    broken: &mut Vec<String>,
) {
    match (planned, actual, ty) {
        (Value::Unknown(_), _, _) => {}
        (_, Value::Unknown(_), _) => {
            broken.push(format!("{path}: was known, and is not known now"))
        }
        (Value::List(before), Value::List(after), Type::Set(_)) => {
            // What was not known may have become any of them.
            let is_open = before.iter().any(|one| !one.is_wholly_known());
            let is_kept = |one: &&Value| !one.is_wholly_known() || after.contains(one);
            if !before.iter().all(|one| is_kept(&one)) || (!is_open && before.len() != after.len())
            {
                broken.push(format!("{path}: was {before:?}, and is {after:?} now"));
            }
        }
        (Value::List(before), Value::List(after), Type::List(element)) => {
            if before.len() != after.len() {
                return broken.push(format!("{path}: has {} elements now", after.len()));
            }
            for (index, (before, after)) in before.iter().zip(after).enumerate() {
                value(element, (before, after), &path.index(index), shown, broken);
            }
        }
        (Value::Map(before), Value::Map(after), _) => {
            if !before.keys().eq(after.keys()) {
                broken.push(format!("{path}: has other keys now"));
            }
            for (key, before) in before {
                let ty = match ty {
                    Type::Map(element) => element,
                    Type::Object { attributes, .. } => {
                        attributes.get(key).unwrap_or(&Type::Dynamic)
                    }
                    _ => &Type::Dynamic,
                };
                value(ty, (before, actual.get(key)), &path.key(key), shown, broken);
            }
        }
        (before, after, _) if before == after => {}
        (before, after, _) => broken.push(match shown {
            Shown::Whole => format!("{path}: was {before:?}, and is {after:?} now"),
            Shown::Hidden => format!("{path}: was another secret"),
        }),
    }
}
