resource "dbxcmk_key_policy" "lakehouse" {
  use_cases = ["MANAGED_SERVICES", "MANAGED_DISKS", "STORAGE"]
  azure = {
    key_vault_key_id      = azurerm_key_vault_key.lakehouse.versionless_id
    vault_resource_id     = azurerm_key_vault.lakehouse.id
    workspace_resource_id = azurerm_databricks_workspace.prod.id
  }
}
