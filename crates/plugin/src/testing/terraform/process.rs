//! A process of a provider, and the calls to it.

use tokio_util::sync::CancellationToken;

use super::kind;
use super::state::{Object, State, Told};
use crate::codec;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::proto::tfplugin6 as pb;
use crate::provider::Provider;
use crate::server::Server;
use crate::testing;
use crate::types::Type;
use crate::value::Value;

/// A process of a provider. Terraform starts one for each walk over the resources.
pub struct Process<P: Provider> {
    pub(super) server: Server<P>,
    pub(super) stop: CancellationToken,
    dead: CancellationToken,
}

fn decoded(value: Option<&pb::DynamicValue>, ty: &Type) -> Result<Value, Diagnostics> {
    codec::decode_optional(value, ty).map_err(testing::bug)
}

fn encoded(value: &Value, ty: &Type) -> Result<Option<pb::DynamicValue>, Diagnostics> {
    testing::encode(value, ty)
}

/// What one answer said, without the address that it is about.
pub(super) struct Answered<T> {
    pub(super) value: T,
    pub(super) said: Diagnostics,
}

impl<P: Provider> Process<P> {
    /// Starts and configures one.
    ///
    /// # Errors
    /// What the provider says of its configuration.
    pub async fn start(provider: P, config: &Value) -> Result<Self, Diagnostics> {
        let ty = provider.schema().ty();
        let stop = CancellationToken::new();
        let server = Server::new(provider, stop.clone());
        let config = encoded(config, &ty)?;
        let validated = server.validate_block(pb::validate_provider_config::Request {
            config: config.clone(),
        });
        testing::warnings(validated.await.diagnostics)?;
        let configured = server.configure(pb::configure_provider::Request {
            config,
            terraform_version: "1.11.4".to_owned(),
            ..pb::configure_provider::Request::default()
        });
        testing::warnings(configured.await.diagnostics)?;
        Ok(Self {
            server,
            stop,
            dead: CancellationToken::new(),
        })
    }

    /// Kills the process: its work ends where it is, and Terraform, which lives on, hears nothing more from it.
    pub fn kill(&self) {
        self.dead.cancel();
    }

    /// The answer of a call, as long as the process lives.
    async fn answered<T>(&self, call: impl Future<Output = T>) -> Result<T, Diagnostics> {
        tokio::select! {
            biased;
            () = self.dead.cancelled() => Err(Diagnostic::error(
                "Plugin did not respond",
                "The plugin encountered an error, and failed to respond. The plugin logs may contain more details.",
            )
            .into()),
            answer = call => Ok(answer),
        }
    }

    /// The user interrupts Terraform: what is under way ends at its next safe point, and nothing new begins.
    pub fn interrupt(&self) {
        self.stop.cancel();
        self.server.interrupt();
    }

    pub(super) async fn validated(&self, kind: &str, config: &Value) -> Diagnostics {
        let attempt = async {
            let ty = self.server.resource_type(kind)?;
            let request = pb::validate_resource_config::Request {
                type_name: kind.to_owned(),
                config: encoded(config, &ty)?,
                client_capabilities: Some(pb::ClientCapabilities {
                    deferral_allowed: false,
                    write_only_attributes_allowed: true,
                }),
            };
            Ok(Diagnostics::from_proto(
                self.answered(self.server.validate(request))
                    .await?
                    .diagnostics,
            ))
        };
        attempt.await.unwrap_or_else(|errors: Diagnostics| errors)
    }

    pub(super) async fn read(
        &self,
        kind: &str,
        object: &Object,
    ) -> Result<Answered<Option<Object>>, Diagnostics> {
        let ty = self.server.resource_type(kind)?;
        let request = pb::read_resource::Request {
            type_name: kind.to_owned(),
            current_state: encoded(&object.value, &ty)?,
            private: object.private.clone(),
            ..pb::read_resource::Request::default()
        };
        let answer = self.answered(self.server.read(request)).await?;
        let said = Diagnostics::from_proto(answer.diagnostics);
        if said.has_errors() {
            return Ok(Answered {
                value: Some(object.clone()),
                said,
            });
        }
        let value = decoded(answer.new_state.as_ref(), &ty)?;
        let object = Object {
            value,
            private: answer.private,
            ..object.clone()
        };
        let value = (!object.value.is_null()).then_some(object);
        Ok(Answered { value, said })
    }

    pub(super) async fn planned(
        &self,
        kind: &str,
        prior: &Object,
        config: &Value,
    ) -> Result<Answered<(Value, bool, Vec<u8>)>, Diagnostics> {
        let ty = self.server.resource_type(kind)?;
        let config = encoded(config, &ty)?;
        let request = pb::plan_resource_change::Request {
            type_name: kind.to_owned(),
            prior_state: encoded(&prior.value, &ty)?,
            proposed_new_state: config.clone(),
            config,
            prior_private: prior.private.clone(),
            ..pb::plan_resource_change::Request::default()
        };
        let answer = self.answered(self.server.plan(request)).await?;
        let said = Diagnostics::from_proto(answer.diagnostics);
        let planned = decoded(answer.planned_state.as_ref(), &ty)?;
        let replaces = !answer.requires_replace.is_empty();
        Ok(Answered {
            value: (planned, replaces, answer.planned_private),
            said,
        })
    }

    pub(super) async fn carried_out(
        &self,
        kind: &str,
        prior: &Value,
        (planned, config): (&Value, &Value),
        private: Vec<u8>,
    ) -> Result<Answered<(Value, Vec<u8>)>, Diagnostics> {
        let ty = self.server.resource_type(kind)?;
        let request = pb::apply_resource_change::Request {
            type_name: kind.to_owned(),
            prior_state: encoded(prior, &ty)?,
            planned_state: encoded(planned, &ty)?,
            planned_private: private,
            config: encoded(config, &ty)?,
            ..pb::apply_resource_change::Request::default()
        };
        let answer = self.answered(self.server.carry_out(request)).await?;
        let said = Diagnostics::from_proto(answer.diagnostics);
        let value = decoded(answer.new_state.as_ref(), &ty)?;
        Ok(Answered {
            value: (value, answer.private),
            said,
        })
    }

    /// Reads a data source.
    ///
    /// # Errors
    /// Why it could not be read.
    pub async fn data(&self, kind: &str, config: &Value) -> Result<Value, Diagnostics> {
        let ty = self.server.data_source_type(kind)?;
        let request = pb::read_data_source::Request {
            type_name: kind.to_owned(),
            config: encoded(config, &ty)?,
            ..pb::read_data_source::Request::default()
        };
        let answer = self.answered(self.server.data(request)).await?;
        testing::warnings(answer.diagnostics)?;
        decoded(answer.state.as_ref(), &ty)
    }

    /// `terraform apply -invoke`: the lines that an action showed.
    ///
    /// # Errors
    /// Why it was not done.
    pub async fn invoke(&self, kind: &str, config: &Value) -> Result<Vec<String>, Diagnostics> {
        let ty = self.server.action_type(kind)?;
        let request = pb::invoke_action::Request {
            action_type: kind.to_owned(),
            config: encoded(config, &ty)?,
            ..pb::invoke_action::Request::default()
        };
        let (lines, ended) = self.answered(self.server.invoke(request)).await?;
        match ended.has_errors() {
            true => Err(ended),
            false => Ok(lines),
        }
    }

    /// `terraform import`: the state has the object then.
    pub async fn import(&self, state: &mut State, address: &str, id: &str) -> Told {
        let mut told = Told::default();
        let attempt = async {
            let ty = self.server.resource_type(kind(address))?;
            let request = pb::import_resource_state::Request {
                type_name: kind(address).to_owned(),
                id: id.to_owned(),
                ..pb::import_resource_state::Request::default()
            };
            let answer = self.answered(self.server.import(request)).await?;
            testing::warnings(answer.diagnostics)?;
            let Some(first) = answer.imported_resources.into_iter().next() else {
                return Ok(None);
            };
            let object = Object {
                value: decoded(first.state.as_ref(), &ty)?,
                private: first.private,
                ..Object::default()
            };
            let read = self.read(kind(address), &object).await?;
            if read.said.has_errors() {
                return Err(read.said);
            }
            Ok(read.value)
        };
        match attempt.await {
            Ok(Some(object)) => drop(state.objects.insert(address.to_owned(), object)),
            Ok(None) => told.said(
                address,
                Diagnostic::error("Cannot import non-existent remote object", id).into(),
            ),
            Err(errors) => told.said(address, errors),
        }
        told
    }
}
