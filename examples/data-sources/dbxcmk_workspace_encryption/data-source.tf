data "dbxcmk_workspace_encryption" "prod" {
  workspace_id = var.workspace_id
}

locals {
  # A kind that the workspace does not have is null.
  encrypted_data = [for one in data.dbxcmk_workspace_encryption.prod.data : one if one.covered != null]
}

# Data that none of your keys covers, or only in part, and what to do about it.
output "not_encrypted" {
  value = { for one in local.encrypted_data : one.kind => coalesce(one.instead, one.why) if contains(["no", "partly"], one.covered) }
}

# Data of which the documentation does not say it, or whose key you set at another place.
output "not_known" {
  value = { for one in local.encrypted_data : one.kind => coalesce(one.instead, one.why) if one.covered == "not_known" }
}
