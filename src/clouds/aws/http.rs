//! The HTTP client of AWS's SDKs: which certificates it trusts, which proxy it goes through, and answers no longer than any honest one.

use std::time::SystemTime;

use aws_smithy_async::time::TimeSource;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{Builder, Connector, tls};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::Headers;
use aws_smithy_types::body::SdkBody;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::network::count_request;
use crate::network::{LONGEST, NoBody, Recorder, Sent, recorder};

/// The time of day, of which a signature is made.
#[derive(Debug)]
pub(super) struct Clock;

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        doors::clock::system()
    }
}

/// A client that trusts these certificates, or else those of the system. Nothing is made before the first call.
pub(super) fn client(trusted: Option<tls::TlsContext>, proxy: ProxyConfig) -> SharedHttpClient {
    let any = Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder().proxy_config(proxy.clone());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
        let connector = connector.tls_provider(provider);
        match trusted.clone() {
            Some(context) => connector.tls_context(context).build(),
            None => connector.build(),
        }
    });
    #[cfg(feature = "simulation")]
    if let Some(wire) = crate::network::simulated::wire() {
        return SharedHttpClient::new(simulated::Client(wire));
    }
    SharedHttpClient::new(Bounded {
        any,
        longest: LONGEST,
    })
}

/// A client whose answers end. The SDK reads all of an answer into memory, however long it is.
#[derive(Debug)]
struct Bounded<A> {
    any: A,
    /// In bytes.
    longest: usize,
}

impl HttpClient for Bounded<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Bounded {
            any: self.any.http_connector(settings, components),
            longest: self.longest,
        })
    }
}

impl HttpConnector for Bounded<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if let Ok(url) = request.uri().parse() {
            count_request(&url);
        }
        let recording =
            recorder().and_then(|recorder| sent(recorder, &request).map(|sent| (recorder, sent)));
        let (call, longest) = (self.any.call(request), self.longest);
        HttpConnectorFuture::new(async move {
            let mut response = match call.await {
                Ok(response) => response,
                Err(error) => {
                    if let Some((recorder, sent)) = recording {
                        recorder.lost(sent, word(&error));
                    }
                    return Err(error);
                }
            };
            let body = std::mem::replace(response.body_mut(), SdkBody::taken());
            let limited = Limited::new(body, longest).map_err(|error| {
                if error.is::<LengthLimitError>() {
                    NoBody::TOO_LONG.into()
                } else {
                    error
                }
            });
            let body = SdkBody::from_body_1_x(limited);
            let Some((recorder, sent)) = recording else {
                *response.body_mut() = body;
                return Ok(response);
            };
            // The same error as without a recording, a step earlier: the SDK would meet it when it reads the body.
            let body = body.collect().await.map_err(ConnectorError::io)?;
            let body = body.to_bytes();
            let (status, headers) = (response.status().as_u16(), headers(response.headers()));
            recorder.answered(sent, status, &headers, &body);
            *response.body_mut() = SdkBody::from(body);
            Ok(response)
        })
    }
}

/// How far a request got that has no answer.
fn word(error: &ConnectorError) -> &'static str {
    match () {
        () if error.is_timeout() => "no answer came in time",
        () if error.is_user() => "the request cannot be written",
        () => "the connection broke",
    }
}

/// A request, as a recording needs it; `None` with a line in the log where its address cannot be taken apart.
fn sent(recorder: &Recorder, request: &HttpRequest) -> Option<Sent> {
    let url: url::Url = request
        .uri()
        .parse()
        .inspect_err(|error| {
            tracing::error!(%error, "a request to AWS is not in the recording: its address cannot be read");
        })
        .ok()?;
    Some(recorder.sent(
        request.method(),
        url.host_str().unwrap_or_default(),
        (url.path(), url.query().unwrap_or_default()),
        headers(request.headers()),
        request.body().bytes(),
    ))
}

fn headers(headers: &Headers) -> Vec<(String, String)> {
    let pair = |(name, value): (&str, &str)| (name.to_ascii_lowercase(), value.to_owned());
    headers.iter().map(pair).collect()
}

/// The same over a network in memory.
#[cfg(feature = "simulation")]
mod simulated {
    use std::sync::Arc;

    use aws_smithy_runtime_api::client::http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
    };
    use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
    use aws_smithy_runtime_api::client::result::ConnectorError;
    use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;

    use crate::network::{Failure, Loss, Wire};

    #[derive(Clone, Debug)]
    pub(super) struct Client(pub(super) Arc<dyn Wire>);

    impl HttpClient for Client {
        fn http_connector(
            &self,
            _: &HttpConnectorSettings,
            _: &RuntimeComponents,
        ) -> SharedHttpConnector {
            SharedHttpConnector::new(self.clone())
        }
    }

    fn failed(failure: Failure) -> ConnectorError {
        match failure.loss {
            Loss::Late => ConnectorError::timeout(failure.into()),
            Loss::Unsendable => ConnectorError::user(failure.into()),
            Loss::Unreachable | Loss::Broken => ConnectorError::io(failure.into()),
        }
    }

    async fn carry(
        wire: Arc<dyn Wire>,
        request: HttpRequest,
    ) -> Result<HttpResponse, ConnectorError> {
        let user = |error: Box<dyn std::error::Error + Send + Sync>| ConnectorError::user(error);
        let request = request
            .try_into_http1x()
            .map_err(|error| user(error.into()))?;
        let (parts, body) = request.into_parts();
        let body = body.bytes().map(<[u8]>::to_vec).unwrap_or_default();
        let request = http::Request::from_parts(parts, body);
        let request = reqwest::Request::try_from(request).map_err(|error| user(error.into()))?;
        let answer = wire.carry(request).await.map_err(failed)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await.map_err(|error| failed(error.into()))?;
        let status = StatusCode::try_from(status.as_u16()).map_err(|error| user(error.into()))?;
        let mut response = HttpResponse::new(status, SdkBody::from(body.to_vec()));
        for (name, value) in &headers {
            let value = value.to_str().unwrap_or_default().to_owned();
            response
                .headers_mut()
                .append(name.as_str().to_owned(), value);
        }
        Ok(response)
    }

    impl HttpConnector for Client {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            HttpConnectorFuture::new(carry(Arc::clone(&self.0), request))
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_kms::config::{BehaviorVersion, Credentials, Region};

    use super::*;
    use crate::network::endless;

    #[tokio::test]
    async fn an_answer_without_an_end_ends() {
        let client = SharedHttpClient::new(Bounded {
            any: client(None, ProxyConfig::disabled()),
            longest: 1 << 20,
        });
        let config = aws_sdk_kms::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("eu-central-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(endless().await)
            .http_client(client)
            .build();
        let kms = aws_sdk_kms::Client::from_conf(config);
        let answer = kms.describe_key().key_id("x").send().await;
        let error = super::super::errors::understand(
            "kms:DescribeKey",
            answer.expect_err("it has no end"),
            false,
        );
        let said = error.to_string();
        assert!(said.contains(NoBody::TOO_LONG), "{said}");
    }
}
