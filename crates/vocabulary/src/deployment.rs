//! Where Databricks runs on AWS, and from which account it calls there.
//!
//! Source of the accounts and names: the Databricks documentation of customer-managed keys and its Terraform provider.

use std::fmt;
use std::str::FromStr;

use super::aws::Partition;
use super::textual;

/// A Databricks deployment on AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deployment {
    /// Databricks on AWS outside GovCloud, under `cloud.databricks.com`.
    Commercial,
    /// AWS GovCloud, the civilian shard.
    GovCloud,
    /// AWS GovCloud, the DoD shard.
    Dod,
}

/// A name that no deployment has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not one of: aws, aws-us-gov, aws-us-gov-dod")]
pub struct PartitionError(String);

/// By the name that Databricks' own tools have for its partition.
impl FromStr for Deployment {
    type Err = PartitionError;

    fn from_str(name: &str) -> Result<Self, PartitionError> {
        match name {
            "aws" => Ok(Self::Commercial),
            "aws-us-gov" => Ok(Self::GovCloud),
            "aws-us-gov-dod" => Ok(Self::Dod),
            _ => Err(PartitionError(name.to_owned())),
        }
    }
}

impl fmt::Display for Deployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Commercial => "aws",
            Self::GovCloud => "aws-us-gov",
            Self::Dod => "aws-us-gov-dod",
        })
    }
}

textual!(Deployment);

impl Deployment {
    /// All of them, the rarest first.
    pub const ALL: [Self; 3] = [Self::Dod, Self::GovCloud, Self::Commercial];

    /// A deployment by its name, or by what the command line took for it before: `commercial`, `govcloud`, `dod`. Attributes in HCL
    /// take the name alone, so that a state has one spelling.
    ///
    /// # Errors
    /// When no deployment is called so.
    pub fn by_name_or_alias(text: &str) -> Result<Self, PartitionError> {
        match text {
            "commercial" => Ok(Self::Commercial),
            "govcloud" => Ok(Self::GovCloud),
            "dod" => Ok(Self::Dod),
            name => name.parse(),
        }
    }

    /// The deployment whose AWS account a text names.
    pub fn named_in(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|deployment| text.contains(deployment.account()))
    }

    /// The AWS account from which Databricks calls.
    pub fn account(self) -> &'static str {
        match self {
            Self::Commercial => "414351767826",
            Self::GovCloud => "044793339203",
            Self::Dod => "170661010020",
        }
    }

    /// The partition in which this Databricks runs; AWS accepts only keys of the same partition.
    pub fn partition(self) -> Partition {
        match self {
            Self::Commercial => Partition::Aws,
            Self::GovCloud | Self::Dod => Partition::AwsUsGov,
        }
    }

    /// The deployment that an account host belongs to; every host that is not a government one is commercial.
    pub fn of_host(host: &str) -> Self {
        match host {
            "accounts.cloud.databricks.us" => Self::GovCloud,
            "accounts-dod.cloud.databricks.us" => Self::Dod,
            _ => Self::Commercial,
        }
    }

    /// The principal that key policies name.
    pub fn principal(self) -> String {
        format!("arn:{}:iam::{}:root", self.partition(), self.account())
    }

    /// The name in texts for people.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Commercial => "the commercial Databricks deployment",
            Self::GovCloud => "Databricks on AWS GovCloud",
            Self::Dod => "Databricks on AWS GovCloud (DoD)",
        }
    }
}
