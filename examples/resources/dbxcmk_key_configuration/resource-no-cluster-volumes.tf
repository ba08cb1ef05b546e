# Cannot be changed later: a workspace keeps its storage key.
resource "dbxcmk_key_configuration" "storage" {
  use_cases = ["STORAGE"]
  aws = {
    key_arn                       = dbxcmk_key_policy.storage.aws.key_arn
    reuse_key_for_cluster_volumes = false
  }
}
