//! The network between the provider and the services: every request comes by here, and may meet a mishap.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use dbxcmk::simulation::{Failure, Loss, Wire};
use dbxcmk_sandbox::Services;
use dbxcmk_sandbox::faults::{self, Effect, Fault};
use dbxcmk_sandbox::http::{Answer, Request as Asked, parameters};
use doors::Machine;
use reqwest::{Body, Request, Response};
use serde_json::Value as Json;
use tfplugin::Boxed;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::history::{Becomes, End, History, Mishap};
use crate::platform::Platform;

/// The ends of the hosts to which a request may go, and whose secrets may go there.
const HOSTS: [(&str, &str); 11] = [
    ("accounts.cloud.databricks.com", "Databricks"),
    ("accounts.gcp.databricks.com", "Databricks"),
    (".cloud.databricks.com", "Databricks"),
    (".gcp.databricks.com", "Databricks"),
    (".amazonaws.com", "AWS"),
    (".googleapis.com", "Google Cloud"),
    ("login.microsoftonline.com", "Entra ID"),
    ("management.azure.com", "Azure"),
    ("graph.microsoft.com", "Azure"),
    (".vault.azure.net", "Azure"),
    (".managedhsm.azure.net", "Azure"),
];

/// Whether it is the host of a workspace, and not of an account.
fn is_workspace(host: &str) -> bool {
    let ends = [".cloud.databricks.com", ".gcp.databricks.com"];
    !host.starts_with("accounts.") && ends.iter().any(|end| host.ends_with(end))
}

#[derive(Default)]
struct Inner {
    mishaps: BTreeMap<u64, Mishap>,
    at_changes: BTreeMap<u64, Mishap>,
    /// Requests of the whole history.
    sent: u64,
    /// Of those, which change something.
    changes: u64,
    /// Requests of the command that runs.
    of_command: u64,
    end: Option<End>,
    story: Vec<String>,
    wrong: Vec<String>,
    /// How many mishaps were met.
    met: usize,
    /// Whether a field of a workspace of Azure was another one in an answer.
    mangled_a_workspace: bool,
    mangled_a_key: bool,
    /// The key policies that were read as they were before the last write: what was asked, and the answer.
    late: Vec<(Json, Json)>,
    /// Whether Databricks has silently undone a change of a workspace, or will.
    has_reverted: bool,
    /// Until when reads show what was true before the last write.
    behind: Option<Instant>,
    /// Where requests meet mishaps by their place, what is left of those.
    places: Option<Vec<Fault>>,
    /// Words of the operation for whose request a command waits.
    awaited: Option<String>,
}

/// The network, and the services at its other end.
pub struct Network {
    platform: &'static dyn Platform,
    secrets: Vec<(&'static str, &'static str)>,
    /// The sandbox's services, which answer what comes through.
    pub services: Services,
    /// The machine on which the services run: its clock is the right one.
    pub machine: Machine,
    /// Wakes the command that shall die now.
    pub killed: Notify,
    /// Wakes the command that the user interrupts now.
    pub interrupted: Notify,
    /// Wakes the command that waits for a request.
    pub reached: Notify,
    inner: Mutex<Inner>,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network")
    }
}

/// Whether a request changes something at a service, and does not read, search, ask for a token or test a right.
fn is_change(asked: &Asked) -> bool {
    let operation = asked.operation();
    let reads = ["KMS Describe", "KMS Get", "KMS List", "STS ", "IAM "];
    let ends = ["/token", ":getIamPolicy", ":testIamPermissions"];
    asked.method != "GET"
        && !reads.iter().any(|one| operation.starts_with(one))
        && !ends.iter().any(|end| asked.path.ends_with(end))
}

/// A body that breaks off after its first half.
struct Cut(Option<Bytes>, usize);

impl http_body::Body for Cut {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
        Poll::Ready(Some(match self.0.take() {
            Some(half) => Ok(http_body::Frame::data(half)),
            None => Err(std::io::ErrorKind::ConnectionReset.into()),
        }))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(u64::try_from(self.1).unwrap_or_default())
    }
}

impl Network {
    /// A network without mishaps.
    pub fn new(platform: &'static dyn Platform, services: Services, machine: Machine) -> Self {
        Self {
            platform,
            secrets: platform.secrets(),
            services,
            machine,
            killed: Notify::new(),
            interrupted: Notify::new(),
            reached: Notify::new(),
            inner: Mutex::default(),
        }
    }

    /// The same network with the mishaps of a history.
    #[must_use]
    pub fn of(self, history: &History) -> Self {
        let mut inner = self.inner();
        inner.mishaps.clone_from(&history.mishaps);
        inner.at_changes.clone_from(&history.at_changes);
        drop(inner);
        self
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A command begins; `end`: what ends it before its time.
    pub fn begins(&self, end: Option<End>) {
        let mut inner = self.inner();
        inner.of_command = 0;
        inner.end = end;
    }

    /// How many requests the command has sent.
    pub fn sent_by_command(&self) -> u64 {
        self.inner().of_command
    }

    /// How many requests were sent at all.
    pub fn sent(&self) -> u64 {
        self.inner().sent
    }

    /// How many mishaps were met.
    pub fn met(&self) -> usize {
        self.inner().met
    }

    /// Whether a field of a workspace of Azure was another one in an answer.
    pub fn mangled_a_workspace(&self) -> bool {
        self.inner().mangled_a_workspace
    }

    /// Whether an answer about a key had another field than it should.
    pub fn mangled_a_key(&self) -> bool {
        self.inner().mangled_a_key
    }

    /// The key policies that were read as they were before the last write: what was asked, and the answer.
    pub fn late_policies(&self) -> Vec<(Json, Json)> {
        self.inner().late.clone()
    }

    /// Whether reads may have shown, at some time of the last minutes, what was true before the last write. A command that ends now may have begun
    /// then.
    pub fn was_behind(&self) -> bool {
        let lately = Duration::from_secs(600);
        let end = self.inner().behind;
        end.is_some_and(|end| Instant::now() < end + lately)
    }

    /// Whether reads show what was true before the last write.
    pub fn is_behind(&self) -> bool {
        self.inner().behind.is_some_and(|end| Instant::now() < end)
    }

    /// Whether Databricks has silently undone a change of a workspace, or will.
    pub fn has_reverted(&self) -> bool {
        self.inner().has_reverted
    }

    /// No request meets a mishap from now on.
    pub fn calms(&self) {
        let mut inner = self.inner();
        inner.mishaps.clear();
        inner.at_changes.clear();
        inner.behind = None;
        self.services.with(|world| {
            world.now.azure.lateness = 0;
            world.now.azure.late_reads = 0;
        });
        inner.places.iter_mut().for_each(Vec::clear);
    }

    /// From now on, requests meet these mishaps by their place (operation, which of those that fit, how often) in the order of this list, and
    /// the services keep a record of every request.
    pub fn strikes(&self, places: Vec<Fault>) {
        self.inner().places = Some(places);
    }

    /// [`Self::reached`] is notified when the next request comes whose operation has these words.
    pub fn awaits(&self, words: &str) {
        self.inner().awaited = Some(words.to_owned());
    }

    /// What a request meets by its place; `None` where no place counts.
    fn at_its_place(&self, asked: &Asked) -> Option<Option<Effect>> {
        let mut inner = self.inner();
        let operation = asked.operation();
        let awaited = inner
            .awaited
            .take_if(|words| faults::fits(words, &operation));
        if awaited.is_some() {
            self.reached.notify_one();
        }
        let effect = faults::meet(inner.places.as_mut()?, asked);
        inner.met += usize::from(effect.is_some());
        Some(effect)
    }

    async fn meet_there(
        &self,
        asked: &Asked,
        effect: Option<Effect>,
    ) -> Result<(Answer, bool), Loss> {
        let is_cut = effect == Some(Effect::Truncate);
        let answer = self.machine.run(self.services.meet(asked, effect)).await;
        answer.map(|answer| (answer, is_cut)).ok_or(Loss::Broken)
    }

    /// A line of the story.
    pub fn tell(&self, line: impl Into<String>) {
        self.inner().story.push(line.into());
    }

    /// The story, which is empty then.
    pub fn story(&self) -> Vec<String> {
        std::mem::take(&mut self.inner().story)
    }

    /// Something that must never be.
    pub fn wrong(&self, what: impl Into<String>) {
        let what = what.into();
        let mut inner = self.inner();
        inner.story.push(format!("WRONG  {what}"));
        inner.wrong.push(what);
    }

    /// What must never be, and was.
    pub fn wrongs(&self) -> Vec<String> {
        self.inner().wrong.clone()
    }

    /// The next request: its number, its mishap, and whether the command ends at it.
    fn next(&self) -> (u64, Option<Mishap>, Option<End>) {
        let mut inner = self.inner();
        inner.sent += 1;
        inner.of_command += 1;
        let (number, at) = (inner.sent, inner.of_command);
        let mishap = inner.mishaps.remove(&number);
        inner.met += usize::from(mishap.is_some());
        let end = inner.end.filter(|end| end.at() == at);
        (number, mishap, end)
    }

    /// What happens to a request because it changes something.
    fn at_a_change(&self, asked: &Asked) -> Option<Mishap> {
        if !is_change(asked) {
            return None;
        }
        let mut inner = self.inner();
        inner.changes += 1;
        let number = inner.changes;
        let mishap = inner.at_changes.remove(&number);
        inner.met += usize::from(mishap.is_some());
        mishap
    }

    async fn serve(&self, asked: Asked, effect: Option<&Effect>) -> Answer {
        let is_late = matches!(effect, Some(Effect::StaleRead));
        let question = (is_late && asked.operation() == "KMS GetKeyPolicy").then(|| asked.json());
        let answer = async {
            match effect {
                Some(effect) => self.services.ask_with(asked, effect).await,
                None => self.services.ask(asked).await,
            }
        };
        let answer = self.machine.run(answer).await;
        if let Some(question) = question {
            let answer = serde_json::from_str(&answer.body).unwrap_or_default();
            self.inner().late.push((question, answer));
        }
        answer
    }

    /// Serves a read from before the last write. The services of keys are eventually consistent by their own documents; the account's documents
    /// do not say so of the account.
    async fn late(&self, asked: Asked) -> (Answer, bool) {
        let is_of_account = asked.path.starts_with("/api/2.0/accounts/");
        let effect = (!is_of_account).then_some(&Effect::StaleRead);
        (self.serve(asked, effect).await, false)
    }

    async fn meet(&self, asked: Asked, mishap: Option<&Mishap>) -> Result<(Answer, bool), Loss> {
        let plain = |status, body: &str| Answer {
            status,
            headers: vec![("content-type".to_owned(), "text/html".to_owned())],
            body: body.to_owned(),
        };
        Ok(match mishap {
            None if self.is_behind() => self.late(asked).await,
            None => (self.serve(asked, None).await, false),
            Some(Mishap::NoConnection) => return Err(Loss::Unreachable),
            Some(Mishap::LostRequest) => return Err(Loss::Broken),
            Some(Mishap::LostAnswer) => {
                self.serve(asked, None).await;
                return Err(Loss::Broken);
            }
            Some(Mishap::Cut) => (self.serve(asked, None).await, true),
            Some(Mishap::Status {
                status,
                retry_after,
            }) => {
                let mut answer = plain(*status, "<html>no</html>");
                let asked =
                    retry_after.map(|seconds| ("retry-after".to_owned(), seconds.to_string()));
                answer.headers.extend(asked);
                (answer, false)
            }
            Some(Mishap::StatusAfter { status }) => {
                self.serve(asked, None).await;
                (plain(*status, ""), false)
            }
            Some(Mishap::Page) => (plain(200, "<!doctype html><html>Sign In</html>"), false),
            Some(Mishap::Empty) => {
                let mut answer = self.serve(asked, None).await;
                answer.body.clear();
                (answer, false)
            }
            Some(Mishap::Half) => {
                let mut answer = self.serve(asked, None).await;
                let half = answer.body.len() / 2;
                answer.body.truncate(half);
                (answer, false)
            }
            Some(Mishap::Field { nth, becomes }) => {
                (self.mangled(asked, *nth, *becomes).await, false)
            }
            Some(Mishap::Slow { seconds }) => {
                tokio::time::sleep(Duration::from_secs(*seconds)).await;
                (self.serve(asked, None).await, false)
            }
            Some(Mishap::SlowAnswer { seconds }) => {
                let answer = self.serve(asked, None).await;
                tokio::time::sleep(Duration::from_secs(*seconds)).await;
                (answer, false)
            }
            Some(Mishap::Behind) => self.late(asked).await,
            Some(Mishap::BehindFor { seconds }) => {
                self.inner().behind = Some(Instant::now() + Duration::from_secs(*seconds));
                // Azure's reads are late after a change, and not before it.
                let late = u32::try_from(seconds / 15).unwrap_or_default();
                self.services.with(|world| world.now.azure.lateness = late);
                self.late(asked).await
            }
            Some(Mishap::TokensEnd) => {
                self.end_tokens();
                (self.serve(asked, None).await, false)
            }
            Some(Mishap::Reverts { seconds }) => {
                self.inner().has_reverted = true;
                let effect = match seconds {
                    0 => Effect::Revert,
                    seconds => Effect::RevertAfter {
                        milliseconds: seconds * 1000,
                    },
                };
                (self.serve(asked, Some(&effect)).await, false)
            }
        })
    }

    fn end_tokens(&self) {
        self.services.with(|world| {
            world.tokens.clear();
            world.google_tokens.clear();
            world.google_id_tokens.clear();
            world.now.azure.tokens.clear();
        });
    }

    /// An answer in which one field is gone, or of another form.
    async fn mangled(&self, asked: Asked, nth: usize, becomes: Becomes) -> Answer {
        // A client that reads a policy to write it back cannot tell that the answer left out something of it.
        let is_whole = asked.path.ends_with(":getIamPolicy");
        if asked.path.contains("/Microsoft.Databricks/workspaces/") {
            self.inner().mangled_a_workspace = true;
        }
        let is_of_key = |part: &&str| asked.path.contains(*part);
        if ["/cryptoKeys/", "/keys/"].iter().any(is_of_key) {
            self.inner().mangled_a_key = true;
        }
        let mut answer = self.serve(asked, None).await;
        if !is_whole && let Ok(mut json) = serde_json::from_str::<Json>(&answer.body) {
            becomes.of(&mut json, nth);
            answer.body = json.to_string();
        }
        answer
    }

    async fn carried(&self, request: Request) -> Result<Response, Failure> {
        let url = request.url().clone();
        self.look_for_leaks(&request);
        let (number, mishap, end) = self.next();
        tokio::time::sleep(Duration::from_micros(fastrand::u64(500..80_000))).await;
        if let Some(End::Killed { after: false, .. }) = end {
            self.tell(format!("  {number:>4} killed before {}", url.path()));
            self.killed.notify_one();
            return std::future::pending().await;
        }
        if let Some(End::Interrupted { .. }) = end {
            self.tell(format!("  {number:>4} interrupted"));
            self.interrupted.notify_one();
        }
        let asked = self.asked(&request);
        let operation = asked.operation();
        let mishap = self.at_a_change(&asked).or(mishap);
        let (outcome, mishap) = match self.at_its_place(&asked) {
            Some(effect) => {
                let shown = effect.as_ref().map(|one| format!("{one:?}"));
                (self.meet_there(&asked, effect).await, shown)
            }
            None => {
                let shown = mishap.as_ref().map(|one| format!("{one:?}"));
                (self.meet(asked, mishap.as_ref()).await, shown)
            }
        };
        let status = match &outcome {
            Ok((answer, _)) => answer.status.to_string(),
            Err(loss) => format!("{loss:?}"),
        };
        let mishap = mishap.map(|one| format!("  !! {one}")).unwrap_or_default();
        self.tell(format!("  {number:>4} {operation} -> {status}{mishap}"));
        if let Some(End::Killed { after: true, .. }) = end {
            self.tell(format!("  {number:>4} killed after that"));
            self.killed.notify_one();
            return std::future::pending().await;
        }
        tokio::time::sleep(Duration::from_micros(fastrand::u64(500..40_000))).await;
        let (answer, is_cut) = outcome.map_err(|loss| Failure::of(loss, url.clone()))?;
        respond(answer, is_cut).map_err(|_| Failure::of(Loss::Broken, url))
    }

    /// A secret goes only to the host that it belongs to, and only over TLS.
    fn look_for_leaks(&self, request: &Request) {
        let url = request.url();
        let host = url.host_str().unwrap_or_default();
        let owner = HOSTS.iter().find(|(end, _)| host.ends_with(end));
        let Some((_, owner)) = owner.filter(|_| url.scheme() == "https") else {
            return self.wrong(format!("a request to {}://{host}", url.scheme()));
        };
        let body = request.body().and_then(Body::as_bytes).unwrap_or_default();
        let mut text = String::from_utf8_lossy(body).into_owned();
        // What is marked as sensitive does not show in the headers as they print themselves.
        for value in request.headers().values() {
            text.push(' ');
            text.push_str(&String::from_utf8_lossy(value.as_bytes()));
        }
        for (secret, of) in &self.secrets {
            if of != owner && text.contains(secret) {
                self.wrong(format!("a secret of {of} went to {host}"));
            }
        }
    }
}

impl Wire for Network {
    fn carry(&self, request: Request) -> Boxed<'_, Result<Response, Failure>> {
        Box::pin(self.carried(request))
    }
}

impl Network {
    fn asked(&self, request: &Request) -> Asked {
        let host = request.url().host_str().unwrap_or_default();
        let headers = request.headers().iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        });
        Asked {
            method: request.method().as_str().to_owned(),
            path: match is_workspace(host) {
                // The sandbox has the hosts of workspaces in its paths.
                true => format!("/{host}{}", request.url().path()),
                false => self.platform.path(host, request.url().path()),
            },
            query: parameters(request.url().query().unwrap_or_default()),
            headers: headers.collect(),
            body: request
                .body()
                .and_then(Body::as_bytes)
                .unwrap_or_default()
                .to_vec(),
        }
    }
}

fn respond(answer: Answer, is_cut: bool) -> Result<Response, http::Error> {
    let mut response = http::Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    let bytes = Bytes::from(answer.body);
    let length = bytes.len();
    let body = match is_cut {
        true => Body::wrap(Cut(Some(bytes.slice(..length / 2)), length)),
        false => Body::from(bytes),
    };
    Ok(response.body(body)?.into())
}
