//! `review` over plans with resources of hashicorp/google, in the form that their schemas have.

use acceptance_tests::google::{COMPUTE, KEY, ROLE, STORAGE};
use serde_json::{Value as Json, json};

use crate::review::{change, plan_of, reviewed, snapshot};

const ID: &str = "c1000000-0000-4000-8000-000000000001";
const DATABRICKS: &str = "serviceAccount:db-1@prod-gcp-us-east4.iam.gserviceaccount.com";

/// A workspace that lives on a key, whose members a `dbxcmk_key_policy` keeps.
fn around() -> Vec<Json> {
    let configuration = json!({ "id": ID, "use_cases": ["MANAGED_SERVICES", "STORAGE"],
        "gcp": { "kms_key_id": KEY, "manual": true, "location": "us-east4", "service_account_email": "x@y" } });
    let binding = json!({ "workspace_id": "42", "workspace_name": "prod", "storage_key_configuration_id": ID,
        "managed_services_key_configuration_id": ID });
    let policy = policy(&[DATABRICKS, COMPUTE, STORAGE]);
    vec![
        change(
            "dbxcmk_key_configuration.x",
            &["no-op"],
            configuration.clone(),
            configuration,
        ),
        change(
            "dbxcmk_workspace_binding.x",
            &["no-op"],
            binding.clone(),
            binding,
        ),
        change("dbxcmk_key_policy.x", &["no-op"], policy.clone(), policy),
    ]
}

fn policy(members: &[&str]) -> Json {
    json!({ "id": KEY, "use_cases": ["MANAGED_SERVICES", "STORAGE"], "force_destroy": false, "gcp": { "kms_key_id": KEY,
        "databricks_service_accounts": [], "workspace_project_number": "123456789012", "members": members } })
}

fn of_role(role: &str, members: &[&str]) -> Json {
    json!({ "crypto_key_id": KEY, "role": role, "members": members })
}

/// Each row: a change beside a workspace that lives on the key, and what the review finds, with its level.
#[test]
fn what_must_not_happen_to_a_key_of_google_cloud_is_found() {
    let key = |rotation: Json| json!({ "id": KEY, "name": "main", "rotation_period": rotation, "destroy_scheduled_duration": "604800s" });
    let version = |state: &str| json!({ "crypto_key": KEY, "state": state });
    let member = |member: &str| json!({ "crypto_key_id": KEY, "role": ROLE, "member": member });
    let whole = |members: &[&str]| {
        let data = json!({ "bindings": [{ "role": ROLE, "members": members }] }).to_string();
        json!({ "crypto_key_id": KEY, "policy_data": data })
    };
    let all = [DATABRICKS, COMPUTE, STORAGE];
    let none = Json::Null;
    let rows: Vec<(&str, Json, &[(&str, &str)])> = vec![
        (
            "the key goes",
            change(
                "google_kms_crypto_key.x",
                &["delete"],
                key(json!("7776000s")),
                none.clone(),
            ),
            &[
                ("key-deleted", "error"),
                ("key-deletion-window", "irreversible"),
            ],
        ),
        (
            "rotation is turned off",
            change(
                "google_kms_crypto_key.x",
                &["update"],
                key(json!("7776000s")),
                key(none.clone()),
            ),
            &[("key-rotation-turned-off", "warning")],
        ),
        (
            "a version is disabled",
            change(
                "google_kms_crypto_key_version.x",
                &["update"],
                version("ENABLED"),
                version("DISABLED"),
            ),
            &[("key-disabled", "error")],
        ),
        (
            "a version is destroyed",
            change(
                "google_kms_crypto_key_version.x",
                &["delete"],
                version("ENABLED"),
                none.clone(),
            ),
            &[
                ("key-deleted", "error"),
                ("key-deletion-window", "irreversible"),
            ],
        ),
        (
            "a member goes",
            change(
                "google_kms_crypto_key_iam_member.x",
                &["delete"],
                member(COMPUTE),
                none.clone(),
            ),
            &[("permissions-lost", "error")],
        ),
        (
            "somebody else's member goes",
            change(
                "google_kms_crypto_key_iam_member.x",
                &["delete"],
                member("user:ann@example.com"),
                none.clone(),
            ),
            &[],
        ),
        (
            "a binding throws out Databricks' members",
            change(
                "google_kms_crypto_key_iam_binding.x",
                &["create"],
                none.clone(),
                of_role(ROLE, &["user:ann@example.com"]),
            ),
            &[("policy-written-twice", "error")],
        ),
        (
            "a binding that names all of them",
            change(
                "google_kms_crypto_key_iam_binding.x",
                &["create"],
                none.clone(),
                of_role(ROLE, &all),
            ),
            &[],
        ),
        (
            "a binding of another role",
            change(
                "google_kms_crypto_key_iam_binding.x",
                &["create"],
                none.clone(),
                of_role("roles/cloudkms.admin", &["user:ann@example.com"]),
            ),
            &[],
        ),
        (
            "a whole policy loses members",
            change(
                "google_kms_crypto_key_iam_policy.x",
                &["update"],
                whole(&all),
                whole(&[DATABRICKS]),
            ),
            &[
                ("permissions-lost", "error"),
                ("policy-written-twice", "error"),
            ],
        ),
        (
            "our own policy loses members",
            change(
                "dbxcmk_key_policy.y",
                &["update"],
                policy(&all),
                policy(&[DATABRICKS]),
            ),
            &[("permissions-lost", "error")],
        ),
    ];
    for (what, one, expected) in rows {
        let mut changes = around();
        if what == "our own policy loses members" {
            changes.pop();
        }
        changes.push(one);
        let (text, _) = reviewed(&plan_of(changes), &["--format", "json"]);
        let report: Json = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{what}: {text}"));
        let mut found: Vec<(&str, &str)> = report["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["id"].as_str().unwrap(), one["level"].as_str().unwrap()))
            .collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{what}: {text}");
    }
}

/// The whole report, as a reviewer reads it.
#[test]
fn the_report_reads_well() {
    let mut changes = around();
    changes.push(change(
        "google_kms_crypto_key_iam_binding.x",
        &["create"],
        Json::Null,
        of_role(ROLE, &["user:ann@example.com"]),
    ));
    changes.push(change(
        "google_kms_crypto_key_version.x",
        &["update"],
        // The short form that hashicorp/google takes as well.
        json!({ "crypto_key": "acme-lakehouse/us-east4/lakehouse/main", "state": "ENABLED" }),
        json!({ "crypto_key": "acme-lakehouse/us-east4/lakehouse/main", "state": "DISABLED" }),
    ));
    let (text, code) = reviewed(
        &plan_of(changes),
        &["--format", "text", "--fail-on", "error"],
    );
    assert_eq!(code, 1);
    snapshot("review_google_text", &text);
}
