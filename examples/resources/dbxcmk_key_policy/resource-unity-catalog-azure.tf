# Tables in storage accounts that this key encrypts: the identity of each storage account needs it.
resource "dbxcmk_key_policy" "tables" {
  use_cases = ["UNITY_CATALOG"]
  azure = {
    key_vault_key_id              = azurerm_key_vault_key.tables.versionless_id
    vault_resource_id             = azurerm_key_vault.tables.id
    storage_account_principal_ids = [azurerm_storage_account.tables.identity[0].principal_id]
  }
}
