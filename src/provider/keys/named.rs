//! A key that somebody names, in a block of its cloud (`aws = { key_arn = … }`) or as text.

use serde::{Deserialize, Serialize};

use super::{AnyKey, Keys};
use crate::provider::diagnose;
use crate::vocabulary::aws::KeyArn;
use tfplugin::bridge::Attr;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::schema::Attribute;

/// `aws`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct NamedAwsKey {
    pub key_arn: Attr<KeyArn>,
}

/// The blocks that name a key, one for each cloud.
pub fn attributes() -> Vec<Attribute> {
    let aws = vec![
        Attribute::string("key_arn")
            .required()
            .format::<KeyArn>("Invalid key ARN")
            .describe("ARN of the KMS key."),
    ];
    vec![Attribute::object("aws", aws).describe("The AWS key.")]
}

/// The key that the blocks name; `None` while it is not known.
pub fn named(aws: &Attr<NamedAwsKey>) -> Option<AnyKey> {
    let key = aws.known()?.key_arn.known()?;
    Some(AnyKey::Aws(key.clone()))
}

impl Keys {
    /// The key that a text names: an ARN, or on AWS the id or alias of a key.
    ///
    /// # Errors
    /// When there is no such key, or it cannot be looked up.
    pub async fn find(&self, named: &str, region: Option<&str>) -> Result<AnyKey, Diagnostics> {
        let not_a_key = |why: String| -> Diagnostics {
            Diagnostic::error(
                "Not a key",
                format!("`{named}` does not name a key: {why}.\n\nName it by its ARN, as arn:aws:kms:eu-central-1:123456789012:key/…"),
            )
            .into()
        };
        if named.starts_with("arn:") {
            return match named.parse() {
                Ok(arn) => Ok(AnyKey::Aws(arn)),
                Err(error) => Err(not_a_key(format!("{error}"))),
            };
        }
        match self.aws.cloud().arn_of(named, region).await {
            Ok(arn) => Ok(AnyKey::Aws(arn)),
            Err(error) => Err(not_a_key(diagnose::in_words(&error))),
        }
    }
}
