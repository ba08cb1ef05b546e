//! Proxies of the environment, as curl and the official SDKs read them: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`.
//! What runs on this very machine is never asked for through a proxy.

use reqwest::{ClientBuilder, NoProxy, Proxy};
use url::Url;

use crate::vocabulary::is_loopback;

/// This machine, whatever `NO_PROXY` says.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// The proxies of an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    https: Option<Named>,
    http: Option<Named>,
    except: String,
}

/// A proxy, and the variable that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    variable: &'static str,
    address: String,
}

impl Proxies {
    /// Those that this process was given.
    pub fn of_environment() -> Self {
        Self::of(&doors::environment::variable)
    }

    fn of(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let first = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| {
                let address = variable(name).filter(|value| !value.trim().is_empty())?;
                Some(Named {
                    variable: name,
                    address,
                })
            })
        };
        let all = first(["ALL_PROXY", "all_proxy"]);
        Self {
            https: first(["HTTPS_PROXY", "https_proxy"]).or_else(|| all.clone()),
            http: first(["HTTP_PROXY", "http_proxy"]).or(all),
            except: first(["NO_PROXY", "no_proxy"])
                .map(|named| named.address)
                .unwrap_or_default(),
        }
    }

    /// The variable whose proxy is not an address, and what it says, without what may be a secret.
    pub fn malformed(&self) -> Option<(&'static str, String)> {
        let wrong = [&self.https, &self.http]
            .into_iter()
            .flatten()
            .find(|named| Proxy::all(&named.address).is_err())?;
        let shown = wrong.address.rsplit('@').next().unwrap_or_default();
        Some((wrong.variable, shown.to_owned()))
    }

    /// A client that uses them. Without any in the environment, those of the system are used.
    ///
    /// # Errors
    /// When one of them is not an address.
    pub fn on(&self, builder: ClientBuilder) -> reqwest::Result<ClientBuilder> {
        if self.https.is_none() && self.http.is_none() {
            return Ok(builder);
        }
        let except = || NoProxy::from_string(&format!("{},{LOOPBACK}", self.except));
        let mut builder = builder.no_proxy();
        if let Some(proxy) = &self.https {
            builder = builder.proxy(Proxy::https(&proxy.address)?.no_proxy(except()));
        }
        if let Some(proxy) = &self.http {
            builder = builder.proxy(Proxy::http(&proxy.address)?.no_proxy(except()));
        }
        Ok(builder)
    }

    /// The proxy for an address, without the secret that may stand in it; for messages.
    pub fn shown_for(&self, url: &Url) -> Option<String> {
        let name = url.host_str()?.to_ascii_lowercase();
        let excepts = |entry: &str| {
            let entry = entry.trim().trim_start_matches('.').to_ascii_lowercase();
            entry == "*"
                || (!entry.is_empty() && (name == entry || name.ends_with(&format!(".{entry}"))))
        };
        if is_loopback(url) || self.except.split(',').any(excepts) {
            return None;
        }
        let proxy = if url.scheme() == "https" {
            &self.https
        } else {
            &self.http
        }
        .as_ref()
        .map(|named| &named.address)?;
        let shown = if proxy.contains("://") {
            proxy.clone()
        } else {
            format!("http://{proxy}")
        };
        let mut shown = Url::parse(&shown).ok()?;
        // Both fail only for addresses that have no host.
        let _ = shown.set_username("");
        let _ = shown.set_password(None);
        Some(shown.as_str().trim_end_matches('/').to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_of_a_proxy_that_is_no_address_is_named() {
        let rows = [
            ("HTTP_PROXY", "::bad", Some("::bad")),
            ("https_proxy", "http://user:secret@[bad", Some("[bad")),
            ("ALL_PROXY", "proxy:3128", None),
            ("HTTPS_PROXY", "http://user:secret@proxy:3128", None),
            ("HTTPS_PROXY", " ", None),
        ];
        for (variable, address, expected) in rows {
            let proxies = Proxies::of(&|name| (name == variable).then(|| address.to_owned()));
            let expected = expected.map(|shown| (variable, shown.to_owned()));
            assert_eq!(proxies.malformed(), expected, "{variable}={address}");
        }
    }

    /// Each row: the environment, the address, and the proxy that a message names.
    #[test]
    fn a_message_names_the_proxy_and_never_its_password() -> Result<(), url::ParseError> {
        let both: &[(&str, &str)] = &[
            ("HTTPS_PROXY", "http://user:secret@proxy:3128"),
            ("NO_PROXY", "internal,.corp.example"),
        ];
        let rows: &[(&[(&str, &str)], &str, Option<&str>)] = &[
            (
                both,
                "https://accounts.cloud.databricks.com/x",
                Some("http://proxy:3128"),
            ),
            (both, "https://127.0.0.1:1/x", None),
            (both, "https://a.corp.example", None),
            (both, "https://internal", None),
            (both, "http://elsewhere", None),
            (
                &[("all_proxy", "proxy:1")],
                "http://elsewhere",
                Some("http://proxy:1"),
            ),
            (
                &[("HTTP_PROXY", "http://proxy:1"), ("NO_PROXY", "*")],
                "http://elsewhere",
                None,
            ),
            (
                &[("HTTP_PROXY", "http://proxy:1")],
                "http://localhost:1",
                None,
            ),
            (&[], "https://elsewhere", None),
        ];
        for (environment, address, expected) in rows {
            let proxies = Proxies::of(&|name| {
                environment
                    .iter()
                    .find(|(own, _)| *own == name)
                    .map(|(_, value)| (*value).to_owned())
            });
            assert_eq!(
                proxies.shown_for(&Url::parse(address)?).as_deref(),
                *expected,
                "{address}"
            );
        }
        Ok(())
    }
}
