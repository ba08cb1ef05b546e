#!/bin/sh
# Writes the addresses of the sandbox for the provider, in a shell that `dbxcmk-sandbox --azure -- bash` has started. With the real Azure, there is
# nothing to write.
set -eu
cat >sandbox_override.tf <<END
provider "dbxcmk" {
  azure = {
    ca_bundle = "$SANDBOX_CA_BUNDLE"
    endpoints = {
      resource_manager = "$SANDBOX_AZURE_URL/arm"
      login            = "$SANDBOX_AZURE_URL/login"
      graph            = "$SANDBOX_AZURE_URL/graph"
      key_vault        = "$SANDBOX_AZURE_URL/vault"
    }
  }
}
END
echo "wrote sandbox_override.tf"
