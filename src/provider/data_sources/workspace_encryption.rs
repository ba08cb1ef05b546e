//! `dbxcmk_workspace_encryption`: for a workspace, each kind of data, where it lies, which key encrypts it, and what is not
//! encrypted by a key of the customer and what to do instead.

use serde::{Deserialize, Serialize};

use super::{account, incomplete, list, text};
use crate::provider::attach::account::{attached, required};
use crate::provider::client::Client;
use crate::provider::diagnose;

use crate::requirements::coverage::{Covered, WorkspaceKeys};
use crate::requirements::kinds;
use crate::vocabulary::{Cloud, KeyConfigurationId, UseCase, WorkspaceId};
use tfplugin::bridge::Attr;
use tfplugin::data_source::DataSource;
use tfplugin::diagnostics::Diagnostics;
use tfplugin::resource::Context;
use tfplugin::schema::{Attribute, Nesting, Schema};

/// The data source.
pub struct WorkspaceEncryptionDataSource;

/// Configuration and result.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct WorkspaceEncryptionModel {
    pub workspace_id: Attr<WorkspaceId>,
    pub id: Attr<String>,
    pub workspace_name: Attr<String>,
    pub region: Attr<String>,
    pub managed_services_key_configuration_id: Attr<KeyConfigurationId>,
    pub managed_services_key: Attr<String>,
    pub storage_key_configuration_id: Attr<KeyConfigurationId>,
    pub storage_key: Attr<String>,
    pub data: Attr<Vec<Attr<Data>>>,
}

/// One kind of data.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct Data {
    pub kind: Attr<String>,
    pub place: Attr<String>,
    pub covered: Attr<bool>,
    pub covered_by: Attr<String>,
    pub key_configuration_id: Attr<KeyConfigurationId>,
    pub key: Attr<String>,
    pub note: Attr<String>,
    pub instead: Attr<String>,
}

impl DataSource for WorkspaceEncryptionDataSource {
    type Client = Client;
    type Model = WorkspaceEncryptionModel;

    const NAME: &'static str = "dbxcmk_workspace_encryption";

    fn schema() -> Schema {
        let data = vec![
            Attribute::string("kind")
                .computed()
                .describe("Kind of data, as `notebooks`."),
            Attribute::string("place")
                .computed()
                .describe("Where it is stored."),
            Attribute::bool("covered").computed().describe(
                "Whether a key of yours encrypts it; null where the workspace has no such data.",
            ),
            Attribute::string("covered_by")
                .computed()
                .describe("`MANAGED_SERVICES` or `STORAGE`; null when it is not covered."),
            Attribute::string("key_configuration_id")
                .computed()
                .describe("The key configuration that covers it."),
            Attribute::string("key")
                .computed()
                .describe("The key that covers it."),
            Attribute::string("note")
                .computed()
                .describe("Further notes."),
            Attribute::string("instead")
                .computed()
                .describe("What to do when it is not covered."),
        ];
        Schema::new(
            "Which key encrypts what in a workspace: each kind of data, its location, the key that covers it, and what to do \
             about data that is not covered. It combines the Databricks documentation with the keys of the workspace. A key \
             encrypts only data that was written after it was attached.",
            vec![
                Attribute::string("workspace_id")
                    .required()
                    .format::<WorkspaceId>("Invalid workspace ID")
                    .describe("ID of the workspace, a number."),
                Attribute::string("id")
                    .computed()
                    .describe("ID of the workspace."),
                Attribute::string("workspace_name")
                    .computed()
                    .describe("Name of the workspace."),
                Attribute::string("region")
                    .computed()
                    .describe("Region of the workspace."),
                Attribute::string("managed_services_key_configuration_id")
                    .computed()
                    .describe("Key configuration for managed services."),
                Attribute::string("managed_services_key")
                    .computed()
                    .describe("Its key."),
                Attribute::string("storage_key_configuration_id")
                    .computed()
                    .describe("Key configuration for workspace storage."),
                Attribute::string("storage_key")
                    .computed()
                    .describe("Its key."),
                Attribute::nested("data", Nesting::List, data)
                    .computed()
                    .describe("Each kind of data."),
            ],
        )
    }

    async fn read(
        cx: &Context<Client>,
        mut model: WorkspaceEncryptionModel,
    ) -> Result<WorkspaceEncryptionModel, Diagnostics> {
        let client = cx.client();
        let account = account(cx).await?;
        let Attr::Known(id) = model.workspace_id else {
            return Err(incomplete());
        };
        let workspace = required(account, id, client.reads().workspace(account, id).await)?;
        let failed = |error| diagnose::account("The key configurations could not be read", &error);
        let configurations = client
            .reads()
            .configurations(account)
            .await
            .map_err(failed)?;
        let of = |case: UseCase| -> Result<_, Diagnostics> {
            Ok(attached(&workspace, case)?.map(|id| {
                let configuration = configurations.get(id.as_str());
                (
                    id,
                    configuration
                        .and_then(|one| one.cloud_and_key())
                        .map(|(_, key)| key),
                    configuration,
                )
            }))
        };
        let (managed, storage) = (of(UseCase::ManagedServices)?, of(UseCase::Storage)?);
        let keys = WorkspaceKeys {
            managed_services: managed.is_some(),
            storage: storage.is_some(),
            cluster_volumes: storage
                .as_ref()
                .and_then(|(_, _, configuration)| *configuration)
                .is_some_and(|configuration| configuration.is_for_cluster_volumes()),
            default_storage: workspace.has_default_storage(),
            serverless_only: workspace.is_serverless_only(),
        };
        let key = |found: &Option<(KeyConfigurationId, Option<String>, _)>| match found {
            Some((id, key, _)) => (
                Attr::Known(id.clone()),
                key.clone().map_or(Attr::Null, Attr::Known),
            ),
            None => (Attr::Null, Attr::Null),
        };
        let cloud = workspace.cloud.clone().unwrap_or(Cloud::Aws);
        let rows = kinds(&cloud).iter().map(|kind| {
            let covered = kind.in_workspace(keys);
            let (case, (configuration, key)) = match covered {
                Covered::ByManagedServices => (Some(UseCase::ManagedServices), key(&managed)),
                Covered::ByStorage => (Some(UseCase::Storage), key(&storage)),
                _ => (None, (Attr::Null, Attr::Null)),
            };
            Data {
                kind: text(kind.name),
                place: text(kind.place_in(keys)),
                covered: if covered == Covered::DoesNotApply {
                    Attr::Null
                } else {
                    Attr::Known(case.is_some())
                },
                covered_by: text(case.map(|case| case.name()).unwrap_or_default()),
                key_configuration_id: configuration,
                key,
                note: text(kind.note),
                instead: match covered {
                    Covered::Not(instead) | Covered::Never(instead) => text(instead),
                    _ => Attr::Null,
                },
            }
        });
        model.data = list(rows);
        model.id = Attr::Known(id.to_string());
        model.workspace_name = text(&workspace.workspace_name);
        model.region = text(workspace.region().unwrap_or_default());
        (
            model.managed_services_key_configuration_id,
            model.managed_services_key,
        ) = key(&managed);
        (model.storage_key_configuration_id, model.storage_key) = key(&storage);
        Ok(model)
    }
}
