//! Azure: from nothing to a workspace with keys for all three features, in each model of access, and back.

use acceptance_tests::azure::{OWN_VAULT, resources};
use acceptance_tests::stage::Stage;
use dbxcmk_sandbox::azure::{DATABRICKS, HSM, POLICY_VAULT, VERSION};
use serde_json::Value as Json;

mod clients;
mod life;
mod proof;
mod review;
mod surroundings;
mod switch;
mod trouble;
mod versions;

/// One apply ends with all three features on, although identities appear only on the way; and a second plan is empty.
fn everything_in_one_apply_from_nothing(vault: &str, model: &str) {
    let stage = Stage::on_azure();
    let workdir = &stage.workdir;
    stage.configure_azure(&resources(vault));
    workdir.validate();
    let plan = workdir.plan();
    for address in [
        "dbxcmk_key_policy.lakehouse",
        "dbxcmk_key_configuration.lakehouse",
        "dbxcmk_workspace_binding.prod",
    ] {
        assert_eq!(plan.actions(address), "create", "{address}");
    }
    assert!(plan.is_unknown("dbxcmk_key_configuration.lakehouse", "/azure/key_version"));
    assert!(plan.is_unknown("dbxcmk_key_policy.lakehouse", "/azure/principals"));
    workdir.apply();
    let policy = workdir.state("dbxcmk_key_policy.lakehouse");
    assert_eq!(policy["azure"]["access_model"], model);
    assert_eq!(stage.arm_versions(), [VERSION, VERSION, VERSION]);
    let storage = stage.arm_text("/properties/storageAccountIdentity/principalId");
    let disks = stage.arm_text("/properties/managedDiskIdentity/principalId");
    for principal in [DATABRICKS, &storage, &disks] {
        assert!(stage.can_use(vault, principal), "{principal}");
    }
    assert_eq!(
        stage.azure(|azure| azure.lost.clone()),
        Vec::<String>::new()
    );
    workdir.empty_plan();
    let mut principals: Vec<String> = serde_json::from_value(
        workdir.state("dbxcmk_key_policy.lakehouse")["azure"]["principals"].clone(),
    )
    .unwrap();
    // The access of the disk encryption set, which the binding gave, is adopted at the next read.
    workdir.run(&["apply", "-refresh-only", "-auto-approve"]);
    let mut adopted: Vec<String> = serde_json::from_value(
        workdir.state("dbxcmk_key_policy.lakehouse")["azure"]["principals"].clone(),
    )
    .unwrap();
    principals.push(disks.clone());
    principals.sort();
    adopted.sort();
    assert_eq!(adopted, principals);
    workdir.empty_plan();
    // A workspace that is there needs all of it.
    workdir
        .refused_destroy()
        .error("Workspaces need this access to the key");
    stage.azure(|azure| azure.workspaces.clear());
    let run = workdir.run(&["destroy", "-auto-approve", "-refresh=false", "-no-color"]);
    assert!(run.success, "{}", run.output);
    assert_eq!(workdir.addresses(), Vec::<String>::new());
    for principal in [DATABRICKS, &storage, &disks] {
        assert!(!stage.can_use(vault, principal), "{principal}");
    }
}

#[test]
fn with_role_assignments() {
    everything_in_one_apply_from_nothing(OWN_VAULT, "role_assignment");
}

#[test]
fn with_access_policies() {
    everything_in_one_apply_from_nothing(POLICY_VAULT, "access_policy");
}

#[test]
fn with_local_roles_of_a_managed_hsm() {
    everything_in_one_apply_from_nothing(HSM, "hsm_local_role");
}

#[test]
fn what_the_api_has_goes_back_as_it_came() {
    let stage = Stage::on_azure();
    let before = stage.arm_workspace();
    stage.configure_azure(&resources(OWN_VAULT));
    stage.workdir.apply();
    let mut after = stage.arm_workspace();
    let properties = after["properties"].as_object_mut().unwrap();
    for name in [
        "encryption",
        "storageAccountIdentity",
        "managedDiskIdentity",
        "diskEncryptionSetId",
    ] {
        assert!(properties.remove(name).is_some(), "{name}");
    }
    let parameters = properties["parameters"].as_object_mut().unwrap();
    assert!(parameters.remove("encryption").is_some());
    assert_eq!(parameters["prepareEncryption"]["value"], Json::Bool(true));
    parameters["prepareEncryption"]["value"] = Json::Bool(false);
    assert_eq!(after, before);
}
