action "dbxcmk_disable_key" "lakehouse" {
  config {
    aws = {
      key_arn = var.key_arn
    }
    acknowledged_workspace_ids = ["1234567890123456"]
  }
}
