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
use tfplugin::bridge::Attr;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::schema::{Attribute, Problem};
use tfplugin::types::Type;
use tfplugin::value::Value;

/// `azure`
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

/// The attributes of the block.
pub(super) fn attributes() -> Vec<Attribute> {
    let said = |name: &'static str, what: &str, variables: &str| {
        Attribute::string(name)
            .describe(format!("{what} Default: environment variable {variables}."))
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
            "`ARM_TENANT_ID`, then `azure_tenant_id`",
        ),
        said(
            "subscription_id",
            "Subscription in which to look for vaults, beside that of the workspace.",
            "`ARM_SUBSCRIPTION_ID`",
        ),
        said(
            "client_id",
            "Client ID of an application, or of a user-assigned managed identity.",
            "`ARM_CLIENT_ID` or `ARM_CLIENT_ID_FILE_PATH`, then `azure_client_id`",
        ),
        said(
            "client_secret",
            "Secret of the application.",
            "`ARM_CLIENT_SECRET` or `ARM_CLIENT_SECRET_FILE_PATH`, then `azure_client_secret`",
        )
        .sensitive(),
        said(
            "client_certificate",
            "Certificate of the application and its private key, as base64 of PKCS#12 (`.pfx`) or PEM.",
            "`ARM_CLIENT_CERTIFICATE`",
        )
        .sensitive(),
        said(
            "client_certificate_path",
            "File with the certificate of the application and its private key: PKCS#12 (`.pfx`) or PEM.",
            "`ARM_CLIENT_CERTIFICATE_PATH`",
        ),
        said(
            "client_certificate_password",
            "Password of the PKCS#12 file. A private key in PEM must not have one.",
            "`ARM_CLIENT_CERTIFICATE_PASSWORD`",
        )
        .sensitive(),
        switch(
            "use_oidc",
            "Whether to use a token of another provider (workload identity federation): of GitHub Actions, Azure DevOps, or a file.",
            "ARM_USE_OIDC",
            "false",
        ),
        said("oidc_token", "The token.", "`ARM_OIDC_TOKEN`").sensitive(),
        said(
            "oidc_token_file_path",
            "File with the token.",
            "`ARM_OIDC_TOKEN_FILE_PATH`",
        ),
        said(
            "oidc_request_url",
            "Address at which the CI system gives out tokens.",
            "`ARM_OIDC_REQUEST_URL`, `ACTIONS_ID_TOKEN_REQUEST_URL` or `SYSTEM_OIDCREQUESTURI`",
        ),
        said(
            "oidc_request_token",
            "What it is asked with.",
            "`ARM_OIDC_REQUEST_TOKEN`, `ACTIONS_ID_TOKEN_REQUEST_TOKEN` or `SYSTEM_ACCESSTOKEN`",
        )
        .sensitive(),
        said(
            "ado_pipeline_service_connection_id",
            "Service connection of Azure DevOps.",
            "`ARM_ADO_PIPELINE_SERVICE_CONNECTION_ID` or `ARM_OIDC_AZURE_SERVICE_CONNECTION_ID`",
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
            "`ARM_MSI_ENDPOINT`",
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
            "Azure cloud: `public`, `usgovernment` or `china`. Default: environment variable `ARM_ENVIRONMENT`, then `azure_environment`, then \
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
             `key_vault`, a request for `https://NAME.vault.azure.net/PATH` goes to `ADDRESS/NAME/PATH`. Tokens stay those of `environment`.",
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
    /// What is wrong, offline.
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
        let in_file = |names: &[&str]| {
            let path = first(names)?;
            std::fs::read_to_string(path)
                .ok()
                .map(|text| text.trim().to_owned())
        };
        let or =
            |attribute: &Attr<String>, names: &[&str]| text(attribute).or_else(|| first(names));
        let is_on = |attribute: &Attr<bool>, name: &str, default: bool| match attribute.known() {
            Some(value) => *value,
            None => first(&[name]).map_or(default, |value| {
                matches!(value.to_ascii_lowercase().as_str(), "true" | "1")
            }),
        };
        let environment =
            or(&self.environment, &["ARM_ENVIRONMENT"]).or_else(|| defaults.environment.clone());
        let cloud = environment.as_deref().map(AzureCloud::named);
        let tenant = or(&self.tenant_id, &["ARM_TENANT_ID"]).or_else(|| defaults.tenant.clone());
        let client = or(&self.client_id, &["ARM_CLIENT_ID"])
            .or_else(|| in_file(&["ARM_CLIENT_ID_FILE_PATH"]))
            .or_else(|| defaults.client.clone());
        let is_aks = is_on(
            &self.use_aks_workload_identity,
            "ARM_USE_AKS_WORKLOAD_IDENTITY",
            false,
        );
        let credential = match (cloud, environment) {
            (Some(None), Some(word)) => AzureCredential::Unusable(format!(
                "`{word}` is not a cloud of Microsoft: `environment` (ARM_ENVIRONMENT) is public, usgovernment or china"
            )),
            _ => self.credential(&first, &in_file, &is_on, is_aks, defaults),
        };
        let endpoints = self.endpoints.known();
        let address = |service: &str| endpoints.and_then(|all| all.get(service)).and_then(text);
        let settings = AzureSettings {
            cloud: cloud.flatten().unwrap_or_default(),
            tenant: tenant.or_else(|| first(&["AZURE_TENANT_ID"]).filter(|_| is_aks)),
            client: client.or_else(|| first(&["AZURE_CLIENT_ID"]).filter(|_| is_aks)),
            subscription: or(&self.subscription_id, &["ARM_SUBSCRIPTION_ID"]),
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

    /// In the order of hashicorp/azurerm: certificate, secret, a foreign token, managed identity, command line.
    fn credential(
        &self,
        first: &dyn Fn(&[&str]) -> Option<String>,
        in_file: &dyn Fn(&[&str]) -> Option<String>,
        is_on: &dyn Fn(&Attr<bool>, &str, bool) -> bool,
        is_aks: bool,
        defaults: &Defaults,
    ) -> AzureCredential {
        let or =
            |attribute: &Attr<String>, names: &[&str]| text(attribute).or_else(|| first(names));
        let file = match or(&self.client_certificate, &["ARM_CLIENT_CERTIFICATE"]) {
            Some(encoded) => Some(
                STANDARD
                    .decode(encoded.trim())
                    .map_err(|_| "`client_certificate` is not base64".to_owned()),
            ),
            None => or(
                &self.client_certificate_path,
                &["ARM_CLIENT_CERTIFICATE_PATH"],
            )
            .map(|path| {
                std::fs::read(&path).map_err(|error| {
                    format!("the client certificate {path} cannot be read: {error}")
                })
            }),
        };
        if let Some(file) = file {
            let password = or(
                &self.client_certificate_password,
                &["ARM_CLIENT_CERTIFICATE_PASSWORD"],
            );
            return file
                .and_then(|file| certificate(&file, password.as_deref().unwrap_or_default()))
                .unwrap_or_else(AzureCredential::Unusable);
        }
        let secret = or(&self.client_secret, &["ARM_CLIENT_SECRET"])
            .or_else(|| in_file(&["ARM_CLIENT_SECRET_FILE_PATH"]))
            .or_else(|| defaults.secret.clone());
        if let Some(secret) = secret {
            return AzureCredential::ClientSecret(secret.into());
        }
        if is_on(&self.use_oidc, "ARM_USE_OIDC", false) {
            if let Some(token) = or(&self.oidc_token, &["ARM_OIDC_TOKEN"]) {
                return AzureCredential::OidcToken(token.into());
            }
            if let Some(file) = or(&self.oidc_token_file_path, &["ARM_OIDC_TOKEN_FILE_PATH"]) {
                return AzureCredential::OidcTokenFile(PathBuf::from(file));
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
            return match (url, token) {
                (Some(url), Some(token)) => AzureCredential::OidcRequest {
                    url,
                    token: token.into(),
                    service_connection,
                },
                _ => AzureCredential::Unusable(
                    "`use_oidc` is set, and there is no token: set `oidc_token`, `oidc_token_file_path`, or `oidc_request_url` and \
                     `oidc_request_token` (in GitHub Actions, give the job the permission `id-token: write`)"
                        .to_owned(),
                ),
            };
        }
        if is_aks {
            return match first(&["AZURE_FEDERATED_TOKEN_FILE"]) {
                Some(file) => AzureCredential::OidcTokenFile(PathBuf::from(file)),
                None => AzureCredential::Unusable(
                    "`use_aks_workload_identity` is set, and AZURE_FEDERATED_TOKEN_FILE is not: the pod has no workload identity".to_owned(),
                ),
            };
        }
        if is_on(&self.use_msi, "ARM_USE_MSI", false) {
            return AzureCredential::ManagedIdentity {
                endpoint: or(&self.msi_endpoint, &["ARM_MSI_ENDPOINT"]),
            };
        }
        match is_on(&self.use_cli, "ARM_USE_CLI", true) {
            true => AzureCredential::Cli,
            false => AzureCredential::Unusable(
                "no credential is configured, and `use_cli` is false".to_owned(),
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
            (Some("t"), AzureCloud::China)
        );
        assert_eq!(
            settings(&AzureBlock::default(), &[]).tenant.as_deref(),
            Some("default-tenant")
        );
        let unknown = AzureBlock {
            endpoints: Attr::Known([("graph".to_owned(), Attr::Unknown)].into()),
            ..AzureBlock::default()
        };
        assert!(unknown.settings(&|_| None, &Defaults::default()).1);
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
