//! Microsoft Graph: the object ID of an application in a tenant.

use reqwest::Method;
use serde_json::Value as Json;

use super::errors::AzureError;
use super::{Audience, Azure};
use crate::vocabulary::azure::PrincipalId;

impl Azure {
    /// The object ID of an application's service principal in the tenant; `None` when the tenant has none.
    ///
    /// # Errors
    /// When Graph refuses (the caller needs Application.Read.All or the role Directory Readers) or cannot be reached.
    pub async fn principal_of(&self, application: &str) -> Result<Option<PrincipalId>, AzureError> {
        let url = format!(
            "{}/v1.0/servicePrincipals?$filter=appId%20eq%20'{application}'&$select=id,appId",
            self.settings.base(Audience::Graph)
        );
        let answer = self.call(Audience::Graph, Method::GET, &url, None).await?;
        let id = answer.body.pointer("/value/0/id").and_then(Json::as_str);
        id.map(str::parse)
            .transpose()
            .map_err(|error| AzureError::Malformed(format!("{error}")))
    }
}
