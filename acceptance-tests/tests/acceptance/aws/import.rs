//! An import can adopt what is there already, and the plan afterwards is empty.

use dbxcmk_sandbox::{ROLE_ARN, WORKSPACE};
use serde_json::{Value as Json, json};

use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::stage::{Over, Stage, over_both};

over_both! {
    every_resource_is_imported_and_plans_empty,
}

fn every_resource_is_imported_and_plans_empty(over: Over) {
    let stage = Stage::new(over);
    let key = stage.kms.create_key(&json!({}));
    stage.configure(&format!(
        r#"
resource "dbxcmk_key_policy" "lakehouse" {{
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  aws = {{
    key_arn                = "{key}"
    cross_account_role_arn = "{ROLE_ARN}"
    include_grants         = true
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
  workspace_id                          = "{WORKSPACE}"
  managed_services_key_configuration_id = dbxcmk_key_configuration.lakehouse.id
  storage_key_configuration_id          = dbxcmk_key_configuration.lakehouse.id
}}
"#
    ));
    // The binding has no settle_time here, so that an import can be the same; twenty minutes are not for a test.
    let settled = std::fs::read_to_string(stage.workdir.path().join("main.tf")).unwrap();
    stage.workdir.write(
        "main.tf",
        &settled.but("  workspace_id ", "  settle_time = \"0s\"\n  workspace_id "),
    );
    stage.workdir.apply();
    stage.workdir.write("main.tf", &settled);
    stage.workdir.apply();
    stage.workdir.empty_plan();

    let addresses = [
        "dbxcmk_key_policy.lakehouse",
        "dbxcmk_key_configuration.lakehouse",
        "dbxcmk_workspace_binding.prod",
    ];
    for address in addresses {
        let before = stage.workdir.state(address);
        let id = stage.workdir.attribute(address, "/id");
        stage.workdir.forget(address);
        stage.workdir.import(address, &id);
        let after = stage.workdir.state(address);
        for (name, value) in before.as_object().unwrap() {
            // The spelling of the whole policy and of its statements is KMS's own after an import, and an import has proven nothing.
            if name == "proof" {
                assert_eq!(after[name], Json::Null, "{address}");
            } else if !["policy", "statements"].contains(&name.as_str()) {
                assert_eq!(&after[name], value, "{address}: {name}");
            }
        }
        stage.workdir.empty_plan();
    }
    // Nothing was made or changed by it.
    assert_eq!(stage.asked("POST /customer-managed-keys").len(), 1);
    assert_eq!(stage.asked("PATCH").len(), 1);

    for (address, id, summary) in [
        ("dbxcmk_key_policy.x", "alias/x", "Not the ARN of a key"),
        (
            "dbxcmk_key_configuration.x",
            "acct/uuid",
            "Not the ID of a key configuration",
        ),
        (
            "dbxcmk_workspace_binding.x",
            "prod",
            "Not the ID of a workspace",
        ),
        (
            "dbxcmk_key_configuration.x",
            "c9000000-0000-4000-8000-000000000009",
            "The key configuration does not exist in this Databricks account",
        ),
        (
            "dbxcmk_workspace_binding.x",
            "999",
            "The workspace does not exist in this Databricks account",
        ),
    ] {
        let (ty, _) = address.split_once('.').unwrap();
        stage.workdir.write(
            "import.tf",
            &format!(
                "import {{\n  to = {address}\n  id = \"{id}\"\n}}\nresource \"{ty}\" \"x\" {{\n{}\n}}\n",
                minimal(ty, &key)
            ),
        );
        stage.workdir.refused_plan().error(summary);
    }
}

fn minimal(ty: &str, key: &str) -> String {
    match ty {
        "dbxcmk_workspace_binding" => {
            format!(
                "workspace_id = \"{WORKSPACE}\"\nstorage_key_configuration_id = dbxcmk_key_configuration.lakehouse.id"
            )
        }
        _ => format!("use_cases = [\"STORAGE\"]\naws = {{ key_arn = \"{key}\" }}"),
    }
}
