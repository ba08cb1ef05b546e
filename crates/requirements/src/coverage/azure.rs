//! The data of a workspace on Azure.

use super::rows::Terms;
use super::{Cover, DataKind, Existing};

const AZURE: Terms = Terms {
    storage: "storage account of the workspace",
    other_storage: "storage accounts of external locations and managed storage",
    attach_storage: "Attach a key configuration for storage.",
    // Source: Azure Storage documentation, "Customer-managed keys for Azure Storage encryption".
    stored_before: Existing::AtOnce(
        "Azure Storage wraps the key of the whole storage account with yours. It rewrites no data, and cannot read any without your key.",
    ),
    overview: "https://learn.microsoft.com/azure/databricks/security/keys/customer-managed-keys",
    results: "https://learn.microsoft.com/azure/databricks/admin/workspace-settings/notebook-results",
    lakebase: "https://learn.microsoft.com/azure/databricks/oltp/projects/customer-managed-keys",
    features: "https://learn.microsoft.com/azure/databricks/machine-learning/feature-store/online-feature-store",
    dbfs: "https://learn.microsoft.com/azure/databricks/dbfs/root-locations",
    design: "https://learn.microsoft.com/azure/databricks/lakehouse-architecture/deployment-guide/storage",
    managed_storage: "https://learn.microsoft.com/azure/databricks/connect/unity-catalog/cloud-storage/managed-storage",
    catalogs: "https://learn.microsoft.com/azure/databricks/security/keys/cmek-unity-catalog",
    secrets: "https://learn.microsoft.com/azure/databricks/security/secrets/best-practices",
};

const DISKS: &str =
    "https://learn.microsoft.com/azure/databricks/security/keys/cmk-managed-disks-azure/";
const GROUP: &str = "managed resource group of the workspace";

/// Every kind of data that a workspace on Azure has.
pub const KINDS: &[DataKind] = &[
    AZURE.notebooks(),
    AZURE.results_in_control_plane(),
    AZURE.workspace_secrets(),
    AZURE.git_credentials(),
    AZURE.queries(),
    AZURE.dashboards(),
    AZURE.vector_search(),
    AZURE.lakebase(),
    AZURE.feature_stores(),
    AZURE.dbfs_root("Including FileStore. Mounts are not part of it."),
    AZURE.init_scripts(),
    AZURE.libraries(),
    AZURE.hive_tables(),
    AZURE.results_in_storage(),
    AZURE.job_results(),
    AZURE.query_results(),
    AZURE.revisions(),
    AZURE.models(),
    AZURE.pipelines(),
    AZURE.system_data(),
    AZURE.workspace_catalog(),
    DataKind::new(
        "data disks of classic compute",
        GROUP,
        Cover::ManagedDisks,
        DISKS,
    )
    .classic()
    .existing(Existing::Never(
        "Restart clusters, and the idle instances of pools: new disks get the key. A disk keeps the key with which it was created.",
    )),
    DataKind::new(
        "operating system disks of classic compute",
        GROUP,
        Cover::Never("Customer-managed keys cover only data disks. Azure encrypts these with keys that Microsoft manages."),
        DISKS,
    )
    .classic(),
    DataKind::new(
        "local disks of classic compute",
        GROUP,
        Cover::Never(
            "Customer-managed keys cover only data disks. Temporary disks and local NVMe disks are not part of it.",
        ),
        DISKS,
    )
    .classic(),
    AZURE.serverless_disks(),
    AZURE.model_serving(),
    AZURE.tables_elsewhere(
        "Unity Catalog tables in other storage accounts",
        "Set a customer-managed key on the storage account (`azurerm_storage_account_customer_managed_key`), and let its identity use the key.",
    ),
    AZURE.catalogs(
        "Evaluation datasets of MLflow cannot be in a catalog that has a key; data of Data Classification is in the catalog `system`.",
    ),
    AZURE.unity_secrets(),
    AZURE.mounts(
        "the mounted storage accounts",
        "Set a customer-managed key on the mounted storage account.",
    ),
    AZURE.datasets(),
    AZURE.delta_sharing(),
    AZURE.apps(),
    AZURE.genie(),
];
