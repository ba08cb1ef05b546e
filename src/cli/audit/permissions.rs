//! The least permissions of an audit, ready to paste, and what each one that is missing leaves open.

/// What each cloud's identity needs.
pub(super) const TEXT: &str = r#"Databricks account (AWS, Google Cloud; optional on Azure): account admin
  Databricks has no role that only reads the account. The audit sends GET requests alone. Use a service principal of its own, with short-lived
  secrets or OIDC.
  For catalogs: make it a user of one workspace of each metastore, and a member of the group that is the admin of the metastore.
  Without it: workspaces and key configurations, or catalogs, are not known.

AWS: an IAM policy, in each account with keys (--assume-role-pattern arn:aws:iam::{account}:role/Audit)
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
      "Sid": "UnregisteredKeysAndLastUsers",
      "Effect": "Allow",
      "Action": [
        "kms:ListKeys",
        "cloudtrail:LookupEvents"
      ],
      "Resource": "*"
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
    },
    {
      "Sid": "Buckets",
      "Effect": "Allow",
      "Action": "s3:GetEncryptionConfiguration",
      "Resource": "arn:aws:s3:::*"
    }
  ]
}
  Without kms:DescribeKey: whether a key can be used and will be lost. kms:GetKeyPolicy, kms:ListGrants: who may use it.
  kms:GetKeyRotationStatus: its rotation. kms:GetKeyLastUsage: whether it was ever used. kms:ListKeys: keys that nobody registered
  (discovery = false in the policy file). cloudtrail:LookupEvents: who used a key last (--who-used alone).
  iam:…: whether clusters can encrypt their volumes. s3:GetEncryptionConfiguration: by whose key tables are encrypted.

Google Cloud: a custom role on the projects of the keys and buckets
  cloudkms.cryptoKeys.get
  cloudkms.cryptoKeys.getIamPolicy
  cloudkms.cryptoKeyVersions.list
  cloudkms.keyRings.getIamPolicy
  resourcemanager.projects.get
  resourcemanager.projects.getIamPolicy
  storage.buckets.get
  and on the organization roles/iam.securityReviewer and roles/iam.denyReviewer
  The API kmsinventory.googleapis.com must be enabled in these projects.
  Without cloudkms.cryptoKeys.get, cloudkms.cryptoKeyVersions.list: whether a key can be used and will be lost, and what it protects. …getIamPolicy:
  who may use it. kmsinventory: what it protects (last_use = false in the policy file). roles/iam.denyReviewer: whether a deny policy takes it from
  Databricks. storage.buckets.get: by whose key tables are encrypted.

Azure
  Reader on each subscription with workspaces, vaults or storage accounts: workspaces, vaults, role assignments, diagnostic settings
  Key Vault Reader on each vault with role assignments; get and list on keys in vaults with access policies; Managed HSM Crypto Auditor on each HSM
  Application.Read.All in Microsoft Graph, or --databricks-principal-id
  Without Reader on a subscription: its workspaces, which is an error as soon as the Databricks account knows of them. Without Key Vault Reader:
  whether a key can be used and will be lost. Without Microsoft Graph: whether Databricks may use it.
"#;
