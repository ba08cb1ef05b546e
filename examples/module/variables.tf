variable "name" {
  type        = string
  description = "Name of the key."
}

variable "cross_account_role_arn" {
  type        = string
  description = "Role with which Databricks launches clusters."
}

variable "workspace_ids" {
  type        = map(string)
  description = "Workspaces that get the key, by any name."
}

variable "settle_time" {
  type        = string
  description = "How long to wait after an attach; null for what Databricks asks for."
  default     = null
}

output "key_configuration_id" {
  value = dbxcmk_key_configuration.this.id
}
