//! The resource types that matter here: which attributes the review reads of each, and which form they must have. Another form
//! is an error in the report: the review does not pass over the resource.

use serde_json::Value as Json;

use super::plan::{Action, ResourceChange};
use super::shape::Shape;
use super::{aws, azure, google};
use kms_policy::nearest;
use vocabulary::{AccountId, KeyUse, UseCase};

/// A type, the attributes that are read of it, and the names that its nested attributes have in all.
pub struct ResourceKind {
    /// The type's name in Terraform.
    pub name: &'static str,
    attributes: &'static [(&'static str, Shape)],
    /// Nested attributes of our own types, and the names inside: Terraform silently drops every other name.
    pub nested: &'static [(&'static str, &'static [&'static str])],
}

const USE_CASES: Shape = Shape::Each(
    |text| text.parse::<UseCase>().is_ok(),
    "a list of MANAGED_SERVICES, STORAGE and MANAGED_DISKS",
);

/// Those of a key policy, which can also be for tables.
const KEY_USES: Shape = Shape::Each(
    |text| text.parse::<KeyUse>().is_ok(),
    "a list of MANAGED_SERVICES, STORAGE, MANAGED_DISKS and UNITY_CATALOG",
);

const ACCOUNTS: Shape = Shape::Each(
    |text| text.parse::<AccountId>().is_ok(),
    "a list of Databricks account IDs",
);

const TIMEOUTS: &[&str] = &["create", "update", "delete"];

/// Every type that is read.
pub const KINDS: &[ResourceKind] = &[
    ResourceKind {
        name: "dbxcmk_key_policy",
        attributes: &[
            ("use_cases", KEY_USES),
            ("databricks_account_ids", ACCOUNTS),
            ("aws", Shape::Object),
            ("aws.key_arn", aws::KEY),
            ("aws.cross_account_role_arn", aws::ROLE),
            ("aws.cluster_volumes", Shape::Flag),
            ("aws.include_grants", Shape::Flag),
            ("aws.storage_credential_role_arns", Shape::Texts),
            ("gcp", Shape::Object),
            ("gcp.kms_key_id", google::KEY),
            ("gcp.databricks_service_accounts", Shape::Texts),
            ("gcp.workspace_project_number", Shape::Text),
            ("gcp.bucket_project_numbers", Shape::Texts),
            ("gcp.members", Shape::Texts),
            ("azure", Shape::Object),
            ("azure.key_vault_key_id", azure::KEY),
            ("azure.vault_resource_id", Shape::Text),
            ("azure.workspace_resource_id", Shape::Text),
            ("azure.storage_account_principal_ids", Shape::Texts),
            ("azure.principals", Shape::Texts),
            ("statements", aws::STATEMENTS),
            ("force_destroy", Shape::Flag),
            ("ignore_findings", Shape::Texts),
        ],
        nested: &[
            (
                "aws",
                &[
                    "key_arn",
                    "cross_account_role_arn",
                    "cluster_volumes",
                    "include_grants",
                    "storage_credential_role_arns",
                ],
            ),
            (
                "gcp",
                &[
                    "kms_key_id",
                    "databricks_service_accounts",
                    "workspace_project_number",
                    "bucket_project_numbers",
                    "members",
                ],
            ),
            (
                "azure",
                &[
                    "key_vault_key_id",
                    "vault_resource_id",
                    "workspace_resource_id",
                    "databricks_principal_id",
                    "storage_account_principal_ids",
                    "access_model",
                    "principals",
                ],
            ),
            ("timeouts", TIMEOUTS),
        ],
    },
    ResourceKind {
        name: "dbxcmk_key_configuration",
        attributes: &[
            ("id", Shape::Text),
            ("use_cases", USE_CASES),
            ("aws", Shape::Object),
            ("aws.key_arn", aws::KEY),
            ("aws.key_alias", Shape::Text),
            ("aws.reuse_key_for_cluster_volumes", Shape::Flag),
            ("gcp", Shape::Object),
            ("gcp.kms_key_id", google::KEY),
            ("gcp.manual", Shape::Flag),
            ("azure", Shape::Object),
            ("azure.key_vault_key_id", azure::KEY),
            ("ignore_findings", Shape::Texts),
        ],
        nested: &[
            (
                "aws",
                &[
                    "key_arn",
                    "key_alias",
                    "key_region",
                    "reuse_key_for_cluster_volumes",
                ],
            ),
            (
                "gcp",
                &["kms_key_id", "manual", "location", "service_account_email"],
            ),
            (
                "azure",
                &["key_vault_key_id", "vault_uri", "key_name", "key_version"],
            ),
            ("timeouts", &["create", "delete"]),
        ],
    },
    ResourceKind {
        name: "dbxcmk_workspace_binding",
        attributes: &[
            ("workspace_id", Shape::Text),
            ("managed_services_key_configuration_id", Shape::Text),
            ("storage_key_configuration_id", Shape::Text),
            ("managed_disks_key_configuration_id", Shape::Text),
            ("azure", Shape::Object),
            ("azure.workspace_resource_id", Shape::Text),
            ("workspace_name", Shape::Text),
            ("ignore_findings", Shape::Texts),
        ],
        nested: &[
            (
                "azure",
                &[
                    "workspace_resource_id",
                    "rotate_managed_disks_to_latest_version",
                    "grant_managed_disks_access",
                    "storage_principal_id",
                    "managed_disks_principal_id",
                    "disk_encryption_set_id",
                ],
            ),
            ("timeouts", &["create", "update"]),
        ],
    },
    ResourceKind {
        name: "aws_kms_key",
        attributes: &[
            ("arn", Shape::Text),
            ("policy", Shape::Text),
            ("is_enabled", Shape::Flag),
            ("enable_key_rotation", Shape::Flag),
            ("deletion_window_in_days", Shape::Text),
        ],
        nested: &[],
    },
    ResourceKind {
        name: "aws_kms_replica_key",
        attributes: &[
            ("arn", Shape::Text),
            ("policy", Shape::Text),
            ("enabled", Shape::Flag),
            ("deletion_window_in_days", Shape::Text),
        ],
        nested: &[],
    },
    ResourceKind {
        name: "aws_kms_external_key",
        attributes: &[
            ("arn", Shape::Text),
            ("policy", Shape::Text),
            ("enabled", Shape::Flag),
            ("deletion_window_in_days", Shape::Text),
        ],
        nested: &[],
    },
    ResourceKind {
        name: "aws_kms_key_policy",
        attributes: &[("key_id", Shape::Text), ("policy", Shape::Text)],
        nested: &[],
    },
    ResourceKind {
        name: "aws_iam_role",
        attributes: &[("arn", Shape::Text)],
        nested: &[],
    },
    ResourceKind {
        name: "databricks_mws_workspaces",
        attributes: &[
            ("workspace_id", Shape::Text),
            ("workspace_name", Shape::Text),
            ("managed_services_customer_managed_key_id", Shape::Text),
            ("storage_customer_managed_key_id", Shape::Text),
        ],
        nested: &[],
    },
    ResourceKind {
        name: "databricks_mws_customer_managed_keys",
        attributes: &[
            ("customer_managed_key_id", Shape::Text),
            ("use_cases", USE_CASES),
            ("aws_key_info", Shape::Objects),
            ("aws_key_info.0.key_arn", aws::KEY),
            ("gcp_key_info", Shape::Objects),
            ("gcp_key_info.0.kms_key_id", google::KEY),
        ],
        nested: &[],
    },
    ResourceKind {
        name: "google_kms_crypto_key",
        attributes: &[
            ("id", Shape::Text),
            ("rotation_period", Shape::Text),
            ("destroy_scheduled_duration", Shape::Text),
        ],
        nested: &[],
    },
    ResourceKind {
        name: "google_kms_crypto_key_version",
        attributes: &[("crypto_key", Shape::Text), ("state", Shape::Text)],
        nested: &[],
    },
    ResourceKind {
        name: "google_kms_crypto_key_iam_member",
        attributes: &[
            ("crypto_key_id", Shape::Text),
            ("role", Shape::Text),
            ("member", Shape::Text),
        ],
        nested: &[],
    },
    ResourceKind {
        name: "google_kms_crypto_key_iam_binding",
        attributes: &[
            ("crypto_key_id", Shape::Text),
            ("role", Shape::Text),
            ("members", Shape::Texts),
        ],
        nested: &[],
    },
    ResourceKind {
        name: "google_kms_crypto_key_iam_policy",
        attributes: &[
            ("crypto_key_id", Shape::Text),
            ("policy_data", google::POLICY),
        ],
        nested: &[],
    },
    ResourceKind {
        name: "azurerm_key_vault",
        attributes: &[
            ("id", Shape::Text),
            ("vault_uri", Shape::Text),
            ("rbac_authorization_enabled", Shape::Flag),
            ("enable_rbac_authorization", Shape::Flag),
            ("network_acls", Shape::Objects),
        ],
        nested: &[],
    },
    ResourceKind {
        name: "azurerm_key_vault_managed_hardware_security_module",
        attributes: &[("id", Shape::Text), ("hsm_uri", Shape::Text)],
        nested: &[],
    },
    ResourceKind {
        name: "azurerm_key_vault_key",
        attributes: &[
            ("id", Shape::Text),
            ("versionless_id", Shape::Text),
            ("key_opts", Shape::Texts),
            ("expiration_date", Shape::Text),
        ],
        nested: &[],
    },
    ResourceKind {
        name: "azurerm_key_vault_managed_hardware_security_module_key",
        attributes: &[
            ("versioned_id", Shape::Text),
            ("key_opts", Shape::Texts),
            ("expiration_date", Shape::Text),
        ],
        nested: &[],
    },
    ResourceKind {
        name: "azurerm_key_vault_access_policy",
        attributes: &[
            ("key_vault_id", Shape::Text),
            ("object_id", Shape::Text),
            ("key_permissions", Shape::Texts),
        ],
        nested: &[],
    },
    ResourceKind {
        name: "azurerm_role_assignment",
        attributes: &[
            ("scope", Shape::Text),
            ("principal_id", Shape::Text),
            ("role_definition_name", Shape::Text),
        ],
        nested: &[],
    },
    ResourceKind {
        name: "azurerm_databricks_workspace",
        attributes: &[
            ("id", Shape::Text),
            ("name", Shape::Text),
            ("managed_services_cmk_key_vault_key_id", Shape::Text),
            ("managed_disk_cmk_key_vault_key_id", Shape::Text),
        ],
        nested: &[],
    },
    ResourceKind {
        name: "azurerm_databricks_workspace_root_dbfs_customer_managed_key",
        attributes: &[
            ("workspace_id", Shape::Text),
            ("key_vault_key_id", Shape::Text),
        ],
        nested: &[],
    },
    ResourceKind {
        name: "databricks_catalog",
        attributes: &[
            ("name", Shape::Text),
            ("storage_root", Shape::Text),
            ("managed_encryption_settings", Shape::Block),
        ],
        nested: &[],
    },
    ResourceKind {
        name: "databricks_external_location",
        attributes: &[
            ("name", Shape::Text),
            ("url", Shape::Text),
            ("encryption_details", Shape::Block),
        ],
        nested: &[],
    },
    ResourceKind {
        name: "databricks_storage_credential",
        attributes: &[("name", Shape::Text), ("aws_iam_role", Shape::Block)],
        nested: &[],
    },
    ResourceKind {
        name: "databricks_postgres_project",
        attributes: &[],
        nested: &[],
    },
    ResourceKind {
        name: "aws_s3_bucket_server_side_encryption_configuration",
        attributes: &[("bucket", Shape::Text), ("rule", Shape::Objects)],
        nested: &[],
    },
    ResourceKind {
        name: "google_storage_bucket",
        attributes: &[("name", Shape::Text), ("encryption", Shape::Objects)],
        nested: &[],
    },
    ResourceKind {
        name: "azurerm_storage_account_customer_managed_key",
        attributes: &[
            ("storage_account_id", Shape::Text),
            ("key_vault_key_id", Shape::Text),
            ("key_name", Shape::Text),
        ],
        nested: &[],
    },
    ResourceKind {
        name: "databricks_mws_credentials",
        attributes: &[("role_arn", Shape::Text)],
        nested: &[],
    },
];

/// The type of this name, if it matters here.
pub fn kind(name: &str) -> Option<&'static ResourceKind> {
    KINDS.iter().find(|kind| kind.name == name)
}

fn quoted(value: &Json) -> String {
    let text = value.to_string();
    let short: String = text.chars().take(120).collect();
    if short.len() < text.len() {
        format!("{short}…")
    } else {
        short
    }
}

/// What of a resource cannot be read, a line each.
pub fn unreadable(change: &ResourceChange) -> Vec<String> {
    let Some(kind) = kind(&change.kind) else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    if let Action::Other(actions) = &change.action {
        lines.push(format!(
            "`actions` are {actions}, which this version does not know"
        ));
    }
    for (side, state) in [
        ("before", change.state_before()),
        ("after", change.state_after()),
    ] {
        if !matches!(state, Json::Null | Json::Object(_)) {
            lines.push(format!("`{side}` is {}, not an object", quoted(state)));
            continue;
        }
        for (path, shape) in kind.attributes {
            // What stands inside of something that cannot be read was named with it.
            let is_inside = |line: &String| {
                path.split_once('.')
                    .is_some_and(|(outer, _)| line.starts_with(&format!("`{outer}` ")))
            };
            let value = super::plan::at(state, path);
            if !shape.fits(value) && !lines.iter().any(is_inside) {
                lines.push(format!(
                    "`{path}` is {} ({side}), not {}",
                    quoted(value),
                    shape.in_words()
                ));
            }
        }
    }
    lines
}

/// The names inside of nested attributes that a resource does not have, as far as the plan shows the configuration: Terraform
/// drops them before the provider sees them.
pub fn unknown_names(kind: &ResourceKind, expressions: &Json) -> Vec<String> {
    let mut lines = Vec::new();
    for (attribute, names) in kind.nested {
        let written = expressions
            .get(attribute)
            .and_then(|one| one.get("constant_value"))
            .and_then(Json::as_object);
        for name in written
            .into_iter()
            .flatten()
            .map(|(name, _)| name)
            .filter(|name| !names.contains(&name.as_str()))
        {
            let hint = nearest(name, names)
                .map(|near| format!("; did you mean `{near}`?"))
                .unwrap_or_default();
            lines.push(format!("`{attribute}.{name}` does not exist{hint}"));
        }
    }
    lines
}
