# With the sandbox, which behaves like Databricks and AWS: dbxcmk-sandbox -- terraform test
provider "aws" {
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
}

variables {
  name                   = "lakehouse"
  cross_account_role_arn = "arn:aws:iam::123456789012:role/databricks-cross-account"
  settle_time            = "0s"
}

# An attach cannot be undone, so the cleanup of a test would fail. Create the key, and only plan the binding: the plan proves
# the workspace, the configuration and the key policy.
run "the_key_is_made_and_proven" {
  variables {
    workspace_ids = {}
  }

  assert {
    condition     = strcontains(dbxcmk_key_policy.this.policy, "Allow Databricks to use KMS key for DBFS")
    error_message = "The policy must have the statements."
  }
}

run "the_workspace_can_have_it" {
  command = plan

  variables {
    workspace_ids = { prod = "1234567890123456" }
  }

  assert {
    condition     = dbxcmk_workspace_binding.this["prod"].storage_key_configuration_id == dbxcmk_key_configuration.this.id
    error_message = "The workspace has to get the key of this module."
  }
}
