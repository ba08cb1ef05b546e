//! The last step of every request of this program but those of AWS's SDK (whose own is in `clouds/aws/http.rs`).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, IntoUrl, Method, Request, RequestBuilder, Response};
use tfplugin::Boxed;
use url::Url;

use super::{Recorder, Sent};

/// What carries a request to a service, and its answer back.
pub trait Wire: fmt::Debug + Send + Sync {
    /// Carries one request.
    ///
    /// # Errors
    /// When no answer comes.
    fn carry(&self, request: Request) -> Boxed<'_, Result<Response, Failure>>;
}

impl Wire for Client {
    #[allow(clippy::disallowed_methods, reason = "this is the door")]
    fn carry(&self, request: Request) -> Boxed<'_, Result<Response, Failure>> {
        let answer = self.execute(request);
        Box::pin(async move { Ok(answer.await?) })
    }
}

/// How far a request got that has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// It could not even be written.
    Unsendable,
    /// There was no connection to send it over.
    Unreachable,
    /// No answer came in time.
    Late,
    /// The connection broke.
    Broken,
}

/// A request that has no answer.
#[derive(Clone, Debug)]
pub struct Failure {
    /// How far it got.
    pub loss: Loss,
    /// Where it went, where that is known.
    pub url: Option<Url>,
    source: Option<Arc<reqwest::Error>>,
}

impl Failure {
    /// One that `reqwest` knows nothing of.
    #[cfg(feature = "simulation")]
    pub fn of(loss: Loss, url: Url) -> Self {
        Self {
            loss,
            url: Some(url),
            source: None,
        }
    }

    /// Whether there was no connection.
    pub fn is_unreachable(&self) -> bool {
        self.loss == Loss::Unreachable
    }

    /// Whether the service may have carried it out.
    pub fn may_have_been_taken(&self) -> bool {
        matches!(self.loss, Loss::Late | Loss::Broken)
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        let loss = if error.is_builder() {
            Loss::Unsendable
        } else if error.is_connect() {
            Loss::Unreachable
        } else if error.is_timeout() {
            Loss::Late
        } else {
            Loss::Broken
        };
        Self {
            loss,
            url: error.url().cloned(),
            source: Some(Arc::new(error)),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.loss {
            Loss::Unsendable => "the request cannot be written",
            Loss::Unreachable => "the host could not be reached",
            Loss::Late => "no answer came in time",
            Loss::Broken => "the connection broke",
        })
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let source: &(dyn std::error::Error + 'static) = self.source.as_deref()?;
        Some(source)
    }
}

/// A client: what writes requests, and the wire that carries them.
#[derive(Clone, Debug)]
pub struct Http {
    writer: Client,
    wire: Arc<dyn Wire>,
}

impl Http {
    /// A client. `timeout`: how long one request may take.
    ///
    /// # Errors
    /// When there is no TLS on this machine.
    pub fn new(builder: ClientBuilder, timeout: Duration) -> Result<Self, Failure> {
        #[cfg(feature = "simulation")]
        if let Some(http) = super::simulated::http(timeout) {
            return Ok(http);
        }
        let client = builder.timeout(timeout).build()?;
        Ok(Self {
            wire: Arc::new(client.clone()),
            writer: client,
        })
    }

    /// One over another wire.
    #[cfg(feature = "simulation")]
    pub(super) fn over(writer: Client, wire: Arc<dyn Wire>) -> Self {
        Self { writer, wire }
    }

    /// Begins a request.
    pub fn request(&self, method: Method, url: impl IntoUrl) -> RequestBuilder {
        self.writer.request(method, url)
    }

    /// The same, to read.
    pub fn get(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// The same, to send something.
    pub fn post(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::POST, url)
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        self.execute(request.build()?).await
    }

    /// The same, of one that is complete.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn execute(&self, request: Request) -> Result<Response, Failure> {
        super::count_request(request.url());
        match super::recorder() {
            Some(recorder) => {
                let sent = sent(recorder, &request);
                recorded(recorder, sent, self.wire.carry(request).await).await
            }
            None => self.wire.carry(request).await,
        }
    }
}

/// A request, as a recording needs it.
fn sent(recorder: &Recorder, request: &Request) -> Sent {
    let url = request.url();
    recorder.sent(
        request.method().as_str(),
        url.host_str().unwrap_or_default(),
        (url.path(), url.query().unwrap_or_default()),
        headers(request.headers()),
        request.body().and_then(reqwest::Body::as_bytes),
    )
}

fn headers(headers: &reqwest::header::HeaderMap) -> Vec<(String, String)> {
    let pair = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    };
    headers.iter().map(pair).collect()
}

/// Writes a request and its answer into the recording. The body is read for that, so the answer that the caller gets has it from memory.
async fn recorded(
    recorder: &Recorder,
    sent: Sent,
    answer: Result<Response, Failure>,
) -> Result<Response, Failure> {
    let read = match answer {
        Ok(answer) => read(answer).await,
        Err(failure) => Err(failure),
    };
    match read {
        Ok((answer, body)) => {
            recorder.answered(
                sent,
                answer.status().as_u16(),
                &headers(answer.headers()),
                &body,
            );
            Ok(answer)
        }
        Err(failure) => {
            recorder.lost(sent, &failure.to_string());
            Err(failure)
        }
    }
}

/// An answer with its body in memory, and that body. One that is longer than any service sends is as long afterwards as the caller needs
/// to refuse it.
async fn read(mut answer: Response) -> Result<(Response, Vec<u8>), Failure> {
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await? {
        body.extend_from_slice(&part);
        if body.len() > super::LONGEST {
            break;
        }
    }
    let mut again = http::Response::new(body.clone());
    *again.status_mut() = answer.status();
    *again.version_mut() = answer.version();
    *again.headers_mut() = answer.headers().clone();
    Ok((Response::from(again), body))
}
