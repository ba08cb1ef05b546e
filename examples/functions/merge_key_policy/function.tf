locals {
  statements = provider::dbxcmk::key_policy_statements(["STORAGE"], ["2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11"], null, null)
}

output "policy" {
  value = provider::dbxcmk::merge_key_policy(file("${path.module}/key-policy.json"), local.statements)
}
