list "dbxcmk_key_configuration" "storage" {
  provider = dbxcmk

  config {
    use_case = "STORAGE"
  }
}
