//! The generic behaviour of every resource, data source and function, over the RPCs as Terraform calls them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tonic::Request;

use super::Server;
use crate::action::{self, Action, Events};
use crate::bridge::Attr;
use crate::codec::{decode_optional, encode};
use crate::context::Context;
use crate::data_source::{self, DataSource};
use crate::deferral::{Deferral, Reason, Unfinished};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::function::{Function, FunctionError, Parameter, Signature};
use crate::identity::{Identity, IdentityAttribute};
use crate::proto::tfplugin6::{self as pb, provider_server::Provider as _};
use crate::provider::Provider;
use crate::resource::{self, Change, Import, Plan, Progress, Resource, Upgrades};
use crate::schema::{Attribute, Name, Schema};
use crate::types::Type;
use crate::value::Value;

struct Toys;

#[derive(Deserialize)]
struct Config {
    prefix: Attr<String>,
}

impl Provider for Toys {
    type Client = String;
    type Config = Config;

    fn name(&self) -> Name {
        "toys".into()
    }

    fn schema(&self) -> Schema {
        Schema::new("Toys.", vec![Attribute::string("prefix")])
    }

    async fn configure(
        &self,
        config: Config,
        _: crate::provider::Run,
    ) -> Result<(String, Diagnostics), Unfinished> {
        Ok((
            config.prefix.known().cloned().unwrap_or_default(),
            Diagnostics::new(),
        ))
    }

    fn resources(&self) -> Vec<resource::Registered<String>> {
        vec![resource::register(Ball)]
    }

    fn data_sources(&self) -> Vec<data_source::Registered<String>> {
        vec![data_source::register(Shelf)]
    }

    fn functions(&self) -> Vec<Box<dyn Function>> {
        vec![Box::new(Shout)]
    }

    fn actions(&self) -> Vec<action::Registered<String>> {
        vec![action::register(Throw)]
    }
}

/// An action that says what it does, and whose target says what goes wrong.
struct Throw;

#[derive(Deserialize)]
struct ThrowConfig {
    at: Attr<String>,
}

impl Action for Throw {
    type Client = String;
    type Config = ThrowConfig;

    fn name(&self) -> Name {
        "toys_throw".into()
    }

    fn schema(&self) -> Schema {
        Schema::new("Throws.", vec![Attribute::string("at").required()])
    }

    fn validate(&self, config: &ThrowConfig) -> Diagnostics {
        match config.at.known().map(String::as_str) {
            Some("itself") => Diagnostic::error("No", "It cannot.").on("at").into(),
            _ => Diagnostics::new(),
        }
    }

    async fn plan(&self, cx: &Context<String>, config: ThrowConfig) -> Result<(), Unfinished> {
        match config.at.known().map(String::as_str) {
            None => return Err(later(Diagnostics::new())),
            Some("a window") => cx.warn(Diagnostic::warning("Glass", "It may break.")),
            Some("nothing") => return Err(Diagnostic::error("Nothing there", "Aim.").into()),
            Some(_) => {}
        }
        Ok(())
    }

    async fn invoke(
        &self,
        cx: &Context<String>,
        config: ThrowConfig,
        events: &Events,
    ) -> Result<(), Unfinished> {
        let at = config.at.known().cloned().unwrap_or_default();
        events.say(format!("{}aims", cx.client()));
        tokio::task::yield_now().await;
        events.say(format!("throws at {at}"));
        match at.as_str() {
            "a wall" => panic!("as it says"),
            "nothing" => Err(Diagnostic::error("Nothing there", "Aim.").into()),
            _ => Ok(()),
        }
    }
}

/// A resource whose name says what goes wrong with it.
struct Ball;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Model {
    name: Attr<String>,
    size: Attr<String>,
    id: Attr<String>,
    secret: Attr<String>,
}

impl Resource for Ball {
    type Client = String;
    type Model = Model;

    fn name(&self) -> Name {
        "toys_ball".into()
    }

    fn identity(&self) -> Identity {
        Identity::new([IdentityAttribute::new("id", "the ID of the ball")])
    }

    fn schema(&self) -> Schema {
        let attributes = vec![
            Attribute::string("name").required(),
            Attribute::string("size").replaces(),
            Attribute::string("id").computed().stable(),
            Attribute::string("secret").sensitive(),
        ];
        Schema::new("A ball.", attributes).version(2)
    }

    async fn plan(
        &self,
        _: &Context<String>,
        _: &Change<Model>,
        plan: &mut Plan<Model>,
    ) -> Result<(), Unfinished> {
        match plan.model.name.known().map(String::as_str) {
            Some("panics-at-plan") => panic!("as its name says"),
            Some("renames-at-plan") => plan.model.name = Attr::Known("other".to_owned()),
            Some("waits-for-a-later-plan") => return Err(later(Diagnostics::new())),
            Some("leaks-at-plan") => plan.model.secret = Attr::Known("other".to_owned()),
            _ => {}
        }
        Ok(())
    }

    async fn create(
        &self,
        cx: &Context<String>,
        mut plan: Model,
        progress: &Progress<Model>,
    ) -> Result<Model, Unfinished> {
        let name = plan.name.known().cloned().unwrap_or_default();
        plan.id = Attr::Known(format!("{}{name}", cx.client()));
        cx.set_private("made", &true);
        match name.as_str() {
            "fails-half-way" => {
                progress.save(plan.clone());
                Err(Diagnostic::error("It broke", "Half of it is there.").into())
            }
            "fails-at-once" => Err(Diagnostic::error("It broke", "Nothing is there.").into()),
            "forgets-its-id" => Ok(Model {
                id: Attr::Unknown,
                ..plan
            }),
            "waits-for-stop" => {
                cx.stop().cancelled().await;
                Ok(plan)
            }
            _ => Ok(plan),
        }
    }

    async fn read(&self, cx: &Context<String>, state: Model) -> Result<Option<Model>, Unfinished> {
        assert_eq!(
            cx.private("made"),
            Ok(Some(true)),
            "private data comes back"
        );
        Ok((state.name.known().map(String::as_str) != Some("gone")).then_some(state))
    }

    async fn update(
        &self,
        _: &Context<String>,
        _: Model,
        _: Model,
        _: &Progress<Model>,
    ) -> Result<Model, Unfinished> {
        Err(Diagnostic::error("It cannot be changed", "It stays as it was.").into())
    }

    async fn delete(&self, _: &Context<String>, _: Model) -> Result<(), Unfinished> {
        Ok(())
    }

    async fn import_state(
        &self,
        _: &Context<String>,
        import: &Import,
    ) -> Result<Model, Unfinished> {
        let id = import.text();
        Ok(Model {
            name: Attr::Known(id.to_owned()),
            size: Attr::Null,
            id: Attr::Known(id.to_owned()),
            secret: Attr::Null,
        })
    }

    fn upgrades(&self) -> Upgrades {
        // Version 1 called it `label`.
        Upgrades::new().from(1, |mut old: BTreeMap<String, Value>| {
            let label = old.remove("label").unwrap_or(Value::Null);
            old.insert("name".to_owned(), label);
            Ok(old)
        })
    }
}

/// Defers an answer, because the provider's configuration is unknown.
fn later(otherwise: impl Into<Diagnostics>) -> Unfinished {
    Deferral::new(Reason::ProviderConfigUnknown, otherwise).into()
}

struct Shelf;

#[derive(Serialize, Deserialize)]
struct ShelfModel {
    at: String,
    holds: Attr<String>,
}

impl DataSource for Shelf {
    type Client = String;
    type Model = ShelfModel;

    fn name(&self) -> Name {
        "toys_shelf".into()
    }

    fn schema(&self) -> Schema {
        Schema::new(
            "A shelf.",
            vec![
                Attribute::string("at").required(),
                Attribute::string("holds").computed(),
            ],
        )
    }

    async fn read(
        &self,
        cx: &Context<String>,
        mut config: ShelfModel,
    ) -> Result<ShelfModel, Unfinished> {
        if config.at == "a-later-run" {
            return Err(later(Diagnostic::error(
                "Nobody can look",
                "The provider is not configured yet.",
            )));
        }
        config.holds = Attr::Known(format!("{}{}", cx.client(), config.at));
        Ok(config)
    }
}

struct Shout;

impl Function for Shout {
    fn name(&self) -> Name {
        "shout".into()
    }

    fn signature(&self) -> Signature {
        Signature::new(vec![Parameter::new("text", Type::String)], Type::String)
    }

    fn call(&self, arguments: &[Value]) -> Result<Value, FunctionError> {
        match arguments.first().and_then(Value::as_str) {
            Some("") => Err(FunctionError::new("There is nothing to shout.").argument(0)),
            text => Ok(Value::string(text.unwrap_or_default().to_uppercase())),
        }
    }
}

fn ty() -> Type {
    Ball.schema().ty()
}

fn ball(name: &str, size: Value, id: Value, secret: Value) -> Value {
    Value::map([
        ("name", Value::string(name)),
        ("size", size),
        ("id", id),
        ("secret", secret),
    ])
}

fn wire(value: &Value) -> Option<pb::DynamicValue> {
    Some(encode(value, &ty()).expect("a ball"))
}

fn back(value: Option<&pb::DynamicValue>) -> Value {
    decode_optional(value, &ty()).expect("a ball")
}

fn said(diagnostics: &[pb::Diagnostic]) -> String {
    diagnostics
        .iter()
        .map(|one| format!("{}: {}", one.summary, one.detail))
        .collect::<Vec<_>>()
        .join("\n")
}

async fn server() -> Server<Toys> {
    let server = Server::new(Toys, CancellationToken::new());
    let config = Value::map([("prefix", Value::string("p-"))]);
    let config = encode(&config, &Provider::schema(&Toys).ty()).expect("a configuration");
    let request = pb::configure_provider::Request {
        config: Some(config),
        ..Default::default()
    };
    let answer = server
        .configure_provider(Request::new(request))
        .await
        .expect("an answer")
        .into_inner();
    assert_eq!(said(&answer.diagnostics), "");
    server
}

async fn plan(
    server: &Server<Toys>,
    prior: &Value,
    config: &Value,
) -> pb::plan_resource_change::Response {
    let request = pb::plan_resource_change::Request {
        type_name: "toys_ball".to_owned(),
        prior_state: wire(prior),
        proposed_new_state: wire(config),
        config: wire(config),
        ..Default::default()
    };
    server
        .plan_resource_change(Request::new(request))
        .await
        .expect("an answer")
        .into_inner()
}

async fn apply(
    server: &Server<Toys>,
    prior: &Value,
    planned: &Value,
) -> pb::apply_resource_change::Response {
    let request = pb::apply_resource_change::Request {
        type_name: "toys_ball".to_owned(),
        prior_state: wire(prior),
        planned_state: wire(planned),
        ..Default::default()
    };
    server
        .apply_resource_change(Request::new(request))
        .await
        .expect("an answer")
        .into_inner()
}

#[tokio::test]
async fn a_resource_lives_from_plan_to_destroy() {
    let server = server().await;
    let config = ball("a", Value::Null, Value::Null, Value::Null);
    let planned = plan(&server, &Value::Null, &config).await;
    assert!(back(planned.planned_state.as_ref()).get("id").is_unknown());
    let applied = apply(&server, &Value::Null, &back(planned.planned_state.as_ref())).await;
    assert_eq!(said(&applied.diagnostics), "");
    let state = back(applied.new_state.as_ref());
    assert_eq!(state.get("id"), &Value::string("p-a"));

    let request = pb::read_resource::Request {
        type_name: "toys_ball".to_owned(),
        current_state: wire(&state),
        private: applied.private.clone(),
        ..Default::default()
    };
    let read = server
        .read_resource(Request::new(request))
        .await
        .expect("an answer")
        .into_inner();
    assert_eq!(back(read.new_state.as_ref()), state);

    assert_eq!(
        back(plan(&server, &state, &config).await.planned_state.as_ref()),
        state,
        "nothing to do"
    );
    let bigger = ball("a", Value::string("xl"), Value::Null, Value::Null);
    let replaced = plan(&server, &state, &bigger).await;
    assert_eq!(replaced.requires_replace.len(), 1);

    let failed = apply(&server, &state, &bigger).await;
    assert_eq!(
        said(&failed.diagnostics),
        "It cannot be changed: It stays as it was."
    );
    assert_eq!(
        back(failed.new_state.as_ref()),
        state,
        "a failed change loses nothing"
    );

    let destroyed = apply(&server, &state, &Value::Null).await;
    assert!(back(destroyed.new_state.as_ref()).is_null());
}

#[tokio::test]
async fn what_would_break_terraforms_rules_is_reported_as_our_bug() {
    let server = server().await;
    let rows = [
        (
            "renames-at-plan",
            "name is configured as \"renames-at-plan\" but was planned as \"other\"",
        ),
        (
            "leaks-at-plan",
            "secret is configured as (sensitive) but was planned as (sensitive)",
        ),
        (
            "panics-at-plan",
            "PlanResourceChange ended without an answer",
        ),
    ];
    for (name, words) in rows {
        let config = ball(name, Value::Null, Value::Null, Value::string("hush-hush"));
        let answer = plan(&server, &Value::Null, &config).await;
        let text = said(&answer.diagnostics);
        assert!(
            text.contains("This is a bug in the") && text.contains(words),
            "{text}"
        );
        assert!(!text.contains("hush-hush"), "{text}");
    }
    let planned = ball("forgets-its-id", Value::Null, Value::unknown(), Value::Null);
    let answer = apply(&server, &Value::Null, &planned).await;
    assert!(said(&answer.diagnostics).contains("id is still unknown after apply"));
    assert!(back(answer.new_state.as_ref()).is_wholly_known());
}

#[tokio::test]
async fn what_is_already_true_survives_a_failure() {
    let server = server().await;
    let planned = |name| ball(name, Value::Null, Value::unknown(), Value::Null);
    let answer = apply(&server, &Value::Null, &planned("fails-half-way")).await;
    assert_eq!(
        back(answer.new_state.as_ref()).get("id"),
        &Value::string("p-fails-half-way")
    );
    assert!(said(&answer.diagnostics).contains("It broke"));
    let answer = apply(&server, &Value::Null, &planned("fails-at-once")).await;
    assert!(back(answer.new_state.as_ref()).is_null());
}

#[tokio::test]
async fn stopping_reaches_what_is_under_way() {
    let server = server().await;
    let planned = ball("waits-for-stop", Value::Null, Value::unknown(), Value::Null);
    let prior = Value::Null;
    let (applied, _) = tokio::join!(apply(&server, &prior, &planned), async {
        tokio::task::yield_now().await;
        server
            .stop_provider(Request::new(pb::stop_provider::Request {}))
            .await
    });
    assert_eq!(said(&applied.diagnostics), "");
}

#[tokio::test]
async fn old_states_are_upgraded_and_odd_ones_refused() {
    let server = server().await;
    let upgrade = async |version, json: serde_json::Value| {
        let raw = pb::RawState {
            json: json.to_string().into_bytes(),
            ..Default::default()
        };
        let request = pb::upgrade_resource_state::Request {
            type_name: "toys_ball".to_owned(),
            version,
            raw_state: Some(raw),
        };
        server
            .upgrade_resource_state(Request::new(request))
            .await
            .expect("an answer")
            .into_inner()
    };
    let answer = upgrade(1, json!({"label": "a", "id": "7", "gone": true})).await;
    assert_eq!(
        back(answer.upgraded_state.as_ref()),
        ball("a", Value::Null, Value::string("7"), Value::Null)
    );
    let answer = upgrade(2, json!({"name": 7})).await;
    assert!(said(&answer.diagnostics).contains("The state of toys_ball cannot be read"));
}

#[tokio::test]
async fn data_sources_and_functions_answer() {
    let server = server().await;
    let shelf = Shelf.schema().ty();
    let config = Value::map([("at", Value::string("left")), ("holds", Value::Null)]);
    let request = pb::read_data_source::Request {
        type_name: "toys_shelf".to_owned(),
        config: Some(encode(&config, &shelf).expect("a shelf")),
        ..Default::default()
    };
    let answer = server
        .read_data_source(Request::new(request))
        .await
        .expect("an answer")
        .into_inner();
    assert_eq!(
        decode_optional(answer.state.as_ref(), &shelf)
            .expect("a shelf")
            .get("holds"),
        &Value::string("p-left")
    );

    let call = async |text: &str| {
        let argument = encode(&Value::string(text), &Type::String).expect("text");
        let request = pb::call_function::Request {
            name: "shout".to_owned(),
            arguments: vec![argument],
        };
        server
            .call_function(Request::new(request))
            .await
            .expect("an answer")
            .into_inner()
    };
    let answer = call("hey").await;
    assert_eq!(
        decode_optional(answer.result.as_ref(), &Type::String).expect("text"),
        Value::string("HEY")
    );
    assert_eq!(
        call("")
            .await
            .error
            .and_then(|error| error.function_argument),
        Some(0)
    );
    // OpenTofu sends null as a message with nothing in it.
    let request = pb::call_function::Request {
        name: "shout".to_owned(),
        arguments: vec![pb::DynamicValue::default()],
    };
    let answer = server.call_function(Request::new(request)).await;
    let refused = answer.expect("an answer").into_inner().error;
    assert_eq!(
        refused.map(|error| (error.text, error.function_argument)),
        Some(("The argument must not be null".to_owned(), Some(0)))
    );
}

/// What an action said, line by line, and how it ended.
async fn invoked(server: &Server<Toys>, action: &str, config: &Value) -> (Vec<String>, String) {
    use pb::invoke_action::event::Type::{Completed, Progress};
    use tokio_stream::StreamExt as _;
    let request = pb::invoke_action::Request {
        action_type: action.to_owned(),
        config: Some(encode(config, &Throw.schema().ty()).expect("a configuration")),
        ..Default::default()
    };
    let mut events = server
        .invoke_action(Request::new(request))
        .await
        .expect("a stream")
        .into_inner();
    let (mut lines, mut ends) = (Vec::new(), Vec::new());
    while let Some(event) = events.next().await {
        match event.expect("an event").r#type {
            Some(Progress(one)) => lines.push(one.message),
            Some(Completed(one)) => ends.push(said(&one.diagnostics)),
            None => panic!("an event that says nothing"),
        }
    }
    assert_eq!(ends.len(), 1, "an action ends once");
    (lines, ends.concat())
}

#[tokio::test]
async fn an_action_is_checked_planned_and_done() {
    let server = server().await;
    let at = |target: &str| Value::map([("at", Value::string(target))]);
    let wire = |value: &Value| Some(encode(value, &Throw.schema().ty()).expect("a config"));
    let validated = async |value: &Value| {
        let request = pb::validate_action_config::Request {
            action_type: "toys_throw".to_owned(),
            config: wire(value),
        };
        let answer = server.validate_action_config(Request::new(request)).await;
        said(&answer.expect("an answer").into_inner().diagnostics)
    };
    assert_eq!(validated(&at("a wall")).await, "");
    assert_eq!(validated(&at("itself")).await, "No: It cannot.");

    let planned = async |value: &Value, deferral_allowed: bool| {
        let request = pb::plan_action::Request {
            action_type: "toys_throw".to_owned(),
            config: wire(value),
            client_capabilities: Some(pb::ClientCapabilities {
                deferral_allowed,
                ..Default::default()
            }),
        };
        let answer = server.plan_action(Request::new(request)).await;
        let answer = answer.expect("an answer").into_inner();
        (said(&answer.diagnostics), answer.deferred.is_some())
    };
    let unknown = Value::map([("at", Value::unknown())]);
    assert_eq!(
        planned(&at("a window"), true).await,
        ("Glass: It may break.".to_owned(), false)
    );
    assert_eq!(
        planned(&at("nothing"), true).await,
        ("Nothing there: Aim.".to_owned(), false)
    );
    assert_eq!(planned(&unknown, true).await, (String::new(), true));
    assert_eq!(planned(&unknown, false).await, (String::new(), false));

    let lines = |target: &str| vec!["p-aims".to_owned(), format!("throws at {target}")];
    let done = invoked(&server, "toys_throw", &at("the sea")).await;
    assert_eq!(done, (lines("the sea"), String::new()));
    let failed = invoked(&server, "toys_throw", &at("nothing")).await;
    assert_eq!(failed, (lines("nothing"), "Nothing there: Aim.".to_owned()));
    let (said, end) = invoked(&server, "toys_throw", &at("a wall")).await;
    assert_eq!(said, lines("a wall"));
    assert!(
        end.contains("InvokeAction ended without an answer"),
        "{end}"
    );
    let (_, end) = invoked(&server, "toys_nothing", &at("the sea")).await;
    assert!(
        end.contains("The provider has no action \"toys_nothing\""),
        "{end}"
    );
}

#[tokio::test]
async fn what_is_not_offered_is_a_diagnostic_and_never_a_grpc_error() {
    let server = server().await;
    let name = || "toys_nothing".to_owned();
    let ephemeral = pb::open_ephemeral_resource::Request {
        type_name: name(),
        ..Default::default()
    };
    let answer = server
        .open_ephemeral_resource(Request::new(ephemeral))
        .await
        .expect("an answer")
        .into_inner();
    assert!(
        said(&answer.diagnostics)
            .contains("The provider has no ephemeral resource \"toys_nothing\"")
    );
    let action = pb::plan_action::Request {
        action_type: name(),
        ..Default::default()
    };
    let answer = server
        .plan_action(Request::new(action))
        .await
        .expect("an answer")
        .into_inner();
    assert!(said(&answer.diagnostics).contains("The provider has no action"));
    let moved = pb::move_resource_state::Request {
        target_type_name: "toys_ball".to_owned(),
        source_state: Some(pb::RawState {
            json: b"{}".to_vec(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let answer = server
        .move_resource_state(Request::new(moved))
        .await
        .expect("an answer")
        .into_inner();
    assert!(said(&answer.diagnostics).contains("cannot be moved"));
    let plan = pb::plan_resource_change::Request {
        type_name: name(),
        ..Default::default()
    };
    let answer = server
        .plan_resource_change(Request::new(plan))
        .await
        .expect("an answer")
        .into_inner();
    assert!(
        said(&answer.diagnostics).contains("The provider has no resource type \"toys_nothing\"")
    );
    let identities = server
        .get_resource_identity_schemas(Request::new(Default::default()))
        .await
        .expect("an answer");
    assert!(identities.into_inner().diagnostics.is_empty());
}

#[tokio::test]
async fn hostile_bytes_are_answered_with_a_diagnostic() {
    let server = server().await;
    let request = pb::validate_resource_config::Request {
        type_name: "toys_ball".to_owned(),
        config: Some(pb::DynamicValue {
            msgpack: vec![0xdf, 0xff, 0xff, 0xff, 0xff],
            json: Vec::new(),
        }),
        client_capabilities: None,
    };
    let answer = server
        .validate_resource_config(Request::new(request))
        .await
        .expect("an answer")
        .into_inner();
    assert!(
        said(&answer.diagnostics)
            .contains("Terraform sent a configuration that the provider cannot read")
    );
}

#[tokio::test]
async fn a_change_is_put_off_only_where_terraform_allows_it() {
    let server = server().await;
    let config = ball(
        "waits-for-a-later-plan",
        Value::Null,
        Value::Null,
        Value::Null,
    );
    let request = |deferral_allowed| pb::plan_resource_change::Request {
        type_name: "toys_ball".to_owned(),
        prior_state: wire(&Value::Null),
        proposed_new_state: wire(&config),
        config: wire(&config),
        client_capabilities: Some(pb::ClientCapabilities {
            deferral_allowed,
            write_only_attributes_allowed: false,
        }),
        ..Default::default()
    };
    let answer = server
        .plan_resource_change(Request::new(request(true)))
        .await
        .expect("an answer")
        .into_inner();
    assert_eq!(said(&answer.diagnostics), "");
    let reason = answer.deferred.map(|deferred| deferred.reason);
    assert_eq!(
        reason,
        Some(pb::deferred::Reason::ProviderConfigUnknown.into())
    );
    let answer = server
        .plan_resource_change(Request::new(request(false)))
        .await
        .expect("an answer")
        .into_inner();
    assert!(answer.deferred.is_none() && answer.planned_state.is_some());
}

#[tokio::test]
async fn data_is_put_off_only_where_terraform_allows_it() {
    let server = server().await;
    let ty = Type::object([("at", Type::String), ("holds", Type::String)]);
    let config = Value::map([("at", Value::string("a-later-run")), ("holds", Value::Null)]);
    let request = |deferral_allowed| pb::read_data_source::Request {
        type_name: "toys_shelf".to_owned(),
        config: Some(encode(&config, &ty).expect("a shelf")),
        client_capabilities: Some(pb::ClientCapabilities {
            deferral_allowed,
            write_only_attributes_allowed: false,
        }),
        ..Default::default()
    };
    let answer = server
        .read_data_source(Request::new(request(true)))
        .await
        .expect("an answer")
        .into_inner();
    assert!(answer.deferred.is_some() && answer.diagnostics.is_empty());
    assert!(
        decode_optional(answer.state.as_ref(), &ty)
            .expect("a shelf")
            .is_unknown()
    );
    let answer = server
        .read_data_source(Request::new(request(false)))
        .await
        .expect("an answer")
        .into_inner();
    assert!(answer.deferred.is_none() && said(&answer.diagnostics).contains("Nobody can look"));
}

#[tokio::test]
async fn an_identity_goes_with_the_object_and_comes_back_by_import() {
    let server = server().await;
    let schemas = server
        .get_resource_identity_schemas(Request::new(Default::default()))
        .await
        .expect("an answer")
        .into_inner();
    let identity = schemas
        .identity_schemas
        .get("toys_ball")
        .expect("an identity");
    assert_eq!(
        identity
            .identity_attributes
            .iter()
            .map(|one| one.name.as_str())
            .collect::<Vec<_>>(),
        ["id"]
    );
    let planned = plan(
        &server,
        &Value::Null,
        &ball("red", Value::Null, Value::Null, Value::Null),
    )
    .await;
    assert!(
        planned.planned_identity.is_none(),
        "its ID is not known yet"
    );
    let raw = pb::upgrade_resource_identity::Request {
        type_name: "toys_ball".to_owned(),
        version: 0,
        raw_identity: Some(pb::RawState {
            json: br#"{"id":"7"}"#.to_vec(),
            ..Default::default()
        }),
    };
    let upgraded = server
        .upgrade_resource_identity(Request::new(raw))
        .await
        .expect("an answer")
        .into_inner();
    let import = pb::import_resource_state::Request {
        type_name: "toys_ball".to_owned(),
        identity: upgraded.upgraded_identity.clone(),
        ..Default::default()
    };
    let imported = server
        .import_resource_state(Request::new(import))
        .await
        .expect("an answer")
        .into_inner();
    assert_eq!(said(&imported.diagnostics), "");
    assert_eq!(
        imported
            .imported_resources
            .first()
            .and_then(|one| one.identity.clone()),
        upgraded.upgraded_identity
    );
}
