# Tables in buckets that this key encrypts: the Cloud Storage service agents of the buckets' projects need it.
data "dbxcmk_storage_encryption" "tables" {}

resource "dbxcmk_key_policy" "tables" {
  use_cases = ["UNITY_CATALOG"]
  gcp = {
    kms_key_id = google_kms_crypto_key.tables.id
    bucket_project_numbers = distinct([
      for one in data.dbxcmk_storage_encryption.tables.locations : one.bucket_project_number
      if one.credential == "tables" && one.bucket_project_number != null
    ])
  }
}
