# Without any service: tests the logic of the module in a second.
mock_provider "aws" {
  mock_resource "aws_kms_key" {
    defaults = {
      arn = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    }
  }
}

mock_provider "dbxcmk" {
  mock_resource "dbxcmk_key_configuration" {
    defaults = {
      id = "3878344b-0000-4000-8000-000000000001"
    }
  }
}

variables {
  name                   = "lakehouse"
  cross_account_role_arn = "arn:aws:iam::123456789012:role/databricks-cross-account"
  workspace_ids          = { prod = "1234567890123456", dev = "2345678901234567" }
}

run "every_workspace_gets_both_keys" {
  assert {
    condition     = length(dbxcmk_workspace_binding.this) == 2
    error_message = "Each workspace must have a binding."
  }

  assert {
    condition     = dbxcmk_workspace_binding.this["prod"].storage_key_configuration_id == dbxcmk_key_configuration.this.id
    error_message = "The storage key must be the one of this module."
  }

  assert {
    condition     = dbxcmk_key_configuration.this.aws.key_alias == "alias/lakehouse"
    error_message = "The alias must be the name."
  }
}
