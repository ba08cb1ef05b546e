#!/bin/sh
# Lets the provider trust the certificate of the sandbox, in a shell that `dbxcmk-sandbox --azure -- bash` has started. The addresses are in the
# environment of that shell. With the real Azure, there is nothing to write.
set -eu
cat >sandbox_override.tf <<END
provider "dbxcmk" {
  azure = { ca_bundle = "$SANDBOX_CA_BUNDLE" }
}
END
echo "wrote sandbox_override.tf"
