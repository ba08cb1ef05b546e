//! The wire: reading requests, letting faults happen, answering, recording.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;

use super::faults::{Effect, meet};
use super::http::{Answer, Request, parameters};
use super::world::Record;
use super::{Shared, account, control, kms, sts};

/// The connection breaks here.
#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection was broken on purpose")
    }
}

impl std::error::Error for Broken {}

/// Serves until it is dropped.
pub async fn serve(listener: std::net::TcpListener, shared: Arc<Shared>) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(move |request| handle(Arc::clone(&shared), request));
            // A client that goes away in the middle is its own business.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn handle(shared: Arc<Shared>, request: hyper::Request<Incoming>) -> Result<Response<Full<Bytes>>, Broken> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Broken)?.to_bytes().to_vec();
    let headers: BTreeMap<String, String> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let request = Request {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parameters(parts.uri.query().unwrap_or_default()),
        headers,
        body,
    };
    if request.path.starts_with("/_sandbox") {
        return wire(&control::answer(&shared, &request));
    }
    if request.path.starts_with("/api/2.0/") {
        shared.world().pace.push(std::time::Instant::now());
    }
    let effect = meet(&mut shared.world().faults, &request);
    let outcome = carry_out(&shared, &request, effect).await;
    let record = Record {
        operation: request.operation(),
        query: request.query.clone(),
        body: request.json(),
        user_agent: request.header("user-agent").to_owned(),
        status: outcome.as_ref().map_or(0, |answer| answer.status),
    };
    shared.world().record.push(record);
    wire(&outcome?)
}

async fn carry_out(shared: &Arc<Shared>, request: &Request, effect: Option<Effect>) -> Result<Answer, Broken> {
    match effect {
        None | Some(Effect::Revert | Effect::StaleRead) => Ok(answer(shared, request, effect).await),
        Some(Effect::Status { status, body, content_type, retry_after }) => {
            let mut headers = vec![("content-type".to_owned(), content_type.unwrap_or_else(|| "application/json".to_owned()))];
            headers.extend(retry_after.map(|seconds| ("retry-after".to_owned(), seconds.to_string())));
            Ok(Answer { status, headers, body })
        }
        Some(Effect::StatusAfter { status }) => {
            answer(shared, request, None).await;
            Ok(Answer { status, headers: Vec::new(), body: String::new() })
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
        Some(Effect::Truncate) => {
            let mut whole = answer(shared, request, None).await;
            whole.body.truncate(whole.body.len() / 2);
            Ok(whole)
        }
    }
}

async fn answer(shared: &Arc<Shared>, request: &Request, effect: Option<Effect>) -> Answer {
    let operation = request.operation();
    if let Some(operation) = operation.strip_prefix("KMS ") {
        return kms::answer(shared, request, operation, effect.as_ref());
    }
    if let Some(action) = operation.strip_prefix("STS ") {
        return sts::answer(shared, request, action);
    }
    account::answer(shared, request, effect.as_ref()).await
}

fn wire(answer: &Answer) -> Result<Response<Full<Bytes>>, Broken> {
    let mut response = Response::builder().status(StatusCode::from_u16(answer.status).map_err(|_| Broken)?);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    response.body(Full::new(Bytes::from(answer.body.clone()))).map_err(|_| Broken)
}
