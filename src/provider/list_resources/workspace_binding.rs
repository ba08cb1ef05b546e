//! Every workspace of the account that has a key.

use serde::{Deserialize, Serialize};

use crate::preflight::azure::AttachedVaultKey;
use crate::provider::client::Client;
use crate::provider::diagnose::{self, as_warning};
use crate::provider::resources::workspace_binding::{
    WorkspaceBindingModel, WorkspaceBindingResource, binding_of, binding_of_arm,
};
use crate::vocabulary::{AttachedKey, KeyConfigurationId, UseCase};
use tfplugin::bridge::Attr;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
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
    pub azure_subscription_id: Attr<String>,
}

impl ListResource for WorkspaceBindingList {
    type Of = WorkspaceBindingResource;
    type Config = WorkspaceBindingListConfig;

    fn schema() -> Schema {
        Schema::new(
            "The workspaces of the Databricks account that have a key; with `azure_subscription_id` those of a subscription on Azure.",
            vec![
                Attribute::string("key_configuration_id")
                    .format::<KeyConfigurationId>("Invalid key configuration ID")
                    .describe("Only those that use this key configuration."),
                Attribute::string("azure_subscription_id")
                    .describe("Subscription on Azure, to list its workspaces instead of those of a Databricks account."),
            ],
        )
    }

    async fn list(
        cx: &Context<Client>,
        config: WorkspaceBindingListConfig,
        limit: usize,
    ) -> Result<Vec<Listed<WorkspaceBindingModel>>, Diagnostics> {
        if let Attr::Known(subscription) = &config.azure_subscription_id {
            return on_azure(cx, subscription, limit).await;
        }
        let client = cx.client();
        let account = client.account().await?;
        let failed = |error| diagnose::account("The workspaces could not be read", &error);
        let all = client.reads().workspaces(account).await.map_err(failed)?;
        let bound = all.values().filter(|workspace| {
            UseCase::ACCOUNT
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
            match binding_of(workspace) {
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

/// The workspaces of a subscription on Azure that have a key.
async fn on_azure(
    cx: &Context<Client>,
    subscription: &str,
    limit: usize,
) -> Result<Vec<Listed<WorkspaceBindingModel>>, Diagnostics> {
    let cloud = cx.client().keys().azure().cloud();
    let all = cloud.workspaces(subscription).await.map_err(|error| {
        Diagnostic::error(
            "The workspaces could not be listed",
            format!("Azure says about the subscription {subscription}: \"{error}\". The identity that runs Terraform needs the role Reader there."),
        )
        .on("azure_subscription_id")
    })?;
    let mut found = Vec::new();
    for workspace in all {
        if found.len() >= limit {
            break;
        }
        let workspace = match workspace {
            Ok(workspace) => workspace,
            Err(error) => {
                cx.warn(Diagnostic::warning(
                    "A workspace could not be read",
                    format!("The list does not include it: {error}."),
                ));
                continue;
            }
        };
        let has_key = UseCase::ALL
            .iter()
            .any(|case| workspace.key(*case) != AttachedVaultKey::None);
        if !has_key {
            continue;
        }
        match binding_of_arm(&workspace) {
            Ok(model) => found.push(Listed {
                name: workspace.id().id().name().to_owned(),
                model,
            }),
            Err(unreadable) => unreadable
                .into_iter()
                .for_each(|one| cx.warn(as_warning(one))),
        }
    }
    Ok(found)
}
