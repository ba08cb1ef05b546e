//! The recording of requests and answers, for who sets `DBXCMK_RECORD`: each exchange becomes a line in a file of this process.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use doors::clock::Moment;
use recording::{Outcome, RawAnswer, RawRequest, Replacer};

/// Names the directory of the recording.
const VARIABLE: &str = "DBXCMK_RECORD";

/// What writes the recording of this process.
#[derive(Debug)]
pub(crate) struct Recorder {
    replacer: Replacer,
    file: PathBuf,
    /// Why the last line could not be written. A request goes on without its line, so the reason is logged once.
    broken: Mutex<bool>,
}

/// A request that was sent, until there is an answer.
#[derive(Debug)]
pub(crate) struct Sent {
    method: String,
    host: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    at: u64,
    since: Moment,
}

/// What writes the recording; `None` when nobody asked for one.
pub(crate) fn recorder() -> Option<&'static Recorder> {
    static RECORDER: OnceLock<Option<Recorder>> = OnceLock::new();
    let made = RECORDER.get_or_init(|| {
        let directory = doors::environment::path(VARIABLE)?;
        match Recorder::new(&directory) {
            Ok(recorder) => Some(recorder),
            Err(error) => {
                tracing::error!(
                    "{VARIABLE}: nothing is recorded: {}: {error}",
                    directory.display()
                );
                None
            }
        }
    });
    made.as_ref()
}

/// Where the secret of a recording is: beside the directory, because the directory is what people send.
fn secret_file(directory: &Path) -> PathBuf {
    let mut name = directory.as_os_str().to_owned();
    name.push(".secret");
    PathBuf::from(name)
}

/// The secret that decides the placeholders of a recording: the same for all processes that write into its directory.
fn secret(directory: &Path) -> io::Result<Vec<u8>> {
    let file = secret_file(directory);
    let mut new = [0; 32];
    aws_lc_rs::rand::fill(&mut new).map_err(|_| io::Error::other("there is no randomness"))?;
    match doors::files::create_private(&file, &new) {
        Ok(()) => Ok(new.to_vec()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            match doors::files::read(&file)? {
                secret if secret.len() == new.len() => Ok(secret),
                _ => Err(io::Error::other(format!(
                    "{} is not the secret of a recording",
                    file.display()
                ))),
            }
        }
        Err(error) => Err(error),
    }
}

/// Milliseconds since 1970.
fn now() -> u64 {
    let since = doors::clock::system().duration_since(UNIX_EPOCH);
    milliseconds(since.unwrap_or_default())
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Recorder {
    fn new(directory: &Path) -> io::Result<Self> {
        doors::files::create_directory(directory)?;
        let name = format!("{}-{}.jsonl", now(), std::process::id());
        let file = directory.join(name);
        doors::files::append(&file, b"")?;
        Ok(Self {
            replacer: Replacer::new(&secret(directory)?),
            file,
            broken: Mutex::new(false),
        })
    }

    /// A request that is about to be sent, to a path with a query.
    pub(crate) fn sent(
        &self,
        method: &str,
        host: &str,
        (path, query): (&str, &str),
        headers: Vec<(String, String)>,
        body: Option<&[u8]>,
    ) -> Sent {
        Sent {
            method: method.to_owned(),
            host: host.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body: body.map(<[u8]>::to_vec).unwrap_or_default(),
            at: now(),
            since: Moment::now(),
        }
    }

    /// Effect: a line with what the service answered.
    pub(crate) fn answered(
        &self,
        sent: Sent,
        status: u16,
        headers: &[(String, String)],
        body: &[u8],
    ) {
        let answer = self.replacer.answer(&RawAnswer {
            status,
            headers,
            body,
        });
        self.write(&sent, Outcome::Answer(answer));
    }

    /// Effect: a line that says how far a request got that has no answer.
    pub(crate) fn lost(&self, sent: Sent, how: &str) {
        self.write(&sent, Outcome::Lost(how.to_owned()));
    }

    fn write(&self, sent: &Sent, outcome: Outcome) {
        let request = RawRequest {
            method: &sent.method,
            host: &sent.host,
            path: &sent.path,
            query: &sent.query,
            headers: &sent.headers,
            body: &sent.body,
        };
        let took = milliseconds(sent.since.elapsed());
        let exchange = self.replacer.exchange(&request, outcome, (sent.at, took));
        let line = serde_json::to_string(&exchange).map_err(io::Error::other);
        // One write for each line, one line at a time: two requests that end together do not mix.
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        let written =
            line.and_then(|line| doors::files::append(&self.file, format!("{line}\n").as_bytes()));
        if let Err(error) = written
            && !std::mem::replace(&mut broken, true)
        {
            tracing::error!(
                "{VARIABLE}: the recording is not complete: {}: {error}",
                self.file.display()
            );
        }
    }
}
