//! What `#[derive(Model)]` makes: the schema that one would write by hand, and a model that reads and writes it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::{BTreeMap, BTreeSet};

use tfplugin::bridge::{from_value, to_value};
use tfplugin::duration::GoDuration;
use tfplugin::prelude::*;
use tfplugin::schema::{Kind, Presence};

/// Something of everything.
///
/// - In a list,
/// - with two lines.
#[derive(Clone, Debug, PartialEq, Model)]
#[model(version = 3, deprecated = "Use another one.", rule = validators::conflicting(&["text", "r#type"]))]
struct Everything {
    /// A text,
    /// on two lines.
    #[attr(required, replaces, check = validators::length(1, 3))]
    text: Attr<String>,
    #[attr(computed, stable_when_set, sensitive, replaces_if = same)]
    number: Attr<f64>,
    #[attr(default = 7, quiet)]
    port: Attr<u16>,
    #[attr(default = Color::DarkBlue)]
    color: Attr<Color>,
    #[attr(optional_computed, deprecated = "Old.")]
    whether: Attr<bool>,
    #[attr(write_only)]
    secret: Attr<String>,
    #[attr(better_write_only = "secret")]
    shown: Option<String>,
    any: Value,
    exact: Attr<Number>,
    #[attr(no_null_elements)]
    list: Attr<Vec<Attr<String>>>,
    #[attr(set)]
    colors: Attr<Vec<Color>>,
    #[attr(same_elements = same)]
    set: Attr<BTreeSet<String>>,
    map: Attr<BTreeMap<String, i64>>,
    wait: Attr<GoDuration>,
    #[attr(text, format(std::net::IpAddr, "Invalid address"))]
    address: Attr<std::net::IpAddr>,
    #[attr(ty = Type::Tuple(vec![Type::String, Type::Bool]))]
    pair: Attr<(String, bool)>,
    #[attr(name = "with_name")]
    other: Attr<String>,
    r#type: Attr<String>,
    one: Attr<Inner>,
    many: Attr<Vec<Inner>>,
    #[attr(set)]
    several: Attr<Vec<Inner>>,
    named: Attr<BTreeMap<String, Inner>>,
    #[attr(block)]
    single: Attr<Inner>,
    #[attr(block, times(1, 2))]
    rows: Attr<Vec<Inner>>,
    #[attr(block, set)]
    group: Attr<Vec<Inner>>,
    #[attr(skip)]
    own: usize,
}

/// A part.
#[derive(Clone, Debug, PartialEq, Model)]
struct Inner {
    /// Its name.
    #[attr(required)]
    name: Attr<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Model)]
#[model(rename_all = "kebab-case")]
enum Color {
    Red,
    DarkBlue,
    #[attr(name = "GREY")]
    Gray,
}

fn same(one: &Value, other: &Value) -> bool {
    one == other
}

fn attribute(name: &str) -> Attribute {
    let found = Everything::attributes()
        .into_iter()
        .find(|one| one.name == name);
    found.unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn a_struct_is_the_schema() {
    let schema = Everything::schema();
    assert_eq!(
        schema.description,
        "Something of everything.\n\n- In a list,\n- with two lines."
    );
    assert_eq!(
        (schema.version, schema.deprecated.as_deref()),
        (3, Some("Use another one."))
    );
    assert_eq!(
        schema.attributes.len(),
        25,
        "what is skipped is no attribute"
    );
    let text = attribute("text");
    assert_eq!(text.description, "A text, on two lines.");
    assert!(text.presence == Presence::Required && text.replaces && text.checks.len() == 1);
    let number = attribute("number");
    assert!(number.presence == Presence::Computed && number.stable && number.sensitive);
    assert!(number.stable_when_set && number.replaces_if.is_some());
    let port = attribute("port");
    assert!(port.presence == Presence::OptionalComputed && port.quiet);
    assert_eq!(
        (port.default, attribute("color").default),
        (Some(7.into()), Some("dark-blue".into()))
    );
    assert_eq!(attribute("whether").deprecated.as_deref(), Some("Old."));
    assert!(attribute("secret").write_only && attribute("list").no_nulls);
    assert_eq!(attribute("shown").instead.as_deref(), Some("secret"));
    assert!(attribute("set").same_elements.is_some());
    assert_eq!(attribute("color").checks.len(), 1);
}

/// Each row: an attribute, and its type.
#[test]
fn a_field_has_the_type_of_its_values() {
    let inner = || Type::object([("name", Type::String)]);
    for (name, ty) in [
        ("text", Type::String),
        ("number", Type::Number),
        ("port", Type::Number),
        ("color", Type::String),
        ("whether", Type::Bool),
        ("any", Type::Dynamic),
        ("exact", Type::Number),
        ("list", Type::list(Type::String)),
        ("colors", Type::set(Type::String)),
        ("set", Type::set(Type::String)),
        ("map", Type::map(Type::Number)),
        ("wait", Type::String),
        ("address", Type::String),
        ("pair", Type::Tuple(vec![Type::String, Type::Bool])),
        ("with_name", Type::String),
        ("type", Type::String),
        ("one", inner()),
        ("many", Type::list(inner())),
        ("several", Type::set(inner())),
        ("named", Type::map(inner())),
        ("single", inner()),
        ("rows", Type::list(inner())),
        ("group", Type::set(inner())),
    ] {
        assert_eq!(attribute(name).ty(), ty, "{name}");
        let is_block = ["single", "rows", "group"].contains(&name);
        assert_eq!(attribute(name).is_block(), is_block, "{name}");
        let is_nested = matches!(attribute(name).kind, Kind::Nested(..));
        assert_eq!(is_nested, format!("{ty:?}").contains("Object"), "{name}");
    }
    assert_eq!(
        attribute("one").description,
        "A part.",
        "the part says what it is"
    );
}

#[test]
fn a_model_comes_back_and_what_is_unknown_stays() {
    let empty: Everything = from_value(&Value::map([("text", Value::unknown())])).unwrap();
    assert!(empty.text.is_unknown() && empty.one.is_null() && empty.own == 0);
    let whole = Everything {
        text: Attr::Known("x".to_owned()),
        number: Attr::Known(0.1),
        port: Attr::Unknown,
        color: Attr::Known(Color::Gray),
        any: Value::from(true),
        colors: Attr::Known(vec![Color::Red, Color::DarkBlue]),
        pair: Attr::Known(("a".to_owned(), true)),
        other: Attr::Known("o".to_owned()),
        address: Attr::Known("::1".parse().unwrap()),
        rows: Attr::Known(vec![Inner {
            name: Attr::Unknown,
        }]),
        ..empty
    };
    let value = to_value(&whole).unwrap();
    assert_eq!(value.get("with_name").as_str(), Some("o"));
    assert_eq!(value.get("color").as_str(), Some("GREY"));
    assert!(value.get("own").is_null());
    assert_eq!(from_value::<Everything>(&value).unwrap(), whole);
    let json = serde_json::to_string(&Inner { name: Attr::Null }).unwrap();
    assert_eq!(json, r#"{"name":null}"#);
    let wrong = from_value::<Everything>(&Value::map([("color", Value::from("green"))]));
    let wrong = wrong.unwrap_err().to_string();
    assert_eq!(
        wrong,
        "at color: unknown variant `green`, expected one of `red`, `dark-blue`, `GREY`"
    );
}

#[test]
fn the_checks_of_a_type_are_those_of_its_elements() {
    let schema = Schema::new(
        "",
        vec![
            attribute("colors"),
            attribute("color"),
            attribute("address"),
        ],
    );
    let found = |name: &str, value: Value| schema.validate(&Value::map([(name, value)]));
    assert!(found("colors", vec!["red", "GREY"].into()).is_empty());
    assert!(found("colors", vec!["red", "grey"].into()).has_errors());
    assert!(found("color", "dark-blue".into()).is_empty());
    assert!(found("color", "blue".into()).has_errors());
    let address = found("address", "1.2.3".into());
    assert_eq!(address.iter().next().unwrap().summary, "Invalid address");
}
