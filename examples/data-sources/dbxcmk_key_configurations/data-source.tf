data "dbxcmk_key_configurations" "storage" {
  use_case = "STORAGE"
  cloud    = "aws"
}

# Key configurations that no workspace and no catalog uses, as far as the provider has seen all of them.
output "unused" {
  value = [for one in data.dbxcmk_key_configurations.storage.key_configurations : one.id if one.used == "no"]
}
