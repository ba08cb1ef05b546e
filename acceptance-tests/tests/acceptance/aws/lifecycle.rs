//! The whole way: from nothing, or from an existing key, to a workspace that uses it, and back.

use dbxcmk_sandbox::{MANAGED_VPC_WORKSPACE, ROLE_ARN, WORKSPACE};
use serde_json::Value as Json;

use acceptance_tests::stage::{HEAD_WITH_AWS, Over, Stage, over_both};

over_both! {
    everything_in_one_apply_from_nothing,
    an_existing_key_is_proven_at_plan_and_bound,
    a_workspace_in_a_managed_vpc_is_waited_for,
}

fn resources(key_arn: &str, workspace: u64) -> String {
    format!(
        r#"
resource "dbxcmk_key_policy" "lakehouse" {{
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  aws = {{
    key_arn                = {key_arn}
    cross_account_role_arn = "{ROLE_ARN}"
  }}
}}

resource "dbxcmk_key_configuration" "lakehouse" {{
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  aws = {{
    key_arn   = dbxcmk_key_policy.lakehouse.aws.key_arn
    key_alias = "alias/lakehouse"
  }}
}}

resource "dbxcmk_workspace_binding" "prod" {{
  workspace_id                          = "{workspace}"
  managed_services_key_configuration_id = dbxcmk_key_configuration.lakehouse.id
  storage_key_configuration_id          = dbxcmk_key_configuration.lakehouse.id
  settle_time                           = "0s"
}}
"#
    )
}

const KEY: &str = r#"
resource "aws_kms_key" "lakehouse" {
  description             = "lakehouse"
  deletion_window_in_days = 7
  enable_key_rotation     = true

  lifecycle {
    ignore_changes = [policy]
  }
}
"#;

fn everything_in_one_apply_from_nothing(over: Over) {
    let stage = Stage::new(over);
    let workdir = &stage.workdir;
    workdir.configuration(&format!(
        "{HEAD_WITH_AWS}{KEY}{}",
        resources("aws_kms_key.lakehouse.arn", WORKSPACE)
    ));
    workdir.validate();

    let plan = workdir.plan();
    for address in [
        "dbxcmk_key_policy.lakehouse",
        "dbxcmk_key_configuration.lakehouse",
        "dbxcmk_workspace_binding.prod",
    ] {
        assert_eq!(plan.actions(address), "create", "{address}");
    }
    assert!(plan.is_unknown("dbxcmk_key_policy.lakehouse", "/statements"));
    assert!(plan.is_unknown("dbxcmk_key_configuration.lakehouse", "/id"));
    assert!(plan.is_unknown("dbxcmk_key_configuration.lakehouse", "/aws/key_region"));
    assert!(plan.is_unknown(
        "dbxcmk_workspace_binding.prod",
        "/storage_key_configuration_id"
    ));
    assert_eq!(
        plan.after(
            "dbxcmk_key_configuration.lakehouse",
            "/aws/reuse_key_for_cluster_volumes"
        ),
        true
    );

    workdir.apply();
    let key = workdir.attribute("aws_kms_key.lakehouse", "/arn");
    let id = workdir.attribute("dbxcmk_key_configuration.lakehouse", "/id");
    assert_eq!(
        workdir.attribute("dbxcmk_key_configuration.lakehouse", "/aws/key_region"),
        "eu-central-1"
    );
    assert!(
        workdir
            .attribute("dbxcmk_key_configuration.lakehouse", "/creation_time")
            .ends_with('Z')
    );
    assert_eq!(
        workdir.attribute("dbxcmk_workspace_binding.prod", "/workspace_status"),
        "RUNNING"
    );
    for field in [
        "managed_services_customer_managed_key_id",
        "storage_customer_managed_key_id",
    ] {
        assert_eq!(
            stage.workspace_field(WORKSPACE, field),
            Json::from(id.clone())
        );
    }
    let policy = stage.kms.policy(&key);
    for principal in ["414351767826", ROLE_ARN] {
        assert!(policy.contains(principal), "{policy}");
    }
    assert_eq!(workdir.empty_plan().warnings(), Vec::<&str>::new());

    // The workspace goes away as its owner would let it go; then nothing of ours stays.
    stage
        .sandbox
        .with(|world| world.now.workspaces.remove(&WORKSPACE));
    workdir.destroy();
    assert_eq!(stage.configurations(), Vec::<Json>::new());
    assert!(!stage.kms.policy(&key).contains("414351767826"));
    assert_eq!(stage.kms.state(&key), "PendingDeletion");
}

fn an_existing_key_is_proven_at_plan_and_bound(over: Over) {
    let stage = Stage::new(over);
    let key = stage.kms.create_key(&serde_json::json!({}));
    stage
        .kms
        .call("EnableKeyRotation", &serde_json::json!({ "KeyId": key }));
    let before = stage.kms.policy(&key);
    stage.configure(&resources(&format!("\"{key}\""), WORKSPACE));

    let plan = stage.workdir.plan();
    let statements = plan.after("dbxcmk_key_policy.lakehouse", "/statements");
    assert!(
        statements
            .as_str()
            .is_some_and(|text| text.contains("kms:ReEncrypt*")),
        "known at plan: {statements}"
    );
    assert!(plan.is_unknown("dbxcmk_key_policy.lakehouse", "/policy"));
    assert_eq!(
        plan.after("dbxcmk_key_configuration.lakehouse", "/aws/key_region"),
        "eu-central-1"
    );
    // Over LocalStack the key belongs to another account than the role.
    let elsewhere: &[&str] = &["The cross-account role is in another AWS account than the key"];
    assert_eq!(
        plan.run.warnings(),
        if key.contains(":123456789012:") {
            &[][..]
        } else {
            elsewhere
        }
    );
    assert_eq!(stage.kms.policy(&key), before, "a plan changes nothing");

    stage.workdir.apply();
    assert_eq!(stage.workdir.empty_plan().warnings(), Vec::<&str>::new());
    assert_eq!(stage.asked("PATCH").len(), 1);

    stage
        .sandbox
        .with(|world| world.now.workspaces.remove(&WORKSPACE));
    stage.workdir.destroy();
    assert_eq!(
        stage.kms.policy(&key),
        before,
        "the policy is byte for byte what it was"
    );
}

fn a_workspace_in_a_managed_vpc_is_waited_for(over: Over) {
    let stage = Stage::new(over);
    let key = stage.kms.create_key(&serde_json::json!({}));
    stage.configure(&resources(&format!("\"{key}\""), MANAGED_VPC_WORKSPACE));
    stage.workdir.apply();
    assert_eq!(
        stage
            .workdir
            .attribute("dbxcmk_workspace_binding.prod", "/workspace_status"),
        "RUNNING"
    );
    stage.workdir.empty_plan();
}
