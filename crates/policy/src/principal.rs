//! Who a statement speaks of, and who asks.

use std::fmt;

use super::arn::{Arn, is_account};
use super::truth::Match;

/// One principal of a policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Principal {
    /// `"*"`, or `{"AWS": "*"}`: anybody.
    Anyone,
    /// An account: `{"AWS": "123456789012"}` or its root ARN. It stands for every principal of the account, as far as that
    /// account's own IAM allows.
    Account {
        /// The partition, where the ARN form says it.
        partition: Option<String>,
        /// The twelve digits.
        account: String,
    },
    /// A role, user, or session, by its ARN.
    Arn(Arn),
    /// The unique ID with which AWS replaces a deleted user or role (`AIDA…`, `AROA…`): it matches no principal.
    Deleted(String),
    /// An AWS service.
    Service(String),
    /// An identity provider.
    Federated(String),
    /// A canonical user ID, which occurs in S3 policies only.
    CanonicalUser(String),
}

/// What stands where an AWS principal belongs, and is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a principal: expected an account id of 12 digits, the ARN of an account, role, user or session, or `*`"
)]
pub struct PrincipalError(pub String);

/// `AIDA…` and its like: what AWS shows for principals that were deleted.
fn is_unique_id(text: &str) -> bool {
    let kinds = [
        "AIDA", "AROA", "AGPA", "ANPA", "AIPA", "ANVA", "ASCA", "APKA", "ABIA", "ACCA",
    ];
    text.len() >= 16
        && kinds.iter().any(|kind| text.starts_with(kind))
        && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

impl Principal {
    /// Reads a value under `"AWS"`.
    ///
    /// # Errors
    /// When it is not an AWS principal.
    pub fn aws(text: &str) -> Result<Self, PrincipalError> {
        let wrong = || PrincipalError(text.to_owned());
        if text == "*" {
            return Ok(Self::Anyone);
        }
        if is_account(text) {
            return Ok(Self::Account {
                partition: None,
                account: text.to_owned(),
            });
        }
        if is_unique_id(text) {
            return Ok(Self::Deleted(text.to_owned()));
        }
        let arn: Arn = text.parse().map_err(|_| wrong())?;
        if !matches!(arn.service.as_str(), "iam" | "sts")
            || !is_account(&arn.account)
            || text.contains(['*', '?'])
        {
            return Err(wrong());
        }
        if arn.service == "iam" && arn.resource == "root" {
            return Ok(Self::Account {
                partition: Some(arn.partition),
                account: arn.account,
            });
        }
        Ok(Self::Arn(arn))
    }

    /// The account that it belongs to, if it belongs to one.
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Account { account, .. } => Some(account),
            Self::Arn(arn) => Some(&arn.account),
            _ => None,
        }
    }

    /// The partition that it names, if it names one.
    pub fn partition(&self) -> Option<&str> {
        match self {
            Self::Account { partition, .. } => partition.as_deref(),
            Self::Arn(arn) => Some(&arn.partition),
            _ => None,
        }
    }

    /// Whether this principal of a policy means `caller`, and whether only by way of the caller's account.
    pub fn matches(&self, caller: &Caller) -> Match {
        match (self, caller) {
            (Self::Anyone, _) => Match::yes(),
            (Self::Service(service), Caller::Service(caller)) => Match::from(service == caller),
            // The short form means the partition of the key, whichever that is.
            (
                Self::Account {
                    partition: Some(own),
                    ..
                },
                caller,
            ) if caller.partition().is_some_and(|other| other != own) => Match::no(),
            (
                Self::Account { account, .. },
                Caller::Root {
                    account: caller, ..
                },
            ) => Match::from(account == caller),
            (Self::Account { account, .. }, Caller::Named(arn)) => {
                Match::from(*account == arn.account).delegating()
            }
            (
                Self::Account { account, .. },
                Caller::SomeoneIn {
                    account: caller, ..
                },
            ) => Match::from(account == caller).delegating(),
            (Self::Arn(arn), Caller::Named(caller)) => Match::from(means(arn, caller)),
            // Which role it will be is not known: a named one may be it.
            (Self::Arn(arn), Caller::SomeoneIn { account, .. }) if arn.account == *account => {
                Match::unknown("aws:PrincipalArn")
            }
            _ => Match::no(),
        }
    }
}

/// A role ARN means the role and its sessions; every other ARN means itself. The path of a role is not in its sessions' ARNs.
fn means(named: &Arn, caller: &Arn) -> bool {
    if named == caller {
        return true;
    }
    if named.account != caller.account || named.partition != caller.partition {
        return false;
    }
    let session = (caller.service == "sts")
        .then(|| caller.resource.strip_prefix("assumed-role/"))
        .flatten();
    let role = (named.service == "iam")
        .then(|| named.resource.strip_prefix("role/"))
        .flatten();
    match (role, session.and_then(|session| session.split_once('/'))) {
        (Some(role), Some((of, _))) => role.rsplit('/').next() == Some(of),
        _ => false,
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("*"),
            Self::Account { partition, account } => {
                write!(
                    f,
                    "arn:{}:iam::{account}:root",
                    partition.as_deref().unwrap_or("aws")
                )
            }
            Self::Arn(arn) => arn.fmt(f),
            Self::Deleted(text)
            | Self::Service(text)
            | Self::Federated(text)
            | Self::CanonicalUser(text) => f.write_str(text),
        }
    }
}

/// The principal that makes a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The root user of an account.
    Root {
        /// The partition of the caller's ARN: `aws`.
        partition: String,
        /// The 12 digits of the caller's account.
        account: String,
    },
    /// A role, user or session.
    Named(Arn),
    /// Some principal of an account; which one is not known.
    SomeoneIn {
        /// The partition of the principal's ARN: `aws`.
        partition: String,
        /// The 12 digits of the account that has the principal.
        account: String,
    },
    /// An AWS service.
    Service(String),
}

impl Caller {
    /// Reads an ARN, an account ID, or the name of a service.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn parse(text: &str) -> Result<Self, PrincipalError> {
        match Principal::aws(text) {
            Ok(Principal::Account { partition, account }) => Ok(Self::Root {
                partition: partition.unwrap_or_else(|| "aws".to_owned()),
                account,
            }),
            Ok(Principal::Arn(arn)) => Ok(Self::Named(arn)),
            _ if text.contains('.') && !text.contains([':', '*', '/']) => {
                Ok(Self::Service(text.to_owned()))
            }
            _ => Err(PrincipalError(text.to_owned())),
        }
    }

    /// The caller's partition, which services do not have.
    pub fn partition(&self) -> Option<&str> {
        match self {
            Self::Root { partition, .. } | Self::SomeoneIn { partition, .. } => Some(partition),
            Self::Named(arn) => Some(&arn.partition),
            Self::Service(_) => None,
        }
    }

    /// The caller's account, which services do not have.
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Root { account, .. } | Self::SomeoneIn { account, .. } => Some(account),
            Self::Named(arn) => Some(&arn.account),
            Self::Service(_) => None,
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root { partition, account } | Self::SomeoneIn { partition, account } => {
                write!(f, "arn:{partition}:iam::{account}:root")
            }
            Self::Named(arn) => arn.fmt(f),
            Self::Service(service) => f.write_str(service),
        }
    }
}
