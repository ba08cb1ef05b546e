resource "dbxcmk_key_configuration" "lakehouse" {
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  gcp = {
    kms_key_id = google_kms_crypto_key.lakehouse.id
    manual     = true # you grant Databricks' service account access, with dbxcmk_key_policy
  }
}
