resource "dbxcmk_workspace_binding" "prod" {
  workspace_id                          = "3456789012345678"
  managed_services_key_configuration_id = dbxcmk_key_configuration.lakehouse.id
  storage_key_configuration_id          = dbxcmk_key_configuration.lakehouse.id

  # The proof covers every member of the key's IAM policy.
  depends_on = [dbxcmk_key_policy.lakehouse]
}
