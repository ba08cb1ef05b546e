//! `doctor` over the sandbox: who calls is named on each cloud, only reads go out, and each right that is taken away is named.

use std::process::{Command, Output, Stdio};

use acceptance_tests::google::KEY;
use acceptance_tests::harness::checkout;
use acceptance_tests::harness::providers::provider_binary;
use acceptance_tests::stage::{Over, Stage};
use dbxcmk_sandbox::azure::{self, key_id};
use dbxcmk_sandbox::faults::{Effect, Fault};
use dbxcmk_sandbox::iam::Role;
use dbxcmk_sandbox::{ACCOUNT_ID, AWS_ACCOUNT};
use serde_json::{Value as Json, json};

fn run(stage: &Stage, arguments: &[&str]) -> Output {
    let mut command = Command::new(provider_binary());
    command
        .arg("doctor")
        .args(arguments)
        .envs(stage.sandbox.environment())
        .env("HOME", stage.workdir.path())
        .current_dir(stage.workdir.path())
        .stdin(Stdio::null());
    command.output().unwrap()
}

/// A run with the report in JSON, which is what the published schema says: the exit code and the report.
fn doctor(stage: &Stage, arguments: &[&str]) -> (i32, Json) {
    let schema =
        std::fs::read_to_string(checkout().join("docs/schemas/doctor.schema.json")).unwrap();
    let schema: Json = serde_json::from_str(&schema).unwrap();
    let output = run(stage, &[arguments, &["--format", "json"]].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    let report = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr))
    });
    crate::review::conforms(&report, &schema, "report");
    (output.status.code().unwrap(), report)
}

/// What the report says of a service.
fn service<'a>(report: &'a Json, name: &str) -> &'a Json {
    let mut all = report["services"].as_array().unwrap().iter();
    all.find(|one| one["service"] == name)
        .unwrap_or_else(|| panic!("no {name}: {report:#}"))
}

/// The rights of all services in a state.
fn rights(report: &Json, state: &str) -> Vec<String> {
    let services = report["services"].as_array().unwrap().iter();
    services
        .flat_map(|one| one["rights"].as_array().unwrap())
        .filter(|right| right["state"] == state)
        .map(|right| right["name"].as_str().unwrap().to_owned())
        .collect()
}

/// Every request is a read, a test of permissions, or asks for a token.
fn only_reads(stage: &Stage) {
    const QUERIES: [&str; 7] = [
        "KMS DescribeKey",
        "KMS GetKeyPolicy",
        "STS GetCallerIdentity",
        "IAM GetRole",
        "IAM SimulatePrincipalPolicy",
        ":testIamPermissions",
        "/token",
    ];
    let requests = stage.sandbox.requests();
    assert!(requests.len() > 4, "{}", requests.len());
    for one in requests {
        let is_query = one.operation.starts_with("GET ")
            || QUERIES.iter().any(|query| one.operation.contains(query));
        assert!(is_query, "{} is no read", one.operation);
    }
}

/// A run in which nothing is missing, and then one for each right of a service: the sandbox takes it away, and the report names it alone.
fn each_right_is_named(
    make: &dyn Fn() -> Stage,
    arguments: &[&str],
    name: &str,
    take: &dyn Fn(&Stage, &str),
) {
    let (code, report) = doctor(&make(), arguments);
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(report["verdict"], "there");
    let all = service(&report, name)["rights"].as_array().unwrap().clone();
    assert!(all.len() > 4, "{report:#}");
    for right in all {
        let right = right["name"].as_str().unwrap();
        let stage = make();
        take(&stage, right);
        let (code, report) = doctor(&stage, arguments);
        assert_eq!(code, 1, "{right}: {report:#}");
        assert_eq!(rights(&report, "missing"), [right], "{report:#}");
        only_reads(&stage);
        let shown = run(&stage, arguments);
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.contains(&format!("missing: {right}")), "{shown}");
    }
}

/// The role of the caller, which may do everything but these actions.
fn role(stage: &Stage, but: &[&str]) {
    let denies = match but {
        [] => Json::Null,
        but => json!({ "Effect": "Deny", "Action": but, "Resource": "*" }),
    };
    let allows = json!({ "Effect": "Allow", "Action": ["kms:*", "iam:*"], "Resource": "*" });
    let statements: Vec<Json> = [allows, denies]
        .into_iter()
        .filter(|one| !one.is_null())
        .collect();
    let policy = json!({ "Version": "2012-10-17", "Statement": statements });
    stage.sandbox.with(|world| {
        let arn = format!("arn:aws:iam::{AWS_ACCOUNT}:role/terraform");
        world.now.roles.retain(|one| one.arn != arn);
        let mut own = Role::named(&arn);
        own.inline.insert("own".to_owned(), policy.to_string());
        world.now.roles.push(own);
    });
}

fn on_aws() -> Stage {
    let stage = Stage::new(Over::Sandbox);
    role(&stage, &[]);
    // Only what the command itself sends is recorded.
    stage.sandbox.with(|world| world.record.clear());
    stage
}

/// The sandbox lets every caller read keys, so that the read itself is refused beside the policy.
fn take_from_aws(stage: &Stage, right: &str) {
    role(stage, &[right]);
    if let Some(operation) = right.strip_prefix("kms:")
        && ["DescribeKey", "GetKeyPolicy"].contains(&operation)
    {
        let refused = Effect::aws("AccessDeniedException", "User is not authorized");
        let fault = Fault::new(&format!("KMS {operation}"), refused).times(100);
        stage.sandbox.with(|world| world.faults.push(fault));
    }
}

#[test]
fn each_right_on_keys_of_aws_is_named() {
    each_right_is_named(&on_aws, &["--cloud", "aws"], "aws", &take_from_aws);
}

/// With a key, its own policy decides as well, and the reads themselves are tried.
#[test]
fn a_key_of_aws_makes_the_answer_exact() {
    let stage = on_aws();
    let key = stage.good_key();
    stage.sandbox.with(|world| world.record.clear());
    let arguments = ["--cloud", "aws", "--key", &key];
    let (code, report) = doctor(&stage, &arguments);
    assert_eq!(code, 0, "{report:#}");
    only_reads(&stage);
    let aws = service(&report, "aws");
    let who = aws["identity"].as_str().unwrap();
    assert!(who.contains("assumed-role/terraform"), "{who}");
    assert_eq!(aws["account"], format!("account {AWS_ACCOUNT}"));
    let databricks = service(&report, "databricks");
    assert_eq!(databricks["account"], ACCOUNT_ID);
    let address = databricks["endpoints"][0]["address"].as_str().unwrap();
    assert_eq!(address, stage.sandbox.url());
    take_from_aws(&stage, "kms:GetKeyPolicy");
    let (code, report) = doctor(&stage, &arguments);
    assert_eq!(code, 1);
    assert_eq!(rights(&report, "missing"), ["kms:GetKeyPolicy"]);
}

/// Who may not ask the simulator learns that nothing else tells; what was tried is known all the same.
#[test]
fn what_cannot_be_told_is_not_known() {
    let stage = on_aws();
    let key = stage.good_key();
    stage.sandbox.with(|world| {
        world
            .now
            .iam_denies
            .insert("SimulatePrincipalPolicy".to_owned());
    });
    let (code, report) = doctor(&stage, &["--cloud", "aws", "--key", &key]);
    assert_eq!(code, 3, "{report:#}");
    let there = rights(&report, "there");
    for read in ["kms:DescribeKey", "kms:GetKeyPolicy"] {
        assert!(there.iter().any(|one| one == read), "{there:?}");
    }
    let unknown = rights(&report, "not_known");
    assert!(
        unknown.iter().any(|one| one == "kms:DisableKey"),
        "{unknown:?}"
    );
    assert_eq!(rights(&report, "missing"), Vec::<String>::new());
    let shown = report.to_string();
    assert!(shown.contains("iam:SimulatePrincipalPolicy"), "{shown}");
}

/// The lists of the account tell who is an account admin; a secret that is not accepted is a matter of its own.
#[test]
fn the_account_tells_who_is_an_admin() {
    let refused = |operation: &str| {
        let body = json!({ "error_code": "PERMISSION_DENIED", "message": "only for admins" });
        let effect = Effect::Status {
            status: 403,
            body: body.to_string(),
            content_type: None,
            retry_after: None,
        };
        Fault::new(operation, effect).times(100)
    };
    for (operation, missing) in [
        (
            "GET /customer-managed-keys",
            vec!["list key configurations", "account admin"],
        ),
        ("GET /workspaces", vec!["list workspaces", "account admin"]),
        ("GET /credentials", vec!["list credentials configurations"]),
        ("GET /metastores", vec!["list metastores"]),
    ] {
        let stage = on_aws();
        stage
            .sandbox
            .with(|world| world.faults.push(refused(operation)));
        let (code, report) = doctor(&stage, &["--cloud", "aws"]);
        assert_eq!(code, 1, "{operation}: {report:#}");
        assert_eq!(rights(&report, "missing"), missing, "{operation}");
    }
    let stage = on_aws();
    let output = Command::new(provider_binary())
        .args(["doctor", "--cloud", "aws"])
        .envs(stage.sandbox.environment())
        .env("DATABRICKS_CLIENT_SECRET", "wrong")
        .env("HOME", stage.workdir.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(
        shown.contains("Databricks account: no usable credentials"),
        "{shown}"
    );
    assert!(!shown.contains("wrong"), "{shown}");
}

#[test]
fn each_right_on_google_cloud_is_named() {
    let take = |stage: &Stage, right: &str| {
        stage.google(|google| google.denied.insert(right.to_owned()));
    };
    let arguments = ["--cloud", "gcp", "--key", KEY];
    each_right_is_named(&Stage::on_google, &arguments, "google", &take);
    let (_, report) = doctor(&Stage::on_google(), &arguments);
    let google = service(&report, "google");
    assert_eq!(google["account"], "project acme-lakehouse");
    // Nothing is known of a project that nobody names.
    let (code, report) = doctor(&Stage::on_google(), &["--cloud", "gcp"]);
    assert_eq!(code, 3, "{report:#}");
}

#[test]
fn each_right_on_azure_is_named() {
    let make = || {
        let stage = Stage::on_azure();
        let bundle = stage.workdir.path().join("authority.pem");
        std::fs::write(bundle, stage.sandbox.authority()).unwrap();
        stage
    };
    let take = |stage: &Stage, right: &str| {
        let denied = match right {
            "read applications in Microsoft Graph" => "graph",
            // The name under which the vault itself refuses.
            "Microsoft.KeyVault/vaults/keys/read" => "keys/read",
            other => other,
        };
        stage.azure(|azure| azure.denied.insert(denied.to_owned()));
    };
    let key = key_id(azure::VAULT);
    let arguments = [
        "--cloud",
        "azure",
        "--ca-bundle",
        "authority.pem",
        "--key",
        &key,
    ];
    each_right_is_named(&make, &arguments, "azure", &take);
    let (_, report) = doctor(&make(), &arguments);
    let azure = service(&report, "azure");
    let who = azure["identity"].as_str().unwrap();
    assert!(who.contains(azure::CLIENT), "{who}");
    let account = azure["account"].as_str().unwrap();
    assert!(account.contains(azure::TENANT), "{account}");
}

/// Without any credential, no cloud is wanted: that is said, and nothing is asked of anybody.
#[test]
fn nothing_that_is_configured_is_said() {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(provider_binary())
        .arg("doctor")
        .env_clear()
        .envs([
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("GCE_METADATA_HOST", "127.0.0.1:1"),
        ])
        .env("HOME", home.path())
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    for words in [
        "Databricks account: not configured",
        "AWS: not configured",
        "Google Cloud: not configured",
        "Azure: not configured",
        "No service is configured.",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
}
