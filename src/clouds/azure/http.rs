//! Calls to Azure: a token for the audience, JSON, and retries of what may be sent again. A token goes only to the service that it is
//! for, whatever address an answer names.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value as Json;

use super::errors::AzureError;
use super::{Audience, Azure};
use crate::network::{Answer, Call, Pages, Refusal, send};

/// The longest pause that the client makes when Azure asks for one.
pub(super) const LONGEST_ASKED: Duration = Duration::from_secs(60);

impl Refusal for AzureError {
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

impl Azure {
    /// Calls a method. What is sent twice must do the same as sent once: every change of Azure that is made here names what it makes.
    pub(super) async fn call(
        &self,
        audience: Audience,
        method: Method,
        url: &str,
        body: Option<&Json>,
    ) -> Result<Answer, AzureError> {
        let connection = self.connection()?;
        let address = self.settings.address(audience, url)?;
        let call = Call {
            method,
            url: &address,
            body,
            service: "Azure",
            tries: 6,
            same_twice: true,
            longest_asked: LONGEST_ASKED,
        };
        send(&connection.http, &call, |refused| {
            connection.tokens.token(audience, refused)
        })
        .await
    }

    /// Reads a list to its end, page by page.
    pub(super) async fn list(
        &self,
        audience: Audience,
        first: String,
    ) -> Result<Vec<Json>, AzureError> {
        let (mut all, mut next, mut pages) = (Vec::new(), Some(first), Pages::default());
        while let Some(url) = next {
            pages.next(&url).map_err(AzureError::Malformed)?;
            let page = self.call(audience, Method::GET, &url, None).await?.body;
            let values = page.get("value").and_then(Json::as_array);
            all.extend(
                values
                    .ok_or_else(|| AzureError::Malformed("a list has no `value`".to_owned()))?
                    .iter()
                    .cloned(),
            );
            next = page
                .get("nextLink")
                .and_then(Json::as_str)
                .filter(|url| !url.is_empty())
                .map(str::to_owned);
        }
        Ok(all)
    }
}
