//! Calls to Google Cloud: a token, JSON, and retries of what may be sent again.

use std::time::Duration;

use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::Gcp;
use super::errors::GcpError;
use crate::network::{Call, Refusal, send};

impl Refusal for GcpError {
    fn of(status: u16, body: &str) -> Self {
        Self::of(status, body)
    }

    fn unreachable(why: String) -> Self {
        Self::Unreachable(why)
    }

    fn malformed(why: String) -> Self {
        Self::Malformed(why)
    }
}

impl Gcp {
    /// Calls a method. What is sent twice must do the same as sent once: reads, and changes that name a state or an etag.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        url: &str,
        body: Option<&Json>,
    ) -> Result<T, GcpError> {
        self.send(method, url, body, true).await
    }

    /// Calls a method of which the second answer would not tell what became of the first: what may have been taken is not sent again.
    pub(super) async fn call_once<T: DeserializeOwned>(
        &self,
        method: Method,
        url: &str,
        body: Option<&Json>,
    ) -> Result<T, GcpError> {
        self.send(method, url, body, false).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        url: &str,
        body: Option<&Json>,
        same_twice: bool,
    ) -> Result<T, GcpError> {
        let connection = self.connection()?;
        let call = Call {
            method,
            url,
            body,
            service: "Google Cloud",
            tries: 7,
            same_twice,
            longest_asked: Duration::from_secs(30),
        };
        let answer = send(&connection.http, &call, |refused| {
            connection.tokens.token(refused)
        })
        .await?;
        serde_json::from_value(answer.body).map_err(|error| GcpError::Malformed(error.to_string()))
    }
}
