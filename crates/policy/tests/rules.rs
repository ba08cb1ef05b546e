//! The rules by which AWS decides, a row each; the names are sentences.

#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "tests"
)]

use kms_policy::{Caller, Context, Document, Request, Verdict, evaluate};

const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const ROLE: &str = "arn:aws:iam::123456789012:role/path/dbx";
const SESSION: &str = "arn:aws:sts::123456789012:assumed-role/dbx/i-1";

use Verdict::{Allowed, DeniedExplicitly, DeniedImplicitly, Undetermined};

/// An Allow whose named elements replace the usual ones.
fn allow(principal: &str, action: &str, resource: &str, condition: &str) -> String {
    format!("{{\"Effect\":\"Allow\",{principal},{action},{resource},\"Condition\":{condition}}}")
}

const ANYONE: &str = r#""Principal":"*""#;
const ANY_ACTION: &str = r#""Action":"*""#;
const ANY_RESOURCE: &str = r#""Resource":"*""#;

fn decided(
    version: &str,
    statements: &[String],
    caller: &str,
    action: &str,
    context: &[(&str, Option<&[&str]>)],
) -> (Verdict, bool) {
    let policy = format!("{{{version}\"Statement\":[{}]}}", statements.join(","));
    let policy = Document::parse(&policy).unwrap_or_else(|error| panic!("{error}: {policy}"));
    let mut known = Context::closed();
    for (key, values) in context {
        match values {
            Some(values) => known.set(
                key,
                values.iter().map(|value| (*value).to_owned()).collect(),
            ),
            None => known.set_unknown(key),
        }
    }
    let caller = Caller::parse(caller).unwrap_or_else(|error| panic!("{error}"));
    let request = Request {
        caller,
        action: action.to_owned(),
        resource: KEY.to_owned(),
        context: known,
    };
    let decision = evaluate(&policy, &request);
    (decision.verdict, decision.delegated)
}

const V2012: &str = r#""Version":"2012-10-17","#;

#[test]
fn principals() {
    let rows: &[(&str, &str, &str, Verdict, bool)] = &[
        (
            "a star is anybody",
            r#""Principal":"*""#,
            "arn:aws:iam::999999999999:user/eve",
            Allowed,
            false,
        ),
        (
            "a star under AWS is anybody",
            r#""Principal":{"AWS":"*"}"#,
            "arn:aws:iam::999999999999:user/eve",
            Allowed,
            false,
        ),
        (
            "an account is every principal in it, by way of its IAM",
            r#""Principal":{"AWS":"123456789012"}"#,
            ROLE,
            Allowed,
            true,
        ),
        (
            "the root ARN is the account",
            r#""Principal":{"AWS":"arn:aws:iam::123456789012:root"}"#,
            ROLE,
            Allowed,
            true,
        ),
        (
            "an account's root user needs no IAM",
            r#""Principal":{"AWS":"123456789012"}"#,
            "arn:aws:iam::123456789012:root",
            Allowed,
            false,
        ),
        (
            "another account is not meant",
            r#""Principal":{"AWS":"999999999999"}"#,
            ROLE,
            DeniedImplicitly,
            false,
        ),
        (
            "an account of another partition is not meant",
            r#""Principal":{"AWS":"arn:aws-us-gov:iam::123456789012:root"}"#,
            ROLE,
            DeniedImplicitly,
            false,
        ),
        (
            "a role is the role",
            r#""Principal":{"AWS":"arn:aws:iam::123456789012:role/path/dbx"}"#,
            ROLE,
            Allowed,
            false,
        ),
        (
            "a role is its sessions, whatever its path",
            r#""Principal":{"AWS":"arn:aws:iam::123456789012:role/path/dbx"}"#,
            SESSION,
            Allowed,
            false,
        ),
        (
            "a role of another account has other sessions",
            r#""Principal":{"AWS":"arn:aws:iam::999999999999:role/dbx"}"#,
            SESSION,
            DeniedImplicitly,
            false,
        ),
        (
            "a session is only itself",
            r#""Principal":{"AWS":"arn:aws:sts::123456789012:assumed-role/dbx/i-2"}"#,
            SESSION,
            DeniedImplicitly,
            false,
        ),
        (
            "a name beats its account, so nothing is delegated",
            r#""Principal":{"AWS":["123456789012","arn:aws:iam::123456789012:role/path/dbx"]}"#,
            ROLE,
            Allowed,
            false,
        ),
        (
            "a deleted principal is nobody",
            r#""Principal":{"AWS":"AROAABCDEFGHIJKLMNOP"}"#,
            ROLE,
            DeniedImplicitly,
            false,
        ),
        (
            "a service is a service",
            r#""Principal":{"Service":"ec2.amazonaws.com"}"#,
            "ec2.amazonaws.com",
            Allowed,
            false,
        ),
        (
            "a service is no account",
            r#""Principal":{"Service":"ec2.amazonaws.com"}"#,
            ROLE,
            DeniedImplicitly,
            false,
        ),
        (
            "an identity provider is no role",
            r#""Principal":{"Federated":"cognito-identity.amazonaws.com"}"#,
            ROLE,
            DeniedImplicitly,
            false,
        ),
        (
            "a canonical user is no role",
            r#""Principal":{"CanonicalUser":"79a59df900b949e55d96a1e698fbaced"}"#,
            ROLE,
            DeniedImplicitly,
            false,
        ),
        (
            "NotPrincipal leaves out whom it lists",
            r#""NotPrincipal":{"AWS":"arn:aws:iam::123456789012:role/path/dbx"}"#,
            ROLE,
            DeniedImplicitly,
            false,
        ),
        (
            "NotPrincipal leaves out the sessions of a role, too",
            r#""NotPrincipal":{"AWS":"arn:aws:iam::123456789012:role/path/dbx"}"#,
            SESSION,
            DeniedImplicitly,
            false,
        ),
        (
            "NotPrincipal means everybody else",
            r#""NotPrincipal":{"AWS":"arn:aws:iam::123456789012:role/other"}"#,
            ROLE,
            Allowed,
            false,
        ),
    ];
    for (sentence, principal, caller, verdict, delegated) in rows {
        let found = decided(
            V2012,
            &[allow(principal, ANY_ACTION, ANY_RESOURCE, "{}")],
            caller,
            "kms:Decrypt",
            &[],
        );
        assert_eq!(found, (*verdict, *delegated), "{sentence}");
    }
}

#[test]
fn actions() {
    let rows: &[(&str, &str, &str, Verdict)] = &[
        (
            "an action is itself",
            r#""Action":"kms:Decrypt""#,
            "kms:Decrypt",
            Allowed,
        ),
        (
            "case means nothing",
            r#""Action":"KMS:dEcrypt""#,
            "kms:Decrypt",
            Allowed,
        ),
        (
            "a star is any characters",
            r#""Action":"kms:Generate*Key""#,
            "kms:GenerateDataKey",
            Allowed,
        ),
        (
            "a star does not reach behind its pattern",
            r#""Action":"kms:Generate*Key""#,
            "kms:GenerateDataKeyPair",
            DeniedImplicitly,
        ),
        (
            "a question mark is one character",
            r#""Action":"kms:??crypt""#,
            "kms:Decrypt",
            Allowed,
        ),
        (
            "one of a list is enough",
            r#""Action":["kms:Encrypt","kms:Decrypt"]"#,
            "kms:Decrypt",
            Allowed,
        ),
        (
            "NotAction leaves out what it lists",
            r#""NotAction":["kms:Decrypt"]"#,
            "kms:Decrypt",
            DeniedImplicitly,
        ),
        (
            "NotAction means everything else",
            r#""NotAction":["kms:Decrypt"]"#,
            "kms:Encrypt",
            Allowed,
        ),
        (
            "another service is another action",
            r#""Action":"s3:*""#,
            "kms:Decrypt",
            DeniedImplicitly,
        ),
    ];
    for (sentence, action, asked, verdict) in rows {
        let found = decided(
            V2012,
            &[allow(ANYONE, action, ANY_RESOURCE, "{}")],
            ROLE,
            asked,
            &[],
        );
        assert_eq!(found.0, *verdict, "{sentence}");
    }
}

#[test]
fn resources() {
    let rows: &[(&str, &str, Verdict)] = &[
        ("a star is this key", r#""Resource":"*""#, Allowed),
        (
            "the key's own ARN is this key",
            r#""Resource":"arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab""#,
            Allowed,
        ),
        (
            "a pattern may mean this key",
            r#""Resource":"arn:aws:kms:*:123456789012:key/*""#,
            Allowed,
        ),
        (
            "another key is not meant",
            r#""Resource":"arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-4000-8000-000000000000""#,
            DeniedImplicitly,
        ),
        (
            "case means something in ARNs",
            r#""Resource":"arn:aws:kms:eu-central-1:123456789012:KEY/*""#,
            DeniedImplicitly,
        ),
        (
            "NotResource leaves out what it lists",
            r#""NotResource":"*""#,
            DeniedImplicitly,
        ),
        (
            "a variable is filled in",
            r#""Resource":"arn:aws:kms:${aws:RequestedRegion}:123456789012:key/*""#,
            Allowed,
        ),
        (
            "a variable without a value matches nothing",
            r#""Resource":"${aws:username}*""#,
            DeniedImplicitly,
        ),
        (
            "a variable may have a default",
            r#""Resource":"${aws:username, 'arn:aws'}:*""#,
            Allowed,
        ),
    ];
    for (sentence, resource, verdict) in rows {
        let context: &[(&str, Option<&[&str]>)] =
            &[("aws:RequestedRegion", Some(&["eu-central-1"]))];
        let found = decided(
            V2012,
            &[allow(ANYONE, ANY_ACTION, resource, "{}")],
            ROLE,
            "kms:Decrypt",
            context,
        );
        assert_eq!(found.0, *verdict, "{sentence}");
    }
    let plain = allow(
        ANYONE,
        ANY_ACTION,
        r#""Resource":"arn:aws:kms:${aws:RequestedRegion}:123456789012:key/*""#,
        "{}",
    );
    let context: &[(&str, Option<&[&str]>)] = &[("aws:RequestedRegion", Some(&["eu-central-1"]))];
    let found = decided(
        "",
        std::slice::from_ref(&plain),
        ROLE,
        "kms:Decrypt",
        context,
    );
    assert_eq!(
        found.0, DeniedImplicitly,
        "without a version, a variable is plain text"
    );
}

#[test]
fn conditions() {
    let rows: &[(&str, &str, &[(&str, Option<&[&str]>)], Verdict)] = &[
        (
            "all operators have to hold",
            r#"{"StringEquals":{"a:x":"1"},"Bool":{"a:y":"true"}}"#,
            &[("a:x", Some(&["1"])), ("a:y", Some(&["false"]))],
            DeniedImplicitly,
        ),
        (
            "all keys of an operator have to hold",
            r#"{"StringEquals":{"a:x":"1","a:y":"2"}}"#,
            &[("a:x", Some(&["1"])), ("a:y", Some(&["2"]))],
            Allowed,
        ),
        (
            "one value of a key is enough",
            r#"{"StringEquals":{"a:x":["1","2"]}}"#,
            &[("a:x", Some(&["2"]))],
            Allowed,
        ),
        (
            "none may fit a negated operator",
            r#"{"StringNotEquals":{"a:x":["1","2"]}}"#,
            &[("a:x", Some(&["2"]))],
            DeniedImplicitly,
        ),
        (
            "key names have no case",
            r#"{"StringEquals":{"A:X":"1"}}"#,
            &[("a:x", Some(&["1"]))],
            Allowed,
        ),
        (
            "values have",
            r#"{"StringEquals":{"a:x":"a"}}"#,
            &[("a:x", Some(&["A"]))],
            DeniedImplicitly,
        ),
        (
            "a missing key fails a positive operator",
            r#"{"StringEquals":{"a:x":"1"}}"#,
            &[],
            DeniedImplicitly,
        ),
        (
            "a missing key passes a negated one",
            r#"{"StringNotEquals":{"a:x":"1"}}"#,
            &[],
            Allowed,
        ),
        (
            "a missing key passes IfExists",
            r#"{"StringEqualsIfExists":{"a:x":"1"}}"#,
            &[],
            Allowed,
        ),
        (
            "a missing key fails ForAnyValue",
            r#"{"ForAnyValue:StringEquals":{"a:x":"1"}}"#,
            &[],
            DeniedImplicitly,
        ),
        (
            "a missing key passes ForAllValues",
            r#"{"ForAllValues:StringEquals":{"a:x":"1"}}"#,
            &[],
            Allowed,
        ),
        (
            "ForAllValues wants all to fit",
            r#"{"ForAllValues:StringEquals":{"a:x":["1","2"]}}"#,
            &[("a:x", Some(&["1", "3"]))],
            DeniedImplicitly,
        ),
        (
            "ForAnyValue wants one to fit",
            r#"{"ForAnyValue:StringEquals":{"a:x":["1","2"]}}"#,
            &[("a:x", Some(&["1", "3"]))],
            Allowed,
        ),
        (
            "what is not known is not decided",
            r#"{"StringEquals":{"a:x":"1"}}"#,
            &[("a:x", None)],
            Undetermined,
        ),
        (
            "what fails elsewhere needs no unknown value",
            r#"{"StringEquals":{"a:x":"1","a:y":"2"}}"#,
            &[("a:x", None)],
            DeniedImplicitly,
        ),
        (
            "an operator that AWS does not have decides nothing",
            r#"{"StringMatches":{"a:x":"1"}}"#,
            &[("a:x", Some(&["1"]))],
            Undetermined,
        ),
        (
            "a variable in a value is filled in",
            r#"{"StringEquals":{"a:x":"${a:y}"}}"#,
            &[("a:x", Some(&["1"])), ("a:y", Some(&["1"]))],
            Allowed,
        ),
        (
            "a variable that is not known decides",
            r#"{"StringEquals":{"a:x":"${a:y}"}}"#,
            &[("a:x", Some(&["1"])), ("a:y", None)],
            Undetermined,
        ),
        (
            "what comes out of a variable is no pattern",
            r#"{"StringLike":{"a:x":"${a:y}"}}"#,
            &[("a:x", Some(&["12"])), ("a:y", Some(&["1*"]))],
            DeniedImplicitly,
        ),
    ];
    for (sentence, condition, context, verdict) in rows {
        let found = decided(
            V2012,
            &[allow(ANYONE, ANY_ACTION, ANY_RESOURCE, condition)],
            ROLE,
            "kms:Decrypt",
            context,
        );
        assert_eq!(found.0, *verdict, "{sentence}");
    }
}

#[test]
fn statements_together() {
    let statement = |effect: &str, condition: &str| {
        format!(
            "{{\"Effect\":\"{effect}\",\"Principal\":\"*\",\"Action\":\"kms:*\",\"Resource\":\"*\",\"Condition\":{condition}}}"
        )
    };
    let (holds, fails, open) = (
        r#"{"Bool":{"a:x":"true"}}"#,
        r#"{"Bool":{"a:x":"false"}}"#,
        r#"{"Bool":{"a:y":"true"}}"#,
    );
    let rows: &[(&str, &[(&str, &str)], Verdict)] = &[
        (
            "nothing that applies denies",
            &[("Allow", fails)],
            DeniedImplicitly,
        ),
        (
            "a Deny wins over every Allow",
            &[("Allow", holds), ("Deny", holds), ("Allow", holds)],
            DeniedExplicitly,
        ),
        (
            "a Deny that does not apply denies nothing",
            &[("Allow", holds), ("Deny", fails)],
            Allowed,
        ),
        (
            "a Deny that may apply cannot be ignored",
            &[("Allow", holds), ("Deny", open)],
            Undetermined,
        ),
        (
            "an Allow that may apply is no grant",
            &[("Allow", open)],
            Undetermined,
        ),
        (
            "an Allow that applies needs no other",
            &[("Allow", open), ("Allow", holds)],
            Allowed,
        ),
        (
            "a Deny that applies needs no other",
            &[("Deny", open), ("Deny", holds)],
            DeniedExplicitly,
        ),
        (
            "without an Allow it is denied, whatever a Deny that may apply comes to",
            &[("Deny", open)],
            DeniedImplicitly,
        ),
    ];
    for (sentence, statements, verdict) in rows {
        let all: Vec<String> = statements
            .iter()
            .map(|(effect, condition)| statement(effect, condition))
            .collect();
        let context: &[(&str, Option<&[&str]>)] = &[("a:x", Some(&["true"])), ("a:y", None)];
        assert_eq!(
            decided(V2012, &all, ROLE, "kms:Decrypt", context).0,
            *verdict,
            "{sentence}"
        );
    }
}
