import {
  to = dbxcmk_workspace_binding.prod
  id = "/subscriptions/5ab5c7f1-0000-4000-8000-000000000001/resourceGroups/lakehouse/providers/Microsoft.Databricks/workspaces/prod"
}
