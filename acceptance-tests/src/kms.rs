//! A KMS that a test works with: it sets the stage there, and reads what became of it.

pub use dbxcmk_sandbox::client::Refusal;
use dbxcmk_sandbox::client::call;
use serde_json::{Value as Json, json};

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
