//! What Databricks asks of a key, written down apart from the provider's own list: the sandbox tries each action.
//!
//! Sources: the example policies of "Configure customer-managed keys for encryption" in the Databricks documentation for
//! AWS, and of the module `databricks/terraform-databricks-examples` (both allow the same actions). Patterns are spelled out
//! with the actions that the Service Authorization Reference of AWS KMS has for them, as far as they concern symmetric data
//! keys.

/// The AWS account that Databricks' control plane works from, outside AWS GovCloud.
/// Source: the example policies of the Databricks documentation for AWS.
pub const DATABRICKS: &str = "414351767826";

/// The principal tag in which Databricks' calls carry the account that they are made for.
/// Source: the condition of the same example policies.
pub const ACCOUNT_TAG: &str = "aws:PrincipalTag/DatabricksAccountId";

/// What a key can be used for: the names of the account API.
pub const USE_CASES: [&str; 2] = ["MANAGED_SERVICES", "STORAGE"];

/// The actions that Databricks' control plane calls on a key for a use case; none for what is not a use case.
pub fn actions(use_case: &str) -> &'static [&'static str] {
    match use_case {
        // "Allow Databricks to use KMS key for managed services in the control plane"
        "MANAGED_SERVICES" => &["kms:Encrypt", "kms:Decrypt"],
        // "Allow Databricks to use KMS key for DBFS"
        "STORAGE" => &[
            "kms:Encrypt",
            "kms:Decrypt",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
            "kms:GenerateDataKey",
            "kms:GenerateDataKeyWithoutPlaintext",
            "kms:DescribeKey",
        ],
        _ => &[],
    }
}
