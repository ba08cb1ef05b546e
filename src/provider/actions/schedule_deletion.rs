//! `dbxcmk_schedule_key_deletion`

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
use tfplugin::schema::{Attribute, Name, Problem, Schema};
use tfplugin::value::Value;

/// `dbxcmk_schedule_key_deletion`: disables a key, and lets its cloud delete it later.
pub struct ScheduleKeyDeletionAction;

/// The configuration of `dbxcmk_schedule_key_deletion`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct ScheduleKeyDeletionConfig {
    pub aws: Attr<NamedAwsKey>,
    pub gcp: Attr<NamedGcpKey>,
    pub azure: Attr<NamedAzureKey>,
    pub acknowledged_workspace_ids: Acknowledgement,
    pub acknowledge_former_key: Attr<bool>,
    pub deletion_window_days: Attr<u8>,
    pub skip_hold: Attr<bool>,
}

impl ScheduleKeyDeletionConfig {
    fn said(&self) -> Said<'_> {
        Said {
            workspaces: &self.acknowledged_workspace_ids,
            former_key: &self.acknowledge_former_key,
            // The apply checks what Terraform knows only then.
            skip_hold: self.skip_hold.is_unknown() || self.skip_hold.known() == Some(&true),
        }
    }

    fn order(&self) -> KeyOperation {
        KeyOperation::ScheduleDeletion {
            // Elsewhere it is not chosen for one deletion.
            days: match (&self.aws, self.deletion_window_days.known()) {
                (Attr::Known(_), None) => Some(30),
                (_, days) => days.copied(),
            },
        }
    }
}

impl Action for ScheduleKeyDeletionAction {
    type Client = Client;
    type Config = ScheduleKeyDeletionConfig;

    fn name(&self) -> Name {
        "dbxcmk_schedule_key_deletion".into()
    }

    fn schema(&self) -> Schema {
        let mut all = attributes();
        all.extend([acknowledgement(), acknowledge_former_key()]);
        all.push(Attribute::bool("skip_hold").describe(
            "Whether to schedule the deletion of a key that is enabled and in use. Without it, disable the key first, wait until you are sure \
             that nothing needs it, then schedule the deletion: a disabled key can be enabled at once, and a deleted one never comes back. \
             Default: `false`.",
        ));
        all.push(
            Attribute::number("deletion_window_days")
                .check(|value| match value {
                    Value::Number(days)
                        if !days.as_i64().is_some_and(|days| (7..=30).contains(&days)) =>
                    {
                        Err(Problem::new("Invalid deletion window", format!("`{days}` is not a whole number of days from 7 to 30.")))
                    }
                    _ => Ok(()),
                })
                .describe("Days until the key is deleted: 7 to 30. Until then it can be restored. Default: `30`. On Google Cloud, the key's own \
                     `destroy_scheduled_duration` counts, and on Azure the `soft_delete_retention_days` of its vault: leave it out there."),
        );
        Schema::new(
            "Schedules the deletion of a key: nobody can use it from now on, and after the window everything that was encrypted with it is \
             lost permanently. Until then it can be restored. The plan shows what stops. Needs the acknowledgement of exactly these \
             workspaces.",
            all,
        )
    }

    fn validate(&self, config: &ScheduleKeyDeletionConfig) -> Diagnostics {
        check_named(&config.aws, &config.gcp, &config.azure)
            .err()
            .unwrap_or_default()
    }

    async fn plan(
        &self,
        cx: &Context<Client>,
        config: ScheduleKeyDeletionConfig,
    ) -> Result<(), Unfinished> {
        let named = named(&config.aws, &config.gcp, &config.azure);
        let Some(key) = key_to_plan(cx, named)? else {
            return Ok(());
        };
        if let Some(found) = check(cx, &key, config.order(), &config.said()).await? {
            show_impact(cx, config.order(), &found);
        }
        Ok(())
    }

    async fn invoke(
        &self,
        cx: &Context<Client>,
        config: ScheduleKeyDeletionConfig,
        events: &Events,
    ) -> Result<(), Unfinished> {
        let key = named(&config.aws, &config.gcp, &config.azure)
            .ok_or_else(|| Diagnostic::bug("The key is not known."))?;
        check(cx, &key, config.order(), &config.said()).await?;
        execute(cx, &key, config.order(), events).await?;
        Ok(())
    }
}
