//! Requests and answers, without the wire.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::Value as Json;

/// A request that was read completely.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// Without the query.
    pub path: String,
    /// The query's parameters.
    pub query: BTreeMap<String, String>,
    /// Header names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The bytes behind the headers.
    pub body: Vec<u8>,
}

impl Request {
    /// A header's value.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map(String::as_str)
            .unwrap_or_default()
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as a form.
    pub fn form(&self) -> BTreeMap<String, String> {
        parameters(&String::from_utf8_lossy(&self.body))
    }

    /// What a record and a fault rule know it by: `KMS PutKeyPolicy`, `STS GetCallerIdentity`, `PATCH /api/…`.
    pub fn operation(&self) -> String {
        if let Some(target) = self.header("x-amz-target").strip_prefix("TrentService.") {
            return format!("KMS {target}");
        }
        if let Some((service, target)) = self.header("x-amz-target").rsplit_once('.')
            && service.starts_with("com.amazonaws.cloudtrail.")
        {
            return format!("CloudTrail {target}");
        }
        if self.path == "/"
            && self.method == "POST"
            && let Some(action) = self.form().get("Action")
        {
            // Each service of this kind has a version of its own.
            let is_iam = self
                .form()
                .get("Version")
                .is_some_and(|version| version == "2010-05-08");
            let service = if is_iam { "IAM" } else { "STS" };
            return format!("{service} {action}");
        }
        if crate::buckets::is_s3(self) {
            let asks = match self.query.contains_key("encryption") {
                true => "GetBucketEncryption",
                false => "HeadBucket",
            };
            return format!("S3 {asks} {}", self.path);
        }
        format!("{} {}", self.method, self.path)
    }
}

/// Text without its percent signs.
pub fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The parameters of a query or form.
pub fn parameters(text: &str) -> BTreeMap<String, String> {
    form_urlencoded::parse(text.as_bytes())
        .into_owned()
        .collect()
}

/// What the server sends for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The names and values of the headers, in order.
    pub headers: Vec<(String, String)>,
    /// The text behind the headers.
    pub body: String,
}

impl Answer {
    /// An answer with a JSON body.
    pub fn json(status: u16, body: &Json) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: body.to_string(),
        }
    }

    /// A refusal of the account API.
    pub fn refusal(status: u16, code: &str, message: &str) -> Self {
        Self::json(
            status,
            &serde_json::json!({ "error_code": code, "message": message }),
        )
    }

    /// A refusal of the account API in its plain-text form.
    pub fn plain_refusal(status: u16, code: &str, message: &str) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
            body: format!("{code}: {message}"),
        }
    }

    /// A refusal of an AWS JSON service.
    pub fn aws_refusal(kind: &str, message: &str) -> Self {
        Self {
            status: if kind == "ThrottlingException" || !kind.ends_with("InternalException") {
                400
            } else {
                500
            },
            headers: vec![
                (
                    "content-type".to_owned(),
                    "application/x-amz-json-1.1".to_owned(),
                ),
                ("x-amzn-errortype".to_owned(), kind.to_owned()),
            ],
            body: serde_json::json!({ "__type": kind, "message": message }).to_string(),
        }
    }

    /// An answer with an XML body, as STS and IAM give them.
    pub fn xml(status: u16, body: String) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), "text/xml".to_owned())],
            body,
        }
    }
}
