//! The data of a workspace on AWS.

use super::rows::Terms;
use super::{Cover, DataKind, Existing};

const AWS: Terms = Terms {
    storage: "workspace bucket",
    other_storage: "buckets of external locations and managed storage",
    attach_storage: "Attach a key configuration for storage. It can be set only once.",
    stored_before: Existing::Copied(
        "While nothing writes to the bucket, copy the objects onto themselves: `aws s3 cp s3://BUCKET/ s3://BUCKET/ --recursive --sse aws:kms --sse-kms-key-id KEY`.",
    ),
    overview: "https://docs.databricks.com/aws/en/security/keys/customer-managed-keys",
    results: "https://docs.databricks.com/aws/en/admin/workspace-settings/notebook-results",
    lakebase: "https://docs.databricks.com/aws/en/oltp/projects/customer-managed-keys",
    features: "https://docs.databricks.com/aws/en/machine-learning/feature-store/online-feature-store",
    dbfs: "https://docs.databricks.com/aws/en/dbfs/root-locations",
    design: "https://docs.databricks.com/aws/en/lakehouse-architecture/deployment-guide/storage",
    managed_storage: "https://docs.databricks.com/aws/en/connect/unity-catalog/cloud-storage/managed-storage",
    catalogs: "https://docs.databricks.com/aws/en/security/keys/cmek-unity-catalog",
    secrets: "https://docs.databricks.com/aws/en/security/secrets/best-practices",
};

const ACCOUNT: &str = "AWS account of the compute";

/// Every kind of data that a workspace on AWS has.
pub const KINDS: &[DataKind] = &[
    AWS.notebooks(),
    AWS.results_in_control_plane(),
    AWS.workspace_secrets(),
    AWS.git_credentials(),
    AWS.queries(),
    AWS.dashboards(),
    AWS.vector_search(),
    AWS.lakebase(),
    AWS.feature_stores(),
    AWS.dbfs_root("Including FileStore. Mounts are not part of it."),
    AWS.init_scripts(),
    AWS.libraries(),
    AWS.hive_tables(),
    AWS.results_in_storage(),
    AWS.job_results(),
    AWS.query_results(),
    AWS.revisions(),
    AWS.models(),
    AWS.pipelines(),
    AWS.system_data(),
    AWS.workspace_catalog(),
    DataKind::new(
        "EBS volumes of classic compute",
        ACCOUNT,
        Cover::ClusterVolumes,
        AWS.overview,
    )
    .classic()
    .existing(Existing::Never(
        "Restart clusters, and the idle instances of pools: new volumes get the key. Running clusters keep the key with which they started.",
    ))
    .note("Remote volumes: the operating system, and what Spark spills and caches there."),
    DataKind::new(
        "local disks of classic compute",
        ACCOUNT,
        Cover::Never(
            "Customer-managed keys cover only remote EBS volumes. A cluster can encrypt its local NVMe disks with a key that it makes itself (`enable_local_disk_encryption`).",
        ),
        AWS.overview,
    )
    .classic(),
    AWS.serverless_disks(),
    AWS.model_serving(),
    AWS.tables_elsewhere(
        "Unity Catalog tables in other buckets",
        "Encrypt the bucket with a key of your own (SSE-KMS, with `encryption_details` of the external location), and let the role of the \
         storage credential use it: `kms:Decrypt`, `kms:Encrypt`, `kms:GenerateDataKey*`.",
    ),
    AWS.catalogs(
        "Public Preview. Evaluation datasets of MLflow cannot be in a catalog that has a key; data of Data Classification is in the catalog \
         `system`.",
    ),
    AWS.unity_secrets(),
    AWS.mounts(
        "the mounted buckets",
        "Encrypt the mounted bucket with a key of your own (SSE-KMS).",
    ),
    AWS.datasets(),
    AWS.delta_sharing(),
    AWS.apps(),
    AWS.genie(),
];
