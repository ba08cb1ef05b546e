resource "dbxcmk_workspace_binding" "prod" {
  workspace_id                          = "1234567890123456"
  managed_services_key_configuration_id = dbxcmk_key_configuration.lakehouse.id
  storage_key_configuration_id          = dbxcmk_key_configuration.lakehouse.id

  timeouts = {
    create = "60m"
    update = "60m"
  }
}
