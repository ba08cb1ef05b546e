//! Every workspace of the account that has a key.

use serde::{Deserialize, Serialize};

use crate::provider::client::Client;
use crate::provider::diagnose::{self, as_warning};
use crate::provider::resources::workspace_binding::{
    WorkspaceBindingModel, WorkspaceBindingResource,
};
use crate::vocabulary::{AttachedKey, KeyConfigurationId, UseCase};
use tfplugin::bridge::Attr;
use tfplugin::diagnostics::Diagnostics;
use tfplugin::list_resource::{ListResource, Listed};
use tfplugin::resource::Context;
use tfplugin::schema::{Attribute, Schema};

/// The list.
pub struct WorkspaceBindingList;

/// What it is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct WorkspaceBindingListConfig {
    pub key_configuration_id: Attr<KeyConfigurationId>,
}

impl ListResource for WorkspaceBindingList {
    type Of = WorkspaceBindingResource;
    type Config = WorkspaceBindingListConfig;

    fn schema() -> Schema {
        Schema::new(
            "The workspaces of the Databricks account that have a key.",
            vec![
                Attribute::string("key_configuration_id")
                    .format::<KeyConfigurationId>("Invalid key configuration ID")
                    .describe("Only those that use this key configuration."),
            ],
        )
    }

    async fn list(
        cx: &Context<Client>,
        config: WorkspaceBindingListConfig,
        limit: usize,
    ) -> Result<Vec<Listed<WorkspaceBindingModel>>, Diagnostics> {
        let client = cx.client();
        let account = client.account().await?;
        let failed = |error| diagnose::account("The workspaces could not be read", &error);
        let all = client.reads().workspaces(account).await.map_err(failed)?;
        let bound = all.values().filter(|workspace| {
            UseCase::ALL
                .iter()
                .any(|case| workspace.key(*case) != AttachedKey::None)
                && config
                    .key_configuration_id
                    .known()
                    .is_none_or(|id| workspace.uses(id))
        });
        let mut found = Vec::new();
        for workspace in bound {
            if found.len() >= limit {
                break;
            }
            match WorkspaceBindingModel::of(workspace) {
                Ok(model) => {
                    found.push(Listed {
                        name: format!("{} ({})", workspace.workspace_name, workspace.workspace_id),
                        model,
                    });
                }
                // What this version cannot read is reported, and is no reason to hide the others.
                Err(unreadable) => unreadable
                    .into_iter()
                    .for_each(|one| cx.warn(as_warning(one))),
            }
        }
        Ok(found)
    }
}
