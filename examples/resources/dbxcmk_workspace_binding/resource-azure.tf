resource "dbxcmk_workspace_binding" "prod" {
  managed_services_key_configuration_id = dbxcmk_key_configuration.lakehouse.id
  managed_disks_key_configuration_id    = dbxcmk_key_configuration.lakehouse.id
  storage_key_configuration_id          = dbxcmk_key_configuration.lakehouse.id
  azure = {
    workspace_resource_id                  = azurerm_databricks_workspace.prod.id
    rotate_managed_disks_to_latest_version = true
  }

  # The proof covers every principal that needs the key.
  depends_on = [dbxcmk_key_policy.lakehouse]
}
