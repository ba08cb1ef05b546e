terraform {
  required_providers {
    dbxcmk = {
      source = "dbxcmk/dbxcmk"
    }
  }
}

provider "dbxcmk" {}

# Gives AzureDatabricks and the identities of the workspace the use of the key, and prepares the workspace for encryption.
resource "dbxcmk_key_policy" "lakehouse" {
  use_cases = ["MANAGED_SERVICES", "MANAGED_DISKS", "STORAGE"]
  azure = {
    key_vault_key_id      = var.key_vault_key_id
    vault_resource_id     = var.vault_resource_id
    workspace_resource_id = var.workspace_resource_id
  }
}

# Azure Databricks has no key configurations: this one checks the key, and creates nothing.
resource "dbxcmk_key_configuration" "lakehouse" {
  use_cases = ["MANAGED_SERVICES", "MANAGED_DISKS", "STORAGE"]
  azure = {
    key_vault_key_id = var.key_vault_key_id
  }
}

resource "dbxcmk_workspace_binding" "prod" {
  managed_services_key_configuration_id = dbxcmk_key_configuration.lakehouse.id
  managed_disks_key_configuration_id    = dbxcmk_key_configuration.lakehouse.id
  storage_key_configuration_id          = dbxcmk_key_configuration.lakehouse.id
  settle_time                           = var.settle_time
  azure = {
    workspace_resource_id                  = var.workspace_resource_id
    rotate_managed_disks_to_latest_version = true
  }

  # The proof of the binding covers every principal that needs the key.
  depends_on = [dbxcmk_key_policy.lakehouse]
}
