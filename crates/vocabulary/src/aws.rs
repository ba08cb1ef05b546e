//! Amazon resource names, and those of keys, aliases and roles.

use std::fmt;
use std::str::FromStr;

use kms_policy::{Arn, is_account};

use super::textual;

/// A part of AWS with its own accounts and names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Partition {
    /// Commercial regions.
    Aws,
    /// GovCloud.
    AwsUsGov,
    /// China, where Databricks on AWS does not exist.
    AwsCn,
}

impl Partition {
    /// Its name in ARNs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::AwsUsGov => "aws-us-gov",
            Self::AwsCn => "aws-cn",
        }
    }

    /// The one that an ARN has; `None` for one that this version does not know.
    pub fn of_arn(arn: &str) -> Option<Self> {
        let name = arn.split(':').nth(1)?;
        [Self::Aws, Self::AwsUsGov, Self::AwsCn]
            .into_iter()
            .find(|one| one.name() == name)
    }

    /// The domain of its services.
    pub fn dns_suffix(self) -> &'static str {
        match self {
            Self::Aws | Self::AwsUsGov => "amazonaws.com",
            Self::AwsCn => "amazonaws.com.cn",
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Text that is not the ARN that was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}{hint}")]
pub struct ArnError {
    text: String,
    expected: &'static str,
    hint: String,
}

impl ArnError {
    fn new(text: &str, expected: &'static str, hint: impl Into<String>) -> Self {
        // A hint about what the text itself does not show comes first.
        let hint = match text {
            "" => format!(": it is empty{}", hint.into()),
            text if text.trim() != text => {
                ": it begins or ends with white space. Remove it".to_owned()
            }
            _ => hint.into(),
        };
        Self {
            text: text.to_owned(),
            expected,
            hint,
        }
    }
}

fn partition(name: &str) -> Option<Partition> {
    [Partition::Aws, Partition::AwsUsGov, Partition::AwsCn]
        .into_iter()
        .find(|partition| partition.name() == name)
}

fn is_region(text: &str) -> bool {
    let mut parts = text.rsplit('-');
    let number = parts
        .next()
        .is_some_and(|last| !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()));
    number
        && parts.clone().count() >= 2
        && parts.all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase()))
}

/// The ARN of a KMS key: `arn:aws:kms:eu-central-1:123456789012:key/…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyArn {
    partition: Partition,
    region: String,
    account: String,
    key_id: String,
}

impl KeyArn {
    /// The partition that the key lives in.
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// The region that the key lives in.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The account that owns the key.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The key's ID within its region and account.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The same as the policy language has it.
    pub fn arn(&self) -> Arn {
        Arn {
            partition: self.partition.name().to_owned(),
            service: "kms".to_owned(),
            region: self.region.clone(),
            account: self.account.clone(),
            resource: format!("key/{}", self.key_id),
        }
    }

    /// Whether it is a multi-region key, whose ID begins with `mrk-`.
    pub fn is_multi_region(&self) -> bool {
        self.key_id.starts_with("mrk-")
    }
}

const KEY_ARN: &str = "the ARN of a KMS key";

impl FromStr for KeyArn {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, ArnError> {
        let example = "; it reads `arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab`";
        let wrong = |hint: &str| ArnError::new(text, KEY_ARN, hint);
        if text.starts_with("alias/") {
            return Err(wrong(
                ": it is an alias. Databricks needs the ARN of the key itself (`aws_kms_key.….arn`)",
            ));
        }
        let arn: Arn = text.parse().map_err(|_| wrong(example))?;
        if arn.service != "kms" {
            return Err(wrong(&format!(
                ": it belongs to the service `{}`{example}",
                arn.service
            )));
        }
        let partition = partition(&arn.partition)
            .ok_or_else(|| wrong(&format!(": `{}` is not an AWS partition", arn.partition)))?;
        if !is_region(&arn.region) {
            return Err(wrong(&format!(": `{}` is not an AWS region", arn.region)));
        }
        if !is_account(&arn.account) {
            return Err(wrong(&format!(
                ": `{}` is not an AWS account (12 digits)",
                arn.account
            )));
        }
        if arn.resource.starts_with("alias/") {
            return Err(wrong(
                ": it is the ARN of an alias. Databricks needs the ARN of the key (`aws_kms_key.….arn`)",
            ));
        }
        let key_id = arn
            .resource
            .strip_prefix("key/")
            .filter(|id| is_key_id(id))
            .ok_or_else(|| wrong(example))?;
        Ok(Self {
            partition,
            key_id: key_id.to_owned(),
            region: arn.region.clone(),
            account: arn.account.clone(),
        })
    }
}

/// `1234abcd-12ab-34cd-56ef-1234567890ab`, or `mrk-` and 32 hexadecimal digits.
fn is_key_id(id: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match id.strip_prefix("mrk-") {
        Some(rest) => rest.len() == 32 && hex(rest),
        None => id.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && id.split('-').all(hex),
    }
}

impl fmt::Display for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            partition,
            region,
            account,
            key_id,
        } = self;
        write!(f, "arn:{partition}:kms:{region}:{account}:key/{key_id}")
    }
}

/// The ARN of an IAM role: `arn:aws:iam::123456789012:role/databricks`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleArn {
    partition: Partition,
    account: String,
    path_and_name: String,
}

impl Partition {
    /// A region that every account of the partition can call, for services without a region of their own.
    pub fn usual_region(self) -> &'static str {
        match self {
            Self::Aws => "us-east-1",
            Self::AwsCn => "cn-north-1",
            Self::AwsUsGov => "us-gov-west-1",
        }
    }
}

impl RoleArn {
    /// The account that owns the role.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The partition that the role lives in.
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// The role's name without its path, as its sessions carry it.
    pub fn name(&self) -> &str {
        self.path_and_name.rsplit('/').next().unwrap_or_default()
    }
}

impl FromStr for RoleArn {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, ArnError> {
        let example = "; it reads `arn:aws:iam::123456789012:role/databricks-cross-account`";
        let wrong = |hint: &str| ArnError::new(text, "the ARN of an IAM role", hint);
        let arn: Arn = text.parse().map_err(|_| wrong(example))?;
        if arn.service == "sts" && arn.resource.starts_with("assumed-role/") {
            return Err(wrong(
                ": it is a session of a role. Name the role itself (`aws_iam_role.….arn`)",
            ));
        }
        let partition = partition(&arn.partition)
            .ok_or_else(|| wrong(&format!(": `{}` is not an AWS partition", arn.partition)))?;
        let name = arn
            .resource
            .strip_prefix("role/")
            .filter(|name| !name.is_empty() && !name.ends_with('/'));
        match name {
            Some(name)
                if arn.service == "iam" && arn.region.is_empty() && is_account(&arn.account) =>
            {
                if name.contains(['*', '?']) {
                    return Err(wrong(": a principal takes no wildcards"));
                }
                Ok(Self {
                    partition,
                    account: arn.account.clone(),
                    path_and_name: name.to_owned(),
                })
            }
            _ => Err(wrong(example)),
        }
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            partition,
            account,
            path_and_name,
        } = self;
        write!(f, "arn:{partition}:iam::{account}:role/{path_and_name}")
    }
}

/// The alias of a KMS key: `alias/lakehouse`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyAlias(String);

impl FromStr for KeyAlias {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, ArnError> {
        let wrong = |hint: &str| ArnError::new(text, "the alias of a KMS key", hint);
        let Some(name) = text.strip_prefix("alias/") else {
            return Err(wrong("; it begins with `alias/`, as in `alias/lakehouse`"));
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-');
        if name.is_empty() || text.len() > 256 || !name.chars().all(allowed) {
            return Err(wrong(
                "; after `alias/` come up to 250 letters, digits, `/`, `_` or `-`",
            ));
        }
        if name.starts_with("aws/") {
            return Err(wrong(
                ": `alias/aws/…` names keys that AWS manages, and those cannot be used by Databricks",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for KeyAlias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

textual!(KeyArn, RoleArn, KeyAlias);

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    #[test]
    fn what_cannot_be_seen_is_said() {
        for (text, words) in [
            ("", "it is empty"),
            (
                "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab ",
                "ends with white space",
            ),
            (
                "\narn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
                "begins or ends",
            ),
        ] {
            let message = text.parse::<KeyArn>().expect_err("not an ARN").to_string();
            assert!(message.contains(words), "{message}");
            assert!(
                text.parse::<RoleArn>()
                    .expect_err("not an ARN")
                    .to_string()
                    .contains(words)
            );
        }
    }

    #[test]
    fn a_key_arn_is_taken_apart_and_put_together() -> Result<(), ArnError> {
        let arn: KeyArn = KEY.parse()?;
        assert_eq!(
            (arn.region(), arn.account(), arn.is_multi_region()),
            ("eu-central-1", "123456789012", false)
        );
        assert_eq!(arn.to_string(), KEY);
        let multi = "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab";
        assert!(multi.parse::<KeyArn>()?.is_multi_region());
        Ok(())
    }

    /// Each row: the text, and words of the message.
    #[test]
    fn what_is_no_key_arn_is_told_why() {
        let rows = [
            ("alias/lakehouse", "it is an alias"),
            (
                "arn:aws:kms:eu-central-1:123456789012:alias/lakehouse",
                "ARN of an alias",
            ),
            ("arn:aws:s3:::bucket", "belongs to the service `s3`"),
            (
                "arn:gcp:kms:eu-central-1:123456789012:key/x",
                "`gcp` is not an AWS partition",
            ),
            (
                "arn:aws:kms:Frankfurt:123456789012:key/x",
                "`Frankfurt` is not an AWS region",
            ),
            ("arn:aws:kms:eu-central-1:1234:key/x", "12 digits"),
            (
                "arn:aws:kms:eu-central-1:123456789012:key/x",
                "it reads `arn:aws:kms",
            ),
            (
                "1234abcd-12ab-34cd-56ef-1234567890ab",
                "it reads `arn:aws:kms",
            ),
            ("", ": it is empty; it reads `arn:aws:kms"),
        ];
        for (text, words) in rows {
            let message = text.parse::<KeyArn>().expect_err(text).to_string();
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn a_role_has_a_name_without_its_path() -> Result<(), ArnError> {
        let role: RoleArn = "arn:aws:iam::123456789012:role/teams/data/dbx".parse()?;
        assert_eq!(role.name(), "dbx");
        for (text, words) in [
            (
                "arn:aws:sts::123456789012:assumed-role/dbx/i-1",
                "session of a role",
            ),
            (
                "arn:aws:iam::123456789012:user/dbx",
                "it reads `arn:aws:iam",
            ),
            ("arn:aws:iam::123456789012:role/dbx-*", "no wildcards"),
        ] {
            let message = text.parse::<RoleArn>().expect_err(text).to_string();
            assert!(message.contains(words), "{message}");
        }
        Ok(())
    }

    #[test]
    fn an_alias_begins_with_alias() {
        assert!("alias/lakehouse".parse::<KeyAlias>().is_ok());
        for (text, words) in [
            ("lakehouse", "begins with `alias/`"),
            ("alias/", "up to 250"),
            ("alias/a b", "up to 250"),
            ("alias/aws/s3", "AWS manages"),
        ] {
            let message = text.parse::<KeyAlias>().expect_err(text).to_string();
            assert!(message.contains(words), "{message}");
        }
    }
}
