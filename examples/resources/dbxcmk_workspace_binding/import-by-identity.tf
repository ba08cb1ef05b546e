import {
  to = dbxcmk_workspace_binding.prod
  identity = {
    workspace_id = "1234567890123456"
  }
}
