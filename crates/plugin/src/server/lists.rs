//! List resources: every object of a kind, one event each.

use super::answers::Answer;
use super::{Inner, undecodable, unwritable};
use crate::codec;
use crate::diagnostics::Diagnostics;
use crate::proto::tfplugin6 as pb;
use crate::provider::Provider;

/// As many as Terraform asks for when it does not say how many.
const USUAL_LIMIT: usize = 10_000;

/// The events of one list.
pub(super) struct Events(pub(super) Vec<pb::list_resource::Event>);

impl Answer for Events {
    fn failed(errors: Diagnostics) -> Self {
        Self(vec![pb::list_resource::Event {
            diagnostic: errors.to_proto(),
            ..pb::list_resource::Event::default()
        }])
    }
}

impl<P: Provider> Inner<P> {
    pub(super) async fn validate_list(
        &self,
        request: pb::validate_list_resource_config::Request,
    ) -> Result<pb::validate_list_resource_config::Response, Diagnostics> {
        let list = self.list(&request.type_name)?;
        let config = codec::decode_optional(request.config.as_ref(), &list.schema().ty())
            .map_err(|error| undecodable("a configuration", &error))?;
        Ok(pb::validate_list_resource_config::Response {
            diagnostics: list.validate(&config).to_proto(),
        })
    }

    pub(super) async fn list_resource(&self, request: &pb::list_resource::Request) -> Events {
        self.try_list(request).await.unwrap_or_else(Answer::failed)
    }

    async fn try_list(&self, request: &pb::list_resource::Request) -> Result<Events, Diagnostics> {
        let list = self.list(&request.type_name)?;
        let resource = self.resource(&request.type_name)?;
        let ty = resource.schema().ty();
        let config = codec::decode_optional(request.config.as_ref(), &list.schema().ty())
            .map_err(|error| undecodable("a configuration", &error))?;
        let limit = usize::try_from(request.limit)
            .ok()
            .filter(|limit| *limit > 0)
            .unwrap_or(USUAL_LIMIT);
        let found = list.list(self.context(&[])?, &config, limit).await;
        let mut events = Vec::with_capacity(found.objects.len());
        for (name, state) in found.objects {
            let object = request
                .include_resource_object
                .then(|| codec::encode(&state, &ty))
                .transpose();
            events.push(pb::list_resource::Event {
                identity: resource.identity().of(&state)?,
                display_name: name,
                resource_object: object.map_err(|error| unwritable("A listed object", &error))?,
                diagnostic: Vec::new(),
            });
        }
        if !found.diagnostics.is_empty() {
            events.push(pb::list_resource::Event {
                diagnostic: found.diagnostics.to_proto(),
                ..Default::default()
            });
        }
        Ok(Events(events))
    }
}
