import {
  to = dbxcmk_workspace_binding.prod
  id = "1234567890123456"
}
