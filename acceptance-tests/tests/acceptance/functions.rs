//! Provider functions (Terraform 1.8): what the policy engine knows, without any credential.

use acceptance_tests::harness::Workdir;
use acceptance_tests::harness::terraform::has;
use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::stage::HEAD;
use serde_json::Value as Json;

const ACCOUNT: &str = "2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11";
const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";

fn workdir(expression: &str) -> Workdir {
    let workdir = Workdir::without_services();
    workdir.configuration(&format!(
        "{HEAD}\noutput \"x\" {{\n  value = {expression}\n}}\n"
    ));
    workdir
}

/// The value of an expression, by a plan without any credential.
fn value(expression: &str) -> Json {
    let plan = workdir(expression).plan();
    plan.json
        .pointer("/planned_values/outputs/x/value")
        .cloned()
        .unwrap_or_default()
}

fn complaint(expression: &str) -> String {
    let run = workdir(expression).refused_plan();
    // Terraform wraps what a function says.
    let text = run.shown().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(!text.contains(".."), "two full stops: {text}");
    text
}

#[test]
fn the_parts_of_a_keys_arn() {
    if !has("provider functions", (1, 8)) {
        return;
    }
    let parts = value(&format!("provider::dbxcmk::parse_key_arn(\"{KEY}\")"));
    assert_eq!(
        parts,
        serde_json::json!({ "partition": "aws", "region": "eu-central-1", "account_id": "123456789012",
            "key_id": "1234abcd-12ab-34cd-56ef-1234567890ab", "multi_region": false })
    );
    assert!(complaint("provider::dbxcmk::parse_key_arn(\"alias/x\")").contains("`alias/x` is not"));
}

#[test]
fn statements_are_made_merged_and_judged() {
    if !has("provider functions", (1, 8)) {
        return;
    }
    let statements = format!(
        "provider::dbxcmk::key_policy_statements([\"STORAGE\"], [\"{ACCOUNT}\"], null, null)"
    );
    let source = "jsonencode({ Version = \"2012-10-17\", Statement = [{ Sid = \"Admin\", Effect = \"Allow\", Principal = { AWS = \
                  \"arn:aws:iam::123456789012:root\" }, Action = \"kms:*\", Resource = \"*\" }] })";
    let merged = format!("provider::dbxcmk::merge_key_policy({source}, {statements})");
    let policy: Json = serde_json::from_str(value(&merged).as_str().unwrap()).unwrap();
    assert_eq!(policy["Statement"].as_array().unwrap().len(), 2);
    // Merged once more it is the same.
    assert_eq!(
        value(&format!(
            "provider::dbxcmk::merge_key_policy({merged}, {statements}) == {merged}"
        )),
        true
    );

    let allows = |action: &str, context: &str| {
        value(&format!(
            "provider::dbxcmk::key_policy_allows({merged}, \"{KEY}\", \"arn:aws:iam::414351767826:role/x\", \"{action}\", {context})"
        ))
    };
    let tag = format!("{{ \"aws:PrincipalTag/DatabricksAccountId\" = \"{ACCOUNT}\" }}");
    let yes = allows("kms:ReEncryptFrom", &tag);
    assert_eq!(
        (&yes["allowed"], &yes["verdict"]),
        (&Json::Bool(true), &Json::from("allowed"))
    );
    assert_eq!(
        yes["statements"],
        serde_json::json!(["Allow Databricks to use KMS key for DBFS"])
    );
    let open = allows("kms:ReEncryptFrom", "null");
    assert_eq!(open["verdict"], "undetermined");
    assert_eq!(
        open["undetermined_keys"],
        serde_json::json!(["aws:PrincipalTag/DatabricksAccountId"])
    );
    assert_eq!(
        allows("kms:PutKeyPolicy", &tag)["verdict"],
        "denied_implicit"
    );
}

#[test]
fn what_is_wrong_is_told_with_its_argument() {
    if !has("provider functions", (1, 8)) {
        return;
    }
    let text = complaint("provider::dbxcmk::key_policy_statements([\"EBS\"], [\"x\"], null, null)");
    assert!(text.contains("use_cases") && text.contains("EBS"), "{text}");
    let text = complaint(&format!(
        "provider::dbxcmk::key_policy_statements([\"STORAGE\"], [\"{ACCOUNT}\"], null, \"aws-cn\")"
    ));
    assert!(text.contains("aws-us-gov-dod"), "{text}");
    let text = complaint(&format!(
        "provider::dbxcmk::key_policy_statements([\"MANAGED_DISKS\"], [\"{ACCOUNT}\"], null, null)"
    ));
    assert!(text.contains("only on Azure"), "{text}");
    let text = complaint("provider::dbxcmk::merge_key_policy(\"{nope\", \"[]\")");
    assert!(text.contains("policy"), "{text}");
    let text = complaint("provider::dbxcmk::parse_key_arn(null)");
    assert!(text.contains("must not be null"), "{text}");
}

#[test]
fn a_validation_can_use_them() {
    if !has("provider functions in validations", (1, 9)) {
        return;
    }
    let workdir = Workdir::without_services();
    let body = "variable \"key\" {\n  type = string\n  validation {\n    condition     = provider::dbxcmk::parse_key_arn(var.key).region == \
                \"eu-central-1\"\n    error_message = \"The key has to be in eu-central-1.\"\n  }\n}\n";
    workdir.configuration(&format!("{HEAD}\n{body}"));
    let run = workdir.run(&[
        "plan",
        "-json",
        "-input=false",
        &format!("-var=key={}", KEY.but("eu-central-1", "us-east-1")),
    ]);
    run.error("Invalid value for variable");
}
