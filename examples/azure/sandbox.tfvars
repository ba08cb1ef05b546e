# For `dbxcmk-sandbox --azure -- bash`: what the sandbox has. The provider must also trust its certificate, for which `sh sandbox.sh` writes a file.
key_vault_key_id      = "https://acme-lakehouse.vault.azure.net/keys/main"
vault_resource_id     = "/subscriptions/5ab5c7f1-0000-4000-8000-000000000001/resourceGroups/lakehouse/providers/Microsoft.KeyVault/vaults/acme-lakehouse"
workspace_resource_id = "/subscriptions/5ab5c7f1-0000-4000-8000-000000000001/resourceGroups/lakehouse/providers/Microsoft.Databricks/workspaces/lakehouse-azure"
settle_time           = "0s"
