//! The kill switch on Google Cloud: the command, the data source and the actions.

use std::process::{Command, Stdio};

use acceptance_tests::google::{KEY, resources};
use acceptance_tests::harness::providers::provider_binary;
use acceptance_tests::harness::terraform::has;
use acceptance_tests::stage::Stage;
use dbxcmk_sandbox::faults::{Effect, Fault};
use dbxcmk_sandbox::gcp::Version;
use serde_json::{Value as Json, json};

use crate::commands::{agrees_with_the_plan, came_to, interrupted};

fn command(stage: &Stage, arguments: &[&str]) -> Command {
    let mut command = Command::new(provider_binary());
    command
        .arg("key")
        .args(arguments)
        .args(["--format", "json"])
        .envs(stage.sandbox.environment())
        .env("HOME", stage.workdir.path())
        .stdin(Stdio::null());
    command
}

/// Runs the command: its exit code and its report.
fn key(stage: &Stage, arguments: &[&str]) -> (i32, Json) {
    came_to(&command(stage, arguments).output().unwrap())
}

const ID: &str = "3456789012345678";

/// A workspace that lives on a key with four versions, of which another owner has disabled the second and scheduled the third.
fn attached() -> Stage {
    let stage = Stage::on_google();
    stage.change_key(|key| {
        let version = |state: &str| Version {
            state: state.to_owned(),
            create_time: "2026-01-01T00:00:00Z".to_owned(),
            destroy_time: (state == "DESTROY_SCHEDULED").then(|| "2026-12-24T00:00:00Z".to_owned()),
        };
        key.versions = ["ENABLED", "DISABLED", "DESTROY_SCHEDULED", "ENABLED"]
            .map(version)
            .to_vec();
        key.primary = 4;
        key.fields
            .insert("labels".to_owned(), json!({ "team": "lakehouse" }));
    });
    stage.configure(&resources());
    stage.workdir.apply();
    stage
}

fn labels(stage: &Stage) -> Json {
    stage.google(|google| google.keys[KEY].fields["labels"].clone())
}

const BEFORE: [&str; 4] = ["ENABLED", "DISABLED", "DESTROY_SCHEDULED", "ENABLED"];

#[test]
fn what_was_there_before_is_given_back() {
    let stage = attached();
    let (code, report) = key(&stage, &["status", KEY]);
    assert_eq!((code, &report["state"]), (0, &json!("Enabled")));
    // Google lists nothing of what managed services encrypt: that is not a finding.
    assert_eq!(report["last_used"]["standing"], "not_known");
    let findings = report["findings"].to_string();
    assert!(!findings.contains("never-used"), "{findings}");
    let workspace = &report["impact"]["workspaces"][0];
    assert_eq!(workspace["workspace_id"], ID);
    let versions = report["versions"].as_array().unwrap();
    assert_eq!(versions.len(), 4);
    assert_eq!(versions[2]["deletion_date"], "2026-12-24T00:00:00Z");
    assert_eq!(
        (&versions[3]["is_current"], &versions[3]["state"]),
        (&json!(true), &json!("ENABLED"))
    );
    let stops = workspace["data_that_stops"].as_array().unwrap();
    assert!(stops.contains(&json!("persistent disks of classic compute")));

    let (code, report) = key(&stage, &["disable", KEY]);
    assert_eq!(code, 1, "without the acknowledgement: {report}");
    assert_eq!(stage.versions(), BEFORE);

    let (code, report) = key(&stage, &["disable", KEY, "--acknowledge", ID]);
    assert_eq!(
        (code, &report["state"]),
        (0, &json!("Disabled")),
        "{report}"
    );
    assert_eq!(
        stage.versions(),
        ["DISABLED", "DISABLED", "DESTROY_SCHEDULED", "DISABLED"]
    );
    assert_eq!(labels(&stage)["dbxcmk-before"], "d2_s3");
    assert_eq!(labels(&stage)["team"], "lakehouse");
    let notes = report["notes"].to_string();
    assert!(
        notes.contains("exceptionally for up to 3 hours")
            && notes.contains("rotated automatically"),
        "{notes}"
    );
    // Said twice is done once.
    let (code, report) = key(&stage, &["disable", KEY, "--acknowledge", ID]);
    assert_eq!((code, &report["changed"]), (0, &json!(false)));
    let (_, report) = key(&stage, &["status", KEY]);
    assert!(report["disabled_since"].as_str().unwrap().ends_with('Z'));

    // What was written with the versions that stay away cannot be read.
    let (code, report) = key(&stage, &["restore", KEY, "--wait", "30s"]);
    assert_eq!((code, &report["state"]), (4, &json!("Enabled")), "{report}");
    let found = &report["findings"][0];
    assert_eq!(
        (&found["id"], &found["severity"]),
        (&json!("gcp-key-versions"), &json!("error"))
    );
    let remedy = found["remedy"].as_str().unwrap();
    assert!(
        remedy.contains("gcloud kms keys versions restore 3"),
        "{remedy}"
    );
    let (_, report) = key(&stage, &["status", KEY]);
    let next = report["next"].as_str().unwrap();
    assert!(
        next.ends_with(&format!("restore {KEY} --enable-anyway")),
        "{next}"
    );
    assert_eq!(stage.versions(), BEFORE);
    assert_eq!(labels(&stage), json!({ "team": "lakehouse" }));
}

#[test]
fn a_scheduled_destruction_is_taken_back() {
    let stage = attached();
    let order = |days: Option<&'static str>| {
        let mut all = vec!["disable", KEY, "--acknowledge", ID, "--schedule-deletion"];
        all.extend(days);
        all.push("--skip-hold");
        all
    };
    let (code, report) = key(&stage, &order(Some("30"))[..6]);
    assert_eq!(code, 1);
    assert!(
        report["errors"].to_string().contains("hold period"),
        "{report}"
    );
    let (code, report) = key(&stage, &order(Some("7")));
    assert_eq!(code, 1);
    assert!(
        report["errors"][0]["detail"]
            .as_str()
            .unwrap()
            .contains("which is 2592000s for"),
        "{report}"
    );
    assert_eq!(stage.versions(), BEFORE);
    let (code, report) = key(&stage, &order(Some("30")));
    assert_eq!(
        (code, &report["state"]),
        (0, &json!("PendingDeletion")),
        "{report}"
    );
    assert!(report["deletion_date"].is_string());
    assert_eq!(stage.versions(), ["DESTROY_SCHEDULED"; 4]);
    let (code, _) = key(&stage, &["restore", KEY]);
    assert_eq!(code, 4, "what was away before stays so");
    assert_eq!(stage.versions(), BEFORE);
    // The window of the key counts by itself.
    let (code, _) = key(&stage, &order(None));
    assert_eq!(code, 0);
    // When it is over, nothing brings them back.
    stage.change_key(|key| {
        for version in &mut key.versions {
            version.state = "DESTROYED".to_owned();
        }
    });
    let (code, report) = key(&stage, &["restore", KEY]);
    assert_eq!(code, 1);
    assert!(
        report["errors"][0]["detail"]
            .as_str()
            .unwrap()
            .contains("Nothing brings them back"),
        "{report}"
    );
}

/// A version that others disabled stays disabled, unless the user asks for it.
#[test]
fn what_others_disabled_is_theirs() {
    let stage = attached();
    stage.change_key(|key| {
        for version in &mut key.versions {
            version.state = "DISABLED".to_owned();
        }
    });
    let (code, report) = key(&stage, &["restore", KEY]);
    assert_eq!(code, 1);
    assert!(
        report["errors"][0]["detail"]
            .as_str()
            .unwrap()
            .contains("the key has no label `dbxcmk-before`"),
        "{report}"
    );
    let (code, _) = key(&stage, &["restore", KEY, "--enable-anyway"]);
    assert_eq!(code, 0);
    assert_eq!(stage.versions(), ["ENABLED"; 4]);
    // Without the right to write labels it goes on, and says so.
    stage.google(|google| {
        google
            .denied
            .insert("cloudkms.cryptoKeys.update".to_owned())
    });
    let (code, report) = key(&stage, &["disable", KEY, "--acknowledge", ID]);
    assert_eq!(code, 0);
    assert!(report["notes"].to_string().contains("--enable-anyway"));
    assert_eq!(stage.versions(), ["DISABLED"; 4]);
}

/// Another owner had disabled the primary version: what this provider disabled is back, and the exit code says that it is not all. A disable
/// that did not happen leaves no label, whether Cloud KMS refuses it or a person interrupts it; the error names the version at which it
/// stopped.
#[test]
fn what_is_not_all_is_said() {
    let stage = attached();
    stage.change_key(|key| key.versions[3].state = "DISABLED".to_owned());
    let (code, report) = key(&stage, &["disable", KEY, "--acknowledge", ID]);
    assert_eq!(code, 0, "{report}");
    let (code, report) = key(&stage, &["restore", KEY]);
    assert_eq!(
        (code, &report["changed"], &report["state"]),
        (4, &json!(true), &json!("Disabled")),
        "{report}"
    );
    assert_eq!(
        stage.versions(),
        ["ENABLED", "DISABLED", "DESTROY_SCHEDULED", "DISABLED"]
    );
    assert_eq!(labels(&stage), json!({ "team": "lakehouse" }));
    let notes = report["notes"].to_string();
    assert!(
        notes.contains("version 4 (DISABLED)") && notes.contains("2026-12-24T00:00:00Z"),
        "{notes}"
    );
    assert_eq!(report["impact"]["workspaces"][0]["workspace_id"], ID);
    let found = agrees_with_the_plan(&stage, &report);
    assert!(found.contains(&"gcp-key-primary".to_owned()), "{found:?}");

    stage.change_key(|key| key.versions[3].state = "ENABLED".to_owned());
    let first = "PATCH cryptoKeyVersions/1";
    stage
        .sandbox
        .inject(Fault::new(first, Effect::status(403)).times(9));
    let order = ["disable", KEY, "--acknowledge", ID];
    let (code, report) = key(&stage, &order);
    assert_eq!(code, 3);
    let errors = report["errors"].to_string();
    assert!(
        errors.contains("could not disable version 1") && errors.contains("was removed again"),
        "{errors}"
    );
    assert_eq!(labels(&stage), json!({ "team": "lakehouse" }));
    // A disable that is half done does not look done, and "too many calls" is not a lost answer.
    stage.sandbox.with(|world| world.faults.clear());
    stage.change_key(|key| key.primary = 1);
    let last = Fault::new("PATCH cryptoKeyVersions/4", Effect::status(429));
    stage.sandbox.inject(last.times(99));
    let (code, report) = key(&stage, &order);
    assert_eq!(
        (code, &report["state"]),
        (3, &json!("PartlyDisabled")),
        "{report}"
    );
    assert!(
        report["errors"].to_string().contains("Too Many Requests"),
        "{report}"
    );
    assert!(
        !report["errors"].to_string().contains("was lost"),
        "{report}"
    );
    let (_, report) = key(&stage, &["status", KEY]);
    let next = report["next"].as_str().unwrap();
    assert!(next.contains("key disable"), "{report}");
    assert_eq!(report["state"], "PartlyDisabled", "{report}");
    key(&stage, &["restore", KEY]);
    assert_eq!(stage.versions(), BEFORE);
    stage.change_key(|key| key.primary = 4);
    stage.sandbox.with(|world| {
        world.faults.clear();
        world.arrived.clear();
    });
    let milliseconds = 600_000;
    stage
        .sandbox
        .inject(Fault::new(first, Effect::Delay { milliseconds }));
    let (code, report) = interrupted(&stage, command(&stage, &order), first, "-INT");
    assert_eq!(
        (code, &report["state"]),
        (130, &json!("Enabled")),
        "{report}"
    );
    // The call has been sent, and may still take effect: a restore needs to know what was there.
    let left = labels(&stage);
    assert_eq!(left["dbxcmk-before"], "d2_s3", "{left}");
    let errors = report["errors"].to_string();
    assert!(errors.contains("may still take effect"), "{errors}");
    assert_eq!(stage.versions(), BEFORE);
}

/// Each row: a fault in the middle. The same command again ends as ordered, and restoring gives back what was there.
#[test]
fn faults_and_kills_in_the_middle_lose_nothing() {
    let version = |number: u8| format!("PATCH cryptoKeyVersions/{number}");
    let milliseconds = 60_000;
    for (operation, effect) in [
        (version(1), Effect::status(403)),
        (version(4), Effect::status(403)),
        (version(4), Effect::DropAfter),
        (version(1), Effect::Delay { milliseconds }),
        (version(4), Effect::DelayAfter { milliseconds }),
        (
            "PATCH cryptoKeys/main".to_owned(),
            Effect::DelayAfter { milliseconds },
        ),
    ] {
        let stage = attached();
        stage.sandbox.with(|world| world.arrived.clear());
        let is_kill = matches!(effect, Effect::Delay { .. } | Effect::DelayAfter { .. });
        stage.sandbox.inject(Fault::new(&operation, effect.clone()));
        let order = ["disable", KEY, "--acknowledge", ID];
        if is_kill {
            let mut child = command(&stage, &order)
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            assert!(stage.sandbox.has_been_asked(&operation), "{operation}");
            child.kill().unwrap();
            child.wait().unwrap();
        } else {
            key(&stage, &order);
        }
        stage.sandbox.with(|world| world.faults.clear());
        let (code, report) = key(&stage, &order);
        assert_eq!(
            (code, &report["state"]),
            (0, &json!("Disabled")),
            "{operation} {effect:?}: {report}"
        );
        let (code, _) = key(&stage, &["restore", KEY]);
        assert_eq!(code, 4, "as before, versions are away");
        assert_eq!(stage.versions(), BEFORE, "{operation} {effect:?}");
    }
}

#[test]
fn the_impact_is_a_data_source_and_the_switch_an_action() {
    if !has("actions", (1, 14)) {
        return;
    }
    let stage = attached();
    let actions = format!(
        r#"{}
data "dbxcmk_revocation_impact" "x" {{
  gcp = {{
    kms_key_id = "{KEY}"
  }}
  depends_on = [dbxcmk_workspace_binding.prod]
}}

action "dbxcmk_disable_key" "x" {{
  config {{
    gcp = {{
      kms_key_id = "{KEY}"
    }}
    acknowledged_workspace_ids = ["{ID}"]
  }}
}}

action "dbxcmk_schedule_key_deletion" "x" {{
  config {{
    gcp = {{
      kms_key_id = "{KEY}"
    }}
    acknowledged_workspace_ids = ["{ID}"]
    skip_hold                  = true
  }}
}}

action "dbxcmk_restore_key" "x" {{
  config {{
    gcp = {{
      kms_key_id = "{KEY}"
    }}
    wait_for_workspaces = "30s"
  }}
}}
"#,
        resources()
    );
    stage.configure(&actions);
    stage.workdir.apply();
    let impact = stage.workdir.state("data.dbxcmk_revocation_impact.x");
    assert_eq!(impact["acknowledgement"], json!([ID]));
    let invoke = |action: &str| {
        let run = stage.workdir.run(&[
            "apply",
            "-json",
            "-input=false",
            "-auto-approve",
            &format!("-invoke=action.{action}.x"),
        ]);
        assert!(run.success, "{}", run.shown());
    };
    invoke("dbxcmk_disable_key");
    assert_eq!(stage.versions()[3], "DISABLED");
    invoke("dbxcmk_restore_key");
    assert_eq!(stage.versions(), BEFORE);
    invoke("dbxcmk_schedule_key_deletion");
    assert_eq!(stage.versions(), ["DESTROY_SCHEDULED"; 4]);
    invoke("dbxcmk_restore_key");
    assert_eq!(stage.versions(), BEFORE);
}

/// Where the answers are lost and the versions change all the same, the order continues, and reports nothing false.
#[test]
fn a_lost_answer_hides_nothing() {
    let stage = attached();
    let garbled = || {
        stage
            .sandbox
            .inject(Fault::new("PATCH cryptoKeyVersions", Effect::Garble).times(30));
    };
    garbled();
    let (code, report) = key(&stage, &["disable", KEY, "--acknowledge", ID]);
    assert_eq!((code, &report["changed"]), (0, &json!(true)), "{report}");
    let versions = ["DISABLED", "DISABLED", "DESTROY_SCHEDULED", "DISABLED"];
    assert_eq!(stage.versions(), versions);
    garbled();
    // What was away before stays so.
    let (code, report) = key(&stage, &["restore", KEY]);
    assert_eq!((code, &report["changed"]), (4, &json!(true)), "{report}");
    assert_eq!(stage.versions(), BEFORE);
    let text = report.to_string();
    assert!(!text.contains("Nothing was changed") && !text.contains("did not finish"));
}
