//! The sandbox, asked as its clients ask it.

use serde_json::{Value as Json, json};

use crate::azure::{HSM, KEY, VAULT, VERSION, WORKSPACE as AZURE_WORKSPACE, workspace_id};
use crate::http::{Answer, Request};
use crate::{AWS_ACCOUNT, Options, REGION, Sandbox, azure, control, iam, kms};

fn sandbox() -> Sandbox {
    let options = Options {
        google: true,
        azure: true,
        ..Options::default()
    };
    Sandbox::start(options).expect("a port to listen on")
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: String) -> Request {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: crate::http::parameters(query),
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body: body.into_bytes(),
    }
}

fn said(answer: &Answer) -> (u16, Json) {
    let body = serde_json::from_str(&answer.body).unwrap_or(Json::Null);
    (answer.status, body)
}

impl Sandbox {
    fn kms(&self, operation: &str, body: &Json) -> (u16, Json) {
        let scope = format!("AWS4 Credential=AKIA/20260101/{REGION}/kms/aws4_request");
        let headers = [("authorization", scope.as_str())];
        let request = request("POST", "/", &headers, body.to_string());
        said(&kms::answer(&self.shared, &request, operation, None))
    }

    fn iam(&self, action: &str, form: &str) -> (u16, String) {
        let body = format!("Action={action}&Version=2010-05-08&{form}");
        let answer = iam::answer(&self.shared, &request("POST", "/", &[], body), action);
        (answer.status, answer.body)
    }

    fn vault(&self, method: &str, path: &str, body: &Json) -> (u16, Json) {
        let domain = if path.starts_with(HSM) {
            "managedhsm"
        } else {
            "vault"
        };
        let audience = format!("https://{domain}.azure.net");
        self.with(|world| {
            world.now.azure.tokens.insert("token".to_owned(), audience);
        });
        let headers = [("authorization", "Bearer token")];
        let request = request(
            method,
            &format!("/vault/{path}"),
            &headers,
            body.to_string(),
        );
        said(&azure::answer(&self.shared, &request, None))
    }

    fn control(&self, method: &str, path: &str, body: &Json) -> (u16, Json) {
        let path = format!("/_sandbox/{path}");
        let request = request(method, &path, &[], body.to_string());
        said(&control::answer(&self.shared, &request))
    }
}

fn text<'a>(json: &'a Json, pointer: &str) -> &'a str {
    json.pointer(pointer)
        .and_then(Json::as_str)
        .unwrap_or_default()
}

#[test]
fn a_key_is_in_one_account() {
    let sandbox = sandbox();
    let (_, created) = sandbox.kms("CreateKey", &json!({}));
    let own = text(&created, "/KeyMetadata/Arn").to_owned();
    let foreign = own.replace(AWS_ACCOUNT, "999956789012");
    let (_, policy) = sandbox.kms("GetKeyPolicy", &json!({ "KeyId": own }));
    let policy = text(&policy, "/Policy");
    for operation in ["DescribeKey", "GetKeyPolicy", "PutKeyPolicy", "DisableKey"] {
        let of = |key: &str| json!({ "KeyId": key, "PolicyName": "default", "Policy": policy });
        assert_eq!(sandbox.kms(operation, &of(&own)).0, 200, "{operation}");
        let (status, refused) = sandbox.kms(operation, &of(&foreign));
        assert_eq!(
            (status, text(&refused, "/__type")),
            (400, "NotFoundException"),
            "{operation}: {refused}"
        );
    }
}

#[test]
fn a_key_policy_names_what_iam_has() {
    let sandbox = sandbox();
    let (_, created) = sandbox.kms("CreateKey", &json!({}));
    let key = text(&created, "/KeyMetadata/Arn").to_owned();
    let root = format!("arn:aws:iam::{AWS_ACCOUNT}:root");
    let put = |principal: &str| {
        let statement = |who: &str| json!({ "Effect": "Allow", "Principal": { "AWS": who }, "Action": "kms:*", "Resource": "*" });
        let policy = json!({ "Version": "2012-10-17", "Statement": [statement(&root), statement(principal)] });
        let (_, answer) = sandbox.kms(
            "PutKeyPolicy",
            &json!({ "KeyId": key, "PolicyName": "default", "Policy": policy.to_string() }),
        );
        text(&answer, "/message").to_owned()
    };
    let invalid = "Policy contains a statement with one or more invalid principals.";
    let team = format!("arn:aws:iam::{AWS_ACCOUNT}:role/teams/team");
    let rows = [
        (root.as_str(), ""),
        (crate::ROLE_ARN, ""),
        (&format!("arn:aws:iam::{AWS_ACCOUNT}:role/terraform"), ""),
        ("arn:aws:iam::414351767826:root", ""),
        ("arn:aws:iam::999956789012:role/of-others", ""),
        (&format!("arn:aws:iam::{AWS_ACCOUNT}:role/typo"), invalid),
        (&format!("arn:aws:iam::{AWS_ACCOUNT}:user/typo"), invalid),
        (team.as_str(), invalid),
        ("AROAEXAMPLE", invalid),
    ];
    for (principal, expected) in rows {
        assert_eq!(put(principal), expected, "{principal}");
    }
    let form = "RoleName=team&Path=/teams/&AssumeRolePolicyDocument=%7B%7D&Tags.member.1.Key=a&Tags.member.1.Value=b";
    assert_eq!(sandbox.iam("CreateRole", form).0, 200);
    assert_eq!(sandbox.iam("CreateRole", form).0, 409);
    assert_eq!(put(&team), "");
    let (_, shown) = sandbox.iam("GetRole", "RoleName=team");
    assert!(
        shown.contains("<Path>/teams/</Path>") && shown.contains(&team),
        "{shown}"
    );
    assert!(shown.contains("<Key>a</Key><Value>b</Value>"), "{shown}");
    assert_eq!(
        sandbox
            .iam("UntagRole", "RoleName=team&TagKeys.member.1=a")
            .0,
        200
    );
    let (_, shown) = sandbox.iam("ListRoleTags", "RoleName=team");
    assert!(shown.contains("<Tags></Tags>"), "{shown}");
    let inline = "RoleName=team&PolicyName=own&PolicyDocument=%7B%7D";
    assert_eq!(sandbox.iam("PutRolePolicy", inline).0, 200);
    assert_eq!(sandbox.iam("DeleteRole", "RoleName=team").0, 409);
    assert_eq!(sandbox.iam("DeleteRolePolicy", inline).0, 200);
    assert_eq!(sandbox.iam("DeleteRole", "RoleName=team").0, 200);
    assert_eq!(put(&team), invalid);
}

/// Each row: what a key is created with, and whether it wraps and unwraps then.
#[test]
fn a_key_of_a_vault_does_what_its_attributes_let_it_do() {
    let sandbox = sandbox();
    let now = doors::clock::now().unix_timestamp();
    let forbidden = "KeyOperationForbidden";
    let rows = [
        (json!({ "kty": "RSA" }), "", ""),
        (
            json!({ "kty": "RSA", "attributes": { "exp": now - 10 } }),
            forbidden,
            "",
        ),
        (
            json!({ "kty": "RSA", "attributes": { "nbf": now + 1000 } }),
            forbidden,
            "",
        ),
        (
            json!({ "kty": "RSA", "attributes": { "nbf": now - 10, "exp": now + 1000 } }),
            "",
            "",
        ),
        (
            json!({ "kty": "RSA", "attributes": { "enabled": false } }),
            "",
            "KeyDisabled",
        ),
        (
            json!({ "kty": "RSA", "key_ops": ["wrapKey"] }),
            "",
            forbidden,
        ),
        (
            json!({ "kty": "RSA", "key_ops": ["sign", "unwrapKey"] }),
            forbidden,
            "",
        ),
    ];
    for vault in [VAULT, HSM] {
        for (body, wraps, unwraps) in &rows {
            let (status, made) = sandbox.vault("POST", &format!("{vault}/keys/own/create"), body);
            assert_eq!(status, 200, "{made}");
            for field in ["/attributes/exp", "/attributes/nbf", "/attributes/enabled"] {
                let wanted = body.pointer(field);
                assert!(
                    wanted.is_none() || made.pointer(field) == wanted,
                    "{field} of {made}"
                );
            }
            if let Some(operations) = body.get("key_ops") {
                assert_eq!(made.pointer("/key/key_ops"), Some(operations));
            }
            let kid = text(&made, "/key/kid");
            let version = kid.rsplit('/').next().unwrap_or_default();
            for (operation, expected) in [("wrapkey", wraps), ("unwrapkey", unwraps)] {
                let path = format!("{vault}/keys/own/{version}/{operation}");
                let asked = json!({ "alg": "RSA-OAEP-256", "value": "AQ" });
                let (status, answer) = sandbox.vault("POST", &path, &asked);
                let code = text(&answer, "/error/innererror/code");
                let status_of = if expected.is_empty() { 200 } else { 403 };
                assert_eq!(
                    (status, code),
                    (status_of, *expected),
                    "{operation} of {body}"
                );
            }
        }
    }
    let (_, changed) = sandbox.vault(
        "PATCH",
        &format!("{VAULT}/keys/{KEY}/{VERSION}"),
        &json!({ "key_ops": ["unwrapKey"], "attributes": { "exp": now + 5 } }),
    );
    assert_eq!(
        (
            changed.pointer("/key/key_ops"),
            changed.pointer("/attributes/exp")
        ),
        (Some(&json!(["unwrapKey"])), Some(&json!(now + 5)))
    );
    let (_, rotated) = sandbox.vault("POST", &format!("{VAULT}/keys/{KEY}/rotate"), &json!({}));
    assert_eq!(
        (
            rotated.pointer("/key/key_ops"),
            rotated.pointer("/attributes/exp")
        ),
        (Some(&json!(["unwrapKey"])), None)
    );
}

#[test]
fn workspaces_of_every_cloud_are_changed_and_made() {
    let sandbox = sandbox();
    let azure = AZURE_WORKSPACE.to_string();
    let running = json!({ "has_running_compute": true });
    for id in [azure.as_str(), &workspace_id()] {
        let (status, shown) = sandbox.control("PATCH", &format!("workspaces/{id}"), &running);
        assert_eq!(status, 200, "{shown}");
        assert_eq!(
            (
                text(&shown, "/id"),
                text(&shown, "/workspace_id"),
                text(&shown, "/cloud"),
                shown.get("has_running_compute"),
            ),
            (
                workspace_id().as_str(),
                azure.as_str(),
                "azure",
                Some(&json!(true))
            )
        );
    }
    sandbox.with(|world| assert!(!world.now.workspaces.contains_key(&AZURE_WORKSPACE)));
    let sku = json!({ "sku": { "name": "standard" }, "properties": { "parameters": { "natGatewayName": null } } });
    let (_, shown) = sandbox.control("PATCH", &format!("workspaces/{azure}"), &sku);
    assert_eq!(
        (
            text(&shown, "/sku/name"),
            text(&shown, "/sku/tier"),
            shown.pointer("/properties/parameters/natGatewayName"),
        ),
        ("standard", "premium", None)
    );
    let (_, second) = sandbox.control(
        "PATCH",
        "workspaces/5555555555555555",
        &json!({ "cloud": "azure", "workspace_name": "second" }),
    );
    assert!(
        text(&second, "/id").ends_with("/workspaces/second"),
        "{second}"
    );
    let (_, second) = sandbox.control(
        "PATCH",
        "workspaces/6666666666666666",
        &json!({ "cloud": "gcp" }),
    );
    assert_eq!(
        (text(&second, "/location"), second.get("aws_region")),
        ("us-east4", None)
    );
    let (_, second) = sandbox.control("PATCH", "workspaces/7777777777777777", &json!({}));
    assert_eq!(text(&second, "/aws_region"), REGION);
    let (_, all) = sandbox.control("GET", "workspaces", &json!(null));
    assert_eq!(all.as_array().map(Vec::len), Some(7), "{all}");
    let gone = format!("workspaces/{}", workspace_id());
    assert_eq!(sandbox.control("DELETE", &gone, &json!(null)).0, 200);
    assert_eq!(sandbox.control("DELETE", &gone, &json!(null)).0, 404);
    assert_eq!(
        sandbox.control("PATCH", "workspaces/nope", &json!({})).0,
        400
    );
}

#[test]
fn a_cloud_that_is_not_there_has_no_workspaces() {
    let sandbox = Sandbox::start(Options::default()).expect("a port to listen on");
    for cloud in ["gcp", "azure"] {
        let (status, refused) =
            sandbox.control("PATCH", "workspaces/1", &json!({ "cloud": cloud }));
        assert_eq!(status, 400);
        assert!(
            text(&refused, "/message").contains("start it with"),
            "{refused}"
        );
    }
}

#[test]
fn a_fault_can_be_taken_back() {
    let sandbox = sandbox();
    let fault =
        |operation: &str| json!({ "operation": operation, "effect": "drop_before", "times": 9 });
    for operation in ["KMS DescribeKey", "PATCH", "GET"] {
        assert_eq!(sandbox.control("POST", "faults", &fault(operation)).0, 200);
    }
    let (_, all) = sandbox.control("GET", "faults", &json!(null));
    assert_eq!(
        (text(&all, "/0/operation"), text(&all, "/0/effect")),
        ("KMS DescribeKey", "drop_before")
    );
    let removed = json!({ "removed": 1 });
    let path = "faults?operation=KMS%20DescribeKey";
    assert_eq!(
        sandbox.control("DELETE", path, &json!(null)),
        (200, removed)
    );
    let removed = json!({ "removed": 2 });
    assert_eq!(
        sandbox.control("DELETE", "faults", &json!(null)),
        (200, removed)
    );
    let (_, none) = sandbox.control("GET", "faults", &json!(null));
    assert_eq!(none, json!([]));
}
