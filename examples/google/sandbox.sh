#!/bin/sh
# Makes a key in the sandbox, in a shell that `dbxcmk-sandbox --google -- bash` has started. With the real Google Cloud, hashicorp/google makes it.
set -eu
ask() { curl --silent --show-error --fail --output /dev/null --header "Authorization: Bearer $GOOGLE_OAUTH_ACCESS_TOKEN" "$@"; }
rings=$SANDBOX_URL/v1/projects/acme-lakehouse/locations/us-east4/keyRings
ask --data '{}' "$rings?keyRingId=lakehouse"
ask --data '{"purpose": "ENCRYPT_DECRYPT", "rotationPeriod": "7776000s", "nextRotationTime": "2099-01-01T00:00:00Z"}' "$rings/lakehouse/cryptoKeys?cryptoKeyId=main"
# The service agent of Cloud Storage exists after the first question about it.
ask "$SANDBOX_URL/storage/v1/projects/acme-lakehouse/serviceAccount"
echo "made the key projects/acme-lakehouse/locations/us-east4/keyRings/lakehouse/cryptoKeys/main"
