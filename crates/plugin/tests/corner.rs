//! The corners of the protocol, each with what Terraform demands there: values of any type, numbers of any size, null and unknown elements,
//! write-only attributes, spellings, identities, moves, deferrals. The provider keeps what it is given.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tfplugin::path::Path;
use tfplugin::prelude::*;
use tfplugin::provider::Capabilities;
use tfplugin::testing::{State, TestServer};

struct Corner;

#[derive(Deserialize)]
struct Config {
    later: Attr<bool>,
}

impl Provider for Corner {
    type Client = ();
    type Config = Config;

    fn name(&self) -> Name {
        "corner".into()
    }

    fn schema(&self) -> Schema {
        Schema::new("", vec![Attribute::bool("later")])
    }

    fn meta(&self) -> Option<Schema> {
        Some(Schema::new("", vec![Attribute::string("module")]))
    }

    async fn configure(&self, config: Config, _: Run) -> Result<((), Diagnostics), Unfinished> {
        if config.later.known() == Some(&true) {
            let otherwise =
                Diagnostic::error("It cannot be configured yet", "Apply the rest first.");
            return Err(Deferral::new(Reason::ProviderConfigUnknown, otherwise).into());
        }
        Ok(((), Diagnostics::new()))
    }

    fn resources(&self) -> Vec<resource::Registered<()>> {
        vec![
            resource::register(Kept),
            resource::register(Secret),
            resource::register(Spelled),
            resource::register(Pet),
        ]
    }
}

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

/// Keeps what it is given, whatever it is.
struct Kept;

#[derive(Clone, Serialize, Deserialize)]
struct KeptModel {
    any: Attr<Value>,
    copy: Value,
    object: Attr<Object>,
    ratio: Attr<f64>,
    small: Attr<f32>,
    exact: Attr<Number>,
    big: Attr<u64>,
    port: Attr<u16>,
    texts: Attr<Vec<Option<String>>>,
    plain: Attr<Vec<String>>,
    triggers: Attr<BTreeMap<String, String>>,
    rule: Attr<Vec<Rule>>,
    made: Attr<Made>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Object {
    any: Value,
}

#[derive(Clone, Serialize, Deserialize)]
struct Rule {
    name: Attr<String>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Made {
    id: Attr<String>,
}

impl Resource for Kept {
    type Client = ();
    type Model = KeptModel;

    fn name(&self) -> Name {
        "corner_kept".into()
    }

    fn schema(&self) -> Schema {
        Schema::new(
            "",
            vec![
                Attribute::of("any", Type::Dynamic),
                Attribute::of("copy", Type::Dynamic).computed(),
                Attribute::object("object", vec![Attribute::of("any", Type::Dynamic)]),
                Attribute::number("ratio"),
                Attribute::number("small"),
                Attribute::number("exact"),
                Attribute::number("big"),
                Attribute::number("port"),
                Attribute::of("texts", Type::list(Type::String)),
                Attribute::of("plain", Type::set(Type::String)),
                Attribute::of("triggers", Type::map(Type::String)).replaces(),
                Attribute::block("rule", Nesting::List, vec![Attribute::string("name")]),
                Attribute::object("made", vec![Attribute::string("id").computed()])
                    .computed()
                    .stable(),
            ],
        )
    }

    async fn create(
        &self,
        _: &Context<()>,
        plan: KeptModel,
        _: &Progress<KeptModel>,
    ) -> Result<KeptModel, Unfinished> {
        let copy = plan.any.known().cloned().unwrap_or(Value::Null);
        let made = Attr::Known(Made {
            id: Attr::Known("1".to_owned()),
        });
        Ok(KeptModel { copy, made, ..plan })
    }

    async fn update(
        &self,
        _: &Context<()>,
        _: KeptModel,
        plan: KeptModel,
        _: &Progress<KeptModel>,
    ) -> Result<KeptModel, Unfinished> {
        let copy = plan.any.known().cloned().unwrap_or(Value::Null);
        Ok(KeptModel { copy, ..plan })
    }

    async fn delete(&self, _: &Context<()>, _: KeptModel) -> Result<(), Unfinished> {
        Ok(())
    }
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

/// A password that is in no plan and in no state.
struct Secret;

#[derive(Clone, Serialize, Deserialize)]
struct SecretModel {
    name: Attr<String>,
    password: Attr<String>,
    password_wo: Attr<String>,
    length: Attr<i64>,
    inside: Attr<Inside>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Inside {
    token_wo: Attr<String>,
}

impl SecretModel {
    /// What an API that shows everything would make of it.
    fn shown(mut self, written: &Self) -> Self {
        let text = written
            .password_wo
            .known()
            .map(String::as_str)
            .unwrap_or_default();
        self.length = Attr::Known(i64::try_from(text.len()).unwrap());
        self.password_wo = written.password_wo.clone();
        self.inside = written.inside.clone();
        self
    }
}

impl Resource for Secret {
    type Client = ();
    type Model = SecretModel;

    fn name(&self) -> Name {
        "corner_secret".into()
    }

    fn schema(&self) -> Schema {
        Schema::new(
            "",
            vec![
                Attribute::string("name"),
                Attribute::string("password").better_write_only("password_wo"),
                Attribute::string("password_wo").write_only().sensitive(),
                Attribute::number("length").computed(),
                Attribute::object("inside", vec![Attribute::string("token_wo").write_only()]),
            ],
        )
        .version(1)
    }

    fn upgrades(&self) -> Upgrades {
        Upgrades::new().from(0, |old: Value| Ok(old))
    }

    async fn create(
        &self,
        cx: &Context<()>,
        plan: SecretModel,
        progress: &Progress<SecretModel>,
    ) -> Result<SecretModel, Unfinished> {
        let written = cx.config()?;
        let made = plan.shown(&written);
        if made.name.known().map(String::as_str) == Some("fails") {
            progress.save(made);
            return Err(Diagnostic::error("It failed", "Half-way.").into());
        }
        Ok(made)
    }

    async fn read(
        &self,
        _: &Context<()>,
        state: SecretModel,
    ) -> Result<Option<SecretModel>, Unfinished> {
        let secret = Attr::Known("s3cret".to_owned());
        let written = SecretModel {
            password_wo: secret,
            ..state.clone()
        };
        Ok(Some(SecretModel {
            length: state.length.clone(),
            ..state.shown(&written)
        }))
    }

    async fn update(
        &self,
        cx: &Context<()>,
        _: SecretModel,
        plan: SecretModel,
        _: &Progress<SecretModel>,
    ) -> Result<SecretModel, Unfinished> {
        let written = cx.config()?;
        Ok(plan.shown(&written))
    }

    async fn delete(&self, _: &Context<()>, _: SecretModel) -> Result<(), Unfinished> {
        Ok(())
    }

    async fn import_state(
        &self,
        _: &Context<()>,
        import: &Import,
    ) -> Result<SecretModel, Unfinished> {
        Ok(SecretModel {
            name: Attr::Known(import.text().to_owned()),
            password: Attr::Null,
            password_wo: Attr::Known("s3cret".to_owned()),
            length: Attr::Null,
            inside: Attr::Null,
        })
    }

    fn move_state(&self, source: &Source) -> Result<Option<Moved<SecretModel>>, Diagnostics> {
        let name = source.state.text("name").map(str::to_owned);
        Ok(Some(Moved::new(SecretModel {
            name: name.into(),
            password: Attr::Null,
            password_wo: Attr::Known("s3cret".to_owned()),
            length: Attr::Null,
            inside: Attr::Null,
        })))
    }
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

/// What the API shows in capitals, whatever it was given.
struct Spelled;

#[derive(Clone, Serialize, Deserialize)]
struct SpelledModel {
    text: Attr<String>,
    all: Attr<Vec<String>>,
    note: Attr<String>,
}

fn same(one: &Value, other: &Value) -> bool {
    let lower = |value: &Value| value.as_str().map(str::to_lowercase);
    lower(one) == lower(other)
}

impl SpelledModel {
    fn shown(self) -> Self {
        Self {
            text: self.text.map(|text| text.to_uppercase()),
            all: self
                .all
                .map(|all| all.iter().map(|text| text.to_uppercase()).collect()),
            ..self
        }
    }
}

impl Resource for Spelled {
    type Client = ();
    type Model = SpelledModel;

    fn name(&self) -> Name {
        "corner_spelled".into()
    }

    fn schema(&self) -> Schema {
        Schema::new(
            "",
            vec![
                Attribute::string("text").same_meaning(same),
                Attribute::string_set("all").same_elements(same),
                Attribute::string("note"),
            ],
        )
    }

    async fn create(
        &self,
        _: &Context<()>,
        plan: SpelledModel,
        _: &Progress<SpelledModel>,
    ) -> Result<SpelledModel, Unfinished> {
        Ok(plan.shown())
    }

    async fn read(
        &self,
        _: &Context<()>,
        state: SpelledModel,
    ) -> Result<Option<SpelledModel>, Unfinished> {
        // What somebody else changed is no other spelling.
        let is_other = state.note.known().map(String::as_str) == Some("changed");
        let text = match is_other {
            true => Attr::Known("other".to_owned()),
            false => state.text.clone(),
        };
        Ok(Some(SpelledModel { text, ..state }.shown()))
    }

    async fn update(
        &self,
        _: &Context<()>,
        _: SpelledModel,
        plan: SpelledModel,
        _: &Progress<SpelledModel>,
    ) -> Result<SpelledModel, Unfinished> {
        Ok(plan.shown())
    }

    async fn delete(&self, _: &Context<()>, _: SpelledModel) -> Result<(), Unfinished> {
        Ok(())
    }
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

/// A pet whose number is in its identity alone.
struct Pet;

#[derive(Clone, Serialize, Deserialize)]
struct PetModel {
    name: Attr<String>,
}

#[derive(Serialize, Deserialize)]
struct PetIdentity {
    number: i64,
}

impl Resource for Pet {
    type Client = ();
    type Model = PetModel;

    fn name(&self) -> Name {
        "corner_pet".into()
    }

    fn identity(&self) -> Identity {
        Identity::new([IdentityAttribute::new("number", "the number of the pet").ty(Type::Number)])
    }

    fn schema(&self) -> Schema {
        Schema::new("", vec![Attribute::string("name")])
    }

    async fn create(
        &self,
        cx: &Context<()>,
        plan: PetModel,
        _: &Progress<PetModel>,
    ) -> Result<PetModel, Unfinished> {
        cx.set_identity(&PetIdentity { number: 7 });
        Ok(plan)
    }

    async fn read(
        &self,
        cx: &Context<()>,
        mut state: PetModel,
    ) -> Result<Option<PetModel>, Unfinished> {
        if state.name.known().map(String::as_str) == Some("Tom") {
            cx.set_identity(&PetIdentity { number: 8 });
        }
        if let (Attr::Null, Some(known)) = (&state.name, cx.identity::<PetIdentity>()?) {
            state.name = Attr::Known(format!("pet {}", known.number));
        }
        Ok(Some(state))
    }

    async fn update(
        &self,
        cx: &Context<()>,
        _: PetModel,
        plan: PetModel,
        _: &Progress<PetModel>,
    ) -> Result<PetModel, Unfinished> {
        if plan.name.known().map(String::as_str) == Some("Jerry") {
            cx.set_identity(&PetIdentity { number: 9 });
        }
        Ok(plan)
    }

    async fn delete(&self, _: &Context<()>, _: PetModel) -> Result<(), Unfinished> {
        Ok(())
    }

    async fn import_state(
        &self,
        cx: &Context<()>,
        import: &Import,
    ) -> Result<PetModel, Unfinished> {
        match import.id() {
            Some("later") => Err(Deferral::new(
                Reason::AbsentPrerequisite,
                Diagnostic::error("It is not there yet", "Import it later."),
            )
            .into()),
            Some(id) => {
                cx.set_identity(&PetIdentity {
                    number: id.parse().or_error("No number")?,
                });
                Ok(PetModel { name: Attr::Null })
            }
            None => Ok(PetModel { name: Attr::Null }),
        }
    }

    fn move_state(&self, source: &Source) -> Result<Option<Moved<PetModel>>, Diagnostics> {
        if source.type_name != "old_pet" {
            return Ok(None);
        }
        let number = match &source.identity {
            Some(identity) => identity.read::<PetIdentity>()?.number,
            None => 0,
        };
        let name = source.state.text("label").map(str::to_owned);
        let was: Option<String> = source.private("was")?;
        Ok(Some(
            Moved::new(PetModel { name: name.into() })
                .identity(&PetIdentity {
                    number: number + 100,
                })
                .private("was", &was.unwrap_or_default())
                .warn(Diagnostic::warning(
                    "It moved",
                    "It has another number now.",
                )),
        ))
    }
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
struct Slips;

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
        "slips".into()
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
    let said = error(TestServer::start(Slips, &json!({})).await.map(|_| ()));
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
    let first = error(TestServer::start(Slips, &json!({})).await.map(|_| ()));
    let server = server().await;
    // A resource that was configured and never made cannot be changed in place.
    let second = error(server.data("corner_nothing", &json!({})).await);
    assert!(first.summary.contains("slips") && second.summary.contains("no data source"));
}
