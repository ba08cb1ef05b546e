variable "workspace_id" {
  description = "ID of the workspace, for example databricks_mws_workspaces.prod.workspace_id."
  type        = string
}

variable "cross_account_role_arn" {
  description = "ARN of the role with which Databricks launches clusters in your AWS account."
  type        = string
}

variable "settle_time" {
  description = "How long to wait after the attach; null means as long as Databricks asks for."
  type        = string
  default     = null
}
