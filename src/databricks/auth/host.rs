//! Account hosts: which there are, how people write them, and what belongs to a workspace instead.

use std::fmt;

use url::Url;

use super::AuthError;
use crate::databricks::http::is_safe;
use crate::vocabulary::{Cloud, Deployment};

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
    /// When it is no address, would send secrets in the clear, or is a workspace's.
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
