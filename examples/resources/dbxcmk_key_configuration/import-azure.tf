import {
  to = dbxcmk_key_configuration.lakehouse
  id = "https://acme-lakehouse.vault.azure.net/keys/main"
}
