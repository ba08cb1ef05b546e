//! Long-running operations of Azure Resource Manager: where the provider reads the progress of one, and what a read shows. Pure.
//!
//! Source: Azure Resource Manager, "Track asynchronous Azure operations": `Azure-AsyncOperation` first, then `Location`, else the
//! `provisioningState` of the resource.

use reqwest::header::HeaderMap;
use serde_json::Value as Json;

use super::names::find;

/// Where the provider reads the progress of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tracked {
    /// By the status of the operation.
    Operation(String),
    /// By an address that answers 202 until it is over.
    Location(String),
    /// By the resource itself.
    Resource,
}

/// What one read of an operation showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It goes on.
    Running,
    /// Azure has carried it out.
    Succeeded,
    /// It failed: code and message.
    Failed(String, String),
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    // A relative address would go elsewhere than the one who sent it meant.
    text.starts_with("http").then(|| text.to_owned())
}

/// Where the provider reads the progress of an operation that began with this answer; `None` when it is over already.
pub fn tracked(status: u16, headers: &HeaderMap, body: &Json) -> Option<Tracked> {
    if let Some(url) = header(headers, "azure-asyncoperation") {
        return Some(Tracked::Operation(url));
    }
    if let Some(url) = header(headers, "location")
        && status == 202
    {
        return Some(Tracked::Location(url));
    }
    match state_of(body) {
        Progress::Running => Some(Tracked::Resource),
        _ if status == 202 => Some(Tracked::Resource),
        _ => None,
    }
}

/// How a resource stands, by its provisioning state. Source: Microsoft.Databricks REST API, ProvisioningState (an open list).
pub fn state_of(resource: &Json) -> Progress {
    let state = find(resource, "/properties/provisioningState")
        .and_then(Json::as_str)
        .unwrap_or("Succeeded");
    match state {
        "Succeeded" | "Ready" | "Created" => Progress::Succeeded,
        "Failed" | "Canceled" => Progress::Failed(state.to_owned(), String::new()),
        _ => Progress::Running,
    }
}

/// How an operation stands, by its status.
pub fn status_of(operation: &Json) -> Progress {
    let text = |pointer: &str| {
        operation
            .pointer(pointer)
            .and_then(Json::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    match text("/status").as_str() {
        "Succeeded" => Progress::Succeeded,
        status @ ("Failed" | "Canceled") => {
            let code = text("/error/code");
            Progress::Failed(
                match code.is_empty() {
                    true => status.to_owned(),
                    false => code,
                },
                text("/error/message"),
            )
        }
        _ => Progress::Running,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        all.iter()
            .map(|(name, value)| {
                (
                    reqwest::header::HeaderName::from_static(name),
                    reqwest::header::HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    /// Each row: an answer to a PUT, and where Azure shows the progress of the operation.
    #[test]
    fn an_operation_is_looked_at_where_azure_says() {
        let updating = json!({ "properties": { "provisioningState": "Updating" } });
        let done = json!({ "properties": { "provisioningState": "Succeeded" } });
        let both = [
            ("azure-asyncoperation", "https://x/op"),
            ("location", "https://x/loc"),
        ];
        let rows = [
            (
                201,
                headers(&both),
                &updating,
                Some(Tracked::Operation("https://x/op".to_owned())),
            ),
            (
                202,
                headers(&both[1..]),
                &Json::Null,
                Some(Tracked::Location("https://x/loc".to_owned())),
            ),
            (200, headers(&both[1..]), &updating, Some(Tracked::Resource)),
            (
                202,
                headers(&[("location", "/relative")]),
                &Json::Null,
                Some(Tracked::Resource),
            ),
            (200, headers(&[]), &done, None),
        ];
        for (status, headers, body, expected) in rows {
            assert_eq!(tracked(status, &headers, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn an_operation_ends_in_its_own_words() {
        assert_eq!(
            status_of(&json!({ "status": "InProgress" })),
            Progress::Running
        );
        assert_eq!(
            status_of(&json!({ "status": "Succeeded" })),
            Progress::Succeeded
        );
        assert_eq!(
            status_of(
                &json!({ "status": "Failed", "error": { "code": "ConcurrentUpdateError", "message": "m" } })
            ),
            Progress::Failed("ConcurrentUpdateError".to_owned(), "m".to_owned())
        );
        assert_eq!(status_of(&json!({})), Progress::Running);
        assert_eq!(
            state_of(&json!({ "properties": { "provisioningState": "Accepted" } })),
            Progress::Running
        );
        assert_eq!(state_of(&json!({ "properties": {} })), Progress::Succeeded);
    }
}
