# The workspace has its keys already: the plan shows an import and no change.
import {
  to = dbxcmk_workspace_binding.prod
  id = "1234567890123456"
}

data "dbxcmk_key_configurations" "storage" {
  use_case = "STORAGE"
  key      = var.key_arn
}

resource "dbxcmk_workspace_binding" "prod" {
  workspace_id                          = "1234567890123456"
  managed_services_key_configuration_id = one(data.dbxcmk_key_configurations.storage.ids)
  storage_key_configuration_id          = one(data.dbxcmk_key_configurations.storage.ids)
}
