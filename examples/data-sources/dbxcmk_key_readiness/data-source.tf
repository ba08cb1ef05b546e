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
