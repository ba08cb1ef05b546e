variable "kms_key_id" {
  description = "Name of the Cloud KMS key, for example google_kms_crypto_key.lakehouse.id."
  type        = string
}

variable "workspace_id" {
  description = "ID of the workspace, for example databricks_mws_workspaces.prod.workspace_id."
  type        = string
}

variable "workspace_project_number" {
  description = "Number of the project in which the workspace runs, for example google_project.workspace.number."
  type        = string
}

variable "workspace_service_accounts" {
  description = "Service accounts of the workspace, for example db-1234567890123456@prod-gcp-us-east4.iam.gserviceaccount.com."
  type        = list(string)
  default     = []
}

variable "settle_time" {
  description = "How long to watch after the attach; null means as long as Databricks asks for."
  type        = string
  default     = null
}
