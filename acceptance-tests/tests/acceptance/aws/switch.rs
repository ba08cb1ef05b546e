//! The kill switch: the command, the data source and the actions.

use std::process::{Command, Stdio};

use acceptance_tests::harness::providers::provider_binary;
use acceptance_tests::harness::{checkout, terraform};
use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::stage::{Over, Stage, over_both};
use dbxcmk_sandbox::WORKSPACE;
use dbxcmk_sandbox::faults::{Effect, Fault};
use serde_json::{Value as Json, json};

use crate::commands::{agrees_with_the_plan, came_to, interrupted};

over_both! {
    a_key_is_taken_away_and_given_back,
    a_deletion_is_taken_back,
}

/// The command, in an environment without Terraform.
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

fn error(report: &Json) -> String {
    let one = &report["errors"][0];
    format!(
        "{}: {}",
        one["summary"].as_str().unwrap_or_default(),
        one["detail"].as_str().unwrap_or_default()
    )
}

/// A workspace that lives on a key.
fn attached(over: Over) -> (Stage, String) {
    let stage = Stage::new(over);
    let key = stage.good_key();
    stage.configure(&format!(
        r#"
resource "dbxcmk_key_configuration" "lakehouse" {{
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  aws = {{
    key_arn                       = "{key}"
    reuse_key_for_cluster_volumes = false
  }}
}}

resource "dbxcmk_workspace_binding" "prod" {{
  workspace_id                          = "{WORKSPACE}"
  managed_services_key_configuration_id = dbxcmk_key_configuration.lakehouse.id
  storage_key_configuration_id          = dbxcmk_key_configuration.lakehouse.id
  settle_time                           = "0s"
}}
"#
    ));
    stage.workdir.apply();
    (stage, key)
}

const ID: &str = "1234567890123456";
const TAG: &str = "dbxcmk:disabled";

fn tag(stage: &Stage, key: &str) -> Option<String> {
    let tags = stage.kms.call("ListResourceTags", &json!({ "KeyId": key }));
    let tags = tags["Tags"].as_array().unwrap().clone();
    let own = tags.iter().find(|tag| tag["TagKey"] == TAG);
    own.map(|tag| tag["TagValue"].as_str().unwrap().to_owned())
}

/// A key that workspaces have, and that was never used, is a warning. A caller who may not read the last use learns which right is missing, and
/// nothing else changes.
#[test]
fn a_key_that_was_never_used_is_found() {
    let (stage, arn) = attached(Over::Sandbox);
    let status = || {
        stage.sandbox.with(|world| world.record.clear());
        let (code, report) = key(&stage, &["status", &arn]);
        assert_eq!(code, 0, "{report}");
        assert_eq!(stage.asked("KMS GetKeyLastUsage").len(), 1);
        report
    };
    // Databricks used it for the attach.
    let report = status();
    assert_eq!(report["last_used"]["standing"], "used");
    assert_eq!(report["findings"], json!([]));
    stage.sandbox.with(|world| world.now.last_uses.clear());
    let report = status();
    assert_eq!(report["last_used"]["standing"], "never_used");
    let finding = &report["findings"][0];
    assert_eq!(
        (&finding["id"], &finding["severity"]),
        (&json!("kms-key-never-used"), &json!("warning"))
    );
    let found = finding["found"].as_str().unwrap();
    assert!(
        found.contains(&format!("{ID} (\"lakehouse-prod\")")),
        "{found}"
    );
    let remedy = finding["remedy"].as_str().unwrap();
    assert!(remedy.contains("Do not delete the key"), "{remedy}");
    let denied = Effect::aws("AccessDeniedException", "not authorized");
    stage
        .sandbox
        .inject(Fault::new("KMS GetKeyLastUsage", denied));
    let report = status();
    assert_eq!(report["last_used"]["permission"], "kms:GetKeyLastUsage");
    assert_eq!(report["findings"], json!([]));
}

fn a_key_is_taken_away_and_given_back(over: Over) {
    let (stage, arn) = attached(over);
    let (code, report) = key(&stage, &["status", &arn]);
    assert_eq!((code, &report["state"]), (0, &json!("Enabled")));
    assert_eq!(report["findings"], json!([]));
    let workspace = &report["impact"]["workspaces"][0];
    assert_eq!(workspace["workspace_id"], ID);
    assert_eq!(
        workspace["use_cases"],
        json!(["MANAGED_SERVICES", "STORAGE"])
    );
    assert!(
        workspace["data_that_stops"]
            .as_array()
            .unwrap()
            .contains(&json!("notebooks"))
    );

    // Each row: what is acknowledged, and what the refusal says.
    for (given, said) in [
        (&[][..], format!("  - {ID} (\"lakehouse-prod\")")),
        (&["1"][..], "does not see that they use".to_owned()),
        (&[ID, "1"][..], "does not see that they use".to_owned()),
    ] {
        let mut arguments = vec!["disable", &arn];
        for id in given {
            arguments.extend(["--acknowledge", *id]);
        }
        let (code, report) = key(&stage, &arguments);
        assert_eq!(code, 1, "{given:?}");
        let error = error(&report);
        assert!(
            error.contains(&said) && error.contains(&format!("--acknowledge {ID}")),
            "{given:?}: {error}"
        );
        assert_eq!(stage.kms.state(&arn), "Enabled", "{given:?}");
    }

    let (code, report) = key(&stage, &["disable", &arn, "--dry-run"]);
    assert_eq!((code, &report["dry_run"]), (0, &json!(true)));
    assert!(
        report["next"]
            .as_str()
            .unwrap()
            .ends_with(&format!("--acknowledge {ID}"))
    );
    assert_eq!(stage.kms.state(&arn), "Enabled");

    let disable = ["disable", &arn, "--acknowledge", ID];
    let (code, report) = key(&stage, &disable);
    assert_eq!(
        (code, &report["state"], &report["changed"]),
        (0, &json!("Disabled"), &json!(true))
    );
    assert_eq!(stage.kms.state(&arn), "Disabled");
    let since = tag(&stage, &arn);
    assert!(since.is_some());
    let (code, report) = key(&stage, &disable);
    assert_eq!((code, &report["changed"]), (0, &json!(false)));
    assert_eq!(tag(&stage, &arn), since);

    let (code, report) = key(&stage, &["restore", &arn, "--wait", "1m"]);
    assert_eq!(
        (code, &report["state"], &report["findings"]),
        (0, &json!("Enabled"), &json!([]))
    );
    assert_eq!(stage.kms.state(&arn), "Enabled");
    assert_eq!(tag(&stage, &arn), None);
    let (code, report) = key(&stage, &["restore", &arn]);
    assert_eq!((code, &report["changed"]), (0, &json!(false)));
}

fn a_deletion_is_taken_back(over: Over) {
    let (stage, arn) = attached(over);
    let schedule = ["disable", &arn, "--acknowledge", ID, "--schedule-deletion"];
    // An enabled key in use is disabled first: the hold period.
    let (code, report) = key(&stage, &[&schedule[..], &["7"]].concat());
    assert_eq!((code, &report["state"]), (1, &json!("Enabled")));
    let refusal = error(&report);
    assert!(
        refusal.contains("hold period") && refusal.contains("--skip-hold"),
        "{refusal}"
    );
    let (code, report) = key(&stage, &[&schedule[..], &["7", "--skip-hold"]].concat());
    assert_eq!((code, &report["state"]), (0, &json!("PendingDeletion")));
    assert!(report["deletion_date"].is_string());
    // The window of a deletion that is scheduled stays.
    let (code, again) = key(&stage, &[&schedule[..], &["30"]].concat());
    assert_eq!(
        (code, &again["changed"], &again["deletion_date"]),
        (0, &json!(false), &report["deletion_date"])
    );
    assert!(again["notes"].to_string().contains("was not applied"));
    // The status and the plan ask the same judge.
    let (_, status) = key(&stage, &["status", &arn]);
    assert_eq!(
        (&status["findings"][0]["id"], &status["deletion_date"]),
        (&json!("kms-key-pending-deletion"), &report["deletion_date"])
    );
    let run = stage.workdir.plan().run;
    let warning = run.warning("The key is scheduled for deletion");
    assert!(
        warning.detail.contains(&format!("key restore {arn}"))
            && warning.detail.contains("Until 2"),
        "{}",
        warning.detail
    );
    let (code, report) = key(&stage, &["restore", &arn]);
    assert_eq!((code, &report["state"]), (0, &json!("Enabled")));
    assert_eq!(tag(&stage, &arn), None);
}

/// A key that others disabled stays disabled, unless the user insists; a deletion can always be cancelled.
#[test]
fn a_key_that_others_disabled_stays_disabled() {
    let (stage, arn) = attached(Over::Sandbox);
    stage.kms.call("DisableKey", &json!({ "KeyId": arn }));
    // A user who disables the key now learns that a restore will need more.
    for arguments in [
        &["disable", &arn, "--acknowledge", ID][..],
        &["status", &arn],
    ] {
        let (code, report) = key(&stage, arguments);
        assert_eq!((code, &report["changed"]), (0, &json!(false)));
        let notes = report["notes"].to_string();
        let others = notes.contains("did not disable the key")
            || notes.contains("another person or tool disabled the key");
        assert!(
            others && notes.contains("--enable-anyway"),
            "{arguments:?}: {notes}"
        );
    }
    let (code, report) = key(&stage, &["restore", &arn]);
    assert_eq!(code, 1);
    assert!(error(&report).contains("--enable-anyway"), "{report}");
    assert_eq!(stage.kms.state(&arn), "Disabled");

    stage
        .kms
        .call("ScheduleKeyDeletion", &json!({ "KeyId": arn }));
    let (code, report) = key(&stage, &["restore", &arn]);
    assert_eq!((code, &report["state"]), (4, &json!("Disabled")));
    assert!(report["notes"].to_string().contains("stays disabled"));
    let (code, report) = key(&stage, &["restore", &arn, "--enable-anyway"]);
    assert_eq!((code, &report["state"]), (0, &json!("Enabled")));
}

/// Without the Databricks account the provider does not know what stops: it takes the key away all the same for a user who says so.
#[test]
fn without_the_account_the_impact_is_not_known() {
    let (stage, arn) = attached(Over::Sandbox);
    let lost = |arguments: &[&str]| {
        let output = command(&stage, arguments)
            .env("DATABRICKS_CLIENT_SECRET", "wrong")
            .output()
            .unwrap();
        came_to(&output)
    };
    // Nothing was proven.
    let (code, report) = lost(&["status", &arn]);
    assert_eq!((code, &report["state"]), (3, &json!("Enabled")));
    assert!(report["impact"].is_null() && report["impact_unknown"]["summary"].is_string());
    let (code, report) = lost(&["disable", &arn]);
    assert_eq!(code, 1);
    assert!(error(&report).contains("--without-impact"), "{report}");
    assert_eq!(stage.kms.state(&arn), "Enabled");
    let schedule = ["disable", &arn, "--without-impact", "--schedule-deletion"];
    let (code, report) = lost(&schedule);
    assert_eq!(code, 1);
    assert!(error(&report).contains("perhaps in use"), "{report}");
    let (code, report) = lost(&["disable", &arn, "--without-impact"]);
    assert_eq!((code, &report["state"]), (0, &json!("Disabled")));
    let (code, report) = lost(&["restore", &arn]);
    assert_eq!((code, &report["state"]), (0, &json!("Enabled")));
    assert!(report["notes"].to_string().contains("was not examined"));
    // Where the account can be read, what stops is known.
    let (code, _) = key(&stage, &["disable", &arn, "--without-impact"]);
    assert_eq!(code, 1);
    assert_eq!(stage.kms.state(&arn), "Enabled");
}

/// Taking the key away does not wait for the right to tag.
#[test]
fn without_the_right_to_tag_it_goes_on_and_says_so() {
    let (stage, arn) = attached(Over::Sandbox);
    let denied = || Effect::aws("AccessDeniedException", "not authorized");
    stage
        .sandbox
        .inject(Fault::new("KMS TagResource", denied()));
    let (code, report) = key(&stage, &["disable", &arn, "--acknowledge", ID]);
    assert_eq!((code, &report["state"]), (0, &json!("Disabled")));
    assert!(report["notes"].to_string().contains("--enable-anyway"));
    // The command that is printed is one that works.
    let next = report["next"].as_str().unwrap();
    assert!(next.ends_with("--enable-anyway"), "{next}");
    let (code, _) = key(&stage, &["restore", &arn]);
    assert_eq!(code, 1);
    // Who disabled it is not known where the tags are not.
    for arguments in [["status", arn.as_str()], ["restore", arn.as_str()]] {
        let fault = Fault::new("KMS ListResourceTags", denied());
        stage.sandbox.inject(fault.times(9));
        let (_, report) = key(&stage, &arguments);
        stage.sandbox.with(|world| world.faults.clear());
        let text = report.to_string();
        assert!(
            text.contains("is not known") && text.contains("to call kms:ListResourceTags"),
            "{text}"
        );
        assert!(!text.contains("did not disable"), "{text}");
    }
    let (code, _) = key(&stage, &["restore", &arn, "--enable-anyway"]);
    assert_eq!(code, 0);
}

/// A read that shows what was before keeps no key from being taken away.
#[test]
fn a_late_read_is_not_believed() {
    let (stage, arn) = attached(Over::Sandbox);
    let late = |times| {
        stage.kms.call("DisableKey", &json!({ "KeyId": arn }));
        stage.kms.call("EnableKey", &json!({ "KeyId": arn }));
        let fault = Fault::new("KMS DescribeKey", Effect::StaleRead);
        stage.sandbox.inject(fault.times(times));
    };
    let schedule = ["--schedule-deletion", "7", "--skip-hold"];
    for (more, state) in [(&[][..], "Disabled"), (&schedule[..], "PendingDeletion")] {
        late(2);
        let order = [&["disable", &arn, "--acknowledge", ID][..], more].concat();
        let (code, report) = key(&stage, &order);
        stage.sandbox.with(|world| world.faults.clear());
        assert_eq!(
            (code, stage.kms.state(&arn).as_str()),
            (0, state),
            "{report}"
        );
        let next = report["next"].as_str().unwrap();
        assert!(
            next.ends_with("--enable-anyway") || !more.is_empty(),
            "{report}"
        );
        let (code, report) = key(&stage, &["restore", &arn, "--enable-anyway"]);
        assert_eq!(code, 0, "{report}");
    }
    // "Too many calls" is not a lost answer.
    let fault = Effect::aws("ThrottlingException", "Rate exceeded");
    stage
        .sandbox
        .inject(Fault::new("KMS DisableKey", fault).times(30));
    let (code, report) = key(&stage, &["disable", &arn, "--acknowledge", ID]);
    stage.sandbox.with(|world| world.faults.clear());
    assert_eq!((code, &report["state"]), (3, &json!("Enabled")));
    assert!(!error(&report).contains("was lost"), "{report}");
    assert_eq!(tag(&stage, &arn), None);
}

/// Each row: the mishap, the order, the exit codes that are right, and the state afterwards. Whatever happens, the report says the true
/// state, and the same command again ends as ordered.
#[test]
fn a_fault_in_the_middle_loses_nothing() {
    let throttled = || Effect::aws("ThrottlingException", "Rate exceeded");
    let expired = || Effect::aws("ExpiredTokenException", "The security token is expired");
    let rows: [(&str, Fault, &[i32]); 9] = [
        (
            "throttled once",
            Fault::new("KMS DisableKey", throttled()),
            &[0],
        ),
        (
            "throttled for long",
            Fault::new("KMS DisableKey", throttled()).times(20),
            &[3],
        ),
        (
            "500 once",
            Fault::new("KMS DisableKey", Effect::status(500)),
            &[0],
        ),
        (
            "500 for long",
            Fault::new("KMS DisableKey", Effect::status(500)).times(20),
            &[3],
        ),
        (
            "the answer is lost",
            Fault::new("KMS DisableKey", Effect::DropAfter),
            &[0],
        ),
        (
            "the tag is lost",
            Fault::new("KMS TagResource", Effect::DropAfter),
            &[0],
        ),
        (
            "expired before the tag",
            Fault::new("KMS TagResource", expired()).times(20),
            &[0],
        ),
        (
            "expired before the key is disabled",
            Fault::new("KMS DisableKey", expired()).times(20),
            &[3],
        ),
        (
            "an old read",
            Fault::new("KMS DescribeKey", Effect::StaleRead).times(3),
            &[0],
        ),
    ];
    for (what, fault, codes) in rows {
        let (stage, arn) = attached(Over::Sandbox);
        stage.sandbox.inject(fault);
        let order = ["disable", &arn, "--acknowledge", ID];
        let (code, report) = key(&stage, &order);
        assert!(codes.contains(&code), "{what}: {code} {report}");
        assert_eq!(report["state"], stage.kms.state(&arn), "{what}");
        if code != 0 {
            assert!(
                error(&report).contains("Done so far") || error(&report).contains("Nothing was"),
                "{what}: {report}"
            );
        }
        stage.sandbox.with(|world| world.faults.clear());
        let (code, report) = key(&stage, &order);
        assert_eq!((code, &report["state"]), (0, &json!("Disabled")), "{what}");
        let (code, report) = key(&stage, &["restore", &arn, "--enable-anyway"]);
        assert_eq!((code, &report["state"]), (0, &json!("Enabled")), "{what}");
    }
}

/// Another writer reverts the change as soon as KMS has accepted it: the provider makes it again, tag and all.
#[test]
fn what_somebody_else_takes_back_is_done_again() {
    let (stage, arn) = attached(Over::Sandbox);
    stage.sandbox.inject(Fault::new(
        "KMS DisableKey",
        Effect::Status {
            status: 200,
            body: "{}".to_owned(),
            content_type: Some("application/x-amz-json-1.1".to_owned()),
            retry_after: None,
        },
    ));
    let (code, report) = key(&stage, &["disable", &arn, "--acknowledge", ID]);
    assert_eq!((code, &report["state"]), (0, &json!("Disabled")));
    assert_eq!(stage.asked("KMS DisableKey").len(), 2);
    assert_eq!(stage.asked("KMS TagResource").len(), 2);
    let notes = report["notes"].to_string();
    assert!(
        notes.contains("Somebody else may have changed it"),
        "{notes}"
    );
}

/// Killed at each step: the key is in one of the states that a step leaves, and the same command again ends as ordered.
#[test]
fn a_kill_at_each_step_loses_nothing() {
    let disable = |arn: &str| {
        vec![
            "disable".to_owned(),
            arn.to_owned(),
            "--acknowledge".to_owned(),
            ID.to_owned(),
        ]
    };
    for (operation, is_restoring) in [
        ("KMS TagResource", false),
        ("KMS DisableKey", false),
        ("KMS EnableKey", true),
        ("KMS UntagResource", true),
    ] {
        for is_done in [false, true] {
            let (stage, arn) = attached(Over::Sandbox);
            let order = if is_restoring {
                let before = disable(&arn);
                let before: Vec<&str> = before.iter().map(String::as_str).collect();
                assert_eq!(key(&stage, &before).0, 0);
                vec!["restore".to_owned(), arn.clone()]
            } else {
                disable(&arn)
            };
            let order: Vec<&str> = order.iter().map(String::as_str).collect();
            let milliseconds = 600_000;
            stage.sandbox.inject(Fault::new(
                operation,
                if is_done {
                    Effect::DelayAfter { milliseconds }
                } else {
                    Effect::Delay { milliseconds }
                },
            ));
            let mut child = command(&stage, &order)
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            assert!(stage.sandbox.has_been_asked(operation), "{operation}");
            child.kill().unwrap();
            child.wait().unwrap();
            stage.sandbox.with(|world| world.faults.clear());
            let state = stage.kms.state(&arn);
            assert!(["Enabled", "Disabled"].contains(&state.as_str()), "{state}");
            let (code, report) = key(&stage, &order);
            let wanted = if is_restoring { "Enabled" } else { "Disabled" };
            assert_eq!(
                (code, &report["state"]),
                (0, &json!(wanted)),
                "{operation} {is_done}"
            );
            let (code, _) = key(&stage, &["restore", &arn]);
            assert_eq!(
                code, 0,
                "{operation} {is_done}: what was ours is known as ours"
            );
            assert_eq!(tag(&stage, &arn), None, "{operation} {is_done}");
        }
    }
}

/// One takes the key away while another gives it back: each says the state that it saw last, and the key is in one of the two.
#[test]
fn two_people_at_once() {
    let (stage, arn) = attached(Over::Sandbox);
    for _ in 0..5 {
        let spawn = |arguments: &[&str]| {
            command(&stage, arguments)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        };
        let one = spawn(&["disable", &arn, "--acknowledge", ID]);
        let other = spawn(&["restore", &arn, "--enable-anyway"]);
        for (child, wanted) in [(one, "Disabled"), (other, "Enabled")] {
            let output = child.wait_with_output().unwrap();
            let report: Json = serde_json::from_slice(&output.stdout).unwrap();
            match output.status.code() {
                Some(0) => assert_eq!(report["state"], wanted),
                Some(3) => assert!(!report["errors"].as_array().unwrap().is_empty()),
                // The other one came between the restore and the proof after it, which finds the key disabled.
                Some(4) => assert_eq!(report["findings"][0]["id"], "kms-key-disabled", "{report}"),
                other => panic!("{other:?}: {report}"),
            }
        }
        let state = stage.kms.state(&arn);
        assert!(["Enabled", "Disabled"].contains(&state.as_str()), "{state}");
        assert_eq!(key(&stage, &["restore", &arn, "--enable-anyway"]).0, 0);
        assert_eq!(stage.kms.state(&arn), "Enabled");
    }
}

/// A key that does not exist, and arguments that are none.
#[test]
fn what_is_no_key_is_said() {
    let stage = Stage::new(Over::Sandbox);
    let gone = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let (code, report) = key(&stage, &["status", gone]);
    assert_eq!(code, 3);
    assert!(error(&report).contains("KMS has no key"), "{report}");
    for no_key in [
        "arn:aws:s3:::bucket",
        "//cloudkms.googleapis.com/projects/p/locations/l/keyRings/r/cryptoKeys/k",
        "https://acme.vault.azure.net/keys/main/0123456789abcdef0123456789abcdef",
        "alias/nobody",
    ] {
        let (code, report) = key(&stage, &["status", no_key, "--region", "eu-central-1"]);
        assert_eq!(code, 2, "{report}");
        let error = error(&report);
        assert!(
            error.contains("Not a key") && !error.contains(".."),
            "{error}"
        );
    }
    for wrong in [
        &["disable", gone, "--schedule-deletion", "6"][..],
        &["disable", gone, "--schedule-deletion", "31"],
        &["disable", gone, "--without-impact", "--acknowledge", "1"],
        &["restore", gone, "--wait", "soon"],
        &["toggle", gone],
    ] {
        let output = command(&stage, wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
    let output = command(&stage, &["disable", gone, "--schedule-deletion", "thirty"]).output();
    let output = output.unwrap();
    let shown = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        shown.contains("not a whole number of days") && !shown.contains("invalid digit"),
        "{shown}"
    );
    assert_eq!(stage.asked("KMS DisableKey").len(), 0);
}

/// The dashboard for people.
#[test]
fn the_status_is_a_dashboard() {
    let (stage, arn) = attached(Over::Sandbox);
    let shown = |arguments: &[&str]| {
        let output = Command::new(provider_binary())
            .arg("key")
            .args(arguments)
            .envs(stage.sandbox.environment())
            .env("HOME", stage.workdir.path())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let text = shown(&["status", &arn]);
    for words in [
        "State           Enabled",
        "Proof           Databricks can use the key for these workspaces",
        "Workspaces      1234567890123456 \"lakehouse-prod\" eu-central-1 RUNNING MANAGED_SERVICES, STORAGE",
        "Unity Catalog tables in other buckets",
        &format!("key disable {arn} --dry-run"),
    ] {
        assert!(text.contains(words), "{words} is missing in:\n{text}");
    }
    assert!(
        !text.contains("--acknowledge"),
        "reading is no order: {text}"
    );
    key(&stage, &["disable", &arn, "--acknowledge", ID]);
    let text = shown(&["status", &arn]);
    for words in [
        "State           Disabled",
        "by this provider on 2",
        &format!("key restore {arn}"),
    ] {
        assert!(text.contains(words), "{words} is missing in:\n{text}");
    }
}

/// The same in HCL, by the key and by a key configuration.
#[test]
fn the_impact_is_a_data_source() {
    let (stage, arn) = attached(Over::Sandbox);
    let id = stage
        .workdir
        .attribute("dbxcmk_key_configuration.lakehouse", "/id");
    let other = "9d1f0a5c-8f1e-4a53-9a77-6f3b1f0c2d22";
    let policy = stage.kms.policy(&arn).replacen(
        "\"Statement\": [",
        &format!(
            r#""Statement": [{{"Sid":"Other","Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::414351767826:root"}},"Action":"kms:Decrypt","Resource":"*","Condition":{{"StringEquals":{{"aws:PrincipalTag/DatabricksAccountId":"{other}"}}}}}},"#
        ),
        1,
    );
    assert!(policy.contains(other), "{policy}");
    stage.kms.put_policy(&arn, &policy);
    for block in [
        format!("aws = {{\n    key_arn = \"{arn}\"\n  }}"),
        format!("key_configuration_id = \"{id}\""),
    ] {
        stage.configure(&format!(
            "\ndata \"dbxcmk_revocation_impact\" \"x\" {{\n  {block}\n}}\n"
        ));
        stage
            .workdir
            .run(&["state", "rm", "dbxcmk_workspace_binding.prod"]);
        stage
            .workdir
            .run(&["state", "rm", "dbxcmk_key_configuration.lakehouse"]);
        stage.workdir.apply();
        let state = stage.workdir.state("data.dbxcmk_revocation_impact.x");
        assert_eq!(state["state"], "Enabled");
        assert_eq!(state["acknowledgement"], json!([ID]));
        assert_eq!(state["key_configurations"][0]["id"], id.as_str());
        assert_eq!(state["restorable_until"], Json::Null);
        let not_visible = state["not_visible"].to_string();
        assert!(not_visible.contains(other), "{not_visible}");
    }
    stage.configure("\ndata \"dbxcmk_revocation_impact\" \"x\" {}\n");
    stage.workdir.validated().error("No key is named");
}

fn action(kind: &str, arn: &str, more: &str) -> String {
    format!(
        "\naction \"{kind}\" \"now\" {{\n  config {{\n    aws = {{\n      key_arn = \"{arn}\"\n    }}\n{more}  }}\n}}\n"
    )
}

/// Actions: refused without the right acknowledgement, the impact in the plan, and invoked by name.
#[test]
fn the_switch_is_an_action() {
    if !terraform::has("actions", (1, 14)) {
        return;
    }
    let (stage, arn) = attached(Over::Sandbox);
    let before = std::fs::read_to_string(stage.workdir.path().join("main.tf")).unwrap();
    let invoke = |kind: &str, more: &str| {
        stage
            .workdir
            .configuration(&format!("{before}{}", action(kind, &arn, more)));
        stage.workdir.run(&[
            "apply",
            "-auto-approve",
            "-json",
            &format!("-invoke=action.{kind}.now"),
        ])
    };
    let run = invoke(
        "dbxcmk_disable_key",
        "    acknowledged_workspace_ids = []\n",
    );
    let error = run.error("The acknowledgement does not name exactly what stops");
    assert!(
        error
            .detail
            .contains(&format!("acknowledged_workspace_ids = [\"{ID}\"]")),
        "{}",
        error.detail
    );
    assert_eq!(stage.kms.state(&arn), "Enabled");

    let acknowledged = format!("    acknowledged_workspace_ids = [\"{ID}\"]\n");
    let run = invoke("dbxcmk_disable_key", &acknowledged);
    assert!(run.success, "{}", run.shown());
    let warning = run.warning("1 workspace stops");
    assert!(warning.detail.contains("notebooks"), "{}", warning.detail);
    assert!(run.stdout.contains("disabled the key"), "{}", run.stdout);
    assert_eq!(stage.kms.state(&arn), "Disabled");

    let run = invoke("dbxcmk_restore_key", "    wait_for_workspaces = \"1m\"\n");
    assert!(run.success, "{}", run.shown());
    assert!(run.stdout.contains("is RUNNING"), "{}", run.stdout);
    assert_eq!(stage.kms.state(&arn), "Enabled");

    let run = invoke(
        "dbxcmk_schedule_key_deletion",
        &format!("{acknowledged}    deletion_window_days = 7\n"),
    );
    run.error("The key is enabled and in use: disable it before you schedule its deletion");
    assert_eq!(stage.kms.state(&arn), "Enabled");
    let run = invoke(
        "dbxcmk_schedule_key_deletion",
        &format!("{acknowledged}    deletion_window_days = 7\n    skip_hold = true\n"),
    );
    assert!(run.success, "{}", run.shown());
    assert_eq!(stage.kms.state(&arn), "PendingDeletion");
    let run = invoke("dbxcmk_restore_key", "");
    assert!(run.success, "{}", run.shown());
    assert_eq!(stage.kms.state(&arn), "Enabled");

    let run = invoke(
        "dbxcmk_schedule_key_deletion",
        &format!("{acknowledged}    deletion_window_days = 6\n"),
    );
    run.error("Invalid deletion window");
    assert_eq!(stage.kms.state(&arn), "Enabled");
    stage.workdir.configuration(&before);
    stage.workdir.empty_plan();
}

/// An action that a resource triggers.
#[test]
fn a_resource_triggers_the_switch() {
    if !terraform::has("actions", (1, 14)) {
        return;
    }
    let (stage, arn) = attached(Over::Sandbox);
    let before = std::fs::read_to_string(stage.workdir.path().join("main.tf")).unwrap();
    let acknowledged = format!("    acknowledged_workspace_ids = [\"{ID}\"]\n");
    let trigger = r#"
resource "terraform_data" "incident" {
  input = "INC-1"
  lifecycle {
    action_trigger {
      events  = [after_create]
      actions = [action.dbxcmk_disable_key.now]
    }
  }
}
"#;
    stage.workdir.configuration(&format!(
        "{before}{}{trigger}",
        action("dbxcmk_disable_key", &arn, &acknowledged)
    ));
    let plan = stage.workdir.plan();
    // Terraform wraps what an action says at plan, when a resource triggers it.
    let warning = plan.run.warning("Warnings when planning action");
    assert!(
        warning.detail.contains("1 workspace stops"),
        "{}",
        warning.detail
    );
    assert_eq!(stage.kms.state(&arn), "Enabled", "a plan does nothing");
    stage.workdir.apply();
    assert_eq!(stage.kms.state(&arn), "Disabled");
    // What was done is not undone by a commit that is reverted.
    stage.workdir.configuration(&before);
    stage.workdir.apply();
    assert_eq!(stage.kms.state(&arn), "Disabled");
    assert_eq!(key(&stage, &["restore", &arn]).0, 0);
}

/// After a rotation of managed services, Databricks needs the former key for 24 hours: its statements stay, and the command says until
/// when.
#[test]
fn the_former_key_of_a_rotation_is_kept() {
    let stage = Stage::new(Over::Sandbox);
    let (old, new) = (stage.kms.create_key(&json!({})), stage.good_key());
    let configuration = |with_old: bool| {
        let policy = format!(
            r#"
resource "dbxcmk_key_policy" "old" {{
  use_cases = ["MANAGED_SERVICES"]
  aws = {{
    key_arn = "{old}"
  }}
}}
resource "dbxcmk_key_configuration" "old" {{
  use_cases = ["MANAGED_SERVICES"]
  aws = {{
    key_arn = dbxcmk_key_policy.old.aws.key_arn
  }}
}}
"#
        );
        let name = if with_old { "old" } else { "new" };
        let new = format!(
            r#"
resource "dbxcmk_key_configuration" "new" {{
  use_cases = ["MANAGED_SERVICES"]
  aws = {{
    key_arn = "{new}"
  }}
}}
"#
        );
        let binding = format!(
            r#"
resource "dbxcmk_workspace_binding" "prod" {{
  workspace_id                          = "{WORKSPACE}"
  managed_services_key_configuration_id = dbxcmk_key_configuration.{name}.id
  settle_time                           = "0s"
}}
"#
        );
        (policy, new, binding)
    };
    let (policy, _, binding) = configuration(true);
    stage.configure(&format!("{policy}{binding}"));
    stage.workdir.apply();
    let (policy, other, binding) = configuration(false);
    stage.configure(&format!("{policy}{other}{binding}"));
    stage.workdir.apply();

    let (code, report) = key(&stage, &["disable", &old, "--dry-run"]);
    assert_eq!(code, 0);
    assert!(report["impact"]["needed_until"].is_string(), "{report}");
    let (code, report) = key(&stage, &["disable", &old]);
    assert_eq!((code, &report["state"]), (1, &json!("Enabled")), "{report}");
    assert!(
        error(&report).contains("--acknowledge-former-key"),
        "{report}"
    );
    // The key that the workspace has now is needed without an end.
    let (_, report) = key(&stage, &["status", &new]);
    assert!(report["impact"]["needed_until"].is_null(), "{report}");
    let (code, _) = key(&stage, &["disable", &old, "--acknowledge-former-key"]);
    assert_eq!(code, 0);
    assert_eq!(key(&stage, &["restore", &old]).0, 0);

    stage.configure(&format!("{other}{binding}"));
    let run = stage.workdir.refused_plan();
    let error = run.error("Databricks still needs the former key");
    assert!(error.detail.contains("force_destroy"), "{}", error.detail);
    assert!(stage.kms.policy(&old).contains("414351767826"));
}

/// The same when the apply that rotates ends with an error after Databricks took the new key, and although the account no
/// longer has a configuration of the former one.
#[test]
fn the_former_key_is_kept_after_an_apply_that_failed() {
    let stage = Stage::new(Over::Sandbox);
    let (old, new) = (stage.kms.create_key(&json!({})), stage.good_key());
    let policy = format!(
        r#"
resource "dbxcmk_key_policy" "old" {{
  use_cases = ["MANAGED_SERVICES"]
  aws = {{
    key_arn = "{old}"
  }}
}}
"#
    );
    let configuration = |name: &str, key: &str| {
        format!(
            r#"
resource "dbxcmk_key_configuration" "{name}" {{
  use_cases = ["MANAGED_SERVICES"]
  aws = {{
    key_arn = {key}
  }}
}}
"#
        )
    };
    let binding = |name: &str, settle: &str| {
        format!(
            r#"
resource "dbxcmk_workspace_binding" "prod" {{
  workspace_id                          = "{WORKSPACE}"
  managed_services_key_configuration_id = dbxcmk_key_configuration.{name}.id
  settle_time                           = "{settle}"
}}
"#
        )
    };
    let former = configuration("old", "dbxcmk_key_policy.old.aws.key_arn");
    let latter = configuration("new", &format!("\"{new}\""));
    stage.configure(&format!("{policy}{former}{}", binding("old", "0s")));
    stage.workdir.apply();
    stage.configure(&format!(
        "{policy}{former}{latter}{}",
        binding("new", "120s")
    ));
    stage.sandbox.with(|world| world.record.clear());
    let run = std::thread::scope(|scope| {
        let apply = scope.spawn(|| stage.workdir.failed_apply());
        assert!(stage.sandbox.has_answered("PATCH /workspaces/"));
        stage.kms.call("DisableKey", &json!({ "KeyId": new }));
        apply.join().unwrap()
    });
    run.error("A key became unusable while the workspace was taking it");
    stage.kms.call("EnableKey", &json!({ "KeyId": new }));
    stage.configure(&format!("{policy}{latter}{}", binding("new", "0s")));
    stage.workdir.apply();
    assert_eq!(stage.configurations().len(), 1);
    stage.configure(&format!("{latter}{}", binding("new", "0s")));
    stage
        .workdir
        .refused_plan()
        .error("Databricks still needs the former key");
    // Once the workspace is gone, it no longer needs the key.
    stage.configure(&format!("{policy}{latter}{}", binding("new", "0s")));
    stage
        .sandbox
        .with(|world| world.now.workspaces.remove(&WORKSPACE));
    stage.workdir.destroy();
    assert!(!stage.kms.policy(&old).contains("414351767826"));
}

/// Interrupted at a call that does not answer, the command says what it has done and what is true. The tag of a disable that has not happened stays
/// as long as the disable may still happen. Where KMS refuses the disable, the command removes the tag, and nobody attributes to it what another tool
/// disables later.
#[test]
fn an_interrupt_and_a_refusal_leave_nothing_false() {
    let (stage, arn) = attached(Over::Sandbox);
    let milliseconds = 600_000;
    let hanging = |operation: &str| {
        let effect = Effect::Delay { milliseconds };
        stage.sandbox.inject(Fault::new(operation, effect));
    };
    let order = ["disable", &arn, "--acknowledge", ID];
    hanging("KMS DisableKey");
    let (code, report) = interrupted(&stage, command(&stage, &order), "KMS DisableKey", "-INT");
    assert_eq!(
        (code, &report["state"]),
        (130, &json!("Enabled")),
        "{report}"
    );
    assert_eq!(report["changed"], true, "{report}");
    let found = error(&report);
    assert!(
        found.contains("interrupted") && found.contains("may still take effect"),
        "{found}"
    );
    // The call may still take effect: then a restore must know who made it.
    assert!(tag(&stage, &arn).is_some());
    // Before anything was changed.
    stage.sandbox.with(|world| world.arrived.clear());
    hanging("KMS DescribeKey");
    let (code, report) = interrupted(&stage, command(&stage, &order), "KMS DescribeKey", "-TERM");
    assert_eq!((code, &report["changed"]), (143, &json!(false)), "{report}");
    assert!(error(&report).contains("Nothing was changed"), "{report}");

    stage.sandbox.with(|world| world.faults.clear());
    let denied = Effect::aws("AccessDeniedException", "not authorized");
    stage
        .sandbox
        .inject(Fault::new("KMS DisableKey", denied).times(3));
    let (code, report) = key(&stage, &order);
    assert_eq!((code, &report["state"]), (3, &json!("Enabled")), "{report}");
    assert_eq!(tag(&stage, &arn), None, "{report}");
    stage.sandbox.with(|world| world.faults.clear());
    stage.kms.call("DisableKey", &json!({ "KeyId": arn }));
    let (code, report) = key(&stage, &["restore", &arn]);
    assert_eq!(
        (code, &report["state"]),
        (1, &json!("Disabled")),
        "{report}"
    );

    // The status reports a tag that a killed process has left over, and a restore removes it.
    stage.kms.call("EnableKey", &json!({ "KeyId": arn }));
    let tags = json!([{ "TagKey": TAG, "TagValue": "2026-01-01T00:00:00Z" }]);
    stage
        .kms
        .call("TagResource", &json!({ "KeyId": arn, "Tags": tags }));
    let (_, report) = key(&stage, &["status", &arn]);
    assert_eq!(report["disabled_since"], Json::Null);
    assert!(
        report["notes"].to_string().contains("did not finish"),
        "{report}"
    );
    assert_eq!(key(&stage, &["restore", &arn]).0, 0);
    assert_eq!(tag(&stage, &arn), None);
}

/// The status, the impact and the plan say the same of the same key, in every state.
#[test]
fn one_key_has_one_state() {
    let (stage, arn) = attached(Over::Sandbox);
    for (call, state, expected) in [
        (None, "Enabled", None),
        (Some("DisableKey"), "Disabled", Some("kms-key-disabled")),
        (
            Some("ScheduleKeyDeletion"),
            "PendingDeletion",
            Some("kms-key-pending-deletion"),
        ),
    ] {
        if let Some(call) = call {
            stage.kms.call(call, &json!({ "KeyId": arn }));
        }
        let (_, report) = key(&stage, &["status", &arn]);
        assert_eq!(report["state"], state);
        assert_eq!(report["impact"]["state"], state);
        let found = agrees_with_the_plan(&stage, &report);
        assert_eq!(found, Vec::from_iter(expected), "{state}");
    }
}

/// A grant that lets Databricks use the key stays when the statements go, so it is named.
#[test]
fn a_grant_to_databricks_is_named() {
    let (stage, arn) = attached(Over::Sandbox);
    let grant = json!({
        "KeyId": arn,
        "GranteePrincipal": "arn:aws:iam::414351767826:root",
        "Operations": ["Decrypt"],
    });
    stage.kms.call("CreateGrant", &grant);
    let (code, report) = key(&stage, &["status", &arn]);
    let not_visible = report["impact"]["not_visible"].to_string();
    assert_eq!(code, 0);
    assert!(
        not_visible.contains("arn:aws:iam::414351767826:root")
            && not_visible.contains("revoke-grant"),
        "{not_visible}"
    );
}

/// The commands of a page of the documentation, with real values.
fn commands(page: &str, arn: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(checkout().join("docs/guides").join(page)).unwrap();
    text.lines()
        .map(str::trim)
        .filter_map(|line| line.strip_prefix("dbxcmk key "))
        .map(|line| {
            line.but("KEY_ARN", arn)
                .wherever("WORKSPACE_ID", ID)
                .split_whitespace()
                .map(str::to_owned)
                .collect()
        })
        .collect()
}

/// Every command of the runbook and of the page on the command, in their order: each does what it says.
#[test]
fn the_commands_of_the_guides_run() {
    for page in ["incident-runbook.md", "key-command.md"] {
        let (stage, arn) = attached(Over::Sandbox);
        let all = commands(page, &arn);
        assert!(all.len() >= 5, "{page}: {all:?}");
        for arguments in all {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let (code, report) = key(&stage, &arguments);
            assert_eq!(code, 0, "{page}: {arguments:?}: {report}");
            let state = stage.kms.state(&arn);
            let expected = match arguments[0] {
                "restore" => "Enabled",
                "disable" if arguments.contains(&"--schedule-deletion") => "PendingDeletion",
                "disable" if arguments.contains(&"--acknowledge") => "Disabled",
                _ => "Enabled",
            };
            assert_eq!(state, expected, "{page}: {arguments:?}");
        }
    }
}

/// The permissions of the page are those that the command needs, and no others; they are judged with our own engine as documents.
#[test]
fn the_permissions_of_the_page_are_what_the_command_calls() {
    let text = std::fs::read_to_string(checkout().join("docs/guides/key-command.md")).unwrap();
    let documents: Vec<&str> = text
        .split("```json\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert_eq!(documents.len(), 3);
    let (stage, arn) = attached(Over::Sandbox);
    let called = |arguments: &[&str]| -> Vec<String> {
        let before = stage.sandbox.requests().len();
        assert_eq!(key(&stage, arguments).0, 0, "{arguments:?}");
        let mut all: Vec<String> = stage
            .sandbox
            .requests()
            .into_iter()
            .skip(before)
            .filter_map(|one| {
                one.operation
                    .strip_prefix("KMS ")
                    .map(|name| format!("kms:{name}"))
            })
            .collect();
        all.sort();
        all.dedup();
        all
    };
    let mut status = called(&["status", &arn]);
    let mut disable = called(&["disable", &arn, "--acknowledge", ID]);
    let mut restore = called(&["restore", &arn]);
    disable.extend(called(&[
        "disable",
        &arn,
        "--acknowledge",
        ID,
        "--schedule-deletion",
        "7",
        "--skip-hold",
    ]));
    restore.extend(called(&["restore", &arn]));
    // Clusters use the key too, and the policies do not let their role in: grants count.
    stage.sandbox.with(|world| {
        for configuration in world.now.configurations.values_mut() {
            configuration["aws_key_info"]["reuse_key_for_cluster_volumes"] = json!(true);
        }
    });
    status.extend(called(&["status", &arn]));
    let listed = |document: &str| -> Vec<String> {
        let json: Json = serde_json::from_str(document).unwrap();
        let all = json["Statement"][0]["Action"].as_array().unwrap();
        all.iter()
            .map(|one| one.as_str().unwrap().to_owned())
            .collect()
    };
    let allows = |document: &str, action: &str| {
        let policy = kms_policy::Document::parse_identity(document).unwrap();
        let request = kms_policy::Request {
            caller: kms_policy::Caller::parse("arn:aws:iam::123456789012:role/oncall").unwrap(),
            action: action.to_owned(),
            resource: arn.clone(),
            context: kms_policy::Context::closed(),
        };
        let identity = kms_policy::Identity {
            policies: Some(std::slice::from_ref(&policy)),
            ..kms_policy::Identity::default()
        };
        let delegating = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"kms:*","Resource":"*"}]}"#;
        let delegating = kms_policy::Document::parse(delegating).unwrap();
        kms_policy::authorize(&delegating, identity, &request).verdict
            == kms_policy::Verdict::Allowed
    };
    for (further, calls) in [(None, &status), (Some(1), &disable), (Some(2), &restore)] {
        for action in calls.iter() {
            let granted = allows(documents[0], action)
                || further.is_some_and(|at: usize| allows(documents[at], action));
            assert!(granted, "{action} is not among the permissions");
        }
        let own = further.map_or(0, |at| at);
        for action in listed(documents[own]) {
            assert!(calls.contains(&action), "{action} is not needed");
        }
    }
}
