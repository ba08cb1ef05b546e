//! The corners of the protocol, each with what Terraform demands there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[allow(dead_code, reason = "an example has a main function")]
#[path = "../examples/corner.rs"]
mod corner;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tfplugin::path::Path;
use tfplugin::prelude::*;
use tfplugin::provider::Capabilities;
use tfplugin::testing::{State, TestServer};

use self::corner::Corner;

/// The error that a call ended with.
fn error<T: std::fmt::Debug>(ended: Result<T, Diagnostics>) -> Diagnostic {
    ended.expect_err("it fails").iter().next().unwrap().clone()
}

async fn server() -> TestServer<Corner> {
    TestServer::start(Corner, &json!({})).await.unwrap()
}

fn typed(ty: Type, value: impl Into<Value>) -> Value {
    Value::Dynamic(Box::new((ty, value.into())))
}

fn number(text: &str) -> Value {
    Value::Number(text.parse().unwrap())
}

const KEPT: &str = "corner_kept";

/// A configuration with one attribute.
fn kept(name: &str, value: Value) -> Value {
    Value::map([(name, value), ("rule", Value::List(vec![]))])
}

#[tokio::test]
async fn a_value_of_any_type_is_kept_with_its_type() {
    let server = server().await;
    let one_and_two = || Value::List(vec![1.into(), "two".into()]);
    for any in [
        typed(Type::String, "x"),
        typed(Type::Bool, true),
        typed(Type::Number, number("0.1")),
        typed(Type::list(Type::String), vec!["b", "a"]),
        typed(Type::set(Type::String), vec!["a", "b"]),
        typed(Type::map(Type::Number), Value::map([("k", 1.into())])),
        typed(Type::Tuple(vec![Type::Number, Type::String]), one_and_two()),
        typed(
            Type::object([("n", Type::String)]),
            Value::map([("n", Value::Null)]),
        ),
        typed(Type::String, Value::Null),
        Value::Null,
    ] {
        let made = server
            .apply(KEPT, &State::none(), &kept("any", any.clone()))
            .await
            .unwrap();
        assert_eq!(made.get("any"), &any);
        if !any.is_null() {
            assert_eq!(
                made.get("copy"),
                &any,
                "what is computed has the type as well"
            );
        }
        assert_eq!(
            server.refresh(KEPT, &made).await.unwrap().value(),
            made.value()
        );
        let again = server
            .plan(KEPT, &made, &kept("any", any.clone()))
            .await
            .unwrap();
        assert_eq!(&again.state, made.value(), "nothing to do");
        let object = Value::map([("any", any.clone())]);
        let inside = server
            .apply(KEPT, &State::none(), &kept("object", object))
            .await
            .unwrap();
        assert_eq!(inside.get("object").get("any"), &any);
    }
}

#[tokio::test]
async fn a_value_of_any_type_may_change_its_type_and_be_unknown() {
    let server = server().await;
    let text = kept("any", typed(Type::String, "x"));
    let made = server.apply(KEPT, &State::none(), &text).await.unwrap();
    let other = kept("any", typed(Type::Number, 7));
    let changed = server.apply(KEPT, &made, &other).await.unwrap();
    assert_eq!(changed.get("copy"), &typed(Type::Number, 7));
    for unknown in [
        Value::unknown(),
        typed(Type::String, Value::unknown()),
        typed(
            Type::Tuple(vec![Type::String, Type::String]),
            Value::List(vec!["a".into(), Value::unknown()]),
        ),
    ] {
        let planned = server
            .plan(KEPT, &made, &kept("any", unknown.clone()))
            .await
            .unwrap();
        assert_eq!(planned.state.get("any"), &unknown);
    }
}

/// Each row: an attribute, and numbers that it keeps to the last digit.
#[tokio::test]
async fn no_number_loses_a_digit() {
    let server = server().await;
    let rows: [(&str, &[&str]); 5] = [
        (
            "ratio",
            &[
                "0.1",
                "1234.5",
                "-0.000001",
                "0.01000000000000000000000000000000001",
                "1e300",
                "7",
            ],
        ),
        (
            "small",
            &["0.1", "1234.5", "340282346638528859811704183484516925440"],
        ),
        (
            "exact",
            &["0.1", "123456789012345678901234567890.123456789", "-7"],
        ),
        ("big", &["18446744073709551615", "9223372036854775808", "0"]),
        ("port", &["0", "65535"]),
    ];
    for (attribute, numbers) in rows {
        for text in numbers {
            let config = kept(attribute, number(text));
            let made = server.apply(KEPT, &State::none(), &config).await.unwrap();
            assert_eq!(made.get(attribute), &number(text), "{attribute}");
            let read = server.refresh(KEPT, &made).await.unwrap();
            assert_eq!(read.value(), made.value());
        }
    }
    // A number that the model has no place for is the user's to change, with its attribute.
    for (attribute, text) in [
        ("port", "65536"),
        ("port", "1.5"),
        ("big", "-1"),
        ("ratio", "1e400"),
        ("small", "1e39"),
    ] {
        let refused = error(server.validate(KEPT, &kept(attribute, number(text))).await);
        assert_eq!(
            (refused.summary.as_str(), &refused.path),
            ("Value out of range", &Path::of(attribute))
        );
    }
}

#[tokio::test]
async fn an_element_may_be_null_where_the_model_has_a_place_for_it() {
    let server = server().await;
    let texts = || Value::List(vec!["a".into(), Value::Null]);
    let made = server
        .apply(KEPT, &State::none(), &kept("texts", texts()))
        .await
        .unwrap();
    assert_eq!(made.get("texts"), &texts());
    for (attribute, value) in [
        ("plain", texts()),
        ("triggers", Value::map([("a", Value::Null)])),
    ] {
        let refused = error(server.validate(KEPT, &kept(attribute, value)).await);
        assert_eq!(refused.summary, "Null value in a list");
        assert_eq!(refused.path, Path::of(attribute));
    }
}

#[tokio::test]
async fn an_element_may_be_unknown_for_a_model_of_plain_values() {
    let server = server().await;
    for (attribute, value) in [
        (
            "triggers",
            Value::map([("a", Value::unknown()), ("b", "x".into())]),
        ),
        ("plain", Value::List(vec!["x".into(), Value::unknown()])),
        ("texts", Value::List(vec![Value::unknown(), Value::Null])),
    ] {
        let config = kept(attribute, value.clone());
        server.validate(KEPT, &config).await.unwrap();
        let planned = server.plan(KEPT, &State::none(), &config).await.unwrap();
        assert!(!planned.state.get(attribute).is_wholly_known());
        let known = |value: &Value| match value {
            Value::Map(entries) => entries.values().filter(|one| one.is_wholly_known()).count(),
            value => value
                .as_list()
                .iter()
                .filter(|one| one.is_wholly_known())
                .count(),
        };
        assert_eq!(
            known(planned.state.get(attribute)),
            1,
            "the known parts stay in the plan"
        );
    }
    // The blocks of a `dynamic` block over a list that is not known.
    let config = Value::map([("rule", Value::unknown())]);
    server.validate(KEPT, &config).await.unwrap();
    assert!(
        server
            .plan(KEPT, &State::none(), &config)
            .await
            .unwrap()
            .state
            .get("rule")
            .is_unknown()
    );
}

#[tokio::test]
async fn a_module_can_speak_to_the_provider() {
    let server = server()
        .await
        .with_meta(&json!({"module": "network"}))
        .unwrap();
    let made = server
        .apply(KEPT, &State::none(), &kept("port", 1.into()))
        .await
        .unwrap();
    assert_eq!(made.get("copy").as_str(), Some("network"));
}

#[tokio::test]
async fn a_stable_object_stays_while_something_else_changes() {
    let server = server().await;
    let made = server
        .apply(KEPT, &State::none(), &kept("port", 1.into()))
        .await
        .unwrap();
    let planned = server
        .plan(KEPT, &made, &kept("port", 2.into()))
        .await
        .unwrap();
    assert_eq!(planned.state.get("made").get("id").as_str(), Some("1"));
    let changed = server.carry_out(KEPT, &made, &planned).await.unwrap();
    assert_eq!(changed.get("made.id").as_str(), Some("1"));
}

const SECRET: &str = "corner_secret";

#[tokio::test]
async fn what_is_write_only_reaches_create_and_update_and_stays_nowhere() {
    let server = server().await;
    let config = |name: &str| json!({"name": name, "password_wo": "s3cret", "inside": {"token_wo": "t0ken"}});
    let planned = server
        .plan(SECRET, &State::none(), &config("a"))
        .await
        .unwrap();
    let made = server
        .carry_out(SECRET, &State::none(), &planned)
        .await
        .unwrap();
    assert_eq!(made.get("length"), &6.into(), "create saw it");
    let changed = json!({"name": "b", "password_wo": "longer-one"});
    let changed = server.apply(SECRET, &made, &changed).await.unwrap();
    assert_eq!(changed.get("length"), &10.into(), "update saw it");
    let read = server.refresh(SECRET, &made).await.unwrap();
    let imported = server.import(SECRET, "a").await.unwrap();
    let source = RawState::from_json_text(r#"{"name": "a"}"#).unwrap();
    let moved = server
        .move_state(SECRET, &Source::new("a/b/c", "old_secret", source))
        .await
        .unwrap();
    let old = json!({"name": "a", "password_wo": "s3cret", "inside": {"token_wo": "t0ken"}});
    let upgraded = server.upgrade(SECRET, 0, &old).await.unwrap();
    assert_eq!(upgraded.get("name").as_str(), Some("a"));
    let states = [&made, &changed, &read, &imported, &moved, &upgraded];
    let values = states
        .iter()
        .map(|state| state.value())
        .chain([&planned.state]);
    for value in values {
        let text = format!("{value:?}");
        assert!(
            !text.contains("s3cret") && !text.contains("t0ken"),
            "{text}"
        );
    }
    // A failure half-way saves a state, too.
    let refused = error(server.apply(SECRET, &State::none(), &config("fails")).await);
    assert_eq!(refused.summary, "It failed");
}

#[tokio::test]
async fn a_terraform_without_write_only_attributes_is_told_so() {
    let old = server().await.with(Capabilities::default());
    let config = json!({"name": "a", "password_wo": "x"});
    let refused = error(old.validate(SECRET, &config).await);
    assert_eq!(refused.summary, "Write-only attributes need Terraform 1.11");
    assert_eq!(refused.path, Path::of("password_wo"));
    let password = json!({"name": "a", "password": "x"});
    assert!(old.validate(SECRET, &password).await.unwrap().is_empty());
    let warned = server().await.validate(SECRET, &password).await.unwrap();
    let warning = warned.iter().next().unwrap();
    assert_eq!(warning.summary, "A write-only attribute is available");
    assert!(warning.detail.contains("`password_wo`") && warning.path == Path::of("password"));
}

#[tokio::test]
async fn what_means_the_same_keeps_its_spelling_in_create_read_and_update() {
    const NAME: &str = "corner_spelled";
    let server = server().await;
    let config = |note: &str| json!({"text": "Abc", "all": ["x", "Y"], "note": note});
    let made = server
        .apply(NAME, &State::none(), &config("a"))
        .await
        .unwrap();
    let spelled = |state: &State| (state.get("text").clone(), state.get("all").clone());
    let expected = (Value::from("Abc"), Value::from(vec!["Y", "x"]));
    assert_eq!(spelled(&made), expected);
    assert_eq!(
        server.refresh(NAME, &made).await.unwrap().value(),
        made.value()
    );
    let changed = server.apply(NAME, &made, &config("changed")).await.unwrap();
    assert_eq!(spelled(&changed), expected);
    let read = server.refresh(NAME, &changed).await.unwrap();
    assert_eq!(
        read.get("text").as_str(),
        Some("OTHER"),
        "a real difference shows"
    );
}

const PET: &str = "corner_pet";

#[tokio::test]
async fn an_object_keeps_its_identity_and_a_change_is_an_error() {
    let server = server().await;
    let named = |name: &str| json!({"name": name});
    let made = server
        .apply(PET, &State::none(), &named("Kit"))
        .await
        .unwrap();
    let identity = |state: &State| server.identity(PET, state).unwrap().get("number").clone();
    assert_eq!(identity(&made), 7.into());
    assert_eq!(
        identity(&server.refresh(PET, &made).await.unwrap()),
        7.into()
    );
    let renamed = server.apply(PET, &made, &named("Tom")).await.unwrap();
    assert_eq!(identity(&renamed), 7.into());
    let refused = error(server.refresh(PET, &renamed).await);
    assert_eq!(refused.summary, "Unexpected identity change of corner_pet");
    let refused = error(server.apply(PET, &made, &named("Jerry")).await);
    assert!(
        refused.detail.contains("`number` = 7") && refused.detail.contains("says 9"),
        "{refused}"
    );
}

#[tokio::test]
async fn an_import_knows_what_it_was_asked_by() {
    let server = server().await;
    let by_id = server.import(PET, "12").await.unwrap();
    let by_identity = server
        .import_by_identity(PET, &json!({"number": 12}))
        .await
        .unwrap();
    assert_eq!(by_id, by_identity);
    assert_eq!(by_id.get("name").as_str(), Some("pet 12"));
    assert_eq!(error(server.import(PET, "x").await).summary, "No number");
    assert_eq!(
        error(server.import(PET, "later").await).summary,
        "It is not there yet"
    );
    let patient = server.with(Capabilities::all());
    assert!(
        patient.import(PET, "later").await.unwrap().is_none(),
        "it is put off"
    );
}

#[tokio::test]
async fn a_move_takes_the_identity_and_private_data_along() {
    let server = server().await;
    let state = RawState::from_json_text(r#"{"label": "Kit"}"#).unwrap();
    let mut source = Source::new("registry.terraform.io/old/old", "old_pet", state);
    source.identity = Some(RawState::write(&json!({"number": 3})).unwrap());
    let moved = server.move_state(PET, &source).await.unwrap();
    assert_eq!(moved.get("name").as_str(), Some("Kit"));
    assert_eq!(
        server.identity(PET, &moved).unwrap().get("number"),
        &103.into()
    );
    assert_eq!(moved.private::<String>("was").unwrap().as_deref(), Some(""));
    source.type_name = "other".to_owned();
    let refused = error(server.move_state(PET, &source).await);
    assert_eq!(refused.summary, "A other cannot be moved to corner_pet");
}

#[tokio::test]
async fn a_provider_that_is_not_configured_yet_puts_everything_off() {
    let later = json!({"later": true});
    let impatient = TestServer::start(Corner, &later).await;
    assert_eq!(
        error(impatient.map(|_| ())).summary,
        "It cannot be configured yet"
    );
    let server = TestServer::start_with(Corner, &later, Capabilities::all())
        .await
        .unwrap();
    let config = kept("port", 1.into());
    let planned = server.plan(KEPT, &State::none(), &config).await.unwrap();
    assert_eq!(planned.deferred, Some(Reason::ProviderConfigUnknown));
    assert!(planned.state.get("copy").is_unknown() && planned.state.get("port") == &1.into());
    assert!(server.import(PET, "1").await.unwrap().is_none());
    let state = server
        .upgrade(PET, 0, &json!({"name": "Tom"}))
        .await
        .unwrap();
    assert_eq!(
        server.refresh(PET, &state).await.unwrap(),
        state,
        "the state stays"
    );
}

/// A provider whose author has made every slip that there is.
struct Slips(&'static str);

struct Slip(&'static str);

#[derive(Serialize, Deserialize)]
struct SlipModel {
    name: String,
}

impl Resource for Slip {
    type Client = ();
    type Model = SlipModel;

    fn name(&self) -> Name {
        "slips_one".into()
    }

    fn schema(&self) -> Schema {
        Schema::new("", vec![Attribute::string(self.0).required()]).version(2)
    }

    async fn create(
        &self,
        _: &Context<()>,
        plan: SlipModel,
        _: &Progress<SlipModel>,
    ) -> Result<SlipModel, Unfinished> {
        Ok(plan)
    }

    async fn delete(&self, _: &Context<()>, _: SlipModel) -> Result<(), Unfinished> {
        Ok(())
    }
}

impl Provider for Slips {
    type Client = ();
    type Config = BTreeMap<String, String>;

    fn name(&self) -> Name {
        self.0.into()
    }

    fn schema(&self) -> Schema {
        Schema::new("", vec![])
    }

    async fn configure(&self, _: Self::Config, _: Run) -> Result<((), Diagnostics), Unfinished> {
        Ok(((), Diagnostics::new()))
    }

    fn resources(&self) -> Vec<resource::Registered<()>> {
        vec![
            resource::register(Slip("name")),
            resource::register(Slip("Name")),
        ]
    }
}

#[tokio::test]
async fn what_an_author_got_wrong_is_said_when_the_provider_is_started() {
    let said = error(
        TestServer::start(Slips("slips"), &json!({}))
            .await
            .map(|_| ()),
    );
    assert_eq!(said.summary, "This is a bug in the slips provider");
    for words in [
        "There are two of the resource `slips_one`.",
        "`name` can have a value that is not known yet, and its model has no place for that",
        "there is no upgrade from version 1",
    ] {
        assert!(said.detail.contains(words), "{words}: {}", said.detail);
    }
}

#[tokio::test]
async fn two_providers_in_one_process_have_their_own_names() {
    let said = async |name| error(TestServer::start(Slips(name), &json!({})).await.map(|_| ()));
    let (first, second) = tokio::join!(said("first"), said("second"));
    assert_eq!(first.summary, "This is a bug in the first provider");
    assert_eq!(second.summary, "This is a bug in the second provider");
}
