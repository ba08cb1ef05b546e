//! Google Cloud: from nothing to a workspace that uses a key of Cloud KMS, and back.

use acceptance_tests::google::{COMPUTE, KEY, ROLE, STORAGE, resources};
use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::stage::Stage;
use dbxcmk_sandbox::gcp;
use serde_json::Value as Json;

mod clients;
mod identity;
mod policy;
mod proof;
mod review;
mod switch;

#[test]
fn everything_in_one_apply_from_nothing() {
    let stage = Stage::on_google();
    let workdir = &stage.workdir;
    stage.configure(&resources());
    workdir.validate();
    let plan = workdir.plan();
    for address in [
        "dbxcmk_key_policy.lakehouse",
        "dbxcmk_key_configuration.lakehouse",
        "dbxcmk_workspace_binding.prod",
    ] {
        assert_eq!(plan.actions(address), "create", "{address}");
    }
    assert_eq!(
        plan.after("dbxcmk_key_configuration.lakehouse", "/gcp/location"),
        "us-east4"
    );
    assert!(plan.is_unknown(
        "dbxcmk_key_configuration.lakehouse",
        "/gcp/service_account_email"
    ));
    assert!(plan.is_unknown("dbxcmk_key_policy.lakehouse", "/gcp/members"));
    workdir.apply();
    let email = workdir.attribute(
        "dbxcmk_key_configuration.lakehouse",
        "/gcp/service_account_email",
    );
    assert_eq!(
        stage.members(KEY, ROLE),
        [
            format!("serviceAccount:{email}"),
            COMPUTE.to_owned(),
            STORAGE.to_owned()
        ]
    );
    let id = workdir.attribute("dbxcmk_key_configuration.lakehouse", "/id");
    for field in [
        "managed_services_customer_managed_key_id",
        "storage_customer_managed_key_id",
    ] {
        assert_eq!(
            stage.workspace_field(gcp::WORKSPACE, field),
            Json::from(id.clone())
        );
    }
    workdir.empty_plan();
    // A workspace that is there needs all of it.
    let refused = workdir.refused_destroy();
    refused.error("Workspaces need these members of the key's IAM policy");
    stage.sandbox.with(|world| {
        world.now.workspaces.remove(&gcp::WORKSPACE);
    });
    workdir.run(&["destroy", "-auto-approve", "-refresh=false"]);
    assert_eq!(workdir.addresses(), Vec::<String>::new());
    assert_eq!(stage.members(KEY, ROLE), Vec::<String>::new());
}

/// Without `manual`, Databricks grants with the caller's Google token, and the state shows what it granted.
#[test]
fn databricks_grants_itself_what_it_needs() {
    let stage = Stage::on_google();
    stage.configure(&configuration("", "MANAGED_SERVICES"));
    let run = stage.workdir.apply();
    let warning = run.warning("Databricks granted its service account the use of the key");
    assert!(
        warning
            .detail
            .contains("roles/cloudkms.cryptoKeyEncrypter, roles/cloudkms.cryptoKeyDecrypter"),
        "{}",
        warning.detail
    );
    assert_eq!(
        stage.workdir.attribute(
            "dbxcmk_key_configuration.lakehouse",
            "/gcp/service_account_email"
        ),
        "cmk-1@databricks-control-plane.iam.gserviceaccount.com"
    );
    stage.workdir.empty_plan();
    // A configuration that asks for it again, with `manual`, gets another one.
    stage.configure(&configuration("manual = true", "MANAGED_SERVICES"));
    assert_eq!(
        stage
            .workdir
            .plan()
            .actions("dbxcmk_key_configuration.lakehouse"),
        "delete, create"
    );
    stage.workdir.apply();
    stage.workdir.empty_plan();
    stage.workdir.destroy();
}

/// The provider reports what it cannot read, and does not pass over it.
#[test]
fn a_service_account_that_cannot_be_read_is_said() {
    let stage = Stage::on_google();
    stage.google(|cloud| cloud.shown_service_account = Some("nobody".to_owned()));
    stage.configure(&configuration("", "MANAGED_SERVICES"));
    let run = stage.workdir.apply();
    let warning =
        run.warning("The provider could not check what Databricks granted its service account");
    assert!(
        warning.detail.contains("`nobody` is not"),
        "{}",
        warning.detail
    );
}

fn configuration(manual: &str, case: &str) -> String {
    format!(
        r#"
resource "dbxcmk_key_configuration" "lakehouse" {{
  use_cases = ["{case}"]
  gcp = {{
    kms_key_id = "{KEY}"
    {manual}
  }}
}}
"#
    )
}

/// What is wrong with a configuration, without any call.
#[test]
fn what_is_wrong_offline_is_said_at_validate() {
    let policy = |gcp: &str, more: &str| {
        format!(
            "\nresource \"dbxcmk_key_policy\" \"x\" {{\n  use_cases = [\"MANAGED_SERVICES\"]\n  gcp = {{\n    {gcp}\n  }}\n  {more}\n}}\n"
        )
    };
    let key = format!("kms_key_id = \"{KEY}\"");
    let accounts =
        "databricks_service_accounts = [\"db-1@prod-gcp-us-east4.iam.gserviceaccount.com\"]";
    let rows = [
        (
            configuration("", "MANAGED_SERVICES").but("us-east4", "global"),
            "The Cloud KMS key is not in a region",
            "the location `global`",
        ),
        (
            configuration("", "MANAGED_SERVICES").but("us-east4", "europe"),
            "The Cloud KMS key is not in a region",
            "the location `europe`",
        ),
        (
            configuration("", "MANAGED_SERVICES").but("/main", "/main/cryptoKeyVersions/1"),
            "Invalid key name",
            "without `/cryptoKeyVersions/",
        ),
        (
            configuration("", "MANAGED_SERVICES").but(KEY, "arn:aws:kms:x"),
            "Invalid key name",
            "expected projects/PROJECT/",
        ),
        (
            configuration("", "MANAGED_SERVICES").but(
                "  gcp = {",
                "  aws = {\n    key_arn = \"arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab\"\n  }\n  gcp = {",
            ),
            "A key configuration has one key",
            "Both `aws` and `gcp`",
        ),
        (policy(&key, ""), "No service account is set", "service_account_email"),
        (
            policy(&format!("{key}\n{accounts}\nworkspace_project_number = \"0\""), ""),
            "Invalid project number",
            "gcloud projects describe",
        ),
        (
            policy(&format!("{key}\n{}", accounts.but("db-1", "serviceAccount:db-1")), ""),
            "Invalid service account",
            "leave `serviceAccount:` out",
        ),
        (
            policy(&format!("{key}\n{accounts}\nworkspace_project_number = \"acme\""), ""),
            "Invalid project number",
            "gcloud projects describe",
        ),
        (
            policy(
                &format!("{key}\n{accounts}"),
                "databricks_account_ids = [\"2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11\"]",
            ),
            "databricks_account_ids belongs to AWS",
            "databricks_service_accounts",
        ),
    ];
    let stage = Stage::on_google();
    for (text, summary, words) in rows {
        stage.configure(&text);
        let run = stage.workdir.validated();
        let error = run.error(summary);
        assert!(error.detail.contains(words), "{summary}: {}", error.detail);
    }
    assert_eq!(stage.sandbox.requests().len(), 0, "nothing is called");
}

/// Objects that are there are imported, and the plan afterwards is empty.
#[test]
fn what_is_there_is_imported() {
    let stage = Stage::on_google();
    stage.configure(&resources());
    stage.workdir.apply();
    let id = stage
        .workdir
        .attribute("dbxcmk_key_configuration.lakehouse", "/id");
    for address in [
        "dbxcmk_workspace_binding.prod",
        "dbxcmk_key_policy.lakehouse",
        "dbxcmk_key_configuration.lakehouse",
    ] {
        stage.workdir.forget(address);
    }
    let before = stage.sandbox.requests().len();
    stage
        .workdir
        .import("dbxcmk_key_configuration.lakehouse", &id);
    // What is not there, Google does not show either.
    let run = [
        "import",
        "-input=false",
        "-no-color",
        "dbxcmk_key_policy.lakehouse",
    ];
    let run = stage
        .workdir
        .run(&[&run[..], &[&format!("{KEY}x")]].concat());
    assert!(
        !run.success
            && run
                .output
                .contains("The IAM policy of the key could not be read"),
        "{}",
        run.output
    );
    stage.workdir.import("dbxcmk_key_policy.lakehouse", KEY);
    stage
        .workdir
        .import("dbxcmk_workspace_binding.prod", &gcp::WORKSPACE.to_string());
    let plan = stage.workdir.plan();
    // The import adopts what looks like the access of Databricks and of the agents in the policy.
    assert_eq!(plan.actions("dbxcmk_key_policy.lakehouse"), "no-op");
    // The account shows whether Databricks or the user grants, so this agrees.
    assert_eq!(plan.actions("dbxcmk_key_configuration.lakehouse"), "no-op");
    stage.workdir.apply();
    stage.workdir.empty_plan();
    let writes: Vec<String> = stage
        .sandbox
        .requests()
        .into_iter()
        .skip(before)
        .map(|one| one.operation)
        .filter(|one| {
            one.contains("setIamPolicy") || one.starts_with("PATCH") || one.contains("POST /api")
        })
        .collect();
    assert_eq!(writes, Vec::<String>::new(), "the state alone changed");
}

/// A key policy is imported by its identity, with a configuration that Terraform writes; and keys are listed.
#[test]
fn what_is_there_is_listed_and_imported_by_its_identity() {
    use acceptance_tests::harness::terraform::has;
    let stage = Stage::on_google();
    stage.configure(&resources());
    stage.workdir.apply();
    if has("terraform query", (1, 14)) {
        let ring = KEY.split_once("/cryptoKeys/").unwrap().0;
        stage.workdir.write(
            "x.tfquery.hcl",
            &format!(
                "list \"dbxcmk_key_policy\" \"all\" {{\n  provider = dbxcmk\n  config {{\n    key_ring = \"{ring}\"\n  }}\n}}\n\n\
                 list \"dbxcmk_key_configuration\" \"all\" {{\n  provider = dbxcmk\n  config {{\n    kms_key_id = \"{KEY}\"\n  }}\n}}\n"
            ),
        );
        let run = stage.workdir.run(&["query", "-json"]);
        assert!(run.success, "{}", run.output);
        assert!(
            run.output.contains(&format!("\"kms_key_id\":\"{KEY}\"")),
            "{}",
            run.output
        );
        std::fs::remove_file(stage.workdir.path().join("x.tfquery.hcl")).unwrap();
    }
    if !has("import by identity", (1, 12)) {
        return;
    }
    for address in [
        "dbxcmk_workspace_binding.prod",
        "dbxcmk_key_policy.lakehouse",
        "dbxcmk_key_configuration.lakehouse",
    ] {
        stage.workdir.forget(address);
    }
    let import = |identity: &str| {
        format!("import {{\n  to = dbxcmk_key_policy.x\n  identity = {{\n{identity}\n  }}\n}}\n")
    };
    stage.configure(&import(&format!("    kms_key_id = \"{KEY}\"")));
    let run = stage.workdir.run(&[
        "plan",
        "-json",
        "-input=false",
        "-generate-config-out=generated.tf",
    ]);
    assert!(run.success, "{}", run.shown());
    let generated = std::fs::read_to_string(stage.workdir.path().join("generated.tf")).unwrap();
    assert!(
        generated.contains("workspace_project_number    = \"123456789012\"")
            && !generated.contains("aws = {"),
        "{generated}"
    );
    stage.workdir.apply();
    stage.workdir.empty_plan();
}

/// A lost answer of a create never makes two.
#[test]
fn a_lost_answer_makes_no_second_configuration() {
    use dbxcmk_sandbox::faults::{Effect, Fault};
    let stage = Stage::on_google();
    stage.configure(&configuration("manual = true", "STORAGE"));
    stage
        .sandbox
        .inject(Fault::new("POST customer-managed-keys", Effect::DropAfter));
    stage.workdir.apply();
    assert_eq!(stage.configurations().len(), 1);
    stage.workdir.empty_plan();
}

/// A state of Databricks' own provider is moved.
#[test]
fn a_configuration_of_databricks_own_provider_is_moved() {
    if !acceptance_tests::harness::terraform::has("moved between types", (1, 8)) {
        return;
    }
    let stage = Stage::on_google();
    stage.configure(&configuration("manual = true", "STORAGE"));
    stage.workdir.apply();
    let id = stage
        .workdir
        .attribute("dbxcmk_key_configuration.lakehouse", "/id");
    stage.workdir.forget("dbxcmk_key_configuration.lakehouse");
    let state = serde_json::json!({
        "version": 4, "terraform_version": "1.8.0", "serial": 1, "lineage": "1b2c3d4e-0000-4000-8000-000000000000", "outputs": {},
        "resources": [{
            "mode": "managed", "type": "databricks_mws_customer_managed_keys", "name": "old",
            "provider": "provider[\"registry.terraform.io/databricks/databricks\"]",
            "instances": [{ "schema_version": 0, "attributes": {
                "customer_managed_key_id": id, "account_id": dbxcmk_sandbox::ACCOUNT_ID, "use_cases": ["STORAGE"],
                "gcp_key_info": [{ "kms_key_id": KEY }], "aws_key_info": [], "creation_time": 0, "id": "x",
            } }],
        }],
    });
    stage.workdir.write("terraform.tfstate", &state.to_string());
    crate::aws::adoption::stand_in_for_databricks(&stage);
    stage.workdir.write(
        "moved.tf",
        "moved {\n  from = databricks_mws_customer_managed_keys.old\n  to   = dbxcmk_key_configuration.lakehouse\n}\n",
    );
    let plan = stage.workdir.plan();
    assert_eq!(plan.actions("dbxcmk_key_configuration.lakehouse"), "no-op");
}

/// A new version of the same key changes nothing; another key for managed services is attached in place; another storage key is
/// refused.
#[test]
fn keys_are_rotated_as_the_platform_allows() {
    let stage = Stage::on_google();
    stage.configure(&resources());
    stage.workdir.apply();
    stage.change_key(|key| {
        let next = key.versions[0].clone();
        key.versions.push(next);
        key.primary = 2;
    });
    assert_eq!(stage.workdir.empty_plan().warnings(), Vec::<&str>::new());

    let second = KEY.but("/main", "/second");
    stage.google(|google| {
        let key = google.keys[KEY].clone();
        google.keys.insert(second.clone(), key);
    });
    let more = resources()
        .but("\"lakehouse\" {", "\"second\" {")
        .but(".lakehouse.", ".second.")
        .but(KEY, &second);
    let (more, _) = more
        .split_once("resource \"dbxcmk_workspace_binding\"")
        .unwrap();
    let rotated = format!("{}{more}", resources()).but(
        "managed_services_key_configuration_id = dbxcmk_key_configuration.lakehouse.id",
        "managed_services_key_configuration_id = dbxcmk_key_configuration.second.id",
    );
    let rotated = rotated.but(
        "depends_on = [dbxcmk_key_policy.lakehouse]",
        "depends_on = [dbxcmk_key_policy.lakehouse, dbxcmk_key_policy.second]",
    );
    stage.configure(&rotated);
    let plan = stage.workdir.plan();
    assert_eq!(plan.actions("dbxcmk_workspace_binding.prod"), "update");
    stage.workdir.apply();
    stage.workdir.empty_plan();
    let id = stage
        .workdir
        .attribute("dbxcmk_key_configuration.second", "/id");
    assert_eq!(
        stage.workspace_field(gcp::WORKSPACE, "managed_services_customer_managed_key_id"),
        Json::from(id)
    );
    stage.configure(&rotated.but(
        "storage_key_configuration_id          = dbxcmk_key_configuration.lakehouse.id",
        "storage_key_configuration_id          = dbxcmk_key_configuration.second.id",
    ));
    stage
        .workdir
        .refused_plan()
        .error("The storage key of a workspace cannot be changed");
}

/// Nothing hangs on what the account may or may not show: neither on who grants nor on who uses the key.
#[test]
fn an_account_that_shows_less_is_enough() {
    let stage = Stage::on_google();
    let id = "c3000000-0000-4000-8000-000000000009";
    stage.sandbox.with(|world| {
        let made = serde_json::json!({
            "customer_managed_key_id": id, "account_id": dbxcmk_sandbox::ACCOUNT_ID, "creation_time": 1_600_000_000_000_i64,
            "use_cases": ["MANAGED_SERVICES"], "gcp_key_info": { "kms_key_id": KEY },
        });
        world.now.configurations.insert(id.to_owned(), made);
    });
    stage.configure(&configuration("", "MANAGED_SERVICES"));
    stage
        .workdir
        .import("dbxcmk_key_configuration.lakehouse", id);
    stage.workdir.empty_plan();
    stage.configure(&format!(
        "{}\nresource \"dbxcmk_workspace_binding\" \"prod\" {{\n  workspace_id = \"{}\"\n  managed_services_key_configuration_id = \
         dbxcmk_key_configuration.lakehouse.id\n  settle_time = \"0s\"\n}}\n",
        configuration("", "MANAGED_SERVICES"),
        gcp::WORKSPACE
    ));
    // The provider does not know who needs the key: it reports that, and stops nothing before Databricks does.
    let run = stage.workdir.failed_apply();
    run.warning("Not every service account that needs the Cloud KMS key was examined");
}

/// What is encrypted in a workspace on Google Cloud.
#[test]
fn what_is_encrypted_is_a_data_source() {
    let stage = Stage::on_google();
    stage.configure(&format!(
        "{}\ndata \"dbxcmk_workspace_encryption\" \"x\" {{\n  workspace_id = \"{}\"\n  depends_on   = [dbxcmk_workspace_binding.prod]\n}}\n\n\
         data \"dbxcmk_key_configurations\" \"x\" {{\n  cloud      = \"gcp\"\n  depends_on = [dbxcmk_workspace_binding.prod]\n}}\n",
        resources(),
        gcp::WORKSPACE
    ));
    stage.workdir.apply();
    let state = stage.workdir.state("data.dbxcmk_workspace_encryption.x");
    assert_eq!(
        (&state["region"], &state["storage_key"]),
        (&Json::from("us-east4"), &Json::from(KEY))
    );
    let disks = state["data"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["kind"] == "persistent disks of classic compute")
        .unwrap();
    assert_eq!(
        (&disks["covered"], &disks["covered_by"]),
        (&Json::from("yes"), &Json::from("STORAGE"))
    );
    let state = stage.workdir.state("data.dbxcmk_key_configurations.x");
    assert_eq!(state["key_configurations"][0]["key"], KEY);
    assert_eq!(state["key_configurations"][0]["key_region"], "us-east4");
}
