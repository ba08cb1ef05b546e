# The account knows the service account of Databricks only after the key configuration exists, so the configuration comes first.
resource "dbxcmk_key_policy" "lakehouse" {
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  gcp = {
    kms_key_id = google_kms_crypto_key.lakehouse.id
    databricks_service_accounts = [
      dbxcmk_key_configuration.lakehouse.gcp.service_account_email,
      "db-3456789012345678@prod-gcp-us-east4.iam.gserviceaccount.com", # of the workspace
    ]
    workspace_project_number = data.google_project.workspace.number
  }
}
