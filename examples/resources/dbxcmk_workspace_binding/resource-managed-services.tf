# Also the layout of a workspace with only serverless compute.
resource "dbxcmk_workspace_binding" "prod" {
  workspace_id                          = "1234567890123456"
  managed_services_key_configuration_id = dbxcmk_key_configuration.services.id
}
