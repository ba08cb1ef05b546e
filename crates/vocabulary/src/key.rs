//! A key of any cloud, as one value: the one place that tells clouds apart by the form of a name.

use std::fmt;
use std::str::FromStr;

use super::Cloud;
use super::aws::KeyArn;
use super::azure::VaultKeyId;
use super::gcp::CryptoKeyName;

/// A key of any cloud. Identifiers of Azure are compared without regard to case. Source: Key Vault documentation, "About keys, secrets, and
/// certificates" ("should always be compared as case-insensitive strings").
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A key of AWS KMS.
    Aws(KeyArn),
    /// A key of Cloud KMS.
    Gcp(CryptoKeyName),
    /// A key of Key Vault or Managed HSM; one without a version stands for every version.
    Azure(VaultKeyId),
}

/// Text that is not the name of a key of any cloud: why, for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyError(String);

impl Key {
    /// The cloud whose names of keys have the form of this text, whether or not it is one; `None` for a text of another form, such as the key ID
    /// or alias of a key of AWS.
    pub fn cloud_by_form(text: &str) -> Option<Cloud> {
        let begins = |starts: &[&str]| starts.iter().any(|start| text.starts_with(start));
        match text {
            _ if begins(&["arn:"]) => Some(Cloud::Aws),
            _ if begins(&["projects/", "//cloudkms."]) => Some(Cloud::Gcp),
            _ if text.contains("cloudkms.googleapis.com/") => Some(Cloud::Gcp),
            _ if begins(&["https://", "/subscriptions/"]) => Some(Cloud::Azure),
            _ => None,
        }
    }

    /// The cloud that keeps the key.
    pub fn cloud(&self) -> &'static Cloud {
        match self {
            Self::Aws(_) => &Cloud::Aws,
            Self::Gcp(_) => &Cloud::Gcp,
            Self::Azure(_) => &Cloud::Azure,
        }
    }

    /// Whether a text is its name, in whatever way that was written.
    pub fn is_named(&self, text: &str) -> bool {
        match self {
            Self::Azure(_) => self.to_string().eq_ignore_ascii_case(text),
            Self::Aws(_) | Self::Gcp(_) => self.to_string() == text,
        }
    }

    /// Its name without what it shares with its neighbors, for one line: the ID of an AWS key, ring and key on Google Cloud, the key on
    /// Azure.
    pub fn short(&self) -> String {
        match self {
            Self::Aws(arn) => arn.key_id().to_owned(),
            Self::Gcp(name) => format!("{}/cryptoKeys/{}", name.ring(), name.key()),
            Self::Azure(id) => match id.version() {
                Some(version) => format!("{}/{version}", id.name()),
                None => id.name().to_owned(),
            },
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aws(arn) => arn.fmt(f),
            Self::Gcp(name) => name.fmt(f),
            Self::Azure(id) => f.write_str(&id.canonical()),
        }
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let said = |error: &dyn fmt::Display| KeyError(error.to_string());
        match Self::cloud_by_form(text) {
            Some(Cloud::Aws) => text.parse().map(Self::Aws).map_err(|error| said(&error)),
            Some(Cloud::Gcp) => text.parse().map(Self::Gcp).map_err(|error| said(&error)),
            Some(Cloud::Azure) => text.parse().map(Self::Azure).map_err(|error| said(&error)),
            _ => Err(KeyError(format!(
                "`{text}` is not the name of a key: it is neither an ARN (`arn:…`), nor a name in Cloud KMS (`projects/…`), nor an identifier \
                 on Azure (`https://…`)"
            ))),
        }
    }
}

impl From<KeyArn> for Key {
    fn from(key: KeyArn) -> Self {
        Self::Aws(key)
    }
}

impl From<CryptoKeyName> for Key {
    fn from(key: CryptoKeyName) -> Self {
        Self::Gcp(key)
    }
}

impl From<VaultKeyId> for Key {
    fn from(key: VaultKeyId) -> Self {
        Self::Azure(key)
    }
}

super::textual!(Key);

#[cfg(test)]
mod tests {
    use super::*;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    /// Each row: a name, its cloud, and the short form.
    #[test]
    fn a_key_is_known_by_its_name() -> Outcome {
        for (text, cloud, short) in [
            (
                "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
                Cloud::Aws,
                "1234abcd-12ab-34cd-56ef-1234567890ab",
            ),
            (
                "projects/p/locations/us-east4/keyRings/r/cryptoKeys/k",
                Cloud::Gcp,
                "r/cryptoKeys/k",
            ),
            (
                "https://acme.vault.azure.net/keys/main",
                Cloud::Azure,
                "main",
            ),
            (
                "https://acme.vault.azure.net/keys/main/0123456789abcdef0123456789abcdef",
                Cloud::Azure,
                "main/0123456789abcdef0123456789abcdef",
            ),
        ] {
            let key: Key = text.parse()?;
            assert_eq!(key.cloud(), &cloud, "{text}");
            assert_eq!(key.short(), short);
            assert_eq!(key.to_string(), text);
            assert!(key.is_named(text));
        }
        Ok(())
    }

    /// Each row: a text that is not a name, and words of why.
    #[test]
    fn what_is_not_a_name_is_said_in_the_words_of_its_cloud() {
        for (text, why) in [
            ("arn:aws:kms:eu-central-1:1:key/x", "the ARN of a KMS key"),
            ("projects/p", "keyRings"),
            ("//cloudkms.googleapis.com/projects/p", "keyRings"),
            ("https://acme.example/keys/main", "Key Vault"),
            ("1234abcd-12ab-34cd-56ef-1234567890ab", "neither an ARN"),
            ("", "neither an ARN"),
        ] {
            let error = text.parse::<Key>().map_err(|error| error.to_string());
            assert!(
                error.as_ref().is_err_and(|error| error.contains(why)),
                "{text}: {error:?}"
            );
        }
    }

    /// Each row: two names of keys, and whether they name one key.
    #[test]
    fn only_keys_of_azure_are_the_same_in_any_case() -> Outcome {
        let azure = |text: &str| text.parse::<Key>();
        let gcp = |name: &str| {
            format!("projects/p/locations/us-east4/keyRings/r/cryptoKeys/{name}").parse::<Key>()
        };
        let upper = azure("https://Acme.vault.azure.net/keys/MAIN")?;
        let lower = azure("https://acme.vault.azure.net/keys/main")?;
        assert_eq!(upper, lower);
        assert_eq!(upper.cmp(&lower), std::cmp::Ordering::Equal);
        assert!(upper.is_named(&lower.to_string()));
        let (upper, lower) = (gcp("Main")?, gcp("main")?);
        assert_ne!(upper, lower);
        assert!(!upper.is_named(&lower.to_string()));
        Ok(())
    }
}
