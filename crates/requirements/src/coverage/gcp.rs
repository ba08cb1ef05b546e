//! The data of a workspace on Google Cloud.

use super::rows::Terms;
use super::{Cover, DataKind, Existing};

const GCP: Terms = Terms {
    storage: "workspace buckets",
    other_storage: "buckets of external locations and managed storage",
    attach_storage: "Attach a key configuration for storage. It can be set only once.",
    stored_before: Existing::Copied(
        "While nothing writes to the buckets, rewrite the objects: `gcloud storage objects update 'gs://BUCKET/**' --encryption-key=KEY`.",
    ),
    overview: "https://docs.databricks.com/gcp/en/security/keys/customer-managed-keys",
    results: "https://docs.databricks.com/gcp/en/admin/workspace-settings/notebook-results",
    lakebase: "https://docs.databricks.com/gcp/en/oltp/projects/customer-managed-keys",
    features: "https://docs.databricks.com/gcp/en/machine-learning/feature-store/online-feature-store",
    dbfs: "https://docs.databricks.com/gcp/en/dbfs/root-locations",
    design: "https://docs.databricks.com/gcp/en/lakehouse-architecture/deployment-guide/storage",
    managed_storage: "https://docs.databricks.com/gcp/en/connect/unity-catalog/cloud-storage/managed-storage",
    catalogs: "https://docs.databricks.com/gcp/en/security/keys/cmek-unity-catalog",
    secrets: "https://docs.databricks.com/gcp/en/security/secrets/best-practices",
};

const PROJECT: &str = "Google Cloud project of the workspace";

/// Every kind of data that a workspace on Google Cloud has.
pub const KINDS: &[DataKind] = &[
    GCP.notebooks(),
    GCP.results_in_control_plane(),
    GCP.workspace_secrets(),
    GCP.git_credentials(),
    GCP.queries(),
    GCP.dashboards(),
    GCP.vector_search(),
    GCP.lakebase(),
    GCP.feature_stores(),
    GCP.dbfs_root(
        "The bucket `databricks-<workspace ID>`, including FileStore. Mounts are not part of it.",
    ),
    GCP.init_scripts(),
    GCP.libraries(),
    GCP.hive_tables(),
    GCP.results_in_storage(),
    GCP.job_results(),
    GCP.query_results(),
    GCP.revisions(),
    GCP.models(),
    GCP.pipelines(),
    GCP.system_data(),
    GCP.workspace_catalog(),
    DataKind::new(
        "persistent disks of classic compute",
        PROJECT,
        Cover::Disks,
        GCP.overview,
    )
    .classic()
    .attach_storage(GCP.attach_storage)
    .existing(Existing::Never(
        "Restart clusters, and the idle instances of pools: new disks get the key. Running clusters keep the key with which they started.",
    )),
    DataKind::new(
        "local disks of classic compute",
        PROJECT,
        Cover::Never(
            "Customer-managed keys cover only persistent disks. Local SSDs are not part of it.",
        ),
        GCP.overview,
    )
    .classic(),
    GCP.serverless_disks(),
    GCP.model_serving(),
    GCP.tables_elsewhere(
        "Unity Catalog tables in other buckets",
        "Set a default key on the bucket (`default_kms_key_name`), and let the Cloud Storage service agent of its project use the key.",
    ),
    GCP.catalogs(
        "Beta. Evaluation datasets of MLflow cannot be in a catalog that has a key; data of Data Classification is in the catalog `system`.",
    ),
    GCP.unity_secrets(),
    GCP.mounts(
        "the mounted buckets",
        "Set a default key on the mounted bucket (`default_kms_key_name`).",
    ),
    GCP.datasets(),
    GCP.delta_sharing(),
    GCP.apps(),
    GCP.genie(),
];
