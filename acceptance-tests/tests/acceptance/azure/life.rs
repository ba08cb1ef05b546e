//! What happens to keys of a workspace over time: rotation, drift, removal, import, and others who write the same things.

use acceptance_tests::azure::{
    OWN_VAULT, ROLE, SECOND, first_version, managed_services, resources,
};
use acceptance_tests::harness::terraform::has;
use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::stage::Stage;
use dbxcmk_sandbox::azure::{
    DATABRICKS, HSM, POLICY_VAULT, TENANT, VERSION, key_id, vault_id, workspace_id,
};
use dbxcmk_sandbox::faults::{Effect, Fault};
use serde_json::{Value as Json, json};

const BINDING: &str = "dbxcmk_workspace_binding.prod";

/// A versionless identifier plans stable when the vault rotates; a workspace stays at its version, which the provider reports once; and it
/// moves when the user names a version.
#[test]
fn a_versionless_identifier_pins_a_version() {
    let stage = Stage::on_azure();
    stage.configure_azure(&resources(OWN_VAULT));
    stage.workdir.apply();
    stage.new_version(OWN_VAULT, SECOND);
    let run = stage.workdir.empty_plan();
    let pinned: Vec<&str> = run
        .warnings()
        .into_iter()
        .filter(|summary| summary.contains("older version"))
        .collect();
    assert_eq!(pinned.len(), 1, "{}", run.shown());
    let warning = run.warning("The workspace uses an older version of the key");
    assert!(
        warning.detail.contains(SECOND) && warning.detail.contains(VERSION),
        "{}",
        warning.detail
    );
    assert_eq!(stage.arm_versions(), [VERSION, VERSION, VERSION]);
    // Named, the new version is set in place.
    let named = format!("{}/{SECOND}", key_id(OWN_VAULT));
    let main = resources(OWN_VAULT).but(
        &format!(
            "  azure = {{\n    key_vault_key_id = \"{}\"\n  }}",
            key_id(OWN_VAULT)
        ),
        &format!("  azure = {{\n    key_vault_key_id = \"{named}\"\n  }}"),
    );
    stage.configure_azure(&main);
    let plan = stage.workdir.plan();
    assert_eq!(plan.actions(BINDING), "update");
    assert_eq!(plan.actions("dbxcmk_key_policy.lakehouse"), "no-op");
    stage.workdir.apply();
    assert_eq!(stage.arm_versions(), [SECOND, SECOND, SECOND]);
    let run = stage.workdir.empty_plan();
    assert_eq!(run.warnings(), Vec::<&str>::new());
    // The version that it had is needed for a while.
    stage.change_vault_key(OWN_VAULT, |key| key.versions[0].enabled = false);
    let run = stage.workdir.empty_plan();
    let warning =
        run.warning("A former version of the key that may still be needed cannot be used");
    assert!(
        warning.detail.contains(VERSION) && warning.detail.contains("old disks exist"),
        "{}",
        warning.detail
    );
}

/// Two key configurations share a key, each for its own use cases: one that is there already counts in an apply which creates the other one.
#[test]
fn two_configurations_of_a_key_count_together() {
    let stage = Stage::on_azure();
    let own = |name: &str, cases: &str| {
        format!(
            "\nresource \"dbxcmk_key_configuration\" \"{name}\" {{\n  use_cases = [{cases}]\n  azure = {{\n    key_vault_key_id = \"{}\"\n  }}\n}}\n",
            key_id(OWN_VAULT)
        )
    };
    let storage = own("storage", "\"STORAGE\"");
    stage.configure_azure(&storage);
    stage.workdir.apply();
    let whole = resources(OWN_VAULT)
        .but(
            "\"lakehouse\" {\n  use_cases = [\"MANAGED_SERVICES\", \"MANAGED_DISKS\", \"STORAGE\"]\n  azure = {\n    key_vault_key_id = ",
            "\"lakehouse\" {\n  use_cases = [\"MANAGED_SERVICES\", \"MANAGED_DISKS\"]\n  azure = {\n    key_vault_key_id = ",
        )
        .but(
            "storage_key_configuration_id          = dbxcmk_key_configuration.lakehouse.id",
            "storage_key_configuration_id          = dbxcmk_key_configuration.storage.id",
        );
    stage.configure_azure(&format!("{storage}{whole}"));
    stage.workdir.apply();
    stage.workdir.empty_plan();
}

/// A key is attached for what its key configuration is for; one that is narrowed afterwards is said, and takes nothing away.
#[test]
fn a_key_is_attached_for_what_its_configuration_is_for() {
    const NOT_FOR: &str = "The key configuration is not for workspace storage";
    let stage = Stage::on_azure();
    let all = resources(OWN_VAULT);
    let narrow = all.but(
        "\"lakehouse\" {\n  use_cases = [\"MANAGED_SERVICES\", \"MANAGED_DISKS\", \"STORAGE\"]\n  azure = {\n    key_vault_key_id = ",
        "\"lakehouse\" {\n  use_cases = [\"MANAGED_SERVICES\", \"MANAGED_DISKS\"]\n  azure = {\n    key_vault_key_id = ",
    );
    stage.configure_azure(&narrow);
    let refused = stage.workdir.refused_plan();
    let error = refused.error(NOT_FOR);
    assert!(
        error.detail.contains("MANAGED_SERVICES"),
        "{}",
        error.detail
    );
    stage.configure_azure(&all);
    stage.workdir.apply();
    stage.configure_azure(&narrow);
    let applied = stage.workdir.apply();
    applied.warning(NOT_FOR);
    stage.workdir.empty_plan().warning(NOT_FOR);
    stage.configure_azure(&all);
    stage.workdir.apply();
    assert_eq!(stage.workdir.empty_plan().warnings(), Vec::<&str>::new());
}

/// Managed disks that follow new versions by themselves: a version to which Azure has moved is not a change.
#[test]
fn managed_disks_may_follow_by_themselves() {
    let stage = Stage::on_azure();
    let rotating = resources(OWN_VAULT)
        .but(&key_id(OWN_VAULT), &first_version(OWN_VAULT))
        .but(
            "  azure = {\n    workspace_resource_id = ",
            "  azure = {\n    rotate_managed_disks_to_latest_version = true\n    workspace_resource_id = ",
        );
    stage.configure_azure(&rotating);
    stage.workdir.apply();
    assert_eq!(
        stage.arm_workspace().pointer(
            "/properties/encryption/entities/managedDisk/rotationToLatestKeyVersionEnabled"
        ),
        Some(&Json::Bool(true))
    );
    stage.new_version(OWN_VAULT, SECOND);
    stage.azure(|azure| {
        let shown = &mut azure.workspace().unwrap().shown;
        shown["properties"]["encryption"]["entities"]["managedDisk"]["keyVaultProperties"]["keyVersion"] = json!(SECOND);
    });
    stage.workdir.empty_plan();
    // Turned off, it is one.
    stage.configure_azure(&rotating.but("latest_version = true", "latest_version = false"));
    assert_eq!(stage.workdir.plan().actions(BINDING), "update");
    stage.workdir.apply();
    stage.workdir.empty_plan();
    assert_eq!(stage.arm_versions(), [VERSION, VERSION, VERSION]);
}

/// Azure takes back only the key of workspace storage, and the provider reports that.
#[test]
fn storage_goes_back_and_the_others_stay() {
    let stage = Stage::on_azure();
    stage.configure_azure(&resources(OWN_VAULT));
    stage.workdir.apply();
    let without = |attribute: &str| {
        let lines = resources(OWN_VAULT);
        let lines: Vec<&str> = lines
            .lines()
            .filter(|line| !line.trim_start().starts_with(attribute))
            .collect();
        lines.join("\n")
    };
    for attribute in [
        "managed_services_key_configuration_id",
        "managed_disks_key_configuration_id",
    ] {
        stage.configure_azure(&without(attribute));
        let run = stage.workdir.refused_plan();
        let error = run.error("A key cannot be detached from a workspace");
        assert!(error.detail.contains(attribute), "{}", error.detail);
    }
    stage.configure_azure(&without("storage_key_configuration_id"));
    let plan = stage.workdir.plan();
    assert_eq!(plan.actions(BINDING), "update");
    plan.run
        .warning("Workspace storage will use a Microsoft-managed key");
    stage.workdir.apply();
    assert_eq!(
        stage.arm_text("/properties/parameters/encryption/value/keySource"),
        "Default"
    );
    assert_eq!(stage.arm_versions()[..2], [VERSION, VERSION]);
    stage.workdir.empty_plan();
}

/// The plan shows what another writer changes, and the apply puts it back.
#[test]
fn drift_is_put_back() {
    let stage = Stage::on_azure();
    stage.configure_azure(&resources(OWN_VAULT));
    stage.workdir.apply();
    stage
        .workdir
        .run(&["apply", "-refresh-only", "-auto-approve"]);
    // The key of the storage account is taken away.
    stage.azure(|azure| {
        let shown = &mut azure.workspace().unwrap().shown;
        shown["properties"]["parameters"]["encryption"]["value"] =
            json!({ "keySource": "Default" });
    });
    let plan = stage.workdir.plan();
    assert_eq!(plan.actions(BINDING), "update");
    assert_eq!(plan.actions("dbxcmk_key_policy.lakehouse"), "no-op");
    stage.workdir.apply();
    stage.workdir.empty_plan();
    // All keys are taken away, and a saved refresh has seen it: a binding without keys is not an import.
    stage.azure(|azure| {
        let shown = &mut azure.workspace().unwrap().shown;
        shown["properties"]["parameters"]["encryption"]["value"] =
            json!({ "keySource": "Default" });
        shown["properties"]["encryption"] = Json::Null;
    });
    let refresh = stage
        .workdir
        .run(&["apply", "-refresh-only", "-auto-approve"]);
    assert!(refresh.success, "{}", refresh.shown());
    let plan = stage.workdir.plan();
    assert_eq!(plan.actions(BINDING), "update");
    stage.workdir.apply();
    stage.workdir.empty_plan();
    // The access of AzureDatabricks is taken away.
    stage.azure(|azure| {
        azure
            .role_assignments
            .retain(|_, one| one["properties"]["principalId"] != DATABRICKS);
    });
    // A refresh that is saved does not make it silent.
    stage
        .workdir
        .run(&["apply", "-refresh-only", "-auto-approve"]);
    let run = stage.workdir.run(&["plan", "-json", "-input=false"]);
    let warning = run.warning("Workspaces cannot use the key main");
    assert!(warning.detail.contains(DATABRICKS), "{}", warning.detail);
    let plan = stage.workdir.plan();
    assert_eq!(plan.actions("dbxcmk_key_policy.lakehouse"), "update");
    stage.workdir.apply();
    assert!(stage.can_use(OWN_VAULT, DATABRICKS));
    stage.workdir.empty_plan();
    // The vault changes its model of access: the same access is given in the new one.
    stage.azure(|azure| {
        azure.vault(OWN_VAULT).unwrap()["properties"]["enableRbacAuthorization"] = json!(false);
    });
    let plan = stage.workdir.plan();
    assert_eq!(plan.actions("dbxcmk_key_policy.lakehouse"), "update");
    stage.workdir.apply();
    assert!(stage.can_use(OWN_VAULT, DATABRICKS));
    stage.workdir.empty_plan();
}

/// Objects that are there are imported, and the plan afterwards is empty; nothing is written.
#[test]
fn what_is_there_is_imported() {
    for vault in [OWN_VAULT, POLICY_VAULT] {
        let stage = Stage::on_azure();
        let named = resources(vault).but(
            &format!(
                "  azure = {{\n    key_vault_key_id = \"{}\"\n  }}",
                key_id(vault)
            ),
            &format!(
                "  azure = {{\n    key_vault_key_id = \"{}\"\n  }}",
                first_version(vault)
            ),
        );
        stage.configure_azure(&named);
        stage.workdir.apply();
        for address in [
            BINDING,
            "dbxcmk_key_policy.lakehouse",
            "dbxcmk_key_configuration.lakehouse",
        ] {
            stage.workdir.forget(address);
        }
        let before = stage.asked_times("PUT");
        let (key, policy) = (
            "dbxcmk_key_configuration.lakehouse",
            "dbxcmk_key_policy.lakehouse",
        );
        let id = format!("{},{},{}", key_id(vault), vault_id(vault), workspace_id());
        for (address, id, why) in [
            (
                key,
                format!("{}x", key_id(vault)),
                "The vault does not have the key",
            ),
            (
                key,
                format!("{}/{SECOND}", key_id(vault)),
                "does not have this version",
            ),
            (
                policy,
                id.replacen("/main,", "/mainx,", 1),
                "The vault does not have the key",
            ),
            (policy, format!("{id}x"), "Azure has no workspace"),
        ] {
            let run = stage
                .workdir
                .run(&["import", "-input=false", "-no-color", address, &id]);
            assert!(
                !run.success && run.output.contains(why),
                "{id}: {}",
                run.output
            );
        }
        stage
            .workdir
            .import("dbxcmk_key_configuration.lakehouse", &first_version(vault));
        let policy = format!("{},{},{}", key_id(vault), vault_id(vault), workspace_id());
        stage.workdir.import("dbxcmk_key_policy.lakehouse", &policy);
        stage.workdir.import(BINDING, &workspace_id());
        let plan = stage.workdir.plan();
        assert_eq!(plan.actions("dbxcmk_key_policy.lakehouse"), "no-op");
        // Use cases are not known to Azure: they are filled in place.
        assert_eq!(plan.actions("dbxcmk_key_configuration.lakehouse"), "update");
        // `settle_time`, which only tells the provider how to wait, is of the configuration alone.
        assert_eq!(plan.actions(BINDING), "update");
        stage.workdir.apply();
        stage.workdir.empty_plan();
        assert_eq!(stage.asked_times("PUT"), before, "nothing was written");
    }
}

/// A list shows what is there, and an import by identity adopts it.
#[test]
fn what_is_there_is_listed_and_imported_by_its_identity() {
    let stage = Stage::on_azure();
    stage.configure_azure(&resources(OWN_VAULT));
    stage.workdir.apply();
    if has("terraform query", (1, 14)) {
        let subscription = dbxcmk_sandbox::azure::SUBSCRIPTION;
        stage.workdir.write(
            "x.tfquery.hcl",
            &format!(
                "list \"dbxcmk_key_policy\" \"all\" {{\n  provider = dbxcmk\n  config {{\n    vault_resource_id = \"{}\"\n  }}\n}}\n\n\
                 list \"dbxcmk_workspace_binding\" \"all\" {{\n  provider = dbxcmk\n  config {{\n    azure_subscription_id = \"{subscription}\"\n  }}\n}}\n",
                vault_id(OWN_VAULT)
            ),
        );
        let run = stage.workdir.run(&["query", "-json"]);
        assert!(run.success, "{}", run.output);
        assert!(
            run.output
                .contains(&format!("\"key_vault_key_id\":\"{}\"", key_id(OWN_VAULT)))
                && run
                    .output
                    .contains(&format!("\"workspace_resource_id\":\"{}\"", workspace_id())),
            "{}",
            run.output
        );
        std::fs::remove_file(stage.workdir.path().join("x.tfquery.hcl")).unwrap();
    }
    if !has("import by identity", (1, 12)) {
        return;
    }
    for address in [BINDING, "dbxcmk_key_policy.lakehouse"] {
        stage.workdir.forget(address);
    }
    stage.configure_azure(&format!(
        "import {{\n  to = dbxcmk_key_policy.x\n  identity = {{\n    key_vault_key_id = \"{}\"\n    vault_resource_id = \"{}\"\n    \
         workspace_resource_id = \"{workspace}\"\n  }}\n}}\n\nimport {{\n  to = dbxcmk_workspace_binding.x\n  identity = {{\n    \
         workspace_resource_id = \"{workspace}\"\n  }}\n}}\n",
        key_id(OWN_VAULT),
        vault_id(OWN_VAULT),
        workspace = workspace_id()
    ));
    let run = stage.workdir.run(&[
        "plan",
        "-json",
        "-input=false",
        "-generate-config-out=generated.tf",
    ]);
    let file = stage.workdir.path().join("generated.tf");
    let generated = std::fs::read_to_string(&file).unwrap();
    if has("configuration that the provider generates", (1, 14)) {
        assert!(run.success, "{}", run.shown());
    } else {
        // An older Terraform writes everything that can be written; the error says what to take out.
        let error = run.error("Conflicting arguments: `workspace_id` and `azure`");
        assert!(
            error.detail.contains("Remove `workspace_id`"),
            "{}",
            error.detail
        );
        let lines = generated
            .lines()
            .filter(|line| !line.trim_start().starts_with("workspace_id "));
        std::fs::write(&file, lines.collect::<Vec<_>>().join("\n") + "\n").unwrap();
    }
    assert!(
        generated.contains("azure = {") && !generated.contains("aws = {"),
        "{generated}"
    );
    stage.workdir.apply();
    stage.workdir.empty_plan();
}

/// Access that was there before stays after a destroy, and is named.
#[test]
fn a_destroy_takes_only_what_was_given() {
    let policy = format!(
        "\nresource \"dbxcmk_key_policy\" \"x\" {{\n  use_cases = [\"MANAGED_SERVICES\"]\n  azure = {{\n    key_vault_key_id = \"{}\"\n    \
         vault_resource_id = \"{}\"\n  }}\n}}\n",
        key_id(POLICY_VAULT),
        vault_id(POLICY_VAULT)
    );
    let stage = Stage::on_azure();
    let foreign = json!({ "tenantId": TENANT, "objectId": "0e000000-0000-4000-8000-000000000001",
        "permissions": { "keys": ["get"], "secrets": ["list"], "certificates": [] } });
    stage.allow_databricks(POLICY_VAULT);
    stage.azure(|azure| {
        let shown = azure.vault(POLICY_VAULT).unwrap();
        shown["properties"]["accessPolicies"]
            .as_array_mut()
            .unwrap()
            .push(foreign.clone());
    });
    stage.configure_azure(&policy);
    stage.workdir.apply();
    assert_eq!(stage.asked_times("PUT"), 0, "it was there");
    let run = stage.workdir.destroy();
    run.warning("Some principals keep access to the key: this resource did not grant it");
    assert!(stage.can_use(POLICY_VAULT, DATABRICKS));
    // What this resource gives, it takes; what others have stays as it is.
    stage.azure(|azure| {
        let shown = azure.vault(POLICY_VAULT).unwrap();
        shown["properties"]["accessPolicies"] = json!([foreign.clone()]);
    });
    stage.workdir.apply();
    assert!(stage.can_use(POLICY_VAULT, DATABRICKS));
    stage.workdir.destroy();
    assert!(!stage.can_use(POLICY_VAULT, DATABRICKS));
    let left = stage
        .azure(|azure| azure.vault(POLICY_VAULT).unwrap()["properties"]["accessPolicies"].clone());
    assert_eq!(left, json!([foreign]));
    // The provider never touches a role assignment of others.
    let stage = Stage::on_azure();
    stage.assign(&vault_id(OWN_VAULT), ROLE, DATABRICKS);
    stage.configure_azure(&policy.but(POLICY_VAULT, OWN_VAULT));
    stage.workdir.apply();
    stage.workdir.destroy();
    assert!(stage.can_use(OWN_VAULT, DATABRICKS));
}

/// A workspace without classic compute needs managed services alone; the second workspace of a vault is another policy.
#[test]
fn managed_services_alone_need_one_call() {
    let stage = Stage::on_azure();
    stage.allow_databricks(OWN_VAULT);
    stage.configure_azure(&managed_services(&key_id(OWN_VAULT)));
    stage.workdir.apply();
    stage.workdir.empty_plan();
    assert_eq!(stage.asked_times("PUT"), 1);
    assert_eq!(stage.arm_versions(), [VERSION, "", ""]);
    let id = stage.workdir.attribute(BINDING, "/workspace_id");
    assert_eq!(id, dbxcmk_sandbox::azure::WORKSPACE.to_string());
    let run = stage.workdir.destroy();
    run.warning("The keys stay attached to the workspace");
    assert_eq!(stage.arm_versions(), [VERSION, "", ""]);
    // Nor does one stay attached to a workspace that is gone.
    stage.workdir.apply();
    stage.azure(|azure| azure.workspaces.clear());
    let all = managed_services(&key_id(OWN_VAULT));
    let (without, _) = all
        .split_once("resource \"dbxcmk_workspace_binding\"")
        .unwrap();
    stage.configure_azure(without);
    let shown = stage.workdir.plan().run.shown();
    assert!(!shown.contains("stay attached"), "{shown}");
}

/// Two bindings of one workspace are refused, however they write its ID.
#[test]
fn a_workspace_is_bound_once() {
    let stage = Stage::on_azure();
    stage.allow_databricks(OWN_VAULT);
    let twice = managed_services(&key_id(OWN_VAULT));
    let (_, binding) = twice
        .split_once("resource \"dbxcmk_workspace_binding\"")
        .unwrap();
    let second = format!(
        "resource \"dbxcmk_workspace_binding\"{}",
        binding.but("\"prod\"", "\"again\"")
    );
    stage.configure_azure(&format!(
        "{twice}{}",
        second.but("/resourceGroups/", "/resourcegroups/")
    ));
    stage
        .workdir
        .refused_plan()
        .error("The workspace is bound twice");
}

/// An ID that is written in another case is the same, and no change.
#[test]
fn equal_in_meaning_is_no_change() {
    let stage = Stage::on_azure();
    stage.configure_azure(&resources(OWN_VAULT));
    stage.workdir.apply();
    stage.configure_azure(
        &resources(OWN_VAULT)
            .but("/resourceGroups/", "/resourcegroups/")
            .but("Microsoft.KeyVault/vaults", "microsoft.keyvault/vaults"),
    );
    stage.workdir.empty_plan();
}

/// Access that was given by a change that failed afterwards is this resource's, also in a vault whose access policies carry no mark.
#[test]
fn what_a_failed_change_has_given_is_taken_back() {
    let stage = Stage::on_azure();
    let policy = |cases: &str| {
        format!(
            r#"
resource "dbxcmk_key_policy" "x" {{
  use_cases = [{cases}]
  azure = {{
    key_vault_key_id      = "{}"
    vault_resource_id     = "{}"
    workspace_resource_id = "{}"
  }}
}}
"#,
            key_id(POLICY_VAULT),
            vault_id(POLICY_VAULT),
            workspace_id()
        )
    };
    let policies = || {
        stage.azure(|azure| {
            let vault = azure.vault(POLICY_VAULT).unwrap();
            let all = vault["properties"]["accessPolicies"].as_array().unwrap();
            all.len()
        })
    };
    stage.configure_azure(&policy("\"MANAGED_SERVICES\""));
    stage.workdir.apply();
    assert_eq!(policies(), 1);
    stage.configure_azure(&policy("\"MANAGED_SERVICES\", \"STORAGE\""));
    let vault = format!("GET /arm{}", vault_id(POLICY_VAULT));
    stage
        .sandbox
        .inject(Fault::new(&vault, Effect::status(403)).after("accessPolicies/add"));
    stage
        .workdir
        .failed_apply()
        .error("The vault could not be read");
    assert_eq!(policies(), 2);
    stage.workdir.apply();
    stage.workdir.empty_plan();
    stage.workdir.destroy();
    assert_eq!(policies(), 0);
}

/// After a rotation of managed services, Databricks needs the former key for 24 hours. On Azure, only the state of the binding says so,
/// which may come before the policy is planned or after.
#[test]
fn the_former_key_of_a_rotation_is_kept() {
    let stage = Stage::on_azure();
    let policy = format!(
        r#"
resource "dbxcmk_key_policy" "old" {{
  use_cases = ["MANAGED_SERVICES"]
  azure = {{
    key_vault_key_id  = "{}"
    vault_resource_id = "{}"
  }}
}}
"#,
        key_id(OWN_VAULT),
        vault_id(OWN_VAULT)
    );
    stage.allow_databricks(POLICY_VAULT);
    let before = managed_services(&key_id(OWN_VAULT)).but(
        "  settle_time",
        "  depends_on  = [dbxcmk_key_policy.old]\n  settle_time",
    );
    stage.configure_azure(&format!("{policy}{before}"));
    stage.workdir.apply();
    let after = managed_services(&key_id(POLICY_VAULT));
    stage.configure_azure(&format!("{policy}{after}"));
    stage.workdir.apply();
    stage.configure_azure(&after);
    // One resource at a time, the policy comes first.
    for parallelism in ["10", "1"] {
        let run = stage.workdir.run(&[
            "plan",
            "-input=false",
            "-json",
            &format!("-parallelism={parallelism}"),
        ]);
        let error = run.error("Databricks still needs the former key");
        assert!(
            error.detail.contains(&key_id(OWN_VAULT)) && error.detail.contains("force_destroy"),
            "{}",
            error.detail
        );
        assert_eq!(run.errors(), 1, "{}", run.shown());
    }
}

/// Two workspaces with one key: each has its policy, and either can go. In two states, what the other one gave is not touched. With access
/// policies, the same goes for two keys of one vault.
#[test]
fn two_policies_share_a_principal() {
    const SECOND_WORKSPACE: &str = "/subscriptions/5ab5c7f1-0000-4000-8000-000000000001/resourceGroups/second/providers/Microsoft.Databricks/workspaces/second";
    const STAYS: &str = "Some principals keep access to the key: this resource did not grant it";
    let stage = Stage::on_azure();
    stage.azure(|azure| {
        azure.add_workspace(SECOND_WORKSPACE, 42);
        azure.add_key(POLICY_VAULT, "other", VERSION);
    });
    let policy = |name: &str, key: &str, vault: &str, workspace: &str| {
        format!(
            "\nresource \"dbxcmk_key_policy\" \"{name}\" {{\n  use_cases = [\"MANAGED_SERVICES\"]\n  azure = {{\n    key_vault_key_id = \
             \"{key}\"\n    vault_resource_id = \"{}\"\n    workspace_resource_id = \"{workspace}\"\n  }}\n}}\n",
            vault_id(vault)
        )
    };
    let own = |name: &str, workspace: &str| policy(name, &key_id(OWN_VAULT), OWN_VAULT, workspace);
    let (first, second) = (own("a", &workspace_id()), own("b", SECOND_WORKSPACE));
    let binding = managed_services(&key_id(OWN_VAULT)).but(
        "  settle_time",
        "  depends_on  = [dbxcmk_key_policy.a]\n  settle_time",
    );
    let can = || stage.can_use(OWN_VAULT, DATABRICKS);
    stage.configure_azure(&second);
    stage.workdir.apply();
    let other = acceptance_tests::harness::Workdir::new(&stage.sandbox);
    let head = acceptance_tests::azure::provider(&stage.sandbox, other.path(), "");
    for workspace in [workspace_id(), SECOND_WORKSPACE.to_owned()] {
        other.configuration(&format!("{head}{}", own("x", &workspace)));
        other.apply();
        other.apply();
        other.destroy().warning(STAYS);
        assert!(can(), "another state gave it");
    }
    stage.configure_azure(&format!("{first}{second}{binding}"));
    stage.workdir.apply();
    stage.configure_azure(&format!("{first}{binding}"));
    stage.workdir.apply();
    assert!(can(), "the workspace of the other one needs it");
    stage.workdir.empty_plan();
    let renamed = format!("{first}{binding}")
        .but("dbxcmk_key_policy\" \"a\"", "dbxcmk_key_policy\" \"c\"")
        .but("dbxcmk_key_policy.a", "dbxcmk_key_policy.c");
    stage.configure_azure(&renamed);
    stage.workdir.apply();
    assert!(can(), "another name");
    stage.workdir.empty_plan();
    // Another key, while the workspace uses this one.
    let moved = renamed
        .replacen(&key_id(OWN_VAULT), &key_id(POLICY_VAULT), 1)
        .replacen(&vault_id(OWN_VAULT), &vault_id(POLICY_VAULT), 1);
    stage.configure_azure(&moved);
    let run = stage.workdir.refused_plan();
    let error = run.error("Workspaces need this access to the key");
    assert!(
        error.detail.contains("Changing the key")
            && error.detail.contains(&workspace_id())
            && error.detail.contains("the application AzureDatabricks"),
        "{}",
        error.detail
    );
    // A user who agrees gets a warning.
    let head = "dbxcmk_key_policy\" \"c\" {";
    stage.configure_azure(&renamed.but(head, &format!("{head}\n  force_destroy = true")));
    stage
        .workdir
        .apply()
        .warning("Workspaces can lose access to the key main");
    stage
        .workdir
        .destroy()
        .warning("Workspaces lose access to the key main");
    assert!(!can(), "the last one takes it away");

    let stage = Stage::on_azure();
    stage.azure(|azure| azure.add_key(POLICY_VAULT, "other", VERSION));
    let key = key_id(POLICY_VAULT);
    let one = policy("a", &key, POLICY_VAULT, &workspace_id());
    let two = policy(
        "b",
        &key.but("/main", "/other"),
        POLICY_VAULT,
        &workspace_id(),
    );
    stage.configure_azure(&two);
    stage.workdir.apply();
    stage.configure_azure(&format!("{one}{two}"));
    stage.workdir.apply();
    stage.configure_azure(&one);
    stage.workdir.apply();
    assert!(stage.can_use(POLICY_VAULT, DATABRICKS));
    stage.workdir.empty_plan();
}

/// Two states with a key policy for the same workspace: the second one found there what the first one gave, and takes none of it. While the
/// workspace uses the key, nothing of it is refused either.
#[test]
fn what_another_state_gave_stays() {
    for vault in [OWN_VAULT, POLICY_VAULT, HSM] {
        let stage = Stage::on_azure();
        stage.configure_azure(&resources(vault));
        stage.workdir.apply();
        let other = acceptance_tests::harness::Workdir::new(&stage.sandbox);
        let head = acceptance_tests::azure::provider(&stage.sandbox, other.path(), "");
        let all = resources(vault);
        let (policy, _) = all
            .split_once("resource \"dbxcmk_key_configuration\"")
            .unwrap();
        other.configuration(&format!("{head}{policy}"));
        other.apply();
        other.empty_plan();
        let run = other.destroy();
        run.warning("Some principals keep access to the key: this resource did not grant it");
        let storage = stage.arm_text("/properties/storageAccountIdentity/principalId");
        let disks = stage.arm_text("/properties/managedDiskIdentity/principalId");
        for principal in [DATABRICKS, &storage, &disks] {
            assert!(stage.can_use(vault, principal), "{vault} {principal}");
        }
        stage.workdir.empty_plan();
    }
}

/// The disk encryption set loses its access, which the binding gave: the plan reports it and gives it back. A binding that must not give it reports
/// what that means.
#[test]
fn the_disk_encryption_set_keeps_its_access() {
    let stage = Stage::on_azure();
    let all = resources(OWN_VAULT).replacen("\"MANAGED_DISKS\", ", "", 1);
    stage.configure_azure(&all);
    stage.workdir.apply();
    stage.workdir.empty_plan();
    let disks = stage.arm_text("/properties/managedDiskIdentity/principalId");
    let take = || {
        stage.azure(|azure| {
            azure
                .role_assignments
                .retain(|_, one| one["properties"]["principalId"] != disks.as_str());
        });
    };
    take();
    // A refresh that is saved does not make it silent.
    for _ in 0..2 {
        let run = stage.workdir.run(&["plan", "-json", "-input=false"]);
        let warning = run.warning("A principal that needs the key is not allowed to use it");
        assert!(
            warning.detail.contains(&disks) && warning.detail.contains("this binding gives"),
            "{}",
            warning.detail
        );
        let run = ["apply", "-refresh-only", "-auto-approve"];
        assert!(stage.workdir.run(&run).success);
    }
    let plan = stage.workdir.plan();
    assert_eq!(plan.actions(BINDING), "update");
    assert_eq!(plan.actions("dbxcmk_key_policy.lakehouse"), "no-op");
    stage.workdir.apply();
    assert!(stage.can_use(OWN_VAULT, &disks));
    stage.workdir.empty_plan();
    take();
    let denied = "  azure = {\n    grant_managed_disks_access = false\n    workspace_resource_id =";
    let (policy, binding) = all.split_once("\"dbxcmk_workspace_binding\"").unwrap();
    let binding = binding.replacen("  azure = {\n    workspace_resource_id =", denied, 1);
    stage.configure_azure(&format!("{policy}\"dbxcmk_workspace_binding\"{binding}"));
    let run = stage.workdir.apply();
    let warning = run.warning("A principal that needs the key is not allowed to use it");
    assert!(
        warning.detail.contains("clusters do not start"),
        "{}",
        warning.detail
    );
    // Where access counts for one key, the error does not speak of the whole vault.
    stage.configure_azure(&all.replacen(", \"STORAGE\"", "", 1));
    let run = stage.workdir.refused_plan();
    let error = run.error("Workspaces need this access to the key");
    assert!(
        !error.detail.contains("access policies"),
        "{}",
        error.detail
    );
}

/// Two workspaces with one key and keys for storage: neither has the identity that needs it yet, and one plan and one apply do it all. A
/// further one comes later. Who takes a versionless key for the version that a workspace has changes nothing.
#[test]
fn workspaces_share_a_key_from_nothing() {
    let stage = Stage::on_azure();
    let id = |name: &str| workspace_id().but("lakehouse-azure", name);
    stage.azure(|azure| {
        azure.add_workspace(&id("second"), 42);
        azure.add_workspace(&id("third"), 43);
    });
    let of = |names: &[&str]| {
        let ids: Vec<String> = names
            .iter()
            .map(|name| format!("\"{}\"", id(name)))
            .collect();
        resources(OWN_VAULT)
            .but(
                "  use_cases = [\"MANAGED_SERVICES\", \"MANAGED_DISKS\", \"STORAGE\"]\n  azure = {\n    key_vault_key_id      =",
                &format!(
                    "  for_each  = toset([{}])\n  use_cases = [\"MANAGED_SERVICES\", \"MANAGED_DISKS\", \"STORAGE\"]\n  azure = {{\n    \
                     key_vault_key_id      =",
                    ids.join(", ")
                ),
            )
            .but(
                "\"dbxcmk_workspace_binding\" \"prod\" {",
                "\"dbxcmk_workspace_binding\" \"prod\" {\n  for_each = dbxcmk_key_policy.lakehouse",
            )
            .but(&format!("\"{}\"\n  }}", workspace_id()), "each.key\n  }")
            .but("\n  depends_on = [dbxcmk_key_policy.lakehouse]", "")
    };
    let depends = "\"dbxcmk_key_configuration\" \"lakehouse\" {\n  depends_on = [dbxcmk_key_policy.lakehouse]";
    let of =
        |names: &[&str]| of(names).but("\"dbxcmk_key_configuration\" \"lakehouse\" {", depends);
    stage.configure_azure(&of(&["lakehouse-azure", "second"]));
    stage.workdir.apply();
    stage.workdir.empty_plan();
    stage.configure_azure(&of(&["lakehouse-azure", "second", "third"]));
    stage.workdir.apply();
    stage.workdir.empty_plan();
    let address = format!("dbxcmk_workspace_binding.prod[\"{}\"]", id("second"));
    stage.workdir.forget(&address);
    stage.workdir.import(&address, &id("second"));
    let plan = stage.workdir.plan();
    assert_eq!(plan.actions(&address), "update", "settle_time alone");
    let imported = stage.workdir.state(&address);
    let key = json!(format!("{}/{VERSION}", key_id(OWN_VAULT)));
    assert_eq!(imported["storage_key_configuration_id"], key);
    stage.workdir.apply();
    assert_eq!(
        stage.workdir.state(&address)["storage_key_configuration_id"],
        key
    );
    stage.workdir.empty_plan();
}

/// A binding that names no key policy is not judged by that of another workspace: it waits for its own, in whatever order Terraform visits them.
#[test]
fn the_policy_of_another_workspace_does_not_speak_for_a_binding() {
    let stage = Stage::on_azure();
    let second = workspace_id().but("lakehouse-azure", "second");
    stage.azure(|azure| azure.add_workspace(&second, 42));
    let first = resources(OWN_VAULT).but("\n  depends_on = [dbxcmk_key_policy.lakehouse]", "");
    let (policy, rest) = first
        .split_once("\nresource \"dbxcmk_key_configuration\"")
        .unwrap();
    let (_, binding) = rest
        .split_once("\nresource \"dbxcmk_workspace_binding\"")
        .unwrap();
    let other = format!("{policy}\nresource \"dbxcmk_workspace_binding\"{binding}")
        .but("\"lakehouse\" {", "\"other\" {")
        .but("\"prod\"", "\"other\"")
        .but(&workspace_id(), &second)
        .replacen("{", "{\n  depends_on = [dbxcmk_workspace_binding.prod]", 1);
    stage.configure_azure(&format!("{first}{other}"));
    stage.workdir.plan();
    stage.workdir.apply();
    stage.workdir.empty_plan();
}

/// A key in another case is the same key: nothing is planned, refused or taken away, and a name in capitals is attached as written.
#[test]
fn a_key_in_another_case_is_the_same_key() {
    let stage = Stage::on_azure();
    let (lower, upper) = (
        key_id(OWN_VAULT),
        key_id(OWN_VAULT).but("/keys/main", "/keys/MAIN"),
    );
    let (policy, rest) = resources(OWN_VAULT)
        .split_once("\nresource \"dbxcmk_key_configuration\"")
        .map(|(policy, rest)| (policy.to_owned(), rest.to_owned()))
        .unwrap();
    let mixed = |of_policy: &str, of_rest: &str| {
        format!(
            "{}\nresource \"dbxcmk_key_configuration\"{}",
            policy.but(&lower, of_policy),
            rest.but(&lower, of_rest)
        )
    };
    stage.configure_azure(&mixed(&upper, &lower));
    stage.workdir.apply();
    stage.workdir.empty_plan();
    stage.configure_azure(&mixed(&lower, &upper));
    let plan = stage.workdir.plan();
    for address in [
        "dbxcmk_key_policy.lakehouse",
        "dbxcmk_workspace_binding.prod",
    ] {
        assert_ne!(plan.actions(address), "delete,create", "{address}");
    }
    stage.workdir.apply();
    stage.workdir.empty_plan();
    assert!(stage.can_use(OWN_VAULT, DATABRICKS));
}
