//! List resources: every object of a kind, one event each, as they are found.

use std::future::Future;
use std::pin::Pin;
use std::task::{self, Poll};

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tonic::Status;

use super::{Inner, undecodable, unwritable};
use crate::codec;
use crate::context::Given;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::list_resource::Shown;
use crate::proto::tfplugin6 as pb;
use crate::provider::Provider;

/// As many as Terraform asks for when it does not say how many.
const USUAL_LIMIT: usize = 10_000;
/// How many events are ready before Terraform has taken them.
pub(super) const AHEAD: usize = 16;

fn said(diagnostics: &Diagnostics) -> pb::list_resource::Event {
    pb::list_resource::Event {
        diagnostic: diagnostics.to_proto(),
        ..pb::list_resource::Event::default()
    }
}

/// The events of one list.
pub(crate) struct Events {
    events: Receiver<pb::list_resource::Event>,
    work: Option<JoinHandle<()>>,
}

impl Events {
    pub(super) fn new(events: Receiver<pb::list_resource::Event>, work: JoinHandle<()>) -> Self {
        Self {
            events,
            work: Some(work),
        }
    }
}

impl tokio_stream::Stream for Events {
    type Item = Result<pb::list_resource::Event, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(event) = task::ready!(self.events.poll_recv(cx)) {
            return Poll::Ready(Some(Ok(event)));
        }
        let Some(work) = &mut self.work else {
            return Poll::Ready(None);
        };
        let ended = task::ready!(Pin::new(work).poll(cx));
        self.work = None;
        Poll::Ready(ended.err().map(|error| {
            let bug = Diagnostic::bug(format!("ListResource ended without an answer: {error}."));
            Ok(said(&bug.into()))
        }))
    }
}

impl<P: Provider> Inner<P> {
    pub(super) async fn validate_list(
        &self,
        request: pb::validate_list_resource_config::Request,
    ) -> Result<pb::validate_list_resource_config::Response, Diagnostics> {
        let list = self.list(&request.type_name)?;
        let config = codec::decode_optional(request.config.as_ref(), list.schema.ty())
            .map_err(|error| undecodable("a configuration", &error))?;
        Ok(pb::validate_list_resource_config::Response {
            diagnostics: list
                .erased
                .validate(&list.schema, &config)
                .to_proto_in(&list.schema),
        })
    }

    pub(super) async fn list_resource(
        &self,
        request: &pb::list_resource::Request,
        events: Sender<pb::list_resource::Event>,
    ) {
        if let Err(errors) = self.try_list(request, &events).await {
            let _ = events.send(said(&errors)).await;
        }
    }

    async fn try_list(
        &self,
        request: &pb::list_resource::Request,
        events: &Sender<pb::list_resource::Event>,
    ) -> Result<(), Diagnostics> {
        let list = self.list(&request.type_name)?;
        let resource = self.resource(&request.type_name)?;
        let ty = resource.schema.ty();
        let config = codec::decode_optional(request.config.as_ref(), list.schema.ty())
            .map_err(|error| undecodable("a configuration", &error))?;
        let limit = usize::try_from(request.limit)
            .ok()
            .filter(|limit| *limit > 0)
            .unwrap_or(USUAL_LIMIT);
        let event = |name: String, state: crate::value::Value| {
            let state = resource.schema.without_write_only(state.canonical(ty));
            let object = request
                .include_resource_object
                .then(|| codec::encode(&state, ty))
                .transpose();
            Ok::<_, Diagnostics>(pb::list_resource::Event {
                identity: match resource.identity().of(&state) {
                    Some(identity) => Some(resource.identity().encode(&identity)?),
                    None => None,
                },
                display_name: name,
                resource_object: object.map_err(|error| unwritable("A listed object", &error))?,
                diagnostic: Vec::new(),
            })
        };
        let (show, mut shown) = channel(1);
        let cx = self.ready(Given {
            config: Some(config.clone()),
            ..Given::default()
        })?;
        let listing = list.erased.list(&list.schema, cx, &config, (limit, show));
        let passing = async {
            while let Some(one) = shown.recv().await {
                let event = match one {
                    Shown::Object(name, state) => {
                        event(name, state).unwrap_or_else(|errors| said(&errors))
                    }
                    Shown::Said(diagnostics) => said(&diagnostics),
                };
                // Terraform is gone: the list ends with its next object.
                if events.send(event).await.is_err() {
                    shown.close();
                }
            }
        };
        tokio::join!(listing, passing);
        Ok(())
    }
}
