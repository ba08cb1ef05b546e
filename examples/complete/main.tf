terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
    dbxcmk = {
      source = "dbxcmk/dbxcmk"
    }
  }
}

provider "aws" {}

provider "dbxcmk" {}

resource "aws_kms_key" "lakehouse" {
  description             = "Databricks lakehouse"
  deletion_window_in_days = 30
  enable_key_rotation     = true

  lifecycle {
    # dbxcmk_key_policy adds statements to the policy; this resource must not remove them.
    ignore_changes = [policy]
  }
}

resource "aws_kms_alias" "lakehouse" {
  name          = "alias/lakehouse"
  target_key_id = aws_kms_key.lakehouse.key_id
}

resource "dbxcmk_key_policy" "lakehouse" {
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  aws = {
    key_arn                = aws_kms_key.lakehouse.arn
    cross_account_role_arn = var.cross_account_role_arn
  }
}

resource "dbxcmk_key_configuration" "lakehouse" {
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  aws = {
    key_arn   = dbxcmk_key_policy.lakehouse.aws.key_arn
    key_alias = aws_kms_alias.lakehouse.name
  }
}

resource "dbxcmk_workspace_binding" "prod" {
  workspace_id                          = var.workspace_id
  managed_services_key_configuration_id = dbxcmk_key_configuration.lakehouse.id
  storage_key_configuration_id          = dbxcmk_key_configuration.lakehouse.id
  settle_time                           = var.settle_time
}
