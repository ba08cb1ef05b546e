//! Azure: Key Vault and Managed HSM, Azure Resource Manager, Microsoft Graph, over plain REST. The official crates refuse addresses
//! without TLS, have no Resource Manager, no Graph and no local roles of Managed HSM, and do not read the ARM_ environment.

mod arm;
mod caller;
mod errors;
mod graph;
mod hsm;
mod http;
mod names;
mod operations;
mod storage;
mod tokens;
mod vault;
mod workspace;
mod workspaces;

pub use arm::{AccessChange, assignment_name};
pub use caller::OwnPermissions;
pub use errors::{AzureError, TRUST};
pub use operations::{Progress, Tracked};
pub use vault::{DISABLED_TAG, DeletedKey, KeyVersion, VersionChange};
pub use workspace::{ArmWorkspace, WantedKeys};

use std::path::PathBuf;
use std::sync::OnceLock;

use secrecy::SecretString;

use self::tokens::Tokens;
use crate::network::{Http, client, plain};
use crate::vocabulary::azure::{PrincipalId, VaultKeyId, VaultKind};

/// A cloud of Microsoft.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AzureCloud {
    /// Azure itself.
    #[default]
    Public,
    /// `usgovernment`
    UsGovernment,
    /// Azure operated by 21Vianet.
    China,
}

/// The service that a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Audience {
    /// Azure Resource Manager.
    ResourceManager,
    /// Microsoft Graph.
    Graph,
    /// The vaults of Azure Key Vault.
    KeyVault,
    /// The pools of Azure Managed HSM.
    ManagedHsm,
}

impl AzureCloud {
    /// Its parts, whatever the case of the word. Source: hashicorp/azurerm, `environment`.
    pub fn named(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "public" => Some(Self::Public),
            "usgovernment" => Some(Self::UsGovernment),
            "china" => Some(Self::China),
            _ => None,
        }
    }

    /// The word in the configuration: `public`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::UsGovernment => "usgovernment",
            Self::China => "china",
        }
    }

    /// Where tokens are given out.
    pub fn login(self) -> &'static str {
        match self {
            Self::Public => "https://login.microsoftonline.com",
            Self::UsGovernment => "https://login.microsoftonline.us",
            Self::China => "https://login.chinacloudapi.cn",
        }
    }

    /// The address of a service, which is the audience of its tokens as well. Source: Azure documentation, national clouds.
    pub fn address(self, audience: Audience) -> &'static str {
        match (self, audience) {
            (Self::Public, Audience::ResourceManager) => "https://management.azure.com",
            (Self::UsGovernment, Audience::ResourceManager) => {
                "https://management.usgovcloudapi.net"
            }
            (Self::China, Audience::ResourceManager) => "https://management.chinacloudapi.cn",
            (Self::Public, Audience::Graph) => "https://graph.microsoft.com",
            (Self::UsGovernment, Audience::Graph) => "https://graph.microsoft.us",
            (Self::China, Audience::Graph) => "https://microsoftgraph.chinacloudapi.cn",
            (Self::Public, Audience::KeyVault) => "https://vault.azure.net",
            (Self::UsGovernment, Audience::KeyVault) => "https://vault.usgovcloudapi.net",
            (Self::China, Audience::KeyVault) => "https://vault.azure.cn",
            (Self::Public, Audience::ManagedHsm) => "https://managedhsm.azure.net",
            (Self::UsGovernment, Audience::ManagedHsm) => "https://managedhsm.usgovcloudapi.net",
            (Self::China, Audience::ManagedHsm) => "https://managedhsm.azure.cn",
        }
    }
}

/// How the provider proves its identity to Microsoft Entra ID.
#[derive(Clone, Debug)]
pub enum AzureCredential {
    /// A secret of an application.
    ClientSecret(SecretString),
    /// A certificate of an application and its private key (PEM).
    ClientCertificate {
        /// The certificate, DER.
        certificate: Vec<u8>,
        /// Its RSA key, PEM.
        private_key: SecretString,
    },
    /// A token of another provider, as it is.
    OidcToken(SecretString),
    /// The same in a file, read whenever it is needed.
    OidcTokenFile(PathBuf),
    /// The same from a service of the CI system.
    OidcRequest {
        /// Its address.
        url: String,
        /// The bearer token of the job, for that request.
        token: SecretString,
        /// The service connection, on Azure DevOps.
        service_connection: Option<String>,
    },
    /// The identity of this machine.
    ManagedIdentity {
        /// The address of the metadata service, where it is not the usual one.
        endpoint: Option<String>,
    },
    /// The account that is logged in on the Azure command line.
    Cli,
    /// None: what is configured cannot be used, and why.
    Unusable(String),
}

/// How Azure is called.
#[derive(Clone, Debug)]
pub struct AzureSettings {
    /// The cloud, which decides the hosts.
    pub cloud: AzureCloud,
    /// The ID or domain of the tenant; `None` leaves it to the credential.
    pub tenant: Option<String>,
    /// The application, or the user-assigned identity.
    pub client: Option<String>,
    /// The subscription in which the provider searches for vaults, beside that of a workspace.
    pub subscription: Option<String>,
    /// The object ID of the application AzureDatabricks in the tenant; `None` lets the provider ask Microsoft Graph.
    pub databricks_principal: Option<PrincipalId>,
    /// How it proves who it is.
    pub credential: AzureCredential,
    /// Addresses that are not those of the cloud.
    pub resource_manager: Option<String>,
    /// The same for login.
    pub login: Option<String>,
    /// The same for Graph.
    pub graph: Option<String>,
    /// The same for vaults: requests for `https://VAULT.…/PATH` go to `ENDPOINT/VAULT/PATH`.
    pub key_vault: Option<String>,
    /// Certificates that are trusted besides those of the system.
    pub certificates: Vec<reqwest::Certificate>,
}

impl AzureSettings {
    /// The base address of a service that has one, without a slash at its end.
    fn base(&self, audience: Audience) -> String {
        let given = match audience {
            Audience::ResourceManager => &self.resource_manager,
            Audience::Graph => &self.graph,
            Audience::KeyVault | Audience::ManagedHsm => &self.key_vault,
        };
        given
            .as_deref()
            .unwrap_or_else(|| self.cloud.address(audience))
            .trim_end_matches('/')
            .to_owned()
    }

    /// Where a request for an address goes: to the service itself, or to its stand-in. Answers name addresses too (a next page, an operation),
    /// and the client must not send a token to another host.
    ///
    /// # Errors
    /// When the address is not one of the service.
    fn address(&self, audience: Audience, url: &str) -> Result<String, AzureError> {
        let elsewhere = || {
            AzureError::Malformed(format!(
                "`{url}` is not an address of the service that was asked"
            ))
        };
        match audience {
            Audience::ResourceManager | Audience::Graph => {
                let base = self.base(audience);
                let starts = [base.as_str(), self.cloud.address(audience)];
                let rest = starts
                    .iter()
                    .find_map(|start| url.strip_prefix(start).filter(|rest| rest.starts_with('/')));
                rest.map(|rest| format!("{base}{rest}"))
                    .ok_or_else(elsewhere)
            }
            Audience::KeyVault | Audience::ManagedHsm => {
                if let Some(endpoint) = &self.key_vault {
                    let endpoint = endpoint.trim_end_matches('/');
                    if url
                        .strip_prefix(endpoint)
                        .is_some_and(|rest| rest.starts_with('/'))
                    {
                        return Ok(url.to_owned());
                    }
                }
                let rest = url.strip_prefix("https://").ok_or_else(elsewhere)?;
                let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
                let domain = self.cloud.address(audience).trim_start_matches("https://");
                let vault = host
                    .strip_suffix(":443")
                    .unwrap_or(host)
                    .strip_suffix(domain)
                    .and_then(|vault| vault.strip_suffix('.'))
                    .filter(|vault| !vault.contains(['.', '@', ':']))
                    .ok_or_else(elsewhere)?;
                Ok(match &self.key_vault {
                    Some(endpoint) => {
                        format!("{}/{vault}/{path}", endpoint.trim_end_matches('/'))
                    }
                    None => url.to_owned(),
                })
            }
        }
    }
}

struct Connection {
    http: Http,
    tokens: Tokens,
}

/// Azure, as one provider configuration sees it. Nothing is built before it is needed.
pub struct Azure {
    settings: AzureSettings,
    connection: OnceLock<Result<Connection, AzureError>>,
}

impl Azure {
    /// How it is called.
    pub fn settings(&self) -> &AzureSettings {
        &self.settings
    }

    /// Whether the vault of a key is in the cloud that is configured.
    pub fn is_cloud_of(&self, key: &VaultKeyId) -> bool {
        let audience = match key.kind() {
            VaultKind::KeyVault => Audience::KeyVault,
            VaultKind::ManagedHsm => Audience::ManagedHsm,
        };
        let domain = self.settings.cloud.address(audience);
        key.host().ends_with(domain.trim_start_matches("https://"))
    }

    /// A client that has called no service yet.
    pub fn new(settings: AzureSettings) -> Self {
        Self {
            settings,
            connection: OnceLock::new(),
        }
    }

    fn connection(&self) -> Result<&Connection, AzureError> {
        let made = self.connection.get_or_init(|| {
            let http = client(&self.settings.certificates)
                .map_err(|error| AzureError::Unreachable(plain(&error)))?;
            Ok(Connection {
                tokens: Tokens::new(http.clone(), self.settings.clone()),
                http,
            })
        });
        made.as_ref().map_err(Clone::clone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(key_vault: Option<&str>) -> AzureSettings {
        AzureSettings {
            cloud: AzureCloud::Public,
            tenant: None,
            client: None,
            subscription: None,
            databricks_principal: None,
            credential: AzureCredential::Cli,
            resource_manager: None,
            login: None,
            graph: None,
            key_vault: key_vault.map(str::to_owned),
            certificates: Vec::new(),
        }
    }

    /// Each row: the stand-in for vaults, the service that a request is for, its address, and where it goes.
    #[test]
    fn a_token_goes_only_to_the_service_that_it_is_for() {
        let vault = "https://acme.vault.azure.net/keys/lake?api-version=2025-07-01";
        let rows = [
            (None, Audience::KeyVault, vault, Some(vault)),
            (
                Some("https://127.0.0.1:1/"),
                Audience::KeyVault,
                vault,
                Some("https://127.0.0.1:1/acme/keys/lake?api-version=2025-07-01"),
            ),
            (
                Some("https://127.0.0.1:1"),
                Audience::ManagedHsm,
                "https://h.managedhsm.azure.net/keys",
                Some("https://127.0.0.1:1/h/keys"),
            ),
            (
                Some("https://127.0.0.1:1"),
                Audience::KeyVault,
                "https://127.0.0.1:1/acme/keys?next",
                Some("https://127.0.0.1:1/acme/keys?next"),
            ),
            (
                None,
                Audience::KeyVault,
                "https://acme.vault.azure.net.evil.example/keys",
                None,
            ),
            (
                None,
                Audience::KeyVault,
                "https://evil.example/.vault.azure.net/keys",
                None,
            ),
            (
                None,
                Audience::KeyVault,
                "https://x@evil.example/keys",
                None,
            ),
            (
                None,
                Audience::KeyVault,
                "https://acme.vault.usgovcloudapi.net/keys",
                None,
            ),
            (
                None,
                Audience::KeyVault,
                "http://acme.vault.azure.net/keys",
                None,
            ),
            (
                None,
                Audience::ResourceManager,
                "https://management.azure.com/subscriptions/s",
                Some("https://management.azure.com/subscriptions/s"),
            ),
            (
                None,
                Audience::ResourceManager,
                "https://management.azure.com.evil.example/x",
                None,
            ),
            (
                None,
                Audience::Graph,
                "https://management.azure.com/x",
                None,
            ),
        ];
        for (key_vault, audience, url, expected) in rows {
            let found = settings(key_vault).address(audience, url);
            assert_eq!(found.ok().as_deref(), expected, "{url}");
        }
        let stand_in = AzureSettings {
            resource_manager: Some("https://127.0.0.1:2/".to_owned()),
            ..settings(None)
        };
        assert_eq!(
            stand_in
                .address(Audience::ResourceManager, "https://management.azure.com/op")
                .ok()
                .as_deref(),
            Some("https://127.0.0.1:2/op")
        );
        assert_eq!(
            AzureCloud::named("USGovernment"),
            Some(AzureCloud::UsGovernment)
        );
        assert_eq!(AzureCloud::named("german"), None);
    }
}
