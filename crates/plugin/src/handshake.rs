//! How Terraform starts a plugin: what it says in the environment, and the one line it reads from standard output.
//!
//! Source of the facts: hashicorp/go-plugin, core protocol 1.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// What every Terraform provider is greeted with; it only tells apart a person from Terraform.
pub const COOKIE: (&str, &str) = (
    "TF_PLUGIN_MAGIC_COOKIE",
    "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
);

/// The major version of the provider protocol that is served.
pub const PROTOCOL: u32 = 6;

/// What Terraform says in the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// The certificate (PEM) whose holder alone may connect; present when automatic mTLS is on.
    pub client_certificate: Option<String>,
    /// The directory in which the provider makes its socket.
    pub socket_directory: Option<PathBuf>,
    /// The group, by name or number, that may use the socket.
    pub socket_group: Option<String>,
    /// The TCP ports to choose from where there are no Unix sockets.
    pub ports: Option<(u16, u16)>,
    /// Whether Terraform wants to know about multiplexing.
    pub asks_for_multiplexing: bool,
}

/// Why a start is none that Terraform makes.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HandshakeError {
    /// A person started the program by hand.
    #[error("not started by Terraform")]
    NoCookie,
    /// A Terraform that does not speak protocol 6.
    #[error(
        "Terraform offers the plugin protocols {offered}, this provider speaks protocol {PROTOCOL}; use Terraform 1.6 or newer"
    )]
    Protocol {
        /// What Terraform offered.
        offered: String,
    },
    /// A value that is not what it should be.
    #[error("the environment variable {name} is not usable: {value:?}")]
    Variable {
        /// The variable.
        name: &'static str,
        /// What it holds.
        value: OsString,
    },
}

impl Environment {
    /// Reads the environment through `get`.
    ///
    /// # Errors
    /// When it is not Terraform's, or not one that can be served.
    pub fn read(get: impl Fn(&str) -> Option<OsString>) -> Result<Self, HandshakeError> {
        let filled = |name: &str| get(name).filter(|value| !value.is_empty());
        let text = |name: &'static str| {
            filled(name)
                .map(|value| {
                    value
                        .into_string()
                        .map_err(|value| HandshakeError::Variable { name, value })
                })
                .transpose()
        };
        if text(COOKIE.0)?.as_deref() != Some(COOKIE.1) {
            return Err(HandshakeError::NoCookie);
        }
        if let Some(offered) = text("PLUGIN_PROTOCOL_VERSIONS")?
            && !offered
                .split(',')
                .any(|version| version.trim().parse() == Ok(PROTOCOL))
        {
            return Err(HandshakeError::Protocol { offered });
        }
        let port = |name: &'static str| {
            let number = |value: String| {
                value.parse::<u16>().map_err(|_| HandshakeError::Variable {
                    name,
                    value: value.clone().into(),
                })
            };
            text(name)?.map(number).transpose()
        };
        let ports = match (port("PLUGIN_MIN_PORT")?, port("PLUGIN_MAX_PORT")?) {
            (Some(least), Some(most)) => Some((least, most)),
            _ => None,
        };
        Ok(Self {
            client_certificate: text("PLUGIN_CLIENT_CERT")?,
            socket_directory: filled("PLUGIN_UNIX_SOCKET_DIR").map(PathBuf::from),
            socket_group: text("PLUGIN_UNIX_SOCKET_GROUP")?,
            ports,
            asks_for_multiplexing: get("PLUGIN_MULTIPLEX_GRPC").is_some(),
        })
    }
}

/// Where the plugin listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket.
    Unix(PathBuf),
    /// A TCP port on the loopback.
    Tcp(std::net::SocketAddr),
}

impl Address {
    /// The name of the network in go-plugin's terms.
    pub fn network(&self) -> &'static str {
        match self {
            Self::Unix(_) => "unix",
            Self::Tcp(_) => "tcp",
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Tcp(address) => write!(f, "{address}"),
        }
    }
}

/// The line that tells Terraform where and how to connect, without its line end.
pub fn line(address: &Address, certificate: Option<&[u8]>, asks_for_multiplexing: bool) -> String {
    let certificate = certificate
        .map(|der| STANDARD_NO_PAD.encode(der))
        .unwrap_or_default();
    let multiplexing = if asks_for_multiplexing { "|false" } else { "" };
    format!(
        "1|{PROTOCOL}|{}|{address}|grpc|{certificate}{multiplexing}",
        address.network()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(entries: &[(&str, &str)]) -> Result<Environment, HandshakeError> {
        let mut all = vec![COOKIE];
        all.extend_from_slice(entries);
        Environment::read(|name| {
            all.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn a_person_is_told_apart_from_terraform() {
        assert_eq!(Environment::read(|_| None), Err(HandshakeError::NoCookie));
        assert_eq!(environment(&[]), Ok(Environment::default()));
    }

    #[test]
    fn a_terraform_that_speaks_only_protocol_5_is_told_so() {
        let error = environment(&[("PLUGIN_PROTOCOL_VERSIONS", "4,5")]);
        assert_eq!(
            error,
            Err(HandshakeError::Protocol {
                offered: "4,5".to_owned()
            })
        );
        assert!(environment(&[("PLUGIN_PROTOCOL_VERSIONS", "5,6")]).is_ok());
    }

    #[test]
    fn everything_terraform_says_is_heard() -> Result<(), HandshakeError> {
        let found = environment(&[
            ("PLUGIN_CLIENT_CERT", "pem"),
            ("PLUGIN_UNIX_SOCKET_DIR", "/run/x"),
            ("PLUGIN_UNIX_SOCKET_GROUP", "dev"),
            ("PLUGIN_MIN_PORT", "10000"),
            ("PLUGIN_MAX_PORT", "25000"),
            ("PLUGIN_MULTIPLEX_GRPC", "true"),
        ])?;
        let expected = Environment {
            client_certificate: Some("pem".to_owned()),
            socket_directory: Some("/run/x".into()),
            socket_group: Some("dev".to_owned()),
            ports: Some((10000, 25000)),
            asks_for_multiplexing: true,
        };
        assert_eq!(found, expected);
        assert!(environment(&[("PLUGIN_MIN_PORT", "many")]).is_err());
        Ok(())
    }

    #[test]
    fn the_line_has_seven_fields_only_when_asked() {
        let address = Address::Unix("/tmp/s".into());
        assert_eq!(
            line(&address, Some(&[1, 2]), false),
            "1|6|unix|/tmp/s|grpc|AQI"
        );
        assert_eq!(line(&address, None, true), "1|6|unix|/tmp/s|grpc||false");
        let address = Address::Tcp(([127, 0, 0, 1], 10000).into());
        assert_eq!(line(&address, None, false), "1|6|tcp|127.0.0.1:10000|grpc|");
    }
}
