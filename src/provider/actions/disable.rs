//! `dbxcmk_disable_key`

use serde::{Deserialize, Serialize};

use super::{
    Acknowledgement, Said, acknowledge_former_key, acknowledgement, check, execute, key_to_plan,
    show_impact,
};
use crate::provider::client::Client;
use crate::provider::keys::{
    NamedAwsKey, NamedAzureKey, NamedGcpKey, attributes, check_named, named,
};
use crate::provider::kill_switch::KeyOperation;
use tfplugin::action::{Action, Events};
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::deferral::Unfinished;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::schema::{Name, Schema};

/// `dbxcmk_disable_key`: disables a key for an incident.
pub struct DisableKeyAction;

/// The configuration of `dbxcmk_disable_key`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct DisableKeyConfig {
    pub aws: Attr<NamedAwsKey>,
    pub gcp: Attr<NamedGcpKey>,
    pub azure: Attr<NamedAzureKey>,
    pub acknowledged_workspace_ids: Acknowledgement,
    pub acknowledge_former_key: Attr<bool>,
}

impl DisableKeyConfig {
    fn said(&self) -> Said<'_> {
        Said {
            workspaces: &self.acknowledged_workspace_ids,
            former_key: &self.acknowledge_former_key,
            skip_hold: false,
        }
    }
}

impl Action for DisableKeyAction {
    type Client = Client;
    type Config = DisableKeyConfig;

    fn name(&self) -> Name {
        "dbxcmk_disable_key".into()
    }

    fn schema(&self) -> Schema {
        let mut all = attributes();
        all.extend([acknowledgement(), acknowledge_former_key()]);
        Schema::new(
            "Disables a key: nobody can encrypt or decrypt with it, and the workspaces that use it lose access to their data, until it is \
             restored. The plan shows what stops. Needs the acknowledgement of exactly these workspaces.",
            all,
        )
    }

    fn validate(&self, config: &DisableKeyConfig) -> Diagnostics {
        check_named(&config.aws, &config.gcp, &config.azure)
            .err()
            .unwrap_or_default()
    }

    async fn plan(&self, cx: &Context<Client>, config: DisableKeyConfig) -> Result<(), Unfinished> {
        let named = named(&config.aws, &config.gcp, &config.azure);
        let Some(key) = key_to_plan(cx, named)? else {
            return Ok(());
        };
        if let Some(found) = check(cx, &key, KeyOperation::Disable, &config.said()).await? {
            show_impact(cx, KeyOperation::Disable, &found);
        }
        Ok(())
    }

    async fn invoke(
        &self,
        cx: &Context<Client>,
        config: DisableKeyConfig,
        events: &Events,
    ) -> Result<(), Unfinished> {
        let key = named(&config.aws, &config.gcp, &config.azure)
            .ok_or_else(|| Diagnostic::bug("The key is not known."))?;
        check(cx, &key, KeyOperation::Disable, &config.said()).await?;
        execute(cx, &key, KeyOperation::Disable, events).await?;
        Ok(())
    }
}
