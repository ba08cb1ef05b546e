//! The `gcp` attribute of a key configuration.

use serde::{Deserialize, Serialize};

use super::KeyConfigurationModel;
use crate::databricks::Account;
use crate::databricks::key_configurations::{GcpKeyInfo, NewKey, NewKeyConfiguration};
use crate::preflight::Stage;
use crate::preflight::gcp::{Question, location};
use crate::provider::client::Client;
use crate::provider::diagnose;
use crate::provider::keys::{GcpKeyCheck, KeyCheck};
use crate::requirements::gcp::{Usage, rights_of};
use crate::vocabulary::UseCase;
use crate::vocabulary::gcp::{CryptoKeyName, ServiceAccount};
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::schema::Attribute;
use tfplugin::value::Value;

/// The `gcp` block of `dbxcmk_key_configuration`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct KeyConfigurationGcp {
    pub kms_key_id: Attr<CryptoKeyName>,
    pub manual: Attr<bool>,
    pub location: Attr<String>,
    pub service_account_email: Attr<String>,
}

pub(super) fn attributes() -> Vec<Attribute> {
    vec![
        Attribute::string("kms_key_id")
            .required()
            .replaces()
            .format::<CryptoKeyName>("Invalid key name")
            .describe(
                "Name of the Cloud KMS key without a version (`google_kms_crypto_key.….id`). The key must be in the region of the workspaces.",
            ),
        Attribute::bool("manual")
            .default_value(Value::Bool(false))
            .replaces()
            .describe(
                "Whether you grant Databricks' service account the use of the key yourself, with `dbxcmk_key_policy`. With `false`, \
                 Databricks grants it when the configuration is created, with the Google access token of the provider. Default: `false`.",
            ),
        Attribute::string("location")
            .computed()
            .stable()
            .describe("Location of the key: a region."),
        Attribute::string("service_account_email")
            .computed()
            .stable()
            .describe(
                "E-mail address of the service account of Databricks that uses the key, as the account API shows it. Give it to \
                 `dbxcmk_key_policy`.",
            ),
    ]
}

/// The attribute by which configurations of a key are found.
pub(super) fn key_filter() -> Attribute {
    Attribute::string("kms_key_id")
        .format::<CryptoKeyName>("Invalid key name")
        .describe("Only configurations of this key of Google Cloud KMS.")
}

/// The summary when the provider cannot see whether Databricks granted what it needs.
const NOT_CHECKED: &str =
    "The provider could not check what Databricks granted its service account";

/// How the user checks it.
fn check_grants(key: &CryptoKeyName) -> String {
    format!(
        "Before you attach the key, check that the service account can encrypt and decrypt:\n\n  gcloud kms keys get-iam-policy {} --project {} \
         --location {} --keyring {}",
        key.key(),
        key.project(),
        key.location(),
        key.ring()
    )
}

impl KeyConfigurationGcp {
    /// What is wrong, offline: the location of a key stands in its name.
    pub(super) fn validate(&self) -> Diagnostics {
        let finding = self.kms_key_id.known().and_then(location);
        finding
            .map(|finding| diagnose::offline(finding).on("gcp.kms_key_id"))
            .into_iter()
            .collect()
    }

    /// Fills in what follows from what the user wrote, and what stays.
    pub(super) fn complete(&mut self, prior: Option<&Self>) {
        self.location = self
            .kms_key_id
            .as_ref()
            .map(|key| key.location().to_owned());
        self.service_account_email = match prior {
            Some(prior) if prior.is_same_object(self) => prior.service_account_email.clone(),
            _ => Attr::Unknown,
        };
    }

    /// Whether one object of the API has what both say.
    pub(super) fn is_same_object(&self, other: &Self) -> bool {
        self.kms_key_id.known() == other.kms_key_id.known() && self.manual == other.manual
    }

    /// Refuses what Databricks would refuse at apply: without a Google access token of the caller it cannot grant its service account the
    /// key.
    ///
    /// # Errors
    /// When the method of the credential sends none.
    pub(super) fn refuse_silent_caller(
        &self,
        client: &Client,
        account: &Account,
    ) -> Result<(), Diagnostics> {
        let method = account.auth_type();
        let grants_itself = self.manual.known() == Some(&false);
        if !grants_itself || method.sends_google_token() || !client.keys().gcp().is_known() {
            return Ok(());
        }
        Err(Diagnostic::error(
            "Databricks needs a Google access token to grant itself the key",
            format!(
                "With `gcp.manual = false`, Databricks grants its service account the use of the key when the configuration is created, with \
                 a Google access token of the caller. The authentication method `{method}` sends none, so Databricks would refuse the \
                 create.\n\nSet `auth_type = \"oauth-m2m-gcp\"` (with `client_id` and `client_secret`), and give the provider an identity of \
                 Google Cloud that has cloudkms.cryptoKeys.getIamPolicy and cloudkms.cryptoKeys.setIamPolicy on the key. Or set `gcp.manual = \
                 true`, and grant the use of the key with `dbxcmk_key_policy`."
            ),
        )
        .on("gcp.manual")
        .into())
    }

    /// The check of the key itself. The binding proves who may use it, once the account shows the service accounts.
    pub(super) fn case(&self, use_cases: Vec<UseCase>, stage: Stage) -> Option<KeyCheck> {
        let usage = Usage {
            use_cases,
            ..Usage::default()
        };
        Some(KeyCheck::Gcp(GcpKeyCheck {
            key: self.kms_key_id.known()?.clone(),
            question: Question::new(usage, stage),
        }))
    }

    /// What creates it. `use_cases`: sorted.
    pub(super) fn request(&self, use_cases: Vec<UseCase>) -> Option<NewKeyConfiguration> {
        Some(NewKeyConfiguration {
            use_cases: use_cases.iter().map(ToString::to_string).collect(),
            key: NewKey::Gcp(GcpKeyInfo {
                kms_key_id: self.kms_key_id.known()?.to_string(),
                gcp_service_account: None,
                // Sent also when it is false: the official SDKs leave it out then, and what that means is not documented.
                manual: Some(*self.manual.known()?),
            }),
        })
    }

    /// The attribute as the API shows the key; what the API does not know stays as it was `before`.
    ///
    /// # Errors
    /// When the key cannot be read, with what it is.
    pub(super) fn of(info: &GcpKeyInfo, before: &KeyConfigurationModel) -> Result<Self, String> {
        let key: CryptoKeyName = info
            .kms_key_id
            .parse()
            .map_err(|_| format!("the key {}", info.kms_key_id))?;
        let old = before.gcp.known();
        let old_email = old.and_then(|old| old.service_account_email.known());
        let old_manual = old.and_then(|old| old.manual.known().copied());
        Ok(Self {
            location: Attr::Known(key.location().to_owned()),
            kms_key_id: Attr::Known(key),
            manual: Attr::Known(info.manual.or(old_manual).unwrap_or(false)),
            service_account_email: info
                .service_account()
                .map(str::to_owned)
                .or_else(|| old_email.cloned())
                .into(),
        })
    }

    /// After Databricks has granted itself the use of the key: what stands in the key's policy now.
    pub(super) async fn show_grant(&self, cx: &Context<Client>) {
        let keys = cx.client().keys().gcp();
        let (Some(key), Some(email)) =
            (self.kms_key_id.known(), self.service_account_email.known())
        else {
            return;
        };
        if self.manual.known() != Some(&false) || !keys.is_known() {
            return;
        }
        let email: ServiceAccount = match email.parse() {
            Ok(email) => email,
            Err(error) => {
                cx.warn(Diagnostic::warning(
                    NOT_CHECKED,
                    format!(
                        "The account shows a service account for {key}, but {error}. {}",
                        check_grants(key)
                    ),
                ));
                return;
            }
        };
        keys.forget(key);
        let bindings = match keys.cloud().policy(key).await {
            Ok(policy) => policy.bindings(),
            Err(error) => Err(error.to_string()),
        };
        let roles: Vec<String> = match bindings {
            Ok(bindings) => bindings
                .into_iter()
                .filter(|binding| binding.members.contains(&email.member()))
                .map(|binding| binding.role)
                .collect(),
            Err(why) => {
                cx.warn(Diagnostic::warning(
                    NOT_CHECKED,
                    format!(
                        "The IAM policy of {key} could not be read after the configuration was created: {why}. {}",
                        check_grants(key)
                    ),
                ));
                return;
            }
        };
        let rights = roles.iter().filter_map(|role| rights_of(role));
        let (encrypts, decrypts) = rights.fold((false, false), |(encrypts, decrypts), rights| {
            (encrypts || rights.encrypt, decrypts || rights.decrypt)
        });
        if encrypts && decrypts {
            cx.warn(Diagnostic::warning(
                "Databricks granted its service account the use of the key",
                format!(
                    "{email} now has these roles on {key}: {}. You need not do anything. To grant them yourself in future, set `manual = true` \
                     and use `dbxcmk_key_policy`.",
                    roles.join(", ")
                ),
            ));
        } else {
            cx.warn(Diagnostic::warning(
                "Databricks did not grant its service account the use of the key",
                format!(
                    "The configuration has `manual = false`, so Databricks should have granted {email} the use of {key}. Its roles there are: \
                     {}. Grant it before you attach the key:\n\nresource \"dbxcmk_key_policy\" \"…\" {{\n  use_cases = […]\n  gcp = {{\n    \
                     kms_key_id                  = \"{key}\"\n    databricks_service_accounts = [\"{email}\"]\n  }}\n}}",
                    if roles.is_empty() {
                        "none".to_owned()
                    } else {
                        roles.join(", ")
                    }
                ),
            ));
        }
    }
}
