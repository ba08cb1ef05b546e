//! The kill switch on Azure: the command, the data source and the actions.

use std::process::{Command, Stdio};

use acceptance_tests::azure::{OWN_VAULT, SECOND, resources};
use acceptance_tests::harness::providers::provider_binary;
use acceptance_tests::harness::terraform::has;
use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::stage::Stage;
use dbxcmk_sandbox::azure::{HSM, WORKSPACE, key_id, workspace_id};
use dbxcmk_sandbox::faults::{Effect, Fault};
use serde_json::{Value as Json, json};

use crate::commands::came_to;

fn command(stage: &Stage, arguments: &[&str]) -> Command {
    let url = stage.sandbox.azure_url();
    let bundle = stage.workdir.path().join("sandbox.pem");
    std::fs::write(&bundle, stage.sandbox.authority()).unwrap();
    let mut command = Command::new(provider_binary());
    command
        .arg("key")
        .args(arguments)
        .args(["--format", "json", "--ca-bundle"])
        .arg(bundle)
        .args([
            format!("--endpoint-resource-manager={url}/arm"),
            format!("--endpoint-login={url}/login"),
            format!("--endpoint-graph={url}/graph"),
            format!("--endpoint-key-vault={url}/vault"),
        ])
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap_or_default())
        .envs(
            stage
                .sandbox
                .environment()
                .into_iter()
                .filter(|(name, _)| name.starts_with("ARM_") || name == "NO_PROXY"),
        )
        .env("HOME", stage.workdir.path())
        .stdin(Stdio::null());
    command
}

/// Runs the command, without any setting of a Databricks account: its exit code and its report.
pub(super) fn key(stage: &Stage, arguments: &[&str]) -> (i32, Json) {
    came_to(&command(stage, arguments).output().unwrap())
}

fn errors(report: &Json) -> String {
    report["errors"].to_string()
}

/// A workspace that lives on a key with four versions, of which another owner has disabled the second.
fn attached(vault: &str) -> Stage {
    let stage = Stage::on_azure();
    stage.configure_azure(&resources(vault));
    stage.workdir.apply();
    for name in [
        SECOND,
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
    ] {
        stage.new_version(vault, name);
    }
    stage.change_vault_key(vault, |key| {
        key.versions[0]
            .tags
            .insert("team".to_owned(), "lakehouse".to_owned());
        key.versions[1].enabled = false;
    });
    stage
}

fn enabled(stage: &Stage, vault: &str) -> Vec<bool> {
    stage.azure(|azure| {
        azure
            .key(vault)
            .unwrap()
            .versions
            .iter()
            .map(|one| one.enabled)
            .collect()
    })
}

const BEFORE: [bool; 4] = [true, false, true, true];

#[test]
fn what_was_there_before_is_given_back() {
    for vault in [OWN_VAULT, HSM] {
        let stage = attached(vault);
        let id = WORKSPACE.to_string();
        let name = key_id(vault);
        let (code, report) = key(&stage, &["status", &name]);
        assert_eq!((code, &report["state"]), (0, &json!("Enabled")), "{report}");
        assert_eq!(report["last_used"]["standing"], "not_known");
        let workspace = &report["impact"]["workspaces"][0];
        assert_eq!(workspace["workspace_id"], json!(id));
        assert_eq!(workspace["resource_id"], json!(workspace_id()));
        let shown = report["impact"].to_string();
        for words in [
            "data disks of classic compute",
            "running virtual machines of classic compute shut down",
            "wrapping new data keys",
        ] {
            assert!(shown.contains(words), "{words}: {shown}");
        }
        let (code, report) = key(&stage, &["disable", &name]);
        assert_eq!(code, 1, "without the acknowledgement: {report}");
        assert_eq!(enabled(&stage, vault), BEFORE);
        // By its number or by its resource ID, in any case.
        let lower = workspace_id().to_ascii_lowercase();
        let (code, report) = key(&stage, &["disable", &name, "--acknowledge", &lower]);
        assert_eq!(
            (code, &report["state"]),
            (0, &json!("Disabled")),
            "{report}"
        );
        assert_eq!(enabled(&stage, vault), [false; 4]);
        assert!(
            report["notes"].to_string().contains("wrapping still works"),
            "{report}"
        );
        let tags = stage.azure(|azure| {
            azure
                .key(vault)
                .unwrap()
                .versions
                .iter()
                .map(|one| one.tags.clone())
                .collect::<Vec<_>>()
        });
        assert!(tags[0].contains_key("dbxcmk-disabled") && tags[0]["team"] == "lakehouse");
        assert!(
            !tags[1].contains_key("dbxcmk-disabled"),
            "somebody else disabled it"
        );
        // Said twice is done once.
        let (code, report) = key(&stage, &["disable", &name, "--acknowledge", &id]);
        assert_eq!((code, &report["changed"]), (0, &json!(false)));
        let (_, report) = key(&stage, &["status", &name]);
        assert!(report["disabled_since"].as_str().unwrap().ends_with('Z'));

        let (code, report) = key(&stage, &["restore", &name, "--wait", "30s"]);
        assert_eq!((code, &report["state"]), (0, &json!("Enabled")), "{report}");
        assert_eq!(enabled(&stage, vault), BEFORE);
        let tags = stage.azure(|azure| azure.key(vault).unwrap().versions[0].tags.clone());
        assert_eq!(
            tags.into_iter().collect::<Vec<_>>(),
            [("team".to_owned(), "lakehouse".to_owned())]
        );
    }
}

#[test]
fn a_deletion_is_taken_back() {
    let stage = attached(OWN_VAULT);
    let (id, name) = (WORKSPACE.to_string(), key_id(OWN_VAULT));
    let order = |days: Option<&'static str>| {
        let mut all = vec![
            "disable",
            name.as_str(),
            "--acknowledge",
            id.as_str(),
            "--schedule-deletion",
        ];
        all.extend(days);
        all.push("--skip-hold");
        all
    };
    let (code, report) = key(&stage, &order(None)[..5]);
    assert_eq!(code, 1);
    assert!(errors(&report).contains("hold period"), "{report}");
    let (code, report) = key(&stage, &order(Some("7")));
    assert_eq!(code, 1);
    assert!(errors(&report).contains("which is 90 days"), "{report}");
    let (code, report) = key(&stage, &order(None));
    assert_eq!(
        (code, &report["state"]),
        (0, &json!("PendingDeletion")),
        "{report}"
    );
    assert!(
        report["deletion_date"].is_string(),
        "the purge date: {report}"
    );
    let (code, report) = key(&stage, &["status", &name]);
    assert_eq!(
        (code, &report["state"]),
        (0, &json!("PendingDeletion")),
        "{report}"
    );
    assert!(!report.to_string().contains("wrapping"), "{report}");
    let (code, report) = key(&stage, &["restore", &name]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(enabled(&stage, OWN_VAULT), BEFORE);
    // Without soft delete it could not come back, so it is not done.
    stage.change_version(OWN_VAULT, |version| {
        version.recovery_level = "Purgeable".to_owned()
    });
    let (code, report) = key(&stage, &order(None));
    assert_eq!(code, 1);
    assert!(errors(&report).contains("no soft delete"), "{report}");
    // A key that is gone is named as that.
    stage.azure(|azure| azure.keys.clear());
    let (code, report) = key(&stage, &["restore", &name]);
    assert_ne!(code, 0);
    assert!(errors(&report).contains("no deleted one"), "{report}");
}

/// A version that others disabled stays disabled, unless the user asks for it.
#[test]
fn what_others_disabled_is_theirs() {
    let stage = attached(OWN_VAULT);
    let name = key_id(OWN_VAULT);
    stage.change_vault_key(OWN_VAULT, |key| {
        key.versions.iter_mut().for_each(|one| one.enabled = false)
    });
    let (code, report) = key(&stage, &["restore", &name]);
    assert_eq!(code, 1);
    assert!(
        errors(&report).contains("it has no tag `dbxcmk-disabled`"),
        "{report}"
    );
    let (code, _) = key(&stage, &["restore", &name, "--enable-anyway"]);
    assert_eq!(code, 0);
    assert_eq!(enabled(&stage, OWN_VAULT), [true; 4]);
}

/// Another writer had disabled the version that the workspace uses: a restore gives back the others, and its exit code says that it is not
/// all. The status says the same. A version is not a key.
#[test]
fn what_is_not_all_is_said() {
    let stage = attached(OWN_VAULT);
    let (id, name) = (WORKSPACE.to_string(), key_id(OWN_VAULT));
    stage.change_vault_key(OWN_VAULT, |key| key.versions[0].enabled = false);
    let (code, report) = key(&stage, &["status", &name]);
    assert_eq!(
        (code, &report["state"]),
        (0, &json!("Disabled")),
        "{report}"
    );
    let used = &report["versions"][0];
    assert_eq!(
        (&used["state"], &used["used_by"]),
        (&json!("Disabled"), &json!([id])),
        "{report}"
    );
    let version = used["version"].as_str().unwrap();
    assert!(report["findings"].to_string().contains(version), "{report}");
    assert_eq!(key(&stage, &["disable", &name, "--acknowledge", &id]).0, 0);
    let (code, report) = key(&stage, &["restore", &name]);
    assert_eq!(
        (code, &report["state"]),
        (4, &json!("Disabled")),
        "{report}"
    );
    assert_eq!(enabled(&stage, OWN_VAULT), [false, false, true, true]);
    assert!(
        report["findings"]
            .to_string()
            .contains("azure-key-disabled")
            && report["notes"].to_string().contains("--enable-anyway"),
        "{report}"
    );
    let (code, report) = key(&stage, &["restore", &name, "--enable-anyway"]);
    assert_eq!((code, &report["state"]), (0, &json!("Enabled")), "{report}");
    for verb in ["status", "disable", "restore"] {
        let (code, report) = key(&stage, &[verb, &format!("{name}/{version}")]);
        assert_eq!(code, 2, "{report}");
        assert!(errors(&report).contains("names the version"), "{report}");
    }
    assert_eq!(enabled(&stage, OWN_VAULT), [true; 4]);
}

/// Each row: a fault in the middle. The same command again ends as ordered, and restoring gives back what was there.
#[test]
fn faults_and_kills_in_the_middle_lose_nothing() {
    let name = key_id(OWN_VAULT);
    let id = WORKSPACE.to_string();
    let milliseconds = 60_000;
    for effect in [
        Effect::status(403),
        Effect::status(503),
        Effect::DropAfter,
        Effect::Delay { milliseconds },
        Effect::DelayAfter { milliseconds },
    ] {
        for skip in [0, 2] {
            let stage = attached(OWN_VAULT);
            stage.sandbox.with(|world| world.arrived.clear());
            let is_kill = matches!(effect, Effect::Delay { .. } | Effect::DelayAfter { .. });
            stage.sandbox.inject(Fault {
                skip,
                ..Fault::new("PATCH /vault/", effect.clone())
            });
            let order = ["disable", &name, "--acknowledge", &id];
            if is_kill {
                let mut child = command(&stage, &order)
                    .stdout(Stdio::null())
                    .spawn()
                    .unwrap();
                assert!(stage.sandbox.has_been_asked("PATCH /vault/"));
                while skip > 0
                    && stage.sandbox.with(|world| {
                        world
                            .arrived
                            .iter()
                            .filter(|one| one.starts_with("PATCH"))
                            .count()
                    }) <= 2
                {
                    std::thread::yield_now();
                }
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
                "{effect:?}: {report}"
            );
            let (code, _) = key(&stage, &["restore", &name]);
            assert_eq!(code, 0);
            assert_eq!(enabled(&stage, OWN_VAULT), BEFORE, "{effect:?}");
        }
    }
}

/// An impact that the provider cannot read stops the switch, unless the user goes on without it.
#[test]
fn an_impact_that_is_not_known_is_no_impact() {
    let stage = attached(OWN_VAULT);
    let name = key_id(OWN_VAULT);
    stage.azure(|azure| {
        azure
            .denied
            .insert("Microsoft.Databricks/workspaces/read".to_owned())
    });
    let (code, report) = key(&stage, &["disable", &name]);
    assert_eq!(code, 1, "{report}");
    let said = errors(&report);
    assert!(
        said.contains("role Reader") && !said.contains("Crypto Officer"),
        "{report}"
    );
    assert_eq!(enabled(&stage, OWN_VAULT), BEFORE);
    let (code, report) = key(&stage, &["disable", &name, "--without-impact"]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(enabled(&stage, OWN_VAULT), [false; 4]);
}

#[test]
fn the_impact_is_a_data_source_and_the_switch_an_action() {
    let stage = attached(OWN_VAULT);
    let data = format!(
        "{}\ndata \"dbxcmk_revocation_impact\" \"x\" {{\n  azure = {{\n    key_vault_key_id = \"{}\"\n  }}\n  depends_on = \
         [dbxcmk_workspace_binding.prod]\n}}\n\ndata \"dbxcmk_revocation_impact\" \"same\" {{\n  key_configuration_id = \
         dbxcmk_key_configuration.lakehouse.id\n  depends_on = [dbxcmk_workspace_binding.prod]\n}}\n",
        resources(OWN_VAULT),
        key_id(OWN_VAULT)
    );
    stage.configure_azure(&data);
    stage.workdir.apply();
    let state = stage.workdir.state("data.dbxcmk_revocation_impact.x");
    assert_eq!(state["acknowledgement"], json!([WORKSPACE.to_string()]));
    assert_eq!(
        state["workspaces"][0]["use_cases"],
        json!(["MANAGED_SERVICES", "STORAGE", "MANAGED_DISKS"])
    );
    let same = stage.workdir.state("data.dbxcmk_revocation_impact.same");
    assert_eq!(same["workspaces"], state["workspaces"]);
    // Azure does not show former keys, and the report says so.
    assert_eq!(state["needed_until"], Json::Null);
    assert!(
        state["not_visible"]
            .to_string()
            .contains("had this key until less than 24 hours ago"),
        "{state}"
    );
    if !has("actions", (1, 14)) {
        return;
    }
    let action = |kind: &str, more: &str| {
        format!(
            "\naction \"{kind}\" \"x\" {{\n  config {{\n    azure = {{\n      key_vault_key_id = \"{}\"\n    }}\n    {more}\n  }}\n}}\n",
            key_id(OWN_VAULT)
        )
    };
    let all = format!(
        "{data}{}{}{}",
        action("dbxcmk_disable_key", "acknowledged_workspace_ids = [ID]"),
        action(
            "dbxcmk_schedule_key_deletion",
            "acknowledged_workspace_ids = [ID]\n    skip_hold                  = true"
        ),
        action("dbxcmk_restore_key", ""),
    );
    stage.configure_azure(&all.but("[ID]", "[\"999\"]"));
    let run = stage.workdir.run(&[
        "apply",
        "-json",
        "-auto-approve",
        "-invoke=action.dbxcmk_disable_key.x",
    ]);
    assert!(!run.success);
    run.error("The acknowledgement does not name exactly what stops");
    stage.configure_azure(&all.but("[ID]", &format!("[\"{}\"]", workspace_id())));
    let invoke = |kind: &str| {
        let run = stage.workdir.run(&[
            "apply",
            "-json",
            "-auto-approve",
            &format!("-invoke=action.{kind}.x"),
        ]);
        assert!(run.success, "{kind}: {}", run.shown());
    };
    invoke("dbxcmk_disable_key");
    assert_eq!(enabled(&stage, OWN_VAULT), [false; 4]);
    invoke("dbxcmk_restore_key");
    assert_eq!(enabled(&stage, OWN_VAULT), BEFORE);
    invoke("dbxcmk_schedule_key_deletion");
    assert!(stage.azure(|azure| azure.key(OWN_VAULT).unwrap().deleted.is_some()));
    invoke("dbxcmk_restore_key");
    assert_eq!(enabled(&stage, OWN_VAULT), BEFORE);
}
