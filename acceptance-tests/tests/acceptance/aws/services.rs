//! The local services are what they claim to be: the official SDK of Databricks drives the account API, and the same checks
//! run over the sandbox's KMS and over LocalStack.

use acceptance_tests::harness::python::python;
use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::kms::Refusal;
use dbxcmk_sandbox::{Options, Sandbox};
use serde_json::{Value as Json, json};

use acceptance_tests::stage::{Over, Stage, policy};

/// Runs a script with the official SDK against a sandbox, and checks that all was as the SDK expects.
fn drive(sandbox: &Sandbox, script: &str, arguments: &[&str]) {
    let said = python("databricks-sdk", script, arguments, sandbox, &[]);
    assert!(said.contains("all as the SDK expects"), "{said}");
}

#[test]
fn the_official_sdk_of_databricks_drives_the_account_api() {
    let sandbox = Sandbox::start(Options::default()).unwrap();
    let kms = acceptance_tests::kms::Kms::new(&sandbox.url(), "eu-central-1");
    let key = kms.create_key(&json!({}));
    let statements = [
        acceptance_tests::stage::MANAGED_SERVICES,
        acceptance_tests::stage::STORAGE,
    ];
    kms.put_policy(&key, &policy(&key, &statements));
    drive(&sandbox, "drive.py", &[&key]);
}

#[test]
fn the_official_sdk_of_databricks_reads_unity_catalog() {
    let sandbox = Sandbox::start(Options {
        google: true,
        azure: true,
        ..Options::default()
    });
    drive(&sandbox.unwrap(), "unity.py", &[]);
}

/// What one call came to, in a word.
fn kind(outcome: Result<Json, Refusal>) -> String {
    outcome.map_or_else(
        |refusal| {
            refusal
                .kind
                .rsplit('#')
                .next()
                .unwrap_or_default()
                .to_owned()
        },
        |_| "done".to_owned(),
    )
}

/// Each row: what is tried, what the sandbox answers, what LocalStack answers. Where they differ, `aws` says which of the two
/// is like AWS, and why.
#[test]
fn both_kms_answer_alike_and_where_not_it_is_known_who_is_right() {
    struct Row {
        what: &'static str,
        sandbox: &'static str,
        localstack: &'static str,
        aws: &'static str,
    }
    let same = |what, answer| Row {
        what,
        sandbox: answer,
        localstack: answer,
        aws: "both",
    };
    let rows = [
        same("describe a key", "done"),
        same("describe a key that is not there", "NotFoundException"),
        same("describe an alias that is not there", "NotFoundException"),
        same("describe an alias", "done"),
        same("make an alias twice", "AlreadyExistsException"),
        same(
            "an alias without its prefix",
            "ValidationException or InvalidAliasNameException",
        ),
        same("a deletion window of three days", "ValidationException"),
        same("disable and enable", "Enabled"),
        same("schedule a deletion", "PendingDeletion"),
        same(
            "enable a key that is pending deletion",
            "KMSInvalidStateException",
        ),
        same("cancel a deletion", "Disabled"),
        same(
            "cancel a deletion that is not pending",
            "KMSInvalidStateException",
        ),
        same("a grant", "done"),
        Row {
            what: "revoke a grant that is not there",
            sandbox: "NotFoundException",
            localstack: "InvalidGrantIdException",
            aws: "neither is certain: AWS documents both errors for RevokeGrant, and NotFoundException for what cannot be found",
        },
        same("a good policy", "done"),
        Row {
            what: "a policy that is not JSON",
            sandbox: "MalformedPolicyDocumentException",
            localstack: "done",
            aws: "the sandbox: AWS parses the policy",
        },
        Row {
            what: "a policy that locks its writer out",
            sandbox: "MalformedPolicyDocumentException",
            localstack: "done",
            aws: "the sandbox: AWS asks whether the caller could put the policy again",
        },
        Row {
            what: "a policy of forty thousand bytes",
            sandbox: "LimitExceededException",
            localstack: "done",
            aws: "the sandbox: a key policy has at most 32,768 bytes",
        },
        Row {
            what: "a policy for a key that is pending deletion",
            sandbox: "KMSInvalidStateException",
            localstack: "done",
            aws: "the sandbox: such a key admits no change but the cancellation",
        },
    ];
    for over in [Over::Sandbox, Over::LocalStack] {
        for row in &rows {
            let answer = tried(over, row.what);
            let expected = if over == Over::Sandbox {
                row.sandbox
            } else {
                row.localstack
            };
            assert!(
                expected.split(" or ").any(|one| one == answer),
                "{} over {over:?}: {answer} (like AWS: {})",
                row.what,
                row.aws
            );
        }
    }
}

fn tried(over: Over, what: &str) -> String {
    let kms = Stage::new(over).into_kms();
    let (kms, _keep) = (&kms.0, &kms.1);
    let key = kms.create_key(&json!({}));
    let of_key = json!({ "KeyId": key });
    let alias = format!("alias/{}", key.rsplit('/').next().unwrap());
    let put = |text: &str| {
        kind(kms.try_call(
            "PutKeyPolicy",
            &json!({ "KeyId": key, "PolicyName": "default", "Policy": text }),
        ))
    };
    let deletion = |days: i64| {
        kms.try_call(
            "ScheduleKeyDeletion",
            &json!({ "KeyId": key, "PendingWindowInDays": days }),
        )
    };
    match what {
        "describe a key" => kind(kms.try_call("DescribeKey", &of_key)),
        "describe a key that is not there" => kind(kms.try_call(
            "DescribeKey",
            &json!({ "KeyId": "00000000-0000-4000-8000-000000000000" }),
        )),
        "describe an alias that is not there" => {
            kind(kms.try_call("DescribeKey", &json!({ "KeyId": "alias/no-such-alias" })))
        }
        "describe an alias" => {
            kms.call(
                "CreateAlias",
                &json!({ "AliasName": alias, "TargetKeyId": key }),
            );
            kind(kms.try_call("DescribeKey", &json!({ "KeyId": alias })))
        }
        "make an alias twice" => {
            kms.call(
                "CreateAlias",
                &json!({ "AliasName": alias, "TargetKeyId": key }),
            );
            kind(kms.try_call(
                "CreateAlias",
                &json!({ "AliasName": alias, "TargetKeyId": key }),
            ))
        }
        "an alias without its prefix" => kind(kms.try_call(
            "CreateAlias",
            &json!({ "AliasName": "lakehouse", "TargetKeyId": key }),
        )),
        "a deletion window of three days" => kind(deletion(3)),
        "disable and enable" => {
            kms.call("DisableKey", &of_key);
            assert_eq!(kms.state(&key), "Disabled");
            kms.call("EnableKey", &of_key);
            kms.state(&key)
        }
        "schedule a deletion" => {
            let answer = deletion(7).unwrap();
            assert!(answer["DeletionDate"].is_number(), "{answer}");
            kms.state(&key)
        }
        "enable a key that is pending deletion" => {
            deletion(7).unwrap();
            kind(kms.try_call("EnableKey", &of_key))
        }
        "cancel a deletion" => {
            deletion(7).unwrap();
            kms.call("CancelKeyDeletion", &of_key);
            kms.state(&key)
        }
        "cancel a deletion that is not pending" => kind(kms.try_call("CancelKeyDeletion", &of_key)),
        "a grant" => {
            let account = key.split(':').nth(4).unwrap();
            let grantee = format!("arn:aws:iam::{account}:role/x");
            let made = kms.call(
                "CreateGrant",
                &json!({ "KeyId": key, "GranteePrincipal": grantee, "Operations": ["Decrypt"] }),
            );
            let listed = kms.call("ListGrants", &of_key);
            assert_eq!(listed["Grants"][0]["GrantId"], made["GrantId"]);
            kind(kms.try_call(
                "RevokeGrant",
                &json!({ "KeyId": key, "GrantId": made["GrantId"] }),
            ))
        }
        "revoke a grant that is not there" => kind(kms.try_call(
            "RevokeGrant",
            &json!({ "KeyId": key, "GrantId": "0".repeat(64) }),
        )),
        "a good policy" => {
            let text = policy(&key, &[acceptance_tests::stage::STORAGE]);
            let answer = put(&text);
            assert_eq!(kms.policy(&key), text);
            answer
        }
        "a policy that is not JSON" => put("{nope"),
        "a policy that locks its writer out" => put(
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"999999999999"},"Action":"kms:Decrypt","Resource":"*"}]}"#,
        ),
        "a policy of forty thousand bytes" => put(&policy(
            &key,
            &[&acceptance_tests::stage::STORAGE
                .but("\"Storage\"", &format!("\"{}\"", "x".repeat(40_000)))],
        )),
        "a policy for a key that is pending deletion" => {
            deletion(7).unwrap();
            put(&policy(&key, &[]))
        }
        other => panic!("nobody knows how to try {other:?}"),
    }
}
