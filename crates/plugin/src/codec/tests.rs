//! Round trips of arbitrary values, and bytes that no friend would send.

use proptest::prelude::*;

use super::{json, msgpack};
use crate::number::Number;
use crate::types::Type;
use crate::value::{Refinement, Value};

fn types() -> impl Strategy<Value = Type> {
    let leaf = prop_oneof![
        Just(Type::String),
        Just(Type::Number),
        Just(Type::Bool),
        Just(Type::Dynamic)
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(Type::list),
            inner.clone().prop_map(Type::set),
            inner.clone().prop_map(Type::map),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Type::Tuple),
            (
                prop::collection::btree_map("[a-z_]{1,8}", inner, 0..4),
                any::<bool>()
            )
                .prop_map(|(attributes, some)| {
                    let optional = attributes.keys().filter(|_| some).cloned().collect();
                    Type::Object {
                        attributes,
                        optional,
                    }
                }),
        ]
    })
}

fn numbers() -> impl Strategy<Value = Number> {
    prop_oneof![
        any::<i64>().prop_map(Number::from),
        any::<u64>().prop_map(Number::from),
        any::<f64>().prop_filter_map("finite", |float| Number::from_f64(float).ok()),
        "-?[1-9][0-9]{0,60}(\\.[0-9]{1,60})?".prop_filter_map("a number", |text| text.parse().ok()),
    ]
}

fn refinements() -> impl Strategy<Value = Refinement> {
    let bound = || prop::option::of((numbers(), any::<bool>()));
    (
        prop::option::of(any::<bool>()),
        prop::option::of("[a-z:/]{0,20}"),
        bound(),
        bound(),
        prop::option::of(0_i64..1000),
        prop::option::of(0_i64..1000),
    )
        .prop_map(|(null, prefix, lower, upper, fewest, most)| Refinement {
            null,
            prefix,
            lower,
            upper,
            fewest,
            most,
        })
}

fn values(ty: &Type, unknowns: bool) -> BoxedStrategy<Value> {
    let known: BoxedStrategy<Value> = match ty {
        Type::String => any::<String>().prop_map(Value::String).boxed(),
        Type::Number => numbers().prop_map(Value::Number).boxed(),
        Type::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Type::Dynamic => prop_oneof![Just(Type::String), Just(Type::list(Type::Number))]
            .prop_flat_map(move |ty| {
                values(&ty, unknowns)
                    .prop_map(move |value| Value::Dynamic(Box::new((ty.clone(), value))))
            })
            .boxed(),
        Type::List(element) | Type::Set(element) => {
            let ty = ty.clone();
            prop::collection::vec(values(element, unknowns), 0..4)
                .prop_map(move |elements| Value::List(elements).canonical(&ty))
                .boxed()
        }
        Type::Map(element) => {
            prop::collection::btree_map(".{0,8}", values(element, unknowns), 0..4)
                .prop_map(Value::Map)
                .boxed()
        }
        Type::Tuple(types) => types
            .iter()
            .map(|ty| values(ty, unknowns))
            .collect::<Vec<_>>()
            .prop_map(Value::List)
            .boxed(),
        Type::Object { attributes, .. } => attributes
            .iter()
            .map(|(name, ty)| (Just(name.clone()), values(ty, unknowns)))
            .collect::<Vec<_>>()
            .prop_map(Value::map)
            .boxed(),
    };
    if unknowns {
        prop_oneof![8 => known, 1 => Just(Value::Null), 1 => refinements().prop_map(Value::Unknown)]
            .boxed()
    } else {
        prop_oneof![8 => known, 1 => Just(Value::Null)].boxed()
    }
}

fn typed(unknowns: bool) -> impl Strategy<Value = (Type, Value)> {
    types().prop_flat_map(move |ty| {
        let values = values(&ty, unknowns);
        (Just(ty), values)
    })
}

proptest! {
    #[test]
    fn every_value_comes_back_from_msgpack_as_it_was((ty, value) in typed(true)) {
        let bytes = msgpack::encode(&value, &ty).expect("a value of its type can be written");
        prop_assert_eq!(msgpack::decode(&bytes, &ty).expect("and read"), value);
    }

    #[test]
    fn every_known_value_comes_back_from_json_as_it_was((ty, value) in typed(false)) {
        let bytes = json::encode(&value, &ty).expect("a value of its type can be written");
        prop_assert_eq!(json::decode(&bytes, &ty).expect("and read"), value);
    }

    #[test]
    fn every_type_comes_back_from_its_json_form(ty in types()) {
        prop_assert_eq!(Type::from_json_bytes(&ty.to_json_bytes()).expect("a type"), ty);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..512), ty in types()) {
        let _ = msgpack::decode(&bytes, &ty);
        let _ = json::decode(&bytes, &ty);
        let _ = Type::from_json_bytes(&bytes);
    }

    #[test]
    fn damaged_bytes_never_panic((ty, value) in typed(true), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = msgpack::encode(&value, &ty).expect("a value of its type can be written");
        let at = at.index(bytes.len());
        if let Some(target) = bytes.get_mut(at) {
            *target = byte;
        }
        let _ = msgpack::decode(&bytes, &ty);
        let _ = msgpack::decode(bytes.get(..at).unwrap_or_default(), &ty);
    }
}

/// Each row: what it is, the type, the bytes, and words of the error.
#[test]
fn hostile_bytes_get_a_clear_error() {
    let deep: Vec<u8> = std::iter::repeat_n(
        [
            0x92, 0xa9, b'"', b'd', b'y', b'n', b'a', b'm', b'i', b'c', b'"',
        ],
        200,
    )
    .flatten()
    .collect();
    let rows: [(&str, Type, Vec<u8>, &str); 12] = [
        ("nothing", Type::String, vec![], "ends too early"),
        (
            "a list that claims four billion elements",
            Type::list(Type::String),
            vec![0xdd, 0xff, 0xff, 0xff, 0xff],
            "ends too early",
        ),
        (
            "a text that claims four billion bytes",
            Type::String,
            vec![0xdb, 0xff, 0xff, 0xff, 0xff, b'x'],
            "ends too early",
        ),
        (
            "text that is not UTF-8",
            Type::String,
            vec![0xa1, 0xff],
            "not UTF-8",
        ),
        (
            "a number for text",
            Type::String,
            vec![0x01],
            "expected string, found a number",
        ),
        (
            "text for a boolean",
            Type::Bool,
            vec![0xa1, b'x'],
            "expected bool, found text",
        ),
        (
            "bytes behind the value",
            Type::Bool,
            vec![0xc3, 0xc3],
            "1 bytes follow",
        ),
        (
            "a key twice",
            Type::map(Type::Bool),
            vec![0x82, 0xa1, b'a', 0xc3, 0xa1, b'a', 0xc3],
            "occurs twice",
        ),
        (
            "an object without its attribute",
            Type::object([("a", Type::Bool)]),
            vec![0x80],
            "\"a\" is missing",
        ),
        (
            "an object with another",
            Type::object([("a", Type::Bool)]),
            vec![0x81, 0xa1, b'b', 0xc3],
            "\"b\" is not one",
        ),
        (
            "dynamic in dynamic without end",
            Type::Dynamic,
            deep,
            "nests too deep",
        ),
        (
            "infinity",
            Type::Number,
            vec![0xcb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0],
            "infinity",
        ),
    ];
    for (what, ty, bytes, words) in rows {
        let error = msgpack::decode(&bytes, &ty).expect_err(what).to_string();
        assert!(error.contains(words), "{what}: {error}");
    }
}

#[test]
fn an_error_says_where() {
    let ty = Type::object([("rules", Type::list(Type::map(Type::Bool)))]);
    let bytes = [
        0x81, 0xa5, b'r', b'u', b'l', b'e', b's', 0x91, 0x81, 0xa1, b'k', 0x07,
    ];
    let error = msgpack::decode(&bytes, &ty)
        .expect_err("a number is no boolean")
        .to_string();
    assert_eq!(error, "at rules[0][\"k\"]: expected bool, found a number");
}

#[test]
fn terraforms_own_bytes_are_understood() {
    assert_eq!(
        msgpack::decode(&[0xd4, 0, 0], &Type::String).expect("unknown"),
        Value::unknown()
    );
    // go-cty writes "not null" as the extension 12 with {1: false}.
    let refined = Value::Unknown(Refinement {
        null: Some(false),
        ..Refinement::default()
    });
    assert_eq!(
        msgpack::decode(&[0xc7, 3, 12, 0x81, 0x01, 0xc2], &Type::String).expect("refined"),
        refined
    );
    // A refinement that this version does not know is passed over.
    let newer = [0xc7, 6, 12, 0x82, 0x09, 0x91, 0x05, 0x01, 0xc2];
    assert_eq!(
        msgpack::decode(&newer, &Type::String).expect("newer"),
        refined
    );
}
