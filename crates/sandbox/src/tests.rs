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
    for operation in [
        "DescribeKey",
        "GetKeyLastUsage",
        "GetKeyPolicy",
        "PutKeyPolicy",
        "DisableKey",
    ] {
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

/// Without a use, KMS shows an empty object; tracking begins with a key that is younger than tracking itself.
#[test]
fn the_last_use_of_a_key_is_recorded() {
    let sandbox = sandbox();
    let (_, created) = sandbox.kms("CreateKey", &json!({}));
    let id = text(&created, "/KeyMetadata/KeyId").to_owned();
    let ask = |named: &str| sandbox.kms("GetKeyLastUsage", &json!({ "KeyId": named }));
    let (_, never) = ask(&id);
    assert_eq!(never["KeyLastUsage"], json!({}));
    assert_eq!(never["TrackingStartDate"], never["KeyCreationDate"]);
    let own = (REGION.to_owned(), id.clone());
    sandbox.with(|world| {
        let key = world.now.keys.get_mut(&own).expect("the key");
        key.metadata.insert("CreationDate".to_owned(), json!(1));
        let used = ("Decrypt".to_owned(), 1_790_000_000);
        world.now.last_uses.insert(own.clone(), used);
    });
    let (_, used) = ask(&id);
    assert_eq!(used["KeyLastUsage"]["Operation"], "Decrypt");
    assert_eq!(used["KeyLastUsage"]["Timestamp"], 1_790_000_000);
    assert_eq!(used["KeyCreationDate"], 1);
    assert!(used["TrackingStartDate"].as_i64() > Some(1), "{used}");
    let (status, refused) = ask("alias/lakehouse");
    assert_eq!(
        (status, text(&refused, "/__type")),
        (400, "InvalidArnException")
    );
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

mod unity {
    use super::*;
    use crate::unity::{AZURE_METASTORE, GOOGLE_METASTORE, METASTORE};
    use crate::{CLIENT_ID, CLIENT_SECRET, WORKSPACE, account, server};
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    const HOST: &str = "lakehouse-prod.cloud.databricks.com";

    impl Sandbox {
        /// What a service answers to a request, without the wire.
        fn asked(
            &self,
            method: &str,
            path: &str,
            headers: &[(&str, &str)],
            body: &str,
        ) -> (u16, Json) {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            let request = request(method, path, headers, body.to_owned());
            let runtime = runtime.expect("a runtime");
            said(&runtime.block_on(server::answer(&self.shared, &request, None)))
        }

        fn of_account(&self, path: &str) -> (u16, Json) {
            let bearer = format!("Bearer {}", account::TOKEN);
            let path = format!("/api/2.0/accounts/{}/{path}", crate::ACCOUNT_ID);
            self.asked("GET", &path, &[("authorization", &bearer)], "")
        }

        fn token_of(&self, host: &str) -> String {
            let basic = STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"));
            let form = "grant_type=client_credentials&scope=all-apis";
            let headers = [("authorization", format!("Basic {basic}"))];
            let headers = headers
                .each_ref()
                .map(|(name, value)| (*name, value.as_str()));
            let (status, answer) =
                self.asked("POST", &format!("/{host}/oidc/v1/token"), &headers, form);
            assert_eq!(status, 200, "{answer}");
            format!("Bearer {}", text(&answer, "/access_token"))
        }

        fn catalog_api(&self, host: &str, path: &str) -> (u16, Json) {
            let token = self.token_of(host);
            let path = format!("/{host}/api/2.1/unity-catalog/{path}");
            self.asked("GET", &path, &[("authorization", &token)], "")
        }

        /// All names of a list, page by page, and how many pages there were.
        fn names(&self, host: &str, list: &str, query: &str) -> (Vec<String>, usize) {
            let (mut names, mut pages, mut token) = (Vec::new(), 0, String::new());
            loop {
                let next = match token.is_empty() {
                    true => String::new(),
                    false => format!("&page_token={token}"),
                };
                let (status, page) =
                    self.catalog_api(host, &format!("{list}?max_results=0{query}{next}"));
                assert_eq!(status, 200, "{page}");
                pages += 1;
                let field = list.replace('-', "_");
                let entries = page.get(&field).and_then(Json::as_array).cloned();
                let entries = entries.unwrap_or_default();
                names.extend(entries.iter().map(|one| text(one, "/name").to_owned()));
                token = text(&page, "/next_page_token").to_owned();
                if token.is_empty() {
                    return (names, pages);
                }
            }
        }
    }

    #[test]
    fn the_account_has_metastores_and_says_which_workspaces_they_have() {
        let sandbox = sandbox();
        let (status, all) = sandbox.of_account("metastores");
        let ids: Vec<&str> = all["metastores"]
            .as_array()
            .map(|all| all.iter().map(|one| text(one, "/metastore_id")).collect())
            .unwrap_or_default();
        assert_eq!(
            (status, ids),
            (200, vec![METASTORE, GOOGLE_METASTORE, AZURE_METASTORE])
        );
        let (_, own) = sandbox.of_account(&format!("metastores/{METASTORE}/workspaces"));
        assert_eq!(own["workspace_ids"][0], json!(WORKSPACE));
        let (_, own) = sandbox.of_account(&format!("metastores/{METASTORE}"));
        assert_eq!(own["metastore_info"]["region"], REGION);
        assert_eq!(sandbox.of_account("metastores/none/workspaces").0, 404);
    }

    /// A workspace accepts its own tokens alone, and a client reaches it by its host in the path or as through a proxy.
    #[test]
    fn a_workspace_has_a_host_and_tokens_of_its_own() {
        let sandbox = sandbox();
        let path = "/api/2.1/unity-catalog/metastore_summary";
        let own = sandbox.token_of(HOST);
        let account = format!("Bearer {}", account::TOKEN);
        let other = sandbox.token_of("lakehouse-dev.cloud.databricks.com");
        for (token, wanted) in [(&own, 200), (&account, 401), (&other, 401)] {
            let headers = [("authorization", token.as_str())];
            let (status, _) = sandbox.asked("GET", &format!("/{HOST}{path}"), &headers, "");
            assert_eq!(status, wanted, "{token}");
            let headers = [("authorization", token.as_str()), ("host", HOST)];
            let (status, _) = sandbox.asked("GET", path, &headers, "");
            assert_eq!(status, wanted, "{token}, by its host");
        }
        for (host, metastore) in [
            ("lakehouse-google.gcp.databricks.com", GOOGLE_METASTORE),
            (
                "adb-4567890123456789.9.azuredatabricks.net",
                AZURE_METASTORE,
            ),
        ] {
            let (status, summary) = sandbox.catalog_api(host, "metastore_summary");
            assert_eq!(
                (status, text(&summary, "/metastore_id")),
                (200, metastore),
                "{host}"
            );
        }
        let (status, _) = sandbox.asked(
            "POST",
            "/nobody.cloud.databricks.com/oidc/v1/token",
            &[],
            "",
        );
        assert_eq!(status, 401);
    }

    #[test]
    fn lists_come_in_pages_and_a_page_may_be_empty() {
        let sandbox = sandbox();
        let (names, pages) = sandbox.names(HOST, "catalogs", "");
        assert_eq!(
            (names, pages),
            (
                vec!["main".into(), "lakehouse_prod".into(), "system".into()],
                3
            )
        );
        let (_, first) = sandbox.catalog_api(HOST, "catalogs?max_results=0");
        assert!(first.get("catalogs").is_none() && !text(&first, "/next_page_token").is_empty());
        let (_, all) = sandbox.catalog_api(HOST, "catalogs");
        assert_eq!(
            all["catalogs"].as_array().map(Vec::len),
            Some(3),
            "without pages"
        );
        for query in [
            "max_results=-1",
            "max_results=x",
            "max_results=0&page_token=y",
        ] {
            let (status, refused) = sandbox.catalog_api(HOST, &format!("catalogs?{query}"));
            assert_eq!(
                (status, text(&refused, "/error_code")),
                (400, "INVALID_PARAMETER_VALUE"),
                "{query}"
            );
        }
        for (list, field) in [
            ("external-locations", "credential_name"),
            ("storage-credentials", "aws_iam_role"),
        ] {
            let (_, all) = sandbox.catalog_api(HOST, list);
            let first = all.pointer(&format!("/{}/0/{field}", list.replace('-', "_")));
            assert!(first.is_some(), "{list}: {all}");
        }
    }

    /// Each row: who asks, and what a list of catalogs shows.
    #[test]
    fn who_may_not_read_sees_less_and_is_not_told() {
        let sandbox = sandbox();
        let dev = "lakehouse-dev.cloud.databricks.com";
        let stage = |body: &Json| {
            let (status, answer) =
                sandbox.control("PATCH", &format!("metastores/{METASTORE}"), body);
            assert_eq!(status, 200, "{answer}");
        };
        stage(&json!({ "catalogs": {
            "sealed": { "managed_encryption_settings": { "customer_managed_key_id": "k" }, "sight": "browse" },
            "hidden": { "sight": "nothing" },
        } }));
        let names = |host: &str, query: &str| {
            let (mut names, _) = sandbox.names(host, "catalogs", query);
            names.sort();
            names.join(" ")
        };
        assert_eq!(names(HOST, ""), "hidden lakehouse_prod main sealed system");
        // Bound to another workspace.
        assert_eq!(names(dev, ""), "hidden main sealed system");
        assert_eq!(
            names(dev, "&include_unbound=true"),
            "hidden lakehouse_prod main sealed system"
        );
        let (_, sealed) = sandbox.catalog_api(HOST, "catalogs/sealed");
        assert_eq!(
            text(
                &sealed,
                "/managed_encryption_settings/customer_managed_key_id"
            ),
            "k"
        );
        stage(&json!({ "caller_is_no_admin": true }));
        assert_eq!(names(HOST, ""), "lakehouse_prod main system");
        assert_eq!(
            names(HOST, "&include_browse=true"),
            "lakehouse_prod main sealed system"
        );
        assert_eq!(
            names(dev, "&include_unbound=true"),
            "main system",
            "without effect"
        );
        let (_, sealed) = sandbox.catalog_api(HOST, "catalogs/sealed?include_browse=true");
        assert_eq!(sealed["browse_only"], json!(true));
        assert!(sealed.get("managed_encryption_settings").is_none());
        let (status, _) = sandbox.control(
            "PATCH",
            "unity",
            &json!({ "include_unbound": "refused", "page": 5 }),
        );
        assert_eq!(status, 200);
        let (status, refused) = sandbox.catalog_api(dev, "catalogs?include_unbound=true");
        assert_eq!(
            (status, text(&refused, "/error_code")),
            (403, "PERMISSION_DENIED")
        );
        let (status, _) = sandbox.control("PATCH", "unity", &json!({ "closed": [WORKSPACE] }));
        assert_eq!(status, 200);
        let (status, refused) = sandbox.catalog_api(HOST, "catalogs");
        assert_eq!(
            (status, &refused["error_code"]),
            (403, &json!(403)),
            "{refused}"
        );
        // A workspace without a metastore.
        stage(&json!({ "workspaces": [WORKSPACE] }));
        let (status, refused) = sandbox.catalog_api(dev, "catalogs");
        assert_eq!(
            (status, text(&refused, "/error_code")),
            (404, "METASTORE_DOES_NOT_EXIST")
        );
    }

    #[test]
    fn the_stage_refuses_what_it_does_not_know() {
        let sandbox = sandbox();
        let before = sandbox.control("GET", "metastores", &json!({}));
        for body in [
            json!({ "workspaces": "all" }),
            json!({ "catalogs": [] }),
            json!({ "catalogs": { "x": 1 } }),
            json!({ "catalogs": { "x": { "sight": "half" } } }),
            json!({ "caller_is_no_admin": 1 }),
        ] {
            let path = format!("metastores/{METASTORE}");
            assert_eq!(sandbox.control("PATCH", &path, &body).0, 400, "{body}");
        }
        for body in [
            json!({ "page": 0 }),
            json!({ "include_unbound": "x" }),
            json!({ "x": 1 }),
        ] {
            assert_eq!(sandbox.control("PATCH", "unity", &body).0, 400, "{body}");
        }
        assert_eq!(sandbox.control("GET", "metastores", &json!({})), before);
        let gone = json!({ "catalogs": { "main": null } });
        let (_, shown) = sandbox.control("PATCH", &format!("metastores/{METASTORE}"), &gone);
        assert!(shown["catalogs"].get("main").is_none(), "{shown}");
        let (_, made) =
            sandbox.control("PATCH", "metastores/new", &json!({ "region": "eu-west-1" }));
        assert_eq!(
            (&made["region"], &made["catalogs"]),
            (&json!("eu-west-1"), &json!({}))
        );
        assert_eq!(
            sandbox.control("DELETE", "metastores/new", &json!({})).0,
            200
        );
        assert_eq!(
            sandbox.control("DELETE", "metastores/new", &json!({})).0,
            404
        );
    }
}

mod buckets {
    use super::*;
    use crate::{gcp, server};

    impl Sandbox {
        fn whole(&self, method: &str, path: &str, authorization: &str) -> Answer {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            let runtime = runtime.expect("a runtime");
            let request = request(
                method,
                path,
                &[("authorization", authorization)],
                String::new(),
            );
            runtime.block_on(server::answer(&self.shared, &request, None))
        }

        fn bucket(&self, cloud: &str, name: &str, changes: &Json) -> u16 {
            self.control("PATCH", &format!("buckets/{cloud}/{name}"), changes)
                .0
        }
    }

    fn signed(region: &str) -> String {
        format!("AWS4-HMAC-SHA256 Credential=AKIA/20260101/{region}/s3/aws4_request")
    }

    /// Each row: what is changed of a bucket of S3, and the status and a word of the answer.
    #[test]
    fn a_bucket_of_s3_says_what_key_it_has() {
        let sandbox = sandbox();
        let key = "arn:aws:kms:eu-central-1:123456789012:key/1";
        let rows = [
            (
                json!({}),
                200,
                "<SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>"
                    .to_owned(),
            ),
            (
                json!({ "kms_key": key }),
                200,
                format!(
                    "<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>{key}</KMSMasterKeyID>"
                ),
            ),
            (
                json!({ "kms_key": null, "algorithm": "aws:kms" }),
                200,
                "<SSEAlgorithm>aws:kms</SSEAlgorithm></App".to_owned(),
            ),
            (
                json!({ "algorithm": null }),
                404,
                "ServerSideEncryptionConfigurationNotFoundError".to_owned(),
            ),
            (json!({ "denied": true }), 403, "AccessDenied".to_owned()),
            (
                json!({ "region": "us-east-1" }),
                301,
                "PermanentRedirect".to_owned(),
            ),
        ];
        for (changes, status, word) in rows {
            assert_eq!(
                sandbox.bucket("aws", "acme-tables", &changes),
                200,
                "{changes}"
            );
            let answer = sandbox.whole("GET", "/acme-tables?encryption=", &signed(REGION));
            assert_eq!(answer.status, status, "{changes}: {}", answer.body);
            assert!(answer.body.contains(&word), "{changes}: {}", answer.body);
        }
        // A caller that asks in the wrong region, or may not read, still learns the region.
        let head = sandbox.whole("HEAD", "/acme-tables", &signed(REGION));
        let region = ("x-amz-bucket-region".to_owned(), "us-east-1".to_owned());
        assert_eq!((head.status, head.body.as_str()), (301, ""));
        assert!(head.headers.contains(&region), "{head:?}");
        let head = sandbox.whole("HEAD", "/acme-tables", &signed("us-east-1"));
        assert!(
            head.status == 403 && head.headers.contains(&region),
            "{head:?}"
        );
        assert_eq!(sandbox.whole("HEAD", "/none", &signed(REGION)).status, 404);
        let read = sandbox.whole("GET", "/acme-workspace-bucket", &signed(REGION));
        assert_eq!(read.status, 501, "objects are not here");
    }

    #[test]
    fn a_bucket_of_google_says_what_key_it_has() {
        let sandbox = sandbox();
        let bearer = format!("Bearer {}", gcp::TOKEN);
        let read =
            |name: &str| said(&sandbox.whole("GET", &format!("/storage/v1/b/{name}"), &bearer));
        let (_, bucket) = read("acme-tables");
        assert_eq!(text(&bucket, "/projectNumber"), gcp::PROJECT_NUMBER);
        assert!(bucket.get("encryption").is_none());
        let key = "projects/p/locations/us-east4/keyRings/r/cryptoKeys/k";
        assert_eq!(
            sandbox.bucket("gcp", "acme-tables", &json!({ "kms_key": key })),
            200
        );
        assert_eq!(
            text(&read("acme-tables").1, "/encryption/defaultKmsKeyName"),
            key
        );
        assert_eq!(
            sandbox.bucket(
                "gcp",
                "acme-tables",
                &json!({ "denied": true, "kms_key": null })
            ),
            200
        );
        assert_eq!((read("acme-tables").0, read("none").0), (403, 404));
        assert_eq!(
            sandbox.bucket("gcp", "acme-tables", &json!({ "denied": false })),
            200
        );
        assert!(read("acme-tables").1.get("encryption").is_none());
    }

    #[test]
    fn a_storage_account_says_what_key_it_has() {
        let sandbox = sandbox();
        sandbox.with(|world| {
            let audience = "https://management.azure.com".to_owned();
            world.now.azure.tokens.insert("token".to_owned(), audience);
        });
        let read = |path: &str| {
            said(&sandbox.whole(
                "GET",
                &format!("/arm{path}?api-version=2025-01-01"),
                "Bearer token",
            ))
        };
        let id = azure::resource("Microsoft.Storage/storageAccounts", "acmetables");
        let all = format!(
            "/subscriptions/{}/providers/Microsoft.Storage/storageAccounts",
            azure::SUBSCRIPTION
        );
        let source = |account: &Json| text(account, "/properties/encryption/keySource").to_owned();
        assert_eq!(source(&read(&id).1), "Microsoft.Storage");
        assert_eq!(read(&all).1["value"][0]["name"], "acmetables");
        let key = "https://acme-lakehouse.vault.azure.net/keys/main";
        assert_eq!(
            sandbox.bucket("azure", "acmetables", &json!({ "kms_key": key })),
            200
        );
        let (_, account) = read(&id.to_uppercase());
        assert_eq!(source(&account), "Microsoft.Keyvault");
        let of_key = |field: &str| {
            text(
                &account,
                &format!("/properties/encryption/keyvaultproperties/{field}"),
            )
            .to_owned()
        };
        let wanted = (
            "https://acme-lakehouse.vault.azure.net".to_owned(),
            "main".to_owned(),
            String::new(),
        );
        assert_eq!(
            (
                of_key("keyvaulturi"),
                of_key("keyname"),
                of_key("keyversion")
            ),
            wanted
        );
        assert!(!text(&account, "/identity/principalId").is_empty());
        assert_eq!(
            sandbox.bucket("azure", "acmetables", &json!({ "denied": true })),
            200
        );
        // One that may not be read is missing from the list, and refused by its name.
        assert_eq!((read(&id).0, &read(&all).1["value"]), (403, &json!([])));
        assert_eq!(read(&format!("{id}x")).0, 404);
    }

    #[test]
    fn the_stage_refuses_what_it_does_not_know() {
        let sandbox = sandbox();
        let before = sandbox.control("GET", "buckets", &json!({}));
        for (cloud, body) in [
            ("other", json!({})),
            ("aws", json!({ "x": 1 })),
            ("aws", json!({ "kms_key": 1 })),
            ("gcp", json!({ "region": "us" })),
            ("azure", json!({ "denied": "no" })),
            ("azure", json!({ "kms_key": "main" })),
        ] {
            assert_eq!(
                sandbox.bucket(cloud, "acmetables", &body),
                400,
                "{cloud}: {body}"
            );
        }
        assert_eq!(sandbox.control("GET", "buckets", &json!({})), before);
    }
}
