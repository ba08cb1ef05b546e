action "dbxcmk_restore_key" "lakehouse" {
  config {
    aws = {
      key_arn = var.key_arn
    }
    wait_for_workspaces = "20m"
  }
}
