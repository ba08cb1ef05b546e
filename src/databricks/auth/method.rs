//! The methods of unified authentication, and which of them the user means.
//!
//! Two kinds of method: those that the user configured (a token, a secret, a file), of which only one may be there unless
//! `auth_type` says which; and those that the machine offers (a command line that is logged in, a GitHub Actions job),
//! which the provider tries in the order of the official SDKs when the user configured none.
//!
//! The provider does one thing differently from them: credentials of Azure and Google in the environment count only for account hosts of that
//! cloud. They are there for other providers, and do not count as a second Databricks credential on AWS.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use secrecy::SecretString;

use super::settings::{Name, Settings, Surroundings};
use super::{AccountHost, AuthError};
use crate::vocabulary::{AccountId, Cloud};

macro_rules! methods {
    ($($variant:ident $name:literal;)*) => {
        /// The name of a method, as `auth_type` has it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "each is what its name in the official SDKs says")]
        pub enum AuthType {
            $($variant,)*
        }

        impl AuthType {
            /// All of them, in the order in which the official SDKs try them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// Every name, in the order of the variants.
            pub const NAMES: &'static [&'static str] = &[$($name,)*];

            /// The name that `auth_type` takes.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

methods! {
    Pat "pat";
    OAuthM2m "oauth-m2m";
    DatabricksCli "databricks-cli";
    GitHubOidc "github-oidc";
    EnvOidc "env-oidc";
    FileOidc "file-oidc";
    AzureClientSecret "azure-client-secret";
    AzureCli "azure-cli";
    GoogleCredentials "google-credentials";
    GoogleId "google-id";
    OAuthM2mGcp "oauth-m2m-gcp";
}

impl fmt::Display for AuthType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for AuthType {
    type Err = AuthError;

    fn from_str(text: &str) -> Result<Self, AuthError> {
        Self::ALL
            .iter()
            .copied()
            .find(|method| method.name() == text)
            .ok_or_else(|| AuthError::Method(text.to_owned()))
    }
}

/// The variable that holds an OIDC token when none is named.
const USUAL_OIDC_VARIABLE: &str = "DATABRICKS_OIDC_TOKEN";

/// How to prove who we are.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A token that is sent as it is.
    Token(SecretString),
    /// A service principal's ID and secret, exchanged for tokens.
    OAuthM2m {
        /// The application ID.
        client_id: String,
        /// The OAuth secret of the service principal.
        client_secret: SecretString,
    },
    /// The login of Databricks' own command line.
    DatabricksCli {
        /// The path of the `databricks` command.
        program: PathBuf,
    },
    /// A token of an issuer that the account trusts, exchanged for one of the account (workload identity federation).
    Federated {
        /// Where that token comes from.
        subject: SubjectToken,
        /// The service principal, when the federation policy is one of a service principal.
        client_id: Option<String>,
    },
    /// An application of Microsoft Entra ID.
    AzureClientSecret {
        /// The ID of the tenant in Entra ID.
        tenant_id: String,
        /// The application ID.
        client_id: String,
        /// The client secret of the application in Entra ID.
        client_secret: SecretString,
        /// Which of Microsoft's clouds.
        environment: AzureEnvironment,
    },
    /// The login of Azure's command line.
    AzureCli {
        /// The path of the `az` command.
        program: PathBuf,
        /// The tenant, if not the one of the login.
        tenant_id: Option<String>,
        /// Which of Microsoft's clouds.
        environment: AzureEnvironment,
    },
    /// The key of a Google service account, as JSON.
    GoogleCredentials(SecretString),
    /// Application Default Credentials, with which a Google service account is impersonated.
    GoogleId {
        /// Its e-mail address.
        service_account: String,
    },
    /// A service principal and its secret, and beside its token a Google access token.
    OAuthM2mGcp {
        /// The service principal.
        client_id: String,
        /// The OAuth secret of the service principal.
        client_secret: SecretString,
    },
}

/// Where a foreign token comes from.
#[derive(Clone, Debug)]
pub enum SubjectToken {
    /// GitHub Actions gives a token to a job with the permission `id-token: write`.
    GitHub {
        /// Where to ask.
        url: String,
        /// The bearer token of the job, for that request.
        token: SecretString,
        /// The audience that GitHub writes into the token.
        audience: String,
    },
    /// An environment variable, which may be renewed while we run.
    Variable(String),
    /// A file, which may be renewed while we run.
    File(PathBuf),
}

/// Which of Microsoft's clouds, and where its services are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AzureEnvironment {
    /// Where tokens are given out, ending in a slash.
    pub authority: String,
    /// The resource name of its management API.
    pub management: &'static str,
}

impl AzureEnvironment {
    /// By the name that the Azure tools have for it; a host of that cloud says it too.
    fn of(
        settings: &Settings,
        host: &AccountHost,
        around: &Surroundings<'_>,
    ) -> Result<Self, AuthError> {
        let by_host = match host.name() {
            name if name.ends_with(".azure.us") => "usgovernment",
            name if name.ends_with(".azure.cn") => "china",
            _ => "public",
        };
        let named = settings
            .get(Name::AzureEnvironment)
            .map(str::to_ascii_lowercase);
        let (authority, management) = match named.as_deref().unwrap_or(by_host) {
            "public" => (
                "https://login.microsoftonline.com/",
                "https://management.core.windows.net/",
            ),
            "usgovernment" => (
                "https://login.microsoftonline.us/",
                "https://management.core.usgovcloudapi.net/",
            ),
            "china" => (
                "https://login.chinacloudapi.cn/",
                "https://management.core.chinacloudapi.cn/",
            ),
            _ => {
                return Err(AuthError::Incomplete {
                    method: AuthType::AzureClientSecret,
                    needs: "azure_environment",
                });
            }
        };
        // The variable by which the Azure libraries are pointed to another authority.
        let authority = around.get("AZURE_AUTHORITY_HOST").map_or_else(
            || authority.to_owned(),
            |own| format!("{}/", own.trim_end_matches('/')),
        );
        Ok(Self {
            authority,
            management,
        })
    }
}

impl AuthType {
    /// Whether a Google access token goes along, with which Databricks acts on keys of Google Cloud.
    pub fn sends_google_token(self) -> bool {
        matches!(
            self,
            Self::OAuthM2mGcp | Self::GoogleId | Self::GoogleCredentials
        )
    }
}

impl Credential {
    /// A service principal whose Google identity is configured, too, sends both tokens.
    pub(super) fn with_google_token(self) -> Self {
        match self {
            Self::OAuthM2m {
                client_id,
                client_secret,
            } => Self::OAuthM2mGcp {
                client_id,
                client_secret,
            },
            other => other,
        }
    }

    /// The method.
    pub fn auth_type(&self) -> AuthType {
        match self {
            Self::Token(_) => AuthType::Pat,
            Self::OAuthM2m { .. } => AuthType::OAuthM2m,
            Self::DatabricksCli { .. } => AuthType::DatabricksCli,
            Self::Federated {
                subject: SubjectToken::GitHub { .. },
                ..
            } => AuthType::GitHubOidc,
            Self::Federated {
                subject: SubjectToken::Variable(_),
                ..
            } => AuthType::EnvOidc,
            Self::Federated {
                subject: SubjectToken::File(_),
                ..
            } => AuthType::FileOidc,
            Self::AzureClientSecret { .. } => AuthType::AzureClientSecret,
            Self::AzureCli { .. } => AuthType::AzureCli,
            Self::GoogleCredentials(_) => AuthType::GoogleCredentials,
            Self::GoogleId { .. } => AuthType::GoogleId,
            Self::OAuthM2mGcp { .. } => AuthType::OAuthM2mGcp,
        }
    }
}

/// Whether settings have what this method needs. `has_token`: whether the usual variable has an OIDC token.
fn configures(
    method: AuthType,
    host: &AccountHost,
    has: &dyn Fn(Name) -> bool,
    has_token: bool,
) -> bool {
    match method {
        AuthType::Pat => has(Name::Token),
        AuthType::OAuthM2m => has(Name::ClientId) && has(Name::ClientSecret),
        AuthType::EnvOidc => has(Name::OidcTokenEnv) || has_token,
        AuthType::FileOidc => has(Name::OidcTokenFile),
        AuthType::AzureClientSecret => {
            host.cloud() == Some(Cloud::Azure)
                && has(Name::AzureClientId)
                && has(Name::AzureClientSecret)
        }
        // Beside a client ID, Google's credentials are there for Google Cloud alone.
        AuthType::GoogleCredentials => {
            host.cloud() == Some(Cloud::Gcp) && has(Name::GoogleCredentials) && !has(Name::ClientId)
        }
        AuthType::GoogleId => host.cloud() == Some(Cloud::Gcp) && has(Name::GoogleServiceAccount),
        // Only who asks for it gets it, as in the official SDKs; or who names an identity in the `gcp` block.
        AuthType::OAuthM2mGcp => false,
        AuthType::DatabricksCli | AuthType::GitHubOidc | AuthType::AzureCli => false,
    }
}

/// Whether `auth_type` of the environment means a method that the configuration sets.
fn refines(wanted: AuthType, own: AuthType) -> bool {
    wanted == own || (wanted, own) == (AuthType::OAuthM2mGcp, AuthType::OAuthM2m)
}

impl Settings {
    /// The one credential that is meant.
    ///
    /// # Errors
    /// When there is none, half of one, or more than one.
    pub fn credential(
        &self,
        host: &AccountHost,
        account: &AccountId,
        around: &Surroundings<'_>,
    ) -> Result<Credential, AuthError> {
        let wanted: Option<AuthType> = self.get(Name::AuthType).map(str::parse).transpose()?;
        let configured = |has: &dyn Fn(Name) -> bool, has_token: bool| -> Vec<AuthType> {
            let all = AuthType::ALL.iter().copied();
            all.filter(|method| configures(*method, host, has, has_token))
                .collect()
        };
        // What the configuration sets does not compete with what the environment has.
        let own = configured(&|name| self.is_named(name), false);
        let chooses = |wanted: AuthType| {
            self.is_named(Name::AuthType) || own.iter().any(|one| refines(wanted, *one))
        };
        if let Some(wanted) = wanted.filter(|wanted| own.is_empty() || chooses(*wanted)) {
            self.leaves_nothing_out(wanted, &own)?;
            return self.by(wanted, host, account, around);
        }
        let methods = match own.is_empty() {
            false => own.clone(),
            true => configured(
                &|name| self.get(name).is_some(),
                around.get(USUAL_OIDC_VARIABLE).is_some(),
            ),
        };
        match methods.as_slice() {
            [one] => {
                self.leaves_nothing_out(*one, &own)?;
                self.by(*one, host, account, around)
            }
            [] => self.ambient(host, account, around),
            several => {
                let names: Vec<&str> = several.iter().map(|method| method.name()).collect();
                Err(AuthError::Several(names.join(" and ")))
            }
        }
    }

    /// Refuses to pass over half a service principal that the configuration names, for a credential of the environment.
    fn leaves_nothing_out(&self, method: AuthType, own: &[AuthType]) -> Result<(), AuthError> {
        let is_of_environment = own.is_empty() && !self.is_named(Name::AuthType);
        match method {
            AuthType::Pat | AuthType::AzureClientSecret | AuthType::GoogleId
                if is_of_environment && self.is_named(Name::ClientSecret) =>
            {
                Err(AuthError::Half("client_secret", "client_id"))
            }
            AuthType::Pat | AuthType::AzureClientSecret | AuthType::GoogleId
                if is_of_environment && self.is_named(Name::ClientId) =>
            {
                Err(AuthError::Half("client_id", "client_secret"))
            }
            _ => Ok(()),
        }
    }

    /// Nothing was configured: what lies around.
    fn ambient(
        &self,
        host: &AccountHost,
        account: &AccountId,
        around: &Surroundings<'_>,
    ) -> Result<Credential, AuthError> {
        let in_github = self.get(Name::GitHubRequestUrl).is_some()
            && self.get(Name::GitHubRequestToken).is_some();
        if in_github && self.get(Name::ClientSecret).is_none() {
            return self.by(AuthType::GitHubOidc, host, account, around);
        }
        match (self.get(Name::ClientId), self.get(Name::ClientSecret)) {
            (Some(_), None) => return Err(AuthError::Half("client_id", "client_secret")),
            (None, Some(_)) => return Err(AuthError::Half("client_secret", "client_id")),
            _ => {}
        }
        let mut lying_around = vec![AuthType::DatabricksCli];
        if host.cloud() == Some(Cloud::Azure) {
            lying_around.push(AuthType::AzureCli);
        }
        let found = lying_around
            .into_iter()
            .find_map(|method| self.by(method, host, account, around).ok());
        found.ok_or(AuthError::NoCredential)
    }

    /// The credential of one method.
    fn by(
        &self,
        method: AuthType,
        host: &AccountHost,
        account: &AccountId,
        around: &Surroundings<'_>,
    ) -> Result<Credential, AuthError> {
        let lacks = |needs| AuthError::Incomplete { method, needs };
        let text = |name: Name| self.text(name).ok_or_else(|| lacks(name.attribute()));
        let secret = |name: Name| self.secret(name).ok_or_else(|| lacks(name.attribute()));
        let federated = |subject| Credential::Federated {
            subject,
            client_id: self.text(Name::ClientId),
        };
        Ok(match method {
            AuthType::Pat => Credential::Token(secret(Name::Token)?),
            AuthType::OAuthM2m => Credential::OAuthM2m {
                client_id: text(Name::ClientId)?,
                client_secret: secret(Name::ClientSecret)?,
            },
            AuthType::DatabricksCli => {
                let program = match self.get(Name::DatabricksCliPath) {
                    Some(path) => Some(around.expanded(path)),
                    None => around.program("databricks"),
                };
                Credential::DatabricksCli {
                    program: program.ok_or_else(|| lacks("databricks_cli_path"))?,
                }
            }
            AuthType::GitHubOidc => federated(SubjectToken::GitHub {
                url: text(Name::GitHubRequestUrl)?,
                token: secret(Name::GitHubRequestToken)?,
                // Account-level federation policies expect the account's ID as the audience, unless
                // the user configured another.
                audience: self
                    .text(Name::Audience)
                    .unwrap_or_else(|| account.to_string()),
            }),
            AuthType::EnvOidc => federated(SubjectToken::Variable(
                self.text(Name::OidcTokenEnv)
                    .unwrap_or_else(|| USUAL_OIDC_VARIABLE.to_owned()),
            )),
            AuthType::FileOidc => federated(SubjectToken::File(
                around.expanded(&text(Name::OidcTokenFile)?),
            )),
            AuthType::AzureClientSecret => Credential::AzureClientSecret {
                tenant_id: text(Name::AzureTenantId)?,
                client_id: text(Name::AzureClientId)?,
                client_secret: secret(Name::AzureClientSecret)?,
                environment: AzureEnvironment::of(self, host, around)?,
            },
            AuthType::AzureCli => Credential::AzureCli {
                program: around
                    .program("az")
                    .ok_or_else(|| lacks("the Azure command line (az) on PATH"))?,
                tenant_id: self.text(Name::AzureTenantId),
                environment: AzureEnvironment::of(self, host, around)?,
            },
            AuthType::GoogleId => Credential::GoogleId {
                service_account: text(Name::GoogleServiceAccount)?,
            },
            AuthType::OAuthM2mGcp => Credential::OAuthM2mGcp {
                client_id: text(Name::ClientId)?,
                client_secret: secret(Name::ClientSecret)?,
            },
            AuthType::GoogleCredentials => {
                let given = secret(Name::GoogleCredentials)?;
                let inline = secrecy::ExposeSecret::expose_secret(&given)
                    .trim_start()
                    .starts_with('{');
                if inline {
                    return Ok(Credential::GoogleCredentials(given));
                }
                let path = around.expanded(secrecy::ExposeSecret::expose_secret(&given));
                let read = (around.file)(&path);
                let key = read.map_err(|error| AuthError::GoogleKey {
                    file: path.display().to_string(),
                    reason: error.to_string(),
                })?;
                Credential::GoogleCredentials(key.into())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::surrounded;
    use super::*;

    const ACCOUNT: &str = "2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11";

    /// The method that an environment comes to, on a host.
    fn chosen(host: &str, variables: &[(&str, &str)]) -> Result<&'static str, AuthError> {
        surrounded(variables, None, |around| {
            let settings = Settings::default().completed(around)?;
            let account = ACCOUNT.parse().map_err(|_| AuthError::NoAccount)?;
            settings
                .credential(&AccountHost::parse(host)?, &account, around)
                .map(|credential| credential.auth_type().name())
        })
    }

    const TOKEN: (&str, &str) = ("DATABRICKS_TOKEN", "t");
    const ID: (&str, &str) = ("DATABRICKS_CLIENT_ID", "i");
    const SECRET: (&str, &str) = ("DATABRICKS_CLIENT_SECRET", "s");
    const GITHUB: [(&str, &str); 2] = [
        ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://x"),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t"),
    ];
    const AZURE: [(&str, &str); 3] = [
        ("ARM_TENANT_ID", "t"),
        ("ARM_CLIENT_ID", "i"),
        ("ARM_CLIENT_SECRET", "s"),
    ];
    const CLI: [(&str, &str); 2] = [
        ("PATH", "/bin:/opt/cli"),
        ("PROGRAMS", "/opt/cli/databricks,/opt/cli/az"),
    ];
    const AWS: &str = "accounts.cloud.databricks.com";

    /// Each row: what is in the environment, and the method that is meant.
    #[test]
    fn what_is_configured_decides_and_what_lies_around_comes_last() {
        let rows: [(&str, &[&[(&str, &str)]], Result<&str, AuthError>); 19] = [
            (AWS, &[&[TOKEN]], Ok("pat")),
            (AWS, &[&[ID, SECRET]], Ok("oauth-m2m")),
            (
                AWS,
                &[&[TOKEN, ID, SECRET]],
                Err(AuthError::Several("pat and oauth-m2m".to_owned())),
            ),
            (
                AWS,
                &[&[ID]],
                Err(AuthError::Half("client_id", "client_secret")),
            ),
            (
                AWS,
                &[&[SECRET]],
                Err(AuthError::Half("client_secret", "client_id")),
            ),
            (AWS, &[], Err(AuthError::NoCredential)),
            (AWS, &[&[ID], &GITHUB], Ok("github-oidc")),
            (AWS, &[&[ID, SECRET], &GITHUB], Ok("oauth-m2m")),
            (
                AWS,
                &[&[ID, ("DATABRICKS_OIDC_TOKEN", "x")]],
                Ok("env-oidc"),
            ),
            (
                AWS,
                &[&[ID, ("DATABRICKS_OIDC_TOKEN_FILEPATH", "/t")]],
                Ok("file-oidc"),
            ),
            (
                AWS,
                &[&[TOKEN, ("DATABRICKS_OIDC_TOKEN_FILEPATH", "/t")]],
                Err(AuthError::Several("pat and file-oidc".to_owned())),
            ),
            (AWS, &[&CLI], Ok("databricks-cli")),
            (AWS, &[&[ID, SECRET], &CLI], Ok("oauth-m2m")),
            // Credentials of Azure do not count as a second credential on a host of another cloud.
            (AWS, &[&[ID, SECRET], &AZURE], Ok("oauth-m2m")),
            (
                "accounts.azuredatabricks.net",
                &[&AZURE],
                Ok("azure-client-secret"),
            ),
            (
                "accounts.azuredatabricks.net",
                &[&[ID, SECRET], &AZURE],
                Err(AuthError::Several(
                    "oauth-m2m and azure-client-secret".to_owned(),
                )),
            ),
            (
                "accounts.gcp.databricks.com",
                &[&[("GOOGLE_CREDENTIALS", "{}")]],
                Ok("google-credentials"),
            ),
            (
                "accounts.gcp.databricks.com",
                &[&[ID, SECRET, ("GOOGLE_CREDENTIALS", "{}")]],
                Ok("oauth-m2m"),
            ),
            (
                "accounts.gcp.databricks.com",
                &[&[("DATABRICKS_GOOGLE_SERVICE_ACCOUNT", "x@y")]],
                Ok("google-id"),
            ),
        ];
        for (host, parts, expected) in rows {
            let variables = parts.concat();
            assert_eq!(chosen(host, &variables), expected, "{host} {variables:?}");
        }
    }

    /// Each row: what the provider block sets, what is in the environment, and the method that is meant.
    #[test]
    fn what_the_provider_block_names_wins_over_the_environment_or_fails() {
        let principal = [(Name::ClientId, "own"), (Name::ClientSecret, "own")];
        let azure = [
            (Name::AzureTenantId, "own"),
            (Name::AzureClientId, "own"),
            (Name::AzureClientSecret, "own"),
        ];
        let entra = "accounts.azuredatabricks.net";
        let google = "accounts.gcp.databricks.com";
        let gcp = ("DATABRICKS_AUTH_TYPE", "oauth-m2m-gcp");
        let pat = ("DATABRICKS_AUTH_TYPE", "pat");
        type Row<'a> = (
            &'a str,
            &'a [(Name, &'a str)],
            &'a [(&'a str, &'a str)],
            Result<&'a str, AuthError>,
        );
        let rows: [Row<'_>; 15] = [
            (AWS, &[(Name::Token, "own")], &[ID, SECRET], Ok("pat")),
            (AWS, &principal, &[TOKEN], Ok("oauth-m2m")),
            (
                AWS,
                &principal,
                &[TOKEN, ("DATABRICKS_OIDC_TOKEN", "x")],
                Ok("oauth-m2m"),
            ),
            (AWS, &principal, &[TOKEN, pat], Ok("oauth-m2m")),
            (google, &principal, &[TOKEN, gcp], Ok("oauth-m2m-gcp")),
            (
                AWS,
                &[(Name::OidcTokenEnv, "OWN")],
                &[TOKEN, ID],
                Ok("env-oidc"),
            ),
            (
                AWS,
                &[(Name::OidcTokenFile, "/own")],
                &[ID, SECRET],
                Ok("file-oidc"),
            ),
            (entra, &azure, &[ID, SECRET], Ok("azure-client-secret")),
            (
                google,
                &[(Name::GoogleCredentials, "{}")],
                &[ID, SECRET],
                Ok("google-credentials"),
            ),
            (
                google,
                &[(Name::GoogleServiceAccount, "x@y")],
                &[ID, SECRET],
                Ok("google-id"),
            ),
            (
                AWS,
                &[(Name::AuthType, "oauth-m2m")],
                &[TOKEN, ID, SECRET],
                Ok("oauth-m2m"),
            ),
            (
                AWS,
                &[(Name::AuthType, "oauth-m2m"), (Name::Token, "own")],
                &[ID, SECRET],
                Ok("oauth-m2m"),
            ),
            // Half of what is named is not passed over for something else.
            (
                AWS,
                &[(Name::ClientSecret, "own")],
                &[TOKEN],
                Err(AuthError::Half("client_secret", "client_id")),
            ),
            (
                AWS,
                &[(Name::ClientId, "own")],
                &[TOKEN, pat],
                Err(AuthError::Half("client_id", "client_secret")),
            ),
            // The environment completes what the block begins.
            (AWS, &[(Name::ClientId, "own")], &[SECRET], Ok("oauth-m2m")),
        ];
        for (host, block, variables, expected) in rows {
            let found = surrounded(variables, None, |around| {
                let settings = block
                    .iter()
                    .fold(Settings::default(), |all, (name, value)| {
                        all.with(*name, Some(*value))
                    })
                    .completed(around)?;
                let account = ACCOUNT.parse().map_err(|_| AuthError::NoAccount)?;
                settings
                    .credential(&AccountHost::parse(host)?, &account, around)
                    .map(|credential| credential.auth_type().name())
            });
            assert_eq!(found, expected, "{host} {block:?} {variables:?}");
        }
    }

    #[test]
    fn auth_type_chooses_and_says_what_it_lacks() {
        let with = |method: &'static str, more: &[(&'static str, &'static str)]| {
            let mut all = vec![("DATABRICKS_AUTH_TYPE", method)];
            all.extend_from_slice(more);
            chosen(AWS, &all)
        };
        assert_eq!(with("oauth-m2m", &[TOKEN, ID, SECRET]), Ok("oauth-m2m"));
        assert_eq!(
            with("azure-client-secret", &AZURE),
            Ok("azure-client-secret")
        );
        assert_eq!(with("azure-cli", &CLI), Ok("azure-cli"));
        assert_eq!(
            with("pat", &[]),
            Err(AuthError::Incomplete {
                method: AuthType::Pat,
                needs: "token"
            })
        );
        assert_eq!(
            with("oauth-m2m", &[ID]),
            Err(AuthError::Incomplete {
                method: AuthType::OAuthM2m,
                needs: "client_secret"
            })
        );
        assert_eq!(
            with("basic", &[]),
            Err(AuthError::Method("basic".to_owned()))
        );
    }

    #[test]
    fn microsofts_clouds_have_their_own_authorities() -> Result<(), AuthError> {
        let of = |host: &str, variables: &[(&str, &str)]| {
            surrounded(variables, None, |around| {
                let settings = Settings::default().completed(around)?;
                AzureEnvironment::of(&settings, &AccountHost::parse(host)?, around)
                    .map(|found| found.authority)
            })
        };
        assert_eq!(
            of("accounts.azuredatabricks.net", &[])?,
            "https://login.microsoftonline.com/"
        );
        assert_eq!(
            of("accounts.databricks.azure.us", &[])?,
            "https://login.microsoftonline.us/"
        );
        assert_eq!(
            of(
                "accounts.azuredatabricks.net",
                &[("ARM_ENVIRONMENT", "China")]
            )?,
            "https://login.chinacloudapi.cn/"
        );
        assert_eq!(
            of(
                "accounts.azuredatabricks.net",
                &[("AZURE_AUTHORITY_HOST", "http://127.0.0.1:1")]
            )?,
            "http://127.0.0.1:1/"
        );
        assert!(
            of(
                "accounts.azuredatabricks.net",
                &[("ARM_ENVIRONMENT", "german")]
            )
            .is_err()
        );
        Ok(())
    }
}
