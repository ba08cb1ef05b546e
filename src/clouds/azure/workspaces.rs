//! The workspaces in Azure Resource Manager: the calls that read, list and send them, and that follow a change.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value as Json;

use super::errors::AzureError;
use super::http::LONGEST_ASKED;
use super::operations::{Progress, Tracked, state_of, status_of, tracked};
use super::{ArmWorkspace, Audience, Azure};
use crate::network::{Answer, retry_after};
use crate::vocabulary::azure::WorkspaceResourceId;

/// The version of the API for workspaces. Source: Microsoft.Databricks REST API.
const WORKSPACES: &str = "2026-01-01";

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

    /// Sends a whole workspace, and says where the provider reads the progress of the operation; `None`
    /// when it is over already.
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

    /// Reads the progress of an operation, and says how long Azure asks to wait until the next read.
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
