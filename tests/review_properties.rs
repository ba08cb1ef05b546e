//! Properties of `review`: whatever a plan holds, the command reviews it or refuses it with a sentence, and its output is well
//! formed.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    missing_docs,
    reason = "tests"
)]

use dbxcmk::review::review;
use dbxcmk::review::{LARGEST_COMMENT, json, markdown, sarif, text};
use proptest::prelude::*;
use serde_json::{Value as Json, json as value};

/// Any JSON, a few levels deep, in which the names that matter are likely.
fn any_json() -> impl Strategy<Value = Json> {
    let names = prop::sample::select(vec![
        "aws",
        "key_arn",
        "id",
        "use_cases",
        "statements",
        "policy",
        "workspace_id",
        "storage_key_configuration_id",
        "arn",
        "azure",
        "workspace_resource_id",
        "preflight",
        "ignore_findings",
        "references",
        "constant_value",
        "variables",
        "x",
    ]);
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        "\\PC{0,12}".prop_map(Json::from),
        Just(Json::from(
            "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
        )),
        Just(Json::from("c1000000-0000-4000-8000-000000000001")),
        Just(Json::from("var.x")),
        Just(Json::from("warn")),
        Just(Json::from(
            "[{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"kms:*\",\"Resource\":\"*\"}]"
        )),
    ];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::vec((names.clone(), inner), 0..6).prop_map(|fields| Json::Object(
                fields
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect()
            )),
        ]
    })
}

fn any_change() -> impl Strategy<Value = Json> {
    let kinds = prop::sample::select(vec![
        "dbxcmk_key_policy",
        "dbxcmk_key_configuration",
        "dbxcmk_workspace_binding",
        "aws_kms_key",
        "aws_kms_key_policy",
        "aws_iam_role",
        "databricks_mws_workspaces",
        "databricks_mws_customer_managed_keys",
        "databricks_mws_credentials",
        "google_kms_crypto_key",
        "google_kms_crypto_key_iam_policy",
        "azurerm_key_vault_key",
        "azurerm_databricks_workspace",
        "azurerm_databricks_workspace_root_dbfs_customer_managed_key",
    ]);
    let actions = prop::sample::select(vec![
        vec!["create"],
        vec!["update"],
        vec!["delete"],
        vec!["delete", "create"],
        vec!["no-op"],
        vec!["forget"],
        vec!["odd"],
    ]);
    (kinds, "\\PC{0,6}", actions, any_json(), any_json(), any_json(), any_json()).prop_map(
        |(kind, name, actions, before, after, unknown, sensitive)| {
            value!({
                "address": format!("{kind}.{name}"), "mode": "managed", "type": kind, "name": name,
                "change": { "actions": actions, "before": before, "after": after, "after_unknown": unknown, "before_sensitive": sensitive,
                    "after_sensitive": sensitive },
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_plan_is_reviewed_and_every_form_is_well_formed(changes in prop::collection::vec(any_change(), 0..6), configuration in any_json(), provider in any_json(), variables in any_json()) {
        // No two resources of a plan have one address.
        let mut changes = changes;
        for (number, change) in changes.iter_mut().enumerate() {
            change["address"] = value!(format!("{}[{number}]", change["address"].as_str().unwrap_or_default()));
        }
        let configuration = value!({ "root_module": configuration, "provider_config": {
            "dbxcmk": { "name": "dbxcmk", "expressions": provider },
            "module.x:dbxcmk": { "name": "dbxcmk", "module_address": "module.x", "expressions": provider },
        } });
        let plan = value!({ "format_version": "1.2", "resource_changes": changes, "configuration": configuration, "variables": variables });
        let report = review(&plan.to_string()).expect("it is a plan");
        prop_assert!(markdown(&report).chars().count() <= LARGEST_COMMENT);
        prop_assert!(serde_json::from_str::<Json>(&json(&report)).is_ok());
        prop_assert!(serde_json::from_str::<Json>(&sarif(&report, &|_| None, "main.tf")).is_ok());
        prop_assert!(text(&report).starts_with(&report.verdict));
        // The same plan gives the same report, whatever the order of its resources.
        let mut turned = changes.clone();
        turned.reverse();
        let plan = value!({ "format_version": "1.2", "resource_changes": turned, "configuration": configuration, "variables": variables });
        prop_assert_eq!(review(&plan.to_string()).expect("it is a plan").verdict, report.verdict);
    }

    #[test]
    fn any_text_is_reviewed_or_refused_with_a_sentence(input in "\\PC{0,200}") {
        if let Err(error) = review(&input) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn what_is_sensitive_shows_nowhere(secret in "[a-z]{12}", changes in prop::collection::vec(any_change(), 1..4)) {
        let mut changes = changes;
        for change in &mut changes {
            change["change"]["after"] = value!({ "workspace_id": format!("secret-{secret}"), "workspace_name": format!("secret-{secret}"), "arn": format!("secret-{secret}") });
            change["change"]["after_sensitive"] = Json::Bool(true);
        }
        let plan = value!({ "format_version": "1.2", "resource_changes": changes });
        let report = review(&plan.to_string()).expect("it is a plan");
        for shown in [markdown(&report), json(&report), sarif(&report, &|_| None, "main.tf"), text(&report)] {
            prop_assert!(!shown.contains(&secret), "{}", shown);
        }
    }
}
