#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn header(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn replacer() -> Replacer {
    Replacer::new(b"a secret of a test")
}

/// The text with each placeholder as its kind alone.
fn kinds(text: &str) -> String {
    crate::parts(text)
        .into_iter()
        .map(|part| match part {
            crate::Part::Kept(text) => text.to_owned(),
            crate::Part::Replaced(one) => format!("<{}>", one.kind.name()),
        })
        .collect()
}

/// Each row: a text, and what stays of it.
#[test]
fn only_words_of_the_list_stay() {
    for (text, stays) in [
        (
            "arn:aws:kms:eu-central-1:123456789012:key/2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11",
            "arn:aws:kms:<word>:<digits>:key/<uuid>",
        ),
        (
            "arn:aws:iam::414351767826:root",
            "arn:aws:iam::414351767826:root",
        ),
        (
            "accounts.cloud.databricks.com",
            "accounts.cloud.databricks.com",
        ),
        ("acme.cloud.databricks.com", "<word>.cloud.databricks.com"),
        ("10.1.2.3", "<address>"),
        (
            "projects/acme/locations/us-east4/keyRings/r/cryptoKeys/k:getIamPolicy",
            "projects/<word>/locations/<word>/keyRings/<word>/cryptoKeys/<word>:getIamPolicy",
        ),
        ("alice@example.com", "<word>@<word>.com"),
        ("Zürich\u{1F511}", "<word> "),
    ] {
        assert_eq!(kinds(&replacer().text(text)), stays, "{text}");
    }
}

/// Each row: a field, a value, and what stays of it.
#[test]
fn a_field_decides_what_stays_of_its_value() {
    for (field, value, stays) in [
        ("KeyState", "PendingDeletion", "PendingDeletion"),
        ("alias", "PendingDeletion", "<word>"),
        ("status", "2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11", "<uuid>"),
        ("status", "123456789012", "<digits>"),
        ("Action", "kms:ReEncrypt*", "kms:ReEncrypt*"),
        ("role", "https://acme.example", "https://<word>.<word>"),
        ("CreationTime", "2026-12-01T10:00:00Z", "<time>"),
        (
            "message",
            "The key acme is not enabled.",
            "The key <word> is not enabled.",
        ),
        (
            "Policy",
            r#"{"Version":"2012-10-17","Id":"acme"}"#,
            r#"{"Id":"<word>","Version":"2012-10-17"}"#,
        ),
    ] {
        assert_eq!(
            kinds(&replacer().value(field, value)),
            stays,
            "{field} {value}"
        );
    }
}

/// Each row: the header, and what stays of it.
#[test]
fn of_a_credential_only_its_kind_stays() {
    for (value, stays) in [
        ("Bearer dapi0123456789abcdef", "Bearer"),
        ("Basic YWxpY2U6c2VjcmV0", "Basic"),
        (
            "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20261201/eu-central-1/kms/aws4_request, SignedHeaders=host, Signature=abc",
            "AWS4-HMAC-SHA256 <word>/kms",
        ),
        ("secret", "<word>"),
    ] {
        let headers = replacer().headers(&[header("authorization", value)]);
        let shown = headers.get("authorization").map(|value| kinds(value));
        assert_eq!(shown.as_deref(), Some(stays), "{value}");
    }
}

#[test]
fn names_that_people_give_are_replaced_and_those_of_the_service_stay() {
    let body = json!({ "aws_key_info": { "brand_new": 1 }, "tags": { "acme_team": "x" } });
    let replaced = replacer().json("", true, &body).to_string();
    assert!(replaced.contains("brand_new"), "{replaced}");
    assert!(!replaced.contains("acme_team"), "{replaced}");
}

#[test]
fn a_size_stays_and_an_id_does_not() {
    let body = json!({ "key_size": 2048, "code": 403, "workspace_id": 42, "status": 123_456 });
    let replaced = replacer().json("", true, &body);
    assert_eq!(replaced.get("key_size"), Some(&json!(2048)));
    assert_eq!(replaced.get("code"), Some(&json!(403)));
    for name in ["workspace_id", "status"] {
        let text = replaced
            .get(name)
            .and_then(Json::as_str)
            .unwrap_or_default();
        assert_eq!(kinds(text), "<number>", "{name}");
    }
}

#[test]
fn a_value_has_the_same_mark_wherever_it_is() {
    let replacer = Replacer::remembering(b"another");
    let in_path =
        replacer.path("/api/2.0/accounts/2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11/workspaces/42");
    let in_body = replacer.json("", true, &json!({ "workspace_id": 42 }));
    let text = in_body.to_string();
    let mark = |text: &str| {
        crate::parts(text)
            .into_iter()
            .filter_map(|part| match part {
                crate::Part::Replaced(one) => Some(one.mark),
                crate::Part::Kept(_) => None,
            })
            .next_back()
    };
    assert_eq!(mark(&in_path), mark(&text));
    assert_eq!(
        mark(&text)
            .and_then(|mark| replacer.behind(&mark))
            .as_deref(),
        Some("42")
    );
}

#[test]
fn xml_is_taken_apart_or_replaced_as_a_whole() {
    let headers = [header("content-type", "text/xml")];
    let read = |text: &str| replacer().body(&headers, text.as_bytes());
    let Body::Xml(texts) = read(
        "<?xml version=\"1.0\"?><E xmlns=\"x\"><Code>NoSuch</Code><Empty/><Arn>a&amp;b</Arn></E>",
    ) else {
        panic!("it is XML");
    };
    let texts: Vec<(String, String)> = texts
        .into_iter()
        .map(|(path, text)| (path, kinds(&text)))
        .collect();
    assert_eq!(
        texts,
        [
            ("E/Code".to_owned(), "NoSuch".to_owned()),
            ("E/Empty".to_owned(), String::new()),
            ("E/Arn".to_owned(), "<word>&b".to_owned()),
        ]
    );
    for broken in [
        "<a><b></a>",
        "<a>",
        "<a>&unknown;</a>",
        "<a><!-- acme --></a>",
        "acme<a></a>",
    ] {
        let Body::Other(text) = read(broken) else {
            panic!("{broken} is not XML");
        };
        assert_eq!(kinds(&text), "<bytes>", "{broken}");
    }
}

/// A secret as services have them: a token, a password, an ID, a name.
fn secret() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z0-9+/]{20,60}={0,2}",
        "[a-z]{5,12}-[a-z]{5,12}-[a-z]{5,12}",
        "[0-9]{12}",
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "AKIA[A-Z0-9]{16}",
        "dapi[0-9a-f]{32}",
        "eyJ[A-Za-z0-9_-]{20,40}\\.eyJ[A-Za-z0-9_-]{20,40}\\.[A-Za-z0-9_-]{20,40}",
        "[a-z]{6,10}\\.[a-z]{6,10}@[a-z]{6,12}\\.example",
        "\\PC{6,30}",
    ]
}

/// Where a secret is planted.
fn planted(secret: &str, place: usize) -> (Vec<(String, String)>, String, String, String) {
    let json = |body: Json| {
        (
            vec![header("content-type", "application/json")],
            body.to_string(),
        )
    };
    let (headers, body) = match place {
        0 => json(json!({ "customer_managed_key_id": secret })),
        1 => json(json!({ "aws_key_info": { "key_alias": secret } })),
        2 => json(json!({ "custom_tags": { secret: secret } })),
        3 => json(json!({ "message": format!("The key {secret} is not enabled") })),
        4 => json(
            json!({ "Policy": json!({ "Statement": [{ "Sid": secret, "Principal": { "AWS": secret } }] }).to_string() }),
        ),
        5 => json(json!([{ "deep": [[{ "value": [secret] }]] }])),
        6 => (
            vec![header("content-type", "application/x-www-form-urlencoded")],
            format!(
                "grant_type=client_credentials&client_secret={}",
                bodies::encoded(secret).replace(['&', '+', '='], "~")
            ),
        ),
        7 => (
            vec![header("content-type", "text/xml")],
            format!("<A><Arn>{}</Arn></A>", secret.replace(['<', '>', '&'], "~")),
        ),
        8 => (
            vec![header("content-type", "text/plain")],
            format!("CODE: {secret}"),
        ),
        9 => (
            vec![header("content-type", "application/octet-stream")],
            secret.to_owned(),
        ),
        10 => (
            vec![
                header("authorization", secret),
                header("location", secret),
                header("retry-after", secret),
            ],
            String::new(),
        ),
        _ => json(
            json!({ "error": { "message": secret, "details": [{ "metadata": { secret: 1 } }] } }),
        ),
    };
    let path = format!("/api/2.0/accounts/{}", bodies::encoded(secret));
    let query = format!(
        "name={}",
        bodies::encoded(secret).replace(['&', '+', '='], "~")
    );
    (headers, body, path, query)
}

proptest! {
    /// Whatever a secret looks like and wherever it stands, no piece of it that is not a word of the lists is in the line.
    #[test]
    fn no_planted_secret_stays(secret in secret(), place in 0_usize..12) {
        let (headers, body, path, query) = planted(&secret, place);
        let request = RawRequest {
            method: "POST",
            host: &secret,
            path: &path,
            query: &query,
            headers: &headers,
            body: body.as_bytes(),
        };
        let replacer = replacer();
        let answer = replacer.answer(&RawAnswer { status: 200, headers: &headers, body: body.as_bytes() });
        let exchange = replacer.exchange(&request, Outcome::Answer(answer), (0, 0));
        let line = serde_json::to_string(&exchange).expect("a line");
        let read = crate::read(&line).expect("it can be read again");
        prop_assert_eq!(read, [exchange]);
        let kept: String = every_kept(&line);
        let pieces = secret.split(|c: char| !c.is_alphanumeric() && !matches!(c, '-' | '_'));
        for piece in pieces.filter(|piece| piece.chars().count() >= 5) {
            if !words::is_word(piece) && !words::is_prose(piece) {
                prop_assert!(!kept.contains(piece), "{} of {} is in {}", piece, secret, line);
            }
        }
    }

    /// The same value has the same placeholder, and different values have different ones.
    #[test]
    fn marks_are_those_of_the_values(one in "[a-z0-9-]{1,20}", other in "[a-z0-9-]{1,20}") {
        let replacer = replacer();
        prop_assert_eq!(replacer.replaced(&one), replacer.replaced(&one));
        prop_assert_eq!(replacer.replaced(&one) == replacer.replaced(&other), one == other);
        prop_assert_ne!(replacer.replaced(&one), Replacer::new(b"of another recording").replaced(&one));
    }

    /// A service may answer anything.
    #[test]
    fn any_bytes_are_taken(body in proptest::collection::vec(any::<u8>(), 0..200), media in 0_usize..4) {
        let media = ["application/json", "text/xml", "text/plain", "application/x-www-form-urlencoded"].get(media).copied().unwrap_or_default();
        let answer = replacer().answer(&RawAnswer { status: 200, headers: &[header("content-type", media)], body: &body });
        prop_assert_eq!(answer.body.is_empty(), body.is_empty());
    }
}

/// The text of a line without its placeholders.
fn every_kept(line: &str) -> String {
    crate::parts(line)
        .into_iter()
        .map(|part| match part {
            crate::Part::Kept(text) => text,
            crate::Part::Replaced(_) => "|",
        })
        .collect()
}
