//! Cloud Storage: the default key of a bucket. Source: discovery document of Cloud Storage, storage v1, `buckets.get`.

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value as Json;

use super::Gcp;
use super::errors::{GcpError, unreadable};
use crate::preflight::Fact;
use crate::preflight::storage::StoreFacts;

/// A bucket, as far as it matters here.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Bucket {
    /// Decimal digits, as every 64-bit number in the JSON of Google's APIs.
    project_number: Option<Json>,
    encryption: Option<Encryption>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Encryption {
    default_kms_key_name: Option<String>,
}

fn facts(bucket: Bucket) -> Result<StoreFacts, GcpError> {
    let project = match bucket.project_number {
        None | Some(Json::Null) => None,
        Some(Json::String(digits)) => Some(digits),
        Some(other) => Some(other.to_string()),
    };
    let project = project
        .map(|digits| digits.parse())
        .transpose()
        .map_err(|error| GcpError::Malformed(format!("{error}")))?;
    let key = bucket
        .encryption
        .and_then(|encryption| encryption.default_kms_key_name);
    Ok(StoreFacts::Google {
        default_key: key.filter(|key| !key.is_empty()),
        project,
    })
}

impl Gcp {
    /// The default key of a bucket and the number of its project, read now.
    pub async fn bucket(&self, name: &str) -> Fact<StoreFacts> {
        let url = format!(
            "{}b/{name}?fields=projectNumber,encryption",
            self.settings.endpoint_storage()
        );
        let read = self.call::<Bucket>(Method::GET, &url, None).await;
        match read.and_then(facts) {
            Ok(found) => Fact::Known(found),
            Err(error) => Fact::Unreadable(unreadable("storage.buckets.get", &error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Each row: what Cloud Storage answers, and the key and the project that are read of it.
    #[test]
    fn a_bucket_has_a_key_or_none() {
        let key = "projects/p/locations/l/keyRings/r/cryptoKeys/k";
        let rows = [
            (json!({ "projectNumber": "123" }), Some((None, Some("123")))),
            (
                json!({ "projectNumber": 123, "encryption": { "defaultKmsKeyName": key } }),
                Some((Some(key), Some("123"))),
            ),
            (
                json!({ "encryption": { "defaultKmsKeyName": "" } }),
                Some((None, None)),
            ),
            (json!({ "encryption": {} }), Some((None, None))),
            (json!({ "projectNumber": "acme" }), None),
        ];
        for (answer, expected) in rows {
            let bucket: Bucket = serde_json::from_value(answer.clone()).expect("a bucket");
            let found = facts(bucket).ok();
            let found = found.as_ref().map(|found| match found {
                StoreFacts::Google {
                    default_key,
                    project,
                } => (
                    default_key.as_deref(),
                    project.as_ref().map(ToString::to_string),
                ),
                other => panic!("{other:?}"),
            });
            let expected = expected.map(|(key, project): (Option<&str>, Option<&str>)| {
                (key, project.map(str::to_owned))
            });
            assert_eq!(found, expected, "{answer}");
        }
    }
}
