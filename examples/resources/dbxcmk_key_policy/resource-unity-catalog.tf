# Tables in buckets that this key encrypts: the roles of the storage credentials need it, and Databricks' own account does not.
resource "dbxcmk_key_policy" "tables" {
  use_cases = ["UNITY_CATALOG"]
  aws = {
    key_arn                      = aws_kms_key.tables.arn
    storage_credential_role_arns = [aws_iam_role.tables.arn]
  }
}
