//! `review`, over plans that a real Terraform made with a real hashicorp/aws. What it says is under snapshots.

use std::io::Write as _;
use std::process::{Command, Stdio};

use acceptance_tests::harness::providers::provider_binary;
use acceptance_tests::harness::{Workdir, checkout};
use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::stage::{HEAD, HEAD_WITH_AWS, Over, Stage};
use dbxcmk_sandbox::{MANAGED_VPC_WORKSPACE, WORKSPACE};
use serde_json::{Value as Json, json};

/// What `review` printed, and its exit code.
pub fn reviewed(plan: &str, arguments: &[&str]) -> (String, i32) {
    let mut child = Command::new(provider_binary())
        .arg("review")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let text = plan.to_owned();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    // One that refuses its arguments reads nothing.
    let _ = writer.join().unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (text, output.status.code().unwrap_or(-1))
}

/// IDs that differ from run to run, replaced by their order of appearance.
fn steady(text: &str) -> String {
    let mut known: Vec<String> = Vec::new();
    let mut out = String::new();
    let mut rest = text;
    while let Some(candidate) = rest
        .char_indices()
        .find(|(index, _)| is_uuid(&rest[*index..]))
        .map(|(index, _)| index)
    {
        let (before, after) = rest.split_at(candidate);
        let (uuid, tail) = after.split_at(36);
        let number = known.iter().position(|one| one == uuid).unwrap_or_else(|| {
            known.push(uuid.to_owned());
            known.len() - 1
        });
        out.push_str(before);
        out.push_str(&format!("ID-{}", number + 1));
        rest = tail;
    }
    out.push_str(rest);
    out
}

fn is_uuid(text: &str) -> bool {
    text.get(..36).is_some_and(|head| {
        head.bytes().enumerate().all(|(index, byte)| {
            if matches!(index, 8 | 13 | 18 | 23) {
                byte == b'-'
            } else {
                byte.is_ascii_hexdigit()
            }
        })
    })
}

/// The plan of what is in the directory, as JSON.
fn plan(workdir: &Workdir) -> String {
    workdir.plan();
    workdir.run(&["show", "-json", "plan.tfplan"]).stdout
}

/// The plan of a change of which our own provider wants to hear nothing: the peer's resources alone.
pub fn snapshot(name: &str, text: &str) {
    let directory = checkout().join("acceptance-tests/tests/acceptance/snapshots");
    insta::with_settings!({ snapshot_path => directory, prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, steady(text));
    });
}

fn module() -> &'static str {
    r#"
variable "workspaces" {
  type = map(string)
}

variable "role" {
  type = string
}

resource "aws_kms_key" "lakehouse" {
  description             = "lakehouse"
  deletion_window_in_days = 7
  enable_key_rotation     = true

  lifecycle {
    ignore_changes = [policy]
  }
}

resource "dbxcmk_key_policy" "lakehouse" {
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  aws = {
    key_arn                = aws_kms_key.lakehouse.arn
    cross_account_role_arn = var.role
  }
}

resource "dbxcmk_key_configuration" "lakehouse" {
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  aws = {
    key_arn   = dbxcmk_key_policy.lakehouse.aws.key_arn
    key_alias = "alias/lakehouse"
  }
}

output "id" {
  value = dbxcmk_key_configuration.lakehouse.id
}
"#
}

fn root(more: &str) -> String {
    format!(
        r#"{HEAD_WITH_AWS}
resource "aws_iam_role" "databricks" {{
  name               = "databricks-cross-account"
  assume_role_policy = jsonencode({{ Version = "2012-10-17", Statement = [] }})
}}

module "key" {{
  source     = "./key"
  workspaces = {{ prod = "{WORKSPACE}" }}
  role       = aws_iam_role.databricks.arn
}}

resource "dbxcmk_workspace_binding" "all" {{
  for_each = {{ prod = "{WORKSPACE}", dev = "{MANAGED_VPC_WORKSPACE}" }}

  workspace_id                          = each.value
  managed_services_key_configuration_id = module.key.id
  storage_key_configuration_id          = module.key.id
  settle_time                           = "0s"
}}
{more}"#
    )
}

/// A directory with a module, over LocalStack, which has IAM as well.
fn stage() -> Stage {
    let stage = Stage::new(Over::LocalStack);
    std::fs::create_dir_all(stage.workdir.path().join("key")).unwrap();
    let head = "terraform {\n  required_providers {\n    dbxcmk = {\n      source = \"dbxcmk/dbxcmk\"\n    }\n  }\n}\n";
    stage
        .workdir
        .write("key/main.tf", &format!("{head}{}", module()));
    stage.workdir.configuration(&root(""));
    // The workspaces' role is that of the configuration, which LocalStack makes in its own account.
    stage.sandbox.with(|world| {
        for credentials in world.now.credentials.values_mut() {
            credentials["aws_credentials"]["sts_role"]["role_arn"] =
                "arn:aws:iam::000000000000:role/databricks-cross-account".into();
        }
    });
    // Terraform must know the modules; the providers are those of the CLI configuration.
    let run = stage.workdir.run(&["get", "-no-color"]);
    assert!(run.success, "{}", run.output);
    stage
}

#[test]
fn from_nothing_to_two_workspaces_and_then_what_must_not_happen() {
    let stage = stage();
    let first = plan(&stage.workdir);
    let (text, code) = reviewed(&first, &[]);
    assert_eq!(code, 0);
    snapshot("review_first_attach_markdown", &text);
    snapshot(
        "review_first_attach_text",
        &reviewed(&first, &["--format", "text"]).0,
    );
    for (gate, code) in [("error", 0), ("irreversible", 1), ("warning", 1)] {
        assert_eq!(reviewed(&first, &["--fail-on", gate]).1, code, "{gate}");
    }
    let workflow =
        std::fs::read_to_string(checkout().join("examples/workflows/review.yml")).unwrap();
    assert!(workflow.contains("fail-on: irreversible"));
    stage.workdir.apply();
    let (text, code) = reviewed(&plan(&stage.workdir), &["--fail-on", "warning"]);
    assert_eq!(
        (text.trim(), code),
        (
            "### ✅ Encryption keys: This plan does not change the encryption of a workspace.",
            0
        )
    );

    // What hashicorp/aws would do silently: disable the key, turn its rotation off, write its policy whole, replace the role.
    let key = stage
        .workdir
        .attribute("module.key.aws_kms_key.lakehouse", "/arn");
    let account = key.split(':').nth(4).unwrap().to_owned();
    let overwriting = format!(
        r#"
resource "aws_kms_key_policy" "whole" {{
  key_id = module.key.arn
  policy = jsonencode({{
    Version = "2012-10-17"
    Statement = [{{ Sid = "Admin", Effect = "Allow", Principal = {{ AWS = "arn:aws:iam::{account}:root" }}, Action = "kms:*", Resource = "*" }}]
  }})
}}
"#
    );
    let text = root(&overwriting).but("\"databricks-cross-account\"", "\"another-name\"");
    stage.workdir.configuration(&text);
    let inner = std::fs::read_to_string(stage.workdir.path().join("key/main.tf")).unwrap();
    let inner = inner.but(
        "enable_key_rotation     = true",
        "enable_key_rotation     = false\n  is_enabled              = false",
    );
    stage.workdir.write(
        "key/main.tf",
        &format!("{inner}\noutput \"arn\" {{\n  value = aws_kms_key.lakehouse.arn\n}}\n"),
    );
    let dangerous = plan(&stage.workdir);
    let (text, code) = reviewed(&dangerous, &["--fail-on", "error"]);
    assert_eq!(code, 1);
    snapshot("review_dangerous_markdown", &text);
    snapshot(
        "review_dangerous_sarif",
        &reviewed(&dangerous, &["--format", "sarif"]).0,
    );
    snapshot(
        "review_dangerous_json",
        &reviewed(&dangerous, &["--format", "json"]).0,
    );

    // And the key itself deleted, with everything that hangs on it.
    stage.sandbox.with(|world| world.now.workspaces.clear());
    stage.workdir.plan_with(&["-destroy", "-refresh=false"]);
    let gone = stage.workdir.run(&["show", "-json", "plan.tfplan"]).stdout;
    snapshot(
        "review_destroy_text",
        &reviewed(&gone, &["--format", "text"]).0,
    );
}

/// A change as a plan has it.
pub fn change(address: &str, actions: &[&str], before: Json, after: Json) -> Json {
    let kind = address.split('.').next().unwrap();
    json!({
        "address": address, "mode": "managed", "type": kind, "name": "x", "provider_name": "registry.terraform.io/x/x",
        "change": { "actions": actions, "before": before, "after": after, "after_unknown": {}, "before_sensitive": {}, "after_sensitive": {} },
    })
}

pub fn plan_of(changes: Vec<Json>) -> String {
    json!({ "format_version": "1.2", "terraform_version": "1.11.4", "resource_changes": changes })
        .to_string()
}

/// The resources of databricks/databricks, in the form that its schema has.
#[test]
fn the_peers_resources_are_seen_through() {
    let keys = |alias: &str| {
        json!({ "account_id": "a", "customer_managed_key_id": "c1000000-0000-4000-8000-000000000001", "use_cases": ["STORAGE"],
            "aws_key_info": [{ "key_arn": "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab", "key_alias": alias }] })
    };
    let workspace = |storage: Json, region: &str| json!({ "workspace_id": 1234, "workspace_name": "prod", "aws_region": region, "storage_customer_managed_key_id": storage });
    let id = Json::from("c1000000-0000-4000-8000-000000000001");
    let plan = plan_of(vec![
        change(
            "databricks_mws_customer_managed_keys.x",
            &["delete", "create"],
            keys("alias/a"),
            keys("alias/b"),
        ),
        change(
            "databricks_mws_workspaces.x",
            &["update"],
            workspace(Json::Null, "eu-central-1"),
            workspace(id.clone(), "eu-central-1"),
        ),
        change(
            "databricks_mws_workspaces.y",
            &["delete", "create"],
            workspace(id.clone(), "eu-central-1"),
            workspace(id.clone(), "eu-west-1"),
        ),
        change(
            "databricks_mws_credentials.x",
            &["update"],
            json!({ "role_arn": "arn:aws:iam::123456789012:role/a" }),
            json!({ "role_arn": "arn:aws:iam::123456789012:role/b" }),
        ),
    ]);
    let (text, code) = reviewed(&plan, &["--format", "text", "--fail-on", "error"]);
    assert_eq!(code, 1);
    snapshot("review_peers_text", &text);
}

#[test]
fn sensitive_values_are_masked_and_names_cannot_be_taken_for_markup() {
    let mut secret = change(
        "dbxcmk_workspace_binding.x[\"<script>alert(1)</script>|`@everyone`\"]",
        &["create"],
        Json::Null,
        json!({ "workspace_id": "42", "workspace_name": "very-secret-name", "storage_key_configuration_id": "c1000000-0000-4000-8000-000000000001" }),
    );
    secret["change"]["after_sensitive"] = json!({ "workspace_name": true });
    let (text, code) = reviewed(&plan_of(vec![secret]), &[]);
    assert_eq!(code, 0, "{text}");
    assert!(
        !text.contains("very-secret-name") && text.contains("(sensitive)"),
        "{text}"
    );
    assert!(!text.contains("<script>"), "{text}");
}

#[test]
fn a_thousand_resources_fit_into_a_comment() {
    let all = (0..1000).map(|number| {
        let address = format!("dbxcmk_workspace_binding.all[{number}]");
        let after = json!({ "workspace_id": number.to_string(), "storage_key_configuration_id": "c1000000-0000-4000-8000-000000000001" });
        change(&address, &["create"], Json::Null, after)
    });
    let plan = plan_of(all.collect());
    let (text, code) = reviewed(&plan, &[]);
    assert_eq!(code, 0);
    assert!(
        text.chars().count() <= 65_536 && text.contains("1000 steps that cannot be undone"),
        "{}",
        text.len()
    );
    let (text, _) = reviewed(&plan, &["--format", "json"]);
    let report: Json = serde_json::from_str(&text).unwrap();
    assert_eq!(
        report["findings"].as_array().unwrap().len(),
        1000,
        "nothing is left out for machines"
    );
}

#[test]
fn what_is_no_plan_is_told() {
    for (input, words) in [
        ("{nope", "not JSON"),
        ("{}", "no `format_version`"),
        ("[]", "not JSON"),
    ] {
        let (text, code) = reviewed(input, &[]);
        assert_eq!(code, 2, "{text}");
        assert!(
            text.contains("terraform show -json") || text.contains(words),
            "{text}"
        );
    }
    let (text, code) = reviewed("", &["/no/such/file"]);
    assert_eq!(code, 2);
    assert!(text.contains("/no/such/file"), "{text}");
}

/// The schema in the documentation says what the report has, neither less nor more.
#[test]
fn the_schema_in_the_documentation_describes_the_report() {
    let schema =
        std::fs::read_to_string(checkout().join("docs/schemas/review.schema.json")).unwrap();
    let schema: Json = serde_json::from_str(&schema).unwrap();
    let binding = change(
        "dbxcmk_workspace_binding.x",
        &["create"],
        Json::Null,
        json!({ "workspace_id": "42", "storage_key_configuration_id": "c1000000-0000-4000-8000-000000000001" }),
    );
    let configuration = change(
        "dbxcmk_key_configuration.x",
        &["delete"],
        json!({ "id": "c1000000-0000-4000-8000-000000000001", "use_cases": ["STORAGE"],
            "aws": { "key_arn": "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab" } }),
        Json::Null,
    );
    let statement = "[{\"Sid\":\"Allow Databricks to use KMS key for DBFS\",\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:iam::414351767826:root\"},\"Action\":[\"kms:Encrypt\",\"kms:Decrypt\",\"kms:ReEncrypt*\",\"kms:GenerateDataKey*\",\"kms:DescribeKey\"],\"Resource\":\"*\"}]";
    let policy = change(
        "dbxcmk_key_policy.x",
        &["delete"],
        json!({ "statements": statement, "aws": { "key_arn": "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab" } }),
        Json::Null,
    );
    let (text, _) = reviewed(
        &plan_of(vec![binding, configuration, policy]),
        &["--format", "json"],
    );
    let report: Json = serde_json::from_str(&text).unwrap();
    for list in [
        "workspaces",
        "keys",
        "permissions",
        "findings",
        "nodes",
        "edges",
    ] {
        assert!(
            !report[list].as_array().unwrap().is_empty(),
            "{list} is not shown by this plan: {report}"
        );
    }
    conforms(&report, &schema, "report");
}

pub fn conforms(value: &Json, schema: &Json, place: &str) {
    let may_be_null = schema["type"]
        .as_array()
        .is_some_and(|kinds| kinds.iter().any(|kind| kind == "null"));
    if value.is_null() && may_be_null {
        return;
    }
    // One of several forms here is a form or null.
    if let Some(forms) = schema["anyOf"].as_array() {
        if !value.is_null() {
            conforms(value, &forms[0], place);
        }
        return;
    }
    if let Some(properties) = schema["properties"].as_object() {
        let fields = value
            .as_object()
            .unwrap_or_else(|| panic!("{place} is no object"));
        let (own, described): (Vec<_>, Vec<_>) =
            (fields.keys().collect(), properties.keys().collect());
        assert_eq!(own, described, "{place}");
        let required: Vec<String> = serde_json::from_value(schema["required"].clone()).unwrap();
        assert_eq!(
            required.len(),
            properties.len(),
            "{place}: everything is always there"
        );
        for (name, inner) in properties {
            conforms(&fields[name], inner, &format!("{place}.{name}"));
        }
    }
    if let Some(items) = schema.get("items") {
        for (index, one) in value
            .as_array()
            .unwrap_or_else(|| panic!("{place} is no list"))
            .iter()
            .enumerate()
        {
            conforms(one, items, &format!("{place}[{index}]"));
        }
    }
    if let Some(choices) = schema["enum"].as_array() {
        assert!(
            choices.contains(value),
            "{place}: {value} is not one of {choices:?}"
        );
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Json::String(kind) => vec![kind],
        Json::Array(kinds) => kinds.iter().filter_map(Json::as_str).collect(),
        _ => return,
    };
    let kind = match value {
        Json::Null => "null",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
        Json::Number(_) => "number",
        Json::Bool(_) => "boolean",
    };
    // Every whole number is a number, and not the other way round.
    let is_whole = value.is_i64() || value.is_u64();
    assert!(
        kinds.contains(&kind) || (is_whole && kinds.contains(&"integer")),
        "{place}: {kind} is not one of {kinds:?}"
    );
}

const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// What the review cannot read is an error in the report, and not a resource that is passed over.
#[test]
fn a_resource_that_cannot_be_read_is_an_error() {
    let policy = |aws: Json, cases: Json| {
        change(
            "dbxcmk_key_policy.x",
            &["create"],
            Json::Null,
            json!({ "aws": aws, "use_cases": cases }),
        )
    };
    let rows = [
        (
            policy(json!("notanobject"), json!(7)),
            vec!["`aws` is \"notanobject\"", "`use_cases` is 7"],
        ),
        (
            policy(json!({ "key_arn": 7 }), json!(["STORAGE"])),
            vec!["`aws.key_arn` is 7"],
        ),
        (
            policy(
                json!({ "key_arn": "arn:aws-iso:kms:x:1:key/1" }),
                json!(["STORAGE"]),
            ),
            vec!["arn:aws-iso:kms:x:1:key/1"],
        ),
        (
            change(
                "aws_kms_key.x",
                &["update"],
                json!({ "is_enabled": "yes" }),
                json!({ "is_enabled": false }),
            ),
            vec!["`is_enabled` is \"yes\""],
        ),
        (
            change(
                "dbxcmk_workspace_binding.x",
                &["explode"],
                json!({}),
                json!({}),
            ),
            vec!["[explode]"],
        ),
        (
            change(
                "dbxcmk_workspace_binding.x",
                &["update"],
                json!([1]),
                json!({}),
            ),
            vec!["`before` is [1]"],
        ),
    ];
    for (one, words) in rows {
        for format in ["text", "markdown", "json", "sarif"] {
            let (text, code) = reviewed(
                &plan_of(vec![one.clone()]),
                &["--format", format, "--fail-on", "error"],
            );
            assert_eq!(code, 1, "{text}");
            assert!(text.contains("resource-unreadable"), "{text}");
        }
        let (text, _) = reviewed(&plan_of(vec![one]), &["--format", "text"]);
        for word in words {
            assert!(text.contains(word), "{word} is missing in:\n{text}");
        }
    }
}

#[test]
fn control_characters_in_names_do_nothing_to_a_terminal() {
    let evil = "dbxcmk_workspace_binding.x[\"\u{1b}[2J\u{7}\r\u{9b}\"]";
    let after = json!({ "workspace_id": "42", "workspace_name": "a\u{1b}[31mb\nerror: fake", "storage_key_configuration_id": "c1000000-0000-4000-8000-000000000001" });
    let plan = plan_of(vec![change(evil, &["create"], Json::Null, after)]);
    for format in ["text", "markdown"] {
        let (text, _) = reviewed(&plan, &["--format", format]);
        assert!(
            !text.contains(['\u{1b}', '\u{7}', '\r', '\u{9b}']),
            "{text:?}"
        );
        assert!(!text.contains("\nerror: fake"), "{text}");
    }
    let (text, _) = reviewed(&plan, &["--format", "text"]);
    assert!(text.contains("\\u{1b}[2J"), "{text}");
}

/// A workspace that the plan only creates does not use anything yet.
#[test]
fn what_is_in_use_is_what_the_prior_state_says() {
    let keys = json!({ "customer_managed_key_id": "c1000000-0000-4000-8000-000000000001", "use_cases": ["STORAGE"], "aws_key_info": [{ "key_arn": KEY }] });
    let workspace = json!({ "workspace_name": "from-peer", "storage_customer_managed_key_id": "c1000000-0000-4000-8000-000000000001" });
    let replaced = change(
        "databricks_mws_customer_managed_keys.x",
        &["delete", "create"],
        keys.clone(),
        keys,
    );
    let new = change(
        "databricks_mws_workspaces.x",
        &["create"],
        Json::Null,
        workspace.clone(),
    );
    let (text, code) = reviewed(
        &plan_of(vec![replaced.clone(), new]),
        &["--format", "text", "--fail-on", "error"],
    );
    assert_eq!(code, 0, "{text}");
    let there = change(
        "databricks_mws_workspaces.x",
        &["no-op"],
        workspace.clone(),
        workspace,
    );
    let (text, code) = reviewed(
        &plan_of(vec![replaced, there]),
        &["--format", "text", "--fail-on", "error"],
    );
    assert!(code == 1 && text.contains("from-peer"), "{text}");
}

/// The clean-up after a rotation: the key, its configuration and its statements go together, and no workspace uses them.
#[test]
fn a_clean_up_passes_the_gate_and_a_finding_can_be_accepted() {
    let configuration = json!({ "id": "c1000000-0000-4000-8000-000000000001", "use_cases": ["MANAGED_SERVICES"], "aws": { "key_arn": KEY } });
    let gone = |address: &str, before: Json| change(address, &["delete"], before, Json::Null);
    let key = gone(
        "aws_kms_key.old",
        json!({ "arn": KEY, "deletion_window_in_days": 30 }),
    );
    let clean_up = plan_of(vec![
        key.clone(),
        gone("dbxcmk_key_configuration.old", configuration.clone()),
        gone(
            "dbxcmk_key_policy.old",
            json!({ "aws": { "key_arn": KEY }, "use_cases": ["MANAGED_SERVICES"], "statements": "[]" }),
        ),
    ]);
    let (text, code) = reviewed(&clean_up, &["--format", "text", "--fail-on", "error"]);
    assert_eq!(code, 0, "{text}");
    // The key alone is another matter.
    let kept = change(
        "dbxcmk_key_configuration.old",
        &["no-op"],
        configuration.clone(),
        configuration,
    );
    let alone = plan_of(vec![key, kept]);
    let gate = ["--format", "text", "--fail-on", "error"];
    let (text, code) = reviewed(&alone, &gate);
    assert!(
        code == 1 && text.contains("A key that is meant for Databricks is deleted"),
        "{text}"
    );
    // Unless the user says why.
    let accepted = |what: &str| reviewed(&alone, &[&gate[..], &["--accept", what]].concat());
    let (text, code) = accepted("key-deleted:aws_kms_key.old=the account is closed");
    assert!(
        code == 0 && text.contains("Accepted") && text.contains("the account is closed"),
        "{text}"
    );
    let (text, code) = accepted("key-deleted:aws_kms_key.other=no");
    assert!(code == 1 && text.contains("accepted-nothing"), "{text}");
    assert_eq!(accepted("key-deleted").1, 2);
}

/// A typo inside of `aws` is dropped by Terraform before the provider sees it. What the plan shows of it, the review reports, and
/// `lint` finds it in the files.
#[test]
fn a_typo_inside_of_a_nested_attribute_is_found() {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.good_key();
    stage.configure(&format!(
        "\nresource \"dbxcmk_key_configuration\" \"x\" {{\n  use_cases = [\"STORAGE\"]\n  aws = {{\n    key_arn = \"{key}\"\n    \
         reuse_key_for_cluster_volume = false\n  }}\n}}\n"
    ));
    let plan = stage.workdir.plan();
    assert_eq!(
        plan.after(
            "dbxcmk_key_configuration.x",
            "/aws/reuse_key_for_cluster_volumes"
        ),
        json!(true),
        "Terraform drops the typo"
    );
    let (text, code) = reviewed(
        &plan.json.to_string(),
        &["--format", "text", "--fail-on", "error"],
    );
    assert!(
        code == 1 && text.contains("did you mean `reuse_key_for_cluster_volumes`?"),
        "{text}"
    );
    // In the file, with its line, also where the plan shows only references.
    stage.workdir.write("more.tf", "\nresource \"dbxcmk_key_policy\" \"y\" {\n  use_cases = var.x\n  aws = {\n    key_arn = var.y\n    cross_account_role = var.z\n  }\n}\n");
    let lint = |directory: &std::path::Path, arguments: &[&str]| {
        let output = std::process::Command::new(provider_binary())
            .arg("lint")
            .args(arguments)
            .arg(".")
            .current_dir(directory)
            .output()
            .unwrap();
        (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            output.status.code().unwrap(),
        )
    };
    let (text, code) = lint(stage.workdir.path(), &[]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("./more.tf:6: dbxcmk_key_policy.y: `aws.cross_account_role` does not exist; did you mean `aws.cross_account_role_arn`?"), "{text}");
    assert!(
        text.contains("dbxcmk_key_configuration.x: `aws.reuse_key_for_cluster_volume`"),
        "{text}"
    );
    let (text, _) = lint(stage.workdir.path(), &["--format", "json"]);
    assert_eq!(
        serde_json::from_str::<Json>(&text)
            .unwrap()
            .as_array()
            .unwrap()
            .len(),
        2,
        "{text}"
    );
    stage.workdir.write("more.tf", "resource {");
    assert_eq!(lint(stage.workdir.path(), &[]).1, 2);
    // Where the command could read nothing, it says of nothing that it exists.
    let output = std::process::Command::new(provider_binary())
        .args(["lint", "/no/such/directory"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    assert_eq!(
        said.trim(),
        "/no/such/directory: there is no such file or directory"
    );
    // The examples of the documentation have no such name.
    let (text, code) = lint(&checkout().join("examples"), &[]);
    assert_eq!(code, 0, "{text}");
}

/// In the plan of a real Terraform: a binding that moves to another workspace, and a provider that a variable makes only warn.
#[test]
fn what_no_attribute_of_a_resource_shows_is_seen() {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.good_key();
    let configure = |workspace: u64, mode: &str| {
        let head = HEAD.but(
            "provider \"dbxcmk\" {}",
            &format!(
                "variable \"mode\" {{\n  default = \"{mode}\"\n}}\n\nprovider \"dbxcmk\" {{\n  preflight = var.mode\n}}\n"
            ),
        );
        stage.workdir.configuration(&format!(
            "{head}\nresource \"dbxcmk_key_configuration\" \"x\" {{\n  use_cases = [\"MANAGED_SERVICES\", \"STORAGE\"]\n  aws = {{\n    key_arn \
             = \"{key}\"\n    reuse_key_for_cluster_volumes = false\n  }}\n}}\n\nresource \"dbxcmk_workspace_binding\" \"x\" {{\n  \
             workspace_id = \"{workspace}\"\n  managed_services_key_configuration_id = dbxcmk_key_configuration.x.id\n  \
             storage_key_configuration_id = dbxcmk_key_configuration.x.id\n  settle_time = \"0s\"\n}}\n"
        ));
    };
    configure(WORKSPACE, "enforce");
    stage.workdir.apply();
    configure(MANAGED_VPC_WORKSPACE, "warn");
    let (text, code) = reviewed(
        &plan(&stage.workdir),
        &["--format", "text", "--fail-on", "error"],
    );
    assert_eq!(code, 1, "{text}");
    for words in [
        "[preflight-warns]",
        "`preflight` refers to `var.mode`, which is \"warn\"",
        &format!("The keys stay attached to lakehouse-prod ({WORKSPACE}) [binding-forgotten]"),
        &format!(
            "{MANAGED_VPC_WORKSPACE} gets its storage key, permanently [storage-key-attached]"
        ),
        "lets the apply go on",
    ] {
        assert!(text.contains(words), "{words} is missing in:\n{text}");
    }
    let accepted = [
        "--format",
        "text",
        "--fail-on",
        "error",
        "--accept",
        "preflight-warns=a drill",
    ];
    assert_eq!(reviewed(&plan(&stage.workdir), &accepted).1, 0);
}

/// A result of SARIF stands where the resource is written.
#[test]
fn sarif_names_the_file_and_the_line() {
    let stage = Stage::new(Over::Sandbox);
    std::fs::create_dir(stage.workdir.path().join("keys")).unwrap();
    stage
        .workdir
        .write("keys/main.tf", "\n\nresource \"aws_kms_key\" \"x\" {\n}\n");
    stage
        .workdir
        .write("main.tf", "module \"keys\" {\n  source = \"./keys\"\n}\n");
    let mut one = change(
        "module.keys.aws_kms_key.x[0]",
        &["delete"],
        json!({ "arn": KEY }),
        Json::Null,
    );
    one["type"] = json!("aws_kms_key");
    one["module_address"] = json!("module.keys");
    let policy = json!({ "aws": { "key_arn": KEY }, "use_cases": ["STORAGE"], "statements": "[]" });
    let other = change("dbxcmk_key_policy.x", &["no-op"], policy.clone(), policy);
    let plan = json!({ "format_version": "1.2", "resource_changes": [one, other],
        "configuration": { "root_module": { "module_calls": { "keys": { "source": "./keys", "module": {} } } } } });
    let directory = stage.workdir.path().display().to_string();
    let (text, _) = reviewed(
        &plan.to_string(),
        &["--format", "sarif", "--sarif-directory", &directory],
    );
    let log: Json = serde_json::from_str(&text).unwrap();
    let location = &log["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert!(
        location["artifactLocation"]["uri"]
            .as_str()
            .unwrap()
            .ends_with("keys/main.tf"),
        "{text}"
    );
    assert_eq!(location["region"]["startLine"], 3, "{text}");
    let titles: Vec<&str> = log["runs"][0]["tool"]["driver"]["rules"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|rule| rule["shortDescription"]["text"].as_str())
        .collect();
    assert!(titles.contains(&"A key is deleted"), "{titles:?}");
}

/// Many workspaces: the counts and the first ten are there to see, the rest is folded.
#[test]
fn many_workspaces_are_folded() {
    let all = (0..30).map(|number| {
        let address = format!("dbxcmk_workspace_binding.all[{number}]");
        change(&address, &["create"], Json::Null, json!({ "workspace_id": number.to_string(), "storage_key_configuration_id": "c1000000-0000-4000-8000-000000000001" }))
    });
    let (text, _) = reviewed(&plan_of(all.collect()), &[]);
    assert!(
        text.contains("What cannot be undone (30)") && text.contains("<summary>20 more</summary>"),
        "{text}"
    );
    assert_eq!(
        text.matches("<details open><summary><b>").count(),
        10,
        "{text}"
    );
}

#[test]
fn a_saved_plan_is_told_from_its_json() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"PK\x03\x04\xff\xfe binary").unwrap();
    let (text, code) = reviewed("", &[&file.path().display().to_string()]);
    assert!(
        code == 2 && text.contains("is a saved plan") && text.contains("terraform show -json"),
        "{text}"
    );
}

/// The kill switch in a plan: each row has an action or a change of a key, the findings of the review with their levels, and for which
/// `--fail-on` it stops.
#[test]
fn what_takes_a_key_away_is_gated() {
    let key = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let invoked = |kind: &str| {
        json!({ "format_version": "1.2", "terraform_version": "1.14.9", "planned_values": {}, "action_invocations": [{
            "address": format!("action.{kind}.now"), "type": kind, "name": "now",
            "config_values": { "aws": { "key_arn": key }, "acknowledged_workspace_ids": ["42"], "deletion_window_days": 7 },
            "invoke_action_trigger": {} }] })
        .to_string()
    };
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::414351767826:root"},"Action":"kms:*","Resource":"*"}]}"#;
    let of_key = |enabled: bool, days: u32| json!({ "arn": key, "policy": policy, "is_enabled": enabled, "deletion_window_in_days": days });
    let changed = |actions: &[&str], before: Json, after: Json| {
        plan_of(vec![change("aws_kms_key.x", actions, before, after)])
    };
    let rows: [(&str, String, &[(&str, &str)]); 6] = [
        (
            "the action that disables",
            invoked("dbxcmk_disable_key"),
            &[("key-disabled", "error")],
        ),
        (
            "the action that schedules a deletion",
            invoked("dbxcmk_schedule_key_deletion"),
            &[
                ("key-deletion-window", "irreversible"),
                ("key-deleted", "error"),
            ],
        ),
        (
            "the action that restores",
            invoked("dbxcmk_restore_key"),
            &[],
        ),
        (
            "a key that is disabled",
            changed(&["update"], of_key(true, 30), of_key(false, 30)),
            &[("key-disabled", "error")],
        ),
        (
            "a shorter window",
            changed(&["update"], of_key(true, 30), of_key(true, 7)),
            &[("key-deletion-window", "irreversible")],
        ),
        (
            "a key that is deleted",
            changed(&["delete"], of_key(true, 7), Json::Null),
            &[
                ("key-deletion-window", "irreversible"),
                ("key-deleted", "error"),
            ],
        ),
    ];
    for (what, plan, expected) in rows {
        let (text, _) = reviewed(&plan, &["--format", "json"]);
        let report: Json = serde_json::from_str(&text).unwrap();
        let mut found: Vec<(&str, &str)> = report["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["id"].as_str().unwrap(), one["level"].as_str().unwrap()))
            .filter(|(id, _)| id.starts_with("key-d"))
            .collect();
        found.sort_unstable();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected, "{what}: {text}");
        for gate in ["error", "irreversible"] {
            let stops = match gate {
                "error" => expected.iter().any(|(_, level)| *level == "error"),
                _ => !expected.is_empty(),
            };
            let (_, code) = reviewed(&plan, &["--fail-on", gate]);
            assert_eq!(code, i32::from(stops), "{what}: --fail-on {gate}");
        }
        if let Some((id, _)) = expected.first() {
            assert!(
                text.contains("42") || !what.contains("action"),
                "{id}: {text}"
            );
        }
    }
}
