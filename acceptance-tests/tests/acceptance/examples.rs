//! What the documentation shows works: formatted, valid, and applied.

use std::path::PathBuf;
use std::process::Command;

use acceptance_tests::harness::checkout;
use acceptance_tests::harness::terraform::{self, has};
use acceptance_tests::hcl::Hcl as _;

use acceptance_tests::stage::{HEAD, HEAD_WITH_AWS, Over, Stage, over_both};
use serde_json::json;

over_both! {
    the_complete_example_is_applied,
}

fn example(path: &str) -> String {
    std::fs::read_to_string(checkout().join("examples").join(path)).expect(path)
}

#[test]
fn the_examples_are_formatted() {
    if !has("formatting of provider functions", (1, 8)) {
        return;
    }
    let output = terraform::command()
        .args(["fmt", "-check", "-recursive", "-diff"])
        .arg(checkout().join("examples"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "run `terraform fmt -recursive examples`:\n{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

#[test]
fn every_example_of_a_resource_is_planned() {
    for name in [
        "dbxcmk_key_policy",
        "dbxcmk_key_configuration",
        "dbxcmk_workspace_binding",
    ] {
        let stage = Stage::new(Over::Sandbox);
        let key = stage.good_key();
        let text = example(&format!("resources/{name}/resource.tf"));
        // What an example refers to besides itself.
        let around = format!(
            r#"
resource "terraform_data" "key" {{
  input = "{key}"
}}
"#
        );
        let text = text
            .wherever("aws_kms_key.lakehouse.arn", &format!("\"{key}\""))
            .wherever(
                "dbxcmk_key_policy.lakehouse.aws.key_arn",
                &format!("\"{key}\""),
            )
            .wherever(
                "aws_iam_role.databricks.arn",
                &format!("\"{}\"", dbxcmk_sandbox::ROLE_ARN),
            )
            .wherever(
                "dbxcmk_key_configuration.lakehouse.id",
                "\"0c0ffee0-0000-4000-8000-000000000001\"",
            );
        if name == "dbxcmk_workspace_binding" {
            stage.sandbox.with(|world| {
                world.now.configurations.insert(
                    "0c0ffee0-0000-4000-8000-000000000001".to_owned(),
                    serde_json::json!({"customer_managed_key_id": "0c0ffee0-0000-4000-8000-000000000001", "use_cases": ["MANAGED_SERVICES", "STORAGE"],
                        "aws_key_info": {"key_arn": key, "key_region": "eu-central-1", "reuse_key_for_cluster_volumes": false}}),
                )
            });
        }
        stage.configure(&format!("{around}{text}"));
        stage.workdir.validate();
        let plan = stage.workdir.plan();
        assert_eq!(
            plan.actions(&format!(
                "{name}.{}",
                if name.ends_with("binding") {
                    "prod"
                } else {
                    "lakehouse"
                }
            )),
            "create",
            "{name}"
        );
    }
}

/// What an example of a layout refers to besides itself.
fn with_literals(text: &str) -> String {
    const KEY: &str =
        "\"arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab\"";
    let quoted = |text: &str| format!("\"{text}\"");
    let is_azure = text.contains("azure = {");
    let configuration = if is_azure {
        quoted(&dbxcmk_sandbox::azure::key_id(dbxcmk_sandbox::azure::VAULT))
    } else {
        quoted("c1000000-0000-4000-8000-000000000001")
    };
    let mut replaced = vec![
        (
            "dbxcmk_key_configuration.lakehouse.gcp.service_account_email".to_owned(),
            quoted("cmk-1@databricks-control-plane.iam.gserviceaccount.com"),
        ),
        (
            "data.google_project.workspace.number".to_owned(),
            quoted("123456789012"),
        ),
        (
            "google_kms_crypto_key.lakehouse.id".to_owned(),
            quoted(acceptance_tests::google::KEY),
        ),
        (
            "azurerm_key_vault_key.lakehouse.versionless_id".to_owned(),
            quoted(&dbxcmk_sandbox::azure::key_id(dbxcmk_sandbox::azure::VAULT)),
        ),
        (
            "azurerm_key_vault.lakehouse.id".to_owned(),
            quoted(&dbxcmk_sandbox::azure::vault_id(
                dbxcmk_sandbox::azure::VAULT,
            )),
        ),
        (
            "azurerm_databricks_workspace.prod.id".to_owned(),
            quoted(&dbxcmk_sandbox::azure::workspace_id()),
        ),
        (
            "aws_iam_role.tables.arn".to_owned(),
            quoted(dbxcmk_sandbox::ROLE_ARN),
        ),
        (
            "google_kms_crypto_key.tables.id".to_owned(),
            quoted(acceptance_tests::google::KEY),
        ),
        (
            "azurerm_key_vault_key.tables.versionless_id".to_owned(),
            quoted(&dbxcmk_sandbox::azure::key_id(dbxcmk_sandbox::azure::VAULT)),
        ),
        (
            "azurerm_key_vault.tables.id".to_owned(),
            quoted(&dbxcmk_sandbox::azure::vault_id(
                dbxcmk_sandbox::azure::VAULT,
            )),
        ),
        (
            "azurerm_storage_account.tables.identity[0].principal_id".to_owned(),
            quoted(dbxcmk_sandbox::azure::DATABRICKS),
        ),
        ("var.key_arn".to_owned(), KEY.to_owned()),
    ];
    for name in ["lakehouse", "services", "storage", "tables"] {
        replaced.push((
            format!("dbxcmk_key_configuration.{name}.id"),
            configuration.clone(),
        ));
        replaced.push((
            format!("dbxcmk_key_policy.{name}.aws.key_arn"),
            KEY.to_owned(),
        ));
        replaced.push((format!("aws_kms_key.{name}.arn"), KEY.to_owned()));
    }
    let text: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("depends_on"))
        .map(|line| format!("{line}\n"))
        .collect();
    replaced
        .iter()
        .fold(text, |text, (name, value)| text.replace(name, value))
}

/// Each layout on the page of a resource, on each cloud, is a configuration that the provider takes.
#[test]
fn every_layout_of_a_resource_is_valid() {
    let mut count = 0;
    for name in [
        "dbxcmk_key_policy",
        "dbxcmk_key_configuration",
        "dbxcmk_workspace_binding",
    ] {
        let folder = checkout().join("examples/resources").join(name);
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            if !file.starts_with("resource-") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            if text.contains("import {") && !has("import blocks", (1, 5)) {
                continue;
            }
            let workdir = acceptance_tests::harness::Workdir::without_services();
            workdir.configuration(&format!("{HEAD}{}", with_literals(&text)));
            workdir.validate();
            count += 1;
        }
    }
    assert!(count >= 14, "only {count} layouts were found");
}

#[test]
fn the_import_examples_are_what_import_takes() {
    for (name, resource) in [
        ("dbxcmk_key_policy", "lakehouse"),
        ("dbxcmk_key_configuration", "lakehouse"),
        ("dbxcmk_workspace_binding", "prod"),
    ] {
        let shell = example(&format!("resources/{name}/import.sh"));
        let block = example(&format!("resources/{name}/import.tf"));
        let by_identity = example(&format!("resources/{name}/import-by-identity.tf"));
        let id = shell.trim().rsplit(' ').next().unwrap().trim_matches('"');
        assert!(
            shell.contains(&format!("terraform import {name}.{resource} ")),
            "{shell}"
        );
        assert!(
            block.contains(&format!("to = {name}.{resource}"))
                && block.contains(&format!("id = \"{id}\"")),
            "{block}"
        );
        assert!(
            by_identity.contains(&format!("= \"{id}\"")),
            "{by_identity}"
        );
        // The offline checks know whether it is an ID of that kind.
        let known = match name {
            "dbxcmk_key_policy" => id.parse::<dbxcmk::vocabulary::aws::KeyArn>().is_ok(),
            "dbxcmk_key_configuration" => {
                id.parse::<dbxcmk::vocabulary::KeyConfigurationId>().is_ok()
            }
            _ => id.parse::<dbxcmk::vocabulary::WorkspaceId>().is_ok(),
        };
        assert!(known, "{id}");
        // Those of other clouds, as long as these have another form.
        for cloud in ["google", "azure"] {
            let path = format!("resources/{name}/import-{cloud}.tf");
            if !checkout().join("examples").join(&path).exists() {
                continue;
            }
            let block = example(&path);
            assert!(
                block.contains(&format!("to = {name}.{resource}")),
                "{block}"
            );
            let (_, rest) = block.split_once("id = \"").unwrap();
            let (id, _) = rest.split_once('"').unwrap();
            let known = match (name, cloud) {
                ("dbxcmk_workspace_binding", _) => id
                    .parse::<dbxcmk::vocabulary::azure::WorkspaceResourceId>()
                    .is_ok(),
                (_, "google") => id.parse::<dbxcmk::vocabulary::gcp::CryptoKeyName>().is_ok(),
                _ => id.split(',').next().is_some_and(|key| {
                    key.parse::<dbxcmk::vocabulary::azure::VaultKeyId>().is_ok()
                }),
            };
            assert!(known, "{id}");
        }
    }
}

#[test]
fn the_provider_example_is_valid() {
    let workdir = acceptance_tests::harness::Workdir::without_services();
    let head = HEAD.but("provider \"dbxcmk\" {}", "");
    let text = example("provider/provider.tf");
    workdir.configuration(&if text.contains("required_providers") {
        text
    } else {
        format!("{head}{text}")
    });
    workdir.validate();
}

fn the_complete_example_is_applied(over: Over) {
    let mut stage = Stage::new(over);
    stage.workdir.configuration(&example("complete/main.tf"));
    stage
        .workdir
        .write("variables.tf", &example("complete/variables.tf"));
    stage.workdir.set(
        "TF_VAR_workspace_id",
        &dbxcmk_sandbox::WORKSPACE.to_string(),
    );
    stage
        .workdir
        .set("TF_VAR_cross_account_role_arn", dbxcmk_sandbox::ROLE_ARN);
    stage.workdir.set("TF_VAR_settle_time", "0s");
    // On the loopback there is no account to ask for.
    stage.workdir.write(
        "loopback_override.tf",
        "provider \"aws\" {\n  skip_credentials_validation = true\n  skip_requesting_account_id = true\n  skip_metadata_api_check = true\n}\n",
    );
    stage.workdir.apply();
    stage.workdir.empty_plan();
}

/// The example for Google Cloud, and the steps of the guide, with this key instead of the resource that creates it.
#[test]
fn the_example_for_google_cloud_is_applied() {
    use acceptance_tests::google::KEY;
    use dbxcmk_sandbox::gcp;
    let mut stage = Stage::on_google();
    stage.workdir.configuration(&example("google/main.tf"));
    stage
        .workdir
        .write("variables.tf", &example("google/variables.tf"));
    for (name, value) in [
        ("kms_key_id", KEY),
        ("workspace_id", &gcp::WORKSPACE.to_string()),
        ("workspace_project_number", gcp::PROJECT_NUMBER),
        ("settle_time", "0s"),
    ] {
        stage.workdir.set(&format!("TF_VAR_{name}"), value);
    }
    stage.workdir.apply();
    stage.workdir.empty_plan();

    let guide =
        std::fs::read_to_string(checkout().join("docs/guides/first-key-google.md")).unwrap();
    let steps = crate::documentation::blocks(&guide, "terraform");
    let [provider, _, resources, ..] = steps.as_slice() else {
        panic!("the guide has other steps");
    };
    let stage = Stage::on_google();
    // With the workspace and the service account that the sandbox has, as a reader types it.
    let resources = resources
        .but("google_kms_crypto_key.lakehouse.id", &format!("\"{KEY}\""))
        .but("  depends_on", "  settle_time = \"0s\"\n\n  depends_on");
    stage.configure(&resources);
    stage.workdir.apply();
    stage.workdir.empty_plan();
    // The provider block of the guide is checked without a call.
    let head = HEAD.but("provider \"dbxcmk\" {}", "");
    stage.workdir.configuration(&format!("{head}{provider}"));
    stage.workdir.validate();
}

/// The example for Azure, and the steps of the guide, with this key and this workspace instead of the resources that create them.
#[test]
fn the_example_for_azure_is_applied() {
    use acceptance_tests::azure::provider;
    use dbxcmk_sandbox::azure::{VAULT, VERSION, key_id, vault_id, workspace_id};
    let named = [
        ("key_vault_key_id", key_id(VAULT)),
        ("vault_resource_id", vault_id(VAULT)),
        ("workspace_resource_id", workspace_id()),
        ("settle_time", "0s".to_owned()),
    ];
    // Where these services are stands in a file beside the example.
    let is_here = |stage: &Stage| {
        let head = provider(&stage.sandbox, stage.workdir.path(), "");
        let (_, block) = head.split_once("provider \"dbxcmk\"").unwrap();
        stage
            .workdir
            .write("here_override.tf", &format!("provider \"dbxcmk\"{block}"));
    };
    let mut stage = Stage::on_azure();
    stage.workdir.configuration(&example("azure/main.tf"));
    stage
        .workdir
        .write("variables.tf", &example("azure/variables.tf"));
    is_here(&stage);
    for (name, value) in &named {
        stage.workdir.set(&format!("TF_VAR_{name}"), value);
    }
    stage.workdir.apply();
    stage.workdir.empty_plan();
    assert_eq!(stage.arm_versions(), [VERSION, VERSION, VERSION]);

    let guide = std::fs::read_to_string(checkout().join("docs/guides/first-key-azure.md")).unwrap();
    let steps = crate::documentation::blocks(&guide, "terraform");
    let [provider_block, _, resources, ..] = steps.as_slice() else {
        panic!("the guide has other steps");
    };
    let stage = Stage::on_azure();
    let around = |text: &str| {
        text.wherever(
            "azurerm_key_vault_key.lakehouse.versionless_id",
            &format!("\"{}\"", key_id(VAULT)),
        )
        .wherever(
            "azurerm_key_vault.lakehouse.id",
            &format!("\"{}\"", vault_id(VAULT)),
        )
        .wherever(
            "azurerm_databricks_workspace.prod.id",
            &format!("\"{}\"", workspace_id()),
        )
        .wherever("  depends_on", "  settle_time = \"0s\"\n\n  depends_on")
    };
    let head = HEAD.but("provider \"dbxcmk\" {}", "");
    stage
        .workdir
        .configuration(&format!("{head}{provider_block}{}", around(resources)));
    is_here(&stage);
    stage.workdir.apply();
    stage.workdir.empty_plan();
    assert_eq!(stage.arm_versions(), [VERSION, VERSION, VERSION]);

    // What the guide imports is what there is now.
    if has("import blocks", (1, 5)) {
        let imports = steps
            .iter()
            .find(|block| block.contains("import {"))
            .expect("a step that imports");
        std::fs::remove_file(stage.workdir.path().join("terraform.tfstate")).unwrap();
        let whole = format!(
            "{head}{provider_block}{}{}",
            around(resources),
            around(imports)
        );
        stage.workdir.configuration(&whole);
        let plan = stage.workdir.plan();
        for address in [
            "dbxcmk_key_policy.lakehouse",
            "dbxcmk_workspace_binding.prod",
        ] {
            let action = plan.actions(address);
            assert!(
                action == "no-op" || action == "update",
                "{address}: {action}"
            );
        }
    }
}

#[test]
fn the_documentation_is_fresh() {
    let binary: PathBuf = acceptance_tests::harness::providers::provider_binary();
    let output = Command::new(binary)
        .args(["docs", "--check", "--directory"])
        .arg(checkout())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// What the examples of data sources and functions refer to besides themselves.
fn surrounded(stage: &Stage, text: &str) -> String {
    let key = stage.good_key();
    let variables = [
        ("key_arn", json!(key)),
        ("cross_account_role_arn", json!(dbxcmk_sandbox::ROLE_ARN)),
        ("workspace_id", json!("1234567890123456")),
        ("kms_key_id", json!(acceptance_tests::google::KEY)),
        (
            "databricks_service_accounts",
            json!(["db-3456789012345678@prod-gcp-us-east4.iam.gserviceaccount.com"]),
        ),
        ("workspace_project_number", json!("123456789012")),
    ];
    let declared = variables.iter().filter(|(name, _)| {
        text.contains(&format!("var.{name}")) && !text.contains(&format!("variable \"{name}\""))
    });
    let declared: String = declared
        .map(|(name, value)| format!("variable \"{name}\" {{\n  default = {value}\n}}\n\n"))
        .collect();
    let text = text.wherever(
        "variable \"key_arn\" {\n",
        &format!("variable \"key_arn\" {{\n  default = \"{key}\"\n"),
    );
    stage
        .workdir
        .write("key-policy.json", &stage.kms.policy(&key));
    // On the loopback there is no account to ask for.
    let text = text.wherever("data \"aws_caller_identity\" \"current\" {}\n", "");
    format!(
        "{declared}{}",
        text.wherever(
            "data.aws_caller_identity.current.account_id",
            "\"123456789012\""
        )
    )
}

#[test]
fn every_example_of_a_data_source_is_planned() {
    for name in [
        "dbxcmk_key_readiness",
        "dbxcmk_key_policy_document",
        "dbxcmk_key_configurations",
        "dbxcmk_workspace_encryption",
    ] {
        let stage = Stage::new(Over::Sandbox);
        let text = surrounded(
            &stage,
            &example(&format!("data-sources/{name}/data-source.tf")),
        );
        stage
            .workdir
            .configuration(&format!("{HEAD_WITH_AWS}{text}"));
        stage.workdir.plan();
    }
}

#[test]
fn every_example_of_a_function_is_planned() {
    if !has("provider functions in validations", (1, 9)) {
        return;
    }
    for name in [
        "parse_key_arn",
        "key_policy_statements",
        "merge_key_policy",
        "key_policy_allows",
    ] {
        let stage = Stage::new(Over::Sandbox);
        let text = surrounded(&stage, &example(&format!("functions/{name}/function.tf")));
        stage.configure(&text);
        stage.workdir.plan();
    }
}

#[test]
fn every_example_of_a_list_is_queried() {
    if !has("terraform query", (1, 14)) {
        return;
    }
    for name in [
        "dbxcmk_key_policy",
        "dbxcmk_key_configuration",
        "dbxcmk_workspace_binding",
    ] {
        let stage = Stage::new(Over::Sandbox);
        stage.configure("");
        stage.workdir.write(
            "x.tfquery.hcl",
            &example(&format!("list-resources/{name}/list-resource.tfquery.hcl")),
        );
        let run = stage.workdir.run(&["query", "-json"]);
        assert!(run.success, "{}", run.output);
    }
}

/// A module's own tests, as its author runs them.
#[test]
fn the_example_module_passes_its_own_tests() {
    if !has("terraform test with mocks", (1, 7)) {
        return;
    }
    let stage = Stage::new(Over::Sandbox);
    std::fs::create_dir_all(stage.workdir.path().join("tests")).unwrap();
    for file in [
        "main.tf",
        "variables.tf",
        "tests/with_mocks.tftest.hcl",
        "tests/with_sandbox.tftest.hcl",
    ] {
        stage
            .workdir
            .write(file, &example(&format!("module/{file}")));
    }
    let run = stage.workdir.run(&["test", "-no-color"]);
    assert!(
        run.success && run.output.contains("3 passed, 0 failed"),
        "{}",
        run.output
    );
}
