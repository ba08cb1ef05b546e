import {
  to = dbxcmk_key_policy.lakehouse
  identity = {
    key_arn = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  }
}
