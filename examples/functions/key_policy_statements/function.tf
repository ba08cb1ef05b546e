output "statements" {
  value = provider::dbxcmk::key_policy_statements(
    ["MANAGED_SERVICES", "STORAGE"],
    ["2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11"],
    "arn:aws:iam::123456789012:role/databricks",
    "aws",
  )
}
