//! Statements and conditions as a person pastes them.

use serde_json::Value as Json;

use super::Question;
use requirements::aws::{ACCOUNT_TAG, User};

/// A condition that takes the caller out of a Deny.
pub(super) fn exception(user: &User, question: &Question) -> String {
    match user {
        User::Databricks(deployment) => {
            let accounts: Vec<String> = question
                .usage
                .accounts
                .iter()
                .map(|account| format!("\"{account}\""))
                .collect();
            format!(
                "\"StringNotEquals\": {{ \"{ACCOUNT_TAG}\": [{}] }}\n\nor, for every call of Databricks:\n\n\"StringNotEquals\": {{ \
                 \"aws:PrincipalAccount\": \"{}\" }}",
                accounts.join(", "),
                deployment.account()
            )
        }
        User::CrossAccountRole(role) | User::StorageCredential(role) => {
            format!("\"ArnNotEquals\": {{ \"aws:PrincipalArn\": \"{role}\" }}")
        }
    }
}

/// A statement over several lines, its elements still in the order in which people read them.
pub(super) fn pretty(statement: &str) -> String {
    let Ok(Json::Object(elements)) = serde_json::from_str(statement) else {
        return statement.to_owned();
    };
    let order = [
        "Sid",
        "Effect",
        "Principal",
        "Action",
        "Resource",
        "Condition",
    ];
    let lines: Vec<String> = order
        .iter()
        .filter_map(|name| {
            elements
                .get(*name)
                .map(|value| format!("  \"{name}\": {}", spaced(value)))
        })
        .collect();
    format!("{{\n{}\n}}", lines.join(",\n"))
}

/// One line of JSON with spaces where a person would put them.
fn spaced(value: &Json) -> String {
    match value {
        Json::Array(items) => format!(
            "[{}]",
            items.iter().map(spaced).collect::<Vec<_>>().join(", ")
        ),
        Json::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("\"{name}\": {}", spaced(value)))
                .collect();
            format!("{{ {} }}", fields.join(", "))
        }
        other => other.to_string(),
    }
}
