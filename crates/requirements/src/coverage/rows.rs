//! The rows that every cloud has. What differs are the words and pages of the cloud (`Terms`).

use super::{Cover, DataKind, Existing};

/// The words and pages of a cloud.
pub(super) struct Terms {
    /// Where the storage of a workspace lies.
    pub(super) storage: &'static str,
    /// Where tables lie that are in other storage.
    pub(super) other_storage: &'static str,
    /// What to do for a storage key.
    pub(super) attach_storage: &'static str,
    /// What becomes of data in the workspace storage from before the key.
    pub(super) stored_before: Existing,
    /// Customer-managed keys: the overview, which lists kinds of data.
    pub(super) overview: &'static str,
    /// Where notebook results are stored.
    pub(super) results: &'static str,
    /// Lakebase and customer-managed keys.
    pub(super) lakebase: &'static str,
    /// Online feature stores.
    pub(super) features: &'static str,
    /// What is in the DBFS root.
    pub(super) dbfs: &'static str,
    /// Storage of workspaces and catalogs.
    pub(super) design: &'static str,
    /// Managed storage of Unity Catalog.
    pub(super) managed_storage: &'static str,
    /// Customer-managed keys for Unity Catalog.
    pub(super) catalogs: &'static str,
    /// Secrets in Unity Catalog.
    pub(super) secrets: &'static str,
}

const CONTROL_PLANE: &str = "Databricks control plane";
const SERVERLESS: &str = "Databricks serverless compute plane";
const LAKEBASE: &str = "Databricks Lakebase";
const UNITY: &str = "Unity Catalog";

const SILENT: &str = "The Databricks documentation of customer-managed keys does not name it.";

impl DataKind {
    pub(super) const fn new(
        name: &'static str,
        place: &'static str,
        cover: Cover,
        source: &'static str,
    ) -> Self {
        Self {
            name,
            place,
            cover,
            only: None,
            classic: false,
            existing: Existing::NotConcerned,
            note: "",
            source,
            attach_storage: "",
        }
    }

    pub(super) const fn note(self, note: &'static str) -> Self {
        Self { note, ..self }
    }

    /// Said by another page than the overview.
    pub(super) const fn from(self, source: &'static str) -> Self {
        Self { source, ..self }
    }

    pub(super) const fn existing(self, existing: Existing) -> Self {
        Self { existing, ..self }
    }

    /// Covered only as far as the sentence says.
    pub(super) const fn only(self, only: &'static str) -> Self {
        Self {
            only: Some(only),
            ..self
        }
    }

    /// Only workspaces with classic compute have it.
    pub(super) const fn classic(self) -> Self {
        Self {
            classic: true,
            ..self
        }
    }

    pub(super) const fn attach_storage(self, attach_storage: &'static str) -> Self {
        Self {
            attach_storage,
            ..self
        }
    }
}

impl Terms {
    const fn managed(&self, name: &'static str, again: &'static str) -> DataKind {
        DataKind::new(name, CONTROL_PLANE, Cover::ManagedServices, self.overview)
            .existing(Existing::Saved(again))
    }

    const fn stored(&self, name: &'static str) -> DataKind {
        DataKind::new(name, self.storage, Cover::Storage, self.overview)
            .existing(self.stored_before)
            .attach_storage(self.attach_storage)
    }

    const fn silent(&self, name: &'static str) -> DataKind {
        DataKind::new(name, "not known", Cover::NotKnown(SILENT), self.overview)
    }

    pub(super) const fn notebooks(&self) -> DataKind {
        self.managed("notebooks", "Edit the notebook, so that it is saved.")
            .note("Source and metadata. Revisions are stored in the workspace storage.")
    }

    pub(super) const fn results_in_control_plane(&self) -> DataKind {
        self.managed(
            "interactive notebook results in the control plane",
            "Run the notebook again, or clear its results.",
        )
        .from(self.results)
        .note(
            "By default, small results. The workspace setting `storeInteractiveNotebookResultsInCustomerAccount` stores new results of any \
             size in the workspace storage instead; the provider does not read it.",
        )
    }

    pub(super) const fn results_in_storage(&self) -> DataKind {
        self.stored("interactive notebook results in the workspace storage")
            .from(self.results)
        .note(
            "By default, large results; with the workspace setting `storeInteractiveNotebookResultsInCustomerAccount`, new results of any \
             size. The provider does not read the setting.",
        )
    }

    pub(super) const fn workspace_secrets(&self) -> DataKind {
        self.managed(
            "workspace secrets",
            "Put the secret again (`databricks secrets put-secret`).",
        )
        .note("Secrets in secret scopes. Secrets in Unity Catalog are another row.")
    }

    pub(super) const fn git_credentials(&self) -> DataKind {
        self.managed("Git credentials", "Replace the credential.")
            .note("Personal access tokens and other credentials of Git folders.")
    }

    pub(super) const fn queries(&self) -> DataKind {
        self.managed(
            "queries and query history",
            "Save the query again. Entries of the history are not written again.",
        )
        .note("Of Databricks SQL.")
    }

    pub(super) const fn dashboards(&self) -> DataKind {
        DataKind::new(
            "dashboards",
            CONTROL_PLANE,
            Cover::ManagedServices,
            self.overview,
        )
        .only("Only AI/BI dashboards that were created after 2024-11-01.")
        .existing(Existing::Saved(
            "Save the dashboard again. One that was created by 2024-11-01 never gets under the key: create another one.",
        ))
    }

    pub(super) const fn vector_search(&self) -> DataKind {
        DataKind::new(
            "vector search indexes",
            SERVERLESS,
            Cover::ManagedServices,
            self.overview,
        )
        .note("And their metadata.")
        .existing(Existing::Saved(
            "Create the index again, so that all of it is written.",
        ))
    }

    pub(super) const fn lakebase(&self) -> DataKind {
        DataKind::new(
            "Lakebase projects",
            LAKEBASE,
            Cover::ManagedServices,
            self.lakebase,
        )
        .only(
            "Only projects of Lakebase Autoscaling that were created after the key was attached, and not before 2026-04-20, when Databricks \
             began to support it.",
        )
        .existing(Existing::Never(
            "Create a project, and move the data.",
        ))
        .note("The project page shows whether a project is encrypted with your key. Revoking the key ends running computes.")
    }

    pub(super) const fn feature_stores(&self) -> DataKind {
        DataKind::new(
            "online feature stores",
            LAKEBASE,
            Cover::ManagedServices,
            self.features,
        )
        .only(
            "Only stores that `fe.create_online_store` created after 2026-03-23, after the key was attached, and after Databricks began to \
             support it in the region.",
        )
        .existing(Existing::Never(
            "Create a store, and publish the tables to it.",
        ))
    }

    pub(super) const fn dbfs_root(&self, note: &'static str) -> DataKind {
        self.stored("DBFS root").note(note)
    }

    pub(super) const fn init_scripts(&self) -> DataKind {
        self.stored("init scripts in the DBFS root")
            .note("Scripts in workspace files, volumes or other buckets are not part of it.")
    }

    pub(super) const fn libraries(&self) -> DataKind {
        self.stored("libraries in the DBFS root")
            .note("Libraries in workspace files, volumes or other buckets are not part of it.")
    }

    pub(super) const fn hive_tables(&self) -> DataKind {
        self.stored("Hive metastore tables in the DBFS root")
            .from(self.dbfs)
            .note("Managed tables without a location of their own (`/user/hive/warehouse`).")
    }

    pub(super) const fn job_results(&self) -> DataKind {
        self.stored("job results")
    }

    pub(super) const fn query_results(&self) -> DataKind {
        self.stored("query results")
            .note("Of Databricks SQL, also of serverless SQL warehouses.")
    }

    pub(super) const fn revisions(&self) -> DataKind {
        self.stored("notebook revisions")
    }

    pub(super) const fn models(&self) -> DataKind {
        self.stored("MLflow models").note(
            "Of the workspace model registry; models in Unity Catalog are stored with the data of the catalog.",
        )
    }

    pub(super) const fn pipelines(&self) -> DataKind {
        self.stored("Delta Live Tables in the DBFS root")
            .note("Of pipelines that write to a DBFS path other than a mount.")
    }

    pub(super) const fn system_data(&self) -> DataKind {
        self.stored("other workspace system data")
            .note("What else Databricks stores in the workspace storage for itself.")
    }

    pub(super) const fn workspace_catalog(&self) -> DataKind {
        DataKind::new(
            "workspace catalog of Unity Catalog",
            self.storage,
            Cover::WorkspaceCatalog,
            self.design,
        )
        .existing(self.stored_before)
        .attach_storage(self.attach_storage)
        .note(
            "The catalog that Databricks creates with a workspace, as long as it keeps its first location. Other catalogs are other rows.",
        )
    }

    pub(super) const fn serverless_disks(&self) -> DataKind {
        DataKind::new(
            "disks of serverless compute",
            SERVERLESS,
            Cover::Never(
                "Customer-managed keys do not cover them. Databricks encrypts them, and they exist as long as the workload.",
            ),
            self.overview,
        )
    }

    pub(super) const fn model_serving(&self) -> DataKind {
        DataKind::new(
            "model serving images and disks",
            SERVERLESS,
            Cover::NotKnown(
                "The page says that Databricks' own keys encrypt them. Other sources report customer-managed keys for Model Serving since \
                 2026-04-16, which the page does not confirm.",
            ),
            self.overview,
        )
    }

    pub(super) const fn tables_elsewhere(
        &self,
        name: &'static str,
        instead: &'static str,
    ) -> DataKind {
        DataKind::new(
            name,
            self.other_storage,
            Cover::Elsewhere(instead),
            self.managed_storage,
        )
        .note("A storage key covers only the workspace storage.")
    }

    pub(super) const fn catalogs(&self, note: &'static str) -> DataKind {
        DataKind::new(
            "Unity Catalog catalogs on default storage",
            "Databricks default storage",
            Cover::Catalog,
            self.catalogs,
        )
        .note(note)
    }

    pub(super) const fn unity_secrets(&self) -> DataKind {
        DataKind::new("Unity Catalog secrets", UNITY, Cover::Catalog, self.secrets).note(
            "The key of their catalog encrypts those that Databricks stores. The managed services key does not.",
        )
    }

    pub(super) const fn mounts(&self, place: &'static str, instead: &'static str) -> DataKind {
        DataKind::new(
            "DBFS mounts",
            place,
            Cover::Elsewhere(instead),
            self.overview,
        )
        .note("Mounts are a legacy access pattern; Databricks recommends Unity Catalog.")
    }

    pub(super) const fn datasets(&self) -> DataKind {
        DataKind::new(
            "/databricks-datasets",
            "storage of Databricks",
            Cover::Never("It is public sample data of Databricks, and not yours."),
            self.dbfs,
        )
    }

    pub(super) const fn delta_sharing(&self) -> DataKind {
        self.silent("Delta Sharing")
    }

    pub(super) const fn apps(&self) -> DataKind {
        self.silent("Databricks Apps")
    }

    pub(super) const fn genie(&self) -> DataKind {
        self.silent("Genie")
    }
}
