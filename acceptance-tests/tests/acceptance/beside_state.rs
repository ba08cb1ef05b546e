//! What the provider keeps beside the attributes of an object, when it can no longer read it: it reports that, and does nothing that
//! depends on it in silence, nor leaves it undone.

use acceptance_tests::google::{self, KEY, ROLE, resources};
use acceptance_tests::harness::Workdir;
use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::stage::Stage;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dbxcmk_sandbox::azure::{DATABRICKS, POLICY_VAULT, key_id, vault_id};
use serde_json::{Value as Json, json};

const UNREADABLE: &str = "Part of the state cannot be read";

/// Replaces an entry that the provider left beside the state of a resource. There must be one before.
fn replace(workdir: &Workdir, kind: &str, entry: &str, with: &Json) {
    let text = std::fs::read_to_string(workdir.path().join("terraform.tfstate")).unwrap();
    let mut state: Json = serde_json::from_str(&text).unwrap();
    let resources = state["resources"].as_array_mut().unwrap();
    let mut own = resources.iter_mut().filter(|one| one["type"] == kind);
    let instance = &mut own.next().unwrap()["instances"][0];
    let bytes = STANDARD
        .decode(instance["private"].as_str().unwrap())
        .unwrap();
    let mut private: Json = serde_json::from_slice(&bytes).unwrap();
    assert!(!private[entry].is_null(), "{private}");
    private[entry] = with.clone();
    instance["private"] = json!(STANDARD.encode(private.to_string()));
    workdir.write("terraform.tfstate", &state.to_string());
}

#[test]
fn members_that_google_has_stay_and_that_is_said() {
    let stage = Stage::on_google();
    stage.configure(&format!(
        r#"
resource "dbxcmk_key_policy" "x" {{
  use_cases = ["STORAGE"]
  gcp = {{
    kms_key_id               = "{KEY}"
    workspace_project_number = "123456789012"
  }}
}}
"#
    ));
    stage.workdir.apply();
    let there = stage.members(KEY, ROLE);
    assert_eq!(there, [google::COMPUTE, google::STORAGE]);
    replace(
        &stage.workdir,
        "dbxcmk_key_policy",
        "added",
        &json!({ "by": "another version" }),
    );
    let run = stage.workdir.destroy();
    let warning = run.warning(UNREADABLE);
    assert!(
        warning.detail.contains(KEY)
            && warning.detail.contains("`added`")
            && warning.detail.contains("removes none of them"),
        "{}",
        warning.detail
    );
    assert_eq!(stage.members(KEY, ROLE), there);
}

#[test]
fn access_that_azure_has_stays_and_that_is_said() {
    let stage = Stage::on_azure();
    let policy = format!(
        r#"
resource "dbxcmk_key_policy" "x" {{
  use_cases = ["MANAGED_SERVICES"]
  azure = {{
    key_vault_key_id  = "{}"
    vault_resource_id = "{}"
  }}
}}
"#,
        key_id(POLICY_VAULT),
        vault_id(POLICY_VAULT)
    );
    stage.configure_azure(&policy);
    for (with, summary, stays) in [
        (json!(7), UNREADABLE, true),
        (
            json!([DATABRICKS, "somebody"]),
            "Access to the key may stay",
            false,
        ),
    ] {
        stage.workdir.apply();
        assert!(stage.can_use(POLICY_VAULT, DATABRICKS));
        replace(&stage.workdir, "dbxcmk_key_policy", "added", &with);
        let run = stage.workdir.destroy();
        let warning = run.warning(summary);
        assert!(
            warning.detail.contains(&key_id(POLICY_VAULT)),
            "{}",
            warning.detail
        );
        assert_eq!(
            stage.can_use(POLICY_VAULT, DATABRICKS),
            stays,
            "{summary}\n{}",
            run.shown()
        );
        if stays {
            stage.azure(|azure| {
                let vault = azure.vault(POLICY_VAULT).unwrap();
                vault["properties"]["accessPolicies"] = json!([]);
            });
        }
    }
}

/// The key that a rotation took from a workspace is protected for 24 hours by what stands beside the binding's state.
#[test]
fn a_former_key_that_cannot_be_read_is_said() {
    let stage = Stage::on_google();
    let second = KEY.but("/main", "/second");
    stage.google(|google| {
        let key = google.keys[KEY].clone();
        google.keys.insert(second.clone(), key);
    });
    stage.configure(&resources());
    stage.workdir.apply();
    let more = resources()
        .but("\"lakehouse\" {", "\"second\" {")
        .but(".lakehouse.", ".second.")
        .but(KEY, &second);
    let (more, _) = more
        .split_once("resource \"dbxcmk_workspace_binding\"")
        .unwrap();
    let rotated = format!("{}{more}", resources())
        .but(
            "managed_services_key_configuration_id = dbxcmk_key_configuration.lakehouse.id",
            "managed_services_key_configuration_id = dbxcmk_key_configuration.second.id",
        )
        .but(
            "depends_on = [dbxcmk_key_policy.lakehouse]",
            "depends_on = [dbxcmk_key_policy.lakehouse, dbxcmk_key_policy.second]",
        );
    stage.configure(&rotated);
    stage.workdir.apply();
    replace(
        &stage.workdir,
        "dbxcmk_workspace_binding",
        "rotated",
        &json!("long ago"),
    );
    let run = stage.workdir.empty_plan();
    let warning = run.warning(UNREADABLE);
    assert!(warning.detail.contains("24 hours"), "{}", warning.detail);
}
