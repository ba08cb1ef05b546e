# The key, its vault, and the workspace whose identities use it.
import {
  to = dbxcmk_key_policy.lakehouse
  id = "https://acme-lakehouse.vault.azure.net/keys/main,/subscriptions/5ab5c7f1-0000-4000-8000-000000000001/resourceGroups/lakehouse/providers/Microsoft.KeyVault/vaults/acme-lakehouse,/subscriptions/5ab5c7f1-0000-4000-8000-000000000001/resourceGroups/lakehouse/providers/Microsoft.Databricks/workspaces/prod"
}
