# The key configuration has `reuse_key_for_cluster_volumes = false`, so the role that launches clusters does not need the key.
resource "dbxcmk_key_policy" "storage" {
  use_cases = ["STORAGE"]
  aws = {
    key_arn = aws_kms_key.storage.arn
  }
}
