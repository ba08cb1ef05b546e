//! go-plugin's own services: shutdown, forwarded output and the broker.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio_stream::Stream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Request, Response, Status, Streaming};

use super::proto::go_plugin as pb;

/// Ends the plugin when the host asks for it.
#[derive(Debug, Clone)]
pub struct Controller {
    /// Cancelled by the host's request; `None` when a debugger runs the plugin, which Terraform must not end.
    pub end: Option<CancellationToken>,
}

#[tonic::async_trait]
impl pb::grpc_controller_server::GrpcController for Controller {
    async fn shutdown(&self, _: Request<pb::Empty>) -> Result<Response<pb::Empty>, Status> {
        if let Some(end) = &self.end {
            end.cancel();
        }
        Ok(Response::new(pb::Empty {}))
    }
}

/// A stream that says nothing and ends when the plugin does.
pub struct Silence<T> {
    end: Pin<Box<WaitForCancellationFutureOwned>>,
    items: std::marker::PhantomData<fn() -> T>,
}

impl<T> Silence<T> {
    fn until(end: &CancellationToken) -> Self {
        Self {
            end: Box::pin(end.clone().cancelled_owned()),
            items: std::marker::PhantomData,
        }
    }
}

impl<T> Stream for Silence<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        std::future::Future::poll(self.end.as_mut(), cx).map(|()| None)
    }
}

/// Forwards what the plugin prints: nothing, since nothing may be printed.
#[derive(Debug, Clone)]
pub struct Stdio {
    /// When the plugin ends.
    pub end: CancellationToken,
}

#[tonic::async_trait]
impl pb::grpc_stdio_server::GrpcStdio for Stdio {
    type StreamStdioStream = Silence<pb::StdioData>;

    async fn stream_stdio(
        &self,
        _: Request<()>,
    ) -> Result<Response<Self::StreamStdioStream>, Status> {
        Ok(Response::new(Silence::until(&self.end)))
    }
}

/// Hands out further connections: a provider needs none, so the stream stays open and silent.
#[derive(Debug, Clone)]
pub struct Broker {
    /// When the plugin ends.
    pub end: CancellationToken,
}

#[tonic::async_trait]
impl pb::grpc_broker_server::GrpcBroker for Broker {
    type StartStreamStream = Silence<pb::ConnInfo>;

    async fn start_stream(
        &self,
        request: Request<Streaming<pb::ConnInfo>>,
    ) -> Result<Response<Self::StartStreamStream>, Status> {
        let mut requests = request.into_inner();
        let end = self.end.clone();
        // Whatever Terraform announces is read and not used; an unread stream would block it.
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = end.cancelled() => return,
                    message = requests.message() => if !matches!(message, Ok(Some(_))) { return },
                }
            }
        });
        Ok(Response::new(Silence::until(&self.end)))
    }
}
