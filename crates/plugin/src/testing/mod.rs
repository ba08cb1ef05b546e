//! A provider served within a test: every call goes through the codecs and the rules that Terraform's calls go through, without
//! Terraform.
//!
//! A configuration is a [`Value`], a model, or `serde_json::json!`; a state can be read as a model.
//!
//! ```no_run
//! # use serde::Deserialize;
//! # use tfplugin::bridge::Attr;
//! # #[derive(Deserialize)]
//! # struct Ball { size: Attr<i64> }
//! # async fn test(provider: impl tfplugin::provider::Provider) -> Result<(), tfplugin::diagnostics::Diagnostics> {
//! use serde_json::json;
//! use tfplugin::testing::{State, TestServer};
//!
//! let server = TestServer::start(provider, &json!({})).await?;
//! let made = server.apply("toys_ball", &State::none(), &json!({"name": "a", "size": 7})).await?;
//! assert_eq!(made.get("name").as_str(), Some("a"));
//! let ball: Ball = made.model()?;
//! assert_eq!(ball.size.known(), Some(&7));
//! # Ok(())
//! # }
//! ```

mod rules;
pub mod terraform;

use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::bridge::{from_value, to_value};
use crate::codec::{self, CodecError};
use crate::deferral::Reason;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::path::Path;
use crate::proto::tfplugin6::{self as pb, provider_server::Provider as Rpc};
use crate::provider::{Capabilities, Provider};
use crate::resource::Source;
use crate::server::Server;
use crate::stored::{Private, RawState};
use crate::types::Type;
use crate::value::Value;

/// A state and its private data, as Terraform keeps them.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    value: Value,
    private: Vec<u8>,
    identity: Option<pb::ResourceIdentityData>,
}

impl State {
    /// No object.
    pub fn none() -> Self {
        Self {
            value: Value::Null,
            private: Vec::new(),
            identity: None,
        }
    }

    /// The state in untyped form, for assertions.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// An attribute by its dotted path, or null.
    pub fn get(&self, dotted: &str) -> &Value {
        self.value.at(dotted)
    }

    /// The state as a model.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn model<M: DeserializeOwned>(&self) -> Answered<M> {
        from_value(&self.value).map_err(bug)
    }

    /// The private data that an operation left under a name.
    ///
    /// # Errors
    /// When it has another form.
    pub fn private<T: DeserializeOwned>(&self, name: &str) -> Answered<Option<T>> {
        Ok(Private::from_bytes(&self.private)?.get(name)?)
    }

    /// Whether there is no object.
    pub fn is_none(&self) -> bool {
        self.value.is_null()
    }
}

/// What a plan says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Planned {
    /// The planned state: unknown where the provider decides at apply.
    pub state: Value,
    /// The attributes that ask for another object.
    pub replace: Vec<Path>,
    /// The warnings beside the plan.
    pub warnings: Diagnostics,
    /// Why the provider defers it, if it does and the [capabilities](TestServer::with) allow it.
    pub deferred: Option<Reason>,
    private: Vec<u8>,
    config: Value,
    identity: Option<pb::ResourceIdentityData>,
}

/// What an ephemeral resource opened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Open {
    /// The result.
    pub value: Value,
    /// When it wants to be renewed.
    pub renew_at: Option<SystemTime>,
    private: Vec<u8>,
}

/// A provider that a test has started.
pub struct TestServer<P: Provider> {
    server: Server<P>,
    capabilities: Capabilities,
    meta: Option<pb::DynamicValue>,
}

type Answered<T> = Result<T, Diagnostics>;

fn bug(what: impl std::fmt::Display) -> Diagnostics {
    Diagnostic::error("The test cannot go on", what.to_string()).into()
}

fn answer<T>(answer: Result<Response<T>, Status>) -> Answered<T> {
    answer.map(Response::into_inner).map_err(bug)
}

/// The warnings among the diagnostics; all of them as an error, if one of them is an error.
fn warnings(said: Vec<pb::Diagnostic>) -> Answered<Diagnostics> {
    let said = Diagnostics::from_proto(said);
    if said.has_errors() {
        Err(said)
    } else {
        Ok(said)
    }
}

/// What a test gives for a configuration.
fn given(config: &impl Serialize) -> Answered<Value> {
    to_value(config).map_err(bug)
}

fn encode(value: &Value, ty: &Type) -> Answered<Option<pb::DynamicValue>> {
    codec::encode(&value.clone().canonical(ty), ty)
        .map(Some)
        .map_err(|error: CodecError| bug(error))
}

fn decode(value: Option<&pb::DynamicValue>, ty: &Type) -> Answered<Value> {
    codec::decode_optional(value, ty).map_err(bug)
}

async fn all<T>(mut stream: impl Stream<Item = Result<T, Status>> + Unpin) -> Answered<Vec<T>> {
    use tokio_stream::StreamExt as _;
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event.map_err(bug)?);
    }
    Ok(events)
}

impl<P: Provider> TestServer<P> {
    /// Serves a provider, configured as a `provider` block would.
    ///
    /// # Errors
    /// What its author must repair, or what the provider says about its configuration.
    pub async fn start(provider: P, config: &impl Serialize) -> Answered<Self> {
        let usual = Capabilities {
            deferral: false,
            write_only: true,
        };
        Self::start_with(provider, config, usual).await
    }

    /// The same before a Terraform that can do other things.
    ///
    /// # Errors
    /// What its author must repair, or what the provider says about its configuration.
    pub async fn start_with(
        provider: P,
        config: &impl Serialize,
        capabilities: Capabilities,
    ) -> Answered<Self> {
        let ty = provider.schema().ty();
        let server = Server::new(provider, CancellationToken::new());
        warnings(
            answer(
                server
                    .get_provider_schema(Request::new(Default::default()))
                    .await,
            )?
            .diagnostics,
        )?;
        let config = encode(&given(config)?, &ty)?;
        let request = pb::validate_provider_config::Request {
            config: config.clone(),
        };
        let validated = answer(server.validate_provider_config(Request::new(request)).await)?;
        warnings(validated.diagnostics)?;
        let request = pb::configure_provider::Request {
            config,
            terraform_version: "1.15.0".to_owned(),
            client_capabilities: Some(pb::ClientCapabilities {
                deferral_allowed: capabilities.deferral,
                ..pb::ClientCapabilities::default()
            }),
        };
        let configured = answer(server.configure_provider(Request::new(request)).await)?;
        warnings(configured.diagnostics)?;
        Ok(Self {
            server,
            capabilities,
            meta: None,
        })
    }

    /// The same for a module that has a `provider_meta` block.
    ///
    /// # Errors
    /// When the provider takes none, or none of this form.
    pub fn with_meta(mut self, meta: &impl Serialize) -> Answered<Self> {
        let ty = self.server.meta_type();
        let ty = ty.ok_or_else(|| bug("The provider takes no `provider_meta` block."))?;
        self.meta = encode(&given(meta)?, &ty)?;
        Ok(self)
    }

    /// The same with a Terraform of other capabilities: one that can defer, or one before 1.11.
    #[must_use]
    pub fn with(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// Offline checks of the configuration of a resource: the warnings.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn validate(&self, name: &str, config: &impl Serialize) -> Answered<Diagnostics> {
        let request = pb::validate_resource_config::Request {
            type_name: name.to_owned(),
            config: encode(&given(config)?, &self.server.resource_type(name)?)?,
            client_capabilities: self.capabilities.to_proto(),
        };
        let validated = answer(
            self.server
                .validate_resource_config(Request::new(request))
                .await,
        )?;
        warnings(validated.diagnostics)
    }

    /// Plans what a configuration asks for; `Value::Null` asks for a destruction.
    ///
    /// # Errors
    /// Why it cannot be planned.
    pub async fn plan(
        &self,
        name: &str,
        prior: &State,
        config: &impl Serialize,
    ) -> Answered<Planned> {
        let ty = self.server.resource_type(name)?;
        let config = given(config)?;
        let written = encode(&config, &ty)?;
        let request = pb::plan_resource_change::Request {
            type_name: name.to_owned(),
            prior_state: encode(&prior.value, &ty)?,
            proposed_new_state: written.clone(),
            config: written,
            prior_private: prior.private.clone(),
            prior_identity: prior.identity.clone(),
            client_capabilities: self.capabilities.to_proto(),
            provider_meta: self.meta.clone(),
            ..pb::plan_resource_change::Request::default()
        };
        let planned = answer(
            self.server
                .plan_resource_change(Request::new(request))
                .await,
        )?;
        Ok(Planned {
            warnings: warnings(planned.diagnostics)?,
            state: decode(planned.planned_state.as_ref(), &ty)?,
            replace: planned
                .requires_replace
                .into_iter()
                .map(Path::from_proto)
                .collect(),
            private: planned.planned_private,
            deferred: planned
                .deferred
                .and_then(|deferred| Reason::from_proto(&deferred)),
            config,
            identity: planned.planned_identity,
        })
    }

    /// Carries a plan out. What asks for another object destroys first, as Terraform does.
    ///
    /// # Errors
    /// Why it could not be carried out.
    pub async fn carry_out(&self, name: &str, prior: &State, plan: &Planned) -> Answered<State> {
        let ty = self.server.resource_type(name)?;
        let request = pb::apply_resource_change::Request {
            type_name: name.to_owned(),
            prior_state: encode(&prior.value, &ty)?,
            planned_state: encode(&plan.state, &ty)?,
            planned_private: plan.private.clone(),
            config: encode(&plan.config, &ty)?,
            planned_identity: plan.identity.clone(),
            provider_meta: self.meta.clone(),
            ..pb::apply_resource_change::Request::default()
        };
        let applied = answer(
            self.server
                .apply_resource_change(Request::new(request))
                .await,
        )?;
        warnings(applied.diagnostics)?;
        Ok(State {
            value: decode(applied.new_state.as_ref(), &ty)?,
            private: applied.private,
            identity: applied.new_identity,
        })
    }

    /// Plans a configuration and carries the plan out: with `Value::Null`, a destruction.
    ///
    /// # Errors
    /// Why it could not be done.
    pub async fn apply(
        &self,
        name: &str,
        prior: &State,
        config: &impl Serialize,
    ) -> Answered<State> {
        let plan = self.plan(name, prior, config).await?;
        if plan.replace.is_empty() {
            return self.carry_out(name, prior, &plan).await;
        }
        let destroy = self.plan(name, prior, &Value::Null).await?;
        self.carry_out(name, prior, &destroy).await?;
        let create = self.plan(name, &State::none(), config).await?;
        self.carry_out(name, &State::none(), &create).await
    }

    /// Reads an object.
    ///
    /// # Errors
    /// Why the provider could not read it.
    pub async fn refresh(&self, name: &str, state: &State) -> Answered<State> {
        let ty = self.server.resource_type(name)?;
        let request = pb::read_resource::Request {
            type_name: name.to_owned(),
            current_state: encode(&state.value, &ty)?,
            private: state.private.clone(),
            current_identity: state.identity.clone(),
            client_capabilities: self.capabilities.to_proto(),
            provider_meta: self.meta.clone(),
            ..pb::read_resource::Request::default()
        };
        let read = answer(self.server.read_resource(Request::new(request)).await)?;
        warnings(read.diagnostics)?;
        Ok(State {
            value: decode(read.new_state.as_ref(), &ty)?,
            private: read.private,
            identity: read.new_identity,
        })
    }

    /// A state from an ID, as Terraform has it after an import: read once.
    ///
    /// # Errors
    /// Why it could not be imported.
    pub async fn import(&self, name: &str, id: &str) -> Answered<State> {
        let request = pb::import_resource_state::Request {
            type_name: name.to_owned(),
            id: id.to_owned(),
            client_capabilities: self.capabilities.to_proto(),
            ..pb::import_resource_state::Request::default()
        };
        self.imported(request).await
    }

    /// The same from an identity: an object with the names of the resource's identity.
    ///
    /// # Errors
    /// Why it could not be imported.
    pub async fn import_by_identity(
        &self,
        name: &str,
        identity: &impl Serialize,
    ) -> Answered<State> {
        let schema = self.server.identity(name)?;
        let request = pb::import_resource_state::Request {
            type_name: name.to_owned(),
            identity: Some(schema.encode(&given(identity)?)?),
            ..pb::import_resource_state::Request::default()
        };
        self.imported(request).await
    }

    async fn imported(&self, request: pb::import_resource_state::Request) -> Answered<State> {
        let name = request.type_name.clone();
        let ty = self.server.resource_type(&name)?;
        let imported = answer(
            self.server
                .import_resource_state(Request::new(request))
                .await,
        )?;
        warnings(imported.diagnostics)?;
        let Some(first) = imported.imported_resources.into_iter().next() else {
            return Ok(State::none());
        };
        let state = State {
            value: decode(first.state.as_ref(), &ty)?,
            private: first.private,
            identity: first.identity,
        };
        self.refresh(&name, &state).await
    }

    /// The identity of an object, as Terraform keeps it; null where there is none.
    ///
    /// # Errors
    /// When it does not have the form of its schema.
    pub fn identity(&self, name: &str, state: &State) -> Answered<Value> {
        let schema = self.server.identity(name)?;
        let identity = schema.decode(state.identity.as_ref())?;
        Ok(identity.unwrap_or(Value::Null))
    }

    /// Adopts an object of another resource (`moved`): its first state, before the provider reads it.
    ///
    /// # Errors
    /// Why the provider could not adopt it.
    pub async fn move_state(&self, name: &str, source: &Source) -> Answered<State> {
        let raw = |state: &RawState| pb::RawState {
            json: state.to_json_text().into_bytes(),
            ..pb::RawState::default()
        };
        let request = pb::move_resource_state::Request {
            source_provider_address: source.provider.clone(),
            source_type_name: source.type_name.clone(),
            source_schema_version: source.schema_version,
            source_state: Some(raw(&source.state)),
            target_type_name: name.to_owned(),
            source_private: source.private.clone(),
            source_identity: source.identity.as_ref().map(raw),
            source_identity_schema_version: source.identity_version,
        };
        let moved = answer(self.server.move_resource_state(Request::new(request)).await)?;
        warnings(moved.diagnostics)?;
        Ok(State {
            value: decode(
                moved.target_state.as_ref(),
                &self.server.resource_type(name)?,
            )?,
            private: moved.target_private,
            identity: moved.target_identity,
        })
    }

    /// A state that an older version of the provider wrote, in the current form.
    ///
    /// # Errors
    /// Why it could not be brought into that form.
    pub async fn upgrade(
        &self,
        name: &str,
        version: i64,
        state: &impl Serialize,
    ) -> Answered<State> {
        let json = RawState::write(state)?.to_json_text();
        let request = pb::upgrade_resource_state::Request {
            type_name: name.to_owned(),
            version,
            raw_state: Some(pb::RawState {
                json: json.into_bytes(),
                ..pb::RawState::default()
            }),
        };
        let upgraded = answer(
            self.server
                .upgrade_resource_state(Request::new(request))
                .await,
        )?;
        warnings(upgraded.diagnostics)?;
        Ok(State {
            value: decode(
                upgraded.upgraded_state.as_ref(),
                &self.server.resource_type(name)?,
            )?,
            ..State::none()
        })
    }

    /// The configuration that Terraform writes for an object (`terraform plan -generate-config-out`).
    ///
    /// # Errors
    /// Why there is none.
    pub async fn written(&self, name: &str, state: &State) -> Answered<Value> {
        let ty = self.server.resource_type(name)?;
        let request = pb::generate_resource_config::Request {
            type_name: name.to_owned(),
            state: encode(&state.value, &ty)?,
        };
        let written = answer(
            self.server
                .generate_resource_config(Request::new(request))
                .await,
        )?;
        warnings(written.diagnostics)?;
        decode(written.config.as_ref(), &ty)
    }

    /// Reads a data source.
    ///
    /// # Errors
    /// Why it could not be read.
    pub async fn data(&self, name: &str, config: &impl Serialize) -> Answered<Value> {
        let ty = self.server.data_source_type(name)?;
        let request = pb::read_data_source::Request {
            type_name: name.to_owned(),
            config: encode(&given(config)?, &ty)?,
            provider_meta: self.meta.clone(),
            ..pb::read_data_source::Request::default()
        };
        let read = answer(self.server.read_data_source(Request::new(request)).await)?;
        warnings(read.diagnostics)?;
        decode(read.state.as_ref(), &ty)
    }

    /// Calls a function.
    ///
    /// # Errors
    /// Why it failed.
    pub async fn call(&self, name: &str, arguments: &[Value]) -> Answered<Value> {
        let signature = self.server.signature(name)?;
        let mut sent = Vec::new();
        for (index, argument) in arguments.iter().enumerate() {
            let parameter = signature
                .parameter(index)
                .ok_or_else(|| bug(format!("{name} has no argument {index}.")))?;
            sent.extend(encode(argument, &parameter.ty)?);
        }
        let request = pb::call_function::Request {
            name: name.to_owned(),
            arguments: sent,
        };
        let called = answer(self.server.call_function(Request::new(request)).await)?;
        match called.error {
            Some(error) => Err(Diagnostic::error("The function failed", error.text).into()),
            None => decode(called.result.as_ref(), &signature.result),
        }
    }

    /// Plans an action and does it: the lines that it showed.
    ///
    /// # Errors
    /// Why it was not planned or not done.
    pub async fn invoke(&self, name: &str, config: &impl Serialize) -> Answered<Vec<String>> {
        use pb::invoke_action::event::Type as Event;
        let config = encode(&given(config)?, &self.server.action_type(name)?)?;
        let request = pb::plan_action::Request {
            action_type: name.to_owned(),
            config: config.clone(),
            ..pb::plan_action::Request::default()
        };
        let planned = answer(self.server.plan_action(Request::new(request)).await)?;
        warnings(planned.diagnostics)?;
        let request = pb::invoke_action::Request {
            action_type: name.to_owned(),
            config,
            ..pb::invoke_action::Request::default()
        };
        let events = answer(self.server.invoke_action(Request::new(request)).await)?;
        let mut lines = Vec::new();
        for event in all(events).await? {
            match event.r#type {
                Some(Event::Progress(progress)) => lines.push(progress.message),
                Some(Event::Completed(completed)) => {
                    warnings(completed.diagnostics)?;
                }
                None => {}
            }
        }
        Ok(lines)
    }

    /// Lists the objects of a resource: their names and states.
    ///
    /// # Errors
    /// Why they could not be listed.
    pub async fn list(
        &self,
        name: &str,
        config: &impl Serialize,
        limit: u32,
    ) -> Answered<Vec<(String, Value)>> {
        let ty = self.server.resource_type(name)?;
        let request = pb::list_resource::Request {
            type_name: name.to_owned(),
            config: encode(&given(config)?, &self.server.list_type(name)?)?,
            include_resource_object: true,
            limit: limit.into(),
            ..pb::list_resource::Request::default()
        };
        let events = answer(self.server.list_resource(Request::new(request)).await)?;
        let mut objects = Vec::new();
        for event in all(events).await? {
            warnings(event.diagnostic)?;
            if let Some(object) = &event.resource_object {
                objects.push((event.display_name, decode(Some(object), &ty)?));
            }
        }
        Ok(objects)
    }

    /// Opens an ephemeral resource.
    ///
    /// # Errors
    /// Why it could not be opened.
    pub async fn open(&self, name: &str, config: &impl Serialize) -> Answered<Open> {
        let ty = self.server.ephemeral_type(name)?;
        let request = pb::open_ephemeral_resource::Request {
            type_name: name.to_owned(),
            config: encode(&given(config)?, &ty)?,
            ..pb::open_ephemeral_resource::Request::default()
        };
        let opened = answer(
            self.server
                .open_ephemeral_resource(Request::new(request))
                .await,
        )?;
        warnings(opened.diagnostics)?;
        Ok(Open {
            value: decode(opened.result.as_ref(), &ty)?,
            renew_at: opened.renew_at.and_then(|at| SystemTime::try_from(at).ok()),
            private: opened.private.unwrap_or_default(),
        })
    }

    /// Renews what was opened.
    ///
    /// # Errors
    /// Why it could not be renewed.
    pub async fn renew(&self, name: &str, open: Open) -> Answered<Open> {
        let request = pb::renew_ephemeral_resource::Request {
            type_name: name.to_owned(),
            private: Some(open.private),
        };
        let renewed = answer(
            self.server
                .renew_ephemeral_resource(Request::new(request))
                .await,
        )?;
        warnings(renewed.diagnostics)?;
        Ok(Open {
            renew_at: renewed
                .renew_at
                .and_then(|at| SystemTime::try_from(at).ok()),
            private: renewed.private.unwrap_or_default(),
            value: open.value,
        })
    }

    /// Closes what was opened.
    ///
    /// # Errors
    /// Why it could not be closed.
    pub async fn close(&self, name: &str, open: Open) -> Answered<Diagnostics> {
        let request = pb::close_ephemeral_resource::Request {
            type_name: name.to_owned(),
            private: Some(open.private),
        };
        let closed = answer(
            self.server
                .close_ephemeral_resource(Request::new(request))
                .await,
        )?;
        warnings(closed.diagnostics)
    }
}
