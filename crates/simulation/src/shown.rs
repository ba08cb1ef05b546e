//! A plan as `terraform show -json` gives it, as far as a review reads it.
//!
//! Source: Terraform, "JSON Output Format", format version 1.2.

use serde_json::{Map, Value as Json, json};
use tfplugin::testing::terraform::{Action, Change, Configuration, Plan, Term};
use tfplugin::value::Value;

/// Renders a plan in the form of `terraform show -json`.
pub fn plan(plan: &Plan, configuration: &Configuration) -> Json {
    let changes = plan.changes.iter().map(|(address, change)| {
        let before = plan.refreshed.objects.get(address);
        let before = before.map(|object| known(&object.value));
        resource(address, change, before.unwrap_or_default())
    });
    let blocks = configuration.iter().map(|(address, block)| {
        let (kind, name) = parts(address);
        json!({
            "address": address,
            "mode": "managed",
            "type": kind,
            "name": name,
            "provider_config_key": provider(kind),
            "expressions": fields(&block.body),
            "depends_on": block.depends_on,
        })
    });
    json!({
        "format_version": "1.2",
        "terraform_version": "1.11.4",
        "resource_changes": changes.collect::<Vec<_>>(),
        "configuration": {
            "provider_config": { "dbxcmk": { "name": "dbxcmk" } },
            "root_module": { "resources": blocks.collect::<Vec<_>>() },
        },
    })
}

fn parts(address: &str) -> (&str, &str) {
    address.split_once('.').unwrap_or((address, ""))
}

/// `terraform_data` is Terraform's own.
fn provider(kind: &str) -> &'static str {
    match kind.starts_with("dbxcmk_") {
        true => "dbxcmk",
        false => "terraform",
    }
}

fn resource(address: &str, change: &Change, before: Json) -> Json {
    let (kind, name) = parts(address);
    let actions = match change.action {
        Action::NoOp => json!(["no-op"]),
        Action::Create => json!(["create"]),
        Action::Update => json!(["update"]),
        Action::Replace => json!(["delete", "create"]),
        Action::Delete => json!(["delete"]),
    };
    json!({
        "address": address,
        "mode": "managed",
        "type": kind,
        "name": name,
        "provider_name": provider(kind),
        "change": {
            "actions": actions,
            "before": before,
            "after": known(&change.planned),
            "after_unknown": unknown(&change.planned),
            "before_sensitive": {},
            "after_sensitive": {},
        },
    })
}

/// What is known of a value; what is not known is left out.
pub fn known(value: &Value) -> Json {
    match value {
        Value::Null | Value::Unknown(_) => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Number(number) => serde_json::from_str(&number.to_string()).unwrap_or_default(),
        Value::String(text) => json!(text),
        Value::List(all) => all.iter().map(known).collect(),
        Value::Map(all) => {
            let all = all.iter().filter(|(_, value)| !value.is_unknown());
            let all: Map<String, Json> = all
                .map(|(name, value)| (name.clone(), known(value)))
                .collect();
            Json::Object(all)
        }
        Value::Dynamic(inner) => known(&inner.1),
    }
}

/// `true` for each value that Terraform does not know.
fn unknown(value: &Value) -> Json {
    match value {
        Value::Unknown(_) => Json::Bool(true),
        Value::List(all) => all.iter().map(unknown).collect(),
        Value::Map(all) => {
            let all = all
                .iter()
                .map(|(name, value)| (name.clone(), unknown(value)));
            let all = all.filter(|(_, value)| !matches!(value, Json::Bool(false)));
            Json::Object(all.collect())
        }
        Value::Dynamic(inner) => unknown(&inner.1),
        _ => Json::Bool(false),
    }
}

/// The arguments of a block, as expressions.
fn fields(body: &Term) -> Json {
    match body {
        Term::Object(all) => {
            let all = all
                .iter()
                .map(|(name, term)| (name.clone(), expression(term)));
            Json::Object(all.collect())
        }
        _ => json!({}),
    }
}

/// An expression: a constant, or the address that it refers to.
fn expression(term: &Term) -> Json {
    let mut found = Vec::new();
    references(term, &mut found);
    match found.is_empty() {
        true => json!({ "constant_value": constant(term) }),
        false => json!({ "references": found }),
    }
}

fn references(term: &Term, found: &mut Vec<String>) {
    match term {
        Term::Value(_) => {}
        Term::Of(address, path) => {
            found.push(format!("{address}.{path}"));
            found.push(address.clone());
        }
        Term::Object(all) => all.iter().for_each(|(_, term)| references(term, found)),
        Term::List(all) => all.iter().for_each(|term| references(term, found)),
    }
}

fn constant(term: &Term) -> Json {
    match term {
        Term::Value(value) => known(value),
        Term::Of(..) => Json::Null,
        Term::Object(all) => {
            let all = all
                .iter()
                .map(|(name, term)| (name.clone(), constant(term)));
            Json::Object(all.collect())
        }
        Term::List(all) => all.iter().map(constant).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_marked_and_not_shown() {
        let value = Value::map([
            ("id", Value::unknown()),
            ("name", Value::string("a")),
            (
                "all",
                Value::List(vec![Value::unknown(), Value::Bool(true)]),
            ),
        ]);
        assert_eq!(known(&value), json!({ "name": "a", "all": [null, true] }));
        assert_eq!(unknown(&value), json!({ "id": true, "all": [true, false] }));
    }

    #[test]
    fn a_reference_is_shown_with_its_block() {
        let term = Term::object([("key_arn", Term::of("dbxcmk_key_policy.a", "aws.key_arn"))]);
        let references = ["dbxcmk_key_policy.a.aws.key_arn", "dbxcmk_key_policy.a"];
        assert_eq!(expression(&term), json!({ "references": references }));
        assert_eq!(
            expression(&Term::string("x")),
            json!({ "constant_value": "x" })
        );
    }
}
