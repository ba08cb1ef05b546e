//! Every workspace of the account that has a key.

use crate::preflight::azure::AttachedVaultKey;
use crate::provider::client::Client;
use crate::provider::diagnose::{self, as_warning};
use crate::provider::resources::workspace_binding::{
    WorkspaceBindingModel, WorkspaceBindingResource, binding_of, binding_of_arm,
};
use crate::vocabulary::{AttachedKey, KeyConfigurationId, UseCase};
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::deferral::Unfinished;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::list_resource::{Found, ListResource, Listed};
use tfplugin::model::Model;
use tfplugin::schema::{Name, Schema};

/// Lists `dbxcmk_workspace_binding`: one object for each workspace with a key.
pub struct WorkspaceBindingList;

/// The workspaces of the Databricks account that have a key; with `azure_subscription_id` those of a subscription on Azure.
#[derive(Clone, Debug, Model)]
pub struct WorkspaceBindingListConfig {
    /// Only those that use this key configuration.
    #[attr(text, format(KeyConfigurationId, "Invalid key configuration ID"))]
    pub key_configuration_id: Attr<KeyConfigurationId>,
    /// Subscription on Azure, to list its workspaces instead of those of a Databricks account.
    pub azure_subscription_id: Attr<String>,
}

impl ListResource for WorkspaceBindingList {
    type Of = WorkspaceBindingResource;
    type Config = WorkspaceBindingListConfig;

    fn name(&self) -> Name {
        "dbxcmk_workspace_binding".into()
    }

    fn schema(&self) -> Schema {
        WorkspaceBindingListConfig::schema()
    }

    async fn list(
        &self,
        cx: &Context<Client>,
        config: WorkspaceBindingListConfig,
        found: &Found<WorkspaceBindingModel>,
    ) -> Result<(), Unfinished> {
        if let Attr::Known(subscription) = &config.azure_subscription_id {
            return Ok(on_azure(cx, subscription, found).await?);
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
        for workspace in bound {
            match binding_of(workspace) {
                Ok(model) => {
                    let name = format!("{} ({})", workspace.workspace_name, workspace.workspace_id);
                    if !found.show(Listed::new(name, model)).await {
                        break;
                    }
                }
                // The list reports an object that this version cannot read, and shows the others.
                Err(unreadable) => unreadable
                    .into_iter()
                    .for_each(|one| cx.warn(as_warning(one))),
            }
        }
        Ok(())
    }
}

/// The workspaces of a subscription on Azure that have a key.
async fn on_azure(
    cx: &Context<Client>,
    subscription: &str,
    found: &Found<WorkspaceBindingModel>,
) -> Result<(), Diagnostics> {
    let cloud = cx.client().keys().azure().cloud();
    let all = cloud.workspaces(subscription).await.map_err(|error| {
        Diagnostic::error(
            "The workspaces could not be listed",
            format!("Azure says about the subscription {subscription}: \"{error}\". The identity that runs Terraform needs the role Reader there."),
        )
        .on("azure_subscription_id")
    })?;
    for workspace in all {
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
            Ok(model) => {
                let name = workspace.id().id().name();
                if !found.show(Listed::new(name, model)).await {
                    break;
                }
            }
            Err(unreadable) => unreadable
                .into_iter()
                .for_each(|one| cx.warn(as_warning(one))),
        }
    }
    Ok(())
}
