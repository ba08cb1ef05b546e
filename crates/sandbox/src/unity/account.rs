//! The account's side: its metastores, and their workspaces. One answer each, without pages.

use serde_json::{Value as Json, json};

use super::Unity;
use crate::http::Answer;

fn no_metastore(id: &str) -> Answer {
    Answer::refusal(
        404,
        "METASTORE_DOES_NOT_EXIST",
        &format!("Metastore '{id}' does not exist."),
    )
}

/// Answers `GET /api/2.0/accounts/{account}/metastores…`.
pub(crate) fn answer(unity: &Unity, path: &[&str]) -> Answer {
    let [id, rest @ ..] = path else {
        let all = unity.metastores.values();
        let all: Vec<Json> = all.map(|one| Json::Object(one.fields.clone())).collect();
        return Answer::json(200, &json!({ "metastores": all }));
    };
    let Some(found) = unity.metastores.get(*id) else {
        return no_metastore(id);
    };
    match rest {
        [] => Answer::json(200, &json!({ "metastore_info": found.fields })),
        ["workspaces"] => Answer::json(200, &json!({ "workspace_ids": found.workspaces })),
        _ => Answer::refusal(404, "ENDPOINT_NOT_FOUND", "No API found for this path."),
    }
}
