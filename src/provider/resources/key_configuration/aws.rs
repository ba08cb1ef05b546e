//! The `aws` attribute of a key configuration.

use std::fmt::Display;
use std::str::FromStr;
use tfplugin::stored::RawState;

use serde::{Deserialize, Serialize};

use super::{KeyConfigurationGcp, KeyConfigurationModel, known_set};
use crate::databricks::key_configurations::{
    AwsKeyInfo, GcpKeyInfo, KeyConfiguration, NewKey, NewKeyConfiguration,
};
use crate::preflight::Stage;
use crate::preflight::aws::Question;
use crate::provider::client::Client;
use crate::provider::keys::{AwsKeyCheck, KeyCheck};
use crate::provider::timestamps::rfc3339;
use crate::requirements::aws::Usage;
use crate::vocabulary::aws::{KeyAlias, KeyArn};
use crate::vocabulary::{AccountId, UseCase};
use tfplugin::bridge::Attr;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::schema::Attribute;

/// The `aws` block of `dbxcmk_key_configuration`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct KeyConfigurationAws {
    pub key_arn: Attr<KeyArn>,
    pub key_alias: Attr<KeyAlias>,
    pub key_region: Attr<String>,
    pub reuse_key_for_cluster_volumes: Attr<bool>,
}

pub(super) fn attributes() -> Vec<Attribute> {
    vec![
        Attribute::string("key_arn")
            .required()
            .replaces()
            .format::<KeyArn>("Invalid key ARN")
            .describe(
                "ARN of the KMS key. Refer to `dbxcmk_key_policy.….aws.key_arn`, so that Terraform changes the key policy first.",
            ),
        Attribute::string("key_alias")
            .format::<KeyAlias>("Invalid key alias")
            .describe(
                "Alias of the key, for people only. Databricks keeps the first alias; a change here does not change it there.",
            ),
        Attribute::bool("reuse_key_for_cluster_volumes")
            .optional_computed()
            .stable()
            .replaces()
            .describe(
                "Whether the key also encrypts the EBS volumes of clusters. Only for the use case `STORAGE`. Default: `true`, as in the \
                 API.",
            ),
        Attribute::string("key_region")
            .computed()
            .stable()
            .describe("Region of the key."),
    ]
}

/// The attribute by which configurations of a key are found.
pub(super) fn key_filter() -> Attribute {
    Attribute::string("key_arn")
        .format::<KeyArn>("Invalid key ARN")
        .describe("Only configurations of this key.")
}

impl KeyConfigurationAws {
    /// Checks the configuration without a call: everything that is wrong with it.
    pub(super) fn validate(&self, cases: &[UseCase]) -> Diagnostics {
        let mut found = Diagnostics::new();
        if self.reuse_key_for_cluster_volumes.known() == Some(&true)
            && !cases.contains(&UseCase::Storage)
        {
            found.push(
                Diagnostic::error(
                    "Cluster volumes belong to the use case STORAGE",
                    "`reuse_key_for_cluster_volumes = true` has no effect unless the key is also used for storage. Add \"STORAGE\" to \
                     `use_cases`, or remove the attribute.",
                )
                .on("aws.reuse_key_for_cluster_volumes"),
            );
        }
        found
    }

    /// Fills in what follows from what the user wrote.
    pub(super) fn complete(&mut self, config: Option<&Self>, cases: Option<&[UseCase]>) {
        if config.is_some_and(|config| config.reuse_key_for_cluster_volumes.is_null()) {
            self.reuse_key_for_cluster_volumes = match cases {
                None => Attr::Unknown,
                Some(cases) if cases.contains(&UseCase::Storage) => Attr::Known(true),
                Some(_) => Attr::Null,
            };
        }
        self.key_region = self.key_arn.as_ref().map(|key| key.region().to_owned());
    }

    /// Whether one object of the API has what both say: an alias is for people only.
    pub(super) fn is_same_object(&self, other: &Self) -> bool {
        self.key_arn.known() == other.key_arn.known()
            && self.reuse_key_for_cluster_volumes == other.reuse_key_for_cluster_volumes
    }

    /// The check of the key alone, once Terraform knows the key.
    pub(super) fn case(
        &self,
        client: &Client,
        account: &AccountId,
        use_cases: Vec<UseCase>,
        stage: Stage,
    ) -> Option<KeyCheck> {
        let key = self.key_arn.known()?.clone();
        let deployment = client.keys().aws().deployment(&key);
        let question = Question {
            usage: Usage::of(deployment, [account.clone()], use_cases),
            cluster_volumes: self.reuse_key_for_cluster_volumes.known() != Some(&false),
            stage,
            used_by: Vec::new(),
        };
        Some(KeyCheck::Aws(AwsKeyCheck { key, question }))
    }

    /// What creates it. `use_cases`: sorted.
    pub(super) fn request(&self, use_cases: Vec<UseCase>) -> Option<NewKeyConfiguration> {
        let key = self.key_arn.known()?;
        let is_storage = use_cases.contains(&UseCase::Storage);
        Some(NewKeyConfiguration {
            use_cases: use_cases.iter().map(ToString::to_string).collect(),
            key: NewKey::Aws(AwsKeyInfo {
                key_arn: key.to_string(),
                key_alias: self.key_alias.known().map(ToString::to_string),
                key_region: Some(key.region().to_owned()),
                // The API reads a missing value as true, so the provider sends an explicit false.
                reuse_key_for_cluster_volumes: self
                    .reuse_key_for_cluster_volumes
                    .known()
                    .copied()
                    .filter(|_| is_storage),
            }),
        })
    }

    /// The attribute as the API shows the key; what the API does not know stays as it was `before`.
    ///
    /// # Errors
    /// When the key cannot be read, with what it is.
    pub(super) fn of(
        info: &AwsKeyInfo,
        before: &KeyConfigurationModel,
        is_storage: bool,
    ) -> Result<Self, String> {
        let key_arn: KeyArn = info
            .key_arn
            .parse()
            .map_err(|_| format!("the key {}", info.key_arn))?;
        let old = before.aws.known();
        Ok(Self {
            key_region: Attr::Known(
                info.key_region
                    .clone()
                    .filter(|region| !region.is_empty())
                    .unwrap_or_else(|| key_arn.region().to_owned()),
            ),
            key_arn: Attr::Known(key_arn),
            // The alias is for people: the API keeps the first one, so what the state says is the newer truth.
            key_alias: match old.map(|old| &old.key_alias) {
                Some(Attr::Known(alias)) => Attr::Known(alias.clone()),
                Some(Attr::Null) if before.creation_time.known().is_some() => Attr::Null,
                _ => readable_alias(info.key_alias.as_deref()),
            },
            reuse_key_for_cluster_volumes: if is_storage {
                Attr::Known(info.is_reused_for_cluster_volumes())
            } else {
                old.map_or(Attr::Null, |old| old.reuse_key_for_cluster_volumes.clone())
            },
        })
    }
}

/// The alias as far as it is one: Databricks takes any text for it, and it is for people only.
fn readable_alias(text: Option<&str>) -> Attr<KeyAlias> {
    text.and_then(|alias| alias.parse().ok()).into()
}

/// The state of `databricks_mws_customer_managed_keys`, as far as it matters.
#[derive(Debug, Deserialize)]
struct Peer {
    customer_managed_key_id: Option<String>,
    account_id: Option<String>,
    creation_time: Option<i64>,
    #[serde(default)]
    use_cases: Vec<String>,
    aws_key_info: Option<Vec<AwsKeyInfo>>,
    gcp_key_info: Option<Vec<GcpKeyInfo>>,
}

/// Why a state cannot be moved from the resource of Databricks' own provider.
fn unusable(what: &str) -> Diagnostics {
    Diagnostics::from(Diagnostic::error(
        "The state of databricks_mws_customer_managed_keys cannot be moved",
        format!(
            "{what}. Remove the resource from the state with a `removed` block (`destroy = false`), and import the key configuration by its \
             ID."
        ),
    ))
}

fn parsed<T: FromStr<Err: Display>>(name: &str, text: &str) -> Result<T, Diagnostics> {
    text.parse()
        .map_err(|error| unusable(&format!("Its {name} cannot be read: {error}")))
}

/// The state of a `databricks_mws_customer_managed_keys`.
///
/// # Errors
/// When something of it cannot be read.
pub(super) fn moved(state: &RawState) -> Result<KeyConfigurationModel, Diagnostics> {
    let peer: Peer = state
        .read()
        .map_err(|error| unusable(&format!("It has another form ({error})")))?;
    let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let Some(id) = filled(&peer.customer_managed_key_id) else {
        return Err(unusable(
            "It has no ID of a key configuration (customer_managed_key_id)",
        ));
    };
    let id = parsed("customer_managed_key_id", &id)?;
    let first_gcp = peer.gcp_key_info.as_ref().and_then(|info| info.first());
    let first_aws = peer.aws_key_info.as_ref().and_then(|info| info.first());
    let aws = first_aws
        .map(|key| -> Result<KeyConfigurationAws, Diagnostics> {
            Ok(KeyConfigurationAws {
                key_arn: Attr::Known(parsed("key_arn", &key.key_arn)?),
                key_alias: readable_alias(key.key_alias.as_deref()),
                key_region: filled(&key.key_region).into(),
                reuse_key_for_cluster_volumes: Attr::Null,
            })
        })
        .transpose()?;
    let gcp = match (&aws, first_gcp) {
        (None, Some(key)) => Some(KeyConfigurationGcp {
            kms_key_id: Attr::Known(parsed("kms_key_id", &key.kms_key_id)?),
            manual: Attr::Known(false),
            location: Attr::Null,
            service_account_email: Attr::Null,
        }),
        _ => None,
    };
    if aws.is_none() && gcp.is_none() {
        return Err(unusable(
            "Its key is of another cloud than AWS and Google Cloud",
        ));
    }
    let account_id = filled(&peer.account_id)
        .map(|id| parsed("account_id", &id))
        .transpose()?;
    let cases = peer.use_cases.iter().map(|case| parsed("use_cases", case));
    // Whether it is reused for cluster volumes is not in that state: the read that follows brings it.
    Ok(KeyConfigurationModel {
        account_id: account_id.into(),
        creation_time: peer
            .creation_time
            .filter(|time| *time > 0)
            .and_then(rfc3339)
            .into(),
        use_cases: known_set(cases.collect::<Result<Vec<UseCase>, _>>()?),
        aws: aws.into(),
        gcp: gcp.into(),
        ..KeyConfigurationModel::named(id)
    })
}

/// The name that a configuration of this key has for people, and the key.
pub(super) fn label(remote: &KeyConfiguration) -> Option<(&str, &str)> {
    let info = remote.aws_key_info.as_ref()?;
    let alias = info.key_alias.as_deref().filter(|alias| !alias.is_empty());
    Some((alias.unwrap_or(&info.key_arn), &info.key_arn))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use serde_json::Value as Json;

    use super::*;

    /// Each row: a field of the peer's state, what stands in it, and what the refusal says.
    #[test]
    fn what_cannot_be_read_in_the_state_of_a_peer_is_not_passed_over() {
        let moved = |pointer: &str, value: Json| {
            let mut state = json!({
                "customer_managed_key_id": "3878344b-0000-4000-8000-000000000001",
                "account_id": "2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11",
                "use_cases": ["STORAGE"],
                "aws_key_info": [{
                    "key_arn": "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
                    "key_alias": "alias/x", "key_region": "",
                }],
            });
            if let Some(field) = state.pointer_mut(pointer) {
                *field = value;
            }
            super::moved(&RawState::write(&state).unwrap())
        };
        assert!(moved("", Json::Null).is_err());
        assert!(moved("/none", Json::Null).is_ok());
        for (pointer, value, words) in [
            ("/customer_managed_key_id", json!(""), "It has no ID"),
            (
                "/customer_managed_key_id",
                json!("x"),
                "customer_managed_key_id cannot be read",
            ),
            ("/account_id", json!("x"), "account_id cannot be read"),
            ("/use_cases/0", json!("DISKS"), "use_cases cannot be read"),
            (
                "/aws_key_info/0/key_arn",
                json!("x"),
                "key_arn cannot be read",
            ),
            ("/aws_key_info", json!([]), "another cloud"),
            ("/aws_key_info", json!(7), "another form"),
        ] {
            let refusal = moved(pointer, value).expect_err(pointer);
            assert!(
                refusal.iter().any(|one| one.detail.contains(words)),
                "{pointer}: {refusal:?}"
            );
        }
        // An alias is for people: any text is one for Databricks, and none of them stops a move.
        let alias = moved("/aws_key_info/0/key_alias", json!("for people")).map(|model| model.aws);
        assert!(alias.is_ok_and(|aws| aws.known().is_some_and(|aws| aws.key_alias.is_null())));
    }
}
