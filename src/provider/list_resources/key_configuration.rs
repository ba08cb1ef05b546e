//! Every key configuration of the account that this version can manage.

use serde::{Deserialize, Serialize};

use crate::provider::client::Client;
use crate::provider::diagnose::{self, as_warning};
use crate::provider::resources::key_configuration::{
    KeyConfigurationModel, KeyConfigurationResource, gcp_key_filter, key_filter, label,
};
use crate::vocabulary::UseCase;
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::deferral::Unfinished;
use tfplugin::list_resource::{Found, ListResource, Listed};
use tfplugin::schema::{Attribute, Name, Schema};

/// Lists `dbxcmk_key_configuration`: one object for each configuration of the account.
pub struct KeyConfigurationList;

/// What it is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct KeyConfigurationListConfig {
    pub use_case: Attr<UseCase>,
    pub key_arn: Attr<String>,
    pub kms_key_id: Attr<String>,
}

impl ListResource for KeyConfigurationList {
    type Of = KeyConfigurationResource;
    type Config = KeyConfigurationListConfig;

    fn name(&self) -> Name {
        "dbxcmk_key_configuration".into()
    }

    fn schema(&self) -> Schema {
        Schema::new(
            "The key configurations of the Databricks account whose keys are keys of AWS KMS or Google Cloud KMS.",
            vec![
                Attribute::string("use_case")
                    .format::<UseCase>("Invalid use case")
                    .describe(
                        "Only configurations for this use case: `MANAGED_SERVICES` or `STORAGE`.",
                    ),
                key_filter(),
                gcp_key_filter(),
            ],
        )
    }

    async fn list(
        &self,
        cx: &Context<Client>,
        config: KeyConfigurationListConfig,
        found: &Found<KeyConfigurationModel>,
    ) -> Result<(), Unfinished> {
        let client = cx.client();
        let account = client.account().await?;
        let failed = |error| diagnose::account("The key configurations could not be read", &error);
        let all = client
            .reads()
            .configurations(account)
            .await
            .map_err(failed)?;
        for one in all.values() {
            let Some((name, key)) = label(one) else {
                continue;
            };
            let fits = config.use_case.known().is_none_or(|case| one.is_for(*case))
                && config.key_arn.known().is_none_or(|wanted| wanted == key)
                && config.kms_key_id.known().is_none_or(|wanted| wanted == key);
            if !fits {
                continue;
            }
            match KeyConfigurationModel::of(one) {
                Ok(model) => {
                    let name = format!("{name} ({})", one.use_cases.join(", "));
                    if !found.show(Listed::new(name, model)).await {
                        break;
                    }
                }
                // The list reports an object that this version cannot manage, and shows the others.
                Err(unreadable) => unreadable
                    .into_iter()
                    .for_each(|one| cx.warn(as_warning(one))),
            }
        }
        Ok(())
    }
}
