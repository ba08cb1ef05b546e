//! For users who already have keys: imports by identity, generated configuration, lists, and moves from the peers.

use acceptance_tests::harness::terraform::has;
use acceptance_tests::harness::{checkout, providers};
use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::stage::{HEAD, HEAD_WITH_AWS, Over, Stage, over_both};
use dbxcmk_sandbox::{ACCOUNT_ID, REGION, ROLE_ARN, WORKSPACE};
use serde_json::{Value as Json, json};

use crate::documentation::blocks;

over_both! {
    what_is_there_is_imported_with_generated_configuration_and_plans_empty,
    a_key_policy_of_hashicorps_aws_is_moved,
}

/// A key with the documented statements, its configuration, and a workspace that uses it, all made by another owner.
fn existing(over: Over) -> (Stage, String, &'static str) {
    let stage = Stage::new(over);
    let key = stage.kms.create_key(&json!({}));
    stage
        .kms
        .call("EnableKeyRotation", &json!({ "KeyId": key }));
    let usage = dbxcmk::requirements::aws::Usage::of(
        dbxcmk::vocabulary::Deployment::Commercial,
        [ACCOUNT_ID.parse().unwrap()],
        dbxcmk::vocabulary::UseCase::ACCOUNT.to_vec(),
    )
    .with_cross_account_role(Some(ROLE_ARN.parse().unwrap()));
    let statements: Vec<String> = usage
        .grants()
        .into_iter()
        .map(|grant| grant.statement)
        .collect();
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    stage
        .kms
        .put_policy(&key, &acceptance_tests::stage::policy(&key, &statements));
    let id = "c1000000-0000-4000-8000-000000000001";
    stage.sandbox.with(|world| {
        let configuration = json!({ "customer_managed_key_id": id, "account_id": ACCOUNT_ID, "creation_time": 1_600_000_000_000_i64,
            "use_cases": ["STORAGE", "MANAGED_SERVICES"],
            "aws_key_info": { "key_arn": key, "key_region": REGION, "key_alias": "alias/lakehouse", "reuse_key_for_cluster_volumes": true } });
        world.now.configurations.insert(id.to_owned(), configuration);
        let fields = &mut world.workspace(WORKSPACE).fields;
        for field in ["managed_services_customer_managed_key_id", "storage_customer_managed_key_id"] {
            fields.insert(field.to_owned(), Json::from(id));
        }
    });
    (stage, key, id)
}

fn what_is_there_is_imported_with_generated_configuration_and_plans_empty(over: Over) {
    if !has("generated configuration of nested attributes", (1, 9)) {
        return;
    }
    let (stage, key, id) = existing(over);
    let import = |ty: &str, id: &str| format!("import {{\n  to = {ty}.x\n  id = \"{id}\"\n}}\n");
    let imports = [
        import("dbxcmk_key_policy", &key),
        import("dbxcmk_key_configuration", id),
        import("dbxcmk_workspace_binding", &WORKSPACE.to_string()),
    ];
    stage.configure(&imports.concat());
    let run = stage.workdir.run(&[
        "plan",
        "-json",
        "-input=false",
        "-generate-config-out=generated.tf",
    ]);
    assert!(run.success, "{}", run.shown());
    let generated = std::fs::read_to_string(stage.workdir.path().join("generated.tf")).unwrap();
    assert!(
        !generated.contains("statements") && !generated.contains("workspace_status"),
        "{generated}"
    );
    let run = stage.workdir.apply();
    assert!(run.output.contains("3 imported"), "{}", run.output);
    assert_eq!(stage.workdir.empty_plan().warnings(), Vec::<&str>::new());
    assert!(
        stage.asked("PATCH").is_empty() && stage.asked("POST /customer-managed-keys").is_empty()
    );
}

/// An identity without the texts of other kinds of objects.
fn without_nulls(identity: &Json) -> Json {
    let all = identity.as_object().unwrap().iter();
    all.filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[test]
fn each_is_imported_by_its_identity() {
    if !has("import by identity", (1, 12)) {
        return;
    }
    let (stage, key, id) = existing(Over::Sandbox);
    let import = |ty: &str, name: &str, value: &str| {
        format!("import {{\n  to = {ty}.x\n  identity = {{\n    {name} = \"{value}\"\n  }}\n}}\n")
    };
    stage.configure(
        &[
            import("dbxcmk_key_policy", "key_arn", &key),
            import("dbxcmk_key_configuration", "id", id),
            import(
                "dbxcmk_workspace_binding",
                "workspace_id",
                &WORKSPACE.to_string(),
            ),
        ]
        .concat(),
    );
    let run = stage.workdir.run(&[
        "plan",
        "-json",
        "-input=false",
        "-generate-config-out=generated.tf",
    ]);
    assert!(run.success, "{}", run.shown());
    stage.workdir.apply();
    stage.workdir.empty_plan();
    let state = std::fs::read_to_string(stage.workdir.path().join("terraform.tfstate")).unwrap();
    let state: Json = serde_json::from_str(&state).unwrap();
    let identity = |ty: &str| -> Json {
        let all = state["resources"].as_array().unwrap();
        all.iter()
            .find(|one| one["type"] == ty)
            .map(|one| without_nulls(&one["instances"][0]["identity"]))
            .unwrap()
    };
    assert_eq!(identity("dbxcmk_key_policy"), json!({ "key_arn": key }));
    assert_eq!(identity("dbxcmk_key_configuration"), json!({ "id": id }));
    assert_eq!(
        identity("dbxcmk_workspace_binding"),
        json!({ "workspace_id": WORKSPACE.to_string() })
    );
    // The error for a wrong identity is the same as for a wrong ID.
    stage.workdir.write(
        "wrong.tf",
        "import {\n  to = dbxcmk_key_configuration.y\n  identity = {\n    id = \"acct/uuid\"\n  }\n}\nresource \"dbxcmk_key_configuration\" \"y\" {\n  use_cases = [\"STORAGE\"]\n  aws = {\n    key_arn = \"arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab\"\n  }\n}\n",
    );
    stage
        .workdir
        .refused_plan()
        .error("Not the ID of a key configuration");
}

#[test]
fn everything_that_is_there_is_listed() {
    if !has("terraform query", (1, 14)) {
        return;
    }
    let (stage, key, id) = existing(Over::Sandbox);
    stage.kms.create_key(&json!({}));
    stage.configure("");
    stage.workdir.write(
        "all.tfquery.hcl",
        "list \"dbxcmk_key_policy\" \"all\" {\n  provider = dbxcmk\n}\n\nlist \"dbxcmk_key_configuration\" \"storage\" {\n  provider = \
         dbxcmk\n  include_resource = true\n  config {\n    use_case = \"STORAGE\"\n  }\n}\n\nlist \"dbxcmk_workspace_binding\" \"all\" {\n  \
         provider = dbxcmk\n  limit = 1\n}\n",
    );
    let run = stage.workdir.run(&["query", "-json"]);
    assert!(run.success, "{}", run.output);
    let found: Vec<Json> = run
        .stdout
        .lines()
        .filter_map(|line| serde_json::from_str::<Json>(line).ok())
        .filter_map(|line| line.get("list_resource_found").cloned())
        .collect();
    let of = |ty: &str| -> Vec<&Json> {
        found
            .iter()
            .filter(|one| one["resource_type"] == ty)
            .collect()
    };
    assert_eq!(
        of("dbxcmk_key_policy").len(),
        1,
        "only keys with statements for Databricks: {found:?}"
    );
    assert_eq!(
        without_nulls(&of("dbxcmk_key_policy")[0]["identity"]),
        json!({ "key_arn": key })
    );
    let configuration = of("dbxcmk_key_configuration")[0];
    assert_eq!(
        without_nulls(&configuration["identity"]),
        json!({ "id": id })
    );
    assert!(
        configuration["display_name"]
            .as_str()
            .unwrap()
            .starts_with("alias/lakehouse"),
        "{configuration}"
    );
    assert_eq!(
        configuration["resource_object"]["aws"]["key_arn"],
        Json::from(key.clone()),
        "{configuration}"
    );
    assert_eq!(
        without_nulls(&of("dbxcmk_workspace_binding")[0]["identity"]),
        json!({ "workspace_id": WORKSPACE.to_string() })
    );

    // What it generates plans empty.
    let run = stage
        .workdir
        .run(&["query", "-json", "-generate-config-out=found.tf"]);
    assert!(run.success, "{}", run.output);
    stage.workdir.apply();
    stage.workdir.empty_plan();
    assert!(
        stage.asked("PATCH").is_empty() && stage.asked("POST /customer-managed-keys").is_empty()
    );
}

/// The state of databricks/databricks, in the form in which that provider writes it.
/// Terraform asks for Databricks' own provider because a state names it, and asks nothing of it: ours stands in for it.
pub fn stand_in_for_databricks(stage: &Stage) {
    let stand_in = stage.workdir.path().join("stand-in");
    std::fs::create_dir_all(&stand_in).unwrap();
    std::os::unix::fs::symlink(
        providers::provider_binary(),
        stand_in.join("terraform-provider-databricks"),
    )
    .unwrap();
    let overrides = providers::cli_configuration();
    let line = format!(
        "dev_overrides {{\n    \"databricks/databricks\" = \"{}\"",
        stand_in.display()
    );
    stage
        .workdir
        .write("terraform.rc", &overrides.but("dev_overrides {", &line));
}

#[test]
fn a_key_configuration_of_databricks_own_provider_is_moved() {
    if !has("moved between types", (1, 8)) {
        return;
    }
    let (stage, key, id) = existing(Over::Sandbox);
    let state = json!({
        "version": 4, "terraform_version": "1.8.0", "serial": 1, "lineage": "1b2c3d4e-0000-4000-8000-000000000000", "outputs": {},
        "resources": [{
            "mode": "managed", "type": "databricks_mws_customer_managed_keys", "name": "lakehouse",
            "provider": "provider[\"registry.terraform.io/databricks/databricks\"]",
            "instances": [{
                "schema_version": 1,
                "attributes": {
                    "account_id": ACCOUNT_ID,
                    "aws_key_info": [{ "key_alias": "alias/lakehouse", "key_arn": key, "key_region": REGION }],
                    "creation_time": 1_600_000_000_000_i64,
                    "customer_managed_key_id": id,
                    "gcp_key_info": [],
                    "id": format!("{ACCOUNT_ID}/{id}"),
                    "use_cases": ["MANAGED_SERVICES", "STORAGE"],
                },
                "sensitive_attributes": [],
                "private": "eyJzY2hlbWFfdmVyc2lvbiI6IjEifQ==",
            }],
        }],
    });
    stage.workdir.write("terraform.tfstate", &state.to_string());
    stand_in_for_databricks(&stage);
    // The steps of the guide, with this key; the resource of the workspace is the peer's own business.
    let guide =
        std::fs::read_to_string(checkout().join("docs/guides/migrate-from-databricks.md")).unwrap();
    let steps = blocks(&guide, "terraform");
    let text: String = steps
        .iter()
        .take(2)
        .map(|step| step.wherever("KEY_ARN", &key))
        .collect();
    stage.configure(&text);
    let plan = stage.workdir.plan();
    assert_eq!(
        plan.actions("dbxcmk_key_configuration.lakehouse"),
        "no-op",
        "{}",
        plan.run.shown()
    );
    stage.workdir.apply();
    stage.workdir.empty_plan();
    assert_eq!(
        stage
            .workdir
            .attribute("dbxcmk_key_configuration.lakehouse", "/id"),
        id
    );
    assert_eq!(
        stage.workdir.attribute(
            "dbxcmk_workspace_binding.prod",
            "/storage_key_configuration_id"
        ),
        id
    );
    for word in ["POST /customer-managed-keys", "DELETE", "PATCH"] {
        assert!(stage.asked(word).is_empty(), "{word}");
    }
}

fn a_key_policy_of_hashicorps_aws_is_moved(over: Over) {
    if !has("moved between types", (1, 8)) {
        return;
    }
    let (stage, key, _) = existing(over);
    // The peer's own state, made by the peer itself.
    stage.workdir.write("policy.json", &stage.kms.policy(&key));
    let peer = format!(
        "\nresource \"aws_kms_key_policy\" \"lakehouse\" {{\n  key_id = \"{key}\"\n  policy = file(\"policy.json\")\n}}\n"
    );
    stage
        .workdir
        .configuration(&format!("{HEAD_WITH_AWS}{peer}"));
    stage.workdir.apply();
    let before = stage.kms.policy(&key);
    let guide =
        std::fs::read_to_string(checkout().join("docs/guides/migrate-from-aws-kms-key-policy.md"))
            .unwrap();
    let own = blocks(&guide, "terraform")
        .concat()
        .but("KEY_ARN", &key)
        .but("ROLE_ARN", ROLE_ARN);
    stage
        .workdir
        .configuration(&format!("{HEAD_WITH_AWS}{own}"));
    let puts = stage.asked("KMS PutKeyPolicy").len();
    let plan = stage.workdir.plan();
    assert_eq!(
        plan.actions("dbxcmk_key_policy.lakehouse"),
        "no-op",
        "{}",
        plan.run.shown()
    );
    stage.workdir.apply();
    stage.workdir.empty_plan();
    assert_eq!(
        stage.kms.policy(&key),
        before,
        "nothing was put or taken away"
    );
    assert_eq!(stage.asked("KMS PutKeyPolicy").len(), puts);
    // What differs in truth shows, and nothing else.
    stage.workdir.configuration(&format!(
        "{HEAD_WITH_AWS}{}",
        own.but("key_arn  ", "include_grants = true\n    key_arn  ")
    ));
    assert_eq!(
        stage.workdir.plan().actions("dbxcmk_key_policy.lakehouse"),
        "update"
    );
}

#[test]
fn what_cannot_be_taken_over_is_told() {
    if !has("moved between types", (1, 8)) {
        return;
    }
    let (stage, key, _) = existing(Over::Sandbox);
    stage.configure("\nresource \"terraform_data\" \"x\" {}\n");
    stage.workdir.apply();
    stage.configure(&format!(
        "\nmoved {{\n  from = terraform_data.x\n  to   = dbxcmk_key_policy.x\n}}\n\nresource \"dbxcmk_key_policy\" \"x\" {{\n  use_cases = \
         [\"STORAGE\"]\n  aws = {{\n    key_arn = \"{key}\"\n  }}\n}}\n"
    ));
    let run = stage.workdir.refused_plan();
    assert!(
        run.error("A terraform_data cannot be moved to dbxcmk_key_policy")
            .detail
            .contains("removed"),
        "{}",
        run.shown()
    );
    assert!(HEAD.contains("dbxcmk"));
}
