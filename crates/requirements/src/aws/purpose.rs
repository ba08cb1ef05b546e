//! What Databricks does with a key on AWS: the purposes, the calls that each of them makes, and the documented statements'
//! actions.
//!
//! Source: the Databricks documentation of customer-managed keys and its reference modules.

use vocabulary::{KeyUse, UseCase};

/// What a group of permissions is for; each has its own statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// The control plane's own data.
    ManagedServices,
    /// The workspace's root bucket.
    Storage,
    /// Grants for the root bucket, which older documentation asked for.
    StorageGrants,
    /// The EBS volumes of classic compute.
    ClusterVolumes,
    /// Tables of Unity Catalog in a bucket that is encrypted with the key (SSE-KMS).
    Tables,
}

impl Purpose {
    /// The Sid of its statement in today's documentation.
    pub fn sid(self) -> &'static str {
        match self {
            Self::ManagedServices => {
                "Allow Databricks to use KMS key for managed services in the control plane"
            }
            Self::Storage => "Allow Databricks to use KMS key for DBFS",
            Self::StorageGrants => "Allow Databricks to use KMS key for DBFS (Grants)",
            Self::ClusterVolumes => "Allow Databricks to use KMS key for EBS",
            // Databricks documents the actions, and no Sid.
            Self::Tables => "Allow Unity Catalog to use KMS key for tables",
        }
    }

    /// Every Sid that Databricks has documented for it, today's first.
    pub fn documented_sids(self) -> &'static [&'static str] {
        match self {
            Self::ManagedServices => &[
                "Allow Databricks to use KMS key for managed services in the control plane",
                "Allow Databricks to use KMS key for control plane managed services",
            ],
            Self::Storage => &["Allow Databricks to use KMS key for DBFS"],
            Self::StorageGrants => &["Allow Databricks to use KMS key for DBFS (Grants)"],
            Self::ClusterVolumes => &["Allow Databricks to use KMS key for EBS"],
            Self::Tables => &["Allow Unity Catalog to use KMS key for tables"],
        }
    }

    /// The actions of its statement, as documented.
    pub fn statement_actions(self) -> &'static [&'static str] {
        match self {
            Self::ManagedServices => &["kms:Encrypt", "kms:Decrypt"],
            Self::Storage => &[
                "kms:Encrypt",
                "kms:Decrypt",
                "kms:ReEncrypt*",
                "kms:GenerateDataKey*",
                "kms:DescribeKey",
            ],
            Self::StorageGrants => &["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"],
            Self::ClusterVolumes => &[
                "kms:Decrypt",
                "kms:GenerateDataKey*",
                "kms:CreateGrant",
                "kms:DescribeKey",
            ],
            // Source: Databricks documentation, "Create a storage credential for connecting to AWS S3", the IAM policy of the role.
            Self::Tables => &["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*"],
        }
    }

    /// The calls that are really made, and what each is for.
    pub fn needed_actions(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::ManagedServices => &[
                (
                    "kms:Encrypt",
                    "to wrap the data keys of notebooks, secrets and queries",
                ),
                ("kms:Decrypt", "to unwrap them again"),
            ],
            Self::Storage => &[
                (
                    "kms:Encrypt",
                    "to wrap the data keys of the workspace bucket",
                ),
                ("kms:Decrypt", "to unwrap them again"),
                ("kms:ReEncryptFrom", "to re-encrypt existing data keys"),
                ("kms:ReEncryptTo", "to re-encrypt existing data keys"),
                ("kms:GenerateDataKey", "to make data keys for new objects"),
                (
                    "kms:GenerateDataKeyWithoutPlaintext",
                    "to make data keys for later use",
                ),
                ("kms:DescribeKey", "to see the key's state"),
            ],
            Self::StorageGrants => &[
                (
                    "kms:CreateGrant",
                    "to let AWS services use the key for the bucket",
                ),
                ("kms:ListGrants", "to see those grants"),
                ("kms:RevokeGrant", "to take them back"),
            ],
            Self::ClusterVolumes => &[
                ("kms:Decrypt", "to attach encrypted volumes"),
                ("kms:GenerateDataKey", "to make the data keys of volumes"),
                (
                    "kms:GenerateDataKeyWithoutPlaintext",
                    "to make the data keys of volumes",
                ),
                (
                    "kms:CreateGrant",
                    "to let EC2 use the key as long as a volume is attached",
                ),
                ("kms:DescribeKey", "to see the key's state"),
            ],
            Self::Tables => &[
                (
                    "kms:Decrypt",
                    "to read files, and to write those of many parts",
                ),
                ("kms:Encrypt", "to wrap data keys"),
                ("kms:GenerateDataKey", "to write files"),
                (
                    "kms:GenerateDataKeyWithoutPlaintext",
                    "to make data keys for later use",
                ),
            ],
        }
    }

    /// The feature of Databricks in words: `managed services`.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::ManagedServices => "managed services",
            Self::Storage => "workspace storage",
            Self::StorageGrants => "workspace storage (grants)",
            Self::ClusterVolumes => "cluster volumes (EBS)",
            Self::Tables => "tables of Unity Catalog",
        }
    }

    /// What breaks without it.
    pub fn without_it(self) -> &'static str {
        match self {
            Self::ManagedServices => {
                "Databricks cannot read or write notebooks, secrets, queries and their results: the attach fails, or the \
                 workspace loses access to them"
            }
            Self::Storage => {
                "Databricks cannot read or write the workspace bucket: the attach fails or reverts silently"
            }
            Self::StorageGrants => {
                "AWS services that act for Databricks cannot use the key for the workspace bucket"
            }
            Self::ClusterVolumes => {
                "clusters of classic compute do not start, because EC2 cannot attach their volumes"
            }
            Self::Tables => {
                "reads and writes of tables in the buckets under this key fail with AccessDenied, in queries and jobs that run later"
            }
        }
    }

    /// What happens without it in a workspace that uses the key already.
    pub fn cut_off(self) -> &'static str {
        match self {
            Self::ManagedServices => {
                "these workspaces are cut off: they cannot read or write notebooks, secrets, queries and their results, as soon as \
                 Databricks' cached data keys expire"
            }
            Self::Storage => {
                "these workspaces are cut off: they cannot read or write the workspace bucket, as soon as Databricks' cached data keys \
                 expire"
            }
            Self::StorageGrants | Self::ClusterVolumes | Self::Tables => self.without_it(),
        }
    }

    /// The use case it belongs to.
    pub fn use_case(self) -> KeyUse {
        match self {
            Self::ManagedServices => UseCase::ManagedServices.into(),
            Self::Storage | Self::StorageGrants | Self::ClusterVolumes => UseCase::Storage.into(),
            Self::Tables => KeyUse::UnityCatalog,
        }
    }
}
