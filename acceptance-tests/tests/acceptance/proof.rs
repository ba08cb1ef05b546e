//! The attribute `proof`: a plan that passes shows what is proven, the apply keeps it, the review repeats it, and no later plan changes it.

use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::stage::{Over, Stage};
use acceptance_tests::{azure, google};
use dbxcmk_sandbox::WORKSPACE;

use crate::review::reviewed;

const CONFIGURATION: &str = "dbxcmk_key_configuration.lakehouse";
const BINDING: &str = "dbxcmk_workspace_binding.prod";

/// What a plan shows of the proof of a resource, if it is known.
fn planned(stage: &Stage, address: &str) -> Option<String> {
    let plan = stage.workdir.plan();
    match plan.is_unknown(address, "/proof") {
        true => None,
        false => plan.after(address, "/proof").as_str().map(str::to_owned),
    }
}

/// The same lines at plan, after the apply and in the review; then no plan changes them. `is_known`: whether the binding knows its keys at plan.
fn holds(stage: &Stage, key: &str, is_known: bool) {
    let shown = planned(stage, CONFIGURATION).expect("the key is known at plan");
    assert!(shown.starts_with(&format!("Key: {key}, for ")), "{shown}");
    assert!(shown.contains("\nNot examined: "), "{shown}");
    assert_eq!(planned(stage, BINDING).is_some(), is_known);
    let (review, _) = reviewed(
        &stage.workdir.plan().json.to_string(),
        &["--format", "text"],
    );
    assert!(
        review.contains("What the provider proves before it acts"),
        "{review}"
    );
    assert!(
        review.contains(&format!("    Key: {key}, for ")),
        "{review}"
    );
    stage.workdir.apply();
    assert_eq!(stage.workdir.attribute(CONFIGURATION, "/proof"), shown);
    let attached = stage.workdir.attribute(BINDING, "/proof");
    assert!(
        attached.starts_with(&format!("Key: {key}, for ")),
        "{attached}"
    );
    stage.workdir.empty_plan();
}

fn on_aws(key: &str) -> String {
    format!(
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
  settle_time                           = "0s"
}}
"#
    )
}

#[test]
fn a_plan_that_passes_shows_the_proof_on_aws() {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.good_key();
    stage.configure(&on_aws(&key));
    holds(&stage, &key, false);
    // What only tells the provider how to wait, and what it ignores, changes nothing of it.
    stage.configure(&on_aws(&key).but("\"0s\"", "\"1s\""));
    let before = stage.workdir.attribute(BINDING, "/proof");
    assert_eq!(planned(&stage, BINDING), Some(before));
    // Another use case of the binding, with a configuration that is there: known at plan.
    let both = "  storage_key_configuration_id          = dbxcmk_key_configuration.lakehouse.id\n  settle_time";
    stage.configure(&on_aws(&key).but("  settle_time", both));
    let shown = planned(&stage, BINDING).expect("the configuration is there");
    assert!(shown.contains("for managed services and "), "{shown}");
    assert!(shown.contains("kms:GenerateDataKey"), "{shown}");
    stage.workdir.apply();
    assert_eq!(stage.workdir.attribute(BINDING, "/proof"), shown);
    stage.workdir.empty_plan();
}

/// Who turns the proof into warnings, or ignores some of it, reads that beside what is proven.
#[test]
fn what_does_not_stop_the_apply_is_said() {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.good_key();
    let ignoring = "  ignore_findings = [\"kms-key-no-rotation\"]\n  aws = {";
    stage.configure(&on_aws(&key).but("  aws = {", ignoring));
    let shown = planned(&stage, CONFIGURATION).expect("known");
    assert!(shown.ends_with("\nIgnored: kms-key-no-rotation"), "{shown}");
}

#[test]
fn a_plan_that_passes_shows_the_proof_on_google() {
    let stage = Stage::on_google();
    stage.configure(&google::resources());
    holds(&stage, google::KEY, false);
}

#[test]
fn a_plan_that_passes_shows_the_proof_on_azure() {
    let stage = Stage::on_azure();
    stage.configure_azure(&azure::resources(azure::OWN_VAULT));
    let key = dbxcmk_sandbox::azure::key_id(azure::OWN_VAULT);
    holds(&stage, &key, true);
}
