list "dbxcmk_key_policy" "frankfurt" {
  provider = dbxcmk

  config {
    region = "eu-central-1"
  }
}
