//! Azure Resource Manager: resources as JSON, and operations that take long. What follows from a look at an operation is pure.
//!
//! Source: Azure Resource Manager, "Track asynchronous Azure operations": `Azure-AsyncOperation` first, then `Location`, else the
//! `provisioningState` of the resource.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value as Json;

use super::errors::AzureError;
use super::http::LONGEST_ASKED;
use super::workspace::find;
use super::{ArmWorkspace, Audience, Azure};
use crate::network::{Answer, retry_after};
use crate::vocabulary::azure::WorkspaceResourceId;

/// The version of the API for workspaces. Source: Microsoft.Databricks REST API.
const WORKSPACES: &str = "2026-01-01";

/// Where an operation is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tracked {
    /// By the status of the operation.
    Operation(String),
    /// By an address that answers 202 until it is over.
    Location(String),
    /// By the resource itself.
    Resource,
}

/// What a look at an operation showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It goes on.
    Running,
    /// It succeeded.
    Succeeded,
    /// It failed: code and message.
    Failed(String, String),
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    // A relative address would go elsewhere than the one who sent it meant.
    text.starts_with("http").then(|| text.to_owned())
}

/// Where an operation is looked at that began with this answer; `None` when it is over already.
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

impl Azure {
    fn workspace_url(&self, id: &WorkspaceResourceId) -> String {
        format!(
            "{}{id}?api-version={WORKSPACES}",
            self.settings.base(Audience::ResourceManager)
        )
    }

    /// A workspace as it comes, fields included that this version does not know.
    ///
    /// # Errors
    /// When Azure refuses or cannot be reached.
    pub async fn workspace(&self, id: &WorkspaceResourceId) -> Result<ArmWorkspace, AzureError> {
        let url = self.workspace_url(id);
        let answer = self
            .call(Audience::ResourceManager, Method::GET, &url, None)
            .await?;
        ArmWorkspace::new(id.clone(), answer.body)
    }

    /// The workspaces of a subscription, as they come.
    ///
    /// # Errors
    /// When Azure refuses or cannot be reached.
    pub async fn workspaces(
        &self,
        subscription: &str,
    ) -> Result<Vec<Result<ArmWorkspace, AzureError>>, AzureError> {
        let url = format!(
            "{}/subscriptions/{subscription}/providers/Microsoft.Databricks/workspaces?api-version={WORKSPACES}",
            self.settings.base(Audience::ResourceManager)
        );
        let all = self.list(Audience::ResourceManager, url).await?;
        let read = |json: Json| {
            let id = json.get("id").and_then(Json::as_str).unwrap_or_default();
            let id = id
                .parse()
                .map_err(|error| AzureError::Malformed(format!("{error}")))?;
            ArmWorkspace::new(id, json)
        };
        Ok(all.into_iter().map(read).collect())
    }

    /// Sends a whole workspace, and says where the operation is looked at; `None` when it is over already.
    ///
    /// # Errors
    /// When Azure refuses or cannot be reached.
    pub async fn put_workspace(
        &self,
        id: &WorkspaceResourceId,
        workspace: &Json,
    ) -> Result<Option<Tracked>, AzureError> {
        tracing::info!(workspace = %id, "changing the workspace");
        let url = self.workspace_url(id);
        let answer = self
            .call(
                Audience::ResourceManager,
                Method::PUT,
                &url,
                Some(workspace),
            )
            .await?;
        Ok(tracked(answer.status, &answer.headers, &answer.body))
    }

    /// Looks at an operation, and says how long Azure asks to wait until the next look.
    ///
    /// # Errors
    /// When Azure refuses or cannot be reached.
    pub async fn look_at(
        &self,
        id: &WorkspaceResourceId,
        tracked: &Tracked,
    ) -> Result<(Progress, Option<Duration>), AzureError> {
        let get = async |url: &str| {
            self.call(Audience::ResourceManager, Method::GET, url, None)
                .await
        };
        let pause = |answer: &Answer| retry_after(&answer.headers, LONGEST_ASKED);
        match tracked {
            Tracked::Operation(url) => match get(url).await {
                Ok(answer) => Ok((status_of(&answer.body), pause(&answer))),
                // A status that is not there yet is on its way.
                Err(AzureError::NotFound(_)) => Ok((Progress::Running, None)),
                Err(error) => Err(error),
            },
            Tracked::Location(url) => match get(url).await {
                Ok(answer) if answer.status == 202 => Ok((Progress::Running, pause(&answer))),
                Ok(answer) => Ok((state_of(&answer.body), pause(&answer))),
                Err(AzureError::NotFound(_)) => Ok((Progress::Running, None)),
                Err(error) => Err(error),
            },
            Tracked::Resource => {
                let found = self.workspace(id).await?;
                Ok((state_of(found.json()), None))
            }
        }
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

    /// Each row: an answer to a PUT, and where the operation is looked at.
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
