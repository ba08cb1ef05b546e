//! Holds JSON against the schemas in `docs/schemas`, for tests.

use serde_json::Value as Json;

/// What of a value is not as its JSON schema says, a line each; the part of the language that our schemas use. A word that is not known
/// here is a line as well.
pub fn against(schema: &Json, value: &Json, place: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (word, rule) in schema.as_object().into_iter().flatten() {
        match word.as_str() {
            "$schema" | "title" | "description" => {}
            "type" => {
                let names: Vec<&Json> = rule
                    .as_array()
                    .map_or(vec![rule], |all| all.iter().collect());
                if !names
                    .iter()
                    .any(|name| *name == type_of(value) || (*name == "number" && value.is_number()))
                {
                    wrong.push(format!("{place}: {value} is not of the type {rule}"));
                }
            }
            "enum" if !rule.as_array().is_some_and(|all| all.contains(value)) => {
                wrong.push(format!("{place}: {value} is not one of {rule}"));
            }
            "const" if rule != value => wrong.push(format!("{place}: {value} is not {rule}")),
            "enum" | "const" => {}
            "required" => {
                let names = rule.as_array().into_iter().flatten();
                for name in names.filter_map(Json::as_str) {
                    if value.is_object() && value.get(name).is_none() {
                        wrong.push(format!("{place}: `{name}` is missing"));
                    }
                }
            }
            "properties" => {
                for (name, one) in value.as_object().into_iter().flatten() {
                    if let Some(schema) = rule.get(name) {
                        wrong.extend(against(schema, one, &format!("{place}.{name}")));
                    }
                }
            }
            "additionalProperties" => {
                let described = schema.get("properties");
                for (name, one) in value.as_object().into_iter().flatten() {
                    if described.is_some_and(|all| all.get(name).is_some()) {
                        continue;
                    }
                    match rule {
                        Json::Bool(false) => {
                            wrong.push(format!("{place}: `{name}` is not described"));
                        }
                        rule => wrong.extend(against(rule, one, &format!("{place}.{name}"))),
                    }
                }
            }
            "items" => {
                for (index, one) in value.as_array().into_iter().flatten().enumerate() {
                    wrong.extend(against(rule, one, &format!("{place}[{index}]")));
                }
            }
            "anyOf" => {
                let forms = rule.as_array().into_iter().flatten();
                if !forms
                    .into_iter()
                    .any(|form| against(form, value, place).is_empty())
                {
                    wrong.push(format!("{place}: {value} has none of the forms"));
                }
            }
            other => wrong.push(format!(
                "{place}: the schema has `{other}`, which this test does not know"
            )),
        }
    }
    wrong
}

fn type_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}
