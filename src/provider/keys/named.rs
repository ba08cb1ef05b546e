//! A key that the user names, in a block of its cloud (`aws = { key_arn = … }`) or as text.

use serde::{Deserialize, Serialize};

use super::Keys;
use crate::clouds::aws::AwsError;
use crate::provider::diagnose;
use crate::vocabulary::aws::KeyArn;
use crate::vocabulary::azure::VaultKeyId;
use crate::vocabulary::gcp::CryptoKeyName;
use crate::vocabulary::{Cloud, Key, KeyError};
use tfplugin::bridge::Attr;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::schema::Attribute;

/// The block `aws`: a key of AWS KMS.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct NamedAwsKey {
    pub key_arn: Attr<KeyArn>,
}

/// The block `gcp`: a key of Cloud KMS.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct NamedGcpKey {
    pub kms_key_id: Attr<CryptoKeyName>,
}

/// The block `azure`: a key of Key Vault or Managed HSM.
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
                "Identifier of the key in Key Vault or Managed HSM (`azurerm_key_vault_key.….versionless_id`). Always applies to all versions of the key.",
            ),
    ];
    vec![
        Attribute::object("aws", aws).describe("The AWS key."),
        Attribute::object("gcp", gcp).describe("The Google Cloud key."),
        Attribute::object("azure", azure).describe("The Azure key."),
    ]
}

/// Checks that the blocks name one key.
///
/// # Errors
/// When they name no key, or several.
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
            "Conflicting arguments: a key has one name",
            "Set only one of `aws`, `gcp` and `azure`.",
        )
        .on(last)
        .into()),
    }
}

/// The key that the blocks name; `None` while Terraform does not know it.
pub fn named(
    aws: &Attr<NamedAwsKey>,
    gcp: &Attr<NamedGcpKey>,
    azure: &Attr<NamedAzureKey>,
) -> Option<Key> {
    match (aws.known(), gcp.known(), azure.known()) {
        (Some(aws), ..) => aws.key_arn.known().cloned().map(Key::Aws),
        (None, Some(gcp), _) => gcp.kms_key_id.known().cloned().map(Key::Gcp),
        (None, None, Some(azure)) => {
            let key = azure.key_vault_key_id.known()?;
            Some(Key::Azure(key.versionless()))
        }
        (None, None, None) => None,
    }
}

/// Why the provider cannot work with the key that a text names.
#[derive(Clone, Debug)]
pub enum NotFound {
    /// The text is not the name of a key, or no key has this name.
    NoKey(Diagnostics),
    /// The provider could not ask the service.
    Failed(Diagnostics),
}

impl From<NotFound> for Diagnostics {
    fn from(not_found: NotFound) -> Self {
        match not_found {
            NotFound::NoKey(why) | NotFound::Failed(why) => why,
        }
    }
}

const FORMS: &str = "Name it by its ARN (arn:aws:kms:eu-central-1:123456789012:key/…), by its key ID or alias together with the region, by its name in \
                     Cloud KMS (projects/…/locations/…/keyRings/…/cryptoKeys/…), or by its identifier on Azure (https://VAULT.vault.azure.net/keys/NAME).";

/// The forms that the user may have meant: a text like `projects/…`, or the host of the account, says which cloud.
fn forms(named: &str, host: Option<&Cloud>) -> &'static str {
    match (Key::cloud_by_form(named).as_ref(), host) {
        (Some(Cloud::Gcp), _) | (None, Some(Cloud::Gcp)) => ON_GOOGLE,
        (Some(Cloud::Azure), _) | (None, Some(Cloud::Azure)) => ON_AZURE,
        _ => FORMS,
    }
}

/// Whether a text can only be the key ID or alias of a key of AWS, while the host says that the account is on another cloud.
fn is_elsewhere(named: &str, host: Option<&Cloud>) -> bool {
    !named.starts_with("alias/") && matches!(host, Some(Cloud::Gcp | Cloud::Azure))
}

const ON_GOOGLE: &str = "Name it by its name in Cloud KMS, without a version: projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY.";
const ON_AZURE: &str =
    "Name it by its identifier on Azure: https://VAULT.vault.azure.net/keys/NAME.";

/// The key that a text names by itself; `Ok(None)` when it may be the key ID or alias of a key of AWS. Pure.
///
/// # Errors
/// When it is not the name of a key: why.
fn by_form(named: &str) -> Result<Option<Key>, String> {
    if Key::cloud_by_form(named).is_some() {
        return match named.parse().map_err(|error: KeyError| error.to_string())? {
            // A version is not the key: disabling it would put out of reach what it encrypted, and new data
            // would use another version.
            Key::Azure(id) => match id.version() {
                Some(version) => Err(format!(
                    "it names the version {version}, and the command works on every version of a key. Leave the version out: {}",
                    id.versionless()
                )),
                None => Ok(Some(Key::Azure(id))),
            },
            key => Ok(Some(key)),
        };
    }
    let is_id = !named.is_empty()
        && named
            .chars()
            .all(|one| one.is_ascii_alphanumeric() || one == '-');
    match is_id || named.starts_with("alias/") {
        true => Ok(None),
        false => Err("it has none of the forms below".to_owned()),
    }
}

impl Keys {
    /// The key that a text names: an ARN, the name of a Cloud KMS key, an identifier on Azure, or on AWS the ID or alias of a key.
    ///
    /// # Errors
    /// When there is no such key, or the provider cannot ask the service.
    pub async fn find(
        &self,
        named: &str,
        region: Option<&str>,
        host: Option<&Cloud>,
    ) -> Result<Key, NotFound> {
        let forms = forms(named, host);
        let why = match by_form(named) {
            Ok(Some(key)) => return Ok(key),
            Ok(None) if is_elsewhere(named, host) => "it does not have the form below".to_owned(),
            Ok(None) => match self.aws.cloud().arn_of(named, region).await {
                Ok(arn) => return Ok(Key::Aws(arn)),
                Err(AwsError::NotFound(why)) => why,
                Err(error) => {
                    let failed = Diagnostic::error(
                        "The key could not be looked up",
                        format!(
                            "`{named}` can only be the key ID or alias of a key of AWS. {}.\n\n{forms}",
                            diagnose::in_words(&error).trim_end_matches('.')
                        ),
                    );
                    return Err(NotFound::Failed(failed.into()));
                }
            },
            Err(why) => why,
        };
        let why = why.trim_end_matches('.');
        Err(NotFound::NoKey(
            Diagnostic::error(
                "Not a key",
                format!("`{named}` does not name a key: {why}.\n\n{forms}"),
            )
            .into(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: a text, the cloud of the host, and whether the error offers forms of AWS, Google Cloud and Azure.
    #[test]
    fn who_means_a_cloud_reads_its_forms_alone() {
        for (named, host, expected) in [
            ("projects/p", None, [false, true, false]),
            ("main", Some(Cloud::Gcp), [false, true, false]),
            ("main", Some(Cloud::Azure), [false, false, true]),
            ("main", Some(Cloud::Aws), [true, true, true]),
            ("main", None, [true, true, true]),
            ("/subscriptions/s/keys/k", None, [false, false, true]),
            ("arn:aws:kms", Some(Cloud::Gcp), [true, true, true]),
        ] {
            let text = forms(named, host.as_ref());
            let found = ["arn:aws", "cryptoKeys", "vault.azure.net"].map(|one| text.contains(one));
            assert_eq!(found, expected, "{named} {host:?}");
        }
        assert!(is_elsewhere("main", Some(&Cloud::Gcp)));
        assert!(!is_elsewhere("alias/main", Some(&Cloud::Gcp)));
        assert!(!is_elsewhere("main", None));
    }

    /// Each row: a text, and the key that it names, or words of the error.
    #[test]
    fn a_text_names_a_key_or_says_why_not() {
        let vault = "https://acme.vault.azure.net/keys/main";
        let version = format!("{vault}/0123456789abcdef0123456789abcdef");
        let google = "projects/p/locations/europe-west3/keyRings/r/cryptoKeys/k";
        let arn = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        let full = format!("//cloudkms.googleapis.com/{google}");
        let of_version = format!("{google}/cryptoKeyVersions/1");
        for (named, expected) in [
            (arn, Ok(arn)),
            (google, Ok(google)),
            (vault, Ok(vault)),
            ("alias/lakehouse", Ok("to look up")),
            ("1234abcd-12ab-34cd-56ef-1234567890ab", Ok("to look up")),
            ("mrk-1234abcd12ab34cd56ef1234567890ab", Ok("to look up")),
            (version.as_str(), Err("names the version 0123")),
            (of_version.as_str(), Err("version")),
            (full.as_str(), Err("leave out `//cloudkms")),
            ("arn:aws:s3:::bucket", Err("")),
            (
                "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/r/providers/Microsoft.KeyVault/vaults/v/keys/k",
                Err("Resource Manager"),
            ),
            ("acme.vault.azure.net/keys/main", Err("none of the forms")),
            ("", Err("none of the forms")),
        ] {
            match (by_form(named), expected) {
                (Ok(Some(key)), Ok(name)) => assert_eq!(key.to_string(), name),
                (Ok(None), Ok(name)) => assert_eq!(name, "to look up", "{named}"),
                (Err(why), Err(words)) => assert!(why.contains(words), "{named}: {why}"),
                (found, expected) => panic!("{named}: {found:?} is not {expected:?}"),
            }
        }
    }

    /// A block that is null, unknown as a whole, without a known name, or that names this key.
    fn block<T, K>(letter: char, of: impl FnOnce(Attr<K>) -> T, key: Result<K, String>) -> Attr<T> {
        match (letter, key) {
            ('k', Ok(key)) => Attr::Known(of(Attr::Known(key))),
            ('u', _) => Attr::Known(of(Attr::Unknown)),
            ('?', _) => Attr::Unknown,
            _ => Attr::Null,
        }
    }

    /// Each row: the blocks of AWS, Google Cloud and Azure (`-` null, `?` unknown, `u` with an unknown name, `k` with a key), the error and its
    /// attribute, and the key that the blocks name.
    #[test]
    fn exactly_one_block_names_a_key() {
        let arn = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        let google = "projects/p/locations/europe-west3/keyRings/r/cryptoKeys/k";
        let vault = "https://acme.vault.azure.net/keys/main";
        let version = format!("{vault}/0123456789abcdef0123456789abcdef");
        let (none, several) = (
            "No key is named",
            "Conflicting arguments: a key has one name",
        );
        let rows = [
            ("---", Err((none, None)), None),
            ("k--", Ok(()), Some(arn)),
            ("-k-", Ok(()), Some(google)),
            // The kill switch is about the key, even if the user names a version.
            ("--k", Ok(()), Some(vault)),
            ("u--", Ok(()), None),
            ("-u-", Ok(()), None),
            ("--u", Ok(()), None),
            ("?--", Ok(()), None),
            ("-?-", Ok(()), None),
            ("--?", Ok(()), None),
            ("kk-", Err((several, Some("gcp"))), Some(arn)),
            ("k-k", Err((several, Some("azure"))), Some(arn)),
            ("-kk", Err((several, Some("azure"))), Some(google)),
            ("kkk", Err((several, Some("azure"))), Some(arn)),
            // A block that Terraform does not know yet may turn out to be null, but the user has
            // written it beside another one.
            ("k?-", Err((several, Some("gcp"))), Some(arn)),
        ];
        for (letters, expected, key) in rows {
            let letter = |at: usize| letters.chars().nth(at).unwrap_or('-');
            let aws = block(
                letter(0),
                |key_arn| NamedAwsKey { key_arn },
                arn.parse().map_err(|_| String::new()),
            );
            let gcp = block(
                letter(1),
                |kms_key_id| NamedGcpKey { kms_key_id },
                google.parse().map_err(|_| String::new()),
            );
            let azure = block(
                letter(2),
                |key_vault_key_id| NamedAzureKey { key_vault_key_id },
                version.parse().map_err(|_| String::new()),
            );
            let checked = check_named(&aws, &gcp, &azure);
            let wrong: Vec<(String, Option<String>)> = checked
                .err()
                .iter()
                .flat_map(|all| all.iter())
                .map(|one| {
                    (
                        one.summary.clone(),
                        Some(one.path.to_string()).filter(|path| !path.is_empty()),
                    )
                })
                .collect();
            let expected: Vec<(String, Option<String>)> = expected
                .err()
                .iter()
                .map(|(summary, path): &(&str, Option<&str>)| {
                    ((*summary).to_owned(), path.map(str::to_owned))
                })
                .collect();
            assert_eq!(wrong, expected, "{letters}");
            let found = named(&aws, &gcp, &azure).map(|key| key.to_string());
            assert_eq!(found.as_deref(), key, "{letters}");
        }
    }
}
