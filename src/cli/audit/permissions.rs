//! The least permissions of an audit, ready to paste.

/// What each cloud's identity needs.
pub(super) const TEXT: &str = r#"Databricks account (AWS, Google Cloud): account admin
  Databricks has no role that only reads the account. The audit sends GET requests alone. Use a service principal of its own, with short-lived
  secrets or OIDC.

AWS: an IAM policy
{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "Keys",
      "Effect": "Allow",
      "Action": [
        "kms:DescribeKey",
        "kms:GetKeyPolicy",
        "kms:GetKeyRotationStatus",
        "kms:ListGrants",
        "kms:GetKeyLastUsage"
      ],
      "Resource": "arn:aws:kms:*:ACCOUNT:key/*"
    },
    {
      "Sid": "RolesOfClusters",
      "Effect": "Allow",
      "Action": [
        "iam:GetRole",
        "iam:ListAttachedRolePolicies",
        "iam:GetPolicy",
        "iam:GetPolicyVersion",
        "iam:ListRolePolicies",
        "iam:GetRolePolicy",
        "iam:SimulatePrincipalPolicy"
      ],
      "Resource": [
        "arn:aws:iam::ACCOUNT:role/*",
        "arn:aws:iam::ACCOUNT:policy/*"
      ]
    }
  ]
}

Google Cloud: a custom role on the projects of the keys
  cloudkms.cryptoKeys.get
  cloudkms.cryptoKeys.getIamPolicy
  cloudkms.cryptoKeyVersions.list
  cloudkms.keyRings.getIamPolicy
  resourcemanager.projects.get
  resourcemanager.projects.getIamPolicy
  and on the organization roles/iam.securityReviewer and roles/iam.denyReviewer
  The API kmsinventory.googleapis.com must be enabled in these projects.

Azure
  Reader on each subscription with workspaces or vaults
  Key Vault Reader on each vault with role assignments; get and list on keys in vaults with access policies
  Application.Read.All in Microsoft Graph, or --databricks-principal-id
"#;
