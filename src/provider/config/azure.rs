//! The `azure` block: names and environment of hashicorp/azurerm.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{check_services, one_of, text};
use crate::clouds::azure::{AzureCloud, AzureCredential, AzureSettings};
use crate::vocabulary::azure::PrincipalId;
use crate::vocabulary::why_unread;
use tfplugin::bridge::Attr;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::schema::{Attribute, Problem};
use tfplugin::types::Type;
use tfplugin::value::Value;

/// The `azure` block of the provider.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct AzureBlock {
    pub tenant_id: Attr<String>,
    pub subscription_id: Attr<String>,
    pub client_id: Attr<String>,
    pub client_secret: Attr<String>,
    pub client_certificate: Attr<String>,
    pub client_certificate_path: Attr<String>,
    pub client_certificate_password: Attr<String>,
    pub use_oidc: Attr<bool>,
    pub oidc_token: Attr<String>,
    pub oidc_token_file_path: Attr<String>,
    pub oidc_request_url: Attr<String>,
    pub oidc_request_token: Attr<String>,
    pub ado_pipeline_service_connection_id: Attr<String>,
    pub use_msi: Attr<bool>,
    pub msi_endpoint: Attr<String>,
    pub use_cli: Attr<bool>,
    pub use_aks_workload_identity: Attr<bool>,
    pub environment: Attr<String>,
    pub databricks_principal_id: Attr<PrincipalId>,
    pub ca_bundle: Attr<String>,
    pub endpoints: Attr<BTreeMap<String, Attr<String>>>,
}

/// The services whose addresses `azure.endpoints` can set.
const SERVICES: [&str; 4] = ["resource_manager", "login", "graph", "key_vault"];

fn check_endpoints(value: &Value) -> Result<(), Problem> {
    check_services("azure", &SERVICES, value)
}

/// The environment variable with the address of a service: `DBXCMK_AZURE_KEY_VAULT_ENDPOINT`. hashicorp/azurerm has none for single
/// services, so the names are this provider's own.
fn endpoint_variable(service: &str) -> String {
    format!("DBXCMK_AZURE_{}_ENDPOINT", service.to_ascii_uppercase())
}

/// The attributes of the block.
#[expect(clippy::too_many_lines, reason = "a table of attributes")]
pub(super) fn attributes() -> Vec<Attribute> {
    let said = |name: &'static str, what: &str, variables: &str| {
        Attribute::string(name).describe(format!("{what} Default: {variables}."))
    };
    let switch = |name: &'static str, what: &str, variable: &str, default: &str| {
        Attribute::bool(name).describe(format!(
            "{what} Default: environment variable `{variable}`, then `{default}`."
        ))
    };
    vec![
        said(
            "tenant_id",
            "Tenant of Microsoft Entra ID.",
            "`azure_tenant_id`, then environment variable `ARM_TENANT_ID`",
        ),
        said(
            "subscription_id",
            "Subscription in which to look for vaults, in addition to that of the workspace.",
            "environment variable `ARM_SUBSCRIPTION_ID`",
        ),
        said(
            "client_id",
            "Client ID of an application, or of a user-assigned managed identity.",
            "`azure_client_id`, then environment variable `ARM_CLIENT_ID` or `ARM_CLIENT_ID_FILE_PATH`",
        ),
        said(
            "client_secret",
            "Secret of the application.",
            "`azure_client_secret`, then environment variable `ARM_CLIENT_SECRET` or `ARM_CLIENT_SECRET_FILE_PATH`",
        )
        .sensitive(),
        said(
            "client_certificate",
            "Certificate of the application and its private key, as base64 of PKCS#12 (`.pfx`) or PEM.",
            "environment variable `ARM_CLIENT_CERTIFICATE`",
        )
        .sensitive(),
        said(
            "client_certificate_path",
            "File with the certificate of the application and its private key: PKCS#12 (`.pfx`) or PEM.",
            "environment variable `ARM_CLIENT_CERTIFICATE_PATH`",
        ),
        said(
            "client_certificate_password",
            "Password of the PKCS#12 file. A private key in PEM must not have one.",
            "environment variable `ARM_CLIENT_CERTIFICATE_PASSWORD`",
        )
        .sensitive(),
        switch(
            "use_oidc",
            "Whether to use a token of another provider (workload identity federation): of GitHub Actions, Azure DevOps, or a file.",
            "ARM_USE_OIDC",
            "false",
        ),
        said("oidc_token", "The token.", "environment variable `ARM_OIDC_TOKEN`").sensitive(),
        said(
            "oidc_token_file_path",
            "File with the token.",
            "environment variable `ARM_OIDC_TOKEN_FILE_PATH`",
        ),
        said(
            "oidc_request_url",
            "URL where the CI system issues OIDC tokens.",
            "environment variable `ARM_OIDC_REQUEST_URL`, `ACTIONS_ID_TOKEN_REQUEST_URL` or `SYSTEM_OIDCREQUESTURI`",
        ),
        said(
            "oidc_request_token",
            "Bearer token for `oidc_request_url`.",
            "environment variable `ARM_OIDC_REQUEST_TOKEN`, `ACTIONS_ID_TOKEN_REQUEST_TOKEN` or `SYSTEM_ACCESSTOKEN`",
        )
        .sensitive(),
        said(
            "ado_pipeline_service_connection_id",
            "Service connection of Azure DevOps.",
            "environment variable `ARM_ADO_PIPELINE_SERVICE_CONNECTION_ID` or `ARM_OIDC_AZURE_SERVICE_CONNECTION_ID`",
        ),
        switch(
            "use_msi",
            "Whether to use the managed identity of this machine.",
            "ARM_USE_MSI",
            "false",
        ),
        said(
            "msi_endpoint",
            "Address of the metadata service.",
            "environment variable `ARM_MSI_ENDPOINT`",
        ),
        switch(
            "use_cli",
            "Whether to use the login of the Azure command line (`az login`), if nothing else is configured.",
            "ARM_USE_CLI",
            "true",
        ),
        switch(
            "use_aks_workload_identity",
            "Whether to use the workload identity of Azure Kubernetes Service.",
            "ARM_USE_AKS_WORKLOAD_IDENTITY",
            "false",
        ),
        one_of("environment", &["public", "usgovernment", "china"]).describe(
            "Azure cloud: `public`, `usgovernment` or `china`. Default: `azure_environment`, then environment variable `ARM_ENVIRONMENT`, then \
             `public`.",
        ),
        Attribute::string("databricks_principal_id")
            .format::<PrincipalId>("Invalid object ID")
            .describe(
                "Object ID of the application AzureDatabricks in the tenant. Default: looked up in Microsoft Graph.",
            ),
        Attribute::string("ca_bundle").describe(
            "File of certificates (PEM) to trust in addition to those of the system. Default: `http.ca_bundle`.",
        ),
        Attribute::of("endpoints", Type::map(Type::String)).check(check_endpoints).describe(
            "Addresses of Azure services by name (`resource_manager`, `login`, `graph`, `key_vault`), for tests against local services. With \
             `key_vault`, a request for `https://NAME.vault.azure.net/PATH` goes to `ADDRESS/NAME/PATH`. Tokens stay those of `environment`. \
             Default: environment variables such as `DBXCMK_AZURE_KEY_VAULT_ENDPOINT`, then the hosts of Azure.",
        ),
    ]
}

/// What the block does not say, from elsewhere in the provider block.
#[derive(Clone, Debug, Default)]
pub(super) struct Defaults {
    pub(super) tenant: Option<String>,
    pub(super) client: Option<String>,
    pub(super) secret: Option<String>,
    pub(super) environment: Option<String>,
}

/// How the caller proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Certificate,
    Secret,
    Oidc,
    Aks,
    ManagedIdentity,
}

/// What the file that a variable names holds.
fn in_file(
    first: &dyn Fn(&[&str]) -> Option<String>,
    variable: &str,
) -> Result<Option<String>, String> {
    let Some(path) = first(&[variable]) else {
        return Ok(None);
    };
    match doors::files::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        Err(error) => Err(format!(
            "the file {path}, which {variable} names, cannot be read: {}",
            why_unread(&error)
        )),
    }
}

/// The private key and the certificate of a file: PKCS#12, as hashicorp/azurerm has it, or PEM.
fn certificate(file: &[u8], password: &str) -> Result<AzureCredential, String> {
    match std::str::from_utf8(file) {
        Ok(text) if text.contains("-----BEGIN ") => from_pem(text),
        _ => from_pkcs12(file, password),
    }
}

fn from_pkcs12(file: &[u8], password: &str) -> Result<AzureCredential, String> {
    use p12_keystore::{KeyStore, Pkcs12ImportPolicy};
    let store = KeyStore::from_pkcs12(file, password, Pkcs12ImportPolicy::Relaxed)
        .map_err(|error| {
            format!(
                "the client certificate is neither PEM nor PKCS#12 that `client_certificate_password` (ARM_CLIENT_CERTIFICATE_PASSWORD) opens: \
                 {error}"
            )
        })?;
    let (_, chain) = store
        .private_key_chain()
        .ok_or("the client certificate comes without its private key")?;
    let certificate = chain
        .certs()
        .first()
        .ok_or("the private key of the client certificate comes without a certificate")?;
    let key = STANDARD.encode(chain.key().as_der());
    Ok(AzureCredential::ClientCertificate {
        certificate: certificate.as_der().to_vec(),
        private_key: SecretString::from(format!(
            "-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n"
        )),
    })
}

fn from_pem(pem: &str) -> Result<AzureCredential, String> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| "the client certificate is PEM without a CERTIFICATE in it".to_owned())?;
    let label = |block: &str| block.split("-----").next().unwrap_or_default().to_owned();
    let key = pem
        .split("-----BEGIN ")
        .find(|block| label(block).ends_with("PRIVATE KEY"))
        .ok_or("the client certificate comes without its private key")?;
    if label(key).starts_with("ENCRYPTED") || key.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(
            "the private key in the PEM file has a password, which this provider reads only of PKCS#12. Convert the file: openssl pkcs12 -export \
             -in client.pem -out client.pfx"
                .to_owned(),
        );
    }
    Ok(AzureCredential::ClientCertificate {
        certificate: certificate.as_ref().to_vec(),
        private_key: SecretString::from(format!("-----BEGIN {key}")),
    })
}

impl AzureBlock {
    /// Checks the configuration without a call: everything that is wrong with it.
    pub(super) fn validate(&self) -> Diagnostics {
        let mut found = Diagnostics::new();
        let both = self.client_certificate.known().is_some()
            && self.client_certificate_path.known().is_some();
        if both {
            found.push(
                Diagnostic::error(
                    "azure.client_certificate and azure.client_certificate_path exclude each other",
                    "The provider block names two certificates, and it is not clear which one is meant. Remove one of them.",
                )
                .on("azure.client_certificate"),
            );
        }
        found
    }

    /// What the clients of Azure need, and whether some of it is not known yet. `variable`: the environment.
    pub(super) fn settings(
        &self,
        variable: &dyn Fn(&str) -> Option<String>,
        defaults: &Defaults,
    ) -> (AzureSettings, bool) {
        let first = |names: &[&str]| {
            names
                .iter()
                .find_map(|name| variable(name).filter(|value| !value.is_empty()))
        };
        // What the block says, or the attributes of the account host, wins over the environment.
        let or = |attribute: &Attr<String>, default: &Option<String>, name: &str| {
            let own = text(attribute).or_else(|| default.clone());
            own.or_else(|| first(&[name]))
        };
        let is_on = |attribute: &Attr<bool>, name: &str, default: bool| match attribute.known() {
            Some(value) => *value,
            None => first(&[name]).map_or(default, |value| {
                matches!(value.to_ascii_lowercase().as_str(), "true" | "1")
            }),
        };
        let environment = or(&self.environment, &defaults.environment, "ARM_ENVIRONMENT");
        let cloud = environment.as_deref().map(AzureCloud::named);
        let tenant = or(&self.tenant_id, &defaults.tenant, "ARM_TENANT_ID");
        let named = or(&self.client_id, &defaults.client, "ARM_CLIENT_ID");
        let (client, unreadable) = match named.map_or_else(
            || in_file(&first, "ARM_CLIENT_ID_FILE_PATH"),
            |id| Ok(Some(id)),
        ) {
            Ok(client) => (client, None),
            Err(why) => (None, Some(why)),
        };
        let is_aks = is_on(
            &self.use_aks_workload_identity,
            "ARM_USE_AKS_WORKLOAD_IDENTITY",
            false,
        );
        let credential = match (cloud, environment, unreadable) {
            (Some(None), Some(word), _) => AzureCredential::Unusable(format!(
                "`{word}` is not a cloud of Microsoft: `environment` (ARM_ENVIRONMENT) is public, usgovernment or china"
            )),
            (_, _, Some(why)) => AzureCredential::Unusable(why),
            _ => self
                .credential(&first, &is_on, is_aks, defaults)
                .unwrap_or_else(AzureCredential::Unusable),
        };
        let endpoints = self.endpoints.known();
        let address = |service: &str| {
            let own = endpoints.and_then(|all| all.get(service)).and_then(text);
            own.or_else(|| first(&[endpoint_variable(service).as_str()]))
        };
        let settings = AzureSettings {
            cloud: cloud.flatten().unwrap_or_default(),
            tenant: tenant.or_else(|| first(&["AZURE_TENANT_ID"]).filter(|_| is_aks)),
            client: client.or_else(|| first(&["AZURE_CLIENT_ID"]).filter(|_| is_aks)),
            subscription: or(&self.subscription_id, &None, "ARM_SUBSCRIPTION_ID"),
            databricks_principal: self.databricks_principal_id.known().cloned(),
            credential,
            resource_manager: address("resource_manager"),
            login: address("login"),
            graph: address("graph"),
            key_vault: address("key_vault"),
            certificates: Vec::new(),
        };
        (settings, self.is_unknown())
    }

    /// The method that the block itself names, in the order of hashicorp/azurerm. `use_cli` names none: it is a permission, for when
    /// nothing else is configured.
    fn named(&self, uses_oidc: bool) -> Option<Method> {
        let has = |all: &[&Attr<String>]| all.iter().any(|one| one.known().is_some());
        let is_true = |one: &Attr<bool>| one.known() == Some(&true);
        let token = [
            &self.oidc_token,
            &self.oidc_token_file_path,
            &self.oidc_request_url,
            &self.ado_pipeline_service_connection_id,
        ];
        let rows = [
            (
                has(&[&self.client_certificate, &self.client_certificate_path]),
                Method::Certificate,
            ),
            (has(&[&self.client_secret]), Method::Secret),
            (
                is_true(&self.use_oidc) || (uses_oidc && has(&token)),
                Method::Oidc,
            ),
            (is_true(&self.use_aks_workload_identity), Method::Aks),
            (is_true(&self.use_msi), Method::ManagedIdentity),
        ];
        rows.into_iter()
            .find_map(|(is_named, method)| is_named.then_some(method))
    }

    /// What the block names wins over the environment; then what is configured, in the order of hashicorp/azurerm.
    fn credential(
        &self,
        first: &dyn Fn(&[&str]) -> Option<String>,
        is_on: &dyn Fn(&Attr<bool>, &str, bool) -> bool,
        is_aks: bool,
        defaults: &Defaults,
    ) -> Result<AzureCredential, String> {
        let uses_oidc = is_on(&self.use_oidc, "ARM_USE_OIDC", false);
        let of_environment = || {
            let is_set = |names: &[&str]| first(names).is_some();
            let rows = [
                (defaults.secret.is_some(), Method::Secret),
                (
                    is_set(&["ARM_CLIENT_CERTIFICATE", "ARM_CLIENT_CERTIFICATE_PATH"]),
                    Method::Certificate,
                ),
                (
                    is_set(&["ARM_CLIENT_SECRET", "ARM_CLIENT_SECRET_FILE_PATH"]),
                    Method::Secret,
                ),
                (uses_oidc, Method::Oidc),
                (is_aks, Method::Aks),
                (
                    is_on(&self.use_msi, "ARM_USE_MSI", false),
                    Method::ManagedIdentity,
                ),
            ];
            rows.into_iter()
                .find_map(|(is_set, method)| is_set.then_some(method))
        };
        match self.named(uses_oidc).or_else(of_environment) {
            Some(Method::Certificate) => self.certificate(first),
            Some(Method::Secret) => self.secret(first, defaults),
            Some(Method::Oidc) => self.oidc(first),
            Some(Method::Aks) => match first(&["AZURE_FEDERATED_TOKEN_FILE"]) {
                Some(file) => Ok(AzureCredential::OidcTokenFile(PathBuf::from(file))),
                None => Err(
                    "`use_aks_workload_identity` is set, and AZURE_FEDERATED_TOKEN_FILE is not: the pod has no workload identity".to_owned(),
                ),
            },
            Some(Method::ManagedIdentity) => Ok(AzureCredential::ManagedIdentity {
                endpoint: text(&self.msi_endpoint).or_else(|| first(&["ARM_MSI_ENDPOINT"])),
            }),
            None => self.command_line(is_on(&self.use_cli, "ARM_USE_CLI", true)),
        }
    }

    /// The login of the command line, unless the block has a token that would be passed over for it.
    fn command_line(&self, may_be_used: bool) -> Result<AzureCredential, String> {
        let token = [
            ("oidc_token", &self.oidc_token),
            ("oidc_token_file_path", &self.oidc_token_file_path),
        ];
        let idle = token.iter().find(|(_, value)| value.known().is_some());
        match idle.filter(|_| self.use_oidc.known().is_none()) {
            Some((name, _)) => Err(format!(
                "`{name}` is set and `use_oidc` is not: set `use_oidc = true` (ARM_USE_OIDC) to use the token, or `use_oidc = false` to \
                 ignore it"
            )),
            None if may_be_used => Ok(AzureCredential::Cli),
            None => Err("no credential is configured, and `use_cli` is false".to_owned()),
        }
    }

    fn certificate(
        &self,
        first: &dyn Fn(&[&str]) -> Option<String>,
    ) -> Result<AzureCredential, String> {
        let read = |path: String| {
            doors::files::read(&path).map_err(|error| {
                format!(
                    "the client certificate {path} cannot be read: {}",
                    why_unread(&error)
                )
            })
        };
        let decoded = |encoded: String| {
            STANDARD
                .decode(encoded.trim())
                .map_err(|_| "`client_certificate` is not base64".to_owned())
        };
        let own = text(&self.client_certificate).map(decoded);
        let own = own.or_else(|| text(&self.client_certificate_path).map(read));
        let file = own
            .or_else(|| first(&["ARM_CLIENT_CERTIFICATE"]).map(decoded))
            .or_else(|| first(&["ARM_CLIENT_CERTIFICATE_PATH"]).map(read))
            .unwrap_or_else(|| Err("no client certificate is configured".to_owned()))?;
        let password = text(&self.client_certificate_password)
            .or_else(|| first(&["ARM_CLIENT_CERTIFICATE_PASSWORD"]));
        certificate(&file, password.as_deref().unwrap_or_default())
    }

    fn secret(
        &self,
        first: &dyn Fn(&[&str]) -> Option<String>,
        defaults: &Defaults,
    ) -> Result<AzureCredential, String> {
        let own = text(&self.client_secret).or_else(|| defaults.secret.clone());
        let known = own.or_else(|| first(&["ARM_CLIENT_SECRET"]));
        let secret = match known {
            Some(secret) => Some(secret),
            None => in_file(first, "ARM_CLIENT_SECRET_FILE_PATH")?,
        };
        secret
            .map(|secret| AzureCredential::ClientSecret(secret.into()))
            .ok_or_else(|| "no client secret is configured".to_owned())
    }

    /// A token of another provider. What the block has of it wins over what the environment has.
    fn oidc(&self, first: &dyn Fn(&[&str]) -> Option<String>) -> Result<AzureCredential, String> {
        let or =
            |attribute: &Attr<String>, names: &[&str]| text(attribute).or_else(|| first(names));
        let token = |token: String| AzureCredential::OidcToken(token.into());
        let file = |file: String| AzureCredential::OidcTokenFile(PathBuf::from(file));
        let own = text(&self.oidc_token).map(token);
        if let Some(own) = own.or_else(|| text(&self.oidc_token_file_path).map(file)) {
            return Ok(own);
        }
        let asks = self.oidc_request_url.known().is_some()
            || self.ado_pipeline_service_connection_id.known().is_some();
        if !asks {
            let of_environment = first(&["ARM_OIDC_TOKEN"]).map(token);
            let or_file = || first(&["ARM_OIDC_TOKEN_FILE_PATH"]).map(file);
            if let Some(found) = of_environment.or_else(or_file) {
                return Ok(found);
            }
        }
        let service_connection = or(
            &self.ado_pipeline_service_connection_id,
            &[
                "ARM_ADO_PIPELINE_SERVICE_CONNECTION_ID",
                "ARM_OIDC_AZURE_SERVICE_CONNECTION_ID",
            ],
        );
        let url = or(
            &self.oidc_request_url,
            &[
                "ARM_OIDC_REQUEST_URL",
                "ACTIONS_ID_TOKEN_REQUEST_URL",
                "SYSTEM_OIDCREQUESTURI",
            ],
        );
        let token = or(
            &self.oidc_request_token,
            &[
                "ARM_OIDC_REQUEST_TOKEN",
                "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
                "SYSTEM_ACCESSTOKEN",
            ],
        );
        match (url, token) {
            (Some(url), Some(token)) => Ok(AzureCredential::OidcRequest {
                url,
                token: token.into(),
                service_connection,
            }),
            _ => Err(
                "`use_oidc` is set, and there is no token: set `oidc_token`, `oidc_token_file_path`, or `oidc_request_url` and \
                 `oidc_request_token` (in GitHub Actions, give the job the permission `id-token: write`)"
                    .to_owned(),
            ),
        }
    }

    fn is_unknown(&self) -> bool {
        let texts = [
            &self.tenant_id,
            &self.subscription_id,
            &self.client_id,
            &self.client_secret,
            &self.client_certificate,
            &self.client_certificate_path,
            &self.client_certificate_password,
            &self.oidc_token,
            &self.oidc_token_file_path,
            &self.oidc_request_url,
            &self.oidc_request_token,
            &self.ado_pipeline_service_connection_id,
            &self.msi_endpoint,
            &self.environment,
            &self.ca_bundle,
        ];
        let switches = [
            &self.use_oidc,
            &self.use_msi,
            &self.use_cli,
            &self.use_aks_workload_identity,
        ];
        let endpoints = self.endpoints.known();
        texts.into_iter().any(Attr::is_unknown)
            || switches.into_iter().any(Attr::is_unknown)
            || self.databricks_principal_id.is_unknown()
            || self.endpoints.is_unknown()
            || endpoints.is_some_and(|all| all.values().any(Attr::is_unknown))
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn settings(block: &AzureBlock, variables: &[(&str, &str)]) -> AzureSettings {
        let variable = |name: &str| {
            variables
                .iter()
                .find(|(own, _)| *own == name)
                .map(|(_, value)| (*value).to_owned())
        };
        let defaults = Defaults {
            tenant: Some("default-tenant".to_owned()),
            ..Defaults::default()
        };
        block.settings(&variable, &defaults).0
    }

    /// The block says where a service is, or the environment, or neither: then it is where Azure has it.
    #[test]
    fn addresses_come_from_the_block_then_from_the_environment() {
        let variables = [
            (
                "DBXCMK_AZURE_RESOURCE_MANAGER_ENDPOINT",
                "http://127.0.0.1:1/arm",
            ),
            (
                "DBXCMK_AZURE_KEY_VAULT_ENDPOINT",
                "http://127.0.0.1:1/vault",
            ),
            ("DBXCMK_AZURE_LOGIN_ENDPOINT", "http://127.0.0.1:1/login"),
            ("DBXCMK_AZURE_GRAPH_ENDPOINT", ""),
        ];
        let own = (
            "login".to_owned(),
            Attr::Known("http://127.0.0.1:2".to_owned()),
        );
        let block = AzureBlock {
            endpoints: Attr::Known([own].into()),
            ..AzureBlock::default()
        };
        let found = settings(&block, &variables);
        assert_eq!(
            [
                found.resource_manager.as_deref(),
                found.key_vault.as_deref(),
                found.login.as_deref(),
                found.graph.as_deref()
            ],
            [
                Some("http://127.0.0.1:1/arm"),
                Some("http://127.0.0.1:1/vault"),
                Some("http://127.0.0.1:2"),
                None
            ]
        );
    }

    /// Each row: the environment, and the credential that follows from it, as hashicorp/azurerm chooses.
    #[test]
    fn the_environment_is_that_of_hashicorps_provider() {
        let kind = |credential: &AzureCredential| match credential {
            AzureCredential::ClientSecret(_) => "secret",
            AzureCredential::ClientCertificate { .. } => "certificate",
            AzureCredential::OidcToken(_) => "token",
            AzureCredential::OidcTokenFile(_) => "file",
            AzureCredential::OidcRequest {
                service_connection: None,
                ..
            } => "github",
            AzureCredential::OidcRequest { .. } => "devops",
            AzureCredential::ManagedIdentity { .. } => "msi",
            AzureCredential::Cli => "cli",
            AzureCredential::Unusable(_) => "unusable",
        };
        let oidc = ("ARM_USE_OIDC", "true");
        let rows: &[(&[(&str, &str)], &str)] = &[
            (&[], "cli"),
            (&[("ARM_USE_CLI", "false")], "unusable"),
            (&[("ARM_USE_MSI", "true")], "msi"),
            (
                &[("ARM_CLIENT_SECRET", "s"), ("ARM_USE_MSI", "true")],
                "secret",
            ),
            (&[("ARM_CLIENT_SECRET", "")], "cli"),
            (&[oidc], "unusable"),
            (&[oidc, ("ARM_OIDC_TOKEN", "t")], "token"),
            (&[oidc, ("ARM_OIDC_TOKEN_FILE_PATH", "/t")], "file"),
            (
                &[
                    oidc,
                    ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://x"),
                    ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t"),
                ],
                "github",
            ),
            (
                &[
                    oidc,
                    ("SYSTEM_OIDCREQUESTURI", "https://x"),
                    ("SYSTEM_ACCESSTOKEN", "t"),
                    ("ARM_ADO_PIPELINE_SERVICE_CONNECTION_ID", "c"),
                ],
                "devops",
            ),
            (
                &[
                    ("ARM_USE_AKS_WORKLOAD_IDENTITY", "true"),
                    ("AZURE_FEDERATED_TOKEN_FILE", "/t"),
                ],
                "file",
            ),
            (&[("ARM_ENVIRONMENT", "german")], "unusable"),
            (&[("ARM_CLIENT_CERTIFICATE_PATH", "/no/such")], "unusable"),
            (&[("ARM_CLIENT_CERTIFICATE", "not base64!")], "unusable"),
        ];
        for (variables, expected) in rows {
            let found = settings(&AzureBlock::default(), variables);
            assert_eq!(kind(&found.credential), *expected, "{variables:?}");
        }
        let block = AzureBlock {
            client_secret: Attr::Known("own".to_owned()),
            environment: Attr::Known("china".to_owned()),
            ..AzureBlock::default()
        };
        let found = settings(
            &block,
            &[("ARM_CLIENT_SECRET", "s"), ("ARM_TENANT_ID", "t")],
        );
        assert!(
            matches!(&found.credential, AzureCredential::ClientSecret(secret) if secret.expose_secret() == "own")
        );
        assert_eq!(
            (found.tenant.as_deref(), found.cloud),
            (Some("default-tenant"), AzureCloud::China)
        );
        let unknown = AzureBlock {
            endpoints: Attr::Known([("graph".to_owned(), Attr::Unknown)].into()),
            ..AzureBlock::default()
        };
        assert!(unknown.settings(&|_| None, &Defaults::default()).1);
    }

    /// Each row: what the block sets, what is in the environment, and which credential follows. `own` in it is the block's, `env` the
    /// environment's.
    #[test]
    fn what_the_block_names_wins_over_the_environment_or_fails() {
        let own = || Attr::Known("own".to_owned());
        let none = AzureBlock::default;
        let secret = || AzureBlock {
            client_secret: own(),
            ..none()
        };
        let path = || AzureBlock {
            client_certificate_path: Attr::Known("/no/own".to_owned()),
            ..none()
        };
        let inline = || AzureBlock {
            client_certificate: Attr::Known("own!".to_owned()),
            ..none()
        };
        let oidc = |block: AzureBlock| AzureBlock {
            use_oidc: Attr::Known(true),
            ..block
        };
        let token = || AzureBlock {
            oidc_token: own(),
            ..none()
        };
        let token_file = || AzureBlock {
            oidc_token_file_path: own(),
            ..none()
        };
        let request = || AzureBlock {
            oidc_request_url: own(),
            oidc_request_token: own(),
            ..none()
        };
        let devops = || AzureBlock {
            ado_pipeline_service_connection_id: own(),
            ..none()
        };
        let aks = || AzureBlock {
            use_aks_workload_identity: Attr::Known(true),
            ..none()
        };
        let msi = || AzureBlock {
            use_msi: Attr::Known(true),
            msi_endpoint: own(),
            ..none()
        };
        let cli = |value| AzureBlock {
            use_cli: Attr::Known(value),
            ..none()
        };
        let off = |block: AzureBlock| AzureBlock {
            use_oidc: Attr::Known(false),
            use_msi: Attr::Known(false),
            use_aks_workload_identity: Attr::Known(false),
            ..block
        };
        let all: &[(&str, &str)] = &[
            ("ARM_CLIENT_CERTIFICATE", "env!"),
            ("ARM_CLIENT_CERTIFICATE_PATH", "/no/env"),
            ("ARM_CLIENT_SECRET", "env"),
            ("ARM_USE_OIDC", "true"),
            ("ARM_OIDC_TOKEN", "env"),
            ("ARM_OIDC_TOKEN_FILE_PATH", "env"),
            ("ARM_OIDC_REQUEST_URL", "env"),
            ("ARM_OIDC_REQUEST_TOKEN", "env"),
            ("ARM_USE_AKS_WORKLOAD_IDENTITY", "true"),
            ("AZURE_FEDERATED_TOKEN_FILE", "pod"),
            ("ARM_USE_MSI", "true"),
            ("ARM_MSI_ENDPOINT", "env"),
            ("ARM_USE_CLI", "true"),
        ];
        let tokens = all.get(3..8).unwrap_or_default();
        let flags: &[(&str, &str)] = &[
            ("ARM_USE_OIDC", "true"),
            ("ARM_USE_AKS_WORKLOAD_IDENTITY", "true"),
            ("ARM_USE_MSI", "true"),
        ];
        let no_cli: &[(&str, &str)] = &[("ARM_USE_CLI", "false")];
        let shown = |credential: &AzureCredential| match credential {
            AzureCredential::ClientSecret(secret) => format!("secret {}", secret.expose_secret()),
            AzureCredential::OidcToken(token) => format!("token {}", token.expose_secret()),
            AzureCredential::OidcTokenFile(file) => format!("file {}", file.display()),
            AzureCredential::OidcRequest {
                url,
                service_connection,
                ..
            } => format!(
                "asks {url} {}",
                service_connection.as_deref().unwrap_or_default()
            ),
            AzureCredential::ManagedIdentity { endpoint } => {
                format!("msi {}", endpoint.as_deref().unwrap_or_default())
            }
            AzureCredential::Cli => "cli".to_owned(),
            AzureCredential::ClientCertificate { .. } => "certificate".to_owned(),
            AzureCredential::Unusable(why) => why.clone(),
        };
        let rows: [(AzureBlock, &[(&str, &str)], &str); 19] = [
            (secret(), all, "secret own"),
            (path(), all, "/no/own"),
            (inline(), all, "not base64"),
            (oidc(token()), all, "token own"),
            (token(), tokens, "token own"),
            (oidc(token_file()), all, "file own"),
            (oidc(request()), all, "asks own"),
            (oidc(devops()), all, "asks env own"),
            (oidc(none()), all, "token env"),
            (aks(), all, "file pod"),
            (msi(), all, "msi own"),
            (off(none()), flags, "cli"),
            (cli(false), &[], "`use_cli` is false"),
            (cli(true), no_cli, "cli"),
            // The command line is for when nothing else is configured.
            (cli(true), &[("ARM_CLIENT_SECRET", "env")], "secret env"),
            // A token that the user names and the provider does not use would leave the caller another identity.
            (token(), &[], "`use_oidc` is not"),
            (token_file(), &[], "`use_oidc` is not"),
            (off(token()), &[], "cli"),
            (
                none(),
                &[("ARM_CLIENT_SECRET_FILE_PATH", "/no/env")],
                "ARM_CLIENT_SECRET_FILE_PATH names",
            ),
        ];
        for (block, variables, expected) in rows {
            let found = shown(&settings(&block, variables).credential);
            assert!(
                found.contains(expected),
                "{found} is not {expected}: {block:?}"
            );
        }
    }

    #[test]
    fn who_is_asked_and_where_is_what_the_block_says() {
        let arm = |name: &str| name.starts_with("ARM_").then(|| "env".to_owned());
        let own = || Attr::Known("own".to_owned());
        let block = AzureBlock {
            tenant_id: own(),
            client_id: own(),
            subscription_id: own(),
            environment: Attr::Known("china".to_owned()),
            ..AzureBlock::default()
        };
        let of_account = Defaults {
            tenant: Some("account".to_owned()),
            client: Some("account".to_owned()),
            secret: Some("account".to_owned()),
            environment: Some("usgovernment".to_owned()),
        };
        let shown = |block: &AzureBlock, defaults: &Defaults| {
            let found = block.settings(&arm, defaults).0;
            let secret = match &found.credential {
                AzureCredential::ClientSecret(secret) => secret.expose_secret().to_owned(),
                other => format!("{other:?}"),
            };
            let client = found.client.unwrap_or_default();
            (
                found.tenant.unwrap_or_default(),
                client,
                secret,
                found.cloud,
            )
        };
        let (tenant, client, secret, cloud) = shown(&block, &of_account);
        assert_eq!(
            [tenant.as_str(), client.as_str(), secret.as_str()],
            ["own", "own", "account"]
        );
        assert_eq!(cloud, AzureCloud::China);
        let (tenant, client, secret, cloud) = shown(&AzureBlock::default(), &of_account);
        assert_eq!(
            [tenant.as_str(), client.as_str(), secret.as_str()],
            ["account"; 3]
        );
        assert_eq!(cloud, AzureCloud::UsGovernment);
    }

    #[test]
    fn a_certificate_comes_with_its_key() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let own = rcgen::CertificateParams::new(vec!["x".to_owned()])
            .and_then(|params| params.self_signed(&key))
            .expect("a certificate");
        let pem = format!("{}{}", own.pem(), key.serialize_pem());
        assert!(
            matches!(certificate(pem.as_bytes(), ""), Ok(AzureCredential::ClientCertificate { private_key, .. })
                if private_key.expose_secret() == key.serialize_pem()),
            "the key is taken out"
        );
        let encrypted = pem.replace("BEGIN PRIVATE", "BEGIN ENCRYPTED PRIVATE");
        for (pem, words) in [
            (own.pem(), "without its private key"),
            (key.serialize_pem(), "CERTIFICATE"),
            (encrypted, "has a password"),
            ("nope".to_owned(), "neither PEM nor PKCS#12"),
        ] {
            let refused = certificate(pem.as_bytes(), "").expect_err("it is refused");
            assert!(refused.contains(words), "{refused}");
        }
    }
}
