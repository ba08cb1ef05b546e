resource "dbxcmk_key_configuration" "lakehouse" {
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  aws = {
    # Through the policy, so that the statements for Databricks are there first.
    key_arn                       = dbxcmk_key_policy.lakehouse.aws.key_arn
    key_alias                     = "alias/lakehouse"
    reuse_key_for_cluster_volumes = true
  }
}
