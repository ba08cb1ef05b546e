data "dbxcmk_workspace_encryption" "prod" {
  workspace_id = var.workspace_id
}

# What no key of yours encrypts in this workspace, and what to do instead.
output "not_encrypted" {
  value = { for one in data.dbxcmk_workspace_encryption.prod.data : one.kind => one.instead if one.covered == false }
}
