# The key is in an account of the security team. The role is in the account of the workspace, where its own IAM policies must allow the key, too.
resource "dbxcmk_key_policy" "lakehouse" {
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  aws = {
    key_arn                = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    cross_account_role_arn = "arn:aws:iam::123456789012:role/databricks"
  }
}
