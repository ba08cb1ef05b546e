# Creates nothing: it checks the key, and describes it for the binding.
resource "dbxcmk_key_configuration" "lakehouse" {
  use_cases = ["MANAGED_SERVICES", "MANAGED_DISKS", "STORAGE"]
  azure = {
    key_vault_key_id = azurerm_key_vault_key.lakehouse.versionless_id
  }
}
