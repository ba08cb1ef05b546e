//! The requests that the run sends itself, in the recording of the provider.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use recording::{Outcome, RawAnswer, RawRequest, Replacer};
use reqwest::header::HeaderMap;

/// A request that is about to be sent.
pub struct Sent {
    method: String,
    url: reqwest::Url,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    at: Duration,
    since: Instant,
}

/// Headers as a recording takes them.
pub fn headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let pairs = headers.iter();
    pairs
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        })
        .collect()
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Sent {
    /// A request that is sent now.
    pub fn new(request: &reqwest::Request) -> Self {
        let body = request.body().and_then(reqwest::Body::as_bytes);
        Self {
            method: request.method().to_string(),
            url: request.url().clone(),
            headers: headers(request.headers()),
            body: body.map(<[u8]>::to_vec).unwrap_or_default(),
            at: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
            since: Instant::now(),
        }
    }

    /// Effect: a line in the recording, which a command of the provider has begun. Its secret is beside it.
    ///
    /// # Errors
    /// When there is no secret, or the line cannot be written.
    pub fn record(
        &self,
        directory: &Path,
        status: u16,
        headers: &[(String, String)],
        body: &str,
    ) -> Result<(), String> {
        let mut secret = directory.as_os_str().to_owned();
        secret.push(".secret");
        let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
        let replacer = Replacer::new(&std::fs::read(&secret).map_err(failed)?);
        let answer = replacer.answer(&RawAnswer {
            status,
            headers,
            body: body.as_bytes(),
        });
        let request = RawRequest {
            method: &self.method,
            host: self.url.host_str().unwrap_or_default(),
            path: self.url.path(),
            query: self.url.query().unwrap_or_default(),
            headers: &self.headers,
            body: &self.body,
        };
        let times = (milliseconds(self.at), milliseconds(self.since.elapsed()));
        let exchange = replacer.exchange(&request, Outcome::Answer(answer), times);
        let line = serde_json::to_string(&exchange).map_err(|error| error.to_string())?;
        let file = directory.join("keys.jsonl");
        let opened = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(file);
        opened
            .and_then(|mut file| writeln!(file, "{line}"))
            .map_err(failed)
    }
}
