# A module of a platform team: a key, its policy, its registration, and the workspaces that use it.
terraform {
  required_version = ">= 1.7"

  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
    dbxcmk = {
      source = "dbxcmk/dbxcmk"
    }
  }
}

resource "aws_kms_key" "this" {
  description             = var.name
  deletion_window_in_days = 30
  enable_key_rotation     = true

  lifecycle {
    ignore_changes = [policy]
  }
}

resource "dbxcmk_key_policy" "this" {
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  aws = {
    key_arn                = aws_kms_key.this.arn
    cross_account_role_arn = var.cross_account_role_arn
  }
}

resource "dbxcmk_key_configuration" "this" {
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  aws = {
    key_arn   = dbxcmk_key_policy.this.aws.key_arn
    key_alias = "alias/${var.name}"
  }
}

resource "dbxcmk_workspace_binding" "this" {
  for_each = var.workspace_ids

  workspace_id                          = each.value
  managed_services_key_configuration_id = dbxcmk_key_configuration.this.id
  storage_key_configuration_id          = dbxcmk_key_configuration.this.id
  settle_time                           = var.settle_time
}
