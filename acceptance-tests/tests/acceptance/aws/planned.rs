//! What the proof says at plan of key configurations that the same plan creates.

use dbxcmk_sandbox::WORKSPACE;
use serde_json::json;

use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::stage::{HEAD_WITH_AWS, MANAGED_SERVICES, Over, STORAGE, Stage, policy};

const LATER: &str = "Part of the proof happens at apply";

/// A configuration for cluster volumes.
fn configuration(name: &str, key: &str) -> String {
    format!(
        r#"
resource "dbxcmk_key_configuration" "{name}" {{
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  aws = {{
    key_arn = {key}
  }}
}}
"#
    )
}

fn binding(name: &str) -> String {
    format!(
        r#"
resource "dbxcmk_workspace_binding" "prod" {{
  workspace_id                 = "{WORKSPACE}"
  storage_key_configuration_id = dbxcmk_key_configuration.{name}.id
  settle_time                  = "0s"
}}
"#
    )
}

/// A key in the workspace's region that allows Databricks everything but does not know the cross-account role.
fn role_denied(stage: &Stage) -> String {
    let key = stage.good_key();
    let role = dbxcmk_sandbox::ROLE_ARN;
    let deny = format!(
        r#"{{"Sid": "Not the role", "Effect": "Deny", "Principal": {{"AWS": "{role}"}}, "Action": "kms:*", "Resource": "*"}}"#
    );
    let statements = [
        acceptance_tests::stage::MANAGED_SERVICES,
        acceptance_tests::stage::STORAGE,
        &deny,
    ];
    stage.kms.put_policy(&key, &policy(&key, &statements));
    key
}

fn quoted(key: &str) -> String {
    format!("\"{key}\"")
}

const DENIED: &str =
    "The key policy denies the cross-account role the use of the key for cluster volumes (EBS)";

/// One candidate is judged as if its ID were known.
#[test]
fn the_only_planned_configuration_is_judged() {
    let stage = Stage::new(Over::Sandbox);
    let key = role_denied(&stage);
    stage.configure(&format!(
        "{}{}",
        configuration("one", &quoted(&key)),
        binding("one")
    ));
    let run = stage.workdir.refused_plan();
    let error = run.error(DENIED);
    assert!(
        error.detail.contains(dbxcmk_sandbox::ROLE_ARN),
        "{}",
        error.detail
    );
    assert_eq!(stage.configurations().len(), 0);
}

/// A workspace that is not known yet is not examined, and the plan says so.
#[test]
fn a_workspace_that_is_known_later_is_said() {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.good_key();
    let all = format!("{}{}", configuration("one", &quoted(&key)), binding("one"));
    let later = "\nresource \"terraform_data\" \"w\" {\n  input = \"1\"\n}\n";
    let named = format!("workspace_id                 = \"{WORKSPACE}\"");
    let unknown = "workspace_id = terraform_data.w.output";
    stage.configure(&format!("{}{later}", all.but(&named, unknown)));
    let warning = stage.workdir.plan().run.warning(LATER).detail.clone();
    assert!(warning.contains("`workspace_id` is"), "{warning}");
}

/// So is its region.
#[test]
fn a_planned_configuration_in_another_region_is_refused() {
    let stage = Stage::new(Over::Sandbox);
    let elsewhere = stage.kms.in_region("us-east-1");
    let key = elsewhere.create_key(&json!({}));
    elsewhere.put_policy(
        &key,
        &policy(
            &key,
            &[
                acceptance_tests::stage::MANAGED_SERVICES,
                acceptance_tests::stage::STORAGE,
            ],
        ),
    );
    stage.configure(&format!(
        "{}{}",
        configuration("one", &quoted(&key)),
        binding("one")
    ));
    let run = stage.workdir.refused_plan();
    let error = run.error("The key is in another region than the workspace");
    assert!(error.detail.contains("us-east-1"), "{}", error.detail);
}

/// Where one of two is wrong, the plan cannot tell which one is meant: it warns and names the key, and the apply decides. Where both
/// are wrong, it is refused.
#[test]
fn several_planned_configurations_are_judged_together() {
    let stage = Stage::new(Over::Sandbox);
    let bad = role_denied(&stage);
    // Both are planned before the binding is.
    let after_both = binding("two").but(
        "  settle_time",
        "  depends_on = [dbxcmk_key_configuration.one]\n  settle_time",
    );
    let two = format!("{}{after_both}", configuration("two", &quoted(&bad)));

    let good = configuration("one", &quoted(&stage.good_key()));
    stage.configure(&format!("{good}{two}"));
    let plan = stage.workdir.plan();
    let warning = plan.run.warning(DENIED);
    for words in [bad.as_str(), "several key configurations"] {
        assert!(warning.detail.contains(words), "{}", warning.detail);
    }
    let run = stage.workdir.run(&["apply", "-json", "plan.tfplan"]);
    run.error(DENIED);
    assert_eq!(stage.asked("PATCH /workspaces").len(), 0);

    let stage = Stage::new(Over::Sandbox);
    let [one, other] = [(); 2].map(|()| role_denied(&stage));
    let one = configuration("one", &quoted(&one));
    stage.configure(&format!("{one}{}", two.but(&bad, &other)));
    stage.workdir.refused_plan().error(DENIED);
}

/// The plan reports once, and not for each resource, that the apply will examine a key that is not known yet.
#[test]
fn what_has_to_wait_is_said_once() {
    let stage = Stage::new(Over::Sandbox);
    let mut whole = format!(
        "\nresource \"terraform_data\" \"key\" {{\n  input = \"{}\"\n}}\n",
        stage.good_key()
    );
    for name in ["one", "two", "three"] {
        whole.push_str(&configuration(name, "terraform_data.key.output").but(
            "    key_arn",
            &format!("    key_alias = \"alias/{name}\"\n    key_arn"),
        ));
    }
    stage.configure(&whole);
    let run = stage.workdir.plan().run;
    let said = run.warnings().into_iter().filter(|one| *one == LATER);
    assert_eq!(said.count(), 1, "{}", run.shown());
}

/// Another provider puts a key policy between our resources, in one apply: all that come after it, at the same time, are judged by what the
/// key has then.
#[test]
fn a_policy_that_another_provider_puts_in_between_is_seen() {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.kms.create_key(&json!({}));
    stage
        .kms
        .put_policy(&key, &policy(&key, &[MANAGED_SERVICES]));
    let whole = policy(&key, &[MANAGED_SERVICES, STORAGE]);
    stage.workdir.write("policy.json", &whole);
    let after: String = [
        ("one", "\"STORAGE\"", true),
        ("two", "\"STORAGE\"", false),
        ("three", "\"MANAGED_SERVICES\", \"STORAGE\"", true),
        ("four", "\"MANAGED_SERVICES\", \"STORAGE\"", false),
    ]
    .into_iter()
    .map(|(name, cases, reuse)| {
        format!(
            r#"
resource "dbxcmk_key_configuration" "{name}" {{
  use_cases = [{cases}]
  aws = {{
    key_arn                       = replace(aws_kms_key_policy.lakehouse.id, "/^.*$/", "{key}")
    reuse_key_for_cluster_volumes = {reuse}
  }}
}}
"#
        )
    })
    .collect();
    stage.workdir.configuration(&format!(
        r#"{HEAD_WITH_AWS}
resource "dbxcmk_key_configuration" "services" {{
  use_cases = ["MANAGED_SERVICES"]
  aws       = {{ key_arn = "{key}" }}
}}

resource "aws_kms_key_policy" "lakehouse" {{
  key_id     = dbxcmk_key_configuration.services.aws.key_arn
  policy     = file("policy.json")
  depends_on = [dbxcmk_key_configuration.services]
}}
{after}"#
    ));
    stage.workdir.apply();
    assert_eq!(stage.configurations().len(), 5);
}
