data "dbxcmk_workspace_encryption" "prod" {
  workspace_id = var.workspace_id
}

# Data of this workspace that none of your keys encrypts, and what to do about it.
output "not_encrypted" {
  value = { for one in data.dbxcmk_workspace_encryption.prod.data : one.kind => one.instead if one.covered == false }
}
