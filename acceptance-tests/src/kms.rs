//! A few lines of KMS client: enough to set the stage in whatever KMS a test works with, and to look at it.

use std::fmt;

use serde_json::{Value as Json, json};

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

/// A KMS that a test works with.
#[derive(Clone, Debug)]
pub struct Kms {
    endpoint: String,
    region: String,
}

impl Kms {
    /// The KMS at an address, in a region.
    pub fn new(endpoint: &str, region: &str) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            region: region.to_owned(),
        }
    }

    /// The same KMS in another region.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        Self::new(&self.endpoint, region)
    }

    /// Calls one operation, and waits for it.
    ///
    /// # Errors
    /// When KMS refuses, or cannot be reached.
    #[allow(
        clippy::expect_used,
        reason = "for tests: a machine without a runtime or sockets cannot run them"
    )]
    pub fn try_call(&self, operation: &str, body: &Json) -> Result<Json, Refusal> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("an HTTP client");
        runtime.block_on(call(&http, &self.endpoint, &self.region, operation, body))
    }

    /// Calls one operation that must succeed.
    #[allow(clippy::panic, reason = "for tests: the stage could not be set")]
    pub fn call(&self, operation: &str, body: &Json) -> Json {
        self.try_call(operation, body)
            .unwrap_or_else(|refusal| panic!("{operation} failed: {refusal}"))
    }

    /// Makes a key, and gives its ARN. `options` are those of CreateKey.
    pub fn create_key(&self, options: &Json) -> String {
        let made = self.call("CreateKey", options);
        made.pointer("/KeyMetadata/Arn")
            .and_then(Json::as_str)
            .unwrap_or_default()
            .to_owned()
    }

    /// The text of a key's policy.
    pub fn policy(&self, key: &str) -> String {
        let answer = self.call(
            "GetKeyPolicy",
            &json!({ "KeyId": key, "PolicyName": "default" }),
        );
        answer
            .get("Policy")
            .and_then(Json::as_str)
            .unwrap_or_default()
            .to_owned()
    }

    /// Puts a key's policy.
    pub fn put_policy(&self, key: &str, policy: &str) {
        self.call(
            "PutKeyPolicy",
            &json!({ "KeyId": key, "PolicyName": "default", "Policy": policy }),
        );
    }

    /// The state of a key: `Enabled`, …
    pub fn state(&self, key: &str) -> String {
        let answer = self.call("DescribeKey", &json!({ "KeyId": key }));
        answer
            .pointer("/KeyMetadata/KeyState")
            .and_then(Json::as_str)
            .unwrap_or_default()
            .to_owned()
    }
}
