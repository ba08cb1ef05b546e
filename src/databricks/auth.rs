//! Where the account is and who we are there: Databricks unified authentication, as far as accounts use it.
//!
//! Precedence: attribute, then environment, then the profile of the configuration file. The file is read only when a
//! profile is named, or when neither a host nor a credential was given elsewhere.

use std::fmt;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use crate::requirements::aws::Deployment;
use crate::vocabulary::AccountId;

/// What the provider's configuration says; everything else comes from the environment and the profile.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `host`
    pub host: Option<String>,
    /// `account_id`
    pub account_id: Option<String>,
    /// `client_id`
    pub client_id: Option<String>,
    /// `client_secret`
    pub client_secret: Option<SecretString>,
    /// `token`
    pub token: Option<SecretString>,
    /// `profile`
    pub profile: Option<String>,
    /// `config_file`
    pub config_file: Option<String>,
    /// `auth_type`
    pub auth_type: Option<String>,
}

/// Why it is not known where or who.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum AuthError {
    /// No account host.
    #[error("no account host is configured")]
    NoHost,
    /// The host is none.
    #[error("`{0}` is not the address of a host")]
    Host(String),
    /// A host without TLS that is not this machine.
    #[error("`{0}` would send credentials without encryption")]
    Insecure(String),
    /// A workspace's host.
    #[error("`{0}` is the address of a workspace, not of an account")]
    WorkspaceHost(String),
    /// No account id.
    #[error("no account id is configured")]
    NoAccount,
    /// An account id that is none.
    #[error("{0}")]
    Account(String),
    /// No credential at all.
    #[error("no credential is configured")]
    NoCredential,
    /// Half a credential.
    #[error("`{0}` is configured without `{1}`")]
    Half(&'static str, &'static str),
    /// More than one credential, and nothing says which.
    #[error("more than one authorization method configured: {0}")]
    Several(String),
    /// A method that this provider does not have.
    #[error("the authentication type `{0}` is not supported")]
    Method(String),
    /// The configuration file has no such profile.
    #[error("the file {file} has no profile `{profile}`")]
    NoProfile {
        /// The file.
        file: String,
        /// The profile.
        profile: String,
    },
    /// The configuration file cannot be read.
    #[error("the file {file} cannot be read: {reason}")]
    File {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
}

/// How to prove who we are.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A token that is sent as it is.
    Token(SecretString),
    /// A service principal's id and secret, exchanged for tokens.
    OAuthM2m {
        /// The application id.
        client_id: String,
        /// Its secret.
        client_secret: SecretString,
    },
}

impl Credential {
    /// The method's name in Databricks' unified authentication.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Token(_) => "pat",
            Self::OAuthM2m { .. } => "oauth-m2m",
        }
    }
}

/// An account host, without a path: `https://accounts.cloud.databricks.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountHost(Url);

impl AccountHost {
    /// Reads an address as people write it, with or without scheme, path and query.
    ///
    /// # Errors
    /// When it is no address, would send secrets in the clear, or is a workspace's.
    pub fn parse(text: &str) -> Result<Self, AuthError> {
        let wrong = || AuthError::Host(text.to_owned());
        let trimmed = text.trim();
        let with_scheme = if trimmed.contains("://") { trimmed.to_owned() } else { format!("https://{trimmed}") };
        let mut url = Url::parse(&with_scheme).map_err(|_| wrong())?;
        url.set_path("/");
        url.set_query(None);
        url.set_fragment(None);
        let loopback = match url.host().ok_or_else(wrong)? {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            "http" => return Err(AuthError::Insecure(text.to_owned())),
            _ => return Err(wrong()),
        }
        let host = Self(url);
        if is_workspace(host.name()) { Err(AuthError::WorkspaceHost(text.to_owned())) } else { Ok(host) }
    }

    /// The host's name.
    pub fn name(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The address of a path below it.
    pub fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(path);
        url
    }

    /// Which Databricks deployment on AWS it belongs to.
    pub fn deployment(&self) -> Deployment {
        Deployment::of_host(self.name())
    }
}

impl fmt::Display for AccountHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// `dbc-….cloud.databricks.com`, `adb-….azuredatabricks.net`, `….gcp.databricks.com`.
fn is_workspace(host: &str) -> bool {
    let databricks = [".cloud.databricks.com", ".cloud.databricks.us", ".gcp.databricks.com", ".azuredatabricks.net"];
    databricks.iter().any(|suffix| host.ends_with(suffix))
        && !host.starts_with("accounts.")
        && !host.starts_with("accounts-dod.")
}

/// Everything that is needed to call the account API.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The host.
    pub host: AccountHost,
    /// The account.
    pub account: AccountId,
    /// The credential.
    pub credential: Credential,
}

/// The places that settings come from besides the configuration.
pub struct Surroundings<'a> {
    /// Reads an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// Reads a file.
    pub file: &'a dyn Fn(&std::path::Path) -> std::io::Result<String>,
}

impl Surroundings<'_> {
    fn get(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }
}

impl Settings {
    /// These settings, completed from the environment and the profile.
    ///
    /// # Errors
    /// When a profile is named that cannot be read.
    pub fn completed(&self, around: &Surroundings<'_>) -> Result<Self, AuthError> {
        let text = |value: &Option<String>, name: &str| value.clone().filter(|v| !v.is_empty()).or_else(|| around.get(name));
        let secret = |value: &Option<SecretString>, name: &str| {
            value.clone().filter(|v| !v.expose_secret().is_empty()).or_else(|| around.get(name).map(SecretString::from))
        };
        let mut all = Self {
            host: text(&self.host, "DATABRICKS_HOST"),
            account_id: text(&self.account_id, "DATABRICKS_ACCOUNT_ID"),
            client_id: text(&self.client_id, "DATABRICKS_CLIENT_ID"),
            client_secret: secret(&self.client_secret, "DATABRICKS_CLIENT_SECRET"),
            token: secret(&self.token, "DATABRICKS_TOKEN"),
            profile: text(&self.profile, "DATABRICKS_CONFIG_PROFILE"),
            config_file: text(&self.config_file, "DATABRICKS_CONFIG_FILE"),
            auth_type: text(&self.auth_type, "DATABRICKS_AUTH_TYPE"),
        };
        let nothing_given = all.host.is_none() && all.client_id.is_none() && all.client_secret.is_none() && all.token.is_none();
        if all.profile.is_some() || nothing_given {
            all.add_profile(around)?;
        }
        Ok(all)
    }

    fn add_profile(&mut self, around: &Surroundings<'_>) -> Result<(), AuthError> {
        let home = || around.get("HOME").or_else(|| around.get("USERPROFILE")).unwrap_or_default();
        let path = match &self.config_file {
            Some(file) => match file.strip_prefix("~/") {
                Some(rest) => PathBuf::from(home()).join(rest),
                None => PathBuf::from(file),
            },
            None => PathBuf::from(home()).join(".databrickscfg"),
        };
        let file = path.display().to_string();
        let text = match (around.file)(&path) {
            Ok(text) => text,
            Err(error)
                if error.kind() == std::io::ErrorKind::NotFound && self.profile.is_none() && self.config_file.is_none() =>
            {
                return Ok(());
            }
            Err(error) => return Err(AuthError::File { file, reason: error.to_string() }),
        };
        let ini = ini::Ini::load_from_str(&text)
            .map_err(|error| AuthError::File { file: file.clone(), reason: error.msg.to_string() })?;
        let settings_default = ini.get_from(Some("__settings__"), "default_profile").map(str::to_owned);
        let profile = self.profile.clone().or(settings_default).unwrap_or_else(|| "DEFAULT".to_owned());
        let Some(section) = ini.section(Some(profile.as_str())) else {
            return if self.profile.is_some() { Err(AuthError::NoProfile { file, profile }) } else { Ok(()) };
        };
        let fill = |own: &mut Option<String>, name: &str| {
            if own.is_none() {
                *own = section.get(name).filter(|value| !value.is_empty()).map(str::to_owned);
            }
        };
        fill(&mut self.host, "host");
        fill(&mut self.account_id, "account_id");
        fill(&mut self.client_id, "client_id");
        fill(&mut self.auth_type, "auth_type");
        let fill_secret = |own: &mut Option<SecretString>, name: &str| {
            if own.is_none() {
                *own = section.get(name).filter(|value| !value.is_empty()).map(SecretString::from);
            }
        };
        fill_secret(&mut self.client_secret, "client_secret");
        fill_secret(&mut self.token, "token");
        Ok(())
    }

    /// The account host.
    ///
    /// # Errors
    /// When there is none, or it is none.
    pub fn host(&self) -> Result<AccountHost, AuthError> {
        AccountHost::parse(self.host.as_deref().ok_or(AuthError::NoHost)?)
    }

    /// The account.
    ///
    /// # Errors
    /// When there is none, or it is none.
    pub fn account(&self) -> Result<AccountId, AuthError> {
        let text = self.account_id.as_deref().ok_or(AuthError::NoAccount)?;
        text.parse().map_err(|error: crate::vocabulary::databricks::IdError| AuthError::Account(error.to_string()))
    }

    /// The one credential that is configured.
    ///
    /// # Errors
    /// When there is none, half of one, or more than one.
    pub fn credential(&self) -> Result<Credential, AuthError> {
        let token = self.token.clone().map(Credential::Token);
        let m2m = match (&self.client_id, &self.client_secret) {
            (Some(id), Some(secret)) => Some(Credential::OAuthM2m { client_id: id.clone(), client_secret: secret.clone() }),
            _ => None,
        };
        let half = || match (&self.client_id, &self.client_secret) {
            (Some(_), None) => AuthError::Half("client_id", "client_secret"),
            (None, Some(_)) => AuthError::Half("client_secret", "client_id"),
            _ => AuthError::NoCredential,
        };
        match self.auth_type.as_deref() {
            Some("pat") => token.ok_or(AuthError::NoCredential),
            Some("oauth-m2m") => m2m.ok_or_else(half),
            Some(other) => Err(AuthError::Method(other.to_owned())),
            None => match (token, m2m) {
                (Some(token), Some(m2m)) => Err(AuthError::Several(format!("{} and {}", m2m.name(), token.name()))),
                (Some(one), None) | (None, Some(one)) => Ok(one),
                (None, None) => Err(half()),
            },
        }
    }

    /// Everything that is needed to call the account API.
    ///
    /// # Errors
    /// The first thing that is missing or wrong.
    pub fn resolve(&self) -> Result<Resolved, AuthError> {
        Ok(Resolved { host: self.host()?, account: self.account()?, credential: self.credential()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const ACCOUNT: &str = "2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11";

    fn complete(settings: &Settings, variables: &[(&str, &str)], file: Option<&str>) -> Result<Settings, AuthError> {
        let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
        settings.completed(&Surroundings {
            variable: &|name| variables.get(name).map(|value| (*value).to_owned()),
            file: &|_| file.map(str::to_owned).ok_or_else(|| std::io::ErrorKind::NotFound.into()),
        })
    }

    #[test]
    fn the_attribute_wins_over_the_environment_and_that_over_the_profile() -> Result<(), AuthError> {
        let file = "[DEFAULT]\nhost = https://from-profile.example # comment\n[prod]\nhost=https://accounts.cloud.databricks.us\naccount_id = 7\ntoken = t#1\n";
        let found = complete(&Settings::default(), &[], Some(file))?;
        assert_eq!(found.host.as_deref(), Some("https://from-profile.example"));
        let found =
            complete(&Settings::default(), &[("DATABRICKS_CONFIG_PROFILE", "prod"), ("DATABRICKS_HOST", "env")], Some(file))?;
        assert_eq!((found.host.as_deref(), found.account_id.as_deref()), (Some("env"), Some("7")));
        assert_eq!(found.token.map(|token| token.expose_secret().to_owned()).as_deref(), Some("t#1"));
        let attribute = Settings { host: Some("attribute".to_owned()), ..Settings::default() };
        let found = complete(&attribute, &[("DATABRICKS_HOST", "env")], Some(file))?;
        assert_eq!(found.host.as_deref(), Some("attribute"));
        Ok(())
    }

    #[test]
    fn a_profile_that_is_named_must_exist() {
        let named = Settings { profile: Some("nope".to_owned()), ..Settings::default() };
        assert!(matches!(complete(&named, &[], Some("[DEFAULT]\n")), Err(AuthError::NoProfile { .. })));
        assert!(matches!(complete(&named, &[], None), Err(AuthError::File { .. })));
        assert!(complete(&Settings::default(), &[], None).is_ok(), "no file is no error when none is asked for");
    }

    #[test]
    fn one_credential_is_enough_and_two_are_too_many() -> Result<(), AuthError> {
        let both = [("DATABRICKS_TOKEN", "t"), ("DATABRICKS_CLIENT_ID", "i"), ("DATABRICKS_CLIENT_SECRET", "s")];
        let error = complete(&Settings::default(), &both, None)?.credential().map(|c| c.name());
        assert_eq!(error, Err(AuthError::Several("oauth-m2m and pat".to_owned())));
        let mut chosen = both.to_vec();
        chosen.push(("DATABRICKS_AUTH_TYPE", "oauth-m2m"));
        assert_eq!(complete(&Settings::default(), &chosen, None)?.credential().map(|c| c.name()), Ok("oauth-m2m"));
        let half = complete(&Settings::default(), &[("DATABRICKS_CLIENT_ID", "i")], None)?.credential().map(|c| c.name());
        assert_eq!(half, Err(AuthError::Half("client_id", "client_secret")));
        assert_eq!(Settings::default().credential().map(|c| c.name()), Err(AuthError::NoCredential));
        Ok(())
    }

    #[test]
    fn hosts_are_read_as_people_write_them() {
        let rows = [
            ("accounts.cloud.databricks.com", Ok("https://accounts.cloud.databricks.com")),
            ("https://accounts.cloud.databricks.com/login?next=x", Ok("https://accounts.cloud.databricks.com")),
            ("http://127.0.0.1:8080/", Ok("http://127.0.0.1:8080")),
            ("http://localhost:1", Ok("http://localhost:1")),
        ];
        for (text, expected) in rows {
            assert_eq!(
                AccountHost::parse(text).map(|host| host.to_string()).as_deref(),
                expected.as_ref().map(|s| *s),
                "{text}"
            );
        }
        assert!(matches!(AccountHost::parse("http://accounts.cloud.databricks.com"), Err(AuthError::Insecure(_))));
        assert!(matches!(AccountHost::parse("https://dbc-1.cloud.databricks.com"), Err(AuthError::WorkspaceHost(_))));
        assert!(matches!(AccountHost::parse("ftp://x"), Err(AuthError::Host(_))));
    }

    #[test]
    fn no_secret_can_be_printed() {
        let settings = Settings {
            token: Some("very-secret".into()),
            client_secret: Some("very-secret".into()),
            account_id: Some(ACCOUNT.to_owned()),
            ..Settings::default()
        };
        assert!(!format!("{settings:?}").contains("very-secret"));
    }
}
