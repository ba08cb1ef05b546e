//! What is judged is what the workspace uses, whatever is newest; and what a plan promises, it can keep.

use acceptance_tests::azure::{OWN_VAULT, SECOND, first_version, managed_services, resources};
use acceptance_tests::harness::Run;
use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::stage::Stage;
use dbxcmk_sandbox::azure::{VERSION, key_id, workspace_id};
use serde_json::{Value as Json, json};

const BINDING: &str = "dbxcmk_workspace_binding.prod";
const DISABLED: &str = "The workspace \"lakehouse-azure\" uses a disabled version of its key";

fn enable(stage: &Stage, version: &str, enabled: bool) {
    stage.change_vault_key(OWN_VAULT, |key| {
        let mut all = key.versions.iter_mut();
        all.find(|one| one.name == version).unwrap().enabled = enabled;
    });
}

/// Whether the data source finds everything ready, and in which state.
fn is_ready(stage: &Stage, main: &str) -> (Json, Json) {
    let state = readiness(stage, main);
    (state["ready"].clone(), state["key_state"].clone())
}

/// What the data source says.
fn readiness(stage: &Stage, main: &str) -> Json {
    let ready = format!(
        "\ndata \"dbxcmk_key_readiness\" \"x\" {{\n  use_cases = [\"MANAGED_SERVICES\", \"STORAGE\", \"MANAGED_DISKS\"]\n  azure = {{\n    \
         key_vault_key_id      = \"{}\"\n    workspace_resource_id = \"{}\"\n  }}\n}}\n",
        key_id(OWN_VAULT),
        workspace_id()
    );
    stage.configure_azure(&format!("{main}{ready}"));
    stage
        .workdir
        .run(&["apply", "-refresh-only", "-auto-approve", "-no-color"]);
    let state = stage.workdir.state("data.dbxcmk_key_readiness.x");
    stage.configure_azure(main);
    state
}

#[test]
fn the_versions_that_a_workspace_has_are_judged() {
    let stage = Stage::on_azure();
    let main = resources(OWN_VAULT);
    stage.configure_azure(&main);
    stage.workdir.apply();
    // The configuration and the binding say the same, once.
    let once = |run: &Run, word: &str| {
        let all = run.warnings();
        let count = all.iter().filter(|one| one.contains(word)).count();
        assert_eq!(count, 1, "{}", run.shown());
    };
    enable(&stage, VERSION, false);
    let run = stage.workdir.empty_plan();
    run.warning(DISABLED);
    once(&run, "disabled");
    enable(&stage, VERSION, true);
    stage.new_version(OWN_VAULT, SECOND);
    // The one in use is disabled.
    enable(&stage, VERSION, false);
    let run = stage.workdir.empty_plan();
    let warning = run.warning(DISABLED);
    for words in [
        VERSION,
        "managed services",
        "workspace storage",
        "managed disks",
        "clusters do not start",
        "key restore",
        "--enable-anyway",
    ] {
        assert!(
            warning.detail.contains(words),
            "{words}: {}",
            warning.detail
        );
    }
    assert_eq!(is_ready(&stage, &main), (json!(false), json!("Disabled")));
    // The version without users is disabled.
    enable(&stage, VERSION, true);
    enable(&stage, SECOND, false);
    let run = stage.workdir.empty_plan();
    let warning = run.warning("The newest version of the key cannot be used");
    assert!(warning.detail.contains(SECOND), "{}", warning.detail);
    assert!(!run.warnings().contains(&DISABLED), "{}", run.shown());
    let state = readiness(&stage, &main);
    assert_eq!(
        (&state["ready"], &state["key_state"]),
        (&json!(true), &json!("Enabled"))
    );
    let findings = state["findings"].to_string();
    assert!(
        findings.contains("The newest version of the key cannot be used"),
        "{findings}"
    );
    // The key is deleted.
    stage.change_vault_key(OWN_VAULT, |key| key.deleted = Some(1_900_000_000));
    let run = stage.workdir.empty_plan();
    let warning = run.warning("The key of the workspace \"lakehouse-azure\" is deleted");
    once(&run, "deleted");
    for words in [
        "purged on 2030-06-15",
        "key restore",
        "az keyvault key recover",
        "workspace storage",
    ] {
        assert!(
            warning.detail.contains(words),
            "{words}: {}",
            warning.detail
        );
    }
    assert_eq!(
        is_ready(&stage, &main),
        (json!(false), json!("PendingDeletion"))
    );
}

/// Each row: what becomes of the version that is attached while it settles, and its state in the error.
#[test]
fn a_key_that_is_lost_while_it_settles_ends_the_wait() {
    type Change = fn(&Stage);
    let rows: [(Change, &str); 3] = [
        (
            |stage| enable(stage, VERSION, false),
            "in the state Disabled",
        ),
        (
            |stage| stage.change_vault_key(OWN_VAULT, |key| key.deleted = Some(1_900_000_000)),
            "in the state PendingDeletion",
        ),
        (
            |stage| {
                stage.change_vault_key(OWN_VAULT, |key| key.versions[0].expires = Some(1_000_000));
            },
            "in the state Expired",
        ),
    ];
    for (change, words) in rows {
        let stage = Stage::on_azure();
        stage.allow_databricks(OWN_VAULT);
        stage.configure_azure(&managed_services(&key_id(OWN_VAULT)).but(
            "settle_time                           = \"0s\"",
            "settle_time = \"4s\"",
        ));
        let run = std::thread::scope(|scope| {
            let apply = scope.spawn(|| stage.workdir.failed_apply());
            while stage.arm_versions()[0].is_empty() {
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
            // A newer version does not make up for the one that is attached.
            stage.new_version(OWN_VAULT, SECOND);
            change(&stage);
            apply.join().unwrap()
        });
        let error = run.error("A key became unusable while the workspace was taking it");
        assert!(error.detail.contains(words), "{words}: {}", error.detail);
    }
}

fn apply_the_plan(stage: &Stage) -> Run {
    let run = stage
        .workdir
        .run(&["apply", "-json", "-input=false", "plan.tfplan"]);
    for words in ["inconsistent", "bug in the provider"] {
        assert!(!run.shown().contains(words), "{}", run.shown());
    }
    run
}

/// Between the plan and the plan within the apply, Azure shows something else, or nothing: the apply goes on, or says what is wrong, and never
/// that the provider has a bug.
#[test]
fn a_plan_promises_nothing_that_azure_may_show_otherwise() {
    type Change = fn(&Stage);
    let shown = |stage: &Stage, pointer: &str, value: Json| {
        stage.azure(|azure| {
            *azure
                .workspace()
                .unwrap()
                .shown
                .pointer_mut(pointer)
                .unwrap() = value;
        });
    };
    let stage = Stage::on_azure();
    stage.configure_azure(&resources(OWN_VAULT));
    let plan = stage.workdir.plan();
    for (address, pointer) in [
        (BINDING, "/pricing_tier"),
        (BINDING, "/workspace_id"),
        (BINDING, "/region"),
        ("dbxcmk_key_policy.lakehouse", "/azure/access_model"),
        ("dbxcmk_key_configuration.lakehouse", "/azure/key_version"),
    ] {
        assert!(plan.is_unknown(address, pointer), "{address} {pointer}");
    }
    stage.new_version(OWN_VAULT, SECOND);
    shown(&stage, "/properties/workspaceId", Json::Null);
    shown(&stage, "/sku/name", json!("Premium"));
    let run = apply_the_plan(&stage);
    assert!(run.success, "{}", run.shown());
    stage
        .workdir
        .run(&["apply", "-refresh-only", "-auto-approve"]);
    stage.workdir.empty_plan();
    // The provider gives access again that went away, or reports that it is missing.
    let rows: [(Change, bool); 3] = [
        (
            |stage| stage.azure(|azure| azure.denied.extend(["graph".to_owned()])),
            false,
        ),
        (
            |stage| {
                stage.azure(|azure| {
                    azure.workspace().unwrap().shown["sku"] = Json::Null;
                });
            },
            true,
        ),
        (
            |stage| stage.new_version(OWN_VAULT, "00000000000000000000000000000003"),
            true,
        ),
    ];
    for (change, succeeds) in rows {
        stage.azure(|azure| azure.role_assignments.clear());
        let plan = stage.workdir.plan();
        assert_eq!(plan.actions("dbxcmk_key_policy.lakehouse"), "update");
        change(&stage);
        let run = apply_the_plan(&stage);
        assert_eq!(run.success, succeeds, "{}", run.shown());
        stage.azure(|azure| azure.denied.clear());
        shown(&stage, "/sku", json!({ "name": "premium" }));
        stage.workdir.apply();
    }
}

/// A vault whose firewall keeps this machine out, and lets trusted services in, is read through Resource Manager.
#[test]
fn a_closed_vault_serves() {
    let stage = Stage::on_azure();
    stage.azure(|azure| azure.closed.insert(OWN_VAULT.to_owned()));
    stage.configure_azure(&resources(OWN_VAULT));
    stage.workdir.apply();
    assert_eq!(stage.arm_versions(), [VERSION, VERSION, VERSION]);
    let run = stage.workdir.empty_plan();
    assert_eq!(run.warnings(), Vec::<&str>::new());
    enable(&stage, VERSION, false);
    stage.workdir.empty_plan().warning(DISABLED);
}

/// One key is one key however it is written, and a binding waits for the policy that prepares its workspace.
#[test]
fn another_way_of_writing_is_no_change_and_nothing_waits_in_vain() {
    let stage = Stage::on_azure();
    let main = resources(OWN_VAULT).but("  depends_on = [dbxcmk_key_policy.lakehouse]\n", "");
    stage.configure_azure(&main);
    stage.workdir.apply();
    assert_eq!(stage.arm_versions(), [VERSION, VERSION, VERSION]);
    let key = key_id(OWN_VAULT);
    for other in [
        format!("{key}/"),
        key.but(".net/", ".net:443/"),
        key.but("acme", "ACME"),
    ] {
        stage.configure_azure(&main.but(&key, &other));
        stage.workdir.empty_plan();
    }
    stage.configure_azure(&main.but("resourceGroups", "resourcegroups"));
    stage.workdir.empty_plan();
    // As `az` and the portal write it.
    stage.workdir.forget(BINDING);
    stage.configure_azure(&main);
    let lower = workspace_id().but("resourceGroups", "resourcegroups");
    stage.workdir.import(BINDING, &lower);
    stage.workdir.plan();
    stage.workdir.apply();
    stage.workdir.empty_plan();
}

/// A version that is named in the key policy reaches what refers to it.
#[test]
fn a_new_version_reaches_what_refers_to_the_policy() {
    let stage = Stage::on_azure();
    let main = resources(OWN_VAULT);
    let (first, rest) = main
        .split_once("resource \"dbxcmk_key_configuration\"")
        .unwrap();
    let rest = rest.but(
        &format!("\"{}\"", key_id(OWN_VAULT)),
        "dbxcmk_key_policy.lakehouse.azure.key_vault_key_id",
    );
    let with = |key: &str| {
        format!(
            "{}resource \"dbxcmk_key_configuration\"{rest}",
            first.but(&key_id(OWN_VAULT), key)
        )
    };
    stage.configure_azure(&with(&first_version(OWN_VAULT)));
    stage.workdir.apply();
    stage.new_version(OWN_VAULT, SECOND);
    stage.configure_azure(&with(&format!("{}/{SECOND}", key_id(OWN_VAULT))));
    let plan = stage.workdir.plan();
    assert_eq!(plan.actions("dbxcmk_key_policy.lakehouse"), "update");
    assert_eq!(plan.actions(BINDING), "update");
    stage.workdir.apply();
    assert_eq!(stage.arm_versions(), [SECOND, SECOND, SECOND]);
    stage.workdir.empty_plan();
}
