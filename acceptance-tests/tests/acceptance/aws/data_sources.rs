//! The data sources: what they say, and that `check` blocks and postconditions can use them.

use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::stage::{
    HEAD, HEAD_WITH_AWS, MANAGED_SERVICES, Over, STORAGE, Stage, over_both, policy,
};
use dbxcmk_sandbox::faults::{Effect, Fault};
use dbxcmk_sandbox::{ACCOUNT_ID, REGION, ROLE_ARN, WORKSPACE};
use serde_json::{Value as Json, json};

over_both! {
    readiness_says_what_is_granted_by_what,
    readiness_in_a_check_warns_and_stops_nothing,
    a_policy_document_is_a_keys_policy_from_the_start,
}

fn readiness(key: &str, more: &str) -> String {
    format!(
        "\ndata \"dbxcmk_key_readiness\" \"x\" {{\n  use_cases = [\"MANAGED_SERVICES\", \"STORAGE\"]\n  aws = {{\n    key_arn = \
         \"{key}\"\n{more}  }}\n}}\n"
    )
}

const READINESS: &str = "data.dbxcmk_key_readiness.x";

/// The provider reads grants and rotation where they can change the findings, and not elsewhere.
#[test]
fn what_else_of_a_key_is_read_where_it_matters() {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.good_key();
    let role = format!("    cross_account_role_arn = \"{ROLE_ARN}\"\n");
    let read = |configuration: &str| {
        stage.sandbox.with(|world| world.record.clear());
        stage.configure(configuration);
        stage.workdir.apply();
        ["KMS ListGrants", "KMS GetKeyRotationStatus"].map(|one| stage.asked(one).len())
    };
    let services = readiness(&key, "").but(", \"STORAGE\"", "");
    assert_eq!(read(&services), [0, 0]);
    assert_eq!(read(&readiness(&key, "")), [0, 1]);
    // The policies do not let the role use the key.
    assert_eq!(read(&readiness(&key, &role)), [1, 1]);
    let operations = [
        "Decrypt",
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
        "CreateGrant",
        "DescribeKey",
    ];
    stage.kms.call(
        "CreateGrant",
        &json!({ "KeyId": key, "GranteePrincipal": ROLE_ARN, "Operations": operations }),
    );
    stage.workdir.apply();
    let state = stage.workdir.state(READINESS);
    let requirements = state["requirements"].as_array().unwrap();
    let of_role = requirements
        .iter()
        .filter(|one| one["purpose"] == "cluster volumes (EBS)");
    let standings: Vec<&Json> = of_role.map(|one| &one["standing"]).collect();
    assert_eq!(standings, vec![&json!("granted"); 5]);
}

/// The last use is read once a run, however many ask; it makes no key ready or unready, and neither does who may not read it.
#[test]
fn the_last_use_of_a_key_is_a_fact() {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.good_key();
    let one = readiness(&key, "");
    let two = one.but("\"x\"", "\"y\"");
    stage.configure(&format!("{one}{two}"));
    let own = (
        REGION.to_owned(),
        key.rsplit('/').next().unwrap().to_owned(),
    );
    let read = |ready: bool| {
        stage.sandbox.with(|world| world.record.clear());
        stage.workdir.apply();
        assert_eq!(stage.asked("KMS GetKeyLastUsage").len(), 1);
        let state = stage.workdir.state(READINESS);
        assert_eq!(state["ready"], ready, "{state}");
        state["last_used"].clone()
    };
    let never = read(true);
    assert_eq!(never["standing"], "never_used", "{never}");
    assert!(never["tracked_since"].is_string() && never["at"].is_null());
    stage.sandbox.with(|world| {
        let metadata = &mut world.now.keys.get_mut(&own).unwrap().metadata;
        metadata.insert("CreationDate".to_owned(), json!(1_600_000_000));
    });
    assert_eq!(read(true)["standing"], "not_since_tracked");
    stage.sandbox.with(|world| {
        let used = ("GenerateDataKey".to_owned(), 1_790_000_000);
        world.now.last_uses.insert(own.clone(), used);
    });
    let used = read(true);
    assert_eq!(
        (&used["standing"], &used["operation"], &used["at"]),
        (
            &json!("used"),
            &json!("GenerateDataKey"),
            &json!("2026-09-21T14:13:20Z")
        )
    );
    let denied = Effect::aws("AccessDeniedException", "not authorized");
    stage
        .sandbox
        .inject(Fault::new("KMS GetKeyLastUsage", denied));
    let unread = read(true);
    assert_eq!(
        (&unread["standing"], &unread["permission"]),
        (&json!("not_known"), &json!("kms:GetKeyLastUsage"))
    );
    let why = unread["why"].as_str().unwrap();
    assert!(why.contains("only to the account of the key"), "{why}");
}

fn readiness_says_what_is_granted_by_what(over: Over) {
    let mut stage = Stage::new(over);
    let key = stage.good_key();
    // No credential for Databricks: the account's ID is enough.
    for name in ["CLIENT_ID", "CLIENT_SECRET", "HOST"] {
        stage.workdir.unset(&format!("DATABRICKS_{name}"));
    }
    stage.configure(&readiness(
        &key,
        &format!("    cross_account_role_arn = \"{ROLE_ARN}\"\n"),
    ));
    stage.workdir.apply();
    let state = stage.workdir.state(READINESS);
    assert_eq!(
        (&state["key_state"], &state["policy_source"]),
        (&json!("Enabled"), &json!("live"))
    );
    let requirement = |action: &str, purpose: &str| -> Json {
        let all = state["requirements"].as_array().unwrap();
        all.iter()
            .find(|one| one["action"] == action && one["purpose"] == purpose)
            .cloned()
            .unwrap()
    };
    let encrypt = requirement("kms:Encrypt", "managed services");
    assert_eq!(encrypt["standing"], "allowed");
    assert_eq!(encrypt["databricks_account_id"], ACCOUNT_ID);
    assert!(
        encrypt["granted_by"]
            .as_array()
            .unwrap()
            .contains(&json!("ManagedServices")),
        "{encrypt}"
    );
    let volumes = requirement("kms:CreateGrant", "cluster volumes (EBS)");
    // Over LocalStack the key belongs to another account than the role's.
    let own = key.contains(":123456789012:");
    assert_eq!(volumes["standing"], "missing", "{volumes}");
    // What IAM does not allow is not proven.
    assert_eq!(state["ready"], false);
    let not_examined = state["not_examined"].to_string();
    assert!(
        not_examined.contains("SCPs and RCPs")
            && not_examined.contains("VPC endpoint policies")
            && not_examined.contains(&format!("IAM policies of {ROLE_ARN}")) != own,
        "{not_examined}"
    );
    let finding = state["findings"].as_array().unwrap().iter().find(|one| {
        one["id"]
            == if own {
                "role-iam-missing-action"
            } else {
                "policy-missing-action"
            }
    });
    assert!(
        finding.is_some_and(|one| one["remedy"]
            .as_str()
            .is_some_and(|remedy| !remedy.is_empty())),
        "{state}"
    );

    // A policy in the configuration replaces the one at the key in the judgment.
    let given = policy(&key, &[MANAGED_SERVICES])
        .replace('\n', " ")
        .replace('"', "\\\"");
    stage.configure(&readiness(&key, &format!("    policy = \"{given}\"\n")));
    stage.workdir.apply();
    let state = stage.workdir.state(READINESS);
    assert_eq!(
        (&state["ready"], &state["policy_source"]),
        (&json!(false), &json!("given"))
    );
}

fn readiness_in_a_check_warns_and_stops_nothing(over: Over) {
    let stage = Stage::new(over);
    let key = stage.good_key();
    let body = format!(
        "\ncheck \"key\" {{\n{}  assert {{\n    condition     = data.dbxcmk_key_readiness.x.ready\n    error_message = join(\"\\n\", \
         data.dbxcmk_key_readiness.x.findings[*].summary)\n  }}\n}}\n",
        readiness(&key, "")
    );
    stage.configure(&body);
    assert_eq!(stage.workdir.plan().run.warnings(), Vec::<&str>::new());
    stage.kms.call("DisableKey", &json!({ "KeyId": key }));
    let plan = stage.workdir.plan();
    assert!(
        plan.run
            .warning("Check block assertion failed")
            .detail
            .contains("The key is disabled"),
        "{}",
        plan.run.shown()
    );
    // A key that is not there is not ready, and no failure either.
    let gone = format!(
        "{}00000000-0000-4000-8000-000000000000",
        &key[..key.rfind('/').unwrap() + 1]
    );
    stage.configure(&readiness(&gone, ""));
    stage.workdir.apply();
    let state = stage.workdir.state(READINESS);
    assert_eq!(
        (&state["ready"], &state["key_state"]),
        (&json!(false), &Json::Null)
    );
    assert!(
        state["requirements"]
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["standing"] == "unknown")
    );
}

fn a_policy_document_is_a_keys_policy_from_the_start(over: Over) {
    let stage = Stage::new(over);
    let account = stage
        .kms
        .create_key(&json!({}))
        .split(':')
        .nth(4)
        .unwrap()
        .to_owned();
    let body = format!(
        r#"
data "dbxcmk_key_policy_document" "lakehouse" {{
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  aws = {{
    account_id             = "{account}"
    cross_account_role_arn = "{ROLE_ARN}"
  }}
}}

resource "aws_kms_key" "lakehouse" {{
  policy                  = data.dbxcmk_key_policy_document.lakehouse.json
  enable_key_rotation     = true
  deletion_window_in_days = 7
}}

resource "dbxcmk_key_configuration" "lakehouse" {{
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  aws = {{
    key_arn = aws_kms_key.lakehouse.arn
  }}
}}
"#
    );
    stage
        .workdir
        .configuration(&format!("{HEAD_WITH_AWS}{body}"));
    stage.workdir.apply();
    assert_eq!(stage.workdir.empty_plan().warnings(), Vec::<&str>::new());
    let key = stage.workdir.attribute("aws_kms_key.lakehouse", "/arn");
    assert_eq!(
        kms_policy::Document::parse(&stage.kms.policy(&key))
            .unwrap()
            .statements
            .len(),
        4
    );
}

#[test]
fn a_policy_document_is_added_to_what_is_there() {
    let stage = Stage::new(Over::Sandbox);
    let source =
        policy("arn:aws:kms:eu-central-1:123456789012:key/x", &[STORAGE]).replace('\n', " ");
    stage.workdir.write("source.json", &source);
    let body = "\ndata \"dbxcmk_key_policy_document\" \"x\" {\n  use_cases = [\"MANAGED_SERVICES\", \"STORAGE\"]\n  aws = {\n    source_policy = file(\"source.json\")\n    partition = \"aws\"\n  }\n}\n";
    stage.configure(body);
    stage.workdir.apply();
    let json = stage
        .workdir
        .attribute("data.dbxcmk_key_policy_document.x", "/json");
    // Storage is there already, in other words; nothing of it is doubled, and the rest is byte for byte the same.
    assert!(
        json.contains("managed services in the control plane")
            && json.contains("\"Enable IAM User Permissions\""),
        "{json}"
    );
    assert!(source.starts_with(&json[..200]), "{json}");
    stage.workdir.write("source.json", "{nope");
    assert!(
        stage
            .workdir
            .refused_plan()
            .error("The key policy cannot be made")
            .detail
            .contains("source_policy")
    );
    stage.configure(&body.but("    source_policy = file(\"source.json\")\n", ""));
    stage
        .workdir
        .validated()
        .error("The key policy would lock everyone out of the key");
    stage.configure(&body.but("\"STORAGE\"", "\"MANAGED_DISKS\""));
    stage
        .workdir
        .validated()
        .error("MANAGED_DISKS exists only on Azure");
    stage.configure(&body.but("\"aws\"", "\"aws-cn\""));
    stage.workdir.validated().error("Invalid partition");
}

/// A workspace with both keys, and what else an account has.
fn bound() -> (Stage, String) {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.good_key();
    stage.sandbox.with(|world| {
        let one = |id: &str, time: i64, info: Json| {
            let mut one =
                json!({ "customer_managed_key_id": id, "use_cases": ["STORAGE", "MANAGED_SERVICES"], "creation_time": time });
            one.as_object_mut().unwrap().extend(info.as_object().unwrap().clone());
            (id.to_owned(), one)
        };
        let aws = json!({ "aws_key_info": { "key_arn": key, "key_region": "eu-central-1", "key_alias": "alias/x" } });
        let gcp = json!({ "gcp_key_info": { "kms_key_id": "projects/p/locations/l/keyRings/r/cryptoKeys/k" } });
        world.now.configurations.extend([
            one("c1000000-0000-4000-8000-000000000001", 1_700_000_000_000, aws),
            one("c1000000-0000-4000-8000-000000000002", 1_600_000_000_000, gcp),
        ]);
        let fields = &mut world.workspace(WORKSPACE).fields;
        for field in ["managed_services_customer_managed_key_id", "storage_customer_managed_key_id"] {
            fields.insert(field.to_owned(), Json::from("c1000000-0000-4000-8000-000000000001"));
        }
    });
    (stage, key)
}

#[test]
fn the_configurations_of_the_account_are_found_with_their_users() {
    let (stage, key) = bound();
    stage.configure(
        "\ndata \"dbxcmk_key_configurations\" \"all\" {}\n\ndata \"dbxcmk_key_configurations\" \"aws\" {\n  cloud = \"aws\"\n  use_case = \
         \"STORAGE\"\n}\n",
    );
    stage.workdir.apply();
    let all = stage.workdir.state("data.dbxcmk_key_configurations.all");
    assert_eq!(
        all["ids"],
        json!([
            "c1000000-0000-4000-8000-000000000002",
            "c1000000-0000-4000-8000-000000000001"
        ]),
        "the oldest first"
    );
    assert_eq!(
        all["key_configurations"][0]["key"],
        "projects/p/locations/l/keyRings/r/cryptoKeys/k"
    );
    let aws = stage.workdir.state("data.dbxcmk_key_configurations.aws");
    let one = &aws["key_configurations"][0];
    assert_eq!(one["key"], Json::from(key));
    assert_eq!(one["creation_time"], "2023-11-14T22:13:20Z");
    assert_eq!(one["workspace_ids"], json!([WORKSPACE.to_string()]));
    assert_eq!(one["reuse_key_for_cluster_volumes"], true);
    assert_eq!(aws["ids"].as_array().unwrap().len(), 1);
}

/// Terraform shows each row of the documentation, with its page, and what stops with the key is what the key covers; also in a workspace with
/// serverless compute alone, and in one whose modes this version does not know.
#[test]
fn docs_data_source_and_impact_agree() {
    let page = include_str!("../../../../docs/guides/what-is-encrypted.md");
    let (_, page) = page.split_once("\n## On AWS\n").unwrap();
    let (page, _) = page.split_once("\n## On Google Cloud\n").unwrap();
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| Data |"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let (stage, key) = bound();
    let data = format!(
        "\ndata \"dbxcmk_workspace_encryption\" \"x\" {{\n  workspace_id = \"{WORKSPACE}\"\n}}\n\ndata \"dbxcmk_revocation_impact\" \"x\" \
         {{\n  aws = {{\n    key_arn = \"{key}\"\n  }}\n}}\n"
    );
    // Each row: the mode, what the DBFS root is, and the EBS volumes.
    for (mode, root, volumes) in [
        ("HYBRID", json!("yes"), json!("yes")),
        ("SERVERLESS", json!("yes"), Json::Null),
        ("QUANTUM", json!("yes"), json!("not_known")),
    ] {
        stage.sandbox.with(|world| {
            let fields = &mut world.workspace(WORKSPACE).fields;
            fields.insert("compute_mode".to_owned(), Json::from(mode));
        });
        stage.configure(&data);
        stage.workdir.apply();
        let state = stage.workdir.state("data.dbxcmk_workspace_encryption.x");
        let impact = stage.workdir.state("data.dbxcmk_revocation_impact.x");
        let shown = state["data"].as_array().unwrap();
        assert_eq!(shown.len(), rows.len(), "{mode}");
        for (row, one) in rows.iter().zip(shown) {
            assert_eq!(one["kind"], row[0], "{mode}");
            let link = format!("[page]({})", one["source"].as_str().unwrap());
            assert_eq!(row[4], link, "{mode}: {}", row[0]);
            assert!(one["why"].is_string(), "{mode}: {}", row[0]);
        }
        let covered: Vec<&Json> = shown
            .iter()
            .filter(|one| one["covered"] == "yes" || one["covered"] == "partly")
            .map(|one| &one["kind"])
            .collect();
        let stops = &impact["workspaces"][0]["data_that_stops"];
        assert_eq!(json!(covered), *stops, "{mode}");
        let of = |kind: &str| shown.iter().find(|one| one["kind"] == kind).unwrap();
        assert_eq!(of("DBFS root")["covered"], root, "{mode}");
        let ebs = of("EBS volumes of classic compute");
        assert_eq!(ebs["covered"], volumes, "{mode}");
        let compute = impact["workspaces"][0]["compute_that_stops"].to_string();
        assert!(compute.contains("Lakebase computes"), "{mode}: {compute}");
        let is_serverless = compute.contains("serverless SQL warehouses, jobs and notebooks");
        assert_eq!(is_serverless, mode != "HYBRID", "{mode}: {compute}");
        let left_open = impact["not_visible"].to_string();
        assert!(left_open.contains("Genie"), "{mode}: {left_open}");
        assert_eq!(
            left_open.contains("EBS volumes"),
            mode == "QUANTUM",
            "{mode}: {left_open}"
        );
    }
}

#[test]
fn a_workspace_tells_what_is_encrypted_by_which_key() {
    let (stage, key) = bound();
    stage.configure(&format!(
        "\ndata \"dbxcmk_workspace_encryption\" \"prod\" {{\n  workspace_id = \"{WORKSPACE}\"\n}}\n"
    ));
    stage.workdir.apply();
    let state = stage.workdir.state("data.dbxcmk_workspace_encryption.prod");
    assert_eq!(state["storage_key"], Json::from(key.clone()));
    let kind = |name: &str| -> Json {
        state["data"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["kind"] == name)
            .cloned()
            .unwrap()
    };
    assert_eq!(kind("notebooks")["covered_by"], "MANAGED_SERVICES");
    assert_eq!(kind("DBFS root")["covered_by"], "STORAGE");
    assert_eq!(
        kind("EBS volumes of classic compute")["key"],
        Json::from(key)
    );
    let covered = |name: &str| kind(name)["covered"].clone();
    assert_eq!(covered("notebooks"), "yes");
    assert_eq!(covered("Lakebase projects"), "partly");
    assert_eq!(covered("disks of serverless compute"), "no");
    assert_eq!(covered("model serving images and disks"), "not_known");
    let mounts = kind("DBFS mounts");
    assert_eq!(
        (
            &mounts["covered"],
            mounts["instead"].as_str().unwrap().contains("SSE-KMS")
        ),
        (&json!("not_known"), true)
    );
    assert_eq!(state["data"].as_array().unwrap().len(), 33);
    // The data source reports a workspace that does not exist.
    stage.configure(
        "\ndata \"dbxcmk_workspace_encryption\" \"prod\" {\n  workspace_id = \"7\"\n}\n",
    );
    stage
        .workdir
        .refused_plan()
        .error("The workspace does not exist in this Databricks account");
    assert!(HEAD.contains("dbxcmk"));
}
