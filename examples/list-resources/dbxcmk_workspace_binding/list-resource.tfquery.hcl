list "dbxcmk_workspace_binding" "all" {
  provider = dbxcmk
  limit    = 50
}
