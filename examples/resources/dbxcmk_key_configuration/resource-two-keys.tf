resource "dbxcmk_key_configuration" "services" {
  use_cases = ["MANAGED_SERVICES"]
  aws = {
    key_arn = dbxcmk_key_policy.services.aws.key_arn
  }
}

resource "dbxcmk_key_configuration" "storage" {
  use_cases = ["STORAGE"]
  aws = {
    key_arn = dbxcmk_key_policy.storage.aws.key_arn
  }
}
