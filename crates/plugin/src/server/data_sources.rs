//! Data sources.

use super::{Inner, deferred, undecodable, unwritable};
use crate::codec;
use crate::context::Given;
use crate::data_source::read;
use crate::diagnostics::Diagnostics;
use crate::proto::tfplugin6 as pb;
use crate::provider::{Capabilities, Provider};
use crate::value::Value;

impl<P: Provider> Inner<P> {
    pub(super) async fn validate_data_source(
        &self,
        request: pb::validate_data_resource_config::Request,
    ) -> Result<pb::validate_data_resource_config::Response, Diagnostics> {
        let source = self.data_source(&request.type_name)?;
        let config = codec::decode_optional(request.config.as_ref(), source.schema.ty())
            .map_err(|error| undecodable("a configuration", &error))?;
        Ok(pb::validate_data_resource_config::Response {
            diagnostics: source
                .erased
                .validate(&source.schema, &config)
                .to_proto_in(&source.schema),
        })
    }

    pub(super) async fn read_data_source(
        &self,
        request: pb::read_data_source::Request,
    ) -> Result<pb::read_data_source::Response, Diagnostics> {
        let source = self.data_source(&request.type_name)?;
        let ty = source.schema.ty();
        let config = codec::decode_optional(request.config.as_ref(), ty)
            .map_err(|error| undecodable("a configuration", &error))?;
        let given = Given {
            config: Some(config.clone()),
            meta: self.meta(request.provider_meta.as_ref())?,
            capabilities: Capabilities::of(request.client_capabilities.as_ref()),
            ..Given::default()
        };
        let outcome = match self.context(given) {
            Ok(cx) => source.erased.read(&source.schema, cx, &config).await,
            Err(none) => read(none.0, Err(none.1)),
        };
        let deferred = deferred(outcome.deferred, request.client_capabilities.as_ref());
        if deferred.is_some() {
            // A later run has the answer; the reason says why this one does not.
            let later = codec::encode(&Value::unknown(), ty)
                .map_err(|error| unwritable("The data", &error))?;
            return Ok(pb::read_data_source::Response {
                state: Some(later),
                diagnostics: Vec::new(),
                deferred,
            });
        }
        let state =
            codec::encode(&outcome.value, ty).map_err(|error| unwritable("The data", &error))?;
        Ok(pb::read_data_source::Response {
            state: Some(state),
            diagnostics: outcome.diagnostics.to_proto_in(&source.schema),
            deferred,
        })
    }
}
