# aws_kms_key manages the whole policy, with the statements from the beginning.
data "aws_caller_identity" "current" {}

data "dbxcmk_key_policy_document" "lakehouse" {
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  aws = {
    account_id             = data.aws_caller_identity.current.account_id
    cross_account_role_arn = var.cross_account_role_arn
  }
}

resource "aws_kms_key" "lakehouse" {
  description         = "Databricks lakehouse"
  enable_key_rotation = true
  policy              = data.dbxcmk_key_policy_document.lakehouse.json
}
