resource "dbxcmk_key_policy" "lakehouse" {
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  aws = {
    key_arn                = aws_kms_key.lakehouse.arn
    cross_account_role_arn = aws_iam_role.databricks.arn
  }
}
