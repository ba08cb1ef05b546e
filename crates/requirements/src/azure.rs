//! What Azure Databricks needs of a key: which feature uses it, as whom, and what that principal must be able to do. As data.
//!
//! Sources: the Azure Databricks documentation of customer-managed keys (managed services, managed disks, DBFS root); Azure built-in
//! roles ("Key Vault Crypto Service Encryption User"); Managed HSM local RBAC built-in roles.

use vocabulary::azure::PrincipalId;
use vocabulary::{KeyUse, UseCase};

/// The application of Azure Databricks in Microsoft Entra ID; its object ID differs in each tenant.
pub const AZURE_DATABRICKS: &str = vocabulary::azure::DATABRICKS_APPLICATION;
/// The role "Key Vault Crypto Service Encryption User".
pub const ENCRYPTION_USER: &str = "e147488a-f6f5-4113-8e2d-b22465e65bf6";
/// The local role "Managed HSM Crypto Service Encryption User".
pub const HSM_ENCRYPTION_USER: &str = "33413926-3206-4cdd-b39a-83574fe37a17";
/// The permissions on keys that an access policy must have.
pub const PERMISSIONS: [&str; 3] = ["get", "wrapKey", "unwrapKey"];
/// The data actions that a role must have.
pub const DATA_ACTIONS: [&str; 3] = [
    "Microsoft.KeyVault/vaults/keys/read",
    "Microsoft.KeyVault/vaults/keys/wrap/action",
    "Microsoft.KeyVault/vaults/keys/unwrap/action",
];

/// What happens to a workspace whose key for a use case cannot be used. Source: Azure Databricks documentation, "Revoke access to the
/// key"; Azure Storage and Azure Disk Storage documentation.
pub fn without_it(case: UseCase) -> &'static str {
    match case {
        UseCase::ManagedServices => {
            "Databricks cannot read or write notebooks, secrets and queries"
        }
        UseCase::ManagedDisks => "clusters do not start, and running virtual machines shut down",
        UseCase::Storage => "the storage account of the workspace answers every request with 403",
    }
}

/// Whether Azure requires the vault in the region of the workspace. Source: Azure documentation, "Server-side encryption of Azure
/// managed disks", "Restrictions".
pub fn needs_same_region(case: UseCase) -> bool {
    case == UseCase::ManagedDisks
}

/// The sizes of RSA keys in bits that a use case takes; any size where the documentation names none. Source: the same.
pub fn sizes(case: UseCase) -> Option<&'static [u32]> {
    match case {
        UseCase::ManagedDisks => Some(&[2048, 3072, 4096]),
        UseCase::ManagedServices | UseCase::Storage => None,
    }
}

/// What becomes of a use case when the vault makes a new version of the key and the configuration names none. A workspace pins a version;
/// only managed disks with `rotate_managed_disks_to_latest_version` move by themselves. Source: Microsoft.Databricks REST API
/// (`keyVersion`, `rotationToLatestKeyVersionEnabled`).
pub fn follows_new_versions(case: UseCase, rotates_disks: bool) -> bool {
    case == UseCase::ManagedDisks && rotates_disks
}

/// How long the former key, or version, is needed after a workspace has moved to another one. Sources: Azure Databricks documentation of
/// customer-managed keys (managed services); Azure documentation, "Server-side encryption of Azure Disk Storage" (a disk keeps the version
/// with which it was encrypted); Azure Storage documentation, "Customer-managed keys".
pub fn former_is_needed(case: UseCase) -> &'static str {
    match case {
        UseCase::ManagedServices => "for 24 hours",
        UseCase::ManagedDisks => "as long as old disks exist",
        UseCase::Storage => "until the storage account uses the new one, at least 24 hours",
    }
}

/// What happens without the key for any use of it. Source: Azure Storage documentation, "Customer-managed keys", "Revoke access".
pub fn without_it_for(use_of: KeyUse) -> &'static str {
    match use_of {
        KeyUse::Workspace(case) => without_it(case),
        KeyUse::UnityCatalog => {
            "the storage account answers every request with 403, and nobody can read or write its tables"
        }
    }
}

/// Who uses the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The application AzureDatabricks.
    AzureDatabricks,
    /// The identity of the workspace's storage account.
    StorageAccount,
    /// The identity of the disk encryption set.
    DiskEncryptionSet,
    /// The identity of a storage account in which Unity Catalog keeps tables.
    TableStorage,
}

impl Role {
    /// The name in texts for people.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::AzureDatabricks => "the application AzureDatabricks",
            Self::StorageAccount => "the identity of the workspace's storage account",
            Self::DiskEncryptionSet => "the identity of the disk encryption set",
            Self::TableStorage => "the identity of a storage account with tables",
        }
    }

    /// A principal in this role by its name, with its object id: to begin a sentence, or in a list.
    pub fn named(self, principal: &PrincipalId) -> String {
        let name = match self {
            Self::AzureDatabricks => "AzureDatabricks",
            Self::StorageAccount => "The identity of the workspace's storage account",
            Self::DiskEncryptionSet => "The identity of the disk encryption set",
            Self::TableStorage => "The identity of a storage account with tables",
        };
        format!("{name} (`{principal}`)")
    }
}

/// A principal that needs the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grantee {
    /// Which identity of the workspace or of Databricks it is.
    pub role: Role,
    /// The object ID of the principal.
    pub principal: PrincipalId,
    /// The data for which it needs the key.
    pub case: KeyUse,
}

impl Grantee {
    /// The identities of storage accounts in which Unity Catalog keeps tables.
    pub fn of_tables(principals: impl IntoIterator<Item = PrincipalId>) -> Vec<Self> {
        let each = principals.into_iter().map(|principal| Self {
            role: Role::TableStorage,
            principal,
            case: KeyUse::UnityCatalog,
        });
        each.collect()
    }

    /// The principal by its role, with its object ID.
    pub fn in_words(&self) -> String {
        self.role.named(&self.principal)
    }
}

/// In which roles principals need the key for a use case, before it is set. The disk encryption set exists only after managed disks got a
/// key: it is granted then.
pub fn roles_before(case: UseCase) -> &'static [Role] {
    match case {
        UseCase::ManagedServices | UseCase::ManagedDisks => &[Role::AzureDatabricks],
        UseCase::Storage => &[Role::StorageAccount],
    }
}

/// In which roles principals need the key for a use case once it is set.
pub fn roles_of(case: UseCase) -> &'static [Role] {
    match case {
        UseCase::ManagedServices => &[Role::AzureDatabricks],
        UseCase::ManagedDisks => &[Role::AzureDatabricks, Role::DiskEncryptionSet],
        UseCase::Storage => &[Role::StorageAccount],
    }
}

/// What a built-in role lets do with keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Read the key.
    pub read: bool,
    /// Wrap a data key: Azure encrypts new data so.
    pub wrap: bool,
    /// Unwrap a data key: Azure reads data so.
    pub unwrap: bool,
}

impl Rights {
    /// Neither of the three.
    pub const NONE: Self = Self {
        read: false,
        wrap: false,
        unwrap: false,
    };
    /// To read alone.
    pub const READ: Self = Self {
        read: true,
        wrap: false,
        unwrap: false,
    };
    /// All three.
    pub const ALL: Self = Self {
        read: true,
        wrap: true,
        unwrap: true,
    };

    /// Whether all three are there.
    pub fn are_enough(self) -> bool {
        self == Self::ALL
    }

    /// The union of two sets of rights.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            read: self.read || other.read,
            wrap: self.wrap || other.wrap,
            unwrap: self.unwrap || other.unwrap,
        }
    }
}

/// A built-in role: its ID, its name, and what it lets do with keys. Source: Azure built-in roles, "Security" and "General"; Managed HSM
/// local RBAC built-in roles.
const ROLES: [(&str, &str, Rights); 14] = [
    (
        ENCRYPTION_USER,
        "Key Vault Crypto Service Encryption User",
        Rights::ALL,
    ),
    (
        "12338af0-0e69-4776-bea7-57ae8d297424",
        "Key Vault Crypto User",
        Rights::ALL,
    ),
    (
        "14b46e9e-c2b7-41b4-b07b-48a6ebf60603",
        "Key Vault Crypto Officer",
        Rights::ALL,
    ),
    (
        "00482a5a-887f-4fb3-b363-3b7fe8e74483",
        "Key Vault Administrator",
        Rights::ALL,
    ),
    (
        "21090545-7ca7-4776-b22c-e363652d74d2",
        "Key Vault Reader",
        Rights::READ,
    ),
    (
        "4633458b-17de-408a-b874-0445c86b69e6",
        "Key Vault Secrets User",
        Rights::NONE,
    ),
    (
        "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
        "Key Vault Secrets Officer",
        Rights::NONE,
    ),
    (
        "f25e0fa2-a7c8-4377-a976-54943a77a395",
        "Key Vault Contributor",
        Rights::NONE,
    ),
    (
        "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
        "Owner",
        Rights::NONE,
    ),
    (
        "b24988ac-6180-42a0-ab88-20f7382dd24c",
        "Contributor",
        Rights::NONE,
    ),
    (
        "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
        "User Access Administrator",
        Rights::NONE,
    ),
    (
        "acdd72a7-3385-48ef-bd42-f606fba81ae7",
        "Reader",
        Rights::NONE,
    ),
    (
        HSM_ENCRYPTION_USER,
        "Managed HSM Crypto Service Encryption User",
        Rights::ALL,
    ),
    (
        "2c18b078-7c48-4d3a-af88-5a3a1b3f82b3",
        "Managed HSM Crypto Auditor",
        Rights::READ,
    ),
];

/// The rights of a built-in role, by its ID in lower case; `None` for one that this table does not know, such as a custom role.
pub fn rights_of(role: &str) -> Option<Rights> {
    ROLES.iter().find(|(id, ..)| *id == role).map(|one| one.2)
}

/// The name of a built-in role, by its ID in lower case.
pub fn role_name(role: &str) -> Option<&'static str> {
    ROLES.iter().find(|(id, ..)| *id == role).map(|one| one.1)
}

/// What the data actions of a role definition let do with keys: `*` stands for any part, and what `not` names is taken out. Source: Azure
/// RBAC documentation, "Understand Azure role definitions".
pub fn rights_by_actions<'a>(
    allowed: impl Iterator<Item = &'a str> + Clone,
    not: impl Iterator<Item = &'a str> + Clone,
) -> Rights {
    let has = |action: &str| {
        allowed.clone().any(|pattern| fits(pattern, action))
            && !not.clone().any(|pattern| fits(pattern, action))
    };
    let [read, wrap, unwrap] = DATA_ACTIONS;
    Rights {
        read: has(read),
        wrap: has(wrap),
        unwrap: has(unwrap),
    }
}

/// Whether an action is one of those that a pattern means; neither is case-sensitive.
pub fn fits(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.to_ascii_lowercase(), action.to_ascii_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| action.strip_prefix(first)) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(last)
}

/// What the permissions of an access policy let do with keys. Source: Key Vault REST API, access policies ("all" stands for each).
pub fn rights_by_policy<'a>(permissions: impl Iterator<Item = &'a str>) -> Rights {
    permissions.fold(Rights::NONE, |rights, permission| {
        let is = |word: &str| {
            permission.eq_ignore_ascii_case(word) || permission.eq_ignore_ascii_case("all")
        };
        rights.and(Rights {
            read: is("get"),
            wrap: is("wrapKey"),
            unwrap: is("unwrapKey"),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grants_everything_and_what_does_not() {
        assert!(rights_of(ENCRYPTION_USER).is_some_and(Rights::are_enough));
        assert!(rights_of("b24988ac-6180-42a0-ab88-20f7382dd24c") == Some(Rights::NONE));
        assert_eq!(rights_of("00000000-0000-0000-0000-000000000000"), None);
        assert!(rights_by_policy(PERMISSIONS.into_iter()).are_enough());
        assert!(rights_by_policy(["Get", "WRAPKEY", "unwrapkey"].into_iter()).are_enough());
        assert!(rights_by_policy(["all"].into_iter()).are_enough());
        assert!(!rights_by_policy(["get", "wrapKey"].into_iter()).are_enough());
        let all = ["Microsoft.KeyVault/vaults/keys/*"];
        let none: [&str; 0] = [];
        assert!(rights_by_actions(all.into_iter(), none.into_iter()).are_enough());
        let without = ["microsoft.keyvault/vaults/keys/unwrap/action"];
        assert!(!rights_by_actions(all.into_iter(), without.into_iter()).are_enough());
        for (pattern, action, expected) in [
            ("*", "a/b", true),
            ("a/*/c", "a/b/c", true),
            ("a/*", "b/a/c", false),
            ("a/b", "a/b/c", false),
            ("*/read", "x/y/READ", true),
            ("a*b*c", "a-c", false),
            ("ab*bc", "abc", false),
        ] {
            assert_eq!(fits(pattern, action), expected, "{pattern} {action}");
        }
        assert_eq!(roles_before(UseCase::Storage), [Role::StorageAccount]);
    }
}
