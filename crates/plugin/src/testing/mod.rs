//! A provider served within a test: every call goes through the codecs and the rules that Terraform's calls go through, without
//! Terraform.
//!
//! ```no_run
//! # async fn test(provider: impl tfplugin::provider::Provider) -> Result<(), tfplugin::diagnostics::Diagnostics> {
//! use tfplugin::testing::{State, TestServer};
//! use tfplugin::value::Value;
//!
//! let server = TestServer::start(provider, Value::map::<&str>([])).await?;
//! let config = Value::map([("name", Value::string("a"))]);
//! let made = server.apply("toys_ball", &State::none(), &config).await?;
//! assert_eq!(made.get("name"), &Value::string("a"));
//! # Ok(())
//! # }
//! ```

mod rules;
pub mod terraform;

use std::time::SystemTime;

use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::codec::{self, CodecError};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::path::Path;
use crate::proto::tfplugin6::{self as pb, provider_server::Provider as Rpc};
use crate::provider::Provider;
use crate::server::Server;
use crate::types::Type;
use crate::value::Value;

/// A state and its private data, as Terraform keeps them.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    value: Value,
    private: Vec<u8>,
}

impl State {
    /// No object.
    pub fn none() -> Self {
        Self {
            value: Value::Null,
            private: Vec::new(),
        }
    }

    /// The state as a value.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// An attribute by its dotted path, or null.
    pub fn get(&self, dotted: &str) -> &Value {
        self.value.at(dotted)
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
    /// The planned state.
    pub state: Value,
    /// The attributes that ask for another object.
    pub replace: Vec<Path>,
    /// What was said beside.
    pub warnings: Diagnostics,
    private: Vec<u8>,
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
pub struct TestServer<P: Provider>(Server<P>);

type Answered<T> = Result<T, Diagnostics>;

fn bug(what: impl std::fmt::Display) -> Diagnostics {
    Diagnostic::error("The test cannot go on", what.to_string()).into()
}

fn answer<T>(answer: Result<Response<T>, Status>) -> Answered<T> {
    answer.map(Response::into_inner).map_err(bug)
}

/// The warnings among what was said; with an error, everything is one.
fn warnings(said: Vec<pb::Diagnostic>) -> Answered<Diagnostics> {
    let said = Diagnostics::from_proto(said);
    if said.has_errors() {
        Err(said)
    } else {
        Ok(said)
    }
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
    /// What the provider says about its configuration.
    pub async fn start(provider: P, config: Value) -> Answered<Self> {
        let ty = provider.schema().ty();
        let server = Server::new(provider, CancellationToken::new());
        let config = encode(&config, &ty)?;
        let request = pb::validate_provider_config::Request {
            config: config.clone(),
        };
        let validated = answer(server.validate_provider_config(Request::new(request)).await)?;
        warnings(validated.diagnostics)?;
        let request = pb::configure_provider::Request {
            config,
            terraform_version: "1.15.0".to_owned(),
            ..pb::configure_provider::Request::default()
        };
        let configured = answer(server.configure_provider(Request::new(request)).await)?;
        warnings(configured.diagnostics)?;
        Ok(Self(server))
    }

    /// Offline checks of the configuration of a resource: the warnings.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn validate(&self, name: &str, config: &Value) -> Answered<Diagnostics> {
        let request = pb::validate_resource_config::Request {
            type_name: name.to_owned(),
            config: encode(config, &self.0.resource_type(name)?)?,
            ..pb::validate_resource_config::Request::default()
        };
        let validated = answer(self.0.validate_resource_config(Request::new(request)).await)?;
        warnings(validated.diagnostics)
    }

    /// Plans what a configuration asks for; `Value::Null` asks for a destruction.
    ///
    /// # Errors
    /// Why it cannot be planned.
    pub async fn plan(&self, name: &str, prior: &State, config: &Value) -> Answered<Planned> {
        let ty = self.0.resource_type(name)?;
        let config = encode(config, &ty)?;
        let request = pb::plan_resource_change::Request {
            type_name: name.to_owned(),
            prior_state: encode(&prior.value, &ty)?,
            proposed_new_state: config.clone(),
            config,
            prior_private: prior.private.clone(),
            ..pb::plan_resource_change::Request::default()
        };
        let planned = answer(self.0.plan_resource_change(Request::new(request)).await)?;
        Ok(Planned {
            warnings: warnings(planned.diagnostics)?,
            state: decode(planned.planned_state.as_ref(), &ty)?,
            replace: planned
                .requires_replace
                .into_iter()
                .map(Path::from_proto)
                .collect(),
            private: planned.planned_private,
        })
    }

    /// Carries a plan out. What asks for another object destroys first, as Terraform does.
    ///
    /// # Errors
    /// Why it could not be carried out.
    pub async fn carry_out(&self, name: &str, prior: &State, plan: &Planned) -> Answered<State> {
        let ty = self.0.resource_type(name)?;
        let request = pb::apply_resource_change::Request {
            type_name: name.to_owned(),
            prior_state: encode(&prior.value, &ty)?,
            planned_state: encode(&plan.state, &ty)?,
            planned_private: plan.private.clone(),
            ..pb::apply_resource_change::Request::default()
        };
        let applied = answer(self.0.apply_resource_change(Request::new(request)).await)?;
        warnings(applied.diagnostics)?;
        Ok(State {
            value: decode(applied.new_state.as_ref(), &ty)?,
            private: applied.private,
        })
    }

    /// Plans a configuration and carries the plan out: with `Value::Null`, a destruction.
    ///
    /// # Errors
    /// Why it could not be done.
    pub async fn apply(&self, name: &str, prior: &State, config: &Value) -> Answered<State> {
        let plan = self.plan(name, prior, config).await?;
        if plan.replace.is_empty() {
            return self.carry_out(name, prior, &plan).await;
        }
        let destroy = self.plan(name, prior, &Value::Null).await?;
        self.carry_out(name, prior, &destroy).await?;
        let create = self.plan(name, &State::none(), config).await?;
        self.carry_out(name, &State::none(), &create).await
    }

    /// Looks at an object.
    ///
    /// # Errors
    /// Why it could not be read.
    pub async fn refresh(&self, name: &str, state: &State) -> Answered<State> {
        let ty = self.0.resource_type(name)?;
        let request = pb::read_resource::Request {
            type_name: name.to_owned(),
            current_state: encode(&state.value, &ty)?,
            private: state.private.clone(),
            ..pb::read_resource::Request::default()
        };
        let read = answer(self.0.read_resource(Request::new(request)).await)?;
        warnings(read.diagnostics)?;
        Ok(State {
            value: decode(read.new_state.as_ref(), &ty)?,
            private: read.private,
        })
    }

    /// A state from an id, as Terraform has it after an import: read once.
    ///
    /// # Errors
    /// Why it could not be imported.
    pub async fn import(&self, name: &str, id: &str) -> Answered<State> {
        let ty = self.0.resource_type(name)?;
        let request = pb::import_resource_state::Request {
            type_name: name.to_owned(),
            id: id.to_owned(),
            ..pb::import_resource_state::Request::default()
        };
        let imported = answer(self.0.import_resource_state(Request::new(request)).await)?;
        warnings(imported.diagnostics)?;
        let Some(first) = imported.imported_resources.into_iter().next() else {
            return Ok(State::none());
        };
        let state = State {
            value: decode(first.state.as_ref(), &ty)?,
            private: first.private,
        };
        self.refresh(name, &state).await
    }

    /// Reads a data source.
    ///
    /// # Errors
    /// Why it could not be read.
    pub async fn data(&self, name: &str, config: &Value) -> Answered<Value> {
        let ty = self.0.data_source_type(name)?;
        let request = pb::read_data_source::Request {
            type_name: name.to_owned(),
            config: encode(config, &ty)?,
            ..pb::read_data_source::Request::default()
        };
        let read = answer(self.0.read_data_source(Request::new(request)).await)?;
        warnings(read.diagnostics)?;
        decode(read.state.as_ref(), &ty)
    }

    /// Calls a function.
    ///
    /// # Errors
    /// Why it failed.
    pub async fn call(&self, name: &str, arguments: &[Value]) -> Answered<Value> {
        let signature = self.0.signature(name)?;
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
        let called = answer(self.0.call_function(Request::new(request)).await)?;
        match called.error {
            Some(error) => Err(Diagnostic::error("The function failed", error.text).into()),
            None => decode(called.result.as_ref(), &signature.result),
        }
    }

    /// Plans an action and does it: the lines that it showed.
    ///
    /// # Errors
    /// Why it was not planned or not done.
    pub async fn invoke(&self, name: &str, config: &Value) -> Answered<Vec<String>> {
        use pb::invoke_action::event::Type as Event;
        let config = encode(config, &self.0.action_type(name)?)?;
        let request = pb::plan_action::Request {
            action_type: name.to_owned(),
            config: config.clone(),
            ..pb::plan_action::Request::default()
        };
        let planned = answer(self.0.plan_action(Request::new(request)).await)?;
        warnings(planned.diagnostics)?;
        let request = pb::invoke_action::Request {
            action_type: name.to_owned(),
            config,
            ..pb::invoke_action::Request::default()
        };
        let events = answer(self.0.invoke_action(Request::new(request)).await)?;
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
        config: &Value,
        limit: u32,
    ) -> Answered<Vec<(String, Value)>> {
        let ty = self.0.resource_type(name)?;
        let request = pb::list_resource::Request {
            type_name: name.to_owned(),
            config: encode(config, &self.0.list_type(name)?)?,
            include_resource_object: true,
            limit: limit.into(),
            ..pb::list_resource::Request::default()
        };
        let events = answer(self.0.list_resource(Request::new(request)).await)?;
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
    pub async fn open(&self, name: &str, config: &Value) -> Answered<Open> {
        let ty = self.0.ephemeral_type(name)?;
        let request = pb::open_ephemeral_resource::Request {
            type_name: name.to_owned(),
            config: encode(config, &ty)?,
            ..pb::open_ephemeral_resource::Request::default()
        };
        let opened = answer(self.0.open_ephemeral_resource(Request::new(request)).await)?;
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
        let renewed = answer(self.0.renew_ephemeral_resource(Request::new(request)).await)?;
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
        let closed = answer(self.0.close_ephemeral_resource(Request::new(request)).await)?;
        warnings(closed.diagnostics)
    }
}
