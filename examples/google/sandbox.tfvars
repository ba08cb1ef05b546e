# For `dbxcmk-sandbox --google -- bash`: what the sandbox has, after `sh sandbox.sh` has made the key.
kms_key_id                 = "projects/acme-lakehouse/locations/us-east4/keyRings/lakehouse/cryptoKeys/main"
workspace_id               = "3456789012345678"
workspace_project_number   = "123456789012"
workspace_service_accounts = ["db-3456789012345678@prod-gcp-us-east4.iam.gserviceaccount.com"]
settle_time                = "0s"
