resource "dbxcmk_key_configuration" "lakehouse" {
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  aws = {
    # Refer to the policy, so that Terraform adds the statements for Databricks first.
    key_arn                       = dbxcmk_key_policy.lakehouse.aws.key_arn
    key_alias                     = "alias/lakehouse"
    reuse_key_for_cluster_volumes = true
  }
}
