# Check a key that another team manages.
check "key" {
  data "dbxcmk_key_readiness" "lakehouse" {
    use_cases = ["MANAGED_SERVICES", "STORAGE"]
    aws = {
      key_arn                = var.key_arn
      cross_account_role_arn = var.cross_account_role_arn
    }
  }

  assert {
    condition     = data.dbxcmk_key_readiness.lakehouse.ready
    error_message = join("\n", data.dbxcmk_key_readiness.lakehouse.findings[*].summary)
  }
}

# On Google Cloud, name the service accounts: without them, the access to the key is not examined.
check "key_on_google_cloud" {
  data "dbxcmk_key_readiness" "google" {
    use_cases = ["MANAGED_SERVICES", "STORAGE"]
    gcp = {
      kms_key_id                  = var.kms_key_id
      databricks_service_accounts = var.databricks_service_accounts
      workspace_project_number    = var.workspace_project_number
    }
  }

  assert {
    condition     = data.dbxcmk_key_readiness.google.ready
    error_message = join("\n", concat(["The key is not ready."], data.dbxcmk_key_readiness.google.findings[*].summary))
  }
}
