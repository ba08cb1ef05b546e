//! Ephemeral resources: opened, renewed, closed.

use std::time::SystemTime;

use super::{Inner, deferred, undecodable, unwritable};
use crate::codec;
use crate::context::Given;
use crate::diagnostics::Diagnostics;
use crate::ephemeral::opened;
use crate::proto::tfplugin6 as pb;
use crate::provider::{Capabilities, Provider};
use crate::stored::Private;

fn timestamp(at: SystemTime) -> prost_types::Timestamp {
    prost_types::Timestamp::from(at)
}

impl<P: Provider> Inner<P> {
    pub(super) async fn validate_ephemeral(
        &self,
        request: pb::validate_ephemeral_resource_config::Request,
    ) -> Result<pb::validate_ephemeral_resource_config::Response, Diagnostics> {
        let resource = self.ephemeral(&request.type_name)?;
        let config = codec::decode_optional(request.config.as_ref(), resource.schema.ty())
            .map_err(|error| undecodable("a configuration", &error))?;
        let found = resource.erased.validate(&resource.schema, &config);
        Ok(pb::validate_ephemeral_resource_config::Response {
            diagnostics: found.to_proto_in(&resource.schema),
        })
    }

    pub(super) async fn open_ephemeral(
        &self,
        request: pb::open_ephemeral_resource::Request,
    ) -> Result<pb::open_ephemeral_resource::Response, Diagnostics> {
        let resource = self.ephemeral(&request.type_name)?;
        let ty = resource.schema.ty();
        let config = codec::decode_optional(request.config.as_ref(), ty)
            .map_err(|error| undecodable("a configuration", &error))?;
        let given = Given {
            config: Some(config.clone()),
            capabilities: Capabilities::of(request.client_capabilities.as_ref()),
            ..Given::default()
        };
        let opened = match self.context(given) {
            Ok(cx) => resource.erased.open(&resource.schema, cx, &config).await,
            Err(none) => opened(none.0, Err(none.1)),
        };
        let deferred = deferred(opened.deferred, request.client_capabilities.as_ref());
        let result = codec::encode(&opened.value, ty)
            .map_err(|error| unwritable("What was opened", &error))?;
        let diagnostics = match deferred {
            Some(_) => Vec::new(),
            None => opened.diagnostics.to_proto_in(&resource.schema),
        };
        Ok(pb::open_ephemeral_resource::Response {
            diagnostics,
            renew_at: opened.renew_at.map(timestamp),
            result: Some(result),
            private: Some(opened.private.to_bytes()),
            deferred,
        })
    }

    pub(super) async fn renew_ephemeral(
        &self,
        request: pb::renew_ephemeral_resource::Request,
    ) -> Result<pb::renew_ephemeral_resource::Response, Diagnostics> {
        let resource = self.ephemeral(&request.type_name)?;
        let cx = self.ready(Given {
            private: Private::from_bytes(request.private.as_deref().unwrap_or_default())?,
            ..Given::default()
        })?;
        let renewed = resource.erased.renew(cx).await;
        Ok(pb::renew_ephemeral_resource::Response {
            diagnostics: renewed.diagnostics.to_proto(),
            renew_at: renewed.renew_at.map(timestamp),
            private: Some(renewed.private.to_bytes()),
        })
    }

    pub(super) async fn close_ephemeral(
        &self,
        request: pb::close_ephemeral_resource::Request,
    ) -> Result<pb::close_ephemeral_resource::Response, Diagnostics> {
        let resource = self.ephemeral(&request.type_name)?;
        let cx = self.ready(Given {
            private: Private::from_bytes(request.private.as_deref().unwrap_or_default())?,
            ..Given::default()
        })?;
        Ok(pb::close_ephemeral_resource::Response {
            diagnostics: resource.erased.close(cx).await.to_proto(),
        })
    }
}
