//! Names of Azure: keys of Key Vault and Managed HSM, resources of Azure Resource Manager, principals.

use std::fmt;
use std::str::FromStr;

use super::databricks::is_uuid;
use super::textual;

/// Text that is not the name that was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}{hint}")]
pub struct AzureNameError {
    text: String,
    expected: &'static str,
    hint: String,
}

impl AzureNameError {
    fn new(text: &str, expected: &'static str, hint: impl Into<String>) -> Self {
        Self {
            text: text.to_owned(),
            expected,
            hint: hint.into(),
        }
    }
}

/// Equality and order by what a name means, and not by how it is written.
macro_rules! by_meaning {
    ($ty:ty) => {
        impl PartialEq for $ty {
            fn eq(&self, other: &Self) -> bool {
                self.meaning() == other.meaning()
            }
        }

        impl Eq for $ty {}

        impl PartialOrd for $ty {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $ty {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.meaning().cmp(&other.meaning())
            }
        }

        impl std::hash::Hash for $ty {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                self.meaning().hash(state);
            }
        }
    };
}

/// Which service keeps a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VaultKind {
    /// A vault of Azure Key Vault.
    KeyVault,
    /// A pool of Azure Managed HSM.
    ManagedHsm,
}

/// The domains of vaults and HSMs in each cloud of Microsoft. Source: Azure documentation, "Azure Key Vault keys, secrets and
/// certificates", "DNS suffixes for object identifiers".
const DOMAINS: [(&str, VaultKind); 6] = [
    ("vault.azure.net", VaultKind::KeyVault),
    ("vault.usgovcloudapi.net", VaultKind::KeyVault),
    ("vault.azure.cn", VaultKind::KeyVault),
    ("managedhsm.azure.net", VaultKind::ManagedHsm),
    ("managedhsm.usgovcloudapi.net", VaultKind::ManagedHsm),
    ("managedhsm.azure.cn", VaultKind::ManagedHsm),
];

/// The identifier of a key: `https://VAULT.vault.azure.net/keys/NAME`, with or without `/VERSION`. None of its parts is case-sensitive; it
/// is shown as it was written.
#[derive(Clone, Debug)]
pub struct VaultKeyId {
    vault: String,
    domain: &'static str,
    kind: VaultKind,
    name: String,
    version: Option<String>,
    written: Option<String>,
}

by_meaning!(VaultKeyId);

const KEY: &str = "the identifier of a key in Key Vault or Managed HSM";

impl VaultKeyId {
    /// The name of the vault or HSM.
    pub fn vault(&self) -> &str {
        &self.vault
    }

    /// The host of the vault: `VAULT.vault.azure.net`.
    pub fn host(&self) -> String {
        format!("{}.{}", self.vault, self.domain)
    }

    /// The address of the vault, as a workspace has it: `https://VAULT.vault.azure.net/`.
    pub fn vault_uri(&self) -> String {
        format!("https://{}/", self.host())
    }

    /// Which service keeps it.
    pub fn kind(&self) -> VaultKind {
        self.kind
    }

    /// The name of the key in its vault.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version that it names, if it names one.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// How it reads, whatever way it was written.
    pub(super) fn canonical(&self) -> String {
        let slash = if self.version.is_some() { "/" } else { "" };
        format!(
            "https://{}/keys/{}{slash}{}",
            self.host(),
            self.name,
            self.version.as_deref().unwrap_or_default()
        )
    }

    fn meaning(&self) -> String {
        self.canonical().to_ascii_lowercase()
    }

    /// The same key, whichever version.
    #[must_use]
    pub fn versionless(&self) -> Self {
        Self {
            version: None,
            written: None,
            ..self.clone()
        }
    }

    /// A version of the same key.
    #[must_use]
    pub fn with_version(&self, version: &str) -> Self {
        Self {
            version: Some(version.to_owned()),
            written: None,
            ..self.clone()
        }
    }

    /// The vault of a key, whichever of its keys: an identifier that is the same for all of them, and that no key has.
    #[must_use]
    pub fn any_of(key: &Self) -> Self {
        Self {
            name: String::new(),
            version: None,
            written: None,
            ..key.clone()
        }
    }

    /// Whether two identifiers name the same key, whatever their versions.
    pub fn is_same_key(&self, other: &Self) -> bool {
        self.versionless() == other.versionless()
    }
}

/// Names of keys: letters, digits and `-`, 127 at most. Source: Key Vault REST API, CreateKey.
fn is_key_name(text: &str) -> bool {
    (1..=127).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn is_version(text: &str) -> bool {
    text.len() == 32 && text.chars().all(|c| c.is_ascii_hexdigit())
}

impl FromStr for VaultKeyId {
    type Err = AzureNameError;

    fn from_str(text: &str) -> Result<Self, AzureNameError> {
        let odd = |hint: &str| AzureNameError::new(text, KEY, hint);
        const FORM: &str =
            "; expected https://VAULT.vault.azure.net/keys/NAME or …/keys/NAME/VERSION";
        if text.starts_with("/subscriptions/") {
            return Err(odd(
                ": it is a resource ID of Azure Resource Manager. Use the identifier of the key (`azurerm_key_vault_key.….id`)",
            ));
        }
        let Some(rest) = text.strip_prefix("https://") else {
            return Err(odd(FORM));
        };
        let parts: Vec<&str> = rest.trim_end_matches('/').split('/').collect();
        let (host, name, version) = match parts.as_slice() {
            [host, "keys", name] => (*host, *name, None),
            [host, "keys", name, version] => (*host, *name, Some(*version)),
            [_, kind @ ("secrets" | "certificates"), ..] => {
                return Err(odd(&format!(": it names one of the {kind}, not a key")));
            }
            _ => return Err(odd(FORM)),
        };
        let host = host
            .strip_suffix(":443")
            .unwrap_or(host)
            .to_ascii_lowercase();
        let found = DOMAINS.iter().find_map(|(domain, kind)| {
            let vault = host.strip_suffix(domain)?.strip_suffix('.')?;
            Some((vault, *domain, *kind))
        });
        let Some((vault, domain, kind)) = found else {
            return Err(odd(": its host is not that of a vault or a Managed HSM"));
        };
        if vault.is_empty() || !vault.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(odd(": the name of its vault is not valid"));
        }
        if !is_key_name(name) {
            return Err(odd(": names of keys have 1 to 127 letters, digits and `-`"));
        }
        if version.is_some_and(|version| !is_version(version)) {
            return Err(odd(": a version has 32 hexadecimal digits"));
        }
        Ok(Self {
            vault: vault.to_owned(),
            domain,
            kind,
            name: name.to_owned(),
            version: version.map(str::to_owned),
            written: Some(text.to_owned()),
        })
    }
}

impl fmt::Display for VaultKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.written {
            Some(written) => f.write_str(written),
            None => f.write_str(&self.canonical()),
        }
    }
}

/// A resource of Azure Resource Manager: `/subscriptions/S/resourceGroups/G/providers/NAMESPACE/TYPE/NAME`. Everything in it but the
/// subscription is not case-sensitive; it is shown as it was written, and compared without regard to case.
#[derive(Clone, Debug)]
pub struct ResourceId {
    subscription: String,
    group: String,
    kind: String,
    name: String,
    written: String,
}

by_meaning!(ResourceId);

impl ResourceId {
    /// The UUID of the subscription.
    pub fn subscription(&self) -> &str {
        &self.subscription
    }

    /// The name of the resource group, in the case in which the user wrote it.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// The namespace and type: `Microsoft.KeyVault/vaults`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The last part, which names the resource in its group.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn meaning(&self) -> String {
        let own = format!(
            "{}/{}/{}/{}",
            self.subscription, self.group, self.kind, self.name
        );
        own.to_ascii_lowercase()
    }

    fn of_kind(text: &str, expected: &'static str, kinds: &[&str]) -> Result<Self, AzureNameError> {
        let odd = |hint: String| AzureNameError::new(text, expected, hint);
        let form = || {
            let kind = kinds.first().copied().unwrap_or_default();
            format!("; expected /subscriptions/…/resourceGroups/…/providers/{kind}/NAME")
        };
        let parts: Vec<&str> = text.trim_end_matches('/').split('/').collect();
        let [
            "",
            subscriptions,
            subscription,
            groups,
            group,
            providers,
            namespace,
            kind,
            name,
        ] = parts.as_slice()
        else {
            return Err(odd(form()));
        };
        let is_word = |text: &str, word: &str| text.eq_ignore_ascii_case(word);
        if !is_word(subscriptions, "subscriptions")
            || !is_word(groups, "resourceGroups")
            || !is_word(providers, "providers")
            || [subscription, group, name]
                .iter()
                .any(|part| part.is_empty())
        {
            return Err(odd(form()));
        }
        let own = format!("{namespace}/{kind}");
        let Some(kind) = kinds.iter().find(|kind| is_word(&own, kind)) else {
            return Err(odd(format!(": it is a resource of the type {own}")));
        };
        Ok(Self {
            subscription: (*subscription).to_owned(),
            group: (*group).to_owned(),
            kind: (*kind).to_owned(),
            name: (*name).to_owned(),
            written: text.trim_end_matches('/').to_owned(),
        })
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

macro_rules! resources {
    ($($(#[$doc:meta])* $name:ident $expected:literal $kinds:expr;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name(ResourceId);

            impl $name {
                /// The parts of it.
                pub fn id(&self) -> &ResourceId {
                    &self.0
                }
            }

            impl FromStr for $name {
                type Err = AzureNameError;

                fn from_str(text: &str) -> Result<Self, AzureNameError> {
                    ResourceId::of_kind(text, $expected, &$kinds).map(Self)
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    self.0.fmt(f)
                }
            }
        )*
    };
}

resources! {
    /// The resource ID of a workspace of Azure Databricks.
    WorkspaceResourceId "the resource ID of an Azure Databricks workspace" ["Microsoft.Databricks/workspaces"];
    /// The resource ID of a vault of Key Vault or of a Managed HSM.
    VaultResourceId "the resource ID of a vault or a Managed HSM" ["Microsoft.KeyVault/vaults", "Microsoft.KeyVault/managedHSMs"];
}

impl VaultResourceId {
    /// Which service it is.
    pub fn vault_kind(&self) -> VaultKind {
        match self.0.kind().ends_with("managedHSMs") {
            true => VaultKind::ManagedHsm,
            false => VaultKind::KeyVault,
        }
    }
}

/// The application ID of AzureDatabricks, the same in every tenant. Source: Azure Databricks documentation.
pub const DATABRICKS_APPLICATION: &str = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d";

/// The object ID of a principal in Microsoft Entra ID, shown as it was written.
#[derive(Clone, Debug)]
pub struct PrincipalId(String);

by_meaning!(PrincipalId);

impl PrincipalId {
    fn meaning(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl FromStr for PrincipalId {
    type Err = AzureNameError;

    fn from_str(text: &str) -> Result<Self, AzureNameError> {
        if text.eq_ignore_ascii_case(DATABRICKS_APPLICATION) {
            return Err(AzureNameError::new(
                text,
                "the object ID of a principal",
                format!(
                    ": it is the application ID of AzureDatabricks, which is the same everywhere. Its object ID differs in each tenant: `az ad sp \
                     show --id {DATABRICKS_APPLICATION} --query id --output tsv` shows it"
                ),
            ));
        }
        match is_uuid(text) {
            true => Ok(Self(text.to_owned())),
            false => Err(AzureNameError::new(
                text,
                "the object ID of a principal",
                ", which is a UUID; `az ad sp show --id APPLICATION_ID --query id` shows it",
            )),
        }
    }
}

impl fmt::Display for PrincipalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

textual!(
    VaultKeyId,
    WorkspaceResourceId,
    VaultResourceId,
    PrincipalId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_id_is_not_an_object_id() {
        let refused = "2FF814A6-3304-4ab8-85cb-cd0e6f879c1d".parse::<PrincipalId>();
        assert!(refused.is_err_and(|error| error.to_string().contains("az ad sp show")));
    }

    /// Each row: a text, and the key that it is, or words of the error.
    #[test]
    fn keys_have_a_form() {
        let version = "0123456789abcdef0123456789abcdef";
        let rows = [
            (
                "https://acme.vault.azure.net/keys/lake".to_owned(),
                Ok(("acme", VaultKind::KeyVault, false)),
            ),
            (
                format!("https://Acme.vault.azure.net/keys/lake/{version}"),
                Ok(("acme", VaultKind::KeyVault, true)),
            ),
            (
                "https://acme.managedhsm.usgovcloudapi.net/keys/lake/".to_owned(),
                Ok(("acme", VaultKind::ManagedHsm, false)),
            ),
            (
                "https://acme.vault.azure.net/secrets/lake".to_owned(),
                Err("it names one of the secrets"),
            ),
            (
                "https://acme.example.com/keys/lake".to_owned(),
                Err("its host is not"),
            ),
            (
                "https://acme.vault.azure.net/keys/lake/1".to_owned(),
                Err("32 hexadecimal"),
            ),
            (
                "https://.vault.azure.net/keys/lake".to_owned(),
                Err("the name of its vault"),
            ),
            (
                "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v/keys/k"
                    .to_owned(),
                Err("resource ID"),
            ),
            ("arn:aws:kms:x".to_owned(), Err("expected https://")),
            (String::new(), Err("expected https://")),
        ];
        for (text, expected) in rows {
            match (text.parse::<VaultKeyId>(), expected) {
                (Ok(key), Ok((vault, kind, versioned))) => {
                    assert_eq!(
                        (key.vault(), key.kind(), key.version().is_some()),
                        (vault, kind, versioned),
                        "{text}"
                    );
                    let again: Result<VaultKeyId, _> = key.to_string().parse();
                    assert_eq!(again.as_ref(), Ok(&key));
                    assert!(key.is_same_key(&key.versionless().with_version(version)));
                }
                (Err(error), Err(words)) => {
                    assert!(error.to_string().contains(words), "{text}: {error}");
                }
                (found, expected) => {
                    assert_eq!(found.is_ok(), expected.is_ok(), "{text}: {found:?}");
                }
            }
        }
    }

    #[test]
    fn resources_are_compared_without_regard_to_case() {
        let own: Result<WorkspaceResourceId, _> =
            "/subscriptions/S/resourceGroups/rg/providers/Microsoft.Databricks/workspaces/lake"
                .parse();
        let other: Result<WorkspaceResourceId, _> =
            "/Subscriptions/s/resourcegroups/RG/providers/microsoft.databricks/Workspaces/LAKE/"
                .parse();
        assert!(own.is_ok() && own == other);
        // As it was written, but for a slash at the end.
        assert!(other.is_ok_and(|other| other.to_string().ends_with("/Workspaces/LAKE")));
        let hsm: Result<VaultResourceId, _> =
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/managedHSMs/h".parse();
        assert_eq!(hsm.map(|hsm| hsm.vault_kind()), Ok(VaultKind::ManagedHsm));
        for (text, words) in [
            (
                "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/x",
                "of the type Microsoft.Storage/storageAccounts",
            ),
            ("lake", "expected /subscriptions/"),
            (
                "/subscriptions//resourceGroups/g/providers/Microsoft.Databricks/workspaces/x",
                "expected /subscriptions/",
            ),
        ] {
            let refused = text.parse::<WorkspaceResourceId>();
            assert!(
                refused
                    .as_ref()
                    .is_err_and(|error| error.to_string().contains(words)),
                "{text}: {refused:?}"
            );
        }
    }
}
