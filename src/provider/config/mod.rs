//! The provider block.

mod aws;
mod azure;
mod gcp;

pub use aws::{AssumeRoleBlock, AwsBlock};
pub use azure::AzureBlock;
pub use gcp::GcpBlock;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use url::Url;

use super::diagnose::{self, AskedBy, IgnoreFindings, ignore_findings};
use crate::clouds::aws::{AwsSettings, missing_profile};
use crate::clouds::azure::AzureSettings;
use crate::clouds::gcp::GcpSettings;
use crate::databricks;
use crate::databricks::auth::settings::Name;
use crate::databricks::auth::{AccountHost, AuthType, account_host_of};
use crate::databricks::transport::certificates;
use crate::network::Proxies;
use crate::vocabulary::AccountId;
use kms_policy::nearest;
use tfplugin::bridge::Attr;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::duration::GoDuration;
use tfplugin::schema::{Attribute, Problem, Schema};
use tfplugin::types::Type;
use tfplugin::value::Value;

/// The variable with the address at which the provider reaches workspaces, instead of their own hosts.
pub const WORKSPACE_ENDPOINT: &str = "DBXCMK_WORKSPACE_ENDPOINT";

/// The provider block in types.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct Config {
    pub host: Attr<String>,
    pub account_id: Attr<String>,
    pub client_id: Attr<String>,
    pub client_secret: Attr<String>,
    pub token: Attr<String>,
    pub profile: Attr<String>,
    pub config_file: Attr<String>,
    pub auth_type: Attr<String>,
    pub audience: Attr<String>,
    pub oidc_token_env: Attr<String>,
    pub databricks_id_token_filepath: Attr<String>,
    pub databricks_cli_path: Attr<String>,
    pub azure_tenant_id: Attr<String>,
    pub azure_client_id: Attr<String>,
    pub azure_client_secret: Attr<String>,
    pub azure_environment: Attr<String>,
    pub google_credentials: Attr<String>,
    pub google_service_account: Attr<String>,
    pub preflight: Attr<String>,
    pub ignore_findings: IgnoreFindings,
    pub read_catalogs: Attr<bool>,
    pub endpoints: Attr<BTreeMap<String, Attr<String>>>,
    pub http: Attr<HttpBlock>,
    pub aws: Attr<AwsBlock>,
    pub gcp: Attr<GcpBlock>,
    pub azure: Attr<AzureBlock>,
    /// Not an attribute: where a person who reads an error writes what is missing.
    #[serde(skip)]
    pub asked_by: AskedBy,
}

/// `http`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct HttpBlock {
    pub timeout: Attr<GoDuration>,
    pub retry_timeout: Attr<GoDuration>,
    pub requests_per_second: Attr<u32>,
    pub ca_bundle: Attr<String>,
}

/// An attribute that has one of a few values.
pub fn one_of(name: &'static str, choices: &'static [&'static str]) -> Attribute {
    Attribute::string(name).check(move |value| match value.as_str() {
        Some(text) if !choices.contains(&text) => Err(Problem::new(
            format!("Invalid value for {name}"),
            format!("`{text}` is not one of: {}.", choices.join(", ")),
        )),
        _ => Ok(()),
    })
}

/// Whether a value is an address with `http://` or `https://`.
fn check_endpoint(value: &Value) -> Result<(), Problem> {
    match value.as_str() {
        Some(text)
            if url::Url::parse(text)
                .ok()
                .is_none_or(|url| !matches!(url.scheme(), "http" | "https")) =>
        {
            Err(Problem::new(
                "Invalid endpoint",
                format!(
                    "`{text}` is not the address of a service. Use for example `http://localhost:4566`."
                ),
            ))
        }
        _ => Ok(()),
    }
}

/// Whether every name of a block's `endpoints` is a service, and every value an address. It is a map, because Terraform ignores
/// unknown names in an object.
fn check_services(block: &str, services: &[&str], value: &Value) -> Result<(), Problem> {
    let Value::Map(endpoints) = value else {
        return Ok(());
    };
    for (service, address) in endpoints {
        if !services.contains(&service.as_str()) {
            let hint = match nearest(service, services) {
                Some(near) => format!("; did you mean `{near}`?"),
                None => format!(": it can be {}.", services.join(", ")),
            };
            return Err(Problem::new(
                format!("Unknown service in {block}.endpoints"),
                format!("`{service}` is not a service that the provider calls{hint}"),
            ));
        }
        check_endpoint(address)?;
    }
    Ok(())
}

/// The schema of the provider block.
#[expect(clippy::too_many_lines, reason = "a table of attributes")]
pub fn schema() -> Schema {
    Schema::new(
        "Customer-managed keys (CMK, \"bring your own key\") for Databricks workspaces on AWS, Google Cloud and Azure. Plan and apply prove from \
         the key's state and access rules that Databricks can use the key, before the provider attaches it.",
        vec![
            Attribute::string("host")
                .format::<HostText>("Invalid account host")
                .describe(
                    "Account host: `https://accounts.cloud.databricks.com`, `https://accounts.gcp.databricks.com`, or a government host. Default: environment variable \
                     `DATABRICKS_HOST`, then the profile.",
                ),
            Attribute::string("account_id").format::<AccountId>("Invalid Databricks account ID").describe(
                "ID of the Databricks account. Default: environment variable `DATABRICKS_ACCOUNT_ID`, then the profile.",
            ),
            Attribute::string("client_id").describe(
                "Client ID of a service principal (OAuth machine-to-machine). The service principal must be an account admin. \
                 Default: environment variable `DATABRICKS_CLIENT_ID`, then the profile.",
            ),
            Attribute::string("client_secret").sensitive().describe(
                "OAuth secret of the service principal. Default: environment variable `DATABRICKS_CLIENT_SECRET`, then the profile.",
            ),
            Attribute::string("token").sensitive().describe(
                "Access token. Default: environment variable `DATABRICKS_TOKEN`, then the profile.",
            ),
            Attribute::string("profile").describe(
                "Profile of the Databricks configuration file. A profile that is set here must exist, and wins over the environment. Default: \
                 environment variable `DATABRICKS_CONFIG_PROFILE`, then the file's own default.",
            ),
            Attribute::string("config_file").describe(
                "Databricks configuration file. Default: environment variable `DATABRICKS_CONFIG_FILE`, then `~/.databrickscfg`.",
            ),
            one_of("auth_type", AuthType::NAMES).describe(format!(
                "Authentication method, if several are configured: {}. Default: environment variable `DATABRICKS_AUTH_TYPE`, \
                 then the method that is configured.",
                AuthType::NAMES.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
            )),
            Attribute::string("audience").describe(
                "Audience to request for the GitHub Actions OIDC token. Default: environment variable \
                 `DATABRICKS_TOKEN_AUDIENCE`, then the account ID.",
            ),
            Attribute::string("oidc_token_env").describe(
                "Environment variable that holds an OIDC token which the account trusts. Default: environment variable \
                 `DATABRICKS_OIDC_TOKEN_ENV`, then `DATABRICKS_OIDC_TOKEN`.",
            ),
            Attribute::string("databricks_id_token_filepath").describe(
                "File that holds an OIDC token which the account trusts. Default: environment variable \
                 `DATABRICKS_OIDC_TOKEN_FILEPATH`, then the profile.",
            ),
            Attribute::string("databricks_cli_path").describe(
                "The Databricks command line, for the method `databricks-cli`. Default: environment variable \
                 `DATABRICKS_CLI_PATH`, then `databricks` on PATH.",
            ),
            Attribute::string("azure_tenant_id").describe(
                "Microsoft Entra ID tenant, for account hosts on Azure. Default: environment variable `ARM_TENANT_ID`.",
            ),
            Attribute::string("azure_client_id").describe(
                "Client ID of an application in that tenant. Default: environment variable `ARM_CLIENT_ID`.",
            ),
            Attribute::string("azure_client_secret").sensitive().describe(
                "Secret of that application. Default: environment variable `ARM_CLIENT_SECRET`.",
            ),
            one_of("azure_environment", &["public", "usgovernment", "china"]).describe(
                "Azure cloud: `public`, `usgovernment` or `china`. Default: environment variable `ARM_ENVIRONMENT`, then the \
                 cloud of the host.",
            ),
            Attribute::string("google_credentials").sensitive().describe(
                "JSON key of a Google service account, or the path of its file, for the account host on Google Cloud. Default: \
                 environment variable `GOOGLE_CREDENTIALS`.",
            ),
            Attribute::string("google_service_account").describe(
                "E-mail address of a Google service account to impersonate for the account host on Google Cloud (`google-id`), starting \
                 from the identity of the `gcp` block. Default: environment variable `DATABRICKS_GOOGLE_SERVICE_ACCOUNT`.",
            ),
            one_of("preflight", &["enforce", "warn"]).describe(
                "What a finding of severity error does: `enforce` stops the plan or apply, `warn` reports it and continues. \
                 With `warn`, the provider attaches a key that Databricks perhaps cannot use, and an attach often cannot be undone; \
                 `review` reports it as an error. Default: `enforce`.",
            ),
            ignore_findings("every resource"),
            Attribute::bool("read_catalogs").describe(
                "Whether to read which catalogs of Unity Catalog have a key. The provider asks one workspace of each metastore, as the same \
                 service principal. Without these reads, it cannot say that nothing uses a key or a key configuration. Default: `true`.",
            ),
            Attribute::of("endpoints", Type::map(Type::String))
                .check(|value| check_services("provider", &["workspace"], value))
                .describe(
                    "Addresses of services of Databricks by name, for tests against local services. With `{ workspace = \"http://localhost:8080\" }`, \
                     a request to `https://<workspace host>/<path>` goes to `http://localhost:8080/<workspace host>/<path>`. Default: environment \
                     variable `DBXCMK_WORKSPACE_ENDPOINT`, then the hosts of the workspaces.",
                ),
            Attribute::object(
                "http",
                vec![
                    Attribute::duration("timeout").describe("How long one request to the account API may take. Default: `60s`."),
                    Attribute::duration("retry_timeout")
                        .describe("How long the provider retries a call to the account API. Default: `5m`."),
                    Attribute::number("requests_per_second")
                        .check(|value| match value {
                            Value::Number(number) if !number.as_i64().is_some_and(|rate| (1..=1000).contains(&rate)) => Err(Problem::new("Invalid number of requests", format!("`{number}` is not a whole number from 1 to 1000."))),
                            _ => Ok(()),
                        })
                        .describe("Maximum number of requests to the account API per second. Default: no fixed limit: the provider starts with 15 per second, \
                             sends more while the account API answers, and fewer when it refuses some."),
                    Attribute::string("ca_bundle").describe(
                        "File of certificates (PEM) to trust in addition to those of the system, for example of a proxy that inspects \
                        TLS. It counts for Google Cloud and Azure, too.",
                    ),
                ],
            )
            .describe("Settings for calls to the account API."),
            Attribute::object("aws", aws::attributes())
                .describe("Settings for calls to AWS. Default: the default credential chain of the AWS tools."),
            Attribute::object("gcp", gcp::attributes()).describe(
                "Settings for calls to Google Cloud. Default: the environment of hashicorp/google, then Application Default Credentials.",
            ),
            Attribute::object("azure", azure::attributes()).describe(
                "Settings for calls to Azure: Resource Manager, Key Vault and Microsoft Graph. Default: the environment of hashicorp/azurerm \
                 (`ARM_…`), then the Azure command line.",
            ),
        ],
    )
}

/// The address of an account host, for the offline check.
struct HostText;

impl std::str::FromStr for HostText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        use databricks::AuthError;
        AccountHost::parse(text)
            .map(|_| Self)
            .map_err(|error| match error {
                AuthError::WorkspaceHost(_) => {
                    format!(
                        "{error}. Keys are managed in the account: use `{}`",
                        account_host_of(text)
                    )
                }
                AuthError::Insecure(_) => format!("{error}. Use `https://`"),
                other => {
                    format!("{other}; write for example `https://accounts.cloud.databricks.com`")
                }
            })
    }
}

/// Offline checks across attributes.
pub fn validate(config: &Config) -> Diagnostics {
    let mut found = Diagnostics::new();
    if let Attr::Known(aws) = &config.aws {
        found.extend(aws.validate());
    }
    if let Attr::Known(gcp) = &config.gcp {
        found.extend(gcp.validate());
    }
    if let Attr::Known(azure) = &config.azure {
        found.extend(azure.validate());
    }
    found
}

/// What the User-Agent says besides our own name: Terraform, the system, the CI, and what the user adds.
fn user_agent_parts(terraform_version: &str, variable: &dyn Fn(&str) -> Option<String>) -> String {
    let clean = |text: &str| -> String {
        text.chars()
            .filter(|c| c.is_ascii_alphanumeric() || ".-+_".contains(*c))
            .collect()
    };
    let is_set = |name: &&(&str, &str)| variable(name.0).is_some_and(|value| !value.is_empty());
    let mut parts = String::new();
    let version = clean(terraform_version);
    if !version.is_empty() {
        parts.push_str(&format!(" terraform/{version}"));
    }
    parts.push_str(&format!(" os/{}", std::env::consts::OS));
    // The names that the official SDKs have for CI systems.
    let systems = [
        ("GITHUB_ACTIONS", "github"),
        ("GITLAB_CI", "gitlab"),
        ("JENKINS_URL", "jenkins"),
        ("TF_BUILD", "azure-devops"),
        ("CIRCLECI", "circle"),
        ("TRAVIS", "travis"),
        ("BITBUCKET_BUILD_NUMBER", "bitbucket"),
        ("TFC_RUN_ID", "tf-cloud"),
    ];
    if let Some((_, name)) = systems.iter().find(is_set) {
        parts.push_str(&format!(" cicd/{name}"));
    }
    // Products that a company adds for its own bookkeeping: `name/version`, separated by blanks.
    let added = ["DATABRICKS_USER_AGENT_EXTRA", "TF_APPEND_USER_AGENT"]
        .iter()
        .filter_map(|name| variable(name));
    for product in added.flat_map(|text| {
        text.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    }) {
        if let Some((name, version)) = product
            .split_once('/')
            .map(|(name, version)| (clean(name), clean(version)))
            && !name.is_empty()
            && !version.is_empty()
        {
            parts.push_str(&format!(" {name}/{version}"));
        }
    }
    parts
}

fn text(attribute: &Attr<String>) -> Option<String> {
    attribute.known().cloned()
}

impl Config {
    /// What the account client needs, and which of it is not known yet.
    pub fn databricks(&self) -> (databricks::Settings, Vec<&'static str>) {
        let all = [
            (Name::Host, &self.host),
            (Name::AccountId, &self.account_id),
            (Name::ClientId, &self.client_id),
            (Name::ClientSecret, &self.client_secret),
            (Name::Token, &self.token),
            (Name::Profile, &self.profile),
            (Name::ConfigFile, &self.config_file),
            (Name::AuthType, &self.auth_type),
            (Name::Audience, &self.audience),
            (Name::OidcTokenEnv, &self.oidc_token_env),
            (Name::OidcTokenFile, &self.databricks_id_token_filepath),
            (Name::DatabricksCliPath, &self.databricks_cli_path),
            (Name::AzureTenantId, &self.azure_tenant_id),
            (Name::AzureClientId, &self.azure_client_id),
            (Name::AzureClientSecret, &self.azure_client_secret),
            (Name::AzureEnvironment, &self.azure_environment),
            (Name::GoogleCredentials, &self.google_credentials),
            (Name::GoogleServiceAccount, &self.google_service_account),
        ];
        let settings = all.iter().fold(
            databricks::Settings::default(),
            |settings, (name, value)| settings.with(*name, text(value)),
        );
        (
            settings,
            all.iter()
                .filter(|(_, value)| value.is_unknown())
                .map(|(name, _)| name.attribute())
                .collect(),
        )
    }

    /// Whether catalogs are read. As long as that is not known, they are.
    pub fn reads_catalogs(&self) -> bool {
        self.read_catalogs.known() != Some(&false)
    }

    /// Where the provider reaches workspaces, if not at their own hosts. A text that is not an address was an error at validate; the provider does
    /// not use an address to which secrets would go in the clear over a network.
    pub fn workspace_endpoint(&self) -> Option<Url> {
        let named = self.endpoints.known().and_then(|all| all.get("workspace"));
        let named = named.and_then(text);
        let own = || doors::environment::variable(WORKSPACE_ENDPOINT);
        let address = named.or_else(own).filter(|address| !address.is_empty())?;
        Url::parse(&address).ok()
    }

    /// How the account API is called.
    pub fn behaviour(&self, terraform_version: &str) -> databricks::transport::Behaviour {
        let mut behaviour = databricks::transport::Behaviour::default();
        if let Attr::Known(http) = &self.http {
            if let Attr::Known(timeout) = &http.timeout {
                behaviour.timeout = timeout.length();
            }
            if let Attr::Known(timeout) = &http.retry_timeout {
                behaviour.retry_timeout = timeout.length();
            }
            if let Attr::Known(rate) = &http.requests_per_second {
                behaviour.requests_per_second = Some(*rate);
            }
            behaviour.ca_bundle = http.ca_bundle.known().map(Into::into);
        }
        behaviour.user_agent.push_str(&user_agent_parts(
            terraform_version,
            &doors::environment::variable,
        ));
        behaviour
    }

    /// What the AWS clients need, and whether some of it is not known yet.
    pub fn aws(&self) -> (AwsSettings, bool) {
        match &self.aws {
            Attr::Known(block) => block.settings(),
            block => (
                AwsSettings {
                    examine_iam: true,
                    ..AwsSettings::default()
                },
                block.is_unknown(),
            ),
        }
    }

    /// Whether the `gcp` block names who calls Google Cloud.
    pub fn names_google_identity(&self) -> bool {
        self.gcp.known().is_some_and(GcpBlock::names_identity)
    }

    /// What the clients of Google Cloud need, and whether some of it is not known yet.
    pub fn gcp(&self) -> (GcpSettings, bool) {
        let own = doors::environment::variable;
        let (mut settings, is_unknown) = match &self.gcp {
            Attr::Known(block) => block.settings(&own),
            block => (GcpBlock::default().settings(&own).0, block.is_unknown()),
        };
        // A file that cannot be used was an error at configure.
        let bundle = self.http.known().and_then(|http| http.ca_bundle.known());
        settings.certificates = bundle
            .and_then(|file| certificates(std::path::Path::new(file)).ok())
            .unwrap_or_default();
        (settings, is_unknown)
    }

    /// What the clients of Azure need, and whether some of it is not known yet. What the block does not say, the attributes `azure_…` of the
    /// account host do.
    pub fn azure(&self) -> (AzureSettings, bool) {
        let own = doors::environment::variable;
        let defaults = azure::Defaults {
            tenant: text(&self.azure_tenant_id),
            client: text(&self.azure_client_id),
            secret: text(&self.azure_client_secret),
            environment: text(&self.azure_environment),
        };
        let of_account = [
            &self.azure_tenant_id,
            &self.azure_client_id,
            &self.azure_client_secret,
            &self.azure_environment,
        ];
        let is_default_unknown = of_account.into_iter().any(Attr::is_unknown);
        let (mut settings, is_unknown) = match &self.azure {
            Attr::Known(block) => block.settings(&own, &defaults),
            block => {
                let (settings, _) = AzureBlock::default().settings(&own, &defaults);
                (settings, block.is_unknown())
            }
        };
        // A file that cannot be used was an error at configure.
        let bundles = [
            self.http.known().and_then(|http| http.ca_bundle.known()),
            self.azure.known().and_then(|azure| azure.ca_bundle.known()),
        ];
        settings.certificates = bundles
            .into_iter()
            .flatten()
            .filter_map(|file| certificates(std::path::Path::new(file)).ok())
            .flatten()
            .collect();
        (settings, is_unknown || is_default_unknown)
    }

    /// Checks the files that the configuration and the environment name: a file that the provider cannot use fails here, and not as a
    /// broken connection later.
    ///
    /// # Errors
    /// When the provider cannot read a file of certificates, or finds none in it; when the AWS profile does not exist that the user
    /// names; when a proxy is not an address.
    pub fn check_files(&self) -> Result<(), Diagnostics> {
        let of_http = self.http.known().and_then(|http| http.ca_bundle.known());
        let of_aws = self.aws.known().and_then(|aws| aws.ca_bundle.known());
        let of_azure = self.azure.known().and_then(|azure| azure.ca_bundle.known());
        let variable = doors::environment::variable("AWS_CA_BUNDLE")
            .filter(|file| !file.is_empty() && of_aws.is_none());
        let files = [
            (of_http, "`http.ca_bundle`", "http.ca_bundle"),
            (of_aws, "`aws.ca_bundle`", "aws.ca_bundle"),
            (of_azure, "`azure.ca_bundle`", "azure.ca_bundle"),
            (
                variable.as_ref(),
                "the environment variable AWS_CA_BUNDLE",
                "",
            ),
        ];
        let mut found = Diagnostics::new();
        if let Some((variable, proxy)) = Proxies::of_environment().malformed() {
            found.push(diagnose::malformed_proxy(variable, &proxy));
        }
        if let Some(url) = self
            .workspace_endpoint()
            .filter(|url| !databricks::is_safe(url))
        {
            found.push(Diagnostic::error(
                "The address for workspaces is not encrypted",
                format!(
                    "`{url}` (`endpoints.workspace` or {WORKSPACE_ENDPOINT}) would send credentials in the clear. Use `https://`; plain `http://` is \
                     for this machine only (127.0.0.1)."
                ),
            ));
        }
        let aws = self.aws.known();
        let profile = aws
            .filter(|aws| aws.access_key.is_null())
            .and_then(|aws| aws.profile.known());
        if let Some(profile) = profile
            && let Some(why) = missing_profile(profile)
        {
            found.push(diagnose::missing_profile(profile, &why).on("aws.profile"));
        }
        for (file, named_by, path) in files {
            if let Some(Err(error)) = file.map(|file| certificates(std::path::Path::new(file))) {
                let diagnostic = diagnose::unusable_certificates(named_by, &error);
                found.push(if path.is_empty() {
                    diagnostic
                } else {
                    diagnostic.on(path)
                });
            }
        }
        if found.has_errors() {
            Err(found)
        } else {
            Ok(())
        }
    }

    /// Whether findings stop an apply.
    pub fn enforces(&self) -> bool {
        self.preflight.known().map(String::as_str) != Some("warn")
    }
}

#[cfg(test)]
mod tests {
    use super::user_agent_parts;

    #[test]
    fn the_user_agent_names_terraform_the_ci_and_what_the_user_adds() {
        let none = user_agent_parts("1.11.4", &|_| None);
        assert_eq!(
            none,
            format!(" terraform/1.11.4 os/{}", std::env::consts::OS)
        );
        let some = user_agent_parts("1.11.4 (evil)\r\n", &|name| match name {
            "GITHUB_ACTIONS" => Some("true".to_owned()),
            "DATABRICKS_USER_AGENT_EXTRA" => Some("team/1.0 nonsense x/\u{e9}".to_owned()),
            _ => None,
        });
        assert_eq!(
            some,
            format!(
                " terraform/1.11.4evil os/{} cicd/github team/1.0",
                std::env::consts::OS
            )
        );
    }
}
