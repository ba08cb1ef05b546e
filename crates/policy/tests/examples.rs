//! The example verdicts that came with the requirements, each as its own row.

#![allow(clippy::panic, clippy::expect_used, reason = "tests")]

use kms_policy::{Caller, Context, Document, Request, Verdict, evaluate};
use serde_json::Value as Json;

fn verdict(word: &str) -> Verdict {
    match word {
        "allowed" => Verdict::Allowed,
        "denied_explicit" => Verdict::DeniedExplicitly,
        "denied_implicit" => Verdict::DeniedImplicitly,
        "undetermined" => Verdict::Undetermined,
        other => panic!("no verdict is called {other}"),
    }
}

#[test]
fn every_example_is_decided_as_aws_decides_it() {
    let rows: Vec<Json> =
        serde_json::from_str(include_str!("policy-examples.json")).expect("the examples are JSON");
    assert!(rows.len() >= 20, "the examples are there");
    for row in rows {
        let text = |pointer: &str| {
            row.pointer(pointer)
                .and_then(Json::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let mut context = Context::closed();
        for (key, value) in row
            .pointer("/request/context")
            .and_then(Json::as_object)
            .expect("a context")
        {
            match value {
                Json::Null => context.set_unknown(key),
                Json::Array(values) => {
                    context.set(
                        key,
                        values
                            .iter()
                            .filter_map(|value| value.as_str().map(str::to_owned))
                            .collect(),
                    );
                }
                value => context.set(
                    key,
                    vec![
                        value
                            .as_str()
                            .map_or_else(|| value.to_string(), str::to_owned),
                    ],
                ),
            }
        }
        let request = Request {
            caller: Caller::parse(&text("/request/principal")).expect("a principal"),
            action: text("/request/action"),
            resource: text("/request/resource"),
            context,
        };
        let policy = Document::parse(&row["policy"].to_string())
            .unwrap_or_else(|error| panic!("{}: {error}", text("/name")));
        let decision = evaluate(&policy, &request);
        assert_eq!(
            decision.verdict,
            verdict(&text("/verdict")),
            "{}: {}",
            text("/name"),
            text("/why")
        );
    }
}
