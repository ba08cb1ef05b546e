//! A key that somebody names, in a block of its cloud (`aws = { key_arn = … }`) or as text.

use serde::{Deserialize, Serialize};

use super::{AnyKey, Keys};
use crate::provider::diagnose;
use crate::vocabulary::aws::KeyArn;
use crate::vocabulary::azure::VaultKeyId;
use crate::vocabulary::gcp::CryptoKeyName;
use tfplugin::bridge::Attr;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::schema::Attribute;

/// `aws`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct NamedAwsKey {
    pub key_arn: Attr<KeyArn>,
}

/// `gcp`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct NamedGcpKey {
    pub kms_key_id: Attr<CryptoKeyName>,
}

/// `azure`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct NamedAzureKey {
    pub key_vault_key_id: Attr<VaultKeyId>,
}

/// The blocks that name a key, one for each cloud.
pub fn attributes() -> Vec<Attribute> {
    let aws = vec![
        Attribute::string("key_arn")
            .required()
            .format::<KeyArn>("Invalid key ARN")
            .describe("ARN of the KMS key."),
    ];
    let gcp = vec![
        Attribute::string("kms_key_id")
            .required()
            .format::<CryptoKeyName>("Invalid key name")
            .describe(
                "Name of the Cloud KMS key, without a version (`google_kms_crypto_key.….id`).",
            ),
    ];
    let azure = vec![
        Attribute::string("key_vault_key_id")
            .required()
            .format::<VaultKeyId>("Invalid key identifier")
            .describe(
                "Identifier of the key in Key Vault or Managed HSM (`azurerm_key_vault_key.….versionless_id`). All its versions are meant, \
                 also if it names one.",
            ),
    ];
    vec![
        Attribute::object("aws", aws).describe("The AWS key."),
        Attribute::object("gcp", gcp).describe("The Google Cloud key."),
        Attribute::object("azure", azure).describe("The Azure key."),
    ]
}

/// Whether the blocks name a key, and only one.
///
/// # Errors
/// When they name none, or several.
pub fn check_named(
    aws: &Attr<NamedAwsKey>,
    gcp: &Attr<NamedGcpKey>,
    azure: &Attr<NamedAzureKey>,
) -> Result<(), Diagnostics> {
    let blocks = [
        ("aws", aws.is_null()),
        ("gcp", gcp.is_null()),
        ("azure", azure.is_null()),
    ];
    let named: Vec<&str> = blocks
        .into_iter()
        .filter(|(_, is_null)| !is_null)
        .map(|(block, _)| block)
        .collect();
    match named.as_slice() {
        [] => Err(Diagnostic::error(
            "No key is named",
            "Set `aws = { key_arn = … }`, `gcp = { kms_key_id = … }`, or `azure = { key_vault_key_id = … }`.",
        )
        .into()),
        [_] => Ok(()),
        [.., last] => Err(Diagnostic::error(
            "The key is named twice",
            "Set only one of `aws`, `gcp` and `azure`.",
        )
        .on(last)
        .into()),
    }
}

/// The key that the blocks name; `None` while it is not known.
pub fn named(
    aws: &Attr<NamedAwsKey>,
    gcp: &Attr<NamedGcpKey>,
    azure: &Attr<NamedAzureKey>,
) -> Option<AnyKey> {
    match (aws.known(), gcp.known(), azure.known()) {
        (Some(aws), ..) => aws.key_arn.known().cloned().map(AnyKey::Aws),
        (None, Some(gcp), _) => gcp.kms_key_id.known().cloned().map(AnyKey::Gcp),
        (None, None, Some(azure)) => {
            let key = azure.key_vault_key_id.known()?;
            Some(AnyKey::Azure(key.versionless()))
        }
        (None, None, None) => None,
    }
}

impl Keys {
    /// The key that a text names: an ARN, the name of a Cloud KMS key, or on AWS the id or alias of a key.
    ///
    /// # Errors
    /// When there is no such key, or it cannot be looked up.
    pub async fn find(&self, named: &str, region: Option<&str>) -> Result<AnyKey, Diagnostics> {
        let not_a_key = |why: String| -> Diagnostics {
            Diagnostic::error(
                "Not a key",
                format!("`{named}` does not name a key: {why}.\n\nName it by its ARN, as arn:aws:kms:eu-central-1:123456789012:key/…, by its name in Cloud KMS, as projects/…/locations/…/keyRings/…/cryptoKeys/…, or by its identifier on Azure, as https://VAULT.vault.azure.net/keys/NAME"),
            )
            .into()
        };
        if named.starts_with("arn:") {
            return match named.parse() {
                Ok(arn) => Ok(AnyKey::Aws(arn)),
                Err(error) => Err(not_a_key(format!("{error}"))),
            };
        }
        if named.starts_with("projects/") {
            return match named.parse() {
                Ok(name) => Ok(AnyKey::Gcp(name)),
                Err(error) => Err(not_a_key(format!("{error}"))),
            };
        }
        if named.starts_with("https://") {
            return match named.parse::<VaultKeyId>() {
                Ok(key) => Ok(AnyKey::Azure(key.versionless())),
                Err(error) => Err(not_a_key(format!("{error}"))),
            };
        }
        match self.aws.cloud().arn_of(named, region).await {
            Ok(arn) => Ok(AnyKey::Aws(arn)),
            Err(error) => Err(not_a_key(diagnose::in_words(&error))),
        }
    }
}
