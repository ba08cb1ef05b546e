//! Account hosts: which there are, how people write them, and what belongs to a workspace instead.

use std::fmt;

use url::Url;

use super::AuthError;
use crate::databricks::http::is_safe;
use crate::vocabulary::{AccountId, Cloud, Deployment};

/// The end of every host name of Databricks, and whose cloud it stands for.
const DOMAINS: [(&str, Cloud); 6] = [
    (".cloud.databricks.com", Cloud::Aws),
    (".cloud.databricks.us", Cloud::Aws),
    (".azuredatabricks.net", Cloud::Azure),
    (".databricks.azure.us", Cloud::Azure),
    (".databricks.azure.cn", Cloud::Azure),
    (".gcp.databricks.com", Cloud::Gcp),
];

/// The account host that belongs to a workspace's host, by the end of its name.
const ACCOUNT_HOSTS: [(&str, &str); 6] = [
    (
        ".cloud.databricks.com",
        "https://accounts.cloud.databricks.com",
    ),
    (
        ".cloud.databricks.us",
        "https://accounts.cloud.databricks.us",
    ),
    (
        ".azuredatabricks.net",
        "https://accounts.azuredatabricks.net",
    ),
    (
        ".databricks.azure.us",
        "https://accounts.databricks.azure.us",
    ),
    (
        ".databricks.azure.cn",
        "https://accounts.databricks.azure.cn",
    ),
    (".gcp.databricks.com", "https://accounts.gcp.databricks.com"),
];

/// The account host that belongs to an address of a workspace.
pub fn account_host_of(workspace: &str) -> &'static str {
    let address = workspace.trim().trim_end_matches('/');
    let name = address
        .split_once("://")
        .map_or(address, |(_, rest)| rest)
        .split(['/', '?', ':'])
        .next()
        .unwrap_or_default();
    let own = ACCOUNT_HOSTS
        .iter()
        .find(|(suffix, _)| name.ends_with(suffix));
    own.map_or("https://accounts.cloud.databricks.com", |(_, host)| host)
}

/// An account host, without a path: `https://accounts.cloud.databricks.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountHost(Url);

impl AccountHost {
    /// Reads an address as people write it, with or without scheme, path and query.
    ///
    /// # Errors
    /// When it is not an address, when requests to it would carry secrets in the clear, or when it
    /// is the address of a workspace.
    pub fn parse(text: &str) -> Result<Self, AuthError> {
        let wrong = || AuthError::Host(text.to_owned());
        let trimmed = text.trim();
        let with_scheme = if trimmed.contains("://") {
            trimmed.to_owned()
        } else {
            format!("https://{trimmed}")
        };
        let mut url = Url::parse(&with_scheme).map_err(|_| wrong())?;
        url.set_path("/");
        url.set_query(None);
        url.set_fragment(None);
        if url.host().is_none() || !matches!(url.scheme(), "https" | "http") {
            return Err(wrong());
        }
        if !is_safe(&url) {
            return Err(AuthError::Insecure(text.to_owned()));
        }
        let host = Self(url);
        if is_workspace(host.name()) {
            Err(AuthError::WorkspaceHost(text.to_owned()))
        } else {
            Ok(host)
        }
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

    /// Whose cloud it belongs to; `None` for hosts that are not Databricks' own, such as one for tests.
    pub fn cloud(&self) -> Option<Cloud> {
        cloud_of(self.name())
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

/// The host of a workspace: `dbc-….cloud.databricks.com`, `adb-….azuredatabricks.net`, `….gcp.databricks.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceHost {
    name: String,
    /// Where requests go: its own address, or a path below that of a local service.
    base: Url,
}

impl WorkspaceHost {
    /// The host of a workspace, by its deployment name and the cloud in which it runs. `account`: the host of its account, which says which
    /// deployment of Databricks it is; `endpoint`: where requests go instead, each below the name of the host.
    ///
    /// The deployment name comes from an answer, and the provider sends secrets to the host that it makes: the host can only be one below a
    /// domain of Databricks. `None`: the text is not a name, or no domain is known for the cloud.
    pub fn of(
        deployment_name: &str,
        cloud: &Cloud,
        account: &AccountHost,
        endpoint: Option<&Url>,
    ) -> Option<Self> {
        let is_label = |label: &str| {
            let mut letters = label.bytes();
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && letters.all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if deployment_name.len() > 120 || !deployment_name.split('.').all(is_label) {
            return None;
        }
        let own = DOMAINS
            .iter()
            .find(|(domain, _)| account.name().ends_with(domain));
        let usual = || DOMAINS.iter().find(|(_, of)| of == cloud);
        let (domain, _) = own.or_else(usual)?;
        let name = format!("{}{domain}", deployment_name.to_ascii_lowercase());
        if !is_workspace(&name) {
            return None;
        }
        let base = match endpoint {
            None => Url::parse(&format!("https://{name}/")),
            Some(endpoint) => {
                let endpoint = endpoint.as_str().trim_end_matches('/');
                Url::parse(&format!("{endpoint}/{name}/"))
            }
        };
        Some(Self {
            name,
            base: base.ok()?,
        })
    }

    /// The address of a path below it, which begins with a slash.
    pub fn join(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        let below = self.base.path().trim_end_matches('/');
        url.set_path(&format!("{below}{path}"));
        url
    }
}

impl fmt::Display for WorkspaceHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.name)
    }
}

/// Whose API is called, and who gives out its tokens.
#[derive(Clone, Debug)]
pub enum Site {
    /// An account on its host: `accounts.cloud.databricks.com`.
    Account(AccountHost, AccountId),
    /// A workspace on its own host.
    Workspace(WorkspaceHost),
}

impl Site {
    /// The address of its API for a path; that of an account is below the account.
    pub fn api(&self, path: &str) -> Url {
        match self {
            Self::Account(host, account) => {
                host.join(&format!("/api/2.0/accounts/{account}{path}"))
            }
            Self::Workspace(host) => host.join(path),
        }
    }

    /// Where its tokens are given out (OAuth 2.0).
    pub fn token_endpoint(&self) -> Url {
        match self {
            Self::Account(host, account) => {
                host.join(&format!("/oidc/accounts/{account}/v1/token"))
            }
            Self::Workspace(host) => host.join("/oidc/v1/token"),
        }
    }

    /// Its host, as people and audiences of tokens name it.
    pub fn host(&self) -> String {
        match self {
            Self::Account(host, _) => host.to_string(),
            Self::Workspace(host) => host.to_string(),
        }
    }
}

/// `dbc-….cloud.databricks.com`, `adb-….azuredatabricks.net`, `….gcp.databricks.com`.
fn is_workspace(host: &str) -> bool {
    cloud_of(host).is_some() && !host.starts_with("accounts.") && !host.starts_with("accounts-dod.")
}

fn cloud_of(host: &str) -> Option<Cloud> {
    DOMAINS
        .iter()
        .find(|(suffix, _)| host.ends_with(suffix))
        .map(|(_, cloud)| cloud.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_as_people_write_them() {
        let rows = [
            (
                "accounts.cloud.databricks.com",
                Ok("https://accounts.cloud.databricks.com"),
            ),
            (
                "https://accounts.cloud.databricks.com/login?next=x",
                Ok("https://accounts.cloud.databricks.com"),
            ),
            (
                "accounts-dod.cloud.databricks.us",
                Ok("https://accounts-dod.cloud.databricks.us"),
            ),
            (
                "https://accounts.azuredatabricks.net/",
                Ok("https://accounts.azuredatabricks.net"),
            ),
            ("http://127.0.0.1:8080/", Ok("http://127.0.0.1:8080")),
            ("http://localhost:1", Ok("http://localhost:1")),
        ];
        for (text, expected) in rows {
            assert_eq!(
                AccountHost::parse(text)
                    .map(|host| host.to_string())
                    .as_deref(),
                expected.as_ref().map(|s| *s),
                "{text}"
            );
        }
        assert!(matches!(
            AccountHost::parse("http://accounts.cloud.databricks.com"),
            Err(AuthError::Insecure(_))
        ));
        assert!(matches!(
            AccountHost::parse("ftp://x"),
            Err(AuthError::Host(_))
        ));
    }

    #[test]
    fn a_workspaces_host_is_known_in_every_cloud() {
        for host in [
            "https://dbc-1.cloud.databricks.com",
            "dbc-1.cloud.databricks.us",
            "adb-1.7.azuredatabricks.net",
            "adb-1.7.databricks.azure.us",
            "1234.5.gcp.databricks.com",
        ] {
            assert!(
                matches!(AccountHost::parse(host), Err(AuthError::WorkspaceHost(_))),
                "{host}"
            );
        }
    }

    #[test]
    fn a_workspaces_host_is_answered_with_the_account_host_of_its_cloud() {
        let rows = [
            (
                "https://dbc-1.cloud.databricks.com/?o=1",
                "https://accounts.cloud.databricks.com",
            ),
            (
                "dbc-1.cloud.databricks.us",
                "https://accounts.cloud.databricks.us",
            ),
            (
                "https://adb-1.7.azuredatabricks.net",
                "https://accounts.azuredatabricks.net",
            ),
            (
                "adb-1.7.databricks.azure.us/",
                "https://accounts.databricks.azure.us",
            ),
            (
                "adb-1.7.databricks.azure.cn",
                "https://accounts.databricks.azure.cn",
            ),
            (
                "https://1234.5.gcp.databricks.com",
                "https://accounts.gcp.databricks.com",
            ),
        ];
        for (workspace, account) in rows {
            assert_eq!(account_host_of(workspace), account, "{workspace}");
        }
    }

    /// Each row: what an answer says of a workspace, and the host to which secrets go.
    #[test]
    fn the_host_of_a_workspace_is_below_a_domain_of_databricks() -> Result<(), AuthError> {
        let accounts = "accounts.cloud.databricks.com";
        #[rustfmt::skip]
        let rows = [
            ("dbc-1", Cloud::Aws, accounts, Some("dbc-1.cloud.databricks.com")),
            ("Acme-Prod", Cloud::Aws, accounts, Some("acme-prod.cloud.databricks.com")),
            ("dbc-1", Cloud::Aws, "accounts.cloud.databricks.us", Some("dbc-1.cloud.databricks.us")),
            ("adb-1.7", Cloud::Azure, "accounts.azuredatabricks.net", Some("adb-1.7.azuredatabricks.net")),
            ("adb-1.7", Cloud::Azure, "accounts.databricks.azure.us", Some("adb-1.7.databricks.azure.us")),
            ("12.3", Cloud::Gcp, "http://127.0.0.1:1", Some("12.3.gcp.databricks.com")),
            ("dbc-1", Cloud::Other(String::new()), "http://127.0.0.1:1", None),
            ("", Cloud::Aws, accounts, None),
            ("evil.example/", Cloud::Aws, accounts, None),
            ("evil.example#", Cloud::Aws, accounts, None),
            ("a@b", Cloud::Aws, accounts, None),
            ("a..b", Cloud::Aws, accounts, None),
            ("accounts", Cloud::Aws, accounts, None),
        ];
        for (name, cloud, account, expected) in rows {
            let account = AccountHost::parse(account)?;
            let found = WorkspaceHost::of(name, &cloud, &account, None);
            assert_eq!(
                found.as_ref().map(|host| host.name.as_str()),
                expected,
                "{name}"
            );
            if let Some(found) = found {
                assert_eq!(found.join("/api/x").as_str(), format!("{found}/api/x"));
            }
        }
        let account = AccountHost::parse(accounts)?;
        let local = Url::parse("http://127.0.0.1:8/below/").ok();
        let found = WorkspaceHost::of("dbc-1", &Cloud::Aws, &account, local.as_ref());
        let url = found.map(|host| host.join("/oidc/v1/token").to_string());
        let expected = "http://127.0.0.1:8/below/dbc-1.cloud.databricks.com/oidc/v1/token";
        assert_eq!(url.as_deref(), Some(expected));
        Ok(())
    }

    #[test]
    fn the_host_says_whose_cloud_it_is() {
        let rows = [
            ("accounts.cloud.databricks.us", Some(Cloud::Aws)),
            ("accounts.azuredatabricks.net", Some(Cloud::Azure)),
            ("accounts.gcp.databricks.com", Some(Cloud::Gcp)),
            ("http://127.0.0.1:1", None),
        ];
        for (text, cloud) in rows {
            assert_eq!(
                AccountHost::parse(text).map(|host| host.cloud()),
                Ok(cloud),
                "{text}"
            );
        }
    }
}
