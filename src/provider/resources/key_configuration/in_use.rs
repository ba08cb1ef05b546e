//! Never taking a key configuration away from a workspace that uses it.

use crate::databricks::workspaces::Workspace;
use crate::databricks::{Account, Error};
use crate::provider::client::Client;
use crate::provider::diagnose;
use crate::vocabulary::KeyConfigurationId;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};

/// The workspaces that use a configuration, as this run has read them.
///
/// # Errors
/// When the API refuses or cannot be reached.
pub async fn users(
    client: &Client,
    account: &Account,
    id: &KeyConfigurationId,
) -> Result<Vec<Workspace>, Error> {
    let all = client.reads().workspaces(account).await?;
    Ok(all
        .values()
        .filter(|workspace| workspace.uses(id))
        .cloned()
        .collect())
}

/// Why a configuration is about to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A changed attribute asks for another one.
    Replaced,
    /// It is destroyed.
    Destroyed,
}

impl Ending {
    fn remedy(self) -> &'static str {
        match self {
            Self::Replaced => {
                "The API cannot change a configuration, so this change replaces it. Undo the change, or add a second \
                 `dbxcmk_key_configuration` with the new values beside this one, and attach it for managed services. The storage key of a \
                 workspace cannot be changed."
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
             key cannot be detached from a workspace (catalogs that use it are not checked here).\n\n{}",
            if using.len() == 1 { "this workspace" } else { "these workspaces" },
            names.join("\n"),
            ending.remedy()
        ),
    )
    .into())
}
