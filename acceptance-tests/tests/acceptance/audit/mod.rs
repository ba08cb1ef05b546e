//! `audit` over the sandbox: what is planted is found on each cloud and nothing is invented, only reads go out, and each right that is taken
//! away is named.

mod adopting;
mod files;
mod formats;
mod page;
mod planted;
mod rights;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use acceptance_tests::google;
use acceptance_tests::harness::checkout;
use acceptance_tests::harness::providers::provider_binary;
use acceptance_tests::stage::{MANAGED_SERVICES, STORAGE};
use acceptance_tests::stage::{Over, Stage, policy};
use dbxcmk_sandbox::azure::{KEY, VAULT};
use dbxcmk_sandbox::faults::{Effect, Fault};
use dbxcmk_sandbox::{ACCOUNT_ID, REGION, WORKSPACE, gcp};
use serde_json::{Value as Json, json};

/// A policy file with which the workspace of the sandbox is fine once it has its keys: its volumes are not encrypted.
const ONE: &str = "unity_catalog = false\nrequire {\n  cluster_volumes = false\n}\n";

/// The same, with everything that metastores have.
const WHOLE: &str = "require {\n  cluster_volumes = false\n}\n";

const FIRST: &str = "c1000000-0000-4000-8000-000000000001";
const SECOND: &str = "c1000000-0000-4000-8000-000000000002";

/// Tables lie in buckets with own keys, wherever a stage has some.
fn seal(stage: &Stage) {
    let arn = stage.kms.create_key(&json!({}));
    let place = (
        REGION.to_owned(),
        arn.rsplit('/').next().unwrap().to_owned(),
    );
    let (vault, key) = (format!("https://{VAULT}.vault.azure.net"), KEY);
    let encryption = json!({
        "keySource": "Microsoft.Keyvault",
        "keyvaultproperties": { "keyvaulturi": vault, "keyname": key, "keyversion": "" },
    });
    let google_key = json!({ "defaultKmsKeyName": google::KEY });
    stage.sandbox.with(|world| {
        world.now.keys.get_mut(&place).unwrap().rotates = true;
        let buckets = &mut world.now.buckets;
        for one in buckets.s3.values_mut() {
            one.algorithm = Some("aws:kms".to_owned());
            one.kms_key = Some(arn.clone());
        }
        for one in buckets.google.values_mut() {
            one["encryption"] = google_key.clone();
        }
        for one in buckets.azure.values_mut() {
            one["properties"]["encryption"] = encryption.clone();
        }
    });
}

/// A key configuration of the account.
fn register(stage: &Stage, id: &str, arn: &str, created: u64) {
    let one = json!({
        "customer_managed_key_id": id,
        "account_id": ACCOUNT_ID,
        "creation_time": created,
        "use_cases": ["MANAGED_SERVICES", "STORAGE"],
        "aws_key_info": { "key_arn": arn, "key_region": REGION, "reuse_key_for_cluster_volumes": false },
    });
    stage
        .sandbox
        .with(|world| world.now.configurations.insert(id.to_owned(), one));
}

/// A workspace has a key configuration for both use cases.
fn attach(stage: &Stage, workspace: u64, id: &str) {
    stage.sandbox.with(|world| {
        let fields = &mut world.workspace(workspace).fields;
        for field in [
            "managed_services_customer_managed_key_id",
            "storage_customer_managed_key_id",
        ] {
            fields.insert(field.to_owned(), id.into());
        }
    });
}

/// An account whose workspace has a good key.
fn good() -> (Stage, String) {
    let stage = Stage::new(Over::Sandbox);
    let arn = stage.good_key();
    let (region, id) = (
        REGION.to_owned(),
        arn.rsplit('/').next().unwrap().to_owned(),
    );
    stage.sandbox.with(|world| {
        let key = world
            .now
            .keys
            .get_mut(&(region.clone(), id.clone()))
            .unwrap();
        key.rotates = true;
        let use_ = ("Decrypt".to_owned(), 1_796_000_000);
        world.now.last_uses.insert((region, id), use_);
    });
    register(&stage, FIRST, &arn, 1_700_000_000_000);
    attach(&stage, WORKSPACE, FIRST);
    (stage, arn)
}

fn run(stage: &Stage, arguments: &[&str]) -> Output {
    let mut command = Command::new(provider_binary());
    command
        .arg("audit")
        .args(arguments)
        .envs(stage.sandbox.environment())
        .env("HOME", stage.workdir.path())
        .current_dir(stage.workdir.path())
        .stdin(Stdio::null());
    command.output().unwrap()
}

/// A run with the report in JSON, which is what the published schema says: the exit code and the report.
fn audit(stage: &Stage, rules: &str, arguments: &[&str]) -> (i32, Json) {
    static SCHEMA: LazyLock<Json> = LazyLock::new(|| {
        let path = checkout().join("docs/schemas/audit.schema.json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    });
    stage.workdir.write("audit.hcl", rules);
    let all = [&["--format", "json", "--policy", "audit.hcl"], arguments].concat();
    let output = run(stage, &all);
    let text = String::from_utf8_lossy(&output.stdout);
    let report = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr))
    });
    crate::review::conforms(&report, &SCHEMA, "report");
    (output.status.code().unwrap(), report)
}

/// The findings of a gravity, by ID.
fn ids(report: &Json, severity: &str) -> Vec<String> {
    let all = report["findings"].as_array().unwrap();
    let of = all.iter().filter(|one| one["severity"] == severity);
    of.map(|one| one["id"].as_str().unwrap().to_owned())
        .collect()
}

const OWN: [&str; 4] = ["--cloud", "aws", "--workspace", "1234567890123456"];
const ALL: [&str; 2] = ["--cloud", "aws"];

/// Every request is a read: GET, or a POST that queries or gives out tokens.
fn only_reads(stage: &Stage, before: usize) {
    const QUERIES: [&str; 19] = [
        "S3 GetBucketEncryption",
        "S3 HeadBucket",
        "KMS DescribeKey",
        "KMS ListKeys",
        "KMS GetKeyPolicy",
        "KMS GetKeyRotationStatus",
        "KMS ListGrants",
        "KMS GetKeyLastUsage",
        "CloudTrail LookupEvents",
        "STS GetCallerIdentity",
        "IAM GetRole",
        "IAM ListAttachedRolePolicies",
        "IAM GetPolicy",
        "IAM ListRolePolicies",
        "IAM SimulatePrincipalPolicy",
        ":getIamPolicy",
        ":testIamPermissions",
        "/token",
        "generateAccessToken",
    ];
    let requests = stage.sandbox.requests();
    assert!(requests.len() > before);
    for one in requests.into_iter().skip(before) {
        let is_query = one.operation.starts_with("GET ")
            || QUERIES.iter().any(|query| one.operation.contains(query));
        assert!(is_query, "{} is no read", one.operation);
    }
}

#[test]
fn a_good_account_has_no_findings_and_only_reads_go_out() {
    let (stage, arn) = good();
    let before = stage.sandbox.requests().len();
    let (code, report) = audit(&stage, ONE, &OWN);
    assert_eq!(ids(&report, "error"), Vec::<String>::new(), "{report:#}");
    assert_eq!(ids(&report, "warning"), Vec::<String>::new(), "{report:#}");
    assert_eq!(report["not_read"], json!([]), "{report:#}");
    assert_eq!(code, 0);
    let counts = &report["counts"];
    assert_eq!(
        (&counts["judged"], &counts["covered"]),
        (&json!(1), &json!(1))
    );
    let key = &report["keys"][0];
    assert_eq!(key["key"], arn.as_str());
    for (field, value) in [("state", "Enabled"), ("rotation", "on"), ("proof", "ready")] {
        assert_eq!(key[field], value, "{key:#}");
    }
    assert_eq!(key["last_used"]["operation"], "Decrypt");
    assert_eq!(key["used_by"]["workspaces"], json!(["1234567890123456"]));
    only_reads(&stage, before);
    // The same bytes, but for the run.
    let (_, mut again) = audit(&stage, ONE, &OWN);
    let mut report = report;
    for one in [&mut report, &mut again] {
        one["run"] = Json::Null;
    }
    assert_eq!(report, again);
}

fn disable(stage: &Stage, arn: &str) {
    stage.kms.call("DisableKey", &json!({ "KeyId": arn }));
}

#[test]
fn what_is_planted_on_aws_is_found() {
    let (stage, good) = good();
    // A twin, a key that is disabled, one that everybody may use, a workspace without keys.
    register(&stage, SECOND, &good, 1_700_000_000_001);
    let open = stage.kms.create_key(&json!({}));
    let everybody = r#"{"Sid": "Shared", "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:Decrypt", "Resource": "*"}"#;
    stage.kms.put_policy(
        &open,
        &policy(&open, &[MANAGED_SERVICES, STORAGE, everybody]),
    );
    register(
        &stage,
        "c1000000-0000-4000-8000-000000000003",
        &open,
        1_700_000_000_002,
    );
    let off = stage.good_key();
    disable(&stage, &off);
    register(
        &stage,
        "c1000000-0000-4000-8000-000000000004",
        &off,
        1_700_000_000_003,
    );
    stage.workspaces(2);
    attach(&stage, 1, "c1000000-0000-4000-8000-000000000004");
    attach(&stage, 2, "c1000000-0000-4000-8000-00000000dead");
    let before = stage.sandbox.requests().len();
    let (code, report) = audit(&stage, WHOLE, &ALL);
    assert_eq!(code, 1);
    let found = |id: &str, subject: &str| {
        let uid = format!("{id}/{subject}");
        let all = report["findings"].as_array().unwrap();
        assert!(
            all.iter().any(|one| one["uid"] == uid.as_str()),
            "{uid} in {report:#}"
        );
    };
    found("kms-key-disabled", &format!("key/{off}"));
    found("key-open-to-others", &format!("key/{open}"));
    found("configuration-twin", &format!("configuration/{SECOND}"));
    found(
        "configuration-unused",
        "configuration/c1000000-0000-4000-8000-000000000003",
    );
    found("workspace-data-uncovered", "workspace/2345678901234567");
    found("workspace-data-uncovered", "workspace/2");
    found("key-configuration-not-found", "workspace/2");
    assert_eq!(report["counts"]["keys_in_danger"], 1);
    only_reads(&stage, before);
}

/// Each row: what is refused, and the permission that the report names. Everything else stays as it was.
#[test]
fn a_right_that_is_taken_away_is_named_and_the_rest_is_read() {
    let denied = || {
        Effect::aws(
            "AccessDeniedException",
            "User is not authorized to perform it",
        )
    };
    for (operation, permission) in [
        ("KMS DescribeKey", "kms:DescribeKey"),
        ("KMS GetKeyPolicy", "kms:GetKeyPolicy"),
        ("KMS GetKeyRotationStatus", "kms:GetKeyRotationStatus"),
        ("KMS ListGrants", "kms:ListGrants"),
        ("KMS GetKeyLastUsage", "kms:GetKeyLastUsage"),
    ] {
        let (stage, _) = good();
        stage.sandbox.with(|world| {
            world
                .faults
                .push(Fault::new(operation, denied()).times(1000))
        });
        let (code, report) = audit(&stage, ONE, &OWN);
        let named: Vec<&Json> = report["not_read"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| &one["permission"])
            .collect();
        assert_eq!(named, [&json!(permission)], "{operation}: {report:#}");
        assert_eq!(code, 3, "{operation}: {report:#}");
        assert_eq!(report["run"]["complete"], false);
        assert_eq!(report["counts"]["covered"], 1, "{operation}");
    }
    for path in ["/customer-managed-keys", "/workspaces"] {
        let (stage, _) = good();
        let refused = Effect::status(403);
        stage.sandbox.with(|world| {
            world
                .faults
                .push(Fault::new(&format!("GET {path}"), refused).times(1000));
        });
        let (code, report) = audit(&stage, ONE, &OWN);
        assert_eq!(code, 3, "{path}: {report:#}");
        assert_eq!(report["counts"]["covered"], 0, "{path}");
        let all = report["not_read"].as_array().unwrap();
        let is_named = all.iter().any(|one| one["permission"] == "account admin");
        assert!(is_named, "{path}: {report:#}");
    }
}

#[test]
fn cloudtrail_says_who_used_a_key_last() {
    let (stage, _) = good();
    let before = stage.sandbox.requests().len();
    let who = [&OWN[..], &["--who-used"]].concat();
    let (code, report) = audit(&stage, ONE, &who);
    assert_eq!(code, 0, "{report:#}");
    let by = &report["keys"][0]["last_used"]["by"];
    assert_eq!(by, "Databricks (AWS account 414351767826)");
    only_reads(&stage, before);
    // CloudTrail forgets, and refuses.
    let denied = Effect::aws("AccessDeniedException", "User is not authorized");
    let nothing = Effect::Status {
        status: 200,
        body: json!({ "Events": [] }).to_string(),
        content_type: None,
        retry_after: None,
    };
    for (effect, permission) in [
        (denied, json!("cloudtrail:LookupEvents")),
        (nothing, Json::Null),
    ] {
        stage.sandbox.with(|world| {
            let fault = Fault::new("CloudTrail", effect);
            world.faults.push(fault);
        });
        let (code, report) = audit(&stage, ONE, &who);
        assert_eq!(code, 3, "{report:#}");
        let line = &report["not_read"][0];
        assert_eq!(line["permission"], permission, "{line:#}");
        assert_eq!(report["keys"][0]["last_used"]["operation"], "Decrypt");
    }
}

#[test]
fn what_changed_since_the_baseline_is_said() {
    let (stage, arn) = good();
    let write = [
        "--write",
        "json=before.json",
        "--write",
        "html=audit.html",
        "--write",
        "csv=audit.csv",
    ];
    let (code, _) = audit(&stage, ONE, &[&OWN[..], &write].concat());
    assert_eq!(code, 0);
    let at = |name: &str| stage.workdir.path().join(name);
    for name in [
        "before.json",
        "audit.html",
        "audit.csv",
        "audit-findings.csv",
    ] {
        assert!(Path::new(&at(name)).is_file(), "{name}");
    }
    disable(&stage, &arn);
    let compare = ["--baseline", "before.json", "--fail-on", "worse"];
    let (code, report) = audit(&stage, ONE, &[&OWN[..], &compare].concat());
    assert_eq!(code, 1);
    let kinds: Vec<&str> = report["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["kind"].as_str().unwrap())
        .collect();
    assert!(kinds.contains(&"key-state"), "{kinds:?}");
    // A baseline that cannot be used is a mistake, and no report is made.
    stage.workdir.write("other.json", "{}");
    for (arguments, words) in [
        (&["--baseline", "other.json"][..], "it is not a report"),
        (&["--baseline", "nowhere.json"], "nowhere.json"),
        (&["--fail-on", "worse"], "needs a `--baseline`"),
        (&["--workspace", "nothing"], "no workspace is as"),
    ] {
        let output = run(&stage, &[&ALL[..], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(words) && output.stdout.is_empty(), "{said}");
    }
    let missing = [
        "--baseline",
        "nowhere.json",
        "--baseline-may-be-missing",
        "--fail-on",
        "never",
    ];
    let (code, _) = audit(&stage, ONE, &[&OWN[..], &missing].concat());
    assert_eq!(code, 0);
}

#[test]
fn a_key_of_google_cloud_is_audited() {
    let stage = Stage::on_google();
    stage.configure(&google::resources());
    stage.workdir.apply();
    let before = stage.sandbox.requests().len();
    let workspace = gcp::WORKSPACE.to_string();
    let own = ["--cloud", "gcp", "--workspace", &workspace];
    let (_, report) = audit(&stage, "", &own);
    assert_eq!(ids(&report, "error"), Vec::<String>::new(), "{report:#}");
    let key = &report["keys"][0];
    assert_eq!(key["state"], "Enabled", "{report:#}");
    assert_eq!(key["proof"], "ready", "{report:#}");
    assert_eq!(report["counts"]["covered"], 1, "{report:#}");
    only_reads(&stage, before);
    stage.change_key(|key| key.versions[0].state = "DISABLED".to_owned());
    let (code, report) = audit(&stage, "", &own);
    assert_eq!(code, 1);
    assert_eq!(report["counts"]["keys_in_danger"], 1, "{report:#}");
}

/// The flags that lead to the Azure of a sandbox.
fn on_azure(stage: &Stage) -> Vec<String> {
    let url = stage.sandbox.azure_url();
    let bundle = stage.workdir.path().join("authority.pem");
    std::fs::write(&bundle, stage.sandbox.authority()).unwrap();
    [
        ("--cloud", "azure".to_owned()),
        ("--ca-bundle", bundle.display().to_string()),
        ("--endpoint-resource-manager", format!("{url}/arm")),
        ("--endpoint-login", format!("{url}/login")),
        ("--endpoint-graph", format!("{url}/graph")),
        ("--endpoint-key-vault", format!("{url}/vault")),
    ]
    .into_iter()
    .flat_map(|(name, value)| [name.to_owned(), value])
    .collect()
}

/// The arguments of a command, as texts.
fn texts(all: &[String]) -> Vec<&str> {
    all.iter().map(String::as_str).collect()
}

#[test]
fn a_key_of_azure_is_audited() {
    let stage = Stage::on_azure();
    stage.configure_azure(&acceptance_tests::azure::resources(VAULT));
    stage.workdir.apply();
    let before = stage.sandbox.requests().len();
    let own = on_azure(&stage);
    let (code, report) = audit(&stage, ONE, &texts(&own));
    assert_eq!(ids(&report, "error"), Vec::<String>::new(), "{report:#}");
    assert_eq!(report["counts"]["covered"], 1, "{report:#}");
    assert_eq!(report["keys"][0]["state"], "Enabled", "{report:#}");
    assert_eq!(report["not_read"], json!([]), "{report:#}");
    assert_eq!(code, 0);
    only_reads(&stage, before);
}
