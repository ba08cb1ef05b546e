//! Every KMS key of a region whose policy has statements for Databricks.

use serde::{Deserialize, Serialize};

use crate::provider::client::Client;
use crate::provider::resources::key_policy::{KeyPolicyModel, KeyPolicyResource, list};
use tfplugin::bridge::Attr;
use tfplugin::diagnostics::Diagnostics;
use tfplugin::list_resource::{ListResource, Listed};
use tfplugin::resource::Context;
use tfplugin::schema::{Attribute, Schema};

/// The list.
pub struct KeyPolicyList;

/// What it is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct KeyPolicyListConfig {
    pub region: Attr<String>,
}

impl ListResource for KeyPolicyList {
    type Of = KeyPolicyResource;
    type Config = KeyPolicyListConfig;

    fn schema() -> Schema {
        Schema::new(
            "The KMS keys of a region whose policies have documented statements for Databricks. A warning names keys whose policies \
             cannot be read.",
            vec![
                Attribute::string("region")
                    .describe("AWS region. Default: the one of the provider's `aws` block, then as the AWS tools find it."),
            ],
        )
    }

    async fn list(
        cx: &Context<Client>,
        config: KeyPolicyListConfig,
        limit: usize,
    ) -> Result<Vec<Listed<KeyPolicyModel>>, Diagnostics> {
        list(cx, config.region.known().map(String::as_str), limit).await
    }
}
