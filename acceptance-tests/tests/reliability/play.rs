//! One play: everything is there but our resources; the run meets its mishap; then the next apply must make it good.

use std::collections::BTreeSet;
use std::time::Duration;

use acceptance_tests::harness::background::Background;
use acceptance_tests::harness::{self, Message};
use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::{azure, google};
use dbxcmk_sandbox::azure::{DATABRICKS, VERSION, key_id, vault_id};
use dbxcmk_sandbox::faults::{Effect, Fault};
use dbxcmk_sandbox::{ROLE_ARN, WORKSPACE};
use serde_json::{Value as Json, json};

use crate::cases::{Case, Cloud, Mishap, Point, Run, Signal};
use acceptance_tests::stage::{HEAD, Over, Stage, policy};

/// What the user saw of the runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The run that met the mishap.
    pub run: String,
    /// The run after it, without a mishap.
    pub next: String,
}

/// Another writer's statement in the key policy, which must be there in the end.
const FOREIGN: &str = r#"{ "Sid" : "Backup",  "Effect":"Allow", "Principal":{"AWS":"123456789012"}, "Action":["kms:Decrypt"], "Resource":"*" }"#;

/// How long keys settle where a signal is to arrive in that time: longer than any signal takes to arrive.
const SETTLE: &str = "120s";

const POLICY: &str = "dbxcmk_key_policy.lakehouse";
const CONFIGURATION: &str = "dbxcmk_key_configuration.lakehouse";
const BINDING: &str = "dbxcmk_workspace_binding.prod";

fn head() -> String {
    HEAD.but(
        "provider \"dbxcmk\" {}",
        "provider \"dbxcmk\" {\n  http = {\n    timeout       = \"3s\"\n    retry_timeout = \"8s\"\n  }\n}",
    )
}

/// The same on Google Cloud.
fn on_google(settle: &str) -> String {
    let resources = google::resources().but(
        "settle_time                           = \"0s\"",
        &format!(
            "settle_time                           = \"{settle}\"\n  timeouts = {{\n    create = \"8s\"\n  }}"
        ),
    );
    // The workspace's own service account, as the guide lists it.
    let email = "dbxcmk_key_configuration.lakehouse.gcp.service_account_email]";
    assert!(resources.contains(email), "the members of the policy");
    let own = format!(
        "dbxcmk_key_configuration.lakehouse.gcp.service_account_email, \"db-{}@prod-gcp-us-east4.iam.gserviceaccount.com\"]",
        dbxcmk_sandbox::gcp::WORKSPACE
    );
    format!("{}{}", head(), resources.but(email, &own))
}

/// Another writer's role on the vault, which must be there in the end: Key Vault Reader.
const FOREIGN_ROLE: &str = "21090545-7ca7-4776-b22c-e363652d74d2";
const ANN: &str = "a1100000-0000-4000-8000-000000000007";

fn configuration(key: &str, settle: &str) -> String {
    let head = head();
    format!(
        r#"{head}
resource "dbxcmk_key_policy" "lakehouse" {{
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  aws = {{
    key_arn                = "{key}"
    cross_account_role_arn = "{ROLE_ARN}"
  }}
}}

resource "dbxcmk_key_configuration" "lakehouse" {{
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  aws = {{
    key_arn   = dbxcmk_key_policy.lakehouse.aws.key_arn
    key_alias = "alias/lakehouse"
  }}
}}

resource "dbxcmk_workspace_binding" "prod" {{
  workspace_id                          = "{WORKSPACE}"
  managed_services_key_configuration_id = dbxcmk_key_configuration.lakehouse.id
  storage_key_configuration_id          = dbxcmk_key_configuration.lakehouse.id
  settle_time                           = "{settle}"
  timeouts = {{
    create = "8s"
  }}
}}
"#
    )
}

/// Plays a case with a real Terraform, and returns what it showed.
pub fn play(case: &Case) -> Seen {
    let settle = if matches!(
        case.mishap,
        Mishap::Signal {
            at: Point::Settling,
            ..
        }
    ) {
        SETTLE
    } else {
        "0s"
    };
    let (stage, key) = match case.cloud {
        Cloud::Aws => {
            let stage = Stage::new(Over::Sandbox);
            let key = stage.kms.create_key(&json!({}));
            stage
                .kms
                .call("EnableKeyRotation", &json!({ "KeyId": key }));
            stage.kms.put_policy(&key, &policy(&key, &[FOREIGN]));
            stage.workdir.configuration(&configuration(&key, settle));
            (stage, key)
        }
        Cloud::Google => {
            let stage = Stage::on_google();
            stage.google(|cloud| {
                // Both service agents are there, so that the first change of the policy is the one.
                let agent = google::STORAGE.trim_start_matches("serviceAccount:");
                cloud.service_accounts.insert(agent.to_owned());
                let policy = cloud.policies.entry(google::KEY.to_owned()).or_default();
                policy
                    .fields
                    .insert("bindings".to_owned(), json!([foreign_binding()]));
            });
            stage.workdir.configuration(&on_google(settle));
            (stage, google::KEY.to_owned())
        }
        Cloud::Azure => {
            let stage = Stage::on_azure();
            stage.assign(&vault_id(azure::OWN_VAULT), FOREIGN_ROLE, ANN);
            // All of it takes a few seconds here, on a machine that is not busy.
            let timeouts = "  timeouts = {\n    create = \"30s\"\n  }\n";
            let resources = azure::resources(azure::OWN_VAULT)
                .but("  settle_time", &format!("{timeouts}  settle_time"))
                .replacen("  azure = {", &format!("{timeouts}  azure = {{"), 1);
            stage.configure_azure(&resources);
            (stage, key_id(azure::OWN_VAULT))
        }
    };
    match case.run {
        Run::Apply => {
            let run = met(
                &stage,
                &case.mishap,
                &["apply", "-json", "-input=false", "-auto-approve"],
            );
            mend(&stage);
            nothing_twice_nothing_lost(&stage, case.cloud, &key);
            let next = stage
                .workdir
                .run(&["apply", "-json", "-input=false", "-auto-approve"]);
            everything_is_there(&stage, case.cloud, &key, &next);
            Seen {
                run: told_of(&run, &case.mishap),
                next: told(&next),
            }
        }
        Run::Destroy => {
            stage.workdir.apply();
            // Its owner deletes the workspace; the configuration is free then.
            stage
                .sandbox
                .with(|world| world.now.workspaces.remove(&WORKSPACE));
            let run = met(
                &stage,
                &case.mishap,
                &["destroy", "-json", "-input=false", "-auto-approve"],
            );
            mend(&stage);
            let next = stage
                .workdir
                .run(&["destroy", "-json", "-input=false", "-auto-approve"]);
            assert!(next.success, "the next destroy failed:\n{}", next.shown());
            assert_eq!(
                stage.configurations(),
                Vec::<Json>::new(),
                "a key configuration is left"
            );
            assert_eq!(
                stage.workdir.addresses(),
                Vec::<String>::new(),
                "something is left in the state"
            );
            let left = stage.kms.policy(&key);
            assert!(
                left.contains(FOREIGN) && !left.contains("414351767826"),
                "{left}"
            );
            Seen {
                run: told_of(&run, &case.mishap),
                next: told(&next),
            }
        }
    }
}

fn met(stage: &Stage, mishap: &Mishap, arguments: &[&str]) -> harness::Run {
    match mishap {
        Mishap::Fault(fault) => {
            stage.sandbox.inject(fault.clone());
            stage.workdir.run(arguments)
        }
        Mishap::Signal { signal, at } => signalled(stage, *signal, *at, arguments),
    }
}

fn mend(stage: &Stage) {
    stage.sandbox.with(|world| {
        world.faults.clear();
        // What hung comes to its end in the end.
        world
            .now
            .workspaces
            .values_mut()
            .filter_map(|workspace| workspace.update.as_mut())
            .for_each(|update| update.hangs = false);
    });
}

fn signalled(stage: &Stage, signal: Signal, at: Point, arguments: &[&str]) -> harness::Run {
    // An interrupt lets the request come to its end; a kill finds it under way.
    let length = if matches!(signal, Signal::KillProvider | Signal::KillTerraform) {
        60_000
    } else {
        1500
    };
    match at {
        Point::Before(operation) => stage.sandbox.inject(Fault::new(
            operation,
            Effect::Delay {
                milliseconds: length,
            },
        )),
        Point::After(operation) => stage.sandbox.inject(Fault::new(
            operation,
            Effect::DelayAfter {
                milliseconds: length,
            },
        )),
        // The update takes as long as it is watched.
        Point::Waiting => stage
            .sandbox
            .inject(Fault::new("PATCH /workspaces/", Effect::Hang)),
        Point::Settling => {}
    }
    // What set the stage does not count.
    stage.sandbox.with(|world| world.arrived.clear());
    let mut terraform = stage.workdir.begin(arguments);
    match at {
        Point::Before(operation) | Point::After(operation) => {
            assert!(
                stage.sandbox.has_been_asked(operation),
                "{operation} never came"
            );
            std::thread::sleep(Duration::from_millis(200));
        }
        Point::Waiting => {
            assert!(
                stage.sandbox.has_been_asked("PATCH /workspaces/"),
                "the keys were never attached"
            );
            std::thread::sleep(Duration::from_millis(600));
        }
        Point::Settling => assert!(is_settling(stage, &mut terraform), "the keys never settled"),
    }
    assert!(
        terraform.is_running(),
        "it ended before the signal came:\n{}",
        terraform.finish(&[]).shown()
    );
    let providers = terraform.providers();
    assert!(!providers.is_empty(), "the provider is not there");
    match signal {
        Signal::InterruptOnce => terraform.interrupt(),
        Signal::InterruptTwice => {
            terraform.interrupt();
            std::thread::sleep(Duration::from_millis(150));
            terraform.interrupt();
        }
        Signal::KillProvider => terraform.kill_providers(),
        Signal::KillTerraform => terraform.kill(),
    }
    // No process may outlive it, but the end may take a moment.
    terraform.finish(&providers)
}

/// The keys show three times in a row, and then they are watched: more lists than that say that they settle.
fn is_settling(stage: &Stage, terraform: &mut Background) -> bool {
    const LISTS: usize = 6;
    (0..30_000).any(|_| {
        let lists = stage.sandbox.with(|world| {
            let sent = world
                .arrived
                .iter()
                .position(|operation| operation.starts_with("PATCH"));
            sent.map_or(0, |sent| {
                world
                    .arrived
                    .iter()
                    .skip(sent)
                    .filter(|one| one.ends_with("/workspaces"))
                    .count()
            })
        });
        std::thread::sleep(Duration::from_millis(10));
        lists >= LISTS || !terraform.is_running()
    })
}

/// Another writer's binding in the IAM policy, which must be there in the end.
fn foreign_binding() -> Json {
    json!({ "role": google::ROLE, "members": ["user:ann@example.com"], "condition": {
        "title": "until", "expression": "request.time < timestamp(\"2030-01-01T00:00:00Z\")" } })
}

/// What holds of the policy of a key at every moment.
fn the_policy_is_whole(stage: &Stage, cloud: Cloud, key: &str) {
    if cloud == Cloud::Azure {
        let mut given: Vec<(String, String, String)> = stage.azure(|azure| {
            let field = |one: &Json, name: &str| {
                let value = &one["properties"][name];
                value.as_str().unwrap_or_default().to_ascii_lowercase()
            };
            azure
                .role_assignments
                .values()
                .map(|one| {
                    (
                        field(one, "scope"),
                        field(one, "roleDefinitionId"),
                        field(one, "principalId"),
                    )
                })
                .collect()
        });
        assert!(
            given
                .iter()
                .any(|(_, role, principal)| role.ends_with(FOREIGN_ROLE) && principal == ANN),
            "somebody else's role was touched: {given:?}"
        );
        let many = given.len();
        given.sort();
        given.dedup();
        assert_eq!(given.len(), many, "a role is given twice: {given:?}");
        let lost = stage.azure(|azure| azure.lost.clone());
        assert!(
            lost.is_empty(),
            "a field of the workspace was lost: {lost:?}"
        );
        return;
    }
    if cloud == Cloud::Google {
        let bindings = stage.google(|google| {
            google.policies[google::KEY].fields["bindings"]
                .as_array()
                .cloned()
                .unwrap_or_default()
        });
        assert!(
            bindings.contains(&foreign_binding()),
            "somebody else's binding was touched: {bindings:?}"
        );
        let mut members = stage.members(key, google::ROLE);
        let many = members.len();
        members.sort();
        members.dedup();
        assert_eq!(members.len(), many, "a member is there twice: {members:?}");
        return;
    }
    let text = stage.kms.policy(key);
    assert!(
        text.contains(FOREIGN),
        "somebody else's statement was touched:\n{text}"
    );
    let document = kms_policy::Document::parse(&text).expect("the policy is one");
    let mut sids: Vec<_> = document
        .statements
        .iter()
        .map(|statement| statement.sid.clone())
        .collect();
    sids.sort();
    sids.dedup();
    assert_eq!(
        sids.len(),
        document.statements.len(),
        "a statement is there twice:\n{text}"
    );
}

/// What holds at every moment, however a run ended.
fn nothing_twice_nothing_lost(stage: &Stage, cloud: Cloud, key: &str) {
    assert!(
        stage.configurations().len() <= 1,
        "a key configuration is there twice: {:?}",
        stage.configurations()
    );
    the_policy_is_whole(stage, cloud, key);
    // The state claims nothing that is not there.
    let ids: Vec<Json> = stage
        .configurations()
        .iter()
        .map(|one| one["customer_managed_key_id"].clone())
        .collect();
    let state =
        std::fs::read_to_string(stage.workdir.path().join("terraform.tfstate")).unwrap_or_default();
    let state: Json = serde_json::from_str(&state).unwrap_or_default();
    for resource in state["resources"].as_array().into_iter().flatten() {
        for instance in resource["instances"].as_array().into_iter().flatten() {
            assert_eq!(
                instance["status"],
                Json::Null,
                "{} is tainted and would be replaced",
                resource["type"]
            );
            if resource["type"] == "dbxcmk_key_configuration" && cloud != Cloud::Azure {
                assert!(
                    ids.contains(&instance["attributes"]["id"]),
                    "the state has a key configuration that is not there"
                );
            }
        }
    }
}

fn everything_is_there(stage: &Stage, cloud: Cloud, key: &str, next: &harness::Run) {
    assert!(next.success, "the next apply failed:\n{}", next.shown());
    nothing_twice_nothing_lost(stage, cloud, key);
    let mut addresses = stage.workdir.addresses();
    addresses.sort();
    assert_eq!(addresses, [CONFIGURATION, POLICY, BINDING]);
    if cloud == Cloud::Azure {
        assert_eq!(stage.arm_versions(), [VERSION, VERSION, VERSION]);
        let storage = stage.arm_text("/properties/storageAccountIdentity/principalId");
        let disks = stage.arm_text("/properties/managedDiskIdentity/principalId");
        for principal in [DATABRICKS, &storage, &disks] {
            assert!(stage.can_use(azure::OWN_VAULT, principal), "{principal}");
        }
        stage.workdir.empty_plan();
        return;
    }
    let configurations = stage.configurations();
    assert_eq!(configurations.len(), 1, "{configurations:?}");
    let id = configurations[0]["customer_managed_key_id"].clone();
    assert_eq!(stage.workdir.state(CONFIGURATION)["id"], id);
    for field in [
        "managed_services_customer_managed_key_id",
        "storage_customer_managed_key_id",
    ] {
        let workspace = match cloud == Cloud::Google {
            true => dbxcmk_sandbox::gcp::WORKSPACE,
            false => WORKSPACE,
        };
        assert_eq!(stage.workspace_field(workspace, field), id, "{field}");
    }
    // A storage key is set once, whatever happened.
    let patched = stage
        .sandbox
        .requests()
        .into_iter()
        .filter(|one| one.operation.starts_with("PATCH") && one.status == 200);
    let settings: Vec<Json> = patched
        .map(|one| one.body["storage_customer_managed_key_id"].clone())
        .collect();
    assert!(
        settings
            .iter()
            .all(|setting| *setting == id || setting.is_null()),
        "{settings:?}"
    );
    stage.workdir.empty_plan();
}

/// What the run that met the mishap came to. One that is interrupted twice ends wherever it is: what it still says is chance.
fn told_of(run: &harness::Run, mishap: &Mishap) -> String {
    match mishap {
        Mishap::Signal {
            signal: Signal::InterruptTwice | Signal::KillTerraform,
            ..
        } => "ends at once".to_owned(),
        Mishap::Signal { .. } => told(run),
        // How long a change takes on a busy machine is chance; that it takes long is said where somebody interrupts it.
        _ => told(run).replace(
            "; warns: *Another change of the key policy may have been overwritten*",
            "",
        ),
    }
}

/// What every plan says that attaches a key to a workspace on Google Cloud. It says nothing of a failure.
const NOT_DOCUMENTED: &str =
    "Databricks does not document the change of keys of an existing workspace on Google Cloud";

/// What a run reported, in a line: each diagnostic once, in an order that does not depend on which resource came first.
fn told(run: &harness::Run) -> String {
    let of = |severity: &str| -> BTreeSet<&str> {
        let own = |message: &&Message| {
            message.severity == severity
                && !message
                    .summary
                    .starts_with("Provider development overrides")
        };
        let all = run.messages.iter().filter(own);
        // Without the object that a warning names: its ID is another one in each run.
        all.map(|message| message.summary.split(": ").next().unwrap_or_default())
            .collect()
    };
    let joined = |all: &BTreeSet<&str>| {
        let all: Vec<&str> = all.iter().copied().collect();
        format!("*{}*", all.join("*, *"))
    };
    let (mut errors, mut warnings) = (of("error"), of("warning"));
    warnings.remove(NOT_DOCUMENTED);
    // Terraform has two words for a plugin that is gone; which one it uses depends on what the connection was doing.
    let is_gone =
        |summary: &&str| ["Plugin did not respond", "Request cancelled"].contains(summary);
    if errors.iter().any(is_gone) {
        errors = BTreeSet::from(["Plugin did not respond"]);
    }
    // Terraform's own words for an end that comes from outside say less than ours, where we have some.
    let is_outer = |summary: &&str| ["execution halted", "operation canceled"].contains(summary);
    if !errors.iter().all(is_outer) {
        errors.retain(|summary| !is_outer(summary));
    }
    let mut text = match (run.success, errors.is_empty()) {
        (true, _) => "done".to_owned(),
        (false, false) => format!("stops: {}", joined(&errors)),
        (false, true) => "ends at once".to_owned(),
    };
    if !warnings.is_empty() {
        text.push_str(&format!("; warns: {}", joined(&warnings)));
    }
    text
}
