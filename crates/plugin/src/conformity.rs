//! What Terraform enforces on plans and new states, checked before an answer leaves: a violation is a fault of the provider
//! and is reported as one, with what differs, instead of Terraform's "provider produced inconsistent result".

use super::path::Path;
use super::schema::{Attribute, Kind, Nesting, Schema};
use super::value::Value;

/// Where a plan breaks Terraform's rules: configured values must be planned as they are, or as the prior state spells them;
/// only computed attributes may differ from the configuration.
pub fn plan_violations(
    schema: &Schema,
    config: &Value,
    prior: Option<&Value>,
    planned: &Value,
) -> Vec<String> {
    let mut violations = Vec::new();
    check_plan(
        &schema.attributes,
        config,
        prior.unwrap_or(&Value::Null),
        planned,
        &Path::root(),
        &mut violations,
    );
    violations
}

fn check_plan(
    attributes: &[Attribute],
    config: &Value,
    prior: &Value,
    planned: &Value,
    path: &Path,
    out: &mut Vec<String>,
) {
    for attribute in attributes {
        let name = attribute.name;
        let (given, before, after) = (config.get(name), prior.get(name), planned.get(name));
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
            (_, Value::Null) if attribute.is_computed() => {}
            (Kind::Nested(Nesting::Single, inner), Value::Map(_)) if after.as_map().is_some() => {
                check_plan(inner, given, before, after, &path, out);
            }
            // Elements of nested collections may carry computed attributes of their own; Terraform compares them one by one,
            // and no resource here has them.
            (Kind::Nested(Nesting::List | Nesting::Set | Nesting::Map, _), _) => {}
            (_, Value::Unknown(_)) if after.is_unknown() => {}
            _ if after == given || (!given.is_null() && !before.is_null() && after == before) => {}
            _ => out.push(format!(
                "{path} is configured as {} but was planned as {}",
                shown(attribute, given),
                shown(attribute, after)
            )),
        }
    }
}

/// Where a new state breaks Terraform's rules: everything is known, and what was planned as known is the same.
pub fn state_violations(schema: &Schema, planned: &Value, state: &Value) -> Vec<String> {
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
        let (wanted, got) = (planned.get(attribute.name), state.get(attribute.name));
        let path = path.attribute(attribute.name);
        if !got.is_wholly_known() {
            out.push(format!("{path} is still unknown after apply"));
        } else if let (Kind::Nested(Nesting::Single, inner), Value::Map(_), Value::Map(_)) =
            (&attribute.kind, wanted, got)
        {
            check_state(inner, wanted, got, &path, out);
        } else if !agrees(wanted, got) {
            out.push(format!(
                "{path} was planned as {} but became {}",
                shown(attribute, wanted),
                shown(attribute, got)
            ));
        }
    }
}

/// Whether `got` is what `wanted` promised; an unknown promised nothing.
fn agrees(wanted: &Value, got: &Value) -> bool {
    match (wanted, got) {
        (Value::Unknown(_), _) => true,
        (Value::Map(wanted), Value::Map(got)) => {
            wanted.len() == got.len()
                && wanted
                    .iter()
                    .all(|(name, wanted)| got.get(name).is_some_and(|got| agrees(wanted, got)))
        }
        (Value::List(wanted), Value::List(got)) => {
            wanted.len() == got.len()
                && wanted
                    .iter()
                    .zip(got)
                    .all(|(wanted, got)| agrees(wanted, got))
        }
        (wanted, got) => wanted == got,
    }
}

fn shown(attribute: &Attribute, value: &Value) -> String {
    if attribute.sensitive && !value.is_null() {
        "(sensitive)".to_owned()
    } else {
        value.to_string()
    }
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
