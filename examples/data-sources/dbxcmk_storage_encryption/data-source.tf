# Every place of the account in which Unity Catalog keeps tables, on AWS, Google Cloud and Azure.
data "dbxcmk_storage_encryption" "tables" {}

# Fails the plan while tables lie outside of a key of your own, or while the provider cannot tell.
check "tables_are_under_an_own_key" {
  assert {
    condition = data.dbxcmk_storage_encryption.tables.complete && alltrue([
      for one in data.dbxcmk_storage_encryption.tables.locations : one.encrypted_by == "own_key"
    ])
    error_message = join("\n", concat(
      [for one in data.dbxcmk_storage_encryption.tables.locations : "${one.kind} ${one.name}: ${one.why}" if one.encrypted_by != "own_key"],
      [for one in data.dbxcmk_storage_encryption.tables.not_read : "${one.what}: ${one.why}"],
    ))
  }
}

# AWS: the role of a storage credential needs the key of the buckets that it reads and writes.
resource "aws_kms_key" "tables" {}

data "dbxcmk_key_readiness" "tables" {
  use_cases = ["UNITY_CATALOG"]
  aws = {
    key_arn = aws_kms_key.tables.arn
    storage_credential_role_arns = distinct([
      for one in data.dbxcmk_storage_encryption.tables.locations : one.storage_credential_role_arn
      if one.credential == "tables" && one.storage_credential_role_arn != null
    ])
  }
}
