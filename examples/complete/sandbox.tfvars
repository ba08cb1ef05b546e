# For `dbxcmk-sandbox -- terraform apply -var-file sandbox.tfvars`: what the sandbox has.
workspace_id           = "1234567890123456"
cross_account_role_arn = "arn:aws:iam::123456789012:role/databricks-cross-account"
settle_time            = "0s"
