//! AWS CloudTrail: who used a key last, by the event of that use. One signed POST does not need an SDK of CloudTrail.
//!
//! Sources: AWS CloudTrail API reference, LookupEvents (90 days, two requests a second for each account and region); CloudTrail user guide,
//! "userIdentity element".

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::sync::Mutex;

use super::Aws;
use super::connection::in_environment;
use super::errors::AwsError;
use crate::network::{body, plain};
use crate::vocabulary::Deployment;
use crate::vocabulary::aws::KeyArn;

/// The permission to ask. Source: Service Authorization Reference, AWS CloudTrail.
const PERMISSION: &str = "cloudtrail:LookupEvents";
const TARGET: &str = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents";
/// How long after a request the next one in the same account and region goes out.
const PACE: Duration = Duration::from_millis(500);
/// How often a request is sent that CloudTrail did not carry out.
const TRIES: u32 = 5;

/// Who asks CloudTrail in which account and region: one at a time.
#[derive(Debug, Default)]
pub(super) struct Paces(Mutex<HashMap<(String, String), Arc<Mutex<()>>>>);

impl Paces {
    async fn of(&self, key: &KeyArn) -> Arc<Mutex<()>> {
        let place = (key.account().to_owned(), key.region().to_owned());
        Arc::clone(self.0.lock().await.entry(place).or_default())
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Found {
    events: Vec<Event>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Event {
    cloud_trail_event: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Record {
    user_identity: Identity,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Identity {
    arn: Option<String>,
    account_id: Option<String>,
    invoked_by: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    #[serde(rename = "__type")]
    kind: String,
    #[serde(alias = "Message")]
    message: String,
}

impl Identity {
    /// The caller in words; none where the event names nobody.
    fn in_words(&self) -> Option<String> {
        let account = self.account_id.as_deref().filter(|id| !id.is_empty());
        let is_databricks =
            account.is_some_and(|id| Deployment::ALL.iter().any(|one| one.account() == id));
        let who = match (is_databricks, &self.arn, account) {
            (true, _, Some(id)) => Some(format!("Databricks (AWS account {id})")),
            (_, Some(arn), _) => Some(arn.clone()),
            (_, None, Some(id)) => Some(format!("AWS account {id}")),
            (_, None, None) => None,
        };
        match (who, &self.invoked_by) {
            (Some(who), Some(by)) => Some(format!("{who} through {by}")),
            (None, Some(by)) => Some(by.clone()),
            (who, None) => who,
        }
    }
}

/// The caller of the one event; none where there is no event, or it names nobody.
fn caller_in(answer: &str) -> Result<Option<String>, serde_json::Error> {
    let found: Found = serde_json::from_str(answer)?;
    let Some(event) = found.events.first() else {
        return Ok(None);
    };
    let record: Record = serde_json::from_str(&event.cloud_trail_event)?;
    Ok(record.user_identity.in_words())
}

fn other(code: &str, message: impl Into<String>) -> AwsError {
    AwsError::Other {
        code: code.to_owned(),
        message: message.into(),
        source: None,
    }
}

/// A refusal, by what CloudTrail says; its `__type` may have a namespace before it.
fn understood(status: u16, answer: &str) -> AwsError {
    let said: Refusal = serde_json::from_str(answer).unwrap_or_default();
    let kind = said.kind.rsplit('#').next().unwrap_or_default();
    match kind {
        "AccessDeniedException" | "AccessDenied" => AwsError::AccessDenied {
            permission: PERMISSION,
            message: said.message,
        },
        "" => other(
            "LookupEvents",
            format!("CloudTrail answered with the status {status}"),
        ),
        kind => other(kind, said.message),
    }
}

impl Aws {
    /// Who made the call of an event at a key; none where CloudTrail no longer has the event.
    ///
    /// # Errors
    /// When CloudTrail refuses or cannot be reached.
    pub async fn caller_of(&self, key: &KeyArn, event: &str) -> Result<Option<String>, AwsError> {
        let credentials = match self.config_of(key.account(), key.region()).await {
            None => self.connection.credentials().await?,
            Some(config) => {
                let provider = config.credentials_provider();
                let provider = provider.ok_or_else(|| other("AssumeRole", "no credentials"))?;
                let made = provider.provide_credentials().await;
                made.map_err(|error| other("AssumeRole", error.to_string()))?
            }
        };
        let asked = json!({
            "LookupAttributes": [{ "AttributeKey": "EventId", "AttributeValue": event }],
            "MaxResults": 1,
        });
        let pace = self.paces.of(key).await;
        let mut pause = PACE;
        let mut attempt = 1;
        loop {
            let (status, answer) = {
                let _turn = pace.lock().await;
                let sent = self.look_up(key, &asked, credentials.clone()).await;
                tokio::time::sleep(PACE).await;
                sent?
            };
            if status == 200 {
                let read = caller_in(&answer);
                return read.map_err(|error| other("LookupEvents", error.to_string()));
            }
            let is_too_many = status == 429 || status >= 500 || answer.contains("Throttling");
            if !is_too_many || attempt >= TRIES {
                return Err(understood(status, &answer));
            }
            attempt += 1;
            tokio::time::sleep(pause.mul_f64(0.75 + 0.5 * fastrand::f64())).await;
            pause *= 2;
        }
    }

    async fn look_up(
        &self,
        key: &KeyArn,
        asked: &Json,
        credentials: Credentials,
    ) -> Result<(u16, String), AwsError> {
        let own = self.connection.settings.cloudtrail_endpoint.clone();
        let url = own
            .or_else(|| in_environment("CLOUDTRAIL"))
            .unwrap_or_else(|| {
                let suffix = key.partition().dns_suffix();
                format!("https://cloudtrail.{}.{suffix}/", key.region())
            });
        let request = signed(&url, key.region(), &asked.to_string(), credentials)?;
        let request = reqwest::Request::try_from(request)
            .map_err(|error| other("LookupEvents", error.to_string()))?;
        tracing::debug!(%key, "calling AWS CloudTrail");
        let unreachable = |reason: String| AwsError::Unreachable {
            reason,
            source: None,
        };
        let http = self.plain_client()?;
        let answer = http.execute(request).await;
        let answer = answer.map_err(|error| unreachable(plain(&error)))?;
        let status = answer.status().as_u16();
        let text = body(answer).await;
        Ok((status, text.map_err(|error| unreachable(error.plain()))?))
    }
}

/// A POST with the signature of the caller.
fn signed(
    url: &str,
    region: &str,
    body: &str,
    credentials: Credentials,
) -> Result<http::Request<String>, AwsError> {
    let broken = |error: &dyn std::fmt::Display| other("SignatureV4", error.to_string());
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("cloudtrail")
        .time(doors::clock::system())
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| broken(&error))?
        .into();
    let headers = [
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", TARGET),
    ];
    let bytes = SignableBody::Bytes(body.as_bytes());
    let signable = SignableRequest::new("POST", url, headers.into_iter(), bytes)
        .map_err(|error| broken(&error))?;
    let (instructions, _) = sign(signable, &parameters)
        .map_err(|error| broken(&error))?
        .into_parts();
    let mut request = http::Request::post(url);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let mut request = request
        .body(body.to_owned())
        .map_err(|error| broken(&error))?;
    instructions.apply_to_request_http1x(&mut request);
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: the identity of an event, and its words.
    #[test]
    fn an_event_names_its_caller() {
        let arn = "arn:aws:sts::111122223333:assumed-role/etl/x";
        let rows = [
            (
                json!({ "type": "AWSAccount", "accountId": "414351767826", "arn": "arn:aws:sts::414351767826:assumed-role/x/y" }),
                Some("Databricks (AWS account 414351767826)".to_owned()),
            ),
            (
                json!({ "type": "AssumedRole", "arn": arn, "accountId": "111122223333", "invokedBy": "ec2.amazonaws.com" }),
                Some(format!("{arn} through ec2.amazonaws.com")),
            ),
            (
                json!({ "type": "AWSAccount", "accountId": "111122223333" }),
                Some("AWS account 111122223333".to_owned()),
            ),
            (
                json!({ "type": "AWSService", "invokedBy": "ec2.amazonaws.com" }),
                Some("ec2.amazonaws.com".to_owned()),
            ),
            (json!({ "type": "Unknown" }), None),
        ];
        for (identity, expected) in rows {
            let event = json!({ "userIdentity": identity }).to_string();
            let answer = json!({ "Events": [{ "CloudTrailEvent": event }] }).to_string();
            assert_eq!(caller_in(&answer).ok(), Some(expected), "{identity}");
        }
        assert_eq!(caller_in("{\"Events\": []}").ok(), Some(None));
        assert!(caller_in("<html>").is_err());
        let broken = json!({ "Events": [{ "CloudTrailEvent": "{" }] }).to_string();
        assert!(caller_in(&broken).is_err());
    }

    /// Each row: what CloudTrail answers, and the permission that is missing.
    #[test]
    fn a_refusal_names_the_permission() {
        for (answer, is_denied) in [
            (
                "{\"__type\":\"AccessDeniedException\",\"Message\":\"no\"}",
                true,
            ),
            (
                "{\"__type\":\"x#AccessDeniedException\",\"message\":\"no\"}",
                true,
            ),
            ("{\"__type\":\"InvalidLookupAttributesException\"}", false),
            ("", false),
        ] {
            let error = understood(400, answer);
            let found = matches!(error, AwsError::AccessDenied { permission, .. } if permission == PERMISSION);
            assert_eq!(found, is_denied, "{answer}");
        }
    }
}
