//! Managed resources: from validation to import.

use super::{Inner, deferred, undecodable, unwritable};
use crate::codec;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::proto::tfplugin6 as pb;
use crate::provider::Provider;
use crate::resource::Source;
use crate::schema::{Attribute, Kind, Nesting, Presence};
use crate::stored::RawState;
use crate::types::Type;
use crate::value::Value;

fn read(value: Option<&pb::DynamicValue>, ty: &Type, what: &str) -> Result<Value, Diagnostics> {
    codec::decode_optional(value, ty).map_err(|error| undecodable(what, &error))
}

fn write(value: &Value, ty: &Type, what: &str) -> Result<Option<pb::DynamicValue>, Diagnostics> {
    codec::encode(value, ty)
        .map(Some)
        .map_err(|error| unwritable(what, &error))
}

impl<P: Provider> Inner<P> {
    pub(super) async fn validate_resource(
        &self,
        request: pb::validate_resource_config::Request,
    ) -> Result<pb::validate_resource_config::Response, Diagnostics> {
        let resource = self.resource(&request.type_name)?;
        let config = read(
            request.config.as_ref(),
            resource.schema.ty(),
            "a configuration",
        )?;
        Ok(pb::validate_resource_config::Response {
            diagnostics: resource
                .erased
                .validate(&resource.schema, &config)
                .to_proto(),
        })
    }

    pub(super) async fn upgrade_state(
        &self,
        request: pb::upgrade_resource_state::Request,
    ) -> Result<pb::upgrade_resource_state::Response, Diagnostics> {
        let resource = self.resource(&request.type_name)?;
        let raw = request.raw_state.unwrap_or_default();
        let json = RawState::from_bytes(&raw.json).map_err(|error| {
            Diagnostic::error(
                format!("The state of {} cannot be read", request.type_name),
                format!("It is not JSON: {error}. States of Terraform 0.11 and older are not supported; restore a newer one."),
            )
        })?;
        let state = resource
            .erased
            .upgrade(&resource.schema, request.version, json)?;
        Ok(pb::upgrade_resource_state::Response {
            upgraded_state: write(&state, resource.schema.ty(), "The upgraded state")?,
            diagnostics: Vec::new(),
        })
    }

    pub(super) async fn read_resource(
        &self,
        request: pb::read_resource::Request,
    ) -> Result<pb::read_resource::Response, Diagnostics> {
        let resource = self.resource(&request.type_name)?;
        let ty = resource.schema.ty();
        let state = read(request.current_state.as_ref(), ty, "a state")?;
        let cx = self.context(&request.private)?;
        let outcome = resource.erased.read(&resource.schema, cx, &state).await;
        Ok(pb::read_resource::Response {
            new_state: write(&outcome.state, ty, "The state that was read")?,
            diagnostics: outcome.diagnostics.to_proto(),
            private: outcome.private.to_bytes(),
            deferred: deferred(outcome.deferred, request.client_capabilities.as_ref()),
            // An object that is gone keeps the identity by which Terraform knew it.
            new_identity: resource
                .identity()
                .of(&outcome.state)?
                .or(request.current_identity),
        })
    }

    pub(super) async fn plan_resource(
        &self,
        request: pb::plan_resource_change::Request,
    ) -> Result<pb::plan_resource_change::Response, Diagnostics> {
        let resource = self.resource(&request.type_name)?;
        let ty = resource.schema.ty();
        let prior = read(request.prior_state.as_ref(), ty, "a prior state")?;
        let config = read(request.config.as_ref(), ty, "a configuration")?;
        let planned = resource
            .erased
            .plan(
                &resource.schema,
                self.context(&request.prior_private)?,
                &config,
                &prior,
            )
            .await;
        // What is to be replaced gets another identity, which nobody knows yet.
        let identity = if planned.replace.is_empty() {
            resource.identity().of(&planned.state)?
        } else {
            None
        };
        Ok(pb::plan_resource_change::Response {
            planned_state: write(&planned.state, ty, "The plan")?,
            requires_replace: planned
                .replace
                .iter()
                .map(crate::path::Path::to_proto)
                .collect(),
            planned_private: planned.private.to_bytes(),
            diagnostics: planned.diagnostics.to_proto(),
            deferred: deferred(planned.deferred, request.client_capabilities.as_ref()),
            planned_identity: identity,
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
            let ty = resource.schema.ty();
            let prior = read(request.prior_state.as_ref(), ty, "a prior state")?;
            let planned = read(request.planned_state.as_ref(), ty, "a planned state")?;
            let outcome = resource
                .erased
                .apply(
                    &resource.schema,
                    self.context(&request.planned_private)?,
                    &prior,
                    &planned,
                )
                .await;
            Ok::<_, Diagnostics>(pb::apply_resource_change::Response {
                new_state: write(&outcome.state, ty, "The new state")?,
                private: outcome.private.to_bytes(),
                diagnostics: outcome.diagnostics.to_proto(),
                new_identity: resource.identity().of(&outcome.state)?,
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
        let id = match &request.identity {
            Some(identity) if request.id.is_empty() => resource.identity().text(identity)?,
            _ => request.id.clone(),
        };
        if id.is_empty() {
            return Err(Diagnostic::error(
                format!("{} is imported by its ID", request.type_name),
                "Give the ID in the import block (`id = \"…\"`) or on the command line; the documentation of the resource says what \
                 the ID is.",
            )
            .into());
        }
        let cx = self.context(&[])?;
        let outcome = resource
            .erased
            .import_state(&resource.schema, cx, &id)
            .await;
        let imported = if outcome.diagnostics.has_errors() {
            Vec::new()
        } else {
            vec![pb::import_resource_state::ImportedResource {
                type_name: request.type_name.clone(),
                state: write(&outcome.state, resource.schema.ty(), "The imported state")?,
                private: outcome.private.to_bytes(),
                identity: resource.identity().of(&outcome.state)?,
            }]
        };
        Ok(pb::import_resource_state::Response {
            imported_resources: imported,
            diagnostics: outcome.diagnostics.to_proto(),
            deferred: None,
        })
    }

    pub(super) async fn upgrade_identity(
        &self,
        request: pb::upgrade_resource_identity::Request,
    ) -> Result<pb::upgrade_resource_identity::Response, Diagnostics> {
        let resource = self.resource(&request.type_name)?;
        let raw = request.raw_identity.unwrap_or_default();
        let json = RawState::from_bytes(&raw.json).map_err(|error| {
            Diagnostic::error(
                "The identity in the state cannot be read",
                format!("It is not JSON: {error}. If the state was edited by hand, restore it from its backup."),
            )
        })?;
        let upgraded_identity = Some(resource.identity().upgraded(&json)?);
        Ok(pb::upgrade_resource_identity::Response {
            upgraded_identity,
            diagnostics: Vec::new(),
        })
    }

    pub(super) async fn move_resource(
        &self,
        request: pb::move_resource_state::Request,
    ) -> Result<pb::move_resource_state::Response, Diagnostics> {
        let resource = self.resource(&request.target_type_name)?;
        let raw = request.source_state.unwrap_or_default();
        let state = RawState::from_bytes(&raw.json).map_err(|error| {
            Diagnostic::error(
                format!("The state of {} cannot be read", request.source_type_name),
                format!("It is not JSON: {error}."),
            )
        })?;
        let source = Source::new(
            request.source_provider_address,
            request.source_type_name,
            state,
        );
        let (state, private) = resource.erased.move_state(&resource.schema, &source)?;
        Ok(pb::move_resource_state::Response {
            target_state: write(&state, resource.schema.ty(), "The state that was moved")?,
            diagnostics: Vec::new(),
            target_private: private.to_bytes(),
            target_identity: resource.identity().of(&state)?,
        })
    }

    /// The configuration that a person would write for an object: nothing that the provider gives by itself.
    pub(super) async fn generate_config(
        &self,
        request: pb::generate_resource_config::Request,
    ) -> Result<pb::generate_resource_config::Response, Diagnostics> {
        let resource = self.resource(&request.type_name)?;
        let ty = resource.schema.ty();
        let state = read(request.state.as_ref(), ty, "a state")?;
        let state = resource.erased.written(&resource.schema, &state)?;
        let config = as_written(&resource.schema().attributes, &state).canonical(ty);
        Ok(pb::generate_resource_config::Response {
            config: write(&config, ty, "The generated configuration")?,
            diagnostics: Vec::new(),
        })
    }
}

/// What of a state a person writes.
fn as_written(attributes: &[Attribute], state: &Value) -> Value {
    if state.as_map().is_none() {
        return Value::Null;
    }
    let written = attributes.iter().map(|attribute| {
        let value = state.get(&attribute.name);
        let is_given =
            attribute.presence != Presence::Computed && attribute.default.as_ref() != Some(value);
        let value = match (&attribute.kind, value) {
            _ if !is_given => Value::Null,
            (Kind::Nested(Nesting::Single, inner), value) => as_written(inner, value),
            (Kind::Nested(Nesting::Map, inner), Value::Map(entries)) => Value::map(
                entries
                    .iter()
                    .map(|(key, one)| (key, as_written(inner, one))),
            ),
            (Kind::Nested(_, inner), Value::List(elements)) => {
                Value::List(elements.iter().map(|one| as_written(inner, one)).collect())
            }
            (_, value) => value.clone(),
        };
        (attribute.name.clone(), value)
    });
    Value::map(written)
}
