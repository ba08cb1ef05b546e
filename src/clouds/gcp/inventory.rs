//! Cloud KMS Inventory: which resources a key protects.

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value as Json;

use super::Gcp;
use super::errors::{GcpError, unreadable};
use crate::preflight::LastUse;
use crate::vocabulary::gcp::CryptoKeyName;

/// Why a key without resources in the inventory may be in use all the same.
const NOTHING_LISTED: &str = "Cloud KMS Inventory lists no resource that the key protects. That proves nothing: managed services keep their \
     data in the organization of Databricks, which the inventory does not see";

/// `ProtectedResourcesSummary`. Source: reference of the Cloud KMS Inventory API, `getProtectedResourcesSummary`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Summary {
    /// Decimal digits, as every 64-bit number in the JSON of Google's APIs; absent for 0.
    resource_count: Option<Json>,
    warnings: Vec<Warning>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Warning {
    warning_code: String,
    display_message: String,
}

/// What a summary says of the use of a key.
fn last_use_of(summary: &Summary) -> LastUse {
    let count = match &summary.resource_count {
        None => Some(0),
        Some(Json::String(digits)) => digits.parse().ok(),
        Some(other) => other.as_u64(),
    };
    let partial: Vec<&str> = summary
        .warnings
        .iter()
        .map(|one| match one.display_message.as_str() {
            "" => one.warning_code.as_str(),
            message => message,
        })
        .collect();
    let partial = match partial.as_slice() {
        [] => None,
        all => Some(format!("the list may be partial ({})", all.join("; "))),
    };
    match (count, partial) {
        (None, _) => LastUse::not_known("the number of resources in the answer cannot be read"),
        (Some(0), None) => LastUse::not_known(NOTHING_LISTED),
        (Some(0), Some(partial)) => LastUse::not_known(format!("{NOTHING_LISTED}; {partial}")),
        (Some(count), partial) => LastUse::protects(count, partial),
    }
}

impl Gcp {
    /// What a key protects now, in its organization; in its project, where the organization has no service agent of Cloud KMS.
    pub async fn last_use(&self, key: &CryptoKeyName) -> LastUse {
        let url = format!(
            "{}{key}/protectedResourcesSummary?fallbackScope=FALLBACK_SCOPE_PROJECT",
            self.settings.endpoint_kmsinventory()
        );
        match self.call(Method::GET, &url, None).await {
            Ok(summary) => last_use_of(&summary),
            Err(GcpError::ApiDisabled(message)) => LastUse::not_known(format!(
                "{message} Enable the API: `gcloud services enable kmsinventory.googleapis.com --project {}`",
                key.project()
            )),
            // Source: audit logging of Cloud KMS, which has the permissions of each method.
            Err(error) => LastUse::unreadable(unreadable("cloudkms.cryptoKeys.get", &error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::preflight::Standing;

    /// Each row: an answer, what it says, how many resources, and a word of why.
    #[test]
    fn what_is_not_listed_is_never_unused() {
        let partial = json!([{ "warningCode": "INSUFFICIENT_PERMISSIONS_PARTIAL_DATA", "displayMessage": "agent lacks a role" }]);
        let code = json!([{ "warningCode": "ORG_LESS_PROJECT_PARTIAL_DATA" }]);
        let (protects, not_known) = (Standing::ProtectsResources, Standing::NotKnown);
        let rows = [
            (
                json!({ "resourceCount": "3", "projectCount": 1 }),
                protects,
                Some(3),
                "",
            ),
            (json!({ "resourceCount": 3 }), protects, Some(3), ""),
            (
                json!({ "resourceCount": "3", "warnings": partial }),
                protects,
                Some(3),
                "agent lacks a role",
            ),
            (json!({}), not_known, None, "proves nothing"),
            (
                json!({ "resourceCount": "0" }),
                not_known,
                None,
                "proves nothing",
            ),
            (
                json!({ "warnings": code }),
                not_known,
                None,
                "ORG_LESS_PROJECT_PARTIAL_DATA",
            ),
            (
                json!({ "resourceCount": "many" }),
                not_known,
                None,
                "cannot be read",
            ),
            (
                json!({ "resourceCount": -1 }),
                not_known,
                None,
                "cannot be read",
            ),
        ];
        for (answer, standing, count, why) in rows {
            let summary: Summary = serde_json::from_value(answer.clone()).expect("a summary");
            let read = last_use_of(&summary);
            assert_eq!(
                (read.standing, read.protected_resources),
                (standing, count),
                "{answer}"
            );
            let said = read.why.unwrap_or_default();
            assert!(said.contains(why), "{answer}: {said}");
        }
    }
}
