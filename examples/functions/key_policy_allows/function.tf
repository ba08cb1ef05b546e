locals {
  decision = provider::dbxcmk::key_policy_allows(
    file("${path.module}/key-policy.json"),
    "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "arn:aws:iam::123456789012:role/backup",
    "kms:Decrypt",
    { "kms:ViaService" = "s3.eu-central-1.amazonaws.com" },
  )
}

output "backup_may_decrypt" {
  value = "${local.decision.verdict} by ${join(", ", local.decision.statements)}"
}
