//! Actions: checked, planned, and done with a line for every step.

use super::{Inner, deferred, undecodable};
use crate::action::{Events, planned};
use crate::codec;
use crate::context::Given;
use crate::diagnostics::Diagnostics;
use crate::proto::tfplugin6 as pb;
use crate::provider::{Capabilities, Provider};
use pb::invoke_action::Event;
use pb::invoke_action::event::{Completed, Progress, Type};

/// A line of an action that is at work.
pub(super) fn progress(message: String) -> Event {
    Event {
        r#type: Some(Type::Progress(Progress { message })),
    }
}

/// The end of an action.
pub(super) fn completed(diagnostics: &Diagnostics) -> Event {
    Event {
        r#type: Some(Type::Completed(Completed {
            diagnostics: diagnostics.to_proto(),
        })),
    }
}

impl<P: Provider> Inner<P> {
    pub(super) async fn validate_action(
        &self,
        request: pb::validate_action_config::Request,
    ) -> Result<pb::validate_action_config::Response, Diagnostics> {
        let action = self.action(&request.action_type)?;
        let config = codec::decode_optional(request.config.as_ref(), action.schema.ty())
            .map_err(|error| undecodable("a configuration", &error))?;
        Ok(pb::validate_action_config::Response {
            diagnostics: action
                .erased
                .validate(&action.schema, &config)
                .to_proto_in(&action.schema),
        })
    }

    pub(super) async fn plan_action(
        &self,
        request: pb::plan_action::Request,
    ) -> Result<pb::plan_action::Response, Diagnostics> {
        let action = self.action(&request.action_type)?;
        let config = codec::decode_optional(request.config.as_ref(), action.schema.ty())
            .map_err(|error| undecodable("a configuration", &error))?;
        let given = Given {
            config: Some(config.clone()),
            capabilities: Capabilities::of(request.client_capabilities.as_ref()),
            ..Given::default()
        };
        let planned = match self.context(given) {
            Ok(cx) => action.erased.plan(&action.schema, cx, &config).await,
            Err(none) => planned(none.0, Err(none.1)),
        };
        Ok(pb::plan_action::Response {
            diagnostics: planned.diagnostics.to_proto_in(&action.schema),
            deferred: deferred(planned.deferred, request.client_capabilities.as_ref()),
        })
    }

    pub(super) async fn invoke_action(
        &self,
        request: &pb::invoke_action::Request,
        events: &Events,
    ) -> Diagnostics {
        self.try_invoke(request, events)
            .await
            .unwrap_or_else(|errors| errors)
    }

    async fn try_invoke(
        &self,
        request: &pb::invoke_action::Request,
        events: &Events,
    ) -> Result<Diagnostics, Diagnostics> {
        let action = self.action(&request.action_type)?;
        let config = codec::decode_optional(request.config.as_ref(), action.schema.ty())
            .map_err(|error| undecodable("a configuration", &error))?;
        let cx = self.ready(Given {
            config: Some(config.clone()),
            capabilities: Capabilities::of(request.client_capabilities.as_ref()),
            ..Given::default()
        })?;
        Ok(action
            .erased
            .invoke(&action.schema, cx, &config, events)
            .await)
    }
}
