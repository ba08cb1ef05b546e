//! Managed resources: from validation to import.

use super::{Inner, deferred, undecodable, unwritable};
use crate::codec;
use crate::context::Given;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::proto::tfplugin6 as pb;
use crate::provider::{Capabilities, Provider};
use crate::resource::{Import, Registered, Source, outcome, planned};
use crate::schema::{Attribute, Kind, Nesting, Presence};
use crate::stored::{Private, RawState};
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

/// The identity that goes with a state: the one that the operation gave, the one that the state has, or the one that Terraform had.
fn identified<C>(
    resource: &Registered<C>,
    given: Option<Value>,
    state: &Value,
    before: Option<Value>,
) -> Option<Value> {
    if resource.identity().is_none() {
        return None;
    }
    given.or_else(|| resource.identity().of(state)).or(before)
}

fn identity_to_proto<C>(
    resource: &Registered<C>,
    identity: Option<&Value>,
) -> Result<Option<pb::ResourceIdentityData>, Diagnostics> {
    identity
        .map(|identity| resource.identity().encode(identity))
        .transpose()
}

/// The same identity as before, where there was one.
fn kept<C>(
    resource: &Registered<C>,
    before: Option<&Value>,
    now: Option<&Value>,
) -> Result<(), Diagnostics> {
    match (before, now) {
        (Some(before), Some(now)) => {
            resource
                .identity()
                .refuse_change(resource.name(), before, now)
        }
        _ => Ok(()),
    }
}

/// What a Terraform older than 1.11 cannot keep out of its plans.
fn refuse_write_only(path: &crate::path::Path) -> Diagnostic {
    Diagnostic::error(
        "Write-only attributes need Terraform 1.11",
        format!(
            "`{path}` is write-only: no plan and no state has its value. The Terraform that runs here is older than 1.11 and cannot do that. Use \
             Terraform 1.11 or newer, or remove the attribute."
        ),
    )
    .at(path.clone())
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
        let capabilities = Capabilities::of(request.client_capabilities.as_ref());
        let mut found = Diagnostics::new();
        match capabilities.write_only {
            true => found.extend(resource.schema.better_write_only(&config)),
            false if resource.schema.hides => {
                let written = resource.schema.written_only(&config);
                found.extend(written.iter().map(refuse_write_only));
            }
            false => {}
        }
        found.extend(resource.erased.validate(&resource.schema, &config));
        Ok(pb::validate_resource_config::Response {
            diagnostics: found.to_proto_in(&resource.schema),
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
        let current = resource
            .identity()
            .decode(request.current_identity.as_ref())?;
        let given = Given {
            private: Private::from_bytes(&request.private)?,
            identity: current.clone(),
            meta: self.meta(request.provider_meta.as_ref())?,
            capabilities: Capabilities::of(request.client_capabilities.as_ref()),
            config: None,
        };
        let mut read = match self.context(given) {
            Ok(cx) => resource.erased.read(&resource.schema, cx, &state).await,
            Err(none) => outcome(none.0, Err(none.1), &state),
        };
        let deferred = deferred(read.deferred, request.client_capabilities.as_ref());
        // An object that is gone keeps the identity by which Terraform knew it.
        let identity = match read.state.is_null() {
            true => current,
            false => {
                let now = identified(resource, read.identity, &read.state, current.clone());
                if let Err(changed) = kept(resource, current.as_ref(), now.as_ref()) {
                    read.diagnostics.extend(changed);
                }
                now
            }
        };
        Ok(pb::read_resource::Response {
            new_state: write(&read.state, ty, "The state that was read")?,
            diagnostics: match deferred {
                Some(_) => Vec::new(),
                None => read.diagnostics.to_proto_in(&resource.schema),
            },
            private: read.private.to_bytes(),
            deferred,
            new_identity: identity_to_proto(resource, identity.as_ref())?,
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
        let before = resource
            .identity()
            .decode(request.prior_identity.as_ref())?;
        let given = Given {
            private: Private::from_bytes(&request.prior_private)?,
            config: (!config.is_null()).then(|| config.clone()),
            identity: before.clone(),
            meta: self.meta(request.provider_meta.as_ref())?,
            capabilities: Capabilities::of(request.client_capabilities.as_ref()),
        };
        let schema = &resource.schema;
        let mut planned = match self.context(given) {
            Ok(cx) => resource.erased.plan(schema, cx, &config, &prior).await,
            Err(none) => planned(schema, none.0, Err(none.1), &config, &prior),
        };
        // An object that Terraform replaces gets another identity, which is not known yet.
        let identity = match planned.replace.is_empty() {
            true if planned.state.is_null() => before,
            true => {
                let now = identified(resource, planned.identity, &planned.state, before.clone());
                if let Err(changed) = kept(resource, before.as_ref(), now.as_ref()) {
                    planned.diagnostics.extend(changed);
                }
                now
            }
            false => None,
        };
        let deferred = deferred(planned.deferred, request.client_capabilities.as_ref());
        Ok(pb::plan_resource_change::Response {
            planned_state: write(&planned.state, ty, "The plan")?,
            requires_replace: planned
                .replace
                .iter()
                .map(crate::path::Path::to_proto)
                .collect(),
            planned_private: planned.private.to_bytes(),
            diagnostics: planned.diagnostics.to_proto_in(schema),
            deferred,
            planned_identity: identity_to_proto(resource, identity.as_ref())?,
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
            let config = read(request.config.as_ref(), ty, "a configuration")?;
            let before = resource
                .identity()
                .decode(request.planned_identity.as_ref())?;
            let cx = self.ready(Given {
                private: Private::from_bytes(&request.planned_private)?,
                config: (!config.is_null()).then_some(config),
                identity: before.clone(),
                meta: self.meta(request.provider_meta.as_ref())?,
                capabilities: Capabilities::default(),
            })?;
            let schema = &resource.schema;
            let mut done = resource.erased.apply(schema, cx, &prior, &planned).await;
            let identity = match done.state.is_null() {
                true => None,
                false => {
                    let now = identified(resource, done.identity, &done.state, before.clone());
                    let is_kept = prior.is_null() || done.diagnostics.has_errors();
                    if let (false, Err(changed)) =
                        (is_kept, kept(resource, before.as_ref(), now.as_ref()))
                    {
                        done.diagnostics.extend(changed);
                    }
                    now
                }
            };
            Ok::<_, Diagnostics>(pb::apply_resource_change::Response {
                new_state: write(&done.state, ty, "The new state")?,
                private: done.private.to_bytes(),
                diagnostics: done.diagnostics.to_proto_in(schema),
                new_identity: identity_to_proto(resource, identity.as_ref())?,
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
        let import = match &request.identity {
            Some(identity) if request.id.is_empty() => resource.identity().import(identity)?,
            _ => Import::by_id(request.id.as_str()),
        };
        if import.text().is_empty() {
            return Err(Diagnostic::error(
                format!("{} is imported by its ID", request.type_name),
                "Give the ID in the import block (`id = \"…\"`) or on the command line; the documentation of the resource says what \
                 the ID is.",
            )
            .into());
        }
        let given = Given {
            identity: import.identity_value().cloned(),
            capabilities: Capabilities::of(request.client_capabilities.as_ref()),
            ..Given::default()
        };
        let schema = &resource.schema;
        let done = match self.context(given) {
            Ok(cx) => resource.erased.import_state(schema, cx, &import).await,
            Err(none) => outcome(none.0, Err(none.1), &Value::Null),
        };
        let deferred = deferred(done.deferred, request.client_capabilities.as_ref());
        // A deferred import has no state yet; the reason says why.
        if deferred.is_some() {
            return Ok(pb::import_resource_state::Response {
                deferred,
                ..pb::import_resource_state::Response::default()
            });
        }
        let imported = if done.diagnostics.has_errors() || done.state.is_null() {
            Vec::new()
        } else {
            let before = import.identity_value().cloned();
            let identity = identified(resource, done.identity, &done.state, before);
            vec![pb::import_resource_state::ImportedResource {
                type_name: request.type_name.clone(),
                state: write(&done.state, schema.ty(), "The imported state")?,
                private: done.private.to_bytes(),
                identity: identity_to_proto(resource, identity.as_ref())?,
            }]
        };
        Ok(pb::import_resource_state::Response {
            imported_resources: imported,
            diagnostics: done.diagnostics.to_proto(),
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
        let identity = resource.erased.upgrade_identity(request.version, json)?;
        let upgraded_identity = Some(resource.identity().upgraded(&identity)?);
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
        let identity = request.source_identity.filter(|raw| !raw.json.is_empty());
        let identity = identity
            .map(|raw| RawState::from_bytes(&raw.json))
            .transpose();
        let identity = identity.map_err(|error| {
            Diagnostic::error(
                format!(
                    "The identity of {} cannot be read",
                    request.source_type_name
                ),
                format!("It is not JSON: {error}."),
            )
        })?;
        let source = Source {
            schema_version: request.source_schema_version,
            identity,
            identity_version: request.source_identity_schema_version,
            private: request.source_private,
            ..Source::new(
                request.source_provider_address,
                request.source_type_name,
                state,
            )
        };
        let moved = resource.erased.move_state(&resource.schema, &source)?;
        let identity = identified(resource, moved.identity, &moved.state, None);
        Ok(pb::move_resource_state::Response {
            target_state: write(
                &moved.state,
                resource.schema.ty(),
                "The state that was moved",
            )?,
            diagnostics: moved.diagnostics.to_proto(),
            target_private: moved.private.to_bytes(),
            target_identity: identity_to_proto(resource, identity.as_ref())?,
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
