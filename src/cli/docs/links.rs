//! Where each page leads: the guides of the index, and what is related to a resource, a data source, an action or a function.

/// The guides, in the groups in which a registry shows them.
pub(super) const GUIDES: &str = "
## Guides

Start:

- Your first key on [AWS](guides/first-key.md), [Google Cloud](guides/first-key-google.md) and [Azure](guides/first-key-azure.md), and what it [encrypts](guides/what-is-encrypted.md), and what it does not
- A new workspace with its keys on [AWS](guides/new-workspace.md), [Google Cloud](guides/new-workspace-google.md) and [Azure](guides/new-workspace-azure.md)
- [Installation](guides/installation.md), [authentication](guides/authentication.md), proxies and certificates, and the [permissions](guides/permissions.md) that the provider needs
- Moving from [databricks/databricks](guides/migrate-from-databricks.md) and from [aws_kms_key_policy](guides/migrate-from-aws-kms-key-policy.md)

Operate:

- [Layouts](guides/layouts.md) for one or two keys, many workspaces and several accounts; [cluster volumes](guides/cluster-volumes.md), [serverless workspaces](guides/serverless.md), [a second region](guides/second-region.md)
- [Rotation](guides/rotation.md), [data from before the key](guides/encrypt-existing-data.md), [quotas and cost](guides/quotas-and-cost.md)
- [Incident runbook](guides/incident-runbook.md): revoke and restore a key; the [key command](guides/key-command.md)
- [Reviewing pull requests](guides/pull-request-review.md), [testing modules](guides/testing-modules.md), [checking key policies](guides/policy-command.md)
- [Watch your keys](guides/audit.md): an audit of a whole account
- [Troubleshooting](guides/troubleshooting.md), with the [doctor command](guides/doctor.md): which rights are missing

Reference:

- [What the proof examines](guides/what-the-proof-examines.md), and every [finding](guides/findings.md) with its fix
- [Reliability](guides/reliability.md), [performance](guides/performance.md), [threat model](guides/threat-model.md), [open questions](guides/open-questions.md)
- [Terraform versions](guides/terraform-versions.md), [OpenTofu](guides/opentofu.md), [GovCloud](guides/govcloud.md), [exit codes](guides/exit-codes.md)
";

/// The text of a link, and where it leads.
type Link = (&'static str, &'static str);

/// What a reader of a page looks for next: pages of this provider, of peers, and of the services.
const RELATED: &[(&[&str], &[Link])] = &[
    (
        &["dbxcmk_key_policy"],
        &[
            (
                "`dbxcmk_key_policy_document`: a whole key policy, where you manage it",
                "../data-sources/key_policy_document.md",
            ),
            (
                "`dbxcmk_key_readiness`: whether a key is ready, and what grants each permission",
                "../data-sources/key_readiness.md",
            ),
            ("Cluster volumes", "../guides/cluster-volumes.md"),
            (
                "Moving from aws_kms_key_policy",
                "../guides/migrate-from-aws-kms-key-policy.md",
            ),
            (
                "AWS: key policies",
                "https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html",
            ),
            (
                "Google: access control of Cloud KMS",
                "https://cloud.google.com/kms/docs/iam",
            ),
            (
                "Microsoft: access to Key Vault",
                "https://learn.microsoft.com/azure/key-vault/general/rbac-guide",
            ),
        ],
    ),
    (
        &["dbxcmk_key_configuration"],
        &[
            (
                "`dbxcmk_key_policy`: lets Databricks use the key",
                "key_policy.md",
            ),
            (
                "`dbxcmk_workspace_binding`: attaches it to a workspace",
                "workspace_binding.md",
            ),
            (
                "`dbxcmk_key_configurations`: those that the account has",
                "../data-sources/key_configurations.md",
            ),
            ("Layouts", "../guides/layouts.md"),
            (
                "Moving from databricks_mws_customer_managed_keys",
                "../guides/migrate-from-databricks.md",
            ),
            (
                "databricks/databricks: databricks_mws_customer_managed_keys",
                "https://registry.terraform.io/providers/databricks/databricks/latest/docs/resources/mws_customer_managed_keys",
            ),
        ],
    ),
    (
        &["dbxcmk_workspace_binding"],
        &[
            ("What is encrypted", "../guides/what-is-encrypted.md"),
            ("Rotation", "../guides/rotation.md"),
            ("Layouts", "../guides/layouts.md"),
            (
                "`dbxcmk_workspace_encryption`: which key encrypts which data",
                "../data-sources/workspace_encryption.md",
            ),
            (
                "Reliability: what happens when an apply is interrupted",
                "../guides/reliability.md",
            ),
            (
                "Databricks: customer-managed keys",
                "https://docs.databricks.com/aws/en/security/keys/customer-managed-keys",
            ),
        ],
    ),
    (
        &[
            "dbxcmk_disable_key",
            "dbxcmk_restore_key",
            "dbxcmk_schedule_key_deletion",
        ],
        &[
            ("Incident runbook", "../guides/incident-runbook.md"),
            (
                "The key command, without Terraform",
                "../guides/key-command.md",
            ),
            (
                "`dbxcmk_revocation_impact`: what stops",
                "../data-sources/revocation_impact.md",
            ),
        ],
    ),
    (
        &["dbxcmk_key_readiness"],
        &[
            (
                "What the proof examines",
                "../guides/what-the-proof-examines.md",
            ),
            ("Findings", "../guides/findings.md"),
            ("`dbxcmk_key_policy`", "../resources/key_policy.md"),
        ],
    ),
    (
        &["dbxcmk_key_policy_document"],
        &[
            (
                "`dbxcmk_key_policy`, which adds the statements without owning the policy",
                "../resources/key_policy.md",
            ),
            (
                "`key_policy_statements` and `merge_key_policy`",
                "../functions/key_policy_statements.md",
            ),
            (
                "hashicorp/aws: aws_kms_key",
                "https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/kms_key",
            ),
        ],
    ),
    (
        &["dbxcmk_key_configurations"],
        &[
            (
                "`dbxcmk_key_configuration`",
                "../resources/key_configuration.md",
            ),
            (
                "Watch your keys: an audit of the whole account",
                "../guides/audit.md",
            ),
        ],
    ),
    (
        &["dbxcmk_revocation_impact"],
        &[
            ("Incident runbook", "../guides/incident-runbook.md"),
            ("`dbxcmk_disable_key`", "../actions/disable_key.md"),
            ("What is encrypted", "../guides/what-is-encrypted.md"),
        ],
    ),
    (
        &["dbxcmk_storage_encryption"],
        &[
            ("What is encrypted", "../guides/what-is-encrypted.md"),
            (
                "`dbxcmk_workspace_encryption`: what the keys of a workspace cover",
                "workspace_encryption.md",
            ),
            (
                "`dbxcmk_key_policy` with the use case `UNITY_CATALOG`",
                "../resources/key_policy.md",
            ),
        ],
    ),
    (
        &["dbxcmk_workspace_encryption"],
        &[
            ("What is encrypted", "../guides/what-is-encrypted.md"),
            (
                "`dbxcmk_storage_encryption`: by whose key tables in other storage are encrypted",
                "storage_encryption.md",
            ),
            (
                "Encrypt existing data again",
                "../guides/encrypt-existing-data.md",
            ),
            ("Serverless workspaces", "../guides/serverless.md"),
        ],
    ),
    (
        &[
            "parse_key_arn",
            "key_policy_statements",
            "merge_key_policy",
            "key_policy_allows",
        ],
        &[
            (
                "Checking key policies without a cloud",
                "../guides/policy-command.md",
            ),
            (
                "`dbxcmk_key_policy_document`",
                "../data-sources/key_policy_document.md",
            ),
            ("Terraform versions", "../guides/terraform-versions.md"),
        ],
    ),
];

/// The links of a page, if any are known.
pub(super) fn related(name: &str) -> &'static [Link] {
    RELATED
        .iter()
        .find(|(names, _)| names.contains(&name))
        .map_or(&[], |(_, links)| links)
}
