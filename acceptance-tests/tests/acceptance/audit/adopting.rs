//! `--adopt`: the first plan imports and changes nothing, applying it writes nothing, and the plan after it is empty.

use acceptance_tests::google;
use acceptance_tests::harness::terraform::has;
use acceptance_tests::stage::{Over, Stage};
use dbxcmk_sandbox::azure::VAULT;
use dbxcmk_sandbox::{ACCOUNT_ID, REGION};
use serde_json::json;

use super::{ONE, attach, audit, good, on_azure, register, run, texts};

/// Whether the Terraform at hand has `import` blocks with which a plan is made: 1.5, and so every one that is tested.
fn adopts(stage: &Stage, resources: usize) {
    let plan = stage.workdir.plan();
    let all = plan.json["resource_changes"].as_array().unwrap();
    assert_eq!(all.len(), resources);
    for one in all {
        let (address, change) = (&one["address"], &one["change"]);
        assert_eq!(change["actions"], json!(["no-op"]), "{address}: {change:#}");
        assert!(change["importing"].is_object(), "{address}: {change:#}");
    }
    let before = stage.sandbox.requests().len();
    stage.workdir.apply();
    for one in stage.sandbox.requests().iter().skip(before) {
        let writes = [
            "PUT ",
            "PATCH ",
            "DELETE ",
            "KMS Put",
            "POST /api/2.0/accounts",
        ];
        let is_write = writes.iter().any(|write| one.operation.starts_with(write));
        assert!(!is_write, "{} was sent", one.operation);
    }
    stage.workdir.empty_plan();
}

/// An account with keys of many names and 200 workspaces that have them in every combination.
#[test]
fn an_account_with_200_workspaces_is_adopted() {
    if !has("import blocks", (1, 6)) {
        return;
    }
    let (stage, first) = good();
    let second = stage.good_key();
    let another = "c1000000-0000-4000-8000-00000000000a";
    register(&stage, another, &second, 1_700_000_000_005);
    stage.workspaces(200);
    stage.sandbox.with(|world| {
        for (id, one) in &mut world.now.workspaces {
            let name = match id % 4 {
                0 => format!("Prod {id}"),
                1 => "the same".to_owned(),
                2 => "<img onerror=${path.module}>".to_owned(),
                _ => "\u{202e}\u{1b}[31m".to_owned(),
            };
            one.fields.insert("workspace_name".to_owned(), name.into());
        }
    });
    for number in 1..=200 {
        attach(&stage, number, another);
    }
    for number in (1..=200).step_by(3) {
        stage.sandbox.with(|world| {
            let field = "storage_customer_managed_key_id";
            world.workspace(number).fields.remove(field);
        });
    }
    let directory = stage.workdir.path().display().to_string();
    let (code, report) = audit(
        &stage,
        ONE,
        &[
            "--cloud",
            "aws",
            "--adopt",
            &directory,
            "--fail-on",
            "never",
        ],
    );
    assert_eq!(code, 0, "{:#}", report["not_read"]);
    // The account has two workspaces of its own, and one of these a key.
    adopts(&stage, 2 + 201);
    let keys = stage.workdir.path().join("key_configurations.tf");
    let keys = std::fs::read_to_string(keys).unwrap();
    assert!(keys.contains(&first) && keys.contains(&second), "{keys}");
    // What is there is not overwritten.
    let again = run(&stage, &["--cloud", "aws", "--adopt", &directory]);
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert_eq!(again.status.code(), Some(2), "{said}");
    assert!(said.contains("overwrites nothing"), "{said}");
}

#[test]
fn what_google_cloud_has_is_adopted() {
    let stage = Stage::on_google();
    stage.configure(&google::resources());
    stage.workdir.apply();
    for name in ["main.tf", "terraform.tfstate"] {
        std::fs::remove_file(stage.workdir.path().join(name)).unwrap();
    }
    let directory = stage.workdir.path().display().to_string();
    let (_, report) = audit(&stage, "", &["--cloud", "gcp", "--adopt", &directory]);
    assert_eq!(report["counts"]["keys"], 1, "{report:#}");
    adopts(&stage, 2);
}

#[test]
fn what_azure_has_is_adopted() {
    let stage = Stage::on_azure();
    stage.configure_azure(&acceptance_tests::azure::resources(VAULT));
    stage.workdir.apply();
    std::fs::remove_file(stage.workdir.path().join("terraform.tfstate")).unwrap();
    let inner = stage.workdir.path().join("adopted");
    let mut own = on_azure(&stage);
    own.extend(["--adopt".to_owned(), inner.display().to_string()]);
    let (_, report) = audit(&stage, ONE, &texts(&own));
    assert_eq!(report["counts"]["covered"], 1, "{report:#}");
    // The provider of the test stage leads to the sandbox, and that of the adoption to Azure.
    let bindings = std::fs::read_to_string(inner.join("workspace_bindings.tf")).unwrap();
    stage.configure_azure(&bindings);
    adopts(&stage, 1);
}

#[test]
fn what_cannot_be_adopted_is_said() {
    let stage = Stage::new(Over::Sandbox);
    let id = "c1000000-0000-4000-8000-00000000000b";
    stage.sandbox.with(|world| {
        let one = json!({
            "customer_managed_key_id": id, "account_id": ACCOUNT_ID, "use_cases": ["STORAGE"],
            "aws_key_info": { "key_arn": "not an ARN", "key_region": REGION },
        });
        world.now.configurations.insert(id.to_owned(), one);
    });
    let directory = stage.workdir.path().display().to_string();
    let output = run(&stage, &["--cloud", "aws", "--adopt", &directory]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains(&format!("not adopted: key configuration {id}")),
        "{said}"
    );
    assert!(said.contains("for 0 resources"), "{said}");
}
