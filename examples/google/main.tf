terraform {
  required_providers {
    dbxcmk = {
      source = "dbxcmk/dbxcmk"
    }
  }
}

provider "dbxcmk" {}

# The account says which service account of Databricks uses the key, so the configuration comes first.
resource "dbxcmk_key_configuration" "lakehouse" {
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  gcp = {
    kms_key_id = var.kms_key_id
    manual     = true
  }
}

resource "dbxcmk_key_policy" "lakehouse" {
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  gcp = {
    kms_key_id               = var.kms_key_id
    workspace_project_number = var.workspace_project_number
    databricks_service_accounts = concat(
      [dbxcmk_key_configuration.lakehouse.gcp.service_account_email],
      var.workspace_service_accounts,
    )
  }
}

resource "dbxcmk_workspace_binding" "prod" {
  workspace_id                          = var.workspace_id
  managed_services_key_configuration_id = dbxcmk_key_configuration.lakehouse.id
  storage_key_configuration_id          = dbxcmk_key_configuration.lakehouse.id
  settle_time                           = var.settle_time

  # The proof of the binding covers every member of the key's IAM policy.
  depends_on = [dbxcmk_key_policy.lakehouse]
}
