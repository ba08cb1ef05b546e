//! The provider's proof and the sandbox's trial are written apart. Here the two are compared: a mistake in one of them shows.

use dbxcmk::requirements::aws::{ACCOUNT_TAG, Purpose};
use dbxcmk::vocabulary::Deployment;
use dbxcmk_sandbox::{needs, policy as sandbox};
use kms_policy::{Caller, Context, Document, Request, Verdict, evaluate};
use proptest::prelude::*;

const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";

#[test]
fn both_lists_of_what_databricks_needs_are_the_same() {
    assert_eq!(Deployment::Commercial.account(), needs::DATABRICKS);
    assert_eq!(ACCOUNT_TAG, needs::ACCOUNT_TAG);
    for (purpose, use_case) in [Purpose::ManagedServices, Purpose::Storage]
        .into_iter()
        .zip(needs::USE_CASES)
    {
        let actions: Vec<&str> = purpose
            .needed_actions()
            .iter()
            .map(|(name, _)| *name)
            .collect();
        assert_eq!(actions, needs::actions(use_case), "{use_case}");
    }
}

fn one_of(all: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(all).prop_map(str::to_owned)
}

fn statement() -> impl Strategy<Value = String> {
    let principal = one_of(&[
        r#""Principal":"*""#,
        r#""Principal":{"AWS":"*"}"#,
        r#""Principal":{"AWS":"414351767826"}"#,
        r#""Principal":{"AWS":"arn:aws:iam::414351767826:root"}"#,
        r#""Principal":{"AWS":"arn:aws-us-gov:iam::414351767826:root"}"#,
        r#""Principal":{"AWS":["arn:aws:iam::123456789012:root","arn:aws:iam::414351767826:role/cp"]}"#,
        r#""Principal":{"AWS":"arn:aws:iam::414351767826:role/path/cp"}"#,
        r#""Principal":{"AWS":"arn:aws:sts::414351767826:assumed-role/cp/s"}"#,
        r#""Principal":{"AWS":"arn:aws:iam::414351767826:role/other"}"#,
        r#""Principal":{"Service":"kms.amazonaws.com"}"#,
    ]);
    let action = one_of(&[
        r#""Action":"kms:*""#,
        r#""Action":"*""#,
        r#""Action":"KMS:decrypt""#,
        r#""Action":["kms:Encrypt","kms:D?crypt"]"#,
        r#""Action":"kms:ReEncrypt*""#,
        r#""NotAction":"kms:Decrypt""#,
        r#""NotAction":"kms:Put*""#,
    ]);
    let resource = one_of(&[
        r#""Resource":"*""#,
        r#""Resource":"arn:aws:kms:*:123456789012:key/*""#,
        r#""Resource":"arn:aws:kms:eu-central-1:999999999999:key/*""#,
    ]);
    let operator = one_of(&[
        "StringEquals",
        "StringNotEquals",
        "StringEqualsIgnoreCase",
        "StringNotEqualsIgnoreCase",
        "StringLike",
        "StringNotLike",
        "ArnLike",
        "ArnNotEquals",
        "Bool",
        "Null",
        "NumericLessThanEquals",
        "NumericNotEquals",
        "DateGreaterThan",
        "IpAddress",
        "NotIpAddress",
    ]);
    let quantifier = one_of(&["", "", "ForAnyValue:", "ForAllValues:"]);
    let if_exists = one_of(&["", "", "IfExists"]);
    let key = one_of(&[
        "a:text", "A:Text", "a:list", "a:arn", "a:ip", "a:number", "a:date", "a:none",
    ]);
    let value = one_of(&[
        r#""x""#,
        r#""X*""#,
        r#"["y","x"]"#,
        r#""true""#,
        r#"false"#,
        r#""arn:aws:iam::*:role/*""#,
        r#""arn:aws:iam::123456789012:role/a""#,
        r#""10.0.0.0/8""#,
        r#""2001:db8::/32""#,
        r#"7"#,
        r#"["8","6.5"]"#,
        r#""2026-01-01T00:00:00Z""#,
        r#""${a:text}""#,
        r#""${a:none, 'x'}""#,
        r#""${a:none}""#,
        r#""${*}""#,
    ]);
    let condition = (quantifier, operator, if_exists, key, value).prop_map(
        |(quantifier, operator, if_exists, key, value)| {
            let if_exists = if operator == "Null" { "" } else { &if_exists };
            let quantifier = if operator == "Null" { "" } else { &quantifier };
            format!(r#""{quantifier}{operator}{if_exists}":{{"{key}":{value}}}"#)
        },
    );
    let conditions = prop::collection::vec(condition, 0..3).prop_filter(
        "an operator stands in a condition once",
        |all| {
            let operator = |text: &String| text.split(":{").next().map(str::to_owned);
            all.iter()
                .map(operator)
                .collect::<std::collections::BTreeSet<_>>()
                .len()
                == all.len()
        },
    );
    let effect = one_of(&["Allow", "Allow", "Deny"]);
    (effect, principal, action, resource, conditions).prop_map(
        |(effect, principal, action, resource, conditions)| {
            format!(
                r#"{{"Effect":"{effect}",{principal},{action},{resource},"Condition":{{{}}}}}"#,
                conditions.join(",")
            )
        },
    )
}

fn context() -> impl Strategy<Value = Vec<(&'static str, Vec<&'static str>)>> {
    let value = |name, values: &'static [&'static str]| {
        prop::option::of(prop::sample::select(values).prop_map(move |value| (name, vec![value])))
    };
    let list = prop::option::of(
        prop::sample::subsequence(vec!["x", "y", "z", "true"], 1..3)
            .prop_map(|all| ("a:list", all)),
    );
    (
        value("a:text", &["x", "X", "xy", "*", "true", ""]),
        list,
        value(
            "a:arn",
            &[
                "arn:aws:iam::123456789012:role/a",
                "arn:aws:iam::1:user/a",
                "x",
            ],
        ),
        value("a:ip", &["10.1.2.3", "11.0.0.1", "2001:db8::1"]),
        value("a:number", &["7", "6.5", "9", "seven"]),
        value(
            "a:date",
            &["2026-06-01T12:00:00Z", "2025-01-01T00:00:00Z", "1767225601"],
        ),
    )
        .prop_map(|(a, b, c, d, e, f)| [a, b, c, d, e, f].into_iter().flatten().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Where everything is known of a request, the provider's evaluator and the sandbox's decide alike.
    #[test]
    fn both_readings_of_a_policy_decide_alike(
        statements in prop::collection::vec(statement(), 1..4),
        context in context(),
        has_version in any::<bool>(),
        action in one_of(&["kms:Decrypt", "kms:Encrypt", "kms:PutKeyPolicy", "kms:ReEncryptTo"]),
    ) {
        let version = if has_version { r#""Version":"2012-10-17","# } else { "" };
        let text = format!(r#"{{{version}"Statement":[{}]}}"#, statements.join(","));
        let session = "arn:aws:sts::414351767826:assumed-role/cp/s";

        let mut call = sandbox::Call::new(sandbox::Caller::of(session), &action, KEY);
        call.context.clear();
        let mut known = Context::closed();
        for (name, values) in &context {
            let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
            call.context.insert((*name).to_owned(), values.clone());
            known.set(name, values);
        }
        let request = Request {
            caller: Caller::parse(session).expect("a caller"),
            action,
            resource: KEY.to_owned(),
            context: known,
        };

        let ours = evaluate(&Document::parse(&text).expect("a policy"), &request).verdict;
        let theirs = sandbox::Policy::parse(&text).expect("a policy").allows(&call);
        prop_assert_eq!(ours == Verdict::Allowed, theirs, "{:?} for {} in {:?}", ours, text, context);
    }
}
