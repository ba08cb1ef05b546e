//! Microsoft Graph: service principals by their application. Source: Microsoft Graph v1.0, "List servicePrincipals".

use serde_json::json;

use super::{DATABRICKS, DATABRICKS_APPLICATION, login};
use crate::Shared;
use crate::http::{Answer, Request};

/// Answers a request to Microsoft Graph.
pub(super) fn answer(shared: &Shared, request: &Request, path: &str) -> Answer {
    if let Err(refused) = login::is_for(shared, request, "https://graph.microsoft.com") {
        return refused;
    }
    let world = shared.world();
    if world.now.azure.denied.contains("graph") {
        return Answer::json(
            403,
            &json!({ "error": { "code": "Authorization_RequestDenied", "message": "Insufficient privileges to complete the operation." } }),
        );
    }
    let filter = request.query.get("$filter").cloned().unwrap_or_default();
    let is_databricks = filter == format!("appId eq '{DATABRICKS_APPLICATION}'");
    match path {
        "v1.0/servicePrincipals" if is_databricks && world.now.azure.has_databricks => {
            Answer::json(
                200,
                &json!({ "value": [{ "id": DATABRICKS, "appId": DATABRICKS_APPLICATION }] }),
            )
        }
        "v1.0/servicePrincipals" => Answer::json(200, &json!({ "value": [] })),
        _ => Answer::json(
            400,
            &json!({ "error": { "code": "BadRequest", "message": "Resource not found for the segment." } }),
        ),
    }
}
