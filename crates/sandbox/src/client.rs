//! A few lines of KMS client, for a KMS that is not the sandbox's own.

use std::fmt;

use serde_json::Value as Json;

/// What KMS answered when it refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// `NotFoundException`
    pub kind: String,
    /// AWS's own words.
    pub message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

/// Calls one operation. The services of the tests read the region from the signature, and do not check it.
///
/// # Errors
/// When KMS refuses, or cannot be reached.
pub async fn call(
    http: &reqwest::Client,
    endpoint: &str,
    region: &str,
    operation: &str,
    body: &Json,
) -> Result<Json, Refusal> {
    let unreachable = |error: &dyn fmt::Display| Refusal {
        kind: "Unreachable".to_owned(),
        message: error.to_string(),
    };
    let scope = format!(
        "AWS4-HMAC-SHA256 Credential=AKIASANDBOXSANDBOX00/20260101/{region}/kms/aws4_request"
    );
    let response = http
        .post(endpoint)
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", format!("TrentService.{operation}"))
        .header(
            "authorization",
            format!("{scope}, SignedHeaders=host, Signature=0"),
        )
        .body(body.to_string())
        .send()
        .await
        .map_err(|error| unreachable(&error))?;
    let success = response.status().is_success();
    let text = response.text().await.map_err(|error| unreachable(&error))?;
    let answer: Json = serde_json::from_str(&text).unwrap_or_default();
    if success {
        return Ok(answer);
    }
    let field = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| answer.get(*name).and_then(Json::as_str))
            .unwrap_or_default()
            .to_owned()
    };
    Err(Refusal {
        kind: field(&["__type"]),
        message: field(&["message", "Message"]),
    })
}
