//! Every KMS key of a region whose policy has statements for Databricks.

use serde::{Deserialize, Serialize};

use crate::provider::client::Client;
use crate::provider::resources::key_policy::{KeyPolicyModel, KeyPolicyResource};
use kms_policy::Document;
use tfplugin::bridge::Attr;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
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
            "The KMS keys of a region whose policies have documented statements for Databricks. Keys whose policies cannot be read are \
             named in a warning.",
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
        let client = cx.client();
        let keys = client.aws().keys(config.region.known().map(String::as_str)).await.map_err(|error| {
            Diagnostic::error(
                "The keys could not be listed",
                format!("AWS says: \"{error}\". The identity that runs Terraform needs kms:ListKeys, and a region (`region`)."),
            )
        })?;
        let (mut found, mut unread) = (Vec::new(), Vec::new());
        for key in keys {
            let key = match key {
                Ok(key) => key,
                Err(error) => {
                    unread.push(format!("  - {error}"));
                    continue;
                }
            };
            let live = match client.aws().policy(&key).await {
                Ok(text) => Document::parse(&text).map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            let live = match live {
                Ok(live) => live,
                Err(reason) => {
                    unread.push(format!("  - {key}: {reason}"));
                    continue;
                }
            };
            let model = KeyPolicyModel::recognised(client, &key, &live);
            if model.is_for_databricks() {
                found.push(Listed {
                    name: key.to_string(),
                    model,
                });
            }
            if found.len() >= limit {
                break;
            }
        }
        if !unread.is_empty() {
            cx.warn(Diagnostic::warning(
                "The policies of some keys could not be read",
                format!(
                    "Whether these keys have statements for Databricks is not known, so the list does not have them:\n{}\n\nTo see them, allow \
                     kms:GetKeyPolicy to the identity that runs Terraform.",
                    unread.join("\n")
                ),
            ));
        }
        Ok(found)
    }
}
