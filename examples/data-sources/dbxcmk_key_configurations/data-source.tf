data "dbxcmk_key_configurations" "storage" {
  use_case = "STORAGE"
  cloud    = "aws"
}

# Key configurations that no workspace uses.
output "unused" {
  value = [for one in data.dbxcmk_key_configurations.storage.key_configurations : one.id if length(one.workspace_ids) == 0]
}
