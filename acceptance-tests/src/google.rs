//! What a test needs of the sandbox's Google Cloud.

#![allow(
    clippy::expect_used,
    missing_docs,
    reason = "for tests: what does not go as told has to fail the test"
)]

use dbxcmk_sandbox::gcp::{self, CryptoKey, Google};
use dbxcmk_sandbox::{Options, REGION, Sandbox};
use serde_json::Value as Json;

use crate::harness::Workdir;
use crate::kms::Kms;
use crate::stage::Stage;

/// The key that the tests use.
pub const KEY: &str =
    "projects/acme-lakehouse/locations/us-east4/keyRings/lakehouse/cryptoKeys/main";
/// The role with both rights.
pub const ROLE: &str = "roles/cloudkms.cryptoKeyEncrypterDecrypter";
pub const COMPUTE: &str =
    "serviceAccount:service-123456789012@compute-system.iam.gserviceaccount.com";
pub const STORAGE: &str =
    "serviceAccount:service-123456789012@gs-project-accounts.iam.gserviceaccount.com";

impl Stage {
    /// A sandbox with a workspace on Google Cloud, and a key in its region.
    pub fn on_google() -> Self {
        let sandbox = Sandbox::start(Options {
            google: true,
            ..Options::default()
        })
        .expect("a sandbox");
        let stage = Self {
            kms: Kms::new(&sandbox.url(), REGION),
            workdir: Workdir::new(&sandbox),
            sandbox,
        };
        stage.google(|google| {
            google.rings.insert(
                KEY.split_once("/cryptoKeys/")
                    .map_or(KEY, |(ring, _)| ring)
                    .to_owned(),
            );
            let mut key = CryptoKey::new("ENCRYPT_DECRYPT");
            key.fields
                .insert("rotationPeriod".to_owned(), Json::from("7776000s"));
            google.keys.insert(KEY.to_owned(), key);
        });
        stage
    }

    /// Reads or changes what there is of Google Cloud.
    pub fn google<T>(&self, f: impl FnOnce(&mut Google) -> T) -> T {
        self.sandbox.with(|world| f(&mut world.now.google))
    }

    /// The members that have a role on a key without a condition.
    pub fn members(&self, key: &str, role: &str) -> Vec<String> {
        self.google(|google| {
            let policy = google.policies.get(key).cloned().unwrap_or_default();
            let bindings = policy.fields.get("bindings").and_then(Json::as_array);
            bindings
                .into_iter()
                .flatten()
                .filter(|one| one.get("role").is_some_and(|own| own == role))
                .filter(|one| one.get("condition").is_none())
                .flat_map(|one| {
                    one.get("members")
                        .and_then(Json::as_array)
                        .cloned()
                        .unwrap_or_default()
                })
                .filter_map(|member| member.as_str().map(str::to_owned))
                .collect()
        })
    }

    /// Changes the key that the tests use.
    pub fn change_key(&self, change: impl FnOnce(&mut CryptoKey)) {
        self.google(|google| change(google.keys.get_mut(KEY).expect("the key")));
    }

    /// The states of the versions of the key that the tests use.
    pub fn versions(&self) -> Vec<String> {
        self.google(|google| {
            let versions = google.keys.get(KEY).map(|key| key.versions.clone());
            versions
                .unwrap_or_default()
                .into_iter()
                .map(|version| version.state)
                .collect()
        })
    }
}

/// The configuration, the policy and the binding of a workspace on Google Cloud.
pub fn resources() -> String {
    let workspace = gcp::WORKSPACE;
    format!(
        r#"
resource "dbxcmk_key_configuration" "lakehouse" {{
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  gcp = {{
    kms_key_id = "{KEY}"
    manual     = true
  }}
}}

resource "dbxcmk_key_policy" "lakehouse" {{
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  gcp = {{
    kms_key_id                  = "{KEY}"
    databricks_service_accounts = [dbxcmk_key_configuration.lakehouse.gcp.service_account_email]
    workspace_project_number    = "123456789012"
  }}
}}

resource "dbxcmk_workspace_binding" "prod" {{
  workspace_id                          = "{workspace}"
  managed_services_key_configuration_id = dbxcmk_key_configuration.lakehouse.id
  storage_key_configuration_id          = dbxcmk_key_configuration.lakehouse.id
  settle_time                           = "0s"

  depends_on = [dbxcmk_key_policy.lakehouse]
}}
"#
    )
}
