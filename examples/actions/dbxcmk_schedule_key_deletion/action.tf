action "dbxcmk_schedule_key_deletion" "lakehouse" {
  config {
    aws = {
      key_arn = var.key_arn
    }
    acknowledged_workspace_ids = ["1234567890123456"]
    deletion_window_days       = 30
  }
}
