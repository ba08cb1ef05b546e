//! Managed resources: from validation to import.

use super::{Inner, private_bytes, undecodable, unwritable};
use crate::plugin::codec;
use crate::plugin::diagnostics::{Diagnostic, Diagnostics};
use crate::plugin::proto::tfplugin6 as pb;
use crate::plugin::provider::Provider;
use crate::plugin::types::Type;
use crate::plugin::value::Value;

fn read(value: Option<&pb::DynamicValue>, ty: &Type, what: &str) -> Result<Value, Diagnostics> {
    codec::decode_optional(value, ty).map_err(|error| undecodable(what, &error))
}

fn write(value: &Value, ty: &Type, what: &str) -> Result<Option<pb::DynamicValue>, Diagnostics> {
    codec::encode(value, ty).map(Some).map_err(|error| unwritable(what, &error))
}

impl<P: Provider> Inner<P> {
    pub(super) async fn validate_resource(
        &self,
        request: pb::validate_resource_config::Request,
    ) -> Result<pb::validate_resource_config::Response, Diagnostics> {
        let resource = self.resource(&request.type_name)?;
        let config = read(request.config.as_ref(), &resource.schema().ty(), "a configuration")?;
        Ok(pb::validate_resource_config::Response { diagnostics: resource.validate(&config).to_proto() })
    }

    pub(super) async fn upgrade_state(
        &self,
        request: pb::upgrade_resource_state::Request,
    ) -> Result<pb::upgrade_resource_state::Response, Diagnostics> {
        let resource = self.resource(&request.type_name)?;
        let raw = request.raw_state.unwrap_or_default();
        let json = serde_json::from_slice(&raw.json).map_err(|error| {
            Diagnostic::error(
                format!("The state of {} cannot be read", request.type_name),
                format!("It is not JSON: {error}. States of Terraform 0.11 and older are not supported; restore a newer one."),
            )
        })?;
        let state = resource.upgrade(request.version, json)?;
        Ok(pb::upgrade_resource_state::Response {
            upgraded_state: write(&state, &resource.schema().ty(), "The upgraded state")?,
            diagnostics: Vec::new(),
        })
    }

    pub(super) async fn read_resource(
        &self,
        request: pb::read_resource::Request,
    ) -> Result<pb::read_resource::Response, Diagnostics> {
        let resource = self.resource(&request.type_name)?;
        let ty = resource.schema().ty();
        let state = read(request.current_state.as_ref(), &ty, "a state")?;
        let outcome = resource.read(self.context(&request.private)?, &state).await;
        Ok(pb::read_resource::Response {
            new_state: write(&outcome.state, &ty, "The state that was read")?,
            diagnostics: outcome.diagnostics.to_proto(),
            private: private_bytes(&outcome.private),
            ..pb::read_resource::Response::default()
        })
    }

    pub(super) async fn plan_resource(
        &self,
        request: pb::plan_resource_change::Request,
    ) -> Result<pb::plan_resource_change::Response, Diagnostics> {
        let resource = self.resource(&request.type_name)?;
        let ty = resource.schema().ty();
        let prior = read(request.prior_state.as_ref(), &ty, "a prior state")?;
        let config = read(request.config.as_ref(), &ty, "a configuration")?;
        let planned = resource.plan(self.context(&request.prior_private)?, &config, &prior).await;
        Ok(pb::plan_resource_change::Response {
            planned_state: write(&planned.state, &ty, "The plan")?,
            requires_replace: planned.replace.iter().map(crate::plugin::path::Path::to_proto).collect(),
            planned_private: private_bytes(&planned.private),
            diagnostics: planned.diagnostics.to_proto(),
            ..pb::plan_resource_change::Response::default()
        })
    }

    pub(super) async fn apply_resource(
        &self,
        request: pb::apply_resource_change::Request,
    ) -> Result<pb::apply_resource_change::Response, Diagnostics> {
        // Whatever cannot be done here, the prior state comes back with the error: nothing is lost.
        let unchanged = |errors: &Diagnostics| pb::apply_resource_change::Response {
            new_state: request.prior_state.clone(),
            private: request.planned_private.clone(),
            diagnostics: errors.to_proto(),
            ..pb::apply_resource_change::Response::default()
        };
        let attempt = async {
            let resource = self.resource(&request.type_name)?;
            let ty = resource.schema().ty();
            let prior = read(request.prior_state.as_ref(), &ty, "a prior state")?;
            let planned = read(request.planned_state.as_ref(), &ty, "a planned state")?;
            let outcome = resource.apply(self.context(&request.planned_private)?, &prior, &planned).await;
            Ok::<_, Diagnostics>(pb::apply_resource_change::Response {
                new_state: write(&outcome.state, &ty, "The new state")?,
                private: private_bytes(&outcome.private),
                diagnostics: outcome.diagnostics.to_proto(),
                ..pb::apply_resource_change::Response::default()
            })
        };
        Ok(attempt.await.unwrap_or_else(|errors| unchanged(&errors)))
    }

    pub(super) async fn import_resource(
        &self,
        request: pb::import_resource_state::Request,
    ) -> Result<pb::import_resource_state::Response, Diagnostics> {
        let resource = self.resource(&request.type_name)?;
        if request.id.is_empty() {
            return Err(Diagnostic::error(
                format!("{} is imported by its id", request.type_name),
                "Give the id in the import block (`id = \"…\"`) or on the command line; the documentation of the resource says what \
                 the id is.",
            )
            .into());
        }
        let outcome = resource.import(self.context(&[])?, &request.id).await;
        let imported = if outcome.diagnostics.has_errors() {
            Vec::new()
        } else {
            vec![pb::import_resource_state::ImportedResource {
                type_name: request.type_name.clone(),
                state: write(&outcome.state, &resource.schema().ty(), "The imported state")?,
                private: private_bytes(&outcome.private),
                identity: None,
            }]
        };
        Ok(pb::import_resource_state::Response {
            imported_resources: imported,
            diagnostics: outcome.diagnostics.to_proto(),
            deferred: None,
        })
    }
}
