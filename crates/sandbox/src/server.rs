//! The wire: reading requests, letting faults happen, answering, recording.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use doors::clock::Moment;

use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value as Json;

use crate::faults::{Effect, meet};
use crate::http::{Answer, Request, parameters};
use crate::world::Record;
use crate::{Shared, account, azure, buckets, control, data, gcp, iam, kms, sts, trail, unity};

/// The connection breaks here.
#[derive(Debug)]
pub struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection was broken on purpose")
    }
}

impl std::error::Error for Broken {}

/// Serves until it is dropped.
pub async fn serve(
    listener: std::net::TcpListener,
    shared: Arc<Shared>,
    speaks_tls: bool,
) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            // A client that goes away in the middle is its own business.
            match shared.tls.as_ref().filter(|_| speaks_tls) {
                None => connection(TokioIo::new(stream), Arc::clone(&shared)).await,
                Some(tls) => {
                    if let Ok(stream) = tls.acceptor.accept(stream).await {
                        connection(TokioIo::new(stream), Arc::clone(&shared)).await;
                    }
                }
            }
        });
    }
}

/// The same over TLS for another address, if there is one; otherwise it waits forever.
pub async fn serve_if_any(
    listener: Option<std::net::TcpListener>,
    shared: Arc<Shared>,
) -> std::io::Result<()> {
    match listener {
        Some(listener) => serve(listener, shared, true).await,
        None => std::future::pending().await,
    }
}

async fn connection<I: hyper::rt::Read + hyper::rt::Write + Unpin>(stream: I, shared: Arc<Shared>) {
    let service = service_fn(move |request| handle(Arc::clone(&shared), request));
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(stream, service)
        .await;
}

/// A request to the account's objects that is under way; it is over when this is dropped, also when the client went away.
struct UnderWay(Option<Arc<Shared>>);

impl UnderWay {
    fn new(shared: &Arc<Shared>, request: &Request) -> Self {
        let mut world = shared.world();
        world.arrived.push(request.operation());
        if !request.path.starts_with("/api/2.0/") {
            return Self(None);
        }
        world.pace.push(Moment::now());
        world.under_way.0 += 1;
        world.under_way.1 = world.under_way.1.max(world.under_way.0);
        Self(Some(Arc::clone(shared)))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(shared) = &self.0 {
            shared.world().under_way.0 -= 1;
        }
    }
}

async fn handle(
    shared: Arc<Shared>,
    request: hyper::Request<Incoming>,
) -> Result<Response<Sent>, Broken> {
    let (parts, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map_err(|_| Broken)?
        .to_bytes()
        .to_vec();
    let headers: BTreeMap<String, String> = parts
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.as_str().to_owned(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    let request = Request {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parameters(parts.uri.query().unwrap_or_default()),
        headers,
        body,
    };
    if request.path.starts_with("/_sandbox") {
        return wire(&match data_of(&request) {
            Some(id) => match data::of_workspace(&shared, id).await {
                Some(shown) => Answer::json(200, &shown),
                None => Answer::json(404, &Json::Null),
            },
            None => control::answer(&shared, &request),
        });
    }
    let effect = meet(&mut shared.world().faults, &request);
    let is_cut = effect == Some(Effect::Truncate);
    let mut response = wire(&recorded(&shared, &request, effect).await?)?;
    response.body_mut().is_cut = is_cut;
    Ok(response)
}

/// Lets a request meet an effect, and keeps a record of it.
pub async fn recorded(
    shared: &Arc<Shared>,
    request: &Request,
    effect: Option<Effect>,
) -> Result<Answer, Broken> {
    let _under_way = UnderWay::new(shared, request);
    let outcome = carry_out(shared, request, effect).await;
    let record = Record {
        operation: request.operation(),
        query: request.query.clone(),
        body: request.json(),
        user_agent: request.header("user-agent").to_owned(),
        access_key: sts::access_key(request),
        answer: outcome
            .as_ref()
            .ok()
            .filter(|_| gcp::is_google(&request.path) || azure::is_azure(&request.path))
            .and_then(|answer| serde_json::from_str(&answer.body).ok())
            .unwrap_or_default(),
        status: outcome.as_ref().map_or(0, |answer| answer.status),
    };
    shared.world().record.push(record);
    outcome
}

async fn carry_out(
    shared: &Arc<Shared>,
    request: &Request,
    effect: Option<Effect>,
) -> Result<Answer, Broken> {
    match effect {
        None
        | Some(
            Effect::Revert
            | Effect::RevertAfter { .. }
            | Effect::Hang
            | Effect::StaleRead
            | Effect::Truncate,
        ) => Ok(answer(shared, request, effect).await),
        Some(Effect::Status {
            status,
            body,
            content_type,
            retry_after,
        }) => {
            let mut headers = vec![(
                "content-type".to_owned(),
                content_type.unwrap_or_else(|| "application/json".to_owned()),
            )];
            headers.extend(retry_after.map(|value| ("retry-after".to_owned(), value)));
            Ok(Answer {
                status,
                headers,
                body,
            })
        }
        Some(Effect::StatusAfter { status }) => {
            answer(shared, request, None).await;
            Ok(Answer {
                status,
                headers: Vec::new(),
                body: String::new(),
            })
        }
        Some(Effect::Delay { milliseconds }) => {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            Ok(answer(shared, request, None).await)
        }
        Some(Effect::DropBefore) => Err(Broken),
        Some(Effect::DropAfter) => {
            answer(shared, request, None).await;
            Err(Broken)
        }
        Some(Effect::DelayAfter { milliseconds }) => {
            let answer = answer(shared, request, None).await;
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            Ok(answer)
        }
        Some(Effect::Garble) => {
            let mut whole = answer(shared, request, None).await;
            whole.body.truncate(whole.body.len() / 2);
            Ok(whole)
        }
        Some(Effect::Field { field, value }) => {
            let mut whole = answer(shared, request, None).await;
            if let Ok(mut json) = serde_json::from_str::<Json>(&whole.body)
                && let Some(place) = json.pointer_mut(&field)
            {
                *place = value;
                whole.body = json.to_string();
            }
            Ok(whole)
        }
        Some(Effect::Part { fields }) => {
            let mut whole = answer(shared, request, None).await;
            if let Ok(Json::Object(mut object)) = serde_json::from_str(&whole.body) {
                object.retain(|name, _| fields.contains(name));
                whole.body = Json::Object(object).to_string();
            }
            Ok(whole)
        }
    }
}

/// What the services answer.
pub async fn answer(shared: &Arc<Shared>, request: &Request, effect: Option<Effect>) -> Answer {
    let operation = request.operation();
    if let Some(operation) = operation.strip_prefix("KMS ") {
        return kms::answer(shared, request, operation, effect.as_ref());
    }
    if operation == "CloudTrail LookupEvents" {
        return trail::answer(shared, request);
    }
    if let Some(action) = operation.strip_prefix("IAM ") {
        return iam::answer(shared, request, action);
    }
    if let Some(action) = operation.strip_prefix("STS ") {
        return sts::answer(shared, request, action);
    }
    if buckets::is_s3(request) {
        return buckets::s3(shared, request);
    }
    if let Some(meant) = unity::meant(request) {
        return unity::answer(shared, request, &meant);
    }
    if azure::is_azure(&request.path) {
        return azure::answer(shared, request, effect.as_ref());
    }
    if gcp::is_google(&request.path) {
        return gcp::answer(shared, request, effect.as_ref());
    }
    account::answer(shared, request, effect.as_ref()).await
}

fn wire(answer: &Answer) -> Result<Response<Sent>, Broken> {
    let mut response =
        Response::builder().status(StatusCode::from_u16(answer.status).map_err(|_| Broken)?);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    response
        .body(Sent {
            rest: Bytes::from(answer.body.clone()),
            is_cut: false,
        })
        .map_err(|_| Broken)
}

/// A body that may break off in the middle: as many bytes are announced as there are, and half of them come.
struct Sent {
    rest: Bytes,
    is_cut: bool,
}

impl hyper::body::Body for Sent {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Broken>>> {
        let half = self.rest.len() / 2;
        std::task::Poll::Ready(if self.rest.is_empty() {
            self.is_cut.then_some(Err(Broken))
        } else if self.is_cut {
            let first = self.rest.split_to(half);
            self.rest.clear();
            Some(Ok(hyper::body::Frame::data(first)))
        } else {
            Some(Ok(hyper::body::Frame::data(std::mem::take(&mut self.rest))))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && !self.is_cut
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        hyper::body::SizeHint::with_exact(u64::try_from(self.rest.len()).unwrap_or_default())
    }
}

/// The workspace whose data a request asks for.
fn data_of(request: &Request) -> Option<u64> {
    let id = request
        .path
        .strip_prefix("/_sandbox/workspaces/")?
        .strip_suffix("/data")?;
    id.parse().ok().filter(|_| request.method == "GET")
}
