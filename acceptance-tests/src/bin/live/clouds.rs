//! What differs between the clouds: configurations, costs, and what stays.

use std::fmt::Write as _;

use crate::journal::Journal;
use crate::stories::{Name, Scene};

/// A cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// AWS.
    Aws,
    /// Google Cloud.
    Gcp,
    /// Azure.
    Azure,
}

/// Where a run works, besides the workspace.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// AWS: the ARN of the cross-account role of the workspace.
    pub role_arn: String,
    /// Google Cloud: the key ring in which keys are made, `projects/…/locations/…/keyRings/…`.
    pub key_ring: String,
    /// Google Cloud: the number of the project of the workspace.
    pub project_number: String,
    /// Azure: the resource ID of the vault in which keys are made.
    pub vault: String,
    /// The file of certificates that are trusted besides the system's, for a sandbox.
    pub ca_bundle: String,
    /// How long the provider watches an attach: `20m`. Empty for the provider's own time.
    pub settle_time: String,
}

impl Cloud {
    /// The cloud of a word.
    pub fn named(word: &str) -> Option<Self> {
        match word {
            "aws" => Some(Self::Aws),
            "gcp" => Some(Self::Gcp),
            "azure" => Some(Self::Azure),
            _ => None,
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Gcp => "gcp",
            Self::Azure => "azure",
        }
    }

    /// What a run costs.
    pub fn costs(self) -> &'static str {
        match self {
            Self::Aws => {
                "Three keys of KMS: 1 USD a month each, by the day, until they are scheduled for deletion. Requests: cents. Databricks: nothing, as \
                 long as no compute runs."
            }
            Self::Gcp => {
                "Three keys of Cloud KMS with one version each, by the month until the versions are destroyed, and their operations \
                 (docs/guides/quotas-and-cost.md). Databricks: nothing, as long as no compute runs."
            }
            Self::Azure => {
                "Three keys in your vault, and their operations (docs/guides/quotas-and-cost.md). Databricks: nothing, as long as no compute runs."
            }
        }
    }

    /// What stays for ever.
    pub fn stays(self) -> &'static str {
        match self {
            Self::Aws | Self::Gcp => {
                "The workspace keeps its key for storage until it is deleted, and always has one for managed services from then on. It is lost with \
                 its keys. Delete the workspace, then run this again with --clean-up."
            }
            Self::Azure => {
                "The workspace always has a key for managed services from then on. It is lost with its keys. A deleted key stays in the vault for \
                 its retention time. Delete the workspace, then run this again with --clean-up."
            }
        }
    }

    /// Whether Terraform makes the keys; otherwise the run does.
    pub fn makes_keys_by_terraform(self) -> bool {
        self == Self::Aws
    }

    /// The name of a key in configurations and on the command line, where it does not come from Terraform.
    pub fn key(self, place: &Place, journal: &Journal, name: Name) -> String {
        let own = format!("{}-{}", journal.prefix, name.word());
        match self {
            Self::Aws => format!("aws_kms_key.{}.arn", name.word()),
            Self::Gcp => format!("{}/cryptoKeys/{own}", place.key_ring),
            Self::Azure => {
                let vault = place.vault.rsplit('/').next().unwrap_or_default();
                format!("https://{vault}.vault.azure.net/keys/{own}")
            }
        }
    }

    /// The configuration of a scene.
    pub fn configuration(self, place: &Place, journal: &Journal, scene: &Scene) -> String {
        let mut all = self.head(place, journal);
        if self == Self::Aws {
            for name in Name::ALL {
                let _ = write!(all, "{}", aws_key(journal, name));
            }
        }
        for name in scene.registered {
            all.push_str(&self.registered(place, journal, *name));
        }
        if scene.managed_services.is_some() || scene.storage.is_some() {
            all.push_str(&self.binding(place, journal, scene));
        }
        all
    }

    fn head(self, place: &Place, journal: &Journal) -> String {
        let mut all = String::from("terraform {\n  required_providers {\n");
        if self == Self::Aws {
            all.push_str("    aws = {\n      source = \"hashicorp/aws\"\n    }\n");
        }
        all.push_str("    dbxcmk = {\n      source = \"dbxcmk/dbxcmk\"\n    }\n  }\n}\n\nprovider \"dbxcmk\" {\n");
        if !place.ca_bundle.is_empty() {
            let _ = write!(
                all,
                "  azure = {{\n    ca_bundle = \"{}\"\n  }}\n",
                place.ca_bundle
            );
        }
        all.push_str("}\n");
        if self == Self::Aws {
            let _ = write!(
                all,
                "\nprovider \"aws\" {{\n  default_tags {{\n    tags = {{\n      dbxcmk-live          = \"{}\"\n      dbxcmk-live-deadline = \
                 \"{}\"\n    }}\n  }}\n}}\n",
                journal.prefix, journal.deadline
            );
        }
        all
    }

    /// A key configuration, and the access that Databricks has, but for the key to which it shall have none.
    fn registered(self, place: &Place, journal: &Journal, name: Name) -> String {
        let (word, key) = (name.word(), self.key(place, journal, name));
        let key = match self {
            Self::Aws => key,
            Self::Gcp | Self::Azure => format!("\"{key}\""),
        };
        let use_cases = r#"use_cases = ["MANAGED_SERVICES", "STORAGE"]"#;
        let of_cloud = match self {
            Self::Aws => format!(
                "aws = {{\n    key_arn   = {key}\n    key_alias = \"alias/{}-{word}\"\n  }}",
                journal.prefix
            ),
            Self::Gcp => format!("gcp = {{\n    kms_key_id = {key}\n    manual     = true\n  }}"),
            Self::Azure => format!("azure = {{\n    key_vault_key_id = {key}\n  }}"),
        };
        let depends = match (self, name) {
            (Self::Gcp, _) | (_, Name::Broken) => String::new(),
            _ => format!("\n  depends_on = [dbxcmk_key_policy.{word}]\n"),
        };
        let configuration = format!(
            "\nresource \"dbxcmk_key_configuration\" \"{word}\" {{\n  {use_cases}\n  {of_cloud}\n{depends}}}\n"
        );
        if name == Name::Broken {
            return configuration;
        }
        let access = match self {
            Self::Aws => format!(
                "aws = {{\n    key_arn                = {key}\n    cross_account_role_arn = \"{}\"\n  }}",
                place.role_arn
            ),
            Self::Gcp => format!(
                "gcp = {{\n    kms_key_id                  = {key}\n    databricks_service_accounts = \
                 [dbxcmk_key_configuration.{word}.gcp.service_account_email]\n    workspace_project_number    = \"{}\"\n  }}",
                place.project_number
            ),
            Self::Azure => format!(
                "azure = {{\n    key_vault_key_id      = {key}\n    vault_resource_id     = \"{}\"\n    workspace_resource_id = \"{}\"\n  }}",
                place.vault, journal.workspace
            ),
        };
        format!(
            "{configuration}\nresource \"dbxcmk_key_policy\" \"{word}\" {{\n  {use_cases}\n  {access}\n}}\n"
        )
    }

    fn binding(self, place: &Place, journal: &Journal, scene: &Scene) -> String {
        let mut all = String::from("\nresource \"dbxcmk_workspace_binding\" \"live\" {\n");
        if self != Self::Azure {
            let _ = writeln!(all, "  workspace_id = \"{}\"", journal.workspace);
        }
        for (feature, name) in [
            ("managed_services", scene.managed_services),
            ("storage", scene.storage),
        ] {
            if let Some(name) = name {
                let word = name.word();
                let _ = writeln!(
                    all,
                    "  {feature}_key_configuration_id = dbxcmk_key_configuration.{word}.id"
                );
            }
        }
        if !place.settle_time.is_empty() {
            let _ = writeln!(all, "  settle_time = \"{}\"", place.settle_time);
        }
        if self == Self::Azure {
            let _ = write!(
                all,
                "  azure = {{\n    workspace_resource_id = \"{}\"\n  }}\n",
                journal.workspace
            );
        }
        let known = scene
            .registered
            .iter()
            .filter(|name| **name != Name::Broken);
        let policies: Vec<String> = known
            .map(|name| format!("dbxcmk_key_policy.{}", name.word()))
            .collect();
        if !policies.is_empty() {
            let _ = write!(all, "\n  depends_on = [{}]\n", policies.join(", "));
        }
        all.push_str("}\n");
        all
    }
}

fn aws_key(journal: &Journal, name: Name) -> String {
    format!(
        r#"
resource "aws_kms_key" "{word}" {{
  description             = "{prefix}-{word}: made by a test, to be deleted after {deadline}"
  deletion_window_in_days = 7

  lifecycle {{
    ignore_changes = [policy]
  }}
}}

output "{word}" {{
  value = aws_kms_key.{word}.arn
}}
"#,
        word = name.word(),
        prefix = journal.prefix,
        deadline = journal.deadline
    )
}
