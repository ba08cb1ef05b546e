//! A plan says the same in whatever order Terraform visits the resources.

use serde_json::json;

use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::stage::{Over, Stage, policy};
use dbxcmk_sandbox::WORKSPACE;

const ROLE: &str = "arn:aws:iam::123456789012:role/databricks-cross-account";

/// A policy and a configuration of one key, which the configuration names by way of the policy, or directly.
fn both(key: &str, directly: bool) -> String {
    let reference = if directly {
        format!("\"{key}\"")
    } else {
        "dbxcmk_key_policy.lakehouse.aws.key_arn".to_owned()
    };
    format!(
        r#"
resource "dbxcmk_key_configuration" "lakehouse" {{
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  aws = {{
    key_arn = {reference}
  }}
}}

resource "dbxcmk_key_policy" "lakehouse" {{
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  aws = {{
    key_arn                = "{key}"
    cross_account_role_arn = "{ROLE}"
  }}
}}

resource "dbxcmk_workspace_binding" "lakehouse" {{
  workspace_id                          = "{WORKSPACE}"
  managed_services_key_configuration_id = dbxcmk_key_configuration.lakehouse.id
  storage_key_configuration_id          = dbxcmk_key_configuration.lakehouse.id
  settle_time                           = "0s"
}}
"#
    )
}

const ADDRESSES: [&str; 3] = [
    "dbxcmk_key_policy.lakehouse",
    "dbxcmk_key_configuration.lakehouse",
    "dbxcmk_workspace_binding.lakehouse",
];

/// A key that Databricks may not use yet.
fn closed_key(stage: &Stage) -> String {
    let key = stage.kms.create_key(&json!({}));
    stage.kms.put_policy(&key, &policy(&key, &[]));
    key
}

/// Each row: whether the configuration names the key directly, how many resources Terraform plans at a time, and whether Terraform
/// alone decides which of the two comes first, so that the proof may end before the policy is planned.
#[test]
fn the_order_of_a_plan_does_not_decide_its_result() {
    for (directly, parallelism, may_come_first) in [
        (false, "10", false),
        (false, "1", false),
        (true, "10", false),
        (true, "1", true),
    ] {
        let stage = Stage::new(Over::Sandbox);
        let key = closed_key(&stage);
        stage.configure(&both(&key, directly));
        let row = format!("directly: {directly}, parallelism: {parallelism}");
        let plan = stage
            .workdir
            .plan_with(&[&format!("-parallelism={parallelism}")]);
        for address in ADDRESSES {
            assert_eq!(plan.actions(address), "create", "{row}: {address}");
        }
        let warned = plan
            .run
            .warnings()
            .contains(&"The key policy of this configuration was not part of the proof");
        assert!(!warned || may_come_first, "{row}: {}", plan.run.shown());
    }
}

/// The policy comes first at apply as well, when Terraform works on both at once.
#[test]
fn an_apply_waits_for_the_policy_of_its_key() {
    let stage = Stage::new(Over::Sandbox);
    let key = closed_key(&stage);
    stage.configure(&both(&key, true));
    stage.workdir.apply();
    stage.workdir.empty_plan();
}

/// A proof does not wait for a policy that does not come: a policy of another key changes nothing for this one.
#[test]
fn a_policy_of_another_key_is_no_hope() {
    let stage = Stage::new(Over::Sandbox);
    let (key, other) = (closed_key(&stage), closed_key(&stage));
    let configuration = both(&key, true);
    let (before, after) = configuration
        .split_once("resource \"dbxcmk_key_policy\"")
        .unwrap();
    let after = after.replacen(&key, &other, 1);
    stage.configure(&format!("{before}resource \"dbxcmk_key_policy\"{after}"));
    let run = stage.workdir.refused_plan();
    run.error("The key policy does not let Databricks use the key for workspace storage");
}

/// Another writer empties the key policy between the plan of an attach and its apply: the apply reports that as the cause, and not that the
/// plan had no key policy.
#[test]
fn access_that_went_since_the_plan_is_the_cause() {
    for (cases, which) in [
        ("\"MANAGED_SERVICES\"", "managed services"),
        ("\"MANAGED_SERVICES\", \"STORAGE\"", "workspace storage"),
    ] {
        let stage = Stage::new(Over::Sandbox);
        let key = closed_key(&stage);
        let all = both(&key, false).but("\"MANAGED_SERVICES\", \"STORAGE\"", cases);
        let all = match cases.contains("STORAGE") {
            true => all,
            false => all
                .but(&format!("    cross_account_role_arn = \"{ROLE}\"\n"), "")
                .but(
                    "  storage_key_configuration_id          = dbxcmk_key_configuration.lakehouse.id\n",
                    "",
                ),
        };
        let (before, _) = all
            .split_once("resource \"dbxcmk_workspace_binding\"")
            .unwrap();
        stage.configure(before);
        stage.workdir.apply();
        stage.configure(&all);
        stage.workdir.plan();
        stage.kms.put_policy(&key, &policy(&key, &[]));
        let run = stage.workdir.run(&["apply", "-json", "plan.tfplan"]);
        let summary = format!("The key policy does not let Databricks use the key for {which}");
        assert!(
            run.error(&summary).detail.contains("kms:Decrypt"),
            "{}",
            run.shown()
        );
        assert!(
            !run.shown().contains("was not part of the proof"),
            "{}",
            run.shown()
        );
        assert!(
            !run.shown().contains("Refer to the key policy"),
            "{}",
            run.shown()
        );
    }
}
