//! Never taking a key configuration away from a workspace that uses it.

use crate::databricks::Error;
use crate::databricks::workspaces::Workspace;
use crate::preflight::Stage;
use crate::provider::catalog_users::warn_of_gaps;
use crate::provider::catalogs::KeyedCatalog;
use crate::provider::client::Client;
use crate::provider::diagnose;
use crate::vocabulary::{KeyConfigurationId, UseCase};
use tfplugin::context::Context;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};

/// Refuses at plan to take a configuration away from workspaces and catalogs that use it, and says which catalogs were not seen.
///
/// # Errors
/// When there are any, or the workspaces could not be read.
pub async fn refuse_at_plan(
    cx: &Context<Client>,
    id: &KeyConfigurationId,
    ending: Ending,
) -> Result<(), Diagnostics> {
    let client = cx.client();
    let account = client.account().await?;
    let all = client.reads().workspaces(account).await;
    let using = all.map(|all| {
        let users = all.values().filter(|workspace| workspace.uses(id));
        users.cloned().collect()
    });
    refuse_while_in_use(id, ending, using)?;
    let catalogs = client.catalogs(Stage::Plan).await;
    refuse_catalogs(id, ending, &catalogs.using(id.as_str()))?;
    warn_of_gaps(cx, &ending.announced(id), &catalogs.gaps);
    Ok(())
}

/// Refuses right before a delete to take a configuration away from catalogs that use it.
///
/// # Errors
/// When there are any.
pub async fn refuse_catalogs_at_delete(
    cx: &Context<Client>,
    id: &KeyConfigurationId,
) -> Result<(), Diagnostics> {
    let client = cx.client();
    let mut catalogs = client.catalogs(Stage::Apply).await;
    if !catalogs.using(id.as_str()).is_empty() {
        // Terraform may have destroyed them a moment ago.
        catalogs = client.catalogs_now().await;
    }
    refuse_catalogs(id, Ending::Destroyed, &catalogs.using(id.as_str()))?;
    warn_of_gaps(cx, &Ending::Destroyed.announced(id), &catalogs.gaps);
    Ok(())
}

fn refuse_catalogs(
    id: &KeyConfigurationId,
    ending: Ending,
    catalogs: &[KeyedCatalog],
) -> Result<(), Diagnostics> {
    if catalogs.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = catalogs
        .iter()
        .map(|one| format!("  - {}", one.in_words()))
        .collect();
    let remedy = match ending {
        Ending::Replaced => {
            "The API cannot change a configuration, so this change replaces it. Undo the change, or add a second `dbxcmk_key_configuration` \
             beside this one and give it to the catalogs (`managed_encryption_settings`) first."
        }
        Ending::Destroyed => {
            "Give the catalogs another key (`managed_encryption_settings`) or delete them first, then this resource. To let Terraform forget it \
             and leave it as it is:\n\nremoved {\n  from = dbxcmk_key_configuration.…\n  lifecycle {\n    destroy = false\n  }\n}"
        }
    };
    Err(Diagnostic::error(
        "Catalogs use the key configuration",
        format!(
            "The key configuration {id} encrypts the default storage of {}:\n{}\n\nWithout it, their tables cannot be read.\n\n{remedy}",
            if catalogs.len() == 1 { "this catalog" } else { "these catalogs" },
            names.join("\n")
        ),
    )
    .into())
}

/// Why a configuration is about to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A changed attribute asks for another one.
    Replaced,
    /// The user destroys it, or has removed it from the configuration.
    Destroyed,
}

impl Ending {
    fn announced(self, id: &KeyConfigurationId) -> String {
        match self {
            Self::Replaced => format!("The key configuration {id} is to be replaced"),
            Self::Destroyed => format!("The key configuration {id} is to be destroyed"),
        }
    }

    /// `using`: the workspaces that use it.
    fn remedy(self, id: &KeyConfigurationId, using: &[Workspace]) -> &'static str {
        let is_for = |case| using.iter().any(|one| one.key(case).known() == Some(id));
        match self {
            Self::Replaced if !is_for(UseCase::ManagedServices) => {
                "The API cannot change a configuration, so this change replaces it. Undo the change: the storage key of a workspace cannot be \
                 changed."
            }
            Self::Replaced if !is_for(UseCase::Storage) => {
                "The API cannot change a configuration, so this change replaces it. Undo the change, or add a second \
                 `dbxcmk_key_configuration` for `MANAGED_SERVICES` with the new values beside this one, attach it for managed services, and \
                 remove this one afterwards."
            }
            Self::Replaced => {
                "The API cannot change a configuration, so this change replaces it. Undo the change: the storage key of a workspace cannot be \
                 changed. For managed services alone, you can add a second `dbxcmk_key_configuration` for `MANAGED_SERVICES` beside this one, \
                 and attach it for managed services."
            }
            Self::Destroyed => {
                "If you renamed the resource, tell Terraform so, and nothing is destroyed:\n\nmoved {\n  from = dbxcmk_key_configuration.OLD\n  to   \
                 = dbxcmk_key_configuration.NEW\n}\n\nOtherwise delete the workspaces first (`terraform destroy -target=…`), then this resource. To \
                 let Terraform forget it and leave it as it is:\n\nremoved {\n  from = dbxcmk_key_configuration.…\n  lifecycle {\n    destroy = false\n  }\n}"
            }
        }
    }
}

/// `using`: the workspaces that use it, or why that could not be found out.
///
/// # Errors
/// When there are any, or it could not be found out.
pub fn refuse_while_in_use(
    id: &KeyConfigurationId,
    ending: Ending,
    using: Result<Vec<Workspace>, Error>,
) -> Result<(), Diagnostics> {
    let using = using.map_err(|error| {
        diagnose::account(
            "The provider could not find out whether a workspace uses the key configuration",
            &error,
        )
    })?;
    if using.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = using
        .iter()
        .map(|workspace| {
            format!(
                "  - {} (\"{}\")",
                workspace.workspace_id, workspace.workspace_name
            )
        })
        .collect();
    Err(Diagnostic::error(
        "The key configuration is in use",
        format!(
            "The key configuration {id} is attached to {}:\n{}\n\nDatabricks does not delete a configuration that a workspace uses, and a \
             key cannot be detached from a workspace.\n\n{}",
            if using.len() == 1 { "this workspace" } else { "these workspaces" },
            names.join("\n"),
            ending.remedy(id, &using)
        ),
    )
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: for what a workspace uses the configuration that a change replaces, and what is advised.
    #[test]
    fn what_is_advised_can_be_done() -> Result<(), Box<dyn std::error::Error>> {
        const ID: &str = "c1000000-0000-4000-8000-000000000001";
        let rows = [
            (None, Some(ID), false, true),
            (Some(ID), None, true, false),
            (Some(ID), Some(ID), true, true),
        ];
        for (services, storage, is_added, is_fixed) in rows {
            let workspace: Workspace = serde_json::from_value(serde_json::json!({
                "workspace_id": 1, "workspace_name": "lakehouse",
                "managed_services_customer_managed_key_id": services,
                "storage_customer_managed_key_id": storage,
            }))?;
            let advice = Ending::Replaced.remedy(&ID.parse()?, &[workspace]);
            let says = [
                advice.contains("`MANAGED_SERVICES`"),
                advice.contains("the storage key of a workspace cannot"),
            ];
            assert_eq!(says, [is_added, is_fixed], "{advice}");
        }
        Ok(())
    }
}
