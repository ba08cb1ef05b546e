resource "dbxcmk_key_policy" "services" {
  use_cases = ["MANAGED_SERVICES"]
  aws = {
    key_arn = aws_kms_key.services.arn
  }
}
