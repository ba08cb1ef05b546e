//! `dbxcmk_restore_key`

use serde::{Deserialize, Serialize};

use super::{execute, key_to_plan};
use crate::preflight::Stage;
use crate::provider::client::Client;
use crate::provider::keys::{
    NamedAwsKey, NamedAzureKey, NamedGcpKey, attributes, check_named, named,
};
use crate::provider::kill_switch::{
    self, KeyOperation, impact, judge_restored, wait_for_workspaces,
};
use tfplugin::action::{Action, Events};
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::deferral::Unfinished;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::duration::GoDuration;
use tfplugin::schema::{Attribute, Name, Schema};

/// `dbxcmk_restore_key`: gives a key back.
pub struct RestoreKeyAction;

/// The configuration of `dbxcmk_restore_key`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct RestoreKeyConfig {
    pub aws: Attr<NamedAwsKey>,
    pub gcp: Attr<NamedGcpKey>,
    pub azure: Attr<NamedAzureKey>,
    pub enable_anyway: Attr<bool>,
    pub wait_for_workspaces: Attr<GoDuration>,
}

impl RestoreKeyConfig {
    fn order(&self) -> KeyOperation {
        KeyOperation::Restore {
            enable_anyway: self.enable_anyway.known() == Some(&true),
        }
    }
}

impl Action for RestoreKeyAction {
    type Client = Client;
    type Config = RestoreKeyConfig;

    fn name(&self) -> Name {
        "dbxcmk_restore_key".into()
    }

    fn schema(&self) -> Schema {
        let mut all = attributes();
        all.extend([
            Attribute::bool("enable_anyway").describe(
                "Whether to enable a key that this provider did not disable. Default: `false`.",
            ),
            Attribute::duration("wait_for_workspaces").describe(
                    "How long to wait until the workspaces that use the key are RUNNING, as `\"20m\"`. Default: `0s`, which does not wait.",
                ),
        ]);
        Schema::new(
            "Restores a key that was disabled or whose deletion was scheduled: cancels the deletion, enables the key, and proves again that \
             Databricks can use it. Needs no acknowledgement.",
            all,
        )
    }

    fn validate(&self, config: &RestoreKeyConfig) -> Diagnostics {
        check_named(&config.aws, &config.gcp, &config.azure)
            .err()
            .unwrap_or_default()
    }

    async fn plan(&self, cx: &Context<Client>, config: RestoreKeyConfig) -> Result<(), Unfinished> {
        let named = named(&config.aws, &config.gcp, &config.azure);
        let Some(key) = key_to_plan(cx, named)? else {
            return Ok(());
        };
        let status = kill_switch::status(cx.client().keys(), &key).await?;
        let deletion = status
            .deletion_date
            .map(|date| format!(" It will be deleted on {date}; until then it can be restored."))
            .unwrap_or_default();
        let since = status
            .disabled_since
            .map(|since| format!(" This provider disabled it on {since}."))
            .unwrap_or_default();
        cx.warn(Diagnostic::warning(
            "This action restores a key",
            format!(
                "{} is {}.{since}{deletion}{}",
                key,
                status.state,
                status
                    .notes
                    .iter()
                    .map(|note| format!("\n\n{note}"))
                    .collect::<String>()
            ),
        ));
        Ok(())
    }

    async fn invoke(
        &self,
        cx: &Context<Client>,
        config: RestoreKeyConfig,
        events: &Events,
    ) -> Result<(), Unfinished> {
        let key = named(&config.aws, &config.gcp, &config.azure)
            .ok_or_else(|| Diagnostic::bug("The key is not known."))?;
        let client = cx.client();
        let outcome = execute(cx, &key, config.order(), events).await?;
        if !outcome.complete {
            return Ok(());
        }
        let status = kill_switch::status(client.keys(), &key).await?;
        let found = impact(client, &key, &status).await?;
        let findings = judge_restored(client, &found).await?;
        let ignored = Attr::Null;
        let place = |_: &_| match (&config.gcp, &config.azure) {
            (Attr::Null, Attr::Null) => "aws.key_arn",
            (Attr::Null, _) => "azure.key_vault_key_id",
            _ => "gcp.kms_key_id",
        };
        for finding in client.report(findings, &ignored, Stage::Plan, place) {
            cx.warn(crate::provider::diagnose::as_warning(finding));
        }
        events.say("the key was examined again");
        if let Some(within) = config.wait_for_workspaces.known() {
            let say = |line: String| events.say(line);
            wait_for_workspaces(client, &found, within.length(), &say).await?;
            events.say("every workspace that uses the key is RUNNING");
        }
        Ok(())
    }
}
