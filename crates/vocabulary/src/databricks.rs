//! Databricks' words: accounts, workspaces, key configurations, use cases.

use std::fmt;
use std::str::FromStr;

use super::textual;

/// Why a text is not the ID that a type expects.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}{hint}")]
pub struct IdError {
    text: String,
    expected: &'static str,
    hint: String,
}

pub(super) fn is_uuid(text: &str) -> bool {
    text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
        && text
            .bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

fn uuid(text: &str, expected: &'static str, hint: &str) -> Result<String, IdError> {
    if is_uuid(text) && !text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Ok(text.to_owned());
    }
    let hint = match text.split_once('/') {
        // Databricks writes its IDs in lower case, and condition values in a key policy are case-sensitive.
        _ if is_uuid(text) => format!(
            " as Databricks writes it. Write it in lower case: `{}`",
            text.to_ascii_lowercase()
        ),
        // The databricks/databricks provider uses `account/uuid` as the ID of its resources.
        Some((account, id)) if is_uuid(account) && is_uuid(id) => {
            format!(
                ": it is an account ID and an ID with a slash between them. Use the part behind the slash: `{id}`"
            )
        }
        _ => format!("; {hint}"),
    };
    Err(IdError {
        text: text.to_owned(),
        expected,
        hint,
    })
}

const UUID_HINT: &str = "it is a UUID such as `2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11`";

/// A Databricks account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(String);

impl AccountId {
    /// An ID that no account has, to ask what a policy would let a stranger do.
    pub fn nobody() -> Self {
        Self("00000000-0000-0000-0000-000000000000".to_owned())
    }

    /// The ID as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        uuid(
            text,
            "a Databricks account ID",
            &format!("{UUID_HINT}, shown in the account console under your user name"),
        )
        .map(Self)
    }
}

/// An encryption key configuration of a Databricks account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyConfigurationId(String);

impl KeyConfigurationId {
    /// The ID as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyConfigurationId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let hint = if text.starts_with("arn:") || text.starts_with("projects/") {
            "it is the name of a key. Refer to the key configuration of that key: `dbxcmk_key_configuration.….id`"
        } else {
            "it is a UUID such as `7d0b9f34-52c6-4e1b-8a90-1f2e3d4c5b6a`. Refer to it as `dbxcmk_key_configuration.….id`, or find it in the \
             account console under Cloud resources > Encryption keys"
        };
        uuid(text, "the ID of a key configuration", hint).map(Self)
    }
}

/// The key configuration that a workspace shows for a use case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AttachedKey {
    /// The workspace shows no key configuration.
    #[default]
    None,
    /// The workspace shows this key configuration.
    Known(KeyConfigurationId),
    /// Something that is not the ID of a key configuration, as it came. It is not the same as none.
    Unreadable(String),
}

impl AttachedKey {
    /// What an API shows: nothing, an ID, or something else.
    pub fn of(shown: Option<&str>) -> Self {
        match shown {
            None | Some("") => Self::None,
            Some(text) => text
                .parse()
                .map_or_else(|_| Self::Unreadable(text.to_owned()), Self::Known),
        }
    }

    /// The ID, when it can be read.
    pub fn known(&self) -> Option<&KeyConfigurationId> {
        match self {
            Self::Known(id) => Some(id),
            Self::None | Self::Unreadable(_) => None,
        }
    }
}

impl fmt::Display for AttachedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Known(id) => id.fmt(f),
            Self::Unreadable(text) => {
                write!(f, "`{text}`, which is not the ID of a key configuration")
            }
        }
    }
}

/// A workspace: a number that is written as text, since it may exceed what JSON readers keep exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkspaceId(u64);

impl WorkspaceId {
    /// The number, as paths of the API have it.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl From<u64> for WorkspaceId {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl FromStr for WorkspaceId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let number = text
            .parse()
            .ok()
            .filter(|number| *number > 0 && *number <= i64::MAX as u64);
        match number {
            Some(number) if !text.starts_with(['0', '+']) => Ok(Self(number)),
            _ => {
                let hint = match text.split_once('/') {
                    Some((account, id)) if is_uuid(account) => {
                        format!(
                            ": it is an account ID and an ID with a slash between them. Use the part behind the slash: `{id}`"
                        )
                    }
                    _ => "; it is a number such as `1234567890123456`, shown in the workspace's URL as `?o=…`".to_owned(),
                };
                Err(IdError {
                    text: text.to_owned(),
                    expected: "a workspace ID",
                    hint,
                })
            }
        }
    }
}

/// What a key is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UseCase {
    /// Notebooks, secrets, queries and the like, in Databricks' control plane.
    ManagedServices,
    /// The workspace's storage: its root bucket and the disks of its classic compute; on Azure its storage account ("DBFS root").
    Storage,
    /// The managed disks of classic compute. Only on Azure, where they have a key of their own.
    ManagedDisks,
}

impl UseCase {
    /// Every variant, in the order of their declaration.
    pub const ALL: [Self; 3] = [Self::ManagedServices, Self::Storage, Self::ManagedDisks];
    /// Those that a Databricks account knows, in the order of its API's documentation: AWS and Google Cloud.
    pub const ACCOUNT: [Self; 2] = [Self::ManagedServices, Self::Storage];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::ManagedServices => "MANAGED_SERVICES",
            Self::Storage => "STORAGE",
            Self::ManagedDisks => "MANAGED_DISKS",
        }
    }

    /// The attribute of a `dbxcmk_workspace_binding` that names the key for it.
    pub fn attribute(self) -> &'static str {
        match self {
            Self::ManagedServices => "managed_services_key_configuration_id",
            Self::Storage => "storage_key_configuration_id",
            Self::ManagedDisks => "managed_disks_key_configuration_id",
        }
    }

    /// The name in texts for people.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::ManagedServices => "managed services",
            Self::Storage => "workspace storage",
            Self::ManagedDisks => "managed disks",
        }
    }
}

/// The data for which Databricks may use a key: a use case of workspaces, or tables of Unity Catalog, whose buckets have the key and no workspace
/// does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyUse {
    /// What a workspace attaches a key for.
    Workspace(UseCase),
    /// Tables of Unity Catalog in storage of the customer's that has the key by default.
    UnityCatalog,
}

impl KeyUse {
    /// Its name, as `use_cases` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Workspace(case) => case.name(),
            Self::UnityCatalog => "UNITY_CATALOG",
        }
    }

    /// The name in texts for people.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Workspace(case) => case.in_words(),
            Self::UnityCatalog => "tables of Unity Catalog",
        }
    }

    /// The use case of workspaces, if it is one.
    pub fn of_workspace(self) -> Option<UseCase> {
        match self {
            Self::Workspace(case) => Some(case),
            Self::UnityCatalog => None,
        }
    }
}

impl From<UseCase> for KeyUse {
    fn from(case: UseCase) -> Self {
        Self::Workspace(case)
    }
}

impl FromStr for KeyUse {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if text == Self::UnityCatalog.name() {
            return Ok(Self::UnityCatalog);
        }
        let hint = match text.to_ascii_uppercase().as_str() {
            "TABLES" | "CATALOG" | "UC" | "UNITY_CATALOG" => "; write `UNITY_CATALOG`",
            _ => return text.parse().map(Self::Workspace),
        };
        Err(IdError {
            text: text.to_owned(),
            expected: "a use case",
            hint: hint.to_owned(),
        })
    }
}

impl fmt::Display for KeyUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for UseCase {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::ALL.into_iter().find(|case| case.name() == text).ok_or_else(|| {
            let hint = match text.to_ascii_uppercase().as_str() {
                "MANAGED" | "NOTEBOOKS" | "MANAGED_SERVICES" => "; write `MANAGED_SERVICES`",
                "STORAGE" | "DBFS" | "EBS" | "WORKSPACE_STORAGE" => {
                    "; write `STORAGE` (cluster volumes are part of it, through `reuse_key_for_cluster_volumes`)"
                }
                "UNITY_CATALOG" | "TABLES" => {
                    " of a workspace: tables of Unity Catalog need no key configuration, only `UNITY_CATALOG` in a `dbxcmk_key_policy`"
                }
                "DISKS" | "MANAGED_DISK" => "; write `MANAGED_DISKS` (only on Azure)",
                _ => "; there are `MANAGED_SERVICES` and `STORAGE`, and on Azure `MANAGED_DISKS`",
            };
            IdError { text: text.to_owned(), expected: "a use case", hint: hint.to_owned() }
        })
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for KeyConfigurationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for WorkspaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for UseCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

textual!(AccountId, KeyConfigurationId, KeyUse, UseCase);

impl serde::Serialize for WorkspaceId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// From text or from a number: the account API and databricks/databricks write it as a number, Terraform as text.
impl<'de> serde::Deserialize<'de> for WorkspaceId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => text.parse().map_err(serde::de::Error::custom),
            serde_json::Value::Number(number) => {
                number.to_string().parse().map_err(serde::de::Error::custom)
            }
            other => Err(serde::de::Error::custom(format!(
                "`{other}` is not a workspace ID"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11";

    #[test]
    fn an_id_in_upper_case_is_told_how_to_write_it() {
        assert_eq!(
            ID.parse::<AccountId>().as_ref().map(AccountId::as_str),
            Ok(ID)
        );
        let message = ID
            .to_ascii_uppercase()
            .parse::<AccountId>()
            .expect_err("upper case")
            .to_string();
        assert!(
            message.ends_with(&format!("Write it in lower case: `{ID}`")),
            "{message}"
        );
    }

    #[test]
    fn the_peers_compound_id_is_recognised() {
        let message = format!("{ID}/{ID}")
            .parse::<KeyConfigurationId>()
            .expect_err("compound")
            .to_string();
        assert!(
            message.ends_with(&format!("Use the part behind the slash: `{ID}`")),
            "{message}"
        );
        let message = format!("{ID}/1234")
            .parse::<WorkspaceId>()
            .expect_err("compound")
            .to_string();
        assert!(
            message.ends_with("Use the part behind the slash: `1234`"),
            "{message}"
        );
    }

    #[test]
    fn a_workspace_id_is_a_positive_number() {
        assert_eq!(
            "1234567890123456"
                .parse::<WorkspaceId>()
                .map(WorkspaceId::number),
            Ok(1_234_567_890_123_456)
        );
        for text in [
            "",
            "0",
            "-1",
            "+5",
            "007",
            "12 ",
            "abc",
            "99999999999999999999",
        ] {
            assert!(text.parse::<WorkspaceId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_workspace_id_is_read_from_a_number_and_from_text() {
        for json in ["1234567890123456", "\"1234567890123456\""] {
            assert_eq!(
                serde_json::from_str::<WorkspaceId>(json)
                    .ok()
                    .map(WorkspaceId::number),
                Some(1_234_567_890_123_456)
            );
        }
        for json in ["1.5", "-1", "true", "null", "\"x\"", "99999999999999999999"] {
            assert!(serde_json::from_str::<WorkspaceId>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn what_is_not_an_id_is_not_the_same_as_none() {
        assert_eq!(AttachedKey::of(None), AttachedKey::None);
        assert_eq!(AttachedKey::of(Some("")), AttachedKey::None);
        assert_eq!(
            AttachedKey::of(Some(ID))
                .known()
                .map(KeyConfigurationId::as_str),
            Some(ID)
        );
        assert_eq!(
            AttachedKey::of(Some("cmk-1")),
            AttachedKey::Unreadable("cmk-1".to_owned())
        );
    }

    #[test]
    fn a_use_case_is_one_of_two_and_old_names_are_explained() {
        assert_eq!("STORAGE".parse::<UseCase>(), Ok(UseCase::Storage));
        let message = "NOTEBOOKS".parse::<UseCase>().expect_err("old").to_string();
        assert_eq!(
            message,
            "`NOTEBOOKS` is not a use case; write `MANAGED_SERVICES`"
        );
    }
}
