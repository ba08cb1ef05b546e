//! Each answer about a key: one question has one judge, so this compares the answers, for each state of a key on each cloud. Each row
//! names the expected findings; the refresh, the readiness, the impact and the `key` command give them for a workspace that has the key,
//! the plan and the apply for one that shall get it.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use acceptance_tests::azure::{self, OWN_VAULT, SECOND, first_version};
use acceptance_tests::google::{self, KEY};
use acceptance_tests::harness::providers::provider_binary;
use acceptance_tests::harness::{Message, Run};
use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::stage::{MANAGED_SERVICES, Over, STORAGE, Stage, policy};
use dbxcmk_sandbox::faults::{Effect, Fault};
use dbxcmk_sandbox::gcp::Version;
use dbxcmk_sandbox::{WORKSPACE, azure as azure_sandbox, gcp};
use serde_json::{Value as Json, json};

type Ids = BTreeSet<String>;

/// What a state of a key comes to.
struct Row {
    what: &'static str,
    change: fn(&Stage, &str),
    /// The findings about the key that this state adds, in every answer.
    ids: &'static [&'static str],
    /// Whether the state is an error for those who rely on the key.
    is_ready: bool,
    /// Whether the same state stops the plan of an attach, or only its apply: what cannot be read is a warning at plan.
    stops_plan: bool,
    stops_apply: bool,
}

const NOT_OF_THE_KEY: [&str; 10] = [
    // The proof of a workspace knows it, and that of a key alone does not.
    "workspace-account",
    "no-rotation",
    "short-window",
    "unprotected",
    "no-cluster-volumes",
    "too-much",
    "version-pinned",
    "not-examined",
    "any-databricks-account",
    // It is about the workspace, whatever its key is.
    "attach-not-documented",
];

/// The findings that messages name in brackets.
fn ids_of<'a>(messages: impl Iterator<Item = &'a Message>) -> Ids {
    messages
        .flat_map(|one| one.detail.lines())
        .filter_map(|line| line.strip_prefix('[')?.strip_suffix(']'))
        .filter(|id| !NOT_OF_THE_KEY.iter().any(|word| id.ends_with(word)))
        .map(str::to_owned)
        .collect()
}

fn ids_in(run: &Run) -> Ids {
    ids_of(run.messages.iter())
}

fn ids_of_json(findings: &Json) -> Ids {
    let all = findings.as_array().cloned().unwrap_or_default();
    all.iter()
        .filter_map(|one| one["id"].as_str())
        .filter(|id| !NOT_OF_THE_KEY.iter().any(|word| id.ends_with(word)))
        .map(str::to_owned)
        .collect()
}

/// A cloud: its stages, and how to ask.
struct Cloud {
    /// A workspace that has the key, with the two data sources.
    attached: fn() -> (Stage, String),
    /// The same key, and a workspace that is to get it.
    fresh: fn() -> (Stage, String),
    /// Builds the command `key status` for a key.
    key: fn(&Stage, &str) -> Command,
}

fn compare(cloud: &Cloud, rows: &[Row]) {
    let mut wrong = Vec::new();
    for row in rows {
        let (stage, key) = (cloud.attached)();
        (row.change)(&stage, &key);
        let plan = stage.workdir.plan();
        let expected: Ids = row.ids.iter().map(|id| (*id).to_owned()).collect();
        let mut check = |who: &str, found: String, wanted: String| {
            if found != wanted {
                wrong.push(format!("{}: {who}: {found}, and not {wanted}", row.what));
            }
        };
        check(
            "refresh",
            format!("{:?}", ids_in(&plan.run)),
            format!("{expected:?}"),
        );
        let output = |name: &str| {
            let at = format!("/planned_values/outputs/{name}/value");
            plan.json.pointer(&at).cloned().unwrap_or_default()
        };
        let (readiness, impact) = (output("readiness"), output("impact"));
        check(
            "readiness",
            format!("{:?}", ids_of_json(&readiness["findings"])),
            format!("{expected:?}"),
        );
        check(
            "ready",
            readiness["ready"].to_string(),
            row.is_ready.to_string(),
        );
        let output = (cloud.key)(&stage, &key).output().unwrap();
        let report: Json = serde_json::from_slice(&output.stdout).unwrap_or_default();
        check(
            "key status",
            format!("{:?}", ids_of_json(&report["findings"])),
            format!("{expected:?}"),
        );
        check(
            "state in the impact",
            impact["state"].to_string(),
            report["state"].to_string(),
        );
        if !readiness["key_state"].is_null() {
            check(
                "state in the readiness",
                readiness["key_state"].to_string(),
                report["state"].to_string(),
            );
        }

        let (stage, key) = (cloud.fresh)();
        let saved = stage
            .workdir
            .run(&["plan", "-out=before.tfplan", "-no-color"]);
        assert!(saved.success, "{}", saved.output);
        (row.change)(&stage, &key);
        let run = stage.workdir.run(&["plan", "-json", "-input=false"]);
        check(
            "plan of an attach",
            format!("{:?}", ids_in(&run)),
            format!("{expected:?}"),
        );
        check(
            "plan of an attach stops",
            (!run.success).to_string(),
            row.stops_plan.to_string(),
        );
        let run = stage.workdir.run(&["apply", "-json", "before.tfplan"]);
        check(
            "apply of an attach stops",
            (!run.success).to_string(),
            row.stops_apply.to_string(),
        );
        if row.stops_apply {
            check(
                "apply of an attach",
                format!("{:?}", ids_in(&run)),
                format!("{expected:?}"),
            );
        }
    }
    assert!(
        wrong.is_empty(),
        "answers differ:\n  {}",
        wrong.join("\n  ")
    );
}

fn command(stage: &Stage, key: &str) -> Command {
    let mut command = Command::new(provider_binary());
    command
        .args(["key", "status", key, "--format", "json"])
        .envs(stage.sandbox.environment())
        .env("HOME", stage.workdir.path())
        .stdin(Stdio::null());
    command
}

mod aws {
    use super::*;

    fn resources(key: &str) -> String {
        format!(
            r#"
resource "dbxcmk_key_configuration" "lakehouse" {{
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  aws = {{
    key_arn                       = "{key}"
    reuse_key_for_cluster_volumes = false
  }}
}}
"#
        )
    }

    fn binding() -> String {
        format!(
            r#"
resource "dbxcmk_workspace_binding" "prod" {{
  workspace_id                          = "{WORKSPACE}"
  managed_services_key_configuration_id = dbxcmk_key_configuration.lakehouse.id
  storage_key_configuration_id          = dbxcmk_key_configuration.lakehouse.id
  settle_time                           = "0s"
}}
"#
        )
    }

    fn asked(key: &str) -> String {
        format!(
            r#"
data "dbxcmk_key_readiness" "x" {{
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  aws = {{
    key_arn = "{key}"
  }}
}}

data "dbxcmk_revocation_impact" "x" {{
  aws = {{
    key_arn = "{key}"
  }}
}}

output "readiness" {{
  value = data.dbxcmk_key_readiness.x
}}

output "impact" {{
  value = data.dbxcmk_revocation_impact.x
}}
"#
        )
    }

    fn fresh() -> (Stage, String) {
        let stage = Stage::new(Over::Sandbox);
        let key = stage.good_key();
        stage.configure(&resources(&key));
        stage.workdir.apply();
        stage.configure(&format!("{}{}", resources(&key), binding()));
        (stage, key)
    }

    fn attached() -> (Stage, String) {
        let (stage, key) = fresh();
        stage.workdir.apply();
        stage.configure(&format!("{}{}{}", resources(&key), binding(), asked(&key)));
        (stage, key)
    }

    fn denied(stage: &Stage, operation: &str) {
        stage.sandbox.inject(Fault {
            times: 1000,
            ..Fault::new(
                operation,
                Effect::aws("AccessDeniedException", "not authorized to perform it"),
            )
        });
    }

    #[test]
    fn every_state_of_a_key_gets_one_answer() {
        let rows = [
            Row {
                what: "enabled",
                change: |_, _| {},
                ids: &[],
                is_ready: true,
                stops_plan: false,
                stops_apply: false,
            },
            Row {
                what: "disabled",
                change: |stage, key| {
                    stage.kms.call("DisableKey", &json!({ "KeyId": key }));
                },
                ids: &["kms-key-disabled"],
                is_ready: false,
                stops_plan: true,
                stops_apply: true,
            },
            Row {
                what: "to be deleted",
                change: |stage, key| {
                    let order = json!({ "KeyId": key, "PendingWindowInDays": 7 });
                    stage.kms.call("ScheduleKeyDeletion", &order);
                },
                ids: &["kms-key-pending-deletion"],
                is_ready: false,
                stops_plan: true,
                stops_apply: true,
            },
            Row {
                what: "without statements",
                change: |stage, key| stage.kms.put_policy(key, &policy(key, &[])),
                ids: &["policy-missing-action"],
                is_ready: false,
                stops_plan: true,
                stops_apply: true,
            },
            Row {
                what: "half of the statements",
                change: |stage, key| {
                    stage.kms.put_policy(
                        key,
                        &policy(
                            key,
                            &[
                                MANAGED_SERVICES,
                                &STORAGE.but("kms:ReEncrypt*", "kms:ListAliases"),
                            ],
                        ),
                    );
                },
                ids: &["policy-missing-action"],
                is_ready: false,
                stops_plan: true,
                stops_apply: true,
            },
            Row {
                what: "its policy cannot be read",
                change: |stage, _| denied(stage, "KMS GetKeyPolicy"),
                ids: &["policy-unreadable"],
                is_ready: false,
                stops_plan: false,
                stops_apply: true,
            },
        ];
        let cloud = Cloud {
            attached,
            fresh,
            key: command,
        };
        compare(&cloud, &rows);
    }
}

mod on_google {
    use super::*;

    const CONFIGURATION: &str = "dbxcmk_key_configuration.lakehouse";
    const POLICY: &str = "dbxcmk_key_policy.lakehouse";

    /// Without the key policy, which would restore what is taken away, and without the binding.
    fn resources(stage: &Stage, more: &str) -> String {
        let all = google::resources();
        let configuration = all
            .split("resource \"dbxcmk_key_policy\"")
            .next()
            .unwrap_or_default();
        let _ = stage;
        format!("{configuration}{more}")
    }

    fn binding() -> String {
        format!(
            r#"
resource "dbxcmk_workspace_binding" "prod" {{
  workspace_id                          = "{}"
  managed_services_key_configuration_id = dbxcmk_key_configuration.lakehouse.id
  storage_key_configuration_id          = dbxcmk_key_configuration.lakehouse.id
  settle_time                           = "0s"
}}
"#,
            gcp::WORKSPACE
        )
    }

    fn asked() -> String {
        format!(
            r#"
data "dbxcmk_key_readiness" "x" {{
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  gcp = {{
    kms_key_id                  = "{KEY}"
    databricks_service_accounts = [dbxcmk_key_configuration.lakehouse.gcp.service_account_email]
    workspace_project_number    = "123456789012"
  }}
}}

data "dbxcmk_revocation_impact" "x" {{
  gcp = {{
    kms_key_id = "{KEY}"
  }}
}}

output "readiness" {{
  value = data.dbxcmk_key_readiness.x
}}

output "impact" {{
  value = data.dbxcmk_revocation_impact.x
}}
"#
        )
    }

    fn fresh() -> (Stage, String) {
        let stage = Stage::on_google();
        let all = google::resources();
        let (head, _) = all
            .split_once("resource \"dbxcmk_workspace_binding\"")
            .unwrap();
        // The account that Databricks creates with the workspace has the key, too.
        let own = format!(
            "service_account_email, \"db-{}@prod-gcp-us-east4.iam.gserviceaccount.com\"]",
            gcp::WORKSPACE
        );
        stage.configure(&head.but("service_account_email]", &own));
        stage.workdir.apply();
        assert!(!stage.workdir.attribute(CONFIGURATION, "/id").is_empty());
        stage.workdir.forget(POLICY);
        stage.configure(&resources(&stage, &binding()));
        (stage, KEY.to_owned())
    }

    fn attached() -> (Stage, String) {
        let (stage, key) = fresh();
        stage.workdir.apply();
        stage.configure(&resources(&stage, &format!("{}{}", binding(), asked())));
        (stage, key)
    }

    fn version(state: &str) -> Version {
        Version {
            state: state.to_owned(),
            create_time: "2026-01-01T00:00:00Z".to_owned(),
            destroy_time: (state == "DESTROY_SCHEDULED").then(|| "2026-12-24T00:00:00Z".to_owned()),
        }
    }

    fn versions(stage: &Stage, states: &[&str]) {
        stage.change_key(|key| {
            key.versions = states.iter().map(|state| version(state)).collect();
            key.primary = states.len();
        });
    }

    #[test]
    fn every_state_of_a_key_gets_one_answer() {
        let rows = [
            Row {
                what: "enabled",
                change: |_, _| {},
                ids: &[],
                is_ready: true,
                stops_plan: false,
                stops_apply: false,
            },
            Row {
                what: "disabled",
                change: |stage, _| versions(stage, &["DISABLED"]),
                ids: &["gcp-key-primary"],
                is_ready: false,
                stops_plan: true,
                stops_apply: true,
            },
            Row {
                what: "to be destroyed",
                change: |stage, _| versions(stage, &["DESTROY_SCHEDULED"]),
                ids: &["gcp-key-primary"],
                is_ready: false,
                stops_plan: true,
                stops_apply: true,
            },
            Row {
                what: "an old version is disabled",
                change: |stage, _| versions(stage, &["DISABLED", "ENABLED"]),
                ids: &["gcp-key-versions"],
                is_ready: false,
                stops_plan: false,
                stops_apply: false,
            },
            Row {
                what: "an old version is to be destroyed",
                change: |stage, _| versions(stage, &["DESTROY_SCHEDULED", "ENABLED"]),
                ids: &["gcp-key-versions"],
                is_ready: false,
                stops_plan: false,
                stops_apply: false,
            },
            Row {
                what: "nobody may use it",
                change: |stage, _| {
                    stage.google(|google| google.policies.remove(KEY));
                },
                ids: &["gcp-member-missing"],
                is_ready: false,
                stops_plan: true,
                stops_apply: true,
            },
        ];
        let cloud = Cloud {
            attached,
            fresh,
            key: command,
        };
        compare(&cloud, &rows);
    }
}

mod on_azure {
    use super::*;

    const POLICY: &str = "dbxcmk_key_policy.lakehouse";

    fn key() -> String {
        azure_sandbox::key_id(OWN_VAULT)
    }

    fn asked() -> String {
        format!(
            r#"
data "dbxcmk_key_readiness" "x" {{
  use_cases = ["MANAGED_SERVICES"]
  azure = {{
    key_vault_key_id      = "{key}"
    workspace_resource_id = "{workspace}"
  }}
}}

data "dbxcmk_revocation_impact" "x" {{
  azure = {{
    key_vault_key_id = "{key}"
  }}
}}

output "readiness" {{
  value = data.dbxcmk_key_readiness.x
}}

output "impact" {{
  value = data.dbxcmk_revocation_impact.x
}}
"#,
            key = key(),
            workspace = azure_sandbox::workspace_id(),
        )
    }

    fn fresh() -> (Stage, String) {
        let stage = Stage::on_azure();
        stage.allow_databricks(OWN_VAULT);
        stage.configure_azure(&azure::managed_services(&key()));
        (stage, key())
    }

    fn attached() -> (Stage, String) {
        let (stage, key) = fresh();
        stage.workdir.apply();
        let _ = POLICY;
        stage.configure_azure(&format!("{}{}", azure::managed_services(&key), asked()));
        (stage, key)
    }

    fn command(stage: &Stage, key: &str) -> Command {
        let url = stage.sandbox.azure_url();
        let bundle = stage.workdir.path().join("sandbox.pem");
        std::fs::write(&bundle, stage.sandbox.authority()).unwrap();
        let mut command = Command::new(provider_binary());
        command
            .args(["key", "status", key, "--format", "json", "--ca-bundle"])
            .arg(bundle)
            .args([
                format!("--endpoint-resource-manager={url}/arm"),
                format!("--endpoint-login={url}/login"),
                format!("--endpoint-graph={url}/graph"),
                format!("--endpoint-key-vault={url}/vault"),
            ])
            .envs(stage.sandbox.environment())
            .env_remove("DATABRICKS_HOST")
            .env("HOME", stage.workdir.path())
            .stdin(Stdio::null());
        command
    }

    #[test]
    fn every_state_of_a_key_gets_one_answer() {
        assert!(first_version(OWN_VAULT).starts_with(&key()));
        let rows = [
            Row {
                what: "enabled",
                change: |_, _| {},
                ids: &[],
                is_ready: true,
                stops_plan: false,
                stops_apply: false,
            },
            Row {
                what: "disabled",
                change: |stage, _| {
                    stage.change_version(OWN_VAULT, |version| version.enabled = false)
                },
                ids: &["azure-key-disabled"],
                is_ready: false,
                stops_plan: true,
                stops_apply: true,
            },
            Row {
                what: "a newer version, which nobody uses yet",
                change: |stage, _| stage.new_version(OWN_VAULT, SECOND),
                ids: &[],
                is_ready: true,
                stops_plan: false,
                stops_apply: false,
            },
            Row {
                what: "deleted, and recoverable",
                change: |stage, _| {
                    stage.change_vault_key(OWN_VAULT, |key| key.deleted = Some(1_800_000_000));
                },
                ids: &["azure-key-deleted"],
                is_ready: false,
                stops_plan: true,
                stops_apply: true,
            },
            Row {
                what: "expired",
                change: |stage, _| {
                    stage.change_version(OWN_VAULT, |version| version.expires = Some(1_000_000_000))
                },
                ids: &["azure-key-expired"],
                is_ready: false,
                stops_plan: true,
                stops_apply: true,
            },
            Row {
                what: "nobody may use it",
                change: |stage, _| stage.azure(|azure| azure.role_assignments.clear()),
                ids: &["azure-principal-missing"],
                is_ready: false,
                stops_plan: true,
                stops_apply: true,
            },
        ];
        let cloud = Cloud {
            attached,
            fresh,
            key: command,
        };
        compare(&cloud, &rows);
    }
}
