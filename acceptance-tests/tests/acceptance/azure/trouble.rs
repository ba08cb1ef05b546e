//! What goes wrong on the way: faults, interruptions, late reads, others who change the same things, and secrets.

use acceptance_tests::azure::{OWN_VAULT, managed_services, resources};
use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::stage::Stage;
use dbxcmk_sandbox::azure::{DATABRICKS, POLICY_VAULT, SECRET, VERSION, key_id, vault_id};
use dbxcmk_sandbox::faults::{Effect, Fault};
use serde_json::json;

const BINDING: &str = "dbxcmk_workspace_binding.prod";

fn status(status: u16, code: &str, message: &str) -> Effect {
    Effect::Status {
        status,
        body: json!({ "error": { "code": code, "message": message } }).to_string(),
        content_type: None,
        retry_after: None,
    }
}

/// The workspace has all three keys, each identity that needs one may use it, and a second plan is empty.
fn all_is_there(stage: &Stage, what: &str) {
    assert_eq!(stage.arm_versions(), [VERSION, VERSION, VERSION], "{what}");
    let storage = stage.arm_text("/properties/storageAccountIdentity/principalId");
    let disks = stage.arm_text("/properties/managedDiskIdentity/principalId");
    for principal in [DATABRICKS, &storage, &disks] {
        assert!(stage.can_use(OWN_VAULT, principal), "{what}: {principal}");
    }
    stage.workdir.empty_plan();
    let roles = stage.azure(|azure| azure.role_assignments.len());
    assert_eq!(roles, 3, "{what}: nothing is there twice");
}

/// Each row: a fault that passes by itself, and that one apply gets over.
#[test]
fn what_passes_is_waited_for() {
    let busy = status(503, "ServerBusy", "try again");
    let rows: [(&str, Vec<Fault>); 11] = [
        (
            "a vault that is busy",
            vec![Fault::new("GET /vault/", busy.clone()).times(3)],
        ),
        (
            "Resource Manager that is busy",
            vec![Fault::new("PUT /arm/ workspaces", busy.clone()).times(2)],
        ),
        (
            "too many requests",
            vec![Fault::new(
                "GET /arm/",
                Effect::Status {
                    status: 429,
                    body: String::new(),
                    content_type: None,
                    retry_after: Some("1".to_owned()),
                },
            )],
        ),
        (
            "a lost answer of the workspace",
            vec![Fault::new("PUT /arm/ workspaces", Effect::DropAfter)],
        ),
        (
            "a lost answer of an assignment",
            vec![Fault::new("PUT /arm/ roleAssignments", Effect::DropAfter)],
        ),
        (
            "a broken answer",
            vec![Fault::new("GET /arm/ workspaces", Effect::Truncate)],
        ),
        (
            "a garbled answer",
            vec![Fault::new("GET /vault/", Effect::Garble)],
        ),
        (
            "a principal that Azure does not know yet",
            vec![
                Fault::new(
                    "PUT /arm/ roleAssignments",
                    status(400, "PrincipalNotFound", "does not exist in the directory"),
                )
                .times(2),
            ],
        ),
        (
            "another update of the workspace",
            vec![
                Fault::new(
                    "PUT /arm/ workspaces",
                    status(409, "ApplicationBeingUpdated", "in progress"),
                )
                .times(2),
            ],
        ),
        (
            "an operation whose status is late",
            vec![Fault::new("GET /arm/ operations", status(404, "NotFound", "not yet")).times(2)],
        ),
        (
            "a login that is busy",
            vec![Fault::new("POST /login/", busy).times(1)],
        ),
    ];
    for (what, faults) in rows {
        let stage = Stage::on_azure();
        faults
            .into_iter()
            .for_each(|fault| stage.sandbox.inject(fault));
        stage.configure_azure(&resources(OWN_VAULT));
        stage.workdir.apply();
        all_is_there(&stage, what);
    }
}

/// The provider waits for role assignments and access policies that show late.
#[test]
fn access_that_shows_late_is_waited_for() {
    for vault in [OWN_VAULT, POLICY_VAULT] {
        let stage = Stage::on_azure();
        stage.azure(|azure| azure.lateness = 4);
        stage.configure_azure(&resources(vault));
        stage.workdir.apply();
        assert_eq!(stage.arm_versions(), [VERSION, VERSION, VERSION]);
        stage.azure(|azure| (azure.lateness, azure.late_reads) = (0, 0));
        stage.workdir.empty_plan();
    }
}

/// Access that shows and is not in effect yet: the attach is tried again, because this run gave the access a moment ago.
#[test]
fn access_that_is_not_in_effect_yet_is_tried_again() {
    let stage = Stage::on_azure();
    stage.configure_azure(&resources(OWN_VAULT));
    stage.sandbox.inject(
        Fault {
            skip: 1,
            ..Fault::new(
                "PUT /arm/ workspaces",
                status(
                    400,
                    "ApplicationUpdateFail",
                    "Invalid permissions on the specified KeyVault",
                ),
            )
        }
        .times(2),
    );
    stage.workdir.apply();
    all_is_there(&stage, "late effect");
}

/// Each row: a refusal that does not pass; what is true afterwards; and the next apply goes on from there.
#[test]
fn what_fails_is_explained_and_nothing_is_lost() {
    let refused = status(
        403,
        "AuthorizationFailed",
        "The client does not have authorization to perform action",
    );
    let rows = [
        (
            "PUT /arm/ roleAssignments",
            "The access to the key could not be changed",
            "User Access Administrator",
        ),
        (
            "PUT /arm/ workspaces",
            "The workspace could not be prepared for encryption",
            "role Contributor",
        ),
    ];
    for (operation, summary, words) in rows {
        let stage = Stage::on_azure();
        stage.sandbox.inject(Fault::new(operation, refused.clone()));
        stage.configure_azure(&resources(OWN_VAULT));
        let run = stage.workdir.failed_apply();
        let error = run.error(summary);
        assert!(error.detail.contains(words), "{}", error.detail);
        stage.workdir.apply();
        all_is_there(&stage, operation);
    }
}

/// An operation that fails after a while says why; the provider notices an update that is undone.
#[test]
fn an_update_that_does_not_stay_is_noticed() {
    let stage = Stage::on_azure();
    stage.allow_databricks(OWN_VAULT);
    stage.configure_azure(&managed_services(&key_id(OWN_VAULT)).but("\"0s\"", "\"5s\""));
    stage.sandbox.inject(Fault::new(
        "PUT /arm/ workspaces",
        Effect::RevertAfter { milliseconds: 1500 },
    ));
    let run = stage.workdir.failed_apply();
    run.error("Databricks accepted the key, then reverted to the previous one");
    stage.workdir.apply();
    stage.workdir.empty_plan();
    assert_eq!(stage.arm_versions(), [VERSION, "", ""]);
}

/// Running compute is named where it may be the reason, and waited for on wish.
#[test]
fn running_compute_is_explained() {
    let stage = Stage::on_azure();
    stage.configure_azure(&resources(OWN_VAULT));
    stage.workdir.apply();
    stage.azure(|azure| {
        azure.workspace().unwrap().has_running_compute = true;
    });
    stage.new_version(OWN_VAULT, acceptance_tests::azure::SECOND);
    let second = format!("{}/{}", key_id(OWN_VAULT), acceptance_tests::azure::SECOND);
    let main = resources(OWN_VAULT).but(
        &format!(
            "  azure = {{\n    key_vault_key_id = \"{}\"\n  }}",
            key_id(OWN_VAULT)
        ),
        &format!("  azure = {{\n    key_vault_key_id = \"{second}\"\n  }}"),
    );
    stage.configure_azure(&main);
    let run = stage.workdir.failed_apply();
    let error = run.error("The keys of the workspace could not be changed");
    assert!(
        error.detail.contains("compute is running") && error.detail.contains("wait_for_compute"),
        "{}",
        error.detail
    );
    // The state is what is true.
    assert!(
        stage
            .workdir
            .attribute(BINDING, "/managed_disks_key_configuration_id")
            .ends_with(VERSION)
    );
    assert_eq!(
        stage.workdir.attribute(BINDING, "/workspace_status"),
        "Failed"
    );
    stage.azure(|azure| {
        azure.workspace().unwrap().has_running_compute = false;
    });
    stage.workdir.apply();
    stage.workdir.empty_plan();
}

/// Killed and interrupted in the middle of an operation: the next apply waits for what is on its way, and sends nothing twice.
#[test]
fn what_was_interrupted_goes_on() {
    type Stop = fn(&acceptance_tests::harness::background::Background);
    let stops: [(&str, Stop); 3] = [
        ("Ctrl-C", |run| run.interrupt()),
        ("Terraform killed", |run| run.kill()),
        ("the provider killed", |run| run.kill_providers()),
    ];
    for (what, stop) in stops {
        for words in [
            "PUT /arm/ Microsoft.Databricks",
            "PUT /arm/ roleAssignments",
            "GET /arm/ operations",
        ] {
            let stage = Stage::on_azure();
            stage.configure_azure(&resources(OWN_VAULT));
            let run = stage
                .workdir
                .begin(&["apply", "-json", "-input=false", "-auto-approve"]);
            assert!(stage.sandbox.has_been_asked(words), "{what}: {words}");
            let orphans = run.providers();
            stop(&run);
            run.finish(&orphans);
            stage.workdir.apply();
            all_is_there(&stage, what);
        }
    }
}

/// Another writer updates the workspace all the time, and loses nothing.
#[test]
fn two_writers_lose_nothing() {
    let stage = Stage::on_azure();
    stage.configure_azure(&resources(OWN_VAULT));
    let run = stage
        .workdir
        .begin(&["apply", "-json", "-input=false", "-auto-approve"]);
    let mut tags = 0;
    let mut run = run;
    while run.is_running() {
        stage.azure(|azure| {
            let workspace = azure.workspace().unwrap();
            // Between two updates, another writer sets one more tag.
            if workspace.operation.is_none() {
                tags += 1;
                workspace.shown["tags"][format!("t{tags}")] = json!("x");
            }
        });
        std::thread::sleep(std::time::Duration::from_millis(30));
    }
    let ended = run.finish(&[]);
    assert!(ended.success, "{}", ended.shown());
    // A tag that was set between a read and a write of the whole workspace is lost in Azure's own model, which has no etag; what was
    // set before the read, and everything else, is there.
    assert_eq!(
        stage.azure(|azure| azure
            .lost
            .iter()
            .filter(|path| !path.starts_with("/tags/"))
            .cloned()
            .collect::<Vec<_>>()),
        Vec::<String>::new()
    );
    all_is_there(&stage, "two writers");
}

/// Two policies of one vault in two states at once: its access policies are one list, and none is lost.
#[test]
fn two_states_share_a_vault() {
    let stage = Stage::on_azure();
    stage.azure(|azure| azure.add_key(POLICY_VAULT, "other", VERSION));
    let policy = |key: &str| {
        format!(
            "\nresource \"dbxcmk_key_policy\" \"x\" {{\n  use_cases = [\"MANAGED_SERVICES\"]\n  azure = {{\n    key_vault_key_id = \"{key}\"\n    \
             vault_resource_id = \"{}\"\n  }}\n}}\n",
            vault_id(POLICY_VAULT)
        )
    };
    let foreign = json!({ "tenantId": dbxcmk_sandbox::azure::TENANT, "objectId": "0e000000-0000-4000-8000-000000000001",
        "permissions": { "keys": ["get"] } });
    stage.azure(|azure| {
        azure.vault(POLICY_VAULT).unwrap()["properties"]["accessPolicies"] =
            json!([foreign.clone()]);
    });
    stage.configure_azure(&policy(&key_id(POLICY_VAULT)));
    stage.workdir.apply();
    let policies = stage
        .azure(|azure| azure.vault(POLICY_VAULT).unwrap()["properties"]["accessPolicies"].clone());
    assert_eq!(policies.as_array().unwrap().len(), 2);
    assert_eq!(policies[0], foreign);
}

/// No secret is in any output, log or state.
#[test]
fn secrets_stay_secret() {
    let mut stage = Stage::on_azure();
    stage.workdir.set("TF_LOG", "TRACE");
    stage.configure_azure(&resources(OWN_VAULT));
    let run = stage.workdir.apply();
    let state = std::fs::read_to_string(stage.workdir.path().join("terraform.tfstate")).unwrap();
    let tokens: Vec<String> = stage.azure(|azure| azure.tokens.keys().cloned().collect());
    assert!(tokens.len() >= 3, "one for each audience");
    for secret in tokens.iter().map(String::as_str).chain([SECRET]) {
        assert!(!run.output.contains(secret), "a secret is in the log");
        assert!(!state.contains(secret), "a secret is in the state");
    }
    stage
        .workdir
        .set("ARM_CLIENT_SECRET", "wrong-secret-of-an-application");
    let run = stage.workdir.refused_plan();
    assert!(run.shown().contains("AADSTS7000215"), "{}", run.shown());
    assert!(!run.output.contains("wrong-secret-of-an-application"));
}

/// A caller who cannot read role assignments does not know that they are gone: the state stays, and the plan is empty and says why.
#[test]
fn role_assignments_that_cannot_be_read_are_not_gone() {
    let stage = Stage::on_azure();
    stage.configure_azure(&resources(OWN_VAULT));
    stage.workdir.apply();
    let refused = status(403, "AuthorizationFailed", "no authorization to read");
    let rows = [
        (refused, "no authorization to read"),
        (
            Effect::Part {
                fields: vec!["nextLink".to_owned()],
            },
            "cannot be read",
        ),
    ];
    for (effect, reason) in rows {
        let fault = Fault::new("GET /arm roleAssignments", effect).times(200);
        stage.sandbox.inject(fault);
        let run = stage.workdir.empty_plan();
        let warning = run.warning("Who may use the key could not be read");
        assert!(warning.detail.contains(reason), "{}", warning.detail);
        assert!(
            warning.detail.contains("keeps the values in state"),
            "{}",
            warning.detail
        );
        assert!(!run.output.contains("removed access"), "{}", run.shown());
        stage.sandbox.with(|world| world.faults.clear());
    }
    stage.workdir.empty_plan();
    // The plan does not give up a principal whose object ID it cannot read, and no other key policy may need the access.
    let fault = Fault::new("GET /graph", status(403, "Forbidden", "no Graph")).times(200);
    stage.sandbox.inject(fault);
    let run = stage.workdir.empty_plan();
    assert!(!run.output.contains("another one"), "{}", run.shown());
    stage.sandbox.with(|world| world.faults.clear());
    // Graph is open, and shows another principal than the provider block names.
    let foreign = "databricks_principal_id = \"11111111-2222-4333-8444-555555555555\"";
    stage.configure_azure_with(foreign, &resources(OWN_VAULT));
    let run = stage.workdir.run(&["plan", "-json", "-input=false"]);
    let warning = run.warning("`databricks_principal_id` is not the object ID of AzureDatabricks");
    assert!(warning.detail.contains(DATABRICKS), "{}", warning.detail);
}
