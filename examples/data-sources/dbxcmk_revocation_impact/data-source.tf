data "dbxcmk_revocation_impact" "lakehouse" {
  aws = {
    key_arn = var.key_arn
  }
}

# What to acknowledge in dbxcmk_disable_key.
output "stops" {
  value = data.dbxcmk_revocation_impact.lakehouse.acknowledgement
}
