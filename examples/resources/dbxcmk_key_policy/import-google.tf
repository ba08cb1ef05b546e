import {
  to = dbxcmk_key_policy.lakehouse
  id = "projects/acme-keys/locations/us-east4/keyRings/lakehouse/cryptoKeys/main"
}
