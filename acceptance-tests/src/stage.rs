//! The stage of a test: a sandbox, a KMS, a directory with a configuration.

#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "for tests: what does not go as told has to fail the test"
)]

use std::time::Duration;

use crate::harness::{Run, Workdir};
use crate::kms::Kms;
use crate::localstack;
use dbxcmk_sandbox::{ACCOUNT_ID, Options, REGION, Sandbox, WORKSPACE};
use serde_json::{Value as Json, json};

/// Whose KMS a test works with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    Sandbox,
    LocalStack,
}

/// Makes of each function that takes an [`Over`] two tests.
#[macro_export]
macro_rules! over_both {
    ($($name:ident),* $(,)?) => {
        mod over_sandbox_kms {
            $(#[test] fn $name() { super::$name($crate::stage::Over::Sandbox); })*
        }
        mod over_localstack {
            $(#[test] fn $name() { super::$name($crate::stage::Over::LocalStack); })*
        }
    };
}
pub use crate::hcl::{HEAD, HEAD_WITH_AWS};
pub use crate::over_both;

pub struct Stage {
    pub sandbox: Sandbox,
    pub kms: Kms,
    pub workdir: Workdir,
}

impl Stage {
    pub fn new(over: Over) -> Self {
        let kms_endpoint = (over == Over::LocalStack).then(localstack::endpoint);
        let sandbox = Sandbox::start(Options {
            kms_endpoint: kms_endpoint.clone(),
            ..Options::default()
        })
        .expect("a sandbox");
        let kms = Kms::new(&kms_endpoint.unwrap_or_else(|| sandbox.url()), REGION);
        let workdir = Workdir::new(&sandbox);
        Self {
            sandbox,
            kms,
            workdir,
        }
    }

    /// The configuration from now on, without hashicorp/aws.
    pub fn configure(&self, body: &str) {
        self.workdir.configuration(&format!("{HEAD}{body}"));
    }

    /// A key that Databricks may use for everything.
    pub fn good_key(&self) -> String {
        let key = self.kms.create_key(&json!({}));
        self.kms
            .put_policy(&key, &policy(&key, &[MANAGED_SERVICES, STORAGE]));
        key
    }

    /// The requests to the sandbox whose operations contain every word.
    pub fn asked(&self, words: &str) -> Vec<Json> {
        let all = self.sandbox.requests().into_iter();
        let fits = |operation: &str| {
            words
                .split_whitespace()
                .all(|word| operation.contains(word))
        };
        all.filter(|record| fits(&record.operation))
            .map(|record| record.body)
            .collect()
    }

    /// The configurations that the account has.
    pub fn configurations(&self) -> Vec<Json> {
        self.sandbox
            .with(|world| world.now.configurations.values().cloned().collect())
    }

    /// Workspaces 1 to `many`, each like the one that the sandbox begins with.
    pub fn workspaces(&self, many: u64) {
        self.sandbox.with(|world| {
            let template = world.workspace(WORKSPACE).clone();
            for number in 1..=many {
                let mut workspace = template.clone();
                workspace
                    .fields
                    .insert("workspace_id".to_owned(), Json::from(number));
                *world.workspace(number) = workspace;
            }
        });
    }

    /// A field of a workspace, as the account has it.
    pub fn workspace_field(&self, id: u64, field: &str) -> Json {
        self.sandbox.with(|world| {
            let workspace = &world.now.workspaces[&id];
            let pending = workspace
                .update
                .as_ref()
                .filter(|update| update.stays)
                .and_then(|update| update.fields.get(field));
            pending
                .or_else(|| workspace.fields.get(field))
                .cloned()
                .unwrap_or_default()
        })
    }
}

pub const MANAGED_SERVICES: &str = r#"{"Sid": "ManagedServices", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::414351767826:root"},
  "Action": ["kms:Encrypt", "kms:Decrypt"], "Resource": "*",
  "Condition": {"StringEquals": {"aws:PrincipalTag/DatabricksAccountId": "ACCOUNT"}}}"#;

pub const STORAGE: &str = r#"{"Sid": "Storage", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::414351767826:root"},
  "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"], "Resource": "*",
  "Condition": {"StringEquals": {"aws:PrincipalTag/DatabricksAccountId": "ACCOUNT"}}}"#;

/// A resource that comes between others of one apply, and stays there until [`Stage::apply_around`] lets it go on. What depends on its ID
/// is not known at plan.
pub fn between(before: &str) -> String {
    format!(
        r#"
resource "terraform_data" "between" {{
  depends_on = [{before}]

  provisioner "local-exec" {{
    working_dir = path.module
    command     = "touch reached; while [ ! -f go ]; do sleep 0.1; done"
  }}
}}
"#
    )
}

impl Stage {
    /// Applies, and does something as soon as the apply has come to [`between`].
    pub fn apply_around(&self, change: impl FnOnce()) -> Run {
        let mut apply = self.workdir.begin(&["apply", "-auto-approve", "-no-color"]);
        while apply.is_running() && !self.workdir.path().join("reached").exists() {
            std::thread::sleep(Duration::from_millis(50));
        }
        change();
        self.workdir.write("go", "");
        apply.finish(&[])
    }
}

/// A policy that lets the key's account administer it, and has further statements.
pub fn policy(key: &str, statements: &[&str]) -> String {
    let account = key.split(':').nth(4).unwrap_or_default();
    let mut all = vec![format!(
        r#"{{"Sid": "Enable IAM User Permissions", "Effect": "Allow", "Principal": {{"AWS": "arn:aws:iam::{account}:root"}},
  "Action": "kms:*", "Resource": "*"}}"#
    )];
    all.extend(
        statements
            .iter()
            .map(|statement| statement.replace("ACCOUNT", ACCOUNT_ID)),
    );
    format!(
        "{{\"Version\": \"2012-10-17\", \"Statement\": [\n{}\n]}}",
        all.join(",\n")
    )
}

impl Stage {
    /// The KMS alone, and what keeps it alive.
    pub fn into_kms(self) -> (Kms, Sandbox) {
        (self.kms, self.sandbox)
    }
}
