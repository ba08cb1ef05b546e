variable "key_vault_key_id" {
  description = "Identifier of the key, for example azurerm_key_vault_key.lakehouse.versionless_id."
  type        = string
}

variable "vault_resource_id" {
  description = "Resource ID of the vault, for example azurerm_key_vault.lakehouse.id."
  type        = string
}

variable "workspace_resource_id" {
  description = "Resource ID of the workspace, for example azurerm_databricks_workspace.prod.id."
  type        = string
}

variable "settle_time" {
  description = "How long to watch after the attach; null means the provider's own default."
  type        = string
  default     = null
}
