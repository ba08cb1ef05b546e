//! Every setting of Databricks unified authentication, by its name.
//!
//! Precedence: attribute, then the profile that an attribute names, then environment, then the profile of the environment or the default
//! one. That last file is read only when the environment names a profile, or when neither a host nor a credential was given elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::{AccountHost, AuthError, Resolved};
use crate::vocabulary::{AccountId, Cloud};

macro_rules! settings {
    ($($variant:ident $name:literal $variable:literal $identifies:literal;)*) => {
        /// The name of a setting.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "each is what its name in the configuration says")]
        pub enum Name {
            $($variant,)*
        }

        impl Name {
            /// Every variant, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name in the provider block and in the profile.
            pub fn attribute(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Its environment variable.
            pub fn variable(self) -> &'static str {
                match self {
                    $(Self::$variant => $variable,)*
                }
            }

            /// Whether it says where or who: when one such is given, the profile is not looked for unasked.
            fn identifies(self) -> bool {
                match self {
                    $(Self::$variant => $identifies,)*
                }
            }
        }
    };
}

// The names and variables of the official SDKs.
settings! {
    Host "host" "DATABRICKS_HOST" true;
    AccountId "account_id" "DATABRICKS_ACCOUNT_ID" false;
    Token "token" "DATABRICKS_TOKEN" true;
    ClientId "client_id" "DATABRICKS_CLIENT_ID" true;
    ClientSecret "client_secret" "DATABRICKS_CLIENT_SECRET" true;
    Profile "profile" "DATABRICKS_CONFIG_PROFILE" false;
    ConfigFile "config_file" "DATABRICKS_CONFIG_FILE" false;
    AuthType "auth_type" "DATABRICKS_AUTH_TYPE" false;
    Audience "audience" "DATABRICKS_TOKEN_AUDIENCE" false;
    OidcTokenEnv "oidc_token_env" "DATABRICKS_OIDC_TOKEN_ENV" true;
    OidcTokenFile "databricks_id_token_filepath" "DATABRICKS_OIDC_TOKEN_FILEPATH" true;
    DatabricksCliPath "databricks_cli_path" "DATABRICKS_CLI_PATH" false;
    AzureTenantId "azure_tenant_id" "ARM_TENANT_ID" false;
    AzureClientId "azure_client_id" "ARM_CLIENT_ID" false;
    AzureClientSecret "azure_client_secret" "ARM_CLIENT_SECRET" false;
    AzureEnvironment "azure_environment" "ARM_ENVIRONMENT" false;
    GoogleCredentials "google_credentials" "GOOGLE_CREDENTIALS" false;
    GoogleServiceAccount "google_service_account" "DATABRICKS_GOOGLE_SERVICE_ACCOUNT" false;
    GitHubRequestUrl "actions_id_token_request_url" "ACTIONS_ID_TOKEN_REQUEST_URL" false;
    GitHubRequestToken "actions_id_token_request_token" "ACTIONS_ID_TOKEN_REQUEST_TOKEN" false;
}

/// The settings that are given. All of them are kept as secrets: which of them is one depends on the method.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    all: BTreeMap<Name, SecretString>,
    /// Those that the configuration sets, itself or by the profile that it names: what the environment has does not compete with them.
    named: BTreeSet<Name>,
}

/// The places that settings come from besides the configuration.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Reads an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// Reads a file.
    pub file: &'a dyn Fn(&Path) -> std::io::Result<String>,
    /// Whether a file is there.
    pub exists: &'a dyn Fn(&Path) -> bool,
}

impl Surroundings<'_> {
    /// Those of this process.
    pub const OWN: Self = Self {
        variable: &doors::environment::variable,
        file: &|path| doors::files::read_to_string(path),
        exists: &|path| path.is_file(),
    };

    /// An environment variable that is set to something.
    pub fn get(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    /// The path of a program on PATH; `None` if there is none.
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        let path = self.get("PATH")?;
        let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
        std::env::split_paths(&path)
            .map(|directory| directory.join(&file))
            .find(|path| (self.exists)(path))
    }

    /// A path that may begin with the user's home.
    pub fn expanded(&self, path: &str) -> PathBuf {
        let home = || {
            self.get("HOME")
                .or_else(|| self.get("USERPROFILE"))
                .unwrap_or_default()
        };
        match path.strip_prefix("~/") {
            Some(rest) => PathBuf::from(home()).join(rest),
            None => PathBuf::from(path),
        }
    }
}

/// What names the profile.
fn named_by(is_attribute: bool) -> &'static str {
    match is_attribute {
        true => "`profile`",
        false => "the environment variable DATABRICKS_CONFIG_PROFILE",
    }
}

impl Settings {
    /// These settings and one more; nothing, and an empty text, change nothing.
    #[must_use]
    pub fn with(mut self, name: Name, value: Option<impl Into<SecretString>>) -> Self {
        if let Some(value) = value
            .map(Into::into)
            .filter(|value| !value.expose_secret().is_empty())
        {
            self.all.insert(name, value);
        }
        self
    }

    /// The value of a setting.
    pub fn get(&self, name: Name) -> Option<&str> {
        self.all.get(&name).map(ExposeSecret::expose_secret)
    }

    /// The value of a setting that must not be printed.
    pub fn secret(&self, name: Name) -> Option<SecretString> {
        self.all.get(&name).cloned()
    }

    /// The value of a setting, as text of its own.
    pub fn text(&self, name: Name) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    fn has(&self, name: Name) -> bool {
        self.all.contains_key(&name)
    }

    /// Whether the configuration sets it, itself or by the profile that it names.
    pub(super) fn is_named(&self, name: Name) -> bool {
        self.named.contains(&name)
    }

    fn fill(&mut self, name: Name, value: impl FnOnce() -> Option<String>) {
        if !self.has(name)
            && let Some(value) = value().filter(|value| !value.is_empty())
        {
            self.all.insert(name, value.into());
        }
    }

    /// These settings, completed from the environment and the profile.
    ///
    /// # Errors
    /// When a profile is named that cannot be read.
    pub fn completed(&self, around: &Surroundings<'_>) -> Result<Self, AuthError> {
        let mut all = self.clone();
        let names_profile = self.has(Name::Profile) || self.has(Name::ConfigFile);
        if names_profile {
            for name in [Name::Profile, Name::ConfigFile] {
                all.fill(name, || around.get(name.variable()));
            }
            all.add_profile(around, self.has(Name::Profile))?;
        }
        all.named = all.all.keys().copied().collect();
        for name in Name::ALL {
            all.fill(*name, || around.get(name.variable()));
        }
        let nothing_given = !Name::ALL
            .iter()
            .any(|name| name.identifies() && all.has(*name));
        if !names_profile && (all.has(Name::Profile) || nothing_given) {
            all.add_profile(around, false)?;
        }
        Ok(all)
    }

    /// `is_attribute`: whether an attribute names the profile, and not the environment.
    fn add_profile(
        &mut self,
        around: &Surroundings<'_>,
        is_attribute: bool,
    ) -> Result<(), AuthError> {
        let named = self.text(Name::Profile);
        let named_file = self.text(Name::ConfigFile);
        let path = around.expanded(named_file.as_deref().unwrap_or("~/.databrickscfg"));
        let file = path.display().to_string();
        let text = match (around.file)(&path) {
            Ok(text) => text,
            Err(error)
                if error.kind() == std::io::ErrorKind::NotFound
                    && named.is_none()
                    && named_file.is_none() =>
            {
                return Ok(());
            }
            Err(error) => {
                return Err(AuthError::File {
                    file,
                    reason: crate::vocabulary::why_unread(&error),
                    profile: named.map(|name| (name, named_by(is_attribute))),
                });
            }
        };
        let ini = ini::Ini::load_from_str(&text).map_err(|error| AuthError::File {
            file: file.clone(),
            reason: error.msg.to_string(),
            profile: named.clone().map(|name| (name, named_by(is_attribute))),
        })?;
        let settings_default = ini
            .get_from(Some("__settings__"), "default_profile")
            .map(str::to_owned);
        let profile = named
            .clone()
            .or(settings_default)
            .unwrap_or_else(|| "DEFAULT".to_owned());
        let Some(section) = ini.section(Some(profile.as_str())) else {
            return if named.is_some() {
                Err(AuthError::NoProfile {
                    file,
                    profile,
                    named_by: named_by(is_attribute),
                })
            } else {
                Ok(())
            };
        };
        for name in Name::ALL {
            self.fill(*name, || section.get(name.attribute()).map(str::to_owned));
        }
        Ok(())
    }

    /// The account host.
    ///
    /// # Errors
    /// When there is none, or it is none.
    pub fn host(&self) -> Result<AccountHost, AuthError> {
        AccountHost::parse(self.get(Name::Host).ok_or(AuthError::NoHost)?)
    }

    /// The account.
    ///
    /// # Errors
    /// When there is none, or it is none.
    pub fn account(&self) -> Result<AccountId, AuthError> {
        let text = self.get(Name::AccountId).ok_or(AuthError::NoAccount)?;
        text.parse()
            .map_err(|error: crate::vocabulary::IdError| AuthError::Account(error.to_string()))
    }

    /// Everything that is needed to call the account API. `has_google_identity`: an identity of Google Cloud is configured beside it, so
    /// that a service principal sends its token along. Which method is set is never changed.
    ///
    /// # Errors
    /// The first thing that is missing or wrong.
    pub fn resolve(
        &self,
        around: &Surroundings<'_>,
        has_google_identity: bool,
    ) -> Result<Resolved, AuthError> {
        let (host, account) = (self.host()?, self.account()?);
        let mut credential = self.credential(&host, &account, around)?;
        let is_elsewhere = matches!(host.cloud(), Some(Cloud::Aws | Cloud::Azure));
        if has_google_identity && !is_elsewhere && self.get(Name::AuthType).is_none() {
            credential = credential.with_google_token();
        }
        Ok(Resolved {
            host,
            account,
            credential,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The settings that an environment and a file come to.
    pub fn complete(
        settings: &Settings,
        variables: &[(&str, &str)],
        file: Option<&str>,
    ) -> Result<Settings, AuthError> {
        surrounded(variables, file, |around| settings.completed(around))
    }

    /// Surroundings of a test: variables, one file at every path, and no program but those whose path a variable has.
    pub fn surrounded<T>(
        variables: &[(&str, &str)],
        file: Option<&str>,
        f: impl FnOnce(&Surroundings<'_>) -> T,
    ) -> T {
        let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
        f(&Surroundings {
            variable: &|name| variables.get(name).map(|value| (*value).to_owned()),
            file: &|_| {
                file.map(str::to_owned)
                    .ok_or_else(|| std::io::ErrorKind::NotFound.into())
            },
            exists: &|path| {
                variables
                    .get("PROGRAMS")
                    .is_some_and(|all| all.split(',').any(|one| Path::new(one) == path))
            },
        })
    }

    #[test]
    fn the_attribute_wins_over_the_environment_and_that_over_the_profile() -> Result<(), AuthError>
    {
        let file = "[DEFAULT]\nhost = https://from-profile.example # comment\n[prod]\nhost=https://accounts.cloud.databricks.us\naccount_id = 7\ntoken = t#1\nazure_tenant_id = t\n";
        let found = complete(&Settings::default(), &[], Some(file))?;
        assert_eq!(found.get(Name::Host), Some("https://from-profile.example"));
        let found = complete(
            &Settings::default(),
            &[
                ("DATABRICKS_CONFIG_PROFILE", "prod"),
                ("DATABRICKS_HOST", "env"),
            ],
            Some(file),
        )?;
        assert_eq!(
            (found.get(Name::Host), found.get(Name::AccountId)),
            (Some("env"), Some("7"))
        );
        assert_eq!(
            (found.get(Name::Token), found.get(Name::AzureTenantId)),
            (Some("t#1"), Some("t"))
        );
        let attribute = Settings::default().with(Name::Host, Some("attribute"));
        let found = complete(&attribute, &[("DATABRICKS_HOST", "env")], Some(file))?;
        assert_eq!(found.get(Name::Host), Some("attribute"));
        Ok(())
    }

    #[test]
    fn a_profile_that_is_named_must_exist() {
        let attribute = Settings::default().with(Name::Profile, Some("nope"));
        let variable = [("DATABRICKS_CONFIG_PROFILE", "nope")];
        let rows = [
            (attribute, [].as_slice(), "`profile`"),
            (
                Settings::default(),
                variable.as_slice(),
                "the environment variable DATABRICKS_CONFIG_PROFILE",
            ),
        ];
        for (settings, variables, expected) in rows {
            let empty = complete(&settings, variables, Some("[DEFAULT]\n"));
            assert!(
                matches!(&empty, Err(AuthError::NoProfile { profile, named_by, .. }) if profile == "nope" && *named_by == expected),
                "{empty:?}"
            );
            let none = complete(&settings, variables, None);
            assert!(
                matches!(&none, Err(AuthError::File { profile: Some((profile, named_by)), .. }) if profile == "nope" && *named_by == expected),
                "{none:?}"
            );
        }
        assert!(
            complete(&Settings::default(), &[], None).is_ok(),
            "no file is no error when none is asked for"
        );
    }

    /// Each row: what the provider block sets, and what the setting is then; the environment says otherwise in each.
    #[test]
    fn the_environment_does_not_win_over_what_the_provider_block_names() -> Result<(), AuthError> {
        let file =
            "[DEFAULT]\nhost = default\n[other]\nhost = profile\naccount_id = 7\ntoken = profile\n";
        let environment: Vec<(&str, &str)> = Name::ALL
            .iter()
            .map(|name| (name.variable(), "environment"))
            .filter(|(name, _)| !name.starts_with("DATABRICKS_CONFIG_"))
            .collect();
        for name in Name::ALL {
            if [Name::Profile, Name::ConfigFile].contains(name) {
                continue;
            }
            let block = Settings::default().with(*name, Some("block"));
            let found = complete(&block, &environment, Some(file))?;
            assert_eq!(found.get(*name), Some("block"), "{name:?}");
        }
        let other = Settings::default().with(Name::Profile, Some("other"));
        let with_host = other.clone().with(Name::Host, Some("block"));
        let in_file = Settings::default().with(Name::ConfigFile, Some("/own"));
        let rows = [
            (&other, Name::Host, "profile"),
            (&other, Name::AccountId, "7"),
            (&other, Name::Token, "profile"),
            // What the profile does not say, the environment may.
            (&other, Name::Audience, "environment"),
            (&with_host, Name::Host, "block"),
            (&with_host, Name::Token, "profile"),
            (&in_file, Name::Host, "default"),
        ];
        for (block, name, expected) in rows {
            let found = complete(block, &environment, Some(file))?;
            assert_eq!(found.get(name), Some(expected), "{name:?} of {block:?}");
        }
        Ok(())
    }

    #[test]
    fn what_a_cloud_has_in_the_environment_does_not_keep_the_profile_from_being_read()
    -> Result<(), AuthError> {
        let file = "[DEFAULT]\nhost = https://accounts.cloud.databricks.com\n";
        let found = complete(
            &Settings::default(),
            &[("ARM_CLIENT_ID", "x"), ("GOOGLE_CREDENTIALS", "{}")],
            Some(file),
        )?;
        assert_eq!(
            found.get(Name::Host),
            Some("https://accounts.cloud.databricks.com")
        );
        Ok(())
    }

    #[test]
    fn no_secret_can_be_printed() {
        let settings = Settings::default()
            .with(Name::Token, Some("very-secret"))
            .with(Name::ClientSecret, Some("very-secret"));
        assert!(!format!("{settings:?}").contains("very-secret"));
    }
}
