//! `dbxcmk_workspace_encryption`: for a workspace, each kind of data, where it lies, which key encrypts it, and what is not
//! encrypted by a key of the customer and what to do instead.

use serde::{Deserialize, Serialize};

use super::{account, incomplete, list, text};
use crate::provider::attach::account::{attached, missing};
use crate::provider::client::Client;
use crate::provider::diagnose::{self, later};
use crate::provider::encryption::{StorageKey, keys_of, keys_on_azure};
use crate::provider::resources::workspace_binding::readable;
use crate::requirements::coverage::{Covered, WorkspaceKeys};
use crate::requirements::kinds;
use crate::vocabulary::azure::WorkspaceResourceId;
use crate::vocabulary::{Cloud, KeyConfigurationId, KeyReference, UseCase, WorkspaceId};
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::data_source::DataSource;
use tfplugin::deferral::Unfinished;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::schema::{Attribute, Name, Nesting, Schema};

/// `dbxcmk_workspace_encryption`: what the keys of a workspace encrypt, and what they do not.
pub struct WorkspaceEncryptionDataSource;

/// The arguments and results of `dbxcmk_workspace_encryption`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct WorkspaceEncryptionModel {
    pub workspace_id: Attr<WorkspaceId>,
    pub azure: Attr<NamedWorkspace>,
    pub id: Attr<String>,
    pub workspace_name: Attr<String>,
    pub region: Attr<String>,
    pub managed_services_key_configuration_id: Attr<KeyReference>,
    pub managed_services_key: Attr<String>,
    pub storage_key_configuration_id: Attr<KeyReference>,
    pub storage_key: Attr<String>,
    pub managed_disks_key: Attr<String>,
    pub data: Attr<Vec<Attr<Data>>>,
}

/// `azure`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct NamedWorkspace {
    pub workspace_resource_id: Attr<WorkspaceResourceId>,
}

/// One kind of data.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct Data {
    pub kind: Attr<String>,
    pub place: Attr<String>,
    pub covered: Attr<String>,
    pub why: Attr<String>,
    pub covered_by: Attr<String>,
    pub key_configuration_id: Attr<KeyReference>,
    pub key: Attr<String>,
    pub note: Attr<String>,
    pub instead: Attr<String>,
    pub existing_data: Attr<String>,
    pub existing_data_how: Attr<String>,
    pub source: Attr<String>,
}

impl DataSource for WorkspaceEncryptionDataSource {
    type Client = Client;
    type Model = WorkspaceEncryptionModel;

    fn name(&self) -> Name {
        "dbxcmk_workspace_encryption".into()
    }

    #[expect(clippy::too_many_lines, reason = "a table of attributes")]
    fn schema(&self) -> Schema {
        let data = vec![
            Attribute::string("kind")
                .computed()
                .describe("Kind of data, for example `notebooks`. Unique in this list."),
            Attribute::string("place")
                .computed()
                .describe("Where it is stored."),
            Attribute::string("covered").computed().describe(
                "Whether a key of yours covers it: `yes`, `partly`, `no` or `not_known`; null where the workspace has no such data. A key \
                 that is attached covers data, also while it is disabled. `not_known` is not `no`: the documentation does not say, or \
                 the key is set at another place, which this data source does not read.",
            ),
            Attribute::string("why").computed().describe("Why."),
            Attribute::string("covered_by").computed().describe(
                "Use case of the key that covers it: `MANAGED_SERVICES`, `STORAGE` or `MANAGED_DISKS`; null when none is known to cover it.",
            ),
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
                .describe("What to do when it is not covered, or not known to be; null when there is nothing to do."),
            Attribute::string("existing_data").computed().describe(
                "How data from before the key gets under it: `copy_in_place`, `save_again`, `never` or `at_once`. Until then it stays under \
                 its former encryption. Null where no key of a workspace covers this kind.",
            ),
            Attribute::string("existing_data_how")
                .computed()
                .describe("What to do for that."),
            Attribute::string("source")
                .computed()
                .describe("Page of the documentation that says so."),
        ];
        Schema::new(
            "Which key encrypts what in a workspace: each kind of data, its location, the key that covers it, and what to do \
             about data that is not covered. It combines the Databricks documentation with the keys of the workspace. Most data from \
             before the key stays under its former encryption: see `existing_data`.",
            vec![
                Attribute::string("workspace_id")
                    .optional_computed()
                    .format::<WorkspaceId>("Invalid workspace ID")
                    .describe("ID of the workspace, a number. On Azure, set `azure` instead."),
                Attribute::object(
                    "azure",
                    vec![
                        Attribute::string("workspace_resource_id")
                            .required()
                            .format::<WorkspaceResourceId>("Invalid resource ID of a workspace")
                            .describe("Resource ID of the workspace (`azurerm_databricks_workspace.….id`)."),
                    ],
                )
                .describe("The workspace on Azure."),
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
                    .describe("Key of the key configuration for managed services."),
                Attribute::string("storage_key_configuration_id")
                    .computed()
                    .describe("Key configuration for workspace storage."),
                Attribute::string("storage_key")
                    .computed()
                    .describe("Key of the key configuration for workspace storage."),
                Attribute::string("managed_disks_key")
                    .computed()
                    .describe("The key for managed disks, on Azure."),
                Attribute::nested("data", Nesting::List, data)
                    .computed()
                    .describe("Each kind of data."),
            ],
        )
    }

    fn validate(&self, config: &WorkspaceEncryptionModel) -> Diagnostics {
        match (config.workspace_id.is_null(), config.azure.is_null()) {
            (true, true) => Diagnostic::error(
                "Missing required argument",
                "Set `workspace_id`, or on Azure `azure = { workspace_resource_id = … }`.",
            )
            .on("workspace_id")
            .into(),
            (false, false) => Diagnostic::error(
                "Conflicting arguments: `workspace_id` and `azure`",
                "Both name a workspace. Set `workspace_id` on AWS and Google Cloud, and `azure` on Azure.",
            )
            .on("azure")
            .into(),
            _ => Diagnostics::new(),
        }
    }

    async fn read(
        &self,
        cx: &Context<Client>,
        mut model: WorkspaceEncryptionModel,
    ) -> Result<WorkspaceEncryptionModel, Unfinished> {
        if let Attr::Known(named) = &model.azure {
            let Attr::Known(id) = &named.workspace_resource_id else {
                return Err(incomplete().into());
            };
            let id = id.clone();
            return read_azure(cx, model, &id).await;
        }
        let client = cx.client();
        let account = account(cx).await?;
        let Attr::Known(id) = model.workspace_id else {
            return Err(incomplete().into());
        };
        let found = client
            .reads()
            .workspace(account, id)
            .await
            .map_err(|error| {
                diagnose::account("The workspace could not be read", &error).on("workspace_id")
            })?;
        let workspace = found.ok_or_else(|| {
            missing(
                account,
                id,
                "If the workspace was deleted, remove this data source from the configuration.",
            )
        })?;
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
        let keys = keys_of(
            &workspace,
            managed.is_some(),
            match &storage {
                None => StorageKey::None,
                Some((_, _, Some(configuration))) => StorageKey::Of(configuration),
                Some((_, _, None)) => StorageKey::NotListed,
            },
        );
        let key = |found: &Option<(KeyConfigurationId, Option<String>, _)>| match found {
            Some((id, key, _)) => (
                Attr::Known(KeyReference::Configuration(id.clone())),
                key.clone().map_or(Attr::Null, Attr::Known),
            ),
            None => (Attr::Null, Attr::Null),
        };
        let cloud = workspace.cloud().unwrap_or_default();
        model.data = rows(&cloud, keys, |case| match case {
            UseCase::ManagedServices => key(&managed),
            UseCase::Storage => key(&storage),
            UseCase::ManagedDisks => (Attr::Null, Attr::Null),
        });
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

/// Each kind of data, with the key that covers it.
pub(in crate::provider) fn rows(
    cloud: &Cloud,
    keys: WorkspaceKeys,
    key: impl Fn(UseCase) -> (Attr<KeyReference>, Attr<String>),
) -> Attr<Vec<Attr<Data>>> {
    list(kinds(cloud).iter().map(|kind| {
        let answer = kind.in_workspace(keys);
        let existing = kind.existing_in(keys);
        let (configuration, key) = answer.by.map_or((Attr::Null, Attr::Null), &key);
        Data {
            kind: text(kind.name),
            place: text(kind.place_in(keys)),
            covered: match answer.covered {
                Covered::NotOffered => Attr::Null,
                covered => text(covered.word()),
            },
            why: text(answer.why),
            covered_by: text(answer.by.map(|case| case.name()).unwrap_or_default()),
            key_configuration_id: configuration,
            key,
            note: text(kind.note),
            instead: text(answer.instead.unwrap_or_default()),
            existing_data: text(existing.word().unwrap_or_default()),
            existing_data_how: text(existing.how()),
            source: text(kind.source),
        }
    }))
}

/// The same for a workspace on Azure.
async fn read_azure(
    cx: &Context<Client>,
    mut model: WorkspaceEncryptionModel,
    id: &WorkspaceResourceId,
) -> Result<WorkspaceEncryptionModel, Unfinished> {
    let azure = cx.client().keys().azure();
    if !azure.is_known() {
        cx.client().warn_of_unknown_clouds(cx);
        return Err(later(incomplete()));
    }
    let workspace = azure
        .workspace_for_plan(id)
        .await
        .map_err(|error| diagnose::arm("The workspace could not be read", id, &error))?;
    let mut attached = Vec::new();
    for case in UseCase::ALL {
        attached.push((case, readable(&workspace, case)?));
    }
    let of = |case| attached.iter().find(|(own, _)| *own == case)?.1.clone();
    let keys = keys_on_azure(&workspace, |case| of(case).is_some());
    let key = |case: UseCase| match of(case) {
        Some(key) => {
            let text = key.to_string();
            (Attr::Known(KeyReference::VaultKey(key)), Attr::Known(text))
        }
        None => (Attr::Null, Attr::Null),
    };
    model.data = rows(&Cloud::Azure, keys, key);
    model.id = Attr::Known(id.to_string());
    model.workspace_id = workspace.number().into();
    model.workspace_name = text(id.id().name());
    model.region = text(workspace.location().unwrap_or_default());
    (
        model.managed_services_key_configuration_id,
        model.managed_services_key,
    ) = key(UseCase::ManagedServices);
    (model.storage_key_configuration_id, model.storage_key) = key(UseCase::Storage);
    model.managed_disks_key = key(UseCase::ManagedDisks).1;
    Ok(model)
}
