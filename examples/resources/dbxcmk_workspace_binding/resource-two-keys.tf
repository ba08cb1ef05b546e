# The key for managed services can be replaced, the one for storage cannot (AWS, Google Cloud).
resource "dbxcmk_workspace_binding" "prod" {
  workspace_id                          = "1234567890123456"
  managed_services_key_configuration_id = dbxcmk_key_configuration.services.id
  storage_key_configuration_id          = dbxcmk_key_configuration.storage.id
}
